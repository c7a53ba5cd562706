"""Linear classifier: routine, order of draws, refusals, confusion, peers."""

import numpy as np
import pytest
from numpy.typing import NDArray

from cosim.errors import KtramError, UnknownKeyError
from cosim.ktram import (
    A2DEncoder,
    AboveZero,
    ConstantEncoder,
    Core,
    LinearClassifier,
    WinnerAboveZero,
    compose,
)
from cosim.ktram.classifier import confusion, linear_peers


def blobs(seed: int = 0, values: int = 150) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return three clouds of points in the unit square and their labels."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(3, size=values)
    centers = np.array([[0.25, 0.25], [0.75, 0.3], [0.5, 0.8]])
    return centers[labels] + rng.normal(0, 0.08, (values, 2)), labels


def make(model: str = "byte", **kwargs: object) -> LinearClassifier:
    return LinearClassifier(compose(A2DEncoder(2, 4), ConstantEncoder()), range(3), model, seed=2, **kwargs)  # type: ignore[arg-type]


def test_geometry_and_defaults() -> None:
    core = make().core
    assert (core.crossbar_rows, core.crossbar_cols, core.spaces_per_lane, core.num_lanes) == (1, 16, 3, 3)
    assert (core.model_name, core.init_name, core.read_noise) == ("byte", "medium", 0)


@pytest.mark.parametrize(("model", "noise"), [("byte", 0.0), ("byte", 0.02), ("mss", 0.02), ("float", 0.0)])
def test_fit_is_the_routine_lane_by_lane_in_the_order_of_the_seed(model: str, noise: float) -> None:
    X, y = blobs(values=40)
    learned = make(model, read_noise=noise).fit(X, y, epochs=2, seed=5, encoder_epochs=3)
    encoder = compose(A2DEncoder(2, 4), ConstantEncoder())
    rng = np.random.default_rng(5)
    for _ in range(3):
        for i in rng.permutation(40):
            encoder.encode_adapt(X[i])
    core = Core(1, 16, 3, 3, model, read_noise=noise, seed=2)
    rng = np.random.default_rng(5)
    for _ in range(2):
        for i in rng.permutation(40):
            aat = encoder.encode(X[i])
            for lane in range(3):
                reading = core.evaluate(aat, "FF", lane)
                core.evaluate(aat, "RH" if lane == y[i] else "RL" if reading > 0 else "RF", lane)
    np.testing.assert_array_equal(learned.core.state, core.state)
    aat = encoder.encode(X[0])
    assert learned.scores(X[0]) == [core.evaluate(aat, "FFLV", lane) for lane in range(3)]


def test_blobs_are_learned_and_the_peers_see_the_same_tuples() -> None:
    X, y = blobs()
    test, truth = blobs(1)
    lanes = make().fit(X, y, epochs=4)
    assert lanes.confusion(test, truth).accuracy > 0.95
    encoder = lanes.encoder
    peers = linear_peers(encoder.encode_all(X), y, encoder.encode_all(test), encoder.space_sizes)
    assert set(peers) == {"logistic regression", "linear SVC"}
    assert all(np.mean(predicted == truth) > 0.95 for predicted in peers.values())


def test_a_recoder_may_abstain() -> None:
    untrained = make(recoder=WinnerAboveZero(), init="medium_noiseless")
    assert untrained.predict([0.5, 0.5]) is None
    assert untrained.recode([0.5, 0.5]) == ()
    X, y = blobs(values=9)
    counted = untrained.confusion(X, y)
    assert (counted.accuracy, counted.abstained.sum(), counted.counts.sum()) == (0, 9, 0)
    assert make(recoder=AboveZero()).recode([0.5, 0.5]) == tuple(
        lane for lane, reading in enumerate(make().scores([0.5, 0.5])) if reading > 0
    )


def test_confusion_counts_rows_by_truth() -> None:
    counted = confusion(["b", "a", None, "b"], ["a", "a", "b", "b"], "ab")
    assert counted.counts.tolist() == [[1, 1], [0, 1]]
    assert counted.abstained.tolist() == [0, 1]
    assert counted.accuracy == 0.5


def test_training_one_by_one_is_fit_without_shuffling() -> None:
    X, y = blobs(values=20)
    at_once = make().fit(X, y, shuffle=False, encoder_epochs=0)
    one_by_one = make()
    for value, label in zip(X, y, strict=True):
        one_by_one.train(value, label)
    np.testing.assert_array_equal(at_once.core.state, one_by_one.core.state)


def test_adapting_the_encoder_leaves_the_lanes() -> None:
    X, _ = blobs()
    classifier, before = make(), make()
    assert classifier.adapt_encoder(X, epochs=2) is classifier
    np.testing.assert_array_equal(classifier.core.state, before.core.state)
    assert classifier.encoder.encode_all(X).tolist() != before.encoder.encode_all(X).tolist()


def test_refusals() -> None:
    X, y = blobs(values=5)
    with pytest.raises(KtramError, match="5 values have 4 labels: give one for each"):
        make().fit(X, y[:4])
    with pytest.raises(UnknownKeyError, match="7 is no label: give one of"):
        make().train(X[0], 7)


def test_scikit_learn_is_asked_for_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    from cosim.ktram import classifier

    with pytest.raises(
        Exception, match=r"need scikit-learn: install it with: pip install 'cosim-crossbar\[datasets\]'"
    ):
        classifier.sklearn("no_such_module")
