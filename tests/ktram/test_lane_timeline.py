"""Instructions as events: hand-derived schedules, sums of energies, lanes side by side, the swept ramp."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from cosim.errors import DeviceError, KtramError
from cosim.ktram import Controller, Core, LaneCircuit, Pulse, Timeline, in_turn
from cosim.units import seconds

NS = 1_000_000
SHORT: dict[str, Any] = {"select": 2e-9, "settle_floor": 2e-9, "release": 2e-9, "compare": 20e-9}


def core_of(lanes: int, spaces: int = 3, model: str = "rs", **options: Any) -> Core:
    settings: dict[str, Any] = {"init": "medium_noise", "seed": 1, "read_noise": 0} | options
    return Core(2, 4, spaces, lanes, model, **settings)


def rows(timeline: Timeline) -> list[dict[str, Any]]:
    table = timeline.trace.instructions
    found = [dict(zip(table.fields, row, strict=True)) for row in table]
    return sorted(found, key=lambda row: (row["lane"], row["start_fs"]))


def test_four_lanes_share_two_comparators() -> None:
    """The schedule of (FF, RU) twice, derived by hand; pulses last 10 ns, all times in ns.

    Select 0-2, rails up 2-12, released at 14. Strobe at 2 + 2 = 4: lanes 0 and 1 are decided 4-24, lanes 2 and 3
    24-44. RU needs no select (same tuple) and waits for the latch: lanes 0, 1 24-36; lanes 2, 3 44-56. Second FF:
    lanes 0, 1 strobe at 36 + 2 = 38, but both comparators work until 44: 44-64, FF ends at 48, RU 64-76. Lanes 2, 3
    strobe at 58, are decided 64-84, RU 84-96.
    """
    timeline = Timeline(core_of(4), Controller(comparators=2, **SHORT))
    z = (1, None, 6)
    timeline.run({lane: in_turn([Pulse(z, name) for name in ("FF", "RU") * 2]) for lane in range(4)})
    assert timeline.now_fs == 96 * NS
    found = {lane: [row for row in rows(timeline) if row["lane"] == lane] for lane in range(4)}
    for lane in (0, 1):
        assert [row["end_fs"] // NS for row in found[lane]] == [14, 36, 48, 76]
        assert [row["latch_fs"] // NS for row in found[lane]] == [24, 24, 64, 64]
    for lane in (2, 3):
        assert [row["end_fs"] // NS for row in found[lane]] == [14, 56, 68, 96]
        assert [row["strobe_fs"] for row in found[lane]] == [4 * NS, -1, 58 * NS, -1]
    busy = sorted((start // NS, end // NS) for _, _, _, _, _, start, end, _, _ in timeline.trace.busy)
    assert busy == sorted([(4, 24), (24, 44), (44, 64), (64, 84)] * 2)


def test_five_lanes_share_three_comparators() -> None:
    """(FF, RU) twice in ns: strobes at 4, lanes 0 to 2 are decided 4-24, lanes 3 and 4 24-44; RU 24-36 and 44-56.

    Second FF: lanes 0 to 2 strobe at 38, where one comparator is free: lane 0 38-58, lanes 1 and 2 44-64. RU 58-70 and
    64-76. Lanes 3 and 4 strobe at 58: lane 3 58-78, lane 4 64-84, RU 78-90 and 84-96.
    """
    timeline = Timeline(core_of(5), Controller(comparators=3, **SHORT))
    z = (1, None, 6)
    timeline.run({lane: in_turn([Pulse(z, name) for name in ("FF", "RU") * 2]) for lane in range(5)})
    ends = {lane: [row["end_fs"] // NS for row in rows(timeline) if row["lane"] == lane] for lane in range(5)}
    assert [ends[lane][3] for lane in range(5)] == [70, 76, 76, 90, 96]
    assert [ends[lane][1] for lane in range(5)] == [36, 36, 36, 56, 56]
    assert timeline.now_fs == 96 * NS


def test_one_address_bus_and_one_pair_of_rails_serve_lanes_one_after_the_other() -> None:
    """Two lanes: selects 0-2 and 2-4; rails 2-14 and 14-26."""
    timeline = Timeline(core_of(2), Controller(buses=1, rails=1, **SHORT))
    timeline.run({lane: in_turn([Pulse((0, 0, 0), "FZ")]) for lane in range(2)})
    assert timeline.now_fs == 26 * NS
    # another tuple is selected anew, feedback without H does not wait for a comparator
    timeline.run({0: in_turn([Pulse((1, 0, 0), "FF"), Pulse((1, 0, 0), "RH")])})
    assert timeline.now_fs == (26 + 2 + 12 + 12) * NS


def test_a_program_that_depends_on_the_read_waits_for_the_latch() -> None:
    core = core_of(1)

    def program() -> Any:
        y = yield Pulse((0, 0, 0), "FF")
        yield Pulse((0, 0, 0), "RL" if y > 0 else "RF", after_latch=True)

    timeline = Timeline(core, Controller(**SHORT))
    timeline.run({0: program()})
    assert timeline.now_fs == (24 + 12) * NS if core.lane(0).y > 0 else (24 + 20) * NS


@pytest.mark.parametrize("model", ["byte", "rs"])
def test_the_energy_of_a_read_is_the_sum_of_its_parts(model: str) -> None:
    """Every part computed anew from its formula, with G of the start."""
    core, c = core_of(1, model=model), Controller()
    timeline = Timeline(core, c)
    z = (3, None, 5)
    scale = 1.0 if model == "rs" else 1e-3 / 255
    g = core.state[0].astype(float)[[3, 2 * 8 + 5]] * scale
    y = (g[:, 0] - g[:, 1]).sum() / g.sum()
    timeline.run({0: in_turn([Pulse(z, "FF")])})
    timeline.close(0)
    v, width = 1.0, core.pulse_width
    parts = {
        "select": 2 * 3 * 0.8e-15 * 0.8**2,  # spaces, 1 row and 2 column bits
        "rails": 2 * 2 * 1.2e-15 * v**2,
        "node": 3 * 1.2e-15 * (v * y) ** 2,
        "cells": width * float((g[:, 0] * (v - v * y) ** 2 + g[:, 1] * (v + v * y) ** 2).sum()),
        "comparator": 200e-9 * 0.8 * 62.5e-9,
        "latch": 5e-15,
    }
    found = {component: energy for _, _, _, component, _, energy, _ in timeline.trace.energies}
    assert set(found) == set(parts)
    for component, energy in parts.items():
        assert found[component] == pytest.approx(energy, rel=1e-12)
        assert timeline.trace.formulas[f"ktram/{component}"].source
    row = rows(timeline)[0]
    assert row["energy_j"] == pytest.approx(math.fsum(parts.values()), rel=1e-12)
    spaces = math.fsum(parts[name] for name in ("select", "rails", "node", "cells"))
    assert timeline.space_energy.sum() == pytest.approx(spaces, rel=1e-12)
    assert timeline.space_energy[0, 1] == 0.0


def test_a_slow_node_makes_the_pulse_longer() -> None:
    """5 C/G of the node beyond the pulse width: C = 3 x 10 pF, all conductances of the tuple."""
    core, c = core_of(1), Controller(node_capacitance=10e-12, **SHORT)
    total = core.state[0][[0, 8, 16]].sum()
    timeline = Timeline(core, c)
    timeline.run({0: in_turn([Pulse((0, 0, 0), "FFLV")])})
    settle = 5 * 30e-12 / total
    assert settle > core.pulse_width
    strobe = rows(timeline)[0]["strobe_fs"]
    assert seconds(strobe) == pytest.approx(2e-9 + settle, abs=2e-15)
    assert seconds(timeline.now_fs) == pytest.approx(2e-9 + settle + 20e-9, abs=2e-15)


@pytest.mark.parametrize("model", ["byte", "float", "rs"])
@pytest.mark.parametrize("topology", ["2-1", "1-2"])
@pytest.mark.parametrize(
    "shared", [{"comparators": 3}, {"buses": 1, "comparators": 2}, {"rails": 4, "comparators": 5}]
)
def test_lanes_side_by_side_are_the_events(
    model: str, topology: str, shared: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    core, twin = (core_of(7, 13, model, topology=topology) for _ in range(2))
    c = Controller(**SHORT, **shared)
    rng = np.random.default_rng(0)
    aats = [tuple(row) for row in rng.integers(8, size=(5, 13)).tolist()]
    names = ("FF", "RU", "FFLV", "RA")
    ours, events = Timeline(core, c), Timeline(twin, c)
    for timeline in (ours, events):
        timeline.run({2: in_turn([Pulse(aats[0], "FF")])})
    with monkeypatch.context() as without:
        # lanes that waited may arrive together, and short pulses overtake decisions: then events decide
        if "rails" not in shared and model != "rs":
            without.setattr(ours, "run", None)
        ours.run_same(aats, names, range(7))
    events.run({k: in_turn([Pulse(z, name) for z in aats for name in names]) for k in range(7)})
    np.testing.assert_array_equal(core.state, twin.state)
    assert [core.lane(k).y for k in range(7)] == [twin.lane(k).y for k in range(7)]
    assert ours.now_fs == events.now_fs
    for one, other in zip(rows(ours), rows(events), strict=True):
        assert one.pop("energy_j") == pytest.approx(other.pop("energy_j"), rel=1e-13)
        assert one == other
    intervals = [sorted((row[0], row[4], row[5], row[6]) for row in t.trace.busy) for t in (ours, events)]
    assert intervals[0] == intervals[1]
    np.testing.assert_allclose(ours.space_energy, events.space_energy, rtol=1e-12)


def test_lanes_that_overtake_or_draw_take_the_events() -> None:
    from cosim.ktram import side_by_side

    noisy = Timeline(core_of(2, read_noise=0.02), Controller())
    assert not side_by_side.possible(noisy)
    assert not side_by_side.possible(Timeline(core_of(2), Controller(comparator_offset=1e-3)))
    noisy.run_same([(0, 0, 0)], ("FF",), (0, 1))
    assert len(noisy.trace.instructions) == 2
    # lane 0 is far behind after a decision of its own: its jobs would arrive after the others' next ones
    core, twin = core_of(3), core_of(3)
    c = Controller(comparators=1, **{**SHORT, "compare": 1e-6})
    late = [Timeline(owner, c) for owner in (core, twin)]
    late[0].run_same([(0, 0, 0)], ("FF",), (0,))
    late[1].run({0: in_turn([Pulse((0, 0, 0), "FF")])})
    late[0].run_same([(0, 0, 0)] * 3, ("FF", "FFLV", "RU"), (0, 1, 2))
    late[1].run({k: in_turn([Pulse((0, 0, 0), n) for n in ("FF", "FFLV", "RU") * 3]) for k in range(3)})
    assert late[0].now_fs == late[1].now_fs
    np.testing.assert_array_equal(core.state, twin.state)


def test_a_swept_ramp_ranks_lanes() -> None:
    """Lane k trips at ramp (1 - y)/2; the sweep ends with the trip asked for."""
    core = core_of(5, 1)
    for lane, y in enumerate((0.1, 0.7, -0.3, 0.7, 0.4)):
        core.set_start_y(lane, (0,), y)
    timeline = Timeline(core, Controller(ramp=1e-6, **SHORT))
    assert timeline.rank((0,), range(5), count=1) == (1,)
    read = 2 + 10 + 2
    assert timeline.now_fs == pytest.approx((read + 150 + 20) * NS, abs=2)
    assert timeline.rank((0,), range(5), threshold=0.0) == (1, 3, 4, 0)
    assert timeline.now_fs == pytest.approx((read + 150 + 20 + read - 2 + 500 + 20) * NS, abs=4)
    # two comparators: three sweeps, the last one with a single lane
    shared = Timeline(core, Controller(ramp=1e-6, comparators=2, **SHORT))
    assert shared.rank((0,), range(5), count=2) == (1, 3)
    shared.close(0)
    energies = {row[3]: row[5] for row in shared.trace.energies}
    assert energies["ramp"] == pytest.approx(3 * shared.controller.ramp_energy)
    with pytest.raises(KtramError, match=r"Timeline\.rank: must have an instruction that reads, not RH"):
        timeline.rank((0,), range(5), instruction="RH")


def test_offsets_of_comparators_turn_weak_reads_over() -> None:
    core = core_of(40, 1)
    for lane in range(40):
        core.set_start_y(lane, (0,), 1e-4)
    timeline = Timeline(core, Controller(comparator_offset=5e-3), seed=3)
    timeline.run({lane: in_turn([Pulse((0,), "FFLV")]) for lane in range(40)})
    latched = np.array([core.lane(lane).y for lane in range(40)])
    assert 10 < np.count_nonzero(latched < 0) < 30
    assert latched.std() == pytest.approx(5e-3 / 0.05, rel=0.3)


def test_instructions_on_a_circuit_book_what_their_phases_have_dissipated() -> None:
    circuit = LaneCircuit(r_word_line=2.0, r_bit_line=2.0, r_rail=20.0, r_node=10.0)
    core = core_of(2, fidelity="physical", circuit=circuit)
    timeline = Timeline(core, Controller())
    timeline.run_same([(0, 3, None)], ("FF", "RU"), (0, 1))
    timeline.close(0)
    energies: dict[str, float] = {}
    for row in timeline.trace.energies:
        energies[row[3]] = energies.get(row[3], 0.0) + row[5]
    assert {"wires", "line ends", "cells"} <= set(energies)
    record = core.lane(1).record
    assert record is not None
    last = [row for row in rows(timeline) if row["lane"] == 1][-1]
    parts = record.result.energy.dissipated + 2 * 2 * 1.2e-15 + 3 * 1.2e-15
    assert last["energy_j"] == pytest.approx(parts, rel=1e-9)


def test_bad_values_are_refused() -> None:
    with pytest.raises(
        DeviceError, match=r"Controller\.comparators: must be a whole number of at least 1, or ideal, not 0"
    ):
        Controller(comparators=0)
    with pytest.raises(DeviceError, match=r"Controller\.compare: must be finite and above zero, not 0"):
        Controller(compare=0.0)
