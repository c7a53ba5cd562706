"""The faults of PySpice 1.5 with ngspice 39, one test each; every test hosts the library in a process of its own."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

import cosim
from cosim.spice.machine import clean_environment, probe

pytestmark = [
    pytest.mark.ngspice,
    pytest.mark.skipif(probe().engine != "pyspice", reason="PySpice or libngspice is not on this machine"),
]

GOOD = "* good\\nv1 a 0 1\\nr1 a 0 1k\\n.save v(a)\\n.end"
SETUP = f"""
import sys, resource
from cosim.spice.pyspice_fence import Instance, InstanceLostError
host = Instance(sys.argv[1])
GOOD = "{GOOD}"
def op(deck):
    host.load(deck)
    plot = host.run("op")
    return host.vectors(plot, [b"a"]) if plot else None
"""


def hosted(code: str, tmp_path: Path, options: tuple[str, ...] = ()) -> str:
    """Run ``code`` after the set-up in a fresh process and return what it printed."""
    environment = clean_environment(str(tmp_path)) | {"PYTHONPATH": os.pathsep.join(sys.path)}
    answer = subprocess.run(
        [sys.executable, *options, "-c", SETUP + code, probe().library],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert answer.returncode == 0, answer.stderr
    return answer.stdout.strip()


def test_fault_1_version_39_has_its_table_of_vector_types(tmp_path: Path) -> None:
    code = "from PySpice.Spice.NgSpice.SimulationType import SIMULATION_TYPE as T; print(39 in T, host.version, op(GOOD)[1][0, 0])"
    assert hosted(code, tmp_path) == f"True {probe().version.split('.')[0]} 1.0"


def test_fault_2_notes_on_stderr_are_no_failure(tmp_path: Path) -> None:
    code = "print(op('* floating\\nv1 a 0 1\\nr1 a 0 1k\\nc1 b c 1p\\nc2 b d 1p\\n.save v(a)\\n.end') is not None, 'singular' in host.log())"
    assert hosted(code, tmp_path) == "True True"


def test_fault_3_the_word_error_in_a_title_is_no_failure(tmp_path: Path) -> None:
    assert hosted("print(op(GOOD.replace('* good', '* an error'))[1][0, 0])", tmp_path) == "1.0"


def test_fault_4_a_deck_that_fails_to_load_never_gives_the_old_result(tmp_path: Path) -> None:
    code = "op(GOOD); print(op('* bad\\nx1 a 0 nosuch\\nv1 a 0 5\\n.save v(a)\\n.end'), 'unknown subckt' in host.log(), op(GOOD)[1][0, 0])"
    assert hosted(code, tmp_path) == "None True 1.0"


def test_fault_5_an_instance_that_was_given_up_is_told(tmp_path: Path) -> None:
    code = """
for deck in ("* bad\\nr1 a 0 {nix}\\nv1 a 0 1\\n.end", "* quit\\nv1 a 0 1\\nr1 a 0 1\\n.control\\nquit\\n.endc\\n.end"):
    try:
        op(deck)
    except InstanceLostError:
        print("lost")
        break
"""
    assert hosted(code, tmp_path) == "lost"


def test_fault_6_the_command_history_does_not_grow(tmp_path: Path) -> None:
    code = """
op(GOOD)
def grown(count):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for k in range(count):
        host.command(f"alter r1 resistance = {1000 + k}")
        host.log()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
grown(2000)
print(grown(20000) < 2000)
"""
    assert hosted(code, tmp_path) == "True"


def test_fault_7_the_library_is_found_by_the_path_that_was_given(tmp_path: Path) -> None:
    code = "import os; print(os.environ['NGSPICE_LIBRARY_PATH'] == sys.argv[1])"
    assert hosted(code, tmp_path) == "True"


def test_a_vector_that_was_not_saved_is_none(tmp_path: Path) -> None:
    code = "host.load(GOOD); print(host.vectors(host.run('op'), [b'b']))"
    assert hosted(code, tmp_path) == "None"


def _names_pyspice(node: ast.Import | ast.ImportFrom) -> bool:
    names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
    return any(name.split(".")[0] == "PySpice" for name in names)


def test_pyspice_is_touched_by_the_fence_alone_and_inside_functions() -> None:
    root = Path(cosim.__file__).parent
    for path in root.rglob("*.py"):
        tree = ast.parse(path.read_text())
        top = [node for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom))]
        every = [node for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom))]
        named = [node for node in every if _names_pyspice(node)]
        assert not named or path.name == "pyspice_fence.py", path
        assert not any(_names_pyspice(node) for node in top), path


def test_this_process_never_imports_pyspice(tmp_path: Path) -> None:
    code = """
import sys
from cosim.spice.engines import engine
from cosim.spice.cards import Deck, Transient
each = engine("pyspice")
each.run(Deck("t", ("v1 a 0 1", "r1 a 0 1"), (), ("v(a)",), Transient(1e-9, 1e-10)), 20)
each.close()
print(any(name.split(".")[0] == "PySpice" for name in sys.modules))
"""
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert answer.stdout.strip() == "False", answer.stderr
