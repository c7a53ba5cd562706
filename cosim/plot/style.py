"""Settings for figures in a column of a paper, and axes with SI prefixes."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

STYLE: Mapping[str, Any] = MappingProxyType(
    {
        "font.size": 8, "axes.titlesize": 8, "axes.labelsize": 8, "legend.fontsize": 7, "xtick.labelsize": 7,
        "ytick.labelsize": 7, "figure.figsize": (3.5, 2.6), "figure.dpi": 150, "lines.linewidth": 1.0,
        "axes.linewidth": 0.6, "legend.frameon": False, "svg.fonttype": "none", "pdf.fonttype": 42,
        "svg.hashsalt": "cosim", "figure.constrained_layout.use": True,
    }
)  # fmt: skip
"""One column (3.5 inches) wide; text stays text in vector files."""

KINDS = (
    "#2f6fb2",
    "#c96a12",
    "#2c8a4b",
    "#9a3f93",
    "#5c6b80",
    "#14808d",
    "#8a7510",
    "#7a4f33",
    "#b83a3a",
    "#6a56c4",
)
"""Colours of kinds and components, at least 3 to 1 against white."""


def axes_of(ax: Axes | None) -> Axes:
    """Return the axes to draw on: those given, or new ones."""
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    return plt.subplots()[1]


def with_unit(axis: Axis, label: str, unit: str) -> None:
    """Label an axis and give its ticks SI prefixes."""
    from matplotlib.ticker import EngFormatter, MaxNLocator

    axis.set_major_locator(MaxNLocator(4))
    axis.set_major_formatter(EngFormatter(unit=unit, sep=" "))
    axis.set_label_text(label)
