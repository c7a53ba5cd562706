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

from cosim.errors import UnknownKeyError
from cosim.units import Kelvin, Ohm, Second, Volt, check, is_positive, quantity

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

K_BOLTZMANN: Final = 1.3806503e-23
"""Boltzmann's constant [J/K] as the emulator has it (CODATA 1998)."""
Q_CHARGE: Final = 1.60217646e-19
"""Elementary charge [C] as the emulator has it (CODATA 1998)."""

_EMULATOR = "kT-RAM neural core"


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


@final
@dataclass(frozen=True)
class MSSProfile:
    """Parameters of the metastable-switch device; the defaults are an idealized Knowm W+SDC.

    Raises `DeviceError` for values that no device can have.
    """

    Ron: Ohm = quantity(1e3, source=_EMULATOR, doc="resistance with all switches on")
    Roff: Ohm = quantity(1e4, source=_EMULATOR, doc="resistance with all switches off")
    N: float = quantity(1000.0, source=_EMULATOR, doc="number of switches")
    tau: Second = quantity(1e-5, source=_EMULATOR, doc="time constant of a transition that is certain")
    Von: Volt = quantity(0.27, source=_EMULATOR, doc="threshold of the off-to-on transition")
    Voff: Volt = quantity(0.27, source=_EMULATOR, doc="threshold of the on-to-off transition (magnitude)")
    phi: float = quantity(1.0, source=_EMULATOR, doc="fraction of the current that is linear")
    schottky_fa: float = quantity(0.0, source=_EMULATOR, doc="Schottky forward factor [A]")
    schottky_fb: float = quantity(0.0, source=_EMULATOR, doc="Schottky forward exponent [1/V]")
    schottky_ra: float = quantity(0.0, source=_EMULATOR, doc="Schottky reverse factor [A]")
    schottky_rb: float = quantity(0.0, source=_EMULATOR, doc="Schottky reverse exponent [1/V]")
    temperature: Kelvin = quantity(298.0, source=_EMULATOR, doc="device temperature")

    def __post_init__(self) -> None:
        for parameter in ("Ron", "Roff", "N", "tau", "temperature"):
            value = getattr(self, parameter)
            check(is_positive(value), "MSSProfile", parameter, "finite and above zero", value)
        check(self.Ron < self.Roff, "MSSProfile", "Ron", "below Roff", self.Ron)

    @property
    def gmin(self) -> float:
        """Lowest conductance [S]."""
        return 1.0 / self.Roff

    @property
    def gmax(self) -> float:
        """Highest conductance [S]."""
        return 1.0 / self.Ron

    @property
    def vt(self) -> float:
        """Thermal voltage kT/q [V]."""
        return K_BOLTZMANN * self.temperature / Q_CHARGE


@final
@dataclass(frozen=True)
class MssLaw(DeviceLaw):
    r"""N metastable switches; stored is the fraction x that is on, :math:`G = x/R_{on} + (1-x)/R_{off}`.

    A pulse moves ``round(normal(n p, sqrt(n p (1-p))))`` switches each way with
    :math:`p_{on} = (t/\tau)/(1+e^{-(V-V_{on})/V_T})` and
    :math:`p_{off} = (t/\tau)(1-1/(1+e^{-(V+V_{off})/V_T}))`: the emulator's approximation of two binomial
    draws, in which rare events vanish by rounding. Order of draws: for every kT-bit a-side on, a-side off,
    b-side on, b-side off.
    """

    name: ClassVar[str] = "mss"
    stochastic: ClassVar[bool] = True
    uses_width: ClassVar[bool] = True
    profile: MSSProfile = MSSProfile()

    @property
    def g_min(self) -> float:
        return self.profile.gmin

    @property
    def g_max(self) -> float:
        return self.profile.gmax

    def stored(self, g: float) -> float:
        p = self.profile
        r = p.Roff if g <= 0 else clamp(1.0 / g, p.Ron, p.Roff)
        return (p.Ron * (r - p.Roff)) / (r * (p.Ron - p.Roff))

    def initial(
        self, mean: float, spread: float, shape: tuple[int, ...], rng: np.random.Generator
    ) -> NDArray[np.float64]:
        p = self.profile
        g = self._initial_conductance(mean, spread, shape, rng)
        r = np.clip(np.floor(1.0 / g + 0.5), p.Ron, p.Roff)  # whole ohms
        result: NDArray[np.float64] = (p.Ron * (r - p.Roff)) / (r * (p.Ron - p.Roff))
        return result

    def conductance(self, stored: float) -> float:
        p = self.profile
        return stored / p.Ron + (1.0 - stored) / p.Roff

    def conductances(self, stored: NDArray[Any]) -> NDArray[Any]:
        p = self.profile
        result: NDArray[Any] = stored / p.Ron + (1.0 - stored) / p.Roff
        return result

    def sums(self, cells: Cells, active: Sequence[int]) -> tuple[float, float]:
        r_on, r_off = self.profile.Ron, self.profile.Roff
        top = bottom = 0.0
        for k in active:
            xa, xb = cells[k], cells[k + 1]
            a = xa / r_on + (1.0 - xa) / r_off
            b = xb / r_on + (1.0 - xb) / r_off
            top += a - b
            bottom += a + b
        return top, bottom

    def probabilities(self, voltage: float, width: float) -> tuple[float, float]:
        """Return the chance that a switch goes on, and that one goes off, in a pulse (may exceed 1)."""
        p = self.profile
        ratio, vt = width / p.tau, p.vt
        on = ratio * 1.0 / (1.0 + _exp(-(voltage - p.Von) / vt))
        off = ratio * (1.0 - 1.0 / (1.0 + _exp(-(voltage + p.Voff) / vt)))
        return on, off

    def _moved(self, x: float, chances: tuple[float, float], normal_on: float, normal_off: float) -> float:
        """Return x after the switches of one cell have moved, from two standard normal draws."""
        on, off = chances
        n = self.profile.N
        mean_on, mean_off = (1.0 - x) * n * on, x * n * off
        variance_on, variance_off = mean_on * (1.0 - on), mean_off * (1.0 - off)
        sigma_on = math.sqrt(variance_on) if variance_on > 0.0 else 0.0
        sigma_off = math.sqrt(variance_off) if variance_off > 0.0 else 0.0
        turned_on = math.floor(mean_on + sigma_on * normal_on + 0.5)
        turned_off = math.floor(mean_off + sigma_off * normal_off + 0.5)
        return clamp(x + (turned_on - turned_off) / n, 0.0, 1.0)

    def step(self, stored: float, voltage: float, width: float, rng: np.random.Generator) -> float:
        normal = rng.standard_normal(2).tolist()
        return self._moved(stored, self.probabilities(voltage, width), normal[0], normal[1])

    def drive(
        self,
        cells: Cells,
        active: Sequence[int],
        voltage: tuple[float, float],
        width: float,
        rng: np.random.Generator,
    ) -> None:
        normal = rng.standard_normal(4 * len(active)).tolist()
        a, b = (self.probabilities(v, width) for v in voltage)
        moved, at = self._moved, 0
        for k in active:
            cells[k] = moved(cells[k], a, normal[at], normal[at + 1])
            cells[k + 1] = moved(cells[k + 1], b, normal[at + 2], normal[at + 3])
            at += 4

    def drive_many(
        self, kt_bits: KtBits, voltage: tuple[float, float], width: float, rng: np.random.Generator
    ) -> KtBits | None:
        pairs = kt_bits.view(np.float64).reshape(-1, 2)
        normal = rng.standard_normal((len(pairs), 2, 2))  # kT-bit, side, on or off
        n = self.profile.N
        on, off = (np.array(p) for p in zip(*(self.probabilities(v, width) for v in voltage), strict=True))
        mean_on, mean_off = (1.0 - pairs) * n * on, pairs * n * off
        sigma_on = np.sqrt(np.maximum(mean_on * (1.0 - on), 0.0))
        sigma_off = np.sqrt(np.maximum(mean_off * (1.0 - off), 0.0))
        turned_on = np.floor(mean_on + sigma_on * normal[:, :, 0] + 0.5)
        turned_off = np.floor(mean_off + sigma_off * normal[:, :, 1] + 0.5)
        np.clip(pairs + (turned_on - turned_off) / n, 0.0, 1.0, out=pairs)
        return kt_bits

    def kernel(self) -> tuple[int, tuple[float, ...]]:
        p = self.profile
        return 3, (p.Ron, p.Roff, p.N, p.tau, p.Von, p.Voff, p.vt)


def _exp(z: float) -> float:
    """Return e^z, infinity where it is beyond all floats."""
    return math.exp(z) if z < 709.0 else math.inf


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


def law_for(model: str, profile: MSSProfile | None = None) -> DeviceLaw:
    """Return the law called ``model`` (lower case); raises `UnknownKeyError` for any other name."""
    laws: dict[str, DeviceLaw] = {"float": FloatLaw(), "byte": ByteLaw(), "rs": RsLaw()}
    if model == "mss":
        return MssLaw(profile or MSSProfile())
    if model not in laws:
        raise UnknownKeyError(f"Core.model: must be one of byte, float, mss, rs, not '{model}'")
    return laws[model]
