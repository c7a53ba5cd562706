"""The behavioral backend against closed forms that a person can write down."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

from cosim.backends.behavioral import BehavioralBackend, Tolerances
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
from cosim.devices import DeviceModel, Mss, Resistor, Rs, find_preset
from cosim.errors import CrossbarError, UnsupportedRequestError

NS = 10**6
KELVIN = 300.0
FIRM = find_preset("mss-firm")
WIRED = BehavioralBackend()
IDEAL = BehavioralBackend("ideal")
ON = level(1.8)


def run(
    network: Network, conductance: object, phase: Phase, backend: BehavioralBackend = WIRED, seed: int = 1
) -> PhaseResult:
    states = tuple(
        array.device.state_for(np.broadcast_to(np.asarray(conductance, dtype=np.float64), array.shape).copy())
        for array in network.arrays
    )
    return backend.run(PhaseRequest(network, states, None, 0, KELVIN, phase, seed))


def column(result: PhaseResult, net: str) -> float:
    return float(result.samples.current[0, result.samples.nets.index(net)])


def balanced(result: PhaseResult, tolerance: float = 1e-9) -> bool:
    return abs(result.energy.numerical) <= tolerance * float(result.energy.delivered.sum())


def test_one_cell_with_everything_in_series() -> None:
    """Source, one segment, device, one segment, sink: Ohm's law."""
    network = single("t", (1, 1), Resistor(), Cell("1R"), Segments(3.0, 5.0), r_source=7.0, r_sink=11.0)
    phase = Phase("read", 100 * NS, {"wl0": level(0.2), "bl0": level(0.0)}, (50 * NS,))
    result = run(network, 1e-4, phase)
    resistance = 1e4 + 3.0 + 5.0 + 7.0 + 11.0
    current = 0.2 / resistance
    assert column(result, "wl0") == pytest.approx(current, rel=1e-12)
    assert column(result, "bl0") == pytest.approx(-current, rel=1e-12)
    assert result.net_charge == pytest.approx([current * 1e-7, -current * 1e-7], rel=1e-12)
    e = result.energy
    assert e.delivered == pytest.approx([0.2 * current * 1e-7, 0.0], rel=1e-12)
    assert e.cells[0][0, 0] == pytest.approx(current**2 * 1e4 * 1e-7, rel=1e-12)
    assert e.wires == pytest.approx(current**2 * 8.0 * 1e-7, rel=1e-12)
    assert e.terminations == pytest.approx(current**2 * 18.0 * 1e-7, rel=1e-12)
    assert e.access == 0.0
    assert balanced(result)


@pytest.mark.parametrize("backend", [WIRED, IDEAL], ids=["resistive", "ideal"])
@pytest.mark.parametrize("rise,width,fall", [(1, 10, 1), (10, 1, 30), (100, 1, 1), (3, 1000, 7)])  # noqa: PT006
def test_energy_of_a_pulse_on_a_resistor(
    backend: BehavioralBackend, rise: int, width: int, fall: int
) -> None:
    """V²/R (width + (rise + fall)/3), the edges integrated exactly."""
    network = single("t", (1, 1), Resistor(), Cell("1R"), Segments(2.0, 2.0), r_source=3.0)
    wave = pulse(1.5, rise_fs=rise * NS, width_fs=width * NS, fall_fs=fall * NS)
    phase = Phase("write", (rise + width + fall) * NS, {"wl0": wave, "bl0": level(0.0)})
    result = run(network, 1e-5, phase, backend)
    resistance = 1e5 + (7.0 if backend is WIRED else 0.0)
    expected = 1.5**2 / resistance * (width + (rise + fall) / 3) * 1e-9
    assert result.energy.delivered.sum() == pytest.approx(expected, rel=1e-12)
    assert result.net_charge[0] == pytest.approx(
        1.5 / resistance * (width + (rise + fall) / 2) * 1e-9, rel=1e-12
    )
    assert balanced(result, 1e-12)


def test_access_device_divides_the_voltage() -> None:
    """1T1R: the device sees V·R/(R + R_access), and both dissipate their part."""
    network = single("t", (1, 1), Resistor(), Cell("1T1R", access_resistance=5e3), Segments())
    result = run(
        network, 1e-4, Phase("read", 10 * NS, {"wl0": level(0.3), "bl0": level(0.0), "gl0": ON}, (5 * NS,))
    )
    assert column(result, "wl0") == pytest.approx(0.3 / 15e3, rel=1e-12)
    assert result.energy.cells[0][0, 0] == pytest.approx((0.2**2 / 1e4) * 1e-8, rel=1e-12)
    assert result.energy.access == pytest.approx((0.1**2 / 5e3) * 1e-8, rel=1e-12)


@pytest.mark.parametrize("volts", [0.75, -0.75, 0.68])
def test_a_moving_cell_behind_its_access_device(volts: float) -> None:
    """Against scipy: dx/dt at the voltage that the divider leaves the device, and its energy."""
    device = Mss(r_on=20e3, r_off=200e3, v_on=0.6, v_off=0.6, tau=10e-6)
    access, duration = 5e3, 5e-6
    network = single("t", (1, 1), device, Cell("1T1R", access_resistance=access), Segments())
    start = np.array([[0.4]])
    drives = {"wl0": level(max(volts, 0.0)), "bl0": level(max(-volts, 0.0)), "gl0": ON}
    phase = Phase("write", round(duration * 1e15), drives)
    result = WIRED.run(PhaseRequest(network, (start,), None, 0, KELVIN, phase, 0))
    v_t = 8.617333262e-5 * KELVIN

    def slope(_t: float, y: np.ndarray) -> list[float]:
        x = y[0]
        g = x / device.r_on + (1 - x) / device.r_off
        v = volts / (1 + access * g)
        on, off = 1 / (1 + np.exp(-(v - 0.6) / v_t)), 1 / (1 + np.exp((v + 0.6) / v_t))
        return [((1 - x) * on - x * off) / device.tau, v * v * g]

    solved = solve_ivp(slope, (0, duration), [0.4, 0.0], rtol=1e-11, atol=1e-18, method="LSODA")
    assert abs(solved.y[0, -1] - 0.4) > 0.05
    assert result.states[0][0, 0] == pytest.approx(solved.y[0, -1], abs=2e-5)
    assert result.energy.cells[0][0, 0] == pytest.approx(solved.y[1, -1], rel=1e-5)
    assert balanced(result)


@pytest.mark.parametrize("sign", [1, -1])
def test_half_selected_cells_see_half_of_the_voltage(sign: int) -> None:
    """V/2 with ideal wires: selected cell V, its row and column V/2, all others nothing."""
    volts, duration = 0.7, 2e-6
    network = single("t", (3, 4), FIRM, Cell("1R"), Segments())
    drives = dict.fromkeys(network.nets, level(volts / 2))
    drives["wl1"], drives["bl2"] = level(volts if sign > 0 else 0.0), level(0.0 if sign > 0 else volts)
    state = np.linspace(0.1, 0.9, 12).reshape(3, 4)
    phase = Phase("write", round(duration * 1e15), drives, (1,))
    result = IDEAL.run(PhaseRequest(network, (state,), None, 0, KELVIN, phase, 0))
    seen = np.zeros((3, 4))
    seen[1, :] = seen[:, 2] = sign * volts / 2
    seen[1, 2] = sign * volts
    assert np.allclose(result.states[0], FIRM.advance(state, seen, duration, KELVIN), rtol=0, atol=1e-12)
    if sign > 0:
        moved = np.abs(result.states[0] - FIRM.advance(state, np.zeros((3, 4)), duration, KELVIN))
        assert moved[1, 2] > 0.01
        assert 1e-9 < moved[1, 0] < 1e-2 * moved[1, 2]
        assert moved[0, 0] < 1e-15
    assert result.energy.cells[0][0, 0] == 0.0
    assert result.energy.wires == 0.0
    assert balanced(result)


def test_rows_with_their_gate_off_only_rest() -> None:
    network = single("t", (3, 2), FIRM, Cell("1T1R", access_resistance=5e3), Segments(2.5, 2.5))
    drives = dict.fromkeys(network.nets, level(0.0))
    drives |= {"wl0": level(0.9), "wl2": level(0.9), "gl2": ON, "gl1": level(0.3)}
    state = np.full((3, 2), 0.3)
    result = WIRED.run(
        PhaseRequest(network, (state,), None, 0, KELVIN, Phase("write", 1000 * NS, drives, (1,)), 0)
    )
    rest = FIRM.advance(state, np.zeros((3, 2)), 1e-6, KELVIN)
    assert np.array_equal(result.states[0][:2], rest[:2])
    assert (result.states[0][2] > 0.32).all()
    assert column(result, "wl0") == 0.0
    assert (result.energy.cells[0][:2] == 0.0).all()
    assert result.samples.voltage[0, 0] == 0.9


def test_no_gate_on_at_all() -> None:
    network = single("t", (2, 2), FIRM, Cell("1T1R"), Segments(2.5, 2.5))
    drives = dict.fromkeys(network.nets, level(0.1))
    result = run(network, 5e-6, Phase("read", 10 * NS, drives, (5 * NS,), save=("wl0",)))
    assert not result.samples.current.any()
    assert result.energy.delivered.sum() == 0.0
    assert result.saved is not None
    assert (result.saved.voltage == 0.1).all()
    assert result.duration_fs == 10 * NS


def test_matrix_vector_product_with_ideal_wires() -> None:
    rng = np.random.default_rng(2)
    g, volts = rng.uniform(1e-6, 1e-5, (5, 3)), rng.uniform(0, 0.2, 5)
    network = single("t", (5, 3), Resistor(), Cell("1R"), Segments(4.0, 4.0), r_source=3.0, r_sink=2.0)
    drives = {f"wl{i}": level(float(v)) for i, v in enumerate(volts)} | {
        f"bl{j}": level(0.0) for j in range(3)
    }
    result = run(network, g, Phase("read", 10 * NS, drives, (5 * NS,)), IDEAL)
    assert np.allclose(result.samples.current[0, :5], volts * g.sum(axis=1), rtol=1e-13)
    assert np.allclose(-result.samples.current[0, 5:], volts @ g, rtol=1e-13)


def test_a_driver_that_sinks_absorbs() -> None:
    """0.2 V and 0.05 V over 10 kohm: a quarter of what is delivered is absorbed."""
    network = single("t", (1, 1), Resistor(), Cell("1R"), Segments())
    result = run(network, 1e-4, Phase("read", 100 * NS, {"wl0": level(0.2), "bl0": level(0.05)}))
    current = 0.15e-4
    assert result.energy.delivered == pytest.approx([0.2 * current * 1e-7, 0.0], rel=1e-12)
    assert result.energy.absorbed == pytest.approx([0.0, 0.05 * current * 1e-7], rel=1e-12)
    assert balanced(result, 1e-12)


def test_a_floating_line_follows_and_carries_no_current() -> None:
    """Two cells in series through a floating bit line: the voltage divides."""
    network = single("t", (2, 1), Resistor(), Cell("1R"), Segments())
    result = run(
        network, [[1e-4], [3e-4]], Phase("read", 100 * NS, {"wl0": level(0.4), "wl1": level(0.0)}, (NS,))
    )
    assert column(result, "bl0") == pytest.approx(0.0, abs=1e-18)
    assert result.samples.voltage[0, 2] == pytest.approx(0.1, rel=1e-9)
    assert column(result, "wl0") == pytest.approx(0.4 * 0.75e-4, rel=1e-9)
    assert balanced(result)


def test_a_cell_of_no_conductance_is_open() -> None:
    network = single("t", (2, 2), Resistor(), Cell("1R"), Segments(2.0, 2.0))
    drives = {"wl0": level(0.1), "wl1": level(0.1), "bl0": level(0.0), "bl1": level(0.0)}
    result = run(network, [[0.0, 1e-5], [1e-5, 1e-5]], Phase("read", 10 * NS, drives, (NS,)))
    assert np.isfinite(result.samples.current).all()
    assert result.energy.cells[0][0, 0] == 0.0
    assert balanced(result)


def test_saved_waveforms_are_the_corners() -> None:
    network = single("t", (1, 1), Resistor(), Cell("1R"), Segments(2.0, 2.0))
    wave = pulse(1.0, rise_fs=NS, width_fs=2 * NS, fall_fs=NS)
    result = run(network, 1e-5, Phase("read", 4 * NS, {"wl0": wave, "bl0": level(0.0)}, (), save=("wl0",)))
    assert result.saved is not None
    assert result.saved.times_s.tolist() == [0.0, 1e-9, 3e-9, 4e-9]
    assert result.saved.voltage[:, 0].tolist() == [0.0, 1.0, 1.0, 0.0]


def test_piecewise_linear_drives_that_cross_zero() -> None:
    """A ramp from -1 V to 1 V: energy V²T/(3R), no net charge."""
    network = single("t", (1, 1), Resistor(), Cell("1R"), Segments())
    ramp = Waveform((0, 100 * NS), (-1.0, 1.0))
    result = run(network, 1e-4, Phase("write", 100 * NS, {"wl0": ramp, "bl0": level(0.0)}))
    assert result.energy.delivered.sum() == pytest.approx(1e-4 * 1e-7 / 3, rel=1e-12)
    assert result.net_charge[0] == pytest.approx(0.0, abs=1e-25)
    assert balanced(result, 1e-12)


@pytest.mark.parametrize(
    "device", [FIRM, Mss(), Rs(), Rs(rate=1e4, v_reset=0.15)], ids=["firm", "mss", "ktram", "jspice"]
)
def test_a_long_write_of_an_array_agrees_with_a_finer_run(device: DeviceModel) -> None:
    """States and energies of a pulse that moves half of the cells a long way."""
    network = single("t", (4, 4), device, Cell("1R"), Segments(2.5, 2.5), r_source=10.0, r_sink=5.0)
    (amplitude, width), _ = device.programming_pulse(KELVIN) or ((0.0, 0.0), (0.0, 0.0))
    ticks = round(10 * width * 1e15)
    wave = pulse(amplitude, rise_fs=ticks // 20, width_fs=ticks, fall_fs=ticks // 20)
    drives = {f"wl{i}": wave if i < 2 else level(0.0) for i in range(4)} | {
        f"bl{j}": level(0.0) for j in range(4)
    }
    phase = Phase("write", ticks + 2 * (ticks // 20), drives)
    low, high = device.conductance_range()
    g = np.linspace(low, high, 16).reshape(4, 4)
    coarse = run(network, g, phase)
    fine = run(network, g, phase, BehavioralBackend(tolerances=Tolerances(refine=20)))
    assert np.abs(coarse.states[0] - device.state_for(g)).max() > 0.05
    assert np.allclose(coarse.states[0], fine.states[0], rtol=0, atol=1e-5)
    assert coarse.energy.delivered.sum() == pytest.approx(fine.energy.delivered.sum(), rel=1e-4)
    assert coarse.energy.wires == pytest.approx(fine.energy.wires, rel=1e-4)
    assert balanced(coarse)
    assert balanced(fine)


@settings(max_examples=30, deadline=None)
@given(
    rows=st.integers(1, 5), columns=st.integers(1, 5), seed=st.integers(0, 10**6), gated=st.booleans(),
    wire=st.sampled_from([0.0, 1e-3, 2.5, 100.0]), moving=st.booleans(),
)  # fmt: skip
def test_the_balance_always_closes(
    rows: int, columns: int, seed: int, gated: bool, wire: float, moving: bool
) -> None:
    rng = np.random.default_rng(seed)
    device: DeviceModel = FIRM if moving else Resistor()
    network = single(
        "t", (rows, columns), device, Cell("1T1R" if gated else "1R"), Segments(wire, wire), r_source=wire,
        r_sink=2.0,
    )  # fmt: skip
    drives: dict[str, Waveform] = {}
    for net in network.nets:
        kind = rng.integers(4)
        if kind == 0:
            drives[net] = level(float(rng.uniform(-0.8, 0.8)))
        elif kind == 1:
            drives[net] = pulse(
                float(rng.uniform(-0.8, 0.8)), rise_fs=20 * NS, width_fs=100 * NS, fall_fs=10 * NS
            )
        elif kind == 2:
            drives[net] = level(0.0)
    drives.setdefault("bl0", level(0.0))
    drives |= {net: ON for net in network.gate_nets if rng.random() < 0.7}
    g = rng.uniform(1e-6, 1e-5, (rows, columns))
    result = run(network, g, Phase("write", 200 * NS, drives, (60 * NS,)))
    assert abs(result.energy.numerical) <= 1e-9 * max(result.energy.delivered.sum(), 1e-24)
    assert abs(result.net_charge.sum()) <= 1e-9 * max(np.abs(result.net_charge).max(), 1e-24)
    assert (result.energy.cells[0] >= 0).all()
    assert result.kcl_residual < (1e-8 if wire != 1e-3 else 1e-6)


def test_two_arrays_in_one_network() -> None:
    """Both arrays answer as they do alone when they share driven nets."""

    def part(name: str, bottom: str) -> CrossbarArray:
        return CrossbarArray(
            name, 2, 1, Resistor(), Cell("1R"), Segments(), left=("a", "b"), bottom=(bottom,)
        )

    network = Network((part("p", "x"), part("q", "y")))
    drives = {"a": level(0.1), "b": level(0.2), "x": level(0.0), "y": level(0.0)}
    states = (np.array([[1e-5], [2e-5]]), np.array([[3e-5], [4e-5]]))
    result = WIRED.run(PhaseRequest(network, states, None, 0, KELVIN, Phase("read", NS, drives, (1,)), 0))
    assert column(result, "x") == pytest.approx(-(1e-6 + 4e-6), rel=1e-12)
    assert column(result, "y") == pytest.approx(-(3e-6 + 8e-6), rel=1e-12)
    assert column(result, "a") == pytest.approx(1e-6 + 3e-6, rel=1e-12)


def test_draws_depend_on_the_phase_seed_alone() -> None:
    device = Mss(r_on=100e3, r_off=1e6, v_on=0.6, v_off=0.6, switches=200)
    network = single("t", (3, 3), device, Cell("1R"), Segments(2.0, 2.0))
    drives = {f"wl{i}": level(0.65) for i in range(3)} | {f"bl{j}": level(0.0) for j in range(3)}
    phase = Phase("write", 1000 * NS, drives)
    first, again, other = (run(network, 5e-6, phase, seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(first.states[0], again.states[0])
    assert not np.array_equal(first.states[0], other.states[0])
    assert np.allclose(first.states[0] * 200, np.rint(first.states[0] * 200), atol=1e-9)
    assert "stochastic" in first.applied


def test_requests_are_not_changed() -> None:
    network = single("t", (2, 2), FIRM, Cell("1R"), Segments(2.0, 2.0))
    state = np.full((2, 2), 0.5)
    state.setflags(write=False)
    drives = {"wl0": level(0.7), "wl1": level(0.0), "bl0": level(0.0), "bl1": level(0.0)}
    result = WIRED.run(PhaseRequest(network, (state,), None, 0, KELVIN, Phase("write", 500 * NS, drives), 0))
    assert (state == 0.5).all()
    assert result.states[0] is not state


def test_refusals() -> None:
    with pytest.raises(
        UnsupportedRequestError, match="fidelity must be 'ideal', 'resistive' or 'rc', not 'exact'"
    ):
        BehavioralBackend("exact")  # type: ignore[arg-type]
    gated = single("t", (1, 1), FIRM, Cell("1T1R"), Segments())
    with pytest.raises(CrossbarError, match="gate net gl0 must hold one level"):
        run(gated, 1e-6, Phase("write", 9, {"gl0": pulse(1.8, rise_fs=1, width_fs=1, fall_fs=1)}))
    assert WIRED.refusal(gated, "write") is None


@pytest.mark.parametrize("order", ["set, reset", "reset, set"])
def test_a_phase_of_two_pulses_moves_both_ways(order: str) -> None:
    """The second pulse must be judged by the states that the first one left, not by those of the start."""
    device = Rs(g_min=8e-6, g_max=5e-4, rate=1e4, v_set=0.2, v_reset=0.1)
    network = single("a", (1, 1), device, Cell("1R"), Segments(), r_source=5e3)
    ms, sign = 10**12, 1.0 if order == "set, reset" else -1.0
    both = Waveform(
        (0, ms, 20 * ms, 22 * ms, 40 * ms, 41 * ms),
        (0.0, 0.8 * sign, 0.8 * sign, -0.8 * sign, -0.8 * sign, 0.0),
    )
    start = np.array([[0.0 if order == "set, reset" else 1.0]])
    phase = Phase("write", 41 * ms, {"wl0": both, "bl0": level(0.0)})
    found = BehavioralBackend().run(PhaseRequest(network, (start,), None, 0, 300.0, phase, 0))

    def slope(t: float, x: np.ndarray) -> np.ndarray:
        g = 8e-6 + x * (5e-4 - 8e-6)
        v = float(np.interp(t * 1e15, both.times_fs, both.voltages)) / (1.0 + 5e3 * g)
        return 1e4 * (np.maximum(v - 0.2, 0.0) * (1.0 - x) - np.maximum(-v - 0.1, 0.0) * x)

    exact = solve_ivp(slope, (0.0, 41e-3), start[0], rtol=1e-10, atol=1e-14, max_step=1e-4, method="LSODA").y[
        0, -1
    ]
    assert found.states[0][0, 0] == pytest.approx(exact, abs=1e-4)


def test_movements_that_cancel_are_not_taken_as_standing_still() -> None:
    device = Mss(r_on=100e3, r_off=1e6, v_on=0.3, v_off=0.3, tau=1e-5)
    network = single("a", (1, 1), device, Cell("1R"), Segments(), r_source=1e3)
    ns = 10**6
    both = Waveform((0, ns, 501 * ns, 503 * ns, 1003 * ns, 1004 * ns), (0.0, 0.5, 0.5, -0.5, -0.5, 0.0))
    phase = Phase("write", 1004 * ns, {"wl0": both, "bl0": level(0.0)})
    request = PhaseRequest(network, (np.full((1, 1), 0.5),), None, 0, 300.0, phase, 0)
    found, fine = (
        BehavioralBackend().run(request),
        BehavioralBackend(tolerances=Tolerances(refine=50)).run(request),
    )
    assert "still" not in found.applied
    assert abs(found.states[0][0, 0] - fine.states[0][0, 0]) < 1e-6
    assert abs(found.states[0][0, 0] - 0.5) > 1e-4


@pytest.mark.parametrize(("volts", "edge", "width"), [(-1.22, 813, 1460), (-1.72, 322, 1170), (1.3, 900, 60)])
def test_wide_edges_move_states_by_the_integral_of_the_rate(volts: float, edge: int, width: int) -> None:
    """The rate of `rs` is linear in the voltage above threshold: the distance to its end falls by the exponential of the integral."""
    device = Rs()
    start = 0.6
    above = abs(volts) - (device.v_set if volts > 0 else device.v_reset)
    integral = device.rate * 1e-9 * (width * above + edge * above**2 / abs(volts))
    wanted = start * np.exp(-integral) if volts < 0 else 1.0 - (1.0 - start) * np.exp(-integral)
    assert abs(wanted - start) > 0.2
    wave = pulse(volts, rise_fs=edge * NS, width_fs=width * NS, fall_fs=edge * NS)
    phase = Phase("write", (2 * edge + width) * NS, {"wl0": wave, "bl0": level(0.0)})
    network = single("t", (1, 1), device, Cell("1R"), Segments())
    request = PhaseRequest(network, (np.full((1, 1), start),), None, 0, KELVIN, phase, 0)
    assert WIRED.run(request).states[0][0, 0] == pytest.approx(wanted, abs=1e-5)
