"""The page on fitting, from an empty folder to a run: its block and its commands are executed in order."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "fitting.md"
_STEP = re.compile(r"^```(python|sh)\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.mark.ngspice
def test_page_runs_from_an_empty_folder(cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for kind, block in _STEP.findall(PAGE.read_text(encoding="utf-8")):
        if kind == "python":
            exec(compile(block, "docs/fitting.md", "exec"), {})
            continue
        for line in block.strip().splitlines():
            program, *arguments = shlex.split(line)
            assert program == "cosim"
            answer = cli(*arguments)
            assert answer.code == 0, answer.err
    fitted = json.loads((tmp_path / "fitted" / "fit.json").read_text(encoding="utf-8"))
    assert fitted["parameters"]["r_on"]["value"] == pytest.approx(2.2e3, rel=0.05)
    assert fitted["against_spice"][0]["of_range"] < 0.02
    summary = json.loads((tmp_path / "result" / "summary.json").read_text(encoding="utf-8"))
    assert summary["operations"][0]["converged"] == 4
