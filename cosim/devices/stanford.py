r"""Stanford-PKU RRAM: a filament whose gap g opens and closes, at the local temperature of the filament.

.. math::
    i = I_0\, e^{-g/g_0} \sinh(v/V_0), \qquad T = T_{amb} + R_{th}\,|v\,i|

.. math::
    \dot g = -v_0\, e^{-E_a/kT} \sinh\!\left(\frac{\gamma\, a_0}{t_{ox}} \frac{q v}{kT}\right), \qquad
    \gamma = \gamma_0 - \beta\,(g / 1\,\mathrm{nm})^3

and the gap stands still while the local field :math:`\gamma |v|/t_{ox}` is below ``f_min``. The published code
jumps there; cosim lets the speed rise from zero over the next 1 % of the field. The temperature follows the power
at once (it is an algebraic equation in the published model too). Heat couples gap and voltage, so the
equation is integrated. The state is x = (g_max - g)/(g_max - g_min), 1 for the shortest gap.

Source: Jiang, Yu, Wu, Engel, Guan, Wong, "Verilog-A compact model for oxide-based resistive random access memory",
SISPAD 2014, and the Stanford RRAM model 1.0.0 (doi 10.4231/D37H1DN48), without its random gap fluctuation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, final

import numpy as np

from cosim.devices.base import BOLTZMANN_OVER_CHARGE, FloatArray, Parameter, Subcircuit, check, quantity
from cosim.devices.integrate import Range, integrate
from cosim.devices.rate import HELD, RateModel, check_below, check_positive, stop_text, twin
from cosim.units import Ampere, Metre, Unit, Volt

_SET = "Stanford-PKU set of MemTorch (Lammie et al., arXiv 2004.10971)"
_OURS = "cosim"
_NANOMETRE = 1e-9
_RISE = 0.01

MetrePerSecond = Annotated[float, Unit("m/s")]
ElectronVolt = Annotated[float, Unit("eV")]
KelvinPerWatt = Annotated[float, Unit("K/W")]
VoltPerMetre = Annotated[float, Unit("V/m")]


@final
@dataclass(frozen=True, eq=False)
class Stanford(RateModel):
    """Stanford-PKU filament RRAM; the state is 0 at the widest and 1 at the narrowest gap."""

    name: ClassVar[str] = "stanford"
    accuracy: ClassVar[float] = 1e-6
    reference: ClassVar[str] = "Jiang et al., SISPAD 2014; Stanford RRAM model 1.0.0, doi 10.4231/D37H1DN48"

    i_0: Ampere = quantity(1e-3, source=_SET, doc="current scale")
    v_0: Volt = quantity(0.25, source=_SET, doc="voltage scale of the current")
    g_0: Metre = quantity(0.25e-9, source=_SET, doc="gap over which the current falls by e")
    gap_min: Metre = quantity(0.2e-9, source=_SET + ", initial gap", doc="narrowest gap")
    gap_max: Metre = quantity(1.7e-9, source="Stanford RRAM model 1.0.0", doc="widest gap")
    velocity: MetrePerSecond = quantity(10.0, source=_SET, doc="speed of the gap")
    e_a: ElectronVolt = quantity(0.6, source=_SET, doc="activation energy")
    gamma_0: float = quantity(16.0, source=_SET, doc="enhancement of the field")
    beta: float = quantity(0.8, source=_SET, doc="fall of the enhancement with the gap")
    a_0: Metre = quantity(0.25e-9, source=_SET, doc="distance of atoms")
    t_ox: Metre = quantity(12e-9, source=_SET, doc="thickness of the oxide")
    f_min: VoltPerMetre = quantity(1.4e9, source=_SET, doc="local field below which the gap stands still")
    r_th: KelvinPerWatt = quantity(2.1e3, source=_SET, doc="thermal resistance of the filament")
    tolerance: float = quantity(
        1e-6, source=_OURS, doc="accepted error of a piece of the integration, relative"
    )

    def __post_init__(self) -> None:
        check_positive(self)
        check_below(self, "gap_min", "gap_max")
        least = np.asarray(self.gamma_0) - self.beta * (np.asarray(self.gap_max) / _NANOMETRE) ** 3
        rule = "below gamma_0 / (gap_max / 1 nm)^3, so that the field is enhanced at every gap"
        check(bool(np.all(least > 0)), self.name, "beta", rule, self.beta)

    @property
    def linear(self) -> bool:
        return False

    def gap(self, state: FloatArray) -> FloatArray:
        """Return the gap [m]."""
        result: FloatArray = self.gap_max - state * (np.asarray(self.gap_max) - self.gap_min)
        return result

    def _amplitude(self, state: FloatArray) -> FloatArray:
        result: FloatArray = self.i_0 * np.exp(-self.gap(state) / self.g_0)
        return result

    def conductance(self, state: FloatArray) -> FloatArray:
        """Return I_0 exp(-g/g_0)/V_0 [S], the slope of the current at 0 V."""
        result: FloatArray = self._amplitude(state) / self.v_0
        return result

    def state_for(self, conductance: FloatArray) -> FloatArray:
        """Return the state with this conductance [S], clipped to 0..1."""
        clipped = np.clip(conductance, *self.conductance_range())
        gap = -np.asarray(self.g_0) * np.log(clipped * self.v_0 / self.i_0)
        state = (self.gap_max - gap) / (np.asarray(self.gap_max) - self.gap_min)
        result: FloatArray = np.clip(state, 0.0, 1.0)
        return result

    def conductance_range(self) -> tuple[Parameter, Parameter]:
        """Return the conductances [S] at the widest and the narrowest gap."""
        low, high = (self.conductance(np.asarray(end)) for end in (0.0, 1.0))
        return (float(low), float(high)) if low.ndim == 0 else (low, high)

    def current(self, state: FloatArray, voltage: FloatArray) -> FloatArray:
        """Return I_0 exp(-g/g_0) sinh(v/V_0) [A]."""
        result: FloatArray = self._amplitude(state) * np.sinh(voltage / self.v_0)
        return result

    def current_slope(self, state: FloatArray, voltage: FloatArray) -> FloatArray:
        """Return the derivative of the current by the voltage [S]."""
        return self.conductance(state) * np.cosh(voltage / self.v_0)

    def temperature(self, state: FloatArray, voltage: FloatArray, ambient: float) -> FloatArray:
        """Return the temperature of the filament [K]."""
        result: FloatArray = ambient + self.r_th * np.abs(voltage * self.current(state, voltage))
        return result

    def state_rate(self, state: FloatArray, voltage: FloatArray, temperature: float) -> FloatArray:
        """Return dx/dt [1/s] at the ambient ``temperature`` [K]."""
        return gap_speed(state, voltage, temperature, *self._parameters())

    def _parameters(self) -> tuple[Parameter, ...]:
        return (
            self.i_0, self.v_0, self.g_0, self.gap_min, self.gap_max, self.velocity, self.e_a,
            self.gamma_0, self.beta, self.a_0 / self.t_ox, self.f_min * self.t_ox, self.r_th,
        )  # fmt: skip

    def advance(
        self, state: FloatArray, voltage: FloatArray, duration: Parameter, temperature: float
    ) -> FloatArray:
        """Return the state after ``duration`` [s], integrated."""
        bounds = Range(0.0, 1.0, float(np.min(self.tolerance)))
        return integrate(gap_speed, state, (voltage, temperature, *self._parameters()), duration, bounds)

    def programming_voltages(self) -> tuple[float, float]:
        """Return 1.2 and 1.1 times the voltage [V] at which the wider and the narrower gap begin to move."""
        v_min = float(np.mean(self.f_min)) * float(np.mean(self.t_ox))
        cube = (np.array([np.mean(self.gap_max), np.mean(self.gap_min)]) / _NANOMETRE) ** 3
        wide, narrow = (float(np.mean(self.gamma_0)) - float(np.mean(self.beta)) * cube).tolist()
        return 1.2 * v_min / wide, 1.1 * v_min / narrow

    def subcircuit(self, temperature: float) -> Subcircuit:
        """Return the twin: x is the voltage of a capacitor, the speed a B source."""
        names = ("i_0", "v_0", "g_0", "gap_min", "gap_max", "e_a", "gamma_0", "beta", "r_th")
        parameters: dict[str, Parameter] = {name: getattr(self, name) for name in names}
        parameters["share"], parameters["v_min"] = self.a_0 / self.t_ox, self.f_min * self.t_ox
        parameters["speed"] = self.velocity / (self.gap_max - self.gap_min)
        parameters |= {"kt_0": BOLTZMANN_OVER_CHARGE * temperature, "k_q": BOLTZMANN_OVER_CHARGE}
        rising, falling = stop_text(0.0, 1.0)
        gap = f"(gap_max-{HELD}*(gap_max-gap_min))"
        current = f"i_0*exp(-{gap}/g_0)*sinh(v(p,n)/v_0)"
        kt = f"(kt_0+k_q*r_th*abs(v(p,n)*{current}))"
        gamma = f"(gamma_0-beta*(1e9*{gap})**3)"
        gate = f"min(max(({gamma}*abs(v(p,n))/v_min-1)/{_RISE},0),1)"
        field = f"{gamma}*share*abs(v(p,n))/{kt}"
        body = f"""\
Cx x 0 1e-9 ic={{x0}}
Bx 0 x i=1e-9*speed*exp(-e_a/{kt})*sinh(min({field},300))*{gate}*(v(p,n)>=0?{rising}:-{falling})
Bm p n i={current}"""
        return twin("cosim_stanford", parameters, body)


def gap_speed(
    x: FloatArray,
    v: FloatArray,
    ambient: Parameter,
    i_0: Parameter,
    v_0: Parameter,
    g_0: Parameter,
    gap_min: Parameter,
    gap_max: Parameter,
    velocity: Parameter,
    e_a: Parameter,
    gamma_0: Parameter,
    beta: Parameter,
    share: Parameter,
    v_min: Parameter,
    r_th: Parameter,
) -> FloatArray:
    """Return dx/dt [1/s]; ``share`` is a_0/t_ox, ``v_min`` is f_min t_ox [V], the rest is named in `Stanford`."""
    span = gap_max - gap_min
    gap = gap_max - x * span
    power = np.abs(v * i_0 * np.exp(-gap / g_0) * np.sinh(v / v_0))
    kt = BOLTZMANN_OVER_CHARGE * (ambient + r_th * power)
    gamma = gamma_0 - beta * (gap / _NANOMETRE) ** 3
    gate = np.minimum(np.maximum((gamma * np.abs(v) / v_min - 1.0) / _RISE, 0.0), 1.0)
    # The limit is beyond all physics and keeps the rate finite.
    field = np.minimum(gamma * share * np.abs(v) / kt, 300.0)
    result: FloatArray = np.sign(v) * velocity / span * np.exp(-e_a / kt) * np.sinh(field) * gate
    return result
