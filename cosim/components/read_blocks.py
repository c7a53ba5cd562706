r"""Products in blocks: array phases whose times are known beforehand, recorded column by column.

Where a backend has answered the array phases of a read (`cosim.components.answered_reads`), tiles begin every vector
together, hold one sample at a time and have converters of their own, nothing makes a phase wait: the converters are free
when its samples are taken. So phase k of vector n begins, with its DACs, at

.. math:: t_0 + (n P + k)(A + T + C + D) + n E,

with P phases a vector, and the times of DACs, array phase, conversions, combination, and of the adders behind a vector.
One event stands for a block of phases, whose records are those that each would have made, in the same order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from cosim.components.bank import Bank, Process
from cosim.components.block_records import record
from cosim.components.quantizer import Codes
from cosim.units import femtoseconds, seconds

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cosim.components.answered_reads import AnsweredReads
    from cosim.components.reading import Multiplication, Products
    from cosim.components.tile import Tile
    from cosim.crossbar.backend import ReadAnswers
    from cosim.devices.base import FloatArray

    Times = NDArray[np.int64]

LONGEST = 4096
"""Array phases of a block: what is held at once, and what an interruption can cost."""
_LATEST = 1 << 62
"""End of a read [fs] up to which int64 holds its times."""


class Adders(NamedTuple):
    """What joins the slices of a vector's weights behind it: additions a vector, energy of one [J], time [s]."""

    additions: int
    energy: float
    time: float

    @property
    def time_fs(self) -> int:
        """Time behind a vector [fs]."""
        return femtoseconds(self.time)

    def energy_of(self, vectors: int) -> float:
        """Return the energy for some vectors [J]."""
        return vectors * self.additions * self.energy


class Stages(NamedTuple):
    """Times of DACs, array phase, conversions and combination of a phase [fs]."""

    dac: int
    array: int
    conversion: int
    combination: int

    @classmethod
    def of(cls, tile: Tile, job: Multiplication) -> Stages:
        """Return those of a tile whose converters are free."""
        path, adc = job.path, job.path.adc
        rounds = -(-path.outputs // adc.count)
        return cls(
            femtoseconds(path.dac.latency), job.timings[0].duration,
            (rounds - 1) * adc.interval_fs + adc.latency_fs, femtoseconds(tile.periphery.sequencer.combine_time),
        )  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Lane:
    """One of the tiles: its products, and their results."""

    tile: Tile
    job: Multiplication
    reads: AnsweredReads
    results: Products


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Array phases of all tiles; arrays ``(count,)``.

    ``vector``, ``phase``: which phase of which vector; ``last``: whether it is the last one of its vector; ``begin``: when
    its array phase begins [fs].
    """

    stages: Stages
    adders: Adders | None
    vector: NDArray[np.intp]
    phase: NDArray[np.intp]
    last: NDArray[np.bool_]
    begin: Times

    @classmethod
    def of(cls, reads: range, phases: int, begin: int, stages: Stages, adders: Adders | None) -> Block:
        """Return the block of some reads, ``phases`` of which make a vector; ``begin`` of the first array phase [fs]."""
        vector, phase = np.divmod(np.arange(reads.start, reads.stop), phases)
        behind = (vector - vector[0]) * (adders.time_fs if adders else 0)
        times = begin + np.arange(len(reads)) * sum(stages) + behind
        return cls(stages, adders, vector, phase, phase == phases - 1, times)

    @property
    def sampled(self) -> Times:
        """When each array phase ends and its conversions begin [fs]."""
        return self.begin + self.stages.array

    @property
    def converted(self) -> Times:
        """When the last conversion of each phase is done [fs]."""
        return self.sampled + self.stages.conversion

    @property
    def combined(self) -> Times:
        """When each phase is done [fs], without adders behind its vector."""
        return self.converted + self.stages.combination

    @property
    def end(self) -> int:
        """End of the block [fs]."""
        behind = self.adders.time_fs if self.adders and self.last[-1] else 0
        return int(self.combined[-1]) + behind


def in_blocks(tiles: Sequence[Tile], jobs: Sequence[Multiplication], adders: Adders | None) -> bool:
    """Return whether nothing makes a phase of these products wait, so that they can be run in blocks."""
    for job in jobs:
        path, adc = job.path, job.path.adc
        own = isinstance(path.adc_bank, Bank) and adc.shared == "tile" and adc.latency_fs >= adc.interval_fs
        if job.answered is None or not own or path.sense.holds > 1 or path.sense.kind == "comparator":
            return False
    stages = {Stages.of(tile, job) for tile, job in zip(tiles, jobs, strict=True)}
    phases, vectors = jobs[0].coded.amplitude.shape[:2]
    if len(stages) > 1 or any(job.coded.phases != phases for job in jobs):
        return False
    behind = adders.time_fs if adders else 0
    end: int = tiles[0].now + vectors * (phases * sum(stages.pop()) + behind)
    return end < _LATEST


@dataclass(frozen=True, slots=True, eq=False)
class BlockAnswers:
    """What the array phases of a block gave on one tile.

    ``current`` ``(count, outputs)`` [A] as `ReadAnswers` has it, ``charge`` ``(count,)`` [C] of all sensed lines; ``energies``: delivered,
    absorbed, cells, access, wires, ends, stored ``(count,)`` [J].
    """

    current: FloatArray
    charge: FloatArray
    energies: tuple[FloatArray, ...]
    residual: float
    applied: str

    @classmethod
    def of(cls, answers: ReadAnswers, place: int, count: int) -> BlockAnswers:
        """Return those from ``place`` on."""
        own, a = slice(place, place + count), answers
        parts = (a.delivered, a.absorbed, a.cells, a.access, a.wires, a.terminations)
        charge = np.abs(a.charge_time * a.current[own]).sum(axis=1)
        energies = (*(part[own] for part in parts), np.zeros(count))
        return cls(a.current[own], charge, energies, a.kcl_residual, "+".join(a.applied))


def multiply_in_blocks(lanes: Sequence[Lane], adders: Adders | None, done: Callable[[int], None]) -> Process:
    """Run the products of tiles; fills the results and calls ``done`` with the number of finished vectors."""
    tile, job, first = lanes[0].tile, lanes[0].job, 0
    stages, reads = Stages.of(tile, job), len(lanes[0].reads.voltages)
    while first < reads:
        yield tile.environment.timeout(stages.dac)
        found = [lane.reads.begin(lane.tile, first) for lane in lanes]
        count = min(LONGEST, *(lane.reads.left(first) for lane in lanes))
        block = Block.of(range(first, first + count), job.coded.phases, tile.now, stages, adders)
        yield tile.environment.timeout(block.end - tile.now)
        answers = [BlockAnswers.of(*places, count) for places in found]
        starts = record(block, list(zip(lanes, answers, strict=True)))
        for lane, answer, start in zip(lanes, answers, starts, strict=True):
            _convert(lane, block, answer.current, start)
            lane.tile.rests_from(int(block.sampled[-1]))
            lane.reads.pass_over(int((block.begin[1:] - block.sampled[:-1]).sum()))
            lane.reads.end(lane.tile, first + count - 1)
        done(int(np.count_nonzero(block.last)))
        first += count


def _convert(lane: Lane, block: Block, current: FloatArray, starts: Sequence[int]) -> None:
    """Convert the samples of a block and add them to the products; ``starts`` of the conversions after a sample [fs]."""
    job, results, sense = lane.job, lane.results, lane.job.path.sense
    window, charge_time = job.timings[0].window_s, lane.reads.answers.charge_time
    seen = charge_time * current / window if sense.kind == "integrator" else current
    codes = _codes(lane, seen, starts)
    measured = codes.values / sense.transfer(window)
    for phase, weight in enumerate(job.coded.weights):
        own = block.phase == phase
        results.currents[block.vector[own]] += weight * measured[own]
    results.saturated += int(np.count_nonzero(codes.saturated))
    kept = block.vector < len(results.codes)
    to = block.vector[kept], block.phase[kept]
    results.sampled[to], results.codes[to] = seen[kept], codes.codes[kept]
    results.values[to], results.outside[to] = measured[kept], codes.saturated[kept]


def _codes(lane: Lane, current: FloatArray, starts: Sequence[int]) -> Codes:
    """Return the codes of samples ``(count, outputs)`` [A]; each phase has draws of its own."""
    tile, path, span, timing = lane.tile, lane.job.path, lane.job.span, lane.job.timings[0]
    sense, adc = path.sense, path.adc
    held = np.array([seconds(start + timing.fall) for start in starts])

    def convert(
        part: FloatArray, noise: np.random.Generator | None, dither: np.random.Generator | None
    ) -> Codes:
        voltage = tile.within_swing(
            sense, sense.output(part, timing.window_s, noise) + path.offsets(0, path.outputs)
        )
        if sense.hold_leakage:
            voltage = sense.held(voltage, held)
        return adc.convert(voltage, span.low, span.high, dither)

    if not (sense.random or adc.errors.random):
        return convert(current, None, None)
    codes = [
        convert(
            part,
            tile.draws(path.component("sense")) if sense.random else None,
            tile.draws(path.component("adc")) if adc.errors.random else None,
        )
        for part in current
    ]
    return Codes(*(np.array(column) for column in zip(*codes, strict=True)))
