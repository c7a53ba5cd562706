"""One crossbar array with its line ends: the value types of the line system, its solve and its error bound.

Every word line is a chain of nodes from its left end to its right end, every bit line a chain from top
to bottom, and a cell of conductance ``G`` joins word node ``(i, j)`` to bit node ``(i, j)``::

    net --r_left-- W[i,0] --r_word[i,0]-- W[i,1] -- ... -- W[i,n-1] --r_right-- net
    net --r_top -- B[0,j] --r_bit[0,j]--- B[1,j] -- ... -- B[m-1,j] --r_bottom- net

A resistance of 0 is a short and ``inf`` is an open, both exact; cells are finite conductances, 0 open.

**Currents** come from the cell currents and never from a voltage difference over a small resistor: with
both ends tied, the left end carries ``(V_left - V_right)/R + sum(share * J)``, where ``share`` is the
part of the line's resistance that lies to the right of the cell. So nothing cancels as r goes to 0.

**Error bound.** Let ``rho`` be what Kirchhoff's current law misses at the nodes. The error of the
solution is the answer of the same passive network to the injected currents ``-rho``, and an ampere
injected into a network of resistors drives at most an ampere through any branch or end. So every
current is right within ``sum |rho|``. ``error_bound`` is that sum, measured by one extra sweep, plus
the rounding of the cell currents themselves.

**Islands.** Nodes without any conducting way to a net carry no current. Their voltage is reported as
0 V (an array in which no line end is tied at all is refused).
"""

from __future__ import annotations

from functools import cache
from typing import Literal, Protocol

import numpy as np
from numpy.typing import ArrayLike

from cosim.crossbar.line_values import (
    ROUNDING,
    SHORT_CONDUCTANCE,
    FloatArray,
    LineSolution,
    LineSystem,
    PreparedLines,
)
from cosim.errors import CrossbarError

__all__ = [
    "DEFAULT_TOLERANCE",
    "MAX_ITERATIONS",
    "NO_DENSE",
    "NO_START",
    "ROUNDING",
    "SHORT_CONDUCTANCE",
    "FloatArray",
    "Kernel",
    "KernelName",
    "LineSolution",
    "LineSystem",
    "PreparedLines",
    "broadcast_drives",
    "end_currents",
    "find_kernel",
    "numba_available",
    "refuse_conductance",
    "run_kernel",
    "solve_lines",
    "spread_dense",
]

KernelName = Literal["auto", "numba", "numpy"]

DEFAULT_TOLERANCE = 1e-11
"""Largest allowed Kirchhoff residual, summed over the nodes, as a part of the largest line current."""

MAX_ITERATIONS = 20_000
_CELLS_OF_GOAL = 8000.0
"""Relates the energy norm that the iteration watches to the summed residual; a bad guess costs a sweep."""


class Kernel(Protocol):
    """Solves one array for a batch of drives; arrays of cells are flat.

    ``drive`` holds v_left, v_right ``(k, rows)``,
    v_top, v_bottom ``(k, columns)``; ``dense`` currents injected into word and bit nodes ``(k, cells)``
    or ``(0, 0)``; ``start`` bit voltages and cell currents of the solution to start from
    ``(2, k, cells)``; ``change`` what is injected into bit nodes more than at that start.
    ``settings``: warm (0 no, 1 yes, 2 yes with ``goal`` relative to the start's own residual), polish,
    goal of the conjugate gradients, tolerance, most iterations. ``out``: word voltage, bit voltage
    and cell current ``(3, k, cells)``, word ends ``(2, k, rows)``, bit ends ``(2, k, columns)`` and
    ``(k, 4)``: iterations, sum of the Kirchhoff residual, sum of G |V|, largest line current.
    Returns the flat index of a refused conductance, or -1.
    """

    def __call__(
        self,
        g: FloatArray,
        prepared: PreparedLines,
        drive: tuple[FloatArray, ...],
        dense: tuple[FloatArray, FloatArray],
        change: FloatArray,
        start: FloatArray,
        out: tuple[FloatArray, ...],
        settings: tuple[int, bool, float, float, int],
    ) -> int: ...


@cache
def numba_available() -> bool:
    """Whether the compiled kernel can be used."""
    from importlib.util import find_spec

    return find_spec("numba") is not None


@cache
def find_kernel(name: KernelName) -> tuple[str, Kernel]:
    """Return the name and the function of a kernel; numba is imported here, where it is asked for."""
    if name == "numba" or (name == "auto" and numba_available()):
        if not numba_available():
            raise CrossbarError(
                'kernel "numba" needs numba, which is not installed: use "numpy" or install the extra fast'
            )
        from cosim.crossbar import pcg_numba

        return "numba", pcg_numba.solve
    if name in ("numpy", "auto"):
        from cosim.crossbar import pcg_numpy

        return "numpy", pcg_numpy.solve
    raise CrossbarError(f'kernel must be "auto", "numba" or "numpy", not "{name}"')


NO_DENSE = np.zeros((0, 0))
NO_START = np.zeros((0, 0, 0))


def solve_lines(
    system: LineSystem,
    conductance: FloatArray,
    v_left: ArrayLike = 0.0,
    v_right: ArrayLike = 0.0,
    v_top: ArrayLike = 0.0,
    v_bottom: ArrayLike = 0.0,
    *,
    injected_word: FloatArray | None = None,
    injected_bit: FloatArray | None = None,
    start: LineSolution | None = None,
    tolerance: float = DEFAULT_TOLERANCE,
    kernel: KernelName = "auto",
) -> LineSolution:
    """Solve one array exactly, for one drive or for a batch of drives.

    Parameters
    ----------
    system
        Wires and ends, prepared once.
    conductance
        Cells [S], ``(rows, columns)``; 0 is open.
    v_left, v_right
        Voltages of the nets at the word-line ends [V]: one number or ``(..., rows)``; without effect
        where the end is open.
    v_top, v_bottom
        The same at the bit-line ends, ``(..., columns)``.
    injected_word, injected_bit
        Currents injected into the nodes [A], ``(..., rows, columns)``.
    start
        An earlier solution of the same system and batch shape to start from (other cells and drives
        are fine); it saves iterations where little has changed, and never costs exactness.
    tolerance
        Bound on the summed Kirchhoff residual, relative to the largest line current.
    kernel
        ``numba``, ``numpy`` or ``auto`` (numba where it is installed).

    Raises
    ------
    CrossbarError
        A shape does not fit; a conductance is negative, NaN or infinite; a line without resistance
        lies between two different voltages.
    """
    m, n = system.rows, system.columns
    g = np.ascontiguousarray(conductance, dtype=np.float64)
    if g.shape != (m, n):
        raise CrossbarError(f"conductance must have shape ({m}, {n}), not {g.shape}")
    batch, drive = broadcast_drives((v_left, v_right, v_top, v_bottom), system, (injected_word, injected_bit))
    if injected_word is None and injected_bit is None:
        dense = (NO_DENSE, NO_DENSE)
    else:
        dense = (spread_dense(injected_word, batch, m * n), spread_dense(injected_bit, batch, m * n))
    if system.prepared.shorted:
        _refuse_shorts(system.prepared, drive)
    begin = (NO_START, NO_DENSE, 0) if start is None else _start(system, start, batch, drive, dense)
    goal = tolerance * min(2.0, _CELLS_OF_GOAL / (m * n))
    settings = (begin[2], True, goal, tolerance, MAX_ITERATIONS)
    return run_kernel(system, g, batch, drive, dense, (begin[0], begin[1]), find_kernel(kernel), settings)


def run_kernel(
    system: LineSystem,
    g: FloatArray,
    batch: tuple[int, ...],
    drive: tuple[FloatArray, ...],
    dense: tuple[FloatArray, FloatArray],
    begin: tuple[FloatArray, FloatArray],
    kernel: tuple[str, Kernel],
    settings: tuple[int, bool, float, float, int],
) -> LineSolution:
    """Call a kernel with checked arguments and put its answer into a `LineSolution`."""
    m, n = system.rows, system.columns
    count = drive[0].shape[0]
    nodes = np.empty((3, count, m * n))
    word_ends, bit_ends, stats = np.empty((2, count, m)), np.empty((2, count, n)), np.empty((count, 4))
    name, run = kernel
    bad = run(
        g.reshape(-1),
        system.prepared,
        drive,
        dense,
        begin[1],
        begin[0],
        (nodes, word_ends, bit_ends, stats),
        settings,
    )
    if bad >= 0:
        refuse_conductance(g, int(bad))
    if not float(stats.sum()) < np.inf:
        _refuse_voltage(drive)
    voltages = nodes.reshape(3, *batch, m, n)
    word, bit = word_ends.reshape(2, *batch, m), bit_ends.reshape(2, *batch, n)
    v_left, v_right, v_top, v_bottom = drive
    if len(batch) != 1:
        v_left, v_right = v_left.reshape(*batch, m), v_right.reshape(*batch, m)
        v_top, v_bottom = v_top.reshape(*batch, n), v_bottom.reshape(*batch, n)
    return LineSolution(
        system,
        g,
        voltages[0],
        voltages[1],
        voltages[2],
        word[0],
        word[1],
        bit[0],
        bit[1],
        v_left,
        v_right,
        v_top,
        v_bottom,
        stats.reshape(*batch, 4),
        name,
    )


def end_currents(
    system: LineSystem, word_current: FloatArray, bit_current: FloatArray, drive: tuple[FloatArray, ...]
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Return the current into the array at every end, from what leaves each line at its nodes.

    Parameters
    ----------
    word_current, bit_current
        Current that leaves the word line (the bit line) at each node [A], ``(..., rows, columns)``: a
        plain cell takes ``J`` from the word line and ``-J`` from the bit line.
    drive
        v_left, v_right ``(..., rows)``, v_top, v_bottom ``(..., columns)`` [V].

    Returns
    -------
    i_left, i_right ``(..., rows)``, i_top, i_bottom ``(..., columns)`` [A].
    """
    m, n = system.rows, system.columns
    share_word, share_bit = (part.reshape(m, n) for part in system.prepared.lines[4:])
    _, g_right, _, g_bottom, through_word, through_bit = system.prepared.ends
    left = np.einsum("ij,...ij->...i", share_word, word_current) + (drive[0] - drive[1]) * through_word
    top = np.einsum("ij,...ij->...j", share_bit, bit_current) + (drive[2] - drive[3]) * through_bit
    right = np.where(g_right > 0, word_current.sum(axis=-1) - left, 0.0)
    bottom = np.where(g_bottom > 0, bit_current.sum(axis=-2) - top, 0.0)
    return left, right, top, bottom


def refuse_conductance(g: FloatArray, flat: int) -> None:
    """Raise the sentence for the refused cell at flat index ``flat``."""
    row, column = divmod(flat, g.shape[1])
    value = g[row, column]
    rule = (
        "must be finite (a cell of 0 ohm is refused)" if value == np.inf else "must be 0 (open) or positive"
    )
    raise CrossbarError(f"conductance[{row}, {column}] {rule}, not {value:g} S")


def _refuse_voltage(drive: tuple[FloatArray, ...]) -> None:
    """Raise the sentence for the first voltage that is not finite."""
    for name, array in zip(_DRIVES, drive, strict=True):
        bad = np.argwhere(~np.isfinite(array))
        if bad.size:
            line = int(bad[0, -1])
            raise CrossbarError(f"{name}[{line}] must be a finite voltage, not {array[tuple(bad[0])]:g} V")
    raise CrossbarError("the injected currents must be finite")


_DRIVES = ("v_left", "v_right", "v_top", "v_bottom")


def broadcast_drives(
    given: tuple[ArrayLike, ...], system: LineSystem, injected: tuple[FloatArray | None, ...] = ()
) -> tuple[tuple[int, ...], tuple[FloatArray, ...]]:
    """Return the common batch shape of the voltages, and each of them as ``(batch, lines)``."""
    sizes = (system.rows, system.rows, system.columns, system.columns)
    if not any(dense is not None for dense in injected):
        quick = _single_drive(given, sizes)
        if quick is not None:
            return (), quick
    batch: tuple[int, ...] = ()
    arrays = []
    for name, value, size in zip(_DRIVES, given, sizes, strict=True):
        array = np.asarray(value, dtype=np.float64)
        if array.ndim:
            if array.shape[-1] != size:
                raise CrossbarError(
                    f"{name} must be one number or have shape (..., {size}), not {array.shape}"
                )
            if array.ndim > 1:
                batch = np.broadcast_shapes(batch, array.shape[:-1])
        arrays.append(array)
    for dense in injected:
        if dense is not None and dense.ndim > 2:
            batch = np.broadcast_shapes(batch, dense.shape[:-2])
    return batch, tuple(_spread(array, batch, size) for array, size in zip(arrays, sizes, strict=True))


def _single_drive(given: tuple[ArrayLike, ...], sizes: tuple[int, ...]) -> tuple[FloatArray, ...] | None:
    """Return the drives of the usual call, plain numbers and fitting vectors, without its general checks."""
    drive = []
    for value, size in zip(given, sizes, strict=True):
        if isinstance(value, np.ndarray):
            if value.shape != (size,) or value.dtype != np.float64 or not value.flags.c_contiguous:
                return None
            drive.append(value.reshape(1, size))
        elif isinstance(value, float):
            line = np.empty((1, size))
            line.fill(value)
            drive.append(line)
        else:
            return None
    return tuple(drive)


def _spread(array: FloatArray, batch: tuple[int, ...], size: int) -> FloatArray:
    if not batch:
        if array.ndim:
            return np.ascontiguousarray(array).reshape(1, size)
        return np.full((1, size), array)
    return np.ascontiguousarray(np.broadcast_to(array, (*batch, size))).reshape(-1, size)


def spread_dense(injected: FloatArray | None, batch: tuple[int, ...], cells: int) -> FloatArray:
    """Return injected currents as ``(batch, cells)``; empty where there are none."""
    if injected is None:
        return NO_DENSE
    shape = (*batch, *injected.shape[-2:])
    return np.ascontiguousarray(np.broadcast_to(injected, shape), dtype=np.float64).reshape(-1, cells)


def _refuse_shorts(prepared: PreparedLines, drive: tuple[FloatArray, ...]) -> None:
    """Refuse a line without any resistance between two voltages."""
    pairs = ((prepared.shorted_word, 0, "word line"), (prepared.shorted_bit, 2, "bit line"))
    for shorted, first, name in pairs:
        if shorted.size:
            bad = (drive[first][:, shorted] != drive[first + 1][:, shorted]).any(axis=0)
            if bad.any():
                line = int(shorted[bad][0])
                raise CrossbarError(
                    f"{name} {line} has no resistance and lies between two different voltages: "
                    "give the line or one of its ends a resistance above 0"
                )


def _start(
    system: LineSystem,
    start: LineSolution | None,
    batch: tuple[int, ...],
    drive: tuple[FloatArray, ...],
    dense: tuple[FloatArray, FloatArray],
) -> tuple[FloatArray, FloatArray, int]:
    """Return what the kernel needs to start from an earlier solution: (state, change of injection, warm)."""
    if start is None or dense[0].size or dense[1].size:
        return NO_START, NO_DENSE, 0
    if start.system is not system or start.bit_voltage.shape[:-2] != batch:
        raise CrossbarError("start must be a solution of the same LineSystem and of the same batch shape")
    cells = system.rows * system.columns
    state = np.stack([start.bit_voltage.reshape(-1, cells), start.cell_current.reshape(-1, cells)])
    _, _, g_top, g_bottom, _, _ = system.prepared.ends
    top = g_top * (drive[2] - start.v_top.reshape(-1, system.columns))
    bottom = g_bottom * (drive[3] - start.v_bottom.reshape(-1, system.columns))
    if not (top.any() or bottom.any()):
        return state, NO_DENSE, 1
    change = np.zeros((drive[0].shape[0], system.rows, system.columns))
    change[:, 0] += top
    change[:, -1] += bottom
    return state, change.reshape(-1, cells), 1
