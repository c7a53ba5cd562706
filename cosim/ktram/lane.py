"""A neural lane: spaces that share one node, addressed by tuples, read and driven by instructions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

import numpy as np
from numpy.typing import NDArray

from cosim.ktram.aat import AAT
from cosim.ktram.batch import Program, Tuples, run
from cosim.ktram.instructions import Instruction, resolve
from cosim.ktram.models import Cells, flat
from cosim.ktram.unit_crossbar import DeviceRow, UnitCrossbar, UnitCrossbarPair

if TYPE_CHECKING:
    from cosim.ktram.circuit import InstructionRecord
    from cosim.ktram.core import Core


@final
class NeuralLane:
    """One lane of a core.

    ``state`` ``(kT-bits, 2)`` holds what its cells keep, a-side and b-side, and is a view into the core's
    array; ``cells`` and ``kt_bits`` are the same memory, flat and with one number per kT-bit.
    ``y`` is the latched activation: the last read's, 0 before any. ``record``: what the last instruction did at
    physical or spice fidelity, None before.
    """

    def __init__(self, core: Core, index: int) -> None:
        self.core, self.index = core, index
        self.y = 0.0
        self.record: InstructionRecord | None = None
        self._book = core.book
        self._execute = core.fidelity.execute
        self._spaces: list[UnitCrossbarPair] | None = None
        self.state: NDArray[Any] = core.state[index]
        self.cells: Cells = flat(self.state)
        self.kt_bits: NDArray[Any] = self.state.view(core.law.pair_dtype).reshape(-1)

    def __getstate__(self) -> dict[str, Any]:
        return {"core": self.core, "index": self.index, "y": self.y}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)

    @property
    def spaces(self) -> list[UnitCrossbarPair]:
        """The spaces as views; made once, when first asked for."""
        if self._spaces is None:
            self._spaces = [self._space(index) for index in range(self.core.spaces_per_lane)]
        return self._spaces

    def _space(self, index: int) -> UnitCrossbarPair:
        core, size = self.core, self._book.size

        def side(offset: int) -> UnitCrossbar:
            row = DeviceRow(core.law, self.cells, 2 * index * size + offset, size, core.rng)
            return UnitCrossbar(core.crossbar_rows, core.crossbar_cols, row, core.fidelity)

        return UnitCrossbarPair(side(0), side(1))

    def evaluate(self, aat: AAT, instruction: str | Instruction, noise: float = 0.0) -> float:
        """Carry out one instruction on the selected kT-bits; return the latched activation y.

        ``aat`` has an address or None for every space. ``noise`` 0..1 lowers the voltage of a read by this
        fraction, which makes it noisier and weaker. Raises `KtramError`, `AddressError`, `UnknownKeyError`.
        """
        return self._execute(self, self._book.active(aat), resolve(instruction), noise)

    def run(self, aats: Tuples, program: Program, noise: float = 0.0) -> NDArray[np.float64]:
        """Carry out all instructions of ``program`` on the first tuple, then on the second, and so on.

        ``aats``: integers ``(tuples, spaces)`` with -1 for an open space, or a sequence of tuples;
        ``program``: one instruction or a sequence. Returns the latched activation after every instruction,
        ``(tuples, instructions)``. Same numbers and draws as single calls of `evaluate`; addresses are
        checked before anything is done. Raises `KtramError`, `AddressError`, `UnknownKeyError`.
        """
        return run(self, aats, program, noise)
