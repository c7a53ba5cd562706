"""The behavioral backend: device closed forms on the solved network, quasi-static wires.

A phase is cut at the corners of its drives; between two corners every drive is linear in time. First
the network is solved once, with the states of the start, for the drives at all corners. What each
stretch would move at these voltages decides how it is treated:

* no state moves noticeably in the whole phase (`Tolerances.still`): done, energies are exact;
* a stretch moves little (`Tolerances.weak`, typically an edge): one pass with the present conductances;
* else the states move while the network is solved at the start, the middle and the end of each step.
  A step counts if the states that the network was solved for agree with the states that came out
  (`Tolerances.coupling`; the network is solved again before the step is halved) and if two quadrature
  rules agree (`Tolerances.step`). Powers are integrated by the Simpson rule on the same three points.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, ClassVar, Literal, final

import numpy as np

from cosim.backends import blocks, instant, single_level, stops
from cosim.backends import response as network
from cosim.backends.circuit_run import CircuitRun
from cosim.backends.kept_reads import KeptReads, Masks, solve_whole
from cosim.backends.many_reads import answer_reads
from cosim.backends.moving_reads import MovingReads
from cosim.backends.phase_run import PhaseRun, States, Tolerances, moving, still
from cosim.crossbar.backend import (
    CrossbarBackend,
    Energy,
    PhaseRequest,
    PhaseResult,
    ReadAnswers,
    ReadLimit,
    Samples,
    SavedWaveforms,
)
from cosim.crossbar.circuit import joins_floating_nets
from cosim.crossbar.drive import GroupedDrives, drive_table
from cosim.crossbar.network import LiveNetwork, Network, live_network
from cosim.crossbar.stopping import Stop, effective_phase
from cosim.devices.base import FloatArray
from cosim.errors import UnsupportedRequestError
from cosim.rng import shell_uniforms
from cosim.units import seconds

__all__ = ["BehavioralBackend", "Tolerances"]


@dataclass(frozen=True, slots=True, eq=False)
class _Outcome:
    """What came out of the conducting part of a network; instants are strobes, then saved corners."""

    states: States
    exposure: States
    instants_fs: tuple[int, ...]
    net_voltage: FloatArray
    net_current: FloatArray
    charge: FloatArray
    energy: Energy
    residual: float
    applied: tuple[str, ...]
    stops: tuple[Stop, ...] = ()
    node_voltages: States | None = None
    net_voltages: FloatArray | None = None


def _outcome(run: PhaseRun, states: States, applied: tuple[str, ...]) -> _Outcome:
    instants = (*run.request.phase.strobes_fs, *(run.corners if run.request.phase.save else ()))
    found = [run.responses[instant] for instant in instants]
    shape = (len(instants), len(run.request.network.nets))
    voltage = np.array([response.net_voltage for response in found]).reshape(shape)
    current = np.array([response.net_current for response in found]).reshape(shape)
    energy, charge, residual = run.ledger.close()
    return _Outcome(
        states, tuple(run.exposure), instants, voltage, current, charge, energy, residual, applied
    )


@lru_cache(maxsize=256)
def _linear(network: Network) -> bool:
    return all(array.linear for array in network.arrays)


@lru_cache(maxsize=256)
def _stochastic(network: Network) -> bool:
    return any(array.device.stochastic for array in network.arrays)


def _general(request: PhaseRequest) -> bool:
    """Whether only `CircuitRun` answers: nonlinear cells, several state variables, joined floating nets."""
    if not _linear(request.network) or any(state.ndim > 2 for state in request.states):
        return True
    drives = request.phase.drives
    if isinstance(drives, GroupedDrives) and None not in drives.waveforms:
        return False
    driven = [net in drives for net in request.network.nets]
    return joins_floating_nets(request.network, driven)


def _circuit_outcome(
    request: PhaseRequest,
    conducting: tuple[tuple[bool, ...] | None, ...],
    wires: bool,
    tolerances: Tolerances,
    charged: bool = True,
) -> _Outcome:
    """Answer a phase on any circuit; ``charged``: with the capacitance of lines and nets."""
    driven = tuple(net in request.phase.drives for net in request.network.nets)
    gates = tuple(network.gate_levels(array, request.phase) for array in request.network.arrays)
    prepared = instant.plan(request.network, driven, wires, charged, conducting, gates, request.temperature)
    run = CircuitRun(request, prepared, tolerances)
    last = run.run()
    instants = (*run.phase.strobes_fs, *(sorted(run.found) if request.phase.save else ()))
    shape = (len(instants), len(request.network.nets))
    voltage = np.array([run.found[at].net_voltage for at in instants]).reshape(shape)
    current = np.array([run.found[at].net_current for at in instants]).reshape(shape)
    voltages = net_voltages = None
    if charged:
        word, bit = (prepared.split([part[side] for part in instant.nodes(last).lines]) for side in (0, 1))
        voltages = tuple(np.stack(pair) for pair in zip(word, bit, strict=True))
        net_voltages = last.net_voltage if request.network.capacitance else None
    return _Outcome(
        prepared.split(run.states), prepared.split(run.exposure), instants, voltage, current, run.account.charge,
        run.energy(), run.account.residual, ("stopped",) if run.stops else (), tuple(run.stops), voltages,
        net_voltages,
    )  # fmt: skip


def _watched(request: PhaseRequest, start: stops.Start) -> _Outcome:
    """Return the outcome of a phase with stop conditions."""
    whole = stops.run_watched(request, start)
    phase = whole.phase
    corners = tuple(sorted(instant for instant in whole.responses if instant <= phase.duration_fs))
    instants = (*phase.strobes_fs, *(corners if phase.save else ()))
    found = [whole.responses[instant] for instant in instants]
    shape = (len(instants), len(request.network.nets))
    voltage = np.array([response.net_voltage for response in found]).reshape(shape)
    current = np.array([response.net_current for response in found]).reshape(shape)
    energy, charge, residual = whole.ledger.close()
    return _Outcome(
        whole.states, tuple(whole.exposure), instants, voltage, current, charge, energy, residual,
        ("stopped",) if whole.stops else (), tuple(whole.stops),
    )  # fmt: skip


def _compiled(run: PhaseRun) -> _Outcome | None:
    """Return the outcome where the compiled path answers the phase (see `single_level`), else None."""
    request, phase = run.request, run.request.phase
    plan = single_level.plan(run.prepared, request.temperature, run.tolerances.still, run.tolerances.move)
    level = single_level.find_level(run.shape) if plan is not None else None
    if plan is None or level is None:
        return None
    voltage = level.voltage[run.net_column]
    found = single_level.answer(plan, run.prepared, request.states[0], voltage, level.parts)
    if found is None or (phase.strobes_fs and not found.still):
        return None
    instants = (*phase.strobes_fs, *(run.corners if phase.save else ()))
    if instants:
        shares = np.array([[level.shares[run.corners.index(instant)]] for instant in instants])
        voltages, currents = shares * voltage, shares * found.current
    else:
        voltages = currents = np.empty((0, voltage.size))
    return _Outcome(
        (found.state,), (found.exposure,), instants, voltages, currents, found.charge,
        found.energy, found.residual, ("still",) if found.still else (),
    )  # fmt: skip


def _blocks_outcome(request: PhaseRequest, wires: bool, tolerances: Tolerances) -> _Outcome | None:
    """Return the outcome where the arrays are many, equal and small (see `blocks`), else None."""
    found = blocks.answer(request, wires, tolerances)
    if found is None:
        return None
    phase = request.phase
    corners = phase.corners_fs()
    instants = (*phase.strobes_fs, *(corners if phase.save else ()))
    rows = [corners.index(instant) for instant in instants]
    return _Outcome(
        found.states, (), instants, found.voltage[rows], found.current[rows], found.charge, found.energy,
        found.residual, (),
    )  # fmt: skip


def _nothing(request: PhaseRequest) -> _Outcome:
    """Return the outcome where no row conducts: no current anywhere."""
    phase = request.phase
    instants = (*phase.strobes_fs, *(phase.corners_fs() if phase.save else ()))
    energy = Energy(np.zeros(0), np.zeros(0), (), 0.0, 0.0, 0.0)
    return _Outcome(
        (),
        (),
        instants,
        np.zeros((len(instants), 0)),
        np.zeros((len(instants), 0)),
        np.zeros(0),
        energy,
        0.0,
        ("still",),
    )


def _whole_states(request: PhaseRequest, live: LiveNetwork, outcome: _Outcome) -> tuple[States, States]:
    """Return states and exposures of the whole network: rows that do not conduct rest at 0 V."""
    duration, temperature = seconds(request.phase.duration_fs), request.temperature
    inner = iter(zip(outcome.states, outcome.exposure, strict=True))
    states, exposures = [], []
    for array, state, rows in zip(request.network.arrays, request.states, live.rows, strict=True):
        if len(rows) == array.rows:
            moved, exposed = next(inner)
        else:
            rest = np.zeros((1, 1))
            moved = array.device.advance(state, rest, duration, temperature)
            exposed = rest  # without effect unless the device is stochastic
            if array.device.stochastic:
                rate = duration * array.device.exposure_rate(rest, temperature)
                exposed = np.array(np.broadcast_to(rate, array.shape))
            if len(rows):
                moved[rows], inner_exposure = next(inner)
                if array.device.stochastic:
                    exposed[rows] = inner_exposure
        states.append(moved)
        exposures.append(exposed)
    return tuple(states), tuple(exposures)


def _whole_energy(request: PhaseRequest, live: LiveNetwork, energy: Energy) -> Energy:
    nets = len(request.network.nets)
    delivered, absorbed = np.zeros(nets), np.zeros(nets)
    delivered[live.nets], absorbed[live.nets] = energy.delivered, energy.absorbed
    inner = iter(energy.cells)
    cells = []
    for array, rows in zip(request.network.arrays, live.rows, strict=True):
        full = np.zeros(array.shape)
        if len(rows):
            full[rows] = next(inner)
        cells.append(full)
    return Energy(delivered, absorbed, tuple(cells), energy.access, energy.wires, energy.terminations)


def _expand(request: PhaseRequest, live: LiveNetwork, outcome: _Outcome) -> PhaseResult:
    """Return the result on the whole network."""
    phase, nets = request.phase, request.network.nets
    states, exposures = _whole_states(request, live, outcome)
    voltage = (
        drive_table(phase, nets, outcome.instants_fs) if outcome.instants_fs else np.zeros((0, len(nets)))
    )
    voltage[np.isnan(voltage)] = 0.0  # a line that floats and that nothing conducts to
    current = np.zeros(voltage.shape)
    voltage[:, live.nets], current[:, live.nets] = outcome.net_voltage, outcome.net_current
    charge = np.zeros(len(nets))
    charge[live.nets] = outcome.charge
    whole = _Outcome(
        states, exposures, outcome.instants_fs, voltage, current, charge,
        _whole_energy(request, live, outcome.energy), outcome.residual, outcome.applied, outcome.stops,
    )  # fmt: skip
    return _result(request, whole)


def _result(request: PhaseRequest, outcome: _Outcome) -> PhaseResult:
    """Return the result where the whole network conducts."""
    phase, nets, states, applied = request.phase, request.network.nets, outcome.states, outcome.applied
    if _stochastic(request.network):
        states, applied = _fluctuate(request, states, outcome.exposure), (*applied, "stochastic")
    strobes = len(phase.strobes_fs)
    saved = None
    if phase.save:
        index = [request.network.net_index[name] for name in phase.save]
        times = np.array([seconds(instant) for instant in outcome.instants_fs[strobes:]])
        saved = SavedWaveforms(times, phase.save, outcome.net_voltage[strobes:, index])
    samples = Samples(phase.strobes_fs, nets, outcome.net_voltage[:strobes], outcome.net_current[:strobes])
    return PhaseResult(
        states,
        outcome.node_voltages,
        phase.duration_fs,
        samples,
        outcome.charge,
        outcome.energy,
        outcome.residual,
        applied,
        saved,
        stops=outcome.stops,
        net_voltages=outcome.net_voltages,
    )


def _as_stopped(request: PhaseRequest, outcome: _Outcome) -> PhaseRequest:
    """Return the request with the plain phase that it became."""
    if not outcome.stops:
        return request
    return dataclasses.replace(request, phase=effective_phase(request.phase, outcome.stops))


def _fluctuate(request: PhaseRequest, states: States, exposures: States) -> States:
    rng = np.random.Generator(np.random.PCG64(request.noise_seed))
    return tuple(
        array.device.fluctuate(before, after, exposure, shell_uniforms(rng, array.shape))
        for array, before, after, exposure in zip(
            request.network.arrays, request.states, states, exposures, strict=True
        )
    )


def _live_request(request: PhaseRequest, live: LiveNetwork) -> PhaseRequest:
    """Return the request on the conducting part of its network."""
    if live.network is None or live.network is request.network:
        return request
    states = tuple(state[rows] for state, rows in zip(request.states, live.rows, strict=True) if len(rows))
    phase = request.phase
    if isinstance(phase.drives, GroupedDrives):
        phase = dataclasses.replace(phase, drives=phase.drives.restricted(live.network, live.nets))
    return dataclasses.replace(request, network=live.network, states=states, phase=phase)


@final
class BehavioralBackend(CrossbarBackend):
    """Answers phases with device closed forms; ``fidelity`` chooses how much of the wires is real.

    ``ideal``: no wire and no line-end resistance. ``resistive``: both, quasi-static. ``rc``: with the
    capacitance of lines and nets, where the network has any. ``compiled``: let numba, where it is installed,
    answer the phases that it can. ``reuse=False`` solves every phase on its own
    and, where no net floats, on the whole network: no row is left out, no solution kept, nothing compiled but the
    line solver. For comparisons: the results are the same.
    """

    name: ClassVar[str] = "behavioral"

    def __init__(
        self,
        fidelity: Literal["ideal", "resistive", "rc"] = "resistive",
        tolerances: Tolerances | None = None,
        compiled: bool = True,
        reuse: bool = True,
    ) -> None:
        if fidelity not in ("ideal", "resistive", "rc"):
            raise UnsupportedRequestError(f"fidelity must be 'ideal', 'resistive' or 'rc', not '{fidelity}'")
        self.fidelity = fidelity
        self.tolerances = tolerances or Tolerances()
        self.compiled = compiled and reuse
        self.reuse = reuse
        self._reads = KeptReads()
        self._moving_reads = MovingReads()

    def describe(self) -> dict[str, Any]:
        return {"backend": self.name, "fidelity": self.fidelity}

    def run_reads(
        self, request: PhaseRequest, voltages: FloatArray, limit: ReadLimit | None = None
    ) -> ReadAnswers | None:
        if not self.reuse:
            return None
        if not request.network.arrays[0].device.moves:
            return answer_reads(request, voltages, self._wired)
        return None if limit is None else self._moving_reads.answer(request, voltages, limit, self._wired)

    def forget(self) -> None:
        self._reads.forget()
        self._moving_reads.forget()

    def close(self) -> None:
        self._moving_reads.close()

    @property
    def _wired(self) -> bool:
        return self.fidelity != "ideal"

    def run(self, request: PhaseRequest) -> PhaseResult:
        charged = self.fidelity == "rc" and request.network.has_capacitance
        masks: Masks = (None,) * len(request.network.arrays)
        if request.network.gate_nets:
            masks = tuple(network.conducting_rows(array, request.phase) for array in request.network.arrays)
        if charged:
            outcome = _circuit_outcome(request, masks, self._wired, self.tolerances)
            return _result(_as_stopped(request, outcome), outcome)
        live = live_network(request.network, masks)
        start = self._start
        if (
            not self.reuse
            and live.network is not None
            and not _general(request)
            and all(net in request.phase.drives for net in request.network.nets)
        ):
            live, start = (
                live_network(request.network, (None,) * len(masks)),
                partial(self._start, masks=masks),
            )
        outcome = (
            _nothing(request) if live.network is None else self._run(_live_request(request, live), start)
        )
        request = _as_stopped(request, outcome)
        whole = live.network is request.network
        return _result(request, outcome) if whole else _expand(request, live, outcome)

    def _run(self, request: PhaseRequest, start: stops.Start) -> _Outcome:
        """Answer a request on the conducting part of its network."""
        quick = _blocks_outcome(request, self._wired, self.tolerances) if self.compiled else None
        if quick is not None:
            return quick
        if _general(request):
            everywhere = (None,) * len(request.network.arrays)
            return _circuit_outcome(request, everywhere, self._wired, self.tolerances, charged=False)
        if request.phase.stops:
            return _watched(request, start)
        run = start(request)
        kept = self._reads.answer(run, self.compiled) if self.reuse else None
        if kept is not None:
            return _outcome(run, kept[0], ("still", kept[1]) if kept[1] else ("still",))
        quick = _compiled(run) if self.compiled and self.tolerances.refine == 1 else None
        if quick is not None:
            return quick
        points = run.frozen()
        states = still(run, points) if self.tolerances.refine == 1 else None
        if states is not None:
            return _outcome(run, states, ("still",))
        return _outcome(run, moving(run, points, run.moves(points)), ())

    def _start(self, request: PhaseRequest, masks: Masks | None = None) -> PhaseRun:
        run = PhaseRun(request, self._wired, self.tolerances)
        if masks is not None:
            run.solver = solve_whole(run.prepared, masks)
        return run
