r"""Outer-product update in place: row and column pulses at once, every cell takes the overlap.

The wanted change of the cells is proportional to :math:`x_i y_j`. Every line has a train of pulses in a number of slots N,
with a pulse in :math:`|x_i| N` or :math:`|y_j| N` of them; a row pulse and a column pulse in the same slot add up to the full
amplitude across the cell, one of them alone is half of it (the cell is half-selected), so that the cell is pulsed

* ``stochastic``: in :math:`|x_i y_j| N` slots in the mean, trains drawn independently of each other;
* ``deterministic``: in as many slots within :math:`1 + \log_2(N)/3`, with the first slots of rows and the slots of columns in the
  order of the van der Corput sequence (H. Niederreiter, Random number generation and quasi-Monte Carlo methods, 1992).

A pulse has one direction, so the signs of x and y make up to four trains after one another: SET where both have the
same sign, RESET where they differ. In a 1T1R array the gates of rows without a pulse are off.

Source: T. Gokmen, Y. Vlasov, Frontiers in Neuroscience 10:333 (2016), stochastic update by coincidence.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import repeat
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cosim.components.bank import Process
from cosim.components.read_phases import charging_energy, shift_levels
from cosim.components.tile import Tile
from cosim.components.write_verify import ProgrammingPulse
from cosim.crossbar.drive import GroupedDrives, Phase, Waveform, level, pulse
from cosim.devices.base import FloatArray
from cosim.units import femtoseconds, seconds

Trains = Literal["stochastic", "deterministic"]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class OuterProduct:
    """One update: factors of rows ``(rows,)`` and columns ``(columns,)``, between -1 and 1, in ``slots`` slots."""

    row_factors: FloatArray
    column_factors: FloatArray
    slots: int
    trains: Trains
    set_pulse: ProgrammingPulse
    reset_pulse: ProgrammingPulse

    def quadrants(self) -> list[tuple[bool, Mask, Mask]]:
        """Return direction (SET or RESET), rows and columns of each train that pulses any cell."""
        x, y = self.row_factors, self.column_factors
        parts = [(True, x > 0, y > 0), (True, x < 0, y < 0), (False, x > 0, y < 0), (False, x < 0, y > 0)]
        return [part for part in parts if part[1].any() and part[2].any()]


def pulse_trains(job: OuterProduct, rng: np.random.Generator) -> tuple[Mask, Mask]:
    """Return in which slots rows and columns have a pulse, ``(slots, rows)`` and ``(slots, columns)``."""
    x, y = np.abs(job.row_factors), np.abs(job.column_factors)
    if job.trains == "stochastic":
        return rng.random((job.slots, len(x))) < x, rng.random((job.slots, len(y))) < y
    slot = np.arange(job.slots)
    return (slot[:, None] + 0.5) / job.slots < x, van_der_corput(job.slots)[:, None] < y


def van_der_corput(count: int) -> FloatArray:
    """Return the first elements of the sequence in base 2, between 0 and 1: the bits of the index, mirrored."""
    index, found, scale = np.arange(count), np.zeros(count), 0.5
    while index.any():
        found += scale * (index & 1)
        index, scale = index >> 1, scale / 2
    return found


def update_tile(tile: Tile, operation: int, job: OuterProduct) -> Process:
    """Pulse rows and columns of a tile; returns the signed number of coincidences ``(rows, columns)``."""
    count = np.zeros(tile.array.shape, dtype=np.int64)
    for rising, rows, columns in job.quadrants():
        row_slots, column_slots = pulse_trains(job, tile.draws("trains"))
        for slot in range(job.slots):
            chosen = row_slots[slot] & rows, column_slots[slot] & columns
            yield from _slot(tile, operation, job, rising, *chosen)
            count += np.outer(*chosen) * (1 if rising else -1)
    return count


def overlap_drives(
    tile: Tile, rising: bool, rows: Mask, columns: Mask, shape: Waveform, half: Waveform
) -> GroupedDrives:
    """Return the drives of one slot: ``shape`` the full pulse, ``half`` the same at half amplitude.

    1R: lines without a pulse are at half amplitude, lines with one at the full one or at 0 V, so that a cell sees the full
    amplitude, half of it, or nothing. 1T1R: rows without a pulse are gated off, columns without one follow the word lines.
    """
    network, array, ends = tile.network, tile.array, tile.network.ends[0]
    grounded, pulsed, halved = range(3)
    word, bit = (pulsed, grounded) if rising else (grounded, pulsed)
    group = np.full(len(network.nets), halved, dtype=np.intp)
    gates: dict[str, Waveform] = {}
    if array.gates is not None:
        group[:] = grounded
        group[ends.bottom] = word
        on = level(array.cell.gate_voltage)
        gates = {array.gates[row]: on for row in np.flatnonzero(rows).tolist()}
    group[ends.left[rows]] = word
    group[ends.bottom[columns]] = bit
    return GroupedDrives(network, (level(0.0), shape, half), group, gates)


def _slot(tile: Tile, operation: int, job: OuterProduct, rising: bool, rows: Mask, columns: Mask) -> Process:
    """Run one slot; where no cell sees a voltage only its time passes."""
    spec = job.set_pulse if rising else job.reset_pulse
    driver, recover = tile.periphery.driver, tile.periphery.sequencer.recover_time
    rise, width, fall = (femtoseconds(t) for t in (driver.rise, spec.width, driver.fall))
    both, either = rows.any() and columns.any(), rows.any() or columns.any()
    if not (both if tile.array.cell.gated else either):
        yield from tile.wait(operation, "recover", "sequencer", seconds(rise + width + fall) + recover)
        return
    shape, half = (
        pulse(v, rise_fs=rise, width_fs=width, fall_fs=fall) for v in (spec.amplitude, spec.amplitude / 2)
    )
    drives = overlap_drives(tile, rising, rows, columns, shape, half)
    yield from shift_levels(tile, operation, "write", drives)
    if tile.array.cell.gated:
        swing = tile.capacitance.gate * tile.array.cell.gate_voltage**2
        tile.energy(operation, -1, "gate-line charging", "write", np.count_nonzero(rows) * swing)
    before, g_before, start = tile.state, tile.conductance(), tile.now
    phase, cells = Phase("write", rise + width + fall, drives), np.argwhere(np.outer(rows, columns))
    origin = "driver.rise + pulse width + driver.fall"
    programmed = [(row, column) for row, column in cells.tolist()] if tile.ageing is not None else []
    index, _ = yield from tile.run_phase(operation, phase, origin, programmed=programmed)
    charging_energy(tile, operation, index, drives, "write")
    _record(tile, (operation, index, start), rising, cells, spec, (before, g_before))
    yield from tile.wait(operation, "recover", "sequencer", recover)


def _record(
    tile: Tile,
    place: tuple[int, int, int],
    rising: bool,
    cells: NDArray[np.intp],
    spec: ProgrammingPulse,
    before: tuple[FloatArray, FloatArray],
) -> None:
    """Append a record for each cell that has had the full amplitude; ``place``: operation, phase, start [fs]."""
    operation, index, start = place
    array, (rows, columns) = tile.array, cells.T
    names = (array.left if rising else array.bottom) or ()
    of_cells = (_first(before[0]), _first(tile.state), before[1], tile.conductance())
    tile.trace.pulses.append_rows(
        list(
            zip(
                repeat(operation), repeat(index), repeat(start), repeat(tile.name), rows.tolist(), columns.tolist(),
                [names[line] for line in (rows if rising else columns).tolist()], repeat(spec.amplitude),
                repeat(spec.width), *(values[rows, columns].tolist() for values in of_cells),
                strict=False,
            )
        )
    )  # fmt: skip


def _first(state: FloatArray) -> FloatArray:
    """Return the first state variable of every cell, ``(rows, columns)``."""
    return state if state.ndim == 2 else state[..., 0]
