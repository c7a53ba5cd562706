"""The line solver against closed forms, invariants, and the direct reference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cosim.crossbar.lines import (
    NO_DENSE,
    NO_START,
    FloatArray,
    LineSolution,
    LineSystem,
    find_kernel,
    numba_available,
    run_kernel,
    solve_lines,
)
from cosim.crossbar.nodal import solve_lines_nodal
from cosim.errors import CrossbarError

KERNELS = ["numpy", *(["numba"] if numba_available() else [])]
ENDS = ("i_left", "i_right", "i_top", "i_bottom")
FAST = settings(max_examples=40, deadline=None, derandomize=True)


@pytest.fixture(params=KERNELS)
def kernel(request: pytest.FixtureRequest) -> Any:
    return request.param


def plain(m: int, n: int, rw: float, rb: float) -> LineSystem:
    """One segment in front of every driver and of every virtual ground; far ends open."""
    return LineSystem(m, n, rw, rb, rw, np.inf, np.inf, rb)


def largest(solution: LineSolution) -> float:
    return max(float(np.abs(getattr(solution, end)).max()) for end in ENDS)


@dataclass(frozen=True)
class Case:
    """One drawn array with its drive."""

    system: LineSystem
    g: FloatArray
    volts: tuple[FloatArray, FloatArray, FloatArray, FloatArray]


@st.composite
def cases(draw: st.DrawFn, floating: bool = True) -> Case:
    """Arrays of 1x1 to 40x40, cells 1e2 to 1e9 ohm or open, wires 0, open or 1e-3 to 1e3 ohm."""
    m, n = draw(st.integers(1, 40)), draw(st.integers(1, 40))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    low, high = sorted(draw(st.tuples(st.floats(2, 9), st.floats(2, 9))))
    g = 10.0 ** -rng.uniform(low, high, (m, n))
    g[rng.random((m, n)) < draw(st.sampled_from([0.0, 0.1, 0.5]))] = 0.0

    def segments(shape: tuple[int, int]) -> float | FloatArray:
        kind = draw(st.sampled_from(["zero", "scalar", "array", "broken"]))
        if kind == "zero":
            return 0.0
        if kind == "scalar":
            return float(10.0 ** rng.uniform(-3, 3))
        r = 10.0 ** rng.uniform(-3, 3, shape)
        if kind == "broken":
            r[rng.random(shape) < 0.1] = 0.0
            r[rng.random(shape) < 0.03] = np.inf
        return r

    def end(lines: int) -> FloatArray:
        r = 10.0 ** rng.uniform(-3, 3, lines)
        kind = draw(st.sampled_from(["tied", "some", "open"])) if floating else "tied"
        if kind == "open":
            return np.full(lines, np.inf)
        if kind == "some":
            r[rng.random(lines) < 0.3] = np.inf
            r[rng.random(lines) < 0.2] = 0.0
        return r

    left, right, top, bottom = end(m), end(m), end(n), end(n)
    if not any(np.isfinite(r).any() for r in (left, right, top, bottom)):
        left[0] = 1.0
    system = LineSystem(m, n, segments((m, n - 1)), segments((m - 1, n)), left, right, top, bottom)
    volts = tuple(rng.uniform(-1, 1, size) for size in (m, m, n, n))
    for lines, first in ((system.prepared.shorted_word, 0), (system.prepared.shorted_bit, 2)):
        volts[first + 1][lines] = volts[first][lines]
    return Case(system, g, volts)  # type: ignore[arg-type]


class TestAgainstReference:
    @pytest.mark.parametrize("name", KERNELS)
    @FAST
    @given(case=cases())
    def test_currents_and_bound(self, name: Any, case: Case) -> None:
        """Every current agrees with the direct solver within the bound, and within 1e-10 of the largest.

        Where nothing flows (everything at one voltage) the rounding of ``G (W - B)`` is all there is.
        """
        solution = solve_lines(case.system, case.g, *case.volts, kernel=name)
        reference = solve_lines_nodal(case.system, case.g, *case.volts)
        tiny = 1e-15 * float(solution.stats[2]) + 1e-300
        for field in (*ENDS, "cell_current"):
            error = np.abs(getattr(solution, field) - getattr(reference, field)).max()
            assert error <= 1e-10 * largest(reference) + 2 * float(reference.stats[1]) + tiny
            assert error <= float(solution.error_bound) + float(reference.error_bound) + tiny
        assert np.isfinite(solution.word_voltage).all()
        assert np.isfinite(solution.bit_voltage).all()

    @pytest.mark.parametrize("name", KERNELS)
    @FAST
    @given(case=cases())
    def test_kirchhoff_and_tellegen(self, name: Any, case: Case) -> None:
        solution = solve_lines(case.system, case.g, *case.volts, kernel=name)
        ends = [getattr(solution, end) for end in ENDS]
        tiny = 1e-15 * float(solution.stats[2]) + 1e-300
        assert abs(sum(end.sum() for end in ends)) <= 1e-10 * largest(solution) + tiny
        delivered = float(solution.delivered())
        lost = float(solution.cell_power().sum() + solution.word_wire_power() + solution.bit_wire_power())
        lost += float(solution.termination_power())
        assert abs(delivered - lost) <= 1e-9 * sum(float(np.abs(end).sum()) for end in ends) + tiny

    @FAST
    @given(case=cases())
    def test_kernels_agree(self, case: Case) -> None:
        first, *others = (solve_lines(case.system, case.g, *case.volts, kernel=name) for name in KERNELS)  # type: ignore[arg-type]
        for other in others:
            for field in (*ENDS, "cell_current"):
                difference = np.abs(getattr(first, field) - getattr(other, field)).max()
                assert difference <= float(first.error_bound + other.error_bound) + 1e-300

    @FAST
    @given(case=cases(), seed=st.integers(0, 1000))
    def test_start_changes_nothing(self, case: Case, seed: int) -> None:
        rng = np.random.default_rng(seed)
        before = solve_lines(case.system, case.g, *case.volts)
        g = case.g * rng.uniform(0.5, 1.5, case.g.shape)
        volts = [v * 1.1 for v in case.volts]
        cold = solve_lines(case.system, g, *volts)
        warm = solve_lines(case.system, g, *volts, start=before)
        for field in (*ENDS, "cell_current"):
            difference = np.abs(getattr(cold, field) - getattr(warm, field)).max()
            assert difference <= 1e-10 * largest(cold) + float(cold.error_bound + warm.error_bound) + 1e-300

    def test_batch_equals_single(self, kernel: Any) -> None:
        rng = np.random.default_rng(1)
        g, volts = rng.uniform(1e-6, 1e-3, (5, 7)), rng.uniform(0, 1, (2, 3, 5))
        system = plain(5, 7, 2.0, 3.0)
        batch = solve_lines(system, g, volts, kernel=kernel)
        assert batch.word_voltage.shape == (2, 3, 5, 7)
        assert batch.i_bottom.shape == (2, 3, 7)
        assert batch.error_bound.shape == (2, 3)
        one = solve_lines(system, g, volts[1, 2], kernel=kernel)
        np.testing.assert_allclose(batch.i_bottom[1, 2], one.i_bottom, rtol=1e-12)
        np.testing.assert_allclose(batch.delivered()[1, 2], one.delivered(), rtol=1e-12)

    def test_warm_start_saves_iterations(self, kernel: Any) -> None:
        rng = np.random.default_rng(2)
        g, v = 10.0 ** -rng.uniform(3, 5, (64, 64)), rng.uniform(0, 0.5, 64)
        system = plain(64, 64, 5.0, 5.0)
        before = solve_lines(system, g, v, kernel=kernel)
        again = solve_lines(system, g, v, kernel=kernel, start=before)
        assert int(again.iterations) <= 1
        g[3, 4] *= 1.01
        assert int(solve_lines(system, g, v, kernel=kernel, start=before).iterations) < int(before.iterations)

    @pytest.mark.skipif("numba" not in KERNELS, reason="numba is not installed")
    def test_one_compilation_serves_all(self) -> None:
        from cosim.crossbar import pcg_numba

        g, v = np.full((1, 1), 1e-3), np.ones(1)
        g.flags.writeable = v.flags.writeable = False
        system = plain(1, 1, 1.0, 1.0)
        before = solve_lines(system, np.full((1, 1), 1e-3), np.ones(1), kernel="numba")
        compiled = len(pcg_numba._solve.signatures)  # type: ignore[attr-defined]
        solve_lines(system, g, v, kernel="numba")
        solve_lines(system, g, 1.0, np.zeros((3, 1)), kernel="numba")
        solve_lines(
            system, np.asfortranarray(g), v, 0, start=before, tolerance=np.float64(1e-9), kernel="numba"
        )
        batch = np.ones((4, 1))[::2]  # not in C order, as a choice of columns may leave it
        assert not batch.flags.carray
        run_kernel(
            system, np.full((1, 1), 1e-3), (2,), (batch,) * 4, (NO_DENSE, NO_DENSE), (NO_START, NO_DENSE), find_kernel("numba"),
            (0, True, 1e-10, 1e-9, 10),
        )  # fmt: skip
        # other compiled code may have called the kernel with types of its own before, so count from here
        assert len(pcg_numba._solve.signatures) == compiled  # type: ignore[attr-defined]


class TestClosedForms:
    def test_single_cell(self, kernel: Any) -> None:
        solution = solve_lines(plain(1, 1, 3.0, 4.0), np.array([[1e-3]]), [0.7], kernel=kernel)
        np.testing.assert_allclose(-solution.i_bottom, 0.7 / 1007.0, rtol=1e-15)

    def test_no_wires_is_a_product(self, kernel: Any) -> None:
        rng = np.random.default_rng(0)
        g, v = rng.uniform(0, 1e-3, (9, 6)), rng.uniform(-1, 1, 9)
        solution = solve_lines(plain(9, 6, 0.0, 0.0), g, v, kernel=kernel)
        np.testing.assert_allclose(-solution.i_bottom, v @ g, rtol=1e-13, atol=1e-17)

    @pytest.mark.parametrize("n", [1, 2, 7, 40])
    def test_uniform_row(self, kernel: Any, n: int) -> None:
        rw, rb, cell = 5.0, 3.0, 2e3
        theta = np.arccosh(1 + rw / (2 * (cell + rb)))
        j = np.arange(1, n + 1)
        expected = 0.5 / (cell + rb) * np.cosh((n - j + 0.5) * theta) / np.cosh((n + 0.5) * theta)
        solution = solve_lines(plain(1, n, rw, rb), np.full((1, n), 1 / cell), [0.5], kernel=kernel)
        np.testing.assert_allclose(-solution.i_bottom, expected, rtol=1e-12)

    @pytest.mark.parametrize("m", [1, 2, 7, 40])
    def test_uniform_column(self, kernel: Any, m: int) -> None:
        rw, rb, cell = 5.0, 3.0, 2e3
        theta = np.arccosh(1 + rb / (2 * (cell + rw)))
        i = np.arange(m)
        expected = 0.5 * np.cosh((i + 0.5) * theta) / np.cosh((m + 0.5) * theta) / (cell + rw)
        solution = solve_lines(plain(m, 1, rw, rb), np.full((m, 1), 1 / cell), 0.5 * np.eye(m), kernel=kernel)
        np.testing.assert_allclose(-solution.i_bottom[:, 0], expected, rtol=1e-12)

    @pytest.mark.parametrize(("m", "n"), [(1, 1), (5, 8), (37, 40)])
    def test_uniform_array_spectral_sum(self, kernel: Any, m: int, n: int) -> None:
        rw, rb, cell = 1.5, 4.0, 3e3
        v = np.random.default_rng(3).uniform(-1, 1, m)
        solution = solve_lines(plain(m, n, rw, rb), np.full((m, n), 1 / cell), v, kernel=kernel)
        expected = spectral_sum(m, n, rw, rb, cell, v)
        np.testing.assert_allclose(-solution.i_bottom, expected, atol=1e-12 * np.abs(expected).max(), rtol=0)

    def test_both_ends_divide_the_current(self, kernel: Any) -> None:
        """One cell on a line driven from both ends: the divider of the two ways."""
        system = LineSystem(1, 3, np.array([[2.0, 3.0]]), 0.0, [1.0], [4.0], np.inf, 0.0)
        g = np.array([[0.0, 1e-3, 0.0]])
        solution = solve_lines(system, g, [1.0], [1.0], kernel=kernel)
        total = 1.0 / (1e3 + 1 / (1 / 3.0 + 1 / 7.0))
        np.testing.assert_allclose(solution.i_left, total * 0.7, rtol=1e-13)
        np.testing.assert_allclose(solution.i_right, total * 0.3, rtol=1e-13)

    def test_floating_node_divides(self, kernel: Any) -> None:
        """A floating bit line between two rows at +V and -V: the pair of a kT-RAM synapse."""
        system = LineSystem(2, 1, 0.0, 0.0, 0.0, np.inf, np.inf, np.inf)
        ga, gb = 3e-4, 1e-4
        solution = solve_lines(system, np.array([[ga], [gb]]), [0.5, -0.5], kernel=kernel)
        np.testing.assert_allclose(solution.bit_voltage, 0.5 * (ga - gb) / (ga + gb), rtol=1e-14)


def spectral_sum(m: int, n: int, rw: float, rb: float, cell: float, v: FloatArray) -> FloatArray:
    """Exact currents of a uniform array from the eigenvectors of its lines."""
    gw, gb, g = 1 / rw, 1 / rb, 1 / cell

    def modes(size: int) -> tuple[FloatArray, FloatArray]:
        k = np.arange(1, size + 1)
        phi = np.sin(np.outer(k, 2 * k - 1) * np.pi / (2 * size + 1))
        return phi / np.linalg.norm(phi, axis=0), 2 - 2 * np.cos((2 * k - 1) * np.pi / (2 * size + 1))

    phi, lam = modes(n)
    psi, mu = modes(m)
    psi = psi[::-1]
    f = (psi.T @ (gw * v))[:, None] * phi[0]
    b = f * g / ((gw * lam + g) * (gb * mu[:, None] + g) - g**2)
    currents: FloatArray = gb * (psi[-1] @ b @ phi.T)
    return currents


class TestInvariants:
    def test_reciprocity(self, kernel: Any) -> None:
        rng = np.random.default_rng(4)
        m, n, rw, rb = 13, 9, 2.0, 7.0
        g = 10.0 ** -rng.uniform(3, 6, (m, n))
        matrix = -solve_lines(plain(m, n, rw, rb), g, np.eye(m), kernel=kernel).i_bottom
        turned = g[::-1, ::-1].T.copy()
        mirror = -solve_lines(plain(n, m, rb, rw), turned, np.eye(n), kernel=kernel).i_bottom
        np.testing.assert_allclose(mirror[::-1, ::-1].T, matrix, rtol=1e-11)

    def test_scaling(self, kernel: Any) -> None:
        rng = np.random.default_rng(5)
        g, v = 10.0 ** -rng.uniform(3, 6, (20, 11)), rng.uniform(0, 1, 20)
        one = solve_lines(plain(20, 11, 1.0, 2.0), g, v, kernel=kernel)
        ten = solve_lines(plain(20, 11, 10.0, 20.0), g / 10, v, kernel=kernel)
        np.testing.assert_allclose(10 * ten.i_bottom, one.i_bottom, rtol=1e-12)

    def test_open_column_carries_nothing_and_changes_nothing(self, kernel: Any) -> None:
        rng = np.random.default_rng(6)
        g, v = 10.0 ** -rng.uniform(3, 5, (8, 6)), rng.uniform(0, 1, 8)
        g[:, -1] = 0.0
        wide = solve_lines(plain(8, 6, 1.0, 1.0), g, v, kernel=kernel)
        narrow = solve_lines(plain(8, 5, 1.0, 1.0), g[:, :5].copy(), v, kernel=kernel)
        assert wide.i_bottom[-1] == 0.0
        np.testing.assert_allclose(wide.i_bottom[:5], narrow.i_bottom, rtol=1e-12)

    @FAST
    @given(case=cases(floating=False), seed=st.integers(0, 100))
    def test_rayleigh(self, case: Case, seed: int) -> None:
        """Raising a resistance never raises the power drawn by a drive of one sign of source."""
        rng = np.random.default_rng(seed)
        drive = (case.volts[0], 0.0, 0.0, 0.0)
        if case.system.prepared.shorted:
            return
        before = solve_lines(case.system, case.g, *drive)
        g = case.g.copy()
        g[rng.random(g.shape) < 0.2] *= 0.5
        after = solve_lines(case.system, g, *drive)
        scale = float(np.abs(before.i_left).sum()) + 1e-300
        assert float(after.delivered()) <= float(before.delivered()) + 1e-10 * scale

    def test_isolated_parts_rest_at_zero(self, kernel: Any) -> None:
        """An island of a floating row and a floating column, without any way to a net."""
        g = np.array([[1e-3, 0.0], [0.0, 1e-3]])
        system = LineSystem(2, 2, 1.0, 1.0, [1.0, np.inf], np.inf, np.inf, [1.0, np.inf])
        solution = solve_lines(system, g, [1.0, 0.0], kernel=kernel)
        assert solution.word_voltage[1, 1] == 0.0
        assert solution.bit_voltage[1, 1] == 0.0
        np.testing.assert_allclose(solution.i_left, [1.0 / 1003.0, 0.0], rtol=1e-13)


class TestRefusals:
    @pytest.mark.parametrize(
        ("value", "text"),
        [
            (-1e-3, r"conductance\[1, 2\] must be 0 \(open\) or positive, not -0.001 S"),
            (np.nan, r"conductance\[1, 2\] must be 0 \(open\) or positive, not nan S"),
            (np.inf, r"conductance\[1, 2\] must be finite .* not inf S"),
        ],
    )
    def test_conductance(self, kernel: Any, value: float, text: str) -> None:
        g = np.full((2, 3), 1e-3)
        g[1, 2] = value
        with pytest.raises(CrossbarError, match=text):
            solve_lines(plain(2, 3, 1.0, 1.0), g, [1.0, 1.0], kernel=kernel)

    def test_resistance(self) -> None:
        with pytest.raises(CrossbarError, match=r"r_word\[0, 1\] must be 0 or positive .* not -2"):
            LineSystem(2, 3, np.array([[1.0, -2.0], [1.0, 1.0]]), 1.0)
        with pytest.raises(CrossbarError, match=r"r_left\[1\] must be 0 or positive .* not nan"):
            LineSystem(2, 3, 1.0, 1.0, [1.0, np.nan])

    def test_shapes(self) -> None:
        with pytest.raises(
            CrossbarError, match=r"r_bit must be one number or have shape \(1, 3\), not \(2, 3\)"
        ):
            LineSystem(2, 3, 1.0, np.ones((2, 3)))
        with pytest.raises(CrossbarError, match=r"conductance must have shape \(2, 3\), not \(3, 2\)"):
            solve_lines(plain(2, 3, 1.0, 1.0), np.ones((3, 2)), [1.0, 1.0])
        with pytest.raises(
            CrossbarError, match=r"v_left must be one number or have shape \(..., 2\), not \(3,\)"
        ):
            solve_lines(plain(2, 3, 1.0, 1.0), np.ones((2, 3)), [1.0, 1.0, 1.0])

    def test_no_reference(self) -> None:
        with pytest.raises(CrossbarError, match="no line end is tied to a net"):
            LineSystem(2, 3, 1.0, 1.0, np.inf, np.inf, np.inf, np.inf)

    def test_shorted_sources(self) -> None:
        system = LineSystem(2, 2, 0.0, 1.0, 0.0, 0.0, np.inf, 0.0)
        with pytest.raises(
            CrossbarError, match="word line 1 has no resistance and lies between two different"
        ):
            solve_lines(system, np.full((2, 2), 1e-3), [1.0, 1.0], [1.0, 0.5])

    def test_voltage(self, kernel: Any) -> None:
        with pytest.raises(CrossbarError, match=r"v_left\[1\] must be a finite voltage, not nan V"):
            solve_lines(plain(2, 2, 1.0, 1.0), np.full((2, 2), 1e-3), [1.0, np.nan], kernel=kernel)
