"""The exact ngspice deck of the phases of a scenario, and the guarded deck of a PySpice circuit."""

from __future__ import annotations

import contextlib
import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cosim.crossbar.backend import CrossbarBackend, PhaseRequest, find
from cosim.errors import InputError
from cosim.scenario.build import Backends
from cosim.scenario.ktram import lanes_on_ngspice
from cosim.scenario.load import Scenario
from cosim.scenario.run import Progress, run
from cosim.scenario.tap import Tap


class _EnoughError(Exception):
    """The wanted phase has been seen; the rest of the run is of no interest."""


def decks(
    scenario: Scenario, phase: str, running: Progress | None = None, writing: Progress | None = None
) -> Iterator[tuple[int, str]]:
    """Return number and deck of the chosen phases of a behavioral run, deck by deck.

    ``phase``: a number, ``all``, or empty for the first phase that the scenario gives to ngspice (the
    first of all where there is none). ``running`` is told of the steps of the run, which is done at once, ``writing`` of the
    decks that were taken. Raises `InputError` for a phase that does not exist.
    """
    if phase and phase != "all" and not phase.isdigit():
        raise InputError(f"--phase must be a number or 'all', not '{phase}'")
    return _texts(scenario, _requests(scenario, phase, running), writing)


def _requests(scenario: Scenario, phase: str, running: Progress | None) -> list[tuple[int, PhaseRequest]]:
    """Return number and request of the chosen phases of a behavioral run."""
    kept: list[tuple[int, PhaseRequest]] = []
    seen = [0]
    wanted = phase or "all"

    def see(request: PhaseRequest) -> None:
        index = seen[0]
        seen[0] += 1
        if wanted in ("all", str(index)):
            kept.append((index, request))
            if wanted != "all":
                raise _EnoughError

    with contextlib.suppress(_EnoughError):
        result = run(
            scenario, backend="behavioral", progress=running, wrap=lambda _tile, inner: Tap(inner, before=see)
        )
        if result.failure is not None:
            raise result.failure
        if not phase and scenario.section.ktram is not None:
            kept = kept[:1]
        elif not phase and kept:
            phases = result.trace.phases
            tiles, operations = phases.column("tile").tolist(), phases.column("operation").tolist()
            kept = [_first(scenario, kept, tiles, operations)]
    if not kept:
        known = f"phases 0 to {seen[0] - 1}" if seen[0] else "no phases"
        raise InputError(f"there is no phase {phase or 'to write'}: the run has {known}")
    return kept


def _texts(
    scenario: Scenario, requests: list[tuple[int, PhaseRequest]], writing: Progress | None
) -> Iterator[tuple[int, str]]:
    """Yield number and deck of requests."""
    made = Backends(scenario, "ngspice", engine="none")
    try:
        for done, (index, request) in enumerate(requests, 1):
            spice: Any = _writer(scenario, made, request)
            yield index, spice.deck(request).deck.text()
            if writing is not None:
                writing(done, len(requests))
    finally:
        made.close()


def _writer(scenario: Scenario, made: Backends, request: PhaseRequest) -> CrossbarBackend:
    """Return the ngspice backend that writes the deck of a request."""
    if scenario.section.ktram is not None:
        return lanes_on_ngspice(scenario, made)
    tile = request.network.arrays[0].name
    section = scenario.section.tiles[tile]
    chosen = made.of(tile, section.backend, section.fidelity, ("tiles", tile, "backend"))
    return chosen[request.phase.kind]


def _first(
    scenario: Scenario, kept: list[tuple[int, PhaseRequest]], tiles: list[str], operations: list[int]
) -> tuple[int, PhaseRequest]:
    """Return the first phase that ngspice would answer: by the tiles' backends and the hand-overs."""
    for index, request in kept:
        chosen = scenario.section.tiles[tiles[index]].backend
        for step in scenario.section.program[: operations[index]]:
            if step.backend is not None and tiles[index] in step.backend.tiles:
                chosen = step.backend.to
        if chosen[request.phase.kind].kind == "ngspice":
            return index, request
    return kept[0]


def circuit_deck(reference: str, stop_s: float | None = None) -> str:
    """Return the deck of a PySpice circuit, which runs by hand with ``ngspice -n -b``.

    The file is Python and is run, as ``python FILE.py`` would; what it makes passes the guard, like
    every netlist text that is not ours.

    Parameters
    ----------
    reference : str
        ``FILE.py:NAME``: NAME is a PySpice ``Circuit`` in the file, or a function without arguments
        that returns one.
    stop_s : float, optional
        End of a transient from the initial states [s]; without it the operating point is found.

    Raises
    ------
    InputError
        Where there is no such file or name.
    NetlistRefusedError
        For anything outside of what the guard allows.
    """
    circuit = _named(reference)
    spice: Any = find("ngspice")(engine="none")
    text: str = spice.circuit_deck(circuit, stop_s=stop_s)
    return text


def _named(reference: str) -> object:
    """Return the circuit that ``FILE.py:NAME`` names."""
    file, _, name = reference.rpartition(":")
    path = Path(file)
    if path.suffix != ".py" or not name.isidentifier():
        raise InputError(
            f"a circuit must be given as FILE.py:NAME, such as bench.py:circuit, not '{reference}'"
        )
    if not path.is_file():
        raise InputError(f"there is no file '{file}'")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise InputError(f"'{file}' cannot be run: {type(error).__name__}: {error}") from error
    if not hasattr(module, name):
        raise InputError(f"there is no '{name}' in '{file}'")
    found = getattr(module, name)
    return found() if callable(found) and not hasattr(found, "raw_spice") else found
