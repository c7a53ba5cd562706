"""``crosscheck.json``: the behavioral backend against ngspice, phase by phase from the same state.

``current_relative`` is relative to the largest line current of the phase, ``state_absolute`` to the full
range of the state, ``energy_relative`` to the largest phase energy of its kind among the checked phases.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from cosim.report.files import plain

SCHEMA_VERSION = 1
FIGURES = ("current_relative", "state_absolute", "energy_relative")
"""What is compared; each has its tolerance."""

Row = Mapping[str, Any]


def crosscheck(
    rows: Sequence[Row],
    *,
    tolerances: Mapping[str, float],
    phases_total: int,
    free_running: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the ``crosscheck.json`` dict of compared phases.

    A figure that is not finite, a tolerance that is exceeded, or no checked phase at all: not passed.

    Parameters
    ----------
    rows : one mapping per checked phase: ``phase``, ``operation``, ``tile``, ``kind``, ``current_relative``,
        ``state_absolute``, ``energy_gap_j``, ``energy_j``, ``largest_current_a``, ``behavioral_wall_s``,
        ``ngspice_wall_s``; further keys are kept as they are
    tolerances : by figure (`FIGURES`)
    phases_total : phases of the run, checked or not
    free_running : the comparison with both sides on their own state, kept as it is
    """
    phases = _with_relative_energy(rows)
    worst = {figure: _worst(phases, figure) for figure in FIGURES}
    wall = {
        side: math.fsum(float(row[f"{side}_wall_s"]) for row in rows) for side in ("behavioral", "ngspice")
    }
    kinds = [str(row["kind"]) for row in rows]
    within = all(_within(worst[figure], tolerances[figure]) for figure in FIGURES if figure in tolerances)
    result: dict[str, Any] = plain(
        {
            "schema_version": SCHEMA_VERSION,
            "passed": bool(rows) and within and all(math.isfinite(value) for value in worst.values()),
            "tolerances": dict(tolerances),
            "worst": worst,
            "worst_phase": {figure: _worst_phase(phases, figure) for figure in FIGURES},
            "phases_checked": len(rows),
            "phases_total": phases_total,
            "checked_by_kind": {kind: kinds.count(kind) for kind in sorted(set(kinds))},
            "phases": phases,
            "free_running": dict(free_running or {}),
            "wall_s": wall,
            "speedup": wall["ngspice"] / wall["behavioral"] if wall["behavioral"] > 0 else None,
        }
    )
    return result


def _with_relative_energy(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Return the rows with ``energy_relative``; where a kind has no energy at all, any gap counts as 1."""
    largest: dict[str, float] = {}
    for row in rows:
        kind = str(row["kind"])
        largest[kind] = max(largest.get(kind, 0.0), abs(float(row["energy_j"])))
    phases = []
    for row in rows:
        gap = abs(float(row["energy_gap_j"]))
        scale = largest[str(row["kind"])] or gap
        phases.append({**row, "energy_relative": gap / scale if scale else 0.0})
    return phases


def _worst(phases: Sequence[Row], figure: str) -> float:
    values = [abs(float(row[figure])) for row in phases]
    return math.nan if any(math.isnan(value) for value in values) else max(values, default=0.0)


def _worst_phase(phases: Sequence[Row], figure: str) -> Any:
    if not phases:
        return None
    return max(phases, key=lambda row: _rank(float(row[figure])))["phase"]


def _rank(value: float) -> float:
    return math.inf if math.isnan(value) else abs(value)


def _within(value: float, tolerance: float) -> bool:
    return math.isfinite(value) and value <= tolerance
