"""Everything around ngspice: decks, the engines that run them, and the guard on netlist text.

Names: `as_pyspice`, `circuit_text`, `circuit_deck` (arrays and circuits of PySpice), `engine` (an engine
by name), `phase_deck` (the deck of a phase), `guard_netlist`, `probe` (what this machine has). They are
loaded when first used, so that a worker process starts with little more than PySpice.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cosim.spice.deck import phase_deck
    from cosim.spice.engines import engine
    from cosim.spice.export import as_pyspice, circuit_deck, circuit_text
    from cosim.spice.guard import guard_netlist
    from cosim.spice.machine import probe

__all__ = ["as_pyspice", "circuit_deck", "circuit_text", "engine", "guard_netlist", "phase_deck", "probe"]

_HOME = {
    "as_pyspice": "export",
    "circuit_deck": "export",
    "circuit_text": "export",
    "engine": "engines",
    "guard_netlist": "guard",
    "phase_deck": "deck",
    "probe": "machine",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
