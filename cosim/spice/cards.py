"""A deck as a value: what never changes between phases, what may be altered, and its text.

A `Deck` holds the cards of the circuit as text (`body`) and, beside them, `Slot` values: sources,
initial states and plain resistances whose numbers change from phase to phase. The same numbers can
be written into the text of the deck, or sent as ``alter`` commands to a circuit that is loaded
already. Two decks with equal `Deck.key` differ in slot values and times alone.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cosim.errors import SpiceParseError
from cosim.units import spice

if TYPE_CHECKING:
    from cosim.crossbar.stopping import Stop
    from cosim.spice.lockstep import Watch

Floats = NDArray[np.float64]

MAX_COMMAND = 1000
"""Longest ``alter`` command in characters (PySpice refuses more than 1023)."""
_SAVES_PER_LINE = 12
_UNPRINTABLE = re.compile(r"[^A-Za-z0-9_ .,:()-]")


@dataclass(frozen=True)
class Slot:
    """A card whose numbers may change without another load.

    ``card`` holds either one ``{}``, where all values go, parted by spaces, or one for each value.
    ``commands`` are the commands that set them: one for all values, or one for each.
    """

    card: str
    commands: tuple[str, ...]
    values: tuple[float, ...]

    def text(self) -> str:
        """Return the card with its numbers."""
        numbers = [spice(value) for value in self.values]
        return self.card.format(*numbers) if len(self.commands) > 1 else self.card.format(" ".join(numbers))

    def alters(self) -> list[str]:
        """Return the commands that give a loaded circuit these numbers."""
        numbers = [spice(value) for value in self.values]
        if len(self.commands) == 1:
            return [self.commands[0].format(" ".join(numbers))]
        return [command.format(number) for command, number in zip(self.commands, numbers, strict=True)]

    @property
    def alterable(self) -> bool:
        """Whether the commands are short enough to be sent."""
        return 24 * len(self.values) + len(self.commands[0]) < MAX_COMMAND


def source_slot(name: str, net: str, points: tuple[float, ...]) -> Slot:
    """Return a piecewise linear voltage source ``v<name>`` from ``net`` to ground.

    ``points`` are times [s] and voltages [V] in turn, times rising.
    """
    return Slot(f"v{name} {net} 0 pwl({{}})", (f"alter @v{name}[pwl] = [ {{}} ]",), points)


def level_slot(name: str, net: str, voltage: float) -> Slot:
    """Return a constant voltage source ``v<name>`` from ``net`` to ground [V]."""
    return Slot(f"v{name} {net} 0 dc {{}}", (f"alter v{name} dc = {{}}",), (voltage,))


def resistor_slot(name: str, first: str, second: str, resistance: float) -> Slot:
    """Return a resistor ``r<name>`` [ohm] whose value may be altered."""
    return Slot(f"r{name} {first} {second} {{}}", (f"alter r{name} resistance = {{}}",), (resistance,))


def capacitor_slot(name: str, net: str, capacitance: float, voltage: float) -> Slot:
    """Return a capacitor ``c<name>`` [F] to ground whose initial voltage [V] may be altered."""
    return Slot(f"c{name} {net} 0 {spice(capacitance)} ic={{}}", (f"alter c{name} ic = {{}}",), (voltage,))


@dataclass(frozen=True)
class Transient:
    """A transient from 0 to ``stop`` with a largest step ``step``, both in seconds, from the given states."""

    stop: float
    step: float

    def command(self) -> str:
        """Return the analysis as ngspice reads it, without the leading dot."""
        return f"tran {spice(self.step)} {spice(self.stop)} 0 {spice(self.step)} uic"

    @property
    def kind(self) -> str:
        """First word of the analysis, which also begins the name of its plot."""
        return "tran"


@dataclass(frozen=True)
class OperatingPoint:
    """The direct-current solution; it has one sample."""

    def command(self) -> str:
        """Return the analysis as ngspice reads it, without the leading dot."""
        return "op"

    @property
    def kind(self) -> str:
        """First word of the analysis, which also begins the name of its plot."""
        return "op"


@dataclass(frozen=True)
class Deck:
    """One simulation: cards, slots, analysis and the vectors to be saved.

    ``title`` is a comment for people. ``saves`` are the vectors wanted, such as ``v(w0_1)`` and
    ``i(vwl0)``, in lower case; every engine returns them in this order. ``structure`` may hold a hash of
    body, saves, options and blank cells where that is known already. ``watch``: the stop conditions of a
    deck with external sources, which only the engine `lockstep` can run.
    """

    title: str
    body: tuple[str, ...]
    slots: tuple[Slot, ...]
    saves: tuple[str, ...]
    analysis: Transient | OperatingPoint
    options: tuple[str, ...] = ()
    structure: str = field(default="", compare=False)
    watch: Watch | None = field(default=None, compare=False)

    def _tail(self) -> Iterator[str]:
        if self.options:
            yield ".options " + " ".join(self.options)
        for start in range(0, len(self.saves), _SAVES_PER_LINE):
            yield ".save " + " ".join(self.saves[start : start + _SAVES_PER_LINE])

    def text(self) -> str:
        """Return the whole deck, as ``ngspice -n -b`` runs it by hand."""
        return "\n".join([*self._lines(), ""])

    def _lines(self) -> Iterator[str]:
        yield f"* cosim: {_UNPRINTABLE.sub('?', self.title)}"
        yield from self.body
        for slot in self.slots:
            yield slot.text()
        yield from self._tail()
        yield f".{self.analysis.command()}"
        yield ".end"

    @cached_property
    def key(self) -> str:
        """Hash of all that an ``alter`` command cannot change."""
        parts = [self.analysis.kind]
        if self.structure:
            parts += [self.structure, *(slot.text() for slot in self.slots if not slot.alterable)]
            return hashlib.sha256("\n".join(parts).encode()).hexdigest()
        parts += [*self.body, *self._tail()]
        for slot in self.slots:
            parts += [slot.card, *slot.commands] if slot.alterable else [slot.text()]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    def alters(self) -> list[str]:
        """Return the commands that give a loaded circuit the numbers of this deck."""
        return [command for slot in self.slots if slot.alterable for command in slot.alters()]


@dataclass(frozen=True)
class SpiceVectors:
    """What a simulation gave: ``values`` (points, vectors) at ``time`` (points,) in seconds.

    ``log`` is what ngspice said, ``wall_s`` how long the simulation itself took and ``overhead_s``
    all else (start, load, alter, transport). ``stops``: the stop conditions that were met.
    """

    time: Floats
    names: tuple[str, ...]
    values: Floats
    log: str = ""
    wall_s: float = 0.0
    overhead_s: float = 0.0
    stops: tuple[Stop, ...] = ()

    @cached_property
    def _index(self) -> dict[str, int]:
        return {name: at for at, name in enumerate(self.names)}

    def column(self, name: str) -> Floats:
        """Return the samples of one vector (points,); raises `SpiceParseError` if it was not saved."""
        try:
            return self.values[:, self._index[name]]
        except KeyError:
            raise SpiceParseError(f"ngspice saved no vector '{name}'") from None

    def columns(self, names: Iterable[str]) -> Floats:
        """Return the samples of several vectors (points, names)."""
        index: list[Any] = [self._index[name] for name in names]
        return self.values[:, index]
