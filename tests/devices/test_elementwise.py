"""Large arrays: compiled laws and blocks give what the formulas in numpy give."""

from __future__ import annotations

import dataclasses
import math
from importlib.util import find_spec

import numpy as np
import pytest

from cosim.conformance import drive_of
from cosim.devices import DeviceModel, models
from cosim.devices import elementwise as module
from cosim.devices.aging import AgingModel
from cosim.devices.elementwise import LARGE

KELVIN = 300.0
MOVERS = {
    name: model()
    for name, model in models().items()
    if model.moves and not issubclass(model, AgingModel)  # these have several state variables
}
LAWS = [name for name, device in MOVERS.items() if device.elementwise_law(KELVIN) is not None]
compiled = pytest.mark.skipif(find_spec("numba") is None, reason="numba is not installed")


def work(device: DeviceModel) -> tuple[np.ndarray, np.ndarray, float]:
    """Return states and voltages (cells,) of both signs, at rest too, and a duration that moves them far."""
    drive, rng = drive_of(device, KELVIN), np.random.default_rng(3)
    low, high = device.state_bounds()
    cells = LARGE + 1001
    signs = rng.integers(2, size=cells)
    volts = np.array(drive.amplitudes)[signs] * (1 - 2 * signs) * rng.uniform(0, 1.2, cells)
    volts[:50] = 0.0
    states = rng.uniform(low, high, cells)
    states[50:60], states[60:70] = low, high
    return states, volts, 7.0 * float(np.sqrt(drive.widths[0] * drive.widths[1]))


def in_parts(device: DeviceModel, x: np.ndarray, v: np.ndarray, t: float | np.ndarray) -> np.ndarray:
    """Return the states after the pulse, the array cut into parts below the size of the fast ways."""
    times = np.broadcast_to(t, x.shape)
    parts = np.array_split(np.arange(x.size), 4)
    return np.concatenate([device.advance(x[k], v[k], times[k], KELVIN) for k in parts])


def test_the_models_with_a_law() -> None:
    assert set(LAWS) == {"mss", "mtj", "fefet", "vteam", "data_driven", "pulse_law"}


@compiled
@pytest.mark.parametrize("name", LAWS)
@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_a_compiled_law_is_the_formula(name: str, scale: float) -> None:
    device = MOVERS[name]
    x, v, t = work(device)
    for time in (scale * t, scale * t * np.linspace(0.0, 1.0, x.size)):
        expected = in_parts(device, x, v, time)
        found = device.advance(x, v, time, KELVIN)
        assert np.allclose(found - x, expected - x, rtol=2e-12, atol=2e-15)


@pytest.mark.parametrize("name", sorted(MOVERS))
def test_blocks_change_nothing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    device = MOVERS[name]
    monkeypatch.setattr(module, "find_spec", lambda _name: None)
    assert not module.numba_available()
    x, v, t = work(device)
    if name in ("team", "stanford", "sky130_reram"):
        x, v, t = x[:300], v[:300], t / 7.0
    expected = in_parts(device, x, v, t)
    assert np.allclose(device.advance(x, v, t, KELVIN), expected, rtol=0, atol=1e-15)


@pytest.mark.parametrize("name", LAWS)
def test_shapes_are_kept(name: str) -> None:
    device = MOVERS[name]
    x, v, t = work(device)
    square = (128, LARGE // 128)
    x, v = x[:LARGE].reshape(square), v[:LARGE].reshape(square)
    found = device.advance(x, v, t, KELVIN)
    assert found.shape == square
    turned = device.advance(x.T, v.T, t, KELVIN)
    assert np.allclose(turned.T, found, rtol=0, atol=1e-15)
    x.flags.writeable = v.flags.writeable = False
    assert np.array_equal(device.advance(x, v, t, KELVIN), found)


def test_a_voltage_that_is_no_number_is_not_lost() -> None:
    device = MOVERS["mss"]
    x, v, t = work(device)
    v[7] = math.nan
    assert math.isnan(device.advance(x, v, t, KELVIN)[7])


@compiled
def test_elementary_functions() -> None:
    import numba

    from cosim.devices import compiled_laws

    @numba.njit
    def evaluated(z: np.ndarray, exponentials: np.ndarray, logarithms: np.ndarray) -> None:
        for k in range(z.size):
            exponentials[k] = compiled_laws._expm1(z[k])
            logarithms[k] = compiled_laws._log1p(abs(z[k]))

    rng = np.random.default_rng(1)
    for largest in (1e-300, 1e-12, 1e-3, 0.1, 1.0, 30.0, 700.0):
        z = rng.uniform(-largest, largest, 20_000)
        exponentials, logarithms = np.empty_like(z), np.empty_like(z)
        evaluated(z, exponentials, logarithms)
        assert np.allclose(exponentials, np.expm1(z), rtol=1e-15, atol=0)
        assert np.allclose(logarithms, np.log1p(np.abs(z)), rtol=1e-15, atol=0)


@compiled
@pytest.mark.parametrize("name", ["ion_drift", "nonlinear_ion_drift", "yakopcic", "vteam"])
@pytest.mark.parametrize("window", ["none", "joglekar", "biolek"])
def test_compiled_tables_are_the_tables(name: str, window: str) -> None:
    device = MOVERS[name]
    if name != "yakopcic":
        device = dataclasses.replace(device, window=window)  # type: ignore[type-var]
    x, v, t = work(device)
    for time in (1e-6 * t, t, 1e6 * t):
        few = np.concatenate(
            [device.advance(x[k : k + 2000], v[k : k + 2000], time, KELVIN) for k in range(0, x.size, 2000)]
        )
        assert np.allclose(device.advance(x, v, time, KELVIN), few, rtol=0, atol=5e-15)
