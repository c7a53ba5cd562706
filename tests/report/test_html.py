"""The page: well formed, self-contained, escaped, and small for a long run."""

import json
import re
from html.parser import HTMLParser

import pytest

from cosim.records import Trace
from cosim.report import summarize
from cosim.report.crosscheck import crosscheck
from cosim.report.html import render

VOID = {"meta", "rect", "path", "circle", "br", "link", "img"}
TOLERANCES = {"current_relative": 1e-3, "state_absolute": 5e-3, "energy_relative": 1e-2}


class Page(HTMLParser):
    """Collects ids, headings and texts, and fails on tags that do not close in order."""

    def __init__(self, text):
        super().__init__()
        self.stack, self.ids, self.headings, self.attributes, self.tags = [], [], [], [], []
        self.feed(text)
        self.close()
        assert self.stack == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, *pair) for pair in attrs]
        self.ids += [value for name, value in attrs if name == "id"]
        if tag not in VOID:
            self.stack.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, *pair) for pair in attrs]

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.stack.pop() == tag

    def handle_data(self, data):
        if self.stack and self.stack[-1] == "h2":
            self.headings.append(data)


def page_of(trace, **more):
    summary = summarize(trace, scenario={"name": "a <b> & c", "sha256": "0" * 64}, seed=7)
    manifest = {"versions": {"cosim": "0.1.0", "<x>": "&"}}
    return render(
        trace, summary, manifest=manifest, resolved_yaml="name: <script>alert(1)</script>\n", **more
    )


def check_of():
    rows = [
        {"phase": k, "operation": 0, "tile": "<t>", "kind": "read", "current_relative": 1e-6 * k, "state_absolute": 0.0,
         "energy_gap_j": 0.0, "energy_j": 1e-12, "largest_current_a": 1e-6, "behavioral_wall_s": 1.0,
         "ngspice_wall_s": 2.0}
        for k in range(3)
    ]  # fmt: skip
    return crosscheck(
        rows, tolerances=TOLERANCES, phases_total=9, free_running={"phases": 200, "worst": {"x": 1e-5}}
    )


def test_sections_and_structure(trace):
    page = Page(own(page_of(trace)))
    assert page.headings[:4] == ["How exact?", "How long?", "How many joules?", "Does SPICE agree?"]
    assert {
        "energy",
        "time",
        "operations",
        "programming",
        "reads",
        "scenario",
        "versions",
        "warnings",
    } <= set(page.ids)
    assert len(set(page.ids)) == len(page.ids)


def test_everything_is_escaped(trace):
    text = own(page_of(trace, crosscheck=check_of()))
    assert "<script>alert" not in text
    assert "a &lt;b&gt; &amp; c" in text
    for raw in ("a <b>&c", "<sentence>", "<solved>", "<t>"):
        assert raw not in text


def own(text):
    """Return the page without the plotting library."""
    start, end = text.index("/**\n* plotly.js"), text.rindex("</script>\n<script>")
    assert end - start > 1_000_000
    return text[:start] + text[end:]


def figures_of(text):
    return json.loads(re.search(r'id="figures">(.*?)</script>', text, re.DOTALL)[1])


def test_nothing_is_loaded_from_anywhere(trace):
    text = own(page_of(trace, crosscheck=check_of()))
    assert not re.search(r"https?:|\s//[a-z]", text.replace("<!--", ""))
    page = Page(text)
    assert not [entry for entry in page.attributes if entry[1] in ("src", "href", "action", "srcset")]
    policy = next(
        value for tag, name, value in page.attributes if name == "content" and "default-src" in value
    )
    assert policy.startswith("default-src 'none'")
    assert "http" not in policy


def test_figures_have_labels_and_tables_have_headers(trace):
    text = page_of(trace, crosscheck=check_of())
    places = re.findall(r"<div [^>]*data-figure[^>]*>", text)
    assert len(places) >= 10
    for place in places:
        assert 'role="img"' in place
        assert re.search(r'aria-label="[^"]{10,}"', place)
    assert {re.search(r'data-figure="(\w+)"', place)[1] for place in places} == set(figures_of(text)) - {
        "kinds"
    }
    for table in re.findall(r"<table.*?</table>", text, re.DOTALL):
        assert "<th" in table


def test_figures_show_formula_inputs_and_source(trace):
    text = page_of(trace)
    assert "the network &amp; its equations" in text
    assert "count * energy" in text
    hints = [hint for series in figures_of(text)["energy"]["data"] for hint in series["customdata"]]
    assert any(
        "source: the network &amp; its equations" in hint and "inputs: R: &lt;solved&gt;" in hint
        for hint in hints
    )


def test_energy_bars_are_the_summary(trace):
    summary = summarize(trace, scenario={"name": "a", "sha256": "0" * 64}, seed=7)
    totals = {}
    for series in figures_of(page_of(trace))["energy"]["data"]:
        for name, value in zip(series["y"], series["x"], strict=True):
            totals[name] = totals.get(name, 0.0) + value
    assert totals == pytest.approx(summary["energy"]["by_component_j"], rel=1e-12)


def test_crosscheck_is_told(trace):
    assert "Not asked" in page_of(trace)
    text = page_of(trace, crosscheck=check_of())
    assert ">Yes<" in text
    assert "3 of 9 phases checked" in text


def test_empty_trace():
    Page(own(page_of(Trace())))


def test_no_numbers_went_wrong(trace):
    text = own(page_of(trace))
    assert not re.search(r'"[^"]*\b(nan|inf)\b[^"]*"', text)


def test_page_of_a_longer_run_hardly_grows(make):
    trace = make(tiles=4, rows=8, columns=8, pulses=40, vectors=400)
    assert len(trace.phases) > 1e4
    text = page_of(trace)
    assert len(own(text)) < 1_500_000
    assert re.search(r"(19|20)\d\d of 3200 points shown", text)
