"""Weights to conductances and bit-line currents back to results.

``differential``: a weight w becomes two conductances in two tiles, G+ = G_low + u·max(w, 0) and
G- = G_low + u·max(-w, 0), with the unit u = (G_high - G_low)/max|w| [S]; the result is the difference
of the two currents. ``single``: one tile, weights that are not negative, and the current of G_low is
subtracted digitally, since the sum of the inputs is known.

Source of the two schemes: T. P. Xiao et al., "Analog architectures for neural network acceleration",
Applied Physics Reviews 7, 031301 (2020), differential cells and offset subtraction.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cosim.errors import InputError

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """Conductance targets [S] ``(rows, columns)`` of each part, and how currents become results."""

    parts: tuple[FloatArray, ...]
    decoding: Decoding


@dataclass(frozen=True, slots=True)
class Decoding:
    """Result = sum of sign * (current - low * sum of voltages) over the parts, divided by the unit.

    ``low`` [S] is what a zero weight conducts, ``unit`` [S] what a weight of one adds to it,
    ``signs`` one factor for each part.
    """

    signs: tuple[float, ...]
    low: float
    unit: float

    def decode(
        self, currents: tuple[FloatArray, ...], voltage: FloatArray, volts_per_input: float
    ) -> FloatArray:
        """Return the results of products.

        ``currents``: per part ``(vectors, columns)`` [A]; ``voltage``: ``(vectors, rows)`` [V];
        ``volts_per_input``: word-line voltage of an input of one [V].
        """
        base = self.low * voltage.sum(axis=-1, keepdims=True)
        total = sum(
            (sign * (current - base) for sign, current in zip(self.signs, currents, strict=True)),
            start=np.zeros_like(currents[0]),
        )
        result: FloatArray = total / (self.unit * volts_per_input)
        return result


def _checked(matrix: FloatArray) -> float:
    if matrix.ndim != 2:
        raise InputError(f"a matrix must have two dimensions, not {matrix.ndim}")
    if not np.all(np.isfinite(matrix)):
        row, column = np.argwhere(~np.isfinite(matrix))[0]
        raise InputError(
            f"matrix element ({row}, {column}) must be a finite number, not {matrix[row, column]}"
        )
    largest = float(np.abs(matrix).max())
    if largest == 0:
        raise InputError("the matrix must have an element other than 0, or there is nothing to scale it by")
    return largest


def differential(matrix: FloatArray, low: float, high: float) -> Encoded:
    """Encode ``matrix`` ``(rows, columns)`` into a positive and a negative part between two conductances [S]."""
    unit = (high - low) / _checked(matrix)
    positive = low + unit * np.maximum(matrix, 0.0)
    negative = low + unit * np.maximum(-matrix, 0.0)
    return Encoded((positive, negative), Decoding((1.0, -1.0), low, unit))


def single(matrix: FloatArray, low: float, high: float) -> Encoded:
    """Encode a matrix without negative elements into one part; raises `InputError` for a negative one."""
    largest = _checked(matrix)
    if np.any(matrix < 0):
        row, column = np.argwhere(matrix < 0)[0]
        raise InputError(
            f"matrix element ({row}, {column}) is {matrix[row, column]:g}, but encoding single takes no negative"
            " elements; use encoding differential with two tiles"
        )
    unit = (high - low) / largest
    return Encoded((low + unit * matrix,), Decoding((1.0,), low, unit))
