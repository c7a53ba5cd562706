"""What the pictures of the lessons share: figure, colors, grid, bars of integers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Colors that stay apart for color-blind readers: M. Okabe and K. Ito, "Color Universal Design" (2008).
BLUE, ORANGE, GREEN, RED = "#0072B2", "#E69F00", "#009E73", "#D55E00"
PURPLE, SKY, GREY, LIGHT = "#CC79A7", "#56B4E9", "0.55", "0.9"
MODEL_COLOR = {"float": BLUE, "byte": ORANGE, "rs": RED, "mss": GREEN}


def figure(
    rows: int = 1, columns: int = 1, size: tuple[float, float] = (6.4, 4.0), **kwargs: Any
) -> tuple[Figure, NDArray[Any]]:
    """Return a figure of ``size`` [inch] and its axes, shape ``(rows, columns)``; nothing global is touched."""
    from matplotlib.figure import Figure

    drawn = Figure(figsize=size, layout="constrained")
    axes = drawn.subplots(rows, columns, squeeze=False, **kwargs)
    for ax in axes.flat:
        ax.grid(color=LIGHT, linewidth=0.6)
        ax.set_axisbelow(True)
        ax.spines[["top", "right"]].set_visible(False)
        ax.tick_params(labelsize=8)
    return drawn, axes


def weight_axis(ax: Axes, steps: str) -> None:
    """Make ``ax`` a plot of weights -1 to 1 over ``steps``."""
    ax.axhline(0.0, color=GREY, linewidth=0.6)
    ax.set(ylim=(-1.05, 1.05), xlabel=steps, ylabel="weight w = (Ga - Gb) / (Ga + Gb)")


def weight_plane(ax: Axes, limit: float) -> None:
    """Make ``ax`` the plane of two weights."""
    ax.axhline(0.0, color=GREY, linewidth=0.6)
    ax.axvline(0.0, color=GREY, linewidth=0.6)
    ax.set(xlim=(-limit, limit), ylim=(-limit, limit), xlabel="weight w0", ylabel="weight w1", aspect="equal")


def labelled_bars(
    ax: Axes,
    names: list[str],
    heights: NDArray[np.floating[Any]],
    color: str | list[str],
    text: str = "{:.3f}",
) -> None:
    """Draw one bar for each name with its height written inside."""
    bars = ax.bar(names, heights, color=color, edgecolor="0.3", linewidth=0.6)
    ax.bar_label(
        bars, [text.format(height) for height in heights], label_type="center", color="w", fontsize=8
    )


def matrix(ax: Axes, values: NDArray[Any], row_names: list[str], column_names: list[str], title: str) -> None:
    """Draw a matrix of counts with the numbers in its fields."""
    ax.grid(False)
    ax.imshow(values, cmap="Blues")
    ax.set_xticks(range(len(column_names)), column_names)
    ax.set_yticks(range(len(row_names)), row_names)
    dark = values.max() / 2
    for (row, column), value in np.ndenumerate(values):
        ax.text(
            column, row, f"{value}", ha="center", va="center", fontsize=8, color="w" if value > dark else "k"
        )
    ax.set(xlabel="predicted", ylabel="true")
    ax.set_title(title, fontsize=9)
