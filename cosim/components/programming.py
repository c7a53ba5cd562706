"""Programming with write-verify: select, verify read, decide, pulse, recover, and again.

Schemes: ``gate`` (1T1R): only the selected row conducts; the selected bit line and the word line carry
the pulse, the other bit lines follow the word line, so the other cells of the row see no voltage.
``V/2`` (1R): the selected lines carry 0 and V, all other lines V/2, so every half-selected cell sees V/2.
A SET pulse is positive from word line to bit line, a RESET pulse negative; all drivers are unipolar.

A pulse may end early: at a compliance current of the selected bit line, or (``terminated``) where that
current is the one that the cell has at its target. Half-selected cells and wires have their part in it,
which is known from a read with the pattern of the pulse at read amplitude, before the first pulse of a cell
in each direction.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from cosim.components.bank import Process
from cosim.components.read_phases import (
    AdcRange,
    ReadTiming,
    charging_energy,
    read_drives,
    read_timing,
    sense_energy,
    shift_levels,
)
from cosim.components.reading import convert_inputs, convert_outputs, select_rows
from cosim.components.self_timed import self_timed
from cosim.components.tile import Tile
from cosim.crossbar.drive import GroupedDrives, Phase, StopCondition, Waveform, level, pulse
from cosim.devices.base import FloatArray
from cosim.records import CellOutcome, PulseRecord
from cosim.units import Ampere, Fraction, Second, Volt, check, femtoseconds, quantity, seconds

Scheme = Literal["gate", "V/2"]
Direction = Literal["rising", "falling"]


@dataclass(frozen=True, slots=True)
class ProgrammingPulse:
    """Amplitude and plateau width of a programming pulse; its edges are the driver's."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    amplitude: Volt
    width: Second
    compliance: Ampere | None = quantity(
        None,
        source="cosim: a driver without current limit",
        doc="current of the selected bit line at which the pulse ends",
    )

    def __post_init__(self) -> None:
        if self.compliance is not None:
            check(self.compliance > 0, "pulse", "compliance", "above zero", self.compliance)
        check(self.amplitude > 0, "pulse", "amplitude", "above zero", self.amplitude)
        check(self.width >= 1e-15, "pulse", "width", "at least 1 fs", self.width)


@dataclass(frozen=True, slots=True)
class Verify:
    """When a cell counts as programmed, and how many pulses it may take."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    window: Fraction = quantity(
        0.02,
        source="SKY130 ReRAM and aihwkit write-verify windows of 2 %",
        doc="half width of the window, of the full range",
    )
    pulses: Literal["fixed", "adaptive-width", "terminated"] = quantity(
        "fixed",
        source="cosim: the plain scheme",
        doc="fixed: every pulse alike; adaptive-width: as long as the last one promises (secant); terminated:"
        " a comparator ends it at the target's current",
    )
    longest: float = quantity(
        32.0,
        source="cosim: one pulse at most covers the range",
        doc="widest adaptive or terminated pulse, in base widths",
    )
    max_pulses: int = quantity(
        100, source="cosim: about three times the full range at 3 % a pulse", doc="budget of a cell"
    )

    def __post_init__(self) -> None:
        check(0 < self.window < 1, "verify", "window", "between 0 % and 100 %", self.window)
        check(1 <= self.longest <= 1e6, "verify", "longest", "between 1 and 1e6", self.longest)
        check(self.max_pulses >= 0, "verify", "max_pulses", "zero or above", self.max_pulses)


@dataclass(frozen=True, slots=True, eq=False)
class Programming:
    """One write: targets ``(rows, columns)`` [S] as a verify read sees them, NaN where nothing is written."""

    targets: FloatArray
    scheme: Scheme
    verify: Verify
    set_pulse: ProgrammingPulse
    reset_pulse: ProgrammingPulse

    @property
    def reacts(self) -> bool:
        """Whether a pulse may end early, so that backends must answer stop conditions."""
        compliances = (self.set_pulse.compliance, self.reset_pulse.compliance)
        return self.verify.pulses == "terminated" or any(each is not None for each in compliances)


def program_tile(tile: Tile, operation: int, job: Programming) -> Process:
    """Program a tile cell by cell, row by row; outcomes and pulses go to the trace."""
    timing = read_timing(tile)
    rows, columns = np.nonzero(np.isfinite(job.targets))
    selected = -1
    for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
        if row != selected:
            yield from select_rows(tile, operation, "select", 1)
            selected = row
        yield from _program_cell(tile, operation, job, row, column, timing)


def _program_cell(
    tile: Tile, operation: int, job: Programming, row: int, column: int, timing: ReadTiming
) -> Process:
    target = float(job.targets[row, column])
    low, high = visible_range(tile)
    window = job.verify.window * (high - low)
    span = _verify_span(tile, high, timing)
    pulses, ratio, before = 0, 1.0, None
    surplus: dict[bool, float] = {}
    while True:
        seen = yield from _verify(tile, operation, row, column, span, timing)
        converged = abs(seen - target) <= window
        if converged or pulses >= job.verify.max_pulses:
            break
        rising = seen < target
        if job.verify.pulses == "adaptive-width":
            ratio = next_ratio(seen, target, before, ratio, job.verify.longest)
            before = seen
        wanted = None
        if job.verify.pulses == "terminated":
            ratio = job.verify.longest
            spec = job.set_pulse if rising else job.reset_pulse
            if rising not in surplus:
                surplus[rising] = yield from _surplus(tile, operation, job, row, column, rising, seen, timing)
            wanted = max(target * spec.amplitude + surplus[rising], 0.0)
        yield from _pulse(tile, operation, job, row, column, rising, ratio, wanted)
        pulses += 1
    _, device = _cell(tile, row, column)
    tile.trace.outcomes.append(
        CellOutcome(operation, tile.name, row, column, target, seen, device, pulses, bool(converged))
    )


def next_ratio(seen: float, target: float, before: float | None, ratio: float, longest: float) -> float:
    """Return the width of the next adaptive pulse in base widths, a multiple of 1/8.

    A secant step: the last pulse of ``ratio`` base widths moved the cell from ``before`` to ``seen`` [S];
    the next one is as much longer as the rest of the way is. The first pulse, and one in the other
    direction, has the base width; none is shorter than an eighth of it or longer than ``longest``.
    """
    if before is None or (seen - before) * (target - seen) <= 0:
        return 1.0
    wanted = ratio * (target - seen) / (seen - before)
    return max(1.0, round(8 * min(wanted, longest))) / 8


def visible_range(tile: Tile) -> tuple[float, float]:
    """Return the lowest and highest conductance [S] that a read of one cell can see."""
    series = tile.array.cell.series_resistance
    low, high = (float(np.mean(bound)) for bound in tile.array.device.conductance_range())
    return low / (1 + low * series), high / (1 + high * series)


def _verify_span(tile: Tile, highest: float, timing: ReadTiming) -> AdcRange:
    setting = tile.periphery.adc.range
    if not isinstance(setting, str):
        return AdcRange(setting[0], setting[1], calibrated=False)
    full = tile.periphery.dac.range[1] * highest * tile.periphery.sense.transfer(timing.window_s)
    return AdcRange(0.0, 1.05 * full, calibrated=True)


def _verify(tile: Tile, operation: int, row: int, column: int, span: AdcRange, timing: ReadTiming) -> Process:
    """Read one cell; returns its conductance as the controller computes it from the code [S]."""
    voltage = np.zeros(tile.array.rows)
    voltage[row] = tile.periphery.dac.range[1]
    actual, _ = yield from convert_inputs(tile, operation, "convert", voltage)

    def make(timing: ReadTiming) -> Phase:
        drives = read_drives(tile, actual, range(row, row + 1), timing)
        return Phase("verify", timing.duration, drives, (timing.strobe,))

    nets = [tile.network.net_index[str((tile.array.bottom or ())[column])]]
    phase, timed = make(timing), self_timed(tile, make, timing, span, nets)
    index, result = yield from tile.run_phase(operation, phase, timing.origin, timed)
    charging_energy(tile, operation, index, phase.drives, "verify")
    sense_energy(tile, operation, index, "verify", result, 1)
    sampled = -result.samples.current[0, nets]
    codes = yield from convert_outputs(tile, operation, "convert", sampled, span, column)
    yield from tile.wait(operation, "decide", "sequencer", tile.periphery.sequencer.decide_time)
    return float(codes.values[0]) / tile.periphery.sense.transfer(timing.window_s) / float(actual[row])


def pulse_drives(
    tile: Tile, scheme: Scheme, row: int, column: int, shape: Waveform, half: Waveform, rising: bool
) -> GroupedDrives:
    """Return the drives of a programming pulse on one cell.

    ``shape`` is the full pulse, ``half`` the same at half amplitude; ``rising`` is a SET.
    """
    network, array, ends = tile.network, tile.array, tile.network.ends[0]
    grounded, pulsed, halved = range(3)
    word, bit = (pulsed, grounded) if rising else (grounded, pulsed)
    gates: dict[str, Waveform] = {}
    if scheme == "gate":
        group = np.full(len(network.nets), grounded, dtype=np.intp)
        group[ends.bottom] = word
        gates[(array.gates or ())[row]] = level(array.cell.gate_voltage)
    else:
        group = np.full(len(network.nets), halved, dtype=np.intp)
    group[ends.left[row]] = word
    group[ends.bottom[column]] = bit
    waveforms = (level(0.0), shape) if scheme == "gate" else (level(0.0), shape, half)
    return GroupedDrives(network, waveforms, group, gates)


def _surplus(
    tile: Tile,
    operation: int,
    job: Programming,
    row: int,
    column: int,
    rising: bool,
    seen: float,
    timing: ReadTiming,
) -> Process:
    """Return what half-selected cells and wires add to the cell's own current in a pulse [A].

    A read with the pulse's pattern at read amplitude, held by the sense circuit, less the current of the
    cell by itself, whose conductance was ``seen`` [S].
    """
    spec, amplitude = job.set_pulse if rising else job.reset_pulse, tile.periphery.dac.range[1]
    flat = timing.hold + timing.sample
    shape, half = (
        pulse(v, rise_fs=timing.rise, width_fs=flat, fall_fs=timing.fall) for v in (amplitude, amplitude / 2)
    )
    drives = pulse_drives(tile, job.scheme, row, column, shape, half, rising)
    phase = Phase("verify", timing.duration, drives, (timing.strobe,))
    index, result = yield from tile.run_phase(operation, phase, timing.origin)
    charging_energy(tile, operation, index, drives, "verify")
    sense_energy(tile, operation, index, "verify", result, 1)
    net = tile.network.ends[0].bottom[column]
    held = float(result.samples.current[0, net]) * (-1 if rising else 1)
    return (held - seen * amplitude) * spec.amplitude / amplitude


def _stops(
    tile: Tile,
    drives: Mapping[str, Waveform],
    bit: str,
    rising: bool,
    limits: tuple[float | None, float | None],
) -> tuple[StopCondition, ...]:
    """Return what ends a pulse early; ``limits``: compliance and target current of the bit line [A]."""
    compliance, wanted = limits
    if compliance is None and wanted is None:
        return ()
    comparator, ramp = tile.periphery.comparator, femtoseconds(tile.periphery.driver.fall)
    nets = [net for net, wave in drives.items() if not wave.is_level]
    sign = -1.0 if rising else 1.0  # a SET current leaves the array at the bit line
    stops = []
    if compliance is not None:
        way: Direction = "falling" if rising else "rising"
        stops.append(comparator.stop(bit, "current", sign * compliance, way, nets, ramp_fs=ramp))
    if wanted is not None:
        stops.append(comparator.stop(bit, "current", sign * wanted, "falling", nets, ramp_fs=ramp))
    return tuple(stops)


def _pulse(
    tile: Tile,
    operation: int,
    job: Programming,
    row: int,
    column: int,
    rising: bool,
    ratio: float,
    wanted: float | None,
) -> Process:
    """Apply one pulse; ``wanted``: bit-line current at which it ends [A], or None."""
    spec = job.set_pulse if rising else job.reset_pulse
    driver = tile.periphery.driver
    rise, fall, width = (
        femtoseconds(driver.rise),
        femtoseconds(driver.fall),
        max(round(femtoseconds(spec.width) * ratio), 1),
    )
    shape = pulse(spec.amplitude, rise_fs=rise, width_fs=width, fall_fs=fall)
    half = pulse(spec.amplitude / 2, rise_fs=rise, width_fs=width, fall_fs=fall)
    drives = pulse_drives(tile, job.scheme, row, column, shape, half, rising)
    bit = tile.network.nets[tile.network.ends[0].bottom[column]]
    stops = _stops(tile, drives, bit, rising, (spec.compliance, wanted))
    phase = Phase("write", rise + width + fall, drives, stops=stops)
    before, g_before = _cell(tile, row, column)
    yield from shift_levels(tile, operation, "write", drives)
    start = tile.now
    origin = "driver.rise + pulse width + driver.fall" + (", or comparator" if stops else "")
    index, result = yield from tile.run_phase(operation, phase, origin, programmed=(row, column))
    if result.stops:
        width = min(max(result.stops[0].ramp_fs - rise, 0), width)
    if stops:
        spent = tile.periphery.comparator.power * seconds(result.duration_fs)
        tile.energy(operation, index, "comparator", "write", spent)
    charging_energy(tile, operation, index, drives, "write")
    after, g_after = _cell(tile, row, column)
    line = str((tile.array.left if rising else tile.array.bottom or ())[row if rising else column])  # type: ignore[index]
    tile.trace.pulses.append(
        PulseRecord(
            operation, index, start, tile.name, row, column, line, spec.amplitude, seconds(width), before, after, g_before,
            g_after,
        )
    )  # fmt: skip
    yield from tile.wait(operation, "recover", "sequencer", tile.periphery.sequencer.recover_time)


def _cell(tile: Tile, row: int, column: int) -> tuple[float, float]:
    """Return state (its first variable) and conductance [S] of one cell."""
    state = tile.state[row : row + 1, column]
    device = tile.array.device
    if device.varied:
        device = device.select((np.array([row]), np.array([column])))
    return float(state.flat[0]), float(device.conductance(state)[0])
