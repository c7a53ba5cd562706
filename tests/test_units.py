"""Quantities: decimal text is parsed and never multiplied; time is whole femtoseconds."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosim.errors import DeviceError, UnitError
from cosim.units import (
    TimeUnit,
    Unit,
    UnitOrIdeal,
    check,
    femtoseconds,
    is_positive,
    parse,
    parse_time,
    quantity_text,
    seconds,
    spice,
    split_femtoseconds,
)


@pytest.mark.parametrize(
    ("text", "unit", "value"),
    [
        ("0.2 V", "V", 0.2),
        ("200mV", "V", 0.2),
        ("-1.5e-3 V", "V", -1.5e-3),
        ("10 kohm", "ohm", 1e4),
        ("10 kΩ", "ohm", 1e4),
        ("2 Mohm", "ohm", 2e6),
        ("2 megohm", "ohm", 2e6),
        ("2 meg", "ohm", 2e6),
        ("100 uS", "S", 1e-4),
        ("100 µS", "S", 1e-4),
        ("100 μS", "S", 1e-4),
        ("0.1 fF", "F", 1e-16),
        ("100 MHz", "Hz", 1e8),
        ("2 %", "%", 0.02),
        ("0.5%", "%", 0.005),
        ("1200 um2", "m2", 1.2e-9),
        ("65 nm", "m", 65e-9),
        ("3 ms", "s", 3e-3),
        (".5 V", "V", 0.5),
        ("5. V", "V", 5.0),
        ("1E2 V", "V", 100.0),
        ("1e6 1/Vs", "1/Vs", 1e6),
        ("2 pJ", "J", 2e-12),
    ],
)  # fmt: skip
def test_parse(text: str, unit: str, value: float) -> None:
    assert parse(text, unit) == value


@given(st.integers(1, 10**6))
def test_parsed_text_is_the_nearest_double(count: int) -> None:
    """Multiplying by 1e-6 misses it for 300 of 999 integers."""
    assert parse(f"{count} uS", "S") == float(Fraction(count, 10**6))


@pytest.mark.parametrize(
    ("text", "unit", "sentence"),
    [
        ("0.2", "V", "must have the unit V, but '0.2' has none; write for example '0.2 V'"),
        ("5 A", "V", "must have the unit V, but '5 A' has 'A'; write for example '0.2 V'"),
        ("5 xV", "V", "must have the unit V, but '5 xV' has 'xV'; write for example '0.2 V'"),
        (
            "5 M",
            "ohm",
            "'5 M' is ambiguous: a bare M is 1e6 here and 1e-3 in SPICE; write '5 Mohm' or '5 meg'",
        ),
        ("volt", "V", "must be a number with the unit V, not 'volt'; write for example '0.2 V'"),
        ("nan V", "V", "must be a number with the unit V, not 'nan V'; write for example '0.2 V'"),
        ("inf V", "V", "must be a number with the unit V, not 'inf V'; write for example '0.2 V'"),
        ("1e400 V", "V", "must be below 1.8e308 V, not '1e400 V'"),
        ("", "V", "must be a number with the unit V, not ''; write for example '0.2 V'"),
        ("2 V", "%", "must be a percentage, not '2 V'; write for example '2 %'"),
        ("1 2 V", "V", "must have the unit V, but '1 2 V' has '2 V'; write for example '0.2 V'"),
    ],
)
def test_refused_text(text: str, unit: str, sentence: str) -> None:
    with pytest.raises(UnitError) as refused:
        parse(text, unit)
    assert str(refused.value) == sentence


@pytest.mark.parametrize(
    ("text", "ticks"),
    [("1 fs", 1), ("100 ns", 10**8), ("0.1 ns", 10**5), ("1e-15 s", 1), ("10 s", 10**16), ("1e9 s", 10**24)],
)
def test_parse_time(text: str, ticks: int) -> None:
    assert parse_time(text) == ticks


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("0.1 fs", "must be a whole number of femtoseconds, not '0.1 fs'; write for example '100 ns'"),
        ("1e16 s", "must be at most 1e15 s, not '1e16 s'"),
        ("5", "must have the unit s, but '5' has none; write for example '100 ns'"),
    ],
)
def test_refused_time(text: str, sentence: str) -> None:
    with pytest.raises(UnitError) as refused:
        parse_time(text)
    assert str(refused.value) == sentence


@given(st.integers(0, 10**15))
def test_seconds_and_back(ticks: int) -> None:
    assert femtoseconds(seconds(ticks)) == ticks


def test_times_add_up_exactly() -> None:
    assert 3 * parse_time("0.1 ns") == parse_time("0.3 ns")
    assert sum(femtoseconds(0.1) for _ in range(3)) == femtoseconds(0.3)


@given(st.integers(-(10**30), 10**30))
def test_split(ticks: int) -> None:
    whole, part = split_femtoseconds(ticks)
    assert whole * 10**15 + part == ticks
    assert 0 <= part < 10**15


@given(st.floats(-1e299, 1e299))
def test_spice_numbers_come_back_exactly(value: float) -> None:
    text = spice(value)
    assert float(text) == value
    assert not set(text) - set("0123456789+-.e")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_spice_refuses_what_is_not_finite(value: float) -> None:
    with pytest.raises(UnitError, match="must be finite"):
        spice(value)


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (1.25e-8, "J", "12.5 nJ"),
        (0.0, "J", "0 J"),
        (0.9999999, "V", "1 V"),
        (999.96e-9, "s", "1 us"),
        (-2e6, "ohm", "-2 Mohm"),
        (3e-21, "J", "0.003 aJ"),
        (float("nan"), "J", "nan J"),
        (1.0, "Hz", "1 Hz"),
    ],
)
def test_quantity_text(value: float, unit: str, text: str) -> None:
    assert quantity_text(value, unit) == text


@pytest.mark.parametrize("value", [0.2, 3, True, None, [1]])
def test_a_unit_wants_text(value: object) -> None:
    with pytest.raises(UnitError, match=r"unit V|quantity such as '0.2 V'"):
        Unit("V").validate(value)
    with pytest.raises(UnitError, match="must be a time such as '100 ns'"):
        TimeUnit().validate(value)


def test_ideal_is_written_out() -> None:
    assert UnitOrIdeal("ohm").validate("ideal") == 0.0
    assert UnitOrIdeal("ohm").validate("2 ohm") == 2.0
    for text in ("0 ohm", "-1 ohm", "0 kohm"):
        with pytest.raises(UnitError, match=r"must be above zero, not .*; write 'ideal' for none at all"):
            UnitOrIdeal("ohm").validate(text)


def test_check_and_is_positive() -> None:
    with pytest.raises(DeviceError, match=r"^mss\.tau: must be above zero, not -1$"):
        check(False, "mss", "tau", "above zero", -1)
    check(True, "mss", "tau", "above zero", 1)
    assert is_positive([1.0, 2.0])
    assert not is_positive([1.0, 0.0])
    assert not is_positive(float("nan"))
    assert not is_positive(float("inf"))
