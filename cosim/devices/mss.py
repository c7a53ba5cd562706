r"""Metastable switch (MSS) memristor: N two-state switches with thermally activated transitions.

With :math:`V_T = kT/q`, :math:`P_{on} = 1/(1+e^{-(V-V_{on})/V_T})` and
:math:`P_{off} = 1/(1+e^{(V+V_{off})/V_T})` the fraction :math:`x` of switches that are on follows
:math:`\dot x = [(1-x) P_{on} - x P_{off}]/\tau`, and :math:`G = x/R_{on} + (1-x)/R_{off}`.

The current is that of the switches beside a Schottky barrier,
:math:`i = \varphi\,G\,v + (1-\varphi)\,[a_f e^{b_f v} - a_r e^{-b_r v}]`, with a part :math:`\varphi` of 1 unless
the barrier is wanted. The prefactors must be equal: otherwise a current would flow at 0 V.

At constant voltage the equation is linear in :math:`x`, so a pulse of any length has the closed form
:math:`x(t) = x_\infty + (x_0 - x_\infty) e^{-\lambda t}` with :math:`\lambda = (P_{on}+P_{off})/\tau`
and :math:`x_\infty = P_{on}/(P_{on}+P_{off})`. The thresholds are soft: the state relaxes at 0 V too.

Source: Nugent and Molter, "AHaH computing", PLOS ONE 9(2): e85175 (2014), generalized MSS model; the
default parameters are those of the kT-RAM emulator's MSS profile.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, ClassVar, Literal, final

import numpy as np

from cosim.devices.base import (
    BOLTZMANN_OVER_CHARGE,
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
from cosim.units import Ampere, Fraction, Ohm, Second, Unit, Volt

_PROFILE = "kT-RAM neural core, default MSS profile"
_KNOWM = "jspice and models-4-all, Knowm MMSS set"

_POSITIVE = (
    "r_on", "r_off", "tau", "v_on", "v_off",
    "phi", "schottky_forward", "schottky_reverse", "schottky_forward_slope", "schottky_reverse_slope",
)  # fmt: skip

PerVolt = Annotated[float, Unit("1/V")]

_SUBCIRCUIT = """\
.subckt cosim_mss p n x params: r_on=1 r_off=1 v_on=1 v_off=1 tau=1 v_t=1 x0=0
Cx x 0 {tau} ic={x0}
Bx 0 x i=(1-v(x))*0.5*(1+tanh((v(p,n)-v_on)/(2*v_t)))-v(x)*0.5*(1-tanh((v(p,n)+v_off)/(2*v_t)))
Bm p n i=v(p,n)*(v(x)/r_on+(1-v(x))/r_off)
.ends cosim_mss
"""
_SCHOTTKY = """\
.subckt cosim_mss p n x params: r_on=1 r_off=1 v_on=1 v_off=1 tau=1 v_t=1 phi=1 s_a=1 s_f=1 s_r=1 x0=0
Cx x 0 {tau} ic={x0}
Bx 0 x i=(1-v(x))*0.5*(1+tanh((v(p,n)-v_on)/(2*v_t)))-v(x)*0.5*(1-tanh((v(p,n)+v_off)/(2*v_t)))
Bm p n i=phi*v(p,n)*(v(x)/r_on+(1-v(x))/r_off)+(1-phi)*s_a*(exp(s_f*v(p,n))-exp(-s_r*v(p,n)))
.ends cosim_mss
"""


def _logistic(z: FloatArray) -> FloatArray:
    """Return 1/(1+exp(-z)), with all digits of small values and without overflow."""
    result: FloatArray = 1.0 / (1.0 + np.exp(np.minimum(-z, 700.0)))
    return result


def _binomial(uniform: FloatArray, count: FloatArray, probability: FloatArray) -> FloatArray:
    """Return binomial draws by the inverse of their distribution."""
    from scipy.stats import binom

    return np.asarray(binom.ppf(uniform, count, probability))


def _rounded(uniform: FloatArray, count: FloatArray, probability: FloatArray) -> FloatArray:
    """Return Gaussians of binomial mean and variance, rounded half up as the kT-RAM emulator does.

    Rare events vanish (a mean below one half rounds to zero), and a count may come out negative.
    """
    from scipy.special import ndtri

    mean = count * probability
    deviation = np.sqrt(np.maximum(mean * (1.0 - probability), 0.0))
    return np.asarray(np.floor(mean + deviation * ndtri(uniform) + 0.5))


@final
@dataclass(frozen=True, eq=False)
class Mss(DeviceModel):
    """Metastable-switch memristor; the state is the fraction of switches that are on (0 to 1)."""

    name: ClassVar[str] = "mss"
    affine: ClassVar[bool] = True
    reference: ClassVar[str] = "Nugent and Molter, PLOS ONE 9(2): e85175 (2014)"

    r_on: Ohm = quantity(1e3, source=_PROFILE, doc="resistance with all switches on")
    r_off: Ohm = quantity(1e4, source=_PROFILE, doc="resistance with all switches off")
    v_on: Volt = quantity(0.27, source=_PROFILE, doc="threshold of the off-to-on transition")
    v_off: Volt = quantity(0.27, source=_PROFILE, doc="threshold of the on-to-off transition (magnitude)")
    tau: Second = quantity(1e-5, source=_PROFILE, doc="time constant of a transition that is certain")
    switches: int | None = quantity(
        None,
        source="cosim: None is the mean of infinitely many switches; the kT-RAM profile has 1000",
        doc="number of switches: switching is random; none: the mean",
    )
    draws: Literal["binomial", "rounded_gaussian"] = quantity(
        "binomial",
        source="cosim: the exact two-state chain; the kT-RAM emulator draws rounded Gaussians",
        doc="how the number of switches that flip is drawn",
    )
    phi: Fraction = quantity(1.0, source=_PROFILE, doc="part of the current through the switches")
    schottky_forward: Ampere = quantity(8e-4, source=_KNOWM, doc="forward prefactor of the Schottky current")
    schottky_reverse: Ampere = quantity(
        8e-4, source=_KNOWM, doc="reverse prefactor of the Schottky current, equal to the forward one"
    )
    schottky_forward_slope: PerVolt = quantity(4.0, source=_KNOWM, doc="forward exponent")
    schottky_reverse_slope: PerVolt = quantity(4.0, source=_KNOWM, doc="reverse exponent")

    def __post_init__(self) -> None:
        for parameter in _POSITIVE:
            value = getattr(self, parameter)
            check(is_positive(value), self.name, parameter, "finite and above zero", value)
        check(bool(np.all(np.asarray(self.r_on) < self.r_off)), self.name, "r_on", "below r_off", self.r_on)
        check(bool(np.all(np.asarray(self.phi) <= 1)), self.name, "phi", "at most 100 %", self.phi)
        check(
            bool(np.all(np.asarray(self.schottky_reverse) == self.schottky_forward)),
            self.name,
            "schottky_reverse",
            f"equal to schottky_forward ({self.schottky_forward}), so that no current flows at 0 V",
            self.schottky_reverse,
        )
        check(self.switches is None or self.switches >= 1, self.name, "switches", "at least 1", self.switches)

    @cached_property
    def linear(self) -> bool:
        """Whether there is no Schottky current."""
        return bool(np.all(np.asarray(self.phi) == 1))

    @property
    def stochastic(self) -> bool:
        """Whether the model has a finite number of switches."""
        return self.switches is not None

    def _switches(self, state: FloatArray) -> FloatArray:
        off = 1.0 / self.r_off
        result: FloatArray = off + state * (1.0 / self.r_on - off)
        return result

    def _barrier(self) -> Parameter:
        """Return the slope of the Schottky current at 0 V [S]."""
        slopes = self.schottky_forward_slope + self.schottky_reverse_slope
        return (1.0 - self.phi) * self.schottky_forward * slopes

    def conductance(self, state: FloatArray) -> FloatArray:
        """Return phi [x/R_on + (1-x)/R_off] and the slope of the Schottky current at 0 V [S]."""
        switches = self._switches(state)
        return switches if self.linear else np.asarray(self.phi * switches + self._barrier())

    def current(self, state: FloatArray, voltage: FloatArray) -> FloatArray:
        """Return the current through switches and barrier [A]."""
        if self.linear:
            return self._switches(state) * voltage
        forward = np.exp(self.schottky_forward_slope * voltage)
        reverse = np.exp(-self.schottky_reverse_slope * voltage)
        barrier = (1.0 - self.phi) * self.schottky_forward * (forward - reverse)
        return self.phi * self._switches(state) * voltage + barrier

    def current_slope(self, state: FloatArray, voltage: FloatArray) -> FloatArray:
        """Return the derivative of the current by the voltage [S]."""
        if self.linear:
            return super().current_slope(state, voltage)
        f, r = self.schottky_forward_slope, self.schottky_reverse_slope
        slope = f * np.exp(f * voltage) + r * np.exp(-r * voltage)
        return self.phi * self._switches(state) + (1.0 - self.phi) * self.schottky_forward * slope

    def state_for(self, conductance: FloatArray) -> FloatArray:
        """Return the fraction of switches on at this conductance [S], clipped to 0..1."""
        low, high = self.conductance_range()
        result: FloatArray = np.clip((conductance - low) / (np.asarray(high) - low), 0.0, 1.0)
        return result

    def conductance_range(self) -> tuple[Parameter, Parameter]:
        """Return the conductances [S] with all switches off and on."""
        low, high = 1.0 / self.r_off, 1.0 / self.r_on
        if self.linear:
            return low, high
        barrier = self._barrier()
        return self.phi * low + barrier, self.phi * high + barrier

    def _probabilities(self, voltage: FloatArray, temperature: float) -> tuple[FloatArray, FloatArray]:
        thermal = BOLTZMANN_OVER_CHARGE * temperature
        return _logistic((voltage - self.v_on) / thermal), _logistic(-(voltage + self.v_off) / thermal)

    def state_rate(self, state: FloatArray, voltage: FloatArray, temperature: float) -> FloatArray:
        """Return dx/dt [1/s]."""
        on, off = self._probabilities(voltage, temperature)
        result: FloatArray = ((1.0 - state) * on - state * off) / self.tau
        return result

    def elementwise_law(self, temperature: float) -> tuple[float, ...]:
        """Return 1/V_T [1/V], V_on and V_off [V], and 1/tau [1/s]."""
        return 1.0 / (BOLTZMANN_OVER_CHARGE * temperature), self.v_on, self.v_off, 1.0 / self.tau

    @elementwise
    def advance(
        self, state: FloatArray, voltage: FloatArray, duration: Parameter, temperature: float
    ) -> FloatArray:
        """Return the closed form of the linear equation after ``duration`` [s]."""
        on, off = self._probabilities(voltage, temperature)
        total = on + off
        # -expm1 keeps full precision where almost nothing moves.
        moved = -np.expm1(-total * (duration / self.tau))
        result: FloatArray = (on / total - state) * moved
        result += state
        return result

    def exposure_rate(self, voltage: FloatArray, temperature: float) -> FloatArray:
        """Return (P_on + P_off)/tau [1/s]: its integral gives the survival of a switch's memory."""
        on, off = self._probabilities(voltage, temperature)
        return (on + off) / self.tau

    def fluctuate(
        self, before: FloatArray, after: FloatArray, exposure: FloatArray, uniforms: FloatArray
    ) -> FloatArray:
        """Return a draw of the two-state chain whose mean is ``after``.

        With survival e = exp(-exposure) a switch that was off is on at the end with probability
        b = after - before*e, one that was on with probability b + e.
        """
        count = self.switches
        if count is None:
            return after
        survival = np.exp(-exposure)
        was_on = np.rint(before * count)
        from_off = np.clip(after - before * survival, 0.0, 1.0)
        from_on = np.clip(from_off + survival, 0.0, 1.0)
        if self.draws == "rounded_gaussian":
            on = was_on + _rounded(uniforms[0], count - was_on, from_off)
            on -= _rounded(uniforms[1], was_on, 1.0 - from_on)
        else:
            on = _binomial(uniforms[0], was_on, from_on) + _binomial(uniforms[1], count - was_on, from_off)
        result: FloatArray = np.clip(np.maximum(on, 0.0) / count, 0.0, 1.0)
        return result

    def most_moved(self, low: float, high: float, duration: float, temperature: float) -> float:
        """Return the larger of the two probabilities at the ends, times duration over tau."""
        on, _ = self._probabilities(np.asarray(high), temperature)
        _, off = self._probabilities(np.asarray(low), temperature)
        return float(np.max(np.maximum(on, off) / self.tau) * duration)

    def programming_pulse(self, temperature: float) -> tuple[tuple[float, float], tuple[float, float]]:
        """Return pulses two thermal voltages above threshold, 3.4 % of tau long (P is 0.88 there)."""
        margin = 2 * BOLTZMANN_OVER_CHARGE * temperature
        width = 0.034 * float(np.mean(self.tau))
        return (float(np.mean(self.v_on)) + margin, width), (float(np.mean(self.v_off)) + margin, width)

    def two_channel(self, temperature: float) -> TwoChannel | None:
        """Return rates P_on/tau and P_off/tau; None with a Schottky current, or beyond the range of exp(V/V_T)."""
        thermal = BOLTZMANN_OVER_CHARGE * temperature
        on, off = np.asarray(self.v_on) / thermal, np.asarray(self.v_off) / thermal
        if max(float(on.max()), float(off.max())) > 300.0:
            return None
        if not self.linear:
            return None
        low, high = 1.0 / np.asarray(self.r_off), 1.0 / np.asarray(self.r_on)
        return TwoChannel(
            0,
            parameter_table(low, high - low, 1.0 / np.asarray(self.tau), np.exp(-on), np.exp(-off), thermal),
        )

    def subcircuit(self, temperature: float) -> Subcircuit:
        """Return the twin: a capacitor of tau farad holds x, two B sources give rate and current."""
        parameters: dict[str, Parameter] = {
            "r_on": self.r_on,
            "r_off": self.r_off,
            "v_on": self.v_on,
            "v_off": self.v_off,
            "tau": self.tau,
            "v_t": BOLTZMANN_OVER_CHARGE * temperature,
        }
        if not self.linear:
            parameters |= {"phi": self.phi, "s_a": self.schottky_forward}
            parameters |= {"s_f": self.schottky_forward_slope, "s_r": self.schottky_reverse_slope}
            return Subcircuit("cosim_mss", _SCHOTTKY, ("x",), ("x0",), parameters)
        return Subcircuit("cosim_mss", _SUBCIRCUIT, ("x",), ("x0",), parameters)
