"""Full figures of the floors above the core: statistics of the lessons, iris, digits."""

import numpy as np
import pytest
from scipy import stats

from cosim.ktram.lessons import attractors, classification, codebook, pair
from cosim.ktram.lessons.attractors import ONE_HOT, ORTHOGONAL, OVERLAPPING, TWO_HOT
from cosim.ktram.lessons.classification import DIGITS, LANES, RAW

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(1800)]


def show(name: str, text: object, bar: str) -> None:
    print(f"{name:22s} {text}   [{bar}]")  # noqa: T201


def test_random_bits() -> None:
    ones = int(pair.random_bits(60, 100).sum())
    p = stats.binomtest(ones, 60).pvalue
    show("random bits", f"{ones} ones of 60, p = {p:.2f}", "31 in the reference; p > 0.01")
    assert ones == 31  # the same draws as in the reference


@pytest.mark.parametrize(
    ("name", "tuples", "reference"),
    [("orthogonal", ORTHOGONAL, (40, 41, 18, 23, 27, 11, 0, 0)), ("overlapping", OVERLAPPING, (54, 56, 14, 13, 15, 8, 0, 0))],
)  # fmt: skip
def test_attractor_counts(name: str, tuples: tuple[object, ...], reference: tuple[int, ...]) -> None:
    counts = attractors.run_nodes(tuples, range(160), 400).counts()  # type: ignore[arg-type]
    show(f"attractors {name}", " ".join(f"{k} {v}" for k, v in counts.items()), "160 seeds, as the reference")
    assert tuple(counts.values()) == reference
    # Other seeds give the same distribution.
    other = np.array(list(attractors.run_nodes(tuples, range(1000, 1160), 400).counts().values()))  # type: ignore[arg-type]
    alive = (other + np.array(reference)) > 0
    p = stats.chi2_contingency(np.array([other, reference])[:, alive]).pvalue
    show("  other 160 seeds", f"{other.tolist()}, p = {p:.2f}", "p > 0.01")
    assert p > 0.01


def test_gate_histograms() -> None:
    two_hot = attractors.gate_histogram(TWO_HOT, 2, seeds=100)
    show("gates two-hot", two_hot.tolist(), "FALSE 28, TRUE 26, XOR and XNOR 0")
    assert (two_hot[0], two_hot[15], two_hot[6], two_hot[9]) == (28, 26, 0, 0)
    one_hot = attractors.gate_histogram(ONE_HOT, 4, seeds=100)
    show("gates one-hot", one_hot.tolist(), "all 16 occur")
    assert (one_hot > 0).all()


def test_iris_twenty_splits() -> None:
    accuracies = classification.accuracies("iris")
    for name, values in accuracies.items():
        show(
            f"iris {name}",
            f"{values.mean():.4f} +- {values.std():.4f}, least {values.min():.3f}",
            "20 splits",
        )
    assert abs(accuracies[LANES].mean() - 0.962) <= 0.005
    assert accuracies[LANES][0] == 1.0
    reference = {"logistic regression": 0.9605, "linear SVC": 0.9513, RAW: 0.9632}
    for name, mean in reference.items():
        assert abs(accuracies[name].mean() - mean) < 0.01


@pytest.mark.parametrize(("model", "reference"), [("float", 0.947), ("rs", 0.963), ("mss", 0.968)])
def test_iris_on_other_models(model: str, reference: float) -> None:
    recipe = classification.Recipe(model=model)
    values = classification.accuracies("iris", range(5), recipe, peers=False)[LANES]
    show(f"iris {model}", f"{values.mean():.4f}", f"5 splits, reference {reference}")
    assert abs(values.mean() - reference) <= 0.01


@pytest.mark.parametrize(("noise", "reference"), [(0.02, 0.968), (0.2, 0.905)])
def test_iris_with_read_noise(noise: float, reference: float) -> None:
    recipe = classification.Recipe(read_noise=noise)
    values = classification.accuracies("iris", range(10), recipe, peers=False)[LANES]
    show(f"iris noise {noise}", f"{values.mean():.4f}", f"10 splits, reference {reference}")
    assert abs(values.mean() - reference) <= 0.01


def test_digits() -> None:
    accuracies = classification.accuracies("digits", range(3), DIGITS)
    for name, values in accuracies.items():
        show(f"digits {name}", f"{values.mean():.4f} +- {values.std():.4f}", "3 splits")
    assert accuracies[LANES].mean() > 0.9
    assert accuracies[LANES].mean() > accuracies["logistic regression"].mean() - 0.05


def test_rank_cut_is_the_classifier_on_every_split() -> None:
    agreeing = [np.array_equal(*classification.rank_cut_agrees(seed)) for seed in range(20)]
    show("rank cut", f"{sum(agreeing)} of 20 splits predicted alike", "all")
    assert all(agreeing)


def test_codebook() -> None:
    wins = {arm.name: codebook.learn_source(arm) for arm in codebook.ARMS}
    for name, won in wins.items():
        text = f"coverage {won.coverage:.2f}, purity {won.purity:.2f}, utilization {won.utilization:.2f}"
        show(f"codebook {name}", text, "48 patterns, 64 lanes")
    assert wins["both on"].coverage > 0.85
    assert wins["both on"].purity > 0.85
    assert wins["exclusion off"].utilization < 0.05
    assert wins["recruitment off"].purity < 0.7 * wins["both on"].purity
    accuracy = codebook.separability()
    show("codebook labels", accuracy, "reference raw 0.81, code 0.95")
    assert accuracy["basis code"] > accuracy["raw tuples"] + 0.05
