"""Stop conditions as values: what they refuse, and the phase that they make."""

from __future__ import annotations

import pytest

from cosim.crossbar import Phase, StopCondition, Waveform, level, pulse
from cosim.crossbar.stopping import effective_phase, met, open_conditions, plateau_fs, remainder
from cosim.errors import CrossbarError

WAVE = pulse(1.0, rise_fs=10, width_fs=100, fall_fs=10, delay_fs=5)


def condition(
    nets: tuple[str, ...] = ("a",), delay: int = 0, level_v: float = 0.0, ramp: int = 8
) -> StopCondition:
    return StopCondition("a", "current", 1e-6, "rising", delay, nets, level_v, ramp)


def phase(*stops: StopCondition) -> Phase:
    return Phase("write", 150, {"a": WAVE, "b": WAVE, "c": level(0.0)}, (20, 60, 140), stops=stops)


def test_a_stopped_phase_ends_with_its_ramp() -> None:
    asked = phase(condition(("a", "b", "c"), delay=4))
    plain = effective_phase(asked, [met(asked, 0, 40)])
    assert plain.duration_fs == 52
    assert plain.strobes_fs == (20,)
    assert plain.stops == ()
    assert plain.drives["a"] == Waveform((0, 5, 15, 44, 52), (0.0, 0.0, 1.0, 1.0, 0.0))
    assert plain.drives["a"] is plain.drives["b"]
    assert plain.drives["c"] is asked.drives["c"]


def test_it_goes_on_for_the_nets_of_other_conditions() -> None:
    asked = phase(condition(("a",)), condition(("b",)))
    first = met(asked, 0, 40)
    assert effective_phase(asked, [first]).duration_fs == 150
    assert open_conditions(asked, [first]) == (1,)
    both = [first, met(asked, 1, 60)]
    assert effective_phase(asked, both).duration_fs == 68
    assert open_conditions(asked, both) == ()


def test_a_net_ramps_once() -> None:
    asked = phase(condition(("a",)), condition(("a", "b"), level_v=0.5))
    plain = effective_phase(asked, [met(asked, 1, 50), met(asked, 0, 40)])
    assert plain.drives["a"].voltages[-1] == 0.0
    assert plain.drives["b"].voltages[-1] == 0.5
    assert open_conditions(asked, [met(asked, 1, 50)]) == ()


def test_a_late_reaction_is_cut_at_the_end_of_the_phase() -> None:
    asked = phase(condition(("a", "b")))
    plain = effective_phase(asked, [met(asked, 0, 146)])
    assert plain.duration_fs == 150
    assert plain.drives["a"].times_fs[-1] == 150
    assert effective_phase(asked, [met(asked, 0, 150)]).drives["a"] is WAVE
    assert met(asked, 0, 40, earliest_fs=43).ramp_fs == 43


def test_the_remainder_is_a_phase_of_its_own() -> None:
    rest = remainder(phase(), 20)
    assert rest.duration_fs == 130
    assert rest.strobes_fs == (40, 120)
    assert rest.drives["a"] == Waveform((0, 95, 105), (1.0, 1.0, 0.0))
    assert rest.drives["c"] is phase().drives["c"]
    assert remainder(phase(), 0) == phase()


def test_the_plateau_is_the_longest_driven_stretch() -> None:
    assert plateau_fs(Phase("write", 10_000, {"a": WAVE})) == 100
    assert plateau_fs(Phase("read", 70, {"c": level(0.0)})) == 70


def test_refusals() -> None:
    with pytest.raises(
        CrossbarError, match="a stop condition must name driven nets to ramp, but nothing drives x"
    ):
        phase(condition(("a", "x")))
    with pytest.raises(CrossbarError, match="its ramp last at least 1 fs, not 0 and 0 fs"):
        condition(ramp=0)
    with pytest.raises(CrossbarError, match="the delay of a stop condition must not be negative"):
        condition(delay=-1)
    with pytest.raises(CrossbarError, match="must be finite, not nan and 0"):
        StopCondition("a", "current", float("nan"), "rising", 0, ("a",), 0.0, 1)
    with pytest.raises(CrossbarError, match="must name the nets whose drivers ramp"):
        condition(())
