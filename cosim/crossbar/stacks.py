"""Arrays of equal width on top of one another, solved as one tall array with open bit segments between them.

A lane of 64 small arrays is then one call of the line solver. The members' own bit-line ends enter as
conductances at their first and last nodes, and as injected currents.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from cosim.crossbar.lines import FloatArray, KernelName, LineSystem, end_currents, solve_lines
from cosim.crossbar.nodal import IntArray, JoinedArray

Injection = tuple[FloatArray, FloatArray]
"""Currents injected into word and bit nodes [A], ``(rows, columns)`` each."""


@dataclass(frozen=True, slots=True, eq=False)
class LineStack:
    """The lines of some arrays of equal width; prepared once."""

    members: tuple[int, ...]
    """Positions of the arrays among all arrays of the network."""
    firsts: IntArray
    """First row of each member in the stack, and the end."""
    system: LineSystem
    g_top: FloatArray
    """End conductances of every member [S], ``(members, columns)``."""
    g_bottom: FloatArray
    share_bit: FloatArray
    """Part of each bit node's current that leaves through the member's top, ``(rows, columns)``."""
    through_bit: FloatArray
    """End-to-end conductance of the members' bit lines [S], ``(members, columns)``."""
    nets: tuple[IntArray, IntArray, IntArray, IntArray]
    """left, right ``(rows,)``, top, bottom ``(members, columns)``."""
    extra: Injection | None = None
    """Conductance added from word and bit nodes to 0 V [S]."""

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns) of the whole stack."""
        return self.system.rows, self.system.columns

    def shunted(self, word: FloatArray, bit: FloatArray) -> LineStack:
        """Return the stack with more conductance [S] from its word and bit nodes to 0 V."""
        system = self.system
        assert system.shunt_word is not None and system.shunt_bit is not None  # noqa: PT018
        more = replace(system, shunt_word=system.shunt_word + word, shunt_bit=system.shunt_bit + bit)
        return replace(self, system=more, extra=(word, bit))


@dataclass(frozen=True, slots=True, eq=False)
class StackSolution:
    """One stack solved, with a batch axis in front while it is being solved, without it afterwards."""

    word: FloatArray
    """Voltages of the word nodes [V], ``(..., rows, columns)``."""
    bit: FloatArray
    current: FloatArray
    """Through the cells [A], ``(..., rows, columns)``."""
    left: FloatArray
    """Into the array at each end [A], ``(..., rows)``."""
    right: FloatArray
    top: FloatArray
    """``(..., members, columns)``."""
    bottom: FloatArray
    stats: FloatArray
    kernel: str

    @property
    def ends(self) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """left, right, top, bottom."""
        return self.left, self.right, self.top, self.bottom

    def combined(self, weights: FloatArray) -> StackSolution:
        """Return the sum of the batch with these weights ``(batch,)``."""
        parts = (self.word, self.bit, self.current, *self.ends)
        if len(weights) == 1:
            summed = [part[0] for part in parts]
        else:
            summed = [np.tensordot(weights, part, 1) for part in parts]
        return from_parts(summed, self.stats[0], self.kernel)


def from_parts(parts: Sequence[FloatArray], stats: FloatArray, kernel: str) -> StackSolution:
    """Return the solution with these arrays, in the order of the fields."""
    word, bit, current, left, right, top, bottom = parts
    return StackSolution(word, bit, current, left, right, top, bottom, stats, kernel)


def stack_arrays(arrays: tuple[JoinedArray, ...], members: tuple[int, ...]) -> LineStack:
    """Put arrays of one width on top of one another, with open bit segments between them."""
    chosen = [_tied(arrays[k]) for k in members]
    columns = chosen[0].columns
    firsts = np.concatenate([[0], np.cumsum([system.rows for system in chosen])]).astype(np.intp)
    rows = int(firsts[-1])
    flat = [system.prepared.lines for system in chosen]
    r_word, r_bit, _, shunt_bit, _, share_bit = (
        np.concatenate([part[kind] for part in flat]).reshape(rows, columns) for kind in range(6)
    )
    whole = LineSystem(
        rows,
        columns,
        np.ascontiguousarray(r_word[:, :-1]),
        np.ascontiguousarray(r_bit[:-1]),
        np.concatenate([np.broadcast_to(system.r_left, (system.rows,)) for system in chosen]),
        np.concatenate([np.broadcast_to(system.r_right, (system.rows,)) for system in chosen]),
        np.inf,
        np.inf,
        np.concatenate([_own_shunt(system) for system in chosen]),
        shunt_bit,
    )
    ends = [system.prepared.ends for system in chosen]
    nets = [arrays[k].nets() for k in members]
    joined = (
        np.concatenate([n[0] for n in nets]),
        np.concatenate([n[1] for n in nets]),
        np.stack([n[2] for n in nets]),
        np.stack([n[3] for n in nets]),
    )
    g_top, g_bottom, through = (np.stack([end[kind] for end in ends]) for kind in (2, 3, 5))
    return LineStack(members, firsts, whole, g_top, g_bottom, share_bit, through, joined)


def _own_shunt(system: LineSystem) -> FloatArray:
    return np.zeros((system.rows, system.columns)) if system.shunt_word is None else system.shunt_word


def _tied(array: JoinedArray) -> LineSystem:
    """Return the array's line system with every end open that has no net."""
    system = array.system
    left, right, top, bottom = array.nets()
    if min(net.min() for net in (left, right, top, bottom)) >= 0:
        return system
    return LineSystem(
        system.rows,
        system.columns,
        system.r_word,
        system.r_bit,
        np.where(left >= 0, system.r_left, np.inf),
        np.where(right >= 0, system.r_right, np.inf),
        np.where(top >= 0, system.r_top, np.inf),
        np.where(bottom >= 0, system.r_bottom, np.inf),
        system.shunt_word,
        system.shunt_bit,
    )


def solve_stack(
    stack: LineStack,
    volts: FloatArray,
    cells: FloatArray,
    injected: Injection | None,
    tolerance: float,
    kernel: KernelName,
) -> tuple[StackSolution, FloatArray]:
    """Solve a stack for net voltages ``(batch, nets)``; return it with its error bounds ``(batch,)`` [A].

    ``cells`` ``(rows, columns)`` [S]; ``injected`` enters the first of the batch alone.
    """
    left, right, top, bottom = (np.where(nets >= 0, volts[:, nets], 0.0) for nets in stack.nets)
    into_bit = np.zeros((volts.shape[0], *stack.shape))
    into_bit[:, stack.firsts[:-1]] += stack.g_top * top
    into_bit[:, stack.firsts[1:] - 1] += stack.g_bottom * bottom
    into_word = None
    if injected is not None:
        into_word = np.zeros_like(into_bit)
        into_word[0] = injected[0]
        into_bit[0] += injected[1]
    solution = solve_lines(
        stack.system, cells, left, right, injected_word=into_word, injected_bit=into_bit,
        tolerance=tolerance, kernel=kernel,
    )  # fmt: skip
    i_left, i_right, down = solution.i_left, solution.i_right, -solution.cell_current
    if injected is not None or stack.extra is not None:
        along = solution.cell_current
        if injected is not None:
            along, down = along.copy(), down.copy()
            along[0] -= injected[0]
            down[0] -= injected[1]
        if stack.extra is not None:
            along = along + stack.extra[0] * solution.word_voltage
            down = down + stack.extra[1] * solution.bit_voltage
        nothing = np.zeros(1)
        i_left, i_right, _, _ = end_currents(stack.system, along, down, (left, right, nothing, nothing))
    total = np.add.reduceat(down, stack.firsts[:-1], axis=1)
    share = np.add.reduceat(down * stack.share_bit, stack.firsts[:-1], axis=1)
    i_top = share + (top - bottom) * stack.through_bit
    i_bottom = np.where(stack.g_bottom > 0, total - i_top, 0.0)
    solved = StackSolution(
        solution.word_voltage, solution.bit_voltage, solution.cell_current, i_left, i_right, i_top, i_bottom,
        solution.stats, solution.kernel,
    )  # fmt: skip
    return solved, solution.error_bound
