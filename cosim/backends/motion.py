"""How the states of one array move while the voltages over its cells are known.

The state advances by the time average of the device's closed form over the voltage's course,
``x(h) = x0 + average over s of [advance(x0, v(s), h) - x0]``, exact where the voltage is constant, else with an error of the
third order in h: it is taken in two halves as well, extrapolated (Richardson), and the difference tells the error. The
voltage over the device is that over the cell less the drop on the access device, which depends on the
state: a fixed-point iteration on the state's course (a parabola through start, middle and end) takes
this in. Only cells that move noticeably are treated so; the rest take one closed form.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cosim.devices.base import DeviceModel, FloatArray

_NODES = np.linspace(0.0, 1.0, 9)
_RULE = np.array([1, 4, 2, 4, 2, 4, 2, 4, 1]) / 24.0
_COARSE = np.array([1, 0, 4, 0, 2, 0, 4, 0, 1]) / 12.0
_HALF_RULE = np.array([1, 4, 2, 4, 1]) / 12.0
_ITERATIONS = 4


def _lagrange(nodes: FloatArray) -> FloatArray:
    """Return the values of the three parabolas through 0, 1/2, 1 at ``nodes``, shape ``(3, nodes)``."""
    return np.array([(2 * nodes - 1) * (nodes - 1), 4 * nodes * (1 - nodes), nodes * (2 * nodes - 1)])


_BASIS = _lagrange(np.concatenate([_NODES, _NODES[:5]]))
_PARABOLA = np.ascontiguousarray(_BASIS.T)
_SHARE = np.concatenate([np.ones(9), np.full(5, 0.5)])
_THIRD_ORDER = 1.0 / 7.0
"""Error of two halves as a part of their difference from the whole."""
_LEFT_OVER = 0.05
"""Accounted error of the extrapolated result as a part of the same: the next order."""
_HIGH = np.array([989, 5888, -928, 10496, -4540, 10496, -928, 5888, 989]) / 28350.0
_RULES = np.zeros((4, 14))
_RULES[0, :9], _RULES[1, 9:], _RULES[2, :9], _RULES[3, :9] = _RULE, _HALF_RULE, _COARSE, _HIGH
_SETTLED = 1e-8


@dataclass(frozen=True, slots=True, eq=False)
class Course:
    """State of the moving cells over a stretch: middle, end, exposure, and the error."""

    middle: FloatArray
    end: FloatArray
    exposure: FloatArray
    error: float


def course(
    device: DeviceModel,
    series: float,
    start: FloatArray,
    voltages: tuple[FloatArray, FloatArray, FloatArray],
    duration_s: float,
    temperature: float,
    guess: tuple[FloatArray, FloatArray] | None = None,
) -> Course:
    """Return how cells move over a stretch.

    ``start``: states of the cells ``(cells,)``; ``voltages``: cell voltages at start, middle and end
    ``(cells,)`` [V]; ``series``: access resistance [ohm]; ``guess``: expected states at middle and end.
    """
    fixed = voltages[0] is voltages[1] is voltages[2] and not series
    cell_voltage = _PARABOLA @ np.array(voltages)
    duration = (_SHARE * duration_s)[:, None]
    middle, end = guess if guess is not None else (start, start)
    error = 0.0
    voltage = cell_voltage
    for _ in range(_ITERATIONS):
        if series:
            state = _PARABOLA @ np.array((start, middle, end))
            voltage = cell_voltage / (1.0 + series * device.conductance(state))
        moved = device.advance(start, voltage, duration, temperature) - start
        whole, half, coarse, high = _RULES @ moved
        previous = end
        middle, end = start + half, start + whole
        # Two other rules: on an edge far wider than the threshold one of them may agree by chance.
        error = float(np.maximum(np.abs(whole - coarse), np.abs(whole - high)).max(initial=0.0))
        if not fixed:
            ahead = device.advance(middle, voltage[4:9], 0.5 * duration_s, temperature) - middle
            halves = middle + _HALF_RULE @ ahead
            error = max(error, _LEFT_OVER * float(np.abs(halves - end).max(initial=0.0)))
            end = np.clip(halves + _THIRD_ORDER * (halves - end), *device.state_bounds())
        if not series or float(np.abs(end - previous).max(initial=0.0)) < _SETTLED:
            break
    exposure = np.zeros(start.shape[:1])
    if device.stochastic:
        exposure = duration_s * (_RULE @ device.exposure_rate(voltage[:9], temperature))
    return Course(middle, end, exposure, error)


def simpson(panels: int) -> FloatArray:
    """Return the weights of the composite Simpson rule on 0..1 with ``panels`` panels (``2 panels + 1`` nodes)."""
    weights = np.full(2 * panels + 1, 2.0)
    weights[1::2] = 4.0
    weights[0] = weights[-1] = 1.0
    return weights / (6.0 * panels)


def drift(
    device: DeviceModel,
    series: float,
    state: FloatArray,
    conductance: FloatArray,
    cell_voltages: FloatArray,
    weights_s: FloatArray,
    temperature: float,
) -> tuple[FloatArray, FloatArray]:
    """Return the changes of state and the exposures that instants contribute, states taken as fixed.

    ``cell_voltages`` ``(instants, ...cells)`` [V] with quadrature weights ``weights_s`` ``(instants,)``;
    both results have the same shape. Exact for one instant (constant voltage), and to first order of
    the change otherwise. ``conductance``: of the devices [S]; ``series``: access resistance [ohm].
    """
    voltage = cell_voltages
    if series:
        voltage = cell_voltages / (1.0 + series * conductance)
    weights = weights_s.reshape(-1, *(1,) * (cell_voltages.ndim - 1))
    moved = device.advance(state, voltage, weights, temperature) - state
    if not device.stochastic:
        return moved, moved
    return moved, weights * device.exposure_rate(voltage, temperature)
