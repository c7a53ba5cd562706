"""Random pulse trains on one device: by `advance`, by a tight general solver, and by the ngspice twin."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from cosim.crossbar import Cell, CrossbarBackend, Phase, PhaseRequest, PhaseResult, Segments, single
from cosim.crossbar.drive import Waveform
from cosim.devices.base import DeviceModel, FloatArray
from cosim.errors import DeviceError
from cosim.units import femtoseconds, seconds

EDGE: float = 0.005
"""Length of an edge as a part of the pulse's plateau."""
_EDGE_STEPS = 16
_REST = 0.2
_SPREAD, _STEEPEST = 0.3, 100.0
_SHORTEST_FS = 1000


@dataclass(frozen=True, slots=True)
class Train:
    """Trapezoidal pulses on a device that starts in ``state``: corners at ``times_fs`` with ``voltages`` [V]."""

    state: float
    times_fs: tuple[int, ...]
    voltages: tuple[float, ...]

    def pieces(self) -> Iterator[tuple[float, float, float]]:
        """Return length [s], first and last voltage of every straight piece."""
        for (t0, v0), (t1, v1) in pairwise(zip(self.times_fs, self.voltages, strict=True)):
            yield seconds(t1 - t0), v0, v1


@dataclass(frozen=True, slots=True)
class Drive:
    """Pulses that move a device noticeably: amplitude [V], width [s] and relative spread of the amplitude, per sign."""

    amplitudes: tuple[float, float]
    widths: tuple[float, float]
    spreads: tuple[float, float]


def drive_of(device: DeviceModel, temperature: float) -> Drive:
    """Return the programming pulses of a device with the spread of amplitudes that its steepness allows.

    The spread is 30 %, less where that would change the speed of the state by more than a factor of 100.
    Raises `DeviceError` for a model without a programming pulse.
    """
    default = device.programming_pulse(temperature)
    if default is None:
        raise DeviceError(f"device model {device.name} has no programming pulse, so nothing can move it")
    middle = device.state_for(np.array([[np.mean([np.mean(g) for g in device.conductance_range()])]]))
    spreads = []
    for sign, (amplitude, _width) in zip((1, -1), default, strict=True):
        rates = [
            device.state_rate(middle, np.array([[sign * amplitude * part]]), temperature)
            for part in (1.0, 1.3)
        ]
        first, second = (0.0 if rate is None else abs(float(rate[0, 0])) for rate in rates)
        ratio = second / first if first > 0 else 1.0
        spreads.append(_SPREAD * min(1.0, math.log(_STEEPEST) / max(math.log(max(ratio, 1.0)), 1e-9)))
    amplitudes, widths = zip(*default, strict=True)
    return Drive(amplitudes, widths, (spreads[0], spreads[1]))


def random_train(device: DeviceModel, drive: Drive, rng: np.random.Generator, pulses: int = 3) -> Train:
    """Return a train of pulses of random sign and amplitude, 0.3 to 20 times as wide as the drive's."""
    low, high = device.state_bounds()
    times, voltages = [0], [0.0]
    for _ in range(pulses):
        sign = int(rng.integers(2))
        amplitude = drive.amplitudes[sign] * (1.0 + drive.spreads[sign] * rng.uniform(-1.0, 1.0))
        width = drive.widths[sign] * 10.0 ** rng.uniform(-0.5, 1.3)
        edge = max(_SHORTEST_FS, femtoseconds(EDGE * width))
        for length, volts in (
            (max(edge, femtoseconds(_REST * width)), 0.0),
            (edge, amplitude * (1 - 2 * sign)),
            (femtoseconds(width), amplitude * (1 - 2 * sign)),
            (edge, 0.0),
        ):
            times.append(times[-1] + length)
            voltages.append(float(volts))
    return Train(float(rng.uniform(low, high)), tuple(times), tuple(voltages))


def _pieces(trains: Sequence[Train]) -> Iterator[FloatArray]:
    """Return for every straight piece its lengths [s], first and last voltages [V], (3, trains)."""
    for piece in zip(*(train.pieces() for train in trains), strict=True):
        yield np.array(piece).T


def advanced(device: DeviceModel, trains: Sequence[Train], temperature: float) -> FloatArray:
    """Return the states (trains,) at the end of trains with equally many pieces, by `advance`.

    An edge is cut into equal steps at their middle voltages.
    """
    state = np.array([[train.state for train in trains]])
    for length, first, last in _pieces(trains):
        count = 1 if np.array_equal(first, last) else _EDGE_STEPS
        for step in range(count):
            volts = first + (last - first) * (step + 0.5) / count
            state = device.advance(state, volts[np.newaxis], length[np.newaxis] / count, temperature)
    result: FloatArray = state[0]
    return result


def solved(device: DeviceModel, trains: Sequence[Train], temperature: float) -> FloatArray:
    """Return the states (trains,) at the end of the trains by scipy's LSODA on `state_rate`, piece by piece, to 1e-10."""
    from scipy.integrate import solve_ivp

    low, high = device.state_bounds()
    state = np.array([train.state for train in trains])
    for length, first, last in _pieces(trains):

        def slope(
            t: float,
            x: FloatArray,
            length: FloatArray = length,
            first: FloatArray = first,
            last: FloatArray = last,
        ) -> FloatArray:
            volts = (first + (last - first) * t)[np.newaxis]
            rate = device.state_rate(np.clip(x, low, high)[np.newaxis], volts, temperature)
            if rate is None:
                raise DeviceError(f"device model {device.name} has no differential equation")
            result: FloatArray = length * rate[0]
            return result

        found = solve_ivp(slope, (0.0, 1.0), state, method="LSODA", rtol=1e-10, atol=1e-12, lband=0, uband=0)
        state = np.clip(found.y[:, -1], low, high)
    return state


def request(device: DeviceModel, train: Train, temperature: float) -> PhaseRequest:
    """Return a train as a phase of one cell without wires."""
    network = single("device", (1, 1), device, Cell("1R"), Segments())
    drives = {"wl0": Waveform(train.times_fs, train.voltages), "bl0": Waveform((0,), (0.0,))}
    phase = Phase("write", train.times_fs[-1], drives)
    return PhaseRequest(network, (np.array([[train.state]]),), None, 0, temperature, phase, 0)


def simulated(backend: CrossbarBackend, device: DeviceModel, train: Train, temperature: float) -> PhaseResult:
    """Return what a backend (ngspice: the model's twin) makes of a train."""
    return backend.run(request(device, train, temperature))
