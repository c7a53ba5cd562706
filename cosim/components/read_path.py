"""The way of a read through a tile: which lines are driven and which are sensed, by what.

Forward, DACs drive the word lines and sense circuits take the bit-line currents: products with the matrix.
Transposed, DACs drive the bit lines and sense circuits take the word-line currents: products with its
transpose, from the same cells (G. W. Burr et al., Adv. Phys. X 2 (2017) 89, backward pass on the array).
The converters of that side are components of their own, with their own time, energy and area.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from cosim.components.adc import Adc
from cosim.components.bank import ConverterBank
from cosim.components.dac import Dac
from cosim.components.sense import Sense
from cosim.crossbar.network import CrossbarArray, Network
from cosim.crossbar.settling import Settling, settling
from cosim.devices.base import FloatArray
from cosim.records import Formula
from cosim.units import check


@dataclass(frozen=True, slots=True)
class TransposedPeriphery:
    """Converters of a transposed read: DACs at the bit lines, sense circuits and ADCs at the word lines."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    dac: Dac = field(default_factory=Dac)
    adc: Adc = field(default_factory=Adc)
    sense: Sense = field(default_factory=Sense)

    def __post_init__(self) -> None:
        check(
            self.adc.shared == "tile",
            "transposed.adc",
            "shared",
            "tile: the bank of a transposed read",
            "system",
        )


@dataclass(frozen=True, eq=False)
class ReadPath:
    """One way of a read.

    ``network`` has the line-end resistances of this way: the driver's at the driven ends, the sense circuit's at
    the sensed ones; its device is that of the beginning (cells that age change the tile's). ``input_capacitance`` and ``output_capacitance``: of one driven and one sensed line [F].
    """

    dac: Dac
    adc: Adc
    sense: Sense
    adc_bank: ConverterBank
    network: Network
    input_capacitance: float
    output_capacitance: float
    transposed: bool = False
    mismatch: FloatArray | None = None
    """Further offset of the sense circuit of each line [V], None for none."""

    def offsets(self, first: int, count: int) -> FloatArray | float:
        """Return the further offsets of neighbouring sense circuits [V]."""
        return 0.0 if self.mismatch is None else self.mismatch[first : first + count]

    @property
    def array(self) -> CrossbarArray:
        """The array."""
        return self.network.arrays[0]

    @property
    def inputs(self) -> int:
        """Number of driven lines."""
        return self.array.columns if self.transposed else self.array.rows

    @property
    def outputs(self) -> int:
        """Number of sensed lines."""
        return self.array.rows if self.transposed else self.array.columns

    @property
    def driven(self) -> NDArray[np.intp]:
        """Positions of the driven nets in `Network.nets`."""
        ends = self.network.ends[0]
        return ends.bottom if self.transposed else ends.left

    @property
    def sensed(self) -> NDArray[np.intp]:
        """Positions of the sensed nets in `Network.nets`."""
        ends = self.network.ends[0]
        return ends.left if self.transposed else ends.bottom

    def component(self, name: str) -> str:
        """Return the name of a component of this way in records."""
        return f"transposed {name}" if self.transposed else name

    def matrix(self, conductance: FloatArray) -> FloatArray:
        """Return a map ``(rows, columns)`` as ``(inputs, outputs)``."""
        return conductance.T if self.transposed else conductance

    @cached_property
    def settling(self) -> Settling:
        """How fast the driven lines settle, zero without capacitance.

        Of the lines alone (three solves): cells between them make the slowest time constant only shorter, so the
        upper bound holds for every state.
        """
        array = self.array
        word, bit = self.input_capacitance, self.output_capacitance
        if self.transposed:
            word, bit = bit, word
        if not (word or bit):
            return Settling(0.0, 0.0, 0.0)
        nodes = (word / (array.columns + 1), bit / (array.rows + 1))
        return settling(self.network, [np.zeros(array.shape)], capacitance=nodes, solves=3)

    def formulas(self) -> dict[str, Formula]:
        """Return how the energies of its converters are computed, by component."""
        found = {"dac": self.dac.formula(), "adc": self.adc.formula(), "mux": self.adc.mux.formula()}
        found.update(self.sense.formulas())
        return {self.component(name): formula for name, formula in found.items()}
