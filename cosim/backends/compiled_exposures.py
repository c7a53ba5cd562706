"""Exposures of many cells over many reads, compiled by numba; see `cosim.backends.moving_reads`.

This module imports numba: import it where it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numba

if TYPE_CHECKING:
    from cosim.devices.base import FloatArray


@numba.njit(cache=True, nogil=True, error_model="numpy")
def accumulate(cells: FloatArray, span: float, table: FloatArray, exposure: FloatArray) -> None:
    """Add to ``exposure`` ``(2, cells)`` what ``table`` ``(nodes, 2)``, from -span to span, says of voltages ``(reads, cells)`` [V]."""
    last = table.shape[0] - 2
    scale = (last + 1) / (2.0 * span)
    for n in range(cells.shape[0]):
        for c in range(cells.shape[1]):
            position = (cells[n, c] + span) * scale
            k = min(max(int(position), 0), last)
            part = position - k
            exposure[0, c] += table[k, 0] + part * (table[k + 1, 0] - table[k, 0])
            exposure[1, c] += table[k, 1] + part * (table[k + 1, 1] - table[k, 1])
