"""Figures: what they draw is what the solver and the trace say, axes have units, files are vectors."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest

import cosim
from cosim import plot
from cosim.crossbar import solve
from cosim.errors import CrossbarError, InputError
from cosim.records import Trace

mpl.use("svg")

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "plots.md"
_BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.fixture(autouse=True)
def _closed():
    import matplotlib.pyplot as plt

    yield
    plt.close("all")


@pytest.fixture(scope="module")
def result():
    return cosim.run(cosim.load(ROOT / "tests" / "scenario" / "malformed" / "base.yaml"))


def test_branch_currents_obey_kirchhoff():
    solution = solve(
        np.random.default_rng(1).uniform(1e-5, 1e-4, (5, 4)), np.full(5, 0.2), r_word_line=9.0, r_bit_line=4.0
    )
    ax = plot.crossbar(solution)
    wires, spots = ax.collections
    current = wires.get_array()
    assert len(current) == len(wires.get_segments()) == 3 * 20
    np.testing.assert_allclose(current[:20].reshape(5, 4)[:, 0], solution.word_line_current, rtol=1e-6)
    np.testing.assert_allclose(current[20:40].reshape(5, 4)[-1], solution.bit_line_current, rtol=1e-6)
    drop = 0.2 - 9.0 * current[:20].reshape(5, 4)[:, 0]
    np.testing.assert_allclose(spots.get_array()[:20].reshape(5, 4)[:, 0], drop, rtol=1e-6)
    labels = [axis.get_ylabel() for axis in ax.figure.axes]
    assert {"node voltage", "branch current"} <= set(labels)


def test_crossbar_refuses_what_it_cannot_draw():
    batch = solve(np.full((2, 2), 1e-4), np.full((3, 2), 0.1), r_word_line=1.0, r_bit_line=1.0)
    with pytest.raises(CrossbarError, match="takes one read of an array of at most 64 x 64 cells"):
        plot.crossbar(batch)


def test_energy_bars_add_up(result):
    ax = result.plot.energy()
    total = sum(bar.get_width() for bar in ax.patches)
    assert total == pytest.approx(result.summary["energy"]["total_j"], rel=1e-6)
    assert ax.get_xlabel() == "energy"


def test_timeline_shows_its_part_of_the_run(result):
    end = result.summary["time"]["end_s"]
    ax = result.plot.timeline(start=0.25 * end, end=0.75 * end)
    for spans in ax.collections:
        for path in spans.get_paths():
            assert path.vertices[:, 0].min() >= 0.25 * end * (1 - 1e-9)
    assert {label.get_text() for label in ax.get_yticklabels()} == {
        "t.adc",
        "t.array",
        "t.dac",
        "t.sequencer",
    }
    with pytest.raises(InputError, match="end must be after start"):
        result.plot.timeline(start=1.0, end=0.5)


def test_cells_and_pulses(result):
    image = result.plot.cells("t").images[0].get_array()
    np.testing.assert_allclose(image, result.trace.maps["t"]["conductance_after_s"])
    pulse = next(iter(result.trace.pulses))
    drawn = result.plot.pulses(*pulse[3:6]).lines[0].get_ydata()
    assert drawn[0] == pulse[11]
    assert drawn[1] == pulse[12]
    with pytest.raises(InputError, match="there is no map 'x' of tile 't'; there is t: conductance_before_s"):
        result.plot.cells("t", "x")
    with pytest.raises(InputError, match=r"cell \(9, 9\) of tile 't' had no pulse"):
        result.plot.pulses("t", 9, 9)
    with pytest.raises(InputError, match="the run has no read"):
        plot.read_errors(Trace())


def test_loop_and_logarithm():
    time = np.linspace(0, 1, 200)
    voltage = np.sin(2 * np.pi * time)
    ax = plot.iv_loop(voltage, voltage * (1 + time) * 1e-3, label="a")
    assert len(ax.texts) == 2
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("voltage", "current")
    assert plot.iv_loop(voltage, voltage, logarithmic=True).get_yscale() == "log"


def test_dataset(result):
    pytest.importorskip("xarray")
    dataset = result.dataset()
    np.testing.assert_allclose(
        dataset["conductance_after_s"].sel(tile="t"), result.trace.maps["t"]["conductance_after_s"]
    )
    assert dataset["conductance_after_s"].attrs["units"] == "S"
    read = result.summary["operations"][1]
    np.testing.assert_allclose(dataset["value"].sel(operation=1).values.ravel(), read["values"])
    np.testing.assert_allclose(dataset["ideal"].sel(operation=1).values.ravel(), read["ideal"])


def test_notebook_representation(result):
    text = result._repr_html_()
    ET.fromstring(text)
    for words in ("base", "How exact", "How long", "How many joules"):
        assert words in text


def test_gallery(monkeypatch: pytest.MonkeyPatch) -> None:
    """The page's code makes its pictures: vectors with text, of the same figures that the page shows."""
    pytest.importorskip("xarray")
    monkeypatch.chdir(ROOT)
    page, names = PAGE.read_text(encoding="utf-8"), {"__name__": "gallery"}
    with mpl.rc_context():
        for block in _BLOCK.findall(page):
            exec(compile(block, str(PAGE), "exec"), names)
    shown = re.findall(r"!\[[^\]]+\]\(gallery/(plot-\w+\.svg)\)", page)
    assert len(shown) == 8
    for name in shown:
        for folder in (ROOT / "out" / "gallery", ROOT / "docs" / "gallery"):
            drawing = ET.parse(folder / name)
            texts = [node.text for node in drawing.iter() if node.tag.endswith("}text")]
            assert texts, "text stays text"
            assert not [node for node in drawing.iter() if node.tag.endswith("}image") and "plot-map" not in name and "plot-drop" not in name
                        and "plot-crossbar" not in name]  # fmt: skip
