"""Maps of a tile's cells after a run: how they were programmed, what moved unasked, what the wires cost.

Each map is an array ``(rows, columns)``. The voltage drops are those of a read with every word line at the top of
the DAC and every bit line at virtual ground, with the cells as they are: the worst case that the periphery can
ask for.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from cosim.components.tile import Tile
from cosim.crossbar.solver import solve
from cosim.devices.base import FloatArray
from cosim.records import Table

MAX_SOLVED = 1 << 16
"""Cells of the largest array whose voltage drops are computed."""


def run_maps(
    tiles: Mapping[str, Tile], before: Mapping[str, FloatArray], outcomes: Table
) -> dict[str, dict[str, FloatArray]]:
    """Return the maps of every tile by name.

    ``before`` ``(rows, columns)`` [S]: conductances at the start; ``outcomes``: the table of `CellOutcome`.
    """
    where = outcomes.column("tile")
    row, column, device = (outcomes.column(name) for name in ("row", "column", "device_s"))
    found = {}
    for name, tile in tiles.items():
        own = where == name
        reference = before[name].copy()
        if len(outcomes):
            reference[row[own], column[own]] = device[own]  # of several outcomes of a cell the last one stays
        found[name] = cell_maps(tile, before[name], reference)
    return found


def cell_maps(tile: Tile, before: FloatArray, reference: FloatArray) -> dict[str, FloatArray]:
    """Return the maps of a tile by name.

    ``conductance_before_s``, ``conductance_after_s`` [S]; ``moved_unasked``: what a cell moved since its last
    verify, or in the run where it was not programmed, in fractions of the device's range; ``word_line_drop_v``,
    ``bit_line_drop_v`` [V] for arrays of at most `MAX_SOLVED` cells with resistive lines.

    ``before``, ``reference`` ``(rows, columns)`` [S]: conductances at the start, and where programming left them.
    """
    after = tile.conductance()
    low, high = tile.array.device.mean_conductance_range()
    maps = {
        "conductance_before_s": before,
        "conductance_after_s": after,
        "moved_unasked": (after - reference) / (high - low),
    }
    return {**maps, **_drops(tile)}


def _drops(tile: Tile) -> dict[str, FloatArray]:
    array, lines = tile.array, tile.array.segments
    wires = (lines.r_word_line, lines.r_bit_line)
    plain = all(isinstance(value, (int, float)) for value in wires) and array.left and array.bottom
    ends = (array.r_left, array.r_bottom)
    if not plain or array.rows * array.columns > MAX_SOLVED or not any((*wires, *ends)):
        return {}
    top = tile.periphery.dac.range[1]
    solution = solve(
        tile.seen_conductance(), np.full(array.rows, top), r_word_line=wires[0], r_bit_line=wires[1],
        r_source=ends[0], r_sink=ends[1],
    )  # fmt: skip
    return {
        "word_line_drop_v": top - solution.word_line_voltage,
        "bit_line_drop_v": solution.bit_line_voltage,
    }
