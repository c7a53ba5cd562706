"""Cells that drift and wear on the simulation clock: laws in whole runs, both backends, counters, resumed runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import cosim
from cosim.errors import ScenarioError
from cosim.records import Trace
from cosim.scenario.build import Backends, build

BASE = """\
schema_version: 1
name: aged
seed: 5
hardware:
  device: {model: DEVICE}
  cell: {kind: 1T1R, access_resistance: 5 kohm}
  array: {rows: 2, columns: 2, wires: {word_line: ideal, bit_line: ideal, capacitance: ideal}}
  dac: {bits: 12, range: [0 V, 0.2 V]}
  adc: {bits: 12}
  sense: {input_resistance: ideal}
  driver: {output_resistance: ideal}
  variation: {VARIATION}
tiles: {t: {backend: BACKEND, conductance: map.csv}}
program:
"""
PULSES = "pulse_law, g_min: 1 uS, g_max: 100 uS"
READ = "  - read: {tiles: [t], inputs: [[1, 0], [0, 1]]}\n"
MAP = np.array([[8e-5, 2e-5], [1e-6, 5e-5]])


def run(
    folder: Path, variation: str, program: str, device: str = PULSES, backend: str = "behavioral"
) -> cosim.Result:
    np.savetxt(folder / "map.csv", MAP, delimiter=",")
    text = BASE.replace("DEVICE", device).replace("VARIATION", variation).replace("BACKEND", backend)
    (folder / "aged.yaml").write_text(text + program, encoding="utf-8")
    return cosim.run(cosim.load(folder / "aged.yaml"), out=folder / "out")


def device_conductances(result: cosim.Result) -> np.ndarray:
    """Return the conductances [S] behind the sampled currents of one-hot reads, ``(reads, 2, 2)``."""
    seen = result.frame("conversions")["current_a"].to_numpy().reshape(-1, 2, 2) / 0.2
    return np.asarray(seen / (1 - 5e3 * seen))


@pytest.mark.parametrize("device", [PULSES, "rs, g_min: 1 uS, g_max: 100 uS", "resistor"])
def test_law_over_years(tmp_path: Path, device: str) -> None:
    waits = [1e-3, 20.0, 1e4, 3.15e8]
    program = READ + "".join(f"  - wait: {wait:.9g} s\n{READ}" for wait in waits)
    found = device_conductances(
        run(tmp_path, "retention: {exponent: 0.06, reference: 20 s}", program, device)
    )
    np.testing.assert_allclose(found[0], MAP, rtol=2e-4)
    elapsed = np.concatenate([[0.0], np.cumsum(waits)])
    expected = MAP * ((elapsed + 20) / 20)[:, None, None] ** -0.06
    np.testing.assert_allclose(found, expected, rtol=3e-4)
    assert np.all(np.diff(found[1:], axis=0) < 0)  # 1 uS falls below the range that can be programmed


def test_own_exponent_of_every_cell_is_drawn_once(tmp_path: Path) -> None:
    program = READ + f"  - wait: 1e3 s\n{READ}" * 3
    found = device_conductances(run(tmp_path, "retention: {exponent: 0.05, deviation: 0.02}", program))
    elapsed = np.array([1e3, 2e3, 3e3])[:, None, None]
    exponents = -np.log(found[1:] / found[0]) / np.log1p(elapsed / 20)
    np.testing.assert_allclose(exponents - exponents[0], 0, atol=3e-5)
    assert np.ptp(exponents[0]) > 0.005


def test_a_pulse_ends_the_drift_and_begins_a_new_one(tmp_path: Path) -> None:
    write = "  - write: {tiles: [t], conductance: target.csv, verify: {window: 2 %, max_pulses: 200}}\n"
    seen = np.array([[6e-5, 3e-5], [2e-5, 4e-5]])
    np.savetxt(tmp_path / "target.csv", seen / (1 + 5e3 * seen), delimiter=",")
    program = f"  - wait: 1e5 s\n{write}{READ}  - wait: 100 s\n{READ}"
    result = run(tmp_path, "retention: {exponent: 0.06}", program)
    found = device_conductances(result)
    np.testing.assert_allclose(found[0], seen, atol=4e-6)
    np.testing.assert_allclose(found[1] / found[0], ((100 + 20) / 20) ** -0.06, rtol=1e-3)
    first = result.frame("pulses").iloc[0]
    # the first pulse starts from the drifted conductance
    assert first["conductance_before_s"] == pytest.approx(8e-5 * (1e5 / 20 + 1) ** -0.06, rel=1e-3)


def test_a_model_without_end_conductances_drifts_by_its_state(tmp_path: Path) -> None:
    found = device_conductances(
        run(
            tmp_path,
            "retention: {exponent: 0.06}",
            f"{READ}  - wait: 1e4 s\n{READ}",
            "yakopcic, a1: 2 mA, a2: 2 mA",
        )
    )
    np.testing.assert_allclose((found[1] / found[0])[:, 0][0], (1e4 / 20 + 1) ** -0.06, rtol=2e-3)
    assert found[1][1, 0] == pytest.approx(found[0][1, 0], rel=1e-6)  # at its lowest conductance


@pytest.mark.ngspice
def test_both_backends_see_the_drift(tmp_path: Path) -> None:
    program = f"{READ}  - wait: 1e6 s\n{READ}"
    device = "mss, r_on: 10 kohm, r_off: 1000 kohm, v_on: 0.6 V, v_off: 0.6 V, tau: 1e6 s"
    both = [
        device_conductances(run(tmp_path, "retention: {deviation: 0.01}", program, device, name))
        for name in ("behavioral", "ngspice")
    ]
    np.testing.assert_allclose(both[1], both[0], rtol=1e-4)
    assert np.all(both[0][1] < 0.7 * both[0][0])


def test_wear_closes_the_range_and_is_counted(tmp_path: Path) -> None:
    np.savetxt(tmp_path / "target.csv", np.full((2, 2), 4e-5), delimiter=",")
    write = "  - write: {tiles: [t], conductance: target.csv, verify: {window: 10 %, max_pulses: 12}}\n"
    device = f"{PULSES}, levels_set: 12, levels_reset: 12, nonlinearity_set: 0, nonlinearity_reset: 0"
    fresh = run(tmp_path, "endurance: {}", write, device)
    worn = run(tmp_path, "endurance: {onset: 100, cycles: 1e5}", write, device)
    assert fresh.summary["operations"][0]["converged"] >= 3
    assert worn.summary["operations"][0]["converged"] == 0  # 100 uS * 1000^-0.2 = 25 uS is the most
    counts = fresh.summary["operations"][0]["wear"]["t"]
    pulses, cycles = fresh.trace.cell_wear["t"]
    assert (
        counts["most_pulses"] == pulses.max() == fresh.frame("pulses").groupby(["row", "column"]).size().max()
    )
    frame = fresh.frame("pulses")
    way = (frame["conductance_after_s"] - frame["conductance_before_s"]).abs()
    np.testing.assert_allclose(cycles.sum(), way.sum() / (2 * 99e-6), rtol=1e-9)
    fresh.save(tmp_path / "saved")
    lines = (tmp_path / "saved" / "tables" / "cell_wear.csv").read_text().splitlines()
    assert lines[0] == "tile,row,column,pulses,cycles"
    assert len(lines) == 5


def test_stuck_cells_neither_drift_nor_wear(tmp_path: Path) -> None:
    variation = "stuck: [{conductance: 30 uS, cells: [[0, 1]]}], retention: {}, endurance: {cycles: 1e9}"
    found = device_conductances(run(tmp_path, variation, f"{READ}  - wait: 1e6 s\n{READ}"))
    np.testing.assert_allclose(found[:, 0, 1], 3e-5, rtol=3e-4)
    assert found[1][0, 0] < 0.7 * found[0][0, 0]


@pytest.mark.ngspice
def test_resumed_run_has_the_same_age(tmp_path: Path) -> None:
    np.savetxt(tmp_path / "target.csv", np.full((2, 2), 2e-5), delimiter=",")
    write = "  - write: {tiles: [t], conductance: target.csv, verify: {window: 10 %, max_pulses: 3}}\n"
    device = "mss, r_on: 10 kohm, r_off: 1000 kohm, v_on: 0.6 V, v_off: 0.6 V, tau: 10 us"
    variation = "retention: {reference: 1 us}, endurance: {onset: 0.01}, read_noise: {flicker: {}, rtn: {}}"
    program = f"{write}  - wait: 1 ms\n{READ}"
    first = run(tmp_path, variation, program, device, "ngspice")
    again = cosim.run(cosim.load(tmp_path / "aged.yaml"), out=tmp_path / "out", resume=True)
    assert again.summary == first.summary


def test_growing_the_array_keeps_the_exponents(tmp_path: Path) -> None:
    def exponents(size: int) -> np.ndarray:
        text = BASE.replace("DEVICE", PULSES).replace("VARIATION", "retention: {deviation: 0.02}")
        text = text.replace("rows: 2, columns: 2", f"rows: {size}, columns: {size}").replace(
            ", conductance: map.csv", ""
        )
        (tmp_path / "grown.yaml").write_text(
            text.replace("BACKEND", "behavioral") + "  - wait: 1 s\n", encoding="utf-8"
        )
        loaded = cosim.load(tmp_path / "grown.yaml")
        ageing = build(loaded, Trace(), Backends(loaded)).system.tiles["t"].ageing
        assert ageing is not None
        return ageing._exponent

    np.testing.assert_array_equal(exponents(16)[:8, :8], exponents(8))


def test_refusal_has_a_place(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="has no two end conductances, so its range cannot close"):
        run(tmp_path, "endurance: {}", READ, "yakopcic, a1: 2 mA, a2: 2 mA")
