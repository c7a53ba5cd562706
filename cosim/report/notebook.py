"""A run as a short table for notebooks."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from cosim.units import quantity_text


def short_table(summary: Mapping[str, Any]) -> str:
    """Return the answers of a run, and its operations, as an HTML table."""
    time, energy = summary["time"], summary["energy"]
    errors = [
        entry["error"]["rms_relative"]
        for entry in summary["operations"]
        if "rms_relative" in entry.get("error", {})
    ]
    exact = (
        f"{100 * max(errors):.3g} % rms, the worst of {len(errors)} reads"
        if errors
        else "no read was compared"
    )
    rows = [
        ("How exact", exact),
        ("How long", f"{quantity_text(time['end_s'], 's')} in {time['phases']} circuit phases"),
        ("How many joules", quantity_text(energy["total_j"], "J")),
    ]
    for entry in summary["operations"][:10]:
        spent = quantity_text(entry["end_s"] - entry["start_s"], "s"), quantity_text(entry["energy_j"], "J")
        rows.append((f"{entry['index']} {entry['op']}", f"{entry['target']}: {spent[0]}, {spent[1]}"))
    if len(summary["operations"]) > 10:
        rows.append(("", f"and {len(summary['operations']) - 10} more operations"))
    rows += [("Warning", sentence) for sentence in summary["warnings"]]
    body = "".join(f"<tr><th>{escape(name)}</th><td>{escape(text)}</td></tr>" for name, text in rows)
    title = escape(f"{summary['scenario']['name']}, seed {summary['seed']}")
    return f"<table><caption>{title}</caption><tbody>{body}</tbody></table>"
