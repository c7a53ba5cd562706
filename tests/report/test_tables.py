"""CSV files read back to the records, in exact decimal time."""

import csv
import math
from decimal import Decimal

import numpy as np
import pytest

from cosim import records
from cosim.records import BitRecord, OperationRecord, PhaseRecord, TimedInstruction, Trace
from cosim.report.files import decimal_seconds
from cosim.report.tables import derived, write_tables
from cosim.report.totals import energy_totals


def read(path):
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_every_table_reads_back(trace, tmp_path):
    trace.bits.append(BitRecord(2, "positive", 0, 1, 1, 0, 1e-6, -0.05))
    trace.instructions.append(TimedInstruction(2, 3, "FF", 10, 14, 2 * 10**16, 24, 5, 0.25, 1e-12))
    write_tables(tmp_path, trace)
    for table in trace.tables:
        rows = read(tmp_path / f"{table.name}.csv")
        assert len(rows) == len(table)
        for row, record in zip(rows, table, strict=True):
            for field, value in zip(table.fields, record, strict=True):
                if field.endswith("_fs"):
                    assert Decimal(row[field[:-3] + "_s"]) == Decimal(value).scaleb(-15)
                elif isinstance(value, float):
                    assert float(row[field]) == pytest.approx(value, rel=0, abs=0, nan_ok=True)
                else:
                    assert row[field] == str(value)


def test_empty_tables_are_left_out_and_pulses_keep_their_header(tmp_path):
    (tmp_path / "values.csv").write_text("of an older run")
    write_tables(tmp_path, Trace())
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "energy_breakdown.csv", "operations.csv", "pulses.csv",
    ]  # fmt: skip
    assert (tmp_path / "pulses.csv").read_text().startswith("operation,phase,start_s,tile,row,column,line,")


def test_tables_of_an_earlier_run_are_removed_and_other_files_are_kept(trace, tmp_path):
    trace.cell_wear["positive"] = np.ones((2, 2), dtype=np.int64), np.ones((2, 2))
    trace.maps["positive"] = {"before_s": np.ones((2, 2))}
    write_tables(tmp_path, trace)
    (tmp_path / "mine.csv").write_text("of a person")
    (tmp_path / "phases.parquet").write_text("of an earlier run")
    assert {"cell_wear.csv", "cells-positive.csv", "values.csv"} <= {path.name for path in tmp_path.iterdir()}
    write_tables(tmp_path, Trace())
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "energy_breakdown.csv", "mine.csv", "operations.csv", "pulses.csv",
    ]  # fmt: skip


def test_derived_tables_as_frames(trace):
    trace.operations.append(OperationRecord(9, "wait", "", 2 * 10**15, 10**22 + 7, {}))
    frames = {table.name: table.frame() for table in derived(trace, energy_totals(trace))}
    last = frames["operations"].iloc[-1]
    assert (last["start_s"], last["start_fs"], last["end_s"], last["end_fs"]) == (2, 0, 10**7, 7)
    assert frames["energy_breakdown"]["energy_j"].sum() == pytest.approx(
        sum(row[5] for row in trace.energies)
    )
    assert not len(next(iter(derived(Trace(), energy_totals(Trace())))).frame())


def test_parquet_of_empty_tables_and_of_long_times(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    trace = Trace()
    trace.operations.append(OperationRecord(9, "wait", "", 2 * 10**15, 10**22 + 7, {}))
    write_tables(tmp_path, trace, parquet=True)
    assert parquet.read_table(tmp_path / "pulses.parquet").num_rows == 0
    (operation,) = parquet.read_table(tmp_path / "operations.parquet").to_pylist()
    assert (operation["end_s"], operation["end_fs"]) == (10**7, 7)


def test_breakdown_has_formulas_and_the_whole_energy(trace, tmp_path):
    write_tables(tmp_path, trace)
    rows = read(tmp_path / "energy_breakdown.csv")
    total = math.fsum(row[5] for row in trace.energies)
    assert math.fsum(float(row["energy_j"]) for row in rows) == pytest.approx(total, rel=1e-14)
    cells = next(row for row in rows if row["component"] == "cells")
    assert cells["source"] == "the network & its equations"
    assert {row["formula"] for row in rows} >= {"positive/adc", "negative/adc", "cells"}


def test_same_bytes_twice_and_from_blocks(make, tmp_path, monkeypatch):
    write_tables(tmp_path / "a", make(seed=5))
    monkeypatch.setattr(records, "BLOCK_ROWS", 50)
    write_tables(tmp_path / "b", make(seed=5, folder=tmp_path / "blocks"))
    names = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert names == sorted(path.name for path in (tmp_path / "b").iterdir())
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


@pytest.mark.parametrize(
    ("time_fs", "text"),
    [
        (0, "0"),
        (123 * 10**6, "0.000000123"),
        (1, "1e-15"),
        (10**15, "1"),
        (3 * 10**22 + 7, "30000000.000000000000007"),
    ],
)
def test_decimal_seconds_are_exact(time_fs, text):
    assert Decimal(decimal_seconds(time_fs)) == Decimal(text)


def test_text_with_commas_and_quotes_is_quoted(tmp_path):
    trace = Trace()
    odd = 'a "b", c\nd'
    trace.phases.append(PhaseRecord(0, 0, odd, "read", "x", 0, 1, *[0.0] * 9, 0, "", ""))
    write_tables(tmp_path, trace)
    assert read(tmp_path / "phases.csv")[0]["tile"] == odd


def test_parquet_tables_equal_the_csv_ones(quickstart, tmp_path):
    """Every value of every table; pyarrow is no development tool (170 MB), so this runs where it is installed."""
    pytest.importorskip("pyarrow")
    import pandas as pd

    trace = quickstart[0].trace
    write_tables(tmp_path, trace, parquet=True)
    stored = {path.stem: pd.read_parquet(path) for path in tmp_path.glob("*.parquet")}
    assert set(stored) == {path.stem for path in tmp_path.glob("*.csv")}
    for name, frame in stored.items():
        rows = read(tmp_path / f"{name}.csv")
        assert len(frame) == len(rows) > 0
        assert {field for field in frame if not field.endswith("_fs")} == set(rows[0])
        for field in rows[0]:
            texts = [row[field] for row in rows]
            values = frame[field].tolist()
            if (within := field.removesuffix("_s") + "_fs") in frame:
                pairs = zip(values, frame[within].tolist(), strict=True)
                assert [Decimal(text) for text in texts] == [s + Decimal(fs).scaleb(-15) for s, fs in pairs]
            else:
                assert [str(value) for value in values] == texts, (name, field)


def test_parquet_without_pyarrow_is_refused(cli, tmp_path, monkeypatch):
    """Before anything is run."""
    import importlib.util

    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "pyarrow" else find(name))
    answer = cli("run", "scenarios/quickstart.yaml", "--parquet", "--out", tmp_path / "out")
    assert answer.code == 2
    assert answer.err == (
        "Parquet tables need pyarrow, which is not installed; install it with: pip install 'cosim-crossbar[parquet]'\n"
    )
    assert not (tmp_path / "out").exists()
