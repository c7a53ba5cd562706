"""The trace of a run: append-only tables of frozen records.

Every record type is a named tuple; a `Table` keeps its rows in columnar blocks, and full blocks go to
the run's folder when there is one, so a run of a million phases does not grow in memory. Event times
are integer femtoseconds in the records and two int64 columns in the tables (whole seconds and the
femtoseconds within the second), since 2**63 fs is only 2.6 hours.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, get_type_hints

import numpy as np
from numpy.typing import NDArray

from cosim.errors import InputError
from cosim.units import FEMTOSECONDS_PER_SECOND

if TYPE_CHECKING:
    import pandas as pd

BLOCK_ROWS = 1 << 16
"""Rows of a block before it is closed."""


class PhaseRecord(NamedTuple):
    """One circuit phase of one tile; energies in joule.

    The three deviations are those of a second backend (``paired``), as `crossbar.backend.Deviation` defines
    them; NaN where the phase had none.
    """

    phase: int
    operation: int
    tile: str
    kind: str
    backend: str
    start_fs: int
    duration_fs: int
    delivered_j: float
    absorbed_j: float
    cells_j: float
    access_j: float
    wires_j: float
    terminations_j: float
    stored_j: float
    numerical_j: float
    kcl_residual: float
    out_of_bounds: int
    applied: str
    duration_from: str
    current_deviation: float = math.nan
    state_deviation: float = math.nan
    energy_deviation: float = math.nan


class EnergyRecord(NamedTuple):
    """One contribution to the energy of a run; ``formula`` is a key of `Trace.formulas`."""

    operation: int
    phase: int
    tile: str
    component: str
    kind: str
    energy_j: float
    formula: str


class BusyRecord(NamedTuple):
    """One interval in which ``units`` units of a resource were in use, ``unit`` the first of them.

    It was asked for at ``asked_fs`` and holds ``jobs`` jobs of equal length, one after the other on each unit.
    """

    resource: str
    unit: int
    operation: int
    kind: str
    asked_fs: int
    start_fs: int
    end_fs: int
    jobs: int = 1
    units: int = 1


class PulseRecord(NamedTuple):
    """One programming pulse on one cell."""

    operation: int
    phase: int
    start_fs: int
    tile: str
    row: int
    column: int
    line: str
    amplitude_v: float
    width_s: float
    state_before: float
    state_after: float
    conductance_before_s: float
    conductance_after_s: float


class CellOutcome(NamedTuple):
    """What write-verify reached on one cell; conductances in siemens as the verify read sees them."""

    operation: int
    tile: str
    row: int
    column: int
    target_s: float
    verified_s: float
    device_s: float
    pulses: int
    converged: bool


class ConversionRecord(NamedTuple):
    """One conversion of an ADC column in a read; ``value`` is the bit-line current it stands for [A].

    ``step``: which of the array phases of the product.
    """

    operation: int
    vector: int
    tile: str
    column: int
    current_a: float
    code: int
    value_a: float
    saturated: bool
    step: int = 0


class TimedInstruction(NamedTuple):
    """One kT-RAM instruction on one lane of ``spaces`` enabled spaces.

    ``strobe_fs`` is -1 for feedback; ``latch_fs``: when the lane's last decision is latched; ``y``: the activation there.
    ``phase``: of its circuit, -1 where there is none; ``unsettled``: what a read's activation lacked of that of a settled node.
    """

    operation: int
    lane: int
    instruction: str
    start_fs: int
    strobe_fs: int
    latch_fs: int
    end_fs: int
    spaces: int
    y: float
    energy_j: float
    phase: int = -1
    unsettled: float = 0.0


class ReadValue(NamedTuple):
    """One output of a read operation beside its exact value."""

    operation: int
    vector: int
    output: int
    value: float
    ideal: float


class BitRecord(NamedTuple):
    """One bit of a word that was read; ``margin_v``: distance from the reference on the right side [V], without noise."""

    operation: int
    tile: str
    row: int
    column: int
    stored: int
    read: int
    current_a: float
    margin_v: float


class OperationRecord(NamedTuple):
    """One finished operation; ``details`` is what the summary says beside times and energy."""

    operation: int
    op: str
    target: str
    start_fs: int
    end_fs: int
    details: dict[str, Any]


class Work(NamedTuple):
    """What a read has computed: products of vectors with a matrix, their input coding, array phases of each."""

    vectors: int
    inputs: int
    outputs: int
    coding: str
    phases: int

    @property
    def macs(self) -> int:
        """Multiply-accumulates."""
        return self.vectors * self.inputs * self.outputs


class AreaRecord(NamedTuple):
    """Area of the units of a component; ``tile`` is empty for what tiles share."""

    tile: str
    component: str
    units: int
    area_m2: float
    formula: Formula


class Formula(NamedTuple):
    """How an energy figure was computed: expression, the inputs with their values, source."""

    expression: str
    inputs: str
    source: str


_LARGEST = 2**63 - 1
_FEW = 1 << 12


def femtoseconds(times: Sequence[int]) -> NDArray[Any]:
    """Return times [fs] as int64, or as Python integers where one is beyond it (numpy would make them floats)."""
    return np.array(times, dtype=np.int64 if max(times, default=0) <= _LARGEST else object)


def _decoded(columns: dict[str, NDArray[Any]], name: str) -> NDArray[Any]:
    """Return a stored column; texts are stored as numbers, with the list of them under ``name@``."""
    names = columns.get(name + "@")
    return columns[name] if names is None else names[columns[name]]


class CodedTexts(NamedTuple):
    """A column of texts: the number of each row's text in a list of texts."""

    codes: NDArray[Any]
    names: Sequence[str]

    def decoded(self) -> NDArray[Any]:
        """Return the texts."""
        return np.asarray(np.array(self.names)[self.codes])


class Table:
    """Rows of one record type in columnar blocks."""

    def __init__(self, name: str, record: type[tuple[Any, ...]], folder: Path | None) -> None:
        self.name, self.record = name, record
        self.fields: tuple[str, ...] = tuple(get_type_hints(record))
        self._folder = folder
        self._rows: list[tuple[Any, ...]] = []
        self._blocks: list[dict[str, NDArray[Any]] | Path] = []
        self._closed_rows = 0

    def __len__(self) -> int:
        return self._closed_rows + len(self._rows)

    def append(self, record: tuple[Any, ...]) -> None:
        """Add one record."""
        self._rows.append(record)
        if len(self._rows) >= BLOCK_ROWS:
            self._close_block()

    def append_rows(self, rows: Sequence[tuple[Any, ...]]) -> None:
        """Add some records; each is a plain tuple in the order of the fields."""
        self._rows.extend(rows)
        if len(self._rows) >= BLOCK_ROWS:
            self._close_block()

    def extend(self, count: int, **columns: Any) -> None:
        """Add ``count`` records column by column; a column is an array, `CodedTexts`, or one value for all of them.

        Times are int64 [fs]. Few records are added as rows, many as blocks of their own.
        """
        if count < _FEW:
            lists = (self._listed(columns[field], count) for field in self.fields)
            self._rows.extend(zip(*lists, strict=True))
            if len(self._rows) >= BLOCK_ROWS:
                self._close_block()
            return
        if self._rows:
            self._close_block()
        for start in range(0, count, BLOCK_ROWS):
            stop = min(count, start + BLOCK_ROWS)
            block: dict[str, NDArray[Any]] = {}
            for field in self.fields:
                block.update(self._stored(field, columns[field], start, stop))
            self._closed_rows += stop - start
            self._keep(block)

    @staticmethod
    def _listed(column: Any, count: int) -> list[Any]:
        values = column.decoded() if isinstance(column, CodedTexts) else np.asarray(column)
        listed: list[Any] = np.broadcast_to(values, (count,)).tolist()
        return listed

    @staticmethod
    def _stored(field: str, column: Any, start: int, stop: int) -> dict[str, NDArray[Any]]:
        """Return the arrays of a block for the rows ``start`` to ``stop`` of a column."""
        if isinstance(column, str):
            column = CodedTexts(np.zeros(stop, dtype=np.uint16), [column])
        if isinstance(column, CodedTexts):
            return {field: np.array(column.codes[start:stop]), field + "@": np.array(column.names)}
        values = np.asarray(column)
        own = np.broadcast_to(values if values.ndim == 0 else values[start:stop], (stop - start,))
        if field.endswith("_fs"):
            whole, part = np.divmod(own, FEMTOSECONDS_PER_SECOND)
            return {field[:-3] + "_s": whole, field: part}
        if own.dtype.kind == "U":
            names, codes = np.unique(own, return_inverse=True)
            return {field: codes, field + "@": names}
        return {field: np.array(own)}

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        """Yield every row as a plain tuple, in order."""
        for block in self._blocks:
            columns = self._read(block)
            yield from zip(*(self._join(columns, field) for field in self.fields), strict=True)
        yield from self._rows

    def blocks(self) -> Iterator[dict[str, Any]]:
        """Yield the rows in blocks of columns, at most `BLOCK_ROWS` long: arrays as `column` gives them, `CodedTexts` for texts."""
        rows = [self._columns(self._rows)] if self._rows else []
        for columns in itertools.chain(map(self._read, self._blocks), rows):
            yield {
                field: CodedTexts(columns[field], columns[field + "@"].tolist())
                if field + "@" in columns
                else self._joined(columns, field)
                for field in self.fields
            }

    def column(self, field: str) -> NDArray[Any]:
        """Return one column as an array; times are integer femtoseconds, beyond an int64 as Python integers."""
        position = self.fields.index(field)
        parts = [self._joined(self._read(block), field) for block in self._blocks]
        if self._rows or not parts:
            values = [row[position] for row in self._rows]
            parts.append(femtoseconds(values) if field.endswith("_fs") else np.asarray(values))
        return np.concatenate(parts)

    def coded(self, field: str) -> tuple[NDArray[np.int64], list[str]]:
        """Return a column of texts as numbers, and the list of texts that they stand for."""
        number: dict[str, int] = {}
        parts = []
        for block in self._blocks:
            columns = self._read(block)
            known = [number.setdefault(str(name), len(number)) for name in columns[field + "@"]]
            parts.append(np.array(known, dtype=np.int64)[columns[field]])
        position = self.fields.index(field)
        parts.append(
            np.array([number.setdefault(row[position], len(number)) for row in self._rows], dtype=np.int64)
        )
        return np.concatenate(parts), list(number)

    def frame(self) -> pd.DataFrame:
        """Return the table as a pandas frame; ``*_fs`` columns become ``*_s`` and ``*_fs`` within it."""
        import pandas as pd

        blocks = [self._read(block) for block in self._blocks]
        if self._rows or not blocks:
            blocks.append(self._columns(self._rows))
        frames = [
            pd.DataFrame({name: _decoded(block, name) for name in block if "@" not in name})
            for block in blocks
        ]
        return pd.concat(frames, ignore_index=True)

    def _columns(self, rows: list[tuple[Any, ...]]) -> dict[str, NDArray[Any]]:
        columns: dict[str, NDArray[Any]] = {}
        transposed = list(zip(*rows, strict=True)) if rows else [() for _ in self.fields]
        for field, values in zip(self.fields, transposed, strict=True):
            if field.endswith("_fs"):
                times = femtoseconds(values)
                whole, part = times // FEMTOSECONDS_PER_SECOND, times % FEMTOSECONDS_PER_SECOND
                columns[field[:-3] + "_s"] = whole.astype(np.int64)
                columns[field] = part.astype(np.int64)
            elif values and isinstance(values[0], str):
                number = {value: k for k, value in enumerate(dict.fromkeys(values))}
                kind = np.uint16 if len(number) < 1 << 16 else np.int64
                columns[field] = np.fromiter(map(number.__getitem__, values), kind, len(values))
                columns[field + "@"] = np.array(list(number))
            else:
                columns[field] = np.array(values)
        return columns

    @staticmethod
    def _joined(columns: dict[str, NDArray[Any]], field: str) -> NDArray[Any]:
        if not field.endswith("_fs"):
            return _decoded(columns, field)
        whole, part = columns[field[:-3] + "_s"], columns[field]
        if len(whole) and whole.max() >= _LARGEST // FEMTOSECONDS_PER_SECOND:
            whole = whole.astype(object)
        return np.asarray(whole * FEMTOSECONDS_PER_SECOND + part)

    @classmethod
    def _join(cls, columns: dict[str, NDArray[Any]], field: str) -> list[Any]:
        names = columns.get(field + "@")
        if names is not None:
            return list(map(names.tolist().__getitem__, columns[field].tolist()))
        values: list[Any] = cls._joined(columns, field).tolist()
        return values

    def _close_block(self) -> None:
        block = self._columns(self._rows)
        self._closed_rows += len(self._rows)
        self._rows = []
        self._keep(block)

    def _keep(self, block: dict[str, NDArray[Any]]) -> None:
        """Keep a full block, in the folder where there is one."""
        if self._folder is None:
            self._blocks.append(block)
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"{self.name}-{len(self._blocks):05d}.npz"
        np.savez(path, allow_pickle=False, **block)
        self._blocks.append(path)

    @staticmethod
    def _read(block: dict[str, NDArray[Any]] | Path) -> dict[str, NDArray[Any]]:
        if isinstance(block, dict):
            return block
        with np.load(block, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}


class Trace:
    """Everything that happened in a run; reports read nothing else.

    Tables: ``phases``, ``energies``, ``busy``, ``pulses``, ``outcomes``, ``conversions``, ``values``, ``bits``,
    ``instructions``.
    ``works`` holds what each read has computed, ``areas`` what takes area, ``converters`` the figures of each
    tile's ADC, ``cell_energies`` what was dissipated in each device of a tile [J], ``(rows, columns)``, ``cell_wear``
    programming pulses and equivalent cycles of each device of a tile where they wear, ``maps`` further maps of its
    cells (`cosim.components.maps`). ``formulas`` maps a formula key to its `Formula`, ``capacities`` a resource to its
    number of units, ``warnings`` holds sentences, ``end_fs`` the end of the run, ``operations`` the finished ones.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.phases = Table("phases", PhaseRecord, folder)
        self.energies = Table("energies", EnergyRecord, folder)
        self.busy = Table("busy", BusyRecord, folder)
        self.pulses = Table("pulses", PulseRecord, folder)
        self.outcomes = Table("outcomes", CellOutcome, folder)
        self.conversions = Table("conversions", ConversionRecord, folder)
        self.values = Table("values", ReadValue, folder)
        self.bits = Table("bits", BitRecord, folder)
        self.instructions = Table("instructions", TimedInstruction, folder)
        self.operations: list[OperationRecord] = []
        self.works: dict[int, Work] = {}
        self.areas: list[AreaRecord] = []
        self.converters: dict[str, dict[str, Any]] = {}
        self.cell_energies: dict[str, NDArray[np.float64]] = {}
        self.maps: dict[str, dict[str, NDArray[np.float64]]] = {}
        self.cell_wear: dict[str, tuple[NDArray[np.int64], NDArray[np.float64]]] = {}
        self.formulas: dict[str, Formula] = {}
        self.capacities: dict[str, int] = {}
        self.warnings: list[str] = []
        self.end_fs = 0

    @property
    def tables(self) -> tuple[Table, ...]:
        """Every table of the trace."""
        return (
            self.phases, self.energies, self.busy, self.pulses, self.outcomes, self.conversions, self.values,
            self.bits, self.instructions,
        )  # fmt: skip

    def frame(self, table: str = "phases") -> pd.DataFrame:
        """Return one table (``phases`` unless named) as a pandas frame; raises `InputError` for one that there is not."""
        known = {entry.name: entry for entry in self.tables}
        if table not in known:
            raise InputError(f"there is no table '{table}' in a trace; there are {', '.join(known)}")
        return known[table].frame()

    def energy(
        self, operation: int, phase: int, tile: str, component: str, kind: str, energy_j: float, formula: str
    ) -> None:
        """Append one energy contribution."""
        self.energies.append(EnergyRecord(operation, phase, tile, component, kind, energy_j, formula))

    def warn(self, sentence: str) -> None:
        """Keep a warning once."""
        if sentence not in self.warnings:
            self.warnings.append(sentence)

    def formulas_json(self) -> str:
        """Return the formulas as JSON text."""
        return json.dumps({key: value._asdict() for key, value in sorted(self.formulas.items())}, indent=2)
