"""The report page in a browser: no network, no complaint, zoom, sort, hover."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cosim.scenario.run import Result

sys.path.insert(0, str(Path(__file__).parent))

from chromium import Browser, left_out

EVERYTHING = "(async () => { for (const place of places) await draw(place); return places.length; })()"
pytestmark = pytest.mark.skipif(left_out(), reason="COSIM_BROWSER=none")


@pytest.fixture(scope="module")
def report(quickstart: tuple[Result, Path]) -> Path:
    return quickstart[1] / "report.html"


@pytest.fixture(scope="module")
def browser(report: Path) -> Iterator[Browser]:
    with Browser() as browser:
        browser.look()
        browser.open(report)
        yield browser


def test_opens_without_network_and_without_complaint(browser: Browser, report: Path) -> None:
    assert browser.value(EVERYTHING) >= 15
    assert browser.value("document.querySelectorAll('.js-plotly-plot').length") >= 15
    asked = [
        url for url in browser.requests if not url.startswith(("data:", "blob:"))
    ]  # pictures within the page
    assert asked == [report.resolve().as_uri()]
    assert browser.complaints == []


def test_the_four_answers_stand_first(browser: Browser) -> None:
    words = browser.value("[...document.querySelectorAll('.answers h2')].map(h => h.textContent)")
    assert words == ["How exact?", "How long?", "How many joules?", "Does SPICE agree?"]
    assert browser.value("document.querySelector('.answers').getBoundingClientRect().bottom + scrollY") < 500


def test_tables_sort_with_mouse_and_keyboard(browser: Browser) -> None:
    column = "[...document.querySelectorAll('#energy ~ .scroll table.sortable td:nth-child(3)')].map(c => Number(c.dataset.value))"
    button = "document.querySelector('#energy ~ .scroll table.sortable th:nth-child(3) button')"
    browser.value(f"{button}.click()")
    values = browser.value(column)
    assert len(values) > 10
    assert values == sorted(values)
    browser.value(f"{button}.focus()")
    for kind in ("keyDown", "keyUp"):
        browser.call(
            "Input.dispatchKeyEvent",
            type=kind,
            key="Enter",
            code="Enter",
            windowsVirtualKeyCode=13,
            text="\r",
        )
    assert browser.value(column) == sorted(values, reverse=True)
    assert browser.value(f"{button}.closest('th').getAttribute('aria-sort')") == "descending"


def test_hover_shows_the_source_of_a_figure(browser: Browser) -> None:
    browser.place("[data-figure=energy]")
    browser.wait("document.querySelector('[data-figure=energy] .bars path') !== null")
    left, top, width, height = browser.place("[data-figure=energy] .bars .point path")
    browser.mouse("mouseMoved", left + width / 2 - 3, top + height / 2)
    browser.mouse("mouseMoved", left + width / 2, top + height / 2)
    browser.wait(
        "document.querySelector('[data-figure=energy] .hoverlayer')?.textContent.includes('source:')"
    )
    text = browser.value("document.querySelector('[data-figure=energy] .hoverlayer').textContent")
    assert "inputs:" in text
    assert "of the total" in text


def test_the_timeline_zooms(browser: Browser) -> None:
    browser.value("draw(timeline.place).then(() => true)")
    whole = browser.value("timeline.range")
    assert browser.value("timeline.place.dataset.exact") == "false"
    left, top, width, height = browser.place("#timeline .nsewdrag")
    start, end, middle = left + 0.4 * width, left + 0.45 * width, top + height / 2
    browser.mouse("mouseMoved", start, middle)
    browser.mouse("mousePressed", start, middle, button="left", clickCount=1)
    for step in range(1, 6):
        browser.mouse("mouseMoved", start + step * (end - start) / 5, middle, button="left")
    browser.mouse("mouseReleased", end, middle, button="left", clickCount=1)
    browser.wait(f"timeline.range[1] - timeline.range[0] < 0.1 * {whole[1]}")
    low, high = browser.value("timeline.range")
    assert low == pytest.approx(0.4 * whole[1], rel=0.02)
    assert high == pytest.approx(0.45 * whole[1], rel=0.02)
    assert browser.value("timeline.place.dataset.exact") == "true"
    assert browser.value("timeline.place.data.reduce((n, trace) => n + trace.x.length, 0)") > 20
    browser.value("document.querySelector('[data-zoom=whole]').click()")
    assert browser.value("timeline.range") == whole
    browser.value("document.querySelector('[data-zoom=in]').click()")
    assert browser.value("timeline.range[1] - timeline.range[0]") == pytest.approx(whole[1] / 2)


def test_the_timeline_holds_what_the_trace_says(browser: Browser, report: Path) -> None:
    """Zoomed in, the intervals on the tracks are those of busy.csv."""
    import pandas as pd

    busy = pd.read_csv(report.parent / "tables" / "busy.csv")
    own = busy[busy.resource == "positive.adc"].sort_values("start_s")
    drawn = browser.value(
        "(t => t.kinds.flatMap(k => [...k.starts].map((s, i) => [s * timeline.packed.tick_s, k.durations[i] * timeline.packed.tick_s])))"
        "(timeline.tracks.find(t => t.name === 'positive.adc'))"
    )
    tick = browser.value("timeline.packed.tick_s")
    assert len(drawn) == len(own)
    for (start, duration), row in zip(sorted(drawn), own.itertuples(), strict=True):
        assert start == pytest.approx(row.start_s, abs=2 * tick)
        assert duration == pytest.approx(row.end_s - row.start_s, abs=2 * tick)


def test_dark_print_and_phone(browser: Browser) -> None:
    browser.look("phone", "dark")
    assert browser.value("css('--paper')") == "#14181d"
    browser.value(EVERYTHING)
    assert browser.value("document.documentElement.scrollWidth") <= 390
    assert (
        browser.value("document.querySelector('[data-figure=energy] .xtick text').style.fill")
        == "rgb(230, 233, 238)"
    )
    browser.value("dispatchEvent(new Event('beforeprint'))")
    assert browser.value("css('--paper')") == "#ffffff"
    browser.value("dispatchEvent(new Event('afterprint'))")
    assert len(browser.call("Page.printToPDF")["data"]) > 50_000
    browser.look()
    assert browser.complaints == []


def test_accessible(browser: Browser) -> None:
    """Every figure has a text, every control a name; contrasts are at least those of WCAG 2.1 AA."""
    assert browser.value(
        "places.every(p => p.getAttribute('role') === 'img' && p.getAttribute('aria-label').length > 10)"
    )
    assert browser.value(
        "[...document.querySelectorAll('button')].every(b => (b.textContent.trim() || b.ariaLabel || b.title || b.dataset.title || '').length > 0)"
    )
    assert browser.value("document.documentElement.lang") == "en"
    for scheme in ("light", "dark"):
        browser.look("desktop", scheme)
        for name in ("--ink", "--soft", "--good", "--bad"):
            for paper in ("--paper", "--tint"):
                assert contrast(browser.value(f"css('{name}')"), browser.value(f"css('{paper}')")) >= 4.5
        for number in range(10):
            assert contrast(browser.value(f"css('--k{number}')"), browser.value("css('--paper')")) >= 3.0
    browser.look()


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio of two colours (WCAG 2.1, relative luminance)."""

    def luminance(colour: str) -> float:
        parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)
