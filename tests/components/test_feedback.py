"""Pulses that a comparator ends: compliance, write termination, feedback on a floating node."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cosim
from cosim.backends.behavioral import BehavioralBackend
from cosim.backends.ngspice import NgspiceBackend
from cosim.components import Comparator
from cosim.crossbar import Cell, CrossbarArray, Network, Phase, PhaseRequest, Segments, level
from cosim.devices import find_preset
from cosim.errors import DeviceError, ScenarioError
from cosim.scenario import Result
from cosim.spice.machine import probe

NS = 10**6
TEXT = """
schema_version: 1
name: feedback
seed: 4
hardware:
  device: {preset: mss-firm}
  cell: {kind: KIND}
  array: {rows: 4, columns: 4, wires: {word_line: 2.5 ohm, bit_line: 2.5 ohm}}
  adc: {bits: 10}
tiles: {t: {backend: BACKEND}}
program:
  - write:
      tiles: [t]
      matrix: [[0.9, 0.1, 0.5, 0.3], [0.2, 0.8, 0.4, 0.6], [0.7, 0.3, 0.1, 0.9], [0.5, 0.6, 0.2, 0.4]]
      verify: {window: 1 %, VERIFY}
"""

SMALL = {"rows": "rows: 2, columns: 2 } #", "matrix": "matrix: [[0.9, 0.1], [0.4, 0.6]] #"}

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    def call(
        verify: str, kind: str = "1T1R", backend: str = "behavioral", more: str = "", **edits: str
    ) -> Result:
        text = TEXT.replace("KIND", kind).replace("VERIFY", verify).replace("BACKEND", backend) + more
        for old, new in edits.items():
            text = text.replace(f"{old}:", new)
        path = tmp_path / "scenario.yaml"
        path.write_text(text)
        return cosim.run(cosim.load(path))

    return call


def write(result: Result) -> dict[str, Any]:
    found: dict[str, Any] = result.summary["operations"][0]
    return found


@pytest.mark.parametrize("kind", ["1T1R", "1R"])
def test_termination_needs_a_pulse_a_cell_and_hits_better_than_pulse_by_pulse(run: Run, kind: str) -> None:
    ended = write(run("pulses: terminated, longest: 256", kind, **SMALL))
    plain = write(run("pulses: fixed", kind, **SMALL))
    assert ended["converged"] == plain["converged"] == 4
    assert ended["pulses"] <= 5
    assert plain["pulses"] > 60
    assert ended["error"]["verify_rms_s"] < 0.6 * plain["error"]["verify_rms_s"]
    assert ended["end_s"] < plain["end_s"]


def test_the_records_hold_the_width_that_was_applied(run: Run) -> None:
    result = run("pulses: terminated, longest: 256")
    pulses, phases = result.trace.frame("pulses"), result.trace.frame("phases").set_index("phase")
    assert ((pulses.width_s > 0) & (pulses.width_s < 256 * 340e-9)).all()
    applied = phases.loc[pulses.phase, "applied"]
    assert applied.str.contains("stopped").all()
    assert (
        phases.loc[pulses.phase, "duration_from"] == "driver.rise + pulse width + driver.fall, or comparator"
    ).all()
    energies = result.trace.frame("energies")
    watched = energies[energies.component == "comparator"].energy_j.sum()
    duration = result.summary["time"]["by_kind_s"]["write"]
    assert watched == pytest.approx(1.63e-6 * duration, rel=1e-6)


def test_a_slow_comparator_overshoots(run: Run) -> None:
    late = run(
        "pulses: terminated, longest: 256, max_pulses: 1", array="comparator: {delay: 500 ns}\n  array:"
    )
    errors = late.trace.frame("outcomes")
    assert (errors.verified_s - errors.target_s).mean() > 0.005 * 9e-6


def test_an_offset_shifts_every_target(run: Run) -> None:
    shifted = run(
        "pulses: terminated, longest: 256, max_pulses: 1",
        array="comparator: {current_offset: 0.2 uA}\n  array:",
    )
    errors = shifted.trace.frame("outcomes")
    expected = 0.2e-6 / 0.651704
    assert (errors.verified_s - errors.target_s).mean() == pytest.approx(expected, rel=0.15)


def test_compliance_bounds_the_current_of_a_set(run: Run) -> None:
    result = run(
        "max_pulses: 1",
        more="      set: {amplitude: 0.7 V, width: 50 us, compliance: 3 uA}\n",
        matrix="headroom: 0 %\n      matrix:",
    )
    pulses = result.trace.frame("pulses")
    assert (pulses.width_s < 50e-6).all()
    seen = pulses.conductance_after_s / (1 + 15e3 * pulses.conductance_after_s)
    assert np.abs(seen * 0.7 - 3e-6).max() < 0.02 * 3e-6


@pytest.mark.ngspice
def test_termination_on_ngspice(run: Run) -> None:
    if probe().engine != "pyspice":
        pytest.skip("stop conditions need libngspice and PySpice")
    ours, theirs = (
        run("pulses: terminated, longest: 256", backend=backend, **SMALL)
        for backend in ("behavioral", "ngspice")
    )
    a, b = ours.trace.frame("outcomes"), theirs.trace.frame("outcomes")
    assert np.abs(a.device_s - b.device_s).max() < 1e-3 * 9e-6
    assert write(ours)["pulses"] == write(theirs)["pulses"]


@pytest.mark.ngspice
def test_a_backend_that_cannot_react_is_refused_before_the_run(run: Run) -> None:
    with pytest.raises(
        ScenarioError, match=r"tiles\.t\.backend: the engine 'subprocess' cannot react inside a phase"
    ):
        run("pulses: terminated", backend="{kind: ngspice, engine: subprocess}")


def test_refusals(run: Run) -> None:
    with pytest.raises(ScenarioError, match=r"set\.compliance: must be above zero, not -1 uA"):
        run("max_pulses: 1", more="      set: {amplitude: 0.7 V, width: 1 us, compliance: -1 uA}\n")
    with pytest.raises(DeviceError, match=r"comparator\.delay: must be zero or above, not -1"):
        Comparator(delay=-1.0)


def test_offsets_are_added_to_the_magnitude() -> None:
    comparator = Comparator(delay=3e-9, current_offset=1e-7, voltage_offset=1e-3)
    sunk = comparator.stop("b", "current", -2e-6, "falling", ("w",), ramp_fs=NS)
    assert (sunk.threshold, sunk.delay_fs) == (-2.1e-6, 3 * NS)
    assert comparator.stop("y", "voltage", 0.1, "rising", ("w",), ramp_fs=NS).threshold == pytest.approx(
        0.101
    )


def lane(delay: float) -> PhaseRequest:
    """Two cells in series between rails with a floating node, which rises while the upper cell is SET."""
    device = find_preset("mss-firm")
    pair = [
        CrossbarArray(name, 1, 1, device, Cell(), Segments(1.0, 1.0), left=(top,), bottom=(bottom,))
        for name, top, bottom in (("a", "high", "y"), ("b", "y", "low"))
    ]
    comparator = Comparator(delay=delay, voltage_offset=2e-3)
    stop = comparator.stop("y", "voltage", 0.53, "rising", ("high",), ramp_fs=2 * NS)
    phase = Phase("write", 20_000 * NS, {"high": level(1.2), "low": level(0.0)}, stops=(stop,))
    states = (np.full((1, 1), 0.2), np.full((1, 1), 0.6))
    return PhaseRequest(Network(tuple(pair)), states, None, 0, 300.0, phase, 0)


@pytest.mark.parametrize("backend", ["behavioral", pytest.param("ngspice", marks=pytest.mark.ngspice)])
def test_a_comparator_ends_feedback_on_a_floating_node(backend: str) -> None:
    if backend == "ngspice" and probe().engine != "pyspice":
        pytest.skip("stop conditions need libngspice and PySpice")
    made = NgspiceBackend("pyspice") if backend == "ngspice" else BehavioralBackend()
    result, late = made.run(lane(0.0)), made.run(lane(100e-9))
    made.close()
    (stop,) = result.stops
    g = [float(find_preset("mss-firm").conductance(state)[0, 0]) for state in result.states]
    assert 1.2 * g[0] / (g[0] + g[1]) == pytest.approx(0.532, abs=1e-3)
    assert late.stops[0].crossing_fs == pytest.approx(stop.crossing_fs, rel=1e-4)
    assert late.duration_fs - late.stops[0].crossing_fs == pytest.approx(102 * NS, rel=1e-6)
    reference = BehavioralBackend().run(lane(0.0))
    assert stop.crossing_fs == pytest.approx(reference.stops[0].crossing_fs, rel=1e-3)
