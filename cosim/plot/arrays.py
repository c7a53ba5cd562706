"""Arrays: a solved crossbar with its node voltages and branch currents, and maps of cells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from cosim.crossbar.solutions import CrossbarSolution
from cosim.errors import CrossbarError
from cosim.plot.style import axes_of, with_unit

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MAX_DRAWN = 64
"""Rows or columns of the largest array whose nodes are drawn one by one."""


def crossbar(solution: CrossbarSolution, ax: Axes | None = None, *, labels: bool = True) -> Axes:
    """Draw a solved crossbar: nodes coloured by voltage [V], wires and cells by the magnitude of their current [A].

    Word lines run from their drivers on the left, bit lines to their virtual grounds at the bottom; each cell is the
    slanted branch between its two nodes. ``solution``: of one read (`cosim.crossbar.solve`) whose far line ends are
    open. Raises `CrossbarError` for a batch, or an array with more than 64 rows or columns.
    """
    from matplotlib.collections import LineCollection

    current = np.asarray(solution.device_current)
    if current.ndim != 2 or max(current.shape) > MAX_DRAWN:
        raise CrossbarError(
            f"plot.crossbar: takes one read of an array of at most {MAX_DRAWN} x {MAX_DRAWN} cells, not shape {current.shape}; draw a part, or plot.conductance_map"
        )
    ax = axes_of(ax)
    segments, amperes = _branches(current)
    wires: Any = LineCollection(segments, array=np.abs(amperes), cmap="plasma_r", linewidths=1.6, zorder=1)
    ax.add_collection(wires)
    rows, columns = np.indices(current.shape)
    voltage = np.stack([solution.word_line_voltage, solution.bit_line_voltage])
    spots = ax.scatter(
        np.stack([columns, columns + _SHIFT]), np.stack([rows, rows + _SHIFT]), c=voltage, cmap="viridis",
        s=min(18.0, 600.0 / max(current.shape) ** 1.2), zorder=2, edgecolors="none",
    )  # fmt: skip
    ax.set(aspect="equal", xlim=(-1.2, current.shape[1]), ylim=(current.shape[0] + 0.9, -0.6))
    ax.set_axis_off()
    if labels:
        for row in range(current.shape[0]):
            ax.text(-1.1, row, f"w{row}", ha="right", va="center")
        for column in range(current.shape[1]):
            ax.text(column + _SHIFT, current.shape[0] + 0.8, f"b{column}", ha="center", va="top")
    figure = ax.figure
    with_unit(figure.colorbar(spots, ax=ax, shrink=0.8).ax.yaxis, "node voltage", "V")
    with_unit(figure.colorbar(wires, ax=ax, shrink=0.8).ax.yaxis, "branch current", "A")
    return ax


_SHIFT = 0.35
"""Of a bit-line node beside its word-line node, in cells."""


def _branches(current: Any) -> tuple[Any, Any]:
    """Return the segments ``(branches, 2, 2)`` of word lines, bit lines and cells, and their currents [A]."""
    rows, columns = np.indices(current.shape)
    word = np.cumsum(current[:, ::-1], axis=1)[:, ::-1]
    bit = np.cumsum(current, axis=0)
    low, high = (columns, rows), (columns + _SHIFT, rows + _SHIFT)

    def joined(start: Any, end: Any) -> Any:
        return np.stack([np.stack(start, axis=-1), np.stack(end, axis=-1)], axis=-2).reshape(-1, 2, 2)

    segments = np.concatenate(
        [
            joined((columns - 1, rows), low),
            joined(high, (columns + _SHIFT, rows + 1 + _SHIFT)),
            joined(low, high),
        ]
    )
    return segments, np.concatenate([word.ravel(), bit.ravel(), current.ravel()])


def conductance_map(
    values: ArrayLike,
    ax: Axes | None = None,
    *,
    label: str = "conductance",
    unit: str = "S",
    signed: bool = False,
) -> Axes:
    """Draw a map of cells ``(rows, columns)``, row 0 on top; ``signed`` has a scale with zero in its middle."""
    table = np.asarray(values, dtype=np.float64)
    bound = float(np.nanmax(np.abs(table), initial=0.0)) or 1.0
    scale: dict[str, Any] = (
        {"cmap": "RdBu_r", "vmin": -bound, "vmax": bound} if signed else {"cmap": "viridis"}
    )
    ax = axes_of(ax)
    image = ax.imshow(table, interpolation="nearest", **scale)
    ax.set(xlabel="column (bit line)", ylabel="row (word line)")
    with_unit(ax.figure.colorbar(image, ax=ax).ax.yaxis, label, unit)
    return ax
