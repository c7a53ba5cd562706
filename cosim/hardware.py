"""The frozen description of an array with its periphery.

Shared by scenarios, the array API and everything above: what a person says about the hardware, with a
source for each default, and how it becomes a `Network` and its line capacitances.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import ClassVar

from cosim.components.adc import Adc
from cosim.components.dac import Dac
from cosim.components.driver import Driver
from cosim.components.sense import Sense
from cosim.components.sequencer import Sequencer
from cosim.components.tile import LineCapacitance, Periphery
from cosim.crossbar.network import Cell, Network, Segments
from cosim.crossbar.network import single as single_network
from cosim.devices.base import DeviceModel
from cosim.devices.registry import find_preset
from cosim.units import FaradOrIdeal, Kelvin, OhmOrIdeal, check, quantity

_MNSIM = "MNSIM 2.0, wire per cell"


@dataclass(frozen=True, slots=True)
class WireSpec:
    """Wires per segment, that is per crossing."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    word_line: OhmOrIdeal = quantity(
        2.82, source=f"{_MNSIM}: 2.82 ohm", doc="resistance of a word-line segment"
    )
    bit_line: OhmOrIdeal = quantity(
        2.82, source=f"{_MNSIM}: 2.82 ohm", doc="resistance of a bit-line segment"
    )
    capacitance: FaradOrIdeal = quantity(
        1e-15, source=f"{_MNSIM}: 1 fF", doc="capacitance of a segment to ground"
    )


@dataclass(frozen=True, slots=True)
class ArraySpec:
    """Size and wires of an array."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    rows: int
    columns: int
    wires: WireSpec = field(default_factory=WireSpec)

    def __post_init__(self) -> None:
        check(1 <= self.rows <= 65536, "array", "rows", "between 1 and 65536", self.rows)
        check(1 <= self.columns <= 65536, "array", "columns", "between 1 and 65536", self.columns)


@dataclass(frozen=True, slots=True)
class Hardware:
    """One array with its periphery; all values SI."""

    array: ArraySpec
    device: DeviceModel = field(default_factory=lambda: find_preset("mss-firm"))
    cell: Cell = field(default_factory=lambda: Cell("1T1R"))
    dac: Dac = field(default_factory=Dac)
    adc: Adc = field(default_factory=Adc)
    driver: Driver = field(default_factory=Driver)
    sense: Sense = field(default_factory=Sense)
    sequencer: Sequencer = field(default_factory=Sequencer)
    temperature: Kelvin = 300.0

    def __post_init__(self) -> None:
        check(
            0 < self.temperature < 2000,
            "hardware",
            "temperature",
            "above 0 K and below 2000 K",
            self.temperature,
        )

    @property
    def periphery(self) -> Periphery:
        """Converters, drivers, sense circuits and control."""
        return Periphery(self.dac, self.adc, self.driver, self.sense, self.sequencer)

    def network(self, name: str) -> Network:
        """Return the network of one array of this hardware, called ``name``."""
        wires = self.array.wires
        return single_network(
            name,
            (self.array.rows, self.array.columns),
            self.device,
            self.cell,
            Segments(wires.word_line, wires.bit_line),
            r_source=self.driver.output_resistance,
            r_sink=self.sense.input_resistance,
        )

    def line_capacitance(self) -> LineCapacitance:
        """Return the capacitance of whole lines [F]: one segment more than crossings; gates like words."""
        c = self.array.wires.capacitance
        word, bit = c * (self.array.columns + 1), c * (self.array.rows + 1)
        return LineCapacitance(word, bit, word)

    def replace(self, **changes: object) -> Hardware:
        """Return the same hardware with some parts replaced."""
        return dataclasses.replace(self, **changes)  # type: ignore[arg-type]
