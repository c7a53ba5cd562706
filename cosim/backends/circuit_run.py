"""One phase on any circuit: nonlinear cells, joined floating nets, charged lines and nets, and states that move meanwhile.

Between two corners of its drives a phase is cut into steps. A step solves the circuit at its middle and at its end for
the states that come out there: the states are predicted from the voltages, the circuit solved for them, and so on
until they agree (`Tolerances.coupling`).

* Without capacitance the middle is one half; the circuit is quasi-static and the instants are the Simpson rule's.
* With capacitance a step is one of TR-BDF2 (`cosim.crossbar.transient`): the middle is ``GAMMA``, each instant one
  implicit stage. The method is L-stable and of second order, states and voltages alike.

Where the phase has stop conditions, each step is looked at before it counts. One in which a condition's quantity crosses its
threshold is taken anew up to the crossing, and the phase goes on from there with the drives that follow from it.

A step is taken in halves if the states move too far (`move`) or with too large an error (`step`, see
`cosim.backends.travel`), if the heat in the cells between the instants is not what a parabola says, or if the voltage
error of TR-BDF2 is too large (`voltage`); it grows again where the errors allow.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from cosim.backends import instant
from cosim.backends.account import Account
from cosim.backends.crossings import Crossing, Watch
from cosim.backends.instant import OfNodes, Plan, Point, States
from cosim.backends.phase_run import Tolerances
from cosim.backends.travel import Shares, Travel, travel
from cosim.crossbar.backend import Energy, PhaseRequest
from cosim.crossbar.drive import drive_table
from cosim.crossbar.stacks import StackSolution
from cosim.crossbar.stopping import Stop, effective_phase, met
from cosim.crossbar.transient import BDF2_MIDDLE, BDF2_START, ERROR_WEIGHT, GAMMA
from cosim.devices.base import FloatArray
from cosim.errors import InternalError
from cosim.units import seconds

_CORRECTIONS = 6
_HEAT = 1e-5
"""Accepted error of the heat of one step, as a part of the largest power so far times the step."""
_GROWS = 0.1
"""A step with less than this part of the accepted error is doubled: the error then grows by eight."""
_DEEPEST = 40
_REFINED, _CLOSE = 4, 1e-5
"""Times that the crossing of a stop condition is estimated again, and the change, as a part of the step, that ends it."""
_MICRO = 1e-6
"""Length of the backward-Euler step that finds the charging currents at a corner, as a part of the next step."""
_HALF, _STAGED = Shares(0.5), Shares(GAMMA)
_CHARGE = (0.5 / (2.0 - GAMMA), 0.5 / (2.0 - GAMMA), 0.5 * GAMMA)
"""Weights with which TR-BDF2 integrates currents: the charge is then exactly ``C`` times the change of voltage."""


class Trial(NamedTuple):
    """A step that counts: its middle and end, the states there, its largest error by what is accepted."""

    middle: Point
    end: Point
    states: States
    error: float


class CircuitRun:
    """One phase in flight; `run` integrates it.

    ``node_voltages`` and ``net_voltages`` of the request are what lines and nets are charged to at the start, where
    ``prepared`` has capacitance.
    """

    def __init__(self, request: PhaseRequest, prepared: Plan, tolerances: Tolerances) -> None:
        self.request, self.plan, self.tolerances = request, prepared, tolerances
        self.stops: list[Stop] = []
        self.watch = Watch(request.phase, request.network)
        self._follow(0)
        self.charged = prepared.capacitance is not None
        self.shares = _STAGED if self.charged else _HALF
        self.account = Account(prepared)
        self.exposure = [np.zeros(bank.stack.shape) for bank in prepared.banks]
        self.found: dict[int, Point] = {}
        """Points at corners, and at the ends of steps where waveforms are saved, by instant [fs]."""
        self.states: States = prepared.stacked(request.states)
        self.stored = 0.0
        self._rates: tuple[FloatArray, ...] | None = None
        self._hottest = 0.0
        self._largest = 0.0
        self._size = math.inf
        self._coarsest = max(0, math.ceil(math.log2(tolerances.refine)))

    def run(self) -> Point:
        """Integrate the phase; return its last point."""
        before = self._charges() if self.charged else None
        point = self._start(seconds(self.corners[1]), before)
        self.found[0] = point
        k = 0
        while k + 1 < len(self.corners):
            point, stop = self._stretch(point, k, seconds(self.corners[k + 1] - self.corners[k]))
            k += 1
            self.found[self.corners[k] if stop is None else stop.crossing_fs] = point
            if stop is not None:
                self.stops.append(stop)
                self._follow(stop.crossing_fs)
                k = 0
        self.account.close()
        if before is not None:
            self.stored = self._gained(before, point)
        return point

    def _follow(self, begin_fs: int) -> None:
        """Take the drives from ``begin_fs`` on that follow from the stops so far."""
        phase = self.request.phase
        self.phase = effective_phase(phase, self.stops) if phase.stops else phase
        self.corners = (begin_fs, *(corner for corner in self.phase.corners_fs() if corner > begin_fs))
        self.table = drive_table(self.phase, self.request.network.nets, self.corners)
        self.watch.open(self.stops)

    def energy(self) -> Energy:
        """Return the energies of the phase."""
        a = self.account
        return Energy(
            a.delivered, a.absorbed, self.plan.split(a.cells), a.access, a.wires, a.terminations, self.stored
        )

    # -- start --------------------------------------------------------------------------------------

    def _charges(self) -> OfNodes:
        """Return the voltages at the start; lines and nets without a history are at 0 V."""
        given, nets = self.request.node_voltages, self.request.net_voltages
        volts = np.zeros(len(self.plan.network.nets)) if nets is None else nets
        if given is None:
            return OfNodes(
                tuple((np.zeros(b.stack.shape), np.zeros(b.stack.shape)) for b in self.plan.banks), volts
            )
        word = self.plan.stacked([block[0] for block in given])
        bit = self.plan.stacked([block[1] for block in given])
        return OfNodes(tuple(zip(word, bit, strict=True)), volts)

    def _gained(self, before: OfNodes, point: Point) -> float:
        """Return the gain of stored energy [J]."""
        energies = [instant.stored_energy(self.plan, at) for at in (instant.nodes(point), before)]
        return energies[0] - energies[1]

    def _start(self, length: float, before: OfNodes | None) -> Point:
        """Return the first point.

        Lines and driven nets jump at once to drives that they are tied to without resistance; that charge, and what its
        way there turns into heat, is booked as an instant of its own.
        """
        if before is None:
            return instant.solve(self.plan, self.table[0], self.states)
        self._size = 0.125 * length
        micro = _MICRO * self._size
        stage = instant.storage(self.plan, 1.0 / micro, before, None)
        point = instant.solve(self.plan, self.table[0], self.states, stage=stage)
        account = self.account
        account.add(point, micro, micro)
        account.close()
        heat = (
            account.access + account.wires + account.terminations + sum(float(c.sum()) for c in account.cells)
        )
        given = float(account.delivered.sum() - account.absorbed.sum())
        account.terminations += given - heat - self._gained(before, point)
        return point

    def _restart(self, point: Point, k: int, step: float, length: float) -> Point:
        """Return the point with the charging currents just after corner ``k``, where drives bend."""
        micro = _MICRO * step
        share = micro / length
        drives = (1.0 - share) * self.table[k] + share * self.table[k + 1]
        stage = instant.storage(self.plan, 1.0 / micro, instant.nodes(point), None)
        after = instant.solve(self.plan, drives, self.states, point, stage)
        stacks = tuple(_at_voltages(new, old) for new, old in zip(after.stacks, point.stacks, strict=True))
        return after._replace(stacks=stacks, net_voltage=point.net_voltage)

    # -- steps --------------------------------------------------------------------------------------

    def _stretch(self, point: Point, k: int, length: float) -> tuple[Point, Stop | None]:
        """Integrate from corner ``k`` to the next, in steps of ``length / 2**depth``, or up to a stop."""
        depth, done, corner = self._coarsest, 0, point
        if self.charged:
            while depth < _DEEPEST and length / (1 << depth) > self._size:
                depth += 1
            point = self._restart(corner, k, length / (1 << depth), length)
            condition = self.watch.jump(point)
            if condition is not None:
                return point, met(self.request.phase, condition, self.corners[k])
        else:
            self._rates = None
        level = bool(np.array_equal(self.table[k], self.table[k + 1], equal_nan=True))
        while done < 1 << depth:
            step = length / (1 << depth)
            trial = self._step(point, self._drives(k, done / (1 << depth), 1.0 / (1 << depth)), step, level)
            if trial is None:
                if depth >= _DEEPEST:
                    raise InternalError(
                        f"a {self.request.phase.kind} phase needs steps below {step:.3g} s between "
                        f"{self.corners[k]} fs and {self.corners[k + 1]} fs"
                    )
                depth, done = depth + 1, 2 * done
                if self.charged and done == 0:
                    # the currents just after the corner, found within a shorter time
                    point = self._restart(corner, k, length / (1 << depth), length)
                continue
            crossing = self.watch.crossing((0.0, self.shares.middle, 1.0), (point, trial.middle, trial.end))
            if crossing is not None:
                stopped = self._up_to(point, k, done / (1 << depth), 1.0 / (1 << depth), crossing)
                if stopped is not None:
                    return stopped
                depth, done = depth + 1, 2 * done
                continue
            self._book(point, trial, step)
            point, done, error = trial.end, done + 1, trial.error
            if self.request.phase.save and done < 1 << depth:
                end = self.corners[k] + round((self.corners[k + 1] - self.corners[k]) * done / (1 << depth))
                self.found.setdefault(end, point)
            self._size = step
            while error < _GROWS and depth > self._coarsest and done % 2 == 0:
                depth, done, error = depth - 1, done // 2, 8.0 * error
                self._size = 2.0 * self._size
        return point, None

    def _drives(self, k: int, begin: float, part: float) -> tuple[FloatArray, FloatArray]:
        """Return the drives at middle and end of a step that begins at a share of a stretch and takes a part of it."""
        first, last = self.table[k], self.table[k + 1]
        if np.array_equal(first, last, equal_nan=True):
            return first, first
        middle, end = begin + self.shares.middle * part, begin + part
        return (1.0 - middle) * first + middle * last, (1.0 - end) * first + end * last

    def _up_to(
        self, start: Point, k: int, begin: float, part: float, crossing: Crossing
    ) -> tuple[Point, Stop] | None:
        """Take a step up to where a condition is met in it; None if that step must be halved.

        ``begin``, ``part``: the step as shares of stretch ``k``. The crossing is that of a polynomial through the
        values of the step, then of one through that at its estimate too.
        """
        origin, length = self.corners[k], self.corners[k + 1] - self.corners[k]
        level = bool(np.array_equal(self.table[k], self.table[k + 1], equal_nan=True))
        left = _REFINED
        while True:
            end_fs = origin + round((begin + crossing.share * part) * length)
            taken = (end_fs - origin) / length - begin
            if taken <= 0.0:
                return start, met(self.request.phase, crossing.condition, end_fs)
            trial = self._step(start, self._drives(k, begin, taken), taken * seconds(length), level)
            if trial is None:
                return None
            closer = self.watch.closer(crossing, taken / part, trial.end)
            if not left or abs(closer.share - crossing.share) <= _CLOSE:
                self._book(start, trial, taken * seconds(length))
                return trial.end, met(self.request.phase, crossing.condition, end_fs)
            crossing, left = closer, left - 1

    def _book(self, start: Point, trial: Trial, step: float) -> None:
        """Account an accepted step."""
        powers = self.shares.weights
        charges = _CHARGE if self.charged else powers
        points = (start, trial.middle, trial.end)
        for point, power, charge in zip(points, powers, charges, strict=True):
            self.account.add(point, power * step, charge * step)
        for k, bank in enumerate(self.plan.banks):
            if bank.device.stochastic:
                for point, power in zip(points, powers, strict=True):
                    voltage = point.cells[k].device_voltage
                    rate = bank.device.exposure_rate(voltage, self.request.temperature)
                    self.exposure[k] += power * step * rate
        self._rates = tuple((b - a) / step for a, b in zip(self.states, trial.states, strict=True))
        self.states = trial.states

    def _step(
        self, start: Point, drives: tuple[FloatArray, FloatArray], step: float, level: bool
    ) -> Trial | None:
        """Try one step; None if it must be halved."""
        t = self.tolerances
        middle, end = self._guess(start, drives, step, level)
        travels: list[Travel] = []
        for correction in range(_CORRECTIONS):
            travels = self._travels((start, middle, end), step)
            whole = tuple(way.end for way in travels)
            if correction == 0 and self._apart(whole, self.states) > t.move:
                return None
            half = tuple(way.middle for way in travels)
            if max(self._apart(half, middle.solved), self._apart(whole, end.solved)) <= t.coupling:
                break
            middle = self._point(start, start, drives[0], half, step, middle)
            end = self._point(start, middle, drives[1], whole, step, end)
        else:
            return None
        self._scale((start, middle, end))
        error = max(way.error for way in travels) / t.step
        if error <= 1.0 and self.charged:
            error = max(error, self._voltage_error((start, middle, end), drives[1], step) / t.voltage)
        if error <= 1.0:
            error = max(error, self._heat_error((start, middle, end), (half, whole)) / _HEAT)
        return Trial(middle, end, whole, error) if error <= 1.0 else None

    def _guess(
        self, start: Point, drives: tuple[FloatArray, FloatArray], step: float, level: bool
    ) -> tuple[Point, Point]:
        """Return middle and end of a step, for states that go on as in the step before."""
        m = self.shares.middle
        half, whole = self._predicted(m * step), self._predicted(step)
        still = self._apart(whole, start.solved) <= self.tolerances.coupling
        if not self.charged and level and (still or self._rates is None):
            return start, start
        if not self.charged and self.plan.linear and still:
            end = instant.solve(self.plan, drives[1], self.states, start)
            return _between(start, end), end
        middle = self._point(start, start, drives[0], half, step, start)
        return middle, self._point(start, middle, drives[1], whole, step, middle)

    def _predicted(self, ahead_s: float) -> States:
        """Return the states after a while at the rates of the last step."""
        if self._rates is None:
            return self.states
        result = []
        for bank, x, rate in zip(self.plan.banks, self.states, self._rates, strict=True):
            low, high = bank.device.state_bounds()
            result.append(np.clip(x + ahead_s * rate, low, high) if bank.device.moves else x)
        return tuple(result)

    def _point(
        self, start: Point, middle: Point, drives: FloatArray, states: States, step: float, near: Point
    ) -> Point:
        """Solve an instant of a step: the middle (``middle`` is the start itself) or the end."""
        if not self.charged:
            return instant.solve(self.plan, drives, states, near)
        rate = 2.0 / (GAMMA * step)
        if middle is start:
            stage = instant.storage(self.plan, rate, instant.nodes(start), start.charging)
        else:
            base = instant.combined((BDF2_MIDDLE, -BDF2_START), (instant.nodes(middle), instant.nodes(start)))
            stage = instant.storage(self.plan, rate, base, None)
        return instant.solve(self.plan, drives, states, near, stage)

    def _travels(self, points: tuple[Point, Point, Point], step: float) -> list[Travel]:
        return [
            travel(
                bank, x,
                (points[0].cells[k].device_voltage, points[1].cells[k].device_voltage, points[2].cells[k].device_voltage),
                self.shares, step, self.request.temperature, self.tolerances.active,
            )
            for k, (bank, x) in enumerate(zip(self.plan.banks, self.states, strict=True))
        ]  # fmt: skip

    def _apart(self, states: States, others: States) -> float:
        """Return the largest difference of states, in fractions of their range."""
        return max(
            bank.fraction(a - b) if a is not b else 0.0
            for bank, a, b in zip(self.plan.banks, states, others, strict=True)
        )

    def _voltage_error(self, points: tuple[Point, Point, Point], drives: FloatArray, step: float) -> float:
        """Return the error estimate of TR-BDF2 as a part of the largest node voltage so far."""
        rate = 2.0 / (GAMMA * step)
        factor = step * rate * ERROR_WEIGHT
        weights = (factor / GAMMA, -factor / (GAMMA * (1.0 - GAMMA)), factor / (1.0 - GAMMA))
        into = instant.combined(weights, [point.charging for point in points if point.charging is not None])
        slopes = [np.ascontiguousarray(cell.slope) for cell in points[2].cells]
        error = instant.filtered_error(self.plan, rate, drives, slopes, into)
        return error / self._largest if self._largest > 0 else 0.0

    def _heat_error(self, points: tuple[Point, Point, Point], states: tuple[States, States]) -> float:
        """Return what the parabola through the cells' power misses, as a part of the largest power so far.

        The power is evaluated in the middle of both parts of the step, voltages and states on their parabolas.
        """
        fixed = all(a is b for a, b in zip(states[1], self.states, strict=True))
        if self._hottest == 0.0 or (points[0] is points[1] and points[1] is points[2]):
            return 0.0
        if self.plan.linear and fixed and not self.charged:
            return 0.0  # linear cells at rest, drives linear in time: the power is a parabola
        m = self.shares.middle
        p = [self._power_at(points, states, share) for share in (0.0, 0.5 * m, m, 0.5 * (1.0 + m), 1.0)]
        fine = (m * (p[0] + 4 * p[1] + p[2]) + (1.0 - m) * (p[2] + 4 * p[3] + p[4])) / 6
        coarse = sum(w * at for w, at in zip(self.shares.weights, p[::2], strict=True))
        return abs(fine - coarse) / self._hottest

    def _scale(self, points: tuple[Point, Point, Point]) -> None:
        """Note the largest heat in the cells and the largest node voltage met, in refused steps too."""
        for point in points[1:]:
            heat = sum(float(np.vdot(cell.device_voltage, cell.current)) for cell in point.cells)
            self._hottest = max(self._hottest, abs(heat))
            for part in point.stacks if self.charged else ():
                largest = max(float(np.abs(part.word).max()), float(np.abs(part.bit).max()))
                self._largest = max(self._largest, largest)

    def _power_at(
        self, points: tuple[Point, Point, Point], states: tuple[States, States], share: float
    ) -> float:
        total = 0.0
        for k, bank in enumerate(self.plan.banks):
            voltages = tuple(point.cells[k].device_voltage for point in points)
            x = self.shares.between((self.states[k], states[0][k], states[1][k]), share)
            total += float(bank.power(x, self.shares.between(voltages, share)).sum())  # type: ignore[arg-type]
        return total


def _between(first: Point, second: Point) -> Point:
    """Return the point half-way between two of a linear circuit with the same states."""

    def mean(a: FloatArray, b: FloatArray) -> FloatArray:
        result: FloatArray = 0.5 * (a + b)
        return result

    stacks = tuple(
        StackSolution(
            mean(a.word, b.word), mean(a.bit, b.bit), mean(a.current, b.current), mean(a.left, b.left),
            mean(a.right, b.right), mean(a.top, b.top), mean(a.bottom, b.bottom), a.stats, a.kernel,
        )
        for a, b in zip(first.stacks, second.stacks, strict=True)
    )  # fmt: skip
    cells = tuple(
        b._replace(
            device_voltage=mean(a.device_voltage, b.device_voltage), current=mean(a.current, b.current)
        )
        for a, b in zip(first.cells, second.cells, strict=True)
    )
    return second._replace(
        net_voltage=mean(first.net_voltage, second.net_voltage),
        net_current=mean(first.net_current, second.net_current),
        stacks=stacks, cells=cells,
    )  # fmt: skip


def _at_voltages(new: StackSolution, old: StackSolution) -> StackSolution:
    """Return the solution ``new`` with the node voltages of ``old``."""
    return StackSolution(
        old.word, old.bit, new.current, new.left, new.right, new.top, new.bottom, new.stats, new.kernel
    )
