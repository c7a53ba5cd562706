r"""Nonlinear ion drift: a state that moves with an odd power of the voltage, and a tunnelling current.

.. math::
    i = x^n \beta \sinh(\alpha v) + \chi\,(e^{\gamma v} - 1), \qquad \dot x = a\,v^m f(x)

with m odd, voltages in volts, and a window f of `cosim.devices.windows`. Voltage and state are separable,
so the state follows one table per direction. There is no threshold, but at m = 13 a tenth of the voltage
moves the state 1e13 times slower.

Sources: Yang et al., Nature Nanotechnology 3, 429 (2008), equation 1, for the current; Lehtonen and Laiho,
"CNN using memristors for neighborhood connections", CNNA 2010, for the motion of the state.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, final

import numpy as np

from cosim.devices.base import FloatArray, Parameter, Subcircuit, check, quantity
from cosim.devices.integrate import Range, integrate
from cosim.devices.rate import RateModel, check_margin, check_positive, shared, stop_text, twin
from cosim.devices.travel import travelled
from cosim.devices.windows import (
    WindowName,
    margin_of,
    window,
    window_parameters,
    window_peak,
    window_tables,
    window_text,
)
from cosim.units import Ampere, Fraction, Unit

_TEAM = "nonlinear ion drift set of the TEAM Verilog-A (Kvatinsky et al., IEEE TCAS-I 60(1), 211, 2013)"
_OURS = "cosim"

PerVolt = Annotated[float, Unit("1/V")]
PerSecond = Annotated[float, Unit("1/s")]


@final
@dataclass(frozen=True, eq=False)
class NonlinearIonDrift(RateModel):
    """Nonlinear ion drift; the state is the normalized width x of the doped region, 0 to 1."""

    name: ClassVar[str] = "nonlinear_ion_drift"
    accuracy: ClassVar[float] = 1e-8
    reference: ClassVar[str] = (
        "Yang et al., Nature Nanotechnology 3, 429 (2008); Lehtonen and Laiho, CNNA 2010"
    )

    alpha: PerVolt = quantity(2.0, source=_TEAM, doc="curvature of the current in the on state")
    beta: Ampere = quantity(9e-6, source=_TEAM + ", currents x 1e-6", doc="current of the on state")
    gamma: PerVolt = quantity(4.0, source=_TEAM, doc="exponent of the rectifying current")
    chi: Ampere = quantity(
        1e-8, source=_TEAM + ", currents x 1e-6", doc="rectifying current of the off state"
    )
    n: float = quantity(14.0, source=_TEAM, doc="exponent of the state in the current")
    m: int = quantity(13, source=_TEAM, doc="exponent of the voltage in the motion, odd")
    a: PerSecond = quantity(4.0, source=_TEAM, doc="speed of the state at 1 V")
    window: WindowName = quantity(
        "biolek", source="Biolek et al., Radioengineering 18, 210 (2009)", doc="window function"
    )
    window_p: float = quantity(2.0, source=_OURS, doc="exponent p of the window")
    window_j: float = quantity(1.0, source=_OURS, doc="height j of the Prodromakis window")
    margin: Fraction = quantity(
        0.01, source=_OURS, doc="part of the range at both ends that a window which is zero there shuts off"
    )

    def __post_init__(self) -> None:
        check_positive(self)
        check(self.m % 2 == 1, self.name, "m", "odd", self.m)
        check_margin(self, self.margin)

    @property
    def linear(self) -> bool:
        return False

    def state_bounds(self) -> tuple[float, float]:
        """Return 0 and 1, or the ends less the margin where the window is zero there."""
        margin = margin_of(self.window, self.margin)
        return margin, 1.0 - margin

    def conductance(self, state: FloatArray) -> FloatArray:
        """Return x^n alpha beta + chi gamma [S], the slope of the current at 0 V."""
        result = state**self.n * (np.asarray(self.alpha) * self.beta) + np.asarray(self.chi) * self.gamma
        return np.asarray(result, dtype=np.float64)

    def state_for(self, conductance: FloatArray) -> FloatArray:
        """Return the state with this conductance [S], clipped to the range."""
        part = (conductance - self.chi * np.asarray(self.gamma)) / (self.alpha * np.asarray(self.beta))
        state = np.maximum(part, 0.0) ** (1.0 / np.asarray(self.n))
        result: FloatArray = np.clip(state, *self.state_bounds())
        return result

    def conductance_range(self) -> tuple[Parameter, Parameter]:
        """Return the conductances [S] at the ends of the range."""
        low, high = self.state_bounds()
        unit, floor = self.alpha * self.beta, self.chi * self.gamma
        return low**self.n * unit + floor, high**self.n * unit + floor

    def current(self, state: FloatArray, voltage: FloatArray) -> FloatArray:
        """Return x^n beta sinh(alpha v) + chi (exp(gamma v) - 1) [A]."""
        on = state**self.n * self.beta * np.sinh(self.alpha * voltage)
        result: FloatArray = on + self.chi * np.expm1(self.gamma * voltage)
        return result

    def current_slope(self, state: FloatArray, voltage: FloatArray) -> FloatArray:
        """Return the derivative of the current by the voltage [S]."""
        on = state**self.n * (self.beta * np.asarray(self.alpha)) * np.cosh(self.alpha * voltage)
        result: FloatArray = on + self.chi * np.asarray(self.gamma) * np.exp(self.gamma * voltage)
        return result

    def drive(self, voltage: FloatArray) -> FloatArray:
        """Return a v^m [1/s], the speed of the state without its window."""
        result: FloatArray = self.a * np.sign(voltage) * np.abs(voltage) ** self.m
        return result

    def state_rate(self, state: FloatArray, voltage: FloatArray, temperature: float) -> FloatArray:
        """Return dx/dt [1/s]; the temperature has no effect."""
        return self.drive(voltage) * window(self.window, state, voltage > 0, self.window_p, self.window_j)

    def advance(
        self, state: FloatArray, voltage: FloatArray, duration: Parameter, temperature: float
    ) -> FloatArray:
        """Return the state after ``duration`` [s], by the tables of the two directions."""
        low, high = self.state_bounds()
        p, j, name, drive = self.window_p, self.window_j, self.window, self.drive(voltage)
        if shared(p, j):
            return travelled(*window_tables(name, p, j, low, high), state, drive * duration)

        def rate(x: FloatArray, s: FloatArray, p: Parameter, j: Parameter) -> FloatArray:
            return s * window(name, x, s > 0, p, j)

        return integrate(rate, state, (drive, p, j), duration, Range(low, high, self.accuracy))

    def fastest(self, low: FloatArray, high: FloatArray, voltage: float) -> FloatArray:
        """Return the speed without window times its largest value."""
        return np.abs(self.drive(np.asarray(voltage))) * window_peak(
            self.window, low, high, voltage > 0, self.window_p, self.window_j
        )

    def programming_voltages(self) -> tuple[float, float]:
        """Return 1 V, at which the speed is ``a``."""
        return 1.0, 1.0

    def subcircuit(self, temperature: float) -> Subcircuit:
        """Return the twin: x is the voltage of a capacitor, the speed a B source."""
        names = ("alpha", "beta", "gamma", "chi", "n", "a")
        parameters: dict[str, Parameter] = {f"c_{name}": getattr(self, name) for name in names}
        parameters["c_m"] = float(self.m)
        parameters |= window_parameters(self.window, self.window_p, self.window_j)
        rising, falling = stop_text(*self.state_bounds())
        up = f"max(v(p,n),0)**c_m*{window_text(self.window, 'v(x)', True)}*{rising}"
        down = f"max(-v(p,n),0)**c_m*{window_text(self.window, 'v(x)', False)}*{falling}"
        body = f"""\
Cx x 0 {{1/c_a}} ic={{x0}}
Bx 0 x i={up}-{down}
Bm p n i=max(v(x),0)**c_n*c_beta*sinh(c_alpha*v(p,n))+c_chi*(exp(c_gamma*v(p,n))-1)"""
        return twin("cosim_nonlinear_ion_drift", parameters, body)
