"""Quantizer: codes rise, half a code inside the range, saturation counted, INL and DNL as they were set."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosim.components.adc import Adc, AdcCalibration
from cosim.components.quantizer import ConverterErrors, quantize, transitions
from cosim.errors import DeviceError

NONE = ConverterErrors()
volts = st.floats(-3, 3, allow_nan=False)


@given(st.integers(1, 16), st.lists(volts, min_size=2, max_size=40), volts, st.floats(1e-3, 4))
def test_codes_rise_with_the_input(bits: int, inputs: list[float], low: float, span: float) -> None:
    ordered = np.sort(np.array(inputs))
    found = quantize(ordered, low, low + span, bits, NONE)
    assert np.all(np.diff(found.codes) >= 0)
    assert found.codes.min() >= 0
    assert found.codes.max() < 1 << bits


@given(
    st.integers(3, 12), st.lists(volts, min_size=2, max_size=40), st.floats(0, 2), st.floats(0, 0.95),
    st.floats(-0.1, 0.1), st.floats(-0.05, 0.05),
)  # fmt: skip
def test_codes_rise_with_errors_too(
    bits: int, inputs: list[float], inl: float, dnl: float, offset: float, gain: float
) -> None:
    errors = ConverterErrors(offset=offset, gain=gain, inl=inl, dnl=dnl)
    found = quantize(np.sort(np.array(inputs)), -1.0, 1.0, bits, errors)
    assert np.all(np.diff(found.codes) >= 0)


@given(st.integers(1, 20), st.floats(0, 1), volts, st.floats(1e-3, 4))
def test_half_a_code_inside_the_range(bits: int, part: float, low: float, span: float) -> None:
    lsb = span / ((1 << bits) - 1)
    value = low + part * span
    found = quantize(np.array([value]), low, low + span, bits, NONE)
    assert abs(found.values[0] - value) <= 0.5 * lsb * (1 + 1e-9) + 1e-15
    assert not found.saturated[0]


@given(st.integers(1, 12), st.lists(st.floats(-2, 3), min_size=1, max_size=60))
def test_saturation_is_counted(bits: int, inputs: list[float]) -> None:
    lsb = 1.0 / ((1 << bits) - 1)
    given_ = np.array(inputs)
    found = quantize(given_, 0.0, 1.0, bits, NONE)
    inside = (given_ > -0.49 * lsb) & (given_ < 1 + 0.49 * lsb)
    outside = (given_ < -0.51 * lsb) | (given_ > 1 + 0.51 * lsb)
    assert not found.saturated[inside].any()
    assert found.saturated[outside].all()
    assert set(found.codes[outside].tolist()) <= {0, (1 << bits) - 1}


@given(
    st.integers(1, 12), volts, st.lists(volts, max_size=20), st.integers(0, 20), st.floats(0, 0.9), st.floats(0, 1)
)  # fmt: skip
def test_a_code_does_not_depend_on_its_neighbours(
    bits: int, value: float, others: list[float], place: int, dnl: float, inl: float
) -> None:
    errors = ConverterErrors(inl=inl, dnl=dnl, offset=0.01)
    alone = quantize(np.array([value]), -1.0, 1.0, bits, errors).codes[0]
    crowd = np.array([*others[:place], value, *others[place:]])
    position = min(place, len(others))
    assert quantize(crowd, -1.0, 1.0, bits, errors).codes[position] == alone


def histogram(bits: int, errors: ConverterErrors, per_code: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """Return DNL and end-point INL [LSB] by the histogram of a slow ramp.

    The ramp goes beyond both ends and covers every code with equal density, so the share of a code is its width; the two end codes have
    no width of their own. With the mean width as LSB, the sum of the deviations is the end-point INL.
    """
    top = (1 << bits) - 1
    ramp = np.arange(-12 * per_code, (top + 12) * per_code) / per_code
    counts = np.bincount(quantize(ramp, 0.0, float(top), bits, errors).codes, minlength=top + 1)[1:-1]
    widths = counts / counts.mean()
    dnl = widths - 1.0
    return dnl, np.cumsum(dnl)


@pytest.mark.parametrize(
    ("bits", "inl", "dnl"),
    [
        (8, 0.5, 0.0),
        (8, 1.0, 0.3),
        (8, 0.5, 0.5),
        (10, 2.0, 0.9),
        (6, 0.4, 0.2),
        (12, 3.0, 0.1),
        (8, 0.2, 0.4),
    ],
)
def test_nonlinearity_by_the_histogram_is_what_was_set(bits: int, inl: float, dnl: float) -> None:
    measured_dnl, measured_inl = histogram(bits, ConverterErrors(inl=inl, dnl=dnl))
    slope = 2 * inl / ((1 << bits) - 2)
    assert np.abs(measured_inl).max() == pytest.approx(inl, abs=0.05)
    assert np.abs(measured_dnl).max() == pytest.approx(max(dnl, slope), abs=0.05)


@pytest.mark.parametrize(("inl", "dnl"), [(0.3, 0.0), (0.0, 0.4), (0.5, 0.9)])
def test_two_bits_have_one_transition_to_shift(inl: float, dnl: float) -> None:
    """Codes 1 and 2 are as much wider and narrower as the transition between them is moved: INL and DNL are one figure."""
    for measured in histogram(2, ConverterErrors(inl=inl, dnl=dnl)):
        assert np.abs(measured).max() == pytest.approx(max(inl, dnl), abs=0.01)


def test_offset_and_gain_do_not_bend() -> None:
    dnl, inl = histogram(8, ConverterErrors(offset=3.0, gain=-0.02))
    assert np.abs(dnl).max() < 0.02
    assert np.abs(inl).max() < 0.02


def test_a_measured_nonlinearity_can_be_missed() -> None:
    """The method sees an error that was not declared: it is no tautology."""
    dnl, _ = histogram(8, ConverterErrors(dnl=0.6))
    assert np.abs(dnl).max() > 0.3


def test_offset_and_gain_are_those_of_a_line() -> None:
    """Input x, range 0 to 1 V: the converter sees x (1 + 1 %) + 20 mV."""
    errors = ConverterErrors(offset=0.02, gain=0.01)
    x = np.linspace(0.0, 0.9, 5001)
    found = quantize(x, 0.0, 1.0, 14, errors)
    slope, offset = np.polyfit(x, found.values, 1)
    assert slope == pytest.approx(1.01, abs=1e-4)
    assert offset == pytest.approx(0.02, abs=1e-4)


def test_noise_has_its_rms() -> None:
    errors = ConverterErrors(noise=0.01)
    found = quantize(np.full(200_000, 0.5), 0.0, 1.0, 14, errors, np.random.default_rng(1))
    assert found.values.std() == pytest.approx(0.01, rel=0.01)
    assert found.values.mean() == pytest.approx(0.5, abs=1e-4)


@pytest.mark.parametrize(
    ("dither", "variance"), [("rectangular", 1 / 12 + 1 / 12), ("triangular", 2 / 12 + 1 / 12)]
)
def test_dither_makes_the_mean_linear(dither: str, variance: float) -> None:
    """Between two codes, at 3.3 LSB: the mean of dithered codes is 3.3, without dither it is 3.

    Triangular dither makes the variance of the error constant: 2/12 of the dither and 1/12 of the rounding.
    """
    errors = ConverterErrors(dither=dither)  # type: ignore[arg-type]
    found = quantize(np.full(200_000, 3.3), 0.0, 15.0, 4, errors, np.random.default_rng(2))
    assert found.codes.mean() == pytest.approx(3.3, abs=0.01)
    if dither == "triangular":
        assert (found.codes - 3.3).var() == pytest.approx(variance, rel=0.02)
    assert quantize(np.array([3.3]), 0.0, 15.0, 4, NONE).codes[0] == 3


@given(st.integers(3, 14), st.floats(0, 3), st.floats(0, 0.99))
def test_transitions_increase(bits: int, inl: float, dnl: float) -> None:
    if 2 * inl < (1 << bits) - 2:
        steps = transitions(bits, inl, dnl)
        assert len(steps) == (1 << bits) - 1
        assert np.all(np.diff(steps) > 0)


def test_calibration_by_min_max_and_percentile() -> None:
    profile = np.stack([np.linspace(0, 1, 1001), np.linspace(0, 2, 1001)], axis=1)
    assert [float(v) for v in AdcCalibration().span(profile)] == [0.0, 2.0]
    low, high = AdcCalibration(method="percentile", percentile=0.9).span(profile[:, :1])
    assert (float(low), float(high)) == (0.0, pytest.approx(0.9))
    low, high = AdcCalibration(columns="each").span(profile)
    assert (low.tolist(), high.tolist()) == ([0.0, 0.0], [1.0, 2.0])
    low, high = AdcCalibration(columns="each").span(profile - 0.5)
    assert (low.tolist(), high.tolist()) == ([-0.5, -0.5], [0.5, 1.5])


def test_ranges_by_column() -> None:
    """Each column has its own LSB: 1 V is full scale in one and half scale in the other."""
    found = quantize(np.array([1.0, 1.0]), np.zeros(2), np.array([1.0, 2.0]), 8, NONE)
    assert found.codes.tolist() == [255, 128]
    assert found.values == pytest.approx([1.0, 1.0], abs=1 / 255)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: ConverterErrors(dnl=1.0), "errors.dnl: must be zero or above and below 1 LSB (no missing codes), not 1.0"),
        (lambda: ConverterErrors(noise=-1.0), "errors.noise: must be zero or above, not -1.0"),
        (lambda: ConverterErrors(inl=-0.1), "errors.inl: must be zero or above, not -0.1"),
        (lambda: ConverterErrors(gain=-1.0), "errors.gain: must be above -100 % and below 1000 %, not -1.0"),
        (lambda: Adc(bits=3, errors=ConverterErrors(inl=3.0)), "adc.errors.inl: must be below 3 LSB, so that codes rise, not 3.0"),
        (lambda: AdcCalibration(percentile=0.2), "calibration.percentile: must be above 50 % and at most 100 %, not 0.2"),
    ],
)  # fmt: skip
def test_refused_values(make, sentence: str) -> None:
    with pytest.raises(DeviceError) as refused:
        make()
    assert str(refused.value) == sentence
