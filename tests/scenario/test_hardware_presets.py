"""Presets of wires, converters, variation and architectures: sources, use in scenarios, refusals."""

from __future__ import annotations

from pathlib import Path

import pytest

import cosim
from cosim.errors import ScenarioError
from cosim.scenario.hardware_presets import ADCS, ARCHITECTURES, DACS, SECTIONS, VARIATIONS, WIRES

HEAD = "schema_version: 1\nname: preset\nseed: 3\n"
TILE = "tiles: {t: {}}\n"
ALL = [(section, name) for section, known in SECTIONS.items() for name in known]


def scenario(folder: Path, hardware: str, program: str = "program: [{wait: 1 us}]\n") -> cosim.Scenario:
    path = folder / "preset.yaml"
    path.write_text(f"{HEAD}hardware: {hardware}\n{TILE}{program}", encoding="utf-8")
    return cosim.load(path)


@pytest.mark.parametrize(("section", "name"), ALL)
def test_every_entry_has_a_source(section: tuple[str, ...], name: str) -> None:
    preset = SECTIONS[section][name]
    assert preset.summary
    leaves = preset.leaves()
    assert leaves
    for key, leaf in leaves.items():
        assert len(leaf.source.split()) >= 2, key


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_architecture_runs(name: str, tmp_path: Path) -> None:
    rows = ARCHITECTURES[name].leaves()["array.rows"].value
    coding = "bit-serial" if name in ("isaac", "sonos-tcas") else "amplitude"
    inputs = [[round((k % 16) / 15, 3) for k in range(rows)]]
    program = f"program: [{{read: {{tiles: [t], inputs: {inputs}, coding: {coding}}}}}]\n"
    summary = cosim.run(scenario(tmp_path, f"{{preset: {name}}}", program)).summary
    read = summary["operations"][0]
    assert read["outputs"] == ARCHITECTURES[name].leaves()["array.columns"].value
    assert read["energy_j"] > 0
    assert abs(summary["energy"]["balance"]["relative_error"]) < 1e-6


def test_figures_of_architectures(tmp_path: Path) -> None:
    isaac = scenario(tmp_path, "{preset: isaac}").hardware
    assert isaac.adc.interval_fs == pytest.approx(1e15 / 1.28e9, rel=1e-3)
    assert isaac.adc.conversion_energy == pytest.approx(1.56e-12, rel=0.1)
    assert isaac.device.conductance_range() == pytest.approx((1 / 2e6, 1 / 2e3))
    tile = scenario(tmp_path, "{preset: tu-delft-tile}").hardware
    assert tile.adc.interval_fs == pytest.approx(1e6, rel=1e-3)
    assert (tile.adc.count, tile.array.columns) == (32, 256)


def test_what_stands_beside_goes_before(tmp_path: Path) -> None:
    changed = "{preset: isaac, array: {rows: 16, columns: 8}, adc: {bits: 6}, device: {r_on: 4 kohm}}"
    hardware = scenario(tmp_path, changed).hardware
    assert (hardware.array.rows, hardware.array.columns) == (16, 8)
    assert (hardware.adc.bits, hardware.adc.kind) == (6, "sar")
    assert hardware.device.conductance_range()[1] == pytest.approx(1 / 4e3)
    assert hardware.array.wires.word_line == 0.0
    other = scenario(tmp_path, "{preset: isaac, device: {model: vteam}}").hardware
    assert other.device.name == "vteam"


@pytest.mark.parametrize(
    "part",
    [f"adc: {{preset: {name}}}" for name in ADCS]
    + [f"dac: {{preset: {name}}}" for name in DACS]
    + [f"variation: {{preset: {name}}}" for name in VARIATIONS],
)
def test_parts_load(part: str, tmp_path: Path) -> None:
    scenario(tmp_path, f"{{device: mss-firm, array: {{rows: 4, columns: 4}}, {part}}}")


@pytest.mark.parametrize("name", WIRES)
def test_wires_load(name: str, tmp_path: Path) -> None:
    text = f"{{device: mss-firm, array: {{rows: 4, columns: 4, wires: {{preset: {name}}}}}}}"
    word, _, _ = scenario(tmp_path, text).hardware.array.wires.segment(300.0)
    assert word > 0


def test_wires_of_a_node(tmp_path: Path) -> None:
    text = "{device: mss-firm, array: {rows: 4, columns: 4, wires: {preset: neurosim-22nm, bit_line: 1 ohm}}}"
    word, bit, _ = scenario(tmp_path, text).hardware.array.wires.segment(300.0)
    assert word == pytest.approx(2.97, rel=0.01)
    assert bit == 1.0


def test_set_from_the_command_line(tmp_path: Path) -> None:
    scenario(tmp_path, "{device: mss-firm, array: {rows: 4, columns: 4}}")
    loaded = cosim.load(tmp_path / "preset.yaml", ["hardware.adc.preset=isaac-sar"])
    assert loaded.hardware.adc.energy_model == "isaac"


@pytest.mark.parametrize(
    ("hardware", "sentence"),
    [
        ("{preset: isaak}", r"preset.yaml:4:12: hardware.preset: there is no preset of hardware called 'isaak'; did you mean 'isaac'?"),
        ("{preset: isaac, adc: {preset: x}}", "hardware.adc.preset: there is no preset of hardware.adc called 'x'"),
        ("{preset: isaac, array: {rows: 0}}", "rows: must be between 1 and 65536"),
    ],
)  # fmt: skip
def test_refusals(hardware: str, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(ScenarioError) as caught:
        scenario(tmp_path, hardware)
    assert sentence.rstrip("?") in str(caught.value)


def test_devices_command_lists_them(cli) -> None:
    text = cli("devices").out
    for section, name in ALL:
        assert f"preset {name} of {'.'.join(section)}: " in text
    assert "(ISAAC, Shafiee et al., ISCA 2016, table I)" in text
