"""The trace events keep the rules of the format; the checker is written for this test."""

import json
from decimal import Decimal
from itertools import pairwise

import pytest

from cosim.records import BusyRecord, Trace
from cosim.report.timeline import write_timeline


def events_of(path):
    document = json.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)
    assert document["displayTimeUnit"] in ("ns", "ms")
    return document["traceEvents"]


def check(events):
    """Fail where an event breaks the rules; return the complete events by track."""
    processes, threads, tracks, counters = set(), set(), {}, {}
    for event in events:
        assert isinstance(event["pid"], int)
        assert isinstance(event["tid"], int)
        if event["ph"] == "M":
            assert event["name"] in {"process_name", "process_sort_index", "thread_name", "thread_sort_index"}
            if event["name"] == "process_name":
                assert event["pid"] not in processes, "one name per process"
                processes.add(event["pid"])
            if event["name"] == "thread_name":
                assert event["tid"] not in threads, "thread ids are unique over the file"
                threads.add(event["tid"])
        elif event["ph"] == "C":
            assert all(isinstance(value, (int, float, Decimal)) for value in event["args"].values())
            assert event["ts"] >= counters.get(event["pid"], -1), "counters in order"
            counters[event["pid"]] = event["ts"]
        else:
            assert event["ph"] == "X"
            assert event["ts"] >= 0
            assert event["dur"] >= 0
            assert event["tid"] in threads, "a track is named before its first event"
            tracks.setdefault((event["pid"], event["tid"]), []).append(event)
    for track in tracks.values():
        _nested(sorted(track, key=lambda event: (event["ts"], -event["dur"])))
        for before, after in pairwise(track):
            assert before["ts"] + before["dur"] <= after["ts"], "no overlap on a track"
    return tracks


def _nested(ordered):
    stack = []
    for event in ordered:
        while stack and stack[-1] <= event["ts"]:
            stack.pop()
        end = event["ts"] + event["dur"]
        assert not stack or end <= stack[-1], "an event ends within the one around it"
        stack.append(end)


def names(events, kind):
    return {event["args"]["name"] for event in events if event["name"] == kind}


def test_rules_and_contents(trace, tmp_path):
    write_timeline(tmp_path / "trace.json", trace)
    events = events_of(tmp_path / "trace.json")
    tracks = check(events)
    complete = [event for track in tracks.values() for event in track]
    assert len(complete) == len(trace.busy) + len(trace.operations)
    assert names(events, "process_name") == {"program", "tile positive", "tile negative", "tile a <b>&c"}
    assert names(events, "thread_name") >= {"operations", "array", "adc 0", "adc 1", "sequencer", "dac 3"}


def test_times_are_exact_microseconds(trace, tmp_path):
    write_timeline(tmp_path / "trace.json", trace)
    phases = [event for event in events_of(tmp_path / "trace.json") if "phase" in event.get("args", {})]
    for event, row in zip(phases, trace.phases, strict=True):
        assert event["ts"] * 10**9 == row[5]
        assert event["dur"] * 10**9 == row[6]
        assert event["name"] == row[3]


def test_power_counter_returns_to_zero(trace, tmp_path):
    write_timeline(tmp_path / "trace.json", trace)
    counters = [event for event in events_of(tmp_path / "trace.json") if event["ph"] == "C"]
    last = {event["pid"]: event["args"]["W"] for event in counters}
    assert len(last) == 3
    assert set(last.values()) == {Decimal("0.0")}
    assert max(event["args"]["W"] for event in counters) > 0


def test_overlapping_intervals_of_a_unit_get_lanes(tmp_path):
    trace = Trace()
    trace.capacities["adc"] = 1
    for start in (0, 50, 100, 120):
        trace.busy.append(BusyRecord("adc", 0, 0, "convert", 0, start, start + 100))
    write_timeline(tmp_path / "trace.json", trace)
    events = events_of(tmp_path / "trace.json")
    tracks = check(events)
    assert sum(len(track) for track in tracks.values()) == 4
    assert names(events, "process_name") == {"program", "shared"}
    assert names(events, "thread_name") == {"operations", "adc", "adc lane 1", "adc lane 2"}


def test_tiles_named_like_our_own_processes(make, tmp_path):
    trace = Trace()
    trace.capacities.update({"program.adc": 1, "shared.adc": 1, "adc": 1})
    for resource in trace.capacities:
        trace.busy.append(BusyRecord(resource, 0, 0, "convert", 0, 0, 100))
    write_timeline(tmp_path / "trace.json", trace)
    events = events_of(tmp_path / "trace.json")
    check(events)
    assert names(events, "process_name") == {"program", "shared", "tile program", "tile shared"}


@pytest.mark.parametrize("name", ["trace.json"])
def test_empty_trace_is_a_valid_file(tmp_path, name):
    write_timeline(tmp_path / name, Trace())
    assert check(events_of(tmp_path / name)) == {}
