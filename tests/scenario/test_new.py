"""The templates of ``cosim new``: they run as they are, and an existing file is kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from cosim.scenario.load import load
from cosim.scenario.run import run


def test_the_array_template_runs_and_every_key_is_commented(cli, tmp_path: Path) -> None:
    file = tmp_path / "my-first.yaml"
    assert cli("new", file).code == 0
    assert cli("check", file) == (0, f"{file}: good\n", "")
    result = run(load(file))
    write, read = result.summary["operations"]
    assert result.scenario.name == "my_first"
    assert write["converged"] == write["cells"] == 32
    assert read["error"]["rms_relative"] < 0.05
    assert file.read_text().count("#") > 20


@pytest.mark.ngspice
def test_the_array_template_agrees_with_ngspice(cli, tmp_path: Path) -> None:
    assert cli("new", tmp_path / "first.yaml").code == 0
    answer = cli("validate", tmp_path / "first.yaml", "--out", tmp_path / "out")
    assert answer.code == 0, answer.err
    assert "cross-check        passed" in answer.out


def test_the_ktram_template_learns(cli, tmp_path: Path) -> None:
    assert cli("new", tmp_path / "kt.yaml", "--kind", "ktram").code == 0
    result = run(load(tmp_path / "kt.yaml"))
    assert len(result.summary["operations"]) == 4


def test_refusals(cli, tmp_path: Path) -> None:
    file = tmp_path / "first.yaml"
    file.write_text("mine")
    answer = cli("new", file)
    assert (answer.code, answer.err) == (2, f"{file}: is there already; give another name or remove it\n")
    assert file.read_text() == "mine"
    assert (
        cli("new", tmp_path / "b.yaml", "--kind", "x").err == "--kind must be one of array, ktram, not 'x'\n"
    )
    assert "must begin with a letter" in cli("new", tmp_path / "1.yaml").err
    assert "ends in .yaml" in cli("new", tmp_path / "a.txt").err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["first.yaml"]
