"""What a tile remembers of the age of its cells: last programming pulse, pulses, cycles, and the device that follows.

Drift and wear are parameters of the cells (the ends of their range), so every backend, the compiled paths and the
netlist take them as they take differences between cells. The device is made anew only where a cell's conductance has
changed by more than 1e-5 of itself since it was made last. A model without two end conductances drifts by its
state instead, and stops at the lowest one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cosim.devices.base import DeviceModel, FloatArray
from cosim.devices.retention import Endurance, Retention, drawn_deviations, scales, with_scaled_ends
from cosim.errors import DeviceError

_NOTICED = 1e-5


class Ageing:
    """Age of the cells of one array; ``device``: as built, before any drift or wear."""

    def __init__(
        self,
        device: DeviceModel,
        state: FloatArray,
        retention: Retention | None,
        endurance: Endurance | None,
        temperature: float,
        rng: np.random.Generator,
    ) -> None:
        shape = (state.shape[0], state.shape[1])
        self._fresh, self.device = device, device
        self._retention, self._endurance, self._temperature = retention, endurance, temperature
        low, high = (np.broadcast_to(np.asarray(end), shape) for end in device.conductance_range())
        self._range = low, high
        self._free = high > low * (1 + 1e-6)  # stuck cells neither drift nor wear
        self._highest = high if np.all(np.isfinite(high)) else np.full(shape, device.conductance(state).max())
        self._by_state = retention is not None and not scales(device)
        if endurance is not None and with_scaled_ends(device, 1.0, 1.0) is None:
            raise DeviceError(
                f"variation.endurance: {device.name} has no two end conductances, so its range cannot close"
            )
        self.pulses: NDArray[np.int64] = np.zeros(shape, dtype=np.int64)
        self.cycles = np.full(shape, 0.0 if endurance is None else endurance.cycles)
        self._programmed_s = np.zeros(shape)
        self._factor = np.ones(shape)
        self._wear: tuple[FloatArray, FloatArray] = np.ones(shape), np.ones(shape)
        self._deviation = drawn_deviations(shape, rng)
        self._exponent = np.zeros(shape)
        self.note(state)
        self._remake()

    def _note(self, state: FloatArray, cells: NDArray[np.bool_]) -> None:
        """Take the present conductances of some cells as those from which they drift."""
        if self._retention is not None:
            share = self.device.conductance(state) / self._highest
            found = np.where(self._free, self._retention.exponents(self._deviation, share), 0.0)
            self._exponent = np.where(cells, found, self._exponent)

    def renew(self, now_s: float) -> None:
        """Begin the drift of all cells anew at ``now_s`` [s], with the wear that they have; then `note` their states."""
        self._factor, self._programmed_s = np.ones(self._factor.shape), np.full(self._factor.shape, now_s)
        self._remake()

    def note(self, state: FloatArray) -> None:
        """Take the conductances of all cells as those from which they drift."""
        self._note(state, np.ones(self._factor.shape, dtype=np.bool_))

    def _factor_at(self, now_s: float) -> FloatArray:
        if self._retention is None:
            return self._factor
        return self._retention.factor(self._exponent, now_s - self._programmed_s, self._temperature)

    def advanced(self, state: FloatArray, now_s: float) -> FloatArray:
        """Move the age on to ``now_s`` [s]; returns the states, and leaves `device` as the cells now are."""
        factor = self._factor_at(now_s)
        if np.abs(factor / self._factor - 1).max() <= _NOTICED:
            return state
        if self._by_state:
            aged = self.device.state_for(self.device.conductance(state) * factor / self._factor)
            state = np.where(
                (factor != self._factor).reshape(*factor.shape, *[1] * (state.ndim - 2)), aged, state
            )
        self._factor = factor
        if not self._by_state:
            self._remake()
        return state

    def begin_pulse(self, state: FloatArray, cell: tuple[int, int]) -> FloatArray:
        """Return the states where a cell is about to be programmed: its drift is over, its conductance is kept."""
        if self._factor[cell] == 1:
            return state
        conductance = self.device.conductance(state)
        self._factor = self._factor.copy()
        self._factor[cell] = 1.0
        if self._by_state:
            return state
        self._remake()
        return self._with(state, cell, conductance)

    def end_pulse(
        self, before: FloatArray, after: FloatArray, cell: tuple[int, int], now_s: float
    ) -> FloatArray:
        """Count a pulse on a cell between two states; returns the states with its wear, its conductance kept."""
        first, last = self.device.conductance(before)[cell], self.device.conductance(after)[cell]
        low, high = self._range[0][cell], self._range[1][cell]
        self.pulses[cell] += 1
        self._programmed_s[cell] = now_s
        only = np.zeros(self._factor.shape, dtype=np.bool_)
        only[cell] = True
        if self._free[cell]:
            self.cycles[cell] += abs(last - first) / (2 * (high - low))
        self._note(after, only)
        if self._endurance is None or self.cycles[cell] <= self._endurance.onset:
            return after
        conductance = self.device.conductance(after)
        self._remake()
        return self._with(after, cell, conductance)

    def _with(self, state: FloatArray, cell: tuple[int, int], conductance: FloatArray) -> FloatArray:
        """Return the states with that of one cell as its conductance [S] asks for."""
        result = state.copy()
        result[cell] = self.device.state_for(conductance)[cell]
        return result

    def _remake(self) -> None:
        """Make the device of the present factors and cycles."""
        low, high = self._factor, self._factor
        if self._by_state:
            low = high = np.ones(self._factor.shape)
        if self._endurance is not None:
            worn = self._endurance.factors(self.cycles, self._range[1] / self._range[0])
            low, high = low * np.where(self._free, worn[0], 1), high * np.where(self._free, worn[1], 1)
        if np.all(low == 1) and np.all(high == 1):
            self.device = self._fresh
            return
        self.device = with_scaled_ends(self._fresh, low, high) or self._fresh
