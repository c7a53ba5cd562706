r"""TEAM: a memristor whose state moves by a power of the current above a threshold.

.. math::
    \dot x = \begin{cases}
      (k_{on}/D)\,(i/i_{on}-1)^{\alpha_{on}}\,f(x)      & i > i_{on} \\
      -(k_{off}/D)\,(-i/i_{off}-1)^{\alpha_{off}}\,f(x) & i < -i_{off} \\
      0                                                & \text{between}
    \end{cases} \qquad i = v/R(x)

:math:`x = 1 - w/D` is the paper's state w, turned so that 1 is the low resistance; a positive current here
is the paper's negative one. The window f is one of `cosim.devices.windows`, or the paper's own,
:math:`f_\downarrow = e^{-e^{(w-a_{off})/w_c}}`, :math:`f_\uparrow = e^{-e^{(a_{on}-w)/w_c}}`. At constant
voltage the current changes with the state, so state and voltage are not separable: the equation is integrated.

Source: Kvatinsky, Friedman, Kolodny, Weiser, "TEAM: ThrEshold Adaptive Memristor model", IEEE TCAS-I 60(1),
211 (2013).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal, final

import numpy as np
from numpy.typing import NDArray

from cosim.devices.base import FloatArray, Parameter, Subcircuit, quantity
from cosim.devices.integrate import Range, integrate
from cosim.devices.rate import RateModel, check_below, check_margin, check_positive, stop_text, twin
from cosim.devices.resistance import ResistanceLaw, conductance_of, resistance_text, state_of
from cosim.devices.windows import WindowName, margin_of, window, window_parameters, window_peak, window_text
from cosim.units import Ampere, Fraction, Metre, Ohm, Unit

_VERILOG = "TEAM Verilog-A model of the authors, default parameters"
_RANGE = "the authors' VTEAM set (the Verilog-A has 100 ohm and 200 kohm)"
_OURS = "cosim"

MetrePerSecond = Annotated[float, Unit("m/s")]
TeamWindow = WindowName | Literal["kvatinsky"]


@final
@dataclass(frozen=True, eq=False)
class Team(RateModel):
    """TEAM memristor with current thresholds; the state is 0 at R_off and 1 at R_on."""

    name: ClassVar[str] = "team"
    accuracy: ClassVar[float] = 1e-6
    reference: ClassVar[str] = "Kvatinsky et al., IEEE TCAS-I 60(1), 211 (2013)"

    r_on: Ohm = quantity(50.0, source=_RANGE, doc="lowest resistance")
    r_off: Ohm = quantity(1e3, source=_RANGE, doc="highest resistance")
    i_on: Ampere = quantity(8.9e-6, source=_VERILOG, doc="SET threshold (the paper's i_on, turned)")
    i_off: Ampere = quantity(115e-6, source=_VERILOG, doc="RESET threshold (magnitude)")
    k_on: MetrePerSecond = quantity(8e-13, source=_VERILOG, doc="speed of SET (magnitude)")
    k_off: MetrePerSecond = quantity(8e-13, source=_VERILOG, doc="speed of RESET")
    alpha_on: float = quantity(3.0, source=_VERILOG, doc="exponent of SET")
    alpha_off: float = quantity(3.0, source=_VERILOG, doc="exponent of RESET")
    thickness: Metre = quantity(3e-9, source=_VERILOG, doc="range D of the state variable w")
    resistance: ResistanceLaw = quantity(
        "linear", source=_VERILOG, doc="how the resistance depends on the state"
    )
    window: TeamWindow = quantity("none", source=_VERILOG, doc="window function")
    window_p: float = quantity(2.0, source=_VERILOG, doc="exponent p of the window")
    window_j: float = quantity(1.0, source=_VERILOG, doc="height j of the Prodromakis window")
    a_on: Metre = quantity(2e-9, source=_VERILOG, doc="w below which the kvatinsky window stops SET")
    a_off: Metre = quantity(1.2e-9, source=_VERILOG, doc="w above which the kvatinsky window stops RESET")
    w_c: Metre = quantity(107e-12, source=_VERILOG, doc="softness of the kvatinsky window")
    margin: Fraction = quantity(
        0.01, source=_OURS, doc="part of the range at both ends that a window which is zero there shuts off"
    )
    tolerance: float = quantity(
        1e-6, source=_OURS, doc="accepted error of a piece of the integration, relative"
    )

    def __post_init__(self) -> None:
        check_positive(self)
        check_below(self, "r_on", "r_off")
        check_margin(self, self.margin)

    def state_bounds(self) -> tuple[float, float]:
        """Return 0 and 1, or the ends less the margin where the window is zero there."""
        margin = 0.0 if self.window == "kvatinsky" else margin_of(self.window, self.margin)
        return margin, 1.0 - margin

    def conductance(self, state: FloatArray) -> FloatArray:
        """Return 1/R [S]."""
        return conductance_of(self.resistance, state, self.r_on, self.r_off)

    def state_for(self, conductance: FloatArray) -> FloatArray:
        """Return the state with this conductance [S], clipped to the range."""
        clipped = np.clip(conductance, *self.conductance_range())
        state = state_of(self.resistance, clipped, self.r_on, self.r_off)
        result: FloatArray = np.clip(state, *self.state_bounds())
        return result

    def conductance_range(self) -> tuple[Parameter, Parameter]:
        """Return the conductances [S] at the ends of the range."""
        low, high = (self.conductance(np.asarray(end)) for end in self.state_bounds())
        return (float(low), float(high)) if low.ndim == 0 else (low, high)

    def _window(self, x: FloatArray, up: NDArray[np.bool_], parameters: tuple[Parameter, ...]) -> FloatArray:
        p, j, a_on, a_off, w_c, thickness = parameters
        if self.window != "kvatinsky":
            return window(self.window, x, up, p, j)
        w = (1.0 - x) * thickness
        result: FloatArray = np.exp(-np.exp(np.minimum(np.where(up, a_on - w, w - a_off) / w_c, 50.0)))
        return result

    def _speed(self, x: FloatArray, v: FloatArray, *parameters: Parameter) -> FloatArray:
        r_on, r_off, i_on, i_off, s_on, s_off, alpha_on, alpha_off, *shape = parameters
        i = v * conductance_of(self.resistance, x, r_on, r_off)
        up, down = np.maximum(i / i_on - 1.0, 0.0), np.maximum(-i / i_off - 1.0, 0.0)
        speed = s_on * up**alpha_on * (up > 0) - s_off * down**alpha_off * (down > 0)
        return speed * self._window(x, v > 0, tuple(shape))

    def _parameters(self) -> tuple[Parameter, ...]:
        d = self.thickness
        law = (self.i_on, self.i_off, self.k_on / d, self.k_off / d, self.alpha_on, self.alpha_off)
        return (
            self.r_on, self.r_off, *law,
            self.window_p, self.window_j, self.a_on, self.a_off, self.w_c, d,
        )  # fmt: skip

    def state_rate(self, state: FloatArray, voltage: FloatArray, temperature: float) -> FloatArray:
        """Return dx/dt [1/s]; the temperature has no effect."""
        return self._speed(state, voltage, *self._parameters())

    def advance(
        self, state: FloatArray, voltage: FloatArray, duration: Parameter, temperature: float
    ) -> FloatArray:
        """Return the state after ``duration`` [s], integrated."""
        bounds = Range(*self.state_bounds(), float(np.min(self.tolerance)))
        return integrate(self._speed, state, (voltage, *self._parameters()), duration, bounds)

    def fastest(self, low: FloatArray, high: FloatArray, voltage: float) -> FloatArray:
        """Return the speed at the largest current, times the largest value of the window."""
        r_on, r_off, i_on, i_off, s_on, s_off, alpha_on, alpha_off, *shape = self._parameters()
        current = abs(voltage) * conductance_of(self.resistance, high, r_on, r_off)
        rising = voltage > 0
        threshold, speed, alpha = (i_on, s_on, alpha_on) if rising else (i_off, s_off, alpha_off)
        above = np.maximum(current / threshold - 1.0, 0.0)
        if self.window == "kvatinsky":
            peak = self._window(low if rising else high, np.asarray(rising), tuple(shape))
        else:
            peak = window_peak(self.window, low, high, rising, self.window_p, self.window_j)
        result: FloatArray = np.asarray(speed * above**alpha * (above > 0)) * peak
        return result

    def programming_voltages(self) -> tuple[float, float]:
        """Return, for both, the voltage [V] at which twice the larger threshold flows through R_off."""
        largest = max(float(np.mean(self.i_on)), float(np.mean(self.i_off)))
        voltage = 2.0 * largest * float(np.mean(self.r_off))
        return voltage, voltage

    def subcircuit(self, temperature: float) -> Subcircuit:
        """Return the twin: x is the voltage of a capacitor, the speed a B source."""
        names = ["r_on", "r_off", "i_on", "i_off", "alpha_on", "alpha_off"]
        parameters: dict[str, Parameter] = {name: getattr(self, name) for name in names}
        parameters["s_on"], parameters["s_off"] = self.k_on / self.thickness, self.k_off / self.thickness
        parameters["unit"] = 1e-3 / parameters["s_off"]
        rising, falling = stop_text(*self.state_bounds())
        if self.window == "kvatinsky":
            parameters |= {"a_on": self.a_on, "a_off": self.a_off, "w_c": self.w_c, "d": self.thickness}
            window_up = "exp(-exp(min((a_on-(1-v(x))*d)/w_c,50)))"
            window_down = "exp(-exp(min(((1-v(x))*d-a_off)/w_c,50)))"
        else:
            parameters |= window_parameters(self.window, self.window_p, self.window_j)
            window_up, window_down = (window_text(self.window, "v(x)", up) for up in (True, False))
        current = f"v(p,n)/{resistance_text(self.resistance)}"
        up = f"s_on*max({current}/i_on-1,0)**alpha_on*{window_up}*{rising}"
        down = f"s_off*max(-{current}/i_off-1,0)**alpha_off*{window_down}*{falling}"
        body = f"""\
Cx x 0 {{unit}} ic={{x0}}
Bx 0 x i=unit*({up}-{down})
Bm p n i={current}"""
        return twin("cosim_team", parameters, body)
