"""What a circuit sees of the emulator's device laws, and back: device model, states, temperature, conductance scale."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cosim.devices.base import DeviceModel
from cosim.devices.mss import Mss
from cosim.devices.resistor import Resistor
from cosim.devices.rs import Rs
from cosim.errors import KtramError
from cosim.ktram.models import DeviceLaw, RsLaw
from cosim.ktram.mss import MssLaw


def scale_of(law: DeviceLaw, top_conductance: float) -> float:
    """Return the conductance [S] of one unit of a model."""
    return 1.0 if isinstance(law, (RsLaw, MssLaw)) else top_conductance / law.g_max


def temperature_of(law: DeviceLaw) -> float:
    """Return the temperature of the devices [K]."""
    return law.profile.temperature if isinstance(law, MssLaw) else 298.0


def device_of(law: DeviceLaw) -> DeviceModel:
    """Return the device model with the physics of a law; raises `KtramError` for a profile with Schottky currents."""
    if isinstance(law, RsLaw):
        return Rs(g_min=law.g_low, g_max=law.g_high, rate=law.alpha, v_set=law.va, v_reset=law.vb)
    if isinstance(law, MssLaw):
        p = law.profile
        if p.phi != 1.0:
            raise KtramError(
                f"MSSProfile.phi: must be 1 at physical fidelity, whose mss device is linear, not {p.phi}"
            )
        return Mss(r_on=p.Ron, r_off=p.Roff, v_on=p.Von, v_off=p.Voff, tau=p.tau)
    return Resistor()


def state_of(law: DeviceLaw, stored: NDArray[np.float64], scale: float) -> NDArray[np.float64]:
    """Return the device model's state for stored values, any shape."""
    if isinstance(law, MssLaw):
        return stored
    if isinstance(law, RsLaw):
        return (stored - law.g_low) / (law.g_high - law.g_low)
    return stored * scale


def stored_of(law: DeviceLaw, state: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the stored values of states of rs and mss, any shape."""
    if isinstance(law, RsLaw):
        return np.clip(law.g_low + state * (law.g_high - law.g_low), law.g_low, law.g_high)
    return np.clip(state, 0.0, 1.0)
