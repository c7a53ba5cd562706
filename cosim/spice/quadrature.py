"""Integrals over the points of a solver, for quantities that run straight between them.

The product of two piecewise linear quantities is integrated exactly:
``dt (2 a0 b0 + 2 a1 b1 + a0 b1 + a1 b0) / 6``. Simpson's rule must not be used here: the points of a
solver are not evenly spaced, and it was found to be wrong by a quarter.
"""

from __future__ import annotations

import numpy as np

from cosim.spice.cards import Floats


def integral(time: Floats, values: Floats) -> Floats:
    """Return the integral over time (axis 0) of piecewise linear ``values`` (points, ...)."""
    steps = np.diff(time).reshape(-1, *([1] * (values.ndim - 1)))
    result: Floats = (0.5 * steps * (values[1:] + values[:-1])).sum(axis=0)
    return result


def product_integral(time: Floats, first: Floats, second: Floats) -> Floats:
    """Return the integral over time (axis 0) of the product of two piecewise linear quantities."""
    result: Floats = _product_steps(time, first, second).sum(axis=0)
    return result


def _product_steps(time: Floats, first: Floats, second: Floats) -> Floats:
    steps = np.diff(time).reshape(-1, *([1] * (first.ndim - 1)))
    a0, a1, b0, b1 = first[:-1], first[1:], second[:-1], second[1:]
    result: Floats = steps / 6 * (2 * a0 * b0 + 2 * a1 * b1 + a0 * b1 + a1 * b0)
    return result


def signed_product_integrals(time: Floats, first: Floats, second: Floats) -> tuple[Floats, Floats]:
    """Return the integrals of the positive and of the negative part (as a positive number) of a product.

    A step in which the product changes its sign is divided where the straight line between its ends
    crosses zero.
    """
    steps = _product_steps(time, first, second)
    power = first * second
    before, after = power[:-1], power[1:]
    mixed = before * after < 0
    widths = np.diff(time).reshape(-1, *([1] * (first.ndim - 1)))
    span = np.where(mixed, np.abs(before) + np.abs(after), 1.0)
    upper = np.where(mixed, 0.5 * widths * np.maximum(before, after) ** 2 / span, np.maximum(steps, 0.0))
    positive = np.where(mixed, np.maximum(upper, steps), upper)
    return positive.sum(axis=0), (positive - steps).sum(axis=0)
