"""How a cell shares its voltage between device and series element, and what a read sees of it."""

from __future__ import annotations

import numpy as np

from cosim.crossbar.access import SeriesElement
from cosim.crossbar.network import Cell
from cosim.devices.base import DeviceModel, FloatArray
from cosim.errors import DeviceError

_STEPS = 200
_HALVINGS = 60
"""Of the range of a device: to rounding."""

_SETTLED = 1e-12
"""Largest last step, as a part of the voltages; the one before it leaves an error of rounding alone."""

_TINY = 1e-250
"""The same in volt, far above the numbers that have lost digits."""


def divide(
    device: DeviceModel,
    element: SeriesElement,
    state: FloatArray,
    voltage: FloatArray,
    far: FloatArray,
    gate: FloatArray,
    temperature: float,
    near: FloatArray | None = None,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the device's share of the cell voltages, the currents, and their slopes by the cell voltage at fixed ``far``.

    The root of ``i_device(u) = i_element(voltage - u)`` by Newton's method, bisected where it would leave its
    bracket. Neither current falls with its voltage, and both are 0 at 0 V, so the root lies between 0 V and the cell voltage.

    Parameters
    ----------
    state
        Of the devices, ``(rows, columns[, k])``.
    voltage, far, gate
        Cell voltage, voltage of the bit line and of the gate line against 0 V [V], shapes that broadcast to the cells.
    near
        Device voltages of a nearby instant, to start from.

    Raises
    ------
    DeviceError
        The root is not found: a current falls with its voltage.
    """
    low, high = np.minimum(voltage, 0.0), np.maximum(voltage, 0.0)
    u = np.clip(voltage if near is None else near, low, high)
    enough, settled = _SETTLED * np.abs(voltage) + _TINY, False
    for _ in range(_STEPS):
        with np.errstate(over="ignore", invalid="ignore"):
            current, slope = device.current(state, u), device.current_slope(state, u)
            miss = current - element.current(voltage - u, far, gate, temperature)
            steep = slope + element.slope(voltage - u, far, gate, temperature)
            step = u - np.divide(miss, steep, out=np.zeros_like(miss), where=steep > 0)
        if settled:
            through = np.divide(slope, steep, out=np.zeros_like(slope), where=steep > 0)
            return u, current, (steep - slope) * through
        low, high = np.where(miss < 0, u, low), np.where(miss > 0, u, high)
        little = np.abs(step - u) <= enough  # rounding may put it just outside
        inside = little | ((step >= low) & (step <= high))
        following = np.where(inside, step, 0.5 * (low + high))
        settled = bool(np.all(np.abs(following - u) <= enough))
        u = following
    raise DeviceError(
        f"the voltage of device {device.name} behind its access device was not found: its current must not fall with "
        "voltage, and current_slope must be its derivative"
    )


def seen_conductance(
    device: DeviceModel, cell: Cell, state: FloatArray, voltage: float, temperature: float
) -> FloatArray:
    """Return current over voltage [S] of cells whose access device conducts, the bit line at 0 V.

    ``voltage`` [V]: on the word line; without effect where everything is linear.
    """
    if cell.access is None or cell.access.linear:
        g = device.conductance(state)
        return g / (1.0 + g * cell.series_resistance)
    shape = device.conductance(state).shape
    across, gate = np.full(shape, voltage), np.full(shape, cell.gate_voltage)
    _, current, _ = divide(device, cell.access, state, across, np.zeros(shape), gate, temperature)
    return current / voltage


def state_seen(
    device: DeviceModel, cell: Cell, seen: FloatArray, voltage: float, temperature: float
) -> FloatArray:
    """Return the states in which `seen_conductance` is ``seen`` ``(rows, columns)`` [S], or as near as devices can come.

    Closed form where the access device is a resistance, else by bisection between the ends of the device's range.
    """
    low, high = (
        np.array(np.broadcast_to(end, seen.shape), dtype=np.float64) for end in device.conductance_range()
    )
    if cell.access is None or cell.access.linear:
        return device.state_for(np.clip(seen / (1.0 - seen * cell.series_resistance), low, high))
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        found = seen_conductance(device, cell, device.state_for(middle), voltage, temperature)
        low, high = np.where(found < seen, middle, low), np.where(found < seen, high, middle)
    return device.state_for((low + high) / 2)


def seen_range(device: DeviceModel, cell: Cell, voltage: float, temperature: float) -> tuple[float, float]:
    """Return the lowest and highest conductance [S] that a read of one cell at ``voltage`` [V] sees, a mean of cells that differ."""
    low, high = device.mean_conductance_range()
    if cell.access is None or cell.access.linear:
        return low / (1 + low * cell.series_resistance), high / (1 + high * cell.series_resistance)
    ends = []
    for bound in device.conductance_range():
        shape = np.shape(bound) or next(
            (np.shape(device.parameters()[name]) for name in device.varied), (1, 1)
        )
        state = device.state_for(np.broadcast_to(np.asarray(bound, dtype=np.float64), shape).copy())
        ends.append(float(np.mean(seen_conductance(device, cell, state, voltage, temperature))))
    return ends[0], ends[1]
