"""Lessons on hysteresis and on binning."""

import numpy as np
import pytest

from cosim.ktram.lessons import binning, hysteresis


def test_loops_are_pinched_and_close_at_high_frequency() -> None:
    for loops in (hysteresis.mss_loops((10.0, 100.0, 1e4)), hysteresis.rs_loops((1e5, 1e6, 1e8))):
        assert all(loop.pinch() < 1e-12 for loop in loops)
        assert loops[-1].area < 0.05 * max(loop.area for loop in loops[:-1])
        assert min(loop.area for loop in loops[:-1]) > 0


def test_slow_loops_switch_at_the_threshold() -> None:
    alpha, span, threshold, frequency = 1e6, 1e-3 - 1e-7, 0.25, 1e3
    slow, faster = (loop.area for loop in hysteresis.rs_loops((frequency, 1e4)))
    # Above the threshold the sine rises by 2 pi f A a second, and G follows once alpha * overdrive * time / 2 = 1.
    overdrive = np.sqrt(2 * 2 * np.pi * frequency / alpha)
    assert slow == pytest.approx(span * (threshold + overdrive) ** 2, rel=0.15)
    assert slow < faster


def test_schottky_part_bends_the_current() -> None:
    plain, bent = (
        hysteresis.mss_loops((1e4,))[0],
        hysteresis.mss_loops((1e4,), profile=hysteresis.schottky_profile())[0],
    )
    peak = len(plain.voltage) // 4
    ratio = [loop.current[peak] / loop.current[peak // 3] for loop in (plain, bent)]
    assert ratio[0] == pytest.approx(2.0, rel=0.05)  # linear: sin 90 deg / sin 30 deg
    assert ratio[1] > 1.1 * ratio[0]


def test_edges_move_towards_equal_occupancy() -> None:
    values = binning.clumps(800)
    adaptation = binning.adapt(values, bits=3, rate=0.02, epochs=4, frames=6)
    assert adaptation.edges.shape == (6, 2, 7)
    assert adaptation.steps.tolist() == [0, 640, 1280, 1920, 2560, 3200]
    for dimension in (0, 1):
        assert adaptation.occupancy(-1, dimension).std() < adaptation.occupancy(0, dimension).std()
        assert adaptation.occupancy(-1, dimension).sum() == pytest.approx(1)
    low, high = values.min(0), values.max(0)
    np.testing.assert_allclose(adaptation.edges[0, 1], np.linspace(low[1], high[1], 9)[1:-1])
