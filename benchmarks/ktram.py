"""kT-RAM instructions beside one object per device: one process, all methods of a row in turn, best of the rounds.

Synapse updates per second of (FF, RH), read noise off, byte, 64 different tuples of which one address in 17 is
None; as single instructions (tuples of Python integers, which the core has seen before or not) and in one call of
`lane.run`. Then training of the iris classifier. ``--accept`` ends with status 1 if a bar is missed;
``--without-numba`` shows the numpy way.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

for variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

import numpy as np  # noqa: E402
from ktram_objects import PlainCore  # noqa: E402

from cosim.ktram import Core  # noqa: E402

SINGLE_BARS = {1: 0.8, 16: 2.5, 256: 25.0, 1024: 25.0}
BATCH_BARS = {256: 40.0, 1024: 120.0, 16384: 800.0}
SIZE, TUPLES, PROGRAM = 16, 64, ("FF", "RH")


@dataclass(frozen=True)
class Line:
    """One bar and whether it was met."""

    text: str
    met: bool


def alternate(methods: dict[str, Callable[[], Any]], rounds: int, budget: float) -> dict[str, float]:
    """Return the best time of every method; all take turns."""
    best = dict.fromkeys(methods, float("inf"))
    begin = time.perf_counter()
    for _ in range(rounds):
        for name, method in methods.items():
            start = time.perf_counter()
            method()
            best[name] = min(best[name], time.perf_counter() - start)
        if time.perf_counter() - begin > budget:
            break
    return best


def singles(lane: Any, tuples: list[tuple[int | None, ...]], turns: int) -> Callable[[], None]:
    def act() -> None:
        evaluate = lane.evaluate
        for _ in range(turns):
            for aat in tuples:
                evaluate(aat, "FF")
                evaluate(aat, "RH")

    return act


def fresh(lane: Any, rows: list[list[int | None]], turns: int) -> Callable[[], None]:
    """Single instructions with tuples that the core has not seen: a new one for every pair."""

    def act() -> None:
        evaluate = lane.evaluate
        for _ in range(turns):
            for row in rows:
                aat = tuple(row)
                evaluate(aat, "FF")
                evaluate(aat, "RH")

    return act


def updates(spaces: int, budget: float) -> list[Line]:
    aats = np.random.default_rng(spaces).integers(-1, SIZE, (TUPLES, spaces))
    rows = [[None if address < 0 else address for address in row] for row in aats.tolist()]
    tuples = [tuple(row) for row in rows]
    settings: dict[str, Any] = {"model": "byte", "seed": 1, "read_noise": 0.0}
    few = max(1, min(TUPLES, 16384 // spaces))
    turns = max(1, 512 // spaces)
    plain = PlainCore(1, SIZE, spaces, **settings).lanes[0]
    core = Core(1, SIZE, spaces, **settings)
    lane, other = core.lane(0), Core(1, SIZE, spaces, **settings)
    check = Core(1, SIZE, spaces, **settings).lane(0).run(aats[:few], PROGRAM)
    assert [plain.evaluate(aat, name) for aat in tuples[:few] for name in PROGRAM] == check.reshape(
        -1
    ).tolist()
    batch = np.tile(aats, (max(1, 64 // spaces), 1))
    methods: dict[str, Callable[[], Any]] = {
        "object": singles(plain, tuples[:few], turns),
        "single": singles(lane, tuples, turns),
        "fresh": fresh(lane, rows, turns),
        "batch": lambda: other.lane(0).run(batch, PROGRAM),
    }
    times = alternate(methods, 40, budget)
    work = {"object": few * turns, "single": TUPLES * turns, "fresh": TUPLES * turns, "batch": len(batch)}
    active = float(np.count_nonzero(aats >= 0)) / TUPLES
    rate = {name: 2 * active * work[name] / times[name] for name in methods}
    ratio = {name: rate[name] / rate["object"] for name in methods}
    print(f"{spaces:>6}  object {rate['object']:.2e}   single {rate['single']:.2e} ({ratio['single']:.2f}x, new tuples "
          f"{ratio['fresh']:.2f}x)   batch {rate['batch']:.2e} ({ratio['batch']:.1f}x)")  # fmt: skip
    lines = []
    for what, bars in (("single", SINGLE_BARS), ("batch", BATCH_BARS)):
        if spaces in bars:
            bar = bars[spaces]
            lines.append(
                Line(
                    f"{what} instructions, {spaces} spaces: {ratio[what]:.2f}x >= {bar:g}x",
                    ratio[what] >= bar,
                )
            )
    return lines


def models(spaces: int, budget: float) -> None:
    """Ratios of the other models, and of byte with read noise, as single instructions and in one call."""
    aats = np.random.default_rng(spaces).integers(-1, SIZE, (TUPLES, spaces))
    tuples = [tuple(None if address < 0 else address for address in row) for row in aats.tolist()]
    few = max(1, min(TUPLES, 2048 // spaces))
    for model, noise in (("byte", 0.02), ("float", 0.0), ("rs", 0.0), ("mss", 0.0)):
        settings: dict[str, Any] = {"model": model, "seed": 1, "read_noise": noise}
        plain = PlainCore(1, SIZE, spaces, **settings).lanes[0]
        lane, other = (Core(1, SIZE, spaces, **settings).lane(0) for _ in range(2))
        methods: dict[str, Callable[[], Any]] = {
            "object": singles(plain, tuples[:few], 1),
            "single": singles(lane, tuples, 1),
            "batch": lambda other=other: other.run(aats, PROGRAM),
        }
        times = alternate(methods, 20, budget)
        base = times["object"] / few
        single, batch = (base / (times[name] / TUPLES) for name in ("single", "batch"))
        print(f"{spaces:>6}  {model:<5} read noise {noise:<4}  single {single:.2f}x   batch {batch:.1f}x")


def iris(budget: float) -> list[Line]:
    """Training of three lanes on the same tuples in the same order, by the classifier and by objects."""
    from cosim.ktram import A2DEncoder, ConstantEncoder, LinearClassifier, compose
    from cosim.ktram.datasets import load_split

    split, epochs = load_split("iris", 0), 5
    encoder = compose(A2DEncoder(4, 3, split.train.min(0), split.train.max(0)), ConstantEncoder())
    settings: dict[str, Any] = {"model": "byte", "init": "low", "seed": 0}
    learner = LinearClassifier(encoder, split.labels, read_noise=0, **settings)
    plain = PlainCore(1, 8, 5, 3, read_noise=0.0, **settings)

    def by_classifier() -> None:
        learner.fit(split.train, split.train_labels, epochs, encoder_epochs=0)

    def by_objects() -> None:
        aats = [encoder.encode(value) for value in split.train]
        rng, targets = np.random.default_rng(0), split.train_labels.tolist()
        for _ in range(epochs):
            for k in rng.permutation(len(aats)).tolist():
                for number, lane in enumerate(plain.lanes):
                    y = lane.evaluate(aats[k], "FF")
                    lane.evaluate(aats[k], "RH" if number == targets[k] else "RL" if y > 0 else "RF")

    by_classifier()
    by_objects()
    for number, lane in enumerate(plain.lanes):
        values = [
            [(a.value, b.value) for a, b in zip(s.a.devices, s.b.devices, strict=True)] for s in lane.spaces
        ]
        assert np.array_equal(np.array(values).reshape(-1, 2), learner.core.state[number])
    times = alternate({"classifier": by_classifier, "objects": by_objects}, 20, budget)
    ratio = times["objects"] / times["classifier"]
    print(f"\niris, 5 epochs of {len(split.train)} flowers on 3 lanes: objects {times['objects']:.3f} s, classifier "
          f"{times['classifier']:.3f} s ({ratio:.2f}x)")  # fmt: skip
    return [Line(f"training of the iris classifier: {ratio:.2f}x >= 1x", ratio >= 1.0)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accept", action="store_true", help="end with status 1 if a bar is missed")
    parser.add_argument("--quick", action="store_true", help="leave the largest size and the models out")
    parser.add_argument("--without-numba", action="store_true", help="as if numba were not installed")
    arguments = parser.parse_args()
    if arguments.without_numba:
        from cosim.ktram import batch

        batch.find_spec = lambda name: None  # type: ignore[assignment]
    lines: list[Line] = []
    print("synapse updates per second of (FF, RH), byte, 64 tuples; ratio over one object per device")
    for spaces in (1, 16, 256, 1024) if arguments.quick else (1, 16, 256, 1024, 16384):
        lines += updates(spaces, 6.0)
    if not arguments.quick:
        print("\nother models, and read noise")
        for spaces in (1, 256):
            models(spaces, 1.5)
        lines += iris(6.0)
    print()
    for line in lines:
        print(f"{'met   ' if line.met else 'MISSED'}  {line.text}")
    return 1 if arguments.accept and not all(line.met for line in lines) else 0


if __name__ == "__main__":
    sys.exit(main())
