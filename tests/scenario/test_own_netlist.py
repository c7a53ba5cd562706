"""Netlists of the user in scenarios: what runs, and one sentence for everything that does not fit."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import cosim
from cosim.errors import CosimError, InputError
from cosim.scenario import Result
from cosim.spice.machine import probe

pytestmark = pytest.mark.ngspice

NETLISTS = Path(__file__).parents[2] / "netlists"
EXAMPLES = {
    "memristor": ("memristor", "ports: {word: top, bit: bottom}", "state: {node: x, parameter: start}"),
    "one_transistor": ("cell", "ports: {word: word, bit: bit, gate: gate}", "state: {node: xm.x}"),
    "differential": ("unit", 'ports: {word_lines: "w{row}", bit_lines: "b{column}", gate_lines: "g{row}"}', 'state: {node: "x{row}_{column}"}'),
    "sense_amplifier": ("unit", 'ports: {word_lines: "w{row}", bit_lines: "b{column}", gate_lines: "g{row}"}', 'state: {node: "xc{row}_{column}.xm.x", parameter: "x{row}_{column}"}'),
}  # fmt: skip

Edit = Callable[..., Path]


@pytest.fixture
def edited(tmp_path: Path) -> Edit:
    """Return a function that copies an example with edits of its scenario (and of its netlist)."""

    def make(example: str, *pairs: tuple[str, str], netlist: tuple[str, str] | None = None) -> Path:
        for file in NETLISTS.glob(f"{example}.*"):
            shutil.copy(file, tmp_path)
        path = tmp_path / f"{example}.yaml"
        for file, edits in ((path, pairs), (tmp_path / f"{example}.cir", (netlist,) if netlist else ())):
            text = file.read_text()
            for old, new in edits:
                assert old in text
                text = text.replace(old, new)
            file.write_text(text)
        return path

    return make


def refusal(path: Path) -> str:
    """Return the sentence with which a scenario is refused, without the file in front."""
    with pytest.raises(InputError) as raised:
        cosim.run(cosim.load(path))
    assert raised.value.exit_code == 2
    text = str(raised.value)
    assert "\n" not in text
    return text.partition(".yaml:")[2]


MISMATCHES = [
    ("port of a cell", "memristor", ("word: top", "word: tip"), "ports: the subcircuit 'memristor' has no port 'tip'; its ports are: bottom, top"),
    ("port that is left", "one_transistor", (", gate: gate}", "}"), "ports: nothing is connected to the port 'gate' of the subcircuit 'cell'; name it, or close the circuit inside"),
    ("port named twice", "memristor", ("bit: bottom", "bit: top"), "ports: must name every port once, but 'top' is named twice"),
    ("port of another kind", "memristor", ("word: top, bit", "row: top, bit"), "ports: must name word and bit (and gate) for a subcircuit that stands for one cell, or word_lines and bit_lines (and gate_lines) for one that stands for the array, not bit, row"),
    ("port pattern", "differential", ('"w{row}"', "w0"), "ports.word_lines: must be a pattern with {row}, such as 'w{row}', not 'w0'"),
    ("port of a line", "differential", ("rows: 4", "rows: 5"), "ports: the subcircuit 'unit' has no port 'w4', which a 5 x 2 array needs"),
    ("gate of bare cells", "one_transistor", ("{kind: 1T1R, access_resistance: 340 ohm, gate_voltage: 1.8 V}", "{kind: 1R}"), "ports.gate: the cells are 1R, which have no gate line; set hardware.cell.kind to 1T1R"),
    ("gates not named", "differential", (', gate_lines: "g{row}"', ""), "ports.gate_lines: must be named, since the cells are 1T1R"),
    ("state node", "memristor", ("node: x,", "node: y,"), "state.node: there is no node 'y' in the subcircuit 'memristor'"),
    ("state node inside", "one_transistor", ("xm.x", "xz.x"), "state.node: there is no instance 'xz' in the subcircuit 'cell', as 'xz.x' says"),
    ("state node of a pattern", "sense_amplifier", ("xm.x", "xm.y"), "state.node: there is no node 'y' in the subcircuit 'device'"),
    ("state at a line", "memristor", ("node: x,", "node: top,"), "state.node: 'top' is a line's port, so it cannot hold the state"),
    ("state missing", "one_transistor", ("      state: {node: xm.x}\n", ""), "state: must name the node that holds the state, since the device mss moves"),
    ("state scale", "memristor", ("parameter: start}", "parameter: start, scale: 0}"), "state.scale: must be finite and not zero, not 0"),
    ("parameter", "one_transistor", ("{w: 1.44e-6}", "{width: 1.44e-6}"), "parameters: the subcircuit 'cell' has no parameter 'width'; its parameters are: w"),
    ("parameter of the state", "memristor", ("parameter: start", "parameter: begin"), "parameters: the subcircuit 'memristor' has no parameter 'begin'; its parameters are: r_off, r_on, start, tau, v_reset, v_set, v_t"),
    ("parameter of a pattern", "sense_amplifier", ('parameter: "x{row}', 'parameter: "y{row}'), "has no parameter 'y{row}_{column}'"),
    ("subcircuit", "memristor", ("subcircuit: memristor", "subcircuit: memristr"), "subcircuit: there is no '.subckt memristr' in 'memristor.cir'; the subcircuits are: memristor"),
    ("file", "memristor", ("memristor.cir", "nothing.cir"), "there is no file 'nothing.cir' in the scenario's folder"),
    ("file elsewhere", "memristor", ("memristor.cir", "../memristor.cir"), "'../memristor.cir' must lie in the scenario's folder; copy it there and name it relative to it"),
    ("no netlist", "memristor", ("      netlist: memristor.cir\n", ""), "'subcircuit' needs the key 'netlist'"),
    ("another backend", "memristor", ("kind: ngspice", "kind: behavioral"), "a netlist is for the backends ngspice and paired, not behavioral"),
]  # fmt: skip


@pytest.mark.parametrize(("example", "edit", "sentence"), [case[1:] for case in MISMATCHES], ids=[case[0] for case in MISMATCHES])  # fmt: skip
def test_what_does_not_fit_is_refused_with_one_sentence(
    edited: Edit, example: str, edit: tuple[str, str], sentence: str
) -> None:
    found = refusal(edited(example, edit))
    assert sentence in found
    assert "tiles.t" in found


ATTACKS = [
    ("inside the subcircuit", ("cx x 0", ".control\nshell touch owned\n.endc\ncx x 0"), "a card must be one of"),
    ("in a comment", ("cx x 0", "*# shell touch owned\ncx x 0"), None),
    ("by a code model", ("cx x 0", "a1 x cosim\ncx x 0"), "an element must be one of"),
    ("in a parameter", ("tau=10u", "tau=`touch owned`"), "not allowed outside of an expression"),
    ("in an expression", ("{tau}", "{shell(tau)}"), "the word 'shell' is not allowed"),
    ("by an include", ("cx x 0", ".include ../../etc/passwd\ncx x 0"), "an included file must exist inside of the folder"),
    ("by an included file", ("cx x 0", ".include evil.inc\ncx x 0"), "a card must be one of"),
    ("by an external source", ("cx x 0", "vx x 0 external\ncx x 0"), "the word 'external' is not allowed"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("edit", "sentence"), [case[1:] for case in ATTACKS], ids=[case[0] for case in ATTACKS]
)
def test_attacks_are_refused(
    edited: Edit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, edit: tuple[str, str], sentence: str | None
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "evil.inc").write_text(".control\nshell touch owned\n.endc\n")
    short = (", pulses: terminated, longest: 64", ", max_pulses: 0")
    path = edited("memristor", ("parameters: {r_on: 1.0e+5, r_off: 1.0e+6}", ""), short, netlist=edit)
    if sentence is None:
        cosim.run(cosim.load(path), backend=None)
    else:
        assert sentence in refusal(path)
    assert not list(tmp_path.rglob("owned"))


def test_parameter_values_are_numbers(edited: Edit) -> None:
    with pytest.raises(CosimError, match=r"parameters\.r_on"):
        cosim.load(edited("memristor", ("r_on: 1.0e+5", 'r_on: "1; shell touch owned"')))
    with pytest.raises(CosimError, match="parameters"):
        cosim.load(edited("memristor", ("r_on: 1.0e+5", '"r on": 1')))


def test_a_netlist_of_36_transistors_runs() -> None:
    text = (NETLISTS / "sense_amplifier.cir").read_text()
    cells, amplifiers = text.count("\nxc"), text.count("\nxa")
    assert cells + 5 * amplifiers == 36
    result = cosim.run(cosim.load(NETLISTS / "sense_amplifier.yaml"))
    assert result.summary["operations"][0]["error"]["rms_relative"] < 0.02
    assert set(result.trace.frame("phases").applied) == {"netlist+netlist_energy"}


@pytest.mark.parametrize("example", ["one_transistor", "sense_amplifier"])
def test_examples_agree_with_their_twins(example: str) -> None:
    check = cosim.validate(cosim.load(NETLISTS / f"{example}.yaml"))
    assert check.passed
    assert check.content["phases_checked"] >= 3


def run(path: Path) -> Result:
    return cosim.run(cosim.load(path))


def test_a_device_behind_the_access_device_of_the_cell(edited: Edit) -> None:
    gated = ("{kind: 1R}", "{kind: 1T1R, access_resistance: 5 kohm}")
    short = (", pulses: terminated, longest: 64", ", max_pulses: 1")
    path = edited("memristor", gated, short)
    theirs = run(path).trace.frame("phases")
    ours = cosim.run(cosim.load(path), backend="behavioral").trace.frame("phases")
    for column in ("delivered_j", "access_j", "wires_j", "cells_j"):
        assert np.allclose(theirs[column], ours[column], rtol=2e-3, atol=1e-3 * ours.delivered_j.max())
    assert theirs.kcl_residual.max() < 1e-6


def test_a_netlist_without_twin_is_not_compared(edited: Edit) -> None:
    path = edited("sense_amplifier", ("subcircuit: unit", "subcircuit: unit\n        twin: false"))
    with pytest.raises(InputError, match=r"there is nothing to compare: .* \(twin: false\)"):
        cosim.validate(cosim.load(path))


def test_a_saved_run_names_its_copy_of_the_netlist(tmp_path: Path) -> None:
    result = run(NETLISTS / "sense_amplifier.yaml")
    result.save(tmp_path / "out")
    copy = cosim.load(tmp_path / "out" / "scenario.resolved.yaml")
    again = cosim.run(copy)
    assert again.summary["operations"][0]["values"] == result.summary["operations"][0]["values"]


def test_the_deck_of_a_phase_can_be_written(cli: Callable[..., object]) -> None:
    answer = cli("netlist", NETLISTS / "one_transistor.yaml", "--phase", "0")
    assert getattr(answer, "code", None) == 0
    assert ".subckt cell word bit gate" in getattr(answer, "out", "")


def test_stop_conditions_work_on_a_netlist(edited: Edit) -> None:
    if probe().engine != "pyspice":
        pytest.skip("stop conditions need libngspice and PySpice")
    small = ("rows: 2, columns: 3", "rows: 1, columns: 3"), (", [0.2, 0.8, 0.4]", "")
    fewer = ("[[1, 0.5], [0, 1]]", "[[1]]")
    path = edited("one_transistor", ("adaptive-width}", "terminated, longest: 64}"), *small, fewer)
    operation = run(path).summary["operations"][0]
    assert operation["converged"] == 3
    assert operation["pulses"] <= 4
