"""The table of a separable law and the adaptive integrator, on equations with known solutions."""

from __future__ import annotations

import numpy as np
import pytest

from cosim.devices.integrate import Range, integrate
from cosim.devices.travel import travel, travelled
from cosim.errors import DeviceError

UNIT = Range(0.0, 1.0, 1e-8)


def test_a_table_follows_a_logistic_law() -> None:
    """dx/dt = x (1 - x): x(t) = 1 / (1 + (1/x0 - 1) exp(-t))."""
    table = travel(lambda x: x * (1 - x), 0.0, 1.0)
    start = np.array([1e-9, 1e-3, 0.2, 0.5, 0.9, 1 - 1e-6])
    for time in (1e-12, 1e-3, 0.7, 5.0, 20.0, -3.0):
        exact = 1 / (1 + (1 / start - 1) * np.exp(-time))
        assert np.allclose(table.moved(start, np.full(6, time)), exact, rtol=0, atol=1e-8)


def test_a_small_move_keeps_its_digits() -> None:
    table = travel(lambda x: 1.0 - x**4, 0.0, 1.0)
    start = np.linspace(0.01, 0.99, 50)
    moved = table.moved(start, np.full(50, 1e-7)) - start
    assert np.allclose(moved, 1e-7 * (1.0 - start**4), rtol=1e-5)


def test_no_travel_no_change() -> None:
    table = travel(lambda x: np.exp(-3 * x) * (1 - x), 0.0, 1.0)
    start = np.linspace(0.0, 1.0, 1001)
    assert np.array_equal(travelled(table, table, start, np.zeros(1001)), start)


def test_the_end_of_the_range_is_reached_exactly_where_the_speed_is_not_zero() -> None:
    table = travel(lambda x: 1.0 + 0 * x, 0.0, 1.0)
    assert table.moved(np.array([0.5]), np.array([0.75]))[0] == 1.0
    assert table.moved(np.array([0.5]), np.array([-2.0]))[0] == 0.0


def test_both_directions_in_one_call() -> None:
    up, down = travel(lambda x: 1.0 - x, 0.0, 1.0), travel(lambda x: x, 0.0, 1.0)
    amount = np.array([[0.3, -0.3, 0.0]])
    found = travelled(up, down, np.array([[0.5, 0.5, 0.5]]), amount)
    assert np.allclose(found, [[1 - 0.5 * np.exp(-0.3), 0.5 * np.exp(-0.3), 0.5]], rtol=0, atol=1e-10)


def test_a_corner_of_the_speed_is_a_node() -> None:
    """A speed with a kink: 1 below 0.3, then 1/(1 + 50 (x - 0.3))."""
    table = travel(lambda x: 1 / (1 + 50 * np.maximum(x - 0.3, 0)), 0.0, 1.0, (0.3,))
    end = table.moved(np.array([0.1]), np.array([0.2 + 0.1 + 25 * 0.1**2]))
    assert end[0] == pytest.approx(0.4, abs=1e-10)


def rates(x: np.ndarray, k: np.ndarray | float, goal: np.ndarray | float) -> np.ndarray:
    return k * (goal - x)


@pytest.mark.parametrize("stiffness", [1e-6, 1.0, 1e3, 1e8])
def test_relaxation_at_any_stiffness(stiffness: float) -> None:
    """dx/dt = k (g - x) per cell; a stiff cell costs a few steps more than a lazy one."""
    start, goal = np.array([[0.1, 0.5], [0.9, 0.0]]), np.array([[0.8, 0.2], [0.95, 0.4]])
    calls = []

    def counted(x: np.ndarray, k: float, goal: np.ndarray) -> np.ndarray:
        calls.append(x.size)
        return rates(x, k, goal)

    found = integrate(counted, start, (stiffness, goal), 2.0, Range(0.0, 1.0, 1e-6))
    exact = goal + (start - goal) * np.exp(-stiffness * 2.0)
    assert np.allclose(found, exact, rtol=0, atol=1e-6)
    assert len(calls) < 450


def test_the_tolerance_bounds_the_error() -> None:
    """A looser tolerance costs accuracy; the error follows it."""
    start = np.linspace(0.05, 0.6, 12)
    exact = 1 / (1 + (1 / start - 1) * np.exp(-3.0))
    errors = []
    for tolerance in (1e-4, 1e-6, 1e-8):
        found = integrate(lambda x: x * (1 - x), start, (), 3.0, Range(0.0, 1.0, tolerance))
        errors.append(float(np.abs(found - exact).max()))
        assert errors[-1] < tolerance


def test_a_runaway_is_timed() -> None:
    """dx/dt = k x from 1e-6: the moment of arrival is decided early, where x is small."""
    start = np.array([1e-6])
    found = integrate(lambda x: 10 * x, start, (), 1.3, Range(0.0, 1.0, 1e-7))
    assert found[0] == pytest.approx(1e-6 * np.exp(13.0), rel=1e-4)


def test_hard_stops_and_dead_zones() -> None:
    rate = np.array([2.0, -2.0, 0.0])
    found = integrate(lambda x, r: r + 0 * x, np.array([0.3, 0.3, 0.3]), (rate,), 1.0, UNIT)
    assert found.tolist() == [1.0, 0.0, 0.3]


def test_cells_take_their_own_durations() -> None:
    duration = np.array([[0.0], [0.5], [2.0]])
    found = integrate(rates, np.full((1, 2), 0.5), (np.array([1.0, 3.0]), 1.0), duration, UNIT)
    assert found.shape == (3, 2)
    assert np.allclose(found, 1 - 0.5 * np.exp(-duration * [1.0, 3.0]), rtol=0, atol=1e-7)


def test_a_rate_that_is_not_finite_is_refused() -> None:
    with np.errstate(divide="ignore"), pytest.raises(DeviceError, match="is not finite"):
        integrate(lambda x: np.log(x), np.array([0.0]), (), 1.0, UNIT)
