"""Pictures of the report page for the documentation: desktop and phone, light and dark.

Usage: python tests/browser/screenshots.py REPORT.html [FOLDER], by default into docs/screenshots.
"""

from __future__ import annotations

import sys
from pathlib import Path

from chromium import Browser

HEIGHTS = {"desktop": 1500, "phone": 1800}


def take(report: Path, folder: Path) -> list[Path]:
    """Write the four pictures and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    taken = []
    for size, height in HEIGHTS.items():
        for scheme in ("light", "dark"):
            with Browser() as browser:
                browser.look(size, scheme)
                browser.open(report)
                browser.value("(async () => { for (const place of places) await draw(place); return 1; })()")
                browser.wait(
                    "[...document.querySelectorAll('[data-figure]')].every(p => p.querySelector('.main-svg'))"
                )
                taken.append(folder / f"report-{size}-{scheme}.png")
                browser.screenshot(taken[-1], height=height)
    return taken


if __name__ == "__main__":
    take(
        Path(sys.argv[1]),
        Path(sys.argv[2]) if len(sys.argv) > 2 else Path(__file__).parents[2] / "docs" / "screenshots",
    )
