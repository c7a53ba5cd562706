"""The pictures of docs/plots.md, made by the code that the page shows.

Usage: python docs/generate_plots.py, from the project's root.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

DOCS = Path(__file__).parent
_BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def main() -> None:
    """Run the page and copy what it drew."""
    page, names = DOCS / "plots.md", {"__name__": "gallery"}
    for block in _BLOCK.findall(page.read_text(encoding="utf-8")):
        exec(compile(block, str(page), "exec"), names)
    for picture in sorted(Path("out/gallery").glob("plot-*.svg")):
        shutil.copyfile(picture, DOCS / "gallery" / picture.name)


if __name__ == "__main__":
    main()
