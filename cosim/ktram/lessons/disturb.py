"""What (FF, RH) on one kT-bit does to its neighbours: 4 x 4 crossbars under three line policies, and one row.

In an R x C array with floating lines a half-selected cell of a uniform array sees the share Gs/((C-1)G) of the voltage, 3/7 in a
4 x 4 array, far above threshold at 1 V; an array of one row has no sneak path (`docs/ktram-circuits.md`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from cosim.ktram.core import Core
from cosim.ktram.lane_network import LaneCircuit
from cosim.ktram.lessons.drawing import figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Lines = Literal["floating", "grounded", "tracking"]
CASES: tuple[tuple[Lines, int, int], ...] = (
    ("floating", 4, 4),
    ("grounded", 4, 4),
    ("tracking", 4, 4),
    ("floating", 1, 16),
)


@dataclass(frozen=True)
class Disturb:
    """Change of all conductances of a space in parts of the range, ``(2, rows, columns)``: a-side, b-side."""

    name: str
    address: int
    change: NDArray[np.float64]

    @property
    def largest_neighbour(self) -> float:
        """Largest change of a cell that was not selected."""
        others = np.abs(self.change).reshape(2, -1)
        return float(np.delete(others, self.address, axis=1).max())


def disturb(lines: Lines, rows: int, columns: int, pairs: int = 10, address: int = 5) -> Disturb:
    """Pulse one kT-bit of a uniform space of ``rs`` devices with (FF, RH)."""
    core = Core(
        rows, columns, 1, model="rs", init="medium_noiseless", read_noise=0, fidelity="physical",
        circuit=LaneCircuit(lines=lines),
    )  # fmt: skip
    before = core.state.copy()
    for _ in range(pairs):
        core.evaluate((address,), "FF")
        core.evaluate((address,), "RH")
    change = ((core.state - before)[0] / (core.law.g_max - core.law.g_min)).T.reshape(2, rows, columns)
    return Disturb(f"{rows} x {columns}, {lines}", address, change)


def draw_disturb(cases: list[Disturb]) -> Figure:
    """Draw the changes of both sides, one column for each case."""
    drawn, axes = figure(2, len(cases), (2.4 * len(cases), 4.6))
    limit = max(float(np.abs(case.change).max()) for case in cases)
    shown: Any = None
    for column, case in enumerate(cases):
        for side, name in enumerate(("a-side", "b-side")):
            ax = axes[side, column]
            picture = case.change[side].reshape(4, -1) if case.change.shape[1] == 1 else case.change[side]
            shown = ax.imshow(picture, cmap="RdBu_r", vmin=-limit, vmax=limit)
            for (i, j), value in np.ndenumerate(picture):
                ax.text(j, i, f"{round(1000 * value)}", ha="center", va="center", fontsize=7)
            ax.grid(visible=False)
            ax.set(xticks=[], yticks=[])
            ax.set_title(f"{case.name}\n{name}" if side == 0 else name, fontsize=9)
    drawn.colorbar(shown, ax=axes, label="change, parts of the range")
    return drawn
