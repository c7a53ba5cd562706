"""Characterization: curves against closed forms, and the command with its files and refusals."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from cosim.characterize import Characterization, Conditions, characterize
from cosim.devices import DeviceModel, Mss, PulseLaw, PulseTable, Rs, Vteam, find_preset
from cosim.devices.base import BOLTZMANN_OVER_CHARGE


@pytest.fixture(scope="module")
def of_rs() -> Characterization:
    return characterize("rs", Rs())


def test_switching_time_of_rs_is_its_closed_form(of_rs: Characterization) -> None:
    """Half of the way at an overdrive of v takes ln 2/(rate v); below the threshold it never ends."""
    device, table = Rs(), of_rs.tables["switching"]
    volts, times = table["voltage_V"], table["time_s"]
    for sign, threshold in ((1.0, device.v_set), (-1.0, device.v_reset)):
        over = sign * volts - threshold
        moved = over > 0
        assert np.allclose(times[moved], np.log(2) / (device.rate * over[moved]), rtol=1e-9)
        assert np.isnan(times[(sign * volts > 0) & ~moved]).all()
    assert np.isnan(times).sum() > 4


def test_pulse_response_of_rs_is_geometric(of_rs: Characterization) -> None:
    table, (amplitude, width) = of_rs.tables["pulses"], of_rs.drive.set_pulse
    device = Rs()
    number = np.arange(101)
    left = np.exp(-device.rate * (amplitude - device.v_set) * width * number)
    wanted = device.g_max + (device.g_min - device.g_max) * left
    assert np.allclose(table["conductance_S"][:101], wanted, rtol=1e-9)
    assert table["conductance_S"].size == 201
    assert "drawn_S" not in table


def test_loop_is_pinched_and_dissipates(of_rs: Characterization) -> None:
    loop = of_rs.tables["loop"]
    crossing = np.abs(loop["voltage_V"]) < 1e-9
    assert crossing.sum() == 3
    assert np.all(np.abs(loop["current_A"][crossing]) < 1e-12)
    assert np.all(loop["voltage_V"] * loop["current_A"] >= 0)
    assert of_rs.figures["loop"]["covered"] > 0.8
    power = loop["voltage_V"] * loop["current_A"]
    assert of_rs.figures["loop"]["energy_j"] == pytest.approx(np.trapezoid(power, loop["time_s"]), rel=1e-12)


def test_a_dead_zone_neither_relaxes_nor_is_disturbed(of_rs: Characterization) -> None:
    for name in ("relaxation", "read_disturb"):
        for title, values in of_rs.tables[name].items():
            assert title in ("time_s", "reads") or np.ptp(values) == 0
    assert np.isnan(of_rs.figures["relaxation"]["moved_s"])


def test_relaxation_and_disturb_of_mss_are_its_closed_form() -> None:
    device = Mss(r_on=100e3, r_off=1e6, v_on=0.6, v_off=0.6, tau=10e-6)
    found = characterize("m", device, Conditions(read_pulse=(0.3, 1e-6), temperature=350.0))

    def decay(x0: float, volts: float, time: np.ndarray) -> np.ndarray:
        p_on, p_off = (
            1 / (1 + np.exp((0.6 - sign * volts) / (350.0 * BOLTZMANN_OVER_CHARGE))) for sign in (1, -1)
        )
        rest = p_on / (p_on + p_off)
        x = rest + (x0 - rest) * np.exp(-time * (p_on + p_off) / 10e-6)
        return x * 1e-5 + (1 - x) * 1e-6

    table = found.tables["relaxation"]
    assert np.allclose(table["from_90_percent_S"], decay(0.9, 0.0, table["time_s"]), rtol=1e-6)
    table = found.tables["read_disturb"]
    assert np.allclose(table["from_0_percent_S"], decay(0.0, 0.3, table["reads"] * 1e-6), rtol=1e-6)
    moved = found.figures["relaxation"]["moved_s"]
    assert abs(decay(0.9, 0.0, np.array(moved)) - 9.1e-6) == pytest.approx(9e-8, rel=1e-3)
    reads = found.figures["read_disturb"]["reads_to_move"]
    assert decay(0.0, 0.3, np.array(reads * 1e-6)) - 1e-6 == pytest.approx(9e-8, rel=1e-3)


def test_a_stochastic_model_shows_its_draws() -> None:
    law = PulseLaw(c2c=0.02)
    found = characterize("law", law, Conditions(pulses=16, seed=4)).tables["pulses"]
    again = characterize("law", law, Conditions(pulses=16, seed=4)).tables["pulses"]
    other = characterize("law", law, Conditions(pulses=16, seed=5)).tables["pulses"]
    assert np.array_equal(found["drawn_S"], again["drawn_S"])
    assert not np.array_equal(found["drawn_S"], other["drawn_S"])
    span = law.g_max - law.g_min
    assert 0.5 < found["spread_S"][16] / (0.02 * span * 4) < 1.5
    assert found["conductance_S"][0] == pytest.approx(law.g_min)


@pytest.mark.parametrize("device", [Vteam(), PulseTable(), find_preset("mss-knowm-w-sdc")])
def test_other_kinds(device: DeviceModel) -> None:
    found = characterize("d", device, Conditions(pulses=20))
    assert 0.3 < found.figures["loop"]["covered"] <= 1.0
    assert found.figures["pulses"]["after_set_s"] > found.figures["pulses"]["first_s"]
    assert found.figures["pulses"]["after_reset_s"] < found.figures["pulses"]["after_set_s"]
    assert found.figures["switching"]["set_s"] > 0
    times = found.tables["switching"]["time_s"][found.tables["switching"]["voltage_V"] > 0]
    assert np.all(np.diff(times[np.isfinite(times)]) <= 1e-12)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open() as stream:
        return list(csv.DictReader(stream))


def test_command_writes_tables_and_a_plot(cli, tmp_path: Path) -> None:
    answer = cli(
        "characterize", "rs", "mss-firm@tau=5 us,v_on=0.5 V", "--set", "v_off=0.4 V", "--out", tmp_path
    )
    assert answer.code == 2
    assert (
        answer.err
        == "device.v_off: there is no such parameter of rs; rs has g_min, g_max, rate, v_set, v_reset\n"
    )
    out = tmp_path / "out"
    answer = cli("characterize", "rs", "mss-firm@tau=5 us,v_on=0.5 V", "--pulses", 10, "--out", out)
    assert answer.code == 0, answer.err
    lines = answer.out.splitlines()
    assert lines[0] == "rs (rs), 100 nS to 1 mS"
    assert [line.split()[0] for line in lines[1:6]] == ["loop", "pulse", "switching", "relaxation", "read"]
    assert lines[-1] == f"tables: {out}   plot: {out / 'characterization.svg'}"
    assert {path.name for path in out.iterdir()} == {
        "characterization.json", "characterization.svg", "loop.csv", "pulses.csv", "switching.csv", "relaxation.csv",
        "read_disturb.csv",
    }  # fmt: skip
    pulses = rows(out / "pulses.csv")
    assert {row["device"] for row in pulses} == {"rs", "mss-firm@tau=5 us,v_on=0.5 V"}
    assert len(pulses) == 2 * 21
    content = json.loads((out / "characterization.json").read_text())
    assert content["devices"]["rs"]["switching"]["set_s"] == pytest.approx(6.93e-6, rel=1e-3)
    assert content["devices"]["rs"]["relaxation"]["moved_s"] is None
    first = (out / "characterization.svg").read_bytes()
    assert (
        cli("characterize", "rs", "mss-firm@tau=5 us,v_on=0.5 V", "--pulses", 10, "--out", out, "--quiet").out
        == ""
    )
    assert (out / "characterization.svg").read_bytes() == first


@pytest.mark.parametrize("ending", ["pdf", "png"])
def test_plot_formats_and_pulses(cli, tmp_path: Path, ending: str) -> None:
    plot = tmp_path / f"p.{ending}"
    answer = cli("characterize", "rs", "--set-pulse", "0.4 V, 1 us", "--reset-pulse", "-0.5 V, 2 us", "--json",
                 "--pulses", 3, "--out", tmp_path / "out", "--plot", plot)  # fmt: skip
    found = json.loads(answer.out)["devices"]["rs"]
    assert found["set_pulse"] == {"amplitude_v": 0.4, "width_s": 1e-6}
    assert found["reset_pulse"] == {"amplitude_v": 0.5, "width_s": 2e-6}
    assert plot.stat().st_size > 5000


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["resistor"], "device model resistor never changes, so there is nothing to characterize; choose another model"),
        (["mms-firm"], "there is no device model or preset called 'mms-firm'; did you mean 'mss-firm'?"),
        (["mss@tau=5"], "device.tau: must have the unit s, but 5 has none; write for example '100 ns'"),
        (["mss@tau"], "must have the form KEY=VALUE, not 'tau'; write for example 'tau=5 us'"),
        (["mss", "--plot", "p.gif"], "the plot p.gif must end with one of .svg, .pdf, .png"),
        (["mss", "rs", "--dataset", "d.csv"], "--dataset is for one device, not 2"),
        (["mss", "--read", "0.2 V"], "--read: must be an amplitude and a width such as '1.6 V, 50 ns', not '0.2 V'"),
        (["mss", "--set-pulse", "0 V, 1 us"], "characterize.set_pulse: must be an amplitude and a width above zero, not (0.0, 1e-06)"),
        (["none.yaml"], "none.yaml: there is no such file; give the path of a scenario file"),
    ],
)  # fmt: skip
def test_refusals(
    cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], sentence: str
) -> None:
    monkeypatch.chdir(tmp_path)
    answer = cli("characterize", *arguments)
    assert (answer.code, answer.err, answer.out) == (2, sentence + "\n", "")
    assert not list(tmp_path.iterdir())


def test_dataset_to_table_to_run(cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Points of a law, the table of them, its device characterized, and a scenario with it from another folder."""
    monkeypatch.chdir(tmp_path)
    cli("characterize", "pulse-law-ag-a-si", "--dataset", "points.csv", "--points", 2000, "--quiet")
    points = rows(tmp_path / "points.csv")
    assert len(points) == 4000
    assert list(points[0]) == ["branch", "conductance_S", "jump_S"]
    pulses = ["--ltp", "3.2 V, 300 us", "--ltd", "-2.8 V, 300 us"]
    answer = cli(
        "fit",
        "points.csv",
        "--model",
        "pulse_table",
        *pulses,
        "--device",
        "Ag",
        "--source",
        "law",
        "--out",
        "t",
    )
    assert answer.code == 0, answer.err
    assert answer.out.splitlines()[0].startswith("model      pulse_table, 31 conductances from 3.")
    table = json.loads((tmp_path / "t" / "table.json").read_text())
    assert (table["device"], table["source"], table["set_pulse"]) == ("Ag", "law", [3.2, 300e-6])
    moments = json.loads((tmp_path / "t" / "fit.json").read_text())
    assert moments["set"]["spread_s"][15] == pytest.approx(0.035 * 35.42e-9, rel=0.1)
    assert (tmp_path / "t" / "table.svg").stat().st_size > 5000
    assert cli("characterize", "t/device.yaml", "--pulses", 3, "--quiet").code == 0
    (tmp_path / "t" / "s.yaml").write_text(SCENARIO)
    answer = cli("run", "t/s.yaml", "--out", "ran", "--json")
    assert answer.code == 0, answer.err
    assert (tmp_path / "ran" / "inputs" / "table.json").is_file()
    again = cli("run", "ran/scenario.resolved.yaml", "--out", "again", "--json")
    first, second = json.loads(answer.out), json.loads(again.out)
    assert first["operations"] == second["operations"]
    (tmp_path / "t" / "s.yaml").write_text(SCENARIO.replace("extends: device.yaml\n", "").replace(
        "hardware:\n", "hardware:\n  device: {model: pulse_table, table: ../points.csv}\n"))  # fmt: skip
    answer = cli("run", "t/s.yaml", "--out", "no")
    assert answer.code == 2
    assert answer.err.endswith(
        "hardware.device.table: '../points.csv' must lie in the scenario's folder; copy it there and name it relative to it\n"
    )


SCENARIO = """\
extends: device.yaml
schema_version: 1
name: s
seed: 3
hardware:
  array: {rows: 2, columns: 2}
tiles: {t: {}}
program:
  - write: {tiles: [t], matrix: [[0.2, 0], [0, 0.1]], encoding: single, verify: {window: 10 %, max_pulses: 20}}
"""


def test_table_of_curves_and_of_text_files(cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rng, lines = np.random.default_rng(1), ["branch,conductance_nS"]
    for _ in range(3):
        lines += [f"LTP,{g:.6f}" for g in np.linspace(1, 9, 41) + 0.1 * rng.standard_normal(41)]
        lines += [f"LTD,{g:.6f}" for g in np.linspace(9, 1, 41) + 0.1 * rng.standard_normal(41)]
    Path("curves.csv").write_text("\n".join([*lines, ""]))
    pulses = ["--model", "pulse_table", "--ltp", "1 V, 1 us", "--ltd", "1 V, 1 us", "--json"]
    found = json.loads(cli("fit", "curves.csv", *pulses, "--out", "c").out)
    assert found["set"]["points"] == found["reset"]["points"] == 120
    assert found["set"]["mean_jump_s"][15] == pytest.approx(0.2e-9, rel=0.2)
    g, dg = np.array([1.0, 2.0, 3.0]), np.linspace(-1, 1, 11)
    for name, values in (("g", g), ("dg", dg), ("cdf", np.tile(np.clip((dg + 0.2) / 0.5, 0, 1), (3, 1)))):
        np.savetxt(name, values)
    six = ["g", "dg", "cdf"] * 2
    found = json.loads(cli("fit", *six, *pulses, "--unit", "nS", "--out", "x").out)
    assert found["conductance_s"] == pytest.approx([1e-9, 2e-9, 3e-9])
    for arguments, sentence in (
        (["curves.csv", "--model", "pulse_table"],
         "a jump table belongs to two pulses; give --ltp '1.6 V, 50 ns' and --ltd '-1.6 V, 50 ns'"),
        (["curves.csv", *pulses, "--fix", "a=1"], "a jump table is counted and not searched for: --fix, --bound, --predict,"
         " --against-spice, --robust and --even do not belong to it"),
        (["g", "dg", *pulses, "--unit", "nS"], "--unit says that the files are text files of a jump table; there must be six"
         " of them (conductances, jumps and distribution of SET, then of RESET), not 2"),
        (["none.csv", *pulses], "none.csv: there is no such file"),
    ):  # fmt: skip
        answer = cli("fit", *arguments)
        assert (answer.code, answer.err) == (2, sentence + "\n")
