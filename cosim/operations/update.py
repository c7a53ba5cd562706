"""The operation ``update``: outer products in place, and how well the cells followed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from cosim.components.bank import Process
from cosim.components.updating import OuterProduct, update_tile
from cosim.devices.base import FloatArray
from cosim.system import Details, Operation, System


@final
@dataclass(frozen=True, slots=True, eq=False)
class Update(Operation):
    """Outer products, one after the other, on the cells of one tile."""

    tile: str
    products: tuple[OuterProduct, ...]
    op: str = "update"

    @property
    def target(self) -> str:
        return self.tile

    def process(self, system: System, index: int) -> Process:
        tile = system.tiles[self.tile]
        before = tile.conductance()
        signed = np.zeros(tile.array.shape, dtype=np.int64)
        pulsed = np.zeros(tile.array.shape, dtype=np.int64)
        for job in self.products:
            count = yield from update_tile(tile, index, job)
            signed += count
            pulsed += np.abs(count)
        low, high = tile.array.device.mean_conductance_range()
        change = (tile.conductance() - before) / (high - low)
        wanted = sum(
            (np.outer(job.row_factors, job.column_factors) for job in self.products), start=0.0 * change
        )
        return {
            "products": len(self.products),
            "slots": sum(job.slots * len(job.quadrants()) for job in self.products),
            "coincidences": int(pulsed.sum()),
            "pulsed_cells": int(np.count_nonzero(pulsed)),
            "change": _change(change, pulsed > 0),
            "disturb": _change(change, pulsed == 0),
            "outer_product": follows(change, wanted),
            "coincidence_product": follows(signed.astype(np.float64), wanted),
        }


def _change(change: FloatArray, chosen: NDArray[np.bool_]) -> Details:
    """Return mean and largest magnitude of the change of chosen cells, in fractions of the range."""
    moved = np.abs(change[chosen])
    if not moved.size:
        return {"cells": 0, "mean_of_range": 0.0, "worst_of_range": 0.0}
    return {"cells": moved.size, "mean_of_range": float(moved.mean()), "worst_of_range": float(moved.max())}


def follows(change: FloatArray, wanted: FloatArray) -> Details:
    """Return how well a change is a multiple of what was wanted.

    ``per_unit``: the factor of the least-squares fit through 0; ``residual``: rms of the rest over the rms of the
    change; ``correlation``: of Pearson, 0 where one side does not vary.
    """
    power = float(np.vdot(wanted, wanted))
    scale = float(np.vdot(wanted, change)) / power if power else 0.0
    rms = float(np.sqrt(np.mean(change**2)))
    rest = float(np.sqrt(np.mean((change - scale * wanted) ** 2)))
    varied = np.ptp(change) > 0 and np.ptp(wanted) > 0
    correlation = float(np.corrcoef(change.ravel(), wanted.ravel())[0, 1]) if varied else 0.0
    return {"per_unit": scale, "residual": rest / rms if rms else 0.0, "correlation": correlation}
