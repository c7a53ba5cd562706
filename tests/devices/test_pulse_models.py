"""Models that step per pulse: closed forms, the pulse convention, noise."""

from __future__ import annotations

import math

import numpy as np
import pytest

from cosim.devices import (
    DeviceModel,
    ExpStep,
    LinearStep,
    PiecewiseStep,
    PowStep,
    PulseLaw,
    PulseModel,
    SoftBounds,
    find_preset,
    presets,
)
from cosim.devices.nonlinearity import largest_deviation, steepness_of
from cosim.errors import DeviceError

COUNTS = np.arange(-10, 11, dtype=float)
MODELS: dict[str, PulseModel] = {
    "pulse_law": PulseLaw(),
    "soft_bounds": SoftBounds(dw_set=0.05, dw_reset=0.02),
    "linear_step": LinearStep(dw_set=0.05, dw_reset=0.02),
    "exp_step": ExpStep(dw_set=0.05, dw_reset=0.02),
    "pow_step": PowStep(dw_set=0.05, dw_reset=0.02, gamma_set=1.7, gamma_reset=0.6),
    "piecewise_step": PiecewiseStep(
        dw_set=0.05, dw_reset=0.02, factors_set=(1.0, 0.4, 0.1), factors_reset=(0.5, 1.0)
    ),
}


def published(name: str, w: float, sign: int) -> float:
    """One pulse on the weight, as the sources write it."""
    m = MODELS[name]
    d = m.dw_set if sign > 0 else m.dw_reset  # type: ignore[attr-defined]
    if name == "soft_bounds":
        return float(d * (1 - sign * w))
    gamma = 0.0
    if isinstance(m, (LinearStep, ExpStep, PowStep)):
        gamma = m.gamma_set if sign > 0 else m.gamma_reset
    if name == "linear_step":
        return float(d * (1 - sign * gamma * w))
    if isinstance(m, ExpStep):
        a = m.a_set if sign > 0 else m.a_reset
        return float(d * max(0.0, 1 - a * math.exp(sign * gamma * (m.slope * w + m.offset))))
    if name == "pow_step":
        return float(d * ((1 - sign * w) / 2) ** gamma)
    factors = (1.0, 0.4, 0.1) if sign > 0 else (0.5, 1.0)
    return float(d * np.interp(w, np.linspace(-1, 1, len(factors)), factors))


def neurosim(device: PulseLaw, x: float, sign: int) -> float:
    """One pulse of the law as published: to a pulse number, one on, and back."""
    nonlinearity = device.nonlinearity_set if sign > 0 else device.nonlinearity_reset
    a = 1 / float(steepness_of(nonlinearity))
    b = 1 / (1 - math.exp(-1 / a))
    p = -a * math.log(1 - x / b) + sign / device.levels_set
    return min(max(b * (1 - math.exp(-p / a)), 0.0), 1.0)


@pytest.mark.parametrize(("label", "published_a"), [(1.0, 1.2517), (2.4, 0.49918), (4.88, 0.20030)])
def test_rate_constant_of_the_published_nonlinearities(label: float, published_a: float) -> None:
    device = PulseLaw(nonlinearity_set=label, nonlinearity_reset=-label, levels_set=100, levels_reset=100)
    up, down = device.rate_constants()
    assert abs(float(up) / (100 * published_a) - 1) < 1e-4
    assert float(down) == -float(up)


def test_nonlinearity_is_odd_monotone_and_ends_in_a_straight_line() -> None:
    labels = np.array([1e-4, 9.99e-4, 1.001e-3, 0.01, 1.0, 5.0, 9.0, 10.0])
    found = steepness_of(labels)
    assert np.all(np.diff(found) > 0)
    assert np.allclose(10.1015 * largest_deviation(found[3:]), labels[3:], rtol=1e-9)
    assert np.array_equal(steepness_of(-labels), -found)
    assert found[2] / found[1] == pytest.approx(1.001 / 0.999, rel=1e-5)
    assert float(steepness_of(0.0)) == 0.0


@pytest.mark.parametrize("pulses", [1, 3, 10])
def test_pulse_law_against_the_published_loop(pulses: int) -> None:
    device = PulseLaw()
    states = np.linspace(0.0, 1.0, 23)
    for sign in (1, -1):
        expected = states.copy()
        for _ in range(pulses):
            expected = np.array([neurosim(device, float(x), sign) for x in expected])
        found = device.after_pulses(states, np.full(23, float(sign * pulses))).clip(0, 1)
        assert np.allclose(found, expected, rtol=0, atol=1e-12)


def test_all_levels_lead_from_one_end_to_the_other() -> None:
    for device in presets().values():
        if isinstance(device, PulseLaw):
            assert float(device.after_pulses(np.zeros(1), np.array([device.levels_set]))[0]) == pytest.approx(
                1
            )
            low = float(device.after_pulses(np.ones(1), np.array([-device.levels_reset]))[0])
            assert low == pytest.approx(0, abs=1e-9)


def test_a_vanishing_nonlinearity_is_a_straight_line() -> None:
    for label in (0.0, 1e-6):
        device = PulseLaw(nonlinearity_set=label, nonlinearity_reset=-label, levels_set=50, levels_reset=25)
        found = device.after_pulses(np.full(2, 0.5), np.array([1.0, -1.0]))
        assert np.allclose(found, [0.52, 0.46], atol=1e-6)


@pytest.mark.parametrize("name", sorted(set(MODELS) - {"pulse_law"}))
def test_step_models_against_the_published_pulse(name: str) -> None:
    device = MODELS[name]
    for start in np.linspace(-1.0, 1.0, 9):
        for count in COUNTS:
            w = float(start)
            for _ in range(int(abs(count))):
                sign = 1 if count > 0 else -1
                w = min(max(w + sign * published(name, w, sign), -1.0), 1.0)
            found = float(device.after_pulses(np.array([(start + 1) / 2]), np.array([count]))[0])
            assert min(max(2 * found - 1, -1.0), 1.0) == pytest.approx(w, abs=1e-12)


@pytest.mark.parametrize("name", sorted(MODELS))
def test_pulse_convention(name: str) -> None:
    """A pulse is its width beyond the threshold; half a select does nothing, to the last bit."""
    device = MODELS[name]
    (v_set, t_set), (v_reset, t_reset) = device.programming_pulse(300.0)
    states = np.linspace(0.05, 0.95, 7)[np.newaxis]

    def after(volts: float, seconds: float) -> np.ndarray:
        return device.advance(states, np.array([[volts]]), seconds, 300.0)

    one = np.clip(device.after_pulses(states, np.ones((1, 7))), 0, 1)
    assert np.allclose(after(v_set, t_set), one, rtol=0, atol=1e-15)
    assert np.array_equal(after(1.3 * v_set, t_set), after(v_set, t_set))
    assert np.allclose(after(-v_reset, 3 * t_reset),
                       np.clip(device.after_pulses(states, np.full((1, 7), -3.0)), 0, 1), atol=1e-12)  # fmt: skip
    for volts in (v_set / 2, -v_reset / 2, 0.0):
        assert np.array_equal(after(volts, 1.0), states)
    assert device.most_moved(-v_reset / 2, v_set / 2, 1.0, 300.0) == 0.0
    assert device.most_moved(0.0, v_set, t_set, 300.0) == 1.0
    assert device.subcircuit(300.0) is None
    assert device.state_rate(states, states, 300.0) is None


def fluctuated(device: DeviceModel, phases: int, pulses: float, rng: np.random.Generator) -> np.ndarray:
    state = np.full((100, 100), 0.5)
    for _ in range(phases):
        mean = np.asarray(device.after_pulses(state, np.full((100, 100), pulses)))  # type: ignore[attr-defined]
        state = device.fluctuate(state, mean, np.full((100, 100), pulses), rng.random((2, 100, 100)))
    return state


def test_noise_grows_with_the_root_of_the_pulses_in_one_write_or_in_many() -> None:
    device = PulseLaw(
        nonlinearity_set=0.0, nonlinearity_reset=0.0, levels_set=1e4, levels_reset=1e4, c2c=0.01
    )
    rng = np.random.default_rng(4)
    for phases, pulses in ((1, 20.0), (20, 1.0)):
        spread = float(fluctuated(device, phases, pulses, rng).std())
        assert spread == pytest.approx(0.01 * math.sqrt(20), rel=0.02)


def test_noise_of_a_step_model_is_a_part_of_its_step() -> None:
    device = SoftBounds(dw_set=0.01, dw_reset=0.04, c2c=0.5)
    rng = np.random.default_rng(5)
    assert float(fluctuated(device, 1, 1.0, rng).std()) == pytest.approx(0.5 * 0.005, rel=0.03)
    assert float(fluctuated(device, 1, -1.0, rng).std()) == pytest.approx(0.5 * 0.02, rel=0.03)
    assert not SoftBounds().stochastic
    assert find_preset("pulse-law-ag-a-si").stochastic


@pytest.mark.parametrize("cells", [(1, 200), (200, 200)])
def test_large_arrays_are_looked_up_to_the_same_states(cells: tuple[int, int]) -> None:
    device, rng = PulseLaw(), np.random.default_rng(6)
    state, count = rng.uniform(size=(200, 200)), rng.integers(-70, 71, cells).astype(float)
    count[0, :20] = rng.uniform(-3, 3, 20)
    found = device.pulsed(state, count)
    few = np.array([device.pulsed(state[k, :60], count[k % cells[0], :60]) for k in range(200)])
    assert np.allclose(found[:, :60], few, rtol=0, atol=1e-14)
    still = device.pulsed(state, np.zeros(cells))
    assert np.array_equal(still, state)


def test_parameters_per_cell() -> None:
    labels = np.array([[0.0, 1.0, 4.88]])
    device = PulseLaw(nonlinearity_set=labels, nonlinearity_reset=-labels)  # type: ignore[arg-type]
    found = device.after_pulses(np.full((1, 3), 0.2), np.ones((1, 3)))
    for k, label in enumerate(labels[0]):
        alone = PulseLaw(nonlinearity_set=float(label), nonlinearity_reset=-float(label))
        assert found[0, k] == pytest.approx(
            float(alone.after_pulses(np.array([0.2]), np.ones(1))[0]), rel=1e-9
        )


def test_very_many_pulses_reach_the_end_of_the_curve() -> None:
    """Beyond 1000 pulses several are taken at once; the bound is reached, and the way there is that of the loop."""
    device = PowStep(dw_set=2e-4, dw_reset=2e-4, gamma_set=2.0)
    x = 0.0
    for _ in range(20_000):
        x += 1e-4 * (1 - x) ** 2
    found = device.after_pulses(np.array([0.0]), np.array([2e4]))
    assert float(found[0]) == pytest.approx(x, abs=1e-4)
    assert float(ExpStep().after_pulses(np.array([0.0]), np.array([1e9]))[0]) == 1.0


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: PulseLaw(nonlinearity_set=10.2), "pulse_law.nonlinearity_set: must be between -10.1015"),
        (lambda: PulseLaw(levels_reset=0.0), "pulse_law.levels_reset: must be at least 1"),
        (lambda: PulseLaw(g_min=1e-6, g_max=1e-7), "pulse_law.g_min: must be below g_max"),
        (lambda: PulseLaw(threshold=0.0), "pulse_law.threshold: must be above 0 %"),
        (lambda: SoftBounds(dw_set=1.0), "soft_bounds.dw_set: must be above 0 and below 1"),
        (lambda: LinearStep(gamma_set=1.5), "linear_step.gamma_set: must be between -1 and 1"),
        (lambda: PiecewiseStep(factors_set=()), "piecewise_step.factors_set: must be one or more factors"),
    ],
)  # fmt: skip
def test_parameters_that_are_refused(make: object, sentence: str) -> None:
    with pytest.raises(DeviceError) as caught:
        make()  # type: ignore[operator]
    assert sentence in str(caught.value)
