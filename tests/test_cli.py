"""The commands: what they print, what they write, their exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from cosim.devices.registry import models

GOOD = Path(__file__).parent / "scenario" / "malformed" / "base.yaml"


def test_run_prints_a_table_and_the_report(cli, tmp_path: Path) -> None:
    answer = cli("run", GOOD, "--out", tmp_path / "out")
    assert answer.code == 0
    lines = answer.out.splitlines()
    assert [line.split()[0] for line in lines[:3]] == ["scenario", "time", "energy"]
    assert lines[3].split()[:3] == ["0", "write", "t"]
    assert "4 of 4 cells in window" in lines[3]
    assert "% rms" in lines[4]
    assert lines[-1] == f"report: {tmp_path / 'out' / 'report.html'}"
    assert answer.err == ""


def test_run_as_json(cli, tmp_path: Path) -> None:
    answer = cli("run", GOOD, "--out", tmp_path / "out", "--json")
    assert json.loads(answer.out) == json.loads((tmp_path / "out" / "summary.json").read_text())


def test_quiet(cli, tmp_path: Path) -> None:
    answer = cli("run", GOOD, "--out", tmp_path / "out", "--quiet")
    assert (answer.code, answer.out, answer.err) == (0, "", "")


def test_default_folder(cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli("run", GOOD, "--quiet").code == 0
    assert (tmp_path / "out" / "base" / "summary.json").is_file()


def test_seed(cli, tmp_path: Path) -> None:
    assert json.loads(cli("run", GOOD, "--out", tmp_path, "--seed", 42, "--json").out)["seed"] == 42
    answer = cli("run", GOOD, "--out", tmp_path, "--seed", -1)
    assert answer.code == 2
    assert "Traceback" not in answer.err


def test_run_with_another_backend(cli, tmp_path: Path) -> None:
    answer = cli("run", GOOD, "--out", tmp_path / "out", "--backend", "nothing")
    assert answer.code == 2
    assert "there is no backend called 'nothing'" in answer.err
    assert not (tmp_path / "out").exists()


def test_scripted_backend_runs_everything(cli, tmp_path: Path) -> None:
    answer = cli("run", GOOD, "--out", tmp_path / "out", "--backend", "scripted", "--json")
    assert answer.code == 0
    assert json.loads(answer.out)["operations"][0]["converged"] < 4


def test_check(cli, scenarios: Path) -> None:
    for file in (GOOD, *sorted(scenarios.glob("*.yaml"))):
        if "ngspice" not in file.read_text() or file == GOOD:
            assert cli("check", file) == (0, f"{file}: good\n", "")


def test_devices(cli) -> None:
    text = cli("devices").out
    for word in ("mss: ", "rs: ", "resistor: ", "preset mss-firm: model mss", "tau", "PLOS ONE"):
        assert word in text
    content = json.loads(cli("devices", "--json").out)
    assert set(content["models"]) == set(models())
    for model in content["models"].values():
        for parameter in model["parameters"].values():
            assert parameter["source"]
            assert parameter["doc"]
            assert parameter["default"]


def test_schema(cli, tmp_path: Path) -> None:
    from cosim.scenario.schema import json_schema

    assert json.loads(cli("schema").out) == json_schema()
    assert cli("schema", "--out", tmp_path / "s.json").code == 0
    assert json.loads((tmp_path / "s.json").read_text()) == json_schema()


def test_doctor(cli) -> None:
    answer = cli("doctor")
    assert answer.code == 0
    assert "behavioral run   works" in answer.out
    assert "numpy" in answer.out


@pytest.mark.ngspice
def test_netlist_runs_by_hand(cli, tmp_path: Path) -> None:
    deck = cli("netlist", GOOD, "--phase", 1)
    assert deck.code == 0
    file = tmp_path / "phase.cir"
    file.write_text(deck.out)
    done = subprocess.run(
        ["ngspice", "-n", "-b", "-r", "phase.raw", file.name],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "phase.raw").stat().st_size > 1000
    assert "error" not in done.stderr.lower()


@pytest.mark.ngspice
def test_netlists(cli, tmp_path: Path) -> None:
    assert cli("netlist", GOOD).out.startswith("*") or "cosim" in cli("netlist", GOOD).out
    answer = cli("netlist", GOOD, "--phase", "all", "--out", tmp_path / "decks")
    assert answer.code == 0
    files = sorted((tmp_path / "decks").iterdir())
    assert answer.out.splitlines() == [str(file) for file in files]
    assert [file.name for file in files[:2]] == ["phase-000000.cir", "phase-000001.cir"]
    bad = cli("netlist", GOOD, "--phase", "first")
    assert (bad.code, bad.err) == (2, "--phase must be a number or 'all', not 'first'\n")
    far = cli("netlist", GOOD, "--phase", 10_000)
    assert far.code == 2
    assert far.err == f"there is no phase 10000: the run has phases 0 to {len(files) - 1}\n"


@pytest.mark.ngspice
def test_raw_files_on_demand(cli, tmp_path: Path) -> None:
    from cosim.spice.raw import read_raw

    answer = cli("netlist", GOOD, "--phase", 1, "--out", tmp_path, "--raw")
    assert answer.code == 0
    assert answer.out.splitlines() == [str(tmp_path / f"phase-000001.{end}") for end in ("cir", "raw")]
    plots = read_raw(tmp_path / "phase-000001.raw")
    assert any(
        plot.name.lower().startswith("transient") and plot.complete and len(plot.values) > 10
        for plot in plots
    )
    assert cli("netlist", GOOD, "--raw").err == "--raw needs --out DIR, the folder for the raw files\n"


@pytest.mark.parametrize("arguments", [["walk"], ["run"], ["run", "--nothing"], ["run", GOOD, "--seed", "x"]])
def test_wrong_use(arguments: list[object], cli) -> None:
    answer = cli(*arguments)
    assert answer.code == 2
    assert "Traceback" not in answer.err
    assert answer.err


def test_help(cli) -> None:
    answer = cli("--help")
    assert answer.code == 0
    for command in ("run", "validate", "check", "netlist", "devices", "schema", "doctor"):
        assert command in answer.out
        assert cli(command, "--help").code == 0


def test_no_command_is_help(cli) -> None:
    answer = cli()
    assert "Usage" in answer.out + answer.err
    assert answer.code in (0, 2)


def test_interrupt(cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def interrupted(*_arguments: object, **_options: object) -> None:
        raise KeyboardInterrupt

    cli("check", GOOD)
    monkeypatch.setattr(sys.modules["cosim.scenario.run"], "run", interrupted)
    answer = cli("run", GOOD, "--out", tmp_path / "out")
    assert (answer.code, answer.err) in (
        (130, "interrupted\n"),
        (130, ""),
        (130, "Aborted.\n"),
        (130, "Aborted!\n"),
    )


def test_a_closed_pipe_is_no_error() -> None:
    """``cosim devices | head -1`` ends quietly."""
    command = f"{sys.executable} -m cosim schema | head -c 1"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, check=False
    )
    assert "Traceback" not in done.stderr


@pytest.mark.ngspice
def test_netlist_of_a_circuit(cli, tmp_path: Path) -> None:
    """The deck of a circuit in a Python file; an object with a PySpice circuit's text is enough."""
    (tmp_path / "bench.py").write_text("circuit = '.title bench\\nv1 a 0 1\\nr1 a 0 1k\\n'\n")
    good = cli("netlist", "--circuit", f"{tmp_path / 'bench.py'}:circuit", "--stop", "1 us")
    assert good.code == 0
    assert ".tran" in good.out
    assert good.out.rstrip().endswith(".end")
    for arguments in (("netlist",), ("netlist", "x.yaml", "--circuit", "bench.py:circuit")):
        refused = cli(*arguments)
        assert refused.code == 2
        assert "give either a SCENARIO or --circuit FILE.py:NAME" in refused.err
