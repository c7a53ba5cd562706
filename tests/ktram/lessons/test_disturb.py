"""Writing one kT-bit: neighbours move in crossbars of several rows, in those of one row they do not."""

from __future__ import annotations

import numpy as np
import pytest

from cosim.ktram.lessons.disturb import CASES, disturb


@pytest.mark.parametrize("case", CASES, ids=[f"{rows}x{columns}-{lines}" for lines, rows, columns in CASES])
def test_neighbours(case: tuple[str, int, int]) -> None:
    lines, rows, columns = case
    found = disturb(lines, rows, columns)  # type: ignore[arg-type]
    selected = np.abs(found.change.reshape(2, -1)[:, 5])
    assert selected.max() > 0.01
    if rows == 1:
        assert found.largest_neighbour == 0.0
    else:
        assert found.largest_neighbour > 0.05 * selected.max()
    if (
        lines == "floating" and rows == 4
    ):  # the nine cells off both lines see at most 2/7 V, barely above threshold
        row, column = divmod(5, 4)
        off = np.delete(np.delete(np.abs(found.change), row, axis=1), column, axis=2)
        assert off.max() < 0.2 * found.largest_neighbour
