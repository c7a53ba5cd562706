"""``report.html``: one self-contained page that says how exact, how long, how many joules, does SPICE agree.

The page needs no network; every text of the run is escaped. What it shows of a long run is decimated or cut,
and says so; the tables hold everything.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cosim.records import Formula, Trace
from cosim.report.charts import colours, histogram, nice_ticks, scatter, stacked, timeline
from cosim.report.files import plain, write_whole
from cosim.report.totals import EnergyTotals, energy_totals
from cosim.units import quantity_text, seconds

ROW_HEIGHT = 22
MAX_LISTED = 200
MAX_READS = 6
_SCATTER_SIZE = 320
_NO_FORMULA = Formula("", "", "")
_LONG = ("values", "ideal", "codes", "unreached")


def write_page(
    path: Path,
    trace: Trace,
    summary: Mapping[str, Any],
    *,
    manifest: Mapping[str, Any],
    resolved_yaml: str,
    crosscheck: Mapping[str, Any] | None = None,
    totals: EnergyTotals | None = None,
) -> None:
    """Write the report page of a run to ``path``."""
    write_whole(
        path,
        render(
            trace,
            summary,
            manifest=manifest,
            resolved_yaml=resolved_yaml,
            crosscheck=crosscheck,
            totals=totals,
        ),
    )


def render(
    trace: Trace,
    summary: Mapping[str, Any],
    *,
    manifest: Mapping[str, Any],
    resolved_yaml: str,
    crosscheck: Mapping[str, Any] | None = None,
    totals: EnergyTotals | None = None,
) -> str:
    """Return the report page of a run as HTML text."""
    import jinja2

    from cosim.report.bytecode import CompiledTemplates

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        bytecode_cache=CompiledTemplates(),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(quantity=shown, percent=percent, figure=figure)
    template = environment.get_template("page.html")
    totals = totals or energy_totals(trace)
    return template.render(
        summary=summary,
        manifest=_flat(plain(manifest)),
        resolved_yaml=resolved_yaml,
        crosscheck=_crosscheck(crosscheck),
        energy=_energy(trace, totals),
        colour=colours([*summary["time"]["by_kind_s"], *summary["energy"]["by_kind_j"]]),
        timeline=_timeline(trace),
        operations=[_operation(entry) for entry in summary["operations"]],
        programming=_programming(trace),
        reads=_reads(trace, summary["operations"]),
        answers=_answers(summary),
        capacities=trace.capacities,
        accounting=summary.get("accounting"),
        areas=trace.areas,
    )


def percent(value: float) -> str:
    """Return a fraction as a percentage for a person."""
    return f"{100 * value:.3g} %"


def shown(value: float, unit: str) -> str:
    """Return a quantity for a person, with an SI prefix where there is a unit."""
    return quantity_text(value, unit) if unit else figure(float(value))


def figure(value: Any) -> str:
    """Return a number for a person, with four digits, also within a list; anything else as it is."""
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(figure(part) for part in value)}]"
    return "–" if value is None else str(value)


def _answers(summary: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the four answers need that the summary does not say in one place."""
    components = summary["energy"]["by_component_j"]
    largest = max(components, key=lambda name: components[name], default="")
    reads = [entry for entry in summary["operations"] if "rms_relative" in (entry.get("error") or {})]
    worst = max(reads, key=lambda entry: entry["error"]["rms_relative"] or 0.0, default=None)
    writes = [entry for entry in summary["operations"] if "converged_fraction" in entry]
    total = summary["energy"]["total_j"]
    return {
        "largest": largest,
        "largest_share": components[largest] / total if largest and total else 0.0,
        "read": worst,
        "cells": sum(entry["cells"] for entry in writes),
        "converged": sum(entry["converged"] for entry in writes),
    }


def _energy(trace: Trace, totals: EnergyTotals) -> dict[str, Any]:
    parts: dict[tuple[str, str, Formula], list[float]] = {}
    for (_, component, kind, key), value in totals.groups.items():
        formula = trace.formulas.get(key, _NO_FORMULA)
        parts.setdefault((component, kind, formula), []).append(value)
    sums = {key: math.fsum(values) for key, values in parts.items()}
    cells: dict[tuple[str, str], list[float]] = {}
    for (component, kind, _), value in sums.items():
        cells.setdefault((component, kind), []).append(value)
    rows = [
        {
            "component": component,
            "kind": kind,
            "value": value,
            "share": value / totals.total if totals.total else 0.0,
            "formula": formula,
        }
        for (component, kind, formula), value in sorted(sums.items(), key=lambda item: (-item[1], item[0]))
    ]
    hints: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        hints.setdefault((str(row["component"]), str(row["kind"])), []).append(_hint(row))
    bars = stacked({key: math.fsum(values) for key, values in cells.items()})
    return {"bars": bars, "rows": rows, "hints": {key: "\n".join(texts) for key, texts in hints.items()}}


def _hint(row: Mapping[str, Any]) -> str:
    """Return the text that hovering over an energy figure shows."""
    first = f"{row['component']}, {row['kind']}: {quantity_text(row['value'], 'J')} ({percent(row['share'])})"
    formula = row["formula"]
    if formula == _NO_FORMULA:
        return first
    return f"{first}\n{formula.expression}\n{formula.inputs}\nsource: {formula.source}"


def _timeline(trace: Trace) -> dict[str, Any]:
    rows, left_out = timeline(trace, ROW_HEIGHT)
    end = max(trace.end_fs, 1)
    ticks = [(1000.0 * tick / seconds(end), tick) for tick in nice_ticks(0.0, seconds(end), 6)]
    operations = [
        (
            1000.0 * record.start_fs / end, 1000.0 * (record.end_fs - record.start_fs) / end, record.op,
            record.target, seconds(record.start_fs), seconds(record.end_fs),
        )
        for record in trace.operations[:1000]
    ]  # fmt: skip
    kinds = sorted({band.kind for row in rows for band in row.bands})
    height = ROW_HEIGHT * (len(rows) + 1)
    return {
        "rows": rows, "left_out": left_out, "ticks": ticks, "operations": operations, "kinds": kinds,
        "height": height, "row_height": ROW_HEIGHT,
    }  # fmt: skip


def _operation(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return an operation with its own figures as short pairs; long arrays are named, not shown."""
    known = ("index", "op", "target", "start_s", "end_s", "energy_j")
    details = {key: value for key, value in entry.items() if key not in (*known, *_LONG)}
    return {**{key: entry[key] for key in known}, "details": _flat(details)}


def _flat(value: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Return nested mappings as pairs of dotted key and value; long lists are cut."""
    pairs: list[tuple[str, Any]] = []
    for key, entry in value.items():
        if isinstance(entry, Mapping):
            pairs += _flat(entry, f"{prefix}{key}.")
        elif isinstance(entry, (list, tuple)) and entry and all(isinstance(part, Mapping) for part in entry):
            pairs += _flat({str(k): part for k, part in enumerate(entry[:8])}, f"{prefix}{key}.")
        elif isinstance(entry, (list, tuple)):
            shown = ", ".join(figure(part) for part in entry[:8])
            pairs.append((f"{prefix}{key}", shown + (f", … ({len(entry)})" if len(entry) > 8 else "")))
        else:
            pairs.append((f"{prefix}{key}", entry))
    return pairs


def _programming(trace: Trace) -> dict[str, Any] | None:
    if not len(trace.outcomes):
        return None
    pulses = trace.outcomes.column("pulses")
    low, high = trace.outcomes.column("target_s"), trace.outcomes.column("verified_s")
    missed = [row for row in trace.outcomes if not row[8]]
    return {
        "cells": len(trace.outcomes),
        "histogram": histogram(pulses, whole=True),
        "mean_pulses": float(np.mean(pulses)),
        "most_pulses": int(np.max(pulses)),
        "scatter": scatter(low.astype(np.float64), high.astype(np.float64), _SCATTER_SIZE),
        "missed": missed[:MAX_LISTED],
        "missed_total": len(missed),
    }


def _reads(trace: Trace, operations: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    if not len(trace.values):
        return []
    of, value = trace.values.column("operation"), trace.values.column("value").astype(np.float64)
    exact = trace.values.column("ideal").astype(np.float64)
    by_index = {entry["index"]: entry for entry in operations}
    reads = []
    for index in sorted(set(of.tolist()))[:MAX_READS]:
        own = of == index
        entry = by_index.get(index, {})
        unit = "" if entry.get("unit", "1") == "1" else str(entry["unit"])
        reads.append(
            {
                "index": index, "unit": unit, "target": entry.get("target", ""), "error": entry.get("error") or {},
                "scatter": scatter(exact[own], value[own], _SCATTER_SIZE),
                "histogram": histogram(value[own] - exact[own]),
            }
        )  # fmt: skip
    return reads


def _crosscheck(check: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if check is None:
        return None
    figures = [
        {"name": name, "worst": worst, "tolerance": check["tolerances"].get(name),
         "phase": check.get("worst_phase", {}).get(name)}
        for name, worst in check["worst"].items()
    ]  # fmt: skip
    phases = sorted(
        check["phases"],
        key=lambda row: -(row["current_relative"] if row["current_relative"] is not None else 1e300),
    )[:MAX_LISTED]
    return {
        "check": check,
        "figures": figures,
        "phases": phases,
        "free_running": _flat(check["free_running"]),
    }
