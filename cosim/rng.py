"""Random streams: one seed of the scenario gives every component its own named stream.

A stream depends on the seed and on its name alone, so adding a component, or asking in another
order, changes no other component's draws.
"""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray


def stream_seed(seed: int, name: str) -> int:
    """Return the 128-bit integer seed of the stream called ``name``."""
    digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
    return int.from_bytes(digest[:16], "big")


def stream(seed: int, name: str) -> np.random.Generator:
    """Return a fresh generator for the stream called ``name`` (for example ``tiles/t0/device``)."""
    return np.random.Generator(np.random.PCG64(stream_seed(seed, name)))


def shell_order(rows: NDArray[np.intp], columns: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return flat positions in ``(rows, columns)`` of the cells in shell order.

    By max(row, column), then row, then column: cells that are served in this order keep their draws when the array
    grows. ``rows`` and ``columns``: the numbers of the lines.
    """
    row, column = (part.ravel() for part in np.meshgrid(rows, columns, indexing="ij"))
    return np.lexsort((column, row, np.maximum(row, column)))


def shell_uniforms(rng: np.random.Generator, shape: tuple[int, int]) -> NDArray[np.float64]:
    """Return two uniform draws a cell, ``(2, rows, columns)``, drawn in `shell_order`."""
    order = shell_order(np.arange(shape[0]), np.arange(shape[1]))
    flat = np.empty((order.size, 2))
    flat[order] = rng.random((order.size, 2))
    result: NDArray[np.float64] = flat.T.reshape(2, *shape)
    return result
