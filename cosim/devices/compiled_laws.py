r"""Element-wise closed forms compiled by numba: a pulse on every cell of a large array, each at a voltage of its own.

Each law does what the `advance` of its model does in numpy, in one pass: ``law(x, v, t, p, result)`` with flat states,
voltages [V] and durations [s] ``(cells,)``, the parameters ``p`` of `DeviceModel.elementwise_law`, and a ``result``
to fill. Exponentials and logarithms are written out without branches, so that the compiler vectorises the loop:

* :math:`e^z - 1 = 2^k (e^r - 1) + (2^k - 1)` with :math:`z = k \ln 2 + r`, :math:`|r| \le \frac12 \ln 2` and the Taylor
  polynomial of order 13 for :math:`e^r - 1`;
* :math:`\ln u = k \ln 2 + 2\,\mathrm{artanh}\,\frac{m-1}{m+1}` with :math:`u = 2^k m`, :math:`\frac{1}{\sqrt 2} \le m < \sqrt 2`
  (Cody and Waite, "Software Manual for the Elementary Functions", 1980).

This module imports numba: import it where it is used.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

import numba
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from cosim.devices.base import FloatArray

    Law = Callable[[FloatArray, FloatArray, FloatArray, FloatArray, FloatArray], None]

_JIT: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": {"contract", "nsz"}}
_F = TypeVar("_F", bound="Callable[..., Any]")
_LARGEST = 700.0
_LN2_HIGH, _LN2_LOW = 0.6931471803691238, 1.9082149292705877e-10
_LOG2_E = 1.4426950408889634
_SHIFT = 6755399441055744.0  # 1.5 * 2**52: adding it puts an integer into the low bits
_SQRT_HALF_BITS = 0x3FE6A09E667F3BCD
_OFFSET = 1024


def _inlined(function: _F) -> _F:
    """Compile a function that the compiler puts into its callers."""
    kernel: _F = numba.njit(**_JIT)(function)
    return kernel


def _kept(function: _F) -> _F:
    """Compile a law for flat arrays; its machine code is kept on disk between runs."""
    kernel: _F = numba.njit(cache=True, **_JIT)(function)
    return kernel


@_inlined
def _reduced(z: float) -> tuple[float, float]:
    """Return 2**k and e**r - 1 for e**z = 2**k e**r, |z| <= 700."""
    whole = np.floor(z * _LOG2_E + 0.5)
    r = (z - whole * _LN2_HIGH) - whole * _LN2_LOW
    q = 1.0 / 6227020800.0
    q = q * r + 1.0 / 479001600.0
    q = q * r + 1.0 / 39916800.0
    q = q * r + 1.0 / 3628800.0
    q = q * r + 1.0 / 362880.0
    q = q * r + 1.0 / 40320.0
    q = q * r + 1.0 / 5040.0
    q = q * r + 1.0 / 720.0
    q = q * r + 1.0 / 120.0
    q = q * r + 1.0 / 24.0
    q = q * r + 1.0 / 6.0
    q = q * r + 0.5
    q = q * r * r + r
    bits = (np.float64(whole + _SHIFT).view(np.int64) + np.int64(1023)) << np.int64(52)
    return np.int64(bits).view(np.float64), q


@_inlined
def _exp(z: float) -> float:
    """Return e**z for |z| <= 700."""
    power, q = _reduced(z)
    result: float = power * q + power
    return result


@_inlined
def _expm1(z: float) -> float:
    """Return e**z - 1 for |z| <= 700, with all digits near 0."""
    power, q = _reduced(z)
    result: float = power * q + (power - 1.0)
    return result


@_inlined
def _log(u: float) -> float:
    """Return ln u for a normal u > 0, with all digits near 1."""
    bits = np.float64(u).view(np.int64)
    # The exponent counts from sqrt(1/2), so that the mantissa lies around 1. Shift and conversion are those that
    # every vector unit has: without sign, and by the low bits of a large number.
    above = np.uint64(bits - np.int64(_SQRT_HALF_BITS) + (np.int64(_OFFSET) << np.int64(52)))
    whole = np.int64(above >> np.uint64(52)) - np.int64(_OFFSET)
    mantissa = np.int64(bits - (whole << np.int64(52))).view(np.float64)
    k = np.int64(np.float64(_SHIFT).view(np.int64) + whole).view(np.float64) - _SHIFT
    f = mantissa - 1.0
    s = f / (2.0 + f)
    s2 = s * s
    p = 1.0 / 21.0
    p = p * s2 + 1.0 / 19.0
    p = p * s2 + 1.0 / 17.0
    p = p * s2 + 1.0 / 15.0
    p = p * s2 + 1.0 / 13.0
    p = p * s2 + 1.0 / 11.0
    p = p * s2 + 1.0 / 9.0
    p = p * s2 + 1.0 / 7.0
    p = p * s2 + 1.0 / 5.0
    p = p * s2 + 1.0 / 3.0
    result: float = k * _LN2_HIGH + (2.0 * s + (2.0 * s * (s2 * p) + k * _LN2_LOW))
    return result


@_inlined
def _log1p(z: float) -> float:
    """Return ln(1 + z) for z >= 0, with all digits near 0."""
    u = 1.0 + z
    result: float = _log(u) + (z - (u - 1.0)) / u
    return result


@_kept
def mss(x: FloatArray, v: FloatArray, t: FloatArray, p: FloatArray, result: FloatArray) -> None:
    """`mss`; parameters: 1/V_T [1/V], V_on, V_off [V], 1/tau [1/s]."""
    scale, v_on, v_off, rate = p[0], p[1], p[2], p[3]
    for k in range(x.size):
        z_on, z_off = (v_on - v[k]) * scale, (v[k] + v_off) * scale
        on = 1.0 / (1.0 + _exp(max(min(z_on, _LARGEST), -_LARGEST)))
        off = 1.0 / (1.0 + _exp(max(min(z_off, _LARGEST), -_LARGEST)))
        total = on + off
        moved = -_expm1(max(-total * (t[k] * rate), -_LARGEST))
        result[k] = x[k] + (on / total - x[k]) * moved


@_kept
def mtj(x: FloatArray, v: FloatArray, t: FloatArray, p: FloatArray, result: FloatArray) -> None:
    """`mtj`; parameters: 1/V_set, 1/V_reset [1/V], thermal stability, 1/tau_0, speed of precession [1/s]."""
    per_set, per_reset, delta, rate, precession = p[0], p[1], p[2], p[3], p[4]
    for k in range(x.size):
        over_up, over_down = v[k] * per_set - 1.0, -v[k] * per_reset - 1.0
        up = rate * _exp(-min(delta * max(-over_up, 0.0), _LARGEST)) + precession * max(over_up, 0.0)
        down = rate * _exp(-min(delta * max(-over_down, 0.0), _LARGEST)) + precession * max(over_down, 0.0)
        total = up + down
        moved = -_expm1(max(-total * t[k], -_LARGEST))
        result[k] = min(max(x[k] - (x[k] - up / total) * moved, 0.0), 1.0)


@_kept
def fefet(x: FloatArray, v: FloatArray, t: FloatArray, p: FloatArray, result: FloatArray) -> None:
    """`fefet`; parameters: ln(V_set/1 V), ln(V_reset/1 V), the exponent n, 1/tau_0 [1/s]."""
    log_set, log_reset, exponent, rate = p[0], p[1], p[2], p[3]
    for k in range(x.size):
        up = v[k] > 0.0
        over = (log_set if up else log_reset) - _log(max(abs(v[k]), 1e-9))
        power = _exp(max(min(exponent * over, 10.0), -_LARGEST))
        speed = rate * _exp(-min(power, _LARGEST)) if power < _LARGEST else 0.0
        moved = -_expm1(max(-speed * t[k], -_LARGEST))
        result[k] = x[k] + ((1.0 if up else 0.0) - x[k]) * moved


@_kept
def vteam(x: FloatArray, v: FloatArray, t: FloatArray, p: FloatArray, result: FloatArray) -> None:
    """`vteam` without a window; parameters: V_on [V], k_on/D [1/s], alpha_on, the same of RESET, lowest and highest state."""
    v_on, k_on, alpha_on = p[0], p[1], p[2]
    v_off, k_off, alpha_off, low, high = p[3], p[4], p[5], p[6], p[7]
    for k in range(x.size):
        up = v[k] > 0.0
        above = abs(v[k]) / (v_on if up else v_off) - 1.0
        logarithm = (alpha_on if up else alpha_off) * _log(max(above, 1e-300))
        size = (k_on if up else -k_off) * _exp(max(min(logarithm, _LARGEST), -_LARGEST))
        speed = size if above > 0.0 else 0.0
        result[k] = min(max(x[k] + speed * t[k], low), high)


@_kept
def data_driven(x: FloatArray, v: FloatArray, t: FloatArray, p: FloatArray, result: FloatArray) -> None:
    """`data_driven`; parameters: R_off, R_off - R_on [ohm], then A, t, kappa, r_0 and the rise of r of RESET and of SET."""
    r_off, span = p[0], p[1]
    a_p, t_p, k_p, r_p0, r_p1 = p[2], p[3], p[4], p[5], p[6]
    a_n, t_n, k_n, r_n0, r_n1 = p[7], p[8], p[9], p[10], p[11]
    for k in range(x.size):
        resets = v[k] < 0.0
        size = abs(v[k])
        speed = (a_p if resets else a_n) * _expm1(min((t_p if resets else t_n) * size, _LARGEST))
        steep = k_p if resets else k_n
        bound = (r_p0 if resets else r_n0) + (r_p1 if resets else r_n1) * size
        sign = 1.0 if resets else -1.0
        away = max(sign * (bound - (r_off - x[k] * span)), 0.0)
        part = -_expm1(max(-steep * speed * t[k], -_LARGEST))
        moved = _log1p(part * _expm1(min(steep * away, _LARGEST))) / steep
        result[k] = min(max(x[k] - sign * moved / span, 0.0), 1.0)


@_kept
def pulse_law(x: FloatArray, v: FloatArray, t: FloatArray, p: FloatArray, result: FloatArray) -> None:
    """`pulse_law`; parameters: lowest SET voltage, highest RESET voltage [V], then 1/width [1/s], 1/A and the aim for each."""
    least_set, most_reset = p[0], p[1]
    rate_set, steep_set, aim_set = p[2], p[3], p[4]
    rate_reset, steep_reset, aim_reset = p[5], p[6], p[7]
    for k in range(x.size):
        up, down = v[k] >= least_set, v[k] <= most_reset
        count = t[k] * (rate_set if up else (-rate_reset if down else 0.0))
        exponent = -(steep_set if up else steep_reset) * count
        scale = _expm1(max(min(exponent, _LARGEST), -_LARGEST))
        result[k] = min(max(x[k] + scale * (x[k] - (aim_set if up else aim_reset)), 0.0), 1.0)


@_inlined
def _interval(nodes: FloatArray, value: float) -> int:
    """Return the interval of rising nodes that holds ``value``, the first or last one beyond them."""
    first, last = 0, nodes.size - 1
    while last - first > 1:
        middle = (first + last) >> 1
        if nodes[middle] <= value:
            first = middle
        else:
            last = middle
    return first


@_inlined
def _cubic(coefficients: FloatArray, k: int, s: float) -> float:
    result: float = coefficients[0, k] + s * (
        coefficients[1, k] + s * (coefficients[2, k] + s * coefficients[3, k])
    )
    return result


@_inlined
def _moved(
    x: float, amount: float, nodes: FloatArray, theta: FloatArray, forward: FloatArray, inverse: FloatArray
) -> float:
    """Return a state after ``amount`` of travel along one table, not yet held in its range."""
    last = nodes.size - 1
    k = _interval(nodes, x)
    start = _cubic(forward, k, min(max((x - nodes[k]) / (nodes[k + 1] - nodes[k]), 0.0), 1.0))
    origin = _cubic(inverse, k, min(max((start - theta[k]) / (theta[k + 1] - theta[k]), 0.0), 1.0))
    goal = start + amount
    if goal > theta[last]:
        end: float = max(x, nodes[last])
    elif goal < theta[0]:
        end = min(x, nodes[0])
    else:
        k = _interval(theta, goal)
        end = x + (_cubic(inverse, k, (goal - theta[k]) / (theta[k + 1] - theta[k])) - origin)
    return end


@_kept
def travelled(
    x: FloatArray, amount: FloatArray, low: float, high: float, up: tuple[FloatArray, FloatArray, FloatArray, FloatArray],
    down: tuple[FloatArray, FloatArray, FloatArray, FloatArray], result: FloatArray,
) -> None:  # fmt: skip
    """`cosim.devices.travel.travelled` for flat arrays; each table: nodes, theta and the cubics of both functions."""
    for k in range(x.size):
        a = amount[k]
        if a > 0.0:
            result[k] = min(max(_moved(x[k], a, up[0], up[1], up[2], up[3]), low), high)
        elif a < 0.0:
            result[k] = min(max(_moved(x[k], a, down[0], down[1], down[2], down[3]), low), high)
        else:
            result[k] = x[k]


LAWS: Mapping[str, Law] = MappingProxyType(
    {
        "mss": mss,
        "mtj": mtj,
        "fefet": fefet,
        "vteam": vteam,
        "data_driven": data_driven,
        "pulse_law": pulse_law,
    }
)
"""The compiled laws by name of the model."""
