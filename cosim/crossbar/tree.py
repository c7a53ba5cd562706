"""Tile-merge tree: the currents at the line ends as one dense matrix, exact changes of cells, descent.

Structured nested dissection on dense blocks: cells are merged to tiles of 1x2, 2x2, 2x4 ... (all of a
level at once), then tile by tile, until one tile is left whose ports are the line ends (the algebra is in
`cosim.crossbar.tiles`). Ports that lie open at the right or the top edge are dropped on the way. At the
root the ends are tied: ``v = V - r i`` at the left and the bottom, ``v = V`` behind the last segment at
the right and the top, ``i = 0`` at open ends. What comes out is ``i = F v``, `LineTree.response`.

A changed cell is exact too, see `cosim.crossbar.tree_update`.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from cosim.crossbar.lines import DEFAULT_TOLERANCE, KernelName, LineSolution, LineSystem, solve_lines
from cosim.crossbar.tiles import Merge, Sizes, layout, merge
from cosim.crossbar.tree_blocks import Cells, merge_block
from cosim.crossbar.tree_descent import Block, Node, descend, down_block
from cosim.crossbar.tree_ends import IntArray, find_islands, place_of, root_ends
from cosim.errors import CrossbarError

if TYPE_CHECKING:
    from cosim.crossbar.line_values import FloatArray

_BASES = (32, 16, 8, 4, 2)
_BLOCK = 8192
"""Cells that are merged together."""

_PADDING = 1.1
"""Lines are padded by at most a tenth."""


_Tile = tuple[int, "FloatArray", Sizes]
"""Number of a tile, its matrix, its ports."""


@cache
def _controller() -> Any:
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def one_thread() -> Any:
    """One BLAS thread inside the block; the libraries are looked up once."""
    return _controller().limit(limits=1, user_api="blas")


class LineTree:
    """An array reduced to its tied line ends.

    Parameters
    ----------
    system
        Wires and ends; see `LineTree.refusal`.
    conductance
        Cells [S], ``(rows, columns)``, finite and not negative.
    keep
        Keep the merges, for `solve` and for changed cells; else only `response` is left.

    Raises
    ------
    CrossbarError
        The tree does not take these wires.
    """

    def __init__(self, system: LineSystem, conductance: FloatArray, *, keep: bool = True) -> None:
        reason = LineTree.refusal(system)
        if reason is not None:
            raise CrossbarError(reason)
        self.system = system
        self.kept = keep
        self.conductance = np.array(conductance, dtype=np.float64)
        self.blocks: list[Block] = []
        self.nodes: list[Node] = []
        self.parent: dict[int, tuple[int, bool]] = {}
        m, n = system.rows, system.columns
        self.base = (_base(m), _base(n))
        self.shape = tuple(-(-size // base) * base for size, base in zip((m, n), self.base, strict=True))
        self.pad_rows = self.shape[0] - m
        with one_thread():
            tiles, sizes = self._lower()
            root, sizes = self._upper(tiles, sizes)
            del tiles
            self.ends = root_ends(system, sizes, self.pad_rows)
            self._ports = sum(sizes)
            kept = self.ends.keep
            self.islands = find_islands(system, self.conductance)
            self._root(root if kept.size == root.shape[0] else root[np.ix_(kept, kept)])

    @staticmethod
    def refusal(system: LineSystem) -> str | None:
        """Return why the tree cannot take these wires (the line solver can), or None."""
        if system.prepared.shorted:
            return "a line of 0 ohm between two nets has no conductance matrix: use the line solver"
        segments = (np.asarray(system.r_word), np.asarray(system.r_bit))
        many = (system.columns > 1, system.rows > 1)
        if any(more and not np.isfinite(r).all() for r, more in zip(segments, many, strict=True)):
            return (
                "a broken wire (an infinite segment) has no place in the tile-merge tree: use the line solver"
            )
        return None

    @property
    def nbytes(self) -> int:
        """Memory kept [bytes]."""
        merges = [level.merge for block in self.blocks for level in block.levels]
        merges += [node.merge for node in self.nodes]
        own = self.response.nbytes + self.transfer.nbytes + self.conductance.nbytes
        return own + sum(part.nbytes for part in merges)

    # -- building ------------------------------------------------------------------------------------

    def _lower(self) -> tuple[FloatArray, Sizes]:
        """Merge cells to base tiles; return them ``(tile rows, tile columns, ports, ports)``.

        Done block by block of base tiles, so that what is at work stays in the cache.
        """
        (height, width), cells = self.base, self._cells()
        rows, columns = _grid(self.shape, self.base)
        tiles = np.empty((rows, columns, 2 * (height + width), 2 * (height + width)))
        wide = max(1, min(columns, _BLOCK // (height * width)))
        tall = max(1, _BLOCK // (height * width * wide))
        for i in range(0, rows, tall):
            for j in range(0, columns, wide):
                block = cells.cut(
                    slice(i * height, (i + tall) * height), slice(j * width, (j + wide) * width)
                )
                tiles[i : i + tall, j : j + wide], levels = merge_block(block, self.base, self.kept)
                if self.kept:
                    self.blocks.append(Block(i, j, levels))
        self.block_tiles = (tall, wide)
        return tiles, (height, height, width, width)

    def _cells(self) -> Cells:
        """Return the cells with the padding; a padded cell is open and has wires of 0 ohm."""
        system, pad = self.system, self.pad_rows
        n = system.columns
        cells = Cells(*(np.zeros(self.shape) for _ in range(5)))
        cells.conductance[pad:, :n] = self.conductance
        cells.right[pad:, : n - 1], cells.above[pad + 1 :, :n] = system.r_word, system.r_bit
        ends = np.broadcast_to(np.asarray(system.r_right, dtype=np.float64), (system.rows,))
        cells.right[pad:, -1] = np.where(np.isfinite(ends), ends, 0.0)
        ends = np.broadcast_to(np.asarray(system.r_top, dtype=np.float64), (n,))
        cells.above[0, :n] = np.where(np.isfinite(ends), ends, 0.0)
        for padded, shunt in ((cells.shunt_word, system.shunt_word), (cells.shunt_bit, system.shunt_bit)):
            if shunt is not None:
                padded[pad:, :n] = shunt
        return cells

    def _upper(self, tiles: FloatArray, sizes: Sizes) -> tuple[FloatArray, Sizes]:
        """Merge base tiles one by one; ports at an edge that is open all along are dropped first."""
        rows, columns = tiles.shape[:2]
        drop_right, drop_top = self.open_edges
        grid = [
            [
                (i * columns + j, *_without(tiles[i, j], sizes, drop_right and j == columns - 1, drop_top and i == 0))
                for j in range(columns)
            ]
            for i in range(rows)
        ]  # fmt: skip
        count = rows * columns
        while len(grid) > 1 or len(grid[0]) > 1:
            corner = grid[-1][0][2]
            horizontal = len(grid[0]) > 1 and (corner[3] <= corner[0] or len(grid) == 1)
            if not horizontal:
                grid = [list(column) for column in zip(*grid, strict=True)]
            even = len(grid[0]) // 2 * 2
            pairs = [(line[k], line[k + 1]) for line in grid for k in range(0, even, 2)]
            joined = iter(self._join(pairs, horizontal, count))
            merged = [[*(next(joined) for _ in range(even // 2)), *line[even:]] for line in grid]
            grid = merged if horizontal else [list(row) for row in zip(*merged, strict=True)]
        return grid[0][0][1], grid[0][0][2]

    def _join(self, pairs: list[tuple[_Tile, _Tile]], horizontal: bool, count: int) -> list[_Tile]:
        """Merge pairs of tiles, those of equal sizes together; new tiles are numbered from ``count`` on."""
        alike: dict[tuple[Sizes, Sizes], list[int]] = {}
        for k, (first, second) in enumerate(pairs):
            alike.setdefault((first[2], second[2]), []).append(k)
        done: dict[int, _Tile] = {}
        for (sizes, others), members in alike.items():
            plan = layout(horizontal, sizes, others)
            chosen = [pairs[k] if plan.a_first else pairs[k][::-1] for k in members]
            a_tiles, b_tiles = (np.array([pair[side][1] for pair in chosen]) for side in (0, 1))
            h, kept = merge(a_tiles, b_tiles, plan)
            for place, (k, (a, b)) in enumerate(zip(members, chosen, strict=True)):
                name = count + len(self.nodes)
                node = kept.at((place,)) if self.kept else Merge(*[np.empty(0)] * 5)
                self.nodes.append(Node(plan, a[0], b[0], node))
                self.parent[a[0]], self.parent[b[0]] = (name, True), (name, False)
                done[k] = (name, h[place], plan.sizes)
        return [done[k] for k in range(len(pairs))]

    def _root(self, h: FloatArray) -> None:
        """Tie the ends: `response` and `transfer`."""
        ends = self.ends
        scale = np.where(ends.node, np.sqrt(ends.resistance), 1.0)
        loose = np.abs(np.diag(h)[ends.loose])  # balanced, else small conductances drown
        scale[ends.loose] = 1.0 / np.sqrt(np.where(ends.node[ends.loose] & (loose > 0.0), loose, 1.0))
        inner = scale[:, None] * h * scale
        tied_nodes = np.flatnonzero(ends.node & np.isin(np.arange(ends.side.size), ends.tied))
        inner[tied_nodes, tied_nodes] -= 1.0
        for side, island in ((0, self.islands[0]), (3, self.islands[1])):
            alone = np.flatnonzero(ends.side == side)[island[ends.line[ends.side == side]]]
            inner[alone, alone] -= 1.0
        inverse = scale[:, None] * np.linalg.inv(inner) * scale
        transfer = inverse
        if (scale[tied_nodes] > 0.0).all():  # by (S H S - 1) X = 1 the product below is known
            transfer[tied_nodes] /= -(scale[tied_nodes] ** 2)[:, None]
        else:
            transfer[tied_nodes] = -h[tied_nodes] @ inverse
            transfer[tied_nodes, tied_nodes] += 1.0
        t_nodes = np.flatnonzero(ends.node[ends.tied])
        currents = transfer[:, ends.tied][ends.tied].T.copy()
        currents[t_nodes] = -h[tied_nodes] @ transfer[ends.tied].T
        self.places = tuple(place_of(ends, side) for side in range(4))
        """Of every side: its slice of the tied nets, and their lines (None where all are tied)."""
        self.response: FloatArray = currents
        """From tied nets to currents into the array [S], ``(tied, tied)``."""
        self.transfer: FloatArray = transfer
        """From a pair of currents at the ports: voltages for tied ends (transposed: port inputs), ``(ports, ports)``."""

    def kept_ports(self, row: int, column: int) -> IntArray:
        """Ports of the base tile of a cell (padding counted) that are not dropped at an open edge."""
        height, width = self.base
        no_right, no_top = self.open_edges
        last = column // width == self.shape[1] // width - 1
        return _kept((height, height, width, width), no_right and last, no_top and row < height)

    @property
    def open_edges(self) -> tuple[bool, bool]:
        """Whether all right and all top ends are open."""
        right, top = (np.asarray(r, dtype=np.float64) for r in (self.system.r_right, self.system.r_top))
        return not np.isfinite(right).any(), not np.isfinite(top).any()

    # -- using ---------------------------------------------------------------------------------------

    def gather(self, drive: tuple[FloatArray, ...]) -> FloatArray:
        """Return the voltages of the tied nets ``(batch, tied)`` from v_left ... v_bottom ``(batch, lines)``."""
        side, line = self.ends.side[self.ends.tied], self.ends.line[self.ends.tied]
        return np.concatenate([drive[k][:, line[side == k]] for k in range(4)], axis=1)

    def scatter(self, currents: FloatArray) -> tuple[FloatArray, ...]:
        """Return currents ``(batch, tied)`` as i_left ... i_bottom ``(batch, lines)``, 0 at open ends."""
        system, out = self.system, []
        side, line = self.ends.side[self.ends.tied], self.ends.line[self.ends.tied]
        for k, lines in enumerate((system.rows, system.rows, system.columns, system.columns)):
            part = np.zeros((currents.shape[0], lines))
            part[:, line[side == k]] = currents[:, side == k]
            out.append(part)
        return tuple(out)

    def voltages(self, volts: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return word and bit nodes ``(batch, rows, columns)`` for tied nets ``(batch, tied)``, by descent."""
        if not self.kept:
            raise CrossbarError("the tree was built without its merges: build it with keep=True")
        ends = self.ends
        with one_thread():
            x = np.zeros((self._ports, volts.shape[0]))
            x[ends.keep] = self.transfer[ends.tied].T @ volts.T
            tiles = self._down_upper(x)
            cells = self._down_lower(tiles)
        m, n, pad = self.system.rows, self.system.columns, self.pad_rows
        word, bit = (np.ascontiguousarray(np.moveaxis(cells[pad : pad + m, :n, k], -1, 0)) for k in (0, 3))
        return word, bit

    def solve(
        self,
        drive: tuple[FloatArray, ...],
        batch: tuple[int, ...],
        tolerance: float = DEFAULT_TOLERANCE,
        kernel: KernelName = "auto",
    ) -> LineSolution:
        """Return everything for drives ``(count, lines)``; the line solver measures the bound (and polishes)."""
        m, n = self.system.rows, self.system.columns
        word, bit = (part.reshape(*batch, m, n) for part in self.voltages(self.gather(drive)))
        cell = self.conductance * (word - bit)
        shaped = tuple(v.reshape(*batch, v.shape[-1]) for v in drive)
        none = np.empty(0)
        start = LineSolution(
            self.system, self.conductance, word, bit, cell, none, none, none, none,
            shaped[0], shaped[1], shaped[2], shaped[3], none, "tree",
        )  # fmt: skip
        return solve_lines(
            self.system,
            self.conductance,
            shaped[0],
            shaped[1],
            shaped[2],
            shaped[3],
            start=start,
            tolerance=tolerance,
            kernel=kernel,
        )

    def _down_upper(self, x: FloatArray) -> dict[int, FloatArray]:
        """Return the port inputs ``(ports, batch)`` of all base tiles from those of the root."""
        count = (self.shape[0] // self.base[0]) * (self.shape[1] // self.base[1])
        inputs = {count + len(self.nodes) - 1: x}
        for k in range(len(self.nodes) - 1, -1, -1):
            node = self.nodes[k]
            inputs[node.a], inputs[node.b] = descend(node.plan, node.merge, inputs.pop(count + k))
        return inputs

    def _down_lower(self, tiles: dict[int, FloatArray]) -> FloatArray:
        """Return the inputs of every cell ``(rows, columns, 4, batch)`` from those of the base tiles."""
        (height, width), rows, columns = self.base, *_grid(self.shape, self.base)
        batch = next(iter(tiles.values())).shape[-1]
        drop_right, drop_top = self.open_edges
        x = np.zeros((rows, columns, 2 * (height + width), batch))
        for i in range(rows):
            for j in range(columns):
                kept = _kept(
                    (height, height, width, width), drop_right and j == columns - 1, drop_top and i == 0
                )
                x[i, j, kept] = tiles[i * columns + j]
        tall, wide = self.block_tiles
        cells = np.empty((*self.shape, 4, batch))
        for block in self.blocks:
            i, j = block.row, block.column
            cells[i * height : (i + tall) * height, j * width : (j + wide) * width] = down_block(
                block, x[i : i + tall, j : j + wide]
            )
        return cells


def _base(lines: int) -> int:
    """Size of base tiles along an axis: a power of two that pads little and leaves some tiles to merge."""
    for base in _BASES:
        padded = -(-lines // base) * base
        if 4 * base <= lines and padded <= _PADDING * lines:
            return base
    return 1 if lines < 4 else 2 if lines < 8 else 4


def _grid(shape: tuple[int, ...], base: tuple[int, int]) -> tuple[int, int]:
    return shape[0] // base[0], shape[1] // base[1]


@cache
def _kept(sizes: Sizes, no_right: bool, no_top: bool) -> IntArray:
    left, right, top, bottom = sizes
    keep = np.ones(left + right + top + bottom, dtype=bool)
    if no_right:
        keep[left : left + right] = False
    if no_top:
        keep[left + right : left + right + top] = False
    return np.flatnonzero(keep)


def _without(h: FloatArray, sizes: Sizes, no_right: bool, no_top: bool) -> tuple[FloatArray, Sizes]:
    """Return a tile without its open ports."""
    if not (no_right or no_top):
        return h, sizes
    keep = _kept(sizes, no_right, no_top)
    left, right, top, bottom = sizes
    return h[np.ix_(keep, keep)], (left, 0 if no_right else right, 0 if no_top else top, bottom)
