"""Many reads of one array at once, where no cell moves: see `cosim.crossbar.read_forms`."""

from __future__ import annotations

import itertools

import numpy as np

from cosim.crossbar.backend import PhaseRequest, ReadAnswers
from cosim.crossbar.drive import Waveform
from cosim.crossbar.read_forms import ReadForms, read_forms
from cosim.devices.base import FloatArray
from cosim.units import seconds

_CHUNK = 4096
"""Reads that are multiplied at once."""


def answer_reads(request: PhaseRequest, voltages: FloatArray, wires: bool) -> ReadAnswers | None:
    """Return the answers to reads, or None where they must be asked one by one.

    Asked for at once are more reads than the array has rows, of one array of linear cells that never move, whose
    rows all conduct, with one pulse of the same shape on every word line and the bit lines at 0 V.
    """
    array = request.network.arrays[0]
    if len(request.network.arrays) != 1 or len(voltages) <= array.rows or request.phase.stops:
        return None
    if array.device.moves or not array.linear or request.network.has_capacitance:
        return None
    shape = one_shape(request)
    if shape is None:
        return None
    device = array.device.conductance(request.states[0])
    forms = read_forms(array, device, device / (1.0 + array.cell.series_resistance * device), wires=wires)
    return None if forms is None else _answers(request, voltages, forms, shape)


def one_shape(request: PhaseRequest) -> Waveform | None:
    """Return the one pulse on all word lines; None for a phase of another kind."""
    phase, array = request.phase, request.network.arrays[0]
    if len(phase.strobes_fs) != 1 or phase.save or array.left is None or array.bottom is None:
        return None
    words = [phase.drives.get(str(net)) for net in array.left]
    bits = [phase.drives.get(str(net)) for net in array.bottom]
    gates = [phase.gate_level(net) > array.cell.gate_threshold for net in array.gates or ()]
    first = words[0]
    if first is None or any(word != first for word in words) or not all(gates):
        return None
    grounded = all(wave is not None and wave.is_level and wave.voltages[0] == 0.0 for wave in bits)
    return first if grounded else None


def _answers(request: PhaseRequest, voltages: FloatArray, forms: ReadForms, shape: Waveform) -> ReadAnswers:
    linear, squared = pulse_integrals(shape, request.phase.duration_fs)
    share = float(shape.at(np.array([request.phase.strobes_fs[0]], dtype=np.float64))[0])
    count, array = len(voltages), request.network.arrays[0]
    current = np.empty((count, array.columns))
    powers = np.empty((6, count))
    for start in range(0, count, _CHUNK):
        own = slice(start, start + _CHUNK)
        part = forms.powers(voltages[own])
        current[own] = share * part.current
        powers[:, own] = (part.delivered, part.absorbed, part.cells, part.access, part.wires, part.ends)
    cells = squared * forms.cell_powers(voltages.T @ voltages).reshape(array.shape)
    delivered, absorbed, in_cells, access, wires, ends = squared * powers
    return ReadAnswers(
        current, linear / share, delivered, absorbed, in_cells, access, wires, ends, cells, forms.residual,
        ("still", "together"),
    )  # fmt: skip


def pulse_integrals(shape: Waveform, duration_fs: int) -> tuple[float, float]:
    """Return the integrals of a waveform [V s] and of its square [V² s] over the phase."""
    corners = sorted({0, duration_fs, *(t for t in shape.times_fs if 0 < t < duration_fs)})
    values = shape.at(np.array(corners, dtype=np.float64)).tolist()
    linear = squared = 0.0
    for (t0, a), (t1, b) in itertools.pairwise(zip(corners, values, strict=True)):
        length = seconds(t1 - t0)
        linear += length * (a + b) / 2
        squared += length * (a * a + a * b + b * b) / 3
    return linear, squared
