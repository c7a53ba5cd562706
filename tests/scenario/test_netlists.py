"""The exact deck of a phase, by hand, without ngspice for writing it; and decks of PySpice circuits."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest

from cosim.backends.ngspice import NgspiceBackend
from cosim.crossbar.backend import CrossbarBackend, PhaseRequest, PhaseResult
from cosim.errors import InputError, NetlistRefusedError
from cosim.scenario import load, run
from cosim.scenario.netlists import circuit_deck, decks
from cosim.spice.machine import probe, pyspice_version
from cosim.spice.raw import read_raw

CIRCUIT = """\
import numpy as np
from PySpice.Spice.Netlist import Circuit

from cosim.crossbar import Cell, Segments, single
from cosim.devices import Resistor
from cosim.spice import as_pyspice

network = single("a", (2, 2), Resistor(), Cell(), Segments(2.5, 2.5), r_source=10.0)
circuit = Circuit("bench")
circuit.subcircuit(as_pyspice(network, (np.full((2, 2), 1e-5),)))
circuit.X("1", "crossbar", *network.nets)
circuit.V("a", "wl0", circuit.gnd, 0.2)
circuit.V("b", "wl1", circuit.gnd, 0.1)
circuit.R("load", "bl0", circuit.gnd, 1000)
circuit.V("c", "bl1", circuit.gnd, 0)


def made():
    return circuit


text = ".title theirs\\nr1 a 0 1k\\nv1 a 0 1"
evil = ".title theirs\\nr1 a 0 1k\\n.control\\nshell touch SENTINEL\\n.endc"
"""


def by_hand(folder: Path, text: str):
    """Return the plot that the plain program writes from a deck."""
    (folder / "d.cir").write_text(text)
    words = ["ngspice", "-n", "-b", "-r", "d.raw", "d.cir"]
    subprocess.run(words, cwd=folder, check=True, capture_output=True)
    (plot,) = read_raw(folder / "d.raw")
    return plot


@pytest.mark.ngspice
def test_deck_by_hand_ends_with_the_bits_of_the_engine(cli, scenarios: Path, tmp_path: Path) -> None:
    """The engine's last samples are read from what it saw in a run, not from the deck that is compared."""
    scenario = load(scenarios / "quickstart.yaml")
    kept: list[PhaseRequest] = []

    class StopError(Exception):
        pass

    backend = NgspiceBackend("subprocess")

    class First(CrossbarBackend):
        name = "behavioral"

        def __init__(self, inner: CrossbarBackend) -> None:
            self._inner = inner

        def run(self, request: PhaseRequest) -> PhaseResult:
            kept.append(request)
            if len(kept) > 12:
                raise StopError
            return self._inner.run(request)

    with pytest.raises(StopError):
        run(scenario, backend="behavioral", wrap=lambda tile, inner: First(inner))
    for number in (0, 7, 11):
        answer = cli("netlist", scenarios / "quickstart.yaml", "--phase", number)
        assert answer.code == 0
        plan = backend.deck(kept[number])
        assert answer.out == plan.deck.text()
        vectors = backend._engine.run(plan.deck, 30)
        plot = by_hand(tmp_path, answer.out)
        for name in plan.deck.saves:
            assert plot.column(name)[-1] == vectors.column(name)[-1]
            assert np.array_equal(plot.column(name), vectors.column(name))


def test_deck_is_written_without_ngspice(cosim_process, scenarios: Path, cli, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    answer = cosim_process(
        "netlist", scenarios / "quickstart.yaml", "--phase", "3", PATH=str(empty),
        NGSPICE_LIBRARY_PATH=str(empty / "nix.so"),
    )  # fmt: skip
    assert (answer.code, answer.err) == (0, "")
    if not probe().klu:
        assert answer.out == cli("netlist", scenarios / "quickstart.yaml", "--phase", "3").out


def test_first_phase_that_ngspice_would_answer(scenarios: Path) -> None:
    ((index, text),) = decks(load(scenarios / "handover.yaml"), "")
    assert index > 0
    assert text.startswith("* cosim: read phase, core 4 x 4")


@pytest.mark.parametrize("phase", ["-1", "x", "1.5"])
def test_phase_that_is_not_there(cli, scenarios: Path, phase: str) -> None:
    answer = cli("netlist", scenarios / "quickstart.yaml", f"--phase={phase}")
    assert answer.code == 2
    assert answer.out == ""


@pytest.fixture
def bench(tmp_path: Path) -> Path:
    if not pyspice_version():
        pytest.skip("PySpice is not installed")
    file = tmp_path / "bench.py"
    file.write_text(CIRCUIT.replace("SENTINEL", str(tmp_path / "sentinel")))
    return file


@pytest.mark.ngspice
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["circuit", "made"])
@pytest.mark.parametrize("stop", [None, 1e-6])
def test_circuit_of_pyspice_runs_by_hand(bench: Path, tmp_path: Path, name: str, stop: float | None) -> None:
    """The array, in a circuit of a user's own with a load of 1 kohm on a bit line."""
    text = circuit_deck(f"{bench}:{name}", stop)
    plot = by_hand(tmp_path, text)
    volts = plot.column("v(bl0)")[-1]
    wires = 2.5 + 10.0
    expected = 1e3 * (0.3 / (1e5 + wires)) / (1 + 2e3 / (1e5 + wires))
    assert volts == pytest.approx(expected, rel=1e-3)


@pytest.mark.filterwarnings("ignore")
def test_text_is_a_circuit_and_passes_the_guard(bench: Path, tmp_path: Path) -> None:
    assert circuit_deck(f"{bench}:text").splitlines()[-3:] == [
        ".options reltol=1e-06 trtol=1 vntol=1e-09", ".op", ".end",
    ]  # fmt: skip
    with pytest.raises(NetlistRefusedError, match="control"):
        circuit_deck(f"{bench}:evil")
    assert not (tmp_path / "sentinel").exists()


@pytest.mark.filterwarnings("ignore")
def test_circuit_that_is_not_there(bench: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("import nothing_of_that_name")
    for reference, words in (
        ("bench.py", "must be given as FILE.py:NAME"),
        ("bench:circuit", "must be given as FILE.py:NAME"),
        ("bench.py:a b", "must be given as FILE.py:NAME"),
        (f"{tmp_path}/broken.py:circuit", "broken.py' cannot be run: ModuleNotFoundError: No module"),
        ("nix.py:circuit", "there is no file 'nix.py'"),
        (f"{bench}:nix", "there is no 'nix' in"),
    ):
        with pytest.raises(InputError, match=words):
            circuit_deck(reference)
