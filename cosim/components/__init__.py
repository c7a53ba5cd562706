"""Components on the event time line: tile, converters, drivers, sense circuits, sequencer."""

from cosim.components.adc import Adc, AdcCalibration
from cosim.components.adc_energy import EnergyModel
from cosim.components.adc_kinds import AdcKind, ConverterFigures
from cosim.components.bank import ArbitratedBank, Bank, ConverterBank, Process
from cosim.components.comparator import Comparator
from cosim.components.dac import Dac
from cosim.components.driver import Driver
from cosim.components.mux import Mux
from cosim.components.programming import Programming, ProgrammingPulse, Verify, program_tile, visible_range
from cosim.components.quantizer import Codes, ConverterErrors
from cosim.components.reading import adc_range, multiply, read_timing
from cosim.components.sense import Sense
from cosim.components.sequencer import Sequencer
from cosim.components.tile import LineCapacitance, Periphery, Tile, refusals

__all__ = [
    "Adc",
    "AdcCalibration",
    "AdcKind",
    "ArbitratedBank",
    "Bank",
    "Codes",
    "Comparator",
    "ConverterBank",
    "ConverterErrors",
    "ConverterFigures",
    "Dac",
    "Driver",
    "EnergyModel",
    "LineCapacitance",
    "Mux",
    "Periphery",
    "Process",
    "Programming",
    "ProgrammingPulse",
    "Sense",
    "Sequencer",
    "Tile",
    "Verify",
    "adc_range",
    "multiply",
    "program_tile",
    "read_timing",
    "refusals",
    "visible_range",
]
