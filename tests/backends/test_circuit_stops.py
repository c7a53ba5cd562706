"""Stop conditions on circuits of any kind: cells with two states, transistors, several conditions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from cosim.backends.behavioral import BehavioralBackend
from cosim.backends.ngspice import NgspiceBackend
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
from cosim.crossbar.access import Mosfet
from cosim.crossbar.drive import Waveform
from cosim.crossbar.stopping import effective_phase
from cosim.devices import find_preset
from cosim.devices.base import FloatArray
from cosim.devices.forming import Formable, Forming
from cosim.spice.machine import probe

NS = 10**6
KELVIN = 300.0
EDGE, WIDTH = 10 * NS, 20_000 * NS
SERIES = 5e3
VOLTS = 2.7
DEVICE = Formable(find_preset("mss-firm"), Forming())


def forming_request(threshold: float, delay: int = 0, ramp: int = EDGE) -> PhaseRequest:
    """Return a forming pulse on a fresh cell behind a resistance, which ends at ``threshold`` [A]."""
    network = single("t", (1, 1), DEVICE, Cell("1T1R", access_resistance=SERIES), Segments())
    drives = {
        "wl0": pulse(VOLTS, rise_fs=EDGE, width_fs=WIDTH, fall_fs=EDGE),
        "bl0": level(0.0),
        "gl0": level(1.8),
    }
    stop = StopCondition("bl0", "current", -threshold, "falling", delay, ("wl0", "bl0"), 0.0, ramp)
    phase = Phase("write", WIDTH + 2 * EDGE, drives, stops=(stop,))
    return PhaseRequest(network, (np.zeros((1, 1, 2)),), None, 0, KELVIN, phase, 0)


def formed(threshold: float) -> tuple[float, FloatArray]:
    """Return when [s] the current passes ``threshold`` [A], and the states then, by a general solver with events."""

    def current(volts: float, state: FloatArray) -> float:
        g = float(DEVICE.conductance(state.reshape(1, 1, 2))[0, 0])
        return volts * g / (1.0 + SERIES * g)

    def slope(volts: Callable[[float], float]) -> Callable[[float, FloatArray], FloatArray]:
        def rate(t: float, state: FloatArray) -> FloatArray:
            across = np.array([[volts(t) - SERIES * current(volts(t), state)]])
            found = DEVICE.state_rate(state.reshape(1, 1, 2), across, KELVIN)
            assert found is not None
            return found[0, 0]

        return rate

    def event(t: float, state: FloatArray) -> float:
        return current(VOLTS, state) - threshold

    event.terminal = True  # type: ignore[attr-defined]
    edge, width = EDGE * 1e-15, WIDTH * 1e-15
    exact = {"method": "LSODA", "rtol": 1e-10, "atol": 1e-13}
    rise = solve_ivp(slope(lambda t: VOLTS * t / edge), (0.0, edge), np.zeros(2), **exact)
    flat = solve_ivp(slope(lambda t: VOLTS), (edge, edge + width), rise.y[:, -1], events=event, **exact)
    return float(flat.t[-1]), flat.y[:, -1]


def same_as_plain(
    request: PhaseRequest, result: PhaseResult, backend: BehavioralBackend, charged: bool = False
) -> None:
    """Check that the outcome is that of the plain phase with the same stops."""
    plain = replace(request, phase=effective_phase(request.phase, result.stops))
    again = backend.run(plain)
    assert result.duration_fs == again.duration_fs == plain.phase.duration_fs
    assert np.abs(result.states[0] - again.states[0]).max() < 5e-6
    assert result.energy.delivered.sum() == pytest.approx(again.energy.delivered.sum(), rel=2e-5)
    assert np.allclose(result.net_charge, again.net_charge, rtol=1e-3 if charged else 2e-5, atol=1e-22)
    assert abs(result.energy.numerical) < (1e-5 if charged else 1e-9) * result.energy.delivered.sum()
    assert "stopped" in result.applied


@pytest.mark.parametrize("threshold", [2e-6, 8e-6, 20e-6])
def test_compliance_ends_the_forming_where_an_event_of_a_general_solver_does(threshold: float) -> None:
    request = forming_request(threshold, ramp=1)
    result = BehavioralBackend().run(request)
    instant, states = formed(threshold)
    assert abs(result.stops[0].crossing_fs * 1e-15 - instant) < 1e-5 * WIDTH * 1e-15
    assert np.abs(result.states[0][0, 0] - states).max() < 1e-5
    same_as_plain(request, result, BehavioralBackend())


def test_delay_and_strobes() -> None:
    """Strobes after the end are left out; drivers go on for the delay."""
    request = forming_request(8e-6, delay=40 * NS)
    request = replace(request, phase=replace(request.phase, strobes_fs=(100 * NS, WIDTH), save=("wl0",)))
    result = BehavioralBackend().run(request)
    (stop,) = result.stops
    assert stop.ramp_fs == stop.crossing_fs + 40 * NS
    assert result.duration_fs == stop.ramp_fs + EDGE
    assert result.samples.times_fs == (100 * NS,)
    assert result.saved is not None
    assert result.saved.times_s[-1] == pytest.approx(result.duration_fs * 1e-15)
    same_as_plain(request, result, BehavioralBackend())


def test_a_threshold_that_is_never_passed() -> None:
    request = forming_request(1e-3)
    result = BehavioralBackend().run(request)
    plain = BehavioralBackend().run(replace(request, phase=replace(request.phase, stops=())))
    assert result.stops == ()
    assert np.array_equal(result.states[0], plain.states[0])
    assert result.duration_fs == request.phase.duration_fs


def transistors(fidelity: str = "resistive") -> PhaseRequest:
    """Return a SET of two cells of a row, each line with a compliance of its own."""
    segments = Segments(2.5, 2.5, 1e-16, 1e-16) if fidelity == "rc" else Segments(2.5, 2.5)
    network = single(
        "t", (2, 2), find_preset("mss-firm"), Cell("1T1R", transistor=Mosfet()), segments, r_source=10.0
    )
    wave = pulse(0.9, rise_fs=EDGE, width_fs=WIDTH, fall_fs=EDGE)
    drives: dict[str, Waveform] = {"bl0": level(0.0), "bl1": level(0.0), "wl0": wave, "wl1": level(0.0)}
    drives |= {"gl0": level(1.2), "gl1": level(0.0)}
    stops = tuple(
        StopCondition(f"bl{k}", "current", -amperes, "falling", 0, (f"bl{k}",), 0.9, EDGE)
        for k, amperes in enumerate((2.5e-6, 4.5e-6))
    )
    states = np.array([[0.1, 0.15], [0.3, 0.4]])
    return PhaseRequest(
        network, (states,), None, 0, KELVIN, Phase("write", WIDTH + 2 * EDGE, drives, stops=stops), 0
    )


@pytest.mark.ngspice
@pytest.mark.parametrize("fidelity", ["resistive", "rc"])
def test_two_conditions_on_transistor_cells_against_ngspice(fidelity: str) -> None:
    """Each bit line is inhibited on its own; the phase ends when both are."""
    if probe().engine != "pyspice":
        pytest.skip("stop conditions need libngspice and PySpice")
    request = transistors(fidelity)
    backend = BehavioralBackend("rc" if fidelity == "rc" else "resistive")
    ours = backend.run(request)
    same_as_plain(request, ours, backend, fidelity == "rc")
    spice = NgspiceBackend("pyspice", still_tolerance=0.0)
    theirs = spice.run(request)
    spice.close()
    assert sorted(stop.condition for stop in ours.stops) == [0, 1]
    for mine, other in zip(ours.stops, theirs.stops, strict=True):
        assert mine.condition == other.condition
        assert abs(mine.crossing_fs - other.crossing_fs) < 3e-4 * WIDTH
    assert np.abs(ours.states[0] - theirs.states[0]).max() < 2e-4
