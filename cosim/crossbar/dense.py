"""Direct solve of small arrays: the node equations as one dense symmetric matrix.

For arrays of a few dozen cells driven at the left and sunk at the bottom, LAPACK on the whole matrix
costs less than the set-up of an iterative method, and needs no compiled kernel. Unknowns are the word
nodes, then the bit nodes, row-major; line currents are sums of cell currents, so nothing cancels.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from cosim.crossbar.lines import LineSystem
from cosim.devices.base import FloatArray

LARGEST = 64
"""Cells of the largest array worth solving this way."""


class DenseSolution(NamedTuple):
    """``voltage``, ``current`` of the cells ``(instants, rows, columns)``; line currents into the array.

    ``word`` ``(instants, rows)`` at the left, ``bit`` ``(instants, columns)`` at the bottom;
    ``residual``: summed Kirchhoff residual relative to the largest line current.
    """

    voltage: FloatArray
    current: FloatArray
    word: FloatArray
    bit: FloatArray
    residual: float


class DenseSystem:
    """The wires of one small array, assembled once."""

    def __init__(self, system: LineSystem) -> None:
        rows, columns = system.rows, system.columns
        cells = rows * columns
        self.shape = (rows, columns)
        self._g_left = 1.0 / np.asarray(system.r_left)
        self._g_bottom = 1.0 / np.asarray(system.r_bottom)
        g_word = 1.0 / np.broadcast_to(system.r_word, (rows, max(columns - 1, 0)))
        g_bit = 1.0 / np.broadcast_to(system.r_bit, (max(rows - 1, 0), columns))
        word = np.arange(cells).reshape(rows, columns)
        bit = word + cells
        wires = np.zeros((2 * cells, 2 * cells))
        for first, second, g in ((word[:, :-1], word[:, 1:], g_word), (bit[:-1], bit[1:], g_bit)):
            np.add.at(wires, (first, first), g)
            np.add.at(wires, (second, second), g)
            np.add.at(wires, (first, second), -g)
            np.add.at(wires, (second, first), -g)
        wires[word[:, 0], word[:, 0]] += self._g_left
        wires[bit[-1], bit[-1]] += self._g_bottom
        self._wires = wires
        self._word, self._bit = word.ravel(), bit.ravel()
        self._first, self._last = word[:, 0], bit[-1]

    @staticmethod
    def fits(system: LineSystem) -> bool:
        """Whether a line system is small, driven at the left, sunk at the bottom, without exact shorts."""
        if system.rows * system.columns > LARGEST:
            return False
        driven = np.concatenate((np.ravel(system.r_left), np.ravel(system.r_bottom)))
        open_ends = np.concatenate((np.ravel(system.r_right), np.ravel(system.r_top)))
        segments = np.concatenate((np.ravel(system.r_word), np.ravel(system.r_bit)))
        tied = bool(np.all(driven > 0) and np.all(np.isfinite(driven)) and np.all(np.isinf(open_ends)))
        return tied and bool(np.all(segments > 0) and np.all(np.isfinite(segments)))

    def solve(self, conductance: FloatArray, v_left: FloatArray, v_bottom: FloatArray) -> DenseSolution:
        """Return the solution for drives ``v_left`` ``(instants, rows)``, ``v_bottom`` ``(instants, columns)``."""
        cells = conductance.ravel()
        matrix = self._wires.copy()
        matrix[self._word, self._word] += cells
        matrix[self._bit, self._bit] += cells
        matrix[self._word, self._bit] = -cells
        matrix[self._bit, self._word] = -cells
        drive = np.zeros((len(matrix), len(v_left)))
        drive[self._first] = self._g_left[:, None] * v_left.T
        drive[self._last] = self._g_bottom[:, None] * v_bottom.T
        nodes = np.linalg.solve(matrix, drive)
        missed = np.abs(matrix @ nodes - drive).sum(axis=0)
        voltage = (nodes[: len(cells)] - nodes[len(cells) :]).T.reshape(-1, *self.shape)
        current = conductance * voltage
        word, bit = current.sum(axis=2), -current.sum(axis=1)
        largest = max(float(np.abs(word).max()), float(np.abs(bit).max()))
        return DenseSolution(voltage, current, word, bit, float(missed.max()) / largest if largest else 0.0)
