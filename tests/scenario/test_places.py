"""Every entry of a file has its line and column, also after merging and overrides."""

from __future__ import annotations

from pathlib import Path

import pytest

from cosim.errors import ScenarioError
from cosim.scenario.places import merged, read_document, with_override

TEXT = """\
a: 1
b:
  c: [x, {d: 2}]
  e:
    - f: on
      g: 1e-9
"""


def document(folder: Path, text: str = TEXT, name: str = "s.yaml"):
    (folder / name).write_text(text)
    return read_document(folder / name, name)


def test_values_are_plain(tmp_path: Path) -> None:
    values = document(tmp_path).values
    assert values == {"a": 1, "b": {"c": ["x", {"d": 2}], "e": [{"f": "on", "g": 1e-9}]}}
    assert type(values["a"]) is int
    assert type(values["b"]["e"][0]["g"]) is float
    assert type(values["b"]) is dict


@pytest.mark.parametrize(
    ("path", "place"),
    [
        (("a",), "s.yaml:1:1"),
        (("b", "c"), "s.yaml:3:3"),
        (("b", "c", 0), "s.yaml:3:7"),
        (("b", "c", 1, "d"), "s.yaml:3:11"),
        (("b", "e", 0), "s.yaml:5:7"),
        (("b", "e", 0, "g"), "s.yaml:6:7"),
        (("b", "e", 0, "nothing"), "s.yaml:5:7"),
        (("nothing",), "s.yaml:1:1"),
    ],
)
def test_places(path: tuple[str | int, ...], place: str, tmp_path: Path) -> None:
    assert document(tmp_path).place(path) == place


def test_known(tmp_path: Path) -> None:
    made = document(tmp_path)
    assert made.known(("b", "e", 0, "h")) == ("b", "e", 0)
    assert made.known(("b", "c", 5)) == ("b", "c")
    assert made.value(("b", "c", 1, "d")) == 2


def test_merge(tmp_path: Path) -> None:
    base = document(tmp_path, TEXT, "base.yaml")
    top = document(tmp_path, "b:\n  c: 5\n  new: 6\nz: 7\n", "top.yaml")
    both = merged(base, top)
    assert both.values == {"a": 1, "b": {"c": 5, "e": [{"f": "on", "g": 1e-9}], "new": 6}, "z": 7}
    assert both.place(("a",)) == "base.yaml:1:1"
    assert both.place(("b", "c")) == "top.yaml:2:3"
    assert both.place(("b", "c", 0)) == "top.yaml:2:3"
    assert both.place(("b", "new")) == "top.yaml:3:3"
    assert base.values["b"]["c"] == ["x", {"d": 2}]


def test_what_an_override_replaces_has_no_place_in_the_file(tmp_path: Path) -> None:
    made = with_override(document(tmp_path), "b={e: [{g: 3}], when: 2026-01-01}")
    assert made.place(("b", "e", 0, "g")) == "--set"
    assert made.value(("b", "when")) == "2026-01-01"
    assert with_override(made, "c.new.part=1").place(("c", "new")) == "--set"
    with pytest.raises(ScenarioError, match=r"^--set: b\.\.e: has an empty part; give the path of an entry"):
        with_override(made, "b..e=1")


def test_override(tmp_path: Path) -> None:
    made = with_override(document(tmp_path), "b.e.0.g=2 %")
    assert made.value(("b", "e", 0, "g")) == "2 %"
    assert made.place(("b", "e", 0, "g")) == "--set"
    assert with_override(made, "new.part=[1, 2]").value(("new", "part")) == [1, 2]
    with pytest.raises(ScenarioError, match="leads nowhere"):
        with_override(made, "b.e.7.g=1")


def test_merged_keys_have_the_place_of_their_mapping(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(
        "program:\n  - read: &first {tiles: [a], coding: pwm}\n  - read: {<<: *first, coding: amplitude}\n"
    )
    document = read_document(file, "a.yaml")
    assert document.values["program"][1]["read"] == {"tiles": ["a"], "coding": "amplitude"}
    assert document.place(("program", 1, "read", "tiles")) == "a.yaml:3:11"
    assert document.place(("program", 1, "read", "coding")) == "a.yaml:3:24"
