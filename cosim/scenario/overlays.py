"""Line currents over time of single phases, from both backends, to lay over one another."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from cosim.crossbar.backend import CrossbarBackend, PhaseRequest, PhaseResult
from cosim.units import seconds

if TYPE_CHECKING:
    from collections.abc import Iterable

POINTS = 120
"""Instants of a waveform, beside the corners of the drives."""


class Entry(Protocol):
    """A phase of a run: its request, and the backend that answered it."""

    tile: str
    request: PhaseRequest
    backend: CrossbarBackend


def overlays(
    entries: Sequence[Entry],
    rows: Sequence[Mapping[str, Any]],
    spice: Callable[[Any, PhaseRequest], PhaseResult],
) -> list[dict[str, Any]]:
    """Return waveforms of the phase of each kind whose line currents differ most.

    ``rows``: the comparison of each entry; ``spice``: what answers an entry's request in ngspice. Each waveform
    has ``phase``, ``tile``, ``kind``, ``net`` (the line with the largest current), ``time_s``, ``voltage_v`` and the
    currents ``behavioral_a`` and ``ngspice_a``. Phases that may end early are left out: their ends differ.
    """
    worst: dict[str, tuple[Entry, Mapping[str, Any]]] = {}
    for entry, row in zip(entries, rows, strict=True):
        kind = entry.request.phase.kind
        if entry.request.phase.stops:
            continue
        if kind not in worst or row["current_relative"] > worst[kind][1]["current_relative"]:
            worst[kind] = (entry, row)
    return [_overlay(entry, row, spice) for _, (entry, row) in sorted(worst.items())]


def _overlay(
    entry: Entry, row: Mapping[str, Any], spice: Callable[[Any, PhaseRequest], PhaseResult]
) -> dict[str, Any]:
    phase = entry.request.phase
    even = (phase.duration_fs * k // POINTS for k in range(1, POINTS))
    request = dataclasses.replace(
        entry.request, phase=dataclasses.replace(phase, strobes_fs=_instants(even, phase.corners_fs(), phase.duration_fs))
    )  # fmt: skip
    one, other = entry.backend.run(request).samples, spice(entry, request).samples
    net = int(np.argmax(np.abs(one.current).max(axis=0)))
    return {
        "phase": row["phase"],
        "tile": entry.tile,
        "kind": phase.kind,
        "net": one.nets[net],
        "time_s": [seconds(instant) for instant in one.times_fs],
        "voltage_v": one.voltage[:, net].tolist(),
        "behavioral_a": one.current[:, net].tolist(),
        "ngspice_a": other.current[:, other.nets.index(one.nets[net])].tolist(),
    }


def _instants(even: Iterable[int], corners: Iterable[int], end: int) -> tuple[int, ...]:
    return tuple(sorted({instant for instant in (*even, *corners) if 0 < instant < end}))
