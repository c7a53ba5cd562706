"""A neuron: a partition of a lane, with an activation of its own."""

from __future__ import annotations

from typing import final

from cosim.errors import KtramError
from cosim.ktram.aat import AAT, checked
from cosim.ktram.instructions import Instruction
from cosim.ktram.lane import NeuralLane


@final
class Neuron:
    """A window of ``size`` spaces of a lane from space ``offset`` on, and in each space of some addresses.

    Several neurons share the lane's node and controller one after the other; each keeps its own latched
    activation ``y``, which is put into the lane's latch before an instruction of the neuron.
    ``first_address`` and ``addresses`` bound the addresses that it uses (default: all); its tuples count
    from 0. Raises `KtramError` for a window that does not fit the lane.
    """

    def __init__(
        self,
        lane: NeuralLane,
        offset: int = 0,
        size: int | None = None,
        first_address: int = 0,
        addresses: int | None = None,
    ) -> None:
        spaces, depth = lane.core.spaces_per_lane, lane.core.book.size
        self.lane, self.offset, self.first_address = lane, offset, first_address
        self.size = spaces - offset if size is None else size
        self.addresses = depth - first_address if addresses is None else addresses
        _check_window("Neuron", offset, self.size, spaces, "spaces")
        _check_window("Neuron addresses", first_address, self.addresses, depth, "addresses of a space")
        self.y = 0.0

    def lane_tuple(self, aat: AAT) -> tuple[int | None, ...]:
        """Return the lane's address tuple for a tuple of the neuron; other spaces are None."""
        if len(aat) != self.size:
            raise KtramError(
                f"address tuple: must have one entry for each of the {self.size} spaces of the neuron, not {len(aat)}"
            )
        inside = tuple(
            None if address is None else self.first_address + checked(address, k, self.addresses)
            for k, address in enumerate(aat)
        )
        rest = self.lane.core.spaces_per_lane - self.offset - self.size
        return (None,) * self.offset + inside + (None,) * rest

    def evaluate(self, aat: AAT, instruction: str | Instruction, noise: float = 0.0) -> float:
        """Carry out one instruction on the neuron's kT-bits; return its latched activation."""
        self.lane.y = self.y
        self.y = self.lane.evaluate(self.lane_tuple(aat), instruction, noise)
        return self.y


def _check_window(what: str, first: int, count: int, available: int, unit: str) -> None:
    if first < 0 or count < 1 or first + count > available:
        raise KtramError(
            f"{what}: must be a window within the {available} {unit}, not {count} from {first} on"
        )
