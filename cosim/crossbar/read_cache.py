"""Solved reads kept between phases, for backends: what `solve_lines` returns, for less.

A read or verify phase solves an array whose cells hardly differ from those of the phase before. `ReadCache.solve`
answers it, in this order,

* from the kept solution, if the drive is the same and no cell differs by more than a bound allows;
* from the kept solution and the answer of the network to a current through the one or few cells that differ
  (``v = v_0 - j t``, ``j = d u_0/(1 + d R)``: exact, one pass over the nodes instead of a solve), from the second time on
  that a cell differs;
* by the line solver, started from the kept solution.

**The bound.** If every conductance is off by at most a part ``e`` of itself, no current is off by more than
``e sum |J|``: the error is the answer of the passive network to currents ``e J`` injected across its cells, and an ampere
drives at most an ampere through any end. That sum enters the ``error_bound`` of what is returned, and a kept solution
is used only where it is below ``allowed`` times the largest line current. So devices that move at any voltage
may share a solution as long as they moved little, and never longer.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from cosim.crossbar.line_values import FloatArray, LineSolution, LineSystem
from cosim.crossbar.lines import DEFAULT_TOLERANCE, KernelName, end_currents, solve_lines

if TYPE_CHECKING:
    from cosim.crossbar.tree_ends import IntArray

MOST_CELLS = 4
"""So many changed cells are corrected; with more, the array is solved again."""

_WEAK = 1e-3
"""Below this ``1 + d R`` a change takes most of what carries the current, and the array is solved again."""

Drive = tuple[FloatArray, FloatArray, FloatArray, FloatArray]


@dataclass(slots=True, eq=False)
class _Kept:
    """What is known of one array: cells, solutions by drive, answers to a current through a cell."""

    system: LineSystem
    conductance: FloatArray
    solutions: OrderedDict[bytes, LineSolution] = field(default_factory=OrderedDict)
    unit: dict[int, LineSolution] = field(default_factory=dict)
    changes: dict[int, int] = field(default_factory=dict)
    """How often a cell was seen to differ."""


class ReadCache:
    """Solutions of reads, by array and drive.

    Parameters
    ----------
    allowed
        Largest error that a kept solution may add, as a part of the largest line current.
    arrays, drives
        How many arrays, and how many drives of each, are kept; the one not used for longest goes.
    tolerance, kernel
        As `cosim.crossbar.lines.solve_lines`.
    """

    def __init__(
        self,
        allowed: float = 1e-9,
        arrays: int = 16,
        drives: int = 16,
        tolerance: float = DEFAULT_TOLERANCE,
        kernel: KernelName = "auto",
    ) -> None:
        self.allowed, self.arrays, self.drives = allowed, arrays, drives
        self.tolerance, self.kernel = tolerance, kernel
        self.applied = ""
        """How the last call was answered: ``kept``, ``kept, 1 cell corrected`` or ``line-pcg numba``."""
        self._kept: OrderedDict[int, _Kept] = OrderedDict()

    def solve(self, system: LineSystem, conductance: FloatArray, drive: Drive) -> LineSolution:
        """Solve for drives ``(count, lines)``: v_left, v_right, v_top, v_bottom [V].

        Parameters
        ----------
        system
            Wires and ends; known again by identity, so keep the object.
        conductance
            Cells as they are now [S], ``(rows, columns)``; never changed, copied where it is kept.

        Returns
        -------
        As `cosim.crossbar.lines.solve_lines`, batch shape ``(count,)``. Do not write into it.
        """
        kept = self._kept.get(id(system))
        if kept is None or kept.system is not system:
            kept = self._kept[id(system)] = _Kept(system, np.array(conductance))
            if len(self._kept) > self.arrays:
                self._kept.popitem(last=False)
        self._kept.move_to_end(id(system))
        key = b"".join(part.tobytes() for part in drive)
        start = kept.solutions.get(key)
        if start is not None:
            found = self._from_kept(kept, start, conductance)
            if found is not None:
                kept.solutions.move_to_end(key)
                return found
        return self._fresh(kept, key, start, conductance, drive)

    def _from_kept(self, kept: _Kept, start: LineSolution, g: FloatArray) -> LineSolution | None:
        """Return the answer for cells ``g`` from a solution for nearly the same cells, where that holds."""
        change = g - kept.conductance
        rows, columns = np.nonzero(change)
        if not rows.size:
            self.applied = "kept"
            return start
        share = np.abs(change[rows, columns]) / np.maximum(kept.conductance[rows, columns], 1e-300)
        total = np.abs(start.cell_current).sum(axis=(-2, -1))
        part = float((total / np.where(start.stats[..., 3] > 0, start.stats[..., 3], 1.0)).max())
        changed = np.flatnonzero(share * part > self.allowed)
        if changed.size > MOST_CELLS:
            return None
        still = np.delete(share, changed)
        rest = float(still.max(initial=0.0))
        off = rest / (1.0 - rest) * total
        cells = rows[changed] * g.shape[1] + columns[changed]
        if not changed.size:
            self.applied = "kept"
            return replace(start, stats=_worse(start.stats, off))
        for cell in cells.tolist():
            kept.changes[cell] = kept.changes.get(cell, 0) + 1
        if any(kept.changes[cell] < 2 for cell in cells.tolist()):
            return None
        found = self._corrected(kept, start, cells, change[rows[changed], columns[changed]], off)
        if found is not None:
            self.applied = f"kept, {cells.size} cell{'s' if cells.size > 1 else ''} corrected"
        return found

    def _corrected(
        self, kept: _Kept, start: LineSolution, cells: IntArray, change: FloatArray, off: FloatArray
    ) -> LineSolution | None:
        """Return the solution with some conductances changed by ``change`` [S]; None where digits would be lost."""
        units = [self._unit(kept, cell) for cell in cells.tolist()]
        shape = kept.conductance.shape
        at = np.unravel_index(cells, shape)
        seen = np.array([unit.cell_voltage[at] for unit in units])
        across = start.cell_voltage[..., at[0], at[1]]
        matrix = np.eye(cells.size) + change[:, None] * seen
        if np.linalg.svd(matrix, compute_uv=False)[-1] < _WEAK:
            return None
        current = np.linalg.solve(matrix, (change * across).T).T
        parts = {name: getattr(start, name).copy() for name in _FIELDS}
        stats = _worse(start.stats, off)
        for k, unit in enumerate(units):
            j = current[..., k]
            for name, part in parts.items():
                extra = getattr(unit, name)
                part -= j.reshape(*j.shape, *[1] * extra.ndim) * extra
            stats = _worse(stats, np.abs(j) * float(unit.error_bound))
        parts["cell_current"][..., at[0], at[1]] += current
        g = kept.conductance.copy()
        g[at] += change
        return replace(start, conductance=g, stats=stats, **parts)

    def _unit(self, kept: _Kept, cell: int) -> LineSolution:
        """Return the answer to one ampere into the word node and out of the bit node of a cell."""
        found = kept.unit.get(cell)
        if found is None:
            ampere = np.zeros(kept.conductance.shape)
            ampere.reshape(-1)[cell] = 1.0
            unit = solve_lines(
                kept.system, kept.conductance, injected_word=ampere, injected_bit=-ampere,
                tolerance=self.tolerance, kernel=self.kernel,
            )  # fmt: skip
            drive = (unit.v_left, unit.v_right, unit.v_top, unit.v_bottom)
            word, bit = unit.cell_current - ampere, ampere - unit.cell_current
            if kept.system.shunt_word is not None:
                word = word + kept.system.shunt_word * unit.word_voltage
            if kept.system.shunt_bit is not None:
                bit = bit + kept.system.shunt_bit * unit.bit_voltage
            left, right, top, bottom = end_currents(kept.system, word, bit, drive)
            found = kept.unit[cell] = replace(unit, i_left=left, i_right=right, i_top=top, i_bottom=bottom)
        return found

    def _fresh(
        self, kept: _Kept, key: bytes, start: LineSolution | None, g: FloatArray, drive: Drive
    ) -> LineSolution:
        """Solve, and keep the solution; if the cells differ, nothing older is kept."""
        found = solve_lines(kept.system, g, *drive, start=start, tolerance=self.tolerance, kernel=self.kernel)
        if not np.array_equal(g, kept.conductance):
            kept.conductance = np.array(g)
            kept.solutions.clear()
            kept.unit.clear()
        found = kept.solutions[key] = replace(found, conductance=kept.conductance)
        while len(kept.solutions) > self.drives:
            kept.solutions.popitem(last=False)
        self.applied = f"line-pcg {found.kernel}"
        return found


_FIELDS = ("word_voltage", "bit_voltage", "cell_current", "i_left", "i_right", "i_top", "i_bottom")


def _worse(stats: FloatArray, by: FloatArray) -> FloatArray:
    """Return the statistics with the residual enlarged by ``by`` [A]."""
    out = stats.copy()
    out[..., 1] += by
    return out
