"""A bank of equal units that serves requests in the order in which they arrive.

Each unit is free or busy until a known instant. A request for ``count`` jobs at the present time takes,
job by job, the unit that is free first (the lowest number on a tie), which is exactly what a FIFO
resource without pre-emption does, since no later arrival can overtake. The requester then waits once,
until its last job ends; simpy sees one timeout instead of one process per conversion.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import simpy

from cosim.records import BusyRecord, Trace

Process = Generator[simpy.Event, Any, Any]
"""A simpy process body."""


class Bank:
    """``units`` equal units behind one queue, first come first served, any free unit taken."""

    def __init__(self, environment: simpy.Environment, trace: Trace, name: str, units: int) -> None:
        self._environment = environment
        self._trace = trace
        self.name = name
        self._free_at = [0] * units
        trace.capacities[name] = units

    def serve(self, operation: int, kind: str, count: int, duration_fs: int) -> Process:
        """Run ``count`` jobs of ``duration_fs`` each and wait for the last one to end."""
        now = int(self._environment.now)
        end = now
        for _ in range(count):
            unit = min(range(len(self._free_at)), key=self._free_at.__getitem__)
            start = max(now, self._free_at[unit])
            self._free_at[unit] = start + duration_fs
            end = max(end, start + duration_fs)
            self._trace.busy.append(
                BusyRecord(self.name, unit, operation, kind, now, start, start + duration_fs)
            )
        if end > now:
            yield self._environment.timeout(end - now)
