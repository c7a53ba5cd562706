"""The values of the line solver: the wires of one array prepared once, and the solution.

`cosim.crossbar.lines` draws the network and tells the method.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cosim.errors import CrossbarError

FloatArray = NDArray[np.float64]

SHORT_CONDUCTANCE = 1e25
"""Siemens that stand for a line end of 0 ohm: within 1e-20 of a short for any cell and wire."""

ROUNDING = 1e-15
"""Rounding of a cell current as a part of ``G (|W| + |B|)``, and of an end current; enters the error bound."""


@dataclass(frozen=True, slots=True, eq=False)
class PreparedLines:
    """What the kernels read of a line system; arrays of cells are flat, row-major.

    ``resistance_*`` holds the segment after each node (``inf`` after the last), ``shunt_*`` the
    conductance from each node to fixed potentials (line ends included).
    """

    packed: FloatArray
    """The arrays of ``lines`` as one, shape ``(6, cells)``."""
    lines: tuple[FloatArray, ...]
    """resistance_word, resistance_bit, shunt_word, shunt_bit, share_word, share_bit."""
    ends: tuple[FloatArray, ...]
    """g_left, g_right, g_top, g_bottom, through_word, through_bit."""
    shorted_word: NDArray[np.intp]
    """Word lines without any resistance between their two nets."""
    shorted_bit: NDArray[np.intp]
    shorted: bool
    """Whether there is any such line."""
    notes: dict[str, Any] = field(default_factory=dict)
    """What a kernel keeps for the next solve (it depends on nothing but the wires)."""


@dataclass(frozen=True, slots=True, eq=False)
class LineSystem:
    """The wires and ends of one array, prepared once and used for many solves.

    Parameters
    ----------
    rows, columns
        Size of the array.
    r_word
        Resistance of the word-line segments between neighbouring nodes [ohm]: one number or
        ``(rows, columns - 1)``.
    r_bit
        Resistance of the bit-line segments [ohm]: one number or ``(rows - 1, columns)``.
    r_left, r_right
        From the first and the last node of every word line to its net [ohm], ``(rows,)``; ``inf`` is
        an open end, 0 makes the node the net.
    r_top, r_bottom
        The same for the bit lines, ``(columns,)``.
    shunt_word, shunt_bit
        Further conductance from every node to a fixed potential [S], ``(rows, columns)``; what flows
        in through it is given as an injection. Used by the transient and by joined arrays.

    Raises
    ------
    CrossbarError
        A shape does not fit, a resistance is negative or NaN, or no line end is tied to a net.
    """

    rows: int
    columns: int
    r_word: float | FloatArray
    r_bit: float | FloatArray
    r_left: ArrayLike = 0.0
    r_right: ArrayLike = np.inf
    r_top: ArrayLike = np.inf
    r_bottom: ArrayLike = 0.0
    shunt_word: FloatArray | None = None
    shunt_bit: FloatArray | None = None
    prepared: PreparedLines = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if self.rows < 1 or self.columns < 1:
            raise CrossbarError(
                f"an array must have at least 1 row and 1 column, not {self.rows} x {self.columns}"
            )
        object.__setattr__(self, "prepared", _prepare(self))


@dataclass(frozen=True, slots=True, eq=False)
class LineSolution:
    """Voltages and currents of one array for one drive or for a batch of drives (``...`` below)."""

    system: LineSystem
    conductance: FloatArray
    """Cells [S], ``(rows, columns)``."""
    word_voltage: FloatArray
    """Word nodes [V], ``(..., rows, columns)``."""
    bit_voltage: FloatArray
    """Bit nodes [V], ``(..., rows, columns)``."""
    cell_current: FloatArray
    """From word to bit line through each cell [A], ``(..., rows, columns)``."""
    i_left: FloatArray
    """Into the array at each end [A], ``(..., rows)``."""
    i_right: FloatArray
    i_top: FloatArray
    """Into the array at each end [A], ``(..., columns)``."""
    i_bottom: FloatArray
    v_left: FloatArray
    """Voltages of the nets at the ends [V], as given."""
    v_right: FloatArray
    v_top: FloatArray
    v_bottom: FloatArray
    stats: FloatArray
    """Iterations, sum of the Kirchhoff residual, sum of G |V| and largest line current, ``(..., 4)``."""
    kernel: str
    """Which kernel answered: ``numba``, ``numpy`` or ``nodal``."""

    @property
    def iterations(self) -> NDArray[np.int64]:
        """Conjugate gradient steps of each drive, ``(...)``."""
        return self.stats[..., 0].astype(np.int64)

    @property
    def error_bound(self) -> FloatArray:
        """No current is wrong by more than this [A], ``(...)``."""
        ends = (self.i_left, self.i_right, self.i_top, self.i_bottom)
        largest = np.max([np.abs(current).max(axis=-1) for current in ends], axis=0)
        bound: FloatArray = self.stats[..., 1] + ROUNDING * (self.stats[..., 2] + largest)
        return bound

    @property
    def cell_voltage(self) -> FloatArray:
        """From word to bit node across each cell [V], ``(..., rows, columns)``."""
        return self.word_voltage - self.bit_voltage

    def delivered(self) -> FloatArray:
        """Power that the nets deliver into the array [W], ``(...)``."""
        return _sum(self.v_left * self.i_left + self.v_right * self.i_right, 1) + _sum(
            self.v_top * self.i_top + self.v_bottom * self.i_bottom, 1
        )

    def cell_power(self) -> FloatArray:
        """Power in each cell [W], ``(..., rows, columns)``."""
        power: FloatArray = self.cell_current * self.cell_voltage
        return power

    def word_current(self) -> FloatArray:
        """From left to right through each word segment [A], ``(..., rows, columns - 1)``."""
        current: FloatArray = self.i_left[..., None] - np.cumsum(self.cell_current, axis=-1)
        return current[..., :-1]

    def bit_current(self) -> FloatArray:
        """Downwards through each bit segment [A], ``(..., rows - 1, columns)``."""
        current: FloatArray = self.i_top[..., None, :] + np.cumsum(self.cell_current, axis=-2)
        return current[..., :-1, :]

    def word_wire_power(self) -> FloatArray:
        """Power in all word segments together [W], ``(...)``."""
        return _joule(self.word_current(), self.system.r_word)

    def bit_wire_power(self) -> FloatArray:
        """Power in all bit segments together [W], ``(...)``."""
        return _joule(self.bit_current(), self.system.r_bit)

    def termination_power(self) -> FloatArray:
        """Power in the resistances at the four line-end sets together [W], ``(...)``."""
        system = self.system
        ends = ((self.i_left, system.r_left), (self.i_right, system.r_right))
        more = ((self.i_top, system.r_top), (self.i_bottom, system.r_bottom))
        total: FloatArray = np.zeros(self.i_left.shape[:-1])
        for current, resistance in ends + more:
            r = np.asarray(resistance, dtype=np.float64)
            total = total + _sum(current**2 * np.where(np.isfinite(r), r, 0.0), 1)
        return total


def _sum(values: FloatArray, axes: int) -> FloatArray:
    total: FloatArray = np.asarray(values.sum(axis=tuple(range(-axes, 0))))
    return total


def _joule(current: FloatArray, resistance: float | FloatArray) -> FloatArray:
    r = np.asarray(resistance, dtype=np.float64)
    return _sum(current**2 * np.where(np.isfinite(r), r, 0.0), 2)


# -- preparation -----------------------------------------------------------------------------------


def _prepare(system: LineSystem) -> PreparedLines:
    m, n = system.rows, system.columns
    word = _segments(system.r_word, (m, n - 1), "r_word")
    bit = _segments(system.r_bit, (m - 1, n), "r_bit")
    left, right = _end(system.r_left, m, "r_left"), _end(system.r_right, m, "r_right")
    top, bottom = _end(system.r_top, n, "r_top"), _end(system.r_bottom, n, "r_bottom")
    shunt_word = _shunt(system.shunt_word, (m, n), "shunt_word")
    shunt_bit = _shunt(system.shunt_bit, (m, n), "shunt_bit")
    tied = any(np.isfinite(end).any() for end in (left, right, top, bottom))
    if not (tied or shunt_word.any() or shunt_bit.any()):
        raise CrossbarError(
            "no line end is tied to a net, so no voltage is defined: give one end a finite resistance"
        )
    packed = np.zeros((6, m * n))  # pages that stay zero take no memory
    grids = packed.reshape(6, m, n)
    grids[4], through_word = _shares(word, left, right)
    share_bit, through_bit = _shares(bit.T, top, bottom)
    grids[5] = share_bit.T
    grids[:2] = np.inf
    grids[0, :, :-1] = word
    grids[1, :-1] = bit
    g_left, g_right, g_top, g_bottom = (_conductance(end) for end in (left, right, top, bottom))
    for grid, given, shunt in (
        (grids[2], system.shunt_word, shunt_word),
        (grids[3], system.shunt_bit, shunt_bit),
    ):
        if given is not None:
            grid[:] = shunt
    grids[2, :, 0] += g_left
    grids[2, :, -1] += g_right
    grids[3, 0] += g_top
    grids[3, -1] += g_bottom
    shorted_word = np.flatnonzero(left + right + word.sum(axis=1) == 0)
    shorted_bit = np.flatnonzero(top + bottom + bit.sum(axis=0) == 0)
    return PreparedLines(
        packed,
        tuple(packed),
        (g_left, g_right, g_top, g_bottom, through_word, through_bit),
        shorted_word,
        shorted_bit,
        bool(shorted_word.size or shorted_bit.size),
    )


def _segments(value: float | FloatArray, shape: tuple[int, int], name: str) -> FloatArray:
    given = np.asarray(value, dtype=np.float64)
    if given.ndim and given.shape != shape:
        raise CrossbarError(f"{name} must be one number or have shape {shape}, not {given.shape}")
    _refuse_negative(given, name)
    return np.broadcast_to(given, shape)


def _end(value: ArrayLike, lines: int, name: str) -> FloatArray:
    given = np.asarray(value, dtype=np.float64)
    if given.ndim and given.shape != (lines,):
        raise CrossbarError(f"{name} must be one number or have shape ({lines},), not {given.shape}")
    _refuse_negative(given, name)
    return np.broadcast_to(given, (lines,))


def _shunt(value: FloatArray | None, shape: tuple[int, int], name: str) -> FloatArray:
    if value is None:
        return np.zeros(shape)
    given = np.array(value, dtype=np.float64)
    if given.shape != shape:
        raise CrossbarError(f"{name} must have shape {shape}, not {given.shape}")
    _refuse_negative(given, name)
    return given


def _refuse_negative(values: FloatArray, name: str) -> None:
    bad = ~(values >= 0)
    if bad.any():
        index = tuple(int(k) for k in np.argwhere(bad)[0])
        place = f"{name}[{', '.join(map(str, index))}]" if index else name
        raise CrossbarError(f"{place} must be 0 or positive (inf is open), not {values[index]:g}")


def _conductance(resistance: FloatArray) -> FloatArray:
    with np.errstate(divide="ignore"):
        return np.minimum(1.0 / resistance, SHORT_CONDUCTANCE)


def _shares(segments: FloatArray, first: FloatArray, last: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Part of each node's injected current that leaves through the first end, and end-to-end conductance.

    ``segments`` has shape ``(lines, nodes - 1)``; the result ``(lines, nodes)`` and ``(lines,)``.
    """
    lines, nodes = first.size, segments.shape[1] + 1
    before = np.concatenate([first[:, None], segments], axis=1).cumsum(axis=1)
    after = np.concatenate([segments, last[:, None]], axis=1)[:, ::-1].cumsum(axis=1)[:, ::-1]
    share = np.zeros((lines, nodes))
    share[np.isfinite(before) & ~np.isfinite(after)] = 1.0
    both = np.isfinite(before) & np.isfinite(after)
    total = before + after
    share[both & (total == 0)] = 0.5
    ratio = both & (total > 0)
    share[ratio] = after[ratio] / total[ratio]
    end_to_end = total[:, 0]
    through = np.zeros(lines)
    tied = np.isfinite(end_to_end) & (end_to_end > 0)
    through[tied] = 1.0 / end_to_end[tied]
    return share, through
