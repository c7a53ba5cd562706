"""How the cells of one array move in a single-level pulse, compiled: prediction, correction, error.

A phase is solved once if what the cells will do is known well enough beforehand (`predict`): their
movement at the voltages that an array without wire resistance would give them, those that move visibly at
the voltage that their own two lines leave them (a ladder each, all other lines at their ends' voltage).
The solution then gives every cell its voltage, and `adjust` moves those again that feel the difference.

This module imports numba: import it where it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from cosim.devices.compiled import (
    PROGRESS_SERIES,
    compiled,
    moved,
    mss_block,
    progress,
    progress_series,
    rates,
    slope,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cosim.devices.base import FloatArray

_STEEP = 0.3
_UNFELT = 1e-9
_BLOCK = 1024
_UNORDERED = 1e-10
_VISIBLE = 1e-5
_LEVELS = 4
_FEW = 16
"""At most so many visibly moving cells are predicted on their lines; more are left to the solution."""


class Times(NamedTuple):
    """Parts of the phase [s]: at 0 V, edge, plateau, edge, at 0 V."""

    before: float
    rise: float
    flat: float
    fall: float
    after: float


@compiled
def _trajectory(
    law: int, parameters: FloatArray, k: int, x: float, v0: float, v1: float, times: Times, way: FloatArray
) -> tuple[float, float, float]:
    """Follow cell ``k`` from part to part; return its change, its exposure and a bound on its error.

    The voltage goes from ``v0`` to ``v1``; ``way``: progress at the start, middle and end of the plateau.
    """
    start = x
    total = 0.0
    if times.before + times.after > 0.0:
        up_rest, down_rest, _, _ = rates(law, parameters, k, 0.0)
        x += moved(x, up_rest * times.before, down_rest * times.before)
        total += (up_rest + down_rest) * (times.before + times.after)
    _, _, up, down = rates(law, parameters, k, v0)
    x += moved(x, up * times.rise, down * times.rise)
    total += (up + down) * times.rise
    error = 0.5 * up * down * times.rise * times.rise
    up_a, down_a, _, _ = rates(law, parameters, k, v0 + way[0] * (v1 - v0))
    up_m, down_m, _, _ = rates(law, parameters, k, v0 + way[1] * (v1 - v0))
    up_b, down_b, _, _ = rates(law, parameters, k, v0 + way[2] * (v1 - v0))
    up = times.flat * (up_a + 4.0 * up_m + up_b) / 6.0
    down = times.flat * (down_a + 4.0 * down_m + down_b) / 6.0
    x += moved(x, up, down)
    total += up + down
    error += times.flat * (abs(up_b - up_a) * down + abs(down_b - down_a) * up) / 6.0
    if (up_a > 0.0) != (up_b > 0.0) or (down_a > 0.0) != (down_b > 0.0):
        error += 0.1 * times.flat * (abs(up_b - up_a) + abs(down_b - down_a))
    _, _, up, down = rates(law, parameters, k, v1)
    x += moved(x, up * times.fall, down * times.fall)
    total += (up + down) * times.fall
    error += 0.5 * up * down * times.fall * times.fall
    if times.after > 0.0:
        x += moved(x, up_rest * times.after, down_rest * times.after)
    return x - start, total, error


@compiled
def _exposures(
    law: int, parameters: FloatArray, k: int, v: float, times: Times
) -> tuple[float, float, float]:
    """Return the exposures U and D of cell ``k`` at the fixed level ``v``, and how much their order matters."""
    edges = times.rise + times.fall
    rest = times.before + times.after
    up, down, edge_up, edge_down = rates(law, parameters, k, v)
    up *= times.flat
    down *= times.flat
    edge_up *= edges
    edge_down *= edges
    rest_up = 0.0
    rest_down = 0.0
    if rest > 0.0:
        rest_up, rest_down, _, _ = rates(law, parameters, k, 0.0)
        rest_up *= rest
        rest_down *= rest
    order = abs(edge_up * down - edge_down * up) + edge_up * edge_down
    order += abs(rest_up * (down + edge_down) - rest_down * (up + edge_up))
    return up + edge_up + rest_up, down + edge_down + rest_down, order


@compiled
def _move(
    law: int, parameters: FloatArray, k: int, x: float, v: float, times: Times
) -> tuple[float, float, float]:
    """Return change, exposure and error of cell ``k`` at the fixed level ``v``."""
    up, down, order = _exposures(law, parameters, k, v, times)
    if order < _UNORDERED:
        return moved(x, up, down), up + down, 0.0
    return _trajectory(law, parameters, k, x, v, v, times, np.array([0.0, 0.5, 1.0]))


@compiled
def _rung(
    g: FloatArray,
    r: FloatArray,
    shunt: FloatArray,
    injected: tuple[float, float],
    other: FloatArray,
    at: int,
    first: int,
    stride: int,
) -> float:
    """Return the voltage of node ``at`` of a line whose cells lead to fixed voltages ``other``.

    The line's nodes lie in ``g``, ``r`` (to the next node), ``shunt`` at ``first``, ``first + stride`` ...;
    ``injected``: current into its first and last node from the ends' sources. Both parts of the line
    are reduced to a source with a conductance.
    """
    count = other.size
    total = 0.0
    source = 0.0
    for q in range(at):
        k = first + q * stride
        total += g[k] + shunt[k]
        source += g[k] * other[q] + (injected[0] if q == 0 else 0.0)
        through = 1.0 / (1.0 + total * r[k]) if r[k] < np.inf else 0.0
        total *= through
        source *= through
    right = 0.0
    charge = 0.0
    for back in range(count - 1 - at):
        q = count - 1 - back
        k = first + q * stride
        right += g[k] + shunt[k]
        charge += g[k] * other[q] + (injected[1] if back == 0 else 0.0)
        onward = r[k - stride]
        through = 1.0 / (1.0 + right * onward) if onward < np.inf else 0.0
        right *= through
        charge *= through
    k = first + at * stride
    own = g[k] * other[at]
    own += injected[0] if at == 0 else 0.0
    own += injected[1] if at == count - 1 else 0.0
    whole = total + right + g[k] + shunt[k]
    return (source + charge + own) / whole if whole > 0.0 else 0.0


@compiled
def predict(
    x0: FloatArray,
    law: int,
    parameters: FloatArray,
    series: float,
    seen: FloatArray,
    lines: tuple[FloatArray, ...],
    ends: tuple[FloatArray, ...],
    drive: tuple[FloatArray, ...],
    times: Times,
    nodes: FloatArray,
    change: FloatArray,
    exposure: FloatArray,
) -> float:
    """Store what cells would do without wire resistance; return the largest change.

    The change is affine in the state, so lines at the same voltages share its two coefficients.
    ``seen``: conductances at the start. ``nodes``: the voltages assumed. Cells that move visibly get the
    voltages of their own two lines.
    """
    rows, n = ends[0].size, ends[2].size
    word = np.empty(rows)
    for i in range(rows):
        word[i] = drive[0][0, i] if ends[0][i] > 0.0 else drive[1][0, i]
    bit = np.empty(n)
    for j in range(n):
        bit[j] = drive[3][0, j] if ends[3][j] > 0.0 else drive[2][0, j]
    alike = parameters.shape[1] == 1 and series == 0.0
    known = np.empty((5, _LEVELS))
    for q in range(_LEVELS):
        known[0, q] = np.nan
    turn = 0
    visible = np.empty(_FEW, np.intp)
    count = 0
    largest = 0.0
    for i in range(rows):
        for k in range(i * n, i * n + n):
            nodes[0, 0, k] = word[i]
        for j in range(n):
            nodes[1, 0, i * n + j] = bit[j]
        j = 0
        while j < n:
            end = j + 1
            while alike and end < n and bit[end] == bit[j]:
                end += 1
            begin, stop = i * n + j, i * n + end
            j = end
            u = word[i] - bit[end - 1]
            if series > 0.0:
                p = begin if parameters.shape[1] > 1 else 0
                u /= 1.0 + series * (parameters[0, p] + x0[begin] * parameters[1, p])
            at = 0
            while at < _LEVELS and known[0, at] != u:
                at += 1
            if at == _LEVELS or not alike:
                at = turn % _LEVELS
                turn += 1
                up, down, order = _exposures(law, parameters, begin, u, times)
                offset = moved(0.0, up, down)
                known[0, at], known[1, at], known[2, at] = u, up + down, order
                known[3, at], known[4, at] = offset, moved(1.0, up, down) - offset
            total, offset, factor = known[1, at], known[3, at], known[4, at]
            for k in range(begin, stop):
                change[k] = offset + factor * x0[k]
            for k in range(begin, stop):
                exposure[k] = total
            if known[2, at] >= _UNORDERED:
                for k in range(begin, stop):
                    change[k], exposure[k], _ = _move(law, parameters, k, x0[k], u, times)
            far = max(abs(offset), abs(offset + factor))
            if far <= _UNFELT:
                continue
            far = 0.0
            for k in range(begin, stop):
                far = max(far, abs(change[k]))
            if far > _VISIBLE:
                for k in range(begin, stop):
                    if abs(change[k]) > _VISIBLE:
                        if count < _FEW:
                            visible[count] = k
                        count += 1
            largest = max(largest, far)
    if count > _FEW:
        return largest
    for q in range(count):
        k = visible[q]
        i, j = k // n, k % n
        left = ends[0][i] * drive[0][0, i], ends[1][i] * drive[1][0, i]
        top = ends[2][j] * drive[2][0, j], ends[3][j] * drive[3][0, j]
        nodes[0, 0, k] = _rung(seen, lines[0], lines[2], left, bit, j, i * n, 1)
        nodes[1, 0, k] = _rung(seen, lines[1], lines[3], top, word, i, j, n)
        u = nodes[0, 0, k] - nodes[1, 0, k]
        if series > 0.0:
            u *= 1.0 - series * seen[k]
        change[k], exposure[k], _ = _move(law, parameters, k, x0[k], u, times)
        largest = max(largest, abs(change[k]))
    return largest


@compiled
def _move_some(
    felt: NDArray[np.intp],
    x0: FloatArray,
    law: int,
    parameters: FloatArray,
    series: float,
    at: FloatArray,
    nodes: FloatArray,
    times: Times,
    change: FloatArray,
    exposure: FloatArray,
) -> float:
    """Move the cells ``felt`` at the voltages of one solution; return a bound on the error.

    ``at``: the states that set the voltage over the access devices.
    """
    shared = parameters.shape[1] == 1
    size = min(_BLOCK, felt.size)
    v, x = np.empty(size), np.empty(size)
    far, total, hard = np.empty(size), np.empty(size), np.ones(size)
    worst = 0.0
    for begin in range(0, felt.size, _BLOCK):
        cells = felt[begin : begin + _BLOCK]
        count = cells.size
        for q in range(count):
            k = cells[q]
            x[q] = x0[k]
            v[q] = nodes[0, 0, k] - nodes[1, 0, k]
            if series > 0.0:
                p = 0 if shared else k
                v[q] /= 1.0 + series * (parameters[0, p] + at[k] * parameters[1, p])
        if shared and law == 0:
            mss_block(
                x[:count], v[:count], parameters, times.flat, times.rise + times.fall, times.before + times.after,
                far[:count], total[:count], hard[:count],
            )  # fmt: skip
        for q in range(count):
            k = cells[q]
            if hard[q] != 0.0:
                far[q], total[q], error = _move(law, parameters, k, x[q], v[q], times)
                worst = max(worst, error)
            change[k] = far[q]
            exposure[k] = total[q]
    return worst


@compiled
def adjust(
    x0: FloatArray,
    law: int,
    parameters: FloatArray,
    series: float,
    at: FloatArray,
    before: FloatArray,
    nodes: FloatArray,
    times: Times,
    active: float,
    change: FloatArray,
    exposure: FloatArray,
) -> tuple[float, float]:
    """Move those cells again that feel the difference of two solutions; return as `movement` does."""
    time = times.rise + times.flat + times.fall + times.before + times.after
    felt = np.empty(x0.size + 1, np.intp)
    apart = np.empty(min(_BLOCK, x0.size))
    count = 0
    largest = 0.0
    for begin in range(0, x0.size, _BLOCK):
        end = min(begin + _BLOCK, x0.size)
        for k in range(begin, end):
            apart[k - begin] = abs(nodes[0, 0, k] - nodes[1, 0, k] - (before[0, 0, k] - before[1, 0, k]))
        if series > 0.0:
            for k in range(begin, end):
                p = k if parameters.shape[1] > 1 else 0
                gained = series * abs(at[k] - x0[k]) * parameters[1, p]
                apart[k - begin] += abs(nodes[0, 0, k] - nodes[1, 0, k]) * gained
        if law == 0 and parameters.shape[1] == 1:
            for k in range(begin, end):
                apart[k - begin] *= exposure[k]
            limit = active / slope(law, parameters, 0, 1.0, time)
        else:
            for k in range(begin, end):
                apart[k - begin] *= slope(law, parameters, k, exposure[k], time)
            limit = active
        for k in range(begin, end):
            felt[count] = k
            count += 1 if apart[k - begin] > limit else 0
        for k in range(begin, end):
            largest = max(largest, abs(change[k]))
    worst = _move_some(felt[:count], x0, law, parameters, series, at, nodes, times, change, exposure)
    for q in range(count):
        largest = max(largest, abs(change[felt[q]]))
    return largest, worst


@compiled
def conductance(x: FloatArray, parameters: FloatArray, series: float, seen: FloatArray) -> None:
    """Store what the lines see of each cell."""
    if parameters.shape[1] > 1:
        for k in range(x.size):
            seen[k] = parameters[0, k] + x[k] * parameters[1, k]
    else:
        for k in range(x.size):
            seen[k] = parameters[0, 0] + x[k] * parameters[1, 0]
    if series > 0.0:
        for k in range(x.size):
            seen[k] /= 1.0 + series * seen[k]


@compiled
def middle(
    x0: FloatArray,
    parameters: FloatArray,
    series: float,
    change: FloatArray,
    exposure: FloatArray,
    times: Times,
    seen: FloatArray,
    at: FloatArray,
) -> None:
    """Store each cell's state at its mean progress, and what the lines see of it there.

    The mean is that of the power: the edges count a third, with the progress 0 and 1.
    """
    whole = times.flat + (times.rise + times.fall) / 3.0
    slope_of = times.flat / whole
    shift = times.fall / (3.0 * whole)
    for k in range(x0.size):
        at[k] = x0[k] + change[k] * (slope_of * progress_series(exposure[k]) + shift)
    for k in range(x0.size):
        if exposure[k] >= PROGRESS_SERIES:
            at[k] = x0[k] + change[k] * (slope_of * progress(exposure[k]) + shift)
    conductance(at, parameters, series, seen)


@compiled
def local(
    x0: FloatArray,
    law: int,
    parameters: FloatArray,
    series: float,
    nodes: FloatArray,
    times: Times,
    active: float,
    change: FloatArray,
    exposure: FloatArray,
) -> float:
    """Move the cells again whose access device takes a changing share of the voltage; return the error."""
    worst = 0.0
    time = times.rise + times.flat + times.fall
    way = np.empty(3)
    for k in range(x0.size):
        p = k if parameters.shape[1] > 1 else 0
        g = parameters[0, p] + x0[k] * parameters[1, p]
        gain = change[k] * parameters[1, p]
        u = nodes[0, 0, k] - nodes[1, 0, k]
        v0 = u / (1.0 + series * g)
        felt = slope(law, parameters, k, exposure[k], time) * abs(u / (1.0 + series * (g + gain)) - v0)
        if felt <= active:
            continue
        if law == 0 and felt > _STEEP * exposure[k] and felt > 1e-6:
            return np.inf
        edges = times.rise / time
        way[0] = 0.0
        way[1] = 0.5 + 0.125 * exposure[k]
        way[2] = 1.0
        far = change[k]
        for _ in range(3):
            v1 = u / (1.0 + series * (g + far * parameters[1, p]))
            last = far
            far, total, error = _trajectory(law, parameters, k, x0[k], v0, v1, times, way)
            if abs(far - last) < 1e-10:
                break
        error += abs(far - last) + 0.01 * exposure[k] * abs(far - change[k]) + felt * edges * abs(far) * 0.1
        worst = max(worst, error)
        change[k] = far
        exposure[k] = total
    return worst


@compiled
def errors(
    x0: FloatArray,
    law: int,
    parameters: FloatArray,
    series: float,
    reach: tuple[FloatArray, FloatArray],
    nodes: FloatArray,
    at: FloatArray,
    change: FloatArray,
    exposure: FloatArray,
    times: Times,
) -> tuple[float, float, float]:
    """Return the estimated error of the states, that of the power [W], and the power missed in the middle [W].

    ``reach``: resistance of each word and each bit line with its end [ohm]. What the cells of a line gain
    in current changes the voltages on it by at most this resistance times it. A movement that neglects
    the change is wrong by the square of the change of its logarithmic rate over 24, and by the edges' part
    of it. The power misses the mean of the squared progress less the squared mean, a twelfth of the
    remainder Q.
    """
    each = parameters.shape[1] > 1
    rows, n = reach[0].size, reach[1].size
    whole = times.flat + (times.rise + times.fall) / 3.0
    time = times.rise + times.flat + times.fall
    skew = abs(times.rise - times.fall) / time
    edges = (times.rise + times.fall) / time
    rest = times.before + times.after
    scale = times.flat / whole
    shift = times.fall / (3.0 * whole)
    on_word = np.zeros(rows)
    on_bit = np.zeros(n)
    worst = 0.0
    curved = 0.0
    missed = 0.0
    felt = np.empty(x0.size + 1, np.intp)
    count = 0
    for k in range(x0.size):
        felt[count] = k
        count += 1 if abs(change[k]) >= _UNFELT else 0
    for q in range(count):
        k = int(felt[q])
        p = k if each else 0
        gain = parameters[1, p] / (1.0 + series * (parameters[0, p] + at[k] * parameters[1, p])) ** 2
        gained = abs(nodes[0, 0, k] - nodes[1, 0, k]) * abs(change[k]) * gain
        i, j = k // n, k % n
        on_word[i] += gained * reach[0][i]
        on_bit[j] += gained * reach[1][j]
    for q in range(count):
        k = int(felt[q])
        far = abs(change[k])
        p = k if each else 0
        u = nodes[0, 0, k] - nodes[1, 0, k]
        wide = on_word[k // n] + on_bit[k % n]
        steep = slope(law, parameters, k, exposure[k], time) * wide / max(exposure[k], 1e-300)
        gain = parameters[1, p] / (1.0 + series * (parameters[0, p] + at[k] * parameters[1, p])) ** 2
        power = u * u * gain
        worst = max(worst, far * steep * (steep / 24.0 + 0.5 * edges))
        curved += far * (abs(u) * gain * wide / 6.0 + power * skew * 0.25)
        if rest > 0.0:
            up, down, _, _ = rates(law, parameters, k, 0.0)
            curved += power * far * min(1.0, (up + down) * rest / max(exposure[k], 1e-300))
        missed += power * (x0[k] + change[k] * (scale * progress(exposure[k]) + shift) - at[k])
    return worst, curved, missed
