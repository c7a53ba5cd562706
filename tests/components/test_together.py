"""Array phases answered together are those answered one by one: same times, same records, same energies."""

from __future__ import annotations

import numpy as np
import pytest

from cosim.components.adc import Adc
from cosim.components.dac import Dac
from cosim.components.driver import Driver
from cosim.components.quantizer import ConverterErrors
from cosim.components.sense import Sense
from cosim.components.tile import PHASE_KINDS
from cosim.crossbar import Cell, find
from cosim.crossbar.read_forms import read_forms
from cosim.devices import Resistor, find_preset
from cosim.hardware import ArraySpec, Hardware, WireSpec
from cosim.records import Trace
from cosim.system import Read, System

G = np.random.default_rng(3).uniform(1e-6, 2e-5, (6, 9))
G[2, 3] = 0.0
EXACT = {"phases": ("duration_fs", "start_fs", "kind", "tile"), "busy": None}


def run(parts: Hardware, coding: str, fidelity: str, together: bool, signed: bool = False) -> System:
    system = System(Trace(), 5)
    for name in ("a", "b"):
        backend = find("behavioral")(fidelity=fidelity)
        system.add_tile(name, parts, dict.fromkeys(PHASE_KINDS, backend), G)
    inputs = np.random.default_rng(2).integers(-255 if signed else 0, 256, (12, 6)) / 255
    system.run([Read(("a", "b"), inputs, 0.2, None, None, coding, None, together)])
    return system


def parts(kind: str = "1R", **changes: object) -> Hardware:
    wires = WireSpec(word_line=30.0, bit_line=20.0, capacitance=1e-16)
    spec = {"adc": Adc(bits=10, count=2), "dac": Dac(bits=4), **changes}
    return Hardware(ArraySpec(6, 9, wires), Resistor(), Cell(kind), **spec)  # type: ignore[arg-type]


@pytest.mark.parametrize("fidelity", ["resistive", "ideal"])
@pytest.mark.parametrize("coding", ["amplitude", "bit-serial"])
@pytest.mark.parametrize(
    "hardware",
    [
        parts(), parts("1T1R"), parts(sense=Sense(kind="integrator", holds=2)),
        parts(sense=Sense(kind="voltage-divider", gain=2e3)), parts(adc=Adc(count=3, shared="system", arbitration="round-robin")),
        parts(adc=Adc(errors=ConverterErrors(noise=1e-3))),
        parts(dac=Dac(bits=5, range=(-0.2, 0.2)), driver=Driver(output_resistance=3e4)),
    ],
    ids=["1R", "1T1R", "integrator", "divider", "shared", "noise", "signed"],
)  # fmt: skip
def test_same_trace(hardware: Hardware, coding: str, fidelity: str) -> None:
    signed = hardware.dac.range[0] < 0
    together, single = (run(hardware, coding, fidelity, mode, signed) for mode in (True, False))
    assert {row[17] for row in together.trace.phases} == {"still+together"}
    assert all("together" not in row[17] for row in single.trace.phases)
    assert together.trace.end_fs == single.trace.end_fs
    assert list(together.trace.busy) == list(single.trace.busy)
    compare(together.trace, single.trace)
    for tile, energy in single.trace.cell_energies.items():
        assert together.trace.cell_energies[tile] == pytest.approx(energy, rel=1e-8, abs=energy.max() * 1e-10)


def compare(together: Trace, single: Trace) -> None:
    for field in ("start_fs", "duration_fs", "kind", "tile", "backend", "operation"):
        assert np.array_equal(together.phases.column(field), single.phases.column(field))
    for field in ("delivered_j", "absorbed_j", "cells_j", "access_j", "wires_j", "terminations_j"):
        a, b = (trace.phases.column(field) for trace in (together, single))
        assert a == pytest.approx(b, rel=1e-8, abs=single.phases.column("delivered_j").max() * 1e-10)
    keys = [
        [row[:5] for row in trace.energies if row[3] not in ("numerical", "driver sink")]
        for trace in (together, single)
    ]
    assert keys[0] == keys[1]
    for field in ("code", "saturated", "vector", "tile", "column", "step"):
        assert np.array_equal(together.conversions.column(field), single.conversions.column(field))
    for field in ("current_a", "value_a"):
        a, b = (trace.conversions.column(field) for trace in (together, single))
        assert a == pytest.approx(b, rel=1e-8, abs=np.abs(b).max() * 1e-9)
    a, b = (trace.values.column("value") for trace in (together, single))
    assert a == pytest.approx(b, rel=1e-8, abs=np.abs(b).max() * 1e-9)


def test_the_balance_closes() -> None:
    system = run(parts("1T1R"), "bit-serial", "resistive", together=True)
    phases = system.trace.phases
    assert np.abs(phases.column("numerical_j")).max() < 1e-12 * phases.column("delivered_j").max()


def test_cells_that_move_are_asked_one_by_one() -> None:
    hardware = Hardware(ArraySpec(6, 9), find_preset("mss-firm"), Cell("1R"))
    system = System(Trace(), 5)
    system.add_tile("t", hardware, dict.fromkeys(PHASE_KINDS, find("behavioral")()), np.full((6, 9), 5e-6))
    system.run([Read(("t",), np.ones((12, 6)), 0.2, None, None)])
    assert all("together" not in row[17] for row in system.trace.phases)


def test_few_reads_are_asked_one_by_one() -> None:
    system = System(Trace(), 5)
    system.add_tile("t", parts(), dict.fromkeys(PHASE_KINDS, find("behavioral")()), G)
    system.run([Read(("t",), np.ones((6, 6)), 0.2, None, None)])
    assert all("together" not in row[17] for row in system.trace.phases)


def test_what_else_is_wired_has_no_forms() -> None:
    import dataclasses

    array = parts().network("t").arrays[0]
    assert read_forms(array, G, G) is not None
    top = dataclasses.replace(array, top=tuple(f"t{k}" for k in range(9)))
    assert read_forms(top, G, G) is None
    assert read_forms(dataclasses.replace(array, bottom=None), G, G) is None
