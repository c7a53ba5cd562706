"""A network as one linear circuit: which nets are driven, which float, and what joins them.

A net that no drive holds floats. Where it is the end of a single line, that line end is open and the net
follows its last node; where it joins several line ends, its voltage is an unknown of its own, found from
Kirchhoff's current law (`cosim.crossbar.joined`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cosim.crossbar.joined import JoinedArray, JoinedNetwork, JoinedSolution
from cosim.crossbar.lines import LineSystem
from cosim.crossbar.network import CrossbarArray, Network
from cosim.devices.base import FloatArray

_TO_GROUND = 1.0
"""Siemens from one node of an array without any tied end: nothing drives it, so it rests at 0 V."""
_LEAK = 1e-30
"""The same where nodes hold charge: too little to be noticed in any phase."""


@dataclass(frozen=True, slots=True, eq=False)
class FollowingEnds:
    """Floating nets at single line ends of an array, and the flat places of the nodes that they follow.

    ``places`` are indices into word and bit voltages laid out as ``(2, rows, columns)``.
    """

    nets: NDArray[np.intp]
    places: NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class Circuit:
    """The joined lines of a network; `solve` takes cells, net voltages and injected currents."""

    joined: JoinedNetwork
    following: tuple[FollowingEnds, ...]

    def shunted(self, word: Sequence[FloatArray], bit: Sequence[FloatArray]) -> Circuit:
        """Return the circuit with more conductance [S] from its word and bit nodes to 0 V."""
        return replace(self, joined=self.joined.shunted(word, bit))

    def solve(
        self,
        net_voltage: FloatArray,
        conductance: Sequence[FloatArray],
        injected: Sequence[tuple[FloatArray, FloatArray]] | None = None,
    ) -> JoinedSolution:
        """Solve for the floating nets, all nodes and all currents.

        Parameters
        ----------
        net_voltage
            Every net [V], ``(nets,)``; NaN where it floats.
        conductance
            Per array, the cells [S], ``(rows, columns)``.
        injected
            Per array, the currents injected into word and bit nodes [A], ``(rows, columns)`` each.
        """
        solution = self.joined.solve(net_voltage, conductance, injected=injected)
        for ends, part in zip(self.following, solution.arrays, strict=True):
            nodes = np.concatenate((part.word_voltage.reshape(-1), part.bit_voltage.reshape(-1)))
            solution.net_voltage[ends.nets] = nodes[ends.places]
        return solution


def joined_floating_nets(network: Network, driven: tuple[bool, ...]) -> tuple[str, ...]:
    """Return the nets that float and join more than one line end."""
    uses = Counter(
        net
        for array in network.arrays
        for side in (array.left, array.right, array.top, array.bottom)
        for net in side or ()
        if net is not None
    )
    return tuple(net for net, held in zip(network.nets, driven, strict=True) if not held and uses[net] > 1)


def circuit(network: Network, driven: tuple[bool, ...], wires: bool, charged: bool = False) -> Circuit:
    """Return the circuit of a network whose nets are driven as ``driven`` says.

    ``wires`` False leaves out all wire and line-end resistances (fidelity ``ideal``). ``charged``: nodes
    will hold charge (see `Circuit.shunted`), so an array without any tied end keeps its voltages.
    """
    tied = dict(zip(network.nets, driven, strict=True))
    tied.update(dict.fromkeys(joined_floating_nets(network, driven), True))
    ground = _LEAK if charged else _TO_GROUND
    parts = [_lines(network, array, tied, 1.0 if wires else 0.0, ground) for array in network.arrays]
    joined = JoinedNetwork([part for part, _ in parts], len(network.nets))
    return Circuit(joined, tuple(ends for _, ends in parts))


def _lines(
    network: Network, array: CrossbarArray, tied: dict[str, bool], factor: float, ground: float
) -> tuple[JoinedArray, FollowingEnds]:
    """Return the lines of one array with the net at every end, and the nets that follow a node."""
    rows, columns = array.shape
    node = np.arange(2 * rows * columns).reshape(2, rows, columns)
    sides = (
        (array.left, rows, node[0, :, 0]),
        (array.right, rows, node[0, :, -1]),
        (array.top, columns, node[1, 0]),
        (array.bottom, columns, node[1, -1]),
    )
    nets, following, places = [], [], []
    for names, count, nodes in sides:
        given = names if names is not None else (None,) * count
        nets.append(np.array([network.net_index[n] if n and tied[n] else -1 for n in given], dtype=np.intp))
        for name, place in zip(given, nodes.tolist(), strict=True):
            if name is not None and not tied[name]:
                following.append(network.net_index[name])
                places.append(place)
    word, bit = array.word_segments * factor, array.bit_segments * factor
    segments = (word[:, 0], word[:, -1], bit[0], bit[-1])
    ends = (array.r_left, array.r_right, array.r_top, array.r_bottom)
    r_left, r_right, r_top, r_bottom = (
        np.where(net >= 0, segment + factor * end, np.inf)
        for net, segment, end in zip(nets, segments, ends, strict=True)
    )
    shunt = np.zeros((rows, columns))
    if not any(np.isfinite(end).any() for end in (r_left, r_right, r_top, r_bottom)):
        shunt[0, 0] = ground
    system = LineSystem(
        rows, columns, word[:, 1:-1], bit[1:-1], r_left=r_left, r_right=r_right, r_top=r_top, r_bottom=r_bottom,
        shunt_word=shunt,
    )  # fmt: skip
    part = JoinedArray(system, np.zeros((rows, columns)), *nets)
    return part, FollowingEnds(np.array(following, dtype=np.intp), np.array(places, dtype=np.intp))
