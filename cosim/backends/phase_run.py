"""One phase in flight: steps, corrections, quadrature.

`cosim.backends.behavioral` tells the method.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cosim.backends import motion
from cosim.backends import response as network
from cosim.backends.response import ArraySolver, Ledger, Prepared, Response
from cosim.crossbar.backend import PhaseRequest
from cosim.crossbar.drive import phase_shape
from cosim.devices.base import FloatArray
from cosim.errors import InternalError

_MAX_STEPS = 1_000_000
_FINEST_BEND = 1 / 512
"""Steps below this part of a stretch are not halved for the power alone."""
_CORRECTIONS = 4
_EDGE_RULE = motion.simpson(8)
_EDGE_NODES = np.linspace(0.0, 1.0, 17)
_ROUGH_RULE = motion.simpson(1)
_ROUGH_NODES = np.linspace(0.0, 1.0, 3)

States = tuple[FloatArray, ...]


@dataclass(frozen=True, slots=True)
class Tolerances:
    """Step control, in fractions of the full state range.

    ``still``: a phase that moves no state by more than this is solved with fixed states. ``weak``: the
    same for one stretch between corners. ``active``: cells that move less in a step do so at fixed
    voltages. ``coupling``: accepted difference between the states that the network was solved for and
    the states that came out. ``step``: accepted difference of two quadrature rules. ``move``: largest
    change in one step. ``power``: largest bend of the power in one step at constant drive, see `_bend`.
    ``voltage``: largest error of the node voltages in one step where lines hold charge, as a part of the
    largest. ``refine``: every stretch is cut into at least so many steps, and none is taken as still or weak (for convergence tests).
    """

    still: float = 1e-8
    weak: float = 5e-5
    active: float = 1e-8
    coupling: float = 5e-6
    step: float = 1e-5
    move: float = 0.15
    power: float = 1e-2
    voltage: float = 1e-5
    refine: int = 1


@dataclass(frozen=True, slots=True, eq=False)
class Point:
    """The network at one instant; ``solved`` are the states that it was solved for, near ``states``."""

    states: States
    solved: States
    device: States
    response: Response


Watch = Callable[[int, float, float, Point, tuple[Response, ...]], None]
"""Sees every step before it counts: stretch, shares of it where the step begins and ends, the network at its
begin, responses at evenly spaced instants of it (two where it is straight between them)."""


@dataclass(frozen=True, slots=True, eq=False)
class _Moves:
    """What every stretch would move at the voltages of the frozen network: per array ``(stretches, ...)``."""

    change: tuple[FloatArray, ...]
    exposure: tuple[FloatArray, ...]


class PhaseRun:
    """One phase in flight."""

    def __init__(self, request: PhaseRequest, wires: bool, tolerances: Tolerances) -> None:
        self.solver: ArraySolver | None = None
        self.request, self.tolerances = request, tolerances
        self.arrays = request.network.arrays
        self.shape, self.net_column = phase_shape(request.phase, request.network.nets)
        self.corners, self.lengths = self.shape.corners, self.shape.lengths
        self.columns = self.shape.columns
        self.prepared: Prepared = network.prepare(request.network, self.shape.driven(self.net_column), wires)
        self.ledger = Ledger(self.prepared)
        self.stochastic = any(array.device.stochastic for array in self.arrays)
        self.responses: dict[int, Response] = {}
        self.steps = 0
        self.watch: Watch | None = None

    @cached_property
    def table(self) -> FloatArray:
        """Voltage of every net at every corner, ``(corners, nets)``; NaN where a net floats."""
        return np.ascontiguousarray(self.columns[:, self.net_column])

    @cached_property
    def exposure(self) -> list[FloatArray]:
        """Exposure of every cell so far, for stochastic devices."""
        return [np.zeros(array.shape) for array in self.arrays]

    def conductances(self, states: States) -> tuple[States, States]:
        """Return per array the device conductances and what the lines see of them [S]."""
        device, seen = [], []
        for array, state in zip(self.arrays, states, strict=True):
            g = array.device.conductance(state)
            device.append(g)
            seen.append(g / (1.0 + array.cell.series_resistance * g) if array.cell.gated else g)
        return tuple(device), tuple(seen)

    def point(self, drives: FloatArray, states: States) -> Point:
        """Solve the network at one instant."""
        device, seen = self.conductances(states)
        if not np.any(np.abs(drives) > 0):
            return Point(states, states, device, network.silent(self.prepared, drives))
        return Point(
            states, states, device, network.solve(self.prepared, seen, drives[None, :], self.solver)[0]
        )

    def frozen(self) -> list[Point]:
        """Return the network at every corner with the states of the start; equal drives share a response."""
        states = self.request.states
        device, seen = self.conductances(states)
        live: NDArray[np.bool_] = np.any(np.abs(self.table) > 0, axis=1)
        rows: dict[bytes, int] = {}
        order = [
            rows.setdefault(drives.tobytes(), k) if alive else -1
            for k, (drives, alive) in enumerate(zip(self.table, live.tolist(), strict=True))
        ]
        distinct = list(rows.values())
        solved = network.solve(self.prepared, seen, self.table[distinct], self.solver) if distinct else []
        by_row = dict(zip(distinct, solved, strict=True))
        by_row[-1] = network.silent(self.prepared, self.table[0])
        return [Point(states, states, device, by_row[row]) for row in order]

    def level(self, points: list[Point]) -> tuple[Response, FloatArray] | None:
        """Return the one live response and its share at each corner, if the phase has but one.

        Most phases are single pulses: every instant is a multiple of one solution.
        """
        live = {id(point.response): k for k, point in enumerate(points) if point.response.net_voltage.any()}
        if len(live) != 1:
            return None
        only = points[next(iter(live.values()))].response
        return only, np.array([1.0 if point.response is only else 0.0 for point in points])

    def quick_moves(
        self, response: Response, shares: FloatArray
    ) -> tuple[list[FloatArray], list[FloatArray]]:
        """Return changes and exposures of a whole single-level phase, three instants an edge."""
        edges = float(np.dot(np.abs(np.diff(shares)), self.lengths))
        flat = float(np.dot(np.minimum(shares[1:], shares[:-1]), self.lengths))
        rest = sum(self.lengths) - edges - flat
        weights = np.array((rest + edges / 6, 4 * edges / 6, flat + edges / 6))
        scale = np.array((0.0, 0.5, 1.0))[:, None, None]
        changes, exposures = [], []
        for a, (array, state) in enumerate(zip(self.arrays, self.request.states, strict=True)):
            across = response.arrays[a].voltage
            low, high = min(0.0, float(across.min())), max(0.0, float(across.max()))
            if (
                not self.stochastic
                and array.device.most_moved(low, high, weights.sum(), self.request.temperature) == 0.0
            ):
                changes.append(np.zeros(array.shape))
                exposures.append(changes[-1])
                continue
            moved, exposed = motion.drift(
                array.device, array.cell.series_resistance, state, array.device.conductance(state),
                scale * across, weights, self.request.temperature,
            )  # fmt: skip
            changes.append(moved.sum(axis=0))
            exposures.append(exposed.sum(axis=0))
        return changes, exposures

    def moves(self, points: list[Point]) -> _Moves:
        """Return what every stretch would move, all states taken as fixed.

        All cells at three instants an edge; those that move by more than `Tolerances.active` once more
        with the fine rule.
        """
        change, exposure = [], []
        for a, array in enumerate(self.arrays):
            if not array.device.moves:
                change.append(np.zeros((len(self.lengths), *array.shape)))
                exposure.append(change[-1])
                continue
            voltage = np.array([point.response.arrays[a].voltage for point in points])
            every: Any = (slice(None), slice(None))
            moved, exposed = self._swept(a, points, voltage, every, _ROUGH_NODES, _ROUGH_RULE)
            cells = np.nonzero((np.abs(moved) > self.tolerances.active).any(axis=0))
            if cells[0].size:
                chosen: Any = (slice(None), *cells)
                moved[chosen], fine = self._swept(a, points, voltage[chosen], cells, _EDGE_NODES, _EDGE_RULE)
                if array.device.stochastic:
                    exposed[chosen] = fine
            change.append(moved)
            exposure.append(exposed if array.device.stochastic else moved)
        return _Moves(tuple(change), tuple(exposure))

    def _swept(
        self,
        a: int,
        points: list[Point],
        voltage: FloatArray,
        cells: Any,
        nodes: FloatArray,
        rule: FloatArray,
    ) -> tuple[FloatArray, FloatArray]:
        """Return changes and exposures ``(stretches, ...cells)`` of some cells of array ``a``."""
        index, weight, share, starts = self._nodes(points, nodes, rule)
        array = self.arrays[a]
        device = array.device if isinstance(cells[0], slice) else array.device.select(cells)
        part = share.reshape(-1, *(1,) * (voltage.ndim - 1))
        moved, exposed = motion.drift(
            device, array.cell.series_resistance, self.request.states[a][cells], points[0].device[a][cells],
            (1.0 - part) * voltage[index] + part * voltage[index + 1], weight, self.request.temperature,
        )  # fmt: skip
        change: FloatArray = np.add.reduceat(moved, starts, axis=0)
        if not array.device.stochastic:
            return change, change
        return change, np.add.reduceat(exposed, starts, axis=0)

    def _nodes(
        self, points: list[Point], nodes: FloatArray, rule: FloatArray
    ) -> tuple[NDArray[np.intp], FloatArray, FloatArray, list[int]]:
        """Return quadrature nodes of all stretches: stretch, weight [s], share of the way, first of each."""
        index: list[int] = []
        weight: list[float] = []
        share: list[float] = []
        starts = []
        for k, length in enumerate(self.lengths):
            starts.append(len(index))
            if points[k].response is points[k + 1].response:
                index.append(k)
                weight.append(length)
                share.append(0.0)
            else:
                index.extend([k] * len(nodes))
                weight.extend((rule * length).tolist())
                share.extend(nodes.tolist())
        return np.array(index), np.array(weight), np.array(share), starts

    def largest(self, changes: list[FloatArray]) -> float:
        """Return the largest absolute change, in fractions of each device's state range."""
        worst = 0.0
        for change, array in zip(changes, self.arrays, strict=True):
            low, high = array.device.state_bounds()
            worst = max(
                worst, float(np.abs(change).max(initial=0.0)) / (high - low if high < np.inf else 1.0)
            )
        return worst


def still(run: PhaseRun, points: list[Point]) -> States | None:
    """Return the final states if no state moves noticeably in the phase, and account it; else None."""
    single = run.level(points)
    if single is not None:
        changes, exposures = run.quick_moves(*single)
    else:
        moves = run.moves(points)
        if run.largest([np.abs(change).sum(axis=0) for change in moves.change]) > run.tolerances.still:
            return None  # two movements may cancel each other, and are none the less
        changes = [change.sum(axis=0) for change in moves.change]
        exposures = [exposure.sum(axis=0) for exposure in moves.exposure]
    if run.largest(changes) > run.tolerances.still:
        return None
    for k, length in enumerate(run.lengths):
        run.ledger.linear(points[k].response, points[k + 1].response, points[k].device, length)
    if run.stochastic:
        run.exposure = exposures
    run.responses = {corner: point.response for corner, point in zip(run.corners, points, strict=True)}
    return tuple(state + change for state, change in zip(run.request.states, changes, strict=True))


def moving(run: PhaseRun, points: list[Point], moves: _Moves) -> States:
    """Integrate the phase with moving states; returns the final ones.

    What the network of the start says about a stretch counts only as long as the states are still those of the
    start; after that the stretch is judged by the network as it then is.
    """
    current = points[0]
    run.responses[run.corners[0]] = current.response
    for k in range(len(run.lengths)):
        travelled = run.largest([a - b for a, b in zip(current.states, run.request.states, strict=True)])
        little = run.tolerances.weak
        if travelled <= run.tolerances.weak:
            end = points[k + 1].response
            expected = [change[k] for change in moves.change], [exposure[k] for exposure in moves.exposure]
        else:
            current = _solved_again(run, current, k)
            end = _end_response(run, current, k)
            expected = _step_moves(run, current, end, run.lengths[k])
            if end is current.response:
                little = run.tolerances.coupling  # strobes see the states move where no drive does
        if run.tolerances.refine == 1 and run.largest(expected[0]) <= little:
            current = _weak(run, current, k, expected, end)
        else:
            current = _strong(run, current, points, k, expected)
        run.responses[run.corners[k + 1]] = current.response
    return current.states


def _solved_again(run: PhaseRun, current: Point, k: int) -> Point:
    """Return the point at the begin of stretch ``k``, solved for its states if it was solved for others."""
    apart = run.largest([a - b for a, b in zip(current.states, current.solved, strict=True)])
    return run.point(run.table[k], current.states) if apart > run.tolerances.weak else current


def _end_response(run: PhaseRun, start: Point, k: int) -> Response:
    """Return the network at the end of stretch ``k``, the states as at its begin."""
    drives = run.table[k + 1]
    if np.array_equal(drives, run.table[k], equal_nan=True):
        return start.response
    if not np.any(np.abs(drives) > 0):
        return network.silent(run.prepared, drives)
    _, seen = run.conductances(start.solved)
    return network.solve(run.prepared, seen, drives[None, :], run.solver)[0]


def _weak(
    run: PhaseRun, start: Point, k: int, moves: tuple[list[FloatArray], list[FloatArray]], end: Response
) -> Point:
    """Advance over a stretch that moves little: conductances fixed, voltages between those of both ends."""
    if run.watch is not None:
        run.watch(k, 0.0, 1.0, start, (start.response, end))
    run.ledger.linear(start.response, end, start.device, run.lengths[k])
    for sums, exposure in zip(run.exposure, moves[1], strict=True):
        sums += exposure
    states = tuple(state + change for state, change in zip(start.states, moves[0], strict=True))
    return Point(states, start.solved, start.device, end)


def _strong(
    run: PhaseRun,
    start: Point,
    points: list[Point],
    k: int,
    moves: tuple[list[FloatArray], list[FloatArray]],
) -> Point:
    """Integrate one stretch between corners in steps, each as long as the tolerances allow."""
    longest = 1.0 / max(run.tolerances.refine, math.ceil(run.largest(moves[0]) / run.tolerances.move))
    done, width, current = 0.0, longest, start
    first, last = run.table[k], run.table[k + 1]
    apart = run.largest([a - b for a, b in zip(start.states, start.solved, strict=True)])
    if apart > run.tolerances.weak or (run.tolerances.refine > 1 and apart > 0):
        current = run.point(first, start.states)
    constant = points[k].response is points[k + 1].response
    while done < 1.0:
        if done + width > 1.0 - 1e-9:
            width = 1.0 - done
        run.steps += 1
        if run.steps > _MAX_STEPS:
            raise InternalError(f"a {run.request.phase.kind} phase needs more than {_MAX_STEPS} steps")
        end = done + width if width < 1.0 - done else 1.0
        middle = done + 0.5 * width
        drives = ((1 - middle) * first + middle * last, (1 - end) * first + end * last)
        whole = done == 0.0 and end == 1.0
        known = moves if whole else None
        bend = constant and width > _FINEST_BEND
        watch = None if run.watch is None else functools.partial(run.watch, k, done, end)
        accepted = take_step(run, current, drives, width * run.lengths[k], known, constant, bend, watch)
        if accepted is None:
            width *= 0.5
            if current.solved is not current.states:
                current = run.point((1 - done) * first + done * last, current.states)
            continue
        current, done = accepted, end
        width = min(2 * width, longest)
    return current


def _step_moves(
    run: PhaseRun, start: Point, end: Response, duration_s: float
) -> tuple[list[FloatArray], list[FloatArray]]:
    """Return per array change and exposure of all cells over a step at the voltages of its two ends."""
    changes, exposures = [], []
    for k, (array, state) in enumerate(zip(run.arrays, start.states, strict=True)):
        if not array.device.moves:
            changes.append(np.zeros(array.shape))
            exposures.append(changes[-1])
            continue
        nodes = _EDGE_NODES[:, None, None]
        voltages = (1 - nodes) * start.response.arrays[k].voltage + nodes * end.arrays[k].voltage
        moved, exposed = motion.drift(
            array.device, array.cell.series_resistance, state, start.device[k], voltages,
            _EDGE_RULE * duration_s, run.request.temperature,
        )  # fmt: skip
        changes.append(moved.sum(axis=0))
        exposures.append(exposed.sum(axis=0))
    return changes, exposures


def take_step(
    run: PhaseRun,
    start: Point,
    drives: tuple[FloatArray, FloatArray],
    duration_s: float,
    moves: tuple[list[FloatArray], list[FloatArray]] | None,
    constant: bool,
    check_power: bool,
    watch: Callable[[Point, tuple[Response, ...]], None] | None,
) -> Point | None:
    """Try one step; returns its end point, or None if it must be halved.

    ``moves``: change and exposure of all cells where they are known already; ``constant``: the drives do
    not change over the step; ``check_power``: refuse a step in which the power bends too much;
    ``watch`` sees the step before it counts.
    """
    middle = end = start
    if not constant:
        middle, end = run.point(drives[0], start.states), run.point(drives[1], start.states)
    changes, exposures = moves if moves is not None else _step_moves(run, start, end.response, duration_s)
    masks = [np.nonzero(np.abs(change) > run.tolerances.active) for change in changes]
    guesses: list[tuple[FloatArray, FloatArray] | None] = [None] * len(run.arrays)
    mismatch = np.inf
    courses: list[motion.Course] = []
    wholes: list[FloatArray] = []
    for _ in range(_CORRECTIONS):
        courses = _courses(run, start, middle, end, masks, guesses, duration_s)
        halves, wholes = [], []
        for state, change, mask, course in zip(start.states, changes, masks, courses, strict=True):
            half, whole = state + 0.5 * change, state + change
            half[mask], whole[mask] = course.middle, course.end
            halves.append(half)
            wholes.append(whole)
        mismatch = max(
            run.largest([a - b for a, b in zip(halves, middle.solved, strict=True)]),
            run.largest([a - b for a, b in zip(wholes, end.solved, strict=True)]),
        )
        if mismatch <= run.tolerances.coupling and end is not start:
            break
        middle, end = run.point(drives[0], tuple(halves)), run.point(drives[1], tuple(wholes))
        guesses = [(course.middle, course.end) for course in courses]
    if mismatch > run.tolerances.coupling or max(course.error for course in courses) > run.tolerances.step:
        return None
    if check_power and _bend(start, middle, end) > run.tolerances.power:
        return None
    if watch is not None:
        watch(start, (start.response, middle.response, end.response))
    if run.stochastic:
        for sums, exposure, mask, course in zip(run.exposure, exposures, masks, courses, strict=True):
            sums += exposure
            sums[mask] += course.exposure - exposure[mask]
    for point, weight in ((start, 1 / 6), (middle, 4 / 6), (end, 1 / 6)):
        run.ledger.add(point.response, point.device, weight * duration_s, weight * duration_s)
    return Point(tuple(wholes), end.solved, end.device, end.response)


def _bend(start: Point, middle: Point, end: Point) -> float:
    """Return how far the power of a step bends: Simpson minus trapezoid, relative to the larger end.

    For a power that decays by a rate k over the step the bend is k^2/12, and the Simpson rule's error
    k^4/2880: a bend of 1 % stands for an error of 5e-6.
    """
    first, half, last = (float(p.response.net_voltage @ p.response.net_current) for p in (start, middle, end))
    largest = max(abs(first), abs(half), abs(last))
    return abs(first - 2 * half + last) / (3 * largest) if largest else 0.0


def _courses(
    run: PhaseRun,
    start: Point,
    middle: Point,
    end: Point,
    masks: list[Any],
    guesses: list[tuple[FloatArray, FloatArray] | None],
    duration_s: float,
) -> list[motion.Course]:
    result = []
    for k, (array, mask, guess) in enumerate(zip(run.arrays, masks, guesses, strict=True)):
        voltages = tuple(point.response.arrays[k].voltage[mask] for point in (start, middle, end))
        result.append(
            motion.course(
                array.device.select(mask), array.cell.series_resistance, start.states[k][mask],
                (voltages[0], voltages[1], voltages[2]), duration_s, run.request.temperature, guess,
            )
        )  # fmt: skip
    return result
