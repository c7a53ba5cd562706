"""The table of what goes together: every rule is broken by something, and its sentence is whole."""

from __future__ import annotations

import pytest

from cosim.crossbar.access import Mosfet, Selector
from cosim.crossbar.network import Cell
from cosim.devices import Resistor, find_preset
from cosim.devices.read_noise import ReadNoise
from cosim.devices.variation import Variation
from cosim.scenario.support import RULES, Choice, refused, refused_hardware

DEVICE = find_preset("mss-firm")
BARE, SWITCHED, LAW, SELECTED = Cell("1R"), Cell("1T1R"), Cell("1T1R", transistor=Mosfet()), Cell("1S1R")
BROKEN = [
    Choice(DEVICE, SWITCHED, "gate", sense="comparator"),
    Choice(Resistor(), BARE, "V/2"),
    Choice(DEVICE, SELECTED, "gate"),
    Choice(DEVICE, LAW, "V/3"),
    Choice(DEVICE, SWITCHED, "gate", "gate-ramp"),
    Choice(DEVICE, SWITCHED, "gate", "terminated", "row", reacts=True),
]


@pytest.mark.parametrize(("rule", "choice"), list(zip(RULES, BROKEN, strict=True)))
def test_every_rule_is_broken_by_something(rule: object, choice: Choice) -> None:
    found = refused(choice)
    assert found is not None
    assert found.title == rule.title  # type: ignore[attr-defined]
    assert "{" not in found.sentence


@pytest.mark.parametrize(
    "choice",
    [
        Choice(DEVICE, BARE, "V/2"),
        Choice(DEVICE, SELECTED, "V/3", "incremental-amplitude", "row"),
        Choice(DEVICE, SWITCHED, "gate", "terminated", reacts=True),
        Choice(DEVICE, LAW, "gate", "gate-ramp", "row"),
    ],
)
def test_what_goes_together(choice: Choice) -> None:
    assert refused(choice) is None


def test_read_noise_needs_a_resistance() -> None:
    noisy = Variation(read_noise=ReadNoise())
    assert refused_hardware(SWITCHED, noisy) is None
    assert refused_hardware(Cell("1S1R", selector=Selector()), Variation()) is None
    for cell in (LAW, SELECTED):
        assert refused_hardware(cell, noisy) is not None
