"""What happens to the nets over one phase: waveforms, strobes, stop conditions.

Times within a phase are integer femtoseconds from its start. A net that a phase does not name floats.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import chain, compress, pairwise
from typing import Literal, TypeVar, final

import numpy as np
from numpy.typing import NDArray

from cosim.crossbar.network import Network
from cosim.devices.base import FloatArray
from cosim.errors import CrossbarError
from cosim.units import seconds

_W = TypeVar("_W")
_FEW = 8
"""Phases of at most so many distinct waveforms have their shape kept: see `phase_shape`."""


@dataclass(frozen=True, slots=True)
class Waveform:
    """A piecewise-linear voltage: ``voltages`` [V] at ``times_fs``, constant before and after."""

    times_fs: tuple[int, ...]
    voltages: tuple[float, ...]
    swing: float = field(init=False, repr=False, compare=False)
    """Difference of the highest and the lowest voltage [V]."""

    def __post_init__(self) -> None:
        if len(self.times_fs) != len(self.voltages) or not self.times_fs:
            raise CrossbarError(
                f"a waveform needs as many times as voltages, not {len(self.times_fs)} and {len(self.voltages)}"
            )
        if any(later <= earlier for earlier, later in pairwise(self.times_fs)):
            raise CrossbarError(f"the times of a waveform must increase, but are {self.times_fs}")
        if not all(abs(voltage) < float("inf") for voltage in self.voltages):
            raise CrossbarError(f"the voltages of a waveform must be finite, but are {self.voltages}")
        object.__setattr__(self, "swing", max(self.voltages) - min(self.voltages))

    @property
    def is_level(self) -> bool:
        """Whether the voltage never changes."""
        return len(set(self.voltages)) == 1

    def at(self, times_fs: FloatArray) -> FloatArray:
        """Return the voltage [V] at the given times [fs]."""
        return np.interp(times_fs, self.times_fs, self.voltages)


@final
class GroupedDrives(Mapping[str, Waveform]):
    """Drives of the nets of a network that share few waveforms: a mapping, handled by group.

    ``group`` ``(nets,)``: for each of ``network.nets`` the number of its waveform in ``waveforms``, where
    None stands for nets that float; ``gates``: the driven gate nets. What many nets have in common is
    thus computed once, not net by net.
    """

    __slots__ = ("gates", "group", "network", "waveforms")

    def __init__(
        self,
        network: Network,
        waveforms: tuple[Waveform | None, ...],
        group: NDArray[np.intp],
        gates: Mapping[str, Waveform],
    ) -> None:
        self.network, self.waveforms, self.group, self.gates = network, waveforms, group, gates

    def __getitem__(self, net: str) -> Waveform:
        position = self.network.net_index.get(net)
        wave = None if position is None else self.waveforms[self.group[position]]
        return self.gates[net] if wave is None else wave

    def __iter__(self) -> Iterator[str]:
        driven = np.array([wave is not None for wave in self.waveforms])[self.group]
        return chain(compress(self.network.nets, driven.tolist()), self.gates)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __reduce__(self) -> tuple[type[GroupedDrives], tuple[object, ...]]:
        return GroupedDrives, (self.network, self.waveforms, self.group, self.gates)

    def restricted(self, network: Network, nets: NDArray[np.intp]) -> GroupedDrives:
        """Return the drives of a network whose nets are those at ``nets`` of this one."""
        kept, group = np.unique(self.group[nets], return_inverse=True)
        return GroupedDrives(network, tuple(self.waveforms[k] for k in kept.tolist()), group, self.gates)

    def squared_swing(self, nets: NDArray[np.intp]) -> float:
        """Return the sum of the squared swings [V^2] of the nets at these positions."""
        counts = np.bincount(self.group[nets], minlength=len(self.waveforms)).tolist()
        pairs = zip(counts, self.waveforms, strict=True)
        return sum((count * wave.swing**2 for count, wave in pairs if wave is not None), start=0.0)


def grouped(network: Network, drives: Mapping[str, Waveform]) -> GroupedDrives:
    """Return drives by net as drives by group; a net that is not named floats."""
    if isinstance(drives, GroupedDrives):
        return drives
    waveforms, group = _groups(drives, network.nets)
    gates = {net: drives[net] for net in network.gate_nets if net in drives}
    return GroupedDrives(network, waveforms, group, gates)


@lru_cache(maxsize=1024, typed=True)
def level(voltage: float) -> Waveform:
    """Return a constant voltage [V]."""
    return Waveform((0,), (voltage + 0.0,))  # no -0.0: equal to 0.0 for the cache


@lru_cache(maxsize=1024, typed=True)
def pulse(
    amplitude: float, *, width_fs: int, rise_fs: int, fall_fs: int, delay_fs: int = 0, base: float = 0.0
) -> Waveform:
    """Return a trapezoidal pulse; ``width_fs`` is the plateau, as in SPICE.

    ``amplitude`` and ``base`` in volts. Edges and plateau must last at least one femtosecond.
    """
    if min(width_fs, rise_fs, fall_fs) < 1 or delay_fs < 0:
        raise CrossbarError(
            "the edges and the plateau of a pulse must last at least 1 fs, and its delay must not be negative"
        )
    low, high = base + 0.0, amplitude + 0.0  # no -0.0: equal to 0.0 for the cache
    start = (0,) if delay_fs else ()
    top = delay_fs + rise_fs
    times = (*start, delay_fs, top, top + width_fs, top + width_fs + fall_fs)
    return Waveform(times, (*(low for _ in start), low, high, high, low))


@dataclass(frozen=True, slots=True)
class StopCondition:
    """Ends a phase early: when a net's voltage or current crosses a threshold.

    ``threshold`` in volt or ampere; the crossing counts in the given direction, and ``delay_fs`` later
    the drivers of ``nets`` ramp to ``level`` [V] within ``ramp_fs``. A current is positive into the
    array. See `cosim.crossbar.stopping` for what follows. A net that nothing conducts to never crosses.
    """

    net: str
    quantity: Literal["voltage", "current"]
    threshold: float
    direction: Literal["rising", "falling"]
    delay_fs: int
    nets: tuple[str, ...]
    level: float
    ramp_fs: int

    def __post_init__(self) -> None:
        if not abs(self.threshold) < float("inf") or not abs(self.level) < float("inf"):
            raise CrossbarError(
                f"threshold and level of a stop condition must be finite, not {self.threshold} and {self.level}"
            )
        if self.delay_fs < 0 or self.ramp_fs < 1:
            raise CrossbarError(
                f"the delay of a stop condition must not be negative and its ramp last at least 1 fs, not {self.delay_fs} and {self.ramp_fs} fs"
            )
        if not self.nets:
            raise CrossbarError("a stop condition must name the nets whose drivers ramp")


@dataclass(frozen=True, slots=True)
class Phase:
    """One phase: ``kind`` (read, write, verify ...), duration, driven nets, strobes, what to save.

    ``save`` names nets whose waveform the result keeps for display. Gate nets hold one level for the
    whole phase.
    """

    kind: str
    duration_fs: int
    drives: Mapping[str, Waveform]
    strobes_fs: tuple[int, ...] = ()
    save: tuple[str, ...] = ()
    stops: tuple[StopCondition, ...] = field(default=())

    def __post_init__(self) -> None:
        if self.duration_fs < 1:
            raise CrossbarError(f"a phase must last at least 1 fs, not {self.duration_fs}")
        if any(not 0 <= strobe <= self.duration_fs for strobe in self.strobes_fs):
            raise CrossbarError(
                f"the strobes {self.strobes_fs} must lie within the phase of {self.duration_fs} fs"
            )
        for stop in self.stops:
            floating = [net for net in stop.nets if net not in self.drives]
            if floating:
                raise CrossbarError(
                    f"a stop condition must name driven nets to ramp, but nothing drives {floating[0]}"
                )

    def corners_fs(self) -> tuple[int, ...]:
        """Return every instant where a drive bends or a strobe samples, with 0 and the end."""
        drives = self.drives
        if isinstance(drives, GroupedDrives):
            return _corners(drives.waveforms, self.duration_fs, self.strobes_fs)  # gates hold one level
        return _corners(distinct(drives.values()), self.duration_fs, self.strobes_fs)

    def gate_level(self, net: str) -> float:
        """Return the level [V] of a gate net; an undriven gate is at 0 V.

        Raises `CrossbarError` for a gate that changes during the phase.
        """
        waveform = self.drives.get(net)
        if waveform is None:
            return 0.0
        if not waveform.is_level:
            raise CrossbarError(
                f"gate net {net} must hold one level during a phase; use one phase for each level"
            )
        return waveform.voltages[0]


def pulse_count(phase: Phase) -> int:
    """Return the number of pulses in a phase: how often its busiest net leaves the level at which it starts."""
    most = 1
    for waveform in distinct(phase.drives.values()):
        away = np.array(waveform.voltages) != waveform.voltages[0]
        most = max(most, int(np.count_nonzero(away[1:] & ~away[:-1])))
    return most


def distinct(waveforms: Iterable[_W]) -> list[_W]:
    """Return each object once, in order: many nets of a phase share one waveform."""
    values = list(waveforms)
    return list(dict(zip(map(id, values), values)).values())  # noqa: B905  (the same list twice)


def drive_table(phase: Phase, nets: Sequence[str], times_fs: Sequence[int]) -> FloatArray:
    """Return the voltage of each net at each time, shape ``(times, nets)``; NaN where a net floats."""
    waveforms, index = _groups(phase.drives, nets)
    return np.ascontiguousarray(_columns(waveforms, times_fs)[:, index])


@dataclass(frozen=True, slots=True, eq=False)
class PhaseShape:
    """A phase without its nets: corners [fs], the time between them [s], and ``columns``.

    ``columns`` ``(corners, waveforms)``: voltage of each distinct waveform [V], NaN for a net that floats;
    ``floats``: whether one does.
    """

    corners: tuple[int, ...]
    lengths: tuple[float, ...]
    columns: FloatArray
    floats: bool

    def driven(self, net_column: NDArray[np.intp]) -> tuple[bool, ...] | None:
        """Return whether each net, whose column is given, is driven; None if all are."""
        if not self.floats:
            return None
        return tuple((self.columns[0] == self.columns[0])[net_column].tolist())


def phase_shape(phase: Phase, nets: Sequence[str]) -> tuple[PhaseShape, NDArray[np.intp]]:
    """Return the shape of a phase, and which of its columns each net has.

    Programming repeats a few waveforms on changing lines, so the shape of a phase of few is kept.
    """
    waveforms, index = _groups(phase.drives, nets)
    make = _kept_shape if len(waveforms) <= _FEW else _shape
    return make(waveforms, phase.duration_fs, phase.strobes_fs), index


def _groups(
    drives: Mapping[str, Waveform], nets: Sequence[str]
) -> tuple[tuple[Waveform | None, ...], NDArray[np.intp]]:
    """Return the distinct waveforms, None for a net that floats, and which of them each net has."""
    if isinstance(drives, GroupedDrives) and drives.network.nets is nets:
        return drives.waveforms, drives.group
    chosen = list(map(drives.get, nets))
    waveforms = distinct(chosen)
    position = {id(wave): k for k, wave in enumerate(waveforms)}
    index = np.fromiter(map(position.__getitem__, map(id, chosen)), np.intp, len(chosen))
    return tuple(waveforms), index


def _columns(waveforms: Sequence[Waveform | None], times_fs: Sequence[int]) -> FloatArray:
    times = np.asarray(times_fs, dtype=np.float64)
    floating = np.full(len(times_fs), np.nan)
    return np.array([floating if wave is None else wave.at(times) for wave in waveforms]).T


def _corners(
    waveforms: Iterable[Waveform | None], duration_fs: int, strobes_fs: tuple[int, ...]
) -> tuple[int, ...]:
    instants = {0, duration_fs, *strobes_fs}
    for waveform in waveforms:
        if waveform is not None and len(waveform.times_fs) > 1:
            instants.update(t for t in waveform.times_fs if 0 < t < duration_fs)
    return tuple(sorted(instants))


def _shape(
    waveforms: tuple[Waveform | None, ...], duration_fs: int, strobes_fs: tuple[int, ...]
) -> PhaseShape:
    corners = _corners(waveforms, duration_fs, strobes_fs)
    lengths = tuple(seconds(b - a) for a, b in pairwise(corners))
    return PhaseShape(corners, lengths, _columns(waveforms, corners), None in waveforms)


_kept_shape = lru_cache(maxsize=512)(_shape)
