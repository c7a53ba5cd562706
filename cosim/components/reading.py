"""Reads: word-line amplitudes in, bit-line currents out, through DAC, array, sense and shared ADCs.

One product is: DAC conversion, edge, settling, sample-and-hold, edge back, ADC conversions of all columns
on the bank's converters, digital combination. The strobe lies at the end of the settling.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from cosim.components.adc import Codes
from cosim.components.bank import Process
from cosim.components.tile import Tile
from cosim.crossbar.backend import PhaseResult
from cosim.crossbar.drive import GroupedDrives, Phase, Waveform, grouped, level, pulse
from cosim.devices.base import FloatArray
from cosim.records import BusyRecord, ConversionRecord
from cosim.units import femtoseconds, seconds


@dataclass(frozen=True, slots=True)
class AdcRange:
    """Input range of the ADC for an operation [V], and whether it was calibrated from the work."""

    low: float
    high: float
    calibrated: bool


def adc_range(tile: Tile, currents: FloatArray) -> AdcRange:
    """Return the ADC range for an operation whose ideal bit-line currents [A] are known.

    A fixed range is taken as it is; ``calibrated`` spans from 0 V (or the most negative value) to the
    largest one.
    """
    setting = tile.periphery.adc.range
    if not isinstance(setting, str):
        return AdcRange(setting[0], setting[1], calibrated=False)
    voltage = np.asarray(currents) * tile.periphery.sense.gain
    high = float(voltage.max(initial=0.0))
    low = min(0.0, float(voltage.min(initial=0.0)))
    return AdcRange(low, high if high > low else low + tile.periphery.sense.gain * 1e-9, calibrated=True)


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


def read_drives(tile: Tile, voltage: FloatArray, rows: range, timing: ReadTiming) -> GroupedDrives:
    """Return the drives of a read: ``voltage`` [V] on the word lines, bit lines at virtual ground.

    ``rows`` are the rows whose gates are on (1T1R).
    """
    network, array = tile.network, tile.array
    amplitudes, number = np.unique(np.concatenate(([0.0], voltage)), return_inverse=True)
    group = np.full(len(network.nets), number[0], dtype=np.intp)
    group[network.ends[0].left] = number[1:]
    edges = {"rise_fs": timing.rise, "width_fs": timing.hold + timing.sample, "fall_fs": timing.fall}
    waveforms = tuple(
        pulse(amplitude, **edges) if amplitude else level(0.0) for amplitude in amplitudes.tolist()
    )
    on = level(array.cell.gate_voltage)
    gates = {} if array.gates is None else {array.gates[row]: on for row in rows}
    return GroupedDrives(network, waveforms, group, gates)


def convert_inputs(tile: Tile, operation: int, kind: str, voltage: FloatArray) -> Process:
    """Let the word-line DACs convert; returns the voltages that they make and the saturation count."""
    dac = tile.periphery.dac
    actual, saturated = dac.convert(voltage)
    start, duration = tile.now, femtoseconds(dac.latency)
    name = f"{tile.name}.dac"
    tile.trace.capacities.setdefault(name, tile.array.rows)
    driven = np.flatnonzero(np.asarray(voltage) != 0).tolist() or [0]
    for unit in driven:
        tile.trace.busy.append(BusyRecord(name, unit, operation, "convert", start, start, start + duration))
    tile.energy(operation, -1, "dac", kind, len(driven) * dac.energy)
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


def charging_energy(
    tile: Tile, operation: int, phase: int, drives: Mapping[str, Waveform], kind: str
) -> None:
    """Account C·V² of every line that swings in a phase (not where the network itself has capacitance)."""
    if tile.network.has_capacitance:
        return
    c, ends, by_group = tile.capacitance, tile.network.ends[0], grouped(tile.network, drives)
    for component, nets, capacitance in (
        ("word-line charging", ends.left, c.word), ("bit-line charging", ends.bottom, c.bit),
    ):  # fmt: skip
        tile.energy(operation, phase, component, kind, capacitance * by_group.squared_swing(nets))


def convert_outputs(tile: Tile, operation: int, kind: str, currents: FloatArray, span: AdcRange) -> Process:
    """Convert bit-line currents [A] on the shared ADCs; returns the `Codes` (values in volts)."""
    adc = tile.periphery.adc
    codes = adc.convert(currents * tile.periphery.sense.gain, span.low, span.high)
    yield from tile.adc_bank.serve(operation, "convert", len(currents), adc.conversion_fs)
    tile.energy(operation, -1, "adc", kind, len(currents) * adc.conversion_energy)
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
