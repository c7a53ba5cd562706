"""What stop conditions make of a phase: when they are met, and the drives that then hold.

A condition is met where its net's voltage or current crosses the threshold in the given direction. Its
drivers then go on for the delay and ramp to the level. A condition counts once; a net ramps once. The
phase ends when the drivers of all conditions have ramped, else where it was asked to end; a ramp that
would end later is shortened. So a phase with stop conditions has the outcome of a plain one: its
`effective_phase`.
"""

from __future__ import annotations

import dataclasses
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from cosim.crossbar.drive import Phase, StopCondition, Waveform, distinct


@dataclass(frozen=True, slots=True)
class Stop:
    """A stop condition that was met.

    ``condition``: its position in `Phase.stops`; ``crossing_fs``: when the threshold was crossed;
    ``ramp_fs``: when its drivers began to ramp (after the delay).
    """

    condition: int
    crossing_fs: int
    ramp_fs: int


def met(phase: Phase, condition: int, crossing_fs: int, earliest_fs: int = 0) -> Stop:
    """Return the `Stop` of a condition that is met at ``crossing_fs``.

    ``earliest_fs``: before this instant no driver can react any more (a simulator has passed it).
    """
    return Stop(condition, crossing_fs, max(crossing_fs + phase.stops[condition].delay_fs, earliest_fs))


def open_conditions(phase: Phase, stops: Sequence[Stop]) -> tuple[int, ...]:
    """Return the positions of the conditions that can still stop something."""
    stopped = {net for stop in stops for net in phase.stops[stop.condition].nets}
    counted = {stop.condition for stop in stops}
    return tuple(
        k for k, each in enumerate(phase.stops) if k not in counted and not stopped.issuperset(each.nets)
    )


def voltage_at(waveform: Waveform, time_fs: float) -> float:
    """Return the voltage [V] at one instant."""
    times, voltages = waveform.times_fs, waveform.voltages
    after = bisect_right(times, time_fs)
    if after == 0:
        return voltages[0]
    if after == len(times):
        return voltages[-1]
    share = (time_fs - times[after - 1]) / (times[after] - times[after - 1])
    return voltages[after - 1] + share * (voltages[after] - voltages[after - 1])


def ramped(waveform: Waveform, start_fs: int, level: float, end_fs: int) -> Waveform:
    """Return a waveform that leaves ``waveform`` at ``start_fs`` and reaches ``level`` [V] at ``end_fs``."""
    before = [(t, v) for t, v in zip(waveform.times_fs, waveform.voltages, strict=True) if t < start_fs]
    points = [*before, (start_fs, voltage_at(waveform, start_fs)), (end_fs, level)]
    return Waveform(tuple(t for t, _ in points), tuple(v for _, v in points))


def effective_phase(phase: Phase, stops: Sequence[Stop]) -> Phase:
    """Return the plain phase that ``phase`` became through ``stops``; strobes after its end are left out."""
    drives, ends = dict(phase.drives), dict[str, int]()
    for stop in sorted(stops, key=lambda each: (each.ramp_fs, each.condition)):
        condition = phase.stops[stop.condition]
        end = min(stop.ramp_fs + condition.ramp_fs, phase.duration_fs)
        shared: dict[int, Waveform] = {}
        for net in condition.nets:
            if net in ends:
                continue
            ends[net] = end
            wave = phase.drives[net]
            if stop.ramp_fs < end and not (wave.is_level and wave.voltages[0] == condition.level):
                if id(wave) not in shared:
                    shared[id(wave)] = ramped(wave, stop.ramp_fs, condition.level, end)
                drives[net] = shared[id(wave)]
    named = {net for condition in phase.stops for net in condition.nets}
    duration = max(ends.values()) if stops and named <= ends.keys() else phase.duration_fs
    strobes = tuple(strobe for strobe in phase.strobes_fs if strobe <= duration)
    return dataclasses.replace(phase, duration_fs=duration, drives=drives, strobes_fs=strobes, stops=())


def remainder(phase: Phase, start_fs: int) -> Phase:
    """Return what is left of a phase after ``start_fs``, as a phase of its own."""
    if start_fs == 0:
        return phase
    shifted: dict[int, Waveform] = {}
    for wave in distinct(phase.drives.values()):
        after = [(t - start_fs, v) for t, v in zip(wave.times_fs, wave.voltages, strict=True) if t > start_fs]
        points = [(0, voltage_at(wave, start_fs)), *after]
        shifted[id(wave)] = wave if wave.is_level else Waveform(*zip(*points, strict=True))
    return dataclasses.replace(
        phase,
        duration_fs=phase.duration_fs - start_fs,
        drives={net: shifted[id(wave)] for net, wave in phase.drives.items()},
        strobes_fs=tuple(strobe - start_fs for strobe in phase.strobes_fs if strobe > start_fs),
        stops=(),
    )


def beyond(condition: StopCondition, value: float) -> float:
    """Return how far ``value`` lies beyond the threshold in the condition's direction (negative: before)."""
    distance = value - condition.threshold
    return distance if condition.direction == "rising" else -distance


def plateau_fs(phase: Phase) -> int:
    """Return the longest stretch between corners in which a driven net is not at 0 V; else the duration."""
    corners = phase.corners_fs()
    waves = distinct(phase.drives.values())
    live = [
        later - earlier
        for earlier, later in pairwise(corners)
        if any(voltage_at(wave, 0.5 * (earlier + later)) for wave in waves)
    ]
    return max(live, default=phase.duration_fs)
