"""``tables/*.csv``: every table of the trace, operations, and the energy breakdown with its formulas.

Times are seconds in exact decimal text, other floats the shortest text that reads back to the same float.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cosim.records import Table, Trace
from cosim.report.files import decimal_seconds, require, whole_file, whole_path
from cosim.report.totals import EnergyTotals, energy_totals

_CHUNK = 1024
_FEW, _MANY = 1 << 12, 1 << 16
_NO_FORMULA = ("", "", "")
OPERATION_FIELDS = ("operation", "op", "target", "start_s", "end_s", "energy_j")
AREA_FIELDS = ("tile", "component", "units", "area_m2", "expression", "inputs", "source")
RESOURCE_FIELDS = ("resource", "units")
CELL_FIELDS = ("tile", "row", "column", "energy_j")
WEAR_FIELDS = ("tile", "row", "column", "pulses", "cycles")
BREAKDOWN_FIELDS = ("operation", "component", "kind", "energy_j", "formula", "expression", "inputs", "source")


def write_tables(
    folder: Path, trace: Trace, *, totals: EnergyTotals | None = None, parquet: bool = False
) -> None:
    """Write the tables of a trace to ``folder``; an empty one is left out, except for ``pulses.csv``.

    ``parquet`` writes a Parquet file beside each table of records. Raises `InputError` where it is asked for without pyarrow.
    """
    if parquet:
        require_parquet()
    totals = totals or energy_totals(trace)
    number = _remembered(str, _FEW if len(trace.phases) > _FEW else _MANY)
    for table in trace.tables:
        path = folder / f"{table.name}.csv"
        if len(table) or table is trace.pulses:
            _write(path, header(table), lines(table, number))
        else:
            path.unlink(missing_ok=True)
    _write(folder / "operations.csv", OPERATION_FIELDS, map(_line, _operations(trace, totals)))
    _write(folder / "energy_breakdown.csv", BREAKDOWN_FIELDS, map(_line, breakdown(trace, totals)))
    if trace.capacities:
        _write(folder / "resources.csv", RESOURCE_FIELDS, map(_line, sorted(trace.capacities.items())))
    if trace.areas:
        _write(folder / "area.csv", AREA_FIELDS, map(_line, _areas(trace)))
    if trace.cell_energies:
        _write(folder / "cell_energy.csv", CELL_FIELDS, _cell_lines(trace))
    for old in folder.glob("cells-*.csv"):
        old.unlink()
    for tile, maps in sorted(trace.maps.items()):
        _write(folder / f"cells-{tile}.csv", ("row", "column", *maps), _map_lines(maps))
    if trace.cell_wear:
        _write(folder / "cell_wear.csv", WEAR_FIELDS, _wear_lines(trace))
    if parquet:
        for table in trace.tables:
            if len(table):
                _write_parquet(folder / f"{table.name}.parquet", table)


def header(table: Table) -> tuple[str, ...]:
    """Return the column names of a table as its CSV has them: times end in ``_s``."""
    return tuple(field[:-3] + "_s" if field.endswith("_fs") else field for field in table.fields)


def lines(table: Table, number: Callable[[float], str] = str) -> Iterator[str]:
    """Yield the rows of a table as CSV text, several thousand at a time; times as exact decimal text.

    ``number`` makes the text of a float: one that remembers saves half of the time, since the energies of
    phases stand in two tables.
    """
    rows = iter(table)
    converters: list[Callable[[Any], str]] = []
    while chunk := list(islice(rows, _CHUNK)):
        converters = converters or [
            _converter(field, value, number) for field, value in zip(table.fields, chunk[0], strict=True)
        ]
        columns = zip(*chunk, strict=True)
        texts = [map(convert, column) for convert, column in zip(converters, columns, strict=True)]
        yield "\n".join(map(",".join, zip(*texts, strict=True))) + "\n"


def _remembered(convert: Callable[[Any], str], most: int) -> Callable[[Any], str]:
    return lru_cache(maxsize=most)(convert)


def _converter(field: str, value: Any, number: Callable[[float], str]) -> Callable[[Any], str]:
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


def breakdown(trace: Trace, totals: EnergyTotals) -> Iterator[tuple[Any, ...]]:
    """Yield the energy sums by operation, component and kind, each with how it was computed."""
    for (operation, component, kind, key), energy in totals.groups.items():
        yield operation, component, kind, energy, key, *trace.formulas.get(key, _NO_FORMULA)


def _operations(trace: Trace, totals: EnergyTotals) -> Iterator[tuple[Any, ...]]:
    energy = totals.by_operation()
    for record in trace.operations:
        start, end = decimal_seconds(record.start_fs), decimal_seconds(record.end_fs)
        yield record.operation, record.op, record.target, start, end, energy.get(record.operation, 0.0)


def _areas(trace: Trace) -> Iterator[tuple[Any, ...]]:
    for record in trace.areas:
        yield *record[:-1], *record.formula


def _cell_lines(trace: Trace) -> Iterator[str]:
    """Yield the energy of every device as CSV text, a row of the array at a time."""
    for tile, energy in sorted(trace.cell_energies.items()):
        for row, values in enumerate(energy.tolist()):
            yield "".join(f"{_quoted(tile)},{row},{column},{value}\n" for column, value in enumerate(values))


def _map_lines(maps: Mapping[str, NDArray[np.float64]]) -> Iterator[str]:
    """Yield the maps of a tile as CSV text, a row of the array at a time."""
    for row, values in enumerate(zip(*maps.values(), strict=True)):
        for column, cell in enumerate(zip(*(part.tolist() for part in values), strict=True)):
            yield f"{row},{column},{','.join(map(str, cell))}\n"


def _wear_lines(trace: Trace) -> Iterator[str]:
    """Yield programming pulses and equivalent cycles of every device as CSV text."""
    for tile, (pulses, cycles) in sorted(trace.cell_wear.items()):
        for row, (counts, worn) in enumerate(zip(pulses.tolist(), cycles.tolist(), strict=True)):
            for column, pair in enumerate(zip(counts, worn, strict=True)):
                yield f"{_quoted(tile)},{row},{column},{pair[0]},{pair[1]}\n"


def _line(cells: Iterable[Any]) -> str:
    return ",".join(_quoted(str(cell)) for cell in cells) + "\n"


def _write(path: Path, names: Sequence[str], text: Iterable[str]) -> None:
    with whole_file(path) as stream:
        stream.write(_line(names))
        stream.writelines(text)


def require_parquet() -> None:
    """Raise `InputError` where pyarrow is not installed."""
    require("pyarrow", "parquet", "Parquet tables need")


def _write_parquet(path: Path, table: Table) -> None:
    with whole_path(path) as part:
        table.frame().to_parquet(part, index=False)
