r"""Many equal small arrays joined at nets: solved, moved and accounted for, compiled.

Arrays are taken `WIDTH` at a time, so that every step of the elimination (`cosim.crossbar.elimination`) is one
vector operation. Each array answers for its driven nets and for one volt on the one net that floats and joins
arrays; Kirchhoff's current law at that net then gives its voltage, and the answers add up.

States follow a two-channel law (`cosim.devices.compiled`) at voltages known at the start, middle and end of a step, on a
parabola between them; rates are integrated by Simpson's rule over both halves,

.. math:: \int_0^{h} u\,dt \approx \frac{h}{12}(u_0 + 4 u_{1/4} + 2 u_{1/2} + 4 u_{3/4} + u_1).

The error is a third of what the rule over the whole step misses of that: so much remains where a threshold is crossed
within the step, a fifteenth where rates are smooth.

This module imports numba: import it where it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cosim.devices import compiled as laws
from cosim.devices.compiled import compiled, fingerprint, kept, level_rates, moved

if TYPE_CHECKING:
    from collections.abc import Callable

    from cosim.crossbar.elimination import Elimination
    from cosim.devices.base import FloatArray

WIDTH: Final = 32
"""Arrays in one block."""
_REMAINS = 1.0 / 3.0


class Ends(NamedTuple):
    """Where the lines of all arrays end: word lines, then bit lines, ``(arrays, lines)``.

    ``net``: net that a line end is tied to, or -1; ``node``: the line's node there; ``conductance``: of the tie [S], inf for none in
    between; ``far``: whether that end is the right or the bottom one; ``heat`` ``(arrays, lines)``: resistance between
    segment and net [ohm]. ``float_net``: the floating net that joins lines, or -1.
    """

    net: NDArray[np.intp]
    node: NDArray[np.intp]
    conductance: FloatArray
    far: NDArray[np.bool_]
    heat: FloatArray
    float_net: int


class Shape(NamedTuple):
    """Rows, columns, and segments of the wires [ohm]."""

    rows: int
    columns: int
    r_word: float
    r_bit: float


@compiled
def _cells_of(line: int, rows: int, columns: int) -> tuple[int, int, int]:
    """Return the first cell of a line, the step from one to the next, and how many they are."""
    if line < rows:
        return line * columns, 1, columns
    return line - rows, columns, rows


@compiled
def _solve_block(
    plan: Elimination,
    shape: Shape,
    ends: Ends,
    begin: int,
    g: FloatArray,
    volts: FloatArray,
    w: FloatArray,
    s: FloatArray,
    sources: FloatArray,
    inverse: FloatArray,
    held: FloatArray,
) -> float:
    """Eliminate the arrays from ``begin`` on; leave in ``sources`` ``(2, nodes, WIDTH)`` the node voltages.

    ``sources[0]``: for the driven nets; ``sources[1]``: for one volt on the floating net, the others at 0 V, where one floats.
    Returns the smallest pivot. The other arrays are work space.
    """
    nodes = plan.first.size - 1
    arrays = ends.net.shape[0]
    cells = shape.rows * shape.columns
    w[:] = 0.0
    s[:] = 0.0
    sources[:] = 0.0
    held[:] = 0.0
    for q in range(plan.word_wire.size):
        for b in range(WIDTH):
            w[plan.word_wire[q], b] = 1.0 / shape.r_word
    for q in range(plan.bit_wire.size):
        for b in range(WIDTH):
            w[plan.bit_wire[q], b] = 1.0 / shape.r_bit
    some = min(WIDTH, arrays - begin)
    held[:, some:] = 1.0
    for c in range(cells):
        at = plan.cell[c]
        for b in range(some):
            w[at, b] = g[begin + b, c]
    for line in range(shape.rows + shape.columns):
        for b in range(some):
            a = begin + b
            net = ends.net[a, line]
            if net < 0:
                continue
            k = ends.node[a, line]
            floats = net == ends.float_net
            tie = ends.conductance[a, line]
            if tie == np.inf:
                held[k, b] = 1.0
                tie = 1.0
            else:
                s[k, b] += tie
            sources[0, k, b] += 0.0 if floats else tie * volts[net]
            sources[1, k, b] += tie if floats else 0.0
    return _eliminate(plan, nodes, w, s, sources, inverse, held, ends.float_net >= 0)


@compiled
def _eliminate(
    plan: Elimination,
    nodes: int,
    w: FloatArray,
    s: FloatArray,
    sources: FloatArray,
    inverse: FloatArray,
    held: FloatArray,
    both: bool,
) -> float:
    width = w.shape[1]
    share = np.empty(WIDTH)
    first = np.empty(WIDTH)
    second = np.empty(WIDTH)
    part = np.empty(WIDTH)
    smallest = np.inf
    t = 0
    for k in range(nodes):
        begin, end = plan.first[k], plan.first[k + 1]
        for b in range(width):
            part[b] = s[k, b]
        for q in range(begin, end):
            for b in range(width):
                part[b] += w[q, b]
        for b in range(width):
            free = 1.0 - held[k, b]
            pivot = part[b] + held[k, b]
            smallest = min(smallest, pivot)
            inverse[k, b] = free / pivot
            share[b] = s[k, b] * inverse[k, b] + held[k, b]
            scale = inverse[k, b] + held[k, b]
            first[b] = sources[0, k, b] * scale
            second[b] = scale
        if both:
            for b in range(width):
                second[b] *= sources[1, k, b]
        for q in range(begin, end):
            i = plan.neighbour[q]
            for b in range(width):
                # what a held node gets does not matter to it
                open_end = w[q, b] * (1.0 - held[i, b])
                s[i, b] += open_end * share[b]
                sources[0, i, b] += open_end * first[b]
                part[b] = w[q, b] * inverse[k, b]
            if both:
                for b in range(width):
                    sources[1, i, b] += w[q, b] * (1.0 - held[i, b]) * second[b]
            for r in range(q + 1, end):
                at = plan.target[t]
                t += 1
                for b in range(width):
                    w[at, b] += part[b] * w[r, b]
        for b in range(width):
            sources[0, k, b] = first[b]
        if both:
            for b in range(width):
                sources[1, k, b] = second[b]
    for back in range(nodes):
        k = nodes - 1 - back
        for b in range(width):
            first[b] = 0.0
            second[b] = 0.0
        for q in range(plan.first[k], plan.first[k + 1]):
            i = plan.neighbour[q]
            for b in range(width):
                first[b] += w[q, b] * sources[0, i, b]
            if both:
                for b in range(width):
                    second[b] += w[q, b] * sources[1, i, b]
        for b in range(width):
            sources[0, k, b] += inverse[k, b] * first[b]
        if both:
            for b in range(width):
                sources[1, k, b] += inverse[k, b] * second[b]
    return smallest


class Point(NamedTuple):
    """All arrays at one instant.

    ``cell`` ``(arrays, cells)``: voltages over the cells [V]; ``end``, ``line`` ``(arrays, lines)``: voltages of the line
    ends [V], currents into the lines [A]; ``current`` ``(nets,)``: into
    the nets' lines [A]; ``response``, ``end_response``: voltages for one volt on the floating net.
    """

    cell: FloatArray
    response: FloatArray
    end: FloatArray
    end_response: FloatArray
    line: FloatArray
    current: FloatArray


@compiled
def _solve_all(
    plan: Elimination,
    shape: Shape,
    ends: Ends,
    g: FloatArray,
    volts: FloatArray,
    point: Point,
    version: int,
) -> tuple[float, float, float]:
    nodes, slots = plan.first.size - 1, plan.neighbour.size
    w, s, sources = np.empty((slots, WIDTH)), np.empty((nodes, WIDTH)), np.empty((2, nodes, WIDTH))
    inverse, held = np.empty((nodes, WIDTH)), np.empty((nodes, WIDTH))
    arrays, cells = g.shape
    rows, columns = shape.rows, shape.columns
    smallest = np.inf
    wanted = 0.0
    gain = 0.0
    for begin in range(0, arrays, WIDTH):
        smallest = min(
            smallest,
            _solve_block(plan, shape, ends, begin, g, volts, w, s, sources, inverse, held),
        )
        some = min(WIDTH, arrays - begin)
        for c in range(cells):
            i, j = plan.word[c], plan.bit[c]
            for b in range(some):
                point.cell[begin + b, c] = sources[0, i, b] - sources[0, j, b]
                point.response[begin + b, c] = sources[1, i, b] - sources[1, j, b]
        for line in range(rows + columns):
            for b in range(some):
                a = begin + b
                k = ends.node[a, line]
                point.end[a, line] = sources[0, k, b]
                point.end_response[a, line] = sources[1, k, b]
                if ends.float_net >= 0 and ends.net[a, line] == ends.float_net:
                    first, step, count = _cells_of(line, rows, columns)
                    sign = 1.0 if line < rows else -1.0
                    for q in range(count):
                        c = first + q * step
                        wanted -= sign * g[a, c] * point.cell[a, c]
                        gain += sign * g[a, c] * point.response[a, c]
    v = wanted / gain if ends.float_net >= 0 else 0.0 * version
    point.current[:] = 0.0
    left = 0.0
    largest = 0.0
    for a in range(arrays):
        for c in range(cells):
            point.cell[a, c] += v * point.response[a, c]
        for line in range(rows + columns):
            point.end[a, line] += v * point.end_response[a, line]
            first, step, count = _cells_of(line, rows, columns)
            total = 0.0
            for q in range(count):
                total += g[a, first + q * step] * point.cell[a, first + q * step]
            total = total if line < rows else -total
            point.line[a, line] = total
            if ends.net[a, line] >= 0:
                point.current[ends.net[a, line]] += total
                largest = max(largest, abs(total))
            else:
                left += abs(total)
    if ends.float_net >= 0:
        left += abs(point.current[ends.float_net])
    return smallest, v, left / largest if largest > 0.0 else 0.0


@compiled
def _wire_heat(shape: Shape, ends: Ends, g: FloatArray, point: Point) -> tuple[float, float]:
    """Return the power in wires and in line ends [W].

    A line is tied at one end at most: beyond a node flows what the cells farther from the tied end take.
    """
    rows, columns = shape.rows, shape.columns
    wires = 0.0
    terminations = 0.0
    for a in range(g.shape[0]):
        for line in range(rows + columns):
            first, step, count = _cells_of(line, rows, columns)
            resistance = shape.r_word if line < rows else shape.r_bit
            if resistance > 0.0:
                flow = 0.0
                for passed in range(count - 1):
                    c = first + step * (passed if ends.far[a, line] else count - 1 - passed)
                    flow += g[a, c] * point.cell[a, c]
                    wires += resistance * flow * flow
            if ends.net[a, line] >= 0:
                squared = point.line[a, line] * point.line[a, line]
                wires += resistance * squared
                terminations += ends.heat[a, line] * squared
    return wires, terminations


@compiled
def _account(
    shape: Shape, ends: Ends, g: FloatArray, point: Point, volts: FloatArray, weight: float, of_nets: FloatArray,
    heat: FloatArray, figures: FloatArray,
) -> None:  # fmt: skip
    for net in range(volts.size):
        current = point.current[net]
        power = 0.0 if net == ends.float_net else volts[net] * current
        of_nets[0, net] += weight * max(power, 0.0)
        of_nets[1, net] += weight * max(-power, 0.0)
        of_nets[2, net] += weight * current
    for a in range(g.shape[0]):
        for c in range(g.shape[1]):
            heat[a, c] += weight * g[a, c] * point.cell[a, c] * point.cell[a, c]
    wires, terminations = _wire_heat(shape, ends, g, point)
    figures[0] += weight * wires
    figures[1] += weight * terminations


@compiled
def _travel(
    law: int,
    parameters: FloatArray,
    x: FloatArray,
    cells: tuple[FloatArray, FloatArray, FloatArray],
    h: float,
    middle: FloatArray,
    end: FloatArray,
    rates: FloatArray,
    first: bool,
) -> tuple[float, float]:
    """Store the states at the middle and at the end of a step; return how far they miss and the error.

    ``cells``: voltages at start, middle and end; ``middle``, ``end`` hold the states that these were solved for;
    ``rates`` ``(2, arrays, cells)``: up and down at the start, stored in the ``first`` call of a step, read in the others.
    """
    apart = 0.0
    error = 0.0
    for a in range(x.shape[0]):
        for c in range(x.shape[1]):
            v0, vm, v1 = cells[0][a, c], cells[1][a, c], cells[2][a, c]
            if first:
                rates[0, a, c], rates[1, a, c] = level_rates(law, parameters, 0, v0)
            u0, d0 = rates[0, a, c], rates[1, a, c]
            if v0 == vm and vm == v1:
                uq, um, ur, u1, dq, dm, dr, d1 = u0, u0, u0, u0, d0, d0, d0, d0
            else:
                uq, dq = level_rates(law, parameters, 0, 0.375 * v0 + 0.75 * vm - 0.125 * v1)
                um, dm = level_rates(law, parameters, 0, vm)
                ur, dr = level_rates(law, parameters, 0, -0.125 * v0 + 0.75 * vm + 0.375 * v1)
                u1, d1 = level_rates(law, parameters, 0, v1)
            half_up, half_down = h * (u0 + 4.0 * uq + um) / 12.0, h * (d0 + 4.0 * dq + dm) / 12.0
            up = half_up + h * (um + 4.0 * ur + u1) / 12.0
            down = half_down + h * (dm + 4.0 * dr + d1) / 12.0
            if up + down == 0.0:
                continue
            far = moved(x[a, c], up, down)
            apart = max(apart, abs(x[a, c] + far - end[a, c]))
            end[a, c] = x[a, c] + far
            half = x[a, c] + moved(x[a, c], half_up, half_down)
            apart = max(apart, abs(half - middle[a, c]))
            middle[a, c] = half
            rough_up, rough_down = h * (u0 + 4.0 * um + u1) / 6.0, h * (d0 + 4.0 * dm + d1) / 6.0
            error = max(error, _REMAINS * (abs(up - rough_up) + abs(down - rough_down)))
    return apart, error


@compiled
def _predict(
    law: int,
    parameters: FloatArray,
    x: FloatArray,
    cell: FloatArray,
    h: float,
    middle: FloatArray,
    end: FloatArray,
) -> float:
    """Store the states that constant voltages would lead to; return the largest movement."""
    largest = 0.0
    for a in range(x.shape[0]):
        for c in range(x.shape[1]):
            up, down = level_rates(law, parameters, 0, cell[a, c])
            far = moved(x[a, c], h * up, h * down)
            end[a, c] = x[a, c] + far
            middle[a, c] = x[a, c] + moved(x[a, c], 0.5 * h * up, 0.5 * h * down)
            largest = max(largest, abs(far))
    return largest


def _kernels() -> tuple[Callable[..., Any], ...]:
    version = fingerprint(laws)

    @kept
    def solve(
        plan: Elimination, shape: Shape, ends: Ends, g: FloatArray, volts: FloatArray, point: Point
    ) -> tuple[float, float, float]:
        return _solve_all(plan, shape, ends, g, volts, point, version)

    @kept
    def predict(
        law: int, parameters: FloatArray, x: FloatArray, cell: FloatArray, h: float, middle: FloatArray, end: FloatArray
    ) -> float:  # fmt: skip
        return _predict(law, parameters, x, cell, h, middle, end) + 0.0 * version

    @kept
    def travel(
        law: int, parameters: FloatArray, x: FloatArray, cells: tuple[FloatArray, FloatArray, FloatArray], h: float,
        middle: FloatArray, end: FloatArray, rates: FloatArray, first: bool,
    ) -> tuple[float, float]:  # fmt: skip
        apart, error = _travel(law, parameters, x, cells, h, middle, end, rates, first)
        return apart + 0.0 * version, error

    @kept
    def account(
        shape: Shape, ends: Ends, g: FloatArray, point: Point, volts: FloatArray, weight: float, of_nets: FloatArray,
        heat: FloatArray, figures: FloatArray,
    ) -> None:  # fmt: skip
        _account(shape, ends, g, point, volts, weight, of_nets, heat, figures)

    return solve, predict, travel, account


solve, predict, travel, account = _kernels()
"""The kernels.

``solve(plan, shape, ends, g, volts, point)`` fills a point for conductances ``g`` ``(arrays, cells)`` [S] and net voltages
``volts`` ``(nets,)`` [V], 0 where a net floats; returns the smallest pivot (not above zero: a line without any
conductance), the voltage of the floating net, and the current that open lines and the floating net keep, as a part of the
largest line current.

``predict(law, parameters, x, cell, h, middle, end)`` stores the states that constant voltages lead to at the middle and at the
end of a step ``h`` [s]; returns the largest movement.

``travel(law, parameters, x, cells, h, middle, end, rates, first)`` stores them for voltages at start, middle and end; returns how
far the states that these were solved for (in ``middle`` and ``end`` before) lie away, and the error. ``rates``
``(2, arrays, cells)`` keeps the rates of the start, found in the ``first`` call of a step.

``account(shape, ends, g, point, volts, weight, of_nets, heat, figures)`` adds an instant with its weight [s]: ``of_nets``
``(3, nets)`` delivered, absorbed [J], charge [C]; ``heat`` of the cells [J]; ``figures`` wires, line ends [J].
"""
