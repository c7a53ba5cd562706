"""Critical path, figures of merit, area, leakage, cells, baseline: by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from cosim.components.adc import Adc
from cosim.components.driver import Driver
from cosim.components.sense import Sense
from cosim.components.sequencer import Sequencer
from cosim.components.tile import PHASE_KINDS
from cosim.crossbar import Cell, find
from cosim.devices import Resistor
from cosim.hardware import ArraySpec, Hardware, WireSpec
from cosim.records import BusyRecord, OperationRecord, Trace, Work
from cosim.report.accounting import critical_paths
from cosim.report.baseline import DigitalBaseline
from cosim.report.summary import summarize
from cosim.system import Read, System, Wait
from cosim.units import seconds

G = np.random.default_rng(3).uniform(1e-6, 2e-5, (4, 8))


def run(tiles: int = 1, vectors: int = 2, **parts: object) -> System:
    hardware = Hardware(
        ArraySpec(4, 8, WireSpec(node=65e-9, capacitance=1e-16)), Resistor(), Cell("1R"), **parts
    )  # type: ignore[arg-type]
    system = System(Trace(), 5)
    names = tuple(f"t{k}" for k in range(tiles))
    for name in names:
        system.add_tile(name, hardware, dict.fromkeys(PHASE_KINDS, find("behavioral")()), G)
    system.run([Read(names, np.full((vectors, 4), 0.5), 0.2, None, None), Wait(10**9)])
    return system


def accounting(system: System, baseline: DigitalBaseline | None = None) -> dict:
    return summary(system, baseline)["accounting"]


def summary(system: System, baseline: DigitalBaseline | None = None) -> dict:
    return summarize(system.trace, scenario={"name": "t", "sha256": ""}, seed=5, baseline=baseline)


def test_the_critical_path_by_hand() -> None:
    """An array from 0 to 10, two converters from 10 to 40 and to 30, a gap to 45, control to 50.

    Backwards from 50: control 5, nothing 5, the converter that ends last 30, the array 10.
    """
    trace = Trace()
    for resource, start, end in (
        ("t.array", 0, 10),
        ("t.adc", 10, 40),
        ("t.adc", 10, 30),
        ("t.sequencer", 45, 50),
    ):
        trace.busy.append(BusyRecord(resource, 0, 0, "x", start, start, end))
    trace.operations.append(OperationRecord(0, "read", "t", 0, 50, {}))
    assert critical_paths(trace) == {0: {"sequencer": 5, "idle": 5, "adc": 30, "array": 10}}


@pytest.mark.parametrize("parts", [{}, {"sense": Sense(holds=2)}, {"adc": Adc(count=3, shared="system")}])
@pytest.mark.parametrize("tiles", [1, 2])
def test_the_critical_path_sums_to_the_duration(parts: dict, tiles: int) -> None:
    for entry in accounting(run(tiles, 5, **parts))["operations"]:
        assert math.fsum(entry["critical_path_s"].values()) == pytest.approx(entry["duration_s"], rel=1e-12)


def test_a_read_is_array_and_converters() -> None:
    """One ADC and eight columns: 2 vectors of 8 conversions of 90 ns are on the path, and nothing is idle."""
    path = accounting(run())["operations"][0]["critical_path_s"]
    assert path["adc"] == pytest.approx(2 * 8 * 90e-9)
    assert (path["dac"], path["sequencer"]) == (pytest.approx(2e-9), pytest.approx(4e-9))
    assert set(path) == {"adc", "array", "dac", "sequencer"}
    assert accounting(run())["operations"][1]["critical_path_s"] == {"idle": 1e-6}


def test_figures_of_merit_follow_their_definition() -> None:
    system = run()
    found = accounting(system)
    figures, read = found["performance"], system.trace.operations[0]
    time = seconds(read.end_fs - read.start_fs)
    energy = summary(system)["operations"][0]["energy_j"]
    assert figures["operations"] == 2 * 2 * 4 * 8
    assert figures["tops"] == pytest.approx(128 / time / 1e12)
    assert figures["tops_per_w"] == pytest.approx(128 / energy / 1e12)
    assert figures["tops_per_mm2"] == pytest.approx(figures["tops"] / (found["area"]["total_m2"] * 1e6))
    assert "two operations" in figures["definition"]


def test_area_by_hand() -> None:
    """32 cells of 4 F^2 at 65 nm; 4 DACs of 0.166 um2 * 2^7; 2 ADCs of 1200 um2; 8 shift-and-adds of 60 um2."""
    area = accounting(run(adc=Adc(count=2)))["area"]
    parts = area["by_component_m2"]
    assert parts["array"] == pytest.approx(32 * 4 * (65e-9) ** 2)
    assert parts["dac"] == pytest.approx(4 * 0.166e-12 * 128)
    assert parts["adc"] == pytest.approx(2 * 1200e-12)
    assert parts["digital"] == pytest.approx(8 * 60e-12)
    assert parts["sense"] == pytest.approx(8e-12)
    assert parts["sample-and-hold"] == pytest.approx(8 * 0.039e-12)
    assert area["total_m2"] == pytest.approx(math.fsum(parts.values()), rel=1e-12)


def test_a_shared_bank_has_its_area_once() -> None:
    adc = Adc(count=2, shared="system")
    assert accounting(run(3, adc=adc))["area"]["by_component_m2"]["adc"] == pytest.approx(2 * 1200e-12)
    assert accounting(run(3, adc=Adc(count=2)))["area"]["by_component_m2"]["adc"] == pytest.approx(
        6 * 1200e-12
    )


def test_leakage_flows_all_through_the_run() -> None:
    """2 ADCs of 1 uW, 12 line drivers of 10 nW, control of 2 uW, over the read and the wait of 1 us."""
    system = run(
        adc=Adc(count=2, leakage=1e-6), driver=Driver(leakage=1e-8), sequencer=Sequencer(leakage=2e-6)
    )
    found, end = summary(system), seconds(system.trace.end_fs)
    parts = found["energy"]["by_component_j"]
    assert parts["adc leakage"] == pytest.approx(2e-6 * end)
    assert parts["driver leakage"] == pytest.approx(12e-8 * end)
    assert parts["digital leakage"] == pytest.approx(2e-6 * end)
    assert found["operations"][1]["energy_j"] == pytest.approx((2e-6 + 12e-8 + 2e-6) * 1e-6)
    for name in ("by_component_j", "by_kind_j"):
        assert math.fsum(found["energy"][name].values()) == pytest.approx(
            found["energy"]["total_j"], rel=1e-9
        )


def test_cells_by_hand() -> None:
    """Without wires a cell takes V^2 G: the sum over cells is what the component says, the largest is the largest G."""
    system = run()
    found = accounting(system)["cells"]["t0"]
    assert found["total_j"] == pytest.approx(summary(system)["energy"]["by_component_j"]["cells"], rel=1e-12)
    assert found["largest_at"] == [int(k) for k in np.unravel_index(G.argmax(), G.shape)]


def test_every_operation_by_component_sums_to_its_energy() -> None:
    system = run(2)
    for entry, row in zip(accounting(system)["operations"], summary(system)["operations"], strict=True):
        assert math.fsum(entry["by_component_j"].values()) == pytest.approx(
            row["energy_j"], rel=1e-12, abs=1e-30
        )


def test_the_baseline_by_hand() -> None:
    """10 vectors through 100 x 50: DRAM once, SRAM for inputs, outputs and weights of each vector, a MAC each."""
    work = Work(10, 100, 50, "amplitude", 1)
    cost = DigitalBaseline(macs_per_clock=100).cost(work)
    assert work.macs == 50_000
    assert cost.energy_j["dram"] == pytest.approx(5000 * 162.5e-12)
    assert cost.energy_j["sram"] == pytest.approx(10 * (100 + 200 + 5000) * 1.25e-12)
    assert cost.energy_j["mac"] == pytest.approx(50_000 * 0.23e-12)
    assert cost.time_s == pytest.approx(max(500e-9, 5000 / 25.6e9))


def test_the_baseline_stands_beside_the_reads() -> None:
    system = run()
    found = accounting(system, DigitalBaseline())["baseline"]
    assert found["energy_ratio"] == pytest.approx(
        found["energy_j"] / summary(system)["operations"][0]["energy_j"]
    )
    assert set(found["formulas"]) == set(found["by_component_j"])
    assert all("Horowitz" in formula["source"] for formula in found["formulas"].values())
    assert accounting(system)["baseline"] is None


def test_converters_are_named_with_their_figures() -> None:
    found = accounting(run(adc=Adc(energy_model="isaac")))["converters"]["t0"]
    assert (found["kind"], found["energy_model"], found["energy_per_conversion_j"]) == (
        "sar",
        "isaac",
        1.67e-12,
    )
    assert accounting(run(adc=Adc(kind="ideal")))["converters"]["t0"]["schreier_db"] is None
