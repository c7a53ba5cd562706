"""Programming with write-verify: select, verify read, decide, pulse, recover, and again.

Cells are programmed one by one, or all of a row at once (``parallel: row``): one verify read of the row, then a pulse for
all that need the same direction and width, the others masked. What the lines carry is said in `cosim.components.schemes`, how
the next pulse is chosen in `cosim.components.write_verify`. A cell that is not in its window within its budget is given up and
recorded. Pulses move other cells of a passive array too, so all cells may be gone through several times (``sweeps``).

A pulse may end early: at a compliance current of the selected bit line, or (``terminated``) where that
current is the one that the cell has at its target. Half-selected cells and wires have their part in it,
which is known from a read with the pattern of the pulse at read amplitude, before the first pulse of a cell
in each direction.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cosim.components.bank import Process
from cosim.components.read_phases import charging_energy, sense_energy, shift_levels
from cosim.components.reading import select_rows
from cosim.components.schemes import LinePolicy, PulseShape, Scheme, pulse_drives
from cosim.components.tile import Tile
from cosim.components.verify_reads import Columns, VerifyReads, visible_range
from cosim.components.write_verify import Ladder, NextPulse, ProgrammingPulse, Verify, next_pulse
from cosim.crossbar.drive import Phase, StopCondition, Waveform
from cosim.devices.base import FloatArray
from cosim.records import CellOutcome, PulseRecord
from cosim.units import femtoseconds, seconds

Direction = Literal["rising", "falling"]


@dataclass(frozen=True, slots=True, eq=False)
class Programming:
    """One write: targets ``(rows, columns)`` [S] as a verify read sees them, NaN where nothing is written.

    ``unselected``: what drives unselected lines; ``parallel``: cells that are programmed at once.
    """

    targets: FloatArray
    scheme: Scheme
    verify: Verify
    set_pulse: ProgrammingPulse
    reset_pulse: ProgrammingPulse
    unselected: LinePolicy = "tracking"
    parallel: Literal["cell", "row"] = "cell"

    @property
    def reacts(self) -> bool:
        """Whether a pulse may end early, so that backends must answer stop conditions."""
        compliances = (self.set_pulse.compliance, self.reset_pulse.compliance)
        return self.verify.pulses == "terminated" or any(each is not None for each in compliances)

    def pulse_for(self, rising: bool) -> ProgrammingPulse:
        """Return the SET or the RESET pulse."""
        return self.set_pulse if rising else self.reset_pulse


class Sweep(NamedTuple):
    """One pass over all cells of a tile: cells that were in their window when they were left, cells pulsed, pulses."""

    converged: int
    pulsed: int
    pulses: int


@dataclass(frozen=True, slots=True, eq=False)
class _Session:
    """What stays the same while a tile is programmed; ``window`` [S] is the half width."""

    tile: Tile
    operation: int
    job: Programming
    reads: VerifyReads
    window: float


@dataclass(slots=True, eq=False)
class _Outcome:
    """What has come out so far, ``(rows, columns)``: verified and device conductance [S], pulses, in the window."""

    verified: FloatArray
    device: FloatArray
    pulses: NDArray[np.int64]
    converged: NDArray[np.bool_]


def program_tile(tile: Tile, operation: int, job: Programming) -> Process:
    """Program a tile; outcomes and pulses go to the trace. Returns the `Sweep` tuples."""
    low, high = visible_range(tile)
    session = _Session(tile, operation, job, VerifyReads(tile), job.verify.window * (high - low))
    shape = tile.array.shape
    found = _Outcome(np.zeros(shape), np.zeros(shape), np.zeros(shape, dtype=np.int64), np.zeros(shape, bool))
    sweeps: list[Sweep] = []
    written = np.isfinite(job.targets)
    while len(sweeps) < job.verify.sweeps and (not sweeps or sweeps[-1].pulses):
        before = found.pulses.copy()
        selected = -1
        for row, columns in _groups(job):
            if row != selected:
                yield from select_rows(tile, operation, "select", 1)
                selected = row
            yield from _program_cells(session, row, columns, found)
            if job.verify.sweeps == 1:
                group = np.zeros(shape, dtype=np.bool_)
                group[row, columns] = True
                _record(tile, operation, job, group, found)
        gained = found.pulses - before
        sweeps.append(
            Sweep(
                int(np.count_nonzero(found.converged & written)),
                int(np.count_nonzero(gained)),
                int(gained.sum()),
            )
        )
    if job.verify.sweeps > 1:
        _record(tile, operation, job, written, found)
    return sweeps


def _record(tile: Tile, operation: int, job: Programming, cells: NDArray[np.bool_], found: _Outcome) -> None:
    """Append the outcomes of some cells ``(rows, columns)``, row by row."""
    for row, column in np.argwhere(cells).tolist():
        at = row, column
        tile.trace.outcomes.append(
            CellOutcome(
                operation, tile.name, row, column, float(job.targets[at]), float(found.verified[at]),
                float(found.device[at]), int(found.pulses[at]), bool(found.converged[at]),
            )
        )  # fmt: skip


def _groups(job: Programming) -> Iterator[tuple[int, Columns]]:
    """Yield row and columns of the cells that are programmed together, row by row."""
    for row, wanted in enumerate(np.isfinite(job.targets)):
        columns = np.flatnonzero(wanted)
        if job.parallel == "cell":
            for column in columns:
                yield row, np.array([column])
        elif len(columns):
            yield row, columns


def _program_cells(session: _Session, row: int, columns: Columns, found: _Outcome) -> Process:
    """Program cells of one row until each is in its window or has used up its budget."""
    job, rule = session.job, session.job.verify
    ladders = dict.fromkeys(columns.tolist(), Ladder())
    spent = dict.fromkeys(ladders, 0)
    surplus: dict[bool, float] = {}
    open_columns = columns
    while open_columns.size:
        seen = yield from session.reads.read(session.operation, row, open_columns)
        _, device = _cells(session.tile, row, open_columns)
        found.verified[row, open_columns], found.device[row, open_columns] = seen, device
        shots: dict[tuple[bool, int, float], list[tuple[int, float]]] = {}
        for column, value in zip(open_columns.tolist(), seen.tolist(), strict=True):
            target = float(job.targets[row, column])
            found.converged[row, column] = abs(value - target) <= session.window
            if found.converged[row, column] or spent[column] >= rule.max_pulses:
                continue
            spec = job.pulse_for(value < target)
            shot, ladders[column] = next_pulse(
                rule, spec, value, target, ladders[column], session.tile.array.cell.gate_voltage
            )
            spent[column] += 1
            shots.setdefault((shot.rising, shot.width_fs, shot.gate), []).append((column, shot.amplitude))
            if rule.pulses == "terminated" and shot.rising not in surplus:
                surplus[shot.rising] = yield from _surplus(session, row, column, shot, value)
        for (rising, width, gate), cells in shots.items():
            chosen = np.array([column for column, _ in cells])
            wanted = None
            if rule.pulses == "terminated":
                wanted = max(float(job.targets[row, chosen[0]]) * cells[0][1] + surplus[rising], 0.0)
            yield from apply_pulse(
                session.tile, session.operation, job, row, chosen, tuple(a for _, a in cells), rising, width,
                gate, wanted,
            )  # fmt: skip
        open_columns = np.array(
            sorted(column for cells in shots.values() for column, _ in cells), dtype=np.intp
        )
        found.pulses[row, open_columns] += 1


def _surplus(session: _Session, row: int, column: int, shot: NextPulse, seen: float) -> Process:
    """Return what half-selected cells and wires add to the cell's own current in a pulse [A].

    A read with the pulse's pattern at read amplitude, held by the sense circuit, less the current of the
    cell by itself, whose conductance was ``seen`` [S].
    """
    tile, operation, timing = session.tile, session.operation, session.reads.timing
    amplitude = tile.periphery.dac.range[1]
    shape = PulseShape(timing.rise, timing.hold + timing.sample, timing.fall)
    drives = pulse_drives(
        tile, session.job.scheme, session.job.unselected, row, np.array([column]), (amplitude,), shape, shot.rising,
        tile.array.cell.gate_voltage,
    )  # fmt: skip
    phase = Phase("verify", timing.duration, drives, (timing.strobe,))
    index, result = yield from tile.run_phase(operation, phase, timing.origin)
    charging_energy(tile, operation, index, drives, "verify")
    sense_energy(tile, operation, index, "verify", result, 1)
    net = tile.network.ends[0].bottom[column]
    held = float(result.samples.current[0, net]) * (-1 if shot.rising else 1)
    return (held - seen * amplitude) * shot.amplitude / amplitude


def _stops(
    tile: Tile,
    drives: Mapping[str, Waveform],
    bit: str,
    rising: bool,
    limits: tuple[float | None, float | None],
) -> tuple[StopCondition, ...]:
    """Return what ends a pulse early; ``limits``: compliance and target current of the bit line [A]."""
    compliance, wanted = limits
    if compliance is None and wanted is None:
        return ()
    comparator, ramp = tile.periphery.comparator, femtoseconds(tile.periphery.driver.fall)
    nets = [net for net, wave in drives.items() if not wave.is_level]
    sign = -1.0 if rising else 1.0  # a SET current leaves the array at the bit line
    stops = []
    if compliance is not None:
        way: Direction = "falling" if rising else "rising"
        stops.append(comparator.stop(bit, "current", sign * compliance, way, nets, ramp_fs=ramp))
    if wanted is not None:
        stops.append(comparator.stop(bit, "current", sign * wanted, "falling", nets, ramp_fs=ramp))
    return tuple(stops)


def apply_pulse(
    tile: Tile,
    operation: int,
    job: Programming,
    row: int,
    columns: Columns,
    amplitudes: tuple[float, ...],
    rising: bool,
    width_fs: int,
    gate_voltage: float,
    wanted: float | None = None,
) -> Process:
    """Apply one pulse to cells of a row; ``gate_voltage`` [V]: of its gate line.

    ``wanted``: bit-line current of the one cell at which the pulse ends [A], or None.
    """
    driver = tile.periphery.driver
    shape = PulseShape(femtoseconds(driver.rise), width_fs, femtoseconds(driver.fall))
    drives = pulse_drives(
        tile,
        job.scheme,
        job.unselected,
        row,
        columns,
        amplitudes,
        shape,
        rising,
        gate_voltage,
    )
    bit = tile.network.nets[tile.network.ends[0].bottom[columns[0]]]
    stops = _stops(tile, drives, bit, rising, (job.pulse_for(rising).compliance, wanted))
    phase = Phase("write", shape.duration_fs, drives, stops=stops)
    before, g_before = _cells(tile, row, columns)
    yield from shift_levels(tile, operation, "write", drives)
    start = tile.now
    origin = "driver.rise + pulse width + driver.fall" + (", or comparator" if stops else "")
    cells = [(row, column) for column in columns.tolist()]
    index, result = yield from tile.run_phase(operation, phase, origin, programmed=cells)
    if result.stops:
        width_fs = min(max(result.stops[0].ramp_fs - shape.rise_fs, 0), width_fs)
    if stops:
        spent = tile.periphery.comparator.power * seconds(result.duration_fs)
        tile.energy(operation, index, "comparator", "write", spent)
    charging_energy(tile, operation, index, drives, "write")
    after, g_after = _cells(tile, row, columns)
    values = zip(
        columns.tolist(),
        amplitudes,
        before.tolist(),
        after.tolist(),
        g_before.tolist(),
        g_after.tolist(),
        strict=True,
    )
    for column, amplitude, x0, x1, g0, g1 in values:
        line = str((tile.array.left if rising else tile.array.bottom or ())[row if rising else column])  # type: ignore[index]
        tile.trace.pulses.append(
            PulseRecord(operation, index, start, tile.name, row, column, line, amplitude, seconds(width_fs), x0, x1, g0, g1)
        )  # fmt: skip
    yield from tile.wait(operation, "recover", "sequencer", tile.periphery.sequencer.recover_time)


def _cells(tile: Tile, row: int, columns: Columns) -> tuple[FloatArray, FloatArray]:
    """Return states (their first variable) and conductances [S] of cells of a row."""
    state = tile.state[row, columns]
    device = tile.array.device
    if device.varied:
        device = device.select((np.full(len(columns), row), columns))
    return state.reshape(len(columns), -1)[:, 0], device.conductance(state)
