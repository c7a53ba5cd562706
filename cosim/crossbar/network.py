"""What one phase acts on: crossbar arrays whose lines are joined by nets.

A `Network` is one or more `CrossbarArray` values. Every line of an array (word line = row, bit line =
column) has two ends; an end is tied to a named net through a resistance, or open. Ends of several
arrays that name the same net are joined, so one network holds a single array, a tile, or a kT-RAM lane
of many arrays that share one floating node. Currents are positive into the array at a driven net.

::

    net ──r_left──[segment]──W(i,0)──[segment]──W(i,1)── ... ──[segment]──r_right── net
                               │cell              │cell
    (bit lines likewise, from top to bottom)

One wire segment lies between every line-end resistance and the first (last) node. A net may have a lumped
capacitance to ground beside that of the lines: the node of a lane, the input of a sense amplifier.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import ClassVar, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cosim.crossbar.access import Mosfet, Selector, SeriesElement, Switch
from cosim.devices.base import DeviceModel, FloatArray
from cosim.errors import CrossbarError
from cosim.units import Ohm, Volt, check, is_positive, quantity

Ends = tuple[str | None, ...]
"""Net name of each line's end, in line order; None is an open end."""


@dataclass(frozen=True, slots=True)
class Cell:
    """What sits at a crossing: the device alone (1R), with an access transistor (1T1R), or with a selector (1S1R).

    A differential cell (2T2R) is two 1T1R devices on one word and one gate line, each at a bit line of its own.

    The transistor is a switch unless ``transistor`` gives its law: its on-resistance in series where the gate net of the row is above the threshold, open
    elsewhere. A transistor with a law conducts as its gate says; rows whose gate is at 0 V are open.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    kind: Literal["1R", "1T1R", "1S1R", "2T2R"] = "1R"
    access_resistance: Ohm = quantity(
        15e3,
        source="DNN+NeuroSim, default access resistance of 1T1R",
        doc="on-resistance of the access transistor",
    )
    gate_voltage: Volt = quantity(
        1.8, source="SKY130 nominal supply, open PDK documentation", doc="gate-line level of a selected row"
    )
    gate_threshold: Volt = quantity(
        0.7,
        source="SKY130 nfet_01v8 nominal threshold, open PDK documentation",
        doc="the switch is on above this",
    )
    transistor: Mosfet | None = quantity(
        None, source="cosim: an ideal switch with access_resistance", doc="law of the access transistor"
    )
    selector: Selector | None = quantity(
        None, source="cosim: the defaults of the selector", doc="law of the selector of a 1S1R cell"
    )

    def __post_init__(self) -> None:
        check(
            is_positive(self.access_resistance),
            "cell",
            "access_resistance",
            "above zero",
            self.access_resistance,
        )
        check(
            0 < self.gate_threshold < self.gate_voltage, "cell", "gate_threshold", "between 0 V and gate_voltage",
            self.gate_threshold,
        )  # fmt: skip
        check(
            self.transistor is None or self.gated,
            "cell",
            "transistor",
            "left out of cells without one",
            self.kind,
        )
        check(
            self.selector is None or self.kind == "1S1R", "cell", "selector", "left out of cells without one", self.kind
        )  # fmt: skip

    @property
    def gated(self) -> bool:
        """Whether a gate line selects the row."""
        return self.kind in ("1T1R", "2T2R")

    @property
    def bit_lines(self) -> int:
        """Bit lines of one cell, each with a device of its own."""
        return 2 if self.kind == "2T2R" else 1

    @property
    def access(self) -> SeriesElement | None:
        """What lies in series with the device; None for a device alone."""
        if self.kind == "1S1R":
            return self.selector or Selector()
        if not self.gated:
            return None
        return self.transistor or Switch(self.access_resistance)

    @property
    def linear(self) -> bool:
        """Whether the series element, if any, is a resistance."""
        return self.kind != "1S1R" and self.transistor is None

    @property
    def series_resistance(self) -> float:
        """Resistance in series with the device when the cell conducts [ohm]; 0 where `access` is no resistance."""
        return self.access_resistance if self.gated and self.transistor is None else 0.0

    @property
    def opens_below(self) -> float:
        """Gate voltage up to which a row is open [V]."""
        return self.gate_threshold if self.transistor is None else 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Segments:
    """Electrical values of the wire between neighbouring crossings; 0 ohm is an exact short.

    ``r_word_line`` [ohm]: one value, or ``(rows, columns + 1)`` with the two end segments;
    ``r_bit_line`` [ohm]: one value, or ``(rows + 1, columns)``; ``c_word_line``, ``c_bit_line`` [F]:
    capacitance to ground per crossing.
    """

    r_word_line: float | FloatArray = 0.0
    r_bit_line: float | FloatArray = 0.0
    c_word_line: float = 0.0
    c_bit_line: float = 0.0

    @property
    def has_capacitance(self) -> bool:
        """Whether nodes store charge."""
        return self.c_word_line > 0 or self.c_bit_line > 0


@dataclass(frozen=True, eq=False)
class CrossbarArray:
    """One crossbar array: cells at the crossings, wires between them, nets at the line ends.

    ``left`` and ``right`` name the nets at the word-line ends, ``top`` and ``bottom`` those at the
    bit-line ends, ``gates`` the gate-line net of each row (1T1R). ``r_*`` is the resistance [ohm]
    between a net and the end segment of its lines (driver output, sense input).
    """

    name: str
    rows: int
    columns: int
    device: DeviceModel
    cell: Cell
    segments: Segments
    left: Ends | None = None
    right: Ends | None = None
    top: Ends | None = None
    bottom: Ends | None = None
    gates: tuple[str, ...] | None = None
    r_left: float = 0.0
    r_right: float = 0.0
    r_top: float = 0.0
    r_bottom: float = 0.0

    def __post_init__(self) -> None:
        if self.rows < 1 or self.columns < 1:
            raise CrossbarError(
                f"array {self.name}: must have at least one row and column, not {self.rows} x {self.columns}"
            )
        for end, count in (
            ("left", self.rows),
            ("right", self.rows),
            ("top", self.columns),
            ("bottom", self.columns),
        ):
            nets = getattr(self, end)
            if nets is not None and len(nets) != count:
                raise CrossbarError(f"array {self.name}.{end}: must name {count} nets, not {len(nets)}")
        for name in ("r_left", "r_right", "r_top", "r_bottom"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise CrossbarError(
                    f"array {self.name}.{name}: must be zero or above and finite, not {getattr(self, name)}"
                )
        if self.cell.gated and (self.gates is None or len(self.gates) != self.rows):
            raise CrossbarError(
                f"array {self.name}.gates: a {self.cell.kind} array needs one gate net for each of its {self.rows} rows"
            )
        if not self.cell.gated and self.gates is not None:
            raise CrossbarError(f"array {self.name}.gates: a {self.cell.kind} array has no gate lines")

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns)."""
        return self.rows, self.columns

    @cached_property
    def linear(self) -> bool:
        """Whether the current of a cell is a conductance times its voltage."""
        return self.device.linear and self.cell.linear

    @cached_property
    def word_segments(self) -> FloatArray:
        """Word-line segment resistances with both end segments, shape ``(rows, columns + 1)`` [ohm]."""
        return np.array(
            np.broadcast_to(self.segments.r_word_line, (self.rows, self.columns + 1)), dtype=np.float64
        )

    @cached_property
    def bit_segments(self) -> FloatArray:
        """Bit-line segment resistances with both end segments, shape ``(rows + 1, columns)`` [ohm]."""
        return np.array(
            np.broadcast_to(self.segments.r_bit_line, (self.rows + 1, self.columns)), dtype=np.float64
        )

    @cached_property
    def end_losses(self) -> FloatArray:
        """Resistance of end segments and of line-end resistances by line end [ohm], shape ``(2, ends)``.

        Ends in the order left, right, top, bottom.
        """
        word, bit = self.word_segments, self.bit_segments
        segments = np.concatenate((word[:, 0], word[:, -1], bit[0], bit[-1]))
        counts = (self.rows, self.rows, self.columns, self.columns)
        ends = np.repeat((self.r_left, self.r_right, self.r_top, self.r_bottom), counts)
        return np.array((segments, ends))

    @cached_property
    def line_nets(self) -> tuple[str, ...]:
        """Every net at a line end, each once, in the order left, right, top, bottom."""
        ends = [side for side in (self.left, self.right, self.top, self.bottom) if side is not None]
        return tuple(dict.fromkeys(net for side in ends for net in side if net is not None))


_OF_NETS = ("nets", "net_index", "ends", "gate_nets", "net_capacitance", "has_capacitance")
"""Cached properties of a `Network` that do not depend on its device."""


class ArrayEnds(NamedTuple):
    """Positions in `Network.nets` of the nets at the line ends of one array."""

    left: NDArray[np.intp]
    right: NDArray[np.intp]
    top: NDArray[np.intp]
    bottom: NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Network:
    """Arrays joined by the nets that their line ends name.

    ``capacitance``: lumped, from nets to ground [F]. A net that floats is charged through the lines, one that is driven
    by its driver. Raises `CrossbarError` for a value or a name that no network has.
    """

    arrays: tuple[CrossbarArray, ...]
    capacitance: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.arrays:
            raise CrossbarError("a network must hold at least one array")
        names = [array.name for array in self.arrays]
        if len(set(names)) != len(names):
            raise CrossbarError(f"the arrays of a network must have different names, not {', '.join(names)}")
        for net, value in self.capacitance.items():
            if net not in self.net_index:
                raise CrossbarError(f"capacitance must name nets at line ends of the network, not '{net}'")
            if not 0 <= value < float("inf"):
                raise CrossbarError(
                    f"capacitance of net {net} must be 0 F or above and finite, not {value} F"
                )

    def with_device(self, device: DeviceModel) -> Network:
        """Return the network of one array with another device of the same shape; what nets say is not made anew."""
        (array,) = self.arrays
        if device is array.device:
            return self
        found = Network((dataclasses.replace(array, device=device),), self.capacitance)
        found.__dict__.update({name: self.__dict__[name] for name in _OF_NETS if name in self.__dict__})
        return found

    @cached_property
    def nets(self) -> tuple[str, ...]:
        """Every line net of the network, each once, in array order (gate nets are not among them)."""
        return tuple(dict.fromkeys(net for array in self.arrays for net in array.line_nets))

    @cached_property
    def net_index(self) -> Mapping[str, int]:
        """Position of each net in `nets`."""
        return {net: index for index, net in enumerate(self.nets)}

    @cached_property
    def ends(self) -> tuple[ArrayEnds, ...]:
        """Per array the positions in `nets` of the nets at its line ends; open ends are left out."""
        return tuple(
            ArrayEnds(*(self._positions(side) for side in (array.left, array.right, array.top, array.bottom)))
            for array in self.arrays
        )

    def _positions(self, side: Ends | None) -> NDArray[np.intp]:
        return np.array([self.net_index[net] for net in side or () if net is not None], dtype=np.intp)

    @cached_property
    def gate_nets(self) -> tuple[str, ...]:
        """Every gate net, each once."""
        return tuple(dict.fromkeys(net for array in self.arrays for net in array.gates or ()))

    @cached_property
    def net_capacitance(self) -> FloatArray:
        """Lumped capacitance of each of `nets` [F]."""
        return np.array([self.capacitance.get(net, 0.0) for net in self.nets])

    @cached_property
    def has_capacitance(self) -> bool:
        """Whether any node or net stores charge."""
        return bool(self.net_capacitance.any()) or any(a.segments.has_capacitance for a in self.arrays)


def single(
    name: str,
    shape: tuple[int, int],
    device: DeviceModel,
    cell: Cell,
    segments: Segments,
    *,
    r_source: float = 0.0,
    r_sink: float = 0.0,
) -> Network:
    """Return the network of one array driven at the left of its word lines, sunk at the bottom.

    Nets are ``wl0..``, ``bl0..`` and, for gated cells, ``gl0..``. ``r_source`` and ``r_sink`` [ohm] lie
    between the nets and the lines.
    """
    rows, columns = shape
    array = CrossbarArray(
        name, rows, columns, device, cell, segments,
        left=tuple(f"wl{i}" for i in range(rows)),
        bottom=tuple(f"bl{j}" for j in range(columns)),
        gates=tuple(f"gl{i}" for i in range(rows)) if cell.gated else None,
        r_left=r_source, r_bottom=r_sink,
    )  # fmt: skip
    return Network((array,))


@dataclass(frozen=True, eq=False)
class LiveNetwork:
    """The conducting part of a network of gated arrays: rows whose gates are off leave no trace but wire.

    ``rows``: per array the indices of the rows that conduct; ``nets``: position of each net of the
    reduced network in the whole one. None stands for a network without any conducting row.
    """

    network: Network | None
    rows: tuple[NDArray[np.intp], ...]
    nets: NDArray[np.intp]


def _live_array(array: CrossbarArray, rows: NDArray[np.intp]) -> CrossbarArray:
    """Return the array of the conducting rows; bit-line segments between them are added up."""
    word = array.word_segments[rows]
    ends = np.concatenate(([0], rows + 1, [array.rows + 1]))
    bit = np.add.reduceat(array.bit_segments, ends[:-1], axis=0)
    return dataclasses.replace(
        array,
        rows=len(rows),
        device=array.device.select((rows,)),
        segments=Segments(word, bit, array.segments.c_word_line, array.segments.c_bit_line),
        left=None if array.left is None else tuple(array.left[row] for row in rows),
        right=None if array.right is None else tuple(array.right[row] for row in rows),
        gates=None if array.gates is None else tuple(array.gates[row] for row in rows),
    )


def _reduced(network: Network, arrays: tuple[CrossbarArray, ...]) -> Network:
    """Return the network of some of the arrays, with the capacitance of the nets that it still has."""
    nets = {net for array in arrays for net in array.line_nets}
    return Network(arrays, {net: value for net, value in network.capacitance.items() if net in nets})


@lru_cache(maxsize=1024)
def live_network(network: Network, conducting: tuple[tuple[bool, ...] | None, ...]) -> LiveNetwork:
    """Return the part of a network that conducts; ``conducting``: per array its rows, None if ungated."""
    arrays, indices = [], []
    for array, mask in zip(network.arrays, conducting, strict=True):
        rows = np.arange(array.rows) if mask is None else np.flatnonzero(mask)
        indices.append(rows)
        if len(rows):
            arrays.append(array if mask is None else _live_array(array, rows))
    if not arrays:
        return LiveNetwork(None, tuple(indices), np.zeros(0, dtype=np.intp))
    reduced = (
        network
        if len(arrays) == len(network.arrays) and all(m is None for m in conducting)
        else _reduced(network, tuple(arrays))
    )
    nets = np.array([network.net_index[net] for net in reduced.nets], dtype=np.intp)
    return LiveNetwork(reduced, tuple(indices), nets)
