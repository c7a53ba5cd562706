"""Reads that a backend has answered before they take their turns: all at once, or group by group where cells move.

Each array phase still takes its turn on the event time line and is recorded there. Where cells move, the next group is
asked for when its first read begins, with the state of that moment; when its last read ends, the cells take the state after
it, and age for the time that passed at 0 V between its reads.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cosim.crossbar.backend import ReadLimit
from cosim.units import seconds

if TYPE_CHECKING:
    from cosim.components.tile import Tile
    from cosim.crossbar.backend import ReadAnswers
    from cosim.crossbar.drive import Phase
    from cosim.devices.base import FloatArray


@dataclass(slots=True, eq=False)
class AnsweredReads:
    """The array phases of one operation on one tile, of one ``shape``, in the order of their turns.

    ``voltages`` ``(reads, rows)`` [V]; ``change``: limit of the change of the currents within a group, None where no cell
    moves and all reads are one group. ``answers`` hold the reads from ``first`` on; ``largest``: largest change of a group.
    """

    shape: Phase
    voltages: FloatArray
    change: float | None
    answers: ReadAnswers
    first: int = 0
    groups: int = 1
    largest: float = 0.0
    _rest_fs: int = 0
    _pace_s: float | None = None
    _aged_fs: int = 0
    _late_fs: int = 0

    @classmethod
    def ask(cls, tile: Tile, shape: Phase, voltages: FloatArray, change: float) -> AnsweredReads | None:
        """Return the reads with those of the first group answered; None where each is to be asked for on its own."""
        moves = tile.array.device.moves
        limit = ReadLimit(change, None) if moves else None
        if (moves and change <= 0.0) or len(voltages) <= tile.array.rows:
            return None
        answers = tile.answer_reads(shape, voltages, limit)
        if answers is None:
            return None
        return cls(shape, voltages, change if moves else None, answers, _aged_fs=tile.idle_fs)

    def begin(self, tile: Tile, read: int) -> tuple[ReadAnswers, int]:
        """Return the answers that hold a read that begins now, and its place in them."""
        if self.change is not None:
            if read == self.first + len(self.answers.current):
                limit = ReadLimit(self.change, self._pace_s)
                answers = tile.answer_reads(self.shape, self.voltages[read:], limit)
                assert answers is not None, (
                    "a backend that answered the first reads refuses the following ones"
                )
                self.answers, self.first, self.groups = answers, read, self.groups + 1
                self._rest_fs = 0
            elif read > self.first:
                self._rest_fs += tile.idle_fs
            else:
                self._late_fs = tile.idle_fs - self._aged_fs
        return self.answers, read - self.first

    def left(self, read: int) -> int:
        """Return how many reads from this one on have their answers."""
        return self.first + len(self.answers.current) - read

    def pass_over(self, rest_fs: int) -> None:
        """Count time at 0 V [fs] before reads of the group that begin without a call of `begin`."""
        self._rest_fs += rest_fs

    def end(self, tile: Tile, read: int) -> None:
        """Let the cells take the state after a group whose last read has just ended."""
        state, count = self.answers.state, len(self.answers.current)
        if state is None or read != self.first + count - 1:
            return
        self.largest = max(self.largest, self.answers.change)
        if count > 1:
            self._pace_s = seconds(self._rest_fs) / (count - 1)
        tile.settle(state, self._rest_fs + self._late_fs)
        self._late_fs = 0

    def report(self) -> dict[str, Any]:
        """Return what the summary says where cells move: groups, limit and largest change of the currents in one."""
        return {"groups": self.groups, "change_limit": self.change, "largest_change": self.largest}
