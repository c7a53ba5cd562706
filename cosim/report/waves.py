"""``waves.vcd``: what every tile does, as waveforms for GTKWave and Surfer. `cosim.report.fst` writes the same ones.

Per tile: ``busy``, the kind of the phase, its mean power [W] (energy recorded with the phase over its
duration), the cumulative energy [J], amplitude [V], line, row and column of programming pulses; per resource
the number of busy units. The time scale is the largest of 1 us, 1 ns, 1 ps, 1 fs that divides every time.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cosim.records import Trace, femtoseconds
from cosim.report.files import whole_file
from cosim.report.timeline import owner
from cosim.report.totals import EnergyTotals, energy_totals
from cosim.units import seconds

SCALES = (("us", 10**9), ("ns", 10**6), ("ps", 10**3), ("fs", 1))
IDLE = "idle"

Times = NDArray[Any]
"""Femtoseconds: int64, or Python ints where they do not fit."""


class Signal(NamedTuple):
    """One variable and its changes in order of time, at most one per instant."""

    scope: tuple[str, ...]
    name: str
    var_type: str
    size: int
    initial: float | int | str
    times: Times
    values: list[Any]


class Waveforms(NamedTuple):
    """The signals of a run as they are written.

    Names have no white space and differ within a scope; ``initial`` holds from time 0, and every change is later.
    """

    signals: list[Signal]
    unit: str
    """Unit of the time scale: a tick is one of it."""
    scale: int
    """Femtoseconds of a tick."""
    end: int
    """Tick at which the run ends."""

    def in_order(self) -> tuple[list[int], list[int]]:
        """Return ticks and places of all changes in order of time.

        A place counts through the changes of the signals laid end to end; at one instant the earlier signal comes first.
        """
        times = [signal.times for signal in self.signals]
        ticks = np.concatenate([np.array([], dtype=np.int64), *times]) // self.scale
        order = np.argsort(ticks, kind="stable")
        return ticks[order].tolist(), order.tolist()


def waveforms(trace: Trace, totals: EnergyTotals | None = None) -> Waveforms:
    """Return the waveforms of a run."""
    signals = list(waves(trace, totals or energy_totals(trace)))
    unit, scale = timescale(signals, trace.end_fs)
    names: set[tuple[tuple[str, ...], str]] = set()
    return Waveforms(
        [_named(_begun(signal), names) for signal in signals], unit, scale, trace.end_fs // scale
    )


def write_vcd(path: Path, found: Waveforms) -> None:
    """Write waveforms to ``path`` as a value change dump (IEEE 1364, with GTKWave's strings)."""
    with whole_file(path) as stream:
        _dump(stream, found)


def timescale(signals: list[Signal], end_fs: int) -> tuple[str, int]:
    """Return the unit and the femtoseconds of the largest time scale that divides every time."""
    times = [signal.times for signal in signals if len(signal.times)]
    divisor = int(np.gcd.reduce(np.concatenate([*times, femtoseconds([end_fs])])))
    return next((unit, scale) for unit, scale in SCALES if divisor % scale == 0)


def waves(trace: Trace, totals: EnergyTotals) -> Iterator[Signal]:
    """Yield the signals of a trace."""
    phases = trace.phases
    tiles, start = phases.column("tile"), phases.column("start_fs")
    kinds, end = phases.column("kind"), start + phases.column("duration_fs")
    for tile in sorted(set(tiles.tolist())):
        own = np.flatnonzero(tiles == tile)
        yield from _phase_signals(
            str(tile), start[own], end[own], kinds[own], totals.phase[own], totals.booked[own]
        )
        yield from _pulse_signals(trace, str(tile), start, end)
    yield from _resource_signals(trace)


def _phase_signals(
    tile: str, start: Times, end: Times, kinds: NDArray[Any], recorded: Times, booked: Times
) -> Iterator[Signal]:
    scope = ("tiles", tile)
    durations = [seconds(int(value)) for value in (end - start).tolist()]
    power = [e / d if d else 0.0 for e, d in zip(recorded.tolist(), durations, strict=True)]
    yield _intervals(scope, "busy", "wire", 1, start, end, [1] * len(start), 0)
    yield _intervals(scope, "phase", "string", 1, start, end, kinds.tolist(), IDLE)
    yield _intervals(scope, "power_w", "real", 64, start, end, power, 0.0)
    yield _signal(scope, "energy_j", "real", 64, 0.0, end, np.cumsum(booked).tolist())


def _pulse_signals(trace: Trace, tile: str, start: Times, end: Times) -> Iterator[Signal]:
    pulses, scope = trace.pulses, ("tiles", tile)
    own = np.flatnonzero(pulses.column("tile") == tile) if len(pulses) else np.array([], dtype=np.int64)
    if not len(own):
        return
    phase = pulses.column("phase")[own]
    begin, stop = start[phase], end[phase]
    amplitude = pulses.column("amplitude_v")[own].tolist()
    yield _intervals(scope, "pulse_v", "real", 64, begin, stop, amplitude, 0.0)
    yield _intervals(scope, "pulse_line", "string", 1, begin, stop, pulses.column("line")[own].tolist(), IDLE)
    for axis in ("row", "column"):
        values = pulses.column(axis)[own].tolist()
        yield _signal(scope, f"pulse_{axis}", "integer", 32, 0, begin, values)


def _resource_signals(trace: Trace) -> Iterator[Signal]:
    """Yield the number of busy units of every resource."""
    intervals: dict[str, tuple[list[int], list[int], list[int]]] = {
        name: ([], [], []) for name in trace.capacities
    }
    for resource, _, _, _, _, start, end, _, units in trace.busy:
        starts, ends, used = intervals.setdefault(resource, ([], [], []))
        starts.append(start)
        ends.append(end)
        used.append(units)
    for resource, (starts, ends, used) in sorted(intervals.items()):
        tile, name = owner(resource)
        times = femtoseconds(starts + ends)
        steps = np.concatenate([used, np.negative(used)]).astype(np.int64)
        order = np.argsort(times, kind="stable")
        counts = np.cumsum(steps[order]).tolist()
        scope = ("tiles", tile) if tile else ("shared",)
        yield _signal(scope, f"{name}_busy_units", "integer", 32, 0, times[order], counts)


def _intervals(
    scope: tuple[str, ...], name: str, var_type: str, size: int, start: Times, end: Times, values: list[Any],
    rest: Any,
) -> Signal:  # fmt: skip
    """Return a signal with a value over each interval and ``rest`` between them."""
    times = np.empty(2 * len(start), dtype=start.dtype)
    times[0::2], times[1::2] = start, end
    changes: list[Any] = [rest] * len(times)
    changes[0::2] = values
    return _signal(scope, name, var_type, size, rest, times, changes)


def _signal(
    scope: tuple[str, ...], name: str, var_type: str, size: int, initial: Any, times: Times, values: list[Any]
) -> Signal:
    """Return a signal; of changes at one instant the last one counts."""
    if len(times):
        keep = np.append(times[1:] != times[:-1], True).tolist()
        times = times[keep]
        values = [value for value, kept in zip(values, keep, strict=True) if kept]
    return Signal(scope, name, var_type, size, initial, times, values)


def _begun(signal: Signal) -> Signal:
    """Return the signal with a change at time 0 as its initial value."""
    if not len(signal.times) or signal.times[0] != 0:
        return signal
    return signal._replace(initial=signal.values[0], times=signal.times[1:], values=signal.values[1:])


def _named(signal: Signal, names: set[tuple[tuple[str, ...], str]]) -> Signal:
    """Return the signal under a name without white space that is unique in its scope; it is added to ``names``."""
    scope = tuple("_".join(part.split()) or "_" for part in signal.scope)
    name = "_".join(signal.name.split())
    while (scope, name) in names:
        name += "_"
    names.add((scope, name))
    return signal._replace(scope=scope, name=name)


def _dump(stream: IO[str], found: Waveforms) -> None:
    """Write header and initial values through pyvcd, and then the changes in order of time."""
    from vcd import VCDWriter

    with VCDWriter(stream, timescale=f"1 {found.unit}", date="", version="cosim") as writer:
        variables = [
            writer.register_var(
                signal.scope, signal.name, signal.var_type, size=signal.size, init=signal.initial
            )
            for signal in found.signals
        ]
    texts = [
        text
        for signal, variable in zip(found.signals, variables, strict=True)
        for text in _changes(variable, signal.values)
    ]
    ticks, order = found.in_order()
    stream.writelines(_in_order(ticks, [texts[place] for place in order], found.end))


def _in_order(ticks: list[int], texts: list[str], end: int) -> Iterator[str]:
    """Yield the changes, each instant opened once; the last instant is the end of the run."""
    now = 0
    for tick, text in zip(ticks, texts, strict=True):
        if tick != now:
            now = tick
            yield f"#{tick}\n"
        yield text
    if end > now:
        yield f"#{end}\n"


def _changes(variable: Any, values: list[Any]) -> Iterator[str]:
    """Return the text of each change; reals are written so that they read back to the same float."""
    if variable.type.value == "real":
        ident = variable.ident
        return (f"r{value!r} {ident}\n" for value in values)
    made = {value: variable.format_value(value) + "\n" for value in set(values)}
    return map(made.__getitem__, values)
