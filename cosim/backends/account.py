"""Energies and charges of a phase on any circuit, summed from its instants."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from cosim.backends.instant import Plan, Point
from cosim.devices.base import FloatArray


class Heat(NamedTuple):
    """Powers of one point by stack."""

    cells: tuple[FloatArray, ...]
    access: float
    wires: float
    terminations: float


@dataclass(slots=True)
class Account:
    """Energies and charges of a phase so far, from points with weights [s]."""

    plan: Plan
    delivered: FloatArray = field(init=False)
    absorbed: FloatArray = field(init=False)
    charge: FloatArray = field(init=False)
    cells: list[FloatArray] = field(init=False)
    access: float = 0.0
    wires: float = 0.0
    terminations: float = 0.0
    residual: float = 0.0
    _open: tuple[Point, float, float] | None = None

    def __post_init__(self) -> None:
        nets = len(self.plan.network.nets)
        self.delivered, self.absorbed, self.charge = np.zeros(nets), np.zeros(nets), np.zeros(nets)
        self.cells = [np.zeros(bank.stack.shape) for bank in self.plan.banks]

    def add(self, point: Point, power_s: float, charge_s: float) -> None:
        """Add a point; the same one added again only gains weight."""
        if self._open is not None and self._open[0] is point:
            power_s, charge_s = self._open[1] + power_s, self._open[2] + charge_s
        elif self._open is not None:
            self._book(*self._open)
        self._open = (point, power_s, charge_s)

    def close(self) -> None:
        """Book what is still open."""
        if self._open is not None:
            self._book(*self._open)
            self._open = None

    def _book(self, point: Point, power_s: float, charge_s: float) -> None:
        power = point.net_voltage * point.net_current
        self.delivered += power_s * np.maximum(power, 0.0)
        self.absorbed += power_s * np.maximum(-power, 0.0)
        self.charge += charge_s * point.net_current
        self.residual = max(self.residual, point.residual)
        heat = self.heat(point)
        for sums, cells in zip(self.cells, heat.cells, strict=True):
            sums += power_s * cells
        self.access += power_s * heat.access
        self.wires += power_s * heat.wires
        self.terminations += power_s * heat.terminations

    def heat(self, point: Point) -> Heat:
        """Return where the power goes at a point."""
        access, wires, ends = 0.0, 0.0, 0.0
        inside = []
        for k, (bank, part, cell) in enumerate(zip(self.plan.banks, point.stacks, point.cells, strict=True)):
            inside.append(cell.device_voltage * cell.current)
            if bank.access is not None:
                access += float(np.vdot(part.word - part.bit - cell.device_voltage, cell.current))
            along, down = cell.current, -cell.current
            if point.charging is not None:
                word, bit = point.charging.lines[k]
                along, down = along + word, down + bit
            loss = self.plan.circuit.losses[k]
            in_wires, in_ends = loss.powers(part, bank.stack.firsts, along, down)
            wires, ends = wires + in_wires, ends + in_ends
        return Heat(tuple(inside), access, wires, ends)
