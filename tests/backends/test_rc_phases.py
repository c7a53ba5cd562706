"""Phases with line capacitance: exponentials, eigenvalues, charge and energy, hand-over, ngspice."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from nonlinear_cells import SinhCell
from scipy.integrate import solve_ivp
from scipy.linalg import eigh, expm

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
from cosim.crossbar.settling import settling
from cosim.devices import DeviceModel, Mss, Resistor, find_preset

NS, PS = 10**6, 10**3
KELVIN = 300.0
ON = level(1.8)
RC = BehavioralBackend("rc")


def ask(
    network: Network, states: Any, phase: Phase, node_voltages: Any = None, backend: Any = RC
) -> PhaseResult:
    given = tuple(np.asarray(state, dtype=np.float64) for state in states)
    result: PhaseResult = backend.run(PhaseRequest(network, given, node_voltages, 0, KELVIN, phase, 0))
    return result


def balanced(result: PhaseResult, tolerance: float = 2e-4) -> bool:
    e = result.energy
    scale = float(e.delivered.sum()) + abs(e.stored)
    return abs(e.numerical) <= tolerance * scale


def step(width_fs: int, volts: float = 1.0) -> Waveform:
    return Waveform((0, width_fs), (0.0, volts))


def test_step_response_is_the_exponential() -> None:
    """One cell between two RC nodes, against the matrix exponential."""
    network = single(
        "t", (1, 1), Resistor(), Cell("1R"), Segments(0.0, 0.0, 1e-12, 1e-12), r_source=1e4, r_sink=1e4
    )
    strobes = tuple(range(5 * NS, 101 * NS, 5 * NS))
    phase = Phase("read", 100 * NS, {"wl0": level(1.0), "bl0": level(0.0)}, strobes)
    result = ask(network, [[[1e-5]]], phase)
    matrix = np.array([[-1.1e-4, 1e-5], [1e-5, -1.1e-4]]) / 1e-12
    final = -np.linalg.solve(matrix, [1e8, 0.0])
    exact = np.array([final - expm(matrix * t * 1e-15) @ final for t in strobes])
    assert np.allclose(result.samples.current[:, 0], (1.0 - exact[:, 0]) * 1e-4, rtol=0, atol=1e-8)
    assert np.allclose(result.samples.current[:, 1], -exact[:, 1] * 1e-4, rtol=0, atol=1e-8)
    assert result.node_voltages is not None
    assert result.node_voltages[0][:, 0, 0] == pytest.approx(exact[-1], abs=1e-4)
    assert result.energy.stored == pytest.approx(0.5e-12 * float((exact[-1] ** 2).sum()), rel=1e-4)
    assert balanced(result)


def settling_request(strobes: tuple[int, ...], duration_fs: int, spread: float = 1.0) -> PhaseRequest:
    """Driver 10 kohm, 1 ohm and 1 fF per segment, 16x16, a step on all word lines."""
    network = single(
        "t", (16, 16), Resistor(), Cell("1R"), Segments(1.0, 1.0, 1e-15, 1e-15), r_source=1e4, r_sink=100.0
    )
    g = 10.0 ** -np.random.default_rng(5).uniform(5.5 - 0.5 * spread, 5.5 + 0.5 * spread, (16, 16))
    drives = {net: step(PS, 0.2) if net.startswith("wl") else level(0.0) for net in network.nets}
    phase = Phase("read", duration_fs, drives, strobes, save=("wl0",))
    return PhaseRequest(network, (g,), None, 0, KELVIN, phase, 0)


def test_after_two_time_constants_the_slowest_one_is_left() -> None:
    request = settling_request((), NS, spread=0.0)
    found = settling(request.network, list(request.states), solves=300)
    tau = found.time_constant
    assert found.upper / found.lower < 1.02
    strobes = tuple(round(k * 0.5 * tau * 1e15) for k in range(4, 12))
    request = settling_request(strobes, strobes[-1] + round(12 * tau * 1e15), spread=0.0)
    result = RC.run(request)
    final = ask(request.network, request.states, request.phase, backend=BehavioralBackend()).samples.current
    error = np.linalg.norm(result.samples.current - final, axis=1)
    rates = -np.diff(np.log(error)) / (0.5 * tau)
    assert np.abs(rates * tau - 1.0).max() < 0.02


def modes(request: PhaseRequest) -> tuple[np.ndarray, np.ndarray]:
    """Return the eigenvalues [1/s], smallest first, and the modes (nodes, modes) of the settling request."""
    array, g = request.network.arrays[0], request.states[0]
    size = g.size
    word, bit = np.arange(size).reshape(g.shape), size + np.arange(size).reshape(g.shape)
    ends = [(word[:, 0], array.r_left), (bit[-1], array.r_bottom)]
    pairs = [(word, bit, g), (word[:, :-1], word[:, 1:], 1.0), (bit[:-1], bit[1:], 1.0)]
    matrix = np.zeros((2 * size, 2 * size))
    for first, last, conductance in pairs:
        a, b, value = np.ravel(first), np.ravel(last), np.broadcast_to(conductance, np.shape(first)).ravel()
        for row, column, sign in ((a, a, 1), (b, b, 1), (a, b, -1), (b, a, -1)):
            np.add.at(matrix, (row, column), sign * value)
    for nodes, resistance in ends:
        # Between an end and its first node lies one more segment of 1 ohm.
        matrix[nodes, nodes] += 1.0 / (np.ravel(resistance) + 1.0)
    return eigh(matrix, 1e-15 * np.eye(2 * size))


@pytest.mark.parametrize("spread", [0.0, 1.0])
def test_the_slowest_mode_decays_with_the_smallest_eigenvalue(spread: float) -> None:
    """Cells from 1 to 10 uS leave sixteen modes, one per word line, within some percent of one another.

    So after two time constants the error as a whole is still a mixture, and its slope the mean of their eigenvalues, by their
    share; the slowest mode itself decays with the smallest one.
    """
    request = settling_request((), NS, spread)
    values, vectors = modes(request)
    tau = 1.0 / values[0]
    network, states, drives = request.network, request.states, request.phase.drives
    ends = [round(part * tau * 1e15) for part in (2.0, 2.5, 3.0, 40.0)]
    backend = BehavioralBackend("rc")
    nodes = []
    for end in ends:
        result = ask(network, states, Phase("read", end, drives), backend=backend)
        assert result.node_voltages is not None
        nodes.append(result.node_voltages[0].reshape(-1))
    shares = np.array([vectors.T @ (1e-15 * (nodes[-1] - found)) for found in nodes[:-1]])
    seconds = np.diff(ends[:-1]) * 1e-15
    slowest = -np.diff(np.log(np.abs(shares[:, 0]))) / seconds
    assert np.abs(slowest / values[0] - 1.0).max() < 0.02
    size = np.sqrt((shares**2).sum(axis=1))
    whole = -np.diff(np.log(size)) / seconds
    later = shares[0] * np.exp(-np.outer(np.cumsum([0.0, *seconds]), values))
    expected = -np.diff(np.log(np.sqrt((later**2).sum(axis=1)))) / seconds
    assert np.abs(whole / expected - 1.0).max() < 0.02
    if spread:
        assert values[15] / values[0] > 1.05
        assert np.abs(whole / values[0] - 1.0).max() > 0.02


@pytest.mark.ngspice
def test_a_step_on_16x16_agrees_with_ngspice_at_all_strobes(spice: NgspiceBackend) -> None:
    strobes = tuple(k * 50 * PS for k in range(1, 21))
    request = settling_request(strobes, NS)
    ours, theirs = RC.run(request), spice.run(request)
    full = np.abs(theirs.samples.current).max()
    assert np.abs(ours.samples.current - theirs.samples.current).max() < 1e-3 * full
    assert ours.node_voltages is not None
    assert theirs.node_voltages is not None
    assert np.abs(ours.node_voltages[0] - theirs.node_voltages[0]).max() < 1e-3 * 0.2
    found = deviation(request, ours, theirs)
    assert found.energy_relative < 1e-3
    assert ours.energy.stored == pytest.approx(theirs.energy.stored, rel=1e-3)
    assert balanced(ours)


def test_charge_and_energy_of_a_line_that_is_charged_and_discharged() -> None:
    """An open cell: CV² drawn, half of it lost each way, nothing left at the end."""
    network = single("t", (1, 1), Resistor(), Cell("1R"), Segments(0.0, 0.0, 1e-12, 0.0), r_source=1e3)
    drives = {
        "wl0": pulse(1.0, rise_fs=10 * PS, width_fs=30 * NS, fall_fs=10 * PS, delay_fs=NS),
        "bl0": level(0.0),
    }
    result = ask(network, [[[0.0]]], Phase("read", 61 * NS, drives, (30 * NS,)))
    e = result.energy
    assert result.net_charge[0] == pytest.approx(0.0, abs=1e-17)
    assert e.delivered[0] == pytest.approx(1e-12, rel=2e-2)
    assert e.terminations == pytest.approx(1e-12, rel=1e-2)
    assert e.stored == pytest.approx(0.0, abs=1e-18)
    assert balanced(result)
    half = ask(network, [[[0.0]]], Phase("read", 30 * NS, drives))
    assert half.net_charge[0] == pytest.approx(1e-12, rel=1e-9)
    assert half.energy.stored == pytest.approx(0.5e-12, rel=1e-9)


def test_a_line_without_resistance_jumps_to_its_driver() -> None:
    """The charge CV comes at once; half of CV² is lost in whatever resistance there is, however small."""
    network = single("t", (1, 1), Resistor(), Cell("1R"), Segments(0.0, 0.0, 1e-12, 0.0))
    result = ask(
        network, [[[1e-6]]], Phase("read", 10 * NS, {"wl0": level(1.0), "bl0": level(0.0)}, (5 * NS,))
    )
    assert result.samples.current[0] == pytest.approx([1e-6, -1e-6], rel=1e-9)
    assert result.net_charge[0] == pytest.approx(1e-12 + 1e-14, rel=1e-5)
    assert result.energy.stored == pytest.approx(0.5e-12, rel=1e-9)
    assert result.energy.terminations == pytest.approx(0.5e-12, rel=1e-4)
    assert balanced(result, 1e-6)
    ramp = {"wl0": Waveform((0, NS, 5 * NS, 6 * NS), (0.0, 0.0, 1.0, 1.0)), "bl0": level(0.0)}
    ramped = ask(network, [[[0.0]]], Phase("read", 10 * NS, ramp, (3 * NS, 8 * NS)))
    assert ramped.samples.current[:, 0] == pytest.approx([1e-12 / 4e-9, 0.0], rel=1e-6, abs=1e-12)
    assert ramped.energy.delivered[0] == pytest.approx(0.5e-12, rel=1e-5)
    assert balanced(ramped)


def test_node_voltages_go_from_phase_to_phase() -> None:
    """Two phases of half the length, lines handed over, are one phase."""
    network = single(
        "t", (3, 4), Resistor(), Cell("1R"), Segments(2.0, 3.0, 1e-14, 2e-14), r_source=1e4, r_sink=1e3
    )
    g = 10.0 ** -np.random.default_rng(1).uniform(4, 6, (3, 4))
    drives = {net: level(0.3) if net == "wl1" else level(0.0) for net in network.nets}
    whole = ask(network, [g], Phase("read", 2 * NS, drives, (2 * NS,)))
    first = ask(network, [g], Phase("read", NS, drives))
    second = ask(network, [g], Phase("read", NS, drives, (NS,)), first.node_voltages)
    assert np.allclose(
        whole.samples.current, second.samples.current, rtol=0, atol=1e-4 * np.abs(whole.samples.current).max()
    )
    assert first.energy.stored + second.energy.stored == pytest.approx(whole.energy.stored, rel=1e-4)
    assert np.allclose(
        first.net_charge + second.net_charge,
        whole.net_charge,
        rtol=0,
        atol=1e-4 * np.abs(whole.net_charge).max(),
    )


def test_lines_that_float_keep_their_charge() -> None:
    network = single("t", (2, 2), Resistor(), Cell("1R"), Segments(1.0, 1.0, 1e-15, 1e-15))
    charged = np.stack([np.full((2, 2), 0.2), np.full((2, 2), 0.1)])
    result = ask(network, [np.zeros((2, 2))], Phase("read", NS, {}, (NS,)), (charged,))
    assert result.node_voltages is not None
    assert np.allclose(result.node_voltages[0], charged, rtol=0, atol=1e-9)
    assert result.samples.voltage[0] == pytest.approx([0.2, 0.2, 0.1, 0.1], abs=1e-9)


def test_moving_states_on_charged_lines_against_scipy() -> None:
    """A state and two node voltages that move together: one stiff system for scipy."""
    device = Mss(r_on=20e3, r_off=200e3, v_on=0.3, v_off=0.3, tau=20e-9)
    c, r = 0.2e-12, 2e4
    network = single("t", (1, 1), device, Cell("1R"), Segments(0.0, 0.0, c, c), r_source=r, r_sink=r)
    drives = {"wl0": level(1.0), "bl0": level(0.0)}
    strobes = (2 * NS, 5 * NS, 10 * NS, 20 * NS)
    result = ask(network, [[[0.3]]], Phase("write", 20 * NS, drives, strobes))
    v_t = 8.617333262e-5 * KELVIN

    def slope(_t: float, y: np.ndarray) -> list[float]:
        x, w, b = y[:3]
        g, v = x / device.r_on + (1 - x) / device.r_off, w - b
        on, off = 1 / (1 + np.exp(-(v - 0.3) / v_t)), 1 / (1 + np.exp((v + 0.3) / v_t))
        return [
            ((1 - x) * on - x * off) / device.tau,
            ((1 - w) / r - g * v) / c,
            (g * v - b / r) / c,
            v * v * g,
        ]

    solved = solve_ivp(slope, (0, 2e-8), [0.3, 0, 0, 0], t_eval=[s * 1e-15 for s in strobes], rtol=1e-11, atol=1e-18, method="LSODA")  # fmt: skip
    assert solved.y[0, -1] - 0.3 > 0.1
    assert result.states[0][0, 0] == pytest.approx(solved.y[0, -1], abs=2e-5)
    assert np.allclose(result.samples.current[:, 0], (1 - solved.y[1]) / r, rtol=0, atol=1e-4 / r)
    assert result.energy.cells[0][0, 0] == pytest.approx(solved.y[3, -1], rel=1e-4)
    assert balanced(result)


def moving_request(device: DeviceModel, kind: Any, seed: int) -> PhaseRequest:
    rng = np.random.default_rng(seed)
    network = single(
        "t",
        (3, 4),
        device,
        Cell(kind, access_resistance=5e3),
        Segments(5.0, 5.0, 2e-15, 3e-15),
        r_source=1e4,
        r_sink=1e3,
    )
    drives: dict[str, Waveform] = {net: level(0.0) for net in network.nets}
    drives["wl0"] = pulse(0.9, rise_fs=NS, width_fs=90 * NS, fall_fs=NS, delay_fs=NS)
    drives["bl2"] = pulse(0.3, rise_fs=2 * NS, width_fs=50 * NS, fall_fs=NS)
    del drives["wl2"], drives["bl3"]
    drives |= {"gl0": ON, "gl2": ON}
    if kind == "1R":
        drives = {net: wave for net, wave in drives.items() if not net.startswith("gl")}
    state = rng.uniform(0.1, 0.9, (3, 4))
    phase = Phase("write", 100 * NS, drives, (2 * NS, 50 * NS, 93 * NS, 100 * NS))
    return PhaseRequest(network, (state,), None, 0, KELVIN, phase, seed)


CHARGED: dict[str, DeviceModel] = {
    "mss": Mss(r_on=20e3, r_off=200e3, v_on=0.4, v_off=0.4, tau=1e-6),
    "sinh": SinhCell(a=4.0, rate=1e4),
}


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("sinh", "1R"),
        ("mss", "1T1R"),
        pytest.param("sinh", "1T1R", marks=pytest.mark.acceptance),
        pytest.param("mss", "1R", marks=pytest.mark.acceptance),
    ],
)
def test_a_finer_run_agrees(name: str, kind: Any) -> None:
    request = moving_request(CHARGED[name], kind, 1)
    coarse = RC.run(request)
    fine = BehavioralBackend("rc", Tolerances(voltage=1e-6, coupling=1e-7, step=1e-6)).run(request)
    assert np.abs(coarse.states[0] - request.states[0]).max() > 0.005  # far above what is compared
    assert np.allclose(coarse.states[0], fine.states[0], rtol=0, atol=2e-5)
    full = np.abs(fine.samples.current).max()
    assert np.allclose(coarse.samples.current, fine.samples.current, rtol=0, atol=1e-4 * full)
    assert coarse.energy.delivered.sum() == pytest.approx(fine.energy.delivered.sum(), rel=1e-4)
    assert balanced(coarse)
    assert abs(fine.energy.numerical) < 0.2 * max(
        abs(coarse.energy.numerical), 1e-6 * fine.energy.delivered.sum()
    )


@pytest.mark.ngspice
@pytest.mark.parametrize("kind", ["1R", "1T1R"])
@pytest.mark.parametrize("name", sorted(CHARGED))
def test_moving_cells_on_charged_lines_agree_with_ngspice(
    name: str, kind: Any, spice: NgspiceBackend
) -> None:
    request = moving_request(CHARGED[name], kind, 2)
    ours, theirs = RC.run(request), spice.run(request)
    found = deviation(request, ours, theirs)
    assert found.current_relative < 1e-3
    assert found.state_absolute < 1e-3
    assert found.energy_relative < 2e-3
    assert ours.node_voltages is not None
    assert theirs.node_voltages is not None
    assert np.abs(ours.node_voltages[0] - theirs.node_voltages[0]).max() < 1e-3


@pytest.mark.ngspice
def test_a_charged_lane_agrees_with_ngspice(spice: NgspiceBackend) -> None:
    """The floating node of two pairs settles with its capacitance, then moves with the states."""
    device = find_preset("mss-ktram")
    arrays = tuple(
        CrossbarArray(
            f"{side}{k}", 2, 2, device, Cell("1R"), Segments(2.0, 2.0, 5e-14, 5e-14),
            left=(rail, f"{side}{k}.w"), bottom=("y", f"{side}{k}.b"), r_left=200.0, r_bottom=100.0,
        )
        for k in range(2) for side, rail in (("a", "up"), ("b", "down"))
    )  # fmt: skip
    network = Network(arrays)
    wave = {"rise_fs": NS, "width_fs": 900 * NS, "fall_fs": NS, "delay_fs": NS}
    drives = {"up": pulse(0.5, **wave), "down": pulse(-0.5, **wave)}
    rng = np.random.default_rng(0)
    states = tuple(rng.uniform(0.1, 0.9, (2, 2)) for _ in arrays)
    phase = Phase("write", 1000 * NS, drives, (2 * NS, 5 * NS, 500 * NS, 905 * NS, 1000 * NS))
    request = PhaseRequest(network, states, None, 0, KELVIN, phase, 0)
    ours, theirs = RC.run(request), spice.run(request)
    found = deviation(request, ours, theirs)
    assert found.current_relative < 1e-3
    assert found.state_absolute < 1e-3
    assert found.energy_relative < 1e-3
    assert np.abs(ours.samples.voltage - theirs.samples.voltage).max() < 1e-3 * 0.5
    assert balanced(ours)


def test_without_capacitance_it_is_the_resistive_answer() -> None:
    request = settling_request((NS // 2,), NS)
    plain = single("t", (16, 16), Resistor(), Cell("1R"), Segments(1.0, 1.0), r_source=1e4, r_sink=100.0)
    request = dataclasses.replace(request, network=plain)
    ours, other = RC.run(request), BehavioralBackend().run(request)
    assert np.array_equal(ours.samples.current, other.samples.current)
    assert ours.node_voltages is None
