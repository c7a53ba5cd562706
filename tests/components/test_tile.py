"""Tiles: phases are atomic, cells age over gaps, states are carried, reads and pulses drive the right nets."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import simpy

from cosim.components.adc import Adc
from cosim.components.read_phases import adc_range, read_drives, read_timing
from cosim.components.schemes import PulseShape, pulse_drives
from cosim.components.tile import PHASE_KINDS, Periphery, Tile, refusals
from cosim.components.verify_reads import visible_range
from cosim.components.write_verify import next_ratio
from cosim.crossbar import Cell, CrossbarBackend, Phase, PhaseRequest, PhaseResult, find, level
from cosim.crossbar.network import Network
from cosim.devices import DeviceModel, Mss, Resistor, find_preset
from cosim.errors import PhaseError, SpiceCrashError, UnsupportedRequestError
from cosim.hardware import ArraySpec, Hardware, WireSpec
from cosim.records import Trace
from cosim.system import System

FIRM = find_preset("mss-firm")
NS = 10**6
SCRIPTED = find("scripted")
NOTHING = SCRIPTED().run


class Fails(CrossbarBackend):
    """Answers like ngspice that died."""

    name = "fails"

    def run(self, request: PhaseRequest) -> PhaseResult:
        raise SpiceCrashError("ngspice died")


def hardware(
    device: DeviceModel = FIRM, kind: str = "1T1R", rows: int = 2, columns: int = 3, **parts: object
) -> Hardware:
    wires = WireSpec(word_line=2.5, bit_line=2.5, capacitance=1e-16)
    return Hardware(ArraySpec(rows, columns, wires), device, Cell(kind, access_resistance=5e3), **parts)  # type: ignore[arg-type]


def tile(hw: Hardware, backend: CrossbarBackend | None = None, conductance: object = 5e-6) -> Tile:
    system = System(Trace(), 0)
    g = np.broadcast_to(np.asarray(conductance), (hw.array.rows, hw.array.columns)).copy()
    return system.add_tile("t", hw, dict.fromkeys(PHASE_KINDS, backend or find("behavioral")()), g)


def finish(made: Tile, body) -> object:
    process = made.environment.process(body)
    made.environment.run(until=process)
    return process.value


def quiet(made: Tile, kind: str = "read", duration: int = 10 * NS) -> Phase:
    return Phase(kind, duration, dict.fromkeys(made.network.nets, level(0.0)), (5 * NS,))


def test_a_phase_takes_its_time_and_is_recorded() -> None:
    made = tile(hardware())
    index, result = finish(made, made.run_phase(3, quiet(made), "test"))  # type: ignore[misc]
    assert (index, made.now, result.duration_fs) == (0, 10 * NS, 10 * NS)
    row = made.trace.frame().iloc[0]
    assert (row["operation"], row["kind"], row["backend"], row["tile"]) == (3, "read", "behavioral", "t")
    assert row["duration_from"] == "test"


def test_the_true_duration_counts() -> None:
    """A backend that stopped early ends the phase early."""
    made = tile(hardware(), SCRIPTED(lambda request: dataclasses.replace(NOTHING(request), duration_fs=7)))
    finish(made, made.run_phase(0, quiet(made), "test"))
    assert made.now == 7


def test_cells_age_over_the_gap() -> None:
    """The default MSS relaxes at 0 V: the state that a phase sees has aged since the last one."""
    device, seen = Mss(), []
    made = tile(
        hardware(device), SCRIPTED(lambda request: seen.append(request.states[0]) or NOTHING(request)), 8e-4
    )
    before = made.state

    def body():
        yield made.environment.timeout(10**12)
        yield from made.run_phase(0, quiet(made), "test")
        yield made.environment.timeout(5 * 10**12)
        yield from made.run_phase(0, quiet(made), "test")

    finish(made, body())
    rest = np.zeros((2, 3))
    assert np.allclose(seen[0], device.advance(before, rest, 1e-3, 300.0), rtol=0, atol=1e-15)
    assert np.allclose(seen[1], device.advance(seen[0], rest, 5e-3, 300.0), rtol=0, atol=1e-15)
    assert np.abs(seen[1] - before).max() > 1e-3


def test_ageing_is_not_counted_twice() -> None:
    """Many phases and gaps at 0 V end where one long rest ends."""
    device = Mss()
    made = tile(hardware(device), conductance=8e-4)
    before = made.state

    def body():
        for _ in range(20):
            yield from made.run_phase(0, quiet(made, duration=10**11), "test")
            yield made.environment.timeout(10**11)
        yield from made.run_phase(0, quiet(made, duration=10**11), "test")

    finish(made, body())
    whole = device.advance(before, np.zeros((2, 3)), made.now * 1e-15, 300.0)
    assert np.allclose(made.state, whole, rtol=0, atol=1e-12)


def test_stochastic_ageing_draws_for_each_gap() -> None:
    device = dataclasses.replace(Mss(), switches=1000)
    made = tile(hardware(device, rows=8, columns=8), SCRIPTED(), 5e-4)

    def body():
        yield made.environment.timeout(10**14)
        yield from made.run_phase(0, quiet(made), "test")

    before = made.state
    finish(made, body())
    mean = device.advance(before, np.zeros((8, 8)), 0.1, 300.0)
    assert len(np.unique(made.state)) > 5
    assert abs(made.state.mean() - mean.mean()) < 5 * 0.016 / 8
    assert np.allclose(made.state * 1000, np.rint(made.state * 1000), atol=1e-9)


def test_a_hand_over_carries_the_state() -> None:
    made = tile(hardware())
    seen: list[np.ndarray] = []
    drives = dict.fromkeys(made.network.nets, level(0.0)) | {"wl0": level(0.75), "gl0": level(1.8)}
    finish(made, made.run_phase(0, Phase("write", 1000 * NS, drives), "test"))
    after = made.state.copy()
    assert np.abs(after[0] - after[1]).min() > 0.01
    made.hand_over({"write": SCRIPTED(lambda request: seen.append(request.states[0]) or NOTHING(request))})
    finish(made, made.run_phase(0, Phase("write", NS, drives), "test"))
    assert np.array_equal(seen[0], after)
    assert [row[4] for row in made.trace.phases] == ["behavioral", "scripted"]


def test_a_failed_phase_commits_nothing() -> None:
    made = tile(hardware(), Fails())
    before = made.state.copy()
    with pytest.raises(PhaseError, match=r"phase 0 \(read on tile t, operation 2\): ngspice died"):
        finish(made, made.run_phase(2, quiet(made), "test"))
    assert np.array_equal(made.state, before)
    assert len(made.trace.phases) == 0
    assert len(made.trace.energies) == 0


def test_states_out_of_bounds_are_clipped_and_counted() -> None:
    made = tile(
        hardware(),
        SCRIPTED(lambda request: dataclasses.replace(NOTHING(request), states=(np.full((2, 3), 1.5),))),
    )
    finish(made, made.run_phase(0, quiet(made), "test"))
    assert (made.state == 1.0).all()
    assert made.trace.phases.column("out_of_bounds").tolist() == [6]


def test_phases_of_one_tile_do_not_overlap() -> None:
    made = tile(hardware())
    processes = [made.environment.process(made.run_phase(0, quiet(made), "test")) for _ in range(3)]
    made.environment.run(until=simpy.AllOf(made.environment, processes))
    assert [row[5] for row in made.trace.phases] == [0, 10 * NS, 20 * NS]
    assert [row[4] for row in made.trace.busy] == [0, 0, 0]


def test_every_phase_has_its_own_seed() -> None:
    seeds: list[int] = []
    made = tile(hardware(), SCRIPTED(lambda request: seeds.append(request.noise_seed) or NOTHING(request)))
    for _ in range(3):
        finish(made, made.run_phase(0, quiet(made), "test"))
    assert len(set(seeds)) == 3
    again = []
    other = tile(hardware(), SCRIPTED(lambda request: again.append(request.noise_seed) or NOTHING(request)))
    finish(other, other.run_phase(0, quiet(other), "test"))
    assert again == seeds[:1]


def test_every_energy_has_a_formula() -> None:
    made = tile(hardware())
    drives = dict.fromkeys(made.network.nets, level(0.01)) | {"wl0": level(0.2), "gl0": level(1.8)}
    finish(made, made.run_phase(0, Phase("read", 10 * NS, drives, (1,)), "test"))
    keys = {row[6] for row in made.trace.energies}
    assert keys
    assert keys <= set(made.trace.formulas)
    for formula in made.trace.formulas.values():
        assert all(part.strip() for part in formula)


@pytest.mark.parametrize("rising", [True, False])
def test_gate_scheme(rising: bool) -> None:
    """Only the chosen cell of the conducting row sees the pulse."""
    made = tile(hardware())
    drives = pulse_drives(
        made, "gate", "tracking", 1, np.array([2]), (1.0,), PulseShape(1, 9, 1), rising, 1.8
    )
    top = {net: max(wave.voltages) for net, wave in drives.items()}
    assert top == {
        "wl0": 0.0, "wl1": 1.0 if rising else 0.0, "gl1": 1.8,
        "bl0": 1.0 if rising else 0.0, "bl1": 1.0 if rising else 0.0, "bl2": 0.0 if rising else 1.0,
    }  # fmt: skip
    assert drives["gl1"].is_level


@pytest.mark.parametrize("rising", [True, False])
def test_half_scheme(rising: bool) -> None:
    made = tile(hardware(kind="1R"))
    drives = pulse_drives(made, "V/2", "tracking", 0, np.array([1]), (1.0,), PulseShape(1, 9, 1), rising, 0.0)
    top = {net: max(wave.voltages) for net, wave in drives.items()}
    sees = {(i, j): top[f"wl{i}"] - top[f"bl{j}"] for i in range(2) for j in range(3)}
    sign = 1.0 if rising else -1.0
    assert sees.pop((0, 1)) == sign
    assert all(value in (0.0, 0.5 * sign) for value in sees.values())
    assert sorted(sees.values(), key=abs) == [0.0, 0.0, *[0.5 * sign] * 3]


def test_read_timing_is_the_sum_of_its_parts() -> None:
    """Edge, sense settling, (B + 1) ln 2 Elmore delays, sample, edge."""
    hw = hardware(adc=Adc(bits=8))
    made = tile(hw)
    timing = read_timing(made)
    word = hw.driver.output_resistance + 4 * 2.5 / 2
    bit = hw.sense.input_resistance + 3 * 2.5 / 2
    line = 9 * math.log(2) * (word * 4e-16 + bit * 3e-16)
    expected = hw.driver.rise + hw.sense.settling + line + hw.sense.sample_time + hw.driver.fall
    assert timing.duration == pytest.approx(expected * 1e15, abs=3)
    assert timing.strobe == timing.rise + timing.hold


def test_read_drives() -> None:
    made = tile(hardware())
    timing = read_timing(made)
    drives = read_drives(made, np.array([0.1, 0.0]), range(2), timing)
    assert max(drives["wl0"].voltages) == 0.1
    assert drives["wl0"].times_fs[-1] == timing.duration
    assert drives["wl1"].is_level
    assert {drives[f"bl{j}"].voltages for j in range(3)} == {(0.0,)}
    assert {drives[f"gl{i}"].voltages for i in range(2)} == {(1.8,)}


def test_adc_range() -> None:
    made = tile(hardware())
    gain = made.periphery.sense.gain
    span = adc_range(made, np.array([1e-6, 3e-6]))
    assert (span.low, span.high, span.calibrated) == (0.0, 3e-6 * gain, True)
    assert adc_range(made, np.array([-1e-6, 3e-6])).low == -1e-6 * gain
    nothing = adc_range(made, np.zeros(3))
    assert nothing.high > nothing.low
    fixed = adc_range(tile(hardware(adc=Adc(range=(0.1, 0.9)))), np.array([1.0]))
    assert (fixed.low, fixed.high, fixed.calibrated) == (0.1, 0.9, False)


def test_visible_range_is_device_and_access_in_series() -> None:
    low, high = visible_range(tile(hardware()))
    assert (low, high) == (pytest.approx(1 / 1005e3), pytest.approx(1 / 105e3))
    assert visible_range(tile(hardware(kind="1R"))) == (pytest.approx(1e-6), pytest.approx(1e-5))


@pytest.mark.parametrize(
    ("seen", "target", "before", "ratio", "expected"),
    [
        (0.0, 10.0, None, 1.0, 1.0),
        (1.0, 10.0, 0.0, 1.0, 9.0),
        (9.0, 10.0, 0.0, 9.0, 1.0),
        (12.0, 10.0, 9.0, 3.0, 1.0),
        (1.0, 1.01, 0.0, 1.0, 0.125),
        (0.1, 100.0, 0.0, 1.0, 32.0),
        (5.0, 10.0, 5.0, 2.0, 1.0),
    ],
)
def test_adaptive_width_is_a_secant_step(
    seen: float, target: float, before: float | None, ratio: float, expected: float
) -> None:
    assert next_ratio(seen, target, before, ratio, 32.0) == expected


def test_refusals_at_build() -> None:
    class NoWrites(Fails):
        def refusal(self, network: Network, kind: str) -> str | None:
            return "no writes here" if kind == "write" else None

    network = hardware().network("t")
    refusals(network, {"read": NoWrites()})
    with pytest.raises(UnsupportedRequestError, match="no writes here"):
        refusals(network, dict.fromkeys(PHASE_KINDS, NoWrites()))


def test_a_measured_map_is_taken_as_it_is() -> None:
    made = tile(hardware(Resistor()), conductance=np.arange(6.0).reshape(2, 3) * 1e-3)
    assert np.array_equal(made.conductance(), np.arange(6.0).reshape(2, 3) * 1e-3)
    assert Periphery().adc.count == 1
