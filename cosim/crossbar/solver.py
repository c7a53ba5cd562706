"""The network solver for people who only want a crossbar solved: `solve` and `CrossbarNetwork`.

::

    driver --r_source--r_word_line-- W[i,0] --r_word_line-- W[i,1] ... W[i,n-1]     (open, or driven too)
                                        |
                                     cell (i, 0)
                                        |
    (open, or tied)  ... B[i-1,0] --r_bit_line-- B[i,0] ... B[m-1,0] --r_bit_line--r_sink-- virtual ground

One wire segment lies between the driver and the first node of a word line and one between the last node
of a bit line and its virtual ground. The method, exact to an error bound that every result carries, is
told in `cosim.crossbar.lines`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cosim.crossbar.lines import (
    DEFAULT_TOLERANCE,
    KernelName,
    LineSolution,
    LineSystem,
    refuse_conductance,
    solve_lines,
)
from cosim.crossbar.newton import NonlinearCells, solve_nonlinear
from cosim.crossbar.nodal import solve_lines_nodal
from cosim.errors import CrossbarError

if TYPE_CHECKING:
    from cosim.crossbar.lines import FloatArray

_FALL_BACK = 1e3
"""The direct solver is asked where the error bound is this many times beyond the tolerance."""


@dataclass(frozen=True, slots=True, eq=False)
class CrossbarSolution:
    """Everything about one read, or about a batch of reads (``...`` below)."""

    lines: LineSolution
    applied: str
    """What answered: ``line-pcg numba``, ``line-pcg numpy``, ``newton ...`` or ``nodal``."""

    @property
    def bit_line_current(self) -> FloatArray:
        """Out of every bit line into its virtual ground [A], ``(..., columns)``."""
        out: FloatArray = -self.lines.i_bottom
        return out

    @property
    def bit_line_top_current(self) -> FloatArray:
        """Out of the far end of every bit line [A], ``(..., columns)``; 0 where it is open."""
        out: FloatArray = -self.lines.i_top
        return out

    @property
    def word_line_current(self) -> FloatArray:
        """From the driver into every word line [A], ``(..., rows)``."""
        return self.lines.i_left

    @property
    def word_line_right_current(self) -> FloatArray:
        """From the second driver into the far end of every word line [A], ``(..., rows)``."""
        return self.lines.i_right

    @property
    def device_current(self) -> FloatArray:
        """Through every cell, from word to bit line [A], ``(..., rows, columns)``."""
        return self.lines.cell_current

    @property
    def device_voltage(self) -> FloatArray:
        """Across every cell, word minus bit node [V], ``(..., rows, columns)``."""
        return self.lines.cell_voltage

    @property
    def word_line_voltage(self) -> FloatArray:
        """Word nodes [V], ``(..., rows, columns)``."""
        return self.lines.word_voltage

    @property
    def bit_line_voltage(self) -> FloatArray:
        """Bit nodes [V], ``(..., rows, columns)``."""
        return self.lines.bit_voltage

    @property
    def error_bound(self) -> FloatArray:
        """No current is wrong by more than this [A], ``(...)``."""
        return self.lines.error_bound

    @property
    def iterations(self) -> NDArray[np.int64]:
        """Conjugate gradient steps, ``(...)``."""
        return self.lines.iterations

    @property
    def power(self) -> FloatArray:
        """Delivered by all drivers [W], ``(...)``."""
        return self.lines.delivered()


def solve(
    conductance: ArrayLike,
    word_line_voltage: ArrayLike,
    r_word_line: ArrayLike = 0.0,
    r_bit_line: ArrayLike = 0.0,
    r_source: ArrayLike = 0.0,
    r_sink: ArrayLike = 0.0,
    *,
    bit_line_voltage: ArrayLike = 0.0,
    word_line_right_voltage: ArrayLike | None = None,
    r_source_right: ArrayLike | None = None,
    bit_line_top_voltage: ArrayLike | None = None,
    r_sink_top: ArrayLike | None = None,
    cells: NonlinearCells | None = None,
    tolerance: float = DEFAULT_TOLERANCE,
    kernel: KernelName = "auto",
) -> CrossbarSolution:
    """Solve a crossbar once, exactly.

    Parameters
    ----------
    conductance
        Cells [S], ``(rows, columns)``; 0 is open. With ``cells`` only its shape is read.
    word_line_voltage
        Driver voltages [V], ``(rows,)``, or ``(inputs, rows)`` for a batch.
    r_word_line, r_bit_line
        Per wire segment [ohm]; 0 is allowed and exact, ``inf`` is a broken wire. One number, or
        ``(rows, columns)``: the segment before each word node, the segment after each bit node.
    r_source, r_sink
        Driver and sense resistance [ohm], one number or one per line; ``inf`` lets the line float.
    bit_line_voltage
        Of the virtual grounds [V], ``(columns,)`` or ``(inputs, columns)``.
    word_line_right_voltage, r_source_right
        Drive the far ends of the word lines as well (through one more segment).
    bit_line_top_voltage, r_sink_top
        Tie the far ends of the bit lines as well.
    cells
        Nonlinear cells instead of ``conductance``; one drive only.
    tolerance
        Of the Kirchhoff residual relative to the largest line current; the result's ``error_bound``
        holds whatever it is.
    kernel
        ``auto`` takes numba where it is installed.

    Raises
    ------
    CrossbarError
        A shape does not fit, a value is refused, or no voltage is defined; the sentence has the index.

    Examples
    --------
    >>> import numpy as np
    >>> solution = solve(np.full((2, 2), 1e-3), [0.1, 0.2], r_word_line=1.0, r_bit_line=1.0)
    >>> solution.bit_line_current.round(9)
    array([0.000298  , 0.00029761])
    """
    network = CrossbarNetwork(
        conductance,
        r_word_line,
        r_bit_line,
        r_source,
        r_sink,
        r_source_right=_far(r_source_right, word_line_right_voltage, r_source),
        r_sink_top=_far(r_sink_top, bit_line_top_voltage, r_sink),
        cells=cells,
        tolerance=tolerance,
        kernel=kernel,
    )
    return network.solve(
        word_line_voltage,
        bit_line_voltage,
        0.0 if word_line_right_voltage is None else word_line_right_voltage,
        0.0 if bit_line_top_voltage is None else bit_line_top_voltage,
    )


def _far(resistance: ArrayLike | None, voltage: ArrayLike | None, near: ArrayLike) -> ArrayLike:
    """Resistance at a far end: as at the near end where it is driven, else open."""
    if resistance is not None:
        return resistance
    return np.inf if voltage is None else near


class CrossbarNetwork:
    """A crossbar kept between reads: wires prepared once, cells written in place.

    Parameters as `solve`; ``r_source_right`` and ``r_sink_top`` are ``inf`` (open) unless given.
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
    ) -> None:
        g = np.array(conductance, dtype=np.float64)
        if g.ndim != 2 or not g.size:
            raise CrossbarError(f"conductance must have shape (rows, columns), not {g.shape}")
        check_conductance(g)
        self._g = g
        rows, columns = g.shape
        self._system = line_system(
            rows, columns, r_word_line, r_bit_line, r_source, r_sink, r_source_right, r_sink_top
        )
        self._cells, self._tolerance, self._kernel = cells, tolerance, kernel
        self._version = 0
        self._last: LineSolution | None = None

    @property
    def conductance(self) -> FloatArray:
        """Cells [S], ``(rows, columns)``; a read-only view."""
        view = self._g.view()
        view.flags.writeable = False
        return view

    @property
    def version(self) -> int:
        """Counts the writes; whoever keeps something derived from the cells compares it."""
        return self._version

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
        g = self._g.copy()
        try:
            g[np.asarray(rows), np.asarray(columns)] = np.asarray(values, dtype=np.float64)
        except (IndexError, ValueError) as error:
            raise CrossbarError(
                f"these cells cannot be written to an array of shape {g.shape}: {error}"
            ) from error
        check_conductance(g)
        self._g = g
        self._version += 1

    def read(self, word_line_voltage: ArrayLike, bit_line_voltage: ArrayLike = 0.0) -> FloatArray:
        """Bit-line currents into the virtual grounds [A], ``(columns,)`` or ``(inputs, columns)``."""
        return self.solve(word_line_voltage, bit_line_voltage).bit_line_current

    def solve(
        self,
        word_line_voltage: ArrayLike,
        bit_line_voltage: ArrayLike = 0.0,
        word_line_right_voltage: ArrayLike = 0.0,
        bit_line_top_voltage: ArrayLike = 0.0,
    ) -> CrossbarSolution:
        """Solve for all voltages and currents; arguments as `solve`."""
        drive = (word_line_voltage, word_line_right_voltage, bit_line_top_voltage, bit_line_voltage)
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


def _good(lines: LineSolution, tolerance: float) -> bool:
    return bool(lines.stats[1] <= _FALL_BACK * tolerance * lines.stats[3] + 1e-14 * lines.stats[2])


def check_conductance(conductance: FloatArray) -> None:
    """Refuse negative, NaN and infinite conductances, with the index of the first."""
    bad = np.flatnonzero(~((conductance >= 0) & (conductance < np.inf)))
    if bad.size:
        refuse_conductance(conductance, int(bad[0]))


def line_system(
    rows: int,
    columns: int,
    r_word_line: ArrayLike = 0.0,
    r_bit_line: ArrayLike = 0.0,
    r_source: ArrayLike = 0.0,
    r_sink: ArrayLike = 0.0,
    r_source_right: ArrayLike = np.inf,
    r_sink_top: ArrayLike = np.inf,
) -> LineSystem:
    """`LineSystem` of an array with one wire segment in front of every driven end; arguments as `solve`."""
    word = _segment_array(r_word_line, (rows, columns), "r_word_line")
    bit = _segment_array(r_bit_line, (rows, columns), "r_bit_line")
    first = word if word.ndim == 0 else word[:, 0]
    last = bit if bit.ndim == 0 else bit[-1]
    return LineSystem(
        rows,
        columns,
        float(word) if word.ndim == 0 else word[:, 1:],
        float(bit) if bit.ndim == 0 else bit[:-1],
        first + _per_line(r_source, rows, "r_source"),
        _per_line(r_source_right, rows, "r_source_right") + (word if word.ndim == 0 else 0.0),
        _per_line(r_sink_top, columns, "r_sink_top") + (bit if bit.ndim == 0 else 0.0),
        last + _per_line(r_sink, columns, "r_sink"),
    )


def _segment_array(value: ArrayLike, shape: tuple[int, int], name: str) -> FloatArray:
    given = np.asarray(value, dtype=np.float64)
    if given.ndim and given.shape != shape:
        raise CrossbarError(f"{name} must be one number or have shape {shape}, not {given.shape}")
    _check_resistance(given, name)
    return given


def _per_line(value: ArrayLike, lines: int, name: str) -> FloatArray:
    given = np.asarray(value, dtype=np.float64)
    if given.ndim and given.shape != (lines,):
        raise CrossbarError(f"{name} must be one number or have shape ({lines},), not {given.shape}")
    _check_resistance(given, name)
    return np.array(np.broadcast_to(given, (lines,)))


def _check_resistance(given: FloatArray, name: str) -> None:
    bad = np.argwhere(~(given >= 0))
    if bad.size or (given.ndim == 0 and not given >= 0):
        index = ", ".join(str(k) for k in bad[0]) if given.ndim else ""
        place = f"{name}[{index}]" if index else name
        raise CrossbarError(f"{place} must be 0 or positive (inf is open), not {given[tuple(bad[0])]:g} ohm")


# -- cells that are more than one resistor ------------------------------------------------------------


def with_access(conductance: ArrayLike, r_access: ArrayLike, gate: ArrayLike = True) -> FloatArray:
    """Cells behind their access devices, as conductance [S] for the solver (1T1R, 1S1R at its on-resistance).

    Parameters
    ----------
    conductance
        Memristors [S], ``(rows, columns)``.
    r_access
        On-resistance of the access device [ohm], one number or ``(rows, columns)``.
    gate
        Whether it is on: broadcast to ``(rows, columns)``, so ``gate[:, None]`` gates whole rows. A cell
        that is off is open.
    """
    g = np.asarray(conductance, dtype=np.float64)
    joined: FloatArray = np.where(gate, g / (1.0 + g * np.asarray(r_access, dtype=np.float64)), 0.0)
    return joined


def interleave(positive: ArrayLike, negative: ArrayLike) -> FloatArray:
    """Positive and negative cells on shared bit lines: ``(2 * rows, columns)``, rows alternating.

    Drive the odd rows with the negated voltages: `interleave_drive`.
    """
    g = np.stack([np.asarray(positive, dtype=np.float64), np.asarray(negative, dtype=np.float64)], axis=1)
    return g.reshape(-1, g.shape[-1])


def interleave_drive(word_line_voltage: ArrayLike) -> FloatArray:
    """Voltages of an interleaved array [V], ``(..., 2 * rows)``: each voltage, then its negative."""
    v = np.asarray(word_line_voltage, dtype=np.float64)
    return np.stack([v, -v], axis=-1).reshape(*v.shape[:-1], -1)
