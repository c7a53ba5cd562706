"""Codebooks learned without labels: the lane that reads highest is its own teacher.

A basis group decides by a low-voltage read of all lanes and then gives the winner (FF, RH) and every other
lane that fired (FF, RL). Exclusion keeps a lane that has won in the current cycle from being rewarded again;
a cycle ends when every lane has won. Where it stalls, recruitment rewards the highest lane that has not won
yet, or the cycle is reset. In a circuit that is one flip-flop a lane, an AND of them and a shared counter.
Source of names, order and defaults: the kT-RAM reference emulator (``docs/ktram.md``).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, final

from cosim.errors import UnknownKeyError
from cosim.ktram.aat import AAT
from cosim.ktram.core import Core
from cosim.ktram.encoders import crossbar_columns
from cosim.ktram.recoders import AATRecoder, strongest

ABANDON_ACTIONS = ("recruit", "reset")


@final
class BasisGroup(AATRecoder):
    """One group of lanes that compete: a tuple in, the winning lane out.

    Parameters
    ----------
    core
        The core whose first ``channels`` lanes are the group.
    channels
        Number of lanes.
    gather_abandon
        Updates after which a cycle counts as stalled. None: ``channels`` with recruitment or with the action
        ``reset``, never otherwise.
    exclusion
        A lane that has won in this cycle gets no feedback.
    recruitment
        With the action ``recruit``, a stalled cycle rewards the highest lane that has not won yet.
    abandon_action
        ``recruit``, or ``reset``: a stalled cycle is cleared, and nobody is rewarded.

    Raises
    ------
    UnknownKeyError
        ``abandon_action`` is none of the two.

    Attributes
    ----------
    n_adapt, n_throttled, n_recruited, n_instructions
        Updates; those without feedback because of exclusion; lanes rewarded by recruitment; instructions
        spent on feedback (two for each correction).
    win_counts
        Updates won, for each lane.
    cycles, cycle_lengths
        Number of cycles that ended (completed, or reset), and the updates that each of them took.
    """

    def __init__(
        self,
        core: Core,
        channels: int,
        *,
        gather_abandon: int | None = None,
        exclusion: bool = True,
        recruitment: bool = True,
        abandon_action: str = "recruit",
    ) -> None:
        super().__init__(core, range(channels))
        if abandon_action not in ABANDON_ACTIONS:
            raise UnknownKeyError(
                f"BasisGroup: abandon_action must be one of {', '.join(ABANDON_ACTIONS)}, got {abandon_action!r}"
            )
        if gather_abandon is None and (recruitment or abandon_action == "reset"):
            gather_abandon = channels
        self.channels = channels
        self.gather_abandon = gather_abandon
        self.exclusion = exclusion
        self.recruitment = recruitment
        self.abandon_action = abandon_action
        self.cycles = 0
        self._won: set[int] = set()
        self._count = 0
        self.reset_stats()

    def reset_stats(self) -> None:
        """Set the counters to 0; the current cycle goes on."""
        self.n_adapt = self.n_throttled = self.n_recruited = self.n_instructions = 0
        self.win_counts = [0] * self.channels
        self.cycle_lengths: list[int] = []

    def read_scores(self, in_aat: AAT) -> list[float]:
        """Return the low-voltage reading (FFLV) of every lane."""
        return self.read_lanes(in_aat)

    def winner(self, in_aat: AAT) -> int:
        """Return the lane that reads highest; nothing is learned."""
        return strongest(self.read_scores(in_aat))

    def read(self, in_aat: AAT) -> int:
        """Return the code of ``in_aat``: the lane that reads highest."""
        return self.winner(in_aat)

    def adapt(self, in_aat: AAT) -> int:
        """Learn from ``in_aat`` and return the winning lane.

        A recruited lane is chosen by the readings before any feedback and from the lanes that had won before
        this update: it may be the winner itself.
        """
        y = self.read_scores(in_aat)
        winner = strongest(y)
        if self.exclusion and winner in self._won:
            self.n_throttled += 1
        else:
            self._correct(in_aat, winner, "RH")
            for lane, reading in enumerate(y):
                if lane != winner and reading > 0:
                    self._correct(in_aat, lane, "RL")
        if self.gather_abandon is not None and self._count >= self.gather_abandon:
            self._resume_stalled_cycle(in_aat, y)
        self._won.add(winner)
        self._count += 1
        if len(self._won) >= self.channels:
            self._end_cycle()
        self.n_adapt += 1
        self.win_counts[winner] += 1
        return winner

    @property
    def throttle_rate(self) -> float:
        """Part of the updates that exclusion left without feedback."""
        return self.n_throttled / self.n_adapt if self.n_adapt else 0.0

    @property
    def recruit_rate(self) -> float:
        """Lanes recruited per update."""
        return self.n_recruited / self.n_adapt if self.n_adapt else 0.0

    @property
    def mean_cycle_length(self) -> float:
        """Mean number of updates of the cycles that ended; not a number before the first one."""
        lengths = self.cycle_lengths
        return sum(lengths) / len(lengths) if lengths else math.nan

    @property
    def codebook_utilization(self) -> float:
        """Part of the lanes that have won at least once."""
        return sum(count > 0 for count in self.win_counts) / self.channels

    @property
    def winner_entropy(self) -> float:
        """Entropy of the winners [bit]; log2(channels) where all lanes win equally often."""
        total = sum(self.win_counts)
        return -sum(n / total * math.log2(n / total) for n in self.win_counts if n) if total else 0.0

    def _correct(self, in_aat: AAT, lane: int, reverse: str) -> None:
        """Read forward and feed back in reverse: always the pair, so that the magnitude stays in balance."""
        self.evaluate(in_aat, "FF", lane)
        self.evaluate(in_aat, reverse, lane)
        self.n_instructions += 2

    def _resume_stalled_cycle(self, in_aat: AAT, y: Sequence[float]) -> None:
        """Recruit a lane, or clear the cycle; with neither allowed the cycle stays as it is."""
        if self.recruitment and self.abandon_action == "recruit":
            idle = [lane for lane in range(self.channels) if lane not in self._won]
            if idle:
                recruit = max(idle, key=lambda lane: y[lane])
                self._correct(in_aat, recruit, "RH")
                self._won.add(recruit)
                self.n_recruited += 1
        elif self.abandon_action == "reset":
            self._end_cycle()

    def _end_cycle(self) -> None:
        self.cycle_lengths.append(self._count)
        self.cycles += 1
        self._won.clear()
        self._count = 0


@final
class BasisEncoder:
    """Several groups on the same tuple, each with a core of its own: a tuple in, the tuple of winners out.

    Parameters
    ----------
    space_sizes
        Channels of each input space.
    n_groups, channels
        Number of groups, and of lanes in each.
    model, init, read_noise
        As of :class:`~cosim.ktram.core.Core`.
    gather_abandon, exclusion, recruitment
        As of :class:`BasisGroup`.
    seed
        Group g has the seed ``seed + g``; None: unseeded.
    core_kwargs
        Further arguments of the cores.
    """

    def __init__(
        self,
        space_sizes: Sequence[int],
        n_groups: int = 1,
        channels: int = 32,
        *,
        model: str = "byte",
        init: str = "low",
        gather_abandon: int | None = None,
        exclusion: bool = True,
        recruitment: bool = True,
        read_noise: float = 0,
        seed: int | None = None,
        **core_kwargs: Any,
    ) -> None:
        self.space_sizes = list(space_sizes)
        self.n_groups = n_groups
        self.channels = channels
        columns = crossbar_columns(self.space_sizes)
        self.groups = []
        for group in range(n_groups):
            core = Core(
                1, columns, spaces_per_lane=len(self.space_sizes), num_lanes=channels, model=model, init=init,
                read_noise=read_noise, seed=None if seed is None else seed + group, **core_kwargs,
            )  # fmt: skip
            self.groups.append(
                BasisGroup(
                    core,
                    channels,
                    gather_abandon=gather_abandon,
                    exclusion=exclusion,
                    recruitment=recruitment,
                )
            )

    @property
    def out_space_sizes(self) -> list[int]:
        """Channels of each output space: one space a group."""
        return [self.channels] * self.n_groups

    def read(self, in_aat: AAT) -> tuple[int, ...]:
        """Return the winners for ``in_aat``; nothing is learned."""
        return tuple(group.read(in_aat) for group in self.groups)

    def adapt(self, in_aat: AAT) -> tuple[int, ...]:
        """Learn from ``in_aat`` in every group and return the winners."""
        return tuple(group.adapt(in_aat) for group in self.groups)

    def set_gather_abandon(self, value: int | None) -> None:
        """Set after how many updates a cycle of any group counts as stalled."""
        for group in self.groups:
            group.gather_abandon = value

    def reset_stats(self) -> None:
        """Set the counters of all groups to 0."""
        for group in self.groups:
            group.reset_stats()
