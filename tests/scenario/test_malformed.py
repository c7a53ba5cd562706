"""Malformed scenarios: one exact sentence each, exit code 2, no traceback, nothing left behind.

``malformed/*.yaml`` are the scenarios, ``malformed/sentences.txt`` the sentences as a person sees them.
Most files take ``base.yaml``, which is good, and spoil one entry of it.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent / "malformed"
SENTENCES = {line.split(":")[0]: line for line in (FOLDER / "sentences.txt").read_text().splitlines()}
IN_A_PROCESS = ("value_without_unit", "misspelt_top", "empty", "unclosed_bracket", "unknown_backend", "tabs")


def test_every_file_has_its_sentence() -> None:
    files = {path.name for path in FOLDER.glob("*.yaml")}
    assert files == set(SENTENCES) | {"base.yaml"}
    assert len(SENTENCES) >= 20


def test_the_base_is_good(cli, tmp_path: Path) -> None:
    answer = cli("run", FOLDER / "base.yaml", "--out", tmp_path / "out")
    assert answer.code == 0
    assert answer.err == ""


@pytest.mark.parametrize("name", sorted(SENTENCES))
@pytest.mark.parametrize("command", ["run", "check"])
def test_sentence(name: str, command: str, cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(FOLDER)
    out = tmp_path / "out"
    answer = cli(command, name, *(("--out", out) if command == "run" else ()))
    assert answer.err == SENTENCES[name] + "\n"
    assert answer.code == 2
    assert answer.out == ""
    assert not out.exists()


@pytest.mark.parametrize("name", IN_A_PROCESS)
def test_sentence_of_the_real_command(name: str, cosim_process, tmp_path: Path) -> None:
    answer = cosim_process("run", f"{name}.yaml", "--out", tmp_path / "out", cwd=FOLDER)
    assert answer.err == SENTENCES[f"{name}.yaml"] + "\n"
    assert answer.code == 2
    assert not (tmp_path / "out").exists()


def test_nothing_is_left_beside_the_scenario(cosim_process, tmp_path: Path) -> None:
    """Without --out the folder would be out/NAME of the working folder."""
    shutil.copytree(FOLDER, tmp_path / "work")
    before = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*"))
    assert cosim_process("run", "wait_bare.yaml", cwd=tmp_path / "work").code == 2
    assert cosim_process("validate", "matrix_nan.yaml", cwd=tmp_path / "work").code == 2
    assert sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*")) == before


@pytest.mark.parametrize("command", ["validate", "netlist"])
def test_every_command_refuses_alike(command: str, cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(FOLDER)
    answer = cli(command, "misspelt_top.yaml")
    assert (answer.code, answer.err) == (2, SENTENCES["misspelt_top.yaml"] + "\n")


def test_check_names_every_problem_of_a_file(cli, tmp_path: Path) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(
        (FOLDER / "base.yaml").read_text().replace("seed: 3", "seed: -3").replace("tau: 10 us", "tau: 10")
        + "valdate: {}\n"
    )
    answer = cli("check", file)
    assert answer.code == 2
    assert [line.split(": ")[1] for line in answer.err.splitlines()] == [
        "seed",
        "hardware.device.tau",
        "valdate",
    ]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("hardware.adc.bits", "--set: must have the form KEY=VALUE, not 'hardware.adc.bits'; write for example hardware.adc.bits=6"),
        ("hardware.adc.bitz=6", "--set: hardware.adc.bitz: there is no such key; did you mean 'bits'?"),
        ("hardware.adc.bits=60", "--set: hardware.adc.bits: must be between 1 and 24, not 60"),
        ("program.7.wait=1 us", "--set: program.7.wait: '7' leads nowhere; give the path of an entry as in the file"),
        ("seed.x=1", "--set: seed.x: 'x' leads nowhere; give the path of an entry as in the file"),
        ("seed=[1", "--set: seed: '[1' is not a YAML value"),
        ("hardware.cell.access_resistance=5", "--set: hardware.cell.access_resistance: must have the unit ohm, but 5 has none; write for example '2.5 ohm'"),
    ],
)  # fmt: skip
def test_overrides(text: str, sentence: str, cli) -> None:
    answer = cli("run", FOLDER / "base.yaml", "--set", text)
    assert (answer.code, answer.err) == (2, sentence + "\n")


@pytest.mark.parametrize("name", ["nowhere.yaml", ""])
def test_missing_scenario(name: str, cli, tmp_path: Path) -> None:
    answer = cli("run", tmp_path / name)
    assert answer.code == 2
    assert answer.err.count("\n") == 1
    assert "there is no such file" in answer.err or "cannot be read" in answer.err
