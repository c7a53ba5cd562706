"""A network as one linear circuit: which nets are driven, which float, and what joins them.

A net that no drive holds floats. Where it is the end of a single line, that line end is open and the net
follows its last node; where it joins several line ends or holds charge, its voltage is an unknown of its own, found from
Kirchhoff's current law (`cosim.crossbar.joined`). All arrays of one width and kind are one `LineStack`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cosim.crossbar.joined import JoinedArray, JoinedNetwork, StackedSolution
from cosim.crossbar.lines import DEFAULT_TOLERANCE, LineSystem
from cosim.crossbar.network import CrossbarArray, Network
from cosim.crossbar.stacks import Injection, LineStack, StackSolution
from cosim.devices.base import FloatArray

_TO_GROUND = 1.0
"""Siemens from one node of an array without any tied end: nothing drives it, so it rests at 0 V."""
_LEAK = 1e-30
"""The same where nodes hold charge: too little to be noticed in any phase."""


@dataclass(frozen=True, slots=True, eq=False)
class WireLoss:
    """What the wires of a stack turn into heat.

    ``word`` ``(rows, columns - 1)``, ``bit`` ``(rows - 1, columns)``: segments between nodes [ohm], 0
    between two arrays. ``segments``, ``terminations``: end segments and line-end resistances [ohm] of
    left, right ``(rows,)``, top, bottom ``(members, columns)``.
    """

    word: FloatArray
    bit: FloatArray
    segments: tuple[FloatArray, FloatArray, FloatArray, FloatArray]
    terminations: tuple[float | FloatArray, ...]

    def powers(
        self, solution: StackSolution, firsts: NDArray[np.intp], along: FloatArray, down: FloatArray
    ) -> tuple[float, float]:
        """Return the power in wires and in line ends [W].

        ``along``, ``down``: what leaves the word and the bit lines at each node [A], ``(rows, columns)``.
        """
        flow = solution.left[:, None] - np.cumsum(along, axis=1)[:, :-1]
        wires = float(np.vdot(flow * flow, self.word))
        if len(down) > 1:
            below = np.cumsum(down, axis=0)
            starts = np.repeat(
                solution.top + np.concatenate((np.zeros((1, down.shape[1])), below[firsts[1:-1] - 1])),
                np.diff(firsts), axis=0,
            )  # fmt: skip
            flow = (starts - below)[:-1]
            wires += float(np.vdot(flow * flow, self.bit))
        ends = 0.0
        for current, segment, termination in zip(
            solution.ends, self.segments, self.terminations, strict=True
        ):
            squared = current * current
            wires += float((squared * segment).sum())
            ends += float((squared * termination).sum())
        return wires, ends


@dataclass(frozen=True, slots=True, eq=False)
class FollowingEnds:
    """Floating nets at single line ends, and the flat places of the nodes that they follow.

    ``places`` are indices into word and bit voltages of a stack laid out as ``(2, rows, columns)``.
    """

    nets: NDArray[np.intp]
    places: NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class Circuit:
    """The joined lines of a network; `solve` takes cells, net voltages and injected currents by stack."""

    joined: JoinedNetwork
    following: tuple[FollowingEnds, ...]
    losses: tuple[WireLoss, ...]

    @property
    def stacks(self) -> tuple[LineStack, ...]:
        """The stacks, in the order of all that is given by stack."""
        return self.joined.stacks

    def shunted(self, shunts: Sequence[Injection], net_shunt: FloatArray | None = None) -> Circuit:
        """Return the circuit with more conductance [S] to 0 V: from word and bit nodes by stack, from nets ``(nets,)``."""
        return replace(self, joined=self.joined.shunted(shunts, net_shunt))

    def solve(
        self,
        net_voltage: FloatArray,
        conductance: Sequence[FloatArray],
        injected: Sequence[Injection] | None = None,
        tolerance: float = DEFAULT_TOLERANCE,
        net_injected: FloatArray | None = None,
    ) -> StackedSolution:
        """Solve for the floating nets, all nodes and all currents.

        Parameters
        ----------
        net_voltage
            Every net [V], ``(nets,)``; NaN where it floats.
        conductance
            Cells of every stack [S], ``(rows, columns)``.
        injected
            Currents injected into word and bit nodes of every stack [A], ``(rows, columns)`` each.
        net_injected
            Currents injected into nets [A], ``(nets,)``.
        """
        solution = self.joined.solve_stacked(
            net_voltage, conductance, injected, net_injected, tolerance=tolerance
        )
        for ends, part in zip(self.following, solution.stacks, strict=True):
            if ends.nets.size:
                nodes = np.concatenate((part.word.reshape(-1), part.bit.reshape(-1)))
                solution.net_voltage[ends.nets] = nodes[ends.places]
        return solution


def joins_floating_nets(network: Network, driven: Sequence[bool]) -> bool:
    """Return whether a net that floats joins more than one line end."""
    return bool(_joined_floating(network, driven, charged=False))


def _joined_floating(network: Network, driven: Sequence[bool], charged: bool) -> tuple[str, ...]:
    """Return the floating nets that are unknowns of their own; ``charged``: those that hold charge too."""
    if all(driven):
        return ()
    uses = Counter(
        net
        for array in network.arrays
        for side in (array.left, array.right, array.top, array.bottom)
        for net in side or ()
        if net is not None
    )
    holds = network.net_capacitance > 0
    return tuple(
        net
        for net, held, holding in zip(network.nets, driven, holds.tolist(), strict=True)
        if not held and (uses[net] > 1 or (charged and holding))
    )


def circuit(
    network: Network,
    driven: Sequence[bool],
    *,
    wires: bool = True,
    charged: bool = False,
    kinds: Sequence[Hashable] | None = None,
) -> Circuit:
    """Return the circuit of a network whose nets are driven as ``driven`` says.

    Parameters
    ----------
    wires
        False leaves out all wire and line-end resistances (fidelity ``ideal``).
    charged
        Nodes will hold charge (see `Circuit.shunted`), so an array without any tied end keeps its voltages.
    kinds
        One value per array: only arrays of equal kind are stacked.
    """
    tied = dict(zip(network.nets, driven, strict=True))
    tied.update(dict.fromkeys(_joined_floating(network, driven, charged), True))
    factor, ground = 1.0 if wires else 0.0, _LEAK if charged else _TO_GROUND
    parts = [_lines(network, array, tied, factor, ground) for array in network.arrays]
    joined = JoinedNetwork(parts, len(network.nets), kinds)
    following = tuple(_following(network, stack, tied) for stack in joined.stacks)
    losses = tuple(_losses(network, stack, factor) for stack in joined.stacks)
    return Circuit(joined, following, losses)


def _sides(array: CrossbarArray) -> tuple[tuple[str | None, ...], ...]:
    """Return the nets at left, right, top and bottom, None at open ends."""
    sides = ((array.left, array.rows), (array.right, array.rows), (array.top, array.columns), (array.bottom, array.columns))  # fmt: skip
    return tuple(names if names is not None else (None,) * count for names, count in sides)


def _lines(
    network: Network, array: CrossbarArray, tied: dict[str, bool], factor: float, ground: float
) -> JoinedArray:
    """Return the lines of one array with the net at every end."""
    rows, columns = array.shape
    nets = [
        np.array([network.net_index[n] if n is not None and tied[n] else -1 for n in names], dtype=np.intp)
        for names in _sides(array)
    ]
    word, bit = _scaled(array.word_segments, factor), _scaled(array.bit_segments, factor)
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
    return JoinedArray(system, np.zeros((rows, columns)), *nets)


def _scaled(segments: FloatArray, factor: float) -> FloatArray:
    """Return the segments, or shorts where ``factor`` is 0; a broken one stays open."""
    return segments if factor else np.where(np.isfinite(segments), 0.0, np.inf)


def _following(network: Network, stack: LineStack, tied: dict[str, bool]) -> FollowingEnds:
    """Return the floating nets at single line ends of a stack's members."""
    node = np.arange(2 * stack.shape[0] * stack.shape[1]).reshape(2, *stack.shape)
    nets: list[int] = []
    places: list[int] = []
    for k, first, end in zip(stack.members, stack.firsts[:-1], stack.firsts[1:], strict=True):
        own = node[:, first:end]
        nodes = (own[0, :, 0], own[0, :, -1], own[1, 0], own[1, -1])
        for names, at in zip(_sides(network.arrays[k]), nodes, strict=True):
            for name, place in zip(names, at.tolist(), strict=True):
                if name is not None and not tied[name]:
                    nets.append(network.net_index[name])
                    places.append(place)
    return FollowingEnds(np.array(nets, dtype=np.intp), np.array(places, dtype=np.intp))


def _losses(network: Network, stack: LineStack, factor: float) -> WireLoss:
    """Return the resistances of a stack that turn current into heat; open ones carry none."""
    arrays = [network.arrays[k] for k in stack.members]
    words = [_heating(array.word_segments, factor) for array in arrays]
    bits = [_heating(array.bit_segments, factor) for array in arrays]
    word = np.concatenate([part[:, 1:-1] for part in words])
    between = np.zeros((1, stack.shape[1]))
    inner = [np.concatenate((part[1:-1], between)) for part in bits]
    segments = (
        np.concatenate([part[:, 0] for part in words]),
        np.concatenate([part[:, -1] for part in words]),
        np.stack([part[0] for part in bits]),
        np.stack([part[-1] for part in bits]),
    )
    rows = [array.rows for array in arrays]
    terminations = (
        factor * np.repeat([array.r_left for array in arrays], rows),
        factor * np.repeat([array.r_right for array in arrays], rows),
        factor * np.array([[array.r_top] for array in arrays]),
        factor * np.array([[array.r_bottom] for array in arrays]),
    )
    return WireLoss(word, np.concatenate(inner)[:-1], segments, terminations)


def _heating(segments: FloatArray, factor: float) -> FloatArray:
    return np.where(np.isfinite(segments), factor, 0.0) * np.where(np.isfinite(segments), segments, 0.0)
