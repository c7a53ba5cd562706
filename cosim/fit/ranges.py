"""Which parameters of a model a fit may move, and between which bounds.

The bounds come from the measured scales, so that a search over them is short: no resistance of a device lies
far outside of what was seen. A parameter that spans decades is searched in its logarithm.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from cosim.devices.base import DeviceModel, FloatArray
from cosim.errors import FitError
from cosim.fit.measurement import Scales

_LEAST_VOLTAGE = 0.02
_SPREAD = 30.0
_APART = 1.5
_VTEAM_THICKNESS = 3e-9
"""Default of the model [m], TEAM's too: only k/D matters to a loop."""
_FILM = 10e-9
"""Default thickness of ion_drift [m]: only mobility/D^2 matters to a loop."""


@dataclass(frozen=True, slots=True)
class Range:
    """Bounds of one parameter [SI]; ``logarithmic``: searched in its natural logarithm."""

    low: float
    high: float
    logarithmic: bool = True

    def __post_init__(self) -> None:
        if not self.low < self.high or (self.logarithmic and self.low <= 0):
            raise FitError(
                f"the bounds of a parameter must rise, and be above zero, not {self.low:g} to {self.high:g}"
            )

    def inner(self, value: float) -> float:
        """Return the search coordinate of a value."""
        return math.log(value) if self.logarithmic else value

    def outer(self, coordinate: FloatArray) -> FloatArray:
        """Return values of search coordinates."""
        return np.exp(coordinate) if self.logarithmic else np.asarray(coordinate)


Ranges = Mapping[str, Range]


def _resistances(scale: Scales) -> tuple[Range, Range]:
    """Return bounds of the lowest and the highest resistance that keep them in order."""
    low, high = scale.resistance
    edge = low * _APART
    return Range(low / _SPREAD, edge), Range(edge * 1.001, max(high, 3 * edge) * _SPREAD)


def _threshold(seen: float) -> Range:
    return Range(_LEAST_VOLTAGE, max(1.5 * seen, 2 * _LEAST_VOLTAGE), logarithmic=False)


def _mss(scale: Scales) -> Ranges:
    on, off = _resistances(scale)
    short, long = scale.time
    up, down = (max(seen, 0.3) for seen in scale.voltage)
    return {
        "r_on": on, "r_off": off, "v_on": _threshold(up), "v_off": _threshold(down),
        "tau": Range(1e-5 * short, 10 * long),
    }  # fmt: skip


def _rs(scale: Scales) -> Ranges:
    on, off = _resistances(scale)
    short, long = scale.time
    return {
        "g_min": Range(1 / off.high, 1 / off.low), "g_max": Range(1 / on.high, 1 / on.low),
        "rate": Range(0.1 / long, 1e3 / short), "v_set": Range(1e-3, max(scale.voltage[0], 0.01), False),
        "v_reset": Range(1e-3, max(scale.voltage[1], 0.01), False),
    }  # fmt: skip


def _speed(scale: Scales, unit: float = 1.0) -> Range:
    """Return bounds of how fast a state crosses its range [1/s], times ``unit``."""
    short, long = scale.time
    return Range(0.01 * unit / long, 1e4 * unit / short)


def _vteam(scale: Scales) -> Ranges:
    on, off = _resistances(scale)
    speed = _speed(scale, _VTEAM_THICKNESS)
    up, down = (Range(5e-3, max(seen, 0.1), False) for seen in scale.voltage)
    exponent = Range(0.5, 12.0)
    return {
        "r_on": on, "r_off": off, "v_on": up, "v_off": down, "k_on": speed, "k_off": speed,
        "alpha_on": exponent, "alpha_off": exponent,
    }  # fmt: skip


def _yakopcic(scale: Scales) -> Ranges:
    on, _ = _resistances(scale)
    up, down = (Range(1e-3, max(seen, 0.1), False) for seen in scale.voltage)
    current, speed = Range(0.2 / on.high, 20.0 / on.low), _speed(scale)
    return {
        "a1": current, "a2": current, "b": Range(0.03, 30.0), "v_p": up, "v_n": down, "a_p": speed, "a_n": speed,
    }  # fmt: skip


def _team(scale: Scales) -> Ranges:
    on, off = _resistances(scale)
    speed, largest = _speed(scale, _VTEAM_THICKNESS), max(scale.voltage) / scale.resistance[0]
    exponent, threshold = Range(0.5, 12.0), Range(1e-4 * largest, largest)
    return {
        "r_on": on, "r_off": off, "i_on": threshold, "i_off": threshold, "k_on": speed, "k_off": speed,
        "alpha_on": exponent, "alpha_off": exponent,
    }  # fmt: skip


def _ion_drift(scale: Scales) -> Ranges:
    on, off = _resistances(scale)
    speed = _speed(scale, _FILM**2)
    return {"r_on": on, "r_off": off, "mobility": Range(speed.low, 1e3 * speed.high)}


def _nonlinear_ion_drift(scale: Scales) -> Ranges:
    on, off = _resistances(scale)
    speed, largest = _speed(scale), max(scale.voltage)
    return {
        "alpha": Range(0.1, 20.0), "beta": Range(0.01 / on.high, 20.0 / on.low), "gamma": Range(0.1, 20.0),
        "chi": Range(1e-3 / off.high, 1.0 / off.low), "n": Range(0.5, 20.0),
        "a": Range(speed.low / largest**13, 1e3 * speed.high / largest**13),
    }  # fmt: skip


def _data_driven(scale: Scales) -> Ranges:
    on, off = _resistances(scale)
    speed, ohms = _speed(scale, off.low), Range(on.low, off.high)
    exponent, steepness = Range(0.1, 30.0), Range(0.01 / off.high, 30.0 / on.high)
    return {
        "r_on": on, "r_off": off, "a_p": speed, "a_n": speed, "t_p": exponent, "t_n": exponent, "k_p": steepness,
        "k_n": steepness, "r_p0": ohms, "r_n0": ohms, "r_n1": ohms, "amplitude": Range(0.1, 1.0),
    }  # fmt: skip


def _stanford(scale: Scales) -> Ranges:
    largest = max(scale.voltage) / scale.resistance[0]
    return {
        "i_0": Range(0.1 * largest, 1e4 * largest), "v_0": Range(0.05, 3.0), "g_0": Range(0.08e-9, 0.8e-9),
        "velocity": Range(1e-4, 1e8), "gamma_0": Range(8.0, 200.0), "f_min": Range(1e7, 5e9),
    }  # fmt: skip


_KNOWN: Mapping[str, Callable[[Scales], Ranges]] = {
    "mss": _mss, "rs": _rs, "vteam": _vteam, "yakopcic": _yakopcic, "team": _team, "ion_drift": _ion_drift,
    "nonlinear_ion_drift": _nonlinear_ion_drift, "data_driven": _data_driven, "stanford": _stanford,
}  # fmt: skip


def default_ranges(model: type[DeviceModel], scale: Scales) -> Ranges:
    """Return the free parameters of a model with their bounds.

    For a model that is not known here: every positive number, a factor of 1000 around its default.
    """
    if model.name in _KNOWN:
        return _KNOWN[model.name](scale)
    found = {}
    for entry in dataclasses.fields(model):  # type: ignore[arg-type]
        value = entry.default
        if isinstance(value, float) and value > 0:
            found[entry.name] = Range(value / 1e3, value * 1e3)
    if not found:
        raise FitError(f"model {model.name} has no parameter that could be fitted")
    return found
