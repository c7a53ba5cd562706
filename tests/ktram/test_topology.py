"""1-2: readout by current difference, drive voltages, noise against simulated fluctuations."""

from __future__ import annotations

import numpy as np
import pytest

from cosim.errors import UnknownKeyError
from cosim.ktram import Core
from cosim.ktram.topology import OneTwo


def test_read_is_the_sum_of_evidence() -> None:
    core = Core(1, 2, 3, model="rs", read_noise=0, topology="1-2")
    core.set_gab(0, (0, 0, 0), 6e-4, 2e-4)
    assert core.evaluate((0, None, None), "FFLV") == pytest.approx(0.4)
    assert core.evaluate((0, 0, 0), "FFLV") == pytest.approx(1.2)
    assert Core(1, 2, 3, model="rs", read_noise=0).evaluate((None,) * 3, "FF") == 0


@pytest.mark.parametrize("spaces", [1, 20])
def test_a_read_drives_both_sides_alike_and_feedback_as_in_two_one(spaces: int) -> None:
    address = (0,) * spaces
    for name, moved in {
        "FF": (1, 1), "RF": (-1, -1), "FH": (2, 0), "FL": (0, 2), "FZ": (1, 1), "RH": (0, -2), "RL": (-2, 0),
        "RZ": (-1, -1), "FU": (0, 2), "FA": (2, 0), "RU": (0, -2), "RA": (-2, 0), "FFLV": (0, 0), "RFLV": (0, 0),
    }.items():  # fmt: skip
        core = Core(1, 1, spaces, model="byte", read_noise=0, topology="1-2")
        core.set_gab(0, address, 150, 50)
        core.evaluate(address, name)
        assert set(core.state[0, :, 0] - 150.0) == {moved[0]}, name
        assert set(core.state[0, :, 1] - 50.0) == {moved[1]}, name
        batch = Core(1, 1, spaces, model="byte", read_noise=0, topology="1-2")
        batch.set_gab(0, address, 150, 50)
        batch.lane(0).run(np.zeros((1, spaces), int), name)
        np.testing.assert_array_equal(batch.state, core.state)


def test_noise_follows_from_fluctuating_conductances() -> None:
    """Flicker alone: relative fluctuations that give the 2-1 law give the 1-2 law."""
    rng, epsilon, ga, gb = np.random.default_rng(0), 1e-3, 7e-4, 3e-4
    a, b = (g * (1 + epsilon * rng.standard_normal(200_000)) for g in (ga, gb))
    m, w = ga + gb, (ga - gb) / (ga + gb)
    mean = ((a - b) / (a + b)).std()
    difference = ((a - b) / 1e-3).std()
    scale, shape = OneTwo(1e-3).noise_terms((ga - gb) / 1e-3, m)
    assert difference / mean == pytest.approx(scale * shape / (1 - w * w), rel=0.01)


def test_reads_are_not_limited() -> None:
    core = Core(1, 1, 40, model="rs", seed=1, topology="1-2")
    core.set_gab(0, (0,) * 40, 1e-3, 1e-7)
    assert core.evaluate((0,) * 40, "FFLV") > 30
    assert core.read_sigma(0.0, 1e-3, 0.05) == pytest.approx(
        Core(1, 1, model="rs").read_sigma(0.0, 1e-3, 0.05)
    )


def test_unknown_topology() -> None:
    with pytest.raises(UnknownKeyError) as caught:
        Core(1, 1, topology="2-2")
    assert str(caught.value) == "Core.topology: must be one of 2-1, 1-2, not '2-2'"
