"""Sense circuit of a bit line: transimpedance amplifier at a virtual ground, then sample-and-hold.

The output is ``gain * current``. The amplifier's output stage takes the line current from its supply,
so a virtual ground costs V_supply·|I|·t beside the bias power: both are accounted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from cosim.records import Formula
from cosim.units import Joule, Ohm, OhmOrIdeal, Second, Volt, Watt, check, quantity

_TUD = "TU Delft CIM tile, configuration"


@dataclass(frozen=True, slots=True)
class Sense:
    """Transimpedance amplifier and sample-and-hold, one per bit line."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    gain: Ohm = quantity(
        10e3,
        source="cosim: 100 uA gives 1 V, the ADC's usual full scale",
        doc="output voltage per line current",
    )
    input_resistance: OhmOrIdeal = quantity(
        2.0,
        source="MemTorch examples, line-end resistance 2 ohm",
        doc="between the line and the virtual ground",
    )
    settling: Second = quantity(
        10e-9, source=f"{_TUD}: read 10 ns", doc="from the end of the edge to the strobe"
    )
    sample_time: Second = quantity(
        0.9e-9, source=f"{_TUD}: sample-and-hold 0.9 ns", doc="of the sample-and-hold"
    )
    sample_energy: Joule = quantity(1e-15, source=f"{_TUD}: sample-and-hold 1 fJ", doc="per sample")
    bias_power: Watt = quantity(
        1.63e-6,
        source="MNSIM 2.0, sense amplifier at 28 nm, 0.8 V (scaled from 65 nm)",
        doc="while the amplifier is on",
    )
    supply: Volt = quantity(
        0.8, source="MNSIM 2.0, sense amplifier at 28 nm, 0.8 V", doc="supply of the output stage"
    )

    def __post_init__(self) -> None:
        for name in ("input_resistance", "sample_energy", "bias_power", "supply"):
            check(getattr(self, name) >= 0, "sense", name, "zero or above", getattr(self, name))
        check(self.gain > 0, "sense", "gain", "above zero", self.gain)
        check(self.settling > 0, "sense", "settling", "above zero", self.settling)
        check(self.sample_time > 0, "sense", "sample_time", "above zero", self.sample_time)

    def formulas(self) -> dict[str, Formula]:
        """Return how the three contributions are computed."""
        fields = Sense.__dataclass_fields__
        return {
            "bias": Formula(
                "columns * bias_power * time on",
                f"bias_power = {self.bias_power:.6g} W",
                fields["bias_power"].metadata["source"],
            ),
            "virtual ground": Formula(
                "supply * sum over columns of |charge|",
                f"supply = {self.supply:.6g} V",
                "output stage of a transimpedance amplifier carries the line current; supply: "
                + fields["supply"].metadata["source"],
            ),
            "sample": Formula(
                "samples * sample_energy",
                f"sample_energy = {self.sample_energy:.6g} J",
                fields["sample_energy"].metadata["source"],
            ),
        }
