"""What this machine has, and what is said where something is missing."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from cosim.errors import SpiceMissingError, UnsupportedRequestError
from cosim.spice import engines, machine
from cosim.spice.machine import SpiceMachine


def nothing() -> SpiceMachine:
    return SpiceMachine("", "", "", "", klu=False, osdi=False, xspice=False, engine="")


@pytest.mark.ngspice
def test_probe_knows_this_machine() -> None:
    found = machine.probe()
    assert Path(found.binary).is_file()
    assert found.version[0].isdigit()
    assert found.engine in ("pyspice", "subprocess")
    assert set(found.as_dict()) == {
        "binary",
        "version",
        "library",
        "pyspice",
        "klu",
        "osdi",
        "xspice",
        "engine",
    }


def test_without_ngspice_the_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine.shutil, "which", lambda name: None)
    monkeypatch.setenv("NGSPICE_LIBRARY_PATH", "/nowhere/libngspice.so")
    monkeypatch.setattr(engines, "probe", nothing)
    for name in ("subprocess", "pyspice", "auto"):
        with pytest.raises(SpiceMissingError, match="apt-get install ngspice"):
            engines.engine(name)
    machine.probe.cache_clear()
    try:
        assert machine.probe() == nothing() or machine.probe().engine == ""
    finally:
        machine.probe.cache_clear()


def test_without_pyspice_the_sentence_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "find_library", lambda: "/usr/lib/libngspice.so")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SpiceMissingError, match=r"cosim-crossbar\[spice\]"):
        engines.engine("pyspice")


@pytest.mark.ngspice
def test_a_library_that_cannot_be_loaded_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from cosim.spice.cards import Deck, OperatingPoint

    if not machine.pyspice_version():
        pytest.skip("PySpice is not installed")
    broken = tmp_path / "libngspice.so"
    broken.write_bytes(b"no library")
    monkeypatch.setenv("NGSPICE_LIBRARY_PATH", str(broken))
    each = engines.engine("pyspice")
    try:
        with pytest.raises(SpiceMissingError, match="choose the engine 'subprocess'"):
            each.run(Deck("t", ("v1 a 0 1",), (), ("v(a)",), OperatingPoint()), 10)
    finally:
        each.close()


def test_size_guard_refuses_with_the_numbers() -> None:
    import numpy as np

    from cosim.crossbar import Cell, Phase, PhaseRequest, Segments, pulse, single
    from cosim.devices import Mss
    from cosim.spice.deck import phase_deck
    from cosim.spice.guess import check_size, estimate

    network = single("big", (64, 64), Mss(), Cell(), Segments(2.5, 2.5))
    wave = pulse(0.5, width_fs=10**9, rise_fs=10**6, fall_fs=10**6)
    phase = Phase(
        "write",
        2 * 10**9,
        dict.fromkeys(network.nets, wave) | {"bl0": pulse(0.1, width_fs=10**9, rise_fs=10**6, fall_fs=10**6)},
    )
    plan = phase_deck(PhaseRequest(network, (np.full((64, 64), 0.5),), None, 0, 300.0, phase, 0))
    assert estimate(plan).seconds > 20 > 10 * estimate(plan, klu=True).mesh / 64
    assert estimate(plan, klu=True).seconds < estimate(plan).seconds
    with pytest.raises(
        UnsupportedRequestError, match=r"big 64 x 64 \(4096 live cells.*above the limit of 10 s"
    ):
        check_size(plan, 10.0)


def test_size_guard_counts_the_steps_that_short_edges_force() -> None:
    import numpy as np

    from cosim.crossbar import Cell, Phase, PhaseRequest, Segments, level, pulse, single
    from cosim.devices import Mss
    from cosim.spice.deck import phase_deck
    from cosim.spice.guess import estimate

    network = single("small", (2, 2), Mss(), Cell(), Segments())

    def seconds(edge: int) -> float:
        wave = pulse(0.5, width_fs=10**15, rise_fs=edge, fall_fs=edge)
        drives = dict.fromkeys(network.nets, level(0.0)) | {"wl0": wave}
        phase = Phase("write", 10**15 + 2 * edge, drives)
        return estimate(
            phase_deck(PhaseRequest(network, (np.full((2, 2), 0.5),), None, 0, 300.0, phase, 0))
        ).seconds

    assert seconds(10**12) < 1
    assert seconds(1000) > 1000
