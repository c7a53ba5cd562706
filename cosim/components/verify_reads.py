"""Verify reads: one row driven at read amplitude, its cells told from the currents of their bit lines.

A verify read sees a cell through the wires, among the other cells of the array, so it gives what a user of the array gets. The
controller's are phases of the run, quantized and noisy (`VerifyReads.read`); `exact_verify` is what the same reads would give
without noise, offset and quantization, and leaves no trace: the measure of how a write has ended.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, partial

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
from cosim.components.reading import convert, drive_dacs
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


@dataclass(frozen=True, eq=False)
class VerifyReads:
    """The verify reads of a tile: what is the same for all of them, found once."""

    tile: Tile

    @cached_property
    def timing(self) -> ReadTiming:
        """Durations of their array phase."""
        return read_timing(self.tile)

    @cached_property
    def span(self) -> AdcRange:
        """The ADC range: a calibrated one takes in a cell of the highest conductance."""
        tile = self.tile
        setting = tile.periphery.adc.range
        if not isinstance(setting, str):
            return AdcRange(setting[0], setting[1], calibrated=False)
        full = tile.periphery.dac.range[1] * visible_range(tile)[1] * self._transfer
        return AdcRange(0.0, 1.05 * full, calibrated=True)

    @cached_property
    def _transfer(self) -> float:
        """Sensed voltage over current [V/A]."""
        return self.tile.periphery.sense.transfer(self.timing.window_s)

    @cached_property
    def _levels(self) -> tuple[float, float]:
        """What the DACs make of 0 V and of the top of their range [V]."""
        rest, top = self.tile.periphery.dac.levels(np.array([0.0, self.tile.periphery.dac.range[1]]))[
            0
        ].tolist()
        return rest, top

    @cached_property
    def _phases(self) -> dict[int, Phase]:
        return {}

    def phase(self, row: int) -> Phase:
        """Return the array phase of a verify read of one row; kept, since rows are read again and again."""
        if row not in self._phases:
            self._phases[row] = self._phase(row, self.timing)
        return self._phases[row]

    def _phase(self, row: int, timing: ReadTiming) -> Phase:
        rest, top = self._levels
        if rest == 0.0:
            drives = row_drives(self.tile, row, top, timing)
        else:  # a bipolar DAC has no code for exactly 0 V
            actual = np.full(self.tile.array.rows, rest)
            actual[row] = top
            drives = read_drives(self.tile, actual, range(row, row + 1), timing)
        return Phase("verify", timing.duration, drives, (timing.strobe,))

    def seen(self, currents: FloatArray) -> FloatArray:
        """Return the conductances [S] that bit-line currents [A] stand for: over the voltage of the row's driver."""
        return currents / self._levels[1]

    def read(self, operation: int, row: int, columns: Columns) -> Process:
        """Read cells of one row; returns their conductances as the controller computes them from the codes [S].

        All columns from the first to the last are converted.
        """
        tile, timing = self.tile, self.timing
        yield from drive_dacs(
            tile, operation, "convert", row, 1, tile.periphery.dac.energy, "dac", tile.forward
        )
        first, last = int(columns[0]), int(columns[-1])
        nets = tile.network.ends[0].bottom[first : last + 1]
        timed = self_timed(tile, partial(self._phase, row), timing, self.span, nets.tolist())
        index, result = yield from tile.run_phase(operation, self.phase(row), timing.origin, timed)
        charging_energy(tile, operation, index, self.phase(row).drives, "verify")
        sense_energy(tile, operation, index, "verify", result, len(nets))
        sampled = -result.samples.current[0, nets]
        codes, _ = yield from convert(
            tile, operation, "convert", sampled, self.span, timing, tile.forward, first
        )
        yield from tile.wait(operation, "decide", "sequencer", tile.periphery.sequencer.decide_time)
        return self.seen(codes.values[columns - first] / self._transfer)


def exact_verify(tile: Tile, operation: int, rows: Iterable[int] | None = None) -> FloatArray:
    """Return what verify reads would give now without noise, offset and quantization ``(rows, columns)`` [S].

    Bit-line current at the (latest) strobe over the voltage of the row's driver, from the backend of verify reads. NaN
    in rows that are not among ``rows`` (all unless given). Nothing is recorded, and no state moves.
    """
    reads, nets = VerifyReads(tile), tile.network.ends[0].bottom
    found = np.full(tile.array.shape, np.nan)
    for row in range(tile.array.rows) if rows is None else rows:
        result = tile.trial(operation, reads.phase(row))
        found[row] = reads.seen(-result.samples.current[0, nets])
    return found
