"""Figures of the two models that a person can check by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from cosim.devices import RS_JSPICE, RS_KTRAM, Mss, Rs, find_preset
from cosim.devices.base import BOLTZMANN_OVER_CHARGE
from cosim.errors import DeviceError

V_T = BOLTZMANN_OVER_CHARGE * 300


def step(device: Mss | Rs, x: float, volts: float, seconds: float, kelvin: float = 300.0) -> float:
    return float(device.advance(np.array([[x]]), np.array([[volts]]), seconds, kelvin)[0, 0])


def test_mss_relaxes_at_rest_within_a_fifth_of_a_second() -> None:
    """The default set: time constant tau/(2 P_on(0)) = 0.18 s towards one half."""
    p = 1 / (1 + math.exp(0.27 / V_T))
    constant = 1e-5 / (2 * p)
    assert constant == pytest.approx(0.17, abs=0.02)
    assert step(Mss(), 1.0, 0.0, constant) == pytest.approx(0.5 + 0.5 * math.exp(-1), rel=1e-9)


def test_mss_at_its_threshold_switches_with_one_half() -> None:
    """P_on = 1/2 at V = V_on, and P_off vanishes."""
    slope = (step(Mss(), 0.0, 0.27, 1e-12) - 0.0) / 1e-12
    assert slope == pytest.approx(0.5 / 1e-5, rel=1e-6)


def test_mss_is_symmetric() -> None:
    for volts in (0.1, 0.3, 0.5):
        assert step(Mss(), 0.2, volts, 3e-6) == pytest.approx(1 - step(Mss(), 0.8, -volts, 3e-6), rel=1e-12)


def test_mss_moves_faster_when_warm_below_threshold() -> None:
    assert step(Mss(), 0.0, 0.1, 1e-5, 400.0) > 3 * step(Mss(), 0.0, 0.1, 1e-5, 250.0)


def test_mss_keeps_full_precision_of_tiny_moves() -> None:
    """A firm set at rest moves by 1e-10 a second relative; no digit is lost to 1 - exp."""
    firm = Mss(v_on=0.6, v_off=0.6)
    moved = step(firm, 0.0, 0.0, 1e-9)
    p = 1 / (1 + math.exp(0.6 / V_T))
    assert moved == pytest.approx(p * 1e-9 / 1e-5, rel=1e-9)


def test_mss_survives_extreme_voltages() -> None:
    for volts in (-1e3, 1e3):
        assert step(Mss(), 0.5, volts, 1.0) == pytest.approx(1.0 if volts > 0 else 0.0, abs=1e-12)


def test_mss_conductance_is_of_parallel_switches() -> None:
    assert Mss().conductance(np.array([0.25]))[0] == pytest.approx(0.25 / 1e3 + 0.75 / 1e4, rel=1e-15)


def test_mss_switches() -> None:
    assert not Mss().stochastic
    assert Mss(switches=10).stochastic
    with pytest.raises(DeviceError, match=r"mss.switches: must be at least 1, not 0"):
        Mss(switches=0)


def test_rs_dead_zone() -> None:
    for volts in (-0.2499, -0.1, 0.0, 0.25):
        assert step(RS_KTRAM, 0.4, volts, 1e9) == 0.4
    assert step(RS_JSPICE, 0.4, -0.2, 1.0) < 0.4


def test_rs_closed_form() -> None:
    """0.1 V above threshold at 1e6 per volt and second: time constant 10 us."""
    assert step(RS_KTRAM, 0.0, 0.35, 1e-5) == pytest.approx(1 - math.exp(-1), rel=1e-12)
    assert step(RS_KTRAM, 1.0, -0.35, 1e-5) == pytest.approx(math.exp(-1), rel=1e-12)
    assert step(RS_JSPICE, 0.0, 0.35, 1e-3) == pytest.approx(1 - math.exp(-1), rel=1e-12)


def test_rs_range() -> None:
    low, high = Rs().conductance_range()
    assert (low, high) == (1e-7, 1e-3)
    assert Rs().conductance(np.array([0.5]))[0] == pytest.approx((1e-7 + 1e-3) / 2)


def test_mss_schottky_current() -> None:
    """phi G v + (1-phi) a (exp(b v) - exp(-b v)), with the set of Knowm's MMSS."""
    device = find_preset("mss-knowm")
    assert not device.linear
    assert device.two_channel(300.0) is None
    volts = np.array([[-0.4, 0.0, 0.25]])
    expected = 0.8 * volts * (0.3 / 500 + 0.7 / 1500) + 0.2 * 8e-4 * 2 * np.sinh(4 * volts)
    assert np.allclose(device.current(np.full((1, 3), 0.3), volts), expected, rtol=1e-12, atol=0)


def test_mss_refuses_a_current_at_rest() -> None:
    with pytest.raises(
        DeviceError,
        match=r"mss.schottky_reverse: must be equal to schottky_forward \(0.0008\), so that no current flows at 0 V, not 0.0004",
    ):
        Mss(phi=0.8, schottky_reverse=4e-4)
    with pytest.raises(DeviceError, match=r"mss.phi: must be at most 100 %, not 1.5"):
        Mss(phi=1.5)


def test_mss_rounded_gaussians_lose_rare_events() -> None:
    """As in the reference: a mean below one half rounds to zero, a large one has the binomial's variance."""
    shape, rng = (1, 20_000), np.random.default_rng(2)
    for voltage, duration in ((0.05, 1e-6), (0.3, 1e-6)):
        drawn = {}
        for draws in ("binomial", "rounded_gaussian"):
            device = Mss(switches=1000, draws=draws)
            before, volts = np.full(shape, 0.5), np.full(shape, voltage)
            after = device.advance(before, volts, duration, 300.0)
            exposure = duration * device.exposure_rate(volts, 300.0)
            drawn[draws] = device.fluctuate(before, after, exposure, rng.random((2, *shape)))
        if voltage < 0.1:
            assert np.all(drawn["rounded_gaussian"] == 0.5)
            assert np.any(drawn["binomial"] != 0.5)
        else:
            gaussian, exact = drawn["rounded_gaussian"], drawn["binomial"]
            assert gaussian.mean() == pytest.approx(exact.mean(), abs=5e-4)
            assert gaussian.std() == pytest.approx(exact.std(), rel=0.05)
