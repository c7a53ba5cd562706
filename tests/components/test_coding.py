"""Input codings: the weighted phases add up to the voltage that was asked for."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosim.components import coding as module
from cosim.components.coding import Amplitude, CodedInputs, InputCoding, find_coding, input_codings
from cosim.components.dac import Dac, InputCalibration
from cosim.errors import DeviceError, UnknownNameError

CODINGS = ("amplitude", "bit-serial", "pwm", "split-pwm")


def wanted(coded: CodedInputs) -> np.ndarray:
    """Return what the weighted phases stand for, ``(vectors, rows)`` [V]."""
    return np.tensordot(coded.weights, coded.effective(), axes=1)


@pytest.mark.parametrize("name", CODINGS)
@given(
    bits=st.integers(2, 10), parts=st.lists(st.floats(0, 1), min_size=1, max_size=8), width=st.integers(1, 4)
)
def test_phases_add_up_to_the_nearest_code(name: str, bits: int, parts: list[float], width: int) -> None:
    dac = Dac(bits=bits, range=(0.0, 0.25), slice=min(width, bits))
    voltage = 0.25 * np.array([parts])
    coded = find_coding(name).encode(dac, voltage)
    assert np.abs(wanted(coded) - voltage).max() <= 0.5 * dac.lsb * (1 + 1e-9)
    assert np.allclose(wanted(coded), dac.convert(voltage)[0], rtol=0, atol=1e-15 + dac.lsb * 1e-9)
    assert coded.saturated.tolist() == [0]


@pytest.mark.parametrize("name", CODINGS)
def test_signs_go_through_a_bipolar_dac(name: str) -> None:
    dac = Dac(bits=9 if name == "amplitude" else 8, range=(-0.2, 0.2))
    voltage = np.array([[0.2, -0.2, 0.1, -0.05, 0.0]])
    coded = find_coding(name).encode(dac, voltage)
    assert np.abs(wanted(coded) - voltage).max() <= 0.5 * 0.4 / 255


@pytest.mark.parametrize("name", CODINGS)
def test_what_does_not_fit_saturates(name: str) -> None:
    dac = Dac(bits=4, range=(0.0, 0.2))
    coded = find_coding(name).encode(dac, np.array([[0.3, 0.1, 0.2], [0.1, 0.0, 0.2]]))
    assert coded.saturated.tolist() == [1, 0]
    assert wanted(coded)[0, 0] == pytest.approx(0.2)


@pytest.mark.parametrize(("bits", "width", "phases"), [(8, 1, 8), (8, 2, 4), (8, 3, 3), (5, 2, 3), (1, 1, 1)])
def test_bits_are_phases(bits: int, width: int, phases: int) -> None:
    """B bits in slices of k are ceil(B / k) array phases."""
    coded = find_coding("bit-serial").encode(Dac(bits=bits, slice=width), np.array([[0.2]]))
    assert coded.phases == phases
    assert coded.amplitude.max() == pytest.approx(0.2)


def test_bits_of_a_code() -> None:
    """Code 11 of 4 bits is 1101 from the lowest bit; weights 1, 2, 4, 8 over 15."""
    coded = find_coding("bit-serial").encode(Dac(bits=4, range=(0.0, 0.15)), np.array([[0.11]]))
    assert coded.amplitude[:, 0, 0].tolist() == pytest.approx([0.15, 0.15, 0.0, 0.15])
    assert coded.weights * 15 == pytest.approx([1, 2, 4, 8])


def test_widths_of_a_code() -> None:
    """Code 180 of 8 bits: 180 slots of 255, or 4 and 11 slots of 15 with weights 15/255 and 16*15/255."""
    voltage = np.array([[180 * 0.2 / 255]])
    pwm, split = (find_coding(name).encode(Dac(bits=8), voltage) for name in ("pwm", "split-pwm"))
    assert (pwm.slots.ravel().tolist(), pwm.spans.tolist()) == ([180], [255])  # type: ignore[union-attr]
    assert (split.slots.ravel().tolist(), split.spans.tolist()) == ([4, 11], [15, 15])  # type: ignore[union-attr]
    assert split.weights == pytest.approx([15 / 255, 16 * 15 / 255])


def test_energy_of_bits_and_slices() -> None:
    bits = find_coding("bit-serial")
    assert bits.energy(Dac()) == 3.9e-15
    assert bits.energy(Dac(slice=3)) == 4 * 3.9e-15
    assert Amplitude().energy(Dac()) == 37.5e-15
    assert "MNSIM" in bits.formula(Dac()).source


def test_calibration_of_the_inputs() -> None:
    inputs = np.append(np.linspace(0, 1, 1000), 50.0)
    assert InputCalibration().full_scale(inputs) == 50.0
    assert InputCalibration(method="percentile", percentile=0.999).full_scale(inputs) == pytest.approx(1.0)
    assert InputCalibration().full_scale(np.zeros(4)) == 1.0
    sparse = np.append(np.zeros(1000), 3.0)
    assert InputCalibration(method="percentile", percentile=0.9).full_scale(sparse) == 3.0


def test_a_slice_must_fit() -> None:
    with pytest.raises(DeviceError, match=r"dac\.slice: must be between 1 and 8, not 9"):
        Dac(slice=9)


def test_codings_of_other_packages_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("unary", f"{__name__}:Unary", "cosim.input_codings")
    monkeypatch.setattr(module, "entry_points", lambda group: [point])
    for cached in (input_codings, find_coding):
        cached.cache_clear()
    try:
        assert find_coding("unary").name == "unary"
        with pytest.raises(UnknownNameError, match="no input coding called 'binary'"):
            find_coding("binary")
    finally:
        for cached in (input_codings, find_coding):
            cached.cache_clear()


class Unary(InputCoding):
    """A coding of another package."""

    name = "unary"

    def encode(self, dac: Dac, voltage: np.ndarray) -> CodedInputs:
        return Amplitude().encode(dac, voltage)
