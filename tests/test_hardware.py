"""The hardware description becomes a network and line capacitances."""

from __future__ import annotations

import dataclasses

import pytest

from cosim.errors import DeviceError
from cosim.hardware import ArraySpec, Hardware, WireSpec


def hardware(**changes: object) -> Hardware:
    wires = WireSpec(word_line=2.5, bit_line=4.0, capacitance=1e-16)
    return Hardware(ArraySpec(3, 5, wires)).replace(**changes)


def test_network() -> None:
    made = hardware()
    array = made.network("t").arrays[0]
    assert array.name == "t"
    assert array.shape == (3, 5)
    assert (array.word_segments == 2.5).all()
    assert (array.bit_segments == 4.0).all()
    assert array.r_left == made.driver.output_resistance
    assert array.r_bottom == made.sense.input_resistance
    assert array.device is made.device


def test_line_capacitance_counts_one_segment_more_than_crossings() -> None:
    c = hardware().line_capacitance()
    assert c.word == pytest.approx(6e-16)
    assert c.bit == pytest.approx(4e-16)
    assert c.gate == c.word


def test_defaults_can_be_programmed() -> None:
    made = Hardware(ArraySpec(2, 2))
    assert made.cell.gated
    assert made.device.programming_pulse(made.temperature) is not None
    assert made.periphery.adc is made.adc


def test_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        hardware().temperature = 1.0  # type: ignore[misc]


@pytest.mark.parametrize("rows", [0, -1, 65537])
def test_refused_sizes(rows: int) -> None:
    with pytest.raises(DeviceError, match=rf"array.rows: must be between 1 and 65536, not {rows}"):
        ArraySpec(rows, 4)


@pytest.mark.parametrize("temperature", [0.0, -5.0, 2000.0, float("nan")])
def test_refused_temperatures(temperature: float) -> None:
    with pytest.raises(DeviceError, match=r"hardware.temperature: must be above 0 K and below 2000 K"):
        hardware(temperature=temperature)
