"""DAC, ADC, driver, sense, sequencer: codes, durations, energies, sources."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosim.components.adc import Adc, AdcCalibration
from cosim.components.dac import Dac, InputCalibration
from cosim.components.driver import Driver, LevelShifter
from cosim.components.mux import Mux
from cosim.components.quantizer import ConverterErrors
from cosim.components.sense import Sense, SenseErrors
from cosim.components.sequencer import Sequencer
from cosim.components.write_verify import ProgrammingPulse, Verify
from cosim.crossbar import Cell
from cosim.errors import DeviceError
from cosim.hardware import WireSpec


@given(bits=st.integers(1, 12), code=st.integers(0, 4095))
def test_dac_codes_come_back(bits: int, code: int) -> None:
    dac = Dac(bits=bits, range=(-0.1, 0.3))
    code %= 1 << bits
    wanted = -0.1 + code * 0.4 / ((1 << bits) - 1)
    made, saturated = dac.convert(np.array([wanted, wanted + 0.49 * dac.lsb, wanted - 0.49 * dac.lsb]))
    assert np.allclose(made, wanted, rtol=0, atol=1e-12)
    assert saturated == 0


def test_dac_example() -> None:
    """8 bit over 0 to 2 V: 1.2 V is code 153 exactly, 0.2 V becomes 0.2039 V."""
    dac = Dac(bits=8, range=(0.0, 2.0))
    made, _ = dac.convert(np.array([1.2, 0.2]))
    assert made == pytest.approx([1.2, 26 * 2.0 / 255], rel=1e-15)


def test_dac_saturates_and_says_so() -> None:
    made, saturated = Dac().convert(np.array([-0.1, 0.1, 0.3, 0.2 + 0.4 * Dac().lsb]))
    assert saturated == 2
    assert (made[0], made[2], made[3]) == (0.0, 0.2, 0.2)


@given(bits=st.integers(1, 16), part=st.floats(0, 1))
def test_adc_rounds_to_half_a_code(bits: int, part: float) -> None:
    adc = Adc(bits=bits)
    low, high = -0.5, 1.5
    found = adc.convert(np.array([low + part * (high - low)]), low, high)
    assert abs(found.values[0] - (low + part * (high - low))) <= 0.5001 * (high - low) / ((1 << bits) - 1)
    assert not found.saturated[0]
    assert 0 <= found.codes[0] < 1 << bits


def test_adc_saturates_and_says_so() -> None:
    found = Adc(bits=4).convert(np.array([-1.0, 0.0, 1.0, 2.0]), 0.0, 1.0)
    assert found.codes.tolist() == [0, 0, 15, 15]
    assert found.saturated.tolist() == [True, False, False, True]
    assert found.values.tolist() == [0.0, 0.0, 1.0, 1.0]


def test_adc_conversion_takes_bits_plus_one_clocks() -> None:
    assert Adc(bits=8, clock=100e6).conversion_fs == 9 * 10**7
    assert Adc(bits=6, clock=1e9).conversion_fs == 7 * 10**6


def test_adc_energy() -> None:
    assert Adc(bits=8).conversion_energy == pytest.approx(0.267e-12 + 0.145e-18 * 65536, rel=1e-15)
    assert Adc(energy_model="fixed", energy=3e-12).conversion_energy == 3e-12
    assert Adc(bits=12).conversion_energy > Adc(bits=8).conversion_energy
    assert "murmann" in Adc().formula().source.lower()
    assert Adc(energy_model="fixed").formula().inputs == "energy = 2e-12 J"


PARTS = (
    Dac,
    InputCalibration,
    Adc,
    AdcCalibration,
    ConverterErrors,
    Mux,
    Driver,
    LevelShifter,
    SenseErrors,
    Sense,
    Sequencer,
    Cell,
    Verify,
    WireSpec,
)


@pytest.mark.parametrize("part", PARTS)
def test_every_default_has_a_source(part: type) -> None:
    for entry in dataclasses.fields(part):
        if "source" in entry.metadata:
            assert entry.metadata["source"].strip(), entry.name
            assert entry.metadata["doc"].strip(), entry.name
        elif entry.default is dataclasses.MISSING:  # a part with defaults of its own
            assert type(entry.default_factory()) in PARTS, entry.name  # type: ignore[misc]
        else:  # a choice without a number
            assert isinstance(entry.default, str), entry.name


@pytest.mark.parametrize("part", PARTS)
def test_parts_are_frozen(part: type) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(part(), dataclasses.fields(part)[0].name, 3)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Dac(bits=0), "dac.bits: must be between 1 and 24, not 0"),
        (lambda: Dac(range=(0.2, 0.2)), "dac.range: must be an increasing pair of voltages, not (0.2, 0.2)"),
        (lambda: Dac(latency=0.0), "dac.latency: must be above zero, not 0.0"),
        (lambda: Dac(energy=-1e-15), "dac.energy: must be zero or above, not -1e-15"),
        (lambda: Adc(bits=25), "adc.bits: must be between 1 and 24, not 25"),
        (lambda: Adc(count=0), "adc.count: must be at least 1, not 0"),
        (lambda: Adc(clock=0.0), "adc.clock: must be above zero and at most 1 THz, not 0.0"),
        (lambda: Adc(range=(1.0, 0.0)), "adc.range: must be an increasing pair of voltages, not (1.0, 0.0)"),
        (lambda: Driver(rise=0.0), "driver.rise: must be at least 1 fs, not 0.0"),
        (lambda: Driver(fall=1e-16), "driver.fall: must be at least 1 fs, not 1e-16"),
        (lambda: Sense(gain=0.0), "sense.gain: must be above zero, not 0.0"),
        (lambda: Sense(settling=-1e-9), "sense.settling: must be above zero, not -1e-09"),
        (lambda: Sequencer(decide_time=0.0), "sequencer.decide_time: must be above zero, not 0.0"),
        (lambda: Sequencer(combine_energy=-1.0), "sequencer.combine_energy: must be zero or above, not -1.0"),
        (lambda: ProgrammingPulse(0.0, 1e-6), "pulse.amplitude: must be above zero, not 0.0"),
        (lambda: ProgrammingPulse(1.0, 0.0), "pulse.width: must be at least 1 fs, not 0.0"),
        (lambda: Verify(window=0.0), "verify.window: must be between 0 % and 100 %, not 0.0"),
        (lambda: Verify(max_pulses=-1), "verify.max_pulses: must be zero or above, not -1"),
        (lambda: Verify(longest=0.5), "verify.longest: must be between 1 and 1e6, not 0.5"),
    ],
)  # fmt: skip
def test_refused_values(make, sentence: str) -> None:
    with pytest.raises(DeviceError) as refused:
        make()
    assert str(refused.value) == sentence


@pytest.mark.parametrize("part", [Dac, Adc, Driver, Sense, Sequencer])
@pytest.mark.parametrize("value", [float("nan"), -1.0])
def test_no_number_may_be_nan_or_negative(part: type, value: float) -> None:
    for entry in dataclasses.fields(part):
        if isinstance(entry.default, float):
            with pytest.raises(DeviceError, match=rf"\.{entry.name}: must be "):
                part(**{entry.name: value})
