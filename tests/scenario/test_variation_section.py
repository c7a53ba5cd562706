"""Variation in a scenario: both backends see the same cells, draws do not move, refusals have a place."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import cosim
from cosim.components.tile import Tile
from cosim.errors import ScenarioError
from cosim.records import Trace
from cosim.scenario.build import Backends, Built, build

BASE = """\
schema_version: 1
name: varied
seed: 5
hardware:
  device: {model: mss, r_on: 100 kohm, r_off: 1000 kohm, v_on: 0.6 V, v_off: 0.6 V, tau: 10 us}
  array: {rows: 3, columns: 3}
  cell: {kind: 1T1R, access_resistance: 5 kohm}
  dac: {range: [0 V, 0.2 V]}
  variation:
    d2d: {r_on: {sigma: 10 %}, v_on: {sigma: 1 %, distribution: normal}}
    c2c: 10 %
    stuck: [{conductance: 4 uS, cells: [[1, 2]]}]
tiles: {t: {}}
program:
  - write: {tiles: [t], matrix: [[0.1, 0.5, 0.9], [0.9, 0.5, 0.1], [0.3, 0.4, 1.0]], verify: {window: 10 %, max_pulses: 12}}
  - read: {tiles: [t], inputs: [[1, 0.5, 0.2]]}
"""


def scenario(folder: Path, text: str = BASE) -> cosim.Scenario:
    path = folder / "varied.yaml"
    path.write_text(text, encoding="utf-8")
    return cosim.load(path)


def built(folder: Path, text: str) -> Built:
    loaded = scenario(folder, text)
    return build(loaded, Trace(), Backends(loaded))


@pytest.mark.ngspice
def test_behavioral_and_ngspice_see_the_same_cells(tmp_path: Path) -> None:
    check = cosim.validate(scenario(tmp_path))
    assert check.passed, check.worst


def test_cells_of_the_tile(tmp_path: Path) -> None:
    def tile(text: str) -> Tile:
        return built(tmp_path, text).system.tiles["t"]

    small = tile(BASE)
    large = tile(
        BASE.replace("rows: 3, columns: 3", "rows: 6, columns: 6").split("program:")[0]
        + "program: [{wait: 1 us}]\n"
    )
    assert np.ptp(small.array.device.r_on) > 0
    np.testing.assert_array_equal(large.array.device.r_on[:3, :3], small.array.device.r_on)
    assert small.conductance()[1, 2] == pytest.approx(4e-6, rel=1e-8)


def test_result_counts_the_stuck_cell_and_repeats(tmp_path: Path) -> None:
    first, second = (cosim.run(scenario(tmp_path)) for _ in range(2))
    assert first.summary == second.summary
    write = first.summary["operations"][0]
    assert write["converged"] < write["cells"]
    frame = first.trace.frame("phases")
    assert frame["applied"].str.contains("c2c").all()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (("sigma: 10 %", "sigma: 0.1"), "must have the unit %"),
        (("sigma: 10 %", "sigma: -10 %"), "sigma: must be between 0 % and 1000 %"),
        (("r_on: {", "ron: {"), "mss has no such parameter; it has r_on"),
        (("cells: [[1, 2]]", "cells: [[1, 7]]"), "inside of 3 x 3"),
        (("cells: [[1, 2]]", "fraction: 0 %"), "must say which"),
        (("c2c: 10 %", "c2d: 10 %"), "c2d"),
    ],
)
def test_refusals_have_a_place(tmp_path: Path, change: tuple[str, str], sentence: str) -> None:
    with pytest.raises(ScenarioError, match=sentence) as caught:
        built(tmp_path, BASE.replace(*change))
    assert "varied.yaml" in str(caught.value)
