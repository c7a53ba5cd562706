"""A synthetic trace with the records that a write and a read on two tiles leave."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from cosim.records import (
    BusyRecord,
    CellOutcome,
    ConversionRecord,
    Formula,
    OperationRecord,
    PhaseRecord,
    PulseRecord,
    ReadValue,
    Trace,
)

NS = 10**6
NETWORK_PARTS = ("cells", "access devices", "wires", "line ends")


class Writer:
    """Appends the records of phases on tiles whose clocks run side by side."""

    def __init__(self, trace: Trace, seed: int) -> None:
        self.trace, self.random, self.clock = trace, random.Random(seed), {}
        for part in NETWORK_PARTS:
            trace.formulas[part] = Formula(
                f"integral of i^2 R ({part})", "R: <solved>", "the network & its equations"
            )

    def tile(self, name: str, rows: int, adcs: int) -> None:
        self.clock[name] = 0
        for resource, units in (("array", 1), ("adc", adcs), ("dac", rows), ("sequencer", 1)):
            self.trace.capacities[f"{name}.{resource}"] = units
        for component in ("dac", "adc", "sense bias", "digital"):
            self.trace.formulas[f"{name}/{component}"] = Formula(
                "count * energy", "energy = 2 pJ", "a source"
            )

    def busy(
        self, tile: str, resource: str, unit: int, operation: int, kind: str, start: int, duration: int
    ) -> None:
        asked = self.clock[tile]
        self.trace.busy.append(
            BusyRecord(f"{tile}.{resource}", unit, operation, kind, asked, start, start + duration)
        )

    def step(
        self, tile: str, resource: str, operation: int, kind: str, duration: int, units: int = 1
    ) -> None:
        start = self.clock[tile]
        for unit in range(units):
            self.busy(tile, resource, unit, operation, kind, start, duration)
        self.clock[tile] = start + duration

    def phase(self, tile: str, operation: int, kind: str, duration: int) -> int:
        index, start = len(self.trace.phases), self.clock[tile]
        parts = [self.random.uniform(1e-16, 1e-13) for _ in NETWORK_PARTS]
        numerical = self.random.uniform(-1e-26, 1e-26)
        self.trace.phases.append(
            PhaseRecord(
                index, operation, tile, kind, "behavioral", start, duration, sum(parts) + numerical, 0.0, *parts,
                0.0, numerical, self.random.uniform(0, 1e-12), 0, "", "driver.rise + width",
            )
        )  # fmt: skip
        for component, value in zip(NETWORK_PARTS, parts, strict=True):
            self.trace.energy(operation, index, tile, component, kind, value, component)
        for component in ("sense bias", "numerical"):
            value = numerical if component == "numerical" else 1e-15
            key = component if component == "numerical" else f"{tile}/{component}"
            self.trace.energy(operation, index, tile, component, kind, value, key)
        self.step(tile, "array", operation, kind, duration)
        return index

    def convert(self, tile: str, operation: int, columns: int, adcs: int) -> None:
        start, duration = self.clock[tile], 90 * NS
        for column in range(columns):
            self.busy(
                tile, "adc", column % adcs, operation, "convert", start + column // adcs * duration, duration
            )
        self.trace.energy(operation, -1, tile, "adc", "convert", columns * 2e-12, f"{tile}/adc")
        self.clock[tile] = start + -(-columns // adcs) * duration

    def drive(self, tile: str, operation: int, units: int) -> None:
        self.trace.energy(operation, -1, tile, "dac", "convert", units * 37.5e-15, f"{tile}/dac")
        self.step(tile, "dac", operation, "convert", 1 * NS, units)

    def verify(self, tile: str, operation: int) -> None:
        self.drive(tile, operation, 1)
        self.phase(tile, operation, "verify", 12_900_000)
        self.convert(tile, operation, 1, 1)
        self.step(tile, "sequencer", operation, "decide", 2 * NS)

    def pulse(self, tile: str, operation: int, row: int, column: int) -> None:
        start = self.clock[tile]
        index = self.phase(tile, operation, "write", 102 * NS)
        self.trace.pulses.append(
            PulseRecord(
                operation, index, start, tile, row, column, f"{tile}.wl{row}", 1.2, 1e-7, 0.1, 0.2, 1e-6, 2e-6
            )
        )
        self.step(tile, "sequencer", operation, "recover", 2 * NS)

    def program(self, tile: str, operation: int, rows: int, columns: int, most: int) -> None:
        for row in range(rows):
            self.step(tile, "sequencer", operation, "select", 2 * NS)
            for column in range(columns):
                pulses = self.random.randint(0, most)
                for _ in range(pulses):
                    self.verify(tile, operation)
                    self.pulse(tile, operation, row, column)
                self.verify(tile, operation)
                target, converged = self.random.uniform(1e-6, 1e-5), pulses < most
                seen = target * self.random.uniform(0.98, 1.02)
                self.trace.outcomes.append(
                    CellOutcome(operation, tile, row, column, target, seen, seen, pulses, converged)
                )

    def multiply(self, tile: str, operation: int, vector: int, rows: int, columns: int, adcs: int) -> None:
        self.drive(tile, operation, rows)
        self.phase(tile, operation, "read", 12_900_000)
        self.convert(tile, operation, columns, adcs)
        for column in range(columns):
            current = self.random.uniform(0, 1e-6)
            self.trace.conversions.append(
                ConversionRecord(operation, vector, tile, column, current, column, current, saturated=False)
            )
        self.step(tile, "sequencer", operation, "combine", 2 * NS)

    def together(self) -> int:
        latest = max(self.clock.values())
        self.clock = dict.fromkeys(self.clock, latest)
        return latest


def make_trace(
    *, tiles: int = 2, rows: int = 4, columns: int = 4, pulses: int = 3, vectors: int = 6, adcs: int = 2,
    seed: int = 1, folder: Path | None = None, start_fs: int = 0,
) -> Trace:  # fmt: skip
    """Return the trace of a write, a wait and a read on several tiles."""
    trace = Trace(folder)
    writer = Writer(trace, seed)
    names = ["positive", "negative", "a <b>&c", *(f"t{k}" for k in range(3, tiles))][:tiles]
    for name in names:
        writer.tile(name, rows, adcs)
        writer.clock[name] = start_fs
    begin = writer.together()
    for name in names:
        writer.program(name, 0, rows, columns, pulses)
    end = writer.together()
    converged = sum(bool(row[8]) for row in trace.outcomes)
    details: dict[str, Any] = {
        "cells": len(trace.outcomes), "converged": converged, "converged_fraction": converged / len(trace.outcomes),
        "pulses": len(trace.pulses), "unreached": [], "error": {"verify_rms_s": 1e-9},
    }  # fmt: skip
    trace.operations.append(OperationRecord(0, "write", "+".join(names), begin, end, details))
    trace.operations.append(OperationRecord(1, "backend", "+".join(names), end, end, {"backends": {}}))
    for vector in range(vectors):
        for name in names:
            writer.multiply(name, 2, vector, rows, columns, adcs)
        writer.together()
        for output in range(columns):
            exact = writer.random.uniform(-1, 1)
            trace.values.append(ReadValue(2, vector, output, exact + writer.random.gauss(0, 0.01), exact))
    stop = writer.together()
    values = list(trace.values)
    details = {
        "vectors": vectors, "outputs": columns, "unit": "1", "values": [row[3] for row in values],
        "ideal": [row[4] for row in values],
        "error": {"rms": 0.01, "max": 0.03, "rms_relative": 0.02, "rms_of_range": 0.005},
    }  # fmt: skip
    trace.operations.append(OperationRecord(2, "read", "+".join(names), end, stop, details))
    trace.warn("a <sentence> with & in it")
    trace.end_fs = stop
    return trace
