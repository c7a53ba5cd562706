"""Comparator of a driver: sees a line current or a node voltage while a phase runs, and ends it.

It trips where the quantity crosses threshold + offset. Its drivers begin to ramp after the delay,
which holds the decision and the way to the drivers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from cosim.crossbar.drive import StopCondition
from cosim.records import Formula
from cosim.units import Ampere, Second, Volt, Watt, check, femtoseconds, quantity

_MNSIM = "MNSIM 2.0, sense amplifier at 28 nm, 0.8 V (scaled from 65 nm)"


@dataclass(frozen=True, slots=True)
class Comparator:
    """Delay, offsets and power of the comparator that ends a pulse, one per selected line."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    delay: Second = quantity(
        2e-9,
        source="TU Delft CIM tile, configuration: one 2 ns clock",
        doc="from the crossing until the drivers begin to ramp down",
    )
    current_offset: Ampere = quantity(
        0.0, source="cosim: a trimmed comparator", doc="added to a threshold current"
    )
    voltage_offset: Volt = quantity(
        0.0, source="cosim: a trimmed comparator", doc="added to a threshold voltage"
    )
    power: Watt = quantity(1.63e-6, source=_MNSIM, doc="while it watches a pulse")

    def __post_init__(self) -> None:
        check(self.delay >= 0, "comparator", "delay", "zero or above", self.delay)
        check(self.power >= 0, "comparator", "power", "zero or above", self.power)

    def stop(
        self,
        net: str,
        quantity: Literal["voltage", "current"],
        threshold: float,
        direction: Literal["rising", "falling"],
        nets: Sequence[str],
        *,
        ramp_fs: int,
        level: float = 0.0,
    ) -> StopCondition:
        """Return the condition by which this comparator ends a phase.

        ``threshold`` [V or A] without the offset: a magnitude that grows (``rising`` and above zero, or
        ``falling`` and below it) or shrinks; the offset is added to the magnitude. The drivers of ``nets``
        then ramp to ``level`` [V].
        """
        offset = self.current_offset if quantity == "current" else self.voltage_offset
        shifted = threshold + offset if threshold >= 0 else threshold - offset
        delay = femtoseconds(self.delay)
        return StopCondition(net, quantity, shifted, direction, delay, tuple(nets), level, ramp_fs)

    def formula(self) -> Formula:
        """Return how the energy is computed."""
        source = Comparator.__dataclass_fields__["power"].metadata["source"]
        return Formula("power * time of the pulses it watches", f"power = {self.power:.6g} W", source)
