"""Data sets that scikit-learn ships, split into a training and a test part (extra ``datasets``)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, final

import numpy as np
from numpy.typing import NDArray

from cosim.errors import UnknownKeyError
from cosim.ktram.classifier import sklearn

DATA_SETS: Final = ("iris", "digits")
"""Iris: R. A. Fisher (1936). Digits: E. Alpaydin and C. Kaynak (1998). Both with scikit-learn."""


@final
@dataclass(frozen=True, eq=False)
class Split:
    """A stratified split of a data set: values ``(values, features)`` and labels ``(values,)`` of both parts."""

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

    def first(self, train: int | None, test: int | None) -> Split:
        """Return the split with the first values of both parts alone; None: all."""
        if train is None and test is None:
            return self
        return replace(
            self, train=self.train[:train], train_labels=self.train_labels[:train], test=self.test[:test],
            test_labels=self.test_labels[:test],
        )  # fmt: skip


def load_split(name: str, seed: int, test_part: float = 0.25) -> Split:
    """Return a stratified split of a data set; ``test_part`` of it is for testing.

    Raises `UnknownKeyError` for another name, `InputError` where scikit-learn is missing.
    """
    if name not in DATA_SETS:
        raise UnknownKeyError(f"data set: must be one of {', '.join(DATA_SETS)}, not {name!r}")
    found = getattr(sklearn("datasets"), f"load_{name}")()
    parts = sklearn("model_selection").train_test_split(
        found.data, found.target, test_size=test_part, stratify=found.target, random_state=seed
    )
    train, test, train_labels, test_labels = (np.asarray(part) for part in parts)
    names = (tuple(map(str, found.target_names)), tuple(map(str, found.feature_names)))
    return Split(name, *names, train, train_labels, test, test_labels)
