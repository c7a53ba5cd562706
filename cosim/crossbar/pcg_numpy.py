"""Line-preconditioned conjugate gradients on numpy and LAPACK alone.

The method is that of `cosim.crossbar.pcg_numba`, step for step. All lines of one kind are laid end to
end as one long tridiagonal with zero coupling at the joints, which one call of LAPACK's ``dpttrs``
solves; bit arrays are held transposed. ``dpttrs`` wants ``L D L^T``: in the resistance form of the
factors that is ``L[k+1, k] = -t_k`` and ``D_k = 1/u_k`` (infinite where a segment has 0 ohm).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.linalg.lapack import dpttrs

if TYPE_CHECKING:
    from cosim.crossbar.lines import FloatArray, PreparedLines

_OPEN = 1e250
"""Stands for an open segment inside the recurrence (infinity would give 0 * inf)."""

_KEEP = 1 << 15
"""Stacks of lines of at most this many values are kept for the next solve."""


@dataclass(frozen=True, slots=True, eq=False)
class _Stack:
    """Segments and shunts of all lines as columns, the longer kind padded: ``(nodes, rows + columns)``."""

    resistance: FloatArray
    shunt: FloatArray
    is_open: FloatArray


class _Lines:
    """Factors of one array and the solves with them; word arrays ``(m, n)``, bit arrays ``(n, m)``."""

    def __init__(self, g: FloatArray, prepared: PreparedLines) -> None:
        n = prepared.ends[2].size
        m = g.size // n
        self.word = g.reshape(m, n)
        self.bit = np.ascontiguousarray(self.word.T)
        t, diagonal = _factor(self.word, _stack(prepared, m, n))
        np.negative(t, out=t)
        self.word_factor = _long(t[:n, :m].T)[:-1], _long(diagonal[:n, :m].T)
        self.bit_factor = _long(t[:m, m:].T)[:-1], _long(diagonal[:m, m:].T)

    def solve_word(self, x: FloatArray) -> FloatArray:
        """``A^-1 x`` of word nodes, in place where LAPACK allows it."""
        return _solve_long(self.word_factor, x)

    def solve_bit(self, x: FloatArray) -> FloatArray:
        """``C^-1 x`` of bit nodes."""
        return _solve_long(self.bit_factor, x)


def _stack(prepared: PreparedLines, m: int, n: int) -> _Stack:
    """Return the columns of all lines; small ones are made once for a system."""
    found: Any = prepared.notes.get("numpy")
    if found is None:
        depth = max(m, n)
        resistance, shunt = np.full((depth, m + n), np.inf), np.zeros((depth, m + n))
        word, bit, shunt_word, shunt_bit, _, _ = (part.reshape(m, n) for part in prepared.lines)
        resistance[:n, :m], resistance[:m, m:] = word.T, bit
        shunt[:n, :m], shunt[:m, m:] = shunt_word.T, shunt_bit
        is_open = np.isinf(resistance)
        resistance[is_open] = _OPEN
        found = _Stack(resistance, shunt, is_open)
        if found.shunt.size <= _KEEP:
            prepared.notes["numpy"] = found
    stack: _Stack = found
    return stack


def _factor(g: FloatArray, stack: _Stack) -> tuple[FloatArray, FloatArray]:
    """Resistance-form factors ``t`` and ``1/u`` of all lines at once, ``(nodes, rows + columns)``."""
    m, n = g.shape
    own = stack.shunt.copy()
    own[:n, :m] += g.T
    own[:m, m:] += g
    t = np.empty_like(own)
    seen = np.zeros(m + n)
    for own_row, t_row, resistance in zip(own, t, stack.resistance, strict=True):
        own_row += seen
        np.multiply(own_row, resistance, out=t_row)
        t_row += 1.0
        np.divide(1.0, t_row, out=t_row)
        np.multiply(t_row, own_row, out=seen)
    t[stack.is_open] = 0.0
    dead = stack.is_open & (own == 0.0)
    seen_last = own[stack.is_open]
    with np.errstate(divide="ignore"):
        np.multiply(stack.resistance, t, out=own)
        np.divide(1.0, own, out=own)
    own[stack.is_open] = seen_last
    own[dead] = np.inf
    return t, own


def _long(lines: FloatArray) -> FloatArray:
    return np.ascontiguousarray(lines).reshape(-1)


def _solve_long(factor: tuple[FloatArray, FloatArray], x: FloatArray) -> FloatArray:
    coupling, diagonal = factor
    if diagonal.size == 1:
        return x / diagonal
    solved: FloatArray = dpttrs(diagonal, coupling, x.reshape(-1), overwrite_b=1)[0]
    return solved.reshape(x.shape)


def solve(
    g: FloatArray,
    prepared: PreparedLines,
    drive: tuple[FloatArray, ...],
    dense: tuple[FloatArray, FloatArray],
    change: FloatArray,
    start: FloatArray,
    out: tuple[FloatArray, ...],
    settings: tuple[int, bool, float, float, int],
) -> int:
    """Solve one array for a batch of drives; `cosim.crossbar.lines.Kernel` tells the arguments."""
    accepted = (g >= 0) & (g < np.inf)
    if not accepted.all():
        return int(np.flatnonzero(~accepted)[0])
    lines = _Lines(g, prepared)
    for k in range(drive[0].shape[0]):
        one = _Drive(
            lines, prepared, tuple(v[k] for v in drive), tuple(f[k] if f.size else None for f in dense)
        )
        begin = None
        if settings[0]:
            begin = start[0, k], start[1, k], (change[k] if change.size else None)
        one.run(begin, settings)
        one.store(out, k)
    return -1


class _Drive:
    """One drive of one array: the state of the iteration. Bit arrays are transposed."""

    def __init__(
        self,
        lines: _Lines,
        prepared: PreparedLines,
        drive: tuple[FloatArray, ...],
        dense: tuple[FloatArray | None, ...],
    ) -> None:
        self.lines, self.prepared, self.drive = lines, prepared, drive
        g_left, g_right, g_top, g_bottom, _, _ = prepared.ends
        self.edges = (g_left * drive[0], g_right * drive[1], g_top * drive[2], g_bottom * drive[3])
        self.dense = dense
        self.word = self.bit = self.cell = np.empty(0)
        self.word_ends: tuple[FloatArray, FloatArray] | None = None
        self.bit_ends: tuple[FloatArray, FloatArray] | None = None
        self.stats = (0.0, 0.0, 0.0, 0.0)

    def word_voltage(self, bit: FloatArray) -> FloatArray:
        """Return ``A^-1 (G B + f_word)``, ``(m, n)``."""
        x = np.multiply(self.lines.word, bit.T, order="C")
        if self.dense[0] is not None:
            x += self.dense[0].reshape(x.shape)
        x[:, 0] += self.edges[0]
        x[:, -1] += self.edges[1]
        return self.lines.solve_word(x)

    def bit_voltage(self, word: FloatArray | None) -> FloatArray:
        """Return ``C^-1 (G W + f_bit)``, ``(n, m)``; without word voltages ``C^-1 f_bit``."""
        shape = self.lines.bit.shape
        x = np.zeros(shape) if word is None else np.multiply(self.lines.bit, word.T, order="C")
        if self.dense[1] is not None:
            x += self.dense[1].reshape(shape[::-1]).T
        x[:, 0] += self.edges[2]
        x[:, -1] += self.edges[3]
        return self.lines.solve_bit(x)

    def run(
        self, begin: tuple[FloatArray, FloatArray, FloatArray | None] | None, settings: tuple[Any, ...]
    ) -> None:
        """Iterate from ``begin`` (bit voltages, cell currents, change of injection) to the goal."""
        warm, polish, goal, tolerance, limit = settings
        self.bit, residual, scale = self._begin(begin, warm)
        count, rz, scale = self._iterate(residual, goal, scale, limit)
        self.word = self.word_voltage(self.bit)
        if polish:
            self._finish(tolerance, count, limit)
        else:
            self.cell = self.lines.word * (self.word - self.bit.T) - residual.T
            self.stats = (count, float(np.abs(residual).sum()), rz, scale)

    def _begin(
        self, begin: tuple[FloatArray, FloatArray, FloatArray | None] | None, warm: int
    ) -> tuple[FloatArray, FloatArray, float]:
        lines = self.lines
        m, n = lines.word.shape
        if begin is None:
            bit = self.bit_voltage(None)
            return bit, lines.bit * self.word_voltage(bit).T, 0.0
        earlier = begin[0].reshape(m, n).T
        bit = earlier.copy()
        if begin[2] is not None:
            bit += lines.solve_bit(begin[2].reshape(m, n).T.copy())
        word = self.word_voltage(bit).T
        cold = lines.bit * word
        scale = float(np.einsum("ij,ij", cold, lines.solve_bit(cold.copy()))) if warm == 1 else 0.0
        return bit, lines.bit * (word - earlier) - begin[1].reshape(m, n).T, scale

    def _iterate(self, r: FloatArray, goal: float, scale: float, limit: int) -> tuple[int, float, float]:
        """Conjugate gradients on the bit nodes; ``self.bit`` and the residual ``r`` change in place."""
        lines = self.lines
        z = lines.solve_bit(r.copy())
        rz = float(np.einsum("ij,ij", r, z))
        scale = max(scale, rz)
        p, q = z, r.copy()
        count = 0
        while rz > goal * goal * scale and rz > 0.0 and count < limit:
            s = np.multiply(lines.bit, lines.solve_word(np.multiply(lines.word, p.T, order="C")).T, order="C")
            np.subtract(q, s, out=s)
            count += 1
            curvature = float(np.einsum("ij,ij", p, s))
            if not curvature > 0.0:
                break
            alpha = rz / curvature
            self.bit += alpha * p
            s *= alpha
            r -= s
            z = lines.solve_bit(r.copy())
            after = float(np.einsum("ij,ij", r, z))
            beta, rz = after / rz, after
            p *= beta
            p += z
            q *= beta
            q += r
        return count, rz, scale

    def _finish(self, tolerance: float, count: int, limit: int) -> None:
        """Gauss-Seidel steps that measure the true residual, until it is small enough or stands."""
        lines = self.lines
        previous = np.inf
        for _attempt in range(8):
            before = self.word
            self.bit = self.bit_voltage(before)
            self.word = self.word_voltage(self.bit)
            self.cell = lines.word * (before - self.bit.T)
            r = lines.bit * (self.word - before).T
            residual = float(np.abs(r).sum())
            level = float(np.einsum("ij,ij", lines.word, np.abs(self.word)))
            level += float(np.einsum("ij,ij", lines.bit, np.abs(self.bit)))
            largest = self._ends()
            allowed = max(tolerance * largest, 1e-15 * level)
            self.stats = (count, residual, level, largest)
            if not residual > allowed or residual > 0.5 * previous or count >= limit:
                return
            previous = residual
            count += self._iterate(r, 0.1 * allowed / residual, 0.0, limit - count)[0]
            self.word = self.word_voltage(self.bit)

    def _ends(self) -> float:
        """Currents into the line ends, from the cell currents; return the largest sum of a line."""
        m, n = self.lines.word.shape
        _, g_right, _, g_bottom, through_word, through_bit = self.prepared.ends
        share_word, share_bit = (part.reshape(m, n) for part in self.prepared.lines[4:])
        v_left, v_right, v_top, v_bottom = self.drive
        total, part = self.cell.sum(axis=1), np.einsum("ij,ij->i", share_word, self.cell)
        left = part + (v_left - v_right) * through_word
        self.word_ends = left, np.where(g_right > 0, total - left, 0.0)
        down, up = -self.cell.sum(axis=0), -np.einsum("ij,ij->j", share_bit, self.cell)
        top = up + (v_top - v_bottom) * through_bit
        self.bit_ends = top, np.where(g_bottom > 0, down - top, 0.0)
        return max(float(np.abs(line).max()) for line in (total, part, down, up))

    def store(self, out: tuple[FloatArray, ...], k: int) -> None:
        """Write this drive's answer into row ``k`` of the outputs."""
        nodes, word_ends, bit_ends, stats = out
        m, n = self.lines.word.shape
        nodes[0, k].reshape(m, n)[:] = self.word
        nodes[1, k].reshape(m, n)[:] = self.bit.T
        nodes[2, k].reshape(m, n)[:] = self.cell
        stats[k] = self.stats
        if self.word_ends is not None and self.bit_ends is not None:
            word_ends[:, k], bit_ends[:, k] = self.word_ends, self.bit_ends
