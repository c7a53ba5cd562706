"""The frozen description of an array with its periphery.

Shared by scenarios, the array API and everything above: what a person says about the hardware, with a
source for each default, and how it becomes a `Network` and its line capacitances.
"""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar

from cosim.components.adc import Adc
from cosim.components.comparator import Comparator
from cosim.components.dac import Dac
from cosim.components.driver import Driver
from cosim.components.read_path import TransposedPeriphery
from cosim.components.sense import Sense
from cosim.components.sequencer import Sequencer
from cosim.components.tile import LineCapacitance, Periphery
from cosim.crossbar.network import Cell, Network, Segments
from cosim.crossbar.network import single as single_network
from cosim.crossbar.wires import REFERENCE_TEMPERATURE, GeometryWire, NodeWire, Wire
from cosim.devices.base import DeviceModel
from cosim.devices.forming import Formable
from cosim.devices.registry import find_preset
from cosim.devices.variation import Streams, Variation, varied_device
from cosim.errors import DeviceError, UnitError
from cosim.records import Formula
from cosim.units import FaradOrIdeal, Kelvin, Marker, Metre, OhmOrIdeal, SquareMetre, check, quantity

_MNSIM = "MNSIM 2.0, wire per cell: 2.82 ohm and 1 fF"
_FIXED_OHM, _FIXED_FARAD = 2.82, 1e-15


@dataclass(frozen=True, slots=True)
class FeatureSizes(Marker):
    """Marks a length in multiples of the feature size F, written ``4F``."""

    symbol: str = "F (feature sizes)"

    def text(self, value: float) -> str:
        return f"{value:g}F"

    def validate(self, value: object) -> float:
        """Return the number of feature sizes; raises `UnitError`."""
        match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*F\s*", value) if isinstance(value, str) else None
        if match is None:
            raise UnitError(f"must be a number of feature sizes such as '4F', not {value!r}")
        return float(match.group(1))

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        from pydantic_core import core_schema

        return core_schema.no_info_plain_validator_function(self.validate)

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> dict[str, Any]:
        return {"type": "string", "description": "a length in feature sizes", "examples": ["4F"]}


@dataclass(frozen=True, slots=True)
class WireGeometry:
    """Cross-section of a copper wire; see `cosim.crossbar.wires.GeometryWire` for the formulas."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    width: Metre
    thickness: Metre
    spacing: Metre
    height: Metre
    length: Metre


@dataclass(frozen=True, slots=True)
class WireSpec:
    """Wires per segment, that is per crossing.

    By value (``word_line``, ``bit_line``, ``capacitance``), by technology (``node`` and ``pitch``, from the
    named table), or by ``geometry``. A value beside a node or a geometry takes its place.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    word_line: OhmOrIdeal | None = quantity(
        None, source=_MNSIM, doc="resistance of a word-line segment; 2.82 ohm unless node or geometry say"
    )
    bit_line: OhmOrIdeal | None = quantity(
        None, source=_MNSIM, doc="resistance of a bit-line segment; 2.82 ohm unless node or geometry say"
    )
    capacitance: FaradOrIdeal | None = quantity(
        None, source=_MNSIM, doc="capacitance of a segment to ground; 1 fF unless node or geometry say"
    )
    node: Metre | None = quantity(None, source="the named table", doc="technology node, such as 65 nm")
    pitch: Annotated[float, FeatureSizes()] = quantity(
        4.0,
        source="DNN+NeuroSim V2.1, 1T1R cell of 4F width",
        doc="length of a segment in wire widths of the node",
    )
    table: str = quantity(
        "neurosim-2.1", source="DNN+NeuroSim V2.1, interconnect parameters", doc="table of nodes"
    )
    geometry: WireGeometry | None = quantity(
        None, source="given by the user", doc="cross-section of the wires"
    )

    def __post_init__(self) -> None:
        check(
            self.node is None or self.geometry is None,
            "wires",
            "node",
            "left out where geometry is given",
            self.node,
        )
        self.segment(REFERENCE_TEMPERATURE)

    def segment(self, temperature: float) -> tuple[float, float, float]:
        """Return word-line and bit-line resistance [ohm] and capacitance [F] of a segment at ``temperature`` [K]."""
        wire = self._wire()
        ohm = _FIXED_OHM if wire is None else wire.resistance(temperature)
        farad = _FIXED_FARAD if wire is None else wire.capacitance()
        return (
            ohm if self.word_line is None else self.word_line,
            ohm if self.bit_line is None else self.bit_line,
            farad if self.capacitance is None else self.capacitance,
        )

    def _wire(self) -> Wire | None:
        if self.node is not None:
            return NodeWire(round(self.node * 1e9), self.pitch, self.table)
        if self.geometry is not None:
            g = self.geometry
            return GeometryWire(g.width, g.thickness, g.spacing, g.height, g.length)
        return None


@dataclass(frozen=True, slots=True)
class ArraySpec:
    """Size and wires of an array."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    rows: int
    columns: int  # of cells
    wires: WireSpec = field(default_factory=WireSpec)
    cell_area: SquareMetre | None = quantity(
        None,
        source="NVSim, RRAM: 53 F2 with an access transistor (2T2R: twice), 4 F2 without; F: wires.node, else adc.node",
        doc="area of a cell",
    )

    def __post_init__(self) -> None:
        check(1 <= self.rows <= 65536, "array", "rows", "between 1 and 65536", self.rows)
        check(1 <= self.columns <= 65536, "array", "columns", "between 1 and 65536", self.columns)
        check(
            self.cell_area is None or self.cell_area > 0, "array", "cell_area", "above zero", self.cell_area
        )


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
    comparator: Comparator = field(default_factory=Comparator)
    temperature: Kelvin = 300.0
    variation: Variation = field(default_factory=Variation)
    transposed: TransposedPeriphery | None = None

    def __post_init__(self) -> None:
        check(
            0 < self.temperature < 2000,
            "hardware",
            "temperature",
            "above 0 K and below 2000 K",
            self.temperature,
        )
        for name in ("retention", "endurance"):
            if isinstance(self.device, Formable) and getattr(self.variation, name) is not None:
                raise DeviceError(
                    f"variation.{name}: counts from a conductance that formed cells have, and device.forming begins "
                    "with fresh ones; leave out one of the two"
                )
        if self.transposed is not None and self.cell.bit_lines == 2:
            raise DeviceError(
                "hardware.transposed: must be left out of arrays of 2T2R cells, whose word lines add what their bit lines subtract"
            )

    @property
    def shape(self) -> tuple[int, int]:
        """Word lines and bit lines of the array: a 2T2R cell has two bit lines, + and -, side by side."""
        return self.array.rows, self.array.columns * self.cell.bit_lines

    @property
    def periphery(self) -> Periphery:
        """Converters, drivers, sense circuits and control."""
        return Periphery(
            self.dac, self.adc, self.driver, self.sense, self.sequencer, self.comparator, self.transposed
        )

    def network(self, name: str) -> Network:
        """Return the network of one array of this hardware, called ``name``."""
        word, bit, _ = self.array.wires.segment(self.temperature)
        return single_network(
            name,
            self.shape,
            self.device,
            self.cell,
            Segments(word, bit),
            r_source=self.driver.output_resistance,
            r_sink=self.sense.line_resistance,
        )

    def varied_network(self, name: str, streams: Streams) -> Network:
        """Return the network of one array whose cells differ as `variation` says, drawn from ``streams``."""
        device = varied_device(self.device, self.variation, self.shape, streams)
        return self.replace(device=device).network(name)

    def line_capacitance(self) -> LineCapacitance:
        """Return the capacitance of whole lines [F]: one segment more than crossings; gates like words."""
        _, _, c = self.array.wires.segment(self.temperature)
        rows, columns = self.shape
        word, bit = c * (columns + 1), c * (rows + 1)
        return LineCapacitance(word, bit, word)

    def areas(self) -> dict[str, tuple[int, float, Formula]]:
        """Return units, area of one [m²] and its formula, by component; the ADC bank under ``adc``."""
        rows, columns = self.shape
        shifter = self.driver.level_shifter
        parts = {
            "array": (rows * self.array.columns, *self._cell_area()),
            "driver": (rows + columns, self.driver.area, Formula("lines * area", f"area = {self.driver.area:.6g} m2", "hardware.driver.area")),
            "level shifters": (rows + columns, shifter.area, Formula("lines * area", f"area = {shifter.area:.6g} m2", "hardware.driver.level_shifter.area")),
            "digital": (columns, self.sequencer.area, Formula("columns * area", f"area = {self.sequencer.area:.6g} m2", "hardware.sequencer.area")),
            **_converter_areas(self.dac, self.sense, self.adc, rows, columns),
        }  # fmt: skip
        if self.transposed is not None:
            other = self.transposed
            part = _converter_areas(other.dac, other.sense, other.adc, columns, rows)
            parts |= {f"transposed {name}": entry for name, entry in part.items()}
        return {name: part for name, part in parts.items() if part[1] > 0}

    def _cell_area(self) -> tuple[float, Formula]:
        if self.array.cell_area is not None:
            return self.array.cell_area, Formula("cells * cell_area", f"cell_area = {self.array.cell_area:.6g} m2", "hardware.array.cell_area")  # fmt: skip
        feature = self.array.wires.node or self.adc.node
        squares = (53 if self.cell.gated else 4) * self.cell.bit_lines
        text = f"F = {feature * 1e9:.6g} nm"
        return squares * feature**2, Formula(f"cells * {squares} F^2", text, "NVSim, RRAM cell")

    def leakages(self) -> dict[str, tuple[float, Formula]]:
        """Return the power [W] that flows all through a run and its formula, by component; none where it is 0."""
        rows, columns = self.shape
        parts = {
            "dac leakage": (rows, self.dac.leakage), "driver leakage": (rows + columns, self.driver.leakage),
            "sense leakage": (columns, self.sense.leakage), "adc leakage": (self.adc.count, self.adc.leakage),
            "digital leakage": (1, self.sequencer.leakage),
        }  # fmt: skip
        if self.transposed is not None:
            other = self.transposed
            parts |= {
                "transposed dac leakage": (columns, other.dac.leakage),
                "transposed sense leakage": (rows, other.sense.leakage),
                "transposed adc leakage": (other.adc.count, other.adc.leakage),
            }
        return {
            name: (units * power, Formula("units * leakage * time", f"{units} units, leakage = {power:.6g} W", f"hardware.{name.removesuffix(' leakage').replace(' ', '.').replace('digital', 'sequencer')}.leakage"))
            for name, (units, power) in parts.items()
            if power > 0
        }  # fmt: skip

    def replace(self, **changes: object) -> Hardware:
        """Return the same hardware with some parts replaced."""
        return dataclasses.replace(self, **changes)  # type: ignore[arg-type]


def _converter_areas(
    dac: Dac, sense: Sense, adc: Adc, inputs: int, outputs: int
) -> dict[str, tuple[int, float, Formula]]:
    """Return what `Hardware.areas` does, of the converters of one way of reading."""
    parts = {
        "dac": (inputs, dac.converter_area, Formula("inputs * area * 2^(bits - 1)", f"area = {dac.area:.6g} m2, bits = {dac.bits}", "MNSIM 2.0, 1-bit DAC")),
        "sense": (outputs, sense.area, Formula("outputs * area", f"area = {sense.area:.6g} m2", "hardware.sense.area")),
        "sample-and-hold": (outputs * sense.holds, sense.hold_area, Formula("outputs * holds * hold_area", f"hold_area = {sense.hold_area:.6g} m2", "hardware.sense.hold_area")),
        "mux": (outputs, adc.mux.area, Formula("outputs * area", f"area = {adc.mux.area:.6g} m2", "hardware.adc.mux.area")),
        "adc": (adc.count, adc.converter_area, adc.area_formula()),
    }  # fmt: skip
    if sense.kind == "comparator":
        del parts["adc"], parts["mux"]
    return parts
