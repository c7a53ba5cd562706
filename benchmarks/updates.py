"""Reads that cost nothing: cached matrix, updates of written cells, port models, beside badcrossbar in one process.

Prints times (best of rounds in which all methods take turns), the ratio over badcrossbar with its bar, the
largest error of a bit-line current against the refined direct solve, the break-even points that
`cosim.crossbar.cache` chooses by, and what a port model saves. ``--accept`` ends with status 1 if a bar is
missed; ``--quick`` leaves the large sizes out.

The case: R log-uniform in 1 kohm .. 100 kohm, V uniform in 0 .. 0.5 V, wires of 1 ohm.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import io
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import solver as peers  # sets OPENBLAS_NUM_THREADS
from solver import Line, alternate, case, plain, relative

from cosim.components.programming import Programming, program_tile
from cosim.components.schemes import Scheme
from cosim.components.write_verify import ProgrammingPulse, Verify
from cosim.crossbar.backend import find
from cosim.crossbar.kept import CrossbarNetwork
from cosim.crossbar.lines import FloatArray, numba_available, solve_lines
from cosim.crossbar.network import Cell
from cosim.crossbar.nodal import solve_lines_nodal
from cosim.crossbar.ports import PortModel
from cosim.crossbar.solver import with_access
from cosim.crossbar.threads import single_threaded
from cosim.crossbar.tree import LineTree
from cosim.crossbar.tree_update import PendingCells
from cosim.devices import Mss
from cosim.devices.rs import RS_KTRAM
from cosim.hardware import ArraySpec, Hardware, WireSpec
from cosim.records import Trace
from cosim.system import System

INPUTS = 100
FIRST_BAR = 10.0
LATER_BARS = {64: 1000.0, 256: 4000.0}
UPDATE_BARS = {64: 150.0, 256: 1000.0}
MEMORY_BAR = 350.0
SEQUENCE_BAR = 20.0
ERROR_BAR = 1e-10


def batch(n: int) -> FloatArray:
    return np.random.default_rng(1).uniform(0.0, 0.5, (INPUTS, n))


def badcrossbar_batch(resistance: FloatArray, volts: FloatArray) -> Any:
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        return peers.peer().compute(
            np.ascontiguousarray(volts.T), resistance, r_i=1.0, node_voltages=False, all_currents=False
        )


def batches(n: int) -> list[Line]:
    """100 reads of fixed cells: the first batch with its set-up, and every later one."""
    resistance, _ = case(n)
    g, volts = 1.0 / resistance, batch(n)
    kept = CrossbarNetwork(g, 1.0, 1.0)
    kept.read(volts)
    methods: dict[str, Callable[[], Any]] = {
        "peer": lambda: badcrossbar_batch(resistance, volts),
        "first": lambda: CrossbarNetwork(g, 1.0, 1.0).read(volts),
        "later": lambda: kept.read(volts),
        "single": lambda: solve_lines(kept.system, g, volts),
    }
    times = alternate(methods, {64: 30, 128: 12}.get(n, 5), 12.0)
    reference = -solve_lines_nodal(kept.system, g, volts[0]).i_bottom
    error = relative(kept.read(volts)[0], reference)
    first, later = times["peer"] / times["first"], times["peer"] / times["later"]
    print(f"{n:>5}  badcrossbar {times['peer'] * 1e3:>9.1f}   one by one {times['single'] * 1e3:>8.1f}   first "
          f"{times['first'] * 1e3:>8.2f} ({first:.0f}x)   later {times['later'] * 1e3:>7.3f} ({later:.0f}x)   "
          f"error {error:.0e}   by {kept.currents(volts).applied}")  # fmt: skip
    lines = [
        Line(f"first batch {n}: {first:.1f}x >= {FIRST_BAR:g}x", first >= FIRST_BAR),
        Line(f"error of a batch {n}: {error:.1e} <= {ERROR_BAR:g}", error <= ERROR_BAR),
    ]
    if n in LATER_BARS:
        lines.append(Line(f"later batch {n}: {later:.0f}x >= {LATER_BARS[n]:g}x", later >= LATER_BARS[n]))
    return lines


def written_cell(n: int) -> list[Line]:
    """One random cell written, one read: what the kept network chooses, and both ways on their own."""
    resistance, volts = case(n)
    rng = np.random.default_rng(n)
    kept = CrossbarNetwork(1.0 / resistance, 1.0, 1.0)
    kept.prepare()
    plain_network = CrossbarNetwork(1.0 / resistance, 1.0, 1.0, cache=False)
    tree = LineTree(kept.system, 1.0 / resistance)
    pending = PendingCells(tree)
    turns = 32
    changes = np.random.default_rng(7)

    def changed(network: CrossbarNetwork) -> Callable[[], Any]:
        def act() -> None:
            for _ in range(turns):
                network.write(int(rng.integers(n)), int(rng.integers(n)), float(10.0 ** -rng.uniform(3, 5)))
                network.read(volts)

        return act

    def updated() -> None:
        for _ in range(turns):
            if len(pending) >= pending.most:
                pending.absorb()
            pending.set(
                int(changes.integers(n)), int(changes.integers(n)), float(10.0 ** -changes.uniform(3, 5))
            )

    methods: dict[str, Callable[[], Any]] = {
        "peer": lambda: peers.badcrossbar_read(resistance, volts, 1.0),
        "kept": changed(kept),
        "single": changed(plain_network),
        "update": updated,
        "build": lambda: LineTree(kept.system, kept.conductance),
        "read": lambda: solve_lines(kept.system, plain_network.conductance, volts),
    }
    times = alternate(methods, {64: 30, 128: 12}.get(n, 6), 12.0)
    for name in ("kept", "single", "update"):
        times[name] /= turns
    ratio = times["peer"] / times["kept"]
    found, by = kept.read(volts), kept.currents(volts).applied
    error = relative(found, -solve_lines_nodal(kept.system, kept.conductance, volts).i_bottom)
    print(f"{n:>5}  badcrossbar {times['peer'] * 1e3:>8.1f}   kept network {times['kept'] * 1e3:>7.3f} ({ratio:.0f}x, "
          f"{by})   single {times['single'] * 1e3:>7.3f}   update {times['update'] * 1e3:>6.3f}   error {error:.0e}   "
          f"break-even: build = {times['build'] / times['read']:.0f} reads, update = "
          f"{times['update'] / times['read']:.2f} reads, rebuild from {times['build'] / times['update']:.0f} cells on")  # fmt: skip
    lines = [Line(f"error after updates {n}: {error:.1e} <= {ERROR_BAR:g}", error <= ERROR_BAR)]
    if n in UPDATE_BARS:
        bar = UPDATE_BARS[n]
        lines.append(Line(f"one cell written, one read {n}: {ratio:.0f}x >= {bar:g}x", ratio >= bar))
    return lines


def sequence(gated: bool) -> list[Line]:
    """10 pulses and 10 verify reads of one cell of a 256x256 1T1R array, without and with what is kept.

    A pulse solves for the voltage of the cell, moves it, and the verify read senses its bit line; ``gated``
    leaves only the row of the cell on, else all transistors conduct.
    """
    n, row, column = 256, 100, 37
    resistance, _ = case(n)
    gate = np.zeros((n, 1), dtype=bool)
    gate[row] = True
    cells = with_access(1.0 / resistance, 5e3, gate if gated else True)
    write, verify = np.zeros(n), np.zeros(n)
    write[row], verify[row] = 1.5, 0.2

    def run(network: CrossbarNetwork) -> list[float]:
        state, seen = 5e-5, []
        for _pulse in range(10):
            across = float(network.cell_voltage(row, column, write))
            state *= 1.0 + 0.05 * across
            network.write(row, column, state / (1.0 + 5e3 * state))
            seen.append(float(network.read(verify)[column]))
        return seen

    bare = CrossbarNetwork(cells, 1.0, 1.0, cache=False)
    kept = CrossbarNetwork(cells, 1.0, 1.0)
    kept.prepare()
    cell = float(cells[row, column])

    def begin(network: CrossbarNetwork) -> Callable[[], Any]:
        def act() -> list[float]:
            network.write(row, column, cell)
            return run(network)

        return act

    error = float(np.max(np.abs(np.array(begin(kept)()) / np.array(begin(bare)()) - 1.0)))
    fresh = CrossbarNetwork(cells, 1.0, 1.0)
    fresh.prepare()

    def first() -> list[float]:
        """Run with a cell that was not written before: its way through the tree is not known yet."""
        if fresh._cache is not None and fresh._cache.pending is not None:  # noqa: SLF001
            fresh._cache.pending.absorb()  # noqa: SLF001
        return run(fresh)

    times = alternate({"bare": begin(bare), "kept": begin(kept), "first": first}, 8, 10.0)
    ratio, again = times["bare"] / times["first"], times["bare"] / times["kept"]
    name = "row of the cell on" if gated else "all rows on"
    print(f"  {name}: without {times['bare'] * 1e3:.2f}   a new cell {times['first'] * 1e3:.2f} ({ratio:.0f}x)   "
          f"the same cell again {times['kept'] * 1e3:.2f} ({again:.0f}x)   error {error:.0e}")  # fmt: skip
    return [
        Line(f"write-verify 256, {name}: {ratio:.0f}x >= {SEQUENCE_BAR:g}x", ratio >= SEQUENCE_BAR),
        Line(f"error of write-verify, {name}: {error:.1e} <= {ERROR_BAR:g}", error <= ERROR_BAR),
    ]


def written_and_verified(
    cell: Cell, device: Any, scheme: Scheme, reuse: bool
) -> tuple[Callable[[], list[Any]], list[float]]:
    """Return what programs one cell of a 256x256 tile with 10 pulses and reads it before and after each.

    Through the whole of a tile: event time, converters, ageing, backend, records. Each call writes another cell
    of the same row, and appends the seconds that its phases took in the backend to the list.
    """
    n, row = 256, 100
    backend = find("behavioral")(reuse=reuse)
    answer, inside = backend.run, [0.0]

    def timed(request: Any) -> Any:
        began = time.perf_counter()
        result = answer(request)
        inside[-1] += time.perf_counter() - began
        return result

    backend.run = timed  # type: ignore[method-assign]
    hardware = Hardware(ArraySpec(n, n, WireSpec(1.0, 1.0, 0.1e-15)), cell=cell, device=device)
    system = System(Trace(), 7)
    tile = system.add_tile("t", hardware, dict.fromkeys(("read", "verify", "write"), backend))
    tile.state = np.random.default_rng(0).random((n, n))
    (set_v, set_s), (reset_v, reset_s) = device.programming_pulse(hardware.temperature)
    shapes = ProgrammingPulse(set_v, set_s), ProgrammingPulse(reset_v, reset_s)
    targets, column = np.full((n, n), np.nan), 0

    def act() -> list[Any]:
        nonlocal column
        first = len(system.trace.phases)
        targets[:] = np.nan
        targets[row, column] = 1.0  # out of reach: all pulses are given
        column += 1
        inside.append(0.0)
        job = Programming(targets, scheme, Verify(window=1e-6, max_pulses=10), *shapes)
        system.environment.run(until=system.environment.process(program_tile(tile, 0, job)))
        return [*system.trace.phases][first:]

    return act, inside


def product() -> list[Line]:
    """10 pulses and 11 verify reads of one cell through a tile, as it is and with every phase on its own."""
    lines = []
    mss = Mss(r_on=100e3, r_off=1e6, v_on=0.6, v_off=0.6, tau=1e-5)
    cases: list[tuple[str, Cell, Any, Scheme, float]] = [
        ("1T1R, mss", Cell("1T1R", access_resistance=5e3), mss, "gate", SEQUENCE_BAR),
        ("1T1R, rs", Cell("1T1R", access_resistance=5e3), RS_KTRAM, "gate", 0.0),
        ("1R V/2, rs", Cell("1R"), RS_KTRAM, "V/2", 0.0),
    ]
    for name, cell, device, scheme, bar in cases:
        (kept, inside), (alone, outside) = (
            written_and_verified(cell, device, scheme, reuse) for reuse in (True, False)
        )
        one, other = (np.array([row[7:12] for row in act()], dtype=float) for act in (kept, alone))
        error = float(np.abs(one - other).max() / np.abs(other).max())
        times = alternate({"kept": kept, "alone": alone}, 6, 12.0)
        ratio, whole = min(outside[1:]) / min(inside[1:]), times["alone"] / times["kept"]
        print(f"  tile, {name}: every phase on its own {times['alone'] * 1e3:.1f}   as it is {times['kept'] * 1e3:.1f} "
              f"({whole:.1f}x); in the backend {min(outside[1:]) * 1e3:.1f} and {min(inside[1:]) * 1e3:.1f} ({ratio:.1f}x)   "
              f"largest difference of an energy {error:.0e}")  # fmt: skip
        if bar:
            text = f"write-verify 256, phases of a {name} tile in the backend"
            lines.append(Line(f"{text}: {ratio:.0f}x >= {bar:g}x", ratio >= bar))
    return lines


def memory() -> list[Line]:
    """Memory of the kept tree at 512 and the peak of building it, in a fresh process."""
    out = subprocess.run(
        [sys.executable, __file__, "--memory"], capture_output=True, text=True, check=True
    ).stdout.split()
    kept, peak, own = (float(word) for word in out[-3:])
    print(f"\nmemory at 512, MB: kept {kept:.0f} (arrays {own:.0f}), peak of the build {peak:.0f}")
    return [Line(f"memory of the kept tree at 512: {kept:.0f} MB <= {MEMORY_BAR:g} MB", kept <= MEMORY_BAR)]


def memory_of() -> None:
    LineTree(plain(8, 1.0), 1.0 / case(8)[0])
    g = 1.0 / case(512)[0]
    gc.collect()
    before = peers.peak_memory(reset=True)
    tree = LineTree(plain(512, 1.0), g)
    peak = peers.peak_memory()
    gc.collect()
    print(peers.peak_memory(reset=True) - before, peak - before, tree.nbytes / 2**20)


def models(sizes: list[int]) -> None:
    print("\nport models: nodes and resistors of the array and of its model, ms to make one")
    for n in sizes:
        resistance, _ = case(n)
        begin = time.perf_counter()
        model = PortModel(plain(n, 1.0), 1.0 / resistance)
        took = time.perf_counter() - begin
        small, whole = model.sizes()
        print(f"{n:>5}  array {whole.nodes} nodes, {whole.resistors} resistors   model {small.nodes} nodes, "
              f"{small.resistors} resistors   {took * 1e3:.1f}")  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accept", action="store_true", help="end with status 1 if a bar is missed")
    parser.add_argument("--quick", action="store_true", help="leave the large sizes out")
    parser.add_argument("--without-numba", action="store_true", help="as if numba were not installed")
    parser.add_argument("--memory", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.memory:
        memory_of()
        return 0
    if arguments.without_numba:
        sys.modules["numba"] = None  # type: ignore[assignment]
    sizes = [64, 128] if arguments.quick else [64, 128, 256, 512]
    lines: list[Line] = []
    print(f"numba: {'yes' if numba_available() else 'no'}")
    with single_threaded():
        print("\n100 reads of fixed cells, ms")
        for n in sizes:
            lines += batches(n)
        print("\none random cell written, one read, ms")
        for n in sizes:
            lines += written_cell(n)
        if not arguments.quick:
            print("\nwrite-verify of one cell, 10 pulses and 10 reads, 256x256 1T1R with wires, ms")
            lines += sequence(gated=False) + sequence(gated=True) + product()
            lines += memory()
        models([16, 32, 64] if arguments.quick else [16, 32, 64, 128])
    print()
    for line in lines:
        print(f"{'met   ' if line.met else 'MISSED'}  {line.text}")
    return 1 if arguments.accept and not all(line.met for line in lines) else 0


if __name__ == "__main__":
    sys.exit(main())
