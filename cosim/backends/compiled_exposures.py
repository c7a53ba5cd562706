"""Exposures of many cells over many reads, compiled by numba; see `cosim.backends.moving_reads`.

One call does it all without the interpreter, so that a second thread hardly waits for the first one. Single precision: its rounding
(1e-7) is far below the error of the table. This module imports numba: import it where it is used.
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


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "nsz"})
def accumulate(
    voltages: Single, transfer: Single, chunk: int, span: float, table: Single, exposure: FloatArray
) -> None:
    """Add to ``exposure`` ``(2, cells)`` what ``table``, from -span to span [V], says of all reads.

    The voltages on the devices are ``voltages`` ``(reads, rows)`` [V] times ``transfer`` ``(rows, cells)``, ``chunk`` reads at a
    time. ``table`` ``(intervals, 4)``: value and rise of either exposure. All but ``exposure`` in single precision.
    """
    last = np.float32(table.shape[0]) - np.float32(0.5)
    scale, reach = np.float32(table.shape[0] / (2.0 * span)), np.float32(span)
    up, down = np.empty(_BLOCK, np.float32), np.empty(_BLOCK, np.float32)
    for first in range(0, voltages.shape[0], chunk):
        cells = np.dot(voltages[first : first + chunk], transfer)
        for start in range(0, cells.shape[1], _BLOCK):
            width = min(_BLOCK, cells.shape[1] - start)
            up[:] = 0.0
            down[:] = 0.0
            for n in range(cells.shape[0]):
                row = cells[n, start : start + width]
                # Indices without sign: one that might count from the end costs a test.
                for c in range(width):
                    position = (row[np.uintp(c)] + reach) * scale
                    position = position if position < last else last
                    position = position if position > np.float32(0.0) else np.float32(0.0)
                    whole = np.uint32(position)
                    part = position - np.float32(whole)
                    k = np.uintp(whole)
                    up[np.uintp(c)] += table[k, 0] + part * table[k, 1]
                    down[np.uintp(c)] += table[k, 2] + part * table[k, 3]
            for c in range(width):
                exposure[0, start + c] += up[c]
                exposure[1, start + c] += down[c]
