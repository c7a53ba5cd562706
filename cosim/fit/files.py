"""The folder of a fit: figures as JSON, the device as YAML, a scenario that runs with it, curves, a plot."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cosim.devices.base import DeviceModel, FloatArray
from cosim.fit.measurement import Loop, Measurement
from cosim.fit.outcome import Fit, MeasurementError, Prediction, marker, value_text
from cosim.report.files import json_text, whole_file, write_whole

_SCENARIO = """\
# A first scenario with the fitted device: program a matrix with write-verify, then multiply.
extends: device.yaml
schema_version: 1
name: fitted
description: the fitted device in an array
seed: 1
hardware:
  cell: {{kind: 1T1R, access_resistance: {access}}}
  array: {{rows: 2, columns: 2}}
  dac: {{range: [0 V, {read}]}}
tiles:
  t: {{}}
program:
  - write:
      tiles: [t]
      matrix: [[0.2, 0.5], [0.8, 1.0]]
      verify: {{window: 5 %, max_pulses: 200, pulses: adaptive-width}}
  - read:
      tiles: [t]
      inputs: [[1, 1], [1, 0.5]]
"""
_READ_VOLTAGE = 0.05


def device_yaml(fit: Fit) -> str:
    """Return the fitted device as the ``hardware`` section of a scenario."""
    sources = ", ".join(entry.name for entry in fit.measurements)
    lines = [f"# {fit.model} fitted to {sources}", "hardware:", "  device:", f"    model: {fit.model}"]
    lines += [f"    {key}: {text}" for key, text in device_entries(fit.device).items()]
    return "\n".join([*lines, f"  temperature: {fit.temperature!r} K", ""])


def device_entries(device: DeviceModel) -> Mapping[str, str]:
    """Return every parameter of a device as a scenario writes it."""
    found = {}
    for entry in dataclasses.fields(device):  # type: ignore[arg-type]
        value = getattr(device, entry.name)
        if value is None:
            continue
        mark = marker(type(device), entry.name)
        found[entry.name] = mark.text(value) if mark is not None else str(value)
    return found


def scenario_yaml(fit: Fit) -> str:
    """Return a small scenario that extends ``device.yaml`` and runs."""
    _, high = fit.device.conductance_range()
    return _SCENARIO.format(access=f"{0.1 / float(high):.3g} ohm", read=f"{_READ_VOLTAGE} V")


def save(fit: Fit, folder: Path, content: Mapping[str, Any], predictions: Sequence[Prediction]) -> None:
    """Write ``fit.json`` (``content``), ``device.yaml``, ``scenario.yaml``, ``fit.svg`` and ``curves/NAME.csv``."""
    write_whole(folder / "fit.json", json_text(content))
    write_whole(folder / "device.yaml", device_yaml(fit))
    write_whole(folder / "scenario.yaml", scenario_yaml(fit))
    curves = [*zip(fit.measurements, fit.predictions, strict=True)]
    curves += [(entry.measurement, entry.given) for entry in predictions]
    for number, (entry, given) in enumerate(curves):
        write_whole(folder / "curves" / f"{number:03d}_{entry.name}.csv", _curve(entry, given))
    _plot(fit, curves, len(fit.measurements), folder / "fit.svg")


def _curve(measurement: Measurement, given: FloatArray) -> str:
    if isinstance(measurement, Loop):
        title, first = "drive_V,measured_A,fitted_A", measurement.drive
    else:
        title, first = "amplitude_V,measured_S,fitted_S", measurement.amplitude
    rows = np.column_stack([first, measurement.observed, given])
    return "\n".join([title, *(",".join(f"{value:.9g}" for value in row) for row in rows), ""])


def _plot(fit: Fit, curves: list[tuple[Measurement, FloatArray]], fitted: int, path: Path) -> None:
    import matplotlib as mpl
    from matplotlib.figure import Figure

    columns = min(4, len(curves))
    rows = -(-len(curves) // columns)
    figure = Figure(figsize=(4 * columns, 3.2 * rows), layout="constrained")
    axes: Any = figure.subplots(rows, columns, squeeze=False)
    for k, (entry, given) in enumerate(curves):
        ax = axes.flat[k]
        if isinstance(entry, Loop):
            ax.plot(entry.device_voltage, 1e6 * entry.current, ".", ms=3, label="measured")
            ax.plot(entry.drive - entry.series * given, 1e6 * given, lw=1, label=fit.model)
            ax.set(xlabel="voltage over the device (V)", ylabel="current (uA)")
        else:
            ax.plot(1e6 * entry.conductance, ".", ms=3, label="measured")
            ax.plot(1e6 * given, lw=1, label=fit.model)
            ax.set(xlabel="pulse", ylabel="conductance (uS)")
        ax.set_title(entry.name if k < fitted else f"{entry.name} (predicted)", fontsize="small")
        ax.legend(fontsize="small")
    for ax in axes.flat[len(curves) :]:
        ax.set_axis_off()
    with mpl.rc_context({"svg.hashsalt": "cosim", "svg.fonttype": "none"}), whole_file(path) as stream:
        figure.savefig(stream, format="svg", metadata={"Date": None})


def lines(fit: Fit) -> list[str]:
    """Return the result of a fit for a person."""
    model = type(fit.device)
    found = [f"model      {fit.model}, {len(fit.measurements)} measurements, {fit.evaluations} evaluations"]
    for entry in fit.parameters:
        if entry.interval is not None:
            low, high = (value_text(model, entry.name, value) for value in entry.interval)
            tail = f"95 % {low} to {high}"
        else:
            tail = "at the bound of the search" if entry.at_bound else "not determined by the data"
        found.append(f"{entry.name:<10} {value_text(model, entry.name, entry.value):<14} {tail}")
    found += [error_line("fitted", error) for error in fit.errors]
    found.append(
        f"goodness   normalized error {100 * fit.normalized_error:.3g} %, R2 {fit.r_squared:.5f},"
        f" reduced chi-square {fit.reduced_chi_square:.3g}, BIC {fit.bic:.5g}"
    )
    return found


def error_line(what: str, error: MeasurementError) -> str:
    """Return the errors of one measurement for a person."""
    return (
        f"{what:<10} {error.name:<34} error {100 * error.of_range:5.2f} % of range,"
        f" {100 * error.of_peak:5.2f} % of peak, {100 * error.of_rms:5.2f} % of rms"
    )
