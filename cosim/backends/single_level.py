"""The frequent case, compiled: one array, one level, cells with a two-channel law.

Most phases are single trapezoidal pulses or reads on one array: every drive is a share of one level.
Where numba is at hand, `cosim.backends.compiled` answers such a phase in one call; `answer` prepares it
and returns None for a phase of another kind, or one that the compiled path refuses.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cosim.backends.response import Prepared
from cosim.crossbar.backend import Energy
from cosim.crossbar.dense import LARGEST
from cosim.crossbar.lines import DEFAULT_TOLERANCE, MAX_ITERATIONS, numba_available
from cosim.devices.base import DeviceModel, FloatArray, TwoChannel

if TYPE_CHECKING:
    from cosim.backends.compiled import Limits, Wires

_STATE_ERROR = 1e-6
_ENERGY_ERROR = 5e-6
_ACTIVE = 1e-11
_CELLS_OF_GOAL = 8000.0
_GOAL = 5e-10  # the step that measures the residual gains two orders; it iterates on where that is not enough


class Level(NamedTuple):
    """A phase of one level: the nets' voltages there, the share of it at each corner, the parts [s]."""

    voltage: FloatArray
    shares: tuple[float, ...]
    parts: tuple[float, float, float, float, float]


class Answer(NamedTuple):
    """What the compiled path found; ``current``: per net at the level, at the start of the phase [A]."""

    state: FloatArray
    exposure: FloatArray
    current: FloatArray
    energy: Energy
    charge: FloatArray
    residual: float
    still: bool


def find_level(columns: FloatArray, net_column: NDArray[np.intp], lengths: list[float]) -> Level | None:
    """Return the single level of a phase, or None.

    ``columns`` ``(corners, waveforms)`` [V], NaN where a net floats; ``net_column``: the waveform of
    each net; ``lengths``: between the corners [s].
    """
    rows = [tuple(v if v == v else 0.0 for v in row) for row in columns.tolist()]
    live = [any(row) for row in rows]
    if not any(live):
        return None
    first = live.index(True)
    last = len(live) - 1 - live[::-1].index(True)
    if any(row != rows[first] for row in rows[first : last + 1]):
        return None
    rise = lengths[first - 1] if first else 0.0
    fall = lengths[last] if last < len(lengths) else 0.0
    before, flat = sum(lengths[: max(first - 1, 0)]), sum(lengths[first:last])
    parts = (before, rise, flat, fall, sum(lengths[last + 1 :]))
    return Level(np.array(rows[first])[net_column], tuple(map(float, live)), parts)


def fits(prepared: Prepared, temperature: float) -> bool:
    """Whether the compiled path can answer phases of one level on this network."""
    return _plan(prepared, temperature) is not None


@dataclass(frozen=True, slots=True, eq=False)
class _Plan:
    """What does not change from phase to phase of one prepared array."""

    law: TwoChannel
    wires: Wires
    ends: NDArray[np.intp]
    limits: Limits


@lru_cache(maxsize=256)
def _law(device: DeviceModel, temperature: float) -> TwoChannel | None:
    return device.two_channel(temperature)


@lru_cache(maxsize=256)
def _plan(prepared: Prepared, temperature: float) -> _Plan | None:
    """Return the plan of a network that the compiled path can answer, or None."""
    array = prepared.network.arrays[0]
    if len(prepared.network.arrays) != 1 or array.rows * array.columns <= LARGEST or not numba_available():
        return None
    law = _law(array.device, temperature) if array.device.moves else None
    if law is None or prepared.systems[0].prepared.shorted:
        return None
    if any(side.floating for side in prepared.sides[0]):
        return None
    from cosim.backends.compiled import Limits, Wires

    _keep_memory()
    nets: NDArray[np.intp] = np.concatenate(
        [np.where(side.driven, side.nets, -1) for side in prepared.sides[0]]
    ).astype(np.intp)
    nothing = np.zeros((0, 0))
    losses = np.ascontiguousarray(array.end_losses)
    wires = Wires(
        array.word_segments if prepared.wires else nothing,
        array.bit_segments if prepared.wires else nothing,
        losses[0].copy(),
        losses[1].copy(),
        nets,
    )
    limits = Limits(
        0.0,
        0.0,
        _ACTIVE,
        _STATE_ERROR,
        _ENERGY_ERROR,
        goal(array.rows * array.columns),
        DEFAULT_TOLERANCE,
        MAX_ITERATIONS,
    )
    return _Plan(law, wires, np.maximum(nets, 0), limits)


def goal(cells: int) -> float:
    """Return the goal of the conjugate gradients, in the norm that they watch: see `solve_lines`."""
    return _GOAL * min(2.0, _CELLS_OF_GOAL / cells)


@cache
def _keep_memory() -> None:
    """Let the C library keep freed blocks of some MB: else every phase maps its work arrays anew.

    glibc raises its thresholds when a large block is freed; this one is never touched. Elsewhere it is
    without effect.
    """
    np.empty(1 << 21)


def answer(
    prepared: Prepared, state: FloatArray, level: Level, temperature: float, still: float, move: float,
) -> Answer | None:  # fmt: skip
    """Answer a phase of one level on one array, or return None: the general path must do it.

    ``still``, ``move``: see `cosim.backends.behavioral.Tolerances`.
    """
    plan = _plan(prepared, temperature)
    if plan is None:
        return None
    from cosim.backends import compiled

    array, nets = prepared.network.arrays[0], len(prepared.network.nets)
    cells = array.rows * array.columns
    x = np.ascontiguousarray(state).reshape(-1)
    results = np.zeros((3, cells))
    of_nets, figures = np.zeros((4, nets)), np.zeros(7)
    limits = compiled.Limits(still, move, *plan.limits[2:])
    lines = prepared.systems[0].prepared
    ends = level.voltage[plan.ends][None, :]
    bit = 2 * array.rows
    drive = (
        ends[:, : array.rows], ends[:, array.rows : bit], ends[:, bit : bit + array.columns],
        ends[:, bit + array.columns :],
    )  # fmt: skip
    code = compiled.pulse(
        x if x.flags.writeable else x.copy(), plan.law.law, plan.law.parameters, array.cell.series_resistance,
        lines.lines, lines.ends, drive, level.voltage, plan.wires, compiled.Times(*level.parts), limits,
        (results[0], results[1], results[2], of_nets, figures),
    )  # fmt: skip
    if code > compiled.MOVING:
        return None
    access, wires, ends, residual = figures[:4].tolist()
    energy = Energy(of_nets[1], of_nets[2], (results[2].reshape(array.shape),), access, wires, ends)
    return Answer(
        state + results[0].reshape(array.shape), results[1].reshape(array.shape), of_nets[0], energy, of_nets[3],
        residual, code == compiled.STILL,
    )  # fmt: skip
