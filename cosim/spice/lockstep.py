"""Stop conditions while ngspice runs: what its callbacks answer.

The drivers that may have to ramp are external sources, which ask for their voltage at every iteration.
Before every step the quantities at the last accepted point are compared with their thresholds. Steps
that would pass a crossing are shortened (extrapolation by a parabola through the last three points), so
that the step with the crossing lasts at most `Watch.resolution_s`; the crossing lies on the straight line
between its ends. Where the extrapolation failed the analysis is repeated with short steps there. Where
the phase ends, the source `FLAG` rises and ngspice pauses for good.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cosim.crossbar.drive import Phase, Waveform
from cosim.crossbar.stopping import Stop, beyond, effective_phase, met, open_conditions, voltage_at
from cosim.units import seconds

FLAG = "stopflag"
"""Node whose voltage pauses the analysis, and the name of its source."""
RESOLUTION = 5e-5
"""Longest step with a crossing, as a part of the phase's longest plateau."""
PAUSE = f"stop when v({FLAG}) > 0.5"
_CAREFUL = 0.75
_AFTER_BEND = 0.05
_FEMTO = 1e15


@dataclass(frozen=True)
class Watch:
    """What the callbacks need to know of a phase; a plain value that travels to the worker.

    ``sources``: for each external source (lower case, with its ``v``) a net that it drives.
    ``vectors``: for each stop condition the saved vector that it watches and the factor from that to the
    quantity, or None where nothing conducts to its net. ``resolution_s``: see `RESOLUTION`.
    """

    phase: Phase
    sources: Mapping[str, str]
    vectors: tuple[tuple[str, float] | None, ...]
    resolution_s: float


@dataclass
class Reaction:
    """One run of a `Watch`: follows the accepted points and answers for the external sources.

    ``windows`` are the intervals [s] in which every step must be short.
    """

    watch: Watch
    windows: list[tuple[float, float]] = field(default_factory=list)
    stops: list[Stop] = field(default_factory=list)
    missed: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        self._points: list[tuple[float, list[float]]] = []
        self._bends: list[float] = []
        self._follow()

    @property
    def vectors(self) -> list[str]:
        """The watched vectors; `limit` takes their values in this order."""
        return [vector[0] for vector in self.watch.vectors if vector is not None]

    @property
    def finished(self) -> bool:
        """Whether the phase ended before it was asked to."""
        return bool(self.stops) and self._end < seconds(self.watch.phase.duration_fs)

    def _follow(self) -> None:
        """Take the drives, the end and the open conditions from the stops so far."""
        phase = effective_phase(self.watch.phase, self.stops)
        self._waves: dict[str, Waveform] = {
            source: phase.drives[net] for source, net in self.watch.sources.items()
        }
        self._end = seconds(phase.duration_fs)
        self._open = set(open_conditions(self.watch.phase, self.stops))
        changed = {t for s in self.stops for t in self._corners(s)}
        self._bends = sorted({*(seconds(t) for t in changed), self._end})

    def _corners(self, stop: Stop) -> tuple[int, int]:
        return stop.ramp_fs, stop.ramp_fs + self.watch.phase.stops[stop.condition].ramp_fs

    def voltage(self, source: str, time: float) -> float:
        """Return the voltage [V] of an external source."""
        if source == f"v{FLAG}":
            ended = time >= self._end * (1 - 1e-12) and (self.finished or self.missed is not None)
            return 1.0 if ended else 0.0
        return voltage_at(self._waves[source], time * _FEMTO)

    def limit(self, time: float, step: float, values: Sequence[float]) -> float:
        """Return the next step [s] after the accepted point at ``time``; ngspice has proposed ``step``."""
        if values and (not self._points or time > self._points[-1][0]):
            self._accept(time, self._quantities(values))
        step = min(step, self._landing(time, step))
        for low, high in self.windows:
            if time < low:
                step = min(step, low - time)
            elif time < high:
                step = min(step, self.watch.resolution_s)
        return min([step, *(self._before_crossing(condition, step) for condition in self._open)])

    def _quantities(self, values: Sequence[float]) -> list[float]:
        """Return how far the quantity of each condition lies beyond its threshold."""
        result, left = [], iter(values)
        for condition, vector in zip(self.watch.phase.stops, self.watch.vectors, strict=True):
            result.append(-math.inf if vector is None else beyond(condition, vector[1] * next(left)))
        return result

    def _accept(self, time: float, values: list[float]) -> None:
        before = self._points[-1] if self._points else (0.0, [math.inf] * len(values))
        self._points = [*self._points[-2:], (time, values)]
        crossed = [
            (before[0] + (time - before[0]) * a / (a - b), condition)
            for condition in sorted(self._open)
            if (a := before[1][condition]) < 0 <= (b := values[condition])
        ]
        if not crossed:
            return
        if time - before[0] > 1.001 * self.watch.resolution_s and (before[0], time) not in self.windows:
            self.missed, self._end = (before[0], time), 0.0
            return
        for instant, condition in sorted(crossed):
            if condition in open_conditions(self.watch.phase, self.stops):
                now = math.ceil(time * _FEMTO)
                self.stops.append(met(self.watch.phase, condition, round(instant * _FEMTO), now))
        self._follow()

    def _landing(self, time: float, step: float) -> float:
        """Return the longest step that does not pass a bend of the drives that ngspice does not know of."""
        tiny = 1e-9 * self._end
        for k, bend in enumerate(self._bends):
            if bend > time + tiny:
                following = bend - time
                if k and abs(time - self._bends[k - 1]) <= tiny + self.watch.resolution_s:
                    return min(following, max(_AFTER_BEND * following, 0.1 * step))
                return following
        return step

    def _before_crossing(self, condition: int, step: float) -> float:
        """Return the longest step that does not pass the expected crossing of a condition."""
        shortest = self.watch.resolution_s
        if len(self._points) < 2 or step <= shortest:
            return step
        (t1, v1), (t2, v2) = self._points[-2:]
        a, b = v1[condition], v2[condition]
        if not -math.inf < b < 0:
            return step
        slope, bend = (b - a) / (t2 - t1), 0.0
        if len(self._points) > 2:
            t0, v0 = self._points[-3]
            earlier = (a - v0[condition]) / (t1 - t0)
            bend = (slope - earlier) / (t2 - t0)
            slope += bend * (t2 - t1)
        expected = _rise_time(-b, slope, bend)
        if expected >= step:
            return step
        return max(_CAREFUL * expected, shortest)


def _rise_time(distance: float, slope: float, bend: float) -> float:
    """Return the first positive time at which ``slope t + bend t^2`` reaches ``distance``, or infinity."""
    root = slope * slope + 4 * bend * distance
    if root < 0:
        return math.inf
    denominator = slope + math.sqrt(root)
    return 2 * distance / denominator if denominator > 0 else math.inf
