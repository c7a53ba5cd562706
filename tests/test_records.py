"""Tables of records: columnar blocks, exact event times, blocks on disk."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from cosim import records
from cosim.errors import InputError
from cosim.records import BusyRecord, EnergyRecord, Formula, Table, Trace

YEAR_FS = 31_557_600 * 10**15


def busy(k: int) -> BusyRecord:
    return BusyRecord("t.adc", k % 2, 0, "convert", k, k * YEAR_FS + 1, k * YEAR_FS + 7)


@pytest.mark.parametrize("on_disk", [False, True])
def test_blocks(on_disk: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "BLOCK_ROWS", 4)
    table = Table("busy", BusyRecord, tmp_path if on_disk else None)
    rows = [busy(k) for k in range(10)]
    for row in rows:
        table.append(row)
    assert len(table) == 10
    assert list(table) == [tuple(row) for row in rows]
    assert table.column("unit").tolist() == [k % 2 for k in range(10)]
    assert [int(start) for start in table.column("start_fs")] == [row.start_fs for row in rows]
    assert len(list(tmp_path.glob("busy-*.npz"))) == (2 if on_disk else 0)


def test_times_beyond_an_int64_are_exact() -> None:
    table = Table("busy", BusyRecord, None)
    table.append(busy(1000))
    frame = table.frame()
    assert list(frame.columns) == [
        "resource", "unit", "operation", "kind", "asked_s", "asked_fs", "start_s", "start_fs", "end_s", "end_fs",
        "jobs", "units",
    ]  # fmt: skip
    assert frame["start_s"].dtype == np.int64
    assert int(frame["start_s"][0]) * 10**15 + int(frame["start_fs"][0]) == 1000 * YEAR_FS + 1


def test_an_empty_table_has_its_columns() -> None:
    table = Table("energies", EnergyRecord, None)
    assert list(table) == []
    assert len(table.column("energy_j")) == 0
    assert list(table.frame().columns) == list(EnergyRecord._fields)


def test_frame_over_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "BLOCK_ROWS", 3)
    table = Table("energies", EnergyRecord, None)
    for k in range(7):
        table.append(EnergyRecord(0, k, "t", "adc", "read", 0.5 * k, "t/adc"))
    frame = table.frame()
    assert frame["energy_j"].tolist() == [0.5 * k for k in range(7)]
    assert frame.index.tolist() == list(range(7))


def test_memory_does_not_grow_with_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "BLOCK_ROWS", 100)
    table = Table("energies", EnergyRecord, tmp_path)
    for k in range(1050):
        table.append(EnergyRecord(0, k, "t", "adc", "read", 1.0, "t/adc"))
    assert len(table._rows) == 50
    assert all(isinstance(block, Path) for block in table._blocks)
    assert sum(row[5] for row in table) == 1050


def test_trace() -> None:
    trace = Trace()
    trace.energy(0, -1, "t", "adc", "read", 1e-12, "t/adc")
    trace.warn("something saturated")
    trace.warn("something saturated")
    trace.formulas["t/adc"] = Formula("a", "b", "c")
    assert trace.warnings == ["something saturated"]
    assert {table.name for table in trace.tables} == {
        "phases", "energies", "busy", "pulses", "outcomes", "conversions", "values", "instructions",
        "bits",
    }  # fmt: skip
    assert trace.frame("energies")["energy_j"].tolist() == [1e-12]
    assert len(trace.frame()) == 0
    assert json.loads(trace.formulas_json()) == {"t/adc": {"expression": "a", "inputs": "b", "source": "c"}}


def test_records_are_frozen() -> None:
    with pytest.raises(AttributeError):
        busy(1).unit = 3  # type: ignore[misc]


def test_a_table_that_there_is_not() -> None:
    with pytest.raises(
        InputError, match=r"^there is no table 'nothing' in a trace; there are phases, energies, busy"
    ):
        Trace().frame("nothing")
