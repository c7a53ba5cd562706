"""Measured data as values: current-voltage loops and pulse trains, read from CSV files.

A column's name ends with its unit: ``voltage_V``, ``current_uA``, ``time_ms``, ``amplitude_V``,
``width_ns``, ``conductance_uS`` or ``resistance_kohm``; ``Voltage (V)``, ``Voltage [V]`` and ``Voltage/V`` are the same. Commas,
semicolons or tabs stand between the columns; where it is no comma, numbers may have decimal commas.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from cosim.devices.base import FloatArray
from cosim.errors import FitError, InputError, UnitError
from cosim.units import parse

if TYPE_CHECKING:
    import pandas as pd

_SAMPLES, _PULSES = 8, 3
"""Fewest samples of a loop and pulses of a train that say anything of a device."""
_OUTER = 0.03
"""Part of the samples whose chord resistance is taken for noise."""
_COLUMNS = {
    "voltage": "V", "current": "A", "time": "s", "amplitude": "V", "width": "s",
    "conductance": "S", "resistance": "ohm", "jump": "S",
}  # fmt: skip
_TITLE = re.compile(r"\s*(?P<name>[A-Za-z]+)\s*(?:[_/(\[]\s*(?P<unit>[^)\]]*?)\s*[)\]]?)?\s*")


@dataclass(frozen=True, eq=False)
class Loop:
    """A current-voltage measurement: ``drive`` [V] and ``current`` [A], ``(samples,)``, uniform in time.

    ``interval`` [s] lies between two samples; ``series`` [ohm] between the drive and the device (0: the drive
    is the voltage over the device); ``periodic``: the samples are one period of a steady state.
    """

    name: str
    drive: FloatArray
    current: FloatArray
    interval: float
    series: float = 0.0
    periodic: bool = True

    def __post_init__(self) -> None:
        if self.drive.shape != self.current.shape or self.drive.ndim != 1 or len(self.drive) < _SAMPLES:
            raise FitError(f"{self.name}: a loop needs at least {_SAMPLES} samples of voltage and current")
        if not (np.all(np.isfinite(self.drive)) and np.all(np.isfinite(self.current))):
            raise FitError(f"{self.name}: every voltage and current must be finite")
        if not 0 < self.interval < float("inf") or not 0 <= self.series < float("inf"):
            raise FitError(
                f"{self.name}: the sampling interval must be above zero and the resistor not negative"
            )
        if float(np.ptp(self.current)) == 0.0:
            raise FitError(f"{self.name}: the current never changes, so there is nothing to fit")

    @property
    def observed(self) -> FloatArray:
        """What a fit reproduces: the current [A]."""
        return self.current

    @property
    def device_voltage(self) -> FloatArray:
        """Voltage over the device [V], ``(samples,)``."""
        result: FloatArray = self.drive - self.series * self.current
        return result

    def rolled(self) -> Loop:
        """Return a periodic loop that begins at its most negative drive, where a device is best known."""
        if not self.periodic:
            return self
        first = -int(np.argmin(self.drive))
        return Loop(
            self.name, np.roll(self.drive, first), np.roll(self.current, first), self.interval, self.series
        )


@dataclass(frozen=True, eq=False)
class PulseTrain:
    """Conductance [S] after each of a row of pulses; all arrays ``(pulses,)``.

    ``start`` [S] is the conductance before the first pulse; ``amplitude`` [V] and ``width`` [s] are those over
    the device. A curve of potentiation and depression (LTP/LTD) is a pulse train too.
    """

    name: str
    amplitude: FloatArray
    width: FloatArray
    conductance: FloatArray
    start: float

    def __post_init__(self) -> None:
        if (
            not self.amplitude.shape == self.width.shape == self.conductance.shape
            or len(self.amplitude) < _PULSES
        ):
            raise FitError(f"{self.name}: a pulse train needs at least {_PULSES} pulses")
        good = np.isfinite(self.amplitude)
        for values in (self.width, self.conductance):
            good &= np.isfinite(values) & (values > 0)
        if not np.all(good) or not 0 < self.start < float("inf"):
            raise FitError(
                f"{self.name}: widths and conductances must be finite and above zero, and amplitudes finite"
            )

    @property
    def observed(self) -> FloatArray:
        """What a fit reproduces: the conductance [S]."""
        return self.conductance


Measurement = Loop | PulseTrain


@dataclass(frozen=True)
class Setup:
    """How a file was measured, where the file itself does not say.

    ``series`` [ohm], ``frequency`` [Hz] of one period that the file holds, ``amplitude`` [V] of a sine that
    takes the place of the measured drive, ``across``: what the voltage column is, the whole circuit (``total``)
    or the device alone; ``set_pulse`` and ``reset_pulse`` ``(V, s)`` of an LTP/LTD curve.
    """

    series: float = 0.0
    frequency: float | None = None
    amplitude: float | None = None
    across: Literal["total", "device"] = "total"
    set_pulse: tuple[float, float] | None = None
    reset_pulse: tuple[float, float] | None = None


_SETTINGS = {"series": "ohm", "frequency": "Hz", "amplitude": "V"}


def read_setup(text: str, base: Setup) -> tuple[Path, Setup]:
    """Return file and set-up of ``FILE`` or ``FILE@series=47 kohm,frequency=10 Hz``; the rest is as in ``base``.

    Raises `InputError` for an unknown setting.
    """
    name, _, tail = text.partition("@")
    changes: dict[str, Any] = {}
    for part in filter(None, tail.split(",")):
        key, _, value = (word.strip() for word in part.partition("="))
        if key == "across":
            if value not in ("total", "device"):
                raise InputError(f"{name}: across must be total or device, not '{value}'")
            changes[key] = value
        elif key in _SETTINGS:
            changes[key] = parse(value, _SETTINGS[key])
        else:
            raise InputError(
                f"{name}: there is no setting '{key}'; known are series, frequency, amplitude, across"
            )
    return Path(name), Setup(**{**vars(base), **changes})


def read_pulse(text: str) -> tuple[float, float]:
    """Return amplitude [V] and width [s] of a pulse such as ``1.6 V, 50 ns``; raises `UnitError`."""
    amplitude, comma, width = text.partition(",")
    if not comma:
        raise UnitError(f"must be an amplitude and a width such as '1.6 V, 50 ns', not '{text}'")
    return parse(amplitude, "V"), parse(width, "s")


def read_measurement(path: Path, setup: Setup | None = None) -> Measurement:
    """Return the loop or the pulse train of a CSV file with a header.

    A loop has ``voltage`` and ``current`` columns, and ``time`` unless ``setup.frequency`` says that the file
    holds one period. A pulse train has ``conductance`` (or ``resistance``) after each pulse, with ``amplitude``
    and ``width``, or with ``branch`` (LTP or LTD) where ``setup`` gives the two pulses; the first row is
    the start. Raises `FitError` with the file's name.
    """
    setup = setup or Setup()
    columns = read_columns(path)
    if {"voltage", "current"} <= set(columns):
        return _loop(path, columns, setup)
    if "conductance" in columns:
        return _train(path, columns, setup)
    raise FitError(
        f"{path}: needs columns voltage_V and current_A, or conductance_S with amplitude_V and width_s,"
        f" each with its unit, but has {', '.join(columns) or 'none of them'}"
    )


def read_columns(path: Path) -> Mapping[str, Any]:
    """Return the known columns of a CSV file in SI, ``branch`` as text; raises `FitError` with the file's name."""
    table = _table(path)
    found: dict[str, Any] = {}
    for title in table.columns:
        named = _TITLE.fullmatch(str(title))
        name, unit = (named["name"].lower(), named["unit"] or "") if named else ("", "")
        if name not in (*_COLUMNS, "branch"):
            continue
        if name in found:
            raise FitError(f"{path}: the column {name} stands twice; keep one of them")
        if name == "branch":
            found[name] = [str(entry).strip().upper() for entry in table[title]]
        else:
            found[name] = _numbers(path, str(title).strip(), table[title]) * _factor(path, title, unit, name)
    if "resistance" in found:
        with np.errstate(divide="ignore"):
            found["conductance"] = 1.0 / found.pop("resistance")
    return found


def _table(path: Path) -> pd.DataFrame:
    """Return a CSV file as a frame whose columns are as in its header."""
    import pandas as pd

    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError:
        raise FitError(f"{path}: there is no such file") from None
    except UnicodeDecodeError:
        raise FitError(f"{path}: is no CSV table, which must be UTF-8 text") from None
    header, _, rows = "\n".join(
        line for line in text.splitlines() if line.partition("#")[0].strip()
    ).partition("\n")
    separator = next((mark for mark in "\t;" if mark in header), ",")
    decimal = "," if separator != "," and "," in rows and "." not in rows else "."
    for number, row in enumerate(rows.splitlines(), 1):
        entries = row.partition("#")[0].rstrip().rstrip(separator).count(separator)
        if entries > header.rstrip().count(separator):
            raise FitError(f"{path}: row {number} has more entries than the header '{header}' has names")
    try:
        return pd.read_csv(
            io.StringIO(f"{header}\n{rows}"), comment="#", skipinitialspace=True, sep=separator, decimal=decimal,
            usecols=range(header.count(separator) + 1), index_col=False,
        )  # fmt: skip
    except ValueError as error:
        reason = str(error).strip().splitlines()[0]
        raise FitError(f"{path}: is no table of columns with '{separator}' between them: {reason}") from None


def _factor(path: Path, title: str, unit: str, name: str) -> float:
    """Return the factor from the unit in the title of a column to SI."""
    try:
        return parse(f"1 {unit}", _COLUMNS[name])
    except InputError:
        si = _COLUMNS[name]
        raise FitError(
            f"{path}: column {title.strip()}: the name must end with a unit of {si}, such as {name}_{si} or {name}_u{si}, not '{unit}'"
        ) from None


def _numbers(path: Path, title: str, entries: pd.Series[Any]) -> FloatArray:
    """Return a column as numbers; an empty entry is NaN."""
    try:
        return np.asarray(entries, dtype=np.float64)
    except ValueError:
        for number, entry in enumerate(entries, 1):
            try:
                float(entry)
            except ValueError:
                raise FitError(
                    f"{path}: column {title} must hold numbers, but has '{entry}' in row {number}"
                ) from None
        raise


def _loop(path: Path, columns: Mapping[str, Any], setup: Setup) -> Loop:
    voltage, current = columns["voltage"], columns["current"]
    if len(voltage) < _SAMPLES:
        raise FitError(
            f"{path}: a loop needs at least {_SAMPLES} samples of voltage and current, not {len(voltage)}"
        )
    for name in {"voltage", "current", "time"} & set(columns):
        if not np.all(np.isfinite(columns[name])):
            row = int(np.flatnonzero(~np.isfinite(columns[name]))[0]) + 1
            raise FitError(f"{path}: every {name} must be a finite number, but row {row} has none")
    drive = voltage + setup.series * current if setup.across == "device" else voltage
    if setup.amplitude is not None:
        drive = _sine(drive, setup.amplitude)
    if setup.frequency is not None:
        return Loop(path.stem, drive, current, 1.0 / (setup.frequency * len(drive)), setup.series)
    if "time" not in columns:
        raise FitError(
            f"{path}: has no time column; say with --frequency that it holds one period, such as --frequency '10 Hz'"
        )
    steps = np.diff(columns["time"])
    if not np.all(steps > 0):
        raise FitError(f"{path}: the time column must rise")
    grid = np.linspace(columns["time"][0], columns["time"][-1], len(drive))
    drive, current = (np.interp(grid, columns["time"], values) for values in (drive, current))
    return Loop(path.stem, drive, current, float(grid[1] - grid[0]), setup.series, periodic=False)


def _sine(drive: FloatArray, amplitude: float) -> FloatArray:
    """Return a sine [V] with the phase of the fundamental of one measured period."""
    phase = float(np.angle(np.fft.rfft(drive)[1]))
    result: FloatArray = amplitude * np.cos(2 * np.pi * np.arange(len(drive)) / len(drive) + phase)
    return result


def _train(path: Path, columns: Mapping[str, Any], setup: Setup) -> PulseTrain:
    conductance = columns["conductance"]
    if len(conductance) < _PULSES + 1:
        raise FitError(
            f"{path}: a pulse train needs a start and at least {_PULSES} pulses, not {len(conductance)} rows"
        )
    if {"amplitude", "width"} <= set(columns):
        amplitude, width = columns["amplitude"], columns["width"]
    elif "branch" in columns and setup.set_pulse and setup.reset_pulse:
        chosen = {"LTP": setup.set_pulse, "LTD": setup.reset_pulse}
        if set(columns["branch"]) - set(chosen):
            raise FitError(f"{path}: the column branch must hold LTP or LTD")
        amplitude, width = np.array([chosen[entry] for entry in columns["branch"]]).T
    else:
        raise FitError(
            f"{path}: needs columns amplitude_V and width_s, or a column branch (LTP, LTD) with --ltp and --ltd"
        )
    return PulseTrain(path.stem, amplitude[1:], width[1:], conductance[1:], float(conductance[0]))


@dataclass(frozen=True)
class Scales:
    """What the data themselves say about the size of parameters: the bounds of a fit come from these.

    Lowest and highest resistance [ohm] seen (a few outer samples aside), largest voltage [V] over the device in both directions, shortest
    and longest time [s] of the measurements.
    """

    resistance: tuple[float, float]
    voltage: tuple[float, float]
    time: tuple[float, float]


def scales(measurements: tuple[Measurement, ...]) -> Scales:
    """Return the scales of measurements."""
    low, high, up, down, short, long = [], [], [], [], [], []
    for entry in measurements:
        if isinstance(entry, Loop):
            v, i = entry.device_voltage, entry.current
            strong = np.abs(i) > 0.3 * np.abs(i).max()
            wide = np.abs(v) > 0.3 * np.abs(v).max()
            low.append(float(np.quantile(np.abs(v[strong] / i[strong]), _OUTER)))
            least = np.maximum(np.abs(i[wide]), 1e-3 * np.abs(i).max())
            high.append(float(np.quantile(np.abs(v[wide]) / least, 1.0 - _OUTER)))
            up.append(max(float(v.max()), 0.0))
            down.append(max(-float(v.min()), 0.0))
            short.append(entry.interval)
            long.append(entry.interval * len(v))
        else:
            low.append(1.0 / float(entry.conductance.max()))
            high.append(1.0 / float(entry.conductance.min()))
            up.append(max(float(entry.amplitude.max()), 0.0))
            down.append(max(-float(entry.amplitude.min()), 0.0))
            short.append(float(entry.width.min()))
            long.append(float(entry.width.sum()))
    return Scales((max(min(low), 1e-3), max(high)), (max(up), max(down)), (min(short), max(long)))
