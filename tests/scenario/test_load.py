"""From the text of a scenario to frozen values: units, defaults, bases, overrides, files."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import cosim
from cosim.devices import Mss, Rs
from cosim.errors import ScenarioError
from cosim.scenario.load import document_of, parse

FOLDER = Path(__file__).parent / "malformed"
GOOD = (FOLDER / "base.yaml").read_text()


def write(folder: Path, text: str, name: str = "s.yaml") -> Path:
    (folder / name).write_text(text)
    return folder / name


def test_values_are_si(scenarios: Path) -> None:
    hardware = cosim.load(scenarios / "quickstart.yaml").hardware
    device = hardware.device
    assert isinstance(device, Mss)
    assert (device.r_on, device.r_off, device.v_on, device.tau) == (1e5, 1e6, 0.6, 1e-5)
    assert hardware.cell.access_resistance == 5e3
    assert hardware.dac.range == (0.0, 0.2)
    assert hardware.adc.clock == 1e8
    assert hardware.temperature == 300.0


def test_scenarios_are_frozen(tmp_path: Path) -> None:
    scenario = cosim.load(write(tmp_path, GOOD))
    with pytest.raises(Exception, match="frozen"):
        scenario.section.seed = 4  # type: ignore[misc]
    with pytest.raises(AttributeError):
        scenario.folder = tmp_path  # type: ignore[misc]


def test_yaml_rules_of_1_2(tmp_path: Path) -> None:
    """1e-9 is a number, on and no are words."""
    scenario = cosim.load(
        write(tmp_path, GOOD + "validate: {tolerances: {current_relative: 1e-9}}\ndescription: on\n")
    )
    assert scenario.section.validation.tolerances.current_relative == 1e-9
    assert scenario.section.description == "on"


def test_presets_with_changes(tmp_path: Path) -> None:
    line = next(line for line in GOOD.splitlines() if "device:" in line)
    text = GOOD.replace(line, "  device: {preset: rs-jspice, g_max: 2 mS}")
    device = cosim.load(write(tmp_path, text)).hardware.device
    assert isinstance(device, Rs)
    assert (device.rate, device.v_reset, device.g_max) == (1e4, 0.15, 2e-3)
    assert cosim.load(write(tmp_path, GOOD.replace(line, "  device: mss-firm"))).hardware.device.name == "mss"


def test_ideal_wires(tmp_path: Path) -> None:
    text = GOOD.replace("word_line: 2.5 ohm", "word_line: ideal")
    array = cosim.load(write(tmp_path, text)).hardware.network("t").arrays[0]
    assert (array.word_segments == 0.0).all()
    assert (array.bit_segments == 2.5).all()


def test_extends_merges_key_by_key(tmp_path: Path) -> None:
    write(tmp_path, GOOD, "base.yaml")
    write(tmp_path, "extends: base.yaml\nseed: 9\nhardware: {adc: {bits: 6}}\n", "middle.yaml")
    scenario = cosim.load(write(tmp_path, "extends: middle.yaml\nhardware: {adc: {count: 4}}\nname: top\n"))
    assert (scenario.seed, scenario.name) == (9, "top")
    assert (scenario.hardware.adc.bits, scenario.hardware.adc.count) == (6, 4)
    assert scenario.hardware.cell.access_resistance == 5e3
    assert scenario.document.place(("hardware", "adc", "count")).startswith(str(tmp_path / "s.yaml"))
    assert scenario.document.place(("hardware", "adc", "bits")).startswith(str(tmp_path / "middle.yaml"))
    assert scenario.document.place(("hardware", "cell")).startswith(str(tmp_path / "base.yaml"))


def test_an_error_in_a_base_has_the_place_in_the_base(tmp_path: Path) -> None:
    write(tmp_path, GOOD.replace("tau: 10 us", "tau: 10"), "base.yaml")
    file = write(tmp_path, "extends: base.yaml\nseed: 9\n")
    with pytest.raises(ScenarioError) as refused:
        cosim.load(file)
    line = 1 + GOOD.splitlines().index(next(line for line in GOOD.splitlines() if "device:" in line))
    assert refused.value.place.startswith(f"{tmp_path / 'base.yaml'}:{line}:")
    assert refused.value.key == "hardware.device.tau"


def test_a_circle_of_bases(tmp_path: Path) -> None:
    write(tmp_path, "extends: b.yaml\n", "a.yaml")
    write(tmp_path, "extends: a.yaml\n", "b.yaml")
    with pytest.raises(ScenarioError, match="extends itself"):
        cosim.load(tmp_path / "a.yaml")


def test_overrides(tmp_path: Path) -> None:
    file = write(tmp_path, GOOD)
    scenario = cosim.load(
        file, ["hardware.adc.bits=6", "seed=11", "program.1.read.full_scale=2", "hardware.device.tau=20 us"]
    )
    assert (scenario.hardware.adc.bits, scenario.seed) == (6, 11)
    assert scenario.section.program[1].read is not None
    assert scenario.section.program[1].read.full_scale == 2
    device = scenario.hardware.device
    assert isinstance(device, Mss)
    assert device.tau == 2e-5
    assert cosim.load(file).hardware.adc.bits == 8


def test_every_error_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = GOOD.replace("seed: 3", "seed: -3").replace("tau: 10 us", "tau: 10")
    text = text.replace("{backend: behavioral}", "{fidelity: no}")
    scenario, errors = parse(document_of(write(tmp_path, text)), tmp_path)
    assert scenario is None
    assert [error.key for error in errors] == ["seed", "hardware.device.tau", "tiles.t.fidelity"]


def test_the_hash_covers_values_and_files(tmp_path: Path) -> None:
    write(tmp_path, "1,0\n0,1\n", "m.csv")
    text = GOOD.replace("[[1, 0], [0, 1]]", "m.csv")
    first = cosim.load(write(tmp_path, text)).sha256
    assert cosim.load(write(tmp_path, "# a comment\n" + text)).sha256 == first
    assert cosim.load(write(tmp_path, text.replace("seed: 3", "seed: 4"))).sha256 != first
    write(tmp_path, "1,0\n0,2\n", "m.csv")
    assert cosim.load(write(tmp_path, text)).sha256 != first


@pytest.mark.parametrize("kind", ["csv", "npy", "rows"])
def test_matrices(kind: str, tmp_path: Path) -> None:
    matrix = np.array([[1.0, 0.125], [1e-9, 3.0]])
    np.save(tmp_path / "m.npy", matrix)
    write(tmp_path, "# a comment\n1, 0.125\n\n1e-9,3\n", "m.csv")
    given = {"csv": "m.csv", "npy": "m.npy", "rows": "[[1, 0.125], [1e-9, 3]]"}[kind]
    scenario = cosim.load(write(tmp_path, GOOD.replace("[[1, 0], [0, 1]]", given)))
    step = scenario.section.program[0].write
    assert step is not None
    assert step.matrix is not None
    assert np.array_equal(scenario.matrix(("program", 0, "write", "matrix"), step.matrix), matrix)


def test_a_pickle_is_not_opened(tmp_path: Path) -> None:
    """A NPY file with objects could run code; it is refused unread."""
    np.save(tmp_path / "m.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    scenario = cosim.load(write(tmp_path, GOOD))
    with pytest.raises(ScenarioError, match="must be an NPY file of numbers"):
        scenario.matrix(("program", 0, "write", "matrix"), "m.npy")


def test_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    write(tmp_path, "1,0\n0,1\n", "m.csv")
    (inner / "m.csv").symlink_to(tmp_path / "m.csv")
    scenario = cosim.load(write(inner, GOOD))
    with pytest.raises(ScenarioError, match="must lie in the scenario's folder"):
        scenario.matrix(("program", 0, "write", "matrix"), "m.csv")


def test_the_schema_of_editors_knows_every_key(scenarios: Path) -> None:
    from cosim.scenario.schema import json_schema

    schema = json_schema()
    text = json.dumps(schema)
    for word in (
        "access_resistance",
        "full_scale",
        "max_pulses",
        "word_line",
        "rs-jspice",
        "tolerances",
        "headroom",
    ):
        assert f'"{word}"' in text
    assert schema["additionalProperties"] is False
    stored = Path(__file__).parents[2] / "docs" / "scenario.schema.json"
    if stored.exists():
        assert json.loads(stored.read_text()) == schema


def test_the_folder_can_be_anywhere(tmp_path: Path, scenarios: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(scenarios / "data", tmp_path / "data")
    shutil.copy(scenarios / "quickstart.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    assert cosim.load("quickstart.yaml").sha256 == cosim.load(scenarios / "quickstart.yaml").sha256
