r"""VTEAM: a memristor whose state moves by a power of the voltage above a threshold.

.. math::
    \dot x = \begin{cases}
      (k_{on}/D)\,(v/v_{on}-1)^{\alpha_{on}}\,f(x)      & v > v_{on} \\
      -(k_{off}/D)\,(-v/v_{off}-1)^{\alpha_{off}}\,f(x) & v < -v_{off} \\
      0                                                & \text{between}
    \end{cases}

with the window f of `cosim.devices.windows`. :math:`x = 1 - (w-w_{on})/D` is the paper's state
:math:`w`, turned so that 1 is the low resistance, and a positive voltage here is the paper's negative one. The
resistance is linear in the state, :math:`R = R_{on} + (1-x)(R_{off}-R_{on})`, or exponential,
:math:`R = R_{on} (R_{off}/R_{on})^{1-x}` (the paper's equations 8 and 10).

Voltage and state are separable: without a window the state goes along a ramp, with one it follows one
table per direction (`cosim.devices.travel`).

Source: Kvatinsky, Ramadan, Friedman, Kolodny, "VTEAM: a general model for voltage-controlled memristors",
IEEE TCAS-II 62(8), 786 (2015).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, final

import numpy as np

from cosim.devices.base import FloatArray, Parameter, Subcircuit, quantity
from cosim.devices.elementwise import elementwise
from cosim.devices.integrate import Range, integrate
from cosim.devices.rate import RateModel, check_below, check_margin, check_positive, shared, stop_text, twin
from cosim.devices.resistance import ResistanceLaw, conductance_of, resistance_text, state_of
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
from cosim.units import Fraction, Metre, Ohm, Unit, Volt

_MEMTORCH = "VTEAM set of MemTorch (Lammie et al., arXiv 2004.10971): R 50 ohm to 1 kohm, D 3 nm"
_OURS = "cosim"

MetrePerSecond = Annotated[float, Unit("m/s")]


@final
@dataclass(frozen=True, eq=False)
class Vteam(RateModel):
    """VTEAM memristor with voltage thresholds; the state is 0 at R_off and 1 at R_on."""

    name: ClassVar[str] = "vteam"
    accuracy: ClassVar[float] = 1e-8
    reference: ClassVar[str] = "Kvatinsky et al., IEEE TCAS-II 62(8), 786 (2015)"

    r_on: Ohm = quantity(50.0, source=_MEMTORCH, doc="lowest resistance")
    r_off: Ohm = quantity(1e3, source=_MEMTORCH, doc="highest resistance")
    v_on: Volt = quantity(0.2, source=_MEMTORCH, doc="SET threshold (the paper's v_on, turned)")
    v_off: Volt = quantity(0.02, source=_MEMTORCH, doc="RESET threshold (magnitude)")
    k_on: MetrePerSecond = quantity(10.0, source=_MEMTORCH, doc="speed of SET (magnitude)")
    k_off: MetrePerSecond = quantity(5e-4, source=_MEMTORCH, doc="speed of RESET")
    alpha_on: float = quantity(3.0, source=_MEMTORCH, doc="exponent of SET")
    alpha_off: float = quantity(1.0, source=_MEMTORCH, doc="exponent of RESET")
    thickness: Metre = quantity(3e-9, source=_MEMTORCH, doc="range D of the state variable w")
    resistance: ResistanceLaw = quantity(
        "linear", source="equation 8 of the paper", doc="how the resistance depends on the state"
    )
    window: WindowName = quantity("none", source="the paper's ideal-window case", doc="window function")
    window_p: float = quantity(2.0, source=_OURS, doc="exponent p of the window")
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

    def drive(self, voltage: FloatArray) -> FloatArray:
        """Return the speed of the state [1/s] without its window."""
        up = np.maximum(voltage / self.v_on - 1.0, 0.0)
        down = np.maximum(-voltage / self.v_off - 1.0, 0.0)
        speed = self.k_on * up**self.alpha_on * (up > 0) - self.k_off * down**self.alpha_off * (down > 0)
        result: FloatArray = speed / self.thickness
        return result

    def state_rate(self, state: FloatArray, voltage: FloatArray, temperature: float) -> FloatArray:
        """Return dx/dt [1/s]; the temperature has no effect."""
        return self.drive(voltage) * window(self.window, state, voltage > 0, self.window_p, self.window_j)

    def elementwise_law(self, temperature: float) -> tuple[float, ...] | None:
        """Return threshold [V], speed [1/s] and exponent of SET and of RESET, and the range; None with a window."""
        if self.window != "none":
            return None
        on, off = self.k_on / self.thickness, self.k_off / self.thickness
        return (
            self.v_on,
            on,
            self.alpha_on,
            self.v_off,
            off,
            self.alpha_off,
            *self.state_bounds(),
        )

    @elementwise
    def advance(
        self, state: FloatArray, voltage: FloatArray, duration: Parameter, temperature: float
    ) -> FloatArray:
        """Return the state after ``duration`` [s]: a ramp, or along the window's tables."""
        low, high = self.state_bounds()
        drive = self.drive(voltage)
        if self.window == "none":
            ramp: FloatArray = np.clip(state + drive * duration, low, high)
            return ramp
        p, j = self.window_p, self.window_j
        if shared(p, j):
            return travelled(*window_tables(self.window, p, j, low, high), state, drive * duration)

        def rate(x: FloatArray, s: FloatArray, p: FloatArray, j: FloatArray) -> FloatArray:
            return s * window(self.window, x, s > 0, p, j)

        return integrate(rate, state, (drive, p, j), duration, Range(low, high, self.accuracy))

    def fastest(self, low: FloatArray, high: FloatArray, voltage: float) -> FloatArray:
        """Return the speed without window times its largest value."""
        return np.abs(self.drive(np.asarray(voltage))) * window_peak(
            self.window, low, high, voltage > 0, self.window_p, self.window_j
        )

    def programming_voltages(self) -> tuple[float, float]:
        """Return twice the thresholds [V]."""
        return 2.0 * float(np.mean(self.v_on)), 2.0 * float(np.mean(self.v_off))

    def subcircuit(self, temperature: float) -> Subcircuit:
        """Return the twin: x is the voltage of a capacitor, the speed a B source."""
        names = ("r_on", "r_off", "v_on", "v_off", "alpha_on", "alpha_off")
        parameters: dict[str, Parameter] = {name: getattr(self, name) for name in names}
        parameters["s_on"], parameters["s_off"] = self.k_on / self.thickness, self.k_off / self.thickness
        parameters["unit"] = (parameters["s_on"] * parameters["s_off"]) ** -0.5
        parameters |= window_parameters(self.window, self.window_p, self.window_j)
        rising, falling = stop_text(*self.state_bounds())
        up = f"s_on*max(v(p,n)/v_on-1,0)**alpha_on*{window_text(self.window, 'v(x)', True)}*{rising}"
        down = f"s_off*max(-v(p,n)/v_off-1,0)**alpha_off*{window_text(self.window, 'v(x)', False)}*{falling}"
        body = f"""\
Cx x 0 {{unit}} ic={{x0}}
Bx 0 x i=unit*({up}-{down})
Bm p n i=v(p,n)/{resistance_text(self.resistance)}"""
        return twin("cosim_vteam", parameters, body)
