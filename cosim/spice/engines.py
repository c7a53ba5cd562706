"""The protocol that every way of running ngspice follows, and the choice among them.

`SpiceEngine.run` takes a `Deck` and returns its `SpiceVectors`, or raises one error of the tree
under `SpiceError`. `subprocess` (a fresh program per phase) is the stateless reference; `pyspice`
(a persistent worker that hosts the library) saves the start and the load. `lockstep` is such a worker
that also takes part in the steps of ngspice, for phases with stop conditions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Final, Protocol

from cosim.errors import SpiceMissingError, UnknownNameError
from cosim.spice.cards import Deck, SpiceVectors
from cosim.spice.machine import INSTALL, probe
from cosim.spice.pyspice_engine import PySpiceEngine
from cosim.spice.subprocess_engine import SubprocessEngine


class SpiceEngine(Protocol):
    """Runs decks; one object may be used from several threads."""

    @property
    def name(self) -> str:
        """Name of the engine, for the manifest."""
        ...

    def run(self, deck: Deck, deadline_s: float) -> SpiceVectors:
        """Return the saved vectors of ``deck`` in the order of ``deck.saves``.

        Raises `SpiceParseError`, `SpiceConvergenceError`, `SpiceTimeoutError` (after ``deadline_s``
        seconds) or `SpiceCrashError` (after the repetitions that the engine was given).
        """
        ...

    def submit(self, deck: Deck, deadline_s: float) -> Future[SpiceVectors]:
        """Return a future of `run`, which works in the background."""
        ...

    def worker_pids(self) -> list[int]:
        """Return the process numbers of the processes that hold ngspice now."""
        ...

    def close(self) -> None:
        """Stop all processes; the engine may not be used afterwards."""
        ...


_ENGINES: Final[Mapping[str, Callable[[int, int], SpiceEngine]]] = {
    "subprocess": lambda workers, retries: SubprocessEngine(workers=workers, retries=retries),
    "pyspice": lambda workers, retries: PySpiceEngine(workers=workers, retries=retries),
    "lockstep": lambda workers, retries: PySpiceEngine(workers=workers, retries=retries, reacting=True),
}


def engine(name: str = "auto", workers: int = 1, retries: int = 1) -> SpiceEngine:
    """Return an engine by name: ``subprocess``, ``pyspice``, ``lockstep`` or ``auto`` (the best that is there).

    ``workers`` is how many simulations may run at once, ``retries`` how often a phase is repeated
    in a fresh process after a crash. Raises `UnknownNameError` and `SpiceMissingError`.
    """
    if name == "auto":
        name = probe().engine
        if not name:
            raise SpiceMissingError(f"ngspice is not on this machine; {INSTALL}")
    if name not in _ENGINES:
        raise UnknownNameError(f"must be an engine, one of auto, {', '.join(_ENGINES)}, not '{name}'")
    return _ENGINES[name](workers, retries)
