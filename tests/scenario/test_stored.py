"""Result folders: read back as the trace that wrote them, compared, their page written anew."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from cosim.errors import InputError
from cosim.report.stored import read_trace
from cosim.scenario.load import load
from cosim.scenario.run import Result, run
from cosim.scenario.stored import compare_folders, read_folder

ROOT = Path(__file__).parents[2]


@pytest.fixture
def saved(quickstart: tuple[Result, Path]) -> tuple[Result, Path]:
    return quickstart


def test_the_trace_is_read_back(saved: tuple[Result, Path]) -> None:
    result, folder = saved
    trace = read_trace(folder / "tables", result.summary)
    for own, read in zip(result.trace.tables, trace.tables, strict=True):
        assert len(own) == len(read)
        for one, other in zip(own, read, strict=True):
            np.testing.assert_equal(tuple(other), tuple(one))
    assert len(trace.pulses) == result.summary["operations"][0]["pulses"]
    for name in ("capacities", "areas", "warnings", "end_fs"):
        assert getattr(trace, name) == getattr(result.trace, name), name
    assert [row[:5] for row in trace.operations] == [row[:5] for row in result.trace.operations]
    used = {row[6] for row in trace.energies}
    assert {key: trace.formulas[key] for key in used} == {key: result.trace.formulas[key] for key in used}
    np.testing.assert_equal(trace.cell_energies, result.trace.cell_energies)
    np.testing.assert_equal(trace.maps, result.trace.maps)


def test_the_page_is_written_anew(saved: tuple[Result, Path], cli) -> None:
    _, folder = saved
    page = (folder / "report.html").read_text()
    (folder / "report.html").unlink()
    answer = cli("report", folder)
    assert answer == (0, f"report: {folder / 'report.html'}\n", "")
    assert (folder / "report.html").read_text() == page


def test_compare(tmp_path: Path, cli) -> None:
    file = ROOT / "tests" / "scenario" / "malformed" / "base.yaml"
    folder = run(load(file)).save(tmp_path / "one")
    other = run(load(file, ["hardware.adc.bits=4"])).save(tmp_path / "other")
    content = compare_folders(folder, other)
    assert content["scenario"] == [{"key": "hardware.adc.bits", "first": 8, "second": 4}]
    figures = {row["figure"]: row for row in content["figures"]}
    one, two = (read_folder(each).summary for each in (folder, other))
    assert figures["energy"]["first"] == one["energy"]["total_j"]
    assert figures["energy"]["second"] == two["energy"]["total_j"]
    assert figures["energy"]["ratio"] == two["energy"]["total_j"] / one["energy"]["total_j"]
    assert (
        figures["operation 1 (read) error, rms"]["second"] > figures["operation 1 (read) error, rms"]["first"]
    )
    answer = cli("compare", folder, other)
    assert answer.code == 0
    assert "scenario   hardware.adc.bits: 8 -> 4" in answer.out.splitlines()
    assert json.loads(cli("compare", folder, other, "--json").out) == content
    same = cli("compare", folder, folder).out.splitlines()
    assert same[2] == "scenario   the same"
    assert len(same) == 4
    assert same[3].endswith("figures are the same")


def test_what_is_no_folder_of_a_run(saved: tuple[Result, Path], tmp_path: Path, cli) -> None:
    _, folder = saved
    missing = tmp_path / "nothing"
    assert (
        cli("report", missing).err == f"{missing}: there is no such folder; give the result folder of a run\n"
    )
    answer = cli("compare", folder, tmp_path)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err == (
        f"{tmp_path}: is no result folder of a run, since it has no readable summary.json; give one that 'cosim run' wrote\n"
    )
    (tmp_path / "summary.json").write_text("{")
    assert "is not the JSON that a run writes" in cli("report", tmp_path).err
    (tmp_path / "summary.json").write_text('{"schema_version": 9}')
    assert "must have schema_version 1" in cli("report", tmp_path).err


def test_a_spoilt_table(saved: tuple[Result, Path], tmp_path: Path) -> None:
    result, _ = saved
    (tmp_path / "phases.csv").write_text("phase,operation\nx,0\n")
    with pytest.raises(InputError, match=r"phases\.csv: is not the table that this version writes"):
        read_trace(tmp_path, result.summary)
