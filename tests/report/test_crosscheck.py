import json
import math

import pytest

from cosim.report import json_text
from cosim.report.crosscheck import crosscheck

TOLERANCES = {"current_relative": 1e-3, "state_absolute": 5e-3, "energy_relative": 1e-2}


def row(phase=0, kind="read", **figures):
    return {
        "phase": phase, "operation": 0, "tile": "t", "kind": kind, "current_relative": 1e-6, "state_absolute": 1e-5,
        "energy_gap_j": 1e-17, "energy_j": 1e-14, "largest_current_a": 1e-6, "behavioral_wall_s": 0.001,
        "ngspice_wall_s": 0.1,
    } | figures  # fmt: skip


def check(*rows, tolerances=TOLERANCES):
    return crosscheck(rows, tolerances=tolerances, phases_total=10)


def test_energy_is_relative_to_the_largest_phase_of_its_kind():
    result = check(
        row(0, "read", energy_j=1e-12, energy_gap_j=0.0), row(1, "read", energy_j=1e-15, energy_gap_j=1e-15),
        row(2, "write", energy_j=1e-9, energy_gap_j=-2e-12),
    )  # fmt: skip
    assert [entry["energy_relative"] for entry in result["phases"]] == pytest.approx([0.0, 1e-3, 2e-3])
    assert result["worst"]["energy_relative"] == pytest.approx(2e-3)
    assert result["worst_phase"]["energy_relative"] == 2
    assert result["checked_by_kind"] == {"read": 2, "write": 1}
    assert (result["phases_checked"], result["phases_total"], result["passed"]) == (3, 10, True)
    assert result["speedup"] == pytest.approx(100)


@pytest.mark.parametrize("figure", ["current_relative", "state_absolute"])
def test_a_figure_above_its_tolerance_fails(figure):
    assert check(row(), row(1, **{figure: TOLERANCES[figure]}))["passed"]
    assert not check(row(), row(1, **{figure: TOLERANCES[figure] * 1.01}))["passed"]


def test_energy_above_its_tolerance_fails():
    assert not check(row(energy_gap_j=1.1e-16))["passed"]


def test_what_is_not_a_number_fails_and_is_null_in_the_file():
    result = check(row(), row(5, current_relative=math.nan))
    assert not result["passed"]
    assert json.loads(json_text(result))["worst"]["current_relative"] is None
    assert result["worst_phase"]["current_relative"] == 5


def test_nothing_checked_is_not_passed():
    result = check()
    assert not result["passed"]
    assert result["speedup"] is None


def test_a_gap_without_any_energy_counts_in_full():
    assert check(row(energy_j=0.0, energy_gap_j=1e-20))["worst"]["energy_relative"] == 1.0
    assert check(row(energy_j=0.0, energy_gap_j=0.0))["worst"]["energy_relative"] == 0.0
