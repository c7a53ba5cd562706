"""The system: event environment, tiles, operations, trace.

Operations run one after the other; within an operation the tiles run side by side. An operation is a
frozen value; its process does the work and returns what the summary shall say about it.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import simpy

from cosim.components.bank import ConverterBank, Process, make_bank
from cosim.components.coding import Signed, find_coding
from cosim.components.maps import run_maps
from cosim.components.programming import Programming, Sweep, program_tile
from cosim.components.read_blocks import Adders, Lane, in_blocks, multiply_in_blocks
from cosim.components.reading import Multiplication, Products, answer_together, multiply, prepare
from cosim.components.tile import PHASE_KINDS, Tile, refusals, with_capacitance
from cosim.components.verify_reads import exact_verify, visible_range
from cosim.crossbar.backend import CrossbarBackend
from cosim.devices.base import FloatArray
from cosim.hardware import Hardware
from cosim.mapping.encoding import Decoding
from cosim.records import AreaRecord, OperationRecord, Trace, Work
from cosim.rng import stream
from cosim.units import seconds

Details = dict[str, Any]
"""What the summary says about an operation, beside its times and its energy."""

KEPT_CONVERSIONS = 1 << 20
"""Conversions of one read that the trace keeps one by one; of all of them it keeps results and totals."""


class Operation(ABC):
    """One step of a program."""

    op: str

    @property
    @abstractmethod
    def target(self) -> str:
        """What the operation acts on, for reports."""

    @property
    def steps(self) -> int:
        """What its progress is counted in: cells to program, vectors to multiply; 1 where it has no parts."""
        return 1

    @abstractmethod
    def process(self, system: System, index: int) -> Process:
        """Return the process body; its value is the `Details` of the operation."""


class System:
    """Tiles on one event time line."""

    def __init__(self, trace: Trace, seed: int) -> None:
        self.environment = simpy.Environment(initial_time=0)
        self.trace = trace
        self.seed = seed
        self.tiles: dict[str, Tile] = {}
        self._shared_adc: ConverterBank | None = None
        self._leakages: list[tuple[str, str, float, str]] = []
        self._steps_before = self._steps_within = self._outcomes_before = 0

    def add_tile(
        self,
        name: str,
        hardware: Hardware,
        backends: Mapping[str, CrossbarBackend],
        conductance: FloatArray | None = None,
        *,
        charged: bool = False,
    ) -> Tile:
        """Add a tile; ``backends`` by phase kind, ``conductance`` ``(rows, columns)`` [S] a start map.

        ``charged``: the lines hold charge (fidelity ``rc``).

        Raises `UnsupportedRequestError` where a backend cannot answer its kind of phase.
        """
        network = hardware.varied_network(name, lambda part: stream(self.seed, f"tiles/{name}/{part}"))
        if charged:
            _, _, capacitance = hardware.array.wires.segment(hardware.temperature)
            network = with_capacitance(network, capacitance, capacitance)
        device = network.arrays[0].device
        refusals(network, backends, hardware.sense.self_timed)
        if conductance is None:
            state = device.initial_state(hardware.shape, stream(self.seed, f"tiles/{name}/initial"))
        else:
            state = device.state_for(np.asarray(conductance, dtype=np.float64))
        tile = Tile(
            self.environment, self.trace, name, network, state, hardware.periphery, hardware.line_capacitance(),
            backends, adc_bank=self._adc_bank(hardware), temperature=hardware.temperature, seed=self.seed,
            variation=hardware.variation,
        )  # fmt: skip
        self.tiles[name] = tile
        self._register(name, hardware)
        return tile

    def _register(self, name: str, hardware: Hardware) -> None:
        """Note area, leakage and converter figures of a tile; a bank that tiles share is noted once."""
        first = len(self.tiles) == 1 or hardware.adc.shared == "tile"
        for component, (units, area, formula) in hardware.areas().items():
            if component != "adc" or first:
                owner = "" if component == "adc" and hardware.adc.shared == "system" else name
                self.trace.areas.append(AreaRecord(owner, component, units, units * area, formula))
        for component, (power, formula) in hardware.leakages().items():
            if component != "adc leakage" or first:
                key = f"{name}/{component}"
                self.trace.formulas[key] = formula
                self._leakages.append((name, component, power, key))
        adc = hardware.adc
        self.trace.converters[name] = {
            "kind": adc.kind, "bits": adc.bits, "energy_model": adc.energy_model,
            "energy_per_conversion_j": adc.conversion_energy, "walden_j_per_step": adc.walden,
            "schreier_db": adc.schreier if adc.conversion_energy else None,
        }  # fmt: skip

    def _leak(self, operation: int, duration_fs: int) -> None:
        """Account the leakage of an operation's time."""
        for tile, component, power, key in self._leakages:
            self.trace.energy(operation, -1, tile, component, "leakage", power * seconds(duration_fs), key)

    def _adc_bank(self, hardware: Hardware) -> ConverterBank | None:
        if hardware.adc.shared == "tile":
            return None
        if self._shared_adc is None:
            adc = hardware.adc
            self._shared_adc = make_bank(
                self.environment, self.trace, "adc", adc.count, adc.assignment, adc.arbitration
            )
        return self._shared_adc

    def run(self, program: Sequence[Operation], progress: Callable[[int, int], None] | None = None) -> None:
        """Run a program to its end; errors of a phase leave the trace with everything done before.

        ``progress`` is called after every event with the steps that are done and their number. What it raises
        ends the run like an error of a phase.
        """
        process = self.environment.process(self._sequence(program))
        before = {name: tile.conductance() for name, tile in self.tiles.items()}
        try:
            if progress is None:
                self.environment.run(until=process)
                return
            total = sum(operation.steps for operation in program)
            self._steps_before = self._steps_within = 0
            self._outcomes_before = len(self.trace.outcomes)
            while not process.processed:
                self.environment.step()
                within = self._steps_within + len(self.trace.outcomes) - self._outcomes_before
                progress(min(self._steps_before + within, total), total)
        finally:
            self.trace.end_fs = int(self.environment.now)
            self.trace.maps.update(run_maps(self.tiles, before, self.trace.outcomes))

    def advance(self, steps: int) -> None:
        """Count steps of the running operation as done; programmed cells are counted by their outcomes."""
        self._steps_within += steps

    def _sequence(self, program: Sequence[Operation]) -> Process:
        first = len(self.trace.operations)
        for offset, operation in enumerate(program):
            index, start = first + offset, int(self.environment.now)
            details = yield from operation.process(self, index)
            end = int(self.environment.now)
            self._leak(index, end - start)
            self.trace.operations.append(
                OperationRecord(index, operation.op, operation.target, start, end, details)
            )
            self._steps_before += operation.steps
            self._steps_within, self._outcomes_before = 0, len(self.trace.outcomes)


@final
@dataclass(frozen=True, slots=True, eq=False)
class Write(Operation):
    """Program tiles with write-verify, side by side."""

    jobs: Mapping[str, Programming]
    op: str = "write"

    @property
    def target(self) -> str:
        return "+".join(self.jobs)

    @property
    def steps(self) -> int:
        return sum(int(np.isfinite(job.targets).sum()) for job in self.jobs.values())

    def process(self, system: System, index: int) -> Process:
        before = {name: system.tiles[name].conductance() for name in self.jobs}
        running = {
            name: system.environment.process(program_tile(system.tiles[name], index, job))
            for name, job in self.jobs.items()
        }
        yield simpy.AllOf(system.environment, list(running.values()))
        sweeps: dict[str, Any] = {name: process.value for name, process in running.items()}
        outcomes = [row for row in system.trace.outcomes if row[0] == index]
        return self._details(system, index, outcomes, before, sweeps)

    def _details(
        self,
        system: System,
        index: int,
        outcomes: list[tuple[Any, ...]],
        before: Mapping[str, FloatArray],
        sweeps: Mapping[str, list[Sweep]],
    ) -> Details:
        cells = len(outcomes)
        converged = sum(bool(row[8]) for row in outcomes)
        unreached = [[row[1], row[2], row[3]] for row in outcomes if not row[8]]
        disturb = {name: self._disturb(system.tiles[name], outcomes, before[name]) for name in self.jobs}
        if unreached:
            system.trace.warn(
                f"{len(unreached)} of {cells} cells did not reach their window within the pulse budget"
            )
        return {
            "cells": cells,
            "converged": converged,
            "converged_fraction": converged / cells if cells else 1.0,
            "pulses": sum(int(row[7]) for row in outcomes),
            "unreached": unreached[:4096],
            "error": {"verify_rms_s": _rms(np.array([row[5] - row[4] for row in outcomes]))},
            "disturb": disturb,
            "sweeps": {name: [sweep._asdict() for sweep in passed] for name, passed in sweeps.items()},
            "final": {name: self._final(system.tiles[name], index, job) for name, job in self.jobs.items()},
            **self._wear(system),
        }

    @staticmethod
    def _final(tile: Tile, index: int, job: Programming) -> Details:
        """Return how the cells stand at the end, whatever pulses on others did: parts of the visible range.

        As noise-free verify reads through the wires see them, and by themselves.
        """
        low, high = visible_range(tile)
        written = np.isfinite(job.targets)

        def distances(seen: FloatArray) -> Details:
            apart = np.abs(seen - job.targets)[written] / (high - low)
            if not apart.size:
                return {"within_window": 1.0, "worst_of_range": 0.0, "rms_of_range": 0.0}
            return {
                "within_window": float(np.mean(apart <= job.verify.window)),
                "worst_of_range": float(apart.max()),
                "rms_of_range": _rms(apart),
            }

        seen = exact_verify(tile, index, np.flatnonzero(written.any(axis=1)).tolist())
        return {**distances(seen), "without_wires": distances(tile.seen_conductance())}

    def _wear(self, system: System) -> Details:
        """Return the largest counts of programming pulses and equivalent cycles, where cells wear."""
        worn = {name: system.trace.cell_wear[name] for name in self.jobs if name in system.trace.cell_wear}
        if not worn:
            return {}
        counts = {
            name: {"most_pulses": int(pulses.max()), "most_cycles": float(cycles.max())}
            for name, (pulses, cycles) in worn.items()
        }
        return {"wear": counts}

    def _disturb(self, tile: Tile, outcomes: list[tuple[Any, ...]], before: FloatArray) -> Details:
        """Return how far cells moved that no pulse was meant for: since their last verify, or at all."""
        low, high = tile.array.device.mean_conductance_range()
        reference = before.copy()
        for row in outcomes:
            if row[1] == tile.name:
                reference[row[2], row[3]] = row[6]
        moved = np.abs(tile.conductance() - reference) / (high - low)
        return {
            "worst_of_range": float(moved.max()),
            "mean_of_range": float(moved.mean()),
            "sum_of_range": float(moved.sum()),
        }


@final
@dataclass(frozen=True, slots=True, eq=False)
class Place(Operation):
    """Give tiles their conductances without programming; ``targets`` ``(rows, columns)`` [S] as a read sees them."""

    targets: Mapping[str, FloatArray]
    op: str = "place"

    @property
    def target(self) -> str:
        return "+".join(self.targets)

    def process(self, system: System, index: int) -> Process:
        error = 0.0
        for name, wanted in self.targets.items():
            tile = system.tiles[name]
            tile.place(wanted)
            error = max(error, float(np.abs(tile.seen_conductance() - wanted).max()))
        yield system.environment.timeout(0)
        return {"cells": sum(part.size for part in self.targets.values()), "error": {"max_s": error}}


@final
@dataclass(frozen=True, slots=True, eq=False)
class Read(Operation):
    """Matrix-vector products of tiles, all tiles side by side for each input vector.

    ``inputs`` ``(vectors, rows)``, or ``(vectors, columns)`` of a ``transposed`` read, whose results are those of the
    transpose, from the word-line currents; an input of one is ``volts_per_input`` [V]. ``decoding`` None: the
    results are the sensed currents [A] of all tiles, one after the other. ``exact``
    ``(vectors, outputs)`` is what the results are compared with; None: the ideal product of the
    programmed conductances. ``coding``, ``signed``: see `cosim.components.coding`. ``profile`` ``(samples, rows)``: inputs
    from which a calibrated ADC range is taken; None: ``inputs``.

    ``together``: let a backend answer the array phases at once where it can; times and records are the same. Where cells
    move, in groups within which the currents change by at most ``group_change`` of the largest one; 0: one by one.

    All tiles begin a vector together, unless every tile has several sample-and-holds: then each goes through
    all vectors at its own pace.
    """

    tiles: tuple[str, ...]
    inputs: FloatArray
    volts_per_input: float
    decoding: Decoding | None
    exact: FloatArray | None
    coding: str = "amplitude"
    profile: FloatArray | None = None
    together: bool = True
    signed: Signed = "bipolar"
    transposed: bool = False
    group_change: float = 0.0
    op: str = "read"

    @property
    def target(self) -> str:
        return "+".join(self.tiles)

    @property
    def steps(self) -> int:
        return len(self.inputs)

    def process(self, system: System, index: int) -> Process:
        voltage = self.inputs * self.volts_per_input
        profile = voltage if self.profile is None else self.profile * self.volts_per_input
        tiles = [system.tiles[name] for name in self.tiles]
        coding = find_coding(self.coding)
        jobs = [
            prepare(
                tile, index, coding, voltage, profile, path=tile.path(self.transposed), signed=self.signed
            )
            for tile in tiles
        ]
        if self.together:
            jobs = [
                answer_together(tile, job, self.group_change) for tile, job in zip(tiles, jobs, strict=True)
            ]
        results = [self._empty(job) for job in jobs]
        before = [(tile.over_compliance, tile.beyond_swing) for tile in tiles]
        yield from self._run(system, index, tiles, jobs, results)
        exceeded = (
            sum(tile.over_compliance - count for tile, (count, _) in zip(tiles, before, strict=True)),
            sum(tile.beyond_swing - count for tile, (_, count) in zip(tiles, before, strict=True)),
        )
        self._record_conversions(system, index, results)
        system.trace.works[index] = Work(
            len(voltage), self.inputs.shape[1], self._outputs(jobs), self.coding, jobs[0].coded.phases
        )
        return self._details(system, index, voltage, jobs, results, exceeded)

    def _run(
        self, system: System, index: int, tiles: Sequence[Tile], jobs: Sequence[Multiplication], results: Sequence[Products]
    ) -> Process:  # fmt: skip
        """Run the products: in blocks where nothing makes a phase wait, else vector by vector."""
        adders = self._adders(tiles[0], jobs[0])
        if adders is not None:
            system.trace.formulas["shift-and-add"] = tiles[0].periphery.sequencer.shift_and_add_formula()
        if in_blocks(tiles, jobs, adders):
            lanes = [
                Lane(tile, job, job.answered, result)
                for tile, job, result in zip(tiles, jobs, results, strict=True)
                if job.answered is not None
            ]
            yield from multiply_in_blocks(lanes, adders, system.advance)
            return
        for vectors in self._batches(jobs):
            running = [
                system.environment.process(multiply(tile, job, vectors, result))
                for tile, job, result in zip(tiles, jobs, results, strict=True)
            ]
            yield simpy.AllOf(system.environment, running)
            if adders is not None:
                yield from self._shift_and_add(system, index, tiles[0], adders, len(vectors))
            system.advance(len(vectors))

    def _adders(self, tile: Tile, job: Multiplication) -> Adders | None:
        """Return what joins the slices of the weights of a vector, if there are any.

        A tree of adders, through which vectors follow one another. Every output takes one addition less than there are slices;
        the last vector is done after all levels.
        """
        slices = 1 if self.decoding is None else self.decoding.slices
        if slices == 1:
            return None
        control = tile.periphery.sequencer
        additions, levels = (slices - 1) * self._outputs([job]), math.ceil(math.log2(slices))
        return Adders(additions, control.combine_energy, levels * control.combine_time)

    def _shift_and_add(self, system: System, index: int, tile: Tile, adders: Adders, vectors: int) -> Process:
        """Join the slices of the weights of some vectors."""
        energy = adders.energy_of(vectors)
        system.trace.energy(index, -1, tile.name, "shift-and-add", "combine", energy, "shift-and-add")
        yield from tile.wait(index, "combine", "shift_and_add", adders.time)

    def _empty(self, job: Multiplication) -> Products:
        outputs, phases = job.path.outputs, job.coded.phases
        kept = max(1, KEPT_CONVERSIONS // (phases * outputs * len(self.tiles)))
        return Products.empty(len(self.inputs), phases, outputs, kept)

    def _batches(self, jobs: Sequence[Multiplication]) -> list[range]:
        """Return the vectors that run without waiting for one another: all where samples are held in turns."""
        count = len(self.inputs)
        if all(job.path.sense.holds > 1 for job in jobs):
            return [range(count)]
        return [range(vector, vector + 1) for vector in range(count)]

    def _outputs(self, jobs: Sequence[Multiplication]) -> int:
        outputs = [job.path.outputs for job in jobs]
        return sum(outputs) if self.decoding is None else outputs[0] // self.decoding.bit_lines

    def _record_conversions(self, system: System, index: int, results: Sequence[Products]) -> None:
        """Append the conversions, vector by vector and tile by tile."""
        kept = len(results[0].codes)
        if kept < len(self.inputs):
            system.trace.warn(
                f"operation {index}: conversions.csv holds those of the first {kept} of {len(self.inputs)} vectors"
            )
        shapes = [result.codes.shape[1] * result.codes.shape[2] for result in results]
        own = sum(shapes)

        def joined(parts: Sequence[Any]) -> Any:
            return np.concatenate([part.reshape(kept, -1) for part in parts], axis=1).ravel()

        steps, columns = zip(
            *(np.divmod(np.arange(n), r.codes.shape[2]) for n, r in zip(shapes, results, strict=True)),
            strict=True,
        )
        system.trace.conversions.extend(
            kept * own, operation=index, vector=np.repeat(np.arange(kept), own),
            tile=np.tile(np.repeat(self.tiles, shapes), kept), column=np.tile(np.concatenate(columns), kept),
            current_a=joined([r.sampled for r in results]), code=joined([r.codes for r in results]),
            value_a=joined([r.values for r in results]), saturated=joined([r.outside for r in results]),
            step=np.tile(np.concatenate(steps), kept),
        )  # fmt: skip

    def _ideal(self, system: System, voltage: FloatArray) -> tuple[FloatArray, ...]:
        tiles = [system.tiles[name] for name in self.tiles]
        return tuple(voltage @ tile.path(self.transposed).matrix(tile.seen_conductance()) for tile in tiles)

    def _results(self, voltage: FloatArray, currents: tuple[FloatArray, ...]) -> FloatArray:
        if self.decoding is None:
            return np.concatenate(currents, axis=1)
        return self.decoding.decode(currents, voltage, self.volts_per_input)

    def _way(self) -> Details:
        """Return how the read differs from a plain one."""
        way: Details = {"transposed": True} if self.transposed else {}
        return {**way, "signed": self.signed} if self.signed != "bipolar" else way

    def _details(
        self,
        system: System,
        index: int,
        voltage: FloatArray,
        jobs: Sequence[Multiplication],
        results: Sequence[Products],
        exceeded: tuple[int, int],
    ) -> Details:
        values = self._results(voltage, tuple(result.currents for result in results))
        ideal = self._results(voltage, self._ideal(system, voltage)) if self.exact is None else self.exact
        count, outputs = values.shape
        system.trace.values.extend(
            count * outputs, operation=index, vector=np.repeat(np.arange(count), outputs),
            output=np.tile(np.arange(outputs), count), value=values.ravel(), ideal=ideal.ravel(),
        )  # fmt: skip
        saturated = [sum(int(job.coded.saturated.sum()) for job in jobs), sum(r.saturated for r in results)]
        if saturated[0] or saturated[1]:
            system.trace.warn(
                f"operation {index}: {saturated[0]} DAC and {saturated[1]} ADC conversions saturated"
            )
        outcomes: Details = {}
        if any(job.path.sense.kind == "comparator" for job in jobs):
            outcomes["metastable"] = sum(result.metastable for result in results)
        if any(system.tiles[name].periphery.driver.compliance is not None for name in self.tiles):
            outcomes["over_compliance"] = exceeded[0]
        if any(job.path.sense.swing is not None for job in jobs):
            outcomes["sense_saturated"] = exceeded[1]
            if exceeded[1]:
                system.trace.warn(
                    f"operation {index}: {exceeded[1]} samples beyond the swing of their sense circuits"
                )
        grouped = {
            name: job.answered.report()
            for name, job in zip(self.tiles, jobs, strict=True)
            if job.answered is not None and job.answered.change is not None
        }
        if grouped:
            outcomes["grouped_reads"] = grouped
        return {
            "vectors": len(values),
            "outputs": int(values.shape[1]),
            "unit": "A" if self.decoding is None else "1",
            "dac_saturated": saturated[0],
            "adc_saturated": saturated[1],
            **self._way(),
            **outcomes,
            "adc_range_v": [
                [np.asarray(end).tolist() for end in (job.span.low, job.span.high)] for job in jobs
            ],
            "values": values.ravel()[:4096].tolist(),
            "ideal": ideal.ravel()[:4096].tolist(),
            "error": errors(values, ideal),
        }


def errors(values: FloatArray, ideal: FloatArray) -> Details:
    """Return the error of results against exact ones: absolute, and relative to the exact rms and range."""
    difference = values - ideal
    scale, span = _rms(ideal), float(np.ptp(ideal)) if ideal.size else 0.0
    rms = _rms(difference)
    return {
        "rms": rms,
        "max": float(np.abs(difference).max(initial=0.0)),
        "rms_relative": rms / scale if scale else 0.0,
        "rms_of_range": rms / span if span else 0.0,
    }


def _rms(values: FloatArray) -> float:
    return math.sqrt(math.fsum(values.ravel() ** 2) / values.size) if values.size else 0.0


@final
@dataclass(frozen=True, slots=True)
class Wait(Operation):
    """Let time pass; the cells age at 0 V."""

    duration_fs: int
    op: str = "wait"

    @property
    def target(self) -> str:
        return "system"

    def process(self, system: System, index: int) -> Process:
        yield system.environment.timeout(self.duration_fs)
        return {}


@final
@dataclass(frozen=True, slots=True, eq=False)
class HandOver(Operation):
    """Answer the coming phases of tiles with other backends; their state is carried over."""

    backends: Mapping[str, Mapping[str, CrossbarBackend]]
    op: str = "backend"

    @property
    def target(self) -> str:
        return "+".join(self.backends)

    def process(self, system: System, index: int) -> Process:
        for name, backends in self.backends.items():
            system.tiles[name].hand_over(backends)
        yield system.environment.timeout(0)
        return {
            "backends": {
                name: {kind: backends[kind].name for kind in PHASE_KINDS if kind in backends}
                for name, backends in self.backends.items()
            }
        }
