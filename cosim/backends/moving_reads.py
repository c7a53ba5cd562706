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
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from cosim.backends.many_reads import one_shape, pulse_integrals
from cosim.crossbar.backend import ReadAnswers, ReadLimit
from cosim.crossbar.lines import numba_available
from cosim.crossbar.read_forms import ReadForms, ReadPowers, read_forms
from cosim.units import seconds

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cosim.crossbar.backend import PhaseRequest
    from cosim.crossbar.drive import Waveform
    from cosim.crossbar.network import Network
    from cosim.devices.base import DeviceModel, FloatArray

    Single = NDArray[np.float32]

_CHUNK = 64
"""Reads whose cell voltages are held at a time."""
_NODES = 4096
"""Intervals of the table of exposures: linear between nodes a few thousandths of a thermal voltage apart."""
_GAUSS = np.polynomial.legendre.leggauss(16)
_FIRST = 64
_PAIR = 2
"""Reads of the very first group: between them is the time that the following ones are going to rest."""
_ARRAYS = 8
_GROWTH = 16.0
_MOST = 8192
"""Reads of the longest group: the next one is computed meanwhile."""
_AIM = 0.8
"""Part of the limit that a group aims at."""
_SAME = 1e-3
"""Difference of currents, as a part of the limit, below which a solved network is taken for the present one."""


@dataclass(frozen=True, slots=True, eq=False)
class _Solved:
    """One network and its reads: state ``(rows, columns)``, forms, and ``transfer`` ``(rows, cells)`` [V/V] to the devices.

    ``solved``: the state that forms and transfer are of, which ``state`` differs from by next to nothing.
    """

    network: Network
    state: FloatArray
    solved: FloatArray
    forms: ReadForms
    transfer: Single


@dataclass(frozen=True, slots=True, eq=False)
class _Group:
    """Reads that were answered together: the networks that they found and left, and the change of the currents between.

    ``moved`` ``(rows, columns)``: by how much the states change, without the time between the reads; that of ``left`` has
    rested as well.
    """

    reads: int
    found: _Solved
    left: _Solved
    moved: FloatArray
    answers: ReadAnswers


@dataclass(frozen=True, slots=True, eq=False)
class _Task:
    """What decides a group: the reads from the first one on, the limit, and the group before."""

    request: PhaseRequest
    voltages: FloatArray
    limit: ReadLimit
    wires: bool
    last: _Group | None

    def foresaw(self, asked: _Task) -> bool:
        """Return whether this task, made before, is what is asked now; the states may differ by next to nothing."""
        mine, theirs = self.request, asked.request
        same = mine.phase is theirs.phase and mine.temperature == theirs.temperature
        return (
            same
            and (self.limit, self.wires, self.last) == (asked.limit, asked.wires, asked.last)
            and self.voltages.shape == asked.voltages.shape
            and np.array_equal(self.voltages[:_MOST], asked.voltages[:_MOST])
            and _alike(mine.network.arrays[0].device, mine.states[0], theirs.states[0], self.limit)
        )

    def following(self, group: _Group) -> _Task | None:
        """Return the task after a group, with the states that it is going to find; None where no reads are left."""
        if group.reads == len(self.voltages):
            return None
        request = dataclasses.replace(self.request, states=(group.left.state,))
        return _Task(request, self.voltages[group.reads :], self.limit, self.wires, group)


class MovingReads:
    """Answers reads of cells that move, array by array; keeps the last group, from which the next one starts.

    While the reads of a group take their turns, the next group is computed by a second thread. Whether it is used depends on
    values alone, not on what was faster.
    """

    def __init__(self) -> None:
        self._worker: ThreadPoolExecutor | None = None
        self.forget()

    def forget(self) -> None:
        """Drop the last groups."""
        self._last: dict[Network, _Group] = {}
        self._ahead: dict[Network, tuple[_Task, Future[_Group | None]]] = {}

    def close(self) -> None:
        """Stop the second thread."""
        if self._worker is not None:
            self._worker.shutdown(cancel_futures=True)
            self._worker = None

    def answer(
        self, request: PhaseRequest, voltages: FloatArray, limit: ReadLimit, wires: bool
    ) -> ReadAnswers | None:
        """Return the answers to the first of the reads, as many as the limit allows; None where none are answered."""
        if _answerable(request) is None:
            return None
        network = request.network
        task = _Task(request, voltages, limit, wires, self._last.pop(network, None))
        made, future = self._ahead.pop(network, (None, None))
        group = (
            future.result()
            if made is not None and future is not None and made.foresaw(task)
            else _group(task)
        )
        if group is None:
            return None
        if len(self._last) >= _ARRAYS:
            self._last.clear()
            self._ahead.clear()
        self._last[network] = group
        following = task.following(group)
        if following is not None and limit.rest_s is not None:
            self._worker = self._worker or ThreadPoolExecutor(1)
            self._ahead[network] = following, self._worker.submit(_group, following)
        # What the foreseen states differ by is carried along.
        moved = request.states[0] + group.moved
        return dataclasses.replace(group.answers, state=moved)


def _answerable(request: PhaseRequest) -> Waveform | None:
    """Return the pulse of the reads; None where they must be asked for one by one."""
    array = request.network.arrays[0]
    device = array.device
    if not (device.affine and array.linear) or device.varied or device.stochastic:
        return None
    if device.state_bounds() != (0.0, 1.0) or request.network.has_capacitance:
        return None
    if len(request.network.arrays) != 1 or request.phase.stops:
        return None
    return one_shape(request)


def _group(task: _Task) -> _Group | None:
    """Return the first group of reads that keeps the limit; None where the array has no forms."""
    request, limit, last = task.request, task.limit, task.last
    device, state = request.network.arrays[0].device, request.states[0]
    shape = one_shape(request)
    found = _solved(task, state, None if last is None else last.left)
    if found is None or shape is None:
        return None
    count = _count(task)
    while True:
        own = task.voltages[:count]
        moved = _moved(request, own, found, shape, None if last is None else _ahead(last, found, count))
        rested = device.advance(moved, np.zeros((1, 1)), count * (limit.rest_s or 0.0), request.temperature)
        left = _solved(task, rested, found)
        if left is None:
            return None
        if left.forms is found.forms:
            change = _apart(device, state, rested)
        else:
            change = _change(own, found.forms, left.forms)
        if change <= limit.change or count == 1:
            answers = _answers(request, own, (found.forms, left.forms), shape)
            return _Group(count, found, left, moved - state, dataclasses.replace(answers, change=change))
        count = max(1, int(count * _AIM * limit.change / change))


def _alike(device: DeviceModel, first: FloatArray, second: FloatArray, limit: ReadLimit) -> bool:
    """Return whether two states give the same currents, compared with the limit of their change."""
    return _apart(device, first, second) <= _SAME * limit.change


def _apart(device: DeviceModel, first: FloatArray, second: FloatArray) -> float:
    """Return by how much the conductances of two states differ at most, of their mean."""
    before, after = device.conductance(first), device.conductance(second)
    return float(np.abs(after - before).max() / np.mean(before))


def _count(task: _Task) -> int:
    """Return how many reads to try: a pair, then by the bound on the movement, then by the pace of the last group.

    The bound: cells that change by a part e of their conductance change no current by more than e times the root of
    (power of the read * admittance of the bit line), which is the current times the root of the columns where all columns
    are alike.
    """
    limit, last, reads = task.limit, task.last, min(len(task.voltages), _MOST)
    if limit.rest_s is None:
        return min(reads, _PAIR)
    if last is not None and last.reads > _PAIR:
        growth = _AIM * limit.change / max(last.answers.change, 1e-300)
        return int(min(reads, max(1.0, last.reads * min(growth, _GROWTH))))
    request, array = task.request, task.request.network.arrays[0]
    span = float(np.abs(task.voltages).max(initial=0.0))
    time = seconds(request.phase.duration_fs) + limit.rest_s
    low, high = (float(np.min(g)) for g in array.device.conductance_range())
    moved = array.device.most_moved(-span, span, time, request.temperature) * (high - low) / low
    return int(min(reads, max(_FIRST, limit.change / max(moved * np.sqrt(array.columns), 1e-300))))


def _solved(task: _Task, state: FloatArray, near: _Solved | None) -> _Solved | None:
    """Return the reads of the network in a state, those of ``near`` where the currents are the same.

    None where it is wired otherwise or too large.
    """
    network = task.request.network
    array = network.arrays[0]
    if near is not None and _alike(array.device, near.solved, state, task.limit):
        return dataclasses.replace(near, state=state)
    device = array.device.conductance(state)
    seen = device / (1.0 + array.cell.series_resistance * device)
    forms = read_forms(array, device, seen, wires=task.wires)
    if forms is None:
        return None
    transfer = (forms.cell_current * forms.resistance).astype(np.float32)
    return _Solved(network, state, state, forms, transfer)


def _ahead(last: _Group, found: _Solved, count: int) -> Single:
    """Return the change of the transfer to the middle of the coming group, at the pace of the last one."""
    return np.float32(0.5 * count / last.reads) * (found.transfer - last.found.transfer)


def _change(voltages: FloatArray, first: ReadForms, last: ReadForms) -> float:
    """Return the largest change of a bit-line current between two networks, of the largest current."""
    before = np.abs(voltages @ first.matrix).max(initial=0.0)
    after = np.abs(voltages @ (last.matrix - first.matrix)).max(initial=0.0)
    return float(after / before) if before else 0.0


def _moved(
    request: PhaseRequest, voltages: FloatArray, found: _Solved, shape: Waveform, ahead: Single | None
) -> FloatArray:
    """Return the states ``(rows, columns)`` after the reads, without the time between them."""
    transfer = found.transfer if ahead is None else found.transfer + ahead
    # No device sees more than the span of its lines; in steps, so that groups share a table.
    reach = max(float(np.max(voltages, initial=0.0) - np.min(voltages, initial=0.0)), 1e-6) * 1.001
    span = float(2.0 ** (np.ceil(4.0 * np.log2(reach)) / 4.0))
    device, duration = request.network.arrays[0].device, request.phase.duration_fs
    table = _exposures(device, shape, duration, request.temperature, span)
    exposure = np.zeros((2, transfer.shape[1]))
    accumulate(voltages, transfer, span, table, exposure)
    state = request.states[0]
    up, down = exposure.reshape(2, *state.shape)
    total = up + down
    aim = np.divide(up, total, out=np.zeros_like(total), where=total > 0)
    result: FloatArray = state - (aim - state) * np.expm1(-total)
    return result


@lru_cache(maxsize=16)
def _exposures(
    device: DeviceModel, shape: Waveform, duration: int, temperature: float, span: float
) -> Single:
    """Return U and D of one read for voltages from -span to span on a cell at the plateau.

    ``(intervals, 4)``: value and rise of U, value and rise of D in every interval between two nodes.
    """
    plateau = max(shape.voltages, key=abs)
    node = np.linspace(-span, span, _NODES + 1)
    result = np.zeros((node.size, 2))
    corners = sorted({0, duration, *(t for t in shape.times_fs if 0 < t < duration)})
    shares = shape.at(np.array(corners, dtype=np.float64)) / plateau
    places, weights = _GAUSS
    for k in range(len(corners) - 1):
        length = seconds(corners[k + 1] - corners[k])
        level = shares[k] == shares[k + 1]
        for place, weight in ((0.0, 2.0),) if level else zip(places, weights, strict=True):
            share = shares[k] + (shares[k + 1] - shares[k]) * 0.5 * (1.0 + place)
            for column, state in ((0, 0.0), (1, 1.0)):
                rate = device.state_rate(np.full(node.size, state), node * share, temperature)
                if rate is not None:
                    result[:, column] += 0.5 * weight * length * np.abs(rate)
    rise = np.diff(result, axis=0)
    return np.stack((result[:-1, 0], rise[:, 0], result[:-1, 1], rise[:, 1]), axis=1).astype(np.float32)


def accumulate(
    voltages: FloatArray, transfer: Single, span: float, table: Single, exposure: FloatArray
) -> None:
    """Add to ``exposure`` ``(2, cells)`` that of reads with these voltages ``(reads, rows)`` [V] on the word lines.

    ``transfer`` ``(rows, cells)`` [V/V] to the devices; ``table`` of `_exposures`, from -span to span [V].
    """
    if numba_available():
        from cosim.backends import compiled_exposures as compiled

        level = float(voltages.max(initial=0.0))
        if np.all((voltages == 0.0) | (voltages == level)):
            compiled.accumulate_on(_patterns(voltages != 0.0), level, transfer, _CHUNK, span, table, exposure)
        else:
            compiled.accumulate(voltages.astype(np.float32), transfer, _CHUNK, span, table, exposure)
        return
    single = voltages.astype(np.float32)
    for start in range(0, len(single), _CHUNK):
        position = (single[start : start + _CHUNK] @ transfer + span) * (_NODES / (2.0 * span))
        whole = np.clip(position.astype(np.intp), 0, _NODES - 1)
        part = position - whole
        for row, column in zip(exposure, (0, 2), strict=True):
            value, rise = table[:, column], table[:, column + 1]
            row += (value[whole] + part * rise[whole]).sum(axis=0, dtype=np.float64)


def _patterns(on: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Return which of four neighbouring rows are on, ``(reads, groups)``, in multiples of eight groups."""
    padded = np.pad(on, ((0, 0), (0, -on.shape[1] % 32)))
    packed = np.packbits(padded, axis=1, bitorder="little")
    return np.stack((packed & 15, packed >> 4), axis=-1).reshape(len(on), -1)


def _answers(
    request: PhaseRequest, voltages: FloatArray, ends: tuple[ReadForms, ReadForms], shape: Waveform
) -> ReadAnswers:
    """Return the answers to the reads of a group, between those of the networks at its ends."""
    linear, squared = pulse_integrals(shape, request.phase.duration_fs)
    share = float(shape.at(np.array([request.phase.strobes_fs[0]], dtype=np.float64))[0])
    way = (np.arange(len(voltages)) + 0.5) / len(voltages)
    shares = (
        ((ends[0], np.ones(len(voltages))),) if ends[0] is ends[1] else ((ends[0], 1.0 - way), (ends[1], way))
    )
    parts = [_weighted(forms.powers(voltages), weight) for forms, weight in shares]
    current, *powers = (sum(found) for found in zip(*parts, strict=True))
    cells = sum(forms.cell_powers((voltages.T * weight) @ voltages) for forms, weight in shares)
    delivered, absorbed, in_cells, access, wires, terminations = (squared * power for power in powers)
    return ReadAnswers(
        share * current, linear / share, delivered, absorbed, in_cells, access, wires, terminations,
        squared * np.reshape(cells, request.states[0].shape), max(forms.residual for forms in ends), ("together", "moving"),
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
