"""``trace.json`` or ``trace.json.gz``: the run as Chrome trace events, which Perfetto and ``chrome://tracing`` open.

One process per tile (and one for what the tiles share, one for the program), one track per unit of a
resource, complete events (``X``) that never overlap on their track, counters (``C``) with the mean power of
each tile, flows (``s``, ``t``, ``f``) from an operation to each of its phases and on to the first conversion of what the
phase has sampled. Times are microseconds in exact decimal text. Events are streamed: memory does not grow with them.
Format: "Trace Event Format", Google, 2016.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import IO, Any

from cosim.records import PhaseRecord, Trace
from cosim.report.files import whole_file, whole_gzip
from cosim.report.totals import EnergyTotals, energy_totals
from cosim.units import seconds

PROGRAM = "program"
SHARED = "shared"
_CHUNK = 4096
_DURATION_FROM = PhaseRecord._fields.index("duration_from")


def owner(resource: str) -> tuple[str, str]:
    """Return the tile of a resource (empty for one that the tiles share) and its name within the tile."""
    tile, _, name = resource.rpartition(".")
    return tile, name


def write_timeline(path: Path, trace: Trace, *, totals: EnergyTotals | None = None) -> None:
    """Write the trace events of a run to ``path``, compressed where its name ends in ``.gz``."""
    events = _Events(trace, totals or energy_totals(trace)).all()
    with (whole_gzip if path.suffix == ".gz" else whole_file)(path) as stream:
        stream.write('{"displayTimeUnit": "ns", "traceEvents": [\n')
        _write_joined(stream, events)
        stream.write("\n]}\n")


def _write_joined(stream: IO[str], events: Iterator[str]) -> None:
    separator = ""
    while chunk := list(islice(events, _CHUNK)):
        stream.write(separator + ",\n".join(chunk))
        separator = ",\n"


def microseconds(time_fs: int) -> str:
    """Return integer femtoseconds as the exact decimal text of the microseconds; whole nanoseconds have three digits."""
    whole, part = divmod(time_fs, 10**9)
    return f"{whole}.{part:09d}" if part % 10**6 else f"{whole}.{part // 10**6:03d}"


class _Events:
    """The events of one trace, each as JSON text."""

    def __init__(self, trace: Trace, totals: EnergyTotals) -> None:
        self._trace, self._totals = trace, totals
        self._pids: dict[str, int] = {}
        self._tids: dict[tuple[str, int, int], tuple[int, int]] = {}
        self._ends: dict[tuple[str, int], list[int]] = {}
        self._pending: list[str] = []
        self._tiles_with_phases = sorted({str(tile) for tile in set(trace.phases.column("tile").tolist())})
        self._quoted: dict[str, str] = {}
        self._latest: dict[tuple[str, int], tuple[int, int]] = {}
        self._finished = {record.operation for record in trace.operations}
        self._sampled = _sampled(trace)

    def all(self) -> Iterator[str]:
        """Yield every event; metadata of a track comes before its first event."""
        yield from self._known_tracks()
        yield from self._operations()
        yield from self._phases()
        yield from self._busy()

    def _known_tracks(self) -> Iterator[str]:
        self._track(PROGRAM, 0, 0, process=PROGRAM)
        for tile in self._tiles_with_phases:
            self._track(f"{tile}.array", 0, 0)
        for resource, units in sorted(self._trace.capacities.items()):
            for unit in range(units):
                self._track(resource, unit, 0)
        yield from self._flush()

    def _operations(self) -> Iterator[str]:
        energy = self._totals.by_operation()
        for record in self._trace.operations:
            arguments = {
                "operation": record.operation,
                "target": record.target,
                "energy_j": energy.get(record.operation, 0.0),
            }
            yield self._complete(
                PROGRAM, 0, record.op, record.start_fs, record.end_fs, json.dumps(arguments), PROGRAM
            )

    def _phases(self) -> Iterator[str]:
        """Yield the phases on the array tracks of their tiles, with the mean power as a counter."""
        power_until: dict[str, int] = {}
        converted = {phase for phases in self._sampled.values() for phase in phases}
        energies: Iterable[float] = self._totals.phase.tolist()
        for row, energy in zip(self._trace.phases, energies, strict=True):
            phase, operation, tile, kind, backend, start, duration = row[:7]
            watts = repr(energy / seconds(duration) if duration else 0.0)
            origin = self._quote(row[_DURATION_FROM])
            arguments = (
                f'{{"phase":{phase},"operation":{operation},"backend":{self._quote(backend)},'
                f'"energy_j":{energy!r},"mean_power_w":{watts},"duration_from":{origin}}}'
            )
            yield self._complete(f"{tile}.array", 0, kind, start, start + duration, arguments)
            if operation in self._finished:
                yield self._flow("s", phase, PROGRAM, 0, start)
                yield self._flow("t" if phase in converted else "f", phase, f"{tile}.array", 0, start)
            before = power_until.get(tile, 0)
            if start > before:
                yield self._counter(tile, before, "0.0")
            yield self._counter(tile, start, watts)
            power_until[tile] = start + duration
        for tile, end in power_until.items():
            yield self._counter(tile, end, "0.0")

    def _busy(self) -> Iterator[str]:
        told = {f"{tile}.array" for tile in self._tiles_with_phases}
        for resource, unit, operation, kind, asked, start, end, jobs, units in self._trace.busy:
            if resource not in told:
                waited = f',"waited_us":{microseconds(start - asked)}' if start > asked else ""
                several = f',"jobs":{jobs},"units":{units}' if jobs > 1 or units > 1 else ""
                arguments = f'{{"operation":{operation}{waited}{several}}}'
                yield self._complete(resource, unit, kind, start, end, arguments)
                for phase in self._sampled.pop((resource, operation, asked), ()):
                    yield self._flow("f", phase, resource, unit, start)

    def _complete(
        self, resource: str, unit: int, name: str, start: int, end: int, arguments: str, process: str = ""
    ) -> str:
        """Return a complete event; the metadata of a track that is new comes before it."""
        lane = self._lane(resource, unit, start, end)
        pid, tid = self._tids.get((resource, unit, lane)) or self._track(
            resource, unit, lane, process=process
        )
        self._latest[resource, unit] = pid, tid
        text = (
            f'{{"ph":"X","name":{self._quote(name)},"pid":{pid},"tid":{tid},'
            f'"ts":{microseconds(start)},"dur":{microseconds(end - start)},"args":{arguments}}}'
        )
        return ",\n".join([*self._flush(), text]) if self._pending else text

    def _flow(self, step: str, phase: int, resource: str, unit: int, time: int) -> str:
        """Return start, step or end of the flow of a phase, bound to the latest slice of a unit at ``time``."""
        pid, tid = self._latest[resource, unit]
        bound = ',"bp":"e"' if step == "f" else ""
        return (
            f'{{"ph":"{step}","name":"phase","cat":"flow","id":{phase},"pid":{pid},"tid":{tid},'
            f'"ts":{microseconds(time)}{bound}}}'
        )

    def _lane(self, resource: str, unit: int, start: int, end: int) -> int:
        """Return a lane of the unit that is free at ``start``: 0, unless intervals of the unit overlap."""
        ends = self._ends.get((resource, unit))
        if ends is None:
            ends = self._ends[resource, unit] = [start]
        if start >= ends[0]:
            ends[0] = end
            return 0
        lane = next((lane for lane, free_at in enumerate(ends) if start >= free_at), len(ends))
        ends[lane:] = [end, *ends[lane + 1 :]]
        return lane

    def _counter(self, tile: str, time_fs: int, watts: str) -> str:
        pid = self._process(f"tile {tile}")
        return (
            f'{{"ph":"C","name":"power","pid":{pid},"tid":0,"ts":{microseconds(time_fs)},'
            f'"args":{{"W":{watts}}}}}'
        )

    def _track(self, resource: str, unit: int, lane: int, *, process: str = "") -> tuple[int, int]:
        known = self._tids.get((resource, unit, lane))
        if known is not None:
            return known
        tile, name = owner(resource)
        shared_or_tile = f"tile {tile}" if tile else SHARED
        pid, tid = self._process(process or shared_or_tile), len(self._tids) + 1
        several = self._trace.capacities.get(resource, 1) > 1
        label = "operations" if process else f"{name} {unit}" if several or unit else name
        self._metadata("thread_name", pid, tid, {"name": label + (f" lane {lane}" if lane else "")})
        self._metadata("thread_sort_index", pid, tid, {"sort_index": tid})
        self._tids[resource, unit, lane] = pid, tid
        return pid, tid

    def _process(self, name: str) -> int:
        pid = self._pids.get(name)
        if pid is None:
            pid = self._pids[name] = len(self._pids) + 1
            self._metadata("process_name", pid, 0, {"name": name})
            self._metadata("process_sort_index", pid, 0, {"sort_index": pid})
        return pid

    def _metadata(self, name: str, pid: int, tid: int, arguments: dict[str, Any]) -> None:
        event = {"ph": "M", "name": name, "pid": pid, "tid": tid, "args": arguments}
        self._pending.append(json.dumps(event))

    def _flush(self) -> list[str]:
        pending, self._pending = self._pending, []
        return pending

    def _quote(self, text: str) -> str:
        quoted = self._quoted.get(text)
        if quoted is None:
            quoted = self._quoted[text] = json.dumps(text)
        return quoted


def _sampled(trace: Trace) -> dict[tuple[str, int, int], list[int]]:
    """Return the phases whose samples a converter bank takes on, by bank, operation and instant [fs].

    Samples are asked to be converted at the instant at which their phase ends. Phases of an operation that was not
    finished are left out.
    """
    finished = {record.operation for record in trace.operations}
    ended: dict[tuple[int, int], dict[str, list[int]]] = {}
    for row in trace.phases:
        if row[1] in finished:
            ended.setdefault((row[1], row[5] + row[6]), {}).setdefault(row[2], []).append(row[0])
    found: dict[tuple[str, int, int], list[int]] = {}
    for resource, _, operation, _, asked, *_ in trace.busy:
        tile, name = owner(resource)
        phases = ended.get((operation, asked)) if name == "adc" else None
        if phases and (not tile or tile in phases):
            found.setdefault((resource, operation, asked), [])
            for each in [tile] if tile else sorted(phases):
                found[resource, operation, asked] += phases.pop(each)
    return found
