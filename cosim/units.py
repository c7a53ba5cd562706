"""Quantities: text with a unit to SI numbers and back, integer femtoseconds, SPICE numbers.

Inside cosim every value is a plain SI float, and event time an integer number of femtoseconds. This
module is the only place where text, floats and femtoseconds are converted. Decimal text is parsed
and never multiplied: ``100 us`` becomes ``float("100e-6")``, since ``100 * 1e-6`` is not ``1e-4``.

Names: `parse`, `parse_time`, `seconds`, `femtoseconds`, `quantity_text`, `spice`, `Unit`, and the
annotated types `Volt`, `Ampere`, `Ohm`, `Siemens`, `Farad`, `Second`, `Hertz`, `Joule`, `Watt`,
`Kelvin`, `Metre`, `SquareMetre`, `Fraction`, `Femtoseconds`.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache
from typing import Annotated, Any, Final

import numpy as np

from cosim.errors import DeviceError, UnitError

FEMTOSECONDS_PER_SECOND: Final = 10**15

_PREFIX: Final = {
    "": 0, "a": -18, "f": -15, "p": -12, "n": -9, "u": -6, "µ": -6, "μ": -6, "m": -3,
    "k": 3, "K": 3, "meg": 6, "Meg": 6, "MEG": 6, "M": 6, "G": 9, "g": 9, "T": 12,
}  # fmt: skip
_SPELLING: Final = {
    "V": ("V", "volt"), "A": ("A", "ampere"), "ohm": ("ohm", "Ohm", "Ω", "Ω"), "S": ("S", "siemens"),
    "F": ("F", "farad"), "s": ("s", "second"), "Hz": ("Hz", "hertz"), "J": ("J", "joule"),
    "W": ("W", "watt"), "K": ("K", "kelvin"), "m": ("m", "metre"), "m2": ("m2", "m²"),
}  # fmt: skip
_EXAMPLE: Final = {
    "V": "0.2 V", "A": "10 uA", "ohm": "2.5 ohm", "S": "10 uS", "F": "0.1 fF", "s": "100 ns",
    "Hz": "100 MHz", "J": "2 pJ", "W": "1 mW", "K": "300 K", "m": "65 nm", "m2": "1200 um2", "%": "2 %",
}  # fmt: skip
_NUMBER: Final = re.compile(r"\s*([+-]?)(\d+(?:\.\d*)?|\.\d+)(?:[eE]([+-]?\d+))?\s*(\S.*?)?\s*$")
_LONGEST_FS: Final = 10**30
_AREA_PREFIX: Final = {"": 0, "m": -6, "u": -12, "µ": -12, "μ": -12, "n": -18}


def _split(text: str, unit: str) -> tuple[str, int]:
    """Return the mantissa text and the decimal exponent of ``text``, a quantity in ``unit``."""
    example = _EXAMPLE.get(unit, f"1 {unit}")
    match = _NUMBER.match(text)
    if match is None:
        raise UnitError(f"must be a number with the unit {unit}, not '{text}'; write for example '{example}'")
    sign, digits, exponent, suffix = match.groups()
    power = int(exponent) if exponent else 0
    if suffix is None:
        raise UnitError(f"must have the unit {unit}, but '{text}' has none; write for example '{example}'")
    if unit == "%":
        if suffix != "%":
            raise UnitError(f"must be a percentage, not '{text}'; write for example '{example}'")
        return sign + digits, power - 2
    if suffix == "M":
        raise UnitError(
            f"'{text}' is ambiguous: a bare M is 1e6 here and 1e-3 in SPICE; write '{digits} M{unit}' or '{digits} meg'"
        )
    prefixes = _AREA_PREFIX if unit == "m2" else _PREFIX
    for spelling in _SPELLING.get(unit, (unit,)):
        if suffix.endswith(spelling) and suffix[: -len(spelling)] in prefixes:
            return sign + digits, power + prefixes[suffix[: -len(spelling)]]
    if suffix.lower() == "meg":
        return sign + digits, power + 6
    raise UnitError(f"must have the unit {unit}, but '{text}' has '{suffix}'; write for example '{example}'")


def parse(text: str, unit: str) -> float:
    """Return the SI value of a quantity text such as ``10 kohm``.

    ``unit`` is the SI unit that the place wants (``V``, ``ohm``, ``s`` ...) or ``%`` for a fraction
    written in per cent. Raises `UnitError` where the number or the unit is missing or wrong.
    """
    mantissa, exponent = _split(text, unit)
    value = float(f"{mantissa}e{exponent}")
    if abs(value) == float("inf"):
        raise UnitError(f"must be below 1.8e308 {unit}, not '{text}'")
    return value


def parse_time(text: str) -> int:
    """Return a time text as integer femtoseconds; `UnitError` if it is no whole number of them."""
    mantissa, exponent = _split(text, "s")
    ticks = Decimal(mantissa).scaleb(exponent + 15)
    if ticks != ticks.to_integral_value():
        raise UnitError(f"must be a whole number of femtoseconds, not '{text}'; write for example '100 ns'")
    if abs(ticks) > _LONGEST_FS:
        raise UnitError(f"must be at most 1e15 s, not '{text}'")
    return int(ticks)


def seconds(time_fs: int) -> float:
    """Return integer femtoseconds as seconds, correctly rounded."""
    return time_fs / FEMTOSECONDS_PER_SECOND


@lru_cache(maxsize=4096)
def femtoseconds(time_s: float) -> int:
    """Return seconds rounded to the nearest femtosecond."""
    return round(Decimal(time_s).scaleb(15))


def split_femtoseconds(time_fs: int) -> tuple[int, int]:
    """Return whole seconds and the femtoseconds within the second, each of which fits an int64."""
    return divmod(time_fs, FEMTOSECONDS_PER_SECOND)


def quantity_text(value: float, unit: str, digits: int = 4) -> str:
    """Return ``value`` for a person, with an SI prefix: ``1.25e-8, "J"`` becomes ``12.5 nJ``."""
    if value == 0 or value != value or value in (float("inf"), float("-inf")):
        return f"{value:g} {unit}"
    exponent = Decimal(f"{value:.{digits - 1}e}").adjusted()
    step = max(-18, min(12, 3 * (exponent // 3)))
    prefix = {
        -18: "a",
        -15: "f",
        -12: "p",
        -9: "n",
        -6: "u",
        -3: "m",
        0: "",
        3: "k",
        6: "M",
        9: "G",
        12: "T",
    }[step]
    return f"{value / 10.0**step:.{digits}g} {prefix}{unit}"


def spice(value: float) -> str:
    """Return ``value`` for a netlist: exponent form, 17 significant digits, no suffix.

    Raises `UnitError` for a value that is not finite.
    """
    number = float(value)
    if not -1e300 < number < 1e300:
        raise UnitError(f"a netlist number must be finite, not {number!r}")
    return f"{number:.16e}"


class Marker(ABC):
    """What an annotation says about a number in a scenario file: how it is read and how it is written."""

    symbol: str

    @abstractmethod
    def validate(self, value: object) -> float:
        """Return the value inside of a scenario entry; raises `UnitError`."""

    @abstractmethod
    def text(self, value: float) -> str:
        """Return the entry that `validate` reads back to exactly ``value``."""


@dataclass(frozen=True, slots=True)
class Unit(Marker):
    """Marks an annotated float with its SI unit; scenario files must then give text with that unit."""

    symbol: str

    def text(self, value: float) -> str:
        if self.symbol == "%":
            return f"{Decimal(repr(float(value))) * 100:f} %"
        return f"{float(value)!r} {self.symbol}"

    def validate(self, value: object) -> float:
        """Return the SI value of a scenario entry; raises `UnitError` (also for a bare number)."""
        if isinstance(value, str):
            return parse(value, self.symbol)
        example = _EXAMPLE.get(self.symbol, f"1 {self.symbol}")
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            raise UnitError(
                f"must have the unit {self.symbol}, but {value} has none; write for example '{example}'"
            )
        raise UnitError(f"must be a quantity such as '{example}', not {value!r}")

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        from pydantic_core import core_schema

        return core_schema.no_info_plain_validator_function(self.validate)

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> dict[str, Any]:
        return {
            "type": "string",
            "description": f"a quantity in {self.symbol}",
            "examples": [_EXAMPLE.get(self.symbol, "1")],
        }


@dataclass(frozen=True, slots=True)
class TimeUnit(Marker):
    """Marks an annotated int as event time in femtoseconds; scenario files give text such as ``100 ns``."""

    symbol: str = "s"

    def text(self, value: float) -> str:
        return f"{int(value)} fs"

    def validate(self, value: object) -> int:
        """Return integer femtoseconds of a scenario entry; raises `UnitError`."""
        if isinstance(value, str):
            return parse_time(value)
        raise UnitError(f"must be a time such as '100 ns', not {value!r}")

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        from pydantic_core import core_schema

        return core_schema.no_info_plain_validator_function(self.validate)

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> dict[str, Any]:
        return {"type": "string", "description": "a time", "examples": ["100 ns"]}


Volt = Annotated[float, Unit("V")]
Ampere = Annotated[float, Unit("A")]
Ohm = Annotated[float, Unit("ohm")]
Siemens = Annotated[float, Unit("S")]
Farad = Annotated[float, Unit("F")]
Second = Annotated[float, Unit("s")]
Hertz = Annotated[float, Unit("Hz")]
Joule = Annotated[float, Unit("J")]
Watt = Annotated[float, Unit("W")]
Kelvin = Annotated[float, Unit("K")]
Metre = Annotated[float, Unit("m")]
SquareMetre = Annotated[float, Unit("m2")]
Fraction = Annotated[float, Unit("%")]
Femtoseconds = Annotated[int, TimeUnit()]


def quantity(default: Any, *, source: str, doc: str) -> Any:
    """Return a dataclass field with its default [SI], the source of that default and its meaning."""
    return field(default=default, metadata={"source": source, "doc": doc})


def check(condition: bool, owner: str, parameter: str, rule: str, value: object) -> None:
    """Raise `DeviceError` unless ``condition`` holds; the sentence names parameter, rule and value."""
    if not condition:
        raise DeviceError(f"{owner}.{parameter}: must be {rule}, not {value}")


def is_positive(value: Any) -> bool:
    """Return whether a number, or all of an array, is finite and above zero."""
    array = np.asarray(value, dtype=np.float64)
    return bool(np.all(np.isfinite(array)) and np.all(array > 0))


@dataclass(frozen=True, slots=True)
class UnitOrIdeal(Marker):
    """Like `Unit`, but ``ideal`` may be written, which is 0 inside; a written zero is refused."""

    symbol: str

    def text(self, value: float) -> str:
        return "ideal" if value == 0 else f"{float(value)!r} {self.symbol}"

    def validate(self, value: object) -> float:
        """Return the SI value, 0.0 for ``ideal``; raises `UnitError`."""
        if value == "ideal":
            return 0.0
        parsed = Unit(self.symbol).validate(value)
        if parsed <= 0:
            raise UnitError(f"must be above zero, not '{value}'; write 'ideal' for none at all")
        return parsed

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        from pydantic_core import core_schema

        return core_schema.no_info_plain_validator_function(self.validate)

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> dict[str, Any]:
        return {"type": "string", "description": f"a quantity in {self.symbol}, or 'ideal'"}


OhmOrIdeal = Annotated[float, UnitOrIdeal("ohm")]
FaradOrIdeal = Annotated[float, UnitOrIdeal("F")]
