"""Stop conditions: behavioral and ngspice against an event reference, each other, and the plain phase."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from event_reference import event_reference

from cosim.backends.behavioral import BehavioralBackend
from cosim.backends.ngspice import NgspiceBackend
from cosim.backends.paired import PairedBackend
from cosim.crossbar import (
    Cell,
    Phase,
    PhaseRequest,
    PhaseResult,
    Segments,
    StopCondition,
    level,
    pulse,
    single,
)
from cosim.crossbar.drive import Waveform
from cosim.crossbar.stopping import Stop, effective_phase
from cosim.devices import Resistor, find_preset
from cosim.errors import SpiceMissingError, UnsupportedRequestError
from cosim.spice.machine import probe

NS = 10**6
WIDTH, EDGE = 8000 * NS, 2 * NS


@pytest.fixture(scope="module")
def spice() -> Iterator[NgspiceBackend]:
    if probe().engine != "pyspice":
        pytest.skip("stop conditions need libngspice and PySpice")
    backend = NgspiceBackend("pyspice", still_tolerance=0.0)
    yield backend
    backend.close()


def compliance(
    size: int, share: float = 0.5, *, delay: int = 0, seed: int = 1, strobes: tuple[int, ...] = ()
) -> PhaseRequest:
    """Return a V/2 SET of cell (0, 0) that ends where its bit line's current has risen by ``share``."""
    network = single("a", (size, size), find_preset("mss-firm"), Cell(), Segments(2.5, 2.5), r_source=10.0)
    full, half = (pulse(v, width_fs=WIDTH, rise_fs=EDGE, fall_fs=EDGE) for v in (0.75, 0.375))
    drives = {f"wl{i}": half if i else full for i in range(size)}
    drives |= {f"bl{j}": half if j else level(0.0) for j in range(size)}
    states = np.random.default_rng(seed).uniform(0.1, 0.3, (size, size))
    phase = Phase("write", WIDTH + 2 * EDGE, drives, (EDGE, EDGE + WIDTH))
    request = PhaseRequest(network, (states,), None, 0, 300.0, phase, 0)
    before, after = BehavioralBackend().run(request).samples.current[:, network.net_index["bl0"]].tolist()
    threshold = before + share * (after - before)
    stop = StopCondition("bl0", "current", threshold, "falling", delay, tuple(drives), 0.0, EDGE)
    return replace(request, phase=replace(phase, strobes_fs=strobes, stops=(stop,)))


def crossing(result: PhaseResult) -> float:
    return result.stops[0].crossing_fs * 1e-15


@pytest.mark.parametrize(("size", "share", "delay"), [(4, 0.5, 0), (4, 0.9, 40 * NS), (8, 0.5, 0)])
def test_the_stop_instant_is_that_of_the_event_reference(size: int, share: float, delay: int) -> None:
    request = compliance(size, share, delay=delay)
    expected = event_reference(request)
    result = BehavioralBackend().run(request)
    assert abs(crossing(result) - expected.crossing_s) < 1e-4 * WIDTH * 1e-15
    assert abs(result.duration_fs * 1e-15 - expected.end_s) < 1e-4 * WIDTH * 1e-15
    assert np.abs(result.states[0] - expected.states).max() < 5e-5


@pytest.mark.ngspice
@pytest.mark.parametrize(("size", "delay"), [(4, 0), (4, 40 * NS), (8, 0)])
def test_ngspice_stops_where_the_behavioral_backend_does(
    spice: NgspiceBackend, size: int, delay: int
) -> None:
    request = compliance(size, delay=delay)
    ours, theirs = BehavioralBackend().run(request), spice.run(request)
    assert abs(crossing(ours) - crossing(theirs)) < 1e-4 * WIDTH * 1e-15
    assert abs(ours.duration_fs - theirs.duration_fs) < 3e-4 * WIDTH
    assert np.abs(ours.states[0] - theirs.states[0]).max() < 1e-4
    assert theirs.energy.delivered.sum() == pytest.approx(ours.energy.delivered.sum(), rel=3e-4)
    assert abs(theirs.energy.numerical) < 1e-6 * theirs.energy.delivered.sum()
    assert "stopped" in ours.applied
    assert "stopped" in theirs.applied


@pytest.mark.ngspice
def test_ngspice_lands_on_the_crossing(spice: NgspiceBackend) -> None:
    result = spice.run(compliance(4))
    assert 0 <= result.stops[0].ramp_fs - result.stops[0].crossing_fs < 1e-3 * WIDTH


def test_what_happens_is_the_effective_phase() -> None:
    request = compliance(4, strobes=(1000 * NS, 7000 * NS))
    result = BehavioralBackend().run(request)
    plain = replace(request, phase=effective_phase(request.phase, result.stops))
    again = BehavioralBackend().run(plain)
    assert plain.phase.duration_fs == result.duration_fs == again.duration_fs
    assert result.samples.times_fs == again.samples.times_fs == (1000 * NS,)
    assert np.allclose(result.samples.current, again.samples.current, rtol=1e-4, atol=1e-12)
    assert np.abs(result.states[0] - again.states[0]).max() < 3e-5
    assert np.allclose(result.net_charge, again.net_charge, rtol=1e-5)
    assert result.energy.delivered.sum() == pytest.approx(again.energy.delivered.sum(), rel=1e-5)
    assert abs(result.energy.numerical) < 1e-9 * result.energy.delivered.sum()


@pytest.mark.ngspice
def test_the_effective_phase_is_the_same_as_a_plain_deck(spice: NgspiceBackend) -> None:
    request = compliance(4, strobes=(1000 * NS,))
    result = spice.run(request)
    again = spice.run(replace(request, phase=effective_phase(request.phase, result.stops)))
    assert np.abs(result.states[0] - again.states[0]).max() < 2e-5
    assert result.energy.delivered.sum() == pytest.approx(again.energy.delivered.sum(), rel=1e-5)
    assert np.allclose(result.samples.current, again.samples.current, rtol=1e-5, atol=1e-12)


def test_a_condition_that_is_never_met_changes_nothing() -> None:
    request = compliance(4, 2.0)
    plain = replace(request, phase=replace(request.phase, stops=()))
    result, expected = BehavioralBackend().run(request), BehavioralBackend().run(plain)
    assert result.stops == ()
    assert np.array_equal(result.states[0], expected.states[0])
    assert result.energy.delivered.tolist() == expected.energy.delivered.tolist()


@pytest.mark.ngspice
def test_on_ngspice_too(spice: NgspiceBackend) -> None:
    request = compliance(4, 2.0)
    result = spice.run(request)
    plain = spice.run(replace(request, phase=replace(request.phase, stops=())))
    assert result.stops == ()
    assert result.duration_fs == request.phase.duration_fs
    assert np.abs(result.states[0] - plain.states[0]).max() < 1e-5


def triangle(
    backend: BehavioralBackend | NgspiceBackend, *stops: StopCondition, gated: bool = False
) -> PhaseResult:
    """Run a triangle of 1 V in 20 ns on two rows of resistors of 10 kohm into two sunk columns."""
    cell = Cell("1T1R", access_resistance=1.0) if gated else Cell()
    network = single("t", (2, 2), Resistor(), cell, Segments(1.0, 1.0))
    wave = Waveform((0, 10 * NS, 20 * NS), (0.0, 1.0, 0.0))
    drives = {"wl0": wave, "wl1": wave, "bl0": level(0.0), "bl1": level(0.0)}
    if gated:
        drives["gl0"] = level(1.8)
    phase = Phase("read", 25 * NS, drives, (2 * NS, 22 * NS), ("wl0",), stops=stops)
    return backend.run(PhaseRequest(network, (np.full((2, 2), 1e-4),), None, 0, 300.0, phase, 0))


def at(
    net: str, threshold: float, direction: str = "rising", delay: int = 0, nets: tuple[str, ...] = ()
) -> StopCondition:
    nets = nets or (net,)
    return StopCondition(net, "current", threshold, direction, delay, nets, 0.0, NS)  # type: ignore[arg-type]


BACKENDS = ["behavioral", pytest.param("ngspice", marks=pytest.mark.ngspice)]


@pytest.fixture(params=BACKENDS)
def either(request: pytest.FixtureRequest) -> BehavioralBackend | NgspiceBackend:
    if request.param == "behavioral":
        return BehavioralBackend()
    found: NgspiceBackend = request.getfixturevalue("spice")
    return found


def near(stops: tuple[Stop, ...], *expected: tuple[int, float, float]) -> bool:
    """Whether stops are as expected: condition, crossing and ramp [ns]; ngspice lands within 1e-3 of a plateau."""
    found = [(s.condition, s.crossing_fs / NS, s.ramp_fs / NS) for s in stops]
    return len(found) == len(expected) and all(
        a[0] == b[0] and abs(a[1] - b[1]) < 0.01 and abs(a[2] - b[2]) < 0.02
        for a, b in zip(found, expected, strict=True)
    )


def test_a_still_network_crosses_on_its_edge(either: BehavioralBackend | NgspiceBackend) -> None:
    full = 2e-4  # two cells of 0.1 mS at 1 V, less what the wires take
    result = triangle(either, at("wl0", 0.4 * full, delay=NS, nets=("wl0", "wl1")))
    (stop,) = result.stops
    assert stop.crossing_fs / NS == pytest.approx(4.0, abs=0.03)
    assert result.duration_fs / NS == pytest.approx(6.0, abs=0.05)
    assert result.samples.times_fs == (2 * NS,)
    assert result.saved is not None
    assert result.saved.times_s[-1] == pytest.approx(result.duration_fs * 1e-15)


def test_conditions_on_different_nets_stop_one_after_the_other(
    either: BehavioralBackend | NgspiceBackend,
) -> None:
    result = triangle(either, at("wl1", 1.6e-4), at("wl0", 0.8e-4))
    assert [stop.condition for stop in result.stops] == [1, 0]
    first, second = (stop.crossing_fs / NS for stop in result.stops)
    assert first == pytest.approx(4.0, abs=0.03)
    assert second == pytest.approx(8.0, abs=0.06)
    assert result.duration_fs / NS == pytest.approx(second + 1, abs=0.02)


def test_a_falling_condition_needs_to_have_been_above(either: BehavioralBackend | NgspiceBackend) -> None:
    result = triangle(either, at("wl0", 1e-4, "falling", nets=("wl0", "wl1")))
    assert result.stops[0].crossing_fs / NS == pytest.approx(15.0, abs=0.05)


def test_two_conditions_on_the_same_nets_count_once(either: BehavioralBackend | NgspiceBackend) -> None:
    both = ("wl0", "wl1")
    result = triangle(either, at("wl0", 1.2e-4, nets=both), at("wl1", 0.8e-4, nets=both))
    assert [stop.condition for stop in result.stops] == [1]


def test_a_ramp_is_shortened_at_the_end_of_the_phase(either: BehavioralBackend | NgspiceBackend) -> None:
    result = triangle(either, at("wl0", 0.2e-4, "falling", delay=7 * NS, nets=("wl0", "wl1")))
    assert result.duration_fs == 25 * NS
    assert len(result.stops) == 1


def test_rows_that_are_switched_off_never_stop(either: BehavioralBackend | NgspiceBackend) -> None:
    result = triangle(either, at("wl1", 1e-6, nets=("wl0", "wl1")), gated=True)
    assert result.stops == ()
    result = triangle(either, at("wl0", 1e-5, nets=("wl0", "wl1")), gated=True)
    assert result.duration_fs < 3 * NS
    assert result.states[0].shape == (2, 2)


def test_a_stopped_phase_of_one_row_ages_the_others() -> None:
    device = find_preset("mss-firm")
    network = single("g", (3, 2), device, Cell("1T1R"), Segments(2.5, 2.5))
    wave = pulse(0.9, width_fs=WIDTH, rise_fs=EDGE, fall_fs=EDGE)
    drives = {
        "wl0": wave,
        "wl1": level(0.0),
        "wl2": level(0.0),
        "bl0": level(0.0),
        "bl1": wave,
        "gl0": level(1.8),
    }
    phase = Phase(
        "write", WIDTH + 2 * EDGE, drives,
        stops=(StopCondition("bl0", "current", -4e-6, "falling", 0, ("wl0", "bl1"), 0.0, EDGE),),
    )  # fmt: skip
    states = np.full((3, 2), 0.3)
    result = BehavioralBackend().run(PhaseRequest(network, (states,), None, 0, 300.0, phase, 0))
    assert result.stops
    rest = device.advance(states, np.zeros((1, 1)), result.duration_fs * 1e-15, 300.0)
    assert np.array_equal(result.states[0][1:], rest[1:])
    assert result.states[0][0, 0] > 0.31


@pytest.mark.ngspice
def test_the_subprocess_engine_refuses() -> None:
    backend = NgspiceBackend("subprocess")
    sentence = "the engine 'subprocess' cannot react inside a phase, so it answers no stop conditions; choose the engine 'lockstep'"
    with pytest.raises(UnsupportedRequestError) as raised:
        backend.run(compliance(4))
    assert str(raised.value) == sentence
    assert backend.stop_refusal(compliance(4).network) == sentence


@pytest.mark.ngspice
def test_the_lockstep_engine_answers_plain_phases_too() -> None:
    request = compliance(4)
    plain = replace(request, phase=replace(request.phase, stops=()))
    try:
        backend = NgspiceBackend("lockstep")
    except SpiceMissingError:
        pytest.skip("stop conditions need libngspice and PySpice")
    with_stop, without, again = backend.run(request), backend.run(plain), backend.run(request)
    expected = BehavioralBackend().run(plain)
    backend.close()
    assert np.abs(without.states[0] - expected.states[0]).max() < 1e-4
    assert np.array_equal(with_stop.states[0], again.states[0])
    assert with_stop.stops == again.stops


@pytest.mark.ngspice
def test_paired_backends_note_the_deviation() -> None:
    if probe().engine != "pyspice":
        pytest.skip("stop conditions need libngspice and PySpice")
    backend = PairedBackend()
    result = backend.run(compliance(4))
    backend.close()
    assert result.stops
    assert result.deviation is not None
    assert result.deviation.state_absolute < 1e-4
    assert result.deviation.energy_relative < 1e-3


@pytest.mark.ngspice
def test_charged_lines_stop_where_ngspice_says(spice: NgspiceBackend) -> None:
    """Lines of 1 pF behind 10 kohm: the current of the driver passes its threshold on the way down."""
    segments = Segments(2.5, 2.5, 5e-13, 5e-13)
    network = single("a", (2, 2), Resistor(), Cell(), segments, r_source=1e4, r_sink=1e4)
    drives = {"wl0": pulse(0.2, rise_fs=NS, width_fs=200 * NS, fall_fs=NS), "wl1": level(0.0)}
    drives |= {"bl0": level(0.0), "bl1": level(0.0)}
    stop = StopCondition("wl0", "current", 4e-6, "falling", 0, ("wl0",), 0.0, NS)
    phase = Phase("read", 202 * NS, drives, stops=(stop,))
    request = PhaseRequest(network, (np.full((2, 2), 5e-6),), None, 0, 300.0, phase, 0)
    ours, theirs = BehavioralBackend("rc").run(request), spice.run(request)
    assert len(ours.stops) == len(theirs.stops) == 1
    assert abs(ours.stops[0].crossing_fs - theirs.stops[0].crossing_fs) < 1e-3 * 200 * NS
    assert abs(ours.duration_fs - theirs.duration_fs) < 1e-3 * 200 * NS
    assert ours.node_voltages is not None
    assert theirs.node_voltages is not None
    assert np.abs(ours.node_voltages[0] - theirs.node_voltages[0]).max() < 1e-3 * 0.2


@pytest.mark.acceptance
@pytest.mark.ngspice
def test_acceptance_compliance(spice: NgspiceBackend, capsys: pytest.CaptureFixture[str]) -> None:
    lines = []
    for size in (4, 8):
        for share in (0.25, 0.5, 0.9):
            request = compliance(size, share, seed=size)
            expected, ours, theirs = (
                event_reference(request),
                BehavioralBackend().run(request),
                spice.run(request),
            )
            width = WIDTH * 1e-15
            gaps = (
                abs(crossing(ours) - crossing(theirs)) / width,
                abs(crossing(ours) - expected.crossing_s) / width,
                abs(crossing(theirs) - expected.crossing_s) / width,
                max(float(np.abs(r.states[0] - expected.states).max()) for r in (ours, theirs)),
                float(np.abs(ours.states[0] - theirs.states[0]).max()),
            )
            assert gaps[0] < 5e-3
            assert max(gaps[1:3]) < 2e-3
            assert max(gaps[3:]) < 1e-3
            lines.append(
                f"{size} x {size}, stop at {crossing(ours) / width:.2f} of the width: behavioral against ngspice {gaps[0]:.1e}, "
                f"against solve_ivp {gaps[1]:.1e} and {gaps[2]:.1e} of the width; states {gaps[3]:.1e}, {gaps[4]:.1e}"
            )
    with capsys.disabled():
        print("\n" + "\n".join(lines))  # noqa: T201
