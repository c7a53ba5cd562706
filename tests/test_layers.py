"""The floors of the house: imports go down, and importing cosim costs next to nothing."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import cosim

ROOT = Path(__file__).parents[1]
HEAVY = (
    "torch", "simpy", "pandas", "ruamel", "yaml", "numpy", "scipy", "pydantic", "matplotlib", "typer", "PySpice",
    "numba", "jinja2",
)  # fmt: skip


def python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    return done.stdout


def test_contracts_of_the_floors() -> None:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


def test_contracts_cover_every_package() -> None:
    """A new top-level module has to find its floor."""
    content = tomllib.loads((ROOT / "pyproject.toml").read_text())
    contracts = content["tool"]["importlinter"]["contracts"]
    floors = next(entry for entry in contracts if entry["type"] == "layers")
    assert floors["exhaustive"]
    backends = next(entry for entry in contracts if entry.get("name", "").startswith("Backends are"))
    named = {f"cosim.backends.{path.stem}" for path in (ROOT / "cosim" / "backends").glob("*.py")}
    assert set(backends["modules"]) <= named


def test_import_is_quick() -> None:
    """Under half a second, the best of three."""
    code = "import time; t = time.perf_counter(); import cosim; print(time.perf_counter() - t)"
    assert min(float(python(code)) for _ in range(3)) < 0.5


@pytest.mark.parametrize("module", HEAVY)
def test_import_brings_nothing_heavy(module: str) -> None:
    assert module not in LOADED


LOADED = set(python("import sys, cosim; print('\\n'.join(m.split('.')[0] for m in sys.modules))").split())


def test_a_run_brings_only_what_it_needs() -> None:
    code = (
        "import sys, cosim; cosim.run(cosim.load('tests/scenario/malformed/base.yaml'));"
        "print({'PySpice', 'torch', 'matplotlib', 'pandas'} & set(sys.modules))"
    )
    assert python(code).strip() == "set()"


def test_everything_public_is_there() -> None:
    for name in cosim.__all__:
        assert getattr(cosim, name) is not None
    assert set(cosim.__all__) <= set(dir(cosim))
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        cosim.nothing  # noqa: B018


def test_only_the_command_line_prints() -> None:
    for path in (ROOT / "cosim").rglob("*.py"):
        if path.parent.name != "cli" and path.name != "__main__.py":
            lines = [line for line in path.read_text().splitlines() if line.lstrip().startswith("print(")]
            assert not lines, path
