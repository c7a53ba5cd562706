r"""Noise of a cell's conductance and current in time: thermal, 1/f flicker and random telegraph noise.

* **Thermal**: white, one-sided density of the current :math:`S_I = 4kTG` (Johnson, Nyquist 1928).
* **Flicker**: one-sided density of the relative conductance :math:`S(f) = q^2/f`; :math:`q` may depend on the
  conductance, :math:`q = \min(q_0 (G/G_{max})^{-\beta}, q_{max})` (Nandakumar et al., ICECS 2019, of phase-change
  memory). It is a sum of Ornstein-Uhlenbeck processes, two a decade of rates :math:`\lambda`, each of variance
  :math:`q^2 \ln r` with r the ratio of neighbouring rates: their densities
  :math:`4\lambda s^2/(\lambda^2+(2\pi f)^2)` add up to :math:`q^2/f` within 0.1 % (van der Ziel, Physica 16, 359 (1950)).
* **Random telegraph noise** (RTN): a trap lowers the conductance by a share while it is filled; times to fill and to
  empty are exponential, with a mean of the cell's own (Machlup, J. Appl. Phys. 25, 341 (1954)).

Both processes have exact conditional distributions over any gap of time, so a cell that is read at any instants has
one and the same process through them. A read of the equivalent noise bandwidth B takes the mean over
:math:`T = 1/(2B)`: of flicker exactly, by the mean of the process between its values at both ends of T,

:math:`E = \frac{x_0 + x_T}{a}\tanh\frac a2,\quad Var = s^2 \left(\frac 2a - \frac 4{a^2}\tanh\frac a2\right),\quad a = \lambda T`;

of a trap of rate :math:`\lambda` by the standard deviation that such a mean has, :math:`\sqrt{2(a-1+e^{-a})}/a` of the full one.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cosim.devices.base import FloatArray, Parameter, check, quantity
from cosim.rng import shell_order, shell_uniforms
from cosim.units import Fraction, Hertz, Second

BOLTZMANN = 1.380649e-23
"""Boltzmann constant [J/K], CODATA 2018."""
_PER_DECADE = 2
_FROZEN = 1e-3
"""Rate times aperture below which a component stands still in a read."""
_PCM = "Nandakumar et al., ICECS 2019, phase-change memory: 0.0088 / (G/Gmax)^0.65, at most 0.2"
_RTN = "cosim: an example within the range of Ielmini, Nardi, Cagli, Appl. Phys. Lett. 96, 053503 (2010), HfO2 RRAM"


@dataclass(frozen=True, slots=True)
class Flicker:
    """1/f noise of the conductance."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    amplitude: Fraction = quantity(
        0.0088,
        source=_PCM,
        doc="q at the highest conductance: root of the relative density at 1 Hz, times sqrt(1 Hz)",
    )
    exponent: float = quantity(
        0.0, source="cosim: the same for every state", doc="q grows as conductance to the power of minus this"
    )
    largest: Fraction = quantity(0.2, source=_PCM, doc="largest q")
    lowest: Hertz = quantity(
        1e-3,
        source="cosim: reads over a quarter of an hour are correlated",
        doc="frequency below which the density is flat",
    )

    def __post_init__(self) -> None:
        check(0 <= self.amplitude < 1, "flicker", "amplitude", "between 0 % and 100 %", self.amplitude)
        check(0 <= self.exponent <= 3, "flicker", "exponent", "between 0 and 3", self.exponent)
        check(0 < self.largest < 1, "flicker", "largest", "between 0 % and 100 %", self.largest)
        check(1e-9 <= self.lowest <= 1e9, "flicker", "lowest", "between 1 nHz and 1 GHz", self.lowest)

    def relative(self, conductance: FloatArray, highest: Parameter) -> FloatArray:
        """Return q of cells of a conductance [S] whose highest is ``highest`` [S]."""
        if self.exponent == 0:
            return np.full(conductance.shape, min(self.amplitude, self.largest))
        share = np.maximum(conductance / highest, 1e-12)
        result: FloatArray = np.minimum(self.amplitude * share**-self.exponent, self.largest)
        return result

    def rates(self, aperture_s: float) -> FloatArray:
        """Return the rates [1/s] of the components: from a decade below ``lowest`` to 100 in the aperture [s]."""
        low = np.log10(2 * np.pi * self.lowest) - 1
        count = max(1, int(np.ceil((np.log10(100 / aperture_s) - low) * _PER_DECADE)) + 1)
        result: FloatArray = 10 ** (low + np.arange(count) / _PER_DECADE)
        return result


@dataclass(frozen=True, slots=True)
class Telegraph:
    """Random telegraph noise: some cells have a trap that lowers their conductance while it is filled."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    fraction: Fraction = quantity(0.3, source=_RTN, doc="part of the cells that have a trap, drawn")
    amplitude: Fraction = quantity(0.05, source=_RTN, doc="of the conductance, between trap empty and filled")
    filled: Second = quantity(1e-3, source=_RTN, doc="time that a trap stays filled, median of the cells")
    empty: Second = quantity(1e-3, source=_RTN, doc="time that a trap stays empty, median of the cells")
    spread: float = quantity(
        1.0, source=_RTN, doc="standard deviation of both times from cell to cell, in decades"
    )

    def __post_init__(self) -> None:
        check(0 <= self.fraction <= 1, "rtn", "fraction", "between 0 % and 100 %", self.fraction)
        check(0 <= self.amplitude < 1, "rtn", "amplitude", "between 0 % and 100 %", self.amplitude)
        for name in ("filled", "empty"):
            check(
                1e-15 <= getattr(self, name) < 1e12,
                "rtn",
                name,
                "between 1 fs and 1e12 s",
                getattr(self, name),
            )
        check(0 <= self.spread <= 10, "rtn", "spread", "between 0 and 10 decades", self.spread)


@dataclass(frozen=True, slots=True)
class ReadNoise:
    """Noise on the current of reads and verifies."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    thermal: bool = quantity(
        True, source="Johnson, Nyquist (1928): 4kTG", doc="whether cells have thermal noise"
    )
    flicker: Flicker | None = quantity(None, source="cosim: none unless asked for", doc="1/f noise")
    rtn: Telegraph | None = quantity(
        None, source="cosim: none unless asked for", doc="random telegraph noise"
    )
    bandwidth: Hertz | Literal["auto"] = quantity(
        "auto",
        source="equivalent noise bandwidth of a mean over a time T, 1/(2T)",
        doc="equivalent noise bandwidth of the sense circuit; auto: T is the sample time, of an integrator the phase",
    )

    def __post_init__(self) -> None:
        if not isinstance(self.bandwidth, str):
            check(
                0 < self.bandwidth <= 1e15,
                "read_noise",
                "bandwidth",
                "above zero and at most 1e15 Hz",
                self.bandwidth,
            )


class Traps(NamedTuple):
    """The traps of an array: which cells have one, and its times [s], all ``(rows, columns)``."""

    present: NDArray[np.bool_]
    filled: FloatArray
    empty: FloatArray

    def of(self, rows: NDArray[np.intp]) -> Traps:
        """Return the traps of some rows."""
        return Traps(self.present[rows], self.filled[rows], self.empty[rows])

    @property
    def rate(self) -> FloatArray:
        """Rate at which a trap forgets its state [1/s]."""
        return 1 / self.filled + 1 / self.empty

    @property
    def occupation(self) -> FloatArray:
        """Part of the time that a trap is filled."""
        return self.filled / (self.filled + self.empty)


def drawn_traps(rtn: Telegraph, shape: tuple[int, int], rng: np.random.Generator) -> Traps:
    """Return the traps of an array, drawn in shell order."""
    from scipy.special import ndtri

    presence, times = rng.spawn(2)
    filled, empty = (
        median * 10 ** (rtn.spread * ndtri(u))
        for median, u in zip((rtn.filled, rtn.empty), shell_uniforms(times, shape), strict=True)
    )
    return Traps(shell_uniforms(presence, shape)[0] < rtn.fraction, filled, empty)


def flicker_read(
    value: FloatArray,
    relative: FloatArray,
    rates: FloatArray,
    times: tuple[FloatArray, float],
    rows: NDArray[np.intp],
    rng: np.random.Generator,
) -> tuple[FloatArray, FloatArray]:
    """Return the components at the end of a read, and the relative deviation of the conductance that it sees.

    ``value``: components of unit variance at the end of the read before, ``(components, rows, columns)``, of the
    ``rows`` with these numbers; ``relative`` ``(rows, columns)``: q of the cells; ``times``: the gap [s] since then,
    ``(rows,)``, infinite for the first read of a row, and the aperture [s].
    """
    gap, aperture = times
    a = rates * aperture
    moving = a > _FROZEN
    draws = _shell_normals(rng, rows, value.shape[2], len(rates) + int(moving.sum()) + 1)
    still = np.where(moving, 0.0, a)  # what stands still in the read has moved by its length before
    first = _relaxed(value, rates[:, None] * gap + still[:, None], draws[: len(rates)])
    last = first.copy()
    last[moving] = _relaxed(first[moving], a[moving, None], draws[len(rates) : -1])
    part = np.tanh(a / 2) / a
    weight = np.sqrt(np.log(10) / _PER_DECADE)
    left = 2 / a - 4 / a * part
    seen = np.tensordot(part, first + last, axes=1) + np.sqrt(left[moving].sum()) * draws[-1]
    return last, relative * weight * seen


def _relaxed(value: FloatArray, decay: FloatArray, normal: FloatArray) -> FloatArray:
    """Return components of unit variance after ``decay`` time constants of each row, ``(components, rows or 1)``."""
    keep, fresh = np.exp(-decay), np.sqrt(-np.expm1(-2 * decay))
    result: FloatArray = keep[:, :, None] * value
    result += fresh[:, :, None] * normal
    return result


def _shell_normals(rng: np.random.Generator, rows: NDArray[np.intp], columns: int, count: int) -> FloatArray:
    """Return ``count`` standard normal draws a cell of some rows, ``(count, rows, columns)``, in shell order."""
    place = _shell_places(rows.tobytes(), columns)
    drawn = rng.standard_normal((place.size, count))
    return np.ascontiguousarray(drawn[place].T).reshape(count, len(rows), columns)


@lru_cache(maxsize=32)
def _shell_places(rows: bytes, columns: int) -> NDArray[np.intp]:
    """Return which of the draws in shell order belongs to each cell of the ``rows``, given as the bytes of their numbers."""
    order = shell_order(np.frombuffer(rows, dtype=np.intp), np.arange(columns))
    place = np.empty_like(order)
    place[order] = np.arange(order.size)
    return place


def thermal_read(
    conductance: FloatArray,
    temperature: float,
    aperture_s: float,
    rows: NDArray[np.intp],
    rng: np.random.Generator,
) -> FloatArray:
    """Return thermal noise currents [A] of cells of some rows, ``(rows, columns)``, mean over an aperture [s]."""
    normal = _shell_normals(rng, rows, conductance.shape[1], 1)[0]
    result: FloatArray = np.sqrt(thermal_density(conductance, temperature) / (2 * aperture_s)) * normal
    return result


def traps_after(
    filled: NDArray[np.bool_],
    traps: Traps,
    gap_s: FloatArray,
    rows: NDArray[np.intp],
    rng: np.random.Generator,
) -> NDArray[np.bool_]:
    """Return which traps of some rows are filled ``(rows, columns)`` after a gap of each row [s], ``(rows,)``."""
    uniform = rng.random(filled.size)[_shell_places(rows.tobytes(), filled.shape[1])]
    mean = traps.occupation
    chance = mean + (filled - mean) * np.exp(-traps.rate * gap_s[:, None])
    result: NDArray[np.bool_] = uniform.reshape(filled.shape) < chance
    return result


def telegraph_seen(
    filled: NDArray[np.bool_], traps: Traps, amplitude: float, aperture_s: float
) -> FloatArray:
    """Return the relative deviation of the conductance ``(rows, columns)``; its mean over time is zero."""
    a = traps.rate * aperture_s
    seen = np.where(a > _FROZEN, np.sqrt(2 * (a + np.expm1(-a))) / a, 1.0)
    result: FloatArray = np.where(traps.present, amplitude * seen * (traps.occupation - filled), 0.0)
    return result


def thermal_density(conductance: FloatArray, temperature: float) -> FloatArray:
    """Return the one-sided density 4kTG of the current [A^2/Hz]."""
    return 4 * BOLTZMANN * temperature * conductance
