r"""Ageing of cells on the simulation clock: retention drift and endurance.

* **Retention**: after its last programming pulse at :math:`t_p` a cell's conductance falls as
  :math:`G(t) = G(t_p)\left(\frac{a\,(t-t_p)+t_0}{t_0}\right)^{-\nu}` (Le Gallo et al., Adv. Electron. Mater. 4, 1700627
  (2018), for phase-change memory). :math:`\nu` belongs to the cell: a mean that may depend on the programmed
  conductance, :math:`\nu = \nu_1 + s \ln(G(t_p)/G_{max})` within limits, plus a deviation that is drawn once.
  :math:`a = e^{\frac{E_a}{k}(1/T_0 - 1/T)}` speeds the drift up with the temperature T (Arrhenius).
* **Endurance**: after N equivalent cycles beyond an onset :math:`N_0` the ends of the range close by power laws,
  :math:`G_{max}(N) = G_{max} (N/N_0)^{-p_{on}}`, :math:`G_{min}(N) = G_{min} (N/N_0)^{p_{off}}`, until they meet: the
  gradual failure of Lammie, Rahimi Azghadi, Ielmini, Semicond. Sci. Technol. 36, 065003 (2021). One equivalent cycle
  is a way of twice the range, up and down, in pulses however small.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np

from cosim.devices.base import BOLTZMANN_OVER_CHARGE, DeviceModel, FloatArray, Parameter, check, quantity
from cosim.rng import shell_uniforms
from cosim.units import Kelvin, Second, Unit

ElectronVolt = Annotated[float, Unit("eV")]

_JOSHI = "Joshi et al., Nature Communications 11, 2473 (2020), as in the IBM analog hardware acceleration kit"
_LAMMIE = "Lammie et al., Semicond. Sci. Technol. 36, 065003 (2021), gradual failure; number: an example"
_OURS = "cosim: not unless asked for"


@dataclass(frozen=True, slots=True)
class Retention:
    """Drift of the conductance after programming."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    exponent: float = quantity(0.049, source=_JOSHI, doc="mean of nu, at the highest conductance")
    deviation: float = quantity(0.0, source=_OURS, doc="standard deviation of nu from cell to cell, absolute")
    slope: float = quantity(0.0, source=_OURS, doc="change of nu with the logarithm of G/Gmax")
    lowest: float = quantity(0.0, source="cosim: no cell gains conductance", doc="least mean of nu")
    highest: float = quantity(1.0, source="cosim: far above what is measured", doc="largest mean of nu")
    reference: Second = quantity(
        20.0, source=_JOSHI, doc="t0, the time after programming from which the drift counts"
    )
    activation_energy: ElectronVolt = quantity(
        0.0, source=_OURS, doc="by which time runs faster when it is hot"
    )
    reference_temperature: Kelvin = quantity(
        300.0, source="cosim: the room temperature of the published sets", doc="at which nu and t0 hold"
    )

    def __post_init__(self) -> None:
        for name, high in (("exponent", 2.0), ("deviation", 1.0), ("lowest", 2.0), ("highest", 2.0)):
            check(
                0 <= getattr(self, name) <= high,
                "retention",
                name,
                f"between 0 and {high:g}",
                getattr(self, name),
            )
        check(abs(self.slope) <= 1, "retention", "slope", "between -1 and 1", self.slope)
        check(self.lowest <= self.highest, "retention", "lowest", "at most 'highest'", self.lowest)
        check(
            1e-15 <= self.reference < 1e12,
            "retention",
            "reference",
            "between 1 fs and 1e12 s",
            self.reference,
        )
        check(
            0 <= self.activation_energy <= 10,
            "retention",
            "activation_energy",
            "between 0 and 10 eV",
            self.activation_energy,
        )
        check(
            0 < self.reference_temperature < 2000,
            "retention",
            "reference_temperature",
            "above 0 K and below 2000 K",
            self.reference_temperature,
        )

    def exponents(self, deviation: FloatArray, share: FloatArray) -> FloatArray:
        """Return nu of cells: ``deviation`` standard normal draws of theirs, ``share`` G(t_p)/G_max."""
        mean = self.exponent + self.slope * np.log(np.clip(share, 1e-12, 1.0))
        result: FloatArray = np.maximum(
            np.clip(mean, self.lowest, self.highest) + self.deviation * deviation, 0.0
        )
        return result

    def factor(self, exponent: FloatArray, elapsed_s: FloatArray, temperature: float) -> FloatArray:
        """Return G(t)/G(t_p) of cells a time [s] after their last pulse; 1 before it."""
        inverse = 1 / self.reference_temperature - 1 / temperature
        faster = np.exp(self.activation_energy / BOLTZMANN_OVER_CHARGE * inverse)
        result: FloatArray = np.exp(
            -exponent * np.log1p(faster * np.maximum(elapsed_s, 0.0) / self.reference)
        )
        return result


@dataclass(frozen=True, slots=True)
class Endurance:
    """Wear of the range by programming."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    onset: float = quantity(
        1e6, source=_LAMMIE, doc="N0, equivalent cycles after which the range begins to close"
    )
    exponent_on: float = quantity(0.2, source=_LAMMIE, doc="power by which the highest conductance falls")
    exponent_off: float = quantity(0.2, source=_LAMMIE, doc="power by which the lowest conductance rises")
    cycles: float = quantity(0.0, source="cosim: fresh cells", doc="equivalent cycles before the run")

    def __post_init__(self) -> None:
        check(self.onset > 0, "endurance", "onset", "above zero", self.onset)
        for name in ("exponent_on", "exponent_off"):
            check(0 <= getattr(self, name) <= 10, "endurance", name, "between 0 and 10", getattr(self, name))
        check(0 <= self.cycles < 1e18, "endurance", "cycles", "zero or above", self.cycles)

    def factors(self, cycles: FloatArray, span: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return by what the lowest and the highest conductance are multiplied after some cycles.

        ``span``: highest over lowest conductance of fresh cells; the ends meet and stay together.
        """
        beyond = np.log(np.maximum(cycles / self.onset, 1.0))
        both = self.exponent_on + self.exponent_off
        beyond = np.minimum(beyond, np.log(span * (1 - _APART)) / both) if both else beyond
        return np.exp(self.exponent_off * beyond), np.exp(-self.exponent_on * beyond)


def drawn_deviations(shape: tuple[int, int], rng: np.random.Generator) -> FloatArray:
    """Return one standard normal draw a cell ``(rows, columns)``, in shell order."""
    from scipy.special import ndtri

    result: FloatArray = ndtri(shell_uniforms(rng, shape)[0])
    return result


_ENDS = (("r_off", "r_on", -1.0), ("g_min", "g_max", 1.0))
"""Parameters that stand for the lowest and the highest conductance, and their power in it."""
_APART = 1e-9


def with_scaled_ends(device: DeviceModel, low: Parameter, high: Parameter) -> DeviceModel | None:
    """Return the device with its lowest and highest conductance multiplied by factors of the cells.

    None for a model that is not described by two end conductances.
    """
    names = {entry.name for entry in dataclasses.fields(device)}  # type: ignore[arg-type]
    for off, on, power in _ENDS:
        if {off, on} <= names:
            ends = {off: getattr(device, off) * low**power, on: getattr(device, on) * high**power}
            return device.per_cell(
                **{name: np.asarray(value, dtype=np.float64) for name, value in ends.items()}
            )
    return None


def scales(device: DeviceModel) -> bool:
    """Return whether equal factors of `with_scaled_ends` multiply every conductance, whatever the state."""
    low, high = device.state_bounds()
    half = with_scaled_ends(device, 0.5, 0.5)
    if half is None or not np.isfinite(high):
        return False
    states = [np.full((1, 1), low + part * (high - low)) for part in (0.0, 0.3, 1.0)]
    return all(np.allclose(half.conductance(x), 0.5 * device.conductance(x), rtol=1e-9) for x in states)
