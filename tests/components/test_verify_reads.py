"""Noise-free verify reads: what they see, and that they leave nothing behind."""

from __future__ import annotations

import numpy as np
import pytest

from cosim.components import Adc, Dac, Programming, ProgrammingPulse, Sense, SenseErrors, Tile, Verify
from cosim.components.tile import PHASE_KINDS
from cosim.components.verify_reads import exact_verify
from cosim.crossbar import Cell, find, solve
from cosim.crossbar.access import Mosfet, Selector
from cosim.devices import find_preset
from cosim.devices.variation import Variation
from cosim.hardware import ArraySpec, Hardware, WireSpec
from cosim.records import Trace
from cosim.spice.machine import probe
from cosim.system import Operation, System, Write

SHAPE = (5, 4)
FIRM = find_preset("mss-firm")
G = np.random.default_rng(3).uniform(1.5e-6, 9e-6, SHAPE)
WIRES = WireSpec(200.0, 100.0, 1e-16)


def tile(hardware: Hardware, backend: str = "behavioral", **options: object) -> Tile:
    system = System(Trace(), 5)
    return system.add_tile("t", hardware, dict.fromkeys(PHASE_KINDS, find(backend)(**options)), G)


def hardware(kind: str = "1R", **parts: object) -> Hardware:
    cell = parts.pop("cell", Cell(kind))  # type: ignore[arg-type]
    return Hardware(ArraySpec(*SHAPE, WIRES), FIRM, cell, **parts)  # type: ignore[arg-type]


def test_a_passive_array_is_seen_through_its_wires() -> None:
    """Against the line solver, one driven row after the other."""
    made = hardware()
    seen = exact_verify(tile(made), 0)
    ends = {"r_source": made.driver.output_resistance, "r_sink": made.sense.line_resistance}
    expected = solve(G, np.eye(SHAPE[0]), r_word_line=200.0, r_bit_line=100.0, **ends)
    np.testing.assert_allclose(seen, expected.bit_line_current, rtol=1e-6)
    assert np.all(seen < 0.995 * G)


def test_only_the_rows_asked_for_are_read() -> None:
    part, whole = exact_verify(tile(hardware()), 0, [1, 3]), exact_verify(tile(hardware()), 0)
    assert np.isnan(part[[0, 2, 4]]).all()
    np.testing.assert_array_equal(part[[1, 3]], whole[[1, 3]])


@pytest.mark.parametrize(
    "cell",
    [Cell("1R"), Cell("1T1R"), Cell("1T1R", gate_voltage=1.8, transistor=Mosfet()), Cell("1S1R", selector=Selector())],
    ids=["1R", "1T1R", "transistor", "1S1R"],
)  # fmt: skip
@pytest.mark.skipif(probe().version is None, reason="needs ngspice")
def test_both_backends_see_the_same(cell: Cell) -> None:
    made = hardware(cell=cell)
    behavioral, spice = exact_verify(tile(made), 0), exact_verify(tile(made, "ngspice"), 0)
    np.testing.assert_allclose(behavioral, spice, rtol=1e-4)


def test_nothing_is_left_behind() -> None:
    read = tile(hardware(variation=Variation(c2c=0.03)))
    state, sizes = read.state.copy(), _sizes(read.trace)
    first, second = exact_verify(read, 0), exact_verify(read, 0)
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(read.state, state)
    assert _sizes(read.trace) == sizes
    assert not read.cell_energy.any()


def _sizes(trace: Trace) -> list[int]:
    return [len(table) for table in trace.tables]


def test_converters_and_sense_circuits_have_no_part_in_it() -> None:
    crude = hardware(adc=Adc(bits=2), sense=Sense(errors=SenseErrors(offset=0.05, noise=0.05)))
    np.testing.assert_array_equal(exact_verify(tile(crude), 0), exact_verify(tile(hardware()), 0))


def test_a_bipolar_dac_drives_the_other_rows_a_little_as_in_a_verify_read() -> None:
    seen = exact_verify(tile(hardware(dac=Dac(bits=4, range=(-0.2, 0.2)))), 0)
    assert np.abs(seen / exact_verify(tile(hardware()), 0) - 1).max() > 0.05


def test_a_write_ends_in_its_windows_as_seen_through_the_wires() -> None:
    """Far cells hold more than their targets, by what the wires take."""
    made = Hardware(ArraySpec(8, 8, WireSpec(400.0, 400.0)), FIRM, Cell("1R"))
    system = System(Trace(), 5)
    system.add_tile("t", made, dict.fromkeys(PHASE_KINDS, find("behavioral")()))
    targets = np.random.default_rng(1).uniform(1.5e-6, 7e-6, (8, 8))
    targets[2] = np.nan
    pulse = ProgrammingPulse(0.6, 400e-9)
    rule = Verify(window=0.015, pulses="incremental-amplitude", amplitude_step=0.01, sweeps=5)
    program: list[Operation] = [Write({"t": Programming(targets, "V/3", rule, pulse, pulse, parallel="row")})]
    system.run(program)
    final = system.trace.operations[0].details["final"]["t"]
    assert final["within_window"] > 0.95
    assert final["worst_of_range"] < 0.02
    assert final["without_wires"]["within_window"] < 0.8
    assert final["without_wires"]["worst_of_range"] > 0.03
