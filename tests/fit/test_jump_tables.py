"""Jump tables: sampling, files, the builder, the device that draws from one."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import pytest

from cosim.devices.jump_table import JumpTable, Sign, ag_a_si, load, read_text_files
from cosim.devices.pulse_law import PulseLaw
from cosim.devices.pulse_table import PulseTable
from cosim.errors import DeviceError, FitError
from cosim.fit.jumps import Points, build, heat_map, points_of_curve, synthesize

PULSES = {"set_pulse": (1.0, 1e-6), "reset_pulse": (0.9, 2e-6), "device": "test", "source": "made up"}
SIGNS: tuple[Sign, Sign] = ("set", "reset")


def with_runs() -> JumpTable:
    """Rows that begin with runs of equal zeros and end with runs of ones, and one of two peaks."""
    jump = np.linspace(-2e-9, 2e-9, 101)
    steps = [np.clip((jump / 1e-9 - a) / 0.2, 0, 1) for a in (0.1, 0.5, 0.9)]
    two = 0.5 * np.clip((jump / 1e-9 + 1) / 0.1, 0, 1) + 0.5 * np.clip((jump / 1e-9 - 1) / 0.1, 0, 1)
    cdf = np.array([*steps, two])
    return JumpTable(np.array([1e-9, 2e-9, 5e-9, 9e-9]), jump, cdf, cdf, **PULSES)  # type: ignore[arg-type]


@pytest.mark.parametrize("make", [ag_a_si, with_runs])
@pytest.mark.parametrize("sign", SIGNS)
def test_draws_have_the_moments_of_the_table(make: object, sign: Sign) -> None:
    """1e5 draws a row; no jump beyond 5 deviations with a probability above 1e-4."""
    table: JumpTable = make()  # type: ignore[operator]
    rng, (mean, sigma) = np.random.default_rng(3), table.moments(sign)
    for k in range(0, table.conductance.size, max(1, table.conductance.size // 12)):
        draws = table.draw(sign, np.full(100_000, table.conductance[k]), rng.random(100_000))
        assert abs(draws.mean() - mean[k]) < 0.02 * max(abs(mean[k]), sigma[k])
        assert draws.std() == pytest.approx(sigma[k], rel=0.02)
        assert np.mean(np.abs(draws - mean[k]) > 5 * sigma[k]) < 1e-4


def test_built_in_table_is_the_pulse_law() -> None:
    table, law = ag_a_si(), PulseLaw()
    x = law.state_for(table.conductance)
    for sign, count in (("set", 1.0), ("reset", -1.0)):
        jump = law.after_pulses(x, np.full(x.shape, count)) - x
        mean, sigma = table.moments(sign)  # type: ignore[arg-type]
        assert np.allclose(mean, jump * (38.5e-9 - 3.08e-9), atol=1e-13)
        assert np.allclose(sigma, 0.035 * (38.5e-9 - 3.08e-9), rtol=0.01)


def test_between_rows_draws_are_interpolated() -> None:
    table, u = with_runs(), np.linspace(0.01, 0.99, 50)
    below, above = (table.draw("set", np.full(50, g), u) for g in (1e-9, 2e-9))
    assert np.allclose(table.draw("set", np.full(50, 1.25e-9), u), 0.75 * below + 0.25 * above, atol=1e-20)


def test_file_round_trip_and_refusals(tmp_path: Path) -> None:
    path, table = tmp_path / "table.json", with_runs()
    table.save(path)
    found, digest = load(path)
    for name in ("conductance", "jump", "set_cdf", "reset_cdf"):
        assert np.array_equal(getattr(found, name), getattr(table, name))
    assert (found.device, found.source, found.reset_pulse) == ("test", "made up", (0.9, 2e-6))
    device = PulseTable(table=str(path))
    assert (device.g_min, device.g_max, device.set_width, device.checksum) == (1e-9, 9e-9, 1e-6, digest)
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "device": "another"}))
    with pytest.raises(DeviceError, match="checksum: must be that of"):
        PulseTable(table=str(path), checksum=digest)
    path.write_text(json.dumps({**content, "jump": content["jump"][::-1]}))
    with pytest.raises(DeviceError, match="jump must hold at least two values"):
        load(path)
    with pytest.raises(DeviceError, match="cannot be read"):
        load(tmp_path / "none.json")
    with pytest.raises(DeviceError, match=r"pulse_table\.table: jump table .*none.json: cannot be read"):
        PulseTable(table=str(tmp_path / "none.json"))


def test_text_files(tmp_path: Path) -> None:
    g, dg = np.array([1.0, 2.0, 3.0]), np.linspace(-1, 1, 11)
    cdf = np.array([np.clip((dg + a) / 0.5, 0, 1) for a in (0.1, 0.2, 0.3)])
    paths = []
    for name, values in (("g", g), ("dg", dg), ("cdf", cdf)):
        np.savetxt(tmp_path / name, values)
        paths.append(tmp_path / name)
    files = (paths[0], paths[1], paths[2])
    table = read_text_files(files, files, siemens_per_unit=1e-9, **PULSES)  # type: ignore[arg-type]
    assert np.allclose(table.conductance, g * 1e-9)
    assert np.allclose(table.set_cdf, (cdf - cdf[:, :1]) / (cdf[:, -1:] - cdf[:, :1]))
    np.savetxt(tmp_path / "cdf", cdf[:, :-1])
    with pytest.raises(DeviceError, match="must hold 3 x 11 numbers"):
        read_text_files(files, files, siemens_per_unit=1e-9, **PULSES)  # type: ignore[arg-type]


def measured(count: int, rng: np.random.Generator, skewed: bool = False) -> tuple[Points, Points]:
    g = rng.uniform(3e-9, 38e-9, count)
    part = (g - 3e-9) / 35e-9
    noise = rng.exponential(size=count) - 1.0 if skewed else rng.standard_normal(count)
    jump = 0.16e-9 - 0.9e-9 * part + known_spread(g) * noise
    return Points(g, jump), Points(g, -jump)


def known_spread(g: np.ndarray) -> np.ndarray:
    return 1.2e-9 * (0.5 + (g - 3e-9) / 35e-9)


@pytest.mark.parametrize("skewed", [False, True])
def test_builder_recovers_the_spread(skewed: bool) -> None:
    for seed in range(5):
        table = build(*measured(3000, np.random.default_rng(seed), skewed), **PULSES)  # type: ignore[arg-type]
        mean, sigma = table.moments("set")
        bar = 0.2 if skewed else 0.1  # an exponential's spread has twice the error of a Gaussian's
        assert np.all(np.abs(sigma / known_spread(table.conductance) - 1) < bar)
        wanted = 0.16e-9 - 0.9e-9 * (table.conductance - 3e-9) / 35e-9
        assert np.all(np.abs(mean - wanted) < 0.3 * sigma)
        middle = table.draw("set", np.full(20_000, 20e-9), np.random.default_rng(1).random(20_000))
        skew = float(np.mean(((middle - middle.mean()) / middle.std()) ** 3))
        assert (skew > 1.0) if skewed else (abs(skew) < 0.5)


def test_builder_from_a_device_and_back(tmp_path: Path) -> None:
    """Points of a law with noise, a table of them, a device of the table: the same mean and spread."""
    law, rng = PulseLaw(c2c=0.035), np.random.default_rng(2)
    table = build(synthesize(law, "set", 3000, rng), synthesize(law, "reset", 3000, rng), **PULSES)  # type: ignore[arg-type]
    inner = (table.conductance > 8e-9) & (table.conductance < 33e-9)
    assert np.allclose(table.moments("set")[1][inner], 0.035 * 35.42e-9, rtol=0.1)
    heat_map(table, tmp_path / "heat.png")
    assert (tmp_path / "heat.png").stat().st_size > 5000


def test_curve_and_refusals() -> None:
    found = points_of_curve(np.array([1.0, 3.0, 4.0]))
    assert found.conductance.tolist() == [1.0, 3.0]
    assert found.jump.tolist() == [2.0, 1.0]
    with pytest.raises(FitError, match="at least 30 set points, not 2"):
        build(found, found, **PULSES)  # type: ignore[arg-type]


def test_device_draws_pulse_by_pulse() -> None:
    """Five pulses in one phase or in five spread alike, and cells without a pulse stay."""
    device, rng = PulseTable(), np.random.default_rng(7)
    shape = (150, 150)
    start = np.full(shape, 0.5)

    def pulsed(phases: int, count: float) -> np.ndarray:
        state = start
        for _ in range(phases):
            exposure = np.full(shape, count)
            exposure[0] = 0.0
            after = np.clip(device.after_pulses(state, exposure), 0, 1)
            state = device.fluctuate(state, after, exposure, rng.random((2, *shape)))
        return state

    one, many = pulsed(1, 5.0), pulsed(5, 1.0)
    assert np.array_equal(one[0], start[0])
    for found in (one[1:], many[1:]):
        # The curve contracts differences by exp(-2.003/97) per pulse.
        expected = 0.035 * np.sqrt(sum(np.exp(-2 * k * 2.003 / 97) for k in range(5)))
        assert found.std() == pytest.approx(expected, rel=0.02)
    assert one[1:].mean() == pytest.approx(many[1:].mean(), abs=0.003)
    assert not PulseTable(draws="mean").stochastic


@pytest.mark.acceptance
def test_figures(capsys: pytest.CaptureFixture[str]) -> None:
    lines = []
    for label, published in ((1.0, 1.2517), (2.4, 0.49918), (4.88, 0.20030)):
        off = abs(
            float(PulseLaw(nonlinearity_set=label, levels_set=100).rate_constants()[0]) / (100 * published)
            - 1
        )
        lines.append(
            (f"pulse_law, NL {label:g}: A differs from the table by {off:.1e} (bar 1e-4)", off < 1e-4)
        )
    table, rng, worst, far = ag_a_si(), np.random.default_rng(11), 0.0, 0.0
    for sign in SIGNS:
        mean, sigma = table.moments(sign)
        for k, g in enumerate(table.conductance):
            draws = table.draw(sign, np.full(100_000, g), rng.random(100_000))
            worst = max(worst, abs(draws.std() / sigma[k] - 1), abs(draws.mean() - mean[k]) / sigma[k])
            far = max(far, float(np.mean(np.abs(draws - mean[k]) > 5 * sigma[k])))
    lines.append(
        (f"pulse_table, 1e5 draws of each of 200 rows: moments within {worst:.1%} (bar 2 %)", worst < 0.02)
    )
    lines.append((f"pulse_table: jumps beyond 5 sigma {far:.0e} of the draws (bar 1e-4)", far < 1e-4))
    start = time.perf_counter()
    found = build(*measured(3000, np.random.default_rng(0)), **PULSES)  # type: ignore[arg-type]
    seconds = time.perf_counter() - start
    off = float(np.abs(found.moments("set")[1] / known_spread(found.conductance) - 1).max())
    lines.append((f"builder, 3000 points of a sign: {seconds:.2f} s (bar 2 s)", seconds < 2))
    lines.append((f"builder: spread of every row within {off:.1%} (bar 10 %)", off < 0.1))
    with capsys.disabled():
        for line, met in lines:
            print(f"{line}: {'met' if met else 'missed'}")  # noqa: T201
    assert all(met for _, met in lines)
