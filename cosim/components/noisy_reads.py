r"""Read noise at hand-over: what the cells' noise adds to the currents of a read or verify phase.

A deviation :math:`\delta` of a cell's conductance G, with the resistance R of its access device, changes the current
that it sends into its lines by :math:`i \delta/(1 + G R)`; i is the cell's current, from the heat that the backend
found in it, so that the drop along wires is in it. Thermal noise is drawn for each sensed line, with the density
:math:`4kT \sum G/(1 + G R)` of all its conducting cells. What the added currents change in the drop along wires, and
their heat, is left out: it is smaller by the ratio of wire to cell resistance.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cosim.crossbar.backend import PhaseRequest, PhaseResult
from cosim.crossbar.drive import Phase, Waveform, grouped
from cosim.crossbar.network import CrossbarArray
from cosim.devices.base import DeviceModel, FloatArray
from cosim.devices.read_noise import (
    ReadNoise,
    Traps,
    drawn_traps,
    flicker_read,
    telegraph_seen,
    thermal_read,
    traps_after,
)
from cosim.units import FEMTOSECONDS_PER_SECOND, seconds

_NEWTON_STEPS = 30
_LOW = (1 << 64) - 1


class _CellDrives(NamedTuple):
    """The drive across every cell of some rows, all ``(rows, columns)``.

    ``peak`` [V]; relative to it ``mean``, its integral over the phase, ``square``, that of its square [s], and
    ``strobed`` ``(strobes, rows, columns)``, its values at the strobes.
    """

    peak: FloatArray
    mean: FloatArray
    square: FloatArray
    strobed: FloatArray


class NoiseProcess:
    """The noise of the cells of one array on the simulation clock; moved on by every read of a row.

    ``rng`` draws the traps of the array; ``aperture_s``: time over which the sense circuit takes the mean [s], None:
    the phase.
    """

    def __init__(
        self, noise: ReadNoise, shape: tuple[int, int], rng: np.random.Generator, aperture_s: float | None
    ) -> None:
        self.noise, self._aperture = noise, aperture_s
        self.traps: Traps | None = drawn_traps(noise.rtn, shape, rng) if noise.rtn is not None else None
        self._filled = np.zeros(shape, dtype=np.bool_)
        self._flicker: FloatArray | None = None
        self._rates = np.empty(0)
        self._read_fs: list[int | None] = [None] * shape[0]

    def aperture(self, duration_s: float) -> float:
        """Return the time that the mean of a read phase of a duration [s] is taken over [s]."""
        if not isinstance(self.noise.bandwidth, str):
            return 1 / (2 * self.noise.bandwidth)
        return duration_s if self._aperture is None else self._aperture

    def deviation(
        self, rows: NDArray[np.intp], now_fs: int, relative: FloatArray, aperture_s: float, rngs: Sequence[np.random.Generator]
    ) -> FloatArray:  # fmt: skip
        """Move the noise of some rows on to a read at ``now_fs``; returns their relative deviations of the conductance.

        ``relative`` ``(rows, columns)``: see `Flicker.relative`; ``rngs``: one for flicker, one for traps.
        """
        last = [self._read_fs[k] for k in rows]
        gap = np.array([np.inf if before is None else seconds(now_fs - before) for before in last])
        for k in rows:
            self._read_fs[k] = now_fs
        gap = np.maximum(gap - aperture_s, 0.0)
        found = np.zeros(relative.shape)
        if self.noise.flicker is not None:
            if self._flicker is None:
                self._rates = self.noise.flicker.rates(aperture_s)
                self._flicker = np.zeros((len(self._rates), *self._filled.shape))
            self._flicker[:, rows], seen = flicker_read(
                self._flicker[:, rows], relative, self._rates, (gap, aperture_s), rows, rngs[0]
            )
            found += seen
        if self.noise.rtn is not None and self.traps is not None:
            traps = self.traps.of(rows)
            self._filled[rows] = traps_after(self._filled[rows], traps, gap, rows, rngs[1])
            found += telegraph_seen(self._filled[rows], traps, self.noise.rtn.amplitude, aperture_s)
        return np.maximum(found, -1.0)


def with_read_noise(request: PhaseRequest, result: PhaseResult, process: NoiseProcess) -> PhaseResult:
    """Return the result of a read or verify phase of one array with the noise of its cells.

    Line currents at strobes and charges change at both ends of every cell; states and energies do not.
    """
    array, noise, seed = request.network.arrays[0], process.noise, request.noise_seed
    left, bottom = request.network.ends[0].left, request.network.ends[0].bottom
    rngs = [np.random.Generator(np.random.PCG64([seed & _LOW, seed >> 64, 3, k])) for k in range(3)]
    duration = seconds(result.duration_fs)
    aperture = process.aperture(duration)
    rows = np.flatnonzero(_conducting(array, request.phase))
    current, charge = result.samples.current.copy(), result.net_charge.copy()
    if len(rows) and noise.thermal:
        seen = _seen(array, request.states[0])[rows]
        added = thermal_read(seen, request.temperature, aperture, rows, rngs[0])
        _add(current, added, left[rows], bottom)
        _add(charge, added * duration, left[rows], bottom)
    if noise.flicker is not None or noise.rtn is not None:
        drives = _cell_drives(request, rows)
        driven = np.any(drives.peak != 0, axis=1)
        rows, drives = rows[driven], _CellDrives(*(part[..., driven, :] for part in drives))
        share = process.deviation(
            rows, request.start_fs, _flicker_of(request, noise, rows), aperture, rngs[1:]
        )
        added = _plateau(array, request.states[0], result.energy.cells[0], rows, drives) * share
        for k in range(len(current)):
            _add(current[k], added * drives.strobed[k], left[rows], bottom)
        _add(charge, added * drives.mean, left[rows], bottom)
    samples = dataclasses.replace(result.samples, current=current)
    applied = (*result.applied, "read_noise")
    return dataclasses.replace(result, samples=samples, net_charge=charge, applied=applied)


def _flicker_of(request: PhaseRequest, noise: ReadNoise, rows: NDArray[np.intp]) -> FloatArray:
    """Return q of the cells of some rows; zeros without flicker."""
    array, state = request.network.arrays[0], request.states[0][rows]
    if noise.flicker is None:
        return np.zeros((len(rows), array.columns))
    device = array.device.select((rows,))
    _, highest = device.conductance_range()
    return noise.flicker.relative(device.conductance(state), highest)


def _add(values: FloatArray, added: FloatArray, left: NDArray[np.intp], bottom: NDArray[np.intp]) -> None:
    """Add what every cell carries from its word to its bit line ``(rows, columns)`` to the nets at the line ends."""
    values[..., left] += added.sum(axis=1)
    values[..., bottom] -= added.sum(axis=0)


def _conducting(array: CrossbarArray, phase: Phase) -> NDArray[np.bool_]:
    """Return which rows conduct."""
    if array.gates is None:
        return np.ones(array.rows, dtype=np.bool_)
    threshold = array.cell.opens_below
    return np.array([net in phase.drives and phase.gate_level(net) > threshold for net in array.gates])


def _seen(array: CrossbarArray, state: FloatArray) -> FloatArray:
    """Return the conductance of device and access device in series [S]."""
    device = array.device.conductance(state)
    return device / (1 + device * array.cell.series_resistance)


def _cell_drives(request: PhaseRequest, rows: NDArray[np.intp]) -> _CellDrives:
    """Return the drives across the cells of some rows; a line that floats counts as one at 0 V."""
    phase, ends = request.phase, request.network.ends[0]
    by_group = grouped(request.network, phase.drives)
    table = _table(by_group.waveforms, phase)
    word, bit = table[by_group.group[ends.left[rows]]], table[by_group.group[ends.bottom]]
    peak = word[:, None, 0] - bit[None, :, 0]
    shape = np.where(word[:, None, 0, None] != 0, word[:, None, 1:], bit[None, :, 1:])
    return _CellDrives(peak, shape[..., 0], shape[..., 1], np.moveaxis(shape[..., 2:], -1, 0))


def _table(waveforms: Sequence[Waveform | None], phase: Phase) -> FloatArray:
    """Return per waveform its peak [V] and the `_integrals` of its shape; most waveforms of a read share one shape."""
    known: dict[tuple[object, ...], list[float]] = {}
    found = np.zeros((len(waveforms), 3 + len(phase.strobes_fs)))
    for row, wave in zip(found, waveforms, strict=True):
        peak = max(wave.voltages, key=abs) if wave is not None else 0.0
        if wave is None or peak == 0:
            continue
        shape = wave.times_fs, tuple(v / peak for v in wave.voltages)
        if shape not in known:
            known[shape] = _integrals(Waveform(*shape), phase)
        row[0], row[1:] = peak, known[shape]
    return found


def _integrals(shape: Waveform, phase: Phase) -> list[float]:
    """Return the integral of a waveform of peak 1, that of its square [s], and its values at the strobes."""
    times = np.unique(np.clip([0, *shape.times_fs, phase.duration_fs], 0, phase.duration_fs)).astype(
        np.float64
    )
    value, span = shape.at(times), np.diff(times) / FEMTOSECONDS_PER_SECOND
    first, last = value[:-1], value[1:]
    mean = float(span @ (first + last)) / 2
    square = float(span @ (first**2 + first * last + last**2)) / 3
    return [mean, square, *shape.at(np.array(phase.strobes_fs, dtype=np.float64)).tolist()]


def _plateau(
    array: CrossbarArray, state: FloatArray, heat: FloatArray, rows: NDArray[np.intp], drives: _CellDrives
) -> FloatArray:
    """Return the current of the cells at the peak of their drives [A], over 1 + G R: what a deviation of 1 changes.

    ``heat`` [J] of the devices in the phase.
    """
    device, part = array.device.select((rows,)), state[rows]
    conductance = device.conductance(part)
    square = np.where(drives.square > 0, drives.square, 1.0)
    power = np.maximum(heat[rows], 0.0) / square * (drives.square > 0)
    if device.linear:
        current = np.sign(drives.peak) * np.sqrt(power * conductance)
    else:
        current = _current_of(device, part, power, drives.peak)
    return np.asarray(current / (1 + conductance * array.cell.series_resistance))


def _current_of(device: DeviceModel, state: FloatArray, power: FloatArray, voltage: FloatArray) -> FloatArray:
    """Return the currents [A] at which devices turn a power [W] into heat, near ``voltage`` [V], by Newton's method."""
    across = np.where(voltage == 0, 1e-9, voltage)
    for _ in range(_NEWTON_STEPS):
        current = device.current(state, across)
        slope = current + across * device.current_slope(state, across)
        step = np.divide(current * across - power, slope, out=np.zeros_like(across), where=slope != 0)
        across = across - step
        if np.all(np.abs(step) <= 1e-9 * np.abs(across)):
            break
    return device.current(state, across)
