"""The simulated loop against closed forms, against a finer run, and against ngspice."""

from __future__ import annotations

import numpy as np
import pytest

from cosim.devices import Mss, Resistor, Rs
from cosim.fit.against import spice_current
from cosim.fit.circuit import Accuracy, Drive, simulate
from cosim.fit.measurement import Loop

MSS = Mss(r_on=2e3, r_off=1e5, v_on=0.3, v_off=0.2, tau=2e-4)
RS = Rs(g_min=8e-6, g_max=5e-4, rate=1e4, v_set=0.2, v_reset=0.1)


def sine(amplitude: float, samples: int = 200) -> np.ndarray:
    return -amplitude * np.cos(2 * np.pi * np.arange(samples) / samples)


def test_static_resistor_divides() -> None:
    drive = Drive(sine(0.8)[:, None], np.array([5e-4]), np.array([5e3]))
    current, voltage = simulate(Resistor(r_on=2e4, r_off=1e6), drive, 300.0)
    np.testing.assert_allclose(current[:, 0], drive.voltage[:, 0] / 1.005e6, rtol=1e-12, atol=1e-20)
    np.testing.assert_allclose(voltage + 5e3 * current, drive.voltage, atol=1e-12)


@pytest.mark.parametrize("device", [MSS, RS])
def test_second_order_and_converged(device: Mss | Rs) -> None:
    drive = Drive(sine(0.8)[:, None], np.array([5e-4]), np.array([5e3]))
    fine, _ = simulate(device, drive, 300.0, Accuracy(step=1e-3, shortest=1e-4, periodic=1e-6))
    usual, _ = simulate(device, drive, 300.0)
    assert np.sqrt(np.mean((usual - fine) ** 2)) < 2e-3 * np.ptp(fine)


@pytest.mark.parametrize("device", [MSS, RS])
@pytest.mark.parametrize("periodic", [True, False])
def test_compiled_path_takes_the_same_steps(device: Mss | Rs, periodic: bool) -> None:
    table = np.stack([sine(0.8), sine(0.5), sine(0.8)], axis=1)
    drive = Drive(table, np.array([5e-4, 5e-6, 5e-3]), np.array([5e3, 47e3, 0.0]), periodic)
    quick = simulate(device, drive, 300.0)
    plain = simulate(device, drive, 300.0, fast=False)
    for fast, slow in zip(quick, plain, strict=True):
        np.testing.assert_allclose(fast, slow, rtol=1e-6, atol=1e-12)


def test_elements_of_a_batch_do_not_see_each_other() -> None:
    table = np.stack([sine(0.8), sine(0.5), sine(0.8)], axis=1)
    interval, series = np.array([5e-4, 5e-6, 5e-3]), np.array([5e3, 47e3, 0.0])
    together, _ = simulate(MSS, Drive(table, interval, series), 300.0)
    for k in range(3):
        alone, _ = simulate(MSS, Drive(table[:, [k]], interval[[k]], series[[k]]), 300.0)
        np.testing.assert_array_equal(together[:, k], alone[:, 0])


@pytest.mark.ngspice
@pytest.mark.parametrize("device", [MSS, RS])
def test_loop_is_that_of_ngspice(device: Mss | Rs) -> None:
    loop = Loop("loop", sine(0.8), 1e-6 * sine(1.0), 5e-4, 5e3)
    drive = Drive(loop.drive[:, None], np.array([loop.interval]), np.array([loop.series]))
    ours, _ = simulate(device, drive, 300.0, Accuracy(step=1e-3, shortest=1e-4))
    theirs = spice_current(device, loop, 300.0)
    assert np.sqrt(np.mean((ours[:, 0] - theirs) ** 2)) < 2e-3 * np.ptp(theirs)
