"""The least circuit of a phase: exact reductions, merged nodes, what nothing reaches."""

from __future__ import annotations

import numpy as np
import pytest

from cosim.crossbar import Cell, CrossbarArray, Network, Segments, single
from cosim.devices import Resistor
from cosim.errors import UnsupportedRequestError
from cosim.spice.graph import build_graph, net_nodes

ALL = np.ones((2, 3), dtype=np.bool_)


def network(wires: float = 2.0, r_source: float = 0.0, r_sink: float = 0.0, c: float = 0.0) -> Network:
    return single(
        "a", (2, 3), Resistor(), Cell(), Segments(wires, wires, c, c), r_source=r_source, r_sink=r_sink
    )


def test_full_array_has_every_segment() -> None:
    net = network(r_source=10.0)
    graph = build_graph(net, net.nets, [ALL])
    assert len(graph.branches) == 2 * 3 + 3 * 2
    assert len(graph.sites) == 6
    assert len(graph.nodes) == 2 * 6 + 5
    first = graph.branches[0]
    assert (first.first, first.second, first.wire, first.termination) == ("net_wl0", "w0_0_0", 2.0, 10.0)


def test_lines_without_cells_between_become_one_branch_and_dangling_ends_go() -> None:
    net = network(r_sink=5.0)
    only = np.zeros_like(ALL)
    only[0, 1] = True
    graph = build_graph(net, net.nets, [only])
    assert {(b.first, b.second): (b.wire, b.termination) for b in graph.branches} == {
        ("net_wl0", "w0_0_1"): (4.0, 0.0),
        ("b0_0_1", "net_bl1"): (4.0, 5.0),
    }
    assert set(graph.driven) == {"wl0", "bl1"}


def test_nets_with_capacitance_are_kept_where_nothing_drives_them() -> None:
    base = network(r_sink=5.0)
    graph = build_graph(Network(base.arrays, {"bl1": 2e-15, "bl2": 0.0}), ("wl0",), [ALL])
    assert [(c.net, c.node, c.capacitance) for c in graph.net_capacitors] == [("bl1", "net_bl1", 2e-15)]
    assert "net_bl1" in graph.nodes
    assert graph.charged == graph.net_capacitors


def test_zero_ohm_joins_nodes_and_keeps_the_driven_net() -> None:
    net = network(wires=0.0)
    graph = build_graph(net, net.nets, [ALL])
    assert graph.branches == ()
    assert {(s.word, s.bit) for s in graph.sites} == {
        (f"net_wl{i}", f"net_bl{j}") for i in range(2) for j in range(3)
    }


def test_shorted_driven_nets_are_refused() -> None:
    array = CrossbarArray("a", 1, 1, Resistor(), Cell(), Segments(), left=("p",), right=("q",), bottom=("b",))
    with pytest.raises(UnsupportedRequestError, match="'p' and 'q' are joined by wires of 0 ohm"):
        build_graph(Network((array,)), ("p", "q", "b"), [np.ones((1, 1), dtype=np.bool_)])
    graph = build_graph(Network((array,)), ("p", "b"), [np.ones((1, 1), dtype=np.bool_)])
    assert graph.nets["q"] == "net_p"


def test_what_nothing_drives_is_left_out() -> None:
    net = network()
    assert build_graph(net, (), [ALL]).nodes == ()
    assert build_graph(net, ("wl0",), [~ALL]).driven == {}
    floating = build_graph(net, ("wl0", "bl0"), [ALL])
    assert set(floating.nets) == set(net.nets)
    assert set(floating.driven) == {"wl0", "bl0"}


def test_capacitors_keep_every_node() -> None:
    net = network(c=1e-16)
    graph = build_graph(net, (), [~ALL])
    assert len(graph.capacitors) == 12
    assert len(graph.nodes) >= 12


def test_arrays_joined_by_a_net_are_one_circuit() -> None:
    def array(name: str, left: str) -> CrossbarArray:
        return CrossbarArray(name, 1, 1, Resistor(), Cell(), Segments(1.0, 1.0), left=(left,), bottom=("y",))

    net = Network((array("p", "up"), array("q", "down")))
    graph = build_graph(net, ("up", "down"), [np.ones((1, 1), dtype=np.bool_)] * 2)
    assert graph.nets["y"] == "net_y"
    assert len(graph.sites) == 2
    assert len(graph.branches) == 4


def test_net_names_are_plain_and_different() -> None:
    array = CrossbarArray(
        "a", 4, 1, Resistor(), Cell(), Segments(), left=("A", "a", "x y\n.control", "9"), bottom=("b",)
    )
    nodes = net_nodes(Network((array,)))
    assert len(set(nodes.values())) == 5
    assert all(node.isidentifier() and node == node.lower() for node in nodes.values())
