"""The ngspice backend: every phase is a deck, simulated by an engine of `cosim.spice`.

It answers the same requests as the behavioral backend. States go in as initial voltages of the
devices' state capacitors and come out as their last samples; cells that provably stay still are
written as plain resistors, and cells that carry no current are aged in closed form.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Lock
from typing import Any, ClassVar, final

import numpy as np

from cosim.crossbar.backend import CrossbarBackend, PhaseRequest, PhaseResult
from cosim.crossbar.network import Network
from cosim.crossbar.stopping import effective_phase
from cosim.devices.base import FloatArray
from cosim.errors import SpiceError, UnsupportedRequestError
from cosim.rng import shell_uniforms
from cosim.spice.cards import SpiceVectors
from cosim.spice.deck import READING, PhaseDeck, phase_deck
from cosim.spice.engines import SpiceEngine, engine
from cosim.spice.foreign import read_circuit
from cosim.spice.foreign_deck import ForeignDeck, foreign_deck
from cosim.spice.guess import SHARE_OF_DEADLINE, check_size, network_refusal
from cosim.spice.harvest import Harvest
from cosim.spice.machine import SpiceMachine, probe

STILL_TOLERANCE = 1e-8
"""Largest change of a state, relative to its range, of a cell that is written as a plain resistor."""


@final
class NgspiceBackend(CrossbarBackend):
    """Answers phases with ngspice.

    Parameters
    ----------
    engine : str or SpiceEngine
        ``auto``, ``pyspice``, ``subprocess``, ``lockstep``, an engine to share (which then is not closed
        here), or ``none``: decks can be written without ngspice, and nothing be run. Phases with stop
        conditions go to an engine ``lockstep`` of their own, but ``subprocess`` refuses them.
    workers : int
        How many phases may run at once through `submit`.
    retries : int
        How often a phase is repeated in a fresh worker after its worker died.
    deadline_s : float
        Seconds after which a phase is stopped.
    limit_s : float
        Phases expected to take longer [s] are refused, where possible when a system is built; by default
        a quarter of ``deadline_s``, for the estimate is good to a factor of about three.
    still_tolerance : float
        See `STILL_TOLERANCE`; 0 writes every conducting cell as a live device.
    keep : path, optional
        Folder that receives the deck of a phase that failed.
    netlist : mapping, optional
        A user's subcircuit that takes the place of the cells or of the whole crossbar: the arguments of
        `cosim.spice.foreign.read_circuit`.

    Raises
    ------
    NetlistRefusedError
        Where the netlist cannot be used.
    SpiceMissingError
        Where ngspice is not on this machine.
    """

    name: ClassVar[str] = "ngspice"
    costly: ClassVar[bool] = True

    def __init__(
        self,
        engine: str | SpiceEngine = "auto",
        *,
        workers: int = 1,
        retries: int = 1,
        deadline_s: float = 120.0,
        limit_s: float | None = None,
        still_tolerance: float = STILL_TOLERANCE,
        keep: str | Path | None = None,
        netlist: Mapping[str, Any] | None = None,
    ) -> None:
        self._circuit = read_circuit(**netlist) if netlist is not None else None
        self._owned = isinstance(engine, str)
        self._runner = _engine(engine, workers, retries)
        self._reacting: SpiceEngine | None = None
        self._workers, self._retries = workers, retries
        self._deadline_s = deadline_s
        self._limit_s = SHARE_OF_DEADLINE * deadline_s if limit_s is None else limit_s
        self._still_tolerance = still_tolerance
        self._keep = Path(keep) if keep is not None else None
        self._machine: SpiceMachine = probe()
        self._threads: ThreadPoolExecutor | None = None
        self._lock = Lock()

    @property
    def _engine(self) -> SpiceEngine:
        if self._runner is None:
            raise UnsupportedRequestError("this ngspice backend only writes decks; give it an engine")
        return self._runner

    def _engine_for(self, request: PhaseRequest) -> SpiceEngine:
        """Return the engine of a phase; one with stop conditions needs ``lockstep``."""
        runner = self._engine
        if not request.phase.stops or runner.name != "pyspice":
            return runner
        with self._lock:
            if self._reacting is None:
                self._reacting = engine("lockstep", self._workers, self._retries)
            return self._reacting

    def deck(self, request: PhaseRequest) -> PhaseDeck | ForeignDeck:
        """Return the exact deck of a phase; ``.deck.text()`` is what ``ngspice -n -b`` runs by hand."""
        if self._circuit is not None:
            return foreign_deck(request, self._circuit, klu=self._machine.klu)
        return phase_deck(request, still_tolerance=self._still_tolerance, klu=self._machine.klu)

    @staticmethod
    def circuit_deck(circuit: object, *, stop_s: float | None = None) -> str:
        """Return the guarded deck of a PySpice circuit; see `cosim.spice.export.circuit_deck`."""
        from cosim.spice.export import circuit_deck

        return circuit_deck(circuit, stop_s=stop_s)

    def run(self, request: PhaseRequest) -> PhaseResult:
        """Answer a request; a `SpiceError` is raised after the deck was kept."""
        plan = self.deck(request)
        if isinstance(plan, ForeignDeck):
            return self._answer(plan, self._simulated(plan))
        check_size(plan, self._limit_s, self._machine.klu)
        if not plan.graph.sites and not plan.graph.branches and not plan.graph.charged:
            return self._result(plan, Harvest(plan, _nothing(plan)), "at_rest")
        return self._answer(plan, self._simulated(plan))

    def _simulated(self, plan: PhaseDeck | ForeignDeck) -> SpiceVectors:
        try:
            return self._engine_for(plan.request).run(plan.deck, self._deadline_s)
        except SpiceError as error:
            if self._keep is None:
                raise
            path = self.keep_deck(plan, self._keep)
            raise type(error)(f"{error} (deck kept in {path})") from None

    def _answer(self, plan: PhaseDeck | ForeignDeck, vectors: SpiceVectors) -> PhaseResult:
        """Return the result of a simulation; with the phase that happened where it was stopped."""
        if vectors.stops:
            phase = effective_phase(plan.request.phase, vectors.stops)
            plan = replace(plan, request=replace(plan.request, phase=phase))
        if isinstance(plan, ForeignDeck):
            result = plan.result(vectors)
        else:
            result = self._result(plan, Harvest(plan, vectors))
        if not vectors.stops:
            return result
        return replace(result, stops=vectors.stops, applied=("stopped", *result.applied))

    def submit(self, request: PhaseRequest) -> Future[PhaseResult]:
        with self._lock:
            if self._threads is None:
                self._threads = ThreadPoolExecutor(self._workers, thread_name_prefix="cosim-ngspice")
        return self._threads.submit(self.run, request)

    def worker_pids(self) -> list[int]:
        """Return the process numbers of the processes that hold ngspice now."""
        engines = [each for each in (self._runner, self._reacting) if each is not None]
        return [pid for each in engines for pid in each.worker_pids()]

    def keep_deck(self, plan: PhaseDeck | ForeignDeck, folder: str | Path) -> Path:
        """Write the deck of a phase into ``folder`` and return its path."""
        path = Path(folder) / f"{plan.request.phase.kind}-{plan.request.digest()[:16]}.cir"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(plan.deck.text())
        return path

    def _result(self, plan: PhaseDeck, harvest: Harvest, *applied: str) -> PhaseResult:
        """Return the phase result with what was applied beside the simulation."""
        notes = list(applied)
        if plan.still_sites:
            notes.append("plain_resistors")
        if plan.still_sites and any(
            array.device.moves and not cells.live.all() for array, cells in _pairs(plan)
        ):
            notes.append("operator_split")
        if not any(array.device.stochastic for array in plan.request.network.arrays):
            return harvest.result(tuple(notes))
        return harvest.result((*notes, "stochastic"), _fluctuate(plan.request, harvest))

    def refusal(self, network: Network, kind: str) -> str | None:
        if self._circuit is not None:
            return self._circuit.mismatch(network)
        for array in network.arrays:
            device = array.device
            if not device.linear and device.subcircuit(300.0) is None:
                return f"device {device.name} is nonlinear and has no subcircuit, so ngspice cannot answer for it"
            if device.moves and kind not in (*READING, "wait") and device.subcircuit(300.0) is None:
                return f"device {device.name} has no differential equation, so ngspice can read it but not answer a {kind} phase"
        return network_refusal(network, kind, self._limit_s, self._machine.klu)

    def stop_refusal(self, network: Network) -> str | None:
        if self._runner is not None and self._runner.name == "subprocess":
            return "the engine 'subprocess' cannot react inside a phase, so it answers no stop conditions; choose the engine 'lockstep'"
        return None

    def settling_refusal(self, network: Network) -> str | None:
        if self._circuit is not None and not network.has_capacitance:
            return "a netlist of the user may hold charge that only fidelity rc waits for, so no read can be self-timed; give sense.strobe a time"
        return None

    def describe(self) -> dict[str, Any]:
        machine = self._machine
        return {
            "backend": self.name,
            "engine": self._runner.name if self._runner is not None else "none",
            "ngspice": machine.version,
            "klu": machine.klu,
            "osdi": machine.osdi,
            "library": machine.library,
            "pyspice": machine.pyspice,
            "still_tolerance": self._still_tolerance,
            **({"netlist": self._circuit.sha256} if self._circuit is not None else {}),
        }

    def close(self) -> None:
        with self._lock:
            threads, self._threads = self._threads, None
        if threads is not None:
            threads.shutdown(wait=True)
        if self._owned and self._runner is not None:
            self._runner.close()
        if self._reacting is not None:
            self._reacting.close()


def _engine(given: str | SpiceEngine, workers: int, retries: int) -> SpiceEngine | None:
    if given == "none":
        return None
    return engine(given, workers, retries) if isinstance(given, str) else given


def _pairs(plan: PhaseDeck) -> list[tuple[Any, Any]]:
    return list(zip(plan.request.network.arrays, plan.plans, strict=True))


def _nothing(plan: PhaseDeck) -> SpiceVectors:
    """Return the vectors of a phase in which nothing conducts."""
    instants = sorted({0, *plan.request.phase.corners_fs()})
    time = np.array(instants, dtype=np.float64) / 1e15
    return SpiceVectors(time, plan.deck.saves, np.zeros((len(time), len(plan.deck.saves))))


def _fluctuate(request: PhaseRequest, harvest: Harvest) -> tuple[FloatArray, ...]:
    """Return the final states with their random part, drawn as every backend draws it."""
    rng = np.random.Generator(np.random.PCG64(request.noise_seed))
    result = []
    for index, array in enumerate(request.network.arrays):
        uniforms = shell_uniforms(rng, array.shape)
        after = harvest.final_state(index)
        result.append(array.device.fluctuate(request.states[index], after, harvest.exposure(index), uniforms))
    return tuple(result)
