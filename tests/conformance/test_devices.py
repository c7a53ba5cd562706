"""Every registered device model against its published equation, and what the conformance suite leaves out.

A model of another package is taken in as soon as it is registered; only `RATES` (the equations, written
anew from the literature) is for ours.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosim.conformance import drive_of
from cosim.devices import (
    DataDriven,
    DeviceModel,
    Fefet,
    IonDrift,
    Mss,
    NonlinearIonDrift,
    Rs,
    Sky130Reram,
    Stanford,
    Team,
    Vteam,
    Yakopcic,
    find,
    find_preset,
    models,
    presets,
)
from cosim.devices.kt_steps import KtStep
from cosim.devices.mtj import Mtj
from cosim.devices.pulse import PulseModel
from cosim.errors import DeviceError, UnknownNameError

KELVIN = 300.0
V_T = 8.617333262e-5 * KELVIN


def is_default(device: DeviceModel) -> bool:
    return dataclasses.asdict(device) == dataclasses.asdict(type(device)())  # type: ignore[call-overload]


APART = (PulseModel, KtStep, Mtj)
"""Kinds of models without a differential equation: tests/devices/ has suites of their own."""
CASES: dict[str, DeviceModel] = {  # models that step per pulse have a suite of their own
    **{name: model() for name, model in models().items() if not issubclass(model, APART)},
    **{
        name: device
        for name, device in presets().items()
        if not is_default(device) and not isinstance(device, APART)
    },
    "mss-1000": Mss(switches=1000),
    "vteam-exponential": Vteam(resistance="exponential", window="biolek"),
    "ion-drift-none": IonDrift(window="none"),
    **{f"vteam-{name}": Vteam(window=name) for name in ("joglekar", "prodromakis", "strukov")},
}
MOVING = sorted(name for name, device in CASES.items() if device.moves)


def mss_rate(d: Mss, x: float, v: float) -> float:
    """Nugent and Molter 2014, generalized MSS."""
    on = 1.0 / (1.0 + np.exp(-(v - d.v_on) / V_T))
    off = 1.0 / (1.0 + np.exp((v + d.v_off) / V_T))
    return float(((1.0 - x) * on - x * off) / d.tau)


def rs_rate(d: Rs, x: float, v: float) -> float:
    """dG/dt = a T (G_t - G), here for the normalized conductance."""
    if v > d.v_set:
        return float(d.rate * (v - d.v_set) * (1.0 - x))
    if v < -d.v_reset:
        return float(-d.rate * (-v - d.v_reset) * x)
    return 0.0


def window_of(d: Vteam | IonDrift | NonlinearIonDrift, x: float, rising: bool) -> float:
    p, j = d.window_p, d.window_j
    return {
        "none": 1.0,
        "joglekar": 1 - (2 * x - 1) ** (2 * p),
        "biolek": 1 - (x if rising else x - 1) ** (2 * p),
        "prodromakis": j * (1 - ((x - 0.5) ** 2 + 0.75) ** p),
        "strukov": x - x**2,
    }[d.window]


def ion_drift_rate(d: IonDrift, x: float, v: float) -> float:
    """Strukov et al. 2008, equations 5 and 6."""
    current = v / (d.r_on * x + d.r_off * (1 - x))
    return float(d.mobility * d.r_on / d.thickness**2 * current * window_of(d, x, v > 0))


def nonlinear_ion_drift_rate(d: NonlinearIonDrift, x: float, v: float) -> float:
    """Lehtonen and Laiho 2010."""
    return float(d.a * v**d.m * window_of(d, x, v > 0))


def vteam_rate(d: Vteam, x: float, v: float) -> float:
    """Kvatinsky et al. 2015, equation 7; x = 1 - w/D, and the sign of the voltage is turned."""
    if v > d.v_on:
        return float(d.k_on / d.thickness * (v / d.v_on - 1) ** d.alpha_on * window_of(d, x, True))
    if v < -d.v_off:
        return float(-d.k_off / d.thickness * (-v / d.v_off - 1) ** d.alpha_off * window_of(d, x, False))
    return 0.0


def yakopcic_rate(d: Yakopcic, x: float, v: float) -> float:
    """Yakopcic et al. 2013, equations 2 to 7, eta = 1."""
    if v > d.v_p:
        f = 1.0
        if x >= d.x_p:
            f = np.exp(-d.alpha_p * (x - d.x_p)) * ((d.x_p - x) / (1 - d.x_p) + 1)
        return float(d.a_p * (np.exp(v) - np.exp(d.v_p)) * f)
    if v < -d.v_n:
        f = 1.0
        if x <= 1 - d.x_n:
            f = np.exp(d.alpha_n * (x + d.x_n - 1)) * x / (1 - d.x_n)
        return float(-d.a_n * (np.exp(-v) - np.exp(d.v_n)) * f)
    return 0.0


def team_rate(d: Team, x: float, v: float) -> float:
    """Kvatinsky et al. 2013, equations 6 and 7 (linear resistance), 10 and 11; w = D (1 - x), sign turned."""
    w = d.thickness * (1 - x)
    i = v / (d.r_on + (d.r_off - d.r_on) * w / d.thickness)
    if i > d.i_on:
        f = np.exp(-np.exp((d.a_on - w) / d.w_c)) if d.window == "kvatinsky" else 1.0
        return float(d.k_on * (i / d.i_on - 1) ** d.alpha_on * f / d.thickness)
    if i < -d.i_off:
        f = np.exp(-np.exp((w - d.a_off) / d.w_c)) if d.window == "kvatinsky" else 1.0
        return float(-d.k_off * (-i / d.i_off - 1) ** d.alpha_off * f / d.thickness)
    return 0.0


def stanford_rate(d: Stanford, x: float, v: float) -> float:
    """Jiang et al. 2014; the minimum field with its rise over 1 %."""
    gap = d.gap_max - x * (d.gap_max - d.gap_min)
    current = d.i_0 * np.exp(-gap / d.g_0) * np.sinh(v / d.v_0)
    v_t = 8.617333262e-5 * (KELVIN + abs(v * current) * d.r_th)
    gamma = d.gamma_0 - d.beta * (gap / 1e-9) ** 3
    gate = min(max((gamma * abs(v) / d.t_ox / d.f_min - 1) / 0.01, 0.0), 1.0)
    speed = -d.velocity * np.exp(-d.e_a / v_t) * np.sinh(gamma * d.a_0 / d.t_ox * v / v_t)
    return float(-speed * gate / (d.gap_max - d.gap_min))


def data_driven_rate(d: DataDriven, x: float, v: float) -> float:
    """Messaris et al. 2018, with the sign of the voltage turned."""
    v, span = -v, d.r_off - d.r_on
    r = d.r_off - x * span
    bound = d.r_p0 + d.r_p1 * v if v > 0 else d.r_n0 + d.r_n1 * v
    if v > 0 and r < bound:
        return float(-d.a_p * (np.exp(d.t_p * v) - 1) * (np.exp(d.k_p * (bound - r)) - 1) / span)
    if v < 0 and r > bound:
        return float(d.a_n * (np.exp(d.t_n * -v) - 1) * (np.exp(d.k_n * (r - bound)) - 1) / span)
    return 0.0


def sky130_rate(d: Sky130Reram, x: float, v: float) -> float:
    """The equations of sky130_fd_pr_reram at its steady temperature."""
    f = d.f_min + x * (d.f_max - d.f_min)
    current = d.i_k1 * np.exp(-(d.t_ox - f) / (d.t_ox - d.f_ref)) * np.sinh(v / d.v_ref)
    kt = 8.617333262e-5 * (KELVIN + abs(v * current) * d.tau_th / d.c_th)
    gamma = d.gamma_0 - d.gamma_1 * ((d.t_ox - f) / 1e-9) ** 3
    push = gamma * d.a_0 / d.t_ox * v / kt
    grow = np.exp(-d.e_generation / kt) * np.exp(push) - np.exp(-d.e_recombination / kt) * np.exp(-push)
    speed = d.velocity * grow / (d.f_max - d.f_min)
    return float(speed / (1 + abs(speed) * d.t_step))


def fefet_rate(d: Fefet, x: float, v: float) -> float:
    """dx/dt = (x_inf - x)/tau(v) with tau of Jo et al. 2007."""
    if abs(v) < 0.4:
        return 0.0  # below the smallest double
    tau = d.tau_0 * np.exp(((d.v_set if v > 0 else d.v_reset) / abs(v)) ** d.exponent)
    return float(((v > 0) - x) / tau)


RATES: dict[type[DeviceModel], Callable[..., float]] = {
    Mss: mss_rate,
    Rs: rs_rate,
    IonDrift: ion_drift_rate,
    NonlinearIonDrift: nonlinear_ion_drift_rate,
    Vteam: vteam_rate,
    Yakopcic: yakopcic_rate,
    Team: team_rate,
    Stanford: stanford_rate,
    DataDriven: data_driven_rate,
    Sky130Reram: sky130_rate,
    Fefet: fefet_rate,
}


def time_scale(device: DeviceModel) -> float:
    """Return about the time in which the state moves at full drive [s]."""
    pulses = device.programming_pulse(KELVIN)
    return 30 * pulses[0][1] if pulses else 1e-6


def strong(device: DeviceModel) -> float:
    pulses = device.programming_pulse(KELVIN)
    return pulses[0][0] if pulses else 1.0


def inside(device: DeviceModel, part: np.ndarray | float) -> np.ndarray:
    """Return states at a part of the range from the lowest to the highest conductance."""
    low, high = device.conductance_range()
    return device.state_for(np.asarray(low + np.asarray(part) * (high - low), dtype=np.float64))


def advance(device: DeviceModel, state: np.ndarray, voltage: float, duration: float) -> np.ndarray:
    return device.advance(state, np.full(state.shape, voltage), duration, KELVIN)


@pytest.fixture(params=sorted(CASES))
def device(request: pytest.FixtureRequest) -> DeviceModel:
    return CASES[request.param]


@pytest.fixture(params=MOVING)
def mover(request: pytest.FixtureRequest) -> DeviceModel:
    return CASES[request.param]


def test_parameters_are_frozen(device: DeviceModel) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        device.r_on = 3.0  # type: ignore[attr-defined]


def test_state_for_clips_to_the_bounds(device: DeviceModel) -> None:
    low, high = device.conductance_range()
    lowest, highest = device.state_bounds()
    states = device.state_for(np.array([[low / 10, high * 10]]))
    assert (states >= lowest).all()
    assert (states <= highest).all()


@given(
    name=st.sampled_from(sorted(CASES)), part=st.floats(0, 1), voltage=st.floats(-5, 5),
    duration=st.floats(0, 1e3),
)  # fmt: skip
def test_bounds(name: str, part: float, voltage: float, duration: float) -> None:
    device = CASES[name]
    low, high = device.state_bounds()
    after = advance(device, inside(device, [[part]]), voltage, duration)
    assert np.isfinite(after).all()
    assert (after >= low - 1e-15).all()
    assert (after <= high + 1e-15).all()


@pytest.mark.parametrize("reach", [0.02, 0.2, 0.8])
@pytest.mark.parametrize("duration", [1e-9, 1e-6])
def test_most_moved_is_a_bound(reach: float, duration: float, device: DeviceModel) -> None:
    """No state moves by more at any voltage in between; 0 means that none moves at all."""
    bound = device.most_moved(-reach, reach, duration, 300.0)
    parts = inside(device, np.linspace(0.0, 1.0, 9))
    for voltage in np.linspace(-reach, reach, 17):
        moved = advance(device, parts, float(voltage), duration) - parts
        assert np.abs(moved).max() <= bound * (1.0 + 1e-6) + (1e-15 if bound else 0.0)


CLOSE = ["mss", "rs", "ion_drift", "nonlinear_ion_drift", "vteam", "yakopcic", "team", "data_driven", "fefet"]


@pytest.mark.parametrize("name", CLOSE)
def test_most_moved_is_close(name: str) -> None:
    """In a short time the bound is at most 25 % above what the fastest state moves."""
    device = models()[name]()
    drive = drive_of(device, KELVIN)
    low, high = -drive.amplitudes[1], drive.amplitudes[0]
    states = inside(device, np.linspace(0.0, 1.0, 2001))
    rates = [device.state_rate(states, np.full((1, 1), volts), KELVIN) for volts in (low, high)]
    fastest = max(float(np.abs(rate).max()) for rate in rates if rate is not None)
    bound = device.most_moved(low, high, 1e-3 / fastest, KELVIN)
    assert 1e-3 * (1 - 1e-9) <= bound <= 1.25e-3


@pytest.mark.parametrize("voltage", [-1.2, -0.3, 0.0, 0.05, 0.65])
def test_state_rate_is_the_published_equation(voltage: float, mover: DeviceModel) -> None:
    low, high = mover.state_bounds()
    states = np.linspace(low, high, 9)[None, :]
    found = mover.state_rate(states, np.full((1, 9), voltage), KELVIN)
    assert found is not None
    if type(mover) in RATES:
        written = [RATES[type(mover)](mover, float(x), voltage) for x in states[0]]
        assert np.allclose(found[0], written, rtol=1e-9, atol=1e-12 * np.abs(written).max())


def test_durations_and_voltages_broadcast(mover: DeviceModel) -> None:
    state = inside(mover, np.array([[0.2, 0.6], [0.4, 0.9]]))
    voltage = np.array([0.5, -0.5, 1.0])[:, None, None] * np.ones((3, 2, 2))
    duration = np.array([1.0, 2.0, 0.5])[:, None, None] * time_scale(mover)
    together = mover.advance(state, voltage, duration, KELVIN)
    for k in range(3):
        alone = mover.advance(state, voltage[k], float(duration[k, 0, 0]), KELVIN)
        assert np.allclose(together[k], alone, rtol=0, atol=1e-15)


def test_the_loop_is_pinched(mover: DeviceModel) -> None:
    """A sine drives the device round a loop through the origin, with area, not the same way back."""
    steps = 400
    amplitude = 1.5 * strong(mover)
    state = inside(mover, [[0.5]])
    step_s = 10 * time_scale(mover) / steps
    voltages = amplitude * np.sin(2 * np.pi * (np.arange(2 * steps) + 0.5) / steps)
    currents, conductances = [], []
    for voltage in voltages:
        state = advance(mover, state, float(voltage), step_s)
        currents.append(float(mover.current(state, np.array([[voltage]]))[0, 0]))
        conductances.append(float(mover.conductance(state)[0, 0]))
    v, i = voltages[steps:], np.array(currents[steps:])
    assert np.all(i[np.abs(v) > 1e-9] * v[np.abs(v) > 1e-9] > 0)
    assert float(mover.current(state, np.zeros((1, 1)))[0, 0]) == 0.0
    area = abs(float(np.sum(0.5 * (i[1:] + i[:-1])[: steps // 2] * np.diff(v)[: steps // 2])))
    assert area > 1e-3 * amplitude * float(np.abs(i).max())
    low, high = mover.conductance_range()
    assert np.ptp(conductances) > 0.2 * (high - low)


def test_default_pulses_move_by_about_three_per_cent(mover: DeviceModel) -> None:
    pulses = mover.programming_pulse(KELVIN)
    assert pulses is not None
    low, high = mover.conductance_range()
    for sign, part, (amplitude, width) in ((1, 0.0, pulses[0]), (-1, 1.0, pulses[1])):
        state = inside(mover, [[part]])
        after = advance(mover, state, sign * amplitude, width)
        moved = sign * (mover.conductance(after) - mover.conductance(state)) / (high - low)
        assert 0.02 < float(moved[0, 0]) < 0.045


@pytest.mark.parametrize("name", sorted(set(CASES) - set(MOVING)))
def test_a_device_that_never_moves_has_no_pulse(name: str) -> None:
    device = CASES[name]
    state = inside(device, [[0.3]])
    assert device.programming_pulse(KELVIN) is None
    assert np.array_equal(advance(device, state, 5.0, 1.0), state)


def test_subcircuit_declares_its_nodes_and_parameters(device: DeviceModel) -> None:
    twin = device.subcircuit(KELVIN)
    if twin is None:
        assert not device.moves or type(device) not in RATES
        return
    head = twin.text.splitlines()[0].split()
    assert head[:2] == [".subckt", twin.name]
    nodes = head[2 : head.index("params:")]
    assert nodes == ["p", "n", *twin.state_nodes]
    declared = {entry.split("=")[0] for entry in head[head.index("params:") + 1 :]}
    assert declared == {*twin.parameters, *twin.initial}
    assert len(twin.initial) == len(twin.state_nodes) == len(twin.scale)
    assert twin.text.rstrip().endswith(f".ends {twin.name}")
    body = twin.text.splitlines()[1:-1]
    for name in declared:
        assert any(name in line for line in body), name


def test_per_cell_parameters(mover: DeviceModel) -> None:
    """Arrays of parameters broadcast: each cell behaves as the model with its own value."""
    name = next(e.name for e in dataclasses.fields(mover) if isinstance(getattr(mover, e.name), float))  # type: ignore[arg-type]
    base = getattr(mover, name)
    factors = np.array([[0.9, 1.0], [1.05, 0.95]])
    varied = mover.per_cell(**{name: base * factors})
    state = inside(mover, np.full((2, 2), 0.5))
    after = advance(varied, state, strong(mover), 0.3 * time_scale(mover))
    chosen = varied.select((np.array([1, 0]), np.array([1, 0])))
    for row in range(2):
        for column in range(2):
            own = dataclasses.replace(mover, **{name: base * factors[row, column]})  # type: ignore[type-var]
            x = state[row : row + 1, column : column + 1]
            assert after[row, column] == advance(own, x, strong(mover), 0.3 * time_scale(mover))[0, 0]
            assert varied.conductance(state)[row, column] == own.conductance(x)[0, 0]
    assert np.array_equal(getattr(chosen, name), base * factors[[1, 0], [1, 0]])
    assert mover.select((np.array([0]),)) is mover


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf")])
def test_every_parameter_refuses_what_is_not_positive(value: float, device: DeviceModel) -> None:
    for entry in dataclasses.fields(device):  # type: ignore[arg-type]
        if isinstance(getattr(device, entry.name), float) and getattr(device, entry.name) != 0:
            with pytest.raises(DeviceError, match=rf"^{device.name}\.{entry.name}: must be "):
                dataclasses.replace(device, **{entry.name: value})  # type: ignore[type-var]


def test_stochastic_models_say_so(device: DeviceModel) -> None:
    state = inside(device, np.full((2, 2), 0.5))
    uniforms = np.full((2, 2, 2), 0.3)
    exposure = np.full((2, 2), 0.1)
    after = advance(device, state, 0.1, 1e-6)
    same = device.fluctuate(state, after, exposure, uniforms)
    assert device.stochastic or np.array_equal(same, after)
    rate = device.exposure_rate(np.zeros((2, 2)), KELVIN)
    assert rate.shape == (2, 2)
    assert (rate >= 0).all()


@pytest.mark.parametrize(("voltage", "duration"), [(0.3, 1e-6), (0.1, 2e-5), (-0.3, 4e-6)])
def test_mss_mean_and_variance_of_the_exact_chain(voltage: float, duration: float) -> None:
    """N independent two-state switches: mean by the closed form, variance p(1-p) by origin."""
    switches, cells, start = 200, 40_000, 0.35
    device = Mss(switches=switches)
    shape = (1, cells)
    before = np.full(shape, start)
    volts = np.full(shape, voltage)
    after = device.advance(before, volts, duration, KELVIN)
    exposure = duration * device.exposure_rate(volts, KELVIN)
    drawn = device.fluctuate(before, after, exposure, np.random.default_rng(5).random((2, *shape)))
    assert np.allclose(drawn * switches, np.rint(drawn * switches))
    on = 1.0 / (1.0 + np.exp(-(voltage - device.v_on) / V_T))
    off = 1.0 / (1.0 + np.exp((voltage + device.v_off) / V_T))
    stay = np.exp(-(on + off) * duration / device.tau)
    from_off = on / (on + off) * (1 - stay)
    from_on = from_off + stay
    mean = start * from_on + (1 - start) * from_off
    variance = (start * from_on * (1 - from_on) + (1 - start) * from_off * (1 - from_off)) / switches
    assert after[0, 0] == pytest.approx(mean, rel=1e-12)
    assert drawn.mean() == pytest.approx(mean, abs=5 * np.sqrt(variance / cells))
    assert drawn.var() == pytest.approx(variance, rel=0.05)


def test_mss_rounding_of_the_count_has_no_drift() -> None:
    """Many still phases leave a stochastic state where it is."""
    device = Mss(switches=1000)
    state = np.full((1, 50), 0.5)
    rng = np.random.default_rng(1)
    for _ in range(100):
        state = device.fluctuate(state, state, np.zeros((1, 50)), rng.random((2, 1, 50)))
    assert np.array_equal(state, np.full((1, 50), 0.5))


def test_registry() -> None:
    assert {"mss", "rs", "resistor"} <= set(models())
    assert find("mss") is Mss
    for name in presets():
        assert isinstance(find_preset(name), DeviceModel)
    with pytest.raises(UnknownNameError, match="there is no device model called 'mms'; did you mean 'mss'"):
        find("mms")
    with pytest.raises(
        UnknownNameError,
        match="there is no device preset called 'zz'; known are byte-ktram, data-driven-tiox, fefet-hzo",
    ):
        find_preset("zz")
