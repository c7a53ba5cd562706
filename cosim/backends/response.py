"""The solved network at single instants, and the powers of a phase from its instants.

A `Prepared` network knows its line systems and where the nets lie. A `Response` is its solution at one
instant; `Ledger` collects responses with their quadrature weights and computes all powers of a phase in
one pass at its end: dissipation from branch currents (i²/G, i²R), delivery from v·i at the nets. The
two agree only where the network is solved.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cosim.crossbar.backend import Energy
from cosim.crossbar.dense import DenseSystem
from cosim.crossbar.drive import Phase
from cosim.crossbar.lines import (
    DEFAULT_TOLERANCE,
    MAX_ITERATIONS,
    LineSolution,
    LineSystem,
    find_kernel,
    run_kernel,
    solve_lines,
)
from cosim.crossbar.network import CrossbarArray, Ends, Network
from cosim.devices.base import FloatArray

ArraySolver = Callable[[LineSystem, FloatArray, list[FloatArray]], LineSolution]
"""Solves one array: wires, cells [S], voltages of the nets at the four sides ``(instants, lines)``."""

_OPEN = 1e-300
NO_INJECTION = (np.zeros((0, 0)), np.zeros((0, 0)))
NO_START = (np.zeros((0, 0, 0)), np.zeros((0, 0)))


class ArrayResponse(NamedTuple):
    """One array at one instant: cell voltage and current ``(rows, columns)``, end currents by side."""

    voltage: FloatArray
    current: FloatArray
    left: FloatArray
    right: FloatArray
    top: FloatArray
    bottom: FloatArray


class Response(NamedTuple):
    """All arrays at one instant; ``net_voltage`` and ``net_current`` ``(nets,)`` [V, A into the array]."""

    arrays: tuple[ArrayResponse, ...]
    net_voltage: FloatArray
    net_current: FloatArray
    residual: float


class Side(NamedTuple):
    """One side of an array: the net of each line end (-1: none), which ends are driven.

    ``targets`` are the nets of the driven ends; ``distinct`` says that none occurs twice, ``all_driven``
    that no end is open.
    """

    nets: NDArray[np.intp]
    driven: NDArray[np.bool_]
    floating: bool
    targets: NDArray[np.intp]
    distinct: bool
    all_driven: bool


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """A network with its floating nets fixed; ``wires`` is False for fidelity ``ideal``."""

    network: Network
    systems: tuple[LineSystem, ...]
    dense: tuple[DenseSystem | None, ...]
    sides: tuple[tuple[Side, Side, Side, Side], ...]
    wires: bool


def _side(network: Network, ends: Ends | None, count: int, driven: tuple[bool, ...]) -> Side:
    names: Ends = ends if ends is not None else (None,) * count
    nets = np.array([-1 if net is None else network.net_index[net] for net in names], dtype=np.intp)
    mask = np.array([index >= 0 and driven[index] for index in nets], dtype=np.bool_)
    targets = nets[mask]
    distinct = len(set(targets.tolist())) == len(targets)
    return Side(nets, mask, bool(np.any((nets >= 0) & ~mask)), targets, distinct, bool(mask.all()))


@lru_cache(maxsize=256)
def prepare(network: Network, driven: tuple[bool, ...] | None, wires: bool) -> Prepared:
    """Return the line systems of a network whose nets are driven or floating as ``driven`` says; None: all driven."""
    if driven is None:
        driven = (True,) * len(network.nets)
    systems, sides = [], []
    factor = 1.0 if wires else 0.0
    for array in network.arrays:
        four = (
            _side(network, array.left, array.rows, driven),
            _side(network, array.right, array.rows, driven),
            _side(network, array.top, array.columns, driven),
            _side(network, array.bottom, array.columns, driven),
        )
        word, bit = array.word_segments * factor, array.bit_segments * factor
        segments = (word[:, 0], word[:, -1], bit[0], bit[-1])
        ends = (array.r_left, array.r_right, array.r_top, array.r_bottom)
        r_left, r_right, r_top, r_bottom = (
            np.where(side.driven, segment + factor * end, np.inf)
            for side, segment, end in zip(four, segments, ends, strict=True)
        )
        systems.append(
            LineSystem(
                array.rows, array.columns, word[:, 1:-1], bit[1:-1], r_left=r_left, r_right=r_right, r_top=r_top,
                r_bottom=r_bottom,
            )
        )  # fmt: skip
        sides.append(four)
    dense = tuple(DenseSystem(system) if DenseSystem.fits(system) else None for system in systems)
    return Prepared(network, tuple(systems), dense, tuple(sides), wires)


def conducting_rows(array: CrossbarArray, phase: Phase) -> tuple[bool, ...] | None:
    """Return which rows conduct, or None where the array has no gates."""
    if array.gates is None:
        return None
    threshold, drives = array.cell.opens_below, phase.drives
    driven = {net for net in array.gates if net in drives and phase.gate_level(net) > threshold}
    return tuple(map(driven.__contains__, array.gates))


def gate_levels(array: CrossbarArray, phase: Phase) -> tuple[float, ...] | None:
    """Return the gate voltage of every row [V] where the currents of cells depend on it, else None."""
    if array.gates is None or array.cell.linear:
        return None
    return tuple(phase.gate_level(net) for net in array.gates)


def solve(
    prepared: Prepared,
    conductance: tuple[FloatArray, ...],
    drives: FloatArray,
    solver: ArraySolver | None = None,
) -> list[Response]:
    """Return the responses to net voltages ``drives`` ``(instants, nets)`` [V]; NaN where a net floats.

    ``conductance``: per array, what the lines see of each cell [S]. ``solver``: solves an array in place of
    `solve_array` and of the dense matrix of small arrays.
    """
    voltage = np.where(drives == drives, drives, 0.0)
    net_voltage, net_current = drives.copy(), np.zeros_like(voltage)
    residual = 0.0
    solved = []
    for system, dense, sides, cells in zip(
        prepared.systems, prepared.dense, prepared.sides, conductance, strict=True
    ):
        left, _, _, bottom = sides
        if dense is not None and solver is None:
            small = dense.solve(cells, voltage[:, left.nets], voltage[:, bottom.nets])
            _add_to_nets(net_current, left, small.word)
            _add_to_nets(net_current, bottom, small.bit)
            residual = max(residual, small.residual)
            idle = np.zeros_like(small.word), np.zeros_like(small.bit)
            solved.append((small.voltage, small.current, small.word, idle[0], idle[1], small.bit))
            continue
        solution = (solver or solve_array)(system, cells, [voltage[:, side.nets] for side in sides])
        ends = (solution.i_left, solution.i_right, solution.i_top, solution.i_bottom)
        for side, current in zip(sides, ends, strict=True):
            _add_to_nets(net_current, side, current)
        if any(side.floating for side in sides):
            _floating_voltages(net_voltage, sides, solution.word_voltage, solution.bit_voltage)
        residual = max(residual, _kcl_residual(solution.stats))
        solved.append((solution.word_voltage - solution.bit_voltage, solution.cell_current, *ends))
    return [
        Response(
            tuple(ArrayResponse(*(part[k] for part in parts)) for parts in solved),
            net_voltage[k],
            net_current[k],
            residual,
        )
        for k in range(len(drives))
    ]


def solve_array(system: LineSystem, cells: FloatArray, drive: list[FloatArray]) -> LineSolution:
    """Return `solve_lines` for drives that are known to fit: without its checks, which cost as much."""
    if system.prepared.shorted:
        return solve_lines(system, cells, *drive)
    return run_kernel(
        system, cells, (len(drive[0]),), (drive[0], drive[1], drive[2], drive[3]), NO_INJECTION, NO_START,
        find_kernel("auto"), (0, True, 0.1 * DEFAULT_TOLERANCE, DEFAULT_TOLERANCE, MAX_ITERATIONS),
    )  # fmt: skip


def _add_to_nets(net_current: FloatArray, side: Side, current: FloatArray) -> None:
    if not side.targets.size:
        return
    live = current if side.all_driven else current[:, side.driven]
    if side.distinct:
        net_current[:, side.targets] += live
    else:
        for position, net in enumerate(side.targets):
            net_current[:, net] += live[:, position]


def _floating_voltages(
    net_voltage: FloatArray, sides: tuple[Side, Side, Side, Side], word: FloatArray, bit: FloatArray
) -> None:
    """Fill in the voltage of the nets that float: that of the node at their line's end."""
    nodes = (word[:, :, 0], word[:, :, -1], bit[:, 0, :], bit[:, -1, :])
    for side, node in zip(sides, nodes, strict=True):
        floating = (side.nets >= 0) & ~side.driven
        if floating.any():
            net_voltage[:, side.nets[floating]] = node[:, floating]


def _kcl_residual(stats: FloatArray) -> float:
    """Return the summed Kirchhoff residual relative to the largest line current, the worst of a batch."""
    missed, largest = stats[..., 1], stats[..., 3]
    return float((missed / np.where(largest > 0, largest, 1.0)).max(initial=0.0))


def silent(prepared: Prepared, drives: FloatArray) -> Response:
    """Return the response of a network whose driven nets are all at 0 V."""
    arrays = []
    for array in prepared.network.arrays:
        cells, word, bit = np.zeros(array.shape), np.zeros(array.rows), np.zeros(array.columns)
        arrays.append(ArrayResponse(cells, cells, word, word, bit, bit))
    nothing = np.zeros(len(drives))
    return Response(tuple(arrays), nothing, nothing, 0.0)


def scaled(response: Response, factor: float) -> Response:
    """Return the response to drives that are ``factor`` times as large (same state)."""
    return Response(
        tuple(ArrayResponse(*(factor * part for part in array)) for array in response.arrays),
        factor * response.net_voltage,
        factor * response.net_current,
        response.residual,
    )


def average(first: Response, second: Response) -> Response:
    """Return the response half-way between two of the same state."""
    return Response(
        tuple(
            ArrayResponse(*(0.5 * (a + b) for a, b in zip(one, other, strict=True)))
            for one, other in zip(first.arrays, second.arrays, strict=True)
        ),
        0.5 * (first.net_voltage + second.net_voltage),
        0.5 * (first.net_current + second.net_current),
        max(first.residual, second.residual),
    )


@dataclass(slots=True)
class Ledger:
    """Responses with the weights [s] that their powers and their currents have in a phase.

    ``device``: per array, the device conductances [S] that belong to the response.
    """

    prepared: Prepared
    responses: list[Response] = field(default_factory=list)
    devices: list[tuple[FloatArray, ...]] = field(default_factory=list)
    power_weights: list[float] = field(default_factory=list)
    charge_weights: list[float] = field(default_factory=list)

    def add(
        self, response: Response, device: tuple[FloatArray, ...], power_s: float, charge_s: float
    ) -> None:
        """Add a response; one that is there already (the same object) only gains weight."""
        if self.responses and self.responses[-1] is response:
            self.power_weights[-1] += power_s
            self.charge_weights[-1] += charge_s
            return
        self.responses.append(response)
        self.devices.append(device)
        self.power_weights.append(power_s)
        self.charge_weights.append(charge_s)

    def linear(
        self, first: Response, second: Response, device: tuple[FloatArray, ...], duration_s: float
    ) -> None:
        """Add a stretch over which the drives go linearly from one response to another, same state.

        Power is then a parabola in time, so the Simpson rule is exact.
        """
        if first is second:
            self.add(first, device, duration_s, duration_s)
            return
        if not first.net_voltage.any() or not second.net_voltage.any():
            live = second if second.net_voltage.any() else first
            self.add(live, device, duration_s / 3, duration_s / 2)
            return
        self.add(first, device, duration_s / 6, duration_s / 6)
        self.add(average(first, second), device, 4 * duration_s / 6, 4 * duration_s / 6)
        self.add(second, device, duration_s / 6, duration_s / 6)

    def close(self) -> tuple[Energy, FloatArray, float]:
        """Return the energies of the phase, the charge into each net [C], the worst KCL residual."""
        nets = len(self.prepared.network.nets)
        if not self.responses:
            cells = tuple(np.zeros(array.shape) for array in self.prepared.network.arrays)
            return Energy(np.zeros(nets), np.zeros(nets), cells, 0.0, 0.0, 0.0), np.zeros(nets), 0.0
        weights, charge_weights = np.array(self.power_weights), np.array(self.charge_weights)
        current = np.array([response.net_current for response in self.responses])
        power = np.array([response.net_voltage for response in self.responses]) * current
        delivered = weights @ np.maximum(power, 0.0)
        absorbed = weights @ np.maximum(-power, 0.0)
        in_arrays: list[FloatArray] = []
        access, wires, ends = 0.0, 0.0, 0.0
        for index, array in enumerate(self.prepared.network.arrays):
            in_cells, in_access, in_wires, in_ends = self._dissipated(index, array, weights)
            in_arrays.append(in_cells)
            access, wires, ends = access + in_access, wires + in_wires, ends + in_ends
        energy = Energy(delivered, absorbed, tuple(in_arrays), access, wires, ends)
        return energy, charge_weights @ current, max(response.residual for response in self.responses)

    def _dissipated(
        self, index: int, array: CrossbarArray, weights: FloatArray
    ) -> tuple[FloatArray, float, float, float]:
        """Return cells ``(rows, columns)``, access devices, wires, line ends [J] of one array."""
        cells, access, wires, ends = np.zeros(array.shape), 0.0, 0.0, 0.0
        word, bit, losses = array.word_segments, array.bit_segments, array.end_losses
        for response, devices, weight in zip(self.responses, self.devices, weights.tolist(), strict=True):
            part = response.arrays[index]
            current = part.current
            squared = weight * (current * current)
            cells += squared / np.maximum(devices[index], _OPEN)  # an open cell has no current
            access += float(squared.sum())
            if not self.prepared.wires:
                continue
            along = part.left[:, None] - np.cumsum(current, axis=1)[:, :-1]
            wires += weight * float(np.vdot(along * along, word[:, 1:-1]))
            along = part.top + np.cumsum(current, axis=0)[:-1]
            wires += weight * float(np.vdot(along * along, bit[1:-1]))
            lines = np.concatenate((part.left, part.right, part.top, part.bottom))
            in_segments, in_ends = losses @ (lines * lines)
            wires, ends = wires + weight * float(in_segments), ends + weight * float(in_ends)
        return cells, array.cell.series_resistance * access, wires, ends
