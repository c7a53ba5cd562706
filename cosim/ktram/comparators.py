r"""Comparators of lanes: what they sense, and decisions that take longer the smaller the difference.

A comparator senses the node's voltage with its static offset and, in every decision, with noise. Its latch regenerates from
the difference :math:`V` with its time constant :math:`\tau` and reaches the supply after

.. math:: t = \tau \ln(V_{dd} / |V|)

(H. J. M. Veendrick, IEEE J. Solid-State Circuits 15 (1980) 169), beside the fixed time ``compare``. A latch that has not got there
within ``resolve_time`` is metastable: the sign of what it holds is drawn.
"""

from __future__ import annotations

import math
import sys
from typing import NamedTuple, final

import numpy as np

from cosim.ktram.controller import Controller
from cosim.rng import stream
from cosim.units import femtoseconds


class Decision(NamedTuple):
    """What a comparator holds: the activation that it sensed, with the sign that it latched; how long it took [fs]."""

    y: float
    duration_fs: int
    metastable: bool


@final
class Comparators:
    """``count`` comparators; offsets, noise and metastable signs have streams of their own under ``seed``."""

    def __init__(self, controller: Controller, count: int, seed: int) -> None:
        self.controller = c = controller
        offsets = np.zeros(count)
        if c.comparator_offset:
            offsets = c.comparator_offset * stream(seed, "ktram/comparators").standard_normal(count)
        self._offsets: list[float] = offsets.tolist()
        self._noise = stream(seed, "ktram/comparators/noise")
        self._signs = stream(seed, "ktram/comparators/metastable")
        self._fixed = femtoseconds(c.compare)

    def sensed(self, y: float, volts: float, unit: int, limit: float) -> float:
        """Return the activation that a unit senses at a rail voltage [V]; ``limit``: the largest there is."""
        c = self.controller
        if not c.comparator_offset and not c.comparator_noise:
            return y
        error = self._offsets[unit]
        if c.comparator_noise:
            error += c.comparator_noise * float(self._noise.standard_normal())
        return float(np.clip(y + error / volts, -limit, limit))

    def decide(self, y: float, volts: float, unit: int, limit: float) -> Decision:
        """Return the decision of a unit on an activation read at a rail voltage [V]."""
        c, sensed = self.controller, self.sensed(y, volts, unit, limit)
        if not c.regeneration:
            return Decision(sensed, self._fixed, False)
        difference = abs(volts * sensed)
        needed = math.inf
        if difference > 0.0:
            needed = max(0.0, c.regeneration * math.log(c.supply / difference))
        if needed <= c.resolve_time:
            return Decision(sensed, femtoseconds(c.compare + needed), False)
        magnitude = max(abs(sensed), sys.float_info.min)  # a sign needs something to stand on
        drawn = magnitude if self._signs.integers(2) else -magnitude
        return Decision(drawn, femtoseconds(c.compare + c.resolve_time), True)
