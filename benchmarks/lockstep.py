"""What a reaction inside a phase costs, and what write termination brings.

Run ``python benchmarks/lockstep.py [--quick] [--accept]``. A SET pulse of 8 x 8 with a compliance current is run
with and without its stop condition, in turns, on both backends; "the same phase" covers the same simulated
time. With ``--accept`` a missed bar ends with exit code 1.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

import cosim
from cosim.backends.behavioral import BehavioralBackend
from cosim.backends.ngspice import NgspiceBackend
from cosim.crossbar import (
    Cell,
    CrossbarBackend,
    Phase,
    PhaseRequest,
    Segments,
    StopCondition,
    level,
    pulse,
    single,
)
from cosim.crossbar.stopping import effective_phase
from cosim.devices import find_preset

NS = 10**6
WIDTH, EDGE, SIZE = 8000 * NS, 2 * NS, 8
SCENARIO = Path(__file__).parents[1] / "scenarios" / "termination.yaml"


def compliance(share: float) -> PhaseRequest:
    """Return a V/2 SET of a wired 8 x 8 array, to end where the current has made ``share`` of its way."""
    network = single("a", (SIZE, SIZE), find_preset("mss-firm"), Cell(), Segments(2.5, 2.5), r_source=10.0)
    full, half = (pulse(v, width_fs=WIDTH, rise_fs=EDGE, fall_fs=EDGE) for v in (0.75, 0.375))
    drives = {f"wl{i}": half if i else full for i in range(SIZE)}
    drives |= {f"bl{j}": half if j else level(0.0) for j in range(SIZE)}
    states = np.random.default_rng(1).uniform(0.1, 0.3, (SIZE, SIZE))
    phase = Phase("write", WIDTH + 2 * EDGE, drives, (EDGE, EDGE + WIDTH))
    request = PhaseRequest(network, (states,), None, 0, 300.0, phase, 0)
    before, after = BehavioralBackend().run(request).samples.current[:, network.net_index["bl0"]].tolist()
    stop = StopCondition(
        "bl0", "current", before + share * (after - before), "falling", 0, tuple(drives), 0.0, EDGE
    )
    return replace(request, phase=replace(phase, strobes_fs=(), stops=(stop,)))


def median_ratio(
    backend: CrossbarBackend, first: PhaseRequest, second: PhaseRequest, rounds: int
) -> tuple[float, float]:
    """Return the median time of ``first`` [s] and the median of its ratio to ``second``, run in turns."""
    for request in (first, second):
        backend.run(request)
    spent, ratios = [], []
    for _ in range(rounds):
        times = []
        for request in (first, second):
            start = time.perf_counter()
            backend.run(request)
            times.append(time.perf_counter() - start)
        spent.append(times[0])
        ratios.append(times[0] / times[1])
    return float(np.median(spent)), float(np.median(ratios))


def report(name: str, value: float, bar: float) -> bool:
    """Print one figure with its bar; return whether it is met."""
    good = value <= bar
    print(f"{'met   ' if good else 'MISSED'}  {name}: {value:.2f} times (at most {bar:g})")
    return good


def ratios(rounds: int) -> list[bool]:
    """Compare phases with their stop condition against plain ones."""
    good = []
    spice, behavioral = NgspiceBackend("pyspice", still_tolerance=0.0), BehavioralBackend()
    for share in (0.25, 0.5, 0.9):
        request = compliance(share)
        stops = behavioral.run(request).stops
        same = replace(request, phase=effective_phase(request.phase, stops))
        plain = replace(request, phase=replace(request.phase, stops=()))
        at = stops[0].crossing_fs / WIDTH
        spent, ratio = median_ratio(spice, request, same, rounds)
        print(f"        8 x 8, stop at {at:.2f} of the pulse, ngspice: {1e3 * spent:.0f} ms")
        good.append(report("lock-step against the plain phase of the same simulated time", ratio, 1.5))
        spent, ratio = median_ratio(behavioral, request, plain, 3 * rounds)
        print(f"        8 x 8, stop at {at:.2f} of the pulse, behavioral: {1e3 * spent:.1f} ms")
        good.append(report("behavioral against its plain phase", ratio, 2.0))
    spice.close()
    return good


def written(kind: str, pulses: str) -> tuple[int, int, float, float, float]:
    """Return phases, pulses, time [s], energy [J] and rms error (of the range) of the scenario's first write."""
    text = SCENARIO.read_text()
    text = text[: text.index("  - write:   # SET")] + text[text.index("  - read:") :]
    text = text.replace("pulses: terminated, longest: 64", pulses)
    if kind == "1R":
        text = text.replace("{kind: 1T1R, access_resistance: 5 kohm}", "{kind: 1R}")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "termination.yaml"
        path.write_text(text)
        result = cosim.run(cosim.load(path))
    operation = result.summary["operations"][0]
    phases = result.trace.frame("phases")
    error = operation["error"]["verify_rms_s"] / (1e-5 - 1e-6)
    count = int((phases.operation == 0).sum())
    return count, operation["pulses"], operation["end_s"] - operation["start_s"], operation["energy_j"], error


def table(run: Callable[[str, str], tuple[int, int, float, float, float]] = written) -> list[str]:
    """Return the comparison of write termination with pulse-by-pulse verify as lines of a table."""
    lines = [
        "| cells | pulses | phases | pulses applied | time | energy | rms error |",
        "|---|---|---|---|---|---|---|",
    ]
    for kind in ("1T1R", "1R"):
        for name, setting in (
            ("fixed", "pulses: fixed"),
            ("adaptive-width", "pulses: adaptive-width"),
            ("terminated", "pulses: terminated, longest: 64"),
        ):
            phases, pulses, seconds, joules, error = run(kind, setting)
            lines.append(
                f"| {kind} | {name} | {phases} | {pulses} | {1e6 * seconds:.0f} us | {1e12 * joules:.0f} pJ | {100 * error:.2f} % |"
            )
    return lines


def main() -> int:
    """Run everything; return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    parser.add_argument("--accept", action="store_true", help="exit with 1 where a bar is missed")
    given = parser.parse_args()
    good = ratios(5 if given.quick else 15)
    print("\n".join(["", "write termination against pulse-by-pulse verify:", *table()]))
    print(f"{sum(good)} of {len(good)} bars met")
    return 1 if given.accept and not all(good) else 0


if __name__ == "__main__":
    raise SystemExit(main())
