r"""Resistance between two limits as a function of a state from 0 (off) to 1 (on).

Linear, :math:`R = R_{on} + (1-x)(R_{off}-R_{on})`, or exponential, :math:`R = R_{on} (R_{off}/R_{on})^{1-x}`
(Kvatinsky et al., IEEE TCAS-I 60(1), 211 (2013), equations 6 and 9).
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from cosim.devices.base import FloatArray, Parameter

ResistanceLaw = Literal["linear", "exponential"]


def conductance_of(law: ResistanceLaw, state: FloatArray, r_on: Parameter, r_off: Parameter) -> FloatArray:
    """Return 1/R [S]."""
    off = 1.0 - state
    if law == "linear":
        result = 1.0 / (r_on + off * (r_off - r_on))
    else:
        result = (r_on / r_off) ** off / r_on
    return np.asarray(result, dtype=np.float64)


def state_of(law: ResistanceLaw, conductance: FloatArray, r_on: Parameter, r_off: Parameter) -> FloatArray:
    """Return the state with this conductance [S], which must be above zero."""
    if law == "linear":
        result = (r_off - 1.0 / conductance) / (r_off - r_on)
    else:
        result = 1.0 + np.log(conductance * r_on) / np.log(r_off / r_on)
    return np.asarray(result, dtype=np.float64)


def resistance_text(law: ResistanceLaw) -> str:
    """Return R in ngspice as an expression of ``v(x)``, ``r_on`` and ``r_off``."""
    if law == "linear":
        return "(r_on+(1-v(x))*(r_off-r_on))"
    return "(r_on*exp((1-v(x))*log(r_off/r_on)))"
