"""The A2D encoder finds the data: its channels crowd where values do, on clumps and on iris."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cosim.ktram.encoders import A2DEncoder
from cosim.ktram.lessons.drawing import BLUE, GREEN, GREY, ORANGE, figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

# Center, standard deviation and share of each clump; both margins have several modes.
CLUMPS = (
    ((0.18, 0.22), 0.035, 0.28),
    ((0.30, 0.78), 0.045, 0.22),
    ((0.72, 0.30), 0.040, 0.25),
    ((0.85, 0.82), 0.030, 0.15),
    ((0.55, 0.55), 0.060, 0.10),
)


@dataclass(frozen=True)
class Adaptation:
    """How the edges moved: ``edges[frame, dimension]`` after ``steps[frame]`` values, with the values seen.

    ``steps (frames,)``, ``edges (frames, dimensions, 2^bits - 1)``, ``values (values, dimensions)``.
    """

    steps: NDArray[np.int64]
    edges: NDArray[np.float64]
    values: NDArray[np.float64]

    def occupancy(self, frame: int, dimension: int) -> NDArray[np.float64]:
        """Return the part of the values in each channel, ``(2^bits,)``, with the edges of ``frame``."""
        channel = np.searchsorted(self.edges[frame, dimension], self.values[:, dimension], side="right")
        return np.bincount(channel, minlength=self.edges.shape[-1] + 1) / len(self.values)


def clumps(values: int = 4000, seed: int = 0) -> NDArray[np.float64]:
    """Return points of the unit square in five clumps, shape ``(values, 2)``, in random order."""
    rng = np.random.default_rng(seed)
    counts = rng.multinomial(values, [share for _, _, share in CLUMPS])
    points = [
        rng.normal(center, deviation, (count, 2))
        for (center, deviation, _), count in zip(CLUMPS, counts, strict=True)
    ]
    return rng.permutation(np.clip(np.vstack(points), 0, 1))


def adapt(
    values: NDArray[np.float64],
    bits: int = 5,
    rate: float = 0.005,
    epochs: int = 6,
    frames: int = 40,
    seed: int = 0,
) -> Adaptation:
    """Let an encoder see ``values`` ``(values, dimensions)`` ``epochs`` times, and keep its edges at ``frames`` times."""
    dims = values.shape[1]
    encoder = A2DEncoder(dims, bits, values.min(0), values.max(0), rate)
    rng = np.random.default_rng(seed)
    order = np.concatenate([rng.permutation(len(values)) for _ in range(epochs)])
    stops = np.linspace(0, len(order), frames).astype(np.int64)
    edges = [[encoder.edges(dim) for dim in range(dims)]]
    for first, last in itertools.pairwise(stops):
        for value in order[first:last]:
            encoder.encode_adapt(values[value])
        edges.append([encoder.edges(dim) for dim in range(dims)])
    return Adaptation(stops, np.array(edges), values)


def draw_adaptation(
    adaptation: Adaptation,
    names: Sequence[str] = ("feature 0", "feature 1"),
    classes: NDArray[np.int64] | None = None,
) -> Figure:
    """Draw the first two dimensions with the edges before and after; ``classes`` colors the values."""
    drawn, (axes,) = figure(1, 2, (9.0, 4.4), sharex=True, sharey=True)
    for ax, frame, title in zip(axes, (0, -1), ("before: uniform", "after: by occupancy"), strict=True):
        _scatter(ax, adaptation, classes)
        _grid(ax, adaptation.edges[frame])
        ax.set(xlabel=names[0], ylabel=names[1])
        ax.set_title(title, fontsize=9)
        ax.label_outer()
    return drawn


def animate_adaptation(
    adaptation: Adaptation,
    path: Path,
    names: Sequence[str] = ("feature 0", "feature 1"),
    classes: NDArray[np.int64] | None = None,
) -> None:
    """Write the moving edges as a GIF to ``path``."""
    from matplotlib.animation import FuncAnimation, PillowWriter

    drawn, ((ax,),) = figure(size=(4.4, 4.2))
    _scatter(ax, adaptation, classes)
    ax.set(xlabel=names[0], ylabel=names[1])
    lines: list[Line2D] = []

    def show(frame: int) -> list[Line2D]:
        for line in lines:
            line.remove()
        lines[:] = _grid(ax, adaptation.edges[frame])
        ax.set_title(f"after {adaptation.steps[frame]} values", fontsize=9)
        return lines

    frames = [*[0] * 5, *range(len(adaptation.steps)), *[len(adaptation.steps) - 1] * 10]
    FuncAnimation(drawn, show, frames=frames, blit=False).save(path, PillowWriter(fps=12), dpi=70)


def _scatter(ax: Axes, adaptation: Adaptation, classes: NDArray[np.int64] | None) -> None:
    ax.grid(False)
    values = adaptation.values[:1200]
    groups = np.zeros(len(values), dtype=np.int64) if classes is None else classes[:1200]
    for group in np.unique(groups):
        chosen = values[groups == group]
        ax.plot(*chosen[:, :2].T, ".", color=(BLUE, ORANGE, GREEN)[group % 3], markersize=4, alpha=0.5)


def _grid(ax: Axes, edges: NDArray[np.float64]) -> list[Line2D]:
    lines = [ax.axvline(edge, color=GREY, linewidth=0.6) for edge in edges[0]]
    return lines + [ax.axhline(edge, color=GREY, linewidth=0.6) for edge in edges[1]]
