"""Measured tables as instruments and people write them, and what is said of those that cannot be read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cosim.errors import FitError
from cosim.fit.measurement import Setup, read_columns, read_measurement

N = 12
TIME, VOLTAGE = np.arange(N) * 1e-3, np.round(np.sin(np.arange(N)), 3)
CURRENT = np.round(VOLTAGE * 20, 2)


def written(
    path: Path, header: str, separator: str = ",", comma: bool = False, tail: str = "", comment: str = ""
) -> Path:
    rows = [
        separator.join(f"{value:.6f}" for value in row)
        for row in zip(TIME * 1e3, VOLTAGE, CURRENT, strict=True)
    ]
    if comma:
        rows = [row.replace(".", ",") for row in rows]
    path.write_text(
        "\n".join([*([comment] if comment else []), header, *(row + tail for row in rows), ""]),
        encoding="utf-8",
    )
    return path


@pytest.mark.parametrize(
    ("header", "form"),
    [
        ("time_ms,voltage_V,current_uA", {}),
        ("Time (ms), Voltage [V] ,Current/uA", {}),
        ("time_ms;voltage_V;current_uA", {"separator": ";"}),
        ("time_ms;voltage_V;current_uA", {"separator": ";", "comma": True}),
        ("time_ms\tvoltage_V\tcurrent_uA", {"separator": "\t", "comma": True}),
        ("time_ms,voltage_V,current_uA", {"tail": ","}),
        ("time_ms,voltage_V,current_uA,", {"tail": ","}),
        ("time_ms,voltage_V,current_uA,remark", {"tail": ",good"}),
        ("\ufefftime_ms,voltage_V,current_uA", {}),
        ("time_ms,voltage_V,current_uA", {"comment": "# device 7; 300 K"}),
        ("time_ms,voltage_V,current_uA", {"tail": "  # as measured"}),
    ],
)  # fmt: skip
def test_one_measurement_in_many_forms(header: str, form: dict[str, object], tmp_path: Path) -> None:
    columns = read_columns(written(tmp_path / "loop.csv", header, **form))
    assert set(columns) == {"time", "voltage", "current"}
    for name, values in (("time", TIME), ("voltage", VOLTAGE), ("current", CURRENT * 1e-6)):
        np.testing.assert_allclose(columns[name], values, rtol=1e-9)


ROWS = "".join(f"{k},{k}.5,{k}\n" for k in range(9))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "a.csv: is no table of columns with ',' between them: No columns to parse from file"),
        ("time_s,voltage_V,current_A\n", "a.csv: a loop needs at least 8 samples of voltage and current, not 0"),
        ("time_s,voltage_V,current_A\n1,2,3\n", "a.csv: a loop needs at least 8 samples of voltage and current, not 1"),
        ("time_s,voltage_V,current_A\n0,1,2,3\n", "a.csv: row 1 has more entries than the header 'time_s,voltage_V,current_A' has names"),
        ("time_s,voltage_V,current_A\n" + ROWS + "9,x,9\n", "a.csv: column voltage_V must hold numbers, but has 'x' in row 10"),
        ("time_s,voltage_V,current_A\n" + ROWS + "9,9\n", "a.csv: every current must be a finite number, but row 10 has none"),
        ("time_s,voltage_V,current_A\n" + ROWS + "8,9,9\n", "a.csv: the time column must rise"),
        ("time_s,voltage_V,voltage_mV,current_A\n0,1,2,3\n", "a.csv: the column voltage stands twice; keep one of them"),
        ("time_s,voltage,current_A\n" + ROWS, "a.csv: column voltage: the name must end with a unit of V, such as voltage_V or voltage_uV, not ''"),
        ("time_s,voltage_V,current_W\n" + ROWS, "a.csv: column current_W: the name must end with a unit of A, such as current_A or current_uA, not 'W'"),
        ("x,y\n1,2\n", "a.csv: needs columns voltage_V and current_A, or conductance_S with amplitude_V and width_s, each with its unit, but has none of them"),
        ("conductance_uS,amplitude_V,width_s\n", "a.csv: a pulse train needs a start and at least 3 pulses, not 0 rows"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_told(
    text: str, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.csv").write_text(text)
    with pytest.raises(FitError) as error:
        read_measurement(Path("a.csv"), Setup(amplitude=0.5))
    assert str(error.value) == sentence


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"time_s,voltage_V\xff\n")
    with pytest.raises(FitError, match=r"is no CSV table, which must be UTF-8 text"):
        read_columns(tmp_path / "a.csv")


def test_a_resistance_of_zero_is_no_conductance(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("resistance_kohm,amplitude_V,width_s\n" + "0,1,1e-6\n" * 4)
    with pytest.raises(FitError, match="conductances must be finite and above zero"):
        read_measurement(tmp_path / "a.csv")
