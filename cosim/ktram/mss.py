r"""The ``mss`` law of the kT-RAM emulator, N metastable switches, and the choice of a law by its name.

Source: Nugent and Molter, PLOS ONE 9(2): e85175 (2014); kT-RAM neural core, MSS model and default profile.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final, final

import numpy as np
from numpy.typing import NDArray

from cosim.errors import UnknownKeyError
from cosim.ktram.models import ByteLaw, Cells, DeviceLaw, FloatLaw, KtBits, RsLaw, clamp
from cosim.units import Kelvin, Ohm, Second, Volt, check, is_positive, quantity

_EMULATOR = "kT-RAM neural core"

K_BOLTZMANN: Final = 1.3806503e-23
"""Boltzmann's constant [J/K] as the emulator has it (CODATA 1998)."""
Q_CHARGE: Final = 1.60217646e-19
"""Elementary charge [C] as the emulator has it (CODATA 1998)."""

_EMULATOR = "kT-RAM neural core"


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


def law_for(model: str, profile: MSSProfile | None = None) -> DeviceLaw:
    """Return the law called ``model`` (lower case); raises `UnknownKeyError` for any other name."""
    laws: dict[str, DeviceLaw] = {"float": FloatLaw(), "byte": ByteLaw(), "rs": RsLaw()}
    if model == "mss":
        return MssLaw(profile or MSSProfile())
    if model not in laws:
        raise UnknownKeyError(f"Core.model: must be one of byte, float, mss, rs, not '{model}'")
    return laws[model]
