"""Line drivers: edges, output resistance, and the energy of charging a line.

In a quasi-static phase the network stores nothing, so the driver accounts the charge of its line:
a line of capacitance C that swings by V and back takes C·V² from the supply.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from cosim.records import Formula
from cosim.units import OhmOrIdeal, Second, check, quantity


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

    def line_formula(self, capacitance: float) -> Formula:
        """Return how the charging energy of a line is computed."""
        return Formula(
            "sum over lines of C * V^2",
            f"C = {capacitance:.6g} F per line",
            "charge C*V drawn from a supply at V; NeuroSim V2.1",
        )
