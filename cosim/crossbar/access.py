r"""What lies in series with the device of a cell: an ideal switch, a transistor, a selector.

A series element carries a current from its near side (the device) to its far side (the bit line), which must not fall with
the near voltage. It is a frozen value with functions on arrays, like a device model, but without state:

* `Switch`: a resistance where the gate is above the threshold, open elsewhere. The lines see one resistor per cell.
* `Mosfet`: the EKV law for long channels, continuous from weak to strong inversion and symmetric in drain and source,

  .. math:: i = 2 n \beta V_t^2 \left[\ln^2(1 + e^{(v_p - v_{far})/2V_t}) - \ln^2(1 + e^{(v_p - v_{near})/2V_t})\right],
      \qquad v_p = (v_g - v_{t0})/n, \qquad \beta = k'\, W/L,

  all voltages against the bulk at 0 V. In saturation the current is :math:`\beta (v_g - v_{t0} - n v_{far})^2 / 2n`, so the
  gate voltage limits the current of a SET pulse; in a RESET the transistor's source is the device, which takes from the overdrive.
  Source: Enz, Krummenacher, Vittoz, "An analytical MOS transistor model valid in all regions of operation and dedicated to
  low-voltage and low-current applications", Analog Integr. Circuits Signal Process. 8, 83 (1995).
* `Selector`: a two-terminal device whose current grows exponentially with its voltage of either sign,
  :math:`i = i_0 \sinh(v/v_0)`. Source: Chen, "Memory selector devices and crossbar array design: a modeling-based
  assessment", J. Comput. Electron. 16, 1186 (2017).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Annotated, ClassVar, final

import numpy as np

from cosim.devices.base import BOLTZMANN_OVER_CHARGE, FloatArray
from cosim.units import Ampere, Unit, Volt, check, quantity

AmperePerVoltSquared = Annotated[float, Unit("A/V2")]

_TEXTBOOK = "Carusone, Johns, Martin, Analog Integrated Circuit Design, 2nd ed., typical NMOS of 0.18 um"
_LARGEST = 300.0
"""Exponents beyond this are cut: no circuit gets there, but a Newton step may."""


class SeriesElement(ABC):
    """What lies between device and bit line of a cell."""

    linear: ClassVar[bool] = False
    """Whether it is one resistance, `resistance`."""

    @property
    def resistance(self) -> float:
        """Resistance of a linear element [ohm]."""
        return 0.0

    @abstractmethod
    def current(self, drop: FloatArray, far: FloatArray, gate: FloatArray, temperature: float) -> FloatArray:
        """Return the current from near to far [A].

        ``drop``: voltage of the near side against the far one [V]; ``far``, ``gate``: against 0 V [V].
        """

    @abstractmethod
    def slope(self, drop: FloatArray, far: FloatArray, gate: FloatArray, temperature: float) -> FloatArray:
        """Return the derivative of `current` by ``drop`` [S]."""

    @abstractmethod
    def expression(self, near: str, far: str, gate: str, temperature: float) -> str:
        """Return the current as an expression of ngspice, from the names of the three nodes."""


@final
@dataclass(frozen=True, slots=True)
class Switch(SeriesElement):
    """The on-resistance of an access transistor [ohm]."""

    linear: ClassVar[bool] = True
    on_resistance: float

    @property
    def resistance(self) -> float:
        return self.on_resistance

    def current(self, drop: FloatArray, far: FloatArray, gate: FloatArray, temperature: float) -> FloatArray:
        return drop / self.on_resistance

    def slope(self, drop: FloatArray, far: FloatArray, gate: FloatArray, temperature: float) -> FloatArray:
        return np.full(drop.shape, 1.0 / self.on_resistance)

    def expression(self, near: str, far: str, gate: str, temperature: float) -> str:
        return f"v({near},{far})/{self.on_resistance:.17g}"


@final
@dataclass(frozen=True, slots=True)
class Mosfet(SeriesElement):
    """An n-channel access transistor; see the module for the law."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    threshold: Volt = quantity(0.45, source=_TEXTBOOK, doc="threshold voltage against the bulk")
    transconductance: AmperePerVoltSquared = quantity(
        270e-6, source=_TEXTBOOK, doc="mobility times oxide capacitance, of a square channel"
    )
    width_over_length: float = quantity(2.0, source="cosim: a narrow channel, for a dense array", doc="W/L")
    slope_factor: float = quantity(
        1.6, source=_TEXTBOOK, doc="n: what the gate must rise for one volt of the channel"
    )

    def __post_init__(self) -> None:
        for name in ("threshold", "transconductance", "width_over_length"):
            value = getattr(self, name)
            check(0 < value < float("inf"), "transistor", name, "finite and above zero", value)
        check(
            1 <= self.slope_factor < 10,
            "transistor",
            "slope_factor",
            "at least 1 and below 10",
            self.slope_factor,
        )

    def _law(self, temperature: float) -> tuple[float, float]:
        """Return the specific current [A] and twice the thermal voltage [V]."""
        thermal = BOLTZMANN_OVER_CHARGE * temperature
        beta = self.transconductance * self.width_over_length
        return 2.0 * self.slope_factor * beta * thermal * thermal, 2.0 * thermal

    def _ends(
        self, drop: FloatArray, far: FloatArray, gate: FloatArray, temperature: float
    ) -> tuple[float, float, FloatArray, FloatArray]:
        """Return specific current, twice the thermal voltage, and both exponents: of the far and of the near side."""
        specific, double = self._law(temperature)
        x = ((gate - self.threshold) / self.slope_factor - far) / double
        return specific, double, x, x - drop / double

    def current(self, drop: FloatArray, far: FloatArray, gate: FloatArray, temperature: float) -> FloatArray:
        specific, double, x, y = self._ends(drop, far, gate, temperature)
        # The difference of both logarithms from the drop itself, so that small currents keep their digits.
        across = np.minimum(np.abs(drop) / double, _LARGEST)
        lower = np.minimum(x, y)
        gap = np.log1p(np.exp(-np.logaddexp(0.0, -lower)) * np.expm1(across))
        result: FloatArray = specific * np.copysign(gap, drop) * (np.logaddexp(0.0, x) + np.logaddexp(0.0, y))
        return result

    def slope(self, drop: FloatArray, far: FloatArray, gate: FloatArray, temperature: float) -> FloatArray:
        specific, double, _, y = self._ends(drop, far, gate, temperature)
        result: FloatArray = (2.0 * specific / double) * np.logaddexp(0.0, y) * np.exp(-np.logaddexp(0.0, -y))
        return result

    def expression(self, near: str, far: str, gate: str, temperature: float) -> str:
        specific, double = self._law(temperature)
        pinch = f"(v({gate})-{self.threshold:.17g})/{self.slope_factor:.17g}"
        a, b = (f"ln(1+exp(({pinch}-v({side}))/{double:.17g}))" for side in (far, near))
        return f"{specific:.17g}*({a}-{b})*({a}+{b})"


@final
@dataclass(frozen=True, slots=True)
class Selector(SeriesElement):
    """A two-terminal selector of exponential current; see the module for the law."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    scale: Ampere = quantity(
        10e-12,
        source="Luo et al., Nano Research 10(10), 3295 (2017): TaOx selector, about 10 pA when off",
        doc="current scale of the law",
    )
    slope_voltage: Volt = quantity(
        52e-3,
        source="Si n-i-p-i-n selectors: about 120 mV per decade, that is 52 mV per factor of e",
        doc="voltage per factor of e of the current",
    )

    def __post_init__(self) -> None:
        for name in ("scale", "slope_voltage"):
            value = getattr(self, name)
            check(0 < value < float("inf"), "selector", name, "finite and above zero", value)

    def _exponent(self, drop: FloatArray) -> FloatArray:
        result: FloatArray = np.clip(drop / self.slope_voltage, -_LARGEST, _LARGEST)
        return result

    def current(self, drop: FloatArray, far: FloatArray, gate: FloatArray, temperature: float) -> FloatArray:
        result: FloatArray = self.scale * np.sinh(self._exponent(drop))
        return result

    def slope(self, drop: FloatArray, far: FloatArray, gate: FloatArray, temperature: float) -> FloatArray:
        result: FloatArray = self.scale / self.slope_voltage * np.cosh(self._exponent(drop))
        return result

    def expression(self, near: str, far: str, gate: str, temperature: float) -> str:
        return f"{self.scale:.17g}*sinh(v({near},{far})/{self.slope_voltage:.17g})"
