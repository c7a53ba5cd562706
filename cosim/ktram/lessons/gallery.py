"""Every picture of the lessons with its caption, at the size at which it is shown in ``docs/gallery``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import numpy as np

from cosim.ktram.datasets import load_split
from cosim.ktram.lessons import (
    attractors,
    binning,
    classification,
    codebook,
    disturb,
    hysteresis,
    noise,
    pair,
    topology,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Picture:
    """A picture: its lesson, its caption, and how it is drawn."""

    lesson: str
    caption: str
    draw: Callable[[], Figure]


@dataclass(frozen=True)
class Animation:
    """An animation: its lesson, its caption, and how it is written to a file."""

    lesson: str
    caption: str
    write: Callable[[Path], None]


def write(name: str, folder: Path) -> Path:
    """Draw one picture or animation into ``folder`` and return its file."""
    entry = GALLERY[name]
    path = folder / file_name(name)
    if isinstance(entry, Animation):
        entry.write(path)
    else:
        entry.draw().savefig(path, dpi=110, metadata={"Software": None})
    return path


def file_name(name: str) -> str:
    """Return the file name of a picture or animation."""
    return f"ktram-{name}.{'gif' if isinstance(GALLERY[name], Animation) else 'png'}"


def index() -> str:
    """Return the page of the gallery (Markdown)."""
    lines = [
        "# Gallery of the kT-RAM lessons",
        "",
        "Drawn by `cosim.ktram.lessons` (`make accept-ktram` draws all of them anew). Experiments after the kT-RAM",
        "reference emulator; the notebooks of the lessons stand in [notebooks](../../notebooks).",
    ]
    for lesson in dict.fromkeys(entry.lesson for entry in GALLERY.values()):
        lines += ["", f"## {lesson}"]
        for name, entry in GALLERY.items():
            if entry.lesson == lesson:
                lines += ["", entry.caption, "", f"![{name}]({file_name(name)})"]
    return "\n".join(lines) + "\n"


def _same_program() -> Figure:
    feedback = {
        f"(FF, {reverse}) x 1200 from y = 0.5": pair.same_program([("FF", reverse, 1200)], start_y=0.5)
        for reverse in pair.FEEDBACKS
    }
    up_down = pair.same_program([("FF", "RH", 1200), ("FF", "RL", 1200)])
    reads = {read: pair.same_program([(read, None, 1200)], start_y=0.3) for read in ("FF", "RF")}
    panels = {"(FF, RH) x 1200, (FF, RL) x 1200": up_down, **feedback}
    panels |= {f"{read} x 1200 from y = 0.3": traces for read, traces in reads.items()}
    return pair.draw_same_program(panels)


def _coin() -> Figure:
    return noise.draw_coin(*noise.coin())


def _animate_iris(path: Path) -> None:
    split = load_split("iris", 0)
    adaptation = binning.adapt(split.train[:, 2:4], bits=3, rate=0.01, epochs=5)
    binning.animate_adaptation(adaptation, path, split.feature_names[2:4], split.train_labels)


def _animate_clumps(path: Path) -> None:
    binning.animate_adaptation(binning.adapt(binning.clumps()), path)


def _models_apart() -> Figure:
    steps = {"float": 400, "byte": 120, "mss": 400, "rs": 400}
    traces = {model: pair.pulse_up_down(model, steps=number) for model, number in steps.items()}
    return pair.draw_models(traces, "The same pulses on four models of the device")


def _attractors_by_model() -> Figure:
    return attractors.draw_model_ends(
        {model: attractors.run_nodes(attractors.ORTHOGONAL, range(90), model=model) for model in pair.MODELS}
    )


def _split_write() -> Figure:
    cases = {"one bias, low": (1, "low"), "two biases, low": (2, "low"), "two biases, medium": (2, "medium")}
    return attractors.draw_split_write(
        {
            title: attractors.split_write(bias, init, nodes=200, steps=1000, tracked=8)
            for title, (bias, init) in cases.items()
        }
    )


def _landscapes() -> Figure:
    return attractors.draw_landscapes(
        {
            "overlapping, 2 pairs": attractors.gate_histogram(attractors.OVERLAPPING, 1),
            "two-hot, 2 x 2 pairs": attractors.gate_histogram(attractors.TWO_HOT, 2),
            "one-hot, 4 pairs": attractors.gate_histogram(attractors.ONE_HOT, 4),
        }
    )


def _loops() -> Figure:
    return hysteresis.draw_loops(
        {
            "mss, tau = 10 ms": hysteresis.mss_loops(),
            "mss with a Schottky part": hysteresis.mss_loops(profile=hysteresis.schottky_profile()),
            "rs": hysteresis.rs_loops(),
        }
    )


def _rank_cut() -> Figure:
    lanes, recoded = classification.rank_cut_agrees(1)
    outcome = classification.classify("iris", 1)
    truth = outcome.split.test_labels
    table = {name: np.array([value]) for name, value in outcome.accuracies().items()}
    return classification.draw_accuracies(
        {"RankCut": np.array([np.mean(recoded == truth)]), **table},
        f"Iris, one split: RankCut and lanes agree on {int((lanes == recoded).sum())} of {len(truth)} values",
    )


def _corruption() -> Figure:
    corruptions = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6)
    return codebook.draw_sweep(codebook.corruption_sweep(corruptions, epochs=2, train=2000), corruptions)


_PAIR, _BIT, _READ = "A single pair", "The kT-bit up close", "A read is a sample"
_AHAH, _IV, _ALL = "AHaH attractors", "Hysteresis", "Four models, one program"
_BINS, _CLASS, _BOOK = "Encoding", "Classification", "Codebooks without labels"

GALLERY: Final[Mapping[str, Picture | Animation]] = MappingProxyType(
    {
        "pulse-byte": Picture(
            _PAIR,
            "Byte model, 5000 (FF, RH) and 5000 (FF, RL): rounding sets a plateau at a weight of one half.",
            lambda: pair.draw_trace(pair.pulse_up_down("byte"), "byte: (FF, RH), then (FF, RL)", "steps"),
        ),
        "pulse-float": Picture(
            _PAIR,
            "Float model, the same pulses: the weight reaches the ends.",
            lambda: pair.draw_trace(pair.pulse_up_down("float"), "float: (FF, RH), then (FF, RL)"),
        ),
        "saturation-rs": Picture(
            _PAIR,
            "rs model, FF alone: reads write; both devices rise and the reading tends to 0.",
            lambda: pair.draw_trace(pair.reads_only("FF", "rs", "low_noise", 500, 4), "rs: FF alone"),
        ),
        "random-bit": Picture(
            _PAIR,
            "Switch model, (FF, RA) and then (FF, RZ): the last sign is a random bit.",
            lambda: pair.draw_trace(pair.random_bit(), "mss: (FF, RA), then (FF, RZ)"),
        ),
        "disturb": Picture(
            _BIT,
            "Ten (FF, RH) on one kT-bit of a circuit move its neighbours, but for a crossbar of one row (drawn folded).",
            lambda: disturb.draw_disturb([disturb.disturb(*case) for case in disturb.CASES]),
        ),
        "two-numbers": Picture(_BIT, "A pair holds a weight and a magnitude.", topology.draw_two_numbers),
        "two-readouts": Picture(
            _BIT,
            "The 2-1 divider averages, the 1-2 difference of currents adds up.",
            lambda: topology.draw_two_readouts(topology.two_readouts()),
        ),
        "inertia": Picture(
            _BIT, "Magnitude is inertia: the step goes with 1/m.", lambda: pair.draw_inertia(pair.inertia())
        ),
        "evidence": Picture(
            _BIT,
            "FF alone adds magnitude and forgets the weight; RF alone drives it to an end.",
            lambda: pair.draw_reads({read: pair.reads_only(read) for read in ("FF", "RF")}),
        ),
        "models": Picture(_BIT, "Up and down on all four models.", _models_apart),
        "feedback": Picture(
            _BIT, "The five reverse feedbacks.", lambda: pair.draw_feedback_pairs(pair.feedback_pairs())
        ),
        "low-voltage": Picture(
            _BIT,
            "500 low-voltage reads change neither weight nor magnitude.",
            lambda: pair.draw_reads({"FFLV": pair.reads_only("FFLV", steps=500, seed=1)}),
        ),
        "votes": Picture(
            _READ,
            "Votes by FH and FL after low-voltage reads: the weight tends to 2p - 1.",
            lambda: noise.draw_votes({p: noise.votes(p) for p in (0.75, 0.3)}),
        ),
        "pooling": Picture(
            _READ,
            "Pairs read together: the noise falls as 1/sqrt(N).",
            lambda: noise.draw_pooling(noise.pooling()),
        ),
        "noise-map": Picture(
            _READ,
            "The law of the read noise over voltage and magnitude.",
            lambda: noise.draw_noise_map(noise.noise_map()),
        ),
        "coin": Picture(_READ, "The writable coin.", _coin),
        "two-tuples": Picture(
            _AHAH,
            "Two orthogonal tuples: one attractor in each quadrant.",
            lambda: attractors.draw_paths(
                attractors.run_nodes(attractors.ORTHOGONAL, range(140), 300, path=True),
                "Orthogonal tuples: four attractors",
            ),
        ),
        "attractors-by-model": Picture(_AHAH, "The same node on four models.", _attractors_by_model),
        "null-state": Picture(
            _AHAH,
            "Overlapping tuples: most nodes fall into a null state.",
            lambda: attractors.draw_null_state(
                attractors.run_nodes(attractors.OVERLAPPING, range(160), path=True)
            ),
        ),
        "fingerprint": Picture(
            _AHAH,
            "Attractors as numbers.",
            lambda: attractors.draw_fingerprint(attractors.run_nodes(attractors.ORTHOGONAL, range(140))),
        ),
        "landscapes": Picture(
            _AHAH, "How many nodes end in which truth table, for three encodings.", _landscapes
        ),
        "gates": Picture(
            _AHAH,
            "Every attractor is a gate; a two-hot node never becomes XOR or XNOR.",
            lambda: attractors.draw_gates(attractors.gate_histogram(attractors.TWO_HOT, 2)),
        ),
        "bias": Picture(
            _AHAH, "The split write with one and two biases: the null states vanish.", _split_write
        ),
        "rule": Picture(
            _AHAH,
            "Change of weight over reading: the AHaH rule as the devices have it.",
            lambda: attractors.draw_rule(
                {model: attractors.rule(model, nodes=100, forced=3000) for model in pair.MODELS}
            ),
        ),
        "loops": Picture(_IV, "Pinched loops of the mss and rs models over frequency.", _loops),
        "same-program": Picture(_ALL, "The four models under the same instructions.", _same_program),
        "bins-clumps": Animation(_BINS, "Channels crowd where the values do.", _animate_clumps),
        "bins-iris": Animation(_BINS, "The same on two features of iris.", _animate_iris),
        "iris": Picture(
            _CLASS,
            "Iris, 20 stratified splits: lanes and linear classifiers on the same tuples.",
            lambda: classification.draw_accuracies(classification.accuracies("iris"), "Iris, 20 splits"),
        ),
        "iris-confusion": Picture(
            _CLASS,
            "Confusion matrices of one split.",
            lambda: classification.draw_confusions(classification.classify("iris", 1)),
        ),
        "iris-encoding": Picture(
            _CLASS,
            "The adapted channels of two features; wrong predictions are ringed.",
            lambda: classification.draw_encoding(classification.classify("iris", 1, peers=False)),
        ),
        "rank-cut": Picture(_CLASS, "RankCut with N = 1 is the classifier.", _rank_cut),
        "digits": Picture(
            _CLASS,
            "Digits, 3 stratified splits.",
            lambda: classification.draw_accuracies(
                classification.accuracies("digits", range(3), classification.DIGITS), "Digits, 3 splits"
            ),
        ),
        "digits-confusion": Picture(
            _CLASS,
            "Digits: where lanes and logistic regression differ.",
            lambda: classification.draw_confusions(
                classification.classify("digits", 0, classification.DIGITS)
            ),
        ),
        "codebook": Picture(
            _BOOK,
            "A group finds 48 patterns; without exclusion it collapses, without recruitment it mixes patterns.",
            lambda: codebook.draw_wins({arm.name: codebook.learn_source(arm) for arm in codebook.ARMS}),
        ),
        "codebook-arms": Picture(
            _BOOK,
            "The same over three seeds, with a quarter of the training.",
            lambda: codebook.draw_arms(
                {
                    arm.name: [
                        codebook.learn_source(arm, epochs=2, train=2000, seed=seed) for seed in range(3)
                    ]
                    for arm in codebook.ARMS
                }
            ),
        ),
        "codebook-corruption": Picture(
            _BOOK, "Coverage and purity over the corruption, with a quarter of the training.", _corruption
        ),
        "codebook-separability": Picture(
            _BOOK,
            "A linear decoder on raw tuples and on the learned code.",
            lambda: codebook.draw_separability(codebook.separability()),
        ),
        "digit-features": Picture(
            _BOOK,
            "Whole digits, shown four times to 16 lanes.",
            lambda: codebook.draw_features(
                codebook.learn_images(codebook.digit_images(), 16, 24, epochs=4), "Whole digits"
            ),
        ),
        "patch-features": Picture(
            _BOOK,
            "Patches of two photographs, 64 lanes.",
            lambda: codebook.draw_features(
                codebook.learn_images(codebook.photo_patches(), 64, 96), "Patches of photographs"
            ),
        ),
    }
)
