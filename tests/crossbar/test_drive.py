"""Waveforms and phases: piecewise linear in whole femtoseconds."""

from __future__ import annotations

import numpy as np
import pytest

from cosim.crossbar import Phase, Waveform, level, pulse
from cosim.crossbar.drive import drive_table
from cosim.errors import CrossbarError


def test_pulse_plateau_is_the_width() -> None:
    wave = pulse(1.0, rise_fs=10, width_fs=100, fall_fs=20, delay_fs=5)
    assert wave.times_fs == (0, 5, 15, 115, 135)
    assert wave.voltages == (0.0, 0.0, 1.0, 1.0, 0.0)
    assert wave.at(np.array([0.0, 10.0, 60.0, 125.0, 999.0])).tolist() == [0.0, 0.5, 1.0, 0.5, 0.0]


def test_pulse_on_a_base() -> None:
    wave = pulse(-1.0, rise_fs=2, width_fs=4, fall_fs=2, base=0.5)
    assert wave.times_fs == (0, 2, 6, 8)
    assert wave.voltages == (0.5, -1.0, -1.0, 0.5)


def test_level() -> None:
    assert level(0.3).is_level
    assert not pulse(1.0, rise_fs=1, width_fs=1, fall_fs=1).is_level
    assert level(0.3).at(np.array([0.0, 1e9])).tolist() == [0.3, 0.3]


@pytest.mark.parametrize(
    ("times", "voltages", "rule"),
    [
        ((0, 1), (1.0,), "as many times as voltages, not 2 and 1"),
        ((), (), "as many times as voltages, not 0 and 0"),
        ((0, 5, 5), (0.0, 1.0, 2.0), r"must increase, but are \(0, 5, 5\)"),
        ((0,), (float("nan"),), "must be finite"),
        ((0,), (float("inf"),), "must be finite"),
    ],
)
def test_refused_waveforms(times: tuple[int, ...], voltages: tuple[float, ...], rule: str) -> None:
    with pytest.raises(CrossbarError, match=rule):
        Waveform(times, voltages)


@pytest.mark.parametrize("bad", [{"width_fs": 0}, {"rise_fs": 0}, {"fall_fs": 0}, {"delay_fs": -1}])
def test_refused_pulses(bad: dict[str, int]) -> None:
    with pytest.raises(CrossbarError, match="at least 1 fs"):
        pulse(1.0, **{"width_fs": 1, "rise_fs": 1, "fall_fs": 1, **bad})


def test_corners() -> None:
    wave = pulse(1.0, rise_fs=10, width_fs=100, fall_fs=20)
    phase = Phase("write", 120, {"a": wave, "b": wave, "c": level(1.0)}, (50, 120))
    assert phase.corners_fs() == (0, 10, 50, 110, 120)


def test_refused_phases() -> None:
    with pytest.raises(CrossbarError, match="must last at least 1 fs, not 0"):
        Phase("read", 0, {})
    with pytest.raises(CrossbarError, match=r"the strobes \(11,\) must lie within the phase of 10 fs"):
        Phase("read", 10, {}, (11,))


def test_gate_level() -> None:
    phase = Phase("read", 10, {"g0": level(1.8), "g1": pulse(1.8, rise_fs=1, width_fs=1, fall_fs=1)})
    assert phase.gate_level("g0") == 1.8
    assert phase.gate_level("undriven") == 0.0
    with pytest.raises(CrossbarError, match="gate net g1 must hold one level during a phase"):
        phase.gate_level("g1")


def test_drive_table() -> None:
    phase = Phase("read", 20, {"a": pulse(1.0, rise_fs=10, width_fs=5, fall_fs=5), "b": level(0.2)})
    table = drive_table(phase, ("b", "x", "a"), (0, 5, 20))
    assert table[:, 0].tolist() == [0.2, 0.2, 0.2]
    assert np.isnan(table[:, 1]).all()
    assert table[:, 2].tolist() == [0.0, 0.5, 0.0]
