r"""Integration of :math:`\dot x = f(x)` for arrays of cells, each with an equation and a step of its own.

The voltage is constant over a pulse, so every cell has one autonomous equation in one variable, and its solution is
monotone. So time is a function of the state, :math:`t(x) = \int_{x_0}^{x} dx'/f(x')`, and the integral is all
there is to solve: no step has to follow the speed, neither where it runs away nor where it dies out.

The way is cut into pieces. On each, 1/f is taken at the nodes of the Gauss-Legendre rule and expanded in Legendre
polynomials; a piece counts where the last two coefficients are below ``tolerance`` times the first (else it is
halved), and then its duration is right to far less than that. The last piece is the one on which the
pulse ends: the end is the root of the antiderivative of the expansion, found by Newton's method within a bracket. A
piece that holds a zero of f is shortened, so a state comes as close to an equilibrium, or to the edge of a dead
zone, as its time allows, or to 1e-10 of the range.

The range ends in hard stops: a state that gets there stays. Cells are taken in blocks that fit the cache, and
leave their block when they are done.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.polynomial import legendre
from numpy.typing import NDArray

from cosim.devices.base import FloatArray, Parameter
from cosim.errors import DeviceError

Rate = Callable[..., FloatArray]
"""``rate(x, *arguments)``: dx/dt [1/s] for arrays of cells."""

ORDER: Final = 12
NODES: Final[FloatArray] = np.asarray(legendre.leggauss(ORDER)[0], dtype=np.float64)
EXPANSION: Final[FloatArray] = np.asarray(
    np.linalg.inv(legendre.legvander(NODES, ORDER - 1)), dtype=np.float64
)
"""From values at the nodes to Legendre coefficients."""
_INTEGRAL: Final[FloatArray] = np.asarray(legendre.legint(np.eye(ORDER), lbnd=-1, axis=0), dtype=np.float64)
"""From Legendre coefficients to those of the integral from -1."""
_BLOCK = 2048
_CLOSEST = 1e-10
_FIRST = 0.25
_MOST_ROUNDS = 1000
_NEWTON = 60


@dataclass(frozen=True)
class Range:
    """Range of the state, and the accepted size of the last coefficients of a piece."""

    low: float
    high: float
    tolerance: float


def integrate(
    rate: Rate, state: FloatArray, arguments: Sequence[Parameter], duration: Parameter, bounds: Range
) -> FloatArray:
    """Return the states after ``duration`` [s]; state, arguments and duration broadcast with one another.

    ``arguments`` are handed to ``rate`` after the state: voltage, temperature and parameters, numbers or
    arrays. Raises `DeviceError` for a rate that is not finite, or that changes without end.
    """
    shape = np.broadcast_shapes(state.shape, np.shape(duration), *(np.shape(entry) for entry in arguments))
    x = np.array(np.broadcast_to(state, shape), dtype=np.float64).reshape(-1)
    columns = [
        float(np.reshape(entry, -1)[0]) if np.size(entry) == 1 else np.broadcast_to(entry, shape).reshape(-1)
        for entry in arguments
    ]
    time = np.broadcast_to(np.asarray(duration, dtype=np.float64), shape).reshape(-1)
    for first in range(0, x.size, _BLOCK):
        cells = slice(first, first + _BLOCK)
        x[cells] = _block(rate, x[cells], _picked(columns, cells), time[cells], bounds)
    return x.reshape(shape)


def _picked(columns: Sequence[Parameter], cells: NDArray[Any] | slice) -> list[Parameter]:
    return [entry[cells] if isinstance(entry, np.ndarray) else entry for entry in columns]


def _block(
    rate: Rate, x: FloatArray, columns: Sequence[Parameter], time: FloatArray, bounds: Range
) -> FloatArray:
    """Return the states of one block of cells, all (cells,)."""
    span = bounds.high - bounds.low
    speed = rate(x, *columns)
    if not np.isfinite(speed).all():
        raise DeviceError("the rate of change of a device is not finite; check its parameters")
    result = x.copy()
    cells = np.flatnonzero((speed != 0) & (time > 0))
    y, left, given, speed = x[cells], time[cells], _picked(columns, cells), speed[cells]
    goal = np.where(speed > 0, bounds.high, bounds.low)
    width = np.clip(2.0 * np.abs(speed) * left, 1e-3 * _CLOSEST * span, _FIRST * span)
    for _ in range(_MOST_ROUNDS):
        if cells.size == 0:
            return result
        end = np.where(goal > y, np.minimum(y + width, goal), np.maximum(y - width, goal))
        half = 0.5 * (end - y)
        sampled = rate(y + half * (1.0 + NODES[:, np.newaxis]), *given)
        ahead = (sampled * half > 0).all(axis=0)
        pace = np.divide(half, sampled, out=np.ones_like(sampled), where=ahead)
        coefficients = EXPANSION @ pace
        duration = 2.0 * coefficients[0]
        tail = np.abs(coefficients[-2:]).sum(axis=0) / np.abs(coefficients[0])
        # Pieces this short count in any case: rounding of f near its zeros may keep the tail up.
        short = width < _CLOSEST * span
        good = ahead & ((tail <= bounds.tolerance) | short)
        last = good & (duration >= left)
        if last.any():
            y[last] += half[last] * _root(coefficients[:, last], left[last])
        passed = good & ~last
        y = np.where(passed, end, y)
        left = np.where(passed, left - duration, left)
        growth = 0.8 * (bounds.tolerance / np.maximum(tail, 1e-300)) ** (1.0 / (ORDER - 1))
        width *= np.where(ahead, np.clip(growth, np.where(short, 2.0, 0.2), 4.0), 0.25)
        done = last | (passed & (y == goal)) | (~ahead & short) | (half == 0)
        if done.any():
            result[cells[done]] = y[done]
            keep = ~done
            cells, y, left, goal, width = cells[keep], y[keep], left[keep], goal[keep], width[keep]
            given = _picked(given, keep)
    raise DeviceError(
        f"the rate of change of a device near state {y[0]:g} cannot be followed; check its parameters"
    )


def _root(coefficients: FloatArray, time: FloatArray) -> FloatArray:
    """Return the places (0 to 2, from the start of each piece) where the expansion's integral is ``time``.

    ``coefficients`` (order, pieces) are those of the pace dt/ds; the integral rises all along the piece.
    """
    whole = _INTEGRAL @ coefficients
    low, high = np.full(time.shape, -1.0), np.full(time.shape, 1.0)
    s: FloatArray = np.clip(time / coefficients[0] - 1.0, -1.0, 1.0)
    for _ in range(_NEWTON):
        polynomials = _legendre(s)
        missed = (polynomials * whole).sum(axis=0) - time
        pace = (polynomials[:ORDER] * coefficients).sum(axis=0)
        low, high = np.where(missed < 0, s, low), np.where(missed > 0, s, high)
        step = s - missed / pace
        following = np.where((step > low) & (step < high), step, 0.5 * (low + high))
        settled = bool(np.all(np.abs(following - s) <= 1e-14 * (1.0 + s)))
        s = following
        if settled:
            break
    result: FloatArray = s + 1.0
    return result


def _legendre(s: FloatArray) -> FloatArray:
    """Return the Legendre polynomials of degree 0 to `ORDER` at ``s`` (pieces,), by Bonnet's recursion."""
    values = np.empty((ORDER + 1, s.size))
    values[0], values[1] = 1.0, s
    for n in range(1, ORDER):
        values[n + 1] = (2.0 - 1.0 / (n + 1)) * s * values[n] - n / (n + 1) * values[n - 1]
    return values
