r"""Exponential pulse law: potentiation and depression that saturate, as measured on analog devices.

With P of ``levels`` pulses applied, :math:`G(P) = G_{min} + B\,(1 - e^{-P/A})` and
:math:`B = (G_{max} - G_{min})/(1 - e^{-P_{max}/A})`. A SET pulse takes P to P + 1 on the SET curve, a RESET pulse to
P - 1 on the RESET curve, which has an A of its own. A comes from the nonlinearity by root finding. On the curve n
pulses are one affine step, so there is no loop over pulses:

:math:`x' = x + (e^{-n/A} - 1)\,(x - 1/(1 - e^{-P_{max}/A}))`.

Noise from cycle to cycle: a Gaussian of ``c2c`` times the conductance range for every pulse, so that n pulses have
the variance :math:`c2c^2 (1-a^{2n})/(1-a^2)` with :math:`a = e^{-1/A}`.

Source: P.-Y. Chen, X. Peng, S. Yu, "NeuroSim", IEEE TCAD 37(12), 3067 (2018).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import ClassVar, final

import numpy as np

from cosim.devices.base import FloatArray, Parameter, check, quantity
from cosim.devices.nonlinearity import PER_DEVIATION, steepness_of
from cosim.devices.pulse import OFF, PulseModel, decayed_pulses
from cosim.units import Fraction, Second, Siemens, Volt

_JO = "MLP-NeuroSim 3.0 manual, Ag:a-Si; Jo et al., Nano Letters 10, 1297 (2010)"
_LARGEST_EXPONENT = 700.0
_TABLED = 64
"""Whole pulses up to this number, in large arrays, are looked up."""
_ROUNDING = 1e-12


@final
@dataclass(frozen=True, eq=False)
class PulseLaw(PulseModel):
    """Exponential pulse law of NeuroSim; the state is (G - G_min)/(G_max - G_min), 0 to 1."""

    name: ClassVar[str] = "pulse_law"
    reference: ClassVar[str] = "Chen, Peng, Yu, IEEE TCAD 37(12), 3067 (2018)"

    g_min: Siemens = quantity(3.08e-9, source=_JO, doc="lowest conductance")
    g_max: Siemens = quantity(38.5e-9, source=_JO, doc="highest conductance")
    set_amplitude: Volt = quantity(3.2, source=_JO, doc="amplitude of the SET pulse")
    set_width: Second = quantity(300e-6, source=_JO, doc="width of the SET pulse")
    reset_amplitude: Volt = quantity(2.8, source=_JO, doc="amplitude of the RESET pulse (magnitude)")
    reset_width: Second = quantity(300e-6, source=_JO, doc="width of the RESET pulse")
    nonlinearity_set: float = quantity(2.4, source=_JO, doc="nonlinearity of the SET curve, 0 is linear")
    nonlinearity_reset: float = quantity(
        -4.88, source=_JO, doc="nonlinearity of the RESET curve, 0 is linear"
    )
    levels_set: float = quantity(97.0, source=_JO, doc="SET pulses from G_min to G_max")
    levels_reset: float = quantity(97.0, source=_JO, doc="RESET pulses from G_max to G_min")
    c2c: Fraction = quantity(0.0, source=OFF, doc="deviation per pulse, of the conductance range")

    def __post_init__(self) -> None:
        super().__post_init__()
        for parameter in ("nonlinearity_set", "nonlinearity_reset"):
            value = np.asarray(getattr(self, parameter))
            rule = f"between -{PER_DEVIATION:g} and {PER_DEVIATION:g}, both excluded"
            check(bool(np.all(np.abs(value) < 0.999 * PER_DEVIATION)), self.name, parameter, rule, value)
        for parameter in ("levels_set", "levels_reset"):
            levels = np.asarray(getattr(self, parameter))
            check(
                bool(np.all(levels >= 1) & np.all(np.isfinite(levels))),
                self.name,
                parameter,
                "at least 1",
                levels,
            )
        check(bool(np.all(np.asarray(self.c2c) >= 0)), self.name, "c2c", "at least 0 %", self.c2c)

    @cached_property
    def steepness(self) -> tuple[FloatArray, FloatArray]:
        """P_max/A of the SET and of the RESET curve; 0 for a straight line."""
        return steepness_of(self.nonlinearity_set), steepness_of(self.nonlinearity_reset)

    def rate_constants(self) -> tuple[FloatArray, FloatArray]:
        """Return A of the SET and of the RESET curve in pulses; infinite for a straight line."""
        up, down = self.steepness
        with np.errstate(divide="ignore"):
            return self.levels_set / up, self.levels_reset / down

    def _affine(self, count: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return by how much ``count`` pulses scale and shift the state: x' = x + scale x + shift."""
        s_set, s_reset = (np.where(s == 0, 1e-9, s) for s in self.steepness)
        per_pulse = np.where(count > 0, s_set / self.levels_set, s_reset / self.levels_reset)
        aim = np.where(count > 0, -1.0 / np.expm1(-s_set), -1.0 / np.expm1(-s_reset))
        scale = np.expm1(np.minimum(-per_pulse * count, _LARGEST_EXPONENT))
        return scale, -scale * aim

    @cached_property
    def _whole(self) -> tuple[FloatArray, FloatArray]:
        """`_affine` plus the state itself, for -64 to 64 whole pulses."""
        scale, shift = self._affine(np.arange(-_TABLED, _TABLED + 1.0))
        return 1.0 + scale, shift

    def elementwise_law(self, temperature: float) -> tuple[float, ...]:
        """Return the voltages from which time counts [V], then 1/width [1/s], 1/A and the aim, for SET and RESET."""
        (s_set, s_reset), part = (np.where(s == 0, 1e-9, s) for s in self.steepness), self.threshold
        return (
            part * self.set_amplitude, -part * self.reset_amplitude,
            1.0 / self.set_width, float(s_set / self.levels_set), float(-1.0 / np.expm1(-s_set)),
            1.0 / self.reset_width, float(s_reset / self.levels_reset), float(-1.0 / np.expm1(-s_reset)),
        )  # fmt: skip

    def after_pulses(self, state: FloatArray, count: FloatArray) -> FloatArray:
        """Return the state n pulses on along the curve of the pulses' sign."""
        if np.size(count) > _TABLED and not self.varied:
            nearest = np.rint(count)
            apart = np.abs(count - nearest).max()
            if apart < _ROUNDING and max(nearest.max(), -nearest.min()) <= _TABLED:
                index, (factor, shift) = (nearest + _TABLED).astype(np.intp), self._whole
                return np.add(factor.take(index, mode="clip") * state, shift.take(index, mode="clip"))
        scale, shift = self._affine(count)
        return np.add(state, scale * state + shift)

    def deviations(self) -> tuple[Parameter, Parameter]:
        """Return ``c2c`` for both signs."""
        return self.c2c, self.c2c

    def independent_pulses(self, count: FloatArray) -> FloatArray:
        """Return (1 - a^2n)/(1 - a^2): a is exp(-1/A) on the SET curve, exp(1/A) on the RESET curve."""
        up, down = self.steepness
        return decayed_pulses(count, np.where(count > 0, -up / self.levels_set, down / self.levels_reset))


def _law(
    resistance: float, ratio: float, levels: float, nonlinearity: tuple[float, float],
    pulses: tuple[tuple[float, float], tuple[float, float]], c2c: float,
) -> PulseLaw:  # fmt: skip
    """Return a published set: lowest resistance [ohm], on/off ratio, levels, NL and (V, s) of SET and RESET."""
    (v_set, t_set), (v_reset, t_reset) = pulses
    return PulseLaw(
        g_min=1.0 / (resistance * ratio), g_max=1.0 / resistance, set_amplitude=v_set, set_width=t_set,
        reset_amplitude=v_reset, reset_width=t_reset, nonlinearity_set=nonlinearity[0],
        nonlinearity_reset=nonlinearity[1], levels_set=levels, levels_reset=levels, c2c=c2c,
    )  # fmt: skip


PRESETS: Mapping[str, PulseLaw] = MappingProxyType({
    "pulse-law-taox-hfox": _law(100e3, 10, 128, (0.04, -0.63), ((1.6, 50e-9), (1.6, 50e-9)), 0.037),
    "pulse-law-taox-tio2": _law(5e6, 2, 102, (1.85, -1.79), ((3.0, 40e-3), (3.0, 10e-3)), 0.0),
    "pulse-law-alox-hfo2": _law(16.9e3, 4.43, 40, (1.94, -0.61), ((0.9, 100e-6), (1.0, 100e-6)), 0.05),
    "pulse-law-pcmo": _law(23e6, 6.84, 50, (3.68, -6.76), ((2.0, 1e-3), (2.0, 1e-3)), 0.0),
    "pulse-law-ag-a-si": PulseLaw(c2c=0.035),
    "pulse-law-epiram": _law(81e3, 50.2, 64, (0.5, -0.5), ((5.0, 5e-6), (3.0, 5e-6)), 0.02),
    "pulse-law-gst-pcm": _law(4.71e3, 19.8, 100, (0.105, 2.4), ((0.7, 6e-6), (3.0, 125e-9)), 0.015),
    "pulse-law-hzo-fefet": _law(559.28e3, 45, 32, (1.75, 1.46), ((3.65, 75e-9), (2.95, 75e-9)), 0.005),
})  # fmt: skip
"""Published sets, MLP-NeuroSim 3.0 manual and the devices named there; voltages as magnitudes, SET on the positive side."""
