"""Phases answered from kept solutions: what a backend gives that keeps nothing, whatever came before."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cosim.backends import kept_reads
from cosim.backends.behavioral import BehavioralBackend
from cosim.backends.paired import PairedBackend
from cosim.crossbar.backend import PhaseRequest, PhaseResult
from cosim.crossbar.drive import Phase, level, pulse
from cosim.crossbar.network import Cell, Network, Segments, single
from cosim.devices import Mss
from cosim.devices.rs import RS_KTRAM

ROWS, COLUMNS = 36, 30
CELLS = {"1R": Cell("1R"), "1T1R": Cell("1T1R", access_resistance=5e3)}


@pytest.fixture(scope="module", autouse=True)
def _small_arrays_too() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kept_reads, "LEAST", ROWS * COLUMNS)
        yield


def network(cell: str = "1R", device: Any = RS_KTRAM, wire: float = 2.0) -> Network:
    return single("a", (ROWS, COLUMNS), device, CELLS[cell], Segments(wire, wire), r_source=50.0, r_sink=20.0)


def phase(of: Network, kind: str, rows: dict[int, float], columns: dict[int, float] | None = None) -> Phase:
    """Pulses of the given amplitudes [V] on some lines, 0 V on the others; all gates on for a read, else the rows'."""
    array = of.arrays[0]
    drives = {f"wl{i}": level(0.0) for i in range(ROWS)} | {f"bl{j}": level(0.0) for j in range(COLUMNS)}
    for name, chosen in (("wl", rows), ("bl", columns or {})):
        for line, volt in chosen.items():
            drives[f"{name}{line}"] = pulse(volt, rise_fs=10**6, width_fs=10**7, fall_fs=10**6)
    if array.gates is not None:
        on = range(ROWS) if kind == "read" else rows
        drives |= {f"gl{i}": level(1.8) for i in on}
    return Phase(kind, 12 * 10**6, drives, (11 * 10**6,))


def ask(backend: Any, of: Network, state: np.ndarray, what: Phase) -> PhaseResult:
    return backend.run(PhaseRequest(of, (state,), None, 0, 300.0, what, 1))


def same_bytes(one: PhaseResult, other: PhaseResult) -> bool:
    return all(
        a.tobytes() == b.tobytes()
        for a, b in (
            (one.states[0], other.states[0]),
            (one.samples.current, other.samples.current),
            (one.net_charge, other.net_charge),
            (one.energy.cells[0], other.energy.cells[0]),
        )
    )


def agree(found: PhaseResult, wanted: PhaseResult, part: float = 1e-9) -> None:
    """Compare everything of two results; energies and currents relative to the largest."""
    for one, other in (
        (found.samples.current, wanted.samples.current),
        (found.net_charge, wanted.net_charge),
        (found.energy.delivered, wanted.energy.delivered),
        (found.energy.absorbed, wanted.energy.absorbed),
        (found.energy.cells[0], wanted.energy.cells[0]),
    ):
        np.testing.assert_allclose(one, other, rtol=0, atol=part * np.abs(other).max() + 1e-30)
    for name in ("access", "wires", "terminations"):
        assert getattr(found.energy, name) == pytest.approx(getattr(wanted.energy, name), rel=part)
    np.testing.assert_allclose(found.states[0], wanted.states[0], rtol=0, atol=1e-12)
    assert abs(found.energy.numerical) <= 1e-9 * wanted.energy.delivered.sum()
    assert found.kcl_residual <= 1e-9


ACTS = st.lists(
    st.sampled_from(["read", "verify", "cell", "two", "far", "open", "wires", "sides", "both"]), max_size=12
)


@pytest.mark.parametrize("cell", ["1R", "1T1R"])
@settings(max_examples=12, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**31), acts=ACTS)
def test_any_sequence(cell: str, seed: int, acts: list[str]) -> None:
    """Writes, reads, other wires, other drives: the same as solved alone on the whole network."""
    rng = np.random.default_rng(seed)
    kept, alone = BehavioralBackend(), BehavioralBackend(reuse=False)
    networks = [network(cell), network(cell, wire=5.0)]
    state, turn, row = rng.random((ROWS, COLUMNS)), 0, 3
    patterns = [{i: float(v) for i, v in enumerate(rng.uniform(0, 0.2, ROWS))}, {row: 0.2}]
    sides: dict[int, float] = {}
    for act in [*acts, "verify", "read"]:
        state = state.copy()
        if act == "cell":
            state[row, 4] = rng.random()
        elif act == "two":
            state[row, 4], state[7, 9] = rng.random(2)
        elif act == "far":
            state = rng.random(state.shape)
        elif act == "open":
            state[row] = 0.0
        elif act == "wires":
            turn = 1 - turn
        elif act == "sides":
            sides = {} if sides else {2: 0.02}
        what = phase(
            networks[turn],
            "read" if act == "read" else "verify",
            patterns[0 if act == "read" else 1],
            sides,
        )
        agree(ask(kept, networks[turn], state, what), ask(alone, networks[turn], state, what))


def test_applied_tells() -> None:
    backend, of, state = BehavioralBackend(), network(), np.full((ROWS, COLUMNS), 0.5)
    seen = []
    for step in range(5):
        state = state.copy()
        state[3, 3] *= 0.9 if step > 1 else 1.0
        seen.append(ask(backend, of, state, phase(of, "verify", {3: 0.2})).applied)
    assert seen == [
        ("still",), ("still", "kept"), ("still",), ("still", "kept, 1 cell corrected"),
        ("still", "kept, 1 cell corrected"),
    ]  # fmt: skip
    backend.forget()
    assert ask(backend, of, state, phase(of, "verify", {3: 0.2})).applied == ("still",)


def test_cells_that_may_move_are_solved_and_moved() -> None:
    """Above the threshold nothing is taken from what is kept; a soft threshold moves in a kept read too."""
    backend, of, state = BehavioralBackend(), network(), np.full((ROWS, COLUMNS), 0.5)
    for _ in range(3):
        found = ask(backend, of, state, phase(of, "verify", {3: 0.6}))
        assert not any(part.startswith("kept") for part in found.applied)
        assert found.states[0][3, 3] > 0.5
    soft = network(device=Mss(r_on=1e5, r_off=1e6, v_on=0.6, v_off=0.6))
    plain = BehavioralBackend(compiled=False)
    reads = [ask(plain, soft, state, phase(soft, "verify", {3: 0.2})) for _ in range(2)]
    assert reads[1].applied == ("still", "kept")
    assert np.all(reads[1].states[0] != state)
    agree(reads[1], ask(BehavioralBackend(reuse=False), soft, state, phase(soft, "verify", {3: 0.2})))


def run_twice(backend: Any, of: Network, noise: Network | None) -> list[PhaseResult]:
    """Six verify reads of a cell that is written between them; reads of another network between those."""
    state, results = np.full((ROWS, COLUMNS), 0.5), []
    for step in range(6):
        state = state.copy()
        state[3, 3] = 0.5 + 0.05 * step
        if noise is not None:
            ask(backend, noise, state, phase(noise, "read", {step: 0.1}))
        results.append(ask(backend, of, state, phase(of, "verify", {3: 0.2})))
    return results


def test_the_history_of_another_network_changes_no_byte() -> None:
    one = run_twice(BehavioralBackend(), network(), None)
    backend = BehavioralBackend()
    run_twice(backend, network(), None)
    other = run_twice(backend, network(), network())
    assert all(same_bytes(a, b) for a, b in zip(one, other, strict=True))


def test_journaled_answers_do_not_depend_on_history() -> None:
    """A paired phase goes to the journal; a resumed run asks only for those that are missing."""
    of, state = network(), np.full((ROWS, COLUMNS), 0.5)
    changed = state.copy()
    changed[3, 3] = 0.7
    what = phase(of, "verify", {3: 0.2})

    def backend() -> PairedBackend:
        return PairedBackend("behavioral", "behavioral", second_options={"reuse": False})

    used = backend()
    for cells in (state, changed, state, changed):
        ask(used, of, cells, what)
    assert same_bytes(ask(used, of, changed, what), ask(backend(), of, changed, what))


def test_small_arrays_keep_nothing() -> None:
    small = single("a", (8, 8), RS_KTRAM, CELLS["1R"], Segments(2.0, 2.0))
    assert small.arrays[0].rows * small.arrays[0].columns < kept_reads.LEAST
    drives = {f"wl{i}": level(0.1) for i in range(8)} | {f"bl{j}": level(0.0) for j in range(8)}
    backend, state = BehavioralBackend(), np.full((8, 8), 0.5)
    answers = [ask(backend, small, state, Phase("read", 10**6, drives)).applied for _ in range(2)]
    assert answers == [("still",), ("still",)]
