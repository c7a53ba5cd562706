"""The guard: what passes, what is refused, and every known attack, with a sentinel file, in both engines."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from cosim.devices import models
from cosim.errors import NetlistRefusedError, SpiceError
from cosim.spice.cards import Deck
from cosim.spice.engines import SpiceEngine
from cosim.spice.guard import check_identifier, guard_netlist, inside
from cosim.spice.machine import require_binary

GOOD = """\
* a unit crossbar, as a person may write it
.title my crossbar
.param g0={1/1e5} vt='0.0257'
.func soft(u) {0.5*(1+tanh(u/(2*vt)))}
.model sw1 sw(vt=0.5 vh=0.1 ron=1k roff=1g)
.model n1 nmos (level=1 vto=0.7 kp=120u)   $ MOS level 1
.subckt cell w b params: r=100k
R1 w m {r}
Cx x 0 1n ic=0.5 ; state
Bx 0 x i=(1-v(x))*soft(v(w,b)-0.6)
B2 m b v = v(x) > 0.5 ? 1m : -1m
+ + 0
M1 w m b 0 n1 w=1u l=100n
S1 w b x 0 sw1
E1 e 0 w b 2
V1 e f dc 0
.ends
.end
"""

# What stands in `{sentinel}` is a file that must never come into being.
ATTACKS = {
    "control block": ".control\nshell touch {sentinel}\n.endc",
    "upper case": ".CONTROL\nshell touch {sentinel}\n.ENDC",
    "indented": "   .control\n shell touch {sentinel}\n .endc",
    "tab": "\t.control\nshell touch {sentinel}\n.endc",
    "echo to a file": ".control\necho x > {sentinel}\n.endc",
    "write": ".control\nop\nwrite {sentinel}\n.endc",
    "control by continuation": ".cont\n+rol\nshell touch {sentinel}\n.endc",
    "comment command": "*# shell touch {sentinel}",
    "indented comment command": "  *# shell touch {sentinel}",
    "script header": "*ng_script\nshell touch {sentinel}",
    "include": ".include {evil}",
    "inc": ".inc '{evil}'",
    "library": ".lib {evil} tt",
    "exec": ".exec touch {sentinel}",
    "csparam": ".csparam a=`touch {sentinel}`",
    "backquote in a parameter": ".param a=`touch {sentinel}`",
    "backquote in a save": ".save `touch {sentinel}`",
    "print to a file": ".print tran v(a) > {sentinel}",
    "plot": ".plot tran v(a) > {sentinel}",
    "measure": ".meas tran m find v(a) at=1 > {sentinel}",
    "pre_shell": "pre_shell touch {sentinel}",
    "bare shell": "shell touch {sentinel}",
    "bare set": "set x = `touch {sentinel}`",
    "code model that reads a file": "a1 [a] src\n.model src d_source (input_file={evil})",
    "code model that starts a program": 'a1 [a] [b] clk p\n.model p d_process (process_file="touch {sentinel}")',
    "code model that loads a library": 'a1 [a] [b] c\n.model c d_cosim (simulation="{evil}")',
    "verilog model": "n1 a 0 va\n.model va {evil}",
    "osdi": ".control\npre_osdi {evil}\n.endc",
    "dollar": "r9 a 0 $SHELL",
    "pipe": "r9 a 0 1 | touch {sentinel}",
    "semicolon in a brace": "r9 a 0 {{1; shell touch {sentinel}}}",
    "quotes": 'v9 a 0 pwl file="{evil}"',
    "external source": "v9 a 0 external",
    "carriage return": "r9 a 0 1\r.control\rshell touch {sentinel}\r.endc",
    "form feed": "r9 a 0 1\x0c.control\x0cshell touch {sentinel}\x0c.endc",
    "null byte": "r9 a 0 1\x00",
    "not ASCII": "r9 a 0 1\u2028.control\u2028shell touch {sentinel}",
    "options": ".options scriptfile={evil}",
    "global": ".global {evil}",
    "if": ".if (1)\n.control\nshell touch {sentinel}\n.endc\n.endif",
    "foreign model type": ".model x numd level=1",
    "MOS level 14": ".model x nmos level=14",
    "MOS level by expression": ".model x nmos level={{14}}",
    "quit": ".control\nquit\n.endc",
}
HARMLESS_WHEN_DROPPED = {"comment command", "indented comment command"}


def test_good_netlist_passes_without_its_comments() -> None:
    text = guard_netlist(GOOD)
    lines = text.splitlines()
    assert not any(line.startswith("*") or ";" in line or "$" in line for line in lines)
    assert "B2 m b v = v(x) > 0.5 ? 1m : -1m + 0" in lines
    assert ".title" not in text
    assert ".end\n" not in text.replace(".ends\n", "")
    assert guard_netlist(text) == text


@pytest.mark.parametrize("name", sorted(models()))
def test_our_own_subcircuits_pass(name: str) -> None:
    twin = models()[name]().subcircuit(300.0)
    if twin is not None:
        assert guard_netlist(twin.text).splitlines() == twin.text.splitlines()


@pytest.fixture
def attack(tmp_path: Path) -> Callable[[str], tuple[str, Path]]:
    """Return a maker of attack texts and the sentinel file that would prove them."""

    def make(name: str) -> tuple[str, Path]:
        sentinel = tmp_path / "sentinel"
        evil = tmp_path / "evil.inc"
        evil.write_text(f".control\nshell touch {sentinel}\n.endc\n")
        return ATTACKS[name].format(sentinel=sentinel, evil=evil), sentinel

    return make


@pytest.mark.parametrize("name", ATTACKS)
def test_attack_is_refused(attack: Callable[[str], tuple[str, Path]], tmp_path: Path, name: str) -> None:
    text, sentinel = attack(name)
    for wrapped in (text, f"{GOOD}{text}\n", f".subckt s a b\nr1 a b 1\n{text}\n.ends\n"):
        if name in HARMLESS_WHEN_DROPPED:
            assert "shell" not in guard_netlist(wrapped, folder=tmp_path / "scenario")
            continue
        with pytest.raises(NetlistRefusedError) as caught:
            guard_netlist(wrapped, folder=tmp_path / "scenario")
        assert "\n" not in str(caught.value)
    assert not sentinel.exists()


@pytest.mark.ngspice
@pytest.mark.parametrize("name", ATTACKS)
def test_nothing_of_an_attack_runs_in_an_engine(
    spice: SpiceEngine, ramp: Deck, attack: Callable[[str], tuple[str, Path]], name: str
) -> None:
    text, sentinel = attack(name)
    try:
        cards = guard_netlist(f"{text}\n", top_level=True).splitlines()
    except NetlistRefusedError:
        cards = []
    with contextlib.suppress(SpiceError):
        spice.run(replace(ramp, body=(*ramp.body, *cards)), 10)
    assert not sentinel.exists()


@pytest.mark.ngspice
def test_the_sentinel_does_prove_an_attack(attack: Callable[[str], tuple[str, Path]], tmp_path: Path) -> None:
    text, sentinel = attack("comment command")
    deck = tmp_path / "unguarded.cir"
    deck.write_text(f"* title\n{text}\nv1 a 0 1\nr1 a 0 1\n.op\n.end\n")
    subprocess.run([require_binary(), "-n", "-b", deck.name], cwd=tmp_path, capture_output=True, check=False)
    assert sentinel.exists()


@pytest.mark.ngspice
def test_init_files_of_the_person_are_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ramp: Deck
) -> None:
    from cosim.spice.pyspice_engine import PySpiceEngine
    from cosim.spice.subprocess_engine import SubprocessEngine

    sentinel = tmp_path / "sentinel"
    for name in (".spiceinit", "spice.rc"):
        (tmp_path / name).write_text(f"shell touch {sentinel}\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for kind in (SubprocessEngine, PySpiceEngine):
        each = kind()
        each.run(ramp, 10)
        each.close()
    assert not sentinel.exists()


def test_includes_stay_in_their_folder(tmp_path: Path) -> None:
    folder = tmp_path / "scenario"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "cell.inc").write_text("* comment\n.subckt cell a b\n.include sub/body.inc\n.ends\n")
    (folder / "sub" / "body.inc").write_text("r1 a b 1k\n")
    (tmp_path / "outside.inc").write_text("r1 a b 1k\n")
    (folder / "link.inc").symlink_to(tmp_path / "outside.inc")
    (folder / "loop.inc").write_text(".include loop.inc\n")
    (folder / "evil.inc").write_text(".subckt s a b\n.control\n.ends\n")
    text = guard_netlist(".include 'sub/cell.inc'", folder=folder)
    assert text.splitlines() == [".subckt cell a b", "r1 a b 1k", ".ends"]
    for name in (
        "../outside.inc",
        str(tmp_path / "outside.inc"),
        "link.inc",
        "loop.inc",
        "none.inc",
        "evil.inc",
        "a b",
        "$HOME/x",
    ):
        with pytest.raises(NetlistRefusedError):
            guard_netlist(f".include {name}", folder=folder)
    with pytest.raises(NetlistRefusedError, match="needs the folder"):
        guard_netlist(".include sub/cell.inc")
    assert inside(folder, "../outside.inc") is None
    assert inside(folder, "sub/cell.inc") == (folder / "sub" / "cell.inc").resolve()


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("+ 1", "a continuation must follow a line"),
        (".ends", "'.ends' must follow"),
        (".subckt a b", "must be closed"),
        ("r1 a b 1", "must stand inside"),
        ("* x\n" * 300_000, "must not exceed"),
        (".subckt a b\nr1 a b 1" + "\n+ 0" * 12000 + "\n.ends", "a line must not exceed"),
        ("k1 l1 l2 0.9", "an element must be one of B C D"),
        (".tran 1n 1u", "a card must be one of .ends .func .model .param .subckt"),
    ],
)
def test_rules_are_told(text: str, rule: str) -> None:
    with pytest.raises(NetlistRefusedError, match=rule.replace(".", r"\.")):
        guard_netlist(text)


@pytest.mark.parametrize("name", ["", "1a", "a b", "a\n.control", "a;b", "ä", "a.b", "$x"])
def test_identifiers(name: str) -> None:
    with pytest.raises(NetlistRefusedError, match="a row name must be a letter"):
        check_identifier(name, "a row name")
    assert check_identifier("Row_1", "a row name") == "Row_1"
