"""A resolved scenario names every default and gives the same run again."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

import cosim
from cosim.scenario.resolved import copied_names, resolved_yaml

ALL = sorted((Path(__file__).parents[2] / "scenarios").glob("*.yaml"))


@pytest.mark.parametrize("file", ALL, ids=lambda file: file.stem)
def test_it_loads_again_to_the_same_values(file: Path, tmp_path: Path) -> None:
    first = cosim.load(file)
    (tmp_path / "again.yaml").write_text(resolved_yaml(first))
    again = cosim.load(tmp_path / "again.yaml")
    assert resolved_yaml(again, folder="inputs").count("\n") == resolved_yaml(first).count("\n")
    if first.section.ktram is not None:
        assert first.section.ktram == again.section.ktram
        return
    one, other = first.hardware, again.hardware
    for part in ("array", "cell", "dac", "adc", "driver", "sense", "sequencer", "temperature"):
        assert getattr(one, part) == getattr(other, part), part
    assert dataclasses.asdict(one.device) == dataclasses.asdict(other.device)  # type: ignore[call-overload]
    assert first.section.program[0].write == again.section.program[0].write or first.files()
    assert first.section.spice == again.section.spice
    assert first.section.validation == again.section.validation


def test_a_saved_run_runs_again_to_the_same_bytes(tmp_path: Path, scenarios: Path) -> None:
    """The result folder holds the scenario and its files: run from there, the tables are the same."""
    first = cosim.run(cosim.load(scenarios / "half_select.yaml"))
    first.save(tmp_path / "a")
    again = cosim.run(cosim.load(tmp_path / "a" / "scenario.resolved.yaml"))
    again.save(tmp_path / "b")
    for table in sorted((tmp_path / "a" / "tables").iterdir()):
        assert (tmp_path / "b" / "tables" / table.name).read_bytes() == table.read_bytes(), table.name


def test_every_data_file_has_a_copy_of_its_own() -> None:
    names = ["data/a.csv", "data_a.csv", "data/a.csv", "b.csv"]
    copies = copied_names(names)
    assert copies == {"data/a.csv": "data_a.csv", "data_a.csv": "2_data_a.csv", "b.csv": "b.csv"}
    again = copied_names(f"inputs/{copies[name]}" for name in names)
    assert list(again.values()) == list(copies.values())


def test_data_files_are_named_as_copies(scenarios: Path) -> None:
    text = resolved_yaml(cosim.load(scenarios / "quickstart.yaml"))
    assert "inputs/data_dct8.csv" in text
    assert "word_line: 2.5 ohm" in text
    assert "window: 2 %" in text or "window: 2.00 %" in text
    assert "sample_energy" in text
