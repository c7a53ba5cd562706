"""Read noise: spectra against their formulas, exact over any gap, draws of a corner, refusals."""

from __future__ import annotations

import numpy as np
import pytest

from cosim.devices.read_noise import (
    Flicker,
    ReadNoise,
    Telegraph,
    Traps,
    drawn_traps,
    flicker_read,
    telegraph_seen,
    thermal_density,
    traps_after,
)
from cosim.errors import DeviceError
from cosim.rng import stream

RATE = 1000.0
"""Reads per second of the spectra."""


def spectrum(signal: np.ndarray, segment: int = 1024) -> tuple[np.ndarray, np.ndarray]:
    """Return frequencies [Hz] and the one-sided density of signals ``(reads, cells)``, mean of all cells."""
    from scipy.signal import welch

    frequency, density = welch(signal, fs=RATE, nperseg=segment, axis=0)
    return frequency, density.mean(axis=1)


def flicker_signal(flicker: Flicker, aperture: float, reads: int, cells: tuple[int, int]) -> np.ndarray:
    """Return what reads at `RATE` see, ``(reads, cells)``."""
    rng, rates, rows = stream(3, "flicker"), flicker.rates(aperture), np.arange(cells[0])
    value, relative = np.zeros((len(rates), *cells)), np.full(cells, flicker.amplitude)
    gap, signal = np.full(cells[0], np.inf), []
    for _ in range(reads):
        value, seen = flicker_read(value, relative, rates, (gap, aperture), rows, rng)
        signal.append(seen.ravel())
        gap = np.full(cells[0], max(1 / RATE - aperture, 0.0))
    return np.array(signal)


def test_flicker_has_slope_and_level() -> None:
    flicker = Flicker(amplitude=0.02, lowest=0.01)
    signal = flicker_signal(flicker, 1 / RATE, 4096, (16, 16))
    frequency, density = spectrum(signal, 2048)
    band = (frequency > 2) & (frequency < 40)
    slope, level = np.polyfit(np.log(frequency[band]), np.log(density[band]), 1)
    assert slope == pytest.approx(-1.0, abs=0.05)
    assert np.mean(density[band] * frequency[band]) == pytest.approx(0.02**2, rel=0.05)
    assert np.exp(level) == pytest.approx(0.02**2, rel=0.15)


def test_sum_of_components_is_one_over_f_within_a_thousandth() -> None:
    rates = Flicker(lowest=1e-3).rates(1e-6)
    for frequency in np.geomspace(1.0, 1e4, 50):
        omega = 2 * np.pi * frequency
        density = np.sum(4 * rates * np.log(10) / 2 / (rates**2 + omega**2))
        assert density * frequency == pytest.approx(1.0, abs=3e-3)


def test_longer_aperture_sees_less() -> None:
    flicker = Flicker(amplitude=0.02, lowest=1.0)
    short, long = (flicker_signal(flicker, aperture, 100, (40, 40)).std() for aperture in (1e-7, 1e-3))
    # a mean over T cuts the density q^2/f off at 1/T: a decade of T is q^2 ln 10 of variance
    assert short**2 - long**2 == pytest.approx(0.02**2 * np.log(1e4), rel=0.05)


def test_flicker_is_one_process_over_any_gap() -> None:
    rates, rng, rows = np.array([1.0, 30.0]), stream(1, "gap"), np.arange(200)
    ones, aperture = np.ones((200, 200)), 1e-9

    def after(value: np.ndarray, gap: float) -> np.ndarray:
        return flicker_read(value, ones, rates, (np.full(200, gap), aperture), rows, rng)[0]

    value = after(np.zeros((2, 200, 200)), np.inf)
    once, twice = after(value, 0.02), value
    for _ in range(4):
        twice = after(twice, 0.005)
    for later in (once, twice):
        correlation = [np.mean(later[k] * value[k]) for k in range(2)]
        np.testing.assert_allclose(correlation, np.exp(-rates * 0.02), atol=0.02)
        assert later.std() == pytest.approx(1.0, rel=0.01)


def test_mean_over_the_aperture_is_that_of_many_short_reads() -> None:
    rates, rows = np.array([2.0, 40.0, 900.0]), np.arange(120)
    ones, start = np.ones((120, 120)), np.zeros((3, 120, 120))
    first, zero = np.full(120, np.inf), np.zeros(120)
    _, whole = flicker_read(start, ones, rates, (first, 0.1), rows, stream(1, "whole"))
    rng, value, total = stream(1, "parts"), start, np.zeros((120, 120))
    for k in range(400):
        value, seen = flicker_read(value, ones, rates, (zero if k else first, 0.1 / 400), rows, rng)
        total += seen / 400
    assert whole.std() == pytest.approx(total.std(), rel=0.02)


def test_draws_of_a_corner_stay_when_the_array_grows() -> None:
    rates = Flicker().rates(1e-6)

    def seen(rows: np.ndarray, columns: int) -> np.ndarray:
        value = np.zeros((len(rates), len(rows), columns))
        times = np.full(len(rows), np.inf), 1e-6
        return flicker_read(value, np.ones(value.shape[1:]), rates, times, rows, stream(4, "draws"))[1]

    np.testing.assert_array_equal(seen(np.arange(16), 16)[:8, :8], seen(np.arange(8), 8))
    np.testing.assert_array_equal(seen(np.array([2, 5, 12]), 16)[:2, :8], seen(np.array([2, 5]), 8))


def test_flicker_grows_as_the_conductance_falls() -> None:
    flicker = Flicker(amplitude=0.0088, exponent=0.65)
    q = flicker.relative(np.array([[1.0, 0.1, 1e-9]]), 1.0)[0]
    np.testing.assert_allclose(q, [0.0088, 0.0088 * 10**0.65, 0.2])


def test_telegraph_spectrum() -> None:
    shape, amplitude = (16, 16), 0.05
    traps = Traps(np.ones(shape, dtype=bool), np.full(shape, 0.02), np.full(shape, 0.06))
    rng, filled = stream(2, "rtn"), np.zeros(shape, dtype=bool)
    gap, seen, occupied = np.full(16, np.inf), [], 0.0
    for _ in range(8192):
        filled = traps_after(filled, traps, gap, np.arange(16), rng)
        seen.append(telegraph_seen(filled, traps, amplitude, 1e-9).ravel())
        occupied += filled.mean() / 8192
        gap = np.full(16, 1 / RATE)
    assert occupied == pytest.approx(0.25, rel=0.02)
    frequency, density = spectrum(np.array(seen), 2048)
    rate = 1 / 0.02 + 1 / 0.06
    expected = 4 * amplitude**2 / (0.08 * (rate**2 + (2 * np.pi * frequency) ** 2))
    low, flank = (frequency > 0.9) & (frequency < 5), (frequency > 30) & (frequency < 60)
    assert density[low].mean() == pytest.approx(expected[low].mean(), rel=0.05)
    slope = np.polyfit(np.log(frequency[flank]), np.log(density[flank] / expected[flank]), 1)[0]
    assert slope == pytest.approx(0.0, abs=0.1)
    assert np.mean(seen) == pytest.approx(0.0, abs=1e-3)


def test_traps_keep_their_draws_in_a_larger_array() -> None:
    small, large = (drawn_traps(Telegraph(), (n, n), stream(0, "traps")) for n in (8, 16))
    for one, other in zip(small, large, strict=True):
        np.testing.assert_array_equal(one[:, :8], other[:8, :8])
    big = drawn_traps(Telegraph(filled=1e-4, spread=0.5), (200, 200), stream(0, "traps"))
    assert big.present.mean() == pytest.approx(0.3, rel=0.02)
    assert np.median(big.filled) == pytest.approx(1e-4, rel=0.02)
    assert np.log10(big.filled).std() == pytest.approx(0.5, rel=0.02)
    assert abs(np.corrcoef(np.log(big.filled.ravel()), np.log(big.empty.ravel()))[0, 1]) < 0.02


def test_thermal_density() -> None:
    # Johnson and Nyquist: 1 mS at 300 K has 4.07 pA per root hertz
    assert np.sqrt(thermal_density(np.array(1e-3), 300.0)) == pytest.approx(4.07e-12, rel=1e-3)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Flicker(amplitude=1.0), "amplitude: must be between 0 % and 100 %"),
        (lambda: Flicker(exponent=-1.0), "exponent: must be between 0 and 3"),
        (lambda: Flicker(lowest=0.0), "lowest: must be between 1 nHz"),
        (lambda: Telegraph(fraction=2.0), "fraction: must be between"),
        (lambda: Telegraph(filled=0.0), "filled: must be between 1 fs"),
        (lambda: Telegraph(spread=-1.0), "spread: must be between"),
        (lambda: ReadNoise(bandwidth=0.0), "bandwidth: must be above zero"),
    ],
)
def test_refusals(make, sentence: str) -> None:
    with pytest.raises(DeviceError, match=sentence):
        make()
