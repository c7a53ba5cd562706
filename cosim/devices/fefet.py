r"""Ferroelectric FET as a synaptic cell: polarization switches by nucleation, the channel reads it.

The state x is the fraction of domains that are switched towards low threshold voltage:

.. math::
    \dot x = \frac{x_\infty - x}{\tau(v)}, \qquad x_\infty = \begin{cases} 1 & v > 0 \\ 0 & v < 0 \end{cases},
    \qquad \tau(v) = \tau_0 \exp\!\left[\left(\frac{v_a}{|v|}\right)^{n}\right]

with activation voltages of their own for SET and RESET, and :math:`G = G_{min} + x\,(G_{max}-G_{min})`. The equation
is linear in the state, so a pulse of any length has a closed form.

**Three terminals.** A FeFET has gate, drain and source. As a cell of cosim it has two: the drain is on the word line
and the source on the bit line. While programming, the word line drives the gate as well (drain and gate
follow it, source and body are on the bit line), so the voltage of the cell is the gate voltage that
switches the polarization. While reading, the gate is at its read bias, which is part of ``g_min`` and ``g_max``, and the
cell is the channel, a conductance from drain to source. A real array programs with drain and source at the same voltage, so that no
channel current flows: the energy of a write is here an upper bound.

`Fefet.three_terminal` is the netlist with a gate of its own, for a tile whose gate lines drive it or for a circuit of
one's own: the voltage from gate to source switches the polarization, and the channel conducts

.. math:: i_{ds} = \frac{G\, v_{ds}}{1 + e^{-(v_{gs} - v_{on})/s}}

with ``gate_on`` :math:`v_{on}` and ``gate_slope`` s, so at a read bias some tenths of a volt above ``gate_on`` it is the two-terminal cell. The
charge that switching takes is in neither.

Sources: Merz, Phys. Rev. 95, 690 (1954), and the nucleation-limited form of Jo et al., Phys. Rev. Lett. 99, 267602
(2007), for the switching time; Jerry et al., IEDM 2017, for conductances and pulses.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from cosim.devices.base import FloatArray, Parameter, Subcircuit, quantity
from cosim.devices.elementwise import elementwise
from cosim.devices.rate import RateModel, check_below, check_positive, twin
from cosim.units import Second, Siemens, Volt

_JERRY = "Jerry et al., IEDM 2017, as in MLP-NeuroSim 3.0: 559.28 kohm, on/off 45"
_OURS = (
    "cosim: with tau_0 and n, a pulse of Jerry et al. (75 ns at 3.65 V or -2.95 V) moves 3 %, "
    "and 1 V moves nothing in ten years (SET)"
)
_MOST = 700.0
_GATED = ("g_min", "g_max", "tau_0", "v_set", "v_reset", "exponent", "gate_on", "gate_slope")


@final
@dataclass(frozen=True, eq=False)
class Fefet(RateModel):
    """FeFET with nucleation-limited switching; the state is the switched fraction, 0 to 1."""

    name: ClassVar[str] = "fefet"
    reference: ClassVar[str] = "Jo et al., Phys. Rev. Lett. 99, 267602 (2007); Jerry et al., IEDM 2017"

    g_min: Siemens = quantity(1 / (45 * 559.28e3), source=_JERRY, doc="channel conductance, all domains off")
    g_max: Siemens = quantity(1 / 559.28e3, source=_JERRY, doc="channel conductance, all domains on")
    tau_0: Second = quantity(2.04e-6, source=_OURS, doc="switching time at infinite voltage")
    v_set: Volt = quantity(2.39, source=_OURS, doc="activation voltage of SET")
    v_reset: Volt = quantity(1.94, source=_OURS, doc="activation voltage of RESET (magnitude)")
    gate_on: Volt = quantity(0.5, source="cosim: halfway to a read bias of 1 V", doc="three terminals: gate voltage at which the channel opens")  # fmt: skip
    gate_slope: Volt = quantity(
        0.03, source="cosim: 70 mV a decade", doc="three terminals: width of the opening"
    )
    exponent: float = quantity(
        4.0, source="cosim: about the value of HfZrO films, Alessandri et al., IEEE EDL 39, 1780 (2018)",
        doc="exponent n of the activation",
    )  # fmt: skip

    def __post_init__(self) -> None:
        check_positive(self)
        check_below(self, "g_min", "g_max")

    def conductance(self, state: FloatArray) -> FloatArray:
        """Return G_min + x (G_max - G_min) [S]."""
        result: FloatArray = self.g_min + state * (np.asarray(self.g_max) - self.g_min)
        return result

    def state_for(self, conductance: FloatArray) -> FloatArray:
        """Return the normalized conductance, clipped to 0..1."""
        span = np.asarray(self.g_max) - self.g_min
        result: FloatArray = np.clip((conductance - self.g_min) / span, 0.0, 1.0)
        return result

    def conductance_range(self) -> tuple[Parameter, Parameter]:
        """Return G_min and G_max [S]."""
        return self.g_min, self.g_max

    def switching_rate(self, voltage: FloatArray) -> FloatArray:
        """Return 1/tau [1/s]; below the smallest double it is zero."""
        size = np.maximum(np.abs(voltage), 1e-9)
        activation = np.where(voltage > 0, self.v_set, self.v_reset)
        power = np.minimum((activation / size) ** self.exponent, 2 * _MOST)
        result: FloatArray = np.where(power < _MOST, np.exp(-power) / self.tau_0, 0.0)
        return result

    def state_rate(self, state: FloatArray, voltage: FloatArray, temperature: float) -> FloatArray:
        """Return dx/dt [1/s]; the temperature has no effect."""
        return self.switching_rate(voltage) * ((voltage > 0) - state)

    def elementwise_law(self, temperature: float) -> tuple[float, ...]:
        """Return the logarithms of the activation voltages in volts, the exponent and 1/tau_0 [1/s]."""
        return np.log(self.v_set), np.log(self.v_reset), self.exponent, 1.0 / self.tau_0

    @elementwise
    def advance(
        self, state: FloatArray, voltage: FloatArray, duration: Parameter, temperature: float
    ) -> FloatArray:
        """Return the closed form after ``duration`` [s]."""
        moved = -np.expm1(-self.switching_rate(voltage) * duration)
        result: FloatArray = state + ((voltage > 0) - state) * moved
        return result

    def fastest(self, low: FloatArray, high: FloatArray, voltage: float) -> FloatArray:
        """Return the switching rate times the largest distance from the end."""
        return self.switching_rate(np.asarray(voltage)) * (1.0 - low if voltage > 0 else high)

    def programming_voltages(self) -> tuple[float, float]:
        """Return 1.53 times the activation voltages [V], 3.65 V and 2.95 V for the defaults."""
        return 1.527 * float(np.mean(self.v_set)), 1.521 * float(np.mean(self.v_reset))

    def subcircuit(self, temperature: float) -> Subcircuit:
        """Return the twin: x is the voltage of a capacitor, the switching rate a B source."""
        names = ("g_min", "g_max", "tau_0", "v_set", "v_reset", "exponent")
        parameters: dict[str, Parameter] = {name: getattr(self, name) for name in names}
        up, down = (
            f"exp(-min(({activation}/max({sign}v(p,n),1e-3))**exponent,300))"
            for activation, sign in (("v_set", ""), ("v_reset", "-"))
        )
        body = f"""\
Cx x 0 {{tau_0}} ic={{x0}}
Bx 0 x i={up}*(1-v(x))-{down}*v(x)
Bm p n i=v(p,n)*(g_min+v(x)*(g_max-g_min))"""
        return twin("cosim_fefet", parameters, body)

    def three_terminal(self, name: str = "fefet_gate") -> str:
        """Return the subcircuit ``name`` with the terminals ``d g s`` and this device's parameters as defaults.

        The state is the voltage of the node ``x`` inside, which starts at the parameter ``x0``. Only for one set of
        parameters, not for per-cell arrays.
        """
        given = " ".join(f"{parameter}={float(getattr(self, parameter)):.12g}" for parameter in _GATED)
        up, down = (
            f"exp(-min(({activation}/max({sign}v(g,s),1e-3))**exponent,300))"
            for activation, sign in (("v_set", ""), ("v_reset", "-"))
        )
        return f"""\
.subckt {name} d g s params: {given} x0=0
cx x 0 {{tau_0}} ic={{x0}}
bx 0 x i={up}*(1-v(x))-{down}*v(x)
bm d s i=v(d,s)*(g_min+v(x)*(g_max-g_min))/(1+exp((gate_on-v(g,s))/gate_slope))
.ends
"""
