"""A checker of the rules of the trace-event format ("Trace Event Format", Google, 2016), written for the tests."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from decimal import Decimal
from itertools import pairwise


def events_of(path):
    text = path.read_bytes()
    document = json.loads(gzip.decompress(text) if path.suffix == ".gz" else text, parse_float=Decimal)
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
        elif event["ph"] in "stf":
            assert event["name"]
            assert event["cat"], "flow events of one flow share category and name"
        else:
            assert event["ph"] == "X"
            assert event["ts"] >= 0
            assert event["dur"] >= 0
            assert event["tid"] in threads, "a track is named before its first event"
            tracks.setdefault((event["pid"], event["tid"]), []).append(event)
    for track in tracks.values():
        nested(sorted(track, key=lambda event: (event["ts"], -event["dur"])))
        for before, after in pairwise(track):
            assert before["ts"] + before["dur"] <= after["ts"], "no overlap on a track"
    return tracks


def nested(ordered):
    """Fail where an event ends after one that it began within."""
    stack = []
    for event in ordered:
        while stack and stack[-1] <= event["ts"]:
            stack.pop()
        end = event["ts"] + event["dur"]
        assert not stack or end <= stack[-1], "an event ends within the one around it"
        stack.append(end)


def flows(events, tracks):
    """Fail where a flow breaks the rules; return the slices that each flow goes through, by its id.

    A flow has one start, any number of steps, one end (``bp: e``), in order of time, and each is bound to the slice of its
    track that is open at its instant.
    """
    chains = {}
    for event in events:
        if event["ph"] in "stf":
            chains.setdefault(event["id"], []).append(event)
    found = {}
    for number, chain in chains.items():
        count = Counter(event["ph"] for event in chain)
        assert count["s"] == 1
        assert count["f"] == 1
        chain.sort(key=lambda event: (event["ts"], "stf".index(event["ph"])))
        assert [event["ph"] for event in chain] == ["s", *"t" * count["t"], "f"], "start, steps, end"
        assert chain[-1]["bp"] == "e", "the end is bound to the slice around it"
        assert len({(event["name"], event["cat"]) for event in chain}) == 1
        found[number] = [around(tracks[event["pid"], event["tid"]], event["ts"]) for event in chain]
    return found


def around(track, instant):
    """Return the slice of a track that is open at an instant (the last one that begins at or before it)."""
    low, high = 0, len(track)
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if track[middle]["ts"] <= instant else (low, middle)
    slice_ = track[low - 1]
    assert slice_["ts"] <= instant <= slice_["ts"] + slice_["dur"], "bound to a slice"
    return slice_
