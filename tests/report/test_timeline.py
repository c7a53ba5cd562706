"""The trace events keep the rules of the format."""

from decimal import Decimal

import pytest
from trace_events import check, events_of, flows

from cosim.records import BusyRecord, PhaseRecord, Trace
from cosim.report.timeline import write_timeline


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


def test_flows_of_phases(trace, tmp_path):
    write_timeline(tmp_path / "trace.json", trace)
    events = events_of(tmp_path / "trace.json")
    found = flows(events, check(events))
    assert set(found) == {row[0] for row in trace.phases}
    for row in trace.phases:
        operation, phase = found[row[0]][:2]
        assert operation["args"]["operation"] == row[1]
        assert phase["args"]["phase"] == row[0]


def test_times_are_exact_microseconds(trace, tmp_path):
    write_timeline(tmp_path / "trace.json", trace)
    phases = [event for event in events_of(tmp_path / "trace.json") if "phase" in event.get("args", {})]
    for event, row in zip(phases, trace.phases, strict=True):
        row = PhaseRecord(*row)
        assert event["ts"] * 10**9 == row[5]
        assert event["dur"] * 10**9 == row[6]
        assert event["name"] == row[3]
        assert event["args"]["duration_from"] == row.duration_from


def test_compressed_events_are_the_same_and_the_same_bytes(make, tmp_path):
    for name in ("trace.json", "trace.json.gz", "again.json.gz"):
        write_timeline(tmp_path / name, make(seed=5))
    packed = tmp_path / "trace.json.gz"
    assert events_of(packed) == events_of(tmp_path / "trace.json")
    assert packed.read_bytes() == (tmp_path / "again.json.gz").read_bytes()
    assert packed.stat().st_size < (tmp_path / "trace.json").stat().st_size / 5


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
