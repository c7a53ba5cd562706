"""Memory use of an array: read one word, and rewrite cells that have left their window.

A word is the cells of one row. Its word line is driven; either every bit line is sensed at its virtual ground with the other
word lines grounded, so that nothing comes from other rows but through wires, or all lines float but that word line and one
sensed bit line after the other (1R), which costs no driver and lets sneak paths through the other cells in
(A. Flocke, T. G. Noll, ESSCIRC 2007).
"""

from __future__ import annotations

import dataclasses
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cosim.components.bank import Process
from cosim.components.programming import Programming, program_tile
from cosim.components.read_path import ReadPath
from cosim.components.read_phases import (
    AdcRange,
    ReadTiming,
    account_sense,
    adc_range,
    charging_energy,
    read_drives,
    read_timing,
)
from cosim.components.reading import convert, convert_inputs, select_rows
from cosim.components.tile import Tile
from cosim.components.verify_reads import visible_range
from cosim.crossbar.drive import GroupedDrives, Phase
from cosim.devices.base import FloatArray

Unselected = Literal["grounded", "floating"]


class Word(NamedTuple):
    """A word as it was read: sensed currents [A], values of the codes [V], metastable comparators; window [s]."""

    currents: FloatArray
    values: FloatArray
    metastable: int
    window_s: float


def read_word(
    tile: Tile, operation: int, row: int, path: ReadPath, unselected: Unselected = "grounded"
) -> Process:
    """Read one word through ``path`` (forward), all bits at once or, with floating lines, one by one; returns the `Word`."""
    yield from select_rows(tile, operation, "select", 1)
    voltage = np.zeros(tile.array.rows)
    voltage[row] = path.dac.range[1]
    actual, _ = yield from convert_inputs(tile, operation, "convert", voltage)
    timing = read_timing(tile, path)
    drives = read_drives(tile, actual, range(row, row + 1), timing, path)
    columns = np.arange(path.outputs)
    groups = [columns] if unselected == "grounded" else np.split(columns, len(columns))
    parts = []
    for group in groups:
        own = drives if unselected == "grounded" else _floating(drives, path, row, group)
        parts.append((yield from _sensed(tile, operation, path, timing, own, group)))
    currents, values, unsure = zip(*parts, strict=True)
    return Word(np.concatenate(currents), np.concatenate(values), sum(unsure), timing.window_s)


def _sensed(
    tile: Tile, operation: int, path: ReadPath, timing: ReadTiming, drives: GroupedDrives, columns: NDArray[np.intp]
) -> Process:  # fmt: skip
    """Run one array phase and convert neighbouring columns; returns currents [A], values [V], metastable ones."""
    phase = Phase("read", timing.duration, drives, (timing.strobe,))
    index, result = yield from tile.run_phase(operation, phase, timing.origin, path=path)
    nets = path.sensed[columns]
    charging_energy(tile, operation, index, drives, "read")
    charge = float(np.abs(result.net_charge[nets]).sum())
    account_sense(tile, operation, index, "read", charge, result.duration_fs, len(nets), path)
    if path.sense.kind == "integrator":
        currents = -result.net_charge[nets] / timing.window_s
    else:
        currents = -result.samples.current[0, nets]
    span = word_range(tile, path, len(nets))
    codes, unsure = yield from convert(
        tile, operation, "convert", currents, span, timing, path, int(columns[0])
    )
    return currents, codes.values, unsure


def word_range(tile: Tile, path: ReadPath, columns: int) -> AdcRange:
    """Return the ADC range of bits: a calibrated one takes in a cell of the highest conductance."""
    _, high = visible_range(tile)
    return adc_range(tile, np.full((1, columns), 1.05 * high * path.dac.range[1]), None, path)


def _floating(drives: GroupedDrives, path: ReadPath, row: int, columns: NDArray[np.intp]) -> GroupedDrives:
    """Return the drives without those of the other word lines and the bit lines that are not sensed."""
    ends, group = path.network.ends[0], drives.group.copy()
    group[np.delete(ends.left, row)] = len(drives.waveforms)
    group[np.delete(ends.bottom, columns)] = len(drives.waveforms)
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
