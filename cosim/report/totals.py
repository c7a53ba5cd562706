"""Energy sums in one pass over the trace.

Sums are correctly rounded (`math.fsum`) within a run of rows and kept in two floats between runs, so that
the sums by component, by kind and by operation agree with the total far below 1e-9.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

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

    def add(self, key: Key, value: float) -> None:
        """Add ``value`` to the sum of ``key``."""
        parts = self._parts.get(key)
        if parts is None:
            self._parts[key] = [value]
        else:
            parts.append(value)
        self._held += 1
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
    recorded = [0.0] * len(trace.phases)
    booked = [0.0] * len(trace.phases)
    last: dict[str, int] = {}
    early: dict[str, float] = {}
    for operation, phase, tile, component, kind, energy, formula in trace.energies:
        value = float(energy)
        sums.add((operation, component, kind, formula), value)
        if phase >= 0:
            last[tile] = phase
            recorded[phase] += value
            booked[phase] += value + early.pop(tile, 0.0)
        elif tile in last:
            booked[last[tile]] += value
        else:
            early[tile] = early.get(tile, 0.0) + value
    groups = dict(sorted(sums.result().items()))
    return EnergyTotals(groups, np.array(recorded, dtype=np.float64), np.array(booked, dtype=np.float64))


def _sums(pairs: Iterable[tuple[Key, float]]) -> dict[Key, float]:
    parts: dict[Key, list[float]] = {}
    for key, value in pairs:
        parts.setdefault(key, []).append(value)
    return {key: math.fsum(parts[key]) for key in sorted(parts, key=_order)}


def _order(key: object) -> tuple[bool, object]:
    return isinstance(key, str), key
