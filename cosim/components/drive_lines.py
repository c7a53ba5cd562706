"""Drive any lines of a tile at once: the primitive of stateful logic and of studies of one's own.

Every named line has a pulse from 0 V and back; a line at 0 V is grounded, and the others float or are grounded too. What
happens is what the circuit does: MAGIC and IMPLY are such patterns (S. Kvatinsky et al., IEEE TCAS II 61 (2014) 895; J.
Borghetti et al., Nature 464 (2010) 873), and each works where the thresholds of the devices allow it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from cosim.components.bank import Process
from cosim.components.read_phases import charging_energy, shift_levels
from cosim.components.tile import Tile
from cosim.crossbar.drive import Phase, Waveform, level, pulse
from cosim.records import PulseRecord
from cosim.units import femtoseconds, seconds


@dataclass(frozen=True, slots=True, eq=False)
class LinePulses:
    """One pulse on lines at once: voltage [V] of each driven net, plateau [fs], what all other lines do."""

    voltages: Mapping[str, float]
    width_fs: int
    others: Literal["floating", "grounded"]


def drive_lines(tile: Tile, operation: int, job: LinePulses) -> Process:
    """Drive lines of a tile; a record for every cell on a pulsed line. All gates are on (1T1R)."""
    driver, array = tile.periphery.driver, tile.array
    rise, fall = femtoseconds(driver.rise), femtoseconds(driver.fall)
    drives: dict[str, Waveform] = {}
    for net in tile.network.nets:
        voltage = job.voltages.get(net, 0.0 if job.others == "grounded" else None)
        if voltage is not None:
            shape = (
                pulse(voltage, rise_fs=rise, width_fs=job.width_fs, fall_fs=fall) if voltage else level(0.0)
            )
            drives[net] = shape
    if array.gates is not None:
        drives |= dict.fromkeys(array.gates, level(array.cell.gate_voltage))
    yield from shift_levels(tile, operation, "write", drives)
    before, g_before, start = tile.state, tile.conductance(), tile.now
    phase = Phase("write", rise + job.width_fs + fall, drives)
    index, _ = yield from tile.run_phase(operation, phase, "driver.rise + pulse width + driver.fall")
    charging_energy(tile, operation, index, drives, "write")
    after, g_after = tile.state, tile.conductance()
    for net, (row, column) in _cells(tile, job):
        at = row, column
        tile.trace.pulses.append(
            PulseRecord(
                operation, index, start, tile.name, row, column, net, job.voltages[net], seconds(job.width_fs),
                float(before[at].flat[0]), float(after[at].flat[0]), float(g_before[at]), float(g_after[at]),
            )
        )  # fmt: skip
    yield from tile.wait(operation, "recover", "sequencer", tile.periphery.sequencer.recover_time)


def _cells(tile: Tile, job: LinePulses) -> list[tuple[str, tuple[int, int]]]:
    """Return every cell on a pulsed line, with the net of the line."""
    rows, columns = tile.array.shape
    found: list[tuple[str, tuple[int, int]]] = []
    for net, voltage in job.voltages.items():
        if voltage and net in (tile.array.left or ()):
            row = (tile.array.left or ()).index(net)
            found += [(net, (row, column)) for column in range(columns)]
        elif voltage:
            column = (tile.array.bottom or ()).index(net)
            found += [(net, (row, column)) for row in range(rows)]
    return found
