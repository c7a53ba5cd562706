"""A tile: one crossbar array with its periphery, as resources on the event time line.

The tile owns the state of its array (and, with line capacitance, the node voltages). A phase is atomic:
the tile ages its cells at 0 V over the gap since the last phase, asks the backend of that phase's kind,
waits for the true duration, and then commits the new state and writes the records.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from math import nan
from typing import TypeVar

import numpy as np
import simpy

from cosim.components.adc import Adc
from cosim.components.ageing import Ageing
from cosim.components.answered_reads import AnsweredReads
from cosim.components.bank import ConverterBank, Process, make_bank
from cosim.components.comparator import Comparator
from cosim.components.dac import Dac
from cosim.components.driver import Driver
from cosim.components.noisy_reads import NoiseProcess, with_read_noise
from cosim.components.read_path import ReadPath, TransposedPeriphery
from cosim.components.sense import Sense
from cosim.components.sequencer import Sequencer
from cosim.components.turn import Turn
from cosim.crossbar.backend import CrossbarBackend, PhaseRequest, PhaseResult, ReadAnswers, ReadLimit
from cosim.crossbar.cell_law import seen_conductance, state_seen
from cosim.crossbar.drive import Phase, pulse_count
from cosim.crossbar.network import CrossbarArray, Network
from cosim.devices.base import DeviceModel, FloatArray
from cosim.devices.variation import Variation, cycle_to_cycle
from cosim.errors import CosimError, DeviceError, InputError, PhaseError, UnsupportedRequestError
from cosim.records import BusyRecord, Formula, PhaseRecord, Trace
from cosim.rng import shell_uniforms, stream, stream_seed
from cosim.units import femtoseconds, seconds

PHASE_KINDS = ("read", "verify", "write")
OVER_COMPLIANCE = "over compliance"
"""What ``applied`` says of a phase in which a word line carries more than the driver's compliance."""
_Answer = TypeVar("_Answer")
_Energy = TypeVar("_Energy", float, FloatArray)
_AT_REST = np.zeros((1, 1))

_NETWORK_SOURCE = "solution of the network equations by the backend of the phase"
NETWORK_FORMULAS: Mapping[str, Formula] = {
    "cells": Formula(
        "integral of i^2 / G over every device", "i, G: solved and device state", _NETWORK_SOURCE
    ),
    "access devices": Formula(
        "integral of v * i over every access device",
        "v, i: solved; cell.access_resistance or its law",
        _NETWORK_SOURCE,
    ),
    "wires": Formula("integral of i^2 * R over every segment", "R: array.wires", _NETWORK_SOURCE),
    "line ends": Formula(
        "integral of i^2 * R", "R: driver output and sense input resistance", _NETWORK_SOURCE
    ),
    "driver sink": Formula(
        "integral of the negative part of v*i at driven nets",
        "energy that flows into a driver is lost",
        _NETWORK_SOURCE,
    ),
    "line capacitance": Formula("gain of C*V^2/2 of the lines", "C: array.wires", _NETWORK_SOURCE),
    "numerical": Formula(
        "delivered - absorbed - dissipated - stored",
        "what the two sides of the balance differ by",
        _NETWORK_SOURCE,
    ),
}


@dataclass(frozen=True, slots=True)
class Periphery:
    """The converters, drivers, sense circuits and control of one array."""

    dac: Dac = field(default_factory=Dac)
    adc: Adc = field(default_factory=Adc)
    driver: Driver = field(default_factory=Driver)
    sense: Sense = field(default_factory=Sense)
    sequencer: Sequencer = field(default_factory=Sequencer)
    comparator: Comparator = field(default_factory=Comparator)
    transposed: TransposedPeriphery | None = None


@dataclass(frozen=True, slots=True)
class LineCapacitance:
    """Capacitance of one whole line [F]; the drivers account C·V² where the network stores nothing."""

    word: float
    bit: float
    gate: float


class Tile:
    """One array, its state and its periphery."""

    def __init__(
        self,
        environment: simpy.Environment,
        trace: Trace,
        name: str,
        network: Network,
        state: FloatArray,
        periphery: Periphery,
        capacitance: LineCapacitance,
        backends: Mapping[str, CrossbarBackend],
        *,
        adc_bank: ConverterBank | None,
        temperature: float,
        seed: int,
        variation: Variation | None = None,
    ) -> None:
        self.environment, self.trace, self.name = environment, trace, name
        self.network, self.periphery, self.capacitance = network, periphery, capacitance
        self.state = state
        self.node_voltages: tuple[FloatArray, ...] | None = None
        self.backends = dict(backends)
        self.temperature, self.variation = temperature, variation or Variation()
        adc = periphery.adc
        bank = adc_bank or make_bank(
            environment, trace, f"{name}.adc", adc.count, adc.assignment, adc.arbitration
        )
        bank.name_owner(name)
        self._root = seed
        self.forward = ReadPath(
            periphery.dac, adc, periphery.sense, bank, network, capacitance.word, capacitance.bit,
            mismatch=self._mismatch(periphery.sense, self.array.columns, "sense"),
        )  # fmt: skip
        self.transposed = self._transposed_path()
        self._turn = Turn(environment)
        self._last_fs = int(environment.now)
        self.over_compliance = self.beyond_swing = 0
        self._seed = stream_seed(seed, f"tiles/{name}/phases")
        self._draws: dict[str, int] = {}
        self._c2c = self.variation.of_phases(network.arrays[0].device)
        self._noise = self._noise_process()
        self.ageing = self._new_ageing()
        self._count = 0
        trace.capacities[f"{name}.array"] = 1
        self.cell_energy = trace.cell_energies[name] = np.zeros(network.arrays[0].shape)
        self._register_formulas()

    @property
    def array(self) -> CrossbarArray:
        """The array of the tile."""
        return self.network.arrays[0]

    @property
    def now(self) -> int:
        """Event time [fs]."""
        return int(self.environment.now)

    def conductance(self) -> FloatArray:
        """Return the conductance of the devices [S], ``(rows, columns)``."""
        return self.array.device.conductance(self.state)

    def seen_conductance(self) -> FloatArray:
        """Return the conductance of device and conducting access device in series [S], at the DAC's highest voltage."""
        top = self.periphery.dac.range[1]
        return seen_conductance(self.array.device, self.array.cell, self.state, top, self.temperature)

    def place(self, seen: FloatArray) -> None:
        """Put the devices into the states in which a read sees the conductances ``(rows, columns)`` [S].

        Stuck cells stay what they are, and no device leaves its range.
        """
        if self.ageing is not None:
            self.ageing.renew(seconds(self.now))
            self.network = self.network.with_device(self.ageing.device)
        array, top = self.array, self.periphery.dac.range[1]
        self.state = state_seen(array.device, array.cell, seen, top, self.temperature)
        if self.ageing is not None:
            self.ageing.note(self.state)
        self._last_fs = self.now

    def path(self, transposed: bool) -> ReadPath:
        """Return the way of a read; raises `DeviceError` where the tile has no converters for a transposed one."""
        if not transposed:
            return self.forward
        if self.transposed is None:
            raise DeviceError(
                "a transposed read needs converters at the other line ends; give hardware.transposed, {} for its defaults"
            )
        return self.transposed

    def _mismatch(self, sense: Sense, lines: int, component: str) -> FloatArray | None:
        """Return the further offset of each sense circuit [V], drawn once."""
        if sense.errors.mismatch == 0:
            return None
        rng = stream(self._root, f"tiles/{self.name}/{component}/mismatch")
        return np.asarray(sense.errors.mismatch * rng.standard_normal(lines))

    def _transposed_path(self) -> ReadPath | None:
        part = self.periphery.transposed
        if part is None:
            return None
        adc, ends = part.adc, self.array
        bank = make_bank(
            self.environment,
            self.trace,
            f"{self.name}.transposed_adc",
            adc.count,
            adc.assignment,
            adc.arbitration,
        )
        bank.name_owner(self.name)
        array = dataclasses.replace(
            ends, r_left=part.sense.line_resistance, r_bottom=self.periphery.driver.output_resistance
        )
        c = self.capacitance
        return ReadPath(
            part.dac, adc, part.sense, bank, Network((array,)), c.bit, c.word, transposed=True,
            mismatch=self._mismatch(part.sense, self.array.rows, "transposed sense"),
        )  # fmt: skip

    def hand_over(self, backends: Mapping[str, CrossbarBackend]) -> None:
        """Answer the coming phases with other backends; the state goes with the tile."""
        self.backends.update(backends)

    def wait(self, operation: int, kind: str, resource: str, duration_s: float) -> Process:
        """Hold the control of the tile for a time [s], recorded as ``kind``."""
        start, duration = self.now, femtoseconds(duration_s)
        name = f"{self.name}.{resource}"
        self.trace.capacities.setdefault(name, 1)
        self.trace.busy.append(BusyRecord(name, 0, operation, kind, start, start, start + duration))
        yield self.environment.timeout(duration)

    def energy(
        self,
        operation: int,
        phase: int,
        component: str,
        kind: str,
        energy_j: float,
        formula: str | None = None,
    ) -> None:
        """Account an energy [J] of a component of the periphery; ``formula``: its key, where not the component."""
        if energy_j:
            self.trace.energy(
                operation, phase, self.name, component, kind, energy_j, f"{self.name}/{formula or component}"
            )

    def draws(self, component: str) -> np.random.Generator:
        """Return the generator of a component's next random event; each event has a stream of its own."""
        count = self._draws[component] = self._draws.get(component, 0) + 1
        return stream(self._root, f"tiles/{self.name}/{component}/{count}")

    def run_phase(
        self,
        operation: int,
        phase: Phase,
        duration_from: str,
        timed: Callable[[PhaseRequest, CrossbarBackend], Phase] | None = None,
        programmed: Sequence[tuple[int, int]] = (),
        path: ReadPath | None = None,
    ) -> Process:
        """Run one circuit phase and commit its outcome; returns ``(index of the phase, PhaseResult)``.

        ``timed``: what makes the phase of its request, where its timing depends on the circuit. ``programmed``: row
        and column of each cell that the phase is a pulse for. ``path``: the way of a read, forward unless given.
        """
        asked = self.now
        yield from self._turn.take()
        try:
            start = self.now
            index = len(self.trace.phases)
            request = self._request(phase, start, programmed, path)
            backend = self.backends[phase.kind]
            if timed is not None:
                phase = self._result(partial(timed, request, backend), operation, phase)
                request = dataclasses.replace(request, phase=phase)
            answer: Callable[[], PhaseResult] = partial(backend.run, request)
            if backend.costly:
                answer = backend.submit(request).result
                yield self.environment.timeout(0)  # lets phases of the same instant be submitted too
            result = with_c2c(request, self._result(answer, operation, phase), self._c2c)
            if self._noise is not None and phase.kind in ("read", "verify"):
                result = with_read_noise(request, result, self._noise)
            yield self.environment.timeout(result.duration_fs)
            index = self._commit(operation, phase, backend.name, asked, start, result, duration_from)
            if self.ageing is not None and programmed:
                for cell in programmed:
                    self.state = self.ageing.end_pulse(request.states[0], self.state, cell, seconds(self.now))
                self.network = self.network.with_device(self.ageing.device)
        finally:
            self._turn.give()
        return index, result

    def trial(self, operation: int, phase: Phase) -> PhaseResult:
        """Return the backend's answer to a phase that would begin now: nothing is recorded, committed or drawn.

        Cells are as they are after the time since the last phase; those that drift, as they were in it.
        """
        state = aged_state(self.array, self.state, seconds(self.idle_fs), self.temperature, self._seed)
        request = PhaseRequest(
            self.network, (state,), self.node_voltages, self.now, self.temperature, phase, self._seed
        )
        return self._result(partial(self.backends[phase.kind].unrecorded().run, request), operation, phase)

    def answer_reads(
        self, phase: Phase, voltages: FloatArray, limit: ReadLimit | None = None
    ) -> ReadAnswers | None:
        """Return the answers to reads of the tile that begin now, or None: then each is run on its own.

        ``phase``, ``limit``: see `CrossbarBackend.run_reads`; ``voltages`` ``(reads, rows)`` [V]. Only where cells do not
        age, have no noise and no spread from cycle to cycle, and drivers no limit.
        """
        changes = self.ageing is not None or self._noise is not None or self.variation.c2c
        if changes or self.periphery.driver.compliance is not None:
            return None
        state = self.state
        if limit is not None:
            state = aged_state(self.array, state, seconds(self.idle_fs), self.temperature, self._seed)
        request = PhaseRequest(
            self.network, (state,), self.node_voltages, self.now, self.temperature, phase, self._seed
        )
        answers = self.backends[phase.kind].run_reads(request, voltages, limit)
        if answers is not None:
            self.cell_energy += answers.cell_energy
        return answers

    @property
    def idle_fs(self) -> int:
        """Time since the end of the last phase [fs]."""
        return self.now - self._last_fs

    def within_swing(self, sense: Sense, voltage: FloatArray) -> FloatArray:
        """Return outputs of a sense circuit [V] as far as it can swing, and count those beyond."""
        limited = sense.limited(voltage)
        self.beyond_swing += int(np.count_nonzero(limited != voltage))
        return limited

    def rests_from(self, end_fs: int) -> None:
        """Let the cells be at 0 V from the end of a phase on [fs]."""
        self._last_fs = end_fs

    def settle(self, state: FloatArray, rest_fs: int) -> None:
        """Take the state after reads between which the cells were at 0 V for some time [fs]."""
        aged = aged_state(self.array, state, seconds(rest_fs), self.temperature, self._seed)
        self.state = np.clip(aged, *self.array.device.state_bounds())

    def run_answered(self, operation: int, reads: AnsweredReads, duration_from: str, read: int) -> Process:
        """Run one circuit phase whose outcome is known; returns its index, and where ``reads`` have its answer."""
        asked, phase = self.now, reads.shape
        yield from self._turn.take()
        try:
            start = self.now
            a, k = reads.begin(self, read)
            yield self.environment.timeout(phase.duration_fs)
            energies = (
                a.delivered[k], a.absorbed[k], a.cells[k], a.access[k], a.wires[k], a.terminations[k], 0.0,
            )  # fmt: skip
            index = self._record(
                operation, phase.kind, self.backends[phase.kind].name, asked, start, phase.duration_fs,
                tuple(map(float, energies)), a.kcl_residual, 0, a.applied, duration_from,
            )  # fmt: skip
            reads.end(self, read)
        finally:
            self._turn.give()
        return index, a, k

    def _noise_process(self) -> NoiseProcess | None:
        noise, sense = self.variation.read_noise, self.periphery.sense
        if noise is None:
            return None
        aperture = None if sense.kind == "integrator" else sense.sample_time
        return NoiseProcess(noise, self.array.shape, stream(self._root, f"tiles/{self.name}/traps"), aperture)

    def _new_ageing(self) -> Ageing | None:
        v = self.variation
        if v.retention is None and v.endurance is None:
            return None
        rng = stream(self._root, f"tiles/{self.name}/retention")
        ageing = Ageing(self.array.device, self.state, v.retention, v.endurance, self.temperature, rng)
        self.network = self.network.with_device(ageing.device)
        if v.endurance is not None:
            self.trace.cell_wear[self.name] = ageing.pulses, ageing.cycles
        return ageing

    def _request(
        self, phase: Phase, start: int, programmed: Sequence[tuple[int, int]], path: ReadPath | None
    ) -> PhaseRequest:
        self._count += 1
        seed = (self._seed + self._count) % (1 << 128)
        gap = seconds(start - self._last_fs)
        aged = aged_state(self.array, self.state, gap, self.temperature, seed)
        if self.ageing is not None:
            aged = self.ageing.advanced(aged, seconds(start))
            for cell in programmed:
                aged = self.ageing.begin_pulse(aged, cell)
            self.network = self.network.with_device(self.ageing.device)
        network = self.network
        if path is not None and path.transposed:
            network = path.network.with_device(self.array.device)
        return PhaseRequest(network, (aged,), self.node_voltages, start, self.temperature, phase, seed)

    def _result(self, answer: Callable[[], _Answer], operation: int, phase: Phase) -> _Answer:
        try:
            return answer()
        except (InputError, PhaseError):
            raise
        except CosimError as error:
            label = f"{len(self.trace.phases)} ({phase.kind} on tile {self.name}, operation {operation})"
            deck = str(getattr(error, "deck_path", "") or "")
            raise PhaseError(label, deck, str(error)) from error

    def _commit(
        self,
        operation: int,
        phase: Phase,
        backend: str,
        asked: int,
        start: int,
        result: PhaseResult,
        duration_from: str,
    ) -> int:
        low, high = self.array.device.state_bounds()
        state, outside = result.states[0], 0
        if not (state.min() >= low and state.max() <= high):
            outside = int(np.count_nonzero((state < low) | (state > high)))
            state = np.clip(state, low, high)
        self.state = state
        applied = (*result.applied, OVER_COMPLIANCE) if self._exceeds(result) else result.applied
        self.over_compliance += applied is not result.applied
        self.node_voltages = result.node_voltages
        e = result.energy
        self.cell_energy += e.cells[0]
        energies = (
            _total(e.delivered), _total(e.absorbed), float(sum(_total(part) for part in e.cells)), e.access,
            e.wires, e.terminations, e.stored,
        )  # fmt: skip
        return self._record(
            operation, phase.kind, backend, asked, start, result.duration_fs, energies, result.kcl_residual,
            outside, applied, duration_from, _deviations(result),
        )  # fmt: skip

    def _record(
        self,
        operation: int,
        kind: str,
        backend: str,
        asked: int,
        start: int,
        duration: int,
        energies: tuple[float, ...],
        residual: float,
        outside: int,
        applied: tuple[str, ...],
        duration_from: str,
        deviations: tuple[float, float, float] = (nan, nan, nan),
    ) -> int:
        """Append the records of a phase; ``energies``: delivered, absorbed, cells, access, wires, ends, stored [J]."""
        trace, index = self.trace, len(self.trace.phases)
        self.rests_from(start + duration)
        delivered, absorbed, cells, access, wires, ends, stored = energies
        numerical, parts = network_parts(*energies)
        trace.phases.append(
            PhaseRecord(
                index, operation, self.name, kind, backend, start, duration, delivered, absorbed, cells, access,
                wires, ends, stored, numerical, residual, outside, "+".join(applied), duration_from, *deviations,
            )
        )  # fmt: skip
        trace.busy.append(
            BusyRecord(f"{self.name}.array", 0, operation, kind, asked, start, start + duration, 1, 1)
        )
        for component, value in parts.items():
            if value:
                trace.energy(operation, index, self.name, component, kind, value, component)
        return index

    def _exceeds(self, result: PhaseResult) -> bool:
        """Return whether a word line carries more than the compliance in a phase, at a strobe or in the mean."""
        compliance = self.periphery.driver.compliance
        if compliance is None:
            return False
        nets = [self.network.net_index[net] for net in self.array.left or () if net is not None]
        mean = np.abs(result.net_charge[nets]) / seconds(result.duration_fs)
        strobed = np.abs(result.samples.current[:, nets]) if len(result.samples.times_fs) else mean[None]
        return bool(max(float(mean.max()), float(strobed.max())) > compliance)

    def _register_formulas(self) -> None:
        p, formulas = self.periphery, self.trace.formulas
        formulas.update(NETWORK_FORMULAS)
        for path in filter(None, (self.forward, self.transposed)):
            for component, formula in path.formulas().items():
                formulas[f"{self.name}/{component}"] = formula
        formulas[f"{self.name}/level shifters"] = p.driver.level_shifter.formula()
        formulas[f"{self.name}/word-line charging"] = p.driver.line_formula(self.capacitance.word)
        formulas[f"{self.name}/bit-line charging"] = p.driver.line_formula(self.capacitance.bit)
        formulas[f"{self.name}/gate-line charging"] = p.driver.line_formula(self.capacitance.gate)
        formulas[f"{self.name}/digital"] = p.sequencer.combine_formula()
        formulas[f"{self.name}/comparator"] = p.comparator.formula()


def network_parts(
    delivered: _Energy, absorbed: _Energy, cells: _Energy, access: _Energy, wires: _Energy, ends: _Energy,
    stored: _Energy,
) -> tuple[_Energy, dict[str, _Energy]]:  # fmt: skip
    """Return the numerical energy of phases [J], and the energy of each component of `NETWORK_FORMULAS`."""
    numerical = delivered - absorbed - cells - access - wires - ends - stored
    return numerical, {
        "cells": cells, "access devices": access, "wires": wires, "line ends": ends, "driver sink": absorbed,
        "line capacitance": stored, "numerical": numerical,
    }  # fmt: skip


def _total(values: FloatArray) -> float:
    return float(np.add.reduce(values, axis=None))


def aged_state(
    array: CrossbarArray, state: FloatArray, gap_s: float, temperature: float, noise_seed: int
) -> FloatArray:
    """Return the state after a gap [s] at 0 V; ``noise_seed`` is that of the phase that follows."""
    device = array.device
    if gap_s <= 0 or not device.moves:
        return state
    if device.affine and not device.varied:
        off, on = _rested(device, gap_s, temperature)
        aged = off + state * (on - off)  # the law is linear in the state
    else:
        aged = device.advance(state, _AT_REST, gap_s, temperature)
    if device.stochastic:
        rng = np.random.Generator(np.random.PCG64([noise_seed & ((1 << 64) - 1), noise_seed >> 64, 1]))
        exposure = np.broadcast_to(gap_s * device.exposure_rate(_AT_REST, temperature), array.shape)
        aged = device.fluctuate(state, aged, exposure, shell_uniforms(rng, array.shape))
    return aged


def with_c2c(request: PhaseRequest, result: PhaseResult, sigma: float) -> PhaseResult:
    """Return the result with the cycle-to-cycle factor of every cell on its change of state."""
    if sigma == 0:
        return result
    pulses, states = pulse_count(request.phase), []
    seed = request.noise_seed
    for k, (array, before, after) in enumerate(
        zip(request.network.arrays, request.states, result.states, strict=True)
    ):
        rng = np.random.Generator(np.random.PCG64([seed & ((1 << 64) - 1), seed >> 64, 2, k]))
        states.append(cycle_to_cycle(array.device, before, after, sigma, pulses, request.temperature, rng))
    return dataclasses.replace(result, states=tuple(states), applied=(*result.applied, "c2c"))


@lru_cache(maxsize=64)
def _rested(device: DeviceModel, gap_s: float, temperature: float) -> tuple[float, float]:
    """Return what the states 0 and 1 become after a gap at 0 V: gaps repeat, and cells are many."""
    ends = device.advance(np.array([[0.0, 1.0]]), _AT_REST, gap_s, temperature)
    return float(ends[0, 0]), float(ends[0, 1])


def _deviations(result: PhaseResult) -> tuple[float, float, float]:
    d = result.deviation
    return (d.current_relative, d.state_absolute, d.energy_relative) if d is not None else (nan, nan, nan)


def refusal(network: Network, kind: str, backend: CrossbarBackend, self_timed: bool) -> str | None:
    """Return why a backend cannot answer a kind of phase; ``self_timed``: reads strobe when lines have settled."""
    reason = backend.refusal(network, kind)
    if reason is None and self_timed and kind in ("read", "verify"):
        reason = backend.settling_refusal(network)
    return reason


def refusals(network: Network, backends: Mapping[str, CrossbarBackend], self_timed: bool = False) -> None:
    """Raise `UnsupportedRequestError` if a backend cannot answer a kind of phase on this network (`refusal`)."""
    for kind, backend in backends.items():
        reason = refusal(network, kind, backend, self_timed)
        if reason is not None:
            raise UnsupportedRequestError(reason)


def with_capacitance(network: Network, word: float, bit: float) -> Network:
    """Return the network with capacitance per crossing [F] on its lines (fidelity ``rc``)."""
    arrays = tuple(
        dataclasses.replace(
            array, segments=dataclasses.replace(array.segments, c_word_line=word, c_bit_line=bit)
        )
        for array in network.arrays
    )
    return Network(arrays)
