"""The frequent case, compiled: one array, one level, cells with a two-channel law.

Most phases are single trapezoidal pulses or reads on one array: every drive is a share of one level.
Where numba is at hand, `cosim.backends.compiled` answers such a phase in one call; `answer` prepares it
and returns None for a phase of another kind, or one that the compiled path refuses.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cosim.backends.response import Prepared
from cosim.crossbar.backend import Energy
from cosim.crossbar.dense import LARGEST
from cosim.crossbar.drive import PhaseShape
from cosim.crossbar.lines import DEFAULT_TOLERANCE, MAX_ITERATIONS, numba_available
from cosim.devices.base import DeviceModel, FloatArray, TwoChannel

if TYPE_CHECKING:
    from cosim.backends.compiled import Limits, Wires
    from cosim.backends.compiled_motion import Times

_STATE_ERROR = 1e-6
_ENERGY_ERROR = 5e-6
_ACTIVE = 1e-11
_CELLS_OF_GOAL = 8000.0
_GOAL = 5e-10  # the step that measures the residual gains two orders; it iterates on where that is not enough


class Level(NamedTuple):
    """A phase of one level: ``voltage`` of each distinct waveform there, its share at each corner, the parts [s]."""

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


@lru_cache(maxsize=512)
def find_level(shape: PhaseShape) -> Level | None:
    """Return the single level of phases of this shape, or None."""
    rows = [tuple(v if v == v else 0.0 for v in row) for row in shape.columns.tolist()]
    lengths = shape.lengths
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
    return Level(np.array(rows[first]), tuple(map(float, live)), parts)


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """What does not change from phase to phase of one prepared array."""

    law: TwoChannel
    wires: Wires
    line_ends: FloatArray
    limits: Limits
    pulse: Callable[..., int]
    times: type[Times]


_STILL, _MOVING = 0, 1  # the codes of `cosim.backends.compiled`; larger ones refuse


@lru_cache(maxsize=256)
def _law(device: DeviceModel, temperature: float) -> TwoChannel | None:
    return device.two_channel(temperature)


@lru_cache(maxsize=256)
def plan(prepared: Prepared, temperature: float, still: float, move: float) -> Plan | None:
    """Return the plan of a network whose phases of one level the compiled path can answer, or None.

    ``still``, ``move``: see `cosim.backends.behavioral.Tolerances`.
    """
    array = prepared.network.arrays[0]
    if len(prepared.network.arrays) != 1 or array.rows * array.columns <= LARGEST or not numba_available():
        return None
    law = _law(array.device, temperature) if array.device.moves else None
    if law is None or prepared.systems[0].prepared.shorted:
        return None
    if any(side.floating for side in prepared.sides[0]):
        return None
    from cosim.backends import compiled
    from cosim.backends.compiled_motion import Times

    _keep_memory()
    nets: NDArray[np.intp] = np.concatenate(
        [np.where(side.driven, side.nets, -1) for side in prepared.sides[0]]
    ).astype(np.intp)
    nothing = np.zeros((0, 0))
    wires = compiled.Wires(
        array.word_segments if prepared.wires else nothing,
        array.bit_segments if prepared.wires else nothing,
        np.ascontiguousarray(array.end_losses),
        nets,
        _reach(prepared),
    )
    limits = compiled.Limits(
        still,
        move,
        _ACTIVE,
        _STATE_ERROR,
        _ENERGY_ERROR,
        goal(array.rows * array.columns),
        DEFAULT_TOLERANCE,
        MAX_ITERATIONS,
    )
    g_left, g_right, g_top, g_bottom, through_word, through_bit = prepared.systems[0].prepared.ends
    line_ends = np.concatenate((g_left, g_right, through_word, g_top, g_bottom, through_bit))
    return Plan(law, wires, line_ends, limits, compiled.pulse, Times)


def _reach(prepared: Prepared) -> FloatArray:
    """Return the resistance of each word, then of each bit line: all its segments and one end [ohm]."""
    system = prepared.systems[0]
    word = np.broadcast_to(system.r_word, (system.rows, max(system.columns - 1, 0))).sum(axis=1)
    bit = np.broadcast_to(system.r_bit, (max(system.rows - 1, 0), system.columns)).sum(axis=0)
    ends = (np.minimum(system.r_left, system.r_right), np.minimum(system.r_top, system.r_bottom))
    word = word + np.where(ends[0] < np.inf, ends[0], 0.0)
    return np.concatenate((word, bit + np.where(ends[1] < np.inf, ends[1], 0.0)))


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
    chosen: Plan, prepared: Prepared, state: FloatArray, voltage: FloatArray, parts: Sequence[float]
) -> Answer | None:
    """Answer a phase of one level on one array, or return None: the general path must do it.

    ``voltage`` ``(nets,)`` [V] at the level, ``parts``: see `Level`.
    """
    array = prepared.network.arrays[0]
    x = state if state.flags.c_contiguous and state.flags.writeable else state.copy(order="C")
    results, of_nets, figures = np.empty((3, *array.shape)), np.zeros((4, voltage.size)), np.zeros(7)
    code = chosen.pulse(
        x, chosen.law.law, chosen.law.parameters, array.cell.series_resistance, prepared.systems[0].prepared.packed,
        chosen.line_ends, voltage, chosen.wires, chosen.times(*parts), chosen.limits, results,
        of_nets, figures,
    )  # fmt: skip
    if code > _MOVING:
        return None
    after, exposure, cells = results
    access, wires, line_ends, residual = figures[:4].tolist()
    energy = Energy(of_nets[1], of_nets[2], (cells,), access, wires, line_ends)
    return Answer(after, exposure, of_nets[0], energy, of_nets[3], residual, code == _STILL)
