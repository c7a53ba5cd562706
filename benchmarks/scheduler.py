"""The scheduler against bare simpy, and ten thousand products on a 128x128 tile of each device; prints ratios.

Usage: python benchmarks/scheduler.py [--accept] [--products N]

Events: products in cosim, with solving, converting and recording, against a bare simpy program with the same waits, in
which every conversion is a request and a timeout; alternating in one process, and both must end at the same instant. The
bar is held event by event (a bank that tiles share); in blocks (a bank of the tile's own) is printed beside it.
Products: bit-serial inputs of 8 bits, wires of 1 ohm a segment, 16
shared ADCs, one tile; wall time with its breakdown, and the largest memory: of resistors, of `mss` with its defaults, which
moves in every read, and of `mss-firm`. Their reads are answered in groups within which no current changes by more than
1 % of the largest one; the first ones are also run one by one, and the results compared. ``--accept`` ends with a line per bar.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Generator
from typing import Any

import numpy as np
import simpy

from cosim.components.adc import Adc
from cosim.components.read_phases import read_timing
from cosim.components.tile import PHASE_KINDS
from cosim.crossbar import Cell, find
from cosim.crossbar.threads import single_threaded
from cosim.devices import DeviceModel, Mss, Resistor, find_preset
from cosim.hardware import ArraySpec, Hardware, WireSpec
from cosim.records import Trace
from cosim.report.summary import summarize
from cosim.report.totals import energy_totals
from cosim.system import Read, System
from cosim.units import femtoseconds

EVENT_BAR, SECONDS_BAR, MEGABYTE_BAR, STATE_BAR = 0.5, 60.0, 1000.0, 1e-4
ROUNDS = 5
GROUP_CHANGE = 0.01
COMPARED = 25
"""Products that are also run phase by phase: the compared ones of `mss` take about 50 ms a phase there."""
DEVICES: dict[str, tuple[DeviceModel, float, float]] = {
    "resistor": (Resistor(), 1e-6, 2e-5),
    "mss": (Mss(), 1e-4, 1e-3),
    "mss-firm": (find_preset("mss-firm"), 1e-6, 1e-5),
}
"""Device, lowest and highest conductance [S] of the tile."""


def system(size: int, adc: Adc, tiles: int = 1, device: str = "resistor") -> System:
    """Return a system of tiles with wires."""
    model, low, high = DEVICES[device]
    wires = WireSpec(word_line=1.0, bit_line=1.0, capacitance=1e-16)
    hardware = Hardware(ArraySpec(size, size, wires), model, Cell("1R"), adc=adc)
    made = System(Trace(), 1)
    rng = np.random.default_rng(0)
    for k in range(tiles):
        conductance = rng.uniform(low, high, (size, size))
        made.add_tile(f"t{k}", hardware, dict.fromkeys(PHASE_KINDS, find("behavioral")()), conductance)
    return made


def multiplied(device: str, count: int, change: float) -> System:
    """Return a system that has run the products."""
    made = system(128, Adc(count=16), device=device)
    inputs = np.random.default_rng(1).integers(0, 256, (count, 128)) / 255
    with single_threaded():
        made.run([Read(("t0",), inputs, 0.2, None, None, "bit-serial", group_change=change)])
    return made


def compared(device: str) -> tuple[float, float]:
    """Return what grouped products differ by from those run phase by phase: currents of the largest, states."""
    single, grouped = (multiplied(device, COMPARED, change) for change in (0.0, GROUP_CHANGE))
    one, other = (made.trace.conversions.column("current_a") for made in (single, grouped))
    states = np.abs(single.tiles["t0"].state - grouped.tiles["t0"].state).max()
    return float(np.abs(one - other).max() / np.abs(one).max()), float(states)


def products(count: int, device: str) -> None:
    """Run the products and print time and memory (in a process of its own: memory is the largest ever)."""
    began = time.perf_counter()
    made = multiplied(device, count, GROUP_CHANGE)
    ran = time.perf_counter()
    summarize(
        made.trace, scenario={"name": "products", "sha256": ""}, seed=1, totals=energy_totals(made.trace)
    )
    done = time.perf_counter()
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    groups = made.trace.operations[0].details.get("grouped_reads", {}).get("t0", {})
    moved = float(np.abs(made.tiles["t0"].state - system(128, Adc(), device=device).tiles["t0"].state).mean())
    print(
        ran - began, done - ran, memory, made.trace.end_fs, len(made.trace.phases), groups.get("groups", 1),
        groups.get("largest_change", 0.0), moved if DEVICES[device][0].moves else 0.0, time.process_time(),
    )  # fmt: skip


def in_cosim(size: int, converters: int, vectors: int, coding: str, blocks: bool) -> tuple[float, int]:
    """Return wall time and end [fs] of products in cosim, with solving, converting and recording."""
    made = system(size, Adc(count=converters, shared="tile" if blocks else "system"))
    inputs = np.random.default_rng(1).integers(1, 256, (vectors, size)) / 255
    operation = Read(("t0",), inputs, 0.2, None, None, coding)
    began = time.perf_counter()
    with single_threaded():
        made.run([operation])
    return time.perf_counter() - began, made.trace.end_fs


def in_simpy(
    size: int, converters: int, steps: int, durations: tuple[int, int, int, int]
) -> tuple[float, int]:
    """Return wall time and end [fs] of the same waits in bare simpy, with nothing solved and nothing recorded.

    Each step: DAC timeout; request of the array, timeout, release; per column a process with request, timeout and
    release of a converter; timeout of the combination.
    """
    environment = simpy.Environment()
    array, bank = simpy.Resource(environment, 1), simpy.Resource(environment, converters)
    dac, phase, conversion, combine = durations

    def convert() -> Generator[simpy.Event, Any, None]:
        with bank.request() as turn:
            yield turn
            yield environment.timeout(conversion)

    def run() -> Generator[simpy.Event, Any, None]:
        for _ in range(steps):
            yield environment.timeout(dac)
            with array.request() as turn:
                yield turn
                yield environment.timeout(phase)
            yield simpy.AllOf(environment, [environment.process(convert()) for _ in range(size)])
            yield environment.timeout(combine)

    began = time.perf_counter()
    environment.run(until=environment.process(run()))
    return time.perf_counter() - began, int(environment.now)


def durations(size: int, converters: int) -> tuple[int, int, int, int]:
    """Return the times of DAC, array phase, conversion and combination [fs]."""
    tile = system(size, Adc(count=converters)).tiles["t0"]
    p = tile.periphery
    return (
        femtoseconds(p.dac.latency), read_timing(tile).duration, p.adc.conversion_fs,
        femtoseconds(p.sequencer.combine_time),
    )  # fmt: skip


def events(size: int, converters: int, vectors: int, coding: str) -> float:
    """Print events per second of both, and return their ratio event by event (median of the rounds).

    Events: timeouts, requests and releases of the bare program; cosim does the same work.
    """
    steps = vectors * (8 if coding == "bit-serial" else 1)
    number = steps * (2 + 3 + 3 * size)
    times = durations(size, converters)
    seconds: dict[str, list[float]] = {"bare simpy": [], "cosim": [], "cosim in blocks": []}
    in_cosim(size, converters, vectors, coding, blocks=True)
    for _ in range(ROUNDS):
        bare, end = in_simpy(size, converters, steps, times)
        seconds["bare simpy"].append(bare)
        for name, blocks in (("cosim", False), ("cosim in blocks", True)):
            own, same = in_cosim(size, converters, vectors, coding, blocks)
            assert end == same, f"{name} ends at {same} fs, bare simpy at {end} fs"
            seconds[name].append(own)
    ratios = {
        name: statistics.median(bare / own for bare, own in zip(seconds["bare simpy"], taken, strict=True))
        for name, taken in seconds.items()
    }
    rates = ", ".join(
        f"{name} {number / statistics.median(taken) / 1e3:.0f} k events/s (ratio {ratios[name]:.2f})"
        for name, taken in seconds.items()
    )
    print(f"{size:>4} columns, {converters:>2} ADCs, {steps:>5} array phases: {rates}")
    return ratios["cosim"]


def many(device: str, count: int) -> list[tuple[str, float, str, bool]]:
    """Run the products on a tile of a device and print what they took; returns the bars."""
    command = [sys.executable, __file__, "--only-products", device, "--products", str(count)]
    words = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    run, report, memory, end, phases, groups, change, moved, processor = (float(word) for word in words)
    print(
        f"{count} products, 128x128 {device}, wires, 8 bits in series, 16 ADCs: run {run:.1f} s, sums and summary"
        f" {report:.1f} s ({processor:.1f} s of processors, start included), {phases:.0f} array phases in {groups:.0f} groups, largest change of a current in one {change:.2%},"
        f" mean change of state {moved:.2e}, {end / 1e15:.6g} s of event time, {memory:.0f} MB"
    )
    bars = [
        (f"seconds for the products, {device}", run + report, f"< {SECONDS_BAR}", run + report < SECONDS_BAR),
        (f"largest memory [MB], {device}", memory, f"< {MEGABYTE_BAR}", memory < MEGABYTE_BAR),
    ]
    if DEVICES[device][0].moves:
        current, state = compared(device)
        bars += [
            (
                f"currents against one by one, {device}",
                current,
                f"<= {GROUP_CHANGE}",
                current <= GROUP_CHANGE,
            ),
            (f"states against one by one, {device}", state, f"<= {STATE_BAR}", state <= STATE_BAR),
        ]
    return bars


def main() -> int:
    """Run the benchmark; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--accept", action="store_true", help="end with a line per bar")
    parser.add_argument("--products", type=int, default=10_000, help="number of products")
    parser.add_argument("--only-products", choices=DEVICES, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.only_products:
        products(arguments.products, arguments.only_products)
        return 0
    smallest = events(8, 1, 300, "amplitude")
    ratio = events(128, 16, 20, "bit-serial")
    print(
        f"(with 8 columns the same work is {smallest:.2f}: what a phase costs beside waiting is spread over few events)"
    )
    bars = [("events per second, cosim / bare simpy", ratio, f">= {EVENT_BAR}", ratio >= EVENT_BAR)]
    for device in DEVICES:
        bars += many(device, arguments.products)
    if arguments.accept:
        for name, value, bar, good in bars:
            print(f"{name}: {value:.3g} (bar {bar}): {'met' if good else 'missed'}")
        return 0 if all(good for *_, good in bars) else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
