r"""The ``float`` and ``byte`` devices of the kT-RAM emulator as cells of a circuit.

One pulse of the emulator lasts ``width``; what it changes depends on the voltage alone. With the state
x = (G - G_min)/(G_max - G_min), a pulse of v changes it by

| model | change by one pulse |
|---|---|
| ``float`` | ``step`` times v/(1 V), nothing in the open dead zone from ``-dead_zone`` to ``dead_zone`` |
| ``byte`` | :math:`\lfloor v/(1\,\mathrm{V}) + 1/2 \rfloor` steps of 1/254: 0.5 V is one step up, -0.5 V none down |

within hard bounds. Time at a voltage counts in widths, so a pulse twice as wide is two. The state of ``byte`` is a
whole number of steps at the end of every phase: parts of a step, such as those of a pulse's edges, are rounded half up.

The emulator's conductances are 4e-4 to 0.1 (read as siemens, 10 ohm to 2.5 kohm) and 1 to 255 of no unit. The default
scale here ends at 100 uS, which cells of a crossbar have; the readout of a kT-bit depends on ratios only.

Source: kT-RAM neural core, device models; `cosim.ktram` runs the same laws without a circuit.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar, final

import numpy as np

from cosim.devices.base import DeviceModel, FloatArray, Parameter, check, is_positive, quantity
from cosim.units import Fraction, Second, Siemens, Volt

_EMULATOR = "kT-RAM neural core"
_SCALE = "cosim: the emulator's numbers scaled to end at 100 uS"
_STEPS = 254.0


@dataclass(frozen=True, eq=False)
class KtStep(DeviceModel):
    """What both share: a change per pulse that depends on the voltage only; the state is 0 to 1."""

    g_min: Siemens = quantity(4e-7, source=_SCALE, doc="lowest conductance")
    g_max: Siemens = quantity(1e-4, source=_SCALE, doc="highest conductance")
    width: Second = quantity(10e-9, source=_EMULATOR + ", default pulse width", doc="width of one pulse")

    def __post_init__(self) -> None:
        for parameter in ("g_min", "g_max", "width"):
            value = getattr(self, parameter)
            check(is_positive(value), self.name, parameter, "finite and above zero", value)
        check(
            bool(np.all(np.asarray(self.g_min) < self.g_max)), self.name, "g_min", "below g_max", self.g_min
        )

    @abstractmethod
    def change(self, voltage: FloatArray) -> FloatArray:
        """Return the change of the state by one pulse of ``voltage`` [V], without bounds."""

    def conductance(self, state: FloatArray) -> FloatArray:
        """Return G = G_min + x (G_max - G_min) [S]."""
        result: FloatArray = self.g_min + state * (np.asarray(self.g_max) - self.g_min)
        return result

    def state_for(self, conductance: FloatArray) -> FloatArray:
        """Return the normalized conductance, clipped to 0..1."""
        result: FloatArray = np.clip(
            (conductance - self.g_min) / (np.asarray(self.g_max) - self.g_min), 0.0, 1.0
        )
        return result

    def conductance_range(self) -> tuple[Parameter, Parameter]:
        """Return G_min and G_max [S]."""
        return self.g_min, self.g_max

    def advance(
        self, state: FloatArray, voltage: FloatArray, duration: Parameter, temperature: float
    ) -> FloatArray:
        """Return the state after ``duration/width`` pulses; the temperature has no effect."""
        result: FloatArray = np.clip(
            state + duration / np.asarray(self.width) * self.change(voltage), 0.0, 1.0
        )
        return result

    def most_moved(self, low: float, high: float, duration: float, temperature: float) -> float:
        """Return the change by the larger voltage in that many pulses."""
        largest = np.abs(self.change(np.array([low, high]).reshape(2, 1, 1))).max()
        return min(1.0, duration / float(np.min(self.width)) * float(largest))

    def _pulse(self, widths: float) -> tuple[tuple[float, float], tuple[float, float]]:
        pulse = 1.0, widths * float(np.mean(self.width))
        return pulse, pulse


@final
@dataclass(frozen=True, eq=False)
class Float(KtStep):
    """Change in proportion to the voltage outside of a dead zone."""

    name: ClassVar[str] = "float"
    reference: ClassVar[str] = "kT-RAM neural core, float model"

    step: Fraction = quantity(1e-4 / (0.1 - 4e-4), source=_EMULATOR + ": 1e-4 S/V on 4e-4 S to 0.1 S", doc="change by one pulse of 1 V, of the range")  # fmt: skip
    dead_zone: Volt = quantity(0.25, source=_EMULATOR, doc="voltage (magnitude) below which nothing changes")

    def __post_init__(self) -> None:
        super().__post_init__()
        check(is_positive(self.step), self.name, "step", "finite and above zero", self.step)
        check(
            bool(np.all(np.asarray(self.dead_zone) >= 0)),
            self.name,
            "dead_zone",
            "at least 0 V",
            self.dead_zone,
        )

    def change(self, voltage: FloatArray) -> FloatArray:
        """Return ``step`` times the voltage in volt, 0 inside of the dead zone."""
        result: FloatArray = np.where(np.abs(voltage) < self.dead_zone, 0.0, self.step * voltage)
        return result

    def programming_pulse(self, temperature: float) -> tuple[tuple[float, float], tuple[float, float]]:
        """Return 30 pulses of 1 V in one."""
        return self._pulse(30.0)


@final
@dataclass(frozen=True, eq=False)
class Byte(KtStep):
    """Whole steps: the voltage in volt, rounded half up."""

    name: ClassVar[str] = "byte"
    reference: ClassVar[str] = "kT-RAM neural core, byte model"

    g_min: Siemens = quantity(1e-4 / 255.0, source=_SCALE, doc="conductance of the byte 1")
    g_max: Siemens = quantity(1e-4, source=_SCALE, doc="conductance of the byte 255")

    def change(self, voltage: FloatArray) -> FloatArray:
        """Return the rounded voltage in steps of 1/254."""
        result: FloatArray = np.floor(np.asarray(voltage) + 0.5) / _STEPS
        return result

    @property
    def stochastic(self) -> bool:
        """True: the end of a phase rounds the state, though nothing is drawn."""
        return True

    def fluctuate(
        self, before: FloatArray, after: FloatArray, exposure: FloatArray, uniforms: FloatArray
    ) -> FloatArray:
        """Return ``before`` moved by a whole number of steps, within the bounds."""
        moved = np.floor(_STEPS * (after - before) + 0.5)
        result: FloatArray = np.clip((np.rint(_STEPS * before) + moved) / _STEPS, 0.0, 1.0)
        return result

    def programming_pulse(self, temperature: float) -> tuple[tuple[float, float], tuple[float, float]]:
        """Return 8 pulses of 1 V in one."""
        return self._pulse(8.0)


PRESETS: Mapping[str, KtStep] = MappingProxyType({
    "float-ktram": Float(g_min=4e-4, g_max=0.1),
    "byte-ktram": Byte(),
})  # fmt: skip
"""The emulator's conductances (``float``); the steps of ``byte`` at cosim's scale."""
