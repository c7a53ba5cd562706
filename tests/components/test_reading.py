"""Reads through codings, sense circuits, sample-and-holds: results against numpy, latencies derived by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from cosim.components.adc import Adc
from cosim.components.dac import Dac
from cosim.components.driver import Driver, LevelShifter
from cosim.components.programming import Programming
from cosim.components.quantizer import ConverterErrors
from cosim.components.read_phases import read_timing, width_timing
from cosim.components.sense import Sense, SenseErrors
from cosim.components.tile import PHASE_KINDS
from cosim.components.write_verify import ProgrammingPulse, Verify
from cosim.crossbar import Cell, find
from cosim.devices import Resistor, find_preset
from cosim.errors import DeviceError
from cosim.hardware import ArraySpec, Hardware, WireSpec
from cosim.records import Trace
from cosim.report.summary import summarize
from cosim.system import Read, System, Write
from cosim.units import femtoseconds, seconds

NS = 10**6
CLOCK_FS = 10**7
G = np.random.default_rng(3).uniform(1e-6, 2e-5, (4, 8))


def hardware(**parts: object) -> Hardware:
    wires = WireSpec(word_line=2.5, bit_line=2.5, capacitance=1e-16)
    return Hardware(ArraySpec(4, 8, wires), Resistor(), Cell("1R"), **parts)  # type: ignore[arg-type]


def run(
    parts: Hardware, vectors: int = 3, coding: str = "amplitude", fidelity: str = "resistive", tiles: int = 1
) -> tuple[System, Read]:
    system = System(Trace(), 5)
    backend = find("behavioral")(fidelity=fidelity)
    names = tuple(f"t{k}" for k in range(tiles))
    for name in names:
        system.add_tile(name, parts, dict.fromkeys(PHASE_KINDS, backend), G)
    inputs = np.random.default_rng(2).integers(1, 256, (vectors, 4)) / 255
    operation = Read(names, inputs, 0.2, None, None, coding)
    system.run([operation])
    return system, operation


def error(system: System) -> float:
    return float(system.trace.operations[0].details["error"]["rms_relative"])


def summary(system: System) -> dict[str, object]:
    return summarize(system.trace, scenario={"name": "t", "sha256": ""}, seed=5)


# Latency, derived by hand from the components.


@pytest.mark.parametrize("count", [1, 3, 8])
@pytest.mark.parametrize("bits", [1, 4, 8])
def test_bit_serial_with_b_bits_is_b_array_phases(bits: int, count: int) -> None:
    """Per bit: DAC, circuit phase, ceil(8/N) conversions of 9 clocks, shift-and-add; B of them a vector."""
    parts = hardware(dac=Dac(bits=bits), adc=Adc(count=count))
    system, _ = run(parts, 3, "bit-serial")
    circuit = read_timing(system.tiles["t0"]).duration
    control = femtoseconds(parts.dac.latency) + femtoseconds(parts.sequencer.combine_time)
    one = control + circuit + math.ceil(8 / count) * 9 * CLOCK_FS
    assert system.trace.end_fs == 3 * bits * one
    assert len(system.trace.phases) == 3 * bits


@pytest.mark.parametrize(("count", "longer"), [(8, "converters"), (1, "converters"), (16, "array")])
def test_two_sample_and_holds_make_a_pipeline(count: int, longer: str) -> None:
    """The array samples input k + 1 while input k is converted, so steps are as long as the slower of the two.

    A: DAC and circuit phase, C: conversions, D: digital combination, K inputs. Where C >= A + D the converters are
    never idle once the first sample is there: A + K C + D. Where C + D < A (16 flash converters) the array is never
    idle: K A + C + D.
    """
    adc = Adc(count=count) if longer == "converters" else Adc(kind="flash", bits=6, count=16)
    parts = hardware(adc=adc, sense=Sense(holds=2))
    system, _ = run(parts, 5)
    array = read_timing(system.tiles["t0"]).duration + femtoseconds(parts.dac.latency)
    turns = math.ceil(8 / count)
    conversions = turns * (9 if longer == "converters" else 1) * CLOCK_FS
    combine = femtoseconds(parts.sequencer.combine_time)
    if longer == "converters":
        assert conversions >= array + combine
        expected = array + 5 * conversions + combine
    else:
        assert conversions + combine < array
        expected = 5 * array + conversions + combine
    assert system.trace.end_fs == expected


def test_one_sample_and_hold_is_no_pipeline() -> None:
    parts = hardware(adc=Adc(count=8))
    system, _ = run(parts, 5)
    array = read_timing(system.tiles["t0"]).duration + femtoseconds(parts.dac.latency)
    assert system.trace.end_fs == 5 * (array + 9 * CLOCK_FS + femtoseconds(parts.sequencer.combine_time))


def test_a_mux_adds_its_delay_to_every_conversion() -> None:
    plain, _ = run(hardware())
    from cosim.components.mux import Mux

    slow, _ = run(hardware(adc=Adc(mux=Mux(delay=5e-9, energy=1e-15))))
    assert slow.trace.end_fs - plain.trace.end_fs == 3 * 8 * 5 * NS
    assert summary(slow)["energy"]["by_component_j"]["mux"] == pytest.approx(24e-15)  # type: ignore[index]


def test_pwm_takes_its_slots() -> None:
    """4 bits of 2 ns: 15 slots, less half of both edges, then the falling edge, settling, sample, one edge more."""
    parts = hardware(dac=Dac(bits=4), sense=Sense(kind="integrator"), adc=Adc(count=8))
    system, _ = run(parts, 1, "pwm")
    tile = system.tiles["t0"]
    timing, plain = width_timing(tile, 15), read_timing(tile)
    assert timing.duration == plain.duration + 15 * 2 * NS - 1 * NS + 1 * NS
    control = femtoseconds(parts.dac.latency) + femtoseconds(parts.sequencer.combine_time)
    assert system.trace.end_fs == timing.duration + 9 * CLOCK_FS + control


# Results.


@pytest.mark.parametrize(
    ("coding", "kind"),
    [
        ("amplitude", "tia"), ("amplitude", "integrator"), ("amplitude", "current-mirror"), ("bit-serial", "tia"),
        ("bit-serial", "integrator"), ("pwm", "integrator"), ("split-pwm", "integrator"),
    ],
)  # fmt: skip
def test_every_coding_gives_the_product(coding: str, kind: str) -> None:
    """Without wires and with 16-bit converters the error is that of rounding: 2^-17 of full scale and less."""
    parts = hardware(
        dac=Dac(bits=8),
        adc=Adc(bits=16, count=8),
        sense=Sense(kind=kind, ratio=0.5 if "mirror" in kind else 1.0),
    )  # type: ignore[arg-type]
    system, _ = run(parts, 3, coding, fidelity="ideal")
    assert error(system) < 2e-5


def test_a_divider_loses_what_its_load_takes() -> None:
    """One driven row: I = V/(R + load) instead of V/R, so the result is short by load/(R + load) in each column."""
    g = np.full((1, 2), 1e-5)
    parts = Hardware(
        ArraySpec(1, 2, WireSpec(capacitance=1e-16)), Resistor(), Cell("1R"), adc=Adc(kind="ideal"),
        sense=Sense(kind="voltage-divider", gain=1e3), driver=Driver(output_resistance=0.0),
    )  # fmt: skip
    system = System(Trace(), 5)
    system.add_tile("t", parts, dict.fromkeys(PHASE_KINDS, find("behavioral")()), g)
    system.run([Read(("t",), np.array([[1.0]]), 0.2, None, None)])
    current = system.trace.values.column("value")
    # word and bit line add 2.82 ohm a segment: column 0 sees one word segment, column 1 two; one bit segment
    assert current == pytest.approx(0.2 / (1e5 + 1e3) * np.ones(2), rel=2e-4)
    assert "sense bias" not in summary(system)["energy"]["by_component_j"]  # type: ignore[index]


def test_sense_errors_are_those_of_a_line() -> None:
    sense = Sense(errors=SenseErrors(offset=1e-3, gain=0.02))
    exact, _ = run(hardware(adc=Adc(kind="ideal")), fidelity="ideal")
    bent, _ = run(hardware(adc=Adc(kind="ideal"), sense=sense), fidelity="ideal")
    a, b = (s.trace.values.column("value") for s in (exact, bent))
    assert b == pytest.approx(1.02 * a + 1e-3 / sense.gain, rel=1e-9)


def test_droop_grows_with_the_wait() -> None:
    """One converter: column k waits k conversions of 170 ns after the falling edge of 1 ns; 10 pA on 50 fF is 200 V/s."""
    adc = Adc(bits=16, count=1, range=(0.0, 0.1))
    sense = Sense(hold_leakage=10e-12)
    plain, _ = run(hardware(adc=adc), 1, fidelity="ideal")
    leaky, _ = run(hardware(adc=adc, sense=sense), 1, fidelity="ideal")
    a, b = (s.trace.values.column("value") * sense.gain for s in (plain, leaky))
    waits = 1e-9 + 170e-9 * np.arange(8)
    assert a - b == pytest.approx(200.0 * waits, abs=0.11 / 65535)


def test_noise_is_drawn_by_name_and_is_repeated() -> None:
    parts = hardware(adc=Adc(errors=ConverterErrors(noise=1e-4)), sense=Sense(errors=SenseErrors(noise=1e-4)))
    first, second = (run(parts)[0].trace.values.column("value") for _ in range(2))
    assert np.array_equal(first, second)
    assert not np.array_equal(first, run(hardware())[0].trace.values.column("value"))


def test_a_comparator_gives_one_bit_and_asks_no_adc() -> None:
    sense = Sense(kind="comparator", threshold=20e-3)
    system, operation = run(hardware(sense=sense), fidelity="ideal")
    current = 0.2 * np.rint(operation.inputs * 255) / 255 @ G
    bits = system.trace.conversions.column("code").reshape(3, 8)
    assert np.array_equal(bits, (current * sense.gain > 20e-3).astype(int))
    components = summary(system)["energy"]["by_component_j"]  # type: ignore[index]
    assert "adc" not in components
    assert components["comparator"] == pytest.approx(24 * 41.7e-15)
    assert system.trace.operations[0].details["metastable"] == 0


def test_a_comparator_near_its_threshold_is_metastable() -> None:
    """It needs tau ln(supply/dV): 20 ps ln(0.8 V / 1 mV) = 134 ps, well within 1 ns, and forever at dV = 0.

    Where it has but 20 ps ln(0.8 V / 2 mV), a difference of 1 mV is too small as well.
    """
    sense = Sense(kind="comparator")
    inputs = sense.threshold + np.array([0.0, 1e-3, -1e-3])
    codes, unsure = sense.decide(inputs, np.random.default_rng(1))
    assert unsure == 1
    assert codes.codes[1:].tolist() == [1, 0]
    fast = Sense(kind="comparator", resolve_time=20e-12 * math.log(0.8 / 2e-3))
    assert fast.decide(inputs, None)[1] == 3
    drawn = [int(sense.decide(inputs[:1], np.random.default_rng(k))[0].codes[0]) for k in range(20)]
    assert set(drawn) == {0, 1}


def test_a_mirror_draws_the_copied_current() -> None:
    """supply * ratio * |Q|, where a virtual ground draws supply * |Q|."""
    energies = []
    for kind, ratio, component in (
        ("tia", 1.0, "sense virtual ground"),
        ("current-mirror", 0.25, "sense mirror"),
    ):
        system, _ = run(hardware(sense=Sense(kind=kind, ratio=ratio)))  # type: ignore[arg-type]
        energies.append(summary(system)["energy"]["by_component_j"][component])  # type: ignore[index]
    assert energies[1] == pytest.approx(0.25 * energies[0])


def test_percentile_of_a_profile_sets_the_range() -> None:
    system = System(Trace(), 5)
    system.add_tile("t", hardware(), dict.fromkeys(PHASE_KINDS, find("behavioral")()), G)
    inputs, profile = np.full((2, 4), 1.0), np.full((1, 4), 0.5)
    system.run([Read(("t",), inputs, 0.2, None, None, "amplitude", profile)])
    details = system.trace.operations[0].details
    assert details["adc_range_v"][0][1] == pytest.approx(0.1 * G.sum(axis=0).max() * 1e4)
    assert details["adc_saturated"] > 0


@pytest.mark.parametrize("coding", ["pwm", "split-pwm"])
def test_widths_need_an_integrator(coding: str) -> None:
    with pytest.raises(DeviceError) as refused:
        run(hardware(), 1, coding)
    assert (
        str(refused.value)
        == f"sense.kind: must be integrator for coding {coding}, whose result is a charge, not tia"
    )


def test_a_slot_must_hold_its_edges() -> None:
    with pytest.raises(
        DeviceError, match=r"dac\.slot: must be longer than half of both edges, 1e-09 s, not 5e-10 s"
    ):
        run(hardware(dac=Dac(slot=0.5e-9), sense=Sense(kind="integrator")), 1, "pwm")


@pytest.mark.parametrize(("limit", "count"), [(1e-3, 0), (1e-9, 3)])
def test_compliance_is_counted(limit: float, count: int) -> None:
    system, _ = run(hardware(driver=Driver(compliance=limit)))
    assert system.trace.operations[0].details["over_compliance"] == count
    assert sum("over compliance" in row[17] for row in system.trace.phases) == count


def test_level_shifters_serve_lines_that_swing_further() -> None:
    """V/2 on a 2x2 array: a 1.2 V pulse shifts the one full line; lines at 0.6 V stay below the supply of 0.8 V."""
    shifter = LevelShifter(energy=1e-15, delay=3e-9)
    parts = Hardware(
        ArraySpec(2, 2), find_preset("mss-firm"), Cell("1R"), driver=Driver(level_shifter=shifter)
    )
    system = System(Trace(), 5)
    system.add_tile("t", parts, dict.fromkeys(PHASE_KINDS, find("behavioral")()), np.full((2, 2), 5e-6))
    targets = np.full((2, 2), np.nan)
    targets[0, 0] = 7e-6
    pulse = ProgrammingPulse(1.2, 10e-9)
    system.run([Write({"t": Programming(targets, "V/2", Verify(max_pulses=3), pulse, pulse)})])
    pulses = len(system.trace.pulses)
    assert pulses > 0
    assert summary(system)["energy"]["by_component_j"]["level shifters"] == pytest.approx(pulses * 1e-15)  # type: ignore[index]
    waits = [row for row in system.trace.busy if row[0] == "t.level shifters"]
    assert [row[6] - row[5] for row in waits] == [3 * NS] * pulses


@pytest.mark.parametrize("coding", ["amplitude", "bit-serial", "pwm", "split-pwm"])
def test_energies_add_up(coding: str) -> None:
    parts = hardware(dac=Dac(bits=4), sense=Sense(kind="integrator", holds=2))
    system, _ = run(parts, 3, coding, tiles=2)
    energy = summary(system)["energy"]
    for part in ("by_component_j", "by_kind_j"):
        assert math.fsum(energy[part].values()) == pytest.approx(energy["total_j"], rel=1e-9)  # type: ignore[index]
    assert energy["balance"]["relative_error"] < 1e-9  # type: ignore[index]


def charged(bits: int, **sense: float | str) -> System:
    """Return a system on lines with capacitance: 10 kohm drivers and 50 fF a segment make them slow."""
    wires = WireSpec(word_line=1.0, bit_line=1.0, capacitance=50e-15)
    parts = Hardware(
        ArraySpec(8, 8, wires), Resistor(), Cell("1R"), adc=Adc(kind="ideal", bits=bits),
        driver=Driver(output_resistance=1e4), sense=Sense(**sense),
    )  # type: ignore[arg-type]  # fmt: skip
    system = System(Trace(), 5)
    conductance = np.random.default_rng(3).uniform(1e-6, 2e-5, (8, 8))
    backends = dict.fromkeys(PHASE_KINDS, find("behavioral")(fidelity="rc"))
    system.add_tile("t", parts, backends, conductance, charged=True)
    return system


def sampled(system: System) -> tuple[np.ndarray, float]:
    """Return the currents at the strobe of a read, and how long the lines had to settle [s]."""
    system.run([Read(("t",), np.ones((1, 8)), 0.2, None, None)])
    return system.trace.values.column("value"), seconds(read_timing(system.tiles["t"]).hold)


@pytest.mark.parametrize("bits", [6, 8])
def test_settling_auto_is_enough_and_an_early_strobe_costs_accuracy(bits: int) -> None:
    """With (B + 1) ln 2 tau the error is below half a step of B bits; a strobe after a tenth of it is far off.

    The exact value is that of a strobe after four times as long.
    """
    found, time = sampled(charged(bits, settling="auto"))
    exact, _ = sampled(charged(bits, strobe=4 * time))
    half = 0.5 * exact / 2**bits
    assert np.all(np.abs(found - exact) <= half)
    errors = []
    for part in (0.02, 0.1, 0.3):
        early, taken = sampled(charged(bits, settling="auto", strobe=part * time))
        assert taken == pytest.approx(part * time, rel=1e-4)
        errors.append(float((np.abs(early - exact) / half).max()))
    assert errors == sorted(errors, reverse=True)
    assert errors[1] > 4


def test_settling_auto_without_capacitance_takes_no_time() -> None:
    wires = WireSpec(word_line=1.0, bit_line=1.0, capacitance=0.0)
    parts = Hardware(ArraySpec(4, 8, wires), Resistor(), Cell("1R"), sense=Sense(settling="auto"))
    made = System(Trace(), 5).add_tile("t", parts, dict.fromkeys(PHASE_KINDS, find("behavioral")()), G)
    assert read_timing(made).hold == 1
