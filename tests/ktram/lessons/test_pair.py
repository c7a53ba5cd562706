"""Lessons on the single pair, its two readouts, and its noisy read."""

import numpy as np
import pytest

from cosim.ktram.lessons import noise, pair, topology
from cosim.ktram.lessons.pair import PAIR, pair_core


def test_pulses_reach_the_known_plateaus() -> None:
    byte = pair.pulse_up_down("byte", steps=400)
    assert byte.y[399] == pytest.approx(0.5037037, abs=1e-6)
    assert byte.y[-1] == pytest.approx(-0.5037037, abs=1e-6)
    up_and_down = pair.pulse_up_down("float", steps=2500)
    assert up_and_down.weight[2499] > 0.95
    assert up_and_down.weight[-1] < -0.95


def test_reads_alone_add_magnitude_or_drive_to_an_end() -> None:
    forward, reverse = (pair.reads_only(read, steps=3000) for read in ("FF", "RF"))
    assert abs(forward.weight[-1]) < abs(forward.weight[0])
    assert forward.magnitude[-1] > 1.9 * forward.magnitude[0]
    assert abs(reverse.weight[-1]) > 0.95
    low = pair.reads_only("FFLV", steps=100)
    assert np.ptp(low.ga) == np.ptp(low.gb) == 0


def test_random_bits_of_the_first_seeds() -> None:
    bits = pair.random_bits(12)
    # The last reading of each seed is the same draw by draw as in the reference.
    assert 2 <= bits.sum() <= 10
    assert np.abs(pair.random_bit(6, 200).y[-50:]).max() < 0.2


def test_inertia_is_one_over_the_magnitude() -> None:
    small, large = pair.inertia(steps=5)
    step = [(trace.weight[0] - 0.3) for trace in (small, large)]
    assert step[0] / step[1] == pytest.approx(10, rel=0.03)
    eta, y0, m = 1e-4, 0.3, 0.1
    assert step[1] == pytest.approx(2 * eta * (1 - y0) / m, rel=0.01)


def test_each_feedback_goes_its_way() -> None:
    traces = pair.feedback_pairs(rise=300, steps=600)
    start = traces["RH"].weight[0]
    assert traces["RH"].weight[-1] > start > 0.2
    assert traces["RU"].weight[-1] > start
    assert traces["RL"].weight[-1] < -0.2
    assert abs(traces["RA"].weight[-1]) < start
    assert abs(traces["RZ"].weight[-1]) < start


def test_the_same_program_moves_all_models_the_same_way() -> None:
    traces = pair.same_program([("FF", "RH", 150), ("FF", "RL", 300)], start_y=0.1)
    assert set(traces) == set(pair.MODELS)
    for trace in traces.values():
        assert trace.weight[149] > 0.12
        assert trace.weight[-1] < trace.weight[149]


def test_divider_averages_and_currents_add_up() -> None:
    readouts = topology.two_readouts(spaces=6)
    np.testing.assert_allclose(readouts.divider, 0.4, rtol=1e-12)
    np.testing.assert_allclose(readouts.current, readouts.active * readouts.current[0], rtol=1e-12)
    assert readouts.current[0] == pytest.approx(0.05 * 0.4 * 1e-3)  # V w m


def test_votes_tend_to_twice_the_probability_less_one() -> None:
    assert noise.votes(0.75)[-1] == pytest.approx(0.5, abs=0.12)
    assert noise.votes(0.3)[-1] == pytest.approx(-0.4, abs=0.12)


def test_pooling_falls_with_the_root_of_the_pairs() -> None:
    points = noise.pooling((1, 4, 16), reads=1500)
    # A standard deviation of 1500 draws has an error of 1.8 %.
    np.testing.assert_allclose(points.measured, points.law, rtol=0.06)
    np.testing.assert_allclose(points.law[0] / points.law, [1, 2, 4])


@pytest.mark.parametrize(("weight", "level"), [(0.0, 0.5), (0.6, 0.2), (-0.9, 1.0)])
def test_the_map_is_the_law_of_the_core(weight: float, level: float) -> None:
    core = pair_core("float", read_noise=noise.READ_NOISE, comparator_enabled=False)
    m = 2 * level * core.read_noise_ref_m
    expected = core.read_sigma(weight, m, 0.01)
    assert noise.device_sigma(weight, 2 * level, 0.01) == pytest.approx(expected, rel=1e-12)
    voltage, magnitude, sigma = noise.noise_map((weight,), points=5)
    assert sigma.shape == (1, 5, 5)
    assert sigma[0, 1, 3] == noise.device_sigma(weight, magnitude[1], voltage[3])


def test_the_coin_follows_the_normal_distribution() -> None:
    points, sigma = noise.coin(points=9, reads=800)
    core = pair_core("float", read_noise=noise.READ_NOISE)
    assert sigma == pytest.approx(core.read_sigma(0.0, core.read_noise_ref_m, 0.05), rel=0.04)
    # Five standard errors of a part of 800, and what sigma (known to 1 %) adds.
    np.testing.assert_allclose(points.measured, points.law, atol=0.09)
    assert points.measured[0] < 0.01 < 0.99 < points.measured[-1]
    assert core.lane(0).evaluate(PAIR, "FFLV") != core.lane(0).evaluate(PAIR, "FFLV")
