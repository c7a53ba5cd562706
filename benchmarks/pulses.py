"""Full write pulses per second on passive arrays: event, wires, all states of the array moving.

Run ``python benchmarks/pulses.py [--no-numba] [--count N] [--sizes 32 64 128] [--quickstart]``. A pulse
is one V/2 pulse of 0.7 V and 300 ns on a random cell of an array of `mss` devices, through the tile: simpy
events, ageing since the last phase, drives, wires (1 ohm a segment), every state, powers, records. The
split: ``solve`` is the time of one cold and one warm line solve of the same array, measured on its own;
``movement`` the rest of the compiled call (states, powers); ``python`` what remains of the pulse.

Machines are shared: a plain Python loop is timed beside every figure, and the rate that a quiet machine
(0.22 s for the loop) would show is an estimate, not a measurement.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
if "--no-numba" in sys.argv:
    sys.modules["numba"] = None  # type: ignore[assignment]

import numpy as np

from cosim.backends import response, single_level
from cosim.backends.behavioral import BehavioralBackend
from cosim.components.programming import Programming, apply_pulse
from cosim.components.write_verify import ProgrammingPulse, Verify
from cosim.crossbar.backend import PhaseRequest
from cosim.crossbar.lines import DEFAULT_TOLERANCE, MAX_ITERATIONS, find_kernel, numba_available, run_kernel
from cosim.crossbar.network import Cell
from cosim.devices import Mss
from cosim.hardware import ArraySpec, Hardware, WireSpec
from cosim.records import Trace
from cosim.system import System

BARS = {64: 2500.0, 128: 450.0}
QUIET_S = 0.22
DEVICE = Mss(r_on=100e3, r_off=1e6, v_on=0.6, v_off=0.6, tau=1e-5)


def calibrate() -> float:
    """Seconds of a plain loop of five million additions."""
    begin, total = time.perf_counter(), 0
    for k in range(5_000_000):
        total += k
    return time.perf_counter() - begin


class Clock:
    """Times every call of a function."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function, self.seconds, self.last = function, [], ()  # type: ignore[var-annotated]

    def __call__(self, *arguments: Any) -> Any:
        begin = time.perf_counter()
        result = self.function(*arguments)
        self.seconds.append(time.perf_counter() - begin)
        self.last = arguments
        return result


def run_pulses(size: int, count: int) -> tuple[np.ndarray, np.ndarray, PhaseRequest]:
    """Seconds of each pulse, seconds of the compiled part of each, the last request."""
    wires = WireSpec(1.0, 1.0, 0.1e-15)
    hardware = Hardware(ArraySpec(size, size, wires), cell=Cell("1R"), device=DEVICE)
    backend = BehavioralBackend()
    runs = Clock(backend.run)
    backend.run = runs  # type: ignore[method-assign]
    compiled = Clock(lambda *_: None)
    if numba_available():
        from cosim.backends import compiled as kernels

        compiled = Clock(getattr(kernels.pulse, "function", kernels.pulse))
        kernels.pulse = compiled
    system = System(Trace(), 7)
    tile = system.add_tile("t", hardware, dict.fromkeys(("read", "write", "verify"), backend))
    rng = np.random.default_rng(0)
    tile.state = rng.random((size, size))
    shape = ProgrammingPulse(0.7, 300e-9)
    job = Programming(np.zeros((size, size)), "V/2", Verify(), shape, shape)
    marks: list[float] = []
    cells = rng.integers(0, size, (count + 4, 2)).tolist()
    rising = (rng.random(count + 4) < 0.5).tolist()

    def process() -> Any:
        for (row, column), up in zip(cells, rising, strict=True):
            marks.append(time.perf_counter())
            yield from apply_pulse(tile, 0, job, row, np.array([column]), (0.7,), up, 300_000_000, 0.0)
        marks.append(time.perf_counter())

    system.environment.process(process())
    system.environment.run()
    return np.diff(marks)[4:], np.array(compiled.seconds[4:]), runs.last[0]


def solve_seconds(request: PhaseRequest, repeat: int = 30) -> float:
    """Median seconds of one cold and one warm solve of the array of a request."""
    network = request.network
    prepared = response.prepare(network, (True,) * len(network.nets), True)
    cells = network.arrays[0].device.conductance(request.states[0])
    level = np.array([max(request.phase.drives[net].voltages, key=abs) for net in network.nets])
    drive = tuple(level[side.nets][None, :] for side in prepared.sides[0])
    kernel, took = find_kernel("auto"), []
    rest = (True, single_level.goal(cells.size), DEFAULT_TOLERANCE, MAX_ITERATIONS)
    for _ in range(repeat):
        begin = time.perf_counter()
        system = prepared.systems[0]
        found = run_kernel(
            system, cells, (1,), drive, response.NO_INJECTION, response.NO_START, kernel, (0, *rest)
        )
        start = np.stack([found.bit_voltage.reshape(1, -1), found.cell_current.reshape(1, -1)])
        warm = (start, response.NO_START[1])
        run_kernel(system, 1.0001 * cells, (1,), drive, response.NO_INJECTION, warm, kernel, (1, *rest))
        took.append(time.perf_counter() - begin)
    return float(np.median(took))


def report(size: int, count: int) -> None:
    slow = calibrate()
    took, inside, request = run_pulses(size, count)
    solve = solve_seconds(request)
    slow = 0.5 * (slow + calibrate())
    typical, best = float(np.median(took)), float(np.quantile(took, 0.05))
    kernel = float(np.median(inside)) if inside.size else 0.0
    bar = BARS.get(size)
    print(
        f"{size:5d}  {count / took.sum():8.0f} {1 / typical:8.0f} {1 / best:8.0f}   {bar or 0:8.0f}  {slow:6.2f} s"
        f" {slow / QUIET_S / typical:10.0f}   {1e6 * solve:8.0f} {1e6 * max(kernel - solve, 0.0):9.0f}"
        f" {1e6 * (typical - kernel):8.0f}"
    )


def quickstart() -> None:
    """Phases of the quickstart per second of the behavioral backend."""
    import cosim
    from cosim.scenario.run import run

    original = BehavioralBackend.run
    clock = Clock(original)
    BehavioralBackend.run = lambda *a: clock(*a)  # type: ignore[method-assign, assignment]
    slow = calibrate()
    run(cosim.load("scenarios/quickstart.yaml"), backend="behavioral")
    BehavioralBackend.run = original  # type: ignore[method-assign]
    took = np.array(clock.seconds)
    print(
        f"quickstart: {took.size} phases, {took.size / took.sum():.0f}/s (median phase {1e6 * np.median(took):.0f} us,"
        f" loop {0.5 * (slow + calibrate()):.2f} s)"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--no-numba", action="store_true", help="as if numba were not installed")
    parser.add_argument("--count", type=int, default=0, help="pulses of each size (default: 64000 / size)")
    parser.add_argument("--sizes", type=int, nargs="+", default=[32, 64, 128])
    parser.add_argument("--quickstart", action="store_true", help="also time the quickstart's phases")
    options = parser.parse_args()
    print("numba" if numba_available() else "no numba")
    print(
        "        pulses/s                        bar    loop     pulses/s   microseconds of the median pulse"
    )
    print(" size      mean   median   best 5%                      if quiet      solve  movement   python")
    for size in options.sizes:
        report(size, options.count or (64000 if numba_available() else 6400) // size)
    if options.quickstart:
        quickstart()


if __name__ == "__main__":
    main()
