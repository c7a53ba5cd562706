"""Builds the compiled kernels once, at installation, and not in somebody's first run."""

from __future__ import annotations

import numpy as np

from cosim.backends import moving_reads
from cosim.backends.behavioral import BehavioralBackend
from cosim.crossbar.backend import PhaseRequest
from cosim.crossbar.drive import Phase, level, pulse
from cosim.crossbar.lines import LineSystem, solve_lines
from cosim.crossbar.network import Cell, Segments, single
from cosim.devices.elementwise import LARGE
from cosim.devices.registry import find_preset, models

solve_lines(LineSystem(2, 2, 1.0, 1.0), np.full((2, 2), 1e-5), np.ones(2), kernel="numba")

network = single(
    "a", (12, 12), find_preset("mss-firm"), Cell("1R"), Segments(1.0, 1.0), r_source=2.0, r_sink=2.0
)
array = network.arrays[0]
shape = pulse(0.35, rise_fs=10**6, width_fs=10**8, fall_fs=10**6)
drives = dict.fromkeys(array.left or (), shape) | dict.fromkeys(array.bottom or (), level(0.0))
phase = Phase("write", 102 * 10**6, {str(net): wave for net, wave in drives.items()})
BehavioralBackend().run(PhaseRequest(network, (np.full((12, 12), 0.5),), None, 0, 300.0, phase, 1))

# Exposures of reads in groups: bits in series, and any voltages.
single_precision, table = np.zeros((12, 4), np.float32), np.zeros((8, 4), np.float32)
for voltages in (np.zeros((2, 12)), np.arange(24.0).reshape(2, 12)):
    moving_reads.accumulate(voltages, single_precision, 1.0, table, np.zeros((2, 4)))

# The element-wise laws of the device models, and the tables (by ion drift).
state = np.full(LARGE, 0.5)
for name, model in models().items():
    device = model()
    if name == "ion_drift" or device.elementwise_law(300.0) is not None:
        device.advance(state, np.ones(LARGE), 1e-9, 300.0)
