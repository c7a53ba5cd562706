"""A digital accelerator that does the same products: DRAM fetch, SRAM, multiply-accumulate.

For each read the weights come from DRAM once; for each vector inputs and weights are read from SRAM and outputs
written to it. Energies: M. Horowitz, ISSCC 2014 (45 nm, 0.9 V). It is an estimate to stand beside the array's figures: no
control, no network, no leakage.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from cosim.records import Formula, Work
from cosim.units import Hertz, Joule, check, quantity

_HOROWITZ = "M. Horowitz, ISSCC 2014, 45 nm"


class Cost(NamedTuple):
    """Energy by component [J] and time [s] of one read."""

    energy_j: Mapping[str, float]
    time_s: float


@dataclass(frozen=True, slots=True)
class DigitalBaseline:
    """Cost per event of a digital accelerator."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    mac: Joule = quantity(
        0.23e-12, source=f"{_HOROWITZ}: 8-bit multiply 0.2 pJ, add 0.03 pJ", doc="per multiply-accumulate"
    )
    sram: Joule = quantity(
        1.25e-12, source=f"{_HOROWITZ}: 10 pJ for 64 bits of an 8 KB cache", doc="per byte of SRAM"
    )
    dram: Joule = quantity(
        162.5e-12, source=f"{_HOROWITZ}: 1.3 nJ for 64 bits, the lower end", doc="per byte of DRAM"
    )
    weight_bytes: int = quantity(1, source="cosim: 8-bit weights and inputs", doc="of a weight or an input")
    output_bytes: int = quantity(4, source="cosim: 32-bit sums", doc="of an output")
    macs_per_clock: int = quantity(
        168,
        source="Y.-H. Chen et al., IEEE JSSC 52 (2017) 127 (Eyeriss): 168",
        doc="working side by side",
    )
    clock: Hertz = quantity(1e9, source="NeuroSim and PUMA, 1 GHz", doc="clock of the multipliers")
    dram_transfers: Hertz = quantity(
        3.2e9, source="JEDEC DDR4-3200, 64 bit", doc="transfers of 8 bytes a second"
    )

    def __post_init__(self) -> None:
        for name in ("mac", "sram", "dram"):
            check(getattr(self, name) >= 0, "baseline", name, "zero or above", getattr(self, name))
        for name in ("weight_bytes", "output_bytes", "macs_per_clock", "clock", "dram_transfers"):
            check(getattr(self, name) > 0, "baseline", name, "above zero", getattr(self, name))

    def cost(self, work: Work) -> Cost:
        """Return what the products of a read cost."""
        weights = work.inputs * work.outputs * self.weight_bytes
        moved = work.vectors * (work.inputs * self.weight_bytes + work.outputs * self.output_bytes + weights)
        energy = {"dram": weights * self.dram, "mac": work.macs * self.mac, "sram": moved * self.sram}
        time = max(work.macs / (self.macs_per_clock * self.clock), weights / (8 * self.dram_transfers))
        return Cost(energy, time)

    def formulas(self) -> dict[str, Formula]:
        """Return how the energies are computed."""
        fields = DigitalBaseline.__dataclass_fields__
        texts = {
            "dram": "inputs * outputs * weight_bytes * dram, once per read",
            "mac": "vectors * inputs * outputs * mac",
            "sram": "vectors * (inputs * weight_bytes + outputs * output_bytes + inputs * outputs * weight_bytes) * sram",
        }  # fmt: skip
        return {
            name: Formula(text, f"{name} = {getattr(self, name):.6g} J", fields[name].metadata["source"])
            for name, text in texts.items()
        }
