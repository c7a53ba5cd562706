"""The error tree: every class rebuilds from its args, pickles, and has its exit code."""

from __future__ import annotations

import pickle

import pytest
import simpy

from cosim import errors
from cosim.errors import CosimError, InputError, PhaseError, RunInterruptedError, ScenarioError

CLASSES = [
    value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, CosimError)
]
ARGUMENTS = {
    ScenarioError: ("file.yaml:3:5", "hardware.adc.bits", "must be less"),
    PhaseError: ("3 (write on tile t)", "out/netlists/x.cir", "ngspice died"),
}


def make(kind: type[CosimError]) -> CosimError:
    return kind(*ARGUMENTS.get(kind, ("something is wrong; write another thing",)))


@pytest.mark.parametrize("kind", CLASSES)
def test_rebuilds_from_its_args(kind: type[CosimError]) -> None:
    error = make(kind)
    again = type(error)(*error.args)
    assert (str(again), again.args, again.exit_code) == (str(error), error.args, error.exit_code)


@pytest.mark.parametrize("kind", CLASSES)
def test_pickles(kind: type[CosimError]) -> None:
    error = make(kind)
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is kind
    assert str(again) == str(error)
    assert vars(again) == {}


@pytest.mark.parametrize("kind", CLASSES)
def test_survives_simpy(kind: type[CosimError]) -> None:
    """Simpy raises a failed process's error anew in the process that waits for it."""
    environment = simpy.Environment()
    error = make(kind)

    def fails():
        yield environment.timeout(1)
        raise error

    def waits():
        yield environment.process(fails())

    with pytest.raises(kind) as caught:
        environment.run(until=environment.process(waits()))
    assert str(caught.value) == str(error)


@pytest.mark.parametrize("kind", CLASSES)
def test_is_drawn_in_the_tree(kind: type[CosimError]) -> None:
    assert kind.__name__ in (errors.__doc__ or "")


@pytest.mark.parametrize("kind", CLASSES)
def test_exit_code(kind: type[CosimError]) -> None:
    expected = {InputError: 2, RunInterruptedError: 130}
    assert kind.exit_code == next((code for base, code in expected.items() if issubclass(kind, base)), 1)


def test_sentences() -> None:
    assert str(make(ScenarioError)) == "file.yaml:3:5: hardware.adc.bits: must be less"
    assert str(ScenarioError("file.yaml", "", "is empty")) == "file.yaml: is empty"
    assert (
        str(make(PhaseError)) == "phase 3 (write on tile t): ngspice died (deck kept in out/netlists/x.cir)"
    )
    assert str(PhaseError("3", "", "ngspice died")) == "phase 3: ngspice died"
    assert str(CosimError()) == "CosimError"


def test_parts() -> None:
    scenario, phase = ScenarioError("f:1:2", "a.b", "is bad"), PhaseError("3", "deck", "died")
    assert (scenario.place, scenario.key) == ("f:1:2", "a.b")
    assert (phase.phase, phase.deck_path) == ("3", "deck")
