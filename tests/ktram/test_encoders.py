"""Encoders: trees of thresholds, constants, composition, one-hot vectors."""

import numpy as np
import pytest

from cosim.errors import KtramError
from cosim.ktram import A2DEncoder, AATEncoder, ConstantEncoder, compose, one_hot
from cosim.ktram.encoders import crossbar_columns


class Tree:
    """The binning rule written down as a recursion, for comparison: a node decides, then moves."""

    def __init__(self, w: float, half: float, depth: int) -> None:
        self.w = w
        self.above = Tree(w + half, half / 2, depth - 1) if depth > 1 else None
        self.below = Tree(w - half, half / 2, depth - 1) if depth > 1 else None

    def channel(self, x: float, rate: float) -> list[int]:
        bit = int(x >= self.w)
        self.w = (1 - rate) * self.w + rate * x
        child = self.above if bit else self.below
        return [bit, *(child.channel(x, rate) if child else [])]


def test_uniform_start_and_order_of_bits() -> None:
    encoder = A2DEncoder(1, bits=3)
    assert [encoder.encode([x])[0] for x in (-1, 0.124, 0.125, 0.5, 0.874, 0.875, 9)] == [0, 0, 1, 4, 6, 7, 7]
    np.testing.assert_array_equal(encoder.edges(0), np.arange(1, 8) / 8)
    assert encoder.space_sizes == [8]


def test_defaults_are_those_of_the_reference() -> None:
    encoder = A2DEncoder(2)
    assert (encoder.bits, encoder.l, encoder.space_sizes) == (5, 0.01, [32, 32])
    assert encoder.encode([0.0, 1.0]) == (0, 31)


def test_adaptation_follows_the_recursion_bit_by_bit() -> None:
    values = np.random.default_rng(3).normal(0.4, 0.2, 800)
    encoder, tree = A2DEncoder(1, 4, l=0.03), Tree(0.5, 0.25, 4)
    for x in values.tolist():
        assert f"{encoder.encode_adapt([x])[0]:04b}" == "".join(map(str, tree.channel(x, 0.03)))
    assert f"{encoder.encode([0.41])[0]:04b}" == "".join(map(str, tree.channel(0.41, 0.0)))


def test_a_range_for_each_dimension() -> None:
    encoder = A2DEncoder(2, 1, init_min=[0, 10], init_max=np.array([1, 30]))
    assert encoder.encode((0.5, 19.9)) == (1, 0)
    assert encoder.encode((0.49, 20)) == (0, 1)


def test_all_values_at_once_are_the_values_one_by_one() -> None:
    values = np.random.default_rng(0).random((200, 3))
    encoder = compose(A2DEncoder(3, 4, l=0.2), ConstantEncoder(2, 2, 5))
    for value in values:
        encoder.encode_adapt(value)
    table = encoder.encode_all(values)
    assert [tuple(row) for row in table.tolist()] == [encoder.encode(value) for value in values]
    assert encoder.space_sizes == [16, 16, 16, 5, 5]


def test_edges_are_where_the_channel_changes_and_never_cross() -> None:
    rng = np.random.default_rng(1)
    encoder = A2DEncoder(1, 4, l=0.3)
    for x in rng.beta(0.3, 2.0, 3000):
        encoder.encode_adapt([x])
    edges = encoder.edges(0)
    assert (np.diff(edges) >= 0).all()
    for x in rng.random(500):
        assert encoder.encode([x])[0] == np.searchsorted(edges, x, side="right")


def test_channels_of_adapted_bins_are_fuller_than_uniform_ones() -> None:
    values = np.random.default_rng(5).exponential(0.1, 4000)
    encoder = A2DEncoder(1, 3)
    before = np.bincount(encoder.encode_all(values[:, None])[:, 0], minlength=8)
    for x in values:
        encoder.encode_adapt([x])
    after = np.bincount(encoder.encode_all(values[:, None])[:, 0], minlength=8)
    assert before.max() > 2500
    assert after.min() > 100
    assert after.max() < 1200


def test_constant_encoder_is_a_bias() -> None:
    assert ConstantEncoder().encode([1.0]) == (0,)
    assert ConstantEncoder(3, 2, 4).encode_adapt([1.0]) == (3, 3)
    assert ConstantEncoder(3, 2, 4).space_sizes == [4, 4]


def test_one_hot_is_what_a_lane_reads() -> None:
    vectors = one_hot([(1, None, 0), (0, 2, None)], [2, 3, 1])
    np.testing.assert_array_equal(vectors, [[0, 1, 0, 0, 0, 1], [1, 0, 0, 0, 1, 0]])
    np.testing.assert_array_equal(one_hot(np.array([[1, -1, 0]]), [2, 3, 1]), vectors[:1])


@pytest.mark.parametrize(("sizes", "columns"), [([1], 1), ([2, 3], 4), ([8, 1], 8), ([9], 16)])
def test_crossbar_is_the_next_power_of_two(sizes: list[int], columns: int) -> None:
    assert crossbar_columns(sizes) == columns


def test_an_encoder_must_say_how_it_encodes() -> None:
    with pytest.raises(TypeError, match="abstract"):
        AATEncoder()  # type: ignore[abstract]


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: A2DEncoder(1, 0), "A2DEncoder: bits must be at least 1, got 0: give the depth of the trees"),
        (
            lambda: A2DEncoder(3, init_min=[0, 1]),
            "A2DEncoder: init_min has 2 values for 3 dimensions: give one for each",
        ),
        (
            lambda: ConstantEncoder(4, 1, 4),
            "ConstantEncoder: channel 4 is not in a space of 4: give one from 0 to 3",
        ),
        (
            lambda: A2DEncoder(2).encode([0.1, float("nan")]),
            "A2DEncoder: dimension 1 is not a number: leave such values out beforehand",
        ),
        (
            lambda: A2DEncoder(1).encode_all([[0.1], [np.nan]]),
            "A2DEncoder: dimension 0 of value 1 is not a number: leave such values out beforehand",
        ),
    ],
)
def test_bad_encoders_are_refused(make: object, sentence: str) -> None:
    with pytest.raises(KtramError) as refusal:
        make()  # type: ignore[operator]
    assert str(refusal.value) == sentence
