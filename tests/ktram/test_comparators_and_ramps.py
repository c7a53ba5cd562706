"""Comparators that decide late, wrongly or not at all, and ramp generators that lanes share."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from cosim.errors import DeviceError
from cosim.ktram import Controller, Core, Pulse, Timeline, in_turn
from cosim.ktram.comparators import Comparators
from cosim.ktram.ramp import sweeps
from cosim.units import seconds

NS = 1_000_000
SHORT: dict[str, Any] = {"select": 2e-9, "settle_floor": 2e-9, "release": 2e-9, "compare": 20e-9}


def lanes_at(*activations: float) -> Core:
    """Return a core of float lanes with one kT-bit each at these activations."""
    core = Core(1, 1, 1, len(activations), "float", read_noise=0, pulse_width=10e-9)
    for lane, y in enumerate(activations):
        core.set_start_y(lane, (0,), y)
    return core


def rows(timeline: Timeline) -> dict[int, dict[str, Any]]:
    table = timeline.trace.instructions
    return {row[1]: dict(zip(table.fields, row, strict=True)) for row in table}


def test_decisions_take_longer_the_smaller_the_difference() -> None:
    """compare + tau ln(supply / |V y|), V = 0.05 V, supply 0.8 V, tau = 2 ns; two comparators serve three lanes.

    Strobes at 4 ns: lanes 0 and 1 are decided at once, in 20 + 2 ln(0.8/0.025) and 20 + 2 ln(0.8/0.0005) ns; lane 2
    takes the comparator of lane 0, the first that is free.
    """
    activations = (0.5, -0.01, 0.1)
    timeline = Timeline(lanes_at(*activations), Controller(comparators=2, regeneration=2e-9, **SHORT))
    timeline.run({lane: in_turn([Pulse((0,), "FFLV")]) for lane in range(3)})
    taken = [20 + 2 * math.log(0.8 / (0.05 * abs(y))) for y in activations]
    latched = [rows(timeline)[lane]["latch_fs"] / NS for lane in range(3)]
    assert latched[:2] == pytest.approx([4 + taken[0], 4 + taken[1]], abs=1e-5)
    assert latched[2] == pytest.approx(4 + taken[0] + taken[2], abs=1e-5)
    timeline.close(0)
    energies = {row[3]: row[5] for row in timeline.trace.energies}
    assert energies["comparator"] == pytest.approx(200e-9 * 0.8 * 1e-9 * sum(taken), rel=1e-6)
    assert timeline.metastable == 0


@pytest.mark.parametrize("y", [1e-9, 0.0])
def test_a_latch_that_does_not_get_there_is_drawn(y: float) -> None:
    """tau ln(0.8 / 5e-11) = 47 ns is longer than the 30 ns that it is given; H(0) would always be +1."""
    core = lanes_at(*[y] * 200)
    timeline = Timeline(core, Controller(regeneration=2e-9, resolve_time=30e-9, **SHORT), seed=2)
    timeline.run({lane: in_turn([Pulse((0,), "FFLV")]) for lane in range(200)})
    negative = sum(core.lane(lane).y < 0 for lane in range(200))
    assert 70 < negative < 130
    assert timeline.metastable == 200
    assert {row["latch_fs"] for row in rows(timeline).values()} == {(4 + 20 + 30) * NS}
    again = Timeline(lanes_at(*[y] * 200), timeline.controller, seed=2)
    again.run({lane: in_turn([Pulse((0,), "FFLV")]) for lane in range(200)})
    assert [row["y"] for row in rows(again).values()] == [row["y"] for row in rows(timeline).values()]


def test_feedback_follows_the_decision() -> None:
    """RU waits for a late latch."""
    timeline = Timeline(lanes_at(1e-3), Controller(regeneration=2e-9, **SHORT))
    timeline.run({0: in_turn([Pulse((0,), "FF"), Pulse((0,), "RU")])})
    latch = 4 + 20 + 2 * math.log(0.8 / 1e-3)
    assert timeline.now_fs / NS == pytest.approx(latch + 12, abs=1e-4)


def test_noise_of_decisions() -> None:
    core = lanes_at(*[0.0] * 400)
    timeline = Timeline(core, Controller(comparator_noise=1e-3), seed=4)
    timeline.run_same([(0,)], ("FFLV",), range(400))
    latched = np.array([core.lane(lane).y for lane in range(400)])
    assert latched.std() == pytest.approx(1e-3 / 0.05, rel=0.15)
    assert abs(latched.mean()) < 4 * latched.std() / 20
    same = Comparators(Controller(), 1, 0)
    assert same.decide(0.25, 0.05, 0, 1.0) == (0.25, 62_500_000, False)


def test_generators_sweep_group_after_group() -> None:
    """Six lanes, two to a generator, two generators of 1 us: groups 0 and 1 at once, group 2 on the one that is free first.

    Trips at (1 - y)/2 us, decided 20 ns later; sweeps end with their first trip: 250 + 20 and 100 + 20 ns, then
    400 + 20 ns from 120 ns on.
    """
    sensed = list(enumerate((0.5, 0.1, 0.8, 0.6, -0.2, 0.2)))
    c = Controller(ramp=1e-6, ramps=2, ramp_lanes=2, **SHORT)
    found = sweeps(c, sensed, 1, -np.inf, 0)
    assert [(s.unit, s.start_fs / NS, s.duration_fs / NS) for s in found] == [
        (0, 0, 270), (1, 0, 120), (1, 120, 420),
    ]  # fmt: skip
    assert [trip.lane for s in found for trip in s.trips] == [0, 2, 5]
    assert found[2].trips[0].latched_fs == 540 * NS
    # comparators bound what sweeps at a time: three serve one group of two
    few = sweeps(Controller(ramp=1e-6, comparators=3, ramp_lanes=2, **SHORT), sensed, 1, -np.inf, 0)
    assert [s.start_fs / NS for s in few] == [0, 270, 390]


def test_lanes_that_share_generators_are_ranked_as_alone() -> None:
    core = lanes_at(0.5, 0.1, 0.8, 0.6, -0.2, 0.2)
    alone = Timeline(core, Controller(ramp=1e-6, **SHORT))
    shared = Timeline(core, Controller(ramp=1e-6, ramps=1, ramp_lanes=2, **SHORT))
    expected = alone.rank((0,), range(6), count=2)
    assert expected == (2, 3)
    assert shared.rank((0,), range(6), count=2) == expected
    shared.close(0)
    energies = {row[3]: row[5] for row in shared.trace.energies}
    assert energies["ramp"] == pytest.approx(3 * shared.controller.ramp_energy)
    busy = [(row[5], row[6]) for row in shared.trace.busy if row[0] == "ramps"]
    assert len(busy) == 3
    assert all(first[1] == second[0] for first, second in pairwise(busy))
    spent = sum(end - start for start, end in busy)
    assert energies["comparator"] == pytest.approx(2 * 200e-9 * 0.8 * seconds(spent), rel=1e-9)


def test_offsets_turn_a_rank_over() -> None:
    ranks = set()
    for seed in range(12):
        timeline = Timeline(lanes_at(0.3, 0.31, 0.32), Controller(comparator_offset=5e-3), seed=seed)
        ranks.add(timeline.rank((0,), range(3)))
    assert len(ranks) > 2


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"regeneration": -1e-9}, r"Controller\.regeneration: must be finite and not negative, not -1e-09"),
        ({"resolve_time": 0.0}, r"Controller\.resolve_time: must be finite and above zero, not 0"),
        ({"ramps": 0}, r"Controller\.ramps: must be a whole number of at least 1, or ideal, not 0"),
        (
            {"ramp_lanes": 1.5},
            r"Controller\.ramp_lanes: must be a whole number of at least 1, or ideal, not 1\.5",
        ),
    ],
)
def test_bad_values_are_refused(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(DeviceError, match=sentence):
        Controller(**values)
