"""Messages between an engine and its worker: length, then a pickle, over a pair of pipes."""

from __future__ import annotations

import os
import pickle
import select
import struct
import time
from typing import Any, Final

_LENGTH: Final = struct.Struct("<Q")
_CHUNK: Final = 1 << 20


class ClosedError(Exception):
    """The other side is gone."""


class LateError(Exception):
    """The deadline passed before the message was there."""


def send(pipe: int, message: object) -> None:
    """Write one message; raises `ClosedError` where nobody reads."""
    content = pickle.dumps(message, protocol=5)
    view = memoryview(_LENGTH.pack(len(content)) + content)
    try:
        while view:
            view = view[os.write(pipe, view) :]
    except OSError as error:
        raise ClosedError(str(error)) from None


def receive(pipe: int, deadline_s: float | None = None) -> Any:
    """Return the next message; raises `ClosedError`, or `LateError` after ``deadline_s`` seconds."""
    end = None if deadline_s is None else time.monotonic() + deadline_s
    (length,) = _LENGTH.unpack(_read(pipe, _LENGTH.size, end))
    return pickle.loads(_read(pipe, length, end))


def _read(pipe: int, count: int, end: float | None) -> bytes:
    parts: list[bytes] = []
    poll = select.poll()
    poll.register(pipe, select.POLLIN)
    while count:
        left = None if end is None else max(end - time.monotonic(), 0.0) * 1000
        if not poll.poll(left):
            raise LateError
        try:
            part = os.read(pipe, min(count, _CHUNK))
        except OSError as error:
            raise ClosedError(str(error)) from None
        if not part:
            raise ClosedError("end of file")
        parts.append(part)
        count -= len(part)
    return b"".join(parts)
