"""Jump tables from measured points: what a pulse did, against the conductance that it met.

Around every conductance of the table the mean jump is a local straight line and the spread a local average of what is
left, relative to a parabola, both weighted by a Gaussian of the distance. The distribution of a row is the empirical one of the residuals nearby,
moved to the row's mean and scaled to its spread: skew and two-peaked distributions stay what they are, the slope of the
mean adds no spread, and the spread is that of the data, not the uncertainty of a mean.

Source: W. S. Cleveland, "Robust locally weighted regression", JASA 74(368), 829 (1979), without the robust part.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cosim.characterize.curves import Conditions, after_draws, drive_of
from cosim.devices.base import DeviceModel, FloatArray
from cosim.devices.jump_table import JumpTable, Sign
from cosim.errors import FitError

_FEWEST = 30
"""Points of a sign below which no distribution can be had."""


@dataclass(frozen=True, slots=True, eq=False)
class Points:
    """Conductances before a pulse and the jumps that it made [S], of one sign; both ``(points,)``."""

    conductance: FloatArray
    jump: FloatArray


def points_of_curve(conductance: FloatArray) -> Points:
    """Return the points of a potentiation or depression curve: ``conductance`` [S] after every pulse, in order."""
    g = np.asarray(conductance, dtype=np.float64).ravel()
    return Points(g[:-1], np.diff(g))


def build(
    set_points: Points,
    reset_points: Points,
    *,
    set_pulse: tuple[float, float],
    reset_pulse: tuple[float, float],
    device: str,
    source: str,
    rows: int = 31,
    columns: int = 401,
    bandwidth: float = 0.15,
) -> JumpTable:
    """Return the jump table of measured points.

    ``*_pulse``: amplitude [V] and width [s]; ``bandwidth``: of the weights, as part of the range of conductances.
    Raises `FitError` for fewer than 30 points of a sign, or points that are not finite.
    """
    both = {"set": set_points, "reset": reset_points}
    for sign, points in both.items():
        if points.conductance.shape != points.jump.shape or points.jump.size < _FEWEST:
            raise FitError(f"jump table: needs at least {_FEWEST} {sign} points, not {points.jump.size}")
        if not (np.isfinite(points.conductance).all() and np.isfinite(points.jump).all()):
            raise FitError(f"jump table: all {sign} points must be finite")
    low = min(float(p.conductance.min()) for p in both.values())
    high = max(float(p.conductance.max()) for p in both.values())
    if not high > low:
        raise FitError("jump table: the points must be at different conductances")
    g = np.linspace(low, high, rows)
    found = {sign: _Local(points, g, bandwidth * (high - low)) for sign, points in both.items()}
    reach = [local.reach() for local in found.values()]
    jump = np.linspace(min(r[0] for r in reach), max(r[1] for r in reach), columns)
    cdf = {sign: local.distribution(jump) for sign, local in found.items()}
    return JumpTable(g, jump, cdf["set"], cdf["reset"], set_pulse, reset_pulse, device, source)


class _Local:
    """Local mean, spread and residuals of the points of one sign around the conductances ``g``."""

    def __init__(self, points: Points, g: FloatArray, width: float) -> None:
        away = (points.conductance - g[:, np.newaxis]) / width
        # Where no point is near, the nearest ones count: weights are relative to the largest of their row.
        exponent = -0.5 * away**2
        weight = np.exp(exponent - exponent.max(axis=1, keepdims=True))
        self.weight = weight / weight.sum(axis=1, keepdims=True)
        first = (self.weight * away).sum(axis=1)
        second = (self.weight * away**2).sum(axis=1) - first**2
        mean = self.weight @ points.jump
        slope = (self.weight * away) @ points.jump - first * mean
        self.mean = mean - first * np.divide(slope, second, out=np.zeros_like(second), where=second > 1e-12)
        rest = points.jump - np.interp(points.conductance, g, self.mean)
        # A parabola takes the trend out, so that the local average has no bias at the ends of the range.
        trend = np.polynomial.Polynomial.fit(points.conductance, np.abs(rest), 2)
        floor = 0.1 * float(np.abs(rest).mean())
        at_points, at_rows = np.maximum(trend(points.conductance), floor), np.maximum(trend(g), floor)
        part = np.divide(rest, at_points, out=np.zeros_like(rest), where=at_points > 0)
        self.spread = at_rows * np.sqrt(self.weight @ part**2)
        scale = np.interp(points.conductance, g, self.spread)
        self.residual = np.divide(rest, scale, out=np.zeros_like(rest), where=scale > 0)

    def reach(self) -> tuple[float, float]:
        """Return the lowest and the highest jump [S] of any row, with a margin of half a spread."""
        low, high = float(self.residual.min()) - 0.5, float(self.residual.max()) + 0.5
        return float((self.mean + low * self.spread).min()), float((self.mean + high * self.spread).max())

    def distribution(self, jump: FloatArray) -> FloatArray:
        """Return the distribution function of every row at ``jump`` [S]."""
        order = np.argsort(self.residual)
        sorted_residual, weight = self.residual[order], self.weight[:, order]
        # Each point at the middle of its step, so that the mean of the row is that of the points.
        level = np.cumsum(weight, axis=1) - 0.5 * weight
        # The residuals near a row have a mean and a spread of their own by chance; the row gets those found for it.
        centre = self.weight @ self.residual
        scale = np.sqrt(np.maximum(self.weight @ self.residual**2 - centre**2, 0.0))
        floor = 1e-6 * float(jump[-1] - jump[0])
        rows = [
            np.interp(c + s * (jump - mean) / max(spread, floor), sorted_residual, row, left=0.0, right=1.0)
            for mean, spread, c, s, row in zip(self.mean, self.spread, centre, scale, level, strict=True)
        ]
        return np.array(rows)


def synthesize(
    device: DeviceModel,
    sign: Sign,
    count: int,
    rng: np.random.Generator,
    conditions: Conditions | None = None,
) -> Points:
    """Return ``count`` points of a device: one pulse from conductances spread evenly over its range; none is rejected.

    ``conditions``: pulses and temperature. A pulse that ends at a bound gives the jump to the bound, as a measurement
    would.
    """
    given = conditions or Conditions()
    drive = drive_of(device, given)
    amplitude, width = drive.set_pulse if sign == "set" else drive.reset_pulse
    low, high = device.mean_conductance_range()
    before = device.state_for(rng.uniform(low, high, (1, count)))
    volts = amplitude if sign == "set" else -amplitude
    after = after_draws(device, before, volts, width, given.temperature, rng)
    start = device.conductance(before)
    return Points(start[0], (device.conductance(after) - start)[0])


def dataset_csv(device: DeviceModel, count: int, seed: int, conditions: Conditions | None = None) -> str:
    """Return ``count`` synthesized points of each sign as CSV, which `cosim fit --model pulse_table` reads."""
    rng, lines = np.random.default_rng(seed), ["branch,conductance_S,jump_S"]
    signs: tuple[tuple[str, Sign], ...] = (("LTP", "set"), ("LTD", "reset"))
    for branch, sign in signs:
        points = synthesize(device, sign, count, rng, conditions)
        lines += [
            f"{branch},{g:.9g},{jump:.9g}" for g, jump in zip(points.conductance, points.jump, strict=True)
        ]
    return "\n".join([*lines, ""])


def heat_map(table: JumpTable, path: Path) -> None:
    """Write a figure of the density of jumps against the conductance, SET and RESET, with the mean as a line."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    path.parent.mkdir(parents=True, exist_ok=True)
    figure = Figure(figsize=(8.0, 3.4), layout="constrained")
    axes: Any = figure.subplots(1, 2, sharey=True)
    middle = 0.5 * (table.jump[1:] + table.jump[:-1])
    signs: tuple[Sign, Sign] = ("set", "reset")
    for axis, sign in zip(axes, signs, strict=True):
        cdf = table.set_cdf if sign == "set" else table.reset_cdf
        density = np.diff(cdf, axis=1) / np.diff(table.jump)
        image = axis.pcolormesh(
            1e6 * table.conductance, 1e6 * middle, 1e-6 * density.T, shading="nearest", rasterized=True
        )
        axis.plot(1e6 * table.conductance, 1e6 * table.moments(sign)[0], color="w", lw=1.2)
        axis.set(xlabel="conductance [uS]", title=sign.upper())
    axes[0].set(ylabel="jump [uS]")
    figure.colorbar(image, ax=list(axes), label="density [1/uS]")
    figure.suptitle(f"{table.device}: {table.source}", fontsize=8)
    with mpl.rc_context({"svg.hashsalt": "cosim", "svg.fonttype": "none"}):
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
