"""Whether a simulation succeeded, judged by what came out and never by a return code alone.

ngspice returns success on most failures. A simulation counts only if no line of its log says that
it was not understood or given up, every wanted vector is there, all samples are finite and below
`LARGEST`, times rise and the last one is the end of the transient.
"""

from __future__ import annotations

import re
from typing import Final

import numpy as np

from cosim.errors import SpiceConvergenceError, SpiceCrashError, SpiceError, SpiceParseError
from cosim.spice.cards import Deck, SpiceVectors, Transient

LARGEST: Final = 1e6
"""Largest magnitude [V or A] of a sample that is believed; ngspice clips overflows at 1e34 and above."""

_END_TOLERANCE: Final = 1e-9
_NOT_UNDERSTOOD: Final = re.compile(
    r"circuit not parsed|no circuit|cannot recover|unknown subckt|unknown parameter|undefined parameter"
    r"|could not find|unable to find definition|no such function|no such vector|unimplemented|not found"
    r"|syntax error|no such parameter|unknown model|missing|bad expression|duplicate|no job defined|no data saved",
    re.IGNORECASE,
)
_GIVEN_UP: Final = re.compile(
    r"simulation\(s\) aborted|simulation interrupted|timestep too small|time step too small"
    r"|no convergence|iteration limit reached|singular matrix|simulation.*failed|all attempts failed",
    re.IGNORECASE,
)
_ABORTED: Final = re.compile(r"aborted|simulation interrupted", re.IGNORECASE)
_NO_MEMORY: Final = re.compile(r"can't allocate|out of memory|memory exhausted", re.IGNORECASE)
_ERROR: Final = re.compile(r"^\s*(fatal )?error\b", re.IGNORECASE)
_ANY: Final = re.compile(
    "|".join(each.pattern for each in (_NOT_UNDERSTOOD, _GIVEN_UP, _ABORTED, _NO_MEMORY)) + r"|error",
    re.IGNORECASE,
)
"""What a log must hold before it is read line by line."""
_HARMLESS: Final = re.compile(r"^\s*(note|warning|trying|comment)\b", re.IGNORECASE)


def judge(deck: Deck, vectors: SpiceVectors | None, log: str) -> SpiceVectors:
    """Return ``vectors`` if the simulation of ``deck`` succeeded.

    Raises `SpiceParseError` where the deck was not understood and `SpiceConvergenceError` where the
    analysis was given up or its result cannot be believed.
    """
    complaint = complaint_in(log)
    if complaint is not None:
        raise complaint
    if vectors is None or len(vectors.values) == 0:
        raise SpiceParseError(f"ngspice ran nothing and saved no sample{_last_words(log)}")
    if isinstance(deck.analysis, Transient):
        _check_end(deck.analysis, vectors, log)
    if not np.isfinite(vectors.values).all() or not np.isfinite(vectors.time).all():
        raise SpiceConvergenceError("ngspice returned a sample that is not finite")
    largest = float(np.abs(vectors.values).max(initial=0.0))
    if largest > LARGEST:
        raise SpiceConvergenceError(
            f"ngspice returned a sample of {largest:.3g}, but none above {LARGEST:g} is believed"
        )
    return vectors


def _check_end(analysis: Transient, vectors: SpiceVectors, log: str) -> None:
    """Raise `SpiceConvergenceError` unless times rise and the transient reached its end."""
    reached = float(vectors.time[-1])
    if abs(reached - analysis.stop) > _END_TOLERANCE * analysis.stop:
        raise SpiceConvergenceError(
            f"the transient must reach {analysis.stop:.6g} s, but ended at {reached:.6g} s{_last_words(log)}"
        )
    if (np.diff(vectors.time) <= 0).any():
        raise SpiceConvergenceError("the times of the transient do not rise; its samples are not of one run")


def complaint_in(log: str) -> SpiceError | None:
    """Return the error that the log of a simulation reports, or None where it reports none."""
    if not _ANY.search(log):
        return None
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    aborted = [line for line in lines if _ABORTED.search(line)]
    errors = [line for line in lines if _ERROR.match(line)]
    if any(_NO_MEMORY.search(line) for line in lines):
        return SpiceCrashError("ngspice ran out of the memory that it may use")
    unread = [line for line in lines if _NOT_UNDERSTOOD.search(line) and not _HARMLESS.match(line)]
    stopped = [line for line in lines if _GIVEN_UP.search(line)]
    if unread and not any("imestep" in line for line in lines):
        return SpiceParseError(f"ngspice did not understand the deck: {_sentence(unread[0])}")
    if aborted:
        reason = next((line for line in stopped if not _ABORTED.search(line)), aborted[0])
        return SpiceConvergenceError(f"ngspice gave the analysis up: {_sentence(reason)}")
    if errors:
        return SpiceParseError(f"ngspice reported an error: {_sentence(errors[0])}")
    return None


def _sentence(line: str) -> str:
    text = re.sub(r"^\s*((fatal )?error|warning|doAnalyses)\s*[:,-]*\s*", "", line, flags=re.IGNORECASE)
    return " ".join(text.split())[:200]


def _last_words(log: str) -> str:
    """Return the last line of the log for the end of a sentence, or nothing."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    return f" (ngspice said last: {_sentence(lines[-1])})" if lines else ""
