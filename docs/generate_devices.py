"""Writes a page with a figure for every device model that has a differential equation: `docs/devices/`.

The text is the docstring of the model's module, the parameters are its declarations. The figure holds what
`advance` and the published equation, solved by scipy, make of a sine of voltage. Run it with
``make docs-generate``; a test compares pages and curves.
"""

from __future__ import annotations

import dataclasses
import importlib
import re
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from cosim.conformance import drive_of
from cosim.devices import DeviceModel, models
from cosim.devices.base import FloatArray
from cosim.scenario.devices import quantity_default

FOLDER = Path(__file__).with_name("devices")
KELVIN = 300.0
STEPS = 600
POINTS = 60
_BEGIN = "<!-- Written by docs/generate_devices.py. Change the module, then run: make docs-generate -->"

PERIODS: Mapping[str, float] = {
    "mss": 300.0, "rs": 300.0, "fefet": 300.0, "data_driven": 600.0, "ion_drift": 200.0, "team": 150.0, "yakopcic": 120.0,
}  # fmt: skip
"""Period of the sine in widths of the programming pulse; 60 for the models that are not named."""


class Loop(NamedTuple):
    """One period of a sine: times [s], voltages [V], currents [A] and states; ``solved`` states at ``at`` [s]."""

    time: FloatArray
    voltage: FloatArray
    current: FloatArray
    state: FloatArray
    at: FloatArray
    solved: FloatArray


def with_equation() -> dict[str, DeviceModel]:
    """Return the models that have a figure, with their default parameters."""
    found = {name: model() for name, model in sorted(models().items()) if name in OURS}
    return {name: device for name, device in found.items() if device.subcircuit(KELVIN) is not None}


OURS = (
    "data_driven", "fefet", "ion_drift", "mss", "nonlinear_ion_drift", "rs", "sky130_reram", "stanford", "team",
    "vteam", "yakopcic",
)  # fmt: skip


def loop(name: str, device: DeviceModel) -> Loop:
    """Return a device's answer to one period of a sine, from the middle of its range."""
    from scipy.integrate import solve_ivp

    drive = drive_of(device, KELVIN)
    period = PERIODS.get(name, 60.0) * float(np.sqrt(drive.widths[0] * drive.widths[1]))
    time = np.linspace(0.0, period, STEPS + 1)

    def volts(t: FloatArray | float) -> FloatArray:
        wave = np.sin(2 * np.pi * np.asarray(t) / period)
        return np.asarray(np.where(wave > 0, drive.amplitudes[0], drive.amplitudes[1]) * wave)

    low, high = device.state_bounds()
    state = np.array([[low + 0.1 * (high - low)]])
    states = [float(state[0, 0])]
    for start, stop in pairwise(time):
        middle = np.array([[float(volts(0.5 * (start + stop)))]])
        state = device.advance(state, middle, float(stop - start), KELVIN)
        states.append(float(state[0, 0]))
    voltage = volts(time)
    found = np.array(states)
    current = device.current(found[np.newaxis], voltage[np.newaxis])[0]

    def slope(t: float, x: FloatArray) -> Any:
        held = np.clip(x, low, high)[np.newaxis]
        return device.state_rate(held, volts(t).reshape(1, 1), KELVIN)[0]  # type: ignore[index]

    at, solved = np.linspace(0.0, period, POINTS + 1), [found[0]]
    for start, stop in pairwise(at):
        answer = solve_ivp(slope, (start, stop), [solved[-1]], method="LSODA", rtol=1e-9, atol=1e-11)
        solved.append(float(np.clip(answer.y[0, -1], low, high)))
    return Loop(time, voltage, current, found, at, np.array(solved))


def draw(name: str, device: DeviceModel, found: Loop, path: Path) -> None:
    """Write the figure of a model: the loop, and its state over time with the solved equation as dots."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context({"svg.hashsalt": name, "svg.fonttype": "none"}):
        figure = Figure(figsize=(8.0, 3.2), layout="constrained")
        left, right = figure.subplots(1, 2)
        left.plot(found.voltage, found.current, lw=1.2)
        left.set(xlabel="voltage [V]", ylabel="current [A]", title=f"{name}: loop")
        left.ticklabel_format(axis="y", style="sci", scilimits=(-2, 3))
        left.axhline(0.0, color="0.8", lw=0.6)
        left.axvline(0.0, color="0.8", lw=0.6)
        right.plot(found.time, found.state, lw=1.2, label="advance")
        right.plot(found.at, found.solved, ".", ms=3.5, label="published equation, LSODA")
        right.set(xlabel="time [s]", ylabel="state", title="state over one period")
        right.legend(frameon=False, fontsize=8)
        figure.savefig(path, metadata={"Date": None})


def page(name: str, device: DeviceModel) -> str:
    """Return the page of a model."""
    kind = type(device)
    text = markdown(str(importlib.import_module(kind.__module__).__doc__))
    rows = [
        f"| `{entry.name}` | {quantity_default(kind, entry)} | {entry.metadata['doc']} | {entry.metadata['source']} |"
        for entry in dataclasses.fields(device)  # type: ignore[arg-type]
    ]
    solution = "closed form" if kind.accuracy <= 1e-12 else f"to {kind.accuracy:g} of the range"
    return "\n".join(
        [
            f"# {name}", "", _BEGIN, "", text, "", "## Figure", "",
            f"![{name}: loop and state over one period of a sine]({name}.svg)", "",
            "One period of a sine with the amplitudes of the default programming pulses, from a tenth of the range, with the",
            "default parameters. Reference data: the equation above with the same published parameters, solved by scipy's",
            "LSODA to 1e-9 (dots). `advance` takes the sine in 600 steps.", "",
            "## Parameters", "", "| parameter | default | meaning | source |", "|---|---|---|---|", *rows, "",
            f"`advance` at constant voltage: {solution}. Back to [devices](../devices.md).", "",
        ]
    )  # fmt: skip


def markdown(docstring: str) -> str:
    """Return a module's docstring with its mathematics as Markdown writes it."""
    blocks, lines = [], docstring.strip().splitlines()
    k = 0
    while k < len(lines):
        line = lines[k]
        if line.startswith(".. math::"):
            body = [line.removeprefix(".. math::").strip()]
            while k + 1 < len(lines) and (lines[k + 1].startswith("    ") or not lines[k + 1].strip()):
                k += 1
                if not lines[k].strip() and any(part for part in body):
                    break
                body.append(lines[k].strip())
            blocks += ["```math", *(part for part in body if part), "```", ""]
        else:
            blocks.append(line)
        k += 1
    text = re.sub(r":math:`([^`]+)`", r"$\1$", "\n".join(blocks), flags=re.DOTALL)
    text = re.sub(r"(?<!`)``(?!`)", "`", text)
    return re.sub(r"\n{3,}", "\n\n", text).strip()


def main() -> None:
    """Write all pages and figures."""
    FOLDER.mkdir(exist_ok=True)
    for name, device in with_equation().items():
        (FOLDER / f"{name}.md").write_text(page(name, device))
        draw(name, device, loop(name, device), FOLDER / f"{name}.svg")


if __name__ == "__main__":
    main()
