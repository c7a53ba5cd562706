"""The documents are in step with the code: schema, key page, examples, links."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from scripts import script

from cosim.scenario.keys import keys, sections
from cosim.scenario.schema import json_schema

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
_BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ +(.*)$", re.MULTILINE)
_CODE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_FRAGMENTS = {"docs/spice.md", "docs/fitting.md", "docs/plots.md"}
"""Pages whose blocks continue code of the reader, or run in tests of their own (test_fitting_page, test_plot)."""


def _name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def _with_blocks() -> list[Path]:
    return [
        page
        for page in PAGES
        if _name(page) not in _FRAGMENTS and _BLOCK.search(page.read_text(encoding="utf-8"))
    ]


def _anchor(heading: str) -> str:
    kept = re.sub(r"[^\w\- ]", "", heading.lower())
    return kept.strip().replace(" ", "-")


@pytest.mark.parametrize("page", _with_blocks(), ids=_name)
def test_python_blocks_run(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    names: dict[str, object] = {"__name__": "example"}
    for number, block in enumerate(_BLOCK.findall(page.read_text(encoding="utf-8"))):
        exec(compile(block, f"{_name(page)}, block {number}", "exec"), names)


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_links_resolve(page: Path) -> None:
    for target in _LINK.findall(_CODE.sub("", page.read_text(encoding="utf-8"))):
        if target.startswith(("http://", "https://")):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), f"{_name(page)} names {target}, which is not there"
        if anchor:
            headings = [_anchor(text) for text in _HEADING.findall(file.read_text(encoding="utf-8"))]
            assert anchor in headings, f"{_name(page)} names {target}, but the page has no such heading"


def test_schema_is_in_step() -> None:
    written = json.loads((ROOT / "docs/scenario.schema.json").read_text(encoding="utf-8"))
    assert written == json_schema(), "docs/scenario.schema.json is old: run make docs-generate"


@pytest.mark.parametrize("name", ["scenario", "support"])
def test_generated_page_is_in_step(name: str) -> None:
    written = (ROOT / f"docs/{name}.md").read_text(encoding="utf-8")
    assert written == script(f"docs/generate_{name}.py").page(), (
        f"docs/{name}.md is old: run make docs-generate"
    )


@pytest.mark.parametrize("path", sections(), ids=lambda path: path or "top")
def test_every_key_is_told(path: str) -> None:
    for key in keys(sections()[path]):
        assert key.doc, f"{path}.{key.name} has no meaning"
        assert key.form, f"{path}.{key.name} has no form"
        assert key.default is None or key.source, f"{path}.{key.name} has no source"


def test_schema_refuses_bare_numbers_and_accepts_short_forms() -> None:
    schema = json_schema()
    assert schema["$defs"]["Adc"]["properties"]["clock"]["default"] == "100 MHz"
    assert schema["$defs"]["Adc"]["properties"]["clock"]["type"] == "string"
    assert {"type": "string"} in schema["$defs"]["TileSection"]["properties"]["backend"]["anyOf"]
    assert {"type": "string"} in schema["$defs"]["Step"]["properties"]["wait"]["anyOf"]
