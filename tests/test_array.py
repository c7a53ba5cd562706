"""`cosim.Array`: ten lines from a numpy matrix to result, error, seconds and joules."""

from __future__ import annotations

import numpy as np
import pytest

import cosim
from cosim.components.adc import Adc
from cosim.components.dac import Dac
from cosim.components.read_path import TransposedPeriphery
from cosim.crossbar import Cell
from cosim.devices import Resistor
from cosim.errors import InputError
from cosim.hardware import ArraySpec, Hardware

WEIGHTS = np.array([[1.0, -0.5, 0.25], [0.0, 0.75, -1.0]])


@pytest.fixture(scope="module")
def array() -> cosim.Array:
    return cosim.Array.program(WEIGHTS)


def test_product(array: cosim.Array) -> None:
    x = np.array([1.0, 0.5, 0.25])
    y = array @ x
    assert y.shape == (2,)
    assert np.allclose(y, WEIGHTS @ x, atol=0.06)


def test_columns_of_a_matrix(array: cosim.Array) -> None:
    x = np.random.default_rng(0).uniform(0, 1, (3, 7))
    assert (array @ x).shape == (2, 7)
    assert np.allclose(array @ x, WEIGHTS @ x, atol=0.1)


def test_summary() -> None:
    made = cosim.Array.program(WEIGHTS, seed=3)
    made @ np.array([1.0, 1.0, 1.0])
    summary = made.summary()
    assert [entry["op"] for entry in summary["operations"]] == ["write", "read"]
    assert summary["time"]["end_s"] > 0
    assert summary["energy"]["total_j"] > 0
    assert summary["energy"]["balance"]["relative_error"] < 1e-9
    assert summary["operations"][1]["error"]["rms_relative"] < 0.1
    assert summary["seed"] == 3
    assert len(made.trace.frame("pulses")) > 0


def test_better_hardware_makes_a_smaller_error() -> None:
    """A finer window and finer converters leave less error."""
    from cosim.components.write_verify import Verify

    x = np.array([0.9, 0.4, 0.7])
    fine = Hardware(ArraySpec(3, 2), adc=Adc(bits=14), dac=Dac(bits=14))
    exact = cosim.Array.program(WEIGHTS, fine, verify=Verify(window=0.002, pulses="adaptive-width"))
    assert np.abs(exact @ x - WEIGHTS @ x).max() < 0.01


def test_size_follows_the_weights() -> None:
    made = cosim.Array.program(np.eye(2), Hardware(ArraySpec(64, 64)))
    assert (made @ np.ones(2)).shape == (2,)


def test_passive_array() -> None:
    made = cosim.Array.program(np.eye(2), Hardware(ArraySpec(2, 2), cell=Cell("1R")))
    assert np.allclose(made @ np.array([1.0, 0.5]), [1.0, 0.5], atol=0.1)


def test_signed_inputs_need_a_bipolar_dac(array: cosim.Array) -> None:
    with pytest.raises(InputError, match=r"x has a negative element, but the DAC's range starts at 0 V"):
        array @ np.array([1.0, -1.0, 0.0])
    signed = cosim.Array.program(WEIGHTS, Hardware(ArraySpec(3, 2), dac=Dac(range=(-0.2, 0.2))))
    x = np.array([1.0, -0.5, 0.25])
    assert np.allclose(signed @ x, WEIGHTS @ x, atol=0.08)


@pytest.mark.parametrize(
    ("call", "rule"),
    [
        (lambda a: a @ np.ones(2), r"x must have shape \(3,\) or \(3, vectors\), not \(2,\)"),
        (lambda a: a @ np.ones((3, 2, 2)), r"not \(3, 2, 2\)"),
        (lambda a: a @ np.array([1.0, np.nan, 0.0]), "finite"),
        (lambda a: cosim.Array.program(np.ones(3)), r"must be a matrix \(outputs, inputs\), not of shape \(3,\)"),
        (lambda a: cosim.Array.program(np.array([[np.inf]])), "must be a finite number, not inf"),
        (lambda a: cosim.Array.program(np.zeros((2, 2))), "other than 0"),
        (lambda a: cosim.Array.program(np.eye(2), Hardware(ArraySpec(2, 2), Resistor())), "cannot be programmed"),
    ],
)  # fmt: skip
def test_refusals(call, rule: str, array: cosim.Array) -> None:
    with pytest.raises(InputError, match=rule):
        call(array)


def test_zero_input(array: cosim.Array) -> None:
    assert np.allclose(array @ np.zeros(3), 0.0, atol=0.05)


def test_same_seed_same_bits() -> None:
    x = np.array([0.3, 0.6, 0.9])
    assert np.array_equal(cosim.Array.program(WEIGHTS) @ x, cosim.Array.program(WEIGHTS) @ x)


def test_weights_in_slices() -> None:
    """Two slices of two bits on four tiles: the same products, within the windows of write-verify."""
    from cosim.mapping import WeightSlices

    weights = np.array([[15.0, -3.0, 8.0], [-7.0, 12.0, 0.0]])
    array = cosim.Array.program(weights, seed=1, slices=WeightSlices(4, 2))
    x = np.array([1.0, 0.5, 0.25])
    assert array @ x == pytest.approx(weights @ x, abs=0.03 * np.abs(weights).sum(axis=1).max())
    summary = array.summary()
    assert summary["operations"][0]["target"] == "positive0+negative0+positive1+negative1"
    assert summary["energy"]["by_component_j"]["shift-and-add"] == pytest.approx(2 * 0.25e-12)


def test_the_transpose_is_from_the_same_cells() -> None:
    hardware = Hardware(ArraySpec(3, 2), adc=Adc(bits=12), transposed=TransposedPeriphery())
    array = cosim.Array.program(WEIGHTS, hardware)
    y = np.array([[1.0, 0.25, 0.0], [0.5, 1.0, 1.0]])
    assert np.allclose(array.T @ y, WEIGHTS.T @ y, atol=0.08)
    assert np.allclose(array.T @ y[:, 0], WEIGHTS.T @ y[:, 0], atol=0.08)
    assert np.array_equal(array.T.weights, WEIGHTS.T)
    forward = array @ np.array([1.0, 0.5, 0.25])
    assert np.allclose(forward, WEIGHTS @ [1.0, 0.5, 0.25], atol=0.08)
    components = set(array.summary()["energy"]["by_component_j"])
    assert {"dac", "transposed dac", "transposed adc"} <= components
    with pytest.raises(InputError, match=r"x must have shape \(2,\) or \(2, vectors\), not \(3,\)"):
        array.T @ np.ones(3)


def test_slices_are_transposed_together() -> None:
    from cosim.mapping import WeightSlices

    hardware = Hardware(ArraySpec(3, 2), adc=Adc(bits=12), transposed=TransposedPeriphery())
    array = cosim.Array.program(WEIGHTS, hardware, slices=WeightSlices(4, 2))
    y = np.array([1.0, 0.5])
    assert np.allclose(array.T @ y, WEIGHTS.T @ y, atol=0.15)


def test_a_transpose_needs_its_converters(array: cosim.Array) -> None:
    with pytest.raises(InputError, match=r"give Hardware transposed=TransposedPeriphery\(\)"):
        array.T @ np.ones(2)
