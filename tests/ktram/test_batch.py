"""`lane.run` gives the numbers of single instructions, compiled and not."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from ktram_objects import DEFAULTS, RULES

from cosim.errors import AddressError, KtramError
from cosim.ktram import Core, batch

MODELS = tuple(DEFAULTS)


def drawn(rows: int, spaces: int, size: int, seed: int = 4) -> np.ndarray:
    return np.random.default_rng(seed).integers(-1, size, (rows, spaces))


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("read_noise", [0.0, 0.02])
@pytest.mark.parametrize("spaces", [1, 5, 33])
@pytest.mark.parametrize("model", MODELS)
def test_same_as_single_instructions(
    model: str, spaces: int, read_noise: float, compiled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch, "_WORTH_COMPILING", 0 if compiled else 10**9)
    monkeypatch.setattr(batch, "_MOST_DRAWS", 1000)
    one, many = (
        Core(2, 2, spaces, 1, model, init="medium_noise", seed=6, read_noise=read_noise) for _ in "ab"
    )
    rows, program = drawn(60, spaces, 4), list(RULES)
    ys = many.lane(0).run(rows, program, 0.3)
    for row, seen in zip(rows.tolist(), ys.tolist(), strict=True):
        aat = tuple(None if address < 0 else address for address in row)
        for name, y in zip(program, seen, strict=True):
            assert one.evaluate(aat, name, noise=0.3) == y, name
    np.testing.assert_array_equal(one.state, many.state)
    assert (one.lane(0).y, one.rng.random()) == (many.lane(0).y, many.rng.random())


def test_sequences_of_tuples_and_one_instruction() -> None:
    core = Core(1, 4, 2, model="byte", init="medium_noiseless", read_noise=0)
    ys = core.lane(0).run([(0, None), (3, 1)], "FH")
    assert ys.shape == (2, 1)
    assert core.read_gab(0, (0, 0)) == [(130, 128), (128, 128)]
    assert core.lane(0).run(np.empty((0, 2), int), ["FF"]).shape == (0, 1)
    assert core.lane(0).run(drawn(3, 2, 4), []).shape == (3, 0)


def test_without_numba(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "find_spec", lambda name: None)
    monkeypatch.setitem(sys.modules, "cosim.ktram.batch_numba", None)
    core = Core(1, 4, 40, model="byte", seed=1, read_noise=0)
    assert core.lane(0).run(drawn(100, 40, 4), ("FF", "RH")).shape == (100, 2)


@pytest.mark.parametrize("rows", [1, 3000])
def test_nothing_is_done_before_all_is_checked(rows: int) -> None:
    core = Core(1, 4, 2, model="byte", seed=1, read_noise=0)
    before, aats = core.state.copy(), drawn(rows, 2, 4)
    aats[-1, 1] = 4
    with pytest.raises(AddressError) as caught:
        core.lane(0).run(aats, "FF")
    assert str(caught.value) == (
        f"address tuple {rows - 1}, space 1: must be within 0..3, or -1 for an open space, not 4"
    )
    np.testing.assert_array_equal(core.state, before)


@pytest.mark.parametrize(
    ("aats", "sentence"),
    [
        (np.zeros((2, 3), int), "address tuples: must have the shape (tuples, 2), not (2, 3)"),
        (np.zeros(2, int), "address tuples: must have the shape (tuples, 2), not (2,)"),
        (np.zeros((2, 2)), "address tuples: must be integers, with -1 for an open space, not float64"),
        ([(0, 1), (0,)], "address tuples: must have one entry for each of the 2 spaces, not 1"),
        ([(0, -1)], "address tuples, space 1: must not be negative, not -1; None leaves a space out"),
    ],
)
def test_refusals(aats, sentence: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(KtramError) as caught:
        Core(1, 4, 2).lane(0).run(aats, "FF")
    assert str(caught.value) == sentence


def test_zero_volts_with_noise_is_refused_before_anything() -> None:
    core = Core(1, 4, 2, seed=1)
    core.set_voltages(forward_low_voltage=0.0)
    for rows in (1, 3000):
        with pytest.raises(KtramError, match="read voltage: must not be 0 V"):
            core.lane(0).run(drawn(rows, 2, 4), ["FFLV"])
