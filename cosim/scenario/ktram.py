"""The ``ktram`` section of a scenario to a core and a program, and its run.

With a controller, and at physical and spice fidelity, instructions take time and energy (`cosim.ktram.timeline`). Ideal fidelity
without one takes neither, so the summary of such a run holds results and counts of instructions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, final

from cosim.crossbar.backend import CrossbarBackend
from cosim.errors import InputError
from cosim.ktram.aat import checked
from cosim.ktram.circuit import Circuit, circuit_for, fidelity_of_lines
from cosim.ktram.controller import Controller
from cosim.ktram.core import Core
from cosim.ktram.lane_devices import scale_of
from cosim.ktram.lane_network import LaneCircuit
from cosim.ktram.mss import law_for
from cosim.ktram.program import (
    Classify,
    Conductances,
    Execute,
    Loop,
    Outcome,
    Read,
    Start,
    Step,
    lanes_of,
    run_step,
)
from cosim.ktram.timed_program import TimedProgram
from cosim.records import OperationRecord, Trace, Work
from cosim.report.baseline import DigitalBaseline
from cosim.scenario.build import Backends
from cosim.scenario.load import Scenario
from cosim.scenario.places import KeyPath
from cosim.scenario.schema_ktram import KtramSection, KtramStep


@final
@dataclass(frozen=True)
class KtramPlan:
    """A checked program with the settings of its cores; ``core`` is None where no step works on given lanes."""

    core: Core | None
    settings: dict[str, Any]
    steps: tuple[Step, ...]
    seed: int
    controller: Controller | None = None
    baseline: DigitalBaseline | None = None
    circuit: LaneCircuit | None = None

    def run(self, trace: Trace, progress: Callable[[int, int], None] | None = None) -> None:
        """Carry out all steps; each becomes an operation of the trace."""
        timed = None
        if self.controller is None:
            trace.warn("kT-RAM at ideal fidelity: instructions take no time and no energy")
        else:
            timed = TimedProgram(self.controller, trace, self.settings, self.seed)
        for index, step in enumerate(self.steps):
            name, start = f"ktram/program/{index}", trace.end_fs
            if timed is None:
                outcome = run_step(step, self.core, self.settings, self.seed, name)
            else:
                outcome = timed.run(step, self.core, name, index)
            details = outcome.details() | self._scale(step) | self._beside(outcome)
            trace.operations.append(
                OperationRecord(index, _name(step), _target(step), start, trace.end_fs, details)
            )
            if progress is not None:
                progress(index + 1, len(self.steps))

    def _scale(self, step: Step) -> dict[str, Any]:
        """Return the conductance of one unit of byte and float, where something depends on it."""
        if (
            self.controller is None
            or self.settings["model"] not in ("byte", "float")
            or isinstance(step, Start)
        ):
            return {}
        top = (self.controller if self.circuit is None else self.circuit).top_conductance
        found: dict[str, Any] = {"conductance_scale_s": scale_of(law_for(self.settings["model"]), top)}
        if self.circuit is not None:
            found["applied"] = ["operator_split"]
        return found

    def _beside(self, outcome: Outcome) -> dict[str, Any]:
        """Return what a digital accelerator takes for one inference: a product of active inputs with all lanes."""
        if self.baseline is None or "accuracy" not in outcome.found:
            return {}
        inputs, outputs = outcome.found["spaces"], outcome.found["lanes"]
        cost = self.baseline.cost(Work(1, inputs, outputs, "address tuple", 1))
        return {"baseline_per_inference": {"seconds": cost.time_s, "joules": sum(cost.energy_j.values())}}


def plan(scenario: Scenario, backends: Backends | None = None) -> KtramPlan:
    """Return the plan of a scenario with a ``ktram`` section; raises `ScenarioError` with the place.

    ``backends`` answer its circuit phases; without them cores find their own.
    """
    section = scenario.section.ktram
    assert section is not None
    key: KeyPath = ("ktram", "program")
    steps = tuple(_Steps(scenario, section).step((*key, k), entry) for k, entry in enumerate(section.program))
    settings = {name: getattr(section.core, name) for name in type(section.core).model_fields}
    circuit, controller = section.circuit, section.controller
    if section.core.fidelity != "ideal":
        circuit, controller = circuit or LaneCircuit(), controller or Controller()
        settings["fidelity"] = _circuit(section.core.fidelity, circuit, backends)
    elif circuit is not None:
        raise scenario.error(
            ("ktram", "circuit"),
            "must be left out at fidelity ideal, which has none; use physical or spice",
        )
    try:
        core = _core(section, settings, scenario.seed) if lanes_of(steps) else None
    except InputError as error:
        raise scenario.error(("ktram", "core"), str(error).removeprefix("Core.")) from None
    return KtramPlan(core, settings, steps, scenario.seed, controller, scenario.section.baseline, circuit)


def _circuit(fidelity: str, circuit: LaneCircuit, backends: Backends | None) -> Circuit:
    given = None if backends is None else backends.of_lanes(fidelity, fidelity_of_lines(circuit))
    return circuit_for(fidelity, circuit, given)


def require_circuit(scenario: Scenario) -> None:
    """Raise `ScenarioError` at fidelity ideal."""
    section = scenario.section.ktram
    assert section is not None
    if section.core.fidelity == "ideal":
        raise scenario.error(
            ("ktram", "core", "fidelity"),
            "is ideal, which has no circuit for a backend, a netlist or a cross-check; use physical or spice",
        )


def lanes_on_ngspice(scenario: Scenario, backends: Backends) -> CrossbarBackend:
    """Return the ngspice backend for the circuit phases of lanes; raises `ScenarioError` at fidelity ideal."""
    require_circuit(scenario)
    return backends.of_lanes("spice", "ideal")


def _core(section: KtramSection, settings: dict[str, Any], seed: int) -> Core:
    lanes = section.lanes
    return Core(lanes.rows, lanes.columns, lanes.spaces, lanes.count, seed=seed, **settings)


@final
class _Steps:
    """Turns entries of the file into steps, with every address checked."""

    def __init__(self, scenario: Scenario, section: KtramSection) -> None:
        self.scenario, self.lanes = scenario, section.lanes

    def step(self, key: KeyPath, entry: KtramStep) -> Step:
        """Return the step of one entry."""
        if entry.execute is not None:
            inner, e = (*key, "execute"), entry.execute
            return Execute(
                self._tuples(inner, e.tuples), tuple(e.instructions), self._lanes(inner, e.lanes), e.repeat,
                e.order, e.noise,
            )  # fmt: skip
        if entry.read is not None:
            inner, r = (*key, "read"), entry.read
            return Read(self._tuples(inner, r.tuples), r.instruction, self._lanes(inner, r.lanes), r.noise)
        if entry.start is not None:
            inner, s = (*key, "start"), entry.start
            return Start(self._tuples(inner, s.tuples), s.y, s.level, self._lanes(inner, s.lanes))
        if entry.conductances is not None:
            return Conductances(self._lanes((*key, "conductances"), entry.conductances.lanes))
        if entry.loop is not None:
            inner = (*key, "loop", "steps")
            return Loop(
                entry.loop.times, tuple(self.step((*inner, k), x) for k, x in enumerate(entry.loop.steps))
            )
        assert entry.classify is not None
        c = entry.classify
        return Classify(
            c.data, self.scenario.seed, c.splits, c.test_part, c.bits, c.rate, c.bias, c.encoder_epochs, c.epochs,
            c.peers, c.rows, c.train_values, c.test_values,
        )  # fmt: skip

    def _tuples(
        self, key: KeyPath, tuples: Sequence[Sequence[int | None]]
    ) -> tuple[tuple[int | None, ...], ...]:
        spaces, size = self.lanes.spaces, self.lanes.rows * self.lanes.columns
        for k, aat in enumerate(tuples):
            inner = (*key, "tuples", k)
            if len(aat) != spaces:
                raise self.scenario.error(
                    inner,
                    f"must have one entry for each of the {spaces} spaces of ktram.lanes, not {len(aat)}",
                )
            for space, address in enumerate(aat):
                try:
                    if address is not None:
                        checked(address, space, size)
                except InputError:
                    raise self.scenario.error(
                        (*inner, space),
                        f"must be an address within 0..{size - 1} (rows x columns of ktram.lanes) or null, not {address}",
                    ) from None
        return tuple(tuple(aat) for aat in tuples)

    def _lanes(self, key: KeyPath, lanes: Sequence[int] | None) -> tuple[int, ...]:
        if lanes is None:
            return tuple(range(self.lanes.count))
        if not lanes:
            raise self.scenario.error((*key, "lanes"), "must name at least one lane; leave it out for all")
        for k, lane in enumerate(lanes):
            if not 0 <= lane < self.lanes.count:
                raise self.scenario.error(
                    (*key, "lanes", k), f"must be a lane within 0..{self.lanes.count - 1}, not {lane}"
                )
        return tuple(lanes)


def _name(step: Step) -> str:
    return type(step).__name__.lower()


def _target(step: Step) -> str:
    if isinstance(step, Classify):
        return step.data
    if isinstance(step, Loop):
        return f"{len(step.steps)} steps"
    return f"{len(step.lanes)} lanes" if len(step.lanes) != 1 else f"lane {step.lanes[0]}"
