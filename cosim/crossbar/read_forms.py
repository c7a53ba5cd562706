r"""Many reads of one array with fixed cells: currents are linear, powers quadratic in the word-line voltages.

With word lines driven at their left ends, bit lines at virtual ground, and all other ends open, every cell
current is :math:`i_c = \sum_a A_{ac} v_a`, with one solve for each word line. A sum of :math:`w_c i_c^2` over cells,
segments or line ends is then :math:`v^T Q v` with :math:`Q = A\,\mathrm{diag}(w)\,A^T`, so that a read costs a few
products with ``(rows, rows)`` matrices and no solve. The energy of each cell over all reads follows from their second
moment :math:`S = \sum_n v_n v_n^T`: :math:`w_c \sum_{ab} A_{ac} S_{ab} A_{bc}`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cosim.crossbar.lines import LineSystem, solve_lines
from cosim.crossbar.network import CrossbarArray
from cosim.devices.base import FloatArray

LARGEST = 1 << 24
"""Largest rows * rows * columns for which the currents of all cells per word line are kept (8 bytes each)."""


@dataclass(frozen=True, slots=True, eq=False)
class ReadPowers:
    """Currents and powers of reads at their plateau, one row or entry per read.

    ``current`` ``(reads, columns)`` [A] into the virtual grounds; the others ``(reads,)`` [W].
    """

    current: FloatArray
    delivered: FloatArray
    absorbed: FloatArray
    cells: FloatArray
    access: FloatArray
    wires: FloatArray
    ends: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class ReadForms:
    """The reads of one array.

    ``matrix`` ``(rows, columns)`` and ``entry`` ``(rows, rows)`` [S] give the currents at the bit and word lines, the other ``(rows, rows)`` [S] the powers; ``cell_current`` ``(rows, cells)`` [S];
    ``resistance`` ``(cells,)`` [ohm] of the devices; ``residual``: worst relative Kirchhoff residual.
    """

    matrix: FloatArray
    entry: FloatArray
    cells: FloatArray
    access: FloatArray
    wires: FloatArray
    ends: FloatArray
    cell_current: FloatArray
    resistance: FloatArray
    residual: float

    def powers(self, voltage: FloatArray) -> ReadPowers:
        """Return currents and powers for word-line voltages ``(reads, rows)`` [V]."""
        at_lines = voltage * (voltage @ self.entry)
        quadratic = [
            np.einsum("nr,nr->n", voltage @ form, voltage)
            for form in (self.cells, self.access, self.wires, self.ends)
        ]
        delivered, absorbed = np.maximum(at_lines, 0.0).sum(axis=1), np.maximum(-at_lines, 0.0).sum(axis=1)
        return ReadPowers(voltage @ self.matrix, delivered, absorbed, *quadratic)

    def cell_powers(self, moment: FloatArray) -> FloatArray:
        """Return the power in every device, flat ``(cells,)`` [W], summed over reads with second moment ``(rows, rows)`` [V²]."""
        summed: FloatArray = np.einsum("rc,rc->c", moment @ self.cell_current, self.cell_current)
        return summed * self.resistance


def read_forms(
    array: CrossbarArray, device: FloatArray, seen: FloatArray, *, wires: bool = True
) -> ReadForms | None:
    """Return the forms of an array, or None where it is wired otherwise or too large.

    ``device``, ``seen``: conductance of the devices, and with their access devices [S], ``(rows, columns)``.
    ``wires=False``: without wire and line-end resistance.
    """
    driven = array.left is not None and array.bottom is not None
    if not driven or array.right is not None or array.top is not None:
        return None
    if array.rows * array.rows * array.columns > LARGEST:
        return None
    factor = 1.0 if wires else 0.0
    word, bit = array.word_segments * factor, array.bit_segments * factor
    r_left, r_bottom = word[:, 0] + factor * array.r_left, bit[-1] + factor * array.r_bottom
    system = LineSystem(
        array.rows, array.columns, word[:, 1:-1], bit[1:-1], r_left=r_left, r_right=np.full(array.rows, np.inf),
        r_top=np.full(array.columns, np.inf), r_bottom=r_bottom,
    )  # fmt: skip
    solution = solve_lines(system, seen, np.eye(array.rows), 0.0, 0.0, 0.0)
    current = solution.cell_current
    left, bottom = solution.i_left, -solution.i_bottom
    along = np.cumsum(current[:, :, :0:-1], axis=2)[:, :, ::-1]
    down = np.cumsum(current[:, :-1], axis=1)
    with np.errstate(divide="ignore"):
        resistance = np.where(device > 0, 1.0 / device, 0.0).ravel()
    missed, largest = solution.stats[..., 1], solution.stats[..., 3]
    in_wires = _form(along, word[:, 1:-1]) + _form(down, bit[1:-1])
    in_wires += _form(left, word[:, 0]) + _form(bottom, bit[-1])
    flat = current.reshape(array.rows, -1)
    return ReadForms(
        bottom, left, _form(flat, resistance), array.cell.series_resistance * (flat @ flat.T), in_wires,
        factor * (array.r_left * (left @ left.T) + array.r_bottom * (bottom @ bottom.T)), flat, resistance,
        float((missed / np.where(largest > 0, largest, 1.0)).max(initial=0.0)),
    )  # fmt: skip


def _form(current: FloatArray, weight: FloatArray) -> FloatArray:
    """Return sum over places of weight * current_a * current_b, ``(rows, rows)``."""
    if not np.any(weight):
        return np.zeros((len(current), len(current)))
    scaled = (current * np.sqrt(weight)).reshape(len(current), -1)
    result: FloatArray = scaled @ scaled.T
    return result
