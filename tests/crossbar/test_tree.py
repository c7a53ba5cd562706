"""The tile-merge tree against the direct solver: ends, nodes, changed cells, every kind of wire and line end."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cosim.crossbar import tree_blocks, tree_update
from cosim.crossbar.lines import FloatArray, LineSystem, end_currents, numba_available, solve_lines
from cosim.crossbar.nodal import solve_lines_nodal
from cosim.crossbar.tree import LineTree
from cosim.crossbar.tree_update import PendingCells
from cosim.errors import CrossbarError

ENDS = ("i_left", "i_right", "i_top", "i_bottom")
CASES = settings(max_examples=60, deadline=None, derandomize=True)


@st.composite
def systems(draw: st.DrawFn) -> tuple[LineSystem, FloatArray, np.random.Generator]:
    """Arrays of 1x1 to 40x40, cells 1e2 to 1e9 ohm or open, wires 0 or 1e-3 to 1e3 ohm, ends tied, 0, or open."""
    m, n = draw(st.integers(1, 40)), draw(st.integers(1, 40))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    low, high = sorted(draw(st.tuples(st.floats(2, 9), st.floats(2, 9))))
    g = 10.0 ** -rng.uniform(low, high, (m, n))
    g[rng.random((m, n)) < draw(st.sampled_from([0.0, 0.1, 0.5]))] = 0.0
    g[rng.random(m) < draw(st.sampled_from([0.0, 0.5]))] = 0.0

    def segments(shape: tuple[int, int]) -> Any:
        kind = draw(st.sampled_from(["zero", "scalar", "array"]))
        if kind != "array":
            return 0.0 if kind == "zero" else float(10.0 ** rng.uniform(-3, 3))
        r = 10.0 ** rng.uniform(-3, 3, shape)
        r[rng.random(shape) < 0.1] = 0.0
        return r

    def end(lines: int) -> FloatArray:
        r = 10.0 ** rng.uniform(-3, 3, lines)
        kind = draw(st.sampled_from(["tied", "zero", "some", "open"]))
        if kind == "some":
            r[rng.random(lines) < 0.3] = np.inf
        return {"zero": np.zeros(lines), "open": np.full(lines, np.inf)}.get(kind, r)

    left, right, top, bottom = end(m), end(m), end(n), end(n)
    if not any(np.isfinite(r).any() for r in (left, right, top, bottom)):
        left[0] = 1.0
    system = LineSystem(m, n, segments((m, n - 1)), segments((m - 1, n)), left, right, top, bottom)
    return system, g, rng


def volts_of(system: LineSystem, rng: np.random.Generator) -> tuple[FloatArray, ...]:
    m, n = system.rows, system.columns
    return tuple(rng.uniform(-1, 1, (1, k)) for k in (m, m, n, n))


def compare(
    tree: LineTree, pending: PendingCells | None, g: FloatArray, volts: tuple[FloatArray, ...]
) -> None:
    """Ends (and, without pending cells, all nodes that carry current) against the direct solver."""
    reference = solve_lines_nodal(tree.system, g, *(v[0] for v in volts))
    tied, every = tree.gather(volts), slice(None)
    current = tied @ tree.response.T
    if pending is not None and len(pending):
        current = current + pending.currents(tied, every, every)
    scale = max(float(np.abs(getattr(reference, end)).max()) for end in ENDS)
    # what cancels where everything lies at nearly one voltage
    lines = max(float(g.sum(axis=0).max()), float(g.sum(axis=1).max()))
    rounding = 1e-14 * lines + float(reference.error_bound)
    for name, found in zip(ENDS, tree.scatter(current), strict=True):
        assert np.abs(found[0] - getattr(reference, name)).max() <= 1e-10 * scale + rounding, name
    if pending is None or not len(pending):
        word, bit = tree.voltages(tied)
        cell = g * (word[0] - bit[0])
        level = 1e-13 * float((g * (np.abs(word[0]) + np.abs(bit[0]))).sum())
        assert np.abs(cell - reference.cell_current).max() <= 1e-10 * scale + rounding + level


@pytest.mark.parametrize("compiled", [False, *([True] if numba_available() else [])])
@CASES
@given(case=systems())
def test_every_kind_of_array(
    case: tuple[LineSystem, FloatArray, np.random.Generator], compiled: bool
) -> None:
    if LineTree.refusal(case[0]):
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tree_blocks, "numba_available", lambda: compiled)
        both_ways(*case)


def both_ways(system: LineSystem, g: FloatArray, rng: np.random.Generator) -> None:
    """Compare a tree with and without its merges."""
    tree = LineTree(system, g)
    compare(tree, None, g, volts_of(system, rng))
    bare = LineTree(system, g, keep=False)
    np.testing.assert_array_equal(bare.response, tree.response)


@pytest.mark.parametrize("compiled", [False, *([True] if numba_available() else [])])
@pytest.mark.parametrize("many", [1, 7])
@settings(max_examples=30, deadline=None, derandomize=True)
@given(case=systems(), count=st.integers(1, 20))
def test_changed_cells(case: Any, count: int, many: int, compiled: bool) -> None:
    """Random cells, waiting one or seven at a time; where the tree refuses a change it is built again."""
    system, g, rng = case
    if LineTree.refusal(system):
        return
    with pytest.MonkeyPatch.context() as patch:
        if not compiled:
            patch.setattr(tree_update, "_steps", lambda: (tree_update._pass_merge, tree_update._change_merge))
        tree = LineTree(system, g)
        pending = PendingCells(tree)
        pending.most = many
        for _ in range(count):
            row, column = int(rng.integers(system.rows)), int(rng.integers(system.columns))
            value = float(10.0 ** -rng.uniform(3, 6))
            floats = (
                not np.isfinite(np.asarray(system.r_bottom)).all()
                or not np.isfinite(np.asarray(system.r_left)).all()
            )
            again = floats and g[row, column] == 0.0
            g[row, column] = value
            if not again and len(pending) >= many and (row, column) not in pending.place:
                pending.absorb()
            if again or not pending.set(row, column, value):
                tree = LineTree(system, g)
                pending = PendingCells(tree)
                pending.most = many
        volts = volts_of(system, rng)
        compare(tree, pending, g, volts)
        pending.absorb()
        np.testing.assert_allclose(tree.conductance, g, rtol=1e-12)
        compare(tree, None, g, volts)


def test_small_conductances_behind_open_ends() -> None:
    """Cells of 10 nS in series with ohms, joined by lines that nothing ties: against the closed form."""
    g, r_top, r_right = np.array([[2.8e-8, 8.3e-7]]), np.array([23.8, 1.8]), 4.4
    system = LineSystem(1, 2, 0.0, 0.0, np.inf, r_right, r_top, np.inf)
    v_right, v_top = 0.7, np.array([-0.9, 0.5])
    branch = g[0] / (1.0 + r_top * g[0])
    middle = (v_right / r_right + branch @ v_top) / (1.0 / r_right + branch.sum())
    tree = LineTree(system, g)
    drive = (np.zeros((1, 1)), np.full((1, 1), v_right), v_top[None], np.zeros((1, 2)))
    found = tree.scatter(tree.gather(drive) @ tree.response.T)[2][0]
    np.testing.assert_allclose(found, branch * (v_top - middle), rtol=1e-14)


@pytest.mark.parametrize("shape", [(64, 64), (37, 90), (130, 8)])
def test_compiled_merges_keep_what_numpy_keeps(shape: tuple[int, int]) -> None:
    """Every merge of both ways to build, idle lanes and padded tiles included."""
    if not numba_available():
        pytest.skip("numba is not installed")
    rng = np.random.default_rng(8)
    system, g = LineSystem(*shape, 1.0, 2.0, 1.0, np.inf, 5.0, 1.0), 10.0 ** -rng.uniform(3, 5, shape)
    one = LineTree(system, g)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tree_blocks, "numba_available", lambda: False)
        other = LineTree(system, g)
    for ours, theirs in zip(one.blocks, other.blocks, strict=True):
        for level, reference in zip(ours.levels, theirs.levels, strict=True):
            for name in ("e_a", "e_b", "k", "p", "q"):
                found, wanted = getattr(level.merge, name), getattr(reference.merge, name)
                np.testing.assert_allclose(found, wanted, rtol=1e-11, atol=1e-13 * np.abs(wanted).max())
    np.testing.assert_allclose(one.response, other.response, atol=1e-14 * np.abs(one.response).max())


def test_shunts_and_solve() -> None:
    """Conductances to ground, and the certified solution from the descent."""
    rng = np.random.default_rng(4)
    g, shunt = 10.0 ** -rng.uniform(3, 5, (20, 13)), 10.0 ** -rng.uniform(4, 6, (20, 13))
    system = LineSystem(20, 13, 1.0, 2.0, 3.0, np.inf, np.inf, 4.0, shunt, 2 * shunt)
    tree, drive = LineTree(system, g), tuple(rng.uniform(0, 1, (3, k)) for k in (20, 20, 13, 13))
    wanted, found = solve_lines(system, g, *drive), tree.solve(drive, (3,))
    current = tree.scatter(tree.gather(drive) @ tree.response.T)
    scale = np.abs(wanted.i_left).max()
    np.testing.assert_allclose(found.cell_current, wanted.cell_current, atol=1e-11 * scale)
    np.testing.assert_allclose(tree.voltages(tree.gather(drive))[0], wanted.word_voltage, atol=1e-12)
    word = wanted.cell_current + shunt * wanted.word_voltage
    bit = 2 * shunt * wanted.bit_voltage - wanted.cell_current
    for one, other in zip(current, end_currents(system, word, bit, drive), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-11 * scale)
    assert int(found.iterations.max()) <= 2


def test_reciprocity_and_uniform_voltage() -> None:
    rng = np.random.default_rng(6)
    tree = LineTree(LineSystem(33, 47, 1.0, 1.0, 1.0, 2.0, 3.0, 1.0), 10.0 ** -rng.uniform(3, 6, (33, 47)))
    largest = np.abs(tree.response).max()
    assert np.abs(tree.response - tree.response.T).max() <= 1e-14 * largest
    assert np.abs(tree.response.sum(axis=1)).max() <= 1e-14 * largest


def test_refusals() -> None:
    with pytest.raises(CrossbarError, match="broken wire"):
        LineTree(LineSystem(2, 3, np.array([[1.0, np.inf], [1.0, 1.0]]), 1.0), np.ones((2, 3)))
    with pytest.raises(CrossbarError, match="0 ohm between two nets"):
        LineTree(LineSystem(2, 2, 0.0, 1.0, 0.0, 0.0), np.ones((2, 2)))
    bare = LineTree(LineSystem(2, 2, 1.0, 1.0), np.ones((2, 2)), keep=False)
    with pytest.raises(CrossbarError, match="keep=True"):
        bare.voltages(np.zeros((1, 4)))
