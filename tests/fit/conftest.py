"""Measured loops of another folder, and synthetic ones."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

MEASURED = Path(__file__).parents[3] / "shared" / "data" / "knowm-w-sdc"


@pytest.fixture
def measured() -> Path:
    """Return the folder of the measured Knowm W+SDC loops; skips where it is missing."""
    if not MEASURED.is_dir():
        sentence = f"the measured loops are not there: {MEASURED} (Knowm Memristor Discovery data)"
        if os.environ.get("COSIM_MEASURED") == "required":
            pytest.fail(sentence)
        pytest.skip(sentence)
    return MEASURED
