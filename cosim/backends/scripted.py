"""A backend from a callable: for tests, for teaching, and as the proof that the seam is small."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, final

import numpy as np

from cosim.crossbar.backend import CrossbarBackend, Energy, PhaseRequest, PhaseResult, Samples
from cosim.crossbar.network import Network


def nothing_happens(request: PhaseRequest) -> PhaseResult:
    """Return a result in which no state moves and no current flows."""
    nets = request.network.nets
    strobes = request.phase.strobes_fs
    zeros = np.zeros(len(nets))
    samples = Samples(strobes, nets, np.zeros((len(strobes), len(nets))), np.zeros((len(strobes), len(nets))))
    cells = tuple(np.zeros(array.shape) for array in request.network.arrays)
    energy = Energy(zeros, zeros, cells, 0.0, 0.0, 0.0)
    return PhaseResult(
        request.states,
        request.node_voltages,
        request.phase.duration_fs,
        samples,
        zeros,
        energy,
        0.0,
        ("scripted",),
        net_voltages=request.net_voltages,
    )


@final
class ScriptedBackend(CrossbarBackend):
    """Answers every request with ``script(request)``."""

    name: ClassVar[str] = "scripted"

    def __init__(self, script: Callable[[PhaseRequest], PhaseResult] = nothing_happens) -> None:
        self._script = script

    def run(self, request: PhaseRequest) -> PhaseResult:
        return self._script(request)

    def settling_refusal(self, network: Network) -> str | None:
        return "a script does not say when lines have settled, so no read can be self-timed; give sense.strobe a time"
