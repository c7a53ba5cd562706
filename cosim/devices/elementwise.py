"""Large arrays in one pass: by a compiled law where there is one, else in blocks that fit the cache.

An `advance` in numpy writes what lies between two of its formulas into arrays of all cells; from some ten thousand cells
on, these no longer fit the cache, and memory decides the speed. `elementwise` wraps an `advance` that treats every
cell by itself:

* where numba is installed and the model names a law (`DeviceModel.elementwise_law`), `cosim.devices.compiled_laws`
  does the work, equal to numpy's but for a few units in the last place;
* else the wrapped method is called block by block, with the same result to the last bit.

Small arrays, parameters that differ from cell to cell, and shapes that broadcast take the wrapped method as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from importlib.util import find_spec
from typing import TYPE_CHECKING, TypeVar

import numpy as np

if TYPE_CHECKING:
    from cosim.devices.base import DeviceModel, FloatArray, Parameter

_Model = TypeVar("_Model", bound="DeviceModel")
_Advance = Callable[[_Model, "FloatArray", "FloatArray", "Parameter", float], "FloatArray"]

BLOCK: int = 8192
"""Cells that are treated at a time: 64 KiB an array."""
LARGE: int = 2 * BLOCK
"""Cells of the smallest array that is worth it."""


def elementwise(advance: _Advance[_Model]) -> _Advance[_Model]:
    """Wrap an `advance` whose result for a cell depends on that cell's state, voltage and duration alone."""

    @wraps(advance)
    def wrapped(
        self: _Model, state: FloatArray, voltage: FloatArray, duration: Parameter, temperature: float
    ) -> FloatArray:
        apart = np.shape(duration) not in ((), state.shape)
        if state.size < LARGE or state.shape != voltage.shape or apart or self.varied:
            return advance(self, state, voltage, duration, temperature)
        x, v = state.reshape(-1), voltage.reshape(-1)
        t = duration.reshape(-1) if isinstance(duration, np.ndarray) and duration.ndim else float(duration)
        result = _by_law(self, x, v, t, temperature)
        if result is None:
            result = np.empty(x.size)
            for first in range(0, x.size, BLOCK):
                k = slice(first, first + BLOCK)
                own = t[k] if isinstance(t, np.ndarray) else t
                result[k] = advance(self, x[k], v[k], own, temperature)
        return result.reshape(state.shape)

    return wrapped


def _by_law(
    device: DeviceModel, x: FloatArray, v: FloatArray, t: Parameter, temperature: float
) -> FloatArray | None:
    """Return the flat states after a pulse by the compiled law; None where there is none."""
    law = device.elementwise_law(temperature)
    # A sum that is not finite says that a voltage is not; numpy knows what to do with it.
    if law is None or not numba_available() or not np.isfinite(v.sum()):
        return None
    from cosim.devices.compiled_laws import LAWS

    result = np.empty(x.size)
    LAWS[device.name](flat(x, x.size), flat(v, x.size), flat(t, x.size), np.array(law), result)
    return result


def numba_available() -> bool:
    """Return whether compiled laws can be used."""
    return find_spec("numba") is not None


def flat(values: Parameter, size: int) -> FloatArray:
    """Return a contiguous, writable array ``(size,)``: other kinds would be compiled once more."""
    if isinstance(values, np.ndarray) and values.flags.c_contiguous and values.flags.writeable:
        return values
    return np.array(np.broadcast_to(values, (size,)))


__all__ = ["BLOCK", "LARGE", "elementwise", "flat", "numba_available"]
