"""What `cosim characterize` gives: the five curves of every device, the figures read off them, files, lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cosim.characterize import curves
from cosim.characterize.curves import Conditions, Drive, Table
from cosim.characterize.drawing import draw
from cosim.devices.base import DeviceModel, FloatArray
from cosim.errors import InputError
from cosim.report.files import json_text, write_whole
from cosim.units import quantity_text

CURVES = ("loop", "pulses", "switching", "relaxation", "read_disturb")
"""The measurements; each is a table ``NAME.csv`` and a row of the figure."""
FORMATS = (".svg", ".pdf", ".png")


@dataclass(frozen=True, eq=False)
class Characterization:
    """The curves of one device: tables by the names in `CURVES`, and what is read off them."""

    label: str
    device: DeviceModel
    conditions: Conditions
    drive: Drive
    tables: Mapping[str, Table]
    figures: Mapping[str, Any]


def characterize(label: str, device: DeviceModel, conditions: Conditions | None = None) -> Characterization:
    """Measure a device model; raises `DeviceError` for one that never moves or has no pulse to be moved by."""
    given = conditions or Conditions()
    drive = curves.drive_of(device, given)
    tables = {
        "loop": curves.loop(device, drive, given.temperature),
        "pulses": curves.pulse_response(device, drive, given),
        "switching": curves.switching_times(device, drive, given.temperature),
        "relaxation": curves.relaxation(device, given.temperature),
        "read_disturb": curves.read_disturb(device, given),
    }
    return Characterization(label, device, given, drive, tables, _figures(device, drive, given, tables))


def _figures(
    device: DeviceModel, drive: Drive, conditions: Conditions, tables: Mapping[str, Table]
) -> dict[str, Any]:
    low, high = device.mean_conductance_range()
    loop, pulses, switching = tables["loop"], tables["pulses"], tables["switching"]
    power = 0.5 * (loop["voltage_V"] * loop["current_A"])
    steps = np.diff(loop["time_s"])
    rising, falling = np.split(pulses["conductance_S"], [conditions.pulses + 1])
    falling = np.concatenate([rising[-1:], falling])
    (v_read, t_read), kelvin = conditions.read_pulse, conditions.temperature
    read = curves.time_to_move(device, v_read, np.array([0.0, 0.5, 1.0]), kelvin)
    return {
        "model": device.name,
        "conductance_range_s": [low, high],
        "set_pulse": {"amplitude_v": drive.set_pulse[0], "width_s": drive.set_pulse[1]},
        "reset_pulse": {"amplitude_v": drive.reset_pulse[0], "width_s": drive.reset_pulse[1]},
        "loop": {
            "period_s": float(loop["time_s"][-1]),
            "covered": float(np.ptp(loop["conductance_S"])) / (high - low),
            "largest_current_a": float(np.abs(loop["current_A"]).max()),
            "energy_j": float(np.sum((power[1:] + power[:-1]) * steps)),
        },
        "pulses": {
            "first_s": float(rising[0]), "after_set_s": float(rising[-1]), "after_reset_s": float(falling[-1]),
            "nonlinearity_set": _bend(rising), "nonlinearity_reset": _bend(falling),
            "spread_after_set_s": float(pulses["spread_S"][conditions.pulses]) if "spread_S" in pulses else 0.0,
        },
        "switching": {
            "set_s": _at_voltage(switching, drive.set_pulse[0]),
            "reset_s": _at_voltage(switching, -drive.reset_pulse[0]),
        },
        "relaxation": {"moved_s": curves.time_to_move(device, 0.0, np.array(curves.STARTS), kelvin)},
        "read_disturb": {"amplitude_v": v_read, "width_s": t_read, "reads_to_move": read / t_read},
    }  # fmt: skip


def _bend(conductance: FloatArray) -> float:
    """Return the largest distance of a curve from the straight line between its ends, of its height; 0 for a flat one."""
    height = float(conductance[-1] - conductance[0])
    if height == 0:
        return 0.0
    straight = np.linspace(conductance[0], conductance[-1], conductance.size)
    return float(np.abs(conductance - straight).max()) / abs(height)


def _at_voltage(table: Table, voltage: float) -> float:
    return float(table["time_s"][int(np.argmin(np.abs(table["voltage_V"] - voltage)))])


def content(found: Sequence[Characterization]) -> dict[str, Any]:
    """Return the figures of all devices as plain values, for JSON."""
    conditions = found[0].conditions
    return {
        "schema_version": 1,
        "temperature_k": conditions.temperature,
        "pulses": conditions.pulses,
        "seed": conditions.seed,
        "devices": {each.label: dict(each.figures) for each in found},
    }


def save(found: Sequence[Characterization], folder: Path, plot: Path | None = None) -> Path:
    """Write ``characterization.json``, one CSV per curve and the figure; returns the figure's path.

    ``plot``: SVG, PDF or PNG by its ending, ``characterization.svg`` in the folder if None. Raises `InputError`.
    """
    figure = plot or folder / "characterization.svg"
    check_format(figure)
    write_whole(folder / "characterization.json", json_text(content(found)))
    for name in CURVES:
        write_whole(folder / f"{name}.csv", _csv([(each.label, each.tables[name]) for each in found]))
    draw([(each.label, each.tables) for each in found], figure)
    return figure


def check_format(path: Path) -> None:
    """Raise `InputError` unless a figure can be written to a file of this ending."""
    if path.suffix.lower() not in FORMATS:
        raise InputError(f"the plot {path} must end with one of {', '.join(FORMATS)}")


def _csv(tables: Sequence[tuple[str, Table]]) -> str:
    """Return tables one below the other with the device in front; a column that a device has not stays empty."""
    columns = list(dict.fromkeys(title for _, table in tables for title in table))
    lines = [",".join(["device", *columns])]
    for label, table in tables:
        rows = [
            [f"{value:.9g}" if np.isfinite(value) else "" for value in table[title]]
            if title in table
            else [""] * len(next(iter(table.values())))
            for title in columns
        ]
        quoted = f'"{label}"' if "," in label else label
        lines += [",".join([quoted, *row]) for row in zip(*rows, strict=True)]
    return "\n".join([*lines, ""])


def lines(found: Sequence[Characterization]) -> list[str]:
    """Return what a person reads: a few lines per device."""
    return [line for each in found for line in _device_lines(each)]


def _device_lines(each: Characterization) -> list[str]:
    f, drive = each.figures, each.drive
    loop, pulses, switching, disturb = f["loop"], f["pulses"], f["switching"], f["read_disturb"]
    low, high = (quantity_text(g, "S") for g in f["conductance_range_s"])
    spread = pulses["spread_after_set_s"]
    noise = f", spread {quantity_text(spread, 'S')}" if spread else ""
    return [
        f"{each.label} ({f['model']}), {low} to {high}",
        f"  loop           {quantity_text(drive.set_pulse[0], 'V')} / -{quantity_text(drive.reset_pulse[0], 'V')},"
        f" period {quantity_text(loop['period_s'], 's')}: covers {100 * loop['covered']:.3g} % of the range,"
        f" {quantity_text(loop['energy_j'], 'J')}",
        f"  pulse response {each.conditions.pulses} SET of {quantity_text(drive.set_pulse[1], 's')}:"
        f" {quantity_text(pulses['first_s'], 'S')} to {quantity_text(pulses['after_set_s'], 'S')}{noise}; as many RESET of"
        f" {quantity_text(drive.reset_pulse[1], 's')}: to {quantity_text(pulses['after_reset_s'], 'S')};"
        f" bend {100 * pulses['nonlinearity_set']:.3g} % / {100 * pulses['nonlinearity_reset']:.3g} %",
        f"  switching      to the middle: {_way('SET', switching['set_s'])}, {_way('RESET', switching['reset_s'])}",
        f"  relaxation     at 0 V: {_moved(f['relaxation']['moved_s'])}",
        f"  read disturb   {quantity_text(disturb['amplitude_v'], 'V')}, {quantity_text(disturb['width_s'], 's')}:"
        f" {_reads(disturb['reads_to_move'])}",
    ]


def _way(name: str, seconds: float) -> str:
    return f"{name} {quantity_text(seconds, 's')}" if np.isfinite(seconds) else f"{name} never"


def _moved(seconds: float) -> str:
    if not np.isfinite(seconds):
        return "moves less than 1 % of the range in ten years"
    years = seconds / (curves.TEN_YEARS / 10)
    return f"1 % of the range in {f'{years:.3g} years' if years >= 1 else quantity_text(seconds, 's')}"


def _reads(count: float) -> str:
    if not np.isfinite(count):
        return "less than 1 % of the range in ten years of reads"
    return f"1 % of the range after {max(count, 1.0):.3g} reads"
