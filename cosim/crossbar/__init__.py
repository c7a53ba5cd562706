"""Crossbar networks: what a phase acts on, how it is driven, who answers, and the network solver."""

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

__all__ = [
    "Cell",
    "CrossbarArray",
    "CrossbarBackend",
    "Deviation",
    "Energy",
    "Network",
    "Phase",
    "PhaseRequest",
    "PhaseResult",
    "Samples",
    "SavedWaveforms",
    "Segments",
    "StopCondition",
    "Waveform",
    "find",
    "level",
    "pulse",
    "single",
]
