r"""Data-driven model of oxide RRAM: the resistance creeps towards a bound that the voltage sets.

.. math::
    \dot R = \begin{cases}
      A_p\,(e^{t_p v}-1)\,(e^{\kappa_p (r_p - R)} - 1)   & v > 0,\ R < r_p(v) \\
      A_n\,(e^{t_n |v|}-1)\,(e^{\kappa_n (R - r_n)} - 1) & v < 0,\ R > r_n(v) \\
      0                                                  & \text{else}
    \end{cases} \qquad r_{p,n}(v) = r_0 + r_1 v, \qquad i = \frac{a}{R} \sinh(b v)

in the paper's sign, where a positive voltage raises the resistance; cosim turns the sign of the voltage, so that a
positive one lowers it. At constant voltage :math:`u = e^{\pm\kappa R}` follows a linear equation, so that

.. math:: |R(t) - R_0| = \tfrac{1}{\kappa} \ln\!\left[1 + \left(1 - e^{-\kappa |s| t}\right)
    \left(e^{\kappa |r - R_0|} - 1\right)\right], \qquad s = A\,(e^{t |v|} - 1)

is the closed form of a pulse of any length. The state is x = (R_off - R)/(R_off - R_on).

Source: Messaris, Serb, Stathopoulos, Khiat, Nikolaidis, Prodromakis, "A data-driven Verilog-A ReRAM model",
IEEE TCAD 37(12), 3151 (2018).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, final

import numpy as np

from cosim.devices.base import FloatArray, Parameter, Subcircuit, check, quantity
from cosim.devices.elementwise import elementwise
from cosim.devices.rate import RateModel, check_below, check_positive, stop_text, twin
from cosim.units import Ohm, Unit

_MEMTORCH = "Messaris et al. 2018, TiOx device, the set of MemTorch (Lammie et al., arXiv 2004.10971)"

PerVolt = Annotated[float, Unit("1/V")]
PerOhm = Annotated[float, Unit("1/ohm")]
OhmPerSecond = Annotated[float, Unit("ohm/s")]
OhmPerVolt = Annotated[float, Unit("ohm/V")]


@final
@dataclass(frozen=True, eq=False)
class DataDriven(RateModel):
    """Data-driven RRAM with voltage-dependent bounds; the state is 0 at R_off and 1 at R_on."""

    name: ClassVar[str] = "data_driven"
    reference: ClassVar[str] = "Messaris et al., IEEE TCAD 37(12), 3151 (2018)"

    r_on: Ohm = quantity(1280.0, source=_MEMTORCH, doc="lowest resistance")
    r_off: Ohm = quantity(17e3, source=_MEMTORCH, doc="highest resistance")
    a_p: OhmPerSecond = quantity(743.47, source=_MEMTORCH, doc="speed of RESET")
    a_n: OhmPerSecond = quantity(68012.28374, source=_MEMTORCH, doc="speed of SET (magnitude)")
    t_p: PerVolt = quantity(6.51, source=_MEMTORCH, doc="voltage exponent of RESET")
    t_n: PerVolt = quantity(0.31645, source=_MEMTORCH, doc="voltage exponent of SET")
    k_p: PerOhm = quantity(5.11e-4, source=_MEMTORCH, doc="steepness of RESET near its bound")
    k_n: PerOhm = quantity(1.17e-3, source=_MEMTORCH, doc="steepness of SET near its bound")
    r_p0: Ohm = quantity(16719.0, source=_MEMTORCH, doc="bound of RESET at 0 V")
    r_p1: OhmPerVolt = quantity(0.0, source=_MEMTORCH, doc="rise of the bound of RESET with the voltage")
    r_n0: Ohm = quantity(29304.82557, source=_MEMTORCH, doc="bound of SET at 0 V")
    r_n1: OhmPerVolt = quantity(
        23692.77225, source=_MEMTORCH, doc="fall of the bound of SET with the voltage"
    )
    amplitude: float = quantity(0.24, source=_MEMTORCH, doc="factor a of the current")
    b: PerVolt = quantity(3.0, source=_MEMTORCH, doc="curvature of the current")

    def __post_init__(self) -> None:
        check_positive(self, but=("r_p1",))
        slope = np.asarray(self.r_p1)
        check(bool(np.all(np.isfinite(slope))), self.name, "r_p1", "finite", self.r_p1)
        check_below(self, "r_on", "r_off")

    @property
    def linear(self) -> bool:
        return False

    def resistance(self, state: FloatArray) -> FloatArray:
        """Return the state variable R of the paper [ohm]."""
        result: FloatArray = self.r_off - state * (np.asarray(self.r_off) - self.r_on)
        return result

    def conductance(self, state: FloatArray) -> FloatArray:
        """Return a b / R [S], the slope of the current at 0 V."""
        result: FloatArray = self.amplitude * self.b / self.resistance(state)
        return result

    def state_for(self, conductance: FloatArray) -> FloatArray:
        """Return the state with this conductance [S], clipped to 0..1."""
        clipped = np.clip(conductance, *self.conductance_range())
        resistance = np.asarray(self.amplitude) * self.b / clipped
        state = (self.r_off - resistance) / (np.asarray(self.r_off) - self.r_on)
        result: FloatArray = np.clip(state, 0.0, 1.0)
        return result

    def conductance_range(self) -> tuple[Parameter, Parameter]:
        """Return a b/R_off and a b/R_on [S]."""
        slope = self.amplitude * self.b
        return slope / self.r_off, slope / self.r_on

    def current(self, state: FloatArray, voltage: FloatArray) -> FloatArray:
        """Return (a/R) sinh(b v) [A]."""
        result: FloatArray = self.amplitude / self.resistance(state) * np.sinh(self.b * voltage)
        return result

    def current_slope(self, state: FloatArray, voltage: FloatArray) -> FloatArray:
        """Return (a b/R) cosh(b v) [S]."""
        return self.conductance(state) * np.cosh(self.b * voltage)

    def _drive(self, voltage: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """Return speed [ohm/s], steepness [1/ohm], bound [ohm] and sign (+1: R rises) at a voltage of cosim's sign."""
        resets = voltage < 0
        size = np.abs(voltage)
        speed = np.where(resets, self.a_p * np.expm1(self.t_p * size), self.a_n * np.expm1(self.t_n * size))
        bound = np.where(resets, self.r_p0 + self.r_p1 * size, self.r_n0 - self.r_n1 * size)
        return speed, np.where(resets, self.k_p, self.k_n), bound, np.where(resets, 1.0, -1.0)

    def state_rate(self, state: FloatArray, voltage: FloatArray, temperature: float) -> FloatArray:
        """Return dx/dt [1/s]; the temperature has no effect."""
        speed, steepness, bound, sign = self._drive(voltage)
        away = np.maximum(sign * (bound - self.resistance(state)), 0.0)
        result: FloatArray = -sign * speed * np.expm1(steepness * away) / (np.asarray(self.r_off) - self.r_on)
        return result

    def elementwise_law(self, temperature: float) -> tuple[float, ...]:
        """Return R_off, R_off - R_on [ohm], then speed, exponents and bounds of RESET and of SET."""
        return (
            self.r_off, self.r_off - self.r_on,
            self.a_p, self.t_p, self.k_p, self.r_p0, self.r_p1,
            self.a_n, self.t_n, self.k_n, self.r_n0, -self.r_n1,
        )  # fmt: skip

    @elementwise
    def advance(
        self, state: FloatArray, voltage: FloatArray, duration: Parameter, temperature: float
    ) -> FloatArray:
        """Return the closed form after ``duration`` [s], stopped at the ends of the range."""
        speed, steepness, bound, sign = self._drive(voltage)
        before = self.resistance(state)
        away = np.maximum(sign * (bound - before), 0.0)
        part = -np.expm1(-steepness * speed * duration)
        # The exponent is held in the range of doubles, which no published set comes near.
        moved = np.log1p(part * np.expm1(np.minimum(steepness * away, 700.0))) / steepness
        change = -sign * moved / (np.asarray(self.r_off) - self.r_on)
        result: FloatArray = np.clip(state + change, 0.0, 1.0)
        return result

    def fastest(self, low: FloatArray, high: FloatArray, voltage: float) -> FloatArray | None:
        """Return the speed farthest from the bound of the resistance."""
        if np.any(np.asarray(self.r_p1) < 0):
            return None  # the bound of RESET comes nearer with the voltage
        return np.abs(self.state_rate(low if voltage > 0 else high, np.asarray(voltage), 300.0))

    def programming_voltages(self) -> tuple[float, float]:
        """Return 1 V, within the range of the published measurements."""
        return 1.0, 1.0

    def subcircuit(self, temperature: float) -> Subcircuit:
        """Return the twin: x is the voltage of a capacitor, the speed a B source."""
        names = ("r_on", "r_off", "a_p", "a_n", "t_p", "t_n", "k_p", "k_n", "r_p0", "r_p1", "r_n0", "r_n1")
        parameters: dict[str, Parameter] = {name: getattr(self, name) for name in names}
        parameters |= {"c_a": self.amplitude, "c_b": self.b}
        rising, falling = stop_text(0.0, 1.0)
        r = "(r_off-v(x)*(r_off-r_on))"
        up = f"a_n*(exp(t_n*max(v(p,n),0))-1)*(exp(k_n*max({r}-(r_n0-r_n1*max(v(p,n),0)),0))-1)*{rising}"
        down = f"a_p*(exp(t_p*max(-v(p,n),0))-1)*(exp(k_p*max(r_p0+r_p1*max(-v(p,n),0)-{r},0))-1)*{falling}"
        body = f"""\
Cx x 0 {{(r_off-r_on)/a_n}} ic={{x0}}
Bx 0 x i=({up}-{down})/a_n
Bm p n i=c_a/{r}*sinh(c_b*v(p,n))"""
        return twin("cosim_data_driven", parameters, body)
