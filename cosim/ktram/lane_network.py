"""The network of a lane: unit crossbars of all enabled spaces, joined at the rails and at the node.

2-1 topology: the a-sides' selected word lines at the upper rail (net ``up``), the b-sides' selected bit lines at the lower
one (``down``), the selected lines between them at the ``node``. 1-2: one rail (``up``) at the selected word lines of both
sides, outputs ``out_a`` and ``out_b`` at their selected bit lines. Unselected lines have a net each, whose name ends
with ``.n`` on the node's side and with ``.r`` on the rail's.

The node (1-2: each output) has a capacitance for every space of the lane, enabled or not, for its wire passes all of them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Literal, final

import numpy as np
from numpy.typing import NDArray

from cosim.crossbar.drive import GroupedDrives, Waveform, level
from cosim.crossbar.network import Cell, CrossbarArray, Network, Segments
from cosim.ktram.lane_devices import device_of
from cosim.ktram.topology import OneTwo
from cosim.units import Farad, Ohm, Siemens, check, is_positive, quantity

if TYPE_CHECKING:
    from cosim.ktram.core import Core

_DRIVEN = ("up", "down", "node", "out_a", "out_b")
_LINES_A, _LINES_B, _FLOATING = 5, 6, 7
_RESISTANCES = ("r_word_line", "r_bit_line", "r_rail", "r_node")
_CAPACITANCES = ("c_word_line", "c_bit_line", "node_capacitance")


@final
@dataclass(frozen=True)
class LaneCircuit:
    """What surrounds the devices of a lane.

    ``lines``: what unselected lines do. ``floating``: nothing drives them. ``grounded``: those on the node's side
    are at 0 V. ``tracking``: those on the node's side follow the voltage that the node has at the begin of the pulse.
    Zero resistance is ideal. Raises `DeviceError` for values that no circuit has.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    lines: Literal["floating", "grounded", "tracking"] = quantity(
        "floating", source="cosim: nothing drives them", doc="what unselected lines do"
    )
    r_word_line: Ohm = quantity(0.0, source="cosim: ideal wires", doc="word line, per segment")
    r_bit_line: Ohm = quantity(0.0, source="cosim: ideal wires", doc="bit line, per segment")
    r_rail: Ohm = quantity(0.0, source="cosim: ideal drivers", doc="driver of a rail, per selected line")
    r_node: Ohm = quantity(0.0, source="cosim: ideal switch", doc="selection switch to the node, per line")
    c_word_line: Farad = quantity(0.0, source="cosim: ideal wires", doc="word line, per crossing")
    c_bit_line: Farad = quantity(0.0, source="cosim: ideal wires", doc="bit line, per crossing")
    node_capacitance: Farad = quantity(
        0.0,
        source="cosim: the node settles at once; controller.node_capacitance gives its time and energy by formula",
        doc="of the node, per space of the lane: the node moves while it settles",
    )
    top_conductance: Siemens = quantity(
        1e-3,
        source="kT-RAM neural core, highest conductance of rs and mss",
        doc="what the highest conductance of byte and float stands for",
    )

    def __post_init__(self) -> None:
        for name in (*_RESISTANCES, *_CAPACITANCES):
            value = getattr(self, name)
            check(np.isfinite(value) and value >= 0, "LaneCircuit", name, "finite and not negative", value)
        check(
            is_positive(self.top_conductance),
            "LaneCircuit",
            "top_conductance",
            "above zero",
            self.top_conductance,
        )
        check(
            self.lines in ("floating", "grounded", "tracking"),
            "LaneCircuit",
            "lines",
            "floating, grounded or tracking",
            self.lines,
        )

    @property
    def wired(self) -> bool:
        """Whether any resistance surrounds the devices."""
        return any(getattr(self, name) > 0 for name in _RESISTANCES)

    @property
    def charged(self) -> bool:
        """Whether node or lines hold charge, so that an instruction is a transient."""
        return any(getattr(self, name) > 0 for name in _CAPACITANCES)

    @property
    def settled(self) -> LaneCircuit:
        """What is left once nothing charges any more: the circuit without capacitance."""
        return replace(self, c_word_line=0.0, c_bit_line=0.0, node_capacitance=0.0) if self.charged else self


@final
@dataclass(frozen=True, eq=False)
class LaneNetwork:
    """A lane's network with these kT-bits selected.

    ``group`` ``(nets,)``: who drives each net; ``line_nets`` ``(arrays, rows + columns)``: the net of every word line and
    then of every bit line, as a position in ``network.nets``.
    """

    network: Network
    group: NDArray[np.intp]
    line_nets: NDArray[np.intp]

    def held(self, lines: bool) -> list[str]:
        """Return the nets that are held while a lane is read; ``lines``: unselected ones on the node's side too."""
        kinds = [k for k, net in enumerate(_DRIVEN) if net != "node"] + [_LINES_A, _LINES_B] * lines
        return [net for net, kind in zip(self.network.nets, self.group, strict=True) if kind in kinds]

    def drives(self, voltages: dict[str, float], lines: tuple[float | None, float | None]) -> GroupedDrives:
        """Return the drives of a pulse.

        ``voltages`` [V]: of ``up``, ``down``, ``node``, ``out_a``, ``out_b``; what is left out floats. ``lines`` [V]: of
        unselected lines on the node's side, of a-sides and of b-sides; None: they float.
        """
        waves: list[Waveform | None] = [level(voltages[net]) if net in voltages else None for net in _DRIVEN]
        waves += [None if volts is None else level(volts) for volts in lines]
        return GroupedDrives(self.network, (*waves, None), self.group, {})


def lane_network(core: Core, numbers: tuple[int, ...], circuit: LaneCircuit) -> LaneNetwork:
    """Return the network of any lane of a core with the kT-bits ``numbers`` selected."""
    device = device_of(core.law)
    rows, columns = core.crossbar_rows, core.crossbar_cols
    one_two = isinstance(core.topology, OneTwo)
    segments = Segments(circuit.r_word_line, circuit.r_bit_line, circuit.c_word_line, circuit.c_bit_line)
    cell = Cell("1R")
    arrays = []
    for number in numbers:
        space, address = divmod(number, core.book.size)
        row, column = divmod(address, columns)
        for side in "ab":
            name = f"{side}{space}"
            if one_two or side == "a":
                left = _line(name, "w", "r", rows, row, "up")
                bottom = _line(name, "b", "n", columns, column, f"out_{side}" if one_two else "node")
                ends = (circuit.r_rail, circuit.r_node)
            else:
                left = _line(name, "w", "n", rows, row, "node")
                bottom = _line(name, "b", "r", columns, column, "down")
                ends = (circuit.r_node, circuit.r_rail)
            arrays.append(
                CrossbarArray(
                    name, rows, columns, device, cell, segments, left=left, bottom=bottom, r_left=ends[0],
                    r_bottom=ends[1],
                )
            )  # fmt: skip
    total = core.spaces_per_lane * circuit.node_capacitance
    outputs = ("out_a", "out_b") if one_two else ("node",)
    network = Network(tuple(arrays), dict.fromkeys(outputs, total) if total else {})
    group = np.array([_group(net) for net in network.nets], dtype=np.intp)
    return LaneNetwork(network, group, np.array([np.concatenate((e.left, e.bottom)) for e in network.ends]))


def _line(name: str, kind: str, side: str, count: int, selected: int, net: str) -> tuple[str, ...]:
    return tuple(net if k == selected else f"{name}.{kind}{k}.{side}" for k in range(count))


def _group(net: str) -> int:
    if net in _DRIVEN:
        return _DRIVEN.index(net)
    if net.endswith(".r"):
        return _FLOATING
    return _LINES_B if net.startswith("b") else _LINES_A
