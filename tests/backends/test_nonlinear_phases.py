"""Phases of nonlinear cells: closed forms, scipy, energy balance, finer runs, and ngspice."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from nonlinear_cells import SinhCell
from scipy.integrate import solve_ivp
from scipy.optimize import brentq

from cosim.backends.behavioral import BehavioralBackend, Tolerances
from cosim.backends.ngspice import NgspiceBackend
from cosim.backends.paired import deviation
from cosim.crossbar import (
    Cell,
    CrossbarArray,
    Network,
    Phase,
    PhaseRequest,
    PhaseResult,
    Segments,
    level,
    pulse,
    single,
)
from cosim.crossbar.drive import Waveform

NS = 10**6
KELVIN = 300.0
ON = level(1.8)


def balanced(result: PhaseResult, tolerance: float = 1e-9) -> bool:
    return abs(result.energy.numerical) <= tolerance * float(result.energy.delivered.sum())


def phase_of(
    network: Network,
    amplitude: float,
    seed: int,
    *,
    gates: tuple[str, ...] | None = None,
    node_voltages: Any = None,
) -> PhaseRequest:
    """Return a phase of 1 us: levels, pulses, floating lines at random."""
    rng = np.random.default_rng(seed)
    drives: dict[str, Waveform] = {network.nets[-1]: level(0.0), network.nets[0]: level(0.5 * amplitude)}
    for net in network.nets[1:-1]:
        choice, top = rng.integers(4), float(rng.choice([1.0, 0.5, -0.5]) * amplitude)
        if choice == 1:
            drives[net] = level(0.0)
        elif choice == 2:
            drives[net] = level(top)
        elif choice == 3:
            drives[net] = pulse(top, rise_fs=10 * NS, width_fs=600 * NS, fall_fs=30 * NS, delay_fs=50 * NS)
    drives |= dict.fromkeys(network.gate_nets if gates is None else gates, ON)
    states = tuple(rng.uniform(0.05, 0.95, array.shape) for array in network.arrays)
    return PhaseRequest(
        network, states, node_voltages, 0, KELVIN, Phase("write", 1000 * NS, drives, (400 * NS,)), seed
    )


def test_one_cell_obeys_its_law() -> None:
    """Without wires the current is the device's own, and the heat is v i."""
    device = SinhCell(moving=False)
    network = single("t", (1, 1), device, Cell("1R"), Segments())
    phase = Phase("read", 100 * NS, {"wl0": level(0.7), "bl0": level(-0.2)}, (50 * NS,))
    state = np.array([[0.3]])
    result = BehavioralBackend("ideal").run(PhaseRequest(network, (state,), None, 0, KELVIN, phase, 0))
    current = float(device.current(state, np.array([[0.9]]))[0, 0])
    assert result.samples.current[0] == pytest.approx([current, -current], rel=1e-12)
    assert result.energy.cells[0][0, 0] == pytest.approx(0.9 * current * 1e-7, rel=1e-12)
    assert balanced(result)
    assert np.array_equal(result.states[0], state)


def test_an_access_device_in_series() -> None:
    """1T1R: the root of u + R i(u) = v, and both parts of the heat."""
    device = SinhCell(moving=False, a=6.0)
    network = single("t", (1, 1), device, Cell("1T1R", access_resistance=2e4), Segments())
    state = np.array([[0.8]])
    for volts in (0.9, -0.6, 3.0):
        drives = {"wl0": level(volts), "bl0": level(0.0), "gl0": ON}
        request = PhaseRequest(network, (state,), None, 0, KELVIN, Phase("read", NS, drives, (1,)), 0)
        result = BehavioralBackend().run(request)
        inside = brentq(
            lambda u: u + 2e4 * float(device.current(state, np.array([[u]]))[0, 0]) - volts,  # noqa: B023
            -4.0, 4.0, xtol=1e-15, rtol=1e-15,
        )  # fmt: skip
        current = (volts - inside) / 2e4
        assert result.samples.current[0, 0] == pytest.approx(current, rel=1e-10)
        assert result.energy.cells[0][0, 0] == pytest.approx(inside * current * 1e-9, rel=1e-9)
        assert result.energy.access == pytest.approx(2e4 * current**2 * 1e-9, rel=1e-9)
        assert balanced(result)


def test_the_edges_of_a_pulse_are_integrated() -> None:
    """The energy of a ramp on a sinh cell has a closed form."""
    device = SinhCell(moving=False, a=8.0, g_on=1e-4)
    network = single("t", (1, 1), device, Cell("1R"), Segments())
    ramp = Waveform((0, 100 * NS), (0.0, 1.0))
    phase = Phase("write", 100 * NS, {"wl0": ramp, "bl0": level(0.0)})
    request = PhaseRequest(network, (np.array([[1.0]]),), None, 0, KELVIN, phase, 0)
    result = BehavioralBackend("ideal").run(request)
    a = 8.0
    energy = 1e-4 / a * (np.cosh(a) / a - np.sinh(a) / a**2) * 1e-7
    assert result.energy.delivered.sum() == pytest.approx(energy, rel=1e-5)
    assert result.net_charge[0] == pytest.approx(1e-4 * (np.cosh(a) - 1) / a**2 * 1e-7, rel=1e-5)
    assert balanced(result)


@pytest.mark.parametrize(("access", "tolerance"), [(None, 2e-5), (5e3, 2e-5), (1e5, 5e-5)])
@pytest.mark.parametrize("volts", [0.5, -0.5])
def test_a_moving_cell_against_scipy(access: float | None, tolerance: float, volts: float) -> None:
    device = SinhCell(g_on=2e-4, g_off=2e-6, a=5.0, rate=2e3)
    cell = Cell("1R") if access is None else Cell("1T1R", access_resistance=access)
    network = single("t", (1, 1), device, cell, Segments(100.0, 50.0), r_source=350.0)
    series = 500.0 + (access or 0.0)
    duration = 2e-5
    drives = {"wl0": level(volts), "bl0": level(0.0), "gl0": ON}
    phase = Phase("write", round(duration * 1e15), drives)
    start = np.array([[0.4]])
    result = BehavioralBackend().run(PhaseRequest(network, (start,), None, 0, KELVIN, phase, 0))

    def inside(x: float) -> float:
        state = np.array([[x]])
        found: float = brentq(
            lambda u: u + series * float(device.current(state, np.array([[u]]))[0, 0]) - volts,
            -1,
            1,
            xtol=1e-15,
        )
        return found

    def slope(_t: float, y: np.ndarray) -> list[float]:
        u = inside(y[0])
        up, down = device.rates(np.array(u))
        return [float(up * (1 - y[0]) - down * y[0]), u * (volts - u) / series]

    solved = solve_ivp(slope, (0, duration), [0.4, 0.0], rtol=1e-10, atol=1e-16, method="LSODA")
    assert abs(solved.y[0, -1] - 0.4) > 0.01
    assert result.states[0][0, 0] == pytest.approx(solved.y[0, -1], abs=tolerance)
    assert result.energy.cells[0][0, 0] == pytest.approx(solved.y[1, -1], rel=1e-4)
    assert balanced(result)


@pytest.mark.parametrize("kind", ["1R", "1T1R"])
@pytest.mark.parametrize("seed", [1, 2])
def test_arrays_balance_and_agree_with_a_finer_run(kind: Any, seed: int) -> None:
    device = SinhCell(g_on=np.random.default_rng(9).uniform(5e-5, 2e-4, (4, 5)), a=5.0, rate=5e3)
    network = single(
        "t", (4, 5), device, Cell(kind, access_resistance=5e3), Segments(2.5, 4.0), r_source=10.0
    )
    request = phase_of(network, 0.6, seed, gates=("gl0", "gl2"))
    coarse = BehavioralBackend().run(request)
    fine = BehavioralBackend(tolerances=Tolerances(refine=8, coupling=1e-8)).run(request)
    assert np.abs(coarse.states[0] - request.states[0]).max() > 0.05
    assert np.allclose(coarse.states[0], fine.states[0], rtol=0, atol=2e-5)
    assert coarse.energy.delivered.sum() == pytest.approx(fine.energy.delivered.sum(), rel=1e-4)
    for result in (coarse, fine):
        assert balanced(result)
        assert result.kcl_residual < 1e-8
        assert abs(result.net_charge.sum()) <= 1e-9 * np.abs(result.net_charge).max()


def test_a_stiff_selector() -> None:
    """Nine decades between half and full voltage, half-selected lines: Kirchhoff holds."""
    device = SinhCell(g_on=1e-19, g_off=1e-20, a=40.0, moving=False)
    network = single("t", (8, 8), device, Cell("1R"), Segments(2.5, 2.5), r_source=50.0)
    drives = dict.fromkeys(network.nets, level(0.5))
    drives |= {"wl2": pulse(1.0, rise_fs=NS, width_fs=8 * NS, fall_fs=NS, base=0.5), "bl5": level(0.0)}
    request = PhaseRequest(
        network, (np.full((8, 8), 0.5),), None, 0, KELVIN, Phase("read", 10 * NS, drives, (5 * NS,)), 0
    )
    result = BehavioralBackend().run(request)
    assert balanced(result)
    i = result.samples.current[0]
    assert i[2] > 1e3 * np.abs(i[[0, 1, 3, 4, 5, 6, 7]]).max()
    assert abs(i.sum()) <= 1e-9 * i[2]


def test_several_arrays_of_different_cells_at_one_floating_net() -> None:
    """A nonlinear and a linear array share a net that floats: the currents into it cancel."""
    device = SinhCell(moving=False)
    one = CrossbarArray("p", 1, 1, device, Cell("1R"), Segments(), left=("hot",), bottom=("y",))
    other = CrossbarArray(
        "q", 1, 1, SinhCell(moving=False, a=2.0), Cell("1R"), Segments(), left=("y",), bottom=("cold",)
    )
    network = Network((one, other))
    phase = Phase("read", NS, {"hot": level(1.0), "cold": level(0.0)}, (1,))
    states = (np.array([[0.5]]), np.array([[0.7]]))
    result = BehavioralBackend().run(PhaseRequest(network, states, None, 0, KELVIN, phase, 0))
    y = result.samples.voltage[0, network.net_index["y"]]
    first = float(device.current(states[0], np.array([[1.0 - y]]))[0, 0])
    second = float(other.device.current(states[1], np.array([[y]]))[0, 0])
    assert first == pytest.approx(second, rel=1e-9)
    assert balanced(result)


@pytest.mark.ngspice
@pytest.mark.parametrize("kind", ["1R", "1T1R"])
@pytest.mark.parametrize("moving", [True, False])
@pytest.mark.parametrize("seed", [1, 2])
def test_nonlinear_phases_agree_with_ngspice(
    kind: Any, moving: bool, seed: int, spice: NgspiceBackend
) -> None:
    device = SinhCell(
        g_on=np.random.default_rng(9).uniform(5e-5, 2e-4, (4, 5)), a=5.0, rate=1e3, moving=moving
    )
    network = single(
        "t", (4, 5), device, Cell(kind, access_resistance=5e3), Segments(2.5, 4.0), r_source=10.0, r_sink=5.0
    )
    request = phase_of(network, 0.6, seed, gates=("gl0", "gl2"))
    ours, theirs = BehavioralBackend().run(request), spice.run(request)
    assert "plain_resistors" not in theirs.applied
    found = deviation(request, ours, theirs)
    assert found.current_relative < 1e-4
    assert found.state_absolute < 1e-3
    assert found.energy_relative < 1e-3
    assert np.allclose(ours.samples.voltage, theirs.samples.voltage, rtol=0, atol=1e-4)
    total = ours.energy.delivered.sum()
    assert np.abs(ours.energy.cells[0] - theirs.energy.cells[0]).max() < 1e-3 * total
    assert abs(ours.energy.access - theirs.energy.access) < 1e-3 * total


@pytest.mark.ngspice
def test_a_nonlinear_device_without_a_twin_is_refused_by_ngspice(
    spice: NgspiceBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SinhCell, "subcircuit", lambda self, temperature: None)
    network = single("t", (1, 1), SinhCell(), Cell("1R"), Segments())
    assert "is nonlinear and has no subcircuit" in str(spice.refusal(network, "read"))
    assert BehavioralBackend().refusal(network, "read") is None
