"""Write-verify: ladders, masks, sweeps, budgets, and what is recorded of them."""

from __future__ import annotations

import numpy as np
import pytest

from cosim.components.programming import Programming
from cosim.components.tile import PHASE_KINDS
from cosim.components.write_verify import Ladder, ProgrammingPulse, Verify, next_pulse
from cosim.crossbar import Cell, find
from cosim.devices import find_preset
from cosim.devices.variation import Deviation, Variation
from cosim.errors import CosimError
from cosim.hardware import ArraySpec, Hardware, WireSpec
from cosim.records import Trace
from cosim.system import System, Write

PULSE = ProgrammingPulse(0.6, 100e-9)
NS = 10**6


def climb(rule: Verify, seen: list[float], target: float) -> list[tuple[bool, float, int]]:
    """Return direction, amplitude [V] and width [ns] of the pulses after each of these verify reads."""
    ladder, found = Ladder(), []
    for value in seen:
        shot, ladder = next_pulse(rule, PULSE, value, target, ladder)
        found.append((shot.rising, round(shot.amplitude, 9), shot.width_fs // NS))
    return found


def test_ispp_climbs_and_starts_again_in_the_other_direction() -> None:
    rule = Verify(pulses="incremental-amplitude", amplitude_step=0.05, largest_amplitude=0.7)
    assert climb(rule, [1, 2, 3, 4, 9, 8, 4], 5) == [
        (True, 0.6, 100), (True, 0.65, 100), (True, 0.7, 100), (True, 0.7, 100),
        (False, 0.6, 100), (False, 0.65, 100), (True, 0.6, 100),
    ]  # fmt: skip


def test_widths_climb_to_the_longest() -> None:
    rule = Verify(pulses="incremental-width", width_factor=2.0, longest=8)
    widths = [width for _, _, width in climb(rule, [1] * 6, 5)]
    assert widths == [100, 200, 400, 800, 800, 800]
    assert climb(rule, [1] * 2000, 5)[-1] == (True, 0.6, 800)


def test_a_largest_amplitude_below_the_first_pulse_is_the_first_pulse() -> None:
    rule = Verify(pulses="incremental-amplitude", largest_amplitude=0.5)
    assert climb(rule, [1, 2], 5) == [(True, 0.6, 100), (True, 0.6, 100)]


def test_fixed_pulses_never_change() -> None:
    assert climb(Verify(), [1, 2, 9], 5) == [(True, 0.6, 100), (True, 0.6, 100), (False, 0.6, 100)]


@pytest.mark.parametrize(
    ("rule", "sentence"),
    [
        ({"amplitude_step": 0.0}, "verify.amplitude_step must be above zero, not 0.0"),
        ({"largest_amplitude": -1.0}, "verify.largest_amplitude must be above zero, not -1.0"),
        ({"width_factor": 1.0}, "verify.width_factor must be above 1, not 1.0"),
        ({"sweeps": 0}, "verify.sweeps must be at least 1, not 0"),
    ],
)
def test_refused_rules(rule: dict[str, float], sentence: str) -> None:
    with pytest.raises(CosimError) as raised:
        Verify(**rule)  # type: ignore[arg-type]
    assert str(raised.value).replace(":", "") == sentence


def written(parallel: str, kind: str = "1T1R", size: int = 8, **rule: object) -> System:
    """Return a system after random targets were written into cells that differ."""
    deviation = Deviation(0.03, "normal")
    variation = Variation(dict.fromkeys(("r_on", "r_off", "v_on", "v_off"), deviation), c2c=0.03)
    hardware = Hardware(
        ArraySpec(size, size, WireSpec(1.0, 1.0, 1e-16)), find_preset("mss-firm"), Cell(kind), variation=variation  # type: ignore[arg-type]
    )  # fmt: skip
    system = System(Trace(), 5)
    system.add_tile("t", hardware, dict.fromkeys(PHASE_KINDS, find("behavioral")()))
    targets = np.random.default_rng(1).uniform(1.3e-6, 7.5e-6, (size, size))
    pulse = ProgrammingPulse(0.6, 400e-9)
    scheme = "gate" if kind == "1T1R" else "V/2"
    verify = Verify(**{"pulses": "incremental-amplitude", "amplitude_step": 0.01, **rule})  # type: ignore[arg-type]
    job = Programming(targets, scheme, verify, pulse, pulse, parallel=parallel)  # type: ignore[arg-type]
    system.run([Write({"t": job})])
    return system


@pytest.mark.parametrize("parallel", ["cell", "row"])
def test_ispp_brings_cells_that_differ_into_their_windows(parallel: str) -> None:
    """A guard band of 0.5 % for the half LSB of the ADC: then no cell ends outside of 2 % of the range."""
    system = written(parallel, size=4 if parallel == "cell" else 8, window=0.015)
    details = system.trace.operations[0].details
    assert details["converged_fraction"] == 1.0
    assert details["final"]["t"]["worst_of_range"] <= 0.02
    assert details["pulses"] == len(system.trace.pulses) == system.trace.frame("outcomes")["pulses"].sum()
    amplitudes = system.trace.frame("pulses")["amplitude_v"]
    assert amplitudes.min() == 0.6
    assert amplitudes.max() > 0.65


def test_a_row_at_once_takes_fewer_phases_and_less_time() -> None:
    alone, together = (written(parallel, size=3) for parallel in ("cell", "row"))
    assert together.trace.end_fs < 0.7 * alone.trace.end_fs
    assert len(together.trace.phases) < 0.6 * len(alone.trace.phases)
    assert together.trace.operations[0].details["converged"] == 9
    shared = together.trace.frame("pulses").groupby("phase").size()
    assert shared.max() > 1
    assert shared.sum() == len(together.trace.pulses)


def test_sweeps_go_on_until_one_needs_no_pulse() -> None:
    """Strong pulses in a passive array disturb what was written; a second and third pass mend it."""
    strong = {"pulses": "adaptive-width", "max_pulses": 60, "window": 0.02}
    device = find_preset("mss-firm")
    once, often = (_disturbed_array(device, strong | {"sweeps": count}) for count in (1, 8))
    assert once["final"]["t"]["within_window"] < 0.8
    passes = often["sweeps"]["t"]
    assert 1 < len(passes) <= 8
    assert [each["pulses"] for each in passes] == sorted((each["pulses"] for each in passes), reverse=True)
    assert often["final"]["t"]["within_window"] > once["final"]["t"]["within_window"] + 0.05
    assert often["pulses"] == sum(each["pulses"] for each in passes)


def _disturbed_array(device: object, rule: dict[str, object]) -> dict[str, object]:
    hardware = Hardware(ArraySpec(4, 4, WireSpec(1.0, 1.0, 1e-16)), device, Cell("1R"))  # type: ignore[arg-type]
    system = System(Trace(), 5)
    system.add_tile("t", hardware, dict.fromkeys(PHASE_KINDS, find("behavioral")()))
    targets = np.random.default_rng(1).uniform(1.5e-6, 7.5e-6, (4, 4))
    pulse = ProgrammingPulse(1.0, 300e-9)
    system.run([Write({"t": Programming(targets, "V/2", Verify(**rule), pulse, pulse)})])  # type: ignore[arg-type]
    return system.trace.operations[0].details


def test_what_is_given_up_is_recorded() -> None:
    system = written("row", size=4, max_pulses=3)
    outcomes = system.trace.frame("outcomes")
    lost = outcomes[~outcomes["converged"]]
    assert len(lost) > 0
    assert (lost["pulses"] == 3).all()
    details = system.trace.operations[0].details
    assert details["unreached"] == [
        ["t", row, column] for row, column in lost[["row", "column"]].to_numpy().tolist()
    ]
    assert details["sweeps"]["t"] == [
        {"converged": 16 - len(lost), "pulsed": int((outcomes["pulses"] > 0).sum()), "pulses": int(outcomes["pulses"].sum())}
    ]  # fmt: skip
