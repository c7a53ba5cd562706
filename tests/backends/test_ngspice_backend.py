"""The ngspice backend: requests in, results out, on both engines."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cosim.backends.behavioral import BehavioralBackend, Tolerances
from cosim.backends.ngspice import NgspiceBackend
from cosim.crossbar import (
    Cell,
    CrossbarArray,
    Network,
    Phase,
    PhaseRequest,
    Segments,
    Waveform,
    level,
    pulse,
    single,
)
from cosim.devices import DeviceModel, Mss, Resistor, Rs, find_preset
from cosim.devices.base import FloatArray
from cosim.errors import SpiceCrashError, SpiceMissingError, SpiceTimeoutError, UnsupportedRequestError
from cosim.spice.cards import Deck
from cosim.spice.machine import probe
from cosim.spice.raw import read_raw
from cosim.spice.subprocess_engine import SubprocessEngine

pytestmark = pytest.mark.ngspice

NS = 10**6
FIRM = find_preset("mss-firm")


@pytest.fixture(scope="module", params=["subprocess", "pyspice"])
def backend(request: pytest.FixtureRequest) -> Iterator[NgspiceBackend]:
    try:
        made = NgspiceBackend(request.param)
    except SpiceMissingError as error:
        pytest.skip(str(error))
    yield made
    made.close()


def request_for(
    device: DeviceModel = FIRM,
    *,
    kind: str = "write",
    shape: tuple[int, int] = (2, 3),
    amplitude: float = 0.75,
    width: int = 200 * NS,
    edge: int = 2 * NS,
    gated: bool = True,
    selected: int = 0,
    segments: Segments | None = None,
    seed: int = 0,
    strobes: tuple[int, ...] = (100 * NS,),
    save: tuple[str, ...] = (),
) -> PhaseRequest:
    cell = Cell("1T1R", access_resistance=5e3) if gated else Cell()
    network = single("t", shape, device, cell, segments or Segments(2.5, 2.5), r_source=10.0, r_sink=5.0)
    g = np.random.default_rng(seed).uniform(2e-6, 9e-6, shape)
    state = device.state_for(g)
    wave = pulse(amplitude, width_fs=width, rise_fs=edge, fall_fs=edge)
    drives = {f"wl{i}": wave if i == selected or kind == "read" else level(0.0) for i in range(shape[0])}
    drives |= {f"bl{j}": level(0.0) for j in range(shape[1])}
    if gated:
        drives |= {f"gl{i}": level(1.8 if kind == "read" or i == selected else 0.0) for i in range(shape[0])}
    phase = Phase(kind, width + 2 * edge + 5 * NS, drives, strobes, save)
    return PhaseRequest(network, (state,), None, 0, 300.0, phase, seed)


def test_gated_row_moves_and_the_others_only_age(backend: NgspiceBackend) -> None:
    request = request_for()
    result = backend.run(request)
    before, after = request.states[0], result.states[0]
    assert (after[0] > before[0] + 1e-3).all()
    aged = FIRM.advance(before[1], np.zeros(3), request.phase.duration_fs / 1e15, 300.0)
    assert np.allclose(after[1], aged, rtol=0, atol=1e-15)
    assert result.energy.cells[0][1].tolist() == [0.0, 0.0, 0.0]
    assert result.duration_fs == request.phase.duration_fs
    assert result.kcl_residual < 1e-9


def test_samples_charges_and_energies_fit_together(backend: NgspiceBackend) -> None:
    request = request_for(save=("wl0",))
    result = backend.run(request)
    nets = request.network.nets
    assert result.samples.nets == nets
    wl0 = nets.index("wl0")
    assert result.samples.voltage[0, wl0] == pytest.approx(0.75, abs=1e-12)
    assert result.samples.current[0, wl0] > 0
    assert result.samples.current[0].sum() == pytest.approx(0, abs=1e-9 * result.samples.current[0, wl0])
    energy = result.energy
    assert energy.delivered[wl0] == pytest.approx(energy.dissipated, rel=1e-8)
    assert energy.absorbed.max() == pytest.approx(0, abs=1e-22)
    assert energy.delivered[wl0] == pytest.approx(0.75 * result.net_charge[wl0], rel=5e-2)
    assert result.saved is not None
    assert result.saved.nets == ("wl0",)
    assert result.saved.voltage.max() == pytest.approx(0.75)


def test_still_cells_are_plain_resistors_and_give_the_same(backend: NgspiceBackend) -> None:
    request = request_for(kind="read", amplitude=0.2)
    plain = backend.run(request)
    live = NgspiceBackend(backend._engine, still_tolerance=0.0).run(request)
    assert "plain_resistors" in plain.applied
    assert "plain_resistors" not in live.applied
    assert np.allclose(plain.states[0], live.states[0], rtol=0, atol=1e-9)
    assert np.allclose(plain.samples.current, live.samples.current, rtol=1e-6, atol=1e-15)
    assert plain.energy.dissipated == pytest.approx(live.energy.dissipated, rel=1e-6)


def test_resistors_agree_with_ohms_law(backend: NgspiceBackend) -> None:
    request = request_for(Resistor(), kind="read", gated=False, segments=Segments(), amplitude=0.3)
    network = single("t", (2, 3), Resistor(), Cell(), Segments())
    result = backend.run(replace(request, network=network))
    expected = 0.3 * request.states[0].sum(axis=0)
    assert np.allclose(-result.samples.current[0, 2:], expected, rtol=1e-12)
    assert np.array_equal(result.states[0], request.states[0])
    assert result.energy.wires == result.energy.terminations == 0.0


def test_phase_at_rest_needs_no_simulation(backend: NgspiceBackend) -> None:
    request = request_for()
    rest = replace(request, phase=Phase("wait", 10**15, {}, (5 * 10**14,)))
    result = backend.run(rest)
    assert "at_rest" in result.applied
    assert np.allclose(
        result.states[0], FIRM.advance(request.states[0], np.zeros((2, 3)), 1.0, 300.0), atol=1e-15
    )
    assert result.energy.dissipated == 0
    assert result.samples.current.shape == (1, 5)


def test_floating_line_takes_the_voltage_between(backend: NgspiceBackend) -> None:
    network = single("t", (1, 2), Resistor(), Cell(), Segments(1.0, 1.0))
    phase = Phase("read", 50 * NS, {"wl0": level(0.2), "bl0": level(0.0)}, (40 * NS,))
    result = backend.run(PhaseRequest(network, (np.full((1, 2), 1e-5),), None, 0, 300.0, phase, 0))
    wl0, bl0, bl1 = result.samples.voltage[0]
    assert (wl0, bl0) == (0.2, 0.0)
    current = 0.2 / (1e5 + 2.0)
    assert bl1 == pytest.approx(0.2 - current, rel=1e-9)
    assert result.samples.current[0].tolist() == pytest.approx([current, -current, 0.0], rel=1e-9)


def test_cells_between_undriven_lines_only_age(backend: NgspiceBackend) -> None:
    def array(name: str, left: str, bottom: str) -> CrossbarArray:
        return CrossbarArray(name, 1, 1, FIRM, Cell(), Segments(1.0, 1.0), left=(left,), bottom=(bottom,))

    network = Network((array("driven", "p", "q"), array("apart", "r", "s")))
    states = (np.array([[0.5]]), np.array([[0.5]]))
    phase = Phase("write", 200 * NS, {"p": level(0.75), "q": level(0.0)}, (100 * NS,))
    result = backend.run(PhaseRequest(network, states, None, 0, 300.0, phase, 0))
    aged = FIRM.advance(states[1], np.zeros((1, 1)), 2e-7, 300.0)
    assert result.states[0][0, 0] > 0.505
    assert result.states[1][0, 0] == pytest.approx(aged[0, 0], abs=1e-15)
    assert result.samples.voltage[0].tolist()[2:] == [0.0, 0.0]


def test_lane_of_arrays_with_a_shared_floating_net(backend: NgspiceBackend) -> None:
    def unit(name: str, left: str) -> CrossbarArray:
        return CrossbarArray(name, 1, 1, Resistor(), Cell(), Segments(), left=(left,), bottom=("y",))

    network = Network((unit("ga", "plus"), unit("gb", "minus")))
    states = (np.array([[3e-6]]), np.array([[1e-6]]))
    phase = Phase("read", 10 * NS, {"plus": level(0.5), "minus": level(-0.5)}, (10 * NS,))
    result = backend.run(PhaseRequest(network, states, None, 0, 300.0, phase, 0))
    assert result.samples.voltage[0, network.nets.index("y")] == pytest.approx(
        0.5 * (3 - 1) / (3 + 1), rel=1e-12
    )


def test_line_capacitance_charges_and_hands_its_voltage_on(backend: NgspiceBackend) -> None:
    resistance, capacitance, step = 1e4, 1e-12, 5 * NS
    network = single(
        "t", (1, 1), Resistor(), Cell(), Segments(0.0, 0.0, capacitance, 0.0), r_source=resistance
    )
    phase = Phase("read", step, {"wl0": level(1.0)}, (step,))
    request = PhaseRequest(network, (np.array([[0.0]]),), (np.zeros((2, 1, 1)),), 0, 300.0, phase, 0)
    seen = []
    for _ in range(3):
        result = backend.run(request)
        assert result.node_voltages is not None
        seen.append(float(result.node_voltages[0][0, 0, 0]))
        assert result.energy.numerical == pytest.approx(0, abs=1e-4 * result.energy.delivered.sum())
        request = replace(request, node_voltages=result.node_voltages)
    expected = [1 - np.exp(-k * 5e-9 / (resistance * capacitance)) for k in (1, 2, 3)]
    assert seen == pytest.approx(expected, abs=2e-5)  # a share of the bar of 1e-4


def test_per_cell_parameters_reach_the_deck(backend: NgspiceBackend) -> None:
    varied = FIRM.per_cell(tau=np.array([[1e-5, 2e-5, 4e-5], [1e-5, 1e-5, 1e-5]]))
    result = backend.run(request_for(varied))
    base = backend.run(request_for())
    before = request_for().states[0]
    assert result.states[0][0, 0] == pytest.approx(base.states[0][0, 0], abs=1e-6)
    moved = (result.states[0] - before)[0] / (base.states[0] - before)[0]
    assert moved == pytest.approx([1, 0.5, 0.25], rel=3e-2)


def test_stochastic_part_is_drawn_at_hand_over(backend: NgspiceBackend) -> None:
    many = Mss(r_on=100e3, r_off=1e6, v_on=0.6, v_off=0.6, tau=10e-6, switches=1000)
    request = request_for(many)
    first, again = backend.run(request), backend.run(request)
    other = backend.run(replace(request, noise_seed=5))
    assert "stochastic" in first.applied
    assert np.array_equal(first.states[0], again.states[0])
    assert not np.array_equal(first.states[0], other.states[0])
    assert np.allclose(first.states[0] * 1000, np.rint(first.states[0] * 1000), atol=1e-9)


class _Table(Resistor):
    name = "table"
    moves = True


def test_model_without_an_equation_is_read_but_not_written(backend: NgspiceBackend) -> None:
    table = object.__new__(_Table)
    object.__setattr__(table, "r_on", 1e5)
    object.__setattr__(table, "r_off", 1e6)
    backend.run(request_for(table, kind="read", amplitude=0.2))
    with pytest.raises(UnsupportedRequestError, match="'table' has no differential equation"):
        backend.run(request_for(table))
    network = request_for(table).network
    assert "no differential equation" in str(backend.refusal(network, "write"))
    assert backend.refusal(network, "read") is None
    assert backend.refusal(request_for().network, "write") is None


def test_giants_are_refused(backend: NgspiceBackend) -> None:
    request = request_for()
    small = NgspiceBackend(backend._engine, limit_s=1e-3)
    with pytest.raises(UnsupportedRequestError, match=r"above the limit of 0\.001 s"):
        small.run(request)


def test_describe_and_submit(backend: NgspiceBackend) -> None:
    told = backend.describe()
    assert told["engine"] in ("subprocess", "pyspice")
    assert told["ngspice"] == probe().version
    request = request_for()
    assert np.array_equal(backend.submit(request).result().states[0], backend.run(request).states[0])


def test_deck_runs_by_hand_with_the_same_bits(tmp_path: Path) -> None:
    backend = NgspiceBackend("subprocess")
    plan = backend.deck(request_for())
    (tmp_path / "d.cir").write_text(plan.deck.text())
    subprocess.run(
        ["ngspice", "-n", "-b", "-r", "d.raw", "d.cir"], cwd=tmp_path, check=True, capture_output=True
    )
    (plot,) = read_raw(tmp_path / "d.raw")
    vectors = backend._engine.run(plan.deck, 10)
    assert len(plan.deck.saves) == len(plot.names) - 1
    for name in plan.deck.saves:
        assert np.array_equal(plot.column(name), vectors.column(name))


@pytest.mark.parametrize("engine", ["subprocess", "pyspice"])
def test_failed_phase_keeps_its_deck(engine: str, tmp_path: Path) -> None:
    if engine == "pyspice" and probe().engine != "pyspice":
        pytest.skip("PySpice is not on this machine")
    backend = NgspiceBackend(engine, deadline_s=0.05, limit_s=60, keep=tmp_path / "kept", retries=0)
    wide = request_for(gated=False, shape=(12, 12))
    try:
        with pytest.raises(SpiceTimeoutError, match=r"deck kept in .*kept/write-[0-9a-f]{16}\.cir"):
            backend.run(wide)
        (kept,) = (tmp_path / "kept").iterdir()
        assert kept.read_text() == backend.deck(wide).deck.text()
    finally:
        backend.close()


@pytest.mark.parametrize("engine", ["subprocess", "pyspice"])
@pytest.mark.parametrize("retries", [0, 1])
def test_killed_in_the_middle_of_a_phase(engine: str, retries: int, tmp_path: Path) -> None:
    if engine == "pyspice" and probe().engine != "pyspice":
        pytest.skip("PySpice is not on this machine")
    backend = NgspiceBackend(engine, retries=retries, keep=tmp_path)
    wide = request_for(gated=False, shape=(12, 12), width=1000 * NS)
    undisturbed = backend.run(wide)
    future = backend.submit(wide)
    time.sleep(0.06)
    while not backend.worker_pids():
        time.sleep(0.001)
    for pid in backend.worker_pids():
        os.kill(pid, signal.SIGKILL)
    try:
        if retries:
            assert np.array_equal(future.result().states[0], undisturbed.states[0])
            assert list(tmp_path.iterdir()) == []
        else:
            with pytest.raises(SpiceCrashError, match=r"SIGKILL.*deck kept in"):
                future.result()
    finally:
        backend.close()


def test_two_threads_share_a_backend_without_mixing(backend: NgspiceBackend) -> None:
    requests = [request_for(seed=seed) for seed in range(4)]
    expected = [backend.run(request).states[0] for request in requests]
    found: dict[int, FloatArray] = {}
    threads = [
        threading.Thread(target=lambda k=k: found.__setitem__(k, backend.run(requests[k]).states[0]))
        for k in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.array_equal(found[k], expected[k]) for k in range(4))


def test_rs_stands_still_inside_its_dead_zone(backend: NgspiceBackend) -> None:
    request = request_for(Rs(), kind="read", amplitude=0.2)
    result = backend.run(request)
    assert np.array_equal(result.states[0], request.states[0])


def test_waveform_bent_at_a_strobe_is_exact_there(backend: NgspiceBackend) -> None:
    wave = Waveform((0, 7 * NS, 20 * NS), (0.0, 0.13, 0.05))
    network = single("t", (1, 1), Resistor(), Cell(), Segments())
    phase = Phase("read", 30 * NS, {"wl0": wave, "bl0": level(0.0)}, (0, 7 * NS, 13 * NS, 30 * NS))
    result = backend.run(PhaseRequest(network, (np.array([[1e-5]]),), None, 0, 300.0, phase, 0))
    expected = wave.at(np.array(phase.strobes_fs, dtype=np.float64))
    assert result.samples.voltage[:, 0] == pytest.approx(expected.tolist(), abs=1e-12)
    assert result.samples.current[:, 0] == pytest.approx((expected * 1e-5).tolist(), abs=1e-16)


def test_long_pulse_takes_as_many_steps_as_its_states_move(backend: NgspiceBackend) -> None:
    request = request_for(amplitude=0.7, width=6750 * NS, edge=NS)
    fine = BehavioralBackend(tolerances=Tolerances(refine=64)).run(request)
    result = backend.run(request)
    assert np.abs(result.states[0] - request.states[0]).max() > 0.3
    assert np.abs(result.states[0] - fine.states[0]).max() < 1e-5
    charge = np.abs(result.net_charge - fine.net_charge).max() / np.abs(fine.net_charge).max()
    assert charge < 1e-5
    assert result.energy.delivered.sum() == pytest.approx(fine.energy.delivered.sum(), rel=1e-5)


def test_decks_are_written_without_an_engine() -> None:
    writer = NgspiceBackend("none")
    assert writer.deck(request_for()).deck == NgspiceBackend("subprocess").deck(request_for()).deck
    assert writer.describe()["engine"] == "none"
    assert writer.worker_pids() == []
    with pytest.raises(UnsupportedRequestError, match="only writes decks"):
        writer.run(request_for())
    writer.close()


def test_deck_is_a_value() -> None:
    backend = NgspiceBackend("subprocess")
    first, second = backend.deck(request_for()).deck, backend.deck(request_for()).deck
    assert isinstance(first, Deck)
    assert first == second
    assert first.key == backend.deck(request_for(seed=3, amplitude=0.8, width=150 * NS)).deck.key
    assert isinstance(backend._engine, SubprocessEngine)
