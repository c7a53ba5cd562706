r"""Programming error: the conductance that cells have some time after write-verify, as measured on arrays.

With G the level a cell was written to and t the time since its last pulse,

.. math::

    G(t) = \max\left(0,\; G + d \ln\max(1, t/t_s) + z\,\sqrt{\rho(t)^2\, \sigma_w(G)^2 + \sigma_r(G, t)^2}\right)

where z is one standard normal draw per write, :math:`\rho` and :math:`t_s` (``settling``) are those of `cosim.devices.aging`,
:math:`\sigma_w` is the deviation after the write and :math:`\sigma_r` that of relaxation: at each of the ``times`` a polynomial in the
conductance, between them a straight line in ln t, before the first of them :math:`\rho` times it, after the last constant. All are given
in parts of a reference conductance; ``saturating`` coefficients (a, b) mean
:math:`g_{ref}\, a\,(1 - e^{-G/(b\, g_{ref})})`.

Sources of the presets: V. Milo et al., IRPS 2021; W. Wan et al., Nature 608, 504 (2022), fits of the IBM analog
hardware acceleration kit; SONOS of T. P. Xiao et al., as in CrossSim; D. F. Falcone et al., CMO/HfOx, as in the IBM kit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar, Literal, final

import numpy as np

from cosim.devices.aging import AgingModel, polynomial
from cosim.devices.base import FloatArray, check, is_positive, quantity
from cosim.units import Second, Siemens

_MILO = "Milo et al., IRPS 2021, IGVVA-100: 4.782 uS - 0.009107 G, 50 uS to 225 uS; as in CrossSim"
_DAY = 86400.0


@final
@dataclass(frozen=True, eq=False)
class ProgrammingError(AgingModel):
    """Measured error of programmed cells; states: level, age, draw of the write."""

    name: ClassVar[str] = "programming_error"
    reference: ClassVar[str] = (
        "Milo et al., IRPS 2021; Wan et al., Nature 608, 504 (2022); CrossSim; IBM analog kit"
    )
    written: ClassVar[int] = 1

    g_min: Siemens = quantity(50e-6, source=_MILO, doc="lowest conductance that is written")
    g_max: Siemens = quantity(225e-6, source=_MILO, doc="highest conductance that is written")
    g_ref: Siemens = quantity(1e-6, source="cosim: the unit of the published fits", doc="reference conductance of the coefficients")  # fmt: skip
    form: Literal["polynomial", "saturating"] = quantity("polynomial", source=_MILO, doc="how deviations depend on the conductance")  # fmt: skip
    error: tuple[float, ...] = quantity((4.782, -0.009107), source=_MILO, doc="coefficients of the deviation after the write")  # fmt: skip
    times: tuple[Second, ...] = quantity(
        (), source=_MILO, doc="times after the write at which relaxation is given"
    )
    relaxation: tuple[tuple[float, ...], ...] = quantity((), source=_MILO, doc="coefficients of its deviation, for each of the times")  # fmt: skip
    drift: float = quantity(0.0, source=_MILO + " (none)", doc="change of the mean per e-fold of time after settling, in g_ref")  # fmt: skip

    def __post_init__(self) -> None:
        super().__post_init__()
        check(is_positive(self.g_ref), self.name, "g_ref", "finite and above zero", self.g_ref)
        rising = list(self.times) == sorted(set(self.times)) and all(t > 0 for t in self.times)
        check(rising, self.name, "times", "times above zero that rise", self.times)
        same = len(self.times) == len(self.relaxation)
        check(same, self.name, "relaxation", f"one list of coefficients for each of {len(self.times)} times", self.relaxation)  # fmt: skip
        for row in (self.error, *self.relaxation):
            pair = self.form == "polynomial" or len(row) in (0, 2)
            check(pair, self.name, "form", "polynomial unless coefficients come in pairs (a, b)", self.form)

    def _deviation(self, coefficients: Sequence[float], level: FloatArray) -> FloatArray:
        x = level / np.asarray(self.g_ref)
        if self.form == "saturating" and coefficients:
            a, b = coefficients
            value = -a * np.expm1(-x / b)
        else:
            value = polynomial(coefficients, x)
        result: FloatArray = self.g_ref * np.maximum(value, 0.0)
        return result

    def deviation(self, level: FloatArray, age: FloatArray) -> FloatArray:
        """Return the standard deviation [S] of cells written to ``level`` [S] ``age`` [s] ago."""
        shown, relaxed = self.shown(age), np.zeros(np.broadcast_shapes(np.shape(level), np.shape(age)))
        if self.times:
            rows = [self._deviation(row, level) for row in self.relaxation]
            log, at = np.log(self.times), np.log(np.maximum(age, self.times[0]))
            relaxed = shown * rows[0]
            for k in range(len(rows) - 1):
                part = np.clip((at - log[k]) / (log[k + 1] - log[k]), 0.0, 1.0)
                relaxed = relaxed + part * (rows[k + 1] - rows[k])
        return np.hypot(shown * self._deviation(self.error, level), relaxed)

    def aged(self, level: FloatArray, age: FloatArray, z: Sequence[FloatArray]) -> FloatArray:
        shift = self.drift * self.g_ref * np.log(np.maximum(age / np.asarray(self.settling), 1.0))
        result: FloatArray = np.maximum(level + shift + self.deviation(level, age) * z[0], 0.0)
        return result


_WAN = (
    (0.348, 16.030, -43.853, 45.393, -16.815),
    (0.701, 22.086, -50.773, 47.095, -16.458),
    (0.782, 20.274, -43.507, 37.062, -11.934),
)
"""uS, coefficients of 1, x, x^2 ... with x = G/40 uS, after 1 s, 1 day, 2 days."""

PRESETS: Mapping[str, ProgrammingError] = MappingProxyType({
    "rram-milo": ProgrammingError(),
    "rram-wan": ProgrammingError(
        g_min=1e-6, g_max=40e-6, g_ref=40e-6, error=(), times=(1.0, _DAY, 2 * _DAY),
        relaxation=tuple(tuple(c / 40 for c in row) for row in _WAN),
    ),
    "sonos-40nm": ProgrammingError(
        g_min=1.6e-7, g_max=16e-6, g_ref=16e-6, form="saturating", error=(), times=(1.0, 4 * _DAY),
        relaxation=((0.0199 / 1.6, 0.176 / 1.6), (0.0338 / 1.6, 0.2048 / 1.6)),
    ),
    "rram-cmo": ProgrammingError(
        g_min=9e-6, g_max=88.19e-6, error=(0.0112185391, 0.01129027418), drift=-0.08900206, times=(1.0, 1e7),
        relaxation=((0.41183342,), (0.41183342 + 0.04201137 * float(np.log(1e7)),)),
    ),
})  # fmt: skip
"""Milo (IGVVA-100); Wan (NeuRRAM); SONOS at 0.1 V: day 0 and day 4 (its drift of the mean is not published as numbers);
CMO/HfOx with 2 % window, whose deviation and mean are straight lines in ln t."""
