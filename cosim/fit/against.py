"""A fitted device once more in ngspice: the same loop through the netlist twin of the model."""

from __future__ import annotations

import numpy as np

from cosim.crossbar.backend import PhaseRequest, find
from cosim.crossbar.drive import Phase, Waveform
from cosim.crossbar.network import Cell, Segments, single
from cosim.devices.base import DeviceModel, FloatArray
from cosim.errors import UnsupportedRequestError
from cosim.fit.measurement import Loop
from cosim.units import femtoseconds

_PERIODS = 2


def spice_current(device: DeviceModel, loop: Loop, temperature: float) -> FloatArray:
    """Return the current of a loop [A] ``(samples,)`` as ngspice gives it.

    A periodic loop runs twice from the high-resistance state, and the second period counts. Raises
    `UnsupportedRequestError` for a model without a netlist twin, `SpiceMissingError` without ngspice.
    """
    if device.subcircuit(temperature) is None:
        raise UnsupportedRequestError(
            f"model {device.name} has no differential equation that ngspice could solve"
        )
    network = single("loop", (1, 1), device, Cell("1R"), Segments(), r_source=loop.series)
    step = femtoseconds(loop.interval)
    drive = np.tile(loop.drive, _PERIODS) if loop.periodic else loop.drive
    times = tuple(k * step for k in range(len(drive)))
    phase = Phase(
        "write",
        times[-1],
        {"wl0": Waveform(times, tuple(drive.tolist())), "bl0": Waveform((0,), (0.0,))},
        times,
    )
    low, _ = device.conductance_range()
    state = device.state_for(np.full((1, 1), float(low)))
    answering = find("ngspice")()
    try:
        result = answering.run(PhaseRequest(network, (state,), None, 0, temperature, phase, 0))
    finally:
        answering.close()
    column = result.samples.nets.index("wl0")
    found: FloatArray = result.samples.current[-len(loop.drive) :, column]
    return found
