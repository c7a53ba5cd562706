"""Decks as values: the text, the key, and the commands that alter a loaded circuit."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from cosim.errors import SpiceParseError, UnitError
from cosim.spice.cards import (
    Deck,
    Slot,
    SpiceVectors,
    Transient,
    capacitor_slot,
    level_slot,
    resistor_slot,
    source_slot,
)


def test_numbers_are_in_exponent_form_with_17_digits() -> None:
    text = resistor_slot("1", "a", "b", np.float64(0.1)).text()
    assert text == "r1 a b 1.0000000000000001e-01"


def test_slot_with_one_command_for_each_value() -> None:
    slot = Slot("x1 a b s={} t={}", ("alter c.x1.cs ic = {}", "alter c.x1.ct ic = {}"), (1.0, 2.0))
    assert slot.text().endswith("s=1.0000000000000000e+00 t=2.0000000000000000e+00")
    assert [command.split()[1] for command in slot.alters()] == ["c.x1.cs", "c.x1.ct"]


def test_key_ignores_values_and_times_only(ramp: Deck) -> None:
    other = replace(ramp, slots=(source_slot("x", "a", (0.0, 0.0, 2e-7, 0.5, 1e-6, 0.5)),))
    assert other.key == ramp.key
    assert replace(ramp, analysis=Transient(2e-6, 1e-9)).key == ramp.key
    assert replace(ramp, title="another").key == ramp.key
    for changed in ({"body": ("r1 a 0 2k",)}, {"saves": ("v(a)",)}, {"options": ("reltol=1e-5",)}):
        assert replace(ramp, **changed).key != ramp.key
    assert replace(ramp, slots=(level_slot("x", "a", 0.0),)).key != ramp.key


def test_source_too_long_to_alter_belongs_to_the_key(ramp: Deck) -> None:
    def long(level: float) -> Deck:
        points = tuple(x for k in range(60) for x in (k * 1e-8, level))
        return replace(ramp, slots=(source_slot("x", "a", points),))

    assert long(1.0).alters() == []
    assert long(1.0).key != long(2.0).key


def test_text_ends_and_title_cannot_break_out(ramp: Deck) -> None:
    text = replace(ramp, title="x\n.control\nshell touch y\n.endc\n*# shell").text()
    lines = text.splitlines()
    assert lines[0].startswith("* cosim: x?.control?shell touch y")
    assert not any(re.match(r"\s*(\.control|\*#|\*ng_script)", line) for line in lines)
    assert lines[-2].startswith(".tran ")
    assert lines[-1] == ".end"


def test_values_that_are_not_finite_are_refused() -> None:
    for value in (float("nan"), float("inf")):
        with pytest.raises(UnitError):
            capacitor_slot("1", "a", 1e-15, value).text()


def test_vectors_by_name() -> None:
    vectors = SpiceVectors(np.arange(2.0), ("v(a)", "v(b)"), np.array([[1.0, 2.0], [3.0, 4.0]]))
    assert vectors.column("v(b)").tolist() == [2.0, 4.0]
    assert vectors.columns(["v(b)", "v(a)"]).tolist() == [[2.0, 1.0], [4.0, 3.0]]
    with pytest.raises(SpiceParseError, match=r"no vector 'v\(c\)'"):
        vectors.column("v(c)")
