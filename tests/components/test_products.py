"""Products in every way: signed, transposed, bit-sliced; against what quantization allows, reciprocity, hand-derived times."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

import cosim
from cosim.components.coding import encode, find_coding, profile_phases
from cosim.components.dac import Dac
from cosim.components.read_path import TransposedPeriphery
from cosim.components.read_phases import read_timing
from cosim.components.reading import timings
from cosim.components.sense import Sense
from cosim.components.tile import PHASE_KINDS
from cosim.crossbar import Cell, find
from cosim.devices import Resistor
from cosim.errors import ScenarioError
from cosim.hardware import ArraySpec, Hardware, WireSpec
from cosim.records import Trace
from cosim.report.summary import summarize
from cosim.system import Read, System
from cosim.units import femtoseconds, seconds

FOLDER = Path(__file__).parents[2] / "scenarios"
G = np.random.default_rng(8).uniform(1e-6, 1e-4, (6, 4))


def hardware(**parts: object) -> Hardware:
    wires = WireSpec(word_line=20.0, bit_line=35.0, capacitance=1e-16)
    return Hardware(ArraySpec(6, 4, wires), Resistor(), Cell("1R"), **parts)  # type: ignore[arg-type]


def run(
    parts: Hardware, inputs: np.ndarray, backend: str = "behavioral", fidelity: str = "", **keys: object
) -> System:
    system = System(Trace(), 5)
    options = {"fidelity": fidelity} if fidelity else {}
    system.add_tile("t", parts, dict.fromkeys(PHASE_KINDS, find(backend)(**options)), G)
    system.run([Read(("t",), inputs, 0.2, None, None, **keys)])  # type: ignore[arg-type]
    return system


def values(system: System) -> np.ndarray:
    return np.array(system.trace.operations[0].details["values"])


def energies(system: System) -> dict[str, float]:
    summary = summarize(system.trace, scenario={"name": "t", "sha256": ""}, seed=5)
    found: dict[str, float] = summary["energy"]["by_component_j"]
    return found


# Every way of multiplying agrees with the exact product within its quantization.


def test_products_agree_within_their_quantization() -> None:
    """Half a step of the DAC on every input, of a sliced weight, and of the ADC in every phase of every array.

    With x in units of full scale: |y - y_exact| <= sum_i |w_i| /(2 (2^6 - 1)) + sum_i x_i w_max/(2 (2^8 - 1)) (slices)
    + sum over arrays and phases of |factor| weight LSB/2 in units of the result.
    """
    scenario = cosim.load(FOLDER / "products.yaml")
    result = cosim.run(scenario)
    system = cosim.scenario.build.build(scenario, Trace(), cosim.scenario.build.Backends(scenario)).system
    matrix = np.loadtxt(FOLDER / "data/dct8.csv", delimiter=",")
    exact_inputs = np.array(scenario.section.program[2].read.inputs)  # type: ignore[union-attr]
    low, high = 1 / (1e6 + 5e3), 1 / (1e5 + 5e3)
    largest = np.abs(matrix).max()
    unit = 0.8 * (high - low) / largest
    for index, step in enumerate(scenario.section.program):
        if step.read is None:
            continue
        entry = result.summary["operations"][index]
        coding, tile = find_coding(step.read.coding), system.tiles["positive"]
        coded = encode(coding, tile.forward.dac, 0.1 * exact_inputs)
        gains = [tile.forward.sense.transfer(t.window_s) for t in timings(tile, coding, coded)]
        bound = np.abs(matrix).sum(axis=0) / (2 * 63) + np.zeros((3, 1))
        factors = np.ones(2)
        if len(step.read.tiles) == 8:
            factors = np.repeat(4.0 ** np.arange(4) * 3 / 255, 2)
            bound = bound + (exact_inputs.sum(axis=1, keepdims=True) + 8 / 126) * largest / (2 * 255)
        steps = np.array([high - low for low, high in entry["adc_range_v"]]) / 4095
        volts = sum(weight / gain for weight, gain in zip(coded.weights, gains, strict=True))
        bound = bound + (factors * steps).sum() / 2 * volts / (unit * 0.1)
        found, ideal = (np.reshape(entry[name], (3, 8)) for name in ("values", "ideal"))
        assert np.allclose(ideal, exact_inputs @ matrix, rtol=1e-12)
        assert np.all(np.abs(found - ideal) <= bound), step.read.coding
        assert bound.max() < 0.05 * np.abs(ideal).max()  # it says something


# Signed inputs.


@pytest.mark.parametrize("name", ["amplitude", "bit-serial", "pwm", "split-pwm"])
def test_two_passes_add_up(name: str) -> None:
    dac = Dac(bits=8, range=(0.0, 0.2))
    wanted = np.random.default_rng(0).uniform(-0.2, 0.2, (3, 5))
    coded = encode(find_coding(name), dac, wanted, "two-pass")
    assert coded.phases == 2 * find_coding(name).encode(dac, wanted).phases
    assert np.all(coded.amplitude >= 0)
    made = np.tensordot(coded.weights, coded.effective(), axes=1)
    assert np.abs(made - wanted).max() <= 0.5 * dac.lsb * (1 + 1e-9)
    samples, phase = profile_phases(find_coding(name), dac, wanted, "two-pass")
    assert len(samples) == len(phase)
    assert samples.min() >= 0


def test_the_other_sign_is_not_driven() -> None:
    """A DAC from -0.2 V to 0.2 V has no code for 0 V; in a pass of magnitudes a line without input is not driven."""
    coded = encode(find_coding("amplitude"), Dac(range=(-0.2, 0.2)), np.array([[0.1, -0.1, 0.0]]), "two-pass")
    assert (coded.amplitude[:, 0] != 0).tolist() == [[True, False, False], [False, True, False]]


def test_two_passes_cost_twice() -> None:
    """The time is that of twice the array phases, and the DACs convert every input once in all."""
    inputs = np.array([[1, -1, 0.5, -0.5, 0.25, -0.25], [0.5, 0.5, 0.5, -0.5, -0.5, -0.5]])
    one = run(hardware(), np.abs(inputs), fidelity="ideal")
    two = run(hardware(), inputs, fidelity="ideal", signed="two-pass")
    assert two.trace.end_fs == 2 * one.trace.end_fs
    assert len(two.trace.phases) == 2 * len(one.trace.phases)
    assert energies(two)["dac"] == pytest.approx(energies(one)["dac"])
    assert energies(two)["adc"] == pytest.approx(2 * energies(one)["adc"])
    exact = 0.2 * inputs @ G
    assert np.abs(values(two) - exact.ravel()).max() < 0.02 * np.abs(exact).max()
    assert two.trace.operations[0].details["signed"] == "two-pass"


# The other way through the array.


@pytest.mark.parametrize("backend", ["behavioral", pytest.param("ngspice", marks=pytest.mark.ngspice)])
def test_reciprocity(backend: str) -> None:
    """Of a linear network with equal line-end resistances the transposed matrix is the transpose of the forward one.

    Every input alone gives one row of the matrix that the network has, wires and all.
    """
    ideal = cosim.components.adc.Adc(kind="ideal")
    other = TransposedPeriphery(adc=ideal, sense=Sense(input_resistance=40.0))
    driver = cosim.components.driver.Driver(output_resistance=40.0)
    parts = hardware(adc=ideal, driver=driver, sense=Sense(input_resistance=40.0), transposed=other)
    forward = values(run(parts, np.eye(6), backend)).reshape(6, 4)
    back = values(run(parts, np.eye(4), backend, transposed=True)).reshape(4, 6)
    assert np.allclose(back.T, forward, rtol=1e-6 if backend == "ngspice" else 1e-9)
    assert np.abs(forward - 0.2 * G).max() > 1e-3 * 0.2 * G.max()  # wires have their part in it


def test_converters_of_the_other_side_cost_on_their_own() -> None:
    """Four DACs and one flash ADC for six word lines: 6 conversions of one clock, an energy of its own."""
    other = TransposedPeriphery(Dac(energy=2e-12), cosim.components.adc.Adc(kind="flash", bits=6, clock=5e7))
    parts = hardware(transposed=other)
    system = run(parts, np.array([[1.0, 0.5, 0.25, 1.0]]), transposed=True)
    tile = system.tiles["t"]
    timing = read_timing(tile, tile.path(True))
    control = femtoseconds(other.dac.latency) + femtoseconds(parts.sequencer.combine_time)
    assert system.trace.end_fs == control + timing.duration + 6 * femtoseconds(2e-8)
    parts_j = energies(system)
    assert parts_j["transposed dac"] == pytest.approx(4 * 2e-12)
    assert parts_j["transposed adc"] == pytest.approx(6 * other.adc.conversion_energy)
    assert not {"dac", "adc", "sense bias"} & set(parts_j)
    assert {record.component for record in system.trace.areas} >= {"transposed dac", "transposed adc", "adc"}


def test_a_transposed_read_needs_its_converters() -> None:
    with pytest.raises(
        ScenarioError,
        match=r"program\.2\.read\.transposed: a transposed read needs converters at the other line ends; give hardware\.transposed, \{\} for its defaults$",
    ):
        cosim.run(cosim.load(FOLDER / "transposed_read.yaml", ["hardware.transposed=null"]))


# Slices of weights, and the pipeline.


@pytest.mark.parametrize(("cell_bits", "slices"), [(1, 4), (2, 2)])
def test_slices_take_a_tree_of_adders(cell_bits: int, slices: int, tmp_path: Path) -> None:
    """Two slices: one level of adders and one addition per output; four: two levels, three additions."""
    names = [f"t{k}" for k in range(slices)]
    content = {
        "schema_version": 1, "name": "s",
        "hardware": {
            "device": {"preset": "mss-firm"}, "cell": {"kind": "1T1R"}, "array": {"rows": 2, "columns": 3},
        },
        "tiles": {name: {} for name in names},
        "program": [
            {"place": {
                "tiles": names, "matrix": [[1, 2, 3], [15, 7, 0]], "encoding": "single",
                "slices": {"weight_bits": 4, "cell_bits": cell_bits},
            }},
            {"read": {"tiles": names, "inputs": [[1, 0.5], [0, 1]]}},
        ],
    }  # fmt: skip
    (tmp_path / "s.yaml").write_text(json.dumps(content))
    result = cosim.run(cosim.load(tmp_path / "s.yaml"))
    joined = result.summary["energy"]["by_component_j"]["shift-and-add"]
    assert joined == pytest.approx((slices - 1) * 2 * 3 * 0.25e-12)
    spent = [row[6] - row[5] for row in result.trace.busy if row[0].endswith("shift_and_add")]
    assert [seconds(t) for t in spent] == pytest.approx([math.log2(slices) * 2e-9] * 2)


def test_what_the_pipeline_gains() -> None:
    """K inputs take K (A + C + D) with one sample-and-hold and A + K C + D with two, where C >= A + D.

    A: DAC 1 ns and the array phase, C: nine clocks of 10 ns, eight ADCs for eight columns, D: 2 ns.
    """
    plain = cosim.run(cosim.load(FOLDER / "pipelined_reads.yaml", ["hardware.sense.holds=1"]))
    fast = cosim.run(cosim.load(FOLDER / "pipelined_reads.yaml"))
    phase = seconds(int(plain.trace.phases.column("duration_fs")[0]))
    a, c, d, k = 1e-9 + phase, 90e-9, 2e-9, 16
    assert c >= a + d
    assert plain.summary["time"]["end_s"] == pytest.approx(k * (a + c + d), rel=1e-12)
    assert fast.summary["time"]["end_s"] == pytest.approx(a + k * c + d, rel=1e-12)
    assert fast.summary["operations"][0]["values"] == plain.summary["operations"][0]["values"]


def test_placing_behind_a_transistor() -> None:
    """Access devices with a law: the placed cells are seen as they were asked for, by bisection."""
    sets = ["hardware.cell={kind: 1T1R, transistor: {}}", "program.0.place.tiles=[positive, negative]"]
    result = cosim.run(cosim.load(FOLDER / "transposed_read.yaml", sets))
    assert result.failure is None
    assert result.summary["operations"][0]["error"]["max_s"] < 1e-12
