"""Recode policies, rank cut, and the lanes that learn: RankCut, basis groups."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosim.errors import KtramError, UnknownKeyError
from cosim.ktram import (
    AATRecoder,
    AboveZero,
    BasisEncoder,
    BasisGroup,
    Core,
    RankCut,
    RecodePolicy,
    Winner,
    WinnerAboveZero,
    rank_cut,
    read_lanes,
)

READINGS = st.lists(st.floats(-1, 1), min_size=1, max_size=8)


def trained_core(model: str = "byte", seed: int = 3, **kwargs: float) -> Core:
    """Return a core of 6 lanes with 4 spaces of 4 channels that has gone through random instructions."""
    core = Core(1, 4, 4, 6, model, init="medium_noise", seed=seed, **{"read_noise": 0, **kwargs})
    rng = np.random.default_rng(seed)
    for _ in range(300):
        aat = tuple(None if rng.random() < 0.2 else int(rng.integers(4)) for _ in range(4))
        core.evaluate(aat, "FF", int(rng.integers(6)))
        core.evaluate(aat, str(rng.choice(["RH", "RL", "RU", "RF"])), int(rng.integers(6)))
    return core


def test_policies() -> None:
    y = [0.1, -0.2, 0.3, 0.3, 0.0]
    assert Winner().recode(y) == (2,)
    assert AboveZero().recode(y) == (0, 2, 3)
    assert WinnerAboveZero().recode(y) == (2,)
    assert WinnerAboveZero().recode([0.0, -1.0]) == ()
    assert WinnerAboveZero().recode([]) == ()
    with pytest.raises(TypeError):
        RecodePolicy()  # type: ignore[abstract]
    with pytest.raises(KtramError, match="there is no reading"):
        Winner().recode([])


@pytest.mark.parametrize(
    ("threshold", "number", "lanes"),
    [
        (-math.inf, 1, (2,)),
        (0, 1, (2,)),
        (0, None, (2, 3, 0, 4)),
        (0.3, None, (2, 3)),
        (0.31, 1, ()),
        (0, 2, (2, 3)),
    ],
)
def test_rank_cut_is_inclusive_stable_and_descending(
    threshold: float, number: int | None, lanes: tuple[int, ...]
) -> None:
    assert rank_cut([0.1, -0.2, 0.3, 0.3, 0.0], threshold, number) == lanes


@given(READINGS)
def test_named_policies_are_rank_cuts(y: list[float]) -> None:
    assert Winner().recode(y) == rank_cut(y, -math.inf, 1)
    assert set(AboveZero().recode(y)) == {lane for lane in rank_cut(y) if y[lane] > 0}


@pytest.mark.parametrize("model", ["float", "byte", "rs", "mss"])
@pytest.mark.parametrize("noise", [0.0, 0.02])
@pytest.mark.parametrize("low_voltage", [0.05, 0.2])
def test_reading_all_lanes_is_reading_them_one_by_one(model: str, noise: float, low_voltage: float) -> None:
    one, all_at_once = (
        trained_core(model, read_noise=noise, forward_low_voltage=low_voltage) for _ in range(2)
    )
    for aat in ((0, 1, 2, 3), (None, 1, None, 0), (None,) * 4):
        expected = [one.evaluate(aat, "FFLV", lane) for lane in range(6)]
        assert read_lanes(all_at_once, aat, 6) == expected
        assert [all_at_once.lane(lane).y for lane in range(6)] == expected
    np.testing.assert_array_equal(one.state, all_at_once.state)


def test_recoder_passes_instructions_through() -> None:
    recoder = AATRecoder(trained_core(), "abcdef")
    assert recoder.evaluate((0, 0, 0, 0), "FF", 2) == trained_core().evaluate((0, 0, 0, 0), "FF", 2)


@pytest.mark.parametrize("feedback", ["hard", "soft"])
def test_rank_cut_adapts_by_the_table(feedback: str) -> None:
    aat, by_hand = (1, 2, None, 0), trained_core()
    recoder = RankCut(trained_core(), "abcdef", Vt=-1)
    for _ in range(4):
        y = [by_hand.evaluate(aat, "FF", lane) for lane in range(6)]
        assert max(y[0:2] + y[3:]) > 0 > min(y[0:2] + y[3:])
        for lane in range(6):
            fired = "RL" if y[lane] > 0 and feedback == "hard" else "RF"
            by_hand.evaluate(aat, "RH" if lane == 2 else fired, lane)
        assert recoder.adapt(aat, {"c"}, feedback) == rank_cut(y, -1)
    np.testing.assert_array_equal(recoder.core.state, by_hand.state)
    assert recoder.read(aat) == rank_cut(read_lanes(by_hand, aat, 6), -1)


def test_rank_cut_takes_labels_or_lanes() -> None:
    by_label, by_lane = (RankCut(trained_core(), "abcdef") for _ in range(2))
    by_label.adapt((0, 0, 0, 0), {"b", "e"})
    by_lane.adapt((0, 0, 0, 0), {np.int64(1), 4})
    np.testing.assert_array_equal(by_label.core.state, by_lane.core.state)


def test_rank_cut_refuses_what_is_no_lane() -> None:
    recoder = RankCut(trained_core(), "abcdef")
    with pytest.raises(KtramError, match="'z' is neither a label nor a lane of 0 to 5"):
        recoder.adapt((0, 0, 0, 0), {"z"})
    with pytest.raises(KtramError, match="feedback must be one of hard, soft, got 'firm'"):
        recoder.adapt((0, 0, 0, 0), {"a"}, feedback="firm")


def step_by_hand(
    core: Core, aat: tuple[int, ...], won: set[int], count: int, limit: int | None
) -> dict[str, object]:
    """One update of the routine, written out, with exclusion and recruitment."""
    lanes = range(core.num_lanes)
    y = [core.evaluate(aat, "FFLV", lane) for lane in lanes]
    winner = max(lanes, key=lambda lane: y[lane])
    pairs: list[tuple[int, str]] = []
    if winner not in won:
        pairs = [(winner, "RH"), *((lane, "RL") for lane in lanes if lane != winner and y[lane] > 0)]
    recruited = None
    if limit is not None and count >= limit:
        recruited = next((lane for lane in sorted(lanes, key=lambda lane: -y[lane]) if lane not in won), None)
        if recruited is not None:
            pairs.append((recruited, "RH"))
            won.add(recruited)
    for lane, reverse in pairs:
        core.evaluate(aat, "FF", lane)
        core.evaluate(aat, reverse, lane)
    won.add(winner)
    return {"winner": winner, "instructions": 2 * len(pairs), "recruited": recruited is not None}


def test_basis_group_follows_the_routine() -> None:
    group, by_hand = BasisGroup(trained_core(), 6, gather_abandon=4), trained_core()
    rng = np.random.default_rng(8)
    won: set[int] = set()
    count = cycles = recruited = instructions = 0
    for _ in range(200):
        aat = tuple(int(c) for c in rng.integers(4, size=4))
        expected = step_by_hand(by_hand, aat, won, count, 4)
        assert group.adapt(aat) == expected["winner"]
        recruited += bool(expected["recruited"])
        instructions += int(str(expected["instructions"]))
        count += 1
        if len(won) == 6:
            won.clear()
            cycles, count = cycles + 1, 0
    np.testing.assert_array_equal(group.core.state, by_hand.state)
    assert (group.cycles, group.n_recruited, group.n_instructions) == (cycles, recruited, instructions)
    assert cycles > 5
    assert recruited > 5
    assert (group.n_adapt, sum(group.win_counts)) == (200, 200)
    assert sum(group.cycle_lengths) + count == 200


def test_counters_of_a_group() -> None:
    group = BasisGroup(trained_core(), 6)
    assert (group.throttle_rate, group.recruit_rate, group.winner_entropy) == (0, 0, 0)
    assert math.isnan(group.mean_cycle_length)
    for _ in range(5):
        group.adapt((0, 0, 0, 0))
    assert group.n_throttled == 4  # the same lane wins again, and is excluded
    assert group.throttle_rate == 0.8
    assert group.codebook_utilization == 1 / 6
    assert group.winner_entropy == 0
    group.reset_stats()
    assert (group.n_adapt, group.n_throttled, group.n_instructions, sum(group.win_counts)) == (0, 0, 0, 0)


def test_abandon_actions() -> None:
    assert BasisGroup(trained_core(), 6).gather_abandon == 6
    assert BasisGroup(trained_core(), 6, recruitment=False).gather_abandon is None
    reset = BasisGroup(trained_core(), 6, recruitment=False, abandon_action="reset")
    assert reset.gather_abandon == 6
    for _ in range(20):
        reset.adapt((0, 0, 0, 0))
    # The cycle is cleared after 6 updates, but the winner of that update is marked in the new one at once.
    assert (reset.n_throttled, reset.cycles, reset.n_recruited) == (19, 3, 0)
    assert reset.cycle_lengths == [6, 6, 6]
    frozen = BasisGroup(trained_core(), 6, recruitment=False)
    for _ in range(20):
        frozen.adapt((0, 0, 0, 0))
    assert (frozen.n_throttled, frozen.cycles) == (19, 0)
    with pytest.raises(UnknownKeyError, match="must be one of recruit, reset, got 'drop'"):
        BasisGroup(trained_core(), 6, abandon_action="drop")
    with pytest.raises(KeyError):
        BasisGroup(trained_core(), 6, abandon_action="drop")


def test_basis_encoder_is_a_bank_of_groups_with_seeds_of_their_own() -> None:
    bank = BasisEncoder([4, 3], n_groups=2, channels=5, seed=7, gather_abandon=3)
    assert bank.out_space_sizes == [5, 5]
    core = bank.groups[1].core
    assert (core.crossbar_rows, core.crossbar_cols, core.spaces_per_lane, core.num_lanes) == (1, 4, 2, 5)
    assert (core.model_name, core.init_name, core.read_noise) == ("byte", "low", 0)
    np.testing.assert_array_equal(
        core.state, Core(1, 4, 2, 5, "byte", init="low", read_noise=0, seed=8).state
    )
    lone = BasisGroup(Core(1, 4, 2, 5, "byte", init="low", read_noise=0, seed=7), 5, gather_abandon=3)
    rng = np.random.default_rng(0)
    for _ in range(40):
        aat = tuple(int(c) for c in rng.integers(3, size=2))
        assert bank.adapt(aat)[0] == lone.adapt(aat)
        assert bank.read(aat)[0] == lone.read(aat)
    bank.set_gather_abandon(9)
    assert {group.gather_abandon for group in bank.groups} == {9}
    bank.reset_stats()
    assert bank.groups[0].n_adapt == 0
