r"""Yakopcic's generalized memristor: a sinh current and a state that moves above two thresholds.

.. math::
    i = \begin{cases} a_1 x \sinh(b v) & v \ge 0 \\ a_2 x \sinh(b v) & v < 0 \end{cases}
    \qquad \dot x = g(v)\,f(x), \qquad
    g(v) = \begin{cases} A_p (e^{v} - e^{V_p}) & v > V_p \\ -A_n (e^{-v} - e^{V_n}) & v < -V_n \\
    0 & \text{between} \end{cases}

.. math::
    f_\uparrow(x) = \begin{cases} 1 & x < x_p \\
      e^{-\alpha_p (x-x_p)} \left(\frac{x_p-x}{1-x_p}+1\right) & x \ge x_p \end{cases} \qquad
    f_\downarrow(x) = \begin{cases} 1 & x > 1-x_n \\
      e^{\alpha_n (x+x_n-1)} \frac{x}{1-x_n} & x \le 1-x_n \end{cases}

Voltages in the exponentials are in volts. The state is separable from the voltage and follows one table
per direction. At x = 0 the device would conduct nothing at all; ``x_min`` is where it stops.

Source: Yakopcic, Taha, Subramanyam, Pino, "Generalized memristive device SPICE model and its application in
circuit design", IEEE TCAD 32(8), 1201 (2013), with eta = 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, ClassVar, final

import numpy as np

from cosim.devices.base import FloatArray, Parameter, Subcircuit, quantity
from cosim.devices.integrate import Range, integrate
from cosim.devices.rate import RateModel, check_positive, shared, stop_text, twin
from cosim.devices.travel import Travel, travel, travelled
from cosim.errors import DeviceError
from cosim.units import Ampere, Unit, Volt

_SAMPLE = "Yakopcic et al., IEEE TCAD 32(8), 1201 (2013), sample set, as in models-4-all"

PerVolt = Annotated[float, Unit("1/V")]
PerSecond = Annotated[float, Unit("1/s")]


def rising_speed(x: FloatArray, xp: Parameter, alpha: Parameter) -> FloatArray:
    """Return the state part of the speed of a rising state."""
    beyond = np.maximum(x - xp, 0.0)
    result: FloatArray = np.exp(-alpha * beyond) * (1.0 - beyond / (1.0 - np.asarray(xp)))
    return result


def falling_speed(x: FloatArray, xn: Parameter, alpha: Parameter) -> FloatArray:
    """Return the state part of the speed of a falling state."""
    return rising_speed(1.0 - x, xn, alpha)


@final
@dataclass(frozen=True, eq=False)
class Yakopcic(RateModel):
    """Yakopcic memristor; the state x scales the current, from x_min to 1."""

    name: ClassVar[str] = "yakopcic"
    accuracy: ClassVar[float] = 1e-8
    reference: ClassVar[str] = "Yakopcic et al., IEEE TCAD 32(8), 1201 (2013)"

    a1: Ampere = quantity(0.17, source=_SAMPLE, doc="current at positive voltage")
    a2: Ampere = quantity(0.17, source=_SAMPLE, doc="current at negative voltage")
    b: PerVolt = quantity(0.05, source=_SAMPLE, doc="curvature of the current")
    v_p: Volt = quantity(0.16, source=_SAMPLE, doc="SET threshold")
    v_n: Volt = quantity(0.15, source=_SAMPLE, doc="RESET threshold (magnitude)")
    a_p: PerSecond = quantity(4000.0, source=_SAMPLE, doc="speed of SET")
    a_n: PerSecond = quantity(4000.0, source=_SAMPLE, doc="speed of RESET")
    x_p: float = quantity(0.3, source=_SAMPLE, doc="state from which a rising state slows down")
    x_n: float = quantity(0.5, source=_SAMPLE, doc="distance from 1 from which a falling state slows down")
    alpha_p: float = quantity(1.0, source=_SAMPLE, doc="decay of a rising state's speed")
    alpha_n: float = quantity(5.0, source=_SAMPLE, doc="decay of a falling state's speed")
    x_min: float = quantity(0.01, source="cosim: on/off ratio 100", doc="lowest state")

    def __post_init__(self) -> None:
        check_positive(self)
        for parameter in ("x_p", "x_n", "x_min"):
            if not np.all(np.asarray(getattr(self, parameter)) < 1):
                raise DeviceError(f"{self.name}.{parameter}: must be below 1, not {getattr(self, parameter)}")

    @property
    def linear(self) -> bool:
        return False

    def state_bounds(self) -> tuple[float, float]:
        """Return x_min and 1."""
        return float(np.min(self.x_min)), 1.0

    def conductance(self, state: FloatArray) -> FloatArray:
        """Return a_1 b x [S], the slope of the current at 0 V."""
        return np.asarray(self.a1 * np.asarray(self.b) * state, dtype=np.float64)

    def state_for(self, conductance: FloatArray) -> FloatArray:
        """Return G/(a_1 b), clipped to the range."""
        result: FloatArray = np.clip(conductance / (self.a1 * np.asarray(self.b)), *self.state_bounds())
        return result

    def conductance_range(self) -> tuple[Parameter, Parameter]:
        """Return the conductances [S] at x_min and 1."""
        low, high = self.state_bounds()
        unit = self.a1 * self.b
        return low * unit, high * unit

    def current(self, state: FloatArray, voltage: FloatArray) -> FloatArray:
        """Return a x sinh(b v) [A]."""
        result: FloatArray = np.where(voltage >= 0, self.a1, self.a2) * state * np.sinh(self.b * voltage)
        return result

    def current_slope(self, state: FloatArray, voltage: FloatArray) -> FloatArray:
        """Return a b x cosh(b v) [S]."""
        amplitude = np.where(voltage >= 0, self.a1, self.a2) * self.b
        result: FloatArray = amplitude * state * np.cosh(self.b * voltage)
        return result

    def drive(self, voltage: FloatArray) -> FloatArray:
        """Return g(v) [1/s]."""
        up = np.exp(np.maximum(voltage, self.v_p)) - np.exp(self.v_p)
        down = np.exp(np.maximum(-voltage, self.v_n)) - np.exp(self.v_n)
        result: FloatArray = self.a_p * up - self.a_n * down
        return result

    def state_rate(self, state: FloatArray, voltage: FloatArray, temperature: float) -> FloatArray:
        """Return dx/dt [1/s]; the temperature has no effect."""
        up, down = rising_speed(state, self.x_p, self.alpha_p), falling_speed(state, self.x_n, self.alpha_n)
        return self.drive(voltage) * np.where(voltage > 0, up, down)

    def advance(
        self, state: FloatArray, voltage: FloatArray, duration: Parameter, temperature: float
    ) -> FloatArray:
        """Return the state after ``duration`` [s], by the tables of the two directions."""
        shape = (self.x_p, self.alpha_p, self.x_n, self.alpha_n)
        low, high = self.state_bounds()
        if shared(*shape):
            return travelled(*_tables(*shape, low, high), state, self.drive(voltage) * duration)

        def rate(
            x: FloatArray, s: FloatArray, xp: Parameter, ap: Parameter, xn: Parameter, an: Parameter
        ) -> FloatArray:
            return s * np.where(s > 0, rising_speed(x, xp, ap), falling_speed(x, xn, an))

        return integrate(
            rate, state, (self.drive(voltage), *shape), duration, Range(low, high, self.accuracy)
        )

    def fastest(self, low: FloatArray, high: FloatArray, voltage: float) -> FloatArray:
        """Return the speed where the state part of it is largest."""
        if voltage > 0:
            part = rising_speed(low, self.x_p, self.alpha_p)
        else:
            part = falling_speed(high, self.x_n, self.alpha_n)
        return np.abs(self.drive(np.asarray(voltage))) * part

    def programming_voltages(self) -> tuple[float, float]:
        """Return twice the thresholds [V]."""
        return 2.0 * float(np.mean(self.v_p)), 2.0 * float(np.mean(self.v_n))

    def subcircuit(self, temperature: float) -> Subcircuit:
        """Return the twin: x is the voltage of a capacitor, the speed a B source."""
        names = ("a1", "a2", "b", "v_p", "v_n", "a_p", "a_n", "x_p", "x_n", "alpha_p", "alpha_n")
        parameters: dict[str, Parameter] = {name: getattr(self, name) for name in names}
        parameters["unit"] = 1.0 / np.asarray(self.a_p) if np.ndim(self.a_p) else 1.0 / self.a_p
        rising, falling = stop_text(*self.state_bounds())
        up = "a_p*(exp(max(v(p,n),v_p))-exp(v_p))*exp(-alpha_p*max(v(x)-x_p,0))*(1-max(v(x)-x_p,0)/(1-x_p))"
        down = "a_n*(exp(max(-v(p,n),v_n))-exp(v_n))*exp(-alpha_n*max(1-v(x)-x_n,0))*(1-max(1-v(x)-x_n,0)/(1-x_n))"
        body = f"""\
Cx x 0 {{unit}} ic={{x0}}
Bx 0 x i=unit*({up}*{rising}-{down}*{falling})
Bm p n i=(v(p,n)>=0?a1:a2)*v(x)*sinh(b*v(p,n))"""
        return twin("cosim_yakopcic", parameters, body)


@lru_cache(maxsize=64)
def _tables(xp: float, ap: float, xn: float, an: float, low: float, high: float) -> tuple[Travel, Travel]:
    return (
        travel(lambda x: rising_speed(x, xp, ap), low, high, (xp,)),
        travel(lambda x: falling_speed(x, xn, an), low, high, (1.0 - xn,)),
    )
