r"""Memory operations: words read against what is stored, with margins and errors; refresh.

* **Read margin**: (lowest current of a one - highest current of a zero) / mean current of the ones.
* **Sense margin** of a bit: how far the output of its sense circuit, with offset, lies on the right side of the reference [V].
* **Bit error rate**: wrong bits over bits; beside it the one that is expected of these margins m and the noise
  :math:`\sigma` of the sense circuit, the mean of :math:`Q(m/\sigma) = \frac{1}{2}\mathrm{erfc}(m/(\sigma\sqrt{2}))`, which
  also tells of rates that no run of a few bits can show.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import numpy as np
import simpy
from numpy.typing import NDArray
from scipy.special import erfc

from cosim.components.bank import Process
from cosim.components.programming import Programming
from cosim.components.read_path import ReadPath
from cosim.components.read_phases import read_timing
from cosim.components.tile import Tile
from cosim.components.verify_reads import visible_range
from cosim.components.words import Refreshed, Unselected, Word, read_word, refresh_tile
from cosim.devices.base import FloatArray
from cosim.system import Details, Operation, System

Bits = NDArray[np.int64]


@final
@dataclass(frozen=True, slots=True, eq=False)
class ReadWord(Operation):
    """Read words of a tile bit by bit and compare them with what is stored.

    ``stored`` ``(rows, columns)``, 0 or 1; ``rows``: the words that are read; ``reference`` [A]: the current between
    zeros and ones, None: half-way between those of the lowest and the highest conductance of a cell.
    """

    tile: str
    stored: Bits
    rows: tuple[int, ...]
    unselected: Unselected
    reference: float | None
    op: str = "read_word"

    @property
    def target(self) -> str:
        return self.tile

    def process(self, system: System, index: int) -> Process:
        tile = system.tiles[self.tile]
        path, reference = self._path(tile)
        words: list[Word] = []
        for row in self.rows:
            word = yield from read_word(tile, index, row, path, self.unselected)
            words.append(word)
        threshold = reference * path.sense.transfer(words[0].window_s)
        read = (np.array([word.values for word in words]) > threshold).astype(np.int64)
        currents = np.array([word.currents for word in words])
        stored = self.stored[list(self.rows)]
        margins = sense_margins(path, currents, stored, threshold, words[0].window_s)
        system.trace.bits.extend(
            read.size, operation=index, tile=self.tile, row=np.repeat(self.rows, path.outputs),
            column=np.tile(np.arange(path.outputs), len(self.rows)), stored=stored.ravel(), read=read.ravel(),
            current_a=currents.ravel(), margin_v=margins.ravel(),
        )  # fmt: skip
        wrong = int(np.count_nonzero(read != stored))
        found: Details = {
            "words": len(self.rows), "bits": read.size, "reference_a": reference, "errors": wrong,
            "bit_error_rate": wrong / read.size, "expected_bit_error_rate": expected_rate(margins, path.sense.errors.noise),
            "read_margin": read_margin(currents, stored), "sense_margin_v": float(margins.min()),
            "values": read.ravel()[:4096].tolist(),
        }  # fmt: skip
        if path.sense.kind == "comparator":
            found["metastable"] = sum(word.metastable for word in words)
        return found

    def _path(self, tile: Tile) -> tuple[ReadPath, float]:
        """Return the way of the read, with the comparators' threshold at the reference, and the reference [A]."""
        path, reference = tile.forward, self.reference
        if reference is None:
            reference = path.dac.range[1] * sum(visible_range(tile)) / 2
        if path.sense.kind != "comparator":
            return path, reference
        threshold = reference * path.sense.transfer(read_timing(tile, path).window_s)
        return dataclasses.replace(
            path, sense=dataclasses.replace(path.sense, threshold=threshold)
        ), reference


def sense_margins(
    path: ReadPath, currents: FloatArray, stored: Bits, threshold: float, window_s: float
) -> FloatArray:
    """Return how far each output lies on the right side of the threshold [V], noise left out; negative: wrong."""
    output = path.sense.limited(path.sense.output(currents, window_s, None) + path.offsets(0, path.outputs))
    offset = path.sense.errors.offset if path.sense.kind == "comparator" else 0.0
    margin: FloatArray = np.where(stored == 1, 1.0, -1.0) * (output - threshold - offset)
    return margin


def read_margin(currents: FloatArray, stored: Bits) -> float | None:
    """Return the read margin; None where all bits are alike."""
    ones, zeros = currents[stored == 1], currents[stored == 0]
    if not ones.size or not zeros.size:
        return None
    return float((ones.min() - zeros.max()) / ones.mean())


def expected_rate(margins: FloatArray, noise: float) -> float:
    """Return the bit error rate that is expected of margins [V] with a noise of the sense circuit [V, rms]."""
    if noise == 0:
        return float(np.mean(margins < 0))
    return float(np.mean(erfc(margins / (noise * np.sqrt(2))) / 2))


@final
@dataclass(frozen=True, slots=True, eq=False)
class Refresh(Operation):
    """Rewrite the cells of tiles whose read has left a window about what was written, tiles side by side."""

    jobs: Mapping[str, Programming]
    window: float
    op: str = "refresh"

    @property
    def target(self) -> str:
        return "+".join(self.jobs)

    def process(self, system: System, index: int) -> Process:
        running = [
            system.environment.process(refresh_tile(system.tiles[name], index, job, self.window))
            for name, job in self.jobs.items()
        ]
        done = yield simpy.AllOf(system.environment, running)
        found: list[Refreshed] = [done[process] for process in running]
        outcomes = [row for row in system.trace.outcomes if row[0] == index]
        converged = sum(bool(row[8]) for row in outcomes)
        if converged < len(outcomes):
            system.trace.warn(
                f"operation {index}: {len(outcomes) - converged} of {len(outcomes)} refreshed cells did not reach their window"
            )
        return {
            "read_cells": sum(part.cells for part in found),
            "cells": len(outcomes),
            "converged": converged,
            "converged_fraction": converged / len(outcomes) if outcomes else 1.0,
            "pulses": sum(int(row[7]) for row in outcomes),
            "window": self.window,
        }
