"""Write-verify rules: pulses, success window, budget, and how the next pulse of a cell is chosen.

``fixed``: every pulse alike. ``adaptive-width``: as long as the last one promises. ``terminated``: a comparator ends it.
``incremental-amplitude`` (ISPP): every further pulse in the same direction has ``amplitude_step`` more, up to
``largest_amplitude``; Suh et al., "A 3.3 V 32 Mb NAND flash memory with incremental step pulse programming scheme",
IEEE JSSC 30(11), 1149 (1995). ``incremental-width``: ``width_factor`` times as wide, up to ``longest`` base widths. ``gate-ramp``:
the gate of a SET pulse starts at ``gate_start`` and gains ``gate_step`` each time, so that the transistor's saturation
current, and with it the conductance that the cell can reach, grows step by step; Milo et al., "Multilevel HfO2-based RRAM devices for
low-power neuromorphic networks", APL Materials 7, 081120 (2019). A pulse in the other direction starts the ladder again.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log
from typing import ClassVar, Literal, NamedTuple

from cosim.units import Ampere, Fraction, Second, Volt, check, femtoseconds, quantity

PulseRule = Literal[
    "fixed", "adaptive-width", "terminated", "incremental-amplitude", "incremental-width", "gate-ramp"
]
_MOST = 1e6
_LONGEST_LADDER = log(_MOST)


@dataclass(frozen=True, slots=True)
class ProgrammingPulse:
    """Amplitude and plateau width of a programming pulse; its edges are the driver's."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    amplitude: Volt
    width: Second
    compliance: Ampere | None = quantity(
        None,
        source="cosim: a driver without current limit",
        doc="current of the selected bit line at which the pulse ends",
    )

    def __post_init__(self) -> None:
        if self.compliance is not None:
            check(self.compliance > 0, "pulse", "compliance", "above zero", self.compliance)
        check(self.amplitude > 0, "pulse", "amplitude", "above zero", self.amplitude)
        check(self.width >= 1e-15, "pulse", "width", "at least 1 fs", self.width)


@dataclass(frozen=True, slots=True)
class Verify:
    """When a cell counts as programmed, and how many pulses it may take."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    window: Fraction = quantity(
        0.02,
        source="SKY130 ReRAM and aihwkit write-verify windows of 2 %",
        doc="half width of the window, of the full range",
    )
    pulses: PulseRule = quantity(
        "fixed",
        source="cosim: the plain scheme",
        doc="fixed: every pulse alike; adaptive-width: as long as the last one promises (secant); terminated:"
        " a comparator ends it at the target's current; incremental-amplitude (ISPP) and incremental-width: each"
        " more than the last in the same direction; gate-ramp: the gate of a SET pulse lets more current pass each time",
    )
    longest: float = quantity(
        32.0,
        source="cosim: one pulse at most covers the range",
        doc="widest adaptive, incremental or terminated pulse, in base widths",
    )
    amplitude_step: Volt = quantity(
        5e-3,
        source="cosim: a fifth of the thermal voltage, so that the speed of a thermally activated device grows by a fifth",
        doc="what incremental-amplitude adds from pulse to pulse",
    )
    largest_amplitude: Volt | None = quantity(
        None, source="cosim: as far as the budget leads", doc="highest amplitude of incremental-amplitude"
    )
    gate_start: Volt = quantity(
        0.5,
        source="cosim: just above the threshold of the default transistor",
        doc="gate voltage of the first pulse of gate-ramp",
    )
    gate_step: Volt = quantity(
        10e-3,
        source="cosim: a few steps per window with the default transistor",
        doc="what gate-ramp adds from SET pulse to SET pulse",
    )
    width_factor: float = quantity(
        1.25, source="cosim: ten pulses to ten times the width", doc="ratio of widths of incremental-width"
    )
    max_pulses: int = quantity(
        100,
        source="cosim: about three times the full range at 3 % a pulse",
        doc="budget of a cell in one sweep; one that is not in its window then is given up and recorded",
    )
    sweeps: int = quantity(
        1,
        source="cosim: every cell is programmed once",
        doc="how often all cells are gone through at most; the last sweep is the first that needs no pulse",
    )

    def __post_init__(self) -> None:
        check(0 < self.window < 1, "verify", "window", "between 0 % and 100 %", self.window)
        check(1 <= self.longest <= _MOST, "verify", "longest", "between 1 and 1e6", self.longest)
        check(self.amplitude_step > 0, "verify", "amplitude_step", "above zero", self.amplitude_step)
        check(
            self.largest_amplitude is None or self.largest_amplitude > 0, "verify", "largest_amplitude", "above zero",
            self.largest_amplitude,
        )  # fmt: skip
        check(self.gate_start > 0, "verify", "gate_start", "above zero", self.gate_start)
        check(self.gate_step > 0, "verify", "gate_step", "above zero", self.gate_step)
        check(1 < self.width_factor <= _MOST, "verify", "width_factor", "above 1", self.width_factor)
        check(self.max_pulses >= 0, "verify", "max_pulses", "zero or above", self.max_pulses)
        check(self.sweeps >= 1, "verify", "sweeps", "at least 1", self.sweeps)


class NextPulse(NamedTuple):
    """One pulse on one cell: direction, amplitude [V], plateau [fs], voltage of the gate line [V] where a cell has one."""

    rising: bool
    amplitude: float
    width_fs: int
    gate: float


class Ladder(NamedTuple):
    """What the pulses of a cell have been: ``rung`` counts those in the present direction.

    ``ratio``: base widths of the last pulse, ``before``: what was seen before it [S].
    """

    rising: bool | None = None
    rung: int = 0
    ratio: float = 1.0
    before: float | None = None


def next_pulse(
    rule: Verify, spec: ProgrammingPulse, seen: float, target: float, ladder: Ladder, gate: float = 0.0
) -> tuple[NextPulse, Ladder]:
    """Return the next pulse of a cell that was ``seen`` [S] and shall have ``target`` [S], and its ladder then.

    ``spec``: the SET pulse below the target, the RESET pulse above; ``gate`` [V]: the gate line of a selected row.
    """
    rising = seen < target
    rung = ladder.rung + 1 if rising == ladder.rising else 0
    amplitude, ratio = spec.amplitude, 1.0
    if rule.pulses == "adaptive-width":
        ratio = next_ratio(seen, target, ladder.before, ladder.ratio, rule.longest)
    elif rule.pulses == "terminated":
        ratio = rule.longest
    elif rule.pulses == "incremental-width":
        ratio = min(rule.width_factor ** min(rung, _LONGEST_LADDER / log(rule.width_factor)), rule.longest)
    elif rule.pulses == "incremental-amplitude":
        highest = float("inf") if rule.largest_amplitude is None else rule.largest_amplitude
        amplitude = min(spec.amplitude + rung * rule.amplitude_step, max(highest, spec.amplitude))
    elif rule.pulses == "gate-ramp" and rising:
        gate = min(rule.gate_start + rung * rule.gate_step, gate)
    width = max(round(femtoseconds(spec.width) * ratio), 1)
    return NextPulse(rising, amplitude, width, gate), Ladder(rising, rung, ratio, seen)


def next_ratio(seen: float, target: float, before: float | None, ratio: float, longest: float) -> float:
    """Return the width of the next adaptive pulse in base widths, a multiple of 1/8.

    A secant step: the last pulse of ``ratio`` base widths moved the cell from ``before`` to ``seen`` [S];
    the next one is as much longer as the rest of the way is. The first pulse, and one in the other
    direction, has the base width; none is shorter than an eighth of it or longer than ``longest``.
    """
    if before is None or (seen - before) * (target - seen) <= 0:
        return 1.0
    wanted = ratio * (target - seen) / (seen - before)
    return max(1.0, round(8 * min(wanted, longest))) / 8
