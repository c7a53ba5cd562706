"""Five measurements of a device model: loop, pulse response, switching time, relaxation, read disturb.

Every curve is a table: columns by name, each name with its unit, all ``(samples,)``. The voltage is that over the
device itself; there is no series resistance and no capacitance.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from cosim.characterize.crossing import crossing_times
from cosim.devices.base import DeviceModel, FloatArray
from cosim.errors import DeviceError
from cosim.units import check, is_positive

Table = Mapping[str, FloatArray]
Pulse = tuple[float, float]
"""Amplitude [V] and width [s]."""

TEN_YEARS: float = 3.15576e8
"""Length of the relaxation [s]."""
MOVED: float = 0.01
"""Change of the conductance, of its range, that counts as moved."""
_LOOP_STEPS, _SURVEY_STEPS, _CYCLES = 400, 100, 2
_SURVEYED: FloatArray = 4.0 * 2.0 ** np.arange(16.0)
_COVERED, _ENOUGH, _SEEN, _MORE = 0.8, 0.9, 0.3, 0.02
_STRENGTHS = np.linspace(0.4, 1.6, 25)
_SHORTEST, _LONGEST = 1e-6, 1e9
_DRAWN_CELLS = 64
STARTS = (0.1, 0.5, 0.9)
_MOST_READS = 1e9


@dataclass(frozen=True)
class Conditions:
    """How devices are measured; a pulse that is None is the device's own programming pulse.

    ``*_pulse``: magnitude of the amplitude [V] and width [s]; ``temperature`` [K]; ``read_pulse``: a read, [V] and [s].
    """

    set_pulse: Pulse | None = None
    reset_pulse: Pulse | None = None
    read_pulse: Pulse = (0.2, 100e-9)
    temperature: float = 300.0
    pulses: int = 100
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("set_pulse", "reset_pulse", "read_pulse"):
            pulse = getattr(self, name)
            if pulse is not None:
                check(is_positive(pulse), "characterize", name, "an amplitude and a width above zero", pulse)
        check(is_positive(self.temperature), "characterize", "temperature", "above zero", self.temperature)
        check(self.pulses >= 2, "characterize", "pulses", "at least 2", self.pulses)


class Drive(NamedTuple):
    """SET and RESET pulse of a device."""

    set_pulse: Pulse
    reset_pulse: Pulse


def drive_of(device: DeviceModel, conditions: Conditions) -> Drive:
    """Return the pulses that a device is measured with; raises `DeviceError` where there are none."""
    if not device.moves:
        raise DeviceError(
            f"device model {device.name} never changes, so there is nothing to characterize; choose another model"
        )
    given, default = (
        (conditions.set_pulse, conditions.reset_pulse),
        device.programming_pulse(conditions.temperature),
    )
    found = []
    for k, option in enumerate(("--set-pulse", "--reset-pulse")):
        pulse = given[k] or (default[k] if default is not None else None)
        if pulse is None:
            raise DeviceError(
                f"device model {device.name} has no programming pulse; give {option} '1 V, 100 ns'"
            )
        found.append(pulse)
    return Drive(found[0], found[1])


def _at(device: DeviceModel, parts: FloatArray) -> FloatArray:
    """Return the states with conductances at some parts of the range, ``(1, parts[, k])``."""
    low, high = device.mean_conductance_range()
    return device.state_for((low + parts * (high - low))[np.newaxis])


def _span(device: DeviceModel) -> float:
    low, high = device.mean_conductance_range()
    return high - low


def loop(device: DeviceModel, drive: Drive, temperature: float) -> Table:
    """Return the second period of a sine, from the high resistance: time, voltage, current, conductance.

    The sine has the amplitudes of the pulses. Its period is the shortest of 4, 8, 16 ... widths in which the
    conductance covers 80 % of the largest part that it covers in any of them.
    """
    width = float(np.sqrt(drive.set_pulse[1] * drive.reset_pulse[1]))
    covered, span = np.zeros(1), _span(device)
    for some in _SURVEYED.reshape(4, 4):  # long periods cost much where a model steps per pulse
        surveyed, before = _sine(device, drive, width * some, temperature, _SURVEY_STEPS)[1], covered.max()
        covered = np.append(covered, np.ptp(surveyed, axis=0))
        if covered.max() >= _ENOUGH * span or (
            before > _SEEN * span and covered.max() < before + _MORE * span
        ):
            break
    period = width * float(_SURVEYED[np.argmax(covered[1:] >= _COVERED * covered.max())])
    voltage, conductance, current = _sine(device, drive, np.array([period]), temperature, _LOOP_STEPS)
    time = period * np.arange(_LOOP_STEPS + 1) / _LOOP_STEPS
    return {
        "time_s": time,
        "voltage_V": voltage,
        "current_A": current[:, 0],
        "conductance_S": conductance[:, 0],
    }


def _sine(
    device: DeviceModel, drive: Drive, periods: FloatArray, temperature: float, steps: int
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return voltage ``(steps + 1,)``, conductance and current ``(steps + 1, periods)`` of the last cycle."""
    state = _at(device, np.zeros(periods.size))
    phase = np.arange(steps + 1) / steps
    voltage, middle = (_volts(drive, at) for at in (phase, phase[:-1] + 0.5 / steps))
    found = [state]
    for _ in range(_CYCLES):
        found = [found[-1]]
        for volts in middle:
            after = device.advance(
                found[-1], np.full((1, periods.size), volts), periods[np.newaxis] / steps, temperature
            )
            found.append(after)
    conductance = np.array([device.conductance(each)[0] for each in found])
    current = np.array(
        [
            device.current(each, np.full((1, periods.size), v))[0]
            for each, v in zip(found, voltage, strict=True)
        ]
    )
    return voltage, conductance, current


def _volts(drive: Drive, phase: FloatArray) -> FloatArray:
    wave = np.sin(2 * np.pi * phase)
    result: FloatArray = np.where(wave > 0, drive.set_pulse[0], drive.reset_pulse[0]) * wave
    return result


def pulse_response(device: DeviceModel, drive: Drive, conditions: Conditions) -> Table:
    """Return the conductance after every one of n SET and then n RESET pulses, from the high resistance.

    ``conductance_S`` is the mean law; a stochastic model also gives one cell with its draws and the standard
    deviation over 64 cells.
    """
    count, rng = conditions.pulses, np.random.default_rng(conditions.seed)
    cells = _DRAWN_CELLS if device.stochastic else 0
    mean, drawn = _at(device, np.zeros(1)), _at(device, np.zeros(cells)) if cells else None
    numbers, volts, means, one = [0], [0.0], [mean], [drawn]
    for sign, (amplitude, width) in zip((1.0, -1.0), drive, strict=True):
        for _ in range(count):
            mean = device.advance(mean, np.array([[sign * amplitude]]), width, conditions.temperature)
            if drawn is not None:
                drawn = after_draws(device, drawn, sign * amplitude, width, conditions.temperature, rng)
            numbers.append(numbers[-1] + 1)
            volts.append(sign * amplitude)
            means.append(mean)
            one.append(drawn)
    table = {
        "pulse": np.array(numbers, dtype=np.float64), "amplitude_V": np.array(volts),
        "conductance_S": np.array([device.conductance(each)[0, 0] for each in means]),
    }  # fmt: skip
    if cells:
        values = np.array([device.conductance(each)[0] for each in one if each is not None])
        table |= {"drawn_S": values[:, 0], "spread_S": values.std(axis=1)}
    return table


def after_draws(
    device: DeviceModel,
    state: FloatArray,
    voltage: float,
    width: float,
    temperature: float,
    rng: np.random.Generator,
) -> FloatArray:
    """Return the states ``(1, cells[, k])`` after one pulse with its random part, as a phase has it."""
    volts = np.full(state.shape[:2], voltage)
    after = device.advance(state, volts, width, temperature)
    if not device.stochastic:
        return after
    exposure = width * device.exposure_rate(volts, temperature)
    return device.fluctuate(state, after, exposure, rng.random((2, *state.shape[:2])))


def switching_times(device: DeviceModel, drive: Drive, temperature: float) -> Table:
    """Return the time from one end of the conductance range to its middle, against the voltage; NaN: never.

    Voltages are 0.4 to 1.6 times the pulses' amplitudes, negative for RESET. Of a model whose state is a
    probability, the time is the one in which half of all attempts have switched.
    """
    low, high = device.mean_conductance_range()
    middle = 0.5 * (low + high)
    voltages, times = [], []
    for sign, (amplitude, width) in zip((1.0, -1.0), drive, strict=True):
        volts = sign * amplitude * _STRENGTHS
        start = _at(device, np.full(volts.size, 0.0 if sign > 0 else 1.0))
        distance = np.abs(middle - device.conductance(start)[0])
        between = (_SHORTEST * width, _LONGEST * width)
        times.append(crossing_times(device, start, volts, temperature, distance, between))
        voltages.append(volts)
    order = np.argsort(np.concatenate(voltages))
    return {"voltage_V": np.concatenate(voltages)[order], "time_s": np.concatenate(times)[order]}


def relaxation(device: DeviceModel, temperature: float) -> Table:
    """Return the conductance at 0 V from 1 us to ten years, from 10 %, 50 % and 90 % of the range."""
    time = np.geomspace(1e-6, TEN_YEARS, 59)
    return _held(device, 0.0, np.array(STARTS), time, temperature, "time_s", time)


def read_disturb(device: DeviceModel, conditions: Conditions) -> Table:
    """Return the conductance after 1 to 1e9 reads in a row, from both ends of the range and its middle."""
    reads, (voltage, width) = np.geomspace(1.0, _MOST_READS, 28), conditions.read_pulse
    starts = np.array([0.0, 0.5, 1.0])
    return _held(device, voltage, starts, reads * width, conditions.temperature, "reads", reads)


def _held(
    device: DeviceModel,
    voltage: float,
    starts: FloatArray,
    time: FloatArray,
    temperature: float,
    title: str,
    axis: FloatArray,
) -> Table:
    state, volts = _at(device, starts), np.full((1, starts.size), voltage)
    g = np.array([device.conductance(device.advance(state, volts, float(t), temperature))[0] for t in time])
    return {title: axis, **{f"from_{100 * part:.0f}_percent_S": g[:, k] for k, part in enumerate(starts)}}


def time_to_move(device: DeviceModel, voltage: float, starts: FloatArray, temperature: float) -> float:
    """Return the time [s] at ``voltage`` [V] until any of some cells has moved by 1 % of the range; NaN: not in ten years.

    ``starts``: their conductances, as parts of the range.
    """
    distance = np.full(starts.size, MOVED * _span(device))
    volts = np.full(starts.size, voltage)
    times = crossing_times(device, _at(device, starts), volts, temperature, distance, (1e-12, TEN_YEARS))
    return float(np.nanmin(times)) if np.isfinite(times).any() else float("nan")
