"""The pages of the device models: up to date, and their figures made anew."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scripts import script

from cosim.devices import models

DOCS = Path(__file__).parents[2] / "docs"
PAGES = script("docs/generate_devices.py")


@pytest.mark.parametrize("name", PAGES.OURS)
def test_page_and_figure(name: str, tmp_path: Path) -> None:
    """The page says what the module declares; the curves agree with the published equation, and both move."""
    device = PAGES.with_equation()[name]
    page = DOCS / "devices" / f"{name}.md"
    assert page.read_text() == PAGES.page(name, device), "run make docs-generate"
    found = PAGES.loop(name, device)
    low, high = device.state_bounds()
    ours = np.interp(found.at, found.time, found.state)
    assert np.abs(ours - found.solved).max() < 5e-3 * (high - low)
    assert np.ptp(found.solved) > 0.05 * (high - low)
    assert np.all(found.voltage * found.current >= 0)
    PAGES.draw(name, device, found, tmp_path / "figure.svg")
    assert (tmp_path / "figure.svg").stat().st_size > 5000
    assert (DOCS / "devices" / f"{name}.svg").stat().st_size > 5000


@pytest.mark.parametrize("name", PAGES.REFERENCES)
def test_page_and_figure_without_equation(name: str, tmp_path: Path) -> None:
    """The page says what the module declares; the model's lines agree with the published law, and both move."""
    page = DOCS / "devices" / f"{name}.md"
    assert page.read_text() == PAGES.page(name, models()[name]()), "run make docs-generate"
    found = PAGES.panels(name)
    for panel in found:
        span = max(float(np.ptp(curve.reference)) for curve in panel.curves)
        assert span > 0
        for curve in panel.curves:
            ours = np.interp(curve.at, curve.x, curve.y)
            assert np.abs(ours - curve.reference).max() < panel.tolerance * span, (panel.title, curve.label)
    PAGES.draw_panels(name, found, tmp_path / "figure.svg")
    assert (tmp_path / "figure.svg").stat().st_size > 5000
    assert (DOCS / "devices" / f"{name}.svg").stat().st_size > 5000


def test_every_model_that_moves_has_a_page() -> None:
    ours = {name for name, model in models().items() if model.moves and model.__module__.startswith("cosim.")}
    assert ours == {*PAGES.OURS, *PAGES.REFERENCES}
    assert ours | {"resistor"} == {path.stem for path in (DOCS / "devices").glob("*.md")} | {"resistor"}
