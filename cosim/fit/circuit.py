r"""A device behind a series resistor on a voltage drive, for many parameter sets and drives at once.

.. math:: v + R_s\, i(x, v) = v_{drive}(t), \qquad x(t+h) = \mathrm{advance}(x(t), v, h)

The state moves by the device's own closed form (or its integrator) at a voltage taken as constant over a
step: an exponential midpoint rule, of second order. A step counts if the currents of the first-order and
of the second-order end state agree to `Accuracy.step`; every element of the batch has its own step, so the
snap of one cell does not slow the others. The drive is linear between its samples.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np

from cosim.devices.base import DeviceModel, FloatArray
from cosim.errors import FitError

_NEWTON = 60
_VOLTAGE = 1e-9
_ERROR_OF_STEP = 0.01
"""Part of `Accuracy.step` for an estimated error: the difference of the first to the second order is larger."""


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Step control: ``step`` is the accepted relative difference of two orders, ``shortest`` a part of a sample.

    ``periodic``: relative difference of the current after a period that counts as a steady state, reached
    within ``periods`` periods or taken as it is.
    """

    step: float = 0.03
    shortest: float = 2e-3
    periodic: float = 1e-3
    periods: int = 4


@dataclass(frozen=True, eq=False)
class Drive:
    """Drives of a batch: ``voltage`` [V] ``(samples, elements)``, ``interval`` [s] and ``series`` [ohm] ``(elements,)``.

    ``periodic``: the last sample is followed by the first one, and the steady state is wanted; else the
    elements start from ``start`` (states) or from the device's initial state.
    """

    voltage: FloatArray
    interval: FloatArray
    series: FloatArray
    periodic: bool = True
    start: FloatArray | None = None

    def select(self, elements: Any) -> Drive:
        """Return the drives of some elements; ``start`` is left out."""
        return Drive(self.voltage[:, elements], self.interval[elements], self.series[elements], self.periodic)


def series_voltage(
    device: DeviceModel, state: FloatArray, drive: FloatArray, series: FloatArray
) -> FloatArray:
    """Return the voltage [V] over devices in series with resistors [ohm] at ``drive`` [V], all ``(elements,)``.

    Raises `FitError` where the equation has no solution that Newton's method finds.
    """
    if device.linear:
        result: FloatArray = drive / (1.0 + series * device.conductance(state))
        return result
    low, high = np.minimum(drive, 0.0), np.maximum(drive, 0.0)
    voltage = 0.5 * drive
    for _ in range(_NEWTON):
        excess = voltage + series * device.current(state, voltage) - drive
        low, high = np.where(excess < 0, voltage, low), np.where(excess < 0, high, voltage)
        newton = voltage - excess / (1.0 + series * device.current_slope(state, voltage))
        inside = (newton >= low) & (newton <= high)
        following = np.where(inside, newton, 0.5 * (low + high))
        moved = float(np.abs(following - voltage).max(initial=0.0))
        voltage = following
        if moved < _VOLTAGE:
            return voltage
    if not np.all(np.isfinite(voltage)):
        raise FitError("the current of the device is no finite number at these parameters")
    return voltage


def _level(table: FloatArray, at: Any, part: FloatArray, cells: Any) -> FloatArray:
    """Return the drive [V] a ``part`` of an interval after sample ``at``; the last interval leads to the first."""
    first = table[at % len(table), cells]
    result: FloatArray = first + part * (table[(at + 1) % len(table), cells] - first)
    return result


@dataclass(slots=True, eq=False)
class _Flight:
    """Elements on their way: ``live`` their columns, ``at`` samples passed, ``done`` the part of the interval."""

    live: Any
    at: Any
    done: FloatArray
    width: FloatArray
    state: FloatArray
    voltage: FloatArray
    device: DeviceModel

    def keep(self, chosen: Any, device: DeviceModel) -> None:
        """Go on with some elements."""
        for name in ("live", "at", "done", "width", "state", "voltage"):
            setattr(self, name, getattr(self, name)[chosen])
        self.device = device.select((self.live,))


def _attempt(flight: _Flight, drive: Drive, temperature: float, accuracy: Accuracy) -> FloatArray:
    """Try one step of every element; those that count move. Returns the current [A] at the end of the step."""
    device, v, series = flight.device, flight.voltage, drive.series[flight.live]
    h = np.minimum(flight.width, 1.0 - flight.done)
    seconds = h * drive.interval[flight.live]
    euler = device.advance(flight.state, v, seconds, temperature)
    middle = device.advance(flight.state, v, 0.5 * seconds, temperature)
    half = _level(drive.voltage, flight.at, flight.done + 0.5 * h, flight.live)
    moved = device.advance(flight.state, series_voltage(device, middle, half, series), seconds, temperature)
    v_end = series_voltage(
        device, moved, _level(drive.voltage, flight.at, flight.done + h, flight.live), series
    )
    current, rough = device.current(moved, v_end), device.current(euler, v_end)
    largest = np.maximum(np.maximum(np.abs(current), np.abs(rough)), 1e-30)
    error = np.abs(current - rough) / largest
    good = ~(error > accuracy.step) | (h <= accuracy.shortest)
    factor = np.clip(0.9 * np.sqrt(accuracy.step / np.maximum(error, 1e-9)), 0.2, 3.0)
    flight.width = np.clip(h * factor, accuracy.shortest, 1.0)
    flight.state = np.where(good.reshape(-1, *[1] * (moved.ndim - 1)), moved, flight.state)
    flight.voltage = np.where(good, v_end, v)
    flight.done = np.where(good, flight.done + h, flight.done)
    return current


def _period(
    device: DeviceModel, drive: Drive, start: FloatArray, temperature: float, accuracy: Accuracy
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return current and device voltage ``(samples, elements)``, and the states after the last sample."""
    samples, elements = drive.voltage.shape
    steps = samples if drive.periodic else samples - 1
    current, voltage = np.empty((2, samples, elements))
    final = np.array(start)
    everyone = np.arange(elements)
    voltage[0] = series_voltage(device, start, drive.voltage[0], drive.series)
    current[0] = device.current(start, voltage[0])
    flight = _Flight(
        everyone, np.zeros_like(everyone), np.zeros(elements), np.full(elements, 0.25), start,
        voltage[0].copy(), device,
    )  # fmt: skip
    while len(flight.live):
        i_end = _attempt(flight, drive, temperature, accuracy)
        passed = np.flatnonzero(flight.done >= 1.0 - 1e-12)
        if not len(passed):
            continue
        flight.at[passed] += 1
        flight.done[passed] = 0.0
        inside = passed[flight.at[passed] < samples]
        places = flight.at[inside], flight.live[inside]
        current[places], voltage[places] = i_end[inside], flight.voltage[inside]
        over = flight.at >= steps
        if over.any():
            final[flight.live[over]] = flight.state[over]
            flight.keep(~over, device)
    return current, voltage, final


def _compiled(
    device: DeviceModel, drive: Drive, start: FloatArray, temperature: float, accuracy: Accuracy
) -> tuple[FloatArray, FloatArray] | None:
    """Return the answer of a compiled path, for a two-channel device or one with a rate, or None."""
    if find_spec("numba") is None:
        return None
    voltage, interval, series, periodic = drive.voltage, drive.interval, drive.series, drive.periodic
    two_channel = device.two_channel(temperature)
    if two_channel is not None:
        from cosim.fit.compiled import two_channel_loops

        limits = (accuracy.step, accuracy.shortest, accuracy.periodic, accuracy.periods)
        law, table = two_channel.law, two_channel.parameters
        return two_channel_loops(law, table, voltage, interval, series, periodic, start, limits)
    from cosim.fit.compiled_rates import rate_law, rate_loops

    found = rate_law(device, temperature, voltage.shape[1])
    if found is None:
        return None
    limits = (_ERROR_OF_STEP * accuracy.step, accuracy.shortest, accuracy.periodic, accuracy.periods)
    return rate_loops(*found, voltage, interval, series, periodic, start, device.state_bounds(), limits)


def simulate(
    device: DeviceModel,
    drive: Drive,
    temperature: float,
    accuracy: Accuracy | None = None,
    *,
    fast: bool = True,
) -> tuple[FloatArray, FloatArray]:
    """Return current [A] and device voltage [V] at the samples, both ``(samples, elements)``.

    ``device`` has parameters that are numbers or arrays ``(elements,)``. ``fast``: let numba, where it is
    installed, simulate the devices that it can.
    """
    limits = accuracy or Accuracy()
    elements = drive.voltage.shape[1]
    state = drive.start
    if state is None:
        low, _ = device.conductance_range()
        state = device.state_for(np.broadcast_to(np.asarray(low, dtype=np.float64), (elements,)).copy())
    compiled = _compiled(device, drive, state, temperature, limits) if fast else None
    if compiled is not None:
        return compiled
    if not drive.periodic:
        return _period(device, drive, state, temperature, limits)[:2]
    current, voltage = np.empty((2, *drive.voltage.shape))
    cells = np.arange(elements)
    for _ in range(limits.periods):
        model, some = device.select((cells,)), drive.select(cells)
        i, v, final = _period(model, some, state, temperature, limits)
        current[:, cells], voltage[:, cells] = i, v
        again = series_voltage(model, final, some.voltage[0], some.series)
        gap = np.abs(model.current(final, again) - i[0]) / np.maximum(np.abs(i).max(axis=0), 1e-30)
        unsettled = np.flatnonzero(gap > limits.periodic)
        if not len(unsettled):
            break
        cells, state = cells[unsettled], final[unsettled]
    return current, voltage
