"""Several arrays whose line ends are joined by nets, some of them floating: the lane, the split array.

Between the nets every array is solved by the line solver; arrays of equal width are stacked into one tall
array (`cosim.crossbar.stacks`). The few floating nets are found from their Schur complement: with the
current into all floating nets as a function of their voltages, ``i = i_0 + Y v``, Kirchhoff asks for
``Y v = -i_0``. The solutions of all columns of ``Y`` are at hand, so the answer is their sum; what
is left of the currents is measured, and solved for again where it is too much. With many floating nets, or nets
shorted through an array, the direct solver (`cosim.crossbar.nodal`) answers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cosim.crossbar.lines import DEFAULT_TOLERANCE, KernelName, LineSolution
from cosim.crossbar.nodal import JoinedArray, JoinedSolution, check_joined, solve_joined_nodal
from cosim.crossbar.stacks import Injection, StackSolution, from_parts, solve_stack, stack_arrays
from cosim.errors import CrossbarError

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from numpy.typing import ArrayLike

    from cosim.crossbar.lines import FloatArray

__all__ = ["JoinedArray", "JoinedNetwork", "JoinedSolution", "StackedSolution", "solve_joined"]

_MOST_FLOATING = 48
"""Beyond this many floating nets the direct solver answers."""
_ROUNDS = 3


@dataclass(frozen=True, slots=True, eq=False)
class StackedSolution:
    """A joined network, stack by stack; nets as in `JoinedSolution`."""

    net_voltage: FloatArray
    net_current: FloatArray
    stacks: tuple[StackSolution, ...]
    error_bound: float


class JoinedNetwork:
    """Wires and nets of several arrays, prepared once; solve with any cells and net voltages.

    Parameters
    ----------
    arrays
        Arrays with the net at every line end; their ``conductance`` is what `solve` takes by default.
    nets
        Number of nets.
    kinds
        One value per array: only arrays of equal kind (and width) are stacked.
    """

    def __init__(
        self, arrays: Sequence[JoinedArray], nets: int, kinds: Sequence[Hashable] | None = None
    ) -> None:
        self.arrays, self.nets = tuple(arrays), nets
        check_joined(self.arrays, np.zeros(nets))
        groups: dict[Hashable, list[int]] = {}
        for k, array in enumerate(self.arrays):
            groups.setdefault((array.system.columns, kinds[k] if kinds else None), []).append(k)
        self.stacks = tuple(stack_arrays(self.arrays, tuple(members)) for members in groups.values())
        self._direct = any(array.system.prepared.shorted for array in self.arrays)
        self._net_shunt = np.zeros(nets)
        self._tied = np.zeros(nets, dtype=bool)
        for array in self.arrays:
            for side in array.nets():
                self._tied[side[side >= 0]] = True

    def shunted(self, shunts: Sequence[Injection], net_shunt: FloatArray | None = None) -> JoinedNetwork:
        """Return the network with more conductance [S] to 0 V: from word and bit nodes by stack, from nets ``(nets,)``."""
        other = object.__new__(JoinedNetwork)
        other.arrays, other.nets = self.arrays, self.nets
        other._direct, other._tied = self._direct, self._tied
        other._net_shunt = self._net_shunt if net_shunt is None else self._net_shunt + net_shunt
        other.stacks = tuple(stack.shunted(*shunt) for stack, shunt in zip(self.stacks, shunts, strict=True))
        return other

    def solve(
        self,
        net_voltage: ArrayLike,
        conductance: Sequence[FloatArray] | None = None,
        *,
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

        Raises
        ------
        CrossbarError
            No net is driven, or a value is refused.
        """
        given = np.asarray(net_voltage, dtype=np.float64)
        cells = tuple(a.conductance for a in self.arrays) if conductance is None else tuple(conductance)
        floating = np.isnan(given) & self._tied
        if floating.sum() > _MOST_FLOATING or self._direct or not np.isfinite(given).any():
            return self._solve_direct(given, cells)
        tall = [np.concatenate([cells[k] for k in stack.members]) for stack in self.stacks]
        solution = self.solve_stacked(given, tall, tolerance=tolerance, kernel=kernel)
        return JoinedSolution(
            solution.net_voltage, solution.net_current, self._split(solution, cells), solution.error_bound
        )

    def solve_stacked(
        self,
        net_voltage: FloatArray,
        conductance: Sequence[FloatArray],
        injected: Sequence[Injection] | None = None,
        net_injected: FloatArray | None = None,
        *,
        tolerance: float = DEFAULT_TOLERANCE,
        kernel: KernelName = "auto",
    ) -> StackedSolution:
        """Solve with cells and injected currents given by stack (`JoinedNetwork.stacks`).

        Parameters
        ----------
        net_voltage
            Every net [V], ``(nets,)``; NaN floats.
        conductance
            Cells of every stack [S], ``(rows, columns)``.
        injected
            Currents injected into the word and bit nodes of every stack.
        net_injected
            Currents injected into the nets [A], ``(nets,)``; a net's current is what enters beside it.

        Raises
        ------
        CrossbarError
            A value is refused, or currents are injected where a line without any resistance ties two nets.
        """
        if self._direct:
            return self._stacked_direct(net_voltage, conductance, injected, net_injected)
        floating = np.flatnonzero(np.isnan(net_voltage) & self._tied)
        volts = np.zeros((1 + floating.size, self.nets))
        volts[0] = np.where(np.isnan(net_voltage), 0.0, net_voltage)
        volts[1 + np.arange(floating.size), floating] = 1.0
        settings = (tolerance, kernel)
        into = injected, net_injected
        current, batches, bounds = self._at(volts, conductance, into, settings)
        schur, weights = current[1:, floating].T, np.ones(1)
        if floating.size:
            weights = np.concatenate(([1.0], _float(schur, -current[0, floating])))
        parts = tuple(batch.combined(weights) for batch in batches)
        final, total, bound = weights @ volts, weights @ current, float(np.abs(weights) @ bounds)
        for _round in range(_ROUNDS):
            left = total[floating]
            if np.abs(left).max(initial=0.0) <= 0.1 * tolerance * float(np.abs(total).max(initial=0.0)):
                break
            final[floating] += _float(schur, -left) if _round else 0.0
            again, batches, bounds = self._at(final[None, :], conductance, into, settings)
            parts, total, bound = tuple(b.combined(np.ones(1)) for b in batches), again[0], float(bounds[0])
        return StackedSolution(final, total, parts, bound + float(np.abs(total[floating]).sum()))

    def _at(
        self,
        volts: FloatArray,
        conductance: Sequence[FloatArray],
        into: tuple[Sequence[Injection] | None, FloatArray | None],
        settings: tuple[float, KernelName],
    ) -> tuple[FloatArray, list[StackSolution], FloatArray]:
        """Solve every stack at the given net voltages ``(batch, nets)``; sum the net currents.

        ``into``: what is injected into nodes and nets, both in the first of the batch alone.
        """
        injected, net_injected = into
        current = self._net_shunt * volts
        if net_injected is not None:
            current[0] -= net_injected
        batches = []
        bounds = np.zeros(len(volts))
        for k, stack in enumerate(self.stacks):
            given = None if injected is None else injected[k]
            solved, bound = solve_stack(stack, volts, conductance[k], given, *settings)
            for nets, entering in zip(stack.nets, solved.ends, strict=True):
                tied = nets.reshape(-1) >= 0
                if not tied.any():
                    continue
                flat = entering.reshape(volts.shape[0], -1)
                for row in range(volts.shape[0]):
                    current[row] += np.bincount(nets.reshape(-1)[tied], flat[row, tied], self.nets)
            batches.append(solved)
            bounds += bound
        return current, batches, bounds

    def _split(self, solution: StackedSolution, cells: tuple[FloatArray, ...]) -> tuple[LineSolution, ...]:
        """Return one `LineSolution` for each array, in the order of the arrays."""
        found: dict[int, LineSolution] = {}
        for stack, whole in zip(self.stacks, solution.stacks, strict=True):
            left, right, top, bottom = (
                np.where(nets >= 0, solution.net_voltage[nets], 0.0) for nets in stack.nets
            )
            for place, k in enumerate(stack.members):
                rows = slice(stack.firsts[place], stack.firsts[place + 1])
                found[k] = LineSolution(
                    self.arrays[k].system, cells[k], whole.word[rows], whole.bit[rows], whole.current[rows],
                    whole.left[rows], whole.right[rows], whole.top[place], whole.bottom[place], left[rows],
                    right[rows], top[place], bottom[place], whole.stats, whole.kernel,
                )  # fmt: skip
        return tuple(found[k] for k in range(len(self.arrays)))

    def _solve_direct(self, net_voltage: FloatArray, cells: tuple[FloatArray, ...]) -> JoinedSolution:
        parts = [JoinedArray(a.system, g, *a.nets()) for a, g in zip(self.arrays, cells, strict=True)]
        return solve_joined_nodal(parts, net_voltage)

    def _stacked_direct(
        self,
        net_voltage: FloatArray,
        conductance: Sequence[FloatArray],
        injected: Sequence[Injection] | None,
        net_injected: FloatArray | None,
    ) -> StackedSolution:
        charged = injected is not None or net_injected is not None or self._net_shunt.any()
        if charged or any(stack.extra is not None for stack in self.stacks):
            raise CrossbarError(
                "a line without resistance ties two nets: give it or one of its ends a resistance above 0"
            )
        cells: dict[int, FloatArray] = {}
        for stack, tall in zip(self.stacks, conductance, strict=True):
            for place, k in enumerate(stack.members):
                cells[k] = tall[stack.firsts[place] : stack.firsts[place + 1]]
        solution = self._solve_direct(net_voltage, tuple(cells[k] for k in range(len(self.arrays))))
        parts = []
        for stack in self.stacks:
            own = [solution.arrays[k] for k in stack.members]
            along = [
                np.concatenate([getattr(one, name) for one in own])
                for name in ("word_voltage", "bit_voltage", "cell_current", "i_left", "i_right")
            ]
            across = [np.stack([getattr(one, name) for one in own]) for name in ("i_top", "i_bottom")]
            parts.append(from_parts([*along, *across], own[0].stats, own[0].kernel))
        return StackedSolution(solution.net_voltage, solution.net_current, tuple(parts), solution.error_bound)


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
