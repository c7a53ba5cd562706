"""The same pulses on many lanes side by side, without an event for each: the arithmetic of `Timeline` on whole arrays.

A unit bank that serves jobs of equal length first come, first served starts job i (by arrival) at
``max(arrival_i, free)``, where the free times of the units are taken in their order: nobody overtakes, since all jobs last
equally long. That holds as long as every job of one instruction arrives after all jobs of the instruction before it. Jobs that
arrive together are served in the order of the lanes, as events are, as long as these lanes have been together from the
start. Both is checked; where it fails, or where lanes draw random numbers or comparators differ, the caller has to take
the events.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import numpy as np
from numpy.typing import NDArray

from cosim.ktram.aat import AAT
from cosim.ktram.fidelity import Ideal
from cosim.ktram.instructions import Instruction
from cosim.records import BusyRecord, TimedInstruction
from cosim.units import femtoseconds

if TYPE_CHECKING:
    from cosim.components.bank import Bank
    from cosim.ktram.timeline import Timeline

Times = NDArray[np.int64]


class OvertakenError(Exception):
    """Only events tell which of two jobs is served first."""


def possible(timeline: Timeline) -> bool:
    """Tell whether lanes may be taken side by side: ideal fidelity, nothing drawn, comparators alike."""
    core = timeline.core
    plain = isinstance(core.fidelity, Ideal) and core.read_noise <= 0.0 and not core.law.stochastic
    c = timeline.controller
    return plain and not (c.comparator_offset or c.comparator_noise or c.regeneration)


@dataclass(slots=True)
class _Queue:
    """A bank at work: when its units are free, when its last job arrived [fs], what to record."""

    bank: Bank
    kind: str
    free: Times
    last: int
    rows: list[BusyRecord]

    def serve(self, arrivals: Times, together: Times, duration: int, operation: int) -> Times:
        """Return when each job starts; ``together``: equal for lanes whose events have all been simultaneous."""
        order = np.argsort(arrivals, kind="stable")
        due, groups = arrivals[order], together[order]
        mixed = (due[1:] == due[:-1]) & (groups[1:] != groups[:-1])
        if due[0] < self.last or bool(mixed.any()):
            raise OvertakenError
        self.last = int(due[-1])
        starts = np.empty_like(due)
        for first in range(0, len(due), len(self.free)):
            part = due[first : first + len(self.free)]
            places = np.argsort(self.free, kind="stable")[: len(part)]
            begin = np.maximum(part, self.free[places])
            starts[first : first + len(part)] = begin
            self.free[places] = begin + duration
            name, kind = self.bank.name, self.kind
            self.rows += [
                BusyRecord(name, unit, operation, kind, asked, start, start + duration)
                for unit, asked, start in zip(places.tolist(), part.tolist(), begin.tolist(), strict=True)
            ]
        found = np.empty_like(starts)
        found[order] = starts
        return found


@final
class SideBySide:
    """One run of pulses on lanes; nothing of the time line or the core changes before `commit`."""

    def __init__(self, timeline: Timeline, lanes: Sequence[int], operation: int) -> None:
        self.timeline, self.core, self.operation = timeline, timeline.core, operation
        self.lanes = np.array(lanes)
        self.state: NDArray[Any] = self.core.state[self.lanes]
        self.y = np.array([self.core.lane(k).y for k in lanes])
        self.now = np.full(len(lanes), timeline.now_fs, dtype=np.int64)
        self.latched = np.array([timeline.latched_fs(k) for k in lanes], dtype=np.int64)
        self.selected = [timeline.selected(k) for k in lanes]
        self.together = np.zeros(len(lanes), dtype=np.int64)
        self.rows: list[tuple[Any, ...]] = []
        self.sums: dict[tuple[str, str], float] = {}
        self.space_energy = np.zeros((len(lanes), self.core.spaces_per_lane))
        self._queues = {
            name: _Queue(bank, kind, np.array(bank.free_at, dtype=np.int64), timeline.now_fs, [])
            for name, kind, bank in timeline.banks
            if bank is not None
        }

    def _serve(self, name: str, arrivals: Times, duration: int, who: Any = slice(None)) -> Times:
        queue = self._queues.get(name)
        if queue is None:
            free: Times = arrivals[who]
            return free
        return queue.serve(arrivals[who], self.together[who], duration, self.operation)

    def _part(self, times: Times) -> None:
        """Tell lanes apart whose events are at different times."""
        if times.min() != times.max():
            pairs = np.stack((self.together, times))
            self.together = np.unique(pairs, axis=1, return_inverse=True)[1].reshape(-1)

    def pulse(self, aat: AAT, rule: Instruction, numbers: NDArray[np.intp]) -> None:
        """Carry out one instruction on all lanes."""
        core, c = self.core, self.timeline.controller
        spaces, v_app = len(numbers), core.v_app(rule)
        stored = self.state[:, numbers]
        pairs = core.law.conductances(stored.astype(np.float64))
        if rule.reads:
            tops = np.add.accumulate(pairs[..., 0] - pairs[..., 1], axis=1)[:, -1]
            bottoms = np.add.accumulate(pairs[..., 0] + pairs[..., 1], axis=1)[:, -1]
            found = zip(tops.tolist(), bottoms.tolist(), strict=True)
            self.y = np.array([core.topology.activation(top, bottom) for top, bottom in found])
            vy = np.array([core.topology.node_voltage(v_app, y) for y in self.y.tolist()])
        else:
            sign = np.where(self.y >= 0, 1.0, -1.0) if rule.use_H else np.ones(len(self.y))
            vy = rule.coeff * core.drive_voltage(rule.direction) * sign
        volts = np.stack((v_app - vy, vy + v_app), axis=1)[:, None, :]
        over = np.broadcast_to(volts, stored.shape)
        self.state[:, numbers] = core.law.step_each(stored, over, core.pulse_width, core.rng)
        pairs = pairs * self.timeline.scale
        heat = core.pulse_width * (pairs[..., 0] * volts[..., 0] ** 2 + pairs[..., 1] * volts[..., 1] ** 2)
        parts: dict[str, Any] = {}
        new = np.array([selected != aat for selected in self.selected])
        self.selected = [aat] * len(self.lanes)
        if new.any():
            parts["select"] = np.where(new, spaces * self.timeline.select_energy, 0.0)
        parts["rails"] = np.full(len(self.lanes), 2.0 * spaces * c.rail_capacitance * v_app * v_app)
        parts["node"] = core.spaces_per_lane * c.node_capacitance * vy * vy
        parts["cells"] = heat.sum(axis=1)
        shared = parts["rails"] + parts["node"] + parts.get("select", 0.0)
        self.space_energy[:, numbers // core.book.size] += heat + (shared / spaces)[:, None]
        self._schedule(rule, new, pairs.reshape(len(self.lanes), -1), spaces, parts)

    def _schedule(
        self,
        rule: Instruction,
        new: NDArray[np.bool_],
        pairs: NDArray[np.float64],
        spaces: int,
        parts: dict[str, Any],
    ) -> None:
        core, c, start = self.core, self.timeline.controller, self.now
        settle, width = np.full(len(start), c.settle_floor), np.full(len(start), core.pulse_width)
        if rule.reads:
            settle = np.array([c.settling(g, core.spaces_per_lane) for g in pairs.sum(axis=1).tolist()])
        width = np.maximum(width, settle)
        settle_fs, width_fs = (
            np.array([femtoseconds(t) for t in times.tolist()], dtype=np.int64) for times in (settle, width)
        )
        select, release = femtoseconds(c.select), femtoseconds(c.release)
        compare = femtoseconds(c.compare)
        ready = start.copy()
        if new.any():
            ready[new] = self._serve("address buses", start, select, new) + select
        if rule.use_H:
            ready = np.maximum(ready, self.latched)
        if rule.reads:
            ready = np.maximum(ready, self.latched - settle_fs)
        self._part(ready)
        if "rails" in self._queues:
            if width_fs.min() != width_fs.max():
                raise OvertakenError
            ready = self._serve("rails", ready, int(width_fs[0]) + release)
        strobe = np.full(len(start), -1, dtype=np.int64)
        if rule.reads:
            strobe = ready + settle_fs
            self._part(strobe)
            self.latched = self._serve("comparators", strobe, compare) + compare
            parts["comparator"] = np.full(len(start), c.decision_energy)
            parts["latch"] = np.full(len(start), c.latch_energy)
        self.now = ready + width_fs + release
        self._part(self.now)
        self._record(rule, start, strobe, spaces, parts)

    def _record(
        self, rule: Instruction, start: Times, strobe: Times, spaces: int, parts: dict[str, Any]
    ) -> None:
        kind = "read" if rule.reads else "feedback"
        for name, energies in parts.items():
            self.sums[name, kind] = self.sums.get((name, kind), 0.0) + float(energies.sum())
        total = sum(parts.values())
        columns = (self.lanes, start, strobe, self.latched, self.now, self.y, total)
        self.rows += [
            TimedInstruction(self.operation, lane, rule.name, began, struck, latch, end, spaces, y, energy)
            for lane, began, struck, latch, end, y, energy in zip(
                *(column.tolist() for column in columns), strict=True
            )
        ]

    def commit(self) -> None:
        """Put states, times, records and energies where they belong."""
        timeline, lanes = self.timeline, self.lanes.tolist()
        self.core.state[self.lanes] = self.state
        for lane, y in zip(lanes, self.y.tolist(), strict=True):
            self.core.lane(lane).y = y
        for queue in self._queues.values():
            queue.bank.free_at[:] = queue.free.tolist()
            for served in queue.rows:
                timeline.trace.busy.append(served)
        for row in self.rows:
            timeline.trace.instructions.append(row)
        timeline.space_energy[self.lanes] += self.space_energy
        timeline.advance(lanes, self.selected[0], self.latched.tolist(), int(self.now.max()), self.sums)
