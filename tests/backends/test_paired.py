"""The paired backend: the first one's answer, the second one's deviation."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from cosim.backends.behavioral import BehavioralBackend
from cosim.backends.paired import PairedBackend, deviation
from cosim.crossbar import Cell, Phase, PhaseRequest, Segments, level, single
from cosim.devices import DeviceModel, Resistor, find_preset

FIRM = find_preset("mss-firm")


def request(device: DeviceModel = FIRM, strobes: tuple[int, ...] = (10**8,)) -> PhaseRequest:
    network = single("t", (2, 2), device, Cell("1R"), Segments(20.0, 20.0), r_source=50.0)
    drives = {"wl0": level(0.65), "wl1": level(0.0), "bl0": level(0.0), "bl1": level(0.0)}
    states = (device.state_for(np.full((2, 2), 5e-6)),)
    return PhaseRequest(network, states, None, 0, 300.0, Phase("write", 10**9, drives, strobes), 0)


def test_the_first_answers_and_the_second_is_compared() -> None:
    paired = PairedBackend("behavioral", "behavioral", second_options={"fidelity": "ideal"})
    asked = request()
    result, alone = paired.run(asked), BehavioralBackend().run(asked)
    assert np.array_equal(result.states[0], alone.states[0])
    assert result.applied[-1] == "paired"
    noted = result.deviation
    assert noted is not None
    ideal = BehavioralBackend("ideal").run(asked)
    largest = np.abs(alone.samples.current).max()
    assert noted.current_relative == np.abs(alone.samples.current - ideal.samples.current).max() / largest
    assert noted.state_absolute == np.abs(alone.states[0] - ideal.states[0]).max()
    assert noted.largest_current == largest
    assert 1e-5 < noted.current_relative < 1e-2
    assert 0 < noted.energy_relative < 1e-2
    paired.close()


def test_equal_backends_do_not_deviate() -> None:
    noted = PairedBackend("behavioral", "behavioral").run(request(Resistor(), ())).deviation
    assert noted is not None
    assert (noted.current_relative, noted.state_absolute, noted.energy_relative) == (0.0, 0.0, 0.0)


def test_without_a_strobe_charges_are_compared() -> None:
    asked = request(strobes=())
    one = BehavioralBackend().run(asked)
    other = dataclasses.replace(one, net_charge=one.net_charge * 1.01)
    assert deviation(asked, one, other).current_relative == pytest.approx(0.01)


def test_describe_and_refusal() -> None:
    paired = PairedBackend("behavioral", "behavioral")
    assert paired.describe()["second"] == {"backend": "behavioral", "fidelity": "resistive"}
    assert paired.refusal(request().network, "write") is None
    assert paired.costly


@pytest.mark.ngspice
def test_behavioral_beside_ngspice() -> None:
    paired = PairedBackend()
    try:
        noted = paired.run(request()).deviation
    finally:
        paired.close()
    assert noted is not None
    assert noted.current_relative < 1e-4
    assert noted.state_absolute < 1e-4
    assert noted.energy_relative < 1e-3
