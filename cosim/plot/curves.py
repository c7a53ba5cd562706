"""Curves of single devices: current-voltage loops and responses to pulses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from cosim.plot.style import axes_of, with_unit

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def iv_loop(
    voltage: ArrayLike,
    current: ArrayLike,
    ax: Axes | None = None,
    *,
    logarithmic: bool = False,
    label: str = "",
) -> Axes:
    """Draw current [A] over voltage [V] in order of time, with an arrow for its direction.

    ``logarithmic``: the magnitude of the current on a logarithmic axis.
    """
    v, i = (np.asarray(values, dtype=np.float64) for values in (voltage, current))
    ax = axes_of(ax)
    shown = np.abs(i) if logarithmic else i
    (line,) = ax.plot(v, shown, label=label or None)
    ahead = max(1, len(v) // 200)
    for place in (len(v) // 10, 6 * len(v) // 10):
        if place + ahead < len(v):
            ax.annotate(
                "", xy=(v[place + ahead], shown[place + ahead]), xytext=(v[place], shown[place]),
                arrowprops={"arrowstyle": "-|>", "color": line.get_color()},
            )  # fmt: skip
    if logarithmic:
        ax.set_yscale("log")
        ax.set_ylabel("|current| [A]")
    else:
        with_unit(ax.yaxis, "current", "A")
    with_unit(ax.xaxis, "voltage", "V")
    if label:
        ax.legend()
    return ax


def pulse_response(
    conductance: ArrayLike, ax: Axes | None = None, *, target: float | None = None, label: str = ""
) -> Axes:
    """Draw the conductance [S] after each pulse ``(pulses,)``; ``target`` [S] as a line."""
    values = np.asarray(conductance, dtype=np.float64)
    from matplotlib.ticker import MaxNLocator

    ax = axes_of(ax)
    ax.plot(np.arange(len(values)), values, marker="o", markersize=2.5, label=label or None)
    if target is not None:
        ax.axhline(target, color="0.4", linestyle=":", linewidth=0.8)
    ax.set_xlabel("pulses")
    ax.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    with_unit(ax.yaxis, "conductance", "S")
    if label:
        ax.legend()
    return ax
