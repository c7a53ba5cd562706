"""Digital-to-analog converters of the word lines.

Code ``c`` of ``bits`` stands for ``low + c (high - low)/(2^bits - 1)``; a request is rounded to the
nearest code, and one outside of the range saturates, which the conversion reports. How codes become
amplitudes, bits or widths is the input coding's choice (`cosim.components.coding`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from cosim.devices.base import FloatArray
from cosim.records import Formula
from cosim.units import Fraction, Joule, Second, SquareMetre, Volt, Watt, check, quantity


@dataclass(frozen=True, slots=True)
class InputCalibration:
    """Which input drives the DAC to its top, where a read does not say it."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    method: Literal["max", "percentile"] = quantity(
        "max", source="CrossSim, calibrated DAC limits", doc="the largest input, or all but the tail fit in"
    )
    percentile: Fraction = quantity(
        0.999, source="CrossSim, calibration by percentile", doc="part of the inputs that fit in"
    )

    def __post_init__(self) -> None:
        check(
            0.5 < self.percentile <= 1,
            "calibration",
            "percentile",
            "above 50 % and at most 100 %",
            self.percentile,
        )

    def full_scale(self, inputs: FloatArray) -> float:
        """Return the input that stands for the top of the DAC, 1 where all inputs are 0."""
        magnitude = np.abs(inputs)
        part = self.percentile if self.method == "percentile" else 1.0
        return float(np.quantile(magnitude, part)) or float(magnitude.max()) or 1.0


@dataclass(frozen=True, slots=True)
class Dac:
    """DACs, one per word line."""

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
    settling: Second = quantity(
        0.0, source="cosim: within sense.settling", doc="of the output, added to the time before the strobe"
    )
    energy: Joule = quantity(
        37.5e-15,
        source="TIMELY (Li et al., ISCA 2020), 8-bit DTC, via hwcomponents-library",
        doc="per conversion of coding amplitude, pwm and split-pwm",
    )
    bit_energy: Joule = quantity(
        3.9e-15,
        source="MNSIM 2.0, 1-bit DAC: 3.9 uW at 1 GS/s",
        doc="per conversion of one bit of coding bit-serial",
    )
    slice: int = quantity(
        1, source="ISAAC, 1-bit DACs", doc="bits of the code that coding bit-serial drives at once"
    )
    slot: Second = quantity(
        2e-9,
        source="TU Delft CIM tile: one 2 ns clock",
        doc="width that stands for one code of coding pwm and split-pwm",
    )
    calibration: InputCalibration = field(default_factory=InputCalibration)
    area: SquareMetre = quantity(
        0.166e-12, source="MNSIM 2.0, 1-bit DAC", doc="of one bit; doubles with every further bit"
    )
    leakage: Watt = quantity(
        0.0, source="cosim: none unless asked for", doc="of each DAC, all through the run"
    )

    def __post_init__(self) -> None:
        check(1 <= self.bits <= 24, "dac", "bits", "between 1 and 24", self.bits)
        check(self.range[0] < self.range[1], "dac", "range", "an increasing pair of voltages", self.range)
        check(self.latency > 0, "dac", "latency", "above zero", self.latency)
        for name in ("settling", "energy", "bit_energy", "area", "leakage"):
            check(getattr(self, name) >= 0, "dac", name, "zero or above", getattr(self, name))
        check(1 <= self.slice <= self.bits, "dac", "slice", f"between 1 and {self.bits}", self.slice)
        check(self.slot >= 1e-15, "dac", "slot", "at least 1 fs", self.slot)

    @property
    def lsb(self) -> float:
        """Voltage step [V]."""
        return (self.range[1] - self.range[0]) / ((1 << self.bits) - 1)

    def levels(self, voltage: FloatArray) -> tuple[FloatArray, NDArray[np.bool_]]:
        """Return the voltages [V] that the DAC makes of the requested ones, and which saturated."""
        low, high = self.range
        codes = np.rint((np.asarray(voltage) - low) / self.lsb)
        top = float((1 << self.bits) - 1)
        made: FloatArray = low + np.clip(codes, 0.0, top) * ((high - low) / top)
        return made, (codes < 0) | (codes > top)

    def convert(self, voltage: FloatArray) -> tuple[FloatArray, int]:
        """Return the voltages [V] that the DAC makes of the requested ones, and how many saturated."""
        made, outside = self.levels(voltage)
        return made, int(np.count_nonzero(outside))

    def magnitudes(self, voltage: FloatArray) -> tuple[NDArray[np.int64], FloatArray, NDArray[np.int64]]:
        """Return codes of the magnitude, full scale at the top of the range, signs, and saturated ones per vector.

        ``voltage`` ``(vectors, rows)`` [V].
        """
        low, high = self.range
        top = (1 << self.bits) - 1
        wanted = np.asarray(voltage, dtype=np.float64)
        code = np.rint(np.abs(wanted) / high * top)
        most = np.where(wanted < 0, np.floor(max(-low, 0.0) / high * top), top)
        most = np.minimum(most, top)
        outside = np.count_nonzero(code > most, axis=-1)
        return np.minimum(code, most).astype(np.int64), np.sign(wanted), outside

    @property
    def converter_area(self) -> float:
        """Area of one DAC [m²]."""
        return self.area * 2.0 ** (self.bits - 1)

    def formula(self) -> Formula:
        """Return how a conversion's energy is computed."""
        return Formula(
            "conversions * energy",
            f"energy = {self.energy:.6g} J",
            Dac.__dataclass_fields__["energy"].metadata["source"],
        )
