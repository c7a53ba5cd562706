"""The deck of a phase in which a user's subcircuit stands for the cells or for the whole crossbar.

A cell is an instance at every crossing of cosim's own wires, between two sources of 0 V that measure its currents.
A whole crossbar is one instance between the line ends, with the resistances of drivers and sense inputs
outside. States go in by a parameter of the instance or by ``.ic``, and come out of the state nodes.

What a cell takes is its v*i at the line ports, whatever it does with it. Of a whole crossbar only the sum is
known: it is spread evenly over the cells, and the two sides of the energy balance are then not
independent (``applied: netlist_energy``).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from cosim.crossbar.backend import Energy, PhaseRequest, PhaseResult, Samples, SavedWaveforms
from cosim.devices.base import FloatArray
from cosim.errors import UnsupportedRequestError
from cosim.spice.cards import Deck, Floats, SpiceVectors, level_slot, source_slot
from cosim.spice.deck import MARK, drive_points, initial_voltage, largest_step
from cosim.spice.foreign import ForeignCircuit, expanded
from cosim.spice.frame import OPTIONS, source_name
from cosim.spice.graph import Graph, Mask, Site, build_graph, net_nodes
from cosim.spice.harvest import interpolate
from cosim.spice.quadrature import integral, product_integral, signed_product_integrals
from cosim.spice.reacting import NOTHING_REACTS, reacting_drives
from cosim.units import seconds, spice

STEPS = 200
"""Least number of steps of a phase, whose rates nobody knows."""


@dataclass(frozen=True, eq=False)
class ForeignDeck:
    """A deck with what is needed to understand its vectors; ``states`` are the state nodes, row by row."""

    deck: Deck
    request: PhaseRequest
    circuit: ForeignCircuit
    graph: Graph
    states: tuple[str, ...]
    series: float

    def result(self, vectors: SpiceVectors) -> PhaseResult:
        """Return the outcome of the phase."""
        return _Reading(self, vectors).result()


def foreign_deck(request: PhaseRequest, circuit: ForeignCircuit, *, klu: bool = False) -> ForeignDeck:
    """Return the deck of a phase; raises `UnsupportedRequestError` where the circuit does not fit."""
    reason = circuit.mismatch(request.network)
    if reason is not None:
        raise UnsupportedRequestError(reason)
    array = request.network.arrays[0]
    driven = tuple(net for net in request.network.nets if net in request.phase.drives)
    if circuit.whole:
        nodes = net_nodes(request.network)
        graph = Graph(nodes, {net: nodes[net] for net in driven}, (), (), ())
        cards, states, series = list(_whole(request, circuit, nodes)), _whole_states(request, circuit), 0.0
    else:
        series = array.cell.series_resistance if "gate" not in circuit.ports else 0.0
        graph = build_graph(request.network, driven, [_conducting(request, circuit)])
        cards, states = list(_cells(request, circuit, graph, series)), _cell_states(circuit, graph)
    cards += [f".ic v({node})={spice(value)}" for node, value in _initial(request, circuit, graph, states)]
    reacting = reacting_drives(request, graph) if request.phase.stops else NOTHING_REACTS
    options = [f"{name}={value:g}" for name, value in OPTIONS.items()]
    options += [f"temp={request.temperature - 273.15:.6f}", *(("klu",) if klu else ())]
    sources = [
        source_slot(
            source_name(node), node, drive_points(request.phase.drives[net], request.phase.duration_fs)
        )
        for net, node in graph.driven.items()
        if net not in reacting.nets
    ]
    marks = {*request.phase.corners_fs(), *reacting.corners_fs}
    points = tuple(number for instant in sorted(marks) for number in (seconds(instant), 0.0))
    gates = [
        level_slot(f"gate{k}", f"gate{k}", request.phase.gate_level(net))
        for k, net in enumerate(array.gates or ())
    ]
    slots = (*sources, *gates, source_slot(MARK, MARK, points))
    deck = Deck(
        title=f"{request.phase.kind} phase, {array.name} {array.rows} x {array.columns}, netlist {circuit.definition.name}",
        body=(*circuit.text.splitlines(), *cards, *reacting.cards, *(slot.text() for slot in slots)),
        slots=(),
        saves=tuple(dict.fromkeys((*_saves(request, circuit, graph, states, series), *reacting.saves))),
        analysis=largest_step(request.phase, STEPS),
        options=tuple(options),
        watch=reacting.watch,
    )
    return ForeignDeck(deck, request, circuit, graph, states, series)


def _conducting(request: PhaseRequest, circuit: ForeignCircuit) -> Mask:
    """Return which cells are part of the circuit: all, but for rows that cosim's own access devices open."""
    array = request.network.arrays[0]
    on = np.ones(array.shape, dtype=np.bool_)
    if array.gates is not None and "gate" not in circuit.ports:
        levels = [request.phase.gate_level(net) > array.cell.gate_threshold for net in array.gates]
        on &= np.array(levels)[:, np.newaxis]
    return on


def _place(site: Site) -> str:
    return f"{site.row}_{site.column}"


def _cells(request: PhaseRequest, circuit: ForeignCircuit, graph: Graph, series: float) -> Iterator[str]:
    """Return wires, line capacitances and an instance for every cell."""
    for number, branch in enumerate(graph.branches):
        yield f"rl{number} {branch.first} {branch.second} {spice(branch.total)}"
    for c in graph.capacitors:
        voltage = initial_voltage(request, c)
        yield f"cl{c.side}_{c.row}_{c.column} {c.node} 0 {spice(c.capacitance)} ic={spice(voltage)}"
    by_port = {port: role for role, port in circuit.ports.items()}
    for site in graph.sites:
        at = _place(site)
        far = f"d{at}" if series > 0 else site.bit
        ends = {"word": f"m{at}", "bit": f"n{at}", "gate": f"gate{site.row}"}
        nodes = [ends[by_port[port]] if port in by_port else f"s{at}" for port in circuit.definition.ports]
        yield f"vm{at} {site.word} m{at} dc 0"
        yield f"vn{at} n{at} {far} dc 0"
        if series > 0:
            yield f"ra{at} {far} {site.bit} {spice(series)}"
        own = _own(circuit, request.states[0], site.row, site.column)
        yield " ".join([f"xc{at}", *nodes, circuit.definition.name, *own])


def _own(circuit: ForeignCircuit, states: FloatArray, row: int, column: int) -> list[str]:
    """Return the parameters of one instance."""
    given = [f"{key}={spice(value)}" for key, value in circuit.parameters.items()]
    if circuit.state is not None and circuit.state.parameter is not None:
        name = expanded(circuit.state.parameter, row, column)
        given.append(f"{name}={spice(float(states[row, column]) / circuit.state.scale)}")
    return given


def _cell_states(circuit: ForeignCircuit, graph: Graph) -> tuple[str, ...]:
    """Return the state node of every cell of the circuit, in the order of its sites."""
    if circuit.state is None:
        return ()
    node = circuit.state.node
    at_port = node in circuit.definition.ports
    return tuple(f"s{_place(site)}" if at_port else f"xc{_place(site)}.{node}" for site in graph.sites)


def _end_resistance(request: PhaseRequest) -> dict[str, float]:
    """Return the resistance [ohm] between each net and its line."""
    array = request.network.arrays[0]
    left = {net: array.r_left for net in array.left or () if net is not None}
    return left | {net: array.r_bottom for net in array.bottom or () if net is not None}


def _whole(request: PhaseRequest, circuit: ForeignCircuit, nodes: dict[str, str]) -> Iterator[str]:
    """Return the instance of a whole crossbar and the line-end resistances."""
    array = request.network.arrays[0]
    lines = {("word_lines", k): net for k, net in enumerate(array.left or ())}
    lines |= {("bit_lines", k): net for k, net in enumerate(array.bottom or ())}
    ends = {}
    for key, port in circuit.line_ports(*array.shape).items():
        if key[0] == "gate_lines":
            ends[port] = f"gate{key[1]}"
            continue
        node = nodes[str(lines[key])]
        ohm = _end_resistance(request)[str(lines[key])]
        ends[port] = f"p_{node}" if ohm > 0 else node
        if ohm > 0:
            yield f"re_{node} {node} p_{node} {spice(ohm)}"
    states = {node: f"s{k}" for k, node in enumerate(circuit.state_nodes(*array.shape))}
    ports = [ends[port] if port in ends else states[port] for port in circuit.definition.ports]
    given = [f"{key}={spice(value)}" for key, value in circuit.parameters.items()]
    if circuit.state is not None and circuit.state.parameter is not None:
        for i, j in np.ndindex(array.shape):
            given.append(_own(circuit, request.states[0], i, j)[-1])
    yield " ".join(["xa", *ports, circuit.definition.name, *given])


def _whole_states(request: PhaseRequest, circuit: ForeignCircuit) -> tuple[str, ...]:
    nodes = circuit.state_nodes(*request.network.arrays[0].shape)
    return tuple(
        f"s{k}" if node in circuit.definition.ports else f"xa.{node}" for k, node in enumerate(nodes)
    )


def _initial(
    request: PhaseRequest, circuit: ForeignCircuit, graph: Graph, states: tuple[str, ...]
) -> Iterator[tuple[str, float]]:
    """Return the state nodes that are set from outside, with their voltages."""
    if circuit.state is None or circuit.state.parameter is not None:
        return
    values = request.states[0]
    flat = values.ravel() if circuit.whole else [values[site.row, site.column] for site in graph.sites]
    for node, value in zip(states, flat, strict=True):
        yield node, float(value) / circuit.state.scale


def _saves(
    request: PhaseRequest, circuit: ForeignCircuit, graph: Graph, states: tuple[str, ...], series: float
) -> Iterator[str]:
    for node in graph.nodes or graph.nets.values():
        yield f"v({node})"
    yield from (f"v({node})" for node in graph.nets.values())
    yield from (f"i(v{source_name(node)})" for node in graph.driven.values())
    for site in graph.sites:
        yield f"i(vm{_place(site)})"
        yield f"i(vn{_place(site)})"
        if series > 0:
            yield f"v(d{_place(site)})"
    yield from (f"v({node})" for node in states)


class _Reading:
    """The vectors of a `ForeignDeck` as a phase result."""

    def __init__(self, plan: ForeignDeck, vectors: SpiceVectors) -> None:
        self._plan, self._request = plan, plan.request
        early = vectors.time[0] > 0
        self.time = np.concatenate([[0.0], vectors.time]) if early else vectors.time
        self._values = np.vstack([vectors.values[:1], vectors.values]) if early else vectors.values
        self._index = {name: k for k, name in enumerate(vectors.names)}

    def _column(self, name: str) -> Floats:
        return self._values[:, self._index[name]]

    @cached_property
    def _net_voltage(self) -> Floats:
        network, graph, phase = self._request.network, self._plan.graph, self._request.phase
        columns = []
        for net in network.nets:
            if net in graph.nets:
                columns.append(self._column(f"v({graph.nets[net]})"))
            else:
                drive = phase.drives.get(net)
                columns.append(drive.at(self.time * 1e15) if drive is not None else np.zeros(len(self.time)))
        return np.array(columns).T

    @cached_property
    def _net_current(self) -> Floats:
        result = np.zeros_like(self._net_voltage)
        for net, node in self._plan.graph.driven.items():
            result[:, self._request.network.net_index[net]] = -self._column(f"i(v{source_name(node)})")
        return result

    def _states(self) -> FloatArray:
        """Return the final states inside their bounds; cells that are not part of the circuit age at 0 V."""
        array, circuit, before = self._request.network.arrays[0], self._plan.circuit, self._request.states[0]
        if circuit.state is None:
            return before
        seen = np.array([self._column(f"v({node})")[-1] for node in self._plan.states]) * circuit.state.scale
        if circuit.whole:
            after = seen.reshape(array.shape)
        else:
            rest, duration = np.zeros(array.shape), seconds(self._request.phase.duration_fs)
            after = array.device.advance(before, rest, duration, self._request.temperature)
            for site, value in zip(self._plan.graph.sites, seen, strict=True):
                after[site.row, site.column] = value
        return np.clip(after, *array.device.state_bounds())

    def _energy(self) -> Energy:
        array = self._request.network.arrays[0]
        delivered, absorbed = signed_product_integrals(self.time, self._net_voltage, self._net_current)
        cells, access, wires, ends = np.zeros(array.shape), 0.0, 0.0, 0.0
        for branch in self._plan.graph.branches:
            flow = (self._column(f"v({branch.first})") - self._column(f"v({branch.second})")) / branch.total
            squares = float(product_integral(self.time, flow, flow))
            wires, ends = wires + squares * branch.wire, ends + squares * branch.termination
        for site in self._plan.graph.sites:
            at = _place(site)
            enters, leaves = self._column(f"i(vm{at})"), self._column(f"i(vn{at})")
            far = self._column(f"v(d{at})" if self._plan.series > 0 else f"v({site.bit})")
            taken = product_integral(self.time, self._column(f"v({site.word})"), enters)
            cells[site.row, site.column] = taken - product_integral(self.time, far, leaves)
            access += self._plan.series * float(product_integral(self.time, leaves, leaves))
        if self._plan.circuit.whole:
            squares_of = product_integral(self.time, self._net_current, self._net_current)
            resistance = _end_resistance(self._request)
            ends = float(
                sum(squares_of[self._request.network.net_index[net]] * r for net, r in resistance.items())
            )
            cells += (float(delivered.sum() - absorbed.sum()) - ends) / cells.size
        return Energy(delivered, absorbed, (cells,), access, wires, ends, self._stored())

    def _stored(self) -> float:
        """Return the gain of the energy in line capacitance [J]."""
        total = 0.0
        for c in self._plan.graph.capacitors:
            before = initial_voltage(self._request, c)
            after = float(self._column(f"v({c.node})")[-1])
            total += 0.5 * c.capacitance * (after**2 - before**2)
        return total

    def _node_voltages(self) -> tuple[FloatArray, ...] | None:
        if not self._request.network.has_capacitance or self._plan.circuit.whole:
            return None
        block = np.zeros((2, *self._request.network.arrays[0].shape))
        for c in self._plan.graph.capacitors:
            block[c.side, c.row, c.column] = self._column(f"v({c.node})")[-1]
        return (block,)

    def _residual(self) -> float:
        largest = float(np.abs(self._net_current).max(initial=0.0))
        if self._plan.circuit.whole or self._plan.graph.capacitors or largest == 0:
            return 0.0  # a circuit with a ground or a supply of its own need not balance at the nets
        return float(np.abs(self._net_current.sum(axis=1)).max()) / largest

    def result(self) -> PhaseResult:
        """Return what the seam asks for."""
        phase, nets = self._request.phase, self._request.network.nets
        instants, shape = [seconds(s) for s in phase.strobes_fs], (len(phase.strobes_fs), len(nets))
        voltage = np.array([interpolate(self.time, self._net_voltage, at) for at in instants]).reshape(shape)
        current = np.array([interpolate(self.time, self._net_current, at) for at in instants]).reshape(shape)
        saved = None
        wanted = tuple(net for net in phase.save if net in self._request.network.net_index)
        if wanted:
            columns = [self._request.network.net_index[net] for net in wanted]
            saved = SavedWaveforms(self.time, wanted, self._net_voltage[:, columns])
        return PhaseResult(
            states=(self._states(),),
            node_voltages=self._node_voltages(),
            duration_fs=phase.duration_fs,
            samples=Samples(phase.strobes_fs, nets, voltage, current),
            net_charge=integral(self.time, self._net_current),
            energy=self._energy(),
            kcl_residual=self._residual(),
            applied=("netlist", "netlist_energy") if self._plan.circuit.whole else ("netlist",),
            saved=saved,
        )
