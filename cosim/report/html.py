"""``report.html``: one self-contained page that says how exact, how long, how many joules, does SPICE agree.

The page needs no network; every text of the run is escaped. What it shows of a long run is decimated or cut,
and says so; the tables hold everything.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from textwrap import wrap
from typing import Any

import numpy as np
from markupsafe import Markup

from cosim.records import Formula, Trace
from cosim.report.figures import (
    COLOURS,
    Figure,
    bars,
    chosen,
    colours,
    convergence,
    heatmap,
    histogram,
    overlay,
    phase_errors,
    scatter,
    stacked_bars,
)
from cosim.report.files import plain, write_whole
from cosim.report.totals import EnergyTotals, energy_totals
from cosim.report.tracks import tracks
from cosim.units import quantity_text

MAX_LISTED = 200
MAX_READS = 6
MAX_TILES = 6
MAX_WORST = 20
MAX_BARS = 60
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
    energy, packed = _energy(trace, totals), tracks(trace)
    reads, read_figures = _reads(trace, summary["operations"])
    maps, map_figures = _maps(trace)
    colour = colours([*summary["time"]["by_kind_s"], *summary["energy"]["by_kind_j"]])
    figures = {
        **_energy_figures(energy, colour), **_time_figures(summary["time"]), **_programming_figures(trace), **read_figures,
        **map_figures, **_crosscheck_figures(crosscheck),
    }  # fmt: skip
    return template.render(
        summary=summary,
        manifest=_flat(plain(manifest)),
        resolved_yaml=resolved_yaml,
        crosscheck=_crosscheck(crosscheck),
        energy=energy,
        operations=[_operation(entry) for entry in summary["operations"]],
        programming=_programming(trace),
        reads=reads,
        maps=maps,
        maps_left_out=max(0, len(trace.maps) - len(maps)),
        answers=_answers(summary),
        capacities=trace.capacities,
        accounting=summary.get("accounting"),
        areas=trace.areas,
        has_timeline=bool(len(trace.busy)),
        timeline={"tracks": len(packed["tracks"]), **{key: packed[key] for key in ("left_out", "joined")}},
        tracks=_island(packed),
        drawn={name: figure["layout"].get("height", 360) for name, figure in figures.items()},
        figures=_island({"kinds": colour, **figures}),
        style=_text("page.css"),
        program=_text("page.js"),
        library=_text("plotly-cartesian.min.js"),
    )


def _text(name: str) -> Markup:
    """Return a file of this folder, which stands in the page as it is."""
    return Markup((Path(__file__).parent / name).read_text(encoding="utf-8"))


def _island(value: Any) -> Markup:
    """Return a value as JSON that can stand in a script element: no character there can end it."""
    text = json.dumps(plain(value), ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))


def _energy_figures(energy: Mapping[str, Any], colour: Mapping[str, str]) -> dict[str, Figure]:
    if not energy["cells"]:
        return {}
    operations = {operation for operation, _ in energy["operations"]}
    parts = {(f"operation {key[0]}", key[1]): value for key, value in energy["operations"].items()}
    found = {"energy": stacked_bars(energy["cells"], colour, energy["hints"], "energy", "J")}
    if 1 < len(operations) <= MAX_BARS:
        components = sorted({component for _, component in energy["operations"]})
        own = {component: f"--k{number % COLOURS}" for number, component in enumerate(components)}
        found["energy_operations"] = stacked_bars(parts, own, {}, "energy", "J")
        found["energy_operations"]["layout"]["height"] += 100  # the legend names every component
    return found


def _time_figures(time: Mapping[str, Any]) -> dict[str, Figure]:
    if not time["by_kind_s"]:
        return {}
    names = list(time["utilization"])[:MAX_BARS]
    used = [time["utilization"][name] for name in names]
    return {
        "busy": bars(list(time["by_kind_s"]), list(time["by_kind_s"].values()), "busy time", "s"),
        "utilization": bars(names, used, "utilization", "", tickformat=".0%", range=[0, 1]),
        "waiting": bars(names, [time["waiting_s"][name] for name in names], "waited for", "s"),
    }


def _crosscheck_figures(check: Mapping[str, Any] | None) -> dict[str, Figure]:
    if check is None:
        return {}
    found = {"phase_errors": phase_errors(check["phases"])}
    for number, waveform in enumerate(check.get("waveforms", [])):
        found[f"waveform_{number}"] = overlay(waveform)
    return found


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
    operations: dict[tuple[str, str], list[float]] = {}
    for (operation, component, kind, key), value in totals.groups.items():
        formula = trace.formulas.get(key, _NO_FORMULA)
        parts.setdefault((component, kind, formula), []).append(value)
        operations.setdefault((str(operation), component), []).append(value)
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
    return {
        "rows": rows,
        "cells": {key: math.fsum(values) for key, values in cells.items()},
        "operations": {key: math.fsum(values) for key, values in operations.items()},
        "hints": {key: "<br>".join(texts) for key, texts in hints.items()},
    }


def _hint(row: Mapping[str, Any]) -> str:
    """Return what hovering over an energy figure shows: share, formula, inputs, source."""
    first = f"{percent(row['share'])} of the total"
    formula = row["formula"]
    if formula == _NO_FORMULA:
        return first
    lines = [first, f"= {formula.expression}", *wrap(f"inputs: {formula.inputs}", 90)]
    return "<br>".join(escape(line) for line in [*lines, *wrap(f"source: {formula.source}", 90)])


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
    missed = [row for row in trace.outcomes if not row[8]]
    return {
        "cells": len(trace.outcomes),
        "mean_pulses": float(np.mean(pulses)),
        "most_pulses": int(np.max(pulses)),
        "missed": missed[:MAX_LISTED],
        "missed_total": len(missed),
    }


def _programming_figures(trace: Trace) -> dict[str, Figure]:
    outcomes = trace.outcomes
    if not len(outcomes):
        return {}
    target, verified = (outcomes.column(name).astype(np.float64) for name in ("target_s", "verified_s"))
    places = zip(*(outcomes.column(name).tolist() for name in ("tile", "row", "column")), strict=True)
    names = [escape(f"{tile}, row {row}, column {column}") for tile, row, column in places]
    return {
        "pulses": histogram(outcomes.column("pulses"), "pulses per cell", "", whole=True),
        "convergence": convergence(trace.pulses, outcomes),
        "programmed": scatter(target, verified, ("target conductance", "verified conductance"), "S", names),
    }


def _reads(
    trace: Trace, operations: Sequence[Mapping[str, Any]]
) -> tuple[list[dict[str, Any]], dict[str, Figure]]:
    """Return the reads that are shown, and their figures."""
    reads: list[dict[str, Any]] = []
    figures: dict[str, Figure] = {}
    if not len(trace.values):
        return reads, figures
    columns = [trace.values.column(name) for name in ("operation", "vector", "output", "ideal", "value")]
    by_index = {entry["index"]: entry for entry in operations}
    for index in sorted(set(columns[0].tolist()))[:MAX_READS]:
        own = columns[0] == index
        vector, output, exact, value = (column[own] for column in columns[1:])
        exact, value = exact.astype(np.float64), value.astype(np.float64)
        entry = by_index.get(index, {})
        unit = "" if entry.get("unit", "1") == "1" else str(entry["unit"])
        worst = np.argsort(-np.abs(value - exact), kind="stable")[:MAX_WORST]
        shown = min(len(exact), len(chosen(exact, value)))
        reads.append(
            {
                "index": index, "unit": unit, "target": entry.get("target", ""), "error": entry.get("error") or {},
                "worst": list(zip(*(column[worst].tolist() for column in (vector, output, exact, value)), strict=True)),
                "caption": f"{shown} of {len(exact)} points shown, the worst among them; on the line the result is exact.",
            }
        )  # fmt: skip
        figures[f"read_{index}"] = scatter(exact, value, ("exact result", "result"), unit)
        figures[f"error_{index}"] = histogram(value - exact, "error of a result", unit)
    return reads, figures


_MAPS = {
    "conductance_before_s": ("Conductance before", "S", False, "At the start of the run."),
    "conductance_after_s": ("Conductance after", "S", False, "At the end of the run."),
    "moved_unasked": (
        "Disturb", "", True, "What a cell moved since its last verify (or in the run), in fractions of the range.",
    ),
    "word_line_drop_v": (
        "Voltage drop along word lines", "V", False, "In a read with every word line at the top of the DAC.",
    ),
    "bit_line_drop_v": (
        "Voltage rise along bit lines", "V", False, "In the same read; at the sense end it is zero.",
    ),
    "energy_j": ("Energy in the cells", "J", False, "Dissipated in the devices over the run."),
}  # fmt: skip
"""Title, unit, whether the scale has zero in its middle, and caption of the maps of a tile."""


def _maps(trace: Trace) -> tuple[list[dict[str, Any]], dict[str, Figure]]:
    """Return the maps of the first tiles, and their figures."""
    tiles: list[dict[str, Any]] = []
    figures: dict[str, Figure] = {}
    for number, (name, maps) in enumerate(sorted(trace.maps.items())[:MAX_TILES]):
        full = {**maps, "energy_j": trace.cell_energies[name]} if name in trace.cell_energies else maps
        listed = []
        for key in [key for key in _MAPS if key in full]:
            title, unit, signed, caption = _MAPS[key]
            figures[f"map_{number}_{key}"] = heatmap(full[key], title, unit, signed=signed)
            listed.append({"figure": f"map_{number}_{key}", "title": title, "caption": caption})
        moved, after = maps["moved_unasked"], maps["conductance_after_s"]
        order = np.argsort(-np.abs(moved), axis=None, kind="stable")[:MAX_WORST]
        worst = [
            (*divmod(place, moved.shape[1]), float(moved.flat[place]), float(after.flat[place]))
            for place in order.tolist()
            if moved.flat[place] != 0
        ]
        tiles.append({"name": name, "maps": listed, "worst": worst})
    return tiles, figures


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
