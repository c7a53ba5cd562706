"""The figures of converters, drivers and sensing, a line each: ``make accept-converters``."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import cosim
from cosim.components.adc import Adc
from cosim.components.adc_energy import energy_models, sndr_of
from cosim.components.quantizer import ConverterErrors, quantize
from cosim.components.tile import PHASE_KINDS
from cosim.crossbar import Cell, find
from cosim.devices import Resistor
from cosim.hardware import ArraySpec, Hardware, WireSpec
from cosim.records import Trace
from cosim.system import Read, System

pytestmark = pytest.mark.acceptance

SCENARIOS = sorted((Path(__file__).parents[2] / "scenarios").glob("converter_*.yaml"))
CITED = (
    ("murmann-floor", 8, 32e-9, 0.2765), ("survey-regression", 4, 32e-9, 0.92), ("survey-regression", 6, 32e-9, 1.07),
    ("survey-regression", 8, 32e-9, 1.71), ("survey-regression", 10, 32e-9, 3.31), ("survey-regression", 8, 65e-9, 6.49),
    ("survey-regression", 8, 22e-9, 0.85), ("neurosim-sar", 6, 22e-9, 0.0533), ("mnsim", 6, 22e-9, 10.1),
    ("isaac", 8, 32e-9, 1.67), ("isaac", 10, 32e-9, 2.38), ("fixed", 8, 32e-9, 2.0),
)  # fmt: skip
Tell = Callable[[str, float, float], None]


@pytest.fixture
def tell() -> Tell:
    def line(what: str, value: float, bar: float) -> None:
        sys.stdout.write(f"{what}: {value:.3g} (bar {bar:g}): {'met' if value <= bar else 'missed'}\n")
        assert value <= bar, what

    return line


def test_energies_of_a_conversion(tell: Tell) -> None:
    worst = 0.0
    for model, bits, node, picojoule in CITED:
        energy = Adc(bits=bits, node=node, energy_model=model).conversion_energy * 1e12
        worst = max(worst, abs(energy / picojoule - 1))
    tell("energy of a conversion against the cited figure, relative", worst, 0.01)


def test_figures_of_merit(tell: Tell) -> None:
    worst = 0.0
    for model in energy_models():
        for bits in (4, 6, 8, 10):
            adc = Adc(bits=bits, energy_model=model)
            expected = sndr_of(bits) - 10 * math.log10(2 * adc.walden * 2**bits)
            worst = max(worst, abs(adc.schreier - expected))
    tell("Walden against Schreier figure [dB]", worst, 1e-9)


def test_nonlinearity(tell: Tell) -> None:
    worst = 0.0
    for bits in (6, 8, 10, 12):
        for inl, dnl in ((0.5, 0.0), (1.0, 0.3), (0.25, 0.5), (2.0, 0.9), (0.0, 0.4)):
            top = (1 << bits) - 1
            ramp = np.arange(-20 * 200, (top + 20) * 200) / 200
            codes = quantize(ramp, 0.0, float(top), bits, ConverterErrors(inl=inl, dnl=dnl)).codes
            counts = np.bincount(codes, minlength=top + 1)[1:-1]
            deviations = counts / counts.mean() - 1
            set_inl, set_dnl = max(inl, dnl / 2), max(dnl, 2 * inl / (top - 1))
            worst = max(worst, abs(np.abs(deviations).max() - set_dnl))
            worst = max(worst, abs(np.abs(np.cumsum(deviations)).max() - set_inl))
    tell("INL and DNL by the histogram against what was set [LSB]", worst, 0.05)


def test_energies_of_every_scenario(tell: Tell) -> None:
    worst = 0.0
    for path in SCENARIOS:
        energy = cosim.run(cosim.load(path)).summary["energy"]
        for part in ("by_component_j", "by_kind_j"):
            worst = max(worst, abs(math.fsum(energy[part].values()) / energy["total_j"] - 1))
    tell(f"energy by component against the total, {len(SCENARIOS)} scenarios", worst, 1e-9)


def products(together: bool) -> Trace:
    wires = WireSpec(word_line=1.0, bit_line=1.0, capacitance=1e-16)
    hardware = Hardware(ArraySpec(128, 128, wires), Resistor(), Cell("1R"), adc=Adc(count=16))
    system = System(Trace(), 1)
    conductance = np.random.default_rng(0).uniform(1e-6, 2e-5, (128, 128))
    system.add_tile("t", hardware, dict.fromkeys(PHASE_KINDS, find("behavioral")()), conductance)
    inputs = np.random.default_rng(1).integers(0, 256, (40, 128)) / 255
    system.run([Read(("t",), inputs, 0.2, None, None, "bit-serial", None, together)])
    return system.trace


def test_reads_together_are_reads_one_by_one(tell: Tell) -> None:
    one, other = products(True), products(False)
    assert one.end_fs == other.end_fs
    assert list(one.busy) == list(other.busy)
    tell("event time and busy records, together against one by one", 0.0, 0.0)
    for field in ("delivered_j", "cells_j", "wires_j", "terminations_j"):
        a, b = one.phases.column(field), other.phases.column(field)
        tell(f"{field} of every phase, relative to the largest", float(np.abs(a - b).max() / b.max()), 1e-8)
    a, b = (trace.conversions.column("current_a") for trace in (one, other))
    tell("current of every conversion, relative to the largest", float(np.abs(a - b).max() / b.max()), 1e-8)
    tell(
        "codes that differ", float(np.count_nonzero(one.conversions.column("code") != other.conversions.column("code"))), 0
    )  # fmt: skip
