"""Lines with capacitance: TR-BDF2 on the line solver.

``C dv/dt = f(t) - K v`` at every node, integrated by the trapezoidal rule over ``gamma h`` and by BDF2
over the rest of the step, ``gamma = 2 - sqrt 2`` (Bank, Coughran, Fichtner, Grosse, Rose and Smith, IEEE
Trans. Electron Devices 32, 1985; Hosea and Shampine, Appl. Numer. Math. 20, 1996). Both stages have
the same matrix ``K + 2 C / (gamma h)``: the array with a conductance added from every node, so each stage
is one line solve. The method is of second order and L-stable: it does not ring on the fast modes of the
wires, as the trapezoidal rule does. Its error estimate is filtered by the same matrix.

The state holds the current into every capacitor beside the voltages, so no step asks for a derivative. At
a jump of the drive, or of the cells, that current is unknown: `LineTransient.restart` finds it by one
backward-Euler step too short to move anything, and `solve_transient` calls it where the drive has a jump.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from cosim.crossbar.lines import KernelName, LineSolution, LineSystem, end_currents, solve_lines
from cosim.errors import CrossbarError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cosim.crossbar.lines import FloatArray

GAMMA = 2.0 - sqrt(2.0)
BDF2_MIDDLE = 1.0 / (GAMMA * (2.0 - GAMMA))
BDF2_START = (1.0 - GAMMA) ** 2 / (GAMMA * (2.0 - GAMMA))
ERROR_WEIGHT = 2.0 * (-3.0 * GAMMA**2 + 4.0 * GAMMA - 2.0) / (12.0 * (2.0 - GAMMA))
_SAME = 1e-9
"""Times closer than this part of the whole are one."""
_KEPT = 12
"""Line systems kept for step sizes used before."""


@dataclass(frozen=True, slots=True, eq=False)
class TransientState:
    """Node voltages and what flows into their capacitors; all ``(rows, columns)``."""

    word_voltage: FloatArray
    bit_voltage: FloatArray
    word_charging: FloatArray
    """Into the capacitors of the word nodes [A]."""
    bit_charging: FloatArray
    cell_current: FloatArray
    ends: tuple[FloatArray, FloatArray, FloatArray, FloatArray]
    """Current into the array at left, right ``(rows,)``, top and bottom ``(columns,)`` [A]."""


@dataclass(frozen=True, slots=True, eq=False)
class Drive:
    """Voltages of the four line-end sets at an instant [V], each one number or one per line."""

    left: ArrayLike = 0.0
    right: ArrayLike = 0.0
    top: ArrayLike = 0.0
    bottom: ArrayLike = 0.0

    def sides(self) -> tuple[ArrayLike, ArrayLike, ArrayLike, ArrayLike]:
        """left, right, top, bottom."""
        return self.left, self.right, self.top, self.bottom


class LineTransient:
    """Steps one array with capacitance at its nodes; cells may change from step to step.

    Parameters
    ----------
    system
        Wires and ends.
    word_capacitance, bit_capacitance
        From every node to ground [F], one number or ``(rows, columns)``.

    Raises
    ------
    CrossbarError
        A shape does not fit or a capacitance is negative.
    """

    def __init__(
        self,
        system: LineSystem,
        word_capacitance: ArrayLike,
        bit_capacitance: ArrayLike,
        *,
        kernel: KernelName = "auto",
    ) -> None:
        self.system, self.kernel = system, kernel
        shape = system.rows, system.columns
        self.word_capacitance = _capacitance(word_capacitance, shape, "word_capacitance")
        self.bit_capacitance = _capacitance(bit_capacitance, shape, "bit_capacitance")
        self._systems: OrderedDict[float, LineSystem] = OrderedDict()

    def steady(self, conductance: FloatArray, drive: Drive) -> TransientState:
        """Return the state in which nothing charges."""
        solution = solve_lines(self.system, conductance, *drive.sides(), kernel=self.kernel)
        zero = np.zeros_like(solution.word_voltage)
        ends = (solution.i_left, solution.i_right, solution.i_top, solution.i_bottom)
        return TransientState(
            solution.word_voltage, solution.bit_voltage, zero, zero, solution.cell_current, ends
        )

    def rest(self) -> TransientState:
        """Return the state with everything at 0 V."""
        m, n = self.system.rows, self.system.columns
        zero, rows, columns = np.zeros((m, n)), np.zeros(m), np.zeros(n)
        return TransientState(zero, zero, zero, zero, zero, (rows, rows, columns, columns))

    def restart(
        self, state: TransientState, conductance: FloatArray, drive: Drive, step: float
    ) -> TransientState:
        """Keep the charges over a jump of drive or cells; ``step`` [s] is the way to the next stop."""
        return self._stage(state, conductance, drive, 1e6 / step)

    def step(
        self, state: TransientState, conductance: FloatArray, drives: tuple[Drive, Drive], step: float
    ) -> tuple[TransientState, float]:
        """Advance by ``step`` [s].

        Parameters
        ----------
        drives
            The drive ``GAMMA * step`` later, and ``step`` later.

        Returns
        -------
        The new state, and the estimated error of its voltages [V].
        """
        rate = 2.0 / (GAMMA * step)
        middle = self._stage(state, conductance, drives[0], rate, (state.word_charging, state.bit_charging))
        base = (
            BDF2_MIDDLE * middle.word_voltage - BDF2_START * state.word_voltage,
            BDF2_MIDDLE * middle.bit_voltage - BDF2_START * state.bit_voltage,
        )
        end = self._stage(state, conductance, drives[1], rate, base=base)
        return end, self._error(conductance, (state, middle, end), step, rate)

    def _stage(
        self,
        state: TransientState,
        conductance: FloatArray,
        drive: Drive,
        rate: float,
        charging: tuple[FloatArray, FloatArray] | None = None,
        base: tuple[FloatArray, FloatArray] | None = None,
    ) -> TransientState:
        """Solve ``(K + rate C) v = f + rate C base + charging``."""
        word, bit = (state.word_voltage, state.bit_voltage) if base is None else base
        into_word, into_bit = rate * self.word_capacitance * word, rate * self.bit_capacitance * bit
        if charging is not None:
            into_word, into_bit = into_word + charging[0], into_bit + charging[1]
        solution = self._solve(conductance, drive, rate, into_word, into_bit)
        word_charging = rate * self.word_capacitance * solution.word_voltage - into_word
        bit_charging = rate * self.bit_capacitance * solution.bit_voltage - into_bit
        cell = solution.cell_current
        volts = (solution.v_left, solution.v_right, solution.v_top, solution.v_bottom)
        ends = end_currents(self.system, cell + word_charging, bit_charging - cell, volts)
        return TransientState(
            solution.word_voltage, solution.bit_voltage, word_charging, bit_charging, cell, ends
        )

    def _solve(
        self, conductance: FloatArray, drive: Drive, rate: float, into_word: FloatArray, into_bit: FloatArray
    ) -> LineSolution:
        return solve_lines(
            self._with_capacitance(rate),
            conductance,
            *drive.sides(),
            injected_word=into_word,
            injected_bit=into_bit,
            kernel=self.kernel,
        )

    def _with_capacitance(self, rate: float) -> LineSystem:
        """Return the line system with ``rate * C`` at every node; the last few are kept."""
        found = self._systems.get(rate)
        if found is None:
            system = self.system
            found = LineSystem(
                system.rows,
                system.columns,
                system.r_word,
                system.r_bit,
                system.r_left,
                system.r_right,
                system.r_top,
                system.r_bottom,
                rate * self.word_capacitance,
                rate * self.bit_capacitance,
            )
            self._systems[rate] = found
            if len(self._systems) > _KEPT:
                self._systems.popitem(last=False)
        self._systems.move_to_end(rate)
        return found

    def _error(
        self,
        conductance: FloatArray,
        states: tuple[TransientState, TransientState, TransientState],
        step: float,
        rate: float,
    ) -> float:
        """Largest filtered error estimate of the node voltages [V]."""
        a, b, c = ERROR_WEIGHT / GAMMA, -ERROR_WEIGHT / (GAMMA * (1.0 - GAMMA)), ERROR_WEIGHT / (1.0 - GAMMA)
        first, middle, last = states
        word = step * rate * (a * first.word_charging + b * middle.word_charging + c * last.word_charging)
        bit = step * rate * (a * first.bit_charging + b * middle.bit_charging + c * last.bit_charging)
        filtered = self._solve(conductance, Drive(), rate, word, bit)
        return float(max(np.abs(filtered.word_voltage).max(), np.abs(filtered.bit_voltage).max()))


def _capacitance(value: ArrayLike, shape: tuple[int, int], name: str) -> FloatArray:
    given = np.asarray(value, dtype=np.float64)
    if given.ndim and given.shape != shape:
        raise CrossbarError(f"{name} must be one number or have shape {shape}, not {given.shape}")
    bad = np.argwhere(~((given >= 0) & (given < np.inf)))
    if bad.size or (given.ndim == 0 and not 0 <= given < np.inf):
        place = f"{name}[{', '.join(map(str, bad[0]))}]" if given.ndim else name
        raise CrossbarError(f"{place} must be 0 or positive and finite, not {given[tuple(bad[0])]:g} F")
    return np.array(np.broadcast_to(given, shape))


@dataclass(frozen=True, slots=True, eq=False)
class TransientSolution:
    """What was sampled at the strobes, one row per strobe."""

    time: FloatArray
    """[s], ``(strobes,)``."""
    i_left: FloatArray
    """Current into the array at every end [A], ``(strobes, lines)``."""
    i_right: FloatArray
    i_top: FloatArray
    i_bottom: FloatArray
    word_voltage: FloatArray
    """[V], ``(strobes, rows, columns)``."""
    bit_voltage: FloatArray
    steps: int
    """Steps taken, refused ones included."""
    state: TransientState
    """At the end."""


def solve_transient(
    transient: LineTransient,
    conductance: FloatArray,
    drive: Callable[[float], Drive],
    strobes: Sequence[float],
    *,
    corners: Sequence[float] = (),
    jumps: Sequence[float] = (),
    start: TransientState | None = None,
    tolerance: float = 1e-6,
) -> TransientSolution:
    """Run an array with fixed cells from time 0 to the last strobe, with error-controlled steps.

    Parameters
    ----------
    transient
        The array with its capacitance.
    conductance
        Cells [S], ``(rows, columns)``.
    drive
        Voltages at a time [s]; at a jump it must give the value *after* it.
    strobes
        When to sample [s], rising, from 0 on.
    corners
        Where the drive has a kink [s]; steps end there.
    jumps
        Where the drive jumps [s]; steps end just before, and start again after.
    start
        State at time 0; the steady state at ``drive(0)`` if not given.
    tolerance
        Of one step, as a part of the largest voltage seen.

    Raises
    ------
    CrossbarError
        Strobes do not rise, or the step became too small.
    """
    times = np.asarray(strobes, dtype=np.float64)
    if not times.size or (np.diff(times) < 0).any() or times[0] < 0:
        raise CrossbarError("strobes must rise from 0 on, with at least one")
    stops = _stops((*corners, *jumps, *times), float(times[-1]))
    g = np.asarray(conductance, dtype=np.float64)
    run = _Run(transient, g, drive, tolerance, tuple(jumps), stops[0] if stops else 1.0, float(times[-1]))
    state = transient.steady(g, drive(0.0)) if start is None else start
    near = _SAME * float(times[-1])
    samples = [state] * int((times <= near).sum())
    now = 0.0
    for stop in stops:
        if now == 0.0 or run.jumps_at(now):
            state = transient.restart(state, run.conductance, drive(now), stop - now)
        state = run.advance(state, now, stop)
        now = stop
        samples += [state] * int((np.abs(times - stop) <= near).sum())
    left, right, top, bottom = (np.stack([s.ends[k] for s in samples]) for k in range(4))
    word, bit = np.stack([s.word_voltage for s in samples]), np.stack([s.bit_voltage for s in samples])
    return TransientSolution(times, left, right, top, bottom, word, bit, run.steps, state)


def _stops(times: Sequence[float], last: float) -> list[float]:
    """Rising times at which steps end; times that differ by rounding alone count once."""
    stops = [0.0]
    for time in sorted(float(t) for t in times if t <= last):
        if time - stops[-1] > _SAME * last:
            stops.append(time)
    return stops[1:]


class _Run:
    """Step control of one run: sizes are halves of the way between two stops, so systems are reused."""

    def __init__(
        self,
        transient: LineTransient,
        conductance: FloatArray,
        drive: Callable[[float], Drive],
        tolerance: float,
        jumps: tuple[float, ...],
        first: float,
        last: float,
    ) -> None:
        self.transient, self.conductance, self.drive = transient, conductance, drive
        self.tolerance, self.jumps = tolerance, jumps
        self.steps = 0
        self.scale = 1e-300
        self.size = 0.125 * first
        self.near = _SAME * last

    def advance(self, state: TransientState, start: float, stop: float) -> TransientState:
        """From one stop to the next, in steps of ``(stop - start) / 2**depth``."""
        depth = 0
        while depth < 30 and (stop - start) / (1 << depth) > self.size:
            depth += 1
        done = 0
        while done < 1 << depth:
            size = (stop - start) / (1 << depth)
            now = start + done * size
            drives = self._drive(now + GAMMA * size, stop), self._drive(now + size, stop)
            trial, error = self.transient.step(state, self.conductance, drives, size)
            self.steps += 1
            self.scale = max(
                self.scale, float(np.abs(trial.word_voltage).max()), float(np.abs(trial.bit_voltage).max())
            )
            if error > self.tolerance * self.scale:
                if depth >= 40:
                    raise CrossbarError(
                        f"the transient step became too small at {now:g} s: is there an unmarked jump?"
                    )
                depth, done = depth + 1, 2 * done
                continue
            state, done, self.size = trial, done + 1, size
            while error < 0.05 * self.tolerance * self.scale and depth and done % 2 == 0:
                depth, done, error = depth - 1, done // 2, 8.0 * error
                self.size = 2.0 * self.size
        return state

    def _drive(self, time: float, stop: float) -> Drive:
        """Drive inside a step; a jump at the end of the way has not happened yet."""
        if time >= stop and self.jumps_at(stop):
            return self.drive(stop - 2.0 * self.near)
        return self.drive(min(time, stop))

    def jumps_at(self, time: float) -> bool:
        """Whether the drive jumps at this time."""
        return any(abs(jump - time) <= self.near for jump in self.jumps)
