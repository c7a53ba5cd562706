"""The page on measured devices: its tables are those of the stored figures, and every figure is there."""

from __future__ import annotations

import json

from scripts import script

PAGE = script("docs/generate_validation.py")
FITS = PAGE.benchmark()
STORED = json.loads(FITS.STORED.read_text())


def test_tables_are_those_of_the_stored_figures() -> None:
    text = PAGE.PAGE.read_text()
    assert text == PAGE.page(text), "run make docs-generate"


def test_every_model_has_every_figure() -> None:
    assert list(STORED) == list(FITS.MODELS)
    for entry in STORED.values():
        for kind in ("own", "device", "two", "other"):
            assert len(entry["errors"][kind]) == 18
