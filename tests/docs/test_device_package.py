"""The example package of docs/devices.md: installed beside cosim, found, conforming, in scenarios and netlists."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "device-package"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package, installed into a folder of its own."""
    folder = tmp_path_factory.mktemp("package")
    source = shutil.copytree(EXAMPLE, folder / "source")
    done = run([sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-build-isolation",
                "--target", str(folder / "site"), str(source)], folder, folder)  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder


def run(command: list[str], folder: Path, site: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(site / "site")}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=200, check=False
    )


@pytest.mark.ngspice
def test_conformance_from_outside(installed: Path) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_hopping_device.py"]
    done = run(command, installed / "source", installed)
    assert done.returncode == 0, done.stdout
    assert "8 passed" in done.stdout


@pytest.mark.ngspice
def test_scenario_and_netlist(installed: Path) -> None:
    cosim = [sys.executable, "-m", "cosim"]
    done = run([*cosim, "run", "hopping.yaml", "--out", "out"], installed / "source", installed)
    assert done.returncode == 0, done.stderr
    assert "4 of 4 cells in window" in done.stdout
    done = run([*cosim, "netlist", "hopping.yaml"], installed / "source", installed)
    assert done.returncode == 0, done.stderr
    assert ".subckt hopping" in done.stdout + "".join(
        path.read_text() for path in (installed / "source").rglob("*.cir")
    )
