"""Compiled steps of `cosim.crossbar.tree_update`: for one cell, numpy's calls cost more than the arithmetic."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import numba
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from cosim.crossbar.line_values import FloatArray
    from cosim.crossbar.tree_ends import IntArray


_F = TypeVar("_F", bound="Callable[..., Any]")


def _compiled(function: _F) -> _F:
    """Compile a kernel; the machine code is kept on disk between runs."""
    settings: dict[str, Any] = {"cache": True, "nogil": True, "error_model": "numpy"}
    kernel: _F = numba.njit(fastmath={"contract", "reassoc", "nsz"}, **settings)(function)
    return kernel


@_compiled
def _add_times(matrix: FloatArray, x: FloatArray, scale: float, out: FloatArray) -> None:
    for i in range(matrix.shape[0]):
        total = 0.0
        for j in range(matrix.shape[1]):
            total += matrix[i, j] * x[j]
        out[i] += scale * total


@_compiled
def _add_rank_one(matrix: FloatArray, x: FloatArray, y: FloatArray, scale: float) -> None:
    for i in range(matrix.shape[0]):
        factor = scale * x[i]
        for j in range(matrix.shape[1]):
            matrix[i, j] += factor * y[j]


@_compiled
def pass_merge(
    e_a: FloatArray,
    e_b: FloatArray,
    k: FloatArray,
    p: FloatArray,
    q: FloatArray,
    in_a: bool,
    shared: FloatArray,
    stay: FloatArray,
    place_a: IntArray,
    place_b: IntArray,
    y_i: FloatArray,
    y_v: FloatArray,
    out: FloatArray,
) -> float:
    """Bring a vector through a merge: fill ``y_i``, ``y_v`` and ``out``; return ``shared . y``."""
    size = shared.size
    y_i[:] = 0.0
    y_v[:] = 0.0
    if in_a:
        _add_times(q, shared, 1.0, y_i)
        for i in range(size):
            for j in range(size):
                y_v[j] -= k[i, j] * shared[i]
    else:
        _add_times(k, shared, -1.0, y_i)
        _add_times(p, shared, -1.0, y_v)
    to_a, to_b = np.zeros(e_a.shape[0]), np.zeros(e_b.shape[0])
    _add_times(e_a, y_i, -1.0, to_a)
    _add_times(e_b, y_v, -1.0, to_b)
    if in_a:
        to_a += stay
    else:
        to_b += stay
    for i in range(to_a.size):
        out[place_a[i]] = to_a[i]
    for i in range(to_b.size):
        out[place_b[i]] = to_b[i]
    own = 0.0
    for i in range(size):
        own += shared[i] * (y_i[i] if in_a else y_v[i])
    return own


@_compiled
def change_merge(
    e_a: FloatArray,
    e_b: FloatArray,
    k: FloatArray,
    p: FloatArray,
    q: FloatArray,
    in_a: bool,
    shared: FloatArray,
    stay: FloatArray,
    y_i: FloatArray,
    y_v: FloatArray,
    before: float,
    after: float,
) -> None:
    """Change what is kept of a merge for one cell; ``before`` and ``after`` are ``d/(1 + d R)`` below and above it."""
    _add_rank_one(e_a if in_a else e_b, stay, shared, -before)
    _add_rank_one(q, y_i, y_i, after)
    _add_rank_one(k, y_i, y_v, -after)
    _add_rank_one(p, y_v, y_v, -after)
