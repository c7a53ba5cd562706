"""Exposures of many cells over many reads, compiled by numba; see `cosim.backends.moving_reads`.

One call does it all without the interpreter, so that a second thread hardly waits for the first one. Single precision: its rounding
(1e-7) is far below the error of the table. This module imports numba: import it where it is used.

Where every word line is either at 0 V or at one level, as with bits in series, the product with the transfer is a sum of rows:
four rows have sixteen sums, which are made once, so that a read takes one addition for four of them (V. L. Arlazarov et al.,
Soviet Math. Dokl. 11 (1970) 1209, the method of four Russians).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numba
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cosim.devices.base import FloatArray

    Single = NDArray[np.float32]

_BLOCK = 512
_SUMMED_BLOCK = 256
"""Cells whose sums of rows are held at a time: for 128 rows half a megabyte."""
_AT_ONCE = 8
"""Groups of four rows that are added in one pass."""


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "nsz"})
def _add(cells: Single, width: int, span: float, table: Single, up: Single, down: Single) -> None:
    """Add to ``up`` and ``down`` what the table says of the first ``width`` voltages."""
    last = np.float32(table.shape[0]) - np.float32(0.5)
    scale, reach = np.float32(table.shape[0] / (2.0 * span)), np.float32(span)
    # Indices without sign: one that might count from the end costs a test.
    for c in range(width):
        position = (cells[np.uintp(c)] + reach) * scale
        position = position if position < last else last
        position = position if position > np.float32(0.0) else np.float32(0.0)
        whole = np.uint32(position)
        part = position - np.float32(whole)
        k = np.uintp(whole)
        up[np.uintp(c)] += table[k, 0] + part * table[k, 1]
        down[np.uintp(c)] += table[k, 2] + part * table[k, 3]


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "nsz"})
def accumulate(
    voltages: Single, transfer: Single, chunk: int, span: float, table: Single, exposure: FloatArray
) -> None:
    """Add to ``exposure`` ``(2, cells)`` what ``table``, from -span to span [V], says of all reads.

    The voltages on the devices are ``voltages`` ``(reads, rows)`` [V] times ``transfer`` ``(rows, cells)``, ``chunk`` reads at a
    time. ``table`` ``(intervals, 4)``: value and rise of either exposure. All but ``exposure`` in single precision.
    """
    up, down = np.empty(_BLOCK, np.float32), np.empty(_BLOCK, np.float32)
    for first in range(0, voltages.shape[0], chunk):
        cells = np.dot(voltages[first : first + chunk], transfer)
        for start in range(0, cells.shape[1], _BLOCK):
            width = min(_BLOCK, cells.shape[1] - start)
            up[:] = 0.0
            down[:] = 0.0
            for n in range(cells.shape[0]):
                _add(cells[n, start : start + width], width, span, table, up, down)
            for c in range(width):
                exposure[0, start + c] += up[c]
                exposure[1, start + c] += down[c]


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "nsz"})
def accumulate_on(
    patterns: NDArray[np.uint8], level: float, transfer: Single, chunk: int, span: float, table: Single, exposure: FloatArray
) -> None:  # fmt: skip
    """Do what `accumulate` does where every word line is at 0 V or at ``level`` [V].

    ``patterns`` ``(reads, groups)``: which of four neighbouring rows are on, the first one in the lowest bit; groups in multiples
    of eight.
    """
    width_of_all, groups = transfer.shape[1], patterns.shape[1]
    sums = np.zeros((16 * groups, _SUMMED_BLOCK), np.float32)
    cells = np.empty(_SUMMED_BLOCK, np.float32)
    up, down = np.empty(_SUMMED_BLOCK, np.float32), np.empty(_SUMMED_BLOCK, np.float32)
    for start in range(0, width_of_all, _SUMMED_BLOCK):
        width = min(_SUMMED_BLOCK, width_of_all - start)
        _sum_rows(level, transfer[:, start : start + width], sums)
        for first in range(0, patterns.shape[0], chunk):
            up[:] = 0.0
            down[:] = 0.0
            for n in range(first, min(first + chunk, patterns.shape[0])):
                _sum_groups(patterns[n], sums, cells)
                _add(cells, width, span, table, up, down)
            for c in range(width):
                exposure[0, start + c] += up[c]
                exposure[1, start + c] += down[c]


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "nsz"})
def _sum_rows(level: float, transfer: Single, sums: Single) -> None:
    """Write the sums of all subsets of four neighbouring rows, ``(16 * groups, cells)``, each from one with a row less."""
    single = np.float32(level)
    for group in range(sums.shape[0] // 16):
        for pattern in range(1, 16):
            place, lowest = 16 * group + pattern, pattern & -pattern
            row = 4 * group + (lowest > 1) + (lowest > 2) + (lowest > 4)
            for c in range(transfer.shape[1]):
                more = single * transfer[row, c] if row < transfer.shape[0] else np.float32(0.0)
                sums[place, c] = sums[place - lowest, c] + more


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "nsz"})
def _sum_groups(pattern: NDArray[np.uint8], sums: Single, cells: Single) -> None:
    """Write the voltages of the cells in one read: the sum of its groups, eight at a time."""
    cells[:] = 0.0
    for g in range(0, pattern.shape[0], _AT_ONCE):
        a, b, c, d, e, f, h, i = (
            np.uintp(16 * g + pattern[g]), np.uintp(16 * g + 16 + pattern[g + 1]),
            np.uintp(16 * g + 32 + pattern[g + 2]), np.uintp(16 * g + 48 + pattern[g + 3]),
            np.uintp(16 * g + 64 + pattern[g + 4]), np.uintp(16 * g + 80 + pattern[g + 5]),
            np.uintp(16 * g + 96 + pattern[g + 6]), np.uintp(16 * g + 112 + pattern[g + 7]),
        )  # fmt: skip
        for n in range(cells.shape[0]):
            k = np.uintp(n)
            cells[k] += ((sums[a, k] + sums[b, k]) + (sums[c, k] + sums[d, k])) + (
                (sums[e, k] + sums[f, k]) + (sums[h, k] + sums[i, k])
            )
