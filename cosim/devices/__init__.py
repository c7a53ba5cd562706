"""Device models: physics and netlist side by side.

Names: `DeviceModel`, `Subcircuit`, the models, the registry `find`, `models`,
`presets`, `find_preset`.
"""

from cosim.devices.base import DeviceModel, FloatArray, Subcircuit
from cosim.devices.data_driven import DataDriven
from cosim.devices.fefet import Fefet
from cosim.devices.ion_drift import IonDrift
from cosim.devices.jump_table import JumpTable
from cosim.devices.kt_steps import Byte, Float
from cosim.devices.mss import Mss
from cosim.devices.mtj import Mtj
from cosim.devices.nonlinear_ion_drift import NonlinearIonDrift
from cosim.devices.pcm import Pcm
from cosim.devices.programming_error import ProgrammingError
from cosim.devices.pulse import PulseModel
from cosim.devices.pulse_law import PulseLaw
from cosim.devices.pulse_table import PulseTable
from cosim.devices.registry import find, find_preset, models, presets
from cosim.devices.resistor import Resistor
from cosim.devices.rs import RS_JSPICE, RS_KTRAM, Rs
from cosim.devices.sky130_reram import Sky130Reram
from cosim.devices.stanford import Stanford
from cosim.devices.steps import ExpStep, LinearStep, PiecewiseStep, PowStep, SoftBounds
from cosim.devices.team import Team
from cosim.devices.vteam import Vteam
from cosim.devices.yakopcic import Yakopcic

__all__ = [
    "RS_JSPICE",
    "RS_KTRAM",
    "Byte",
    "DataDriven",
    "DeviceModel",
    "ExpStep",
    "Fefet",
    "Float",
    "FloatArray",
    "IonDrift",
    "JumpTable",
    "LinearStep",
    "Mss",
    "Mtj",
    "NonlinearIonDrift",
    "Pcm",
    "PiecewiseStep",
    "PowStep",
    "ProgrammingError",
    "PulseLaw",
    "PulseModel",
    "PulseTable",
    "Resistor",
    "Rs",
    "Sky130Reram",
    "SoftBounds",
    "Stanford",
    "Subcircuit",
    "Team",
    "Vteam",
    "Yakopcic",
    "find",
    "find_preset",
    "models",
    "presets",
]
