"""A weight is two numbers, and how a pair is read: as a divider (2-1) or as a difference of currents (1-2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cosim.ktram.core import Core
from cosim.ktram.lessons.drawing import BLUE, GREEN, ORANGE, RED, figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class TwoReadouts:
    """Both readouts of the same pairs for a growing number of active ones, shape ``(active,)``.

    ``divider`` is y = sum(Ga - Gb) / sum(Ga + Gb); ``current`` [A] is V sum(Ga - Gb) at the read voltage V.
    """

    active: NDArray[np.int64]
    divider: NDArray[np.float64]
    current: NDArray[np.float64]


def two_readouts(spaces: int = 16, y0: float = 0.4, read_voltage: float = 0.05) -> TwoReadouts:
    """Read 1 to ``spaces`` pairs of weight ``y0`` together, as a divider and as a difference of currents."""
    core = Core(1, 1, spaces_per_lane=spaces, model="rs", seed=1, read_noise=0)
    core.set_start_y(0, (0,) * spaces, y0)
    counts = np.arange(1, spaces + 1)
    divider, current = np.empty(spaces), np.empty(spaces)
    for place, active in enumerate(counts):
        aat = (0,) * int(active) + (None,) * (spaces - int(active))
        divider[place] = core.evaluate(aat, "FFLV")
        pairs = np.reshape(core.read_gab(0, aat), (-1, 2))
        current[place] = read_voltage * (pairs[:, 0] - pairs[:, 1]).sum()
    return TwoReadouts(counts, divider, current)


def draw_two_readouts(readouts: TwoReadouts) -> Figure:
    """Draw both circuits and what they read."""
    drawn, axes = figure(2, 2, (8.6, 6.2), height_ratios=[1.2, 1])
    _draw_divider(axes[0, 0])
    _draw_currents(axes[0, 1])
    axes[1, 0].plot(readouts.active, readouts.divider, "o-", color=BLUE, markersize=4)
    axes[1, 0].set(ylim=(0, 1), xlabel="active pairs", ylabel="reading y")
    axes[1, 0].set_title("an average: independent of how many", fontsize=9)
    axes[1, 1].plot(readouts.active, 1e6 * readouts.current, "o-", color=ORANGE, markersize=4)
    axes[1, 1].set(xlabel="active pairs", ylabel="current difference [uA]")
    axes[1, 1].set_title("a sum: grows with the number", fontsize=9)
    return drawn


def draw_two_numbers(levels: tuple[float, float] = (0.12, 0.45), y0: float = 0.3) -> Figure:
    """Draw two pairs of the same weight and different magnitude, as the dividers that a read sees."""
    drawn, ((ax,),) = figure(size=(7.2, 3.6))
    ax.axis("off")
    ax.set(xlim=(0, 10), ylim=(-1.3, 1.6))
    for x, level in zip((1.5, 4.0), levels, strict=True):
        ga, gb = 2 * level * (1 + y0), 2 * level * (1 - y0)
        ax.bar([x], [ga], 0.6, color=BLUE, edgecolor="k", linewidth=0.6)
        ax.bar([x], [-gb], 0.6, color=GREEN, edgecolor="k", linewidth=0.6)
        ax.text(x + 0.45, ga / 2, "Ga", color=BLUE, va="center")
        ax.text(x + 0.45, -gb / 2, "Gb", color=GREEN, va="center")
        ax.plot([x], [0], "o", color=RED)
        ax.text(x, -1.2, f"w = {y0}, m = {2 * level:.2f} GMAX", ha="center", fontsize=8)
    ax.text(6.0, 0.8, r"weight    $w = \frac{G_a - G_b}{G_a + G_b}$", fontsize=13)
    ax.text(6.0, 0.45, "what a read returns", fontsize=8, color="0.35")
    ax.text(6.0, -0.2, r"magnitude    $m = G_a + G_b$", fontsize=13)
    ax.text(6.0, -0.5, "inertia against feedback, precision of a noisy read", fontsize=8, color="0.35")
    ax.set_title("A pair holds two numbers", fontsize=10)
    return drawn


def _draw_divider(ax: Axes) -> None:
    ax.axis("off")
    ax.set(xlim=(-2, 3), ylim=(-0.5, 5.5))
    ax.plot([0, 0], [0, 5], color="k", linewidth=1)
    ax.bar([0], [1.2], 0.5, bottom=3.2, color=BLUE, edgecolor="k")
    ax.bar([0], [1.2], 0.5, bottom=0.6, color=GREEN, edgecolor="k")
    ax.plot([0, 1.4], [2.5, 2.5], color=RED, linewidth=1)
    for x, y, text in (
        (0, 5.15, "+V"),
        (0, -0.45, "-V"),
        (1.5, 2.4, "V y"),
        (0.4, 3.7, "Ga"),
        (0.4, 1.1, "Gb"),
    ):
        ax.text(x, y, text, ha="center" if x == 0 else "left", fontsize=9)
    ax.set_title("2-1: two devices, one junction", fontsize=10)


def _draw_currents(ax: Axes) -> None:
    ax.axis("off")
    ax.set(xlim=(-1.5, 5), ylim=(-0.5, 5.5))
    ax.plot([0, 0], [0.9, 4.1], color="k", linewidth=1)
    for height, color, name in ((4.1, BLUE, "a"), (0.9, GREEN, "b")):
        ax.plot([0, 3.4], [height, height], color=color, linewidth=1)
        ax.barh([height], [1.2], 0.5, left=0.9, color=color, edgecolor="k")
        ax.text(1.5, height + 0.4, f"G{name}", ha="center", fontsize=9)
        ax.text(3.5, height - 0.1, f"I{name} (0 V)", fontsize=9)
    ax.text(-0.3, 2.4, "V", ha="right", fontsize=9)
    ax.text(3.5, 2.4, "Ia - Ib", color=RED, fontsize=9)
    ax.set_title("1-2: one driver, two currents", fontsize=10)
