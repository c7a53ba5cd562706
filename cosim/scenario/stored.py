"""Result folders of earlier runs: read again, compared, and their page written anew."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cosim.errors import InputError
from cosim.report.stored import read_trace
from cosim.units import quantity_text


@dataclass(frozen=True, slots=True, eq=False)
class StoredRun:
    """What the folder of a run says: its summary, manifest, resolved scenario, and cross-check where there is one."""

    folder: Path
    summary: dict[str, Any]
    manifest: dict[str, Any]
    resolved_yaml: str
    crosscheck: dict[str, Any] | None


def read_folder(folder: Path) -> StoredRun:
    """Read the folder of a run. Raises `InputError` where it is none."""
    if not folder.is_dir():
        raise InputError(f"{folder}: there is no such folder; give the result folder of a run")
    check = folder / "crosscheck.json"
    return StoredRun(
        folder,
        _content(folder / "summary.json"),
        _content(folder / "manifest.json"),
        _text(folder / "scenario.resolved.yaml"),
        _content(check) if check.is_file() else None,
    )


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        raise InputError(
            f"{path.parent}: is no result folder of a run, since it has no readable {path.name}; give one that 'cosim run' wrote"
        ) from None


def _content(path: Path) -> dict[str, Any]:
    text = _text(path)
    try:
        content = json.loads(text)
    except ValueError:
        raise InputError(f"{path}: is not the JSON that a run writes; run the scenario again") from None
    if not isinstance(content, dict) or content.get("schema_version") != 1:
        raise InputError(f"{path}: must have schema_version 1; run the scenario again with this version")
    return content


def write_report(folder: Path) -> Path:
    """Write the page of a run's folder anew and return its path. Raises `InputError`."""
    from cosim.report.html import write_page

    stored = read_folder(folder)
    trace = read_trace(folder / "tables", stored.summary)
    path = folder / "report.html"
    write_page(
        path, trace, stored.summary, manifest=stored.manifest, resolved_yaml=stored.resolved_yaml,
        crosscheck=stored.crosscheck,
    )  # fmt: skip
    return path


def compare_folders(first: Path, second: Path) -> dict[str, Any]:
    """Return what differs between two runs: entries of their scenarios, and figures of their summaries."""
    one, other = read_folder(first), read_folder(second)
    keys = (_entries(one.resolved_yaml), _entries(other.resolved_yaml))
    figures = (dict(_figures(one)), dict(_figures(other)))
    units = {name: unit for each in figures for name, (_, unit) in each.items()}
    return {
        "schema_version": 1,
        "folders": [str(first), str(second)],
        "scenario": [
            {"key": key, "first": keys[0].get(key), "second": keys[1].get(key)}
            for key in dict.fromkeys([*keys[0], *keys[1]])
            if keys[0].get(key) != keys[1].get(key)
        ],
        "figures": [
            _row(name, unit, *(each[name][0] if name in each else None for each in figures))
            for name, unit in units.items()
        ],
    }


def _row(name: str, unit: str, first: float | None, second: float | None) -> dict[str, Any]:
    ratio = second / first if first and second is not None else None
    return {"figure": name, "unit": unit, "first": first, "second": second, "ratio": ratio}


def _entries(text: str) -> dict[str, Any]:
    """Return the leaves of a resolved scenario by dotted key."""
    from ruamel.yaml import YAML

    def leaves(node: Any, key: str) -> Iterator[tuple[str, Any]]:
        if isinstance(node, Mapping) and node:
            for name, entry in node.items():
                yield from leaves(entry, f"{key}.{name}" if key else str(name))
        elif isinstance(node, list) and any(isinstance(entry, Mapping) for entry in node):
            for index, entry in enumerate(node):
                yield from leaves(entry, f"{key}.{index}")
        else:
            yield key, node

    return dict(leaves(YAML(typ="safe", pure=True).load(text), ""))


def _figures(run: StoredRun) -> Iterator[tuple[str, tuple[float, str]]]:
    """Yield the figures of a run with their units."""
    time, energy = run.summary["time"], run.summary["energy"]
    yield "time", (time["end_s"], "s")
    yield "phases", (time["phases"], "")
    yield "energy", (energy["total_j"], "J")
    for name, value in energy["by_component_j"].items():
        yield f"energy of {name}", (value, "J")
    for entry in run.summary["operations"]:
        name = f"operation {entry['index']} ({entry['op']})"
        yield f"{name} time", (entry["end_s"] - entry["start_s"], "s")
        yield f"{name} energy", (entry["energy_j"], "J")
        for key, words in (("rms_relative", "error, rms"), ("max", "error, largest")):
            if isinstance((entry.get("error") or {}).get(key), (int, float)):
                yield f"{name} {words}", (entry["error"][key], "")
        for key in ("pulses", "converged", "accuracy"):
            if isinstance(entry.get(key), (int, float)):
                yield f"{name} {key}", (entry[key], "")
    if run.crosscheck is not None:
        for name, value in run.crosscheck["worst"].items():
            if value is not None:
                yield f"against ngspice: {name}", (value, "")


def comparison_lines(content: Mapping[str, Any]) -> list[str]:
    """Return a comparison as lines for a person; figures that are alike are counted only."""
    lines = [f"first      {content['folders'][0]}", f"second     {content['folders'][1]}"]
    lines += [
        f"scenario   {entry['key']}: {_shown(entry['first'])} -> {_shown(entry['second'])}"
        for entry in content["scenario"]
    ]
    if not content["scenario"]:
        lines.append("scenario   the same")
    changed = [row for row in content["figures"] if row["first"] != row["second"]]
    width = max((len(row["figure"]) for row in changed), default=0)
    for row in changed:
        both = [
            "–" if row[side] is None else quantity_text(row[side], row["unit"]) if row["unit"] else f"{row[side]:.4g}"
            for side in ("first", "second")
        ]  # fmt: skip
        ratio = "" if row["ratio"] is None else f"  x {row['ratio']:.4g}"
        lines.append(f"{row['figure']:<{width}}  {both[0]:>12}  {both[1]:>12}{ratio}")
    lines.append(
        f"{len(content['figures']) - len(changed)} of {len(content['figures'])} figures are the same"
    )
    return lines


def _shown(value: Any) -> str:
    text = "not given" if value is None else str(value)
    return text if len(text) <= 60 else text[:57] + "..."
