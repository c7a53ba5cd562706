"""The right to use something that serves one at a time, first come first served.

What is free is taken without an event, unlike a simpy resource: a tile takes its array for every phase,
and hardly ever has to wait for it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator

import simpy


class Turn:
    """One holder at a time."""

    def __init__(self, environment: simpy.Environment) -> None:
        self._environment = environment
        self._held = False
        self._waiting: deque[simpy.Event] = deque()

    def take(self) -> Generator[simpy.Event, None, None]:
        """Wait until it is free, and hold it."""
        if self._held:
            mine = self._environment.event()
            self._waiting.append(mine)
            yield mine
        self._held = True

    def give(self) -> None:
        """Let the next one have it."""
        if self._waiting:
            self._waiting.popleft().succeed()
        else:
            self._held = False
