"""Self-timed reads: comparators strobe as soon as the sensed bit lines have settled within a window.

On charged lines the instant depends on inputs, states and wires, so it is a result: the phase is asked for with the
strobe so late that everything has settled (that is the settled value), then with samples around the last instant at
which a current is outside of its window. The read strobes there, after the delay of the comparator. Lines without
capacitance have settled at the end of the edge.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence

import numpy as np

from cosim.components.read_path import ReadPath
from cosim.components.read_phases import AdcRange, ReadTiming
from cosim.components.tile import Tile
from cosim.crossbar.backend import CrossbarBackend, PhaseRequest, PhaseResult
from cosim.crossbar.drive import Phase
from cosim.devices.base import FloatArray
from cosim.errors import DeviceError
from cosim.units import femtoseconds

_SAMPLES = 16
_ROUNDS = 2
"""Samples of a stretch, and how often the one with the crossing is sampled again: to 1/4096, then a straight line."""

Timed = Callable[[PhaseRequest, CrossbarBackend], Phase]


def self_timed(
    tile: Tile,
    make: Callable[[ReadTiming], Phase],
    timing: ReadTiming,
    span: AdcRange,
    nets: Sequence[int],
    path: ReadPath | None = None,
) -> Timed | None:
    """Return what turns the request of a read into its self-timed phase; None where the strobe is known before.

    ``make`` gives the phase of a timing, ``timing`` the latest strobe (`read_timing`), ``nets`` the sensed lines,
    ``path`` the way of the read (forward unless given).
    Raises `DeviceError` where the comparator's offset leaves no window.
    """
    path = path or tile.forward
    sense, comparator = path.sense, tile.periphery.comparator
    if not sense.self_timed or not tile.network.has_capacitance:
        return None
    full = (np.asarray(span.high) - np.asarray(span.low)) / sense.transfer(timing.window_s)
    window = np.broadcast_to(sense.window * full + comparator.current_offset, (len(nets),))
    if window.min() <= 0:
        raise DeviceError(
            f"comparator.current_offset: must be above {-float(sense.window * full.min()):g} A, which is sense.window of the "
            f"ADC's range, not {comparator.current_offset:g} A; widen the window"
        )
    begin = timing.rise + femtoseconds(path.dac.settling)
    delay = femtoseconds(comparator.delay)

    def timed(request: PhaseRequest, backend: CrossbarBackend) -> Phase:
        answer = backend.unrecorded().run
        settled = settled_fs(request, nets, window, begin, answer) + delay
        return make(dataclasses.replace(timing, hold=max(settled - timing.rise, 1)))

    return timed


def settled_fs(
    request: PhaseRequest,
    nets: Sequence[int],
    window: FloatArray,
    begin_fs: int,
    answer: Callable[[PhaseRequest], PhaseResult],
) -> int:
    """Return the first instant [fs] after which every current stays within its window [A] of that at the strobe.

    ``nets``: positions of the nets; not before ``begin_fs``. A current that leaves its window and comes back between two
    samples is missed.
    """
    low, high = begin_fs, request.phase.strobes_fs[0]
    final: FloatArray | None = None
    share = 0.0
    for _ in range(1 + _ROUNDS):
        grid = sorted({low + (high - low) * k // _SAMPLES for k in range(_SAMPLES + 1)})
        phase = dataclasses.replace(request.phase, duration_fs=grid[-1], strobes_fs=tuple(grid), save=())
        current = answer(dataclasses.replace(request, phase=phase)).samples.current[:, list(nets)]
        final = current[-1] if final is None else final
        outside = (np.abs(current - final) - window).max(axis=1)
        late = np.flatnonzero(outside > 0)
        if not len(late):
            return low
        k = min(int(late[-1]), len(grid) - 2)
        low, high = grid[k], grid[k + 1]
        share = min(float(outside[k] / (outside[k] - outside[k + 1])), 1.0) if outside[k + 1] < 0 else 1.0
    return low + math.ceil(share * (high - low))
