"""Retention and endurance as laws: values, limits, scaling of devices, refusals."""

from __future__ import annotations

import numpy as np
import pytest

from cosim.devices import Rs, find_preset, models
from cosim.devices.retention import Endurance, Retention, drawn_deviations, scales, with_scaled_ends
from cosim.errors import DeviceError
from cosim.rng import stream

SCALED = {"mss", "rs", "ion_drift", "vteam", "team", "pulse_law", "soft_bounds", "linear_step", "exp_step"}
"""Models that drift by their parameters; `yakopcic` and others drift by their state."""


def test_drift_law() -> None:
    law = Retention(reference=20.0)
    time = np.array([-5.0, 0.0, 20.0, 2e3, 3e8])
    factor = law.factor(np.full(5, 0.05), time, 300.0)
    np.testing.assert_allclose(factor, [1, 1, 2**-0.05, 101**-0.05, (3e8 / 20 + 1) ** -0.05])
    assert np.all(np.diff(law.factor(np.full(50, 0.05), np.linspace(0, 1e6, 50), 300.0)) < 0)


def test_heat_runs_time_faster() -> None:
    law = Retention(activation_energy=1.1)
    nu, later = np.array(0.05), np.array(1e3)
    faster = np.exp(1.1 / 8.617333262e-5 * (1 / 300 - 1 / 358))
    np.testing.assert_allclose(law.factor(nu, later, 358.0), (faster * 1e3 / 20 + 1) ** -0.05)
    np.testing.assert_allclose(law.factor(nu, later, 300.0), (1e3 / 20 + 1) ** -0.05)


def test_exponents_follow_the_programmed_conductance() -> None:
    law = Retention(exponent=0.0244, slope=-0.0155, lowest=0.049, highest=0.1)
    mean = law.exponents(np.zeros(3), np.array([1.0, 0.05, 1e-6]))
    np.testing.assert_allclose(mean, [0.049, 0.0244 - 0.0155 * np.log(0.05), 0.1])
    spread = Retention(exponent=0.05, deviation=0.01).exponents(np.array([-9.0, 0.0, 2.0]), np.ones(3))
    np.testing.assert_allclose(spread, [0.0, 0.05, 0.07])


def test_draws_stay_when_the_array_grows() -> None:
    small, large = (drawn_deviations((n, n), stream(0, "retention")) for n in (8, 16))
    np.testing.assert_array_equal(large[:8, :8], small)


def test_range_closes_and_stays_closed() -> None:
    law = Endurance(onset=1e4, exponent_on=0.3, exponent_off=0.2)
    low, high = law.factors(np.array([0.0, 1e4, 1e6, 1e30]), np.full(4, 10.0))
    np.testing.assert_allclose(low[:3], [1, 1, 100**0.2])
    np.testing.assert_allclose(high[:3], [1, 1, 100**-0.3])
    assert high[3] * 10 / low[3] == pytest.approx(1.0, rel=1e-8)
    assert high[3] * 10 > low[3]


@pytest.mark.parametrize("name", sorted(SCALED))
def test_scaled_device_has_scaled_conductances(name: str) -> None:
    device = models()[name]()
    assert scales(device)
    factor = np.array([[0.7, 0.01], [1.0, 0.3]])
    scaled = with_scaled_ends(device, factor, factor)
    assert scaled is not None
    state = np.array([[0.2, 0.9], [0.5, 0.3]])
    np.testing.assert_allclose(scaled.conductance(state), factor * device.conductance(state))
    voltage = np.full((2, 2), 0.15)
    np.testing.assert_allclose(scaled.current(state, voltage), factor * device.current(state, voltage))


def test_models_that_do_not_scale() -> None:
    assert not scales(find_preset("yakopcic-sample"))
    assert not scales(find_preset("mss-knowm"))  # its Schottky current is a parameter of its own
    assert with_scaled_ends(find_preset("stanford-pku"), 0.5, 0.5) is None


def test_worn_range() -> None:
    device = with_scaled_ends(Rs(g_min=1e-6, g_max=1e-5), np.full((1, 1), 2.0), np.full((1, 1), 0.5))
    assert device is not None
    low, high = device.conductance_range()
    assert (float(np.ravel(low)[0]), float(np.ravel(high)[0])) == pytest.approx((2e-6, 5e-6))


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Retention(exponent=-0.1), "exponent: must be between 0 and 2"),
        (lambda: Retention(reference=0.0), "reference: must be between 1 fs"),
        (lambda: Retention(lowest=0.2, highest=0.1), "lowest: must be at most 'highest'"),
        (lambda: Retention(activation_energy=-1.0), "activation_energy: must be between"),
        (lambda: Endurance(onset=0.0), "onset: must be above zero"),
        (lambda: Endurance(exponent_on=-1.0), "exponent_on: must be between"),
        (lambda: Endurance(cycles=-1.0), "cycles: must be zero or above"),
    ],
)
def test_refusals(make, sentence: str) -> None:
    with pytest.raises(DeviceError, match=sentence):
        make()
