"""Line drivers: edges, output resistance, level shifters, compliance, and the energy of charging a line.

In a quasi-static phase the network stores nothing, so the driver accounts the charge of its line:
a line of capacitance C that swings by V and back takes C·V² from the supply.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from cosim.records import Formula
from cosim.units import Ampere, Joule, OhmOrIdeal, Second, SquareMetre, Volt, Watt, check, quantity

_NONE = "cosim: none unless asked for"


@dataclass(frozen=True, slots=True)
class LevelShifter:
    """Between the logic and drivers of lines that swing further than the logic's supply."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    supply: Volt = quantity(
        0.8, source="MNSIM 2.0, 28 nm logic, 0.8 V", doc="lines that swing further are shifted"
    )
    energy: Joule = quantity(0.0, source=_NONE, doc="per shifted line and pulse")
    delay: Second = quantity(0.0, source=_NONE, doc="before a pulse on a shifted line")
    area: SquareMetre = quantity(0.0, source=_NONE, doc="per line")

    def __post_init__(self) -> None:
        check(self.supply > 0, "level_shifter", "supply", "above zero", self.supply)
        for name in ("energy", "delay", "area"):
            check(getattr(self, name) >= 0, "level_shifter", name, "zero or above", getattr(self, name))

    def formula(self) -> Formula:
        """Return how the energy is computed."""
        return Formula(
            "shifted lines * energy",
            f"energy = {self.energy:.6g} J, lines that swing further than {self.supply:.6g} V",
            "hardware.driver.level_shifter.energy",
        )


@dataclass(frozen=True, slots=True)
class Driver:
    """Drivers of word lines, bit lines and gate lines."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    output_resistance: OhmOrIdeal = quantity(
        2.0, source="MemTorch examples, source resistance 2 ohm", doc="between the driver and its line"
    )
    rise: Second = quantity(
        1e-9, source="TU Delft CIM tile: half of its 2 ns clock", doc="0 to 100 % of an edge"
    )
    fall: Second = quantity(
        1e-9, source="TU Delft CIM tile: half of its 2 ns clock", doc="100 to 0 % of an edge"
    )
    level_shifter: LevelShifter = field(default_factory=LevelShifter)
    compliance: Ampere | None = quantity(
        None,
        source=_NONE,
        doc="current of a word line beyond which a phase is counted; it is not limited",
    )
    area: SquareMetre = quantity(
        0.0, source="cosim: with the DAC, whose area is that of a row driver", doc="per line"
    )
    leakage: Watt = quantity(0.0, source=_NONE, doc="of each line driver, all through the run")

    def __post_init__(self) -> None:
        check(
            self.output_resistance >= 0,
            "driver",
            "output_resistance",
            "zero or above",
            self.output_resistance,
        )
        check(self.rise >= 1e-15, "driver", "rise", "at least 1 fs", self.rise)
        check(self.fall >= 1e-15, "driver", "fall", "at least 1 fs", self.fall)
        check(
            self.compliance is None or self.compliance > 0,
            "driver",
            "compliance",
            "above zero",
            self.compliance,
        )
        check(self.area >= 0, "driver", "area", "zero or above", self.area)
        check(self.leakage >= 0, "driver", "leakage", "zero or above", self.leakage)

    def line_formula(self, capacitance: float) -> Formula:
        """Return how the charging energy of a line is computed."""
        return Formula(
            "sum over lines of C * V^2",
            f"C = {capacitance:.6g} F per line",
            "charge C*V drawn from a supply at V; NeuroSim V2.1",
        )
