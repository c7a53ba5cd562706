"""Whole runs under SIGKILL: the ngspice worker, and the run itself, at random instants; nothing changes."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from cosim.backends.ngspice import NgspiceBackend
from cosim.crossbar.backend import CrossbarBackend
from cosim.report.files import json_text, write_whole
from cosim.report.tables import write_tables
from cosim.scenario import Result, Scenario, load, run
from cosim.spice.machine import probe
from cosim.spice.sandbox import FOLDER

pytestmark = pytest.mark.ngspice

ENGINES = ["subprocess", "pyspice"]

SCENARIO = """\
schema_version: 1
name: kills
seed: 5
hardware:
  device: {preset: mss-firm}
  cell: {kind: 1T1R, access_resistance: 5 kohm}
  array: {rows: 2, columns: 2, wires: {word_line: 2.5 ohm, bit_line: 2.5 ohm, capacitance: 0.1 fF}}
tiles:
  core: {backend: behavioral, fidelity: resistive}
program:
  - backend: {tiles: [core], to: ngspice}
  - write: {tiles: [core], matrix: [[1.0, 0.2], [0.4, 0.6]], verify: {pulses: adaptive-width, max_pulses: 30}}
  - read: {tiles: [core], inputs: [[1, 0.5], [0, 1], [0.5, 0.25], [1, 1], [0.1, 0.9]]}
  - wait: 100 us
  - write: {tiles: [core], matrix: [[0.2, 1.0], [0.6, 0.4]], verify: {pulses: adaptive-width, max_pulses: 30}}
  - backend: {tiles: [core], to: behavioral}
  - read: {tiles: [core], inputs: [[1, 0.5], [0, 1]]}
  - backend: {tiles: [core], to: ngspice}
  - write: {tiles: [core], matrix: [[0.8, 0.3], [0.1, 0.9]], verify: {pulses: adaptive-width, max_pulses: 30}}
  - read: {tiles: [core], inputs: INPUTS}
"""


def scenario(folder: Path, engine: str) -> Scenario:
    if engine == "pyspice" and probe().engine != "pyspice":
        pytest.skip("PySpice is not on this machine")
    inputs = [[round(0.02 * k, 2), 1.0] for k in range(50)]
    file = folder / "kills.yaml"
    file.write_text(SCENARIO.replace("INPUTS", str(inputs)))
    return load(file, [f"spice.engine={engine}"])


def outcome(result: Result, folder: Path) -> dict[str, bytes]:
    """Return the same of a run that is not saved as a whole."""
    write_tables(folder / "tables", result.trace, totals=result.totals)
    write_whole(folder / "summary.json", json_text(result.summary))
    return contents(folder)


def contents(folder: Path) -> dict[str, bytes]:
    """Return what may not change: the summary and all tables."""
    files = [folder / "summary.json", *sorted((folder / "tables").iterdir())]
    return {path.name: path.read_bytes() for path in files}


class Killer(threading.Thread):
    """Kills whatever holds ngspice once, at a given instant, as soon as there is something to kill."""

    def __init__(self, backends: list[CrossbarBackend], after_s: float) -> None:
        super().__init__(daemon=True)
        self._backends, self._after_s = backends, after_s
        self._over = threading.Event()
        self.kills = 0

    def run(self) -> None:
        self._over.wait(self._after_s)
        while not self.kills and not self._over.is_set():
            for backend in self._backends:
                for pid in backend.worker_pids() if isinstance(backend, NgspiceBackend) else ():
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                        self.kills += 1
            time.sleep(0.0005)

    def stop(self) -> None:
        self._over.set()
        self.join()


def watched_run(loaded: Scenario, out: Path, after_s: float) -> tuple[dict[str, bytes], int]:
    """Run with one kill after so many seconds; return the contents and the number of kills."""
    backends: list[CrossbarBackend] = []

    def wrap(tile: str, inner: CrossbarBackend) -> CrossbarBackend:
        backends.append(inner)
        return inner

    killer = Killer(backends, after_s)
    killer.start()
    try:
        result = run(loaded, wrap=wrap)
    finally:
        killer.stop()
    assert result.failure is None
    return outcome(result, out), killer.kills


def worker_trials(engine: str, count: int, folder: Path) -> None:
    """Run ``count`` times with one kill each and the usual single repetition of a phase."""
    loaded = scenario(folder, engine)
    start = time.perf_counter()
    undisturbed = run(loaded)
    spent = time.perf_counter() - start
    expected = outcome(undisturbed, folder / "undisturbed")
    assert undisturbed.summary["time"]["phases"] >= 100
    phases = undisturbed.frame()
    assert (phases["backend"] == "ngspice").sum() >= 95
    rng = np.random.default_rng(0)
    killed = 0
    for _ in range(count):
        found, kills = watched_run(loaded, folder / "killed", float(rng.uniform(0.0, 0.9 * spent)))
        killed += kills
        assert found == expected
    assert killed >= 0.8 * count


@pytest.mark.parametrize(("engine", "count"), [("subprocess", 2), ("pyspice", 3)])
def test_worker_killed_at_random_instants(engine: str, count: int, tmp_path: Path) -> None:
    worker_trials(engine, count, tmp_path)


@pytest.mark.acceptance
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("engine", ENGINES)
def test_worker_killed_at_random_instants_fifty_times(engine: str, tmp_path: Path) -> None:
    worker_trials(engine, 50, tmp_path)


def command(folder: Path, out: Path, *options: str) -> list[str]:
    return [
        sys.executable,
        "-m",
        "cosim",
        "run",
        str(folder / "kills.yaml"),
        "--quiet",
        "--out",
        str(out),
        *options,
    ]


def finish(words: list[str], environment: dict[str, str]) -> None:
    subprocess.run(words, env=environment, check=True, capture_output=True, timeout=120)


def orphans(temporary: Path) -> Iterator[int]:
    """Yield the processes whose home is one of the folders that this run made for ngspice."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if f"HOME={temporary}/{FOLDER}".encode() in (entry / "environ").read_bytes():
                    yield int(entry.name)


def no_orphan_lives(temporary: Path) -> bool:
    """Tell whether all of them are gone within two seconds."""
    end = time.monotonic() + 2
    while time.monotonic() < end:
        if not list(orphans(temporary)):
            return True
        time.sleep(0.02)
    return False


def run_trials(engine: str, count: int, folder: Path) -> None:
    """Kill a whole run ``count`` times, each time at a random instant, and resume it."""
    scenario(folder, engine)
    temporary = folder / "tmp"
    temporary.mkdir()
    environment = {**os.environ, "TMPDIR": str(temporary)}
    chosen = ("--set", f"spice.engine={engine}")
    start = time.perf_counter()
    finish(command(folder, folder / "undisturbed", *chosen), environment)
    spent = time.perf_counter() - start
    expected = contents(folder / "undisturbed")
    rng = np.random.default_rng(1)
    journaled = 0
    for number in range(count):
        out = folder / f"killed-{number}"
        process = subprocess.Popen(
            command(folder, out, *chosen), env=environment, start_new_session=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(float(rng.uniform(0.3, 0.95) * spent))
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        assert no_orphan_lives(temporary)
        journaled += len(list((out / "journal").glob("*.phase"))) if out.exists() else 0
        finish(command(folder, out, *chosen, "--resume"), environment)
        assert contents(out) == expected
        assert not list((out / "journal").glob("*.tmp"))
    assert journaled > 0


@pytest.mark.parametrize(("engine", "count"), [("pyspice", 2)])
def test_run_killed_at_random_instants_and_resumed(engine: str, count: int, tmp_path: Path) -> None:
    run_trials(engine, count, tmp_path)


@pytest.mark.acceptance
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("engine", ENGINES)
def test_run_killed_at_random_instants_and_resumed_twenty_times(engine: str, tmp_path: Path) -> None:
    run_trials(engine, 20, tmp_path)


@pytest.mark.parametrize("engine", ENGINES)
def test_endless_phase_does_not_outlive_the_run(engine: str, tmp_path: Path) -> None:
    """The parent is killed in the middle of a simulation that takes for ever."""
    if engine == "pyspice" and probe().engine != "pyspice":
        pytest.skip("PySpice is not on this machine")
    script = (
        "from cosim.spice.cards import Deck, Transient\n"
        "from cosim.spice.engines import engine\n"
        "deck = Deck('endless', ('v1 a 0 1', 'r1 a 0 1k'), (), ('v(a)',), Transient(1.0, 1e-12))\n"
        f"engine({engine!r}).run(deck, 300)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", script], env={**os.environ, "TMPDIR": str(tmp_path)})
    try:
        end = time.monotonic() + 20
        while not list(orphans(tmp_path)) and time.monotonic() < end:
            time.sleep(0.02)
        time.sleep(0.7)
        assert list(orphans(tmp_path))
    finally:
        process.kill()
        process.wait()
    assert no_orphan_lives(tmp_path)
    if engine == "pyspice":
        assert list(tmp_path.glob(f"{FOLDER}*")) == []
