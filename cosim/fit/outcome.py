"""What a fit gives: parameters with their intervals, errors on every measurement, and the curves."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, get_type_hints

import numpy as np

from cosim.devices.base import DeviceModel, FloatArray
from cosim.fit.measurement import Loop, Measurement
from cosim.fit.response import respond_one
from cosim.units import Marker, quantity_text


@dataclass(frozen=True, slots=True)
class ParameterEstimate:
    """A fitted value [SI] with its 95 % interval; None where the data do not determine it.

    ``at_bound``: the best value lies at a bound of the search.
    """

    name: str
    value: float
    interval: tuple[float, float] | None
    at_bound: bool


@dataclass(frozen=True, slots=True)
class MeasurementError:
    """Root-mean-square error of a simulated measurement, relative to three sizes of the measured values.

    ``of_range``: to the peak-to-peak value (what cosim calls the normalized error), ``of_peak``: to the largest
    magnitude, ``of_rms``: to the root mean square.
    """

    name: str
    of_range: float
    of_peak: float
    of_rms: float


def measurement_error(measurement: Measurement, given: FloatArray) -> MeasurementError:
    """Return the errors of a simulated ``given`` (samples,) against its measurement."""
    observed = measurement.observed
    rms = float(np.sqrt(np.mean((given - observed) ** 2)))
    return MeasurementError(
        measurement.name,
        rms / float(np.ptp(observed)),
        rms / float(np.abs(observed).max()),
        rms / float(np.sqrt(np.mean(observed**2))),
    )


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """What a device gives on a measurement, ``given`` ``(samples,)`` in its unit, and how wrong that is.

    A periodic loop begins where `Loop.rolled` lets it begin.
    """

    measurement: Measurement
    given: FloatArray
    error: MeasurementError


@dataclass(frozen=True, eq=False)
class Fit:
    """The outcome of `cosim.fit.fit`.

    ``predictions``: per measurement what the device gives, ``(samples,)``. ``reduced_chi_square`` and ``bic``
    are lmfit's, of residuals relative to each measurement's peak-to-peak value; ``evaluations`` its count.
    """

    model: str
    device: DeviceModel
    temperature: float
    parameters: tuple[ParameterEstimate, ...]
    errors: tuple[MeasurementError, ...]
    measurements: tuple[Measurement, ...]
    predictions: tuple[FloatArray, ...]
    r_squared: float
    reduced_chi_square: float
    bic: float
    evaluations: int

    @property
    def normalized_error(self) -> float:
        """Normalized error over all measurements together (root of the mean square)."""
        return float(np.sqrt(np.mean([error.of_range**2 for error in self.errors])))

    def predict(self, measurements: Sequence[Measurement]) -> tuple[Prediction, ...]:
        """Return what the fitted device gives on measurements that it was not fitted to."""
        loops = tuple(entry.rolled() if isinstance(entry, Loop) else entry for entry in measurements)
        given = respond_one(self.device, loops, self.temperature)
        return tuple(
            Prediction(m, part, measurement_error(m, part)) for m, part in zip(loops, given, strict=True)
        )

    def content(self) -> dict[str, Any]:
        """Return everything but the curves as plain values, for JSON."""
        return {
            "schema_version": 1,
            "model": self.model,
            "temperature_k": self.temperature,
            "parameters": {
                e.name: {
                    "value": e.value,
                    "unit": symbol(type(self.device), e.name),
                    "interval_95": list(e.interval) if e.interval else None,
                    "at_bound": e.at_bound,
                }
                for e in self.parameters
            },
            "goodness": {
                "normalized_rms_error": self.normalized_error,
                "r_squared": self.r_squared,
                "reduced_chi_square": self.reduced_chi_square,
                "bic": self.bic,
            },
            "measurements": [dataclasses.asdict(error) for error in self.errors],
            "evaluations": self.evaluations,
        }


def marker(model: type[DeviceModel], name: str) -> Marker | None:
    """Return the unit of a parameter, or None for a plain number."""
    hint = get_type_hints(model, include_extras=True).get(name)
    return next((entry for entry in getattr(hint, "__metadata__", ()) if isinstance(entry, Marker)), None)


def symbol(model: type[DeviceModel], name: str) -> str:
    """Return the symbol of a parameter's unit; empty for a plain number."""
    found = marker(model, name)
    return found.symbol if found is not None else ""


def value_text(model: type[DeviceModel], name: str, value: float) -> str:
    """Return a value for a person, with its unit."""
    unit = symbol(model, name)
    return quantity_text(value, unit, 5) if unit and unit != "%" else f"{value:.5g}"
