"""Data files of a scenario come from its own folder, whatever way out of it is tried."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

SCENARIO = """\
schema_version: 1
name: rule
hardware:
  device: {preset: mss-firm}
  cell: {kind: 1T1R, access_resistance: 5 kohm}
  array: {rows: 2, columns: 2}
tiles:
  core: {backend: behavioral, fidelity: resistiveMAP}
program:
  - write: {tiles: [core], TARGET}
  - read: {tiles: [core], inputs: INPUTS}
"""

PLACES = ["inputs", "matrix", "target", "map"]


def write_scenario(folder: Path, place: str, name: str) -> Path:
    """Write a scenario that names the file ``name`` in one place."""
    quoted = f'"{name}"'
    text = SCENARIO.replace("INPUTS", quoted if place == "inputs" else "[[1, 0]]")
    target = {"matrix": f"matrix: {quoted}", "target": f"conductance: {quoted}"}
    text = text.replace("TARGET", target.get(place, "matrix: [[1, 0], [0, 1]]"))
    text = text.replace("MAP", f", conductance: {quoted}" if place == "map" else "")
    file = folder / "rule.yaml"
    file.write_text(text)
    return file


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """A scenario's folder and the file outside of it that nobody may read."""
    inside, outside = tmp_path / "study", tmp_path / "study-secret"
    inside.mkdir()
    outside.mkdir()
    secret = outside / "secret.csv"
    secret.write_text("4e-6,4e-6\n4e-6,4e-6\n")
    (inside / "good.csv").write_text("4e-6,4e-6\n4e-6,4e-6\n")
    (inside / "sub").mkdir()
    (inside / "link.csv").symlink_to(secret)
    (inside / "relative.csv").symlink_to("../study-secret/secret.csv")
    (inside / "way").symlink_to(outside)
    (inside / "sub" / "chain.csv").symlink_to("../link.csv")
    (inside / "inner.csv").symlink_to("good.csv")
    return inside, secret


ATTACKS = {
    "absolute path": "{secret}",
    "absolute path of a file inside": "{inside}/good.csv",
    "parent": "../study-secret/secret.csv",
    "parent through a folder": "sub/../../study-secret/secret.csv",
    "parent through a folder that is not there": "nix/../../study-secret/secret.csv",
    "link": "link.csv",
    "relative link": "relative.csv",
    "link to a folder": "way/secret.csv",
    "link to a link": "sub/chain.csv",
    "parent behind a link": "way/../study-secret/secret.csv",
    "absolute path with dots": "{inside}/../study-secret/secret.csv",
    "link of the system": "/proc/self/cwd/rule.yaml",
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("attack", ATTACKS)
def test_way_out_is_refused(cli, folders: tuple[Path, Path], attack: str, place: str) -> None:
    inside, secret = folders
    name = ATTACKS[attack].format(secret=secret, inside=inside)
    answer = cli("check", write_scenario(inside, place, name))
    assert answer.code == 2
    assert f"'{name}' must lie in the scenario's folder" in answer.err
    assert answer.err.count("\n") == 1


@pytest.mark.parametrize("place", PLACES)
def test_what_lies_inside_is_read(cli, folders: tuple[Path, Path], place: str) -> None:
    inside, _ = folders
    for name in ("good.csv", "sub/../good.csv", "inner.csv"):
        assert cli("check", write_scenario(inside, place, name)).code == 0


@pytest.mark.parametrize("command", ["run", "validate", "netlist"])
def test_every_command_refuses_and_copies_nothing(cli, folders: tuple[Path, Path], command: str) -> None:
    inside, _ = folders
    out = inside.parent / "out"
    answer = cli(command, write_scenario(inside, "inputs", "link.csv"), "--out", out)
    assert answer.code == 2
    assert "'link.csv' must lie in the scenario's folder" in answer.err
    assert not out.exists()


def test_base_obeys_the_rule_too(cli, folders: tuple[Path, Path]) -> None:
    inside, secret = folders
    base = write_scenario(secret.parent, "inputs", "secret.csv")
    (inside / "base.yaml").symlink_to(base)
    for name in (str(base), "../study-secret/rule.yaml", "way/rule.yaml", "base.yaml"):
        file = inside / "derived.yaml"
        file.write_text(f'extends: "{name}"\nname: derived\n')
        answer = cli("check", file)
        assert answer.code == 2
        assert f"'{name}' must lie in the scenario's folder" in answer.err


def test_strange_files_inside_are_sentences(cli, folders: tuple[Path, Path]) -> None:
    inside, _ = folders
    os.mkfifo(inside / "pipe.csv")
    for name, words in (
        ("sub", "there is no file"),
        ("pipe.csv", "there is no file"),
        ("nix.csv", "there is no file"),
    ):
        answer = cli("check", write_scenario(inside, "inputs", name))
        assert answer.code == 2
        assert words in answer.err
