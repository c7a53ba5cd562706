"""Figures of the report page, as plotly.js takes them: plain mappings with ``data`` and ``layout``.

Colours are names of the page's CSS variables (``--k0`` ...), so that a figure follows the page's theme. Arrays are
packed as base64 text, in single precision: a figure is looked at, the tables hold the numbers.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cosim.records import Table

Figure = dict[str, Any]

_KNOWN_KINDS = ("write", "verify", "read", "convert", "select", "decide", "recover", "combine")
COLOURS = 10
MAX_POINTS = 2000
MAX_SIDE = 256
"""Rows or columns of a map; a larger one is shown as means of blocks."""


def colours(kinds: Sequence[str]) -> dict[str, str]:
    """Return the colour of every kind of work; the usual kinds always have the same one."""
    other = sorted(set(kinds) - set(_KNOWN_KINDS))
    return {kind: f"--k{number % COLOURS}" for number, kind in enumerate((*_KNOWN_KINDS, *other))}


def packed(values: Any) -> Any:
    """Return an array as plotly.js reads it from base64 text, in single precision."""
    array = np.ascontiguousarray(values, dtype="<f4")
    text = {"dtype": "f4", "bdata": base64.b64encode(array.tobytes()).decode("ascii")}
    return text if array.ndim == 1 else {**text, "shape": ", ".join(map(str, array.shape))}


def axis(title: str, unit: str = "", **more: Any) -> Figure:
    """Return an axis; values with a unit have SI prefixes."""
    si = {"tickformat": "~s", "ticksuffix": unit, "hoverformat": ".4s"} if unit else {}
    return {"title": {"text": title}, "automargin": True, **si, **more}


def stacked_bars(
    values: Mapping[tuple[str, str], float],
    colour: Mapping[str, str],
    hints: Mapping[tuple[str, str], str],
    title: str,
    unit: str,
) -> Figure:
    """Return a bar per name, the largest on top, stacked by kind.

    ``values`` by ``(name, kind)``; ``hints``: what hovering over a part shows.
    """
    totals: dict[str, float] = {}
    for (name, _), value in values.items():
        totals[name] = totals.get(name, 0.0) + value
    names = sorted(totals, key=lambda name: (totals[name], name))
    traces = []
    for kind in sorted({kind for _, kind in values}):
        own = [name for name in names if (name, kind) in values]
        traces.append(
            {
                "type": "bar", "orientation": "h", "name": kind, "y": own,
                "x": [values[name, kind] for name in own],
                "marker": {"color": colour.get(kind, "--k4")},
                "customdata": [hints.get((name, kind), "") for name in own],
                "hovertemplate": "%{y}, " + kind + ": %{x}<br>%{customdata}<extra></extra>",
            }
        )  # fmt: skip
    layout = {
        "barmode": "relative", "xaxis": axis(title, unit), "yaxis": {"automargin": True, "categoryarray": names,
        "categoryorder": "array"}, "height": 140 + 22 * len(names), "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom"},
    }  # fmt: skip
    return {"data": traces, "layout": layout}


def bars(names: Sequence[str], values: Sequence[float], title: str, unit: str, **more: Any) -> Figure:
    """Return horizontal bars, the first name on top."""
    data = {
        "type": "bar", "orientation": "h", "y": list(names), "x": list(values), "marker": {"color": "--k0"},
        "hovertemplate": "%{y}: %{x}<extra></extra>",
    }  # fmt: skip
    layout = {
        "xaxis": axis(title, unit, **more), "yaxis": {"automargin": True, "autorange": "reversed", "type": "category"},
        "height": 110 + 22 * len(names),
    }  # fmt: skip
    return {"data": [data], "layout": layout}


def chosen(exact: NDArray[np.float64], value: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the points that a scatter shows: of very many, evenly chosen ones and the worst."""
    if len(exact) <= MAX_POINTS:
        return np.arange(len(exact))
    even = np.linspace(0, len(exact) - 1, MAX_POINTS - 100).astype(np.int64)
    worst = np.argsort(-np.abs(value - exact), kind="stable")[:100]
    return np.unique(np.concatenate([even, worst]))


def scatter(
    exact: NDArray[np.float64],
    value: NDArray[np.float64],
    titles: tuple[str, str],
    unit: str,
    names: Sequence[str] | None = None,
) -> Figure:
    """Return results over exact values, with the line on which they agree; ``names``: of each point."""
    finite = np.isfinite(exact) & np.isfinite(value)
    keep = np.flatnonzero(finite)[chosen(exact[finite], value[finite])]
    ends = (
        [float(min(exact[keep].min(), value[keep].min())), float(max(exact[keep].max(), value[keep].max()))]
        if len(keep)
        else [0.0, 1.0]
    )
    points: Figure = {
        "type": "scatter", "mode": "markers", "x": packed(exact[keep]), "y": packed(value[keep]),
        "marker": {"color": "--k0", "size": 5, "opacity": 0.7},
        "hovertemplate": "%{x}, %{y}<extra></extra>",
    }  # fmt: skip
    if names is not None:
        points["text"] = [names[k] for k in keep.tolist()]
        points["hovertemplate"] = "%{text}<br>%{x}, %{y}<extra></extra>"
    line = {
        "type": "scatter", "mode": "lines", "x": ends, "y": ends, "hoverinfo": "skip",
        "line": {"color": "--soft", "dash": "dot", "width": 1},
    }  # fmt: skip
    layout = {"xaxis": axis(titles[0], unit), "yaxis": axis(titles[1], unit), "showlegend": False}
    return {"data": [line, points], "layout": layout}


def histogram(values: NDArray[Any], title: str, unit: str, *, whole: bool = False, bins: int = 40) -> Figure:
    """Return a histogram; with ``whole``, numbers are counted and edges lie between them."""
    values = np.asarray(values, dtype=np.float64)
    values = values[np.isfinite(values)]
    low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
    if whole:
        step = max(1, math.ceil((high - low + 1) / bins))
        edges = np.arange(low - 0.5, high + step + 0.5, step)
    else:
        if high == low:
            low, high = low - 0.5, high + 0.5
        edges = np.linspace(low, high, bins + 1)
    counts, edges = np.histogram(values, edges)
    data = {
        "type": "bar", "x": ((edges[:-1] + edges[1:]) / 2).tolist(), "y": counts.tolist(),
        "width": np.diff(edges).tolist(), "marker": {"color": "--k0"}, "hovertemplate": "%{x}: %{y}<extra></extra>",
    }  # fmt: skip
    return {"data": [data], "layout": {"xaxis": axis(title, unit), "yaxis": axis("count"), "bargap": 0.05}}


def heatmap(values: NDArray[np.float64], title: str, unit: str, *, signed: bool = False) -> Figure:
    """Return a map of cells, row 0 on top; ``signed`` has a scale with zero in its middle."""
    step = [max(1, math.ceil(side / MAX_SIDE)) for side in values.shape]
    shown = values if step == [1, 1] else _blocks(values, step[0], step[1])
    bound = float(np.nanmax(np.abs(shown), initial=0.0)) or 1.0
    scale = {"colorscale": "RdBu", "zmin": -bound, "zmax": bound} if signed else {"colorscale": "Viridis"}
    data = {
        "type": "heatmap", "z": packed(shown), "x0": (step[1] - 1) / 2, "dx": step[1], "y0": (step[0] - 1) / 2,
        "dy": step[0], **scale,
        "colorbar": {"tickformat": "~s", "ticksuffix": unit, "thickness": 12, "outlinewidth": 0},
        "hovertemplate": "row %{y}, column %{x}: %{z:.4s}" + unit + "<extra></extra>",
    }  # fmt: skip
    layout = {
        "title": {"text": title, "font": {"size": 13}}, "xaxis": axis("column (bit line)", constrain="domain"),
        "yaxis": axis("row (word line)", autorange="reversed", scaleanchor="x", constrain="domain"),
    }  # fmt: skip
    return {"data": [data], "layout": layout}


def _blocks(values: NDArray[np.float64], down: int, across: int) -> NDArray[np.float64]:
    rows, columns = values.shape
    full = np.full((-(-rows // down) * down, -(-columns // across) * across), np.nan)
    full[:rows, :columns] = values
    return np.asarray(
        np.nanmean(full.reshape(full.shape[0] // down, down, full.shape[1] // across, across), axis=(1, 3))
    )


def convergence(pulses: Table, outcomes: Table) -> Figure:
    """Return how far cells are from their targets after each pulse, and how many are in their window.

    The distance is that of the device conductance from the one at the end of the write [S]; median, 90 % and largest over
    the cells that took so many pulses.
    """
    ends = {row[:4]: row[6] for row in outcomes}
    distances: dict[int, list[float]] = {}
    taken: dict[tuple[Any, ...], int] = {}
    for row in pulses:
        key = (row[0], row[3], row[4], row[5])
        taken[key] = taken.get(key, 0) + 1
        if key in ends:
            distances.setdefault(taken[key], []).append(abs(row[12] - ends[key]))
    needed = [int(row[7]) for row in outcomes if row[8]]
    steps = list(range(max([*distances, *needed], default=0) + 1))
    inside = np.searchsorted(np.sort(needed), steps, side="right") / max(len(outcomes), 1)
    traces: list[Figure] = [
        {
            "type": "scatter", "mode": "lines", "name": "cells in their window", "x": steps,
            "y": inside.tolist(), "line": {"color": "--k2", "shape": "hv"}, "yaxis": "y2",
        }
    ]  # fmt: skip
    for name, share, dash in (("median", 50, "solid"), ("90 %", 90, "dash"), ("largest", 100, "dot")):
        traces.append(
            {
                "type": "scatter", "mode": "lines", "name": f"distance, {name}", "x": sorted(distances),
                "y": [float(np.percentile(distances[step], share)) for step in sorted(distances)],
                "line": {"color": "--k0", "dash": dash},
            }
        )  # fmt: skip
    layout = {
        "xaxis": axis("pulses"), "yaxis": axis("distance from the final conductance", "S", rangemode="tozero"),
        "yaxis2": axis("cells in their window", overlaying="y", side="right", tickformat=".0%", range=[0, 1.02], showgrid=False),
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom"},
    }  # fmt: skip
    return {"data": traces, "layout": layout}


def overlay(waveform: Mapping[str, Any]) -> Figure:
    """Return a line current over time from both backends, and their difference."""
    time, one, other = (np.array(waveform[key]) for key in ("time_s", "behavioral_a", "ngspice_a"))
    traces = [
        _line(time, other, "ngspice", "--k1", width=5, opacity=0.55),
        _line(time, one, "behavioral", "--k0", width=1.6),
        _line(time, one - other, "difference", "--k4", width=1, yaxis="y2"),
    ]
    layout = {
        "title": {"text": f"{waveform['kind']}, phase {waveform['phase']}: {waveform['net']}", "font": {"size": 13}},
        "xaxis": axis("time in the phase", "s"), "yaxis": axis("line current", "A"),
        "yaxis2": axis("difference", "A", overlaying="y", side="right", showgrid=False),
        "legend": {"orientation": "h", "y": -0.28},
    }  # fmt: skip
    return {"data": traces, "layout": layout}


def _line(
    x: Any, y: Any, name: str, colour: str, *, width: float = 2.0, opacity: float = 1.0, yaxis: str = "y"
) -> Figure:
    return {
        "type": "scatter", "mode": "lines", "name": name, "x": packed(x), "y": packed(y), "opacity": opacity,
        "line": {"color": colour, "width": width}, "yaxis": yaxis,
    }  # fmt: skip


def phase_errors(phases: Sequence[Mapping[str, Any]]) -> Figure:
    """Return the deviations of every checked phase, on a logarithmic axis."""
    traces = []
    for number, (key, name) in enumerate(
        (
            ("current_relative", "line currents"),
            ("state_absolute", "states"),
            ("energy_relative", "energies"),
        )
    ):
        own = [row for row in phases if row.get(key)]
        traces.append(
            {
                "type": "scatter", "mode": "markers", "name": name, "x": [row["phase"] for row in own],
                "y": [row[key] for row in own], "text": [f"{row['kind']}, {row['tile']}" for row in own],
                "marker": {"color": f"--k{number}", "size": 5, "symbol": number},
                "hovertemplate": "phase %{x} (%{text}): %{y:.3e}<extra>" + name + "</extra>",
            }
        )  # fmt: skip
    layout = {
        "xaxis": axis("phase"), "yaxis": axis("deviation", type="log", exponentformat="power"),
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom"},
    }  # fmt: skip
    return {"data": traces, "layout": layout}
