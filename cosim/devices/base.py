"""What a device model is: a frozen parameter set with pure functions on state arrays.

A model never stores state. One array ``(rows, columns)`` (or ``(rows, columns, k)`` for ``k`` state
variables) is handed in and a new one handed out. Parameter fields may themselves be arrays
``(rows, columns)`` (device-to-device variation); every formula then broadcasts.

A model whose state follows a differential equation also emits its ngspice twin (`Subcircuit`) from
the same parameters; a model without one is a static resistor for ngspice and can only be read there.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cosim.errors import DeviceError
from cosim.units import check, is_positive, quantity

FloatArray = NDArray[np.float64]
Parameter = float | FloatArray

BOLTZMANN_OVER_CHARGE = 8.617333262e-5
"""k/q [V/K], CODATA 2018."""


@dataclass(frozen=True, slots=True)
class Subcircuit:
    """The ngspice twin of a device model.

    ``text`` defines ``.subckt NAME p n STATE... params: ...``; the state nodes follow the terminals
    ``p n`` in the order of the state's last axis. A node's voltage times ``scale`` is the state.
    ``initial`` names the instance parameter that takes the initial value of each node (already
    divided by the scale). ``parameters`` are the other instance parameters: one value for all
    cells, or an array ``(rows, columns)``. ``options`` are the ``.options`` that the model needs.
    """

    name: str
    text: str
    state_nodes: tuple[str, ...]
    initial: tuple[str, ...]
    parameters: Mapping[str, Parameter]
    scale: tuple[float, ...] = (1.0,)
    options: Mapping[str, float] = field(default_factory=dict)


class TwoChannel(NamedTuple):
    """The law ``dx/dt = up(v) (1 - x) - down(v) x`` as numbers, for compiled kernels.

    ``law`` is its number in `cosim.devices.compiled`; ``parameters`` ``(6, 1)`` or ``(6, cells)``:
    conductance at state 0 [S], conductance gained from state 0 to 1 [S], and four of the law.
    """

    law: int
    parameters: FloatArray


def parameter_table(*rows: Parameter) -> FloatArray:
    """Return parameters as ``(6, 1)``, or ``(6, cells)`` where one differs from cell to cell."""
    flat = [np.asarray(row, dtype=np.float64).reshape(-1) for row in rows]
    flat += [np.zeros(1)] * (6 - len(flat))
    return np.ascontiguousarray(np.broadcast_arrays(*flat), dtype=np.float64)


@cache
def _parameters(model: type) -> tuple[str, ...]:
    return tuple(entry.name for entry in dataclasses.fields(model)) if dataclasses.is_dataclass(model) else ()


class DeviceModel(ABC):
    """A two-terminal memristive device; current flows from the word-line to the bit-line side.

    Positive voltage raises the conductance (SET), negative voltage lowers it (RESET).
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    name: ClassVar[str]
    """Name in scenarios and in the registry."""
    moves: ClassVar[bool] = True
    """Whether the state can change at all."""
    files: ClassVar[tuple[str, ...]] = ()
    """Parameters that name a file, in a scenario relative to its folder; their default is built in."""
    affine: ClassVar[bool] = False
    """Whether `advance` at a given voltage is an affine function of the state."""
    accuracy: ClassVar[float] = 1e-12
    """Largest error of ``advance``, relative to the range of the state: rounding for a closed form."""
    reference: ClassVar[str]
    """The published source of the equations."""

    @abstractmethod
    def conductance(self, state: FloatArray) -> FloatArray:
        """Return the conductance [S] at zero voltage, shape of the cells."""

    @abstractmethod
    def state_for(self, conductance: FloatArray) -> FloatArray:
        """Return the state with this conductance [S], clipped to what the device can reach."""

    @abstractmethod
    def conductance_range(self) -> tuple[Parameter, Parameter]:
        """Return the lowest and the highest conductance [S] that the state can express."""

    def mean_conductance_range(self) -> tuple[float, float]:
        """Return `conductance_range` as two numbers [S], the means over cells that differ."""
        low, high = self.conductance_range()
        return float(np.mean(low)), float(np.mean(high))

    @abstractmethod
    def advance(
        self, state: FloatArray, voltage: FloatArray, duration: Parameter, temperature: float
    ) -> FloatArray:
        """Return the state after ``duration`` [s] at constant ``voltage`` [V] and ``temperature`` [K].

        ``voltage`` broadcasts with the state: ``(1, 1)`` is one voltage for all cells, and leading batch
        axes are those of the result too; ``duration`` is one number or an array that broadcasts with
        ``voltage``.
        """

    @property
    def linear(self) -> bool:
        """Whether ``current`` is ``conductance(state) * voltage``."""
        return True

    def most_moved(self, low: float, high: float, duration: float, temperature: float) -> float:
        """Return a bound on the change of any state in ``duration`` [s] at any voltages from ``low`` to ``high`` [V].

        ``low <= 0 <= high``. 0 says that nothing moves at all. A model without a bound of its own gives the range of its state,
        which is infinite where the state has no ends.
        """
        bottom, top = self.state_bounds()
        return top - bottom if self.moves else 0.0

    def state_rate(self, state: FloatArray, voltage: FloatArray, temperature: float) -> FloatArray | None:
        """Return dx/dt [1/s], which `advance` solves, or None for a model without a differential equation.

        Arguments broadcast as in `advance`. The ends of `state_bounds` are hard stops: a state that gets
        there stays until the rate changes its sign.
        """
        return None

    @property
    def stochastic(self) -> bool:
        """Whether `fluctuate` adds random switching to a phase."""
        return False

    def state_bounds(self) -> tuple[float, float]:
        """Return the lowest and the highest value of the state."""
        return 0.0, 1.0

    def initial_state(self, shape: tuple[int, int], rng: np.random.Generator) -> FloatArray:
        """Return the state of ``shape`` cells before any pulse: all in the high-resistance state."""
        low, _ = self.conductance_range()
        return self.state_for(np.broadcast_to(np.asarray(low, dtype=np.float64), shape).copy())

    def current(self, state: FloatArray, voltage: FloatArray) -> FloatArray:
        """Return the current [A] at ``voltage`` [V]."""
        return self.conductance(state) * voltage

    def current_slope(self, state: FloatArray, voltage: FloatArray) -> FloatArray:
        """Return the derivative of `current` by the voltage [S]."""
        conductance = self.conductance(state)
        return np.broadcast_to(conductance, np.broadcast_shapes(conductance.shape, voltage.shape)).copy()

    def exposure_rate(self, voltage: FloatArray, temperature: float) -> FloatArray:
        """Return the rate [1/s] whose time integral over a phase `fluctuate` needs."""
        return np.zeros_like(voltage)

    def fluctuate(
        self, before: FloatArray, after: FloatArray, exposure: FloatArray, uniforms: FloatArray
    ) -> FloatArray:
        """Return ``after`` (the mean state at the end of a phase) with its random part added.

        ``exposure`` is the integral of `exposure_rate` over the phase, ``uniforms`` two uniform draws
        a cell, shape ``(2, rows, columns)``.
        """
        return after

    def programming_pulse(self, temperature: float) -> tuple[tuple[float, float], tuple[float, float]] | None:
        """Return ``((V, s), (V, s))``: amplitude and width of a default SET and RESET pulse, or None.

        One pulse moves the state by about 3 % of its range. None: the model cannot be programmed.
        """
        return None

    def elementwise_law(self, temperature: float) -> tuple[float, ...] | None:
        """Return the parameters of the model's law in `cosim.devices.compiled_laws`, or None without one.

        Asked for models of which all cells have the same parameters.
        """
        return None

    def two_channel(self, temperature: float) -> TwoChannel | None:
        """Return the law at ``temperature`` [K] for compiled kernels, or None for a model of another kind.

        Its conductance must be affine in the state, and `advance` the closed form of the law.
        """
        return None

    def subcircuit(self, temperature: float) -> Subcircuit | None:
        """Return the ngspice twin at ``temperature`` [K], or None for a model without an equation."""
        return None

    def parameters(self) -> dict[str, Parameter]:
        """Return the parameters that may differ from cell to cell, by name: numbers, or arrays ``(rows, columns)``."""
        values = ((name, getattr(self, name)) for name in _parameters(type(self)))
        return {name: value for name, value in values if isinstance(value, (float, np.ndarray))}

    @cached_property
    def varied(self) -> tuple[str, ...]:
        """Names, as in `parameters`, of those that are arrays ``(rows, columns)``."""
        return tuple(name for name, value in self.parameters().items() if isinstance(value, np.ndarray))

    def select(self, cells: tuple[NDArray[np.intp], ...]) -> DeviceModel:
        """Return the model of some cells: per-cell parameter arrays indexed by ``cells``."""
        if not self.varied:
            return self
        chosen = object.__new__(
            type(self)
        )  # what holds for all cells holds for some: nothing is checked again
        own = {name: getattr(self, name) for name in _parameters(type(self))}
        own.update({name: own[name][cells] for name in self.varied})
        chosen.__dict__.update(own, varied=self.varied)
        return chosen

    def per_cell(self, **arrays: FloatArray) -> DeviceModel:
        """Return the same model with some parameters as arrays ``(rows, columns)``."""
        if not dataclasses.is_dataclass(self):
            raise DeviceError(f"device model {self.name} is no dataclass, so it has no per-cell parameters")
        return dataclasses.replace(self, **arrays)


ModelFactory = Callable[..., DeviceModel]

__all__ = [
    "BOLTZMANN_OVER_CHARGE",
    "DeviceModel",
    "FloatArray",
    "Parameter",
    "Subcircuit",
    "TwoChannel",
    "check",
    "is_positive",
    "parameter_table",
    "quantity",
]
