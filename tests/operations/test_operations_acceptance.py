"""The full figures of the operations; ``make accept-operations`` prints a line for each."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import cosim
from cosim.components.coding import encode, find_coding
from cosim.components.dac import Dac
from cosim.components.tile import PHASE_KINDS
from cosim.components.updating import OuterProduct
from cosim.components.write_verify import ProgrammingPulse
from cosim.crossbar import Cell, find
from cosim.devices import find_preset
from cosim.hardware import ArraySpec, Hardware, WireSpec
from cosim.operations import Update
from cosim.records import Trace
from cosim.system import System

FOLDER = Path(__file__).parents[2] / "scenarios"
pytestmark = pytest.mark.acceptance


def say(line: str) -> None:
    print(f"\n{line}", end="")  # noqa: T201


@pytest.mark.parametrize("seed", range(3))
def test_products_of_random_matrices(seed: int, tmp_path: Path) -> None:
    """48 x 32, signed inputs in two passes, 7-bit inputs, 9-bit weights in slices of 3, 12-bit ADCs, no wires."""
    rng = np.random.default_rng(seed)
    matrix, inputs = rng.uniform(-1, 1, (48, 32)), rng.uniform(-1, 1, (4, 48))
    inputs[0, 0] = matrix[0, 0] = 1.0
    np.save(tmp_path / "m.npy", matrix)
    np.save(tmp_path / "x.npy", inputs)
    names = ["p", "n", "p0", "n0", "p1", "n1", "p2", "n2"]
    read = {"tiles": names[:2], "inputs": "x.npy", "signed": "two-pass"}
    content = {
        "schema_version": 1, "name": "a",
        "hardware": {
            "device": {"preset": "mss-firm"}, "cell": {"kind": "1T1R"},
            "array": {"rows": 48, "columns": 32, "wires": {"word_line": "ideal", "bit_line": "ideal", "capacitance": "0.1 fF"}},
            "driver": {"output_resistance": "ideal"}, "dac": {"bits": 7, "range": ["0 V", "0.1 V"]},
            "sense": {"kind": "integrator", "input_resistance": "ideal"}, "adc": {"bits": 12},
        },
        "tiles": {name: {} for name in names},
        "program": [
            {"place": {"tiles": names[:2], "matrix": "m.npy", "headroom": "0 %"}},
            {"place": {"tiles": names[2:], "matrix": "m.npy", "headroom": "0 %", "slices": {"weight_bits": 9, "cell_bits": 3}}},
            *({"read": {**read, "coding": coding}} for coding in ("amplitude", "bit-serial", "pwm", "split-pwm")),
            {"read": {**read, "tiles": names[2:]}},
        ],
    }  # fmt: skip
    (tmp_path / "a.yaml").write_text(json.dumps(content))
    operations = cosim.run(cosim.load(tmp_path / "a.yaml")).summary["operations"]
    low, high = 1 / (1e6 + 15e3), 1 / (1e5 + 15e3)
    dac = Dac(bits=7, range=(0.0, 0.1))
    for entry, step in zip(operations[2:], content["program"][2:], strict=True):  # type: ignore[arg-type]
        coding = step["read"].get("coding", "amplitude")
        coded = encode(find_coding(coding), dac, 0.1 * inputs, "two-pass")
        spans = np.ones(coded.phases) if coded.spans is None else coded.spans
        factors = (
            np.repeat(8.0 ** np.arange(3) * 7 / 511, 2) if len(step["read"]["tiles"]) == 6 else np.ones(2)
        )
        bound = np.abs(matrix).sum(axis=0) / (2 * 127) + np.zeros((4, 1))
        if len(factors) == 6:
            bound = bound + (np.abs(inputs).sum(axis=1, keepdims=True) + 48 / 254) / (2 * 511)
        # the range of the first phase, in volts, over its gain: the steps in ampere; a phase of another span has another gain
        gain = _gain(coding)
        steps = np.array([b - a for a, b in entry["adc_range_v"]]) / 4095 / gain
        bound = bound + (factors * steps).sum() / 2 * (np.abs(coded.weights) * spans[0] / spans).sum() / (
            (high - low) * 0.1
        )
        found, ideal = (np.reshape(entry[name], (4, 32)) for name in ("values", "ideal"))
        assert np.allclose(ideal, inputs @ matrix, rtol=1e-9)
        worst = float((np.abs(found - ideal) / bound).max())
        kind = "bit-sliced weights" if len(factors) == 6 else coding
        say(
            f"products, seed {seed}, {kind}: error at most {100 * worst:.0f} % of what quantization allows: {'met' if worst <= 1 else 'MISSED'}"
        )
        assert worst <= 1


def _gain(coding: str) -> float:
    """Return the gain of the integrator (1 pF) in the first array phase of a coding [ohm]."""
    if coding in ("pwm", "split-pwm"):
        slots = {"pwm": 127, "split-pwm": 7}[coding]
        return slots * 2e-9 / 1e-12
    from cosim.components.read_phases import read_timing
    from cosim.components.sense import Sense

    wires = WireSpec(word_line=0.0, bit_line=0.0, capacitance=1e-16)
    hardware = Hardware(
        ArraySpec(48, 32, wires), find_preset("mss-firm"), Cell("1T1R"), driver=cosim.components.driver.Driver(output_resistance=0.0),
        sense=Sense(kind="integrator", input_resistance=0.0), adc=cosim.components.adc.Adc(bits=12),
    )  # fmt: skip
    tile = System(Trace(), 0).add_tile("t", hardware, dict.fromkeys(PHASE_KINDS, find("behavioral")()))
    return read_timing(tile).window_s / 1e-12


def test_margins_against_the_size_of_the_array() -> None:
    """The table of docs/operations.md: read margin, sense margin and bit error rates of 8 x 8 to 64 x 64 memories."""
    last: dict[str, float] = {"grounded": 1.0, "floating": 1.0}
    for size in (4, 8, 16, 32, 64):
        sets = [f"hardware.array.rows={size}", f"hardware.array.columns={size}"]
        operations = cosim.run(cosim.load(FOLDER / "memory_margins.yaml", sets)).summary["operations"]
        for way, entry in zip(("grounded", "floating"), operations[1:], strict=True):
            say(
                f"memory {size:3d} x {size:<3d} {way}: read margin {100 * entry['read_margin']:6.1f} %, sense margin"
                f" {1e3 * entry['sense_margin_v']:8.1f} mV, bit errors {entry['errors']} of {entry['bits']}, expected rate"
                f" {entry['expected_bit_error_rate']:.1e}"
            )
            assert entry["bits"] == size * size
            if way == "floating":
                assert entry["read_margin"] < last[way]
                last[way] = entry["read_margin"]
    assert last["floating"] < -0.3


@pytest.mark.ngspice
@pytest.mark.parametrize("kind", ["1R", "1T1R"])
def test_updates_on_both_backends(kind: str) -> None:
    """16 x 12, 15 slots, drawn trains: the same states within 1e-4, and the same disturb."""
    rng = np.random.default_rng(3)
    pulse = ProgrammingPulse(0.9, 200e-9)
    job = OuterProduct(rng.uniform(-1, 1, 16), rng.uniform(-1, 1, 12), 15, "stochastic", pulse, pulse)
    states, details = [], []
    for backend in ("behavioral", "ngspice"):
        wires = WireSpec(word_line=2.5, bit_line=2.5, capacitance=1e-16)
        hardware = Hardware(
            ArraySpec(16, 12, wires), find_preset("mss-firm"), Cell(kind, access_resistance=5e3)
        )  # type: ignore[arg-type]
        system = System(Trace(), 5)
        system.add_tile("t", hardware, dict.fromkeys(PHASE_KINDS, find(backend)()), np.full((16, 12), 5e-6))
        system.run([Update("t", (job,))])
        states.append(system.tiles["t"].state)
        details.append(system.trace.operations[0].details)
    gap = float(np.abs(states[0] - states[1]).max())
    product = details[0]["outer_product"]
    say(
        f"update 16 x 12 {kind}: states of both backends within {gap:.1e}; correlation with x y' {product['correlation']:.3f},"
        f" disturb {details[0]['disturb']['worst_of_range']:.1e} of the range: {'met' if gap < 1e-4 else 'MISSED'}"
    )
    assert gap < 1e-4


def test_gain_of_the_pipeline() -> None:
    ends = []
    for holds in (1, 2):
        scenario = cosim.load(FOLDER / "pipelined_reads.yaml", [f"hardware.sense.holds={holds}"])
        ends.append(cosim.run(scenario).summary["time"]["end_s"])
    phase = (ends[0] / 16) - 93e-9
    expected = (1e-9 + phase) + 16 * 90e-9 + 2e-9
    met = ends[1] == pytest.approx(expected, rel=1e-9)
    say(
        f"pipeline: {1e9 * ends[0]:.1f} ns become {1e9 * ends[1]:.1f} ns, by hand {1e9 * expected:.1f} ns: {'met' if met else 'MISSED'}"
    )
    assert met
