r"""Noise of a read: thermal and flicker noise of the devices, and the comparator that resolves the read.

One Gaussian draw per read with

.. math:: \sigma_y^2 = \sigma_{thermal}^2 + \sigma_{flicker}^2 + \sigma_{comparator}^2

    \sigma_{thermal} = n\,k_t \sqrt{T/298\,K}\,\frac{0.05\,V}{|V|} \sqrt{m_r/m}\,\sqrt{t_r/t}, \qquad
    \sigma_{flicker} = n\,k_f (1-y^2) \sqrt{m_r/m}\,\sqrt{\max(0, D+\ln(t_r/t))/D}, \qquad
    \sigma_{comparator} = v_{cmp}/|V|

with m the sum of all selected conductances, t the read pulse width, D the 1/f band in natural logarithms.

Source: kT-RAM neural core, read-noise law and comparator register.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from cosim.errors import KtramError, RegisterTypeError

ROOM_TEMPERATURE_K: Final = 298.0
"""Reference temperature [K] of the noise law."""
READ_NOISE_REF_V: Final = 0.05
"""Reference read voltage [V] of the noise law."""
READ_NOISE: Final = 0.02
"""Gain of the device noise; 0 makes a core deterministic."""
NOISE_THERMAL: Final = 0.1
"""Weight of the thermal term."""
NOISE_FLICKER: Final = 1.0
"""Weight of the flicker term."""
FLICKER_DECADES: Final = 6.0
"""Decades of 1/f band at the reference pulse width."""
COMPARATOR_CODE: Final = 10
"""Default comparator register: 300 uV."""
COMPARATOR_CODE_MAX: Final = 255
_FLOOR_UV: Final = 100
_STEP_UV: Final = 20
_FLOOR: Final = 100e-6
_STEP: Final = 20e-6


def checked_code(code: object) -> int:
    """Return a comparator register value; `RegisterTypeError` for no integer, `KtramError` outside 0..255."""
    if isinstance(code, bool) or not isinstance(code, (int, np.integer)):
        raise RegisterTypeError(
            f"comparator_code: must be an integer 0..{COMPARATOR_CODE_MAX}, not {code!r}; "
            "set_comparator_noise takes volts"
        )
    if not 0 <= code <= COMPARATOR_CODE_MAX:
        raise KtramError(f"comparator_code: must be within 0..{COMPARATOR_CODE_MAX}, not {code}")
    return int(code)


def comparator_volts(code: int) -> float:
    """Return the input-referred noise [V rms] of a comparator register value, 100 uV to 5.2 mV."""
    return _FLOOR + checked_code(code) * _STEP


def comparator_code_for(volts: float, round_ok: bool = False) -> int:
    """Return the register value for a noise [V rms], computed in microvolts.

    Raises `KtramError` below the floor, above the ceiling, and off the grid unless ``round_ok``.
    """
    microvolts = round(float(volts) * 1e6, 6)
    lowest, highest = _FLOOR_UV, _FLOOR_UV + COMPARATOR_CODE_MAX * _STEP_UV
    if not microvolts >= lowest:
        raise KtramError(
            f"comparator noise: must be at least {lowest} uV, not {microvolts:g} uV; "
            "comparator_enabled=False removes the comparator"
        )
    steps = (microvolts - _FLOOR_UV) / _STEP_UV
    code = round(steps) if math.isfinite(steps) else COMPARATOR_CODE_MAX + 1
    if code <= COMPARATOR_CODE_MAX and not round_ok and abs(steps - code) > 1e-9:
        raise KtramError(
            f"comparator noise: must be {lowest} uV plus a multiple of {_STEP_UV} uV, not {microvolts:g} uV; "
            f"round_ok=True takes the nearest, {_FLOOR_UV + code * _STEP_UV} uV"
        )
    if code > COMPARATOR_CODE_MAX:
        raise KtramError(f"comparator noise: must be at most {highest} uV, not {microvolts:g} uV")
    return code


def sigma(
    y: float,
    m: float,
    voltage: float,
    *,
    read_noise: float = READ_NOISE,
    noise_thermal: float = NOISE_THERMAL,
    noise_flicker: float = NOISE_FLICKER,
    temperature: float = ROOM_TEMPERATURE_K,
    m_ref: float,
    width: float,
    width_ref: float,
    flicker_decades: float = FLICKER_DECADES,
    comparator: float = 0.0,
    terms: tuple[float, float] | None = None,
) -> float:
    """Return the standard deviation of a read of activation ``y``, see the module.

    ``m``, ``m_ref``: sum of the selected conductances and its reference, in one unit; ``voltage`` [V];
    ``width``, ``width_ref`` [s]; ``comparator`` [V rms]; ``terms``: `Topology.noise_terms`, default
    those of 2-1. Raises `KtramError` at 0 V, where y has no meaning.
    """
    if voltage == 0.0:
        raise KtramError(
            "read voltage: must not be 0 V with read noise on; set_read_noise(0) reads without noise"
        )
    magnitude = math.sqrt(m_ref) / math.sqrt(m)
    thermal = (
        read_noise
        * noise_thermal
        * math.sqrt(temperature / ROOM_TEMPERATURE_K)
        * READ_NOISE_REF_V
        * magnitude
        / abs(voltage)
        * math.sqrt(width_ref / width)
    )
    band_ref = flicker_decades * math.log(10.0)
    band = band_ref + math.log(width_ref / width)
    bandwidth = math.sqrt(band / band_ref) if band > 0.0 else 0.0
    scale, shape = (1.0, 1.0 - y * y) if terms is None else terms
    flicker = read_noise * noise_flicker * shape * magnitude * bandwidth * scale
    thermal *= scale
    resolved = comparator / abs(voltage)
    return math.sqrt(thermal * thermal + flicker * flicker + resolved * resolved)
