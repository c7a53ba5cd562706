"""The conformance checks on devices that must be formed, around every kind of model; against solver, circuit and twin."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from cosim.backends.behavioral import BehavioralBackend
from cosim.backends.ngspice import NgspiceBackend
from cosim.conformance import checks, drive_of
from cosim.crossbar import Cell, Phase, PhaseRequest, Segments, level, pulse, single
from cosim.devices import (
    DataDriven,
    Fefet,
    IonDrift,
    Mss,
    NonlinearIonDrift,
    Rs,
    Stanford,
    Team,
    Vteam,
    Yakopcic,
    find_preset,
)
from cosim.devices.base import DeviceModel, FloatArray
from cosim.devices.forming import Formable, Forming

KELVIN = 300.0
FS = 1e15
PARTS = (0.2, 0.1, 1.0, 0.1, 0.2)
"""Rest, edge, plateau, edge, rest, in plateaus."""
INNER: dict[str, DeviceModel] = {
    "mss": find_preset("mss-firm"),
    "mss-schottky": Mss(phi=0.9, schottky_forward=1e-6, schottky_reverse=1e-6),
    **{
        model.name: model()
        for model in (Rs, IonDrift, NonlinearIonDrift, Vteam, Yakopcic, Team, Stanford, DataDriven, Fefet)
    },
}


def formable(inner: DeviceModel) -> Formable:
    """Return a device that forms within a few SET pulses of its inner model."""
    drive = drive_of(inner, KELVIN)
    volts, width = drive.amplitudes[0], drive.widths[0]
    low, _ = inner.mean_conductance_range()
    return Formable(
        inner, Forming(voltage=1.1 * volts, slope=0.1 * volts, time=5.0 * width, conductance=0.1 * low)
    )


@pytest.fixture(params=sorted(INNER))
def device(request: pytest.FixtureRequest) -> Formable:
    return formable(INNER[request.param])


@pytest.fixture(scope="module")
def spice() -> Iterator[NgspiceBackend]:
    backend = NgspiceBackend(still_tolerance=0.0)
    yield backend
    backend.close()


def test_checks(device: Formable) -> None:
    drive = drive_of(device.inner, KELVIN)
    checks.check_current(device, drive)
    checks.check_advance(device, drive, KELVIN)
    checks.check_composition(device, drive, KELVIN)
    checks.check_most_moved(device, drive, KELVIN)


def test_half_formed_cells(device: Formable) -> None:
    """Inner states and formed parts of all sizes: passive, and slopes are derivatives."""
    x, y = np.meshgrid(np.linspace(*device.inner.state_bounds(), 5), np.linspace(0.0, 1.0, 5))
    state, reach = np.stack([x, y], axis=-1), drive_of(device.inner, KELVIN).amplitudes[0]
    for volts in (-0.93 * reach, 0.31 * reach, 1.1 * reach):
        at, step = np.full((5, 5), volts), 1e-6 * reach
        assert (device.current(state, at) * volts > 0).all()
        found = (device.current(state, at + step) - device.current(state, at - step)) / (2 * step)
        assert np.allclose(device.current_slope(state, at), found, rtol=1e-6)
    assert np.array_equal(device.current(state[-1], at[-1]), device.inner.current(x[-1], at[-1]))


def limits(device: Formable) -> FloatArray:
    """Return the lowest and the highest states, (2, 2)."""
    return np.array([device.inner.state_bounds(), (0.0, 1.0)]).T


def divided(device: DeviceModel, state: FloatArray, volts: float, series: float) -> FloatArray:
    """Return the device's share (1, 1) of the voltage behind a resistance: Newton's method from the far side."""
    u = np.array([[volts]])
    for _ in range(100):
        step = u + series * device.current(state, u) - volts
        step = step / (1.0 + series * device.current_slope(state, u))
        u = u - step
        if abs(step[0, 0]) <= 1e-13 * abs(volts):
            return u
    raise AssertionError("no share was found")


def solved(device: Formable, start: FloatArray, volts: float, width: float, series: float) -> FloatArray:
    """Return the states (2,) after one trapezoidal pulse by a tight general solver, the divider solved at every instant."""
    state, bounds = start, limits(device)
    for part, ends in zip(PARTS, ((0, 0), (0, 1), (1, 1), (1, 0), (0, 0)), strict=True):

        def slope(t: float, y: FloatArray, part: float = part, ends: tuple[int, int] = ends) -> FloatArray:
            at = np.clip(y, *bounds).reshape(1, 1, 2)
            now = volts * (ends[0] + (ends[1] - ends[0]) * t)
            rate = device.state_rate(at, divided(device, at, now, series), KELVIN)
            assert rate is not None
            result: FloatArray = part * width * rate[0, 0]
            return result

        found = solve_ivp(slope, (0.0, 1.0), state, method="LSODA", rtol=1e-9, atol=1e-11)
        state = np.clip(found.y[:, -1], *bounds)
    return state


def pulse_request(
    device: DeviceModel, start: FloatArray, volts: float, width: float, series: float
) -> PhaseRequest:
    rest, edge, plateau = (round(part * width * FS) for part in PARTS[:3])
    network = single("device", (1, 1), device, Cell("1T1R", access_resistance=series), Segments())
    wave = pulse(volts, delay_fs=rest, rise_fs=edge, width_fs=plateau, fall_fs=edge)
    drives = {"wl0": wave, "bl0": level(0.0), "gl0": level(1.8)}
    phase = Phase("write", 2 * (rest + edge) + plateau, drives)
    return PhaseRequest(network, (start.reshape(1, 1, 2),), None, 0, KELVIN, phase, 0)


@pytest.mark.ngspice
@pytest.mark.parametrize("name", sorted(INNER))
def test_pulses_behind_a_resistance(name: str, spice: NgspiceBackend) -> None:
    """Fresh and half-formed cells, SET and RESET: both backends against the general solver."""
    device = formable(INNER[name])
    drive = drive_of(device.inner, KELVIN)
    series = 0.2 / device.inner.mean_conductance_range()[1]
    worst = {"behavioral": 0.0, "ngspice": 0.0}
    formed, bounds = 0.0, limits(device)
    for sign, times, start in ((1, 1.2, (0.0, 0.0)), (1, 1.0, (0.3, 0.5)), (-1, 1.0, (0.8, 0.4))):
        volts = sign * times * drive.amplitudes[sign < 0]
        state, width = np.clip(start, *bounds), 5.0 * drive.widths[sign < 0]
        wanted = solved(device, state, volts, width, series)
        formed = max(formed, wanted[1] - start[1])
        request = pulse_request(device, state, volts, width, series)
        for key, backend in (("behavioral", BehavioralBackend()), ("ngspice", spice)):
            result = backend.run(request)
            worst[key] = max(worst[key], float(np.abs(result.states[0][0, 0] - wanted).max()))
            energy = result.energy
            lost = energy.cells[0].sum() + energy.access + energy.wires + energy.terminations
            assert lost == pytest.approx(float((energy.delivered - energy.absorbed).sum()), rel=2e-3)
    assert formed > 0.1
    assert worst["behavioral"] <= checks.AGAINST_SOLVER, worst
    assert worst["ngspice"] <= checks.AGAINST_TWIN, worst
