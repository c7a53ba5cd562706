"""Operations on 2T2R cells beside write and read: updates, driven lines, rows at once, compliance, refresh."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import cosim
from cosim.errors import ScenarioError

HEAD = """
schema_version: 1
name: pairs
seed: 4
hardware:
  device: {model: mss, r_on: 100 kohm, r_off: 1000 kohm, v_on: 0.6 V, v_off: 0.6 V, tau: 10 us}
  cell: {kind: 2T2R, access_resistance: 5 kohm}
  array: {rows: 3, columns: 2, wires: {word_line: 2.5 ohm, bit_line: 2.5 ohm, capacitance: 0.1 fF}}
  adc: {bits: 10}
tiles:
  t: {}
program:
"""
MIDDLE = "  - place: {tiles: [t], conductance: middle.csv}\n"
UPDATE = "  - update: {tile: t, rows: [[0.9, 0, -0.6]], columns: [[0.8, -0.5]], trains: deterministic, slots: 20, PULSES}\n"
PULSES = "set: {amplitude: 0.7 V, width: 50 ns}, reset: {amplitude: 0.7 V, width: 50 ns}"
WRITE = "  - write: {tiles: [t], matrix: [[0.5, -0.25], [1, 0], [-1, 0.75]], KEYS}\n"


def run(folder: Path, program: str, *sets: str) -> cosim.Result:
    np.savetxt(folder / "middle.csv", np.full((3, 4), 5e-6), delimiter=",")
    (folder / "pairs.yaml").write_text(HEAD + program.replace("PULSES", PULSES))
    return cosim.run(cosim.load(folder / "pairs.yaml", sets))


def test_an_update_moves_the_two_devices_of_a_cell_apart(tmp_path: Path) -> None:
    """One factor for each column of cells; the device on bit line - has the opposite one."""
    result = run(tmp_path, MIDDLE + UPDATE)
    details = result.summary["operations"][1]
    assert details["outer_product"]["correlation"] > 0.98
    assert details["pulsed_cells"] == 8
    cells = result.trace.frame("pulses").groupby(["row", "column"])
    change = np.zeros((3, 4))
    for at, pulses in cells:
        change[at] = pulses["state_after"].iloc[-1] - pulses["state_before"].iloc[0]
    assert np.all(change[1] == 0)
    assert np.array_equal(np.sign(change[0]), [1, -1, -1, 1])
    assert np.array_equal(np.sign(change[2]), [-1, 1, 1, -1])


def test_an_update_takes_one_factor_for_each_pair(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match=r"columns: must have one column per pair of bit lines, 2, not 4"):
        run(tmp_path, MIDDLE + UPDATE.replace("[0.8, -0.5]", "[0.8, -0.8, -0.5, 0.5]"))


def test_lines_are_driven_one_by_one(tmp_path: Path) -> None:
    """wl0 at 0.9 V and bl3 at 0 V: device (0, 3) is set, and no other of the row is."""
    drive = "  - drive: {tile: t, lines: {wl0: 0.9 V, bl3: 0 V, bl2: 0.9 V, bl1: 0.9 V, bl0: 0.9 V}, width: 400 ns}\n"
    pulses = run(tmp_path, MIDDLE + drive).trace.frame("pulses")
    moved = pulses[(pulses["row"] == 0) & (pulses["line"] == "wl0")]
    change = (moved["state_after"] - moved["state_before"]).to_numpy()
    assert change[3] > 0.01
    assert np.abs(change[:3]).max() < 1e-4
    with pytest.raises(ScenarioError, match="lines are wl0 to wl2 and bl0 to bl3"):
        run(tmp_path, MIDDLE + drive.replace("bl3", "bl4"))


@pytest.mark.parametrize("keys", ["parallel: row", "verify: {pulses: incremental-amplitude}", "parallel: row, verify: {sweeps: 2}"])  # fmt: skip
def test_rows_at_once(tmp_path: Path, keys: str) -> None:
    pulses = "set: {amplitude: 0.7 V, width: 300 ns}, reset: {amplitude: 0.7 V, width: 300 ns}"
    details = run(tmp_path, WRITE.replace("KEYS", f"{keys}, {pulses}")).summary["operations"][0]
    assert details["cells"] == details["converged"] == 12
    assert details["final"]["t"]["within_window"] == 1.0


def test_a_compliance_ends_pulses_on_the_bit_line_of_one_device(tmp_path: Path) -> None:
    keys = "set: {amplitude: 0.9 V, width: 8 us, compliance: 4 uA}, reset: {amplitude: 0.7 V, width: 300 ns}"
    result = run(tmp_path, WRITE.replace("KEYS", f"verify: {{max_pulses: 4}}, {keys}"))
    pulses = result.trace.frame("pulses")
    rising = pulses[pulses["line"].str.startswith("wl")]
    ended = rising[rising["width_s"] < 7.9e-6]
    assert len(ended) > 2
    current = ended["conductance_after_s"] / (1 + 5e3 * ended["conductance_after_s"]) * 0.9
    assert current.to_numpy() == pytest.approx(4e-6, rel=0.1)
    assert result.summary["energy"]["by_component_j"]["comparator"] > 0


def test_a_refresh_rewrites_both_devices(tmp_path: Path) -> None:
    pulses = "set: {amplitude: 0.7 V, width: 300 ns}, reset: {amplitude: 0.7 V, width: 300 ns}"
    program = WRITE.replace("KEYS", pulses) + "  - refresh: {tiles: [t], window: 1 %}\n"
    details = run(tmp_path, program).summary["operations"][1]
    assert details["read_cells"] == 12
    assert 0 < details["cells"] == details["converged"] < 12
