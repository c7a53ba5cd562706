"""The ``ktram`` section: programs run, counts add up, and what cannot be done is refused with its place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cosim
from cosim.errors import InputError, ScenarioError
from cosim.ktram import INIT_TYPES, INSTRUCTIONS, Core
from cosim.scenario.load import document_of, parse

HEAD = "schema_version: 1\nname: t\nseed: 3\n"
BODY = """ktram:
  core: {model: byte, init: medium_noise, read_noise: 0}
  lanes: {count: 2, spaces: 2, columns: 4}
  program:
"""


def file_of(folder: Path, program: str, body: str = BODY, head: str = HEAD) -> Path:
    file = folder / "t.yaml"
    file.write_text(head + body + program)
    return file


def operations(folder: Path, program: str, body: str = BODY) -> list[dict[str, Any]]:
    summary = cosim.run(cosim.load(file_of(folder, program, body))).summary
    return [dict(entry) for entry in summary["operations"]]


def test_instructions_are_those_of_the_core(tmp_path: Path) -> None:
    first, second = operations(
        tmp_path,
        "    - execute: {tuples: [[0, null], [3, 1]], instructions: [FF, RH], repeat: 5, lanes: [1]}\n"
        "    - read: {tuples: [[0, null], [3, 1]]}\n",
    )
    core = Core(1, 4, 2, 2, "byte", init="medium_noise", seed=3, read_noise=0)
    for aat in ((0, None), (3, 1)) * 5:
        core.evaluate(aat, "FF", 1)
        core.evaluate(aat, "RH", 1)
    assert (first["instructions"], first["synapse_updates"]) == ({"FF": 10, "RH": 10}, 30)
    assert first["y"] == [core.lane(1).y]
    values = [[core.evaluate(aat, "FFLV", lane) for aat in ((0, None), (3, 1))] for lane in range(2)]
    assert second["values"] == values
    assert second["instructions"] == {"FFLV": 4}
    assert sum(second["patterns"].values()) == 2


def test_loops_start_and_random_order(tmp_path: Path) -> None:
    program = (
        "    - loop:\n        times: 3\n        steps:\n"
        "          - start: {tuples: [[0, 0]], y: 0.5}\n"
        "          - read: {tuples: [[0, 0]], instruction: RFLV, noise: 0.5}\n"
        "          - execute: {tuples: [[0, 0], [1, 1]], instructions: [FZ], order: random}\n"
    )
    (loop,) = operations(tmp_path, program)
    assert loop["instructions"] == {"FZ": 12, "RFLV": 6}
    assert loop["times"] == 3
    assert loop["last"]["1"]["values"] == [[pytest.approx(0.5, abs=0.01)]] * 2
    assert operations(tmp_path, program) == [loop]


def test_a_classifier_run(tmp_path: Path) -> None:
    low = BODY.replace("medium_noise", "low")
    (found,) = operations(
        tmp_path, "    - classify: {data: iris, splits: 2, epochs: 3, encoder_epochs: 2}\n", low
    )
    assert found["accuracy"] == pytest.approx(np.mean(found["accuracies"]))
    assert found["accuracy"] > 0.85
    assert set(found["peers"]) == {"logistic regression", "linear SVC"}
    confusion = np.array(found["confusion"])
    assert confusion.sum() == 76
    assert found["accuracy"] == pytest.approx(np.trace(confusion) / 76)
    counts = found["instructions"]
    assert (counts["FF"], counts["FFLV"]) == (2 * 3 * 112 * 3, 76 * 3)
    assert counts["RH"] + counts["RL"] + counts["RF"] == counts["FF"]
    assert found["synapse_updates"] == 5 * sum(counts.values())


def test_the_result_folder(tmp_path: Path) -> None:
    result = cosim.run(cosim.load(file_of(tmp_path, "    - read: {tuples: [[0, 0]]}\n")))
    result.save(tmp_path / "out")
    again = cosim.load(tmp_path / "out" / "scenario.resolved.yaml")
    assert cosim.run(again).summary["operations"] == result.summary["operations"]
    assert result.summary["warnings"] == ["kT-RAM at ideal fidelity: instructions take no time and no energy"]
    assert (tmp_path / "out" / "report.html").is_file()


@pytest.mark.parametrize(
    ("program", "place", "sentence"),
    [
        ("    - read: {tuples: [[0]]}\n", "8:23: ktram.program.0.read.tuples.0", "must have one entry for each of the 2 spaces of ktram.lanes, not 1"),
        ("    - read: {tuples: [[0, 4]]}\n", "8:27: ktram.program.0.read.tuples.0.1", "must be an address within 0..3 (rows x columns of ktram.lanes) or null, not 4"),
        ("    - read: {tuples: [[-1, 0]]}\n", "8:24: ktram.program.0.read.tuples.0.0", "must be an address within 0..3 (rows x columns of ktram.lanes) or null, not -1"),
        ("    - read: {tuples: [[0, 0]], lanes: [2]}\n", "8:40: ktram.program.0.read.lanes.0", "must be a lane within 0..1, not 2"),
        ("    - read: {tuples: [[0, 0]], lanes: []}\n", "8:32: ktram.program.0.read.lanes", "must name at least one lane; leave it out for all"),
        ("    - read: {tuples: [[0, 0]], instruction: FH}\n", "8:32: ktram.program.0.read.instruction", "must be an instruction that reads, one of FF, FFLV, RF, RFLV, not 'FH'"),
        ("    - execute: {tuples: [[0, 0]], instructions: [FF, XX]}\n", "8:54: ktram.program.0.execute.instructions.1", f"instruction: must be one of {', '.join(INSTRUCTIONS)}, not 'XX'; names are in capitals"),
        ("    - execute: {tuples: [[0, x]], instructions: [FF]}\n", "8:30: ktram.program.0.execute.tuples.0.1", "must be a whole number, not 'x'"),
        ("    - execute: {tuples: [], instructions: [FF]}\n", "8:17: ktram.program.0.execute.tuples", "must have at least 1 entry"),
        ("    - start: {tuples: [[0, 0]], y: 2}\n", "8:33: ktram.program.0.start.y", "must be at most 1, not 2"),
        ("    - loop: {times: 0, steps: [{read: {tuples: [[0, 0]]}}]}\n", "8:14: ktram.program.0.loop.times", "must be at least 1, not 0"),
        ("    - loop: {times: 2, steps: [{read: {tuples: [[0]]}}]}\n", "8:49: ktram.program.0.loop.steps.0.read.tuples.0", "must have one entry for each of the 2 spaces of ktram.lanes, not 1"),
        ("    - classify: {data: mnist}\n", "8:18: ktram.program.0.classify.data", "must be one of iris, digits, not 'mnist'"),
        ("    - {read: {tuples: [[0, 0]]}, start: {tuples: [[0, 0]], y: 0}}\n", "8:7: ktram.program.0", "a step must have exactly one of execute, read, start, conductances, loop, classify, not read and start"),
        ("    - red: {tuples: [[0, 0]]}\n", "8:7: ktram.program.0.red", "there is no such key; did you mean 'read'?"),
    ],
)  # fmt: skip
def test_bad_programs(tmp_path: Path, program: str, place: str, sentence: str) -> None:
    from cosim.scenario.ktram import plan

    file = file_of(tmp_path, program)
    with pytest.raises(ScenarioError) as caught:
        plan(cosim.load(file))
    assert str(caught.value) == f"{file}:{place}: {sentence}"


@pytest.mark.parametrize(
    ("core", "key", "sentence"),
    [
        ("{init: zero}", "init", f"must be one of {', '.join(INIT_TYPES)}, not 'zero'"),
        ("{model: bytes}", "model", "must be 'byte', 'float', 'rs' or 'mss', not 'bytes'"),
        ("{forward_voltage: 1}", "forward_voltage", "must have the unit V, but 1 has none; write for example '0.2 V'"),
        ("{pulse_width: 0 s}", "pulse_width", "must be above zero, not 0"),
        ("{comparator_code: 256}", "comparator_code", "must be at most 255, not 256"),
        ("{profile: {Ron: 10 kohm, Roff: 1 kohm}}", "profile.Ron", "must be below Roff, not 10 kohm"),
    ],
)  # fmt: skip
def test_bad_cores(tmp_path: Path, core: str, key: str, sentence: str) -> None:
    body = f"ktram:\n  core: {core}\n  program:\n"
    file = file_of(tmp_path, "    - read: {tuples: [[0]]}\n", body)
    with pytest.raises(ScenarioError) as caught:
        cosim.load(file)
    assert caught.value.key == f"ktram.core.{key}"
    assert str(caught.value).endswith(f": {sentence}")


def test_tiles_and_ktram_exclude_one_another(tmp_path: Path) -> None:
    file = file_of(tmp_path, "    - read: {tuples: [[0, 0]]}\n", head=HEAD + "tiles: {t: {}}\n")
    _, errors = parse(document_of(file), tmp_path)
    assert [str(error) for error in errors] == [
        f"{file}:4:1: tiles: must not stand beside ktram; leave one of them out"
    ]


def test_physical_fidelity_takes_time_and_energy_beside_a_baseline(tmp_path: Path) -> None:
    body = (
        "ktram:\n  core: {model: byte, init: low, read_noise: 0, fidelity: physical}\n"
        "  circuit: {r_word_line: 2 ohm, top_conductance: 100 uS}\n  controller: {comparators: 1}\n  program:\n"
    )
    program = "    - classify: {data: iris, epochs: 1, encoder_epochs: 1, train_values: 9, test_values: 4, peers: false}\n"
    file = file_of(tmp_path, program + "baseline: {}\n", body)
    summary = cosim.run(cosim.load(file)).summary
    (found,) = summary["operations"]
    assert found["conductance_scale_s"] == pytest.approx(1e-4 / 255)
    assert found["applied"] == ["operator_split"]
    assert 0 < found["baseline_per_inference"]["joules"] < 1e-6
    assert found["energy_j"] == pytest.approx(summary["energy"]["total_j"])
    assert found["end_s"] == pytest.approx(
        9 * found["per_training_step"]["seconds"] + 4 * found["per_inference"]["seconds"]
    )
    assert set(summary["energy"]["by_kind_j"]) == {"read", "feedback", "rank"}


def test_a_circuit_belongs_to_physical_fidelity(tmp_path: Path) -> None:
    body = "ktram:\n  circuit: {r_rail: 1 ohm}\n  program:\n"
    with pytest.raises(InputError, match=r"ktram\.circuit: must be left out at fidelity ideal"):
        cosim.run(cosim.load(file_of(tmp_path, "    - read: {tuples: [[0]]}\n", body)))
    body = "ktram:\n  core: {fidelity: physical}\n  circuit: {r_rail: -1 ohm}\n  program:\n"
    with pytest.raises(InputError, match="must be finite and not negative, not -1"):
        cosim.load(file_of(tmp_path, "    - read: {tuples: [[0]]}\n", body))
