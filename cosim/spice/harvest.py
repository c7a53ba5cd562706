"""From the vectors of a simulation back to a phase result: states, samples, charges, energies.

Everything is computed from saved voltages and source currents after the run. Delivered energy comes
from the sources' v*i, dissipated energy from the voltages across cells, access devices and branches,
so the two sides of the balance are independent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from cosim.crossbar.backend import Energy, PhaseResult, Samples, SavedWaveforms
from cosim.devices.base import FloatArray
from cosim.spice.cards import Floats, SpiceVectors
from cosim.spice.deck import PhaseDeck, initial_voltage, start_voltages
from cosim.spice.frame import source_name
from cosim.spice.quadrature import integral, product_integral, signed_product_integrals
from cosim.units import seconds


@dataclass(frozen=True)
class _CellWaves:
    """Voltage across and current through each device of an array, and its state: (points, rows, columns)."""

    voltage: Floats
    current: Floats
    state: Floats
    access: float


class Harvest:
    """Reads one simulation of a `PhaseDeck`; `result` gives what the seam asks for."""

    def __init__(self, plan: PhaseDeck, vectors: SpiceVectors) -> None:
        self._plan = plan
        self._request = plan.request
        self._graph = plan.graph
        self._index = plan.frame.index
        self.time, self._values = self._with_start(vectors)

    def _with_start(self, vectors: SpiceVectors) -> tuple[Floats, Floats]:
        """Return time and values with the sample at t = 0, which ngspice does not store.

        Driven nets, states and what holds charge are known there; all else runs straight through the
        first two points, which lie within a small part of the first edge.
        """
        time, values, frame = vectors.time, vectors.values, self._plan.frame
        if time[0] <= 0:
            return time, values
        first = values[0].copy()
        if len(time) > 1:
            first -= (values[1] - values[0]) * (time[0] / (time[1] - time[0]))
        for c, voltage in zip(self._graph.charged, start_voltages(self._request, self._graph), strict=True):
            first[self._index[f"v({c.node})"]] = voltage
        for net, node in self._graph.driven.items():
            first[self._index[f"v({node})"]] = self._request.phase.drives[net].at(np.zeros(1))[0]
        for cells, state, twin in zip(frame.live_cells, self._request.states, frame.twins, strict=True):
            if twin is not None:
                first[cells.state] = state[cells.place].reshape(cells.state.shape) / np.array(twin.scale)
        return np.concatenate([[0.0], time]), np.vstack([first, values])

    def _voltages(self, nodes: Sequence[str]) -> Floats:
        """Return the voltages [V] of nodes, (points, nodes)."""
        return self._values[:, [self._index[f"v({node})"] for node in nodes]]

    @cached_property
    def _net_voltage(self) -> Floats:
        """Voltage of every net [V], (points, nets); 0 V for one that nothing reaches."""
        nets = self._request.network.nets
        result = np.zeros((len(self.time), len(nets)))
        for column, net in enumerate(nets):
            if net in self._graph.nets:
                result[:, column] = self._values[:, self._index[f"v({self._graph.nets[net]})"]]
            elif net in self._request.phase.drives:
                result[:, column] = self._request.phase.drives[net].at(self.time * 1e15)
        return result

    @cached_property
    def _net_current(self) -> Floats:
        """Current from every net into the arrays [A], (points, nets)."""
        result = np.zeros_like(self._net_voltage)
        for net, node in self._graph.driven.items():
            column = self._request.network.net_index[net]
            result[:, column] = -self._values[:, self._index[f"i(v{source_name(node)})"]]
        return result

    @cached_property
    def _cells(self) -> tuple[_CellWaves, ...]:
        return tuple(self._array_waves(index) for index in range(len(self._plan.plans)))

    def _array_waves(self, index: int) -> _CellWaves:
        """Return the waves of one array; open cells have neither voltage nor current."""
        array, plan, frame = self._request.network.arrays[index], self._plan.plans[index], self._plan.frame
        shape = (len(self.time), *array.shape)
        voltage, current, access = np.zeros(shape), np.zeros(shape), np.zeros(shape)
        still = frame.still_cells[index]
        place = (slice(None), *still.place)
        across = self._values[:, still.word] - self._values[:, still.device]
        current[place] = across / (plan.still_resistance[still.place] + plan.series)
        access[place] = (
            current[place] * plan.series + self._values[:, still.device] - self._values[:, still.bit]
        )
        voltage[place] = self._values[:, still.word] - self._values[:, still.bit] - access[place]
        state = self._state_waves(index)
        live = frame.live_cells[index]
        if len(live):
            place = (slice(None), *live.place)
            voltage[place] = self._values[:, live.word] - self._values[:, live.device]
            access[place] = self._values[:, live.device] - self._values[:, live.bit]
            if plan.series > 0:
                current[place] = access[place] / plan.series
            else:
                current[place] = array.device.current(state, voltage)[place]
        lost = (
            float(product_integral(self.time, access, current).sum())
            if array.cell.access is not None
            else 0.0
        )
        return _CellWaves(voltage, current, state, lost)

    def _state_waves(self, index: int) -> Floats:
        """Return the states over time, (points, rows, columns[, k]); only live ones change."""
        state = self._request.states[index]
        waves = np.broadcast_to(state, (len(self.time), *state.shape)).copy()
        twin, live = self._plan.frame.twins[index], self._plan.frame.live_cells[index]
        if twin is not None:
            seen = self._values[:, live.state] * np.array(twin.scale)
            waves[(slice(None), *live.place)] = seen if state.ndim > 2 else seen[..., 0]
        return waves

    def final_state(self, index: int) -> FloatArray:
        """Return the states at the end, inside their bounds; cells that were not live are aged in closed form."""
        array, live = self._request.network.arrays[index], self._plan.frame.live_cells[index]
        if not array.device.moves:
            return self._request.states[index]
        low, high = array.device.state_bounds()
        after: FloatArray = self._cells[index].state[-1]
        if len(live) < array.rows * array.columns:
            aged = self._aged(index)
            aged[live.place] = after[live.place]
            after = aged
        return np.clip(after, low, high)

    def _aged(self, index: int) -> FloatArray:
        """Return the states advanced through the straight pieces of the phase at their mean voltage."""
        array, waves = self._request.network.arrays[index], self._cells[index]
        state = self._request.states[index]
        if not self._plan.still_sites:
            duration = seconds(self._request.phase.duration_fs)
            return array.device.advance(state, np.zeros(array.shape), duration, self._request.temperature)
        corners = np.array([seconds(t) for t in self._request.phase.corners_fs()])
        middles = 0.5 * (corners[1:] + corners[:-1])
        flat = waves.voltage.reshape(len(self.time), -1)
        for at, step in zip(middles, np.diff(corners), strict=True):
            voltage = interpolate(self.time, flat, at).reshape(array.shape)
            state = array.device.advance(state, voltage, float(step), self._request.temperature)
        return state

    def _node_voltages(self) -> tuple[FloatArray, ...] | None:
        """Return the line voltages at the end, (2, rows, columns) per array, where lines have capacitance."""
        network = self._request.network
        if not network.has_capacitance:
            return None
        blocks = [np.zeros((2, *array.shape)) for array in network.arrays]
        for c in self._graph.capacitors:
            blocks[c.array][c.side, c.row, c.column] = self._values[-1, self._index[f"v({c.node})"]]
        for site in self._graph.sites:
            for side, node in enumerate((site.word, site.bit)):
                blocks[site.array][side, site.row, site.column] = self._values[-1, self._index[f"v({node})"]]
        return tuple(blocks)

    def _energy(self) -> Energy:
        delivered, absorbed = signed_product_integrals(self.time, self._net_voltage, self._net_current)
        first, second = self._plan.frame.branch_places
        total, wire, termination = self._plan.frame.branch_resistances
        flow = (self._values[:, first] - self._values[:, second]) / total
        squares = product_integral(self.time, flow, flow)
        _, power, heat = self._jumps
        return Energy(
            delivered=delivered + np.maximum(power, 0.0),
            absorbed=absorbed + np.maximum(-power, 0.0),
            cells=tuple(product_integral(self.time, w.voltage, w.current) for w in self._cells),
            access=sum(w.access for w in self._cells),
            wires=float(squares @ wire),
            terminations=float(squares @ termination) + heat,
            stored=self._stored(),
        )

    def _stored(self) -> float:
        """Return the gain of the energy in the capacitance of lines and nets [J]."""
        capacitors = self._graph.charged
        after = self._voltages([c.node for c in capacitors])[-1]
        before = np.array([initial_voltage(self._request, c) for c in capacitors])
        return float(0.5 * np.array([c.capacitance for c in capacitors]) @ (after**2 - before**2))

    @cached_property
    def _jumps(self) -> tuple[FloatArray, FloatArray, float]:
        """Return per net the charge that capacitors at driven nodes take at the start [C], its energy and its heat [J].

        A driver at V takes a capacitor from u to V at once: it gives C (V - u) V, and C (V - u)^2 / 2 becomes heat.
        """
        nets = self._request.network.nets
        charge, energy, heat = np.zeros(len(nets)), np.zeros(len(nets)), 0.0
        column = {node: self._request.network.net_index[net] for net, node in self._graph.driven.items()}
        for c, start in zip(self._graph.charged, start_voltages(self._request, self._graph), strict=True):
            change = start - initial_voltage(self._request, c)
            if change != 0.0:
                charge[column[c.node]] += c.capacitance * change
                energy[column[c.node]] += c.capacitance * change * start
                heat += 0.5 * c.capacitance * change * change
        return charge, energy, heat

    def _samples(self) -> Samples:
        strobes = self._request.phase.strobes_fs
        instants = [seconds(strobe) for strobe in strobes]
        nets = self._request.network.nets
        voltage = np.array([interpolate(self.time, self._net_voltage, at) for at in instants])
        current = np.array([interpolate(self.time, self._net_current, at) for at in instants])
        shape = (len(strobes), len(nets))
        return Samples(strobes, nets, voltage.reshape(shape), current.reshape(shape))

    def _saved(self) -> SavedWaveforms | None:
        nets = tuple(net for net in self._request.phase.save if net in self._request.network.net_index)
        if not nets:
            return None
        columns = [self._request.network.net_index[net] for net in nets]
        return SavedWaveforms(self.time, nets, self._net_voltage[:, columns])

    def _residual(self) -> float:
        """Return the largest sum of all net currents, relative to the largest current of the phase."""
        largest = float(np.abs(self._net_current).max(initial=0.0))
        if self._graph.charged or largest == 0:
            return 0.0
        return float(np.abs(self._net_current.sum(axis=1)).max()) / largest

    def result(self, applied: tuple[str, ...], states: tuple[FloatArray, ...] | None = None) -> PhaseResult:
        """Return the outcome of the phase; ``states`` replace those that came out of the simulation."""
        if states is None:
            states = tuple(self.final_state(index) for index in range(len(self._plan.plans)))
        return PhaseResult(
            states=states,
            node_voltages=self._node_voltages(),
            duration_fs=self._request.phase.duration_fs,
            samples=self._samples(),
            net_charge=integral(self.time, self._net_current) + self._jumps[0],
            energy=self._energy(),
            kcl_residual=self._residual(),
            applied=applied,
            saved=self._saved(),
            net_voltages=self._net_voltage[-1] if self._request.network.capacitance else None,
        )

    def exposure(self, index: int) -> FloatArray:
        """Return the time integral of `DeviceModel.exposure_rate` for each cell of an array."""
        array, waves = self._request.network.arrays[index], self._cells[index]
        return integral(self.time, array.device.exposure_rate(waves.voltage, self._request.temperature))


def interpolate(time: Floats, values: Floats, at: float) -> Floats:
    """Return ``values`` (points, n) at one instant; at a point of the solver exactly that point."""
    after = min(int(np.searchsorted(time, at)), len(time) - 1)
    nearest = after - 1 if after > 0 and at - time[after - 1] < time[after] - at else after
    if abs(time[nearest] - at) <= 1e-12 * time[-1] or after == 0:
        found: Floats = values[nearest]
        return found
    share = (at - time[after - 1]) / (time[after] - time[after - 1])
    result: Floats = values[after - 1] + share * (values[after] - values[after - 1])
    return result
