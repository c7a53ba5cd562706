"""cosim: discrete-event circuit co-simulation of memristor crossbars.

::

    scenario = cosim.load("scenarios/quickstart.yaml")
    result = cosim.run(scenario)        # .trace, .summary, .save(folder)
    check = cosim.validate(scenario)    # .passed, .worst, .frame()
    array = cosim.Array.program(weights, hardware); y = array @ x

Everything is imported when it is first used, so that ``import cosim`` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cosim.array import Array
    from cosim.hardware import Hardware
    from cosim.scenario.load import Scenario, load
    from cosim.scenario.run import Result, run
    from cosim.scenario.validate import Crosscheck, validate

__version__ = "0.1.0"

_HOMES = {
    "Array": "cosim.array",
    "Hardware": "cosim.hardware",
    "Scenario": "cosim.scenario.load",
    "load": "cosim.scenario.load",
    "Result": "cosim.scenario.run",
    "run": "cosim.scenario.run",
    "Crosscheck": "cosim.scenario.validate",
    "validate": "cosim.scenario.validate",
}

__all__ = ["Array", "Crosscheck", "Hardware", "Result", "Scenario", "__version__", "load", "run", "validate"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'cosim' has no attribute '{name}'")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
