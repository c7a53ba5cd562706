r"""Motion of a separable law, :math:`\dot x = s(v)\,f(x)`, by one monotone table per direction.

With :math:`\theta(x) = \int dx/f(x)` a pulse of amount :math:`a = s(v)\,T` leads from :math:`x_0` to
:math:`\theta^{-1}(\theta(x_0)+a)`, exactly and for any length. The table holds :math:`\theta` at nodes that lie denser
towards the ends, where f may vanish; between nodes both :math:`\theta` and its inverse are cubic
Hermite polynomials with the exact slopes 1/f and f. The change of state is the difference of two
values of the inverse, so small moves keep their digits.

Where f stays above zero at an end of the range, the state reaches it in finite time and stops there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cosim.devices.base import FloatArray
from cosim.devices.elementwise import BLOCK, flat, numba_available

_CORE = 1200
_TAIL = 800
_CLOSEST = 1e-12
_GAUSS = np.polynomial.legendre.leggauss(8)


def _nodes(low: float, high: float, corners: tuple[float, ...]) -> FloatArray:
    """Return the nodes of a table: even in the middle, geometric towards both ends."""
    tail = np.geomspace(_CLOSEST, 0.02, _TAIL)
    part = np.concatenate([[0.0], tail, np.linspace(0.02, 0.98, _CORE)[1:-1], 1.0 - tail[::-1], [1.0]])
    inside = [corner for corner in corners if low < corner < high]
    return np.unique(np.concatenate([low + (high - low) * part, inside]))


def _cubic(steps: FloatArray, values: FloatArray, slopes: FloatArray) -> FloatArray:
    """Return per interval the coefficients of the Hermite cubic in the local coordinate 0..1, (4, intervals)."""
    rise = np.diff(values)
    first, last = slopes[:-1] * steps, slopes[1:] * steps
    return np.array([values[:-1], first, 3.0 * rise - 2.0 * first - last, first + last - 2.0 * rise])


def _value(coefficients: FloatArray, k: NDArray[np.intp], s: FloatArray) -> FloatArray:
    c0, c1, c2, c3 = coefficients
    result: FloatArray = c0[k] + s * (c1[k] + s * (c2[k] + s * c3[k]))
    return result


@dataclass(frozen=True, eq=False)
class Travel:
    """The table of one direction: nodes ``x``, their ``theta``, and the cubics of both functions."""

    low: float
    high: float
    x: FloatArray
    theta: FloatArray
    forward: FloatArray
    inverse: FloatArray

    def moved(self, state: FloatArray, amount: FloatArray) -> FloatArray:
        """Return the states (0-d or n-d) after ``amount`` of travel, negative for falling states."""
        k = np.clip(np.searchsorted(self.x, state, side="right") - 1, 0, len(self.x) - 2)
        s = np.clip((state - self.x[k]) / (self.x[k + 1] - self.x[k]), 0.0, 1.0)
        start = _value(self.forward, k, s)
        step = self.theta[k + 1] - self.theta[k]
        origin = _value(self.inverse, k, np.clip((start - self.theta[k]) / step, 0.0, 1.0))
        goal = np.clip(start + amount, self.theta[0], self.theta[-1])
        k = np.clip(np.searchsorted(self.theta, goal, side="right") - 1, 0, len(self.x) - 2)
        step = self.theta[k + 1] - self.theta[k]
        end = _value(self.inverse, k, (goal - self.theta[k]) / step)
        result: FloatArray = np.clip(state + (end - origin), self.low, self.high)
        # Past the last node the state is at the end of its range.
        result = np.where(start + amount > self.theta[-1], np.maximum(state, self.x[-1]), result)
        return np.where(start + amount < self.theta[0], np.minimum(state, self.x[0]), result)


def travel(
    speed: Callable[[FloatArray], FloatArray], low: float, high: float, corners: tuple[float, ...] = ()
) -> Travel:
    """Return the table of a speed f(x) >= 0 that is positive between ``low`` and ``high``.

    ``corners``: places where the slope of f jumps. Ends where f vanishes are cut off 1e-12 of the range
    before them, which no state crosses.
    """
    x = _nodes(low, high, corners)
    f = np.asarray(speed(x), dtype=np.float64)
    moving = f > 1e-200
    x, f = x[moving], f[moving]
    abscissae, weights = _GAUSS
    half = 0.5 * np.diff(x)
    places = x[:-1, None] + half[:, None] * (1.0 + abscissae)
    parts = half * ((1.0 / speed(places)) @ weights)
    theta = np.concatenate([[0.0], np.cumsum(parts)])
    # Measured from the middle, so that neither end's large values cost digits there.
    theta -= theta[len(theta) // 2]
    return Travel(low, high, x, theta, _cubic(np.diff(x), theta, 1.0 / f), _cubic(np.diff(theta), x, f))


def travelled(up: Travel, down: Travel, state: FloatArray, amount: FloatArray) -> FloatArray:
    """Return ``state`` after ``amount``: rising by the table ``up`` where positive, falling by ``down`` where negative."""
    state, amount = np.broadcast_arrays(state, amount)
    if state.size >= BLOCK and numba_available():
        return _compiled(up, down, state, amount)
    rising, falling = amount > 0, amount < 0
    if rising.all():
        return up.moved(state, amount)
    if falling.all():
        return down.moved(state, amount)
    result = np.array(state)
    for table, cells in ((up, rising), (down, falling)):
        if cells.any():
            result[cells] = table.moved(state[cells], amount[cells])
    return result


def _compiled(up: Travel, down: Travel, state: FloatArray, amount: FloatArray) -> FloatArray:
    """Return what `travelled` does, in one pass."""
    from cosim.devices import compiled_laws

    result = np.empty(state.size)
    rising, falling = ((table.x, table.theta, table.forward, table.inverse) for table in (up, down))
    x, a = (flat(values.reshape(-1), state.size) for values in (state, amount))
    compiled_laws.travelled(x, a, up.low, up.high, rising, falling, result)
    return result.reshape(state.shape)
