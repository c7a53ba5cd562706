"""Many equal small arrays joined at nets: the compiled way against the general one, and its balance."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from cosim.backends import blocks
from cosim.backends.behavioral import BehavioralBackend
from cosim.backends.phase_run import Tolerances
from cosim.crossbar.backend import PhaseRequest, PhaseResult
from cosim.crossbar.drive import Phase, level, pulse
from cosim.crossbar.network import Cell, CrossbarArray, Network, Segments
from cosim.devices.base import DeviceModel
from cosim.devices.mss import Mss
from cosim.devices.resistor import Resistor
from cosim.devices.rs import Rs

FINE = Tolerances(coupling=1e-9, step=1e-9, power=1e-4, move=0.02)
DEVICES: dict[str, DeviceModel] = {
    "rs": Rs(),
    "mss": Mss(r_on=1e3, r_off=1e4, v_on=0.27, v_off=0.27, tau=1e-5),
    "resistor": Resistor(),
}


def lane(device: DeviceModel, wires: bool, shape: tuple[int, int] = (4, 3), spaces: int = 3) -> Network:
    """Pairs of arrays between two rails, one line of each at a rail and one at the node, the others open."""
    segments = Segments(3.0, 2.0) if wires else Segments()
    ends: dict[str, Any] = {"r_left": 20.0, "r_bottom": 10.0} if wires else {}
    rng, arrays = np.random.default_rng(0), []
    for space in range(spaces):
        row, column = int(rng.integers(shape[0])), int(rng.integers(shape[1]))
        for side, nets in (("a", ("up", "node")), ("b", ("node", "down"))):
            name = f"{side}{space}"
            left = tuple(nets[0] if i == row else f"{name}.w{i}" for i in range(shape[0]))
            bottom = tuple(nets[1] if j == column else f"{name}.b{j}" for j in range(shape[1]))
            arrays.append(
                CrossbarArray(name, *shape, device, Cell("1R"), segments, left=left, bottom=bottom, **ends)
            )
    return Network(tuple(arrays))


def request_for(network: Network, node: float | None, volts: float, width_fs: int) -> PhaseRequest:
    rng, device = np.random.default_rng(5), network.arrays[0].device
    drives = {"up": level(volts), "down": level(-volts)} | ({} if node is None else {"node": level(node)})
    states = tuple(rng.uniform(0.05, 0.95, array.shape) for array in network.arrays)
    if not device.moves:
        states = tuple(1e-6 + 1e-3 * state for state in states)
    phase = Phase("write", width_fs, drives, (0, width_fs // 3, width_fs), ("node",))
    return PhaseRequest(network, states, None, 0, 298.0, phase, 0)


def both(request: PhaseRequest, fidelity: Any) -> tuple[PhaseResult, PhaseResult]:
    return tuple(  # type: ignore[return-value]
        BehavioralBackend(fidelity, FINE, compiled=compiled).run(request) for compiled in (True, False)
    )


@pytest.mark.parametrize("name", list(DEVICES))
@pytest.mark.parametrize("wires", [False, True])
@pytest.mark.parametrize("node", [None, 0.4])
def test_it_is_the_answer_of_the_general_path(name: str, wires: bool, node: float | None) -> None:
    volts, width = (0.3, 1_000_000_000) if name == "mss" else (1.0, 20_000_000)
    request = request_for(lane(DEVICES[name], wires), node, volts, width)
    assert blocks.answer(request, wires, FINE) is not None
    quick, general = both(request, "resistive" if wires else "ideal")
    for one, other in zip(quick.states, general.states, strict=True):
        np.testing.assert_allclose(one, other, atol=2e-7)
    np.testing.assert_allclose(quick.samples.voltage, general.samples.voltage, atol=1e-6)
    largest = np.abs(general.samples.current).max()
    np.testing.assert_allclose(quick.samples.current, general.samples.current, atol=1e-6 * largest)
    delivered = general.energy.delivered.sum()
    for side in ("delivered", "absorbed"):
        ours, theirs = getattr(quick.energy, side), getattr(general.energy, side)
        np.testing.assert_allclose(ours, theirs, atol=3e-7 * delivered)
    assert quick.energy.wires == pytest.approx(general.energy.wires, rel=1e-5, abs=1e-12 * delivered)
    assert quick.energy.terminations == pytest.approx(
        general.energy.terminations, rel=1e-5, abs=1e-12 * delivered
    )
    np.testing.assert_allclose(
        quick.net_charge, general.net_charge, atol=1e-6 * np.abs(general.net_charge).max()
    )
    assert abs(quick.energy.numerical) < 1e-13 * delivered
    assert quick.kcl_residual < 1e-12


def test_weak_cells_behind_good_wires_keep_their_digits() -> None:
    """An open line hangs on cells of 1e-9 S between segments of 0.1 ohm: its current must vanish."""
    network = lane(Resistor(), True)
    request = request_for(network, None, 1.0, 1_000)
    arrays = tuple(dataclasses.replace(a, segments=Segments(0.1, 0.1)) for a in network.arrays)
    states = tuple(1e-9 * state / 1e-3 for state in request.states)
    weak = dataclasses.replace(request, network=Network(arrays), states=states)
    assert BehavioralBackend().run(weak).kcl_residual < 1e-8
    found = blocks.answer(weak, True, Tolerances())
    assert found is not None
    assert found.residual < 1e-8


def test_a_read_below_threshold_takes_one_solution() -> None:
    found = blocks.answer(request_for(lane(Rs(), True), None, 0.05, 10_000_000), True, Tolerances())
    assert found is not None
    assert found.solutions == 1


def test_phases_of_another_kind_go_the_general_way() -> None:
    network = lane(Rs(), True)
    request = request_for(network, None, 1.0, 1_000_000)
    wave = pulse(1.0, width_fs=1000, rise_fs=10, fall_fs=10)
    changing = dataclasses.replace(
        request, phase=dataclasses.replace(request.phase, drives={**request.phase.drives, "up": wave})
    )
    assert blocks.answer(changing, True, Tolerances()) is None
    one = Network(network.arrays[:1])
    assert blocks.answer(request_for(one, None, 1.0, 1_000_000), True, Tolerances()) is None
    two_floating = dataclasses.replace(
        request, phase=dataclasses.replace(request.phase, drives={"up": level(1.0)})
    )
    assert blocks.answer(two_floating, True, Tolerances()) is None
    mixed = Network(
        (dataclasses.replace(network.arrays[0], segments=Segments(9.0, 2.0)), *network.arrays[1:])
    )
    assert blocks.answer(request_for(mixed, None, 1.0, 1_000_000), True, Tolerances()) is None
    assert blocks.answer(request, True, Tolerances(refine=2)) is None
