"""Engines shared by the tests of this folder, and decks that are small enough to be read."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from cosim.spice.cards import Deck, OperatingPoint, Transient, source_slot
from cosim.spice.engines import SpiceEngine, engine
from cosim.spice.machine import probe

ENGINES = [
    pytest.param("subprocess", marks=pytest.mark.ngspice),
    pytest.param("pyspice", marks=pytest.mark.ngspice),
]


@pytest.fixture(scope="session")
def shared_engines() -> Iterator[Callable[[str], SpiceEngine]]:
    """Return engines by name, made once; a missing one skips the test with the reason."""
    made: dict[str, SpiceEngine] = {}

    def get(name: str) -> SpiceEngine:
        machine = probe()
        if not machine.binary or (name == "pyspice" and not (machine.library and machine.pyspice)):
            pytest.skip(f"the engine '{name}' is not on this machine")
        if name not in made:
            made[name] = engine(name, retries=0)
        return made[name]

    yield get
    for each in made.values():
        each.close()


@pytest.fixture(params=ENGINES)
def spice(request: pytest.FixtureRequest, shared_engines: Callable[[str], SpiceEngine]) -> SpiceEngine:
    """Every engine in turn, without repetition after a crash."""
    return shared_engines(request.param)


DeckMaker = Callable[..., Deck]


@pytest.fixture
def deck() -> DeckMaker:
    """Return a maker of decks from a few cards."""

    def make(
        cards: str,
        saves: tuple[str, ...] = ("v(a)",),
        analysis: Transient | OperatingPoint | None = None,
        title: str = "test",
    ) -> Deck:
        return Deck(title, tuple(cards.splitlines()), (), saves, analysis or Transient(1e-6, 1e-8))

    return make


@pytest.fixture
def ramp() -> Deck:
    """A ramp to 1 V in 0.1 us on a resistor of 1 kohm."""
    source = source_slot("x", "a", (0.0, 0.0, 1e-7, 1.0, 1e-6, 1.0))
    return Deck("ramp", ("r1 a 0 1k",), (source,), ("v(a)", "i(vx)"), Transient(1e-6, 1e-7))


@pytest.fixture
def endless() -> Deck:
    """A transient of 1e12 steps."""
    return Deck("endless", ("v1 a 0 1", "r1 a 0 1k"), (), ("v(a)",), Transient(1.0, 1e-12))


@pytest.fixture
def slow() -> Deck:
    """A transient that takes about half a second, with a result that depends on all of it."""
    cards = ("v1 a 0 sin(0 1 1meg)", "r1 a b 1k", "c1 b 0 1n ic=0.25", "b1 0 c i=v(b)*v(b)", "c2 c 0 1u ic=0")
    return Deck("slow", cards, (), ("v(b)", "v(c)"), Transient(4e-4, 5e-9))
