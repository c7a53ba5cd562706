"""Writes the tables of `docs/validation.md` from the figures in `docs/validation.json`.

`benchmarks/fits.py --store` fits all models and writes the figures; ``make docs-generate`` writes the tables; tests compare both
with the page and simulate the stored parameters.
"""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

PAGE = Path(__file__).with_name("validation.md")
BENCHMARK = Path(__file__).parents[1] / "benchmarks" / "fits.py"


def benchmark() -> Any:
    """Return the benchmark as a module."""
    spec = importlib.util.spec_from_file_location("benchmark_of_fits", BENCHMARK)
    assert spec is not None
    assert spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


def page(text: str) -> str:
    """Return the page with the tables of the stored figures."""
    fits = benchmark()
    found = json.loads(fits.STORED.read_text())
    parts = {
        "summary": fits.summary(found),
        "unseen": fits.unseen(found),
        "loops": "\n\n".join("\n".join(fits.by_loop(found, group)) for group in fits.groups(found)).split(
            "\n"
        ),
    }
    for name, lines in parts.items():
        begin, end = (
            f"<!-- {word} {name}: benchmarks/fits.py --store, make docs-generate -->"
            for word in ("begin", "end")
        )
        before, rest = text.split(begin + "\n")
        text = "\n".join([before + begin, *lines, end]) + rest.split(end)[1]
    return text


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
