"""Simulations run in processes of their own, with limits, and are stopped for certain.

A netlist is a program, and ngspice can hang, crash or fill a disk. So every process that holds
ngspice gets an empty temporary folder as working directory and home, a process group of its own,
limits on processor time, memory, file size and core dumps, and is killed as a group. It does not
outlive the process that started it either, however that one ends.
"""

from __future__ import annotations

import contextlib
import functools
import os
import resource
import select
import shutil
import signal
import subprocess
import threading
import time
from dataclasses import dataclass
from typing import Final

FOLDER: Final = "cosim-spice-"
"""What the name of the temporary folder of such a process begins with."""
_CPU_MARGIN_S: Final = 5


@dataclass(frozen=True)
class Limits:
    """What one simulation process may use: memory and largest file in bytes."""

    memory: int = 4 << 30
    file: int = 512 << 20


def limited_command(command: list[str], limits: Limits, deadline_s: float) -> list[str]:
    """Return ``command`` behind a shell line that sets the limits and is then replaced by it.

    The limits thus hold before the first instruction of the program. On Linux the program is killed
    when the thread that started it ends, which is why that thread must wait for it.
    """
    script = (
        f"ulimit -c 0; ulimit -v {limits.memory // 1024}; ulimit -f {limits.file // 512}; "
        f'ulimit -t {int(deadline_s) + _CPU_MARGIN_S}; exec "$@"'
    )
    return ["/bin/sh", "-c", script, "sh", *_dying_with_its_parent(), *command]


@functools.cache
def _dying_with_its_parent() -> tuple[str, ...]:
    """Return the command that has the next one killed with its parent; nothing where there is none.

    Without it (outside of Linux) an orphan ends at its limit of processor time.
    """
    program = shutil.which("setpriv")
    if program is None:
        return ()
    command = (program, "--pdeathsig", "KILL")
    try:
        tried = subprocess.run([*command, "true"], capture_output=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ()
    return command if tried.returncode == 0 else ()


def die_with_the_other_end(pipe: int) -> None:
    """Kill this process's group, and remove its folder, once the other end of ``pipe`` is closed.

    For a process that leads a group of its own and works in its own temporary `FOLDER`. A persistent worker is watched in this way and not by a signal, because a signal comes already when
    the *thread* that started it ends. The watch costs nothing: it sleeps until then.
    """

    def watch() -> None:
        poll = select.poll()
        poll.register(pipe, 0)  # only the end of the connection
        poll.poll()
        if os.path.basename(os.getcwd()).startswith(FOLDER):
            shutil.rmtree(os.getcwd(), ignore_errors=True)
        os.killpg(os.getpgrp(), signal.SIGKILL)

    threading.Thread(target=watch, name="cosim-watch", daemon=True).start()


def limit_this_process(limits: Limits) -> None:
    """Set memory, file and core limits of the calling process (a worker, at its start)."""
    for kind, value in (
        (resource.RLIMIT_AS, limits.memory),
        (resource.RLIMIT_FSIZE, limits.file),
        (resource.RLIMIT_CORE, 0),
    ):
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(kind, (value, value))


def allow_processor_time(deadline_s: float) -> None:
    """Give the calling process ``deadline_s`` more seconds of processor time before it is stopped."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    used = usage.ru_utime + usage.ru_stime
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (int(used + deadline_s) + _CPU_MARGIN_S, hard))


def wait(process: subprocess.Popen[bytes], deadline_s: float) -> int | None:
    """Return the return code once ``process`` ends, or None if the deadline [s] passes first."""
    try:
        handle = os.pidfd_open(process.pid)
    except (AttributeError, OSError):
        return _wait_by_polling(process, deadline_s)
    try:
        poll = select.poll()
        poll.register(handle, select.POLLIN)
        ended = poll.poll(max(deadline_s, 0.0) * 1000)
    finally:
        os.close(handle)
    return process.wait() if ended else None


def _wait_by_polling(process: subprocess.Popen[bytes], deadline_s: float) -> int | None:
    end = time.monotonic() + deadline_s
    while process.poll() is None:
        if time.monotonic() > end:
            return None
        time.sleep(0.001)
    return process.returncode


def kill(process: subprocess.Popen[bytes]) -> None:
    """Kill ``process`` and its whole group, and collect it."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    process.wait()


def death_sentence(code: int) -> str:
    """Return how a process with a negative return code died, for the end of a sentence."""
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    reasons = {
        "SIGKILL": "it was killed",
        "SIGSEGV": "a fault in the library",
        "SIGABRT": "an assertion in the library or no memory left",
        "SIGXCPU": "it used up its processor time",
        "SIGXFSZ": "it wrote more than its file limit",
    }
    return f"{name}: {reasons[name]}" if name in reasons else name
