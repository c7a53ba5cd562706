"""Cells of equal kind from several arrays as one bank: their law, their states, how they move.

A bank is the cells of one `LineStack`: arrays of equal width, equal device parameters (those that differ from cell to
cell are put on top of one another) and equal access devices. Everything here takes and gives whole arrays
``(rows, columns)`` of the bank.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cosim.crossbar.access import SeriesElement
from cosim.crossbar.cell_law import divide
from cosim.crossbar.network import CrossbarArray
from cosim.crossbar.stacks import LineStack
from cosim.devices.base import DeviceModel, FloatArray
from cosim.errors import DeviceError

_DIVIDER_STEPS = 200
_DIVIDED = 4e-16


class Tangent(NamedTuple):
    """Cells at one instant ``(rows, columns)``: device voltage [V], current [A], slope by cell voltage [S]."""

    device_voltage: FloatArray
    current: FloatArray
    slope: FloatArray


@dataclass(frozen=True, eq=False)
class Bank:
    """Cells of one stack; ``conducting`` ``(rows, columns)`` is None where all conduct.

    ``gate`` ``(rows, 1)``: voltage of the gate lines [V], for an access device whose current depends on it.
    """

    name: str
    device: DeviceModel
    access: SeriesElement | None
    gate: FloatArray
    temperature: float
    stack: LineStack
    conducting: NDArray[np.bool_] | None

    @cached_property
    def series(self) -> float:
        """Resistance of a linear access device [ohm]."""
        return 0.0 if self.access is None else self.access.resistance

    @property
    def linear(self) -> bool:
        """Whether the current of a cell is a conductance times its voltage."""
        return self.device.linear and (self.access is None or self.access.linear)

    def conductance(self, state: FloatArray) -> FloatArray:
        """Return what the lines see of the cells of a linear device [S]."""
        g = np.broadcast_to(self.device.conductance(state), self.stack.shape)
        seen = g / (1.0 + self.series * g) if self.series else g
        return np.ascontiguousarray(seen if self.conducting is None else np.where(self.conducting, seen, 0.0))

    def tangent(
        self, state: FloatArray, voltage: FloatArray, bit: FloatArray, near: FloatArray | None = None
    ) -> Tangent:
        """Return device voltage, current and slope at cell voltages [V].

        ``bit``: voltages of the bit lines [V], on which a transistor's current depends too; ``near``: device voltages of
        a nearby instant, to start from.
        """
        if self.access is not None and not self.access.linear:
            inner, current, slope = divide(
                self.device, self.access, state, voltage, bit, self.gate, self.temperature, near
            )
        elif self.device.linear:
            g = np.broadcast_to(self.device.conductance(state), self.stack.shape)
            part = 1.0 / (1.0 + self.series * g)
            inner, current, slope = voltage * part, voltage * (g * part), g * part
        elif not self.series:
            inner, current = voltage, self.device.current(state, voltage)
            slope = self.device.current_slope(state, voltage)
        else:
            inner, current, slope = self._divided(state, voltage, near)
            slope = slope / (1.0 + self.series * slope)
        if self.conducting is not None:
            inner, current, slope = (np.where(self.conducting, part, 0.0) for part in (inner, current, slope))
        return Tangent(inner, current, slope)

    def _divided(
        self, state: FloatArray, voltage: FloatArray, near: FloatArray | None
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return the device's share of the voltage: the root of ``u + R i(u) = v``, with current and slope.

        Newton's method, bisected where it would leave the bracket. The current must not fall with voltage, so
        the root lies between ``v`` and ``v - R i(v)`` as well as on the side of 0 that ``i(0)`` tells.
        """
        device, series = self.device, self.series
        zero = np.zeros_like(voltage)
        with np.errstate(over="ignore", invalid="ignore"):
            far = voltage - series * device.current(state, voltage)
            at_zero = series * device.current(state, zero) - voltage
        low, high = np.minimum(voltage, far), np.maximum(voltage, far)
        low = np.where(at_zero <= 0, np.maximum(low, 0.0), low)
        high = np.where(at_zero >= 0, np.minimum(high, 0.0), high)
        u = np.clip(voltage if near is None else near, low, high)
        for _ in range(_DIVIDER_STEPS):
            current, slope = device.current(state, u), device.current_slope(state, u)
            miss = u + series * current - voltage
            low, high = np.where(miss < 0, u, low), np.where(miss > 0, u, high)
            step = u - miss / (1.0 + series * slope)
            inside = (step >= low) & (step <= high)
            following = np.where(inside, step, 0.5 * (low + high))
            if np.all(np.abs(following - u) <= _DIVIDED * (np.abs(u) + np.abs(voltage))):
                return u, current, slope
            u = following
        raise DeviceError(
            f"array {self.name}: the voltage of device {device.name} behind its access device was not found: its "
            "current must not fall with voltage, and current_slope must be its derivative"
        )

    def power(self, state: FloatArray, device_voltage: FloatArray) -> FloatArray:
        """Return the heat in the devices [W] at device voltages [V]."""
        heat = self.device.current(state, device_voltage) * device_voltage
        return heat if self.conducting is None else np.where(self.conducting, heat, 0.0)

    def fraction(self, change: FloatArray) -> float:
        """Return the largest absolute change of a state, in fractions of its range."""
        low, high = self.device.state_bounds()
        return float(np.abs(change).max(initial=0.0)) / (high - low if high < np.inf else 1.0)


def kind(array: CrossbarArray) -> Hashable:
    """Return what arrays must share to be one bank: device and access device, but for per-cell parameters."""
    return _common(array.device), array.cell.access


def _common(value: Any) -> Hashable:
    if isinstance(value, np.ndarray):
        return "per cell"
    if dataclasses.is_dataclass(value):
        return type(value), tuple(_common(getattr(value, entry.name)) for entry in dataclasses.fields(value))
    return id(value) if isinstance(value, DeviceModel) else value


def make_bank(
    arrays: Sequence[CrossbarArray],
    stack: LineStack,
    conducting: Sequence[tuple[bool, ...] | None],
    gates: Sequence[tuple[float, ...] | None],
    temperature: float,
) -> Bank:
    """Return the bank of a stack; ``conducting``: per array its rows that conduct, None for all.

    ``gates``: gate voltage of every row [V], None where no current depends on it.
    """
    own = [arrays[k] for k in stack.members]
    rows = [
        np.ones(array.rows, dtype=np.bool_) if conducting[k] is None else np.array(conducting[k])
        for k, array in zip(stack.members, own, strict=True)
    ]
    mask = np.broadcast_to(np.concatenate(rows)[:, None], stack.shape)
    names = ", ".join(array.name for array in own)
    levels = [gates[k] or (0.0,) * array.rows for k, array in zip(stack.members, own, strict=True)]
    gate = np.concatenate([np.array(level) for level in levels])[:, None]
    return Bank(
        names,
        _stacked(own),
        own[0].cell.access,
        gate,
        temperature,
        stack,
        None if mask.all() else mask.copy(),
    )


def _stacked(arrays: Sequence[CrossbarArray]) -> DeviceModel:
    """Return the device of all arrays, per-cell parameters on top of one another."""
    first = arrays[0].device
    if len(arrays) == 1 or not first.varied:
        return first
    parts = [array.device.parameters() for array in arrays]
    return first.per_cell(**{name: np.concatenate([each[name] for each in parts]) for name in first.varied})
