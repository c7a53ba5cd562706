"""What a person sees while a command works: progress with the time left, and an orderly end on Ctrl-C.

The first Ctrl-C lets the circuit phase in flight finish and ends the run between two events, so that its folder
can be written; the second ends the process at once. Bars go to standard error, and only to a terminal.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any, final

from cosim.errors import RunInterruptedError

if TYPE_CHECKING:
    from rich.progress import Progress

Report = Callable[[int, int], None]
"""Called with the steps that are done and their number."""


@final
class Watch:
    """Shows the tasks of a command and ends them on Ctrl-C; a context manager.

    ``shown``: draw bars where standard error is a terminal. ``held``: a first Ctrl-C waits for the next call of a
    task's report, which then raises `RunInterruptedError`; otherwise it ends the command at once.
    """

    def __init__(self, *, shown: bool, held: bool = True) -> None:
        self._held = held
        self._bars: Progress | None = _bars() if shown and sys.stderr.isatty() else None
        self._interrupted = False
        self._before: Any = None

    def __enter__(self) -> Watch:
        if self._held:
            self._before = signal.signal(signal.SIGINT, self._interrupt)
        if self._bars is not None:
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bars is not None:
            self._bars.stop()
        if self._held:
            signal.signal(signal.SIGINT, self._before)

    def _interrupt(self, _number: int, _frame: FrameType | None) -> None:
        if self._interrupted:
            raise KeyboardInterrupt
        self._interrupted = True
        if self._bars is not None:
            self._bars.console.print("ending after the phase in flight; Ctrl-C again ends at once")

    @contextmanager
    def working(self, name: str) -> Iterator[None]:
        """Show that something without steps is being done."""
        number = None if self._bars is None else self._bars.add_task(name, total=None)
        yield
        if self._bars is not None and number is not None:
            self._bars.update(number, completed=1, total=1)

    def task(self, name: str) -> Report:
        """Return the report of a task called ``name``, which appears with its first call."""
        number: Any = None

        def report(done: int, total: int) -> None:
            nonlocal number
            if self._interrupted and done < total:
                raise RunInterruptedError(
                    f"interrupted at {done} of {total} {name}; what was done is in the folder"
                )
            if self._bars is not None:
                if number is None:
                    number = self._bars.add_task(name, total=total)
                self._bars.update(number, completed=done, total=total)

        return report


def _bars() -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
    from rich.progress import TimeRemainingColumn as TimeLeftColumn

    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("left"),
        TimeLeftColumn(),
    )  # fmt: skip
    return Progress(*columns, console=Console(stderr=True), redirect_stdout=False)  # it may be a file
