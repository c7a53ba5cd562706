r"""Many reads of one array whose cells move a little in every read: answered in groups.

Within a group the answers go linearly from those of the network that the group finds to those of the network that it
leaves (`cosim.crossbar.read_forms`, one solution per word line for either). The states that it leaves follow from the whole
voltage history of every cell. For a law that is linear in the state, :math:`\dot x = u(v)(1-x) - d(v)x`, only the
exposures count: with :math:`U = \sum_n \int u\,dt` and :math:`D` likewise over the reads,

.. math:: x_1 = x_0 + \left(\frac{U}{U+D} - x_0\right)\left(1 - e^{-(U+D)}\right).

The voltage of a cell is linear in the word-line voltages, and the exposure of one read is a function of that voltage alone,
which is tabulated for the shape of the pulse. The transfer from word lines to cells is taken in the middle of the group,
extrapolated from the one before.

A group is as long as its currents change by a stated part of the largest one, measured between its two networks; one that
turns out to change more is cut and done again. Since both ends are exact and the way between them is followed to first order, what
is left is of second order in that change.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cosim.backends.many_reads import one_shape, pulse_integrals
from cosim.crossbar.backend import ReadAnswers, ReadLimit
from cosim.crossbar.lines import numba_available
from cosim.crossbar.read_forms import ReadForms, ReadPowers, read_forms
from cosim.units import seconds

if TYPE_CHECKING:
    from cosim.crossbar.backend import PhaseRequest
    from cosim.crossbar.drive import Waveform
    from cosim.crossbar.network import Network
    from cosim.devices.base import DeviceModel, FloatArray

_CHUNK = 64
"""Reads whose cell voltages are held at a time."""
_NODES = 4096
"""Intervals of the table of exposures: linear between nodes a few thousandths of a thermal voltage apart."""
_GAUSS = np.polynomial.legendre.leggauss(16)
_FIRST = 64
_GROWTH = 4.0
_AIM = 0.8
"""Part of the limit that a group aims at."""
_SAME = 1e-3
"""Difference of currents, as a part of the limit, below which a solved network is taken for the present one."""


@dataclass(frozen=True, slots=True, eq=False)
class _Solved:
    """One network and its reads: state ``(rows, columns)``, forms, and ``transfer`` ``(rows, cells)`` [V/V] to the devices."""

    network: Network
    state: FloatArray
    forms: ReadForms
    transfer: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class _Group:
    """What a group left: its number of reads, change of the currents, and the networks that it found and left."""

    reads: int
    change: float
    found: _Solved
    left: _Solved


class MovingReads:
    """Answers reads of cells that move; keeps the last group, from which the next one starts."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Drop the last group."""
        self._last: _Group | None = None

    def answer(
        self, request: PhaseRequest, voltages: FloatArray, limit: ReadLimit, wires: bool
    ) -> ReadAnswers | None:
        """Return the answers to the first of the reads, as many as the limit allows; None where none are answered."""
        array = request.network.arrays[0]
        if (
            not (array.device.affine and array.device.linear)
            or array.device.varied
            or array.device.stochastic
        ):
            return None
        if len(request.network.arrays) != 1 or request.phase.stops or request.network.has_capacitance:
            return None
        shape = one_shape(request)
        last = self._last if self._last is not None and self._last.left.network is request.network else None
        if shape is None:
            return None
        found = self._found(request, voltages, limit, wires, last)
        if found is None:
            return None
        count = self._count(request, voltages, limit, last)
        while True:
            own = voltages[:count]
            moved = _moved(request, own, found, shape, None if last is None else _ahead(last, found, count))
            rested = array.device.advance(
                moved, np.zeros((1, 1)), (count - 1) * limit.rest_s, request.temperature
            )
            left = _solved(request, rested, wires)
            if left is None:
                return None
            group = _Group(count, _change(own, found.forms, left.forms), found, left)
            if group.change <= limit.change or count == 1:
                break
            count = max(1, int(count * _AIM * limit.change / group.change))
        self._last = group
        return _answers(request, own, group, moved, shape)

    def _found(
        self, request: PhaseRequest, voltages: FloatArray, limit: ReadLimit, wires: bool, last: _Group | None
    ) -> _Solved | None:
        """Return the network as the group finds it: the one that the last group left, where it is the same."""
        array, state = request.network.arrays[0], request.states[0]
        if last is not None:
            before, now = (array.device.conductance(x) for x in (last.left.state, state))
            if np.abs(now - before).max() <= _SAME * limit.change * float(np.mean(now)):
                return dataclasses.replace(last.left, state=state)
        return _solved(request, state, wires)

    @staticmethod
    def _count(request: PhaseRequest, voltages: FloatArray, limit: ReadLimit, last: _Group | None) -> int:
        """Return how many reads to try: by the pace of the last group, else by the bound on the movement.

        The bound: cells that change by a part e of their conductance change no current by more than e times
        the root of (power of the read * admittance of the bit line), which is the current times the root of the columns
        where all columns are alike.
        """
        if last is not None:
            growth = _AIM * limit.change / max(last.change, 1e-300)
            return int(min(len(voltages), max(1.0, last.reads * min(growth, _GROWTH))))
        array = request.network.arrays[0]
        span = float(np.abs(voltages).max(initial=0.0))
        time = seconds(request.phase.duration_fs) + limit.rest_s
        low, high = (float(np.min(g)) for g in array.device.conductance_range())
        moved = array.device.most_moved(-span, span, time, request.temperature) * (high - low) / low
        bound = moved * np.sqrt(array.columns)
        return int(min(len(voltages), max(_FIRST, limit.change / max(bound, 1e-300))))


def _solved(request: PhaseRequest, state: FloatArray, wires: bool) -> _Solved | None:
    """Return the reads of the network in a state; None where it is wired otherwise or too large."""
    array = request.network.arrays[0]
    device = array.device.conductance(state)
    forms = read_forms(array, device, device / (1.0 + array.cell.series_resistance * device), wires=wires)
    if forms is None:
        return None
    return _Solved(request.network, state, forms, (forms.cell_current * forms.resistance).astype(np.float32))


def _ahead(last: _Group, found: _Solved, count: int) -> FloatArray:
    """Return the change of the transfer to the middle of the coming group, at the pace of the last one."""
    result: FloatArray = (0.5 * count / last.reads) * (found.transfer - last.found.transfer)
    return result


def _change(voltages: FloatArray, first: ReadForms, last: ReadForms) -> float:
    """Return the largest change of a bit-line current between two networks, of the largest current."""
    before = np.abs(voltages @ first.matrix).max(initial=0.0)
    after = np.abs(voltages @ (last.matrix - first.matrix)).max(initial=0.0)
    return float(after / before) if before else 0.0


def _moved(
    request: PhaseRequest, voltages: FloatArray, found: _Solved, shape: Waveform, ahead: FloatArray | None
) -> FloatArray:
    """Return the states ``(rows, columns)`` after the reads, without the time between them."""
    transfer = found.transfer if ahead is None else found.transfer + ahead.astype(np.float32)
    span = max(float(np.abs(voltages).max(initial=0.0)), 1e-12) * 1.001
    table = _exposures(request.network.arrays[0].device, shape, request, span)
    exposure = np.zeros((2, transfer.shape[1]))
    for start in range(0, len(voltages), _CHUNK):
        cells = voltages[start : start + _CHUNK].astype(np.float32) @ transfer
        _accumulate(cells, span, table, exposure)
    state = request.states[0]
    up, down = exposure.reshape(2, *state.shape)
    total = up + down
    aim = np.divide(up, total, out=np.zeros_like(total), where=total > 0)
    result: FloatArray = state - (aim - state) * np.expm1(-total)
    return result


def _exposures(device: DeviceModel, shape: Waveform, request: PhaseRequest, span: float) -> FloatArray:
    """Return U and D of one read for voltages from -span to span on a cell at the plateau, ``(nodes, 2)``."""
    plateau = max(shape.voltages, key=abs)
    node = np.linspace(-span, span, _NODES + 1)
    result = np.zeros((node.size, 2))
    duration = request.phase.duration_fs
    corners = sorted({0, duration, *(t for t in shape.times_fs if 0 < t < duration)})
    shares = shape.at(np.array(corners, dtype=np.float64)) / plateau
    places, weights = _GAUSS
    for k in range(len(corners) - 1):
        length = seconds(corners[k + 1] - corners[k])
        level = shares[k] == shares[k + 1]
        for place, weight in ((0.0, 2.0),) if level else zip(places, weights, strict=True):
            share = shares[k] + (shares[k + 1] - shares[k]) * 0.5 * (1.0 + place)
            for column, state in ((0, 0.0), (1, 1.0)):
                rate = device.state_rate(np.full(node.size, state), node * share, request.temperature)
                if rate is not None:
                    result[:, column] += 0.5 * weight * length * np.abs(rate)
    return result


def _accumulate(cells: FloatArray, span: float, table: FloatArray, exposure: FloatArray) -> None:
    """Add the exposures of reads with these voltages ``(reads, cells)`` [V] on the devices."""
    if numba_available():
        from cosim.backends.compiled_exposures import accumulate

        accumulate(cells, span, table, exposure)
        return
    position = (cells + span) * (_NODES / (2.0 * span))
    whole = np.clip(position.astype(np.intp), 0, _NODES - 1)
    part = position - whole
    for row, column in zip(exposure, table.T, strict=True):
        row += (column[whole] + part * np.diff(column)[whole]).sum(axis=0)


def _answers(
    request: PhaseRequest, voltages: FloatArray, group: _Group, moved: FloatArray, shape: Waveform
) -> ReadAnswers:
    """Return the answers to the reads of a group, between those of its two networks."""
    linear, squared = pulse_integrals(shape, request.phase.duration_fs)
    share = float(shape.at(np.array([request.phase.strobes_fs[0]], dtype=np.float64))[0])
    way = (np.arange(len(voltages)) + 0.5) / len(voltages)
    ends = (group.found.forms, group.left.forms)
    parts = [
        _weighted(forms.powers(voltages), weight)
        for forms, weight in zip(ends, (1.0 - way, way), strict=True)
    ]
    current, *powers = (first + last for first, last in zip(*parts, strict=True))
    cells = sum(
        forms.cell_powers((voltages.T * weight) @ voltages)
        for forms, weight in zip(ends, (1.0 - way, way), strict=True)
    )
    delivered, absorbed, in_cells, access, wires, terminations = (squared * power for power in powers)
    return ReadAnswers(
        share * current, linear / share, delivered, absorbed, in_cells, access, wires, terminations,
        squared * np.reshape(cells, moved.shape), max(forms.residual for forms in ends), ("together", "moving"),
        moved, group.change,
    )  # fmt: skip


def _weighted(powers: ReadPowers, weight: FloatArray) -> tuple[FloatArray, ...]:
    return (
        powers.current * weight[:, None], *(
            part * weight
            for part in (
                powers.delivered, powers.absorbed, powers.cells, powers.access, powers.wires, powers.ends,
            )
        ),
    )  # fmt: skip
