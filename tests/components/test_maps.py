"""Maps of cells: what moved unasked, and the voltage drops of the worst read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cosim.crossbar import solve
from cosim.scenario.load import load
from cosim.scenario.run import run

ROOT = Path(__file__).parents[2]


def outcome_of(*overrides: str):
    return run(load(ROOT / "tests" / "scenario" / "malformed" / "base.yaml", overrides))


def test_what_moved_unasked_is_the_disturb_of_the_summary() -> None:
    result = outcome_of("hardware.cell={kind: 1R}")
    disturb = result.summary["operations"][0]["disturb"]["t"]
    assert disturb["worst_of_range"] > 1e-5
    moved = np.abs(result.trace.maps["t"]["moved_unasked"])
    # the reads after the write move the cells a little further
    assert moved.max() == pytest.approx(disturb["worst_of_range"], rel=0.1)
    assert moved.mean() == pytest.approx(disturb["mean_of_range"], rel=0.1)


def test_conductances_are_those_of_the_pulses() -> None:
    result = outcome_of()
    maps = result.trace.maps["t"]
    first: dict[tuple[int, int], float] = {}
    for pulse in result.trace.pulses:
        first.setdefault(pulse[4:6], pulse[11])
    assert first
    for place, conductance in first.items():
        assert maps["conductance_before_s"][place] == pytest.approx(conductance, rel=1e-2)
    seen = maps["conductance_after_s"] / (1 + 5e3 * maps["conductance_after_s"])
    targets = {row[2:4]: row[4] for row in result.trace.outcomes}
    for place, target in targets.items():
        assert abs(seen[place] - target) < 0.03 * 1e-5


def test_drops_are_those_of_a_read_at_the_top_of_the_dac() -> None:
    ends = ("hardware.driver.output_resistance=70 ohm", "hardware.sense.input_resistance=30 ohm")
    maps = outcome_of("hardware.dac.range=[0 V, 0.3 V]", *ends).trace.maps["t"]
    device = maps["conductance_after_s"]
    solution = solve(
        device / (1 + 5e3 * device),
        np.full(2, 0.3),
        r_word_line=2.5,
        r_bit_line=2.5,
        r_source=70.0,
        r_sink=30.0,
    )
    np.testing.assert_allclose(maps["word_line_drop_v"], 0.3 - solution.word_line_voltage, rtol=1e-6)
    np.testing.assert_allclose(maps["bit_line_drop_v"], solution.bit_line_voltage, rtol=1e-6)


def test_lines_without_resistance_have_no_drops() -> None:
    wires = "hardware.array.wires={word_line: ideal, bit_line: ideal}"
    ends = ("hardware.driver.output_resistance=ideal", "hardware.sense.input_resistance=ideal")
    assert set(outcome_of(wires, *ends).trace.maps["t"]) == {
        "conductance_before_s",
        "conductance_after_s",
        "moved_unasked",
    }
