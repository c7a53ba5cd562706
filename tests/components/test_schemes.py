"""Bias schemes: what cells see, how far they move, and that ngspice says the same."""

from __future__ import annotations

import numpy as np
import pytest

from cosim.components.programming import Programming
from cosim.components.schemes import LinePolicy, PulseShape, Scheme, pulse_drives
from cosim.components.tile import PHASE_KINDS, Tile
from cosim.components.write_verify import ProgrammingPulse, Verify
from cosim.crossbar import Cell, CrossbarBackend, find
from cosim.devices import Mss, find_preset
from cosim.hardware import ArraySpec, Hardware, WireSpec
from cosim.records import Trace
from cosim.spice.machine import probe
from cosim.system import System, Write

ROWS, COLUMNS = 3, 4
SHAPE = PulseShape(1, 9, 1)
ngspice = pytest.mark.skipif(probe().version is None, reason="needs ngspice")


def passive(
    device: Mss, size: tuple[int, int], backend: CrossbarBackend | None = None, wires: float = 1.0
) -> System:
    system = System(Trace(), 5)
    hardware = Hardware(ArraySpec(*size, WireSpec(wires, wires, 1e-16)), device, Cell("1R"))
    start = np.full(size, 0.5 * (1 / device.r_on + 1 / device.r_off))
    system.add_tile("t", hardware, dict.fromkeys(PHASE_KINDS, backend or find("behavioral")()), start)
    return system


def gated() -> Tile:
    system = System(Trace(), 5)
    hardware = Hardware(ArraySpec(ROWS, COLUMNS), find_preset("mss-firm"), Cell("1T1R"))
    return system.add_tile("t", hardware, dict.fromkeys(PHASE_KINDS, find("behavioral")()))


def seen(
    tile: Tile,
    scheme: Scheme,
    policy: LinePolicy,
    columns: list[int],
    amplitudes: tuple[float, ...],
    up: bool,
) -> np.ndarray:
    """Return what drives leave across the cells [V], NaN where a line floats."""
    drives = pulse_drives(tile, scheme, policy, 1, np.array(columns), amplitudes, SHAPE, up, 1.8)
    top = {net: max(wave.voltages) for net, wave in drives.items()}
    words = np.array([top.get(f"wl{i}", np.nan) for i in range(ROWS)])
    bits = np.array([top.get(f"bl{j}", np.nan) for j in range(COLUMNS)])
    return words[:, None] - bits


@pytest.mark.parametrize("up", [True, False])
@pytest.mark.parametrize(("scheme", "line", "rest"), [("V/2", 1 / 2, 0.0), ("V/3", 1 / 3, -1 / 3)])
def test_passive_schemes(scheme: Scheme, line: float, rest: float, up: bool) -> None:
    """The selected cell sees V, the others of its lines V/2 or V/3, the rest nothing or -V/3."""
    tile = passive(find_preset("mss-firm"), (ROWS, COLUMNS)).tiles["t"]  # type: ignore[arg-type]
    wanted = np.full((ROWS, COLUMNS), rest)
    wanted[1], wanted[:, 2] = line, line
    wanted[1, 2] = 1.0
    found = seen(tile, scheme, "tracking", [2], (0.9,), up)
    assert found == pytest.approx((0.9 if up else -0.9) * wanted, abs=1e-15)


@pytest.mark.parametrize("up", [True, False])
def test_grounded_lines_leave_the_pulse_to_a_whole_line(up: bool) -> None:
    """All of the word line (SET) or of the bit line (RESET) sees the full amplitude."""
    tile = passive(find_preset("mss-firm"), (ROWS, COLUMNS)).tiles["t"]  # type: ignore[arg-type]
    wanted = np.zeros((ROWS, COLUMNS))
    if up:
        wanted[1] = 0.9
        wanted[1, 2] = 0.9
    else:
        wanted[:, 2] = -0.9
    assert np.array_equal(seen(tile, "V/2", "grounded", [2], (0.9,), up), wanted)


@pytest.mark.parametrize("scheme", ["V/2", "V/3"])
def test_floating_lines_have_no_driver(scheme: Scheme) -> None:
    tile = passive(find_preset("mss-firm"), (ROWS, COLUMNS)).tiles["t"]  # type: ignore[arg-type]
    across = seen(tile, scheme, "floating", [2], (0.9,), True)
    assert across[1, 2] == 0.9
    assert np.count_nonzero(np.isnan(across)) == ROWS * COLUMNS - 1


@pytest.mark.parametrize("up", [True, False])
def test_masked_cells_of_a_row(up: bool) -> None:
    """Two cells at their own amplitudes; those of the row that are masked see nothing."""
    across = seen(gated(), "gate", "tracking", [0, 3], (0.7, 0.9), up)[1]
    sign = 1 if up else -1
    assert across == pytest.approx(sign * np.array([0.7, 0.0, 0.0, 0.9]), abs=1e-15)


def disturbed(device: Mss, scheme: Scheme, amplitude: float, size: int, **parts: object) -> np.ndarray:
    """Return how far cells moved in one SET pulse on cell (1, 2), NaN for that one."""
    system = passive(device, (size, size), **parts)  # type: ignore[arg-type]
    tile, before = system.tiles["t"], system.tiles["t"].state
    targets = np.full((size, size), np.nan)
    targets[1, 2] = 0.95 / device.r_on
    pulse = ProgrammingPulse(amplitude, 300e-9)
    system.run([Write({"t": Programming(targets, scheme, Verify(max_pulses=1), pulse, pulse)})])
    moved = tile.state - before
    moved[1, 2] = np.nan
    details = system.trace.operations[0].details["disturb"]["t"]
    assert details["worst_of_range"] == pytest.approx(np.nanmax(np.abs(moved)), rel=1e-6)
    assert details["sum_of_range"] == pytest.approx(np.nansum(np.abs(moved)), rel=1e-6)
    return np.abs(moved)


def by_model(device: Mss, voltage: float) -> float:
    """Return how far the model moves at a voltage for the plateau and a Simpson rule on the edges, from 0.5."""
    state, edge = np.array([[0.5]]), np.linspace(0, 1, 401)
    weights = np.r_[1, [4, 2] * 199, 4, 1] / 1200
    rates = np.array([device.state_rate(state, np.array([[voltage * s]]), 300.0)[0, 0] for s in edge])
    plateau = device.advance(state, np.array([[voltage]]), 300e-9, 300.0)[0, 0] - 0.5
    return float(plateau + 2e-9 * (weights @ rates))


@pytest.mark.parametrize("amplitude", [0.8, 0.9])
def test_half_selected_cells_move_by_the_factor_of_the_model(amplitude: float) -> None:
    """Without wires: the worst cell of V/2 over the worst of V/3 is the ratio of the model at both voltages."""
    device = Mss(r_on=100e3, r_off=1e6, v_on=0.6, v_off=0.6, tau=1e-5)
    ideal = {"backend": find("behavioral")(fidelity="ideal")}
    half, third = (disturbed(device, s, amplitude, 8, **ideal) for s in ("V/2", "V/3"))  # type: ignore[arg-type]
    wanted = by_model(device, amplitude / 2) / by_model(device, amplitude / 3)
    # Verify reads at 0.2 V and the relaxation between phases move all cells a little, and alike.
    rest = float(np.nanmin(half))
    assert (np.nanmax(half) - rest) / (np.nanmax(third) - rest) == pytest.approx(wanted, rel=2e-2)


def test_soft_thresholds_are_disturbed_more_by_v_3_in_sum() -> None:
    """The default threshold of 0.27 V: the worst cell moves less under V/3, all together move more."""
    device = Mss(r_on=100e3, r_off=1e6)
    half, third = (disturbed(device, scheme, 0.32, 16) for scheme in ("V/2", "V/3"))  # type: ignore[arg-type]
    assert np.nanmax(third) < 0.5 * np.nanmax(half)
    assert np.nansum(third) > np.nansum(half)


@ngspice
@pytest.mark.parametrize("scheme", ["V/2", "V/3"])
@pytest.mark.parametrize("v_on", [0.27, 0.6])
def test_disturb_agrees_with_ngspice(scheme: Scheme, v_on: float) -> None:
    device = Mss(r_on=100e3, r_off=1e6, v_on=v_on, v_off=v_on)
    backend = find("ngspice")()
    try:
        spice = disturbed(device, scheme, 0.27 + 1.2 * v_on, 4, backend=backend)
    finally:
        backend.close()
    behavioral = disturbed(device, scheme, 0.27 + 1.2 * v_on, 4)
    assert np.nanmax(behavioral) > 1e-7
    assert np.nanmax(np.abs(spice - behavioral)) < 1e-5
