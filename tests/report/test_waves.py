"""``waves.vcd`` read back by a small reader of our own gives the trace's values."""

import math
import re

import pytest

from cosim.records import BusyRecord, Trace
from cosim.report import energy_totals
from cosim.report.waves import waveforms, write_vcd

SCALE = {"us": 10**9, "ns": 10**6, "ps": 10**3, "fs": 1}


def read_vcd(path):
    """Return the time scale [fs], the last time, and ``{path: [(time_fs, value), ...]}``."""
    head, body = path.read_text(encoding="utf-8").split("$enddefinitions $end\n")
    scale = SCALE[re.search(r"\$timescale 1 (\w+) \$end", head).group(1)]
    scopes, variables = [], {}
    for line in head.splitlines():
        words = line.split()
        if words[0] == "$scope":
            scopes.append(words[2])
        elif words[0] == "$upscope":
            scopes.pop()
        elif words[0] == "$var":
            assert words[3] not in variables
            variables[words[3]] = ("/".join([*scopes, words[4]]), words[1])
    assert not scopes
    changes, time = {name: [] for name, _ in variables.values()}, None
    for line in body.splitlines():
        if line.startswith("#"):
            assert time is None or int(line[1:]) > time, "strictly ordered"
            time = int(line[1:])
        elif not line.startswith("$"):
            ident, value = change(line)
            changes[variables[ident][0]].append((time * scale, value))
    return scale, time * scale, changes


def change(line):
    if line[0] in "01":
        return line[1:], int(line[0])
    value, ident = line[1:].split()
    return ident, {"r": float, "b": lambda text: int(text, 2), "s": str}[line[0]](value)


def at(changes, time):
    return [value for when, value in changes if when <= time][-1]


@pytest.fixture
def read(trace, tmp_path):
    write_vcd(tmp_path / "waves.vcd", waveforms(trace))
    return read_vcd(tmp_path / "waves.vcd")


def test_phases(trace, read):
    _, end, changes = read
    assert end == trace.end_fs
    totals = energy_totals(trace)
    for row, energy in zip(trace.phases, totals.phase.tolist(), strict=True):
        tile, kind, start, duration = row[2], row[3], row[5], row[6]
        scope = "tiles/" + "_".join(tile.split())
        middle = start + duration // 2
        assert at(changes[f"{scope}/phase"], middle) == kind
        assert at(changes[f"{scope}/busy"], middle) == 1
        assert at(changes[f"{scope}/power_w"], middle) == pytest.approx(
            energy / (duration * 1e-15), rel=1e-14
        )
    assert at(changes["tiles/positive/phase"], end) == "idle"
    energy = [changes[f"tiles/{name}/energy_j"][-1][1] for name in ("positive", "negative", "a_<b>&c")]
    assert math.fsum(energy) == pytest.approx(totals.total, rel=1e-12)


def test_at_most_one_change_per_variable_and_instant(read):
    for changes in read[2].values():
        times = [time for time, _ in changes]
        assert len(set(times)) == len(times)


def test_pulses_and_busy_units(trace, read):
    _, _, changes = read
    for row in trace.pulses:
        scope = "tiles/" + "_".join(row[3].split())
        assert at(changes[f"{scope}/pulse_v"], row[2] + 1000) == row[7]
        assert (
            at(changes[f"{scope}/pulse_row"], row[2]),
            at(changes[f"{scope}/pulse_column"], row[2]),
        ) == row[4:6]
    units = changes["tiles/positive/adc_busy_units"]
    assert max(value for _, value in units) == 2
    assert units[-1][1] == 0


@pytest.mark.parametrize(("step", "unit"), [(10**9, "us"), (10**6, "ns"), (10**3, "ps"), (1, "fs")])
def test_time_scale_is_the_largest_that_divides(tmp_path, step, unit):
    trace = Trace()
    trace.capacities["adc"] = 1
    trace.busy.append(BusyRecord("adc", 0, 0, "convert", 0, 3 * step, 7 * step))
    trace.end_fs = 7 * step
    write_vcd(tmp_path / "waves.vcd", waveforms(trace))
    scale, end, changes = read_vcd(tmp_path / "waves.vcd")
    assert (scale, end) == (SCALE[unit], 7 * step)
    assert changes["shared/adc_busy_units"] == [(0, 0), (3 * step, 1), (7 * step, 0)]


def test_years_do_not_overflow(make, tmp_path):
    year = 31_557_600 * 10**15
    trace = make(start_fs=10 * year)
    write_vcd(tmp_path / "waves.vcd", waveforms(trace))
    _, end, changes = read_vcd(tmp_path / "waves.vcd")
    assert end == trace.end_fs
    assert changes["tiles/positive/busy"][1][0] == next(iter(trace.phases))[5]


@pytest.mark.parametrize("end", [2**63 - 1, 2**63 + 1, 2**64 + 1])
def test_long_runs_in_odd_femtoseconds_are_exact(tmp_path, end):
    trace = Trace()
    trace.capacities["adc"] = 1
    trace.busy.append(BusyRecord("adc", 0, 0, "convert", 0, 1, end))
    trace.busy.append(BusyRecord("adc", 0, 0, "convert", 0, 0, 1))
    trace.end_fs = end
    assert trace.busy.column("end_fs").tolist() == [end, 1]
    write_vcd(tmp_path / "waves.vcd", waveforms(trace))
    scale, last, changes = read_vcd(tmp_path / "waves.vcd")
    assert (scale, last) == (1, end)
    assert changes["shared/adc_busy_units"] == [(0, 1), (1, 1), (end, 0)]


def test_no_wall_clock_and_empty_trace(tmp_path):
    write_vcd(tmp_path / "waves.vcd", waveforms(Trace()))
    assert "$date" not in (tmp_path / "waves.vcd").read_text()
