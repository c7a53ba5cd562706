"""An independent reference for phases with a stop condition: dense nodal equations and `solve_ivp` events.

Shares nothing with the solvers under test but the equation of the `mss` model.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import solve_ivp

from cosim.crossbar import PhaseRequest
from cosim.crossbar.drive import drive_table
from cosim.devices.base import BOLTZMANN_OVER_CHARGE
from cosim.devices.mss import Mss

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Event:
    """When the condition is met and when the phase ends [s], and the states at the end."""

    crossing_s: float
    end_s: float
    states: Floats


class _Mesh:
    """A wired array, word lines driven at the left and bit lines at the bottom."""

    def __init__(self, request: PhaseRequest) -> None:
        self.array = request.network.arrays[0]
        rows, columns = self.array.shape
        self.word = np.arange(rows * columns).reshape(rows, columns)
        self.bit = self.word + rows * columns
        self.fixed, self.input = (
            np.zeros((2 * rows * columns,) * 2),
            np.zeros((2 * rows * columns, rows + columns)),
        )
        self.left = 1 / (self.array.word_segments[:, 0] + self.array.r_left)
        self.bottom = 1 / (self.array.bit_segments[-1] + self.array.r_bottom)
        for i in range(rows):
            for j in range(columns - 1):
                self._tie(self.word[i, j], self.word[i, j + 1], 1 / self.array.word_segments[i, j + 1])
        for j in range(columns):
            for i in range(rows - 1):
                self._tie(self.bit[i, j], self.bit[i + 1, j], 1 / self.array.bit_segments[i + 1, j])
        for lines, ends, first in ((self.word[:, 0], self.left, 0), (self.bit[-1], self.bottom, rows)):
            self.fixed[lines, lines] += ends
            self.input[lines, np.arange(first, first + len(lines))] = ends

    def _tie(self, a: int, b: int, g: float) -> None:
        self.fixed[[a, b], [a, b]] += g
        self.fixed[[a, b], [b, a]] -= g

    def solve(self, state: Floats, drives: Floats) -> tuple[Floats, Floats]:
        """Return cell voltages ``(rows, columns)`` and the currents of all nets into the array."""
        g = np.asarray(self.array.device.conductance(state)).ravel()
        matrix = self.fixed.copy()
        w, b = self.word.ravel(), self.bit.ravel()
        matrix[w, w] += g
        matrix[b, b] += g
        matrix[w, b] -= g
        matrix[b, w] -= g
        v = np.linalg.solve(matrix, self.input @ drives)
        rows = self.array.rows
        currents = np.concatenate(
            [
                self.left * (drives[:rows] - v[self.word[:, 0]]),
                self.bottom * (drives[rows:] - v[self.bit[-1]]),
            ]
        )
        return v[self.word] - v[self.bit], currents


def event_reference(request: PhaseRequest, rtol: float = 1e-8) -> Event:
    """Return what happens in a phase with one current condition on a wired 1R array of ``mss`` devices."""
    mesh, phase, stop = _Mesh(request), request.phase, request.phase.stops[0]
    device = mesh.array.device
    assert isinstance(device, Mss)
    nets, shape = request.network.nets, mesh.array.shape
    place = nets.index(stop.net)
    v_t = BOLTZMANN_OVER_CHARGE * request.temperature

    def drives(t: float) -> Floats:
        return drive_table(phase, nets, [t * 1e15])[0]  # type: ignore[list-item]

    def rate(state: Floats, driven: Floats) -> Floats:
        v, _ = mesh.solve(state, driven)
        up, down = 1 / (1 + np.exp(-(v - device.v_on) / v_t)), 1 / (1 + np.exp((v + device.v_off) / v_t))
        return ((1 - state) * up - state * down) / device.tau

    def crossing(t: float, x: Floats) -> float:
        return mesh.solve(x.reshape(shape), drives(t))[1][place] - stop.threshold

    crossing.terminal = True  # type: ignore[attr-defined]
    crossing.direction = 1 if stop.direction == "rising" else -1  # type: ignore[attr-defined]

    def integrate(law, start: Floats, begin: float, end: float, events=None):  # type: ignore[no-untyped-def]
        return solve_ivp(
            law,
            (begin, end),
            start,
            "LSODA",
            rtol=rtol,
            atol=1e-10,
            events=events,
            max_step=(end - begin) / 20,
        )

    x, corners = request.states[0].ravel(), [c * 1e-15 for c in phase.corners_fs()]
    found = None
    for begin, end in itertools.pairwise(corners):
        answer = integrate(lambda t, y: rate(y.reshape(shape), drives(t)).ravel(), x, begin, end, crossing)
        x = answer.y[:, -1]
        if answer.t_events[0].size:
            found = float(answer.t_events[0][0])
            break
    assert found is not None
    delayed, ramp = found + stop.delay_fs * 1e-15, stop.ramp_fs * 1e-15
    if stop.delay_fs:
        x = integrate(lambda t, y: rate(y.reshape(shape), drives(t)).ravel(), x, found, delayed).y[:, -1]
    top = drives(delayed)

    def falling(t: float, y: Floats) -> Floats:
        share = (t - delayed) / ramp
        return rate(y.reshape(shape), top + share * (stop.level - top)).ravel()

    x = integrate(falling, x, delayed, delayed + ramp).y[:, -1]
    return Event(found, delayed + ramp, x.reshape(shape))
