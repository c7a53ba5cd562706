"""Where a quantity that a stop condition watches crosses its threshold in a step.

The quantity is known at some instants of the step and taken as the polynomial through them; the network at the crossing
so found is one more instant.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from cosim.crossbar.drive import Phase, StopCondition
from cosim.crossbar.network import Network
from cosim.crossbar.stopping import Stop, beyond, open_conditions
from cosim.devices.base import FloatArray


class Instant(Protocol):
    """Voltages [V] and currents [A] of all nets at one instant."""

    @property
    def net_voltage(self) -> FloatArray: ...

    @property
    def net_current(self) -> FloatArray: ...


@dataclass(frozen=True, slots=True)
class Crossing:
    """A condition that is met at a ``share`` of a step; ``values`` beyond its threshold at ``nodes``, shares too."""

    share: float
    condition: int
    nodes: tuple[float, ...]
    values: tuple[float, ...]


class Watch:
    """Looks at a step for the conditions of a phase that are still open."""

    def __init__(self, phase: Phase, network: Network) -> None:
        self._phase, self._network = phase, network
        self._last: dict[int, float] = {}
        self.open(())

    def open(self, stops: Sequence[Stop]) -> None:
        """Watch what can still be met after ``stops``; a net that nothing conducts to never is."""
        index, conditions = self._network.net_index, self._phase.stops
        self._open = {
            k: conditions[k] for k in open_conditions(self._phase, stops) if conditions[k].net in index
        }

    def _quantity(self, condition: StopCondition, instant: Instant) -> float:
        """Return how far the quantity of a condition lies beyond its threshold [V or A]."""
        values = instant.net_voltage if condition.quantity == "voltage" else instant.net_current
        return beyond(condition, float(values[self._network.net_index[condition.net]]))

    def crossing(self, nodes: Sequence[float], instants: Sequence[Instant]) -> Crossing | None:
        """Return the first crossing in a step, whose network is known at ``nodes``; else note where it ends."""
        found, last = [], {}
        for k, condition in self._open.items():
            values = tuple(self._quantity(condition, instant) for instant in instants)
            share = _first(nodes, values)
            last[k] = values[-1]
            if share is not None:
                found.append(Crossing(share, k, tuple(nodes), values))
        if found:
            return min(found, key=lambda each: (each.share, each.condition))
        self._last = last
        return None

    def jump(self, instant: Instant) -> int | None:
        """Return the condition that is met between the end of the last step and ``instant``, the begin of the next, or None."""
        for k, condition in self._open.items():
            if self._last.get(k, 0.0) < 0.0 <= self._quantity(condition, instant):
                return k
        return None

    def closer(self, crossing: Crossing, share: float, instant: Instant) -> Crossing:
        """Return the same crossing with one more instant known."""
        value = self._quantity(self._phase.stops[crossing.condition], instant)
        known = dict(zip(crossing.nodes, crossing.values, strict=True)) | {share: value}
        nodes = tuple(sorted(known))
        values = tuple(known[node] for node in nodes)
        found = _first(nodes, values)
        return Crossing(crossing.share if found is None else found, crossing.condition, nodes, values)


def _first(nodes: Sequence[float], values: Sequence[float]) -> float | None:
    """Return where values at rising nodes first rise through zero, or None."""
    pairs = zip(itertools.pairwise(nodes), itertools.pairwise(values), strict=True)
    for (low, high), (before, after) in pairs:
        if before < 0 <= after:
            return _root(nodes, values, low, high)
    return None


def _root(nodes: Sequence[float], values: Sequence[float], low: float, high: float) -> float:
    """Return the root between ``low`` and ``high`` of the polynomial through values at nodes (Lagrange)."""
    from scipy.optimize import brentq

    weights = [
        value / math.prod(node - other for other in nodes if other != node)
        for node, value in zip(nodes, values, strict=True)
    ]

    def polynomial(x: float) -> float:
        if x in nodes:
            return values[nodes.index(x)]
        return math.prod(x - node for node in nodes) * sum(
            weight / (x - node) for node, weight in zip(nodes, weights, strict=True)
        )

    return float(brentq(polynomial, low, high))
