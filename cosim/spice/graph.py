"""From a network to the least circuit that carries its currents: nodes, branches, cells, capacitors.

Exact reductions only: segments in series without a cell between them become one branch, dangling
line ends are left out, nodes joined by exactly 0 ohm become one node, and parts that no driven net
and no charged capacitor can reach are left out, since all their voltages are equal.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from cosim.crossbar.network import CrossbarArray, Network
from cosim.errors import UnsupportedRequestError

Mask = NDArray[np.bool_]

_PLAIN: Final = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True)
class Branch:
    """A resistor of line segments (`wire`) and line-end resistance (`termination`), both in ohm."""

    first: str
    second: str
    wire: float
    termination: float

    @property
    def total(self) -> float:
        """Resistance of the branch [ohm]."""
        return self.wire + self.termination


@dataclass(frozen=True)
class Site:
    """A conducting cell: array index, row, column and the nodes of its word and bit side."""

    array: int
    row: int
    column: int
    word: str
    bit: str


@dataclass(frozen=True)
class LineCapacitor:
    """Line capacitance [F] at a crossing: ``side`` 0 is the word node, 1 the bit node."""

    array: int
    side: int
    row: int
    column: int
    node: str
    capacitance: float


@dataclass(frozen=True)
class NetCapacitor:
    """Lumped capacitance [F] of a net to ground; ``label`` ends the name of its card."""

    net: str
    label: str
    node: str
    capacitance: float


@dataclass(frozen=True)
class Graph:
    """The circuit of a phase; ``nets`` maps each net that is part of it to its node.

    ``capacitors`` are those of lines, ``net_capacitors`` those of nets.
    """

    nets: Mapping[str, str]
    driven: Mapping[str, str]
    branches: tuple[Branch, ...]
    sites: tuple[Site, ...]
    capacitors: tuple[LineCapacitor, ...]
    net_capacitors: tuple[NetCapacitor, ...] = ()

    @property
    def charged(self) -> tuple[LineCapacitor | NetCapacitor, ...]:
        """All capacitors."""
        return (*self.capacitors, *self.net_capacitors)

    @property
    def nodes(self) -> tuple[str, ...]:
        """Every node but ground, each once."""
        found: dict[str, None] = dict.fromkeys(self.driven.values())
        for branch in self.branches:
            found[branch.first] = found[branch.second] = None
        for site in self.sites:
            found[site.word] = found[site.bit] = None
        found.update(dict.fromkeys(capacitor.node for capacitor in self.charged))
        return tuple(found)


class _Groups:
    """Sets of names that grow together (union-find)."""

    def __init__(self) -> None:
        self._parent: dict[str, str] = {}

    def find(self, name: str) -> str:
        """Return the name that stands for the set of ``name``."""
        root = name
        while (above := self._parent.get(root, root)) != root:
            root = above
        while (above := self._parent.get(name, name)) != root:
            self._parent[name] = root
            name = above
        return root

    def join(self, keeps: str, goes: str) -> None:
        """Make one set of two; the first name's representative stands for it."""
        first, second = self.find(keeps), self.find(goes)
        if first != second:
            self._parent[second] = first


def net_nodes(network: Network) -> dict[str, str]:
    """Return a node name for each net: ``net_<name>`` where the name is plain, else ``net<index>``."""
    taken: dict[str, str] = {}
    for index, net in enumerate(network.nets):
        plain = net.lower()
        name = f"net_{plain}" if _PLAIN.fullmatch(plain) else f"net{index}"
        taken[net] = name if name not in taken.values() else f"net{index}"
    return taken


def build_graph(network: Network, driven: Sequence[str], conducting: Sequence[Mask]) -> Graph:
    """Return the least circuit for a phase.

    Parameters
    ----------
    network : Network
        Arrays joined by nets.
    driven : sequence of str
        Nets with a voltage source; all others float.
    conducting : sequence of array (rows, columns)
        Per array, which cells carry current at all.

    Raises
    ------
    UnsupportedRequestError
        Where wires of exactly 0 ohm join two driven nets.
    """
    nets = net_nodes(network)
    branches: list[Branch] = []
    sites: list[Site] = []
    capacitors: list[LineCapacitor] = []
    for index, array in enumerate(network.arrays):
        branches += _lines(index, array, conducting[index], nets)
        rows, columns = np.nonzero(conducting[index])
        sites += [
            Site(index, i, j, f"w{index}_{i}_{j}", f"b{index}_{i}_{j}")
            for i, j in zip(rows.tolist(), columns.tolist(), strict=True)
        ]
        capacitors += _capacitors(index, array)
    shorts = _merge(branches, nets, driven)
    kept = [
        Branch(first, second, branch.wire, branch.termination)
        for branch in branches
        if (first := shorts.find(branch.first)) != (second := shorts.find(branch.second))
    ]
    joined = [Site(s.array, s.row, s.column, shorts.find(s.word), shorts.find(s.bit)) for s in sites]
    stored = [
        LineCapacitor(c.array, c.side, c.row, c.column, shorts.find(c.node), c.capacitance)
        for c in capacitors
    ]
    where = {net: shorts.find(node) for net, node in nets.items()}
    held = [
        NetCapacitor(net, nets[net], where[net], value) for net, value in network.capacitance.items() if value
    ]
    return _reachable(where, [net for net in nets if net in set(driven)], kept, joined, stored, held)


def _lines(index: int, array: CrossbarArray, conducting: Mask, nets: Mapping[str, str]) -> Iterator[Branch]:
    """Return the branches of every word and bit line of an array."""
    taps = np.ones_like(conducting) if array.segments.has_capacitance else conducting
    for i in range(array.rows):
        ends = _end(array.left, i, nets), _end(array.right, i, nets)
        names = [f"w{index}_{i}_{j}" for j in range(array.columns)]
        yield from _line(names, taps[i], array.word_segments[i], ends, (array.r_left, array.r_right))
    for j in range(array.columns):
        ends = _end(array.top, j, nets), _end(array.bottom, j, nets)
        names = [f"b{index}_{i}_{j}" for i in range(array.rows)]
        yield from _line(names, taps[:, j], array.bit_segments[:, j], ends, (array.r_top, array.r_bottom))


def _end(side: tuple[str | None, ...] | None, at: int, nets: Mapping[str, str]) -> str | None:
    net = side[at] if side is not None else None
    return nets[net] if net is not None else None


def _line(
    names: Sequence[str],
    taps: Mask,
    segments: NDArray[np.float64],
    ends: tuple[str | None, str | None],
    resistances: tuple[float, float],
) -> Iterator[Branch]:
    """Return the branches between the tapped nodes of one line and its tied ends."""
    at, wire, termination = ends[0], 0.0, resistances[0]
    for name, tapped, segment in zip(names, taps.tolist(), segments[:-1].tolist(), strict=True):
        wire += segment
        if tapped:
            if at is not None:
                yield Branch(at, name, wire, termination)
            at, wire, termination = name, 0.0, 0.0
    if at is not None and ends[1] is not None:
        yield Branch(at, ends[1], wire + float(segments[-1]), termination + resistances[1])


def _capacitors(index: int, array: CrossbarArray) -> Iterator[LineCapacitor]:
    for side, capacitance in enumerate((array.segments.c_word_line, array.segments.c_bit_line)):
        if capacitance > 0:
            for i, j in np.ndindex(array.shape):
                yield LineCapacitor(index, side, i, j, f"{'wb'[side]}{index}_{i}_{j}", capacitance)


def _merge(branches: Sequence[Branch], nets: Mapping[str, str], driven: Sequence[str]) -> _Groups:
    """Return the nodes joined by exactly 0 ohm, each set named after its driven net where it has one."""
    names = {nets[net]: net for net in driven if net in nets}
    every = set(nets.values())
    groups = _Groups()
    for branch in branches:
        if branch.total != 0.0:
            continue
        first, second = groups.find(branch.first), groups.find(branch.second)
        if first != second and first in names and second in names:
            raise UnsupportedRequestError(
                f"the driven nets '{names[first]}' and '{names[second]}' are joined by wires of 0 ohm; give the wires or the line ends a resistance"
            )
        second_first = second in names or (second in every and first not in names)
        groups.join(*((second, first) if second_first else (first, second)))
    return groups


def _reachable(
    nets: Mapping[str, str],
    driven: Sequence[str],
    branches: Sequence[Branch],
    sites: Sequence[Site],
    capacitors: Sequence[LineCapacitor],
    net_capacitors: Sequence[NetCapacitor],
) -> Graph:
    """Return the parts that hold a driven net or a capacitor and something that conducts."""
    parts = _Groups()
    for branch in branches:
        parts.join(branch.first, branch.second)
    for site in sites:
        parts.join(site.word, site.bit)
    charged = {c.node for c in capacitors} | {c.node for c in net_capacitors}
    used = {node for b in branches for node in (b.first, b.second)} | charged
    used |= {node for site in sites if site.word != site.bit for node in (site.word, site.bit)}
    sources = {net: nets[net] for net in driven if nets[net] in used}
    live = {parts.find(node) for node in (*sources.values(), *charged)}
    return Graph(
        nets={net: node for net, node in nets.items() if node in used and parts.find(node) in live},
        driven=sources,
        branches=tuple(branch for branch in branches if parts.find(branch.first) in live),
        sites=tuple(s for s in sites if s.word != s.bit and parts.find(s.word) in live),
        capacitors=tuple(capacitors),
        net_capacitors=tuple(net_capacitors),
    )
