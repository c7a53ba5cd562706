"""Floating nets that join several line ends or several arrays: sneak paths, lanes, gated rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from cosim.backends.behavioral import BehavioralBackend, Tolerances
from cosim.backends.ngspice import NgspiceBackend
from cosim.backends.paired import deviation
from cosim.crossbar import Cell, CrossbarArray, Network, Phase, PhaseRequest, Segments, level, pulse, single
from cosim.crossbar.drive import Waveform
from cosim.devices import DeviceModel, Mss, Resistor, find_preset

NS = 10**6
KELVIN = 300.0


@pytest.mark.parametrize(
    ("size", "total", "share"), [(2, 4 / 3, 3 / 4), (4, 16 / 7, 7 / 16), (16, 256 / 31, 31 / 256)]
)
@pytest.mark.parametrize("fidelity", ["ideal", "resistive"])
def test_sneak_paths_of_a_floating_array(size: int, total: float, share: float, fidelity: Any) -> None:
    """One row and one column driven, all others floating: G + G/(1/(C-1) + 1/((R-1)(C-1)) + 1/(R-1))."""
    network = single("t", (size, size), Resistor(), Cell("1R"), Segments())
    drives = {"wl0": level(1.0), "bl0": level(0.0)}
    request = PhaseRequest(
        network, (np.full((size, size), 1e-5),), None, 0, KELVIN, Phase("read", NS, drives, (1,)), 0
    )
    result = BehavioralBackend(fidelity).run(request)
    assert result.samples.current[0, 0] == pytest.approx(total * 1e-5, rel=1e-9)
    selected = result.energy.cells[0][0, 0] / (1e-5 * 1e-9)
    assert selected / (result.samples.current[0, 0] / 1e-5) == pytest.approx(share, rel=1e-9)


def lane(
    spaces: int, shape: tuple[int, int], device: DeviceModel, wire: float, cell: Cell | None = None
) -> Network:
    """Return pairs of arrays whose selected lines meet at one net ``y``: a-sides from it, b-sides into it."""
    rows, columns = shape
    chosen = cell or Cell("1R")
    arrays = []
    for space in range(spaces):
        for side, rail in (("a", "up"), ("b", "down")):
            name = f"{side}{space}"
            row, column = space % rows, (space + 1) % columns
            arrays.append(
                CrossbarArray(
                    name, rows, columns, device, chosen, Segments(wire, wire),
                    left=tuple(rail if i == row else f"{name}.w{i}" for i in range(rows)),
                    bottom=tuple("y" if j == column else f"{name}.b{j}" for j in range(columns)),
                    gates=tuple(f"g{i}" for i in range(rows)) if chosen.gated else None,
                    r_left=20.0, r_bottom=10.0,
                )
            )  # fmt: skip
    return Network(tuple(arrays))


def lane_request(
    network: Network, amplitude: float, policy: str, seed: int = 0, **options: Any
) -> PhaseRequest:
    rng = np.random.default_rng(seed)
    wave = {"rise_fs": 10 * NS, "width_fs": 900 * NS, "fall_fs": 20 * NS, "delay_fs": 20 * NS}
    drives: dict[str, Waveform] = {"up": pulse(amplitude, **wave), "down": pulse(-amplitude, **wave)}
    if policy == "grounded":
        drives |= {net: level(0.0) for net in network.nets if "." in net}
    states = []
    for array in network.arrays:
        low, high = array.device.conductance_range()
        states.append(array.device.state_for(rng.uniform(low, high, array.shape)))
    drives |= {net: level(1.8) for net in network.gate_nets if net in options.get("on", network.gate_nets)}
    phase = Phase("write", 1000 * NS, drives, (40 * NS, 500 * NS, 930 * NS), save=("y",))
    return PhaseRequest(network, tuple(states), None, 0, KELVIN, phase, seed)


def test_a_pair_divides_at_the_floating_net() -> None:
    """Vy = V (Ga - Gb) / (Ga + Gb), whatever the number of pairs."""
    network = lane(8, (1, 1), Resistor(), 0.0)
    states = [np.array([[g]]) for g in np.random.default_rng(0).uniform(1e-6, 1e-4, 16)]
    drives = {"up": level(0.5), "down": level(-0.5)}
    phase = Phase("read", NS, drives, (1,))
    result = BehavioralBackend("ideal").run(PhaseRequest(network, tuple(states), None, 0, KELVIN, phase, 0))
    g = np.array(states).reshape(8, 2)
    expected = 0.5 * (g[:, 0] - g[:, 1]).sum() / g.sum()
    assert result.samples.voltage[0, network.net_index["y"]] == pytest.approx(expected, rel=1e-12)
    assert abs(result.energy.numerical) <= 1e-9 * result.energy.delivered.sum()


@pytest.mark.parametrize(("refine", "tolerance"), [(1, 5e-5), (32, 1e-6)])
def test_the_node_moves_with_the_states(refine: int, tolerance: float) -> None:
    """Two cells in series through a floating net, against scipy: states, node voltage, energies."""
    device = Mss(r_on=20e3, r_off=200e3, v_on=0.3, v_off=0.3, tau=1e-6)
    network = lane(1, (1, 1), device, 0.0)
    x0, volts, duration = np.array([0.5, 0.4]), 0.5, 1e-6
    drives = {"up": level(volts), "down": level(-volts)}
    phase = Phase("write", round(duration * 1e15), drives, (500 * NS, 1000 * NS))
    request = PhaseRequest(network, (x0[:1, None], x0[1:, None]), None, 0, KELVIN, phase, 0)
    result = BehavioralBackend("ideal", Tolerances(refine=refine)).run(request)
    v_t = 8.617333262e-5 * KELVIN

    def node(x: np.ndarray) -> tuple[np.ndarray, float]:
        g = x / device.r_on + (1 - x) / device.r_off
        return g, float(volts * (g[0] - g[1]) / g.sum())

    def slope(_t: float, y: np.ndarray) -> list[float]:
        g, vy = node(y[:2])
        v = np.array([volts - vy, -volts - vy])
        on, off = 1 / (1 + np.exp(-(v - 0.3) / v_t)), 1 / (1 + np.exp((v + 0.3) / v_t))
        return [*(((1 - y[:2]) * on - y[:2] * off) / device.tau), *(v * v * g)]

    solved = solve_ivp(
        slope, (0, duration), [*x0, 0, 0], t_eval=[5e-7, 1e-6], rtol=1e-11, atol=1e-17, method="LSODA"
    )
    y = network.net_index["y"]
    for k in (0, 1):
        assert result.samples.voltage[k, y] == pytest.approx(node(solved.y[:2, k])[1], abs=tolerance)
        assert result.states[k][0, 0] == pytest.approx(solved.y[k, -1], abs=tolerance)
        assert result.energy.cells[k][0, 0] == pytest.approx(solved.y[2 + k, -1], rel=tolerance)
    assert abs(result.samples.voltage[1, y] - result.samples.voltage[0, y]) > 0.01
    assert abs(result.energy.numerical) <= 1e-9 * result.energy.delivered.sum()


@pytest.mark.parametrize("policy", ["floating", "grounded"])
@pytest.mark.parametrize("kind", ["1R", "1T1R"])
def test_a_lane_balances_and_agrees_with_a_finer_run(policy: str, kind: Any) -> None:
    network = lane(3, (2, 3), find_preset("mss-ktram"), 2.0, Cell(kind, access_resistance=200.0))
    request = lane_request(network, 0.5, policy, on=("g0",))
    coarse = BehavioralBackend().run(request)
    fine = BehavioralBackend(tolerances=Tolerances(refine=16)).run(request)
    for ours, finer in zip(coarse.states, fine.states, strict=True):
        assert np.allclose(ours, finer, rtol=0, atol=1e-5)
    assert max(np.abs(a - b).max() for a, b in zip(coarse.states, request.states, strict=True)) > 0.005
    for result in (coarse, fine):
        assert abs(result.energy.numerical) <= 1e-9 * result.energy.delivered.sum()
        assert result.kcl_residual < 1e-8
    index = network.net_index["y"]
    assert abs(coarse.net_charge[index]) <= 1e-9 * np.abs(coarse.net_charge).max()
    assert coarse.saved is not None
    assert np.ptp(coarse.saved.voltage[2:6, 0]) > 1e-4


def test_a_net_that_nothing_drives_rests() -> None:
    """An array without any driven end carries no current and stays at 0 V."""
    network = lane(2, (2, 2), Resistor(), 1.0)
    drives = {net: level(0.1 * k) for k, net in enumerate(n for n in network.nets if n.startswith("a0."))}
    phase = Phase("read", NS, drives, (1,))
    result = BehavioralBackend().run(
        PhaseRequest(network, (np.full((2, 2), 1e-4),) * 4, None, 0, KELVIN, phase, 0)
    )
    assert np.isfinite(result.samples.voltage).all()
    assert abs(result.energy.numerical) <= 1e-9 * result.energy.delivered.sum()


@pytest.mark.ngspice
@pytest.mark.parametrize("policy", ["floating", "grounded"])
@pytest.mark.parametrize("kind", ["1R", "1T1R"])
@pytest.mark.parametrize("name", ["mss-ktram", "rs-ktram"])
def test_lanes_agree_with_ngspice(policy: str, kind: Any, name: str, spice: NgspiceBackend) -> None:
    device = find_preset(name)
    network = lane(4, (2, 2), device, 2.0, Cell(kind, access_resistance=200.0))
    request = lane_request(network, 0.5, policy, on=("g1",))
    ours, theirs = BehavioralBackend().run(request), spice.run(request)
    found = deviation(request, ours, theirs)
    assert found.current_relative < 1e-4
    assert found.state_absolute < 1e-3
    assert found.energy_relative < 1e-3
    assert np.allclose(ours.samples.voltage, theirs.samples.voltage, rtol=0, atol=1e-4)
