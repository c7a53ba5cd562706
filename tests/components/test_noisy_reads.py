"""Read noise of whole reads: level in the converted currents, wires and access devices, both backends, determinism."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import cosim

BOLTZMANN = 1.380649e-23
CELLS = np.array([[2e-5, 4e-5], [1e-5, 8e-5]])
BASE = """\
schema_version: 1
name: noisy
seed: 5
hardware:
  device: {model: resistor}
  cell: {kind: 1T1R, access_resistance: 5 kohm}
  array: {rows: 2, columns: 2, wires: {word_line: 100 ohm, bit_line: 100 ohm, capacitance: ideal}}
  dac: {range: [0 V, 0.2 V]}
  sense: {input_resistance: ideal}
  variation: {read_noise: NOISE}
tiles: {t: {backend: BACKEND, conductance: map.csv}}
program:
  - read: {tiles: [t], inputs: inputs.csv}
"""


def run(
    folder: Path,
    noise: str,
    inputs: np.ndarray,
    backend: str = "behavioral",
    text: str = BASE,
    cells: np.ndarray = CELLS,
) -> cosim.Result:
    np.savetxt(folder / "map.csv", cells, delimiter=",")
    np.savetxt(folder / "inputs.csv", inputs, delimiter=",")
    (folder / "noisy.yaml").write_text(
        text.replace("NOISE", noise).replace("BACKEND", backend), encoding="utf-8"
    )
    return cosim.run(cosim.load(folder / "noisy.yaml"))


def currents(result: cosim.Result, columns: int = 2) -> np.ndarray:
    """Return the sampled bit-line currents ``(reads, columns)`` [A]."""
    return result.frame("conversions")["current_a"].to_numpy().reshape(-1, columns)


def test_thermal_level(tmp_path: Path) -> None:
    inputs = np.tile([1.0, 0.0], (600, 1))
    found = currents(run(tmp_path, "{bandwidth: 1 GHz}", inputs))
    g = CELLS
    seen = (g / (1 + 5e3 * g)).sum(axis=0)
    share = found.std(axis=0) / np.sqrt(4 * BOLTZMANN * 300 * seen * 1e9)
    assert np.sqrt(np.mean(share**2)) == pytest.approx(1.0, abs=0.05)
    np.testing.assert_allclose(share, 1.0, atol=0.1)
    assert abs(np.corrcoef(found.T)[0, 1]) < 0.2


def seconds_of(frame: pd.DataFrame, name: str) -> np.ndarray:
    """Return a time of the phases [s]."""
    return frame[f"{name}_s"].to_numpy() + frame[f"{name}_fs"].to_numpy() * 1e-15


def sampled_flicker(frequency: np.ndarray, rate: float, aperture: float, lowest: float) -> np.ndarray:
    """Return the one-sided density of means over ``aperture`` [s] of 1/f noise, taken at ``rate`` [1/s], at q = 1.

    What lies beyond half the rate is folded down: the sum of S(f + m rate) sinc^2(...) over all m.
    """
    shifted = np.abs(frequency[:, None] + rate * np.arange(-200, 201))
    found: np.ndarray = (np.sinc(shifted * aperture) ** 2 / np.maximum(shifted, lowest)).sum(axis=1)
    return found


def test_flicker_slope_and_level_through_access_devices_and_wires(tmp_path: Path) -> None:
    from scipy.signal import welch

    columns, reads, bandwidth = 32, 1024, 170e3
    text = BASE.replace("rows: 2, columns: 2", f"rows: 1, columns: {columns}")
    flicker = (
        f"{{thermal: false, flicker: {{amplitude: 0.1 %, lowest: 100 Hz}}, bandwidth: {bandwidth:.0f} Hz}}"
    )
    cells = np.full((1, columns), 4e-5)
    result = run(tmp_path, flicker, np.ones((reads, 1)), text=text, cells=cells)
    found = currents(result, columns)
    rate = 1 / np.diff(seconds_of(result.frame("phases"), "start")).mean()
    # the device keeps 1/(1 + G R) of its deviation in the current
    signal = (found / found.mean(axis=0) - 1) * (1 + 5e3 * 4e-5)
    frequency, density = welch(signal, fs=rate, nperseg=256, axis=0)
    band = (frequency > rate / 80) & (frequency < rate / 3)
    expected = sampled_flicker(frequency[band], rate, 1 / (2 * bandwidth), 100.0)
    share = density[band].mean(axis=1) / (1e-6 * expected)
    slope, _ = np.polyfit(np.log(frequency[band]), np.log(share), 1)
    assert share.mean() == pytest.approx(1.0, abs=0.05)
    assert slope == pytest.approx(0.0, abs=0.05)
    low = band & (frequency < rate / 20)  # where next to nothing is folded down, it is 1/f itself
    assert (density[low] * frequency[low, None]).mean() == pytest.approx(1e-6, rel=0.05)


def test_telegraph_noise_has_two_levels(tmp_path: Path) -> None:
    rtn = "{thermal: false, rtn: {fraction: 100 %, amplitude: 10 %, filled: 10 us, empty: 10 us, spread: 0}}"
    found = currents(run(tmp_path, rtn, np.tile([1.0, 0.0], (300, 1))))
    quiet = currents(run(tmp_path, "{thermal: false}", np.array([[1.0, 0.0]])))[0]
    share = 1 / (1 + 5e3 * np.array([2e-5, 4e-5]))
    for column in range(2):
        levels = np.unique((found[:, column] / quiet[column] - 1).round(6))
        assert len(levels) == 2
        assert np.ptp(levels) == pytest.approx(0.1 * share[column], rel=0.02)
        assert levels.mean() == pytest.approx(0.0, abs=1e-4)


def test_first_order_change_is_that_of_the_network(tmp_path: Path) -> None:
    """One filled trap against the network solved with the lower conductance."""
    from cosim.crossbar import solve

    rtn = "{thermal: false, rtn: {fraction: 100 %, amplitude: 2 %, filled: 1000 s, empty: 1 ms, spread: 0}}"
    found = currents(run(tmp_path, rtn, np.array([[1.0, 0.5]])))[0]
    g = CELLS
    lower = g * (
        1 - 0.02 * 1e-3 / 1000.001
    )  # filled nearly always: the mean of the cell, less next to nothing
    exact = solve(lower / (1 + 5e3 * lower), np.array([0.2, 0.1]), r_word_line=100.0, r_bit_line=100.0)
    np.testing.assert_allclose(found, exact.bit_line_current, rtol=5e-3)


@pytest.mark.ngspice
def test_both_backends_have_the_same_noise(tmp_path: Path) -> None:
    noise = "{flicker: {amplitude: 2 %}, rtn: {fraction: 60 %, amplitude: 5 %}}"
    inputs = np.array([[1.0, 0.3], [0.2, 0.9], [1.0, 1.0]])
    behavioral, ngspice = (run(tmp_path, noise, inputs, name) for name in ("behavioral", "ngspice"))
    quiet = currents(run(tmp_path, "{thermal: false}", inputs))
    assert np.abs(currents(behavioral) / quiet - 1).max() > 5e-3
    np.testing.assert_allclose(currents(ngspice), currents(behavioral), rtol=2e-4)
    for result in (behavioral, ngspice):
        assert result.frame("phases")["applied"].str.contains("read_noise").all()


def test_same_bytes_and_another_seed(tmp_path: Path) -> None:
    noise, inputs = "{flicker: {}, rtn: {}}", np.array([[1.0, 0.3]] * 5)
    first, second = (run(tmp_path, noise, inputs) for _ in range(2))
    assert first.summary == second.summary
    other = run(tmp_path, noise, inputs, text=BASE.replace("seed: 5", "seed: 6"))
    assert not np.array_equal(currents(first), currents(other))


def test_charge_of_an_integrator_has_the_noise_of_its_window(tmp_path: Path) -> None:
    text = BASE.replace("sense: {", "sense: {kind: integrator, ")
    inputs = np.tile([1.0, 0.0], (400, 1))
    result = run(tmp_path, "{}", inputs, text=text)
    found, duration = currents(result), seconds_of(result.frame("phases"), "duration")[0]
    g = CELLS
    seen = (g / (1 + 5e3 * g)).sum(axis=0)
    expected = np.sqrt(4 * BOLTZMANN * 300 * seen / (2 * duration))
    np.testing.assert_allclose(found.std(axis=0), expected, rtol=0.15)
