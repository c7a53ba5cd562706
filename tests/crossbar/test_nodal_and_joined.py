"""Several arrays joined by nets: the direct reference and the fast path agree, and both with one array."""

from __future__ import annotations

import numpy as np
import pytest

from cosim.crossbar.joined import JoinedArray, JoinedNetwork, solve_joined
from cosim.crossbar.lines import LineSystem, solve_lines
from cosim.crossbar.nodal import dissection, solve_joined_nodal
from cosim.errors import CrossbarError


def lane(count: int, r: float = 2.0) -> tuple[list[JoinedArray], np.ndarray]:
    """Small arrays with two driven rows each, joined at two floating nets."""
    rng = np.random.default_rng(count)
    system = LineSystem(4, 4, r, r, 10.0, np.inf, np.inf, 10.0)
    arrays = [
        JoinedArray(
            system,
            10.0 ** -rng.uniform(4, 6, (4, 4)),
            np.array([1, 2, -1, -1]),
            -1,
            -1,
            np.array([0, 3 * (k % 2) or -1, -1, -1]),
        )
        for k in range(count)
    ]
    return arrays, np.array([np.nan, 0.5, -0.5, np.nan])


@pytest.mark.parametrize("count", [1, 2, 64])
@pytest.mark.parametrize("r", [0.0, 2.0])
def test_lane(count: int, r: float) -> None:
    arrays, volts = lane(count, r)
    fast, slow = JoinedNetwork(arrays, 4).solve(volts), solve_joined_nodal(arrays, volts)
    scale = float(np.abs(slow.net_current).max())
    np.testing.assert_allclose(fast.net_voltage, slow.net_voltage, atol=1e-12)
    assert np.abs(fast.net_current[[0, 3]]).max() <= 1e-10 * scale
    for one, other in zip(fast.arrays, slow.arrays, strict=True):
        for name in ("i_left", "i_bottom", "cell_current"):
            np.testing.assert_allclose(getattr(one, name), getattr(other, name), atol=1e-10 * scale, rtol=0)


def test_ideal_synapses_divide_exactly() -> None:
    """Pairs without wires on one floating node: sum(Ga - Gb) / sum(Ga + Gb)."""
    rng = np.random.default_rng(0)
    system = LineSystem(2, 1, 0.0, 0.0, 0.0, np.inf, np.inf, 0.0)
    cells = rng.uniform(1e-6, 1e-4, (8, 2, 1))
    arrays = [JoinedArray(system, g, np.array([1, 2]), -1, -1, 0) for g in cells]
    found = solve_joined(arrays, [np.nan, 1.0, -1.0])
    expected = (cells[:, 0] - cells[:, 1]).sum() / cells.sum()
    np.testing.assert_allclose(found.net_voltage[0], expected, rtol=1e-13)


def test_split_array_is_the_whole() -> None:
    rng = np.random.default_rng(1)
    g, v = 10.0 ** -rng.uniform(3, 6, (12, 10)), rng.uniform(0, 1, 12)
    whole = solve_lines(LineSystem(12, 10, 1.5, 2.5, 3.0, np.inf, np.inf, 4.0), g, v)
    left = LineSystem(12, 4, 1.5, 2.5, 3.0, 1.5, np.inf, 4.0)
    right = LineSystem(12, 6, 1.5, 2.5, 0.0, np.inf, np.inf, 4.0)
    driven, middle = np.arange(12), 12 + np.arange(12)
    parts = [
        JoinedArray(left, g[:, :4].copy(), driven, middle, -1, 24),
        JoinedArray(right, g[:, 4:].copy(), middle, -1, -1, 24),
    ]
    volts = np.concatenate([v, np.full(12, np.nan), [0.0]])
    for solution in (solve_joined(parts, volts), solve_joined_nodal(parts, volts)):
        found = np.concatenate([part.i_bottom for part in solution.arrays])
        np.testing.assert_allclose(found, whole.i_bottom, rtol=1e-10)


def test_unconnected_floating_net_rests_at_zero() -> None:
    arrays, volts = lane(2)
    solution = JoinedNetwork(arrays, 5).solve(np.append(volts, np.nan))
    assert solution.net_voltage[4] == 0.0


def test_prepared_network_takes_new_cells() -> None:
    arrays, volts = lane(6)
    network = JoinedNetwork(arrays, 4)
    cells = [2.0 * array.conductance for array in arrays]
    fresh = solve_joined(
        [JoinedArray(a.system, g, *a.nets()) for a, g in zip(arrays, cells, strict=True)], volts
    )
    np.testing.assert_allclose(network.solve(volts, cells).net_voltage, fresh.net_voltage, rtol=1e-12)


def test_dissection_is_a_permutation() -> None:
    for rows, columns in ((1, 1), (1, 30), (17, 23), (40, 3)):
        assert sorted(dissection(rows, columns)) == list(range(2 * rows * columns))


class TestRefusals:
    def test_nothing_driven(self) -> None:
        arrays, _ = lane(1)
        with pytest.raises(CrossbarError, match="no net is driven"):
            solve_joined(arrays, np.full(4, np.nan))

    def test_net_index(self) -> None:
        arrays, volts = lane(1)
        with pytest.raises(
            CrossbarError, match=r"bottom\[0\] of array 0 must be a net from 0 to 2 or -1, not 7"
        ):
            solve_joined([JoinedArray(arrays[0].system, arrays[0].conductance, 1, -1, -1, 7)], volts[:3])

    def test_shorted_nets(self) -> None:
        system = LineSystem(1, 1, 0.0, 0.0, 0.0, 0.0, np.inf, 0.0)
        with pytest.raises(CrossbarError, match="joined by 0 ohm to another driven net"):
            solve_joined([JoinedArray(system, np.array([[1e-3]]), 0, 1, -1, 2)], [0.0, 1.0, 0.0])
