"""AHaH attractors: a node of few pairs under (FF, RU) settles into states that are logic gates.

Each step executes FF and then RU on a tuple drawn at random. Tuples that share no pair leave one attractor for
each combination of signs; tuples that overlap favor the null states, in which all signs agree. A bias with the
split write (RU on the inputs, RA on the bias) opens the remaining states. Experiments after the kT-RAM reference
emulator, names of the states after M. A. Nugent and T. W. Molter, PLOS ONE 9(2): e85175 (2014).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cosim.ktram.aat import AAT
from cosim.ktram.core import Core
from cosim.ktram.lessons.drawing import (
    BLUE,
    GREEN,
    GREY,
    MODEL_COLOR,
    ORANGE,
    PURPLE,
    RED,
    figure,
    weight_plane,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FIRST, SECOND, BOTH = (0, None), (None, 0), (0, 0)
ORTHOGONAL: tuple[AAT, ...] = (FIRST, SECOND)
OVERLAPPING: tuple[AAT, ...] = (FIRST, SECOND, BOTH)
# Signs of the reads of (first, second, both) by state.
STATES = {
    "A": (-1, -1, -1), "A'": (1, 1, 1), "B": (-1, 1, -1), "B'": (1, -1, 1),
    "C": (-1, 1, 1), "C'": (1, -1, -1), "D": (1, 1, -1), "D'": (-1, -1, 1),
}  # fmt: skip
INPUTS = ((0, 0), (0, 1), (1, 0), (1, 1))
TWO_HOT: tuple[AAT, ...] = INPUTS
ONE_HOT: tuple[AAT, ...] = ((0,), (1,), (2,), (3,))
# The gate of number (o00 o01 o10 o11) in binary, o the answer to each of the INPUTS.
GATES = (
    "FALSE", "AND", "A AND NOT B", "A", "NOT A AND B", "B", "XOR", "OR",
    "NOR", "XNOR", "NOT B", "A OR NOT B", "NOT A", "NOT A OR B", "NAND", "TRUE",
)  # fmt: skip
NONLINEAR = (6, 9)


@dataclass(frozen=True)
class Nodes:
    """Many nodes after their run: weights of the pairs ``(nodes, steps + 1, spaces)`` and the state of each node."""

    weights: NDArray[np.float64]
    states: tuple[str, ...]

    def counts(self) -> dict[str, int]:
        """Return how many nodes ended in each state."""
        return {state: self.states.count(state) for state in STATES}


def node_weights(core: Core, spaces: int) -> list[float]:
    """Return the weight of each pair of a node of 1 x 1 crossbars."""
    pairs = np.reshape(core.read_gab(0, (0,) * spaces), (spaces, 2))
    return [float((ga - gb) / (ga + gb)) for ga, gb in pairs]


def run_nodes(
    tuples: Sequence[AAT], seeds: Sequence[int], steps: int = 400, model: str = "float", path: bool = False
) -> Nodes:
    """Run a node of two pairs for each seed: ``steps`` times FF and RU on one of ``tuples`` drawn at random.

    ``path`` keeps the weights of every step; otherwise those at start and end are kept.
    """
    weights, states = [], []
    for seed in seeds:
        core = Core(1, 1, spaces_per_lane=2, model=model, seed=seed, read_noise=0)
        lane = core.lane(0)
        track = [node_weights(core, 2)]
        for choice in _choices(seed, len(tuples), steps):
            lane.evaluate(tuples[choice], "FF")
            lane.evaluate(tuples[choice], "RU")
            if path:
                track.append(node_weights(core, 2))
        if not path:
            track.append(node_weights(core, 2))
        weights.append(track)
        signs = tuple(int(np.sign(lane.evaluate(aat, "FFLV"))) for aat in OVERLAPPING)
        states.append(next((name for name, pattern in STATES.items() if pattern == signs), "?"))
    return Nodes(np.array(weights), tuple(states))


def gate_histogram(
    tuples: Sequence[AAT], columns: int, seeds: int = 200, steps: int = 600
) -> NDArray[np.int64]:
    """Count the truth tables of ``seeds`` nodes, shape ``(2^len(tuples),)``.

    A node answers 1 to a tuple that it reads at 0 or above; the answers, first tuple first, are the bits of the
    number of the table. ``columns`` is the number of channels of a space.
    """
    counts = np.zeros(2 ** len(tuples), dtype=np.int64)
    for seed in range(seeds):
        core = Core(1, columns, spaces_per_lane=len(tuples[0]), seed=seed, read_noise=0)
        lane = core.lane(0)
        for choice in _choices(seed, len(tuples), steps):
            lane.evaluate(tuples[choice], "FF")
            lane.evaluate(tuples[choice], "RU")
        counts[_table(lane.evaluate(aat, "FFLV") for aat in tuples)] += 1
    return counts


@dataclass(frozen=True)
class BiasRun:
    """Nodes with a bias: states as 3-bit numbers ``(nodes,)``, weights ``(tracked, spaces, steps + 1)``."""

    bias: int
    states: NDArray[np.int64]
    paths: NDArray[np.float64]

    def null_share(self) -> float:
        """Part of the nodes in a null state, in which all answers agree."""
        return float(np.isin(self.states, (0, 7)).mean())


def split_write(
    bias: int, init: str = "low", nodes: int = 500, steps: int = 2000, tracked: int = 20
) -> BiasRun:
    """Run nodes of two inputs and ``bias`` pairs that are always active, with the split write.

    FF reads inputs and bias together; RU then writes the inputs, RA the bias, both by the sign of that reading.
    """
    runs = [_split_write_node(seed, bias, init, steps, seed < tracked) for seed in range(nodes)]
    return BiasRun(bias, np.array([state for state, _ in runs]), np.array([path for _, path in runs if path]))


def rule(
    model: str, nodes: int = 300, cycles: int = 130, forced: int = 9000, level: float = 0.5
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return reading y and change of weight per cycle of (FF, RU), each ``(samples,)``.

    ``nodes`` nodes run freely for ``cycles``; that covers the rise from 0. ``forced`` nodes are put to random
    weights at magnitude 2 ``level`` GMAX and run one cycle; that reaches where the rule pulls back.
    """
    samples = []
    for seed in range(nodes):
        core = Core(1, 1, spaces_per_lane=2, model=model, seed=seed, read_noise=0)
        for choice in _choices(seed, 3, cycles):
            samples += _cycle(core, OVERLAPPING[choice])
    rng = np.random.default_rng(0)
    for seed in range(forced):
        core = Core(1, 1, spaces_per_lane=2, model=model, seed=seed, read_noise=0)
        for aat in ORTHOGONAL:
            core.set_start_y(0, aat, float(rng.uniform(-0.98, 0.98)), level)
        samples += _cycle(core, OVERLAPPING[rng.integers(3)])
    y, change = np.array(samples).T
    return y, change


def draw_paths(nodes: Nodes, title: str) -> Figure:
    """Draw paths and ends in the plane of the two weights; red where the two signs agree."""
    drawn, ((ax,),) = figure(size=(5.2, 5.0))
    _paths(ax, nodes)
    ax.set_title(title, fontsize=10)
    return drawn


def draw_null_state(nodes: Nodes) -> Figure:
    """Draw the paths of overlapping tuples and how many nodes ended in each state."""
    drawn, ((left, right),) = figure(1, 2, (9.6, 4.6))
    _paths(left, nodes)
    counts = nodes.counts()
    bars = right.bar(
        list(counts), list(counts.values()), color=[RED if s[0] == "A" else GREY for s in counts]
    )
    right.bar_label(bars, fontsize=8)
    right.set(xlabel="state", ylabel="nodes")
    drawn.suptitle(
        "Overlapping tuples: the null states A and A' take most nodes, D and D' few or none", fontsize=10
    )
    return drawn


def draw_model_ends(by_model: dict[str, Nodes]) -> Figure:
    """Draw where the nodes of each model end."""
    drawn, axes = figure(2, 2, (7.6, 7.4))
    for ax, (model, nodes) in zip(axes.flat, by_model.items(), strict=True):
        weight_plane(ax, 1.05)
        ax.plot(*nodes.weights[:, -1].T, "o", color=MODEL_COLOR[model], markersize=3.5, alpha=0.7)
        ax.set_title(model, fontsize=9)
    drawn.suptitle("Two orthogonal tuples on four models: the same four attractors", fontsize=10)
    return drawn


def draw_fingerprint(nodes: Nodes) -> Figure:
    """Draw the ends with the number of each quadrant: bit 1 the sign of w1, bit 0 the sign of w0."""
    drawn, ((ax,),) = figure(size=(5.2, 5.0))
    weight_plane(ax, 0.85)
    ends = nodes.weights[:, -1]
    ax.plot(*ends.T, "o", color=BLUE, markersize=4, alpha=0.6)
    number = 2 * (ends[:, 1] > 0) + (ends[:, 0] > 0)
    for state in range(4):
        x, y = (0.62 if state & 1 else -0.62), (0.7 if state & 2 else -0.7)
        ax.text(x, y, f"state {state}\n{(number == state).sum()} nodes", ha="center", va="center", fontsize=9)
    ax.set_title("Two tuples, two signs: four states", fontsize=10)
    return drawn


def draw_landscapes(histograms: dict[str, NDArray[np.int64]]) -> Figure:
    """Draw the histogram of truth tables for each encoding."""
    drawn, (axes,) = figure(1, len(histograms), (11.5, 3.4))
    for ax, (name, counts) in zip(axes, histograms.items(), strict=True):
        last = len(counts) - 1
        bars = ax.bar(range(len(counts)), counts / counts.sum(), color=GREY)
        for number, bar in enumerate(bars):
            if number in (0, last):
                bar.set_color(RED)
            elif last == 15 and number in NONLINEAR:
                bar.set_color(ORANGE)
        ax.set_xticks(range(0, len(counts), 1 if last < 8 else 3))
        ax.set(xlabel="number of the truth table", ylabel="part of the nodes")
        ax.set_title(name, fontsize=9)
    drawn.suptitle("Size of the basins: constant answers red, XOR and XNOR orange", fontsize=10)
    return drawn


def draw_gates(counts: NDArray[np.int64]) -> Figure:
    """Draw the sixteen gates with the part of the nodes in each, and why XOR is out of reach."""
    drawn, ((left, right),) = figure(1, 2, (10.0, 4.6), width_ratios=[1.4, 1])
    left.axis("off")
    share = counts / counts.sum()
    left.imshow(share.reshape(4, 4), cmap="Greys", vmax=1.2 * share.max())
    for gate, name in enumerate(GATES):
        row, column = divmod(gate, 4)
        color = "w" if share[gate] > 0.7 * share.max() else ORANGE if gate in NONLINEAR else "k"
        text = f"{gate}  {gate:04b}\n{name}\n{share[gate]:.1%}"
        left.text(column, row, text, ha="center", va="center", fontsize=7, color=color)
    left.set_title("every attractor is a gate (two-hot node)", fontsize=9)
    for x, y in INPUTS:
        right.plot(x, y, "o", markersize=13, color=GREEN if x ^ y else BLUE, markeredgecolor="k")
    right.set(xlim=(-0.5, 1.5), ylim=(-0.5, 1.5), xlabel="input A", ylabel="input B", aspect="equal")
    right.set_title("XOR: no line divides green from blue", fontsize=9)
    return drawn


def draw_split_write(runs: dict[str, BiasRun]) -> Figure:
    """Draw weights over time and states, a row for each run."""
    drawn, axes = figure(len(runs), 2, (9.6, 2.9 * len(runs)))
    by_number = {_table(signs): name for name, signs in STATES.items()}
    for (left, right), (title, run) in zip(axes, runs.items(), strict=True):
        for path in run.paths:
            for pair, weight in enumerate(path):
                left.plot(weight, color=(BLUE, ORANGE, GREEN, PURPLE)[pair], linewidth=0.5, alpha=0.5)
        left.set(ylim=(-1.05, 1.05), xlabel="step", ylabel="weight")
        left.set_title(f"{title}: inputs blue and orange, bias green and purple", fontsize=8)
        counts = np.bincount(run.states, minlength=8)
        colors = [RED if n in (0, 7) else GREEN if n in (1, 6) else GREY for n in range(8)]
        bars = right.bar([by_number[n] for n in range(8)], counts, color=colors)
        right.bar_label(bars, fontsize=7)
        right.set(xlabel="state", ylabel="nodes")
        right.set_title(f"null states {run.null_share():.0%}", fontsize=8)
    return drawn


def draw_rule(samples: dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]) -> Figure:
    """Draw the change of weight over the reading for each model; blue where it reinforces the sign."""
    drawn, axes = figure(2, 2, (9.6, 6.8))
    for ax, (model, (y, change)) in zip(axes.flat, samples.items(), strict=True):
        reinforces = np.sign(change) == np.sign(y)
        for chosen, color in ((~reinforces, GREY), (reinforces, BLUE)):
            ax.scatter(y[chosen], change[chosen], s=2, alpha=0.25, color=color, linewidths=0, rasterized=True)
        limit = 1.2 * np.percentile(np.abs(change), 99)
        ax.set(
            xlim=(-1.05, 1.05), ylim=(-limit, limit), xlabel="reading y", ylabel="change of weight per cycle"
        )
        ax.set_title(model, fontsize=9)
    drawn.suptitle("The AHaH rule of (FF, RU): blue reinforces, grey pulls back", fontsize=10)
    return drawn


def _choices(seed: int, number: int, steps: int) -> list[int]:
    """Return ``steps`` indices below ``number`` from a generator of their own."""
    rng = np.random.default_rng(seed)
    return [int(rng.integers(number)) for _ in range(steps)]


def _table(readings: object) -> int:
    """Return the number whose bits are the signs of ``readings``, the first one most significant; 0 counts as 1."""
    number = 0
    for y in readings:  # type: ignore[attr-defined]
        number = 2 * number + (y >= 0)
    return number


def _cycle(core: Core, aat: AAT) -> list[tuple[float, float]]:
    """Execute FF and RU and return (y, change of weight) of every active pair."""
    before = node_weights(core, 2)
    y = core.evaluate(aat, "FF")
    core.evaluate(aat, "RU")
    after = node_weights(core, 2)
    return [(y, after[pair] - before[pair]) for pair, entry in enumerate(aat) if entry is not None]


def _split_write_node(
    seed: int, bias: int, init: str, steps: int, path: bool
) -> tuple[int, list[list[float]]]:
    spaces = 2 + bias
    core = Core(1, 1, spaces_per_lane=spaces, init=init, seed=seed, read_noise=0)
    lane = core.lane(0)
    inputs = [(*aat, *(None,) * bias) for aat in OVERLAPPING]
    whole = [(*aat, *(0,) * bias) for aat in OVERLAPPING]
    only_bias = (None, None, *(0,) * bias)
    track = [node_weights(core, spaces)] if path else []
    for choice in _choices(seed, 3, steps):
        lane.evaluate(whole[choice], "FF")
        lane.evaluate(inputs[choice], "RU")
        lane.evaluate(only_bias, "RA")
        if path:
            track.append(node_weights(core, spaces))
    state = _table(lane.evaluate(aat, "FFLV") for aat in whole)
    return state, [list(column) for column in zip(*track, strict=True)]


def _paths(ax: Axes, nodes: Nodes) -> None:
    weight_plane(ax, 0.75)
    for track in nodes.weights:
        end = track[-1]
        color = RED if end[0] * end[1] > 0 else BLUE
        ax.plot(*track.T, color=color, linewidth=0.4, alpha=0.4)
        ax.plot(*track[0], ".", color=GREY, markersize=2)
        ax.plot(*end, "o", color=color, markersize=3.5)
