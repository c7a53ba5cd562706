"""From wire and end resistances of an array to its `LineSystem`, with the checks of what a person gives."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from cosim.crossbar.lines import LineSystem, refuse_conductance
from cosim.errors import CrossbarError

if TYPE_CHECKING:
    from cosim.crossbar.lines import FloatArray


def check_conductance(conductance: FloatArray) -> None:
    """Refuse negative, NaN and infinite conductances, with the index of the first."""
    bad = np.flatnonzero(~((conductance >= 0) & (conductance < np.inf)))
    if bad.size:
        refuse_conductance(conductance, int(bad[0]))


def line_system(
    rows: int,
    columns: int,
    r_word_line: ArrayLike = 0.0,
    r_bit_line: ArrayLike = 0.0,
    r_source: ArrayLike = 0.0,
    r_sink: ArrayLike = 0.0,
    r_source_right: ArrayLike = np.inf,
    r_sink_top: ArrayLike = np.inf,
) -> LineSystem:
    """`LineSystem` of an array with one wire segment in front of every driven end; arguments as `solve`."""
    word = _segment_array(r_word_line, (rows, columns), "r_word_line")
    bit = _segment_array(r_bit_line, (rows, columns), "r_bit_line")
    first = word if word.ndim == 0 else word[:, 0]
    last = bit if bit.ndim == 0 else bit[-1]
    return LineSystem(
        rows,
        columns,
        float(word) if word.ndim == 0 else word[:, 1:],
        float(bit) if bit.ndim == 0 else bit[:-1],
        first + _per_line(r_source, rows, "r_source"),
        _per_line(r_source_right, rows, "r_source_right") + (word if word.ndim == 0 else 0.0),
        _per_line(r_sink_top, columns, "r_sink_top") + (bit if bit.ndim == 0 else 0.0),
        last + _per_line(r_sink, columns, "r_sink"),
    )


def _segment_array(value: ArrayLike, shape: tuple[int, int], name: str) -> FloatArray:
    given = np.asarray(value, dtype=np.float64)
    if given.ndim and given.shape != shape:
        raise CrossbarError(f"{name} must be one number or have shape {shape}, not {given.shape}")
    _check_resistance(given, name)
    return given


def _per_line(value: ArrayLike, lines: int, name: str) -> FloatArray:
    given = np.asarray(value, dtype=np.float64)
    if given.ndim and given.shape != (lines,):
        raise CrossbarError(f"{name} must be one number or have shape ({lines},), not {given.shape}")
    _check_resistance(given, name)
    return np.array(np.broadcast_to(given, (lines,)))


def _check_resistance(given: FloatArray, name: str) -> None:
    bad = np.argwhere(~(given >= 0))
    if bad.size or (given.ndim == 0 and not given >= 0):
        index = ", ".join(str(k) for k in bad[0]) if given.ndim else ""
        place = f"{name}[{index}]" if index else name
        raise CrossbarError(f"{place} must be 0 or positive (inf is open), not {given[tuple(bad[0])]:g} ohm")
