"""Weights to conductances and bit-line currents back to results.

``differential``: a weight w becomes two conductances in two tiles, G+ = G_low + u·max(w, 0) and
G- = G_low + u·max(-w, 0), with the unit u = (G_high - G_low)/max|w| [S]; the result is the difference
of the two currents. ``single``: one tile, weights that are not negative, and the current of G_low is
subtracted digitally, since the sum of the inputs is known.
In 2T2R cells both conductances of ``differential`` are in one tile, on the two bit lines of a column (`paired`).

Either may be cut into slices of bits: |w| becomes a code of B bits, and each slice of k bits, the lowest first, has arrays
of its own, whose results are shifted and added:

    |w| = max|w| code/(2^B - 1),  code = sum_p 2^(k p) slice_p,  G_p = G_low + slice_p (G_high - G_low)/(2^k - 1).

Sources: T. P. Xiao et al., "Analog architectures for neural network acceleration", Applied Physics Reviews 7, 031301
(2020), differential cells and offset subtraction; A. Shafiee et al., ISCA 2016 (ISAAC), 16-bit weights in 2-bit cells.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from cosim.errors import InputError
from cosim.units import check, quantity

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class WeightSlices:
    """How a weight is cut into slices, each in a cell of an array of its own."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    weight_bits: int = quantity(8, source="cosim: 8-bit weights", doc="bits of the magnitude of a weight")
    cell_bits: int = quantity(2, source="ISAAC, Shafiee et al., ISCA 2016: 2-bit cells", doc="bits in a cell")

    def __post_init__(self) -> None:
        check(1 <= self.weight_bits <= 24, "slices", "weight_bits", "between 1 and 24", self.weight_bits)
        rule = f"between 1 and {self.weight_bits}"
        check(1 <= self.cell_bits <= self.weight_bits, "slices", "cell_bits", rule, self.cell_bits)

    @property
    def count(self) -> int:
        """Number of slices."""
        return -(-self.weight_bits // self.cell_bits)


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """Conductance targets [S] of each tile, ``(rows, columns)`` (`paired`: twice the columns), and how currents become results."""

    parts: tuple[FloatArray, ...]
    decoding: Decoding


@dataclass(frozen=True, slots=True)
class Decoding:
    """Result = sum of factor * (current - low * sum of voltages) over the parts, divided by the unit.

    ``low`` [S] is what a zero weight conducts, ``unit`` [S] what a weight of one adds to it,
    ``factors`` one for each part: its sign, and what its slice counts; ``slices``: how many there are.
    ``bit_lines``: parts that share a tile, on neighbouring bit lines (2 in 2T2R cells).
    """

    factors: tuple[float, ...]
    low: float
    unit: float
    slices: int = 1
    bit_lines: int = 1

    def decode(
        self, currents: tuple[FloatArray, ...], voltage: FloatArray, volts_per_input: float
    ) -> FloatArray:
        """Return the results of products.

        ``currents``: per tile ``(vectors, bit lines)`` [A]; ``voltage``: ``(vectors, rows)`` [V];
        ``volts_per_input``: word-line voltage of an input of one [V].
        """
        base = self.low * voltage.sum(axis=-1, keepdims=True)
        parts = [tile[:, k :: self.bit_lines] for tile in currents for k in range(self.bit_lines)]
        total = sum(
            (factor * (current - base) for factor, current in zip(self.factors, parts, strict=True)),
            start=np.zeros_like(parts[0]),
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
    largest = _not_negative(matrix)
    unit = (high - low) / largest
    return Encoded((low + unit * matrix,), Decoding((1.0,), low, unit))


def sliced(matrix: FloatArray, low: float, high: float, slices: WeightSlices, *, signed: bool) -> Encoded:
    """Encode a matrix into slices of bits, the lowest first; ``signed``: a positive and a negative part of each.

    Raises `InputError` for a negative element where it is not signed.
    """
    largest = _checked(matrix) if signed else _not_negative(matrix)
    top, full = (1 << slices.cell_bits) - 1, (1 << slices.weight_bits) - 1
    code = np.rint(np.abs(matrix) / largest * full).astype(np.int64)
    parts, factors = [], []
    for position in range(slices.count):
        shift = position * slices.cell_bits
        conductance = low + ((code >> shift) & top) * ((high - low) / top)
        weight = 2.0**shift * top / full
        signs = (1.0, -1.0) if signed else (1.0,)
        parts += [np.where(sign * matrix > 0, conductance, low) for sign in signs]
        factors += [sign * weight for sign in signs]
    decoding = Decoding(tuple(factors), low, (high - low) / largest, slices.count)
    return Encoded(tuple(parts), decoding)


def paired(encoded: Encoded) -> Encoded:
    """Put the positive and the negative part of each slice into one tile of 2T2R cells: bit lines +, -, +, - ..."""
    parts = encoded.parts
    tiles = tuple(
        np.stack(pair, axis=-1).reshape(len(pair[0]), -1)
        for pair in zip(parts[::2], parts[1::2], strict=True)
    )
    return Encoded(tiles, dataclasses.replace(encoded.decoding, bit_lines=2))


def _not_negative(matrix: FloatArray) -> float:
    largest = _checked(matrix)
    if np.any(matrix < 0):
        row, column = np.argwhere(matrix < 0)[0]
        raise InputError(
            f"matrix element ({row}, {column}) is {matrix[row, column]:g}, but encoding single takes no negative"
            " elements; use encoding differential with two tiles"
        )
    return largest
