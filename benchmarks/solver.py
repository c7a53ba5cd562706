"""The network solver beside its peers: one process, all methods of a row in turn, best of the rounds.

Prints the times, the ratio over badcrossbar with the bar that has to be met, the largest error of a
bit-line current against the refined direct solve, and how far each case is from the time that memory
bandwidth alone would take. ``--accept`` ends with status 1 if a bar is missed; ``--quick`` leaves the large sizes out.

The case: R log-uniform in 1 kohm .. 100 kohm, V uniform in 0 .. 0.5 V, wires of 1 and 5 ohm.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import io
import logging
import os
import resource
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

for variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

import numpy as np  # noqa: E402

from cosim.crossbar.lines import FloatArray, LineSolution, LineSystem, numba_available, solve_lines  # noqa: E402
from cosim.crossbar.newton import solve_nonlinear  # noqa: E402
from cosim.crossbar.nodal import solve_lines_nodal  # noqa: E402

KERNEL_BARS = {64: 100.0, 128: 130.0, 256: 150.0}
PLAIN_BAR = 25.0
NONLINEAR_BARS = {64: 150.0, 256: 200.0}
PULSE_BARS = {64: 2500.0, 128: 450.0}
MEMORY_BAR = 12.0
LARGE_BAR = 2.0
ERROR_BAR = 1e-10
ARRAYS_PER_ITERATION = 20
"""Reads and writes of an array of doubles in one iteration of the compiled kernel."""


@dataclass
class Line:
    """One figure with its bar."""

    text: str
    met: bool


class Sinh:
    """Cells ``i = g sinh(a v)/a``; both functions from one exponential."""

    def __init__(self, g: FloatArray, a: float) -> None:
        self.g, self.a = g, a

    def linearize(self, voltage: FloatArray) -> tuple[FloatArray, FloatArray]:
        rise = np.exp(self.a * voltage)
        fall = 1.0 / rise
        return self.g * (0.5 / self.a) * (rise - fall), self.g * 0.5 * (rise + fall)

    def current(self, voltage: FloatArray) -> FloatArray:
        return self.linearize(voltage)[0]

    def derivative(self, voltage: FloatArray) -> FloatArray:
        return self.linearize(voltage)[1]


def case(n: int) -> tuple[FloatArray, FloatArray]:
    rng = np.random.default_rng(0)
    return 10.0 ** rng.uniform(3, 5, (n, n)), rng.uniform(0.0, 0.5, n)


def plain(n: int, r: float) -> LineSystem:
    return LineSystem(n, n, r, r, r, np.inf, np.inf, r)


def peer() -> Any:
    """Import badcrossbar without its plots."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import badcrossbar
    logging.getLogger("badcrossbar").setLevel(logging.CRITICAL)
    return badcrossbar


def badcrossbar_read(resistance: FloatArray, volts: FloatArray, r: float, everything: bool = False) -> Any:
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        return peer().compute(
            volts[:, None], resistance, r_i=r, node_voltages=everything, all_currents=everything
        )


def colamd(system: LineSystem, g: FloatArray, volts: FloatArray) -> FloatArray:
    """Solve the same nodal equations with scipy's SuperLU in its default column ordering."""
    from scipy.sparse import coo_array
    from scipy.sparse.linalg import spsolve

    m, n = g.shape
    word = np.arange(m * n).reshape(m, n)
    bit = word + m * n
    gw, gb = 1.0 / float(system.r_word), 1.0 / float(system.r_bit)  # type: ignore[arg-type]
    a = np.concatenate([word[:, :-1].ravel(), bit[:-1].ravel(), word.ravel()])
    b = np.concatenate([word[:, 1:].ravel(), bit[1:].ravel(), bit.ravel()])
    w = np.concatenate([np.full(m * (n - 1), gw), np.full((m - 1) * n, gb), g.ravel()])
    diagonal = np.bincount(a, w, 2 * m * n) + np.bincount(b, w, 2 * m * n)
    diagonal[word[:, 0]] += gw
    diagonal[bit[-1]] += gb
    own = np.arange(2 * m * n)
    entries = (np.concatenate([-w, -w, diagonal]), (np.concatenate([a, b, own]), np.concatenate([b, a, own])))
    right = np.zeros(2 * m * n)
    right[word[:, 0]] = gw * volts
    x: FloatArray = spsolve(coo_array(entries, shape=(2 * m * n,) * 2).tocsc(), right)
    return gb * x[bit[-1]]


def alternate(methods: dict[str, Callable[[], Any]], rounds: int, budget: float) -> dict[str, float]:
    """Best time of each method [s]; every round runs all, fast ones several times."""
    best = dict.fromkeys(methods, float("inf"))
    spent = dict.fromkeys(methods, 0.0)
    for turn in range(rounds):
        for name, method in methods.items():
            if turn and spent[name] + best[name] > budget:
                continue
            repeat = int(min(30, max(1, 0.02 / best[name]))) if turn else 1
            for _ in range(repeat):
                begin = time.perf_counter()
                method()
                took = time.perf_counter() - begin
                best[name] = min(best[name], took)
                spent[name] += took
    return best


def bandwidth() -> dict[int, float]:
    """Bytes per second of ``a += b`` over as many doubles as a solve of each size touches."""
    found = {}
    for n in (64, 128, 256, 512, 1024):
        a, b = np.ones((6 * n * n,)), np.ones((6 * n * n,))
        best = float("inf")
        for _ in range(7):
            begin = time.perf_counter()
            np.add(a, b, out=a)
            best = min(best, time.perf_counter() - begin)
        found[n] = 24.0 * 6 * n * n / best
    return found


def relative(found: FloatArray, wanted: FloatArray) -> float:
    return float(np.max(np.abs(found - wanted) / np.abs(wanted)))


def single_reads(sizes: list[int], speed: dict[int, float]) -> list[Line]:
    print("\none read, ms (largest relative error of a bit-line current)")
    print(f"{'n':>5}{'r':>4}{'badcrossbar':>13}{'COLAMD LU':>11}{'numpy':>18}{'numba':>18}{'its':>5}"
          f"{'over peer':>20}{'bandwidth limit':>17}")  # fmt: skip
    lines = []
    for n in sizes:
        for r in (1.0, 5.0):
            resistance, volts = case(n)
            g, system = 1.0 / resistance, plain(n, r)
            reference = -solve_lines_nodal(system, g, volts).i_bottom
            methods: dict[str, Callable[[], Any]] = {
                "badcrossbar": lambda: badcrossbar_read(resistance, volts, r),  # noqa: B023
                "colamd": lambda: colamd(system, g, volts),  # noqa: B023
                "numpy": lambda: solve_lines(system, g, volts, kernel="numpy"),  # noqa: B023
            }
            if numba_available():
                methods["numba"] = lambda: solve_lines(system, g, volts, kernel="numba")  # noqa: B023
            times = alternate(methods, 8, 6.0)
            errors = {
                k: relative(-methods[k]().i_bottom, reference) for k in methods if k in ("numpy", "numba")
            }
            lines += single_line(n, r, times, errors, methods, speed)
    return lines


def single_line(
    n: int,
    r: float,
    times: dict[str, float],
    errors: dict[str, float],
    methods: dict[str, Callable[[], Any]],
    speed: dict[int, float],
) -> list[Line]:
    """Print one row and return its bars."""
    ratios = {k: times["badcrossbar"] / times[k] for k in errors}
    fast = "numba" if "numba" in times else "numpy"
    iterations = int(methods[fast]().iterations)
    limit = (iterations + 2) * ARRAYS_PER_ITERATION * 8.0 * n * n / speed[n]
    row = f"{n:>5}{r:>4g}{times['badcrossbar'] * 1e3:>13.1f}{times['colamd'] * 1e3:>11.1f}"
    for k in ("numpy", "numba"):
        row += f"{times[k] * 1e3:>9.2f} ({errors[k]:.0e})" if k in errors else f"{'-':>18}"
    row += f"{iterations:>5}" + f"{' / '.join(f'{ratio:.0f}x' for ratio in ratios.values()):>20}"
    print(row + f"{limit * 1e3:>8.2f} ({times[fast] / limit:.1f}x)")
    lines = [
        Line(f"error {n} r={r:g} {k}: {e:.1e} <= {ERROR_BAR:g}", e <= ERROR_BAR) for k, e in errors.items()
    ]
    if r == 1.0:
        lines.append(
            Line(
                f"read {n} without numba: {ratios['numpy']:.0f}x >= {PLAIN_BAR:g}x",
                ratios["numpy"] >= PLAIN_BAR,
            )
        )
        if "numba" in ratios:
            bar = KERNEL_BARS[n]
            lines.append(Line(f"read {n} numba: {ratios['numba']:.0f}x >= {bar:g}x", ratios["numba"] >= bar))
    return lines


def large_read() -> list[Line]:
    resistance, volts = case(1024)
    g, system = 1.0 / resistance, plain(1024, 1.0)
    times = alternate({"read": lambda: solve_lines(system, g, volts)}, 3, 20.0)
    text = f"read 1024: {times['read']:.2f} s < {LARGE_BAR:g} s"
    return [Line(text, times["read"] < LARGE_BAR)] if numba_available() else []


def nonlinear_reads(sizes: list[int]) -> list[Line]:
    print("\nnonlinear cells, sinh a = 8, ms; the peer is Newton's method around badcrossbar's solve")
    lines = []
    for n in sizes:
        for r in (1.0, 5.0):
            resistance, volts = case(n)
            cells, system = Sinh(1.0 / resistance, 8.0), plain(n, r)
            steps, error = newton_steps(cells, system, volts)
            methods: dict[str, Callable[[], Any]] = {
                "peer": lambda: badcrossbar_read(resistance, volts, r, True),  # noqa: B023
                "ours": lambda: solve_nonlinear(system, cells, volts),  # noqa: B023
                "numpy": lambda: solve_nonlinear(system, cells, volts, kernel="numpy"),  # noqa: B023
            }
            times = alternate(methods, 6, 6.0)
            ratio = steps * times["peer"] / times["ours"]
            plain_ratio = steps * times["peer"] / times["numpy"]
            print(f"{n:>5}{r:>4g}  {steps} x {times['peer'] * 1e3:.1f}   ours {times['ours'] * 1e3:.2f} "
                  f"({error:.0e})   {ratio:.0f}x   without numba {plain_ratio:.0f}x")  # fmt: skip
            lines.append(
                Line(f"error nonlinear {n} r={r:g}: {error:.1e} <= {ERROR_BAR:g}", error <= ERROR_BAR)
            )
            if numba_available() and n in NONLINEAR_BARS and r == 1.0:
                bar = NONLINEAR_BARS[n]
                lines.append(Line(f"nonlinear {n}: {ratio:.0f}x >= {bar:g}x", ratio >= bar))
    return lines


def newton_steps(cells: Sinh, system: LineSystem, volts: FloatArray) -> tuple[int, float]:
    """Newton steps that a full Newton needs to 1e-10, and the error of ours against it (run to the end)."""
    found = -solve_nonlinear(system, cells, volts).i_bottom
    g = cells.derivative(np.zeros_like(cells.g))
    linear = solve_lines(system, g, volts)
    results = []
    for _step in range(9):
        v = linear.cell_voltage
        current, g = cells.linearize(v)
        offset = current - g * v
        linear = solve_lines(system, g, volts, injected_word=-offset, injected_bit=offset)
        results.append((linear.cell_current + offset).sum(axis=0))
    errors = [relative(result, results[-1]) for result in results]
    steps = 2 + next(k for k, error in enumerate(errors) if error <= ERROR_BAR)
    return steps, relative(found, results[-1])


def pulses() -> list[Line]:
    """Run write pulses on a passive array: an event, the wires, all states moving.

    ``solver``: solves and closed forms in a loop of their own, one or two a pulse. ``phase``: a phase of
    the behavioral backend, with its accuracy control, all energies and charges; the bar is for this one.
    ``system``: through tile and scheduler, with drives, ageing and all records.
    """
    import simpy
    from pulses import run_pulses

    lines = []
    print("\nwrite pulses per second (event, wires, all mss states; best of 8 runs)")
    print(f"{'size':>5}  {'solver, one solve':>18} {'solver, midpoint':>17} {'phase':>9} {'system':>9}")
    for n in (32, 64, 128, 256):
        system = plain(n, 1.0)
        x = np.random.default_rng(0).uniform(0.0, 1.0, (n, n))
        word, bit = np.full(n, 0.5), np.full(n, 0.5)
        word[n // 2], bit[n // 3] = 1.0, 0.0
        total = max(8, int(1e6 / n**2))
        rates = dict.fromkeys(("one solve", "midpoint", "phase"), 0.0)
        for _ in phases(simpy.Environment(), n, 4):
            pass
        for _chunk in range(8):
            for mode in rates:
                environment = simpy.Environment()
                if mode == "phase":
                    work = phases(environment, n, total)
                else:
                    work = write(environment, system, x.copy(), (word, bit), total, mode == "midpoint")
                environment.process(work)
                begin = time.perf_counter()
                environment.run()
                rates[mode] = max(rates[mode], total / (time.perf_counter() - begin))
        took, _, _ = run_pulses(n, max(8, total // 4))
        whole = 1.0 / float(np.median(took))
        print(
            f"{n:>5}  {rates['one solve']:>18.0f} {rates['midpoint']:>17.0f} {rates['phase']:>9.0f} {whole:>9.0f}"
        )
        if numba_available() and n in PULSE_BARS:
            rate = rates["phase"]
            lines.append(Line(f"pulses {n}: {rate:.0f}/s >= {PULSE_BARS[n]:g}/s", rate >= PULSE_BARS[n]))
    return lines


def phases(environment: Any, n: int, total: int) -> Any:
    """V/2 pulses of 0.7 V and 300 ns on random cells, one after the other, on the behavioral backend."""
    from cosim.backends.behavioral import BehavioralBackend
    from cosim.crossbar.backend import PhaseRequest
    from cosim.crossbar.drive import GroupedDrives, Phase, level, pulse
    from cosim.crossbar.network import Cell, Segments, single
    from cosim.devices import Mss

    rng = np.random.default_rng(0)
    device = Mss(r_on=100e3, r_off=1e6, v_on=0.6, v_off=0.6, tau=1e-5)
    network = single("a", (n, n), device, Cell("1R"), Segments(1.0, 1.0), r_source=2.0, r_sink=2.0)
    ends, backend = network.ends[0], BehavioralBackend()
    edges = {"rise_fs": 10**6, "width_fs": 3 * 10**8, "fall_fs": 10**6}
    waveforms = (pulse(0.35, **edges), pulse(0.7, **edges), level(0.0))
    state, cells = rng.random((n, n)), rng.integers(0, n, (total, 2)).tolist()
    for number, (row, column) in enumerate(cells):
        group = np.zeros(2 * n, dtype=np.intp)
        group[ends.left[row]], group[ends.bottom[column]] = (1, 2) if number % 2 else (2, 1)
        phase = Phase("write", 302_000_000, GroupedDrives(network, waveforms, group, {}))
        result = backend.run(PhaseRequest(network, (state,), None, 0, 300.0, phase, number))
        state = result.states[0]
        yield environment.timeout(result.duration_fs)


def write(
    environment: Any,
    system: LineSystem,
    x: FloatArray,
    drive: tuple[FloatArray, FloatArray],
    total: int,
    midpoint: bool,
) -> Any:
    """Pulse after pulse; mss mean field in closed form at the solved cell voltages."""
    r_on, r_off, v_on, v_off, thermal, tau, width = 1e4, 1e5, 0.6, 0.6, 0.026, 1e-5, 1e-7
    solution: LineSolution | None = None

    def moved(voltage: FloatArray, duration: float) -> FloatArray:
        on, off = np.exp((v_on - voltage) / thermal), np.exp((voltage + v_off) / thermal)
        on += 1.0
        off += 1.0
        rest = off / (on + off)
        result: FloatArray = rest + (x - rest) * np.exp((1.0 / on + 1.0 / off) * (-duration / tau))
        return result

    def wires(state: FloatArray) -> LineSolution:
        g = state * (1.0 / r_on - 1.0 / r_off) + 1.0 / r_off
        return solve_lines(system, g, drive[0], v_bottom=drive[1], start=solution, tolerance=1e-10)

    for _ in range(total):
        solution = wires(x)
        if midpoint:
            solution = wires(moved(solution.cell_voltage, 0.5 * width))
        x = moved(solution.cell_voltage, width)
        yield environment.timeout(int(width * 1e15))


def memory() -> list[Line]:
    """Peak growth of one read at 256 in a fresh process each; the solver is warmed up at 8x8."""
    print("\nextra memory of one read at 256, MB")
    lines = []
    for who in ("badcrossbar", "numpy", *(["numba"] if numba_available() else [])):
        out = subprocess.run(
            [sys.executable, __file__, "--memory", who], capture_output=True, text=True, check=True
        ).stdout
        used = float(out.split()[-1])
        print(f"{who:>12} {used:.1f}")
        if who != "badcrossbar":
            lines.append(Line(f"memory of {who}: {used:.1f} MB <= {MEMORY_BAR:g} MB", used <= MEMORY_BAR))
    return lines


def memory_of(who: str) -> None:
    def read(n: int) -> None:
        resistance, volts = cases[n]
        if who == "badcrossbar":
            badcrossbar_read(resistance, volts, 1.0)
        else:
            solve_lines(plain(n, 1.0), 1.0 / resistance, volts, kernel=who)  # type: ignore[arg-type]

    cases = {n: case(n) for n in (8, 256)}
    read(8)
    gc.collect()
    before = peak_memory(reset=True)
    read(256)
    print(peak_memory() - before)


def peak_memory(reset: bool = False) -> float:
    """Peak resident memory of this process [MB]; ``reset`` starts counting from what is resident now."""
    status, clear = Path("/proc/self/status"), Path("/proc/self/clear_refs")
    if not clear.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    if reset:
        clear.write_text("5")
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return float(line.split()[1]) / 1024


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accept", action="store_true", help="end with status 1 if a bar is missed")
    parser.add_argument("--quick", action="store_true", help="leave the largest sizes out")
    parser.add_argument("--without-numba", action="store_true", help="as if numba were not installed")
    parser.add_argument("--memory", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.without_numba:
        sys.modules["numba"] = None  # type: ignore[assignment]
    if arguments.memory:
        memory_of(arguments.memory)
        return 0
    sizes = [64, 128] if arguments.quick else [64, 128, 256]
    speed = bandwidth()
    lines = single_reads(sizes, speed)
    lines += [] if arguments.quick else large_read()
    lines += nonlinear_reads([64] if arguments.quick else [64, 128, 256])
    lines += pulses() + memory()
    print()
    for line in lines:
        print(f"{'met   ' if line.met else 'MISSED'}  {line.text}")
    return 1 if arguments.accept and not all(line.met for line in lines) else 0


if __name__ == "__main__":
    sys.exit(main())
