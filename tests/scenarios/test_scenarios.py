"""Every scenario of the repository runs and gives what ``scenarios/expected/NAME.json`` holds.

After a change that is meant to change results: ``COSIM_REGENERATE=1 pytest tests/scenarios`` writes the
expected files anew; read the difference before it is committed.
"""

from __future__ import annotations

import json
import math
import os
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import cosim

FOLDER = Path(__file__).parents[2] / "scenarios"
NETLISTS = FOLDER.parent / "netlists"
FILES = sorted([*FOLDER.glob("*.yaml"), *NETLISTS.glob("*.yaml")])
RELATIVE = 1e-6
"""Largest accepted difference, relative to the largest number of the same list."""


ROUNDING = 1e-13
"""A disturb is a difference of states of order one, so rounding alone moves it by this much."""


def differences(found: Any, wanted: Any, path: str = "") -> list[str]:
    """Return where two trees of plain values differ."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        if set(found) != set(wanted):
            return [f"{path}: keys {sorted(set(found) ^ set(wanted))}"]
        return [line for key in wanted for line in differences(found[key], wanted[key], f"{path}.{key}")]
    if isinstance(wanted, list) and isinstance(found, list):
        if len(found) != len(wanted):
            return [f"{path}: {len(found)} entries, not {len(wanted)}"]
        numbers = [abs(x) for x in wanted if isinstance(x, (int, float))]
        if len(numbers) == len(wanted):
            scale = max(numbers, default=0.0)
            pairs = enumerate(zip(found, wanted, strict=True))
            return [f"{path}.{k}: {a}, not {b}" for k, (a, b) in pairs if abs(a - b) > RELATIVE * scale]
        return [
            line
            for k, (a, b) in enumerate(zip(found, wanted, strict=True))
            for line in differences(a, b, f"{path}.{k}")
        ]
    if isinstance(wanted, float) and isinstance(found, (int, float)):
        floor = ROUNDING if ".disturb." in path else 1e-30
        close = math.isclose(found, wanted, rel_tol=RELATIVE, abs_tol=floor)
        return [] if close else [f"{path}: {found}, not {wanted}"]
    return [] if found == wanted else [f"{path}: {found!r}, not {wanted!r}"]


def essence(summary: dict[str, Any]) -> dict[str, Any]:
    """Return what a scenario is compared by."""
    return {
        "end_s": summary["time"]["end_s"],
        "phases": summary["time"]["phases"],
        "total_j": summary["energy"]["total_j"],
        "operations": summary["operations"],
        "warnings": summary["warnings"],
    }


def cases() -> list[Any]:
    marks = {True: [pytest.mark.ngspice], False: []}
    return [pytest.param(f, id=f.stem, marks=marks["ngspice" in f.read_text()]) for f in FILES]


@cache
def run(file: Path) -> cosim.Result:
    return cosim.run(cosim.load(file))


@pytest.mark.parametrize("file", cases())
def test_scenario_gives_what_is_expected(file: Path) -> None:
    result = run(file)
    assert result.failure is None
    found = json.loads(json.dumps(essence(result.summary)))
    expected = file.parent / "expected" / f"{file.stem}.json"
    if os.environ.get("COSIM_REGENERATE"):
        expected.parent.mkdir(exist_ok=True)
        expected.write_text(json.dumps(found, indent=1) + "\n")
    wanted = json.loads(expected.read_text())
    assert differences(found, wanted) == []


@pytest.mark.parametrize("file", cases())
def test_energies_of_a_scenario_add_up(file: Path) -> None:
    summary = run(file).summary
    energy = summary["energy"]
    for part in ("by_component_j", "by_kind_j"):
        assert math.fsum(energy[part].values()) == pytest.approx(energy["total_j"], rel=1e-9)
    assert math.fsum(op["energy_j"] for op in summary["operations"]) == pytest.approx(
        energy["total_j"], rel=1e-9
    )
    # What ngspice answers closes as well as its own tolerances allow.
    assert energy["balance"]["relative_error"] <= (1e-9 if "ngspice" not in file.read_text() else 1e-6)


def test_every_expected_file_has_its_scenario() -> None:
    for folder in (FOLDER, NETLISTS):
        expected = {path.stem for path in folder.glob("expected/*.json")}
        assert expected == {path.stem for path in folder.glob("*.yaml")}


def test_the_comparison_can_fail() -> None:
    wanted = {"a": [1.0, 2.0], "b": 3.0, "c": "x"}
    assert differences({"a": [1.0, 2.0 + 1e-7], "b": 3.0, "c": "x"}, wanted) == []
    assert differences({"a": [1.0, 2.1], "b": 3.0, "c": "x"}, wanted) == [".a.1: 2.1, not 2.0"]
    assert differences({"a": [1.0, 2.0], "b": 3.1, "c": "y"}, wanted) == [
        ".b: 3.1, not 3.0",
        ".c: 'y', not 'x'",
    ]
    assert differences({"a": [1.0], "b": 3.0, "c": "x"}, wanted) == [".a: 1 entries, not 2"]


@pytest.mark.ngspice
def test_what_the_handover_says() -> None:
    """The same products from the same state by both backends; the second write has but one cell to move."""
    operations = cosim.run(cosim.load(FOLDER / "handover.yaml")).summary["operations"]
    assert operations[3]["values"] == pytest.approx(operations[1]["values"], rel=1e-6)
    assert 0 < operations[5]["pulses"] < operations[0]["pulses"] / 4
    assert operations[5]["converged"] == 16


def test_what_the_half_select_says() -> None:
    """Disturb grows steeply with the amplitude: half of it comes near the threshold."""

    def disturb(volts: float) -> float:
        pulses = [f"program.0.write.{edge}.amplitude={volts} V" for edge in ("set", "reset")]
        result = cosim.run(cosim.load(FOLDER / "half_select.yaml", pulses))
        return float(result.summary["operations"][0]["disturb"]["passive"]["worst_of_range"])

    assert 0.01 < disturb(0.9) < 0.02
    assert disturb(0.8) < 0.004
