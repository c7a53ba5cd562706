"""A circuit at one instant: any cells, floating nets, charges on the lines.

Linear cells take one solve. Nonlinear ones are replaced by their tangents ``i = g v + h`` and solved again until the
currents of the cells are those that Kirchhoff's law was solved for (Newton's method, with the step limit of
`cosim.crossbar.newton`). Charge enters as a conductance ``rate C`` from every node and an injected
current, which is how every implicit method sees a capacitor.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from cosim.backends.banks import Bank, Tangent, kind, make_bank
from cosim.crossbar.circuit import Circuit, circuit
from cosim.crossbar.joined import StackedSolution
from cosim.crossbar.lines import DEFAULT_TOLERANCE
from cosim.crossbar.network import Network
from cosim.crossbar.newton import NO_CURRENT, largest_line_current, limited
from cosim.crossbar.nodal import IntArray
from cosim.crossbar.stacks import Injection, StackSolution
from cosim.devices.base import FloatArray
from cosim.errors import CrossbarError

_NEWTON_STEPS = 200
_CONVERGED = 1e-10
"""Largest difference between the cells' currents and those solved for, summed, as a part of the largest line current."""
_EXACT, _LOOSE = 1e-11, 1e-3

States = tuple[FloatArray, ...]


class OfNodes(NamedTuple):
    """One value of every place that can hold charge: word and bit nodes by stack, and nets ``(nets,)``.

    Capacitances [F], voltages [V], or currents into the capacitors [A].
    """

    lines: tuple[Injection, ...]
    nets: FloatArray


def combined(weights: Sequence[float], values: Sequence[OfNodes]) -> OfNodes:
    """Return a weighted sum."""
    lines = tuple(
        (_sum(weights, [own[0] for own in parts]), _sum(weights, [own[1] for own in parts]))
        for parts in zip(*(value.lines for value in values), strict=True)
    )
    return OfNodes(lines, _sum(weights, [value.nets for value in values]))


def _sum(weights: Sequence[float], values: Sequence[FloatArray]) -> FloatArray:
    total = weights[0] * values[0]
    for weight, value in zip(weights[1:], values[1:], strict=True):
        total = total + weight * value
    return total


class Point(NamedTuple):
    """The circuit at one instant; all but the nets by stack. ``solved``: the states that it was solved for."""

    net_voltage: FloatArray
    net_current: FloatArray
    stacks: tuple[StackSolution, ...]
    cells: tuple[Tangent, ...]
    charging: OfNodes | None
    solved: States
    residual: float


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """What does not change from phase to phase: circuit, banks, capacitance [F]."""

    network: Network
    circuit: Circuit
    banks: tuple[Bank, ...]
    capacitance: OfNodes | None

    @property
    def linear(self) -> bool:
        """Whether all cells are linear."""
        return all(bank.linear for bank in self.banks)

    def stacked(self, per_array: Sequence[FloatArray]) -> tuple[FloatArray, ...]:
        """Put values per array ``(rows, ...)`` on top of one another, by stack."""
        return tuple(np.concatenate([per_array[k] for k in s.members]) for s in self.circuit.stacks)

    def split(self, stacked: Sequence[FloatArray]) -> tuple[FloatArray, ...]:
        """Return values by stack ``(rows, ...)`` per array, in the order of the arrays."""
        found: dict[int, FloatArray] = {}
        for stack, values in zip(self.circuit.stacks, stacked, strict=True):
            for place, k in enumerate(stack.members):
                found[k] = values[stack.firsts[place] : stack.firsts[place + 1]]
        return tuple(found[k] for k in range(len(found)))


@lru_cache(maxsize=128)
def plan(
    network: Network,
    driven: tuple[bool, ...],
    wires: bool,
    charged: bool,
    conducting: tuple[tuple[bool, ...] | None, ...],
    gates: tuple[tuple[float, ...] | None, ...],
    temperature: float,
) -> Plan:
    """Return the plan of a network; ``driven`` per net, ``conducting`` and ``gates``: see `make_bank`."""
    kinds = tuple(kind(array) for array in network.arrays)
    lines = circuit(network, driven, wires=wires, charged=charged, kinds=kinds)
    banks = tuple(make_bank(network.arrays, stack, conducting, gates, temperature) for stack in lines.stacks)
    capacitance = None
    if charged:
        segments = [[network.arrays[k].segments for k in stack.members] for stack in lines.stacks]
        of_lines = tuple(
            (
                _spread(stack.firsts, stack.shape, [s.c_word_line for s in own]),
                _spread(stack.firsts, stack.shape, [s.c_bit_line for s in own]),
            )
            for stack, own in zip(lines.stacks, segments, strict=True)
        )
        capacitance = OfNodes(of_lines, network.net_capacitance)
    return Plan(network, lines, banks, capacitance)


def _spread(firsts: IntArray, shape: tuple[int, int], values: list[float]) -> FloatArray:
    rows = np.repeat(np.array(values), np.diff(firsts))
    return np.ascontiguousarray(np.broadcast_to(rows[:, None], shape))


@lru_cache(maxsize=256)
def _shunted(prepared: Plan, rate: float) -> Circuit:
    assert prepared.capacitance is not None
    lines, nets = prepared.capacitance
    return prepared.circuit.shunted([(rate * word, rate * bit) for word, bit in lines], rate * nets)


class Storage(NamedTuple):
    """Charge in one implicit stage: the current into a capacitor is ``rate C v - into``."""

    rate: float
    into: OfNodes


def storage(prepared: Plan, rate: float, base: OfNodes, charging: OfNodes | None) -> Storage:
    """Return the stage with ``into = rate C base + charging``; ``base``: voltages."""
    into = _currents(prepared, rate, base)
    return Storage(rate, into if charging is None else combined((1.0, 1.0), (into, charging)))


def _currents(prepared: Plan, rate: float, voltages: OfNodes) -> OfNodes:
    """Return ``rate C v``."""
    assert prepared.capacitance is not None
    lines = zip(prepared.capacitance.lines, voltages.lines, strict=True)
    return OfNodes(
        tuple((rate * c[0] * v[0], rate * c[1] * v[1]) for c, v in lines),
        rate * prepared.capacitance.nets * voltages.nets,
    )


def stored_energy(prepared: Plan, voltages: OfNodes) -> float:
    """Return the energy of all charge [J]: half the sum of ``C v^2``."""
    assert prepared.capacitance is not None
    lines, nets = prepared.capacitance
    total = sum(
        float(np.vdot(c[side], v[side] * v[side]))
        for c, v in zip(lines, voltages.lines, strict=True)
        for side in (0, 1)
    )
    return 0.5 * (total + float(nets @ (voltages.nets * voltages.nets)))


def nodes(solved: Point | StackedSolution) -> OfNodes:
    """Return the voltages of all nodes and nets [V]."""
    return OfNodes(tuple((part.word, part.bit) for part in solved.stacks), solved.net_voltage)


def solve(
    prepared: Plan,
    drives: FloatArray,
    states: States,
    near: Point | None = None,
    stage: Storage | None = None,
) -> Point:
    """Solve the circuit at one instant.

    Parameters
    ----------
    drives
        Every net [V], ``(nets,)``; NaN where it floats.
    states
        Of the cells, by stack.
    near
        A point nearby, to start from.
    stage
        Where lines or nets hold charge.

    Raises
    ------
    CrossbarError
        Newton's method stands still: the current of a cell falls with its voltage.
    """
    lines = prepared.circuit if stage is None else _shunted(prepared, stage.rate)
    into = None if stage is None else stage.into
    if prepared.linear:
        g = [bank.conductance(x) for bank, x in zip(prepared.banks, states, strict=True)]
        solution = lines.solve(drives, g, *_given(into))
        voltages = [part.word - part.bit for part in solution.stacks]
        cells = tuple(
            _linear_tangent(bank, x, part.current, v)
            for bank, x, part, v in zip(prepared.banks, states, solution.stacks, voltages, strict=True)
        )
    else:
        solution, cells = _Newton(prepared, lines, drives, states, into).run(near)
    charging = None
    if stage is not None:
        charging = combined((1.0, -1.0), (_currents(prepared, stage.rate, nodes(solution)), stage.into))
    largest = max(float(np.abs(end).max(initial=0.0)) for part in solution.stacks for end in part.ends)
    residual = solution.error_bound / largest if largest > 0 else 0.0
    return Point(
        solution.net_voltage, solution.net_current, solution.stacks, cells, charging, states, residual
    )


def _given(
    into: OfNodes | None, tolerance: float = DEFAULT_TOLERANCE
) -> tuple[tuple[Injection, ...] | None, float, FloatArray | None]:
    """Return the last arguments of `Circuit.solve`."""
    return (None, tolerance, None) if into is None else (into.lines, tolerance, into.nets)


def _linear_tangent(bank: Bank, state: FloatArray, current: FloatArray, voltage: FloatArray) -> Tangent:
    """Return the tangent of a linear bank with the currents that the lines were solved with."""
    inner = voltage - bank.series * current if bank.series else voltage
    if bank.conducting is not None:
        inner = np.where(bank.conducting, inner, 0.0)
    return Tangent(inner, current, bank.conductance(state))


class _Newton:
    """One nonlinear solve."""

    def __init__(
        self,
        prepared: Plan,
        lines: Circuit,
        drives: FloatArray,
        states: States,
        into: OfNodes | None,
    ) -> None:
        self.banks, self.lines, self.drives, self.states, self.into = (
            prepared.banks, lines, drives, states, into,
        )  # fmt: skip

    def _tangents(
        self, voltages: Sequence[FloatArray], bits: Sequence[FloatArray], near: Sequence[FloatArray | None]
    ) -> list[Tangent]:
        return [
            bank.tangent(x, v, b, u)
            for bank, x, v, b, u in zip(self.banks, self.states, voltages, bits, near, strict=True)
        ]

    def run(self, near: Point | None) -> tuple[StackedSolution, tuple[Tangent, ...]]:
        """Iterate until the cells' own currents are those that were solved for."""
        if near is None:
            voltages = bits = [np.zeros(bank.stack.shape) for bank in self.banks]
            inner: list[FloatArray | None] = [None] * len(self.banks)
        else:
            voltages = [part.word - part.bit for part in near.stacks]
            bits = [part.bit for part in near.stacks]
            inner = [cell.device_voltage for cell in near.cells]
        tangents = self._tangents(voltages, bits, inner)
        last, relative = np.inf, 1.0
        for _step in range(_NEWTON_STEPS):
            offsets = [t.current - t.slope * v for t, v in zip(tangents, voltages, strict=True)]
            tolerance = min(_LOOSE, max(_EXACT, 1e-2 * relative * relative))
            solution = self.lines.solve(
                self.drives,
                [np.ascontiguousarray(t.slope) for t in tangents],
                self._injected(offsets),
                tolerance,
                None if self.into is None else self.into.nets,
            )
            found = [part.word - part.bit for part in solution.stacks]
            bits = [part.bit for part in solution.stacks]
            promised = [part.current + h for part, h in zip(solution.stacks, offsets, strict=True)]
            following = self._tangents(found, bits, [t.device_voltage for t in tangents])
            missing = solution.error_bound + 2.0 * sum(
                float(np.abs(t.current - p).sum()) for t, p in zip(following, promised, strict=True)
            )
            largest = max(largest_line_current(t.current) for t in following)
            done = tolerance <= _EXACT and missing <= _CONVERGED * largest
            if done or missing <= NO_CURRENT or self._stuck(following, solution, missing, last):
                return solution, tuple(following)
            relative = min(1.0, missing / largest) if largest > 0 else 1.0
            voltages, tangents = self._limited(voltages, tangents, found, bits, following, promised)
            last = missing
        raise CrossbarError(
            f"the nonlinear cells were not solved within {_NEWTON_STEPS} Newton steps: "
            "their current must not fall with voltage, and current_slope must be its derivative"
        )

    def _injected(self, offsets: list[FloatArray]) -> list[Injection]:
        if self.into is None:
            return [(-h, h) for h in offsets]
        return [(word - h, bit + h) for (word, bit), h in zip(self.into.lines, offsets, strict=True)]

    def _stuck(self, tangents: list[Tangent], solution: StackedSolution, missing: float, last: float) -> bool:
        """Whether only rounding is left: that of the node voltages, also where both nodes of a cell are at one."""
        level = sum(
            float((t.slope * (np.abs(part.word) + np.abs(part.bit))).sum())
            for t, part in zip(tangents, solution.stacks, strict=True)
        )
        return missing > 0.5 * last and missing <= 1e-13 * level

    def _limited(
        self,
        before: list[FloatArray],
        known: list[Tangent],
        found: list[FloatArray],
        bits: list[FloatArray],
        tangents: list[Tangent],
        promised: list[FloatArray],
    ) -> tuple[list[FloatArray], list[Tangent]]:
        """Return where the next tangents are taken, and the tangents there."""
        voltages, result = [], []
        for k, bank in enumerate(self.banks):
            at = found[k]
            if not bank.linear:
                at = limited(
                    lambda v, bank=bank, x=self.states[k], b=bits[k]: bank.tangent(x, v, b).current,  # type: ignore[misc]
                    found[k], (before[k], known[k].current), promised[k], tangents[k].current,
                )  # fmt: skip
            voltages.append(at)
            same = at is found[k]
            result.append(
                tangents[k] if same else bank.tangent(self.states[k], at, bits[k], tangents[k].device_voltage)
            )
        return voltages, result


def filtered_error(
    prepared: Plan, rate: float, drives: FloatArray, slopes: Sequence[FloatArray], into: OfNodes
) -> float:
    """Return the largest node voltage [V] that currents ``into`` make in one stage, drives at 0 V."""
    still = np.where(np.isnan(drives), np.nan, 0.0)
    solution = _shunted(prepared, rate).solve(still, slopes, *_given(into, _LOOSE))
    lines = max(float(max(np.abs(part.word).max(), np.abs(part.bit).max())) for part in solution.stacks)
    return max(lines, float(np.abs(solution.net_voltage).max()))
