"""Scripts beside the package (benchmarks, generators of pages) as modules."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]


def script(place: str) -> Any:
    """Return the module in the file at ``place``, which is relative to the project."""
    path = ROOT / place
    spec = importlib.util.spec_from_file_location(f"script_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
