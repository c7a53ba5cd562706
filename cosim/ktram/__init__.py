"""kT-RAM: address tuples, the fourteen instructions, lanes of differential memristor pairs.

::

    from cosim.ktram import Core
    core = Core(1, 1, model="byte")
    y = core.lane(0).evaluate((0,), "FF")

Everything is imported when it is first used; the core needs numpy alone.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cosim.ktram.basis import BasisEncoder, BasisGroup
    from cosim.ktram.circuit import Circuit, InstructionRecord
    from cosim.ktram.classifier import Confusion, LinearClassifier, linear_peers
    from cosim.ktram.controller import Controller
    from cosim.ktram.core import MODEL_DEFAULTS, Core
    from cosim.ktram.encoders import A2DEncoder, AATEncoder, ConstantEncoder, compose, one_hot
    from cosim.ktram.instructions import FORWARD, INSTRUCTIONS, REVERSE, H, Instruction, resolve
    from cosim.ktram.lane import NeuralLane
    from cosim.ktram.lane_network import LaneCircuit
    from cosim.ktram.models import INIT_TYPES, java_round
    from cosim.ktram.mss import MSSProfile
    from cosim.ktram.noise import (
        COMPARATOR_CODE,
        FLICKER_DECADES,
        NOISE_FLICKER,
        NOISE_THERMAL,
        READ_NOISE,
        READ_NOISE_REF_V,
        ROOM_TEMPERATURE_K,
        comparator_code_for,
        comparator_volts,
    )
    from cosim.ktram.partition import Neuron
    from cosim.ktram.recoders import (
        AATRecoder,
        AboveZero,
        RankCut,
        RecodePolicy,
        Winner,
        WinnerAboveZero,
        rank_cut,
        read_lanes,
    )
    from cosim.ktram.timeline import LaneProgram, Pulse, Timeline, in_turn
    from cosim.ktram.topology import OneTwo, TwoOne
    from cosim.ktram.unit_crossbar import (
        MODELS,
        ByteDevice,
        FloatDevice,
        MSSDevice,
        RSDevice,
        UnitCrossbar,
        UnitCrossbarPair,
    )

_NAMES = {
    "basis": ("BasisEncoder", "BasisGroup"),
    "classifier": ("Confusion", "LinearClassifier", "linear_peers"),
    "circuit": ("Circuit", "InstructionRecord"),
    "controller": ("Controller",),
    "core": ("Core", "MODEL_DEFAULTS"),
    "encoders": ("A2DEncoder", "AATEncoder", "ConstantEncoder", "compose", "one_hot"),
    "instructions": ("FORWARD", "H", "INSTRUCTIONS", "Instruction", "REVERSE", "resolve"),
    "lane": ("NeuralLane",),
    "lane_network": ("LaneCircuit",),
    "models": ("INIT_TYPES", "java_round"),
    "mss": ("MSSProfile",),
    "noise": (
        "COMPARATOR_CODE", "FLICKER_DECADES", "NOISE_FLICKER", "NOISE_THERMAL", "READ_NOISE",
        "READ_NOISE_REF_V", "ROOM_TEMPERATURE_K", "comparator_code_for", "comparator_volts",
    ),
    "partition": ("Neuron",),
    "recoders": (
        "AATRecoder", "AboveZero", "RankCut", "RecodePolicy", "Winner", "WinnerAboveZero", "rank_cut", "read_lanes",
    ),
    "timeline": ("LaneProgram", "Pulse", "Timeline", "in_turn"),
    "topology": ("OneTwo", "TwoOne"),
    "unit_crossbar": (
        "ByteDevice", "FloatDevice", "MODELS", "MSSDevice", "RSDevice", "UnitCrossbar", "UnitCrossbarPair",
    ),
}  # fmt: skip
_HOMES = {name: module for module, names in _NAMES.items() for name in names}

__all__ = [
    "COMPARATOR_CODE",
    "FLICKER_DECADES",
    "FORWARD",
    "INIT_TYPES",
    "INSTRUCTIONS",
    "MODELS",
    "MODEL_DEFAULTS",
    "NOISE_FLICKER",
    "NOISE_THERMAL",
    "READ_NOISE",
    "READ_NOISE_REF_V",
    "REVERSE",
    "ROOM_TEMPERATURE_K",
    "A2DEncoder",
    "AATEncoder",
    "AATRecoder",
    "AboveZero",
    "BasisEncoder",
    "BasisGroup",
    "ByteDevice",
    "Circuit",
    "Confusion",
    "ConstantEncoder",
    "Controller",
    "Core",
    "FloatDevice",
    "H",
    "Instruction",
    "InstructionRecord",
    "LaneCircuit",
    "LaneProgram",
    "LinearClassifier",
    "MSSDevice",
    "MSSProfile",
    "NeuralLane",
    "Neuron",
    "OneTwo",
    "Pulse",
    "RSDevice",
    "RankCut",
    "RecodePolicy",
    "Timeline",
    "TwoOne",
    "UnitCrossbar",
    "UnitCrossbarPair",
    "Winner",
    "WinnerAboveZero",
    "comparator_code_for",
    "comparator_volts",
    "compose",
    "in_turn",
    "java_round",
    "linear_peers",
    "one_hot",
    "rank_cut",
    "read_lanes",
    "resolve",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'cosim.ktram' has no attribute '{name}'")
    value = getattr(import_module(f"cosim.ktram.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
