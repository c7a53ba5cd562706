"""Every notebook is stored without output and runs from its first to its last cell."""

from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

FOLDER = Path(__file__).parents[3] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


def read(path: Path) -> Any:
    return nbformat.read(path, as_version=4)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_are_stored_without_output(path: Path) -> None:
    notebook = read(path)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(not cell.outputs and cell.execution_count is None for cell in code)
    assert notebook.cells[0].source.startswith("# ")


def test_notebooks_run() -> None:
    """All in one kernel, which starts once; each begins with an empty name space."""
    assert len(NOTEBOOKS) == 9
    together = nbformat.v4.new_notebook()
    chapters = {}
    for path in NOTEBOOKS:
        cells = read(path).cells
        for cell in cells:
            cell["id"] = f"{path.stem}-{cell['id']}"
        together.cells += [nbformat.v4.new_code_cell("%reset -f"), *cells]
        chapters[path.stem] = cells
    NotebookClient(together, timeout=120, kernel_name="python3").execute()
    for name, cells in chapters.items():
        outputs = [output for cell in cells if cell.cell_type == "code" for output in cell.outputs]
        assert any("image/png" in output.get("data", {}) for output in outputs), name
