"""Waveforms of lines for a bench generator, and measured traces beside them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cosim
from cosim.errors import InputError
from cosim.scenario.line_waveforms import LineWaveform, compare, waveforms

FOLDER = Path(__file__).parents[2] / "scenarios"


def found(name: str = "memory_word", kinds: tuple[str, ...] = ("write",), *sets: str) -> Any:
    return waveforms(cosim.load(FOLDER / f"{name}.yaml", sets), kinds)


def test_every_line_of_a_pulse() -> None:
    """V/2: the selected lines at 0 and V, all others at V/2, with the edges of the driver, at the time of the record."""
    lines = found()
    pulse = next(iter(lines.trace.pulses))
    _, _, start, _, row, column, line, amplitude, width = pulse[:9]
    assert (row, line) == (2, "bl0")  # the first cell of the word goes down: a RESET from the bit line
    middle = np.array([start / 1e15 + 1e-9 + width / 2])
    for net in ("wl0", "wl1", "wl3", "bl1", "bl2", "bl3"):
        assert lines.line(f"memory.{net}").at(middle)[0] == pytest.approx(amplitude / 2)
    assert lines.line("memory.bl0").at(middle)[0] == pytest.approx(amplitude)
    assert lines.line("memory.wl2").at(middle)[0] == 0.0
    edge = np.array([start / 1e15 + 0.5e-9])
    assert lines.line("memory.bl0").at(edge)[0] == pytest.approx(amplitude / 2)
    assert lines.line("memory.bl0").pulses == len(lines.trace.pulses)
    assert column == 0


def test_files(tmp_path: Path) -> None:
    lines = found()
    paths = lines.write(tmp_path / "pwl", "pwl")
    listed = (tmp_path / "pwl/lines.csv").read_text().splitlines()
    assert len(listed) == 9
    assert len(paths) == 1 + sum(line.pulses > 0 for line in lines.lines.values())
    points = np.loadtxt(tmp_path / "pwl/memory.bl0.pwl")
    assert np.all(np.diff(points[:, 0]) > 0)
    assert (points[0] == 0).all()
    assert np.array_equal(points[:, 1], lines.line("memory.bl0").voltages)
    lines.write(tmp_path / "csv", "csv")
    table = np.genfromtxt(tmp_path / "csv/memory.bl0.csv", delimiter=",", names=True)
    assert table.dtype.names == ("time_s", "voltage_v", "driven")
    assert np.array_equal(table["voltage_v"], points[:, 1])
    assert np.all(table["driven"] == 1)


def test_lines_that_float(tmp_path: Path) -> None:
    lines = found("magic_nor")
    word = lines.line("logic.wl0")
    assert word.floats == [(0, 100_002_000_000)]
    assert np.isnan(word.at(np.array([1e-6]))).all()
    lines.write(tmp_path, "csv")
    assert "logic,wl0,0,0.0,0.0,0.000100002," in (tmp_path / "lines.csv").read_text()


def test_a_step_takes_a_femtosecond() -> None:
    from cosim.crossbar.drive import level

    line = LineWaveform("t", "gl0")
    line.add(1000, 500, level(1.8))
    line.add(1500, 500, level(1.8))
    line.add(3000, 500, level(1.8))
    assert line.times_fs == sorted(set(line.times_fs))
    assert line.at(np.array([0.5e-12, 1.2e-12, 1.7e-12, 3.2e-12])).tolist() == pytest.approx(
        [0, 1.8, 1.8, 1.8]
    )


def test_reads_too() -> None:
    lines = found("magic_nor", ("read",))
    assert max(lines.line("logic.wl0").voltages) == pytest.approx(0.2)


def test_a_measured_voltage_beside_it(tmp_path: Path) -> None:
    lines = found()
    times = np.linspace(0, lines.line("memory.bl0").times_fs[-1] / 1e15, 500)
    measured = lines.line("memory.bl0").at(times) + 5e-3
    np.savetxt(
        tmp_path / "scope.csv",
        np.column_stack((times, measured)),
        delimiter=",",
        header="time_s,voltage_v",
        comments="",
    )
    comparison = compare(lines, tmp_path / "scope.csv", "memory.bl0")
    assert comparison.rms == pytest.approx(5e-3)
    assert comparison.largest == pytest.approx(5e-3)
    table, plot = comparison.write(tmp_path)
    assert table.read_text().splitlines()[0] == "time_s,computed_v,measured_v,deviation_v"
    assert plot.stat().st_size > 1000


def test_a_measured_conductance_beside_it(tmp_path: Path) -> None:
    """The state after the last pulse on the cell, from the pulse records."""
    lines = found()
    own = [row for row in lines.trace.pulses if row[4:6] == (2, 0)]
    times = [row[2] / 1e15 + row[8] + 5e-9 for row in own]
    text = "time_s,conductance_s\n" + "".join(
        f"{t!r},{row[12] * 1.01!r}\n" for t, row in zip(times, own, strict=True)
    )
    (tmp_path / "g.csv").write_text(text)
    comparison = compare(lines, tmp_path / "g.csv", "memory.2.0")
    assert np.allclose(comparison.computed, [row[12] for row in own])
    assert comparison.largest == pytest.approx(0.01 * max(row[12] for row in own), rel=1e-6)


@pytest.mark.parametrize(
    ("text", "at", "sentence"),
    [
        ("time_s,voltage_v\n0,1\n", "memory.bl9", r"there is no line 'memory\.bl9'; lines are named TILE\.LINE, such as memory\.wl0"),
        ("time_s,conductance_s\n0,1\n", "memory.9.9", r"no pulse went to the cell 'memory\.9\.9'; a cell is named TILE\.ROW\.COLUMN"),
        ("t,v\n0,1\n", "memory.bl0", r"'.*' must have the columns time_s and voltage_v or conductance_s, but its first line is 't,v'"),
        ("time_s,voltage_v\n0,x\n", "memory.bl0", r"the column voltage_v of '.*' must hold a number in every line"),
        ("time_s,voltage_v\n", "memory.bl0", r"'.*' must hold at least one line, and finite numbers only"),
        ("time_s,voltage_v\n0,nan\n", "memory.bl0", r"'.*' must hold at least one line, and finite numbers only"),
    ],
)  # fmt: skip
def test_traces_that_do_not_fit(text: str, at: str, sentence: str, tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text(text)
    with pytest.raises(InputError, match=f"^{sentence}$"):
        compare(found(), tmp_path / "m.csv", at)


def test_other_columns_of_a_trace_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("remark,time_s,voltage_v\nfirst,0,0\n", encoding="utf-8-sig")
    assert compare(found(), tmp_path / "m.csv", "memory.wl0").rms == 0.0


def test_bytes_that_are_no_trace(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_bytes(b"time_s\xff")
    with pytest.raises(InputError, match=r"must be a CSV file, which is UTF-8 text$"):
        compare(found(), tmp_path / "m.csv", "memory.wl0")


def test_kinds_have_names() -> None:
    with pytest.raises(InputError, match=r"^--kind must be read, verify or write, not 'pulse'$"):
        found("memory_word", ("pulse",))


def test_command(cli: Any, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    cosim.run(cosim.load(FOLDER / "memory_word.yaml")).save(folder)
    answer = cli("pulses", folder, "--out", tmp_path / "lines")
    assert answer.code == 0
    assert answer.out.startswith("8 of 8 lines carry pulses: ")
    answer = cli("pulses", FOLDER / "memory_word.yaml", "--out", tmp_path / "lines", "--at", "memory.bl0")
    assert (answer.code, answer.err) == (
        2, "--measured and --at belong together: the file, and the line or cell that it is of\n",
    )  # fmt: skip
