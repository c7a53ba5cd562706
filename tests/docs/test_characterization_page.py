"""The commands of the page on characterization, in order, from an empty folder."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "characterization.md"
_COMMANDS = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)


def test_page_runs_from_an_empty_folder(cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text, printed = PAGE.read_text(encoding="utf-8"), []
    for block in _COMMANDS.findall(text):
        for line in block.strip().splitlines():
            program, *arguments = shlex.split(line)
            assert program == "cosim"
            answer = cli(*arguments)
            assert answer.code == 0, answer.err
            printed.append(answer.out)
    assert printed[0].splitlines()[:6] == text[text.index("\nmss-firm (mss)") :].strip().splitlines()[:6]
    assert json.loads((tmp_path / "table" / "table.json").read_text())["device"] == "Ag:a-Si"
    assert (tmp_path / "of-the-table" / "characterization.svg").is_file()
