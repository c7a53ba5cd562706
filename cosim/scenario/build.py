"""A checked scenario to a system with its program; everything that can be refused is refused here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from cosim.components.coding import find_coding
from cosim.components.dac import Dac
from cosim.components.programming import Programming
from cosim.components.read_path import ReadPath
from cosim.components.reading import timings
from cosim.components.schemes import Scheme
from cosim.components.tile import PHASE_KINDS, Tile, refusal
from cosim.components.write_verify import ProgrammingPulse
from cosim.crossbar.backend import CrossbarBackend, find
from cosim.crossbar.cell_law import seen_range
from cosim.devices.base import FloatArray
from cosim.errors import CosimError, InputError, ScenarioError
from cosim.hardware import Hardware
from cosim.mapping.encoding import Decoding, Encoded, differential, paired, single, sliced
from cosim.records import Trace
from cosim.rng import stream
from cosim.scenario import plan_operations
from cosim.scenario.journal import JournalingBackend
from cosim.scenario.load import Scenario, dotted
from cosim.scenario.places import KeyPath
from cosim.scenario.schema import BackendSection, PlaceStep, ReadStep, Step, TargetSection, WriteStep
from cosim.scenario.schema_operations import UpdateStep
from cosim.scenario.support import PAIRS, Choice, refused, refused_hardware
from cosim.scenario.table import RANDOM, Rows
from cosim.system import HandOver, Operation, Place, Read, System, Wait, Write
from cosim.units import quantity_text, seconds

LANES = "lanes"
"""What kT-RAM lanes are called where tiles have their names."""

Wrap = Callable[[str, CrossbarBackend], CrossbarBackend]
"""Puts something around the backend of a tile (name of the tile, its backend)."""


@dataclass(slots=True)
class Backends:
    """The backends of a run: one of each kind and options, shared by the tiles, closed at the end."""

    scenario: Scenario
    override: str | None = None
    decks: Path | None = None
    journal: Path | None = None
    resume: bool = False
    wrap: Wrap | None = None
    engine: str | None = None
    made: dict[str, CrossbarBackend] = field(default_factory=dict)

    def of(
        self, tile: str, sections: Mapping[str, BackendSection], fidelity: str, key: KeyPath
    ) -> dict[str, CrossbarBackend]:
        """Return the backend of each phase kind of a tile."""
        chosen = {kind: self._one(sections[kind], fidelity, (*key, kind)) for kind in PHASE_KINDS}
        if self.wrap is not None:
            wrapped = {id(backend): self.wrap(tile, backend) for backend in chosen.values()}
            chosen = {kind: wrapped[id(backend)] for kind, backend in chosen.items()}
        return chosen

    def of_lanes(self, fidelity: str, lines: str) -> CrossbarBackend:
        """Return the backend of all kT-RAM lanes at fidelity physical or spice; ``lines``: fidelity of the behavioral one."""
        section = BackendSection(kind="ngspice" if fidelity == "spice" else "behavioral")
        backend = self._one(section, lines, ("ktram", "core", "fidelity"))
        return backend if self.wrap is None else self.wrap(LANES, backend)

    def _one(self, section: BackendSection, fidelity: str, key: KeyPath) -> CrossbarBackend:
        name = self.override or section.kind
        options = self._options(name, section, fidelity, key)
        label = f"{name} {sorted(options.items(), key=str)}"
        if label not in self.made:
            try:
                backend = find(name)(**options)
            except CosimError as error:
                raise self.scenario.error(self.scenario.document.known(key), str(error)) from None
            if self.journal is not None and backend.costly:
                backend = JournalingBackend(backend, self.journal, resume=self.resume)
            self.made[label] = backend
        return self.made[label]

    def _options(self, name: str, section: BackendSection, fidelity: str, key: KeyPath) -> dict[str, Any]:
        spice = self.scenario.section.spice
        ngspice: dict[str, Any] = {
            "engine": self.engine or section.engine or spice.engine, "retries": spice.retries, "deadline_s": spice.deadline,
            "keep": str(self.decks) if self.decks is not None else None,
            "workers": max(1, min(len(self.scenario.section.tiles), 2)),
        }  # fmt: skip
        if section.netlist is not None and name in ("ngspice", "paired"):
            ngspice["netlist"] = netlist_options(self.scenario, section, key)
        behavioral = {"fidelity": section.fidelity or fidelity}
        if name == "ngspice":
            return ngspice
        if name == "behavioral":
            return dict(behavioral)
        if name == "paired":
            return {"first_options": behavioral, "second_options": ngspice}
        return {}

    def describe(self) -> list[dict[str, Any]]:
        """Return what the manifest says about every backend."""
        return [backend.describe() for backend in self.made.values()]

    def close(self) -> None:
        """Close every backend."""
        for backend in self.made.values():
            backend.close()


def netlist_options(scenario: Scenario, section: BackendSection, key: KeyPath) -> dict[str, Any]:
    """Return the option of the ngspice backend that puts a user's subcircuit in the place of cells or array."""
    assert section.netlist is not None
    place = scenario.document.known((*key, "netlist"))
    return {
        "text": scenario.netlist(place, section.netlist), "name": section.netlist, "folder": scenario.folder,
        "subcircuit": section.subcircuit, "ports": section.ports, "parameters": section.parameters,
        "state": section.state.model_dump() if section.state is not None else None,
    }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Built:
    """A system that is ready to run."""

    system: System
    program: list[Operation]
    backends: Backends


def build(scenario: Scenario, trace: Trace, backends: Backends) -> Built:
    """Return the system and program of a scenario.

    Raises `ScenarioError` with the place of the entry that cannot be done.
    """
    system = System(trace, scenario.seed)
    hardware = scenario.hardware
    try:
        for name in scenario.section.tiles:
            _add_tile(scenario, system, hardware, backends, name)
        plans = _Plans(scenario, system, backends)
        program = [plans.step(index, step) for index, step in enumerate(scenario.section.program)]
    except BaseException:
        backends.close()
        raise
    return Built(system, program, backends)


def _add_tile(scenario: Scenario, system: System, hardware: Hardware, backends: Backends, name: str) -> None:
    section = scenario.section.tiles[name]
    key: KeyPath = ("tiles", name)
    rule = refused_hardware(hardware.cell, hardware.variation)
    if rule is not None:
        raise scenario.error(rule.key, rule.sentence)
    _check_fidelity(scenario, hardware, (*key, "backend"), name, section.backend)
    chosen = backends.of(name, section.backend, section.fidelity, (*key, "backend"))
    start = None
    if section.conductance is not None:
        inner = (*key, "conductance")
        start = scenario.matrix(inner, section.conductance)
        _check_shape(scenario, inner, start, hardware.shape)
        if np.any(start < 0):
            row, column = (int(k) for k in np.argwhere(start < 0)[0])
            raise scenario.error(
                inner,
                f"element ({row}, {column}) must be a conductance of 0 S or above, not {start[row, column]:g}",
            )
        low, high = hardware.device.mean_conductance_range()
        if hardware.device.moves and np.any((start < 0.999 * low) | (start > 1.001 * high)):
            row, column = (int(k) for k in np.argwhere((start < 0.999 * low) | (start > 1.001 * high))[0])
            raise scenario.error(
                inner,
                f"element ({row}, {column}) is {start[row, column]:g} S, outside of what device {hardware.device.name}"
                f" can hold ({low:g} S to {high:g} S); use the device model resistor for a map that is only read",
            )
    try:
        system.add_tile(name, hardware, chosen, start, charged=section.fidelity == "rc")
    except ScenarioError:
        raise
    except CosimError as error:
        raise scenario.error((*key, "backend"), str(error)) from None


def _check_fidelity(
    scenario: Scenario, hardware: Hardware, key: KeyPath, name: str, sections: Mapping[str, BackendSection]
) -> None:
    """Refuse to mix charged lines with quasi-static ones in a tile, and charged lines without capacitance."""
    tile = scenario.section.tiles[name].fidelity
    for kind, section in sections.items():
        own = section.fidelity or tile
        if (own == "rc") != (tile == "rc"):
            raise scenario.error(
                scenario.document.known((*key, kind, "fidelity")),
                f"fidelity {own} does not fit fidelity {tile} of tile {name}: its lines either hold charge in all "
                "phases or in none; give the tile and its backends the same",
            )
    if tile == "rc" and hardware.array.wires.segment(hardware.temperature)[2] == 0:
        raise scenario.error(
            ("tiles", name, "fidelity"),
            "fidelity rc needs wires with capacitance, but hardware.array.wires.capacitance is ideal; give it a value such "
            "as 0.1 fF",
        )


def _check_shape(scenario: Scenario, key: KeyPath, table: FloatArray, shape: tuple[int, int]) -> None:
    rows, columns = shape
    if table.shape != (rows, columns):
        of = ", one for each bit line" if columns != scenario.hardware.array.columns else ""
        raise scenario.error(
            key,
            f"must have the shape of the array, {rows} rows and {columns} columns{of}, not {table.shape[0]} and {table.shape[1]}",
        )


class _Plans:
    """Turns program steps into operations; remembers what the tiles hold and how it was written."""

    def __init__(self, scenario: Scenario, system: System, backends: Backends) -> None:
        self.scenario, self.system, self.backends = scenario, system, backends
        self.hardware = scenario.hardware
        self.held: dict[tuple[str, ...], tuple[FloatArray, Decoding]] = {}
        self.written: dict[str, Programming] = {}
        self.stored: dict[str, plan_operations.StoredBits] = {}

    def step(self, index: int, step: Step) -> Operation:
        """Return the operation of one step."""
        key: KeyPath = ("program", index)
        if step.write is not None:
            return self._write((*key, "write"), step.write)
        if step.place is not None:
            return self._place((*key, "place"), step.place)
        if step.read is not None:
            return self._read((*key, "read"), step.read)
        other = self._other(key, step)
        if other is not None:
            return other
        if step.wait is not None:
            if step.wait.duration < 1:
                raise self.scenario.error(
                    (*key, "wait"),
                    f"must be a time above zero, not {quantity_text(seconds(step.wait.duration), 's')}",
                )
            return Wait(step.wait.duration)
        assert step.backend is not None
        inner = (*key, "backend")
        self._check_tiles((*inner, "tiles"), step.backend.tiles)
        chosen = {}
        for name in step.backend.tiles:
            fidelity = self.scenario.section.tiles[name].fidelity
            _check_fidelity(self.scenario, self.hardware, (*inner, "to"), name, step.backend.to)
            chosen[name] = self.backends.of(name, step.backend.to, fidelity, (*inner, "to"))
            self._check_backends((*inner, "to"), self.system.tiles[name], chosen[name])
        return HandOver(chosen)

    def _other(self, key: KeyPath, step: Step) -> Operation | None:
        """Return the operation of a step beside write, place and read on tiles, if it is one."""
        if step.refresh is not None:
            inner = (*key, "refresh")
            self._check_tiles((*inner, "tiles"), step.refresh.tiles)
            return plan_operations.refresh(self.scenario, inner, step.refresh, self.written)
        if step.update is not None:
            inner, name = (*key, "update"), step.update.tile
            tile = self._tile(inner, name)
            self.written.pop(name, None)
            self.stored.pop(name, None)
            self.held = {tiles: held for tiles, held in self.held.items() if name not in tiles}
            return plan_operations.update(
                self.scenario, inner, step.update, tile, self._pulses(inner, step.update)
            )
        if step.read_word is not None:
            inner, name = (*key, "read_word"), step.read_word.tile
            return plan_operations.read_word(
                self.scenario, inner, step.read_word, self._tile(inner, name), self.stored.get(name)
            )
        if step.drive is not None:
            inner = (*key, "drive")
            return plan_operations.drive(self.scenario, inner, step.drive, self._tile(inner, step.drive.tile))
        return None

    def _tile(self, key: KeyPath, name: str) -> Tile:
        if name not in self.system.tiles:
            known = ", ".join(self.system.tiles)
            raise self.scenario.error((*key, "tile"), f"there is no tile '{name}'; the tiles are {known}")
        return self.system.tiles[name]

    def _check_backends(self, key: KeyPath, tile: Tile, chosen: Mapping[str, CrossbarBackend]) -> None:
        for kind, backend in chosen.items():
            reason = refusal(tile.network, kind, backend, tile.periphery.sense.self_timed)
            if reason is not None:
                raise self.scenario.error(key, reason)

    def _check_tiles(self, key: KeyPath, names: list[str]) -> None:
        for position, name in enumerate(names):
            if name not in self.system.tiles:
                known = ", ".join(self.system.tiles)
                raise self.scenario.error(
                    (*key, position), f"there is no tile '{name}'; the tiles are {known}"
                )
        if len(set(names)) != len(names):
            raise self.scenario.error(key, "must name every tile once")

    def _write(self, key: KeyPath, step: WriteStep) -> Operation:
        self._check_tiles((*key, "tiles"), step.tiles)
        targets = self._only(key, step, self._targets(key, step))
        scheme = self._supported(key, step)
        set_pulse, reset_pulse = self._pulses(key, step)
        jobs = {
            name: Programming(
                part, scheme, step.verify, set_pulse, reset_pulse, step.unselected, step.parallel
            )
            for name, part in zip(step.tiles, targets, strict=True)
        }
        for name, job in jobs.items():
            tile = self.system.tiles[name]
            reason = tile.backends["write"].stop_refusal(tile.network) if job.reacts else None
            if reason is not None:
                raise self.scenario.error(("tiles", name, "backend"), reason)
        self._remember(step, jobs)
        return Write(jobs)

    def _only(self, key: KeyPath, step: WriteStep, targets: tuple[FloatArray, ...]) -> tuple[FloatArray, ...]:
        """Return the targets of the cells that are written, NaN elsewhere."""
        if step.cells is None:
            return targets
        shape = self._cells
        wanted = np.zeros(shape, dtype=np.bool_)
        for position, cell in enumerate(step.cells):
            if not all(0 <= at < most for at, most in zip(cell, shape, strict=True)):
                raise self.scenario.error(
                    (*key, "cells", position),
                    f"there is no cell {list(cell)}; rows go from 0 to {shape[0] - 1}, columns from 0 to {shape[1] - 1}",
                )
            wanted[cell] = True
        wanted = wanted.repeat(self.hardware.cell.bit_lines, axis=1)
        return tuple(np.where(wanted, part, np.nan) for part in targets)

    def _remember(self, step: TargetSection, jobs: Mapping[str, Programming]) -> None:
        """Keep what refresh and read_word need: the last rule and target of every cell, and the bits of tiles."""
        for name, job in jobs.items():
            self.written[name] = plan_operations.merged(self.written.get(name), job)
            self._store(step, name, job.targets)

    def _store(self, step: TargetSection, name: str, targets: FloatArray) -> None:
        """Keep the bits of a tile, or that it holds none any more."""
        if step.bits is None:
            self.stored.pop(name, None)
            return
        low, high = self._visible_range()
        levels = low, low + (1 - step.headroom) * (high - low)
        self.stored[name] = plan_operations.stored(self.stored.get(name), targets, levels)

    def _place(self, key: KeyPath, step: PlaceStep) -> Operation:
        self._check_tiles((*key, "tiles"), step.tiles)
        targets = dict(zip(step.tiles, self._targets(key, step), strict=True))
        for name, part in targets.items():
            self.written.pop(name, None)
            self._store(step, name, part)
        return Place(targets)

    def _targets(self, key: KeyPath, step: TargetSection) -> tuple[FloatArray, ...]:
        self.held = {tiles: held for tiles, held in self.held.items() if not set(tiles) & set(step.tiles)}
        given = [name for name in ("matrix", "conductance", "bits") if getattr(step, name) is not None]
        if len(given) != 1:
            found = " and ".join(f"'{name}'" for name in given) or "none"
            raise self.scenario.error(
                key, f"must have exactly one of 'matrix', 'conductance' and 'bits', but has {found}"
            )
        if not 0 <= step.headroom < 1:
            raise self.scenario.error(
                (*key, "headroom"), f"must lie between 0 % and 100 %, not {step.headroom * 100:g} %"
            )
        low, high = self._visible_range()
        top = low + (1 - step.headroom) * (high - low)
        if step.bits is not None:
            return self._bits((*key, "bits"), step, step.bits, low, top)
        if step.conductance is not None:
            inner = (*key, "conductance")
            table = self.scenario.matrix(inner, step.conductance)
            _check_shape(self.scenario, inner, table, self.hardware.shape)
            outside = (table < low) | (table > high)
            if np.any(outside):
                row, column = (int(k) for k in np.argwhere(outside)[0])
                raise self.scenario.error(
                    inner,
                    f"element ({row}, {column}) must lie between {low:g} S and {high:g} S, not {table[row, column]:g} S",
                )
            return tuple(table for _ in step.tiles)
        inner = (*key, "matrix")
        assert step.matrix is not None
        matrix = self.scenario.matrix(inner, step.matrix)
        _check_shape(self.scenario, inner, matrix, self._cells)
        try:
            encoded = self._encoded(key, step, matrix, low, top)
        except ScenarioError:
            raise
        except InputError as error:
            raise self.scenario.error(inner, str(error)) from None
        self.held[tuple(step.tiles)] = (matrix, encoded.decoding)
        return encoded.parts

    def _bits(
        self, key: KeyPath, step: TargetSection, given: str | Rows, low: float, high: float
    ) -> tuple[FloatArray, ...]:
        """Return the targets of bits, for each tile its own where they are drawn."""
        if self.hardware.cell.bit_lines == 2:
            raise self.scenario.error(key, PAIRS["bits"])
        if given == RANDOM:
            shape = self._cells
            streams = (stream(self.scenario.seed, f"{dotted(key)}/{name}") for name in step.tiles)
            drawn = (rng.permutation(shape[0] * shape[1]).reshape(shape) for rng in streams)
            return tuple(np.where(order < order.size // 2, high, low) for order in drawn)
        table = self.scenario.matrix(key, given)
        wrong = (table != 0) & (table != 1)
        if np.any(wrong):
            row, column = (int(k) for k in np.argwhere(wrong)[0])
            raise self.scenario.error(
                key, f"element ({row}, {column}) must be 0 or 1, not {table[row, column]:g}"
            )
        _check_shape(self.scenario, key, table, self._cells)
        return tuple(np.where(table == 1, high, low) for _ in step.tiles)

    def _encoded(
        self, key: KeyPath, step: TargetSection, matrix: FloatArray, low: float, high: float
    ) -> Encoded:
        slices, count = step.slices, 1 if step.slices is None else step.slices.count
        pairs = self.hardware.cell.bit_lines == 2
        encoding = step.encoding or ("differential" if pairs or len(step.tiles) == 2 * count else "single")
        if pairs and encoding != "differential":
            raise self.scenario.error((*key, "encoding"), PAIRS["encoding"])
        wanted = count * (2 if encoding == "differential" and not pairs else 1)
        if len(step.tiles) != wanted:
            of = " in 2T2R cells" if pairs else ""
            of += "" if slices is None else f" in {count} slices"
            tiles = "tile" if wanted == 1 else "tiles"
            raise self.scenario.error(
                (*key, "tiles"), f"encoding {encoding}{of} needs {wanted} {tiles}, not {len(step.tiles)}"
            )
        if slices is not None:
            encoded = sliced(matrix, low, high, slices, signed=encoding == "differential")
        else:
            encoded = (differential if encoding == "differential" else single)(matrix, low, high)
        return paired(encoded) if pairs else encoded

    @property
    def _cells(self) -> tuple[int, int]:
        """Rows and columns of cells."""
        return self.hardware.array.rows, self.hardware.array.columns

    def _visible_range(self) -> tuple[float, float]:
        hardware = self.hardware
        return seen_range(hardware.device, hardware.cell, hardware.dac.range[1], hardware.temperature)

    def _supported(self, key: KeyPath, step: WriteStep) -> Scheme:
        """Return the scheme of a write that goes together with everything else; see `cosim.scenario.support`."""
        hardware = self.hardware
        scheme: Scheme = step.scheme or ("gate" if hardware.cell.gated else "V/2")
        limits = [pulse.compliance for pulse in (step.set_pulse, step.reset_pulse) if pulse is not None]
        reacts = step.verify.pulses == "terminated" or any(limit is not None for limit in limits)
        rule = refused(
            Choice(
                hardware.device,
                hardware.cell,
                scheme,
                step.verify.pulses,
                step.parallel,
                reacts,
                hardware.sense.kind,
            )
        )
        if rule is not None:
            raise self.scenario.error((*key, *rule.key), rule.sentence)
        return scheme

    def _pulses(
        self, key: KeyPath, step: WriteStep | UpdateStep
    ) -> tuple[ProgrammingPulse, ProgrammingPulse]:
        device = self.hardware.device
        if not device.moves:
            raise self.scenario.error(
                key,
                f"device {device.name} never changes, so it cannot be written; start the tile from a conductance file",
            )
        defaults = device.programming_pulse(self.hardware.temperature)
        chosen = []
        for name, given, position in (("set", step.set_pulse, 0), ("reset", step.reset_pulse, 1)):
            if given is not None:
                chosen.append(given)
            elif defaults is not None:
                chosen.append(ProgrammingPulse(*defaults[position]))
            else:
                raise self.scenario.error(
                    key,
                    f"the key '{name}' is missing: device {device.name} has no default pulse; give amplitude and width",
                )
        return chosen[0], chosen[1]

    def _read(self, key: KeyPath, step: ReadStep) -> Operation:
        self._check_tiles((*key, "tiles"), step.tiles)
        inner = (*key, "inputs")
        inputs = self.scenario.matrix(inner, step.inputs)
        path = self._path(key, step)
        line = "bit line" if step.transposed else "word line"
        if inputs.shape[1] != path.inputs:
            raise self.scenario.error(
                inner, f"must have one column per {line}, {path.inputs}, not {inputs.shape[1]}"
            )
        volts = self._volts_per_input(inner, step, inputs, path.dac)
        held = self.held.get(tuple(step.tiles))
        decoding, exact = None, None
        if held is not None:
            matrix, decoding = held
            exact = inputs @ path.matrix(matrix) if step.reference == "exact" else None
        profile = None if step.profile is None else self._profile((*key, "profile"), step.profile, path, line)
        self._check_coding(key, step, path)
        return Read(
            tuple(step.tiles), inputs, volts, decoding, exact, step.coding, profile, step.phases == "together",
            step.signed, step.transposed, step.group_change,
        )  # fmt: skip

    def _path(self, key: KeyPath, step: ReadStep) -> ReadPath:
        if step.transposed and self.hardware.cell.bit_lines == 2:
            raise self.scenario.error((*key, "transposed"), PAIRS["transposed"])
        try:
            return self.system.tiles[step.tiles[0]].path(step.transposed)
        except InputError as error:
            raise self.scenario.error((*key, "transposed"), str(error)) from None

    def _volts_per_input(self, key: KeyPath, step: ReadStep, inputs: FloatArray, dac: Dac) -> float:
        """Return the voltage of an input of one [V]."""
        low, high = dac.range
        negative = bool(np.any(inputs < 0)) and step.signed == "bipolar"
        where = (
            ("hardware", "transposed", "dac", "range") if step.transposed else ("hardware", "dac", "range")
        )
        if negative and low >= 0:
            row, column = (int(k) for k in np.argwhere(inputs < 0)[0])
            raise self.scenario.error(
                key,
                f"element ({row}, {column}) is {inputs[row, column]:g}, but the DAC's range starts at {low:g} V;"
                f" give {'.'.join(where)} a negative lower end, or the read signed: two-pass",
            )
        if not low <= 0 < high:
            raise self.scenario.error(
                self.scenario.document.known(where), f"must span 0 V for a read, not {low:g} V to {high:g} V"
            )
        return min(high, -low if negative else high) / (step.full_scale or dac.calibration.full_scale(inputs))

    def _profile(self, key: KeyPath, given: str | Rows, path: ReadPath, line: str) -> FloatArray:
        table = self.scenario.matrix(key, given)
        if table.shape[1] != path.inputs:
            raise self.scenario.error(
                key, f"must have one column per {line}, {path.inputs}, not {table.shape[1]}"
            )
        return table

    def _check_coding(self, key: KeyPath, step: ReadStep, path: ReadPath) -> None:
        """Refuse a coding that nobody knows, or that the sense circuit cannot measure."""
        try:
            coding = find_coding(step.coding)
            nothing = coding.encode(path.dac, np.zeros((1, path.inputs)))
            for name in step.tiles:
                tile = self.system.tiles[name]
                timings(tile, coding, nothing, tile.path(step.transposed))
        except InputError as error:
            raise self.scenario.error((*key, "coding"), str(error)) from None
