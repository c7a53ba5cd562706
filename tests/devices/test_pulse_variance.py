"""Noise from pulse to pulse of the pulse models: one phase of 20 pulses, 20 phases of one, and the formula."""

from __future__ import annotations

import numpy as np
import pytest

from cosim.devices import LinearStep, PulseLaw, SoftBounds
from cosim.devices.pulse import PulseModel
from cosim.devices.variation import Variation, varied_device
from cosim.rng import shell_uniforms, stream

CELLS = (300, 300)
PULSES = 20
SIGMA = 0.004
LAW = PulseLaw(levels_set=97.0, levels_reset=60.0, nonlinearity_set=2.4, nonlinearity_reset=-4.88, c2c=SIGMA)
STEPS = [SoftBounds(dw_set=0.05, dw_reset=0.03, c2c=0.2), LinearStep(dw_set=0.02, dw_reset=0.01, c2c=0.3)]


def programmed(device: PulseModel, start: float, pulses: int, phases: int, rising: bool) -> np.ndarray:
    """Return states after so many phases of so many pulses, with the noise that each phase draws."""
    rng, sign = np.random.default_rng(1), 1 if rising else -1
    state = np.full(CELLS, start)
    for _ in range(phases):
        count = np.full(CELLS, float(sign * pulses))
        after = device.pulsed(state, count)
        state = device.fluctuate(state, after, count, shell_uniforms(rng, CELLS))
    return state


@pytest.mark.parametrize("device", [LAW, *STEPS], ids=lambda device: device.name)
@pytest.mark.parametrize(("start", "rising"), [(0.3, True), (0.7, False)])
def test_one_phase_and_twenty_agree(device: PulseModel, start: float, rising: bool) -> None:
    together = programmed(device, start, PULSES, 1, rising)
    single = programmed(device, start, 1, PULSES, rising)
    assert 0.05 < abs(together.mean() - start) < 0.95
    assert single.mean() == pytest.approx(together.mean(), rel=0.02)
    assert single.std() == pytest.approx(together.std(), rel=0.02)


@pytest.mark.parametrize("pulses", [1, 5, 20, 60])
def test_variance_of_the_law(pulses: int) -> None:
    a = np.exp(-1 / LAW.rate_constants()[0])
    expected = SIGMA * np.sqrt((1 - a ** (2 * pulses)) / (1 - a**2))
    for phases in (1, pulses):
        state = programmed(LAW, 0.2, pulses // phases, phases, True)
        assert state.std() == pytest.approx(expected, rel=0.02)


def test_a_straight_law_adds_up() -> None:
    straight = PulseLaw(nonlinearity_set=0.0, nonlinearity_reset=0.0, c2c=SIGMA)
    for phases in (1, PULSES):
        state = programmed(straight, 0.3, PULSES // phases, phases, True)
        assert state.std() == pytest.approx(SIGMA * np.sqrt(PULSES), rel=0.02)


def test_c2c_of_the_hardware_adds_to_that_of_the_model() -> None:
    device = varied_device(LAW, Variation(c2c=0.003), (2, 2), lambda name: stream(0, name))
    assert isinstance(device, PulseLaw)
    assert device.c2c == pytest.approx(0.005)
    assert Variation(c2c=0.003).of_phases(device) == 0.0
    assert Variation(c2c=0.003).of_phases(STEPS[0]) == 0.0
