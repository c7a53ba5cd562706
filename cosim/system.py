"""The system: event environment, tiles, operations, trace.

Operations run one after the other; within an operation the tiles run side by side. An operation is a
frozen value; its process does the work and returns what the summary shall say about it.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import simpy

from cosim.components.bank import ConverterBank, Process, make_bank
from cosim.components.programming import Programming, program_tile
from cosim.components.reading import AdcRange, Product, adc_range, multiply, read_timing
from cosim.components.tile import PHASE_KINDS, Tile, refusals
from cosim.crossbar.backend import CrossbarBackend
from cosim.devices.base import FloatArray
from cosim.hardware import Hardware
from cosim.mapping.encoding import Decoding
from cosim.records import OperationRecord, ReadValue, Trace
from cosim.rng import stream

Details = dict[str, Any]
"""What the summary says about an operation, beside its times and its energy."""


class Operation(ABC):
    """One step of a program."""

    op: str

    @property
    @abstractmethod
    def target(self) -> str:
        """What the operation acts on, for reports."""

    @abstractmethod
    def process(self, system: System, index: int) -> Process:
        """Return the process body; its value is the `Details` of the operation."""


class System:
    """Tiles on one event time line."""

    def __init__(self, trace: Trace, seed: int) -> None:
        self.environment = simpy.Environment(initial_time=0)
        self.trace = trace
        self.seed = seed
        self.tiles: dict[str, Tile] = {}
        self._shared_adc: ConverterBank | None = None

    def add_tile(
        self,
        name: str,
        hardware: Hardware,
        backends: Mapping[str, CrossbarBackend],
        conductance: FloatArray | None = None,
    ) -> Tile:
        """Add a tile; ``backends`` by phase kind, ``conductance`` ``(rows, columns)`` [S] a start map.

        Raises `UnsupportedRequestError` where a backend cannot answer its kind of phase.
        """
        network = hardware.network(name)
        refusals(network, backends)
        shape = (hardware.array.rows, hardware.array.columns)
        if conductance is None:
            state = hardware.device.initial_state(shape, stream(self.seed, f"tiles/{name}/initial"))
        else:
            state = hardware.device.state_for(np.asarray(conductance, dtype=np.float64))
        tile = Tile(
            self.environment, self.trace, name, network, state, hardware.periphery, hardware.line_capacitance(),
            backends, adc_bank=self._adc_bank(hardware), temperature=hardware.temperature, seed=self.seed,
        )  # fmt: skip
        self.tiles[name] = tile
        return tile

    def _adc_bank(self, hardware: Hardware) -> ConverterBank | None:
        if hardware.adc.shared == "tile":
            return None
        if self._shared_adc is None:
            adc = hardware.adc
            self._shared_adc = make_bank(
                self.environment, self.trace, "adc", adc.count, adc.assignment, adc.arbitration
            )
        return self._shared_adc

    def run(self, program: Sequence[Operation], progress: Callable[[int, int], None] | None = None) -> None:
        """Run a program to its end; errors of a phase leave the trace with everything done before."""
        process = self.environment.process(self._sequence(program, progress))
        try:
            self.environment.run(until=process)
        finally:
            self.trace.end_fs = int(self.environment.now)

    def _sequence(self, program: Sequence[Operation], progress: Callable[[int, int], None] | None) -> Process:
        first = len(self.trace.operations)
        for offset, operation in enumerate(program):
            index, start = first + offset, int(self.environment.now)
            if progress is not None:
                progress(offset, len(program))
            details = yield from operation.process(self, index)
            end = int(self.environment.now)
            self.trace.operations.append(
                OperationRecord(index, operation.op, operation.target, start, end, details)
            )
        if progress is not None:
            progress(len(program), len(program))


@final
@dataclass(frozen=True, slots=True, eq=False)
class Write(Operation):
    """Program tiles with write-verify, side by side."""

    jobs: Mapping[str, Programming]
    op: str = "write"

    @property
    def target(self) -> str:
        return "+".join(self.jobs)

    def process(self, system: System, index: int) -> Process:
        before = {name: system.tiles[name].conductance() for name in self.jobs}
        yield simpy.AllOf(
            system.environment,
            [
                system.environment.process(program_tile(system.tiles[name], index, job))
                for name, job in self.jobs.items()
            ],
        )
        outcomes = [row for row in system.trace.outcomes if row[0] == index]
        return self._details(system, outcomes, before)

    def _details(
        self, system: System, outcomes: list[tuple[Any, ...]], before: Mapping[str, FloatArray]
    ) -> Details:
        cells = len(outcomes)
        converged = sum(bool(row[8]) for row in outcomes)
        unreached = [[row[1], row[2], row[3]] for row in outcomes if not row[8]]
        disturb = {name: self._disturb(system.tiles[name], outcomes, before[name]) for name in self.jobs}
        if unreached:
            system.trace.warn(
                f"{len(unreached)} of {cells} cells did not reach their window within the pulse budget"
            )
        return {
            "cells": cells,
            "converged": converged,
            "converged_fraction": converged / cells if cells else 1.0,
            "pulses": sum(int(row[7]) for row in outcomes),
            "unreached": unreached[:4096],
            "error": {"verify_rms_s": _rms([row[5] - row[4] for row in outcomes])},
            "disturb": disturb,
        }

    def _disturb(self, tile: Tile, outcomes: list[tuple[Any, ...]], before: FloatArray) -> Details:
        """Return how far cells moved that no pulse was meant for: since their last verify, or at all."""
        low, high = (float(np.mean(bound)) for bound in tile.array.device.conductance_range())
        reference = before.copy()
        for row in outcomes:
            if row[1] == tile.name:
                reference[row[2], row[3]] = row[6]
        moved = np.abs(tile.conductance() - reference) / (high - low)
        return {"worst_of_range": float(moved.max()), "mean_of_range": float(moved.mean())}


@final
@dataclass(frozen=True, slots=True, eq=False)
class Read(Operation):
    """Matrix-vector products of tiles, all tiles side by side for each input vector.

    ``inputs`` ``(vectors, rows)``; an input of one is ``volts_per_input`` [V]. ``decoding`` None: the
    results are the bit-line currents [A] of all tiles, one after the other. ``exact``
    ``(vectors, outputs)`` is what the results are compared with; None: the ideal product of the
    programmed conductances.
    """

    tiles: tuple[str, ...]
    inputs: FloatArray
    volts_per_input: float
    decoding: Decoding | None
    exact: FloatArray | None
    op: str = "read"

    @property
    def target(self) -> str:
        return "+".join(self.tiles)

    def process(self, system: System, index: int) -> Process:
        voltage = self.inputs * self.volts_per_input
        tiles = [system.tiles[name] for name in self.tiles]
        spans = [adc_range(tile, voltage @ tile.seen_conductance()) for tile in tiles]
        timings = [read_timing(tile) for tile in tiles]
        currents = [np.zeros((len(voltage), tile.array.columns)) for tile in tiles]
        saturated = [0, 0]
        for vector, amplitudes in enumerate(voltage):
            jobs = [
                system.environment.process(multiply(tile, index, vector, amplitudes, span, timing))
                for tile, span, timing in zip(tiles, spans, timings, strict=True)
            ]
            yield simpy.AllOf(system.environment, jobs)
            products: list[Product] = [job.value for job in jobs]  # type: ignore[misc]
            for k, product in enumerate(products):
                currents[k][vector] = product.currents
                saturated[0] += product.dac_saturated
                saturated[1] += product.adc_saturated
        return self._details(system, index, voltage, tuple(currents), saturated, spans)

    def _ideal(self, system: System, voltage: FloatArray) -> tuple[FloatArray, ...]:
        return tuple(voltage @ system.tiles[name].seen_conductance() for name in self.tiles)

    def _results(self, voltage: FloatArray, currents: tuple[FloatArray, ...]) -> FloatArray:
        if self.decoding is None:
            return np.concatenate(currents, axis=1)
        return self.decoding.decode(currents, voltage, self.volts_per_input)

    def _details(
        self,
        system: System,
        index: int,
        voltage: FloatArray,
        currents: tuple[FloatArray, ...],
        saturated: list[int],
        spans: list[AdcRange],
    ) -> Details:
        values = self._results(voltage, currents)
        ideal = self._results(voltage, self._ideal(system, voltage)) if self.exact is None else self.exact
        for vector, (row, exact) in enumerate(zip(values.tolist(), ideal.tolist(), strict=True)):
            for output, (value, wanted) in enumerate(zip(row, exact, strict=True)):
                system.trace.values.append(ReadValue(index, vector, output, value, wanted))
        if saturated[0] or saturated[1]:
            system.trace.warn(
                f"operation {index}: {saturated[0]} DAC and {saturated[1]} ADC conversions saturated"
            )
        return {
            "vectors": len(values),
            "outputs": int(values.shape[1]),
            "unit": "A" if self.decoding is None else "1",
            "dac_saturated": saturated[0],
            "adc_saturated": saturated[1],
            "adc_range_v": [[np.asarray(end).tolist() for end in (span.low, span.high)] for span in spans],
            "values": values.ravel()[:4096].tolist(),
            "ideal": ideal.ravel()[:4096].tolist(),
            "error": errors(values, ideal),
        }


def errors(values: FloatArray, ideal: FloatArray) -> Details:
    """Return the error of results against exact ones: absolute, and relative to the exact rms and range."""
    difference = values - ideal
    scale, span = _rms(ideal.ravel().tolist()), float(np.ptp(ideal)) if ideal.size else 0.0
    rms = _rms(difference.ravel().tolist())
    return {
        "rms": rms,
        "max": float(np.abs(difference).max(initial=0.0)),
        "rms_relative": rms / scale if scale else 0.0,
        "rms_of_range": rms / span if span else 0.0,
    }


def _rms(values: Sequence[float]) -> float:
    return math.sqrt(math.fsum(v * v for v in values) / len(values)) if values else 0.0


@final
@dataclass(frozen=True, slots=True)
class Wait(Operation):
    """Let time pass; the cells age at 0 V."""

    duration_fs: int
    op: str = "wait"

    @property
    def target(self) -> str:
        return "system"

    def process(self, system: System, index: int) -> Process:
        yield system.environment.timeout(self.duration_fs)
        return {}


@final
@dataclass(frozen=True, slots=True, eq=False)
class HandOver(Operation):
    """Answer the coming phases of tiles with other backends; their state is carried over."""

    backends: Mapping[str, Mapping[str, CrossbarBackend]]
    op: str = "backend"

    @property
    def target(self) -> str:
        return "+".join(self.backends)

    def process(self, system: System, index: int) -> Process:
        for name, backends in self.backends.items():
            system.tiles[name].hand_over(backends)
        yield system.environment.timeout(0)
        return {
            "backends": {
                name: {kind: backends[kind].name for kind in PHASE_KINDS if kind in backends}
                for name, backends in self.backends.items()
            }
        }
