r"""How the states of a bank move over one step while the device voltages run through three known instants.

The voltage over each device is the parabola through its values at the start, at the share ``m`` of the step and at
its end. The state advances over each part by the time average of the device's own step at constant voltage,

.. math:: x(t_2) = x(t_1) + \overline{\Phi(x(t_1), u(s), t_2 - t_1) - x(t_1)},

exact where the voltage is constant and of second order otherwise. The step is taken in two parts, to ``m`` and on to
the end; the same formula over the whole at once, with a coarser average, tells the error.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from cosim.backends.banks import Bank
from cosim.devices.base import FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Shares:
    """Where a step is cut, and how voltages and integrals follow from its three instants.

    ``middle`` is the share ``m``; ``weights`` integrate a parabola through 0, m, 1 over the step.
    """

    middle: float

    @property
    def weights(self) -> tuple[float, float, float]:
        """Weights of the start, the middle and the end."""
        m = self.middle
        inner = 1.0 / (6.0 * m * (1.0 - m))
        first = 0.5 - 1.0 / (6.0 * m)
        return first, inner, 1.0 - first - inner

    def basis(self, share: float) -> tuple[float, float, float]:
        """Return the values of the three parabolas at ``share`` of the step."""
        m, s = self.middle, share
        return (s - m) * (s - 1.0) / m, s * (s - 1.0) / (m * (m - 1.0)), s * (s - m) / (1.0 - m)

    def between(self, values: tuple[FloatArray, FloatArray, FloatArray], share: float) -> FloatArray:
        """Return the parabola through ``values`` at ``share``."""
        a, b, c = self.basis(share)
        result: FloatArray = a * values[0] + b * values[1] + c * values[2]
        return result


@dataclass(frozen=True, slots=True, eq=False)
class Travel:
    """States at the middle and at the end of a step, and the error as a fraction of the state's range."""

    middle: FloatArray
    end: FloatArray
    error: float


Voltages = tuple[FloatArray, FloatArray, FloatArray]


def travel(
    bank: Bank, state: FloatArray, voltages: Voltages, shares: Shares, duration_s: float, temperature: float,
    active: float,
) -> Travel:  # fmt: skip
    """Return where the states go.

    ``voltages``: over the devices at start, middle and end [V]; ``active``: cells that would move by less (a
    fraction of the range) go along the straight line to where one average takes them.
    """
    device = bank.device
    if not device.moves:
        return Travel(state, state, 0.0)
    low, high = device.state_bounds()
    span = high - low if high < np.inf else 1.0
    weights = shares.weights
    whole = _average(device, state, voltages, weights, duration_s, temperature)
    middle, end = state + shares.middle * (whole - state), whole
    moved = np.abs(whole - state).reshape(*bank.stack.shape, -1).max(axis=-1)
    cells = np.nonzero(moved > active * span)
    if not cells[0].size:
        return Travel(middle, end, 0.0)
    chosen = device.select(cells)
    inner: Any = state[cells]
    volts: Any = tuple(voltage[cells] for voltage in voltages)
    m = shares.middle
    first = (volts[0], shares.between(volts, 0.5 * m), volts[1])
    second = (volts[1], shares.between(volts, 0.5 * (1.0 + m)), volts[2])
    simpson = (1 / 6, 4 / 6, 1 / 6)
    half = _average(chosen, inner, first, simpson, m * duration_s, temperature)
    full = _average(chosen, half, second, simpson, (1.0 - m) * duration_s, temperature)
    error = float(np.abs(full - whole[cells]).max()) / span
    middle[cells], end[cells] = half, full
    return Travel(middle, end, error)


def _average(
    device: Any, state: FloatArray, voltages: Voltages, weights: tuple[float, ...], duration_s: float,
    temperature: float,
) -> FloatArray:  # fmt: skip
    """Return the state after the averaged step."""
    if voltages[0] is voltages[1] and voltages[1] is voltages[2]:
        end: FloatArray = device.advance(state, voltages[0], duration_s, temperature)
        return end
    moved = device.advance(state, np.array(voltages), duration_s, temperature) - state
    result: FloatArray = state + (np.array(weights) @ moved.reshape(3, -1)).reshape(state.shape)
    return result
