"""What this machine has: the ngspice program, its library, PySpice, and which engine to take."""

from __future__ import annotations

import functools
import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from cosim.errors import SpiceMissingError

INSTALL: Final = "install it with 'apt-get install ngspice libngspice0-dev'"
_LIBRARY_NAMES: Final = ("libngspice.so", "libngspice.so.0", "libngspice.dylib", "libngspice.0.dylib")
_PROBES: Final = 3
_PROBE: Final = "* cosim probe\nr1 1 0 1\nv1 1 0 1\n.control\nversion -f\nosdi\n.endc\n.op\n.end\n"


@dataclass(frozen=True)
class SpiceMachine:
    """What was found; empty text stands for what is not there.

    ``klu`` tells whether the fast matrix solver is compiled in, ``osdi`` whether compiled Verilog-A
    models can be loaded, ``engine`` which engine is taken by default.
    """

    binary: str
    version: str
    library: str
    pyspice: str
    klu: bool
    osdi: bool
    xspice: bool
    engine: str

    def as_dict(self) -> dict[str, str | bool]:
        """Return the fields for a manifest."""
        return asdict(self)


@functools.cache
def probe() -> SpiceMachine:
    """Return what this machine has; the program is asked once per process."""
    binary = shutil.which("ngspice") or ""
    library = find_library()
    pyspice = pyspice_version()
    text = _ask(binary) if binary else ""
    version = re.search(r"ngspice-(\S+)", text)
    engine = "pyspice" if library and pyspice else "subprocess" if binary else ""
    return SpiceMachine(
        binary=binary,
        version=version.group(1) if version else "",
        library=library,
        pyspice=pyspice,
        klu="KLU" in text,
        osdi=bool(text) and "osdi: no such command" not in text,
        xspice="XSPICE" in text,
        engine=engine,
    )


def require_binary() -> str:
    """Return the path of the ngspice program; raises `SpiceMissingError` where there is none."""
    binary = shutil.which("ngspice")
    if not binary:
        raise SpiceMissingError(f"the program 'ngspice' is not on this machine; {INSTALL}")
    return binary


def require_library() -> str:
    """Return the path of libngspice; raises `SpiceMissingError` where it or PySpice is not there."""
    library = find_library()
    if not library:
        raise SpiceMissingError(f"the library 'libngspice' is not on this machine; {INSTALL}")
    if not pyspice_version():
        raise SpiceMissingError(
            "PySpice is not installed; install it with 'pip install cosim-crossbar[spice]'"
        )
    return library


def pyspice_version() -> str:
    """Return the version of the installed PySpice without importing it; empty where there is none."""
    if importlib.util.find_spec("PySpice") is None:
        return ""
    try:
        return importlib.metadata.version("PySpice")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


def find_library() -> str:
    """Return the path of libngspice, or empty text.

    The environment variable ``NGSPICE_LIBRARY_PATH`` goes first, as it does for PySpice.
    """
    named = os.environ.get("NGSPICE_LIBRARY_PATH", "")
    if named:
        return named if Path(named).is_file() else ""
    multiarch = sysconfig.get_config_var("MULTIARCH") or ""
    roots = ["/usr/lib", "/usr/lib64", "/usr/local/lib", "/opt/homebrew/lib", f"{sys.prefix}/lib"]
    folders = [f"/usr/lib/{multiarch}", *roots] if multiarch else roots
    for folder in folders:
        for name in _LIBRARY_NAMES:
            if (Path(folder) / name).is_file():
                return str(Path(folder) / name)
    return ""


def _ask(binary: str) -> str:
    """Return what ngspice says about itself, in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="cosim-probe-") as folder:
        deck = Path(folder) / "probe.cir"
        deck.write_text(_PROBE)
        environment = clean_environment(folder)
        for _ in range(_PROBES):
            try:
                answer = subprocess.run(
                    [binary, "-n", "-b", str(deck)],
                    cwd=folder, env=environment, capture_output=True, text=True, timeout=20, check=False,
                )  # fmt: skip
            except (OSError, subprocess.TimeoutExpired):
                continue
            if answer.returncode >= 0:
                return answer.stdout + answer.stderr
    return ""


def clean_environment(folder: str) -> dict[str, str]:
    """Return the environment of a simulation: its own home, one thread, plain language, nothing else."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": folder,
        "TMPDIR": folder,
        "LC_ALL": "C",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }
