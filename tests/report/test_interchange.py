"""``trace.json`` and ``waves.vcd`` of real runs, read by others: the rules hold, and the values are the trace's.

The VCD is read by vcdvcd, which shares no code with the writer (pyvcd and our own).
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from trace_events import check, events_of, flows
from vcdvcd import VCDVCD

from cosim.report.totals import energy_totals
from cosim.scenario.load import load
from cosim.scenario.run import run
from cosim.units import seconds

ROOT = Path(__file__).parents[2]
SCENARIOS = ("quickstart", "converter_settled", "converter_first_come")
"""Write and read on two tiles; early strobes with one ADC; a bank that tiles share."""


@pytest.fixture(scope="module", params=SCENARIOS)
def saved(request, tmp_path_factory):
    if request.param == "quickstart":
        result, folder = request.getfixturevalue("quickstart")
        return result.trace, folder
    result = run(load(ROOT / "scenarios" / f"{request.param}.yaml"))
    return result.trace, result.save(tmp_path_factory.mktemp(request.param))


def test_trace_events_keep_the_rules(saved):
    trace, folder = saved
    events = events_of(folder / "trace.json")
    tracks = check(events)
    labels = [
        (event["pid"], event["args"]["name"])
        for event in events
        if event["ph"] == "M" and event["name"] == "thread_name"
    ]
    assert len(set(labels)) == len(labels), "one track per unit of a resource"
    assert not [label for _, label in labels if "lane" in label]
    assert sum(len(track) for track in tracks.values()) == len(trace.operations) + len(trace.busy)


def test_flows_go_from_operation_to_phase_to_conversion(saved):
    trace, folder = saved
    events = events_of(folder / "trace.json")
    found = flows(events, check(events))
    rows = list(trace.phases)
    assert sorted(found) == [row[0] for row in rows]
    banks = {resource for resource in trace.capacities if resource.rpartition(".")[2] == "adc"}
    asked = {(row[2], row[4]) for row in trace.busy if row[0] in banks}
    for row in rows:
        operation, phase, *conversion = found[row[0]]
        assert operation["args"]["operation"] == row[1]
        assert phase["args"]["phase"] == row[0]
        assert len(conversion) == ((row[1], row[5] + row[6]) in asked)
        assert all(slice_["name"] == "convert" for slice_ in conversion)
    assert any(len(chain) == 3 for chain in found.values())


def test_power_counters_integrate_to_the_energy_of_the_phases(saved):
    trace, folder = saved
    totals = energy_totals(trace)
    process = {
        event["args"]["name"]: event["pid"]
        for event in events_of(folder / "trace.json")
        if event["ph"] == "M" and event["name"] == "process_name"
    }
    for tile in sorted(set(trace.phases.column("tile").tolist())):
        counters = [
            (float(event["ts"]) * 1e-6, float(event["args"]["W"]))
            for event in events_of(folder / "trace.json")
            if event["ph"] == "C" and event["pid"] == process[f"tile {tile}"]
        ]
        joules = sum(power * (after - now) for (now, power), (after, _) in pairwise(counters))
        own = trace.phases.column("tile") == tile
        assert joules == pytest.approx(float(totals.phase[own].sum()), rel=1e-6)


def test_waves_read_by_another_reader_are_the_trace(saved):
    trace, folder = saved
    waves = VCDVCD(str(folder / "waves.vcd"))
    scale = int(waves.timescale["timescale"] * 10**15)
    totals = energy_totals(trace)

    def signal(name):
        return {time * scale: value for time, value in waves[name].tv}

    powers = {}
    for row, energy in zip(trace.phases, totals.phase.tolist(), strict=True):
        powers.setdefault(row[2], []).append((row[5], row[6], energy))
    for tile, phases in powers.items():
        power, busy = signal(f"tiles.{tile}.power_w"), signal(f"tiles.{tile}.busy")
        for start, duration, energy in phases:
            assert float(power[start]) == energy / seconds(duration)
            if start in busy:
                assert busy[start] == "1"
        end = max(start + duration for start, duration, _ in phases)
        assert float(power[end]) == 0.0
        energy = [float(value) for _, value in waves[f"tiles.{tile}.energy_j"].tv]
        own = trace.phases.column("tile") == tile
        assert energy[-1] == pytest.approx(float(totals.booked[own].sum()), rel=1e-12)
        assert energy == sorted(energy) or min(totals.booked) < 0
    for row in trace.pulses:
        tile, start = row[3], row[2]
        assert float(signal_at(waves, f"tiles.{tile}.pulse_v", start, scale)) == row[7]
        assert int(signal_at(waves, f"tiles.{tile}.pulse_row", start, scale), 2) == row[4]
        assert int(signal_at(waves, f"tiles.{tile}.pulse_column", start, scale), 2) == row[5]


def signal_at(waves, name, instant, scale):
    """Return the value of a signal at an instant [fs]."""
    return waves[name][instant // scale]


def test_busy_units_read_by_another_reader(saved):
    trace, folder = saved
    waves = VCDVCD(str(folder / "waves.vcd"))
    scale = int(waves.timescale["timescale"] * 10**15)
    for resource in trace.capacities:
        tile, _, name = resource.rpartition(".")
        path = f"tiles.{tile}.{name}_busy_units" if tile else f"shared.{name}_busy_units"
        rows = [row for row in trace.busy if row[0] == resource]
        area = sum((row[6] - row[5]) * row[8] for row in rows)
        changes = [(time * scale, int(value, 2)) for time, value in waves[path].tv]
        read = sum(value * (after - now) for (now, value), (after, _) in pairwise(changes))
        assert read == area
        assert max((value for _, value in changes), default=0) <= trace.capacities[resource]
