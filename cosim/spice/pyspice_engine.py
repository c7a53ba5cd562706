"""The engine `pyspice`: persistent worker processes that host libngspice through PySpice.

A worker keeps its circuit between decks; a deck of the same key is only altered. Workers are killed
and replaced when a deadline passes, when they die, and when ngspice has given the instance up.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import subprocess
import sys
import tempfile
import time
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from threading import Condition
from typing import Final

from cosim.crossbar.stopping import Stop, effective_phase
from cosim.errors import (
    SpiceCrashError,
    SpiceMissingError,
    SpiceParseError,
    SpiceTimeoutError,
    UnsupportedRequestError,
)
from cosim.spice import wire
from cosim.spice.cards import Deck, SpiceVectors, Transient
from cosim.spice.machine import clean_environment, require_library
from cosim.spice.pool import Background, repeat_after_crash
from cosim.spice.sandbox import FOLDER, Limits, death_sentence, kill, wait
from cosim.spice.verdict import complaint_in, judge
from cosim.spice.worker import Answer, Job
from cosim.units import seconds

START_DEADLINE_S: Final = 60.0
_MAIN: Final = "from cosim.spice.worker import main; main()"
_DYING_S: Final = 1.0


class WorkerProcess:
    """One worker: a process, two pipes, an empty folder that is its home, and the key of its circuit."""

    def __init__(self, library: str, limits: Limits, *, reacting: bool = False) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix=FOLDER, ignore_cleanup_errors=True)
        inlet, self._to = os.pipe()
        self._from, outlet = os.pipe()
        environment = clean_environment(self._folder.name)
        environment["PYTHONPATH"] = os.pathsep.join(os.path.abspath(path) for path in sys.path)
        command = [sys.executable, "-B", "-P", "-c", _MAIN, str(inlet), str(outlet), library]
        self.process = subprocess.Popen(
            [*command, str(limits.memory), str(limits.file), str(int(reacting))],
            cwd=self._folder.name, env=environment, pass_fds=(inlet, outlet), start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(inlet)
        os.close(outlet)
        self.key = ""
        self.jobs = 0
        self.stopped = False
        self.ready = False

    def wait_ready(self) -> None:
        """Wait for the library to be loaded; raises `SpiceMissingError` where it cannot be."""
        if self.ready:
            return
        try:
            word, detail = wire.receive(self._from, START_DEADLINE_S)
        except (wire.ClosedError, wire.LateError):
            self._collect()
            raise SpiceCrashError(f"the ngspice worker did not start{self._reason()}") from None
        if word != "ready":
            self.stop()
            raise SpiceMissingError(
                f"libngspice cannot be hosted through PySpice here ({detail}); choose the engine 'subprocess'"
            )
        self.ready = True

    def ask(self, job: Job) -> Answer:
        """Return the worker's answer; raises `SpiceTimeoutError` or `SpiceCrashError` and stops it then."""
        try:
            wire.send(self._to, job)
            answer: Answer = wire.receive(self._from, job.deadline_s)
        except wire.LateError:
            self.stop()
            raise SpiceTimeoutError(
                f"ngspice did not finish within {job.deadline_s:g} s and was stopped"
            ) from None
        except wire.ClosedError:
            self._collect()
            raise SpiceCrashError(
                f"the ngspice worker died in the middle of the phase{self._reason()}"
            ) from None
        self.key = answer.key
        self.jobs += 1
        return answer

    def _collect(self) -> None:
        """Give a dying process a moment, so that its own reason is seen, and stop it."""
        wait(self.process, _DYING_S)
        self.stop()

    def _reason(self) -> str:
        code = self.process.returncode
        return f" ({death_sentence(code)})" if code is not None and code < 0 else ""

    def stop(self) -> None:
        """Kill the process, close the pipes and remove the folder; may be called twice."""
        if self.stopped:
            return
        self.stopped = True
        kill(self.process)
        for pipe in (self._to, self._from):
            with contextlib.suppress(OSError):
                os.close(pipe)
        self._folder.cleanup()


class _Pool:
    """At most ``size`` workers; who asks gets one that has the wanted circuit loaded, if there is one."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._idle: list[WorkerProcess] = []
        self._all: list[WorkerProcess] = []
        self._changed = Condition()

    def take(self, key: str, new: Callable[[], WorkerProcess]) -> WorkerProcess:
        """Return an idle worker, or a new one while there are fewer than ``size``; else wait."""
        with self._changed:
            while True:
                self._forget_dead()
                chosen = next((worker for worker in self._idle if worker.key == key), None)
                if chosen is None and len(self._all) < self._size:
                    chosen = new()
                    self._all.append(chosen)
                    return chosen
                if chosen is None and self._idle:
                    chosen = self._idle[0]
                if chosen is not None:
                    self._idle.remove(chosen)
                    return chosen
                self._changed.wait()

    def _forget_dead(self) -> None:
        for worker in [worker for worker in self._idle if worker.process.poll() is not None]:
            worker.stop()
            self._idle.remove(worker)
        self._all = [worker for worker in self._all if not worker.stopped]

    def give_back(self, worker: WorkerProcess) -> None:
        """Take a worker back; one that was stopped is forgotten."""
        with self._changed:
            if worker.stopped:
                self._forget_dead()
            else:
                self._idle.append(worker)
            self._changed.notify()

    def pids(self) -> list[int]:
        """Return the process numbers of the workers that live."""
        with self._changed:
            return [worker.process.pid for worker in self._all if worker.process.poll() is None]

    def stop(self) -> None:
        """Kill all workers."""
        with self._changed:
            for worker in self._all:
                worker.stop()
            self._all, self._idle = [], []


class PySpiceEngine:
    """Runs decks in persistent workers; raises `SpiceMissingError` without PySpice or the library.

    Parameters
    ----------
    workers : int
        How many processes may work at once; they are started when first needed.
    retries : int
        How often a deck is repeated in a fresh worker after its worker died.
    limits : Limits, optional
        Memory and file limits of a worker.
    reacting : bool
        Whether workers take external sources and stop conditions (the engine `lockstep`).
    """

    def __init__(
        self, workers: int = 1, retries: int = 1, limits: Limits | None = None, *, reacting: bool = False
    ) -> None:
        self._reacting = reacting
        self._library = require_library()
        self._retries = retries
        self._limits = limits or Limits(file=0)
        self._background = Background(workers)
        self._pool = _Pool(workers)
        self._finalizer = weakref.finalize(self, self._pool.stop)

    @property
    def name(self) -> str:
        """Name of the engine, for the manifest."""
        return "lockstep" if self._reacting else "pyspice"

    def run(self, deck: Deck, deadline_s: float) -> SpiceVectors:
        """Return the saved vectors of ``deck``; see `SpiceEngine.run` for the errors."""
        return repeat_after_crash(self._once, deck, deadline_s, self._retries)

    def submit(self, deck: Deck, deadline_s: float) -> Future[SpiceVectors]:
        """Return a future of `run`."""
        return self._background.submit(lambda: self.run(deck, deadline_s))

    def close(self) -> None:
        """Wait for the decks that run and stop all workers."""
        self._background.close()
        self._finalizer()

    def worker_pids(self) -> list[int]:
        """Return the process numbers of the workers that live."""
        return self._pool.pids()

    def _worker(self) -> WorkerProcess:
        return WorkerProcess(self._library, self._limits, reacting=self._reacting)

    def _once(self, deck: Deck, deadline_s: float) -> SpiceVectors:
        start = time.perf_counter()
        if deck.watch is not None and not self._reacting:
            raise UnsupportedRequestError(
                "stop conditions need the callbacks of the engine 'lockstep'; choose that engine for this phase"
            )
        worker = self._pool.take(deck.key, self._worker)
        try:
            worker.wait_ready()
            text, saves = ("", ()) if worker.key == deck.key else (deck.text(), deck.saves)
            job = Job(deck.key, text, deck.alters(), deck.analysis.command(), saves, deadline_s, deck.watch)
            answer = worker.ask(job)
            if answer.lost:
                worker.stop()
                raise complaint_in(answer.log) or SpiceParseError(
                    "ngspice gave its instance up while it read the deck"
                )
        finally:
            self._pool.give_back(worker)
        vectors = None
        if answer.vectors is not None:
            overhead = time.perf_counter() - start - answer.wall_s
            vectors = SpiceVectors(
                answer.vectors[0],
                deck.saves,
                answer.vectors[1],
                answer.log,
                answer.wall_s,
                overhead,
                answer.stops,
            )
        return judge(_as_ended(deck, answer.stops), vectors, answer.log)


def _as_ended(deck: Deck, stops: tuple[Stop, ...]) -> Deck:
    """Return the deck with the end that the stop conditions gave it."""
    if deck.watch is None or not stops or not isinstance(deck.analysis, Transient):
        return deck
    end = seconds(effective_phase(deck.watch.phase, stops).duration_fs)
    return dataclasses.replace(deck, analysis=Transient(end, deck.analysis.step))
