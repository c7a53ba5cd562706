"""Arrays of nonlinear cells: inexact Newton around the line solver.

Every step replaces each cell by its tangent ``i = g v + h`` (``g = i'(v0)``, ``h = i(v0) - g v0``) and
solves that linear array by conjugate gradients from the last voltages, only as far as Newton's own
progress deserves (forcing term after Eisenstat and Walker, SIAM J. Sci. Comput. 17, 1996, choice 2).
A tangent whose current leaves what the last linear solve promised is taken closer to the last voltage
(the step limit that SPICE applies to diodes), cell by cell; that carries selectors through.

The error bound is that of the line solver: the difference of two solutions of a monotone network is the
solution of a passive one, so no current is wrong by more than the summed Kirchhoff residual.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

import numpy as np

from cosim.crossbar.lines import (
    DEFAULT_TOLERANCE,
    MAX_ITERATIONS,
    NO_DENSE,
    NO_START,
    KernelName,
    LineSolution,
    LineSystem,
    broadcast_drives,
    end_currents,
    find_kernel,
    run_kernel,
)
from cosim.errors import CrossbarError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike

    from cosim.crossbar.lines import FloatArray, Kernel

_MAX_STEPS = 200
_LOOSE = 1e-2
_OVERSHOOT = 4.0
"""A tangent current this many times beyond the promised one is limited."""
NO_CURRENT = 1e-40
"""Current [A] below which nothing flows: an electron in the age of the universe."""


class NonlinearCells(Protocol):
    """Cells by their current; both functions take and give ``(rows, columns)`` and act cell by cell.

    ``current`` [A] must not fall with voltage [V], and ``derivative`` [S] must be finite.
    """

    def current(self, voltage: FloatArray) -> FloatArray:
        """Return the current from word to bit line [A]."""
        ...

    def derivative(self, voltage: FloatArray) -> FloatArray:
        """Return ``d current / d voltage`` [S], 0 or positive."""
        ...


def solve_nonlinear(
    system: LineSystem,
    cells: NonlinearCells,
    v_left: ArrayLike = 0.0,
    v_right: ArrayLike = 0.0,
    v_top: ArrayLike = 0.0,
    v_bottom: ArrayLike = 0.0,
    *,
    start: LineSolution | None = None,
    tolerance: float = DEFAULT_TOLERANCE,
    kernel: KernelName = "auto",
) -> LineSolution:
    """Solve one array of nonlinear cells for one drive.

    Parameters
    ----------
    cells
        Current and derivative of the cells; an object with a method ``linearize(v) -> (i, g)`` is asked
        that instead, where both share their work.
    start
        An earlier solution of the same system, to start from its voltages.

    Other parameters, and the result, as `cosim.crossbar.lines.solve_lines`; ``conductance`` of the
    result holds the tangents at the solution.

    Raises
    ------
    CrossbarError
        As `solve_lines`; or Newton's method stands still (currents that fall with voltage).
    """
    batch, drive = broadcast_drives((v_left, v_right, v_top, v_bottom), system)
    if batch:
        raise CrossbarError("nonlinear cells take one drive at a time: give voltages of shape (lines,)")
    return _Newton(system, cells, drive, find_kernel(kernel)).run(start, tolerance)


class _Newton:
    """One nonlinear solve: the drive, and the state from step to step."""

    def __init__(
        self,
        system: LineSystem,
        cells: NonlinearCells,
        drive: tuple[FloatArray, ...],
        kernel: tuple[str, Kernel],
    ) -> None:
        self.system, self.cells, self.drive, self.kernel = system, cells, drive, kernel
        self.tangent = getattr(cells, "linearize", None) or self._both
        self.count = 0

    def _both(self, voltage: FloatArray) -> tuple[FloatArray, FloatArray]:
        return self.cells.current(voltage), self.cells.derivative(voltage)

    def run(self, start: LineSolution | None, tolerance: float) -> LineSolution:
        """Iterate to the tolerance; see `solve_nonlinear`."""
        shape = self.system.rows, self.system.columns
        zero = np.zeros(shape)
        if start is None:
            _, g = self.tangent(zero)
            linear = self._linear(g, zero, None, _LOOSE)
            promised = linear.cell_current
            voltage = linear.cell_voltage
            before, known = zero, zero
        else:
            linear, promised, voltage = start, start.cell_current, start.cell_voltage
            before, known = voltage, promised
        last = np.inf
        for _step in range(_MAX_STEPS):
            current, g = self.tangent(voltage)
            missing = 2.0 * float(np.abs(current - promised).sum()) + float(linear.stats[1])
            if _step and missing <= max(tolerance * largest_line_current(current), NO_CURRENT):
                return self._answer(linear, current, g, missing)
            at = limited(lambda v: self.tangent(v)[0], voltage, (before, known), promised, current)
            if at is not voltage:
                current, g = self.tangent(at)
            eta = min(0.1, max(1e-6, 0.5 * (missing / last) ** 1.5)) if last < np.inf else 0.1
            offset = current - g * at
            linear = self._linear(g, offset, (linear.bit_voltage, promised), eta)
            promised = linear.cell_current + offset
            before, known, voltage = at, current, linear.cell_voltage
            if missing > 0.5 * last and missing <= 1e-13 * float((g * np.abs(voltage)).sum()):
                current, g = self.tangent(voltage)
                return self._answer(linear, current, g, missing)
            last = missing
        raise CrossbarError(
            f"the nonlinear cells were not solved within {_MAX_STEPS} Newton steps: "
            "their current must not fall with voltage, and derivative must be its derivative"
        )

    def _linear(
        self, g: FloatArray, offset: FloatArray, begin: tuple[FloatArray, FloatArray] | None, goal: float
    ) -> LineSolution:
        """Solve the array of tangents ``i = g v + offset`` to ``goal``, from bit voltages and currents."""
        size = g.size
        dense = (-offset.reshape(1, size), offset.reshape(1, size))
        state = NO_START
        if begin is not None:
            state = np.stack([begin[0].reshape(1, size), (begin[1] - offset).reshape(1, size)])
        settings = (0 if begin is None else 2, False, goal, 0.0, MAX_ITERATIONS)
        g = np.ascontiguousarray(g)
        solution = run_kernel(self.system, g, (), self.drive, dense, (state, NO_DENSE), self.kernel, settings)
        self.count += int(solution.stats[0])
        return solution

    def _answer(
        self, linear: LineSolution, current: FloatArray, g: FloatArray, missing: float
    ) -> LineSolution:
        """Return the solution with the cells' own currents, and the ends from them."""
        drive = tuple(v[0] for v in self.drive)
        ends = end_currents(self.system, current, -current, drive)
        level = float((g * (np.abs(linear.word_voltage) + np.abs(linear.bit_voltage))).sum())
        stats = np.array([self.count, missing, level, largest_line_current(current)])
        return replace(
            linear,
            conductance=g,
            cell_current=current,
            i_left=ends[0],
            i_right=ends[1],
            i_top=ends[2],
            i_bottom=ends[3],
            stats=stats,
        )


def limited(
    current_at: Callable[[FloatArray], FloatArray],
    voltage: FloatArray,
    before: tuple[FloatArray, FloatArray],
    promised: FloatArray,
    current: FloatArray,
) -> FloatArray:
    """Return where to take the tangents: closer to ``before`` where a cell overshot, else ``voltage`` itself.

    ``before``: voltage [V] and current [A] of the last tangents; ``promised``: currents of the last linear
    solve; ``current``: those at ``voltage``. On a line from ``before`` to ``voltage`` the current is taken as
    exponential, and followed to the promised current; a few rounds are enough for any stiffness met.
    """
    start, known = before
    floor = 1e-3 * float(np.abs(promised).max())
    base = np.maximum(np.abs(known), floor)
    goal = np.maximum(np.abs(promised), base)
    at = voltage
    for _round in range(4):
        over = np.abs(current) > _OVERSHOOT * goal
        if not over.any():
            break
        part = np.log(goal[over] / base[over] + 1.0) / np.log(np.abs(current[over]) / base[over] + 1.0)
        at = at.copy()
        at[over] = start[over] + part * (at[over] - start[over])
        current = current_at(at)
    return at


def largest_line_current(current: FloatArray) -> float:
    """Return the largest summed cell current of a line [A]."""
    return max(float(np.abs(current.sum(axis=0)).max()), float(np.abs(current.sum(axis=1)).max()))
