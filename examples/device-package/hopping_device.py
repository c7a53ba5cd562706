"""First-order kinetics by field-assisted hopping: the rate grows as the hyperbolic sine of the voltage.

dx/dt = rate sinh(v/v_0) (1 - x) for v > 0 and rate sinh(v/v_0) x for v < 0, which is linear in x, so a pulse at constant
voltage has a closed form. G is linear in x.

Source of the rate: N. F. Mott and R. W. Gurney, "Electronic Processes in Ionic Crystals" (1940).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, final

import numpy as np

from cosim.devices.base import DeviceModel, FloatArray, Parameter, Subcircuit, check, is_positive, quantity
from cosim.units import Siemens, Unit, Volt

OURS = "example: chosen so that 1 V for 1 us moves the state by 3 %"

PerSecond = Annotated[float, Unit("1/s")]

TWIN = """\
.subckt hopping p n x params: g_min=1 g_max=1 v_0=1 unit=1 x0=0
Cx x 0 {unit} ic={x0}
Bx 0 x i=max(sinh(v(p,n)/v_0),0)*(1-v(x))-max(-sinh(v(p,n)/v_0),0)*v(x)
Bm p n i=v(p,n)*(g_min+v(x)*(g_max-g_min))
.ends hopping
"""


@final
@dataclass(frozen=True, eq=False)
class Hopping(DeviceModel):
    """Field-assisted hopping; the state is (G - g_min)/(g_max - g_min), 0 to 1."""

    name: ClassVar[str] = "hopping"
    reference: ClassVar[str] = "Mott and Gurney (1940)"

    g_min: Siemens = quantity(1e-6, source=OURS, doc="lowest conductance")
    g_max: Siemens = quantity(1e-5, source=OURS, doc="highest conductance")
    rate: PerSecond = quantity(2.8, source=OURS, doc="rate of hopping")
    v_0: Volt = quantity(0.1, source=OURS, doc="voltage scale of the barrier")

    def __post_init__(self) -> None:
        for parameter in ("g_min", "g_max", "rate", "v_0"):
            value = getattr(self, parameter)
            check(is_positive(value), self.name, parameter, "finite and above zero", value)

    def conductance(self, state: FloatArray) -> FloatArray:
        """Return G [S]."""
        result: FloatArray = self.g_min + state * (self.g_max - self.g_min)
        return result

    def state_for(self, conductance: FloatArray) -> FloatArray:
        """Return the normalized conductance."""
        result: FloatArray = np.clip((conductance - self.g_min) / (self.g_max - self.g_min), 0.0, 1.0)
        return result

    def conductance_range(self) -> tuple[Parameter, Parameter]:
        """Return both ends [S]."""
        return self.g_min, self.g_max

    def _speed(self, voltage: FloatArray) -> FloatArray:
        result: FloatArray = self.rate * np.sinh(np.clip(voltage / self.v_0, -300.0, 300.0))
        return result

    def state_rate(self, state: FloatArray, voltage: FloatArray, temperature: float) -> FloatArray:
        """Return dx/dt [1/s]."""
        speed = self._speed(voltage)
        result: FloatArray = np.maximum(speed, 0.0) * (1.0 - state) + np.minimum(speed, 0.0) * state
        return result

    def advance(
        self, state: FloatArray, voltage: FloatArray, duration: Parameter, temperature: float
    ) -> FloatArray:
        """Return the closed form after ``duration`` [s]."""
        speed = self._speed(voltage)
        result: FloatArray = state - np.expm1(-np.abs(speed) * duration) * ((speed > 0) - state)
        return result

    def programming_pulse(self, temperature: float) -> tuple[tuple[float, float], tuple[float, float]]:
        """Return 1 V for 1 us, both ways."""
        return (1.0, 1e-6), (1.0, 1e-6)

    def subcircuit(self, temperature: float) -> Subcircuit:
        """Return the twin: a capacitor of 1/rate farad holds the state."""
        parameters: dict[str, Parameter] = {
            "g_min": self.g_min, "g_max": self.g_max, "v_0": self.v_0, "unit": 1.0 / np.asarray(self.rate)[()],
        }  # fmt: skip
        return Subcircuit("hopping", TWIN, ("x",), ("x0",), parameters)


SLOW = Hopping(rate=0.28)
"""A preset: ten times as slow."""
