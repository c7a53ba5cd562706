"""Writes a page with a figure for every device model: `docs/devices/`.

The text is the docstring of the model's module, the parameters are its declarations. With a differential equation the
figure holds what `advance` and the published equation, solved by scipy, make of a sine of voltage; without one, what
the model and the published law, written anew here, say. Run it with ``make docs-generate``; a test compares pages and curves.
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
from cosim.devices import (
    Byte,
    DeviceModel,
    ExpStep,
    LinearStep,
    PiecewiseStep,
    PowStep,
    find_preset,
    models,
)
from cosim.devices.base import FloatArray
from cosim.ktram.models import ByteLaw, FloatLaw
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
    """Return the models with a differential equation, with their default parameters."""
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


class Curve(NamedTuple):
    """A line of the model, ``y`` at ``x``, and dots of the published law, ``reference`` at ``at``."""

    label: str
    x: FloatArray
    y: FloatArray
    at: FloatArray
    reference: FloatArray


class Panel(NamedTuple):
    """A part of a figure; ``tolerance``: accepted distance of the line from the dots, of the dots' span."""

    title: str
    xlabel: str
    ylabel: str
    curves: tuple[Curve, ...]
    tolerance: float
    log: str = ""


PULSES = 100
CELLS, DRAWS = 4000, 40000


def pulsed(device: DeviceModel) -> FloatArray:
    """Return the conductance [S] at the start, then after each of 100 SET and 100 RESET pulses of the device."""
    state = device.state_for(np.array([[float(np.min(device.conductance_range()[0]))]]))
    found = [device.conductance(state)[0, 0]]
    pulses = device.programming_pulse(KELVIN)
    assert pulses is not None
    for sign, (amplitude, width) in zip((1.0, -1.0), pulses, strict=True):
        for _ in range(PULSES):
            after = device.advance(state, np.array([[sign * amplitude]]), width, KELVIN)
            state = (
                after if not isinstance(device, Byte) else device.fluctuate(state, after, after, after[None])
            )
            found.append(device.conductance(state)[0, 0])
    return np.array(found)


def neurosim(device: Any) -> FloatArray:
    """Return the published exponential curves through their printed rate constants, pulse by pulse."""
    span, found = device.g_max - device.g_min, [0.0]
    for sign, a in ((1, 0.49918 * 97), (-1, -0.20030 * 97)):  # NL 2.4 and -4.88 of the published table
        b = 1.0 / (1.0 - np.exp(-97 / a))
        for _ in range(PULSES):
            number = -a * np.log(1.0 - found[-1] / b) + sign
            found.append(float(np.clip(b * (1.0 - np.exp(-number / a)), 0.0, 1.0)))
    result: FloatArray = device.g_min + span * np.array(found)
    return result


def stepped(device: Any) -> FloatArray:
    """Return what the published steps of the weight w make of it, one pulse after the other."""
    w, found = -1.0, [-1.0]
    for sign in (1, -1):
        for _ in range(PULSES):
            d = device.dw_set if sign > 0 else device.dw_reset
            w = float(np.clip(w + sign * d * step_factor(device, w, sign), -1.0, 1.0))
            found.append(w)
    result: FloatArray = device.g_min + 0.5 * (np.array(found) + 1.0) * (device.g_max - device.g_min)
    return result


def step_factor(device: Any, w: float, sign: int) -> float:
    """Return the factor on a step of the weight, as the sources write it."""
    way = "set" if sign > 0 else "reset"
    if device.name == "soft_bounds":
        return 1.0 - sign * w
    if device.name == "piecewise_step":
        factors = getattr(device, f"factors_{way}")
        return float(np.interp(w, np.linspace(-1, 1, len(factors)), factors))
    gamma = getattr(device, f"gamma_{way}")
    if device.name == "linear_step":
        return float(1.0 - sign * gamma * w)
    if device.name == "pow_step":
        return float(((1.0 - sign * w) / 2) ** gamma)
    a = getattr(device, f"a_{way}")
    return max(0.0, 1.0 - a * float(np.exp(sign * gamma * (device.slope * w + device.offset))))


def emulated(device: DeviceModel, law: Any) -> FloatArray:
    """Return the conductances of the kT-RAM emulator's law for the same pulses, at the device's scale."""
    rng, low, high = np.random.default_rng(0), law.g_min, law.g_max
    stored, found = law.stored(low), [low]
    pulses = device.programming_pulse(KELVIN)
    assert pulses is not None
    for sign, (amplitude, width) in zip((1.0, -1.0), pulses, strict=True):
        for _ in range(PULSES):
            for _ in range(round(width / 10e-9)):
                stored = law.step(stored, sign * amplitude, 10e-9, rng)
            found.append(stored)
    ends = [float(np.mean(g)) for g in device.conductance_range()]
    result: FloatArray = ends[0] + (np.array(found) - low) / (high - low) * (ends[1] - ends[0])
    return result


def pulse_panel(device: DeviceModel, reference: FloatArray) -> Panel:
    """Return the pulse response with the published one as dots."""
    x, some = np.arange(2 * PULSES + 1.0), np.arange(0, 2 * PULSES + 1, 5)
    curve = Curve("", x, 1e6 * pulsed(device), x[some], 1e6 * reference[some])
    return Panel(
        f"{device.name}: {PULSES} SET, then {PULSES} RESET pulses",
        "pulse",
        "conductance [uS]",
        (curve,),
        1e-3,
    )


def table_panels(device: Any) -> list[Panel]:
    """Return mean and deviation of 40000 draws against those of the exponential law that the table was made of."""
    table, rng, panels = device.jumps, np.random.default_rng(1), []
    g = np.linspace(table.conductance[0], table.conductance[-1], 21)
    x, spread = 1e9 * g, 0.035 * (38.5 - 3.08)
    for sign, way, a in (("set", 1, 0.49918 * 97), ("reset", -1, -0.20030 * 97)):
        draws = np.array([1e9 * table.draw(sign, np.full(DRAWS, each), rng.random(DRAWS)) for each in g])
        b = (38.5 - 3.08) / (1.0 - np.exp(-97 / a))
        mean = np.expm1(-way / a) * (x - 3.08 - b)
        curves = (
            Curve("mean", x, draws.mean(axis=1), x, mean),
            Curve("deviation", x, draws.std(axis=1), x, np.full(21, spread)),
        )
        panels.append(
            Panel(
                f"pulse_table: {sign.upper()}, {DRAWS} draws", "conductance [nS]", "jump [nS]", curves, 0.05
            )
        )
    return panels


def lived(device: Any, level: float, age: float) -> FloatArray:
    """Return the conductances [S] of 4000 cells that were written to a level ``age`` [s] ago."""
    rng, ones = np.random.default_rng(1), np.ones((1, CELLS))
    state = device.fluctuate(state := device.state_for(level * ones), state, ones, rng.random((2, 1, CELLS)))
    later = device.advance(state, np.zeros((1, 1)), age, KELVIN)
    result: FloatArray = device.conductance(
        device.fluctuate(state, later, 0.0 * ones, rng.random((2, 1, CELLS)))
    )[0]
    return result


def error_panels(device: Any) -> list[Panel]:
    """Return the deviation of the presets of `programming_error` against the published fits, and its growth."""
    published = {  # uS, by G in uS
        "rram-milo": (1.0, lambda g: 4.782 - 0.009107 * g, (60, 220)),
        "rram-wan": (1.0, lambda g: np.polyval((-16.815, 45.393, -43.853, 16.030, 0.348), g / 40), (6, 40)),
        "sonos-40nm": (1.0, lambda g: 0.199 * (1 - np.exp(-g / 1.76)), (1, 16)),
        "rram-cmo": (1.0, lambda g: np.hypot(0.01129 * g + 0.01122, 0.41183), (10, 88)),
    }
    curves = []
    for name, (age, law, ends) in published.items():
        g = np.linspace(*ends, 9)
        found = [1e6 * lived(find_preset(name), 1e-6 * each, age).std() for each in g]
        curves.append(Curve(name, g, np.array(found), g, law(g)))
    cmo, t = find_preset("rram-cmo"), np.geomspace(1.0, 1e7, 15)
    grown = np.array([1e6 * lived(cmo, 50e-6, each).std() for each in t])
    wanted = np.hypot(0.01129 * 50 + 0.01122, 0.41183 + 0.04201 * np.log(t))
    shift = np.array([1e6 * lived(cmo, 50e-6, each).mean() - 50 for each in t])
    later = (Curve("deviation", t, grown, t, wanted), Curve("mean", t, shift, t, -0.0890 * np.log(t)))
    return [
        Panel(
            "deviation one second after the write", "conductance [uS]", "deviation [uS]", tuple(curves), 0.1
        ),
        Panel("rram-cmo at 50 uS", "time [s]", "error [uS]", later, 0.1, "x"),
    ]


def pcm_panels(device: Any) -> list[Panel]:
    """Return programming error against level, and the mean conductance against time, with the published laws."""
    x, t = np.linspace(0.1, 1.0, 10), np.geomspace(1.0, 1e7, 15)
    quiet = dataclasses.replace(device, noise=0.0, drift_limits=(0.0, 0.0), spread_limits=(0.0, 0.0))
    found = np.array([1e6 * lived(quiet, 25e-6 * each, 1e3).std() for each in x])
    error = Curve("", 25 * x, found, 25 * x, 0.26348 + 1.965 * x - 1.1731 * x**2)
    curves = []
    for level in (0.2, 0.6, 1.0):
        mean = np.array([1e6 * lived(device, 25e-6 * level, each).mean() for each in t])
        nu = np.clip(-0.0155 * np.log(level) + 0.0244, 0.049, 0.1)
        curves.append(Curve(f"from {25 * level:g} uS", t, mean, t, 25 * level * (1 + t / 20) ** -nu))
    return [
        Panel("pcm: programming error", "conductance [uS]", "deviation [uS]", (error,), 0.1),
        Panel("pcm: mean of 4000 cells", "time [s]", "conductance [uS]", tuple(curves), 0.05, "x"),
    ]


def mtj_panels(device: Any) -> list[Panel]:
    """Return the fraction of 4000 junctions that switch against the amplitude, with the published probability."""
    rng, volts, curves = np.random.default_rng(1), np.linspace(0.3, 1.0, 36), []
    for width, label in ((1e-9, "1 ns"), (10e-9, "10 ns"), (1e-6, "1 us"), (1e-3, "1 ms")):
        start = np.zeros((volts.size, CELLS))
        after = device.advance(start, volts[:, None], width, KELVIN)
        found = device.fluctuate(start, after, start, rng.random((2, *start.shape))).mean(axis=1)
        rate = 1e9 * np.exp(-60 * np.maximum(0, 1 - volts / 0.7))
        rate += 2 / (0.5772157 + np.log(np.pi**2 * 15)) * np.maximum(0, volts / 0.7 - 1) / 1e-9
        curves.append(Curve(label, volts, found, volts, -np.expm1(-rate * width)))
    return [Panel("mtj: switched fraction of 4000", "amplitude [V]", "probability", tuple(curves), 0.05)]


def panels(name: str) -> list[Panel]:
    """Return the figure of a model without a differential equation."""
    device: Any = SHOWN.get(name) or models()[name]()
    if name == "pulse_law":
        return [pulse_panel(device, neurosim(device))]
    if name in ("float", "byte"):
        return [pulse_panel(device, emulated(device, FloatLaw() if name == "float" else ByteLaw()))]
    if name == "pulse_table":
        return table_panels(device)
    special = {"programming_error": error_panels, "pcm": pcm_panels, "mtj": mtj_panels}
    return special[name](device) if name in special else [pulse_panel(device, stepped(device))]


SHOWN: Mapping[str, DeviceModel] = {
    "soft_bounds": find_preset("soft-bounds-reram-optimized"),
    "linear_step": LinearStep(dw_set=0.02, dw_reset=0.02),
    "exp_step": ExpStep(dw_set=0.02, dw_reset=0.1),
    "pow_step": PowStep(dw_set=0.05, dw_reset=0.05, gamma_set=1.7, gamma_reset=0.6),
    "piecewise_step": PiecewiseStep(
        dw_set=0.03, dw_reset=0.03, factors_set=(1.0, 0.4, 0.1), factors_reset=(0.3, 1.0)
    ),
}
"""Parameters of a figure where the defaults move too little in 100 pulses."""

_NEUROSIM = "the exponential law with the rate constants of the published table for NL 2.4 and -4.88 (0.49918 and -0.20030 of 97 pulses)"
_STEPS = "the published step, one pulse after the other"
REFERENCES: Mapping[str, str] = {
    "pulse_law": f"Default parameters. Reference data (dots): {_NEUROSIM}, pulse by pulse.",
    "pulse_table": f"The built-in table. Reference data (dots): {_NEUROSIM}, and the published spread of 3.5 % of the range.",
    "soft_bounds": f"Preset `soft-bounds-reram-optimized` (Gong et al., IEDM 2022). Reference data (dots): {_STEPS}.",
    "linear_step": f"Defaults of the ECRAM set with steps of 0.02. Reference data (dots): {_STEPS}.",
    "exp_step": f"Defaults with steps of 0.02 (SET) and 0.1 (RESET). Reference data (dots): {_STEPS}.",
    "pow_step": f"Steps of 0.05, exponents 1.7 and 0.6. Reference data (dots): {_STEPS}.",
    "piecewise_step": f"Steps of 0.03, factors 1, 0.4, 0.1 and 0.3, 1. Reference data (dots): {_STEPS}.",
    "float": "Default parameters, pulses of 1 V and 300 ns. Reference data (dots): the kT-RAM emulator's law in `cosim.ktram`, 30 of its pulses each, at the same scale.",
    "byte": "Default parameters, pulses of 1 V and 80 ns. Reference data (dots): the kT-RAM emulator's law in `cosim.ktram`, 8 of its pulses each, at the same scale.",
    "programming_error": "Lines: deviation (and mean) of 4000 drawn cells, by preset. Reference data (dots): the published fits of Milo, Wan, SONOS (day 0) and CMO/HfOx.",
    "pcm": "Lines: 4000 drawn cells with the default parameters. Reference data (dots): the published polynomial of the programming error, and the drift (1 + t/20 s)^-nu with the published mean exponent.",
    "mtj": "Lines: drawn junctions with the default parameters. Reference data (dots): the published rates of thermal activation and precession, written anew.",
}
"""What the figure of a model without a differential equation shows, and what it is compared with."""


def draw_panels(name: str, found: list[Panel], path: Path) -> None:
    """Write the figure of a model without a differential equation."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context({"svg.hashsalt": name, "svg.fonttype": "none"}):
        figure = Figure(
            figsize=(4.2 * max(len(found), 1) + (1.6 if len(found) == 1 else 0.0), 3.2), layout="constrained"
        )
        axes: Any = figure.subplots(1, len(found), squeeze=False)
        for ax, panel in zip(axes[0], found, strict=True):
            for curve in panel.curves:
                (line,) = ax.plot(curve.x, curve.y, lw=1.2, label=curve.label or "model")
                ax.plot(curve.at, curve.reference, ".", ms=4.5, color=line.get_color())
            ax.set(xlabel=panel.xlabel, ylabel=panel.ylabel, title=panel.title)
            if panel.log == "x":
                ax.set_xscale("log")
            ax.legend(frameon=False, fontsize=8)
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
    figure = [
        f"![{name}: loop and state over one period of a sine]({name}.svg)", "",
        "One period of a sine with the amplitudes of the default programming pulses, from a tenth of the range, with the",
        "default parameters. Reference data: the equation above with the same published parameters, solved by scipy's",
        "LSODA to 1e-9 (dots). `advance` takes the sine in 600 steps.",
    ]  # fmt: skip
    last = f"`advance` at constant voltage: {solution}. Back to [devices](../devices.md)."
    if name in REFERENCES:
        figure = [f"![{name}]({name}.svg)", "", REFERENCES[name]]
        last = "No netlist twin: ngspice reads it as a resistor, and refuses writes. Back to [devices](../devices.md)."
    return "\n".join(
        [
            f"# {name}", "", _BEGIN, "", text, "", "## Figure", "", *figure, "",
            "## Parameters", "", "| parameter | default | meaning | source |", "|---|---|---|---|", *rows, "", last, "",
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
    for name in REFERENCES:
        (FOLDER / f"{name}.md").write_text(page(name, models()[name]()))
        draw_panels(name, panels(name), FOLDER / f"{name}.svg")


if __name__ == "__main__":
    main()
