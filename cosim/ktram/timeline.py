"""Instructions of many lanes as events: select, settle, strobe, latch, clamp, release, with shared units.

Every lane runs its own program of pulses; lanes meet at address buses, rail drivers and comparators, which serve first come,
first served (`cosim.components.bank`). What a pulse does to a lane is the core's fidelity's to say; here it gets its place in
time and its energy.

* Select is left out where the lane has the tuple selected already: read and feedback of a pair share it.
* A read is sampled on the lane's capacitor at the strobe, so the pulse goes on while the comparator decides; the lane's next
  strobe waits for that decision.
* FU, FA, RU, RA, and pulses that say so (`Pulse.after_latch`), wait for the lane's latch.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np
import simpy
from numpy.typing import NDArray

from cosim.components.bank import Bank
from cosim.errors import KtramError
from cosim.ktram import side_by_side
from cosim.ktram.aat import AAT, Active
from cosim.ktram.comparators import Comparators, Decision
from cosim.ktram.controller import Controller, Units
from cosim.ktram.core import Core
from cosim.ktram.fidelity import Timing, read_voltage
from cosim.ktram.instructions import H, Instruction, resolve
from cosim.ktram.lane import NeuralLane
from cosim.ktram.lane_devices import scale_of
from cosim.ktram.ramp import Sweep, sweeps
from cosim.records import BusyRecord, PhaseRecord, TimedInstruction, Trace
from cosim.units import femtoseconds, seconds

if TYPE_CHECKING:
    from cosim.crossbar.backend import PhaseResult
    from cosim.ktram.circuit import InstructionRecord


@final
@dataclass(frozen=True)
class Pulse:
    """One instruction on one tuple; ``after_latch``: it was chosen by the lane's last read, so it waits for the latch."""

    aat: AAT
    instruction: str | Instruction
    noise: float = 0.0
    after_latch: bool = False


LaneProgram = Generator[Pulse, float | None, None]
"""Yields pulses and is sent the lane's latched activation after each."""


def in_turn(pulses: Iterable[Pulse]) -> LaneProgram:
    """Return the program of given pulses, one after the other."""
    for pulse in pulses:  # noqa: UP028 (what is sent must not reach the iterator of a list)
        yield pulse


_OF_PHASES = frozenset({"cells", "wires", "line ends", "driver sink"})
"""Parts of the energy that are of a circuit phase, with capacitance ``node`` too."""


def _deviations(result: PhaseResult) -> tuple[float, ...]:
    """Return the deviations of a second backend, where one was asked."""
    d = result.deviation
    return () if d is None else (d.current_relative, d.state_absolute, d.energy_relative)


def _tile(lane: NeuralLane) -> str:
    return f"lane {lane.index}"


@dataclass(slots=True)
class _LaneState:
    """Where a lane stands in time: what it has selected, when its comparator will have decided [fs]."""

    selected: AAT | None = None
    latched_fs: int = 0


@final
class Timeline:
    """The event time line of a core.

    ``trace`` receives instructions, busy intervals and energies; ``seed`` is that of the comparators' offsets, noise and metastable
    signs; ``metastable`` counts the latter. The line begins at
    ``start_fs``; ``energy_j`` is all that has been used since.
    ``space_energy`` ``(lanes, spaces)``: what each space has taken so far [J], comparators and latches apart.
    """

    def __init__(
        self,
        core: Core,
        controller: Controller | None = None,
        trace: Trace | None = None,
        seed: int = 0,
        start_fs: int = 0,
    ) -> None:
        self.core, self.controller = core, controller or Controller()
        self.trace = Trace() if trace is None else trace
        self.environment = simpy.Environment(initial_time=start_fs)
        c = self.controller
        self._buses, self._rails = self._bank("address buses", c.buses), self._bank("rails", c.rails)
        self._comparators = self._bank("comparators", c.comparators)
        self._lanes = [_LaneState(latched_fs=start_fs) for _ in range(core.num_lanes)]
        self._select, self._release = femtoseconds(c.select), femtoseconds(c.release)
        count = core.num_lanes if c.comparators == "ideal" else c.comparators
        self._sensing = Comparators(c, int(count), seed)
        if c.ramps != "ideal":
            self.trace.capacities["ramps"] = int(c.ramps)
        self.metastable = 0
        bits = core.lane(0).spaces[0].a.address_width
        self.select_energy = bits * c.select_capacitance * c.supply**2
        self.scale = scale_of(core.law, self._top_conductance())
        self._sums: defaultdict[tuple[str, str], float] = defaultdict(float)
        self._operation = 0
        self.energy_j = 0.0
        self.space_energy = np.zeros((core.num_lanes, core.spaces_per_lane))
        self.trace.formulas.update({f"ktram/{name}": value for name, value in c.formulas().items()})

    def _top_conductance(self) -> float:
        circuit = getattr(self.core.fidelity, "circuit", None)
        top: float = (self.controller if circuit is None else circuit).top_conductance
        return top

    def _bank(self, name: str, units: Units) -> Bank | None:
        return None if units == "ideal" else Bank(self.environment, self.trace, name, int(units))

    @property
    def now_fs(self) -> int:
        """Event time [fs]."""
        return int(self.environment.now)

    @property
    def banks(self) -> tuple[tuple[str, str, Bank | None], ...]:
        """Shared units: name, kind of their jobs, bank (None: one for each lane)."""
        return (
            ("address buses", "select", self._buses),
            ("rails", "drive", self._rails),
            ("comparators", "compare", self._comparators),
        )

    def latched_fs(self, lane: int) -> int:
        """Return when the last decision of a lane is latched [fs]."""
        return self._lanes[lane].latched_fs

    def selected(self, lane: int) -> AAT | None:
        """Return the tuple that a lane has selected."""
        return self._lanes[lane].selected

    def advance(
        self, lanes: Sequence[int], aat: AAT | None, latched: Sequence[int], end_fs: int,
        sums: Mapping[tuple[str, str], float],
    ) -> None:  # fmt: skip
        """Take over what lanes side by side have done: what they have selected, their latches, the time, energies."""
        for lane, instant in zip(lanes, latched, strict=True):
            self._lanes[lane].selected, self._lanes[lane].latched_fs = aat, instant
        for key, energy in sums.items():
            self._sums[key] += energy
            self.energy_j += energy
        self._until(max(end_fs, *latched))

    def run_same(
        self, aats: Sequence[AAT], instructions: Sequence[str | Instruction], lanes: Sequence[int], operation: int = 0
    ) -> None:  # fmt: skip
        """Run all instructions on the first tuple, then on the second, and so on, on lanes side by side.

        Without an event for each where that is the same (`cosim.ktram.side_by_side`).
        """
        rules = [resolve(entry) for entry in instructions]
        places = [self.core.book.active(aat) for aat in aats]
        if side_by_side.possible(self) and all(len(active) for active in places) and lanes and rules:
            together = side_by_side.SideBySide(self, lanes, operation)
            try:
                for aat, active in zip(aats, places, strict=True):
                    numbers = np.asarray(active) // 2 if isinstance(active, list) else active
                    for rule in rules:
                        together.pulse(aat, rule, numbers)
            except side_by_side.OvertakenError:
                pass
            else:
                together.commit()
                return
        pulses = [Pulse(aat, rule) for aat in aats for rule in rules]
        self.run({lane: in_turn(pulses) for lane in lanes}, operation)

    def run(self, programs: Mapping[int, LaneProgram], operation: int = 0) -> None:
        """Run the programs of lanes side by side, until all are done and all decisions latched."""
        self._operation = operation
        for lane, program in programs.items():
            self.environment.process(self._lane(self.core.lane(lane), program))
        self.environment.run()
        self._until(max((self._lanes[lane].latched_fs for lane in programs), default=0))

    def _until(self, instant_fs: int) -> None:
        if instant_fs > self.now_fs:
            self.environment.run(until=instant_fs)
        self.trace.end_fs = self.now_fs

    def close(self, operation: int) -> None:
        """Book what has been used since the last call as the energy of an operation."""
        for (component, kind), energy in sorted(self._sums.items()):
            self.trace.energy(operation, -1, "lanes", component, kind, energy, f"ktram/{component}")
        self._sums.clear()

    # -- one lane -----------------------------------------------------------------------------------

    def _lane(self, lane: NeuralLane, program: LaneProgram) -> Generator[simpy.Event, None, None]:
        try:
            pulse = next(program)
            while True:
                yield from self._pulse(lane, pulse)
                pulse = program.send(lane.y)
        except StopIteration:
            return

    def _pulse(
        self, lane: NeuralLane, pulse: Pulse, decide: bool = True
    ) -> Generator[simpy.Event, None, None]:
        """Take a pulse through its phases; ``decide``: a read's sample goes to a comparator at once."""
        rule, active = resolve(pulse.instruction), self.core.book.active(pulse.aat)
        state, start, environment = self._lanes[lane.index], self.now_fs, self.environment
        if not len(active):
            self.core.fidelity.execute(lane, active, rule, pulse.noise)
            return
        parts: dict[str, float] = {}
        ready = start
        numbers = np.asarray(active) // 2 if isinstance(active, list) else active
        if state.selected != pulse.aat:
            state.selected = pulse.aat
            ready = self._reserve(self._buses, "select", start, self._select)[0] + self._select
            parts["select"] = len(numbers) * self.select_energy
        if rule.use_H or pulse.after_latch:
            ready = max(ready, state.latched_fs)
        settle_s, width_s = self._durations(lane, rule, active, numbers)
        settle, width = femtoseconds(settle_s), femtoseconds(width_s)
        if rule.reads:
            ready = max(ready, state.latched_fs - settle)
        if self._rails is not None:
            if ready > self.now_fs:
                yield environment.timeout(ready - self.now_fs)
            ready = self._reserve(self._rails, "drive", ready, width + self._release)[0]
        phase = self._work(lane, rule, active, numbers, pulse.noise, Timing(ready, settle_s), parts)
        end, strobe = ready + width + self._release, -1
        if rule.reads:
            strobe = ready + settle
        if rule.reads and decide:
            yield environment.timeout(strobe - self.now_fs)
            decision = self._decision(lane, rule, pulse.noise)
            begin = self._reserve(self._comparators, "compare", strobe, decision.duration_fs)[0]
            state.latched_fs = begin + decision.duration_fs
            lane.y = decision.y
            self.metastable += decision.metastable
            parts["comparator"] = self.controller.comparing_energy(seconds(decision.duration_fs))
            parts["latch"] = self.controller.latch_energy
        self._record(lane, rule, start, strobe, end, len(numbers), phase, parts)
        yield environment.timeout(end - self.now_fs)

    def _reserve(self, bank: Bank | None, kind: str, at_fs: int, duration_fs: int) -> tuple[int, int]:
        """Return when the unit that is asked for now begins, and which it is."""
        if bank is None:
            return at_fs, 0
        return bank.reserve_one(self._operation, kind, duration_fs)

    def _decision(self, lane: NeuralLane, rule: Instruction, noise: float) -> Decision:
        """Return what the comparator that is free first makes of a lane's sample."""
        volts = read_voltage(self.core.v_app(rule), noise) if noise else self.core.v_app(rule)
        unit = lane.index if self._comparators is None else self._comparators.next_unit()
        return self._sensing.decide(lane.y, volts, unit, self.core.topology.limit)

    # -- what a pulse does ----------------------------------------------------------------------------

    def _pairs(self, lane: NeuralLane, numbers: NDArray[np.intp]) -> NDArray[np.float64]:
        """Return the conductances of the selected kT-bits now [S]."""
        pairs: NDArray[np.float64] = self.core.law.conductances(lane.state[numbers].astype(np.float64))
        return pairs * self.scale

    def _durations(
        self, lane: NeuralLane, rule: Instruction, active: Active, numbers: NDArray[np.intp]
    ) -> tuple[float, float]:
        """Return the settling time and the time for which the rails are up [s]."""
        core, c = self.core, self.controller
        settle = c.settle_floor
        if rule.reads:
            tau = core.fidelity.time_constant(lane, active)
            total = float(self._pairs(lane, numbers).sum())
            settle = c.settling(total, core.spaces_per_lane) if tau is None else c.settled_after(tau)
        return settle, max(core.pulse_width, settle)

    def _work(
        self, lane: NeuralLane, rule: Instruction, active: Active, numbers: NDArray[np.intp], noise: float,
        timing: Timing, parts: dict[str, float],
    ) -> int:  # fmt: skip
        """Execute the pulse and add its energies to ``parts``; return the number of its circuit phase, -1 for none."""
        core, c, spaces = self.core, self.controller, len(numbers)
        pairs = self._pairs(lane, numbers)
        v_app = core.v_app(rule)
        if rule.reads:
            v_app = read_voltage(v_app, noise) if noise else v_app
            core.fidelity.execute(lane, active, rule, noise, timing)
            vy = core.topology.node_voltage(v_app, lane.y)
        else:
            vy = rule.coeff * core.drive_voltage(rule.direction) * (H(lane.y) if rule.use_H else 1.0)
            core.fidelity.execute(lane, active, rule, noise, timing)
        parts["rails"] = 2.0 * spaces * c.rail_capacitance * v_app * v_app
        parts["node"] = core.spaces_per_lane * c.node_capacitance * vy * vy
        if lane.record is None:
            volts = core.topology.update_voltages(v_app, vy)
            heat = core.pulse_width * (pairs[:, 0] * volts[0] ** 2 + pairs[:, 1] * volts[1] ** 2)
        else:
            energy = lane.record.result.energy
            heat = np.array(energy.cells).reshape(spaces, -1).sum(axis=1)
            parts["wires"], parts["line ends"] = energy.wires, energy.terminations
            if lane.record.network.has_capacitance:
                parts["node"] = energy.stored
            if sunk := float(energy.absorbed.sum()):
                parts["driver sink"] = sunk
        parts["cells"] = float(heat.sum())
        shared = parts["rails"] + parts["node"] + parts.get("select", 0.0)
        self.space_energy[lane.index, numbers // core.book.size] += heat + shared / spaces
        return -1 if lane.record is None else self._phase(lane, lane.record)

    def _record(
        self, lane: NeuralLane, rule: Instruction, start: int, strobe: int, end: int, spaces: int, phase: int,
        parts: Mapping[str, float],
    ) -> None:  # fmt: skip
        record, kind, of_phase = lane.record, "read" if rule.reads else "feedback", frozenset[str]()
        if record is not None:
            of_phase = _OF_PHASES | ({"node"} if record.network.has_capacitance else set())
        for name, energy in parts.items():
            self.energy_j += energy
            if name in of_phase:
                self.trace.energy(self._operation, phase, _tile(lane), name, kind, energy, f"ktram/{name}")
            else:
                self._sums[name, kind] += energy
        self.trace.instructions.append(
            TimedInstruction(
                self._operation, lane.index, rule.name, start, strobe, self._lanes[lane.index].latched_fs, end,
                spaces, lane.y, sum(parts.values()), phase, 0.0 if record is None else record.unsettled,
            )
        )  # fmt: skip

    def _phase(self, lane: NeuralLane, record: InstructionRecord) -> int:
        """Append the record of a circuit phase; return its number."""
        result, energy, index = record.result, record.result.energy, len(self.trace.phases)
        low, high = record.network.arrays[0].device.state_bounds()
        outside = sum(int(np.count_nonzero((x < low) | (x > high))) for x in result.states)
        self.trace.phases.append(
            PhaseRecord(
                index, self._operation, _tile(lane), record.kind, record.backend, record.start_fs, result.duration_fs,
                float(energy.delivered.sum()), float(energy.absorbed.sum()),
                float(sum(cells.sum() for cells in energy.cells)), energy.access, energy.wires, energy.terminations,
                energy.stored, energy.numerical, result.kcl_residual, outside, "+".join(result.applied), "ktram.controller",
                *_deviations(result),
            )
        )  # fmt: skip
        return index

    # -- read-out by a swept ramp ---------------------------------------------------------------------

    def rank(
        self, aat: AAT, lanes: Sequence[int], count: int | None = None, threshold: float = -np.inf,
        instruction: str = "FFLV", operation: int = 0,
    ) -> tuple[int, ...]:  # fmt: skip
        """Read lanes and rank them by a swept reference; return the lanes, the strongest first.

        The lanes are sampled side by side; then the reference goes from +V to -V (``threshold`` ends it early), and the
        comparator of a lane trips when it passes the lane's node. A sweep ends with trip number ``count``. Where comparators or
        ramp generators are few there are several sweeps (`cosim.ktram.ramp`). Lanes that trip together keep their order.
        Raises `KtramError` for an instruction that does not read.
        """
        rule = resolve(instruction)
        if not rule.reads:
            raise KtramError(f"Timeline.rank: must have an instruction that reads, not {rule.name}")
        self._operation = operation
        for lane in lanes:
            self.environment.process(self._pulse(self.core.lane(lane), Pulse(aat, rule), decide=False))
        self.environment.run()
        volts, limit = self.core.v_app(rule), self.core.topology.limit
        sensed = []
        for place, lane in enumerate(lanes):
            unit = lane if self._comparators is None else place % self._comparators.units
            sensed.append((lane, self._sensing.sensed(self.core.lane(lane).y, volts, unit, limit)))
        swept = sweeps(self.controller, sensed, count, threshold, self.now_fs)
        for sweep in swept:
            self._account_sweep(sweep)
        self._until(max((sweep.start_fs + sweep.duration_fs for sweep in swept), default=self.now_fs))
        order = {lane: place for place, lane in enumerate(lanes)}
        trips = sorted(
            (trip.within_fs, order[trip.lane], trip.lane) for sweep in swept for trip in sweep.trips
        )
        return tuple(lane for _, _, lane in trips[:count])

    def _account_sweep(self, sweep: Sweep) -> None:
        """Book a sweep: its generator, the lanes' comparators, the latches of those that trip."""
        c, end = self.controller, sweep.start_fs + sweep.duration_fs
        if c.ramps != "ideal":
            self.trace.busy.append(
                BusyRecord("ramps", sweep.unit, self._operation, "sweep", self.now_fs, sweep.start_fs, end)
            )
        for trip in sweep.trips:
            self._lanes[trip.lane].latched_fs = trip.latched_fs
            self._book("latch", c.latch_energy)
        self._book("comparator", len(sweep.lanes) * c.comparing_energy(seconds(sweep.duration_fs)))
        self._book("ramp", c.ramp_energy)

    def _book(self, component: str, energy: float) -> None:
        self._sums[component, "rank"] += energy
        self.energy_j += energy
