"""Pulse table: every pulse changes the conductance by a draw from a measured distribution.

The distribution of the jump depends on the conductance and on the sign of the pulse: `cosim.devices.jump_table`. Pulses
follow one another, each from the conductance that the last one left. ``advance`` follows the mean jump; at the end of a
phase the draws take its place.

Source: the jump tables of XBTorch; here with the inverse of the distribution function instead of its nearest entry.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Literal, cast, final

import numpy as np

from cosim.devices.base import FloatArray, check, quantity
from cosim.devices.jump_table import JumpTable, Sign, ag_a_si, load
from cosim.devices.pulse import Mask, PulseModel, further_uniforms, iterated
from cosim.errors import DeviceError
from cosim.units import Second, Siemens, Volt

_TABLE = "the table, which names its own"
_BUILT_IN = "ag-a-si"
_NAN = float("nan")


@final
@dataclass(frozen=True, eq=False)
class PulseTable(PulseModel):
    """Jumps drawn from a table; the state is (G - G_min)/(G_max - G_min), 0 to 1."""

    name: ClassVar[str] = "pulse_table"
    reference: ClassVar[str] = "XBTorch, jump tables"
    files: ClassVar[tuple[str, ...]] = ("table",)

    g_min: Siemens = quantity(_NAN, source=_TABLE, doc="lowest conductance; not given: that of the table")
    g_max: Siemens = quantity(_NAN, source=_TABLE, doc="highest conductance; not given: that of the table")
    set_amplitude: Volt = quantity(
        _NAN, source=_TABLE, doc="amplitude of the SET pulse; not given: that of the table"
    )
    set_width: Second = quantity(
        _NAN, source=_TABLE, doc="width of the SET pulse; not given: that of the table"
    )
    reset_amplitude: Volt = quantity(_NAN, source=_TABLE, doc="amplitude of the RESET pulse (magnitude); not given: that of the table")  # fmt: skip
    reset_width: Second = quantity(
        _NAN, source=_TABLE, doc="width of the RESET pulse; not given: that of the table"
    )
    table: str = quantity(_BUILT_IN, source="MLP-NeuroSim 3.0 manual, Ag:a-Si; Jo et al., Nano Letters 10, 1297 (2010)", doc="file of the table, in the scenario's folder; ag-a-si is built in")  # fmt: skip
    checksum: str = quantity(
        "", source="cosim: taken from the file", doc="SHA-256 that the file must have; empty: any"
    )
    draws: Literal["sampled", "mean"] = quantity(
        "sampled", source="cosim", doc="draw every jump, or take the mean"
    )

    def __post_init__(self) -> None:
        table, digest = self._loaded
        check(
            self.checksum in ("", digest),
            self.name,
            "checksum",
            f"that of {self.table}, {digest}",
            self.checksum,
        )
        object.__setattr__(self, "checksum", digest)
        of_table = {
            "g_min": float(table.conductance[0]), "g_max": float(table.conductance[-1]),
            "set_amplitude": table.set_pulse[0], "set_width": table.set_pulse[1],
            "reset_amplitude": table.reset_pulse[0], "reset_width": table.reset_pulse[1],
        }  # fmt: skip
        for parameter, value in of_table.items():
            if np.all(np.isnan(np.asarray(getattr(self, parameter)))):
                object.__setattr__(self, parameter, value)
        super().__post_init__()

    @cached_property
    def _loaded(self) -> tuple[JumpTable, str]:
        if self.table == _BUILT_IN:
            return ag_a_si(), ""
        try:
            return load(Path(self.table))
        except DeviceError as error:
            raise DeviceError(f"{self.name}.table: {error}") from None

    @property
    def jumps(self) -> JumpTable:
        """The table."""
        return self._loaded[0]

    def _mean_change(self, state: FloatArray, up: Mask) -> FloatArray:
        g, span = self.conductance(state), np.asarray(self.g_max) - self.g_min
        jump = np.where(up, self.jumps.mean_jump("set", g), self.jumps.mean_jump("reset", g))
        result: FloatArray = jump / span
        return result

    def after_pulses(self, state: FloatArray, count: FloatArray) -> FloatArray:
        """Return the state after mean jumps, pulse by pulse."""
        return iterated(self._mean_change, state, count)

    @property
    def stochastic(self) -> bool:
        """Whether jumps are drawn."""
        return self.draws == "sampled"

    def fluctuate(
        self, before: FloatArray, after: FloatArray, exposure: FloatArray, uniforms: FloatArray
    ) -> FloatArray:
        """Return the state after as many drawn jumps as there were pulses; cells without a pulse keep ``after``.

        The first draw is the cell's own uniform number, later ones are made from both of its numbers. Of part of a
        pulse the mean counts in proportion and the deviation by the root.
        """
        pulsed = exposure != 0
        if not pulsed.any():
            return after
        x, left = np.array(before), np.abs(exposure)
        up, draw, number = exposure > 0, uniforms[0], 0
        while (left > 0).any():
            mean = self._mean_change(x, up)
            jump = np.zeros(x.shape)
            for sign, cells in (("set", up & (left > 0)), ("reset", ~up & (left > 0))):
                jump[cells] = self._drawn(cast(Sign, sign), x, cells, draw)
            part = np.minimum(left, 1.0)
            x = np.clip(x + np.where(left > 0, part * mean + np.sqrt(part) * (jump - mean), 0.0), 0.0, 1.0)
            left, number = np.maximum(left - 1.0, 0.0), number + 1
            draw = further_uniforms(uniforms, number)
        return np.where(pulsed, x, after)

    def _drawn(self, sign: Sign, state: FloatArray, cells: Mask, draw: FloatArray) -> FloatArray:
        chosen = cast(PulseTable, self.select(np.nonzero(cells)))
        span = np.asarray(chosen.g_max) - chosen.g_min
        result: FloatArray = self.jumps.draw(sign, chosen.conductance(state[cells]), draw[cells]) / span
        return result
