"""Phases of constant drives on many equal small arrays joined at nets: the lane, compiled.

Where numba is at hand, `cosim.backends.blocks_numba` solves, moves and accounts for all arrays at once; `answer` takes the
steps and returns None for a phase of another kind, which the general paths then answer. Of this kind is a phase

* whose drives are constant, on at least `LEAST` ungated arrays of one shape, with one kind of linear cells that follow a
  two-channel law or stand still, and with the same wires everywhere;
* in which every line names one net at most, and at most one floating net joins lines.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cosim.backends.banks import kind
from cosim.backends.phase_run import Tolerances
from cosim.crossbar.backend import Energy, PhaseRequest
from cosim.crossbar.dense import LARGEST
from cosim.crossbar.drive import phase_shape
from cosim.crossbar.elimination import Elimination, eliminate
from cosim.crossbar.lines import numba_available
from cosim.crossbar.network import CrossbarArray, Network
from cosim.devices.base import DeviceModel, FloatArray

if TYPE_CHECKING:
    from cosim.backends.blocks_numba import Ends, Shape

Voltages = tuple[FloatArray, FloatArray, FloatArray]
"""Over the cells at the start, in the middle and at the end of a step [V]."""
LEAST = 2
"""Arrays of the smallest network worth it."""
_CORRECTIONS = 6
_SHRINKS = 0.5
_MOST_STEPS = 4096


class Answer(NamedTuple):
    """What came out; per corner the voltages of all nets and the currents into them."""

    states: tuple[FloatArray, ...]
    voltage: FloatArray
    current: FloatArray
    charge: FloatArray
    energy: Energy
    residual: float
    solutions: int


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """What does not change from phase to phase.

    ``open_net``, ``open_line``: floating nets at single lines, and the flat place ``array * lines + line`` of each.
    """

    device: DeviceModel
    elimination: Elimination
    shape: Shape
    ends: Ends
    open_net: NDArray[np.intp]
    open_line: NDArray[np.intp]


def answer(request: PhaseRequest, wires: bool, tolerances: Tolerances) -> Answer | None:
    """Answer a phase, or return None where it is of another kind; ``wires``: False leaves out all resistance."""
    if len(request.network.arrays) < LEAST or tolerances.refine > 1 or request.phase.stops:
        return None
    nets = request.network.nets
    phase, columns = phase_shape(request.phase, nets)
    levels = phase.columns[0]
    if not bool(np.all((phase.columns == levels) | np.isnan(levels))):
        return None
    driven = ~np.isnan(levels)[columns]
    chosen = plan(request.network, driven.tobytes(), wires)
    law = None if chosen is None else _law(chosen.device, request.temperature)
    if chosen is None or law is None:
        return None
    return _run(request, chosen, law, levels[columns], phase.lengths, tolerances)


class _RefusedError(Exception):
    """The general path must answer: a line without conductance, or too many steps."""


class _Law(NamedTuple):
    number: int
    parameters: FloatArray


@lru_cache(maxsize=256)
def _law(device: DeviceModel, temperature: float) -> _Law | None:
    """Return the compiled law of a device; -1 for one that stands still, with its conductance for a state."""
    if not device.moves:
        return _Law(-1, np.array([[0.0], [1.0]]))
    found = device.two_channel(temperature)
    if found is None or found.parameters.shape[1] > 1 or device.stochastic:
        return None
    return _Law(found.law, found.parameters)


class _Run:
    """One phase in flight; ``x`` ``(arrays, cells)`` are the states now."""

    def __init__(
        self, chosen: Plan, law: _Law, levels: FloatArray, x: FloatArray, tolerances: Tolerances
    ) -> None:
        from cosim.backends import blocks_numba

        self.kernels, self.plan, self.law, self.tolerances = blocks_numba, chosen, law, tolerances
        self.volts = np.where(np.isnan(levels), 0.0, levels)
        lines = chosen.ends.net.shape
        self.points = tuple(
            blocks_numba.Point(
                np.empty(x.shape), np.empty(x.shape), np.empty(lines), np.empty(lines), np.empty(lines),
                np.empty(levels.size),
            )
            for _ in range(3)
        )  # fmt: skip
        self.states = [x, np.empty(x.shape), np.empty(x.shape)]
        self.conductances = [x, x, x]
        self.rates = np.empty((2, *x.shape))
        self.of_nets, self.heat, self.figures = np.zeros((3, levels.size)), np.zeros(x.shape), np.zeros(2)
        self.floating = [0.0, 0.0, 0.0]
        self.residual, self.solutions, self.size = 0.0, 0, math.inf

    def solve(self, part: int) -> None:
        """Solve the arrays at the start (0), in the middle (1) or at the end (2) of a step."""
        low, gain = self.law.parameters[0, 0], self.law.parameters[1, 0]
        g = self.conductances[part] = low + self.states[part] * gain
        plan = self.plan
        pivot, self.floating[part], residual = self.kernels.solve(
            plan.elimination, plan.shape, plan.ends, g, self.volts, self.points[part]
        )
        self.solutions += 1
        self.residual = max(self.residual, residual)
        if not pivot > 0.0:
            raise _RefusedError

    def stretch(self, left: float) -> None:
        """Integrate over ``left`` seconds."""
        for _ in range(_MOST_STEPS):
            h = min(self.size, left)
            if not self._step(h):
                self.size = 0.5 * h
                continue
            self.size, left = 2.0 * h, left - h
            if left <= 0.0:
                return
        raise _RefusedError

    def _step(self, h: float) -> bool:
        """Take a step; return False where it must be shorter."""
        law, t, (x, middle, end) = self.law, self.tolerances, self.states
        cells = self.points[0].cell, self.points[1].cell, self.points[2].cell
        moved = 0.0
        if law.number >= 0:
            moved = self.kernels.predict(law.number, law.parameters, x, cells[0], h, middle, end)
        if moved <= t.still:
            self._account(0, h)
            if law.number >= 0:
                x[:] = end
            return True
        if moved > t.move:
            return False
        self.solve(2)  # a first guess with voltages on a straight line; a step that is too long shows at once
        np.add(cells[0], cells[2], out=cells[1])
        cells[1][:] *= 0.5
        before = np.array((middle, end))
        apart, error = self._travel(cells, h, first=True)
        if error > t.step:
            return False
        last: FloatArray | None = np.array((middle, end)) - before
        for _ in range(_CORRECTIONS):
            self.solve(1)
            self.solve(2)
            before = np.array((middle, end))
            apart, error = self._travel(cells, h, first=False)
            if apart <= t.coupling or error > t.step:
                break
            last = _extrapolate((middle, end), np.array((middle, end)) - before, last)
        if apart > t.coupling or error > t.step or self._bend() > t.power:
            return False
        for part, weight in enumerate((h / 6.0, 4.0 * h / 6.0, h / 6.0)):
            self._account(part, weight)
        x[:] = end
        self.points = (self.points[2], self.points[1], self.points[0])
        self.conductances[0], self.floating[0] = self.conductances[2], self.floating[2]
        return True

    def _travel(self, cells: Voltages, h: float, first: bool) -> tuple[float, float]:
        law, (x, middle, end) = self.law, self.states
        found: tuple[float, float] = self.kernels.travel(
            law.number, law.parameters, x, cells, h, middle, end, self.rates, first
        )
        return found

    def _bend(self) -> float:
        """Return how far the power of a step bends, as in `cosim.backends.phase_run`."""
        first, half, last = (float(self.volts @ point.current) for point in self.points)
        largest = max(abs(first), abs(half), abs(last))
        return abs(first - 2 * half + last) / (3 * largest) if largest else 0.0

    def _account(self, part: int, weight: float) -> None:
        plan = self.plan
        self.kernels.account(
            plan.shape, plan.ends, self.conductances[part], self.points[part], self.volts, weight, self.of_nets, self.heat,
            self.figures,
        )  # fmt: skip

    def sample(self, levels: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return voltages and currents of all nets at the start of the next step."""
        plan, point, voltage = self.plan, self.points[0], levels.copy()
        voltage[plan.open_net] = point.end.reshape(-1)[plan.open_line]
        if plan.ends.float_net >= 0:
            voltage[plan.ends.float_net] = self.floating[0]
        return voltage, point.current.copy()


def _extrapolate(
    states: tuple[FloatArray, FloatArray], change: FloatArray, last: FloatArray | None
) -> FloatArray | None:
    """Move states on to where two corrections of a fixed-point iteration lead (Aitken); return the last correction.

    Each array for itself, for arrays hardly feel one another. Nothing is extrapolated from a first correction, or from two
    that shrink slowly.
    """
    if last is None:
        return change
    whole = np.einsum("pac,pac->a", last, last)
    part = np.einsum("pac,pac->a", change, last)
    shrinks = np.abs(part) < _SHRINKS * whole
    ratio = np.divide(part, whole, out=np.zeros_like(part), where=shrinks)
    for state, moved in zip(states, change, strict=True):
        state += (ratio / (1.0 - ratio))[:, None] * moved
    return None


def _run(
    request: PhaseRequest, chosen: Plan, law: _Law, levels: FloatArray, lengths: tuple[float, ...],
    tolerances: Tolerances,
) -> Answer | None:  # fmt: skip
    before = np.array(request.states)
    x = before.reshape(len(before), -1).copy()
    if law.number < 0:
        x = np.ascontiguousarray(chosen.device.conductance(x))
    run = _Run(chosen, law, levels, x, tolerances)
    try:
        run.solve(0)
        samples = [run.sample(levels)]
        for length in lengths:
            run.stretch(length)
            samples.append(run.sample(levels))
    except _RefusedError:
        return None
    states = request.states if law.number < 0 else tuple(x.reshape(before.shape))
    delivered, absorbed, charge = run.of_nets
    wires, terminations = run.figures.tolist()
    energy = Energy(delivered, absorbed, tuple(run.heat.reshape(before.shape)), 0.0, wires, terminations)
    voltage, current = (np.array(values) for values in zip(*samples, strict=True))
    return Answer(states, voltage, current, charge, energy, run.residual, run.solutions)


@lru_cache(maxsize=256)
def plan(network: Network, driven: bytes, wires: bool) -> Plan | None:
    """Return the plan of a network, or None where it is of another kind; ``driven``: one byte for each net."""
    arrays = network.arrays
    if not numba_available() or not _alike(arrays):
        return None
    held = np.frombuffer(driven, dtype=np.bool_)
    lines = [_named(network, array) for array in arrays]
    if any(own is None for own in lines):
        return None
    net = np.array([own[0] for own in lines if own is not None])
    far = np.array([own[1] for own in lines if own is not None])
    uses = np.bincount(net[net >= 0], minlength=len(network.nets))
    joined = np.flatnonzero(~held & (uses > 1))
    if len(joined) > 1:
        return None
    tied = (net >= 0) & (held[net] | (uses[net] > 1))
    if not bool(tied.any(axis=1).all()):
        return None
    from cosim.backends.blocks_numba import Ends, Shape

    first = arrays[0]
    factor = 1.0 if wires else 0.0
    r_word, r_bit = factor * _single(first.word_segments), factor * _single(first.bit_segments)
    heat = factor * np.array([_end_resistances(array, side) for array, side in zip(arrays, far, strict=True)])
    segment = np.repeat([r_word, r_bit], [first.rows, first.columns])
    with np.errstate(divide="ignore"):
        conductance = 1.0 / (heat + segment)
    open_array, open_line = np.nonzero((net >= 0) & ~tied)
    elimination = eliminate(first.rows, first.columns, r_word > 0, r_bit > 0)
    floating = int(joined[0]) if len(joined) else -1
    ends = Ends(
        np.where(tied, net, -1), _end_nodes(elimination, first, far), conductance, far, heat, floating
    )
    places = open_array * net.shape[1] + open_line
    shape = Shape(first.rows, first.columns, r_word, r_bit)
    return Plan(first.device, elimination, shape, ends, net[open_array, open_line], places)


def _alike(arrays: tuple[CrossbarArray, ...]) -> bool:
    """Tell whether arrays share shape, cells and wires of one finite resistance, and are small and ungated."""
    first = arrays[0]
    if first.rows * first.columns > LARGEST or not first.linear:
        return False
    if any(a.cell.gated or a.shape != first.shape for a in arrays) or len({kind(a) for a in arrays}) > 1:
        return False
    segments = {(a.segments.r_word_line, a.segments.r_bit_line) if _even(a) else None for a in arrays}
    return len(segments) == 1 and None not in segments


def _even(array: CrossbarArray) -> bool:
    s = array.segments
    return not isinstance(s.r_word_line, np.ndarray) and not isinstance(s.r_bit_line, np.ndarray) and np.isfinite(
        s.r_word_line + s.r_bit_line
    )  # fmt: skip


def _single(segments: FloatArray) -> float:
    return float(segments[0, 0])


def _named(network: Network, array: CrossbarArray) -> tuple[list[int], list[bool]] | None:
    """Return per line the net that it names or -1, and whether at its far end; None if a line names two."""
    net: list[int] = []
    far: list[bool] = []
    for near_side, far_side, count in (
        (array.left, array.right, array.rows),
        (array.top, array.bottom, array.columns),
    ):
        for k in range(count):
            near = near_side[k] if near_side is not None else None
            other = far_side[k] if far_side is not None else None
            if near is not None and other is not None:
                return None
            name = near if near is not None else other
            net.append(-1 if name is None else network.net_index[name])
            far.append(other is not None)
    return net, far


def _end_nodes(elimination: Elimination, array: CrossbarArray, far: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Return the node at the end of every line, ``(arrays, lines)``."""
    word, bit = elimination.word.reshape(array.shape), elimination.bit.reshape(array.shape)
    near_nodes, far_nodes = np.concatenate((word[:, 0], bit[0])), np.concatenate((word[:, -1], bit[-1]))
    return np.where(far, far_nodes, near_nodes)


def _end_resistances(array: CrossbarArray, far: NDArray[np.bool_]) -> FloatArray:
    """Return the resistance between segment and net of every line [ohm]."""
    word, bit = far[: array.rows], far[array.rows :]
    return np.concatenate(
        (np.where(word, array.r_right, array.r_left), np.where(bit, array.r_bottom, array.r_top))
    )
