r"""Variation that wraps any device model: from device to device, from cycle to cycle, and stuck cells.

* **Device to device** (d2d): a parameter becomes an array ``(rows, columns)``, which the closed forms, the
  compiled kernels and the netlist all take. Lognormal: :math:`p = p_0 e^{s z}` with :math:`s^2 = \ln(1+\sigma^2)`,
  median :math:`p_0`; normal: :math:`p = p_0 (1+\sigma z)`. Parameters share a part of their draws where a
  correlation :math:`\rho` is given: :math:`z = \sqrt{\rho} z_{cell} + \sqrt{1-\rho} z_{own}`.
* **Cycle to cycle** (c2c): one factor :math:`f = 1 + \sigma z/\sqrt{n}` per cell and phase of n pulses, on the
  change of state. A state that relaxes (`DeviceModel.two_channel`) changes in the logarithm of its distance to the
  bound that it moves towards, any other one along a ramp: in this coordinate the changes of pulses add, so n
  pulses in one phase and n phases of one pulse have the same mean and spread. No change passes a bound.
  A model that knows pulses and has a ``c2c`` of its own takes it in there: variances add, and spread over n pulses as
  the model says.
* **Stuck cells** have one conductance whatever happens to them, their true one: their parameters are such that
  the lowest and the highest conductance are that value, on every backend. Of a device that must be formed, that of a
  fresh cell is it too.

All draws are made in shell order (by the larger of row and column), each from its own named stream, so that a
grown array keeps the values of the cells that it had.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from cosim.devices.base import DeviceModel, FloatArray, check, quantity
from cosim.devices.forming import FRESH
from cosim.devices.read_noise import ReadNoise
from cosim.devices.retention import Endurance, Retention
from cosim.errors import DeviceError
from cosim.rng import shell_uniforms
from cosim.units import Fraction, Siemens

Streams = Callable[[str], np.random.Generator]
"""Gives the random stream of a name."""

_USER = "given by the user"
_SKY130 = "SKY130 ReRAM, pristine cells below 0.1 uS (its IEDM 2019 data)"
UNFORMED: float = 1e-7
"""Conductance [S] of a cell that was never formed (SKY130 ReRAM)."""
_APART = 1e-9
"""Relative distance between the two ends of a stuck cell's range."""


@dataclass(frozen=True, slots=True)
class Deviation:
    """How one parameter differs from cell to cell."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    sigma: Fraction = quantity(0.1, source=_USER, doc="standard deviation, relative to the parameter")
    distribution: Literal["lognormal", "normal"] = quantity(
        "lognormal", source="cosim: resistances and times of filaments span decades", doc="distribution"
    )

    def __post_init__(self) -> None:
        check(0 <= self.sigma < 10, "variation", "sigma", "between 0 % and 1000 %", self.sigma)

    def factor(self, z: FloatArray) -> FloatArray:
        """Return the factors on the parameter of standard normal draws."""
        if self.distribution == "normal":
            return 1.0 + self.sigma * z
        result: FloatArray = np.exp(np.sqrt(np.log1p(self.sigma**2)) * z)
        return result


@dataclass(frozen=True, slots=True)
class Stuck:
    """Cells that never change: at LRS, HRS, unformed, or at a given conductance."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    at: Literal["LRS", "HRS", "unformed"] | None = quantity(
        None,
        source=_SKY130,
        doc="where they are stuck; unformed is the conductance of a fresh cell, 0.1 uS without `forming`",
    )
    conductance: Siemens | None = quantity(None, source=_USER, doc="their true conductance, instead of 'at'")
    cells: tuple[tuple[int, int], ...] = quantity((), source=_USER, doc="list of [row, column]")
    rows: tuple[int, ...] = quantity((), source=_USER, doc="whole rows")
    columns: tuple[int, ...] = quantity((), source=_USER, doc="whole columns")
    fraction: Fraction = quantity(0.0, source=_USER, doc="part of all cells, drawn; the number is exact")
    clusters: int = quantity(0, source=_USER, doc="number of square clusters, drawn")
    cluster_size: int = quantity(2, source=_USER, doc="edge of a cluster in cells")

    def __post_init__(self) -> None:
        if (self.at is None) == (self.conductance is None):
            raise DeviceError("variation.stuck: must have either 'at' (LRS, HRS, unformed) or 'conductance'")
        if self.conductance is not None:
            check(self.conductance > 0, "variation.stuck", "conductance", "above zero", self.conductance)
        check(0 <= self.fraction <= 1, "variation.stuck", "fraction", "between 0 % and 100 %", self.fraction)
        check(self.clusters >= 0, "variation.stuck", "clusters", "zero or above", self.clusters)
        check(self.cluster_size >= 1, "variation.stuck", "cluster_size", "at least 1", self.cluster_size)
        if not (self.cells or self.rows or self.columns or self.fraction or self.clusters):
            raise DeviceError("variation.stuck: must say which: cells, rows, columns, fraction or clusters")

    def mask(self, shape: tuple[int, int], rng: np.random.Generator) -> NDArray[np.bool_]:
        """Return which cells are stuck, ``(rows, columns)``; raises `DeviceError` for one outside."""
        chosen = np.zeros(shape, dtype=np.bool_)
        for name, index, size in (("rows", self.rows, shape[0]), ("columns", self.columns, shape[1])):
            for k in index:
                check(0 <= k < size, "variation.stuck", name, f"between 0 and {size - 1}", k)
        for row, column in self.cells:
            inside = 0 <= row < shape[0] and 0 <= column < shape[1]
            check(inside, "variation.stuck", "cells", f"inside of {shape[0]} x {shape[1]}", [row, column])
            chosen[row, column] = True
        chosen[list(self.rows)] = True
        chosen[:, list(self.columns)] = True
        draws = shell_uniforms(rng, shape)
        order = np.argsort(draws[0], axis=None, kind="stable")
        chosen.flat[order[: round(self.fraction * chosen.size)]] = True
        for corner in np.argsort(draws[1], axis=None, kind="stable")[: self.clusters]:
            row, column = divmod(int(corner), shape[1])
            chosen[row : row + self.cluster_size, column : column + self.cluster_size] = True
        return chosen


@dataclass(frozen=True, slots=True)
class Variation:
    """What differs between the cells of an array, and between the cycles of one cell."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    d2d: Mapping[str, Deviation] = field(
        default_factory=dict,
        metadata={"source": "cosim: none", "doc": "parameters of the device that differ from cell to cell"},
    )
    correlation: Fraction = quantity(
        0.0, source="cosim: independent", doc="correlation of the d2d parameters of one cell"
    )
    c2c: Fraction = quantity(
        0.0,
        source="cosim: none",
        doc="standard deviation of the change of state of one pulse, relative to it; adds to the c2c that a pulse model has",
    )
    stuck: tuple[Stuck, ...] = quantity((), source="cosim: none", doc="cells that never change")
    read_noise: ReadNoise | None = quantity(
        None, source="cosim: none", doc="noise on the currents of reads and verifies"
    )
    retention: Retention | None = quantity(
        None, source="cosim: none", doc="drift of the conductance after programming"
    )
    endurance: Endurance | None = quantity(None, source="cosim: none", doc="wear of the range by programming")

    def __post_init__(self) -> None:
        check(
            0 <= self.correlation <= 1, "variation", "correlation", "between 0 % and 100 %", self.correlation
        )
        check(0 <= self.c2c < 10, "variation", "c2c", "between 0 % and 1000 %", self.c2c)

    @property
    def varies_cells(self) -> bool:
        """Whether cells differ."""
        return bool(self.d2d or self.stuck)

    def of_phases(self, device: DeviceModel) -> float:
        """Return the c2c that is a factor on changes of state; 0 where the model has a ``c2c`` of its own."""
        return 0.0 if hasattr(device, "c2c") else self.c2c


def varied_device(
    device: DeviceModel, variation: Variation, shape: tuple[int, int], streams: Streams
) -> DeviceModel:
    """Return the device with parameter arrays ``(rows, columns)``: d2d, then stuck cells.

    Raises `DeviceError` for a parameter that the model has not, or that leaves its range.
    """
    if variation.c2c and hasattr(device, "c2c"):
        device = device.per_cell(c2c=np.hypot(device.c2c, variation.c2c))
    varied = _spread(device, variation, shape, streams) if variation.d2d else device
    for number, stuck in enumerate(variation.stuck):
        mask = stuck.mask(shape, streams(f"stuck/{number}"))
        if mask.any():
            varied = _pinned(varied, mask, _true_conductance(varied, stuck, shape))
    return varied


def _spread(
    device: DeviceModel, variation: Variation, shape: tuple[int, int], streams: Streams
) -> DeviceModel:
    from scipy.special import ndtri

    common = ndtri(shell_uniforms(streams("d2d"), shape)[0])
    rho, arrays, parameters = variation.correlation, {}, device.parameters()
    for name, deviation in variation.d2d.items():
        value = parameters.get(name)
        if value is None:
            raise DeviceError(
                f"variation.d2d.{name}: {device.name} has no such parameter; it has {', '.join(parameters)}"
            )
        own = ndtri(shell_uniforms(streams(f"d2d/{name}"), shape)[0])
        arrays[name] = value * deviation.factor(np.sqrt(rho) * common + np.sqrt(1.0 - rho) * own)
    return device.per_cell(**arrays)


def _true_conductance(device: DeviceModel, stuck: Stuck, shape: tuple[int, int]) -> FloatArray:
    """Return the conductance of stuck cells [S], ``(rows, columns)``."""
    if stuck.conductance is not None:
        return np.full(shape, stuck.conductance)
    if stuck.at == "unformed":
        return np.array(np.broadcast_to(device.parameters().get(FRESH, UNFORMED), shape), dtype=np.float64)
    low, high = device.conductance_range()
    return np.array(np.broadcast_to(high if stuck.at == "LRS" else low, shape), dtype=np.float64)


def _pinned(device: DeviceModel, mask: NDArray[np.bool_], conductance: FloatArray) -> DeviceModel:
    """Return the device with both ends of the range of some cells at their conductance [S]."""
    if not device.moves:
        raise DeviceError(
            f"variation.stuck: {device.name} never changes; write its values into the conductance map"
        )
    parameters = device.parameters()
    if {"r_on", "r_off"} <= parameters.keys():
        ends = {"r_on": 1.0 / (conductance * (1 + _APART)), "r_off": 1.0 / conductance}
    elif {"g_min", "g_max"} <= parameters.keys():
        ends = {"g_min": conductance, "g_max": conductance * (1 + _APART)}
    else:
        raise DeviceError(
            f"variation.stuck: {device.name} has no two end conductances, so a cell cannot be stuck"
        )
    if FRESH in parameters:
        ends[FRESH] = conductance  # stuck whether formed or not
    return device.per_cell(**{name: np.where(mask, value, parameters[name]) for name, value in ends.items()})


def cycle_to_cycle(
    device: DeviceModel,
    before: FloatArray,
    after: FloatArray,
    sigma: float,
    pulses: int,
    temperature: float,
    rng: np.random.Generator,
) -> FloatArray:
    """Return the states after a phase of so many pulses with the c2c factor of every cell.

    ``before`` and ``after``: states ``(rows, columns[, k])`` at the start of the phase and, without c2c, at its
    end; ``sigma``: spread of one pulse, relative.
    """
    from scipy.special import ndtri

    low, high = device.state_bounds()
    shape = (before.shape[0], before.shape[1])
    factor = 1.0 + sigma / np.sqrt(pulses) * ndtri(shell_uniforms(rng, shape)[0])
    factor = factor.reshape(*shape, *[1] * (before.ndim - 2))
    if device.two_channel(temperature) is None:
        result: FloatArray = np.clip(before + factor * (after - before), low, high)
        if before.ndim > 2:  # the first variable is what pulses move; ages and draws are no change by a pulse
            result[..., 1:] = after[..., 1:]
        return result
    bound = np.where(after > before, high, low)
    first, last = np.abs(bound - before), np.abs(bound - after)
    moved = (first > 0) & (last != first)
    share = np.divide(last, first, out=np.ones_like(first), where=moved)
    with np.errstate(divide="ignore", over="ignore"):
        distance = first * share**factor
    result = np.clip(np.where(after > before, bound - distance, bound + distance), low, high)
    return np.where(moved, result, after)
