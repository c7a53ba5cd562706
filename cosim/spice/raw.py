"""Reader of ngspice raw files: several plots, real or complex, whole or cut off.

A raw file is a sequence of plots. Each has a header of ``Key: value`` lines, a table of variables
and the samples, as little-endian doubles after ``Binary:`` or as text after ``Values:``. ngspice
writes the number of points last, so a run that was killed leaves a header that promises none: the
reader counts the whole rows that are there and says in `RawPlot.complete` whether that is what the
header promised.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cosim.errors import SpiceParseError

_BINARY = b"\nBinary:\n"
_TEXT = b"\nValues:\n"


@dataclass(frozen=True)
class RawPlot:
    """One plot of a raw file.

    ``values`` has shape (points, vectors), real or complex; ``names`` and ``kinds`` (``time``,
    ``voltage``, ``current`` ...) have one entry per vector. ``complete`` is false where the file
    ends before the number of points that the header gives.
    """

    title: str
    name: str
    names: tuple[str, ...]
    kinds: tuple[str, ...]
    values: NDArray[Any]
    complete: bool

    def column(self, name: str) -> NDArray[Any]:
        """Return the samples of one vector (points,); raises `SpiceParseError` if it is not there."""
        try:
            return self.values[:, self.names.index(name)]
        except ValueError:
            raise SpiceParseError(f"the raw file holds no vector '{name}'") from None


@dataclass(frozen=True)
class _Header:
    title: str
    name: str
    complex: bool
    points: int
    names: tuple[str, ...]
    kinds: tuple[str, ...]


def read_raw(path: Path) -> list[RawPlot]:
    """Return every plot of the raw file at ``path``; an empty or header-only file has none.

    Raises `SpiceParseError` where the text is not a raw file.
    """
    return parse_raw(path.read_bytes())


def parse_raw(content: bytes) -> list[RawPlot]:
    """Return every plot in the bytes of a raw file; raises `SpiceParseError` where it is none."""
    plots: list[RawPlot] = []
    start = 0
    while start < len(content):
        binary, text = content.find(_BINARY, start), content.find(_TEXT, start)
        if binary < 0 and text < 0:
            if not plots and not content.lstrip().startswith(b"Title:"):
                raise SpiceParseError("the file is not an ngspice raw file: it has no header")
            break
        is_binary = binary >= 0 and (text < 0 or binary < text)
        mark = binary if is_binary else text
        header = _header(content[start:mark])
        body = mark + len(_BINARY if is_binary else _TEXT)
        plot, start = (_binary if is_binary else _text)(header, content, body)
        plots.append(plot)
    return plots


def _header(content: bytes) -> _Header:
    """Return the header fields; raises `SpiceParseError` where one is missing or no number."""
    lines = content.decode("utf-8", "replace").splitlines()
    fields: dict[str, str] = {}
    table: list[list[str]] = []
    for line in lines:
        if line.startswith(("\t", " ")) and line.strip():
            table.append(line.split())
        elif ":" in line:
            key, _, value = line.partition(":")
            fields[key.strip().lower()] = value.strip()
    try:
        count, points = int(fields["no. variables"]), int(fields["no. points"])
    except (KeyError, ValueError) as error:
        raise SpiceParseError(f"the raw file has a damaged header: {error}") from None
    if len(table) != count or any(len(entry) < 3 for entry in table):
        raise SpiceParseError(f"the raw file promises {count} vectors but describes {len(table)}")
    return _Header(
        title=fields.get("title", ""),
        name=fields.get("plotname", ""),
        complex="complex" in fields.get("flags", "real").lower(),
        points=points,
        names=tuple(entry[1].lower() for entry in table),
        kinds=tuple(entry[2] for entry in table),
    )


def _plot(header: _Header, values: NDArray[Any]) -> RawPlot:
    complete = len(values) == header.points and header.points > 0
    return RawPlot(header.title, header.name, header.names, header.kinds, values, complete)


def _binary(header: _Header, content: bytes, body: int) -> tuple[RawPlot, int]:
    """Return the plot whose samples start at ``body`` and where the next plot begins."""
    kind = np.dtype("<c16" if header.complex else "<f8")
    row = kind.itemsize * len(header.names)
    present = (len(content) - body) // row
    points = min(header.points, present) if header.points > 0 else present
    values = np.frombuffer(content, kind, points * len(header.names), body)
    end = body + points * row if header.points > 0 and present >= header.points else len(content)
    return _plot(header, values.reshape(points, len(header.names)).copy()), end


def _text(header: _Header, content: bytes, body: int) -> tuple[RawPlot, int]:
    """Return the plot written as text after ``body`` and where the next plot begins."""
    following = content.find(b"Title:", body)
    end = following if following >= 0 else len(content)
    width = len(header.names) + 1
    words = content[body:end].split()
    rows = [words[at : at + width] for at in range(0, len(words) - width + 1, width)]
    try:
        values = np.array([[_number(word, header.complex) for word in row[1:]] for row in rows])
    except ValueError as error:
        raise SpiceParseError(f"the raw file holds a sample that is no number: {error}") from None
    return _plot(header, values.reshape(len(rows), len(header.names))), end


def _number(word: bytes, is_complex: bool) -> complex:
    if not is_complex:
        return float(word)
    real, _, imaginary = word.partition(b",")
    return complex(float(real), float(imaginary))
