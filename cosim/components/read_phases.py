"""What a read does to the lines: timing, drives, ADC range, and the energies that belong to a phase."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from cosim.components.bank import Process
from cosim.components.read_path import ReadPath
from cosim.components.tile import Tile
from cosim.crossbar.backend import PhaseResult
from cosim.crossbar.drive import GroupedDrives, Waveform, distinct, grouped, level, pulse
from cosim.devices.base import FloatArray
from cosim.errors import DeviceError
from cosim.units import femtoseconds, seconds

_Charge = TypeVar("_Charge", float, FloatArray)
_SETTLED = 1e3
"""Window over what is left of the settling where the settled value is taken."""


@dataclass(frozen=True, slots=True)
class AdcRange:
    """Input range of the ADC for an operation [V], and whether it was calibrated from the work."""

    low: float | FloatArray
    high: float | FloatArray
    calibrated: bool


@dataclass(frozen=True, slots=True)
class ReadTiming:
    """Durations of a read phase [fs]; ``hold`` runs from the end of the edge to the strobe.

    ``window_s`` is what the charge of the phase stands for at full drive [s]; ``slot``: the width of one
    code [fs], 0 where lines are driven to the strobe.
    """

    rise: int
    hold: int
    sample: int
    fall: int
    origin: str
    window_s: float
    slot: int = 0

    @property
    def duration(self) -> int:
        """Whole duration of the circuit phase [fs]."""
        return self.rise + self.hold + self.sample + self.fall

    @property
    def strobe(self) -> int:
        """Strobe, from the start of the phase [fs]."""
        return self.rise + self.hold


def adc_range(
    tile: Tile, currents: FloatArray, window_s: float | None = None, path: ReadPath | None = None
) -> AdcRange:
    """Return the ADC range for an operation from a profile of sensed currents [A], ``(samples, outputs)``.

    A fixed range is taken as it is; ``calibrated`` spans from 0 V (or the most negative value) to the
    largest one, or as ``adc.calibration`` says: by percentile, one range or one for each column.
    ``window_s``: see `ReadTiming`; that of `read_timing` unless given. ``path``: forward unless given.
    """
    path = path or tile.forward
    adc = path.adc
    if not isinstance(adc.range, str):
        return AdcRange(adc.range[0], adc.range[1], calibrated=False)
    gain = path.sense.transfer(read_timing(tile, path).window_s if window_s is None else window_s)
    low, high = adc.calibration.span(path.sense.limited(np.asarray(currents) * gain))
    high = np.where(high > low, high, low + gain * 1e-9)
    if not high.ndim:
        return AdcRange(float(low), float(high), calibrated=True)
    return AdcRange(low, high, calibrated=True)


def line_settling(tile: Tile, path: ReadPath | None = None) -> float:
    """Return the time [s] for the lines to settle to the bits of the ADC, by their delay.

    (B + 1) ln 2 times the Elmore delay of word and bit line.
    """
    path = path or tile.forward
    array, c = path.array, tile.capacitance
    word = array.r_left + float(array.word_segments[0].sum()) / 2
    bit = array.r_bottom + float(array.bit_segments[:, 0].sum()) / 2
    return (path.adc.bits + 1) * math.log(2) * (word * c.word + bit * c.bit)


def _settled(tile: Tile, path: ReadPath) -> tuple[int, str]:
    """Return the time from the end of the edge to the strobe [fs], and where it comes from.

    Self-timed on charged lines: the latest strobe, at which they have settled to a thousandth of the window.
    """
    sense, dac = path.sense, femtoseconds(path.dac.settling)
    if sense.self_timed:
        latest = (
            path.settling.upper * math.log(_SETTLED / sense.window) if tile.network.has_capacitance else 0.0
        )
        return femtoseconds(latest) + femtoseconds(tile.periphery.comparator.delay) + dac, "self-timed"
    if sense.strobe is not None:
        return femtoseconds(float(sense.strobe)), "sense.strobe"
    if isinstance(sense.settling, str):
        return femtoseconds(path.settling.settling_time(path.adc.bits)) + dac, "network settling"
    lines = femtoseconds(line_settling(tile, path))
    return femtoseconds(sense.settling) + lines + dac, "sense.settling + line settling"


def read_timing(tile: Tile, path: ReadPath | None = None) -> ReadTiming:
    """Return the timing that the components give: edges, settling of lines, DAC and sense, sample-and-hold."""
    path, driver = path or tile.forward, tile.periphery.driver
    rise, fall, sample = (femtoseconds(t) for t in (driver.rise, driver.fall, path.sense.sample_time))
    settled, origin = _settled(tile, path)
    hold = max(settled, 1)
    window = seconds(hold + sample) + seconds(rise + fall) / 2
    if origin != "self-timed":
        origin = f"driver.rise + {origin} + sense.sample_time + driver.fall"
    return ReadTiming(rise, hold, sample, fall, origin, window)


def width_timing(tile: Tile, span: int, path: ReadPath | None = None) -> ReadTiming:
    """Return the timing of a phase in which lines are driven for up to ``span`` slots.

    A line that is driven for n slots has a plateau of n slots less half of both edges, so that its charge
    is that of n slots at full amplitude. Raises `DeviceError` where a slot is shorter than that.
    """
    path = path or tile.forward
    plain = read_timing(tile, path)
    slot = femtoseconds(path.dac.slot)
    edges = (plain.rise + plain.fall) // 2
    if slot <= edges:
        raise DeviceError(
            f"dac.slot: must be longer than half of both edges, {seconds(edges):g} s, not {path.dac.slot:g} s"
        )
    hold = span * slot - edges + plain.fall + plain.hold
    return ReadTiming(
        plain.rise, hold, plain.sample, plain.fall,
        f"dac.slot * codes + {_settled(tile, path)[1]} + sense.sample_time + edges", seconds(span * slot), slot,
    )  # fmt: skip


def read_drives(
    tile: Tile, voltage: FloatArray, rows: range, timing: ReadTiming, path: ReadPath | None = None
) -> GroupedDrives:
    """Return the drives of a read: ``voltage`` [V] on the driven lines, the sensed ones at virtual ground.

    ``rows`` are the rows whose gates are on (1T1R); ``path``: forward unless given.
    """
    widths = np.full(len(voltage), timing.hold + timing.sample)
    return _drives(tile, voltage, widths, rows, timing, path or tile.forward)


def row_drives(tile: Tile, row: int, voltage: float, timing: ReadTiming) -> GroupedDrives:
    """Return the drives of a read of one row at ``voltage`` [V], all other lines at 0 V: `read_drives` for programming."""
    network, array = tile.network, tile.array
    group = np.zeros(len(network.nets), dtype=np.intp)
    group[network.ends[0].left[row]] = 1
    flat = timing.hold + timing.sample
    shape = pulse(voltage, rise_fs=timing.rise, width_fs=flat, fall_fs=timing.fall) if voltage else level(0.0)
    gates = {} if array.gates is None else {array.gates[row]: level(array.cell.gate_voltage)}
    return GroupedDrives(network, (level(0.0), shape), group, gates)


def width_drives(
    tile: Tile, voltage: FloatArray, slots: FloatArray, timing: ReadTiming, path: ReadPath
) -> GroupedDrives:
    """Return the drives of a read by widths: ``slots`` per driven line, all rows selected."""
    edges = (timing.rise + timing.fall) // 2
    widths = np.asarray(slots, dtype=np.int64) * timing.slot - edges
    return _drives(tile, voltage, widths, range(tile.array.rows), timing, path)


def _drives(
    tile: Tile, voltage: FloatArray, widths: NDArray[np.int64], rows: range, timing: ReadTiming, path: ReadPath
) -> GroupedDrives:  # fmt: skip
    network, array = path.network, tile.array
    widths = np.where(voltage == 0, 0, widths)
    pairs, number = np.unique(np.array((voltage, widths)), axis=1, return_inverse=True)
    waveforms = [
        pulse(amplitude, rise_fs=timing.rise, width_fs=int(width), fall_fs=timing.fall)
        if amplitude
        else level(0.0)
        for amplitude, width in pairs.T.tolist()
    ]
    group = np.full(len(network.nets), len(waveforms), dtype=np.intp)
    group[path.driven] = number.reshape(-1)
    on = level(array.cell.gate_voltage)
    gates = {} if array.gates is None else {array.gates[row]: on for row in rows}
    return GroupedDrives(network, (*waveforms, level(0.0)), group, gates)


def sense_energy(
    tile: Tile,
    operation: int,
    phase: int,
    kind: str,
    result: PhaseResult,
    outputs: int,
    path: ReadPath | None = None,
) -> None:
    """Account the sense circuits of a phase: bias, supply current, samples."""
    path = path or tile.forward
    charge = float(np.abs(result.net_charge[path.sensed]).sum())
    account_sense(tile, operation, phase, kind, charge, result.duration_fs, outputs, path)


def account_sense(
    tile: Tile,
    operation: int,
    phase: int,
    kind: str,
    charge: float,
    duration_fs: int,
    outputs: int,
    path: ReadPath | None = None,
) -> None:
    """Account the sense circuits of ``outputs`` lines for a phase; ``charge`` of all sensed lines [C]."""
    path = path or tile.forward
    for component, energy in sense_parts(tile, charge, duration_fs, outputs, path).items():
        tile.energy(operation, phase, component, kind, energy)


def sense_parts(
    tile: Tile, charge: _Charge, duration_fs: int, outputs: int, path: ReadPath
) -> dict[str, float | _Charge]:
    """Return the energies of the sense circuits of ``outputs`` lines in phases [J], by component.

    ``charge`` of all sensed lines [C], of one phase or ``(phases,)``.
    """
    sense = path.sense
    parts: dict[str, float | _Charge] = {}
    if sense.kind != "voltage-divider":
        parts[path.component("sense bias")] = outputs * sense.bias_power * seconds(duration_fs)
    if sense.supply_component is not None:
        parts[path.component(sense.supply_component)] = sense.supply_voltage_ratio * charge
    parts[path.component("sense sample")] = outputs * sense.sample_energy
    if sense.self_timed:
        parts["comparator"] = outputs * tile.periphery.comparator.power * seconds(duration_fs)
    return parts


def charging_energy(
    tile: Tile, operation: int, phase: int, drives: Mapping[str, Waveform], kind: str
) -> None:
    """Account C·V² of every line that swings in a phase (not where the network itself has capacitance)."""
    if tile.network.has_capacitance:
        return
    network = drives.network if isinstance(drives, GroupedDrives) else tile.network
    c, ends, by_group = tile.capacitance, network.ends[0], grouped(network, drives)
    for component, nets, capacitance in (
        ("word-line charging", ends.left, c.word), ("bit-line charging", ends.bottom, c.bit),
    ):  # fmt: skip
        tile.energy(operation, phase, component, kind, capacitance * by_group.squared_swing(nets))


def shift_levels(tile: Tile, operation: int, kind: str, drives: Mapping[str, Waveform]) -> Process:
    """Account the level shifters of the lines that swing further than the logic's supply, and their delay."""
    shifter = tile.periphery.driver.level_shifter
    if not (shifter.energy or shifter.delay):
        return
    swings = {id(wave): max(map(abs, wave.voltages)) for wave in distinct(drives.values())}
    shifted = sum(swings[id(wave)] > shifter.supply and not wave.is_level for wave in drives.values())
    tile.energy(operation, -1, "level shifters", kind, shifted * shifter.energy)
    if shifted and shifter.delay:
        yield from tile.wait(operation, "select", "level shifters", shifter.delay)
