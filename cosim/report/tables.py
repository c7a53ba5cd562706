"""``tables/*.csv``: every table of the trace, operations, and the energy breakdown with its formulas.

Times are seconds in exact decimal text, other floats the shortest text that reads back to the same float.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cosim.records import Table, Trace
from cosim.report.files import decimal_seconds, require, whole_file, whole_path
from cosim.report.totals import EnergyTotals, energy_totals
from cosim.units import FEMTOSECONDS_PER_SECOND

if TYPE_CHECKING:
    import pandas as pd

_CHUNK = 1024
_FEW, _MANY = 1 << 12, 1 << 16
_NO_FORMULA = ("", "", "")
_FORMULA = ("expression", "inputs", "source")
_MAPS = "cells-"
_DERIVED = ("operations", "energy_breakdown", "resources", "area", "cell_energy", "cell_wear")
Convert = Callable[[Any], str]


@dataclass(frozen=True, slots=True, eq=False)
class DerivedTable:
    """A table that is made of more than one kind of records, or of arrays: ``rows`` of ``fields``; ``*_fs`` are times [fs]."""

    name: str
    fields: tuple[str, ...]
    rows: Sequence[tuple[Any, ...]]

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        return iter(self.rows)

    def frame(self) -> pd.DataFrame:
        """Return the table as a pandas frame; a time becomes whole seconds (``*_s``) and femtoseconds within (``*_fs``)."""
        import pandas as pd

        columns: dict[str, Any] = {}
        for position, field in enumerate(self.fields):
            values = [row[position] for row in self.rows]
            if field.endswith("_fs"):
                columns[field[:-3] + "_s"] = [value // FEMTOSECONDS_PER_SECOND for value in values]
                values = [value % FEMTOSECONDS_PER_SECOND for value in values]
            columns[field] = values
        return pd.DataFrame(columns)


def write_tables(
    folder: Path, trace: Trace, *, totals: EnergyTotals | None = None, parquet: bool = False
) -> None:
    """Write the tables of a trace to ``folder``; an empty one is left out, except for ``pulses.csv``.

    ``parquet`` writes a Parquet file beside each. Tables of an earlier run that this one does not have are removed. Raises
    `InputError` where Parquet is asked for without pyarrow.
    """
    if parquet:
        require_parquet()
    totals = totals or energy_totals(trace)
    number = _remembered(str, _FEW if len(trace.phases) > _FEW else _MANY)
    written = set()
    tables: list[Table | DerivedTable] = [
        table for table in trace.tables if len(table) or table is trace.pulses
    ]
    for table in (*tables, *derived(trace, totals)):
        _write(folder / f"{table.name}.csv", table, number)
        written.add(f"{table.name}.csv")
        if parquet:
            _write_parquet(folder / f"{table.name}.parquet", table)
            written.add(f"{table.name}.parquet")
    for path in _of_runs(folder, trace):
        if path.name not in written:
            path.unlink()


def _of_runs(folder: Path, trace: Trace) -> Iterator[Path]:
    """Yield the tables in a folder that a run has written."""
    names = {*(table.name for table in trace.tables), *_DERIVED}
    for path in sorted(folder.iterdir()):
        known = path.stem in names or path.stem.startswith(_MAPS)
        if known and path.suffix in (".csv", ".parquet"):
            yield path


def derived(trace: Trace, totals: EnergyTotals) -> Iterator[DerivedTable]:
    """Yield the tables that are no tables of records; one without rows is left out, except for the first two."""
    operations = ("operation", "op", "target", "start_fs", "end_fs", "energy_j")
    yield DerivedTable("operations", operations, list(_operations(trace, totals)))
    parts = ("operation", "component", "kind", "energy_j", "formula", *_FORMULA)
    yield DerivedTable("energy_breakdown", parts, list(breakdown(trace, totals)))
    if trace.capacities:
        yield DerivedTable("resources", ("resource", "units"), sorted(trace.capacities.items()))
    if trace.areas:
        fields = ("tile", "component", "units", "area_m2", *_FORMULA)
        yield DerivedTable("area", fields, [(*record[:-1], *record.formula) for record in trace.areas])
    if trace.cell_energies:
        spent = {tile: {"energy_j": energy} for tile, energy in trace.cell_energies.items()}
        yield _cells("cell_energy", spent)
    if trace.cell_wear:
        wear = {tile: {"pulses": p, "cycles": c} for tile, (p, c) in trace.cell_wear.items()}
        yield _cells("cell_wear", wear)
    for tile, maps in sorted(trace.maps.items()):
        yield DerivedTable(f"{_MAPS}{tile}", ("row", "column", *maps), list(_cell_rows(maps)))


def _cells(name: str, cells: Mapping[str, Mapping[str, Any]]) -> DerivedTable:
    """Return a table with a row for each device of each tile; arrays ``(rows, columns)`` by the names of their columns."""
    fields = ("tile", "row", "column", *next(iter(cells.values())))
    return DerivedTable(
        name, fields, [(tile, *row) for tile in sorted(cells) for row in _cell_rows(cells[tile])]
    )


def _cell_rows(maps: Mapping[str, NDArray[Any]]) -> Iterator[tuple[Any, ...]]:
    """Yield row, column and the values of each device of an array."""
    places = np.indices(next(iter(maps.values())).shape)
    return zip(*(array.ravel().tolist() for array in (*places, *maps.values())), strict=True)


def _operations(trace: Trace, totals: EnergyTotals) -> Iterator[tuple[Any, ...]]:
    energy = totals.by_operation()
    for record in trace.operations:
        yield (
            record.operation, record.op, record.target, record.start_fs, record.end_fs, energy.get(record.operation, 0.0),
        )  # fmt: skip


def breakdown(trace: Trace, totals: EnergyTotals) -> Iterator[tuple[Any, ...]]:
    """Yield the energy sums by operation, component and kind, each with how it was computed."""
    for (operation, component, kind, key), energy in totals.groups.items():
        yield operation, component, kind, energy, key, *trace.formulas.get(key, _NO_FORMULA)


def _write(path: Path, table: Table | DerivedTable, number: Convert) -> None:
    """Write a table as CSV; names of times end in ``_s``."""
    names = [field[:-3] + "_s" if field.endswith("_fs") else field for field in table.fields]
    with whole_file(path) as stream:
        stream.write(",".join(map(_quoted, names)) + "\n")
        stream.writelines(_lines(table, number))


def _lines(table: Table | DerivedTable, number: Convert) -> Iterator[str]:
    """Yield the rows of a table as CSV text, several thousand at a time; times as exact decimal text.

    ``number`` makes the text of a float: one that remembers saves half of the time, since the energies of
    phases stand in two tables.
    """
    rows = iter(table)
    converters: list[Convert] = []
    while chunk := list(islice(rows, _CHUNK)):
        converters = converters or [
            _converter(field, value, number) for field, value in zip(table.fields, chunk[0], strict=True)
        ]
        columns = zip(*chunk, strict=True)
        texts = [map(convert, column) for convert, column in zip(converters, columns, strict=True)]
        yield "\n".join(map(",".join, zip(*texts, strict=True))) + "\n"


def _remembered(convert: Convert, most: int) -> Convert:
    return lru_cache(maxsize=most)(convert)


def _converter(field: str, value: Any, number: Convert) -> Convert:
    """Return what makes CSV text of the values of a field."""
    if field.endswith("_fs"):
        return decimal_seconds
    if isinstance(value, str):
        return _remembered(_quoted, _FEW)
    return number if isinstance(value, float) else str


def _quoted(text: str) -> str:
    if any(mark in text for mark in ',"\r\n'):
        return '"' + text.replace('"', '""') + '"'
    return text


def require_parquet() -> None:
    """Raise `InputError` where pyarrow is not installed."""
    require("pyarrow", "parquet", "Parquet tables need")


def _write_parquet(path: Path, table: Table | DerivedTable) -> None:
    with whole_path(path) as part:
        table.frame().to_parquet(part, index=False)
