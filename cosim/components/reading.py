"""Reads: word-line amplitudes in, bit-line currents out, through DAC, array, sense and shared ADCs.

One product is: DAC conversion, edge, settling, sample-and-hold, edge back, ADC conversions of all columns
on the bank's converters, digital combination. The strobe lies at the end of the settling.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass

import numpy as np

from cosim.components.bank import Process
from cosim.components.quantizer import Codes
from cosim.components.tile import Tile
from cosim.crossbar.backend import PhaseResult
from cosim.crossbar.drive import Phase, Waveform, distinct, level, pulse
from cosim.devices.base import FloatArray
from cosim.records import BusyRecord, ConversionRecord
from cosim.units import femtoseconds, seconds


@dataclass(frozen=True, slots=True)
class AdcRange:
    """Input range of the ADC for an operation [V], and whether it was calibrated from the work."""

    low: float | FloatArray
    high: float | FloatArray
    calibrated: bool


def adc_range(tile: Tile, currents: FloatArray) -> AdcRange:
    """Return the ADC range for an operation from a profile of bit-line currents [A], ``(samples, columns)``.

    A fixed range is taken as it is; ``calibrated`` spans from 0 V (or the most negative value) to the
    largest one, or as ``adc.calibration`` says: by percentile, one range or one for each column.
    """
    adc = tile.periphery.adc
    if not isinstance(adc.range, str):
        return AdcRange(adc.range[0], adc.range[1], calibrated=False)
    gain = tile.periphery.sense.gain
    low, high = adc.calibration.span(np.asarray(currents) * gain)
    high = np.where(high > low, high, low + gain * 1e-9)
    if not high.ndim:
        return AdcRange(float(low), float(high), calibrated=True)
    return AdcRange(low, high, calibrated=True)


@dataclass(frozen=True, slots=True)
class ReadTiming:
    """Durations of a read phase [fs]; ``hold`` runs from the end of the edge to the strobe."""

    rise: int
    hold: int
    sample: int
    fall: int
    origin: str

    @property
    def duration(self) -> int:
        """Whole duration of the circuit phase [fs]."""
        return self.rise + self.hold + self.sample + self.fall

    @property
    def strobe(self) -> int:
        """Strobe, from the start of the phase [fs]."""
        return self.rise + self.hold


def read_timing(tile: Tile) -> ReadTiming:
    """Return the timing that the components give: edges, line RC, sense settling, sample-and-hold.

    Settling of the lines to B bits takes (B + 1) ln 2 times the Elmore delay of word and bit line.
    """
    p, array, c = tile.periphery, tile.array, tile.capacitance
    word = array.r_left + float(array.word_segments[0].sum()) / 2
    bit = array.r_bottom + float(array.bit_segments[:, 0].sum()) / 2
    line_s = (p.adc.bits + 1) * math.log(2) * (word * c.word + bit * c.bit)
    hold = femtoseconds(p.sense.settling) + femtoseconds(line_s)
    return ReadTiming(
        femtoseconds(p.driver.rise), max(hold, 1), femtoseconds(p.sense.sample_time), femtoseconds(p.driver.fall),
        "driver.rise + sense.settling + line settling + sense.sample_time + driver.fall",
    )  # fmt: skip


def read_drives(tile: Tile, voltage: FloatArray, rows: range, timing: ReadTiming) -> dict[str, Waveform]:
    """Return the drives of a read: ``voltage`` [V] on the word lines, bit lines at virtual ground.

    ``rows`` are the rows whose gates are on (1T1R).
    """
    array = tile.array
    ground = level(0.0)
    drives: dict[str, Waveform] = dict.fromkeys(array.line_nets, ground)
    for net, amplitude in zip(array.left or (), voltage.tolist(), strict=True):
        if net is not None and amplitude:
            drives[net] = pulse(
                amplitude, rise_fs=timing.rise, width_fs=timing.hold + timing.sample, fall_fs=timing.fall
            )
    if array.gates is not None:
        on = level(array.cell.gate_voltage)
        for row in rows:
            drives[array.gates[row]] = on
    return drives


def convert_inputs(tile: Tile, operation: int, kind: str, voltage: FloatArray) -> Process:
    """Let the word-line DACs convert; returns the voltages that they make and the saturation count."""
    dac = tile.periphery.dac
    actual, saturated = dac.convert(voltage)
    start, duration = tile.now, femtoseconds(dac.latency)
    name = f"{tile.name}.dac"
    tile.trace.capacities.setdefault(name, tile.array.rows)
    driven = np.flatnonzero(np.asarray(voltage) != 0)
    first, units = (int(driven[0]), len(driven)) if len(driven) else (0, 1)
    tile.trace.busy.append(
        BusyRecord(name, first, operation, "convert", start, start, start + duration, 1, units)
    )
    tile.energy(operation, -1, "dac", kind, units * dac.energy)
    yield tile.environment.timeout(duration)
    return actual, saturated


def sense_energy(
    tile: Tile, operation: int, phase: int, kind: str, result: PhaseResult, columns: int
) -> None:
    """Account the sense circuits of a phase: bias, virtual-ground supply current, samples."""
    sense, nets = tile.periphery.sense, tile.network.net_index
    charge = sum(
        abs(float(result.net_charge[nets[net]])) for net in tile.array.bottom or () if net is not None
    )
    tile.energy(
        operation, phase, "sense bias", kind, columns * sense.bias_power * seconds(result.duration_fs)
    )
    tile.energy(operation, phase, "sense virtual ground", kind, sense.supply * charge)
    tile.energy(operation, phase, "sense sample", kind, columns * sense.sample_energy)


def charging_energy(tile: Tile, operation: int, phase: int, drives: dict[str, Waveform], kind: str) -> None:
    """Account C·V² of every line that swings in a phase (not where the network itself has capacitance)."""
    if tile.network.has_capacitance:
        return
    array, c = tile.array, tile.capacitance
    for component, ends, capacitance in (
        ("word-line charging", array.left, c.word),
        ("bit-line charging", array.bottom, c.bit),
    ):
        waves = list(filter(None, map(drives.get, filter(None, ends or ()))))
        counts, total = Counter(map(id, waves)), 0.0
        for wave in distinct(waves):
            total += counts[id(wave)] * (max(wave.voltages) - min(wave.voltages)) ** 2
        tile.energy(operation, phase, component, kind, capacitance * total)


def convert_outputs(
    tile: Tile, operation: int, kind: str, currents: FloatArray, span: AdcRange, column: int = 0
) -> Process:
    """Convert bit-line currents [A] on the shared ADCs; returns the `Codes` (values in volts).

    The currents are those of neighbouring columns, ``column`` the first of them.
    """
    adc = tile.periphery.adc
    rng = tile.draws("adc") if adc.errors.random else None
    codes = adc.convert(currents * tile.periphery.sense.gain, span.low, span.high, rng)
    yield from tile.adc_bank.serve(
        operation,
        "convert",
        len(currents),
        adc.interval_fs,
        latency_fs=adc.latency_fs,
        owner=tile.name,
        places=(column, tile.array.columns),
    )
    tile.energy(operation, -1, "adc", kind, len(currents) * adc.conversion_energy)
    tile.energy(operation, -1, "mux", kind, len(currents) * adc.mux.energy)
    return codes


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


@dataclass(frozen=True, slots=True)
class Product:
    """Result of one matrix-vector product on one tile: currents as measured [A] and how many saturated."""

    currents: FloatArray
    dac_saturated: int
    adc_saturated: int
    phase: int


def multiply(
    tile: Tile, operation: int, vector: int, voltage: FloatArray, span: AdcRange, timing: ReadTiming
) -> Process:
    """Run one product with word-line voltages ``voltage`` [V]; returns a `Product`."""
    array = tile.array
    actual, dac_saturated = yield from convert_inputs(tile, operation, "convert", voltage)
    drives = read_drives(tile, actual, range(array.rows), timing)
    nets = tuple(net for net in array.bottom or () if net is not None)
    phase = Phase("read", timing.duration, drives, (timing.strobe,))
    index, result = yield from tile.run_phase(operation, phase, timing.origin)
    charging_energy(tile, operation, index, drives, "read")
    sense_energy(tile, operation, index, "read", result, len(nets))
    sampled = -result.samples.current[0, [tile.network.net_index[net] for net in nets]]
    codes: Codes = yield from convert_outputs(tile, operation, "convert", sampled, span)
    measured = codes.values / tile.periphery.sense.gain
    for column, (true, code, value, over) in enumerate(
        zip(sampled.tolist(), codes.codes.tolist(), measured.tolist(), codes.saturated.tolist(), strict=True)
    ):
        tile.trace.conversions.append(
            ConversionRecord(operation, vector, tile.name, column, true, code, value, over)
        )
    yield from tile.wait(operation, "combine", "sequencer", tile.periphery.sequencer.combine_time)
    tile.energy(operation, -1, "digital", "combine", len(nets) * tile.periphery.sequencer.combine_energy)
    return Product(measured, dac_saturated, int(codes.saturated.sum()), index)
