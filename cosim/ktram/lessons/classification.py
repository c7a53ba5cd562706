"""Iris and digits on neural lanes, with ordinary linear classifiers on the same tuples beside them.

The encoder adapts to the training part alone and is then frozen; lanes and peers see the same tuples. Data sets
come with scikit-learn (extra ``datasets``): iris, R. A. Fisher (1936); digits, E. Alpaydin and C. Kaynak (1998).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cosim.ktram.classifier import Confusion, LinearClassifier, confusion, linear_peers, sklearn
from cosim.ktram.core import Core
from cosim.ktram.encoders import A2DEncoder, ComposedEncoder, ConstantEncoder, compose, crossbar_columns
from cosim.ktram.lessons.drawing import BLUE, GREEN, GREY, ORANGE, figure, labelled_bars, matrix
from cosim.ktram.recoders import RankCut

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LANES = "kT-RAM lanes"
RAW = "logistic regression, raw"


@dataclass(frozen=True)
class Split:
    """A stratified split of a data set: values ``(values, features)`` and labels ``(values,)``."""

    name: str
    label_names: tuple[str, ...]
    feature_names: tuple[str, ...]
    train: NDArray[np.float64]
    train_labels: NDArray[np.int64]
    test: NDArray[np.float64]
    test_labels: NDArray[np.int64]

    @property
    def labels(self) -> list[int]:
        """The labels, 0 to the number of classes - 1."""
        return list(range(len(self.label_names)))


@dataclass(frozen=True)
class Recipe:
    """How lanes learn a data set: bits and rate of the encoder, passes over the data, model and read noise."""

    bits: int = 3
    rate: float = 0.01
    epochs: int = 5
    encoder_epochs: int = 5
    model: str = "byte"
    init: str = "low"
    read_noise: float = 0.0


@dataclass(frozen=True)
class Outcome:
    """What was predicted on the test part of one split, by name of the classifier."""

    split: Split
    encoder: ComposedEncoder
    classifier: LinearClassifier
    predicted: dict[str, NDArray[Any]]

    def confusion(self, name: str = LANES) -> Confusion:
        """Return the counts of one classifier."""
        return confusion(self.predicted[name], self.split.test_labels, self.split.labels)

    def accuracies(self) -> dict[str, float]:
        """Return the accuracy of every classifier."""
        return {name: self.confusion(name).accuracy for name in self.predicted}


IRIS = Recipe()
DIGITS = Recipe(bits=3, epochs=3, encoder_epochs=2)


def load_split(name: str, seed: int, test_size: float = 0.25) -> Split:
    """Return a stratified split of ``iris`` or ``digits``; needs scikit-learn."""
    bundle = getattr(sklearn("datasets"), f"load_{name}")()
    train, test, train_labels, test_labels = sklearn("model_selection").train_test_split(
        bundle.data, bundle.target, test_size=test_size, stratify=bundle.target, random_state=seed
    )
    names = tuple(str(label) for label in bundle.target_names), tuple(str(f) for f in bundle.feature_names)
    return Split(name, *names, train, train_labels, test, test_labels)


def build_encoder(split: Split, recipe: Recipe) -> ComposedEncoder:
    """Return an A2D encoder over the range of the training part, with a bias.

    A feature that is constant there gets the range of one unit.
    """
    low, high = split.train.min(0), split.train.max(0)
    high = np.where(high > low, high, low + 1)
    return compose(A2DEncoder(split.train.shape[1], recipe.bits, low, high, recipe.rate), ConstantEncoder())


def train_lanes(split: Split, recipe: Recipe, seed: int) -> LinearClassifier:
    """Return lanes that learned the training part of ``split``."""
    classifier = LinearClassifier(
        build_encoder(split, recipe), split.labels, recipe.model, recipe.init, recipe.read_noise, seed=seed
    )
    return classifier.fit(
        split.train, split.train_labels, recipe.epochs, seed=seed, encoder_epochs=recipe.encoder_epochs
    )


def classify(name: str, seed: int = 0, recipe: Recipe = IRIS, peers: bool = True) -> Outcome:
    """Learn one split of a data set with lanes and, with ``peers``, with the linear classifiers beside."""
    split = load_split(name, seed)
    classifier = train_lanes(split, recipe, seed)
    encoder = classifier.encoder
    assert isinstance(encoder, ComposedEncoder)
    predicted = {LANES: np.array([classifier.predict(value) for value in split.test])}
    if peers:
        predicted |= linear_peers(
            encoder.encode_all(split.train),
            split.train_labels,
            encoder.encode_all(split.test),
            encoder.space_sizes,
        )
        raw = sklearn("linear_model").LogisticRegression(max_iter=5000)
        predicted[RAW] = raw.fit(split.train, split.train_labels).predict(split.test)
    return Outcome(split, encoder, classifier, predicted)


def accuracies(
    name: str, seeds: Sequence[int] = range(20), recipe: Recipe = IRIS, peers: bool = True
) -> dict[str, NDArray[np.float64]]:
    """Return the test accuracy of every classifier on one split for each seed, ``(seeds,)`` each."""
    rows = [classify(name, seed, recipe, peers).accuracies() for seed in seeds]
    return {classifier: np.array([row[classifier] for row in rows]) for classifier in rows[0]}


def rank_cut_agrees(seed: int = 0, recipe: Recipe = IRIS) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return what lanes and a RankCut recoder (Vt = -inf, N = 1) of the same core predict on iris.

    Without noise the recoder, which reads all lanes before any feedback, learns the same as the classifier.
    """
    outcome = classify("iris", seed, recipe, peers=False)
    split, encoder = outcome.split, outcome.encoder
    sizes = encoder.space_sizes
    core = Core(
        1, crossbar_columns(sizes), spaces_per_lane=len(sizes), num_lanes=len(split.labels), model=recipe.model,
        init=recipe.init, read_noise=0, seed=seed,
    )  # fmt: skip
    recoder = RankCut(core, split.labels, Vt=-np.inf, N=1)
    rng = np.random.default_rng(seed)
    for _ in range(recipe.epochs):
        for value in rng.permutation(len(split.train)):
            recoder.adapt(encoder.encode(split.train[value]), {int(split.train_labels[value])})
    recoded = np.array([recoder.read(encoder.encode(value))[0] for value in split.test])
    return outcome.predicted[LANES], recoded


def draw_accuracies(by_name: dict[str, NDArray[np.float64]], title: str) -> Figure:
    """Draw mean and spread of the accuracies."""
    drawn, ((ax,),) = figure(size=(6.4, 3.8))
    names = [name.replace(", ", "\n").replace("logistic ", "logistic\n") for name in by_name]
    means = np.array([values.mean() for values in by_name.values()])
    colors = [BLUE if name == LANES else GREY if name == RAW else ORANGE for name in by_name]
    labelled_bars(ax, names, means, colors)
    spread = np.array([values.std() for values in by_name.values()])
    ax.errorbar(names, means, spread, fmt="none", ecolor="k", capsize=4, linewidth=0.8)
    ax.set(ylim=(max(0.0, means.min() - 0.12), 1.01), ylabel="test accuracy (mean, standard deviation)")
    ax.set_title(title, fontsize=10)
    return drawn


def draw_confusions(outcome: Outcome) -> Figure:
    """Draw the counts of the lanes and of logistic regression on the same tuples."""
    names = list(outcome.split.label_names)
    drawn, (axes,) = figure(1, 2, (9.6, 4.4))
    for ax, classifier in zip(axes, (LANES, "logistic regression"), strict=True):
        counted = outcome.confusion(classifier)
        matrix(ax, counted.counts, names, names, f"{classifier}: {counted.accuracy:.3f}")
    return drawn


def draw_encoding(outcome: Outcome, features: tuple[int, int] = (2, 3)) -> Figure:
    """Draw two features with the adapted edges, and ring what the lanes got wrong."""
    split = outcome.split
    binner = outcome.encoder.encoders[0]
    assert isinstance(binner, A2DEncoder)
    drawn, ((ax,),) = figure(size=(6.0, 5.0))
    ax.grid(False)
    for edge in binner.edges(features[0]):
        ax.axvline(edge, color=GREY, linewidth=0.6)
    for edge in binner.edges(features[1]):
        ax.axhline(edge, color=GREY, linewidth=0.6)
    values, labels = np.vstack([split.train, split.test]), np.append(split.train_labels, split.test_labels)
    for label, color in zip(split.labels, (BLUE, ORANGE, GREEN), strict=False):
        chosen = values[labels == label][:, features]
        ax.plot(*chosen.T, ".", color=color, label=split.label_names[label])
    wrong = split.test[outcome.predicted[LANES] != split.test_labels][:, features]
    ax.plot(*wrong.T, "o", color="k", markersize=11, fillstyle="none", label="wrong")
    ax.set(xlabel=split.feature_names[features[0]], ylabel=split.feature_names[features[1]])
    ax.legend(frameon=True, fontsize=8)
    return drawn
