r"""Adaptive integration of :math:`\dot x = f(x)`, one step size per cell, for arrays of cells.

The voltage is constant over a pulse, so every cell has an autonomous equation of its own, whose solution is
monotone. The method is the L-stable Rosenbrock pair RODAS4(3) of Hairer and Wanner ("Solving Ordinary
Differential Equations II", 2nd ed., sec. IV.7 and code RODAS, method 1): fourth order, stiff equilibria
cost no small steps. Cells that are done leave the arrays.

The error of a step is held below ``tolerance`` times the range of the state; where the solution runs
away (:math:`f' > 0`), below ``tolerance`` times the distance f/f' over which it does, since there an early
error grows with the solution.

The range ends in hard stops: outside of it f has its value at the end, and a state that gets there stays.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cosim.devices.base import FloatArray, Parameter
from cosim.errors import DeviceError

Rate = Callable[..., FloatArray]
"""``rate(x, *arguments)``: dx/dt [1/s] for arrays of cells."""

_GAMMA = 0.25
_A = (
    (),
    (1.544,),
    (0.9466785280815826, 0.2557011698983284),
    (3.314825187068521, 2.896124015972201, 0.9986419139977817),
    (1.221224509226641, 6.019134481288629, 12.53708332932087, -0.6878860361058950),
)
_C = (
    (),
    (-5.6688,),
    (-2.430093356833875, -0.2063599157091915),
    (-0.1073529058151375, -9.594562251023355, -20.47028614809616),
    (7.496443313967647, -10.24680431464352, -33.99990352819905, 11.70890893206160),
    (8.083246795921522, -7.981132988064893, -31.52159432874371, 16.31930543123136, -6.058818238834054),
)
_DIFFERENCE = 1e-5
_MOST_STEPS = 100_000


@dataclass(frozen=True)
class Range:
    """Range of the state, and the accepted error of a step relative to it."""

    low: float
    high: float
    tolerance: float


def rosenbrock_step(
    rate: Callable[[FloatArray], FloatArray], x: FloatArray, h: FloatArray, bounds: Range
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Return the states after a step, its length, its error and the accepted error; ``h`` is shortened where needed.

    All are ``(cells,)``.
    """

    def held(z: FloatArray) -> FloatArray:
        return rate(np.clip(z, bounds.low, bounds.high))

    span = bounds.high - bounds.low
    above, below = (
        np.minimum(x + _DIFFERENCE * span, bounds.high),
        np.maximum(x - _DIFFERENCE * span, bounds.low),
    )
    slope = (rate(above) - rate(below)) / (above - below)
    start = rate(x)
    grows = slope > 0
    h = np.where(grows & (h * slope > 1.0), 1.0 / np.where(grows, slope, 1.0), h)
    factor = 1.0 / (1.0 / (_GAMMA * h) - slope)
    stages = [factor * start]
    place = x
    for a, c in zip(_A[1:], _C[1:5], strict=True):
        place = x + sum(weight * stage for weight, stage in zip(a, stages, strict=True))
        known = sum(weight * stage for weight, stage in zip(c, stages, strict=True))
        stages.append(factor * (held(place) + known / h))
    place = place + stages[4]
    known = sum(weight * stage for weight, stage in zip(_C[5], stages, strict=True))
    error = factor * (held(place) + known / h)
    distance = np.where(grows, np.abs(start) / np.where(grows, slope, 1.0), span)
    return place + error, h, np.abs(error), bounds.tolerance * np.minimum(distance, span)


def integrate(
    rate: Rate, state: FloatArray, arguments: Sequence[Parameter], duration: Parameter, bounds: Range
) -> FloatArray:
    """Return the states after ``duration`` [s]; state, arguments and duration broadcast with one another.

    ``arguments`` are handed to ``rate`` after the state: voltage, temperature and parameters, numbers or
    arrays. Raises `DeviceError` for a rate that cannot be followed (not finite).
    """
    shape = np.broadcast_shapes(state.shape, np.shape(duration), *(np.shape(entry) for entry in arguments))
    x = np.array(np.broadcast_to(state, shape), dtype=np.float64).reshape(-1)
    columns = [
        float(np.reshape(entry, -1)[0]) if np.size(entry) == 1 else np.broadcast_to(entry, shape).reshape(-1)
        for entry in arguments
    ]
    left = np.array(np.broadcast_to(duration, shape), dtype=np.float64).reshape(-1)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        _integrate(rate, x, columns, left, bounds)
    return x.reshape(shape)


def _picked(columns: Sequence[Parameter], cells: NDArray[Any]) -> list[Parameter]:
    return [entry[cells] if isinstance(entry, np.ndarray) else entry for entry in columns]


def _bound(rate: Rate, arguments: Sequence[Parameter]) -> Callable[[FloatArray], FloatArray]:
    return lambda x: rate(x, *arguments)


def _integrate(
    rate: Rate, x: FloatArray, columns: Sequence[Parameter], left: FloatArray, bounds: Range
) -> None:
    """Advance ``x`` (cells,) in place until no time is left."""
    span = bounds.high - bounds.low
    speed = rate(x, *columns)
    if not np.isfinite(speed).all():
        raise DeviceError("the rate of change of a device is not finite; check its parameters")
    cells = np.flatnonzero((speed != 0) & (left > 0))
    y, rest, given = x[cells], left[cells], _picked(columns, cells)
    rises = speed[cells] > 0
    h = np.minimum(rest, 0.05 * span / np.abs(speed[cells]))
    for _ in range(_MOST_STEPS):
        if cells.size == 0:
            return
        after, h, error, accepted = rosenbrock_step(_bound(rate, given), y, h, bounds)
        ratio = error / accepted
        good = ratio <= 1.0
        y = np.where(good, after, y)
        rest = np.where(good, rest - h, rest)
        growth = np.clip(0.9 * np.maximum(ratio, 1e-10) ** -0.25, 0.2, 6.0)
        h = np.minimum(h * np.where(np.isfinite(growth), growth, 0.1), rest)
        done = good & ((rest <= 0) | np.where(rises, y >= bounds.high, y <= bounds.low))
        if done.any():
            x[cells[done]] = np.clip(y[done], bounds.low, bounds.high)
            keep = ~done
            cells, y, rest, h, rises = cells[keep], y[keep], rest[keep], h[keep], rises[keep]
            given = _picked(given, keep)
    raise DeviceError(
        f"the rate of change of a device at state {y[0]:g} cannot be followed; check its parameters"
    )
