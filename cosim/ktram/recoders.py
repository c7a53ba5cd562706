"""Recoders: from what lanes read to a tuple of lanes, as a pure rule or as a routine that also teaches them.

A recode policy is a rule on the vector of lane readings y. An AAT recoder drives lanes with instructions: it
reads them and feeds back. Source of names, order and defaults: the kT-RAM reference emulator (``docs/ktram.md``).
"""

from __future__ import annotations

import abc
from collections.abc import Hashable, Iterable, Sequence
from numbers import Integral
from typing import final

import numpy as np

from cosim.errors import KtramError
from cosim.ktram.aat import AAT
from cosim.ktram.core import Core

FEEDBACK = ("hard", "soft")
_FEW_LANES = 6
"""Below so many lanes one read after another is quicker (benchmarks/ktram_lanes.py)."""


class RecodePolicy(abc.ABC):
    """A rule without memory: readings of the lanes in, tuple of lane indices out."""

    @abc.abstractmethod
    def recode(self, y_vector: Sequence[float]) -> tuple[int, ...]:
        """Return the lanes that ``y_vector`` (one reading y, -1 to 1, for each lane) stands for."""


@final
class Winner(RecodePolicy):
    """The lane with the highest reading, the first one of equals."""

    def recode(self, y_vector: Sequence[float]) -> tuple[int, ...]:
        return (strongest(y_vector),)


@final
class AboveZero(RecodePolicy):
    """Every lane that reads above 0, in the order of the lanes."""

    def recode(self, y_vector: Sequence[float]) -> tuple[int, ...]:
        return tuple(lane for lane, y in enumerate(y_vector) if y > 0)


@final
class WinnerAboveZero(RecodePolicy):
    """The lane with the highest reading where that is above 0, no lane otherwise."""

    def recode(self, y_vector: Sequence[float]) -> tuple[int, ...]:
        if not len(y_vector):
            return ()
        lane = strongest(y_vector)
        return (lane,) if y_vector[lane] > 0 else ()


def strongest(y_vector: Sequence[float]) -> int:
    """Return the lane with the highest reading, the first one of equals."""
    if not len(y_vector):
        raise KtramError("Winner: there is no reading: give at least one lane")
    return max(range(len(y_vector)), key=lambda lane: y_vector[lane])


def rank_cut(y_vector: Sequence[float], Vt: float = 0.0, N: int | None = None) -> tuple[int, ...]:
    """Return the lanes that read ``Vt`` or more, the strongest first, at most ``N`` of them.

    Lanes of equal reading keep their order. ``(-inf, 1)`` is the winner, ``(0, 1)`` the winner from 0 on,
    ``(0, None)`` all lanes from 0 on. ``Vt`` and the readings are in parts of the applied voltage, -1 to 1.
    """
    above = [lane for lane, y in enumerate(y_vector) if y >= Vt]
    above.sort(key=lambda lane: y_vector[lane], reverse=True)
    return tuple(above[:N])


def read_lanes(core: Core, aat: AAT, lanes: int) -> list[float]:
    """Read the first ``lanes`` lanes of ``core`` at low voltage (FFLV) and return y of each.

    The result and the draws are those of one FFLV after another, lane by lane. Where no device can move at the
    low voltage, and lanes are many, they are read in one go on the array of the core's state.
    """
    active = core.book.active(aat)
    if (
        lanes < _FEW_LANES
        or core.fidelity_name != "ideal"
        or not len(active)
        or not _still_at_low_voltage(core)
    ):
        return [core.evaluate(aat, "FFLV", lane) for lane in range(lanes)]
    numbers = np.asarray(active) // 2 if isinstance(active, list) else active
    pairs = core.law.conductances(core.state[:lanes].take(numbers, axis=1).astype(np.float64))
    a, b = pairs[..., 0], pairs[..., 1]
    # accumulate adds strictly left to right, as a single read does
    tops, bottoms = np.add.accumulate(a - b, axis=1)[:, -1], np.add.accumulate(a + b, axis=1)[:, -1]
    readings = []
    for lane, (top, bottom) in enumerate(zip(tops.tolist(), bottoms.tolist(), strict=True)):
        y = core.read_sample(core.topology.activation(top, bottom), bottom, core.forward_low_voltage)
        core.lane(lane).y = y
        readings.append(y)
    return readings


def _still_at_low_voltage(core: Core) -> bool:
    """Tell whether no device can move in a low-voltage read, whose voltages are at most twice the applied one.

    The dead zones of the laws depend on the voltage alone, so one device in the middle of its range tells.
    """
    law, extreme = core.law, 2 * core.forward_low_voltage
    middle = law.stored((law.g_min + law.g_max) / 2)
    return not law.stochastic and all(
        law.step(middle, voltage, core.pulse_width, core.rng) == middle for voltage in (extreme, -extreme)
    )


class AATRecoder:
    """Lanes of a core, one for each label, open to single instructions.

    Parameters
    ----------
    core
        The core whose first ``len(labels)`` lanes are used.
    labels
        What each lane stands for.
    """

    def __init__(self, core: Core, labels: Iterable[Hashable]) -> None:
        self.core = core
        self.labels = list(labels)
        self._lane_of = {label: lane for lane, label in enumerate(self.labels)}

    def evaluate(self, aat: AAT, instruction: str, lane: int) -> float:
        """Execute one instruction on one lane and return its reading y."""
        return self.core.evaluate(aat, instruction, lane)

    def read_lanes(self, aat: AAT) -> list[float]:
        """Read every lane at low voltage (FFLV), in their order, and return the readings."""
        return read_lanes(self.core, aat, len(self.labels))


@final
class RankCut(AATRecoder):
    """Supervised lanes, one for each label: ``read`` recodes, ``adapt`` also teaches.

    Parameters
    ----------
    core, labels
        As of :class:`AATRecoder`.
    Vt, N
        Threshold and number of :func:`rank_cut`, for what is returned; teaching does not depend on them.
    """

    def __init__(self, core: Core, labels: Iterable[Hashable], Vt: float = 0.0, N: int | None = None) -> None:
        super().__init__(core, labels)
        self.Vt = Vt
        self.N = N

    def read(self, in_aat: AAT) -> tuple[int, ...]:
        """Return the lanes for ``in_aat``, read at low voltage (FFLV)."""
        return rank_cut(self.read_lanes(in_aat), self.Vt, self.N)

    def adapt(self, in_aat: AAT, teach: Iterable[Hashable], feedback: str = "hard") -> tuple[int, ...]:
        """Read every lane (FF), then teach each one, and return the lanes of that reading.

        A lane in ``teach`` (labels, or lane indices) is raised (RH). Another one is lowered (RL) where it read
        above 0 and ``feedback`` is ``hard``, and read in reverse (RF) in all other cases.

        Raises
        ------
        KtramError
            ``feedback`` is neither ``hard`` nor ``soft``, or ``teach`` names no lane.
        """
        if feedback not in FEEDBACK:
            raise KtramError(
                f"RankCut.adapt: feedback must be one of {', '.join(FEEDBACK)}, got {feedback!r}"
            )
        targets = {self._lane(target) for target in teach}
        y = [self.evaluate(in_aat, "FF", lane) for lane in range(len(self.labels))]
        for lane, reading in enumerate(y):
            if lane in targets:
                self.evaluate(in_aat, "RH", lane)
            else:
                self.evaluate(in_aat, "RL" if reading > 0 and feedback == "hard" else "RF", lane)
        return rank_cut(y, self.Vt, self.N)

    def _lane(self, target: Hashable) -> int:
        """Return the lane of a label, or of a lane index that is no label."""
        lane = self._lane_of.get(target, target)
        if not isinstance(lane, Integral) or not 0 <= lane < len(self.labels):
            raise KtramError(
                f"RankCut: {target!r} is neither a label nor a lane of 0 to {len(self.labels) - 1}"
            )
        return int(lane)
