"""The compiled simulation of models with a rate against the general one, and a stiff law against its closed form."""

from __future__ import annotations

import numpy as np
import pytest

from cosim.devices import DataDriven, IonDrift, Mss, NonlinearIonDrift, Stanford, Team, Vteam, Yakopcic
from cosim.devices.base import DeviceModel
from cosim.fit.circuit import Accuracy, Drive, simulate

pytest.importorskip("numba")

CASES: list[tuple[DeviceModel, float, float]] = [
    (Vteam(r_on=2e3, r_off=2e5, v_on=0.2, v_off=0.1, k_on=3e-6, k_off=1e-6), 0.8, 10.0),
    (
        Vteam(
            r_on=2e3, r_off=2e5, v_off=0.1, k_on=3e-6, k_off=1e-6, window="biolek", resistance="exponential"
        ),
        0.8,
        10.0,
    ),
    (Team(r_on=2e3, r_off=2e5, i_on=1e-6, i_off=1e-5, k_on=1e-9, k_off=1e-9), 0.8, 10.0),
    (IonDrift(), 1.0, 1.0),
    (IonDrift(window="prodromakis"), 1.0, 1.0),
    (NonlinearIonDrift(window="strukov"), 2.0, 1.0),
    (Yakopcic(a1=2e-4, a2=2e-4, b=2.0, v_p=0.2, v_n=0.1, a_p=200.0, a_n=300.0), 0.8, 10.0),
    (DataDriven(), 1.5, 10.0),
    (Stanford(), 2.0, 1e3),
    (Mss(phi=0.8, r_on=2e3, r_off=2e5, schottky_forward=1e-6, schottky_reverse=1e-6), 0.8, 10.0),
]


def drive(amplitude: float, frequency: float, series: float, samples: int = 60) -> Drive:
    voltage = amplitude * np.sin(2 * np.pi * np.arange(samples) / samples)
    return Drive(voltage[:, None], np.array([1 / frequency / samples]), np.array([series]), periodic=False)


@pytest.mark.parametrize(
    ("device", "amplitude", "frequency"), CASES, ids=lambda value: getattr(value, "name", "")
)
def test_same_loop_as_the_general_simulation(device: DeviceModel, amplitude: float, frequency: float) -> None:
    series = 1e3 if device.name in ("ion_drift", "stanford") else 5e3
    given = drive(amplitude, frequency, series, 240 if device.name == "stanford" else 60)
    accurate = Accuracy(step=1e-2, shortest=1e-3)
    expected, across = simulate(device, given, 300.0, accurate, fast=False)
    found, voltage = simulate(device, given, 300.0, accurate)
    assert np.ptp(expected) > 0
    # a snap within a sample may come a little earlier or later
    assert np.sqrt(np.mean((found - expected) ** 2)) < 4e-3 * np.ptp(expected)
    assert np.sqrt(np.mean((voltage - across) ** 2)) < 4e-3 * np.ptp(across)


def test_every_element_has_its_own_parameters() -> None:
    one = drive(0.8, 10.0, 5e3)
    both = Drive(
        np.repeat(one.voltage, 2, 1), np.repeat(one.interval, 2), np.array([5e3, 5e3]), periodic=True
    )
    k_on = np.array([3e-6, 1e-6])
    device = Vteam(r_on=2e3, r_off=2e5, v_on=0.2, v_off=0.1, k_on=k_on, k_off=1e-6)  # type: ignore[arg-type]
    together, _ = simulate(device, both, 300.0)
    for k in range(2):
        alone = Drive(one.voltage, one.interval, one.series, periodic=True)
        own = Vteam(r_on=2e3, r_off=2e5, v_on=0.2, v_off=0.1, k_on=float(k_on[k]), k_off=1e-6)
        np.testing.assert_array_equal(simulate(own, alone, 300.0)[0][:, 0], together[:, k])


def test_stiff_relaxation() -> None:
    # mss with a vanishing barrier relaxes within 1e-5 of a sample: its closed form is the other compiled path
    plain = Mss(r_on=2e3, r_off=2e5, tau=1e-7)
    barrier = Mss(r_on=2e3, r_off=2e5, tau=1e-7, phi=1 - 1e-12, schottky_forward=1e-9, schottky_reverse=1e-9)
    given = drive(0.8, 10.0, 5e3)
    expected, found = (simulate(device, given, 300.0)[0] for device in (plain, barrier))
    np.testing.assert_allclose(found, expected, atol=2e-2 * np.ptp(expected))


JUMPING: list[DeviceModel] = [
    IonDrift(r_on=851.0, r_off=107e3, mobility=1.3e-4),
    Vteam(r_on=1.9e3, r_off=2e5, v_on=0.09, v_off=0.1, k_on=0.1, k_off=0.1, alpha_on=1.8, alpha_off=1.8),
    DataDriven(
        r_on=415.0, r_off=334e3, a_p=2e12, a_n=2e12, t_p=0.26, t_n=0.18, k_p=4.7e-4, k_n=2.4e-3, r_p0=8e5, r_n0=822.0, r_n1=1.0,
        amplitude=0.19,
    ),
]  # fmt: skip


@pytest.mark.parametrize("device", JUMPING, ids=lambda device: device.name)
def test_state_that_crosses_its_range_within_the_shortest_step(device: DeviceModel) -> None:
    given = drive(0.8, 1.0, 5e3, 200)
    (current,), (voltage,) = (part.T for part in simulate(device, given, 300.0))
    low, high = (device.conductance(np.array(end)) for end in device.state_bounds())
    top, bottom = 60, 160  # well beyond both thresholds
    for at, conductance in ((top, high), (bottom, low)):
        state = device.state_for(np.atleast_1d(conductance))
        expected = device.current(state, voltage[at : at + 1])[0]
        assert current[at] == pytest.approx(expected, rel=1e-3)


def test_speed_beyond_every_number_ends() -> None:
    # e^700 beside another factor is more than a float holds
    device = DataDriven(
        r_on=1.5e3, r_off=30e3, a_p=3.6e8, a_n=3.1e9, t_p=0.21, t_n=0.28, k_p=6.4e-3, k_n=2.5e-7, r_p0=3.8e7, r_n0=4.7e6, r_n1=3e5,
        amplitude=0.33,
    )  # fmt: skip
    current, _ = simulate(device, drive(0.8, 1.0, 5e3), 300.0)
    assert np.all(np.isfinite(current))
