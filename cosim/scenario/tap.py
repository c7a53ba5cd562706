"""A backend that shows every request, and its result, to a function on the way."""

from __future__ import annotations

from collections.abc import Callable
from typing import final

from cosim.crossbar.backend import CrossbarBackend, PassingBackend, PhaseRequest, PhaseResult


@final
class Tap(PassingBackend):
    """Passes requests on.

    ``before`` is called with each request before it is answered, ``after`` with request and result; what they raise
    ends the run.
    """

    def __init__(
        self,
        inner: CrossbarBackend,
        before: Callable[[PhaseRequest], None] | None = None,
        after: Callable[[PhaseRequest, PhaseResult], None] | None = None,
    ) -> None:
        super().__init__(inner)
        self._before, self._after = before, after

    def run(self, request: PhaseRequest) -> PhaseResult:
        if self._before is not None:
            self._before(request)
        result = self._inner.run(request)
        if self._after is not None:
            self._after(request, result)
        return result
