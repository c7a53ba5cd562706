"""The figure of a characterization: a row per measurement, a column per device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cosim.characterize.curves import Table

_WIDTH, _HEIGHT = 3.4, 2.4
_ROWS = 5


def draw(devices: Sequence[tuple[str, Mapping[str, Table]]], path: Path) -> None:
    """Write the figure of devices, each with its curves, as SVG, PDF or PNG by the ending of ``path``."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    path.parent.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context({"svg.hashsalt": "cosim", "svg.fonttype": "none", "font.size": 8}):
        width, height = _WIDTH * len(devices), _HEIGHT * _ROWS
        figure = Figure(
            figsize=(width, height)
        )  # fixed margins: a computed layout takes as long as all the rest
        axes: Any = figure.subplots(_ROWS, len(devices), squeeze=False)
        figure.subplots_adjust(
            left=0.7 / width,
            right=1 - 0.1 / width,
            bottom=0.45 / height,
            top=1 - 0.3 / height,
            wspace=0.3,
            hspace=0.3,
        )
        for k, (label, tables) in enumerate(devices):
            axes[0, k].set_title(label)
            for ax, (name, panel) in zip(axes[:, k], _PANELS.items(), strict=True):
                panel(ax, tables[name])
        stamp = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}.get(path.suffix.lower())
        figure.savefig(path, metadata=stamp, dpi=150)


def _loop(ax: Any, table: Table) -> None:
    scale, unit = _prefix(np.abs(table["current_A"]).max(), "A")
    ax.plot(table["voltage_V"], scale * table["current_A"], lw=1.0)
    ax.axhline(0.0, color="0.8", lw=0.6)
    ax.axvline(0.0, color="0.8", lw=0.6)
    ax.set(xlabel="voltage [V]", ylabel=f"current [{unit}]")


def _pulses(ax: Any, table: Table) -> None:
    scale, unit = _prefix(table["conductance_S"].max(), "S")
    ax.plot(table["pulse"], scale * table["conductance_S"], lw=1.0, label="mean law")
    if "drawn_S" in table:
        ax.plot(table["pulse"], scale * table["drawn_S"], ".", ms=2.5, label="one cell with its draws")
        ax.legend(frameon=False)
    ax.set(xlabel="pulse (SET, then RESET)", ylabel=f"conductance [{unit}]")


def _switching(ax: Any, table: Table) -> None:
    for sign, label in ((1.0, "SET"), (-1.0, "RESET")):
        chosen = table["voltage_V"] * sign > 0
        ax.plot(sign * table["voltage_V"][chosen], table["time_s"][chosen], ".-", lw=1.0, ms=3.5, label=label)
    ax.set_yscale("log")
    _decades(ax.yaxis)
    ax.set(xlabel="amplitude [V]", ylabel="time to the middle [s]")
    ax.legend(frameon=False)


def _relaxation(ax: Any, table: Table) -> None:
    _against_log(ax, table, "time_s")
    ax.set_xlabel("time at 0 V [s]")


def _disturb(ax: Any, table: Table) -> None:
    _against_log(ax, table, "reads")
    ax.set_xlabel("reads")


def _against_log(ax: Any, table: Table, axis: str) -> None:
    columns = [title for title in table if title != axis]
    scale, unit = _prefix(max(float(table[title].max()) for title in columns), "S")
    for title in columns:
        ax.plot(table[axis], scale * table[title], lw=1.0, label=f"from {title.split('_')[1]} %")
    ax.set_xscale("log")
    _decades(ax.xaxis)
    ax.set_ylabel(f"conductance [{unit}]")
    ax.legend(frameon=False)


def _decades(axis: Any) -> None:
    """Put a few ticks at powers of ten on a logarithmic axis, with SI prefixes."""
    from matplotlib.ticker import EngFormatter, LogLocator, NullLocator

    axis.set_major_locator(LogLocator(numticks=6))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(EngFormatter(sep=""))


_PANELS = {
    "loop": _loop, "pulses": _pulses, "switching": _switching, "relaxation": _relaxation, "read_disturb": _disturb,
}  # fmt: skip


def _prefix(largest: float, unit: str) -> tuple[float, str]:
    """Return the factor to a unit with a prefix in which ``largest`` lies between 1 and 1000."""
    for exponent, prefix in ((0, ""), (-3, "m"), (-6, "u"), (-9, "n")):
        if largest >= 10.0**exponent:
            return 10.0**-exponent, prefix + unit
    return 1e12, "p" + unit
