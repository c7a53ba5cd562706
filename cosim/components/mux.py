"""Analog multiplexer between the columns and the converters of a bank."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from cosim.records import Formula
from cosim.units import Joule, Second, SquareMetre, check, quantity


@dataclass(frozen=True, slots=True)
class Mux:
    """One input per column; every conversion begins with a switch of the mux."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    delay: Second = quantity(
        0.0,
        source="cosim: within the sample period of the converter",
        doc="from the switch until the input has settled",
    )
    energy: Joule = quantity(0.0, source="cosim: none unless asked for", doc="per switch")
    area: SquareMetre = quantity(0.0, source="cosim: none unless asked for", doc="per column")

    def __post_init__(self) -> None:
        for name in ("delay", "energy", "area"):
            check(getattr(self, name) >= 0, "mux", name, "zero or above", getattr(self, name))

    def formula(self) -> Formula:
        """Return how the energy of switching is computed."""
        return Formula("conversions * energy", f"energy = {self.energy:.6g} J", "hardware.adc.mux.energy")
