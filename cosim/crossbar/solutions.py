"""What comes out of a crossbar read: everything, or the currents of the line ends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cosim.crossbar.lines import LineSolution

if TYPE_CHECKING:
    from cosim.crossbar.lines import FloatArray


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


@dataclass(frozen=True, slots=True, eq=False)
class LineCurrents:
    """The currents at the line ends of one read, or of a batch of reads, without node voltages.

    Currents into the array [A], ``(..., rows)`` and ``(..., columns)``; None where they were not asked for.
    """

    i_left: FloatArray | None
    i_right: FloatArray | None
    i_top: FloatArray | None
    i_bottom: FloatArray | None
    power: FloatArray | None
    """Delivered by all drivers [W], ``(...)``."""
    error_bound: FloatArray
    """What a current may be wrong by [A], ``(...)``: a bound where the line solver answered; of a cached matrix an
    estimate from its rounding (measured at the row sums), checked against the line solver now and then."""
    applied: str
    """What answered: ``cached matrix``, ``cached matrix, 1 cell updated``, ``..., built``, ``..., rebuilt``, or as
    `CrossbarSolution.applied`."""

    @property
    def bit_line_current(self) -> FloatArray:
        """Out of every bit line into its virtual ground [A], ``(..., columns)``."""
        assert self.i_bottom is not None
        out: FloatArray = -self.i_bottom
        return out
