"""Read noise of whole arrays: beside the same read without it, and beside drawing its normal numbers alone, in one process.

Methods take turns; each figure is the best of its rounds. The limit is the generator: flicker needs a normal number per component
and cell of the driven rows and one for each component that moves within the aperture, thermal noise one a cell, a trap a
uniform one. ``--accept`` ends with status 3 if a bar is missed.

The case: log-uniform conductances of 10 uS to 1 mS, wires of 1 ohm, every row driven, flicker down to 1 mHz, an aperture of 10 ns.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import sys
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

from cosim.components.noisy_reads import NoiseProcess, with_read_noise
from cosim.crossbar.backend import PhaseRequest, find
from cosim.crossbar.drive import Phase, Waveform
from cosim.crossbar.network import Cell, Segments, single
from cosim.devices import Resistor
from cosim.devices.read_noise import Flicker, ReadNoise, Telegraph

SIZES = (64, 128)
APERTURE = 10e-9
OVER_DRAWS = 4.0
"""Bar: time of all noise over that of drawing its numbers."""
THERMAL_OVER_READ = 2.0
"""Bar: a read with thermal noise, over the bare one of an array whose network is factorized."""


def request(n: int) -> PhaseRequest:
    """Return a read of all rows of an array."""
    rng = np.random.default_rng(0)
    device = Resistor()
    network = single("array", (n, n), device, Cell("1R"), Segments(1.0, 1.0))
    state = device.state_for(10.0 ** rng.uniform(-5, -3, (n, n)))
    duration = 100_000_000
    rows = {
        f"wl{k}": Waveform((0, duration), (float(v), float(v)))
        for k, v in enumerate(rng.uniform(0.05, 0.2, n))
    }
    columns = {f"bl{k}": Waveform((0,), (0.0,)) for k in range(n)}
    phase = Phase("read", duration, {**rows, **columns}, (duration,))
    return PhaseRequest(network, (state,), None, 0, 300.0, phase, 7)


def draws(n: int, noise: ReadNoise) -> Callable[[], Any]:
    """Return what draws the numbers of a read."""
    rng = np.random.default_rng(1)
    count = int(noise.thermal)
    if noise.flicker is not None:
        rates = noise.flicker.rates(APERTURE)
        count += len(rates) + int((rates * APERTURE > 1e-3).sum()) + 1
    uniform = n * n * (noise.rtn is not None)

    def draw() -> None:
        rng.standard_normal((n * n, count))
        rng.random(uniform)

    return draw


def best(methods: dict[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """Return the shortest processor time of each method [s], taking turns; all of them are of one thread."""
    found = dict.fromkeys(methods, float("inf"))
    for _ in range(rounds):
        for name, method in methods.items():
            start = time.process_time()
            method()
            found[name] = min(found[name], time.process_time() - start)
    return found


def compare(n: int, rounds: int) -> dict[str, float]:
    """Return the times of a size."""
    bare = request(n)
    backend = find("behavioral")()
    answer = backend.run(bare)
    full = ReadNoise(flicker=Flicker(), rtn=Telegraph())
    processes = {
        name: NoiseProcess(noise, (n, n), np.random.default_rng(2), APERTURE)
        for name, noise in (("thermal", ReadNoise()), ("all", full))
    }
    now = 0

    def noisy(name: str) -> None:
        nonlocal now
        now += 10**9
        with_read_noise(dataclasses.replace(bare, start_fs=now), answer, processes[name])

    methods: dict[str, Callable[[], Any]] = {
        "read": lambda: backend.run(bare),
        "thermal": lambda: noisy("thermal"),
        "all": lambda: noisy("all"),
        "draws": draws(n, full),
    }
    return best(methods, rounds)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--accept", action="store_true")
    given = parser.parse_args()
    missed = 0
    for n in SIZES:
        times = compare(n, given.rounds)
        ms = {name: f"{1e3 * value:.2f} ms" for name, value in times.items()}
        over_draws = times["all"] / times["draws"]
        over_read = 1 + times["thermal"] / times["read"]
        print(
            f"{n}x{n}: bare read {ms['read']}; thermal noise {ms['thermal']}, a read with it takes {over_read:.2f} times the bare one "
            f"(bar {THERMAL_OVER_READ:g}): {'met' if over_read <= THERMAL_OVER_READ else 'missed'}"
        )
        print(
            f"{n}x{n}: thermal, flicker and telegraph noise {ms['all']}, its numbers alone {ms['draws']}, ratio {over_draws:.2f} "
            f"(bar {OVER_DRAWS:g}): {'met' if over_draws <= OVER_DRAWS else 'missed'}; over the bare read {times['all'] / times['read']:.1f}"
        )
        missed += (over_draws > OVER_DRAWS) + (over_read > THERMAL_OVER_READ)
    return 3 if given.accept and missed else 0


if __name__ == "__main__":
    sys.exit(main())
