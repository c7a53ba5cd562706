"""What a deck keeps from phase to phase: the circuit, its fixed cards, and where numbers go.

A frame depends on the network, on which nets are driven, on which cells are live or still and on the
temperature, and not on states, waveforms or times. Frames are cached, so a phase that repeats the
pattern of an earlier one only writes its numbers.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from cosim.crossbar.access import SeriesElement
from cosim.crossbar.network import CrossbarArray, Network
from cosim.devices.base import Parameter, Subcircuit
from cosim.errors import UnsupportedRequestError
from cosim.spice.graph import Graph, Mask, Site, build_graph
from cosim.units import spice

OPTIONS: Final[Mapping[str, float]] = {"reltol": 1e-6, "trtol": 1, "vntol": 1e-9}
"""Options that gave a state error below 1e-6 on write pulses; a model may add to them or replace them."""
CHARGE_TOLERANCE_V: Final = 1e-6
"""Accepted error of the voltage of a line or net [V]; ngspice's own tolerance of 1e-14 C ignores lines of a femtofarad."""

Blank = tuple[str, tuple[str, ...]]
"""Card and commands of a slot, without its numbers."""


Positions = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Cells:
    """Live or still cells of one array: their places, and the columns of their saved vectors.

    ``word``, ``bit`` and ``device`` are (cells,), ``state`` (cells, state variables); ``device`` is the
    node between device and access device, equal to ``bit`` where there is none.
    """

    rows: Positions
    columns: Positions
    word: Positions
    bit: Positions
    device: Positions
    state: Positions

    @property
    def place(self) -> tuple[Positions, Positions]:
        """Index of the cells in an array ``(rows, columns)``."""
        return self.rows, self.columns

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True, eq=False)
class Frame:
    """The fixed part of a deck. ``live`` and ``still`` are its cells, with their blank cards beside them."""

    graph: Graph
    body: tuple[str, ...]
    saves: tuple[str, ...]
    options: tuple[str, ...]
    live: tuple[Site, ...]
    live_blanks: tuple[Blank, ...]
    twins: tuple[Subcircuit | None, ...]
    access: tuple[SeriesElement | None, ...]
    still: tuple[Site, ...]
    still_blanks: tuple[Blank, ...]

    @cached_property
    def structure(self) -> str:
        """Hash of everything here."""
        parts = [*self.body, *self.saves, *self.options, repr(self.live_blanks), repr(self.still_blanks)]
        parts += [repr(capacitor) for capacitor in self.graph.charged]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    @cached_property
    def index(self) -> Mapping[str, int]:
        """Column of every saved vector."""
        return {name: at for at, name in enumerate(self.saves)}

    @cached_property
    def branch_places(self) -> tuple[Positions, Positions]:
        """Columns of the voltages at both ends of every branch."""
        first = [self.index[f"v({branch.first})"] for branch in self.graph.branches]
        second = [self.index[f"v({branch.second})"] for branch in self.graph.branches]
        return np.array(first, dtype=np.intp), np.array(second, dtype=np.intp)

    @cached_property
    def branch_resistances(self) -> NDArray[np.float64]:
        """Total, wire and termination resistance of every branch [ohm], (3, branches)."""
        parts = [(branch.total, branch.wire, branch.termination) for branch in self.graph.branches]
        return np.array(parts, dtype=np.float64).reshape(-1, 3).T

    @cached_property
    def live_cells(self) -> tuple[Cells, ...]:
        """The live cells of each array."""
        return tuple(self._cells(index, self.live, live=True) for index in range(len(self.twins)))

    @cached_property
    def still_cells(self) -> tuple[Cells, ...]:
        """The still cells of each array."""
        return tuple(self._cells(index, self.still, live=False) for index in range(len(self.twins)))

    def _cells(self, index: int, sites: Sequence[Site], live: bool) -> Cells:
        here = [site for site in sites if site.array == index]
        twin, column = self.twins[index], self.index
        between = parted(self.access[index], live)
        nodes = [state_nodes(site, twin) if twin is not None and live else [] for site in here]

        count = len(twin.state_nodes) if twin is not None and live else 0

        def positions(names: Sequence[str]) -> Positions:
            return np.array([column[f"v({name})"] for name in names], dtype=np.intp)

        return Cells(
            rows=np.array([site.row for site in here], dtype=np.intp),
            columns=np.array([site.column for site in here], dtype=np.intp),
            word=positions([site.word for site in here]),
            bit=positions([site.bit for site in here]),
            device=positions([device_node(site) if between else site.bit for site in here]),
            state=np.array([positions(names) for names in nodes], dtype=np.intp).reshape(len(here), count),
        )


@lru_cache(maxsize=32)
def make_frame(
    network: Network,
    driven: tuple[str, ...],
    live: tuple[bytes, ...],
    still: tuple[bytes, ...],
    temperature: float,
    klu: bool,
) -> Frame:
    """Return the frame of all phases with this pattern.

    ``live`` and ``still`` are the bytes of one mask ``(rows, columns)`` per array. Raises
    `UnsupportedRequestError` where the circuit cannot be written.
    """
    pairs = list(zip(network.arrays, live, still, strict=True))
    lives = [_mask(array, bits) for array, bits, _ in pairs]
    graph = build_graph(
        network, driven, [_mask(array, bits) | lives[k] for k, (array, _, bits) in enumerate(pairs)]
    )
    twins = [_twin(array, temperature) if lives[k].any() else None for k, array in enumerate(network.arrays)]
    moving = tuple(site for site in graph.sites if lives[site.array][site.row, site.column])
    fixed = tuple(site for site in graph.sites if not lives[site.array][site.row, site.column])
    access = [array.cell.access for array in network.arrays]
    split = tuple(
        site
        for site in graph.sites
        if parted(access[site.array], bool(lives[site.array][site.row, site.column]))
    )
    return Frame(
        graph=graph,
        body=tuple(_body(twins, access, graph, split, temperature)),
        saves=tuple(_saves(twins, graph, moving, split)),
        options=_options(twins, graph, temperature, klu),
        live=moving,
        live_blanks=tuple(_live_blank(site, twins[site.array], access[site.array]) for site in moving),
        twins=tuple(twins),
        access=tuple(access),
        still=fixed,
        still_blanks=tuple(_still_blank(site, access[site.array]) for site in fixed),
    )


def _mask(array: CrossbarArray, bits: bytes) -> Mask:
    return np.frombuffer(bits, dtype=np.bool_).reshape(array.shape)


def _twin(array: CrossbarArray, temperature: float) -> Subcircuit | None:
    return array.device.subcircuit(temperature)


def _options(
    twins: Sequence[Subcircuit | None], graph: Graph, temperature: float, klu: bool
) -> tuple[str, ...]:
    values = dict(OPTIONS)
    if graph.charged:
        smallest = min(capacitor.capacitance for capacitor in graph.charged)
        values["chgtol"] = CHARGE_TOLERANCE_V * smallest
    for twin in twins:
        values.update(twin.options if twin is not None else {})
    written = [f"{name}={value:g}" for name, value in values.items()]
    return (*written, f"temp={temperature - 273.15:.6f}", *(("klu",) if klu else ()))


def parted(access: SeriesElement | None, live: bool) -> bool:
    """Return whether a cell has a node between device and access device: not where both are one resistor."""
    return access is not None and (live or not access.linear)


def _body(
    twins: Sequence[Subcircuit | None],
    access: Sequence[SeriesElement | None],
    graph: Graph,
    split: Sequence[Site],
    temperature: float,
) -> Iterator[str]:
    """Return the cards that do not change: subcircuits, wires, access devices."""
    for index, twin in enumerate(twins):
        if twin is not None:
            yield from twin_text(twin, f"{twin.name}_{index}").splitlines()
    for number, branch in enumerate(graph.branches):
        yield f"rl{number} {branch.first} {branch.second} {spice(branch.total)}"
    for site in split:
        element, near = access[site.array], device_node(site)
        assert element is not None
        if element.linear:
            yield f"ra{tag(site)} {near} {site.bit} {spice(element.resistance)}"
        else:
            law = element.expression(near, site.bit, gate_node(site.array, site.row), temperature)
            yield f"ba{tag(site)} {near} {site.bit} i={law}"


def twin_text(twin: Subcircuit, name: str) -> str:
    """Return the text of a subcircuit under another name, with its uniform parameters written as defaults."""
    text = re.sub(rf"\b{re.escape(twin.name)}\b", name, twin.text)
    head, _, rest = text.partition("\n")
    for parameter, value in twin.parameters.items():
        if np.ndim(value) == 0:
            head = re.sub(rf"\b{parameter}=\S+", f"{parameter}={spice(float(value))}", head)
    return f"{head}\n{rest}"


def tag(site: Site) -> str:
    """Return what the names of a cell's elements and nodes end with."""
    return f"{site.array}_{site.row}_{site.column}"


def device_node(site: Site) -> str:
    """Return the node between the device and the access device of a live cell."""
    return f"d{tag(site)}"


def gate_node(array: int, row: int) -> str:
    """Return the node of a gate line whose voltage an access device depends on."""
    return f"g{array}_{row}"


def state_nodes(site: Site, twin: Subcircuit) -> list[str]:
    """Return the nodes that hold the state of a live cell."""
    return [f"s{node.lower()}_{tag(site)}" for node in twin.state_nodes]


def _live_blank(site: Site, twin: Subcircuit | None, access: SeriesElement | None) -> Blank:
    """Return the card of a live cell, with room for its initial states, and the commands that set them."""
    assert twin is not None
    far = device_node(site) if parted(access, live=True) else site.bit
    own = {key: value for key, value in twin.parameters.items() if np.ndim(value) > 0}
    given = "".join(f" {key}={spice(_at(value, site))}" for key, value in own.items())
    initial = "".join(f" {parameter}={{}}" for parameter in twin.initial)
    nodes = " ".join(state_nodes(site, twin))
    card = f"xc{tag(site)} {site.word} {far} {nodes} {twin.name}_{site.array}{given}{initial}"
    return card, tuple(f"alter c.xc{tag(site)}.{element} ic = {{}}" for element in state_elements(twin))


def _at(value: Parameter, site: Site) -> float:
    return float(np.asarray(value)[site.row, site.column])


def _still_blank(site: Site, access: SeriesElement | None) -> Blank:
    far = device_node(site) if parted(access, live=False) else site.bit
    return f"rc{tag(site)} {site.word} {far} {{}}", (f"alter rc{tag(site)} resistance = {{}}",)


def state_elements(twin: Subcircuit) -> list[str]:
    """Return the capacitors of a subcircuit that take its initial values, in the order of the states.

    Raises `UnsupportedRequestError` for a twin that holds a state in anything else.
    """
    found = []
    for parameter in twin.initial:
        pattern = rf"^\s*(c\w*)\s[^\n]*\bic\s*=\s*\{{?{parameter}\}}?\s*$"
        match = re.search(pattern, twin.text, re.IGNORECASE | re.MULTILINE)
        if match is None:
            raise UnsupportedRequestError(
                f"the subcircuit '{twin.name}' has no capacitor with ic={{{parameter}}}"
            )
        found.append(match.group(1).lower())
    return found


def source_name(node: str) -> str:
    """Return the name, without its ``v``, of the source that drives ``node``."""
    return f"_{node}"


def _saves(
    twins: Sequence[Subcircuit | None], graph: Graph, live: Sequence[Site], split: Sequence[Site]
) -> Iterator[str]:
    """Return the vectors that the result is computed from."""
    for node in graph.nodes:
        yield f"v({node})"
    for site in split:
        yield f"v({device_node(site)})"
    for site in live:
        twin = twins[site.array]
        for node in state_nodes(site, twin) if twin is not None else ():
            yield f"v({node})"
    for node in graph.driven.values():
        yield f"i(v{source_name(node)})"
