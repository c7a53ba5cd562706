"""Bias schemes: what every line carries while cells are programmed.

A SET pulse is positive from word line to bit line, a RESET pulse negative; all drivers are unipolar. With the amplitude
V on the selected cell the unselected lines carry

========  =======================  ==============================  ===============================
scheme    SET: words, bits         RESET: words, bits              what other cells see
========  =======================  ==============================  ===============================
gate      gated off, V             gated off, 0                    nothing
V/2       V/2, V/2                 V/2, V/2                        V/2 on the selected lines, else 0
V/3       V/3, 2V/3                2V/3, V/3                       V/3, all of them
========  =======================  ==============================  ===============================

That is the policy ``tracking``: unselected lines follow the pulse. ``grounded`` holds them at 0 V, ``floating`` drives
none of them. Several cells of one row may be pulsed at once: their bit lines are selected, all others of the row
are masked, which means unselected. V is then the largest amplitude; a cell with a smaller one has its bit line raised (SET) or
driven less (RESET).

Source of V/2 and V/3: Chen, "A comprehensive crossbar array model with solutions for line resistance and nonlinear
device characteristics", IEEE TED 60(4), 1318 (2013).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cosim.components.tile import Tile
from cosim.crossbar.drive import GroupedDrives, Waveform, level, pulse

Scheme = Literal["gate", "V/2", "V/3"]
LinePolicy = Literal["tracking", "floating", "grounded"]

UNSELECTED: Mapping[Scheme, tuple[float, float]] = {
    "gate": (0.0, 1.0),
    "V/2": (0.5, 0.5),
    "V/3": (1 / 3, 2 / 3),
}
"""Unselected word lines and bit lines in a SET, as parts of the amplitude; a RESET turns them about the middle."""


@dataclass(frozen=True, slots=True)
class PulseShape:
    """Edges and plateau of a pulse [fs]."""

    rise_fs: int
    width_fs: int
    fall_fs: int

    @property
    def duration_fs(self) -> int:
        """From the first edge to the end of the last."""
        return self.rise_fs + self.width_fs + self.fall_fs

    def at(self, voltage: float) -> Waveform:
        """Return the pulse with this amplitude [V]; a level of 0 V is no pulse."""
        if voltage == 0.0:
            return level(0.0)
        return pulse(voltage, rise_fs=self.rise_fs, width_fs=self.width_fs, fall_fs=self.fall_fs)


def unselected(scheme: Scheme, policy: LinePolicy, rising: bool) -> tuple[float | None, float | None]:
    """Return what unselected word lines and bit lines carry, as parts of the amplitude; None: nothing drives them."""
    if policy == "floating":
        return (0.0 if scheme == "gate" else None), None
    if policy == "grounded":
        return 0.0, 0.0
    word, bit = UNSELECTED[scheme]
    if scheme == "gate":
        return 0.0, bit if rising else 1.0 - bit
    return (word, bit) if rising else (1.0 - word, 1.0 - bit)


def pulse_drives(
    tile: Tile,
    scheme: Scheme,
    policy: LinePolicy,
    row: int,
    columns: NDArray[np.intp],
    amplitudes: tuple[float, ...],
    shape: PulseShape,
    rising: bool,
    gate_voltage: float,
) -> GroupedDrives:
    """Return the drives of one programming pulse on cells of a row.

    ``amplitudes`` [V]: one for each of ``columns``; ``rising`` is a SET; ``gate_voltage`` [V]: of the row's gate line.
    """
    network, array, ends = tile.network, tile.array, tile.network.ends[0]
    most = max(amplitudes)
    words, bits = unselected(scheme, policy, rising)
    levels: list[float | None] = [
        None if words is None else words * most,
        None if bits is None else bits * most,
        most if rising else 0.0,
    ]
    group = np.zeros(len(network.nets), dtype=np.intp)
    group[ends.bottom] = 1
    group[ends.left[row]] = 2
    for column, amplitude in zip(columns.tolist(), amplitudes, strict=True):
        own = most - amplitude if rising else amplitude
        if own not in levels[2:]:
            levels.append(own)
        group[ends.bottom[column]] = levels.index(own, 2)
    waveforms = tuple(None if v is None else shape.at(v) for v in levels)
    gates = {} if array.gates is None else {array.gates[row]: level(gate_voltage)}
    return GroupedDrives(network, waveforms, group, gates)
