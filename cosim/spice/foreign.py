"""A user's subcircuit in the place of cosim's own circuit: what it is, and whether it fits.

It stands for one cell at every crossing (ports ``word``, ``bit`` and, with an access transistor, ``gate``) or
for the whole unit crossbar (``word_lines``, ``bit_lines``, ``gate_lines``, patterns with ``{row}`` and
``{column}``). A state node, at a port or inside, holds the state of a cell as its voltage times a scale.
The text passes `cosim.spice.guard`; everything that does not fit is one sentence.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Final

from cosim.crossbar.network import Network
from cosim.errors import NetlistRefusedError
from cosim.spice.guard import guard_netlist

OF_A_CELL: Final = ("word", "bit", "gate")
OF_AN_ARRAY: Final = ("word_lines", "bit_lines", "gate_lines")
_NODE: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]*(\.[A-Za-z][A-Za-z0-9_]*)*")
_NEEDED: Final = {"word_lines": ("{row}",), "bit_lines": ("{column}",), "gate_lines": ("{row}",)}


@dataclass(frozen=True)
class Definition:
    """A ``.subckt``: ports and parameters by lower-case name, and the lines of its body."""

    name: str
    ports: tuple[str, ...]
    parameters: frozenset[str]
    body: tuple[str, ...]


@dataclass(frozen=True)
class ForeignState:
    """The node that holds the state of a cell: voltage times ``scale``; ``parameter`` takes its initial voltage.

    Without a parameter the initial voltage is set from outside (``.ic``), for which the capacitor of the
    node must have no ``ic`` of its own.
    """

    node: str
    parameter: str | None = None
    scale: float = 1.0


@dataclass(frozen=True)
class ForeignCircuit:
    """A guarded netlist with the subcircuit that is used of it; see `read_circuit`."""

    text: str
    definition: Definition
    ports: Mapping[str, str]
    state: ForeignState | None
    parameters: Mapping[str, float] = field(default_factory=dict)

    @property
    def whole(self) -> bool:
        """Whether it stands for the whole crossbar."""
        return "word_lines" in self.ports

    @cached_property
    def sha256(self) -> str:
        """Hash of everything that determines it."""
        content = [self.text, self.definition.name, repr(sorted(self.ports.items()))]
        content += [repr(self.state), repr(sorted(self.parameters.items()))]
        return hashlib.sha256("\n".join(content).encode()).hexdigest()

    def mismatch(self, network: Network) -> str | None:
        """Return why it does not fit a network, or None."""
        try:
            self._check(network)
        except NetlistRefusedError as error:
            return str(error)
        return None

    def _check(self, network: Network) -> None:
        if len(network.arrays) != 1:
            raise NetlistRefusedError("a netlist stands for one array, but the network joins several")
        if any(network.capacitance.values()):
            raise NetlistRefusedError(
                "a netlist holds the capacitance of its nets itself; leave out the capacitance of the network's nets"
            )
        array = network.arrays[0]
        if not array.cell.linear:
            raise NetlistRefusedError(
                "a netlist brings its own access devices or stands behind a switch; leave out cell.transistor, and choose another cell.kind than 1S1R"
            )
        gate = "gate_lines" if self.whole else "gate"
        if gate in self.ports and array.gates is None:
            raise NetlistRefusedError(
                f"ports.{gate}: the cells are {array.cell.kind}, which have no gate line; set hardware.cell.kind to 1T1R"
            )
        if self.whole and array.gates is not None and gate not in self.ports:
            raise NetlistRefusedError(
                f"ports.gate_lines: must be named, since the cells are {array.cell.kind}"
            )
        if array.device.moves and self.state is None:
            raise NetlistRefusedError(
                f"state: must name the node that holds the state, since the device {array.device.name} moves"
            )
        if self.whole:
            self._check_lines(array.rows, array.columns)

    def _check_lines(self, rows: int, columns: int) -> None:
        """Raise unless the patterns name every port of the subcircuit once for this shape."""
        used = list(self.line_ports(rows, columns).values())
        missing = [port for port in used if port not in self.definition.ports]
        if missing:
            raise NetlistRefusedError(
                f"ports: the subcircuit '{self.definition.name}' has no port '{missing[0]}', which a {rows} x {columns} array needs"
            )
        states = self.state_nodes(rows, columns)
        _check_connected(self.definition, [*used, *states])
        for node in states:
            _check_node(self.text, self.definition, node)

    def line_ports(self, rows: int, columns: int) -> dict[tuple[str, int], str]:
        """Return the port of every line, by (``word_lines`` ..., number)."""
        counts = {"word_lines": rows, "bit_lines": columns, "gate_lines": rows}
        return {
            (role, k): expanded(pattern, k, k)
            for role, pattern in self.ports.items()
            for k in range(counts[role])
        }

    def state_nodes(self, rows: int, columns: int) -> list[str]:
        """Return the state node of every cell of a whole crossbar, row by row."""
        if self.state is None:
            return []
        return [expanded(self.state.node, i, j) for i in range(rows) for j in range(columns)]


def expanded(pattern: str, row: int, column: int) -> str:
    """Return a name of a pattern with ``{row}`` and ``{column}``, in lower case."""
    return pattern.replace("{row}", str(row)).replace("{column}", str(column)).lower()


def read_circuit(
    text: str,
    *,
    name: str,
    folder: Path | None,
    subcircuit: str,
    ports: Mapping[str, str],
    state: Mapping[str, object] | None = None,
    parameters: Mapping[str, float] | None = None,
) -> ForeignCircuit:
    """Return the circuit of a netlist text.

    Parameters
    ----------
    text, name, folder
        The netlist, what error sentences call it, and the folder of its includes.
    subcircuit : str
        The ``.subckt`` that is used.
    ports : mapping
        Which port is which line: see the module.
    state : mapping, optional
        ``node``, and where wanted ``parameter`` and ``scale``: see `ForeignState`.
    parameters : mapping, optional
        Values of parameters of the subcircuit.

    Raises
    ------
    NetlistRefusedError
        For text that the guard refuses, and for names that are not there.
    """
    guarded = guard_netlist(text, folder=folder, name=name)
    known = definitions(guarded)
    if subcircuit.lower() not in known:
        there = ", ".join(sorted(known)) or "none"
        raise NetlistRefusedError(
            f"subcircuit: there is no '.subckt {subcircuit}' in '{name}'; the subcircuits are: {there}"
        )
    definition = known[subcircuit.lower()]
    lower = {role: port.lower() for role, port in ports.items()}
    _check_roles(lower)
    held = _state(state)
    given = {key.lower(): float(value) for key, value in (parameters or {}).items()}
    circuit = ForeignCircuit(guarded, definition, lower, held, given)
    wanted = [*given, *([held.parameter] if held is not None and held.parameter else [])]
    _check_parameters(circuit, wanted)
    if not circuit.whole:
        _check_cell(circuit)
    return circuit


def definitions(text: str) -> dict[str, Definition]:
    """Return the subcircuits of a guarded text by lower-case name."""
    found: dict[str, Definition] = {}
    stack: list[tuple[list[str], list[str]]] = []
    for line in text.splitlines():
        tokens = re.sub(r"\s*=\s*", "=", re.sub(r"params:", " ", line, flags=re.IGNORECASE)).lower().split()
        if tokens and tokens[0] == ".subckt":
            stack.append((tokens[1:], []))
        elif tokens and tokens[0] == ".ends" and stack:
            head, body = stack.pop()
            plain = [token for token in head if "=" not in token]
            own = frozenset(token.partition("=")[0] for token in head if "=" in token)
            found[plain[0]] = Definition(plain[0], tuple(plain[1:]), own, tuple(body))
        elif stack:
            stack[-1][1].append(line.lower())
    return found


def _check_roles(ports: Mapping[str, str]) -> None:
    for roles in (OF_A_CELL, OF_AN_ARRAY):
        if set(roles[:2]) <= set(ports) <= set(roles):
            break
    else:
        raise NetlistRefusedError(
            "ports: must name word and bit (and gate) for a subcircuit that stands for one cell, or word_lines and bit_lines"
            f" (and gate_lines) for one that stands for the array, not {', '.join(sorted(ports)) or 'nothing'}"
        )
    for role, port in ports.items():
        for mark in _NEEDED.get(role, ()):
            if mark not in port:
                raise NetlistRefusedError(
                    f"ports.{role}: must be a pattern with {mark}, such as 'w{mark}', not '{port}'"
                )
    names = list(ports.values())
    twice = next((port for port in names if names.count(port) > 1), None)
    if twice is not None:
        raise NetlistRefusedError(f"ports: must name every port once, but '{twice}' is named twice")


def _state(given: Mapping[str, object] | None) -> ForeignState | None:
    if given is None:
        return None
    node, parameter, scale = given.get("node"), given.get("parameter"), float(str(given.get("scale", 1.0)))
    if not isinstance(node, str) or _NODE.fullmatch(expanded(node, 0, 0)) is None:
        raise NetlistRefusedError(f"state.node: must be the name of a node, such as x or x1.x, not {node!r}")
    if not 0 < abs(scale) < 1e30:
        raise NetlistRefusedError(f"state.scale: must be finite and not zero, not {scale:g}")
    return ForeignState(node.lower(), str(parameter).lower() if parameter is not None else None, scale)


def _check_parameters(circuit: ForeignCircuit, wanted: Sequence[str]) -> None:
    declared = circuit.definition.parameters
    for parameter in wanted:
        if expanded(parameter, 0, 0) not in declared:
            there = ", ".join(sorted(declared)) or "none"
            raise NetlistRefusedError(
                f"parameters: the subcircuit '{circuit.definition.name}' has no parameter '{parameter}'; its parameters are: {there}"
            )


def _check_cell(circuit: ForeignCircuit) -> None:
    definition, used = circuit.definition, list(circuit.ports.values())
    missing = [port for port in used if port not in definition.ports]
    if missing:
        raise NetlistRefusedError(
            f"ports: the subcircuit '{definition.name}' has no port '{missing[0]}'; its ports are: {', '.join(definition.ports)}"
        )
    states = [circuit.state.node] if circuit.state is not None else []
    if states and states[0] in used:
        raise NetlistRefusedError(f"state.node: '{states[0]}' is a line's port, so it cannot hold the state")
    _check_connected(definition, [*used, *states])
    for node in states:
        _check_node(circuit.text, definition, node)


def _check_connected(definition: Definition, used: Sequence[str]) -> None:
    left = [port for port in definition.ports if port not in used]
    if left:
        raise NetlistRefusedError(
            f"ports: nothing is connected to the port '{left[0]}' of the subcircuit '{definition.name}'; name it, or close the circuit inside"
        )


def _check_node(text: str, definition: Definition, node: str) -> None:
    """Raise unless a node is a port of the subcircuit, or inside of it or of a subcircuit that it holds."""
    known = definitions(text)
    *path, last = node.split(".")
    here = definition
    for step in path:
        inner = next((tokens for tokens in _tokens(here) if tokens[0] == step), None)
        if inner is None or not step.startswith("x") or inner[-1] not in known:
            raise NetlistRefusedError(
                f"state.node: there is no instance '{step}' in the subcircuit '{here.name}', as '{node}' says"
            )
        here = known[inner[-1]]
    if last not in here.ports and all(last not in tokens[1:] for tokens in _tokens(here)):
        raise NetlistRefusedError(f"state.node: there is no node '{last}' in the subcircuit '{here.name}'")


def _tokens(definition: Definition) -> Iterator[list[str]]:
    """Return the elements of a subcircuit as words, without parameters."""
    for line in definition.body:
        words = re.sub(r"\s*=\s*", "=", line.replace("params:", " ")).split()
        yield [word for word in words if "=" not in word] or [words[0]]
