"""Geometry of the charts on the report page: plain numbers and paths, no text of the run inside.

Every function returns values that the page's template draws as inline SVG.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cosim.records import Trace

_KNOWN_KINDS = ("write", "verify", "read", "convert", "select", "decide", "recover", "combine")
COLOURS = 10
LEVELS = 4
BINS = 1000
"""Columns of the timeline: what is shorter than one is merged, so the page does not grow with the run."""
MAX_ROWS = 60
MAX_POINTS = 2000


class Segment(NamedTuple):
    """A piece of a stacked bar, from ``start`` on, in per cent of the longest bar."""

    start: float
    width: float
    kind: str
    value: float


class Band(NamedTuple):
    """What one kind of work covers of a timeline row; ``path`` by opacity level."""

    kind: str
    busy_fs: int
    paths: list[tuple[int, str]]


class Row(NamedTuple):
    """One resource on the timeline."""

    name: str
    units: int
    y: int
    bands: list[Band]


class Scatter(NamedTuple):
    """Points ``(x, y, exact, value)`` in a square of ``size``, its ticks, and how many there are in all."""

    size: int
    points: list[tuple[float, float, float, float]]
    ticks: list[tuple[float, float]]
    total: int


class Column(NamedTuple):
    """A bar of a histogram: from ``low`` to ``high``, its counts, and its place in per cent."""

    low: float
    high: float
    total: int
    x: float
    width: float
    height: float


def colours(kinds: Sequence[str]) -> dict[str, int]:
    """Return the colour number of every kind; the usual kinds always have the same one."""
    other = sorted(set(kinds) - set(_KNOWN_KINDS))
    return {kind: number % COLOURS for number, kind in enumerate((*_KNOWN_KINDS, *other))}


def stacked(values: Mapping[tuple[str, str], float]) -> list[tuple[str, float, list[Segment]]]:
    """Return a bar per name (largest first) from values by ``(name, kind)``; negative ones are not drawn."""
    names: dict[str, dict[str, float]] = {}
    for (name, kind), value in values.items():
        names.setdefault(name, {})[kind] = value
    totals = {name: math.fsum(kinds.values()) for name, kinds in names.items()}
    longest = max((math.fsum(max(v, 0.0) for v in kinds.values()) for kinds in names.values()), default=0.0)
    bars = []
    for name in sorted(names, key=lambda name: (-totals[name], name)):
        start, segments = 0.0, []
        for kind, value in sorted(names[name].items()):
            width = 100.0 * max(value, 0.0) / longest if longest > 0 else 0.0
            segments.append(Segment(round(start, 4), round(width, 4), kind, value))
            start += width
        bars.append((name, totals[name], segments))
    return bars


def timeline(trace: Trace, row_height: int) -> tuple[list[Row], int]:
    """Return the timeline rows of the resources and how many resources were left out."""
    intervals: dict[str, dict[str, _Intervals]] = {}
    for resource, _, _, kind, _, start, end, _, units in trace.busy:
        starts, ends, used = intervals.setdefault(resource, {}).setdefault(kind, ([], [], []))
        starts.append(start)
        ends.append(end)
        used.append(units)
    names = sorted(intervals)
    kept = names[:MAX_ROWS]
    rows = []
    for number, name in enumerate(kept):
        units = trace.capacities.get(name, 1)
        bands = _bands(intervals[name], max(trace.end_fs, 1), units, number * row_height + 2, row_height - 4)
        rows.append(Row(name, units, number * row_height, bands))
    return rows, len(names) - len(kept)


_Intervals = tuple[list[int], list[int], list[int]]
"""Starts, ends [fs], and how many units each interval took."""


def _bands(kinds: Mapping[str, _Intervals], end_fs: int, units: int, y: int, height: int) -> list[Band]:
    names = sorted(kinds)
    cover = np.array([_coverage(*kinds[kind], end_fs) for kind in names])
    total = np.clip(cover.sum(axis=0) / units, 0.0, 1.0)
    level = np.where(total > 1e-9, np.ceil(np.clip(total, 1e-9, 1.0) * LEVELS), 0).astype(np.int64)
    winner = cover.argmax(axis=0)
    bands = []
    for number, kind in enumerate(names):
        busy = sum(used * (end - start) for start, end, used in zip(*kinds[kind], strict=True))
        own = np.where(winner == number, level, 0)
        bands.append(Band(kind, busy, _paths(own, y, height)))
    return bands


def _coverage(
    starts: Sequence[int], ends: Sequence[int], used: Sequence[int], end_fs: int
) -> NDArray[np.float64]:
    """Return the busy fraction of every timeline column, summed over units."""
    edges = np.arange(BINS + 1, dtype=np.float64)
    scale = BINS / end_fs

    def area(times: Sequence[int]) -> Any:
        scaled = np.asarray(times, dtype=np.float64) * scale
        order = np.argsort(scaled, kind="stable")
        ordered, weight = scaled[order], np.asarray(used, dtype=np.float64)[order]
        below = np.searchsorted(ordered, edges)
        units = np.concatenate([[0.0], np.cumsum(weight)])[below]
        return units * edges - np.concatenate([[0.0], np.cumsum(weight * ordered)])[below]

    return np.asarray(np.diff(area(starts) - area(ends)), dtype=np.float64)


def _paths(level: NDArray[np.int64], y: int, height: int) -> list[tuple[int, str]]:
    """Return, per opacity level, one SVG path of the runs of columns with that level."""
    change = np.flatnonzero(np.diff(level)) + 1
    begins, stops = np.concatenate([[0], change]), np.concatenate([change, [len(level)]])
    pieces: dict[int, list[str]] = {}
    for begin, stop in zip(begins.tolist(), stops.tolist(), strict=True):
        if value := int(level[begin]):
            pieces.setdefault(value, []).append(f"M{begin} {y}h{stop - begin}v{height}h-{stop - begin}z")
    return [(value, "".join(pieces[value])) for value in sorted(pieces)]


def scatter(exact: NDArray[np.float64], value: NDArray[np.float64], size: int) -> Scatter:
    """Return a scatter of results over exact values; of very many, evenly chosen ones and the worst."""
    finite = np.isfinite(exact) & np.isfinite(value)
    exact, value = exact[finite], value[finite]
    chosen = np.arange(len(exact))
    if len(exact) > MAX_POINTS:
        even = np.linspace(0, len(exact) - 1, MAX_POINTS - 100).astype(np.int64)
        worst = np.argsort(-np.abs(value - exact), kind="stable")[:100]
        chosen = np.unique(np.concatenate([even, worst]))
    low = float(min(exact.min(initial=math.inf), value.min(initial=math.inf)))
    high = float(max(exact.max(initial=-math.inf), value.max(initial=-math.inf)))
    if not high > low:
        low, high = (low - 0.5, low + 0.5) if math.isfinite(low) else (0.0, 1.0)
    place = size / (high - low)
    x, y = (exact[chosen] - low) * place, size - (value[chosen] - low) * place
    columns = (np.round(x, 2), np.round(y, 2), exact[chosen], value[chosen])
    points = list(zip(*(column.tolist() for column in columns), strict=True))
    ticks = [((tick - low) * place, tick) for tick in nice_ticks(low, high)]
    return Scatter(size, points, ticks, len(exact))


def histogram(values: NDArray[Any], *, whole: bool = False, bins: int = 40) -> list[Column]:
    """Return the columns of a histogram; with ``whole``, numbers are counted and edges lie between them."""
    values = np.asarray(values, dtype=np.float64)
    values = values[np.isfinite(values)]
    if not len(values):
        return []
    low, high = float(values.min()), float(values.max())
    if whole:
        step = max(1, math.ceil((high - low + 1) / bins))
        edges = np.arange(low - 0.5, high + step + 0.5, step)
    else:
        if high == low:
            low, high = low - 0.5, high + 0.5
        edges = np.linspace(low, high, bins + 1)
    counts, edges = np.histogram(values, edges)
    width, top = 100.0 / len(counts), int(counts.max())
    return [
        Column(float(edges[k]), float(edges[k + 1]), int(count), k * width, width, 100.0 * int(count) / top)
        for k, count in enumerate(counts)
    ]


def nice_ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Return round numbers between ``low`` and ``high``, about as many as asked for."""
    if not high > low:
        return [low]
    raw = (high - low) / about
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1.0, 2.0, 5.0, 10.0) if m * power >= raw)
    first = math.ceil(low / step - 1e-9)
    return [k * step for k in range(first, math.floor(high / step + 1e-9) + 1)]
