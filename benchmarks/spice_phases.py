"""How fast phases run in ngspice: persistent engine against a fresh program per phase, workers, memory.

Run ``python benchmarks/spice_phases.py [--quick] [--accept]``. Everything is measured in one run on the
same phases; each line gives the figure, what it must be and whether that is met; the last line counts
them. With ``--accept`` a missed bar ends with exit code 1. Wall times of a shared machine scatter, so
series are interleaved and the median is taken.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cosim.backends.behavioral import BehavioralBackend
from cosim.backends.ngspice import NgspiceBackend
from cosim.crossbar import Cell, CrossbarBackend, Phase, PhaseRequest, Segments, level, pulse, single
from cosim.crossbar.drive import Waveform
from cosim.crossbar.network import Network
from cosim.devices import DeviceModel, find_preset
from cosim.spice.cards import Deck, SpiceVectors
from cosim.spice.pyspice_engine import PySpiceEngine

NS = 10**6


@dataclass(frozen=True)
class Figure:
    """One measured figure with its bar (``None``: reported only)."""

    name: str
    value: float
    unit: str
    bar: float | None = None
    at_most: bool = False

    @property
    def good(self) -> bool:
        """Whether the bar is met."""
        return self.bar is None or (self.value <= self.bar if self.at_most else self.value >= self.bar)

    def __str__(self) -> str:
        if self.bar is None:
            return f"        {self.name}: {self.value:.3g} {self.unit}".rstrip()
        rule = "at most" if self.at_most else "at least"
        value = f"{self.value:.3g} {self.unit}".rstrip()
        return f"{'met   ' if self.good else 'MISSED'}  {self.name}: {value} ({rule} {self.bar:.3g})"


def phase_request(
    size: int, seed: int, *, write: bool, width_ns: int, preset: str = "mss-firm"
) -> PhaseRequest:
    """Return a V/2 write (one selected cell) or a read of a wired passive array."""
    device: DeviceModel = find_preset(preset)
    network = _NETWORKS.setdefault(
        size, single("a", (size, size), device, Cell(), Segments(2.5, 2.5), r_source=10.0)
    )
    rng = np.random.default_rng(seed)

    def wave(amplitude: float) -> Waveform:
        return pulse(amplitude, width_fs=width_ns * NS, rise_fs=2 * NS, fall_fs=2 * NS)

    if write:
        drives = {f"wl{i}": wave(0.75 if i == seed % size else 0.375) for i in range(size)}
        drives |= {f"bl{j}": level(0.0) if j == 0 else wave(0.375) for j in range(size)}
    else:
        drives = {f"wl{i}": wave(float(rng.uniform(0.05, 0.2))) for i in range(size)}
        drives |= {f"bl{j}": level(0.0) for j in range(size)}
    phase = Phase("write" if write else "read", (width_ns + 6) * NS, drives, (width_ns * NS,))
    return PhaseRequest(network, (rng.uniform(0.1, 0.9, (size, size)),), None, 0, 300.0, phase, 0)


_NETWORKS: dict[int, Network] = {}


def timed(backend: CrossbarBackend, requests: list[PhaseRequest]) -> list[float]:
    """Return the wall time of each phase [s]."""
    spent = []
    for request in requests:
        start = time.perf_counter()
        backend.run(request)
        spent.append(time.perf_counter() - start)
    return spent


class _Listening(PySpiceEngine):
    """Notes how long each simulation took, without anything around it."""

    def __init__(self) -> None:
        super().__init__()
        self.spent: list[float] = []

    def run(self, deck: Deck, deadline_s: float) -> SpiceVectors:
        vectors = super().run(deck, deadline_s)
        self.spent.append(vectors.wall_s)
        return vectors


def overhead(phases: int) -> list[Figure]:
    """Compare everything but the simulation itself, and whole phases, all cells live."""
    fresh = NgspiceBackend("subprocess", still_tolerance=0.0)
    engine = _Listening()
    kept = NgspiceBackend(engine, still_tolerance=0.0)
    plain = NgspiceBackend("pyspice")
    requests = [phase_request(8, seed, write=False, width_ns=94) for seed in range(phases)]
    for each in (fresh, kept, plain):
        each.run(requests[0])
    engine.spent.clear()
    fresh_s, kept_s, plain_s = [], [], []
    for request in requests:
        fresh_s += timed(fresh, [request])
        kept_s += timed(kept, [request])
        plain_s += timed(plain, [request])
    for closing in (fresh, engine, plain):
        closing.close()
    simulation = float(np.median(engine.spent))
    beside_fresh, beside_kept = np.median(fresh_s) - simulation, np.median(kept_s) - simulation
    return [
        Figure("simulation of a 100 ns read of 8 x 8 live cells", 1e3 * simulation, "ms"),
        Figure("overhead of subprocess", 1e3 * float(beside_fresh), "ms"),
        Figure("overhead of pyspice", 1e3 * float(beside_kept), "ms"),
        Figure(
            "overhead of pyspice against subprocess",
            float(beside_kept / beside_fresh),
            "",
            1 / 3,
            at_most=True,
        ),
        Figure(
            f"{phases} phases on pyspice, times faster than subprocess", sum(fresh_s) / sum(kept_s), "", 1.3
        ),
        Figure("the same with still cells as plain resistors", sum(fresh_s) / sum(plain_s), ""),
    ]


def workers(phases: int) -> list[Figure]:
    """Compare two crossbars on one worker and on two."""
    requests = [phase_request(16, seed, write=True, width_ns=200) for seed in range(phases)]
    spent = {}
    for count in (1, 2):
        backend = NgspiceBackend("pyspice", workers=count, still_tolerance=0.0)
        for future in [backend.submit(requests[0]) for _ in range(4)]:
            future.result()
        start = time.perf_counter()
        for future in [backend.submit(request) for request in requests for _ in range(2)]:
            future.result()
        spent[count] = time.perf_counter() - start
        backend.close()
    return [Figure("two crossbars on two workers, times faster than on one", spent[1] / spent[2], "", 1.6)]


def memory(phases: int) -> list[Figure]:
    """Measure how a worker grows."""
    engine = PySpiceEngine()
    backend = NgspiceBackend(engine, still_tolerance=0.0)
    requests = [phase_request(8, seed, write=bool(seed % 2), width_ns=50) for seed in range(20)]
    timed(backend, requests)
    before = _resident(engine.worker_pids()[0])
    for k in range(phases):
        backend.run(requests[k % len(requests)])
    after = _resident(engine.worker_pids()[0])
    engine.close()
    return [
        Figure("memory of a worker", before / 2**20, "MB"),
        Figure(f"its growth over {phases} phases", 100 * (after / before - 1), "%", 5.0, at_most=True),
    ]


def _resident(pid: int) -> float:
    fields = Path(f"/proc/{pid}/statm").read_text().split()
    return float(fields[1]) * 4096


def speedup(sizes: tuple[int, ...]) -> list[Figure]:
    """Compare the behavioral backend with ngspice on wired arrays: a read, and a write with moving states."""
    behavioral, spice = BehavioralBackend(), NgspiceBackend("pyspice", deadline_s=600)
    figures = []
    for size in sizes:
        for write in (False, True):
            request = phase_request(size, 1, write=write, width_ns=1000 if write else 94)
            behavioral.run(request)
            ours = min(timed(behavioral, [request] * 3))
            start = time.perf_counter()
            theirs = spice.run(request)
            spent = time.perf_counter() - start
            mine = behavioral.run(request)
            error = float(np.abs(mine.states[0] - theirs.states[0]).max())
            what = f"{size} x {size} {'write, moving states' if write else 'read, linear'}"
            bar = 200.0 if write and size == 32 else None
            figures.append(Figure(f"{what}: behavioral, times faster than ngspice", spent / ours, "", bar))
            figures.append(Figure(f"{what}: state error", error, "", 1e-4, at_most=True))
    spice.close()
    return figures


def main() -> int:
    """Print every figure; return 1 if a bar was missed and ``--accept`` given."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the phases, no 32 x 32")
    parser.add_argument("--accept", action="store_true", help="exit code 1 if a bar is missed")
    chosen = parser.parse_args()
    quick = chosen.quick
    figures = overhead(20 if quick else 200)
    for figure in figures:
        print(figure)
    parts: tuple[Callable[[], list[Figure]], ...] = (
        lambda: workers(4 if quick else 12),
        lambda: memory(50 if quick else 500),
        lambda: speedup((8,) if quick else (8, 16, 32)),
    )
    for part in parts:
        found = part()
        for figure in found:
            print(figure)
        figures += found
    barred = [figure for figure in figures if figure.bar is not None]
    met = sum(figure.good for figure in barred)
    print(f"{met} of {len(barred)} bars met")
    return 1 if chosen.accept and met < len(barred) else 0


if __name__ == "__main__":
    raise SystemExit(main())
