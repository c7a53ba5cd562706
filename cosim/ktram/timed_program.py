"""Programs in time: the steps of `cosim.ktram.program` on the event time line, with seconds and joules.

Lanes of a step run side by side and meet again at its end. A classifier's lanes are taught side by side, value after value:
FF, then RH on the lane of the label, else RL or RF as soon as the read is latched; a prediction is a winner read-out by the swept
ramp.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from cosim.ktram.aat import AAT
from cosim.ktram.classifier import LinearClassifier, confusion, passes
from cosim.ktram.controller import Controller
from cosim.ktram.core import Core
from cosim.ktram.datasets import Split, load_split
from cosim.ktram.program import (
    Classify,
    Conductances,
    Execute,
    Outcome,
    Read,
    Start,
    Step,
    classified,
    encoder_of,
    looped,
    peers_of,
    read_values,
    run_step,
)
from cosim.ktram.timeline import LaneProgram, Pulse, Timeline, in_turn
from cosim.records import Trace
from cosim.rng import stream
from cosim.units import seconds


@final
@dataclass(frozen=True)
class Spent:
    """Time [fs] and energy [J] between two moments of a time line."""

    time_fs: int
    energy_j: float

    def per(self, count: int) -> dict[str, float]:
        """Return seconds and joules for one of ``count``."""
        return {"seconds": seconds(self.time_fs) / count, "joules": self.energy_j / count}


@final
class TimedProgram:
    """Carries out steps on time lines; each core has one of its own, one after the other on the trace."""

    def __init__(self, controller: Controller, trace: Trace, settings: Mapping[str, Any], seed: int) -> None:
        self.controller, self.trace, self.settings, self.seed = controller, trace, settings, seed
        self._timeline: Timeline | None = None

    def run(self, step: Step, core: Core | None, name: str, operation: int) -> Outcome:
        """Carry out one step and book its energy; see `cosim.ktram.program.run_step`."""
        outcome = self._step(step, core, name, operation)
        if self._timeline is not None:
            self._timeline.close(operation)
        return outcome

    def _step(self, step: Step, core: Core | None, name: str, operation: int) -> Outcome:
        if isinstance(step, Classify):
            return self._classify(step, operation)
        assert core is not None
        if isinstance(step, (Start, Conductances)):
            return run_step(step, core, self.settings, self.seed, name)
        timeline = self._line_of(core)
        before = len(self.trace.instructions)
        if isinstance(step, Execute):
            self._execute(step, timeline, name, operation)
            found: dict[str, Any] = {"y": [core.lane(lane).y for lane in step.lanes]}
        elif isinstance(step, Read):
            found = self._read(step, timeline, operation)
        else:
            return looped(step, name, lambda inner, place: self._step(inner, core, place, operation))
        return self._outcome(before, found)

    def _line_of(self, core: Core) -> Timeline:
        if self._timeline is None or self._timeline.core is not core:
            self._timeline = Timeline(core, self.controller, self.trace, self.seed, self.trace.end_fs)
        return self._timeline

    def _outcome(self, before: int, found: Mapping[str, Any]) -> Outcome:
        """Return the outcome of what stands in the table of instructions from row ``before`` on."""
        names = self.trace.instructions.column("instruction")[before:].tolist()
        spaces = self.trace.instructions.column("spaces")[before:]
        circuit = getattr(self._timeline.core.fidelity, "circuit", None) if self._timeline else None
        if circuit is not None and circuit.charged:
            unsettled = np.abs(self.trace.instructions.column("unsettled")[before:])
            found = {**found, "largest_unsettled": float(unsettled.max(initial=0.0))}
        if self.controller.regeneration and self._timeline is not None:
            found = {**found, "metastable": self._timeline.metastable}
            self._timeline.metastable = 0
        return Outcome(Counter(names), int(spaces.sum()), found)

    def _execute(self, step: Execute, timeline: Timeline, name: str, operation: int) -> None:
        if step.order == "given" and not step.noise:
            timeline.run_same(list(step.tuples) * step.repeat, step.instructions, step.lanes, operation)
            return
        programs = {lane: in_turn(self._pulses(step, lane, name)) for lane in step.lanes}
        timeline.run(programs, operation)

    def _pulses(self, step: Execute, lane: int, name: str) -> Iterator[Pulse]:
        count = len(step.tuples) * step.repeat
        order = np.tile(np.arange(len(step.tuples)), step.repeat)
        if step.order == "random":
            order = stream(self.seed, f"{name}/lane{lane}").integers(len(step.tuples), size=count)
        for place in order.tolist():
            for instruction in step.instructions:
                yield Pulse(step.tuples[place], instruction, step.noise)

    def _read(self, step: Read, timeline: Timeline, operation: int) -> dict[str, Any]:
        values: dict[int, list[float]] = {lane: [] for lane in step.lanes}

        def program(lane: int) -> LaneProgram:
            for aat in step.tuples:
                y = yield Pulse(aat, step.instruction, step.noise)
                assert y is not None
                values[lane].append(y)

        timeline.run({lane: program(lane) for lane in step.lanes}, operation)
        return read_values(np.array([values[lane] for lane in step.lanes]))

    # -- classifiers ----------------------------------------------------------------------------------

    def _classify(self, step: Classify, operation: int) -> Outcome:
        before = len(self.trace.instructions)
        accuracies: dict[str, list[float]] = {}
        trained = tested = taught = inferred = 0
        spent = [0.0, 0.0]
        total: Any = 0
        for k in range(step.splits):
            split = load_split(step.data, step.seed + k, step.test_part).first(
                step.train_values, step.test_values
            )
            classifier = LinearClassifier(
                encoder_of(step, split), split.labels, rows=step.rows,
                **{**self.settings, "seed": step.seed + k},
            )  # fmt: skip
            timeline = self._line_of(classifier.core)
            learning = self._teach(step, split, classifier, timeline, step.seed + k, operation)
            guesses, reading = self._infer(split, classifier, timeline, operation)
            timeline.close(operation)
            counted = confusion(guesses, split.test_labels.tolist(), split.labels)
            total = total + counted.counts
            for name, accuracy in {"lanes": counted.accuracy, **peers_of(step, split, classifier)}.items():
                accuracies.setdefault(name, []).append(accuracy)
            taught, inferred = taught + len(split.train) * step.epochs, inferred + len(split.test)
            trained, tested = trained + learning.time_fs, tested + reading.time_fs
            spent = [spent[0] + learning.energy_j, spent[1] + reading.energy_j]
        found = {
            **classified(accuracies, total, classifier),
            "per_training_step": Spent(trained, spent[0]).per(taught),
            "per_inference": Spent(tested, spent[1]).per(inferred),
        }
        return self._outcome(before, found)

    def _teach(
        self, step: Classify, split: Split, classifier: LinearClassifier, timeline: Timeline, seed: int,
        operation: int,
    ) -> Spent:  # fmt: skip
        if step.encoder_epochs:
            classifier.adapt_encoder(split.train, step.encoder_epochs, seed=seed)
        aats = [tuple(classifier.encoder.encode(value)) for value in split.train]
        targets = split.train_labels.tolist()
        start, energy = timeline.now_fs, timeline.energy_j
        for value in passes(len(aats), step.epochs, True, seed):
            lanes = range(len(split.labels))
            programs = {lane: _taught(aats[value], lane == targets[value]) for lane in lanes}
            timeline.run(programs, operation)
        return Spent(timeline.now_fs - start, timeline.energy_j - energy)

    def _infer(
        self, split: Split, classifier: LinearClassifier, timeline: Timeline, operation: int
    ) -> tuple[list[int], Spent]:
        start, energy, guesses = timeline.now_fs, timeline.energy_j, []
        for value in split.test:
            aat = tuple(classifier.encoder.encode(value))
            (winner,) = timeline.rank(aat, range(len(split.labels)), count=1, operation=operation)
            guesses.append(split.labels[winner])
        return guesses, Spent(timeline.now_fs - start, timeline.energy_j - energy)


def _taught(aat: AAT, target: bool) -> LaneProgram:
    """Return the program of a lane that is taught one value."""
    y = yield Pulse(aat, "FF")
    assert y is not None
    yield Pulse(aat, "RH" if target else "RL" if y > 0 else "RF", after_latch=not target)
