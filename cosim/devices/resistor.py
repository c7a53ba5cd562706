"""Static resistor: a cell that never moves; its state is its conductance.

Ohm's law, G = state. For measured conductance maps and for reads of arrays whose programming is of
no interest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from cosim.devices.base import DeviceModel, FloatArray, Parameter, check, is_positive, quantity
from cosim.units import Ohm

_OURS = (
    "cosim: the range of the TaOx/HfOx analog RRAM set, Wu et al., VLSI Technology 2018 (100 kohm, on/off 10)"
)


@final
@dataclass(frozen=True, eq=False)
class Resistor(DeviceModel):
    """Linear resistor; the state is the conductance [S]."""

    name: ClassVar[str] = "resistor"
    moves: ClassVar[bool] = False
    reference: ClassVar[str] = "Ohm's law"

    r_on: Ohm = quantity(1e5, source=_OURS, doc="lowest resistance that the encoding uses")
    r_off: Ohm = quantity(1e6, source=_OURS, doc="highest resistance that the encoding uses")

    def __post_init__(self) -> None:
        for parameter in ("r_on", "r_off"):
            value = getattr(self, parameter)
            check(is_positive(value), self.name, parameter, "finite and above zero", value)
        check(bool(np.all(np.asarray(self.r_on) < self.r_off)), self.name, "r_on", "below r_off", self.r_on)

    def conductance(self, state: FloatArray) -> FloatArray:
        """Return the state itself [S]."""
        return state

    def state_for(self, conductance: FloatArray) -> FloatArray:
        """Return the conductance itself [S]: a measured map is never clipped."""
        return np.array(conductance, dtype=np.float64)

    def state_bounds(self) -> tuple[float, float]:
        """Return 0 S and infinity."""
        return 0.0, float("inf")

    def conductance_range(self) -> tuple[Parameter, Parameter]:
        """Return 1/R_off and 1/R_on [S]."""
        return 1.0 / self.r_off, 1.0 / self.r_on

    def advance(
        self, state: FloatArray, voltage: FloatArray, duration: Parameter, temperature: float
    ) -> FloatArray:
        """Return the state unchanged."""
        return np.array(np.broadcast_to(state, np.broadcast_shapes(state.shape, voltage.shape)))
