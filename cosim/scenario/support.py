"""What goes together: device, cell, scheme, rule of the next pulse, backend, coding, sense circuit; and why the rest does not.

One table, `RULES`. A scenario is held against it when it is built, and ``docs/support.md`` is made from it. What only a
backend knows of a network (size, missing subcircuits, stop conditions) it says itself: `CrossbarBackend.refusal`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from cosim.components.schemes import Scheme
from cosim.components.write_verify import PulseRule
from cosim.crossbar.network import Cell
from cosim.devices.base import DeviceModel
from cosim.devices.variation import Variation


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """What a write of a scenario chooses; ``reacts``: a pulse may end at a current."""

    device: DeviceModel
    cell: Cell
    scheme: Scheme
    pulses: PulseRule = "fixed"
    parallel: str = "cell"
    reacts: bool = False
    sense: str = "transimpedance"


@dataclass(frozen=True, slots=True)
class Rule:
    """A combination that cannot be; ``key``: its place in a write step."""

    key: tuple[str, ...]
    holds: Callable[[Choice], bool]
    sentence: str
    title: str


BEHIND_A_RESISTANCE = Rule(
    ("hardware", "variation", "read_noise"),
    lambda c: not c.cell.linear,
    "read noise is worked out for cells behind a resistance; leave out cell.transistor, or choose another cell.kind than 1S1R",
    "read noise behind a transistor law or a selector",
)
"""Concerns every read, not writes alone: see `refused_hardware`."""

PAIRS: Mapping[str, str] = {
    "encoding": "must be differential for 2T2R cells, which hold the difference of two conductances, not single",
    "bits": "a bit is the level of one device, but a 2T2R cell holds the difference of two; give 'matrix', or cell.kind 1T1R",
    "transposed": "the word lines of 2T2R cells add what their bit lines subtract; write the transpose into a tile of its own, or two tiles of 1T1R cells",
}
"""What 2T2R cells cannot do, by the key of a write, place or read step."""

RULES: tuple[Rule, ...] = (
    Rule(
        (),
        lambda c: c.sense == "comparator",
        "a verify read needs an ADC, but hardware.sense.kind is comparator; choose another kind of sense circuit",
        "writes with one-bit comparators as sense circuits",
    ),
    Rule(
        (),
        lambda c: not c.device.moves,
        "device {device} never changes, so it cannot be written; start the tile from a conductance file",
        "writes to a device that never changes",
    ),
    Rule(
        ("scheme",),
        lambda c: c.scheme == "gate" and not c.cell.gated,
        "scheme gate needs 1T1R or 2T2R cells, but cell.kind is {cell}; use scheme V/2",
        "scheme gate without gate lines",
    ),
    Rule(
        ("scheme",),
        lambda c: c.scheme != "gate" and c.cell.gated,
        "scheme {scheme} is for cells without gate lines, but cell.kind is {cell}; use scheme gate",
        "schemes V/2 and V/3 with gate lines",
    ),
    Rule(
        ("verify", "pulses"),
        lambda c: c.pulses == "gate-ramp" and c.cell.transistor is None,
        "gate-ramp needs an access transistor with a law, since a switch limits no current; give hardware.cell.transistor",
        "gate-ramp without a transistor law",
    ),
    Rule(
        ("parallel",),
        lambda c: c.parallel == "row" and c.reacts,
        "a pulse that ends at a current serves one cell, so compliance and terminated pulses need 'parallel: cell'",
        "rows at once with compliance or terminated pulses",
    ),
)


def refused_hardware(cell: Cell, variation: Variation) -> Rule | None:
    """Return the rule that the hardware breaks by itself, or None."""
    return BEHIND_A_RESISTANCE if variation.read_noise is not None and not cell.linear else None


def refused(choice: Choice) -> Rule | None:
    """Return the first rule that a choice breaks, its sentence filled in, or None."""
    for rule in RULES:
        if rule.holds(choice):
            text = rule.sentence.format(
                cell=choice.cell.kind, scheme=choice.scheme, device=choice.device.name
            )
            return replace(rule, sentence=text)
    return None
