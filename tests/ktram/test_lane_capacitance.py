"""Lanes whose node and lines hold charge: settling, early strobes, energy, physical against spice."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from cosim.errors import DeviceError
from cosim.ktram import Controller, Core, LaneCircuit, Pulse, Timeline, in_turn
from cosim.units import seconds

NODE = LaneCircuit(node_capacitance=1e-13)
WIRED = LaneCircuit(
    r_word_line=2.0, r_bit_line=2.0, r_rail=20.0, r_node=10.0, c_word_line=1e-15, c_bit_line=1e-15,
    node_capacitance=2e-14,
)  # fmt: skip


def core_of(
    shape: tuple[int, int], spaces: int, model: str, fidelity: str = "physical", **options: Any
) -> Core:
    settings: dict[str, Any] = {"init": "medium_noise", "seed": 1, "read_noise": 0} | options
    return Core(*shape, spaces, model=model, fidelity=fidelity, **settings)


def early(constants: float) -> Controller:
    """Return a controller that strobes after so many time constants."""
    return Controller(settle_floor=1e-15, settle_constants=constants)


def rows(timeline: Timeline) -> list[dict[str, Any]]:
    table = timeline.trace.instructions
    return [dict(zip(table.fields, row, strict=True)) for row in table]


@pytest.mark.parametrize("constants", [0.5, 1.0, 2.0, 5.0])
def test_an_early_strobe_reads_an_unsettled_node(constants: float) -> None:
    """One pair: tau = C / (Ga + Gb), so after k tau the activation is y (1 - exp(-k))."""
    core = core_of((1, 1), 1, "float", circuit=NODE)
    g = core.state[0, 0] * 1e-3 / core.law.g_max
    y, tau = (g[0] - g[1]) / g.sum(), 1e-13 / g.sum()
    timeline = Timeline(core, early(constants))
    timeline.run({0: in_turn([Pulse((0,), "FF")])})
    (row,) = rows(timeline)
    assert row["y"] == pytest.approx(y * (1 - math.exp(-constants)), abs=5e-5)
    assert row["unsettled"] == pytest.approx(-y * math.exp(-constants), abs=5e-5)
    assert seconds(row["strobe_fs"]) == pytest.approx(2e-9 + constants * tau, abs=2e-15)


def test_settling_is_that_of_the_circuit() -> None:
    """Sneak paths of a uniform floating 2 x 2 space are 4/3 G on each side; the node is of all three spaces, two are enabled."""
    core = core_of((2, 2), 3, "rs", circuit=NODE)
    core.state[:] = 4e-4
    timeline = Timeline(core, early(3.0))
    timeline.run({0: in_turn([Pulse((1, None, 2), "FFLV")])})
    tau = 3 * 1e-13 / (2 * 2 * 4 / 3 * 4e-4)
    assert seconds(rows(timeline)[0]["strobe_fs"]) == pytest.approx(2e-9 + 3 * tau, rel=1e-6)


@pytest.mark.parametrize("topology", ["2-1", "1-2"])
@pytest.mark.parametrize("lines", ["floating", "grounded", "tracking"])
def test_all_energy_is_booked(topology: str, lines: Any) -> None:
    """What drivers gave is heat, charge that a release takes to ground, or sunk by drivers of lines."""
    circuit = LaneCircuit(lines=lines, r_rail=20.0, node_capacitance=2e-14)
    core = core_of((2, 2), 2, "rs", circuit=circuit, topology=topology)
    timeline = Timeline(core, early(2.0))
    for name in ("FF", "RL"):
        timeline.run({0: in_turn([Pulse((1, 2), name)])})
        record = core.lane(0).record
        assert record is not None
        energy = record.result.energy
        given = float(energy.delivered.sum())
        assert abs(energy.numerical) < 1e-5 * given
        phase = len(timeline.trace.phases) - 1
        booked = {entry[3]: entry[5] for entry in timeline.trace.energies if entry[1] == phase}
        assert sum(booked.values()) == pytest.approx(given, rel=1e-5)
        assert booked["node"] == energy.stored
    if topology == "2-1":  # the clamp at +-1 V: half of C V^2 is stored, half is heat on the way there
        assert energy.stored == pytest.approx(0.5 * 2 * 2e-14, rel=1e-9)


@pytest.mark.parametrize(
    ("model", "circuit", "topology"), [("byte", NODE, "1-2"), ("mss", NODE, "2-1"), ("rs", WIRED, "2-1")]
)
def test_physical_and_spice_agree(model: str, circuit: LaneCircuit, topology: str) -> None:
    """Strobes after one time constant, sneak paths on: y within 1e-3, states within 2e-3 of range."""
    cores = [
        core_of((2, 2), 2, model, name, circuit=circuit, topology=topology) for name in ("physical", "spice")
    ]
    lines = [Timeline(core, Controller(settle_floor=1e-12, settle_constants=1.0)) for core in cores]
    pulses = [Pulse((1, 2), name) for name in ("FF", "RU", "FFLV")]
    for timeline in lines:
        timeline.run({0: in_turn(pulses)})
    span = 1.0 if model == "mss" else cores[0].law.g_max
    for one, other in zip(rows(lines[0]), rows(lines[1]), strict=True):
        assert one["y"] == pytest.approx(other["y"], abs=1e-4)
        assert one["unsettled"] == pytest.approx(other["unsettled"], abs=1e-4)
    assert topology == "1-2" or rows(lines[0])[0]["unsettled"] != pytest.approx(0.0, abs=1e-3)
    gap = np.abs(cores[0].state.astype(float) - cores[1].state.astype(float)).max()
    assert gap < 1e-4 * span
    cores[1].fidelity.close()  # type: ignore[attr-defined]


@pytest.mark.acceptance
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("topology", ["2-1", "1-2"])
@pytest.mark.parametrize("size", [2, 4])
@pytest.mark.parametrize("model", ["byte", "float", "rs", "mss"])
def test_print_charged_lanes_against_spice(model: str, size: int, topology: str) -> None:
    """Four spaces with wires and capacitance everywhere, strobes after two time constants."""
    cores = [
        core_of((size, size), 4, model, name, circuit=WIRED, topology=topology)
        for name in ("physical", "spice")
    ]
    lines = [Timeline(core, Controller(settle_floor=1e-12, settle_constants=2.0)) for core in cores]
    z = tuple(np.random.default_rng(3).integers(0, size * size, 4).tolist())
    for timeline in lines:
        timeline.run({0: in_turn([Pulse(z, name) for name in ("FF", "RU", "FFLV", "RH", "FF", "FA")])})
    span = 1.0 if model == "mss" else cores[0].law.g_max
    y = max(abs(one["y"] - other["y"]) for one, other in zip(rows(lines[0]), rows(lines[1]), strict=True))
    state = np.abs(cores[0].state.astype(float) - cores[1].state.astype(float)).max() / span
    print(  # noqa: T201
        f"{topology} 4 spaces of {size}x{size} {model:<5}, charged: y differs by {y:.1e} (bar 1e-3), "
        f"states by {state:.1e} of range (bar 2e-3)"
    )
    cores[1].fidelity.close()  # type: ignore[attr-defined]
    assert y < 1e-3
    assert state < 2e-3


def test_a_charged_pair_without_a_controller_has_settled() -> None:
    """Plain evaluation strobes after five time constants."""
    slow = LaneCircuit(node_capacitance=1e-12)
    ideal, charged = core_of((1, 2), 2, "float", "ideal"), core_of((1, 2), 2, "float", circuit=slow)
    y = ideal.evaluate((0, 1), "FFLV")
    assert charged.evaluate((0, 1), "FFLV") == pytest.approx(y * (1 - math.exp(-5)), abs=5e-5)


def test_refusals() -> None:
    with pytest.raises(
        DeviceError, match=r"LaneCircuit\.node_capacitance: must be finite and not negative, not -1"
    ):
        LaneCircuit(node_capacitance=-1)
