"""Kinds and energy models of ADCs against the figures that they cite, and as plug-ins."""

from __future__ import annotations

import math
from importlib.metadata import EntryPoint

import pytest

from cosim.components import adc_energy, adc_kinds
from cosim.components.adc import Adc
from cosim.components.adc_energy import EnergyModel, energy_models, schreier_figure, sndr_of, walden_figure
from cosim.components.adc_kinds import AdcKind
from cosim.components.adc_kinds import adc_kinds as kinds
from cosim.errors import CosimError, DeviceError, UnknownNameError
from cosim.records import Formula

PERIOD_FS = 10**7  # 100 MHz


@pytest.mark.parametrize(
    ("kind", "bits", "latency", "interval"),
    [
        ("sar", 8, 9, 9),  # one to sample, one per bit
        ("flash", 6, 1, 1),
        ("ramp", 6, 64, 64),  # 2^6 steps of the ramp
        ("cyclic", 8, 9, 9),
        ("pipeline", 8, 9, 1),  # a code per period
        ("sigma-delta", 8, 23, 23),  # order 2: 23*24/2 = 276 >= 256 > 22*23/2 = 253
        ("time-based", 6, 64, 64),
        ("ideal", 8, 0, 0),
    ],
)
def test_periods_of_a_conversion(kind: str, bits: int, latency: int, interval: int) -> None:
    adc = Adc(kind=kind, bits=bits, clock=100e6)
    assert (adc.conversion_fs, adc.interval_fs) == (latency * PERIOD_FS, interval * PERIOD_FS)


@pytest.mark.parametrize(("bits", "order"), [(b, o) for b in (1, 4, 8, 12, 16) for o in (1, 2, 3, 4)])
def test_sigma_delta_takes_the_least_sufficient_number_of_periods(bits: int, order: int) -> None:
    periods = Adc(kind="sigma-delta", bits=bits, order=order).model_kind.latency(bits, order)
    assert math.comb(periods + order - 1, order) >= 2**bits
    assert periods == 1 or math.comb(periods + order - 2, order) < 2**bits


@pytest.mark.parametrize(
    ("model", "bits", "node", "picojoule"),
    [
        ("murmann-floor", 8, 32e-9, 0.267 + 0.145e-6 * 4**8),
        ("murmann-floor", 6, 22e-9, 0.2676),
        ("survey-regression", 4, 32e-9, 0.92),
        ("survey-regression", 6, 32e-9, 1.07),
        ("survey-regression", 8, 32e-9, 1.71),
        ("survey-regression", 10, 32e-9, 3.31),
        ("survey-regression", 8, 22e-9, 0.85),
        ("survey-regression", 8, 65e-9, 6.49),
        ("survey-regression", 6, 22e-9, 0.53),
        ("neurosim-sar", 6, 22e-9, 0.0533),
        ("mnsim", 6, 22e-9, 10.08),
        ("isaac", 4, 32e-9, 0.79),
        ("isaac", 8, 32e-9, 1.67),
        ("isaac", 10, 32e-9, 2.38),
        ("survey-median", 8, 32e-9, 25.6e-3 * 256),
        ("walden", 8, 32e-9, 32e-3 * 256),
        ("fixed", 8, 32e-9, 2.0),
    ],
)
def test_energy_of_a_conversion_is_the_cited_one(
    model: str, bits: int, node: float, picojoule: float
) -> None:
    adc = Adc(bits=bits, energy_model=model, node=node)
    assert adc.conversion_energy * 1e12 == pytest.approx(picojoule, rel=0.01)


@pytest.mark.parametrize(("bits", "square_micrometre"), [(4, 3270), (6, 3420), (8, 3940), (10, 4800)])
def test_area_of_the_regression_is_the_cited_one(bits: int, square_micrometre: float) -> None:
    """Cited at 32 nm and 100 MS/s: a SAR of b bits needs a clock of (b + 1) * 100 MHz for that rate."""
    adc = Adc(bits=bits, energy_model="survey-regression", node=32e-9, clock=(bits + 1) * 100e6)
    assert adc.converter_area * 1e12 == pytest.approx(square_micrometre, rel=0.01)


def test_the_tools_of_the_field_differ_by_190() -> None:
    figures = [
        Adc(bits=6, node=22e-9, energy_model=model).conversion_energy
        for model in ("neurosim-sar", "murmann-floor", "survey-regression", "mnsim")
    ]
    assert figures == sorted(figures)
    assert figures[-1] / figures[0] == pytest.approx(190, rel=0.01)


@pytest.mark.parametrize("model", sorted(energy_models()))
@pytest.mark.parametrize("bits", [4, 6, 8, 10])
def test_walden_and_schreier_figures_agree(model: str, bits: int) -> None:
    """FOM_S = SNDR + 10 log10(f_s/2P) with P/f_s = FOM_W 2^ENOB and SNDR = 6.02 ENOB + 1.76 dB."""
    adc = Adc(bits=bits, energy_model=model)
    expected = sndr_of(bits) - 10 * math.log10(2 * adc.walden * 2**bits)
    assert adc.schreier == pytest.approx(expected, rel=1e-12)
    assert sndr_of(bits) == pytest.approx(6.02 * bits + 1.76, abs=0.01)


def test_a_figure_of_merit_gives_itself_back() -> None:
    assert Adc(energy_model="walden", fom_walden=50e-15).walden == pytest.approx(50e-15, rel=1e-12)
    assert Adc(energy_model="schreier", fom_schreier=170.0).schreier == pytest.approx(170.0, rel=1e-12)
    assert walden_figure(32e-15 * 256, 8) == pytest.approx(32e-15)
    assert schreier_figure(0.5, 0) == pytest.approx(sndr_of(0))


def test_ideal_rounds_nothing_and_costs_nothing() -> None:
    import numpy as np

    adc = Adc(kind="ideal", bits=2)
    found = adc.convert(np.array([0.123, 7.0]), 0.0, 1.0)
    assert found.values.tolist() == [0.123, 7.0]
    assert not found.saturated.any()
    assert (adc.conversion_energy, adc.converter_area, adc.schreier) == (0.0, 0.0, math.inf)
    assert adc.formula().inputs == "kind ideal"


@pytest.mark.parametrize("model", sorted(energy_models()))
def test_every_model_says_how_and_where_from(model: str) -> None:
    adc = Adc(bits=8, energy_model=model)
    for formula in (adc.formula(), adc.area_formula()):
        assert all(part.strip() for part in formula)
    assert "conversions" in adc.formula().expression


@pytest.mark.parametrize(
    ("parts", "sentence"),
    [
        ({"energy_model": "mnsim", "bits": 7}, "adc.energy_model: mnsim has presets of 4, 6, 8, 10 bits, not 7; choose another model"),
        ({"energy_model": "isaac", "bits": 12}, "adc.energy_model: isaac covers 4 to 10 bits, not 12; choose another model"),
        ({"energy_model": "neurosim-sar", "node": 28e-9},
         "adc.energy_model: neurosim-sar knows the nodes 65 nm, 45 nm, 32 nm, 22 nm, 14 nm, 7 nm, not 28 nm; choose another model"),
        ({"energy_model": "neurosim-sar", "kind": "ramp"},
         "adc.energy_model: neurosim-sar is a fit of SAR converters, not of kind ramp; choose another model"),
        ({"energy_model": "survey-median", "kind": "cyclic"},
         "adc.energy_model: survey-median knows the kinds sar, pipeline, flash, sigma-delta, not cyclic; choose another model"),
        ({"energy_model": "survey-regression", "bits": 3},
         "adc.energy_model: survey-regression covers 4 bits and more, not 3; choose another model"),
    ],
)  # fmt: skip
def test_a_model_refuses_what_it_does_not_cover(parts: dict[str, object], sentence: str) -> None:
    with pytest.raises(DeviceError) as refused:
        Adc(**parts)  # type: ignore[arg-type]
    assert str(refused.value) == sentence


def test_unknown_names_are_refused_with_what_is_known() -> None:
    with pytest.raises(
        UnknownNameError, match=r"there is no kind of ADC called 'sarr'; did you mean 'sar'\?"
    ):
        Adc(kind="sarr")
    with pytest.raises(
        UnknownNameError, match="there is no energy model called 'xyz'; known are fixed, isaac"
    ):
        Adc(energy_model="xyz")
    assert issubclass(UnknownNameError, CosimError)


class TwoStep(AdcKind):
    """A kind of another package: two flash steps."""

    name = "two-step"

    def latency(self, bits: int, order: int) -> int:
        return 2


class Half(EnergyModel):
    """An energy model of another package: half of the fixed value."""

    name = "half"

    def energy(self, figures: adc_kinds.ConverterFigures) -> float:
        return figures.energy / 2

    def formula(self, figures: adc_kinds.ConverterFigures) -> Formula:
        return Formula("conversions * energy / 2", f"{figures.energy}", "a package of one's own")


def test_kinds_and_models_of_other_packages_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    points = {
        "cosim.adc_kinds": EntryPoint("two-step", f"{__name__}:TwoStep", "cosim.adc_kinds"),
        "cosim.energy_models": EntryPoint("half", f"{__name__}:Half", "cosim.energy_models"),
    }
    caches = (kinds, energy_models, adc_kinds.find_adc_kind, adc_energy.find_energy_model)
    for module in (adc_kinds, adc_energy):
        monkeypatch.setattr(module, "entry_points", lambda group: [points[group]])
    for cached in caches:
        cached.cache_clear()
    try:
        adc = Adc(kind="two-step", energy_model="half", energy=4e-12)
        assert (adc.conversion_fs, adc.conversion_energy) == (2 * PERIOD_FS, 2e-12)
        assert adc.formula().source == "a package of one's own"
    finally:
        for cached in caches:
            cached.cache_clear()
