"""The engine `subprocess`: a fresh ``ngspice -n -b -r`` for every deck, read back by our own reader.

It keeps no state between decks, which makes it the reference for every other engine.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
import time
from concurrent.futures import Future
from pathlib import Path

import numpy as np

from cosim.errors import SpiceCrashError, SpiceError, SpiceTimeoutError, UnsupportedRequestError
from cosim.spice.cards import Deck, OperatingPoint, SpiceVectors
from cosim.spice.machine import clean_environment, require_binary
from cosim.spice.pool import Background, repeat_after_crash
from cosim.spice.raw import RawPlot, read_raw
from cosim.spice.sandbox import FOLDER, Limits, death_sentence, kill, limited_command, wait
from cosim.spice.verdict import complaint_in, judge

_LOG_CHARACTERS = 200_000


class SubprocessEngine:
    """Runs each deck in a new ngspice process; raises `SpiceMissingError` where there is no program."""

    def __init__(self, workers: int = 1, retries: int = 1, limits: Limits | None = None) -> None:
        self._binary = require_binary()
        self._retries = retries
        self._limits = limits or Limits()
        self._background = Background(workers)
        self._running: set[int] = set()

    @property
    def name(self) -> str:
        """Name of the engine, for the manifest."""
        return "subprocess"

    def run(self, deck: Deck, deadline_s: float) -> SpiceVectors:
        """Return the saved vectors of ``deck``; see `SpiceEngine.run` for the errors."""
        if deck.watch is not None:
            raise UnsupportedRequestError(
                "the engine 'subprocess' cannot react inside a phase, so it answers no stop conditions; choose the engine 'lockstep'"
            )
        return repeat_after_crash(self._once, deck, deadline_s, self._retries)

    def submit(self, deck: Deck, deadline_s: float) -> Future[SpiceVectors]:
        """Return a future of `run`."""
        return self._background.submit(lambda: self.run(deck, deadline_s))

    def close(self) -> None:
        """Wait for the decks that run."""
        self._background.close()

    def worker_pids(self) -> list[int]:
        """Return the process numbers of the simulations that run now."""
        return sorted(self._running)

    def _once(self, deck: Deck, deadline_s: float) -> SpiceVectors:
        start = time.perf_counter()
        with tempfile.TemporaryDirectory(prefix=FOLDER, ignore_cleanup_errors=True) as name:
            folder = Path(name)
            (folder / "phase.cir").write_text(deck.text())
            code = self._simulate(folder, deadline_s)
            log = _read_log(folder / "log")
            vectors = _vectors(deck, folder / "phase.raw", log, start)
        if code < 0:
            raise SpiceCrashError(f"ngspice died in the middle of the phase ({death_sentence(code)})")
        result = judge(deck, vectors, log)
        if code != 0:
            raise complaint_in(log) or SpiceError(f"ngspice ended with exit code {code} and gave no reason")
        return result

    def write_raw(self, text: str, path: Path, deadline_s: float) -> None:
        """Simulate the deck ``text`` and write ngspice's raw file to ``path``, whole.

        Raises `SpiceError` with ngspice's complaint where it wrote none, `SpiceTimeoutError` past the deadline.
        """
        with tempfile.TemporaryDirectory(prefix=FOLDER, ignore_cleanup_errors=True) as name:
            folder = Path(name)
            (folder / "phase.cir").write_text(text)
            code = self._simulate(folder, deadline_s)
            raw, log = folder / "phase.raw", _read_log(folder / "log")
            if code != 0 or not raw.is_file():
                raise complaint_in(log) or SpiceError(f"ngspice ended with exit code {code} and no raw file")
            part = path.with_name(f".{path.name}.part")
            shutil.copyfile(raw, part)
            part.replace(path)

    def _simulate(self, folder: Path, deadline_s: float) -> int:
        """Return the exit code of ngspice; raises `SpiceTimeoutError` when it had to be killed."""
        command = [self._binary, "-n", "-b", "-r", "phase.raw", "phase.cir"]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                limited_command(command, self._limits, deadline_s),
                cwd=folder, env=clean_environment(str(folder)), stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
            self._running.add(process.pid)
            try:
                code = wait(process, deadline_s)
            finally:
                kill(process)
                self._running.discard(process.pid)
        if code is None:
            raise SpiceTimeoutError(f"ngspice did not finish within {deadline_s:g} s and was stopped")
        return code


def _read_log(path: Path) -> str:
    with path.open("rb") as log:
        return log.read(_LOG_CHARACTERS).decode("utf-8", "replace")


def _vectors(deck: Deck, path: Path, log: str, start: float) -> SpiceVectors | None:
    """Return the wanted vectors of the one plot in the raw file, or None where there is none."""
    plots = read_raw(path) if path.is_file() and path.stat().st_size else []
    wanted = "operating point" if isinstance(deck.analysis, OperatingPoint) else "transient"
    plot = next((plot for plot in plots if plot.name.lower().startswith(wanted)), None)
    if plot is None or not set(deck.saves) <= set(plot.names):
        return None
    values = plot.values[:, [plot.names.index(name) for name in deck.saves]]
    total = time.perf_counter() - start
    spent = min(_analysis_time(log), total)
    return SpiceVectors(_time(plot), deck.saves, values, log, spent, total - spent)


def _time(plot: RawPlot) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    time_axis: np.ndarray[tuple[int], np.dtype[np.float64]]
    time_axis = plot.column("time") if "time" in plot.names else np.zeros(len(plot.values))
    return time_axis


def _analysis_time(log: str) -> float:
    """Return the seconds that ngspice reports for the analysis (it rounds to milliseconds)."""
    match = re.search(r"Total analysis time \(seconds\) = ([0-9.eE+-]+)", log)
    return float(match.group(1)) if match else 0.0
