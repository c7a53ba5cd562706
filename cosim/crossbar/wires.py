"""Wires as a part of the hardware: resistance and capacitance of one segment between two crossings.

Three ways to say what a wire is, all with ``resistance(temperature)`` and ``capacitance()``:

- `FixedWire`: the values themselves;
- `NodeWire`: technology node and pitch, from a table whose version is named;
- `GeometryWire`: cross-section and surroundings.

**Size effect.** Thin copper conducts worse than bulk: surface scattering after Fuchs (1938) and
Sondheimer (Adv. Phys. 1, 1952) in the thin-wire form, and grain boundaries after Mayadas and Shatzkes
(Phys. Rev. B 1, 1970)::

    rho = rho_0 (3/8 (1 - p) lambda (1/w + 1/t) + 1/(3 (1/3 - a/2 + a^2 - a^3 ln(1 + 1/a)))),
    a = lambda/d R/(1 - R)

**Capacitance** per length after Sakurai and Tamaru (IEEE Trans. Electron Devices 30, 1983): a line of
width w and thickness t at height h over a plane, with neighbours at spacing s on both sides::

    c = eps (1.15 w/h + 2.80 (t/h)^0.222 + 2 (0.03 w/h + 0.83 t/h - 0.07 (t/h)^0.222) (s/h)^-1.34)

The fit is within 6 % for 0.3 < w/h < 30, 0.3 < t/h < 30 and 0.5 < s/h < 10; outside it is refused.

**Energy.** What a phase loses in the wires is ``sum i^2 r`` of the segments; what a line takes to move by
V is ``C V^2`` from the driver, half of it stored: `charging_energy`.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log
from typing import TYPE_CHECKING, Protocol

from cosim.crossbar.solver import line_system
from cosim.errors import CrossbarError
from cosim.units import Farad, Kelvin, Metre, Ohm

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from cosim.crossbar.lines import LineSystem

REFERENCE_TEMPERATURE: Kelvin = 300.0
"""At which resistances are given [K]."""

COPPER_COEFFICIENT = 0.00451
"""Rise of resistance per kelvin; source: DNN+NeuroSim V2.1, wire resistance of copper."""

_EPSILON_0 = 8.8541878128e-12


class Wire(Protocol):
    """One segment of a line, from crossing to crossing."""

    def resistance(self, temperature: Kelvin = REFERENCE_TEMPERATURE) -> Ohm:
        """At a temperature [ohm]."""
        ...

    def capacitance(self) -> Farad:
        """To everything around it [F]."""
        ...


@dataclass(frozen=True, slots=True)
class FixedWire:
    """A segment by its values."""

    ohms: Ohm
    """At 300 K [ohm]; 0 is an exact short, ``inf`` an open."""
    farads: Farad = 0.0
    temperature_coefficient: float = 0.0
    """Relative rise of resistance per kelvin [1/K]."""

    def __post_init__(self) -> None:
        _require(self.ohms >= 0, "wire.ohms", "0 or positive", self.ohms, "ohm")
        _require(0 <= self.farads < float("inf"), "wire.farads", "0 or positive and finite", self.farads, "F")

    def resistance(self, temperature: Kelvin = REFERENCE_TEMPERATURE) -> Ohm:
        """At a temperature [ohm]."""
        return self.ohms * _warm(self.temperature_coefficient, temperature)

    def capacitance(self) -> Farad:
        """[F]."""
        return self.farads


@dataclass(frozen=True, slots=True)
class _TableRow:
    """Narrowest wire of a node: width [m], thickness over width, resistivity with size effect [ohm m]."""

    width: Metre
    aspect: float
    resistivity: float


NODE_TABLES: dict[str, dict[int, _TableRow]] = {
    "neurosim-2.1": {
        130: _TableRow(200e-9, 2.10, 2.42e-8),
        90: _TableRow(200e-9, 2.10, 2.42e-8),
        65: _TableRow(100e-9, 2.30, 2.73e-8),
        45: _TableRow(50e-9, 2.34, 3.91e-8),
        32: _TableRow(40e-9, 1.90, 4.03e-8),
        22: _TableRow(32e-9, 1.90, 4.51e-8),
        14: _TableRow(22e-9, 2.00, 5.41e-8),
        10: _TableRow(22e-9, 2.00, 5.41e-8),
        7: _TableRow(14e-9, 2.10, 7.43e-8),
    }
}
"""Wires by node [nm]; source: DNN+NeuroSim V2.1, interconnect parameters (the table of V1.4 differs)."""


@dataclass(frozen=True, slots=True)
class NodeWire:
    """A segment by technology node and cell pitch."""

    node: int
    """[nm]; one of the table's."""
    pitch: float = 4.0
    """Length of a segment in multiples of the table's wire width, which is the F of its cells (4 is usual
    for 1T1R, 2 for a bare crossing)."""
    table: str = "neurosim-2.1"
    """Which of `NODE_TABLES`."""
    capacitance_per_metre: float = 0.2e-9
    """[F/m]; source: DNN+NeuroSim V2.1, 0.2 fF/um."""
    temperature_coefficient: float = COPPER_COEFFICIENT

    def __post_init__(self) -> None:
        if self.table not in NODE_TABLES:
            raise CrossbarError(f"wire.table: must be one of {', '.join(NODE_TABLES)}, not {self.table!r}")
        known = NODE_TABLES[self.table]
        if self.node not in known:
            raise CrossbarError(
                f"wire.node: must be one of {', '.join(map(str, known))} nm (table {self.table}), not {self.node} nm: "
                "give the geometry for any other"
            )
        _require(0 < self.pitch < float("inf"), "wire.pitch", "positive", self.pitch, "F")

    @property
    def length(self) -> Metre:
        """Of a segment [m]."""
        return self.pitch * NODE_TABLES[self.table][self.node].width

    def resistance(self, temperature: Kelvin = REFERENCE_TEMPERATURE) -> Ohm:
        """At a temperature [ohm]."""
        row = NODE_TABLES[self.table][self.node]
        area = row.width**2 * row.aspect
        return row.resistivity * self.length / area * _warm(self.temperature_coefficient, temperature)

    def capacitance(self) -> Farad:
        """[F]."""
        return self.capacitance_per_metre * self.length


@dataclass(frozen=True, slots=True)
class GeometryWire:
    """A segment by its cross-section; lengths in metres. Defaults are those of copper in low-k."""

    width: Metre
    thickness: Metre
    spacing: Metre
    """To the neighbouring line, edge to edge."""
    height: Metre
    """Of the dielectric below."""
    length: Metre
    """From crossing to crossing."""
    bulk_resistivity: float = 1.68e-8
    """[ohm m]; source: copper at 300 K, Matula, J. Phys. Chem. Ref. Data 8, 1979 (1.72e-8), annealed 1.68e-8."""
    mean_free_path: Metre = 39e-9
    """Source: copper at room temperature, Gall, J. Appl. Phys. 119, 2016 (39.9 nm)."""
    specularity: float = 0.25
    """Part of the electrons reflected without loss; source: IMAC-Sim defaults."""
    grain_reflection: float = 0.3
    """Source: IMAC-Sim defaults."""
    grain_size: Metre | None = None
    """The width where not given."""
    permittivity: float = 3.0
    """Of the dielectric, relative; source: usual low-k range 2.5 to 4."""
    temperature_coefficient: float = COPPER_COEFFICIENT

    def __post_init__(self) -> None:
        for name in ("width", "thickness", "spacing", "height", "length", "bulk_resistivity", "permittivity"):
            value = getattr(self, name)
            _require(0 < value < float("inf"), f"wire.{name}", "positive", value, "")
        _require(0 <= self.specularity <= 1, "wire.specularity", "from 0 to 1", self.specularity, "")
        _require(
            0 <= self.grain_reflection < 1,
            "wire.grain_reflection",
            "from 0 to below 1",
            self.grain_reflection,
            "",
        )
        for name, low, high in (("width", 0.3, 30.0), ("thickness", 0.3, 30.0), ("spacing", 0.5, 10.0)):
            ratio = getattr(self, name) / self.height
            if not low <= ratio <= high:
                raise CrossbarError(
                    f"wire.{name}: must be {low:g} to {high:g} times the height, where the capacitance formula holds, "
                    f"not {ratio:.3g} times"
                )

    def resistivity(self) -> float:
        """With size effect, at 300 K [ohm m]."""
        surface = (
            0.375 * (1.0 - self.specularity) * self.mean_free_path * (1.0 / self.width + 1.0 / self.thickness)
        )
        grain = self.grain_size or self.width
        a = self.mean_free_path / grain * self.grain_reflection / (1.0 - self.grain_reflection)
        boundaries = 1.0 if a == 0 else 1.0 / (3.0 * (1.0 / 3.0 - a / 2.0 + a**2 - a**3 * log(1.0 + 1.0 / a)))
        return self.bulk_resistivity * (surface + boundaries)

    def resistance(self, temperature: Kelvin = REFERENCE_TEMPERATURE) -> Ohm:
        """At a temperature [ohm]."""
        area = self.width * self.thickness
        return self.resistivity() * self.length / area * _warm(self.temperature_coefficient, temperature)

    def capacitance(self) -> Farad:
        """To the plane below and to both neighbours [F]."""
        w, t, s = self.width / self.height, self.thickness / self.height, self.spacing / self.height
        ground = 1.15 * w + 2.80 * t**0.222
        neighbour = (0.03 * w + 0.83 * t - 0.07 * t**0.222) * s**-1.34
        farads: float = self.permittivity * _EPSILON_0 * (ground + 2.0 * neighbour) * self.length
        return farads


@dataclass(frozen=True, slots=True)
class Wires:
    """The wires of an array: one segment of each kind of line."""

    word_line: Wire
    bit_line: Wire

    def line_system(
        self,
        rows: int,
        columns: int,
        r_source: ArrayLike = 0.0,
        r_sink: ArrayLike = 0.0,
        temperature: Kelvin = REFERENCE_TEMPERATURE,
    ) -> LineSystem:
        """Return the array's line system at a temperature; ends as `cosim.crossbar.solve`."""
        word, bit = self.word_line.resistance(temperature), self.bit_line.resistance(temperature)
        return line_system(rows, columns, word, bit, r_source, r_sink)

    def line_capacitance(self, rows: int, columns: int) -> tuple[Farad, Farad]:
        """Of a whole word line and of a whole bit line [F], end segments included."""
        return (columns + 1) * self.word_line.capacitance(), (rows + 1) * self.bit_line.capacitance()


def charging_energy(capacitance: Farad, before: float, after: float) -> tuple[float, float]:
    """Return what a driver at ``after`` volts delivers to move a line from ``before``, and the gain in store [J].

    The difference of both is lost in the resistances on the way, whatever they are.
    """
    delivered = capacitance * after * (after - before)
    return delivered, 0.5 * capacitance * (after**2 - before**2)


def _warm(coefficient: float, temperature: Kelvin) -> float:
    factor = 1.0 + coefficient * (temperature - REFERENCE_TEMPERATURE)
    if not (temperature > 0 and factor > 0):
        raise CrossbarError(
            f"temperature: must be one at which the wire's resistance is positive, not {temperature:g} K"
        )
    return factor


def _require(good: bool, place: str, rule: str, value: float, unit: str) -> None:
    if not good:
        raise CrossbarError(f"{place}: must be {rule}, not {value:g} {unit}".rstrip())
