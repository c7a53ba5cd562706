"""What engines have in common: a number of workers, repetition after a crash, work in the background."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock

from cosim.errors import SpiceCrashError
from cosim.spice.cards import Deck, SpiceVectors


class Background:
    """Runs calls on a fixed number of threads, which are started when first needed."""

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._threads: ThreadPoolExecutor | None = None
        self._lock = Lock()

    def submit(self, call: Callable[[], SpiceVectors]) -> Future[SpiceVectors]:
        """Return the future of ``call()``."""
        with self._lock:
            if self._threads is None:
                self._threads = ThreadPoolExecutor(self._workers, thread_name_prefix="cosim-spice")
            return self._threads.submit(call)

    def close(self) -> None:
        """Wait for what runs and stop the threads."""
        with self._lock:
            threads, self._threads = self._threads, None
        if threads is not None:
            threads.shutdown(wait=True, cancel_futures=True)


def repeat_after_crash(
    once: Callable[[Deck, float], SpiceVectors], deck: Deck, deadline_s: float, retries: int
) -> SpiceVectors:
    """Return ``once(deck, deadline_s)``, repeated up to ``retries`` times if the process died.

    Raises the last `SpiceCrashError` and every other error at once.
    """
    for left in range(retries, -1, -1):
        try:
            return once(deck, deadline_s)
        except SpiceCrashError:
            if left == 0:
                raise
    raise SpiceCrashError("the number of retries must not be negative")
