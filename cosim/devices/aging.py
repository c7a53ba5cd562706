r"""Models of what programmed cells do afterwards: programming error that shows up, drift, and noise of reads.

Measured statistics of programmed arrays say how far conductances are from their targets some time after a write-verify
loop has accepted them, not what single pulses do. Here pulses change the level in equal steps (the convention of
`cosim.devices.pulse`), a verify read sees the level, and what follows depends on the age t, the time since the cell's
last pulse. The error of a write is drawn at the end of the phase and reaches its published deviation on a logarithmic
time scale,

.. math:: \rho(t) = \min\left(1, \frac{\ln(1 + t/t_{on})}{\ln(1 + t_s/t_{on})}\right)

from ``onset`` to ``settling``, the time after which it was measured: so a verify read within a microsecond does not
see it and cannot correct it, as on chips.

**State**: level (0 to 1), age on a logarithmic scale (0 to 1: up to 1e12 s), the same as a clock that also runs under
voltage, then uniform numbers in 0..1, whose normal quantiles are the draws: those of the last write, and of models with
read noise one of the last phase. The number 0 says that nothing has been drawn yet, as in a cell that starts at a given
conductance; its first phase draws. The age follows the clock at rest and at the end of every phase, so that
a conductance does not change while it is read.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from cosim.devices.base import FloatArray, Parameter, check, is_positive, quantity
from cosim.devices.pulse import PulseModel, further_uniforms, normal
from cosim.units import Second

_LONGEST = 1e12
_AGES = 2
_KUZUM = "MLP-NeuroSim 3.0 manual, GST: 100 SET, 120 RESET pulses; Kuzum et al., Nano Letters 12, 2179 (2012)"
_ONSET = "cosim: verify reads follow within a microsecond"


@dataclass(frozen=True, eq=False)
class AgingModel(PulseModel):
    """A model whose conductance depends on the time since the last pulse; the first state is the level, 0 to 1."""

    written: ClassVar[int]
    """Draws of a write."""
    read: ClassVar[int] = 0
    """Draws of a phase."""

    levels_set: float = quantity(100.0, source=_KUZUM, doc="SET pulses from G_min to G_max")
    levels_reset: float = quantity(120.0, source=_KUZUM, doc="RESET pulses from G_max to G_min")
    onset: Second = quantity(1e-6, source=_ONSET, doc="age from which the error of a write shows")
    settling: Second = quantity(
        1.0, source="cosim: first second", doc="age at which it has its published deviation"
    )
    draws: Literal["sampled", "mean"] = quantity("sampled", source="cosim", doc="draw errors and noise, or leave them out")  # fmt: skip

    def __post_init__(self) -> None:
        super().__post_init__()
        for parameter in ("levels_set", "levels_reset", "onset", "settling"):
            value = getattr(self, parameter)
            check(is_positive(value), self.name, parameter, "finite and above zero", value)

    @abstractmethod
    def aged(self, level: FloatArray, age: FloatArray, z: Sequence[FloatArray]) -> FloatArray:
        """Return the conductance [S], at least 0, of cells written to ``level`` [S] ``age`` [s] ago.

        ``z``: standard normal draws, those of the write and then those of the phase.
        """

    @property
    def _scale(self) -> FloatArray:
        return np.log1p(_LONGEST / np.asarray(self.onset))

    def shown(self, age: FloatArray) -> FloatArray:
        """Return rho, the part of a write's error that shows after ``age`` [s]."""
        whole = np.log1p(np.asarray(self.settling) / self.onset)
        result: FloatArray = np.minimum(np.log1p(age / np.asarray(self.onset)) / whole, 1.0)
        return result

    def _seconds(self, logarithmic: FloatArray) -> FloatArray:
        result: FloatArray = self.onset * np.expm1(self._scale * logarithmic)
        return result

    def age(self, state: FloatArray) -> FloatArray:
        """Return the time since the last pulse [s] that the conductance shows, shape of the cells."""
        return self._seconds(state[..., 1])

    def conductance(self, state: FloatArray) -> FloatArray:
        """Return the conductance at the cells' age, with what they have drawn [S]."""
        z = [np.where(q > 0, normal(q), 0.0) for q in np.moveaxis(state[..., 1 + _AGES :], -1, 0)]
        return self.aged(super().conductance(state[..., 0]), self.age(state), z)

    def state_for(self, conductance: FloatArray) -> FloatArray:
        """Return states of cells just written to this level, without a draw."""
        level = super().state_for(conductance)
        return np.stack([level] + [np.zeros_like(level)] * (_AGES + self.written + self.read), axis=-1)

    def after_pulses(self, state: FloatArray, count: FloatArray) -> FloatArray:
        """Return levels after equal steps."""
        result: FloatArray = state + count / np.where(count > 0, self.levels_set, self.levels_reset)
        return result

    def advance(
        self, state: FloatArray, voltage: FloatArray, duration: Parameter, temperature: float
    ) -> FloatArray:
        """Return levels after the pulses, and ages; a pulse makes a cell young again at the end of its phase."""
        level = self.pulsed(state[..., 0], np.asarray(duration * self.pulse_rate(voltage)))
        passed = self._seconds(state[..., 2]) + duration
        clock = np.minimum(np.log1p(passed / np.asarray(self.onset)) / self._scale, 1.0)
        clock = np.where(np.asarray(duration) > 0, np.maximum(clock, state[..., 2]), state[..., 2])
        age = np.where(voltage == 0, clock, state[..., 1])
        result = np.empty((*np.broadcast_shapes(level.shape, age.shape), state.shape[-1]))
        result[..., 0], result[..., 1], result[..., 2], result[..., 3:] = level, age, clock, state[..., 3:]
        return result

    def most_moved(self, low: float, high: float, duration: float, temperature: float) -> float:
        """Return infinity: cells age at any voltage."""
        return float("inf")

    @property
    def stochastic(self) -> bool:
        """True: the end of a phase makes written cells young, whether or not something is drawn."""
        return True

    def fluctuate(
        self, before: FloatArray, after: FloatArray, exposure: FloatArray, uniforms: FloatArray
    ) -> FloatArray:
        """Return ``after`` with new draws: of cells with a pulse those of the write, of all cells those of the phase."""
        result = after.copy()
        pulsed = exposure != 0
        result[..., 1] = result[..., 2] = np.where(pulsed, 0.0, after[..., 2])
        if self.draws == "mean":
            return result
        for k in range(self.written + self.read):
            drawn = np.maximum(further_uniforms(uniforms, k), 1e-16)
            kept = after[..., 1 + _AGES + k]
            fresh = (pulsed | (kept == 0)) if k < self.written else np.ones_like(pulsed)
            result[..., 1 + _AGES + k] = np.where(fresh, drawn, kept)
        return result


def polynomial(coefficients: Sequence[float], x: FloatArray) -> FloatArray:
    """Return the sum of the coefficients times 1, x, x^2 ...; 0 for none."""
    result: FloatArray = np.zeros_like(x)
    for coefficient in reversed(coefficients):
        result = result * x + coefficient
    return result
