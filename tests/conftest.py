"""The command line in this process and in one of its own; what a machine must have."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
from hypothesis import settings

from cosim import cli as command_line

if TYPE_CHECKING:
    from cosim.scenario.run import Result

settings.register_profile("cosim", derandomize=True, database=None, deadline=None)
settings.load_profile("cosim")

ROOT = Path(__file__).parents[1]


def pytest_sessionstart() -> None:
    """End at once where both engines of ngspice are required and tests of one would be left out."""
    if os.environ.get("COSIM_SPICE") == "required":
        from cosim.spice.machine import probe

        machine = probe()
        if not machine.version or machine.engine != "pyspice":
            pytest.exit(f"ngspice, its library and PySpice are required here; found {machine}", returncode=1)


class Answer(NamedTuple):
    """What a command gave."""

    code: int
    out: str
    err: str


Cli = Callable[..., Answer]


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    """Return a function that runs the command line in this process."""

    def call(*arguments: object) -> Answer:
        monkeypatch.setattr(sys, "argv", ["cosim", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            command_line.main()
        text = capsys.readouterr()
        code = stop.value.code
        return Answer(code if isinstance(code, int) else 1, text.out, text.err)

    return call


@pytest.fixture
def cosim_process() -> Cli:
    """Return a function that runs the command line in a process of its own."""

    def call(*arguments: object, cwd: Path = ROOT, **environment: str) -> Answer:
        done = subprocess.run(
            [sys.executable, "-m", "cosim", *map(str, arguments)],
            cwd=cwd, env={**os.environ, **environment}, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        return Answer(done.returncode, done.stdout, done.stderr)

    return call


@pytest.fixture(scope="session")
def quickstart(tmp_path_factory: pytest.TempPathFactory) -> tuple[Result, Path]:
    """The result of the quickstart and its folder, run once per worker."""
    from cosim.scenario.load import load
    from cosim.scenario.run import run

    result = run(load(ROOT / "scenarios" / "quickstart.yaml"))
    return result, result.save(tmp_path_factory.mktemp("quickstart"))


@pytest.fixture(scope="session")
def scenarios() -> Path:
    """The folder of the runnable scenarios."""
    return ROOT / "scenarios"
