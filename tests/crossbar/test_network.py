"""Networks: nets at line ends, checks with the offending index, the conducting part of gated arrays."""

from __future__ import annotations

import dataclasses
import pickle

import numpy as np
import pytest

from cosim.crossbar import Cell, CrossbarArray, Network, Segments, single
from cosim.crossbar.network import live_network
from cosim.devices import Mss, Resistor
from cosim.errors import CrossbarError, DeviceError

R = Resistor()


def array(name: str = "a", **changes: object) -> CrossbarArray:
    plain = CrossbarArray(
        name, 2, 3, R, Cell("1R"), Segments(1.0, 2.0), left=("w0", "w1"), bottom=("b0", "b1", "b2")
    )
    return dataclasses.replace(plain, **changes)  # type: ignore[arg-type]


def test_single() -> None:
    network = single("t", (2, 3), R, Cell("1T1R"), Segments(1.0, 2.0), r_source=5.0, r_sink=7.0)
    assert network.nets == ("wl0", "wl1", "bl0", "bl1", "bl2")
    assert network.gate_nets == ("gl0", "gl1")
    assert network.net_index["bl1"] == 3
    only = network.arrays[0]
    assert (only.shape, only.r_left, only.r_bottom, only.r_right, only.r_top) == ((2, 3), 5.0, 7.0, 0.0, 0.0)
    assert single("t", (2, 3), R, Cell("1R"), Segments()).gate_nets == ()


def test_segments_count_the_ends() -> None:
    one = array()
    assert one.word_segments.shape == (2, 4)
    assert one.bit_segments.shape == (3, 3)
    assert (one.word_segments == 1.0).all()
    assert one.end_losses.shape == (2, 2 * 2 + 2 * 3)
    own = array(segments=Segments(np.arange(8.0).reshape(2, 4), 2.0))
    assert own.word_segments[1, 3] == 7.0


def test_shared_nets_join_arrays() -> None:
    network = Network((array("a"), array("b", left=("w0", "w1"), bottom=("c0", None, "c2"))))
    assert network.nets == ("w0", "w1", "b0", "b1", "b2", "c0", "c2")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"rows": 0}, "array a: must have at least one row and column, not 0 x 3"),
        ({"left": ("w0",)}, "array a.left: must name 2 nets, not 1"),
        ({"top": ("x", "y")}, "array a.top: must name 3 nets, not 2"),
        ({"r_left": -1.0}, "array a.r_left: must be zero or above and finite, not -1.0"),
        ({"r_top": float("inf")}, "array a.r_top: must be zero or above and finite, not inf"),
        ({"r_right": float("nan")}, "array a.r_right: must be zero or above and finite, not nan"),
        ({"cell": Cell("1T1R")}, "array a.gates: a 1T1R array needs one gate net for each of its 2 rows"),
        ({"gates": ("g0", "g1")}, "array a.gates: a 1R array has no gate lines"),
    ],
)
def test_refused_arrays(changes: dict[str, object], sentence: str) -> None:
    with pytest.raises(CrossbarError) as refused:
        array(**changes)
    assert str(refused.value) == sentence


def test_refused_networks() -> None:
    with pytest.raises(CrossbarError, match="must hold at least one array"):
        Network(())
    with pytest.raises(CrossbarError, match="must have different names, not a, a"):
        Network((array("a"), array("a")))
    with pytest.raises(
        CrossbarError, match="capacitance must name nets at line ends of the network, not 'x'"
    ):
        Network((array("a"),), {"x": 1e-15})
    with pytest.raises(
        CrossbarError, match=r"capacitance of net wl0 must be 0 F or above and finite, not -1 F"
    ):
        Network(single("t", (2, 2), R, Cell("1R"), Segments()).arrays, {"wl0": -1})


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"access_resistance": 0.0}, "cell.access_resistance: must be above zero, not 0.0"),
        ({"gate_threshold": 2.0}, "cell.gate_threshold: must be between 0 V and gate_voltage, not 2.0"),
    ],
)
def test_refused_cells(values: dict[str, float], sentence: str) -> None:
    with pytest.raises(DeviceError) as refused:
        Cell("1T1R", **values)
    assert str(refused.value) == sentence


def test_series_resistance_is_the_access_device() -> None:
    assert Cell("1T1R", access_resistance=5e3).series_resistance == 5e3
    assert Cell("1R", access_resistance=5e3).series_resistance == 0.0


def test_networks_pickle() -> None:
    network = single("t", (2, 2), Mss(), Cell("1T1R"), Segments(1.0, 2.0))
    assert network.has_capacitance is False
    again = pickle.loads(pickle.dumps(network))
    assert again.nets == network.nets
    assert again.arrays[0].device.v_on == network.arrays[0].device.v_on


def test_live_network_keeps_the_wire_between_rows() -> None:
    """Rows without a conducting gate leave their bit-line segments in series."""
    bit = np.arange(1.0, 16.0).reshape(5, 3)
    network = single("t", (4, 3), R, Cell("1T1R"), Segments(1.0, bit))
    live = live_network(network, ((False, True, False, True),))
    assert live.network is not None
    part = live.network.arrays[0]
    assert part.shape == (2, 3)
    assert part.left == ("wl1", "wl3")
    assert np.array_equal(part.bit_segments, [bit[0] + bit[1], bit[2] + bit[3], bit[4]])
    assert part.bit_segments.sum() == bit.sum()
    assert live.rows[0].tolist() == [1, 3]
    assert [network.nets[k] for k in live.nets] == ["wl1", "wl3", "bl0", "bl1", "bl2"]
    charged = Network(network.arrays, {"wl0": 1e-15, "bl2": 2e-15})
    reduced = live_network(charged, ((False, True, False, True),)).network
    assert reduced is not None
    assert reduced.capacitance == {"bl2": 2e-15}


def test_live_network_without_a_conducting_row() -> None:
    network = single("t", (2, 2), R, Cell("1T1R"), Segments(1.0, 1.0))
    assert live_network(network, ((False, False),)).network is None
    ungated = single("u", (2, 2), R, Cell("1R"), Segments(1.0, 1.0))
    assert live_network(ungated, (None,)).network is ungated
