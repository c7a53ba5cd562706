"""What a stop condition costs on circuits of any kind, against the plain phase that it becomes; alternating, ratios.

Usage: python benchmarks/stops.py [--accept]

A 4 x 4 array is formed (cells with two states) or written (transistors with a law) by one pulse that a comparator
ends. Time is that of the processor, the median of alternating runs. With ``--accept`` a missed bar ends with exit code 3.
"""

from __future__ import annotations

import statistics
import sys
import time
from dataclasses import replace

import numpy as np

from cosim.backends.behavioral import BehavioralBackend
from cosim.crossbar import (
    Cell,
    Phase,
    PhaseRequest,
    PhaseResult,
    Segments,
    StopCondition,
    level,
    pulse,
    single,
)
from cosim.crossbar.access import Mosfet
from cosim.crossbar.stopping import effective_phase
from cosim.crossbar.threads import single_threaded
from cosim.devices import find_preset
from cosim.devices.forming import Formable, Forming

NS = 10**6
MOST = 2.0
"""A stop may cost as much as the plain phase once more: finding it by one more run would."""
RUNS = 7


def request(kind: str) -> PhaseRequest:
    """Return one pulse on a cell of a row, ended by the current of its bit line."""
    device, volts, amperes = find_preset("mss-firm"), 0.9, 2.5e-6
    cell, width, gate = Cell("1T1R", transistor=Mosfet()), 5000 * NS, 1.2
    states = np.full((4, 4), 0.1)
    if kind == "forming":
        device, volts, amperes = Formable(device, Forming()), 2.7, 8e-6  # type: ignore[assignment]
        cell, width, gate = Cell("1T1R", access_resistance=5e3), 10_000 * NS, 1.8
        states = np.zeros((4, 4, 2))
    network = single("t", (4, 4), device, cell, Segments(2.5, 2.5), r_source=10.0)
    drives = {f"{line}{k}": level(0.0) for line in ("wl", "bl", "gl") for k in range(4)}
    drives |= {f"bl{k}": level(volts) for k in range(1, 4)}
    drives |= {"wl0": pulse(volts, rise_fs=10 * NS, width_fs=width, fall_fs=10 * NS), "gl0": level(gate)}
    stop = StopCondition("bl0", "current", -amperes, "falling", 0, ("wl0",), 0.0, 10 * NS)
    phase = Phase("write", width + 20 * NS, drives, stops=(stop,))
    return PhaseRequest(network, (states,), None, 0, 300.0, phase, 0)


def timed(watched: PhaseRequest) -> tuple[float, PhaseResult]:
    """Return the processor time [s] of a phase on a fresh backend, and its result."""
    backend = BehavioralBackend()
    began = time.process_time()
    result = backend.run(watched)
    return time.process_time() - began, result


def main() -> int:
    """Print a line per circuit."""
    missed = False
    for kind in ("forming", "transistors"):
        watched = request(kind)
        _, result = timed(watched)
        plain = replace(watched, phase=effective_phase(watched.phase, result.stops))
        timed(plain)
        with single_threaded():
            times = [(timed(watched)[0], timed(plain)[0]) for _ in range(RUNS)]
        with_stop, without = (statistics.median(column) for column in zip(*times, strict=True))
        gap = float(np.abs(result.states[0] - timed(plain)[1].states[0]).max())
        good = len(result.stops) == 1 and with_stop <= MOST * without
        missed |= not good
        print(
            f"{kind:<12} with its stop {1e3 * with_stop:.1f} ms, plain phase {1e3 * without:.1f} ms, ratio "
            f"{with_stop / without:.2f}, bar {MOST:.1f}: {'met' if good else 'missed'}; states differ by {gap:.1e}"
        )
    return 3 if missed and "--accept" in sys.argv else 0


if __name__ == "__main__":
    sys.exit(main())
