"""Runs of small scenarios: results, result folders, faults of ngspice, no ngspice at all."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import cosim
from cosim.backends.ngspice import NgspiceBackend
from cosim.devices import DeviceModel, registry
from cosim.errors import PhaseError, ScenarioError, SpiceConvergenceError
from cosim.spice.machine import probe
from cosim.terminal import Watch

GOOD = (Path(__file__).parent / "malformed" / "base.yaml").read_text()
READ = "  - read: {tiles: [t], inputs: [[1, 0.5], [0.25, 1]]}\n"
TO_SPICE = "  - backend: {tiles: [t], to: ngspice}\n"
MANY = "  - read: {tiles: [t], inputs: [" + ", ".join("[1, 0.5]" for _ in range(40)) + "]}\n"
FILES = {
    "summary.json", "manifest.json", "scenario.resolved.yaml", "trace.json", "waves.vcd", "report.html", "tables",
}  # fmt: skip


def write(folder: Path, text: str) -> Path:
    file = folder / "s.yaml"
    file.write_text(text)
    return file


def test_result_folder(tmp_path: Path) -> None:
    result = cosim.run(cosim.load(write(tmp_path, GOOD)))
    result.save(tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").iterdir()} == FILES
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary == json.loads(json.dumps(result.summary))
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["completed"] is True
    assert manifest["seed"] == 3
    assert manifest["backends"] == [{"backend": "behavioral", "fidelity": "resistive"}]
    assert summary["scenario"]["sha256"] == manifest["scenario"]["sha256"]
    assert (tmp_path / "out" / "report.html").read_text().lstrip().lower().startswith("<!doctype html>")


def test_a_second_run_replaces_the_first(tmp_path: Path, cli) -> None:
    file = write(tmp_path, GOOD)
    assert cli("run", file, "--out", tmp_path / "out").code == 0
    first = (tmp_path / "out" / "summary.json").read_bytes()
    assert cli("run", file, "--out", tmp_path / "out", "--seed", 9).code == 0
    assert (tmp_path / "out" / "summary.json").read_bytes() != first


def test_start_from_a_measured_map(tmp_path: Path) -> None:
    """A read without any pulse: the product of the map itself, within the converters' codes."""
    (tmp_path / "map.csv").write_text("1e-6,2e-6\n3e-6,40e-6\n")
    text = GOOD.split("program:")[0].replace(
        "{model: mss, r_on: 100 kohm, r_off: 1000 kohm, v_on: 0.6 V, v_off: 0.6 V, tau: 10 us}",
        "{model: resistor}",
    )
    text = text.replace("{backend: behavioral}", "{conductance: map.csv}") + "program:\n" + READ
    text = text.replace("{kind: 1T1R, access_resistance: 5 kohm}", "{kind: 1R}")
    result = cosim.run(cosim.load(write(tmp_path, text), ["hardware.adc.bits=16", "hardware.dac.bits=16"]))
    read = result.summary["operations"][0]
    assert read["unit"] == "A"
    g = np.array([[1e-6, 2e-6], [3e-6, 40e-6]])
    exact = 0.2 * np.array([[1, 0.5], [0.25, 1]]) @ g
    assert np.allclose(np.reshape(read["ideal"], (2, 2)), exact, rtol=1e-12)
    assert np.allclose(np.reshape(read["values"], (2, 2)), exact, rtol=1e-2)
    assert len(result.trace.pulses) == 0
    result.save(tmp_path / "out")
    assert (tmp_path / "out" / "inputs" / "map.csv").read_text() == (tmp_path / "map.csv").read_text()


def test_fidelity_ideal_has_no_wires(tmp_path: Path) -> None:
    ideal = cosim.run(cosim.load(write(tmp_path, GOOD), ["tiles.t.fidelity=ideal"])).summary
    wired = cosim.run(cosim.load(write(tmp_path, GOOD))).summary
    assert "wires" not in ideal["energy"]["by_component_j"]
    assert wired["energy"]["by_component_j"]["wires"] > 0


def test_wait_ages_the_cells(tmp_path: Path) -> None:
    """The default MSS relaxes at 0 V (0.18 s): the products fall."""
    text = GOOD.replace(
        "model: mss, r_on: 100 kohm, r_off: 1000 kohm, v_on: 0.6 V, v_off: 0.6 V, tau: 10 us",
        "preset: mss-ktram",
    )
    text = text.replace("5 kohm", "100 ohm").replace(
        "encoding: single", "encoding: single, verify: {max_pulses: 200}"
    )
    result = cosim.run(cosim.load(write(tmp_path, text + "  - wait: 1 s\n" + READ)))
    before, after = (np.array(result.summary["operations"][k]["values"]) for k in (1, 3))
    assert np.abs(after - before).max() > 0.2


@pytest.mark.parametrize("name", ["ngspice", "paired"])
@pytest.mark.ngspice
def test_other_backends_give_the_same(name: str, tmp_path: Path) -> None:
    scenario = cosim.load(write(tmp_path, GOOD))
    ours, other = cosim.run(scenario), cosim.run(scenario, backend=name)
    a, b = ours.summary, other.summary
    assert a["time"] == b["time"]
    assert b["energy"]["total_j"] == pytest.approx(a["energy"]["total_j"], rel=1e-4)
    assert b["operations"][1]["values"] == pytest.approx(a["operations"][1]["values"], rel=1e-2)
    assert b["operations"][0]["pulses"] == a["operations"][0]["pulses"]


@pytest.mark.ngspice
def test_resume_takes_journaled_phases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scenario = cosim.load(write(tmp_path, GOOD + TO_SPICE + READ))
    first = cosim.run(scenario, out=tmp_path / "out")
    assert len(list((tmp_path / "out" / "journal").iterdir())) == 2
    monkeypatch.setattr(NgspiceBackend, "run", lambda self, request: 1 / 0)
    again = cosim.run(scenario, out=tmp_path / "out", resume=True)
    assert again.summary == first.summary


class Killer:
    """Kills the ngspice worker ``times`` times, as soon as a phase of ngspice is under way."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, times: int) -> None:
        self.left, self.killed = times, 0
        original = NgspiceBackend.run
        killer = self

        def run(backend: NgspiceBackend, request):
            over = threading.Event()
            hunter = threading.Thread(target=killer.hunt, args=(backend, over))
            hunter.start()
            try:
                return original(backend, request)
            finally:
                over.set()
                hunter.join()

        monkeypatch.setattr(NgspiceBackend, "run", run)

    def hunt(self, backend: NgspiceBackend, over: threading.Event) -> None:
        while self.left > 0 and not over.is_set():
            for pid in backend.worker_pids():
                if self.left > 0:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                        self.left, self.killed = self.left - 1, self.killed + 1
            time.sleep(0.0005)


ENGINES = ["subprocess", "pyspice"]


def engine(name: str) -> str:
    if name == "pyspice" and probe().engine != "pyspice":
        pytest.skip("PySpice is not on this machine")
    return f"spice.engine={name}"


@pytest.mark.ngspice
@pytest.mark.parametrize("name", ENGINES)
def test_killed_worker_without_a_retry(
    name: str, tmp_path: Path, cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 1, one sentence that names the phase, its deck kept, what was done in the folder."""
    file = write(tmp_path, GOOD + TO_SPICE + MANY)
    out = tmp_path / "out"
    killer = Killer(monkeypatch, 1)
    answer = cli("run", file, "--out", out, "--set", "spice.retries=0", "--set", engine(name), "--quiet")
    assert killer.killed == 1
    assert answer.code == 1
    assert answer.out == ""
    assert answer.err.count("\n") == 1
    assert answer.err.startswith("phase ")
    assert "(read on tile t, operation 3)" in answer.err
    assert "Traceback" not in answer.err
    decks = list((out / "netlists").glob("*.cir"))
    assert len(decks) == 1
    assert str(decks[0]) in answer.err
    summary = json.loads((out / "summary.json").read_text())
    assert [entry["op"] for entry in summary["operations"]] == ["write", "read", "backend"]
    assert summary["operations"][0]["converged"] == 4
    assert json.loads((out / "manifest.json").read_text())["completed"] is False
    assert any("ended early" in sentence for sentence in summary["warnings"])
    assert {path.name for path in out.iterdir()} >= FILES


@pytest.mark.ngspice
@pytest.mark.parametrize("name", ENGINES)
def test_killed_worker_with_a_retry(name: str, tmp_path: Path, cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """The phase is repeated in a fresh worker, and nobody can tell from the result."""
    file = write(tmp_path, GOOD + TO_SPICE + READ)
    chosen = engine(name)
    assert cli("run", file, "--out", tmp_path / "a", "--set", chosen, "--quiet").code == 0
    killer = Killer(monkeypatch, 1)
    answer = cli("run", file, "--out", tmp_path / "b", "--set", chosen, "--quiet")
    assert killer.killed == 1
    assert (answer.code, answer.err) == (0, "")
    for name in ("summary.json", "tables/phases.csv", "tables/values.csv", "tables/energies.csv"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


@pytest.mark.ngspice
def test_a_failing_phase_of_validate(tmp_path: Path, cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(self: NgspiceBackend, request):
        raise SpiceConvergenceError("the time step became too small")

    monkeypatch.setattr(NgspiceBackend, "run", fails)
    answer = cli("validate", write(tmp_path, GOOD), "--out", tmp_path / "out")
    assert answer.code == 1
    assert answer.err.startswith("phase 0 (verify on tile t): the time step became too small")
    assert answer.err.count("\n") == 1


@pytest.mark.ngspice
def test_failure_in_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Killer(monkeypatch, 1)
    scenario = cosim.load(write(tmp_path, GOOD + TO_SPICE + MANY), ["spice.retries=0"])
    result = cosim.run(scenario)
    assert isinstance(result.failure, PhaseError)
    assert len(result.summary["operations"]) == 3
    assert result.manifest["completed"] is False


NO_SPICE = {"PATH": "/nowhere", "NGSPICE_LIBRARY_PATH": "/nowhere/libngspice.so"}


@pytest.mark.parametrize(("command", "words"), [("run", "tiles.t.backend: "), ("validate", "")])
def test_no_ngspice_on_the_machine(command: str, words: str, tmp_path: Path, cosim_process) -> None:
    text = GOOD.replace("{backend: behavioral}", "{backend: ngspice}") if command == "run" else GOOD
    file = write(tmp_path, text)
    answer = cosim_process(command, file, "--out", tmp_path / "out", **NO_SPICE)
    assert answer.code == 2
    assert answer.err.count("\n") == 1
    assert words in answer.err
    assert "ngspice" in answer.err
    assert "is not on this machine" in answer.err or "there is no ngspice" in answer.err
    assert "apt-get install ngspice" in answer.err
    assert not (tmp_path / "out").exists()


def test_doctor_says_what_to_install(cosim_process) -> None:
    answer = cosim_process("doctor", **NO_SPICE)
    assert answer.code == 0
    assert "apt-get install ngspice" in answer.out
    assert "behavioral run   works" in answer.out


def test_a_write_on_ngspice_wants_an_equation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cli) -> None:
    @dataclasses.dataclass(frozen=True, eq=False)
    class Stepper(DeviceModel):
        """Moves in steps; has no differential equation."""

        name = "stepper"
        reference = "this test"
        r_on: float = 1e5

        def conductance(self, state):
            return state * 1e-5 + 1e-6

        def state_for(self, conductance):
            return np.clip((conductance - 1e-6) / 1e-5, 0.0, 1.0)

        def conductance_range(self):
            return 1e-6, 1.1e-5

        def advance(self, state, voltage, duration, temperature):
            return np.clip(state + 0.03 * np.sign(voltage) * (np.abs(voltage) > 0.5), 0.0, 1.0)

        def programming_pulse(self, temperature):
            return (0.7, 1e-7), (0.7, 1e-7)

    monkeypatch.setitem(registry.models(), Stepper.name, Stepper)  # type: ignore[arg-type]
    line = next(line for line in GOOD.splitlines() if "device:" in line)
    text = GOOD.replace(line, "  device: {model: stepper}").replace(
        "{backend: behavioral}", "{backend: {write: ngspice}}"
    )
    file = write(tmp_path, text)
    answer = cli("run", file, "--out", tmp_path / "out")
    assert answer.code == 2
    assert answer.err == (
        f"{file}:10:7: tiles.t.backend: device stepper has no differential equation, so ngspice can read it but not"
        " answer a write phase\n"
    )
    assert not (tmp_path / "out").exists()
    later = text.replace("{write: ngspice}", "behavioral") + TO_SPICE
    with pytest.raises(
        ScenarioError, match=r"program.2.backend.to: device stepper has no differential equation"
    ):
        cosim.run(cosim.load(write(tmp_path, later)))


def test_progress(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    cosim.run(cosim.load(write(tmp_path, GOOD)), progress=lambda done, total: seen.append((done, total)))
    cells_and_vectors = 4 + 2
    assert [total for _, total in seen] == [cells_and_vectors] * len(seen)
    done = [count for count, _ in seen]
    assert done == sorted(done)
    assert sorted(set(done)) == list(range(cells_and_vectors + 1))
    with Watch(shown=True) as watch:
        watch.task("operations")(1, 2)
    assert capsys.readouterr().err == ""


def test_a_read_after_another_write_takes_the_new_matrix(tmp_path: Path) -> None:
    """Tiles that were written again one by one no longer hold the matrix of their pair."""
    text = GOOD.replace(
        "  t: {backend: behavioral}", "  t: {backend: behavioral}\n  u: {backend: behavioral}"
    )
    both = "  - read: {tiles: [t, u], inputs: [[1, 0.5]]}\n"
    pair = "program:\n  - write: {tiles: [t, u], matrix: [[1, -1], [0, 1]]}\n" + both
    single = "  - write: {tiles: [t], matrix: [[1, 0], [0, 1]], encoding: single}\n" + both + READ
    operations = cosim.run(cosim.load(write(tmp_path, text.split("program:")[0] + pair + single))).summary[
        "operations"
    ]
    assert operations[1]["unit"] == "1"
    assert operations[1]["ideal"] == pytest.approx([1.0, -0.5])
    assert operations[3]["unit"] == "A"
    assert operations[4]["ideal"] == pytest.approx([1.0, 0.5, 0.25, 1.0])
