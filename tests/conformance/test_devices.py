"""One suite over every registered device model and preset: bounds, closed form, composition, twin.

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
from scipy.integrate import solve_ivp

from cosim.devices import (
    DeviceModel,
    IonDrift,
    Mss,
    NonlinearIonDrift,
    Rs,
    Vteam,
    Yakopcic,
    find,
    find_preset,
    models,
    presets,
)
from cosim.errors import DeviceError, UnknownNameError

KELVIN = 300.0
V_T = 8.617333262e-5 * KELVIN


def is_default(device: DeviceModel) -> bool:
    return dataclasses.asdict(device) == dataclasses.asdict(type(device)())  # type: ignore[call-overload]


CASES: dict[str, DeviceModel] = {
    **{name: model() for name, model in models().items()},
    **{name: device for name, device in presets().items() if not is_default(device)},
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


RATES: dict[type[DeviceModel], Callable[..., float]] = {
    Mss: mss_rate,
    Rs: rs_rate,
    IonDrift: ion_drift_rate,
    NonlinearIonDrift: nonlinear_ion_drift_rate,
    Vteam: vteam_rate,
    Yakopcic: yakopcic_rate,
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


def test_every_default_has_a_source_and_a_meaning(device: DeviceModel) -> None:
    for entry in dataclasses.fields(device):  # type: ignore[arg-type]
        assert entry.metadata["source"].strip(), entry.name
        assert entry.metadata["doc"].strip(), entry.name
    assert type(device).reference.strip()


def test_parameters_are_frozen(device: DeviceModel) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        device.r_on = 3.0  # type: ignore[attr-defined]


def test_conductance_and_state_are_inverse(device: DeviceModel) -> None:
    low, high = device.conductance_range()
    assert 0 < low < high
    wanted = np.linspace(low, high, 41).reshape(1, 41)
    assert np.allclose(device.conductance(device.state_for(wanted)), wanted, rtol=1e-12)


def test_state_for_clips_to_the_bounds(device: DeviceModel) -> None:
    low, high = device.conductance_range()
    lowest, highest = device.state_bounds()
    states = device.state_for(np.array([[low / 10, high * 10]]))
    assert (states >= lowest).all()
    assert (states <= highest).all()


def test_initial_state_is_the_high_resistance(device: DeviceModel) -> None:
    state = device.initial_state((3, 4), np.random.default_rng(0))
    assert device.conductance(state).shape == (3, 4)
    assert np.allclose(device.conductance(state), device.conductance_range()[0])


def test_current(device: DeviceModel) -> None:
    state, voltage = inside(device, np.array([[0.2, 0.7]])), np.array([[0.3, -0.1]])
    slope = (device.current(state, voltage + 1e-7) - device.current(state, voltage - 1e-7)) / 2e-7
    assert np.allclose(device.current_slope(state, voltage), slope, rtol=1e-6)
    if device.linear:
        assert np.allclose(device.current(state, voltage), device.conductance(state) * voltage)
    batch = np.linspace(-1, 1, 5)[:, None, None] * np.ones((5, 1, 2))
    assert device.current_slope(state, batch).shape == batch.shape


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


@given(
    name=st.sampled_from(MOVING), part=st.floats(0, 1), voltage=st.floats(-1.5, 1.5),
    first=st.floats(1e-3, 1.0), second=st.floats(1e-3, 1.0),
)  # fmt: skip
def test_composition(name: str, part: float, voltage: float, first: float, second: float) -> None:
    device = CASES[name]
    scale, state = time_scale(device), inside(device, [[part]])
    whole = advance(device, state, voltage, (first + second) * scale)
    parts = advance(device, advance(device, state, voltage, first * scale), voltage, second * scale)
    assert np.allclose(whole, parts, rtol=0, atol=max(1e-12, device.accuracy))


@pytest.mark.parametrize("reach", [0.02, 0.2, 0.8])
@pytest.mark.parametrize("duration", [1e-9, 1e-6])
def test_most_moved_is_a_bound(reach: float, duration: float, device: DeviceModel) -> None:
    """No state moves by more at any voltage in between; 0 means that none moves at all."""
    bound = device.most_moved(-reach, reach, duration, 300.0)
    if not np.isfinite(bound):
        return
    parts = inside(device, np.linspace(0.0, 1.0, 9))
    for voltage in np.linspace(-reach, reach, 17):
        moved = advance(device, parts, float(voltage), duration) - parts
        assert np.abs(moved).max() <= bound * (1.0 + 1e-9) + (1e-15 if bound else 0.0)


def test_no_time_no_change(device: DeviceModel) -> None:
    state = inside(device, np.linspace(0, 1, 5)[None, :])
    assert np.array_equal(advance(device, state, 1.0, 0.0), state)


@pytest.mark.parametrize("sign", [1, -1])
def test_positive_voltage_raises_the_conductance(sign: int, mover: DeviceModel) -> None:
    state = inside(mover, np.array([[0.3, 0.5]]))
    after = advance(mover, state, sign * strong(mover), 0.1 * time_scale(mover))
    assert (sign * (mover.conductance(after) - mover.conductance(state)) > 0).all()


@pytest.mark.parametrize("voltage", [-1.2, -0.3, 0.0, 0.05, 0.65])
@pytest.mark.parametrize("part", [0.0, 0.6])
def test_advance_solves_the_equation(voltage: float, part: float, mover: DeviceModel) -> None:
    """Against scipy: the published equation for our models, a difference quotient for others."""
    rate = RATES.get(type(mover))
    scale = time_scale(mover)

    low, high = mover.state_bounds()

    def slope(_t: float, x: np.ndarray) -> list[float]:
        if rate is not None:
            return [rate(mover, float(np.clip(x[0], low, high)), voltage)]
        step = 1e-7 * scale
        return list((advance(mover, x[None, :], voltage, step)[0] - x) / step)

    start = inside(mover, [[part]])
    solved = solve_ivp(slope, (0.0, scale), start[0], method="LSODA", rtol=1e-10, atol=1e-12)
    expected = np.clip(solved.y[0, -1], low, high)
    assert advance(mover, start, voltage, scale)[0, 0] == pytest.approx(expected, abs=1e-8 + mover.accuracy)


@pytest.mark.parametrize("voltage", [-1.2, -0.3, 0.0, 0.05, 0.65])
def test_state_rate_is_the_published_equation(voltage: float, mover: DeviceModel) -> None:
    low, high = mover.state_bounds()
    states = np.linspace(low, high, 9)[None, :]
    found = mover.state_rate(states, np.full((1, 9), voltage), KELVIN)
    assert found is not None
    if type(mover) in RATES:
        written = [RATES[type(mover)](mover, float(x), voltage) for x in states[0]]
        assert np.allclose(found[0], written, rtol=1e-12, atol=1e-12 * np.abs(written).max())


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
        if isinstance(getattr(device, entry.name), float):
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
        UnknownNameError, match="there is no device preset called 'zz'; known are ion-drift-hp, mss-firm"
    ):
        find_preset("zz")
