r"""`cosim.fit.circuit` compiled by numba for models with one state variable and a rate, element by element.

The rate :math:`\dot x = f(x, v)` and the current :math:`i(x, v)` of each model are written once more as scalars; the
voltage follows from :math:`v + R_s i(x, v) = v_{drive}(t)` at every instant. Together that is one stiff equation,
:math:`\dot x = F(x, t)`, which the linearly implicit method of order 2 (3) of Shampine and Reichelt (ode23s, SIAM J.
Sci. Comput. 18, 1 (1997)) integrates; a step counts where its estimated error changes the current by less than a part
of itself. The ends of the range are hard stops. This module imports numba: import it where it is used.
"""

# An element of an array has no type of its own here:
# mypy: disable-error-code="no-any-return"

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from cosim.devices import compiled as kernels
from cosim.devices.base import BOLTZMANN_OVER_CHARGE, DeviceModel, FloatArray
from cosim.devices.compiled import compiled, fingerprint, kept

_SOURCE = fingerprint(kernels)
VTEAM, TEAM, ION_DRIFT, NONLINEAR_ION_DRIFT, YAKOPCIC, DATA_DRIVEN, STANFORD, MSS = range(8)
_WINDOWS = ("none", "joglekar", "biolek", "prodromakis", "strukov")
_D = 1.0 / (2.0 + np.sqrt(2.0))
_E = 6.0 + np.sqrt(2.0)
_KT = BOLTZMANN_OVER_CHARGE
_DIFFERENCE = 1e-7
_FARTHEST = 0.1
"""Longest way of a step, in parts of the range."""
_BISECTIONS = 30
_FASTEST = 1e100
"""Speed [1/s] that counts as a jump; beyond it differences of speeds would overflow."""


@compiled
def _window(code: float, x: float, up: bool, p: float, j: float) -> float:
    """Return `cosim.devices.windows.window`."""
    if code == 1.0:
        return 1.0 - abs(2.0 * x - 1.0) ** (2.0 * p)
    if code == 2.0:
        return 1.0 - (x if up else 1.0 - x) ** (2.0 * p)
    if code == 3.0:
        return j * (1.0 - ((x - 0.5) ** 2 + 0.75) ** p)
    if code == 4.0:
        return x * (1.0 - x)
    return 1.0


@compiled
def _powered(
    level: float, on: float, off: float, s_on: float, s_off: float, a_on: float, a_off: float
) -> float:
    """Return the speed of VTEAM and TEAM without a window; ``level``: voltage or current."""
    if level > on:
        return s_on * (level / on - 1.0) ** a_on
    if level < -off:
        return -s_off * (-level / off - 1.0) ** a_off
    return 0.0


@compiled
def _slowed(x: float, start: float, alpha: float) -> float:
    """Return `cosim.devices.yakopcic.rising_speed`."""
    beyond = max(x - start, 0.0)
    result: float = np.exp(-alpha * beyond) * (1.0 - beyond / (1.0 - start))
    return result


@compiled
def _filament(p: FloatArray, k: int, x: float, v: float) -> float:
    """Return `cosim.devices.stanford.gap_speed`."""
    span = p[4, k] - p[3, k]
    gap = p[4, k] - x * span
    power = abs(v * p[0, k] * np.exp(-gap / p[2, k]) * np.sinh(v / p[1, k]))
    kt = _KT * (p[12, k] + p[11, k] * power)
    gamma = p[7, k] - p[8, k] * (gap * 1e9) ** 3
    gate = min(max((gamma * abs(v) / p[10, k] - 1.0) / 0.01, 0.0), 1.0)
    field = min(gamma * p[9, k] * abs(v) / kt, 300.0)
    return np.sign(v) * p[5, k] / span * np.exp(-p[6, k] / kt) * np.sinh(field) * gate


@compiled
def _creep(p: FloatArray, k: int, x: float, v: float) -> float:
    """Return the rate of `cosim.devices.data_driven`."""
    span = p[1, k] - p[0, k]
    r = p[1, k] - x * span
    if v < 0:
        away = max(p[8, k] - p[9, k] * v - r, 0.0)
        return -p[2, k] * np.expm1(-p[4, k] * v) * np.expm1(min(p[6, k] * away, 700.0)) / span
    away = max(r - (p[10, k] - p[11, k] * v), 0.0)
    return p[3, k] * np.expm1(p[5, k] * v) * np.expm1(min(p[7, k] * away, 700.0)) / span


@compiled
def _resistive(p: FloatArray, k: int, x: float) -> float:
    """Return the conductance [S] of VTEAM and TEAM."""
    if p[11, k] == 0.0:
        return 1.0 / (p[0, k] + (1.0 - x) * (p[1, k] - p[0, k]))
    return (p[0, k] / p[1, k]) ** (1.0 - x) / p[0, k]


@compiled
def _current(law: int, p: FloatArray, k: int, x: float, v: float) -> tuple[float, float]:
    """Return current [A] and its derivative by the voltage [S]."""
    if law <= TEAM:  # or VTEAM
        g = _resistive(p, k, x)
        return g * v, g
    if law == ION_DRIFT:
        g = 1.0 / (p[0, k] * x + p[1, k] * (1.0 - x))
        return g * v, g
    if law == MSS:
        g = p[6, k] * (x / p[0, k] + (1.0 - x) / p[1, k])
        a, forward, back = (1.0 - p[6, k]) * p[7, k], np.exp(p[8, k] * v), np.exp(-p[9, k] * v)
        return g * v + a * (forward - back), g + a * (p[8, k] * forward + p[9, k] * back)
    if law == NONLINEAR_ION_DRIFT:
        a = x ** p[4, k] * p[1, k]
        i = a * np.sinh(p[0, k] * v) + p[3, k] * np.expm1(p[2, k] * v)
        return i, a * p[0, k] * np.cosh(p[0, k] * v) + p[3, k] * p[2, k] * np.exp(p[2, k] * v)
    if law == YAKOPCIC:
        a, b = (p[0, k] if v >= 0 else p[1, k]) * x, p[2, k]
    elif law == DATA_DRIVEN:
        a, b = p[12, k] / (p[1, k] - x * (p[1, k] - p[0, k])), p[13, k]
    else:
        a, b = p[0, k] * np.exp(-(p[4, k] - x * (p[4, k] - p[3, k])) / p[2, k]), 1.0 / p[1, k]
    return a * np.sinh(b * v), a * b * np.cosh(b * v)


@compiled
def _rate(law: int, p: FloatArray, k: int, x: float, v: float) -> float:
    """Return dx/dt [1/s]."""
    if law == VTEAM:
        shape = _window(p[8, k], x, v > 0, p[9, k], p[10, k])
        return shape * _powered(v, p[2, k], p[3, k], p[4, k], p[5, k], p[6, k], p[7, k])
    if law == TEAM:
        shape = _window(p[8, k], x, v > 0, p[9, k], p[10, k])
        i = v * _resistive(p, k, x)
        return shape * _powered(i, p[2, k], p[3, k], p[4, k], p[5, k], p[6, k], p[7, k])
    if law == ION_DRIFT:
        shape = _window(p[3, k], x, v > 0, p[4, k], p[5, k])
        return p[2, k] * v * p[0, k] / (p[0, k] * x + p[1, k] * (1.0 - x)) * shape
    if law == NONLINEAR_ION_DRIFT:
        shape = _window(p[7, k], x, v > 0, p[8, k], p[9, k])
        return p[6, k] * np.sign(v) * abs(v) ** p[5, k] * shape
    if law == YAKOPCIC:
        if v > p[3, k]:
            return p[5, k] * (np.exp(v) - np.exp(p[3, k])) * _slowed(x, p[7, k], p[9, k])
        if v < -p[4, k]:
            return -p[6, k] * (np.exp(-v) - np.exp(p[4, k])) * _slowed(1.0 - x, p[8, k], p[10, k])
        return 0.0
    if law == DATA_DRIVEN:
        return _creep(p, k, x, v)
    if law == STANFORD:
        return _filament(p, k, x, v)
    up = 1.0 / (1.0 + np.exp(min(-(v - p[2, k]) / p[5, k], 700.0)))
    down = 1.0 / (1.0 + np.exp(min((v + p[3, k]) / p[5, k], 700.0)))
    return ((1.0 - x) * up - x * down) / p[4, k]


@compiled
def _across(law: int, p: FloatArray, k: int, x: float, drive: float, series: float, guess: float) -> float:
    """Return the device voltage [V]: Newton's method from a guess, inside of 0 V and the drive."""
    if series == 0.0:
        return drive
    low, high = min(drive, 0.0), max(drive, 0.0)
    v = min(max(guess, low), high)
    for _ in range(60):
        i, slope = _current(law, p, k, x, v)
        excess = v + series * i - drive
        if excess < 0:
            low = v
        else:
            high = v
        following = v - excess / (1.0 + series * slope)
        if not low <= following <= high:
            following = 0.5 * (low + high)
        if abs(following - v) < 1e-10:
            return following
        v = following
    return v


@compiled
def _speed(
    law: int,
    p: FloatArray,
    k: int,
    x: float,
    drive: float,
    series: float,
    guess: float,
    low: float,
    high: float,
) -> tuple[float, float]:
    """Return dx/dt [1/s] and the device voltage [V]; ``x`` is held in the range."""
    x = min(max(x, low), high)
    v = _across(law, p, k, x, drive, series, guess)
    return min(max(_rate(law, p, k, x, v), -_FASTEST), _FASTEST), v


@compiled
def _held(f: float, x: float, low: float, high: float) -> bool:
    """Whether a stop holds the state against its speed."""
    return (x >= high and f > 0) or (x <= low and f < 0)


@compiled
def _leap(
    law: int, p: FloatArray, k: int, x: float, f: float, seconds: float, drive: float, series: float, v: float,
    low: float, high: float,
) -> tuple[float, float, float]:  # fmt: skip
    """Move the state in the direction of its speed, at most `_FARTHEST`, and no farther than where it would turn.

    For a step that is the shortest one and still far too long. Returns state, its dx/dt [1/s] and voltage there.
    """
    reach = _FARTHEST * (high - low)
    there = min(max(x + min(max(seconds * f, -reach), reach), low), high)
    ahead, v = _speed(law, p, k, there, drive, series, v, low, high)
    if ahead * f >= 0.0:
        return there, ahead, v
    here = x
    for _ in range(_BISECTIONS):
        middle = 0.5 * (here + there)
        speed, v = _speed(law, p, k, middle, drive, series, v, low, high)
        if speed * f >= 0.0:
            here, ahead = middle, speed
        else:
            there = middle
    return here, ahead if here != x else 0.0, v


@compiled
def _interval(
    law: int, p: FloatArray, k: int, first: float, last: float, seconds: float, series: float,
    x: float, v: float, width: float, low: float, high: float, step: float, shortest: float,
) -> tuple[float, float, float]:  # fmt: skip
    """Integrate between two samples of the drive [V]; returns state, voltage and the width of the last step."""
    done, slope = 0.0, last - first
    f, v = _speed(law, p, k, x, first, series, v, low, high)
    near, farthest = _DIFFERENCE * (high - low), _FARTHEST * (high - low)
    while done < 1.0 - 1e-12:
        width = min(width, 1.0) if width >= shortest else shortest  # also where it is no number
        h = min(width, 1.0 - done)
        t = h * seconds
        at, middle, end = first + done * slope, first + (done + 0.5 * h) * slope, first + (done + h) * slope
        if _held(f, x, low, high):
            f2, v2 = _speed(law, p, k, x, end, series, v, low, high)
            still = _held(f2, x, low, high)
            if still or h <= shortest:
                v, f, done = v2, f2, done + h
            width = 4.0 * h if still else 0.3 * h
            continue
        side = near if x + near <= high else -near
        other, _ = _speed(law, p, k, x + side, at, series, v, low, high)
        later, _ = _speed(law, p, k, x, at + 1e-3 * h * slope, series, v, low, high)
        w = 1.0 - t * _D * (other - f) / side
        if w < 0.1:  # a growing mode is followed in shorter steps
            if h > shortest:
                width = max(0.3 * h, shortest)
                continue
            w = 1.0
        drift = _D * (later - f) / 1e-3
        k1 = (f + drift) / w
        f1, v1 = _speed(law, p, k, x + 0.5 * t * k1, middle, series, v, low, high)
        k2 = (f1 - k1) / w + k1
        new = min(max(x + t * k2, low), high)
        f2, v2 = _speed(law, p, k, new, end, series, v1, low, high)
        k3 = (f2 - _E * (k2 - f1) - 2.0 * (k1 - f) + drift) / w
        wrong = min(max(new - t * (k1 - 2.0 * k2 + k3) / 6.0, low), high)
        _, g = _current(law, p, k, new, v2)
        _, g_wrong = _current(law, p, k, wrong, v2)
        # beside the estimate a longest way, for both orders may end at the same stop, or come back from it
        way = max(abs(new - x), abs(min(max(x + t * k1, low), high) - x))
        error = max(abs(g - g_wrong) / max(max(g, g_wrong), 1e-30), step * (way / farthest) ** 3)
        if error > step and h <= shortest and abs(t * f) > farthest:
            new, f2, v2 = _leap(law, p, k, x, f, t, end, series, v, low, high)
        if not error > step or h <= shortest:
            x, v, f, done = new, v2, f2, done + h
        width = h * min(max(0.9 * (step / max(error, 1e-12)) ** (1.0 / 3.0), 0.2), 4.0)
    return x, v, width


@kept
def _run(
    law: int, p: FloatArray, drive: FloatArray, interval: FloatArray, series: FloatArray, periodic: bool,
    start: FloatArray, low: float, high: float, step: float, shortest: float, settled: float, periods: int,
    current: FloatArray, voltage: FloatArray,
) -> int:  # fmt: skip
    samples = drive.shape[1]
    for k in range(drive.shape[0]):
        x, v, width = start[k], 0.0, 1.0
        for _ in range(periods if periodic else 1):
            v = _across(law, p, k, x, drive[k, 0], series[k], v)
            voltage[k, 0], current[k, 0] = v, _current(law, p, k, x, v)[0]
            for at in range(samples if periodic else samples - 1):
                x, v, width = _interval(
                    law, p, k, drive[k, at], drive[k, (at + 1) % samples], interval[k], series[k],
                    x, v, width, low, high, step, shortest,
                )  # fmt: skip
                if at + 1 < samples:
                    voltage[k, at + 1], current[k, at + 1] = v, _current(law, p, k, x, v)[0]
            again = _current(law, p, k, x, _across(law, p, k, x, drive[k, 0], series[k], v))[0]
            if abs(again - current[k, 0]) <= settled * max(np.abs(current[k]).max(), 1e-30):
                break
    return _SOURCE


def _windowed(device: DeviceModel) -> tuple[object, ...]:
    d: object = device
    return _WINDOWS.index(d.window), d.window_p, d.window_j  # type: ignore[attr-defined]


def _named(*names: str) -> Callable[[DeviceModel, float], tuple[object, ...]]:
    return lambda device, temperature: tuple(getattr(device, name) for name in names)


def _power_law(on: str, off: str) -> Callable[[DeviceModel, float], tuple[object, ...]]:
    def rows(device: DeviceModel, temperature: float) -> tuple[object, ...]:
        d: object = device
        law = getattr(d, on), getattr(d, off), d.k_on / d.thickness, d.k_off / d.thickness  # type: ignore[attr-defined]
        exponents = d.alpha_on, d.alpha_off  # type: ignore[attr-defined]
        exponential = float(d.resistance == "exponential")  # type: ignore[attr-defined]
        return (d.r_on, d.r_off, *law, *exponents, *_windowed(device), exponential)  # type: ignore[attr-defined]

    return rows


def _ion_drift(device: DeviceModel, temperature: float) -> tuple[object, ...]:
    d: object = device
    return d.r_on, d.r_off, d.mobility / np.square(d.thickness), *_windowed(device)  # type: ignore[attr-defined]


def _nonlinear(device: DeviceModel, temperature: float) -> tuple[object, ...]:
    return (*_named("alpha", "beta", "gamma", "chi", "n", "m", "a")(device, temperature), *_windowed(device))


def _stanford(device: DeviceModel, temperature: float) -> tuple[object, ...]:
    d: object = device
    first = _named("i_0", "v_0", "g_0", "gap_min", "gap_max", "velocity", "e_a", "gamma_0", "beta")(
        device, temperature
    )
    return (*first, d.a_0 / d.t_ox, d.f_min * d.t_ox, d.r_th, temperature)  # type: ignore[attr-defined]


def _mss(device: DeviceModel, temperature: float) -> tuple[object, ...]:
    first = _named("r_on", "r_off", "v_on", "v_off", "tau")(device, temperature)
    barrier = _named("phi", "schottky_forward", "schottky_forward_slope", "schottky_reverse_slope")
    return (*first, BOLTZMANN_OVER_CHARGE * temperature, *barrier(device, temperature))


_LAWS: Mapping[str, tuple[int, Callable[[DeviceModel, float], tuple[object, ...]]]] = {
    "vteam": (VTEAM, _power_law("v_on", "v_off")),
    "team": (TEAM, _power_law("i_on", "i_off")),
    "ion_drift": (ION_DRIFT, _ion_drift),
    "nonlinear_ion_drift": (NONLINEAR_ION_DRIFT, _nonlinear),
    "yakopcic": (
        YAKOPCIC,
        _named("a1", "a2", "b", "v_p", "v_n", "a_p", "a_n", "x_p", "x_n", "alpha_p", "alpha_n"),
    ),
    "data_driven": (
        DATA_DRIVEN,
        _named(
            "r_on",
            "r_off",
            "a_p",
            "a_n",
            "t_p",
            "t_n",
            "k_p",
            "k_n",
            "r_p0",
            "r_p1",
            "r_n0",
            "r_n1",
            "amplitude",
            "b",
        ),
    ),
    "stanford": (STANFORD, _stanford),
    "mss": (MSS, _mss),
}


def rate_law(device: DeviceModel, temperature: float, elements: int) -> tuple[int, FloatArray] | None:
    """Return the number of the model's law and its parameters ``(rows, elements)``; None for another model."""
    if device.name not in _LAWS or getattr(device, "window", "none") not in _WINDOWS or device.stochastic:
        return None
    law, rows = _LAWS[device.name]
    table = [
        np.broadcast_to(np.asarray(row, dtype=np.float64), (elements,)) for row in rows(device, temperature)
    ]
    return law, np.ascontiguousarray(table)


def rate_loops(
    law: int,
    parameters: FloatArray,
    drive: FloatArray,
    interval: FloatArray,
    series: FloatArray,
    periodic: bool,
    start: FloatArray,
    bounds: tuple[float, float],
    limits: tuple[float, float, float, int],
) -> tuple[FloatArray, FloatArray]:
    """Return current [A] and device voltage [V], ``(samples, elements)``.

    ``law`` and ``parameters`` are those of `rate_law`; ``drive`` [V] ``(samples, elements)``; ``bounds`` of the state;
    ``limits`` are step, shortest, periodic and periods of `cosim.fit.circuit.Accuracy`.
    """
    table = np.ascontiguousarray(drive.T)
    current, voltage = np.empty((2, *table.shape))
    step, shortest, settled, periods = limits
    _run(
        law, parameters, table, interval, series, periodic, np.ascontiguousarray(start), bounds[0], bounds[1], step, shortest,
        settled, periods, current, voltage,
    )  # fmt: skip
    return current.T, voltage.T
