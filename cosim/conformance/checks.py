"""What every device model must hold; each check raises `AssertionError` with what it found."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, cast

import numpy as np

from cosim.conformance.trains import Drive, Train, advanced, drive_of, random_train, simulated
from cosim.crossbar import CrossbarBackend
from cosim.devices.base import DeviceModel, FloatArray
from cosim.devices.pulse import PulseModel

AGAINST_SOLVER: float = 1e-4
"""Accepted deviation of ``advance`` from a tight general solver, of the range of the state."""
AGAINST_TWIN: float = 5e-4
"""Accepted deviation of the ngspice twin from a tight general solver, of the range of the state."""
_VOLTAGES = np.linspace(-1.5, 1.5, 31)


def parts(device: DeviceModel, count: int) -> FloatArray:
    """Return ``(1, count[, k])`` states from the lowest to the highest of the range.

    By conductance for a range without end and for several state variables.
    """
    low, high = device.state_bounds()
    lowest, highest = device.mean_conductance_range()
    states = device.state_for(np.linspace(lowest, highest, count)[np.newaxis])
    if states.ndim > 2 or not np.isfinite(high - low):
        return states
    return np.linspace(low, high, count)[np.newaxis]


def _voltages(drive: Drive) -> FloatArray:
    """Return voltages ``(31, 1, 1)`` from beyond the RESET to beyond the SET amplitude."""
    scale = np.where(_VOLTAGES > 0, drive.amplitudes[0], drive.amplitudes[1])
    result: FloatArray = (_VOLTAGES * scale)[:, np.newaxis, np.newaxis]
    return result


def check_parameters(device: DeviceModel) -> None:
    """Check that every parameter has a meaning and a source, and that the model has a reference and is frozen."""
    assert type(device).reference.strip(), "the model names no reference"
    for entry in dataclasses.fields(cast(Any, device)):
        for key in ("source", "doc"):
            assert str(entry.metadata.get(key, "")).strip(), f"parameter {entry.name} has no {key}"
    assert cast(Any, type(device)).__dataclass_params__.frozen, "the model is not frozen"


def check_conductance(device: DeviceModel) -> None:
    """Check that conductance and state are inverse, and that the initial state is the high resistance."""
    low, high = device.mean_conductance_range()
    assert 0 < low < high, f"the conductance range {low:g} S to {high:g} S is empty"
    wanted = np.geomspace(low, high, 41)[np.newaxis]
    found = device.conductance(device.state_for(wanted))
    assert np.allclose(found, wanted, rtol=1e-9), "state_for is not the inverse of conductance"
    start = device.conductance(device.initial_state((3, 4), np.random.default_rng(0)))
    assert start.shape == (3, 4)
    assert np.allclose(start, low, rtol=1e-9), "the initial state is not the high resistance"


def check_current(device: DeviceModel, drive: Drive) -> None:
    """Check that the loop is pinched, that nothing is generated, and that the slope is the derivative of the current."""
    states, voltages = parts(device, 9), _voltages(drive)
    assert np.all(device.current(states, np.zeros((1, 9))) == 0), "a current flows at 0 V"
    current = device.current(states, voltages)
    assert np.all(voltages * current >= 0), "the device delivers energy"
    step = 1e-6 * float(np.abs(voltages).max())
    off = voltages + 1.37 * step  # none of them is a corner at 0 V
    slope = (device.current(states, off + step) - device.current(states, off - step)) / (2 * step)
    found = device.current_slope(states, off + np.zeros((1, 9)))
    assert np.allclose(found, slope, rtol=1e-5), "current_slope is not the derivative of current"
    if device.linear:
        assert np.allclose(current, device.conductance(states) * voltages, rtol=1e-12)


def check_advance(device: DeviceModel, drive: Drive, temperature: float) -> None:
    """Check that states stay in their range, SET raises the conductance, RESET lowers it, and no time changes nothing."""
    states, voltages = parts(device, 9), _voltages(drive)
    low, high = device.state_bounds()
    for part in (1e-3, 1.0, 1e3, 1e9):
        after = device.advance(states, voltages, part * max(drive.widths), temperature)
        assert np.isfinite(after).all(), "a state is not finite"
        assert (after >= low - 1e-15).all(), "a state leaves its range"
        assert (after <= high + 1e-15).all(), "a state leaves its range"
    assert np.array_equal(device.advance(states, np.ones((1, 9)), 0.0, temperature), states)
    for sign, start in ((0, states[:, :1]), (1, states[:, -1:])):
        volts = np.array([[drive.amplitudes[sign] * (1 - 2 * sign)]])
        after = device.advance(start, volts, drive.widths[sign], temperature)
        gained = float((device.conductance(after) - device.conductance(start))[0, 0])
        assert (1 - 2 * sign) * gained > 0, "a pulse moves the wrong way"


def check_composition(device: DeviceModel, drive: Drive, temperature: float) -> None:
    """Check that two pulses in a row are one of their length, within the accuracy of the model.

    A model that steps per pulse is held to this for whole pulses.
    """
    states, rng = parts(device, 9), np.random.default_rng(3)
    low, high = device.state_bounds()
    for _ in range(20):
        sign = int(rng.integers(2))
        volts = np.full((1, 9), drive.amplitudes[sign] * (1 - 2 * sign) * rng.uniform(0.5, 1.2))
        times = 10 ** rng.uniform(-1, 2, 2)
        first, second = drive.widths[sign] * (np.ceil(times) if isinstance(device, PulseModel) else times)
        whole = device.advance(states, volts, first + second, temperature)
        halves = device.advance(device.advance(states, volts, first, temperature), volts, second, temperature)
        worst = float(np.abs(whole - halves).max()) / (high - low)
        assert worst <= max(1e-12, 2 * device.accuracy), f"two pulses differ from one by {worst:.1e}"


def check_dead_zone(device: DeviceModel, drive: Drive, temperature: float) -> None:
    """Check that nothing changes where the rate is zero, to the last bit, however long it takes."""
    states, voltages = parts(device, 9), _voltages(drive)
    rate = device.state_rate(states, voltages, temperature)
    if rate is None:
        return
    after = device.advance(states, voltages, 1e3 * max(drive.widths), temperature)
    still = rate == 0
    moved = still & (after != np.broadcast_to(states, after.shape))
    assert not moved.any(), f"{int(moved.sum())} states move although their rate is zero"


def check_most_moved(device: DeviceModel, drive: Drive, temperature: float) -> None:
    """Check that `most_moved` is a bound at all voltages up to the programming ones, for short and long durations."""
    if not np.isfinite(np.subtract(*device.state_bounds())):
        return
    states = parts(device, 33)
    for reach in (0.1, 0.5, 1.0):
        low, high = -reach * drive.amplitudes[1], reach * drive.amplitudes[0]
        volts = np.concatenate([np.linspace(low, 0.0, 9), np.linspace(0.0, high, 9)])[
            :, np.newaxis, np.newaxis
        ]
        for times in (1e-3, 0.1, 10.0):
            duration = times * min(drive.widths)
            bound = device.most_moved(low, high, duration, temperature)
            moved = float(np.abs(device.advance(states, volts, duration, temperature) - states).max())
            allowed = bound * (1.0 + 1e-6) + (1e-12 if bound else 0.0)
            assert moved <= allowed, (
                f"states move by {moved:.3e} in {duration:g} s, beyond the bound {bound:.3e}"
            )


def random_trains(device: DeviceModel, temperature: float, count: int) -> list[Train]:
    """Return seeded random pulse trains."""
    drive, rng = drive_of(device, temperature), np.random.default_rng(8)
    return [random_train(device, drive, rng) for _ in range(count)]


def check_against_solver(
    device: DeviceModel, trains: Sequence[Train], reference: FloatArray, temperature: float
) -> float:
    """Check that `advance` agrees with ``reference``, the states that a general solver found; returns the deviation."""
    low, high = device.state_bounds()
    worst = float(np.abs(advanced(device, trains, temperature) - reference).max()) / (high - low)
    assert worst <= AGAINST_SOLVER, f"advance deviates from the solver by {worst:.1e} of the range"
    return worst


def check_against_twin(
    device: DeviceModel,
    trains: Sequence[Train],
    reference: FloatArray,
    backend: CrossbarBackend,
    temperature: float,
) -> float:
    """Check that the twin agrees with ``reference`` and dissipates; returns the largest deviation."""
    low, high = device.state_bounds()
    worst = 0.0
    for train, expected in zip(trains, reference, strict=True):
        result = simulated(backend, device, train, temperature)
        worst = max(worst, abs(float(result.states[0][0, 0]) - float(expected)) / (high - low))
        assert float(result.energy.cells[0][0, 0]) >= 0, "the twin delivers energy"
    assert worst <= AGAINST_TWIN, f"the twin deviates from the solver by {worst:.1e} of the range"
    return worst
