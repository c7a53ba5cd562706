r"""Models that know pulses only: what one pulse of a given amplitude and width does, and no equation in time.

**Convention.** Such a law is measured with one SET and one RESET pulse, of amplitude ``set_amplitude`` or
``reset_amplitude`` and width ``set_width`` or ``reset_width``. Time with more than ``threshold`` times the amplitude
over the device counts, divided by the width, as pulses; all else does nothing. So a programming pulse is one pulse,
one ten times as wide is ten, one half as wide is half a pulse, a cell under half the amplitude stays as it is, and a
higher amplitude has no further effect, since nothing was published about it.

The state is x = (G - G_min)/(G_max - G_min). Noise from pulse to pulse is Gaussian and independent. Where a pulse
multiplies the distance of two states by a constant a, what earlier pulses have added shrinks (or grows) with them, and the variance after n
pulses is :math:`\sigma^2 (1-a^{2n})/(1-a^2)`, in one phase or in many; else it is taken as :math:`n \sigma^2`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cosim.devices.base import DeviceModel, FloatArray, Parameter, check, is_positive, quantity
from cosim.devices.elementwise import elementwise
from cosim.units import Fraction, Second, Siemens, Volt

Mask = NDArray[np.bool_]

WU = "MLP-NeuroSim 3.0 manual, table II; Wu et al., VLSI Technology 2018"
OFF = "cosim: off unless asked for"
_HALF_SELECT = "cosim: halfway between a half-selected cell and the full amplitude"
_SINGLE = 1000.0
"""Pulses of one phase that `iterated` takes one at a time."""
_LARGEST_EXPONENT = 700.0
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_BATCH = 1e-4
"""Largest change of the state by pulses taken together."""


@dataclass(frozen=True, eq=False)
class PulseModel(DeviceModel):
    """A model that steps per pulse; the state is (G - G_min)/(G_max - G_min), 0 to 1."""

    g_min: Siemens = quantity(1e-6, source=WU, doc="lowest conductance")
    g_max: Siemens = quantity(1e-5, source=WU, doc="highest conductance")
    set_amplitude: Volt = quantity(1.6, source=WU, doc="amplitude of the SET pulse")
    set_width: Second = quantity(50e-9, source=WU, doc="width of the SET pulse")
    reset_amplitude: Volt = quantity(1.6, source=WU, doc="amplitude of the RESET pulse (magnitude)")
    reset_width: Second = quantity(50e-9, source=WU, doc="width of the RESET pulse")
    threshold: Fraction = quantity(
        0.75, source=_HALF_SELECT, doc="part of the amplitude from which time counts"
    )

    def __post_init__(self) -> None:
        for parameter in ("g_min", "g_max", "set_amplitude", "set_width", "reset_amplitude", "reset_width"):
            value = getattr(self, parameter)
            check(is_positive(value), self.name, parameter, "finite and above zero", value)
        low = np.asarray(self.g_min)
        check(bool(np.all(low < self.g_max)), self.name, "g_min", "below g_max", self.g_min)
        part = np.asarray(self.threshold)
        check(
            bool(np.all((part > 0) & (part <= 1))),
            self.name,
            "threshold",
            "above 0 % and at most 100 %",
            part,
        )

    @abstractmethod
    def after_pulses(self, state: FloatArray, count: FloatArray) -> FloatArray:
        """Return the mean state after ``count`` pulses; SET is positive, RESET negative.

        A fresh array; values may leave 0..1.
        """

    def deviations(self) -> tuple[Parameter, Parameter]:
        """Return the standard deviation of the state that one SET and one RESET pulse add."""
        return 0.0, 0.0

    def independent_pulses(self, count: FloatArray) -> FloatArray:
        """Return the variance after ``count`` pulses in units of that of one pulse: their number.

        Where a pulse multiplies the distance of two states by a constant, see `decayed_pulses`.
        """
        return np.abs(count)

    def pulse_rate(self, voltage: FloatArray) -> FloatArray:
        """Return pulses per second [1/s] at ``voltage`` [V]: positive for SET, negative for RESET, 0 between."""
        part = np.asarray(self.threshold)
        up, down = voltage >= part * self.set_amplitude, voltage <= -part * self.reset_amplitude
        result: FloatArray = up * (1.0 / np.asarray(self.set_width)) - down * (
            1.0 / np.asarray(self.reset_width)
        )
        return result

    def conductance(self, state: FloatArray) -> FloatArray:
        """Return G = G_min + x (G_max - G_min) [S]."""
        result: FloatArray = self.g_min + state * (np.asarray(self.g_max) - self.g_min)
        return result

    def state_for(self, conductance: FloatArray) -> FloatArray:
        """Return the normalized conductance, clipped to 0..1."""
        span = np.asarray(self.g_max) - self.g_min
        result: FloatArray = np.clip((conductance - self.g_min) / span, 0.0, 1.0)
        return result

    def conductance_range(self) -> tuple[Parameter, Parameter]:
        """Return G_min and G_max [S]."""
        return self.g_min, self.g_max

    @elementwise
    def advance(
        self, state: FloatArray, voltage: FloatArray, duration: Parameter, temperature: float
    ) -> FloatArray:
        """Return the mean state after ``duration`` [s]; the temperature has no effect."""
        return self.pulsed(state, duration * self.pulse_rate(voltage))

    def pulsed(self, state: FloatArray, count: FloatArray) -> FloatArray:
        """Return the mean state after ``count`` pulses, held in 0..1."""
        return np.clip(self.after_pulses(state, count), 0.0, 1.0)

    def most_moved(self, low: float, high: float, duration: float, temperature: float) -> float:
        """Return 0 where no voltage counts as a pulse, else the range."""
        return 1.0 if np.any(self.pulse_rate(np.array([low, high]).reshape(2, 1, 1))) else 0.0

    @property
    def stochastic(self) -> bool:
        """Whether pulses have noise."""
        return any(bool(np.any(np.asarray(sigma) > 0)) for sigma in self.deviations())

    def exposure_rate(self, voltage: FloatArray, temperature: float) -> FloatArray:
        """Return the rate of pulses [1/s], with its sign: an exposure is the net number of pulses of a phase."""
        return self.pulse_rate(voltage)

    def fluctuate(
        self, before: FloatArray, after: FloatArray, exposure: FloatArray, uniforms: FloatArray
    ) -> FloatArray:
        """Return ``after`` with the Gaussian noise of ``exposure`` pulses, clipped to 0..1."""
        up, down = self.deviations()
        sigma = np.where(exposure > 0, up, down) * np.sqrt(self.independent_pulses(exposure))
        result: FloatArray = np.clip(after + sigma * normal(uniforms[0]), 0.0, 1.0)
        return result

    def programming_pulse(self, temperature: float) -> tuple[tuple[float, float], tuple[float, float]]:
        """Return the SET and the RESET pulse of the law."""
        return (
            (float(np.mean(self.set_amplitude)), float(np.mean(self.set_width))),
            (float(np.mean(self.reset_amplitude)), float(np.mean(self.reset_width))),
        )


def normal(uniforms: FloatArray) -> FloatArray:
    """Return standard Gaussian draws for uniform ones (the inverse of the normal distribution function)."""
    from scipy.special import ndtri

    result: FloatArray = ndtri(np.clip(uniforms, 1e-16, 1.0 - 1e-16))
    return result


def decayed_pulses(count: FloatArray, log_factor: Parameter) -> FloatArray:
    """Return (1 - a^2n)/(1 - a^2) for n = ``count`` pulses of either sign; ``log_factor``: ln a per pulse."""
    double = 2.0 * np.where(np.abs(log_factor) > 1e-12, log_factor, 1e-12)
    result: FloatArray = np.expm1(np.minimum(double * np.abs(count), _LARGEST_EXPONENT)) / np.expm1(double)
    return result


def further_uniforms(uniforms: FloatArray, number: int) -> FloatArray:
    """Return the uniform draw with a number of cells that have two, ``(2, ...)``: the first is the cells' own.

    Later ones are the finalizer of SplitMix64 on both and the number, so a phase needs two draws a cell however many it uses.
    """
    if number == 0:
        own: FloatArray = uniforms[0]
        return own
    bits = (uniforms * 2.0**53).astype(np.uint64)
    with np.errstate(over="ignore"):
        z = bits[0] + (bits[1] << np.uint64(11)) + np.uint64(number) * _GOLDEN
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    result: FloatArray = (z >> np.uint64(11)).astype(np.float64) * 2.0**-53
    return result


def affine_steps(state: FloatArray, count: FloatArray, change: FloatArray, slope: FloatArray) -> FloatArray:
    """Return the state after ``count`` steps x -> x + change + slope (x - state), in closed form.

    ``change``: of the first step, ``slope``: its derivative by the state, above -1. With r = 1 + slope the steps are
    a geometric series, x_n = x_0 + change (1 - r^n)/(1 - r), which also says what part of a step does.
    """
    number = np.abs(count)
    steep = slope != 0
    safe = np.where(steep, slope, -0.5)
    sum_of_powers = np.where(steep, np.expm1(number * np.log1p(safe)) / safe, number)
    result: FloatArray = state + change * sum_of_powers
    return result


def iterated(
    step: Callable[[FloatArray, Mask], FloatArray], state: FloatArray, count: FloatArray
) -> FloatArray:
    """Return the state after ``count`` steps, one pulse after the other, held in 0..1.

    ``step(state, up)`` is the change by one pulse, where ``up`` (booleans) says SET or RESET. Part of a pulse changes
    the state by that part. Beyond 1000 pulses in one phase several are taken together, each time changing the state
    by 1e-4 at most.
    """
    shape = np.broadcast_shapes(np.shape(state), np.shape(count))
    x: FloatArray = np.array(np.broadcast_to(state, shape))
    left: FloatArray = np.abs(np.broadcast_to(count, shape))
    up, done = np.broadcast_to(count > 0, shape), 0.0
    while left.any():
        change: FloatArray = np.clip(x + step(x, up), 0.0, 1.0) - x
        size = np.minimum(left, 1.0)
        if done >= _SINGLE:
            together = _BATCH / np.maximum(np.abs(change), 1e-300)
            size = np.minimum(left, np.maximum(1.0, together))
        x = np.clip(x + change * size, 0.0, 1.0)
        left, done = np.subtract(left, size), done + 1.0
    return x
