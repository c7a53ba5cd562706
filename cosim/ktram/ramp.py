"""Read-out by a swept reference: comparators trip as it passes the sampled lanes, the strongest first.

The reference goes from +V to -V within ``ramp``, so a lane of activation y trips at ``ramp (1 - y) / 2``. One sweep serves the
lanes that its generator drives (``ramp_lanes``) and that have a comparator; there are as many sweeps at a time as generators
(``ramps``) and comparators allow.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from cosim.ktram.controller import Controller
from cosim.units import femtoseconds


class Trip(NamedTuple):
    """A lane, when its comparator trips within the sweep [fs], and the event time [fs] at which it is latched."""

    lane: int
    within_fs: int
    latched_fs: int


class Sweep(NamedTuple):
    """One sweep: which generator, from when on and how long [fs], the lanes it serves and the trips before it ends."""

    unit: int
    start_fs: int
    duration_fs: int
    lanes: tuple[int, ...]
    trips: tuple[Trip, ...]


def sweeps(
    controller: Controller,
    sensed: Sequence[tuple[int, float]],
    count: int | None,
    threshold: float,
    now_fs: int,
) -> list[Sweep]:
    """Return all sweeps over lanes, each group on the generator that is free first.

    Parameters
    ----------
    sensed
        Number and activation of each lane.
    count
        Trips that end a sweep; None: it goes on to ``threshold``.
    """
    c = controller
    size = int(min(len(sensed), _units(c.ramp_lanes), _units(c.comparators)))
    groups = [sensed[first : first + size] for first in range(0, len(sensed), max(size, 1))]
    at_once = min(len(groups), _units(c.ramps), _units(c.comparators) // max(size, 1))
    free = [now_fs] * int(max(at_once, 1))
    found = []
    for group in groups:
        unit = free.index(min(free))
        sweep = _sweep(c, group, count, threshold, unit, free[unit])
        free[unit] += sweep.duration_fs
        found.append(sweep)
    return found


def _units(units: int | str) -> float:
    return float("inf") if isinstance(units, str) else float(units)


def _sweep(
    c: Controller,
    lanes: Sequence[tuple[int, float]],
    count: int | None,
    threshold: float,
    unit: int,
    start: int,
) -> Sweep:
    whole, delay = femtoseconds(c.ramp), femtoseconds(c.compare)
    last = round(whole * (1.0 - max(min(threshold, 1.0), -1.0)) / 2.0)
    due = sorted((round(whole * (1.0 - y) / 2.0), place, lane) for place, (lane, y) in enumerate(lanes))
    passed = [(instant, lane) for instant, _, lane in due if instant <= last][:count]
    end = passed[-1][0] if count is not None and len(passed) == count else last
    trips = tuple(Trip(lane, instant, start + instant + delay) for instant, lane in passed)
    return Sweep(unit, start, end + delay, tuple(lane for lane, _ in lanes), trips)
