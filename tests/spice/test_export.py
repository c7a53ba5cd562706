"""Arrays as PySpice subcircuits, and PySpice circuits as guarded decks."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from cosim.backends.ngspice import NgspiceBackend
from cosim.crossbar import Cell, Network, Phase, PhaseRequest, Segments, level, single
from cosim.devices import DeviceModel, Resistor, find_preset
from cosim.errors import CrossbarError, NetlistRefusedError
from cosim.spice import as_pyspice, circuit_text
from cosim.spice.cards import Deck, OperatingPoint, Transient
from cosim.spice.engines import SpiceEngine
from cosim.spice.machine import pyspice_version

pytestmark = [
    pytest.mark.ngspice,
    pytest.mark.skipif(not pyspice_version(), reason="PySpice is not installed"),
]

VOLTAGES = (0.2, 0.1, 0.15)


@pytest.fixture(scope="module")
def pyspice_circuit() -> Callable[[str], Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from PySpice.Spice.Netlist import Circuit
    return Circuit


def network(device: DeviceModel, gated: bool) -> Network:
    cell = Cell("1T1R", access_resistance=5e3) if gated else Cell()
    return single("a", (3, 2), device, cell, Segments(2.5, 2.5), r_source=10.0)


@pytest.mark.parametrize("gated", [False, True])
@pytest.mark.parametrize("preset", ["mss-firm", "rs-ktram", "resistor"])
def test_array_in_a_circuit_of_their_own(
    spice: SpiceEngine, pyspice_circuit: Callable[[str], Any], preset: str, gated: bool
) -> None:
    device = Resistor() if preset == "resistor" else find_preset(preset)
    net = network(device, gated)
    states = (device.state_for(np.random.default_rng(0).uniform(2e-6, 9e-6, (3, 2))),)
    circuit = pyspice_circuit("an array of ours")
    circuit.subcircuit(as_pyspice(net, states))
    gates = ("gl0", "gl1", "gl2") if gated else ()
    circuit.X("1", "crossbar", *net.nets, *gates)
    for row, voltage in enumerate(VOLTAGES):
        circuit.V(f"wl{row}", f"wl{row}", circuit.gnd, voltage)
    for column in range(2):
        circuit.V(f"bl{column}", f"bl{column}", circuit.gnd, 0)
    for row, gate in enumerate(gates):
        circuit.V(gate, gate, circuit.gnd, 1.8 if row < 2 else 0)
    body = tuple(circuit_text(circuit).splitlines())
    assert not any(line.startswith((".title", "*")) for line in body)
    deck = Deck("theirs", body, (), ("i(vbl0)", "i(vbl1)"), Transient(1e-9, 1e-10), ("reltol=1e-9",))
    found = spice.run(deck, 20).values[-1]
    drives = {f"wl{row}": level(voltage) for row, voltage in enumerate(VOLTAGES)} | {
        "bl0": level(0.0),
        "bl1": level(0.0),
    }
    drives |= {gate: level(1.8 if row < 2 else 0.0) for row, gate in enumerate(gates)}
    request = PhaseRequest(net, states, None, 0, 300.0, Phase("read", 10**6, drives, (10**6,)), 0)
    expected = -NgspiceBackend(spice).run(request).samples.current[0, -2:]
    assert found == pytest.approx(expected.tolist(), rel=1e-6)


def test_circuit_with_foreign_cards_is_refused(
    spice: SpiceEngine, pyspice_circuit: Callable[[str], Any]
) -> None:
    circuit = pyspice_circuit("theirs")
    circuit.V("x", "a", circuit.gnd, 1)
    circuit.R("1", "a", circuit.gnd, 2000)
    deck = Deck("theirs", tuple(circuit_text(circuit).splitlines()), (), ("i(vx)",), OperatingPoint())
    assert spice.run(deck, 10).values[0, 0] == pytest.approx(-5e-4)
    circuit.raw_spice = ".control\nshell touch x\n.endc"
    with pytest.raises(NetlistRefusedError, match=r"a card must be one of"):
        circuit_text(circuit)


def test_wrong_states_and_names() -> None:
    net = network(Resistor(), gated=False)
    with pytest.raises(CrossbarError, match="one state array for each of the 1 arrays, not 2"):
        as_pyspice(net, (np.ones((3, 2)), np.ones((3, 2))))
    with pytest.raises(NetlistRefusedError, match="the name of a subcircuit"):
        as_pyspice(net, name="a b")
    assert str(as_pyspice(replace(net))).startswith(
        ".subckt crossbar net_wl0 net_wl1 net_wl2 net_bl0 net_bl1"
    )
