"""What a terminal and a pipe see: progress, its absence, and an orderly end on Ctrl-C."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from cosim.errors import RunInterruptedError
from cosim.terminal import Watch

ROOT = Path(__file__).parents[1]
SMALL = ROOT / "tests" / "scenario" / "malformed" / "base.yaml"
QUICKSTART = ROOT / "scenarios" / "quickstart.yaml"
LONG = ("--set", "program.0.write.verify.window=0.001 %")
"""Cells that never reach their window: a run of half a minute."""
CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f]")


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "cosim", *map(str, arguments)]


def on_terminal(arguments: Sequence[str], until: bytes | None = None) -> tuple[int, str]:
    """Run a command on a pseudo-terminal; Ctrl-C is typed once ``until`` was seen. Return code and text."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ.update(TERM="xterm-256color", COLUMNS="100", LINES="40")
        os.chdir(ROOT)
        os.execv(arguments[0], arguments)
    seen, deadline = b"", time.monotonic() + 150
    while time.monotonic() < deadline:
        if select.select([terminal], [], [], 1.0)[0]:
            try:
                part = os.read(terminal, 65536)
            except OSError:
                break
            if not part:
                break
            seen += part
            if until is not None and until in seen:
                until = None
                time.sleep(0.5)
                os.write(terminal, b"\x03")
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    return os.waitstatus_to_exitcode(status), seen.decode()


@pytest.mark.parametrize("arguments", [("run",), ("run", "--json"), ("run", "--quiet")])
def test_a_pipe_sees_no_control_characters(arguments: tuple[str, ...], tmp_path: Path) -> None:
    done = subprocess.run(
        command(arguments[0], SMALL, *arguments[1:], "--out", tmp_path),
        capture_output=True,
        text=True,
        timeout=150,
        check=True,
    )
    assert done.stderr == ""
    assert not CONTROL.search(done.stdout)
    assert bool(done.stdout) == ("--quiet" not in arguments)


def test_help_in_a_pipe_has_no_control_characters() -> None:
    done = subprocess.run(command("run", "--help"), capture_output=True, text=True, timeout=100, check=True)
    assert not CONTROL.search(done.stdout)
    assert "Example: cosim run" in done.stdout


def test_a_terminal_sees_progress_and_time_left(tmp_path: Path) -> None:
    code, text = on_terminal(command("run", SMALL, "--out", tmp_path))
    assert code == 0
    assert "cells and vectors" in text
    assert "6/6" in text
    assert re.search(r"left.*\d:\d\d", text)
    assert "report: " in text


def test_every_command_that_may_take_long_shows_progress(tmp_path: Path) -> None:
    for name, arguments, bars in (
        ("check", (SMALL,), ("physics",)),
        ("netlist", (SMALL, "--phase", "all", "--out", tmp_path), ("cells and vectors", "decks")),
        ("pulses", (SMALL, "--out", tmp_path), ("cells and vectors", "files of the lines")),
    ):
        code, text = on_terminal(command(name, *arguments))
        assert code == 0, text
        for bar in bars:
            assert bar in text
        assert re.search(r"left.*\d:\d\d", text)


def test_what_goes_to_a_file_is_not_written_to_the_terminal(tmp_path: Path) -> None:
    deck = tmp_path / "deck.cir"
    shell = f"exec {' '.join(command('netlist', SMALL))} > {deck}"
    code, text = on_terminal(["/bin/sh", "-c", shell])
    assert code == 0
    assert "cells and vectors" in text
    assert ".tran" not in text
    assert ".tran" in deck.read_text()


def test_json_on_a_terminal_is_json_alone(tmp_path: Path) -> None:
    code, text = on_terminal(command("run", SMALL, "--out", tmp_path, "--json"))
    assert code == 0
    summary, _ = json.JSONDecoder().raw_decode(
        text
    )  # numba's colorama resets the colours of a terminal at exit
    assert summary["scenario"]["name"] == "base"


def test_ctrl_c_leaves_a_readable_folder(tmp_path: Path) -> None:
    code, text = on_terminal(command("run", QUICKSTART, "--out", tmp_path, *LONG), until=b"0:00:")
    assert code == 130, text
    assert "ending after the phase in flight" in text
    assert "interrupted at" in text
    assert "Traceback" not in text
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert any("the run ended early: interrupted at" in sentence for sentence in summary["warnings"])
    assert summary["time"]["phases"] > 0
    assert summary["energy"]["balance"]["relative_error"] < 1e-9
    assert not json.loads((tmp_path / "manifest.json").read_text())["completed"]
    json.loads((tmp_path / "trace.json").read_text())
    assert (tmp_path / "report.html").read_text().rstrip().endswith("</html>")
    assert not list(tmp_path.rglob("*.part"))


SIGNALLED = """
import os, signal, sys, threading
from cosim.cli import main
from cosim.system import System
run = System.run
def signalled(self, *arguments):
    threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
    run(self, *arguments)
System.run = signalled
main()
"""


def test_the_signal_in_a_pipe(tmp_path: Path) -> None:
    """SIGINT while the simulation runs, without a terminal."""
    arguments = ("run", str(QUICKSTART), "--out", str(tmp_path), *LONG)
    done = subprocess.run(
        [sys.executable, "-c", SIGNALLED, *arguments],
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert done.returncode == 130
    assert re.fullmatch(
        r"interrupted at \d+ of 192 cells and vectors; what was done is in the folder\n", done.stderr
    )
    assert not CONTROL.search(done.stdout)
    assert json.loads((tmp_path / "summary.json").read_text())["time"]["end_s"] > 0


SIGNALLED_CHECK = """
import os, signal, sys, threading
from cosim.cli import main
import cosim.scenario.validate
module = sys.modules["cosim.scenario.validate"]
inner = module._phase_by_phase
def signalled(*arguments):
    os.kill(os.getpid(), signal.SIGINT)
    return inner(*arguments)
module._phase_by_phase = signalled
main()
"""


@pytest.mark.ngspice
def test_the_signal_during_a_cross_check(tmp_path: Path) -> None:
    """The behavioral run is kept; there is no half of a cross-check."""
    done = subprocess.run(
        [sys.executable, "-c", SIGNALLED_CHECK, "validate", str(SMALL), "--out", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert done.returncode == 130
    assert re.fullmatch(
        r"interrupted at 0 of \d+ phases in ngspice; what was done is in the folder\n", done.stderr
    )
    assert len(json.loads((tmp_path / "summary.json").read_text())["operations"]) == 2
    assert not (tmp_path / "crosscheck.json").exists()


def test_a_watch_ends_between_events_and_then_at_once() -> None:
    before = signal.getsignal(signal.SIGINT)
    with Watch(shown=False) as watch:
        report = watch.task("cells")
        report(1, 3)
        signal.raise_signal(signal.SIGINT)
        report(3, 3)  # what is complete is not thrown away
        with pytest.raises(RunInterruptedError, match=r"^interrupted at 2 of 3 cells; what was done"):
            report(2, 3)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_completion_of_the_shell() -> None:
    environment = {
        **os.environ,
        "_COSIM_COMPLETE": "complete_bash",
        "COMP_WORDS": "cosim co",
        "COMP_CWORD": "1",
    }
    done = subprocess.run(
        [str(Path(sys.executable).with_name("cosim"))],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout.split() == ["compare"]
