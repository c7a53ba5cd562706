"""Who carries out an instruction on a lane: the seam between the emulator's arithmetic and real circuits."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar, final

from cosim.errors import KtramError, UnknownKeyError
from cosim.ktram.instructions import H, Instruction

if TYPE_CHECKING:
    from cosim.ktram.aat import Active
    from cosim.ktram.lane import NeuralLane

_LOWEST_SCALE = 1e-3


class Fidelity(ABC):
    """Carries out one instruction on one lane."""

    name: ClassVar[str]

    @abstractmethod
    def execute(self, lane: NeuralLane, active: Active, instruction: Instruction, noise: float) -> float:
        """Drive the selected cells, latch ``lane.y`` where the instruction reads, and return ``lane.y``.

        ``noise`` 0..1 lowers the read voltage by this fraction (to a thousandth at least).
        """


def read_voltage(v_app: float, noise: float) -> float:
    """Return the read voltage [V] with the noise dial at 0..1; raises `KtramError` outside."""
    if not 0.0 <= noise <= 1.0:
        raise KtramError(
            f"noise: must be within 0..1, not {noise}; it is the fraction taken off the read voltage"
        )
    return v_app * max(_LOWEST_SCALE, 1.0 - noise)


@final
class Ideal(Fidelity):
    """The emulator's arithmetic: the selected devices alone, one step with the node voltage of its start."""

    name: ClassVar[str] = "ideal"

    def execute(self, lane: NeuralLane, active: Active, instruction: Instruction, noise: float) -> float:
        core = lane.core
        law, topology = core.law, core.topology
        v_app = core.v_app(instruction)
        few = type(active) is list
        if few:
            pairs = None
        else:
            kt_bits = lane.kt_bits.take(active)
            pairs = kt_bits.view(law.dtype).reshape(-1, 2)
        if instruction.reads:
            if noise:
                v_app = read_voltage(v_app, noise)
            if few and not active:
                lane.y = 0.0
                return 0.0
            top, bottom = law.sums(lane.cells, active) if pairs is None else law.sums_of_pairs(pairs)  # type: ignore[arg-type]
            lane.y = core.read_sample(topology.activation(top, bottom), bottom, v_app)
            vy = topology.node_voltage(v_app, lane.y)
        else:
            vy = instruction.coeff * core.drive_voltage(instruction.direction)
            if instruction.use_H:
                vy *= H(lane.y)
        voltage = topology.update_voltages(v_app, vy)
        if pairs is None:
            law.drive(lane.cells, active, voltage, core.pulse_width, core.rng)  # type: ignore[arg-type]
        elif law.drive_pairs(pairs, voltage, core.pulse_width, core.rng):
            lane.kt_bits[active] = kt_bits
        return lane.y


def fidelity_for(name: str) -> Fidelity:
    """Return the fidelity of that name (lower case); raises `UnknownKeyError` for any other."""
    if name != "ideal":
        raise UnknownKeyError(f"Core.fidelity: must be one of ideal, not '{name}'")
    return Ideal()
