"""Maps and read results of a run as an xarray dataset."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cosim.errors import InputError
from cosim.records import Trace

if TYPE_CHECKING:
    import xarray as xr

_UNITS = {"_s": "S", "_v": "V"}


def dataset(trace: Trace, summary: Mapping[str, Any]) -> xr.Dataset:
    """Return the dataset of a run: maps by tile, row and column; results by operation, vector and output.

    What a smaller tile or a shorter read does not have is NaN. Raises `InputError` where xarray is not installed.
    """
    try:
        import xarray as xr
    except ImportError:
        raise InputError(
            "dataset: needs xarray, which is not installed; install it with: pip install 'cosim-crossbar[xarray]'"
        ) from None
    found: dict[str, Any] = {}
    tiles = sorted(trace.maps)
    for name in dict.fromkeys(name for maps in trace.maps.values() for name in maps):
        units = _UNITS.get(name[-2:], "1")
        stacked = _stacked([trace.maps[tile].get(name, np.empty((0, 0))) for tile in tiles])
        found[name] = (("tile", "row", "column"), stacked, {"units": units})
    coordinates: dict[str, Any] = {"tile": tiles} if found else {}
    if len(trace.values):
        operations, tables = _reads(trace)
        by_index = {entry["index"]: entry.get("unit", "1") for entry in summary["operations"]}
        own = sorted({by_index.get(index, "1") for index in operations})
        for name, parts in tables.items():
            found[name] = (("operation", "vector", "output"), _stacked(parts), {"units": ", ".join(own)})
        coordinates["operation"] = operations
    return xr.Dataset(found, coordinates, {"scenario": summary["scenario"]["name"], "seed": summary["seed"]})


def _reads(trace: Trace) -> tuple[list[int], dict[str, list[NDArray[np.float64]]]]:
    of, vector, output = (trace.values.column(name) for name in ("operation", "vector", "output"))
    operations = sorted(set(of.tolist()))
    tables: dict[str, list[NDArray[np.float64]]] = {"value": [], "ideal": []}
    for name, parts in tables.items():
        column = trace.values.column(name)
        for index in operations:
            own = of == index
            table = np.full((int(vector[own].max()) + 1, int(output[own].max()) + 1), np.nan)
            table[vector[own], output[own]] = column[own]
            parts.append(table)
    return operations, tables


def _stacked(parts: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Return tables of several shapes as one array, NaN where a table ends before the largest."""
    shape = tuple(np.max([part.shape for part in parts], axis=0).tolist())
    whole = np.full((len(parts), *shape), np.nan)
    for place, part in enumerate(parts):
        whole[place, : part.shape[0], : part.shape[1]] = part
    return whole
