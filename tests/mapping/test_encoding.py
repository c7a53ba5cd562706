"""Encodings: decode(encode(W) times x) is W x, whatever the matrix."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosim.errors import DeviceError, InputError
from cosim.mapping import Encoded, WeightSlices, differential, single, sliced

LOW, HIGH = 1e-6, 9e-6


def product(encoded: Encoded, inputs: np.ndarray, volts: float) -> np.ndarray:
    voltage = inputs * volts
    return encoded.decoding.decode(tuple(voltage @ part for part in encoded.parts), voltage, volts)


@given(seed=st.integers(0, 10**6), rows=st.integers(1, 6), columns=st.integers(1, 6))
def test_differential_is_exact(seed: int, rows: int, columns: int) -> None:
    rng = np.random.default_rng(seed)
    matrix, inputs = rng.uniform(-3, 3, (rows, columns)), rng.uniform(-1, 1, (4, rows))
    encoded = differential(matrix, LOW, HIGH)
    assert np.allclose(product(encoded, inputs, 0.2), inputs @ matrix, rtol=0, atol=1e-12 * rows)
    positive, negative = encoded.parts
    for part in encoded.parts:
        assert part.min() >= LOW * (1 - 1e-12)
        assert part.max() <= HIGH * (1 + 1e-12)
    assert (np.minimum(positive, negative) == LOW).all()
    assert max(positive.max(), negative.max()) == pytest.approx(HIGH)


@given(seed=st.integers(0, 10**6))
def test_single_is_exact(seed: int) -> None:
    rng = np.random.default_rng(seed)
    matrix, inputs = rng.uniform(0, 3, (4, 3)), rng.uniform(0, 1, (2, 4))
    encoded = single(matrix, LOW, HIGH)
    assert np.allclose(product(encoded, inputs, 0.1), inputs @ matrix, rtol=0, atol=1e-12)
    assert len(encoded.parts) == 1


def test_signs_and_scale() -> None:
    encoded = differential(np.array([[2.0, -1.0, 0.0]]), LOW, HIGH)
    assert encoded.decoding.factors == (1.0, -1.0)
    assert encoded.decoding.unit == (HIGH - LOW) / 2
    assert encoded.parts[0][0] == pytest.approx([9e-6, 1e-6, 1e-6])
    assert encoded.parts[1][0] == pytest.approx([1e-6, 5e-6, 1e-6])


@pytest.mark.parametrize(
    ("matrix", "rule"),
    [
        (np.zeros((2, 2)), "must have an element other than 0"),
        (np.array([[1.0, np.nan]]), r"element \(0, 1\) must be a finite number, not nan"),
        (np.ones(3), "must have two dimensions, not 1"),
    ],
)
@pytest.mark.parametrize("encode", [differential, single])
def test_refused_matrices(encode, matrix: np.ndarray, rule: str) -> None:
    with pytest.raises(InputError, match=rule):
        encode(matrix, LOW, HIGH)


def test_single_takes_nothing_negative() -> None:
    with pytest.raises(InputError, match=r"element \(1, 0\) is -1, but encoding single takes no negative"):
        single(np.array([[1.0], [-1.0]]), LOW, HIGH)


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize(("bits", "cell"), [(8, 2), (7, 3), (4, 1), (5, 5)])
def test_slices_add_up_to_the_nearest_code(bits: int, cell: int, signed: bool) -> None:
    """The weighted conductances of the slices give back the matrix within half a step of its bits."""
    matrix = np.random.default_rng(1).uniform(-1 if signed else 0, 1, (5, 3))
    slices = WeightSlices(bits, cell)
    encoded = sliced(matrix, 1e-6, 1e-5, slices, signed=signed)
    assert len(encoded.parts) == slices.count * (2 if signed else 1)
    assert all(part.min() >= 1e-6 and part.max() <= 1e-5 * (1 + 1e-12) for part in encoded.parts)
    levels = {round((g - 1e-6) / 9e-6 * ((1 << cell) - 1), 9) for part in encoded.parts for g in part.ravel()}
    assert levels <= set(map(float, range(1 << cell)))
    voltage = np.eye(5)
    back = encoded.decoding.decode(tuple(voltage @ part for part in encoded.parts), voltage, 1.0)
    assert np.abs(back - matrix).max() <= np.abs(matrix).max() / (2 * ((1 << bits) - 1)) * (1 + 1e-9)
    assert encoded.decoding.slices == slices.count


def test_bits_of_a_cell_fit_the_weight() -> None:
    with pytest.raises(DeviceError, match=r"^slices\.cell_bits: must be between 1 and 4, not 5$"):
        WeightSlices(4, 5)
