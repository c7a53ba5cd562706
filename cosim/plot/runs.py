"""Runs: energy by component, timeline, errors of reads, and the way of single cells to their targets."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, final

import numpy as np

from cosim.errors import InputError
from cosim.plot.arrays import conductance_map
from cosim.plot.curves import pulse_response
from cosim.plot.style import KINDS, axes_of, with_unit
from cosim.records import Trace
from cosim.report.totals import energy_totals
from cosim.units import FEMTOSECONDS_PER_SECOND

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def energy(trace: Trace, ax: Axes | None = None) -> Axes:
    """Draw the energy of a run [J] by component, stacked by kind of work, the largest on top."""
    parts: dict[str, dict[str, list[float]]] = {}
    for (_, component, kind, _), value in energy_totals(trace).groups.items():
        parts.setdefault(component, {}).setdefault(kind, []).append(value)
    sums = {name: {k: math.fsum(v) for k, v in kinds.items()} for name, kinds in parts.items()}
    names = sorted(sums, key=lambda name: math.fsum(sums[name].values()))
    ax = axes_of(ax)
    left = np.zeros(len(names))
    for number, kind in enumerate(sorted({kind for kinds in sums.values() for kind in kinds})):
        width = np.array([max(sums[name].get(kind, 0.0), 0.0) for name in names])
        ax.barh(names, width, left=left, label=kind, color=KINDS[number % len(KINDS)])
        left += width
    with_unit(ax.xaxis, "energy", "J")
    if names:
        ax.legend()
    return ax


def timeline(trace: Trace, ax: Axes | None = None, *, start: float = 0.0, end: float | None = None) -> Axes:
    """Draw what every resource did between ``start`` and ``end`` [s] (None: the end of the run), coloured by kind.

    Intervals shorter than a 2000th of the view are drawn that wide, so that none is lost. Raises `InputError` where
    ``end`` is not after ``start``.
    """
    last = trace.end_fs / FEMTOSECONDS_PER_SECOND if end is None else end
    if not last > start:
        raise InputError(f"plot.timeline: end must be after start = {start:g} s, not {last:g} s")
    spans: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for resource, _, _, kind, _, begin, stop, _, _ in trace.busy:
        low, high = begin / FEMTOSECONDS_PER_SECOND, stop / FEMTOSECONDS_PER_SECOND
        if high > start and low < last:
            span = (max(low, start), max(min(high, last) - max(low, start), (last - start) / 2000))
            spans.setdefault(resource, {}).setdefault(kind, []).append(span)
    ax = axes_of(ax)
    kinds = sorted({kind for own in spans.values() for kind in own})
    for place, name in enumerate(sorted(spans)):
        for kind, own in spans[name].items():
            ax.broken_barh(own, (place - 0.4, 0.8), color=KINDS[kinds.index(kind) % len(KINDS)])
    ax.set(yticks=range(len(spans)), yticklabels=sorted(spans), xlim=(start, last))
    ax.invert_yaxis()
    for number, kind in enumerate(kinds):
        ax.barh(0, 0, color=KINDS[number % len(KINDS)], label=kind)
    if kinds:
        ax.legend(ncols=4, loc="upper center", bbox_to_anchor=(0.5, -0.25))
    with_unit(ax.xaxis, "time", "s")
    return ax


def read_errors(trace: Trace, ax: Axes | None = None) -> Axes:
    """Draw the results of all reads over the exact ones. Raises `InputError` where there was no read."""
    if not len(trace.values):
        raise InputError("plot.read_errors: the run has no read; add a read to its program")
    exact, value = (trace.values.column(name).astype(np.float64) for name in ("ideal", "value"))
    ax = axes_of(ax)
    ends = [min(exact.min(), value.min()), max(exact.max(), value.max())]
    ax.plot(ends, ends, color="0.5", linestyle=":", linewidth=0.8)
    ax.scatter(exact, value, s=3, linewidths=0, alpha=0.6, color=KINDS[0])
    ax.set(xlabel="exact result", ylabel="result")
    return ax


@final
class ResultPlots:
    """The figures of one run, as ``result.plot``; every method takes axes or makes new ones, and returns them."""

    def __init__(self, trace: Trace) -> None:
        self._trace = trace

    def energy(self, ax: Axes | None = None) -> Axes:
        """Draw the energy by component and kind (`cosim.plot.energy`)."""
        return energy(self._trace, ax)

    def timeline(self, ax: Axes | None = None, *, start: float = 0.0, end: float | None = None) -> Axes:
        """Draw what every resource did between two times [s] (`cosim.plot.timeline`)."""
        return timeline(self._trace, ax, start=start, end=end)

    def read_errors(self, ax: Axes | None = None) -> Axes:
        """Draw results over exact results (`cosim.plot.read_errors`)."""
        return read_errors(self._trace, ax)

    def cells(self, tile: str, name: str = "conductance_after_s", ax: Axes | None = None) -> Axes:
        """Draw a map of a tile's cells; ``name`` as in `cosim.components.maps.cell_maps`. Raises `InputError`."""
        maps = self._trace.maps.get(tile, {})
        if name not in maps:
            known = ", ".join(f"{tile}: {', '.join(own)}" for tile, own in self._trace.maps.items()) or "none"
            raise InputError(f"plot.cells: there is no map '{name}' of tile '{tile}'; there is {known}")
        unit = {"s": "S", "v": "V"}.get(name.rpartition("_")[2], "")
        return conductance_map(
            maps[name], ax, label=name.removesuffix(f"_{name[-1]}").replace("_", " ") if unit else name.replace("_", " "),
            unit=unit, signed=not unit,
        )  # fmt: skip

    def pulses(self, tile: str, row: int, column: int, ax: Axes | None = None) -> Axes:
        """Draw the way of one cell to its target, pulse by pulse. Raises `InputError` where it had no pulse."""
        own = [pulse for pulse in self._trace.pulses if pulse[3:6] == (tile, row, column)]
        if not own:
            raise InputError(f"plot.pulses: cell ({row}, {column}) of tile '{tile}' had no pulse")
        return pulse_response([own[0][11], *(pulse[12] for pulse in own)], ax)
