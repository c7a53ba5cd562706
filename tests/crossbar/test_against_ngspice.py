"""The solver against ngspice: operating points of linear and nonlinear arrays, transients with capacitance."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from spice_deck import OPERATING_POINT, SIDES, deck, run

from cosim.crossbar.lines import FloatArray, LineSolution, LineSystem, solve_lines
from cosim.crossbar.newton import solve_nonlinear
from cosim.crossbar.transient import Drive, LineTransient, solve_transient

pytestmark = [
    pytest.mark.ngspice,
    pytest.mark.skipif(
        shutil.which("ngspice") is None, reason="ngspice is not installed (apt install ngspice)"
    ),
]
ENDS = ("i_left", "i_right", "i_top", "i_bottom")


class Sinh:
    """Cells ``i = g sinh(a v)/a``."""

    def __init__(self, g: FloatArray, a: float) -> None:
        self.g, self.a = g, a

    def current(self, voltage: FloatArray) -> FloatArray:
        return self.g * np.sinh(self.a * voltage) / self.a

    def derivative(self, voltage: FloatArray) -> FloatArray:
        return self.g * np.cosh(self.a * voltage)


def array(kind: str, n: int) -> tuple[LineSystem, FloatArray, list[FloatArray]]:
    """An array with source and sink resistance, driven, biased or floating as ``kind`` says."""
    rng = np.random.default_rng(n)
    g = 10.0 ** -rng.uniform(3, 6, (n, n))
    g[rng.random((n, n)) < 0.1] = 0.0
    left, right, top, bottom = (
        rng.uniform(1, 100, n),
        np.full(n, np.inf),
        np.full(n, np.inf),
        rng.uniform(1, 100, n),
    )
    volts = [rng.uniform(-1, 1, n), np.zeros(n), np.zeros(n), np.zeros(n)]
    if kind in ("both", "all"):
        right, volts[1] = rng.uniform(1, 100, n), rng.uniform(-1, 1, n)
    if kind in ("bias", "all"):
        volts[3] = rng.uniform(-1, 1, n)
    if kind in ("floating", "all"):
        left[::3] = np.inf
        bottom[1::3] = np.inf
    r_word = 10.0 ** rng.uniform(-1, 1, (n, n - 1))
    return LineSystem(n, n, r_word, 2.5, left, right, top, bottom), g, volts


def compare(
    solution: LineSolution, system: LineSystem, found: dict[str, FloatArray], tolerance: float
) -> None:
    largest = max(float(np.abs(getattr(solution, end)).max()) for end in ENDS)
    ends = (system.r_left, system.r_right, system.r_top, system.r_bottom)
    for side, name, resistance in zip(SIDES, ENDS, ends, strict=True):
        for k, r in enumerate(np.asarray(resistance)):
            if np.isfinite(r):
                spice = -float(found[f"i(v{side}{k})"][0])
                assert abs(getattr(solution, name)[k] - spice) <= tolerance * largest, (name, k)
    for i in range(system.rows):
        for j in range(system.columns):
            assert abs(solution.word_voltage[i, j] - found[f"v(w{i}_{j})"][0]) <= tolerance
            assert abs(solution.bit_voltage[i, j] - found[f"v(b{i}_{j})"][0]) <= tolerance


@pytest.mark.parametrize("n", [2, 8, pytest.param(32, marks=pytest.mark.acceptance)])
@pytest.mark.parametrize("kind", ["plain", "both", "bias", "floating", "all"])
def test_operating_point(kind: str, n: int, tmp_path: Path) -> None:
    system, g, volts = array(kind, n)
    sources = {side: [f"{float(v):.17e}" for v in values] for side, values in zip(SIDES, volts, strict=True)}
    found = run(deck(system, g, sources, OPERATING_POINT), tmp_path)
    compare(solve_lines(system, g, *volts), system, found, 1e-9)


@pytest.mark.parametrize("n", [2, 8, pytest.param(32, marks=pytest.mark.acceptance)])
@pytest.mark.parametrize("kind", ["plain", "both", "bias", "floating", "all"])
def test_nonlinear_operating_point(kind: str, n: int, tmp_path: Path) -> None:
    system, g, volts = array(kind, n)
    sources = {side: [f"{float(v):.17e}" for v in values] for side, values in zip(SIDES, volts, strict=True)}
    found = run(deck(system, g, sources, OPERATING_POINT, sinh=5.0), tmp_path)
    compare(solve_nonlinear(system, Sinh(g, 5.0), *volts), system, found, 1e-9)


@pytest.mark.parametrize("n", [2, 8, pytest.param(16, marks=pytest.mark.acceptance)])
def test_transient(n: int, tmp_path: Path) -> None:
    """A pulse through 10 kohm drivers and sinks, every node with capacitance: 1e-3 of full scale at all strobes."""
    rng = np.random.default_rng(n)
    g = 10.0 ** -rng.uniform(4, 6, (n, n))
    system = LineSystem(n, n, 2.5, 2.5, np.full(n, 1e4), np.inf, np.inf, np.full(n, 1e4))
    farad = 1e-15
    levels = rng.uniform(0.2, 1.0, n)
    tau = n * farad * 1e4
    corners = [0.5 * tau, 0.6 * tau, 3.0 * tau, 3.1 * tau]
    strobes = np.linspace(0.0, 6.0 * tau, 25)
    pulses = [
        f"pwl(0 0 {corners[0]:.17e} 0 {corners[1]:.17e} {v:.17e} {corners[2]:.17e} {v:.17e} {corners[3]:.17e} 0)"
        for v in map(float, levels)
    ]
    analysis = [
        ".options reltol=1e-6 abstol=1e-18 vntol=1e-9 trtol=1 method=gear",
        ".control",
        "set filetype=ascii",
        f"tran {tau / 200:.6e} {6.001 * tau:.17e} 0 {tau / 200:.6e}",
        "write out.raw",
        ".endc",
    ]
    sources = {"left": pulses, "right": ["0"] * n, "top": ["0"] * n, "bottom": ["0"] * n}
    found = run(deck(system, g, sources, analysis, capacitance=farad), tmp_path)

    def drive(time: float) -> Drive:
        return Drive(left=levels * np.interp(time, corners, [0.0, 1.0, 1.0, 0.0]))

    solution = solve_transient(
        LineTransient(system, farad, farad), g, drive, strobes.tolist(), corners=corners
    )
    for name, side in (("i_left", "left"), ("i_bottom", "bottom")):
        scale = float(np.abs(getattr(solution, name)).max())
        for k in range(n):
            spice = np.interp(strobes, found["time"], -found[f"i(v{side}{k})"])
            assert np.abs(getattr(solution, name)[:, k] - spice).max() <= 1e-3 * scale
    for i, j in ((0, 0), (n - 1, n - 1), (0, n - 1)):
        for name, values in (("w", solution.word_voltage), ("b", solution.bit_voltage)):
            spice = np.interp(strobes, found["time"], found[f"v({name}{i}_{j})"])
            assert np.abs(values[:, i, j] - spice).max() <= 1e-3
