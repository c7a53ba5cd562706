"""Successive-approximation ADC bank, shared by the columns of an array through a mux.

A conversion takes ``bits + 1`` clock periods: one to sample, one per bit. Ideal rounding: code ``c``
stands for ``low + c (high - low)/(2^bits - 1)``, the same input always gives the same code, and an
input outside of the range saturates, which is counted and recorded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cosim.devices.base import FloatArray
from cosim.records import Formula
from cosim.units import Hertz, Joule, Volt, check, femtoseconds, quantity


class Codes(NamedTuple):
    """Result of a conversion: integer codes, the values that they stand for, which saturated."""

    codes: NDArray[np.int64]
    values: FloatArray
    saturated: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Adc:
    """A bank of ``count`` SAR ADCs of one array (``shared: tile``) or of the system (``shared: system``)."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    kind: Literal["sar"] = "sar"
    bits: int = quantity(8, source="ISAAC (Shafiee et al., ISCA 2016), 8-bit SAR", doc="resolution")
    count: int = quantity(
        1, source="ISAAC, one ADC for the columns of a crossbar", doc="converters in the bank"
    )
    clock: Hertz = quantity(
        100e6, source="B. Murmann, ADC performance survey: SAR, 7 to 9 ENOB, moderate speed", doc="clock"
    )
    range: tuple[Volt, Volt] | Literal["calibrated"] = quantity(
        "calibrated",
        source="CrossSim, CALIBRATED range",
        doc="input range; calibrated: from 0 V to the largest value of the operation",
    )
    energy_model: Literal["murmann-floor", "fixed"] = quantity(
        "murmann-floor",
        source="B. Murmann, ADC performance survey 1997-2025",
        doc="how a conversion's energy is computed",
    )
    energy: Joule = quantity(
        2e-12,
        source="TU Delft CIM tile, configuration: ADC 2 pJ",
        doc="per conversion, used by energy_model fixed",
    )
    shared: Literal["tile", "system"] = "tile"

    def __post_init__(self) -> None:
        check(1 <= self.bits <= 24, "adc", "bits", "between 1 and 24", self.bits)
        check(self.count >= 1, "adc", "count", "at least 1", self.count)
        check(0 < self.clock <= 1e12, "adc", "clock", "above zero and at most 1 THz", self.clock)
        check(self.energy >= 0, "adc", "energy", "zero or above", self.energy)
        if not isinstance(self.range, str):
            check(self.range[0] < self.range[1], "adc", "range", "an increasing pair of voltages", self.range)

    @property
    def conversion_fs(self) -> int:
        """Duration of one conversion [fs]: bits + 1 clock periods."""
        return (self.bits + 1) * femtoseconds(1.0 / self.clock)

    @property
    def conversion_energy(self) -> float:
        """Energy of one conversion [J] by the chosen model."""
        if self.energy_model == "fixed":
            return self.energy
        return 0.267e-12 + 0.145e-18 * 4.0**self.bits

    def convert(self, voltage: FloatArray, low: float, high: float) -> Codes:
        """Return the codes of ``voltage`` [V] for the input range ``low`` to ``high`` [V]."""
        top = (1 << self.bits) - 1
        lsb = (high - low) / top
        raw = np.rint((voltage - low) / lsb)
        codes = np.clip(raw, 0, top)
        return Codes(codes.astype(np.int64), low + codes * lsb, raw != codes)

    def formula(self) -> Formula:
        """Return how a conversion's energy is computed."""
        if self.energy_model == "fixed":
            source = Adc.__dataclass_fields__["energy"].metadata["source"]
            return Formula("conversions * energy", f"energy = {self.energy:.6g} J", source)
        return Formula(
            "conversions * (0.267 pJ + 0.145 aJ * 4^ENOB)",
            f"ENOB = bits = {self.bits}; {self.conversion_energy:.6g} J per conversion",
            "B. Murmann, ADC performance survey 1997-2025, lower envelope (mean of the best three designs)",
        )
