"""A kept network answers as a plain solve does, whatever was written, read or rewired before."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cosim.crossbar import cache
from cosim.crossbar.cache import Costs, MatrixCache
from cosim.crossbar.kept import CrossbarNetwork
from cosim.crossbar.nodal import solve_lines_nodal
from cosim.crossbar.solver import solve
from cosim.crossbar.tree import LineTree
from cosim.crossbar.tree_update import PendingCells
from cosim.errors import CrossbarError

SEQUENCES = settings(max_examples=60, deadline=None, derandomize=True)


def fresh(network: CrossbarNetwork, wires: dict[str, Any], drive: list[Any]) -> Any:
    """The same read without anything kept."""
    plain = CrossbarNetwork(network.conductance, **wires, cache=False)
    return plain.solve(drive[0], drive[3], drive[1], drive[2])


def agree(network: CrossbarNetwork, wires: dict[str, Any], drive: list[Any]) -> str:
    """Compare one read of all line ends with the plain solver; return how it was answered."""
    found = network.currents(drive[0], drive[3], drive[1], drive[2])
    wanted = fresh(network, wires, drive)
    lines = wanted.lines
    scale = np.max([np.abs(i).max() for i in (lines.i_left, lines.i_right, lines.i_top, lines.i_bottom)])
    allowed = 1e-10 * scale + 2 * float(np.max(wanted.error_bound))
    for name in ("i_left", "i_right", "i_top", "i_bottom"):
        error = np.abs(getattr(found, name) - getattr(lines, name)).max()
        assert error <= allowed, (name, error, scale, found.applied)
        assert error <= float(np.max(found.error_bound)) + 2 * float(np.max(wanted.error_bound))
    level = 1e-9 * float(np.abs(lines.delivered()).max()) + 4 * allowed * max(lines.v_left.shape)
    assert np.abs(found.power - lines.delivered()).max() <= level
    return found.applied


@st.composite
def wirings(draw: st.DrawFn, rows: int, columns: int) -> dict[str, Any]:
    """Wires and line ends: shorts, open ends, both-ended drive, values per segment and per line."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))

    def segments() -> Any:
        kind = draw(st.sampled_from(["zero", "scalar", "array", "shorts"]))
        if kind in ("zero", "scalar"):
            return 0.0 if kind == "zero" else float(10.0 ** rng.uniform(-3, 3))
        r = 10.0 ** rng.uniform(-3, 3, (rows, columns))
        if kind == "shorts":
            r[rng.random((rows, columns)) < 0.2] = 0.0
        return r

    def end(lines: int, kinds: list[str]) -> Any:
        kind = draw(st.sampled_from(kinds))
        r = 10.0 ** rng.uniform(-2, 3, lines)
        if kind == "some":
            r[rng.random(lines) < 0.4] = np.inf
        return {"zero": 0.0, "open": np.inf}.get(kind, r)

    wires = {"r_word_line": segments(), "r_bit_line": segments()}
    wires["r_source"] = end(rows, ["zero", "each", "some"])
    wires["r_sink"] = end(columns, ["zero", "each", "some"])
    wires["r_source_right"] = end(rows, ["open", "open", "each", "some"])
    wires["r_sink_top"] = end(columns, ["open", "open", "each", "some"])
    if np.isinf(wires["r_source"]).all() and np.isinf(wires["r_sink"]).all():
        wires["r_sink"] = 1.0
    return wires


@st.composite
def histories(draw: st.DrawFn) -> tuple[Any, ...]:
    """An array and what happens to it."""
    rows, columns = draw(st.integers(1, 14)), draw(st.integers(1, 14))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    g = 10.0 ** -rng.uniform(3, 6, (rows, columns))
    g[rng.random((rows, columns)) < draw(st.sampled_from([0.0, 0.3]))] = 0.0
    act = st.sampled_from(["write", "write", "write row", "read", "read", "batch", "rewire"])
    acts = [
        (a, draw(wirings(rows, columns)) if a == "rewire" else None) for a in draw(st.lists(act, max_size=12))
    ]
    return g, draw(wirings(rows, columns)), acts, rng, draw(st.sampled_from(["auto", "eager"]))


def eager(network: CrossbarNetwork) -> None:
    """Build the matrix, and make builds and updates look cheap, so that they are taken at these sizes."""
    if network._cache is not None:
        network._cache.costs = Costs(3.0, 0.2)
    network.prepare()


@SEQUENCES
@given(history=histories())
def test_any_history_reads_as_a_plain_solve(history: tuple[Any, ...]) -> None:
    g, wires, acts, rng, mood = history
    network = CrossbarNetwork(g, **wires)
    rows, columns = g.shape
    if mood == "eager":
        eager(network)
    for act, change in [*acts, ("read", None)]:
        if act == "write":
            value = float(10.0 ** -rng.uniform(3, 6) * (rng.random() > 0.2))
            network.write(int(rng.integers(rows)), int(rng.integers(columns)), value)
        elif act == "write row":
            network.write(int(rng.integers(rows)), np.arange(columns), 10.0 ** -rng.uniform(3, 6, columns))
        elif act == "rewire":
            wires = change
            network.rewire(**change)
            if mood == "eager":
                eager(network)
        else:
            count = 60 if act == "batch" else 1
            shape = [(count, k) if act == "batch" else (k,) for k in (rows, rows, columns, columns)]
            drive: list[Any] = [rng.uniform(-1, 1, size) for size in shape]
            if rng.random() < 0.5:
                drive = [drive[0], 0.0, 0.0, 0.0]
            word, bit = network.system.prepared.shorted_word, network.system.prepared.shorted_bit
            if word.size or bit.size:
                drive = [1.0, 1.0, 0.5, 0.5]
            agree(network, wires, drive)


class TestChoice:
    def network(self, n: int = 32, **given: Any) -> tuple[CrossbarNetwork, np.ndarray]:
        rng = np.random.default_rng(n)
        return CrossbarNetwork(10.0 ** -rng.uniform(3, 5, (n, n)), 1.0, 1.0, **given), rng.uniform(0, 0.5, n)

    def test_one_read_is_a_single_solve(self) -> None:
        network, v = self.network()
        assert network.currents(v).applied.startswith("line-pcg")

    def test_many_reads_become_a_matrix(self) -> None:
        network, v = self.network()
        assert network.currents(np.stack([v] * 100)).applied == "cached matrix, built"
        assert network.currents(v).applied == "cached matrix"

    def test_reads_one_by_one_become_a_matrix_at_the_break_even_point(self) -> None:
        network, v = self.network(kernel="numpy")
        build = Costs.of(32, 32, "numpy").build
        answers = [network.currents(v).applied for _ in range(int(build) + 2)]
        assert answers.index("cached matrix, built") == int(np.ceil(build)) - 1
        assert answers[-1] == "cached matrix"

    def test_a_written_cell_is_an_update_and_a_rewritten_array_a_single_solve(self) -> None:
        network, v = self.network(128)
        network.prepare()
        network.write(3, 4, 1e-4)
        assert network.currents(v).applied == "cached matrix, 1 cell updated"
        network.write([5, 6], [7, 8], [1e-4, 1e-5])
        assert network.currents(np.stack([v, v])).applied == "cached matrix, 2 cells updated"
        network.write(np.arange(128)[:, None], np.arange(128), 2.0 * network.conductance)
        assert network.currents(v).applied.startswith("line-pcg")
        assert network.currents(np.stack([v] * 200)).applied == "cached matrix, rebuilt"

    def test_new_wires_drop_everything(self) -> None:
        network, v = self.network()
        network.prepare()
        network.rewire(r_word_line=3.0)
        assert network.wires_version == 1
        wires = {"r_word_line": 3.0, "r_bit_line": 1.0}
        assert agree(network, wires, [v, 0.0, 0.0, 0.0]).startswith("line-pcg")

    def test_refused_wires_leave_the_old_ones(self) -> None:
        network, v = self.network()
        before = network.read(v)
        with pytest.raises(CrossbarError, match="r_sink must be 0 or positive"):
            network.rewire(r_sink=-1.0)
        with pytest.raises(CrossbarError, match="rewire knows r_word_line"):
            network.rewire(r_load=1.0)
        np.testing.assert_allclose(network.read(v), before, rtol=1e-12)

    def test_without_cache_and_where_there_is_no_matrix(self) -> None:
        plain, v = self.network(cache=False)
        assert "without the cache" in str(plain.prepare())
        broken = np.ones((32, 32))
        broken[3, 4] = np.inf
        network = CrossbarNetwork(plain.conductance, broken, 1.0)
        assert "broken wire" in str(network.prepare())
        assert network.currents(np.stack([v] * 100)).applied.startswith("line-pcg")

    def test_an_earlier_solution_keeps_its_cells(self) -> None:
        network, v = self.network()
        solution, view = network.solve(v), network.conductance
        before = view[1, 2]
        network.write(1, 2, 7e-4)
        assert solution.lines.conductance[1, 2] == before == view[1, 2]
        assert network.conductance[1, 2] == 7e-4

    def test_the_same_calls_give_the_same_bytes(self) -> None:
        def run() -> bytes:
            network, v = self.network()
            network.prepare()
            out = []
            for k in range(80):
                network.write(k % 32, (7 * k) % 32, 1e-4 / (1 + k))
                out.append(network.read(v))
            return np.array(out).tobytes()

        assert run() == run()


class TestWatch:
    def test_a_bad_matrix_is_not_used(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(MatrixCache, "_agrees", lambda self: False)
        network, v = TestChoice().network()
        assert network.currents(np.stack([v] * 100)).applied.startswith("line-pcg")
        assert "misses the tolerance" in str(network.prepare())

    def test_grown_rounding_builds_again(self, monkeypatch: pytest.MonkeyPatch) -> None:
        network, v = TestChoice().network(128)
        network.prepare()
        monkeypatch.setattr(cache, "_GROWTH", 1e-30)
        done = set()
        for k in range(40):
            network.write(k, (5 * k) % 128, 1e-4)
            done.add(network.currents(v).applied)
        assert "cached matrix, rebuilt" in done

    def test_a_read_of_nothing_is_left_to_the_line_solver(self) -> None:
        """All nets at one voltage: no current, only rounding."""
        network, _ = TestChoice().network()
        network.prepare()
        found = network.currents(np.full(32, 0.5), np.full(32, 0.5))
        assert found.applied.startswith("line-pcg")
        assert np.abs(found.i_bottom).max() <= float(found.error_bound)


def updates(n: int, count: int) -> None:
    """Random cells one after another; every tenth time compared with a fresh direct solve, ends and nodes."""
    rng = np.random.default_rng(n)
    g, v = 10.0 ** -rng.uniform(3, 5, (n, n)), rng.uniform(0, 0.5, n)
    network = CrossbarNetwork(g, 1.0, 1.0)
    tree = LineTree(network.system, g)
    pending, every = PendingCells(tree), slice(0, n)
    drive = (v[None], np.zeros((1, n)), np.zeros((1, n)), np.zeros((1, n)))
    worst = 0.0
    for k in range(count):
        row, column, value = int(rng.integers(n)), int(rng.integers(n)), float(10.0 ** -rng.uniform(3, 5))
        g[row, column] = value
        if len(pending) >= pending.most:
            pending.absorb()
        assert pending.set(row, column, value)
        if k % 10 == 9:
            out = slice(n, 2 * n)
            found = -(v @ tree.response[out, every].T + pending.currents(v[None], every, out)[0])
            wanted = -solve_lines_nodal(network.system, g, v).i_bottom
            worst = max(worst, float(np.max(np.abs(found / wanted - 1))))
    pending.absorb()
    inside, reference = tree.voltages(tree.gather(drive)), solve_lines_nodal(network.system, g, v)
    np.testing.assert_allclose(inside[0][0], reference.word_voltage, atol=1e-12)
    np.testing.assert_allclose(inside[1][0], reference.bit_voltage, atol=1e-12)
    print(  # noqa: T201
        f"{n}x{n}: {count} updates in a row, largest relative error of a bit-line current {worst:.1e}"
    )
    assert worst <= 1e-10


def test_many_updates_in_a_row() -> None:
    updates(48, 100)
    updates(110, 50)


@pytest.mark.acceptance
@pytest.mark.parametrize("n", [64, 128, 256])
def test_five_hundred_updates_in_a_row(n: int) -> None:
    updates(n, 500)


def test_voltage_of_the_written_cell() -> None:
    rng = np.random.default_rng(3)
    network = CrossbarNetwork(10.0 ** -rng.uniform(3, 5, (130, 110)), 1.0, 1.0, 5.0, 5.0)
    v, bias = rng.uniform(0, 1, 130), rng.uniform(0, 0.2, 110)
    network.prepare()
    for k in range(40):
        cell = (int(rng.integers(130)), int(rng.integers(110)))
        network.write(*cell, float(10.0 ** -rng.uniform(3, 5)))
        if k % 5:
            continue
        wanted = solve(network.conductance, v, 1.0, 1.0, 5.0, 5.0, bit_line_voltage=bias).device_voltage
        for row, column in (cell, (7, 9)):
            found = network.cell_voltage(row, column, v, bias)
            np.testing.assert_allclose(found, wanted[row, column], rtol=1e-9)
    with pytest.raises(CrossbarError, match=r"no cell \[130, 0\]"):
        network.cell_voltage(130, 0, v)
