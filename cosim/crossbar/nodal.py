"""The reference: direct nodal analysis of any number of arrays whose line ends are joined by nets.

Every resistor is a branch; branches of 0 ohm merge their nodes, open ones are left out, and driven nets
are known. The Laplacian of what is left is factored by SuperLU in a nested-dissection order (cutting an
array between columns needs one column of *word* nodes, between rows one row of *bit* nodes, as
separator), then refined. Node voltages are kept as unevaluated sums ``high + low``, so that voltage
differences, and with them branch currents, keep full relative accuracy where the plain difference of two
nearly equal voltages would not (floating lines, wires of milliohms beside cells of gigaohms).

Slower than the line solver and independent of it: tests compare the two, and `cosim.crossbar.solve` falls
back to it where conjugate gradients do not converge.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import coo_array, csc_array
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import splu
from threadpoolctl import threadpool_limits

from cosim.crossbar.lines import LineSolution, LineSystem, broadcast_drives, refuse_conductance
from cosim.errors import CrossbarError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cosim.crossbar.lines import FloatArray

IntArray = NDArray[np.intp]

_LEAF = 6
"""Blocks of at most this many rows or columns are not dissected further."""


@dataclass(frozen=True, slots=True, eq=False)
class JoinedArray:
    """One array of a joined network: its wires, its cells and the net at every line end.

    ``left`` and ``right`` ``(rows,)``, ``top`` and ``bottom`` ``(columns,)`` hold indices of nets, or
    one index for all; -1 (or an infinite end resistance) leaves the end open.
    """

    system: LineSystem
    conductance: FloatArray
    left: IntArray | int = -1
    right: IntArray | int = -1
    top: IntArray | int = -1
    bottom: IntArray | int = -1

    def nets(self) -> tuple[IntArray, IntArray, IntArray, IntArray]:
        """Net of every line end: left, right ``(rows,)``, top, bottom ``(columns,)``; -1 is open."""
        m, n = self.system.rows, self.system.columns
        given = ((self.left, m), (self.right, m), (self.top, n), (self.bottom, n))
        left, right, top, bottom = (
            np.broadcast_to(np.asarray(net, dtype=np.intp), (size,)) for net, size in given
        )
        return left, right, top, bottom


@dataclass(frozen=True, slots=True, eq=False)
class JoinedSolution:
    """Answer of a joined network."""

    net_voltage: FloatArray
    """Every net [V], ``(nets,)``; floating nets solved."""
    net_current: FloatArray
    """From every net into the arrays [A], ``(nets,)``; 0 within the error bound at floating nets."""
    arrays: tuple[LineSolution, ...]
    error_bound: float
    """No current is wrong by more than this [A]."""


@dataclass(slots=True)
class _Branches:
    """All resistors: from node, to node, conductance (``inf`` is a short)."""

    first: list[IntArray]
    second: list[IntArray]
    conductance: list[FloatArray]

    def add(self, first: ArrayLike, second: ArrayLike, resistance: ArrayLike) -> None:
        """Add resistors; open ones are left out."""
        a, b, r = np.broadcast_arrays(
            np.asarray(first), np.asarray(second), np.asarray(resistance, dtype=np.float64)
        )
        keep = np.isfinite(r) & (a >= 0) & (b >= 0)
        with np.errstate(divide="ignore"):
            self.conductance.append(1.0 / r[keep])
        self.first.append(a[keep].astype(np.intp))
        self.second.append(b[keep].astype(np.intp))


def solve_joined_nodal(arrays: Sequence[JoinedArray], net_voltage: ArrayLike) -> JoinedSolution:
    """Solve arrays joined by nets directly.

    Parameters
    ----------
    arrays
        The arrays with the net at every line end.
    net_voltage
        Voltage of every net [V], ``(nets,)``; NaN lets the net float.

    Raises
    ------
    CrossbarError
        A conductance or a net index is refused, no net is driven, or two driven nets of different
        voltage are joined by 0 ohm.
    """
    given = np.asarray(net_voltage, dtype=np.float64)
    check_joined(arrays, given)
    starts = np.cumsum([given.size, *(2 * a.conductance.size for a in arrays)])
    branches = _branches(arrays, starts)
    first, second = np.concatenate(branches.first), np.concatenate(branches.second)
    g = np.concatenate(branches.conductance)
    label, value, known = _merge(first, second, g, given, int(starts[-1]))
    order = _order(arrays, starts, label, known, given.size)
    high, low, residual = _solve_refined(label[first], label[second], g, value, order)
    high, low = high[label], low[label]
    solutions = tuple(_unpack(a, int(s), high, low, given.size) for a, s in zip(arrays, starts, strict=False))
    current = np.zeros(given.size)
    for array, solution in zip(arrays, solutions, strict=True):
        for net, into in zip(
            array.nets(), (solution.i_left, solution.i_right, solution.i_top, solution.i_bottom), strict=True
        ):
            np.add.at(current, net[net >= 0], into[net >= 0])
    return JoinedSolution(high[: given.size] + low[: given.size], current, solutions, residual)


def check_joined(arrays: Sequence[JoinedArray], net_voltage: FloatArray) -> None:
    """Refuse bad conductances, net indices and undriven networks."""
    if not np.isfinite(net_voltage).any():
        raise CrossbarError("no net is driven, so no voltage is defined: give one net a voltage")
    if np.isinf(net_voltage).any():
        raise CrossbarError(
            f"net_voltage[{np.flatnonzero(np.isinf(net_voltage))[0]}] must be finite, or NaN to float"
        )
    for k, array in enumerate(arrays):
        g = array.conductance
        if g.shape != (array.system.rows, array.system.columns):
            raise CrossbarError(
                f"conductance of array {k} must have shape ({array.system.rows}, {array.system.columns}), not {g.shape}"
            )
        bad = np.flatnonzero(~((g >= 0) & (g < np.inf)))
        if bad.size:
            refuse_conductance(g, int(bad[0]))
        for name, nets in zip(("left", "right", "top", "bottom"), array.nets(), strict=True):
            out = np.flatnonzero((nets < -1) | (nets >= net_voltage.size))
            if out.size:
                raise CrossbarError(
                    f"{name}[{out[0]}] of array {k} must be a net from 0 to {net_voltage.size - 1} or -1, not {nets[out[0]]}"
                )


def _branches(arrays: Sequence[JoinedArray], starts: IntArray) -> _Branches:
    branches = _Branches([], [], [])
    for array, start in zip(arrays, starts, strict=False):
        system = array.system
        m, n = system.rows, system.columns
        word = int(start) + np.arange(m * n).reshape(m, n)
        bit = word + m * n
        left, right, top, bottom = array.nets()
        branches.add(word[:, :-1], word[:, 1:], system.r_word)
        branches.add(bit[:-1], bit[1:], system.r_bit)
        with np.errstate(divide="ignore"):
            branches.add(word, bit, 1.0 / array.conductance)
        branches.add(left, word[:, 0], system.r_left)
        branches.add(right, word[:, -1], system.r_right)
        branches.add(top, bit[0], system.r_top)
        branches.add(bottom, bit[-1], system.r_bottom)
    return branches


def _merge(
    first: IntArray, second: IntArray, g: FloatArray, given: FloatArray, nodes: int
) -> tuple[IntArray, FloatArray, NDArray[np.bool_]]:
    """Merge shorted nodes; return label of every node, value of every label (NaN unknown), known labels."""
    short = np.isinf(g)
    ones = np.ones(int(short.sum()))
    count, label = connected_components(
        coo_array((ones, (first[short], second[short])), shape=(nodes, nodes)), False
    )
    value = np.full(count, np.nan)
    for net in np.flatnonzero(np.isfinite(given)):
        at = label[net]
        if np.isfinite(value[at]) and value[at] != given[net]:
            raise CrossbarError(f"net {net} is joined by 0 ohm to another driven net of a different voltage")
        value[at] = given[net]
    a, b = label[first[~short]], label[second[~short]]
    islands, island = connected_components(coo_array((np.ones(a.size), (a, b)), shape=(count, count)), False)
    driven = np.zeros(islands, dtype=bool)
    driven[island[np.isfinite(value)]] = True
    value[~driven[island]] = 0.0
    return label.astype(np.intp), value, np.isfinite(value)


def _order(
    arrays: Sequence[JoinedArray], starts: IntArray, label: IntArray, known: NDArray[np.bool_], nets: int
) -> IntArray:
    """Unknown labels in elimination order; a merged node stands where its last node would."""
    sequence = [
        dissection(a.system.rows, a.system.columns) + int(s) for a, s in zip(arrays, starts, strict=False)
    ]
    labels = label[np.concatenate([*sequence, np.arange(nets, dtype=np.intp)])]
    _, last = np.unique(labels[::-1], return_index=True)
    ordered = labels[::-1][np.sort(last)[::-1]]
    unknown: IntArray = ordered[~known[ordered]]
    return unknown


def dissection(rows: int, columns: int) -> IntArray:
    """Nested-dissection order of the ``2 * rows * columns`` nodes of one array (word nodes first)."""
    word = np.arange(rows * columns).reshape(rows, columns)
    taken = np.zeros((2, rows, columns), dtype=bool)
    parts: list[IntArray] = []

    def visit(r0: int, r1: int, c0: int, c1: int) -> None:
        height, width = r1 - r0, c1 - c0
        if max(height, width) <= _LEAF:
            for kind in (0, 1):
                free = ~taken[kind, r0:r1, c0:c1]
                parts.append(word[r0:r1, c0:c1][free] + kind * rows * columns)
            return
        if width >= height:
            cut = (c0 + c1) // 2
            kind, box = 0, np.s_[r0:r1, cut : cut + 1]
            halves = ((r0, r1, c0, cut), (r0, r1, cut, c1))
        else:
            cut = (r0 + r1) // 2
            kind, box = 1, np.s_[cut : cut + 1, c0:c1]
            halves = ((r0, cut, c0, c1), (cut, r1, c0, c1))
        separator = word[box][~taken[kind][box]] + kind * rows * columns
        taken[kind][box] = True
        for half in halves:
            visit(*half)
        parts.append(separator)

    visit(0, rows, 0, columns)
    return np.concatenate(parts).astype(np.intp)


def _solve_refined(
    a: IntArray, b: IntArray, g: FloatArray, value: FloatArray, order: IntArray
) -> tuple[FloatArray, FloatArray, float]:
    """Voltages of all labels as ``high + low``, and the sum of the Kirchhoff residual left [A]."""
    live = np.isfinite(g) & (a != b)
    a, b, g = a[live], b[live], g[live]
    high = np.where(np.isfinite(value), value, 0.0)
    low = np.zeros_like(high)
    if not order.size:
        return high, low, 0.0
    place = np.full(value.size, -1)
    place[order] = np.arange(order.size)
    with threadpool_limits(1, "blas"):
        factor = splu(
            _laplacian(place[a], place[b], g, order.size),
            permc_spec="NATURAL",
            diag_pivot_thresh=0.0,
            options={"SymmetricMode": True},
        )
        best = (np.inf, high, low)
        for _step in range(30):
            current = g * ((high[a] - high[b]) + (low[a] - low[b]))
            missing = np.bincount(b, current, value.size) - np.bincount(a, current, value.size)
            residual = float(np.abs(missing[order]).sum())
            if not residual < 0.5 * best[0]:
                break
            best = (residual, high.copy(), low.copy())
            step = low[order] + factor.solve(missing[order])
            total = high[order] + step
            back = total - high[order]
            low[order] = (high[order] - (total - back)) + (step - back)
            high[order] = total
    return best[1], best[2], best[0]


def _laplacian(a: IntArray, b: IntArray, g: FloatArray, size: int) -> csc_array:
    """Conductance matrix over the unknowns; index -1 is a known node."""
    inside = (a >= 0) & (b >= 0)
    diagonal = np.bincount(a[a >= 0], g[a >= 0], size) + np.bincount(b[b >= 0], g[b >= 0], size)
    own = np.arange(size)
    rows = np.concatenate([a[inside], b[inside], own])
    columns = np.concatenate([b[inside], a[inside], own])
    values = np.concatenate([-g[inside], -g[inside], diagonal])
    return coo_array((values, (rows, columns)), shape=(size, size)).tocsc()


def _unpack(array: JoinedArray, start: int, high: FloatArray, low: FloatArray, nets: int) -> LineSolution:
    """Return the part of one array as a `LineSolution`; end currents from cell currents, as the line solver."""
    system = array.system
    m, n = system.rows, system.columns
    cells = m * n
    word, bit = (
        high[start : start + cells].reshape(m, n),
        high[start + cells : start + 2 * cells].reshape(m, n),
    )
    word_low, bit_low = (
        low[start : start + cells].reshape(m, n),
        low[start + cells : start + 2 * cells].reshape(m, n),
    )
    current = array.conductance * ((word - bit) + (word_low - bit_low))
    share_word, share_bit = (part.reshape(m, n) for part in system.prepared.lines[4:])
    *_, through_word, through_bit = system.prepared.ends
    ends = [(high[net], low[net], net >= 0) for net in array.nets()]
    i_left, i_right = _end_currents(current, share_word, through_word, ends[0], ends[1])
    i_top, i_bottom = _end_currents(-current.T, share_bit.T, through_bit, ends[2], ends[3])
    v_left, v_right, v_top, v_bottom = (np.where(tied, v + v_low, 0.0) for v, v_low, tied in ends)
    largest = max(float(np.abs(i).max()) for i in (i_left, i_right, i_top, i_bottom))
    stats = np.array([0.0, 0.0, float(np.abs(current).sum()), largest])
    return LineSolution(
        system,
        array.conductance,
        word + word_low,
        bit + bit_low,
        current,
        i_left,
        i_right,
        i_top,
        i_bottom,
        v_left,
        v_right,
        v_top,
        v_bottom,
        stats,
        "nodal",
    )


def _end_currents(
    cell: FloatArray,
    share: FloatArray,
    through: FloatArray,
    first: tuple[FloatArray, FloatArray, NDArray[np.bool_]],
    last: tuple[FloatArray, FloatArray, NDArray[np.bool_]],
) -> tuple[FloatArray, FloatArray]:
    """Currents into both ends of lines laid out as ``(lines, nodes)``."""
    between = (first[0] - last[0]) + (first[1] - last[1])
    total = cell.sum(axis=1)
    begin = np.einsum("ij,ij->i", share, cell) + np.where(through > 0, between * through, 0.0)
    return begin, np.where(last[2] & (through >= 0), total - begin, 0.0)


def solve_lines_nodal(
    system: LineSystem,
    conductance: FloatArray,
    v_left: ArrayLike = 0.0,
    v_right: ArrayLike = 0.0,
    v_top: ArrayLike = 0.0,
    v_bottom: ArrayLike = 0.0,
) -> LineSolution:
    """Solve one array and one drive directly; arguments as `cosim.crossbar.lines.solve_lines`."""
    g = np.asarray(conductance, dtype=np.float64)
    batch, drive = broadcast_drives((v_left, v_right, v_top, v_bottom), system)
    if batch:
        raise CrossbarError("the direct solver takes one drive at a time")
    volts = np.concatenate([v[0] for v in drive])
    m, n = system.rows, system.columns
    left, right, top, bottom = np.split(np.arange(volts.size, dtype=np.intp), [m, 2 * m, 2 * m + n])
    joined = solve_joined_nodal([JoinedArray(system, g, left, right, top, bottom)], volts)
    return joined.arrays[0]
