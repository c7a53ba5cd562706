"""Reads of cells that move, answered in groups: the states, currents and energies of a run phase by phase."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from cosim.backends import moving_reads
from cosim.components.adc import Adc
from cosim.components.answered_reads import AnsweredReads
from cosim.components.dac import Dac
from cosim.components.sense import Sense
from cosim.components.tile import PHASE_KINDS
from cosim.crossbar import Cell, find
from cosim.devices import DeviceModel, Mss, Rs, Vteam, find_preset
from cosim.devices.variation import Deviation, Variation
from cosim.hardware import ArraySpec, Hardware, WireSpec
from cosim.records import Trace
from cosim.system import Read, System

ROWS, COLUMNS = 8, 10
FAST = Mss(tau=1e-6)
"""Moves by about a hundredth of its range in ten reads."""


def run(
    device: DeviceModel,
    change: float,
    vectors: int = 30,
    kind: str = "1R",
    coding: str = "bit-serial",
    variation: Variation | None = None,
    tiles: tuple[str, ...] = ("t",),
    low: float = 0.0,
) -> System:
    """Run products and return the system."""
    wires = WireSpec(word_line=20.0, bit_line=20.0, capacitance=1e-16)
    hardware = Hardware(
        ArraySpec(ROWS, COLUMNS, wires), device, Cell(kind), dac=Dac(bits=8, range=(low, 0.2)),  # type: ignore[arg-type]
        adc=Adc(bits=10, count=4), sense=Sense(settling=20e-9), variation=variation or Variation(),
    )  # fmt: skip
    ends = [float(np.mean(end)) for end in device.conductance_range()]
    conductance = np.random.default_rng(0).uniform(*ends, (ROWS, COLUMNS))
    system = System(Trace(), 1)
    for name in tiles:
        system.add_tile(name, hardware, dict.fromkeys(PHASE_KINDS, find("behavioral")()), conductance)
    inputs = np.random.default_rng(1).integers(-255 if low < 0 else 0, 256, (vectors, ROWS)) / 255
    system.run([Read(tiles, inputs, 0.2, None, None, coding, group_change=change)])
    return system


def deviations(grouped: System, single: System, tile: str = "t") -> tuple[float, float, float, float]:
    """Return the largest deviations of currents, states, energies of phases and of cells, each of the largest value."""
    found = []
    a, b = (s.trace.conversions.column("current_a") for s in (grouped, single))
    found.append(float(np.abs(a - b).max() / np.abs(b).max()))
    found.append(float(np.abs(grouped.tiles[tile].state - single.tiles[tile].state).max()))
    largest = single.trace.phases.column("delivered_j").max()
    fields = ("delivered_j", "cells_j", "access_j", "wires_j", "terminations_j")
    pairs = [[s.trace.phases.column(field) for s in (grouped, single)] for field in fields]
    found.append(max(float(np.abs(a - b).max()) for a, b in pairs) / largest)
    a, b = (s.trace.cell_energies[tile] for s in (grouped, single))
    found.append(float(np.abs(a - b).max() / b.max()))
    return found[0], found[1], found[2], found[3]


@pytest.mark.parametrize("kind", ["1R", "1T1R"])
@pytest.mark.parametrize("change", [1e-3, 1e-2])
def test_a_fast_cell_against_one_by_one(kind: str, change: float) -> None:
    """What is left is of second order in the change: far below the change itself."""
    device = FAST if kind == "1R" else dataclasses.replace(FAST, tau=3e-7)
    single, grouped = (run(device, limit, kind=kind) for limit in (0.0, change))
    assert single.trace.end_fs == grouped.trace.end_fs
    assert list(single.trace.busy) == list(grouped.trace.busy)
    report = grouped.trace.operations[0].details["grouped_reads"]["t"]
    assert report["groups"] > 1
    assert report["change_limit"] == change
    assert 0 < report["largest_change"] <= change
    current, state, energy, cells = deviations(grouped, single)
    moved = np.abs(single.tiles["t"].state - run(device, 0.0, vectors=1, kind=kind).tiles["t"].state).max()
    assert moved > (0.03 if kind == "1R" else 0.005)
    assert current < 0.25 * change
    assert state < 5e-3 * moved
    assert energy < 0.1 * change
    assert cells < 0.1 * change
    assert "grouped_reads" not in single.trace.operations[0].details
    phases = grouped.trace.phases
    assert {row[17] for row in phases} == {"together+moving"}
    assert np.abs(phases.column("numerical_j")).max() < 1e-11 * phases.column("delivered_j").max()


def test_a_smaller_limit_is_nearer() -> None:
    single = run(FAST, 0.0)
    errors = [deviations(run(FAST, change), single) for change in (0.05, 0.01, 0.001)]
    assert errors[2][0] < errors[1][0] < errors[0][0]
    assert errors[2][3] < errors[0][3]


@pytest.mark.parametrize("coding", ["amplitude", "bit-serial"])
def test_signed_inputs(coding: str) -> None:
    single, grouped = (run(FAST, limit, coding=coding, low=-0.2) for limit in (0.0, 0.005))
    current, state, energy, cells = deviations(grouped, single)
    assert current < 5e-3
    assert max(energy, cells) < 1e-3
    assert state < 2e-4


@pytest.mark.parametrize("device", [find_preset("mss-firm"), Rs()], ids=["mss-firm", "rs"])
def test_cells_that_hardly_move_are_one_group_after_the_first_pair(device: DeviceModel) -> None:
    single, grouped = (run(device, limit) for limit in (0.0, 1e-3))
    assert grouped.trace.operations[0].details["grouped_reads"]["t"]["groups"] == 2
    current, state, energy, cells = deviations(grouped, single)
    assert max(current, energy, cells) < 1e-7
    assert state < 1e-8


def test_without_numba(monkeypatch: pytest.MonkeyPatch) -> None:
    with_numba = run(FAST, 0.01)
    monkeypatch.setattr(moving_reads, "numba_available", lambda: False)
    without = run(FAST, 0.01)
    assert np.allclose(with_numba.tiles["t"].state, without.tiles["t"].state, rtol=0, atol=1e-6)


def test_the_thread_changes_no_byte(monkeypatch: pytest.MonkeyPatch) -> None:
    """Computed ahead by a second thread, or when it is asked for: the same."""
    ahead = run(FAST, 0.01, tiles=("a", "b"))
    monkeypatch.setattr(moving_reads._Task, "foresaw", lambda *_: False)
    now = run(FAST, 0.01, tiles=("a", "b"))
    for name in ("a", "b"):
        assert np.allclose(ahead.tiles[name].state, now.tiles[name].state, rtol=0, atol=1e-9)
    again = run(FAST, 0.01, tiles=("a", "b"))
    assert np.array_equal(again.tiles["a"].state, now.tiles["a"].state)


@pytest.mark.parametrize(
    ("device", "variation"),
    [
        (dataclasses.replace(FAST, switches=1000), None),
        (FAST, Variation(c2c=0.05)),
        (FAST, Variation(d2d={"tau": Deviation(0.1)})),
        (Vteam(), None),
    ],
    ids=["stochastic", "c2c", "d2d", "another law"],
)
def test_what_is_read_one_by_one(device: DeviceModel, variation: Variation | None) -> None:
    system = run(device, 0.01, vectors=3, variation=variation)
    assert all("together" not in row[17] for row in system.trace.phases)
    assert "grouped_reads" not in system.trace.operations[0].details


def test_few_reads_are_read_one_by_one() -> None:
    system = run(FAST, 0.01, vectors=1)
    assert all("together" not in row[17] for row in system.trace.phases)


def test_a_group_that_changes_too_much_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moving_reads, "_count", lambda task: len(task.voltages))
    report = run(FAST, 0.002, vectors=12).trace.operations[0].details["grouped_reads"]["t"]
    assert report["groups"] > 1
    assert report["largest_change"] <= 0.002


def test_a_group_is_asked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    begin = AnsweredReads.begin

    def counted(self: AnsweredReads, tile: object, read: int) -> object:
        asked.append(read)
        return begin(self, tile, read)  # type: ignore[arg-type]

    monkeypatch.setattr(AnsweredReads, "begin", counted)
    system = run(FAST, 0.01, vectors=5)
    assert asked[0] == 0
    assert len(asked) == len(set(asked)) == system.trace.operations[0].details["grouped_reads"]["t"]["groups"]


@pytest.mark.parametrize("rows", [1, 7, 32, 45])
@pytest.mark.parametrize("level", [0.15, 0.0])
def test_sums_of_rows_are_the_product(rows: int, level: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Word lines at 0 V or at one level: the exposures that a product of matrices gives."""
    rng = np.random.default_rng(rows)
    voltages = level * rng.integers(0, 2, (150, rows))
    transfer = rng.uniform(-1.0, 1.0, (rows, 300)).astype(np.float32) / np.float32(rows)
    table = rng.uniform(0.0, 1.0, (4096, 4)).astype(np.float32)
    table[:, 1::2] = 0.0
    table[1:, ::2] = table[:1, ::2] + np.cumsum(table[1:, ::2], axis=0) / np.float32(4096)
    found, plain = np.ones((2, 300)), np.ones((2, 300))
    moving_reads.accumulate(voltages, transfer, 0.2, table, found)
    monkeypatch.setattr(moving_reads, "numba_available", lambda: False)
    moving_reads.accumulate(voltages, transfer, 0.2, table, plain)
    assert np.allclose(found, plain, rtol=1e-4, atol=0)
    assert found.min() > 1.0


def test_a_network_that_stays_is_solved_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Solutions are of the states: one for all groups where cells hardly move, one for every group where they do."""
    solved = []
    forms = moving_reads.read_forms
    monkeypatch.setattr(moving_reads, "read_forms", lambda *a, **k: solved.append(1) or forms(*a, **k))
    monkeypatch.setattr(moving_reads, "_MOST", 40)
    still = run(find_preset("mss-firm"), 1e-3).trace.operations[0].details["grouped_reads"]["t"]
    assert (still["groups"], len(solved)) == (7, 1)
    assert 0 < still["largest_change"] < 1e-6
    solved.clear()
    moving = run(FAST, 1e-3).trace.operations[0].details["grouped_reads"]["t"]
    assert len(solved) >= moving["groups"] > 7
