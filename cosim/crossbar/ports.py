"""A linear array reduced to its line ends: a dense conductance network, exact, for a larger network or for ngspice.

In a phase in which every cell is a plain resistor and no line stores charge, all that the rest of the world sees of
an array is ``i = F v`` at its tied line ends (`cosim.crossbar.tree`). `PortModel` holds ``F``; as resistors
between every two ports it is the same network in any circuit simulator. What is gained is nodes: 128 instead of
8,192 at 64x64. Resistors: 8,128 instead of 12,288 there, ``p (p - 1) / 2`` against about ``3 m n``; a port more
than ``sqrt(6 m n)`` and there are more of them than before.

Arrays that share lines, some of them floating, are solved from their port models alone by `solve_ports`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from cosim.crossbar.line_build import check_conductance
from cosim.crossbar.line_values import FloatArray, LineSolution, LineSystem
from cosim.crossbar.lines import broadcast_drives
from cosim.crossbar.nodal import IntArray, JoinedArray
from cosim.crossbar.tree import LineTree, one_thread
from cosim.errors import CrossbarError

SIDES = ("left", "right", "top", "bottom")

_NOTHING = 1e-17
"""A conductance between two ports below this part of the largest entry is left out: it is below its rounding."""


class PortResistor(NamedTuple):
    """A resistor of a port model: ports ``first`` and ``second`` (None is ground), ``resistance`` [ohm]."""

    first: int
    second: int | None
    resistance: float


class Size(NamedTuple):
    """Nodes and resistors of a network."""

    nodes: int
    resistors: int


class PortModel:
    """A linear array reduced to its tied line ends.

    Parameters
    ----------
    system
        Wires and ends. Ends with an infinite resistance are no ports.
    conductance
        Cells [S], ``(rows, columns)``.
    keep
        Keep what `expand` needs.

    Raises
    ------
    CrossbarError
        A conductance is refused, a wire is broken, or two nets are joined by 0 ohm.
    """

    def __init__(self, system: LineSystem, conductance: FloatArray, *, keep: bool = False) -> None:
        g = np.asarray(conductance, dtype=np.float64)
        if g.shape != (system.rows, system.columns):
            raise CrossbarError(f"conductance must have shape {system.rows, system.columns}, not {g.shape}")
        check_conductance(g)
        self.system = system
        self._tree = LineTree(system, g, keep=keep)
        response = self._tree.response
        self.conductance: FloatArray = 0.5 * (response + response.T)
        """``F`` [S], ``(ports, ports)``: currents into the array from the voltages of the ports."""
        ends = self._tree.ends
        self.side: IntArray = ends.side[ends.tied]
        """Of each port: 0 left, 1 right, 2 top, 3 bottom."""
        self.line: IntArray = ends.line[ends.tied]
        """Of each port: row or column."""

    @property
    def ports(self) -> int:
        """Number of ports."""
        return int(self.side.size)

    def port_name(self, port: int) -> str:
        """Return the side and the line of a port, as in ``left3``."""
        return f"{SIDES[self.side[port]]}{self.line[port]}"

    def as_resistors(self) -> list[PortResistor]:
        """Return the resistors between every two ports; to ground only where the array has shunts."""
        matrix = self.conductance
        least = _NOTHING * float(np.abs(matrix).max(initial=0.0))
        first, second = np.nonzero(np.triu(matrix < -least, 1))
        found = [
            PortResistor(int(i), int(j), 1.0 / -float(matrix[i, j]))
            for i, j in zip(first, second, strict=True)
        ]
        if self.system.shunt_word is not None or self.system.shunt_bit is not None:
            sums = matrix.sum(axis=1)
            found += [
                PortResistor(k, None, 1.0 / float(sums[k])) for k in np.flatnonzero(sums > least).tolist()
            ]
        return found

    def netlist(self, node: Callable[[str], str] = str, prefix: str = "rp") -> list[str]:
        """Return the model as SPICE resistor lines; ``node`` names the net of a port such as ``left3``."""
        return [
            f"{prefix}{k} {node(self.port_name(r.first))} "
            f"{'0' if r.second is None else node(self.port_name(r.second))} {r.resistance:.17e}"
            for k, r in enumerate(self.as_resistors())
        ]

    def sizes(self) -> tuple[Size, Size]:
        """Return nodes and resistors of the model, and of the array that it stands for."""
        system = self.system
        m, n = system.rows, system.columns
        segments = np.count_nonzero(np.broadcast_to(system.r_word, (m, n - 1)))
        segments += np.count_nonzero(np.broadcast_to(system.r_bit, (m - 1, n)))
        cells = np.count_nonzero(self._tree.conductance)
        whole = Size(2 * m * n + self.ports, int(segments + cells) + self.ports)
        return Size(self.ports, len(self.as_resistors())), whole

    def currents(self, port_voltage: ArrayLike) -> FloatArray:
        """Return the currents into the array [A], ``(..., ports)``, at port voltages [V] of the same shape."""
        out: FloatArray = np.asarray(port_voltage, dtype=np.float64) @ self.conductance
        return out

    def expand(
        self,
        v_left: ArrayLike = 0.0,
        v_right: ArrayLike = 0.0,
        v_top: ArrayLike = 0.0,
        v_bottom: ArrayLike = 0.0,
    ) -> LineSolution:
        """Return everything inside of the array; arguments as `cosim.crossbar.lines.solve_lines`.

        Raises
        ------
        CrossbarError
            The model was made with ``keep=False``.
        """
        batch, drive = broadcast_drives((v_left, v_right, v_top, v_bottom), self.system)
        return self._tree.solve((drive[0], drive[1], drive[2], drive[3]), batch)


@dataclass(frozen=True, slots=True, eq=False)
class PortArray:
    """A port model in a larger network: the net at every line end, as in `JoinedArray`.

    ``left`` and ``right`` ``(rows,)``, ``top`` and ``bottom`` ``(columns,)``: indices of nets, or one for all.
    A port without a net (-1) floats.
    """

    model: PortModel
    left: IntArray | int = -1
    right: IntArray | int = -1
    top: IntArray | int = -1
    bottom: IntArray | int = -1

    def port_nets(self) -> IntArray:
        """Net of every port, -1 for none, ``(ports,)``."""
        model = self.model
        m, n = model.system.rows, model.system.columns
        sides = ((self.left, m), (self.right, m), (self.top, n), (self.bottom, n))
        nets = [np.broadcast_to(np.asarray(net, dtype=np.intp), (size,)) for net, size in sides]
        return np.array([nets[s][k] for s, k in zip(model.side, model.line, strict=True)], dtype=np.intp)


@dataclass(frozen=True, slots=True, eq=False)
class PortSolution:
    """Answer of a network of port models."""

    net_voltage: FloatArray
    """Every net [V], ``(nets,)``; floating nets solved."""
    net_current: FloatArray
    """From every net into the arrays [A], ``(nets,)``."""
    port_voltage: tuple[FloatArray, ...]
    """Of each member [V], ``(ports,)``."""
    port_current: tuple[FloatArray, ...]
    """Into each member [A], ``(ports,)``."""

    def side(self, members: Sequence[PortArray], member: int, name: str) -> FloatArray:
        """Return the currents into one side of a member [A], in the order of its tied lines."""
        chosen: FloatArray = self.port_current[member][members[member].model.side == SIDES.index(name)]
        return chosen


def reduce_array(array: JoinedArray) -> PortArray:
    """Return a member of a joined network as a port model with the same nets."""
    return PortArray(
        PortModel(array.system, array.conductance), array.left, array.right, array.top, array.bottom
    )


def solve_ports(members: Sequence[PortArray | JoinedArray], net_voltage: ArrayLike) -> PortSolution:
    """Solve arrays on shared nets from their port models.

    Parameters
    ----------
    members
        Port models with their nets; a `JoinedArray` is reduced first.
    net_voltage
        Every net [V], ``(nets,)``; NaN floats.

    Raises
    ------
    CrossbarError
        No net is driven, or a member names a net that does not exist.
    """
    arrays = [reduce_array(member) if isinstance(member, JoinedArray) else member for member in members]
    given = np.asarray(net_voltage, dtype=np.float64)
    if not np.isfinite(given).any():
        raise CrossbarError("no net is driven, so no voltage is defined: give one net a voltage")
    nets, total = _net_numbers(arrays, given.size)
    matrix = np.zeros((total, total))
    for array, net in zip(arrays, nets, strict=True):
        np.add.at(matrix, (net[:, None], net), array.model.conductance)
    volts = np.concatenate([given, np.full(total - given.size, np.nan)])
    floating = np.isnan(volts)
    volts[floating] = 0.0
    for _round in range(2 if floating.any() else 0):
        volts[floating] += _settle(matrix[np.ix_(floating, floating)], -(matrix[floating] @ volts))
    ports = tuple(volts[net] for net in nets)
    currents = tuple(array.model.currents(v) for array, v in zip(arrays, ports, strict=True))
    into = np.zeros(total)
    for net, current in zip(nets, currents, strict=True):
        np.add.at(into, net, current)
    return PortSolution(volts[: given.size], into[: given.size], ports, currents)


def _net_numbers(arrays: Sequence[PortArray], count: int) -> tuple[list[IntArray], int]:
    """Net of every port of every member; ports without a net get one of their own."""
    numbers = []
    total = count
    for k, array in enumerate(arrays):
        net = array.port_nets()
        bad = np.flatnonzero((net < -1) | (net >= count))
        if bad.size:
            raise CrossbarError(
                f"port {array.model.port_name(int(bad[0]))} of member {k} must be at a net from 0 to {count - 1} "
                f"or at none (-1), not {net[bad[0]]}"
            )
        alone = np.flatnonzero(net == -1)
        net = net.copy()
        net[alone] = total + np.arange(alone.size)
        total += alone.size
        numbers.append(net)
    return numbers, total


def _settle(matrix: FloatArray, wanted: FloatArray) -> FloatArray:
    """Voltages that drive ``wanted`` into the floating nets; nets without any connection stay at 0 V."""
    alone = np.diag(matrix) <= 0.0
    matrix = matrix.copy()
    matrix[alone], matrix[:, alone] = 0.0, 0.0
    matrix[alone, alone] = 1.0
    scale = 1.0 / np.sqrt(np.diag(matrix))
    balanced, right = matrix * scale * scale[:, None], scale * np.where(alone, 0.0, wanted)
    with one_thread():
        try:
            lower = np.linalg.cholesky(balanced)
            solved = np.linalg.solve(lower.T, np.linalg.solve(lower, right))
        except np.linalg.LinAlgError:  # nets joined to one another and to nothing else
            solved = np.linalg.lstsq(balanced, right, rcond=1e-14)[0]
    found: FloatArray = scale * solved
    return found
