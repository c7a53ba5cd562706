"""``waves.fst`` read back by the library's reader holds what another reader finds in ``waves.vcd``."""

import importlib.util
from pathlib import Path

import pytest
from fst_reader import read_fst
from vcd.reader import TokenKind, tokenize
from vcdvcd import VCDVCD

from cosim.errors import InputError
from cosim.records import BusyRecord, Trace
from cosim.report.fst import write_fst
from cosim.report.waves import waveforms, write_vcd
from cosim.scenario.load import load
from cosim.scenario.run import run

ROOT = Path(__file__).parents[2]
PARSE = {
    "wire": lambda text: int(text, 2),
    "integer": lambda text: int(text, 2),
    "real": float,
    "string": str,
}


needs_library = pytest.mark.skipif(
    importlib.util.find_spec("pylibfst") is None, reason="pylibfst has no wheel for this platform"
)


def string_changes(path):
    """Return ``{path: [(tick, text), ...]}`` of the string variables, by pyvcd's reader: vcdvcd passes over them.

    VCD escapes a space; FST has no need to.
    """
    scopes, names, changes, now = [], {}, {}, 0
    with path.open("rb") as stream:
        for token in tokenize(stream):
            if token.kind is TokenKind.SCOPE:
                scopes.append(token.scope.ident)
            elif token.kind is TokenKind.UPSCOPE:
                scopes.pop()
            elif token.kind is TokenKind.VAR:
                names[token.var.id_code] = ".".join([*scopes, token.var.reference])
            elif token.kind is TokenKind.CHANGE_TIME:
                now = token.time_change
            elif token.kind is TokenKind.CHANGE_STRING:
                change = token.string_change
                changes.setdefault(names[change.id_code], []).append(
                    (now, change.value.replace("\\x20", " "))
                )
    return changes


def same(fst, vcd):
    """Assert that both files hold the same, and return the number of changes."""
    found, waves = read_fst(fst), VCDVCD(str(vcd))
    assert f"{waves.timescale['timescale']:.0e}" == f"1e{found.exponent:03d}"
    assert (found.start, found.end) == (0, waves.endtime)
    assert set(found.changes) == set(waves.signals)
    texts = string_changes(vcd)
    for name, (kind, changes) in found.changes.items():
        assert waves[name].var_type == kind
        read = texts[name] if kind == "string" else [(t, PARSE[kind](text)) for t, text in waves[name].tv]
        assert changes == read, name
    return sum(len(changes) for _, changes in found.changes.values())


@needs_library
@pytest.mark.parametrize("name", ["converter_settled", "converter_first_come"])
def test_of_runs(name, tmp_path):
    folder = run(load(ROOT / "scenarios" / f"{name}.yaml")).save(tmp_path, fst=True)
    assert same(folder / "waves.fst", folder / "waves.vcd") > 20


@needs_library
def test_of_a_run_with_pulses(quickstart, tmp_path):
    result, folder = quickstart
    found = waveforms(result.trace)
    write_fst(tmp_path / "waves.fst", found)
    assert same(tmp_path / "waves.fst", folder / "waves.vcd") > 100
    assert {signal.var_type for signal in found.signals} == set(PARSE)


@needs_library
def test_of_the_command_line(cli, tmp_path):
    answer = cli("run", "scenarios/quickstart.yaml", "--fst", "--quiet", "--out", tmp_path / "out")
    assert (answer.code, answer.err) == (0, "")
    assert same(tmp_path / "out" / "waves.fst", tmp_path / "out" / "waves.vcd") > 100


@needs_library
def test_odd_names_and_many_tiles(trace, tmp_path):
    found = waveforms(trace)
    write_fst(tmp_path / "waves.fst", found)
    write_vcd(tmp_path / "waves.vcd", found)
    assert same(tmp_path / "waves.fst", tmp_path / "waves.vcd") > 20
    assert not [path.name for path in tmp_path.iterdir() if path.name not in ("waves.fst", "waves.vcd")]


@needs_library
def test_same_trace_same_bytes(make, tmp_path):
    for name in ("a", "b"):
        write_fst(tmp_path / name, waveforms(make(seed=9)))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert read_fst(tmp_path / "a").date == ""


def long(end_fs):
    trace = Trace()
    trace.capacities["adc"] = 1
    trace.busy.append(BusyRecord("adc", 0, 0, "convert", 0, 1, end_fs))
    trace.end_fs = end_fs
    return waveforms(trace)


@needs_library
def test_time_up_to_64_bits(tmp_path):
    write_fst(tmp_path / "waves.fst", long(2**64 - 1))
    found = read_fst(tmp_path / "waves.fst")
    assert (found.exponent, found.end) == (-15, 2**64 - 1)
    assert found.changes["shared.adc_busy_units"][1] == [(0, 0), (1, 1), (2**64 - 1, 0)]


@needs_library
def test_longer_time_is_refused(tmp_path):
    with pytest.raises(
        InputError, match=r"^waves\.fst: the run ends at 18446744073709551616 fs, .* use waves\.vcd$"
    ):
        write_fst(tmp_path / "waves.fst", long(2**64))
    assert not list(tmp_path.iterdir())


def test_without_pylibfst_is_refused(cli, tmp_path, monkeypatch):
    """Before anything is run."""
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "pylibfst" else find(name))
    answer = cli("run", "scenarios/quickstart.yaml", "--fst", "--out", tmp_path / "out")
    assert answer.code == 2
    assert answer.err == (
        "FST waveforms need pylibfst, which is not installed; install it with: pip install 'cosim-crossbar[fst]'\n"
    )
    assert not (tmp_path / "out").exists()
    doctor = cli("doctor")
    assert "pip install 'cosim-crossbar[fst]'" in " ".join(doctor.out.split())
