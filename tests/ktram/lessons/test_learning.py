"""Lessons on classification and codebooks, at a size that takes seconds."""

import numpy as np
import pytest

from cosim.ktram.lessons import classification, codebook
from cosim.ktram.lessons.classification import DIGITS, LANES, RAW, Recipe


def test_iris_with_peers_on_the_same_tuples() -> None:
    accuracies = classification.accuracies("iris", range(2))
    assert set(accuracies) == {LANES, "logistic regression", "linear SVC", RAW}
    # The first of the twenty splits, on which the reference has exactly this value.
    np.testing.assert_allclose(accuracies[LANES][0], 1.0)
    assert min(values.mean() for values in accuracies.values()) > 0.9


def test_digits_are_learned_in_one_pass() -> None:
    outcome = classification.classify("digits", 0, Recipe(bits=2, epochs=1, encoder_epochs=1), peers=False)
    assert outcome.confusion().accuracy > 0.8
    assert outcome.encoder.space_sizes == [4] * 64 + [1]
    assert DIGITS.bits == 3


def test_rank_cut_is_the_classifier() -> None:
    lanes, recoded = classification.rank_cut_agrees(1)
    np.testing.assert_array_equal(lanes, recoded)


def test_a_source_keeps_its_patterns() -> None:
    source, rng = codebook.Source(spaces=200, patterns=10), np.random.default_rng(0)
    table = source.draw_patterns(rng)
    tuples, pattern = source.draw(table, 300, rng)
    kept = (np.array(tuples) == table[pattern]).mean()
    assert kept == pytest.approx(1 - 0.35 * 7 / 8, abs=0.01)
    shared = (table[1:] == table[0]).mean()
    assert shared > 1 / 8
    same = codebook.Source(corruption=0.0)
    table = same.draw_patterns(rng)
    tuples, pattern = same.draw(table, 5, rng)
    np.testing.assert_array_equal(tuples, table[pattern])


def test_exclusion_prevents_the_collapse() -> None:
    source = codebook.Source(patterns=8, corruption=0.2)
    kept, collapsed, stalled, _ = (
        codebook.learn_source(arm, source, lanes=12, gather_abandon=8, epochs=2, train=400, evaluate=300)
        for arm in codebook.ARMS
    )
    assert kept.coverage > 0.8
    assert kept.purity > 0.9
    assert collapsed.utilization < 0.3
    assert stalled.instructions < kept.instructions


def test_wins_are_measured_by_hand() -> None:
    wins = codebook.Wins(np.array([[8, 2, 0], [0, 3, 3], [0, 0, 0]]), 0)
    assert wins.coverage == pytest.approx(2 / 3)
    assert wins.purity == pytest.approx((0.8 + 0.5) / 2)
    assert wins.utilization == pytest.approx(2 / 3)


def test_images_become_features_and_the_bank_prunes_itself() -> None:
    digits = codebook.digit_images()
    assert digits.shape == (1797, 8, 8)
    assert set(np.unique(digits)) == {0, 1, 2}
    features = codebook.learn_images(digits[:300], 8, 12)
    assert features.maps.shape == (8, 8, 8)
    assert features.wins.sum() == 300
    assert 1 <= len(features.survivors()) <= 8
    assert (np.diff(features.wins[features.survivors()]) <= 0).all()
    patches = codebook.photo_patches(40)
    assert patches.shape == (40, 8, 8)
    assert (patches.min(axis=(1, 2)) == 0).all()
    assert (patches.max(axis=(1, 2)) == 2).all()
