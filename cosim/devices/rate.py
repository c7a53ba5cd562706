r"""Models with one state variable, :math:`\dot x = f(x, v)`, between hard stops at the ends of its range.

What such models share: parameters as arguments of one vectorized formula, a default programming pulse
found from `advance` itself, and the text of the stops in the ngspice twin. The twin tapers the speed
linearly to zero over the last 1e-4 of the range, so that the solver meets no jump; `advance` stops hard,
which differs from it by at most 4e-5 of the range.
"""

from __future__ import annotations

import dataclasses
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, cast

import numpy as np

from cosim.devices.base import DeviceModel, FloatArray, Parameter, Subcircuit, check, is_positive

STOP: float = 1e-4
"""Part of the range over which a twin's speed goes to zero before a hard stop."""
HELD: str = "min(max(v(x),0),1)"
"""A state of 0 to 1 in ngspice, for steep laws: the solver may try values outside, and settle on one."""
_MOVED = 0.03
_PARTS = 256
"""Parts of the range for each of which the speed is bounded: a product of factors that peak apart is bounded closely."""
_LONGEST_S, _SHORTEST_S = 1e6, 1e-18


class RateModel(DeviceModel):
    """A model with one state variable and a differential equation for it."""

    @abstractmethod
    def state_rate(self, state: FloatArray, voltage: FloatArray, temperature: float) -> FloatArray: ...

    @abstractmethod
    def programming_voltages(self) -> tuple[float, float]:
        """Return the amplitudes [V] of a default SET and RESET pulse, both positive."""

    def programming_pulse(self, temperature: float) -> tuple[tuple[float, float], tuple[float, float]]:
        """Return pulses that move the conductance of a typical cell by 3 % of its range, from either end."""
        typical = self.typical()
        up, down = typical.programming_voltages()
        return (up, typical.width_for(up, temperature)), (down, typical.width_for(-down, temperature))

    def fastest(self, low: FloatArray, high: FloatArray, voltage: float) -> FloatArray | None:
        """Return a bound on the size of dx/dt [1/s] for states between ``low`` and ``high``, any shape with two more axes.

        At ``voltage`` [V] and at all of its sign that are smaller. None: the model has no such bound.
        """
        return None

    def most_moved(self, low: float, high: float, duration: float, temperature: float) -> float:
        """Return the largest speed of all parts of the range, times the duration, but not more than the range."""
        bottom, top = self.state_bounds()
        nodes = np.linspace(bottom, top, _PARTS + 1)[:, np.newaxis, np.newaxis]
        found = [self.fastest(nodes[:-1], nodes[1:], voltage) for voltage in (low, high) if voltage]
        speeds = [float(np.max(speed)) for speed in found if speed is not None]
        if len(speeds) < len(found):
            return super().most_moved(low, high, duration, temperature)
        return min(max(speeds, default=0.0) * duration, top - bottom)

    def typical(self) -> RateModel:
        """Return the model with the mean of every parameter that differs from cell to cell."""
        names = (entry.name for entry in dataclasses.fields(cast(Any, self)))
        values = ((name, getattr(self, name)) for name in names)
        means = {name: float(np.mean(value)) for name, value in values if isinstance(value, np.ndarray)}
        return dataclasses.replace(cast(Any, self), **means) if means else self

    def width_for(self, voltage: float, temperature: float) -> float:
        """Return the time [s] in which ``voltage`` moves the conductance by 3 % of its range.

        A positive voltage starts from the lowest conductance, a negative one from the highest.
        Bisection in the logarithm of the time.
        """
        low, high = self.mean_conductance_range()
        state = self.state_for(np.array([[low if voltage > 0 else high]]))
        origin = self.conductance(state)
        volts = np.array([[voltage]])
        shortest, longest = np.log(_SHORTEST_S), np.log(_LONGEST_S)
        for _ in range(40):
            middle = 0.5 * (shortest + longest)
            after = self.advance(state, volts, float(np.exp(middle)), temperature)
            far = bool(np.abs(self.conductance(after) - origin)[0, 0] > _MOVED * (high - low))
            shortest, longest = (shortest, middle) if far else (middle, longest)
        return float(np.exp(0.5 * (shortest + longest)))


def check_positive(model: DeviceModel, but: tuple[str, ...] = ()) -> None:
    """Raise `DeviceError` unless every numeric parameter, ``but`` some, is finite and above zero."""
    for entry in dataclasses.fields(cast(Any, model)):
        if entry.name in but:
            continue
        value = getattr(model, entry.name)
        if isinstance(value, (float, np.ndarray)) or (isinstance(value, int) and not isinstance(value, bool)):
            check(is_positive(value), model.name, entry.name, "finite and above zero", value)


def check_below(model: DeviceModel, lower: str, upper: str) -> None:
    """Raise `DeviceError` unless one parameter is below another in every cell."""
    first, second = np.asarray(getattr(model, lower)), np.asarray(getattr(model, upper))
    check(bool(np.all(first < second)), model.name, lower, f"below {upper}", getattr(model, lower))


def check_margin(model: DeviceModel, margin: Parameter) -> None:
    """Raise `DeviceError` unless the margins at both ends leave a range between them."""
    check(bool(np.all(np.asarray(margin) < 0.5)), model.name, "margin", "below 50 %", margin)


def shared(*parameters: Parameter) -> bool:
    """Return whether all cells have the same values."""
    return all(np.ndim(parameter) == 0 for parameter in parameters)


def stop_text(low: float, high: float) -> tuple[str, str]:
    """Return the factors, in ngspice, of a rising and of a falling state ``v(x)`` near the stops."""
    width = STOP * (high - low)
    return f"min(1,({high:.17g}-v(x))/{width:.17g})", f"min(1,(v(x)-{low:.17g})/{width:.17g})"


def twin(name: str, parameters: Mapping[str, Parameter], body: str) -> Subcircuit:
    """Return a subcircuit with one state ``v(x)``, which starts at ``x0``, and these elements."""
    given = " ".join(f"{parameter}=1" for parameter in parameters)
    text = f".subckt {name} p n x params: {given} x0=0\n{body}\n.ends {name}\n"
    return Subcircuit(name, text, ("x",), ("x0",), parameters)
