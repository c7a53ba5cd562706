"""Records of a block of array phases: those that each phase would have made, in the same order.

Within a phase they come stage by stage, and within a stage tile by tile: DACs; array and samples; conversions;
combination; adders behind a vector.
"""

from __future__ import annotations

from math import nan
from typing import TYPE_CHECKING, Any

import numpy as np

from cosim.components.bank import Bank
from cosim.components.read_phases import sense_parts
from cosim.components.repeated_rows import RepeatedRows
from cosim.components.tile import network_parts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from cosim.components.read_blocks import Block, BlockAnswers, Lane
    from cosim.components.repeated_rows import Place
    from cosim.devices.base import FloatArray
    from cosim.records import Trace

_DRIVEN, _SAMPLED, _CONVERTED, _COMBINED, _ADDED = range(5)


def record(block: Block, lanes: Sequence[tuple[Lane, BlockAnswers]]) -> list[list[int]]:
    """Append the records of a block; returns the starts of each tile's conversions after their sample [fs]."""
    rows = _BlockRows(lanes[0][0].tile.trace, block, len(lanes))
    for place, (lane, _) in enumerate(lanes):
        rows.drive(place, lane)
    for place, (lane, answers) in enumerate(lanes):
        rows.read(place, lane, answers)
    starts = [rows.convert(place, lane) for place, (lane, _) in enumerate(lanes)]
    for place, (lane, _) in enumerate(lanes):
        rows.combine(place, lane)
    rows.add_slices(lanes[0][0])
    rows.write()
    return starts


class _BlockRows:
    """The rows of phases, intervals and energies of a block on some tiles."""

    def __init__(self, trace: Trace, block: Block, tiles: int) -> None:
        count = len(block.begin)
        self._trace, self._block = trace, block
        self._index = len(trace.phases) + tiles * np.arange(count)
        self._phases, self._busy, self._energies = (
            RepeatedRows(table, count) for table in (trace.phases, trace.busy, trace.energies)
        )

    def write(self) -> None:
        """Append the rows to their tables."""
        for rows in (self._phases, self._busy, self._energies):
            rows.write()

    def drive(self, place: int, lane: Lane) -> None:
        """Take the conversions of the DACs: those of the driven lines, at least one."""
        job, block = lane.job, self._block
        path, name, key = job.path, lane.tile.name, f"{job.path.component('dac')} {job.coding.name}"
        resource = f"{name}.{path.component('dac').replace(' ', '_')}"
        self._trace.capacities.setdefault(resource, path.inputs)
        self._trace.formulas.setdefault(f"{name}/{key}", job.coding.formula(path.dac))
        driven = job.coded.amplitude[block.phase, block.vector] != 0
        units = np.maximum(np.count_nonzero(driven, axis=1), 1)
        start = block.begin - block.stages.dac
        self._busy.add(
            (_DRIVEN, place),
            (resource, driven.argmax(axis=1), job.operation, "convert", start, start, block.begin, 1, units),
        )
        energy = units * job.coding.energy(path.dac)
        self._energy((_DRIVEN, place), lane, -1, path.component("dac"), "convert", energy, f"{name}/{key}")

    def read(self, place: int, lane: Lane, answers: BlockAnswers) -> None:
        """Take the array phases."""
        tile, job, block, at = lane.tile, lane.job, self._block, (_SAMPLED, place)
        index, shape, timing = self._index + place, lane.reads.shape, job.timings[0]
        numerical, parts = network_parts(*answers.energies)
        self._phases.add(
            at,
            (
                index, job.operation, tile.name, shape.kind, tile.backends[shape.kind].name, block.begin,
                shape.duration_fs, *answers.energies, numerical, answers.residual, 0, answers.applied, timing.origin,
                nan, nan, nan,
            ),
        )  # fmt: skip
        self._busy.add(
            at, (f"{tile.name}.array", 0, job.operation, shape.kind, block.begin, block.begin, block.sampled, 1, 1)
        )  # fmt: skip
        for component, energy in parts.items():
            self._energy(at, lane, index, component, shape.kind, energy, component)
        drive = job.coded.amplitude[block.phase, block.vector]
        squares = np.matmul(drive[:, None, :], drive[:, :, None]).reshape(-1)
        own = {"word-line charging": tile.capacitance.word * squares}
        own |= sense_parts(tile, answers.charge, timing.duration, job.path.outputs, job.path)
        for component, energy in own.items():
            self._energy(at, lane, index, component, shape.kind, energy)

    def convert(self, place: int, lane: Lane) -> list[int]:
        """Take the conversions; returns their starts after the sample [fs]."""
        job, block = lane.job, self._block
        path, adc, bank, sampled = job.path, job.path.adc, job.path.adc_bank, block.sampled
        assert isinstance(bank, Bank), "only a bank in order of arrival knows its times beforehand"
        first, last = int(sampled[0]), int(sampled[-1])
        starts, intervals = bank.plan_alike(
            job.operation, "convert", first, last, path.outputs, adc.interval_fs, (0, path.outputs)
        )
        for own in intervals:
            start, end = sampled + (own.start_fs - first), sampled + (own.end_fs - first)
            self._busy.add(
                (_SAMPLED, place),
                (own.resource, own.unit, job.operation, own.kind, sampled, start, end, own.jobs, own.units),
            )
        for component, energy in (("adc", adc.conversion_energy), ("mux", adc.mux.energy)):
            self._energy(
                self._behind(place), lane, -1, path.component(component), "convert", path.outputs * energy
            )
        return [start - first for start in starts]

    def combine(self, place: int, lane: Lane) -> None:
        """Take the digital combination of the outputs."""
        block, control = self._block, lane.tile.periphery.sequencer
        self._wait(self._behind(place), lane, "sequencer", block.converted, block.combined)
        energy = lane.job.path.outputs * control.combine_energy
        self._energy((_COMBINED, place), lane, -1, "digital", "combine", energy)

    def add_slices(self, lane: Lane) -> None:
        """Take the adders behind every vector."""
        adders, block = self._block.adders, self._block
        if adders is None:
            return
        row = (
            lane.job.operation,
            -1,
            lane.tile.name,
            "shift-and-add",
            "combine",
            adders.energy_of(1),
            "shift-and-add",
        )
        self._energies.add((_ADDED, 0), row, block.last)
        end = block.combined + adders.time_fs
        self._wait((_ADDED, 0), lane, "shift_and_add", block.combined, end, block.last)

    def _behind(self, place: int) -> Place:
        """Return the place of what follows the conversions: at once where they take no time."""
        return (_CONVERTED if self._block.stages.conversion else _SAMPLED, place)

    def _wait(
        self,
        at: Place,
        lane: Lane,
        resource: str,
        start: NDArray[np.int64],
        end: NDArray[np.int64],
        present: Any = True,
    ) -> None:
        name = f"{lane.tile.name}.{resource}"
        self._trace.capacities.setdefault(name, 1)
        self._busy.add(at, (name, 0, lane.job.operation, "combine", start, start, end, 1, 1), present)

    def _energy(
        self, at: Place, lane: Lane, phase: NDArray[np.int64] | int, component: str, kind: str, energy: FloatArray | float,
        formula: str | None = None,
    ) -> None:  # fmt: skip
        """Take an energy [J] where it is not zero; ``formula``: its key, that of the component of the tile unless given."""
        key = formula or f"{lane.tile.name}/{component}"
        row = (lane.job.operation, phase, lane.tile.name, component, kind, energy, key)
        self._energies.add(at, row, np.asarray(energy) != 0)
