"""Device models: physics and netlist side by side.

Names: `DeviceModel`, `Subcircuit`, the models `Mss`, `Rs`, `Resistor`, the registry `find`, `models`,
`presets`, `find_preset`.
"""

from cosim.devices.base import DeviceModel, FloatArray, Subcircuit
from cosim.devices.mss import Mss
from cosim.devices.registry import find, find_preset, models, presets
from cosim.devices.resistor import Resistor
from cosim.devices.rs import RS_JSPICE, RS_KTRAM, Rs

__all__ = [
    "RS_JSPICE",
    "RS_KTRAM",
    "DeviceModel",
    "FloatArray",
    "Mss",
    "Resistor",
    "Rs",
    "Subcircuit",
    "find",
    "find_preset",
    "models",
    "presets",
]
