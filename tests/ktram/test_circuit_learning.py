"""Iris on circuits: what geometry and line policy do to accuracy, time and energy."""

from __future__ import annotations

from typing import Any

import pytest

from cosim.ktram import Controller, LaneCircuit
from cosim.ktram.program import Classify
from cosim.ktram.timed_program import TimedProgram
from cosim.records import Trace

WIRES = {"r_word_line": 2.0, "r_bit_line": 2.0, "r_rail": 20.0, "r_node": 10.0}
CASES: tuple[tuple[str, int, Any], ...] = (
    ("ideal", 1, None),
    ("1 x 8, floating", 1, LaneCircuit(**WIRES)),
    ("2 x 4, floating", 2, LaneCircuit(**WIRES)),
    ("2 x 4, grounded", 2, LaneCircuit(lines="grounded", **WIRES)),
    ("2 x 4, tracking", 2, LaneCircuit(lines="tracking", **WIRES)),
)


def learned(model: str, rows: int, circuit: LaneCircuit | None, **recipe: Any) -> dict[str, Any]:
    settings: dict[str, Any] = {"model": model, "init": "low", "read_noise": 0}
    if circuit is not None:
        settings |= {"fidelity": "physical", "circuit": circuit}
    step = Classify(rows=rows, peers=False, **recipe)
    return TimedProgram(Controller(), Trace(), settings, 0).run(step, None, "p", 0).details()


@pytest.mark.acceptance
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("model", ["byte", "rs", "mss"])
def test_print_what_circuits_do_to_learning(model: str) -> None:
    """The table of docs/ktram-circuits.md."""
    print()  # noqa: T201
    accuracy = {}
    for name, rows, circuit in CASES:
        found = learned(model, rows, circuit, data="iris", splits=2, epochs=2, encoder_epochs=3)
        accuracy[name] = found["accuracy"]
        print(line(f"{model} | {name}", found))  # noqa: T201
    assert accuracy["1 x 8, floating"] == pytest.approx(accuracy["ideal"], abs=0.06)
    assert accuracy["2 x 4, tracking"] < accuracy["1 x 8, floating"] - 0.05


def line(name: str, found: dict[str, Any]) -> str:
    """Return a row of the table."""
    inference, step = found["per_inference"], found["per_training_step"]
    return (
        f"| {name} | {100 * found['accuracy']:.1f} % | {1e6 * inference['seconds']:.2f} us, "
        f"{1e12 * inference['joules']:.2f} pJ | {1e6 * step['seconds']:.2f} us, {1e9 * step['joules']:.2f} nJ |"
    )


@pytest.mark.acceptance
@pytest.mark.timeout(1800)
def test_print_digits_on_circuits() -> None:
    """Ten lanes of 65 spaces of 4 channels, one row or 2 x 2."""
    recipe = {
        "data": "digits",
        "bits": 2,
        "epochs": 1,
        "encoder_epochs": 1,
        "train_values": 300,
    }
    print()  # noqa: T201
    accuracy = {}
    for name, rows, circuit in CASES:
        found = learned("byte", rows, circuit, **recipe)
        accuracy[name] = found["accuracy"]
        print(line(f"digits, byte | {name.replace('8', '4').replace('2 x 4', '2 x 2')}", found))  # noqa: T201
    assert accuracy["1 x 8, floating"] == pytest.approx(accuracy["ideal"], abs=0.05)
