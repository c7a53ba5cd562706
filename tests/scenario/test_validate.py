"""Cross-validation of the quickstart against ngspice, on a small sample."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import cosim
from cosim.backends.behavioral import BehavioralBackend
from cosim.backends.ngspice import NgspiceBackend

pytestmark = pytest.mark.ngspice
FILE = Path(__file__).parents[2] / "scenarios" / "quickstart.yaml"
GOOD = Path(__file__).parent / "malformed" / "base.yaml"
SAMPLE = ("--set", "validate.phases=60", "--set", "validate.free_running=20")


def test_quickstart_is_within_its_tolerances(cli, tmp_path: Path) -> None:
    out = tmp_path / "out"
    answer = cli("validate", FILE, "--out", out, *SAMPLE)
    assert answer.code == 0, answer.out + answer.err
    content = json.loads((out / "crosscheck.json").read_text())
    assert content["passed"] is True
    assert content["tolerances"] == {
        "current_relative": 1e-4,
        "state_absolute": 1e-3,
        "energy_relative": 1e-2,
    }
    for figure, tolerance in content["tolerances"].items():
        assert 0 < content["worst"][figure] <= tolerance
    assert content["phases_checked"] == len(content["phases"]) == 60
    assert content["checked_by_kind"] == {"read": 20, "verify": 20, "write": 20}
    assert content["phases_total"] == 752
    assert {row["tile"] for row in content["phases"]} == {"positive", "negative"}
    free = content["free_running"]
    assert free["phases"] == len(free["course"]) == 20
    assert 0 < free["worst_state_absolute"] < 1e-3
    assert "60 of 752 checked" in answer.out
    assert "passed" in answer.out
    summary = json.loads((out / "summary.json").read_text())
    assert summary["operations"][0]["converged"] == 128
    backends = [entry["backend"] for entry in json.loads((out / "manifest.json").read_text())["backends"]]
    assert backends == ["behavioral", "ngspice"]


def test_a_missed_tolerance(cli, tmp_path: Path) -> None:
    tight = [
        f"validate.tolerances.{figure}=1e-15"
        for figure in ("current_relative", "state_absolute", "energy_relative")
    ]
    out = tmp_path / "out"
    answer = cli(
        "validate",
        GOOD,
        "--out",
        out,
        "--set",
        "validate.phases=6",
        "--set",
        "validate.free_running=2",
        *(part for text in tight for part in ("--set", text)),
    )
    assert answer.code == 3
    assert "NOT passed" in answer.out
    assert json.loads((out / "crosscheck.json").read_text())["passed"] is False


def test_all_phases(cli, tmp_path: Path) -> None:
    answer = cli(
        "validate", GOOD, "--all", "--json", "--out", tmp_path / "out", "--set", "validate.free_running=0"
    )
    assert answer.code == 0
    content = json.loads(answer.out)
    assert content["phases_checked"] == content["phases_total"]
    assert [row["phase"] for row in content["phases"]] == list(range(content["phases_total"]))


def test_a_few_phases_hold_every_kind() -> None:
    check = cosim.validate(cosim.load(GOOD, ["validate.phases=2", "validate.free_running=0"]))
    assert set(check.frame()["kind"]) == {"read", "verify", "write"}
    assert check.content["free_running"]["phases"] == 0
    assert check.passed
    assert check.worst == check.content["worst"]


def test_the_sample_depends_on_the_seed_alone() -> None:
    def phases(seed: int) -> list[int]:
        check = cosim.validate(
            cosim.load(GOOD, ["validate.phases=6", "validate.free_running=0", f"seed={seed}"])
        )
        return check.frame()["phase"].tolist()

    assert phases(3) == phases(3)


def test_a_wrong_solver_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without wires the behavioral backend differs by more than the tolerance: the check has teeth."""
    original = BehavioralBackend.__init__

    def idealized(self: BehavioralBackend, fidelity: str = "resistive", tolerances=None) -> None:
        original(self, "ideal", tolerances)

    monkeypatch.setattr(BehavioralBackend, "__init__", idealized)
    small = ["validate.phases=6", "validate.free_running=0", "hardware.array.wires.word_line=500 ohm"]
    check = cosim.validate(cosim.load(GOOD, small))
    assert not check.passed
    assert check.worst["current_relative"] > 1e-3


def test_ngspice_is_closed_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[bool] = []
    original = NgspiceBackend.close
    monkeypatch.setattr(NgspiceBackend, "close", lambda self: (closed.append(True), original(self))[1])
    cosim.validate(cosim.load(GOOD, ["validate.phases=3", "validate.free_running=0"]))
    assert closed
