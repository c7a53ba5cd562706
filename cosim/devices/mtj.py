r"""Magnetic tunnel junction: two states, and a probability to switch that depends on amplitude and width.

The free layer is parallel (P, low resistance, x = 1) or antiparallel (AP, x = 0) to the reference layer. A positive
voltage favours P. At constant voltage a junction leaves its state at the rate

.. math::

    r(v) = \frac{1}{\tau_0} e^{-\Delta(T)\,\max(0,\; 1 - v/v_c)} +
           \frac{2}{C + \ln(\pi^2 \Delta(T)/4)}\,\frac{\max(0,\; v/v_c - 1)}{\tau_D},
    \qquad \Delta(T) = \Delta\,\frac{300\,\mathrm{K}}{T}

where v counts in the direction of the switch, and C = 0.5772 is Euler's constant: the first part is thermal activation
over a barrier that the spin torque lowers, the second the precessional regime above the critical voltage. A pulse of
width t that leaves the other direction no chance thus switches with the probability :math:`1 - e^{-r(v) t}`. In general

.. math:: \dot p = r_{set}(v)\,(1 - p) - r_{reset}(-v)\,p

is the probability to be in P, which has a closed form; at the end of a phase every cell draws its state from it
(``draws: sampled``), or keeps the probability as its state (``mean``).

Simplifications: the time to switch is exponentially distributed in both regimes (above the critical voltage
junctions are more regular); the magnetoresistance does not fall with voltage; both resistances are constants.

Sources: R. H. Koch, J. A. Katine, J. Z. Sun, PRL 92, 088302 (2004) (thermal activation); J. Z. Sun, PRB 62, 570 (2000),
and D. C. Worledge et al., APL 98, 022501 (2011) (precessional regime).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar, Literal, final

import numpy as np

from cosim.devices.base import DeviceModel, FloatArray, Parameter, check, is_positive, quantity
from cosim.devices.elementwise import elementwise
from cosim.units import Kelvin, Ohm, Second, Volt

_NEUROSIM = "MLP-NeuroSim 3.0, STT-MRAM: 3.5 kohm, on/off 2.3, 1 V, 10 ns"
_KOCH = "Koch, Katine, Sun, PRL 92, 088302 (2004): attempt time of 1 ns"
_CRITICAL = "cosim: 70 % of the write amplitude, so that half of it disturbs less than 1e-6 a pulse"
_EULER = 0.5772156649015329
_LARGEST = 700.0


@final
@dataclass(frozen=True, eq=False)
class Mtj(DeviceModel):
    """Two-state junction; the state is 1 for P, 0 for AP, and between them a probability."""

    name: ClassVar[str] = "mtj"
    affine: ClassVar[bool] = True
    reference: ClassVar[str] = (
        "Koch, Katine, Sun, PRL 92, 088302 (2004); Worledge et al., APL 98, 022501 (2011)"
    )

    r_on: Ohm = quantity(3.5e3, source=_NEUROSIM, doc="resistance of the parallel state")
    r_off: Ohm = quantity(8.05e3, source=_NEUROSIM, doc="resistance of the antiparallel state")
    delta: float = quantity(60.0, source="Khvalkovskiy et al., J. Phys. D 46, 074001 (2013): 60 to 80", doc="thermal stability: barrier over kT at 300 K")  # fmt: skip
    attempt_time: Second = quantity(1e-9, source=_KOCH, doc="attempt time tau_0")
    v_set: Volt = quantity(0.7, source=_CRITICAL, doc="critical voltage of the switch to parallel")
    v_reset: Volt = quantity(
        0.7, source=_CRITICAL, doc="critical voltage of the switch to antiparallel (magnitude)"
    )
    relaxation_time: Second = quantity(1e-9, source="cosim: 1/(alpha gamma H_k) at alpha 0.01 and mu0 H_k 0.57 T", doc="relaxation time tau_D of the free layer")  # fmt: skip
    amplitude: Volt = quantity(1.0, source=_NEUROSIM, doc="amplitude of the default pulse, both directions")
    width: Second = quantity(10e-9, source=_NEUROSIM, doc="width of the default pulse")
    draws: Literal["sampled", "mean"] = quantity("sampled", source="cosim", doc="draw the state, or keep its probability")  # fmt: skip

    def __post_init__(self) -> None:
        for parameter in (
            "r_on", "r_off", "delta", "attempt_time", "v_set", "v_reset", "relaxation_time", "amplitude", "width",
        ):  # fmt: skip
            value = getattr(self, parameter)
            check(is_positive(value), self.name, parameter, "finite and above zero", value)
        stable = np.asarray(self.delta)
        check(bool(np.all(stable >= 2)), self.name, "delta", "at least 2, as a barrier has to be", self.delta)
        low = np.asarray(self.r_on)
        check(bool(np.all(low < self.r_off)), self.name, "r_on", "below r_off", self.r_on)

    def conductance(self, state: FloatArray) -> FloatArray:
        """Return x/r_on + (1 - x)/r_off [S]."""
        result: FloatArray = state / np.asarray(self.r_on) + (1.0 - state) / np.asarray(self.r_off)
        return result

    def state_for(self, conductance: FloatArray) -> FloatArray:
        """Return the probability with this mean conductance, clipped to 0..1."""
        low, high = (np.asarray(g) for g in self.conductance_range())
        result: FloatArray = np.clip((conductance - low) / (high - low), 0.0, 1.0)
        return result

    def conductance_range(self) -> tuple[Parameter, Parameter]:
        """Return those of AP and of P [S]."""
        return 1.0 / np.asarray(self.r_off)[()], 1.0 / np.asarray(self.r_on)[()]

    def switching_rate(self, voltage: FloatArray, critical: Parameter, temperature: Kelvin) -> FloatArray:
        """Return r(v) [1/s] for a ``voltage`` [V] in the direction of the switch, ``critical`` [V]."""
        over = voltage / np.asarray(critical) - 1.0
        barrier = np.minimum(self._stability(temperature) * np.maximum(-over, 0.0), _LARGEST)
        thermal = np.exp(-barrier) / self.attempt_time
        result: FloatArray = thermal + self._precession(temperature) * np.maximum(over, 0.0)
        return result

    def _stability(self, temperature: float) -> Parameter:
        result: Parameter = self.delta * (300.0 / temperature)
        return result

    def _precession(self, temperature: float) -> Parameter:
        """Return the rate of the precessional regime at twice the critical voltage [1/s]."""
        log = np.log(0.25 * np.pi**2 * self._stability(temperature))
        result: Parameter = 2.0 / (_EULER + log) / np.asarray(self.relaxation_time)[()]
        return result

    def elementwise_law(self, temperature: float) -> tuple[float, ...]:
        """Return 1/v_set, 1/v_reset [1/V], the thermal stability, 1/tau_0 and the speed of precession [1/s]."""
        return (
            1.0 / self.v_set, 1.0 / self.v_reset, float(self._stability(temperature)), 1.0 / self.attempt_time,
            float(self._precession(temperature)),
        )  # fmt: skip

    def switching_probability(self, voltage: FloatArray, width: Parameter, temperature: Kelvin) -> FloatArray:
        """Return the probability that a junction which is not yet there switches in a pulse of ``width`` [s].

        Positive ``voltage`` [V] switches to P, negative to AP. A return within the pulse counts as no switch.
        """
        start = np.where(voltage > 0, 0.0, 1.0)
        return np.abs(self.advance(start, voltage, width, temperature) - start)

    @elementwise
    def advance(
        self, state: FloatArray, voltage: FloatArray, duration: Parameter, temperature: float
    ) -> FloatArray:
        """Return the probability to be in P after ``duration``."""
        up = self.switching_rate(voltage, self.v_set, temperature)
        down = self.switching_rate(-voltage, self.v_reset, temperature)
        total = up + down
        result: FloatArray = state - (state - up / total) * -np.expm1(-total * duration)
        return np.clip(result, 0.0, 1.0)

    def most_moved(self, low: float, high: float, duration: float, temperature: float) -> float:
        """Return 1 where states are drawn, else a bound on the change of the probability."""
        if self.stochastic:
            return 1.0
        up, down = (
            self.switching_rate(np.array([v]), c, temperature).max()
            for v, c in ((high, self.v_set), (-low, self.v_reset))
        )
        return float(-np.expm1(-max(up, down) * duration))

    @property
    def stochastic(self) -> bool:
        """Whether states are drawn."""
        return self.draws == "sampled"

    def fluctuate(
        self, before: FloatArray, after: FloatArray, exposure: FloatArray, uniforms: FloatArray
    ) -> FloatArray:
        """Return 1 or 0, drawn with the probability ``after``."""
        result: FloatArray = (uniforms[0] < after).astype(np.float64)
        return result

    def programming_pulse(self, temperature: float) -> tuple[tuple[float, float], tuple[float, float]]:
        """Return the default pulse for both directions."""
        pulse = float(np.mean(self.amplitude)), float(np.mean(self.width))
        return pulse, pulse


PRESETS: Mapping[str, Mtj] = MappingProxyType({
    "mtj-stt-neurosim": Mtj(),
    "mtj-stt-nvsim": Mtj(r_on=3e3, r_off=6e3, amplitude=0.36, v_set=0.252, v_reset=0.252),
})  # fmt: skip
"""NVSim's STT-MRAM cell: 3 kohm and 6 kohm, 80 uA (at the mean of both 0.36 V), 10 ns."""
