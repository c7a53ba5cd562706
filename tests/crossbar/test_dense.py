"""The dense solver against the line solver and against resistors in series."""

from __future__ import annotations

import numpy as np
import pytest

from cosim.crossbar.dense import LARGEST, DenseSystem
from cosim.crossbar.lines import LineSystem, solve_lines


def system(rows: int, columns: int, rng: np.random.Generator) -> LineSystem:
    draw = rng.uniform
    return LineSystem(
        rows, columns, draw(1, 5, (rows, columns - 1)), draw(1, 5, (rows - 1, columns)),
        r_left=draw(1, 9, rows), r_right=np.full(rows, np.inf), r_top=np.full(columns, np.inf),
        r_bottom=draw(1, 9, columns),
    )  # fmt: skip


@pytest.mark.parametrize("shape", [(1, 1), (1, 8), (8, 1), (3, 5), (8, 8)])
def test_same_as_the_line_solver(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(3)
    lines = system(*shape, rng)
    assert DenseSystem.fits(lines)
    cells = 10 ** rng.uniform(-7, -3, shape)
    left, bottom = rng.uniform(-1, 1, (4, shape[0])), rng.uniform(-0.1, 0.1, (4, shape[1]))
    dense = DenseSystem(lines).solve(cells, left, bottom)
    other = solve_lines(lines, cells, left, np.zeros((4, shape[0])), np.zeros((4, shape[1])), bottom)
    scale = np.abs(other.cell_current).max()
    assert np.allclose(dense.current, other.cell_current, rtol=0, atol=1e-9 * scale)
    assert np.allclose(dense.word, other.i_left, rtol=0, atol=1e-9 * np.abs(dense.word).max())
    assert np.allclose(dense.bit, other.i_bottom, rtol=0, atol=1e-9 * np.abs(dense.word).max())
    assert dense.residual < 1e-9


def test_one_cell_is_three_resistors_in_series() -> None:
    lines = LineSystem(
        1, 1, np.zeros((1, 0)), np.zeros((0, 1)), r_left=np.array([30.0]), r_right=np.array([np.inf]),
        r_top=np.array([np.inf]), r_bottom=np.array([20.0]),
    )  # fmt: skip
    found = DenseSystem(lines).solve(np.array([[1e-2]]), np.array([[3.0]]), np.array([[0.0]]))
    assert found.current[0, 0, 0] == pytest.approx(3.0 / 150.0, rel=1e-13)
    assert found.word[0, 0] == -found.bit[0, 0]
    assert found.voltage[0, 0, 0] == pytest.approx(2.0, rel=1e-13)


def test_what_does_not_fit() -> None:
    rng = np.random.default_rng(0)
    assert not DenseSystem.fits(system(8, LARGEST // 8 + 1, rng))
    shorted = LineSystem(
        2, 2, np.zeros((2, 1)), np.ones((1, 2)), r_left=np.ones(2), r_right=np.full(2, np.inf),
        r_top=np.full(2, np.inf), r_bottom=np.ones(2),
    )  # fmt: skip
    assert not DenseSystem.fits(shorted)
    both = LineSystem(
        2, 2, np.ones((2, 1)), np.ones((1, 2)), r_left=np.ones(2), r_right=np.ones(2), r_top=np.full(2, np.inf),
        r_bottom=np.ones(2),
    )  # fmt: skip
    assert not DenseSystem.fits(both)
