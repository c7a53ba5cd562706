"""The page of a run of 100 000 phases: small, quickly open, silent, and zoomable to single intervals."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
import pytest

from cosim.scenario.load import load
from cosim.scenario.run import run

sys.path.insert(0, str(Path(__file__).parent))

from chromium import Browser, left_out

ROOT = Path(__file__).parents[2]
VECTORS = 49_700
pytestmark = [pytest.mark.acceptance, pytest.mark.skipif(left_out(), reason="COSIM_BROWSER=none")]


@pytest.mark.timeout(1800)
def test_a_hundred_thousand_phases(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "dct8.csv").write_text((ROOT / "scenarios" / "data" / "dct8.csv").read_text())
    np.savetxt(
        data / "digits_rows.csv", np.random.default_rng(0).random((VECTORS, 8)), delimiter=",", fmt="%.3f"
    )
    (tmp_path / "long.yaml").write_text((ROOT / "scenarios" / "quickstart.yaml").read_text())
    result = run(load(tmp_path / "long.yaml"))
    assert result.summary["time"]["phases"] >= 100_000
    page = result.save(tmp_path / "out") / "report.html"
    megabytes = page.stat().st_size / 1e6
    with Browser() as browser:
        browser.look()
        began = time.monotonic()
        loaded = browser.open(page)
        browser.wait("document.querySelector('[data-figure=energy] .bars path') !== null")
        seen = time.monotonic() - began
        drawn = time.monotonic()
        assert (
            browser.value(
                "(async () => { for (const place of places) await draw(place); return places.length; })()"
            )
            >= 15
        )
        everything = time.monotonic() - drawn
        browser.value(
            "timeline.show([timeline.packed.end * 0.5, timeline.packed.end * 0.5001]).then(() => true)"
        )
        assert browser.value("timeline.place.dataset.exact") == "true"
        assert browser.value("timeline.place.data.reduce((n, trace) => n + trace.x.length, 0)") > 10
        asked = [url for url in browser.requests if not url.startswith(("data:", "blob:"))]
        assert asked == [page.resolve().as_uri()]
        assert browser.complaints == []
    phases, intervals = result.summary["time"]["phases"], len(result.trace.busy)
    sys.stdout.write(f"\nreport of {phases} phases with {intervals} intervals\n")
    for what, value, bar in (
        ("size [MB]", megabytes, 10),
        ("load event [s]", loaded, 3),
        ("first figure [s]", seen, 3),
    ):
        sys.stdout.write(f"{what}: {value:.2f} (bar {bar}): {'met' if value < bar else 'missed'}\n")
    sys.stdout.write(f"all figures, as if one had scrolled through the page [s]: {everything:.2f}\n")
    assert megabytes < 10
    assert loaded < 3
    assert seen < 3
