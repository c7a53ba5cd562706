r"""Phase-change memory: programming error, drift with an exponent per cell, and noise of reads.

With x the level a cell was written to, as a part of ``g_max``, and t the time since its last pulse,

.. math::

    G_p = \max(0,\; G + \rho(t)\, g_{max}\,(c_0 + c_1 x + c_2 x^2 + \dots)\, z_1), \qquad
    G_d = G_p\, (1 + t/t_s)^{-\nu}

    \nu = |\mu(x) + \sigma(x)\, z_2|, \qquad
    \mu = \mathrm{clip}(a \ln x + b), \quad \sigma = \mathrm{clip}(a' \ln x + b')

    G(t) = \max\left(0,\; G_d\left(1 + Q \sqrt{\ln\frac{t + t_{read}}{2\,t_{read}}}\; z_3\right)\right), \qquad
    Q = \min\left(Q_{max},\; Q_0\, (G_p/g_{max})^{-q}\right)

with standard normal draws: z_1 and z_2 of the last write, z_3 of every phase. The last is the 1/f noise of the current that
has come together since the write; from phase to phase it is drawn anew. Time counts from the end of the write, as
t_inference in the source, and :math:`\rho` and :math:`t_s` (``settling``) are those of `cosim.devices.aging`. Before ``t_read`` there is no noise.

Pulses change the level in equal steps: SET crystallizes gradually, and RESET is taken to be as gradual, by partial pulses.

Sources: S. R. Nandakumar et al., ICECS 2019, 727; V. Joshi et al., Nature Communications 11, 2473 (2020); coefficients as in the
IBM analog hardware acceleration kit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar, final

import numpy as np

from cosim.devices.aging import AgingModel, polynomial
from cosim.devices.base import FloatArray, check, is_positive, quantity
from cosim.units import Fraction, Second, Siemens, Volt

_KIT = "Nandakumar et al., ICECS 2019, as in the IBM analog hardware acceleration kit"
_KUZUM = "MLP-NeuroSim 3.0 manual, GST; Kuzum et al., Nano Letters 12, 2179 (2012)"
_LEAST = 1e-7
"""Smallest relative conductance whose logarithm is taken (as in the source)."""


@final
@dataclass(frozen=True, eq=False)
class Pcm(AgingModel):
    """Statistics of programmed phase-change cells; states: level, age, error, drift and noise draws."""

    name: ClassVar[str] = "pcm"
    reference: ClassVar[str] = (
        "Nandakumar et al., ICECS 2019; Joshi et al., Nature Communications 11, 2473 (2020)"
    )
    written: ClassVar[int] = 2
    read: ClassVar[int] = 1

    g_min: Siemens = quantity(
        1e-7, source="cosim: RESET state of 10 Mohm", doc="lowest conductance that is written"
    )
    g_max: Siemens = quantity(25e-6, source=_KIT, doc="highest conductance that is written")
    set_amplitude: Volt = quantity(0.7, source=_KUZUM, doc="amplitude of the SET pulse")
    set_width: Second = quantity(6e-6, source=_KUZUM, doc="width of the SET pulse")
    reset_amplitude: Volt = quantity(3.0, source=_KUZUM, doc="amplitude of the RESET pulse (magnitude)")
    reset_width: Second = quantity(125e-9, source=_KUZUM, doc="width of the RESET pulse")
    settling: Second = quantity(
        20.0, source=_KIT + ", t_0", doc="time t_s of the first published read after the write"
    )
    error: tuple[float, ...] = quantity((0.26348 / 25, 1.9650 / 25, -1.1731 / 25), source=_KIT + ": 0.26348 + 1.9650 x - 1.1731 x2 uS at 25 uS", doc="coefficients of the programming error, of g_max")  # fmt: skip
    drift_slope: float = quantity(-0.0155, source=_KIT, doc="mean drift exponent: factor of ln x")
    drift_offset: float = quantity(0.0244, source=_KIT, doc="mean drift exponent at x = 1, before the limits")
    drift_limits: tuple[float, float] = quantity(
        (0.049, 0.1), source=_KIT, doc="limits of the mean drift exponent"
    )
    spread_slope: float = quantity(
        -0.0125, source=_KIT, doc="deviation of the drift exponent: factor of ln x"
    )
    spread_offset: float = quantity(-0.0059, source=_KIT, doc="deviation of the drift exponent at x = 1, before the limits")  # fmt: skip
    spread_limits: tuple[float, float] = quantity((0.008, 0.045), source=_KIT, doc="limits of the deviation of the drift exponent")  # fmt: skip
    noise: Fraction = quantity(0.0088, source=_KIT, doc="read noise Q_0 at the highest conductance")
    noise_exponent: float = quantity(0.65, source=_KIT, doc="exponent q of the read noise")
    noise_limit: Fraction = quantity(0.2, source=_KIT, doc="largest read noise Q_max")
    t_read: Second = quantity(250e-9, source=_KIT, doc="duration of a read in the noise's formula")

    def __post_init__(self) -> None:
        super().__post_init__()
        check(is_positive(self.t_read), self.name, "t_read", "finite and above zero", self.t_read)
        for parameter in ("noise", "noise_limit"):
            value = np.asarray(getattr(self, parameter))
            check(bool(np.all(value >= 0)), self.name, parameter, "at least 0 %", value)
        for parameter in ("drift_limits", "spread_limits"):
            low, high = getattr(self, parameter)
            check(
                0 <= low <= high, self.name, parameter, "two numbers from 0, the lower one first", (low, high)
            )

    def error_deviation(self, level: FloatArray) -> FloatArray:
        """Return the standard deviation of the programming error [S] at a written ``level`` [S]."""
        x = level / np.asarray(self.g_max)
        result: FloatArray = np.asarray(self.g_max) * np.maximum(polynomial(self.error, x), 0.0)
        return result

    def drift_exponent(self, level: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return mean and standard deviation of the drift exponent at a written ``level`` [S]."""
        log = np.log(np.maximum(level / np.asarray(self.g_max), _LEAST))
        mean = np.clip(self.drift_slope * log + self.drift_offset, *self.drift_limits)
        return mean, np.clip(self.spread_slope * log + self.spread_offset, *self.spread_limits)

    def noise_deviation(self, conductance: FloatArray, age: FloatArray) -> FloatArray:
        """Return the relative deviation of a read of cells programmed to ``conductance`` [S] ``age`` [s] ago."""
        x = np.maximum(conductance / np.asarray(self.g_max), _LEAST)
        q = np.minimum(self.noise * x ** -np.asarray(self.noise_exponent), self.noise_limit)
        passed = np.log(np.maximum((age + self.t_read) / (2.0 * np.asarray(self.t_read)), 1.0))
        result: FloatArray = q * np.sqrt(passed)
        return result

    def aged(self, level: FloatArray, age: FloatArray, z: Sequence[FloatArray]) -> FloatArray:
        programmed = np.maximum(level + self.shown(age) * self.error_deviation(level) * z[0], 0.0)
        mean, spread = self.drift_exponent(level)
        drifted = programmed * (1.0 + age / np.asarray(self.settling)) ** -np.abs(mean + spread * z[1])
        result: FloatArray = drifted * np.maximum(1.0 + self.noise_deviation(programmed, age) * z[2], 0.0)
        return result


PRESETS: Mapping[str, Pcm] = MappingProxyType({"pcm-ibm": Pcm()})
