"""The operation ``drive``: pulses on lines at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from cosim.components.bank import Process
from cosim.components.drive_lines import LinePulses, drive_lines
from cosim.system import Details, Operation, System


@final
@dataclass(frozen=True, slots=True, eq=False)
class Drive(Operation):
    """One pulse on lines of a tile at once."""

    tile: str
    job: LinePulses
    op: str = "drive"

    @property
    def target(self) -> str:
        return self.tile

    def process(self, system: System, index: int) -> Process:
        tile = system.tiles[self.tile]
        before = tile.conductance()
        yield from drive_lines(tile, index, self.job)
        after = tile.conductance()
        low, high = tile.array.device.mean_conductance_range()
        details: Details = {
            "lines": dict(self.job.voltages),
            "change": {"worst_of_range": float(np.abs(after - before).max() / (high - low))},
            "conductance_s": after.ravel()[:4096].tolist(),
        }
        return details
