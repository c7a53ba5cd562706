"""When a device has moved so far: the time at constant voltage, by bisection on a logarithmic scale.

At constant voltage the conductance of a device moves one way, so the time at which it has changed by some amount is
the only root of a monotone function, whatever the model.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cosim.devices.base import DeviceModel, FloatArray

_HALVINGS = 40
_WINDOW = 1e3


def crossing_times(
    device: DeviceModel,
    state: FloatArray,
    voltage: FloatArray,
    temperature: float,
    distance: FloatArray,
    between: tuple[float, float],
) -> FloatArray:
    """Return the time [s] at which the conductance of each cell has changed so far, ``(cells,)``; NaN: never.

    ``state`` ``(1, cells)`` or ``(1, cells, k)``, ``voltage`` [V] and ``distance`` [S] ``(cells,)``; ``between``: the
    shortest and the longest time looked at [s]. A cell that is there at the shortest time gets that time.
    """
    start, limit = device.conductance(state)[0], between[0]
    times, rest = np.full(voltage.size, np.nan), np.arange(voltage.size)
    while rest.size and limit < between[1]:  # a long time costs much where a model steps per pulse
        begin, limit = limit, min(limit * _WINDOW, between[1])
        cells = _Cells(device, state[:, rest], voltage[rest], temperature, start[rest], distance[rest])
        times[rest] = cells.within(begin, limit)
        rest = rest[np.isnan(times[rest])]
    return times


class _Cells:
    """Cells at their voltages, and how far they are to go."""

    def __init__(
        self,
        device: DeviceModel,
        state: FloatArray,
        voltage: FloatArray,
        temperature: float,
        start: FloatArray,
        distance: FloatArray,
    ) -> None:
        self._device, self._state, self._voltage = device, state, voltage[np.newaxis]
        self._temperature, self._start, self._distance = temperature, start, distance

    def _there(self, log_time: FloatArray) -> NDArray[np.bool_]:
        after = self._device.advance(
            self._state, self._voltage, np.exp(log_time)[np.newaxis], self._temperature
        )
        there: NDArray[np.bool_] = np.abs(self._device.conductance(after)[0] - self._start) >= self._distance
        return there

    def within(self, begin: float, end: float) -> FloatArray:
        """Return the times [s] of those that arrive between ``begin`` and ``end``, NaN for the others."""
        low, high = (np.full(self._start.shape, np.log(limit)) for limit in (begin, end))
        ever, at_once = self._there(high), self._there(low)
        for _ in range(_HALVINGS if ever.any() else 0):
            middle = 0.5 * (low + high)
            there = self._there(middle)
            low, high = np.where(there, low, middle), np.where(there, middle, high)
        result: FloatArray = np.where(ever, np.where(at_once, begin, np.exp(high)), np.nan)
        return result
