"""Who carries out an instruction on a lane: the seam between the emulator's arithmetic and real circuits."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Final, NamedTuple, final

from cosim.errors import KtramError, UnknownKeyError
from cosim.ktram.instructions import FORWARD, H, Instruction

if TYPE_CHECKING:
    from cosim.ktram.aat import Active
    from cosim.ktram.lane import NeuralLane
    from cosim.ktram.lane_network import LaneCircuit

_LOWEST_SCALE = 1e-3


class Timing(NamedTuple):
    """When an instruction is carried out: ``start_fs``, at which the rails go up, and from there to a read's strobe.

    ``settle`` [s]; None: as long as a `Controller` with its defaults gives the node. What has no charge has settled at once.
    """

    start_fs: int = 0
    settle: float | None = None


AT_ONCE: Final = Timing()


class Fidelity(ABC):
    """Carries out one instruction on one lane."""

    name: str

    @abstractmethod
    def execute(
        self,
        lane: NeuralLane,
        active: Active,
        instruction: Instruction,
        noise: float,
        timing: Timing = AT_ONCE,
    ) -> float:
        """Drive the selected cells, latch ``lane.y`` where the instruction reads, and return ``lane.y``.

        ``noise`` 0..1 lowers the read voltage by this fraction (to a thousandth at least).
        """

    def time_constant(self, lane: NeuralLane, active: Active) -> float | None:
        """Return the slowest time constant [s] of a read of the selected cells; None: there is no charge here."""
        return None


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

    name = "ideal"

    def execute(
        self,
        lane: NeuralLane,
        active: Active,
        instruction: Instruction,
        noise: float,
        timing: Timing = AT_ONCE,
    ) -> float:
        core = lane.core
        law, topology = core.law, core.topology
        if instruction.direction == FORWARD:
            standard, low = core.forward_voltage, core.forward_low_voltage
        else:
            standard, low = core.reverse_voltage, core.reverse_low_voltage
        v_app = low if instruction.low else standard
        few: Any = active if type(active) is list else None
        kt_bits: Any = None if few is not None else lane.kt_bits[active]
        if instruction.reads:
            if noise:
                v_app = read_voltage(v_app, noise)
            if few is not None and not few:
                lane.y = 0.0
                return 0.0
            top, bottom = law.sums_of(kt_bits) if few is None else law.sums(lane.cells, few)
            y = topology.activation(top, bottom)
            if core.read_noise > 0.0:
                y = core.read_sample(y, bottom, v_app)
            lane.y = y
            vy = topology.node_voltage(v_app, y)
        else:
            vy = instruction.coeff * standard
            if instruction.use_H:
                vy *= H(lane.y)
        voltage = topology.update_voltages(v_app, vy)
        if few is not None:
            law.drive(lane.cells, few, voltage, core.pulse_width, core.rng)
        else:
            after = law.drive_many(kt_bits, voltage, core.pulse_width, core.rng)
            if after is not None:
                lane.kt_bits[active] = after
        return lane.y


FIDELITIES: Final = ("ideal", "physical", "spice")


def fidelity_for(name: str, circuit: LaneCircuit | None = None) -> Fidelity:
    """Return the fidelity of that name (lower case); raises `UnknownKeyError` for any other."""
    if name not in FIDELITIES:
        raise UnknownKeyError(f"Core.fidelity: must be one of {', '.join(FIDELITIES)}, not '{name}'")
    if name == "ideal":
        if circuit is not None:
            raise KtramError(
                "Core.circuit: must be left out at fidelity ideal, which has none; use physical or spice"
            )
        return Ideal()
    from cosim.ktram.circuit import circuit_for  # ideal fidelity needs numpy alone

    return circuit_for(name, circuit)
