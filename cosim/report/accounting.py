"""Where the time, the energy and the area are: critical path, figures of merit, cells, converters, baseline.

Definitions: a multiply-accumulate is two operations; TOPS are the operations of all reads over the time of
those reads, TOPS/W the same over their energy (with leakage), TOPS/mm² over the area of everything that has one.
The critical path of an operation is found backwards from its end: the interval that ends there, then the one that
ends where it began, and so on; its parts sum to the duration.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

import numpy as np

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
    rows = [row for row in trace.busy if row[6] > row[5]]
    if not rows:
        return {
            record.operation: {"idle": record.end_fs - record.start_fs}
            for record in trace.operations
            if record.end_fs > record.start_fs
        }
    by_operation: dict[int, list[tuple[int, int, str]]] = {}
    for row in rows:
        by_operation.setdefault(row[2], []).append((row[6], -row[5], row[0]))
    return {
        record.operation: _path(
            sorted(by_operation.get(record.operation, [])), record.start_fs, record.end_fs
        )
        for record in trace.operations
        if record.end_fs > record.start_fs
    }


def _path(intervals: list[tuple[int, int, str]], start: int, end: int) -> dict[str, int]:
    """Walk back from ``end``; ``intervals``: end, minus start, resource, sorted."""
    parts: dict[str, int] = {}
    instant, position = end, len(intervals) - 1
    while instant > start:
        while position >= 0 and intervals[position][0] > instant:
            position -= 1
        if position < 0:
            parts["idle"] = parts.get("idle", 0) + instant - start
            break
        stop, minus_begin, resource = intervals[position]
        if stop < instant:
            parts["idle"] = parts.get("idle", 0) + instant - stop
            instant = stop
            continue
        begin = max(-minus_begin, start)
        name = resource.rsplit(".", 1)[-1]
        parts[name] = parts.get(name, 0) + instant - begin
        instant = begin
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
