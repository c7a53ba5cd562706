"""Sums agree with each other and with the records; the same trace gives the same bytes."""

import json
import math
from pathlib import Path

import pytest

from cosim import records
from cosim.records import OperationRecord, Trace
from cosim.report import energy_totals, json_text, summarize
from cosim.report.totals import ExactSums

SCENARIO = {"name": "synthetic", "sha256": "ab" * 32}


def summary_of(trace):
    return summarize(trace, scenario=SCENARIO, seed=7)


def test_energy_sums_to_total_in_every_direction(trace):
    energy = summary_of(trace)["energy"]
    expected = math.fsum(row[5] for row in trace.energies)
    assert energy["total_j"] == pytest.approx(expected, rel=1e-14)
    for part in ("by_component_j", "by_kind_j"):
        assert math.fsum(energy[part].values()) == pytest.approx(energy["total_j"], rel=1e-14)
    operations = summary_of(trace)["operations"]
    assert math.fsum(row["energy_j"] for row in operations) == pytest.approx(energy["total_j"], rel=1e-14)


def test_component_and_kind_come_from_the_record(trace):
    energy = summary_of(trace)["energy"]
    adc = math.fsum(row[5] for row in trace.energies if row[3] == "adc")
    assert energy["by_component_j"]["adc"] == pytest.approx(adc, rel=1e-14)
    assert set(energy["by_kind_j"]) == {"convert", "read", "verify", "write"}
    assert list(energy["by_component_j"]) == sorted(energy["by_component_j"])


def test_balance_from_phase_columns(trace):
    balance = summary_of(trace)["energy"]["balance"]
    rows = list(trace.phases)
    assert balance["delivered_j"] == pytest.approx(math.fsum(row[7] for row in rows), rel=1e-14)
    assert balance["dissipated_j"] == pytest.approx(
        math.fsum(v for row in rows for v in row[9:13]), rel=1e-14
    )
    mismatch = sum(abs(value) for value in trace.phases.column("numerical_j").tolist())
    assert balance["relative_error"] == pytest.approx(mismatch / balance["delivered_j"])


def test_times_by_hand():
    trace = Trace()
    trace.capacities.update({"t.adc": 2, "t.idle": 1})
    trace.busy.append(records.BusyRecord("t.adc", 0, 0, "convert", 0, 0, 100))
    trace.busy.append(records.BusyRecord("t.adc", 1, 0, "convert", 0, 0, 100))
    trace.busy.append(records.BusyRecord("t.adc", 0, 0, "convert", 0, 100, 200))
    trace.end_fs = 400
    time = summary_of(trace)["time"]
    assert time["by_kind_s"] == {"convert": 300e-15}
    assert time["utilization"] == {"t.adc": 300 / 800, "t.idle": 0.0}
    assert time["waiting_s"] == {"t.adc": 100e-15, "t.idle": 0.0}
    assert (time["end_s"], time["phases"]) == (400e-15, 0)


def test_utilization_of_a_run_that_stopped_half_way_counts_what_was_done():
    trace = Trace()
    trace.capacities["t.adc"] = 1
    trace.busy.append(records.BusyRecord("t.adc", 0, 0, "convert", 0, 50, 150))
    trace.busy.append(records.BusyRecord("t.adc", 0, 0, "convert", 0, 150, 250))
    trace.end_fs = 100
    assert summary_of(trace)["time"]["utilization"] == {"t.adc": 0.5}


def test_checks_and_warnings(trace):
    summary = summary_of(trace)
    assert summary["checks"]["kcl_residual_relative"] == max(row[15] for row in trace.phases)
    assert summary["checks"]["bounds_violations"] == 0
    assert summary["warnings"] == ["a <sentence> with & in it"]


def test_operations_carry_their_details(trace):
    write, backend, read = summary_of(trace)["operations"]
    assert write["op"] == "write"
    assert write["cells"] == len(trace.outcomes)
    assert backend["energy_j"] == 0.0
    assert read["index"] == 2
    assert read["error"]["rms_relative"] == 0.02


def test_empty_trace():
    summary = summary_of(Trace())
    assert summary["energy"]["total_j"] == 0.0
    assert summary["energy"]["balance"]["relative_error"] == 0.0
    assert summary["time"]["utilization"] == {}


def test_same_trace_same_bytes(make, tmp_path, monkeypatch):
    first = json_text(summary_of(make(seed=3)))
    assert json_text(summary_of(make(seed=3))) == first
    monkeypatch.setattr(records, "BLOCK_ROWS", 64)
    blocks = make(seed=3, folder=tmp_path / "blocks")
    assert list((tmp_path / "blocks").iterdir())
    assert json_text(summary_of(blocks)) == first


def test_numbers_that_json_lacks_become_null():
    trace = Trace()
    trace.operations.append(
        OperationRecord(0, "read", "t", 0, 1, {"error": {"rms": math.nan}, "shape": (2, 3)})
    )
    operation = json.loads(json_text(summary_of(trace)))["operations"][0]
    assert operation["error"] == {"rms": None}
    assert operation["shape"] == [2, 3]


def test_exact_sums_survive_collapsing(monkeypatch):
    monkeypatch.setattr("cosim.report.totals._HELD_ROWS", 8)
    sums: ExactSums[str] = ExactSums()
    for value in [1e16, 1.0, -1e16] * 101:
        sums.add("key", [value])
    assert sums.result() == {"key": 101.0}


def test_energy_of_no_phase_is_booked_at_a_phase_of_its_tile(trace):
    totals = energy_totals(trace)
    assert math.fsum(totals.booked) == pytest.approx(totals.total, rel=1e-12)
    assert math.fsum(totals.phase) < totals.total


def test_files_are_whole_or_absent(tmp_path: Path):
    from cosim.report.files import whole_file

    target = tmp_path / "a.txt"
    target.write_text("old")

    def fail():
        with whole_file(target) as stream:
            stream.write("half")
            raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        fail()
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
    assert target.read_text() == "old"
