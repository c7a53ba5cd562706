"""Programs in time: the same results as without a clock, with seconds and joules of what was done."""

from __future__ import annotations

from typing import Any

import pytest

from cosim.ktram import Controller, Core, LaneCircuit
from cosim.ktram.program import Classify, Execute, Loop, Read, Start, Step, run_step
from cosim.ktram.timed_program import TimedProgram
from cosim.records import Trace
from cosim.units import seconds

SETTINGS: dict[str, Any] = {"model": "byte", "init": "low", "read_noise": 0}
LANES = (0, 1, 2)
TUPLES = ((0, 1, None), (3, None, 2))


@pytest.mark.parametrize("order", ["given", "random"])
def test_steps_find_what_they_find_without_a_clock(order: Any) -> None:
    loop = Loop(
        2,
        (
            Start(((1, 1, 1),), 0.3, 0.5, LANES),
            Execute(TUPLES, ("FF", "RU"), LANES, 4, order),
            Read(TUPLES, "FFLV", LANES),
        ),
    )
    steps: list[Step] = [Execute(TUPLES, ("FF", "RH"), (0, 2), 3, order), Read(TUPLES, "RFLV", LANES), loop]
    core, twin = (Core(2, 2, 3, 3, seed=5, **{**SETTINGS, "init": "medium_noise"}) for _ in range(2))
    trace = Trace()
    timed = TimedProgram(Controller(comparators=2), trace, SETTINGS, 7)
    for index, step in enumerate(steps):
        ours = timed.run(step, core, f"p/{index}", index)
        theirs = run_step(step, twin, SETTINGS, 7, f"p/{index}")
        assert ours.details() == theirs.details()
    assert (core.state == twin.state).all()
    assert trace.end_fs > 0
    assert sum(row[5] for row in trace.energies) == pytest.approx(
        trace.instructions.column("energy_j").sum(), rel=1e-12
    )


def test_a_classifier_learns_the_same_in_time() -> None:
    step = Classify("iris", 3, 1, epochs=2, encoder_epochs=2, peers=False, train_values=60)
    trace = Trace()
    c = Controller(comparators=1)
    ours = TimedProgram(c, trace, SETTINGS, 3).run(step, None, "p", 0).details()
    theirs = run_step(step, None, SETTINGS, 3, "p").details()
    for key in ("accuracy", "confusion", "instructions", "lanes", "spaces", "synapse_updates"):
        assert ours[key] == theirs[key], key
    spent = 2 * 60 * ours["per_training_step"]["seconds"] + 38 * ours["per_inference"]["seconds"]
    assert spent == pytest.approx(seconds(trace.end_fs), rel=1e-9)
    energy = 2 * 60 * ours["per_training_step"]["joules"] + 38 * ours["per_inference"]["joules"]
    assert energy == pytest.approx(sum(row[5] for row in trace.energies), rel=1e-12)
    # three lanes, one comparator: an inference is a read and three sweeps, each up to the lane's trip
    read = c.select + c.release + 1e-6
    assert read + 3 * c.compare < ours["per_inference"]["seconds"] < read + 3 * (c.ramp + c.compare)


def test_geometry_and_lines_decide_whether_a_circuit_learns() -> None:
    """Iris on 1 x 8 crossbars with wires learns as ideal lanes do; folded into 2 x 4 with floating lines it loses."""
    step = {
        "data": "iris",
        "epochs": 2,
        "encoder_epochs": 2,
        "peers": False,
        "train_values": 60,
        "test_values": 30,
    }
    settings = {**SETTINGS, "fidelity": "physical"}
    wires = {"r_word_line": 2.0, "r_bit_line": 2.0, "r_rail": 20.0, "r_node": 10.0}
    found = {}
    for name, rows, options in (
        ("ideal", 1, SETTINGS),
        ("flat", 1, {**settings, "circuit": LaneCircuit(**wires)}),
        ("folded", 2, {**settings, "circuit": LaneCircuit(**wires)}),
    ):
        outcome = TimedProgram(Controller(), Trace(), options, 3).run(
            Classify(rows=rows, **step), None, "p", 0
        )
        found[name] = outcome.found["accuracy"]
    assert found["flat"] == pytest.approx(found["ideal"], abs=0.07)
    assert found["folded"] <= found["flat"]
