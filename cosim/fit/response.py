"""What a device gives on measurements: currents of loops, conductances after pulses."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from cosim.devices.base import DeviceModel, FloatArray
from cosim.fit.circuit import Accuracy, Drive, simulate
from cosim.fit.measurement import Loop, Measurement, PulseTrain

Batch = Callable[[int], DeviceModel]
"""Gives the model of all parameter sets, each of them so many times in a row."""


def respond(
    batch: Batch,
    count: int,
    measurements: Sequence[Measurement],
    temperature: float,
    accuracy: Accuracy | None = None,
) -> list[FloatArray]:
    """Return per measurement what ``count`` parameter sets give, ``(count, samples)`` in its unit.

    Loops of one length are simulated together.
    """
    found: dict[int, FloatArray] = {}
    groups: dict[tuple[int, bool], list[int]] = {}
    for k, entry in enumerate(measurements):
        if isinstance(entry, Loop):
            groups.setdefault((len(entry.drive), entry.periodic), []).append(k)
        else:
            found[k] = _conductances(batch(1), entry, count, temperature)
    for (_, periodic), members in groups.items():
        loops = [loop for k in members if isinstance(loop := measurements[k], Loop)]
        drive = Drive(
            np.tile(np.array([loop.drive for loop in loops]).T, (1, count)),
            np.tile([loop.interval for loop in loops], count),
            np.tile([loop.series for loop in loops], count),
            periodic,
        )
        current, _ = simulate(batch(len(loops)), drive, temperature, accuracy)
        split = current.T.reshape(count, len(loops), -1)
        found.update({k: split[:, j] for j, k in enumerate(members)})
    return [found[k] for k in range(len(measurements))]


def respond_one(
    device: DeviceModel, measurements: Sequence[Measurement], temperature: float
) -> list[FloatArray]:
    """Return per measurement what one device gives, ``(samples,)`` in its unit."""
    return [part[0] for part in respond(lambda _: device, 1, measurements, temperature)]


def _conductances(device: DeviceModel, train: PulseTrain, count: int, temperature: float) -> FloatArray:
    """Return the conductance after every pulse [S], ``(count, pulses)``."""
    state = device.state_for(np.full(count, train.start))
    found = np.empty((count, len(train.conductance)))
    for k, (amplitude, width) in enumerate(zip(train.amplitude, train.width, strict=True)):
        state = device.advance(state, np.full(count, amplitude), float(width), temperature)
        found[:, k] = device.conductance(state)
    return found
