"""The timeline of the report page: what every resource did when, packed small enough for a page.

Times are whole ticks, 2**-31 of the run each. Per track and kind of work the starts are stored as differences,
then the durations, as 32-bit numbers; all together deflated (RFC 1951 in the frame of RFC 1950) and in base64. Where a run
has more than `MAX_INTERVALS`, neighbours with gaps that nobody could see are joined.
"""

from __future__ import annotations

import base64
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cosim.records import Trace
from cosim.units import FEMTOSECONDS_PER_SECOND

TICKS = 1 << 31
MAX_TRACKS = 60
MAX_INTERVALS = 600_000
PROGRAM = "operations"


def tracks(trace: Trace) -> dict[str, Any]:
    """Return the tracks: ``tick_s``, ``end`` [ticks], ``data``, and per track name, units and the count of each kind.

    The first track holds the operations. ``left_out``: resources beyond `MAX_TRACKS`; ``joined``: whether
    intervals were joined.
    """
    end = max(int(trace.end_fs), 1)
    found: dict[str, dict[str, list[tuple[int, int, int]]]] = {PROGRAM: {}}
    for record in trace.operations:
        found[PROGRAM].setdefault(record.op, []).append((record.start_fs, record.end_fs, 1))
    for resource, _, _, kind, _, start, stop, _, units in trace.busy:
        found.setdefault(resource, {}).setdefault(kind, []).append((start, stop, units))
    names = [PROGRAM, *sorted(set(found) - {PROGRAM})]
    count = sum(len(intervals) for kinds in found.values() for intervals in kinds.values())
    parts: list[NDArray[np.uint32]] = []
    listed = []
    for name in names[:MAX_TRACKS]:
        kinds = []
        for kind, intervals in sorted(found[name].items()):
            columns = _columns(intervals, end, joined=count > MAX_INTERVALS)
            kinds.append([kind, len(columns[0])])
            parts += columns
        listed.append({"name": name, "units": trace.capacities.get(name, 1), "kinds": kinds})
    raw = np.concatenate([np.array([], dtype=np.uint32), *parts]).astype("<u4").tobytes()
    return {
        "tick_s": end / TICKS / FEMTOSECONDS_PER_SECOND, "end": TICKS, "tracks": listed,
        "data": base64.b64encode(zlib.compress(raw, 9)).decode("ascii"),
        "left_out": max(0, len(names) - MAX_TRACKS), "joined": count > MAX_INTERVALS,
    }  # fmt: skip


def _columns(intervals: list[tuple[int, int, int]], end: int, *, joined: bool) -> list[NDArray[np.uint32]]:
    """Return differences of starts, durations [ticks] and units of one kind on one track, in order of time."""
    table = np.array(intervals, dtype=object if end >= 1 << 62 else np.int64)
    start, stop = (np.asarray(table[:, k] * (TICKS / end), dtype=np.float64) for k in (0, 1))
    units = table[:, 2].astype(np.uint32)
    order = np.argsort(start, kind="stable")
    start, stop, units = start[order], stop[order], units[order]
    if joined:
        reach = np.maximum.accumulate(stop)
        new = np.concatenate([[True], start[1:] - reach[:-1] > TICKS / 65536])
        first = np.flatnonzero(new)
        start, stop, units = start[first], np.maximum.reduceat(stop, first), units[first]
    begin = start.astype(np.uint32)
    return [
        np.diff(begin, prepend=np.uint32(0)).astype(np.uint32),
        np.maximum(stop - start, 1.0).astype(np.uint32),
        units,
    ]
