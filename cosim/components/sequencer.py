"""Digital control of a tile: line selection, recovery between pulses, decision, combination."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from cosim.records import Formula
from cosim.units import Joule, Second, SquareMetre, Watt, check, quantity

_TUD = "TU Delft CIM tile, configuration"


@dataclass(frozen=True, slots=True)
class Sequencer:
    """Times and energies of the control logic."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    select_time: Second = quantity(
        2e-9, source=f"{_TUD}: one 2 ns clock", doc="to select lines and let gates settle"
    )
    recover_time: Second = quantity(2e-9, source=f"{_TUD}: one 2 ns clock", doc="lines at 0 V after a pulse")
    decide_time: Second = quantity(
        2e-9, source=f"{_TUD}: one 2 ns clock", doc="to compare a verify read with its window"
    )
    combine_time: Second = quantity(
        2e-9,
        source=f"{_TUD}: one 2 ns clock",
        doc="to combine the columns of one product, and of each level of adders that joins slices of weights",
    )
    combine_energy: Joule = quantity(
        0.25e-12,
        source=f"{_TUD}: adder 0.25 pJ",
        doc="per output and array phase, and per addition that joins slices of weights",
    )
    area: SquareMetre = quantity(
        60e-12,
        source="ISAAC, 16-bit shift-and-add, via PUMA's constants",
        doc="of the combination, per column",
    )
    leakage: Watt = quantity(
        0.0, source="cosim: none unless asked for", doc="of the control, all through the run"
    )

    def __post_init__(self) -> None:
        for name in ("select_time", "recover_time", "decide_time", "combine_time"):
            check(getattr(self, name) > 0, "sequencer", name, "above zero", getattr(self, name))
        for name in ("combine_energy", "area", "leakage"):
            check(getattr(self, name) >= 0, "sequencer", name, "zero or above", getattr(self, name))

    def combine_formula(self) -> Formula:
        """Return how the energy of combining columns is computed."""
        source = Sequencer.__dataclass_fields__["combine_energy"].metadata["source"]
        return Formula("outputs * combine_energy", f"combine_energy = {self.combine_energy:.6g} J", source)

    def shift_and_add_formula(self) -> Formula:
        """Return how the energy of joining slices of weights is computed."""
        source = Sequencer.__dataclass_fields__["combine_energy"].metadata["source"]
        inputs = f"combine_energy = {self.combine_energy:.6g} J"
        return Formula("(slices - 1) * outputs * combine_energy", inputs, source)
