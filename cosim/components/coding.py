"""Input codings: how a vector of word-line voltages becomes the array phases of a product.

The wanted result is the current that a voltage ``v`` on each word line would give. A coding drives levels
and widths that the DAC can make, and the results of its phases are added with weights:

* ``amplitude``: one phase, every line at the voltage of its code;
* ``bit-serial``: one phase per slice of the code (one bit unless ``dac.slice`` says more), weight
  ``2^(k p) (2^k - 1)/(2^B - 1)`` for slice p of k bits;
* ``pwm``: one phase, full amplitude for ``code`` slots out of ``2^B - 1``; the charge is measured;
* ``split-pwm``: the same for the upper and the lower half of the code, in two phases.

Signed inputs go through a bipolar DAC in one pass, or in two passes of magnitudes, first the positive inputs and then
the negative ones, whose results count negative: twice the array phases, and DACs that need one polarity.

Sources: A. Shafiee et al., ISCA 2016 (ISAAC, bit-serial); W. Wan et al., Nature 608 (2022) 504 (NeuRRAM, bits and
pulses); S. Jain et al., IEEE TVLSI 31 (2023) 114 (PWM and split PWM). A package brings a coding of its own
through the entry-point group ``cosim.input_codings``.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points
from typing import ClassVar, Literal, final

import numpy as np
from numpy.typing import NDArray

from cosim.components.dac import Dac
from cosim.devices.base import FloatArray
from cosim.devices.registry import unknown
from cosim.errors import UnknownNameError
from cosim.records import Formula

Signed = Literal["bipolar", "two-pass"]
"""How signed inputs are driven."""


@dataclass(frozen=True, slots=True, eq=False)
class CodedInputs:
    """The array phases of products.

    ``amplitude`` ``(phases, vectors, rows)`` [V]; ``slots``: the same shape, how long each line is driven, None
    where all are driven to the strobe; ``spans`` ``(phases,)``: slots of the whole window, None likewise;
    ``weights`` ``(phases,)``; ``saturated`` ``(vectors,)``: conversions out of range.
    """

    amplitude: FloatArray
    slots: NDArray[np.int64] | None
    spans: NDArray[np.int64] | None
    weights: FloatArray
    saturated: NDArray[np.int64]

    @property
    def phases(self) -> int:
        """Array phases of a product."""
        return len(self.weights)

    def effective(self) -> FloatArray:
        """Return the mean voltage of every phase over its window, ``(phases, vectors, rows)`` [V]."""
        if self.slots is None or self.spans is None:
            return self.amplitude
        share: FloatArray = self.slots / self.spans[:, None, None]
        return self.amplitude * share


class InputCoding(ABC):
    """How inputs become array phases; stateless."""

    name: ClassVar[str]
    by_charge: ClassVar[bool] = False
    """Whether the result is the charge of a phase, which only an integrating sense circuit measures."""

    @abstractmethod
    def encode(self, dac: Dac, voltage: FloatArray) -> CodedInputs:
        """Return the phases for wanted voltages ``(vectors, rows)`` [V]."""

    def profile(self, dac: Dac, voltage: FloatArray) -> tuple[FloatArray, NDArray[np.int64]]:
        """Return mean voltages of the phases of some inputs ``(samples, rows)`` [V], and the phase of each sample."""
        coded = self.encode(dac, voltage)
        effective = coded.effective()
        return effective.reshape(-1, effective.shape[-1]), np.repeat(np.arange(coded.phases), len(voltage))

    def energy(self, dac: Dac) -> float:
        """Return the energy of one conversion [J]."""
        return dac.energy

    def formula(self, dac: Dac) -> Formula:
        """Return how the energy of a conversion is computed."""
        return dac.formula()


@final
class Amplitude(InputCoding):
    """One phase, every word line at the voltage of its code."""

    name = "amplitude"

    def encode(self, dac: Dac, voltage: FloatArray) -> CodedInputs:
        made, outside = dac.levels(voltage)
        return CodedInputs(made[None], None, None, np.ones(1), np.count_nonzero(outside, axis=-1))

    def profile(self, dac: Dac, voltage: FloatArray) -> tuple[FloatArray, NDArray[np.int64]]:
        return voltage, np.zeros(len(voltage), dtype=np.int64)


@final
class BitSerial(InputCoding):
    """One phase per slice of the code, the lowest first; lines with a zero slice stay at 0 V."""

    name = "bit-serial"

    def encode(self, dac: Dac, voltage: FloatArray) -> CodedInputs:
        code, sign, saturated = dac.magnitudes(voltage)
        top = (1 << dac.slice) - 1
        shifts = np.arange(0, dac.bits, dac.slice)
        slices = (code[None] >> shifts[:, None, None]) & top
        weights = 2.0**shifts * top / ((1 << dac.bits) - 1)
        amplitude = sign[None] * slices * (dac.range[1] / top)
        return CodedInputs(amplitude, None, None, weights, saturated)

    def energy(self, dac: Dac) -> float:
        return dac.bit_energy * 2.0 ** (dac.slice - 1)

    def formula(self, dac: Dac) -> Formula:
        return Formula(
            "conversions * bit_energy * 2^(slice - 1)",
            f"bit_energy = {dac.bit_energy:.6g} J, slice = {dac.slice} bit",
            Dac.__dataclass_fields__["bit_energy"].metadata["source"] + "; times 2 per bit, as MNSIM does to 4 bits",
        )  # fmt: skip


class _Widths(InputCoding):
    """Full amplitude for a time that stands for (a part of) the code."""

    by_charge = True

    @abstractmethod
    def parts(self, bits: int) -> tuple[int, ...]:
        """Return how many bits of the code each phase stands for, the lowest first."""

    def encode(self, dac: Dac, voltage: FloatArray) -> CodedInputs:
        code, sign, saturated = dac.magnitudes(voltage)
        slots, spans, weights, shift = [], [], [], 0
        for bits in self.parts(dac.bits):
            top = (1 << bits) - 1
            slots.append((code >> shift) & top)
            spans.append(top)
            weights.append(2.0**shift * top / ((1 << dac.bits) - 1))
            shift += bits
        driven = np.array(slots)
        amplitude = np.where(driven > 0, sign * dac.range[1], 0.0)
        return CodedInputs(amplitude, driven, np.array(spans), np.array(weights), saturated)


@final
class Pwm(_Widths):
    """One phase, full amplitude for as many slots as the code says."""

    name = "pwm"

    def parts(self, bits: int) -> tuple[int, ...]:
        return (bits,)


@final
class SplitPwm(_Widths):
    """The lower and the upper half of the code in a phase each: twice 2^(B/2) slots instead of 2^B."""

    name = "split-pwm"

    def parts(self, bits: int) -> tuple[int, ...]:
        return (bits // 2, bits - bits // 2) if bits > 1 else (bits,)


_OURS: Mapping[str, type[InputCoding]] = {
    coding.name: coding for coding in (Amplitude, BitSerial, Pwm, SplitPwm)
}


@cache
def input_codings() -> Mapping[str, type[InputCoding]]:
    """Return every input coding by its name, ours and those of other packages."""
    found = dict(_OURS)
    for point in entry_points(group="cosim.input_codings"):
        if point.name not in found:
            found[point.name] = point.load()
    return found


@cache
def find_coding(name: str) -> InputCoding:
    """Return the coding called ``name``; `UnknownNameError` lists the known ones."""
    known = input_codings()
    if name not in known:
        raise UnknownNameError(unknown("input coding", name, known))
    return known[name]()


def encode(coding: InputCoding, dac: Dac, voltage: FloatArray, signed: Signed = "bipolar") -> CodedInputs:
    """Return the array phases for wanted voltages ``(vectors, inputs)`` [V].

    ``signed``: ``two-pass`` drives positive and negative inputs one after the other, each by its
    magnitude, while the other lines are at 0 V.
    """
    if signed == "bipolar":
        return coding.encode(dac, voltage)
    positive, negative = (_driven(coding, dac, part) for part in _magnitudes(voltage))

    def both(first: NDArray[np.int64] | None, second: NDArray[np.int64] | None) -> NDArray[np.int64] | None:
        return None if first is None or second is None else np.concatenate((first, second))

    return CodedInputs(
        np.concatenate((positive.amplitude, negative.amplitude)), both(positive.slots, negative.slots),
        both(positive.spans, negative.spans), np.concatenate((positive.weights, -negative.weights)),
        positive.saturated + negative.saturated,
    )  # fmt: skip


def profile_phases(
    coding: InputCoding, dac: Dac, voltage: FloatArray, signed: Signed = "bipolar"
) -> tuple[FloatArray, NDArray[np.int64]]:
    """Return what `InputCoding.profile` does, of both passes where there are two."""
    if signed == "bipolar":
        return coding.profile(dac, voltage)
    samples, phases = zip(*(coding.profile(dac, part) for part in _magnitudes(voltage)), strict=True)
    return np.concatenate(samples), np.concatenate(phases)


def _magnitudes(voltage: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return positive and negative part, both not negative."""
    return np.maximum(voltage, 0.0), np.maximum(-voltage, 0.0)


def _driven(coding: InputCoding, dac: Dac, part: FloatArray) -> CodedInputs:
    """Return the phases of one pass: lines without an input stay at 0 V, also where that is no level of the DAC."""
    coded = coding.encode(dac, part)
    return dataclasses.replace(coded, amplitude=np.where(part > 0, coded.amplitude, 0.0))
