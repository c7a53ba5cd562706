"""Memory use of an array: read one word, and rewrite cells that have left their window.

A word is the cells of one row. Its word line is driven, every bit line is sensed at its virtual ground; the other word lines
are grounded, so that no current comes from other rows but through wires, or float (1R), which costs no driver and lets
sneak paths through the other rows in (A. Flocke, T. G. Noll, ESSCIRC 2007).
"""

from __future__ import annotations

import dataclasses
from typing import Literal, NamedTuple

import numpy as np

from cosim.components.bank import Process
from cosim.components.programming import Programming, program_tile, visible_range
from cosim.components.read_path import ReadPath
from cosim.components.read_phases import (
    AdcRange,
    adc_range,
    charging_energy,
    read_drives,
    read_timing,
    sense_energy,
)
from cosim.components.reading import convert, convert_inputs, select_rows
from cosim.components.tile import Tile
from cosim.crossbar.drive import GroupedDrives, Phase
from cosim.devices.base import FloatArray

UnselectedWords = Literal["grounded", "floating"]


class Word(NamedTuple):
    """A word as it was read: sensed currents [A], values of the codes [V], metastable comparators; window [s]."""

    currents: FloatArray
    values: FloatArray
    metastable: int
    window_s: float


def read_word(
    tile: Tile, operation: int, row: int, path: ReadPath, unselected: UnselectedWords = "grounded"
) -> Process:
    """Read one word through ``path`` (forward); returns the `Word`."""
    yield from select_rows(tile, operation, "select", 1)
    voltage = np.zeros(tile.array.rows)
    voltage[row] = path.dac.range[1]
    actual, _ = yield from convert_inputs(tile, operation, "convert", voltage)
    timing = read_timing(tile, path)
    drives = read_drives(tile, actual, range(row, row + 1), timing, path)
    if unselected == "floating":
        drives = _floating(drives, path, row)
    phase = Phase("read", timing.duration, drives, (timing.strobe,))
    index, result = yield from tile.run_phase(operation, phase, timing.origin, path=path)
    charging_energy(tile, operation, index, drives, "read")
    sense_energy(tile, operation, index, "read", result, path.outputs, path)
    if path.sense.kind == "integrator":
        currents = -result.net_charge[path.sensed] / timing.window_s
    else:
        currents = -result.samples.current[0, path.sensed]
    codes, unsure = yield from convert(
        tile, operation, "convert", currents, word_range(tile, path), timing, path
    )
    return Word(currents, codes.values, unsure, timing.window_s)


def word_range(tile: Tile, path: ReadPath) -> AdcRange:
    """Return the ADC range of a word: a calibrated one takes in a cell of the highest conductance."""
    _, high = visible_range(tile)
    return adc_range(tile, np.full((1, path.outputs), 1.05 * high * path.dac.range[1]), None, path)


def _floating(drives: GroupedDrives, path: ReadPath, row: int) -> GroupedDrives:
    """Return the drives without those of the other word lines."""
    group = drives.group.copy()
    group[np.delete(path.network.ends[0].left, row)] = len(drives.waveforms)
    return GroupedDrives(drives.network, (*drives.waveforms, None), group, drives.gates)


class Refreshed(NamedTuple):
    """Cells that were read, and those that had left the window."""

    cells: int
    due: int


def refresh_tile(tile: Tile, operation: int, job: Programming, window: float) -> Process:
    """Read all words of a tile and rewrite the cells whose read has left the window; returns what was `Refreshed`.

    ``window``: half width, of the full range; outcomes and pulses of what is rewritten go to the trace.
    """
    path, (low, high) = tile.forward, visible_range(tile)
    targets = np.full(job.targets.shape, np.nan)
    written = np.isfinite(job.targets)
    for row in np.flatnonzero(written.any(axis=1)).tolist():
        word = yield from read_word(tile, operation, row, path)
        actual = path.dac.convert(np.array([path.dac.range[1]]))[0][0]
        seen = word.values / path.sense.transfer(word.window_s) / actual
        due = written[row] & ~(np.abs(seen - job.targets[row]) <= window * (high - low))
        targets[row, due] = job.targets[row, due]
        yield from tile.wait(operation, "decide", "sequencer", tile.periphery.sequencer.decide_time)
    count = int(np.count_nonzero(np.isfinite(targets)))
    if count:
        yield from program_tile(tile, operation, dataclasses.replace(job, targets=targets))
    return Refreshed(int(np.count_nonzero(written)), count)
