"""The trace of an earlier run, read back from the tables of its folder."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_type_hints

import numpy as np
from numpy.typing import NDArray

from cosim.errors import InputError
from cosim.records import AreaRecord, Formula, OperationRecord, Table, Trace
from cosim.units import FEMTOSECONDS_PER_SECOND, femtoseconds

_OWN = ("index", "op", "target", "start_s", "end_s", "energy_j")


def read_trace(tables: Path, summary: Mapping[str, Any]) -> Trace:
    """Return the trace that the CSV files in ``tables`` and the summary of a run hold.

    ``works`` is not kept in a folder and stays empty. Raises `InputError` for a file that is not what a run writes.
    """
    trace = Trace()
    for table in trace.tables:
        _fill(table, tables / f"{table.name}.csv")
    for row in _rows(tables / "energy_breakdown.csv"):
        trace.formulas[row["formula"]] = Formula(row["expression"], row["inputs"], row["source"])
    trace.capacities = {row["resource"]: int(row["units"]) for row in _rows(tables / "resources.csv")}
    details = {entry["index"]: entry for entry in summary["operations"]}
    for row in _rows(tables / "operations.csv"):
        own = details.get(int(row["operation"]), {})
        trace.operations.append(
            OperationRecord(
                int(row["operation"]), row["op"], row["target"], time_fs(row["start_s"]), time_fs(row["end_s"]),
                {key: value for key, value in own.items() if key not in _OWN},
            )
        )  # fmt: skip
    trace.areas = [
        AreaRecord(
            row["tile"], row["component"], int(row["units"]), float(row["area_m2"]),
            Formula(row["expression"], row["inputs"], row["source"]),
        )
        for row in _rows(tables / "area.csv")
    ]  # fmt: skip
    _fill_cells(trace, tables / "cell_energy.csv")
    for path in sorted(tables.glob("cells-*.csv")):
        trace.maps[path.stem.removeprefix("cells-")] = _maps(path)
    trace.warnings = list(summary["warnings"])
    trace.end_fs = femtoseconds(summary["time"]["end_s"])
    return trace


def time_fs(text: str) -> int:
    """Return the exact decimal text of seconds as integer femtoseconds."""
    whole, _, part = text.partition(".")
    return int(whole) * FEMTOSECONDS_PER_SECOND + int(part.ljust(15, "0")[:15] or 0)


def _rows(path: Path) -> Iterator[dict[str, str]]:
    """Yield the rows of a CSV file by column name; none where there is no such file."""
    if path.is_file():
        with path.open(encoding="utf-8", newline="") as stream:
            yield from csv.DictReader(stream)


def _fill(table: Table, path: Path) -> None:
    hints = get_type_hints(table.record)
    readers: dict[type, Any] = {int: int, float: float, str: str, bool: "True".__eq__}
    columns = [
        (field[:-3] + "_s", time_fs) if field.endswith("_fs") else (field, readers[hints[field]])
        for field in table.fields
    ]
    try:
        for row in _rows(path):
            table.append(tuple(read(row[name]) for name, read in columns))
    except (KeyError, ValueError, TypeError) as error:
        raise InputError(
            f"{path}: is not the table that this version writes ({error}); run the scenario again"
        ) from None


def _maps(path: Path) -> dict[str, NDArray[np.float64]]:
    rows = list(_rows(path))
    shape = (int(rows[-1]["row"]) + 1, int(rows[-1]["column"]) + 1)
    names = [name for name in rows[0] if name not in ("row", "column")]
    return {name: np.array([float(row[name]) for row in rows]).reshape(shape) for name in names}


def _fill_cells(trace: Trace, path: Path) -> None:
    cells: dict[str, dict[tuple[int, int], float]] = {}
    for row in _rows(path):
        cells.setdefault(row["tile"], {})[int(row["row"]), int(row["column"])] = float(row["energy_j"])
    for tile, values in cells.items():
        shape = (max(row for row, _ in values) + 1, max(column for _, column in values) + 1)
        energy = np.zeros(shape)
        for place, value in values.items():
            energy[place] = value
        trace.cell_energies[tile] = energy
