"""Lumped capacitance of nets: RC closed forms, clamps, hand-over, energy, with lines, ngspice beside it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cosim.backends.behavioral import BehavioralBackend
from cosim.backends.ngspice import NgspiceBackend
from cosim.backends.paired import deviation
from cosim.crossbar import (
    Cell,
    CrossbarArray,
    Network,
    Phase,
    PhaseRequest,
    PhaseResult,
    Segments,
    level,
)
from cosim.crossbar.drive import Waveform
from cosim.crossbar.settling import settling
from cosim.devices import DeviceModel, Mss, Resistor
from cosim.units import femtoseconds

GA, GB, C = 3e-4, 2e-4, 1e-12
Y, TAU = (GA - GB) / (GA + GB), C / (GA + GB)
FLOATING = {"up": level(1.0), "down": level(-1.0)}
RC = BehavioralBackend("rc")


@pytest.fixture(params=["behavioral", "ngspice"])
def backend(request: pytest.FixtureRequest, spice: NgspiceBackend) -> Any:
    return RC if request.param == "behavioral" else spice


def pair(
    shape: tuple[int, int] = (1, 1), device: DeviceModel | None = None, spaces: int = 1, segments: Segments | None = None,
    r_node: float = 0.0, r_rail: float = 0.0, capacitance: float = C,
) -> Network:  # fmt: skip
    """Return pairs of arrays in series between two rails, all joined at one node, as in a kT-RAM lane."""
    rows, columns = shape
    arrays = []
    for k in range(spaces):
        lines = [f"a{k}.{n}" for n in range(1, columns)], [f"b{k}.{n}" for n in range(1, rows)]
        ends: dict[str, Any] = {"cell": Cell("1R"), "segments": segments or Segments()}
        arrays.append(
            CrossbarArray(
                f"a{k}", rows, columns, device or Resistor(), left=("up",) + (None,) * (rows - 1),
                bottom=("node", *lines[0]), r_left=r_rail, r_bottom=r_node, **ends,
            )
        )  # fmt: skip
        arrays.append(
            CrossbarArray(
                f"b{k}", rows, columns, device or Resistor(), left=("node", *lines[1]),
                bottom=("down",) + (None,) * (columns - 1), r_left=r_node, r_bottom=r_rail, **ends,
            )
        )  # fmt: skip
    return Network(tuple(arrays), {"node": capacitance})


def ask(
    network: Network, phase: Phase, backend: Any, states: Any = ((GA,), (GB,)), net_voltages: Any = None,
    node_voltages: Any = None,
) -> PhaseResult:  # fmt: skip
    given = tuple(np.reshape(state, array.shape) for state, array in zip(states, network.arrays, strict=True))
    request = PhaseRequest(network, given, node_voltages, 0, 300.0, phase, 0, net_voltages)
    result: PhaseResult = backend.run(request)
    return result


def node(network: Network, result: PhaseResult) -> np.ndarray:
    return result.samples.voltage[:, network.net_index["node"]]


@pytest.mark.parametrize("before", [0.0, 0.3])
def test_a_floating_node_follows_the_exponential(backend: Any, before: float) -> None:
    """v = y + (v0 - y) exp(-t / tau), tau = C / (Ga + Gb), at rails of +-1 V."""
    network = pair()
    strobes = tuple(femtoseconds(part * TAU) for part in (0.5, 1.0, 2.0, 3.0, 5.0))
    phase = Phase("read", strobes[-1], FLOATING, strobes)
    volts = np.array([before if net == "node" else 0.0 for net in network.nets])
    result = ask(network, phase, backend, net_voltages=volts)
    exact = Y + (before - Y) * np.exp(-np.array(strobes) * 1e-15 / TAU)
    np.testing.assert_allclose(node(network, result), exact, atol=5e-5)
    assert result.net_voltages is not None
    assert result.net_voltages[network.net_index["node"]] == pytest.approx(exact[-1], abs=5e-5)
    energy = result.energy
    assert energy.stored == pytest.approx(0.5 * C * (exact[-1] ** 2 - before**2), rel=3e-4, abs=1e-17)
    assert abs(energy.numerical) < 1e-5 * energy.delivered.sum()
    assert result.samples.current[:, network.net_index["node"]] == pytest.approx(0.0, abs=1e-12)


def test_a_clamped_net_takes_its_charge_from_its_driver(backend: Any) -> None:
    """A driver at V gives C V^2: half is stored, half is heat on the way there; then currents alone."""
    network, volts, seconds = pair(), 0.7, 10e-9
    phase = Phase("write", femtoseconds(seconds), FLOATING | {"node": level(volts)}, (femtoseconds(seconds),))
    result = ask(network, phase, backend)
    at = network.net_index["node"]
    current = volts * (GA + GB) - (GA - GB)
    assert result.net_charge[at] == pytest.approx(C * volts + current * seconds, rel=1e-9)
    assert result.energy.delivered[at] == pytest.approx(C * volts**2 + volts * current * seconds, rel=1e-9)
    assert result.energy.terminations == pytest.approx(0.5 * C * volts**2, rel=1e-9)
    assert result.energy.stored == pytest.approx(0.5 * C * volts**2, rel=1e-9)
    assert abs(result.energy.numerical) < 1e-12 * result.energy.delivered.sum()


def test_a_ramped_driver_delivers_what_is_stored(backend: Any) -> None:
    """Linear from 0 V to V: C V dV/dt integrates to C V^2 / 2, and no heat."""
    network, end = pair(), femtoseconds(10e-9)
    quiet = {"up": level(0.0), "down": level(0.0), "node": Waveform((0, end), (0.0, 0.7))}
    result = ask(network, Phase("write", end, quiet, (end // 2,)), backend)
    at = network.net_index["node"]
    assert result.samples.current[0, at] == pytest.approx(C * 0.7 / 10e-9 + 0.35 * (GA + GB), rel=1e-6)
    assert result.energy.stored == pytest.approx(0.5 * C * 0.7**2, rel=1e-6)
    assert result.energy.terminations == pytest.approx(0.0, abs=1e-18)
    assert abs(result.energy.numerical) < 1e-6 * result.energy.delivered.sum()


def test_charge_is_handed_over(backend: Any) -> None:
    """Two phases, the second from the voltages at the end of the first, are one."""
    network = pair(segments=Segments(100.0, 100.0, 1e-13, 1e-13), r_node=500.0)
    first, whole = femtoseconds(TAU), femtoseconds(2.5 * TAU)
    single = ask(network, Phase("read", whole, FLOATING, (whole,)), backend)
    half = ask(network, Phase("read", first, FLOATING, (first,)), backend)
    rest = ask(
        network, Phase("read", whole - first, FLOATING, (whole - first,)), backend,
        net_voltages=half.net_voltages, node_voltages=half.node_voltages,
    )  # fmt: skip
    np.testing.assert_allclose(node(network, rest), node(network, single), atol=5e-5)
    stored = half.energy.stored + rest.energy.stored
    assert stored == pytest.approx(single.energy.stored, rel=3e-4)


@pytest.mark.parametrize("wired", [False, True])
def test_moving_cells_agree_with_ngspice(spice: NgspiceBackend, wired: bool) -> None:
    """Three spaces of 2 x 3 arrays with sneak paths, cells that move while the node settles, lines with charge or not."""
    device = Mss(r_on=1e3, r_off=1e4, v_on=0.27, v_off=0.27, tau=1e-7)
    segments = Segments(20.0, 20.0, 2e-15, 2e-15) if wired else Segments()
    network = pair((2, 3), device, 3, segments, r_node=10.0 * wired, r_rail=20.0 * wired, capacitance=2e-12)
    rng = np.random.default_rng(5)
    states = tuple(rng.uniform(0.2, 0.8, (2, 3)) for _ in network.arrays)
    end = femtoseconds(20e-9)
    phase = Phase("write", end, FLOATING, (femtoseconds(0.05e-9), femtoseconds(2e-9), end))
    request = PhaseRequest(network, states, None, 0, 300.0, phase, 0)
    one, other = RC.run(request), spice.run(request)
    gaps = deviation(request, one, other)
    assert gaps.current_relative < 2e-4
    assert gaps.state_absolute < 1e-5
    assert gaps.energy_relative < 5e-4
    np.testing.assert_allclose(node(network, one), node(network, other), atol=1e-4)
    assert abs(node(network, one)[0]) < 0.5 * abs(node(network, one)[1])  # it had not settled
    assert max(np.abs(a - b).max() for a, b in zip(one.states, states, strict=True)) > 0.05
    assert abs(one.energy.numerical) < 2e-4 * one.energy.delivered.sum()


def test_a_single_line_end_that_holds_charge() -> None:
    """A floating net at one line with its capacitance behind a resistance: R C with the cell in series."""
    array = CrossbarArray(
        "t", 1, 1, Resistor(), Cell("1R"), Segments(), left=("in",), bottom=("out",), r_bottom=2e3
    )
    network = Network((array,), {"out": C})
    tau = C * (1 / GA + 2e3)
    end = femtoseconds(2 * tau)
    result = ask(network, Phase("read", end, {"in": level(1.0)}, (end,)), RC, ((GA,),))
    assert result.samples.voltage[0, 1] == pytest.approx(1 - np.exp(-2), abs=5e-5)
    found = settling(network, (np.full((1, 1), GA),), driven=("in",))
    assert found.time_constant == pytest.approx(tau, rel=1e-9)


def test_time_constant_of_a_node() -> None:
    """Sneak paths of a uniform floating 2 x 2 array are 4/3 G, so tau is C / (2 * 4/3 G)."""
    network = pair((2, 2))
    found = settling(network, (np.full((2, 2), GA),) * 2, driven=("up", "down"), solves=2)
    assert found.time_constant == pytest.approx(C / (2 * 4 / 3 * GA), rel=1e-6)


def test_without_rc_nets_hold_no_charge() -> None:
    network, end = pair(), femtoseconds(TAU)
    result = ask(network, Phase("read", end, FLOATING, (0,)), BehavioralBackend("ideal"))
    assert node(network, result)[0] == pytest.approx(Y, rel=1e-12)
    assert result.net_voltages is None
    assert result.energy.stored == 0.0
