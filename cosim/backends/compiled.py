r"""One pulse on one array, compiled by numba: conductances, wires, all states, energies in one call.

The drives are a share s(t) of one level (0, edge, plateau 1, edge, 0), the cells follow a two-channel
law (`cosim.devices.compiled`). What the cells will do is predicted (`compiled_motion`), and the network solved
with every cell at its mean state over the plateau; again only where the prediction was not good enough.
Why that is enough:

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

from cosim.backends import compiled_motion as motion
from cosim.backends.compiled_motion import Times
from cosim.crossbar import pcg_numba
from cosim.devices import compiled as laws
from cosim.devices.compiled import compiled, fingerprint, kept

if TYPE_CHECKING:
    from collections.abc import Callable

    from cosim.devices.base import FloatArray

_solve = pcg_numba._solve  # noqa: SLF001  (the compiled part of the line solver)

STILL, MOVING = 0, 1
"""Codes of an answer; larger ones refuse."""
_REFUSED_CONDUCTANCE, _TOO_FAR, _INEXACT_STATE, _INEXACT_ENERGY = 2, 3, 4, 5
_CORRECTIONS = 4


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

    ``word`` ``(rows, columns + 1)``, ``bit`` ``(rows + 1, columns)``, ``ends`` ``(2, ends)``: end segments
    and terminations [ohm]; ``nets`` ``(ends,)``: net of each end, left, right, top, bottom, or -1;
    ``reach`` ``(rows + columns,)``: of each line all its segments and one end [ohm].
    """

    word: FloatArray
    bit: FloatArray
    ends: FloatArray
    nets: NDArray[np.intp]
    reach: FloatArray


@compiled
def _nets(
    words: FloatArray, bits: FloatArray, wires: Wires, voltage: FloatArray, current: FloatArray
) -> float:
    """Store the current into each net's lines; return the power that the nets deliver."""
    rows = words.shape[2]
    columns = bits.shape[2]
    for net in range(current.size):
        current[net] = 0.0
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
    """Store the heat of one solution in ``cells``; return access devices, wires, line ends [J]."""
    rows = words.shape[2]
    n = bits.shape[2]
    squares = 0.0
    for k in range(seen.size):
        squares += nodes[2, 0, k] * nodes[2, 0, k]
    for k in range(seen.size):
        heat = weight * nodes[2, 0, k] * nodes[2, 0, k]
        cells[k] = heat * (1.0 / (seen[k] if seen[k] > 0.0 else 1.0) - series)
    squares *= weight
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
    for e in range(wires.nets.size):
        at = e - 2 * rows
        current = words[e // rows, 0, e % rows] if at < 0 else bits[at // n, 0, at % n]
        lost += current * current * wires.ends[0, e]
        ends += current * current * wires.ends[1, e]
    return series * squares, weight * lost, weight * ends


@compiled
def _unpacked(
    lines: FloatArray, line_ends: FloatArray, net_voltage: FloatArray, nets: NDArray[np.intp], m: int, n: int
) -> tuple[tuple[FloatArray, ...], tuple[FloatArray, ...], tuple[FloatArray, ...]]:
    """Return lines and ends as the line solver takes them, and the drives of the four sides."""
    at_ends = np.zeros((1, nets.size))
    for e in range(nets.size):
        if nets[e] >= 0:
            at_ends[0, e] = net_voltage[nets[e]]
    k = 2 * m
    drive = (at_ends[:, :m], at_ends[:, m:k], at_ends[:, k : k + n], at_ends[:, k + n :])
    word, bit = line_ends[: 3 * m], line_ends[3 * m :]
    ends = (word[:m], word[m:k], bit[:n], bit[n : 2 * n], word[k:], bit[2 * n :])
    return (lines[0], lines[1], lines[2], lines[3], lines[4], lines[5]), ends, drive


@compiled
def _judge(
    x0: FloatArray,
    law: int,
    parameters: FloatArray,
    series: float,
    at: FloatArray,
    solution: tuple[FloatArray, FloatArray, FloatArray],
    net_voltage: FloatArray,
    wires: Wires,
    times: Times,
    limits: Limits,
    change: FloatArray,
    exposure: FloatArray,
    current: FloatArray,
    figures: FloatArray,
) -> int:
    """Return MOVING if the solution is good enough, -1 if another may be, or why the phase is refused."""
    nodes, words, bits = solution
    rows = words.shape[2]
    reach = wires.reach[:rows], wires.reach[rows:]
    if series > 0.0:
        figures[5] += motion.local(x0, law, parameters, series, nodes, times, limits.active, change, exposure)
    error, curved, missed = motion.errors(
        x0, law, parameters, series, reach, nodes, at, change, exposure, times
    )
    figures[5] += error
    if not figures[5] <= limits.state:
        return _INEXACT_STATE
    power = _nets(words, bits, wires, net_voltage, current)
    figures[6] = (curved + abs(missed)) / power if power > 0.0 else 0.0
    if not curved <= limits.energy * power:
        return _INEXACT_ENERGY
    return MOVING if figures[6] <= limits.energy else -1


@compiled
def _close(
    solution: tuple[FloatArray, FloatArray, FloatArray],
    seen: FloatArray,
    series: float,
    net_voltage: FloatArray,
    wires: Wires,
    times: Times,
    of_cells: FloatArray,
    nets: FloatArray,
    figures: FloatArray,
) -> None:
    """Account the solution: energies and charge of each net, heat of each cell, of wires and line ends."""
    nodes, words, bits = solution
    _nets(words, bits, wires, net_voltage, nets[0])
    edges = times.rise + times.fall
    power_s, charge_s = times.flat + edges / 3.0, times.flat + 0.5 * edges
    for net in range(net_voltage.size):
        power = net_voltage[net] * nets[0, net]
        if power > 0.0:
            nets[1, net] += power_s * power
        else:
            nets[2, net] -= power_s * power
        nets[3, net] += charge_s * nets[0, net]
    lost = _dissipate(nodes, words, bits, seen, series, wires, power_s, of_cells)
    figures[0], figures[1], figures[2] = lost


def _keep(sources: int) -> Callable[..., int]:
    """Return the kernel with its machine code kept on disk as long as ``sources`` is the same."""

    @kept
    def pulse(
        state: FloatArray,
        law: int,
        parameters: FloatArray,
        series: float,
        packed: FloatArray,
        line_ends: FloatArray,
        net_voltage: FloatArray,
        wires: Wires,
        times: Times,
        limits: Limits,
        of_cells: FloatArray,
        nets: FloatArray,
        figures: FloatArray,
    ) -> int:
        if sources < 0:
            return sources
        m, n = state.shape
        x0, size = state.reshape(-1), m * n
        change, exposure, heat = of_cells[0].reshape(-1), of_cells[1].reshape(-1), of_cells[2].reshape(-1)
        lines, ends, drive = _unpacked(packed, line_ends, net_voltage, wires.nets, m, n)
        none, start = (np.empty((0, 0)), np.empty((0, 0))), np.empty((0, 0, 0))
        seen, at, last, stats = np.empty(size), x0.copy(), np.empty((3, 1, size)), np.empty((1, 4))
        nodes, words, bits = np.empty((3, 1, size)), np.empty((2, 1, m)), np.empty((2, 1, n))
        motion.conductance(x0, parameters, series, seen)
        largest = motion.predict(
            x0, law, parameters, series, seen, lines, ends, drive, times, nodes, change, exposure
        )
        doubt, code = 0.0, -1
        for attempt in range(_CORRECTIONS):
            for part in range(3 if attempt else 2):
                for k in range(size):
                    last[part, 0, k] = nodes[part, 0, k]
            if largest > limits.still or attempt:
                motion.middle(x0, parameters, series, change, exposure, times, seen, at)
            settings = (min(attempt, 1), True, limits.goal, limits.solve, limits.iterations)
            out = (nodes, words, bits, stats)
            if _solve(seen, lines, ends, drive, none, none[0], start, out, settings) >= 0:
                return _REFUSED_CONDUCTANCE
            start = last[1:]
            largest, again = motion.adjust(
                x0, law, parameters, series, at, last, nodes, times, limits.active, change, exposure
            )
            doubt = max(doubt, again)
            figures[4], figures[5] = largest, doubt
            if not largest <= limits.move:
                return _TOO_FAR
            code = STILL
            if largest > limits.still:
                code = _judge(
                    x0, law, parameters, series, at, (nodes, words, bits), net_voltage, wires, times, limits, change,
                    exposure, nets[0], figures,
                )  # fmt: skip
            if code >= 0:
                break
        if code < 0 or code > MOVING:
            return code if code > MOVING else _INEXACT_ENERGY
        figures[3] = stats[0, 1] / stats[0, 3] if stats[0, 3] > 0.0 else 0.0
        _close((nodes, words, bits), seen, series, net_voltage, wires, times, heat, nets, figures)
        for k in range(size):
            change[k] += x0[k]
        return code

    return pulse


pulse = _keep(fingerprint(laws, motion, pcg_numba))
"""Answers one phase; see the module.

``state`` ``(rows, columns)``; ``packed`` ``(6, cells)`` and ``line_ends`` are the arrays of `PreparedLines`, joined,
since each array that is handed over costs as much as dozens of cells. Results: ``of_cells``
``(3, rows, columns)``: state at the end, exposure, heat; ``nets`` ``(4, nets)``: current, delivered,
absorbed, charge; ``figures`` ``(7,)``: access, wires, line ends, residual, largest change, estimated errors
of states and of energy. Nets are zero at the call. Returns STILL or MOVING, or why not.
"""
