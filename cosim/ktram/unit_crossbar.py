"""Unit crossbars and their devices as views: thin handles on cells that a lane keeps in one array.

A view reads and writes the lane's array; nothing is stored twice. A device can also stand alone, then it
brings a cell of its own.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Self, final, overload

import numpy as np
from numpy.typing import NDArray

from cosim.errors import KtramError
from cosim.ktram.aat import checked
from cosim.ktram.models import ByteLaw, Cells, DeviceLaw, FloatLaw, RsLaw, flat
from cosim.ktram.mss import MssLaw, MSSProfile


def _own_cell(law: DeviceLaw, stored: float) -> Cells:
    cell: NDArray[Any] = np.array([stored], dtype=law.dtype)
    return flat(cell)


class Device(ABC):
    """One memristor: a law and the place of its cell."""

    __slots__ = ("_at", "_cells", "law", "rng")

    def __init__(self, law: DeviceLaw, cells: Cells, at: int, rng: np.random.Generator) -> None:
        self.law, self._cells, self._at, self.rng = law, cells, at, rng

    @classmethod
    def at(cls, law: DeviceLaw, cells: Cells, place: int, rng: np.random.Generator) -> Self:
        """Return the view of the cell at a flat place."""
        device = cls.__new__(cls)
        Device.__init__(device, law, cells, place, rng)
        return device

    @classmethod
    @abstractmethod
    def create(
        cls, mean: float, rand_var: float, rng: np.random.Generator, profile: MSSProfile | None = None
    ) -> Self:
        """Return a device of its own with a random initial conductance (fractions of the range)."""

    def g(self) -> float:
        """Return the conductance [S; the byte model: steps]."""
        return self.law.conductance(self._cells[self._at])

    def set_g(self, g: float) -> None:
        """Set the conductance, limited to the range; the byte model takes the whole part."""
        if not math.isfinite(g):
            raise KtramError(f"conductance: must be finite, not {g}")
        self._cells[self._at] = self.law.stored(g)

    def drive(self, dV: float, dt: float) -> None:
        """Apply ``dV`` [V] for ``dt`` [s]."""
        self._cells[self._at] = self.law.step(self._cells[self._at], dV, dt, self.rng)

    def current(self, v: float) -> float:
        """Return the current [A] at ``v`` [V]."""
        return v * self.g()


def _drawn(law: DeviceLaw, mean: float, rand_var: float, rng: np.random.Generator) -> float:
    return float(law.initial(mean, rand_var, (), rng))


@final
class FloatDevice(Device):
    """A device of the ``float`` model."""

    __slots__ = ()
    GMIN: ClassVar[float] = 4e-4
    GMAX: ClassVar[float] = 1e-1

    def __init__(self, g: float, learning_rate: float = 1e-4, va: float = 0.25, vb: float = 0.25) -> None:
        law = FloatLaw(learning_rate=learning_rate, va=va, vb=vb)
        super().__init__(law, _own_cell(law, g), 0, np.random.default_rng(0))

    @classmethod
    def create(
        cls, mean: float, rand_var: float, rng: np.random.Generator, profile: MSSProfile | None = None
    ) -> Self:
        return cls(_drawn(FloatLaw(), mean, rand_var, rng))


@final
class ByteDevice(Device):
    """A device of the ``byte`` model."""

    __slots__ = ()
    GMIN: ClassVar[int] = 1
    GMAX: ClassVar[int] = 255

    def __init__(self, g: float) -> None:
        law = ByteLaw()
        super().__init__(law, _own_cell(law, int(g)), 0, np.random.default_rng(0))

    @classmethod
    def create(
        cls, mean: float, rand_var: float, rng: np.random.Generator, profile: MSSProfile | None = None
    ) -> Self:
        return cls(_drawn(ByteLaw(), mean, rand_var, rng))


@final
class RSDevice(Device):
    """A device of the ``rs`` model."""

    __slots__ = ()
    GMIN: ClassVar[float] = 1e-7
    GMAX: ClassVar[float] = 1e-3

    def __init__(self, g: float, alpha: float = 1e6, va: float = 0.25, vb: float = 0.25) -> None:
        law = RsLaw(alpha=alpha, va=va, vb=vb)
        super().__init__(law, _own_cell(law, g), 0, np.random.default_rng(0))

    @classmethod
    def create(
        cls, mean: float, rand_var: float, rng: np.random.Generator, profile: MSSProfile | None = None
    ) -> Self:
        return cls(_drawn(RsLaw(), mean, rand_var, rng))


@final
class MSSDevice(Device):
    """A device of the ``mss`` model."""

    __slots__ = ()

    def __init__(self, x: float, profile: MSSProfile, rng: np.random.Generator) -> None:
        law = MssLaw(profile)
        super().__init__(law, _own_cell(law, x), 0, rng)

    @classmethod
    def create(
        cls, mean: float, rand_var: float, rng: np.random.Generator, profile: MSSProfile | None = None
    ) -> Self:
        law = MssLaw(profile or MSSProfile())
        return cls(_drawn(law, mean, rand_var, rng), law.profile, rng)

    @property
    def GMIN(self) -> float:  # noqa: N802 (the emulator's name)
        """Lowest conductance [S]."""
        return self.law.g_min

    @property
    def GMAX(self) -> float:  # noqa: N802 (the emulator's name)
        """Highest conductance [S]."""
        return self.law.g_max

    @property
    def p(self) -> MSSProfile:
        """The profile of the device."""
        assert isinstance(self.law, MssLaw)
        return self.law.profile

    @property
    def x(self) -> float:
        """Fraction of the switches that are on."""
        return float(self._cells[self._at])

    @x.setter
    def x(self, value: float) -> None:
        self._cells[self._at] = value

    def current(self, v: float) -> float:
        """Return phi V G + (1 - phi) (f_a exp(f_b V) - r_a exp(-r_b V)) [A]."""
        p = self.p
        schottky = p.schottky_ra * -math.exp(-p.schottky_rb * v) + p.schottky_fa * math.exp(p.schottky_fb * v)
        return p.phi * v * self.g() + (1.0 - p.phi) * schottky


MODELS: dict[str, type[Device]] = {
    "float": FloatDevice,
    "byte": ByteDevice,
    "mss": MSSDevice,
    "rs": RSDevice,
}


@final
class DeviceRow(Sequence[Device]):
    """The devices of one side of a space, made when they are asked for."""

    def __init__(
        self, law: DeviceLaw, cells: Cells, first: int, count: int, rng: np.random.Generator
    ) -> None:
        self._law, self._cells, self._first, self._count, self._rng = law, cells, first, count, rng

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> Device: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Device]: ...
    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[k] for k in range(*index.indices(self._count))]
        if not 0 <= index < self._count:
            raise IndexError(index)
        return MODELS[self._law.name].at(self._law, self._cells, self._first + 2 * index, self._rng)


@final
class UnitCrossbar:
    """One side of a space: ``rows`` x ``cols`` devices, selected by their flat address, row after row.

    Raises `KtramError` where the number of devices is not rows * cols.
    """

    def __init__(self, rows: int, cols: int, devices: Sequence[Device], fidelity: object = None) -> None:
        if len(devices) != rows * cols:
            raise KtramError(f"UnitCrossbar: must have {rows * cols} devices, not {len(devices)}")
        self.rows, self.cols, self.fidelity = rows, cols, fidelity
        self._devices = devices

    @property
    def size(self) -> int:
        """Number of devices."""
        return self.rows * self.cols

    @property
    def address_width(self) -> int:
        """Address bits: whole part of log2(rows) plus that of log2(cols)."""
        return int(math.log2(self.rows)) + int(math.log2(self.cols))

    def device_at(self, addr: int) -> Device:
        """Return the device at an address; raises `AddressError` for one outside of the crossbar."""
        return self._devices[checked(addr, 0, self.size)]

    def conductance(self, addr: int | None) -> float:
        """Return the conductance at an address, 0 for None."""
        return 0.0 if addr is None else self.device_at(addr).g()

    def drive(self, addr: int | None, dV: float, dt: float) -> None:
        """Apply ``dV`` [V] for ``dt`` [s] at an address; None is an open circuit."""
        if addr is not None:
            self.device_at(addr).drive(dV, dt)


@final
class UnitCrossbarPair:
    """A space: two unit crossbars; one address selects a device in both, together a kT-bit."""

    def __init__(self, a_side: UnitCrossbar, b_side: UnitCrossbar) -> None:
        self.a, self.b = a_side, b_side

    @property
    def size(self) -> int:
        """Number of kT-bits."""
        return self.a.size

    def conductances(self, addr: int | None) -> tuple[float, float]:
        """Return (Ga, Gb) at an address, zeros for None."""
        return self.a.conductance(addr), self.b.conductance(addr)

    def drive(self, addr: int | None, dVa: float, dVb: float, dt: float) -> None:
        """Apply a voltage [V] to each side for ``dt`` [s]."""
        self.a.drive(addr, dVa, dt)
        self.b.drive(addr, dVb, dt)
