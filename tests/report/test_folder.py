import json

from cosim.report import summarize, write_folder
from cosim.report.crosscheck import crosscheck

FILES = {
    "summary.json",
    "manifest.json",
    "scenario.resolved.yaml",
    "trace.json",
    "waves.vcd",
    "report.html",
    "tables",
}


def write(folder, trace, **more):
    summary = summarize(trace, scenario={"name": "n", "sha256": "0" * 64}, seed=7)
    write_folder(folder, trace, summary, manifest={"seed": 7}, resolved_yaml="name: n\n", **more)
    return summary


def test_folder_has_everything(trace, tmp_path):
    summary = write(tmp_path / "out", trace)
    assert {path.name for path in (tmp_path / "out").iterdir()} == FILES
    assert json.loads((tmp_path / "out" / "summary.json").read_text()) == summary
    assert (tmp_path / "out" / "scenario.resolved.yaml").read_text() == "name: n\n"


def test_same_trace_same_bytes_in_every_file(make, tmp_path):
    for name in ("a", "b"):
        write(tmp_path / name, make(seed=9))
    for path in (tmp_path / "a").rglob("*.*"):
        assert path.read_bytes() == (tmp_path / "b" / path.relative_to(tmp_path / "a")).read_bytes()


def test_what_an_earlier_run_left_is_removed(trace, tmp_path):
    tolerances = {"current_relative": 1e-3, "state_absolute": 5e-3, "energy_relative": 1e-2}
    write(tmp_path, trace, gzip=True, crosscheck=crosscheck([], tolerances=tolerances, phases_total=0))
    (tmp_path / "waves.fst").write_text("of an earlier run")
    (tmp_path / "notes.txt").write_text("of a person")
    names = {path.name for path in tmp_path.iterdir()}
    assert {"trace.json.gz", "crosscheck.json"} <= names
    assert "trace.json" not in names
    write(tmp_path, trace)
    assert {path.name for path in tmp_path.iterdir()} == {*FILES, "notes.txt"}


def test_importing_reports_is_cheap():
    import subprocess
    import sys

    code = "import cosim.report, sys; print([m for m in ('pandas', 'jinja2', 'vcd', 'simpy', 'matplotlib') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
