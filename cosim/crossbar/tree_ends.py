"""The line ends at the root of a tile-merge tree: what ties them, and which lines nothing ties."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from cosim.crossbar.line_values import LineSystem
from cosim.crossbar.tiles import Sizes

if TYPE_CHECKING:
    from cosim.crossbar.line_values import FloatArray

IntArray = NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class Ends:
    """The ports of the root: which line end each one is, and what ties it.

    ``side`` 0..3 is left, right, top, bottom; ``tied`` are positions of ports in the order of
    `LineTree.response`, ``loose`` the positions of open nodes; ``drop`` removes padding.
    """

    side: IntArray
    line: IntArray
    keep: IntArray
    resistance: FloatArray
    """Between net and node, 0 at right and top (part of the last segment) [ohm], ``(ports,)``."""
    tied: IntArray
    loose: IntArray
    node: NDArray[np.bool_]
    """Ports whose input is a voltage: left and bottom."""


def root_ends(system: LineSystem, sizes: Sizes, pad_rows: int) -> Ends:
    """Describe the ports of the root."""
    given = (system.r_left, system.r_right, system.r_top, system.r_bottom)
    counts = (system.rows, system.rows, system.columns, system.columns)
    sides, lines, keeps, resistances = [], [], [], []
    start = 0
    for side, (r, count, size) in enumerate(zip(given, counts, sizes, strict=True)):
        whole = np.broadcast_to(np.asarray(r, dtype=np.float64), (count,))
        live = np.arange(count) if side in (0, 3) else np.flatnonzero(np.isfinite(whole))
        live = live if size else live[:0]
        keeps.append(start + live + (pad_rows if side in (0, 1) else 0))
        sides.append(np.full(live.size, side))
        lines.append(live)
        resistances.append(whole[live])
        start += size
    side_of, resistance = np.concatenate(sides), np.concatenate(resistances)
    node = (side_of == 0) | (side_of == 3)
    finite = np.isfinite(resistance)
    return Ends(
        side_of, np.concatenate(lines), np.concatenate(keeps), np.where(node & finite, resistance, 0.0),
        np.flatnonzero(finite), np.flatnonzero(~finite), node,
    )  # fmt: skip


def place_of(ends: Ends, side: int) -> tuple[slice, IntArray | None]:
    """Return the slice of a side among the tied ends, and its lines (None where all are tied)."""
    mine = ends.side[ends.tied] == side
    start = int(np.argmax(mine)) if mine.any() else 0
    lines = ends.line[ends.tied[mine]]
    whole = lines.size and lines.size == int((ends.side == side).sum()) and lines[-1] == lines.size - 1
    every = whole and side in (0, 3)
    return slice(start, start + int(mine.sum())), None if every else lines


def find_islands(system: LineSystem, g: FloatArray) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Word and bit lines without any conducting way to a net."""
    m, n = g.shape
    ends = [np.broadcast_to(np.asarray(r), (k,)) for r, k in (
        (system.r_left, m), (system.r_right, m), (system.r_top, n), (system.r_bottom, n))]  # fmt: skip
    tied = np.concatenate(
        [np.isfinite(ends[0]) | np.isfinite(ends[1]), np.isfinite(ends[2]) | np.isfinite(ends[3])]
    )
    for shunt, lines in ((system.shunt_word, slice(0, m)), (system.shunt_bit, slice(m, m + n))):
        if shunt is not None:
            tied[lines] |= shunt.any(axis=1 if lines.start == 0 else 0)
    if tied.all():
        return ~tied[:m], ~tied[m:]
    rows, columns = np.nonzero(g)
    _, label = connected_components(
        coo_array((np.ones(rows.size), (rows, columns + m)), shape=(m + n, m + n)), False
    )
    alone = ~np.isin(label, label[tied])
    return alone[:m], alone[m:]
