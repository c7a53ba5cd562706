"""Variation: draws that stay with their cell, order independence, stuck cells with their true values."""

from __future__ import annotations

import numpy as np
import pytest

from cosim.crossbar.drive import Phase, Waveform, level, pulse_count
from cosim.devices import Mss, Resistor, Rs, find
from cosim.devices.base import DeviceModel
from cosim.devices.variation import Deviation, Stuck, Variation, cycle_to_cycle, varied_device
from cosim.errors import DeviceError
from cosim.rng import stream

MSS = Mss(r_on=1e5, r_off=1e6, v_on=0.6, v_off=0.6, tau=1e-5)


def streams(seed: int = 1):
    return lambda name: stream(seed, f"tiles/t/{name}")


def spread(shape: tuple[int, int], **changes: object) -> DeviceModel:
    d2d = {"r_on": Deviation(0.2), "tau": Deviation(0.1, "normal")}
    return varied_device(MSS, Variation(d2d=d2d, **changes), shape, streams())  # type: ignore[arg-type]


def test_grown_array_keeps_its_corner() -> None:
    small, large = spread((8, 8)), spread((16, 16))
    np.testing.assert_array_equal(large.r_on[:8, :8], small.r_on)  # type: ignore[attr-defined]
    np.testing.assert_array_equal(large.tau[:8, :8], small.tau)  # type: ignore[attr-defined]


def test_d2d_has_the_asked_moments() -> None:
    device = spread((300, 300))
    r_on, tau = device.r_on / 1e5, device.tau / 1e-5  # type: ignore[attr-defined]
    assert np.median(r_on) == pytest.approx(1.0, rel=0.01)
    assert r_on.std() / r_on.mean() == pytest.approx(0.2, rel=0.02)
    assert tau.mean() == pytest.approx(1.0, rel=0.005)
    assert tau.std() == pytest.approx(0.1, rel=0.02)
    assert abs(np.corrcoef(np.log(r_on).ravel(), tau.ravel())[0, 1]) < 0.01


@pytest.mark.parametrize("rho", [0.5, 1.0])
def test_correlation(rho: float) -> None:
    device = spread((300, 300), correlation=rho)
    pair = np.log(device.r_on).ravel(), device.tau.ravel()  # type: ignore[attr-defined]
    assert np.corrcoef(*pair)[0, 1] == pytest.approx(rho, abs=0.01)


@pytest.mark.parametrize(
    ("device", "voltage", "width"),
    [(MSS, 0.75, 2e-7), (Rs(rate=1e5), 0.35, 3e-6), (find("vteam")(), 0.4, 2e-12)],
)
def test_twenty_pulses_in_one_phase_and_in_twenty(device: DeviceModel, voltage: float, width: float) -> None:
    shape, sigma, pulses = (300, 300), 0.3, 20
    start = device.state_for(
        np.full(
            shape, 0.9 * float(device.conductance_range()[0]) + 0.1 * float(device.conductance_range()[1])
        )
    )
    volts = np.full((1, 1), voltage)
    together = device.advance(start, volts, pulses * width, 300.0)
    together = cycle_to_cycle(device, start, together, sigma, pulses, 300.0, np.random.default_rng(0))
    single, rng = start, np.random.default_rng(1)
    for _ in range(pulses):
        after = device.advance(single, volts, width, 300.0)
        single = cycle_to_cycle(device, single, after, sigma, 1, 300.0, rng)
    moved = (together - start).mean()
    assert 0.05 < moved < 0.95
    assert (single - start).mean() == pytest.approx(moved, rel=0.02)
    assert single.std() == pytest.approx(together.std(), rel=0.02)


def test_c2c_is_a_factor_on_small_changes_and_passes_no_bound() -> None:
    before = np.full((200, 200), 0.5)
    after = cycle_to_cycle(MSS, before, before + 1e-4, 0.1, 1, 300.0, np.random.default_rng(0))
    assert (after - before).std() == pytest.approx(1e-5, rel=0.02)
    wild = cycle_to_cycle(MSS, before, before + 0.4, 3.0, 1, 300.0, np.random.default_rng(0))
    assert wild.min() >= 0.0
    assert wild.max() <= 1.0
    still = cycle_to_cycle(MSS, before, before, 0.1, 1, 300.0, np.random.default_rng(0))
    np.testing.assert_array_equal(still, before)


def test_exact_number_of_stuck_cells_with_their_true_values() -> None:
    stuck = Variation(stuck=(Stuck(conductance=3.3e-6, fraction=0.2),))
    device = varied_device(MSS, stuck, (10, 10), streams())
    state = np.random.default_rng(0).random((10, 10))
    for voltage in (0.9, -0.9, 0.0):
        state = device.advance(state, np.full((1, 1), voltage), 1e-4, 300.0)
        there = np.isclose(device.conductance(state), 3.3e-6, rtol=1e-8)
        assert there.sum() == 20


def test_which_cells_are_stuck() -> None:
    def mask(**which: object) -> np.ndarray:
        return Stuck(at="HRS", **which).mask((6, 5), stream(0, "s"))  # type: ignore[arg-type]

    assert np.argwhere(mask(cells=((1, 2), (5, 4)))).tolist() == [[1, 2], [5, 4]]
    assert mask(rows=(2,)).sum() == 5
    assert mask(columns=(0, 1)).sum() == 12
    cluster = np.argwhere(mask(clusters=1, cluster_size=2))
    assert 1 <= len(cluster) <= 4
    assert np.ptp(cluster, axis=0).max() <= 1


@pytest.mark.parametrize(("at", "expected"), [("LRS", 1e-5), ("HRS", 1e-6), ("unformed", 1e-7)])
@pytest.mark.parametrize("device", [MSS, Rs(g_min=1e-6, g_max=1e-5)])
def test_levels(device: DeviceModel, at: str, expected: float) -> None:
    stuck = Variation(stuck=(Stuck(at=at, rows=(0,)),))  # type: ignore[arg-type]
    varied = varied_device(device, stuck, (2, 2), streams())
    for state in (0.0, 0.3, 1.0):
        np.testing.assert_allclose(varied.conductance(np.full((2, 2), state))[0], expected, rtol=1e-8)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Deviation(-0.1), "sigma: must be between"),
        (lambda: Stuck(at="LRS"), "must say which"),
        (lambda: Stuck(rows=(1,)), "either 'at'"),
        (lambda: Stuck(at="LRS", conductance=1e-6, rows=(1,)), "either 'at'"),
        (lambda: Stuck(at="LRS", fraction=1.5), "fraction: must be between"),
        (lambda: Stuck(at="LRS", rows=(9,)).mask((4, 4), stream(0, "s")), "rows: must be between 0 and 3"),
        (lambda: Stuck(at="LRS", cells=((0, 9),)).mask((4, 4), stream(0, "s")), "inside of 4 x 4"),
        (lambda: Variation(correlation=2.0), "correlation: must be between"),
        (
            lambda: varied_device(MSS, Variation(d2d={"g": Deviation()}), (2, 2), streams()),
            "mss has no such parameter; it has r_on",
        ),
        (
            lambda: varied_device(
                Resistor(), Variation(stuck=(Stuck(at="LRS", rows=(0,)),)), (2, 2), streams()
            ),
            "never changes",
        ),
    ],
)
def test_refusals(make, sentence: str) -> None:
    with pytest.raises(DeviceError, match=sentence):
        make()


def test_pulses_of_a_phase() -> None:
    train = Waveform((0, 1, 2, 3, 4, 5, 6), (0.0, 1.0, 1.0, 0.0, 1.0, 1.0, 0.0))
    assert pulse_count(Phase("write", 10, {"wl0": train, "bl0": level(0.0)})) == 2
    assert pulse_count(Phase("read", 10, {"wl0": level(0.2)})) == 1
