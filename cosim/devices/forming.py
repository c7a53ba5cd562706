r"""Forming: a fresh cell is an insulator until a first, stronger pulse has built its filament.

With y the formed part of a cell, 0 when it is fresh, and x and i_m state and current of any model of this package,

.. math::
    \dot y = \frac{1-y}{t_f}\, e^{(|v| - V_f)/V_s}, \qquad
    i = (1-y)\, G_p\, v + y\, i_m(x, v)

so at a constant voltage V a fresh cell forms with the time constant :math:`t_f e^{(V_f - |V|)/V_s}`: exponential in
the voltage, as in the thermochemical model of dielectric breakdown (the E model, McPherson and Mogul, J. Appl. Phys. 84,
1513 (1998)), of which forming is a softened case. Both polarities form, nothing takes a filament back. Formed and fresh
part lie side by side and see the same voltage, hence the closed form
:math:`1 - y(t) = (1 - y_0)\, e^{-t\, r(V)}`. Mixing the two currents by y is cosim's choice: the simplest
law in which a limited current ends the forming, since it takes the voltage away.

Voltage, time and conductance of a fresh cell are those of the SKY130 cell's forming pulses; the slope is cosim's choice.
"""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from typing import Any, ClassVar, Final, final

import numpy as np
from numpy.typing import NDArray

from cosim.devices.base import DeviceModel, FloatArray, Parameter, Subcircuit, check, is_positive, quantity
from cosim.errors import DeviceError
from cosim.units import Second, Siemens, Volt

_SKY130 = "SKY130 ReRAM, forming at 2.6 V to 3.1 V for 1 us, fresh cells below 0.1 uS (IEDM 2019)"
_PREFIX = "forming_"
FRESH: Final = f"{_PREFIX}conductance"
"""Name of the conductance of a fresh cell among the parameters of a `Formable`."""
_LARGEST = 80.0
"""Largest exponent of the rate: far beyond all physics, it keeps the rate finite."""


@final
@dataclass(frozen=True, eq=False)
class Forming:
    """How fresh cells are formed; every parameter may be an array ``(rows, columns)``."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    voltage: Volt = quantity(
        2.6, source=_SKY130, doc="voltage V_f (magnitude) at which a fresh cell forms with the time constant"
    )
    slope: Volt = quantity(
        0.1, source="cosim: a decade of time per 0.23 V", doc="voltage V_s that makes forming faster by e"
    )
    time: Second = quantity(1e-6, source=_SKY130, doc="time constant t_f of forming at that voltage")
    conductance: Siemens = quantity(1e-7, source=_SKY130, doc="conductance G_p of a fresh cell")

    def __post_init__(self) -> None:
        for name, value in self.parameters().items():
            check(is_positive(value), "device.forming", name, "finite and above zero", value)

    def parameters(self) -> dict[str, Parameter]:
        """Return the parameters by name."""
        return {entry.name: getattr(self, entry.name) for entry in dataclasses.fields(self)}

    def rate(self, voltage: FloatArray) -> FloatArray:
        """Return the rate r [1/s] with which a fresh part forms at ``voltage`` [V]."""
        steps = np.minimum((np.abs(voltage) - self.voltage) / self.slope, _LARGEST)
        result: FloatArray = np.exp(steps) / self.time
        return result


@final
@dataclass(frozen=True, eq=False)
class Formable(DeviceModel):
    """A device that must be formed; states ``(rows, columns, 2)``: that of the ``inner`` model, and the formed part.

    The range of conductances is that of a formed cell; `initial_state` is fresh, `state_for` formed. Raises
    `DeviceError` for an inner model without a differential equation for one state between 0 and 1.
    """

    inner: DeviceModel
    forming: Forming

    name: ClassVar[str] = "formable"
    accuracy: ClassVar[float] = 1e-6  # that of an inner model whose equation is integrated
    reference: ClassVar[str] = "McPherson and Mogul, J. Appl. Phys. 84, 1513 (1998): E model"

    def __post_init__(self) -> None:
        inner, one = self.inner, np.ones((1, 1))
        low, high = inner.state_bounds()
        inside = 0.0 <= low < high <= 1.0 and not isinstance(inner, Formable)
        if not inside or inner.state_rate(one, one, 300.0) is None:
            raise DeviceError(
                "device.forming: must stand beside a model with a differential equation for one state between 0 and 1, "
                f"which {inner.name} is not; take mss, rs, vteam, stanford or another of these"
            )

    @property
    def linear(self) -> bool:
        return self.inner.linear

    def _mixed(self, formed: FloatArray, fresh: Parameter, inner: FloatArray) -> FloatArray:
        result: FloatArray = (1.0 - formed) * fresh + formed * inner
        return result

    def conductance(self, state: FloatArray) -> FloatArray:
        """Return (1-y) G_p + y G(x) [S]."""
        return self._mixed(state[..., 1], self.forming.conductance, self.inner.conductance(state[..., 0]))

    def current(self, state: FloatArray, voltage: FloatArray) -> FloatArray:
        """Return (1-y) G_p v + y i(x, v) [A]."""
        fresh = self.forming.conductance * voltage
        return self._mixed(state[..., 1], fresh, self.inner.current(state[..., 0], voltage))

    def current_slope(self, state: FloatArray, voltage: FloatArray) -> FloatArray:
        """Return the derivative of the current by the voltage [S]."""
        slope = self.inner.current_slope(state[..., 0], voltage)
        return self._mixed(state[..., 1], self.forming.conductance, slope)

    def conductance_range(self) -> tuple[Parameter, Parameter]:
        """Return the range of a formed cell [S]."""
        return self.inner.conductance_range()

    def state_for(self, conductance: FloatArray) -> FloatArray:
        """Return states of formed cells with this conductance [S]."""
        inner = self.inner.state_for(conductance)
        return np.stack([inner, np.ones_like(inner)], axis=-1)

    def initial_state(self, shape: tuple[int, int], rng: np.random.Generator) -> FloatArray:
        """Return fresh cells."""
        inner = self.inner.initial_state(shape, rng)
        return np.stack([inner, np.zeros_like(inner)], axis=-1)

    def advance(
        self, state: FloatArray, voltage: FloatArray, duration: Parameter, temperature: float
    ) -> FloatArray:
        """Return the inner model's answer and the closed form of the formed part."""
        voltage = np.asarray(voltage)
        start = np.clip(state[..., 0], *self.inner.state_bounds())
        inner = self.inner.advance(start, voltage, duration, temperature)
        fresh = (1.0 - state[..., 1]) * -np.expm1(-self.forming.rate(voltage) * duration)
        return np.stack(np.broadcast_arrays(inner, state[..., 1] + fresh), axis=-1)

    def state_rate(self, state: FloatArray, voltage: FloatArray, temperature: float) -> FloatArray | None:
        """Return dx/dt and dy/dt [1/s]."""
        inner = self.inner.state_rate(state[..., 0], voltage, temperature)
        formed = (1.0 - state[..., 1]) * self.forming.rate(voltage)
        return None if inner is None else np.stack(np.broadcast_arrays(inner, formed), axis=-1)

    def most_moved(self, low: float, high: float, duration: float, temperature: float) -> float:
        """Return the larger of the inner model's bound and of duration times the rate of forming."""
        formed = float(np.max(self.forming.rate(np.asarray(max(high, -low))))) * duration
        return max(self.inner.most_moved(low, high, duration, temperature), formed)

    @property
    def stochastic(self) -> bool:
        return self.inner.stochastic

    def exposure_rate(self, voltage: FloatArray, temperature: float) -> FloatArray:
        """Return that of the inner model [1/s]."""
        return self.inner.exposure_rate(voltage, temperature)

    def fluctuate(
        self, before: FloatArray, after: FloatArray, exposure: FloatArray, uniforms: FloatArray
    ) -> FloatArray:
        """Return ``after`` with the inner model's random part; the formed part has none."""
        result = after.copy()
        result[..., 0] = self.inner.fluctuate(before[..., 0], after[..., 0], exposure, uniforms)
        return result

    def programming_pulse(self, temperature: float) -> tuple[tuple[float, float], tuple[float, float]] | None:
        """Return the pulses of a formed cell."""
        return self.inner.programming_pulse(temperature)

    def parameters(self) -> dict[str, Parameter]:
        """Return the numbers of the inner model, and those of the forming as ``forming_...``."""
        own = {f"{_PREFIX}{name}": value for name, value in self.forming.parameters().items()}
        return {**self.inner.parameters(), **own}

    def select(self, cells: tuple[NDArray[np.intp], ...]) -> DeviceModel:
        """Return the model of some cells."""
        if not self.varied:
            return self
        own = {k: v[cells] if isinstance(v, np.ndarray) else v for k, v in self.forming.parameters().items()}
        forming, chosen = object.__new__(Forming), object.__new__(Formable)
        forming.__dict__.update(own)  # what holds for all cells holds for some: nothing is checked again
        chosen.__dict__.update(inner=self.inner.select(cells), forming=forming, varied=self.varied)
        return chosen

    def per_cell(self, **arrays: FloatArray) -> DeviceModel:
        """Return the model with some of `parameters` as arrays ``(rows, columns)``."""
        own: Any = {k.removeprefix(_PREFIX): v for k, v in arrays.items() if k.startswith(_PREFIX)}
        inner = {k: v for k, v in arrays.items() if not k.startswith(_PREFIX)}
        model = self.inner.per_cell(**inner) if inner else self.inner
        return Formable(model, dataclasses.replace(self.forming, **own))

    def subcircuit(self, temperature: float) -> Subcircuit | None:
        """Return the inner model's twin with a second integrator, and with its current mixed with that of the fresh part."""
        inner = self.inner.subcircuit(temperature)
        if inner is None:
            return None
        name = f"{inner.name}_formable"
        head, _, body = inner.text.replace(inner.name, name).partition("\n")
        own = {f"{_PREFIX}{key}": value for key, value in self.forming.parameters().items()}
        given = " ".join(f"{key}=1" for key in own)
        head = head.replace(" params:", f" y params: {given}") + " y0=0"
        body, count = re.subn(
            r"(?m)^Bm p n i=(.*)$", r"Bm p n i=(1-v(y))*forming_conductance*v(p,n)+v(y)*(\1)", body
        )
        if count != 1:
            raise DeviceError(
                f"device model {self.inner.name}: its twin has no current 'Bm p n' to be formed"
            )
        rate = f"exp(min((abs(v(p,n))-forming_voltage)/forming_slope,{_LARGEST:g}))"
        added = f"Cy y 0 {{forming_time}} ic={{y0}}\nBy 0 y i=(1-v(y))*{rate}\n"
        parameters = {**inner.parameters, **own}
        nodes, initial = (*inner.state_nodes, "y"), (*inner.initial, "y0")
        return Subcircuit(
            name, f"{head}\n{added}{body}", nodes, initial, parameters, (*inner.scale, 1.0), inner.options
        )
