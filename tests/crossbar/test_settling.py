"""The slowest time constant against the eigenvalues of the whole network."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import eigh

from cosim.crossbar import Cell, CrossbarArray, Network, Segments, single
from cosim.crossbar.settling import settling
from cosim.devices import Resistor
from cosim.errors import CrossbarError


def eigenvalues(g: np.ndarray, r: float, c: float, r_source: float, r_sink: float) -> np.ndarray:
    """Time constants [s] of one array driven at the left and sunk at the bottom, largest last."""
    m, n = g.shape
    size = m * n
    word, bit = np.arange(size).reshape(m, n), size + np.arange(size).reshape(m, n)
    matrix = np.zeros((2 * size, 2 * size))

    def join(a: int, b: int, conductance: float) -> None:
        matrix[a, a] += conductance
        matrix[b, b] += conductance
        matrix[a, b] -= conductance
        matrix[b, a] -= conductance

    for i, j in np.ndindex(m, n):
        join(word[i, j], bit[i, j], g[i, j])
        if j:
            join(word[i, j - 1], word[i, j], 1 / r)
        if i:
            join(bit[i - 1, j], bit[i, j], 1 / r)
    for i in range(m):
        matrix[word[i, 0], word[i, 0]] += 1 / (r_source + r)
    for j in range(n):
        matrix[bit[-1, j], bit[-1, j]] += 1 / (r_sink + r)
    return eigh(c * np.eye(2 * size), matrix, eigvals_only=True)


@pytest.mark.parametrize(
    ("shape", "r_source", "r_sink"), [((16, 16), 1e4, 100.0), ((5, 9), 50.0, 2e3), ((1, 1), 1e3, 1e3)]
)
def test_estimate_and_bounds(shape: tuple[int, int], r_source: float, r_sink: float) -> None:
    g = 10.0 ** -np.random.default_rng(3).uniform(4.5, 6, shape)
    network = single(
        "t", shape, Resistor(), Cell("1R"), Segments(1.0, 1.0, 1e-15, 1e-15), r_source=r_source, r_sink=r_sink
    )
    exact = eigenvalues(g, 1.0, 1e-15, r_source, r_sink)[-1]
    one = settling(network, [g])
    assert one.lower <= exact * (1 + 1e-9)
    assert exact <= one.upper * (1 + 1e-9)
    assert one.upper <= 1.3 * exact
    assert 0.7 * exact <= one.time_constant <= exact * (1 + 1e-9)
    more = settling(network, [g], solves=40)
    assert more.time_constant == pytest.approx(exact, rel=1e-2)
    assert one.time_constant <= more.time_constant * (1 + 1e-12)
    assert more.upper <= one.upper * (1 + 1e-9)
    assert one.settling_time(7) == pytest.approx(8 * np.log(2) * one.upper)


def test_one_node_is_exact() -> None:
    """R C of one word node whose cell is open."""
    network = single(
        "t", (1, 1), Resistor(), Cell("1R"), Segments(0.0, 0.0, 1e-12, 0.0), r_source=1e3, r_sink=0.0
    )
    found = settling(network, [np.zeros((1, 1))])
    assert (found.time_constant, found.lower, found.upper) == pytest.approx((1e-9, 1e-9, 1e-9), rel=1e-9)
    again = settling(network, [np.zeros((1, 1))], capacitance=(2e-12, 0.0))
    assert again.time_constant == pytest.approx(2e-9, rel=1e-9)


def test_a_floating_node_between_two_arrays() -> None:
    """Two cells in series through a net that floats: all its capacitance sees both cells in parallel."""

    def part(name: str, rail: str) -> CrossbarArray:
        return CrossbarArray(
            name, 1, 1, Resistor(), Cell("1R"), Segments(0.0, 0.0, 0.0, 1e-12), left=(rail,), bottom=("y",)
        )

    network = Network((part("a", "up"), part("b", "down")))
    found = settling(network, [np.array([[1e-5]]), np.array([[3e-5]])], driven=("up", "down"))
    assert found.time_constant == pytest.approx(2e-12 / 4e-5, rel=1e-9)


def test_refusals() -> None:
    network = single("t", (1, 1), Resistor(), Cell("1R"), Segments())
    with pytest.raises(CrossbarError, match="the network has no capacitance"):
        settling(network, [np.ones((1, 1))])
    with pytest.raises(CrossbarError, match="solves must be at least 1, not 0"):
        settling(network, [np.ones((1, 1))], solves=0)
