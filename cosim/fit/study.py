"""What `cosim fit` does: read the files, fit, predict, ask ngspice, report."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cosim.devices.base import DeviceModel
from cosim.devices.registry import find
from cosim.errors import FitError, InputError
from cosim.fit.against import spice_current
from cosim.fit.files import error_line, lines, save
from cosim.fit.measurement import Loop, Setup, read_measurement
from cosim.fit.outcome import Fit, Prediction, marker, measurement_error
from cosim.fit.problem import check_model
from cosim.fit.search import fit


@dataclass(frozen=True)
class Study:
    """Files with their set-ups, the model, and how to search; `fixed` and `bounds` as text with units."""

    model: str
    fitted: tuple[tuple[Path, Setup], ...]
    predicted: tuple[tuple[Path, Setup], ...] = ()
    fixed: tuple[str, ...] = ()
    bounds: tuple[str, ...] = ()
    against_spice: bool = False
    robust: bool = False
    even: bool = False
    temperature: float = 300.0
    survey: int = 1024
    starts: int = 12
    seed: int = 0


@dataclass(frozen=True, eq=False)
class StudyResult:
    """The fit, its predictions, and the fitted loops as ngspice gives them."""

    fit: Fit
    predictions: tuple[Prediction, ...]
    spice: tuple[Prediction, ...]

    def content(self) -> dict[str, Any]:
        """Return everything but the curves as plain values, for JSON."""
        content = self.fit.content()
        content["predictions"] = [dataclasses.asdict(entry.error) for entry in self.predictions]
        content["against_spice"] = [dataclasses.asdict(entry.error) for entry in self.spice]
        return content

    def save(self, folder: Path) -> None:
        """Write the folder of the fit; see `cosim.fit.files`."""
        save(self.fit, folder, self.content(), self.predictions)

    def lines(self) -> list[str]:
        """Return the result for a person."""
        found = lines(self.fit)
        found += [error_line("predicted", entry.error) for entry in self.predictions]
        found += [error_line("ngspice", entry.error) for entry in self.spice]
        return found


def run_study(study: Study, progress: Callable[[int, int], None] | None = None) -> StudyResult:
    """Read, fit, predict; raises `FitError` with the file or the parameter in question. ``progress``: as in `fit`."""
    model = find(study.model)
    fixed = dict(_fixed(model, text) for text in study.fixed)
    bounds = dict(_bounds(model, text) for text in study.bounds)
    measurements = [read_measurement(path, setup) for path, setup in study.fitted]
    others = [read_measurement(path, setup) for path, setup in study.predicted]
    found = fit(
        model,
        measurements,
        fixed=fixed,
        bounds=bounds,
        temperature=study.temperature,
        survey=study.survey,
        starts=study.starts,
        seed=study.seed,
        loss="soft_l1" if study.robust else "linear",
        even=study.even,
        progress=progress,
    )
    spice = _in_spice(found) if study.against_spice else ()
    return StudyResult(found, found.predict(others) if others else (), spice)


def _in_spice(found: Fit) -> tuple[Prediction, ...]:
    loops = [entry for entry in found.measurements if isinstance(entry, Loop)]
    if not loops:
        raise FitError("--against-spice needs a loop: pulse trains are not simulated in ngspice")
    answers = [(loop, spice_current(found.device, loop, found.temperature)) for loop in loops]
    return tuple(Prediction(loop, given, measurement_error(loop, given)) for loop, given in answers)


def _fixed(model: type[DeviceModel], text: str) -> tuple[str, float]:
    name, equals, value = (word.strip() for word in text.partition("="))
    if not equals:
        raise FitError(f"--fix wants NAME=VALUE such as 'r_on=2 kohm', not '{text}'")
    check_model(model, [name])
    return name, _value(model, name, value)


def _bounds(model: type[DeviceModel], text: str) -> tuple[str, tuple[float, float]]:
    name, equals, tail = (word.strip() for word in text.partition("="))
    low, colon, high = (word.strip() for word in tail.partition(":"))
    if not equals or not colon:
        raise FitError(f"--bound wants NAME=LOW:HIGH such as 'tau=1 us:1 ms', not '{text}'")
    check_model(model, [name])
    return name, (_value(model, name, low), _value(model, name, high))


def _value(model: type[DeviceModel], name: str, text: str) -> float:
    mark = marker(model, name)
    try:
        return mark.validate(text) if mark is not None else float(text)
    except (InputError, ValueError) as error:
        raise FitError(f"{model.name}.{name}: {error}") from None
