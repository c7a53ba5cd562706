"""A read is a sample: votes as evidence, pooling, the noise law as a map, the writable coin.

Each picture shows measured points on the law that they should follow. Law of the read noise: ``docs/ktram.md``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cosim.ktram.aat import AAT
from cosim.ktram.core import Core
from cosim.ktram.lessons.drawing import BLUE, GREY, ORANGE, figure, weight_axis
from cosim.ktram.lessons.pair import PAIR, pair_core
from cosim.ktram.noise import READ_NOISE

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Points:
    """Measured values at ``x`` and the law there, each ``(points,)``."""

    x: NDArray[np.float64]
    measured: NDArray[np.float64]
    law: NDArray[np.float64]


def votes(probability: float, steps: int = 600, seed: int = 42) -> NDArray[np.float64]:
    """Return the weight after each vote: a low-voltage read, then FH with ``probability``, FL otherwise.

    Votes add up in the two conductances, so the weight tends to 2 p - 1 (float model, from a low start).
    """
    core = pair_core("float", "low", seed=1)
    lane = core.lane(0)
    weight = np.empty(steps)
    for step, up in enumerate(np.random.default_rng(seed).random(steps) < probability):
        lane.evaluate(PAIR, "FFLV")
        lane.evaluate(PAIR, "FH" if up else "FL")
        ga, gb = core.read_gab(0, PAIR)
        weight[step] = (ga - gb) / (ga + gb)
    return weight


def read_sigma(core: Core, aat: AAT, reads: int = 6000) -> float:
    """Return the standard deviation of ``reads`` low-voltage reads (FFLV), which leave the state as it is."""
    lane = core.lane(0)
    return float(np.std([lane.evaluate(aat, "FFLV") for _ in range(reads)]))


def pooling(pairs: Sequence[int] = (1, 2, 4, 8, 16), reads: int = 6000) -> Points:
    """Measure sigma of N pairs read together, at weight 0 and magnitude GMAX each; the law is sigma ~ 1/sqrt(N).

    The comparator is off: its noise is one of the lane and would not fall.
    """
    measured = []
    for number in pairs:
        core = Core(
            1,
            1,
            spaces_per_lane=number,
            model="float",
            seed=1,
            read_noise=READ_NOISE,
            comparator_enabled=False,
        )
        core.set_start_y(0, (0,) * number, 0.0, 0.5)
        measured.append(read_sigma(core, (0,) * number, reads))
    law = device_sigma(0.0, 1.0, 0.05) / np.sqrt(pairs)
    return Points(np.array(pairs, dtype=float), np.array(measured), law)


def device_sigma(
    weight: float | NDArray[np.float64],
    magnitude: float | NDArray[np.float64],
    voltage: float | NDArray[np.float64],
    read_noise: float = READ_NOISE,
    thermal: float = 0.1,
    flicker: float = 1.0,
) -> NDArray[np.float64]:
    """Return sigma of a read by thermal and flicker noise, at 298 K and the reference pulse width.

    ``magnitude`` is in parts of the reference magnitude (GMAX of the model), ``voltage`` [V] is the applied one.
    sigma^2 = (N n_t 0.05 V / V_app)^2 m_ref/m + (N n_f (1 - w^2))^2 m_ref/m.
    """
    scale = read_noise / np.sqrt(magnitude)
    return np.asarray(np.hypot(scale * thermal * 0.05 / voltage, scale * flicker * (1 - np.square(weight))))


def noise_map(
    weights: Sequence[float] = (0.0, 0.5, 0.9), points: int = 120
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return voltages [V] ``(points,)``, magnitudes [GMAX] ``(points,)`` and sigma ``(weights, points, points)``."""
    voltage, magnitude = np.geomspace(5e-4, 0.05, points), np.geomspace(0.05, 2.0, points)
    grid_v, grid_m = np.meshgrid(voltage, magnitude)
    return voltage, magnitude, np.array([device_sigma(weight, grid_m, grid_v) for weight in weights])


def coin(points: int = 29, reads: int = 3000, width: float = 3.5) -> tuple[Points, float]:
    """Measure how often a low-voltage read is positive, for weights up to ``width`` sigma; return also sigma.

    The sign is a coin with bias P(y > 0) = Phi(w / sigma): the weight is the bias, and it is written by feedback.
    """
    from scipy.special import ndtr

    core = pair_core("float", seed=1, read_noise=READ_NOISE)
    lane = core.lane(0)
    core.set_start_y(0, PAIR, 0.0, 0.5)
    sigma = read_sigma(core, PAIR)
    weights = np.linspace(-width * sigma, width * sigma, points)
    positive = np.empty(points)
    for place, weight in enumerate(weights):
        core.set_start_y(0, PAIR, float(weight), 0.5)
        positive[place] = np.mean([lane.evaluate(PAIR, "FFLV") > 0 for _ in range(reads)])
    return Points(weights, positive, np.asarray(ndtr(weights / sigma))), sigma


def draw_votes(weights: dict[float, NDArray[np.float64]]) -> Figure:
    """Draw the weights of :func:`votes` by probability."""
    drawn, ((ax,),) = figure(size=(6.0, 3.8))
    weight_axis(ax, "votes (FFLV, then FH or FL)")
    for (probability, weight), color in zip(weights.items(), (BLUE, ORANGE), strict=False):
        ax.plot(weight, color=color, linewidth=1.2, label=f"p = {probability}")
        ax.axhline(2 * probability - 1, color=color, linewidth=0.9, linestyle="--")
    ax.set_title("Votes add up: the weight tends to 2p - 1 (dashed)", fontsize=10)
    ax.legend(frameon=False, fontsize=8)
    return drawn


def draw_pooling(points: Points) -> Figure:
    """Draw sigma over the number of pairs, on the law."""
    drawn, ((ax,),) = figure(size=(5.6, 3.8))
    ax.loglog(points.x, points.law, color=GREY, label="law, 1/sqrt(N)")
    ax.loglog(points.x, points.measured, "o", color=BLUE, label="6000 reads each")
    ax.set_xticks(points.x, [f"{number:.0f}" for number in points.x])
    ax.xaxis.set_minor_locator(_no_ticks())
    ax.set(xlabel="pairs read together N", ylabel="standard deviation of y")
    ax.set_title("More pairs read together, less noise", fontsize=10)
    ax.legend(frameon=False, fontsize=8)
    return drawn


def draw_noise_map(
    mapped: tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]],
    weights: Sequence[float] = (0.0, 0.5, 0.9),
) -> Figure:
    """Draw sigma over voltage and magnitude, a field for each weight."""
    from matplotlib.colors import LogNorm

    voltage, magnitude, sigma = mapped
    drawn, (axes,) = figure(1, len(weights), (10.0, 3.4), sharey=True)
    for ax, weight, field in zip(axes, weights, sigma, strict=True):
        ax.grid(False)
        mesh = ax.pcolormesh(
            voltage, magnitude, field, cmap="viridis", norm=LogNorm(0.003, 0.3), rasterized=True
        )
        ax.set(xscale="log", yscale="log", xlabel="read voltage [V]")
        ax.set_title(f"w = {weight}", fontsize=9)
    axes[0].set_ylabel("magnitude m / m_ref")
    drawn.colorbar(mesh, ax=list(axes), label="standard deviation of y")
    drawn.suptitle("Read noise of the devices over voltage and magnitude", fontsize=10)
    return drawn


def draw_coin(points: Points, sigma: float) -> Figure:
    """Draw the part of positive reads over the weight, on the normal distribution."""
    drawn, ((ax,),) = figure(size=(6.0, 3.8))
    ax.plot(points.x, points.law, color=GREY, label="Phi(w / sigma)")
    ax.plot(points.x, points.measured, "o", color=BLUE, markersize=4, label="reads")
    ax.set(xlabel="weight w", ylabel="part of reads above 0")
    ax.set_title(f"A writable coin: the weight is its bias (sigma = {sigma:.4f})", fontsize=10)
    ax.legend(frameon=False, fontsize=8)
    return drawn


def _no_ticks() -> object:
    from matplotlib.ticker import NullLocator

    return NullLocator()
