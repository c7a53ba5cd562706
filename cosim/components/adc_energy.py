"""Energy and area of a conversion, by a model that is chosen by name and printed with every figure.

For one and the same conversion (6 bits, 22 nm) the models of the field's own tools differ by a factor of
190, so several stand side by side. ENOB is taken as the number of bits. A package brings a model of its
own through the entry-point group ``cosim.energy_models``: a class derived from `EnergyModel` that is made
without arguments.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import cache
from importlib.metadata import entry_points
from typing import ClassVar, Final, final

from cosim.components.adc_kinds import ConverterFigures
from cosim.devices.registry import unknown
from cosim.errors import UnknownNameError
from cosim.records import Formula

_SURVEY: Final = "B. Murmann, ADC performance survey 1997-2025"


def sndr_of(bits: float) -> float:
    """Return the signal-to-noise-and-distortion ratio [dB] of ``bits`` effective bits: 20 n log10 2 + 10 log10 1.5."""
    return 20.0 * bits * math.log10(2.0) + 10.0 * math.log10(1.5)


def walden_figure(energy: float, enob: float) -> float:
    """Return the Walden figure of merit [J per step]: energy of a conversion over 2^ENOB."""
    return energy / float(2.0**enob)


def schreier_figure(energy: float, enob: float) -> float:
    """Return the Schreier figure of merit [dB]: SNDR + 10 log10(f_s / 2P), with P/f_s the energy [J]."""
    return sndr_of(enob) - 10.0 * math.log10(2.0 * energy)


class EnergyModel(ABC):
    """Energy and area of a converter from its figures; stateless."""

    name: ClassVar[str]

    @abstractmethod
    def energy(self, figures: ConverterFigures) -> float:
        """Return the energy of one conversion [J]."""

    @abstractmethod
    def formula(self, figures: ConverterFigures) -> Formula:
        """Return expression, inputs and source of `energy`."""

    def area(self, figures: ConverterFigures) -> float:
        """Return the area of one converter [m²]; the fixed value unless the model has its own."""
        return figures.area

    def area_formula(self, figures: ConverterFigures) -> Formula:
        """Return expression, inputs and source of `area`."""
        return Formula("area", f"area = {figures.area:.6g} m2", "hardware.adc.area")

    def refusal(self, figures: ConverterFigures) -> str | None:
        """Return why the model does not cover these figures, or None."""
        return None

    def _inputs(self, figures: ConverterFigures, text: str) -> str:
        return f"{text}; {self.energy(figures):.6g} J per conversion"


@final
class SurveyFloor(EnergyModel):
    """Lower envelope of the survey: the best that has been built, at any rate and node."""

    name = "murmann-floor"

    def energy(self, figures: ConverterFigures) -> float:
        return 0.267e-12 + 0.145e-18 * 4.0**figures.bits

    def formula(self, figures: ConverterFigures) -> Formula:
        return Formula(
            "conversions * (0.267 pJ + 0.145 aJ * 4^ENOB)",
            self._inputs(figures, f"ENOB = bits = {figures.bits}"),
            f"{_SURVEY}, lower envelope (mean of the best three designs)",
        )


@final
class SurveyRegression(EnergyModel):
    """Regression on the survey by node, rate and bits, as the Accelergy ADC plug-in uses it; energy and area."""

    name = "survey-regression"
    _SOURCE = f"{_SURVEY}; regression of the Accelergy ADC plug-in (hwcomponents-adc, MIT licence)"

    def energy(self, figures: ConverterFigures) -> float:
        bits, nm = figures.bits, figures.node * 1e9
        fom = min(213.78 - 2.872 * math.log(figures.rate), 128.3 + 3.2205 * bits)
        scale = math.exp(26.05 + 1.880 * math.log(nm) - 2.829 * math.log(bits) - 1.470)
        return 1e-12 * scale / (2.0 * float(10.0 ** ((fom - sndr_of(bits)) / 10.0)))

    def formula(self, figures: ConverterFigures) -> Formula:
        return Formula(
            "conversions * exp(26.05 + 1.880 ln nm - 2.829 ln b - 1.470) / (2 * 10^((FOM_S - SNDR)/10)) pJ,"
            " FOM_S = min(213.78 - 2.872 ln f, 128.3 + 3.2205 b)",
            self._inputs(figures, f"nm = {figures.node * 1e9:.6g}, b = {figures.bits}, f = {figures.rate:.6g} 1/s"),
            self._SOURCE,
        )  # fmt: skip

    def area(self, figures: ConverterFigures) -> float:
        picojoule = self.energy(figures) * 1e12
        logarithm = 1.346 + 0.993 * math.log(figures.node * 1e9) + 0.181 * math.log(figures.rate)
        return 1e-12 * math.exp(logarithm + 0.299 * math.log(picojoule))

    def area_formula(self, figures: ConverterFigures) -> Formula:
        return Formula(
            "exp(1.346 + 0.993 ln nm + 0.181 ln f + 0.299 ln E) um2",
            f"nm = {figures.node * 1e9:.6g}, f = {figures.rate:.6g} 1/s, E = {self.energy(figures) * 1e12:.6g} pJ",
            self._SOURCE,
        )

    def refusal(self, figures: ConverterFigures) -> str | None:
        return None if figures.bits >= 4 else f"covers 4 bits and more, not {figures.bits}"


_NEUROSIM: Final[Mapping[int, tuple[float, float]]] = {
    65: (3.751, 25.84), 45: (2.169, 16.69), 32: (1.129, 8.90), 22: (0.538, 4.38), 14: (0.313, 2.57),
    7: (0.106, 0.885),
}  # fmt: skip
"""Node [nm]: a, c [uW] of the low-power SAR fit."""


@final
class NeurosimSar(EnergyModel):
    """NeuroSim's fit of a SAR conversion by node, without its term for the column's own current.

    That term (k/R_column) is left out because the current of the line is accounted where it flows: in the
    solved network and in the sense circuit.
    """

    name = "neurosim-sar"

    def energy(self, figures: ConverterFigures) -> float:
        a, c = _NEUROSIM[round(figures.node * 1e9)]
        return (a * figures.bits + c) * 1e-6 * (figures.bits + 1) * 1e-9

    def formula(self, figures: ConverterFigures) -> Formula:
        a, c = _NEUROSIM[round(figures.node * 1e9)]
        return Formula(
            "conversions * (a log2 L + c) uW * (log2 L + 1) ns, without k/R_column: line currents are accounted"
            " in the network",
            self._inputs(figures, f"node {figures.node * 1e9:.6g} nm: a = {a}, c = {c}; log2 L = {figures.bits}"),
            "NeuroSim V1.x/V2.x, SarADC, low power",
        )  # fmt: skip

    def refusal(self, figures: ConverterFigures) -> str | None:
        if figures.kind != "sar":
            return f"is a fit of SAR converters, not of kind {figures.kind}"
        if round(figures.node * 1e9) in _NEUROSIM:
            return None
        known = ", ".join(f"{node} nm" for node in _NEUROSIM)
        return f"knows the nodes {known}, not {figures.node * 1e9:.6g} nm"


_MNSIM: Final[Mapping[int, tuple[float, float, float]]] = {
    10: (6.92e-3, 1.5e9, 1600e-12), 8: (4e-3, 1.1e9, 1650e-12), 6: (1.26e-3, 1e9, 580e-12), 4: (0.7e-3, 1e9, 500e-12),
}  # fmt: skip
"""Bits: power [W], sample rate [1/s], area [m²]."""


@final
class Mnsim(EnergyModel):
    """MNSIM's presets with its own rule: power times bits + 2 sample periods, about ten times power over rate."""

    name = "mnsim"
    _SOURCE = "MNSIM 2.0, ADC presets"

    def energy(self, figures: ConverterFigures) -> float:
        power, rate, _ = _MNSIM[figures.bits]
        return power * (figures.bits + 2) / rate

    def formula(self, figures: ConverterFigures) -> Formula:
        power, rate, _ = _MNSIM[figures.bits]
        return Formula(
            "conversions * power * (bits + 2) / rate",
            self._inputs(figures, f"power = {power:.6g} W, bits = {figures.bits}, rate = {rate:.6g} 1/s"),
            f"{self._SOURCE}; about ten times power / rate of the same parts",
        )

    def area(self, figures: ConverterFigures) -> float:
        return _MNSIM[figures.bits][2]

    def area_formula(self, figures: ConverterFigures) -> Formula:
        return Formula("area", f"area = {self.area(figures):.6g} m2, bits = {figures.bits}", self._SOURCE)

    def refusal(self, figures: ConverterFigures) -> str | None:
        known = ", ".join(map(str, sorted(_MNSIM)))
        return None if figures.bits in _MNSIM else f"has presets of {known} bits, not {figures.bits}"


_ISAAC: Final[Mapping[int, float]] = {
    4: 0.79e-12, 5: 0.99e-12, 6: 1.20e-12, 7: 1.42e-12, 8: 1.67e-12, 9: 1.97e-12, 10: 2.38e-12,
}  # fmt: skip


@final
class Isaac(EnergyModel):
    """The SAR ADC of ISAAC, scaled over its number of bits."""

    name = "isaac"

    def energy(self, figures: ConverterFigures) -> float:
        return _ISAAC[figures.bits]

    def formula(self, figures: ConverterFigures) -> Formula:
        return Formula(
            "conversions * energy(bits)",
            self._inputs(figures, f"bits = {figures.bits}"),
            "ISAAC (Shafiee et al., ISCA 2016), 8-bit SAR at 1.28 GS/s, scaled by hwcomponents-library",
        )

    def refusal(self, figures: ConverterFigures) -> str | None:
        return None if figures.bits in _ISAAC else f"covers 4 to 10 bits, not {figures.bits}"


_MEDIAN: Final[Mapping[str, float]] = {
    "sar": 25.6e-15, "pipeline": 111e-15, "flash": 162e-15, "sigma-delta": 218e-15,
}  # fmt: skip
"""Median Walden figure of merit since 2010 [J per step]."""


@final
class SurveyMedian(EnergyModel):
    """The median design of a kind since 2010, by its Walden figure of merit."""

    name = "survey-median"

    def energy(self, figures: ConverterFigures) -> float:
        return _MEDIAN[figures.kind] * 2.0**figures.bits

    def formula(self, figures: ConverterFigures) -> Formula:
        return Formula(
            "conversions * FOM_W * 2^ENOB",
            self._inputs(figures, f"FOM_W = {_MEDIAN[figures.kind]:.6g} J per step, ENOB = bits = {figures.bits}"),
            f"{_SURVEY}, median of kind {figures.kind} since 2010",
        )  # fmt: skip

    def refusal(self, figures: ConverterFigures) -> str | None:
        known = ", ".join(_MEDIAN)
        return None if figures.kind in _MEDIAN else f"knows the kinds {known}, not {figures.kind}"


@final
class Walden(EnergyModel):
    """A Walden figure of merit of one's own: FOM_W 2^ENOB."""

    name = "walden"

    def energy(self, figures: ConverterFigures) -> float:
        return figures.fom_walden * 2.0**figures.bits

    def formula(self, figures: ConverterFigures) -> Formula:
        return Formula(
            "conversions * FOM_W * 2^ENOB",
            self._inputs(figures, f"FOM_W = {figures.fom_walden:.6g} J per step, ENOB = bits = {figures.bits}"),
            "R. H. Walden, IEEE JSAC 17 (1999) 539; FOM_W: hardware.adc.fom_walden",
        )  # fmt: skip


@final
class Schreier(EnergyModel):
    """A Schreier figure of merit of one's own: 10^((SNDR - FOM_S)/10) / 2."""

    name = "schreier"

    def energy(self, figures: ConverterFigures) -> float:
        return 0.5 * float(10.0 ** ((sndr_of(figures.bits) - figures.fom_schreier) / 10.0))

    def formula(self, figures: ConverterFigures) -> Formula:
        return Formula(
            "conversions * 10^((SNDR - FOM_S)/10) / 2",
            self._inputs(figures, f"SNDR = {sndr_of(figures.bits):.6g} dB, FOM_S = {figures.fom_schreier:.6g} dB"),
            "R. Schreier and G. C. Temes, Understanding Delta-Sigma Data Converters, 2005; FOM_S: hardware.adc.fom_schreier",
        )  # fmt: skip


@final
class FixedEnergy(EnergyModel):
    """The values of ``hardware.adc.energy`` and ``hardware.adc.area``."""

    name = "fixed"

    def energy(self, figures: ConverterFigures) -> float:
        return figures.energy

    def formula(self, figures: ConverterFigures) -> Formula:
        return Formula("conversions * energy", f"energy = {figures.energy:.6g} J", "hardware.adc.energy")


_OURS: Mapping[str, type[EnergyModel]] = {
    model.name: model
    for model in (
        SurveyFloor, SurveyRegression, NeurosimSar, Mnsim, Isaac, SurveyMedian, Walden, Schreier, FixedEnergy,
    )
}  # fmt: skip


@cache
def energy_models() -> Mapping[str, type[EnergyModel]]:
    """Return every energy model by its name, ours and those of other packages."""
    found = dict(_OURS)
    for point in entry_points(group="cosim.energy_models"):
        if point.name not in found:
            found[point.name] = point.load()
    return found


@cache
def find_energy_model(name: str) -> EnergyModel:
    """Return the energy model called ``name``; `UnknownNameError` lists the known ones."""
    known = energy_models()
    if name not in known:
        raise UnknownNameError(unknown("energy model", name, known))
    return known[name]()
