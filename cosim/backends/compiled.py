r"""One pulse on one array, compiled by numba: conductances, wires, all states, energies in one call.

The drives are a share s(t) of one level (0, edge, plateau 1, edge, 0), the cells follow a two-channel
law (`cosim.devices.compiled`). The network is solved twice: roughly at the start, to predict the
movement, and exactly with every cell at its mean state over the plateau. Why that is enough:

* the power of the network with fixed sources is, to first order, linear in the conductances, with
  :math:`\partial P / \partial G_c = u_c^2` (Tellegen's theorem). So the mean power is that at the mean
  conductances :math:`G_c + \Delta G_c \overline{\varphi_c}`, where :math:`\varphi_c(t)` is the
  progress of the cell's movement from 0 to 1, up to a twelfth of the second-order remainder;
* the mean voltage of a cell over its movement is that of this solution too, up to second order. An
  access device's share is local, and follows the state by the Simpson rule.

All energies stem from one solution, so the balance closes as well as the solution does.

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
_REFUSED_CONDUCTANCE, _TOO_FAR, _INEXACT_STATE, _INEXACT_ENERGY = 2, 3, 4, 5
_CORRECTIONS = 4
_STEEP = 0.3
_ROUGH = 1e-3
_UNFELT = 1e-9
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
    at: FloatArray,
    nodes: FloatArray,
    times: Times,
    change: FloatArray,
    exposure: FloatArray,
) -> tuple[float, float]:
    """Store how far all cells move at the voltages of one solution; return the largest change, the error.

    ``at``: the states that set the voltage over the access devices.
    """
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
                p = 0 if shared else k
                v[k - begin] /= 1.0 + series * (parameters[0, p] + at[k] * parameters[1, p])
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
def _conductance(x: FloatArray, parameters: FloatArray, series: float, seen: FloatArray) -> None:
    """Store what the lines see of each cell."""
    each = parameters.shape[1] > 1
    for k in range(x.size):
        p = k if each else 0
        g = parameters[0, p] + x[k] * parameters[1, p]
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
def _adjust(
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
    """Move those cells again that feel the difference of two solutions; return as `_movement` does."""
    time = times.rise + times.flat + times.fall + times.before + times.after
    largest = 0.0
    worst = 0.0
    for k in range(x0.size):
        u = nodes[0, 0, k] - nodes[1, 0, k]
        apart = abs(u - (before[0, 0, k] - before[1, 0, k]))
        if series > 0.0:
            p = k if parameters.shape[1] > 1 else 0
            g = parameters[0, p] + at[k] * parameters[1, p]
            apart += abs(u) * series * abs(at[k] - x0[k]) * parameters[1, p]
            u /= 1.0 + series * g
        if slope(law, parameters, k, exposure[k], time) * apart > active:
            change[k], exposure[k], error = _move(law, parameters, k, x0[k], u, times)
            worst = max(worst, error)
        largest = max(largest, abs(change[k]))
    return largest, worst


@compiled
def _middle(
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
    each = parameters.shape[1] > 1
    whole = times.flat + (times.rise + times.fall) / 3.0
    slope_of = times.flat / whole
    shift = times.fall / (3.0 * whole)
    for k in range(x0.size):
        at[k] = x0[k] + change[k] * (slope_of * progress(exposure[k]) + shift)
    for k in range(x0.size):
        p = k if each else 0
        g = parameters[0, p] + at[k] * parameters[1, p]
        seen[k] = g / (1.0 + series * g) if series > 0.0 else g


@compiled
def _local(
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
def _errors(
    x0: FloatArray,
    law: int,
    parameters: FloatArray,
    series: float,
    before: FloatArray,
    nodes: FloatArray,
    at: FloatArray,
    change: FloatArray,
    exposure: FloatArray,
    times: Times,
) -> tuple[float, float, float]:
    """Return the estimated error of the states, that of the power [W], and the power missed in the middle [W].

    ``before``: the rough solution at the start. The cell voltages change by about twice the difference
    of the two over the phase; a movement that neglects it is wrong by the square of the change of its
    logarithmic rate over 24, and by the edges' part of it. The power misses the mean of the squared
    progress less the squared mean, a twelfth of the remainder Q.
    """
    each = parameters.shape[1] > 1
    whole = times.flat + (times.rise + times.fall) / 3.0
    time = times.rise + times.flat + times.fall
    skew = abs(times.rise - times.fall) / time
    edges = (times.rise + times.fall) / time
    rest = times.before + times.after
    scale = times.flat / whole
    shift = times.fall / (3.0 * whole)
    worst = 0.0
    curved = 0.0
    missed = 0.0
    for k in range(x0.size):
        u = nodes[0, 0, k] - nodes[1, 0, k]
        far = abs(change[k])
        if far < _UNFELT:
            continue
        p = k if each else 0
        wide = 2.0 * abs(u - before[0, 0, k] + before[1, 0, k])
        felt = slope(law, parameters, k, exposure[k], time) * wide / max(exposure[k], 1e-300)
        gain = parameters[1, p] / (1.0 + series * (parameters[0, p] + at[k] * parameters[1, p])) ** 2
        power = u * u * gain
        worst = max(worst, far * felt * (felt / 24.0 + 0.5 * edges))
        curved += far * (abs(u) * gain * wide / 6.0 + power * skew * 0.25)
        if rest > 0.0:
            up, down, _, _ = rates(law, parameters, k, 0.0)
            curved += power * far * min(1.0, (up + down) * rest / max(exposure[k], 1e-300))
        missed += power * (x0[k] + change[k] * (scale * progress(exposure[k]) + shift) - at[k])
    return worst, curved, missed


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

    ``out``: change of state, exposure, heat of the cells ``(cells,)``; per net current, delivered,
    absorbed, charge ``(4, nets)``; access, wires, line ends, residual, largest change, estimated errors
    of states and of energy ``(7,)``. Cells and nets of ``out`` are zero at the call.
    """
    change, exposure, cells, nets, figures = out
    size = x0.size
    none = np.empty((0, 0))
    seen = np.empty(size)
    at = np.empty(size)
    rough = np.empty((3, 1, size))
    nodes = np.empty((3, 1, size))
    words = np.empty((2, 1, ends[0].size))
    bits = np.empty((2, 1, ends[2].size))
    stats = np.empty((1, 4))
    last = np.empty((3, 1, size))
    _conductance(x0, parameters, series, seen)
    loose = (0, False, _ROUGH, _ROUGH, limits.iterations)
    if (
        _solve(
            seen,
            lines,
            ends,
            drive,
            (none, none),
            none,
            np.empty((0, 0, 0)),
            (rough, words, bits, stats),
            loose,
        )
        >= 0
    ):
        return _REFUSED_CONDUCTANCE
    largest, doubt = _movement(x0, law, parameters, series, x0, rough, times, change, exposure)
    if not largest <= limits.move:
        return _TOO_FAR
    warm = (1, True, limits.goal, limits.solve, limits.iterations)
    whole = times.flat + (times.rise + times.fall) / 3.0
    nodes[:] = rough
    code = _INEXACT_ENERGY
    for _ in range(_CORRECTIONS):
        last[:] = nodes
        if largest > limits.still:
            _middle(x0, parameters, series, change, exposure, times, seen, at)
        else:
            at[:] = x0
        if (
            _solve(seen, lines, ends, drive, (none, none), none, last[1:], (nodes, words, bits, stats), warm)
            >= 0
        ):
            return _REFUSED_CONDUCTANCE
        largest, again = _adjust(
            x0, law, parameters, series, at, last, nodes, times, limits.active, change, exposure
        )
        doubt = max(doubt, again)
        if not largest <= limits.move:
            return _TOO_FAR
        figures[4] = largest
        figures[5] = doubt
        if largest <= limits.still:
            code = STILL
            break
        if series > 0.0:
            figures[5] += _local(x0, law, parameters, series, nodes, times, limits.active, change, exposure)
        error, curved, missed = _errors(
            x0, law, parameters, series, rough, nodes, at, change, exposure, times
        )
        figures[5] += error
        if not figures[5] <= limits.state:
            return _INEXACT_STATE
        nets[0, :] = 0.0
        power = _nets(words, bits, wires, net_voltage, nets[0])
        figures[6] = (curved + abs(missed)) / power if power > 0.0 else 0.0
        if not curved <= limits.energy * power:
            return _INEXACT_ENERGY
        if figures[6] <= limits.energy:
            code = MOVING
            break
    if code > MOVING:
        return code
    if code == STILL:
        nets[0, :] = 0.0
        _nets(words, bits, wires, net_voltage, nets[0])
    figures[3] = stats[0, 1] / stats[0, 3] if stats[0, 3] > 0.0 else 0.0
    _close(net_voltage, nets, whole, times.flat + 0.5 * (times.rise + times.fall))
    lost = _dissipate(nodes, words, bits, seen, series, wires, whole, cells)
    figures[0], figures[1], figures[2] = lost
    return code


@compiled
def _close(voltage: FloatArray, nets: FloatArray, power_s: float, charge_s: float) -> None:
    """Add energies and charge of one solution to each net."""
    for net in range(voltage.size):
        power = voltage[net] * nets[0, net]
        if power > 0.0:
            nets[1, net] += power_s * power
        else:
            nets[2, net] -= power_s * power
        nets[3, net] += charge_s * nets[0, net]


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
