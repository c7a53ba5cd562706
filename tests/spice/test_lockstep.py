"""What the callbacks answer, on circuits of one line that are computed here."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from cosim.crossbar import Phase, StopCondition, Waveform, level, pulse
from cosim.spice.lockstep import Reaction, Watch

NS = 10**6
WIDTH = 1000 * NS
RESOLUTION = 5e-5 * WIDTH * 1e-15


def watch(*stops: StopCondition, drive: Waveform | None = None) -> Watch:
    wave = drive or pulse(1.0, rise_fs=10 * NS, width_fs=WIDTH, fall_fs=10 * NS)
    phase = Phase("write", WIDTH + 20 * NS, {"a": wave, "b": level(0.0)}, stops=stops)
    return Watch(phase, {"vext0": "a"}, tuple(("q", 1.0) for _ in stops), RESOLUTION)


def rising(threshold: float, delay: int = 0) -> StopCondition:
    return StopCondition("a", "current", threshold, "rising", delay, ("a",), 0.0, 10 * NS)


def simulate(
    reaction: Reaction, quantity: Callable[[float, float], float], longest: float = 5e-8
) -> list[float]:
    """Step as ngspice does: twice the last step, at most the longest, at most what the reaction allows."""
    time, step, times = 0.0, 1e-12, []
    while time < (WIDTH + 20 * NS) * 1e-15 and reaction.voltage("vstopflag", time) < 0.5:
        values = [quantity(time, reaction.voltage("vext0", time))] * len(reaction.vectors) if times else []
        step = reaction.limit(time, min(2 * step, longest), values)
        time += step
        times.append(time)
    return times


def growing(time: float, voltage: float) -> float:
    return voltage * (1 - math.exp(-time / 4e-7))


def test_the_step_with_the_crossing_is_short_and_few_steps_are_added() -> None:
    reaction = Reaction(watch(rising(0.6)))
    times = simulate(reaction, growing)
    crossing = -4e-7 * math.log(0.4)
    (stop,) = reaction.stops
    assert stop.crossing_fs * 1e-15 == pytest.approx(crossing, abs=1e-3 * RESOLUTION)
    assert 0 <= stop.ramp_fs - stop.crossing_fs <= RESOLUTION * 1e15
    assert times[-1] == pytest.approx(stop.ramp_fs * 1e-15 + 1e-8, rel=1e-9)
    assert reaction.finished
    before = [t for t in times if 2e-7 < t < crossing]
    assert len(before) < 20


def test_the_ramp_waits_for_the_delay() -> None:
    reaction = Reaction(watch(rising(0.6, delay=100 * NS)))
    times = simulate(reaction, growing)
    (stop,) = reaction.stops
    assert stop.ramp_fs == stop.crossing_fs + 100 * NS
    assert min(abs(t - stop.ramp_fs * 1e-15) for t in times) < 1e-15
    assert reaction.voltage("vext0", (stop.ramp_fs + 5 * NS) * 1e-15) == pytest.approx(0.5)


def test_a_jump_that_no_extrapolation_foresees_is_run_again_with_short_steps() -> None:
    def jump(time: float, voltage: float) -> float:
        return 1 / (1 + math.exp(-(time - 5e-7) / 1e-9))

    plan = watch(rising(0.5))
    first = Reaction(plan)
    simulate(first, jump)
    assert first.missed is not None
    assert first.stops == []
    second = Reaction(plan, [first.missed])
    simulate(second, jump)
    assert second.missed is None
    assert second.stops[0].crossing_fs * 1e-15 == pytest.approx(5e-7, abs=RESOLUTION)


def test_what_is_beyond_from_the_start_does_not_count() -> None:
    reaction = Reaction(watch(rising(-1.0)))
    simulate(reaction, growing)
    assert reaction.stops == []
    assert not reaction.finished


def test_a_condition_on_a_net_without_current_is_not_watched() -> None:
    plan = watch(rising(0.6))
    reaction = Reaction(Watch(plan.phase, plan.sources, (None,), RESOLUTION))
    assert reaction.vectors == []
    assert simulate(reaction, growing)[-1] >= (WIDTH + 20 * NS) * 1e-15
    assert reaction.stops == []
