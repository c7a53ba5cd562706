r"""The nonlinearity of a pulse response, and the rate constant that belongs to it.

The normalized response to p of its full number of pulses is x(p) = (1 - e^{-sp})/(1 - e^{-s}). Its label, the
nonlinearity NL, is 10.1015 times its largest distance from the straight line x = p, with the sign of s. That distance
is reached at the p with x'(p) = 1:

    d(s) = 1/c - 1/s - ln(s/c)/s,   c = 1 - e^{-s}

and the A of the published tables (per full number of pulses) is 1/s.

Source: P.-Y. Chen, X. Peng, S. Yu, "NeuroSim", IEEE TCAD 37(12), 3067 (2018), and the table of A against NL that comes with
it; the factor reproduces all of its 900 rows to five digits.
"""

from __future__ import annotations

from typing import Any, cast

import numpy as np

from cosim.devices.base import FloatArray, Parameter

PER_DEVIATION = 10.1015
"""Nonlinearity per largest deviation from the straight line; so no nonlinearity reaches it."""
_LINEAR = 1e-3
"""Below this nonlinearity d = s/8 holds to 1e-7."""
_STEEPEST = 1e9


def largest_deviation(steepness: FloatArray) -> FloatArray:
    """Return the largest distance of the normalized response from a straight line; ``steepness`` s > 0."""
    c = -np.expm1(-steepness)
    result: FloatArray = 1.0 / c - 1.0 / steepness - np.log(steepness / c) / steepness
    return result


def steepness_of(nonlinearity: Parameter) -> FloatArray:
    """Return s (= 1/A per full number of pulses) of a nonlinearity, with its sign; 0 for a straight line.

    Magnitudes must lie below 10.1; arrays have one value a cell.
    """
    from scipy.optimize import elementwise

    label = np.asarray(nonlinearity, dtype=np.float64)
    wanted = np.abs(label) / PER_DEVIATION
    curved = np.abs(label) > _LINEAR
    held = np.where(curved, wanted, 0.1)

    def excess(log_steepness: FloatArray, deviation: FloatArray) -> FloatArray:
        return largest_deviation(np.exp(log_steepness)) - deviation

    ends = (np.full(held.shape, np.log(1e-4)), np.full(held.shape, np.log(_STEEPEST)))
    found: Any = elementwise.find_root(cast(Any, excess), ends, args=cast(Any, (held,)))
    result: FloatArray = np.sign(label) * np.where(curved, np.exp(found.x), 8.0 * wanted)
    return result
