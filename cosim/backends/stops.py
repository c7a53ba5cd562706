"""Stop conditions on the behavioral backend: the crossing by root finding, then the rest of the phase.

A phase is run while a watch sees every step before it counts. Where a condition's quantity crosses its
threshold in a step, the step is not taken. Its three responses give the crossing to about a thousandth
of the step; the phase is run up to shortly before it, and the response there gives it to a few millionths
(a cubic). The rest of the phase, with the drives of `cosim.crossbar.stopping.effective_phase`, is a phase
of its own that begins there, and is watched for the other conditions.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from cosim.backends.phase_run import PhaseRun, Point, States, moving, still, take_step
from cosim.backends.response import Ledger, Response
from cosim.crossbar.backend import PhaseRequest, PhaseResult
from cosim.crossbar.drive import Phase, StopCondition
from cosim.crossbar.network import Network
from cosim.crossbar.stopping import (
    Stop,
    beyond,
    effective_phase,
    met,
    open_conditions,
    plateau_fs,
    remainder,
)
from cosim.devices.base import FloatArray
from cosim.units import seconds

_EARLY = 1e-3
"""Part of a step by which the phase is run less far than the first estimate of the crossing."""

_SAMPLES = 12
_FINE = 1e-4

Start = Callable[[PhaseRequest], PhaseRun]


@dataclass(slots=True)
class WatchedRun:
    """A phase with stop conditions as it happened; instants in femtoseconds of the whole phase.

    ``phase`` is the plain phase that happens, as far as the conditions that were met say.
    """

    request: PhaseRequest
    phase: Phase
    states: States
    ledger: Ledger
    exposure: list[FloatArray]
    responses: dict[int, Response]
    stops: list[Stop]
    elapsed: int = 0

    def stop(self, stop: Stop) -> None:
        """Note that a condition was met."""
        self.stops.append(stop)
        self.phase = effective_phase(self.request.phase, self.stops)

    def rest(self, phase: Phase) -> PhaseRequest:
        """Return the request of a phase that begins now."""
        return dataclasses.replace(self.request, phase=phase, states=self.states)

    def add(self, run: PhaseRun, states: States, duration_fs: int) -> None:
        """Append what a run has accounted, and where it came to."""
        self.ledger.responses += run.ledger.responses
        self.ledger.devices += run.ledger.devices
        self.ledger.power_weights += run.ledger.power_weights
        self.ledger.charge_weights += run.ledger.charge_weights
        for sums, more in zip(self.exposure, run.exposure, strict=True):
            sums += more
        self.responses |= {self.elapsed + instant: found for instant, found in run.responses.items()}
        self.states = states
        self.elapsed += duration_fs


@dataclass(frozen=True, slots=True, eq=False)
class _Step:
    """The step in which a condition is met: stretch of the run, shares of it where the step begins and ends."""

    stretch: int
    begin: float
    end: float
    start: Point
    responses: tuple[Response, ...]
    condition: int
    share: float


class _MetError(Exception):
    """Ends a run where a condition is met; holds the `_Step`."""

    def __init__(self, step: _Step) -> None:
        self.step = step
        super().__init__()


def run_watched(request: PhaseRequest, start: Start) -> WatchedRun:
    """Run a phase with stop conditions; ``start`` prepares the run of a plain one on the same network."""
    first = start(request)
    zeros: list[FloatArray] = [np.zeros(array.shape) for array in request.network.arrays]
    whole = WatchedRun(
        request, effective_phase(request.phase, ()), request.states, Ledger(first.prepared), zeros, {}, []
    )
    run = first
    while _advance(whole, run, _Watch(request.phase, open_conditions(request.phase, whole.stops), run)):
        if whole.elapsed >= whole.phase.duration_fs:
            break
        run = start(whole.rest(remainder(whole.phase, whole.elapsed)))
    return whole


class _Watch:
    """Compares every step with the conditions that are open; raises `_MetError` at the first crossing."""

    def __init__(self, phase: Phase, conditions: Sequence[int], run: PhaseRun) -> None:
        index = run.request.network.net_index
        self._seen = [(k, phase.stops[k]) for k in conditions if phase.stops[k].net in index]
        self._network = run.request.network

    def __call__(
        self, k: int, begin: float, end: float, start: Point, responses: tuple[Response, ...]
    ) -> None:
        found = [
            (share, condition)
            for condition, stop in self._seen
            if (share := _crossing([quantity(stop, each, self._network) for each in responses])) is not None
        ]
        if found:
            share, condition = min(found)
            raise _MetError(_Step(k, begin, end, start, responses, condition, share))


def quantity(condition: StopCondition, response: Response, network: Network) -> float:
    """Return how far the quantity of a condition lies beyond its threshold [V or A]."""
    values = response.net_voltage if condition.quantity == "voltage" else response.net_current
    return beyond(condition, float(values[network.net_index[condition.net]]))


def _crossing(values: list[float]) -> float | None:
    """Return where values at evenly spaced instants of 0..1 first rise through zero, or None."""
    nodes = [k / (len(values) - 1) for k in range(len(values))]
    for k in range(len(values) - 1):
        if values[k] < 0 <= values[k + 1]:
            return _root(nodes, values, nodes[k], nodes[k + 1])
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


def _advance(whole: WatchedRun, run: PhaseRun, watch: _Watch) -> bool:
    """Run what is left of the phase to its end, or to where a condition is met (then return True)."""
    points = run.frozen()
    states = still(run, points) if run.tolerances.refine == 1 else None
    try:
        if states is not None:
            for k, (point, following) in enumerate(itertools.pairwise(points)):
                watch(k, 0.0, 1.0, point, (point.response, following.response))
        else:
            run.watch = watch
            states = moving(run, points, run.moves(points))
    except _MetError as signal:
        step = signal.step
    else:
        whole.add(run, states, run.request.phase.duration_fs)
        return False
    whole.stop(_stop(whole, run, step, moved=states is None))
    return True


def _stop(whole: WatchedRun, run: PhaseRun, step: _Step, *, moved: bool) -> Stop:
    """Return the stop of a step; runs the phase up to shortly before it where states move in the step.

    A run whose states stayed still (not ``moved``) has accounted all of itself, so it does not count.
    """
    offset, first = whole.elapsed, run.corners[step.stretch]
    length = run.corners[step.stretch + 1] - first
    begin, end = first + round(step.begin * length), first + round(step.end * length)
    crossing, passed = begin + step.share * (end - begin), begin
    if moved:
        aim = math.floor(crossing - _EARLY * (end - begin))
        near = _approach(run, step, begin, aim) if len(step.responses) > 2 and aim > begin else None
        if near is not None:
            passed = aim
            crossing = begin + _closer(whole.request, step, near, (aim - begin) / (end - begin)) * (
                end - begin
            )
        whole.add(run, near.states if near is not None else step.start.states, passed)
    else:
        passed = 0
    return met(whole.request.phase, step.condition, offset + round(crossing), offset + passed)


def _approach(run: PhaseRun, step: _Step, begin: int, aim: int) -> Point | None:
    """Run from the begin of a step to an instant in it, and account that."""
    first = run.corners[step.stretch]
    length = run.corners[step.stretch + 1] - first
    low, high = run.table[step.stretch], run.table[step.stretch + 1]
    middle, end = (0.5 * (begin + aim) - first) / length, (aim - first) / length
    drives = ((1 - middle) * low + middle * high, (1 - end) * low + end * high)
    constant = bool(np.array_equal(low, high, equal_nan=True))
    return take_step(run, step.start, drives, seconds(aim - begin), None, constant, False, None)


def _closer(request: PhaseRequest, step: _Step, near: Point, at: float) -> float:
    """Return the crossing as a share of the step, from its responses and the one at share ``at`` of it."""
    condition, network = request.phase.stops[step.condition], request.network
    first, middle, last = (quantity(condition, each, network) for each in step.responses)
    values = (first, quantity(condition, near.response, network), middle, last)
    if values[1] >= 0:
        low, high = 0.0, at
    else:
        low, high = at, 0.5 if at < 0.5 and middle >= 0 else 1.0
    return _root((0.0, at, 0.5, 1.0), values, low, high)


def sampled_stops(request: PhaseRequest, answer: Callable[[PhaseRequest], PhaseResult]) -> list[Stop]:
    """Return the stops of a phase on any circuit, from strobes of plain phases that ``answer`` runs.

    For what `run_watched` does not see into. Each stretch between corners is sampled at `_SAMPLES` instants, the
    interval with the first crossing again, until it is shorter than `_FINE` of the plateau; a quantity that
    crosses twice between two samples is missed. Costs about four runs of the phase up to the crossing.
    """
    stops: list[Stop] = []
    fine = max(1, round(_FINE * plateau_fs(request.phase)))
    while conditions := open_conditions(request.phase, stops):
        phase = effective_phase(request.phase, stops)
        begin = max((stop.crossing_fs for stop in stops), default=0)
        grid = _grid([begin, *(corner for corner in phase.corners_fs() if corner > begin)])
        found = _first_sampled(request, phase, grid, conditions, answer)
        while found is not None and found[1] - found[0] > fine:
            closer = _first_sampled(request, phase, _grid(list(found[:2])), conditions, answer)
            if closer is None:
                break
            found = closer
        if found is None:
            return stops
        low, high, share, condition = found
        stops.append(met(request.phase, condition, low + round(share * (high - low))))
    return stops


def _grid(corners: list[int]) -> list[int]:
    parts = [
        first + (last - first) * k // _SAMPLES
        for first, last in itertools.pairwise(corners)
        for k in range(_SAMPLES)
    ]
    return sorted({*parts, corners[-1]})


def _first_sampled(
    request: PhaseRequest,
    phase: Phase,
    grid: list[int],
    conditions: Sequence[int],
    answer: Callable[[PhaseRequest], PhaseResult],
) -> tuple[int, int, float, int] | None:
    """Return the samples around the first crossing [fs], the share of the way (straight), the condition; or None."""
    plain = dataclasses.replace(phase, duration_fs=grid[-1], strobes_fs=tuple(grid), save=())
    samples = answer(dataclasses.replace(request, phase=plain)).samples
    found = []
    for condition in conditions:
        stop = request.phase.stops[condition]
        if stop.net not in samples.nets:
            continue
        column = samples.nets.index(stop.net)
        values = (samples.voltage if stop.quantity == "voltage" else samples.current)[:, column]
        beyonds = [beyond(stop, value) for value in values.tolist()]
        for k, (before, after) in enumerate(itertools.pairwise(beyonds)):
            if before < 0 <= after:
                share = before / (before - after)
                found.append((grid[k] + share * (grid[k + 1] - grid[k]), k, share, condition))
                break
    if not found:
        return None
    _, k, share, condition = min(found)
    return grid[k], grid[k + 1], share, condition
