"""Programming: what write-verify reaches against array size and sweeps, and how fast pulse and verify pairs run.

Run ``python benchmarks/programming.py [--accept] [--pairs N] [--sizes 8 16 32 64] [--only PART]``. Parts:

* ``access``: 32 x 32 1T1R cells that differ by 3 %, ISPP to random targets: at least 99 % within 2 % of the range at
  the end.
* ``passive``: the same cells without transistors, with wires of 1 ohm, under V/2 and V/3: the fraction within 2 % after
  each sweep, for each size; and the default device with its threshold of 0.27 V, which does not get there.
* ``speed``: `scenarios/slow/passive_128.yaml` through the system until so many pulses have been given, each with its
  verify read; with ``--accept`` 100,000 pairs in less than ten minutes and less than 1 GB. Beside it the same phases through
  the backend alone, which is the limit.

With ``--accept`` a missed bar ends with exit code 1.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

import cosim
from cosim.components.programming import Programming
from cosim.components.schemes import Scheme
from cosim.components.tile import PHASE_KINDS
from cosim.components.verify_reads import exact_verify, visible_range
from cosim.components.write_verify import ProgrammingPulse, Verify
from cosim.crossbar import Cell, find
from cosim.crossbar.backend import PhaseRequest
from cosim.crossbar.threads import single_threaded
from cosim.devices import Mss
from cosim.devices.variation import Deviation, Variation
from cosim.hardware import ArraySpec, Hardware, WireSpec
from cosim.records import Trace
from cosim.scenario.build import Backends, build
from cosim.system import System, Write

FIRM = Mss(r_on=100e3, r_off=1e6, v_on=0.6, v_off=0.6, tau=1e-5)
SOFT = Mss(r_on=100e3, r_off=1e6)
SLOW = Path(__file__).parents[1] / "scenarios" / "slow" / "passive_128.yaml"
WITHIN = 0.02
PAIRS, SECONDS, BYTES = 100_000, 600.0, 1e9


class Sweep(NamedTuple):
    """One pass over all cells: pulses, part of the cells pulsed, distances from the targets as parts of the range."""

    pulses: int
    pulsed: float
    apart: np.ndarray


def written(
    device: Mss,
    cell: Cell,
    size: int,
    scheme: Scheme,
    sweeps: int,
    amplitude: float,
    parallel: str,
    window: float = 0.015,
) -> tuple[list[Sweep], int, float]:
    """Write random targets; return the sweeps, the cells given up in the last one, and the simulated seconds.

    Every sweep is a write of its own, so that the distances after each are known; the last is the first without a pulse.
    """
    deviation = Deviation(0.03, "normal")
    variation = Variation(dict.fromkeys(("r_on", "r_off", "v_on", "v_off"), deviation), c2c=0.03)
    hardware = Hardware(ArraySpec(size, size, WireSpec(1.0, 1.0, 1e-16)), device, cell, variation=variation)
    system = System(Trace(), 5)
    tile = system.add_tile("t", hardware, dict.fromkeys(PHASE_KINDS, find("behavioral")()))
    low, high = visible_range(tile)
    targets = low + (high - low) * np.random.default_rng(1).uniform(0.05, 0.9, (size, size))
    pulse = ProgrammingPulse(amplitude, 400e-9)
    rule = Verify(window=window, pulses="incremental-amplitude", amplitude_step=0.01, max_pulses=60)
    job = Programming(targets, scheme, rule, pulse, pulse, parallel=parallel)  # type: ignore[arg-type]
    done: list[Sweep] = []
    while len(done) < sweeps and (not done or done[-1].pulses):
        with single_threaded():
            system.run([Write({"t": job})])
        details = system.trace.operations[-1].details
        apart = np.abs(exact_verify(tile, 0) - targets) / (high - low)
        done.append(Sweep(details["pulses"], details["sweeps"]["t"][0]["pulsed"] / size**2, apart))
    return done, details["cells"] - details["converged"], system.trace.end_fs / 1e15


def access(_: argparse.Namespace) -> Iterator[tuple[str, bool]]:
    """32 x 32 1T1R: at least 99 % within 2 %."""
    cell = Cell("1T1R", access_resistance=5e3)
    (sweep,), lost, seconds = written(FIRM, cell, 32, "gate", 1, 0.58, "cell")
    reached = float(np.mean(sweep.apart <= WITHIN))
    text = (
        f"1T1R 32 x 32, ISPP, 3 % d2d and c2c: {100 * reached:.2f} % within 2 % of the range at the end (99 %), worst "
        f"{100 * sweep.apart.max():.2f} %, {lost} cells given up and recorded, {sweep.pulses} pulses, {1e3 * seconds:.2f} ms"
    )
    yield text, reached >= 0.99


def passive(options: argparse.Namespace) -> Iterator[tuple[str, bool]]:
    """Fraction within 2 % after each sweep against size; the rows for the documentation."""
    schemes: tuple[Scheme, ...] = ("V/2", "V/3")
    for name, device, amplitude in (("0.6 V", FIRM, 0.58), ("0.27 V", SOFT, 0.27)):
        for scheme in schemes:
            for size in options.sizes:
                if device is SOFT and size > options.soft:
                    continue
                sweeps, lost, seconds = written(
                    device, Cell("1R"), size, scheme, options.sweeps, amplitude, "row"
                )
                counts = ", ".join(
                    f"{100 * np.mean(sweep.apart <= WITHIN):.1f} ({100 * sweep.pulsed:.1f})"
                    for sweep in sweeps
                )
                yield (
                    f"passive, threshold {name}, {scheme}, {size} x {size}: within 2 % after each sweep (cells pulsed in it), %: "
                    f"{counts}; worst {100 * sweeps[-1].apart.max():.1f} %, {lost} given up in the last, "
                    f"{sum(sweep.pulses for sweep in sweeps)} pulses, {1e3 * seconds:.2f} ms",
                    True,
                )


def speed(options: argparse.Namespace) -> Iterator[tuple[str, bool]]:
    """Pairs of pulse and verify per second through the system, peak memory, and the backend alone."""
    scenario = cosim.load(SLOW)
    with tempfile.TemporaryDirectory() as folder:
        trace = Trace(Path(folder))
        built = build(scenario, trace, Backends(scenario))
        tile = built.system.tiles["t"]
        kept: list[PhaseRequest] = []
        backend = tile.backends["write"]
        answer = backend.run

        def run(request: PhaseRequest) -> Any:
            if 100 <= len(trace.phases) < 400:
                kept.append(request)
            return answer(request)

        backend.run = run  # type: ignore[method-assign]
        write = next(operation for operation in built.program if isinstance(operation, Write))
        began = time.perf_counter()
        with single_threaded():
            _until(built.system, write, options.pairs)
            took = time.perf_counter() - began
            pairs = len(trace.pulses)
            alone = _alone(answer, kept)
        built.backends.close()
    memory = 1024.0 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    rate = pairs / took
    yield (
        f"passive 128 x 128, V/2, 0.8 V: {pairs} pulse and verify pairs in {took:.1f} s, {rate:.0f}/s "
        f"({PAIRS / rate:.0f} s for {PAIRS}; bar {SECONDS:.0f} s); backend alone {alone:.0f}/s, ratio {rate / alone:.2f}",
        PAIRS / rate < SECONDS,
    )
    yield f"peak memory {memory / 1e6:.0f} MB (bar {BYTES / 1e6:.0f} MB)", memory < BYTES


class _EnoughError(Exception):
    """So many pulses have been given."""


def _until(system: System, write: Write, pairs: int) -> None:
    """Run a write until so many pulses have been given."""

    def count(done: int, total: int) -> None:
        if len(system.trace.pulses) >= pairs:
            raise _EnoughError

    try:
        system.run([write], count)
    except _EnoughError:
        return


def _alone(answer: Any, requests: list[PhaseRequest]) -> float:
    """Return pulse and verify pairs per second of the backend itself on kept requests."""
    count = {kind: sum(r.phase.kind == kind for r in requests) for kind in ("write", "verify")}
    began = time.perf_counter()
    for request in requests:
        answer(request)
    return min(count.values()) / (time.perf_counter() - began)


PARTS = {"access": access, "passive": passive, "speed": speed}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument(
        "--accept", action="store_true", help="the full figures; exit code 1 if a bar is missed"
    )
    parser.add_argument(
        "--pairs", type=int, default=0, help="pulses of the speed part (3000; accepted: 100000)"
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=[8, 16, 32, 64])
    parser.add_argument("--soft", type=int, default=16, help="largest array of the soft device")
    parser.add_argument("--sweeps", type=int, default=4)
    parser.add_argument("--only", choices=PARTS, nargs="+", default=list(PARTS))
    options = parser.parse_args()
    options.pairs = options.pairs or (PAIRS if options.accept else 3000)
    good = True
    for name in options.only:
        for text, met in PARTS[name](options):
            good &= met
            print(f"{'met   ' if met else 'missed'} {text}", flush=True)
    if options.accept and not good:
        sys.exit(1)


if __name__ == "__main__":
    main()
