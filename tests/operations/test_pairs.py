"""2T2R cells: two devices on two bit lines of one array hold a signed weight."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import cosim
from cosim.components.adc import Adc
from cosim.components.read_path import TransposedPeriphery
from cosim.crossbar import Cell
from cosim.crossbar.solver import solve
from cosim.errors import DeviceError, ScenarioError
from cosim.hardware import ArraySpec, Hardware
from cosim.mapping import WeightSlices, differential

MATRIX = [[0.5, -0.25, 1, 0], [0.25, 0.5, -1, 0.75], [-0.5, 0, 0.25, 1]]
INPUTS = [[1, 0, 1], [1, 1, 1], [0, 1, 0]]
IDEAL = "ideal"
SAR = "hardware.adc={kind: sar, bits: 10, range: [0 V, 0.1 V], energy_model: fixed, energy: 1 pJ}"
WORD, BIT = 150.0, 80.0
SCENARIO = Path(__file__).parents[2] / "scenarios" / "differential_pairs.yaml"


def text(
    kind: str, tiles: str, *, word: str = IDEAL, bit: str = IDEAL, keys: str = "", target: str = f"matrix: {MATRIX}"
) -> str:  # fmt: skip
    names = "".join(f"\n  {name}: {{}}" for name in tiles.split(", "))
    return f"""
schema_version: 1
name: pairs
seed: 4
hardware:
  device: {{model: mss, r_on: 100 kohm, r_off: 1000 kohm, v_on: 0.6 V, v_off: 0.6 V, tau: 10 us}}
  cell: {{kind: {kind}, access_resistance: 5 kohm}}
  array: {{rows: 3, columns: 4, wires: {{word_line: {word}, bit_line: {bit}, capacitance: 0.1 fF}}}}
  driver: {{output_resistance: ideal}}
  sense: {{input_resistance: ideal}}
  adc: {{kind: ideal}}
tiles:{names}
program:
  - place: {{tiles: [{tiles}], {target}{keys}}}
  - read: {{tiles: [{tiles}], inputs: {INPUTS}, full_scale: 1}}
"""


def load(tmp_path: Path, content: str, *sets: str) -> cosim.Scenario:
    (tmp_path / "pairs.yaml").write_text(content)
    return cosim.load(tmp_path / "pairs.yaml", sets)


def read(tmp_path: Path, content: str) -> np.ndarray:
    result = cosim.run(load(tmp_path, content))
    assert result.failure is None
    return np.array(result.summary["operations"][1]["values"]).reshape(3, -1)


PAIRS, TILES = ("2T2R", "t"), ("1T1R", "positive, negative")


def test_products_are_those_of_two_tiles_without_wires(tmp_path: Path) -> None:
    pairs, tiles = (read(tmp_path, text(*cells)) for cells in (PAIRS, TILES))
    assert np.allclose(pairs, tiles, rtol=0, atol=1e-9)
    assert np.allclose(pairs, np.array(INPUTS) @ MATRIX, rtol=0, atol=1e-3)


def test_slices_are_those_of_two_tiles_each(tmp_path: Path) -> None:
    """Two slices: two tiles of pairs hold what four tiles do, low slice first; shift-and-add costs the same."""
    keys = ", slices: {weight_bits: 4, cell_bits: 2}"
    runs = [
        cosim.run(load(tmp_path, text(kind, tiles, keys=keys), SAR))
        for kind, tiles in (("2T2R", "t0, t1"), ("1T1R", "p0, n0, p1, n1"))
    ]
    values = [run.summary["operations"][1]["values"] for run in runs]
    assert len(values[0]) == 12
    assert np.allclose(*values, rtol=0, atol=1e-9)
    parts = [run.summary["energy"]["by_component_j"] for run in runs]
    for component in ("shift-and-add", "adc", "digital"):
        assert parts[0][component] == pytest.approx(parts[1][component], rel=1e-12)


def test_costs_against_two_tiles(tmp_path: Path) -> None:
    """As many conversions and subtractions; one set of word-line DACs instead of two."""
    pairs, tiles = (
        cosim.run(load(tmp_path, text(*cells), SAR)).summary["energy"]["by_component_j"]
        for cells in (PAIRS, TILES)
    )
    assert pairs["adc"] == pytest.approx(tiles["adc"], rel=1e-12)
    assert pairs["adc"] == pytest.approx(3 * 8 * 1e-12, rel=1e-12)
    assert pairs["digital"] == pytest.approx(tiles["digital"], rel=1e-12)
    assert pairs["dac"] == pytest.approx(tiles["dac"] / 2, rel=1e-12)


def test_wires_join_the_two_devices(tmp_path: Path) -> None:
    """The word line has twice the segments and carries both currents: the circuit of the interleaved conductances."""
    wired = {"word": f"{WORD:g} ohm", "bit": f"{BIT:g} ohm"}
    pairs, tiles = (read(tmp_path, text(*cells, **wired)) for cells in (PAIRS, TILES))
    low, high = 1 / 1005e3, 1 / 105e3
    encoded = differential(np.array(MATRIX, dtype=float), low, low + 0.8 * (high - low))
    interleaved = np.zeros((3, 8))
    interleaved[:, ::2], interleaved[:, 1::2] = encoded.parts
    voltage = 0.2 * np.array(INPUTS, dtype=float)
    currents = [_currents(g, voltage) for g in (interleaved, *encoded.parts)]
    unit = encoded.decoding.unit * 0.2
    assert np.allclose(pairs, (currents[0][:, ::2] - currents[0][:, 1::2]) / unit, rtol=0, atol=2e-4)
    assert np.allclose(tiles, (currents[1] - currents[2]) / unit, rtol=0, atol=2e-4)
    exact = np.array(INPUTS) @ MATRIX
    assert np.abs(pairs - exact).max() > 1.5 * np.abs(tiles - exact).max()


def _currents(conductance: np.ndarray, voltage: np.ndarray) -> np.ndarray:
    solved = [solve(conductance, v, r_word_line=WORD, r_bit_line=BIT).bit_line_current for v in voltage]
    return np.array(solved)


def test_one_pair_by_hand(tmp_path: Path) -> None:
    """One cell, word wire only: v1 = V - R I, v2 = v1 - R g- v2, with g seen in series with 5 kohm."""
    content = text(*PAIRS, word="10 kohm", target="matrix: [[1]]").replace(
        "rows: 3, columns: 4", "rows: 1, columns: 1"
    )
    result = cosim.run(load(tmp_path, content.replace(str(INPUTS), "[[1]]")))
    low, high = 1 / 1005e3, 1 / 105e3
    plus, wire = low + 0.8 * (high - low), 1e4
    ratio = 1 / (1 + wire * low)  # v2 / v1
    v1 = 0.2 / (1 + wire * (plus + low * ratio))
    expected = (plus - low * ratio) * v1 / ((plus - low) * 0.2)
    assert result.summary["operations"][1]["values"] == pytest.approx([expected], rel=1e-3)


def test_a_write_reaches_both_devices_and_only_the_chosen_cells(tmp_path: Path) -> None:
    write = text(*PAIRS).replace("place:", "write:").replace("1]]}", "1]], cells: [[0, 2], [2, 0]]}")
    result = cosim.run(load(tmp_path, write))
    outcomes = result.trace.outcomes
    written = list(zip(outcomes.column("row").tolist(), outcomes.column("column").tolist(), strict=True))
    assert sorted(written) == [(0, 4), (0, 5), (2, 0), (2, 1)]
    targets = dict(zip(written, outcomes.column("target_s").tolist(), strict=True))
    assert targets[0, 4] > targets[0, 5]  # weight 1
    assert targets[2, 0] < targets[2, 1]  # weight -0.5
    assert outcomes.column("converged").all()


def test_conductances_are_given_by_bit_line(tmp_path: Path) -> None:
    table = np.linspace(2e-6, 8e-6, 24).reshape(3, 8)
    np.savetxt(tmp_path / "g.csv", table, delimiter=",")
    currents = read(tmp_path, text(*PAIRS, target="conductance: g.csv"))
    assert np.allclose(currents, 0.2 * np.array(INPUTS) @ table, rtol=1e-3)


def test_both_backends_agree() -> None:
    """Write and read of the scenario, phase by phase in ngspice, with small arrays and long wires."""
    sets = ("validate.phases=8", "validate.free_running=0", "hardware.array.wires.word_line=200 ohm")
    check = cosim.validate(cosim.load(SCENARIO, sets))
    assert check.passed


@pytest.mark.parametrize("slices", [None, WeightSlices(4, 2)])
def test_the_array_of_python(slices: WeightSlices | None) -> None:
    weights = np.array([[1.0, -0.5, 0.25], [0.0, 0.75, -1.0]])
    hardware = Hardware(ArraySpec(3, 2), cell=Cell("2T2R", access_resistance=5e3), adc=Adc(bits=12))
    array = cosim.Array.program(weights, hardware, slices=slices)
    inputs = np.array([1.0, 0.5, 0.25])
    assert np.allclose(array @ inputs, weights @ inputs, atol=0.15 if slices else 0.06)
    tiles = {entry.tile for entry in array.trace.areas if entry.component == "array"}
    assert tiles == ({"pairs"} if slices is None else {"pairs0", "pairs1"})


def test_sizes() -> None:
    """A pair takes twice the area of 1T1R; word lines have a segment for every bit line."""
    one, two = (Hardware(ArraySpec(4, 3), cell=Cell(kind)) for kind in ("1T1R", "2T2R"))
    assert (one.shape, two.shape) == ((4, 3), (4, 6))
    assert two.network("t").arrays[0].shape == (4, 6)
    units, area, _ = two.areas()["array"]
    assert units == 12
    assert area == pytest.approx(2 * one.areas()["array"][1])
    assert two.line_capacitance().word == pytest.approx(one.line_capacitance().word * 7 / 4)


REFUSED = {
    "encoding": (
        lambda content: content.replace("}\n  - read", ", encoding: single}\n  - read"),
        "program.0.place.encoding: must be differential for 2T2R cells, which hold the difference of two conductances, not single",
    ),
    "tiles": (
        lambda content: content.replace("t: {}", "t: {}\n  u: {}").replace("[t]", "[t, u]"),
        "program.0.place.tiles: encoding differential in 2T2R cells needs 1 tile, not 2",
    ),
    "transposed": (
        lambda content: content.replace("full_scale: 1", "full_scale: 1, transposed: true"),
        "program.1.read.transposed: the word lines of 2T2R cells add what their bit lines subtract;"
        " write the transpose into a tile of its own, or two tiles of 1T1R cells",
    ),
    "converters": (
        lambda content: content.replace("tiles:\n", "  transposed: {}\ntiles:\n"),
        "hardware.transposed: must be left out of arrays of 2T2R cells, whose word lines add what their bit lines subtract",
    ),
    "bits": (
        lambda content: content.replace(f"matrix: {MATRIX}", "bits: random"),
        "program.0.place.bits: a bit is the level of one device, but a 2T2R cell holds the difference of two; give 'matrix',"
        " or cell.kind 1T1R",
    ),
    "scheme": (
        lambda content: content.replace("place:", "write:").replace("}\n  - read", ", scheme: V/2}\n  - read"),
        "program.0.write.scheme: scheme V/2 is for cells without gate lines, but cell.kind is 2T2R; use scheme gate",
    ),
    "columns": (
        lambda content: content.replace(f"matrix: {MATRIX}", "conductance: g.csv"),
        "program.0.place.conductance: must have the shape of the array, 3 rows and 8 columns, one for each bit line, not 3 and 4",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str, tmp_path: Path) -> None:
    change, sentence = REFUSED[name]
    np.savetxt(tmp_path / "g.csv", np.full((3, 4), 5e-6), delimiter=",")
    content = change(text(*PAIRS))
    assert content != text(*PAIRS)
    with pytest.raises(ScenarioError) as caught:
        cosim.run(load(tmp_path, content))
    assert sentence in str(caught.value)


def test_hardware_refuses_converters_of_transposed_reads() -> None:
    with pytest.raises(DeviceError, match="must be left out of arrays of 2T2R cells"):
        Hardware(ArraySpec(2, 2), cell=Cell("2T2R"), transposed=TransposedPeriphery())
