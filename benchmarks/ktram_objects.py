"""The kT-RAM semantics with one Python object per device: the yardstick of `ktram.py` and of the tests.

Written from the published rules, independently of `cosim.ktram`: no arrays, one generator, one device at
a time. It is slow and easy to check by reading.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

INIT = {
    "low": (0.0, 0.05), "medium": (0.5, 0.05), "high": (1.0, 0.05), "low_noise": (0.0, 0.25),
    "high_noise": (1.0, 0.25), "medium_noise": (0.5, 0.25), "medium_high_noise": (0.5, 0.5),
    "low_noiseless": (0.0, 0.0), "medium_noiseless": (0.5, 0.0), "low_noise_small": (0.0, 0.05),
}  # fmt: skip
# direction, reads, low voltage, feedback coefficient, times the sign of y
RULES = {
    "FF": ("f", True, False, 0, False), "FFLV": ("f", True, True, 0, False),
    "RF": ("r", True, False, 0, False), "RFLV": ("r", True, True, 0, False),
    "FH": ("f", False, False, -1, False), "FL": ("f", False, False, 1, False),
    "FU": ("f", False, False, 1, True), "FA": ("f", False, False, -1, True),
    "FZ": ("f", False, False, 0, False),
    "RH": ("r", False, False, 1, False), "RL": ("r", False, False, -1, False),
    "RU": ("r", False, False, 1, True), "RA": ("r", False, False, -1, True),
    "RZ": ("r", False, False, 0, False),
}  # fmt: skip


def half_up(x: float) -> int:
    return math.floor(x + 0.5)


def root(x: float) -> float:
    return math.sqrt(x) if x > 0.0 else 0.0


def limited(x: float, low: float, high: float) -> float:
    return low if x < low else high if x > high else x


def drawn(low: float, high: float, mean: float, spread: float, rng: np.random.Generator) -> float:
    noise = spread * rng.standard_normal() if spread > 0 else 0.0
    return limited(low + (high - low) * (mean + noise), low, high)


class FloatDevice:
    """Conductance steps in proportion to the voltage."""

    LOW, HIGH = 4e-4, 1e-1

    def __init__(self, mean: float, spread: float, rng: np.random.Generator) -> None:
        self.value = drawn(self.LOW, self.HIGH, mean, spread, rng)

    def g(self) -> float:
        return self.value

    def drive(self, voltage: float, width: float) -> None:
        change = 0.0 if -0.25 < voltage < 0.25 else 1e-4 * voltage
        self.value = limited(self.value + change, self.LOW, self.HIGH)


class ByteDevice:
    """Conductance in whole steps."""

    LOW, HIGH = 1, 255

    def __init__(self, mean: float, spread: float, rng: np.random.Generator) -> None:
        self.value = int(drawn(self.LOW, self.HIGH, mean, spread, rng))

    def g(self) -> float:
        return float(self.value)

    def drive(self, voltage: float, width: float) -> None:
        self.value = int(limited(self.value + half_up(voltage), self.LOW, self.HIGH))


class RsDevice:
    """Relaxation towards an end of the range."""

    LOW, HIGH = 1e-7, 1e-3

    def __init__(self, mean: float, spread: float, rng: np.random.Generator) -> None:
        self.value = drawn(self.LOW, self.HIGH, mean, spread, rng)

    def g(self) -> float:
        return self.value

    def drive(self, voltage: float, width: float) -> None:
        above = voltage - 0.25 if voltage > 0.25 else -(voltage + 0.25) if voltage < -0.25 else 0.0
        end = self.HIGH if voltage > 0 else self.LOW
        self.value = limited(self.value + 1e6 * above * width * (end - self.value), self.LOW, self.HIGH)


class MssDevice:
    """Metastable switches."""

    LOW, HIGH = 1.0 / 10000.0, 1.0 / 1000.0
    R_ON, R_OFF, N, TAU, V_ON, V_OFF = 1000.0, 10000.0, 1000.0, 1e-5, 0.27, 0.27
    V_T = 1.3806503e-23 * 298.0 / 1.60217646e-19

    def __init__(self, mean: float, spread: float, rng: np.random.Generator) -> None:
        self.rng = rng
        ohms = half_up(1.0 / drawn(self.LOW, self.HIGH, mean, spread, rng))
        ohms = limited(ohms, self.R_ON, self.R_OFF)
        self.value = (self.R_ON * (ohms - self.R_OFF)) / (ohms * (self.R_ON - self.R_OFF))

    def g(self) -> float:
        return self.value / self.R_ON + (1.0 - self.value) / self.R_OFF

    def drive(self, voltage: float, width: float) -> None:
        x, n, ratio = self.value, self.N, width / self.TAU
        on = ratio / (1.0 + math.exp(-(voltage - self.V_ON) / self.V_T))
        off = ratio * (1.0 - 1.0 / (1.0 + math.exp(-(voltage + self.V_OFF) / self.V_T)))
        spread_on = root((1.0 - x) * n * on * (1.0 - on))
        spread_off = root(x * n * off * (1.0 - off))
        turned_on = half_up(self.rng.normal((1.0 - x) * n * on, spread_on))
        turned_off = half_up(self.rng.normal(x * n * off, spread_off))
        self.value = limited(x + (turned_on - turned_off) / n, 0.0, 1.0)


DEVICES = {"float": FloatDevice, "byte": ByteDevice, "rs": RsDevice, "mss": MssDevice}
DEFAULTS = {"float": (1.0, 1e-6), "byte": (1.0, 1e-6), "rs": (1.0, 1e-8), "mss": (0.25, 1e-6)}


class Crossbar:
    """One side of a space."""

    def __init__(
        self, size: int, make: Callable[[], FloatDevice | ByteDevice | RsDevice | MssDevice]
    ) -> None:
        self.devices = [make() for _ in range(size)]

    def g(self, address: int) -> float:
        return self.devices[address].g()

    def drive(self, address: int, voltage: float, width: float) -> None:
        self.devices[address].drive(voltage, width)


class Space:
    """Two sides, one address."""

    def __init__(
        self, size: int, make: Callable[[], FloatDevice | ByteDevice | RsDevice | MssDevice]
    ) -> None:
        self.a = Crossbar(size, make)
        self.b = Crossbar(size, make)

    def pair(self, address: int) -> tuple[float, float]:
        return self.a.g(address), self.b.g(address)

    def drive(self, address: int, over_a: float, over_b: float, width: float) -> None:
        self.a.drive(address, over_a, width)
        self.b.drive(address, over_b, width)


class Lane:
    """Spaces that share a node."""

    def __init__(self, spaces: list[Space], core: PlainCore) -> None:
        self.spaces, self.core, self.y = spaces, core, 0.0

    def evaluate(self, aat, name: str, noise: float = 0.0) -> float:  # type: ignore[no-untyped-def]
        if len(aat) != len(self.spaces):
            raise ValueError(len(aat))
        direction, reads, low, coefficient, signed = RULES[name]
        core = self.core
        active = [
            (space, address) for space, address in zip(self.spaces, aat, strict=True) if address is not None
        ]
        rail = core.rail(direction, low)
        if reads:
            if noise:
                rail *= max(1e-3, 1.0 - noise)
            top = bottom = 0.0
            for ga, gb in (space.pair(address) for space, address in active):
                top += ga - gb
                bottom += ga + gb
            self.y = core.sampled(top / bottom, bottom, rail) if bottom else 0.0
            node = rail * self.y
        else:
            node = (
                coefficient
                * core.rail(direction, False)
                * ((1.0 if self.y >= 0 else -1.0) if signed else 1.0)
            )
        for space, address in active:
            space.drive(address, rail - node, node + rail, core.width)
        return self.y


class PlainCore:
    """Lanes of objects; the arguments are those of `cosim.ktram.Core` that change results."""

    def __init__(
        self, rows: int, cols: int, spaces: int = 1, lanes: int = 1, model: str = "float",
        init: str = "medium", seed: int | None = None, read_noise: float = 0.02,
        voltages: tuple[float, float, float, float] | None = None, pulse_width: float | None = None,
        read_pulse_width: float | None = None, comparator: float = 100e-6 + 10 * 20e-6,
    ) -> None:  # fmt: skip
        self.rng = np.random.default_rng(seed)
        standard, width = DEFAULTS[model]
        self.voltages = voltages or (standard, -standard, 0.05, -0.05)
        self.width = width if pulse_width is None else pulse_width
        self.read_noise, self.comparator = read_noise, comparator
        self.m_ref = DEVICES[model].HIGH
        self.width_ratio = self.width / (self.width if read_pulse_width is None else read_pulse_width)
        mean, spread = INIT[init]

        def make():  # type: ignore[no-untyped-def]
            return DEVICES[model](mean, spread, self.rng)

        self.lanes = [Lane([Space(rows * cols, make) for _ in range(spaces)], self) for _ in range(lanes)]

    def rail(self, direction: str, low: bool) -> float:
        return self.voltages[(direction == "r") + 2 * low]

    def sampled(self, y: float, m: float, rail: float) -> float:
        if self.read_noise <= 0:
            return y
        lighter = math.sqrt(self.m_ref) / math.sqrt(m)
        band = 6.0 * math.log(10.0)
        thermal = self.read_noise * 0.1 * 0.05 * lighter / abs(rail) * math.sqrt(self.width_ratio)
        widened = math.sqrt(max(0.0, band + math.log(self.width_ratio)) / band)
        flicker = self.read_noise * (1.0 - y * y) * lighter * widened
        decided = self.comparator / abs(rail)
        spread = math.sqrt(thermal * thermal + flicker * flicker + decided * decided)
        return limited(y + spread * self.rng.standard_normal(), -1.0, 1.0)
