r"""Two-channel laws compiled by numba: how far cells move in one trapezoidal pulse.

A two-channel law is :math:`\dot x = u(v)\,(1-x) - d(v)\,x` with rates :math:`u, d \ge 0` (`mss`, `rs`;
`DeviceModel.two_channel` hands the parameters). With :math:`U = \int u\,dt` and :math:`D = \int d\,dt`

.. math:: x_1 = x_0 + \left(\frac{U}{U+D} - x_0\right)\left(1 - e^{-(U+D)}\right)

is exact where the ratio u/d is constant; its error is at most half the integral over all pairs of
instants of :math:`|u(t)d(t') - d(t)u(t')|` (the commutator of the two generators), so it is tiny
wherever one channel is.

On an edge the voltage goes linearly between 0 and v, and both laws have closed integrals over it:

* mss: :math:`\int_0^1 \frac{ds}{1+e^{-(sv-v_{on})/V_T}} = \frac{V_T}{v}\left[\ln(1+e^{z})\right]_{z(0)}^{z(v)}`
  with :math:`z(v) = (v-v_{on})/V_T` (Nugent and Molter, PLOS ONE 9(2): e85175; integrated here);
* rs: :math:`\int_0^1 \max(sv - v_{set}, 0)\,ds = (v - v_{set})^2/(2v)` above the threshold.

This module imports numba: import it where it is used.
"""

from __future__ import annotations

import hashlib
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numba
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from cosim.devices.base import FloatArray

_JIT: dict[str, Any] = {
    "nogil": True,
    "error_model": "numpy",
    "fastmath": {"contract", "reassoc", "nsz"},
}
_INNER: dict[str, Any] = {**_JIT, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
"""For kernels that Python never calls: their wrappers would take as long to compile as they do."""
_F = TypeVar("_F", bound="Callable[..., Any]")
_LARGEST = 600.0
_SMALL = 1e-4
_SERIES = 1e-2
_LINEAR = 1e-3
_UNORDERED = 1e-10
PROGRESS_SERIES = 1e-2
"""Exposures below this have the series of `progress`, to 1e-10."""
_SHIFT = 6755399441055744.0  # 1.5 * 2**52: adding it puts an integer into the low bits


def compiled(function: _F) -> _F:
    """Compile a kernel as a part of what calls it: see `kept`."""
    kernel: _F = numba.njit(**_INNER)(function)
    return kernel


def kept(function: _F) -> _F:
    """Compile a kernel whose machine code is kept on disk between runs.

    numba looks at the file of the function alone, and takes old code where only a callee in another file
    has changed. So a kept function must hold a `fingerprint` of those files in its closure.
    """
    kernel: _F = numba.njit(cache=True, **_JIT)(function)
    return kernel


def fingerprint(*modules: ModuleType) -> int:
    """Return a number that changes with the source of the modules."""
    source = b"".join(Path(str(module.__file__)).read_bytes() for module in modules)
    return int.from_bytes(hashlib.sha256(source).digest()[:7], "big")


def inlined(function: _F) -> _F:
    """Compile a kernel into its callers."""
    kernel: _F = numba.njit(inline="always", **_JIT)(function)
    return kernel


@numba.njit(nogil=True, error_model="numpy")
def _exp(z: float) -> float:
    """Return e**z for |z| < 700 to a few units in the last place, in a form that the compiler vectorises."""
    whole = math.floor(z * 1.4426950408889634 + 0.5)
    r = (z - whole * 0.6931471803691238) - whole * 1.9082149292705877e-10
    p = 1.0 / 479001600.0
    p = p * r + 1.0 / 39916800.0
    p = p * r + 1.0 / 3628800.0
    p = p * r + 1.0 / 362880.0
    p = p * r + 1.0 / 40320.0
    p = p * r + 1.0 / 5040.0
    p = p * r + 1.0 / 720.0
    p = p * r + 1.0 / 120.0
    p = p * r + 1.0 / 24.0
    p = p * r + 1.0 / 6.0
    p = p * r + 0.5
    p = p * r + 1.0
    p = p * r + 1.0
    bits = (np.float64(whole + _SHIFT).view(np.int64) + np.int64(1023)) << np.int64(52)
    result: float = p * np.int64(bits).view(np.float64)
    return result


@compiled
def _softplus(e: float) -> float:
    """Return ln(1 + e) for e >= 0, by its series where that is exact."""
    if e < _SERIES:
        return _softplus_series(e)
    return math.log1p(e)


@inlined
def _softplus_series(e: float) -> float:
    """Return ln(1 + e) for 0 <= e < 0.01, to 2e-11 of it."""
    return e * (1.0 - e * (0.5 - e * (1.0 / 3.0 - e * (0.25 - e * 0.2))))


@compiled
def _mss(v: float, rate: float, on: float, off: float, thermal: float) -> tuple[float, float, float, float]:
    """Return u and d at ``v`` and their means on an edge from 0 to ``v`` [1/s].

    ``rate`` is 1/tau; ``on`` and ``off`` are exp(-v_on/V_T) and exp(-v_off/V_T).
    """
    z = v / thermal
    if z > _LARGEST:
        z = _LARGEST
    elif z < -_LARGEST:
        z = -_LARGEST
    q = math.exp(z)
    e_on = on * q
    e_off = off / q
    up = rate * (e_on / (1.0 + e_on))
    down = rate * (e_off / (1.0 + e_off))
    if abs(z) < _SMALL:
        return up, down, up, down
    scale = rate / z
    edge_up = scale * (_softplus(e_on) - _softplus(on))
    edge_down = scale * (_softplus(off) - _softplus(e_off))
    return up, down, edge_up, edge_down


@compiled
def _rs(v: float, rate: float, v_set: float, v_reset: float) -> tuple[float, float, float, float]:
    """Return u and d at ``v`` and their means on an edge from 0 to ``v`` [1/s]."""
    if v > v_set:
        above = v - v_set
        return rate * above, 0.0, rate * above * above / (2.0 * v), 0.0
    if v < -v_reset:
        above = -v - v_reset
        return 0.0, rate * above, 0.0, -rate * above * above / (2.0 * v)
    return 0.0, 0.0, 0.0, 0.0


@compiled
def rates(law: int, parameters: FloatArray, k: int, v: float) -> tuple[float, float, float, float]:
    """Return u and d of cell ``k`` at ``v`` volts and their means on an edge from 0 to ``v`` [1/s]."""
    k = k if parameters.shape[1] > 1 else 0
    if law == 0:
        return _mss(v, parameters[2, k], parameters[3, k], parameters[4, k], parameters[5, k])
    return _rs(v, parameters[2, k], parameters[3, k], parameters[4, k])


@compiled
def level_rates(law: int, parameters: FloatArray, k: int, v: float) -> tuple[float, float]:
    """Return u and d of cell ``k`` at ``v`` volts [1/s]; as `rates`, without the edges."""
    k = k if parameters.shape[1] > 1 else 0
    if law != 0:
        up, down, _, _ = _rs(v, parameters[2, k], parameters[3, k], parameters[4, k])
        return up, down
    z = v / parameters[5, k]
    z = _LARGEST if z > _LARGEST else (-_LARGEST if z < -_LARGEST else z)
    q = math.exp(z)
    e_on, e_off = parameters[3, k] * q, parameters[4, k] / q
    return parameters[2, k] * (e_on / (1.0 + e_on)), parameters[2, k] * (e_off / (1.0 + e_off))


@compiled
def slope(law: int, parameters: FloatArray, k: int, exposure: float, duration: float) -> float:
    """Return a bound on the derivative of an exposure over ``duration`` [s] by the voltage [1/V]."""
    k = k if parameters.shape[1] > 1 else 0
    bound: float = exposure / parameters[5, k] if law == 0 else parameters[2, k] * duration
    return bound


@inlined
def moved(x: float, up: float, down: float) -> float:
    """Return the change of state after the exposures ``up`` and ``down``."""
    total = up + down
    if total < 1e-3:
        return (up - total * x) * (1.0 - total * (0.5 - total * (1.0 / 6.0 - total * (1.0 / 24.0))))
    return -(up / total - x) * math.expm1(-total)


@inlined
def progress_series(total: float) -> float:
    """Return `progress` for exposures below `PROGRESS_SERIES`."""
    return 0.5 + total * (1.0 / 12.0)


@inlined
def progress(total: float) -> float:
    """Return the mean over a plateau of exposure ``total`` of what has moved, as a part of all."""
    if total < PROGRESS_SERIES:
        return progress_series(total)
    gone = -math.expm1(-total)
    return (1.0 - gone / total) / gone


@compiled
def mss_block(
    x: FloatArray,
    v: FloatArray,
    parameters: FloatArray,
    flat: float,
    edges: float,
    rest: float,
    change: FloatArray,
    exposure: FloatArray,
    hard: FloatArray,
) -> None:
    """Store change and exposure of cells with shared `mss` parameters that hardly move, in one pass.

    ``flat``, ``edges``, ``rest``: time at ``v``, between 0 V and ``v``, and at 0 V [s]. Where the series
    are not good enough ``hard`` is set to 1, and the caller must follow the cell itself.
    """
    rate, on, off = parameters[2, 0], parameters[3, 0], parameters[4, 0]
    scale = 1.0 / parameters[5, 0]
    edge_on = _softplus(on)
    edge_off = _softplus(off)
    rest_up = rate * rest * on / (1.0 + on)
    rest_down = rate * rest * off / (1.0 + off)
    flat *= rate
    edges *= rate
    for k in range(v.size):
        z = v[k] * scale
        z = z if z < _LARGEST else _LARGEST
        z = z if z > -_LARGEST else -_LARGEST
        q = _exp(z)
        e_on = on * q
        e_off = off / q
        p_on = e_on / (1.0 + e_on)
        p_off = e_off / (1.0 + e_off)
        way = edges / z
        tiny = abs(z) < _SMALL
        edge_up = edges * p_on if tiny else way * (_softplus_series(e_on) - edge_on)
        edge_down = edges * p_off if tiny else way * (edge_off - _softplus_series(e_off))
        up = flat * p_on
        down = flat * p_off
        order = abs(edge_up * down - edge_down * up) + edge_up * edge_down
        order += abs(rest_up * (down + edge_down) - rest_down * (up + edge_up))
        up += edge_up + rest_up
        total = down + edge_down + rest_down + up
        change[k] = (up - total * x[k]) * (1.0 - total * (0.5 - total * (1.0 / 6.0 - total * (1.0 / 24.0))))
        exposure[k] = total
        simple = (e_on < _SERIES) & (e_off < _SERIES) & (total < _LINEAR) & (order < _UNORDERED)
        hard[k] = 0.0 if simple else 1.0
