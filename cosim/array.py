"""`Array`: the ten-line way from a numpy matrix to result, error, seconds and joules.

::

    array = cosim.Array.program(weights, hardware)
    y = array @ x
    array.summary()
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, final

import numpy as np

from cosim.components.programming import Programming
from cosim.components.tile import PHASE_KINDS
from cosim.components.verify_reads import visible_range
from cosim.components.write_verify import ProgrammingPulse, Verify
from cosim.crossbar.backend import find
from cosim.crossbar.threads import single_threaded
from cosim.devices.base import FloatArray
from cosim.errors import InputError
from cosim.hardware import ArraySpec, Hardware
from cosim.mapping.encoding import WeightSlices, differential, paired, sliced
from cosim.records import Trace
from cosim.system import Read, System, Write

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


class Array:
    """A matrix on two tiles (positive and negative parts), or two for each slice, with periphery, time and energy.

    Of 2T2R cells, one tile holds both parts.

    Make one with `program`; `@` multiplies it with a vector or with the columns of a matrix, and `T` is its transpose.
    """

    def __init__(self, system: System, weights: FloatArray, decoding: Any, full_scale: float | None) -> None:
        self._system, self._decoding, self._full_scale = system, decoding, full_scale
        self.weights = weights

    @classmethod
    def program(
        cls,
        weights: ArrayLike,
        hardware: Hardware | None = None,
        *,
        seed: int = 0,
        headroom: float = 0.2,
        verify: Verify | None = None,
        backend: str = "behavioral",
        full_scale: float | None = None,
        slices: WeightSlices | None = None,
    ) -> Array:
        """Program ``weights`` ``(outputs, inputs)`` with write-verify and return the array.

        Parameters
        ----------
        hardware
            Its array must have ``inputs`` rows and ``outputs`` columns; by default, and where only the
            size differs, the size follows the weights.
        headroom
            Part of the conductance range left free at the top.
        full_scale
            Input that drives the DAC to its top; by default the largest input of each product.

        slices
            Cut the weights into slices of bits, each on two tiles of its own.

        Raises
        ------
        InputError
            Weights that are not a finite matrix, or a device that cannot be programmed.
        """
        matrix = np.asarray(weights, dtype=np.float64)
        if matrix.ndim != 2 or matrix.size == 0:
            raise InputError(f"weights must be a matrix (outputs, inputs), not of shape {matrix.shape}")
        base = hardware or Hardware(ArraySpec(matrix.shape[1], matrix.shape[0]))
        spec = dataclasses.replace(base.array, rows=matrix.shape[1], columns=matrix.shape[0])
        sized = base.replace(array=spec)
        pulses = sized.device.programming_pulse(sized.temperature)
        if pulses is None:
            raise InputError(
                f"device {sized.device.name} cannot be programmed; choose one that has pulses, such as mss"
            )
        system = System(Trace(), seed)
        answering = find(backend)()
        backends = dict.fromkeys(PHASE_KINDS, answering)
        pairs = sized.cell.bit_lines == 2
        ends = ("pairs",) if pairs else ("positive", "negative")
        names = ends if slices is None else [f"{end}{k}" for k in range(slices.count) for end in ends]
        tiles = [system.add_tile(name, sized, backends) for name in names]
        low, high = visible_range(tiles[0])
        high = low + (1 - headroom) * (high - low)
        if slices is None:
            encoded = differential(matrix.T, low, high)
        else:
            encoded = sliced(matrix.T, low, high, slices, signed=True)
        encoded = paired(encoded) if pairs else encoded
        set_pulse, reset_pulse = (ProgrammingPulse(*pulse) for pulse in pulses)
        scheme: Any = "gate" if sized.cell.gated else "V/2"
        rule = verify or Verify(pulses="adaptive-width")
        jobs = {
            tile.name: Programming(part, scheme, rule, set_pulse, reset_pulse)
            for tile, part in zip(tiles, encoded.parts, strict=True)
        }
        with single_threaded():
            system.run([Write(jobs)])
        return cls(system, matrix, encoded.decoding, full_scale)

    @property
    def trace(self) -> Trace:
        """Everything that happened since the programming began."""
        return self._system.trace

    def __matmul__(self, x: ArrayLike) -> FloatArray:
        """Return ``weights @ x`` as the hardware computes it; ``x`` ``(inputs,)`` or ``(inputs, vectors)``.

        Raises `InputError` for a shape that does not fit, or a negative input to a unipolar DAC.
        """
        return self._product(x, self.weights, transposed=False)

    @property
    def T(self) -> TransposedArray:  # noqa: N802  (numpy's name)
        """The transpose, from the same cells: ``array.T @ y``.

        Raises `InputError` where the hardware has no converters for it.
        """
        if any(tile.transposed is None for tile in self._system.tiles.values()):
            raise InputError(
                "a transposed product needs converters at the other line ends: give Hardware transposed=TransposedPeriphery()"
            )
        return TransposedArray(self)

    def _product(self, x: ArrayLike, weights: FloatArray, *, transposed: bool) -> FloatArray:
        """Return ``weights @ x`` as the tiles compute it, forward or transposed."""
        given = np.asarray(x, dtype=np.float64)
        if given.ndim not in (1, 2) or given.shape[0] != weights.shape[1]:
            raise InputError(
                f"x must have shape ({weights.shape[1]},) or ({weights.shape[1]}, vectors), not {given.shape}"
            )
        if not np.all(np.isfinite(given)):
            raise InputError(f"x must hold finite numbers, not {given[~np.isfinite(given)][0]}")
        inputs = np.atleast_2d(given.T)
        dac = next(iter(self._system.tiles.values())).path(transposed).dac
        low, high = dac.range
        if np.any(inputs < 0) and low >= 0:
            raise InputError(
                "x has a negative element, but the DAC's range starts at 0 V; give Dac a negative lower end"
            )
        full = self._full_scale or dac.calibration.full_scale(inputs)
        volts = (min(high, -low) if np.any(inputs < 0) else high) / full
        exact = inputs @ weights.T
        first = len(self.trace.values)
        read = Read(tuple(self._system.tiles), inputs, volts, self._decoding, exact, transposed=transposed)
        with single_threaded():
            self._system.run([read])
        values = self.trace.values.column("value")[first:].reshape(exact.shape)
        return values[0] if given.ndim == 1 else values.T

    def summary(self) -> dict[str, Any]:
        """Return errors, seconds and joules of everything so far (the dict of ``summary.json``)."""
        from cosim.report.summary import summarize

        return summarize(self.trace, scenario={"name": "array", "sha256": ""}, seed=self._system.seed)


@final
class TransposedArray:
    """The transpose of an `Array`: `@` drives its bit lines and senses its word lines."""

    def __init__(self, array: Array) -> None:
        self._array = array

    @property
    def weights(self) -> FloatArray:
        """The transposed matrix ``(inputs, outputs)`` of what was programmed."""
        return self._array.weights.T

    def __matmul__(self, y: ArrayLike) -> FloatArray:
        """Return ``weights.T @ y``; ``y`` ``(outputs,)`` or ``(outputs, vectors)``; errors as of `Array`."""
        return self._array._product(y, self.weights, transposed=True)
