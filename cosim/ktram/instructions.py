"""The fourteen kT-RAM instructions: direction of the drive, and what the lane's node does meanwhile.

A read (FF, FFLV, RF, RFLV) lets the node float: its voltage is the activation, ``Vy = V_app * y``. A feedback
instruction forces ``Vy = coeff * V_drive * (H(y) if use_H else 1)`` with the standard voltage of its
direction and the latched activation y.

Source: kT-RAM neural core, instruction set. FU and FA have there the opposite sense of the instruction
table published earlier (FU reinforces in that table, FA does here); the emulator's table is kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, final

from cosim.errors import UnknownKeyError

FORWARD: Final = "forward"
REVERSE: Final = "reverse"


@final
@dataclass(frozen=True)
class Instruction:
    """One instruction: ``direction`` of the rails, and read or feedback.

    ``low``: the rails carry the low voltage of the direction. ``coeff`` and ``use_H``: the forced node
    voltage of a feedback instruction, see the module.
    """

    name: str
    direction: str
    reads: bool
    low: bool = False
    coeff: float = 0.0
    use_H: bool = False  # noqa: N815 (the step function's name in the field)


_ALL = (
    Instruction("FF", FORWARD, reads=True),
    Instruction("FFLV", FORWARD, reads=True, low=True),
    Instruction("RF", REVERSE, reads=True),
    Instruction("RFLV", REVERSE, reads=True, low=True),
    Instruction("FH", FORWARD, reads=False, coeff=-1.0),
    Instruction("FL", FORWARD, reads=False, coeff=1.0),
    Instruction("FU", FORWARD, reads=False, coeff=1.0, use_H=True),
    Instruction("FA", FORWARD, reads=False, coeff=-1.0, use_H=True),
    Instruction("FZ", FORWARD, reads=False),
    Instruction("RH", REVERSE, reads=False, coeff=1.0),
    Instruction("RL", REVERSE, reads=False, coeff=-1.0),
    Instruction("RU", REVERSE, reads=False, coeff=1.0, use_H=True),
    Instruction("RA", REVERSE, reads=False, coeff=-1.0, use_H=True),
    Instruction("RZ", REVERSE, reads=False),
)

INSTRUCTIONS: Final[Mapping[str, Instruction]] = MappingProxyType({entry.name: entry for entry in _ALL})
"""All instructions by name."""


def resolve(instruction: str | Instruction) -> Instruction:
    """Return the instruction of that name; raises `UnknownKeyError` (a `KeyError`) for any other."""
    if isinstance(instruction, Instruction):
        return instruction
    found = INSTRUCTIONS.get(instruction) if isinstance(instruction, str) else None
    if found is None:
        raise UnknownKeyError(
            f"instruction: must be one of {', '.join(INSTRUCTIONS)}, not {instruction!r}; names are in capitals"
        )
    return found


def H(y: float) -> float:  # noqa: N802 (the step function's name in the field)
    """Return +1 for ``y >= 0``, else -1: a balanced lane, or one that was never read, counts as +1."""
    return 1.0 if y >= 0 else -1.0
