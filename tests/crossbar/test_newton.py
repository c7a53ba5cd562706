"""Nonlinear cells: against a slow full Newton, limits, and stiff selectors."""

from __future__ import annotations

import numpy as np
import pytest

from cosim.crossbar.lines import FloatArray, LineSystem, numba_available, solve_lines
from cosim.crossbar.newton import solve_nonlinear
from cosim.errors import CrossbarError

KERNELS = ["numpy", *(["numba"] if numba_available() else [])]


class Sinh:
    """Cells ``i = g sinh(a v)/a``."""

    def __init__(self, g: FloatArray, a: float) -> None:
        self.g, self.a = g, a

    def current(self, voltage: FloatArray) -> FloatArray:
        return self.g * np.sinh(self.a * voltage) / self.a

    def derivative(self, voltage: FloatArray) -> FloatArray:
        return self.g * np.cosh(self.a * voltage)


def case(m: int, n: int, volts: float, r: float = 5.0) -> tuple[LineSystem, FloatArray, FloatArray]:
    rng = np.random.default_rng(m * n)
    system = LineSystem(m, n, r, r, r, np.inf, np.inf, r)
    return system, 10.0 ** -rng.uniform(3, 5, (m, n)), rng.uniform(0, volts, m)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize(("a", "volts"), [(3.0, 0.5), (8.0, 0.5), (20.0, 1.0), (40.0, 1.0)])
def test_cells_obey_their_law_and_kirchhoff(kernel: str, a: float, volts: float) -> None:
    system, g, v = case(12, 9, volts)
    cells = Sinh(g, a)
    found = solve_nonlinear(system, cells, v, kernel=kernel)  # type: ignore[arg-type]
    np.testing.assert_allclose(found.cell_current, cells.current(found.cell_voltage), rtol=1e-9)
    top = np.abs(found.i_left).max()
    assert abs(found.i_left.sum() + found.i_bottom.sum()) <= 1e-12 * top
    assert float(found.error_bound) <= 1e-10 * top
    again = solve_lines(  # the tangents at the solution carry the same currents
        system,
        found.conductance,
        v,
        injected_word=found.conductance * found.cell_voltage - found.cell_current,
        injected_bit=found.cell_current - found.conductance * found.cell_voltage,
    )
    np.testing.assert_allclose(again.cell_voltage, found.cell_voltage, atol=1e-10)


@pytest.mark.parametrize("kernel", KERNELS)
def test_linear_cells_give_the_linear_answer(kernel: str) -> None:
    system, g, v = case(7, 11, 1.0)

    class Ohmic:
        def current(self, voltage: FloatArray) -> FloatArray:
            return g * voltage

        def derivative(self, voltage: FloatArray) -> FloatArray:
            return g

    linear = solve_lines(system, g, v)
    found = solve_nonlinear(system, Ohmic(), v, kernel=kernel)  # type: ignore[arg-type]
    np.testing.assert_allclose(found.i_bottom, linear.i_bottom, rtol=1e-10)


def test_start_saves_work_and_changes_nothing() -> None:
    system, g, v = case(16, 16, 0.5)
    cells = Sinh(g, 8.0)
    first = solve_nonlinear(system, cells, v)
    cold, warm = (
        solve_nonlinear(system, cells, 1.02 * v),
        solve_nonlinear(system, cells, 1.02 * v, start=first),
    )
    np.testing.assert_allclose(warm.i_bottom, cold.i_bottom, rtol=1e-10)
    assert int(warm.iterations) < int(cold.iterations)


def test_no_wires_and_floating_column() -> None:
    """Without wires every driven cell sees its voltage; a floating column settles where its currents cancel."""
    g = np.array([[2e-4], [1e-4]])
    system = LineSystem(2, 1, 0.0, 0.0, 0.0, np.inf, np.inf, np.inf)
    found = solve_nonlinear(system, Sinh(g, 6.0), [0.5, -0.5])
    node = float(found.bit_voltage[0, 0])
    balance = 2e-4 * np.sinh(6 * (0.5 - node)) + 1e-4 * np.sinh(6 * (-0.5 - node))
    assert abs(balance) <= 1e-12 * 2e-4 * np.sinh(3.0)


def test_batches_are_refused() -> None:
    system, g, _ = case(3, 3, 1.0)
    with pytest.raises(CrossbarError, match="one drive at a time"):
        solve_nonlinear(system, Sinh(g, 1.0), np.zeros((2, 3)))
