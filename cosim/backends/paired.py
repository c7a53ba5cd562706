"""Two backends for every phase: the first one's answer is taken, the second one's deviation noted."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar, final

import numpy as np

from cosim.crossbar.backend import CrossbarBackend, Deviation, PhaseRequest, PhaseResult, find
from cosim.crossbar.network import Network


def deviation(request: PhaseRequest, first: PhaseResult, second: PhaseResult) -> Deviation:
    """Return how far ``second`` lies from ``first``; currents are compared at the strobes, else by charge."""
    if first.samples.times_fs:
        a, b = first.samples.current, second.samples.current
    else:
        a, b = first.net_charge, second.net_charge
    scale = float(np.abs(a).max(initial=0.0))
    difference = float(np.abs(a - b).max(initial=0.0))
    state = 0.0
    for array, one, other in zip(request.network.arrays, first.states, second.states, strict=True):
        low, high = array.device.state_bounds()
        if np.isfinite(high):
            state = max(state, float(np.abs(one - other).max()) / (high - low))
    delivered = float(first.energy.delivered.sum())
    gap = abs(delivered - float(second.energy.delivered.sum()))
    largest = float(np.abs(first.samples.current).max(initial=0.0))
    return Deviation(
        difference / scale if scale else 0.0, state, gap / delivered if delivered else 0.0, largest, delivered
    )


@final
class PairedBackend(CrossbarBackend):
    """Asks ``first`` and ``second`` (backend names), answers the first, notes the deviation."""

    name: ClassVar[str] = "paired"
    costly: ClassVar[bool] = True

    def __init__(
        self, first: str = "behavioral", second: str = "ngspice", first_options: dict[str, Any] | None = None,
        second_options: dict[str, Any] | None = None,
    ) -> None:  # fmt: skip
        self._first = find(first)(**(first_options or {}))
        self._second = find(second)(**(second_options or {}))

    def run(self, request: PhaseRequest) -> PhaseResult:
        self._first.forget()  # answers go to the journal: they must not depend on the phases before
        self._second.forget()
        first = self._first.run(request)
        second = self._second.run(request)
        noted = deviation(request, first, second)
        return dataclasses.replace(first, applied=(*first.applied, "paired"), deviation=noted)

    def refusal(self, network: Network, kind: str) -> str | None:
        return self._first.refusal(network, kind) or self._second.refusal(network, kind)

    def stop_refusal(self, network: Network) -> str | None:
        return self._first.stop_refusal(network) or self._second.stop_refusal(network)

    def settling_refusal(self, network: Network) -> str | None:
        return self._first.settling_refusal(network)

    def unrecorded(self) -> CrossbarBackend:
        return self._first.unrecorded()

    def describe(self) -> dict[str, Any]:
        return {"backend": self.name, "first": self._first.describe(), "second": self._second.describe()}

    def close(self) -> None:
        self._first.close()
        self._second.close()
