"""Reading all lanes of a core: in one go beside one read after another, alternating in one process.

Prints microseconds per tuple (median of rounds) and the ratio with its bar. ``--accept`` ends with status 1 if a
bar is missed.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time

import numpy as np

from cosim.ktram import Core, read_lanes

CASES = {(3, 5): None, (10, 65): 1.5, (64, 12): 4.0, (64, 64): 4.0}
"""Lanes and spaces, with the least ratio that must be reached."""


def measure(lanes: int, spaces: int, rounds: int = 9) -> tuple[float, float]:
    """Return the medians [s] per tuple of one read after another and of all lanes in one go."""
    core = Core(1, 8, spaces, lanes, "byte", seed=1, read_noise=0)
    rng = np.random.default_rng(0)
    tuples = [tuple(row) for row in rng.integers(8, size=(50, spaces)).tolist()]
    one, at_once = [], []
    for _ in range(rounds):
        start = time.perf_counter()
        for aat in tuples:
            [core.evaluate(aat, "FFLV", lane) for lane in range(lanes)]
        middle = time.perf_counter()
        for aat in tuples:
            read_lanes(core, aat, lanes)
        one.append((middle - start) / len(tuples))
        at_once.append((time.perf_counter() - middle) / len(tuples))
    return statistics.median(one), statistics.median(at_once)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accept", action="store_true", help="end with status 1 if a bar is missed")
    accept = parser.parse_args().accept
    missed = False
    for (lanes, spaces), bar in CASES.items():
        one, at_once = measure(lanes, spaces)
        ratio = one / at_once
        verdict = "no bar" if bar is None else f"bar {bar}: {'met' if ratio >= bar else 'missed'}"
        missed |= bar is not None and ratio < bar
        print(
            f"{lanes:3d} lanes, {spaces:3d} spaces: one by one {1e6 * one:7.1f} us, in one go {1e6 * at_once:6.1f} us,"
            f" ratio {ratio:5.2f}, {verdict}"
        )
    return int(accept and missed)


if __name__ == "__main__":
    sys.exit(main())
