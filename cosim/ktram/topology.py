r"""How the two devices of a kT-bit share lines: readout and the voltages over both sides.

2-1: two driven rails, +V over the a-sides and -V under the b-sides, and one shared node of voltage Vy
between them. The floating node settles at :math:`V_y = V\,\sum(G_a-G_b)/\sum(G_a+G_b)` (Kirchhoff's current
law), and the voltages over the devices are :math:`V-V_y` and :math:`V+V_y`.

1-2: one driven line and two output lines, all a-sides on one and all b-sides on the other. A read holds both
outputs at virtual ground and takes the difference of their currents, :math:`y = \sum(G_a-G_b)/G_{ref}`, so the
voltage over every device is V. Feedback drives the outputs to :math:`+V_y` and :math:`-V_y`, so the voltages are
:math:`V-V_y` and :math:`V+V_y` as in 2-1.

Sources: kT-RAM neural core (2-1); derived in docs/decisions/0041-one-two-topology.md (1-2).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Final, final

from cosim.errors import UnknownKeyError


class Topology(ABC):
    """Readout and drive of a lane's kT-bits."""

    name: ClassVar[str]

    @abstractmethod
    def activation(self, top: float, bottom: float) -> float:
        """Return y from the sums of Ga - Gb and of Ga + Gb (above zero)."""

    @abstractmethod
    def node_voltage(self, v_app: float, y: float) -> float:
        """Return the voltage Vy [V] of the lane's node during a read that gave ``y``."""

    @abstractmethod
    def noise_terms(self, y: float, m: float) -> tuple[float, float]:
        """Return two factors of the device noise: of all of it, and of its flicker part for the activation.

        ``y`` is the clean activation, ``m`` the sum of all selected conductances.
        """

    @property
    @abstractmethod
    def limit(self) -> float:
        """Largest magnitude of an activation."""

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

    def noise_terms(self, y: float, m: float) -> tuple[float, float]:
        return 1.0, 1.0 - y * y

    @property
    def limit(self) -> float:
        return 1.0


@final
@dataclass(frozen=True)
class OneTwo(Topology):
    """One rail, two outputs: y is the sum of Ga - Gb over ``g_ref``, so it grows with the selected kT-bits."""

    name: ClassVar[str] = "1-2"
    g_ref: float
    """Conductance of the amplifiers' feedback, in the unit of the device model."""

    def activation(self, top: float, bottom: float) -> float:
        return top / self.g_ref

    def node_voltage(self, v_app: float, y: float) -> float:
        return 0.0

    def noise_terms(self, y: float, m: float) -> tuple[float, float]:
        """Independent relative fluctuations of both sides add to sqrt(Ga^2 + Gb^2) = m sqrt((1 + w^2)/2)."""
        w = y * self.g_ref / m
        return m / self.g_ref, math.sqrt(1.0 + w * w)

    @property
    def limit(self) -> float:
        return math.inf


TOPOLOGIES: Final = ("2-1", "1-2")


def topology_for(name: str, g_ref: float) -> Topology:
    """Return the topology called ``name``; raises `UnknownKeyError` for any other."""
    if name not in TOPOLOGIES:
        raise UnknownKeyError(f"Core.topology: must be one of {', '.join(TOPOLOGIES)}, not {name!r}")
    return TwoOne() if name == "2-1" else OneTwo(g_ref)
