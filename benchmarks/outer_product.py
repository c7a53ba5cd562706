"""Outer-product updates in place: slots per second through the system, beside the backend alone, which is the limit.

Run ``python benchmarks/outer_product.py [--sizes 64 128] [--slots 31]``. Passive arrays with wires of 1 ohm, thresholds of 0.6 V,
one update of both signs with spread trains. A slot is one phase, so that the network is solved for each: the backend alone
answers the same phases. Both are measured in turn in CPU seconds, best of the rounds, as the machine's load does not count in them. The
rank-1 update of numpy that an ideal array would make stands beside it, for scale.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

from cosim.components.tile import PHASE_KINDS
from cosim.components.updating import OuterProduct
from cosim.components.write_verify import ProgrammingPulse
from cosim.crossbar import Cell, find
from cosim.crossbar.backend import PhaseRequest, PhaseResult
from cosim.crossbar.threads import single_threaded
from cosim.devices import find_preset
from cosim.hardware import ArraySpec, Hardware, WireSpec
from cosim.operations import Update
from cosim.records import Trace
from cosim.system import System

ROUNDS = 4


def made(size: int, slots: int) -> tuple[System, OuterProduct]:
    """Return a system of one passive tile at mid-range, and an update of it."""
    hardware = Hardware(ArraySpec(size, size, WireSpec(1.0, 1.0, 1e-16)), find_preset("mss-firm"), Cell("1R"))
    system = System(Trace(), 5)
    system.add_tile(
        "t", hardware, dict.fromkeys(PHASE_KINDS, find("behavioral")()), np.full((size, size), 5.5e-6)
    )
    pulse, rng = ProgrammingPulse(0.9, 50e-9), np.random.default_rng(2)
    factors = rng.uniform(-1, 1, (2, size))
    return system, OuterProduct(factors[0], factors[1], slots, "deterministic", pulse, pulse)


def timed(action: Callable[[], object]) -> float:
    """Return the CPU seconds of a call."""
    began = time.process_time()
    action()
    return time.process_time() - began


def compared(size: int, slots: int) -> str:
    """Return the line of one size: system and backend alone in turn."""
    system, job = made(size, slots)
    backend = system.tiles["t"].backends["write"]
    answer = backend.run
    kept: list[PhaseRequest] = []

    def run(request: PhaseRequest) -> PhaseResult:
        kept.append(request)
        return answer(request)

    backend.run = run  # type: ignore[method-assign]
    whole, alone = [], []
    with single_threaded():
        for _ in range(ROUNDS):
            kept.clear()
            whole.append(timed(lambda: system.run([Update("t", (job,))])))
            alone.append(timed(lambda: [answer(request) for request in kept]))
        ideal = min(
            timed(lambda: np.full((size, size), 0.5) + np.outer(job.row_factors, job.column_factors))
            for _ in range(9)
        )
    pulses = len(system.trace.pulses) // ROUNDS
    ratio = min(alone) / min(whole)
    each = 1e6 * (min(whole) - min(alone)) / pulses
    return (
        f"update {size} x {size}, {slots} slots a train: {len(kept)} phases, {pulses} pulses on cells in {min(whole):.3f} s, "
        f"{len(kept) / min(whole):.0f} phases/s; backend alone {len(kept) / min(alone):.0f}/s, ratio {ratio:.2f}; the rest is "
        f"{each:.1f} us for each recorded pulse; numpy's rank-1 update {1e6 * ideal:.0f} us"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--sizes", type=int, nargs="+", default=[64, 128])
    parser.add_argument("--slots", type=int, default=31)
    options = parser.parse_args()
    for size in options.sizes:
        print(compared(size, options.slots), flush=True)


if __name__ == "__main__":
    main()
