"""Verify reads: one row driven at read amplitude, its cells told from the currents of their bit lines.

A verify read sees a cell through the wires, among the other cells of the array, so it gives what a user of the array gets. The
controller's are phases of the run, quantized and noisy (`verify`); `exact_verify` is what the same reads would give
without noise, offset and quantization, and leaves no trace: the measure of how a write has ended.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from cosim.components.bank import Process
from cosim.components.read_phases import (
    AdcRange,
    ReadTiming,
    charging_energy,
    read_drives,
    read_timing,
    row_drives,
    sense_energy,
)
from cosim.components.reading import convert_inputs, convert_outputs
from cosim.components.self_timed import self_timed
from cosim.components.tile import Tile
from cosim.crossbar.cell_law import seen_range
from cosim.crossbar.drive import Phase
from cosim.devices.base import FloatArray

Columns = NDArray[np.intp]


def visible_range(tile: Tile) -> tuple[float, float]:
    """Return the lowest and highest conductance [S] that a read of one cell can see."""
    top = tile.periphery.dac.range[1]
    return seen_range(tile.array.device, tile.array.cell, top, tile.temperature)


def verify_span(tile: Tile, timing: ReadTiming) -> AdcRange:
    """Return the ADC range of verify reads: a calibrated one takes in a cell of the highest conductance."""
    setting = tile.periphery.adc.range
    if not isinstance(setting, str):
        return AdcRange(setting[0], setting[1], calibrated=False)
    full = (
        tile.periphery.dac.range[1] * visible_range(tile)[1] * tile.periphery.sense.transfer(timing.window_s)
    )
    return AdcRange(0.0, 1.05 * full, calibrated=True)


def verify(
    tile: Tile, operation: int, row: int, columns: Columns, timing: ReadTiming, span: AdcRange
) -> Process:
    """Read cells of one row; returns their conductances as the controller computes them from the codes [S].

    All columns from the first to the last are converted.
    """
    actual, _ = yield from convert_inputs(tile, operation, "convert", _wanted(tile, row))

    def make(timing: ReadTiming) -> Phase:
        return _phase(tile, row, actual, timing)

    first, last = int(columns[0]), int(columns[-1])
    nets = tile.network.ends[0].bottom[first : last + 1]
    phase, timed = make(timing), self_timed(tile, make, timing, span, nets.tolist())
    index, result = yield from tile.run_phase(operation, phase, timing.origin, timed)
    charging_energy(tile, operation, index, phase.drives, "verify")
    sense_energy(tile, operation, index, "verify", result, len(nets))
    sampled = -result.samples.current[0, nets]
    codes = yield from convert_outputs(tile, operation, "convert", sampled, span, first)
    yield from tile.wait(operation, "decide", "sequencer", tile.periphery.sequencer.decide_time)
    seen: FloatArray = codes.values[columns - first] / tile.periphery.sense.transfer(timing.window_s)
    return seen / float(actual[row])


def exact_verify(tile: Tile, operation: int, rows: Iterable[int] | None = None) -> FloatArray:
    """Return what verify reads would give now without noise, offset and quantization ``(rows, columns)`` [S].

    Bit-line current at the (latest) strobe over the voltage of the row's driver, from the backend of verify reads. NaN
    in rows that are not among ``rows`` (all unless given). Nothing is recorded, and no state moves.
    """
    timing, nets = read_timing(tile), tile.network.ends[0].bottom
    seen = np.full(tile.array.shape, np.nan)
    for row in range(tile.array.rows) if rows is None else rows:
        actual, _ = tile.periphery.dac.convert(_wanted(tile, row))
        result = tile.trial(operation, _phase(tile, row, actual, timing))
        seen[row] = -result.samples.current[0, nets] / actual[row]
    return seen


def _wanted(tile: Tile, row: int) -> FloatArray:
    """Return the voltages of a verify read [V], ``(rows,)``."""
    voltage = np.zeros(tile.array.rows)
    voltage[row] = tile.periphery.dac.range[1]
    return voltage


def _phase(tile: Tile, row: int, actual: FloatArray, timing: ReadTiming) -> Phase:
    """Return the array phase of a verify read; ``actual`` ``(rows,)`` [V]: what the DACs make."""
    if np.count_nonzero(actual) == 1:
        drives = row_drives(tile, row, float(actual[row]), timing)
    else:  # a bipolar DAC has no code for exactly 0 V
        drives = read_drives(tile, actual, range(row, row + 1), timing)
    return Phase("verify", timing.duration, drives, (timing.strobe,))
