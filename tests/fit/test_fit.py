"""Known parameters come back from noisy loops; measured loops are met; the command does it from files."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

import cosim
from cosim.devices import Mss, Resistor, Rs, Vteam, Yakopcic
from cosim.devices.base import DeviceModel
from cosim.errors import DeviceError, FitError
from cosim.fit import Loop, PulseTrain, Setup, fit, read_measurement
from cosim.fit.response import respond_one
from cosim.fit.search import make_problem

MSS = Mss(r_on=2.2e3, r_off=4e4, v_on=0.31, v_off=0.24, tau=3e-4)
RS = Rs(g_min=2e-5, g_max=5e-4, rate=2e4, v_set=0.21, v_reset=0.12)


def synthetic(device: DeviceModel, noise: float = 0.005, seed: int = 3) -> list[Loop]:
    """Return three loops of a device with noise in parts of the largest current."""
    rng = np.random.default_rng(seed)
    blank = -np.cos(2 * np.pi * np.arange(200) / 200)
    setups = [(0.6, 5e-5, 0.0), (0.8, 5e-4, 5e3), (0.8, 5e-6, 1e3)]
    loops = [Loop(f"l{k}", a * blank, blank, h, r) for k, (a, h, r) in enumerate(setups)]
    given = respond_one(device, loops, 300.0)
    return [
        Loop(m.name, m.drive, i + noise * np.abs(i).max() * rng.normal(size=200), m.interval, m.series)
        for m, i in zip(loops, given, strict=True)
    ]


VTEAM = Vteam(r_on=2e3, r_off=2e5, v_on=0.2, v_off=0.1, k_on=3e-6, k_off=1e-6)
YAKOPCIC = Yakopcic(a1=2e-4, a2=2.5e-4, b=2.0, v_p=0.2, v_n=0.1, a_p=200.0, a_n=300.0)


@pytest.mark.parametrize("device", [MSS, RS, VTEAM, YAKOPCIC], ids=lambda device: device.name)
def test_known_parameters_come_back_within_5_percent(device: DeviceModel) -> None:
    if device.two_channel(300.0) is None:
        pytest.importorskip("numba")
        found = fit(type(device), synthetic(device))
    else:
        found = fit(type(device), synthetic(device), survey=128, starts=3)
    for entry in found.parameters:
        assert entry.value == pytest.approx(getattr(device, entry.name), rel=0.05), entry
        assert entry.interval is not None
        low, high = entry.interval
        assert low < entry.value < high
    assert found.r_squared > 0.99


def test_even_fit_lowers_the_largest_error() -> None:
    # two devices that no single set can meet: one switches twice as fast
    slow, fast = synthetic(RS), synthetic(dataclasses.replace(RS, rate=4e4, g_max=8e-4))
    loops = [slow[0], slow[1], fast[2]]
    plain, even = (fit(Rs, loops, survey=64, starts=2, even=each) for each in (False, True))
    largest = [max(entry.of_range for entry in found.errors) for found in (plain, even)]
    assert largest[1] < 0.95 * largest[0]


def test_the_same_seed_gives_the_same_fit() -> None:
    loops = synthetic(RS)[:1]
    first, second = (fit(Rs, loops, survey=16, starts=1, seed=5) for _ in range(2))
    assert [e.value for e in first.parameters] == [e.value for e in second.parameters]


def test_pulse_train() -> None:
    amplitude = np.array([0.35] * 12 + [-0.3] * 12)
    blank = PulseTrain("p", amplitude, np.full(24, 2e-5), np.full(24, 1e-4), 2e-5)
    (given,) = respond_one(RS, [blank], 300.0)
    train = PulseTrain("p", amplitude, blank.width, given, 2e-5)
    fixed = {"v_set": 0.21, "v_reset": 0.12}
    found = fit(Rs, [train], fixed=fixed, survey=64, starts=2)
    assert found.normalized_error < 0.002
    assert found.device.rate == pytest.approx(2e4, rel=0.05)  # type: ignore[attr-defined]


def test_refusals() -> None:
    loops = tuple(synthetic(RS)[:1])
    with pytest.raises(FitError, match="at least one measurement"):
        fit(Rs, [])
    with pytest.raises(DeviceError, match="rs has no parameter 'r_on'"):
        fit(Rs, loops, fixed={"r_on": 1.0})
    with pytest.raises(FitError, match="never changes"):
        fit(Resistor, loops)
    with pytest.raises(FitError, match="must rise"):
        make_problem(Rs, loops, {}, {"rate": (2.0, 1.0)}, 300.0)


def measured_loop(folder: Path, name: str, series: float, frequency: float) -> Loop:
    loop = read_measurement(folder / f"{name}_total.csv", Setup(series=series, frequency=frequency))
    assert isinstance(loop, Loop)
    return loop


def test_measured_loop_is_met(measured: Path) -> None:
    loop = measured_loop(measured, "r5k_0v8_10hz_m2", 5e3, 10.0)
    found = fit(Mss, [loop], survey=128, starts=2)
    assert found.normalized_error <= 0.08
    (prediction,) = found.predict([measured_loop(measured, "r5k_0v8_1hz_m2", 5e3, 1.0)])
    assert prediction.error.of_range < 0.15


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    paths = []
    for loop in synthetic(RS):
        rows = [f"{v:.9g},{1e6 * i:.9g}" for v, i in zip(loop.drive, loop.current, strict=True)]
        path = tmp_path / f"{loop.name}.csv"
        path.write_text("\n".join(["voltage_V,current_uA", *rows, ""]), encoding="utf-8")
        paths.append(path)
    return paths


@pytest.mark.ngspice
def test_command_from_files_to_a_run(cli, files: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "fit"
    answer = cli(
        "fit", f"{files[1]}@series=5 kohm,frequency=10 Hz", "--model", "rs", "--out", out, "--survey", 64,
        "--starts", 2, "--predict", f"{files[2]}@series=1 kohm,frequency=1 kHz", "--against-spice",
    )  # fmt: skip
    assert answer.code == 0, answer.err
    content = json.loads((out / "fit.json").read_text())
    assert content["goodness"]["normalized_rms_error"] < 0.02
    assert content["predictions"][0]["of_range"] < 0.05
    assert content["against_spice"][0]["of_range"] < 0.02
    assert (out / "fit.svg").read_text().startswith("<?xml")
    assert len(list((out / "curves").iterdir())) == 2
    assert "95 %" in answer.out
    summary = cosim.run(cosim.load(out / "scenario.yaml")).summary
    write = summary["operations"][0]
    assert write["converged"] == write["cells"] == 4


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--model", "none"], "there is no device model called 'none'"),
        (["--model", "rs", "--fix", "rate"], "--fix wants NAME=VALUE"),
        (["--model", "rs", "--fix", "rate=1 V"], "rs.rate: must have the unit 1/Vs"),
        (["--model", "rs", "--bound", "rate=1"], "--bound wants NAME=LOW:HIGH"),
        (["--model", "rs", "--series", "5"], "must have the unit ohm"),
        (["--model", "rs"], "has no time column"),
    ],
)
def test_bad_input_is_one_sentence(cli, files: list[Path], options: list[str], sentence: str) -> None:
    answer = cli("fit", files[0], *options)
    assert answer.code == 2
    assert sentence in answer.err
    assert answer.err.count("\n") == 1
