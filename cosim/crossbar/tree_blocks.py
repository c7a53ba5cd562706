"""The lowest levels of a tile-merge tree: the cells of a block merged to base tiles, all tiles of a level at once.

Where numba is installed, tiles of up to `UNIT` lines are merged by a compiled kernel, several in the lanes of a
vector register; else by numpy with the batch last. Larger ones are merged by BLAS.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from cosim.crossbar.lines import numba_available
from cosim.crossbar.tiles import LAST_SHARED, Layout, Merge, Sizes, layout, leaves, merge, merge_last
from cosim.crossbar.tree_descent import Level

if TYPE_CHECKING:
    from cosim.crossbar.line_values import FloatArray

UNIT = 16
"""Rows and columns of the tiles up to which merges are compiled."""

Shape = tuple[int, int]


class Cells(NamedTuple):
    """Each cell with its wires, ``(rows, columns)``: the arguments of `cosim.crossbar.tiles.leaves`."""

    conductance: FloatArray
    right: FloatArray
    above: FloatArray
    shunt_word: FloatArray
    shunt_bit: FloatArray

    def cut(self, rows: slice, columns: slice) -> Cells:
        """Return a rectangle of the cells."""
        return Cells(*(part[rows, columns] for part in self))


def merge_block(cells: Cells, base: Shape, keep: bool) -> tuple[FloatArray, list[Level]]:
    """Merge cells to base tiles.

    Returns
    -------
    tiles ``(tile rows, tile columns, ports, ports)``, and what is kept of the merges, level by level.
    """
    levels: list[Level] = []
    sizes: Sizes = (1, 1, 1, 1)
    if numba_available():
        unit = (min(base[0], UNIT), min(base[1], UNIT))
        h = _compiled(cells, unit, levels if keep else None)
        sizes = (unit[0], unit[0], unit[1], unit[1])
        last = False
    else:
        h, last = leaves(*cells), True
    while (sizes[0], sizes[2]) != base:
        plan, horizontal, shared = _next(sizes, base)
        if last and shared > LAST_SHARED:
            h, last = _front(h), False
        first, second = _pairs(h, horizontal, last)
        a, b = (first, second) if plan.a_first else (second, first)
        h, kept = merge_last(a, b, plan) if last else merge(a, b, plan)
        if keep:
            levels.append(Level(plan, horizontal, _front_merge(kept) if last else kept))
        sizes = plan.sizes
    return _front(h) if last else h, levels


def _next(sizes: Sizes, base: Shape) -> tuple[Layout, bool, int]:
    """Return how tiles of these sizes merge next, whether side by side, and over how many ports."""
    horizontal = sizes[2] < base[1] and (sizes[2] <= sizes[0] or sizes[0] == base[0])
    return layout(horizontal, sizes, sizes), horizontal, sizes[0] if horizontal else sizes[2]


def _compiled(cells: Cells, unit: Shape, levels: list[Level] | None) -> FloatArray:
    """Merge cells to tiles of ``unit`` lines by the compiled kernel; append the merges to ``levels``."""
    from cosim.crossbar.tree_numba import LANES, merge_lanes

    rows, columns = cells.conductance.shape[0] // unit[0], cells.conductance.shape[1] // unit[1]
    pieces = rows * columns
    groups = -(-pieces // LANES)
    places = np.stack(np.divmod(np.arange(pieces), columns), axis=1)
    h = np.moveaxis(leaves(*(_to_lanes(part, unit, groups, LANES) for part in cells)), (0, 1), (3, 4))
    h = np.ascontiguousarray(h)
    sizes: Sizes = (1, 1, 1, 1)
    while (sizes[0], sizes[2]) != unit:
        plan, horizontal, size = _next(sizes, unit)
        per = (unit[0] // plan.sizes[0], unit[1] // plan.sizes[2])
        ports = sum(plan.sizes)
        merged = np.empty((groups, *per, ports, ports, LANES))
        batch = (rows * per[0] if levels is not None else 0, columns * per[1])
        shapes = (plan.a.size, size), (plan.b.size, size), (size, size), (size, size), (size, size)
        kept = tuple(np.empty((*batch, *shape)) for shape in shapes)
        merge_lanes(
            h, horizontal, plan.a_first, (plan.a.shared.start, plan.b.shared.start), (plan.a.ports, plan.b.ports),
            (plan.a.targets, plan.b.targets), places * np.array(per), merged, (kept[0], kept[1], kept[2], kept[3], kept[4]),
        )  # fmt: skip
        if levels is not None:
            levels.append(Level(plan, horizontal, Merge(*kept)))
        h, sizes = merged, plan.sizes
    tiles = np.moveaxis(h[:, 0, 0], -1, 1).reshape(-1, *h.shape[3:5])
    return tiles[:pieces].reshape(rows, columns, *h.shape[3:5])


def _to_lanes(part: FloatArray, unit: Shape, groups: int, lanes: int) -> FloatArray:
    """Return a value of each cell as ``(groups, unit rows, unit columns, lanes)``; idle lanes hold zeros."""
    rows, columns = part.shape[0] // unit[0], part.shape[1] // unit[1]
    pieces = part.reshape(rows, unit[0], columns, unit[1]).transpose(0, 2, 1, 3).reshape(-1, *unit)
    if groups * lanes > len(pieces):
        pieces = np.concatenate([pieces, np.zeros((groups * lanes - len(pieces), *unit))])
    return np.moveaxis(pieces.reshape(groups, lanes, *unit), 1, -1)


def _pairs(h: FloatArray, horizontal: bool, last: bool) -> tuple[FloatArray, FloatArray]:
    """First and second of all neighbouring pairs (views)."""
    if last:
        return (h[..., 0::2], h[..., 1::2]) if horizontal else (h[:, :, 0::2], h[:, :, 1::2])
    return (h[:, 0::2], h[:, 1::2]) if horizontal else (h[0::2], h[1::2])


def _front(h: FloatArray) -> FloatArray:
    """Batch axes from the end to the front."""
    return np.ascontiguousarray(np.moveaxis(h, (2, 3), (0, 1)))


def _front_merge(kept: Merge) -> Merge:
    return Merge(_front(kept.e_a), _front(kept.e_b), _front(kept.k), _front(kept.p), _front(kept.q))
