"""The worker process of the engine `pyspice`: holds one libngspice and answers decks until it is told to stop.

Started with two pipe numbers, the library and two limits (see `main`). It keeps the
circuit that it loaded last; a job with the same key only alters numbers. The numbers of a freshly
loaded circuit are altered as well, so a result never depends on what the worker did before.
"""

from __future__ import annotations

import os
import sys
import time
from dataclasses import dataclass
from typing import Any

from cosim.crossbar.stopping import Stop
from cosim.spice import wire
from cosim.spice.lockstep import Reaction, Watch
from cosim.spice.pyspice_fence import Instance, InstanceLostError, plot_name
from cosim.spice.sandbox import (
    Limits,
    allow_processor_time,
    die_with_the_other_end,
    limit_this_process,
)
from cosim.spice.verdict import complaint_in


@dataclass(frozen=True)
class Job:
    """One deck for the worker.

    ``key`` tells whether the loaded circuit will do, and then ``text`` and ``saves`` are empty.
    """

    key: str
    text: str
    alters: list[str]
    analysis: str
    saves: tuple[str, ...]
    deadline_s: float
    watch: Watch | None = None


@dataclass(frozen=True)
class Answer:
    """What the worker found.

    ``vectors`` is (time, values) or None; ``key`` that of the circuit it has loaded now; ``lost`` ends it.
    """

    vectors: Any
    log: str
    wall_s: float
    overhead_s: float
    key: str
    lost: bool = False
    stops: tuple[Stop, ...] = ()


class Worker:
    """Runs jobs on one instance and remembers which circuit is loaded."""

    def __init__(self, library: str, *, reacting: bool = False) -> None:
        self.instance = Instance(library, reacting=reacting)
        self._key = ""
        self._saves: tuple[bytes, ...] = ()

    def answer(self, job: Job) -> Answer:
        """Return what the simulation of ``job`` gave."""
        start = time.perf_counter()
        allow_processor_time(job.deadline_s)
        spent = 0.0
        try:
            self.instance.log()
            self._prepare(job)
            before = time.perf_counter()
            plot, stops = self._simulate(job)
            spent = time.perf_counter() - before
            vectors = self.instance.vectors(plot, self._saves) if plot else None
        except InstanceLostError as error:
            return Answer(None, f"{self.instance.log()}\n{error}", spent, 0.0, "", lost=True)
        log = self.instance.log()
        if vectors is None or complaint_in(log) is not None:
            self._key = ""
        overhead = time.perf_counter() - start - spent
        return Answer(vectors, log, spent, overhead, self._key, stops=stops)

    def _simulate(self, job: Job) -> tuple[str, tuple[Stop, ...]]:
        """Run the analysis; return the name of its plot and the stop conditions that were met."""
        if job.watch is None:
            return self.instance.run(job.analysis), ()
        windows: list[tuple[float, float]] = []
        while True:
            reaction = Reaction(job.watch, windows)
            plot = self.instance.run_reacting(job.analysis, reaction)
            if reaction.missed is None:
                return plot, tuple(reaction.stops)
            windows.append(reaction.missed)

    def _prepare(self, job: Job) -> None:
        if job.key != self._key:
            self._key = ""
            self.instance.load(job.text)
            if job.watch is not None:
                self.instance.pause_on_flag()
            self._saves = tuple(plot_name(name) for name in job.saves)
            self._key = job.key
        self.instance.commands(job.alters)


def main() -> None:
    """Serve jobs; the arguments of the process are IN OUT LIBRARY MEMORY FILE REACTING (0 or 1)."""
    die_with_the_other_end(int(sys.argv[1]))
    os._exit(serve(sys.argv[1:]))


def serve(arguments: list[str]) -> int:
    """Serve jobs from one pipe and answer on the other until the first is closed; return the exit code."""
    inlet, outlet, library = int(arguments[0]), int(arguments[1]), arguments[2]
    limit_this_process(Limits(memory=int(arguments[3]), file=int(arguments[4])))
    try:
        worker = Worker(library, reacting=arguments[5] == "1")
    except Exception as error:
        wire.send(outlet, ("failed", f"{type(error).__name__}: {error}"))
        return 1
    wire.send(outlet, ("ready", worker.instance.version))
    while True:
        try:
            job = wire.receive(inlet)
            answer = worker.answer(job)
            wire.send(outlet, answer)
        except wire.ClosedError:
            return 0
        if answer.lost:
            return 1
