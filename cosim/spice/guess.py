"""How long a phase will take in ngspice, and whether it should be tried at all.

The estimate is a fit to measurements with ngspice 39 on a machine of 2026: a start and load, the cost
of live devices per Newton iteration, and the matrix of a wired mesh, whose cost grows steeply with
its size (the SPARSE solver re-orders the matrix for every run; KLU does not). It is good to a factor
of about three, so a phase is refused where it exceeds a quarter of its deadline.

`phase_refusal` judges the deck of a phase, `network_refusal` an array before there is a phase, so that
a person learns it when the scenario is built.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from cosim.crossbar.network import CrossbarArray, Network, Segments
from cosim.errors import UnsupportedRequestError
from cosim.spice.cards import Transient
from cosim.spice.deck import READING, STEPS_PER_PHASE, PhaseDeck

_START_S: Final = 0.01
_LOAD_S: Final = 8e-5
_ITERATIONS_PER_CORNER: Final = 35
_ITERATIONS_PER_STEP: Final = 2.2
_DEVICE_S: Final = 2.5e-6
_NODE_S: Final = 1.5e-6
_MESH_32_S: Final = {False: 2.5, True: 0.4}
_MESH_POWER: Final = {False: 4.6, True: 2.5}
_USUAL_CORNERS: Final = 6
_SAMPLED_SIZES: Final = (64, 48, 32, 24, 16, 8)
SHARE_OF_DEADLINE: Final = 0.25
"""Part of its deadline that a phase may be expected to take."""


@dataclass(frozen=True)
class Estimate:
    """Expected wall time [s] and what it is made of."""

    seconds: float
    live: int
    nodes: int
    mesh: float


def estimate(plan: PhaseDeck, klu: bool = False) -> Estimate:
    """Return the expected time of one phase."""
    analysis = plan.deck.analysis
    bounded = analysis.stop / analysis.step if isinstance(analysis, Transient) else 0.0
    corners = len(plan.request.phase.corners_fs())
    return _estimate(len(plan.live_sites), len(plan.graph.nodes), _mesh_size(plan), corners, bounded, klu)


def estimate_network(network: Network, kind: str, klu: bool = False) -> Estimate:
    """Return the expected time of a usual phase of a kind: one pulse, few steps.

    A read of a linear device is taken for resistors. A write to a gated array conducts in one row.
    """
    live, nodes, mesh = 0, 0, 0.0
    for array in network.arrays:
        rows = 1 if array.cell.gated and kind not in READING else array.rows
        cells = rows * array.columns
        live += cells if array.device.moves and (kind not in READING or not array.linear) else 0
        wired = bool(array.word_segments.any() or array.bit_segments.any())
        nodes += 2 * cells if wired else rows + array.columns
        mesh = max(mesh, _side(rows, array.columns)) if wired else mesh
    return _estimate(live, nodes, mesh, _USUAL_CORNERS, STEPS_PER_PHASE, klu)


def _estimate(live: int, nodes: int, mesh: float, corners: int, steps: float, klu: bool) -> Estimate:
    iterations = _ITERATIONS_PER_CORNER * corners + _ITERATIONS_PER_STEP * steps
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
        largest = max(largest, _side(rows, columns))
    return largest


def _side(rows: int, columns: int) -> float:
    return float(min(rows, columns) ** 0.75 * max(rows, columns) ** 0.25)


def network_refusal(network: Network, kind: str, limit_s: float, klu: bool = False) -> str | None:
    """Return why phases of this kind on this network are too large for ngspice, or None."""
    expected = estimate_network(network, kind, klu)
    if expected.seconds <= limit_s:
        return None
    return _sentence(network, kind, expected, limit_s, klu)


def check_size(plan: PhaseDeck, limit_s: float, klu: bool = False) -> Estimate:
    """Return the estimate; raises `UnsupportedRequestError` where it exceeds ``limit_s``."""
    expected = estimate(plan, klu)
    if expected.seconds > limit_s:
        request = plan.request
        raise UnsupportedRequestError(_sentence(request.network, request.phase.kind, expected, limit_s, klu))
    return expected


def _sentence(network: Network, kind: str, expected: Estimate, limit_s: float, klu: bool) -> str:
    """Return the refusal with its numbers, and what can be done instead."""
    arrays = ", ".join(f"{array.name} {array.rows} x {array.columns}" for array in network.arrays)
    size = next((n for n in _SAMPLED_SIZES if _fits(network, kind, n, limit_s, klu)), 0)
    instead = (
        "let the behavioral backend answer it and check that with 'cosim validate' on an array of"
        f" {size} x {size}, for which ngspice has the time"
        if size
        else "let the behavioral backend answer it"
    )
    return (
        f"a {kind} phase of {arrays} ({expected.live} live cells, {expected.nodes} nodes) needs about"
        f" {expected.seconds:.3g} s in ngspice, above the limit of {limit_s:g} s"
        f" (a quarter of spice.deadline unless set); {instead}, or raise spice.deadline"
    )


def _fits(network: Network, kind: str, size: int, limit_s: float, klu: bool) -> bool:
    """Return whether a part of this size of each array is smaller than it and within the limit."""
    if any(size >= max(array.shape) for array in network.arrays):
        return False
    part = Network(tuple(_part(array, size) for array in network.arrays))
    return estimate_network(part, kind, klu).seconds <= limit_s


def _part(array: CrossbarArray, size: int) -> CrossbarArray:
    rows, columns = min(size, array.rows), min(size, array.columns)
    wired = bool(array.word_segments.any() or array.bit_segments.any())
    return CrossbarArray(
        array.name, rows, columns, array.device, array.cell, Segments(1.0, 1.0) if wired else Segments(),
        gates=tuple(array.gates[:rows]) if array.gates is not None else None,
    )  # fmt: skip
