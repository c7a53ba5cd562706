"""Lessons on AHaH attractors: quadrants, null states, gates, split write, rule."""

import numpy as np

from cosim.ktram.lessons import attractors
from cosim.ktram.lessons.attractors import ONE_HOT, ORTHOGONAL, OVERLAPPING, TWO_HOT, run_nodes


def test_orthogonal_tuples_have_four_attractors() -> None:
    nodes = run_nodes(ORTHOGONAL, range(24), 300)
    ends = nodes.weights[:, -1]
    assert {tuple(signs) for signs in np.sign(ends).tolist()} == {(1, 1), (1, -1), (-1, 1), (-1, -1)}
    assert np.abs(ends).min() > 0.15
    assert nodes.weights.shape == (24, 2, 2)


def test_overlapping_tuples_fall_into_null_states() -> None:
    counts = run_nodes(OVERLAPPING, range(32), 300).counts()
    assert sum(counts.values()) == 32
    assert counts["A"] + counts["A'"] > 16
    assert counts["D"] == counts["D'"] == 0


def test_two_hot_nodes_never_become_xor() -> None:
    counts = attractors.gate_histogram(TWO_HOT, 2, seeds=25, steps=300)
    assert counts.sum() == 25
    assert counts[6] == counts[9] == 0
    assert counts[0] + counts[15] > 5


def test_one_hot_nodes_take_any_table() -> None:
    counts = attractors.gate_histogram(ONE_HOT, 4, seeds=25, steps=200)
    assert (counts > 0).sum() >= 10


def test_a_bias_with_the_split_write_removes_the_null_states() -> None:
    run = attractors.split_write(1, nodes=8, steps=600, tracked=3)
    assert run.null_share() == 0
    assert run.paths.shape == (3, 3, 601)


def test_the_rule_reinforces_near_zero_and_pulls_back_far_out() -> None:
    y, change = attractors.rule("byte", nodes=6, cycles=60, forced=400)
    near, far = (np.abs(y) < 0.1) & (y != 0), np.abs(y) > 0.9
    assert (np.sign(change) == np.sign(y))[near].mean() > 0.9
    assert (np.sign(change) != np.sign(y))[far].mean() > 0.5
    assert np.abs(change[near]).mean() > np.abs(change[far]).mean()


def test_paths_hold_every_step() -> None:
    nodes = run_nodes(ORTHOGONAL, range(2), 20, path=True)
    assert nodes.weights.shape == (2, 21, 2)
    np.testing.assert_array_equal(nodes.weights[:, [0, -1]], run_nodes(ORTHOGONAL, range(2), 20).weights)
