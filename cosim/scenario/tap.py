"""A backend that shows every request, and its result, to a function on the way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, final

from cosim.crossbar.backend import CrossbarBackend, PhaseRequest, PhaseResult
from cosim.crossbar.network import Network


@final
class Tap(CrossbarBackend):
    """Passes requests on.

    ``before`` is called with each request before it is answered, ``after`` with request and result; what they raise
    ends the run.
    """

    name: ClassVar[str] = "tap"

    def __init__(
        self,
        inner: CrossbarBackend,
        before: Callable[[PhaseRequest], None] | None = None,
        after: Callable[[PhaseRequest, PhaseResult], None] | None = None,
    ) -> None:
        self._inner, self._before, self._after = inner, before, after

    def run(self, request: PhaseRequest) -> PhaseResult:
        if self._before is not None:
            self._before(request)
        result = self._inner.run(request)
        if self._after is not None:
            self._after(request, result)
        return result

    def refusal(self, network: Network, kind: str) -> str | None:
        return self._inner.refusal(network, kind)

    def stop_refusal(self, network: Network) -> str | None:
        return self._inner.stop_refusal(network)

    def settling_refusal(self, network: Network) -> str | None:
        return self._inner.settling_refusal(network)

    def unrecorded(self) -> CrossbarBackend:
        return self._inner.unrecorded()

    def describe(self) -> dict[str, Any]:
        return self._inner.describe()
