"""The residuals of a model on measurements, for many parameter sets at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from cosim.devices.base import DeviceModel, FloatArray
from cosim.errors import DeviceError, FitError
from cosim.fit.circuit import Accuracy
from cosim.fit.measurement import Measurement
from cosim.fit.ranges import Ranges
from cosim.fit.response import respond

_STEP = 1e-4
"""Step of a difference quotient, in parts of a parameter's search interval."""
_LARGEST_BATCH = 8192


@dataclass(frozen=True, eq=False)
class Problem:
    """A model with free parameters between bounds, fixed ones, and the measurements that it shall meet.

    A point of the search is an array ``(free,)`` of coordinates in 0..1 between the bounds.
    """

    model: type[DeviceModel]
    ranges: Ranges
    fixed: Mapping[str, Any]
    measurements: tuple[Measurement, ...]
    temperature: float = 300.0
    accuracy: Accuracy = Accuracy()
    weights: tuple[float, ...] | None = None
    """How much a measurement's residuals count; None: all the same."""

    def __post_init__(self) -> None:
        if not self.measurements:
            raise FitError("a fit needs at least one measurement")
        if not self.ranges:
            raise FitError("a fit needs at least one free parameter")

    @property
    def names(self) -> tuple[str, ...]:
        """Free parameters in the order of a point's coordinates."""
        return tuple(self.ranges)

    def values(self, points: FloatArray) -> dict[str, FloatArray]:
        """Return the parameter values [SI] of points ``(..., free)``, each ``(...)``."""
        found: dict[str, FloatArray] = {}
        for k, (name, limits) in enumerate(self.ranges.items()):
            low, high = limits.inner(limits.low), limits.inner(limits.high)
            found[name] = np.clip(limits.outer(low + points[..., k] * (high - low)), limits.low, limits.high)
        return found

    def device(self, point: FloatArray) -> DeviceModel:
        """Return the model at a point."""
        return self.model(**{**self.fixed, **{name: float(v) for name, v in self.values(point).items()}})

    @cached_property
    def scale(self) -> FloatArray:
        """Peak-to-peak value of each measurement over its weight: every residual is relative to its own."""
        spans = np.array([float(np.ptp(entry.observed)) for entry in self.measurements])
        return spans if self.weights is None else spans / np.array(self.weights)

    @cached_property
    def observed(self) -> FloatArray:
        """All measured values one after the other, each relative to its measurement's `scale`."""
        parts = [m.observed / s for m, s in zip(self.measurements, self.scale, strict=True)]
        return np.concatenate(parts)

    def predict(self, points: FloatArray) -> list[FloatArray]:
        """Return per measurement what the model gives, ``(points, samples)`` in the measurement's unit."""
        values = self.values(points)

        def batch(copies: int) -> DeviceModel:
            arrays = {name: np.repeat(value, copies) for name, value in values.items()}
            return self.model(**{**self.fixed, **arrays})

        return respond(batch, len(points), self.measurements, self.temperature, self.accuracy)

    def residuals(self, points: FloatArray) -> FloatArray:
        """Return model minus measurement, relative to each measurement's scale, ``(points, all samples)``."""
        size = max(1, _LARGEST_BATCH // len(self.measurements))
        parts = []
        for first in range(0, len(points), size):
            some = points[first : first + size]
            with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
                given = self.predict(some)
            parts.append(
                np.concatenate([p / s for p, s in zip(given, self.scale, strict=True)], axis=1)
                - self.observed
            )
        result = np.concatenate(parts)
        return np.clip(np.nan_to_num(result, nan=1e3, posinf=1e3, neginf=-1e3), -1e3, 1e3)

    def jacobian(self, point: FloatArray) -> FloatArray:
        """Return the derivative of the residuals by the coordinates, ``(all samples, free)``."""
        steps = np.where(point + _STEP <= 1.0, _STEP, -_STEP)
        found = self.residuals(np.vstack([point, point + np.diag(steps)]))
        result: FloatArray = ((found[1:] - found[0]) / steps[:, None]).T
        return result


def check_model(model: type[DeviceModel], names: Sequence[str]) -> None:
    """Raise `DeviceError` where a model has no such parameter."""
    known = getattr(model, "__dataclass_fields__", {})
    for name in names:
        if name not in known:
            raise DeviceError(f"{model.name} has no parameter '{name}'; it has {', '.join(known)}")
