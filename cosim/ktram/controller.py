r"""The controller of a core's lanes: how long the phases of an instruction last, and what each part of it costs.

An instruction is select, rails and settle, then for a read strobe, latch and hold, for feedback the clamp of the node, and
release (`docs/ktram-circuits.md`). Times:

* settle :math:`\max(t_{min}, k\,C_n/\sum G)` with the node's capacitance :math:`C_n` and all selected conductances; on a
  circuit with capacitance :math:`k` times its slowest time constant (`cosim.crossbar.settling`);
* the rails are up for the pulse width, or the settling time where that is longer.

Energies, with ``n`` enabled spaces:

* select :math:`n\,b\,C_s V_{dd}^2`, ``b`` address bits of a space;
* rails :math:`2\,n\,C_r V_{app}^2` and node :math:`n\,C_n V_y^2`: charged from a supply, then emptied into ground;
* cells :math:`t \sum (G_a (V_{app}-V_y)^2 + G_b (V_{app}+V_y)^2)` at ideal fidelity, with the conductances of the start;
  on a circuit what its phase has dissipated in cells, wires and line ends, and what drivers of lines have sunk;
* comparator :math:`I V_{dd} t_c` (`cosim.ktram.comparators` has the time), and the latch.

Default figures are those of the circuit estimate in the kT-RAM generator study: 20 nm vias, 50 nm pitch, 0.8 V; they are no
measurements.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal, final

import numpy as np

from cosim.records import Formula
from cosim.units import Ampere, Farad, Joule, Second, Siemens, Volt, check, is_positive, quantity

_STUDY = "kT-RAM generator study, circuit estimate"
Units = int | Literal["ideal"]
"""Number of units that lanes share; ``ideal``: one for each."""

READ_PARTS = ("select", "rails", "node", "cells", "comparator", "latch")
"""Parts of the energy of a read; of feedback the first four. Circuits add ``wires``, ``line ends`` and ``driver sink``."""


@final
@dataclass(frozen=True)
class Controller:
    """Times, energies and shared units of a core's periphery. Raises `DeviceError` for values no circuit has."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    select: Second = quantity(
        2e-9, source=f"{_STUDY}: shortest pulse", doc="delivers an address tuple to the switches of a lane"
    )
    release: Second = quantity(2e-9, source=f"{_STUDY}: shortest pulse", doc="rails to 0 V after the pulse")
    settle_floor: Second = quantity(
        2e-9, source=f"{_STUDY}: shortest pulse", doc="shortest settling time of node and rails"
    )
    settle_constants: float = quantity(
        5.0, source=f"{_STUDY}: 5 C/G", doc="time constants C/G of the node until the strobe"
    )
    node_capacitance: Farad = quantity(
        1.2e-15, source=f"{_STUDY}: 161 fF for 134 spaces", doc="of the node, per space of the lane"
    )
    rail_capacitance: Farad = quantity(
        1.2e-15, source="cosim: a rail is as long as the node", doc="of each rail, per enabled space"
    )
    select_capacitance: Farad = quantity(
        0.8e-15, source=f"{_STUDY}: segment of a select line", doc="switched per address bit of a space"
    )
    supply: Volt = quantity(0.8, source=_STUDY, doc="of select lines, comparators and latches")
    compare: Second = quantity(
        62.5e-9, source=f"{_STUDY}: comparator", doc="from the strobe to the latched decision"
    )
    comparator_current: Ampere = quantity(200e-9, source=f"{_STUDY}: comparator", doc="while it decides")
    latch_energy: Joule = quantity(5e-15, source=f"{_STUDY}: buffer", doc="per latched decision")
    comparator_offset: Volt = quantity(
        0.0, source="cosim: trimmed", doc="standard deviation of the comparators' static offsets"
    )
    comparator_noise: Volt = quantity(
        0.0,
        source="cosim: the core's comparator code holds it already",
        doc="rms noise of a comparator in each decision, beside the read noise of the core",
    )
    regeneration: Second = quantity(
        0.0,
        source="cosim: compare holds it",
        doc="time constant tau of the comparators' latches: a decision takes compare + tau ln(supply/|V|)",
    )
    resolve_time: Second = quantity(
        62.5e-9,
        source=f"{_STUDY}: comparator",
        doc="longest regeneration; beyond it the latch is metastable and its sign is drawn",
    )
    ramp: Second = quantity(
        1e-6, source="cosim: 16 times the comparator's time", doc="sweep of the reference from +V to -V"
    )
    ramp_energy: Joule = quantity(
        2e-15, source=f"{_STUDY}: C V^2 of a node of 161 fF at 0.1 V", doc="per started sweep"
    )
    buses: Units = quantity("ideal", source="cosim: no limit", doc="address buses that lanes share")
    rails: Units = quantity("ideal", source="cosim: no limit", doc="pairs of rail drivers that lanes share")
    comparators: Units = quantity("ideal", source="cosim: no limit", doc="comparators that lanes share")
    ramps: Units = quantity("ideal", source="cosim: no limit", doc="ramp generators that can sweep at a time")
    ramp_lanes: Units = quantity(
        "ideal", source="cosim: no limit", doc="lanes that one ramp generator drives"
    )
    top_conductance: Siemens = quantity(
        1e-3,
        source="kT-RAM neural core, highest conductance of rs and mss",
        doc="what the highest conductance of byte and float stands for, at ideal fidelity",
    )

    def __post_init__(self) -> None:
        for name in (
            "select", "release", "settle_floor", "compare", "resolve_time", "ramp", "supply", "top_conductance",
        ):  # fmt: skip
            check(
                is_positive(getattr(self, name)),
                "Controller",
                name,
                "finite and above zero",
                getattr(self, name),
            )
        for name in (
            "settle_constants", "node_capacitance", "rail_capacitance", "select_capacitance", "comparator_current",
            "latch_energy", "comparator_offset", "comparator_noise", "regeneration", "ramp_energy",
        ):  # fmt: skip
            value = getattr(self, name)
            check(math.isfinite(value) and value >= 0, "Controller", name, "finite and not negative", value)
        for name in ("buses", "rails", "comparators", "ramps", "ramp_lanes"):
            value = getattr(self, name)
            right = value == "ideal" or (isinstance(value, (int, np.integer)) and value >= 1)
            check(bool(right), "Controller", name, "a whole number of at least 1, or ideal", value)

    def settling(self, conductance: float, spaces: int) -> float:
        """Return the settling time [s] of a node of so many spaces behind a sum of conductances [S]."""
        return self.settled_after(self.node_capacitance * spaces / conductance)

    def settled_after(self, time_constant: float) -> float:
        """Return the settling time [s] of a node with this time constant [s]."""
        return max(self.settle_floor, self.settle_constants * time_constant)

    @property
    def decision_energy(self) -> float:
        """Energy of one decision of a comparator that takes ``compare`` [J]."""
        return self.comparing_energy(self.compare)

    def comparing_energy(self, duration: float) -> float:
        """Return the energy [J] of a comparator that works for so long [s]."""
        return self.comparator_current * self.supply * duration

    def formulas(self) -> dict[str, Formula]:
        """Return how each part of the energy is computed."""
        sources = {
            name: field.metadata.get("source", "") for name, field in Controller.__dataclass_fields__.items()
        }
        c = self
        return {
            "select": Formula(
                "spaces * address bits * select_capacitance * supply^2",
                f"select_capacitance = {c.select_capacitance:.6g} F, supply = {c.supply:.6g} V",
                sources["select_capacitance"],
            ),
            "rails": Formula(
                "2 * spaces * rail_capacitance * V_app^2", f"rail_capacitance = {c.rail_capacitance:.6g} F",
                sources["rail_capacitance"],
            ),
            "node": Formula(
                "spaces * node_capacitance * V_y^2; on a circuit with capacitance: stored in node and lines, lost at release", f"node_capacitance = {c.node_capacitance:.6g} F",
                sources["node_capacitance"],
            ),
            "cells": Formula(
                "time * sum(Ga (V_app - V_y)^2 + Gb (V_app + V_y)^2); on a circuit: heat of its phase",
                f"top_conductance = {c.top_conductance:.6g} S", "Joule's law",
            ),
            "wires": Formula("heat of the circuit phase in line segments", "", "Joule's law"),
            "line ends": Formula("heat of the circuit phase in drivers and switches", "", "Joule's law"),
            "driver sink": Formula(
                "energy of the circuit phase that flows into drivers of nodes and lines", "", "energy conservation"
            ),
            "comparator": Formula(
                "comparator_current * supply * time it decides or watches a ramp",
                f"comparator_current = {c.comparator_current:.6g} A, supply = {c.supply:.6g} V",
                sources["comparator_current"],
            ),
            "latch": Formula("latch_energy", f"latch_energy = {c.latch_energy:.6g} J", sources["latch_energy"]),
            "ramp": Formula("ramp_energy per sweep", f"ramp_energy = {c.ramp_energy:.6g} J", sources["ramp_energy"]),
        }  # fmt: skip
