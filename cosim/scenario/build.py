"""A checked scenario to a system with its program; everything that can be refused is refused here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from cosim.components.coding import find_coding
from cosim.components.programming import Programming
from cosim.components.reading import timings
from cosim.components.schemes import Scheme
from cosim.components.tile import PHASE_KINDS, Tile, refusal
from cosim.components.write_verify import ProgrammingPulse
from cosim.crossbar.backend import CrossbarBackend, find
from cosim.crossbar.cell_law import seen_range
from cosim.devices.base import FloatArray
from cosim.errors import CosimError, InputError, ScenarioError
from cosim.hardware import Hardware
from cosim.mapping.encoding import Decoding, differential, single
from cosim.records import Trace
from cosim.scenario.journal import JournalingBackend
from cosim.scenario.load import Scenario
from cosim.scenario.places import KeyPath
from cosim.scenario.schema import BackendSection, ReadStep, Rows, Step, WriteStep
from cosim.scenario.support import Choice, refused, refused_hardware
from cosim.system import HandOver, Operation, Read, System, Wait, Write
from cosim.units import quantity_text, seconds

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
            "workers": min(len(self.scenario.section.tiles), 2),
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
        _check_shape(scenario, inner, start, hardware)
        if np.any(start < 0):
            row, column = (int(k) for k in np.argwhere(start < 0)[0])
            raise scenario.error(
                inner,
                f"element ({row}, {column}) must be a conductance of 0 S or above, not {start[row, column]:g}",
            )
        low, high = (float(np.mean(bound)) for bound in hardware.device.conductance_range())
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


def _check_shape(scenario: Scenario, key: KeyPath, table: FloatArray, hardware: Hardware) -> None:
    rows, columns = hardware.array.rows, hardware.array.columns
    if table.shape != (rows, columns):
        raise scenario.error(
            key,
            f"must have the shape of the array, {rows} rows and {columns} columns, not {table.shape[0]} and {table.shape[1]}",
        )


class _Plans:
    """Turns program steps into operations; remembers which matrix the tiles hold."""

    def __init__(self, scenario: Scenario, system: System, backends: Backends) -> None:
        self.scenario, self.system, self.backends = scenario, system, backends
        self.hardware = scenario.hardware
        self.held: dict[tuple[str, ...], tuple[FloatArray, Decoding]] = {}

    def step(self, index: int, step: Step) -> Operation:
        """Return the operation of one step."""
        key: KeyPath = ("program", index)
        if step.write is not None:
            return self._write((*key, "write"), step.write)
        if step.read is not None:
            return self._read((*key, "read"), step.read)
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
        return Write(jobs)

    def _only(self, key: KeyPath, step: WriteStep, targets: tuple[FloatArray, ...]) -> tuple[FloatArray, ...]:
        """Return the targets of the cells that are written, NaN elsewhere."""
        if step.cells is None:
            return targets
        shape = self.hardware.array.rows, self.hardware.array.columns
        wanted = np.zeros(shape, dtype=np.bool_)
        for position, cell in enumerate(step.cells):
            if not all(0 <= at < most for at, most in zip(cell, shape, strict=True)):
                raise self.scenario.error(
                    (*key, "cells", position),
                    f"there is no cell {list(cell)}; rows go from 0 to {shape[0] - 1}, columns from 0 to {shape[1] - 1}",
                )
            wanted[cell] = True
        return tuple(np.where(wanted, part, np.nan) for part in targets)

    def _targets(self, key: KeyPath, step: WriteStep) -> tuple[FloatArray, ...]:
        self.held = {tiles: held for tiles, held in self.held.items() if not set(tiles) & set(step.tiles)}
        if (step.matrix is None) == (step.conductance is None):
            found = "neither" if step.matrix is None else "both"
            raise self.scenario.error(key, f"must have either 'matrix' or 'conductance', but has {found}")
        low, high = self._visible_range()
        if step.conductance is not None:
            inner = (*key, "conductance")
            table = self.scenario.matrix(inner, step.conductance)
            _check_shape(self.scenario, inner, table, self.hardware)
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
        _check_shape(self.scenario, inner, matrix, self.hardware)
        if not 0 <= step.headroom < 1:
            raise self.scenario.error(
                (*key, "headroom"), f"must lie between 0 % and 100 %, not {step.headroom * 100:g} %"
            )
        encoding = step.encoding or ("differential" if len(step.tiles) == 2 else "single")
        wanted = 2 if encoding == "differential" else 1
        if len(step.tiles) != wanted:
            raise self.scenario.error(
                (*key, "tiles"), f"encoding {encoding} needs {wanted} tiles, not {len(step.tiles)}"
            )
        encode = differential if encoding == "differential" else single
        try:
            encoded = encode(matrix, low, low + (1 - step.headroom) * (high - low))
        except InputError as error:
            raise self.scenario.error(inner, str(error)) from None
        self.held[tuple(step.tiles)] = (matrix, encoded.decoding)
        return encoded.parts

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

    def _pulses(self, key: KeyPath, step: WriteStep) -> tuple[ProgrammingPulse, ProgrammingPulse]:
        device = self.hardware.device
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
        if inputs.shape[1] != self.hardware.array.rows:
            raise self.scenario.error(
                inner,
                f"must have one column per word line, {self.hardware.array.rows}, not {inputs.shape[1]}",
            )
        low, high = self.hardware.dac.range
        if np.any(inputs < 0) and low >= 0:
            row, column = (int(k) for k in np.argwhere(inputs < 0)[0])
            raise self.scenario.error(
                inner,
                f"element ({row}, {column}) is {inputs[row, column]:g}, but the DAC's range starts at {low:g} V;"
                " give hardware.dac.range a negative lower end",
            )
        if not low <= 0 < high:
            raise self.scenario.error(
                ("hardware", "dac", "range"), f"must span 0 V for a read, not {low:g} V to {high:g} V"
            )
        full = step.full_scale or self.hardware.dac.calibration.full_scale(inputs)
        volts = min(high, -low if np.any(inputs < 0) else high) / full
        held = self.held.get(tuple(step.tiles))
        decoding = held[1] if held is not None else None
        exact = inputs @ held[0] if held is not None and step.reference == "exact" else None
        profile = None if step.profile is None else self._profile((*key, "profile"), step.profile)
        self._check_coding(key, step)
        return Read(
            tuple(step.tiles), inputs, volts, decoding, exact, step.coding, profile, step.phases == "together"
        )

    def _profile(self, key: KeyPath, given: str | Rows) -> FloatArray:
        table = self.scenario.matrix(key, given)
        if table.shape[1] != self.hardware.array.rows:
            raise self.scenario.error(
                key, f"must have one column per word line, {self.hardware.array.rows}, not {table.shape[1]}"
            )
        return table

    def _check_coding(self, key: KeyPath, step: ReadStep) -> None:
        """Refuse a coding that nobody knows, or that the sense circuit cannot measure."""
        try:
            coding = find_coding(step.coding)
            nothing = np.zeros((1, self.hardware.array.rows))
            for name in step.tiles:
                timings(self.system.tiles[name], coding, coding.encode(self.hardware.dac, nothing))
        except InputError as error:
            raise self.scenario.error((*key, "coding"), str(error)) from None
