"""Files: units, set-ups, and every refusal."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cosim.errors import FitError, InputError
from cosim.fit import Loop, PulseTrain, Setup, read_measurement
from cosim.fit.measurement import read_pulse, read_setup, scales


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def loop_text(voltage: str = "voltage_mV", current: str = "current_uA") -> str:
    angles = 2 * np.pi * np.arange(16) / 16
    rows = [f"{800 * np.sin(a):.6f},{100 * np.sin(a):.6f}" for a in angles]
    return "\n".join([f"{voltage},{current}", *rows, ""])


def test_units_of_columns(tmp_path: Path) -> None:
    loop = read_measurement(write(tmp_path / "a.csv", loop_text()), Setup(series=5e3, frequency=10.0))
    assert isinstance(loop, Loop)
    assert loop.drive.max() == pytest.approx(0.8)
    assert loop.current.max() == pytest.approx(1e-4)
    assert loop.interval == pytest.approx(0.1 / 16)
    np.testing.assert_allclose(loop.device_voltage, loop.drive - 5e3 * loop.current)
    assert loop.rolled().drive[0] == loop.drive.min()


def test_voltage_over_the_device_alone(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", loop_text())
    loop = read_measurement(path, Setup(series=1e3, frequency=10.0, across="device"))
    assert isinstance(loop, Loop)
    assert loop.drive.max() == pytest.approx(0.9)


def test_ideal_sine_has_the_phase_of_the_samples(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", loop_text())
    loop = read_measurement(path, Setup(frequency=10.0, amplitude=0.5))
    assert isinstance(loop, Loop)
    np.testing.assert_allclose(loop.drive, 0.5 * np.sin(2 * np.pi * np.arange(16) / 16), atol=1e-9)


def test_time_column_is_resampled(tmp_path: Path) -> None:
    rows = [f"{t},{t},{2 * t}" for t in (0, 1, 3, 4, 5, 6, 7, 9, 10)]
    loop = read_measurement(write(tmp_path / "a.csv", "\n".join(["time_us,voltage_V,current_A", *rows])))
    assert isinstance(loop, Loop)
    assert not loop.periodic
    np.testing.assert_allclose(loop.drive, np.linspace(0, 10, 9))
    assert loop.interval == pytest.approx(1.25e-6)


def test_pulse_train_and_ltp_curve(tmp_path: Path) -> None:
    rows = ["0,100,1", "1,100,2", "1,100,3", "-1,50,2"]
    train = read_measurement(
        write(tmp_path / "a.csv", "\n".join(["amplitude_V,width_ns,conductance_uS", *rows]))
    )
    assert isinstance(train, PulseTrain)
    assert train.start == pytest.approx(1e-6)
    assert train.width.tolist() == pytest.approx([1e-7, 1e-7, 5e-8])
    curve = write(tmp_path / "b.csv", "branch,resistance_kohm\nLTP,1000\nLTP,500\nltp,400\nLTD,800\n")
    setup = Setup(set_pulse=read_pulse("1.6 V, 50 ns"), reset_pulse=read_pulse("-1.5 V, 60 ns"))
    train = read_measurement(curve, setup)
    assert isinstance(train, PulseTrain)
    assert train.amplitude.tolist() == [1.6, 1.6, -1.5]
    assert train.conductance.tolist() == pytest.approx([2e-6, 2.5e-6, 1.25e-6])


@pytest.mark.parametrize(
    ("text", "setup", "sentence"),
    [
        ("a,b\n1,2\n", Setup(), "needs columns voltage_V and current_A"),
        ("voltage_V,current_bananas\n1,2\n", Setup(frequency=1.0), "column current_bananas"),
        ("voltage_V,current_A\n1,two\n", Setup(frequency=1.0), "column current_A"),
        ("voltage_V,current_A\n1,2\n2,3\n", Setup(frequency=1.0), "at least 8 samples"),
        (loop_text(), Setup(), "has no time column"),
        (
            loop_text().replace("100.000000", "nan"),
            Setup(frequency=1.0),
            "must be a finite number, but row 5 has none",
        ),
        ("branch,conductance_uS\nLTP,1\nLTP,2\nLTP,3\nLTP,4\n", Setup(), "--ltp and --ltd"),
        ("branch,conductance_uS\nLTP,1\nLTP,2\n", Setup(), "at least 3 pulses, not 2 rows"),
        ("amplitude_V,width_s,conductance_S\n1,1,1\n1,1,1\n", Setup(), "at least 3 pulses"),
    ],
)
def test_refusals(tmp_path: Path, text: str, setup: Setup, sentence: str) -> None:
    with pytest.raises(FitError, match=sentence):
        read_measurement(write(tmp_path / "a.csv", text), setup)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FitError, match="there is no such file"):
        read_measurement(tmp_path / "none.csv", Setup())


def test_setup_of_one_file() -> None:
    base = Setup(series=5e3, frequency=10.0)
    path, setup = read_setup("loop.csv@series=47 kohm,across=device", base)
    assert (path.name, setup.series, setup.frequency, setup.across) == ("loop.csv", 47e3, 10.0, "device")
    assert read_setup("loop.csv", base) == (Path("loop.csv"), base)
    with pytest.raises(InputError, match="there is no setting 'resistor'"):
        read_setup("loop.csv@resistor=1 kohm", base)
    with pytest.raises(InputError, match="must be total or device"):
        read_setup("loop.csv@across=cell", base)
    with pytest.raises(InputError, match="an amplitude and a width"):
        read_pulse("1 V")


def test_scales_hold_what_was_seen() -> None:
    voltage = np.sin(2 * np.pi * np.arange(64) / 64)
    loop = Loop("a", voltage, np.where(voltage > 0, voltage / 1e3, voltage / 1e5), 1e-3)
    scale = scales((loop,))
    assert scale.resistance == (pytest.approx(1e3), pytest.approx(1e5))
    assert scale.voltage == (pytest.approx(1.0), pytest.approx(1.0))
    assert scale.time == (1e-3, pytest.approx(0.064))
