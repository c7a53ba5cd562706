"""The ``ktram`` section of a scenario to a core and a program, and its run.

What ideal fidelity carries out takes no time and no energy, so the summary of such a run holds results and
counts of instructions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, final

from cosim.errors import InputError
from cosim.ktram.aat import checked
from cosim.ktram.core import Core
from cosim.ktram.program import Classify, Execute, Loop, Read, Start, Step, lanes_of, run_step
from cosim.records import OperationRecord, Trace
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

    def run(self, trace: Trace, progress: Callable[[int, int], None] | None = None) -> None:
        """Carry out all steps; each becomes an operation of the trace."""
        trace.warn("kT-RAM at ideal fidelity: instructions take no time and no energy")
        for index, step in enumerate(self.steps):
            outcome = run_step(step, self.core, self.settings, self.seed, f"ktram/program/{index}")
            trace.operations.append(
                OperationRecord(index, _name(step), _target(step), 0, 0, outcome.details())
            )
            if progress is not None:
                progress(index + 1, len(self.steps))


def plan(scenario: Scenario) -> KtramPlan:
    """Return the plan of a scenario with a ``ktram`` section; raises `ScenarioError` with the place."""
    section = scenario.section.ktram
    assert section is not None
    key: KeyPath = ("ktram", "program")
    steps = tuple(_Steps(scenario, section).step((*key, k), entry) for k, entry in enumerate(section.program))
    settings = {name: getattr(section.core, name) for name in type(section.core).model_fields}
    try:
        core = _core(section, settings, scenario.seed) if lanes_of(steps) else None
    except InputError as error:
        raise scenario.error(("ktram", "core"), str(error).removeprefix("Core.")) from None
    return KtramPlan(core, settings, steps, scenario.seed)


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
        if entry.loop is not None:
            inner = (*key, "loop", "steps")
            return Loop(
                entry.loop.times, tuple(self.step((*inner, k), x) for k, x in enumerate(entry.loop.steps))
            )
        assert entry.classify is not None
        c = entry.classify
        return Classify(
            c.data, self.scenario.seed, c.splits, c.test_part, c.bits, c.rate, c.bias, c.encoder_epochs, c.epochs,
            c.peers,
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
