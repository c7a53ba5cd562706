"""Memory words, margins, error rates, refresh, and driven lines."""

from __future__ import annotations

import math
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pytest

import cosim
from cosim.errors import ScenarioError
from cosim.operations.memory import expected_rate, read_margin

FOLDER = Path(__file__).parents[2] / "scenarios"


def run(name: str, *sets: str) -> cosim.Result:
    result = cosim.run(cosim.load(FOLDER / f"{name}.yaml", sets))
    assert result.failure is None
    return result


PLAIN = ("hardware.variation={}", "hardware.sense.errors={}", "hardware.array.wires={word_line: ideal, bit_line: ideal}",
         "hardware.driver.output_resistance=ideal", "hardware.sense.input_resistance=ideal")  # fmt: skip


def test_margins_of_an_ideal_memory() -> None:
    """Ones carry 2 uA (0.2 V, 100 kohm), zeros 0.2 uA; the reference is half-way, 1.1 uA.

    Read margin (2 uA - 0.2 uA)/2 uA = 90 %; sense margin 100 kohm * 0.9 uA = 90 mV for every bit.
    """
    result = run("memory_margins", *PLAIN)
    grounded = result.summary["operations"][1]
    assert grounded["read_margin"] == pytest.approx(0.9, rel=1e-6)
    assert grounded["sense_margin_v"] == pytest.approx(0.09, rel=1e-6)
    assert (grounded["errors"], grounded["bit_error_rate"], grounded["bits"]) == (0, 0.0, 256)
    margins = result.trace.bits.column("margin_v")[:256]
    assert np.allclose(margins, 0.09, rtol=1e-6)


def test_floating_word_lines_let_sneak_paths_in() -> None:
    """The read margin falls with the array, and much faster where the other lines float."""
    found = {}
    for size in (4, 16):
        sets = (f"hardware.array.rows={size}", f"hardware.array.columns={size}")
        _, grounded, floating = run("memory_margins", *sets).summary["operations"]
        found[size] = grounded["read_margin"], floating["read_margin"]
    assert found[4][1] < found[4][0]
    assert found[16][1] < found[16][0]
    assert found[16][1] < found[4][1]


def test_the_expected_error_rate_is_that_of_the_noise() -> None:
    """With a noise as large as the margin 16 % of the bits are wrong: Q(1); 1024 bits, five standard deviations."""
    sets = (
        *PLAIN[:1],
        *PLAIN[2:],
        "hardware.sense.errors={noise: 90 mV}",
        "hardware.array.rows=32",
        "hardware.array.columns=32",
    )
    entry = run("memory_margins", *sets).summary["operations"][1]
    q = 1 - NormalDist().cdf(1.0)
    assert entry["expected_bit_error_rate"] == pytest.approx(q, rel=1e-3)
    assert abs(entry["bit_error_rate"] - q) < 5 * math.sqrt(q * (1 - q) / 1024)


def test_mismatch_is_one_offset_for_each_comparator() -> None:
    sets = (*PLAIN[:1], *PLAIN[2:], "hardware.sense.errors={mismatch: 20 mV}")
    result = run("memory_margins", *sets)
    bits = result.trace.bits
    first = np.arange(256)
    sign = np.where(bits.column("stored")[first] == 1, 1, -1)
    offset = (sign * (bits.column("margin_v")[first] - 0.09)).reshape(16, 16)
    assert np.allclose(offset, offset[0], atol=1e-9)  # every word sees the same comparators
    assert 0.01 < np.std(offset[0]) < 0.035


def test_figures() -> None:
    currents, stored = np.array([[2.0, 0.5], [1.0, 0.25]]), np.array([[1, 0], [1, 0]])
    assert read_margin(currents, stored) == pytest.approx((1.0 - 0.5) / 1.5)
    assert read_margin(currents, np.ones((2, 2))) is None
    assert expected_rate(np.array([0.1, -0.1]), 0.0) == 0.5
    assert expected_rate(np.array([0.0]), 1e-3) == pytest.approx(0.5)


def test_one_word_and_one_cell() -> None:
    operations = run("memory_word").summary["operations"]
    assert operations[1]["cells"] == 4
    assert operations[2]["values"] == [0, 1, 0, 1]
    assert operations[3]["cells"] == 1
    assert operations[4]["values"] == [1, 1, 1, 0]
    assert operations[5]["values"] == [1, 1, 1, 0, 0, 0, 1, 1, 0, 1, 0, 1, 0, 1, 1, 0]
    assert operations[5]["errors"] == 0


@pytest.mark.parametrize(
    ("sets", "sentence"),
    [
        (["program.1.read_word.rows=[16]"], r"program\.1\.read_word\.rows\.0: there is no row 16; rows go from 0 to 15"),
        (["program.1.read_word.reference=0 A"], r"program\.1\.read_word\.reference: must be above zero, not 0 A"),
        (["program.0={wait: 1 us}"], r"program\.1\.read_word\.tile: tile memory holds no bits in these rows; write or place 'bits' before"),
        (["hardware.cell.kind=1T1R"], r"program\.2\.read_word\.unselected: the other rows of 1T1R cells are gated off, .*"),
        (["program.0.place.bits=[[1, 2]]"], r"program\.0\.place\.bits: element \(0, 1\) must be 0 or 1, not 2"),
        (["program.0.place.bits=some"], r"program\.0\.place\.bits: there is no file 'some' in the scenario's folder"),
    ],
)  # fmt: skip
def test_refusals(sets: list[str], sentence: str) -> None:
    with pytest.raises(ScenarioError, match=sentence + "$"):
        cosim.run(cosim.load(FOLDER / "memory_margins.yaml", sets))


# Refresh.


def test_a_refresh_rewrites_what_has_left_its_window() -> None:
    operations = run("refresh").summary["operations"]
    written, before, _, aged, refresh, after = operations
    assert written["converged"] == 16
    assert refresh["read_cells"] == 16
    assert 0 < refresh["cells"] < 16
    assert refresh["converged"] == refresh["cells"]
    assert refresh["pulses"] >= refresh["cells"]
    assert 0 < refresh["energy_j"] < written["energy_j"]
    assert aged["error"]["rms"] > 2 * before["error"]["rms"]
    assert after["error"]["rms"] < 0.7 * aged["error"]["rms"]


def test_nothing_to_refresh() -> None:
    """Right after a write every cell is in a window twice as wide: reads of four words, and no pulse."""
    result = run("refresh", "program.2.wait=1 us", "program.4.refresh.window=5 %")
    refresh = result.summary["operations"][4]
    assert (refresh["cells"], refresh["pulses"], refresh["converged_fraction"]) == (0, 0, 1.0)
    phases = result.trace.phases
    own = phases.column("operation") == 4
    assert phases.column("kind")[own].tolist() == ["read"] * 4


def test_a_refresh_needs_a_write() -> None:
    with pytest.raises(
        ScenarioError,
        match=r"program\.0\.refresh\.tiles\.0: tile weights was not written before, so nothing says what it shall hold$",
    ):
        cosim.run(cosim.load(FOLDER / "refresh.yaml", ["program.0={refresh: {tiles: [weights]}}"]))


# Driven lines.


@pytest.mark.parametrize("backend", ["behavioral", pytest.param("ngspice", marks=pytest.mark.ngspice)])
def test_nor_in_memory(backend: str) -> None:
    """The last column is the NOR of the others, and the inputs stay what they are."""
    entry = run("magic_nor", f"tiles.logic={{backend: {backend}}}").summary["operations"][2]
    assert np.reshape(entry["values"], (4, 3)).tolist() == [[0, 0, 1], [0, 1, 0], [1, 0, 0], [1, 1, 0]]


@pytest.mark.ngspice
def test_both_backends_agree_on_driven_lines() -> None:
    found = [
        np.array(run("magic_nor", f"tiles.logic={{backend: {b}}}").summary["operations"][1]["conductance_s"])
        for b in ("behavioral", "ngspice")
    ]
    assert np.abs(found[0] - found[1]).max() < 1e-3 * 9e-6


def test_a_pulse_that_is_too_high_disturbs_the_inputs() -> None:
    """Above v_on of the inputs the gate no longer works: that is physics, and no error."""
    entry = run("magic_nor", "program.1.drive.lines.bl2=1.8 V").summary["operations"][2]
    assert entry["errors"] > 0


def test_lines_have_names() -> None:
    with pytest.raises(
        ScenarioError,
        match=r"program\.1\.drive\.lines\.bl7: there is no line 'bl7'; lines are wl0 to wl3 and bl0 to bl2$",
    ):
        cosim.run(cosim.load(FOLDER / "magic_nor.yaml", ["program.1.drive.lines.bl7=1 V"]))
