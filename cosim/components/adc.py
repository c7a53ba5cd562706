"""Analog-to-digital converters: a bank of equal ones, shared by the columns of an array through a mux.

Kind, errors and energy model are chosen by name (`adc_kinds`, `quantizer`, `adc_energy`). Code ``c`` stands
for ``low + c (high - low)/(2^bits - 1)``; the same input always gives the same code unless noise or dither is
asked for, and an input outside of the range saturates, which is counted and recorded.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal

import numpy as np

from cosim.components.adc_energy import EnergyModel, find_energy_model, schreier_figure, walden_figure
from cosim.components.adc_kinds import AdcKind, ConverterFigures, find_adc_kind
from cosim.components.mux import Mux
from cosim.components.quantizer import Codes, ConverterErrors, quantize
from cosim.devices.base import FloatArray
from cosim.errors import DeviceError
from cosim.records import Formula
from cosim.units import (
    Fraction,
    Hertz,
    Joule,
    Metre,
    SquareMetre,
    Volt,
    Watt,
    check,
    femtoseconds,
    quantity,
)

OtherName = Annotated[str, "the name of one of another package"]


@dataclass(frozen=True, slots=True)
class AdcCalibration:
    """How a calibrated range is taken from a profile of input voltages."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    method: Literal["min-max", "percentile"] = quantity(
        "min-max", source="CrossSim, calibrated ADC limits", doc="span everything, or all but the tails"
    )
    percentile: Fraction = quantity(
        0.999, source="CrossSim, calibration by percentile", doc="part of the profile below the upper end"
    )
    columns: Literal["together", "each"] = quantity(
        "together", source="cosim: one reference for the bank", doc="one range, or one for each column"
    )

    def __post_init__(self) -> None:
        check(
            0.5 < self.percentile <= 1,
            "calibration",
            "percentile",
            "above 50 % and at most 100 %",
            self.percentile,
        )

    def span(self, profile: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the lower and upper end [V] from a profile ``(samples, columns)`` [V]; 0 V is always inside."""
        axis = 0 if self.columns == "each" else None
        if not profile.size:
            return np.zeros(1), np.zeros(1)
        if self.method == "min-max":
            low, high = profile.min(axis=axis), profile.max(axis=axis)
        else:
            low, high = np.quantile(profile, (1 - self.percentile, self.percentile), axis=axis)
        return np.minimum(low, 0.0), np.asarray(high)


@dataclass(frozen=True, slots=True)
class Adc:
    """A bank of ``count`` ADCs of one array (``shared: tile``) or of the system (``shared: system``)."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    kind: (
        Literal["sar", "flash", "ramp", "cyclic", "pipeline", "sigma-delta", "time-based", "ideal"]
        | OtherName
    ) = "sar"
    bits: int = quantity(8, source="ISAAC (Shafiee et al., ISCA 2016), 8-bit SAR", doc="resolution")
    count: int = quantity(
        1, source="ISAAC, one ADC for the columns of a crossbar", doc="converters in the bank"
    )
    clock: Hertz = quantity(
        100e6, source="B. Murmann, ADC performance survey: SAR, 7 to 9 ENOB, moderate speed", doc="clock"
    )
    order: int = quantity(
        2, source="Markus, Silva and Temes, IEEE TCAS-I 51 (2004) 678", doc="of a sigma-delta loop"
    )
    range: tuple[Volt, Volt] | Literal["calibrated"] = quantity(
        "calibrated",
        source="CrossSim, CALIBRATED range",
        doc="input range; calibrated: from 0 V to the largest value of the operation",
    )
    calibration: AdcCalibration = field(default_factory=AdcCalibration)
    errors: ConverterErrors = field(default_factory=ConverterErrors)
    energy_model: (
        Literal[
            "murmann-floor", "survey-regression", "survey-median", "neurosim-sar", "mnsim", "isaac", "walden",
            "schreier", "fixed",
        ]
        | OtherName
    ) = quantity(
        "murmann-floor",
        source="B. Murmann, ADC performance survey 1997-2025",
        doc="how a conversion's energy is computed",
    )  # fmt: skip
    energy: Joule = quantity(
        2e-12,
        source="TU Delft CIM tile, configuration: ADC 2 pJ",
        doc="per conversion, used by energy_model fixed",
    )
    area: SquareMetre = quantity(
        1200e-12,
        source="ISAAC, 8-bit SAR, as listed by MNSIM",
        doc="of a converter, where the model has none",
    )
    node: Metre = quantity(32e-9, source="ISAAC, 32 nm", doc="technology node, for models that ask for it")
    fom_walden: Joule = quantity(
        32e-15,
        source="B. Murmann, ADC performance survey, median since 2018",
        doc="per step, for energy_model walden",
    )
    fom_schreier: float = quantity(
        189.0, source="B. Murmann, ADC performance survey, best design", doc="[dB], for energy_model schreier"
    )
    leakage: Watt = quantity(
        0.0,
        source="cosim: the survey's energies contain the leakage",
        doc="of a converter, all through the run",
    )
    shared: Literal["tile", "system"] = "tile"
    assignment: Literal["any-free", "fixed"] = quantity(
        "any-free",
        source="cosim: a full mux; NeuroSim's numColMuxed is fixed",
        doc="which converter takes a column: one that is free, or always the same",
    )
    arbitration: Literal["first-come", "round-robin", "priority"] = quantity(
        "first-come",
        source="cosim: a queue",
        doc="who is served next where tiles wait for one bank; priority: in the order of the tiles",
    )
    mux: Mux = field(default_factory=Mux)

    def __post_init__(self) -> None:
        check(1 <= self.bits <= 24, "adc", "bits", "between 1 and 24", self.bits)
        check(self.count >= 1, "adc", "count", "at least 1", self.count)
        check(0 < self.clock <= 1e12, "adc", "clock", "above zero and at most 1 THz", self.clock)
        check(1 <= self.order <= 6, "adc", "order", "between 1 and 6", self.order)
        for name in ("energy", "area", "leakage"):
            check(getattr(self, name) >= 0, "adc", name, "zero or above", getattr(self, name))
        check(1e-9 <= self.node <= 1e-5, "adc", "node", "between 1 nm and 10 um", self.node)
        check(self.fom_walden > 0, "adc", "fom_walden", "above zero", self.fom_walden)
        check(
            100 <= self.fom_schreier <= 250,
            "adc",
            "fom_schreier",
            "between 100 and 250 dB",
            self.fom_schreier,
        )
        if not isinstance(self.range, str):
            check(self.range[0] < self.range[1], "adc", "range", "an increasing pair of voltages", self.range)
        self._check_choices()

    def _check_choices(self) -> None:
        if not self.model_kind.quantizes:
            return
        steps = (1 << self.bits) - 2
        check(2 * self.errors.inl < max(steps, 1), "adc", "errors.inl", f"below {steps / 2:g} LSB, so that codes rise", self.errors.inl)  # fmt: skip
        reason = self.model.refusal(self.figures)
        if reason is not None:
            raise DeviceError(f"adc.energy_model: {self.energy_model} {reason}; choose another model")

    @property
    def model_kind(self) -> AdcKind:
        """The kind of converter."""
        return find_adc_kind(self.kind)

    @property
    def model(self) -> EnergyModel:
        """The energy model."""
        return find_energy_model(self.energy_model)

    @property
    def figures(self) -> ConverterFigures:
        """What kinds and energy models may know."""
        periods = self.model_kind.interval(self.bits, self.order)
        return ConverterFigures(
            self.kind, self.bits, self.clock, self.clock / max(periods, 1), self.order, self.node, self.energy, self.area,
            self.fom_walden, self.fom_schreier,
        )  # fmt: skip

    @property
    def conversion_fs(self) -> int:
        """Time from a sample to its code [fs]."""
        return self.model_kind.latency(self.bits, self.order) * femtoseconds(1.0 / self.clock)

    @property
    def latency_fs(self) -> int:
        """Time from the switch of the mux to the code [fs]."""
        return self.conversion_fs + femtoseconds(self.mux.delay)

    @property
    def interval_fs(self) -> int:
        """Time from one sample to the next of the same converter [fs], with the mux."""
        periods = self.model_kind.interval(self.bits, self.order)
        return periods * femtoseconds(1.0 / self.clock) + femtoseconds(self.mux.delay)

    @property
    def conversion_energy(self) -> float:
        """Energy of one conversion [J] by the chosen model."""
        return self.model.energy(self.figures) if self.model_kind.quantizes else 0.0

    @property
    def converter_area(self) -> float:
        """Area of one converter [m²] by the chosen model."""
        return self.model.area(self.figures) if self.model_kind.quantizes else 0.0

    @property
    def walden(self) -> float:
        """Walden figure of merit [J per step] of the chosen model, ENOB = bits."""
        return walden_figure(self.conversion_energy, self.bits)

    @property
    def schreier(self) -> float:
        """Schreier figure of merit [dB] of the chosen model, ENOB = bits; infinite where a conversion is free."""
        return schreier_figure(self.conversion_energy, self.bits) if self.conversion_energy else float("inf")

    def convert(
        self,
        voltage: FloatArray,
        low: FloatArray | float,
        high: FloatArray | float,
        rng: np.random.Generator | None = None,
    ) -> Codes:
        """Return the codes of ``voltage`` [V] for the input range ``low`` to ``high`` [V].

        ``rng`` gives the draws of noise and dither, where ``errors.random`` asks for them.
        """
        found = quantize(voltage, low, high, self.bits, self.errors, rng)
        if self.model_kind.quantizes:
            return found
        return Codes(found.codes, np.array(voltage, dtype=np.float64), np.zeros_like(found.saturated))

    def formula(self) -> Formula:
        """Return how a conversion's energy is computed."""
        if not self.model_kind.quantizes:
            return Formula("0", "kind ideal", "cosim: an ideal converter costs nothing")
        return self.model.formula(self.figures)

    def area_formula(self) -> Formula:
        """Return how the area of a converter is computed."""
        return self.model.area_formula(self.figures)
