"""The merges that a tile-merge tree keeps, and the way down them: from the ports of a tile to its inside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cosim.crossbar.tiles import LAST_SHARED, Half, Layout, Merge

if TYPE_CHECKING:
    from cosim.crossbar.line_values import FloatArray


@dataclass(slots=True, eq=False)
class Level:
    """All merges of one level of equal tiles: pairs of ``(tile rows, tile columns)``, batch in front."""

    plan: Layout
    horizontal: bool
    merge: Merge


@dataclass(slots=True, eq=False)
class Block:
    """Base tiles from ``(row, column)`` on that were built together, with all their merges."""

    row: int
    column: int
    levels: list[Level]


@dataclass(slots=True, eq=False)
class Node:
    """A merge of the upper part of the tree; children by number, base tiles first."""

    plan: Layout
    a: int
    b: int
    merge: Merge


def down_block(block: Block, x: FloatArray) -> FloatArray:
    """Return the inputs of the cells of a block from those of its base tiles ``(tile rows, tile columns, ports, batch)``."""
    for level in reversed(block.levels):
        a, b = _descend_batch(level.plan, level.merge, x)
        first, second = (a, b) if level.plan.a_first else (b, a)
        rows, columns = x.shape[0], x.shape[1]
        if level.horizontal:
            x = np.stack([first, second], axis=2).reshape(rows, 2 * columns, *first.shape[2:])
        else:
            x = np.stack([first, second], axis=1).reshape(2 * rows, columns, *first.shape[2:])
    return x


def descend(plan: Layout, kept: Merge, x: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the port inputs ``(ports, batch)`` of tiles ``a`` and ``b`` from those of the merged tile."""
    x_a = np.concatenate([x[place] for place in plan.a.place])
    x_b = np.concatenate([x[place] for place in plan.b.place])
    from_a, from_b = kept.e_a.T @ x_a, kept.e_b.T @ x_b
    current = kept.k @ from_b - kept.q @ from_a
    voltage = kept.p @ from_b + kept.k.T @ from_a
    return _unpack(plan.a, x_a, current), _unpack(plan.b, x_b, voltage)


def _unpack(half: Half, packed: FloatArray, shared: FloatArray) -> FloatArray:
    out = np.empty((packed.shape[0] + shared.shape[0], packed.shape[1]))
    out[half.shared] = shared
    for part, rest in zip(half.packed, half.rest, strict=True):
        out[rest] = packed[part]
    return out


def _descend_batch(plan: Layout, kept: Merge, x: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Do the same for all merges of a level, ``(..., ports, batch)``."""
    x_a = np.concatenate([x[..., place, :] for place in plan.a.place], axis=-2)
    x_b = np.concatenate([x[..., place, :] for place in plan.b.place], axis=-2)
    from_a, from_b = _times_t(kept.e_a, x_a), _times_t(kept.e_b, x_b)
    current = _times(kept.k, from_b) - _times(kept.q, from_a)
    voltage = _times(kept.p, from_b) + _times_t(kept.k, from_a)
    out = []
    for half, packed, shared in ((plan.a, x_a, current), (plan.b, x_b, voltage)):
        whole = np.empty((*packed.shape[:-2], packed.shape[-2] + shared.shape[-2], packed.shape[-1]))
        whole[..., half.shared, :] = shared
        for part, rest in zip(half.packed, half.rest, strict=True):
            whole[..., rest, :] = packed[..., part, :]
        out.append(whole)
    return out[0], out[1]


def _times(matrix: FloatArray, x: FloatArray) -> FloatArray:
    if matrix.shape[-1] <= 4 * LAST_SHARED:
        small: FloatArray = np.einsum("xyij,xyjk->xyik", matrix, x)
        return small
    return matrix @ x


def _times_t(matrix: FloatArray, x: FloatArray) -> FloatArray:
    if matrix.shape[-1] <= 4 * LAST_SHARED:
        small: FloatArray = np.einsum("xyji,xyjk->xyik", matrix, x)
        return small
    return matrix.swapaxes(-1, -2) @ x
