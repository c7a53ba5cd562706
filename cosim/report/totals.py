"""Energy sums in one pass over the trace.

Sums are correctly rounded (`math.fsum`) within a run of rows and kept in two floats between runs, so that
the sums by component, by kind and by operation agree with the total far below 1e-9.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from cosim.records import Trace

Key = TypeVar("Key")
Group = tuple[int, str, str, str]
"""Operation, component, kind, formula key."""

_HELD_ROWS = 1 << 18


class ExactSums(Generic[Key]):
    """Sums by key of many floats; the memory does not grow with their number."""

    def __init__(self) -> None:
        self._parts: dict[Key, list[float]] = {}
        self._held = 0

    def add(self, key: Key, values: Sequence[float]) -> None:
        """Add ``values`` to the sum of ``key``."""
        self._parts.setdefault(key, []).extend(values)
        self._held += len(values)
        if self._held >= _HELD_ROWS:
            self._collapse()

    def result(self) -> dict[Key, float]:
        """Return the sums."""
        return {key: math.fsum(parts) for key, parts in self._parts.items()}

    def _collapse(self) -> None:
        for key, parts in self._parts.items():
            total = math.fsum(parts)
            self._parts[key] = [total, math.fsum([*parts, -total])]
        self._held = 0


@dataclass(frozen=True, slots=True, eq=False)
class EnergyTotals:
    """Energies of a trace [J].

    ``groups`` by operation, component, kind and formula key, in sorted order; ``phase`` ``(phases,)`` what
    was recorded with each phase; ``booked`` ``(phases,)`` the same with the energies that belong to no phase
    (converters, control) booked at the tile's phase before them (its first phase, where there is none).
    """

    groups: Mapping[Group, float]
    phase: NDArray[np.float64]
    booked: NDArray[np.float64]

    @property
    def total(self) -> float:
        """Sum of everything [J]."""
        return math.fsum(self.groups.values())

    def by_component(self) -> dict[str, float]:
        """Return the sums by component [J], sorted by name."""
        return self._by(1)

    def by_kind(self) -> dict[str, float]:
        """Return the sums by kind [J], sorted by name."""
        return self._by(2)

    def by_operation(self) -> dict[int, float]:
        """Return the sums by operation [J]."""
        return _sums((group[0], value) for group, value in self.groups.items())

    def _by(self, position: int) -> dict[str, float]:
        return _sums((str(group[position]), value) for group, value in self.groups.items())


def energy_totals(trace: Trace) -> EnergyTotals:
    """Return the energy sums of a trace."""
    sums: ExactSums[Group] = ExactSums()
    recorded, booked = np.zeros(len(trace.phases)), np.zeros(len(trace.phases))
    books: dict[str, _Book] = {}
    for block in trace.energies.blocks():
        energy, phase, tile = np.asarray(block["energy_j"], dtype=np.float64), block["phase"], block["tile"]
        for key, own in _groups(block):
            sums.add(key, energy[own].tolist())
        with_phase = phase >= 0
        np.add.at(recorded, phase[with_phase], energy[with_phase])
        for code, name in enumerate(tile.names):
            own = np.flatnonzero(tile.codes == code)
            if own.size:
                books.setdefault(name, _Book()).enter(booked, phase[own], energy[own])
    return EnergyTotals(dict(sorted(sums.result().items())), recorded, booked)


def _groups(block: Mapping[str, Any]) -> Iterator[tuple[Group, NDArray[np.intp]]]:
    """Yield the groups of a block of energies, with their rows in order."""
    texts = [block[field] for field in ("component", "kind", "formula")]
    number = np.asarray(block["operation"], dtype=np.int64)
    for column in texts:
        number = number * len(column.names) + column.codes
    order = np.argsort(number, kind="stable")
    for own in np.split(order, np.flatnonzero(np.diff(number[order])) + 1):
        first = own[0]
        component, kind, formula = (column.names[column.codes[first]] for column in texts)
        yield (int(block["operation"][first]), component, kind, formula), own


@dataclass(slots=True, eq=False)
class _Book:
    """Where the energies of a tile that belong to no phase are booked: its ``last`` phase, ``early`` before there is one [J]."""

    last: int = -1
    early: float = 0.0

    def enter(
        self, booked: NDArray[np.float64], phase: NDArray[np.int64], energy: NDArray[np.float64]
    ) -> None:
        """Book the energies of a tile, in order."""
        place = np.maximum.accumulate(np.where(phase >= 0, np.arange(len(phase)), -1))
        to = np.where(place >= 0, phase[place], self.last)
        before, energy = int(np.count_nonzero(to < 0)), energy.copy()
        for value in energy[:before].tolist():
            self.early += value
        if before < len(energy):
            energy[before] += self.early
            self.early, self.last = 0.0, int(to[-1])
        np.add.at(booked, to[before:], energy[before:])


def _sums(pairs: Iterable[tuple[Key, float]]) -> dict[Key, float]:
    parts: dict[Key, list[float]] = {}
    for key, value in pairs:
        parts.setdefault(key, []).append(value)
    return {key: math.fsum(parts[key]) for key in sorted(parts, key=_order)}


def _order(key: object) -> tuple[bool, object]:
    return isinstance(key, str), key
