"""Compiled steps of the tile-merge tree, where numpy's calls cost more than the arithmetic.

Merges of small tiles (`cosim.crossbar.tiles`; the diagonal blocks of a merged tile are symmetric, so half of each
is computed) and the way of one changed cell (`cosim.crossbar.tree_update`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import numba
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from cosim.crossbar.line_values import FloatArray
    from cosim.crossbar.tree_ends import IntArray


_JIT: dict[str, Any] = {
    "nogil": True,
    "error_model": "numpy",
    "fastmath": {"contract", "reassoc", "nsz"},
}

LANES = 8
"""Tiles that are merged side by side, one in each lane of a vector register."""

Lanes = tuple[float, float, float, float, float, float, float, float]

_F = TypeVar("_F", bound="Callable[..., Any]")


def _compiled(function: _F) -> _F:
    """Compile a kernel; the machine code is kept on disk between runs."""
    kernel: _F = numba.njit(cache=True, **_JIT)(function)
    return kernel


def _inlined(function: _F) -> _F:
    """Compile a kernel into its callers."""
    kernel: _F = numba.njit(inline="always", **_JIT)(function)
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


@_compiled
def _inverse(matrix: FloatArray, out: FloatArray) -> None:
    """Store the inverse of ``matrix`` (which is destroyed): Gauss-Jordan with row exchanges."""
    size = matrix.shape[0]
    out[:] = 0.0
    for i in range(size):
        out[i, i] = 1.0
    for k in range(size):
        pivot = k
        for i in range(k + 1, size):
            if abs(matrix[i, k]) > abs(matrix[pivot, k]):
                pivot = i
        if pivot != k:
            for j in range(size):
                matrix[k, j], matrix[pivot, j] = matrix[pivot, j], matrix[k, j]
                out[k, j], out[pivot, j] = out[pivot, j], out[k, j]
        scale = 1.0 / matrix[k, k]
        for j in range(size):
            matrix[k, j] *= scale
            out[k, j] *= scale
        for i in range(size):
            factor = matrix[i, k]
            if i != k and factor != 0.0:
                for j in range(size):
                    matrix[i, j] -= factor * matrix[k, j]
                    out[i, j] -= factor * out[k, j]


@_compiled
def _inverses(product: FloatArray, out: FloatArray, transposed: FloatArray) -> None:
    """Store ``(I + product)^-1`` of every lane, ``(size, size, lanes)``, and its transpose."""
    size = product.shape[0]
    if size == 1:
        for lane in range(LANES):
            out[0, 0, lane] = transposed[0, 0, lane] = 1.0 / (1.0 + product[0, 0, lane])
        return
    matrix, inverse = np.empty((size, size)), np.empty((size, size))
    for lane in range(LANES):
        for i in range(size):
            for j in range(size):
                matrix[i, j] = product[i, j, lane]
            matrix[i, i] += 1.0
        _inverse(matrix, inverse)
        for i in range(size):
            for j in range(size):
                out[i, j, lane] = inverse[i, j]
                transposed[j, i, lane] = inverse[i, j]


@_inlined
def _dot(x: FloatArray, i: int, y: FloatArray, j: int) -> Lanes:
    """Return ``x_i . y_j`` of every lane: named sums, because they stay in registers."""
    s0 = s1 = s2 = s3 = s4 = s5 = s6 = s7 = 0.0
    for k in range(x.shape[1]):
        s0 += x[i, k, 0] * y[j, k, 0]
        s1 += x[i, k, 1] * y[j, k, 1]
        s2 += x[i, k, 2] * y[j, k, 2]
        s3 += x[i, k, 3] * y[j, k, 3]
        s4 += x[i, k, 4] * y[j, k, 4]
        s5 += x[i, k, 5] * y[j, k, 5]
        s6 += x[i, k, 6] * y[j, k, 6]
        s7 += x[i, k, 7] * y[j, k, 7]
    return s0, s1, s2, s3, s4, s5, s6, s7


@_inlined
def _set(out: FloatArray, i: int, j: int, values: Lanes) -> None:
    out[i, j, 0] = values[0]
    out[i, j, 1] = values[1]
    out[i, j, 2] = values[2]
    out[i, j, 3] = values[3]
    out[i, j, 4] = values[4]
    out[i, j, 5] = values[5]
    out[i, j, 6] = values[6]
    out[i, j, 7] = values[7]


@_compiled
def _times(x: FloatArray, y: FloatArray, out: FloatArray) -> None:
    """Store ``x y^T`` of every lane."""
    for i in range(x.shape[0]):
        for j in range(y.shape[0]):
            _set(out, i, j, _dot(x, i, y, j))


@_compiled
def _couplings(h: FloatArray, rows: IntArray, first: int, out: FloatArray) -> None:
    """Store the couplings of the ports ``rows`` with the shared ports from ``first`` on."""
    for i in range(rows.size):
        for j in range(out.shape[1]):
            for lane in range(LANES):
                out[i, j, lane] = h[rows[i], first + j, lane]


@_compiled
def _corner(
    h: FloatArray,
    rest: IntArray,
    place: IntArray,
    e: FloatArray,
    part: FloatArray,
    sign: float,
    out: FloatArray,
) -> None:
    """Store ``h + sign part e^T`` (symmetric) on the ports that stay of one tile."""
    for i in range(rest.size):
        for j in range(i + 1):
            _set(out, place[i], place[j], _dot(part, i, e, j))
            for lane in range(LANES):
                value = h[rest[i], rest[j], lane] + sign * out[place[i], place[j], lane]
                out[place[i], place[j], lane] = value
                out[place[j], place[i], lane] = value


@_compiled
def _across(part: FloatArray, e: FloatArray, rows: IntArray, columns: IntArray, out: FloatArray) -> None:
    """Store ``part e^T`` between the ports that stay of both tiles."""
    for i in range(rows.size):
        for j in range(columns.size):
            values = _dot(part, i, e, j)
            _set(out, rows[i], columns[j], values)
            _set(out, columns[j], rows[i], values)


@_compiled
def _store(lanes: FloatArray, at: IntArray, row: int, column: int, live: int, out: FloatArray) -> None:
    """Copy the lanes to their places in an array ``(tile rows, tile columns, ...)``."""
    for lane in range(live):
        own = out[at[lane, 0] + row, at[lane, 1] + column]
        for i in range(own.shape[0]):
            for j in range(own.shape[1]):
                own[i, j] = lanes[i, j, lane]


@_compiled
def merge_lanes(
    tiles: FloatArray,
    horizontal: bool,
    a_first: bool,
    starts: tuple[int, int],
    rests: tuple[IntArray, IntArray],
    places: tuple[IntArray, IntArray],
    at: IntArray,
    h: FloatArray,
    kept: tuple[FloatArray, FloatArray, FloatArray, FloatArray, FloatArray],
) -> None:
    """Merge neighbours in `LANES` equal pieces of an array at once.

    ``tiles`` ``(groups, rows, columns, ports, ports, lanes)`` to ``h``, of the same form. ``starts``: first shared port
    of both; ``rests``, ``places``: ports that stay, and where they go. ``at`` ``(pieces, 2)``: first tile of
    each piece in ``kept``, the arrays of `cosim.crossbar.tiles.Merge` ``(tile rows, tile columns, ...)``;
    without tile rows nothing is kept.
    """
    e_as, e_bs, ks, ps, qs = kept
    size = ks.shape[2]
    e_a, e_b = np.empty((rests[0].size, size, LANES)), np.empty((rests[1].size, size, LANES))
    z, y = np.empty((size, size, LANES)), np.empty((size, size, LANES))
    k, k_t = np.empty((size, size, LANES)), np.empty((size, size, LANES))
    p, q = np.empty((size, size, LANES)), np.empty((size, size, LANES))
    part = np.empty((max(rests[0].size, rests[1].size), size, LANES))
    for group in range(h.shape[0]):
        own = at[group * LANES :]
        live = min(LANES, own.shape[0])
        for r in range(h.shape[1]):
            for c in range(h.shape[2]):
                first = tiles[group, r, 2 * c] if horizontal else tiles[group, 2 * r, c]
                second = tiles[group, r, 2 * c + 1] if horizontal else tiles[group, 2 * r + 1, c]
                one, two = (first, second) if a_first else (second, first)
                merged = h[group, r, c]
                _couplings(one, rests[0], starts[0], e_a)
                _couplings(two, rests[1], starts[1], e_b)
                for i in range(size):
                    for j in range(size):
                        for lane in range(LANES):
                            z[i, j, lane] = one[starts[0] + i, starts[0] + j, lane]
                            y[i, j, lane] = -two[starts[1] + i, starts[1] + j, lane]
                _times(y, z, p)
                _inverses(p, k, k_t)
                _times(z, k_t, p)
                _times(k, y, q)
                _times(e_a, q, part[: rests[0].size])
                _corner(one, rests[0], places[0], e_a, part, -1.0, merged)
                _times(e_a, k_t, part[: rests[0].size])
                _across(part, e_b, places[0], places[1], merged)
                _times(e_b, p, part[: rests[1].size])
                _corner(two, rests[1], places[1], e_b, part, 1.0, merged)
                if ks.shape[0]:
                    _store(e_a, own, r, c, live, e_as)
                    _store(e_b, own, r, c, live, e_bs)
                    _store(k, own, r, c, live, ks)
                    _store(p, own, r, c, live, ps)
                    _store(q, own, r, c, live, qs)
