"""The size guard: too large is one sentence with the numbers, before the run where that is possible."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cosim.backends.ngspice import NgspiceBackend
from cosim.crossbar import Cell, Network, Phase, PhaseRequest, Segments, level, pulse, single
from cosim.devices import Resistor, find_preset
from cosim.errors import UnsupportedRequestError
from cosim.spice.guess import estimate, estimate_network, network_refusal

FIRM = find_preset("mss-firm")
WIRES = Segments(2.5, 2.5)

SCENARIO = """\
schema_version: 1
name: large
hardware:
  device: {preset: mss-firm}
  cell: {kind: 1R}
  array: {rows: 64, columns: 64, wires: {word_line: 2.5 ohm, bit_line: 2.5 ohm}}
tiles:
  core: {backend: TILE}
program:
STEP  - wait: 1 us
"""


def network(size: int, segments: Segments = WIRES, gated: bool = False) -> Network:
    cell = Cell("1T1R", access_resistance=5e3) if gated else Cell()
    return single("a", (size, size), FIRM, cell, segments)


def expected(size: int, kind: str = "write", segments: Segments = WIRES, gated: bool = False) -> float:
    return estimate_network(network(size, segments, gated), kind).seconds


def test_estimate_follows_the_measurements() -> None:
    """Measured with ngspice 39: 32 x 32 2.8 s, 48 x 48 26 s, 64 x 64 49 to 78 s, one row of a gated array little."""
    assert 1 < expected(32) < 9
    assert 8 < expected(48) < 80
    assert 25 < expected(64) < 160
    assert expected(64, gated=True) < 1
    assert expected(64, segments=Segments()) < 15
    assert expected(64, "read") <= expected(64)
    assert estimate_network(network(64), "write", klu=True).seconds < 20


@pytest.mark.parametrize("kind", ["read", "write"])
@pytest.mark.parametrize("gated", [False, True])
@pytest.mark.parametrize("segments", [Segments(), WIRES], ids=["none", "R"])
def test_estimate_before_a_phase_agrees_with_that_of_a_usual_phase(
    kind: str, gated: bool, segments: Segments
) -> None:
    n = 24
    wave = pulse(0.75, width_fs=10**8, rise_fs=2 * 10**6, fall_fs=2 * 10**6)
    lines = range(n)
    drives = {f"wl{i}": wave if kind == "read" or i == 1 else level(0.0) for i in lines}
    drives |= {f"bl{j}": level(0.0) for j in lines}
    if gated:
        drives |= {f"gl{i}": level(1.8 if kind == "read" or i == 1 else 0.0) for i in lines}
    phase = Phase(kind, 11 * 10**7, drives, (5 * 10**7,))
    net = network(n, segments, gated)
    request = PhaseRequest(net, (np.full((n, n), 0.5),), None, 0, 300.0, phase, 0)
    seen = estimate(NgspiceBackend("none").deck(request))
    guessed = estimate_network(net, kind)
    assert guessed.seconds == pytest.approx(seen.seconds, rel=1.0)
    assert guessed.mesh == seen.mesh


def test_sentence_has_the_numbers_and_the_way_out() -> None:
    sentence = str(network_refusal(network(64), "write", 30.0))
    assert sentence.startswith("a write phase of a 64 x 64 (4096 live cells, 8192 nodes) needs about ")
    assert "above the limit of 30 s" in sentence
    assert "'cosim validate' on an array of 48 x 48" in sentence
    assert sentence.endswith("or raise spice.deadline")
    assert "an array of 24 x 24" in str(network_refusal(network(64), "write", 3.0))
    assert network_refusal(network(64), "write", 300.0) is None
    tiny = str(network_refusal(network(8), "write", 1e-3))
    assert "let the behavioral backend answer it, or" in tiny


def test_limit_is_a_quarter_of_the_deadline() -> None:
    assert NgspiceBackend("none").refusal(network(64), "write") is not None
    assert NgspiceBackend("none", deadline_s=600).refusal(network(64), "write") is None
    assert NgspiceBackend("none", limit_s=600).refusal(network(64), "write") is None
    assert NgspiceBackend("none").refusal(network(64, gated=True), "write") is None
    assert (
        NgspiceBackend("none").refusal(single("a", (64, 64), Resistor(), Cell(), Segments()), "read") is None
    )


def test_phase_is_refused_as_well() -> None:
    net = network(8)
    drives = {f"{kind}{k}": level(0.7 if kind == "wl" else 0.0) for kind in ("wl", "bl") for k in range(8)}
    request = PhaseRequest(net, (np.full((8, 8), 0.5),), None, 0, 300.0, Phase("write", 10**8, drives), 0)
    with pytest.raises(
        UnsupportedRequestError, match=r"a write phase of a 8 x 8 \(64 live cells.* limit of 0\.01 s"
    ):
        NgspiceBackend("none", limit_s=0.01).run(request)


@pytest.mark.ngspice
@pytest.mark.parametrize("command", ["run", "check"])
@pytest.mark.parametrize(
    ("tile", "step", "place"),
    [
        ("ngspice", "", "large.yaml:8:10: tiles.core.backend: a read phase of core 64 x 64"),
        ("paired", "", "large.yaml:8:10: tiles.core.backend: a read phase of core 64 x 64"),
        ("{write: ngspice}", "", "large.yaml:8:10: tiles.core.backend: a write phase of core 64 x 64"),
        (
            "behavioral",
            "  - backend: {tiles: [core], to: ngspice}\n",
            "large.yaml:10:30: program.0.backend.to: a read phase of core 64 x 64",
        ),
    ],
)
def test_large_array_is_refused_when_the_scenario_is_built(
    cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str, tile: str, step: str, place: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("large.yaml").write_text(SCENARIO.replace("TILE", tile).replace("STEP", step))
    answer = cli(command, "large.yaml")
    assert answer.code == 2
    assert answer.err.startswith(place)
    assert answer.err.count("\n") == 1
    assert not Path("out").exists()
