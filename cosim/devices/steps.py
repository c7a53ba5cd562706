r"""Step models: the change by one pulse as a function of the state, within hard bounds.

With :math:`w = 2x - 1`, which is -1 at G_min and 1 at G_max, one pulse changes w by

| model | SET | RESET |
|---|---|---|
| ``soft_bounds`` | :math:`d_s (1 - w)` | :math:`-d_r (1 + w)` |
| ``linear_step`` | :math:`d_s (1 - \gamma_s w)` | :math:`-d_r (1 + \gamma_r w)` |
| ``exp_step`` | :math:`d_s \max(0, 1 - A_s e^{\gamma_s (a w + b)})` | :math:`-d_r \max(0, 1 - A_r e^{-\gamma_r (a w + b)})` |
| ``pow_step`` | :math:`d_s ((1 - w)/2)^{\gamma_s}` | :math:`-d_r ((1 + w)/2)^{\gamma_r}` |
| ``piecewise_step`` | :math:`d_s f_s(w)` | :math:`-d_r f_r(w)` |

with f interpolated between factors at evenly spaced w. ``soft_bounds`` and ``linear_step`` are affine, so n
pulses are one closed form; the others go pulse by pulse. Noise: a Gaussian of ``c2c`` times d_s or d_r for every pulse.

Sources: M. J. Rasch et al., "A flexible and fast PyTorch toolkit for simulating training and inference on analog
crossbar arrays", AICAS 2021 (IBM analog hardware acceleration kit); T. Gong et al., Nature Communications 9, 2102 (2018).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar, final

import numpy as np

from cosim.devices.base import FloatArray, Parameter, check, is_positive, quantity
from cosim.devices.pulse import OFF, Mask, PulseModel, affine_steps, decayed_pulses, iterated
from cosim.units import Fraction

_KIT = "IBM analog hardware acceleration kit"
_GONG = "Gong et al., Nature Communications 9, 2102 (2018), as in the " + _KIT


@dataclass(frozen=True, eq=False)
class StepModel(PulseModel):
    """What the step models share: the steps at factor one, and their noise."""

    dw_set: float = quantity(0.001, source=_KIT + ", default dw_min", doc="SET step of w (-1 to 1)")
    dw_reset: float = quantity(0.001, source=_KIT + ", default dw_min", doc="RESET step of w")
    c2c: Fraction = quantity(0.0, source=OFF, doc="deviation per pulse, of the step")

    def __post_init__(self) -> None:
        super().__post_init__()
        for parameter in ("dw_set", "dw_reset"):
            value = getattr(self, parameter)
            check(
                is_positive(value) and bool(np.all(np.asarray(value) < 1)), self.name, parameter,
                "above 0 and below 1", value,
            )  # fmt: skip
        check(bool(np.all(np.asarray(self.c2c) >= 0)), self.name, "c2c", "at least 0 %", self.c2c)

    def deviations(self) -> tuple[Parameter, Parameter]:
        """Return ``c2c`` times the step of x, half that of w."""
        return 0.5 * self.c2c * self.dw_set, 0.5 * self.c2c * self.dw_reset

    def _signed_step(self, up: Mask) -> FloatArray:
        """Return the step of x at factor one."""
        result: FloatArray = 0.5 * np.where(up, self.dw_set, -np.asarray(self.dw_reset))
        return result


@final
@dataclass(frozen=True, eq=False)
class SoftBounds(StepModel):
    """Steps that shrink to zero at the bounds; the state is (w + 1)/2."""

    name: ClassVar[str] = "soft_bounds"
    reference: ClassVar[str] = "Rasch et al., AICAS 2021, soft-bounds device"

    def after_pulses(self, state: FloatArray, count: FloatArray) -> FloatArray:
        """Return the geometric approach to the bound."""
        step = np.where(count > 0, self.dw_set, self.dw_reset)
        return affine_steps(state, count, step * ((count > 0) - state), -step)

    def independent_pulses(self, count: FloatArray) -> FloatArray:
        """Return (1 - a^2n)/(1 - a^2), a = 1 - step."""
        return decayed_pulses(count, np.log1p(-np.where(count > 0, self.dw_set, self.dw_reset)))


@final
@dataclass(frozen=True, eq=False)
class LinearStep(StepModel):
    """Steps that depend linearly on w; the state is (w + 1)/2."""

    name: ClassVar[str] = "linear_step"
    reference: ClassVar[str] = "Rasch et al., AICAS 2021, linear-step device"

    gamma_set: float = quantity(0.115, source="ECRAM, Tang et al., IEDM 2018, as in the " + _KIT, doc="decrease of the SET step at the upper bound")  # fmt: skip
    gamma_reset: float = quantity(0.509, source="ECRAM, Tang et al., IEDM 2018, as in the " + _KIT, doc="decrease of the RESET step at the lower bound")  # fmt: skip

    def __post_init__(self) -> None:
        super().__post_init__()
        for parameter in ("gamma_set", "gamma_reset"):
            value = np.asarray(getattr(self, parameter))
            check(bool(np.all(np.abs(value) <= 1)), self.name, parameter, "between -1 and 1", value)

    def after_pulses(self, state: FloatArray, count: FloatArray) -> FloatArray:
        """Return the geometric series of the affine step."""
        up, w = count > 0, 2.0 * state - 1.0
        step = self._signed_step(up)
        slope = np.where(up, -np.asarray(self.gamma_set), self.gamma_reset)
        return affine_steps(state, count, step * (1.0 + slope * w), 2.0 * step * slope)

    def independent_pulses(self, count: FloatArray) -> FloatArray:
        """Return (1 - a^2n)/(1 - a^2), a = 1 - gamma step."""
        step = np.where(count > 0, self.dw_set * self.gamma_set, self.dw_reset * np.asarray(self.gamma_reset))
        return decayed_pulses(count, np.log1p(-step))


@final
@dataclass(frozen=True, eq=False)
class ExpStep(StepModel):
    """Steps that fall exponentially with w; the state is (w + 1)/2."""

    name: ClassVar[str] = "exp_step"
    reference: ClassVar[str] = "Gong et al., Nature Communications 9, 2102 (2018)"

    a_set: float = quantity(0.00081, source=_GONG, doc="factor A of the SET step")
    a_reset: float = quantity(0.36833, source=_GONG, doc="factor A of the RESET step")
    gamma_set: float = quantity(12.44625, source=_GONG, doc="exponent of the SET step")
    gamma_reset: float = quantity(12.78785, source=_GONG, doc="exponent of the RESET step")
    slope: float = quantity(0.244, source=_GONG, doc="slope a of the exponent's argument")
    offset: float = quantity(0.2425, source=_GONG, doc="offset b of the exponent's argument")

    def _change(self, state: FloatArray, up: Mask) -> FloatArray:
        z = self.slope * (2.0 * state - 1.0) + self.offset
        factor = np.where(up, self.a_set, self.a_reset)
        exponent = np.where(up, self.gamma_set, -np.asarray(self.gamma_reset)) * z
        result: FloatArray = self._signed_step(up) * np.maximum(1.0 - factor * np.exp(exponent), 0.0)
        return result

    def after_pulses(self, state: FloatArray, count: FloatArray) -> FloatArray:
        """Return the state pulse by pulse."""
        return iterated(self._change, state, count)


@final
@dataclass(frozen=True, eq=False)
class PowStep(StepModel):
    """Steps that are a power of the distance to the bound; the state is (w + 1)/2."""

    name: ClassVar[str] = "pow_step"
    reference: ClassVar[str] = "Fusi and Abbott, Nature Neuroscience 10, 485 (2007); Rasch et al., AICAS 2021"

    gamma_set: float = quantity(1.0, source=_KIT + ", default pow_gamma", doc="exponent of the SET step")
    gamma_reset: float = quantity(1.0, source=_KIT + ", default pow_gamma", doc="exponent of the RESET step")

    def __post_init__(self) -> None:
        super().__post_init__()
        for parameter in ("gamma_set", "gamma_reset"):
            value = np.asarray(getattr(self, parameter))
            check(bool(np.all(value >= 0)), self.name, parameter, "at least 0", value)

    def _change(self, state: FloatArray, up: Mask) -> FloatArray:
        left = np.where(up, 1.0 - state, state)
        result: FloatArray = self._signed_step(up) * left ** np.where(up, self.gamma_set, self.gamma_reset)
        return result

    def after_pulses(self, state: FloatArray, count: FloatArray) -> FloatArray:
        """Return the state pulse by pulse."""
        return iterated(self._change, state, count)


@final
@dataclass(frozen=True, eq=False)
class PiecewiseStep(StepModel):
    """Steps with factors given at evenly spaced w; the state is (w + 1)/2."""

    name: ClassVar[str] = "piecewise_step"
    reference: ClassVar[str] = "Rasch et al., AICAS 2021, piecewise-step device"

    factors_set: tuple[float, ...] = quantity((1.0,), source=_KIT + ", default piecewise_up", doc="factors of the SET step at evenly spaced states")  # fmt: skip
    factors_reset: tuple[float, ...] = quantity((1.0,), source=_KIT + ", default piecewise_down", doc="factors of the RESET step at evenly spaced states")  # fmt: skip

    def __post_init__(self) -> None:
        super().__post_init__()
        for parameter in ("factors_set", "factors_reset"):
            value = getattr(self, parameter)
            rule = "one or more factors, each finite and at least 0"
            check(
                len(value) > 0 and all(0 <= factor < np.inf for factor in value),
                self.name,
                parameter,
                rule,
                value,
            )

    def _change(self, state: FloatArray, up: Mask) -> FloatArray:
        up_factor, down_factor = (
            np.interp(state, np.linspace(0.0, 1.0, len(factors)) if len(factors) > 1 else [0.0], factors)
            for factors in (self.factors_set, self.factors_reset)
        )
        result: FloatArray = self._signed_step(up) * np.where(up, up_factor, down_factor)
        return result

    def after_pulses(self, state: FloatArray, count: FloatArray) -> FloatArray:
        """Return the state pulse by pulse."""
        return iterated(self._change, state, count)


PRESETS: Mapping[str, StepModel] = MappingProxyType({
    "soft-bounds-reram": SoftBounds(dw_set=0.4622, dw_reset=0.4622, c2c=0.2174),
    "soft-bounds-reram-optimized": SoftBounds(dw_set=0.0949, dw_reset=0.0949, c2c=0.4158),
    "linear-step-ecram": LinearStep(dw_set=0.002, dw_reset=0.002),
    "exp-step-reram": ExpStep(
        dw_set=0.00135, dw_reset=0.00135 * (1 - 0.259359), a_set=-1.18445, a_reset=-0.081404, gamma_set=5.0,
        gamma_reset=5.0, slope=-0.5, offset=-0.5, c2c=5.0,
    ),
    "linear-step-ecram-mo": LinearStep(dw_set=2.82e-4, dw_reset=2.82e-4, gamma_set=0.415, gamma_reset=0.734),
})  # fmt: skip
"""Sets of the IBM analog hardware acceleration kit: Gong et al., IEDM 2022 and Nature Communications 2018; Tang et al., IEDM 2018; Kim et al., IEDM 2019."""
