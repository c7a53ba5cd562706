"""Programs: instructions on address tuples, loops, starts and reads of lanes, and classifier runs, as values.

A program is a sequence of steps. `run_step` carries one out on a core and returns its `Outcome`: what was executed
and what came out. Lanes are served one after the other; random orders have a named stream for each lane, apart from
the core's generator.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any, Literal, final

import numpy as np
from numpy.typing import NDArray

from cosim.ktram.aat import Active, Address
from cosim.ktram.batch import tuples_of
from cosim.ktram.classifier import LinearClassifier, confusion, linear_peers
from cosim.ktram.core import Core
from cosim.ktram.datasets import Split, load_split
from cosim.ktram.encoders import A2DEncoder, AATEncoder, ConstantEncoder, compose
from cosim.ktram.fidelity import AT_ONCE, Fidelity, Ideal, Timing
from cosim.ktram.instructions import Instruction
from cosim.ktram.lane import NeuralLane
from cosim.rng import stream

MOST_PATTERN_TUPLES = 6
"""A read of more tuples has no patterns."""


@final
@dataclass(frozen=True)
class Execute:
    """Carry out ``instructions`` on every tuple, ``repeat`` times over, on each lane.

    ``order`` ``random``: as many executions, each on a tuple drawn at random.
    """

    tuples: tuple[tuple[Address, ...], ...]
    instructions: tuple[str, ...]
    lanes: tuple[int, ...]
    repeat: int = 1
    order: Literal["given", "random"] = "given"
    noise: float = 0.0


@final
@dataclass(frozen=True)
class Read:
    """Read every tuple on each lane with one instruction, and keep the activations."""

    tuples: tuple[tuple[Address, ...], ...]
    instruction: str
    lanes: tuple[int, ...]
    noise: float = 0.0


@final
@dataclass(frozen=True)
class Start:
    """Set the selected kT-bits to activation ``y`` at a level of the highest conductance."""

    tuples: tuple[tuple[Address, ...], ...]
    y: float
    level: float
    lanes: tuple[int, ...]


@final
@dataclass(frozen=True)
class Conductances:
    """Keep the conductances of all devices of lanes, ``(lanes, spaces, 2, rows, columns)``; nothing is driven."""

    lanes: tuple[int, ...]

    def found(self, core: Core) -> dict[str, Any]:
        """Return them, in the unit of the device model."""
        shape = (len(self.lanes), core.spaces_per_lane, core.crossbar_rows, core.crossbar_cols, 2)
        stored = core.state[list(self.lanes)].astype(np.float64).reshape(shape)
        return {"conductances": core.law.conductances(np.moveaxis(stored, -1, 2)).tolist()}


@final
@dataclass(frozen=True)
class Loop:
    """Carry out ``steps`` ``times`` over."""

    times: int
    steps: tuple[Step, ...]


@final
@dataclass(frozen=True)
class Classify:
    """Learn and test a data set on ``splits`` stratified splits, one lane for each label (`LinearClassifier`).

    Split k has the seed ``seed + k`` for split, initial conductances and order. The A2D encoder spans the
    range of the training part. ``rows``: of every unit crossbar; ``train_values``, ``test_values``: how many values of both
    parts are used (None: all).
    """

    data: str
    seed: int = 0
    splits: int = 1
    test_part: float = 0.25
    bits: int = 3
    rate: float = 0.01
    bias: int = 1
    encoder_epochs: int = 5
    epochs: int = 5
    peers: bool = True
    rows: int = 1
    train_values: int | None = None
    test_values: int | None = None


Step = Execute | Read | Start | Conductances | Loop | Classify


@final
@dataclass(frozen=True)
class Outcome:
    """What a step executed (instructions by name, updates of selected kT-bits) and what it found."""

    instructions: Mapping[str, int]
    synapse_updates: int
    found: Mapping[str, Any] = field(default_factory=dict)

    def details(self) -> dict[str, Any]:
        """Return the entry of a summary."""
        counts = {name: self.instructions[name] for name in sorted(self.instructions)}
        return {"instructions": counts, "synapse_updates": self.synapse_updates, **self.found}


@final
class Counting(Fidelity):
    """The ideal fidelity, counting what it carries out."""

    name = "counting"

    def __init__(self) -> None:
        self.instructions: Counter[str] = Counter()
        self.synapse_updates = 0
        self._ideal = Ideal()

    def execute(
        self,
        lane: NeuralLane,
        active: Active,
        instruction: Instruction,
        noise: float,
        timing: Timing = AT_ONCE,
    ) -> float:
        self.instructions[instruction.name] += 1
        self.synapse_updates += len(active)
        return self._ideal.execute(lane, active, instruction, noise)


def run_step(step: Step, core: Core | None, settings: Mapping[str, Any], seed: int, name: str) -> Outcome:
    """Carry out one step.

    ``core`` serves all steps but `Classify`, which makes its own cores with ``settings`` (arguments of `Core` that
    are no geometry). ``seed`` and ``name`` are those of the random orders.
    """
    if isinstance(step, Classify):
        return _classify(step, settings)
    assert core is not None
    if isinstance(step, Execute):
        return _execute(step, core, seed, name)
    if isinstance(step, Read):
        return _read(step, core)
    if isinstance(step, Start):
        for lane, aat in product(step.lanes, step.tuples):
            core.set_start_y(lane, aat, step.y, step.level)
        return Outcome({}, 0)
    if isinstance(step, Conductances):
        return Outcome({}, 0, step.found(core))
    return looped(step, name, lambda inner, place: run_step(inner, core, settings, seed, place))


def _execute(step: Execute, core: Core, seed: int, name: str) -> Outcome:
    table = tuples_of(step.tuples, core.spaces_per_lane)
    count = len(table) * step.repeat
    final_y, selected = [], 0
    for lane in step.lanes:
        if step.order == "random":
            rows = table[stream(seed, f"{name}/lane{lane}").integers(len(table), size=count)]
        else:
            rows = np.tile(table, (step.repeat, 1))
        ys = core.lane(lane).run(rows, step.instructions, step.noise)
        final_y.append(float(ys[-1, -1]))
        selected += int(np.count_nonzero(rows >= 0))
    executed = count * len(step.lanes)
    counts = {key: executed * many for key, many in Counter(step.instructions).items()}
    return Outcome(counts, selected * len(step.instructions), {"y": final_y})


def _read(step: Read, core: Core) -> Outcome:
    table = tuples_of(step.tuples, core.spaces_per_lane)
    ys = np.array([core.lane(lane).run(table, step.instruction, step.noise)[:, 0] for lane in step.lanes])
    updates = int(np.count_nonzero(table >= 0)) * len(step.lanes)
    return Outcome({step.instruction: len(table) * len(step.lanes)}, updates, read_values(ys))


def read_values(ys: NDArray[np.float64]) -> dict[str, Any]:
    """Return what a read found: ``ys`` ``(lanes, tuples)``, and the patterns of signs where few tuples make them."""
    found: dict[str, Any] = {"values": ys.tolist()}
    if ys.shape[-1] <= MOST_PATTERN_TUPLES:
        found["patterns"] = patterns_of(ys)
    return found


def patterns_of(ys: NDArray[np.float64]) -> dict[str, int]:
    """Count the lanes by the signs of their reads: ``+`` for y >= 0, one letter for each tuple."""
    seen = Counter("".join("+" if y >= 0 else "-" for y in row) for row in ys.tolist())
    return {pattern: seen[pattern] for pattern in sorted(seen)}


def looped(step: Loop, name: str, run_inner: Callable[[Step, str], Outcome]) -> Outcome:
    """Run the steps of a loop, each as ``run_inner(step, name)``; what they found last stays."""
    counts: Counter[str] = Counter()
    updates, last = 0, {}
    for turn in range(step.times):
        for index, inner in enumerate(step.steps):
            outcome = run_inner(inner, f"{name}/{turn}/{index}")
            counts.update(outcome.instructions)
            updates += outcome.synapse_updates
            if outcome.found:
                last[str(index)] = dict(outcome.found)
    return Outcome(counts, updates, {"times": step.times, "last": last})


def _classify(step: Classify, settings: Mapping[str, Any]) -> Outcome:
    counting = Counting()
    accuracies: dict[str, list[float]] = {}
    total: NDArray[np.int64] | None = None
    for k in range(step.splits):
        split = load_split(step.data, step.seed + k, step.test_part).first(
            step.train_values, step.test_values
        )
        classifier = LinearClassifier(
            encoder_of(step, split),
            split.labels,
            rows=step.rows,
            **{**settings, "seed": step.seed + k, "fidelity": counting},
        )
        classifier.fit(
            split.train,
            split.train_labels,
            step.epochs,
            seed=step.seed + k,
            encoder_epochs=step.encoder_epochs,
        )
        counted = classifier.confusion(split.test, split.test_labels.tolist())
        total = counted.counts if total is None else total + counted.counts
        for name, accuracy in {"lanes": counted.accuracy, **peers_of(step, split, classifier)}.items():
            accuracies.setdefault(name, []).append(accuracy)
    assert total is not None
    found = classified(accuracies, total, classifier)
    return Outcome(counting.instructions, counting.synapse_updates, found)


def classified(
    accuracies: Mapping[str, Sequence[float]], confused: NDArray[np.int64], classifier: LinearClassifier
) -> dict[str, Any]:
    """Return what classifier runs found.

    ``accuracies``: of the lanes and of each peer, a number a split; ``confused``: counts of all splits; ``classifier``:
    that of the last one.
    """
    own = np.array(accuracies["lanes"])
    return {
        "accuracy": float(own.mean()),
        "accuracy_std": float(own.std()),
        "accuracies": own.tolist(),
        "confusion": confused.tolist(),
        "peers": {name: float(np.mean(values)) for name, values in accuracies.items() if name != "lanes"},
        "lanes": len(classifier.labels),
        "spaces": len(classifier.encoder.space_sizes),
    }


def encoder_of(step: Classify, split: Split) -> AATEncoder:
    """Return the encoder of a classifier run, not adapted yet."""
    low, high = split.train.min(0), split.train.max(0)
    high = np.where(high > low, high, low + 1)  # a constant feature gets the range of one unit
    binned = A2DEncoder(split.train.shape[1], step.bits, low, high, step.rate)
    return compose(binned, ConstantEncoder(count=step.bias)) if step.bias else binned


def peers_of(step: Classify, split: Split, classifier: LinearClassifier) -> dict[str, float]:
    """Return the accuracies of ordinary linear classifiers on the same tuples."""
    if not step.peers:
        return {}
    encoder = classifier.encoder
    predicted = linear_peers(
        encoder.encode_all(split.train),
        split.train_labels,
        encoder.encode_all(split.test),
        encoder.space_sizes,
    )
    return {
        name: confusion(guesses.tolist(), split.test_labels.tolist(), split.labels).accuracy
        for name, guesses in predicted.items()
    }


def lanes_of(steps: Sequence[Step]) -> bool:
    """Return whether a step works on lanes of a core given by its geometry."""
    return any(
        lanes_of(step.steps) if isinstance(step, Loop) else not isinstance(step, Classify) for step in steps
    )
