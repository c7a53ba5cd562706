"""Outer-product update: trains, drives, overlap and disturb, on both backends."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosim.components.tile import PHASE_KINDS
from cosim.components.updating import OuterProduct, overlap_drives, pulse_trains, van_der_corput
from cosim.components.write_verify import ProgrammingPulse
from cosim.crossbar import Cell, find
from cosim.crossbar.drive import level
from cosim.devices import find_preset
from cosim.hardware import ArraySpec, Hardware, WireSpec
from cosim.operations import Update
from cosim.operations.update import follows
from cosim.records import Trace
from cosim.system import System

MIDDLE = np.full((4, 3), 5.5e-6)


def job(
    x: list[float], y: list[float], slots: int = 31, trains: str = "deterministic", width: float = 50e-9
) -> OuterProduct:
    pulse = ProgrammingPulse(0.9, width)
    return OuterProduct(np.array(x), np.array(y), slots, trains, pulse, pulse)  # type: ignore[arg-type]


def updated(
    update: OuterProduct, backend: str = "behavioral", kind: str = "1R", fidelity: str = "resistive"
) -> System:
    wires = WireSpec(word_line=2.5, bit_line=2.5, capacitance=1e-16)
    hardware = Hardware(ArraySpec(4, 3, wires), find_preset("mss-firm"), Cell(kind, access_resistance=5e3))  # type: ignore[arg-type]
    system = System(Trace(), 5)
    options = {"fidelity": fidelity} if backend == "behavioral" else {}
    system.add_tile("t", hardware, dict.fromkeys(PHASE_KINDS, find(backend)(**options)), MIDDLE)
    system.run([Update("t", (update,))])
    return system


def states(system: System) -> np.ndarray:
    return system.tiles["t"].state


@given(st.integers(1, 200), st.floats(0, 1), st.floats(0, 1))
def test_spread_trains_coincide_as_often_as_the_product(slots: int, x: float, y: float) -> None:
    """The discrepancy of the van der Corput sequence is below 1 + log2(N)/3, and rounding x N takes one more slot."""
    rows, columns = pulse_trains(job([x], [y], slots), np.random.default_rng(0))
    count = int(np.count_nonzero(rows[:, 0] & columns[:, 0]))
    assert abs(count - x * y * slots) <= 1.5 + math.log2(slots) / 3


def test_mirrored_bits() -> None:
    assert van_der_corput(8).tolist() == [0, 0.5, 0.25, 0.75, 0.125, 0.625, 0.375, 0.875]


def test_drawn_trains_coincide_as_often_as_the_product() -> None:
    """The number of coincidences is binomial: mean x y N, here within five standard deviations."""
    slots, x, y = 4096, 0.6, 0.3
    rows, columns = pulse_trains(job([x], [y], slots, "stochastic"), np.random.default_rng(1))
    p = x * y
    count = int(np.count_nonzero(rows & columns))
    assert abs(count - p * slots) < 5 * math.sqrt(p * (1 - p) * slots)


def test_signs_make_four_trains() -> None:
    parts = job([0.5, -0.5], [1.0, -1.0]).quadrants()
    assert [part[0] for part in parts] == [True, True, False, False]
    assert [(np.flatnonzero(r).tolist(), np.flatnonzero(c).tolist()) for _, r, c in parts] == [
        ([0], [0]), ([1], [1]), ([0], [1]), ([1], [0]),
    ]  # fmt: skip
    assert len(job([0.5, 0.0], [1.0, 0.0]).quadrants()) == 1


@pytest.mark.parametrize("rising", [True, False])
@pytest.mark.parametrize("kind", ["1R", "1T1R"])
def test_what_cells_see(kind: str, rising: bool) -> None:
    """Both lines: the full amplitude; one of them: half of it in a passive array, nothing in a gated one."""
    system = updated(job([0.0] * 4, [0.0] * 3), kind=kind)
    tile = system.tiles["t"]
    rows, columns = np.array([True, False, True, False]), np.array([False, True, False])
    drives = overlap_drives(tile, rising, rows, columns, level(1.0), level(0.5))
    word = np.array([drives[f"wl{i}"].voltages[0] for i in range(4)])
    bit = np.array([drives[f"bl{j}"].voltages[0] for j in range(3)])
    across = (word[:, None] - bit[None, :]) * (1 if rising else -1)
    if kind == "1R":
        assert np.array_equal(across, 0.5 * (rows[:, None].astype(float) + columns[None, :]))
        return
    assert {net for net in tile.array.gates or () if net in drives} == {"gl0", "gl2"}
    assert np.array_equal(across[rows], np.outer(rows, columns)[rows].astype(float))


def test_cells_follow_the_product_and_others_are_disturbed() -> None:
    system = updated(job([1.0, 0.5, 0.0, -1.0], [1.0, 0.5, 0.0]))
    details = system.trace.operations[0].details
    assert details["coincidences"] == len(system.trace.pulses)
    assert details["pulsed_cells"] == 6
    assert details["outer_product"]["correlation"] > 0.95
    change = states(system) - system.tiles["t"].array.device.state_for(MIDDLE)
    assert np.all(change[0, :2] > 0)
    assert np.all(change[3, :2] < 0)
    # a row alone (column 2), a column alone (row 2), neither (their crossing)
    assert 0 < details["disturb"]["worst_of_range"] < 0.05 * details["change"]["worst_of_range"]
    assert abs(change[2, 2]) < 1e-3 * abs(change[2, 0])


def test_gated_rows_rest() -> None:
    """In a 1T1R array the rows without a pulse are off, and columns follow the word lines: no other cell moves."""
    system = updated(job([1.0, 0.5, 0.0, -1.0], [1.0, 0.5, 0.0]), kind="1T1R")
    details = system.trace.operations[0].details
    assert details["change"]["worst_of_range"] > 0.05
    assert details["disturb"]["worst_of_range"] < 1e-4
    assert system.trace.end_fs == 2 * 31 * (50 + 2 + 2) * 10**6  # slots without a pulse take their time too


@pytest.mark.ngspice
@pytest.mark.parametrize("kind", ["1R", "1T1R"])
def test_both_backends_agree(kind: str) -> None:
    update = job([1.0, 0.5, 0.0, -1.0], [1.0, 0.5, 0.0], slots=6, width=500e-9)
    behavioral, spice = (updated(update, backend, kind) for backend in ("behavioral", "ngspice"))
    assert np.abs(states(behavioral) - states(spice)).max() < 1e-3
    moved = states(behavioral) - behavioral.tiles["t"].array.device.state_for(MIDDLE)
    assert np.abs(moved).max() > 0.05


def test_the_record_of_a_pulse() -> None:
    system = updated(job([0.0, 1.0, 0.0, 0.0], [0.0, 0.0, -1.0], slots=3))
    rows = list(system.trace.pulses)
    assert len(rows) == 3
    assert rows[0][3:9] == ("t", 1, 2, "bl2", 0.9, 50e-9)  # x > 0 and y < 0: a RESET, from the bit line
    assert [row[9] for row in rows[1:]] == pytest.approx([row[10] for row in rows[:-1]], abs=1e-6)
    assert rows[-1][10] == pytest.approx(float(states(system)[1, 2]))


def test_follows() -> None:
    wanted = np.array([[1.0, 0.5], [0.0, -1.0]])
    assert follows(0.2 * wanted, wanted) == {
        "per_unit": pytest.approx(0.2),
        "residual": pytest.approx(0, abs=1e-9),
        "correlation": pytest.approx(1.0),
    }
    assert follows(np.zeros((2, 2)), wanted) == {"per_unit": 0.0, "residual": 0.0, "correlation": 0.0}
