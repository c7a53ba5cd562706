"""Outputs of sense circuits end at their swing: values, counts, ranges, refusals."""

from __future__ import annotations

import numpy as np
import pytest

from cosim.components.adc import Adc
from cosim.components.sense import Sense, SenseErrors
from cosim.components.tile import PHASE_KINDS
from cosim.crossbar import Cell, find
from cosim.devices import Resistor
from cosim.errors import DeviceError
from cosim.hardware import ArraySpec, Hardware
from cosim.records import Trace
from cosim.system import Read, System

G = np.array([[1e-5, 2e-5, 4e-5], [1e-5, 2e-5, 4e-5]])
"""At 0.2 V on both rows, and 10 kohm: 0.04, 0.08 and 0.16 V."""


def run(swing: float | None, adc: Adc, errors: SenseErrors | None = None) -> System:
    hardware = Hardware(
        ArraySpec(2, 3),
        Resistor(),
        Cell("1R"),
        adc=adc,
        sense=Sense(swing=swing, errors=errors or SenseErrors()),
    )
    system = System(Trace(), 1)
    system.add_tile("t", hardware, dict.fromkeys(PHASE_KINDS, find("behavioral")(fidelity="ideal")), G)
    system.run([Read(("t",), np.array([[1.0, 1.0], [0.2, 0.0], [1.0, 0.0]]), 0.2, None, None)])
    return system


@pytest.mark.parametrize("swing", [None, 0.1])
def test_outputs_beyond_the_swing_are_clipped_and_counted(swing: float | None) -> None:
    system = run(swing, Adc(kind="ideal"))
    found = system.trace.values.column("value").reshape(3, 3) * 1e4
    expected = np.array([[1.0, 1.0], [0.2, 0.0], [1.0, 0.0]]) @ G * 0.2 * 1e4
    details = system.trace.operations[0].details
    if swing is None:
        assert found == pytest.approx(expected, rel=1e-9)
        assert "sense_saturated" not in details
        assert system.trace.warnings == []
        return
    assert found == pytest.approx(np.minimum(expected, 0.1), rel=1e-9)
    assert details["sense_saturated"] == np.count_nonzero(expected > 0.1) == 1
    assert system.trace.warnings == ["operation 0: 1 samples beyond the swing of their sense circuits"]
    assert system.trace.conversions.column("current_a").max() == pytest.approx(1.6e-5, rel=1e-9)


def test_both_signs_and_offsets() -> None:
    """The limit comes after offset and gain error, on either side."""
    assert Sense(swing=0.1).limited(np.array([-0.3, -0.05, 0.2])).tolist() == [-0.1, -0.05, 0.1]
    details = run(0.1, Adc(kind="ideal"), SenseErrors(offset=0.05)).trace.operations[0].details
    assert details["sense_saturated"] == 3  # 0.13, 0.21 and 0.13 V; 0.09 V stays


def test_a_calibrated_range_ends_at_the_swing() -> None:
    assert run(0.1, Adc()).trace.operations[0].details["adc_range_v"] == [[0.0, 0.1]]
    assert run(None, Adc()).trace.operations[0].details["adc_range_v"][0][1] == pytest.approx(0.16)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"swing": 0.0}, "sense.swing: must be above zero, not 0.0"),
        (
            {"swing": 0.1, "kind": "comparator"},
            "sense.kind: must be tia, integrator, current-mirror or voltage-divider where swing is given, not comparator",
        ),
    ],
)
def test_refused(arguments: dict[str, object], sentence: str) -> None:
    with pytest.raises(DeviceError) as caught:
        Sense(**arguments)  # type: ignore[arg-type]
    assert str(caught.value) == sentence
