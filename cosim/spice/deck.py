"""From a phase request to an ngspice deck: what conducts, what can move, and its cards.

A cell is *open* (gated off, or without conductance), *still* (it provably moves less than a
tolerance in this phase and is written as a plain resistor) or *live* (written as the subcircuit of
its device model, the state handed in as the initial voltage of its state capacitor). Only what can
carry current is written (see `cosim.spice.graph`).

Every corner of a drive is an exact time point of ngspice, every strobe is made one by a marker
source, and the largest step is explicit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np

from cosim.crossbar.backend import PhaseRequest
from cosim.crossbar.drive import Phase, Waveform
from cosim.crossbar.network import CrossbarArray
from cosim.devices.base import FloatArray, Subcircuit
from cosim.errors import UnsupportedRequestError
from cosim.spice.cards import Deck, Slot, Transient, capacitor_slot, level_slot, source_slot
from cosim.spice.frame import Frame, gate_node, make_frame, source_name
from cosim.spice.graph import Graph, LineCapacitor, Mask, NetCapacitor, Site
from cosim.spice.reacting import NOTHING_REACTS, ReactingDrives, reacting_drives
from cosim.units import seconds

STEPS_PER_PHASE: Final = 20
"""Least number of steps of a phase with memory."""
STEPS_FOR_FULL_CHANGE: Final = 400
"""Steps of a phase that could move a state through its whole range (see `steps_for`)."""
_SHORTEST_SHARE: Final = 1e-4
READING: Final = ("read", "verify")
"""Kinds of phases that a model without a differential equation can have."""
MARK: Final = "mark"


@dataclass(frozen=True)
class CellPlan:
    """Which cells of one array are live and which still (both ``(rows, columns)``); the rest are open.

    ``still_resistance`` [ohm] is that of the device alone; ``series`` [ohm] that of the access device;
    ``change`` bounds the change of any conducting cell's state, relative to its range.
    """

    live: Mask
    still: Mask
    still_resistance: FloatArray
    series: float
    twin: Subcircuit | None
    change: float

    @property
    def conducting(self) -> Mask:
        """Cells that carry current."""
        result: Mask = self.live | self.still
        return result


@dataclass(frozen=True)
class PhaseDeck:
    """A deck with what is needed to understand its vectors."""

    deck: Deck
    request: PhaseRequest
    plans: tuple[CellPlan, ...]
    frame: Frame

    @property
    def graph(self) -> Graph:
        """The circuit."""
        return self.frame.graph

    @property
    def live_sites(self) -> tuple[Site, ...]:
        """Cells written as subcircuits."""
        return self.frame.live

    @property
    def still_sites(self) -> tuple[Site, ...]:
        """Cells written as plain resistors."""
        return self.frame.still


def drive_span(request: PhaseRequest) -> float:
    """Return the largest voltage [V] that any two nodes can have between them in the phase.

    Node voltages of a resistive network lie between the lowest and the highest driven voltage (and
    the initial ones, where lines have capacitance).
    """
    nets = set(request.network.nets)
    levels = [v for net, waveform in request.phase.drives.items() if net in nets for v in waveform.voltages]
    if request.node_voltages is not None:
        levels += [float(bound) for block in request.node_voltages for bound in (block.min(), block.max())]
    if request.net_voltages is not None:
        levels += [float(request.net_voltages.min()), float(request.net_voltages.max())]
    if request.network.has_capacitance:
        levels.append(0.0)
    return max(levels) - min(levels) if levels else 0.0


def plan_cells(request: PhaseRequest, still_tolerance: float) -> tuple[CellPlan, ...]:
    """Return for each array which cells are open, still or live.

    ``still_tolerance`` is the largest change of a state (relative to its range) that is left out of
    the simulation; 0 makes every conducting cell of a moving model live. Raises
    `UnsupportedRequestError` for a write to a model that has no differential equation.
    """
    span = drive_span(request)
    pairs = zip(request.network.arrays, request.states, strict=True)
    return tuple(_plan(request, array, state, span, still_tolerance) for array, state in pairs)


def _plan(
    request: PhaseRequest, array: CrossbarArray, state: FloatArray, span: float, tolerance: float
) -> CellPlan:
    device, cell = array.device, array.cell
    twin = device.subcircuit(request.temperature) if device.moves or not device.linear else None
    if twin is None and not device.linear and span > 0:
        raise UnsupportedRequestError(
            f"array {array.name}: the device model '{device.name}' is nonlinear and has no subcircuit, so ngspice cannot answer for it; use the behavioral backend for this phase"
        )
    if device.moves and twin is None and span > 0 and request.phase.kind not in READING:
        raise UnsupportedRequestError(
            f"array {array.name}: the device model '{device.name}' has no differential equation, so ngspice can read but not {request.phase.kind} it; use the behavioral backend for this phase"
        )
    on = np.ones(array.shape, dtype=np.bool_)
    if array.gates is not None:
        gates = [request.phase.gate_level(gate) > cell.opens_below for gate in array.gates]
        on &= np.array(gates)[:, np.newaxis]
    conductance = np.broadcast_to(device.conductance(state), array.shape)
    change = (
        _largest_change(request, array, state, span) * on
        if twin is not None and device.moves
        else np.zeros(array.shape)
    )
    moving = on & ((change > tolerance) | (tolerance <= 0) | (not device.linear)) & (twin is not None)
    still = on & ~moving & (conductance > 0)
    resistance = np.divide(1.0, conductance, out=np.zeros(array.shape), where=conductance > 0)
    return CellPlan(moving, still, resistance, cell.series_resistance, twin, float(change.max()))


def _largest_change(
    request: PhaseRequest, array: CrossbarArray, state: FloatArray, span: float
) -> FloatArray:
    """Return a bound on the change of each state at any voltage of the phase, relative to its range.

    The rate of a memristor rises with its voltage, so the change at any waveform within +-span lies
    between those at the constant extremes.
    """
    device = array.device
    duration = seconds(request.phase.duration_fs)
    low, high = device.state_bounds()
    largest = np.zeros(array.shape)
    for voltage in (-span, span):
        after = device.advance(state, np.full(array.shape, voltage), duration, request.temperature)
        change = np.abs(after - state).reshape(*array.shape, -1).max(axis=-1)
        largest = np.maximum(largest, change)
    result: FloatArray = largest / (high - low) if np.isfinite(high - low) else largest
    return result


def steps_for(change: float) -> float:
    """Return the least number of steps for a phase whose states change by up to ``change`` of their range.

    The error of a trapezoid over n steps grows as change^3/n^2; this n keeps it near 2e-6.
    """
    return max(STEPS_PER_PHASE, STEPS_FOR_FULL_CHANGE * float(min(change, 1.0) ** 1.5))


def phase_deck(request: PhaseRequest, *, still_tolerance: float = 0.0, klu: bool = False) -> PhaseDeck:
    """Return the deck of a phase.

    Parameters
    ----------
    request : PhaseRequest
        The phase.
    still_tolerance : float
        See `plan_cells`.
    klu : bool
        Whether this ngspice has the KLU matrix solver, which then is asked for.

    Raises
    ------
    UnsupportedRequestError
        Where ngspice cannot answer the request.
    """
    plans = plan_cells(request, still_tolerance)
    frame = make_frame(
        request.network,
        tuple(net for net in request.network.nets if net in request.phase.drives),
        tuple(plan.live.tobytes() for plan in plans),
        tuple(plan.still.tobytes() for plan in plans),
        request.temperature,
        klu,
    )
    memory = bool(frame.live) or bool(frame.graph.charged)
    steps = steps_for(max(plan.change for plan in plans)) if memory else 1.0
    arrays = ", ".join(f"{array.name} {array.rows} x {array.columns}" for array in request.network.arrays)
    reacting = reacting_drives(request, frame.graph) if request.phase.stops else NOTHING_REACTS
    deck = Deck(
        title=f"{request.phase.kind} phase, {arrays}",
        body=(*frame.body, *reacting.cards),
        slots=tuple(_slots(request, plans, frame, reacting)),
        saves=(*frame.saves, *reacting.saves),
        analysis=largest_step(request.phase, steps),
        options=frame.options,
        structure=" ".join((frame.structure, *reacting.cards)),
        watch=reacting.watch,
    )
    return PhaseDeck(deck, request, plans, frame)


def largest_step(phase: Phase, steps: float) -> Transient:
    """Return the transient of a phase whose steps are a share of it and of its longest straight piece.

    A circuit without memory (``steps`` 1) is exact at every point and straight between corners, so its
    steps need no bound. The shortest piece must stay above the distance at which ngspice takes two corners
    for one.
    """
    pieces = [seconds(later - earlier) for earlier, later in pairwise(phase.corners_fs())]
    duration = seconds(phase.duration_fs)
    longest = duration if steps <= 1 else min(duration / steps, 2 * max(pieces) / steps)
    return Transient(duration, min(longest, min(pieces) / _SHORTEST_SHARE))


def _slots(
    request: PhaseRequest, plans: Sequence[CellPlan], frame: Frame, reacting: ReactingDrives
) -> Iterator[Slot]:
    """Return the cards whose numbers change from phase to phase: sources, cells, what holds charge."""
    duration = request.phase.duration_fs
    points: dict[Waveform, tuple[float, ...]] = {}
    for net, node in frame.graph.driven.items():
        if net in reacting.nets:
            continue
        waveform = request.phase.drives[net]
        if waveform not in points:
            points[waveform] = drive_points(waveform, duration)
        yield source_slot(source_name(node), node, points[waveform])
    marks = sorted({0, duration, *request.phase.strobes_fs, *reacting.corners_fs})
    yield source_slot(MARK, MARK, tuple(number for instant in marks for number in (seconds(instant), 0.0)))
    for (card, commands), voltages in zip(frame.live_blanks, _live_voltages(request, frame), strict=True):
        yield Slot(card, commands, voltages)
    still = [
        r
        for plan, cells in zip(plans, frame.still_cells, strict=True)
        for r in (plan.still_resistance[cells.place] + plan.series).tolist()
    ]
    for (card, commands), resistance in zip(frame.still_blanks, still, strict=True):
        yield Slot(card, commands, (resistance,))
    for k, array in enumerate(request.network.arrays):
        rows = {site.row for site in (*frame.live, *frame.still) if site.array == k}
        for row in sorted(rows) if array.gates is not None and not array.cell.linear else ():
            node = gate_node(k, row)
            yield level_slot(node, node, request.phase.gate_level((array.gates or ())[row]))
    for c, voltage in zip(frame.graph.charged, start_voltages(request, frame.graph), strict=True):
        yield capacitor_slot(capacitor_label(c), c.node, c.capacitance, voltage)


def _live_voltages(request: PhaseRequest, frame: Frame) -> list[tuple[float, ...]]:
    """Return the initial voltages of the state nodes of every live cell, in the order of the frame."""
    result: list[tuple[float, ...]] = []
    for cells, state, twin in zip(frame.live_cells, request.states, frame.twins, strict=True):
        if twin is not None:
            values = state[cells.place].reshape(cells.state.shape) / np.array(twin.scale)
            result += [tuple(row) for row in values.tolist()]
    return result


def initial_voltages(state: FloatArray, site: Site, twin: Subcircuit | None) -> tuple[float, ...]:
    """Return the initial voltages of the state nodes of a cell."""
    assert twin is not None
    values = (state[site.row, site.column],) if state.ndim == 2 else state[site.row, site.column]
    return tuple(float(value) / scale for value, scale in zip(values, twin.scale, strict=True))


def drive_points(waveform: Waveform, duration: int) -> tuple[float, ...]:
    """Return times [s] and voltages [V] of a waveform, in turn, from the start to the end of the phase."""
    instants = sorted({0, duration, *(t for t in waveform.times_fs if 0 < t < duration)})
    levels = waveform.at(np.array(instants, dtype=np.float64)).tolist()
    return tuple(
        number for instant, v in zip(instants, levels, strict=True) for number in (seconds(instant), v)
    )


def capacitor_label(capacitor: LineCapacitor | NetCapacitor) -> str:
    """Return what the name of a capacitor's card ends with."""
    c = capacitor
    return c.label if isinstance(c, NetCapacitor) else f"{'wb'[c.side]}{c.array}_{c.row}_{c.column}"


def initial_voltage(request: PhaseRequest, capacitor: LineCapacitor | NetCapacitor) -> float:
    """Return the voltage [V] that a capacitor has before the phase."""
    c = capacitor
    if isinstance(c, NetCapacitor):
        given = request.net_voltages
        return 0.0 if given is None else float(given[request.network.net_index[c.net]])
    return (
        0.0
        if request.node_voltages is None
        else float(request.node_voltages[c.array][c.side, c.row, c.column])
    )


def start_voltages(request: PhaseRequest, graph: Graph) -> list[float]:
    """Return the voltages [V] of `Graph.charged` at the start of the phase.

    What a driver holds jumps to it at once; `cosim.spice.harvest` books that charge.
    """
    drives = {node: request.phase.drives[net].at(np.zeros(1))[0] for net, node in graph.driven.items()}
    return [float(drives.get(c.node, initial_voltage(request, c))) for c in graph.charged]
