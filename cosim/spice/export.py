"""Our arrays in PySpice circuits, and PySpice circuits as decks.

`as_pyspice` gives PySpice users a crossbar as a ``SubCircuit`` to place in circuits of their own;
`circuit_text` takes a circuit that they made (or its text) and returns guarded netlist text, and
`circuit_deck` a deck of it that runs by hand.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cosim.crossbar.network import CrossbarArray, Network
from cosim.devices.base import FloatArray
from cosim.errors import CrossbarError, UnsupportedRequestError
from cosim.spice.cards import OperatingPoint, Slot, Transient
from cosim.spice.deck import capacitor_label, initial_voltages
from cosim.spice.frame import OPTIONS, Frame, device_node, make_frame, tag
from cosim.spice.graph import Site, net_nodes
from cosim.spice.guard import check_identifier, guard_netlist
from cosim.spice.pyspice_fence import new_subcircuit
from cosim.units import spice

_OFF_RESISTANCE = 1e15
_STEPS = 1000


def as_pyspice(
    network: Network,
    states: Sequence[FloatArray] | None = None,
    *,
    name: str = "crossbar",
    temperature: float = 300.0,
) -> Any:
    """Return a network as a PySpice ``SubCircuit``.

    Its terminals are the nets of the network in order, then its gate nets; a 1T1R cell is a switch
    between device and bit line, on where the gate net is above the cell's threshold.

    Parameters
    ----------
    network : Network
        Arrays joined by nets.
    states : sequence of array (rows, columns[, k]), optional
        Initial states; by default every cell is at its lowest conductance.
    name : str
        Name of the subcircuit.
    temperature : float
        Temperature of the devices [K].

    Raises
    ------
    CrossbarError
        Where there is not one state array for each array.
    NetlistRefusedError
        For a name that may not enter a netlist.
    """
    if states is None:
        rng = np.random.default_rng(0)
        states = [array.device.initial_state(array.shape, rng) for array in network.arrays]
    if len(states) != len(network.arrays):
        raise CrossbarError(
            f"there must be one state array for each of the {len(network.arrays)} arrays, not {len(states)}"
        )
    for array in network.arrays:
        if not array.cell.linear:
            raise UnsupportedRequestError(
                f"array {array.name}: an exported subcircuit has switches as access devices; leave out cell.transistor, or choose cells of another kind than 1S1R"
            )
    nets = net_nodes(network)
    gates = {gate: f"gate{index}" for index, gate in enumerate(network.gate_nets)}
    nodes = [nets[net] for net in network.nets] + list(gates.values())
    cards = list(_cards(network, states, temperature, gates))
    return new_subcircuit(check_identifier(name, "the name of a subcircuit"), nodes, cards)


def _cards(
    network: Network, states: Sequence[FloatArray], temperature: float, gates: dict[str, str]
) -> Iterator[str]:
    """Return all cards of a network with every cell present."""
    full = [np.ones(array.shape, dtype=np.bool_) for array in network.arrays]
    moving = [array.device.subcircuit(temperature) is not None for array in network.arrays]
    live = tuple((mask & moves).tobytes() for mask, moves in zip(full, moving, strict=True))
    still = tuple((mask & (not moves)).tobytes() for mask, moves in zip(full, moving, strict=True))
    frame = make_frame(network, network.nets, live, still, temperature, False)
    yield from (card for card in frame.body if not card.startswith("ra"))
    for index, array in enumerate(network.arrays):
        if array.cell.gated:
            yield _access_model(index, array)
    yield from _cell_cards(network, states, frame, gates)
    for capacitor in frame.graph.charged:
        yield f"c{capacitor_label(capacitor)} {capacitor.node} 0 {spice(capacitor.capacitance)}"


def _cell_cards(
    network: Network, states: Sequence[FloatArray], frame: Frame, gates: dict[str, str]
) -> Iterator[str]:
    for site, (card, commands) in zip(frame.live, frame.live_blanks, strict=True):
        yield Slot(card, commands, initial_voltages(states[site.array], site, frame.twins[site.array])).text()
        yield from _access(site, network.arrays[site.array], gates)
    for site in frame.still:
        array = network.arrays[site.array]
        g = float(
            np.broadcast_to(array.device.conductance(states[site.array]), array.shape)[site.row, site.column]
        )
        if g > 0:
            far = device_node(site) if array.cell.gated else site.bit
            yield f"rc{tag(site)} {site.word} {far} {spice(1 / g)}"
            yield from _access(site, array, gates)


def _access_model(index: int, array: CrossbarArray) -> str:
    cell = array.cell
    return (
        f".model cosim_access_{index} sw(vt={spice(cell.gate_threshold)} vh=0 "
        f"ron={spice(cell.access_resistance)} roff={spice(_OFF_RESISTANCE)})"
    )


def _access(site: Site, array: CrossbarArray, gates: dict[str, str]) -> Iterator[str]:
    if array.gates is not None:
        gate = gates[array.gates[site.row]]
        yield f"sa{tag(site)} {device_node(site)} {site.bit} {gate} 0 cosim_access_{site.array}"


def circuit_text(circuit: object, *, folder: Path | None = None, name: str = "circuit") -> str:
    """Return the guarded netlist text of a PySpice circuit, or of any object whose ``str`` is a netlist.

    Raises `NetlistRefusedError` for anything outside of what the guard allows.
    """
    return guard_netlist(str(circuit), folder=folder, name=name, top_level=True)


def circuit_deck(circuit: object, *, stop_s: float | None = None) -> str:
    """Return a whole deck of a PySpice circuit, which runs by hand with ``ngspice -n -b``.

    Parameters
    ----------
    circuit : object
        A PySpice ``Circuit``, or any object whose ``str`` is a netlist; it passes the guard.
    stop_s : float, optional
        End of a transient from the initial states [s]; without it the operating point is found.
    """
    analysis = OperatingPoint() if stop_s is None else Transient(stop_s, stop_s / _STEPS)
    options = " ".join(f"{name}={value:g}" for name, value in OPTIONS.items())
    body = circuit_text(circuit)
    return f"* cosim: a circuit of PySpice\n{body}.options {options}\n.{analysis.command()}\n.end\n"
