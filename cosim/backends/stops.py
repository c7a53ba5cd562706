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
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from cosim.backends.crossings import Crossing, Watch
from cosim.backends.phase_run import PhaseRun, Point, States, moving, still, take_step
from cosim.backends.response import Ledger, Response
from cosim.crossbar.backend import PhaseRequest
from cosim.crossbar.drive import Phase
from cosim.crossbar.stopping import (
    Stop,
    effective_phase,
    met,
    remainder,
)
from cosim.devices.base import FloatArray
from cosim.units import seconds

_EARLY = 1e-3
"""Part of a step by which the phase is run less far than the first estimate of the crossing."""

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
    crossing: Crossing


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
    run, watch = first, Watch(request.phase, request.network)
    while _advance(whole, run, watch):
        watch.open(whole.stops)
        if whole.elapsed >= whole.phase.duration_fs:
            break
        run = start(whole.rest(remainder(whole.phase, whole.elapsed)))
    return whole


class _Watch:
    """Compares every step with the conditions that are open; raises `_MetError` at the first crossing."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch

    def __call__(
        self, k: int, begin: float, end: float, start: Point, responses: tuple[Response, ...]
    ) -> None:
        last = len(responses) - 1
        crossing = self._watch.crossing([node / last for node in range(last + 1)], responses)
        if crossing is not None:
            raise _MetError(_Step(k, begin, end, start, responses, crossing))


def _advance(whole: WatchedRun, run: PhaseRun, watch: Watch) -> bool:
    """Run what is left of the phase to its end, or to where a condition is met (then return True)."""
    look = _Watch(watch)
    points = run.frozen()
    states = still(run, points) if run.tolerances.refine == 1 else None
    try:
        if states is not None:
            for k, (point, following) in enumerate(itertools.pairwise(points)):
                look(k, 0.0, 1.0, point, (point.response, following.response))
        else:
            run.watch = look
            states = moving(run, points, run.moves(points))
    except _MetError as signal:
        step = signal.step
    else:
        whole.add(run, states, run.request.phase.duration_fs)
        return False
    whole.stop(_stop(whole, run, step, watch, moved=states is None))
    return True


def _stop(whole: WatchedRun, run: PhaseRun, step: _Step, watch: Watch, *, moved: bool) -> Stop:
    """Return the stop of a step; runs the phase up to shortly before it where states move in the step.

    A run whose states stayed still (not ``moved``) has accounted all of itself, so it does not count.
    """
    offset, first = whole.elapsed, run.corners[step.stretch]
    length = run.corners[step.stretch + 1] - first
    begin, end = first + round(step.begin * length), first + round(step.end * length)
    crossing, passed = begin + step.crossing.share * (end - begin), begin
    if moved:
        aim = math.floor(crossing - _EARLY * (end - begin))
        near = _approach(run, step, begin, aim) if len(step.responses) > 2 and aim > begin else None
        if near is not None:
            passed = aim
            closer = watch.closer(step.crossing, (aim - begin) / (end - begin), near.response)
            crossing = begin + closer.share * (end - begin)
        whole.add(run, near.states if near is not None else step.start.states, passed)
    else:
        passed = 0
    return met(whole.request.phase, step.crossing.condition, offset + round(crossing), offset + passed)


def _approach(run: PhaseRun, step: _Step, begin: int, aim: int) -> Point | None:
    """Run from the begin of a step to an instant in it, and account that."""
    first = run.corners[step.stretch]
    length = run.corners[step.stretch + 1] - first
    low, high = run.table[step.stretch], run.table[step.stretch + 1]
    middle, end = (0.5 * (begin + aim) - first) / length, (aim - first) / length
    drives = ((1 - middle) * low + middle * high, (1 - end) * low + end * high)
    constant = bool(np.array_equal(low, high, equal_nan=True))
    return take_step(run, step.start, drives, seconds(aim - begin), None, constant, False, None)
