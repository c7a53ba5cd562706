"""The ngspice worker killed at random instants of a run of 100 phases: the result never changes."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time

import numpy as np
import pytest

from cosim.backends.ngspice import NgspiceBackend
from cosim.crossbar import Cell, Phase, PhaseRequest, Segments, level, pulse, single
from cosim.devices import find_preset
from cosim.devices.base import FloatArray
from cosim.spice.machine import probe

pytestmark = pytest.mark.ngspice

NS = 10**6
PHASES = 100
DEVICE = find_preset("mss-firm")
NETWORK = single("t", (2, 2), DEVICE, Cell("1T1R", access_resistance=5e3), Segments(2.5, 2.5))


def phase(number: int) -> Phase:
    """Return a write pulse on one row, or after each fourth a read of all."""
    wave = pulse(0.72, width_fs=40 * NS, rise_fs=2 * NS, fall_fs=2 * NS)
    reads = number % 4 == 3
    rows = range(2)
    drives = {f"wl{i}": level(0.1) if reads else (wave if i == number % 2 else level(0.0)) for i in rows}
    drives |= {f"gl{i}": level(1.8 if reads or i == number % 2 else 0.0) for i in rows}
    drives |= {f"bl{j}": level(0.0) for j in rows}
    return Phase("read" if reads else "write", 50 * NS, drives, (30 * NS,))


def campaign(backend: NgspiceBackend) -> tuple[FloatArray, float]:
    """Return the final state and the energy of the run."""
    state = DEVICE.state_for(np.random.default_rng(0).uniform(2e-6, 6e-6, (2, 2)))
    energy = 0.0
    for number in range(PHASES):
        result = backend.run(PhaseRequest(NETWORK, (state,), None, 0, 300.0, phase(number), number))
        state = result.states[0]
        energy += result.energy.dissipated
    return state, energy


class Killer(threading.Thread):
    """Kills whatever holds ngspice once, at a given instant, as soon as there is something to kill."""

    def __init__(self, backend: NgspiceBackend, after_s: float) -> None:
        super().__init__(daemon=True)
        self._backend, self._after_s = backend, after_s
        self._over = threading.Event()
        self.kills = 0

    def run(self) -> None:
        self._over.wait(self._after_s)
        while not self.kills and not self._over.is_set():
            for pid in self._backend.worker_pids():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                    self.kills += 1
            time.sleep(0.0005)

    def stop(self) -> None:
        self._over.set()
        self.join()


def trials(engine: str, count: int) -> None:
    """Run the campaign ``count`` times with one kill each and the usual single repetition."""
    backend = NgspiceBackend(engine)
    rng = np.random.default_rng(0)
    try:
        expected = campaign(backend)
        start = time.perf_counter()
        campaign(backend)
        spent = time.perf_counter() - start
        killed = 0
        for _ in range(count):
            killer = Killer(backend, float(rng.uniform(0.0, 0.9 * spent)))
            killer.start()
            state, energy = campaign(backend)
            killer.stop()
            killed += killer.kills
            assert np.array_equal(state, expected[0])
            assert energy == expected[1]
        assert killed >= 0.8 * count
    finally:
        backend.close()


@pytest.mark.parametrize("engine", ["subprocess", "pyspice"])
def test_killed_at_random_instants_five_times(engine: str) -> None:
    if engine == "pyspice" and probe().engine != "pyspice":
        pytest.skip("PySpice is not on this machine")
    trials(engine, 5)


@pytest.mark.acceptance
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("engine", ["subprocess", "pyspice"])
def test_killed_at_random_instants_fifty_times(engine: str) -> None:
    if engine == "pyspice" and probe().engine != "pyspice":
        pytest.skip("PySpice is not on this machine")
    trials(engine, 50)
