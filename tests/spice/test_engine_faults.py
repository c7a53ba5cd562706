"""Both engines: right results, each fault one clear sentence, and the next phase works."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from cosim.errors import (
    SpiceConvergenceError,
    SpiceCrashError,
    SpiceError,
    SpiceParseError,
    SpiceTimeoutError,
    UnknownNameError,
)
from cosim.spice.cards import Deck, OperatingPoint, level_slot, source_slot
from cosim.spice.engines import SpiceEngine, engine
from cosim.spice.pyspice_engine import PySpiceEngine
from cosim.spice.sandbox import Limits
from cosim.spice.subprocess_engine import SubprocessEngine

pytestmark = pytest.mark.ngspice

DeckMaker = Callable[..., Deck]

FAULTS = {
    "missing subcircuit": ("x1 a 0 nosuch\nv1 a 0 1", SpiceParseError, "unknown subckt"),
    "undefined parameter": ("r1 a 0 {nix}\nv1 a 0 1", SpiceParseError, "Undefined parameter"),
    "unknown function": ("b1 a 0 v=foo(1)\nr1 a 0 1", SpiceParseError, "no such function 'foo'"),
    "missing model": ("d1 a 0 nosuch\nv1 a 0 1", SpiceParseError, "valid modelname"),
    "duplicate name": ("r1 a 0 1\nr1 a 0 2\nv1 a 0 1", SpiceParseError, "did not understand"),
    "missing include": (".include nosuch.inc\nv1 a 0 1\nr1 a 0 1", SpiceParseError, "include file"),
    "missing library": (".lib 'nosuch.lib' tt\nv1 a 0 1\nr1 a 0 1", SpiceParseError, "library file"),
    "quit": ("v1 a 0 1\nr1 a 0 1\n.control\nquit\n.endc", SpiceParseError, "ngspice"),
    "voltage loop": ("v1 a 0 1\nv2 a 0 2\nr1 a 0 1", SpiceConvergenceError, "singular matrix"),
    "no convergence": ("b1 a 0 v=v(a)>0 ? -1 : 1\nr1 a 0 1k", SpiceConvergenceError, "Timestep too small"),
    "division by zero": ("b1 a 0 v=1/(time-time)\nr1 a 0 1", SpiceConvergenceError, "believed"),
    "overflow": ("b1 a 0 v=exp(1000)\nr1 a 0 1", SpiceConvergenceError, "believed"),
}


def test_ramp_is_exact_at_its_corner(spice: SpiceEngine, ramp: Deck) -> None:
    result = spice.run(ramp, 10)
    assert result.names == ("v(a)", "i(vx)")
    assert 1e-7 in result.time
    assert result.time[-1] == 1e-6
    assert np.allclose(result.column("v(a)"), np.minimum(result.time / 1e-7, 1), atol=1e-12)
    assert np.allclose(result.column("i(vx)"), -result.column("v(a)") / 1e3, atol=1e-15)


def test_operating_point(spice: SpiceEngine) -> None:
    divider = Deck(
        "op", ("r1 a b 1k", "r2 b 0 3k"), (level_slot("x", "a", 2.0),), ("v(b)",), OperatingPoint()
    )
    assert spice.run(divider, 10).values.tolist() == [[1.5]]
    altered = replace(divider, slots=(level_slot("x", "a", 4.0),))
    assert spice.run(altered, 10).values.tolist() == [[3.0]]


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_is_one_sentence_and_the_next_deck_works(
    spice: SpiceEngine, deck: DeckMaker, ramp: Deck, fault: str
) -> None:
    cards, error, words = FAULTS[fault]
    before = spice.run(ramp, 10)
    with pytest.raises(error, match=words) as caught:
        spice.run(deck(cards), 10)
    assert "\n" not in str(caught.value)
    after = spice.run(ramp, 10)
    assert np.array_equal(before.values, after.values)


def test_vector_that_is_not_there_and_recovered_floating_node(spice: SpiceEngine, deck: DeckMaker) -> None:
    with pytest.raises(SpiceParseError):
        spice.run(deck("v1 a 0 1\nr1 a 0 1", saves=("v(zz)",)), 10)
    floating = deck(
        "v1 a 0 1\nr1 a 0 1\nc1 b c 1p\nc2 b d 1p", saves=("v(a)", "v(b)"), analysis=OperatingPoint()
    )
    assert spice.run(floating, 10).values[0] == pytest.approx([1.0, 0.0], rel=1e-11)


def test_endless_deck_is_stopped_in_time(spice: SpiceEngine, endless: Deck, ramp: Deck) -> None:
    begin = time.monotonic()
    with pytest.raises(SpiceTimeoutError, match=r"within 0\.5 s"):
        spice.run(endless, 0.5)
    assert time.monotonic() - begin < 3
    assert spice.worker_pids() == []
    assert spice.run(ramp, 10).time[-1] == 1e-6


def kill_while(each: SpiceEngine, deck: Deck, after_s: float) -> object:
    """Run ``deck``, kill the process that works on it, and return the result or the error."""
    outcome: list[object] = []

    def work() -> None:
        try:
            outcome.append(each.run(deck, 60))
        except SpiceError as error:
            outcome.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    time.sleep(after_s)
    for pid in each.worker_pids():
        os.kill(pid, signal.SIGKILL)
    thread.join()
    return outcome[0]


@pytest.mark.parametrize("kind", [SubprocessEngine, PySpiceEngine])
def test_killed_worker_is_replaced_with_the_same_result(kind: type, slow: Deck, ramp: Deck) -> None:
    each = kind(retries=1)
    try:
        each.run(ramp, 10)
        undisturbed = each.run(slow, 60)
        again = kill_while(each, slow, 0.15)
        assert np.array_equal(again.values, undisturbed.values)  # type: ignore[attr-defined]
    finally:
        each.close()


@pytest.mark.parametrize("kind", [SubprocessEngine, PySpiceEngine])
def test_killed_worker_without_retries_is_a_crash(kind: type, slow: Deck, ramp: Deck) -> None:
    each = kind(retries=0)
    try:
        each.run(ramp, 10)
        error = kill_while(each, slow, 0.15)
        assert isinstance(error, SpiceCrashError)
        assert "SIGKILL" in str(error)
        assert each.run(ramp, 10).time[-1] == 1e-6
    finally:
        each.close()


def test_library_fault_is_a_crash(deck: DeckMaker, ramp: Deck) -> None:
    each = PySpiceEngine(retries=0)
    try:
        with pytest.raises(SpiceCrashError, match="SIGSEGV"):
            each.run(deck("v1 a 0 dc 0 external\nr1 a 0 1k"), 10)
        assert each.run(ramp, 10).time[-1] == 1e-6
    finally:
        each.close()


def test_disk_is_bounded(endless: Deck) -> None:
    with pytest.raises(SpiceCrashError, match="SIGXFSZ: it wrote more than its file limit"):
        SubprocessEngine(retries=0, limits=Limits(file=1 << 20)).run(endless, 30)


def test_memory_is_bounded(endless: Deck, ramp: Deck) -> None:
    chain = tuple(f"rx{k} n{k} n{k + 1} 1" for k in range(400))
    wide = replace(
        endless,
        body=(*endless.body, "rx a n0 1", "ry n400 0 1", *chain),
        saves=tuple(f"v(n{k})" for k in range(400)),
    )
    hungry = PySpiceEngine(retries=0, limits=Limits(memory=300 << 20, file=0))
    try:
        hungry.run(ramp, 10)
        with pytest.raises(SpiceCrashError, match="memory"):
            hungry.run(wide, 60)
        assert hungry.run(ramp, 10).time[-1] == 1e-6
    finally:
        hungry.close()


def test_background_work_runs_beside_each_other(ramp: Deck, slow: Deck) -> None:
    each = PySpiceEngine(workers=2)
    try:
        futures = [each.submit(slow, 60), each.submit(ramp, 60), each.submit(slow, 60)]
        results = [future.result() for future in futures]
        assert np.array_equal(results[0].values, results[2].values)
        assert len(each.worker_pids()) == 2
    finally:
        each.close()
    assert each.worker_pids() == []


def test_engine_by_name() -> None:
    each = engine("auto")
    assert each.name in ("pyspice", "subprocess")
    each.close()
    with pytest.raises(UnknownNameError, match="not 'spectre'"):
        engine("spectre")


def test_altered_and_freshly_loaded_circuits_agree_bit_for_bit(ramp: Deck) -> None:
    each = PySpiceEngine()
    try:
        other = replace(ramp, slots=(source_slot("x", "a", (0.0, 0.1, 3e-7, 0.7, 1e-6, 0.2)),))
        fresh = each.run(other, 10)
        for between in (ramp, replace(ramp, body=("r1 a 0 5k",))):
            each.run(between, 10)
            again = each.run(other, 10)
            assert np.array_equal(fresh.values, again.values)
            assert np.array_equal(fresh.time, again.time)
    finally:
        each.close()
