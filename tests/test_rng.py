"""Random streams: named, independent of the order of asking, kept by a growing array."""

from __future__ import annotations

import numpy as np

from cosim.rng import shell_uniforms, stream, stream_seed


def test_a_stream_depends_on_seed_and_name_alone() -> None:
    first = stream(7, "tiles/a/device").random(4)
    stream(7, "tiles/b/device").random(100)
    assert np.array_equal(stream(7, "tiles/a/device").random(4), first)
    assert not np.array_equal(stream(8, "tiles/a/device").random(4), first)
    assert not np.array_equal(stream(7, "tiles/b/device").random(4), first)


def test_seed_and_name_do_not_run_together() -> None:
    assert stream_seed(1, "1/x") != stream_seed(11, "/x")
    assert 0 <= stream_seed(0, "") < 1 << 128


def test_the_first_draw_never_changes() -> None:
    """A golden value: results of earlier versions stay reproducible."""
    assert stream_seed(7, "tiles/t0/device") == 119315369679608369526161360394857937352


def test_shell_order_keeps_the_draws_of_a_grown_array() -> None:
    small = shell_uniforms(stream(1, "x"), (3, 3))
    large = shell_uniforms(stream(1, "x"), (6, 6))
    assert small.shape == (2, 3, 3)
    assert np.array_equal(large[:, :3, :3], small)
    assert len(np.unique(large)) == large.size
    assert (large >= 0).all()
    assert (large < 1).all()


def test_shell_draws_of_oblong_arrays() -> None:
    tall, square = shell_uniforms(stream(1, "x"), (4, 2)), shell_uniforms(stream(1, "x"), (2, 2))
    assert np.array_equal(tall[:, :2, :2], square)
