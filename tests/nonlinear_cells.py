"""Nonlinear device models for tests: smallest laws that have all that the published models have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from cosim.devices.base import DeviceModel, FloatArray, Parameter, Subcircuit

_TEXT = """\
.subckt sinh_cell p n x params: g_on=1 g_off=1 a=1 v_0=1 rate=1 x0=0
Cx x 0 1 ic={x0}
Bx 0 x i=rate*((1-v(x))*exp(v(p,n)/v_0)-v(x)*exp(-v(p,n)/v_0))
Bm p n i=(g_off+v(x)*(g_on-g_off))*sinh(a*v(p,n))/a
.ends sinh_cell
"""


@final
@dataclass(frozen=True, eq=False)
class SinhCell(DeviceModel):
    """``i = g(x) sinh(a v)/a``, ``dx/dt = rate [(1-x) e^(v/v_0) - x e^(-v/v_0)]`` with ``g`` linear in ``x``."""

    name: ClassVar[str] = "sinh_cell"
    linear: ClassVar[bool] = False
    reference: ClassVar[str] = "none: for tests"

    g_on: Parameter = 1e-4
    g_off: Parameter = 1e-6
    a: Parameter = 4.0
    v_0: float = 0.1
    rate: float = 1e2
    moving: bool = True

    @property
    def moves(self) -> bool:  # type: ignore[override]
        return self.moving

    def conductance(self, state: FloatArray) -> FloatArray:
        result: FloatArray = self.g_off + state * (np.asarray(self.g_on) - self.g_off)
        return result

    def state_for(self, conductance: FloatArray) -> FloatArray:
        result: FloatArray = (conductance - self.g_off) / (np.asarray(self.g_on) - self.g_off)
        return result

    def conductance_range(self) -> tuple[Parameter, Parameter]:
        return self.g_off, self.g_on

    def rates(self, voltage: FloatArray) -> tuple[FloatArray, FloatArray]:
        return self.rate * np.exp(voltage / self.v_0), self.rate * np.exp(-voltage / self.v_0)

    def advance(
        self, state: FloatArray, voltage: FloatArray, duration: Parameter, temperature: float
    ) -> FloatArray:
        if not self.moving:
            return np.array(np.broadcast_to(state, np.broadcast_shapes(state.shape, voltage.shape)))
        up, down = self.rates(voltage)
        total = up + down
        result: FloatArray = state - (up / total - state) * np.expm1(-total * duration)
        return result

    def current(self, state: FloatArray, voltage: FloatArray) -> FloatArray:
        result: FloatArray = self.conductance(state) * np.sinh(self.a * voltage) / self.a
        return result

    def current_slope(self, state: FloatArray, voltage: FloatArray) -> FloatArray:
        result: FloatArray = self.conductance(state) * np.cosh(self.a * voltage)
        return result

    def subcircuit(self, temperature: float) -> Subcircuit:
        names = ("g_on", "g_off", "a", "v_0")
        parameters = {name: getattr(self, name) for name in names}
        return Subcircuit(
            "sinh_cell", _TEXT, ("x",), ("x0",), {**parameters, "rate": self.rate if self.moving else 0.0}
        )
