"""Banks of equal converters: who is served when, and by which unit.

A job occupies a unit for its interval and is done a latency after its start (longer than the interval in
a pipeline). `Bank` serves first come, first served: each unit is free or busy until a known instant, and a
request takes, job by job, the unit that can start first (the lowest number on a tie). That is exactly what a
FIFO resource without pre-emption does, since no later arrival can overtake, so the requester waits once.
`ArbitratedBank` lets a policy choose among waiting owners whenever a unit becomes free.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from heapq import heapify, heapreplace
from typing import Any, Literal, final

import simpy

from cosim.records import BusyRecord, Trace

Process = Generator[simpy.Event, Any, Any]
"""A simpy process body."""

Assignment = Literal["any-free", "fixed"]
Arbitration = Literal["first-come", "round-robin", "priority"]


class ConverterBank(ABC):
    """``units`` equal units that serve jobs of several owners."""

    def __init__(
        self,
        environment: simpy.Environment,
        trace: Trace,
        name: str,
        units: int,
        assignment: Assignment = "any-free",
    ) -> None:
        self._environment, self._trace = environment, trace
        self.name, self.units, self.assignment = name, units, assignment
        trace.capacities[name] = units

    @abstractmethod
    def serve(
        self,
        operation: int,
        kind: str,
        count: int,
        duration_fs: int,
        *,
        latency_fs: int | None = None,
        owner: str = "",
        places: tuple[int, int] | None = None,
    ) -> Process:
        """Run ``count`` jobs of ``duration_fs`` each and wait for the last; returns their starts [fs].

        ``latency_fs``: from a job's start to its result, where that is not ``duration_fs``. ``places``
        ``(first, of)``: the jobs belong to ``count`` neighbouring columns of ``of``, for fixed assignment.
        """

    def name_owner(self, owner: str) -> None:  # noqa: B027 (a queue in order of arrival needs no names)
        """Take up an owner; the order of naming is the order of turns and of precedence."""

    def unit_of(self, column: int, columns: int) -> int:
        """Return the unit of a column under fixed assignment: blocks of neighbouring columns."""
        return column * self.units // columns


@lru_cache(maxsize=64)
def _offsets(count: int, units: int, duration_fs: int) -> tuple[int, ...]:
    """Return the starts of jobs that units take in turns, after that of the first [fs]."""
    return tuple(job // units * duration_fs for job in range(count))


@final
class Bank(ConverterBank):
    """First come, first served; the whole queue is computed when a request arrives."""

    def __init__(
        self,
        environment: simpy.Environment,
        trace: Trace,
        name: str,
        units: int,
        assignment: Assignment = "any-free",
    ) -> None:
        super().__init__(environment, trace, name, units, assignment)
        self.free_at = [0] * units
        """When each unit is free [fs]."""

    def serve(
        self,
        operation: int,
        kind: str,
        count: int,
        duration_fs: int,
        *,
        latency_fs: int | None = None,
        owner: str = "",
        places: tuple[int, int] | None = None,
    ) -> Process:
        now = int(self._environment.now)
        latency = duration_fs if latency_fs is None else latency_fs
        starts, records = self._plan(operation, kind, now, count, duration_fs, places)
        self._trace.busy.append_rows(records)
        end = max(starts, default=now) + (latency if starts else 0)
        if end > now:
            yield self._environment.timeout(end - now)
        return starts

    def plan_alike(
        self, operation: int, kind: str, asked: int, last: int, count: int, duration_fs: int, places: tuple[int, int]
    ) -> tuple[list[int], list[BusyRecord]]:  # fmt: skip
        """Serve requests that are alike, the first at ``asked`` and the last at ``last`` [fs], each when all units are free.

        Returns the starts of the first one's jobs [fs], and its records, which those of the others repeat.
        """
        assert max(self.free_at) <= asked, "units are still busy"
        starts, records = self._plan(operation, kind, asked, count, duration_fs, places)
        self.free_at = [free + last - asked if free > asked else free for free in self.free_at]
        return starts, [BusyRecord(*record) for record in records]

    def _plan(
        self,
        operation: int,
        kind: str,
        now: int,
        count: int,
        duration_fs: int,
        places: tuple[int, int] | None,
    ) -> tuple[list[int], list[tuple[Any, ...]]]:
        """Take the units for the jobs of one request; returns their starts [fs] and the records of the units."""
        free = self.free_at
        ready = now if max(free) <= now else free[0] if free.count(free[0]) == self.units else None
        if ready is not None and self.assignment == "any-free":
            return self._in_turns(operation, kind, now, ready, count, duration_fs)
        units = self._units(now, count, duration_fs, places)
        starts = self._starts(now, units, duration_fs)
        return starts, self._intervals(operation, kind, now, units, starts, duration_fs)

    def reserve_one(self, operation: int, kind: str, duration_fs: int) -> tuple[int, int]:
        """Reserve the unit that can start one job first; return start [fs] and unit, and do not wait for it."""
        now, free, earliest = int(self._environment.now), self.free_at, self.next_unit()
        start = max(free[earliest], now)
        free[earliest] = start + duration_fs
        self._trace.busy.append(
            BusyRecord(self.name, earliest, operation, kind, now, start, start + duration_fs)
        )
        return start, earliest

    def next_unit(self) -> int:
        """Return the unit that `reserve_one` would take now."""
        now, free = int(self._environment.now), self.free_at
        return next((k for k, until in enumerate(free) if until <= now), free.index(min(free)))

    def _in_turns(
        self, operation: int, kind: str, now: int, ready: int, count: int, duration_fs: int
    ) -> tuple[list[int], list[tuple[Any, ...]]]:
        """Serve jobs by units that can all start at one instant: they take turns."""
        turns, rest = divmod(count, self.units)
        name, end = self.name, ready + turns * duration_fs
        long = end + duration_fs
        records: list[tuple[Any, ...]] = [
            (name, unit, operation, kind, now, ready, long, turns + 1, 1) for unit in range(rest)
        ]
        if turns:
            others = range(rest, self.units)
            records += [(name, unit, operation, kind, now, ready, end, turns, 1) for unit in others]
        self.free_at[: len(records)] = [record[6] for record in records]
        return [ready + offset for offset in _offsets(count, self.units, duration_fs)], records

    def _units(self, now: int, count: int, duration_fs: int, places: tuple[int, int] | None) -> Sequence[int]:
        """Return the unit of each job."""
        if self.assignment == "fixed":
            first, columns = places or (0, max(count, 1))
            return [self.unit_of(first + k, columns) for k in range(count)]
        ready = [(max(free, now), unit) for unit, free in enumerate(self.free_at)]
        heapify(ready)
        chosen = []
        for _ in range(count):
            start, unit = ready[0]
            chosen.append(unit)
            heapreplace(ready, (start + duration_fs, unit))
        return chosen

    def _starts(self, now: int, units: Sequence[int], duration_fs: int) -> list[int]:
        free, starts = self.free_at, []
        for unit in units:
            start = max(free[unit], now)
            starts.append(start)
            free[unit] = start + duration_fs
        return starts

    def _intervals(
        self, operation: int, kind: str, now: int, units: Sequence[int], starts: list[int], duration_fs: int
    ) -> list[tuple[Any, ...]]:
        """Return one interval per unit: its jobs of one request follow one another without a gap."""
        intervals: dict[int, list[int]] = {}
        for unit, start in zip(units, starts, strict=True):
            intervals.setdefault(unit, [start, 0])[1] += 1
        return [
            (self.name, unit, operation, kind, now, start, start + jobs * duration_fs, jobs, 1)
            for unit, (start, jobs) in intervals.items()
        ]


@dataclass(slots=True, eq=False)
class _Request:
    """Jobs of one owner that wait for units."""

    operation: int
    kind: str
    asked: int
    duration: int
    latency: int
    done: simpy.Event
    starts: list[int]
    left: int


@dataclass(slots=True)
class _Queue:
    """Waiting jobs of one owner: (request, number of the job), all together or by unit."""

    jobs: dict[int, deque[tuple[_Request, int]]] = field(default_factory=dict)


@final
class ArbitratedBank(ConverterBank):
    """Whenever a unit is free, the policy chooses among the owners that wait; jobs are never interrupted.

    ``round-robin``: the owners take turns, job by job. ``priority``: the owner that was named first has
    precedence. Requests of the same instant are all seen before the first choice.
    """

    def __init__(
        self,
        environment: simpy.Environment,
        trace: Trace,
        name: str,
        units: int,
        assignment: Assignment = "any-free",
        policy: Literal["round-robin", "priority"] = "round-robin",
    ) -> None:
        super().__init__(environment, trace, name, units, assignment)
        self.policy = policy
        self._queues: dict[str, _Queue] = {}
        self._idle = set(range(units))
        self._turn = 0
        self._asleep = True

    def serve(
        self,
        operation: int,
        kind: str,
        count: int,
        duration_fs: int,
        *,
        latency_fs: int | None = None,
        owner: str = "",
        places: tuple[int, int] | None = None,
    ) -> Process:
        if not count:
            return []
        if not duration_fs:
            return [int(self._environment.now)] * count
        now, latency = int(self._environment.now), duration_fs if latency_fs is None else latency_fs
        done = self._environment.event()
        request = _Request(operation, kind, now, duration_fs, latency, done, [0] * count, count)
        queue = self._queues.setdefault(owner, _Queue())
        first, columns = places or (0, count)
        for k in range(count):
            unit = self.unit_of(first + k, columns) if self.assignment == "fixed" else -1
            queue.jobs.setdefault(unit, deque()).append((request, k))
        self._wake()
        yield done
        return request.starts

    def name_owner(self, owner: str) -> None:
        self._queues.setdefault(owner, _Queue())

    def _wake(self) -> None:
        if self._asleep:
            self._asleep = False
            event = self._environment.timeout(0)
            assert event.callbacks is not None
            event.callbacks.append(lambda _: self._dispatch())

    def _dispatch(self) -> None:
        self._asleep = True
        for unit in sorted(self._idle):
            job = self._next(unit)
            if job is not None:
                self._start(unit, *job)

    def _next(self, unit: int) -> tuple[_Request, int] | None:
        """Take the next job for a unit out of the queues."""
        queues = list(self._queues.values())
        first = self._turn if self.policy == "round-robin" else 0
        key = unit if self.assignment == "fixed" else -1
        for step in range(len(queues)):
            position = (first + step) % len(queues)
            waiting = queues[position].jobs.get(key)
            if waiting:
                self._turn = (position + 1) % len(queues)
                return waiting.popleft()
        return None

    def _start(self, unit: int, request: _Request, number: int) -> None:
        now = int(self._environment.now)
        self._idle.discard(unit)
        request.starts[number] = now
        self._trace.busy.append(
            BusyRecord(
                self.name, unit, request.operation, request.kind, request.asked, now, now + request.duration, 1, 1
            )
        )  # fmt: skip
        self._after(request.duration, lambda: self._free(unit))
        self._after(request.latency, lambda: self._finish(request))

    def _after(self, delay: int, action: Any) -> None:
        event = self._environment.timeout(delay)
        assert event.callbacks is not None
        event.callbacks.append(lambda _: action())

    def _free(self, unit: int) -> None:
        self._idle.add(unit)
        self._wake()

    def _finish(self, request: _Request) -> None:
        request.left -= 1
        if not request.left:
            request.done.succeed()


def make_bank(
    environment: simpy.Environment,
    trace: Trace,
    name: str,
    units: int,
    assignment: Assignment,
    arbitration: Arbitration,
) -> ConverterBank:
    """Return the bank of a policy."""
    if arbitration == "first-come":
        return Bank(environment, trace, name, units, assignment)
    return ArbitratedBank(environment, trace, name, units, assignment, arbitration)
