r"""The four device laws of the kT-RAM emulator: one explicit step per pulse, on arrays of kT-bits.

A law owns physics and no state. The cells of a lane are stored side by side, a-side and b-side of a
kT-bit adjacent, so one law serves two layouts of the same memory: a flat `memoryview` for lanes with few
active spaces, and arrays with one number per kT-bit for many. Both give the same numbers to the last bit.

``float``: :math:`\Delta G = \eta\,\Delta V` outside of a dead zone. ``byte``: the conductance is an integer
1..255 and :math:`\Delta G` the voltage rounded half up. ``rs``: :math:`\Delta G = \alpha T(V)\,t\,(G_t-G)`.
``mss``: N metastable switches, of which a rounded normal number changes sides.

Source: kT-RAM neural core, device models; Nugent and Molter, PLOS ONE 9(2): e85175 (2014) for ``mss``.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Final, final

import numpy as np
from numpy.typing import NDArray

from cosim.units import Volt, quantity

_EMULATOR = "kT-RAM neural core"

if TYPE_CHECKING:
    Cells = memoryview[float]
else:
    Cells = memoryview
"""Flat view of a lane's memory: a-side of kT-bit k at 2k, b-side at 2k + 1."""
KtBits = NDArray[Any]
"""One number per kT-bit, so that one index or addition serves both sides: a + i b, or two bytes."""

INIT_TYPES: Final[Mapping[str, tuple[float, float]]] = MappingProxyType(
    {
        "low": (0.0, 0.05),
        "medium": (0.5, 0.05),
        "high": (1.0, 0.05),
        "low_noise": (0.0, 0.25),
        "high_noise": (1.0, 0.25),
        "medium_noise": (0.5, 0.25),
        "medium_high_noise": (0.5, 0.5),
        "low_noiseless": (0.0, 0.0),
        "medium_noiseless": (0.5, 0.0),
        "low_noise_small": (0.0, 0.05),
    }
)
"""Initial conductances by name: mean and standard deviation in fractions of the range."""


def flat(state: NDArray[Any]) -> Cells:
    """Return the flat view of a contiguous array; items come as Python floats."""
    view: Any = state.reshape(-1).data
    return view  # type: ignore[no-any-return]


def java_round(x: float) -> int:
    """Return ``floor(x + 1/2)``: half up, so -0.5 gives 0 and 2.5 gives 3."""
    return math.floor(x + 0.5)


def clamp(x: float, low: float, high: float) -> float:
    """Return ``x`` limited to ``low``..``high``."""
    return low if x < low else (high if x > high else x)


class DeviceLaw(ABC):
    """How conductances of one kind of device start, are read and step; without state.

    ``stored`` values are what a cell keeps: the conductance, or for ``mss`` the fraction of switches on.
    """

    name: ClassVar[str]
    dtype: ClassVar[type[np.generic]] = np.float64
    """Number type of the stored values."""
    pair_dtype: ClassVar[type[np.generic]] = np.complex128
    """The two stored values of a kT-bit as one number."""
    stochastic: ClassVar[bool] = False
    """Whether a step draws from the core's generator."""
    uses_width: ClassVar[bool] = False
    """Whether the pulse width has an effect."""

    @property
    @abstractmethod
    def g_min(self) -> float:
        """Lowest conductance [S; the byte model: steps]."""

    @property
    @abstractmethod
    def g_max(self) -> float:
        """Highest conductance [S; the byte model: steps]."""

    @abstractmethod
    def stored(self, g: float) -> float:
        """Return what a cell keeps for conductance ``g``, limited to the range."""

    @abstractmethod
    def step(self, stored: float, voltage: float, width: float, rng: np.random.Generator) -> float:
        """Return the stored value of one cell after a pulse of ``voltage`` [V] and ``width`` [s]."""

    def step_each(
        self, stored: NDArray[Any], voltages: NDArray[np.float64], width: float, rng: np.random.Generator
    ) -> NDArray[Any]:
        """Return `step` of every cell at its own voltage [V], shape of both arrays."""
        pairs = zip(stored.reshape(-1).tolist(), voltages.reshape(-1).tolist(), strict=True)
        steps = [self.step(value, voltage, width, rng) for value, voltage in pairs]
        return np.array(steps, dtype=self.dtype).reshape(stored.shape)

    @abstractmethod
    def drive(
        self,
        cells: Cells,
        active: Sequence[int],
        voltage: tuple[float, float],
        width: float,
        rng: np.random.Generator,
    ) -> None:
        """Step the cells at the flat places ``active`` (a-sides) and beside them (b-sides), in order."""

    @abstractmethod
    def drive_many(
        self, kt_bits: KtBits, voltage: tuple[float, float], width: float, rng: np.random.Generator
    ) -> KtBits | None:
        """Return ``kt_bits`` ``(kT-bits,)`` (which may be overwritten) after a pulse; None for no change."""

    @abstractmethod
    def kernel(self) -> tuple[int, tuple[float, ...]]:
        """Return the law's number and constants for `cosim.ktram.batch_numba`."""

    def conductance(self, stored: float) -> float:
        """Return the conductance of a stored value."""
        return stored

    def conductances(self, stored: NDArray[Any]) -> NDArray[Any]:
        """Return the conductances of an array of stored values, same shape."""
        return stored

    def initial(
        self, mean: float, spread: float, shape: tuple[int, ...], rng: np.random.Generator
    ) -> NDArray[np.float64]:
        """Return stored values of ``shape``, drawn in C order; ``spread`` 0 draws nothing."""
        return self._initial_conductance(mean, spread, shape, rng)

    def _initial_conductance(
        self, mean: float, spread: float, shape: tuple[int, ...], rng: np.random.Generator
    ) -> NDArray[np.float64]:
        low, high = self.g_min, self.g_max
        noise = spread * rng.standard_normal(shape) if spread > 0 else np.zeros(shape)
        result: NDArray[np.float64] = np.clip(low + (high - low) * (mean + noise), low, high)
        return result

    def sums(self, cells: Cells, active: Sequence[int]) -> tuple[float, float]:
        """Return the sums of Ga - Gb and of Ga + Gb at the flat places ``active``, left to right."""
        top = bottom = 0.0
        for k in active:
            a, b = cells[k], cells[k + 1]
            top += a - b
            bottom += a + b
        return top, bottom

    def sums_of(self, kt_bits: KtBits) -> tuple[float, float]:
        """Return the sums of Ga - Gb and of Ga + Gb of at least one kT-bit, left to right."""
        a, b = self.conductances(kt_bits.real), self.conductances(kt_bits.imag)
        # accumulate adds strictly left to right; reduce would add in pairs and differ in the last bit
        return float(np.add.accumulate(a - b)[-1]), float(np.add.accumulate(a + b)[-1])


@final
@dataclass(frozen=True)
class FloatLaw(DeviceLaw):
    """Conductance steps in proportion to the voltage outside of an open dead zone; the width has no effect."""

    name: ClassVar[str] = "float"
    g_low: float = quantity(4e-4, source=_EMULATOR, doc="lowest conductance [S]")
    g_high: float = quantity(1e-1, source=_EMULATOR, doc="highest conductance [S]")
    learning_rate: float = quantity(1e-4, source=_EMULATOR, doc="conductance step per volt [S/V]")
    va: Volt = quantity(0.25, source=_EMULATOR, doc="upper end of the dead zone")
    vb: Volt = quantity(0.25, source=_EMULATOR, doc="lower end of the dead zone (magnitude)")

    @property
    def g_min(self) -> float:
        return self.g_low

    @property
    def g_max(self) -> float:
        return self.g_high

    def stored(self, g: float) -> float:
        return clamp(g, self.g_low, self.g_high)

    def _gain(self, voltage: float) -> float:
        return 0.0 if -self.vb < voltage < self.va else self.learning_rate * voltage

    def step(self, stored: float, voltage: float, width: float, rng: np.random.Generator) -> float:
        return clamp(stored + self._gain(voltage), self.g_low, self.g_high)

    def step_each(
        self, stored: NDArray[Any], voltages: NDArray[np.float64], width: float, rng: np.random.Generator
    ) -> NDArray[Any]:
        dead = (-self.vb < voltages) & (voltages < self.va)
        after = stored + np.where(dead, 0.0, self.learning_rate * voltages)
        clipped: NDArray[Any] = np.clip(after, self.g_low, self.g_high)
        return clipped

    def drive(
        self,
        cells: Cells,
        active: Sequence[int],
        voltage: tuple[float, float],
        width: float,
        rng: np.random.Generator,
    ) -> None:
        _add(cells, active, (self._gain(voltage[0]), self._gain(voltage[1])), (self.g_low, self.g_high))

    def drive_many(
        self, kt_bits: KtBits, voltage: tuple[float, float], width: float, rng: np.random.Generator
    ) -> KtBits | None:
        gains = (self._gain(voltage[0]), self._gain(voltage[1]))
        return _add_to_many(kt_bits, gains, (self.g_low, self.g_high))

    def kernel(self) -> tuple[int, tuple[float, ...]]:
        return 0, (self.g_low, self.g_high, self.learning_rate, self.va, self.vb)


@final
@dataclass(frozen=True)
class ByteLaw(DeviceLaw):
    """Conductance in whole steps 1..255 (arbitrary unit); a pulse adds its voltage, rounded half up.

    A kT-bit is two bytes, taken as one 16-bit number: all that a pulse does to it stands in a table.
    """

    name: ClassVar[str] = "byte"
    dtype: ClassVar[type[np.generic]] = np.uint8
    pair_dtype: ClassVar[type[np.generic]] = np.uint16
    _LARGEST_EXACT_SUM: ClassVar[int] = 2**24 // 510

    @property
    def g_min(self) -> float:
        return 1.0

    @property
    def g_max(self) -> float:
        return 255.0

    def stored(self, g: float) -> int:
        return int(clamp(g, 1, 255))

    def conductance(self, stored: float) -> float:
        return float(stored)

    def initial(
        self, mean: float, spread: float, shape: tuple[int, ...], rng: np.random.Generator
    ) -> NDArray[np.float64]:
        result: NDArray[np.float64] = np.trunc(self._initial_conductance(mean, spread, shape, rng))
        return result

    def step(self, stored: float, voltage: float, width: float, rng: np.random.Generator) -> int:
        return int(clamp(stored + java_round(voltage), 1, 255))

    def step_each(
        self, stored: NDArray[Any], voltages: NDArray[np.float64], width: float, rng: np.random.Generator
    ) -> NDArray[Any]:
        after = np.clip(stored.astype(np.float64) + np.floor(voltages + 0.5), 1, 255)
        return after.astype(self.dtype)

    def drive(
        self,
        cells: Cells,
        active: Sequence[int],
        voltage: tuple[float, float],
        width: float,
        rng: np.random.Generator,
    ) -> None:
        _add(cells, active, (java_round(voltage[0]), java_round(voltage[1])), (1, 255))

    def drive_many(
        self, kt_bits: KtBits, voltage: tuple[float, float], width: float, rng: np.random.Generator
    ) -> KtBits | None:
        gain_a, gain_b = java_round(voltage[0]), java_round(voltage[1])
        if not (gain_a or gain_b):
            return None
        after: KtBits = _stepped_bytes(gain_a, gain_b)[kt_bits]
        return after

    def kernel(self) -> tuple[int, tuple[float, ...]]:
        return 1, (1.0, 255.0)

    def sums_of(self, kt_bits: KtBits) -> tuple[float, float]:
        count, pairs = len(kt_bits), _pairs_of_bytes()[kt_bits]
        if count > self._LARGEST_EXACT_SUM:
            total = complex(np.add.reduce(pairs.astype(np.complex128)))
        else:
            total = complex(_ones(count).dot(pairs))  # integers: exact in any order
        return total.real - total.imag, total.real + total.imag


@final
@dataclass(frozen=True)
class RsLaw(DeviceLaw):
    """Conductance relaxes towards the end of its range, at a rate linear in the voltage above threshold."""

    name: ClassVar[str] = "rs"
    uses_width: ClassVar[bool] = True
    g_low: float = quantity(1e-7, source=_EMULATOR, doc="lowest conductance [S]")
    g_high: float = quantity(1e-3, source=_EMULATOR, doc="highest conductance [S]")
    alpha: float = quantity(1e6, source=_EMULATOR, doc="rate per volt above threshold [1/(V s)]")
    va: Volt = quantity(0.25, source=_EMULATOR, doc="threshold of rising conductance")
    vb: Volt = quantity(0.25, source=_EMULATOR, doc="threshold of falling conductance (magnitude)")

    @property
    def g_min(self) -> float:
        return self.g_low

    @property
    def g_max(self) -> float:
        return self.g_high

    def stored(self, g: float) -> float:
        return clamp(g, self.g_low, self.g_high)

    def _fraction(self, voltage: float, width: float) -> tuple[float, float]:
        """Return the fraction of the way that a pulse goes, and the end of the range that it goes to."""
        above = voltage - self.va if voltage > self.va else 0.0
        if voltage < -self.vb:
            above = -(voltage + self.vb)
        return self.alpha * above * width, self.g_high if voltage > 0 else self.g_low

    def step(self, stored: float, voltage: float, width: float, rng: np.random.Generator) -> float:
        fraction, end = self._fraction(voltage, width)
        return clamp(stored + fraction * (end - stored), self.g_low, self.g_high)

    def step_each(
        self, stored: NDArray[Any], voltages: NDArray[np.float64], width: float, rng: np.random.Generator
    ) -> NDArray[Any]:
        above = np.where(voltages > self.va, voltages - self.va, np.maximum(-(voltages + self.vb), 0.0))
        end = np.where(voltages > 0, self.g_high, self.g_low)
        after = stored + self.alpha * above * width * (end - stored)
        clipped: NDArray[Any] = np.clip(after, self.g_low, self.g_high)
        return clipped

    def drive(
        self,
        cells: Cells,
        active: Sequence[int],
        voltage: tuple[float, float],
        width: float,
        rng: np.random.Generator,
    ) -> None:
        low, high = self.g_low, self.g_high
        for side in (0, 1):
            fraction, end = self._fraction(voltage[side], width)
            if fraction != 0.0:
                for k in active:
                    g = cells[k + side]
                    g += fraction * (end - g)
                    cells[k + side] = low if g < low else (high if g > high else g)

    def drive_many(
        self, kt_bits: KtBits, voltage: tuple[float, float], width: float, rng: np.random.Generator
    ) -> KtBits | None:
        (fraction_a, end_a), (fraction_b, end_b) = (self._fraction(v, width) for v in voltage)
        if fraction_a == 0.0 and fraction_b == 0.0:
            return None
        pairs = kt_bits.view(np.float64).reshape(-1, 2)
        pairs += np.array([fraction_a, fraction_b]) * (np.array([end_a, end_b]) - pairs)
        np.clip(pairs, self.g_low, self.g_high, out=pairs)
        return kt_bits

    def kernel(self) -> tuple[int, tuple[float, ...]]:
        return 2, (self.g_low, self.g_high, self.alpha, self.va, self.vb)


def _add(
    cells: Cells, active: Sequence[int], gains: tuple[float, float], bounds: tuple[float, float]
) -> None:
    """Add one gain to all a-sides and one to all b-sides, limited to ``bounds``."""
    low, high = bounds
    for side in (0, 1):
        gain = gains[side]
        if gain:
            for k in active:
                g = cells[k + side] + gain
                cells[k + side] = low if g < low else (high if g > high else g)


def _add_to_many(kt_bits: KtBits, gains: tuple[float, float], bounds: tuple[float, float]) -> KtBits | None:
    """Add one gain to all a-sides and one to all b-sides, limited to ``bounds``; None for no change."""
    gain_a, gain_b = gains
    if not (gain_a or gain_b):
        return None
    kt_bits += complex(gain_a, gain_b)
    sides = kt_bits.view(np.float64)
    if gain_a > 0 or gain_b > 0:
        np.minimum(sides, bounds[1], out=sides)
    if gain_a < 0 or gain_b < 0:
        np.maximum(sides, bounds[0], out=sides)
    return kt_bits


def _all_bytes() -> NDArray[np.int64]:
    """Return both bytes of every 16-bit number, ``(65536, 2)``."""
    return np.arange(1 << 16, dtype=np.uint16).view(np.uint8).reshape(-1, 2).astype(np.int64)


@lru_cache(maxsize=64)
def _stepped_bytes(gain_a: int, gain_b: int) -> KtBits:
    """Return what every kT-bit of two bytes becomes when gains are added to its sides."""
    after = np.clip(_all_bytes() + np.array([gain_a, gain_b]), 1, 255)
    return np.ascontiguousarray(after, dtype=np.uint8).view(np.uint16).reshape(-1)


@lru_cache(maxsize=1)
def _pairs_of_bytes() -> KtBits:
    """Return Ga + i Gb of every kT-bit of two bytes."""
    return np.ascontiguousarray(_all_bytes(), dtype=np.float32).view(np.complex64).reshape(-1)


@lru_cache(maxsize=1024)
def _ones(count: int) -> KtBits:
    return np.ones(count, dtype=np.complex64)
