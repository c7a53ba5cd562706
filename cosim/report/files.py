"""Files that are written whole and renamed, the extras some need, and JSON text of plain values."""

from __future__ import annotations

import gzip
import io
import json
import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np

from cosim.errors import InputError
from cosim.units import FEMTOSECONDS_PER_SECOND


@contextmanager
def whole_path(path: Path) -> Iterator[Path]:
    """Yield the path of a temporary file that takes the name ``path`` only once everything has been written.

    On an exception nothing stays: neither half a file nor the temporary one; an older file is kept.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.parent / f".{path.name}.{os.getpid()}.part"
    try:
        yield part
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def whole_file(path: Path) -> Iterator[IO[str]]:
    """Open a text file that takes the name ``path`` only once everything has been written (`whole_path`)."""
    with whole_path(path) as part, part.open("w", encoding="utf-8", newline="\n") as stream:
        yield stream


@contextmanager
def whole_gzip(path: Path) -> Iterator[IO[str]]:
    """Open a compressed text file as `whole_file` does; the same text gives the same bytes, without name and time."""
    with (
        whole_path(path) as part, part.open("wb") as raw,
        gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=raw, mtime=0) as packed,
        io.TextIOWrapper(packed, encoding="utf-8", newline="\n") as stream,
    ):  # fmt: skip
        yield stream


def write_whole(path: Path, text: str) -> None:
    """Write ``text`` to ``path``, whole."""
    with whole_file(path) as stream:
        stream.write(text)


def require(module: str, extra: str, purpose: str) -> None:
    """Raise `InputError` where ``module``, which the extra ``extra`` brings, is not installed."""
    from importlib.util import find_spec

    if find_spec(module) is None:
        raise InputError(
            f"{purpose} {module}, which is not installed; install it with: pip install 'cosim-crossbar[{extra}]'"
        )


def json_text(value: Any) -> str:
    """Return ``value`` as JSON text; keys keep their order, and what JSON has no number for is null."""
    return json.dumps(plain(value), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def plain(value: Any) -> Any:
    """Return ``value`` made of JSON's own types: numpy unwrapped, tuples as lists, NaN and inf as None."""
    if isinstance(value, (str, bool)) or value is None:
        return value
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, int):
        return value
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(entry) for entry in value]
    return str(value)


def decimal_seconds(time_fs: int) -> str:
    """Return integer femtoseconds as the exact decimal text of the seconds: ``0.000000123000000``."""
    if 0 <= time_fs < FEMTOSECONDS_PER_SECOND:
        return f"0.{time_fs:015d}"
    return f"{time_fs // FEMTOSECONDS_PER_SECOND}.{time_fs % FEMTOSECONDS_PER_SECOND:015d}"
