"""What a shell offers when Tab is pressed: commands' values, and the keys of the scenario at hand."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from cosim.scenario.completion import settings
from cosim.scenario.load import load

ROOT = Path(__file__).parents[1]
QUICKSTART = ROOT / "scenarios" / "quickstart.yaml"


def offered(*words: str) -> list[str]:
    """Return what the Z shell is given for a command line whose last word is begun."""
    asked = {"_COSIM_COMPLETE": "complete_zsh", "_TYPER_COMPLETE_ARGS": " ".join(["cosim", *words])}
    done = subprocess.run(
        [sys.executable, "-c", "import sys; sys.argv = ['cosim']; from cosim.cli import main; main()"],
        capture_output=True, text=True, timeout=100, check=False, env={**os.environ, **asked},
    )  # fmt: skip
    assert done.stderr == ""
    return re.findall(r'"([^"]*)"', done.stdout)


def test_values_of_options() -> None:
    assert offered("run", str(QUICKSTART), "--backend", "b") == ["behavioral"]
    assert offered("new", "first.yaml", "--kind", "k") == ["ktram"]
    assert offered("fit", "loop.csv", "--model", "yak") == ["yakopcic"]
    assert offered("characterize", "mss-f") == ["mss-firm"]
    assert offered("run", str(QUICKSTART), "--set", "hardware.adc.bi") == ["hardware.adc.bits="]


def test_keys_follow_the_scenario() -> None:
    keys = settings(QUICKSTART, "")
    assert len(keys) == len(set(keys))
    for key in (
        "seed=",
        "hardware.device.tau=",
        "tiles.negative.fidelity=",
        "program.0.write.verify.window=",
    ):
        assert key in keys
    assert not [key for key in keys if key.startswith(("program.0.read", "hardware.device.k_p"))]
    assert settings(QUICKSTART, "program.1.read.co") == ["program.1.read.coding="]
    assert "ktram.program.1.loop.times=" in settings(ROOT / "scenarios" / "ktram_lanes.yaml", "ktram.pro")


def test_device_presets_have_the_keys_of_their_model() -> None:
    keys = settings(ROOT / "scenarios" / "mtj.yaml", "hardware.device.")
    assert "hardware.device.attempt_time=" in keys
    assert "hardware.device.tau=" not in keys


def test_values_of_keys_with_choices() -> None:
    assert settings(QUICKSTART, "hardware.adc.kind=s") == [
        "hardware.adc.kind=sar",
        "hardware.adc.kind=sigma-delta",
    ]
    assert settings(QUICKSTART, "hardware.adc.bits=") == []


@pytest.mark.parametrize("name", ["quickstart", "half_select", "converter_pwm"])
def test_every_written_value_can_be_set_by_the_key_offered(name: str) -> None:
    scenario = load(ROOT / "scenarios" / f"{name}.yaml")
    keys = settings(ROOT / "scenarios" / f"{name}.yaml", "")

    def written(value: object, path: str) -> None:
        if isinstance(value, dict):
            for key, below in value.items():
                written(below, f"{path}.{key}" if path else key)
        elif isinstance(value, list) and any(isinstance(entry, dict) for entry in value):
            for index, entry in enumerate(value):
                written(entry, f"{path}.{index}")
        else:
            assert f"{path}=" in keys

    written(scenario.document.values, "")


def test_without_a_readable_scenario(tmp_path: Path) -> None:
    for file in (None, tmp_path / "none.yaml"):
        assert "hardware.adc.bits=" in settings(file, "hardware.adc.b")
        assert settings(file, "tiles.") == []
