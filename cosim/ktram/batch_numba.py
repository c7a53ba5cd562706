"""Programs over many address tuples as one compiled loop: the arithmetic of `cosim.ktram.models`, cell by cell.

Between two reads all voltages are known, so one pass over the selected cells carries out a read's back-action
and the feedback after it. Every operation and every draw is in the order of single instructions, so the
numbers are the same to the last bit. This module imports numba: import it where it is used.
"""

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np

FLOAT, BYTE, RS, MSS = 0, 1, 2, 3
ALL_GOOD = -1
ONE = np.uint64(1)
"""Places are unsigned, so that no index is taken from the end."""


def _compiled(function: Any) -> Any:
    return numba.njit(nogil=True, error_model="numpy", cache=True)(function)


@_compiled
def first_bad(aats: Any, size: int) -> Any:
    """Return the flat index of the first entry outside of -1..size-1, or `ALL_GOOD`."""
    for row in range(aats.shape[0]):
        lowest, highest = np.int64(0), np.int64(0)
        for space in range(aats.shape[1]):
            lowest = min(lowest, aats[row, space])
            highest = max(highest, aats[row, space])
        if lowest < -1 or highest >= size:
            for space in range(aats.shape[1]):
                if aats[row, space] < -1 or aats[row, space] >= size:
                    return row * aats.shape[1] + space
    return ALL_GOOD


@_compiled
def _law_terms(law: int, par: Any, voltage: float, width: float) -> Any:
    """Return the two numbers of a step at a voltage: gain, fraction and end, or the two chances."""
    if law == FLOAT:
        return (0.0 if -par[4] < voltage < par[3] else par[2] * voltage), 0.0
    if law == BYTE:
        return np.floor(voltage + 0.5), 0.0
    if law == RS:
        above = voltage - par[3] if voltage > par[3] else 0.0
        if voltage < -par[4]:
            above = -(voltage + par[4])
        return par[2] * above * width, (par[1] if voltage > 0 else par[0])
    ratio = width / par[3]
    on = ratio / (1.0 + math.exp(-(voltage - par[4]) / par[6]))
    return on, ratio * (1.0 - 1.0 / (1.0 + math.exp(-(voltage + par[5]) / par[6])))


@_compiled
def _switched(x: float, n: float, on: float, off: float, normal_on: float, normal_off: float) -> float:
    """Return the fraction of switches on after one step of the metastable switches."""
    mean_on, mean_off = (1.0 - x) * n * on, x * n * off
    variance_on, variance_off = mean_on * (1.0 - on), mean_off * (1.0 - off)
    sigma_on = math.sqrt(variance_on) if variance_on > 0.0 else 0.0
    sigma_off = math.sqrt(variance_off) if variance_off > 0.0 else 0.0
    turned_on = math.floor(mean_on + sigma_on * normal_on + 0.5)
    turned_off = math.floor(mean_off + sigma_off * normal_off + 0.5)
    return min(max(x + (turned_on - turned_off) / n, 0.0), 1.0)


@_compiled
def _selected(row: Any, size: int, places: Any) -> Any:
    """Put the flat places of the selected a-sides into ``places``; return their number."""
    count = 0
    for space in range(len(row)):
        places[count] = 2 * (space * size + row[space])
        count += row[space] >= 0
    return count


@_compiled
def _sums(cells: Any, places: Any, count: int, law: int, par: Any) -> Any:
    """Return the sums of Ga - Gb and of Ga + Gb, left to right."""
    if law == BYTE:  # integers: exact in any order, and quick to add
        a_sum, b_sum = np.int64(0), np.int64(0)
        for i in range(count):
            a_sum += np.int64(cells[places[i]])
            b_sum += np.int64(cells[places[i] + ONE])
        return float(a_sum - b_sum), float(a_sum + b_sum)
    top, bottom = 0.0, 0.0
    for i in range(count):
        a, b = np.float64(cells[places[i]]), np.float64(cells[places[i] + ONE])
        if law == MSS:
            a = a / par[0] + (1.0 - a) / par[1]
            b = b / par[0] + (1.0 - b) / par[1]
        top += a - b
        bottom += a + b
    return top, bottom


@_compiled
def _chained(gains: Any, low: float, high: float) -> Any:
    """Return shift, floor and ceiling of several additions with limits after one another."""
    shift, floor, ceiling = 0.0, low, high
    for gain in gains:
        shift += gain
        floor = min(max(floor + gain, low), high)
        ceiling = min(max(ceiling + gain, low), high)
    return np.int32(min(max(shift, -1e6), 1e6)), np.int32(floor), np.int32(ceiling)


@_compiled
def _step_bytes(cells: Any, places: Any, count: int, low: float, high: float, terms: Any) -> None:
    """Carry out whole steps: a chain of limited additions of integers is one limited addition."""
    shift_a, floor_a, ceiling_a = _chained(terms[:, 0, 0], low, high)
    shift_b, floor_b, ceiling_b = _chained(terms[:, 1, 0], low, high)
    for i in range(count):
        place = places[i]
        cells[place] = min(max(cells[place] + shift_a, floor_a), ceiling_a)
        cells[place + ONE] = min(max(cells[place + ONE] + shift_b, floor_b), ceiling_b)


@_compiled
def _step(cells: Any, places: Any, count: int, law: int, par: Any, terms: Any, normals: Any, at: int) -> None:
    """Carry out the steps ``terms`` ``(steps, 2 sides, 2)`` one after the other on every selected cell."""
    low, high = par[0], par[1]
    for k in range(len(terms)):
        first_a, second_a = terms[k, 0, 0], terms[k, 0, 1]
        first_b, second_b = terms[k, 1, 0], terms[k, 1, 1]
        if law == FLOAT:
            for i in range(count):
                place = places[i]
                cells[place] = min(max(cells[place] + first_a, low), high)
                cells[place + ONE] = min(max(cells[place + ONE] + first_b, low), high)
        elif law == RS:
            for i in range(count):
                place = places[i]
                a, b = cells[place], cells[place + ONE]
                cells[place] = min(max(a + first_a * (second_a - a), low), high)
                cells[place + ONE] = min(max(b + first_b * (second_b - b), low), high)
        else:
            for i in range(count):
                place, draw = places[i], at + 4 * (k * count + i)
                cells[place] = _switched(
                    cells[place], par[2], first_a, second_a, normals[draw], normals[draw + 1]
                )
                cells[place + ONE] = _switched(
                    cells[place + ONE], par[2], first_b, second_b, normals[draw + 2], normals[draw + 3]
                )


@_compiled
def _noisy(y: float, m: float, rail: float, noise: Any, normal: float) -> float:
    """Return a read with noise, within -1..1; ``noise`` holds the constants of `cosim.ktram.batch`."""
    magnitude = noise[2] / math.sqrt(m)
    thermal = noise[0] * magnitude / abs(rail) * noise[3]
    flicker = noise[1] * (1.0 - y * y) * magnitude * noise[4]
    resolved = noise[5] / abs(rail)
    y += math.sqrt(thermal * thermal + flicker * flicker + resolved * resolved) * normal
    return min(max(y, -1.0), 1.0)


@_compiled
def run(
    cells: Any,
    aats: Any,
    size: int,
    program: Any,
    width: float,
    law: int,
    par: Any,
    noise: Any,
    normals: Any,
    y: float,
    ys: Any,
) -> None:
    """Carry out ``program`` on every row of ``aats`` ``(tuples, spaces)`` (-1: open), in place.

    ``program`` ``(instructions, 4)``: reads, rail voltage, feedback voltage, whether the feedback takes the
    sign of y. ``ys`` ``(tuples, instructions)`` takes the latched activation after every instruction.
    """
    instructions, spaces = len(program), aats.shape[1]
    places, terms = np.empty(spaces + 1, np.uint64), np.zeros((instructions, 2, 2))
    drawn = 0
    for row in range(len(aats)):
        count = _selected(aats[row], size, places)
        j = 0
        while j < instructions:
            rail = program[j, 1]
            if program[j, 0] != 0.0:
                if count == 0:
                    y = 0.0
                    ys[row, j] = y
                    j += 1
                    continue
                top, bottom = _sums(cells, places, count, law, par)
                y = top / bottom
                if len(noise) > 0:
                    y = _noisy(y, bottom, rail, noise, normals[drawn])
                    drawn += 1
                node = rail * y
            else:
                node = program[j, 2] * (1.0 if program[j, 3] == 0.0 or y >= 0.0 else -1.0)
            last = j
            moves = False
            while True:
                ys[row, last] = y
                for side in range(2):
                    voltage = rail - node if side == 0 else node + rail
                    first, second = _law_terms(law, par, voltage, width)
                    terms[last - j, side, 0], terms[last - j, side, 1] = first, second
                    moves |= first != 0.0 or law == MSS
                last += 1
                if last >= instructions or program[last, 0] != 0.0:
                    break
                rail = program[last, 1]
                node = program[last, 2] * (1.0 if program[last, 3] == 0.0 or y >= 0.0 else -1.0)
            if law == BYTE and moves:
                _step_bytes(cells, places, count, par[0], par[1], terms[: last - j])
            elif moves:
                _step(cells, places, count, law, par, terms[: last - j], normals, drawn)
            if law == MSS:
                drawn += 4 * count * (last - j)
            j = last
