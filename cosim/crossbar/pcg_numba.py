"""Line-preconditioned conjugate gradients compiled by numba.

The unknowns are the word nodes ``W`` and the bit nodes ``B`` of one array; ``D = diag(G)``, ``A`` and
``C`` are the tridiagonals of the word and of the bit lines (wires, ends and cells)::

    A W - D B = f_w          eliminate W:   (C - D A^-1 D) B = f_b + D A^-1 f_w
    C B - D W = f_b          conjugate gradients on B, preconditioned by C

Both tridiagonals are factored *in resistance form*: ``e`` is the conductance seen looking back along
the line, ``t = 1/(1 + e r)``, ``u = r t``, and the next ``e`` is ``shunt + t e``. Nothing is ever
subtracted, so every factor is right to a few units in the last place whatever the ratio of wire to
cell resistance, and ``r = 0`` (``t = 1, u = 0``) and ``r = inf`` (``t = 0, u = 1/e``) need no branch.
A solve is ``c_j = b_j + t_{j-1} c_{j-1}`` forward and ``x_j = t_j x_{j+1} + u_j c_j`` backward.

``C p`` is carried by its own recurrence, so ``C`` is never applied (it would hold ``1/0`` where
``r = 0``). ``r . C^-1 r`` is the sum of ``u c^2``, known after the forward sweep; the backward sweep
runs in one pass with the next direction and with the word lines. Word rows are solved four at a time,
to hide the latency of the recurrence; bit lines run along rows and vectorise by themselves.

After convergence one block Gauss-Seidel step gives the true residual ``G (W' - W)``, free of the
rounding of the recurrences; its absolute sum bounds the error of every current (see ``lines``).

Arrays are flat, row-major, of size ``rows * columns``; index arithmetic is unsigned, which spares the
compiler the wrap-around of negative indices.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import numba
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from cosim.crossbar.lines import FloatArray, PreparedLines

_JIT: dict[str, Any] = {
    "cache": True,
    "nogil": True,
    "error_model": "numpy",
    "fastmath": {"contract", "reassoc", "nsz"},
}
_unsigned: Any = numba.uintp
_ONE: Any = _unsigned(1)
_FOUR: Any = _unsigned(4)
_F = TypeVar("_F", bound="Callable[..., Any]")


def _compiled(function: _F) -> _F:
    """Compile a kernel; the machine code is kept on disk between runs."""
    kernel: _F = numba.njit(**_JIT)(function)
    return kernel


def _inlined(function: _F) -> _F:
    """Compile a kernel into its callers."""
    kernel: _F = numba.njit(inline="always", **_JIT)(function)
    return kernel


@_compiled
def factor(
    g: FloatArray,
    resistance_word: FloatArray,
    resistance_bit: FloatArray,
    shunt_word: FloatArray,
    shunt_bit: FloatArray,
    tw: FloatArray,
    uw: FloatArray,
    tb: FloatArray,
    ub: FloatArray,
    n: int,
) -> int:
    """Factor all lines; return the flat index of the first refused conductance, or -1."""
    n = _unsigned(n)
    size = _unsigned(g.size)
    rows = _unsigned(size // n)
    refused = 0
    for k in range(size):
        refused += 0 if (g[k] >= 0.0) & (g[k] < np.inf) else 1
    if refused:
        for k in range(size):
            if not (g[k] >= 0.0 and g[k] < np.inf):
                return int(k)
    whole = _unsigned(rows - rows % _FOUR)
    for i in range(_unsigned(0), whole, _FOUR):
        o0 = i * n
        o1 = o0 + n
        o2 = o1 + n
        o3 = o2 + n
        last = n - _ONE
        is_open = False
        for q in range(_FOUR):
            for j in range(i * n + q * n, i * n + q * n + last):
                is_open |= resistance_word[j] == np.inf
        e0 = e1 = e2 = e3 = 0.0
        for j in range(_unsigned(0) if is_open else last):
            e0 = _factor_inner(g, resistance_word, shunt_word, tw, uw, o0 + j, e0)
            e1 = _factor_inner(g, resistance_word, shunt_word, tw, uw, o1 + j, e1)
            e2 = _factor_inner(g, resistance_word, shunt_word, tw, uw, o2 + j, e2)
            e3 = _factor_inner(g, resistance_word, shunt_word, tw, uw, o3 + j, e3)
        for j in range(_unsigned(0) if is_open else last, n):
            e0 = _factor_node(g, resistance_word, shunt_word, tw, uw, o0 + j, e0)
            e1 = _factor_node(g, resistance_word, shunt_word, tw, uw, o1 + j, e1)
            e2 = _factor_node(g, resistance_word, shunt_word, tw, uw, o2 + j, e2)
            e3 = _factor_node(g, resistance_word, shunt_word, tw, uw, o3 + j, e3)
    for i in range(whole, rows):
        e0 = 0.0
        for j in range(i * n, i * n + n):
            e0 = _factor_node(g, resistance_word, shunt_word, tw, uw, j, e0)
    seen = np.zeros(n)
    for i in range(rows):
        o = i * n
        for j in range(n):
            seen[j] = seen[j] + (g[o + j] + shunt_bit[o + j])
        for j in range(n):
            tb[o + j] = 1.0 / (1.0 + seen[j] * resistance_bit[o + j])
        for j in range(n):
            ub[o + j] = resistance_bit[o + j] * tb[o + j]
        is_open = False
        for j in range(n):
            is_open |= resistance_bit[o + j] == np.inf
        if is_open:
            for j in range(n):
                if resistance_bit[o + j] == np.inf:
                    tb[o + j] = 0.0
                    ub[o + j] = 1.0 / seen[j] if seen[j] > 0.0 else 0.0
        for j in range(n):
            seen[j] = tb[o + j] * seen[j]
    return -1


@_inlined
def _factor_inner(
    g: FloatArray, resistance: FloatArray, shunt: FloatArray, t: FloatArray, u: FloatArray, k: int, e: float
) -> float:
    """Eliminate one node before a segment that is known to conduct; see `_factor_node`."""
    r = resistance[k]
    e = e + (g[k] + shunt[k])
    d = 1.0 / (1.0 + e * r)
    t[k] = d
    u[k] = r * d
    onward: float = d * e
    return onward


@_inlined
def _factor_node(
    g: FloatArray, resistance: FloatArray, shunt: FloatArray, t: FloatArray, u: FloatArray, k: int, e: float
) -> float:
    """Eliminate one node; ``e`` is what comes along the line, the result what goes on."""
    r = resistance[k]
    e = e + (g[k] + shunt[k])
    if r < np.inf:
        d = 1.0 / (1.0 + e * r)
        w = r * d
    else:
        d = 0.0
        w = 1.0 / e if e > 0.0 else 0.0
    t[k] = d
    u[k] = w
    onward: float = d * e
    return onward


@_compiled
def _word_four(t: FloatArray, u: FloatArray, o: int, x: FloatArray, at: int, n: int) -> None:
    """Solve four consecutive word lines at offset ``o`` in place; their values lie in ``x`` from ``at``."""
    n = _unsigned(n)
    o0 = _unsigned(o)
    o1 = o0 + n
    o2 = o1 + n
    o3 = o2 + n
    x0 = _unsigned(at)
    x1 = x0 + n
    x2 = x1 + n
    x3 = x2 + n
    c0 = x[x0]
    c1 = x[x1]
    c2 = x[x2]
    c3 = x[x3]
    for j in range(_ONE, n):
        k = j - _ONE
        c0 = x[x0 + j] + t[o0 + k] * c0
        c1 = x[x1 + j] + t[o1 + k] * c1
        c2 = x[x2 + j] + t[o2 + k] * c2
        c3 = x[x3 + j] + t[o3 + k] * c3
        x[x0 + j] = c0
        x[x1 + j] = c1
        x[x2 + j] = c2
        x[x3 + j] = c3
    c0 = c1 = c2 = c3 = 0.0
    for back in range(n):
        j = n - _ONE - back
        c0 = t[o0 + j] * c0 + u[o0 + j] * x[x0 + j]
        c1 = t[o1 + j] * c1 + u[o1 + j] * x[x1 + j]
        c2 = t[o2 + j] * c2 + u[o2 + j] * x[x2 + j]
        c3 = t[o3 + j] * c3 + u[o3 + j] * x[x3 + j]
        x[x0 + j] = c0
        x[x1 + j] = c1
        x[x2 + j] = c2
        x[x3 + j] = c3


@_compiled
def _word_one(t: FloatArray, u: FloatArray, o: int, x: FloatArray, at: int, n: int) -> None:
    """Solve the word line at offset ``o`` in place; its values lie in ``x`` from ``at``."""
    n = _unsigned(n)
    o = _unsigned(o)
    at = _unsigned(at)
    c = x[at]
    for j in range(_ONE, n):
        c = x[at + j] + t[o + j - _ONE] * c
        x[at + j] = c
    c = 0.0
    for back in range(n):
        j = n - _ONE - back
        c = t[o + j] * c + u[o + j] * x[at + j]
        x[at + j] = c


@_compiled
def _word_lines(t: FloatArray, u: FloatArray, x: FloatArray, n: int) -> None:
    """Solve every word line in place: ``x <- A^-1 x``."""
    n = _unsigned(n)
    size = _unsigned(x.size)
    whole = _unsigned(size - size % (_FOUR * n))
    for o in range(_unsigned(0), whole, _FOUR * n):
        _word_four(t, u, o, x, o, n)
    for o in range(whole, size, n):
        _word_one(t, u, o, x, o, n)


@_compiled
def _bit_lines(t: FloatArray, u: FloatArray, x: FloatArray, n: int) -> None:
    """Solve every bit line in place: ``x <- C^-1 x``."""
    n = _unsigned(n)
    size = _unsigned(x.size)
    for o in range(n, size, n):
        for j in range(o, o + n):
            x[j] = x[j] + t[j - n] * x[j - n]
    for j in range(size - n, size):
        x[j] = u[j] * x[j]
    for down in range(n, size, n):
        o = size - n - down
        for j in range(o, o + n):
            x[j] = t[j] * x[j + n] + u[j] * x[j]


@_compiled
def _update(
    alpha: float, r: FloatArray, s: FloatArray, t: FloatArray, u: FloatArray, c: FloatArray, n: int
) -> float:
    """``r -= alpha s``, forward sweep of the bit lines into ``c``; return ``r . C^-1 r``."""
    n = _unsigned(n)
    size = _unsigned(r.size)
    total = 0.0
    for j in range(n):
        r[j] = r[j] - alpha * s[j]
        c[j] = r[j]
    for o in range(n, size, n):
        for j in range(o, o + n):
            r[j] = r[j] - alpha * s[j]
        for j in range(o, o + n):
            c[j] = r[j] + t[j - n] * c[j - n]
    for j in range(size):
        total += u[j] * c[j] * c[j]
    return total


@_compiled
def _direction(
    alpha: float,
    beta: float,
    g: FloatArray,
    tw: FloatArray,
    uw: FloatArray,
    tb: FloatArray,
    ub: FloatArray,
    b: FloatArray,
    r: FloatArray,
    c: FloatArray,
    p: FloatArray,
    q: FloatArray,
    s: FloatArray,
    v: FloatArray,
    n: int,
) -> float:
    """One pass from the last row to the first: new direction and its image; return ``p . S p``.

    On the way the bit sweep of ``c`` is finished, and the last step is added to ``b``.
    """
    n = _unsigned(n)
    size = _unsigned(g.size)
    rows = _unsigned(size // n)
    total = 0.0
    end = size
    while end > 0:
        lines = rows % _FOUR if end == size and rows % _FOUR else _FOUR
        o = end - lines * n
        for j in range(o, end):
            b[j] = b[j] + alpha * p[j]
        for up in range(lines):
            first = end - (up + _ONE) * n
            if first + n == size:
                for j in range(first, size):
                    c[j] = ub[j] * c[j]
            else:
                for j in range(first, first + n):
                    c[j] = tb[j] * c[j + n] + ub[j] * c[j]
        for j in range(o, end):
            p[j] = c[j] + beta * p[j]
        for j in range(o, end):
            q[j] = r[j] + beta * q[j]
        for j in range(o, end):
            total += p[j] * q[j]
        for j in range(lines * n):
            v[j] = g[o + j] * p[o + j]
        if lines == _FOUR:
            _word_four(tw, uw, o, v, _unsigned(0), n)
        else:
            for k in range(lines):
                _word_one(tw, uw, o + k * n, v, k * n, n)
        for j in range(lines * n):
            s[o + j] = q[o + j] - g[o + j] * v[j]
        for j in range(lines * n):
            total -= p[o + j] * g[o + j] * v[j]
        end = o
    return total


@_compiled
def _conjugate_gradients(
    g: FloatArray,
    tw: FloatArray,
    uw: FloatArray,
    tb: FloatArray,
    ub: FloatArray,
    b: FloatArray,
    r: FloatArray,
    c: FloatArray,
    p: FloatArray,
    q: FloatArray,
    s: FloatArray,
    v: FloatArray,
    goal: float,
    scale: float,
    limit: int,
    n: int,
) -> tuple[int, float, float]:
    """Reduce the residual ``r`` of ``b`` to ``goal``; return (iterations, r . C^-1 r, scale)."""
    for k in range(p.size):
        p[k] = 0.0
        q[k] = 0.0
        s[k] = 0.0
    rz = _update(0.0, r, s, tb, ub, c, n)
    scale = max(scale, rz)
    alpha = 0.0
    beta = 0.0
    count = 0
    while rz > goal * goal * scale and rz > 0.0 and count < limit:
        curvature = _direction(alpha, beta, g, tw, uw, tb, ub, b, r, c, p, q, s, v, n)
        count += 1
        if not curvature > 0.0:
            alpha = 0.0
            break
        alpha = rz / curvature
        after = _update(alpha, r, s, tb, ub, c, n)
        beta = after / rz
        rz = after
    for k in range(p.size):
        b[k] = b[k] + alpha * p[k]
    return count, rz, scale


@_compiled
def _word_voltage(
    g: FloatArray,
    tw: FloatArray,
    uw: FloatArray,
    b: FloatArray,
    f: FloatArray,
    w: FloatArray,
    left: FloatArray,
    right: FloatArray,
    n: int,
) -> None:
    """``w = A^-1 (G b + f)`` with ``left`` and ``right`` injected at the line ends."""
    n = _unsigned(n)
    size = _unsigned(g.size)
    for k in range(size):
        w[k] = g[k] * b[k]
    if f.size:
        for k in range(size):
            w[k] = w[k] + f[k]
    for i in range(_unsigned(left.size)):
        w[i * n] += left[i]
        w[i * n + n - _ONE] += right[i]
    _word_lines(tw, uw, w, n)


@_compiled
def _bit_voltage(
    g: FloatArray,
    tb: FloatArray,
    ub: FloatArray,
    w: FloatArray,
    f: FloatArray,
    b: FloatArray,
    top: FloatArray,
    bottom: FloatArray,
    n: int,
) -> None:
    """``b = C^-1 (G w + f)`` with ``top`` and ``bottom`` injected at the line ends."""
    n = _unsigned(n)
    size = _unsigned(g.size)
    for k in range(size):
        b[k] = g[k] * w[k]
    if f.size:
        for k in range(size):
            b[k] = b[k] + f[k]
    for j in range(n):
        b[j] += top[j]
    for j in range(n):
        b[size - n + j] += bottom[j]
    _bit_lines(tb, ub, b, n)


@_compiled
def _settle(
    g: FloatArray, w: FloatArray, before: FloatArray, b: FloatArray, r: FloatArray, cell: FloatArray
) -> tuple[float, float]:
    """Store the true residual ``r = G (w - before)`` and cell currents; return (sum of |r|, sum of G |V|)."""
    size = _unsigned(g.size)
    residual = 0.0
    level = 0.0
    for k in range(size):
        cell[k] = g[k] * (before[k] - b[k])
    for k in range(size):
        r[k] = g[k] * (w[k] - before[k])
    for k in range(size):
        residual += abs(r[k])
    for k in range(size):
        level += g[k] * (abs(w[k]) + abs(b[k]))
    return residual, level


@_compiled
def _ends_word(
    cell: FloatArray,
    share: FloatArray,
    through: FloatArray,
    g_right: FloatArray,
    v_left: FloatArray,
    v_right: FloatArray,
    i_left: FloatArray,
    i_right: FloatArray,
    n: int,
) -> float:
    """Store the current into both ends of every word line, from the cell currents; return the largest sum."""
    n = _unsigned(n)
    largest = 0.0
    for i in range(_unsigned(i_left.size)):
        total = 0.0
        part = 0.0
        for j in range(i * n, i * n + n):
            total += cell[j]
        for j in range(i * n, i * n + n):
            part += share[j] * cell[j]
        i_left[i] = part + (v_left[i] - v_right[i]) * through[i]
        i_right[i] = total - i_left[i] if g_right[i] > 0.0 else 0.0
        largest = max(largest, abs(total), abs(part))
    return largest


@_compiled
def _ends_bit(
    cell: FloatArray,
    share: FloatArray,
    through: FloatArray,
    g_bottom: FloatArray,
    v_top: FloatArray,
    v_bottom: FloatArray,
    i_top: FloatArray,
    i_bottom: FloatArray,
    n: int,
) -> float:
    """Store the current into both ends of every bit line, from the cell currents; return the largest sum."""
    n = _unsigned(n)
    size = _unsigned(cell.size)
    for j in range(n):
        i_top[j] = 0.0
        i_bottom[j] = 0.0
    for o in range(_unsigned(0), size, n):
        for j in range(n):
            i_top[j] -= share[o + j] * cell[o + j]
        for j in range(n):
            i_bottom[j] -= cell[o + j]
    largest = 0.0
    for j in range(n):
        largest = max(largest, abs(i_top[j]), abs(i_bottom[j]))
        i_top[j] += (v_top[j] - v_bottom[j]) * through[j]
        i_bottom[j] = i_bottom[j] - i_top[j] if g_bottom[j] > 0.0 else 0.0
    return largest


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
    """Solve one array for a batch of drives; `cosim.crossbar.lines.Kernel` tells the arguments.

    Arrays that are read-only or not in C order are copied: to numba they are another type, a second compilation takes
    seconds, and the run in which it happens may differ from the next one in the last digit of a sum.
    """
    if not g.flags.carray:
        g = g.copy()
    if not all(v.flags.carray for v in drive):
        drive = tuple(v if v.flags.carray else v.copy() for v in drive)
    if not (dense[0].flags.carray and dense[1].flags.carray):
        dense = dense[0].copy(), dense[1].copy()
    return _solve(g, prepared.lines, prepared.ends, drive, dense, change, start, out, settings)


@_compiled
def _solve(
    g: FloatArray,
    lines: tuple[FloatArray, ...],
    ends: tuple[FloatArray, ...],
    drive: tuple[FloatArray, ...],
    dense: tuple[FloatArray, FloatArray],
    change: FloatArray,
    start: FloatArray,
    out: tuple[FloatArray, ...],
    settings: tuple[int, bool, float, float, int],
) -> int:
    """Do the compiled part of `solve`."""
    resistance_word, resistance_bit, shunt_word, shunt_bit, share_word, share_bit = lines
    g_left, g_right, g_top, g_bottom, through_word, through_bit = ends
    v_left, v_right, v_top, v_bottom = drive
    f_word, f_bit = dense
    warm, polish, goal, tolerance, limit = settings
    nodes, i_word, i_bit, stats = out
    w = nodes[0]
    b = nodes[1]
    cell = nodes[2]
    size = g.size
    n = g_top.size
    tw = np.empty(size)
    uw = np.empty(size)
    tb = np.empty(size)
    ub = np.empty(size)
    bad = factor(g, resistance_word, resistance_bit, shunt_word, shunt_bit, tw, uw, tb, ub, n)
    if bad >= 0:
        return bad
    r = np.empty(size)
    c = np.empty(size)
    p = np.empty(size)
    q = np.empty(size)
    s = np.empty(size)
    buffer = np.empty(4 * n)
    for k in range(w.shape[0]):
        left = g_left * v_left[k]
        right = g_right * v_right[k]
        top = g_top * v_top[k]
        bottom = g_bottom * v_bottom[k]
        fw = f_word[k] if f_word.shape[0] else f_word[:0].reshape(0)
        fb = f_bit[k] if f_bit.shape[0] else f_bit[:0].reshape(0)
        scale = 0.0
        wk = w[k]
        bk = b[k]
        ck = cell[k]
        if warm:
            if change.shape[0]:
                c[:] = change[k]
                _bit_lines(tb, ub, c, n)
                for j in range(size):
                    bk[j] = start[0, k, j] + c[j]
            else:
                bk[:] = start[0, k]
            _word_voltage(g, tw, uw, bk, fw, wk, left, right, n)
            for j in range(size):
                r[j] = g[j] * wk[j]
                s[j] = 0.0
            if warm == 1:
                scale = _update(0.0, r, s, tb, ub, c, n)
            for j in range(size):
                r[j] = g[j] * (wk[j] - start[0, k, j]) - start[1, k, j]
        else:
            for i in range(_unsigned(g_left.size)):
                wk[i * n : i * n + n] = v_left[k, i] if g_left[i] > 0.0 else v_right[k, i]
            p[:] = wk
            _bit_voltage(g, tb, ub, wk, fb, bk, top, bottom, n)
            _word_voltage(g, tw, uw, bk, fw, wk, left, right, n)
            for j in range(size):
                r[j] = g[j] * wk[j]
                s[j] = 0.0
            scale = _update(0.0, r, s, tb, ub, c, n)
            for j in range(size):
                r[j] = g[j] * (wk[j] - p[j])
        count, rz, scale = _conjugate_gradients(
            g, tw, uw, tb, ub, bk, r, c, p, q, s, buffer, goal, scale, limit, n
        )
        _word_voltage(g, tw, uw, bk, fw, wk, left, right, n)
        if not polish:
            for j in range(size):
                ck[j] = g[j] * (wk[j] - bk[j]) - r[j]
            residual = 0.0
            for j in range(size):
                residual += abs(r[j])
            stats[k, 0] = count
            stats[k, 1] = residual
            stats[k, 2] = rz
            stats[k, 3] = scale
            continue
        previous = np.inf
        for _attempt in range(8):
            p[:] = wk
            _bit_voltage(g, tb, ub, p, fb, bk, top, bottom, n)
            _word_voltage(g, tw, uw, bk, fw, wk, left, right, n)
            residual, level = _settle(g, wk, p, bk, r, ck)
            from_word = _ends_word(
                ck, share_word, through_word, g_right, v_left[k], v_right[k], i_word[0, k], i_word[1, k], n
            )
            from_bit = _ends_bit(
                ck, share_bit, through_bit, g_bottom, v_top[k], v_bottom[k], i_bit[0, k], i_bit[1, k], n
            )
            largest = max(from_word, from_bit)
            allowed = max(tolerance * largest, 1e-15 * level)
            if residual <= allowed or residual > 0.5 * previous or count >= limit:
                break
            previous = residual
            more, rz, scale = _conjugate_gradients(
                g, tw, uw, tb, ub, bk, r, c, p, q, s, buffer, 0.1 * allowed / residual, 0.0, limit - count, n
            )
            count += more
            _word_voltage(g, tw, uw, bk, fw, wk, left, right, n)
        stats[k, 0] = count
        stats[k, 1] = residual
        stats[k, 2] = level
        stats[k, 3] = largest
    return -1
