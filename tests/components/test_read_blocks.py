"""Products in blocks make the very records of products run event by event: every row of every table, in its order."""

from __future__ import annotations

import numpy as np
import pytest

from cosim import system as system_module
from cosim.components import read_blocks
from cosim.components.adc import Adc
from cosim.components.dac import Dac
from cosim.components.mux import Mux
from cosim.components.quantizer import ConverterErrors
from cosim.components.sense import Sense, SenseErrors
from cosim.components.tile import PHASE_KINDS
from cosim.crossbar import Cell, find
from cosim.devices import DeviceModel, Mss, Resistor
from cosim.hardware import ArraySpec, Hardware, WireSpec
from cosim.mapping.encoding import Decoding
from cosim.records import Trace
from cosim.system import Read, System, Wait

ROWS, COLUMNS, VECTORS = 6, 9, 14
PLAIN = Adc(bits=10, count=4)


def hardware(device: DeviceModel | None = None, cell: str = "1R", **parts: object) -> Hardware:
    """Return a tile of 6x9 cells whose columns no 2 or 4 converters divide."""
    wires = WireSpec(word_line=30.0, bit_line=20.0, capacitance=1e-16)
    made = {"adc": PLAIN, "dac": Dac(bits=4), **parts}
    return Hardware(ArraySpec(ROWS, COLUMNS, wires), device or Resistor(), Cell(cell), **made)  # type: ignore[arg-type]


def run(
    parts: Hardware, coding: str, *, tiles: tuple[str, ...] = ("a", "b"), change: float = 0.0,
    decoding: Decoding | None = None,
) -> System:  # fmt: skip
    """Run products, a pause, and the same products again."""
    low, high = (float(np.mean(end)) for end in parts.device.conductance_range())
    low, high = max(low, 1e-6), min(high, 1e-3)
    made = System(Trace(), 5)
    for k, name in enumerate(tiles):
        map_ = np.random.default_rng(k).uniform(low, high, (ROWS, COLUMNS))
        made.add_tile(name, parts, dict.fromkeys(PHASE_KINDS, find("behavioral")()), map_)
    inputs = np.random.default_rng(2).integers(0, 256, (VECTORS, ROWS)) / 255
    inputs[3] = 0.0
    read = Read(tiles, inputs, 0.2, decoding, None, coding, group_change=change)
    made.run([read, Wait(10**9), read])
    return made


def both(
    monkeypatch: pytest.MonkeyPatch, longest: int, *args: object, **kwargs: object
) -> tuple[System, System]:
    """Return the system run in blocks of at most ``longest`` phases, and event by event."""
    ran = []
    in_blocks = read_blocks.multiply_in_blocks
    monkeypatch.setattr(read_blocks, "LONGEST", longest)
    monkeypatch.setattr(system_module, "multiply_in_blocks", lambda *a: ran.append(1) or in_blocks(*a))
    blocks = run(*args, **kwargs)  # type: ignore[arg-type]
    assert ran == [1, 1]
    monkeypatch.setattr(system_module, "in_blocks", lambda *_: False)
    events = run(*args, **kwargs)  # type: ignore[arg-type]
    assert ran == [1, 1]
    return blocks, events


def same(first: System, second: System) -> None:
    """Check that two runs recorded the same, to the last digit and in the same order."""
    for one, other in zip(first.trace.tables, second.trace.tables, strict=True):
        assert len(one) == len(other)
        for a, b in zip(one, other, strict=True):
            assert tuple(map(repr, a)) == tuple(map(repr, b))
    assert repr(first.trace.operations) == repr(second.trace.operations)
    assert first.trace.end_fs == second.trace.end_fs
    assert first.trace.formulas == second.trace.formulas
    assert list(first.trace.capacities.items()) == list(second.trace.capacities.items())
    for name, tile in first.tiles.items():
        assert np.array_equal(tile.state, second.tiles[name].state)
        assert np.array_equal(tile.cell_energy, second.tiles[name].cell_energy)


@pytest.mark.parametrize("longest", [5, 4096])
@pytest.mark.parametrize("coding", ["amplitude", "bit-serial"])
@pytest.mark.parametrize(
    "parts",
    [
        hardware(),
        hardware(cell="1T1R", adc=Adc(count=4, assignment="fixed", mux=Mux(delay=1e-9, energy=1e-14))),
        hardware(adc=Adc(kind="pipeline", bits=6, count=2, assignment="fixed")),
        hardware(adc=Adc(kind="ideal", count=3)),
        hardware(adc=Adc(count=20)),
        hardware(adc=Adc(bits=6, count=2, errors=ConverterErrors(noise=1e-3, dither="triangular", inl=0.5))),
        hardware(sense=Sense(kind="integrator", hold_leakage=1e-12, errors=SenseErrors(noise=1e-4, mismatch=1e-3))),
        hardware(sense=Sense(kind="voltage-divider", gain=2e3, swing=0.01)),
    ],
    ids=["plain", "mux", "pipeline", "ideal", "more than columns", "noise", "integrator", "divider"],
)  # fmt: skip
def test_the_same_records(
    parts: Hardware, coding: str, longest: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    same(*both(monkeypatch, longest, parts, coding))


@pytest.mark.parametrize("longest", [5, 4096])
@pytest.mark.parametrize("tiles", [("a",), ("a", "b")])
def test_cells_that_move(tiles: tuple[str, ...], longest: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The state after every group, with the time between its reads, is that of single events."""
    parts = hardware(Mss(tau=1e-6), sense=Sense(settling=20e-9))
    blocks, events = both(monkeypatch, longest, parts, "bit-serial", tiles=tiles, change=0.001)
    assert events.trace.operations[0].details["grouped_reads"]["a"]["groups"] > 3
    same(blocks, events)


def test_adders_behind_every_vector(monkeypatch: pytest.MonkeyPatch) -> None:
    decoding = Decoding((1.0, 4.0, 16.0), 1e-6, 1e-5, slices=3)
    blocks, events = both(monkeypatch, 5, hardware(), "bit-serial", tiles=("a", "b", "c"), decoding=decoding)
    assert sum(row[0] == "a.shift_and_add" for row in events.trace.busy) == 2 * VECTORS
    same(blocks, events)


def test_tables_beyond_a_block_of_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where rows are many they are stored as columns at once."""
    monkeypatch.setattr("cosim.records._FEW", 1)
    same(*both(monkeypatch, 7, hardware(), "bit-serial"))


@pytest.mark.parametrize(
    "parts",
    [
        hardware(sense=Sense(holds=2)),
        hardware(sense=Sense(kind="comparator", gain=1e4)),
        hardware(adc=Adc(count=4, shared="system")),
        hardware(adc=Adc(count=4, arbitration="round-robin")),
    ],
    ids=["holds", "comparator", "shared", "arbitrated"],
)  # fmt: skip
def test_what_runs_event_by_event(parts: Hardware, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(system_module, "multiply_in_blocks", never)
    system = run(parts, "bit-serial")
    assert {row[17] for row in system.trace.phases} == {"still+together"}
