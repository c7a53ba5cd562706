"""Success is judged by content: logs and samples as ngspice gives them."""

from __future__ import annotations

import numpy as np
import pytest

from cosim.errors import SpiceConvergenceError, SpiceParseError
from cosim.spice.cards import Deck, SpiceVectors
from cosim.spice.verdict import complaint_in, judge


def vectors(time: list[float], values: list[list[float]]) -> SpiceVectors:
    return SpiceVectors(np.array(time), ("v(a)", "i(vx)"), np.array(values))


def good() -> SpiceVectors:
    return vectors([5e-7, 1e-6], [[1.0, 0.0], [1.0, 0.0]])


@pytest.mark.parametrize(
    "log",
    [
        "",
        "Note: No compatibility mode selected!\nDoing analysis at TEMP = 27.0",
        "Warning: singular matrix:  check node b\nNote: Starting dynamic gmin stepping\nTrying gmin = 1e-3\nNote: Dynamic gmin stepping completed",
        "No. of Data Rows : 67",
    ],
)
def test_harmless_logs(ramp: Deck, log: str) -> None:
    assert judge(ramp, good(), log) is not None


@pytest.mark.parametrize(
    ("log", "error", "words"),
    [
        ("Error: unknown subckt: x1 a 0 nosuch", SpiceParseError, "unknown subckt"),
        ("Could not find include file x", SpiceParseError, "include file"),
        ("    circuit not parsed.", SpiceParseError, "not parsed"),
        ("Error: no circuits loaded", SpiceParseError, "no circuits"),
        ("ngspice cannot recover and awaits to be detached", SpiceParseError, "cannot recover"),
        (
            "doAnalyses: TRAN:  Timestep too small; time = 1e-9\n\nrun simulation(s) aborted",
            SpiceConvergenceError,
            "Timestep too small; time = 1e-9",
        ),
        ("run simulation(s) aborted", SpiceConvergenceError, "aborted"),
        ("Error: something new", SpiceParseError, "something new"),
    ],
)
def test_complaints(ramp: Deck, log: str, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words.replace("(", r"\(").replace(")", r"\)")):
        judge(ramp, good(), log)
    assert isinstance(complaint_in(log), error)


@pytest.mark.parametrize(
    ("result", "error", "words"),
    [
        (None, SpiceParseError, "saved no sample"),
        (
            vectors([5e-7, 9e-7], [[1.0, 0.0], [1.0, 0.0]]),
            SpiceConvergenceError,
            "must reach 1e-06 s, but ended at 9e-07 s",
        ),
        (vectors([5e-7, 5e-7, 1e-6], [[1.0, 0.0]] * 3), SpiceConvergenceError, "do not rise"),
        (vectors([5e-7, 1e-6], [[1.0, 0.0], [float("nan"), 0.0]]), SpiceConvergenceError, "not finite"),
        (vectors([5e-7, 1e-6], [[1e34, 0.0], [0.0, 0.0]]), SpiceConvergenceError, "1e\\+34"),
    ],
)
def test_results_that_are_not_believed(
    ramp: Deck, result: SpiceVectors | None, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        judge(ramp, result, "")
