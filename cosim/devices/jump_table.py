r"""Jump tables: the distribution of the change of conductance by one pulse, against the conductance.

For each of some conductances a row holds the cumulative distribution of the jump, for SET and for RESET. Between the
jumps of a row the distribution function is a straight line, so every uniform draw belongs to exactly one jump (the
inverse of the distribution function, by binary search); between two rows the jumps of the same draw are interpolated.
Entries that are equal, such as a run of zeros, cover no draw and can never be hit.

A table is one JSON file that says what it holds: units, device, pulses and source stand beside the numbers.

Source: the jump tables of A. Amirsoleimani et al. (XBTorch) in the form of three text files, which `read_text_files` reads.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from cosim.devices.base import FloatArray
from cosim.devices.nonlinearity import steepness_of
from cosim.errors import DeviceError

Sign = Literal["set", "reset"]
_FORMAT = "cosim jump table"
_KEYS = ("conductance", "jump", "set_cdf", "reset_cdf", "set_pulse", "reset_pulse", "device", "source")
_SLACK = 1e-9
"""Accepted fall of a distribution function by rounding."""


@dataclass(frozen=True, eq=False)
class JumpTable:
    """Distributions of jumps; ``*_cdf`` ``(conductances, jumps)``, ``*_pulse`` are amplitude [V] and width [s].

    ``conductance`` and ``jump`` [S] rise strictly; every row rises from 0 to 1 once it is normalized. Raises
    `DeviceError` where this does not hold.
    """

    conductance: FloatArray
    jump: FloatArray
    set_cdf: FloatArray
    reset_cdf: FloatArray
    set_pulse: tuple[float, float]
    reset_pulse: tuple[float, float]
    device: str
    source: str

    def __post_init__(self) -> None:
        for axis in ("conductance", "jump"):
            values = np.asarray(getattr(self, axis), dtype=np.float64)
            if values.ndim != 1 or values.size < 2 or not np.all(np.diff(values) > 0):
                raise DeviceError(f"jump table: {axis} must hold at least two values [S] that rise strictly")
            object.__setattr__(self, axis, values)
        for sign in ("set", "reset"):
            object.__setattr__(self, f"{sign}_cdf", self._normalized(sign))

    def _normalized(self, sign: str) -> FloatArray:
        cdf = np.asarray(getattr(self, f"{sign}_cdf"), dtype=np.float64)
        shape = (self.conductance.size, self.jump.size)
        if cdf.shape != shape or not np.all(np.isfinite(cdf)):
            raise DeviceError(
                f"jump table: {sign}_cdf must hold {shape[0]} x {shape[1]} numbers, not {cdf.shape}"
            )
        if np.any(np.diff(cdf, axis=1) < -_SLACK) or np.any(cdf[:, -1] - cdf[:, 0] <= 0):
            raise DeviceError(
                f"jump table: every row of {sign}_cdf must rise along the jumps, and not be constant"
            )
        cdf = np.maximum.accumulate(cdf, axis=1)
        result: FloatArray = (cdf - cdf[:, :1]) / (cdf[:, -1:] - cdf[:, :1])
        return result

    @cached_property
    def _ladders(self) -> dict[str, FloatArray]:
        """All rows one after the other, row k raised by k: one binary search serves cells in different rows."""
        rows = np.arange(self.conductance.size)[:, np.newaxis]
        return {sign: (getattr(self, f"{sign}_cdf") + rows).ravel() for sign in ("set", "reset")}

    def _row_jump(self, sign: Sign, row: Any, uniforms: FloatArray) -> FloatArray:
        ladder, width = self._ladders[sign], self.jump.size
        draw = np.minimum(uniforms, 1.0 - 1e-12) + row
        above = np.clip(np.searchsorted(ladder, draw, side="right"), row * width + 1, row * width + width - 1)
        low, high = ladder[above - 1], ladder[above]
        column = above - row * width
        start = self.jump[column - 1]
        part = np.clip((draw - low) / np.where(high > low, high - low, 1.0), 0.0, 1.0)
        result: FloatArray = start + part * (self.jump[column] - start)
        return result

    def _between(self, conductance: FloatArray) -> tuple[Any, FloatArray]:
        """Return the row below each conductance and the part of the way to the next, held at the ends."""
        row = np.clip(
            np.searchsorted(self.conductance, conductance, side="right") - 1, 0, self.conductance.size - 2
        )
        low, high = self.conductance[row], self.conductance[row + 1]
        return row, np.clip((conductance - low) / (high - low), 0.0, 1.0)

    def draw(self, sign: Sign, conductance: FloatArray, uniforms: FloatArray) -> FloatArray:
        """Return jumps [S] of cells at ``conductance`` [S] for ``uniforms`` in 0..1, of the same shape."""
        row, part = self._between(conductance)
        below, above = self._row_jump(sign, row, uniforms), self._row_jump(sign, row + 1, uniforms)
        result: FloatArray = below + part * (above - below)
        return result

    def moments(self, sign: Sign) -> tuple[FloatArray, FloatArray]:
        """Return mean and standard deviation of the jump [S] of every row."""
        mass = np.diff(getattr(self, f"{sign}_cdf"), axis=1)
        middle, width = 0.5 * (self.jump[1:] + self.jump[:-1]), np.diff(self.jump)
        mean = mass @ middle
        variance = np.sum(mass * ((middle - mean[:, np.newaxis]) ** 2 + width**2 / 12.0), axis=1)
        return mean, np.sqrt(variance)

    def mean_jump(self, sign: Sign, conductance: FloatArray) -> FloatArray:
        """Return the mean jump [S] at ``conductance`` [S], interpolated between rows."""
        result: FloatArray = np.interp(conductance, self.conductance, self._means[sign])
        return result

    @cached_property
    def _means(self) -> dict[str, FloatArray]:
        return {"set": self.moments("set")[0], "reset": self.moments("reset")[0]}

    def save(self, path: Path) -> None:
        """Write the table as one JSON file."""
        content: dict[str, Any] = {"format": _FORMAT, "version": 1, "unit": "S", "pulse_unit": ["V", "s"]}
        for key in _KEYS:
            value = getattr(self, key)
            content[key] = value.tolist() if isinstance(value, np.ndarray) else value
        path.write_text(json.dumps(content) + "\n", encoding="utf-8")


def load(path: Path) -> tuple[JumpTable, str]:
    """Return the table in a file that `JumpTable.save` wrote, and the SHA-256 of the file; raises `DeviceError`."""
    try:
        raw = path.read_bytes()
        content = json.loads(raw)
    except (OSError, ValueError) as error:
        raise DeviceError(
            f"jump table {path}: cannot be read ({error}); give a file that JumpTable.save wrote"
        ) from None
    if not isinstance(content, dict) or content.get("format") != _FORMAT or content.get("unit") != "S":
        raise DeviceError(f"jump table {path}: must be a '{_FORMAT}' in siemens")
    missing = [key for key in _KEYS if key not in content]
    if missing:
        raise DeviceError(f"jump table {path}: the key '{missing[0]}' is missing")
    values = {key: content[key] for key in _KEYS}
    for key in ("set_pulse", "reset_pulse"):
        values[key] = (float(values[key][0]), float(values[key][1]))
    try:
        table = JumpTable(**values)
    except (DeviceError, TypeError, ValueError) as error:
        raise DeviceError(f"{path}: {error}") from None
    return table, hashlib.sha256(raw).hexdigest()


def read_text_files(
    set_files: tuple[Path, Path, Path],
    reset_files: tuple[Path, Path, Path],
    *,
    siemens_per_unit: float,
    set_pulse: tuple[float, float],
    reset_pulse: tuple[float, float],
    device: str,
    source: str,
) -> JumpTable:
    """Return the table in XBTorch's text files: conductances, jumps, and the distribution function, for each sign.

    The files hold bare numbers, so ``siemens_per_unit`` must say what they are. Both signs must share the
    conductances; jumps on different axes are brought to their union. Raises `DeviceError`.
    """
    found = []
    for files in (set_files, reset_files):
        g, dg, cdf = (np.loadtxt(path, ndmin=1, dtype=np.float64) for path in files)
        if cdf.shape != (g.size, dg.size):
            raise DeviceError(
                f"jump table {files[2]}: must hold {g.size} x {dg.size} numbers, not {cdf.shape}"
            )
        found.append((g.ravel() * siemens_per_unit, dg.ravel() * siemens_per_unit, cdf))
    (g_set, jump_set, cdf_set), (g_reset, jump_reset, cdf_reset) = found
    if g_set.shape != g_reset.shape or not np.allclose(g_set, g_reset):
        raise DeviceError(f"jump table {reset_files[0]}: must hold the conductances of {set_files[0]}")
    jump = np.union1d(jump_set, jump_reset)
    widened = [
        np.array([np.interp(jump, axis, row, left=0.0, right=1.0) for row in cdf])
        for axis, cdf in ((jump_set, cdf_set), (jump_reset, cdf_reset))
    ]
    return JumpTable(g_set, jump, widened[0], widened[1], set_pulse, reset_pulse, device, source)


def ag_a_si(rows: int = 100, columns: int = 201) -> JumpTable:
    """Return the pulse law of Ag:a-Si with its noise of 3.5 % of the range as a table.

    Source: MLP-NeuroSim 3.0 manual, Ag:a-Si; Jo et al., Nano Letters 10, 1297 (2010).
    """
    from scipy.special import ndtr

    low, high, levels = 3.08e-9, 38.5e-9, 97.0
    x, sigma = np.linspace(0.0, 1.0, rows), 0.035 * (high - low)
    jump = np.linspace(-7.0 * sigma, 7.0 * sigma, columns)
    cdfs = []
    for sign, nonlinearity in ((1.0, 2.4), (-1.0, -4.88)):
        s = float(steepness_of(nonlinearity))
        mean = np.expm1(-s * sign / levels) * (x + 1.0 / np.expm1(-s)) * (high - low)
        cdfs.append(ndtr((jump - mean[:, np.newaxis]) / sigma))
    return JumpTable(
        low + x * (high - low), jump, cdfs[0], cdfs[1], (3.2, 300e-6), (2.8, 300e-6), "Ag:a-Si",
        "MLP-NeuroSim 3.0 manual; Jo et al., Nano Letters 10, 1297 (2010)",
    )  # fmt: skip
