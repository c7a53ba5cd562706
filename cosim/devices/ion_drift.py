r"""Linear ion drift: the boundary between doped and undoped oxide moves in proportion to the current.

.. math::
    \dot x = \frac{\mu_v R_{on}}{D^2}\, i\, f(x), \qquad i = \frac{v}{R_{on} x + R_{off} (1-x)}

with x the doped part of the thickness D and f a window of `cosim.devices.windows`. At constant voltage the
equation is separable, and the state follows one table per direction. There is no threshold: every
current moves the state.

Source: Strukov, Snider, Stewart, Williams, "The missing memristor found", Nature 453, 80 (2008).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, ClassVar, final

import numpy as np

from cosim.devices.base import FloatArray, Parameter, Subcircuit, quantity
from cosim.devices.integrate import Range, integrate
from cosim.devices.rate import RateModel, check_below, check_margin, check_positive, shared, stop_text, twin
from cosim.devices.travel import Travel, travel, travelled
from cosim.devices.windows import WindowName, margin_of, window, window_parameters, window_peak, window_text
from cosim.units import Fraction, Metre, Ohm, Unit

_STRUKOV = "Strukov et al., Nature 453, 80 (2008)"
_OURS = "cosim"

Mobility = Annotated[float, Unit("m2/Vs")]


@final
@dataclass(frozen=True, eq=False)
class IonDrift(RateModel):
    """Linear ion drift; the state is the doped part of the thickness, 0 to 1."""

    name: ClassVar[str] = "ion_drift"
    accuracy: ClassVar[float] = 1e-8
    reference: ClassVar[str] = _STRUKOV

    r_on: Ohm = quantity(100.0, source=_STRUKOV + ", figure 3", doc="resistance of the doped film")
    r_off: Ohm = quantity(
        16e3, source=_STRUKOV + ", figure 2: ratio 160", doc="resistance of the undoped film"
    )
    thickness: Metre = quantity(10e-9, source=_STRUKOV + ", figure 2", doc="thickness D of the film")
    mobility: Mobility = quantity(1e-14, source=_STRUKOV + ", figure 2", doc="mobility of the dopants")
    window: WindowName = quantity(
        "joglekar", source="Joglekar and Wolf, Eur. J. Phys. 30, 661 (2009)", doc="window function"
    )
    window_p: float = quantity(
        2.0, source=_OURS + ": the paper shows p from 1 to 10", doc="exponent p of the window"
    )
    window_j: float = quantity(1.0, source=_OURS, doc="height j of the Prodromakis window")
    margin: Fraction = quantity(
        0.01, source=_OURS, doc="part of the range at both ends that a window which is zero there shuts off"
    )

    def __post_init__(self) -> None:
        check_positive(self)
        check_below(self, "r_on", "r_off")
        check_margin(self, self.margin)

    def state_bounds(self) -> tuple[float, float]:
        """Return 0 and 1, or the ends less the margin where the window is zero there."""
        margin = margin_of(self.window, self.margin)
        return margin, 1.0 - margin

    def conductance(self, state: FloatArray) -> FloatArray:
        """Return 1/R [S]."""
        result: FloatArray = 1.0 / (self.r_on * state + self.r_off * (1.0 - state))
        return result

    def state_for(self, conductance: FloatArray) -> FloatArray:
        """Return the state with this conductance [S], clipped to the range."""
        g = np.clip(conductance, *self.conductance_range())
        state = (self.r_off - 1.0 / g) / (np.asarray(self.r_off) - self.r_on)
        result: FloatArray = np.clip(state, *self.state_bounds())
        return result

    def conductance_range(self) -> tuple[Parameter, Parameter]:
        """Return the conductances [S] at the ends of the range."""
        low, high = self.state_bounds()
        return (
            1.0 / (self.r_on * low + self.r_off * (1.0 - low)),
            1.0 / (self.r_on * high + self.r_off * (1.0 - high)),
        )

    def drive(self, voltage: FloatArray) -> FloatArray:
        """Return mu v / D^2 [1/s], the speed of the doped end."""
        result: FloatArray = self.mobility * voltage / np.square(self.thickness)
        return result

    def state_rate(self, state: FloatArray, voltage: FloatArray, temperature: float) -> FloatArray:
        """Return dx/dt [1/s]; the temperature has no effect."""
        shape = window(self.window, state, voltage > 0, self.window_p, self.window_j)
        return self.drive(voltage) * self.r_on * self.conductance(state) * shape

    def advance(
        self, state: FloatArray, voltage: FloatArray, duration: Parameter, temperature: float
    ) -> FloatArray:
        """Return the state after ``duration`` [s], by the tables of the two directions."""
        low, high = self.state_bounds()
        ratio, p, j = self.r_off / self.r_on, self.window_p, self.window_j
        drive, name = self.drive(voltage), self.window
        if shared(ratio, p, j):
            return travelled(*_tables(name, ratio, p, j, low, high), state, drive * duration)

        def rate(x: FloatArray, s: FloatArray, ratio: Parameter, p: Parameter, j: Parameter) -> FloatArray:
            return s * window(name, x, s > 0, p, j) / (x + ratio * (1.0 - x))

        return integrate(rate, state, (drive, ratio, p, j), duration, Range(low, high, self.accuracy))

    def fastest(self, low: FloatArray, high: FloatArray, voltage: float) -> FloatArray:
        """Return the speed at the highest conductance, times the largest value of the window."""
        speed = np.abs(self.drive(np.asarray(voltage))) * self.r_on * self.conductance(high)
        return speed * window_peak(self.window, low, high, voltage > 0, self.window_p, self.window_j)

    def programming_voltages(self) -> tuple[float, float]:
        """Return 1 V, the amplitude of the published curves."""
        return 1.0, 1.0

    def subcircuit(self, temperature: float) -> Subcircuit:
        """Return the twin: x is the voltage of a capacitor, the speed a B source."""
        parameters: dict[str, Parameter] = {"r_on": self.r_on, "r_off": self.r_off}
        parameters["speed"] = self.mobility / self.thickness**2
        parameters |= window_parameters(self.window, self.window_p, self.window_j)
        rising, falling = stop_text(*self.state_bounds())
        up = f"max(v(p,n),0)*{window_text(self.window, 'v(x)', True)}*{rising}"
        down = f"max(-v(p,n),0)*{window_text(self.window, 'v(x)', False)}*{falling}"
        body = f"""\
Cx x 0 {{1/speed}} ic={{x0}}
Bx 0 x i=r_on/(r_on*v(x)+r_off*(1-v(x)))*({up}-{down})
Bm p n i=v(p,n)/(r_on*v(x)+r_off*(1-v(x)))"""
        return twin("cosim_ion_drift", parameters, body)


@lru_cache(maxsize=64)
def _tables(
    name: WindowName, ratio: float, p: float, j: float, low: float, high: float
) -> tuple[Travel, Travel]:
    def speed(x: FloatArray, up: bool) -> FloatArray:
        return window(name, x, up, p, j) / (x + ratio * (1.0 - x))

    return travel(lambda x: speed(x, True), low, high), travel(lambda x: speed(x, False), low, high)
