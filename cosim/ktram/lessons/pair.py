"""The single differential pair: pulse trains, saturation, random bits, inertia, evidence, feedback.

The smallest lane has one space, one device on each side and the tuple ``(0,)``. Figures of state have no read
noise, so that they are the same at every run. Experiments after the kT-RAM reference emulator (``docs/ktram.md``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cosim.ktram.core import Core
from cosim.ktram.lessons.drawing import BLUE, GREEN, GREY, MODEL_COLOR, ORANGE, figure, weight_axis

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PAIR = (0,)
FEEDBACKS = ("RH", "RL", "RU", "RA", "RZ")
MODELS = ("float", "byte", "mss", "rs")


@dataclass(frozen=True)
class Trace:
    """What a pair went through: reading ``y`` and conductances ``ga``, ``gb`` after each step, ``(steps,)``.

    Conductances are in siemens, those of the byte model in its own units (1 to 255).
    """

    y: NDArray[np.float64]
    ga: NDArray[np.float64]
    gb: NDArray[np.float64]

    @property
    def weight(self) -> NDArray[np.float64]:
        """(Ga - Gb) / (Ga + Gb), -1 to 1."""
        return (self.ga - self.gb) / (self.ga + self.gb)

    @property
    def magnitude(self) -> NDArray[np.float64]:
        """Ga + Gb."""
        return self.ga + self.gb


def pair_core(
    model: str, init: str = "medium", seed: int | None = None, read_noise: float = 0.0, **kwargs: Any
) -> Core:
    """Return a core of one pair; reads have no noise by default."""
    return Core(1, 1, model=model, init=init, seed=seed, read_noise=read_noise, **kwargs)


def repeat(core: Core, read: str, feedback: str | None, steps: int) -> Trace:
    """Execute ``read`` and then ``feedback`` (None: nothing) ``steps`` times on the pair."""
    lane = core.lane(0)
    rows = []
    for _ in range(steps):
        y = lane.evaluate(PAIR, read)
        if feedback is not None:
            lane.evaluate(PAIR, feedback)
        rows.append((y, *core.read_gab(0, PAIR)))
    y, ga, gb = np.array(rows, dtype=float).T
    return Trace(y, ga, gb)


def pulse_up_down(model: str = "byte", init: str = "medium", steps: int = 5000, seed: int = 1) -> Trace:
    """(FF, RH) and then (FF, RL), ``steps`` times each: up to a plateau and down again."""
    core = pair_core(model, init, seed)
    return join(repeat(core, "FF", "RH", steps), repeat(core, "FF", "RL", steps))


def random_bit(seed: int = 6, steps: int = 500) -> Trace:
    """(FF, RA) and then (FF, RZ) on a switch model: the pair wanders about 0; its last sign is a random bit."""
    core = pair_core("mss", "medium_noise", seed)
    return join(repeat(core, "FF", "RA", steps), repeat(core, "FF", "RZ", steps))


def random_bits(seeds: int = 60, steps: int = 100) -> NDArray[np.bool_]:
    """Return the bit of :func:`random_bit` for the seeds 0 to ``seeds - 1``, shape ``(seeds,)``."""
    return np.array([random_bit(seed, steps).y[-1] > 0 for seed in range(seeds)])


def reads_only(
    read: str, model: str = "float", init: str = "medium", steps: int = 4000, seed: int = 2
) -> Trace:
    """Execute one read instruction ``steps`` times, without feedback."""
    return repeat(pair_core(model, init, seed), read, None, steps)


def inertia(
    levels: Sequence[float] = (0.05, 0.5), y0: float = 0.3, feedback: str = "RH", steps: int = 300
) -> list[Trace]:
    """(FF, ``feedback``) on pairs of equal weight ``y0`` and of magnitude 2 ``level`` GMAX (float model).

    The change of weight per step goes with 1/m: dw = 2 eta V (1 - y) / m.
    """
    traces = []
    for level in levels:
        core = pair_core("float", seed=1)
        core.set_start_y(0, PAIR, y0, level)
        traces.append(repeat(core, "FF", feedback, steps))
    return traces


def feedback_pairs(rise: int = 600, steps: int = 1500) -> dict[str, Trace]:
    """From the same start, (FF, RH) ``rise`` times, then FF with each reverse feedback, ``steps`` times."""
    traces = {}
    for feedback in FEEDBACKS:
        core = pair_core("float", seed=1)
        repeat(core, "FF", "RH", rise)
        traces[feedback] = repeat(core, "FF", feedback, steps)
    return traces


def same_program(
    program: Sequence[tuple[str, str | None, int]],
    start_y: float | None = None,
    seed: int = 1,
    pulse_width: dict[str, float] | None = None,
) -> dict[str, Trace]:
    """Run ``program``, a row of (read, feedback, steps), on all four models, from weight ``start_y`` if given.

    ``pulse_width`` [s] by model; by default mss and rs get shorter pulses than their own, so that all models move
    at about the pace of float.
    """
    widths = {"mss": 1e-7, "rs": 2e-9} if pulse_width is None else pulse_width
    traces = {}
    for model in MODELS:
        core = pair_core(model, seed=seed, pulse_width=widths.get(model))
        if start_y is not None:
            core.set_start_y(0, PAIR, start_y)
        traces[model] = join(*(repeat(core, *step) for step in program))
    return traces


def join(*traces: Trace) -> Trace:
    """Return the traces one after the other."""
    columns = (np.concatenate([getattr(trace, name) for trace in traces]) for name in ("y", "ga", "gb"))
    return Trace(*columns)


def draw_trace(trace: Trace, title: str, unit: str = "S") -> Figure:
    """Draw reading and conductances over the steps; ``unit`` of the conductances."""
    drawn, ((left, right),) = figure(1, 2, (9.0, 3.4))
    left.plot(trace.y, color=BLUE, linewidth=1)
    left.axhline(0, color=GREY, linewidth=0.6)
    reach = 1.05 if np.abs(trace.y).max() > 0.2 else 0.2
    left.set(ylim=(-reach, reach), xlabel="step", ylabel="reading y")
    right.plot(trace.ga, color=BLUE, linewidth=1, label="Ga")
    right.plot(trace.gb, color=GREEN, linewidth=1, label="Gb")
    right.set(xlabel="step", ylabel=f"conductance [{unit}]")
    right.legend(frameon=False, fontsize=8)
    drawn.suptitle(title, fontsize=10)
    return drawn


def draw_inertia(traces: Sequence[Trace], y0: float = 0.3) -> Figure:
    """Draw the weights of :func:`inertia`."""
    drawn, ((ax,),) = figure(size=(6.0, 3.8))
    for trace, color in zip(traces, (BLUE, ORANGE), strict=False):
        start = trace.magnitude[0]
        ax.plot([y0, *trace.weight], color=color, linewidth=1.6, label=f"m = {start:.3g} S")
    ax.axhline(1, color=GREY, linewidth=0.8, linestyle="--")
    ax.set(ylim=(0.25, 1.03), xlabel="steps of (FF, RH)", ylabel="weight w")
    ax.set_title("Equal weight, equal feedback: magnitude is inertia, dw ~ 1/m", fontsize=10)
    ax.legend(frameon=False, fontsize=8, loc="lower right")
    return drawn


def draw_reads(traces: dict[str, Trace]) -> Figure:
    """Draw weight and magnitude of :func:`reads_only` for each instruction."""
    drawn, (axes,) = figure(1, len(traces), (4.6 * len(traces), 3.6))
    for ax, (read, trace) in zip(axes, traces.items(), strict=True):
        weight_axis(ax, f"{read} reads")
        ax.plot(trace.weight, color=BLUE, linewidth=1.4)
        ax.yaxis.label.set_color(BLUE)
        right = ax.twinx()
        right.plot(trace.magnitude, color=ORANGE, linewidth=1.4)
        right.set_ylim(0, max(0.21, 1.1 * trace.magnitude.max()))
        right.set_ylabel("magnitude Ga + Gb [S]", color=ORANGE)
        right.tick_params(labelsize=8)
        ax.set_title(f"{read} alone", fontsize=10)
    return drawn


def draw_models(
    traces: dict[str, Trace], title: str, steps: str = "steps of (FF, RH), then (FF, RL)"
) -> Figure:
    """Draw the weight of every model in a field of its own."""
    drawn, axes = figure(2, 2, (9.0, 5.6))
    for ax, (model, trace) in zip(axes.flat, traces.items(), strict=True):
        weight_axis(ax, steps)
        ax.plot(trace.weight, color=MODEL_COLOR[model], linewidth=1.2)
        ax.set_title(model, fontsize=9)
    drawn.suptitle(title, fontsize=10)
    return drawn


def draw_feedback_pairs(traces: dict[str, Trace]) -> Figure:
    """Draw the weights of :func:`feedback_pairs` side by side."""
    drawn, (axes,) = figure(1, len(traces), (12.0, 2.8), sharey=True)
    for ax, (feedback, trace) in zip(axes, traces.items(), strict=True):
        weight_axis(ax, f"steps of (FF, {feedback})")
        ax.plot(trace.weight, color=BLUE, linewidth=1.4)
        ax.label_outer()
    drawn.suptitle("The five reverse feedbacks from one start (float)", fontsize=10)
    return drawn


def draw_same_program(panels: dict[str, dict[str, Trace]]) -> Figure:
    """Draw the readings of :func:`same_program`, a field for each program."""
    drawn, axes = figure(-(-len(panels) // 2), 2, (9.5, 2.7 * -(-len(panels) // 2)))
    for ax, (title, traces) in zip(axes.flat, panels.items(), strict=False):
        for model, trace in traces.items():
            ax.plot(trace.y, color=MODEL_COLOR[model], linewidth=1.2, label=model)
        ax.axhline(0, color=GREY, linewidth=0.6)
        ax.set(ylim=(-1.05, 1.05), xlabel="step", ylabel="reading y")
        ax.set_title(title, fontsize=9)
    axes.flat[0].legend(frameon=False, fontsize=8, ncols=2)
    for ax in axes.flat[len(panels) :]:
        ax.set_visible(False)
    return drawn
