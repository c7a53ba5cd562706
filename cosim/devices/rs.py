r"""Rate-to-saturation (RS) memristor: the conductance relaxes towards a bound above a firm threshold.

:math:`\dot G = a\,T(V)\,(G_t - G)` with :math:`T = V - V_{set}` and :math:`G_t = G_{max}` above
:math:`V_{set}`, :math:`T = -(V + V_{reset})` and :math:`G_t = G_{min}` below :math:`-V_{reset}`, and
:math:`T = 0` between: inside the dead zone nothing moves. At constant voltage
:math:`G(t) = G_t + (G_0 - G_t) e^{-a T t}`.

Sources: the kT-RAM emulator's ``rs`` model (preset ``rs-ktram``) and the RS model of jspice
(preset ``rs-jspice``): two published parameter sets of one equation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, final

import numpy as np

from cosim.devices.base import (
    DeviceModel,
    FloatArray,
    Parameter,
    Subcircuit,
    TwoChannel,
    check,
    is_positive,
    parameter_table,
    quantity,
)
from cosim.devices.elementwise import elementwise
from cosim.units import Siemens, Unit, Volt

_KTRAM = "kT-RAM neural core, rs model"
_JSPICE = "jspice, RS model"

PerVoltSecond = Annotated[float, Unit("1/Vs")]

_SUBCIRCUIT = """\
.subckt cosim_rs p n x params: g_min=1 g_max=1 rate=1 v_set=1 v_reset=1 unit=1 x0=0
Cx x 0 {unit} ic={x0}
Bx 0 x i=unit*rate*(max(v(p,n)-v_set,0)*(1-v(x))-max(-v(p,n)-v_reset,0)*v(x))
Bm p n i=v(p,n)*(g_min+v(x)*(g_max-g_min))
.ends cosim_rs
"""


@final
@dataclass(frozen=True, eq=False)
class Rs(DeviceModel):
    """Rate-to-saturation memristor; the state is (G - G_min)/(G_max - G_min), 0 to 1."""

    name: ClassVar[str] = "rs"
    affine: ClassVar[bool] = True
    reference: ClassVar[str] = "kT-RAM neural core and jspice, RS model"

    g_min: Siemens = quantity(1e-7, source=_KTRAM + " and " + _JSPICE, doc="lowest conductance")
    g_max: Siemens = quantity(1e-3, source=_KTRAM + " and " + _JSPICE, doc="highest conductance")
    rate: PerVoltSecond = quantity(1e6, source=_KTRAM, doc="rate per volt above threshold")
    v_set: Volt = quantity(0.25, source=_KTRAM + " and " + _JSPICE, doc="SET threshold")
    v_reset: Volt = quantity(0.25, source=_KTRAM, doc="RESET threshold (magnitude)")

    def __post_init__(self) -> None:
        for parameter in ("g_min", "g_max", "rate", "v_set", "v_reset"):
            value = getattr(self, parameter)
            check(is_positive(value), self.name, parameter, "finite and above zero", value)
        check(
            bool(np.all(np.asarray(self.g_min) < self.g_max)), self.name, "g_min", "below g_max", self.g_min
        )

    def conductance(self, state: FloatArray) -> FloatArray:
        """Return G = G_min + x (G_max - G_min) [S]."""
        result: FloatArray = self.g_min + state * (self.g_max - self.g_min)
        return result

    def state_for(self, conductance: FloatArray) -> FloatArray:
        """Return the normalized conductance, clipped to 0..1."""
        result: FloatArray = np.clip(
            (conductance - self.g_min) / (np.asarray(self.g_max) - self.g_min), 0.0, 1.0
        )
        return result

    def conductance_range(self) -> tuple[Parameter, Parameter]:
        """Return G_min and G_max [S]."""
        return self.g_min, self.g_max

    def state_rate(self, state: FloatArray, voltage: FloatArray, temperature: float) -> FloatArray:
        """Return dx/dt [1/s]; the temperature has no effect."""
        up = np.maximum(voltage - self.v_set, 0.0)
        down = np.maximum(-voltage - self.v_reset, 0.0)
        result: FloatArray = self.rate * (up * (1.0 - state) - down * state)
        return result

    @elementwise
    def advance(
        self, state: FloatArray, voltage: FloatArray, duration: Parameter, temperature: float
    ) -> FloatArray:
        """Return the closed form after ``duration`` [s]; the temperature has no effect."""
        up = np.maximum(voltage - self.v_set, 0.0)
        down = np.maximum(-voltage - self.v_reset, 0.0)
        moved = -np.expm1(-np.asarray(self.rate * duration) * (up + down))
        result: FloatArray = state + (np.where(up > 0, 1.0, 0.0) - state) * moved
        return result

    def most_moved(self, low: float, high: float, duration: float, temperature: float) -> float:
        """Return the largest rate times the duration; 0 in the dead zone."""
        up = np.maximum(high - np.asarray(self.v_set), 0.0)
        down = np.maximum(-low - np.asarray(self.v_reset), 0.0)
        return float(np.max(self.rate * np.maximum(up, down)) * duration)

    def programming_pulse(self, temperature: float) -> tuple[tuple[float, float], tuple[float, float]]:
        """Return pulses 0.1 V above threshold, as long as moves the state by 3 %."""
        width = 0.03 / (0.1 * float(np.mean(self.rate)))
        return (float(np.mean(self.v_set)) + 0.1, width), (float(np.mean(self.v_reset)) + 0.1, width)

    def two_channel(self, temperature: float) -> TwoChannel:
        """Return rates that are linear in the voltage above either threshold."""
        span = np.asarray(self.g_max) - self.g_min
        return TwoChannel(1, parameter_table(self.g_min, span, self.rate, self.v_set, self.v_reset))

    def subcircuit(self, temperature: float) -> Subcircuit:
        """Return the twin: a capacitor of 1/rate farad keeps the B source's current of order one."""
        parameters: dict[str, Parameter] = {
            "g_min": self.g_min,
            "g_max": self.g_max,
            "rate": self.rate,
            "v_set": self.v_set,
            "v_reset": self.v_reset,
            "unit": 1.0 / np.asarray(self.rate) if isinstance(self.rate, np.ndarray) else 1.0 / self.rate,
        }
        return Subcircuit("cosim_rs", _SUBCIRCUIT, ("x",), ("x0",), parameters)


RS_KTRAM = Rs()
"""The kT-RAM emulator's set."""
RS_JSPICE = Rs(rate=1e4, v_reset=0.15)
"""jspice's set: a = 1e4 per volt and second, thresholds 0.25 V and 0.15 V."""
