"""How long a phase will take in ngspice, and whether it should be tried at all.

The estimate is a fit to measurements with ngspice 39 on a machine of 2026: a start and load, the cost
of live devices per Newton iteration, and the matrix of a wired mesh, whose cost grows steeply with
its size (the SPARSE solver re-orders the matrix for every run; KLU does not). It is good to a factor
of about three, which is what a decision to refuse needs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from cosim.errors import UnsupportedRequestError
from cosim.spice.cards import Transient
from cosim.spice.deck import PhaseDeck

_START_S: Final = 0.01
_LOAD_S: Final = 8e-5
_ITERATIONS_PER_CORNER: Final = 35
_ITERATIONS_PER_STEP: Final = 2.2
_DEVICE_S: Final = 2.5e-6
_NODE_S: Final = 1.5e-6
_MESH_32_S: Final = {False: 2.5, True: 0.4}
_MESH_POWER: Final = {False: 4.6, True: 2.5}


@dataclass(frozen=True)
class Estimate:
    """Expected wall time [s] and what it is made of."""

    seconds: float
    live: int
    nodes: int
    mesh: float


def estimate(plan: PhaseDeck, klu: bool = False) -> Estimate:
    """Return the expected time of one phase."""
    nodes, live = len(plan.graph.nodes), len(plan.live_sites)
    analysis = plan.deck.analysis
    bounded = analysis.stop / analysis.step if isinstance(analysis, Transient) else 0.0
    iterations = (
        _ITERATIONS_PER_CORNER * len(plan.request.phase.corners_fs()) + _ITERATIONS_PER_STEP * bounded
    )
    mesh = _mesh_size(plan)
    matrix = _MESH_32_S[klu] * (mesh / 32) ** _MESH_POWER[klu] if mesh > 4 else 0.0
    total = _START_S + _LOAD_S * (nodes + live) + iterations * (_DEVICE_S * live + _NODE_S * nodes) + matrix
    return Estimate(total, live, nodes, mesh)


def _mesh_size(plan: PhaseDeck) -> float:
    """Return the side of the square mesh that the wired, conducting cells amount to."""
    if not plan.graph.branches:
        return 0.0
    largest = 0.0
    for cells in plan.plans:
        rows, columns = int(cells.conducting.any(axis=1).sum()), int(cells.conducting.any(axis=0).sum())
        largest = max(largest, float(min(rows, columns) ** 0.75 * max(rows, columns) ** 0.25))
    return largest


def check_size(plan: PhaseDeck, limit_s: float, klu: bool = False) -> Estimate:
    """Return the estimate; raises `UnsupportedRequestError` where it exceeds ``limit_s``."""
    expected = estimate(plan, klu)
    if expected.seconds > limit_s:
        arrays = ", ".join(
            f"{array.name} {array.rows} x {array.columns}" for array in plan.request.network.arrays
        )
        raise UnsupportedRequestError(
            f"a {plan.request.phase.kind} phase of {arrays} ({expected.live} live cells, {expected.nodes} nodes) "
            f"needs about {expected.seconds:.0f} s in ngspice, above the limit of {limit_s:g} s; "
            "use the behavioral backend and validate a sample of smaller arrays, or raise the limit"
        )
    return expected
