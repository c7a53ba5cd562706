"""Sense circuits of the bit lines, one per column, and their sample-and-holds.

With the line current I and the window T over which it is looked at, the output voltage is

* ``tia``: gain I, a transimpedance amplifier at a virtual ground;
* ``integrator``: I T / capacitance, the charge of the phase on a capacitor at a virtual ground;
* ``current-mirror``: gain ratio I, the copy of the current in a resistor;
* ``voltage-divider``: gain I, the voltage across a load resistor of ``gain`` at the end of the line;
* ``comparator``: one bit per column: gain I against ``threshold``; no ADC is used.

Amplifiers hold the line at ground and take its current from their supply, which costs V_supply |Q|; a mirror
takes the copied current. A comparator regenerates from the difference dV with its time constant tau: it needs
tau ln(supply/|dV|) (H. J. M. Veendrick, IEEE JSSC 15 (1980) 169); where that is longer than ``resolve_time``
it is metastable, and the bit is drawn.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

import numpy as np

from cosim.components.quantizer import Codes
from cosim.devices.base import FloatArray
from cosim.records import Formula
from cosim.units import (
    Ampere,
    Farad,
    Fraction,
    Joule,
    Ohm,
    OhmOrIdeal,
    Second,
    SquareMetre,
    Volt,
    Watt,
    check,
    quantity,
)

_TUD = "TU Delft CIM tile, configuration"
_NONE = "cosim: none unless asked for"


@dataclass(frozen=True, slots=True)
class SenseErrors:
    """Errors of a sense circuit; all of them zero unless asked for."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    offset: Volt = quantity(0.0, source=_NONE, doc="added to the output, or to the threshold of a comparator")
    gain: Fraction = quantity(0.0, source=_NONE, doc="gain error of the output voltage")
    noise: Volt = quantity(0.0, source=_NONE, doc="rms at the output, drawn for each sample")
    mismatch: Volt = quantity(
        0.0,
        source=_NONE,
        doc="standard deviation of a further offset of the output, drawn once for each line",
    )

    def __post_init__(self) -> None:
        check(abs(self.offset) < float("inf"), "errors", "offset", "finite", self.offset)
        check(-1 < self.gain < 10, "errors", "gain", "above -100 % and below 1000 %", self.gain)
        for name in ("noise", "mismatch"):
            check(
                0 <= getattr(self, name) < float("inf"), "errors", name, "zero or above", getattr(self, name)
            )


@dataclass(frozen=True, slots=True)
class Sense:
    """Sense circuit and sample-and-hold, one per bit line."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    kind: Literal["tia", "integrator", "current-mirror", "voltage-divider", "comparator"] = quantity(
        "tia",
        source="ISAAC and PRIME, column currents at a virtual ground",
        doc="how a current becomes a voltage",
    )
    gain: Ohm = quantity(
        10e3,
        source="cosim: 100 uA gives 1 V, the ADC's usual full scale",
        doc="output voltage per line current",
    )
    capacitance: Farad = quantity(
        1e-12, source="cosim: 100 uA over 10 ns give 1 V", doc="that an integrator charges"
    )
    ratio: float = quantity(1.0, source="cosim: a copy of the current", doc="of a current mirror")
    input_resistance: OhmOrIdeal = quantity(
        2.0,
        source="MemTorch examples, line-end resistance 2 ohm",
        doc="between the line and the virtual ground",
    )
    settling: Second | Literal["auto"] = quantity(
        10e-9,
        source=f"{_TUD}: read 10 ns",
        doc="of the sense circuit, before the strobe, beside the delay of the lines; auto: (B + 1) ln 2 times the slowest time constant of the network in place of both",
    )
    strobe: Second | Literal["self-timed"] | None = quantity(
        None,
        source="cosim: none waits until lines, DAC and sense circuit have settled",
        doc="from the end of the edge to the strobe, whatever has settled by then; none: all of it; self-timed: hardware.comparator strobes once all sensed lines stay within the window",
    )
    window: Fraction = quantity(
        0.01,
        source="cosim: 1 %, about 6 bits",
        doc="of a self-timed strobe: largest distance from the settled current, as a part of the ADC's range",
    )
    errors: SenseErrors = field(default_factory=SenseErrors)
    sample_time: Second = quantity(
        0.9e-9, source=f"{_TUD}: sample-and-hold 0.9 ns", doc="of the sample-and-hold"
    )
    sample_energy: Joule = quantity(1e-15, source=f"{_TUD}: sample-and-hold 1 fJ", doc="per sample")
    holds: int = quantity(
        1,
        source="cosim: one capacitor; ISAAC overlaps array and ADC",
        doc="sample-and-holds per column; with two the array works on while the ADC converts",
    )
    hold_capacitance: Farad = quantity(
        50e-15, source="cosim: kT/C noise of 0.3 mV, the step of 10 bits at 0.3 V", doc="of a sample-and-hold"
    )
    hold_leakage: Ampere = quantity(0.0, source=_NONE, doc="that discharges a sample until it is converted")
    bias_power: Watt = quantity(
        1.63e-6,
        source="MNSIM 2.0, sense amplifier at 28 nm, 0.8 V (scaled from 65 nm)",
        doc="while the amplifier is on",
    )
    supply: Volt = quantity(
        0.8, source="MNSIM 2.0, sense amplifier at 28 nm, 0.8 V", doc="supply of the output stage"
    )
    swing: Volt | None = quantity(
        None,
        source=_NONE,
        doc="largest output of either sign; an output beyond it is clipped and counted, and no current is changed",
    )
    threshold: Volt = quantity(0.1, source="cosim: 10 uA at the default gain", doc="of a comparator")
    time_constant: Second = quantity(
        20e-12, source="cosim: regeneration of a 28 nm latch, order of magnitude", doc="of a comparator"
    )
    resolve_time: Second = quantity(
        1e-9, source="MNSIM 2.0, sense amplifier, 1 ns", doc="that a comparator has to decide"
    )
    decision_energy: Joule = quantity(
        41.7e-15,
        source="TIMELY (Li et al., ISCA 2020), comparator, via hwcomponents-library",
        doc="of a comparator",
    )
    area: SquareMetre = quantity(
        1e-12, source="MNSIM 2.0, sense amplifier at 28 nm", doc="of a sense circuit"
    )
    hold_area: SquareMetre = quantity(
        0.039e-12, source="ISAAC, sample-and-hold, via PUMA's constants", doc="of a sample-and-hold"
    )
    leakage: Watt = quantity(0.0, source=_NONE, doc="of each sense circuit, all through the run")

    def __post_init__(self) -> None:
        for name in (
            "input_resistance", "sample_energy", "bias_power", "supply", "hold_leakage", "decision_energy", "area",
            "hold_area", "leakage",
        ):  # fmt: skip
            check(getattr(self, name) >= 0, "sense", name, "zero or above", getattr(self, name))
        for name in (
            "gain", "capacitance", "ratio", "sample_time", "hold_capacitance", "threshold",
            "time_constant", "resolve_time",
        ):  # fmt: skip
            check(getattr(self, name) > 0, "sense", name, "above zero", getattr(self, name))
        check(self.swing is None or self.swing > 0, "sense", "swing", "above zero", self.swing)
        known = "tia, integrator, current-mirror or voltage-divider where swing is given"
        check(self.swing is None or self.kind != "comparator", "sense", "kind", known, self.kind)
        if not isinstance(self.settling, str):
            check(self.settling > 0, "sense", "settling", "above zero", self.settling)
        if self.self_timed:
            known = "tia, current-mirror or voltage-divider for a self-timed strobe, which watches currents"
            check(self.kind not in ("integrator", "comparator"), "sense", "kind", known, self.kind)
        elif not isinstance(self.strobe, str):
            check(self.strobe is None or self.strobe > 0, "sense", "strobe", "above zero", self.strobe)
        check(1e-5 <= self.window <= 0.5, "sense", "window", "between 0.001 % and 50 %", self.window)
        check(1 <= self.holds <= 64, "sense", "holds", "between 1 and 64", self.holds)

    @property
    def line_resistance(self) -> float:
        """Resistance between the line and ground [ohm]: the load of a divider, else the input resistance."""
        return self.gain if self.kind == "voltage-divider" else self.input_resistance

    @property
    def self_timed(self) -> bool:
        """Whether comparators find the strobe."""
        return self.strobe == "self-timed"

    @property
    def random(self) -> bool:
        """Whether an output needs random draws."""
        return self.errors.noise > 0 or self.kind == "comparator"

    def transfer(self, window_s: float) -> float:
        """Return the output voltage per line current [ohm] for a window [s]."""
        if self.kind == "integrator":
            return window_s / self.capacitance
        return self.gain * self.ratio if self.kind == "current-mirror" else self.gain

    def output(self, current: FloatArray, window_s: float, rng: np.random.Generator | None) -> FloatArray:
        """Return the output voltages [V] for line currents [A], ``(columns,)``, with the circuit's errors."""
        errors = self.errors
        voltage = current * (self.transfer(window_s) * (1 + errors.gain))
        if self.kind != "comparator":
            voltage = voltage + errors.offset
        if errors.noise and rng is not None:
            voltage = voltage + errors.noise * rng.standard_normal(voltage.shape)
        return voltage

    def limited(self, voltage: FloatArray) -> FloatArray:
        """Return outputs [V] as far as the circuit can swing."""
        return voltage if self.swing is None else np.clip(voltage, -self.swing, self.swing)

    def held(self, voltage: FloatArray, time_s: FloatArray) -> FloatArray:
        """Return sampled voltages [V] after they were held for a time [s]: leakage draws them towards 0 V."""
        droop = self.hold_leakage / self.hold_capacitance * time_s
        return np.sign(voltage) * np.maximum(np.abs(voltage) - droop, 0.0)

    def decide(self, voltage: FloatArray, rng: np.random.Generator | None) -> tuple[Codes, int]:
        """Return the bits of a comparator for inputs [V], and how many were metastable.

        A bit stands for 0 V or twice the threshold. ``rng`` draws the metastable bits; without one they are 0.
        """
        difference = voltage - (self.threshold + self.errors.offset)
        with np.errstate(divide="ignore"):
            needed = self.time_constant * np.log(self.supply / np.abs(difference))
        unsure = needed > self.resolve_time
        bits = (difference > 0).astype(np.int64)
        if unsure.any():
            drawn = rng.integers(0, 2, bits.shape) if rng is not None else np.zeros_like(bits)
            bits = np.where(unsure, drawn, bits)
        nothing = np.zeros(bits.shape, dtype=np.bool_)
        values: FloatArray = bits.astype(np.float64) * (2 * self.threshold)
        return Codes(bits, values, nothing), int(np.count_nonzero(unsure))

    @property
    def supply_component(self) -> str | None:
        """What the supply current of the line belongs to, None where the line needs none."""
        names = {"voltage-divider": None, "current-mirror": "sense mirror"}
        return names.get(self.kind, "sense virtual ground")

    @property
    def supply_voltage_ratio(self) -> float:
        """Supply energy per charge of a line [V]."""
        return self.supply * (self.ratio if self.kind == "current-mirror" else 1.0)

    def formulas(self) -> dict[str, Formula]:
        """Return how the contributions are computed, by component."""
        fields = Sense.__dataclass_fields__
        supply = fields["supply"].metadata["source"]
        return {
            "sense bias": Formula(
                "columns * bias_power * time on",
                f"bias_power = {self.bias_power:.6g} W",
                fields["bias_power"].metadata["source"],
            ),
            "sense virtual ground": Formula(
                "supply * sum over columns of |charge|",
                f"supply = {self.supply:.6g} V",
                "output stage of a transimpedance amplifier carries the line current; supply: " + supply,
            ),
            "sense mirror": Formula(
                "supply * ratio * sum over columns of |charge|",
                f"supply = {self.supply:.6g} V, ratio = {self.ratio:.6g}",
                "the copied current flows from the supply; supply: " + supply,
            ),
            "sense sample": Formula(
                "samples * sample_energy",
                f"sample_energy = {self.sample_energy:.6g} J",
                fields["sample_energy"].metadata["source"],
            ),
            "comparator": Formula(
                "decisions * decision_energy",
                f"decision_energy = {self.decision_energy:.6g} J",
                fields["decision_energy"].metadata["source"],
            ),
        }
