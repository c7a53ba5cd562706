"""kT-RAM programs on circuits: phases in the trace, cross-check against ngspice, decks, other backends, resumed runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import cosim
from cosim.errors import InputError, ScenarioError
from cosim.scenario.netlists import decks

TEXT = """schema_version: 1
name: t
seed: 3
ktram:
  core: {model: MODEL, init: medium_noise, read_noise: 0, fidelity: FIDELITY}
  lanes: {count: 2, spaces: 2, rows: 2, columns: 2}
  circuit: {r_word_line: 2 ohm, r_bit_line: 2 ohm, r_node: 10 ohm, lines: tracking}
  controller: {comparators: 1}
  program:
    - execute: {tuples: [[0, null], [3, 1]], instructions: [FF, RU]}
    - read: {tuples: [[0, 2]]}
validate: {phases: 8, free_running: 6}
"""


def scenario_of(folder: Path, model: str = "rs", fidelity: str = "physical") -> cosim.Scenario:
    file = folder / "t.yaml"
    file.write_text(TEXT.replace("MODEL", model).replace("FIDELITY", fidelity))
    return cosim.load(file)


@pytest.mark.parametrize("model", ["rs", "byte"])
def test_lanes_are_checked_against_ngspice(tmp_path: Path, model: str) -> None:
    check = cosim.validate(scenario_of(tmp_path, model))
    content = check.content
    assert check.passed
    assert content["phases_total"] == len(check.result.trace.phases) == 10
    assert content["phases_checked"] == 8  # four reads, four of feedback
    assert {row["tile"] for row in content["phases"]} == {"lane 0", "lane 1"}
    assert content["worst"]["current_relative"] < 1e-5
    assert content["free_running"]["phases"] == 6
    assert content["free_running"]["worst_state_absolute"] < 1e-5
    assert {wave["kind"] for wave in content["waveforms"]} == {"read", "write"}


def test_every_phase_is_balanced_and_belongs_to_an_instruction(tmp_path: Path) -> None:
    result = cosim.run(scenario_of(tmp_path))
    phases, summary = result.trace.phases, result.summary
    balance = summary["energy"]["balance"]
    assert summary["time"]["phases"] == len(phases) == len(result.trace.instructions) == 10
    assert balance["relative_error"] < 1e-6
    assert balance["delivered_j"] == pytest.approx(balance["dissipated_j"] + balance["absorbed_j"], rel=1e-6)
    assert summary["checks"]["kcl_residual_relative"] < 1e-6
    assert summary["checks"]["bounds_violations"] == 0
    assert sorted(result.trace.instructions.column("phase").tolist()) == list(range(10))
    circuit = {"cells", "wires", "line ends", "driver sink"}
    booked = sum(row[5] for row in result.trace.energies if row[3] in circuit)
    assert booked == pytest.approx(balance["delivered_j"], rel=1e-6)
    starts = dict(zip(phases.column("phase").tolist(), phases.column("start_fs").tolist(), strict=True))
    for row in result.trace.instructions:
        entry = dict(zip(result.trace.instructions.fields, row, strict=True))
        assert entry["start_fs"] <= starts[entry["phase"]] < entry["end_fs"]


def test_decks_of_lanes(tmp_path: Path) -> None:
    scenario = scenario_of(tmp_path)
    ((number, first),) = decks(scenario, "")
    assert number == 0
    assert "xc0_0_0" in first
    texts = dict(decks(scenario, "all"))
    assert sorted(texts) == list(range(10))
    assert texts[0] == first
    with pytest.raises(InputError, match="there is no phase 10: the run has phases 0 to 9"):
        list(decks(scenario, "10"))


def test_a_run_on_another_backend_and_resumed(tmp_path: Path) -> None:
    physical = cosim.run(scenario_of(tmp_path)).summary
    spice = scenario_of(tmp_path, fidelity="spice")
    first = cosim.run(spice, out=tmp_path / "out")
    again = cosim.run(spice, out=tmp_path / "out", resume=True)
    assert json.dumps(first.summary["operations"]) == json.dumps(again.summary["operations"])
    assert again.manifest["backends"][0]["journal"]["taken"] > 0
    values = [run["operations"][1]["values"] for run in (physical, first.summary)]
    assert values[0][0] == pytest.approx(values[1][0], abs=1e-5)
    paired = cosim.run(scenario_of(tmp_path), backend="paired")
    assert paired.summary["operations"] == physical["operations"]
    deviations = paired.trace.phases.column("state_deviation")
    assert 0.0 < float(deviations.max()) < 1e-5


def test_ideal_lanes_have_no_circuit(tmp_path: Path) -> None:
    file = tmp_path / "t.yaml"
    lines = [line for line in TEXT.splitlines() if "circuit" not in line]
    file.write_text("\n".join(lines).replace("MODEL", "rs").replace("FIDELITY", "ideal"))
    scenario = cosim.load(file)
    for ask in (cosim.validate, lambda s: cosim.run(s, backend="ngspice"), lambda s: list(decks(s, ""))):
        with pytest.raises(ScenarioError, match=r"ktram\.core\.fidelity: is ideal, which has no circuit"):
            ask(scenario)
