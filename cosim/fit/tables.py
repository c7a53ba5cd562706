"""A jump table out of files: what `cosim fit --model pulse_table` does.

Three kinds of files: points (columns ``branch``, ``conductance_UNIT``, ``jump_UNIT``), LTP/LTD curves (``branch`` and
``conductance_UNIT`` after every pulse, in order), or XBTorch's text files, which hold bare numbers: conductances, jumps,
and the distribution function, of SET and then of RESET.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cosim.devices.base import FloatArray
from cosim.devices.jump_table import JumpTable, Sign, read_text_files
from cosim.errors import FitError
from cosim.fit.jumps import Points, build, heat_map, points_of_curve
from cosim.fit.measurement import read_columns
from cosim.report.files import json_text, write_whole
from cosim.units import quantity_text

_BRANCHES: tuple[tuple[str, Sign], ...] = (("LTP", "set"), ("LTD", "reset"))
_FILES = 6
Pulse = tuple[float, float]


@dataclass(frozen=True)
class TableStudy:
    """Files and what they do not say: magnitudes of the pulses (V, s), device, source, the unit of bare numbers [S]."""

    files: tuple[Path, ...]
    set_pulse: Pulse | None
    reset_pulse: Pulse | None
    device: str = ""
    source: str = ""
    siemens_per_unit: float | None = None


@dataclass(frozen=True, eq=False)
class TableResult:
    """The table, and how many points of SET and RESET it was made of (0 for text files, which are tables)."""

    table: JumpTable
    points: tuple[int, int]

    def content(self) -> dict[str, Any]:
        """Return the table's moments as plain values, for JSON."""
        table = self.table
        found: dict[str, Any] = {
            "schema_version": 1, "model": "pulse_table", "device": table.device, "source": table.source,
            "conductance_s": table.conductance,
        }  # fmt: skip
        for (_, sign), pulse, count in zip(
            _BRANCHES, (table.set_pulse, table.reset_pulse), self.points, strict=True
        ):
            mean, sigma = table.moments(sign)
            found[sign] = {
                "amplitude_v": pulse[0], "width_s": pulse[1], "points": count, "mean_jump_s": mean, "spread_s": sigma,
            }  # fmt: skip
        return found

    def lines(self) -> list[str]:
        """Return the result for a person."""
        table = self.table
        low, high = (quantity_text(float(table.conductance[k]), "S") for k in (0, -1))
        found = [f"model      pulse_table, {len(table.conductance)} conductances from {low} to {high}"]
        for (branch, sign), count in zip(_BRANCHES, self.points, strict=True):
            mean, sigma = (
                [quantity_text(float(value[k]), "S") for k in (0, len(value) // 2, -1)]
                for value in table.moments(sign)
            )
            found.append(
                f"{branch:<10} {count} points; low, middle, high: mean jump {', '.join(mean)}; spread {', '.join(sigma)}"
            )
        return found

    def save(self, folder: Path) -> None:
        """Write ``table.json``, ``fit.json`` (moments), ``device.yaml`` and the heat map ``table.svg``."""
        folder.mkdir(parents=True, exist_ok=True)
        self.table.save(folder / "table.json")
        write_whole(folder / "fit.json", json_text(self.content()))
        lines = [f"# jump table of {self.table.device}: {self.table.source}", "hardware:", "  device:"]
        write_whole(
            folder / "device.yaml", "\n".join([*lines, "    model: pulse_table", "    table: table.json", ""])
        )
        heat_map(self.table, folder / "table.svg")


def run_table_study(study: TableStudy) -> TableResult:
    """Build the table; raises `FitError` or `DeviceError` with the file or the option in question."""
    if study.set_pulse is None or study.reset_pulse is None:
        raise FitError(
            "a jump table belongs to two pulses; give --ltp '1.6 V, 50 ns' and --ltd '-1.6 V, 50 ns'"
        )
    names = ", ".join(path.name for path in study.files)
    device, source = study.device or names, study.source or f"measured points in {names}"
    if study.siemens_per_unit is not None:
        table = read_text_files(
            *_six(study.files),
            siemens_per_unit=study.siemens_per_unit,
            device=device,
            source=source,
            set_pulse=study.set_pulse,
            reset_pulse=study.reset_pulse,
        )
        return TableResult(table, (0, 0))
    points = {sign: [] for _, sign in _BRANCHES}  # type: dict[str, list[Points]]
    for path in study.files:
        for sign, some in _points(path).items():
            points[sign].append(some)
    whole = [_joined(points[sign]) for _, sign in _BRANCHES]
    table = build(
        *whole, set_pulse=study.set_pulse, reset_pulse=study.reset_pulse, device=device, source=source
    )
    return TableResult(table, (whole[0].jump.size, whole[1].jump.size))


def _six(files: Sequence[Path]) -> tuple[tuple[Path, Path, Path], tuple[Path, Path, Path]]:
    if len(files) != _FILES:
        raise FitError(
            f"--unit says that the files are text files of a jump table; there must be six of them (conductances, jumps and "
            f"distribution of SET, then of RESET), not {len(files)}"
        )
    for path in files:
        if not path.is_file():
            raise FitError(f"{path}: there is no such file")
    a, b, c, d, e, f = files
    return (a, b, c), (d, e, f)


def _points(path: Path) -> dict[str, Points]:
    """Return the points of each sign of a file with points or with LTP/LTD curves."""
    columns = read_columns(path)
    if "conductance" not in columns or "branch" not in columns:
        raise FitError(
            f"{path}: needs the columns branch (LTP, LTD) and conductance_S, with jump_S for points; or give six text files"
            " and --unit nS"
        )
    branch = np.array(columns["branch"])
    if not set(branch) <= {"LTP", "LTD"}:
        raise FitError(f"{path}: the column branch must hold LTP or LTD")
    found = {}
    for name, sign in _BRANCHES:
        chosen = branch == name
        if "jump" in columns:
            found[sign] = Points(columns["conductance"][chosen], columns["jump"][chosen])
        else:
            found[sign] = _joined([points_of_curve(part) for part in _runs(columns["conductance"], chosen)])
    return found  # type: ignore[return-value]


def _runs(conductance: FloatArray, chosen: Any) -> list[FloatArray]:
    """Return the unbroken runs of some rows: two curves one after the other are not joined by a jump."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], chosen.astype(int), [0]])))
    return [conductance[a:b] for a, b in zip(edges[::2], edges[1::2], strict=True)]


def _joined(parts: Sequence[Points]) -> Points:
    if not parts:
        return Points(np.zeros(0), np.zeros(0))
    return Points(np.concatenate([p.conductance for p in parts]), np.concatenate([p.jump for p in parts]))
