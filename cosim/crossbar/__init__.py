"""Crossbar networks: what a phase acts on, how it is driven, who answers, and the network solver.

The seam (`Network`, `Phase`, `PhaseRequest`, `CrossbarBackend` ...) is imported at once; the solver on its
own (`solve`, `CrossbarNetwork` ...), which needs scipy, when one of its names is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from cosim.crossbar.backend import (
    CrossbarBackend,
    Deviation,
    Energy,
    PhaseRequest,
    PhaseResult,
    Samples,
    SavedWaveforms,
    find,
)
from cosim.crossbar.drive import Phase, StopCondition, Waveform, level, pulse
from cosim.crossbar.network import Cell, CrossbarArray, Network, Segments, single

if TYPE_CHECKING:
    from cosim.crossbar.joined import JoinedNetwork, solve_joined
    from cosim.crossbar.lines import LineSolution, LineSystem, solve_lines
    from cosim.crossbar.newton import solve_nonlinear
    from cosim.crossbar.nodal import JoinedArray
    from cosim.crossbar.ports import PortArray, PortModel, solve_ports
    from cosim.crossbar.read_cache import ReadCache
    from cosim.crossbar.solver import CrossbarNetwork, CrossbarSolution, LineCurrents, solve
    from cosim.crossbar.transient import LineTransient, solve_transient
    from cosim.crossbar.tree import LineTree
    from cosim.crossbar.wires import FixedWire, GeometryWire, NodeWire, Wires

_HOMES = {
    "CrossbarNetwork": "solver",
    "CrossbarSolution": "solver",
    "FixedWire": "wires",
    "GeometryWire": "wires",
    "JoinedArray": "nodal",
    "LineCurrents": "solver",
    "LineTree": "tree",
    "PortArray": "ports",
    "PortModel": "ports",
    "ReadCache": "read_cache",
    "solve_ports": "ports",
    "JoinedNetwork": "joined",
    "LineSolution": "lines",
    "LineSystem": "lines",
    "LineTransient": "transient",
    "NodeWire": "wires",
    "Wires": "wires",
    "solve": "solver",
    "solve_joined": "joined",
    "solve_lines": "lines",
    "solve_nonlinear": "newton",
    "solve_transient": "transient",
}

__all__ = [
    "Cell",
    "CrossbarArray",
    "CrossbarBackend",
    "CrossbarNetwork",
    "CrossbarSolution",
    "Deviation",
    "Energy",
    "FixedWire",
    "GeometryWire",
    "JoinedArray",
    "JoinedNetwork",
    "LineCurrents",
    "LineSolution",
    "LineSystem",
    "LineTransient",
    "LineTree",
    "Network",
    "NodeWire",
    "Phase",
    "PhaseRequest",
    "PhaseResult",
    "PortArray",
    "PortModel",
    "ReadCache",
    "Samples",
    "SavedWaveforms",
    "Segments",
    "StopCondition",
    "Waveform",
    "Wires",
    "find",
    "level",
    "pulse",
    "single",
    "solve",
    "solve_joined",
    "solve_lines",
    "solve_nonlinear",
    "solve_ports",
    "solve_transient",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'cosim.crossbar' has no attribute '{name}'")
    value = getattr(import_module(f"cosim.crossbar.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
