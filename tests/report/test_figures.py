"""What the figures of the page hold: packed arrays, maps in blocks, the timeline's tracks."""

from __future__ import annotations

import base64
import zlib

import numpy as np
import pytest

from cosim.records import BusyRecord, CellOutcome, PulseRecord, Trace
from cosim.report.figures import convergence, heatmap, histogram, packed, scatter, stacked_bars
from cosim.report.tracks import MAX_TRACKS, TICKS, tracks


def unpacked(text):
    values = np.frombuffer(base64.b64decode(text["bdata"]), dtype="<f4")
    return values.reshape([int(side) for side in text["shape"].split(",")]) if "shape" in text else values


def intervals(content):
    """Return (track, kind, start, duration, units) of packed tracks, in fractions of the run."""
    words = np.frombuffer(zlib.decompress(base64.b64decode(content["data"])), dtype="<u4").astype(np.int64)
    found, at = [], 0
    for track in content["tracks"]:
        for kind, count in track["kinds"]:
            starts, durations, units = words[at : at + 3 * count].reshape(3, count)
            at += 3 * count
            found += [
                (track["name"], kind, start / TICKS, duration / TICKS, unit)
                for start, duration, unit in zip(np.cumsum(starts), durations, units, strict=True)
            ]
    assert at == len(words)
    return found


def test_packed_arrays_read_back():
    values = np.random.default_rng(1).normal(size=(3, 5))
    np.testing.assert_allclose(unpacked(packed(values)), values, rtol=1e-6)
    np.testing.assert_allclose(unpacked(packed(values[0])), values[0], rtol=1e-6)


def test_tracks_read_back(trace):
    content = tracks(trace)
    found = intervals(content)
    assert [track["name"] for track in content["tracks"]] == ["operations", *sorted(trace.capacities)]
    expected = sorted(
        (row[0], row[3], row[5] / trace.end_fs, (row[6] - row[5]) / trace.end_fs) for row in trace.busy
    )
    own = sorted(row[:4] for row in found if row[0] != "operations")
    assert [row[:2] for row in own] == [row[:2] for row in expected]
    np.testing.assert_allclose([row[2:] for row in own], [row[2:] for row in expected], atol=3 / TICKS)
    assert not content["joined"]
    assert sum(row[0] == "operations" for row in found) == len(trace.operations)


def test_tracks_of_very_many_intervals_are_joined(monkeypatch):
    monkeypatch.setattr("cosim.report.tracks.MAX_INTERVALS", 100)
    trace = Trace()
    for k in range(1000):  # two bursts without a visible gap inside
        start = k * 10 + (5_000_000 if k >= 500 else 0)
        trace.busy.append(BusyRecord("t.array", 0, 0, "read", start, start, start + 9))
    trace.end_fs = 10_000_000
    content = tracks(trace)
    assert content["joined"]
    found = [row for row in intervals(content) if row[0] == "t.array"]
    assert len(found) == 2
    assert found[0][3] == pytest.approx(4999e-7, rel=1e-3)


def test_more_resources_than_tracks():
    trace = Trace()
    for k in range(MAX_TRACKS + 10):
        trace.busy.append(BusyRecord(f"t{k:03d}.array", 0, 0, "read", 0, 0, 5))
    trace.end_fs = 5
    content = tracks(trace)
    assert len(content["tracks"]) == MAX_TRACKS
    assert content["left_out"] == 11


def test_a_run_of_years_has_a_timeline():
    trace = Trace()
    year = 31_557_600 * 10**15
    trace.busy.append(BusyRecord("t.array", 0, 0, "read", 9 * year, 9 * year, 10 * year))
    trace.end_fs = 10 * year
    ((_, _, start, duration, _),) = intervals(tracks(trace))
    assert (start, duration) == pytest.approx((0.9, 0.1))


def test_maps_above_256_are_means_of_blocks():
    values = np.arange(600 * 3, dtype=float).reshape(600, 3)
    (data,) = heatmap(values, "", "S")["data"]
    shown = unpacked(data["z"])
    assert shown.shape == (200, 3)
    np.testing.assert_allclose(shown[0], values[:3].mean(axis=0))
    assert (data["y0"], data["dy"], data["x0"], data["dx"]) == (1.0, 3, 0.0, 1)
    signed = heatmap(np.array([[-1.0, 3.0]]), "", "", signed=True)["data"][0]
    assert (signed["zmin"], signed["zmax"]) == (-3.0, 3.0)


def test_histogram_counts_everything():
    values = np.random.default_rng(2).normal(size=500)
    for whole, numbers in ((False, values), (True, np.round(10 * values))):
        (data,) = histogram(numbers, "", "", whole=whole)["data"]
        assert sum(data["y"]) == 500
    assert sum(histogram(np.array([]), "", "")["data"][0]["y"]) == 0


def test_scatter_keeps_the_worst():
    exact = np.linspace(0, 1, 5000)
    value = exact.copy()
    value[1234] = 9.0
    points = scatter(exact, value, ("x", "y"), "")["data"][1]
    assert len(unpacked(points["x"])) <= 2000
    assert unpacked(points["y"]).max() == 9.0


def test_stacked_bars_are_sorted():
    figure = stacked_bars(
        {("a", "k"): 1.0, ("b", "k"): 2.0, ("b", "l"): 1.0}, {"k": "--k1"}, {}, "energy", "J"
    )
    assert figure["layout"]["yaxis"]["categoryarray"] == ["a", "b"]
    assert [series["name"] for series in figure["data"]] == ["k", "l"]


def test_convergence_of_two_cells():
    trace = Trace()
    for column, path in enumerate(([1.0, 2.0, 4.0], [3.0])):
        for conductance in path:
            trace.pulses.append(
                PulseRecord(0, 0, 0, "t", 0, column, "w0", 1.0, 1e-9, 0.0, 0.0, 0.0, conductance)
            )
        trace.outcomes.append(
            CellOutcome(0, "t", 0, column, 0.0, path[-1], path[-1], len(path), converged=True)
        )
    inside, median, _, largest = convergence(trace.pulses, trace.outcomes)["data"]
    assert inside["y"] == [0.0, 0.5, 0.5, 1.0]
    assert largest["x"] == [1, 2, 3]
    assert largest["y"] == [3.0, 2.0, 0.0]
    assert median["y"] == [1.5, 2.0, 0.0]
