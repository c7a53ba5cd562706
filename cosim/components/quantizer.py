"""The transfer curve of a quantizer: codes from voltages, with the errors of a real converter.

Code c of B bits stands for ``low + c (high - low)/(2^B - 1)``; ideal transitions lie half-way between
codes. Errors move the input (gain about ``low``, offset, noise, dither) and the transitions (INL, DNL).
The transition from code c - 1 to c lies at ``c - 1/2 + e_c`` LSB with

    e_c = b tri(c) + (-1)^c a/2  (without the second term at the first and the last transition),

where tri rises linearly from 0 at the ends to 1 at mid-scale. Code widths then alternate between
1 + s + a and 1 + s - a on the rising half (s = 2b/(2^B - 2) is the slope of the bow, -s on the falling half), so
the end-point INL peaks at b + a/2 and the DNL at a + s: a and b follow from the two peaks that were set. Two bits have
one transition between the ends: its shift is INL and DNL at once, and takes the larger one.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cosim.devices.base import FloatArray
from cosim.units import Fraction, Volt, check, quantity

_NONE = "cosim: none unless asked for"


class Codes(NamedTuple):
    """Result of a conversion: integer codes, the values that they stand for, which saturated."""

    codes: NDArray[np.int64]
    values: FloatArray
    saturated: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class ConverterErrors:
    """Errors of a converter; all of them zero unless asked for."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    offset: Volt = quantity(0.0, source=_NONE, doc="added to the input")
    gain: Fraction = quantity(0.0, source=_NONE, doc="gain error about the lower end of the range")
    inl: float = quantity(
        0.0, source=_NONE, doc="peak of the end-point INL [LSB], a bow; at least half of dnl results"
    )
    dnl: float = quantity(
        0.0, source=_NONE, doc="peak of the DNL [LSB], alternating; at least the slope of the bow results"
    )
    noise: Volt = quantity(0.0, source=_NONE, doc="rms of the noise at the input, drawn for each conversion")
    dither: Literal["none", "rectangular", "triangular"] = quantity(
        "none", source=_NONE, doc="random voltage added on purpose: 1 LSB wide, or the sum of two of them"
    )

    def __post_init__(self) -> None:
        check(abs(self.offset) < float("inf"), "errors", "offset", "finite", self.offset)
        check(-1 < self.gain < 10, "errors", "gain", "above -100 % and below 1000 %", self.gain)
        check(0 <= self.inl < 1e4, "errors", "inl", "zero or above", self.inl)
        check(
            0 <= self.dnl < 1, "errors", "dnl", "zero or above and below 1 LSB (no missing codes)", self.dnl
        )
        check(0 <= self.noise < float("inf"), "errors", "noise", "zero or above", self.noise)

    @property
    def random(self) -> bool:
        """Whether a conversion needs random draws."""
        return self.noise > 0 or self.dither != "none"

    def shifts(self, lsb: FloatArray, shape: tuple[int, ...], rng: np.random.Generator) -> FloatArray:
        """Return random input voltages [V] of noise and dither, one per conversion."""
        shift = self.noise * rng.standard_normal(shape) if self.noise else np.zeros(shape)
        for _ in range({"none": 0, "rectangular": 1, "triangular": 2}[self.dither]):
            shift = shift + lsb * (rng.random(shape) - 0.5)
        return np.asarray(shift, dtype=np.float64)


@lru_cache(maxsize=64)
def transitions(bits: int, inl: float, dnl: float) -> FloatArray:
    """Return the transitions to the codes 1 to 2^bits - 1, in LSB above ``low``, increasing."""
    count = (1 << bits) - 1
    number = np.arange(1, count + 1, dtype=np.float64)
    result = number - 0.5
    if count == 3:
        result[1] += max(inl, dnl)
    elif count > 3 and (inl or dnl):
        slope = max((2 * inl - dnl) / (count - 2), 0.0)
        ripple = max(dnl - slope, 0.0)
        bow = max(inl - ripple / 2, 0.0)
        x = (number - 1) / (count - 1)
        alternating = np.where(number % 2 == 0, ripple / 2, -ripple / 2)
        alternating[[0, -1]] = 0.0
        result += bow * (1 - np.abs(2 * x - 1)) + alternating
    result.flags.writeable = False
    return result


def quantize(
    voltage: FloatArray,
    low: FloatArray | float,
    high: FloatArray | float,
    bits: int,
    errors: ConverterErrors,
    rng: np.random.Generator | None = None,
) -> Codes:
    """Return the codes of ``voltage`` [V], any shape, for the input range ``low`` to ``high`` [V].

    The range may differ along the last axis. The result for one input depends on nothing but that input,
    the errors and its own draws from ``rng`` (asked for where ``errors.random``).
    """
    top = (1 << bits) - 1
    lsb = (np.asarray(high) - low) / top
    given = np.asarray(voltage, dtype=np.float64)
    if errors.offset or errors.gain:
        given = low + (given - low) * (1 + errors.gain) + errors.offset
    if errors.random and rng is not None:
        given = given + errors.shifts(lsb, given.shape, rng)
    position = (given - low) / lsb
    if errors.inl or errors.dnl:
        steps = transitions(bits, errors.inl, errors.dnl)
        codes = np.searchsorted(steps, position, side="right").astype(np.float64)
    else:
        codes = np.minimum(np.maximum(np.rint(position), 0), top)
    outside = (position < -0.5) | (position > top + 0.5)
    return Codes(codes.astype(np.int64), low + codes * lsb, outside)
