"""The waveform of every line of a run, for a bench generator, and a measured trace beside it.

The scenario is run again (behavioral), and what its drivers do is taken from the phases: every line, selected or not,
with its edges, as breakpoints over the event time; between phases lines are at 0 V. A line that floats in a phase has no
voltage there: a generator must be disconnected, and the files say when.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from cosim.crossbar.backend import PhaseRequest, PhaseResult
from cosim.crossbar.drive import Waveform
from cosim.crossbar.stopping import effective_phase
from cosim.devices.base import FloatArray
from cosim.errors import InputError
from cosim.records import Trace
from cosim.report.files import decimal_seconds, whole_file
from cosim.scenario.load import Scenario
from cosim.scenario.run import Progress, run
from cosim.scenario.tap import Tap
from cosim.units import seconds

Format = Literal["pwl", "csv"]


@dataclass(slots=True, eq=False)
class LineWaveform:
    """Breakpoints of one line over the event time: ``times_fs`` and ``voltages`` [V]; ``floats``: intervals [fs]."""

    tile: str
    line: str
    times_fs: list[int] = field(default_factory=lambda: [0])
    voltages: list[float] = field(default_factory=lambda: [0.0])
    floats: list[tuple[int, int]] = field(default_factory=list)
    pulses: int = 0

    @property
    def name(self) -> str:
        """``TILE.LINE``."""
        return f"{self.tile}.{self.line}"

    def add(self, start_fs: int, duration_fs: int, wave: Waveform | None) -> None:
        """Append what the line does in a phase; None: it floats."""
        if wave is None:
            self.floats.append((start_fs, start_fs + duration_fs))
            return
        if wave.is_level and wave.voltages[0] == 0:
            return
        self.pulses += 1
        inside = [t for t in wave.times_fs if 0 < t < duration_fs]
        times = [0, *inside, duration_fs]
        levels = wave.at(np.array(times, dtype=np.float64)).tolist()
        if start_fs > self.times_fs[-1]:
            self.rest()
        if levels[0] != self.voltages[-1] and start_fs > self.times_fs[-1] + 1:
            self._point(start_fs - 1, self.voltages[-1])  # as it was until the step
        for at, voltage in zip(times, levels, strict=True):
            self._point(start_fs + at, voltage)

    def rest(self) -> None:
        """Go back to 0 V after the last point, in a femtosecond."""
        if self.voltages[-1] != 0:
            self._point(self.times_fs[-1] + 1, 0.0)

    def _point(self, time_fs: int, voltage: float) -> None:
        if time_fs <= self.times_fs[-1]:
            if voltage == self.voltages[-1]:
                return
            time_fs = self.times_fs[-1] + 1  # a step: the next femtosecond
        self.times_fs.append(time_fs)
        self.voltages.append(voltage)

    def at(self, times_s: FloatArray) -> FloatArray:
        """Return the voltage at times [s]; NaN where the line floats."""
        own = np.array([seconds(t) for t in self.times_fs])
        found: FloatArray = np.interp(times_s, own, self.voltages)
        for begin, end in self.floats:
            found[(times_s > seconds(begin)) & (times_s < seconds(end))] = math.nan
        return found


@dataclass(frozen=True, slots=True, eq=False)
class Waveforms:
    """Every line of a run, and the trace of the run."""

    lines: dict[str, LineWaveform]
    trace: Trace

    def line(self, name: str) -> LineWaveform:
        """Return the line called ``TILE.LINE``; raises `InputError` for one that there is not."""
        if name not in self.lines:
            raise InputError(
                f"there is no line '{name}'; lines are named TILE.LINE, such as {next(iter(self.lines))}"
            )
        return self.lines[name]

    def write(self, folder: Path, form: Format) -> list[Path]:
        """Write a file for each line that carries a pulse, and ``lines.csv``, which lists all; returns the paths."""
        folder.mkdir(parents=True, exist_ok=True)
        paths = []
        with whole_file(folder / "lines.csv") as stream:
            stream.write("tile,line,pulses,lowest_v,highest_v,floats_s,file\n")
            for line in self.lines.values():
                file = f"{line.name}.{form}" if line.pulses else ""
                floating = seconds(sum(end - begin for begin, end in line.floats))
                low, high = min(line.voltages), max(line.voltages)
                stream.write(f"{line.tile},{line.line},{line.pulses},{low},{high},{floating},{file}\n")
                if file:
                    paths.append(folder / file)
                    with whole_file(paths[-1]) as out:
                        out.writelines(_pwl(line) if form == "pwl" else _csv(line))
        return [folder / "lines.csv", *paths]


def _pwl(line: LineWaveform) -> Iterator[str]:
    """Yield the text of a file of time and voltage pairs, as SPICE's PWL and bench generators read it."""
    for time_fs, voltage in zip(line.times_fs, line.voltages, strict=True):
        yield f"{decimal_seconds(time_fs)} {voltage!r}\n"


def _csv(line: LineWaveform) -> Iterator[str]:
    """Yield the text of a table with a mark where the line is not driven."""
    yield "time_s,voltage_v,driven\n"
    points = [(t, v, 1) for t, v in zip(line.times_fs, line.voltages, strict=True)]
    points += [(begin, 0.0, 0) for begin, _ in line.floats] + [(end, 0.0, 1) for _, end in line.floats]
    for time_fs, voltage, driven in sorted(points, key=lambda point: point[0]):
        yield f"{decimal_seconds(time_fs)},{voltage!r},{driven}\n"


def waveforms(
    scenario: Scenario, kinds: Sequence[str] = ("write",), progress: Progress | None = None
) -> Waveforms:
    """Run a scenario and return the waveforms of its lines in phases of the given kinds; ``progress``: as in `run`.

    Raises `InputError` for a kind that there is not, and what ends the run.
    """
    for kind in kinds:
        if kind not in ("read", "verify", "write"):
            raise InputError(f"--kind must be read, verify or write, not '{kind}'")
    lines: dict[str, LineWaveform] = {}

    def seen(request: PhaseRequest, result: PhaseResult) -> None:
        if request.phase.kind not in kinds:
            return
        tile, phase = request.network.arrays[0], effective_phase(request.phase, result.stops)
        for net in (*request.network.nets, *request.network.gate_nets):
            if f"{tile.name}.{net}" not in lines:
                lines[f"{tile.name}.{net}"] = LineWaveform(tile.name, net)
            wave = phase.drives.get(net)
            gate = wave is None and net in request.network.gate_nets  # an undriven gate is at 0 V
            if not gate:
                lines[f"{tile.name}.{net}"].add(request.start_fs, result.duration_fs, wave)

    result = run(
        scenario, backend="behavioral", progress=progress, wrap=lambda _tile, inner: Tap(inner, after=seen)
    )
    if result.failure is not None:
        raise result.failure
    for line in lines.values():
        line.rest()
    if not lines:
        raise InputError(f"the run has no phases of kind {' or '.join(kinds)}; choose another --kind")
    return Waveforms(lines, result.trace)


class Comparison(NamedTuple):
    """A measured trace beside what was computed: times [s], both values, their unit and what they are."""

    times_s: FloatArray
    computed: FloatArray
    measured: FloatArray
    unit: str
    what: str

    @property
    def deviation(self) -> FloatArray:
        """Measured less computed."""
        return self.measured - self.computed

    @property
    def rms(self) -> float:
        """Root mean square of the deviation where there is one."""
        return float(np.sqrt(np.nanmean(self.deviation**2)))

    @property
    def largest(self) -> float:
        """Largest magnitude of the deviation."""
        return float(np.nanmax(np.abs(self.deviation)))

    def write(self, folder: Path) -> list[Path]:
        """Write ``deviations.csv`` and ``deviations.svg``; returns the paths."""
        table, plot = folder / "deviations.csv", folder / "deviations.svg"
        unit = self.unit.lower()
        with whole_file(table) as stream:
            stream.write(f"time_s,computed_{unit},measured_{unit},deviation_{unit}\n")
            for row in zip(self.times_s, self.computed, self.measured, self.deviation, strict=True):
                stream.write(",".join(repr(float(value)) for value in row) + "\n")
        _plot(self, plot)
        return [table, plot]


def _plot(comparison: Comparison, path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(2, 1))
    top.plot(comparison.times_s, comparison.computed, label="computed")
    top.plot(comparison.times_s, comparison.measured, ".", markersize=3, label="measured")
    top.set_ylabel(f"{comparison.what} [{comparison.unit}]")
    top.legend()
    bottom.plot(comparison.times_s, comparison.deviation, ".", markersize=3)
    bottom.set_ylabel(f"deviation [{comparison.unit}]")
    bottom.set_xlabel("time [s]")
    figure.savefig(path, metadata={"Date": None})


def compare(found: Waveforms, measured: Path, at: str) -> Comparison:
    """Lay a measured trace beside a run.

    ``measured``: a CSV file with the columns ``time_s`` and ``voltage_v`` (of a line, ``at`` is TILE.LINE) or
    ``conductance_s`` (of a cell, ``at`` is TILE.ROW.COLUMN), which is compared with the state after the last pulse on
    that cell, before the first one with what that pulse found. Raises `InputError` for a file or a place that does not fit.
    """
    columns = _read_trace(measured)
    times = columns["time_s"]
    if "voltage_v" in columns:
        computed = found.line(at).at(times)
        if np.all(np.isnan(computed)):
            raise InputError(
                f"the line '{at}' floats at every instant of '{measured}', so there is no voltage to compare"
            )
        return Comparison(times, computed, columns["voltage_v"], "V", f"voltage of {at}")
    return Comparison(
        times, _conductance(found.trace, at, times), columns["conductance_s"], "S", f"conductance of {at}"
    )


def _conductance(trace: Trace, at: str, times_s: FloatArray) -> FloatArray:
    """Return the conductance of a cell at times [s], from its pulse records."""
    tile, *cell = at.rsplit(".", 2)
    rows: Iterable[tuple[object, ...]] = trace.pulses
    own = [row for row in rows if [row[3], str(row[4]), str(row[5])] == [tile, *cell]]
    if not own:
        raise InputError(f"no pulse went to the cell '{at}'; a cell is named TILE.ROW.COLUMN")
    width = [seconds(int(str(row[2]))) + float(str(row[8])) for row in own]
    after = np.array([float(str(row[12])) for row in own])
    position = np.searchsorted(width, times_s, side="right") - 1
    return np.where(position >= 0, after[np.maximum(position, 0)], float(str(own[0][11])))


def _read_trace(path: Path) -> dict[str, FloatArray]:
    """Return the columns of a measured trace."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError:
        raise InputError(f"there is no file '{path}'") from None
    except UnicodeDecodeError:
        raise InputError(f"'{path}' must be a CSV file, which is UTF-8 text") from None
    rows = [row for row in csv.reader(text.splitlines()) if row and not row[0].lstrip().startswith("#")]
    names = [name.strip() for name in rows[0]] if rows else []
    if "time_s" not in names or not {"voltage_v", "conductance_s"} & set(names):
        raise InputError(
            f"'{path}' must have the columns time_s and voltage_v or conductance_s, but its first line is '{','.join(names)}'"
        )
    found: dict[str, FloatArray] = {}
    for name in {"time_s", "voltage_v", "conductance_s"} & set(names):
        try:
            found[name] = np.array([float(row[names.index(name)]) for row in rows[1:]])
        except (ValueError, IndexError):
            raise InputError(f"the column {name} of '{path}' must hold a number in every line") from None
    if len(rows) == 1 or not all(np.all(np.isfinite(column)) for column in found.values()):
        raise InputError(f"'{path}' must hold at least one line, and finite numbers only")
    return found
