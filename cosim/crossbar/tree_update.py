"""Changed cells in a tile-merge tree: exact, without building it again.

A conductance that changes by ``d`` is the term ``-d u u^T`` on its tile, ``u = e_W - e_B``. Through a
merge with inner matrix ``M = [[Z, -1], [-1, -Y]]`` and coupling ``E`` to the ports that stay it goes on as ::

    y = M^-1 u_shared,   u <- u_rest - E y,   R <- R - u_shared . y

and at the root ``u`` becomes ``w``, the voltage across the cell for 1 V at each net, and ``R`` the resistance of
the network as the cell sees it. Several cells have a matrix ``R`` (the paths meet in common tiles). Then ::

    F' = F + w X w^T,   X = (1 + D R)^-1 D,   D = diag(d)

exactly (Sherman-Morrison-Woodbury). The tree itself stays as it is while few cells are pending: a read
adds ``w X w^T v``, and a cell that is written again only changes ``d``. `PendingCells.absorb` brings
the pending cells into the tree, tile by tile in one product each: ``M^-1 <- M^-1 + Y X Y^T`` with the
``X`` of the merged tile, ``E <- E - U_rest X U_shared^T`` with the ``X`` of the child.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cosim.crossbar.lines import numba_available
from cosim.crossbar.tiles import Layout, Merge

IntArray = NDArray[np.intp]

if TYPE_CHECKING:
    from cosim.crossbar.line_values import FloatArray
    from cosim.crossbar.tree import LineTree

MOST_PENDING = 32
"""Cells that wait outside of the tree; then they are brought in together."""

ONE_BY_ONE = 100 * 100
"""In arrays of at most so many cells one cell waits: its change costs less than a product with many that wait."""

_WEAK = 1e-6
"""Below this ``1 + d R`` the change takes away nearly all that carries the current: the tree is built again."""

Key = tuple[int, int, int, int]
"""Block, level and place of a merge in it; or -1, number of the node, 0, 0."""


class Step(NamedTuple):
    """One merge on the way from a cell to the root."""

    key: Key
    in_a: bool
    plan: Layout
    merge: Merge


class _Meeting:
    """The pending cells that pass a merge, in the order they came; at most ``room``."""

    __slots__ = ("cells", "from_a", "inner_i", "inner_v", "rest", "shared", "step")

    def __init__(self, step: Step, room: int) -> None:
        size = step.merge.k.shape[0]
        self.step = step
        self.cells: list[int] = []
        self.from_a = np.zeros(room, dtype=bool)
        self.shared = np.empty((room, size))
        self.inner_i, self.inner_v = np.empty((room, size)), np.empty((room, size))
        self.rest: list[FloatArray] = []

    def add(self, in_a: bool, at: int, u: FloatArray, others: FloatArray) -> tuple[FloatArray, float]:
        """Bring ``u`` of cell ``at`` through the merge; return it and what its own ``R`` gains."""
        step, k = self.step, len(self.cells)
        plan = step.plan
        a, b, ports = plan.a, plan.b, sum(plan.sizes)
        s = u[a.shared] if in_a else u[b.shared]
        stay, out = u[a.ports if in_a else b.ports], np.empty(ports)
        y_i, y_v = self.inner_i[k], self.inner_v[k]
        m = step.merge
        own = _steps()[0](m.e_a, m.e_b, m.k, m.p, m.q, in_a, s, stay, a.targets, b.targets, y_i, y_v, out)
        if k:
            gain = np.where(self.from_a[:k], self.shared[:k] @ y_i, self.shared[:k] @ y_v)
            others[self.cells] -= gain
        self.cells.append(at)
        self.from_a[k], self.shared[k] = in_a, s
        self.rest.append(stay)
        return out, -own

    def absorb(self, change: FloatArray, seen: FloatArray) -> None:
        """Change what is kept of the merge; ``seen``: ``R`` below it of all cells, brought above it."""
        merge, count = self.step.merge, len(self.cells)
        if count == 1:
            self._absorb_one(change, seen)
            return
        index = np.array(self.cells)
        from_a, shared = self.from_a[:count], self.shared[:count]
        y_i, y_v = self.inner_i[:count], self.inner_v[:count]
        block = np.ix_(index, index)
        for mine, coupling in ((from_a, merge.e_a), (~from_a, merge.e_b)):
            own = np.flatnonzero(mine)
            if own.size:
                x = factor(change[index[own]], seen[np.ix_(index[own], index[own])])
                coupling -= np.array([self.rest[k] for k in own]).T @ (x @ shared[own])
        seen[block] -= np.where(from_a[:, None], shared @ y_i.T, shared @ y_v.T)
        x = factor(change[index], seen[block])
        merge.q += y_i.T @ (x @ y_i)
        merge.k -= y_i.T @ (x @ y_v)
        merge.p -= y_v.T @ (x @ y_v)

    def _absorb_one(self, change: FloatArray, seen: FloatArray) -> None:
        m, at, in_a = self.step.merge, self.cells[0], bool(self.from_a[0])
        shared, y_i, y_v = self.shared[0], self.inner_i[0], self.inner_v[0]
        d, r = float(change[at]), float(seen[at, at])
        before = d / (1.0 + d * r)
        r -= float(shared @ (y_i if in_a else y_v))
        seen[at, at] = r
        after = d / (1.0 + d * r)
        _steps()[1](m.e_a, m.e_b, m.k, m.p, m.q, in_a, shared, self.rest[0], y_i, y_v, before, after)


@cache
def _steps() -> tuple[Callable[..., float], Callable[..., None]]:
    """Return how a cell passes a merge and how it changes one: compiled where numba is installed."""
    if numba_available():
        from cosim.crossbar import tree_numba

        return tree_numba.pass_merge, tree_numba.change_merge
    return _pass_merge, _change_merge


def _pass_merge(
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
    if in_a:
        np.matmul(q, shared, out=y_i)
        np.negative(shared @ k, out=y_v)
        out[place_a], out[place_b] = stay - e_a @ y_i, -(e_b @ y_v)
        return float(shared @ y_i)
    np.negative(k @ shared, out=y_i)
    np.negative(p @ shared, out=y_v)
    out[place_a], out[place_b] = -(e_a @ y_i), stay - e_b @ y_v
    return float(shared @ y_v)


def _change_merge(
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
    """Change what is kept of a merge for one cell; ``before``, ``after``: ``d/(1 + d R)`` below and above it."""
    coupling = e_a if in_a else e_b
    coupling -= stay[:, None] * (before * shared)
    scaled_i, scaled_v = (after * y_i)[:, None], (after * y_v)[:, None]
    q += scaled_i * y_i
    k -= scaled_i * y_v
    p -= scaled_v * y_v


class PendingCells:
    """Cells that differ from those a `LineTree` was built for."""

    def __init__(self, tree: LineTree) -> None:
        self.tree = tree
        self.most = MOST_PENDING if tree.conductance.size > ONE_BY_ONE else 1
        """Cells that may wait; then `absorb` has to come before `set` of another one."""
        self.clear()

    def clear(self) -> None:
        """Forget all pending cells."""
        self.place: dict[tuple[int, int], int] = {}
        self.change: FloatArray = np.zeros(0)
        self.seen: FloatArray = np.zeros((0, 0))
        """``R``: voltage across one cell per ampere through another [ohm], ``(cells, cells)``."""
        self.across: FloatArray = np.zeros((0, self.tree.response.shape[0]))
        """``w``: voltage across each cell per volt at each net, ``(cells, tied)``."""
        self.ports: list[FloatArray] = []
        self.meetings: dict[Key, _Meeting] = {}
        self._correction: FloatArray | None = None

    def __len__(self) -> int:
        return len(self.place)

    def set(self, row: int, column: int, conductance: float) -> bool:
        """Set a cell [S]; returns False if the tree has to be built again for it (nothing is changed then)."""
        at = self.place.get((row, column))
        change = conductance - float(self.tree.conductance[row, column])
        if at is None:
            at = self._follow(row, column)
        if 1.0 + change * self.seen[at, at] < _WEAK:
            return False
        self.change[at] = change
        self._correction = None
        return True

    def voltage(self, row: int, column: int, volts: FloatArray) -> FloatArray:
        """Return the voltage across a cell [V], ``(batch,)``, for tied nets ``(batch, tied)``; it becomes pending."""
        at = self.place.get((row, column))
        if at is None:
            at = self._follow(row, column)
        across = volts @ self.across.T
        out: FloatArray = across[:, at] - (across @ self.correction().T) @ self.seen[at]
        return out

    def correction(self) -> FloatArray:
        """``X``, ``(cells, cells)`` [S]."""
        if self._correction is None:
            self._correction = factor(self.change, self.seen)
        return self._correction

    def currents(self, volts: FloatArray, into: slice | NDArray[np.intp], out: slice) -> FloatArray:
        """Return what the pending cells add to ``F[out, into] v``; ``volts`` ``(batch, nets of into)``."""
        return ((volts @ self.across[:, into].T) @ self.correction().T) @ self.across[:, out]

    def steps(self, row: int, column: int) -> list[Step]:
        """Return the merges from a cell to the root."""
        tree = self.tree
        (height, width), (tall, wide) = tree.base, tree.block_tiles
        i, j = row + tree.pad_rows, column
        tile_row, tile_column = i // height, j // width
        across = tree.shape[1] // width
        number = (tile_row // tall) * -(-across // wide) + tile_column // wide
        block = tree.blocks[number]
        i, j = i - block.row * height, j - block.column * width
        steps = []
        for k, level in enumerate(block.levels):
            first = (j if level.horizontal else i) % 2 == 0
            i, j = (i, j // 2) if level.horizontal else (i // 2, j)
            steps.append(
                Step((number, k, i, j), first == level.plan.a_first, level.plan, level.merge.at((i, j)))
            )
        name = tile_row * across + tile_column
        count = across * (tree.shape[0] // height)
        while name in tree.parent:
            name, in_a = tree.parent[name]
            node = tree.nodes[name - count]
            steps.append(Step((-1, name, 0, 0), in_a, node.plan, node.merge))
        return steps

    def _follow(self, row: int, column: int) -> int:
        """Bring a new cell to the root: its ``w``, its ``R`` and those with all others."""
        at = len(self.place)
        own, others = 0.0, np.zeros(at)
        u = np.array([1.0, 0.0, 0.0, -1.0])
        base = len(self.tree.blocks[0].levels)
        steps = self.steps(row, column)
        for k, step in enumerate(steps):
            if k == base:
                u = self._prune(u, row, column)
            meeting = self.meetings.get(step.key)
            if meeting is None:
                meeting = self.meetings[step.key] = _Meeting(step, self.most)
            u, gain = meeting.add(step.in_a, at, u, others)
            own += gain
        if len(steps) == base:
            u = self._prune(u, row, column)
        u = u[self.tree.ends.keep]
        w, inside = self._root(u)
        own -= float(u @ inside)
        for k, port in enumerate(self.ports):
            others[k] -= port @ inside
        self.ports.append(u)
        self._grow(at, own, others, w)
        self.place[row, column] = at
        return at

    def _prune(self, u: FloatArray, row: int, column: int) -> FloatArray:
        """Drop the ports of a base tile that lie open at the edge of the array."""
        return u[self.tree.kept_ports(row + self.tree.pad_rows, column)]

    def _root(self, u: FloatArray) -> tuple[FloatArray, FloatArray]:
        """``w`` of the tied nets, and the port inputs that the vector ``u`` causes."""
        ends = self.tree.ends
        out = self.tree.transfer @ u
        inside = out.copy()
        nodes = ends.tied[ends.node[ends.tied]]
        inside[nodes] *= -ends.resistance[nodes]
        return out[ends.tied], inside

    def _grow(self, at: int, own: float, others: FloatArray, w: FloatArray) -> None:
        seen = np.empty((at + 1, at + 1))
        seen[:at, :at] = self.seen
        seen[at, :at] = seen[:at, at] = others
        seen[at, at] = own
        self.seen = seen
        self.across = np.concatenate([self.across, w[None]])
        self.change = np.append(self.change, 0.0)
        self._correction = None

    # -- into the tree -------------------------------------------------------------------------------

    def absorb(self) -> None:
        """Change the tree itself; nothing is pending afterwards."""
        tree, ends = self.tree, self.tree.ends
        if self.place:
            seen = np.zeros((len(self), len(self)))
            for key in sorted(self.meetings, key=_bottom_up):
                self.meetings[key].absorb(self.change, seen)
            x, u = self.correction(), np.array(self.ports).T
            out = tree.transfer @ u
            inside = out.copy()
            nodes = ends.tied[ends.node[ends.tied]]
            inside[nodes] *= -ends.resistance[nodes, None]
            tree.response += self.across.T @ (x @ self.across)
            tree.transfer += (out @ x) @ inside.T
            for (row, column), k in self.place.items():
                tree.conductance[row, column] += self.change[k]
        self.clear()


def _bottom_up(key: Key) -> tuple[bool, int]:
    """Order in which every merge comes after those below it."""
    return key[0] < 0, key[1]


def factor(change: FloatArray, seen: FloatArray) -> FloatArray:
    """``(1 + D R)^-1 D``."""
    if change.size == 1:
        return np.array([[change[0] / (1.0 + change[0] * seen[0, 0])]])
    out = np.linalg.solve(np.eye(change.size) + change[:, None] * seen, np.diag(change))
    return np.asarray(out, dtype=np.float64)
