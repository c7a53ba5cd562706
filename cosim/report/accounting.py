"""Where the time, the energy and the area are: critical path, figures of merit, cells, converters, baseline.

Definitions: a multiply-accumulate is two operations; TOPS are the operations of all reads over the time of
those reads, TOPS/W the same over their energy (with leakage), TOPS/mm² over the area of everything that has one.
The critical path of an operation is found backwards from its end: the interval that ends there, then the one that
ends where it began, and so on; its parts sum to the duration.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from cosim.records import Formula, Trace
from cosim.report.baseline import DigitalBaseline
from cosim.report.totals import EnergyTotals
from cosim.units import seconds

DEFINITION: Final = (
    "a multiply-accumulate is two operations; TOPS: operations of all reads over their time; TOPS/W: over their"
    " energy with leakage; TOPS/mm2: TOPS over the area of everything that has one"
)
_SQUARE_MILLIMETRE: Final = 1e-6


def account(trace: Trace, totals: EnergyTotals, baseline: DigitalBaseline | None = None) -> dict[str, Any]:
    """Return the accounting of a run, the part ``accounting`` of ``summary.json``."""
    paths = critical_paths(trace)
    area = _area(trace)
    operations = [_operation(trace, totals, record, paths) for record in trace.operations]
    return {
        "operations": operations,
        "performance": _performance(trace, totals, area["total_m2"]),
        "area": area,
        "cells": _cells(trace),
        "converters": {name: dict(figures) for name, figures in sorted(trace.converters.items())},
        "baseline": _baseline(trace, totals, baseline),
    }


def _operation(
    trace: Trace, totals: EnergyTotals, record: Any, paths: Mapping[int, Mapping[str, int]]
) -> dict[str, Any]:
    parts: dict[str, list[float]] = {}
    for (operation, component, _, _), value in totals.groups.items():
        if operation == record.operation:
            parts.setdefault(component, []).append(value)
    work = trace.works.get(record.operation)
    found: dict[str, Any] = {
        "index": record.operation,
        "op": record.op,
        "duration_s": seconds(record.end_fs - record.start_fs),
        "critical_path_s": {name: seconds(t) for name, t in sorted(paths.get(record.operation, {}).items())},
        "by_component_j": {name: math.fsum(values) for name, values in sorted(parts.items())},
    }
    if work is not None:
        found |= {
            "coding": work.coding, "array_phases_per_product": work.phases, "products": work.vectors,
            "macs": work.macs,
        }  # fmt: skip
    return found


def critical_paths(trace: Trace) -> dict[int, dict[str, int]]:
    """Return per operation how long each kind of resource stands on its critical path [fs]; ``idle``: none does."""
    busy = trace.busy
    start, end, operation = busy.column("start_fs"), busy.column("end_fs"), busy.column("operation")
    code, names = busy.coded("resource")
    long = np.argsort(-start, kind="stable")
    order = long[
        np.argsort(end[long], kind="stable")
    ]  # by end; of those that end together, the longest comes last
    order = order[(end > start)[order]]
    paths = {}
    for record in trace.operations:
        if record.end_fs > record.start_fs:
            own = order[operation[order] == record.operation]
            paths[record.operation] = _path(
                start[own], end[own], code[own], [name.rsplit(".", 1)[-1] for name in names], record.start_fs, record.end_fs,
            )  # fmt: skip
    return paths


def _path(
    begins: NDArray[Any], ends: NDArray[Any], code: NDArray[Any], names: list[str], start: int, end: int
) -> dict[str, int]:
    """Walk back from ``end`` through intervals that are sorted by their ends."""
    parts: dict[str, int] = {}
    # Views give Python integers much faster than arrays do.
    stops, starts = (part.tolist() if part.dtype == object else part.data for part in (ends, begins))
    instant, beyond = end, len(stops)
    while instant > start:
        beyond = bisect_right(stops, instant, 0, beyond)
        position = beyond - 1
        stop = stops[position] if position >= 0 else start
        if stop < instant:
            name, before = "idle", max(stop, start)
        else:
            name, before = names[code[position]], max(starts[position], start)
        parts[name] = parts.get(name, 0) + instant - before
        instant = before
    return parts


def _performance(trace: Trace, totals: EnergyTotals, area_m2: float) -> dict[str, Any]:
    energy = totals.by_operation()
    reads = [record for record in trace.operations if record.operation in trace.works]
    operations = 2 * sum(trace.works[record.operation].macs for record in reads)
    time_s = seconds(sum(record.end_fs - record.start_fs for record in reads))
    joules = math.fsum(energy.get(record.operation, 0.0) for record in reads)
    tops = operations / time_s / 1e12 if time_s else 0.0
    return {
        "operations": operations,
        "time_s": time_s,
        "energy_j": joules,
        "tops": tops,
        "tops_per_w": operations / joules / 1e12 if joules else 0.0,
        "tops_per_mm2": tops / (area_m2 / _SQUARE_MILLIMETRE) if area_m2 else 0.0,
        "definition": DEFINITION,
    }


def _area(trace: Trace) -> dict[str, Any]:
    parts: dict[str, list[float]] = {}
    for record in trace.areas:
        parts.setdefault(record.component, []).append(record.area_m2)
    return {
        "total_m2": math.fsum(record.area_m2 for record in trace.areas),
        "by_component_m2": {name: math.fsum(values) for name, values in sorted(parts.items())},
    }


def _cells(trace: Trace) -> dict[str, Any]:
    found = {}
    for tile, energy in sorted(trace.cell_energies.items()):
        row, column = (int(k) for k in np.unravel_index(int(energy.argmax()), energy.shape))
        found[tile] = {
            "total_j": math.fsum(energy.ravel().tolist()),
            "largest_j": float(energy[row, column]),
            "largest_at": [row, column],
        }
    return found


def _baseline(trace: Trace, totals: EnergyTotals, baseline: DigitalBaseline | None) -> dict[str, Any] | None:
    if baseline is None or not trace.works:
        return None
    parts = [baseline.cost(work) for work in trace.works.values()]
    names = parts[0].energy_j
    energy = {name: math.fsum(part.energy_j[name] for part in parts) for name in names}
    own = totals.by_operation()
    joules = math.fsum(own.get(index, 0.0) for index in trace.works)
    total, time_s = math.fsum(energy.values()), math.fsum(part.time_s for part in parts)
    formulas: dict[str, Formula] = baseline.formulas()
    return {
        "energy_j": total,
        "by_component_j": energy,
        "time_s": time_s,
        "energy_ratio": total / joules if joules else 0.0,
        "formulas": {name: formula._asdict() for name, formula in formulas.items()},
    }
