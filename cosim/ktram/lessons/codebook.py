"""Codebooks without labels: on a source whose patterns are known, on digits, and on patches of photographs.

The known source makes it measurable what exclusion and recruitment are for: coverage is the part of its patterns
that some lane claims, purity how far a lane keeps to one pattern. Experiments after the kT-RAM reference emulator.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cosim.ktram.aat import AAT
from cosim.ktram.basis import BasisEncoder, BasisGroup
from cosim.ktram.classifier import sklearn
from cosim.ktram.core import Core
from cosim.ktram.encoders import crossbar_columns, one_hot
from cosim.ktram.lessons.drawing import BLUE, GREEN, GREY, ORANGE, RED, figure, labelled_bars

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Tuples = list[tuple[int, ...]]


@dataclass(frozen=True)
class Source:
    """Tuples from known patterns: each takes one channel in every space.

    A tuple is a pattern drawn at random, of which each space is drawn anew with probability ``corruption``. A
    pattern copies each space of an earlier one with probability ``overlap``. ``per_label`` patterns share a label.
    """

    spaces: int = 12
    channels: int = 8
    patterns: int = 48
    corruption: float = 0.35
    overlap: float = 0.30
    per_label: int = 6

    @property
    def space_sizes(self) -> list[int]:
        """Channels of each space."""
        return [self.channels] * self.spaces

    def draw_patterns(self, rng: np.random.Generator) -> NDArray[np.int64]:
        """Return the patterns, ``(patterns, spaces)``."""
        table = rng.integers(0, self.channels, (self.patterns, self.spaces))
        for pattern in range(1, self.patterns):
            shared = rng.random(self.spaces) < self.overlap
            table[pattern, shared] = table[rng.integers(pattern), shared]
        return table

    def draw(
        self, table: NDArray[np.int64], number: int, rng: np.random.Generator
    ) -> tuple[Tuples, NDArray[np.int64]]:
        """Return ``number`` tuples and the pattern behind each."""
        pattern = rng.integers(self.patterns, size=number)
        tuples = table[pattern]
        anew = rng.random(tuples.shape) < self.corruption
        tuples[anew] = rng.integers(0, self.channels, int(anew.sum()))
        return [tuple(row) for row in tuples.tolist()], pattern


@dataclass(frozen=True)
class Arm:
    """One way to run a group, with its name."""

    name: str
    exclusion: bool = True
    recruitment: bool = True
    abandon_action: str = "recruit"


BOTH = Arm("both on")
# Without recruitment a cycle in which some lanes never win does not end, and exclusion freezes the others; with
# the reset it is cleared instead.
STALLED = Arm("recruitment off", recruitment=False)
RESET = Arm("reset instead", recruitment=False, abandon_action="reset")
ARMS = (BOTH, Arm("exclusion off", exclusion=False), STALLED, RESET)


@dataclass(frozen=True)
class Wins:
    """How often each lane won on each pattern, ``counts (lanes, patterns)``, and the instructions of learning."""

    counts: NDArray[np.int64]
    instructions: int

    @property
    def coverage(self) -> float:
        """Part of the patterns that are the most frequent one of some lane."""
        claimed = self.counts.argmax(axis=1)[self.counts.any(axis=1)]
        return len(np.unique(claimed)) / int(self.counts.shape[1])

    @property
    def purity(self) -> float:
        """Mean part of a lane's wins that its most frequent pattern has."""
        used = self.counts[self.counts.any(axis=1)]
        return float((used.max(axis=1) / used.sum(axis=1)).mean()) if len(used) else 0.0

    @property
    def utilization(self) -> float:
        """Part of the lanes that won at all."""
        return float(self.counts.any(axis=1).mean())


def learn_source(
    arm: Arm = BOTH,
    source: Source | None = None,
    lanes: int = 64,
    gather_abandon: int = 32,
    epochs: int = 4,
    train: int = 4000,
    evaluate: int = 3000,
    seed: int = 0,
) -> Wins:
    """Let a group learn ``train`` tuples of the source, ``epochs`` times, and count its wins on ``evaluate`` others."""
    chosen = Source() if source is None else source
    rng = np.random.default_rng(seed)
    table = chosen.draw_patterns(rng)
    tuples, _ = chosen.draw(table, train, rng)
    group = _group(chosen.space_sizes, lanes, arm, gather_abandon, 100 + seed)
    for _ in range(epochs):
        for aat in tuples:
            group.adapt(aat)
    tests, pattern = chosen.draw(table, evaluate, rng)
    counts = np.zeros((lanes, chosen.patterns), dtype=np.int64)
    winners = np.array([group.read(aat) for aat in tests])
    np.add.at(counts, (winners, pattern), 1)
    return Wins(counts, group.n_instructions)


def corruption_sweep(
    corruptions: Sequence[float] = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6),
    arms: Sequence[Arm] = (BOTH, STALLED, RESET),
    epochs: int = 4,
    train: int = 4000,
) -> dict[str, NDArray[np.float64]]:
    """Return coverage and purity of each arm over the corruption, ``(corruptions, 2)``."""
    return {
        arm.name: np.array(
            [
                (wins.coverage, wins.purity)
                for wins in (
                    learn_source(arm, replace(Source(), corruption=c), epochs=epochs, train=train)
                    for c in corruptions
                )
            ]
        )
        for arm in arms
    }


def separability(
    groups: int = 4, lanes: int = 48, epochs: int = 4, train: int = 4000, test: int = 3000, seed: int = 0
) -> dict[str, float]:
    """Return the accuracy of logistic regression on the raw tuples and on the code of a frozen basis encoder."""
    source, rng = Source(), np.random.default_rng(seed)
    table = source.draw_patterns(rng)
    tuples, pattern = source.draw(table, train, rng)
    tests, test_pattern = source.draw(table, test, rng)
    encoder = BasisEncoder(source.space_sizes, groups, lanes, gather_abandon=lanes // 2, seed=100 + seed)
    for _ in range(epochs):
        for aat in tuples:
            encoder.adapt(aat)
    regression = sklearn("linear_model").LogisticRegression
    inputs = {
        "raw tuples": (tuples, tests, source.space_sizes),
        "basis code": (
            [encoder.read(a) for a in tuples],
            [encoder.read(a) for a in tests],
            encoder.out_space_sizes,
        ),
    }
    return {
        name: float(
            regression(max_iter=2000)
            .fit(one_hot(seen, sizes), pattern // source.per_label)
            .score(one_hot(unseen, sizes), test_pattern // source.per_label)
        )
        for name, (seen, unseen, sizes) in inputs.items()
    }


@dataclass(frozen=True)
class Features:
    """What lanes learned on images: ``maps (lanes, side, side)`` [steps of the byte model], ``wins (lanes,)``."""

    maps: NDArray[np.float64]
    wins: NDArray[np.int64]

    def survivors(self, part: float = 0.05) -> NDArray[np.intp]:
        """Return the lanes with at least ``part`` of the wins of the most frequent one, most frequent first."""
        order = np.argsort(-self.wins, kind="stable")
        alive: NDArray[np.intp] = order[self.wins[order] > part * self.wins.max()]
        return alive


def digit_images(levels: int = 3) -> NDArray[np.int64]:
    """Return the 1797 digits of scikit-learn as gray levels 0 to ``levels - 1``, ``(images, 8, 8)``."""
    images = sklearn("datasets").load_digits().images
    return _levels(images, 16.0, levels)


def photo_patches(
    patches: int = 6000, side: int = 8, spread: float = 25.0, levels: int = 3, seed: int = 0
) -> NDArray[np.int64]:
    """Return patches of scikit-learn's two photographs as gray levels, ``(patches, side, side)``.

    Places are drawn at random; a patch whose gray values (0 to 255) spread less than ``spread`` is left out. Each
    patch is stretched to the whole range, so that lanes learn shapes and not brightness.
    """
    photos = [image.mean(axis=2) for image in sklearn("datasets").load_sample_images().images]
    rng = np.random.default_rng(seed)
    found: list[NDArray[np.float64]] = []
    while len(found) < patches:
        photo = photos[rng.integers(len(photos))]
        row, column = (int(rng.integers(extent - side + 1)) for extent in photo.shape)
        patch = photo[row : row + side, column : column + side]
        if patch.std() >= spread:
            found.append((patch - patch.min()) / np.ptp(patch))
    return _levels(np.array(found), 1.0, levels)


def learn_images(
    images: NDArray[np.int64],
    lanes: int,
    gather_abandon: int,
    epochs: int = 1,
    seed: int = 0,
    sharpen_from: float = 0.5,
) -> Features:
    """Let a group see ``images`` of gray levels ``(images, side, side)``: it forms, and then it prunes itself.

    The images are shown ``epochs`` times. From the part ``sharpen_from`` on nobody is recruited and stalled cycles are reset: lanes that do not win fade.
    """
    levels = int(images.max()) + 1
    tuples = [tuple(image) for image in images.reshape(len(images), -1).tolist()]
    group = _group([levels] * len(tuples[0]), lanes, BOTH, gather_abandon, 100 + seed)
    for number, aat in enumerate(epochs * tuples):
        if number == int(sharpen_from * epochs * len(tuples)):
            group.recruitment, group.abandon_action = False, "reset"
        group.adapt(aat)
    wins = np.bincount([group.read(aat) for aat in tuples], minlength=lanes)
    maps = np.array([_feature_map(group.core, lane, levels, len(tuples[0])) for lane in range(lanes)])
    return Features(maps.reshape(lanes, *images.shape[1:]), wins)


def draw_wins(by_arm: dict[str, Wins]) -> Figure:
    """Draw which lane answers to which pattern, lanes in the order of the pattern they claim."""
    drawn, (axes,) = figure(1, len(by_arm), (3.4 * len(by_arm), 4.2))
    for ax, (name, wins) in zip(axes, by_arm.items(), strict=True):
        counts = wins.counts / np.maximum(wins.counts.sum(axis=0), 1)
        order = np.lexsort((wins.counts.argmax(axis=1), ~wins.counts.any(axis=1)))
        ax.grid(False)
        image = ax.imshow(counts[order], cmap="magma", aspect="auto", vmin=0, vmax=1)
        ax.set(xlabel="pattern of the source", ylabel="lane, in the order of its pattern")
        ax.set_title(f"{name}\ncoverage {wins.coverage:.2f}, purity {wins.purity:.2f}", fontsize=9)
        ax.label_outer()
    drawn.colorbar(image, ax=list(axes), label="part of the pattern's tuples that the lane wins")
    return drawn


def draw_arms(by_arm: dict[str, Sequence[Wins]]) -> Figure:
    """Draw coverage, purity and utilization of each arm over its seeds."""
    drawn, ((ax,),) = figure(size=(6.4, 3.8))
    measures = ("coverage", "purity", "utilization")
    for place, ((name, runs), color) in enumerate(
        zip(by_arm.items(), (BLUE, RED, ORANGE, GREEN), strict=False)
    ):
        table = np.array([[getattr(wins, measure) for measure in measures] for wins in runs])
        ax.bar(
            np.arange(3) + 0.2 * (place - 1.5),
            table.mean(0),
            0.18,
            yerr=table.std(0),
            capsize=3,
            color=color,
            label=name,
        )
    ax.set_xticks(range(3), measures)
    ax.set(ylim=(0, 1.3), ylabel="mean and standard deviation")
    ax.set_title("What exclusion and recruitment do", fontsize=10)
    ax.legend(frameon=False, fontsize=8, ncols=2)
    return drawn


def draw_sweep(by_arm: dict[str, NDArray[np.float64]], corruptions: Sequence[float]) -> Figure:
    """Draw coverage and purity over the corruption."""
    drawn, (axes,) = figure(1, 2, (8.6, 3.6), sharey=True)
    for ax, column, name in zip(axes, (0, 1), ("coverage", "purity"), strict=True):
        for (arm, table), color in zip(by_arm.items(), (BLUE, ORANGE, GREEN), strict=False):
            ax.plot(corruptions, table[:, column], "o-", color=color, label=arm)
        ax.set(ylim=(0, 1.05), xlabel="corruption of the tuples", ylabel=name)
    axes[0].legend(frameon=False, fontsize=8)
    return drawn


def draw_separability(accuracy: dict[str, float]) -> Figure:
    """Draw the accuracy of the linear decoder on both representations."""
    drawn, ((ax,),) = figure(size=(4.4, 3.8))
    labelled_bars(ax, list(accuracy), np.array(list(accuracy.values())), [GREY, GREEN])
    ax.set(ylim=(0, 1.08), ylabel="accuracy of logistic regression")
    ax.set_title("Labels are easier to separate in the code", fontsize=10)
    return drawn


def draw_features(features: Features, title: str, columns: int = 13) -> Figure:
    """Draw the maps of the surviving lanes, the most frequent one first."""
    alive = features.survivors()
    columns = min(columns, len(alive))
    rows = -(-len(alive) // columns)
    drawn, axes = figure(rows, columns, (max(5.0, 0.75 * columns), 0.85 * rows + 0.5))
    for ax in axes.flat:
        ax.axis("off")
    for ax, lane in zip(axes.flat, alive, strict=False):
        ax.imshow(features.maps[lane], cmap="gray")
        ax.set_title(f"{features.wins[lane]}", fontsize=6, pad=2)
    drawn.suptitle(
        f"{title}: {len(alive)} of {len(features.wins)} lanes survive (wins above each)", fontsize=9
    )
    return drawn


def _group(space_sizes: Sequence[int], lanes: int, arm: Arm, gather_abandon: int, seed: int) -> BasisGroup:
    core = Core(
        1, crossbar_columns(space_sizes), spaces_per_lane=len(space_sizes), num_lanes=lanes, model="byte", init="low",
        read_noise=0, seed=seed,
    )  # fmt: skip
    return BasisGroup(
        core, lanes, gather_abandon=gather_abandon, exclusion=arm.exclusion, recruitment=arm.recruitment,
        abandon_action=arm.abandon_action,
    )  # fmt: skip


def _levels(images: NDArray[np.float64], white: float, levels: int) -> NDArray[np.int64]:
    """Divide the gray values 0 to ``white`` into ``levels`` equal ranges."""
    return np.digitize(images, np.linspace(0.0, white, levels + 1)[1:-1])


def _feature_map(core: Core, lane: int, levels: int, pixels: int) -> NDArray[np.float64]:
    """Return the positive Ga - Gb of each gray level, weighted by the level, for every pixel."""
    feature = np.zeros(pixels)
    for level in range(1, levels):
        aat: AAT = (level,) * pixels
        pairs = np.array(core.read_gab(lane, aat))
        feature += level * np.maximum(pairs[:, 0] - pairs[:, 1], 0.0)
    return feature
