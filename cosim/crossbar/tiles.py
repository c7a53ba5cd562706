"""The algebra of the tile-merge tree: what a rectangular piece of a crossbar does at its edges.

A tile is known by its ports: the word lines that enter at the left (L) and leave at the right (R), the
bit lines that enter at the top (T) and leave at the bottom (B). It owns its cells, the word segment to
the *right* of each of its word nodes and the bit segment *above* each of its bit nodes. So the left and
bottom ports are nodes, and the right and top ports lie behind a segment. Inputs are voltages at L and B
and currents into the tile at R and T; outputs ``o`` are the negated currents at L and B and the voltages
at R and T. In this order one cell is ::

            W    i_R  i_T   B
    -i_L  -G-s    1    .    G
     v_R    1     r    .    .         r: right word segment, above bit segment [ohm]
     v_T    .     .    r    1         s: conductance to ground (shunts) [S]
    -i_B    G     .    1   -G-s

and every larger tile is a symmetric matrix of the same kind, ``[[-Y, A^T], [A, Z]]`` with ``Y`` and ``Z``
positive semidefinite. No wire is ever inverted: a segment of 0 ohm and an open cell are exact, and for
small r nothing cancels.

**Merge.** Where two tiles meet, one (``a``) has current inputs with ``Z`` among them, the other (``b``)
voltage inputs with ``Y``. With ``E`` the coupling of these ports to the rest of their tile ::

    K = (I + Y Z)^-1,  P = Z K = (Z^-1 + Y)^-1,  Q = K Y = (Y^-1 + Z)^-1
    H = [[H_a - E_a Q E_a^T,  E_a K E_b^T], [.,  H_b + E_b P E_b^T]]

The inside follows from the outside: ``i = K E_b^T x_b - Q E_a^T x_a``, ``v = P E_b^T x_b + K^T E_a^T x_a``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from cosim.crossbar.line_values import FloatArray

IntArray = NDArray[np.intp]
Sizes = tuple[int, int, int, int]
"""Number of ports at the left, right, top and bottom of a tile."""

LAST_SHARED = 4
"""Merges over at most so many ports are done with the batch index last, larger ones by BLAS."""


@dataclass(frozen=True, eq=False)
class Half:
    """How the ports of one of two merging tiles are used; all slices in the order of the ports."""

    shared: slice
    rest: tuple[slice, ...]
    """Ports that stay, in this tile."""
    packed: tuple[slice, ...]
    """The same with the shared ports left out."""
    place: tuple[slice, ...]
    """The same in the merged tile."""

    @property
    def size(self) -> int:
        """Number of ports that stay."""
        return int(self.packed[-1].stop)

    @cached_property
    def ports(self) -> IntArray:
        """The ports that stay, one by one."""
        return _flat(self.rest)

    @cached_property
    def targets(self) -> IntArray:
        """Their places in the merged tile."""
        return _flat(self.place)


def _flat(parts: tuple[slice, ...]) -> IntArray:
    return np.concatenate([np.arange(part.start, part.stop) for part in parts])


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """Where the ports of two merging tiles go."""

    a: Half
    b: Half
    sizes: Sizes
    a_first: bool
    """Whether ``a`` is the left (``b`` the top) of the two tiles."""


@dataclass(slots=True, eq=False)
class Merge:
    """What is kept of a merge, batch axes in front: enough to descend and to change cells."""

    e_a: FloatArray
    """``(..., ports of a that stay, shared)``."""
    e_b: FloatArray
    k: FloatArray
    """``(..., shared, shared)``."""
    p: FloatArray
    q: FloatArray

    @property
    def nbytes(self) -> int:
        """Memory [bytes]."""
        return sum(part.nbytes for part in (self.e_a, self.e_b, self.k, self.p, self.q))

    def at(self, index: tuple[int, ...]) -> Merge:
        """Return the views of one merge of a batch."""
        return Merge(self.e_a[index], self.e_b[index], self.k[index], self.p[index], self.q[index])


@lru_cache(maxsize=4096)
def layout(horizontal: bool, first: Sizes, second: Sizes) -> Layout:
    """Return how two neighbours merge: left and right if ``horizontal``, else top and bottom."""
    (l1, r1, t1, b1), (l2, r2, t2, b2) = first, second
    if horizontal:
        sizes = (l1, r2, t1 + t2, b1 + b2)
        _, right, top, bottom = _starts(sizes)
        a = _half(first, 1, (0, 2, 3), (0, top, bottom))
        b = _half(second, 0, (1, 2, 3), (right, top + t1, bottom + b1))
        return Layout(a, b, sizes, True)
    sizes = (l1 + l2, r1 + r2, t1, b2)
    _, right, top, bottom = _starts(sizes)
    b = _half(first, 3, (0, 1, 2), (0, right, top))
    a = _half(second, 2, (0, 1, 3), (l1, right + r1, bottom))
    return Layout(a, b, sizes, False)


def _starts(sizes: Sizes) -> tuple[int, int, int, int]:
    left, right, top, _ = sizes
    return 0, left, left + right, left + right + top


def _half(sizes: Sizes, shared: int, rest: tuple[int, ...], places: tuple[int, ...]) -> Half:
    starts = _starts(sizes)
    own = [slice(starts[side], starts[side] + sizes[side]) for side in range(4)]
    ends = np.cumsum([0] + [sizes[side] for side in rest]).tolist()
    return Half(
        own[shared],
        tuple(own[side] for side in rest),
        tuple(slice(ends[k], ends[k + 1]) for k in range(3)),
        tuple(slice(place, place + sizes[side]) for side, place in zip(rest, places, strict=True)),
    )


def pack(half: Half, ports: FloatArray) -> FloatArray:
    """Return the ports of a tile that stay (first axis) in one array."""
    return np.concatenate([ports[part] for part in half.rest])


def merge(a: FloatArray, b: FloatArray, plan: Layout) -> tuple[FloatArray, Merge]:
    """Merge tiles ``(..., ports, ports)``; batches of pairs at once."""
    one, two = plan.a, plan.b
    e_a = np.concatenate([a[..., part, one.shared] for part in one.rest], axis=-2)
    e_b = np.concatenate([b[..., part, two.shared] for part in two.rest], axis=-2)
    z, y = a[..., one.shared, one.shared], -b[..., two.shared, two.shared]
    inner = y @ z
    inner[..., range(y.shape[-1]), range(y.shape[-1])] += 1.0
    k = np.asarray(np.linalg.inv(inner), dtype=np.float64)
    p, q = z @ k, k @ y
    change_a, change_b = (e_a @ q) @ e_a.swapaxes(-1, -2), (e_b @ p) @ e_b.swapaxes(-1, -2)
    fewer = e_b.shape[-2] < e_a.shape[-2]
    across = e_a @ (k @ e_b.swapaxes(-1, -2)) if fewer else (e_a @ k) @ e_b.swapaxes(-1, -2)
    ports = sum(plan.sizes)
    h = np.empty((*a.shape[:-2], ports, ports))
    for x, from_x, to_x in zip(one.packed, one.rest, one.place, strict=True):
        for w, from_w, to_w in zip(one.packed, one.rest, one.place, strict=True):
            np.subtract(a[..., from_x, from_w], change_a[..., x, w], out=h[..., to_x, to_w])
        for w, to_w in zip(two.packed, two.place, strict=True):
            h[..., to_x, to_w] = across[..., x, w]
            h[..., to_w, to_x] = across[..., x, w].swapaxes(-1, -2)
    for x, from_x, to_x in zip(two.packed, two.rest, two.place, strict=True):
        for w, from_w, to_w in zip(two.packed, two.rest, two.place, strict=True):
            np.add(b[..., from_x, from_w], change_b[..., x, w], out=h[..., to_x, to_w])
    return h, Merge(e_a, e_b, k, p, q)


def merge_last(a: FloatArray, b: FloatArray, plan: Layout) -> tuple[FloatArray, Merge]:
    """Merge with the batch axes last, ``(ports, ports, ...)``, for few shared ports."""
    one, two = plan.a, plan.b
    e_a = np.concatenate([a[part, one.shared] for part in one.rest])
    e_b = np.concatenate([b[part, two.shared] for part in two.rest])
    z, y = a[one.shared, one.shared], -b[two.shared, two.shared]
    k = _inverse_last(_mul(y, z))
    p, q = _mul(z, k), _mul(k, y)
    change_a, change_b = _mul_t(_mul(e_a, q), e_a), _mul_t(_mul(e_b, p), e_b)
    across = _mul_t(_mul(e_a, k), e_b)
    ports = sum(plan.sizes)
    h = np.empty((ports, ports, *a.shape[2:]))
    for x, from_x, to_x in zip(one.packed, one.rest, one.place, strict=True):
        for w, from_w, to_w in zip(one.packed, one.rest, one.place, strict=True):
            np.subtract(a[from_x, from_w], change_a[x, w], out=h[to_x, to_w])
        for w, to_w in zip(two.packed, two.place, strict=True):
            h[to_x, to_w] = across[x, w]
            h[to_w, to_x] = across[x, w].swapaxes(0, 1)
    for x, from_x, to_x in zip(two.packed, two.rest, two.place, strict=True):
        for w, from_w, to_w in zip(two.packed, two.rest, two.place, strict=True):
            np.add(b[from_x, from_w], change_b[x, w], out=h[to_x, to_w])
    return h, Merge(e_a, e_b, k, p, q)


def _mul(x: FloatArray, y: FloatArray) -> FloatArray:
    out: FloatArray = x[:, :1] * y[:1]
    part = np.empty_like(out)
    for j in range(1, x.shape[1]):
        np.multiply(x[:, j : j + 1], y[j : j + 1], out=part)
        out += part
    return out


def _mul_t(x: FloatArray, y: FloatArray) -> FloatArray:
    return _mul(x, y.swapaxes(0, 1))


def _inverse_last(product: FloatArray) -> FloatArray:
    """``(I + product)^-1``; 1 x 1 and 2 x 2 matrices in closed form."""
    if product.shape[0] == 1:
        return 1.0 / (1.0 + product)
    if product.shape[0] > 2:
        front = np.ascontiguousarray(np.moveaxis(product, (2, 3), (0, 1)))
        front[..., range(product.shape[0]), range(product.shape[0])] += 1.0
        return np.ascontiguousarray(np.moveaxis(np.linalg.inv(front), (0, 1), (2, 3)))
    one, two = 1.0 + product[0, 0], 1.0 + product[1, 1]
    scale = 1.0 / (one * two - product[0, 1] * product[1, 0])
    return np.array([[two * scale, -product[0, 1] * scale], [-product[1, 0] * scale, one * scale]])


def leaves(
    conductance: FloatArray,
    right: FloatArray,
    above: FloatArray,
    shunt_word: FloatArray,
    shunt_bit: FloatArray,
) -> FloatArray:
    """Return all cells as tiles with the batch last, ``(4, 4, ...)``; arguments ``(...)``."""
    h = np.zeros((4, 4, *conductance.shape))
    np.subtract(-conductance, shunt_word, out=h[0, 0])
    np.subtract(-conductance, shunt_bit, out=h[3, 3])
    h[0, 3] = h[3, 0] = conductance
    h[0, 1] = h[1, 0] = h[2, 3] = h[3, 2] = 1.0
    h[1, 1], h[2, 2] = right, above
    return h
