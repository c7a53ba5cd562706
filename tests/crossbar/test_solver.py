"""The public function and the kept network; closed products, shapes, helpers and refusals."""

from __future__ import annotations

import warnings
from importlib.util import find_spec

import numpy as np
import pytest

from cosim.crossbar.solver import CrossbarNetwork, interleave, interleave_drive, solve, with_access
from cosim.errors import CrossbarError


def test_without_wires_it_is_a_product() -> None:
    rng = np.random.default_rng(0)
    g, v = rng.uniform(0, 1e-3, (5, 3)), rng.uniform(0, 1, (4, 5))
    np.testing.assert_allclose(solve(g, v).bit_line_current, v @ g, rtol=1e-13)


@pytest.mark.skipif(find_spec("badcrossbar") is None, reason="badcrossbar is not installed (extra bench)")
@pytest.mark.parametrize(("rw", "rb"), [(1.0, 1.0), (2.0, 0.5), (0.0, 3.0), (3.0, 0.0)])
def test_against_badcrossbar(rw: float, rb: float) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import badcrossbar

        rng = np.random.default_rng(1)
        resistance, v = 10.0 ** rng.uniform(3, 6, (8, 6)), rng.uniform(0, 1, (3, 8))
        resistance[2, 3] = np.inf
        theirs = badcrossbar.compute(v.T, resistance, r_i_word_line=rw, r_i_bit_line=rb)
    ours = solve(1.0 / resistance, v, rw, rb)
    np.testing.assert_allclose(ours.bit_line_current, theirs.currents.output, rtol=1e-10)
    device = np.moveaxis(np.asarray(theirs.currents.device).reshape(8, 6, 3), -1, 0)
    np.testing.assert_allclose(ours.device_current, device, atol=1e-12 * np.abs(device).max())


def test_source_and_sink_resistance_join_the_end_segments() -> None:
    one = solve(np.array([[1e-3]]), [1.0], 2.0, 3.0, 5.0, 7.0)
    np.testing.assert_allclose(one.bit_line_current, 1.0 / 1017.0, rtol=1e-14)
    np.testing.assert_allclose(one.word_line_current, 1.0 / 1017.0, rtol=1e-14)
    np.testing.assert_allclose(one.power, 1.0 / 1017.0, rtol=1e-14)


def test_segment_arrays_match_numbers() -> None:
    rng = np.random.default_rng(2)
    g, v = rng.uniform(1e-6, 1e-3, (4, 6)), rng.uniform(0, 1, 4)
    number = solve(g, v, 2.0, 3.0).bit_line_current
    np.testing.assert_allclose(
        solve(g, v, np.full((4, 6), 2.0), np.full((4, 6), 3.0)).bit_line_current, number, rtol=1e-14
    )


def test_both_ended_drive_delivers_more() -> None:
    g = np.full((6, 20), 1e-3)
    one = solve(g, np.ones(6), 5.0, 1.0)
    both = solve(g, np.ones(6), 5.0, 1.0, word_line_right_voltage=np.ones(6))
    assert both.bit_line_current.min() > one.bit_line_current.min()
    total = both.word_line_current.sum() + both.word_line_right_current.sum()
    np.testing.assert_allclose(total, both.bit_line_current.sum(), rtol=1e-12)


def test_bias_and_floating_lines() -> None:
    """Half-select: with every line at V/2 but one, only the selected row and column conduct."""
    g = np.full((4, 4), 1e-4)
    word, bit = np.full(4, 0.5), np.full(4, 0.5)
    word[1], bit[2] = 1.0, 0.0
    solution = solve(g, word, bit_line_voltage=bit)
    np.testing.assert_allclose(solution.device_voltage[1, 2], 1.0)
    np.testing.assert_allclose(solution.device_voltage[0, 0], 0.0, atol=1e-15)
    floating = solve(g, word, r_source=[np.inf, 0.0, np.inf, np.inf])
    assert np.all(floating.word_line_current[[0, 2, 3]] == 0.0)


class TestNetwork:
    def test_write_then_read(self) -> None:
        rng = np.random.default_rng(3)
        g, v = rng.uniform(1e-6, 1e-3, (6, 5)), rng.uniform(0, 1, 6)
        network = CrossbarNetwork(g, 1.0, 2.0)
        before = network.version
        network.write([1, 2], [3, 4], [1e-4, 2e-4])
        assert network.version == before + 1
        g[[1, 2], [3, 4]] = [1e-4, 2e-4]
        np.testing.assert_allclose(network.read(v), solve(g, v, 1.0, 2.0).bit_line_current, rtol=1e-13)
        assert not network.conductance.flags.writeable

    def test_refused_write_leaves_everything(self) -> None:
        network = CrossbarNetwork(np.full((2, 2), 1e-3))
        with pytest.raises(
            CrossbarError, match=r"conductance\[0, 1\] must be 0 \(open\) or positive, not -1"
        ):
            network.write(0, 1, -1.0)
        with pytest.raises(CrossbarError, match=r"cannot be written to an array of shape \(2, 2\)"):
            network.write(5, 1, 1e-3)
        assert network.version == 0
        assert network.conductance.min() == 1e-3


def test_access_devices_and_gates() -> None:
    g = with_access(np.full((2, 2), 1e-3), 1e3, np.array([True, False])[:, None])
    np.testing.assert_allclose(g, [[5e-4, 5e-4], [0.0, 0.0]])
    np.testing.assert_allclose(solve(g, [1.0, 1.0], 1.0, 1.0).device_current[1], 0.0)


def test_interleaved_pairs_subtract() -> None:
    rng = np.random.default_rng(4)
    plus, minus, v = rng.uniform(0, 1e-3, (3, 4)), rng.uniform(0, 1e-3, (3, 4)), rng.uniform(0, 1, (2, 3))
    currents = solve(interleave(plus, minus), interleave_drive(v)).bit_line_current
    np.testing.assert_allclose(currents, v @ (plus - minus), atol=1e-16)


def test_refusals_name_the_place() -> None:
    with pytest.raises(CrossbarError, match=r"r_source\[1\] must be 0 or positive"):
        solve(np.ones((2, 2)), [1.0, 1.0], r_source=[0.0, -1.0])
    with pytest.raises(CrossbarError, match="r_word_line must be 0 or positive"):
        solve(np.ones((2, 2)), [1.0, 1.0], -1.0)
    with pytest.raises(CrossbarError, match=r"conductance must have shape \(rows, columns\), not \(2,\)"):
        solve(np.ones(2), [1.0, 1.0])
    with pytest.raises(CrossbarError, match='kernel must be "auto", "numba" or "numpy", not "fast"'):
        solve(np.ones((1, 1)), [1.0], kernel="fast")  # type: ignore[arg-type]
