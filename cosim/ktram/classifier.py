"""A linear classifier of one neural lane for each label, and ordinary linear classifiers on the same tuples.

Learning has two stages. First the encoder adapts to the data, then it stays as it is and each lane is taught:
FF, then RH on the lane of the label, RL on another one that read above 0, RF on the rest. Prediction reads at
low voltage (FFLV). A bias is a space that is always active (``ConstantEncoder``); it is taught like any other.
Source of names, order and defaults: the kT-RAM reference emulator (``docs/ktram.md``).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cosim.errors import InputError, KtramError, UnknownKeyError
from cosim.ktram.aat import AAT, Address
from cosim.ktram.core import Core
from cosim.ktram.encoders import AATEncoder, crossbar_columns, one_hot
from cosim.ktram.recoders import RecodePolicy, Winner, read_lanes


@final
class LinearClassifier:
    """One lane for each label behind an encoder.

    Parameters
    ----------
    encoder
        Turns a value into a tuple; every space is as wide as the encoder's widest one (a power of two).
    labels
        One lane each.
    model, init, read_noise, seed
        As of :class:`~cosim.ktram.core.Core`; reads have no noise by default.
    recoder
        Rule from readings to lanes; None: the winner.
    rows
        Rows of every unit crossbar: the channels of a space are folded into so many rows.
    core_kwargs
        Further arguments of the core.
    """

    def __init__(
        self,
        encoder: AATEncoder,
        labels: Iterable[Hashable],
        model: str = "byte",
        init: str = "medium",
        read_noise: float = 0,
        recoder: RecodePolicy | None = None,
        seed: int | None = None,
        rows: int = 1,
        **core_kwargs: Any,
    ) -> None:
        self.encoder = encoder
        self.labels = list(labels)
        self.recoder = Winner() if recoder is None else recoder
        self._lane_of = {label: lane for lane, label in enumerate(self.labels)}
        sizes = encoder.space_sizes
        columns = crossbar_columns(sizes)
        if not 1 <= rows <= columns or columns % rows:
            raise KtramError(
                f"LinearClassifier.rows: must divide the {columns} channels of a space, not {rows}"
            )
        self.core = Core(
            rows, columns // rows, spaces_per_lane=len(sizes), num_lanes=len(self.labels), model=model,
            init=init, read_noise=read_noise, seed=seed, **core_kwargs,
        )  # fmt: skip

    def adapt_encoder(
        self, X: Sequence[Any] | NDArray[Any], epochs: int = 10, shuffle: bool = True, seed: int = 0
    ) -> LinearClassifier:
        """Let the encoder adapt to ``X``, shape ``(values, features)``, ``epochs`` times over; lanes stay."""
        for value in passes(len(X), epochs, shuffle, seed):
            self.encoder.encode_adapt(X[value])
        return self

    def train(self, value: Any, label: Hashable) -> None:
        """Teach every lane one value with its label; the encoder stays as it is."""
        self._teach(self.encoder.encode(value), self._lane(label))

    def fit(
        self,
        X: Sequence[Any] | NDArray[Any],
        y: Sequence[Any] | NDArray[Any],
        epochs: int = 1,
        shuffle: bool = True,
        seed: int = 0,
        encoder_epochs: int = 10,
    ) -> LinearClassifier:
        """Adapt the encoder to ``X`` and then teach the labels ``y``, ``epochs`` times over.

        Both stages take the values in an order drawn anew for each pass from ``seed``; ``encoder_epochs=0``
        leaves the encoder as it is.
        """
        if len(X) != len(y):
            raise KtramError(f"LinearClassifier.fit: {len(X)} values have {len(y)} labels: give one for each")
        if encoder_epochs:
            self.adapt_encoder(X, encoder_epochs, shuffle, seed)
        lanes = [self._lane(label) for label in y]
        aats = [self.encoder.encode(value) for value in X]
        for value in passes(len(X), epochs, shuffle, seed):
            self._teach(aats[value], lanes[value])
        return self

    def scores(self, value: Any) -> list[float]:
        """Return the low-voltage reading of every lane."""
        return read_lanes(self.core, self.encoder.encode(value), len(self.labels))

    def recode(self, value: Any) -> tuple[int, ...]:
        """Return the lanes that the recoder picks for ``value``."""
        return self.recoder.recode(self.scores(value))

    def predict(self, value: Any) -> Hashable | None:
        """Return the label of the first lane that the recoder picks, None if it picks none."""
        lanes = self.recode(value)
        return self.labels[lanes[0]] if lanes else None

    def confusion(self, X: Iterable[Any], y: Iterable[Any]) -> Confusion:
        """Predict every value of ``X`` and count the predictions against the labels ``y``."""
        return confusion([self.predict(value) for value in X], y, self.labels)

    def _lane(self, label: Hashable) -> int:
        if label not in self._lane_of:
            raise UnknownKeyError(f"LinearClassifier: {label!r} is no label: give one of {self.labels}")
        return self._lane_of[label]

    def _teach(self, aat: AAT, target: int) -> None:
        for lane in range(len(self.labels)):
            evaluate = self.core.lane(lane).evaluate
            y = evaluate(aat, "FF")
            evaluate(aat, "RH" if lane == target else "RL" if y > 0 else "RF")


@final
@dataclass(frozen=True)
class Confusion:
    """Predictions counted against true labels.

    ``counts[i, j]``: values of label i predicted as label j; ``abstained[i]``: values of label i without a
    prediction.
    """

    labels: tuple[Hashable, ...]
    counts: NDArray[np.int64]
    abstained: NDArray[np.int64]

    @property
    def accuracy(self) -> float:
        """Part of the values whose prediction is right, 0 to 1."""
        return float(np.trace(self.counts) / (self.counts.sum() + self.abstained.sum()))


def confusion(predicted: Iterable[Any], true: Iterable[Any], labels: Sequence[Hashable]) -> Confusion:
    """Count ``predicted`` (None: no prediction) against ``true``; rows are the true labels."""
    place = {label: index for index, label in enumerate(labels)}
    counts = np.zeros((len(place), len(place)), dtype=np.int64)
    abstained = np.zeros(len(place), dtype=np.int64)
    for guess, label in zip(predicted, true, strict=True):
        if guess is None:
            abstained[place[label]] += 1
        else:
            counts[place[label], place[guess]] += 1
    return Confusion(tuple(labels), counts, abstained)


def linear_peers(
    train_aats: Iterable[Iterable[Address]],
    train_labels: ArrayLike,
    test_aats: Iterable[Iterable[Address]],
    space_sizes: Sequence[int],
) -> dict[str, NDArray[Any]]:
    """Return what logistic regression and a linear SVC predict on the same tuples (needs scikit-learn).

    Both see the zeros and ones that a lane reads (:func:`~cosim.ktram.encoders.one_hot`): the comparison is
    then one of learning rules and not of encodings.

    Parameters
    ----------
    train_aats, test_aats
        Tuples, shape ``(values, spaces)``; an open space is None or -1.
    train_labels
        Label of each training tuple.
    space_sizes
        Channels of each space.

    Returns
    -------
    dict
        Predicted labels of ``test_aats`` by name of the classifier.
    """
    linear_model, svm = sklearn("linear_model"), sklearn("svm")
    train, test = one_hot(train_aats, space_sizes), one_hot(test_aats, space_sizes)
    peers = {
        "logistic regression": linear_model.LogisticRegression(max_iter=5000),
        "linear SVC": svm.LinearSVC(max_iter=20000, random_state=0),
    }
    return {name: peer.fit(train, train_labels).predict(test) for name, peer in peers.items()}


def sklearn(module: str) -> Any:
    """Return a module of scikit-learn.

    Raises
    ------
    InputError
        scikit-learn is not installed.
    """
    import importlib

    try:
        return importlib.import_module(f"sklearn.{module}")
    except ModuleNotFoundError as missing:
        raise InputError(
            "data sets and peer classifiers need scikit-learn: install it with: pip install 'cosim-crossbar[datasets]'"
        ) from missing


def passes(values: int, epochs: int, shuffle: bool, seed: int) -> Iterable[int]:
    """Yield the indices of ``values`` values, ``epochs`` times over, in an order drawn anew for each pass."""
    rng = np.random.default_rng(seed)
    for _ in range(epochs):
        yield from (rng.permutation(values).tolist() if shuffle else range(values))
