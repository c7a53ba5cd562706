"""Encoders: a value becomes an activation address tuple, one channel for each declared space.

An encoder declares its spaces (``space_sizes``, the number of channels of each); a classifier sizes its core by
them. Source of names, defaults and of the binning rule: the kT-RAM reference emulator (``docs/ktram.md``).
"""

from __future__ import annotations

import abc
import math
from collections.abc import Iterable, Sequence
from typing import final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cosim.errors import KtramError
from cosim.ktram.aat import Address

AddressTuple = tuple[Address, ...]
"""What an encoder gives: one address or None for each space, as a tuple."""


class AATEncoder(abc.ABC):
    """Turns a value into an activation address tuple; at most one channel of a space is active."""

    @abc.abstractmethod
    def encode(self, value: Sequence[float]) -> AddressTuple:
        """Return the tuple of ``value``; the encoder stays as it is."""

    def encode_adapt(self, value: Sequence[float]) -> AddressTuple:
        """Return the tuple of ``value`` and let the encoder learn from it; by default it has nothing to learn."""
        return self.encode(value)

    @property
    @abc.abstractmethod
    def space_sizes(self) -> list[int]:
        """Number of channels of each space, in the order of the tuple."""

    def encode_all(self, values: ArrayLike) -> NDArray[np.int64]:
        """Return the tuples of ``values``, shape ``(values, features)``, as an array ``(values, spaces)``.

        An open space (None) is -1.
        """
        rows = [
            [-1 if entry is None else entry for entry in self.encode(value)] for value in np.asarray(values)
        ]
        return np.array(rows, dtype=np.int64).reshape(len(rows), len(self.space_sizes))


@final
class A2DEncoder(AATEncoder):
    """One channel of 2^bits for each dimension, by a binary tree of thresholds that adapts to the data.

    A value goes to the upper half where ``x >= w`` (that bit is 1, the most significant one first) and to the
    lower half otherwise. Thresholds begin as a uniform division of ``init_min .. init_max``. ``encode_adapt``
    decides with the old threshold and then moves it, ``w <- (1 - l) w + l x``: each threshold follows the mean
    of the data that reach it, so that channels are occupied about equally.

    Parameters
    ----------
    dims
        Number of dimensions of a value.
    bits
        Depth of the trees; 2^bits channels a dimension.
    init_min, init_max
        Range of the uniform start, one number or one a dimension [unit of the value].
    l
        Rate of the moving average, 0 to 1.

    Raises
    ------
    KtramError
        ``bits`` below 1, or a range whose length is not ``dims``.
    """

    def __init__(
        self,
        dims: int,
        bits: int = 5,
        init_min: float | ArrayLike = 0.0,
        init_max: float | ArrayLike = 1.0,
        l: float = 0.01,  # noqa: E741 - the reference's name
    ) -> None:
        if bits < 1:
            raise KtramError(f"A2DEncoder: bits must be at least 1, got {bits}: give the depth of the trees")
        self.dims = dims
        self.bits = bits
        self.l = l
        low, high = _per_dimension("init_min", init_min, dims), _per_dimension("init_max", init_max, dims)
        unit = _uniform_thresholds(bits)
        # Level by level: the threshold of the prefix p of length n stands at 2^n - 1 + p.
        self._thresholds = [[w * (b - a) + a for w in unit] for a, b in zip(low, high, strict=True)]

    def encode(self, value: Sequence[float]) -> AddressTuple:
        return tuple(self._walk(dim, float(value[dim]), 0.0) for dim in range(self.dims))

    def encode_adapt(self, value: Sequence[float]) -> AddressTuple:
        return tuple(self._walk(dim, float(value[dim]), self.l) for dim in range(self.dims))

    def encode_all(self, values: ArrayLike) -> NDArray[np.int64]:
        rows = np.asarray(values, dtype=float)[:, : self.dims]
        if np.isnan(rows).any():
            row, dim = np.argwhere(np.isnan(rows))[0]
            raise KtramError(
                f"A2DEncoder: dimension {dim} of value {row} is not a number: leave such values out beforehand"
            )
        table = np.asarray(self._thresholds)
        channel = np.zeros(rows.shape, dtype=np.int64)
        dimension = np.arange(self.dims)
        for level in range(self.bits):
            channel = 2 * channel + (rows >= table[dimension, 2**level - 1 + channel])
        return channel

    def edges(self, dim: int) -> NDArray[np.float64]:
        """Return the 2^bits - 1 values at which the channel of dimension ``dim`` changes, ascending.

        A threshold outside of the interval that its ancestors leave to it cannot be reached; its edge then lies
        on the border of that interval, and the channels between equal edges are empty.
        """
        table = self._thresholds[dim]
        edges = np.empty(2**self.bits - 1)
        _fill_edges(table, edges, 0, 0, (-np.inf, np.inf), len(edges))
        return edges

    @property
    def space_sizes(self) -> list[int]:
        return [2**self.bits] * self.dims

    def _walk(self, dim: int, x: float, rate: float) -> int:
        """Return the channel of ``x`` and move the thresholds on its way by ``rate``."""
        if math.isnan(x):
            raise KtramError(f"A2DEncoder: dimension {dim} is not a number: leave such values out beforehand")
        table = self._thresholds[dim]
        channel = 0
        for level in range(self.bits):
            node = (1 << level) - 1 + channel
            w = table[node]
            channel = 2 * channel + (x >= w)
            if rate:
                table[node] = (1 - rate) * w + rate * x
        return channel


@final
class ConstantEncoder(AATEncoder):
    """Spaces that are always active on the same channel: the bias of a lane.

    Parameters
    ----------
    channel
        The active channel.
    count
        Number of such spaces.
    space_size
        Number of channels of each.

    Raises
    ------
    KtramError
        ``channel`` is not below ``space_size``, or negative.
    """

    def __init__(self, channel: int = 0, count: int = 1, space_size: int = 1) -> None:
        if not 0 <= channel < space_size:
            raise KtramError(
                f"ConstantEncoder: channel {channel} is not in a space of {space_size}: "
                f"give one from 0 to {space_size - 1}"
            )
        self.channel = channel
        self.count = count
        self._space_size = space_size

    def encode(self, value: Sequence[float]) -> AddressTuple:
        return (self.channel,) * self.count

    @property
    def space_sizes(self) -> list[int]:
        return [self._space_size] * self.count


@final
class ComposedEncoder(AATEncoder):
    """The tuples of several encoders behind one another; each is given the same value."""

    def __init__(self, encoders: Sequence[AATEncoder]) -> None:
        self.encoders = tuple(encoders)

    def encode(self, value: Sequence[float]) -> AddressTuple:
        return tuple(entry for encoder in self.encoders for entry in encoder.encode(value))

    def encode_adapt(self, value: Sequence[float]) -> AddressTuple:
        return tuple(entry for encoder in self.encoders for entry in encoder.encode_adapt(value))

    def encode_all(self, values: ArrayLike) -> NDArray[np.int64]:
        return np.hstack([encoder.encode_all(values) for encoder in self.encoders])

    @property
    def space_sizes(self) -> list[int]:
        return [size for encoder in self.encoders for size in encoder.space_sizes]


def compose(*encoders: AATEncoder) -> ComposedEncoder:
    """Return one encoder whose tuples are those of ``encoders`` behind one another."""
    return ComposedEncoder(encoders)


def one_hot(aats: Iterable[Iterable[Address]], space_sizes: Sequence[int]) -> NDArray[np.float64]:
    """Return tuples ``(values, spaces)`` as rows of zeros and ones, shape ``(values, sum of space_sizes)``.

    This is the vector that a lane reads: a 1 at each active channel. Open spaces are None or -1.
    """
    table = np.array([[-1 if entry is None else int(entry) for entry in aat] for aat in aats], dtype=np.int64)
    table = table.reshape(len(table), len(space_sizes))
    offsets = np.concatenate([[0], np.cumsum(space_sizes)[:-1]]).astype(np.int64)
    vectors = np.zeros((len(table), int(np.sum(space_sizes))))
    row, space = np.nonzero(table >= 0)
    vectors[row, offsets[space] + table[row, space]] = 1.0
    return vectors


def crossbar_columns(space_sizes: Sequence[int]) -> int:
    """Return the columns of the one-row unit crossbar that holds the widest space: the next power of two."""
    return 1 << (max(1, *space_sizes) - 1).bit_length()


def _uniform_thresholds(bits: int) -> list[float]:
    """Return the thresholds that divide 0..1 into 2^bits equal channels, level by level."""
    return [(2 * prefix + 1) / 2 ** (level + 1) for level in range(bits) for prefix in range(2**level)]


def _per_dimension(name: str, value: float | ArrayLike, dims: int) -> list[float]:
    """Return one float for each dimension of a number or of a sequence of ``dims`` numbers."""
    values = np.asarray(value, dtype=float)
    if values.ndim == 0:
        return [float(values)] * dims
    if values.shape != (dims,):
        raise KtramError(
            f"A2DEncoder: {name} has {values.size} values for {dims} dimensions: give one for each"
        )
    return [float(entry) for entry in values]


def _fill_edges(
    table: list[float],
    edges: NDArray[np.float64],
    node: int,
    first: int,
    interval: tuple[float, float],
    count: int,
) -> None:
    """Write the edges below ``node`` in ascending order into ``edges[first : first + count]``."""
    middle, half = first + count // 2, count // 2
    low, high = interval
    w = min(max(table[node], low), high)
    edges[middle] = w
    if half:
        _fill_edges(table, edges, 2 * node + 1, first, (low, w), half)
        _fill_edges(table, edges, 2 * node + 2, middle + 1, (w, high), half)
