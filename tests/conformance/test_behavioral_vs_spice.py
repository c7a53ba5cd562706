"""The behavioral backend as it is used (default tolerances) against ngspice, over drives drawn at random.

Both sides answer the same requests: nets that float, half-selected cells, gates that are off, states that
move, draws of a finite number of switches.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from cosim.backends.behavioral import BehavioralBackend
from cosim.backends.ngspice import NgspiceBackend
from cosim.backends.paired import deviation
from cosim.crossbar import Cell, Phase, PhaseRequest, Segments, level, pulse, single
from cosim.crossbar.drive import Waveform
from cosim.devices import DeviceModel, Mss, Resistor, find_preset

pytestmark = pytest.mark.ngspice
NS = 10**6
DEVICES: dict[str, tuple[DeviceModel, float]] = {
    "firm": (find_preset("mss-firm"), 0.75),
    "ktram": (find_preset("mss-ktram"), 0.35),
    "rs": (find_preset("rs-ktram"), 0.4),
    "resistor": (Resistor(), 0.5),
}


@pytest.fixture(scope="module")
def spice() -> Iterator[NgspiceBackend]:
    backend = NgspiceBackend()
    yield backend
    backend.close()


def drawn(device: DeviceModel, amplitude: float, kind: str, seed: int) -> PhaseRequest:
    """Return a phase of 1 us on a 4x5 array: levels, pulses and floating lines at random."""
    rng = np.random.default_rng(seed)
    network = single(
        "t", (4, 5), device, Cell(kind, access_resistance=5e3), Segments(2.5, 4.0), r_source=10.0, r_sink=5.0
    )
    drives: dict[str, Waveform] = {"bl0": level(0.0), "wl0": level(amplitude / 2)}
    for net in network.nets[1:]:
        choice = rng.integers(5)
        top = float(rng.choice([1.0, 0.5]) * amplitude)
        if choice in (0, 1) and net != "bl0":
            drives[net] = level(0.0)
        elif choice == 2 and net != "bl0":
            drives[net] = level(top)
        elif choice == 3 and net != "bl0":
            drives[net] = pulse(top, rise_fs=10 * NS, width_fs=600 * NS, fall_fs=30 * NS, delay_fs=50 * NS)
    drives |= {net: level(1.8) for net in network.gate_nets if rng.random() < 0.6}
    low, high = device.conductance_range()
    state = device.state_for(rng.uniform(low, high, (4, 5)))
    return PhaseRequest(
        network, (state,), None, 0, 300.0, Phase("write", 1000 * NS, drives, (400 * NS,)), seed
    )


@pytest.mark.parametrize("name", sorted(DEVICES))
@pytest.mark.parametrize("kind", ["1R", "1T1R"])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_random_phases(name: str, kind: str, seed: int, spice: NgspiceBackend) -> None:
    request = drawn(*DEVICES[name], kind, seed)
    ours, theirs = BehavioralBackend().run(request), spice.run(request)
    found = deviation(request, ours, theirs)
    assert found.current_relative < 1e-4
    assert found.state_absolute < 1e-3
    assert found.energy_relative < 1e-3
    assert np.allclose(ours.samples.voltage, theirs.samples.voltage, rtol=0, atol=1e-4)
    scale = np.abs(ours.net_charge).max() or 1.0
    assert np.abs(ours.net_charge - theirs.net_charge).max() < 1e-3 * scale
    total = ours.energy.delivered.sum() or 1.0
    for part in ("access", "wires", "terminations"):
        assert abs(getattr(ours.energy, part) - getattr(theirs.energy, part)) < 1e-3 * total
    assert np.abs(ours.energy.cells[0] - theirs.energy.cells[0]).max() < 1e-3 * total


@pytest.mark.parametrize("kind", ["1R", "1T1R"])
def test_the_same_draws_on_both_sides(kind: str, spice: NgspiceBackend) -> None:
    """A finite number of switches: the draws are of the phase's seed, not of the backend."""
    device = Mss(r_on=100e3, r_off=1e6, v_on=0.6, v_off=0.6, tau=10e-6, switches=100)
    request = drawn(device, 0.75, kind, 4)
    ours, theirs = BehavioralBackend().run(request), spice.run(request)
    assert np.abs(ours.states[0] - request.states[0]).max() > 0.02
    different = np.count_nonzero(np.abs(ours.states[0] - theirs.states[0]) > 1e-9)
    assert different <= 1  # a draw may fall between two means that differ by 1e-5
    assert np.abs(ours.states[0] - theirs.states[0]).max() <= 0.0101


def test_rows_with_their_gate_off_rest_alike(spice: NgspiceBackend) -> None:
    request = drawn(find_preset("mss-ktram"), 0.35, "1T1R", 5)
    off = [i for i in range(4) if f"gl{i}" not in request.phase.drives]
    assert off
    ours, theirs = BehavioralBackend().run(request), spice.run(request)
    device = request.network.arrays[0].device
    rest = device.advance(request.states[0], np.zeros((4, 5)), 1e-6, 300.0)
    assert np.allclose(ours.states[0][off], rest[off], rtol=0, atol=1e-12)
    assert np.allclose(theirs.states[0][off], rest[off], rtol=0, atol=1e-7)
