"""Digital-to-analog converter that sets the amplitude of a line.

Code ``c`` of ``bits`` stands for ``low + c (high - low)/(2^bits - 1)``; a request is rounded to the
nearest code, and one outside of the range saturates, which the conversion reports.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from cosim.devices.base import FloatArray
from cosim.records import Formula
from cosim.units import Joule, Second, Volt, check, quantity


@dataclass(frozen=True, slots=True)
class Dac:
    """Amplitude DAC, one per driven word line."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    bits: int = quantity(8, source="NeuRRAM and aihwkit read-out defaults, 8-bit inputs", doc="resolution")
    range: tuple[Volt, Volt] = quantity(
        (0.0, 0.2),
        source="PRIME, read voltage 0.2 V, as listed by CrossSim",
        doc="voltages of the lowest and highest code",
    )
    latency: Second = quantity(
        1e-9, source="MNSIM 2.0, 1-bit row driver at 1 GS/s", doc="from the code to the start of the edge"
    )
    energy: Joule = quantity(
        37.5e-15,
        source="TIMELY (Li et al., ISCA 2020), 8-bit DTC, via hwcomponents-library",
        doc="per conversion",
    )

    def __post_init__(self) -> None:
        check(1 <= self.bits <= 24, "dac", "bits", "between 1 and 24", self.bits)
        check(self.range[0] < self.range[1], "dac", "range", "an increasing pair of voltages", self.range)
        check(self.latency > 0, "dac", "latency", "above zero", self.latency)
        check(self.energy >= 0, "dac", "energy", "zero or above", self.energy)

    @property
    def lsb(self) -> float:
        """Voltage step [V]."""
        return (self.range[1] - self.range[0]) / ((1 << self.bits) - 1)

    def convert(self, voltage: FloatArray) -> tuple[FloatArray, int]:
        """Return the voltages [V] that the DAC makes of the requested ones, and how many saturated."""
        low, high = self.range
        codes = np.rint((np.asarray(voltage) - low) / self.lsb)
        top = float((1 << self.bits) - 1)
        saturated = int(np.count_nonzero((codes < 0) | (codes > top)))
        return low + np.clip(codes, 0.0, top) * ((high - low) / top), saturated

    def formula(self) -> Formula:
        """Return how a conversion's energy is computed."""
        return Formula(
            "conversions * energy",
            f"energy = {self.energy:.6g} J",
            Dac.__dataclass_fields__["energy"].metadata["source"],
        )
