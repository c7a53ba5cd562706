"""`cosim.fit.circuit` compiled by numba for two-channel devices (`mss`, `rs`), element by element.

The same steps as there: a loop takes some hundred microseconds instead of some hundred array operations,
which is what makes a search over thousands of parameter sets quick. This module imports numba: import it
where it is used.
"""

from __future__ import annotations

import numpy as np

from cosim.devices import compiled as laws
from cosim.devices.base import FloatArray
from cosim.devices.compiled import compiled, fingerprint, kept, moved, rates

_SOURCE = fingerprint(laws)


@compiled
def _advance(law: int, p: FloatArray, k: int, x: float, v: float, seconds: float) -> float:
    """Return the state after ``seconds`` at ``v`` volts."""
    up, down, _, _ = rates(law, p, k, v)
    result: float = x + moved(x, up * seconds, down * seconds)
    return result


@compiled
def _conductance(p: FloatArray, k: int, x: float) -> float:
    k = k if p.shape[1] > 1 else 0
    result: float = p[0, k] + x * p[1, k]
    return result


@compiled
def _period(
    law: int, p: FloatArray, k: int, drive: FloatArray, interval: float, series: float, periodic: bool,
    x: float, step: float, shortest: float, current: FloatArray, voltage: FloatArray,
) -> float:  # fmt: skip
    """Fill the currents [A] and voltages [V] of one element over its samples; returns the last state."""
    samples = drive.shape[0]
    g = _conductance(p, k, x)
    v = drive[0] / (1.0 + series * g)
    voltage[0], current[0] = v, g * v
    width = 0.25
    for at in range(samples if periodic else samples - 1):
        first, last = drive[at], drive[(at + 1) % samples]
        done = 0.0
        while done < 1.0 - 1e-12:
            h = min(width, 1.0 - done)
            rough = _conductance(p, k, _advance(law, p, k, x, v, h * interval))
            middle = _conductance(p, k, _advance(law, p, k, x, v, 0.5 * h * interval))
            half = (first + (done + 0.5 * h) * (last - first)) / (1.0 + series * middle)
            end = _advance(law, p, k, x, half, h * interval)
            g = _conductance(p, k, end)
            error = abs(g - rough) / max(max(g, rough), 1e-30)
            factor = min(max(0.9 * np.sqrt(step / max(error, 1e-9)), 0.2), 3.0)
            if not error > step or h <= shortest:
                x, done = end, done + h
                v = (first + done * (last - first)) / (1.0 + series * g)
            width = min(max(h * factor, shortest), 1.0)
        if at + 1 < samples:
            voltage[at + 1], current[at + 1] = v, g * v
    return x


@kept
def _run(
    law: int, p: FloatArray, drive: FloatArray, interval: FloatArray, series: FloatArray, periodic: bool,
    start: FloatArray, step: float, shortest: float, settled: float, periods: int,
    current: FloatArray, voltage: FloatArray,
) -> int:  # fmt: skip
    for k in range(drive.shape[0]):
        x = start[k]
        for _ in range(periods if periodic else 1):
            x = _period(
                law, p, k, drive[k], interval[k], series[k], periodic, x, step, shortest, current[k], voltage[k]
            )  # fmt: skip
            g = _conductance(p, k, x)
            again = g * drive[k, 0] / (1.0 + series[k] * g)
            if abs(again - current[k, 0]) <= settled * max(np.abs(current[k]).max(), 1e-30):
                break
    return _SOURCE


def two_channel_loops(
    law: int,
    parameters: FloatArray,
    drive: FloatArray,
    interval: FloatArray,
    series: FloatArray,
    periodic: bool,
    start: FloatArray,
    limits: tuple[float, float, float, int],
) -> tuple[FloatArray, FloatArray]:
    """Return current [A] and device voltage [V], ``(samples, elements)``.

    ``law`` and ``parameters`` are those of `TwoChannel`; ``drive`` [V] ``(samples, elements)``; ``limits`` are
    step, shortest, periodic and periods of `cosim.fit.circuit.Accuracy`.
    """
    table = np.ascontiguousarray(drive.T)
    current, voltage = np.empty((2, *table.shape))
    step, shortest, settled, periods = limits
    _run(
        law,
        parameters,
        table,
        interval,
        series,
        periodic,
        start,
        step,
        shortest,
        settled,
        periods,
        current,
        voltage,
    )
    return current.T, voltage.T
