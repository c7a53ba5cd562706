"""A crossbar kept between reads: cells are written, wires changed, and reads share what they can.

What is shared, and when, is decided in `cosim.crossbar.cache`; how it is exact, in `cosim.crossbar.tree`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from cosim.crossbar.cache import MatrixCache
from cosim.crossbar.line_build import check_conductance, line_system
from cosim.crossbar.lines import DEFAULT_TOLERANCE, KernelName, LineSolution, LineSystem, solve_lines
from cosim.crossbar.newton import NonlinearCells, solve_nonlinear
from cosim.crossbar.nodal import solve_lines_nodal
from cosim.crossbar.solutions import CrossbarSolution, LineCurrents
from cosim.errors import CrossbarError

if TYPE_CHECKING:
    from cosim.crossbar.lines import FloatArray

_FALL_BACK = 1e3
"""The direct solver is asked where the error bound is this many times beyond the tolerance."""


class CrossbarNetwork:
    """A crossbar kept between reads: cells written in place, and what reads have in common kept.

    Parameters as `solve`; ``r_source_right`` and ``r_sink_top`` are ``inf`` (open) unless given. How a
    read is answered is chosen by what it costs (`cosim.crossbar.cache`) and stands in its ``applied``;
    ``cache=False`` solves every read on its own.
    """

    def __init__(
        self,
        conductance: ArrayLike,
        r_word_line: ArrayLike = 0.0,
        r_bit_line: ArrayLike = 0.0,
        r_source: ArrayLike = 0.0,
        r_sink: ArrayLike = 0.0,
        *,
        r_source_right: ArrayLike = np.inf,
        r_sink_top: ArrayLike = np.inf,
        cells: NonlinearCells | None = None,
        tolerance: float = DEFAULT_TOLERANCE,
        kernel: KernelName = "auto",
        cache: bool = True,
    ) -> None:
        g = np.array(conductance, dtype=np.float64)
        if g.ndim != 2 or not g.size:
            raise CrossbarError(f"conductance must have shape (rows, columns), not {g.shape}")
        check_conductance(g)
        self._g = g
        self._lent = False
        self._cells, self._tolerance, self._kernel = cells, tolerance, kernel
        self._version = self._wires_version = 0
        self._cached = cache and cells is None
        self._wires: dict[str, Any] = {
            "r_word_line": r_word_line,
            "r_bit_line": r_bit_line,
            "r_source": r_source,
            "r_sink": r_sink,
            "r_source_right": r_source_right,
            "r_sink_top": r_sink_top,
        }
        self._lay()

    def _lay(self) -> None:
        """Prepare the wires; whatever was derived from the old ones is gone."""
        rows, columns = self._g.shape
        self._system = line_system(rows, columns, **self._wires)
        self._cache = MatrixCache(self._system, self._tolerance, self._kernel) if self._cached else None
        self._last: LineSolution | None = None

    @property
    def conductance(self) -> FloatArray:
        """Cells [S], ``(rows, columns)``; a read-only view of the cells as they are now."""
        self._lent = True
        view = self._g.view()
        view.flags.writeable = False
        return view

    @property
    def version(self) -> int:
        """Counts the writes; whoever keeps something derived from the cells compares it."""
        return self._version

    @property
    def wires_version(self) -> int:
        """Counts the changes of wires and line ends."""
        return self._wires_version

    @property
    def system(self) -> LineSystem:
        """The wires and line ends."""
        return self._system

    def write(self, rows: ArrayLike, columns: ArrayLike, values: ArrayLike) -> None:
        """Set the conductance of some cells [S]; arguments as in ``g[rows, columns] = values``.

        Raises
        ------
        CrossbarError
            An index is outside of the array, or a conductance is refused; nothing is written then.
        """
        if isinstance(rows, int) and isinstance(columns, int) and isinstance(values, float):
            inside = 0 <= rows < self._g.shape[0] and 0 <= columns < self._g.shape[1]
            if inside and 0.0 <= values < np.inf:
                self._own()[rows, columns] = values
                self._version += 1
                if self._cache is not None:
                    self._cache.note(rows, columns, values)
                return
        before, g = self._g, self._g.copy()
        try:
            g[np.asarray(rows), np.asarray(columns)] = np.asarray(values, dtype=np.float64)
        except (IndexError, ValueError) as error:
            raise CrossbarError(
                f"these cells cannot be written to an array of shape {g.shape}: {error}"
            ) from error
        check_conductance(g)
        self._g, self._lent = g, False
        self._version += 1
        if self._cache is not None:
            self._note(before)

    def _own(self) -> FloatArray:
        """Return the cells for writing in place: copied if somebody else holds them."""
        if self._lent:
            self._g, self._lent = self._g.copy(), False
        return self._g

    def _note(self, before: FloatArray) -> None:
        """Tell the cache which cells differ from ``before``."""
        assert self._cache is not None
        rows, columns = np.nonzero(self._g != before)
        if rows.size * self._cache.costs.update > self._cache.costs.build:
            self._cache.drop()
            return
        for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
            self._cache.note(row, column, float(self._g[row, column]))

    def rewire(self, **changes: ArrayLike) -> None:
        """Change wires or line ends: any of the resistances of the constructor, by name [ohm].

        Raises
        ------
        CrossbarError
            There is no such resistance, or a value is refused; nothing changes then.
        """
        unknown = set(changes) - set(self._wires)
        if unknown:
            raise CrossbarError(f"rewire knows {', '.join(self._wires)}, not {sorted(unknown)[0]}")
        before = self._wires
        self._wires = before | changes
        try:
            self._lay()
        except CrossbarError:
            self._wires = before
            self._lay()
            raise
        self._wires_version += 1

    def prepare(self) -> str | None:
        """Build the matrix now, with what updates need; returns why that is impossible, or None."""
        if self._cache is None:
            return "nothing is kept for nonlinear cells or without the cache"
        return None if self._cache.build(self._g, True) else self._cache.refused

    def read(self, word_line_voltage: ArrayLike, bit_line_voltage: ArrayLike = 0.0) -> FloatArray:
        """Bit-line currents into the virtual grounds [A], ``(columns,)`` or ``(inputs, columns)``."""
        return self.currents(word_line_voltage, bit_line_voltage, bit_lines_only=True).bit_line_current

    def currents(
        self,
        word_line_voltage: ArrayLike,
        bit_line_voltage: ArrayLike = 0.0,
        word_line_right_voltage: ArrayLike = 0.0,
        bit_line_top_voltage: ArrayLike = 0.0,
        *,
        bit_lines_only: bool = False,
    ) -> LineCurrents:
        """Return the currents of all line ends, without node voltages; arguments as `solve`."""
        drive = (word_line_voltage, word_line_right_voltage, bit_line_top_voltage, bit_line_voltage)
        found = self._from_matrix(drive, (3,) if bit_lines_only else (0, 1, 2, 3))
        if found is not None:
            return found
        solution = self.solve(
            word_line_voltage, bit_line_voltage, word_line_right_voltage, bit_line_top_voltage
        )
        lines = solution.lines
        ends = (lines.i_left, lines.i_right, lines.i_top, lines.i_bottom)
        return LineCurrents(*ends, lines.delivered(), solution.error_bound, solution.applied)

    def cell_voltage(
        self,
        row: int,
        column: int,
        word_line_voltage: ArrayLike,
        bit_line_voltage: ArrayLike = 0.0,
        word_line_right_voltage: ArrayLike = 0.0,
        bit_line_top_voltage: ArrayLike = 0.0,
    ) -> FloatArray:
        """Voltage across one cell, word minus bit node [V], ``(...)``: what a write pulse needs of its target.

        Raises
        ------
        CrossbarError
            There is no such cell, or a voltage is refused.
        """
        if not (0 <= row < self._g.shape[0] and 0 <= column < self._g.shape[1]):
            raise CrossbarError(f"there is no cell [{row}, {column}] in an array of shape {self._g.shape}")
        drive = (word_line_voltage, word_line_right_voltage, bit_line_top_voltage, bit_line_voltage)
        batch, live = live_drives(drive, self._g.shape)
        if self._cache is not None and self._cache.ready(self._g, int(np.prod(batch)) if batch else 1):
            found = self._cache.cell_voltage(row, column, live)
            if found is not None:
                return found.reshape(batch)
        solution = self.solve(
            word_line_voltage, bit_line_voltage, word_line_right_voltage, bit_line_top_voltage
        )
        out: FloatArray = solution.device_voltage[..., row, column]
        return out

    def _from_matrix(self, drive: tuple[ArrayLike, ...], sides: tuple[int, ...]) -> LineCurrents | None:
        """Answer by the matrix, where that pays and holds."""
        if self._cache is None or self._cache.refused is not None:
            return None
        batch, live = live_drives(drive, self._g.shape)
        inputs = int(np.prod(batch)) if batch else 1
        done = self._cache.ready(self._g, inputs)
        found = None if done is None else self._cache.read(live, sides)
        if done is None or found is None:
            return None
        parts, error = found
        ends: list[FloatArray | None] = [None] * 4
        for side, part in zip(sides, parts, strict=True):
            ends[side] = part.reshape(*batch, part.shape[-1])
        power: FloatArray | None = None
        if len(sides) == 4:
            power = np.zeros(batch)
            for side, v in live.items():
                power = power + (v * parts[side]).sum(axis=-1).reshape(batch)
        return LineCurrents(ends[0], ends[1], ends[2], ends[3], power, np.full(batch, error), done)

    def solve(
        self,
        word_line_voltage: ArrayLike,
        bit_line_voltage: ArrayLike = 0.0,
        word_line_right_voltage: ArrayLike = 0.0,
        bit_line_top_voltage: ArrayLike = 0.0,
    ) -> CrossbarSolution:
        """Solve for all voltages and currents; arguments as `solve`."""
        drive = (word_line_voltage, word_line_right_voltage, bit_line_top_voltage, bit_line_voltage)
        self._lent = True
        if self._cells is not None:
            lines = solve_nonlinear(
                self._system,
                self._cells,
                *drive,
                start=self._last,
                tolerance=self._tolerance,
                kernel=self._kernel,
            )
            self._last = lines
            return CrossbarSolution(lines, f"newton line-pcg {lines.kernel}")
        lines = solve_lines(self._system, self._g, *drive, tolerance=self._tolerance, kernel=self._kernel)
        if lines.i_left.ndim == 1 and not _good(lines, self._tolerance):
            return CrossbarSolution(solve_lines_nodal(self._system, self._g, *drive), "nodal")
        return CrossbarSolution(lines, f"line-pcg {lines.kernel}")


def live_drives(
    drive: tuple[ArrayLike, ...], shape: tuple[int, int]
) -> tuple[tuple[int, ...], dict[int, FloatArray]]:
    """Return the batch shape and the voltages ``(inputs, lines)`` of the sides that are not at 0 V."""
    rows, columns = shape
    batch: tuple[int, ...] = ()
    given: dict[int, FloatArray] = {}
    for side, (value, size) in enumerate(zip(drive, (rows, rows, columns, columns), strict=True)):
        array = np.asarray(value, dtype=np.float64)
        if array.ndim == 0:
            if array == 0.0:
                continue
            array = np.full(size, array)
        if array.shape[-1] != size:
            raise CrossbarError(
                f"{_SIDES[side]} must be one number or have shape (..., {size}), not {array.shape}"
            )
        if not np.isfinite(array).all():
            at = tuple(int(k) for k in np.argwhere(~np.isfinite(array))[0])
            raise CrossbarError(f"{_SIDES[side]}[{at[-1]}] must be a finite voltage, not {array[at]:g} V")
        batch = np.broadcast_shapes(batch, array.shape[:-1])
        given[side] = array
    flat = {k: np.broadcast_to(v, (*batch, v.shape[-1])).reshape(-1, v.shape[-1]) for k, v in given.items()}
    return batch, flat


_SIDES = ("v_left", "v_right", "v_top", "v_bottom")


def _good(lines: LineSolution, tolerance: float) -> bool:
    return bool(lines.stats[1] <= _FALL_BACK * tolerance * lines.stats[3] + 1e-14 * lines.stats[2])
