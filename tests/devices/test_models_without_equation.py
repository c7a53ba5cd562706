"""mtj, pcm, programming_error, float, byte: the published formulas written anew, draws, refusals."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from scipy.special import ndtri

import cosim
from cosim.devices import Byte, DeviceModel, Float, Mtj, Pcm, ProgrammingError, find_preset
from cosim.errors import DeviceError, InputError
from cosim.ktram.models import ByteLaw, FloatLaw

KELVIN, DAY = 300.0, 86400.0
SHAPE = (200, 250)


def written(device: Pcm | ProgrammingError, g: float, age: float, seed: int = 1) -> np.ndarray:
    """States of cells written to ``g`` [S] and left alone for ``age`` [s], as a tile goes through it."""
    rng = np.random.default_rng(seed)
    state = device.state_for(np.full(SHAPE, g))
    ones = np.ones(SHAPE)
    state = device.fluctuate(state, state, ones, rng.random((2, *SHAPE)))
    later = device.advance(state, np.zeros((1, 1)), age, KELVIN)
    return device.fluctuate(state, later, 0.0 * ones, rng.random((2, *SHAPE)))


# -- magnetic tunnel junction ---------------------------------------------------------------------


def rate(v: float, delta: float = 60.0) -> float:
    """Leaving rate at 300 K with the default parameters, as the sources write it."""
    thermal = 1e9 * math.exp(-delta * max(0.0, 1 - v / 0.7))
    return thermal + 2 / (0.5772156649 + math.log(math.pi**2 * delta / 4)) * max(0.0, v / 0.7 - 1) / 1e-9


@pytest.mark.parametrize("volts", [0.4, 0.55, 0.69, 0.75, 1.0])
def test_mtj_switches_with_the_published_probability(volts: float) -> None:
    device = Mtj()
    for width in (1e-9, 10e-9, 1e-6):
        wanted = -math.expm1(-rate(volts) * width)
        for sign in (1.0, -1.0):
            found = float(device.switching_probability(np.array(sign * volts), width, KELVIN))
            assert found == pytest.approx(wanted, rel=1e-6)


def test_mtj_barrier_falls_with_voltage_and_temperature() -> None:
    """Below the critical voltage the logarithm of the time is a straight line of slope -delta/v_c."""
    device, volts = Mtj(), np.array([0.1, 0.3, 0.5])
    for kelvin in (300.0, 360.0):
        delta = 60.0 * 300.0 / kelvin
        times = -np.log(device.switching_rate(volts, 0.7, kelvin))
        assert np.allclose(np.diff(times) / 0.2, -delta / 0.7, rtol=1e-9)


def test_mtj_draws_whole_states_with_that_frequency() -> None:
    device, rng = Mtj(), np.random.default_rng(2)
    before = np.zeros(SHAPE)
    after = device.advance(before, np.full(SHAPE, 0.72), 1e-9, KELVIN)
    drawn = device.fluctuate(before, after, before, rng.random((2, *SHAPE)))
    assert set(np.unique(drawn)) == {0.0, 1.0}
    p = float(device.switching_probability(np.array(0.72), 1e-9, KELVIN))
    assert drawn.mean() == pytest.approx(p, abs=4 * math.sqrt(p * (1 - p) / drawn.size))
    kept = device.advance(drawn, np.zeros(SHAPE), 10 * 3.156e7, KELVIN)
    assert np.array_equal(device.fluctuate(drawn, kept, before, rng.random((2, *SHAPE))), drawn)
    assert not Mtj(draws="mean").stochastic
    moved = float(np.abs(after - before).max())
    assert moved <= Mtj(draws="mean").most_moved(-0.72, 0.72, 1e-9, KELVIN) <= 1.1 * moved
    assert Mtj().most_moved(0.0, 0.0, 1e-9, KELVIN) == 1.0


# -- phase-change memory --------------------------------------------------------------------------


@pytest.mark.parametrize("x", [0.02, 0.2, 0.6, 1.0])
def test_pcm_statistics_are_the_published_ones(x: float) -> None:
    """Programming noise, drift and read noise as the source's code has them, a day after the write."""
    device, g = Pcm(), np.array(25e-6 * x)
    assert float(device.error_deviation(g)) == pytest.approx(1e-6 * (0.26348 + 1.965 * x - 1.1731 * x * x))
    mean, spread = (float(value) for value in device.drift_exponent(g))
    assert mean == pytest.approx(min(max(-0.0155 * math.log(x) + 0.0244, 0.049), 0.1))
    assert spread == pytest.approx(min(max(-0.0125 * math.log(x) - 0.0059, 0.008), 0.045))
    q = min(0.0088 / x**0.65, 0.2)
    noise = float(device.noise_deviation(g, np.array(DAY)))
    assert noise == pytest.approx(q * math.sqrt(math.log((DAY + 250e-9) / 500e-9)))
    assert float(device.noise_deviation(g, np.array(100e-9))) == 0.0


def test_pcm_cells_after_a_day() -> None:
    device, g = Pcm(), 15e-6
    state = written(device, g, DAY)
    z = [ndtri(np.asarray(state[..., k])) for k in (3, 4, 5)]
    for draws in z:
        assert draws.mean() == pytest.approx(0.0, abs=0.02)
        assert draws.std() == pytest.approx(1.0, rel=0.02)
    assert abs(np.corrcoef(z[0].ravel(), z[1].ravel())[0, 1]) < 0.02
    assert abs(np.corrcoef(z[0].ravel(), z[2].ravel())[0, 1]) < 0.02
    x, t = 0.6, DAY
    programmed = np.maximum(g + 1e-6 * (0.26348 + 1.965 * x - 1.1731 * x * x) * z[0], 0)
    nu = np.abs(0.049 + 0.008 * z[1])
    q = np.minimum(0.0088 / (programmed / 25e-6) ** 0.65, 0.2)
    wanted = programmed * (1 + t / 20) ** -nu * (1 + q * math.sqrt(math.log((t + 250e-9) / 500e-9)) * z[2])
    assert np.allclose(device.conductance(state), wanted, rtol=1e-9)


def test_pcm_mean_drifts_by_its_power() -> None:
    device = Pcm(draws="mean")
    state = written(device, 20e-6, 1e6)
    assert np.allclose(device.conductance(state), 20e-6 * (1 + 1e6 / 20) ** -0.049, rtol=1e-12)
    # Many short gaps are one long one, and a phase under voltage counts too.
    parts = device.state_for(np.full((1, 3), 20e-6))
    for _ in range(50):
        parts = device.advance(parts, np.zeros((1, 3)), 1.5e4, KELVIN)
        held = device.advance(parts, np.full((1, 3), 0.1), 0.5e4, KELVIN)
        assert np.array_equal(device.conductance(held), device.conductance(parts))
        parts = device.fluctuate(parts, held, np.zeros((1, 3)), np.zeros((2, 1, 3)))
    assert np.allclose(device.conductance(parts), device.conductance(state)[0, 0], rtol=1e-9)


def test_only_written_cells_draw_anew() -> None:
    device, rng = Pcm(), np.random.default_rng(3)
    state = written(device, 10e-6, 100.0)
    exposure = np.zeros(SHAPE)
    exposure[0] = 1.0
    after = device.fluctuate(state, state, exposure, rng.random((2, *SHAPE)))
    assert np.all(after[0, :, 3] != state[0, :, 3])
    assert np.all(after[0, :, 1:3] == 0)
    assert np.array_equal(after[1:, :, :5], state[1:, :, :5])
    assert np.all(after[..., 5] != state[..., 5])


# -- programming error ----------------------------------------------------------------------------


def wan(row: tuple[float, ...], g: float) -> float:
    return sum(c * (g / 40e-6) ** k for k, c in enumerate(row)) * 1e-6


PUBLISHED = [
    ("rram-milo", 100e-6, 1.0, 0.0, 1e-6 * (4.782 - 0.009107 * 100)),
    ("rram-milo", 200e-6, DAY, 0.0, 1e-6 * (4.782 - 0.009107 * 200)),
    ("rram-wan", 20e-6, 1.0, 0.0, wan((0.348, 16.030, -43.853, 45.393, -16.815), 20e-6)),
    ("rram-wan", 10e-6, DAY, 0.0, wan((0.701, 22.086, -50.773, 47.095, -16.458), 10e-6)),
    ("rram-wan", 30e-6, 2 * DAY, 0.0, wan((0.782, 20.274, -43.507, 37.062, -11.934), 30e-6)),
    ("sonos-40nm", 8e-6, 1.0, 0.0, 19.9e-9 / 0.1 * (1 - math.exp(-800 / 176))),
    ("sonos-40nm", 12e-6, 4 * DAY, 0.0, 33.8e-9 / 0.1 * (1 - math.exp(-1200 / 204.8))),
    ("rram-cmo", 50e-6, 1.0, 0.0, 1e-6 * math.hypot(0.01129 * 50 + 0.01122, 0.41183)),
    ("rram-cmo", 50e-6, 1e4, -0.089002e-6 * math.log(1e4), 1e-6 * math.hypot(0.01129 * 50 + 0.01122, 0.42011e-1 * math.log(1e4) + 0.41183)),
]  # fmt: skip


@pytest.mark.parametrize(("name", "g", "age", "shift", "sigma"), PUBLISHED)
def test_errors_are_the_published_ones(name: str, g: float, age: float, shift: float, sigma: float) -> None:
    device = find_preset(name)
    assert isinstance(device, ProgrammingError)
    assert float(device.deviation(np.array(g), np.array(age))) == pytest.approx(sigma, rel=1e-3)
    found = device.conductance(written(device, g, age))
    assert found.mean() == pytest.approx(g + shift, abs=0.03 * sigma)
    assert found.std() == pytest.approx(sigma, rel=0.02)


def test_a_verify_does_not_see_the_error() -> None:
    device = ProgrammingError()
    assert np.allclose(device.conductance(written(device, 100e-6, 1e-8)), 100e-6, rtol=2e-4)
    assert np.allclose(
        device.conductance(written(ProgrammingError(draws="mean"), 100e-6, DAY)), 100e-6, rtol=1e-12
    )
    spread = [float(device.deviation(np.array(1e-4), np.array(t))) for t in (0.0, 1e-6, 1e-3, 1.0, 1e5)]
    assert spread[0] == 0.0
    assert spread == sorted(spread)
    assert spread[3] == spread[4]


def test_a_map_that_a_tile_starts_from_draws_in_its_first_phase() -> None:
    device, rng = ProgrammingError(), np.random.default_rng(1)
    state = device.state_for(np.full(SHAPE, 1e-4))
    assert np.allclose(device.conductance(state), 1e-4, rtol=1e-12)
    state = device.fluctuate(state, device.advance(state, np.zeros((1, 1)), 10.0, KELVIN), np.zeros(SHAPE), rng.random((2, *SHAPE)))  # fmt: skip
    assert device.conductance(state).std() == pytest.approx(1e-6 * (4.782 - 0.9107), rel=0.02)


# -- kT-RAM ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("device", "law"), [(find_preset("float-ktram"), FloatLaw()), (Byte(), ByteLaw())])
def test_kt_pulses_are_the_emulators(device: DeviceModel, law: FloatLaw | ByteLaw) -> None:
    """Random pulses from random states: the conductance is the emulator's, for byte to the last step."""
    rng = np.random.default_rng(4)
    low, high = law.g_min, law.g_max
    state, stored = np.full((1, 1), 0.5), law.stored(0.5 * (low + high))
    if isinstance(device, Byte):
        state = np.array([[(stored - 1) / 254]])
    for volts in (*rng.uniform(-3, 3, 300), 0.5, -0.5, 1.5, -1.5, 0.25, -0.25, 0.2499):
        after = device.advance(state, np.array([[volts]]), 10e-9, KELVIN)
        state = device.fluctuate(state, after, 0.0 * state, np.zeros((2, 1, 1)))
        stored = law.step(stored, volts, 10e-9, rng)
        assert low + float(state[0, 0]) * (high - low) == pytest.approx(stored, rel=1e-12)


def test_byte_keeps_whole_steps_and_float_its_dead_zone() -> None:
    device, before = Byte(), np.array([[10.0, 100.0, 254.0]]) / 254
    after = device.advance(before, np.array([[1.0, -1.0, 1.0]]), 10.4e-9, KELVIN)
    found = 254 * device.fluctuate(before, after, before, np.zeros((2, 1, 3)))
    assert np.allclose(found, [[11, 99, 254]], atol=1e-12)
    still = Float().advance(before, np.array([[0.2499, -0.2499, 0.0]]), 1.0, KELVIN)
    assert np.array_equal(still, before)
    assert Float().most_moved(-0.2, 0.2, 1.0, KELVIN) == 0.0
    assert Byte().most_moved(-0.49, 0.49, 1.0, KELVIN) == 0.0
    assert Float().most_moved(-1.0, 0.5, 10e-9, KELVIN) == pytest.approx(1e-4 / 0.0996)


# -- refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Mtj(delta=0.0), "mtj.delta: must be finite and above zero, not 0.0"),
        (lambda: Mtj(delta=1.0), "mtj.delta: must be at least 2, as a barrier has to be, not 1.0"),
        (lambda: Mtj(r_on=9e3), "mtj.r_on: must be below r_off, not 9000.0"),
        (lambda: Pcm(drift_limits=(0.2, 0.1)), "pcm.drift_limits: must be two numbers from 0, the lower one first, not (0.2, 0.1)"),
        (lambda: Pcm(onset=0.0), "pcm.onset: must be finite and above zero, not 0.0"),
        (lambda: ProgrammingError(times=(2.0, 1.0), relaxation=((), ())), "programming_error.times: must be times above zero that rise, not (2.0, 1.0)"),
        (lambda: ProgrammingError(times=(1.0,)), "programming_error.relaxation: must be one list of coefficients for each of 1 times, not ()"),
        (lambda: ProgrammingError(form="saturating", error=(1.0,)), "programming_error.form: must be polynomial unless coefficients come in pairs (a, b), not saturating"),
        (lambda: Float(step=-1.0), "float.step: must be finite and above zero, not -1.0"),
        (lambda: Byte(g_min=1.0), "byte.g_min: must be below g_max, not 1.0"),
    ],
)  # fmt: skip
def test_parameters_that_are_refused(make: object, sentence: str) -> None:
    with pytest.raises(DeviceError) as refused:
        make()  # type: ignore[operator]
    assert str(refused.value) == sentence


@pytest.mark.ngspice
@pytest.mark.parametrize(
    "name", ["mtj", "pcm", "programming_error", "float", "byte", "pulse_law", "soft_bounds"]
)
def test_a_write_on_ngspice_is_refused_when_it_is_built(tmp_path: Path, name: str) -> None:
    text = (Path(cosim.__file__).parents[1] / "scenarios" / "kt_cells.yaml").read_text()
    file = tmp_path / "s.yaml"
    file.write_text(
        text.replace("{model: byte}", f"{{model: {name}}}").replace("write: behavioral", "write: ngspice")
    )
    with pytest.raises(InputError, match=f"device {name} has no differential equation, so ngspice can read it but not answer a write phase"):  # fmt: skip
        cosim.run(cosim.load(file))


def test_a_scenario_forgets_only_what_it_should() -> None:
    """A day later a phase-change array has drifted; what was written again has not."""
    folder = Path(cosim.__file__).parents[1] / "scenarios"
    result = cosim.run(cosim.load(folder / "aging.yaml", ["hardware.device.draws=mean"]))
    first, second = (np.array(result.summary["operations"][k]["values"]) for k in (1, 3))
    ratio = (second / first).ravel()
    assert np.all(ratio < 0.70)
    assert np.all(ratio > (1 + DAY / 20) ** -0.1)
