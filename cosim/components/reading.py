"""Reads: codes in, line currents out, through DAC, array, sense and shared ADCs, forward or transposed.

A product is one array phase or several, as its input coding says. Each is: DAC conversion, edge, settling,
sample-and-hold, edge back, ADC conversions of all columns on the bank's converters, digital combination. With
``sense.holds`` sample-and-holds per column the array goes on while up to so many samples, less one, are
converted; the phases of one tile stay in order.
"""

from __future__ import annotations

import dataclasses
from collections import deque
from dataclasses import dataclass

import numpy as np
import simpy

from cosim.components.answered_reads import AnsweredReads
from cosim.components.bank import Process
from cosim.components.coding import CodedInputs, InputCoding, Signed, encode, profile_phases
from cosim.components.read_path import ReadPath
from cosim.components.read_phases import (
    AdcRange,
    ReadTiming,
    account_sense,
    adc_range,
    charging_energy,
    read_drives,
    read_timing,
    sense_energy,
    width_drives,
    width_timing,
)
from cosim.components.self_timed import self_timed
from cosim.components.tile import Tile
from cosim.crossbar.drive import Phase
from cosim.devices.base import FloatArray
from cosim.errors import DeviceError
from cosim.records import BusyRecord
from cosim.units import femtoseconds, seconds


def convert_inputs(tile: Tile, operation: int, kind: str, voltage: FloatArray) -> Process:
    """Let the word-line DACs convert amplitudes; returns the voltages that they make and the saturation count."""
    actual, saturated = tile.periphery.dac.convert(voltage)
    first, units = _driven(voltage)
    yield from drive_dacs(tile, operation, kind, first, units, tile.periphery.dac.energy, "dac", tile.forward)
    return actual, saturated


def _driven(voltage: FloatArray) -> tuple[int, int]:
    """Return the first driven line, and how many there are (at least one is counted)."""
    driven = np.flatnonzero(voltage)
    return (int(driven[0]), len(driven)) if len(driven) else (0, 1)


def drive_dacs(
    tile: Tile, operation: int, kind: str, first: int, units: int, energy: float, formula: str, path: ReadPath
) -> Process:  # fmt: skip
    """Let DACs convert at once, ``first`` the first of them; ``energy`` [J] of each."""
    start, duration = tile.now, femtoseconds(path.dac.latency)
    component = path.component("dac")
    name = f"{tile.name}.{component.replace(' ', '_')}"
    tile.trace.capacities.setdefault(name, path.inputs)
    tile.trace.busy.append(
        BusyRecord(name, first, operation, "convert", start, start, start + duration, 1, units)
    )
    tile.energy(operation, -1, component, kind, units * energy, formula)
    yield tile.environment.timeout(duration)


def convert(
    tile: Tile, operation: int, kind: str, currents: FloatArray, span: AdcRange, timing: ReadTiming, path: ReadPath,
    column: int = 0,
) -> Process:  # fmt: skip
    """Sense and convert mean currents [A] of neighbouring lines of a way, ``column`` the first of them.

    Returns the `Codes` (values in volts) and how many were metastable.
    """
    adc, sense = path.adc, path.sense
    rng = tile.draws(path.component("sense")) if sense.random else None
    voltage = tile.within_swing(
        sense, sense.output(currents, timing.window_s, rng) + path.offsets(column, len(currents))
    )
    sampled = tile.now - timing.fall
    if sense.kind == "comparator":
        codes, unsure = sense.decide(voltage, rng)
        comparators = path.component("comparators").replace(" ", "_")
        yield from tile.wait(operation, "convert", comparators, sense.resolve_time)
        tile.energy(operation, -1, path.component("comparator"), kind, len(currents) * sense.decision_energy)
        return codes, unsure
    starts = yield from path.adc_bank.serve(
        operation, "convert", len(currents), adc.interval_fs, latency_fs=adc.latency_fs, owner=tile.name,
        places=(column, path.outputs),
    )  # fmt: skip
    if sense.hold_leakage:
        voltage = sense.held(voltage, np.array([seconds(start - sampled) for start in starts]))
    rng = tile.draws(path.component("adc")) if adc.errors.random else None
    codes = adc.convert(voltage, span.low, span.high, rng)
    tile.energy(operation, -1, path.component("adc"), kind, len(currents) * adc.conversion_energy)
    tile.energy(operation, -1, path.component("mux"), kind, len(currents) * adc.mux.energy)
    return codes, 0


def select_rows(tile: Tile, operation: int, kind: str, rows: int) -> Process:
    """Select lines: control time, and the charge of the gate lines of ``rows`` rows."""
    yield from tile.wait(operation, "select", "sequencer", tile.periphery.sequencer.select_time)
    if tile.array.cell.gated:
        tile.energy(
            operation,
            -1,
            "gate-line charging",
            kind,
            rows * tile.capacitance.gate * tile.array.cell.gate_voltage**2,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Multiplication:
    """The products of one read operation on one tile: way, coded inputs, ADC range, timing by phase.

    ``answered``: the array phases, vector by vector and phase by phase, where the backend answers them at once.
    """

    operation: int
    path: ReadPath
    coding: InputCoding
    coded: CodedInputs
    span: AdcRange
    timings: tuple[ReadTiming, ...]
    answered: AnsweredReads | None = None


@dataclass(slots=True, eq=False)
class Products:
    """Results of a tile: currents as measured ``(vectors, outputs)`` [A]; what was converted, for the first vectors.

    ``sampled``, ``codes``, ``values``, ``outside`` have the shape ``(kept vectors, phases, outputs)``.
    """

    currents: FloatArray
    sampled: FloatArray
    codes: np.ndarray
    values: FloatArray
    outside: np.ndarray
    saturated: int = 0
    metastable: int = 0

    @classmethod
    def empty(cls, vectors: int, phases: int, outputs: int, kept: int) -> Products:
        """Return results of which nothing is known yet; the conversions of ``kept`` vectors are kept."""
        shape = (min(kept, vectors), phases, outputs)
        return cls(
            np.zeros((vectors, outputs)), np.zeros(shape), np.zeros(shape, dtype=np.int64), np.zeros(shape),
            np.zeros(shape, dtype=np.bool_),
        )  # fmt: skip


def prepare(
    tile: Tile,
    operation: int,
    coding: InputCoding,
    voltage: FloatArray,
    profile: FloatArray,
    *,
    path: ReadPath | None = None,
    signed: Signed = "bipolar",
) -> Multiplication:
    """Return the products of wanted voltages of the driven lines ``(vectors, inputs)`` [V] on a tile.

    ``profile``: voltages of the same kind, from which a calibrated ADC range is taken. ``path``: forward unless
    given. ``signed``: see `cosim.components.coding`.
    """
    path = path or tile.forward
    coded = encode(coding, path.dac, voltage, signed)
    times = timings(tile, coding, coded, path)
    samples, phase = profile_phases(coding, path.dac, profile, signed)
    gain = np.array([path.sense.transfer(timing.window_s) for timing in times])
    currents = (samples @ path.matrix(tile.seen_conductance())) * (gain / gain[0])[phase][:, None]
    span = adc_range(tile, currents, times[0].window_s, path)
    return Multiplication(operation, path, coding, coded, span, times)


def timings(
    tile: Tile, coding: InputCoding, coded: CodedInputs, path: ReadPath | None = None
) -> tuple[ReadTiming, ...]:
    """Return the timing of every array phase of a product.

    Raises `DeviceError` where the sense circuit cannot measure what the coding gives.
    """
    path = path or tile.forward
    kind = path.sense.kind
    if coding.by_charge and kind != "integrator":
        raise DeviceError(
            f"sense.kind: must be integrator for coding {coding.name}, whose result is a charge, not {kind}"
        )
    if coded.spans is None:
        return (read_timing(tile, path),) * coded.phases
    return tuple(width_timing(tile, int(span), path) for span in coded.spans)


def multiply(tile: Tile, job: Multiplication, vectors: range, results: Products) -> Process:
    """Run the products of some vectors, phase by phase; fills ``results``."""
    pending: deque[simpy.Process] = deque()
    path = job.path
    energy, key = job.coding.energy(path.dac), f"{path.component('dac')} {job.coding.name}"
    tile.trace.formulas.setdefault(f"{tile.name}/{key}", job.coding.formula(path.dac))
    for vector in vectors:
        for phase in range(job.coded.phases):
            while len(pending) >= path.sense.holds:
                yield pending.popleft()
            first, units = _driven(job.coded.amplitude[phase, vector])
            yield from drive_dacs(tile, job.operation, "convert", first, units, energy, key, path)
            sampled = yield from _array_phase(tile, job, vector, phase)
            pending.append(tile.environment.process(_finish(tile, job, vector, phase, sampled, results)))
    while pending:
        yield pending.popleft()


def _array_phase(tile: Tile, job: Multiplication, vector: int, phase: int) -> Process:
    """Run one array phase; returns the mean currents [A] that the sense circuits see."""
    timing, coded, path = job.timings[phase], job.coded, job.path
    amplitude = coded.amplitude[phase, vector]
    if job.answered is not None:
        return (yield from _answered_phase(tile, job, job.answered, vector * coded.phases + phase, amplitude))

    def make(timing: ReadTiming) -> Phase:
        if coded.slots is None:
            drives = read_drives(tile, amplitude, range(tile.array.rows), timing, path)
        else:
            drives = width_drives(tile, amplitude, coded.slots[phase, vector], timing, path)
        return Phase("read", timing.duration, drives, (timing.strobe,))

    nets, whole = path.sensed, make(timing)
    timed = self_timed(tile, make, timing, job.span, nets.tolist(), path)
    index, result = yield from tile.run_phase(job.operation, whole, timing.origin, timed, path=path)
    charging_energy(tile, job.operation, index, whole.drives, "read")
    sense_energy(tile, job.operation, index, "read", result, path.outputs, path)
    if path.sense.kind == "integrator":
        return -result.net_charge[nets] / timing.window_s
    return -result.samples.current[0, nets]


def _answered_phase(
    tile: Tile, job: Multiplication, answered: AnsweredReads, read: int, amplitude: FloatArray
) -> Process:
    """Run one array phase whose outcome is known; returns the mean bit-line currents [A]."""
    timing = job.timings[0]
    index, answers, place = yield from tile.run_answered(job.operation, answered, timing.origin, read)
    swing = tile.capacitance.word * float(amplitude @ amplitude)
    tile.energy(job.operation, index, "word-line charging", "read", swing)
    current = answers.current[place]
    charge = answers.charge_time * current
    account_sense(
        tile, job.operation, index, "read", float(np.abs(charge).sum()), timing.duration, len(charge)
    )
    return charge / timing.window_s if job.path.sense.kind == "integrator" else current


def answer_together(tile: Tile, job: Multiplication, change: float) -> Multiplication:
    """Return the job with its array phases answered at once, where backend and coding allow it.

    ``change``: limit of the change of the currents within a group, where cells move. Times do not depend on it: every phase still takes its turn on the event time line.
    """
    if job.coded.slots is not None or job.path.transposed:
        return job
    timing = job.timings[0]
    drives = read_drives(tile, np.ones(tile.array.rows), range(tile.array.rows), timing)
    shape = Phase("read", timing.duration, drives, (timing.strobe,))
    by_vector = np.ascontiguousarray(job.coded.amplitude.swapaxes(0, 1))
    answered = AnsweredReads.ask(tile, shape, by_vector.reshape(-1, tile.array.rows), change)
    if answered is None:
        return job
    coded = dataclasses.replace(
        job.coded, amplitude=by_vector.swapaxes(0, 1)
    )  # one array, not two: it is large
    return dataclasses.replace(job, coded=coded, answered=answered)


def _finish(
    tile: Tile, job: Multiplication, vector: int, phase: int, sampled: FloatArray, results: Products
) -> Process:
    """Convert one sample of all columns and add it to the product."""
    timing = job.timings[phase]
    codes, unsure = yield from convert(tile, job.operation, "convert", sampled, job.span, timing, job.path)
    measured = codes.values / job.path.sense.transfer(timing.window_s)
    results.currents[vector] += job.coded.weights[phase] * measured
    results.saturated += int(np.count_nonzero(codes.saturated))
    results.metastable += unsure
    if vector < len(results.codes):
        results.sampled[vector, phase], results.codes[vector, phase] = sampled, codes.codes
        results.values[vector, phase], results.outside[vector, phase] = measured, codes.saturated
    control = tile.periphery.sequencer
    yield from tile.wait(job.operation, "combine", "sequencer", control.combine_time)
    tile.energy(job.operation, -1, "digital", "combine", len(sampled) * control.combine_energy)
