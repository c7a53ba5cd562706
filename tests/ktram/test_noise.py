"""The read-noise law: 20,000 reads at twelve operating points, comparator on and off."""

from __future__ import annotations

import math

import numpy as np
import pytest

from cosim.ktram import Core

READS = 20_000
# model, y, level of G_max, low voltage [V], read pulse width over default, temperature [K], comparator code or None
POINTS = [
    ("byte", 0.0, 0.5, 0.05, 1.0, 298.0, 10),
    ("byte", 0.0, 0.5, 0.05, 1.0, 298.0, None),
    ("byte", 0.5, 0.5, 0.20, 1.0, 298.0, 10),
    ("byte", -0.5, 0.1, 0.10, 1.0, 298.0, None),
    ("float", 0.0, 0.5, 0.02, 0.01, 298.0, 45),
    ("float", 0.8, 0.5, 0.05, 1.0, 398.0, None),
    ("float", 0.0, 0.05, 0.10, 10.0, 298.0, 10),
    ("float", -0.3, 0.2, 0.01, 1.0, 250.0, 0),
    ("rs", 0.0, 0.5, 0.05, 0.1, 298.0, 145),
    ("rs", 0.6, 0.3, 0.10, 1.0, 350.0, None),
    ("rs", 0.9, 0.5, 0.05, 0.01, 298.0, 10),
    ("rs", -0.9, 0.5, 0.10, 1.0, 298.0, None),
]


def law(core: Core, y: float, m: float, v: float) -> float:
    """Return sigma as the published law has it, written out."""
    ratio = core.read_noise_ref_pw / core.read_pulse_width
    root, decades = math.sqrt(core.read_noise_ref_m / m), 6 * math.log(10)
    thermal = 0.02 * 0.1 * math.sqrt(core.temperature / 298) * (0.05 / v) * root * math.sqrt(ratio)
    flicker = 0.02 * (1 - y**2) * root * math.sqrt(max(0, decades + math.log(ratio)) / decades)
    comparator = (100e-6 + core.comparator_code * 20e-6) / v if core.comparator_enabled else 0
    return math.sqrt(thermal**2 + flicker**2 + comparator**2)


def measured(point: tuple) -> tuple[float, float]:
    model, y0, level, volts, width, temperature, code = point
    core = Core(1, 1, model=model, seed=17, forward_low_voltage=volts, temperature=temperature)
    core.set_read_pulse_width(core.pulse_width * width)
    core.set_comparator(enabled=code is not None, code=code)
    core.set_start_y(0, (0,), y0, level)
    ga, gb = core.read_gab(0, (0,))
    ys = core.lane(0).run(np.zeros((READS, 1), dtype=int), "FFLV")
    assert core.read_gab(0, (0,)) == (ga, gb)  # below every threshold: the reads change nothing
    return float(ys.std()), law(core, (ga - gb) / (ga + gb), ga + gb, volts)


@pytest.mark.parametrize("point", POINTS)
def test_spread_follows_the_law(point: tuple) -> None:
    seen, expected = measured(point)
    assert seen == pytest.approx(expected, rel=0.03)


@pytest.mark.acceptance
def test_print_spreads() -> None:
    worst = max(abs(seen / expected - 1) for seen, expected in map(measured, POINTS))
    print(  # noqa: T201
        f"\nread noise: {READS} reads at {len(POINTS)} points, largest deviation from the law {100 * worst:.2f} % (bar 3 %)"
    )
    assert worst <= 0.03


def test_published_spreads() -> None:
    """At y = 0 and m = m_ref: 0.02000 at 1 V, 0.02004 at 0.25 V, 0.02098 at 50 mV."""
    core = Core(1, 1)
    for volts, sigma in ((1.0, 0.02000), (0.25, 0.02004), (0.05, 0.02098)):
        assert core.read_sigma(0.0, core.read_noise_ref_m, volts) == pytest.approx(sigma, abs=1e-5)


def test_full_dial_is_a_fair_coin() -> None:
    core = Core(1, 1, model="byte", init="medium_noiseless", seed=3)
    ys = core.lane(0).run(np.zeros((20_000, 1), dtype=int), "FFLV", noise=1.0)
    assert np.mean(np.abs(ys) == 1.0) == pytest.approx(0.88, abs=0.02)
    assert np.mean(ys > 0) == pytest.approx(0.5, abs=0.02)


def test_the_dial_weakens_the_drive_without_noise_too() -> None:
    core = Core(1, 1, model="float", init="medium_noiseless", read_noise=0)
    before = core.read_gab(0, (0,))
    core.evaluate((0,), "FF", noise=0.9)
    assert core.read_gab(0, (0,)) == before


def test_no_read_noise_silences_the_comparator_and_draws_nothing() -> None:
    core = Core(1, 1, init="medium_noiseless", seed=1, read_noise=0, comparator_code=255)
    assert core.evaluate((0,), "FFLV") == 0.0
    assert core.rng.random() == np.random.default_rng(1).random()


def test_the_noisy_read_drives() -> None:
    """The same draw that is reported sets the node voltage of the pulse."""
    core = Core(1, 1, model="float", init="medium_noiseless", seed=5, read_noise=0.5)
    ga, gb = core.read_gab(0, (0,))
    y = core.evaluate((0,), "FF")
    assert abs(y) > 0.01
    assert core.read_gab(0, (0,)) == (ga + 1e-4 * (1 - y), gb + 1e-4 * (1 + y))
