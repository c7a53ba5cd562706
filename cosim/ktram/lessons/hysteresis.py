"""Pinched hysteresis of the mss and rs models under a sine, over frequency, with and without a Schottky part.

The loop closes at high frequency, where the state cannot follow. Towards low frequency it does not: both models
keep their state below a threshold, and the loop tends to the one that switches at the thresholds.
A step of the sine must be short against the time scale of the device.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cosim.ktram.lessons.drawing import figure
from cosim.ktram.lessons.pair import pair_core
from cosim.ktram.mss import MSSProfile

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Loop:
    """The last cycle: voltage [V] and current [A], ``(steps,)``, at ``frequency`` [Hz]."""

    frequency: float
    voltage: NDArray[np.float64]
    current: NDArray[np.float64]

    @property
    def area(self) -> float:
        """Area of both lobes [W]: the integral of |I| dV around the loop, forward and back apart."""
        half = len(self.voltage) // 2
        return sum(
            abs(float(np.trapezoid(self.current[part], self.voltage[part])))
            for part in (slice(0, half + 1), slice(half, None))
        )

    def pinch(self) -> float:
        """Return the largest |current| at the two zeros of the voltage, in parts of the largest current."""
        half = len(self.voltage) // 2
        return float(np.abs(self.current[[0, half]]).max() / np.abs(self.current).max())


def sine_loop(
    model: str,
    amplitude: float,
    frequency: float,
    profile: MSSProfile | None = None,
    cycles: int = 3,
    steps: int = 1000,
    seed: int = 0,
) -> Loop:
    """Drive one device with ``amplitude`` [V] at ``frequency`` [Hz], ``steps`` a cycle; return the last cycle.

    ``profile`` is the parameter set of the mss model; the device begins at the middle of its range of conductance.
    """
    device = pair_core(model, "medium_noiseless", seed, profile=profile).lane(0).spaces[0].a.device_at(0)
    width = 1.0 / (frequency * steps)
    wave = amplitude * np.sin(2 * np.pi * np.arange(steps) / steps)
    wave[[0, steps // 2]] = 0.0
    current = np.empty(steps)
    for _ in range(cycles):
        for step, voltage in enumerate(wave):
            device.drive(float(voltage), width)
            current[step] = device.current(float(voltage))
    return Loop(frequency, wave, current)


def mss_loops(
    frequencies: Sequence[float] = (1.0, 10.0, 100.0, 1000.0),
    amplitude: float = 0.6,
    profile: MSSProfile | None = None,
) -> list[Loop]:
    """Return loops of a slow switch model (tau 10 ms, 1000 switches), or of ``profile``."""
    chosen = MSSProfile(tau=1e-2) if profile is None else profile
    # A cycle has at least as many steps as keep one step below a tenth of tau.
    return [
        sine_loop("mss", amplitude, f, chosen, steps=max(1000, 2 * int(5 / (f * chosen.tau))))
        for f in frequencies
    ]


def schottky_profile(phi: float = 0.9) -> MSSProfile:
    """Return the slow profile with a part 1 - ``phi`` of symmetric Schottky current, 0.1 mA at 0.6 V."""
    return MSSProfile(tau=1e-2, phi=phi, schottky_fa=1e-4, schottky_fb=4.0, schottky_ra=1e-4, schottky_rb=4.0)


def rs_loops(frequencies: Sequence[float] = (1e4, 1e5, 1e6, 1e7), amplitude: float = 1.0) -> list[Loop]:
    """Return loops of the rs model (rate 1e6 per V and s), ``amplitude`` [V] above its threshold of 0.25 V."""
    return [sine_loop("rs", amplitude, f, steps=max(1000, 2 * int(1e7 / f))) for f in frequencies]


def draw_loops(panels: dict[str, Sequence[Loop]]) -> Figure:
    """Draw current over voltage, a field for each set of loops."""
    from matplotlib import colormaps
    from matplotlib.ticker import EngFormatter

    drawn, (axes,) = figure(1, len(panels), (4.2 * len(panels), 3.8))
    for ax, (title, loops) in zip(axes, panels.items(), strict=True):
        for loop, color in zip(loops, colormaps["viridis"](np.linspace(0.05, 0.85, len(loops))), strict=True):
            closed = np.r_[0 : len(loop.voltage), 0]
            ax.plot(
                loop.voltage[closed], 1e6 * loop.current[closed], color=color, linewidth=1,
                label=EngFormatter("Hz")(loop.frequency),
            )  # fmt: skip
        ax.set(xlabel="voltage [V]", ylabel="current [uA]")
        ax.set_title(title, fontsize=9)
        ax.legend(frameon=False, fontsize=7)
    drawn.suptitle("Pinched hysteresis over frequency", fontsize=10)
    return drawn
