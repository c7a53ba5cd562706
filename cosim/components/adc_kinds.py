"""Kinds of analog-to-digital converters: how many clock periods a conversion takes.

``latency`` is from the sample to the code, ``interval`` from one sample to the next of the same converter
(shorter than the latency in a pipeline alone). A package brings a kind of its own through the entry-point
group ``cosim.adc_kinds``: a class derived from `AdcKind` that is made without arguments.

Sources: R. J. van de Plassche, CMOS Integrated Analog-to-Digital and Digital-to-Analog Converters, 2nd ed.,
2003, chapters 2 and 3; J. Markus, J. Silva and G. C. Temes, IEEE TCAS-I 51 (2004) 678 (incremental
sigma-delta); MNSIM 2.0 (ramp: 2^bits periods).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points
from typing import ClassVar, final

from cosim.devices.registry import unknown
from cosim.errors import UnknownNameError


@dataclass(frozen=True, slots=True)
class ConverterFigures:
    """What kinds and energy models may know of a converter; SI units.

    ``rate`` [1/s] is the largest conversion rate, ``order`` that of a sigma-delta loop; ``energy`` [J] and
    ``area`` [m²] are the fixed values; ``fom_walden`` [J], ``fom_schreier`` [dB].
    """

    kind: str
    bits: int
    clock: float
    rate: float
    order: int
    node: float
    energy: float
    area: float
    fom_walden: float
    fom_schreier: float


class AdcKind(ABC):
    """How a converter spends its clock; stateless."""

    name: ClassVar[str]
    quantizes: ClassVar[bool] = True
    """Whether values are rounded to codes; without it a conversion is exact and costs nothing."""

    @abstractmethod
    def latency(self, bits: int, order: int) -> int:
        """Return the clock periods from the sample to the code."""

    def interval(self, bits: int, order: int) -> int:
        """Return the clock periods from one sample to the next of the same converter."""
        return self.latency(bits, order)


@final
class Sar(AdcKind):
    """Successive approximation: one period to sample, one per bit."""

    name = "sar"

    def latency(self, bits: int, order: int) -> int:
        return bits + 1


@final
class Flash(AdcKind):
    """2^bits - 1 comparators at once: one period."""

    name = "flash"

    def latency(self, bits: int, order: int) -> int:
        return 1


@final
class Ramp(AdcKind):
    """Single slope with a reference ramp that all converters of the bank share: 2^bits periods."""

    name = "ramp"

    def latency(self, bits: int, order: int) -> int:
        return 1 << bits


@final
class Cyclic(AdcKind):
    """Algorithmic: the residue goes round once per bit, after one period to sample."""

    name = "cyclic"

    def latency(self, bits: int, order: int) -> int:
        return bits + 1


@final
class Pipeline(AdcKind):
    """One stage per bit, all at work: a code per period, each bits + 1 periods after its sample."""

    name = "pipeline"

    def latency(self, bits: int, order: int) -> int:
        return bits + 1

    def interval(self, bits: int, order: int) -> int:
        return 1


@final
class SigmaDelta(AdcKind):
    """Incremental sigma-delta of order L: the least M with C(M + L - 1, L) >= 2^bits periods."""

    name = "sigma-delta"

    def latency(self, bits: int, order: int) -> int:
        periods, levels = 1, 1 << bits
        while math.comb(2 * periods + order - 1, order) < levels:
            periods *= 2
        low, high = periods, 2 * periods
        while low < high:
            middle = (low + high) // 2
            if math.comb(middle + order - 1, order) >= levels:
                high = middle
            else:
                low = middle + 1
        return low


@final
class TimeBased(AdcKind):
    """A current-controlled oscillator is counted: 2^bits periods of its full-scale frequency, ``clock``."""

    name = "time-based"

    def latency(self, bits: int, order: int) -> int:
        return 1 << bits


@final
class Ideal(AdcKind):
    """No rounding, no time, no energy, no area: what a result is without its converter."""

    name = "ideal"
    quantizes = False

    def latency(self, bits: int, order: int) -> int:
        return 0


_OURS: Mapping[str, type[AdcKind]] = {
    kind.name: kind for kind in (Sar, Flash, Ramp, Cyclic, Pipeline, SigmaDelta, TimeBased, Ideal)
}


@cache
def adc_kinds() -> Mapping[str, type[AdcKind]]:
    """Return every kind of ADC by its name, ours and those of other packages."""
    found = dict(_OURS)
    for point in entry_points(group="cosim.adc_kinds"):
        if point.name not in found:
            found[point.name] = point.load()
    return found


@cache
def find_adc_kind(name: str) -> AdcKind:
    """Return the kind called ``name``; `UnknownNameError` lists the known ones."""
    known = adc_kinds()
    if name not in known:
        raise UnknownNameError(unknown("kind of ADC", name, known))
    return known[name]()
