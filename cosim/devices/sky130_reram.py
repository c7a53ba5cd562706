r"""SkyWater SKY130 ReRAM: a filament of thickness F grows and shrinks, at its local temperature.

.. math::
    i = I_{k1}\, e^{-(t_{ox}-F)/(t_{ox}-F_{ref})} \sinh(v/V_{ref}), \qquad
    T = T_{amb} + \frac{\tau_{th}}{C_{th}}\,|v\,i|

.. math::
    \dot F = v_1 \left[ e^{-E_g/kT}\, e^{\gamma a_0 q v/(t_{ox} kT)} -
      e^{-E_r/kT}\, e^{-\gamma a_0 q v/(t_{ox} kT)} \right], \qquad
    \gamma = \gamma_0 - \gamma_1 \left(\frac{t_{ox}-F}{1\,\mathrm{nm}}\right)^3

and no speed crosses the range in less than ``t_step``, the largest time step of the published code, which cannot
follow more: :math:`\dot x = f/(1 + |f|\,t_{step})`. Without this a SET at 2 V ends in a femtosecond.

The open PDK lets the temperature follow with its time constant of 0.23 ns; here it follows at once, since every
pulse is far longer (decision 0052). Heat couples filament and voltage, so the equation is integrated. The state is
x = (F - F_min)/(F_max - F_min), 1 for the thickest filament.

Source: sky130_fd_pr_reram, The SkyWater PDK Authors, Apache-2.0, ``sky130_fd_pr_reram__reram_cell.va``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, final

import numpy as np

from cosim.devices.base import BOLTZMANN_OVER_CHARGE, FloatArray, Parameter, Subcircuit, check, quantity
from cosim.devices.integrate import Range, integrate
from cosim.devices.rate import HELD, RateModel, check_below, check_positive, stop_text, twin
from cosim.units import Ampere, Metre, Second, Unit, Volt

_PDK = "sky130_fd_pr_reram, sky130_fd_pr_reram__reram_cell.va"
_OURS = "cosim"
_NANOMETRE = 1e-9

MetrePerSecond = Annotated[float, Unit("m/s")]
ElectronVolt = Annotated[float, Unit("eV")]
JoulePerKelvin = Annotated[float, Unit("J/K")]


@final
@dataclass(frozen=True, eq=False)
class Sky130Reram(RateModel):
    """SKY130 ReRAM cell; the state is 0 at the thinnest and 1 at the thickest filament."""

    name: ClassVar[str] = "sky130_reram"
    accuracy: ClassVar[float] = 1e-6
    reference: ClassVar[str] = _PDK

    i_k1: Ampere = quantity(6.14e-5, source=_PDK, doc="current scale")
    v_ref: Volt = quantity(0.43, source=_PDK, doc="voltage scale of the current")
    t_ox: Metre = quantity(5e-9, source=_PDK, doc="thickness of the oxide")
    f_ref: Metre = quantity(4.7249e-9, source=_PDK, doc="filament thickness of the current's calibration")
    f_min: Metre = quantity(3.3e-9, source=_PDK, doc="thinnest filament")
    f_max: Metre = quantity(4.9e-9, source=_PDK, doc="thickest filament")
    velocity: MetrePerSecond = quantity(150.0, source=_PDK, doc="speed of growth")
    e_generation: ElectronVolt = quantity(1.501, source=_PDK, doc="activation energy of vacancy generation")
    e_recombination: ElectronVolt = quantity(
        1.5, source=_PDK, doc="activation energy of vacancy recombination"
    )
    gamma_0: float = quantity(16.5, source=_PDK, doc="enhancement of the field")
    gamma_1: float = quantity(1.25, source=_PDK, doc="fall of the enhancement with the gap")
    a_0: Metre = quantity(0.25e-9, source=_PDK, doc="distance of atoms")
    c_th: JoulePerKelvin = quantity(3.1825e-16, source=_PDK, doc="thermal capacitance")
    tau_th: Second = quantity(0.23e-9, source=_PDK, doc="thermal time constant")
    t_step: Second = quantity(
        1e-9, source=_PDK + ", its largest time step", doc="least time in which the whole range is crossed"
    )
    tolerance: float = quantity(
        1e-6, source=_OURS, doc="accepted error of a piece of the integration, relative"
    )

    def __post_init__(self) -> None:
        check_positive(self)
        check_below(self, "f_min", "f_max")
        check_below(self, "f_max", "t_ox")
        check_below(self, "f_ref", "t_ox")
        widest = (np.asarray(self.t_ox) - self.f_min) / _NANOMETRE
        rule = "below gamma_0 / ((t_ox - f_min) / 1 nm)^3, so that the field is enhanced at every state"
        check(bool(np.all(self.gamma_1 * widest**3 < self.gamma_0)), self.name, "gamma_1", rule, self.gamma_1)

    @property
    def linear(self) -> bool:
        return False

    def filament(self, state: FloatArray) -> FloatArray:
        """Return the thickness of the filament [m]."""
        result: FloatArray = self.f_min + state * (np.asarray(self.f_max) - self.f_min)
        return result

    def conductance(self, state: FloatArray) -> FloatArray:
        """Return the slope of the current at 0 V [S]."""
        decay = np.asarray(self.t_ox) - self.f_ref
        result: FloatArray = self.i_k1 / self.v_ref * np.exp(-(self.t_ox - self.filament(state)) / decay)
        return result

    def state_for(self, conductance: FloatArray) -> FloatArray:
        """Return the state with this conductance [S], clipped to 0..1."""
        clipped = np.clip(conductance, *self.conductance_range())
        decay = np.asarray(self.t_ox) - self.f_ref
        filament = self.t_ox + decay * np.log(clipped * self.v_ref / self.i_k1)
        result: FloatArray = np.clip(
            (filament - self.f_min) / (np.asarray(self.f_max) - self.f_min), 0.0, 1.0
        )
        return result

    def conductance_range(self) -> tuple[Parameter, Parameter]:
        """Return the conductances [S] at the thinnest and the thickest filament."""
        low, high = (self.conductance(np.asarray(end)) for end in (0.0, 1.0))
        return (float(low), float(high)) if low.ndim == 0 else (low, high)

    def current(self, state: FloatArray, voltage: FloatArray) -> FloatArray:
        """Return the current [A]."""
        return self.conductance(state) * self.v_ref * np.sinh(voltage / self.v_ref)

    def current_slope(self, state: FloatArray, voltage: FloatArray) -> FloatArray:
        """Return the derivative of the current by the voltage [S]."""
        return self.conductance(state) * np.cosh(voltage / self.v_ref)

    def temperature(self, state: FloatArray, voltage: FloatArray, ambient: float) -> FloatArray:
        """Return the temperature of the filament [K]."""
        power = np.abs(voltage * self.current(state, voltage))
        result: FloatArray = ambient + power * (self.tau_th / np.asarray(self.c_th))
        return result

    def _parameters(self) -> tuple[Parameter, ...]:
        return (
            self.i_k1, self.v_ref, self.t_ox, self.t_ox - self.f_ref, self.f_min, self.f_max, self.velocity,
            self.e_generation, self.e_recombination, self.gamma_0, self.gamma_1, self.a_0,
            self.tau_th / self.c_th, self.t_step,
        )  # fmt: skip

    def state_rate(self, state: FloatArray, voltage: FloatArray, temperature: float) -> FloatArray:
        """Return dx/dt [1/s] at the ambient ``temperature`` [K]."""
        return filament_speed(state, voltage, temperature, *self._parameters())

    def advance(
        self, state: FloatArray, voltage: FloatArray, duration: Parameter, temperature: float
    ) -> FloatArray:
        """Return the state after ``duration`` [s], integrated."""
        bounds = Range(0.0, 1.0, float(np.min(self.tolerance)))
        return integrate(filament_speed, state, (voltage, temperature, *self._parameters()), duration, bounds)

    def programming_voltages(self) -> tuple[float, float]:
        """Return 1.95 V and 1 V: microseconds each way (the PDK's 2.4 V and 2.6 V are over device and transistor)."""
        return 1.95, 1.0

    def subcircuit(self, temperature: float) -> Subcircuit:
        """Return the twin: x is the voltage of a capacitor, the speed a B source."""
        names = (
            "i_k1", "v_ref", "t_ox", "f_ref", "f_min", "f_max", "velocity", "e_generation", "e_recombination",
            "gamma_0", "gamma_1", "a_0", "t_step",
        )  # fmt: skip
        parameters: dict[str, Parameter] = {name: getattr(self, name) for name in names}
        parameters |= {"r_th": self.tau_th / self.c_th, "k_q": BOLTZMANN_OVER_CHARGE}
        parameters["kt_0"] = BOLTZMANN_OVER_CHARGE * temperature
        rising, falling = stop_text(0.0, 1.0)
        gap = f"(t_ox-f_min-{HELD}*(f_max-f_min))"
        current = f"i_k1*exp(-{gap}/(t_ox-f_ref))*sinh(v(p,n)/v_ref)"
        kt = f"(kt_0+k_q*r_th*abs(v(p,n)*{current}))"
        field = f"(gamma_0-gamma_1*(1e9*{gap})**3)*a_0/t_ox*v(p,n)"
        up = f"exp(min(({field}-e_generation)/{kt},300))"
        down = f"exp(min((-{field}-e_recombination)/{kt},300))"
        fastest = f"(1+velocity/(f_max-f_min)*abs({up}-{down})*t_step)"
        body = f"""\
Cx x 0 1e-9 ic={{x0}}
Bx 0 x i=1e-9*velocity/(f_max-f_min)*({up}-{down})/{fastest}*(v(p,n)>0?{rising}:{falling})
Bm p n i={current}"""
        return twin("cosim_sky130_reram", parameters, body)


def filament_speed(
    x: FloatArray,
    v: FloatArray,
    ambient: Parameter,
    i_k1: Parameter,
    v_ref: Parameter,
    t_ox: Parameter,
    decay: Parameter,
    f_min: Parameter,
    f_max: Parameter,
    velocity: Parameter,
    e_generation: Parameter,
    e_recombination: Parameter,
    gamma_0: Parameter,
    gamma_1: Parameter,
    a_0: Parameter,
    r_th: Parameter,
    t_step: Parameter,
) -> FloatArray:
    """Return dx/dt [1/s]; ``decay`` is t_ox - f_ref [m], ``r_th`` tau_th/c_th [K/W], the rest is named in `Sky130Reram`."""
    span = f_max - f_min
    gap = t_ox - f_min - x * span
    power = np.abs(v * i_k1 * np.exp(-gap / decay) * np.sinh(v / v_ref))
    kt = BOLTZMANN_OVER_CHARGE * (ambient + r_th * power)
    field = (gamma_0 - gamma_1 * (gap / _NANOMETRE) ** 3) * (a_0 / t_ox) * v
    up = np.exp(np.minimum((field - e_generation) / kt, 300.0))
    down = np.exp(np.minimum((-field - e_recombination) / kt, 300.0))
    speed = velocity / span * (up - down)
    result: FloatArray = speed / (1.0 + np.abs(speed) * t_step)
    return result
