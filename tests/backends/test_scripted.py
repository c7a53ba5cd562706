"""The scripted backend: the seam is small enough to be a callable."""

from __future__ import annotations

import dataclasses

import numpy as np

from cosim.backends.scripted import ScriptedBackend, nothing_happens
from cosim.crossbar import Cell, Phase, PhaseRequest, Segments, level, single
from cosim.devices import Resistor


def request() -> PhaseRequest:
    network = single("t", (2, 2), Resistor(), Cell("1R"), Segments())
    return PhaseRequest(
        network, (np.full((2, 2), 1e-5),), None, 0, 300.0, Phase("read", 10, {"wl0": level(1.0)}, (5,)), 0
    )


def test_nothing_happens() -> None:
    asked = request()
    result = ScriptedBackend().run(asked)
    assert result.states is asked.states
    assert result.duration_fs == 10
    assert result.samples.current.shape == (1, 4)
    assert not result.samples.current.any()
    assert result.energy.numerical == 0.0
    assert result.applied == ("scripted",)


def test_a_script_answers() -> None:
    def halved(asked: PhaseRequest):
        return dataclasses.replace(
            nothing_happens(asked), states=tuple(s / 2 for s in asked.states), duration_fs=3
        )

    result = ScriptedBackend(halved).run(request())
    assert (result.states[0] == 5e-6).all()
    assert result.duration_fs == 3
