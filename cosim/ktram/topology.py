"""How the two devices of a kT-bit share lines: readout and the voltages over both sides.

2-1: two driven rails, +V over the a-sides and -V under the b-sides, and one shared node of voltage Vy
between them. The floating node settles at ``Vy = V * sum(Ga - Gb) / sum(Ga + Gb)`` (Kirchhoff's current
law), and the voltages over the devices are ``V - Vy`` and ``V + Vy``.

Source: kT-RAM neural core, 2-1 topology.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import ClassVar, final


class Topology(ABC):
    """Readout and drive of a lane's kT-bits."""

    name: ClassVar[str]

    @abstractmethod
    def activation(self, top: float, bottom: float) -> float:
        """Return y from the sums of Ga - Gb and of Ga + Gb (above zero)."""

    @abstractmethod
    def node_voltage(self, v_app: float, y: float) -> float:
        """Return the voltage Vy [V] of the lane's node during a read that gave ``y``."""

    @staticmethod
    def readout(pairs: Iterable[tuple[float, float]]) -> tuple[float, float]:
        """Return the sums of Ga - Gb and of Ga + Gb over ``(Ga, Gb)``, left to right."""
        top = bottom = 0.0
        for ga, gb in pairs:
            top += ga - gb
            bottom += ga + gb
        return top, bottom

    @staticmethod
    def update_voltages(v_app: float, vy: float) -> tuple[float, float]:
        """Return the voltages [V] over every selected a-side and b-side."""
        return v_app - vy, vy + v_app


@final
class TwoOne(Topology):
    """Two rails, one node: y is the mean weight, each weighted by its magnitude, within -1..1."""

    name: ClassVar[str] = "2-1"

    def activation(self, top: float, bottom: float) -> float:
        return top / bottom

    def node_voltage(self, v_app: float, y: float) -> float:
        return v_app * y
