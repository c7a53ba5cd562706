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

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from cosim.crossbar.kept import CrossbarNetwork
from cosim.crossbar.line_build import check_conductance, line_system
from cosim.crossbar.lines import DEFAULT_TOLERANCE, KernelName
from cosim.crossbar.newton import NonlinearCells
from cosim.crossbar.solutions import CrossbarSolution, LineCurrents

if TYPE_CHECKING:
    from cosim.crossbar.lines import FloatArray

__all__ = [
    "CrossbarNetwork",
    "CrossbarSolution",
    "LineCurrents",
    "check_conductance",
    "interleave",
    "interleave_drive",
    "line_system",
    "solve",
    "with_access",
]


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
        cache=False,
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
