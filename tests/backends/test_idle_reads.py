"""Reads of nonlinear cells without any voltage, after reads with some."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import cosim

SCENARIO = """
schema_version: 1
name: idle
seed: 3
hardware:
  device: {model: yakopcic}
  cell: {kind: 1R}
  array: {rows: 8, columns: 10, wires: {word_line: 20 ohm, bit_line: 20 ohm, capacitance: 0.1 fF}}
  dac: {bits: 4, range: [0 V, 0.1 V]}
  adc: {kind: sar, bits: 8, count: 2, clock: 100 MHz, range: calibrated}
tiles:
  array: {backend: behavioral, fidelity: resistive, conductance: map.csv}
program:
  - read: {tiles: [array], coding: bit-serial, inputs: inputs.csv}
"""


def test_bits_that_are_zero_on_all_lines_are_answered(tmp_path: Path) -> None:
    """The voltages of the phase before die away to the smallest numbers there are, and that is an answer."""
    rng = np.random.default_rng(5)
    np.savetxt(tmp_path / "map.csv", 1e-4 + 7.9e-3 * rng.random((8, 10)), delimiter=",")
    inputs = [rng.integers(0, 16, 8) for _ in range(60)]
    np.savetxt(tmp_path / "inputs.csv", inputs, delimiter=",", fmt="%d")
    (tmp_path / "idle.yaml").write_text(SCENARIO)
    summary = cosim.run(cosim.load(tmp_path / "idle.yaml")).summary
    assert summary["time"]["phases"] == 240
    assert summary["energy"]["balance"]["relative_error"] < 1e-9
