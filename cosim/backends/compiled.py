r"""One pulse on one array, compiled by numba: conductances, wires, all states, energies in one call.

The drives are a share s(t) of one level (0, edge, plateau 1, edge, 0), the cells follow a two-channel
law (`cosim.devices.compiled`). Between the solution at the start (states x0) and the one at the end
(states x1) everything goes with the progress :math:`\varphi(t)` from 0 to 1 of the movement:

* cell voltages are :math:`s\,[u_0 + \varphi\,(u_1 - u_0)]`; a cell whose movement feels the
  difference is integrated over the plateau by the Simpson rule;
* the power of the network with fixed sources is, to first order, linear in the conductances, with
  :math:`\partial P / \partial G_c = u_c^2` (Tellegen's theorem). So with :math:`L_c = u_c^2\,\Delta G_c`
  and the remainder :math:`Q = P_1 - P_0 - \sum L_c` the mean power over the plateau is
  :math:`P_0 + \sum L_c \overline{\varphi_c} + Q\,\overline{\varphi^2}`. The two solutions get the
  weights that give this sum, all quantities the same: the balance of each solution then closes.

What the approximation may miss is estimated; a phase beyond `Limits` is refused, and the general path
answers it. This module imports numba: import it where it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cosim.crossbar import pcg_numba
from cosim.devices import compiled as laws
from cosim.devices.compiled import compiled, fingerprint, kept, moved, mss_block, progress, rates, slope

if TYPE_CHECKING:
    from collections.abc import Callable

    from cosim.devices.base import FloatArray

_solve = pcg_numba._solve  # noqa: SLF001  (the compiled part of the line solver)

STILL, MOVING = 0, 1
"""Codes of an answer; larger ones refuse."""
_REFUSED_CONDUCTANCE, _TOO_FAR, _NO_COUPLING, _INEXACT_STATE, _INEXACT_ENERGY = 2, 3, 4, 5, 6
_CORRECTIONS = 4
_STEEP = 0.3
_BLOCK = 1024


class Times(NamedTuple):
    """Parts of the phase [s]: at 0 V, edge, plateau, edge, at 0 V."""

    before: float
    rise: float
    flat: float
    fall: float
    after: float


class Limits(NamedTuple):
    """Tolerances: see `Tolerances`; ``state`` and ``energy`` bound the estimated errors."""

    still: float
    move: float
    coupling: float
    active: float
    state: float
    energy: float
    goal: float
    solve: float
    iterations: int


class Wires(NamedTuple):
    """Resistances that dissipate, and where the line ends lie.

    ``word`` ``(rows, columns + 1)``, ``bit`` ``(rows + 1, columns)``, ``segments`` and ``terminations``
    ``(ends,)`` [ohm]; ``nets`` ``(ends,)``: net of each end, left, right, top, bottom, or -1.
    """

    word: FloatArray
    bit: FloatArray
    segments: FloatArray
    terminations: FloatArray
    nets: NDArray[np.intp]


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
def _move(
    law: int, parameters: FloatArray, k: int, x: float, v: float, times: Times
) -> tuple[float, float, float]:
    """Return change, exposure and error of cell ``k`` at the fixed level ``v``."""
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
    if order < 1e-10:
        up += edge_up + rest_up
        down += edge_down + rest_down
        return moved(x, up, down), up + down, 0.0
    return _trajectory(law, parameters, k, x, v, v, times, np.array([0.0, 0.5, 1.0]))


@compiled
def _movement(
    x0: FloatArray,
    law: int,
    parameters: FloatArray,
    series: float,
    nodes: FloatArray,
    times: Times,
    change: FloatArray,
    exposure: FloatArray,
) -> tuple[float, float]:
    """Store how far all cells move at the voltages of one solution; return the largest change, the error."""
    shared = parameters.shape[1] == 1
    buffer = np.empty(_BLOCK)
    hard = np.ones(_BLOCK)
    largest = 0.0
    worst = 0.0
    for begin in range(0, x0.size, _BLOCK):
        end = min(begin + _BLOCK, x0.size)
        v = buffer[: end - begin]
        for k in range(begin, end):
            v[k - begin] = nodes[0, 0, k] - nodes[1, 0, k]
        if series > 0.0:
            for k in range(begin, end):
                at = 0 if shared else k
                v[k - begin] /= 1.0 + series * (parameters[0, at] + x0[k] * parameters[1, at])
        if shared and law == 0:
            mss_block(
                x0[begin:end], v, parameters, times.flat, times.rise + times.fall, times.before + times.after,
                change[begin:end], exposure[begin:end], hard,
            )  # fmt: skip
        for k in range(begin, end):
            if hard[k - begin] != 0.0:
                change[k], exposure[k], error = _move(law, parameters, k, x0[k], v[k - begin], times)
                worst = max(worst, error)
            largest = max(largest, abs(change[k]))
    return largest, worst


@compiled
def _weights(
    law: int,
    parameters: FloatArray,
    series: float,
    g0: FloatArray,
    g1: FloatArray,
    nodes: FloatArray,
    exposure: FloatArray,
    times: Times,
    power: float,
) -> tuple[float, float, float, float, float]:
    """Return sum L, sum L mean(phi), and the progress at start and end of the plateau and its exposure.

    The last three are means over the cells by ``|L|``.
    """
    total = 0.0
    share = 0.0
    size = 0.0
    first = 0.0
    last = 0.0
    level = 0.0
    for k in range(g0.size):
        u = nodes[0, 0, k] - nodes[1, 0, k]
        part = u * u * (g1[k] - g0[k])
        total += part
        if abs(part) <= 1e-10 * power:
            share += 0.5 * part
            continue
        v = u if series == 0.0 else nodes[2, 0, k] / (g0[k] / (1.0 - series * g0[k]))
        up, down, edge_up, edge_down = rates(law, parameters, k, v)
        all_of_it = max(exposure[k], 1e-300)
        begin = min((edge_up + edge_down) * times.rise / all_of_it, 1.0)
        end = max(1.0 - (edge_up + edge_down) * times.fall / all_of_it, begin)
        flat = (up + down) * times.flat
        share += part * (begin + (end - begin) * progress(flat))
        size += abs(part)
        first += abs(part) * begin
        last += abs(part) * end
        level += abs(part) * flat
    if size == 0.0:
        return total, share, 0.0, 1.0, 0.0
    return total, share, first / size, last / size, level / size


@compiled
def _correct(
    x0: FloatArray,
    law: int,
    parameters: FloatArray,
    series: float,
    g0: FloatArray,
    g1: FloatArray,
    start: FloatArray,
    end: FloatArray,
    times: Times,
    way: FloatArray,
    level: float,
    active: float,
    first: FloatArray,
    change: FloatArray,
    exposure: FloatArray,
) -> tuple[float, float]:
    """Move the cells again that feel the difference of two solutions; return the mismatch and the error.

    ``first``: changes at the voltages of the start; ``change``: those that the end was solved for.
    """
    mismatch = 0.0
    worst = 0.0
    time = times.rise + times.flat + times.fall
    for k in range(x0.size):
        v0 = start[0, 0, k] - start[1, 0, k]
        v1 = end[0, 0, k] - end[1, 0, k]
        if series > 0.0:
            v0 = v0 * (1.0 - series * g0[k])
            v1 = v1 * (1.0 - series * g1[k])
        felt = slope(law, parameters, k, exposure[k], time) * abs(v1 - v0)
        if felt <= active:
            continue
        if law == 0 and felt > _STEEP * exposure[k] and felt > 1e-6:
            return np.inf, np.inf
        far, total, error = _trajectory(law, parameters, k, x0[k], v0, v1, times, way)
        error += abs(far - first[k]) * (0.25 * abs(total - level) + 0.01 * level)
        mismatch = max(mismatch, abs(far - change[k]))
        worst = max(worst, error)
        change[k] = far
        exposure[k] = total
    return mismatch, worst


@compiled
def _conductance(
    x: FloatArray, change: FloatArray, parameters: FloatArray, series: float, seen: FloatArray
) -> None:
    """Store what the lines see of each cell at ``x + change`` (``change`` may be empty)."""
    each = parameters.shape[1] > 1
    for k in range(x.size):
        at = x[k] + change[k] if change.size else x[k]
        g = parameters[0, k if each else 0] + at * parameters[1, k if each else 0]
        seen[k] = g / (1.0 + series * g) if series > 0.0 else g


@compiled
def _nets(
    words: FloatArray, bits: FloatArray, wires: Wires, voltage: FloatArray, current: FloatArray
) -> float:
    """Store the current into each net's lines; return the power that the nets deliver."""
    rows = words.shape[2]
    columns = bits.shape[2]
    for e in range(wires.nets.size):
        net = wires.nets[e]
        if net < 0:
            continue
        if e < 2 * rows:
            current[net] += words[e // rows, 0, e % rows]
        else:
            at = e - 2 * rows
            current[net] += bits[at // columns, 0, at % columns]
    power = 0.0
    for net in range(voltage.size):
        power += voltage[net] * current[net]
    return power


@compiled
def _dissipate(
    nodes: FloatArray,
    words: FloatArray,
    bits: FloatArray,
    seen: FloatArray,
    series: float,
    wires: Wires,
    weight: float,
    cells: FloatArray,
) -> tuple[float, float, float]:
    """Add the heat of one solution to ``cells``; return access devices, wires, line ends [J]."""
    rows = words.shape[2]
    n = bits.shape[2]
    squares = 0.0
    for k in range(seen.size):
        square = weight * nodes[2, 0, k] * nodes[2, 0, k]
        squares += square
        if square > 0.0:
            cells[k] += square * (1.0 / seen[k] - series)
    if not wires.word.size:
        return series * squares, 0.0, 0.0
    lost = 0.0
    down = bits[0, 0].copy()
    for i in range(rows):
        along = words[0, 0, i]
        for j in range(n - 1):
            along -= nodes[2, 0, i * n + j]
            lost += along * along * wires.word[i, j + 1]
        if i < rows - 1:
            for j in range(n):
                down[j] += nodes[2, 0, i * n + j]
            for j in range(n):
                lost += down[j] * down[j] * wires.bit[i + 1, j]
    ends = 0.0
    for e in range(wires.segments.size):
        at = e - 2 * rows
        current = words[e // rows, 0, e % rows] if at < 0 else bits[at // n, 0, at % n]
        lost += current * current * wires.segments[e]
        ends += current * current * wires.terminations[e]
    return series * squares, weight * lost, weight * ends


@compiled
def _mean(
    total: float, share: float, rest: float, first: float, last: float, energy: float, times: Times
) -> tuple[float, float]:
    """Return the weight of the end on the plateau, and the estimated relative error of the energy."""
    gain = total + rest
    wanted = share + rest / 3.0
    mean = 0.5
    if gain != 0.0:
        mean = min(max(wanted / gain, 0.0), 1.0)
    missed = (abs(wanted - mean * gain) + 0.05 * abs(rest)) * times.flat
    missed += abs(total) * (first * times.rise + (1.0 - last) * times.fall) / 3.0
    return mean, missed / energy if energy > 0.0 else 0.0


@compiled
def _pulse(
    x0: FloatArray,
    law: int,
    parameters: FloatArray,
    series: float,
    lines: tuple[FloatArray, ...],
    ends: tuple[FloatArray, ...],
    drive: tuple[FloatArray, ...],
    net_voltage: FloatArray,
    wires: Wires,
    times: Times,
    limits: Limits,
    out: tuple[FloatArray, ...],
) -> int:
    """Answer one phase; see the module.

    ``out``: change of state, exposure, heat of the cells ``(cells,)``; per net current at the start and
    at the end, delivered, absorbed, charge ``(5, nets)``; access, wires, line ends, residual, largest
    change, estimated errors of states and of energy ``(7,)``. Cells and nets of ``out`` are zero at the call.
    """
    change, exposure, cells, nets, figures = out
    size = x0.size
    rows = ends[0].size
    columns = ends[2].size
    none = np.empty((0, 0))
    empty = np.empty((0, 0, 0))
    g0 = np.empty(size)
    _conductance(x0, none.reshape(0), parameters, series, g0)
    nodes0 = np.empty((3, 1, size))
    words0 = np.empty((2, 1, rows))
    bits0 = np.empty((2, 1, columns))
    stats = np.empty((1, 4))
    cold = (0, True, limits.goal, limits.solve, limits.iterations)
    if _solve(g0, lines, ends, drive, (none, none), none, empty, (nodes0, words0, bits0, stats), cold) >= 0:
        return _REFUSED_CONDUCTANCE
    figures[3] = stats[0, 1] / stats[0, 3] if stats[0, 3] > 0.0 else 0.0
    power0 = _nets(words0, bits0, wires, net_voltage, nets[0])
    largest, worst = _movement(x0, law, parameters, series, nodes0, times, change, exposure)
    figures[4] = largest
    figures[5] = worst
    figures[6] = 0.0
    edges = (times.rise + times.fall) / 3.0
    if largest <= limits.still:
        _close(net_voltage, nets, 0, times.flat + edges, times.flat + 1.5 * edges)
        lost = _dissipate(nodes0, words0, bits0, g0, series, wires, times.flat + edges, cells)
        figures[0], figures[1], figures[2] = lost
        return STILL
    if not largest <= limits.move:
        return _TOO_FAR
    g1 = np.empty(size)
    nodes1 = np.empty((3, 1, size))
    words1 = np.empty((2, 1, rows))
    bits1 = np.empty((2, 1, columns))
    start = np.empty((2, 1, size))
    start[0] = nodes0[1]
    start[1] = nodes0[2]
    warm = (1, True, limits.goal, limits.solve, limits.iterations)
    way = np.empty(3)
    first = change.copy()
    settled = False
    for _ in range(_CORRECTIONS):
        _conductance(x0, change, parameters, series, g1)
        if (
            _solve(g1, lines, ends, drive, (none, none), none, start, (nodes1, words1, bits1, stats), warm)
            >= 0
        ):
            return _REFUSED_CONDUCTANCE
        total, share, begin, end, level = _weights(
            law, parameters, series, g0, g1, nodes0, exposure, times, power0
        )
        way[0] = begin
        way[1] = begin + (end - begin) * (0.5 + 0.125 * level)
        way[2] = end
        mismatch, error = _correct(
            x0, law, parameters, series, g0, g1, nodes0, nodes1, times, way, level, limits.active, first,
            change, exposure,
        )  # fmt: skip
        if mismatch <= limits.coupling:
            settled = True
            break
        if mismatch == np.inf:
            break
        start[0] = nodes1[1]
        start[1] = nodes1[2]
    if not settled:
        return _NO_COUPLING
    if stats[0, 3] > 0.0:
        figures[3] = max(figures[3], stats[0, 1] / stats[0, 3])
    figures[5] = max(worst, error)
    if not figures[5] <= limits.state:
        return _INEXACT_STATE
    power1 = _nets(words1, bits1, wires, net_voltage, nets[1])
    mean, figures[6] = _mean(
        total, share, power1 - power0 - total, begin, end, power0 * (times.flat + edges), times
    )
    if not figures[6] <= limits.energy:
        return _INEXACT_ENERGY
    head = (1.0 - mean) * times.flat
    tail = mean * times.flat
    _close(net_voltage, nets, 0, head + times.rise / 3.0, head + times.rise / 2.0)
    _close(net_voltage, nets, 1, tail + times.fall / 3.0, tail + times.fall / 2.0)
    one = _dissipate(nodes0, words0, bits0, g0, series, wires, head + times.rise / 3.0, cells)
    two = _dissipate(nodes1, words1, bits1, g1, series, wires, tail + times.fall / 3.0, cells)
    for k in range(3):
        figures[k] = one[k] + two[k]
    return MOVING


@compiled
def _close(voltage: FloatArray, nets: FloatArray, at: int, power_s: float, charge_s: float) -> None:
    """Add energies and charge of one solution to each net."""
    for net in range(voltage.size):
        power = voltage[net] * nets[at, net]
        if power > 0.0:
            nets[2, net] += power_s * power
        else:
            nets[3, net] -= power_s * power
        nets[4, net] += charge_s * nets[at, net]


def _keep(sources: int) -> Callable[..., int]:
    """Return `_pulse` with its machine code kept on disk as long as ``sources`` is the same."""

    @kept
    def pulse(
        x0: FloatArray,
        law: int,
        parameters: FloatArray,
        series: float,
        lines: tuple[FloatArray, ...],
        ends: tuple[FloatArray, ...],
        drive: tuple[FloatArray, ...],
        net_voltage: FloatArray,
        wires: Wires,
        times: Times,
        limits: Limits,
        out: tuple[FloatArray, ...],
    ) -> int:
        if sources < 0:
            return sources
        return _pulse(x0, law, parameters, series, lines, ends, drive, net_voltage, wires, times, limits, out)

    return pulse


pulse = _keep(fingerprint(laws, pcg_numba))
"""Answers one phase: see `_pulse`."""
