"""Read and verify phases from kept solutions, and the opposite: every phase on the whole network.

A phase whose cells move at most by what counts as standing still is answered by one frozen network. Its solution
comes from `cosim.crossbar.read_cache.ReadCache`: from that of an earlier phase, where the cells are the same or a few
of them differ, else solved and kept. Voltages of all nodes are in it, so heat, charge and movement are computed as in any
other phase.

The bound on the movement comes before the solution: no voltage in a network of resistors lies outside of those
of its nets, so no cell sees more than their span; `DeviceModel.most_moved` bounds the change of the state there.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from cosim.backends import single_level
from cosim.backends.phase_run import PhaseRun, still
from cosim.backends.response import solve_array
from cosim.crossbar.lines import DEFAULT_TOLERANCE
from cosim.crossbar.read_cache import ReadCache
from cosim.units import seconds

if TYPE_CHECKING:
    from cosim.backends.phase_run import States
    from cosim.backends.response import ArraySolver, Prepared
    from cosim.crossbar.drive import PhaseShape
    from cosim.crossbar.lines import LineSolution, LineSystem
    from cosim.devices.base import DeviceModel, FloatArray

Masks = tuple[tuple[bool, ...] | None, ...]

KINDS = ("read", "verify")
LEAST = 64 * 64
"""Cells of the smallest array worth it: there a kept solution costs as much as the compiled path."""
ARRAYS, DRIVES = 8, 4
"""So many arrays are remembered, with so many drives each (about 25 bytes a cell and drive)."""


class KeptReads:
    """Solutions that one backend keeps; by array, so that no array's answers depend on another's phases."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Drop all solutions."""
        self._cache = ReadCache(DEFAULT_TOLERANCE, ARRAYS, DRIVES)

    def answer(self, run: PhaseRun, compiled: bool) -> tuple[States, str] | None:
        """Return the final states of a phase, accounted, and how it was answered; None if this is no such phase.

        ``compiled``: the compiled path may answer instead. It moves cells faster than numpy does, so that only a
        phase in which none moves at all is taken from it.
        """
        bound = self._bound(run)
        if bound > run.tolerances.still:
            return None
        if bound > 0.0 and compiled:
            tolerances = run.tolerances
            if single_level.plan(run.prepared, run.request.temperature, tolerances.still, tolerances.move):
                return None
        answers: list[str] = []

        def solver(system: LineSystem, cells: FloatArray, drive: list[FloatArray]) -> LineSolution:
            if cells.size < LEAST or system.prepared.shorted:
                return solve_array(system, cells, drive)
            found = self._cache.solve(system, cells, (drive[0], drive[1], drive[2], drive[3]))
            answers.append(self._cache.applied)
            return found

        run.solver = solver
        states = still(run, run.frozen())
        run.solver = None
        if states is None:
            return None
        return states, next((answer for answer in answers if answer.startswith("kept")), "")

    @staticmethod
    def _bound(run: PhaseRun) -> float:
        """Return how far a state may move in the phase; inf for a phase of another kind."""
        phase, arrays = run.request.phase, run.arrays
        if phase.kind not in KINDS or phase.stops or run.tolerances.refine > 1 or run.stochastic:
            return np.inf
        if max(array.rows * array.columns for array in arrays) < LEAST:
            return np.inf
        time, temperature = seconds(phase.duration_fs), run.request.temperature
        return max(_most_moved(array.device, run.shape, time, temperature) for array in arrays)


@lru_cache(maxsize=64)
def _most_moved(device: DeviceModel, shape: PhaseShape, time_s: float, temperature: float) -> float:
    """Return a bound on the movement in a phase of this shape; reads repeat a few shapes."""
    levels = np.nan_to_num(shape.columns)
    span = max(0.0, float(levels.max(initial=0.0))) - min(0.0, float(levels.min(initial=0.0)))
    return device.most_moved(-span, span, time_s, temperature)


def solve_whole(prepared: Prepared, masks: Masks) -> ArraySolver:
    """Return a solver for the whole network: cells whose access device is off are open and see no voltage.

    ``masks``: per array which rows conduct, None where it has no gates.
    """
    conducting = {
        id(system): np.ones((system.rows, 1), dtype=bool) if rows is None else np.array(rows)[:, None]
        for system, rows in zip(prepared.systems, masks, strict=True)
    }

    def solver(system: LineSystem, cells: FloatArray, drive: list[FloatArray]) -> LineSolution:
        on = conducting[id(system)]
        found = solve_array(system, np.where(on, cells, 0.0), drive)
        return replace(found, word_voltage=np.where(on, found.word_voltage, found.bit_voltage))

    return solver
