"""The compiled path against the general one, at ten times finer steps."""

from __future__ import annotations

import importlib.util
import math
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from cosim.backends import single_level
from cosim.backends.behavioral import BehavioralBackend, Tolerances
from cosim.crossbar.backend import PhaseRequest, PhaseResult
from cosim.crossbar.drive import Phase, level, pulse
from cosim.crossbar.network import Cell, Network, Segments, single
from cosim.devices import RS_JSPICE, RS_KTRAM, DeviceModel, Mss, Rs

pytestmark = pytest.mark.skipif(importlib.util.find_spec("numba") is None, reason="needs numba")

FIRM = Mss(r_on=100e3, r_off=1e6, v_on=0.6, v_off=0.6, tau=1e-5)
SPREAD = replace(FIRM, v_on=0.6 + 0.02 * np.random.default_rng(1).standard_normal((12, 12)))
FINE = BehavioralBackend(tolerances=Tolerances(refine=10))
NS = 1_000_000


def request(
    size: int,
    device: DeviceModel,
    *,
    kind: str = "1R",
    amplitude: float = 0.7,
    width_ns: int = 300,
    edge_ns: int = 1,
    delay_ns: int = 0,
    rest_ns: int = 0,
    rising: bool = True,
    r: float = 1.0,
    strobes: tuple[int, ...] = (),
    save: tuple[str, ...] = (),
) -> PhaseRequest:
    """A V/2 pulse (1R) or a gated one (1T1R) on cell (3, 5)."""
    cell = Cell("1T1R", access_resistance=5e3) if kind == "1T1R" else Cell("1R")
    network = single("a", (size, size), device, cell, Segments(r, r), r_source=2 * r, r_sink=2 * r)
    edges = {
        "rise_fs": edge_ns * NS,
        "width_fs": width_ns * NS,
        "fall_fs": edge_ns * NS,
        "delay_fs": delay_ns * NS,
    }
    full, half, ground = pulse(amplitude, **edges), pulse(amplitude / 2, **edges), level(0.0)
    array = network.arrays[0]
    left, bottom = array.left or (), array.bottom or ()
    word, bit = (full, ground) if rising else (ground, full)
    if kind == "1T1R":
        drives = (
            dict.fromkeys(left, ground) | dict.fromkeys(bottom, word) | {(array.gates or ())[3]: level(1.8)}
        )
    else:
        drives = dict.fromkeys((*left, *bottom), half)
    drives |= {left[3]: word, bottom[5]: bit}
    duration = (delay_ns + 2 * edge_ns + width_ns + rest_ns) * NS
    state = np.random.default_rng(0).random((size, size))
    return PhaseRequest(network, (state,), None, 0, 300.0, Phase("write", duration, drives, strobes, save), 7)


CASES = {
    "firm": request(24, FIRM),
    "reset": request(24, FIRM, rising=False),
    "long edges": request(16, FIRM, edge_ns=20),
    "delay and rest": request(12, Mss(), amplitude=0.35, width_ns=100, delay_ns=300, rest_ns=500),
    "soft": request(16, Mss(), amplitude=0.3),
    "low ohm": request(24, replace(FIRM, r_on=10e3, r_off=100e3), r=2.5),
    "spread": request(12, SPREAD),
    "no wires": request(12, FIRM, r=0.0),
    "rs": request(16, RS_KTRAM, amplitude=0.35, width_ns=200),
    "rs reset": request(16, Rs(g_min=1e-6, g_max=1e-4), amplitude=0.4, width_ns=200, rising=False),
    "rs jspice": request(16, replace(RS_JSPICE, g_min=1e-6, g_max=1e-5), amplitude=0.4, width_ns=2000),
    "gated row": request(100, FIRM, kind="1T1R", amplitude=0.65),
}


@pytest.fixture
def answered(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether the compiled path answered, phase by phase."""
    seen: list[bool] = []
    original = single_level.answer

    def spy(*args: object) -> object:
        found = original(*args)  # type: ignore[arg-type]
        seen.append(found is not None)
        return found

    monkeypatch.setattr(single_level, "answer", spy)
    return seen


def assert_agree(found: PhaseResult, exact: PhaseResult) -> None:
    total = exact.energy.delivered.sum()
    assert np.abs(found.states[0] - exact.states[0]).max() < 1e-6
    assert found.energy.delivered.sum() == pytest.approx(total, rel=1e-5)
    for part in ("access", "wires", "terminations"):
        assert abs(getattr(found.energy, part) - getattr(exact.energy, part)) < 1e-5 * total
    assert np.abs(found.energy.cells[0] - exact.energy.cells[0]).max() < 1e-5 * total
    assert np.abs(found.energy.delivered - exact.energy.delivered).max() < 1e-5 * total
    assert np.abs(found.energy.absorbed - exact.energy.absorbed).max() < 1e-5 * total
    assert np.abs(found.net_charge - exact.net_charge).max() < 1e-5 * np.abs(exact.net_charge).max()
    assert abs(found.energy.numerical) <= 1e-9 * total
    assert found.kcl_residual < 1e-10


@pytest.mark.parametrize("case", CASES)
def test_a_pulse_agrees_with_ten_times_finer_steps(case: str, answered: list[bool]) -> None:
    found = BehavioralBackend().run(CASES[case])
    assert answered == [True]
    assert_agree(found, FINE.run(CASES[case]))
    assert np.abs(found.states[0] - CASES[case].states[0]).max() > 1e-4


def test_the_same_request_gives_the_same_bytes() -> None:
    first, second = (BehavioralBackend().run(CASES["firm"]) for _ in range(2))
    assert first.states[0].tobytes() == second.states[0].tobytes()
    assert first.energy.cells[0].tobytes() == second.energy.cells[0].tobytes()
    assert first.net_charge.tobytes() == second.net_charge.tobytes()


def test_the_request_is_left_alone() -> None:
    case = request(12, FIRM)
    before = case.digest()
    case.states[0].setflags(write=False)
    BehavioralBackend().run(case)
    assert case.digest() == before


def test_a_read_answers_its_strobe(answered: list[bool]) -> None:
    case = request(16, FIRM, amplitude=0.2, width_ns=20, strobes=(15 * NS,))
    found = BehavioralBackend().run(case)
    assert answered == [True]
    assert found.applied == ("still",)
    exact = BehavioralBackend(compiled=False).run(case)
    scale = np.abs(exact.samples.current).max()
    assert np.abs(found.samples.current - exact.samples.current).max() < 1e-9 * scale
    assert np.array_equal(found.samples.voltage, exact.samples.voltage)
    assert found.energy.wires == pytest.approx(exact.energy.wires, rel=1e-9)
    assert np.abs(found.states[0] - exact.states[0]).max() < 1e-10


def test_a_strobe_inside_a_moving_phase_is_left_to_the_general_path() -> None:
    case = request(12, FIRM, strobes=(150 * NS,))
    found = BehavioralBackend().run(case)
    general = BehavioralBackend(compiled=False).run(case)
    assert np.array_equal(found.samples.current, general.samples.current)
    assert np.array_equal(found.states[0], general.states[0])


def test_saved_waveforms_are_those_of_the_drives() -> None:
    case = request(12, FIRM, save=("wl3", "bl5", "wl0"))
    found = BehavioralBackend().run(case).saved
    assert found is not None
    assert np.allclose(found.voltage, [[0, 0, 0], [0.7, 0, 0.35], [0.7, 0, 0.35], [0, 0, 0]])
    assert np.allclose(found.times_s, [0, 1e-9, 301e-9, 302e-9])


def test_stochastic_cells_use_the_same_draws() -> None:
    case = request(16, replace(FIRM, switches=1000))
    found = BehavioralBackend().run(case)
    exact = FINE.run(case)
    assert found.applied == ("stochastic",)
    # a mean that differs by 1e-6 may still put one of 1000 switches on the other side of its draw
    assert np.count_nonzero(np.abs(found.states[0] - exact.states[0]) > 1e-9) <= 1


def test_a_long_pulse_is_refused_and_still_right(answered: list[bool]) -> None:
    case = request(12, FIRM, width_ns=8000)
    found = BehavioralBackend().run(case)
    assert answered == [False]
    assert np.abs(found.states[0] - FINE.run(case).states[0]).max() < 1e-5


def test_two_levels_and_floating_nets_are_not_for_it(answered: list[bool]) -> None:
    case = request(12, FIRM)
    drives = dict(case.phase.drives)
    drives["wl0"] = pulse(0.1, rise_fs=50 * NS, width_fs=100 * NS, fall_fs=50 * NS)
    two = BehavioralBackend().run(replace(case, phase=replace(case.phase, drives=drives)))
    del drives["wl0"]
    floating = BehavioralBackend().run(replace(case, phase=replace(case.phase, drives=drives)))
    assert answered == []
    assert math.isfinite(two.energy.numerical + floating.energy.numerical)


def test_two_arrays_are_not_for_it(answered: list[bool]) -> None:
    case = request(12, FIRM)
    array = case.network.arrays[0]
    pair = Network((array, replace(array, name="b")))
    both = BehavioralBackend().run(replace(case, network=pair, states=case.states * 2))
    assert answered == []
    one = BehavioralBackend(compiled=False).run(case)
    assert both.energy.delivered.sum() == pytest.approx(2 * one.energy.delivered.sum(), rel=1e-6)


SMALL = """
import sys
import numpy as np
from cosim.backends.behavioral import BehavioralBackend
from cosim.crossbar.backend import PhaseRequest
from cosim.crossbar.drive import Phase, pulse
from cosim.crossbar.network import Cell, Segments, single
from cosim.devices import Mss
network = single("a", (8, 8), Mss(), Cell("1R"), Segments(1.0, 1.0), r_source=2.0, r_sink=2.0)
up = pulse(0.5, rise_fs=10**6, width_fs=10**8, fall_fs=10**6)
down = pulse(0.0, rise_fs=10**6, width_fs=10**8, fall_fs=10**6)
array = network.arrays[0]
phase = Phase("write", 10**8, dict.fromkeys(array.left, up) | dict.fromkeys(array.bottom, down))
BehavioralBackend().run(PhaseRequest(network, (np.full((8, 8), 0.5),), None, 0, 300.0, phase, 1))
sys.exit("numba" in sys.modules)
"""


def test_small_arrays_do_not_import_numba() -> None:
    assert subprocess.run([sys.executable, "-c", SMALL], check=False).returncode == 0
