r"""Window functions of ion-drift models: how the speed of the boundary falls off near the electrodes.

With :math:`x` from 0 (off) to 1 (on):

* ``joglekar``: :math:`1-(2x-1)^{2p}` (Joglekar and Wolf, Eur. J. Phys. 30, 661, 2009);
* ``biolek``: :math:`1-x^{2p}` while x rises, :math:`1-(1-x)^{2p}` while it falls (Biolek et al.,
  Radioengineering 18, 210, 2009);
* ``prodromakis``: :math:`j\,(1-[(x-\frac12)^2+\frac34]^p)` (Prodromakis et al., IEEE TED 58, 3099, 2011);
* ``strukov``: :math:`x(1-x)` (Strukov et al., Nature 453, 80, 2008);
* ``none``: 1.

Joglekar's, Prodromakis' and Strukov's windows are zero at both ends, so a state that is there would never
leave. `margin_of` keeps the state of such a model off the ends.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cosim.devices.base import FloatArray, Parameter
from cosim.devices.travel import Travel, travel

WindowName = Literal["none", "joglekar", "biolek", "prodromakis", "strukov"]


def window(
    name: WindowName, x: FloatArray, up: NDArray[np.bool_] | bool, p: Parameter, j: Parameter
) -> FloatArray:
    """Return the window function at ``x`` (0 to 1); ``up``: whether x rises."""
    if name == "joglekar":
        result = 1.0 - np.abs(2.0 * x - 1.0) ** (2.0 * p)
    elif name == "biolek":
        result = 1.0 - np.where(up, x, 1.0 - x) ** (2.0 * p)
    elif name == "prodromakis":
        result = j * (1.0 - ((x - 0.5) ** 2 + 0.75) ** p)
    elif name == "strukov":
        result = x * (1.0 - x)
    else:
        result = np.ones(np.shape(x))
    return np.asarray(result, dtype=np.float64)


def window_peak(
    name: WindowName, low: FloatArray, high: FloatArray, up: bool, p: Parameter, j: Parameter
) -> FloatArray:
    """Return the largest value of the window between ``low`` and ``high``."""
    # Biolek's falls with the state while it rises, and grows with it while it falls; the others peak in the middle.
    place = (low if up else high) if name == "biolek" else np.clip(0.5, low, high)
    return window(name, np.asarray(place), up, p, j)


def window_text(name: WindowName, x: str, up: bool) -> str:
    """Return the window as an ngspice expression of ``x``; its parameters are ``wp`` and ``wj``."""
    # abs and max keep the base of a power positive where the solver tries a state outside of 0..1.
    if name == "joglekar":
        return f"(1-abs(2*{x}-1)**(2*wp))"
    if name == "biolek":
        base = f"max({x},0)" if up else f"max(1-{x},0)"
        return f"(1-{base}**(2*wp))"
    if name == "prodromakis":
        return f"(wj*(1-(({x}-0.5)**2+0.75)**wp))"
    if name == "strukov":
        return f"({x}*(1-{x}))"
    return "1"


def margin_of(name: WindowName, margin: Parameter) -> float:
    """Return how far the state stays off both ends: ``margin`` where the window is zero there, else 0."""
    return float(np.min(margin)) if name in ("joglekar", "prodromakis", "strukov") else 0.0


def window_parameters(name: WindowName, p: Parameter, j: Parameter) -> dict[str, Parameter]:
    """Return the parameters that `window_text` names."""
    given = {"joglekar": {"wp": p}, "biolek": {"wp": p}, "prodromakis": {"wp": p, "wj": j}}
    return given.get(name, {})


@lru_cache(maxsize=64)
def window_tables(name: WindowName, p: float, j: float, low: float, high: float) -> tuple[Travel, Travel]:
    """Return the tables of a rising and of a falling state whose speed is the window alone."""
    return (
        travel(lambda x: window(name, x, True, p, j), low, high),
        travel(lambda x: window(name, x, False, p, j), low, high),
    )
