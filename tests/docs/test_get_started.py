"""The page for newcomers, followed to the letter in an empty folder; and the site, built without a warning."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "get-started.md"
_BLOCK = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)


def steps() -> list[tuple[str, str]]:
    """Return the commands of the page, without the installation, each with the output that it shows."""
    found: list[tuple[str, str]] = []
    for block in _BLOCK.findall(PAGE.read_text(encoding="utf-8")):
        for line in block.splitlines(keepends=True):
            if line.startswith("$ "):
                found.append((line[2:].strip(), ""))
            else:
                found[-1] = (found[-1][0], found[-1][1] + line)
    assert found[0][0].startswith("git clone")
    return found[1:]


def pattern(shown: str) -> str:
    """Return a pattern of the output: ``...`` stands for anything, on a line of its own for any lines."""
    lines = [r"(?:.*\n)*?" if line == "...\n" else re.escape(line).replace(r"\.\.\.", ".*") for line in
             shown.splitlines(keepends=True)]  # fmt: skip
    return "".join(lines)


@pytest.mark.ngspice
def test_the_page_tells_what_a_newcomer_sees(tmp_path: Path) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "COLUMNS": "200"}
    commands = steps()
    assert len(commands) >= 12
    for command, shown in commands:
        done = subprocess.run(
            ["bash", "-c", command], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=250,
            check=False,
        )  # fmt: skip
        given = done.stdout + done.stderr
        assert re.fullmatch(pattern(shown), given), f"$ {command}\n{given}"
        refused = re.search(r":\d+:\d+: |--set: ", shown)
        assert done.returncode == (2 if refused else 0), command
    page = (tmp_path / "out" / "first" / "report.html").read_text(encoding="utf-8")
    assert ">Yes<" in page


def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")],
        cwd=ROOT, capture_output=True, text=True, timeout=250, check=False, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "WARNING" not in done.stdout + done.stderr
    assert (tmp_path / "site" / "get-started" / "index.html").is_file()
    assert not re.search(r'(?:src|href)="https?://(?!squidfunk|www\.mkdocs|github)[^"]*\.(?:js|css|woff2?)"',
                         (tmp_path / "site" / "index.html").read_text(encoding="utf-8"))  # fmt: skip
