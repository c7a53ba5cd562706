"""Components on the event time line: tile, converters, drivers, sense circuits, sequencer."""

from cosim.components.adc import Adc, AdcCalibration
from cosim.components.adc_energy import EnergyModel
from cosim.components.adc_kinds import AdcKind, ConverterFigures
from cosim.components.bank import ArbitratedBank, Bank, ConverterBank, Process
from cosim.components.coding import CodedInputs, InputCoding
from cosim.components.comparator import Comparator
from cosim.components.dac import Dac, InputCalibration
from cosim.components.driver import Driver, LevelShifter
from cosim.components.mux import Mux
from cosim.components.programming import Programming, program_tile
from cosim.components.quantizer import Codes, ConverterErrors
from cosim.components.read_phases import adc_range, read_timing
from cosim.components.reading import multiply
from cosim.components.sense import Sense, SenseErrors
from cosim.components.sequencer import Sequencer
from cosim.components.tile import LineCapacitance, Periphery, Tile, refusals
from cosim.components.verify_reads import visible_range
from cosim.components.write_verify import ProgrammingPulse, Verify

__all__ = [
    "Adc",
    "AdcCalibration",
    "AdcKind",
    "ArbitratedBank",
    "Bank",
    "CodedInputs",
    "Codes",
    "Comparator",
    "ConverterBank",
    "ConverterErrors",
    "ConverterFigures",
    "Dac",
    "Driver",
    "EnergyModel",
    "InputCalibration",
    "InputCoding",
    "LevelShifter",
    "LineCapacitance",
    "Mux",
    "Periphery",
    "Process",
    "Programming",
    "ProgrammingPulse",
    "Sense",
    "SenseErrors",
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
