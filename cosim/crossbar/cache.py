"""What a kept crossbar keeps between reads, and when: single solve, cached matrix, update or rebuild.

Costs are counted in plain reads of the line solver, by measured break-even points of the array's size
(`benchmarks/updates.py` prints them), never by a clock: the same calls give the same bytes on every
machine. Reads that were answered one by one since the last change are remembered; when they and the ones
asked for cost as much as the cheapest way to an up-to-date matrix, that way is taken. So the choice never
costs more than twice what the best choice in hindsight would have.

**Never stale.** Every cell that is written is listed until the matrix has it; a change of wires or of line
ends drops the matrix. **Watched.** A new matrix is compared with the line solver for one random drive.
With all nets at one voltage no current flows: the row sums of the matrix measure the rounding that exact
updates pile up, and the matrix is built again when they grow. A read that is too small against
that rounding is answered by the line solver.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cosim.crossbar.lines import LineSolution, LineSystem, end_currents, find_kernel, solve_lines
from cosim.crossbar.tree import LineTree, one_thread
from cosim.crossbar.tree_update import PendingCells

if TYPE_CHECKING:
    from cosim.crossbar.line_values import FloatArray
    from cosim.crossbar.lines import KernelName

KEEP_ALWAYS = 256 * 256
"""Up to so many cells a matrix is always kept with its tree, so that a written cell is an update."""

KEEP_MOST = 512 * 512
"""Beyond so many cells no tree is kept (about 0.9 kB a cell)."""

CHECK_EVERY = 256
"""Every so many absorbed cells the matrix is compared with the line solver again."""

_SIZES = (32.0, 64.0, 128.0, 256.0, 512.0)
_BUILD = {"numba": (90.0, 50.0, 43.0, 32.0, 19.0), "numpy": (20.0, 14.0, 12.0, 10.0, 8.0)}
"""Cost of a build in plain reads, at the sizes above (square root of the number of cells)."""
_UPDATE = {"numba": (4.0, 2.5, 0.8, 0.2, 0.05), "numpy": (2.0, 0.9, 0.3, 0.08, 0.03)}
"""Cost of one changed cell in plain reads."""

_GROWTH = 1e-12
"""Largest row sum of the matrix, as a part of its largest entry, before it is built again."""

_ROUNDING = 64 * float(np.finfo(np.float64).eps)


@dataclass(frozen=True, slots=True)
class Costs:
    """Break-even points of one array size, in plain reads."""

    build: float
    update: float

    @classmethod
    def of(cls, rows: int, columns: int, kernel: str) -> Costs:
        """Return the costs beside the given kernel of the line solver."""
        size = np.log2(max(1.0, float(rows) * columns)) / 2
        at = np.log2(_SIZES)
        kind = "numba" if kernel == "numba" else "numpy"
        return cls(float(np.interp(size, at, _BUILD[kind])), float(np.interp(size, at, _UPDATE[kind])))


class MatrixCache:
    """The matrix of one array with its history.

    Parameters
    ----------
    system
        Wires and ends; another system needs another cache.
    tolerance
        Of a current relative to the largest; a read that the matrix cannot promise is left to the line solver.
    kernel
        Of the line solver that the matrix is weighed against.
    """

    def __init__(self, system: LineSystem, tolerance: float, kernel: KernelName = "auto") -> None:
        self.system, self.tolerance, self.kernel = system, tolerance, kernel
        self.refused = LineTree.refusal(system)
        """Why there is no matrix for these wires, or None."""
        name = find_kernel(kernel)[0]
        self.costs = Costs.of(system.rows, system.columns, name)
        self.tree: LineTree | None = None
        self.pending: PendingCells | None = None
        self.dirty: dict[tuple[int, int], float] = {}
        self.written = False
        self.spent = 0.0
        self.builds = self.updates = self.absorbed = 0
        self._peak = self._drift = 0.0
        self._floats = any(
            np.isinf(np.asarray(one)).any() and np.isinf(np.asarray(other)).any()
            for one, other in ((system.r_left, system.r_right), (system.r_top, system.r_bottom))
        )

    def note(self, row: int, column: int, conductance: float) -> None:
        """Record that a cell was written [S]."""
        self.written = True
        self.spent = max(0.0, self.spent - self.costs.update)
        if self.tree is None:
            return
        if not self.tree.kept or (self._floats and (conductance == 0) != (self._known(row, column) == 0)):
            self.drop()
        else:
            self.dirty[row, column] = conductance

    def _known(self, row: int, column: int) -> float:
        value = self.dirty.get((row, column))
        return (
            float(self.tree.conductance[row, column])
            if value is None and self.tree is not None
            else value or 0.0
        )

    def drop(self) -> None:
        """Forget the matrix (many cells changed)."""
        self.written = True
        self.tree = self.pending = None
        self.dirty.clear()

    def ready(self, conductance: FloatArray, inputs: int) -> str | None:
        """Bring the matrix up to date if that pays for ``inputs`` reads; return what was done, or None.

        ``conductance`` are the cells as they are now [S], ``(rows, columns)``.
        """
        if self.refused is not None:
            return None
        if self.tree is not None and not self.dirty:
            return "cached matrix"
        cost = self.costs.build
        by_update = self.tree is not None and len(self.dirty) * self.costs.update <= cost
        if by_update:
            cost = len(self.dirty) * self.costs.update
        if self.spent + inputs < cost:
            self.spent += inputs
            return None
        self.spent = 0.0
        return (self._update() if by_update else None) or self._build(conductance)

    def build(self, conductance: FloatArray, keep: bool) -> str | None:
        """Build the matrix whatever it costs; arguments as `ready`."""
        self.written |= keep
        return None if self.refused is not None else self._build(conductance)

    def _build(self, conductance: FloatArray) -> str | None:
        cells = conductance.size
        keep = cells <= KEEP_ALWAYS or (self.written and cells <= KEEP_MOST)
        had = self.tree is not None or self.builds > 0
        self.tree = self.pending = None
        self.dirty.clear()
        self.tree = LineTree(self.system, conductance, keep=keep)
        self.pending = PendingCells(self.tree) if keep else None
        self.builds += 1
        self.absorbed = 0
        self._peak = 0.0
        self._measure()
        if not self._agrees():
            self.tree = self.pending = None
            self.refused = "the matrix of these wires misses the tolerance"
            return None
        return "cached matrix, rebuilt" if had else "cached matrix, built"

    def _update(self) -> str | None:
        """Bring the dirty cells into the matrix; None if it has to be built again."""
        assert self.tree is not None
        assert self.pending is not None
        count = len(self.dirty)
        with one_thread():
            for (row, column), value in self.dirty.items():
                if not self._make_room(row, column):
                    return None
                if not self.pending.set(row, column, value):
                    return None
        self.dirty.clear()
        self.updates += count
        return f"cached matrix, {count} cell{'s' if count > 1 else ''} updated"

    def _make_room(self, row: int, column: int) -> bool:
        """Bring pending cells into the tree if this one is one too many; False if it must be built again."""
        assert self.pending is not None
        if len(self.pending) < self.pending.most or (row, column) in self.pending.place:
            return True
        before = self.absorbed // CHECK_EVERY
        self.absorbed += len(self.pending)
        self.pending.absorb()
        self._measure()
        stale = self.absorbed // CHECK_EVERY > before and not self._agrees()
        return not stale and self._drift <= _GROWTH

    def cell_voltage(self, row: int, column: int, drive: dict[int, FloatArray]) -> FloatArray | None:
        """Return the voltage across one cell [V], ``(inputs,)``; None where the line solver has to answer.

        The matrix must be up to date (`ready`); ``drive`` as `read`.
        """
        if self.tree is None or self.pending is None or self.dirty or not drive:
            return None
        with one_thread():
            if not self._make_room(row, column):
                self.drop()
                return None
            volts = np.zeros((next(iter(drive.values())).shape[0], self.tree.response.shape[0]))
            for side, v in drive.items():
                columns, lines = self.tree.places[side]
                volts[:, columns] = v if lines is None else v[:, lines]
            return self.pending.voltage(row, column, volts)

    # -- how good it is ------------------------------------------------------------------------------

    def _measure(self) -> None:
        """Measure the rounding of the matrix: with all nets at 1 V no current flows."""
        assert self.tree is not None
        matrix, cells = self.tree.response, self.tree.conductance
        lines = max(float(cells.sum(axis=0).max()), float(cells.sum(axis=1).max()))
        self._peak = max(self._peak, lines, float(np.abs(np.diag(matrix)).max(initial=0.0)))
        if self.system.shunt_word is None and self.system.shunt_bit is None and self._peak > 0.0:
            self._drift = float(np.abs(matrix.sum(axis=1)).max()) / self._peak

    def _agrees(self) -> bool:
        """Compare with the line solver for one random drive."""
        assert self.tree is not None
        rng = np.random.default_rng(len(self.tree.response))
        system = self.system
        drive = [
            rng.uniform(-1, 1, (1, k)) for k in (system.rows, system.rows, system.columns, system.columns)
        ]
        lines = solve_lines(
            system,
            self.tree.conductance,
            *(v[0] for v in drive),
            tolerance=self.tolerance,
            kernel=self.kernel,
        )
        found = self.tree.scatter(
            self.tree.gather((drive[0], drive[1], drive[2], drive[3])) @ self.tree.response.T
        )
        wanted = self._ends(lines)
        largest = max(float(np.abs(part).max()) for part in wanted)
        error = max(float(np.abs(one[0] - two).max()) for one, two in zip(found, wanted, strict=True))
        return error <= 2 * float(lines.error_bound) + 10 * self.tolerance * largest

    def _ends(self, lines: LineSolution) -> tuple[FloatArray, ...]:
        """Return the currents into all ends; those of the line solver leave out what shunts take."""
        word, bit = lines.cell_current, -lines.cell_current
        if self.system.shunt_word is not None:
            word = word + self.system.shunt_word * lines.word_voltage
        if self.system.shunt_bit is not None:
            bit = bit + self.system.shunt_bit * lines.bit_voltage
        return end_currents(
            self.system, word, bit, (lines.v_left, lines.v_right, lines.v_top, lines.v_bottom)
        )

    # -- reads ---------------------------------------------------------------------------------------

    def read(
        self, drive: dict[int, FloatArray], sides: tuple[int, ...]
    ) -> tuple[list[FloatArray], float] | None:
        """Currents into the array at the ends of some sides.

        Parameters
        ----------
        drive
            Voltages ``(inputs, lines)`` [V] of the sides that are not at 0 V: 0 left, 1 right, 2 top, 3 bottom.
        sides
            Which currents are wanted.

        Returns
        -------
        currents ``(inputs, lines)`` [A] for every wanted side and what they may be wrong by [A]; None where
        that is too much (the line solver has to answer).
        """
        assert self.tree is not None
        tree, found, largest, volts = self.tree, [], 0.0, 0.0
        places = tree.places
        for out in sides:
            total: FloatArray | None = None
            rows, lines = places[out]
            for side, v in drive.items():
                columns, into = places[side]
                live = v if into is None else v[:, into]
                part = live @ tree.response[rows, columns].T
                if self.pending is not None and len(self.pending):
                    part += self.pending.currents(live, columns, rows)
                total = part if total is None else total + part
            inputs = next(iter(drive.values())).shape[0] if drive else 1
            count = self.system.rows if out < 2 else self.system.columns
            if total is None:
                total = np.zeros((inputs, rows.stop - rows.start))
            if lines is not None:
                whole = np.zeros((inputs, count))
                whole[:, lines] = total
                total = whole
            found.append(total)
        largest = max((float(max(part.max(), -part.min())) for part in found), default=0.0)
        volts = max((float(max(v.max(), -v.min())) for v in drive.values()), default=0.0)
        error = (_ROUNDING + 4.0 * self._drift) * self._peak * volts
        return (found, error) if error <= max(self.tolerance, 1e-13) * largest or volts == 0.0 else None
