"""Several arrays whose line ends are joined by nets, some of them floating: the lane, the split array.

Between the nets every array is solved by the line solver; arrays of equal width are stacked into one tall
array with open bit segments between them, so a lane of 64 small arrays is one call. The few floating nets
are then found from their Schur complement: with the current into all floating nets as a function of their
voltages, ``i = i_0 + Y v``, Kirchhoff asks for ``Y v = -i_0``; one more solve at these voltages gives the
answer and measures what is left. With many floating nets, or nets shorted through an array, the direct
solver (`cosim.crossbar.nodal`) answers.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from cosim.crossbar.lines import (
    DEFAULT_TOLERANCE,
    KernelName,
    LineSolution,
    LineSystem,
    end_currents,
    solve_lines,
)
from cosim.crossbar.nodal import JoinedArray, JoinedSolution, check_joined, solve_joined_nodal
from cosim.errors import CrossbarError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

    from cosim.crossbar.lines import FloatArray
    from cosim.crossbar.nodal import IntArray

    Injections = Sequence[tuple[FloatArray, FloatArray]]

__all__ = ["JoinedArray", "JoinedNetwork", "JoinedSolution", "solve_joined"]

_MOST_FLOATING = 48
"""Beyond this many floating nets the direct solver answers."""


@dataclass(frozen=True, slots=True, eq=False)
class _Stack:
    """Arrays of equal width on top of one another."""

    members: tuple[int, ...]
    firsts: IntArray
    """First row of each member in the stack, and the end."""
    system: LineSystem
    g_top: FloatArray
    """End conductances of every member, ``(members, columns)``."""
    g_bottom: FloatArray
    share_bit: FloatArray
    """Part of each bit node's current that leaves through the member's top, ``(rows, columns)``."""
    through_bit: FloatArray
    """End-to-end conductance of the members' bit lines, ``(members, columns)``."""
    nets: tuple[IntArray, IntArray, IntArray, IntArray]
    """left, right ``(rows,)``, top, bottom ``(members, columns)``."""
    extra: tuple[FloatArray, FloatArray] | None = None
    """Conductance added from word and bit nodes to 0 V, ``(rows, columns)``."""


class JoinedNetwork:
    """Wires and nets of several arrays, prepared once; solve with any cells and net voltages.

    Parameters
    ----------
    arrays
        Arrays with the net at every line end; their ``conductance`` is what `solve` takes by default.
    nets
        Number of nets.
    """

    def __init__(self, arrays: Sequence[JoinedArray], nets: int) -> None:
        self.arrays, self.nets = tuple(arrays), nets
        check_joined(self.arrays, np.zeros(nets))
        widths: dict[int, list[int]] = {}
        for k, array in enumerate(self.arrays):
            widths.setdefault(array.system.columns, []).append(k)
        self._stacks = tuple(_stack(self.arrays, tuple(members)) for members in widths.values())
        self._direct = any(array.system.prepared.shorted for array in self.arrays)
        self._tied = np.zeros(nets, dtype=bool)
        for array in self.arrays:
            for side in array.nets():
                self._tied[side[side >= 0]] = True

    @property
    def shorted(self) -> bool:
        """Whether a line without any resistance ties two nets: only the direct solver answers then."""
        return self._direct

    def shunted(self, word: Sequence[FloatArray], bit: Sequence[FloatArray]) -> JoinedNetwork:
        """Return the network with more conductance from every node to 0 V [S].

        ``word``, ``bit``: per array ``(rows, columns)``, for word and bit nodes.
        """
        other = object.__new__(JoinedNetwork)
        other.arrays, other.nets = self.arrays, self.nets
        other._direct, other._tied = self._direct, self._tied
        other._stacks = tuple(_shunted(stack, word, bit) for stack in self._stacks)
        return other

    def solve(
        self,
        net_voltage: ArrayLike,
        conductance: Sequence[FloatArray] | None = None,
        *,
        injected: Injections | None = None,
        tolerance: float = DEFAULT_TOLERANCE,
        kernel: KernelName = "auto",
    ) -> JoinedSolution:
        """Solve for all floating nets and all arrays.

        Parameters
        ----------
        net_voltage
            Every net [V], ``(nets,)``; NaN floats.
        conductance
            Cells of every array [S].
        injected
            Per array the currents injected into its word and into its bit nodes [A], ``(rows, columns)``.

        Raises
        ------
        CrossbarError
            No net is driven (and no node has a shunt), a value is refused, or currents are injected
            where a line without any resistance ties two nets.
        """
        given = np.asarray(net_voltage, dtype=np.float64)
        cells = tuple(a.conductance for a in self.arrays) if conductance is None else tuple(conductance)
        floating = np.flatnonzero(np.isnan(given) & self._tied)
        few = floating.size <= _MOST_FLOATING or injected is not None
        if self._direct and injected is not None:
            raise CrossbarError(
                "a line without resistance ties two nets: give it or one of its ends a resistance above 0"
            )
        if injected is None and (self._direct or not few or not np.isfinite(given).any()):
            parts = [JoinedArray(a.system, g, *a.nets()) for a, g in zip(self.arrays, cells, strict=True)]
            return solve_joined_nodal(parts, given)
        final = np.where(np.isnan(given), 0.0, given)[None, :]
        work = _Work(cells, injected, tolerance, kernel)
        schur = np.zeros((0, 0))
        if floating.size:
            units = np.zeros((floating.size, self.nets))
            units[np.arange(floating.size), floating] = 1.0
            schur = self._at(units, replace(work, injected=None))[0][:, floating].T
            current, _, _ = self._at(final, work)
            final[0, floating] = _float(schur, -current[0, floating])
        for _round in range(3):
            current, parts_of, bound = self._at(final, work)
            left = current[0, floating]
            largest = float(np.abs(current).max())
            if not floating.size or np.abs(left).max() <= 0.1 * tolerance * largest or _round == 2:
                break
            final[0, floating] += _float(schur, -left)
        solutions = self._split(parts_of, cells)
        return JoinedSolution(final[0], current[0], solutions, bound + float(np.abs(left).sum()))

    def _at(
        self, volts: FloatArray, work: _Work
    ) -> tuple[FloatArray, list[tuple[_Stack, LineSolution, tuple[FloatArray, ...]]], float]:
        """Solve every stack at the given net voltages ``(batch, nets)``; sum the net currents."""
        current = np.zeros_like(volts)
        parts = []
        bound = 0.0
        for stack in self._stacks:
            ends, solution = _solve_stack(stack, volts, work)
            for nets, into in zip(stack.nets, ends[:4], strict=True):
                tied = nets.reshape(-1) >= 0
                flat = into.reshape(volts.shape[0], -1)
                for k in range(volts.shape[0]):
                    current[k] += np.bincount(nets.reshape(-1)[tied], flat[k, tied], self.nets)
            parts.append((stack, solution, ends))
            bound += float(np.max(solution.error_bound))
        return current, parts, bound

    def _split(
        self, parts: list[tuple[_Stack, LineSolution, tuple[FloatArray, ...]]], cells: tuple[FloatArray, ...]
    ) -> tuple[LineSolution, ...]:
        """One `LineSolution` for each array, in the order of the arrays."""
        found: dict[int, LineSolution] = {}
        for stack, whole, ends in parts:
            for place, k in enumerate(stack.members):
                rows = slice(stack.firsts[place], stack.firsts[place + 1])
                array = self.arrays[k]
                found[k] = LineSolution(
                    array.system,
                    cells[k],
                    whole.word_voltage[0, rows],
                    whole.bit_voltage[0, rows],
                    whole.cell_current[0, rows],
                    ends[0][0, rows],
                    ends[1][0, rows],
                    ends[2][0, place],
                    ends[3][0, place],
                    whole.v_left[0, rows],
                    whole.v_right[0, rows],
                    ends[4][0, place],
                    ends[5][0, place],
                    whole.stats[0],
                    whole.kernel,
                )
        return tuple(found[k] for k in range(len(self.arrays)))


def _float(schur: FloatArray, wanted: FloatArray) -> FloatArray:
    """Voltages that drive ``wanted`` into the floating nets; nets without any connection stay at 0 V."""
    alone = np.diag(schur) <= 0.0
    matrix = schur.copy()
    matrix[alone] = 0.0
    matrix[:, alone] = 0.0
    matrix[alone, alone] = 1.0
    scale = 1.0 / np.sqrt(np.diag(matrix))
    balanced = matrix * scale * scale[:, None]
    solved: FloatArray = (
        scale * np.linalg.lstsq(balanced, scale * np.where(alone, 0.0, wanted), rcond=1e-15)[0]
    )
    return solved


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


def _stack(arrays: tuple[JoinedArray, ...], members: tuple[int, ...]) -> _Stack:
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
    return _Stack(members, firsts, whole, g_top, g_bottom, share_bit, through, joined)


def _own_shunt(system: LineSystem) -> FloatArray:
    return np.zeros((system.rows, system.columns)) if system.shunt_word is None else system.shunt_word


def _shunted(stack: _Stack, word: Sequence[FloatArray], bit: Sequence[FloatArray]) -> _Stack:
    """Return the stack with more conductance from its nodes to 0 V."""
    extra = (
        np.concatenate([word[k] for k in stack.members]),
        np.concatenate([bit[k] for k in stack.members]),
    )
    system = stack.system
    assert system.shunt_word is not None and system.shunt_bit is not None  # noqa: PT018
    shunts = (system.shunt_word + extra[0], system.shunt_bit + extra[1])
    return replace(stack, system=replace(system, shunt_word=shunts[0], shunt_bit=shunts[1]), extra=extra)


@dataclass(frozen=True, slots=True, eq=False)
class _Work:
    """What is solved for: cells of every array, injections, how exactly and by which kernel."""

    cells: tuple[FloatArray, ...]
    injected: Injections | None
    tolerance: float
    kernel: KernelName


def _solve_stack(
    stack: _Stack, volts: FloatArray, work: _Work
) -> tuple[tuple[FloatArray, ...], LineSolution]:
    """Solve one stack for a batch of net voltages; return its end currents and voltages, and all else."""
    left, right, top, bottom = (np.where(nets >= 0, volts[:, nets], 0.0) for nets in stack.nets)
    g = np.concatenate([work.cells[k] for k in stack.members])
    injected = np.zeros((volts.shape[0], *g.shape))
    injected[:, stack.firsts[:-1]] += stack.g_top * top
    injected[:, stack.firsts[1:] - 1] += stack.g_bottom * bottom
    own_word: FloatArray | None = None
    own_bit: FloatArray | float = 0.0
    if work.injected is not None:
        own_word = np.concatenate([work.injected[k][0] for k in stack.members])
        own_bit = np.concatenate([work.injected[k][1] for k in stack.members])
        injected += own_bit
    solution = solve_lines(
        stack.system, g, left, right, injected_word=own_word, injected_bit=injected,
        tolerance=work.tolerance, kernel=work.kernel,
    )  # fmt: skip
    i_left, i_right, down = solution.i_left, solution.i_right, -solution.cell_current
    if own_word is not None or stack.extra is not None:
        along = solution.cell_current - (0.0 if own_word is None else own_word)
        down = down - own_bit
        if stack.extra is not None:
            along = along + stack.extra[0] * solution.word_voltage
            down = down + stack.extra[1] * solution.bit_voltage
        i_left, i_right, _, _ = end_currents(
            stack.system, along, down, (left, right, np.zeros(1), np.zeros(1))
        )
    total = np.add.reduceat(down, stack.firsts[:-1], axis=1)
    i_top = (
        np.add.reduceat(down * stack.share_bit, stack.firsts[:-1], axis=1)
        + (top - bottom) * stack.through_bit
    )
    i_bottom = np.where(stack.g_bottom > 0, total - i_top, 0.0)
    return (i_left, i_right, i_top, i_bottom, top, bottom), solution


def solve_joined(
    arrays: Sequence[JoinedArray],
    net_voltage: ArrayLike,
    *,
    tolerance: float = DEFAULT_TOLERANCE,
    kernel: KernelName = "auto",
) -> JoinedSolution:
    """Solve arrays joined by nets once; arguments as `JoinedNetwork` and its `solve`."""
    given = np.asarray(net_voltage, dtype=np.float64)
    check_joined(arrays, given)
    return JoinedNetwork(arrays, given.size).solve(given, tolerance=tolerance, kernel=kernel)
