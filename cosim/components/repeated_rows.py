"""Rows of a table that repeat period after period, built column by column."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cosim.records import CodedTexts

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cosim.records import Table

Place = tuple[int, int]
"""Order of an entry within a period: stage, and among those of one stage."""


class RepeatedRows:
    """The rows of ``count`` periods; every period has the same entries, in the order of their places.

    A value is a number or a text of every period, or an array ``(count,)``. Times are int64 [fs].
    """

    def __init__(self, table: Table, count: int) -> None:
        self._table, self._count = table, count
        self._entries: list[tuple[Place, tuple[Any, ...], NDArray[np.bool_] | bool]] = []

    def add(self, place: Place, values: tuple[Any, ...], present: NDArray[np.bool_] | bool = True) -> None:
        """Add an entry: its values in the order of the table's fields, and in which periods it is ``present``."""
        self._entries.append((place, values, present))

    def write(self) -> None:
        """Append the rows to the table, period by period."""
        if not self._entries:
            return
        entries = sorted(self._entries, key=lambda entry: entry[0])
        kept = self._joined([present for *_, present in entries])
        columns = {
            field: self._column([values[k] for _, values, _ in entries], kept)
            for k, field in enumerate(self._table.fields)
        }
        self._table.extend(int(np.count_nonzero(kept)), **columns)

    def _column(self, parts: list[Any], kept: NDArray[np.bool_]) -> NDArray[Any] | CodedTexts:
        if not isinstance(parts[0], str):
            return self._joined(parts)[kept]
        names = list(dict.fromkeys(parts))
        codes = np.array([names.index(part) for part in parts], dtype=np.uint16)
        return CodedTexts(np.tile(codes, self._count)[kept], names)

    def _joined(self, parts: list[Any]) -> NDArray[Any]:
        return np.stack([np.broadcast_to(part, (self._count,)) for part in parts], axis=1).ravel()
