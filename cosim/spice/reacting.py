"""The cards of drivers that a stop condition may ramp: external sources, one for each distinct waveform."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from cosim.crossbar.backend import PhaseRequest
from cosim.crossbar.drive import StopCondition, Waveform
from cosim.crossbar.stopping import plateau_fs
from cosim.spice.frame import source_name
from cosim.spice.graph import Graph
from cosim.spice.lockstep import FLAG, RESOLUTION, Watch
from cosim.units import seconds


@dataclass(frozen=True)
class ReactingDrives:
    """Cards and saves that are added to a deck, the nets that need no other source, the corners of their waves."""

    cards: tuple[str, ...]
    saves: tuple[str, ...]
    nets: frozenset[str]
    corners_fs: tuple[int, ...]
    watch: Watch | None


NOTHING_REACTS: Final = ReactingDrives((), (), frozenset(), (), None)


def reacting_drives(request: PhaseRequest, graph: Graph) -> ReactingDrives:
    """Return the external sources of a phase with stop conditions.

    Nets of one waveform that the same conditions ramp hang on one external source, each through a
    source of 0 V that measures its current.
    """
    phase, driven = request.phase, graph.driven
    sources: dict[tuple[Waveform, tuple[int, ...]], str] = {}
    first: dict[str, str] = {}
    cards: list[str] = []
    nets: set[str] = set()
    for net, node in driven.items():
        conditions = tuple(k for k, stop in enumerate(phase.stops) if net in stop.nets)
        wave = phase.drives[net]
        if not conditions or (
            wave.is_level and all(phase.stops[k].level == wave.voltages[0] for k in conditions)
        ):
            continue
        name = sources.setdefault((wave, conditions), f"ext{len(sources)}")
        if f"v{name}" not in first:
            first[f"v{name}"] = net
            cards.append(f"v{name} {name} 0 external")
        cards.append(f"v{source_name(node)} {node} {name} dc 0")
        nets.add(net)
    cards.append(f"v{FLAG} {FLAG} 0 external")
    corners = {t for net in nets for t in phase.drives[net].times_fs if 0 < t < phase.duration_fs}
    vectors = tuple(_vector(stop, graph) for stop in phase.stops)
    watch = Watch(phase, first, vectors, RESOLUTION * seconds(plateau_fs(phase)))
    return ReactingDrives(tuple(cards), (f"v({FLAG})",), frozenset(nets), tuple(sorted(corners)), watch)


def _vector(stop: StopCondition, graph: Graph) -> tuple[str, float] | None:
    """Return the vector that a condition watches and its factor, or None where nothing conducts."""
    if stop.quantity == "voltage":
        return (f"v({graph.nets[stop.net]})", 1.0) if stop.net in graph.nets else None
    node = graph.driven.get(stop.net)
    return (f"i(v{source_name(node)})", -1.0) if node is not None else None
