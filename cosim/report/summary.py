"""``summary.json``: how long, how many joules, how exact, as one plain dict.

The same trace gives the same bytes: sums are correctly rounded, keys without an order of their own are
sorted, and nothing depends on the wall clock.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from cosim.records import CodedTexts, Trace
from cosim.report.accounting import account
from cosim.report.baseline import DigitalBaseline
from cosim.report.files import plain
from cosim.report.totals import EnergyTotals, energy_totals
from cosim.units import seconds

SCHEMA_VERSION = 1

_LARGEST: Final = 1 << 62
_LOW_HALF: Final = (1 << 32) - 1
_DISSIPATED = ("cells_j", "access_j", "wires_j", "terminations_j")


def summarize(
    trace: Trace,
    *,
    scenario: Mapping[str, str],
    seed: int,
    totals: EnergyTotals | None = None,
    baseline: DigitalBaseline | None = None,
) -> dict[str, Any]:
    """Return the summary of a run, version 1 of ``summary.json``.

    ``scenario`` holds its ``name`` and ``sha256``; ``totals`` are the energy sums where the caller has
    them already; ``baseline``: a digital accelerator whose cost stands beside.
    """
    totals = totals or energy_totals(trace)
    summary: dict[str, Any] = plain(
        {
            "schema_version": SCHEMA_VERSION,
            "scenario": {"name": scenario["name"], "sha256": scenario["sha256"]},
            "seed": seed,
            "time": _time(trace),
            "energy": {
                "total_j": totals.total,
                "by_component_j": totals.by_component(),
                "by_kind_j": totals.by_kind(),
                "balance": _balance(trace),
            },
            "checks": _checks(trace),
            "operations": _operations(trace, totals.by_operation()),
            "accounting": account(trace, totals, baseline),
            "warnings": list(trace.warnings),
        }
    )
    return summary


def _time(trace: Trace) -> dict[str, Any]:
    by_kind: dict[str, int] = {}
    used = dict.fromkeys(trace.capacities, 0)
    waited = dict.fromkeys(trace.capacities, 0)
    end_fs = int(trace.end_fs)
    for block in trace.busy.blocks():
        asked, start, end, jobs, units = _times(block, end_fs)
        within = np.where(
            end <= end_fs, end - start, np.maximum(end_fs - start, 0)
        )  # a run may stop half way
        _add_by_text(by_kind, block["kind"], units * (end - start))
        _add_by_text(used, block["resource"], units * within)
        _add_by_text(waited, block["resource"], units * waiting(asked, start, end, jobs))
    return {
        "end_s": seconds(end_fs),
        "phases": len(trace.phases),
        "by_kind_s": {kind: seconds(by_kind[kind]) for kind in sorted(by_kind)},
        "utilization": {
            name: used[name] / (end_fs * trace.capacities.get(name, 1)) if end_fs else 0.0
            for name in sorted(used)
        },
        "waiting_s": {name: seconds(waited[name]) for name in sorted(waited)},
    }


def _times(block: Mapping[str, Any], end_fs: int) -> tuple[NDArray[Any], ...]:
    """Return times [fs], jobs and units of a block; as Python integers where products might not fit into an int64."""
    found = tuple(block[field] for field in ("asked_fs", "start_fs", "end_fs", "jobs", "units"))
    largest = max(end_fs, int(found[2].max())) * int(found[3].max()) * int(found[4].max())
    return found if largest < _LARGEST else tuple(part.astype(object) for part in found)


def _add_by_text(sums: dict[str, int], texts: CodedTexts, values: NDArray[Any]) -> None:
    """Add integers, not negative, to the sum of their text, exactly: halves of 32 bits of a block add up in a float."""
    if values.dtype == object:
        for code, value in zip(texts.codes.tolist(), values.tolist(), strict=True):
            sums[texts.names[code]] = sums.get(texts.names[code], 0) + value
        return
    low, high = (np.bincount(texts.codes, part).tolist() for part in (values & _LOW_HALF, values >> 32))
    for code, (a, b) in enumerate(zip(low, high, strict=True)):
        name = texts.names[code]
        sums[name] = sums.get(name, 0) + int(a) + (int(b) << 32)


def waiting(
    asked_fs: NDArray[Any], start_fs: NDArray[Any], end_fs: NDArray[Any], jobs: NDArray[Any]
) -> NDArray[Any]:
    """Return how long jobs of equal length, one after the other, waited in all since they were asked for [fs]."""
    result: NDArray[Any] = jobs * (start_fs - asked_fs) + (jobs - 1) * (end_fs - start_fs) // 2
    return result


def _total(trace: Trace, *fields: str) -> float:
    return math.fsum(value for field in fields for value in trace.phases.column(field).tolist())


def _balance(trace: Trace) -> dict[str, float]:
    delivered, numerical = _total(trace, "delivered_j"), _total(trace, "numerical_j")
    mismatch = math.fsum(abs(value) for value in trace.phases.column("numerical_j").tolist())
    return {
        "delivered_j": delivered,
        "absorbed_j": _total(trace, "absorbed_j"),
        "dissipated_j": _total(trace, *_DISSIPATED),
        "stored_j": _total(trace, "stored_j"),
        "numerical_j": numerical,
        "relative_error": mismatch / delivered if delivered else 0.0,  # errors of phases do not cancel
    }


def _paired(trace: Trace) -> dict[str, Any]:
    """Return the worst deviations of phases that two backends answered; empty where there was none."""
    worst = {}
    for figure in ("current_deviation", "state_deviation", "energy_deviation"):
        values = [value for value in map(float, trace.phases.column(figure).tolist()) if value == value]
        if not values:
            return {}
        worst[figure] = max(values)
    return {"paired": {"phases": len(values), **worst}}


def _checks(trace: Trace) -> dict[str, Any]:
    phases = trace.phases
    return {
        **_paired(trace),
        "kcl_residual_relative": max(map(float, phases.column("kcl_residual").tolist()), default=0.0),
        "bounds_violations": sum(map(int, phases.column("out_of_bounds").tolist())),
    }


def _operations(trace: Trace, energy: Mapping[int, float]) -> list[dict[str, Any]]:
    return [
        {
            "index": record.operation,
            "op": record.op,
            "target": record.target,
            "start_s": seconds(record.start_fs),
            "end_s": seconds(record.end_fs),
            "energy_j": energy.get(record.operation, 0.0),
            **record.details,
        }
        for record in trace.operations
    ]
