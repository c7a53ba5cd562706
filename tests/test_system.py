"""Operations on the event time line, with durations derived by hand from the components."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from cosim.components.adc import Adc
from cosim.components.programming import Programming
from cosim.components.read_phases import read_timing
from cosim.components.tile import PHASE_KINDS
from cosim.components.write_verify import ProgrammingPulse, Verify
from cosim.crossbar import Cell, find
from cosim.devices import Resistor, find_preset
from cosim.hardware import ArraySpec, Hardware, WireSpec
from cosim.records import Trace
from cosim.report.summary import waiting
from cosim.system import HandOver, Read, System, Wait, Write, errors
from cosim.units import femtoseconds

NS = 10**6
CLOCK_FS = 10**7  # 100 MHz


def resistors(columns: int = 8, **parts: object) -> Hardware:
    wires = WireSpec(word_line=2.5, bit_line=2.5, capacitance=1e-16)
    return Hardware(ArraySpec(4, columns, wires), Resistor(), Cell("1R"), **parts)  # type: ignore[arg-type]


def system(hardware: Hardware, tiles: int = 1, backend: str = "behavioral") -> System:
    made = System(Trace(), 5)
    rng = np.random.default_rng(1)
    for k in range(tiles):
        g = rng.uniform(1e-6, 1e-5, (hardware.array.rows, hardware.array.columns))
        made.add_tile(f"t{k}", hardware, dict.fromkeys(PHASE_KINDS, find(backend)()), g)
    return made


def read(tiles: int, vectors: int = 3) -> Read:
    inputs = np.random.default_rng(2).uniform(0.1, 1, (vectors, 4))
    return Read(tuple(f"t{k}" for k in range(tiles)), inputs, 0.2, None, None)


def read_time(hardware: Hardware, tiles: int = 1, vectors: int = 3) -> int:
    made = system(hardware, tiles)
    made.run([read(tiles, vectors)])
    return made.trace.end_fs


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 8, 16])
def test_a_read_takes_what_its_components_take(count: int) -> None:
    """Per vector: DAC, circuit phase, ceil(8/N) conversions of 9 clocks one after the other, combination."""
    hardware = resistors(adc=Adc(count=count))
    circuit = read_timing(system(hardware).tiles["t0"]).duration
    conversions = math.ceil(8 / count) * 9 * CLOCK_FS
    control = femtoseconds(hardware.dac.latency) + femtoseconds(hardware.sequencer.combine_time)
    assert read_time(hardware) == 3 * (control + circuit + conversions)


@pytest.mark.parametrize(("count", "half", "turns"), [(8, 4, 1), (4, 2, 2), (2, 1, 4), (6, 3, 1), (5, 2, 2)])
def test_halving_the_adcs(count: int, half: int, turns: int) -> None:
    """The read grows by (ceil(8/half) - ceil(8/count)) conversions of 9 clock periods a vector."""
    assert math.ceil(8 / half) - math.ceil(8 / count) == turns
    longer = read_time(resistors(adc=Adc(count=half))) - read_time(resistors(adc=Adc(count=count)))
    assert longer == 3 * turns * 9 * CLOCK_FS


@pytest.mark.parametrize(("tiles", "count"), [(2, 1), (2, 2), (3, 4), (2, 16), (3, 5)])
def test_a_bank_of_the_system_is_contended(tiles: int, count: int) -> None:
    """All tiles sample at the same instant, so tiles*8 conversions queue for N converters."""
    own = read_time(resistors(adc=Adc(count=8)), tiles)
    shared = read_time(resistors(adc=Adc(count=count, shared="system")), tiles)
    turns = math.ceil(tiles * 8 / count)
    assert shared - own == 3 * (turns - 1) * 9 * CLOCK_FS


def test_tiles_with_their_own_banks_do_not_wait_for_one_another() -> None:
    hardware = resistors(adc=Adc(count=2))
    assert read_time(hardware, 3) == read_time(hardware, 1)


def test_waiting_for_converters_is_recorded() -> None:
    made = system(resistors(adc=Adc(count=1, shared="system")), 2)
    made.run([read(2, 1)])
    rows = [row for row in made.trace.busy if row[0] == "adc"]
    assert [(row[5] - row[4], row[6] - row[5], row[7]) for row in rows] == [
        (0, 72 * CLOCK_FS, 8),
        (72 * CLOCK_FS, 72 * CLOCK_FS, 8),
    ]
    assert sum(waiting(*row[4:8]) for row in rows) == sum(k * 9 * CLOCK_FS for k in range(16))
    assert made.trace.capacities["adc"] == 1


def test_result_is_the_product_within_half_a_code() -> None:
    made = system(resistors(adc=Adc(bits=12)), 1, "behavioral")
    operation = read(1)
    made.run([operation])
    g = made.tiles["t0"].conductance()
    values = made.trace.values.column("value").reshape(3, 8)
    dac_lsb = 0.2 / 255
    exact = operation.inputs * 0.2 @ g
    assert np.abs(values - exact).max() < 0.5 * dac_lsb * g.sum(axis=0).max() + 1e-3 * exact.max()
    assert np.allclose(made.trace.values.column("ideal").reshape(3, 8), exact)


def test_wait_and_hand_over() -> None:
    made = system(resistors())
    scripted = dict.fromkeys(PHASE_KINDS, find("scripted")())
    made.run([Wait(5 * NS), HandOver({"t0": scripted}), Wait(1), read(1, 1)])
    records = made.trace.operations
    assert [(r.op, r.start_fs, r.end_fs) for r in records[:3]] == [
        ("wait", 0, 5 * NS), ("backend", 5 * NS, 5 * NS), ("wait", 5 * NS, 5 * NS + 1),
    ]  # fmt: skip
    assert records[1].details == {"backends": {"t0": dict.fromkeys(PHASE_KINDS, "scripted")}}
    assert [row[4] for row in made.trace.phases] == ["scripted"]


def test_a_year_passes_exactly() -> None:
    year = 31_557_600 * 10**15
    made = system(resistors())
    made.run([Wait(year), Wait(1), Wait(year)])
    assert made.trace.end_fs == 2 * year + 1


def test_later_runs_go_on() -> None:
    made = system(resistors())
    made.run([read(1, 1)])
    end = made.trace.end_fs
    made.run([read(1, 1)])
    assert [r.operation for r in made.trace.operations] == [0, 1]
    assert made.trace.operations[1].start_fs == end


def programming(targets: np.ndarray, **rule: object) -> Programming:
    device = find_preset("mss-firm")
    pulses = device.programming_pulse(300.0)
    assert pulses is not None
    return Programming(targets, "V/2", Verify(**rule), *(ProgrammingPulse(*pulse) for pulse in pulses))  # type: ignore[arg-type]


def mss_system() -> System:
    made = System(Trace(), 5)
    wires = WireSpec(word_line=2.5, bit_line=2.5, capacitance=1e-16)
    hardware = Hardware(ArraySpec(2, 2, wires), find_preset("mss-firm"), Cell("1R"))
    made.add_tile("t", hardware, dict.fromkeys(PHASE_KINDS, find("behavioral")()))
    return made


def test_write_verify_reaches_its_window() -> None:
    made = mss_system()
    targets = np.array([[2e-6, 8e-6], [np.nan, 4e-6]])
    made.run([Write({"t": programming(targets)})])
    outcomes = made.trace.frame("outcomes")
    assert len(outcomes) == 3
    assert outcomes["converged"].all()
    assert (np.abs(outcomes["verified_s"] - outcomes["target_s"]) <= 0.02 * 9e-6).all()
    assert outcomes["pulses"].sum() == len(made.trace.pulses)
    details = made.trace.operations[0].details
    assert (details["cells"], details["converged"], details["unreached"]) == (3, 3, [])
    assert details["disturb"]["t"]["worst_of_range"] < 0.02


def test_a_budget_that_is_too_small_is_recorded() -> None:
    made = mss_system()
    made.run([Write({"t": programming(np.full((2, 2), 8e-6), max_pulses=2)})])
    details = made.trace.operations[0].details
    assert details["converged"] == 0
    assert details["unreached"] == [["t", 0, 0], ["t", 0, 1], ["t", 1, 0], ["t", 1, 1]]
    assert made.trace.warnings == ["4 of 4 cells did not reach their window within the pulse budget"]
    assert [row[7] for row in made.trace.outcomes] == [2, 2, 2, 2]


def test_no_pulse_where_the_cell_is_there_already() -> None:
    made = mss_system()
    made.run([Write({"t": programming(np.full((2, 2), 1e-6))})])
    assert len(made.trace.pulses) == 0
    assert made.trace.operations[0].details["pulses"] == 0


def test_pulses_record_what_they_did() -> None:
    made = mss_system()
    made.run([Write({"t": programming(np.array([[5e-6, np.nan], [np.nan, np.nan]]))})])
    rows = made.trace.frame("pulses")
    assert (rows["conductance_after_s"] > rows["conductance_before_s"]).all()
    assert (rows["line"] == "wl0").all()
    assert (rows["state_before"].to_numpy()[1:] == rows["state_after"].to_numpy()[:-1]).all() or np.allclose(
        rows["state_before"].to_numpy()[1:], rows["state_after"].to_numpy()[:-1], atol=1e-6
    )


def test_adc_saturation_is_a_field_and_a_warning() -> None:
    made = system(resistors(adc=Adc(range=(0.0, 1e-3))))
    made.run([read(1, 1)])
    details = made.trace.operations[0].details
    assert details["adc_saturated"] > 0
    assert made.trace.warnings == [
        f"operation 0: 0 DAC and {details['adc_saturated']} ADC conversions saturated"
    ]
    assert made.trace.conversions.column("saturated").sum() == details["adc_saturated"]


def test_errors() -> None:
    found = errors(np.array([[1.0, 3.0]]), np.array([[1.0, 1.0]]))
    assert found == {"rms": math.sqrt(2), "max": 2.0, "rms_relative": math.sqrt(2), "rms_of_range": 0.0}
    assert errors(np.zeros((1, 1)), np.zeros((1, 1)))["rms_relative"] == 0.0


def test_operations_are_values() -> None:
    operation = read(1)
    with pytest.raises(dataclasses.FrozenInstanceError):
        operation.tiles = ()  # type: ignore[misc]
    assert operation.target == "t0"
    assert Wait(1).target == "system"
