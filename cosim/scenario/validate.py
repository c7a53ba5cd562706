"""Cross-validation: the same phases answered by the behavioral backend and by ngspice.

Phase by phase: a seeded sample of the run's phases (every kind present) is simulated by ngspice from
the same state. Free-running: the first phases of the run are simulated with ngspice carrying its own
state from phase to phase, so that deviations may add up. A kT-RAM program is run again for that, on ngspice, so that its
decisions are those of the circuit too.
"""

from __future__ import annotations

import contextlib
import dataclasses
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, final

import numpy as np

from cosim.components.tile import aged_state
from cosim.crossbar.backend import CrossbarBackend, PassingBackend, PhaseRequest, PhaseResult
from cosim.errors import CosimError, InputError, PhaseError, RunInterruptedError
from cosim.rng import stream_seed
from cosim.scenario.build import LANES, Backends, Wrap
from cosim.scenario.ktram import lanes_on_ngspice
from cosim.scenario.load import Scenario
from cosim.scenario.overlays import overlays
from cosim.scenario.run import Result, run
from cosim.scenario.tap import Tap
from cosim.units import seconds

if TYPE_CHECKING:
    import pandas as pd


@dataclass(slots=True)
class _Kept:
    """One phase of the run: its place, its request, the behavioral answer."""

    index: int
    tile: str
    request: PhaseRequest
    result: PhaseResult
    wall_s: float
    backend: CrossbarBackend


@dataclass(slots=True)
class Recorder:
    """Keeps the first phases, and a reservoir sample of each kind, whatever the length of the run."""

    first: int
    per_kind: int | None
    rng: random.Random
    opening: list[_Kept] = field(default_factory=list)
    sampled: dict[str, list[_Kept]] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    total: int = 0

    def keep(
        self, tile: str, request: PhaseRequest, result: PhaseResult, wall_s: float, backend: CrossbarBackend
    ) -> None:
        """Consider one phase, which ``backend`` has answered."""
        kept = _Kept(self.total, tile, request, result, wall_s, backend)
        self.total += 1
        if len(self.opening) < self.first:
            self.opening.append(kept)
        kind = request.phase.kind
        seen = self.counts.get(kind, 0)
        self.counts[kind] = seen + 1
        reservoir = self.sampled.setdefault(kind, [])
        if self.per_kind is None or len(reservoir) < self.per_kind:
            reservoir.append(kept)
        else:
            place = self.rng.randint(0, seen)
            if place < self.per_kind:
                reservoir[place] = kept


def recorder(per_kind: int | None, rng: random.Random, first: int = 0) -> tuple[Recorder, Wrap]:
    """Return a recorder and the wrap for `run` that shows it every phase.

    ``per_kind``: size of the sample of each phase kind (None: all); ``first``: phases kept from the start.
    """
    keeper = Recorder(first, per_kind, rng)
    return keeper, lambda tile, inner: _Recording(tile, inner, keeper)


@final
class _Recording(PassingBackend):
    """Passes requests on and shows request and answer to a recorder."""

    def __init__(self, tile: str, inner: CrossbarBackend, recorder: Recorder) -> None:
        super().__init__(inner)
        self._tile, self._recorder = tile, recorder

    def run(self, request: PhaseRequest) -> PhaseResult:
        began = time.perf_counter()
        result = self._inner.run(request)
        self._recorder.keep(self._tile, request, result, time.perf_counter() - began, self._inner)
        return result


@dataclass(frozen=True, slots=True, eq=False)
class Crosscheck:
    """The outcome: ``content`` is what ``crosscheck.json`` holds; ``result`` the behavioral run."""

    content: dict[str, Any]
    result: Result

    @property
    def passed(self) -> bool:
        """Whether every figure is within its tolerance."""
        return bool(self.content["passed"])

    @property
    def worst(self) -> dict[str, float]:
        """The largest deviation of each kind."""
        worst: dict[str, float] = self.content["worst"]
        return worst

    def frame(self) -> pd.DataFrame:
        """Return the checked phases as a pandas frame."""
        import pandas as pd

        return pd.DataFrame(self.content["phases"])


Spice = Mapping[str, Mapping[str, CrossbarBackend]]
"""The ngspice backend of each tile and phase kind."""


def _ngspice(scenario: Scenario, spice: Backends) -> Spice:
    if scenario.section.ktram is not None:
        lanes = lanes_on_ngspice(scenario, spice)
        return {LANES: {"read": lanes, "write": lanes}}
    return {
        tile: spice.of(tile, section.backend, section.fidelity, ("tiles", tile, "backend"))
        for tile, section in scenario.section.tiles.items()
    }


def _twins(scenario: Scenario, kept: list[_Kept]) -> list[_Kept]:
    """Return the phases that both sides describe; raises `InputError` where there is none."""
    if scenario.section.ktram is not None:
        return kept
    tiles = scenario.section.tiles
    both = [entry for entry in kept if tiles[entry.tile].backend[entry.request.phase.kind].twin]
    if kept and not both:
        raise InputError(
            "there is nothing to compare: every phase is answered by a netlist without a behavioral twin (twin: false)"
        )
    return both


def validate(
    scenario: Scenario,
    *,
    every: bool = False,
    out: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
    running: Callable[[int, int], None] | None = None,
) -> Crosscheck:
    """Check a scenario's run against ngspice; ``every`` takes all phases instead of a sample.

    ``running`` and ``progress`` are called with what is done and what there is, during the behavioral run and
    during the phases in ngspice. After a `RunInterruptedError` of theirs the folder ``out`` holds the run.

    Raises `SpiceMissingError` without ngspice, `PhaseError` for a phase that ngspice cannot finish.
    """
    from cosim.report.crosscheck import crosscheck

    settings = scenario.section.validation
    made = Backends(scenario, "ngspice", out / "netlists" if out is not None else None)
    result: Result | None = None
    try:
        spice = _ngspice(scenario, made)
        seed = stream_seed(scenario.seed, "validate")
        kinds = max(1, len(_kinds(scenario)))
        share = None if every else max(1, settings.phases // kinds)
        keeper, wrap = recorder(share, random.Random(seed), settings.free_running)
        result = run(scenario, backend="behavioral", wrap=wrap, progress=running)
        if result.failure is not None:
            raise result.failure
        chosen = _twins(scenario, _chosen(keeper, None if every else settings.phases))
        opening = _twins(scenario, keeper.opening)
        steps = len(chosen) + len(opening)
        rows = _phase_by_phase(spice, chosen, result, progress, steps)
        watch = _Steps(progress, len(chosen), steps)
        if scenario.section.ktram is None:
            free = _free_running(spice, opening, watch)
        else:
            free = _free_lanes(scenario, opening, watch)
        waveforms = overlays(chosen, rows, lambda entry, request: _answer(spice, entry, request)[0])
        content = crosscheck(
            rows, tolerances=settings.tolerances.model_dump(), phases_total=keeper.total, free_running=free
        )
        content["waveforms"] = waveforms
        result.manifest["backends"] = [*result.manifest["backends"], *made.describe()]
    except RunInterruptedError:
        if result is not None and out is not None:
            result.save(out)
        raise
    finally:
        made.close()
    return Crosscheck(content, result)


def _kinds(scenario: Scenario) -> set[str]:
    kinds = {"read", "write"} if scenario.section.ktram is not None else set()
    for step in scenario.section.program:
        if step.write is not None:
            kinds |= {"write", "verify"}
        if step.read is not None:
            kinds.add("read")
    return kinds


def _chosen(keeper: Recorder, limit: int | None) -> list[_Kept]:
    """Return the sampled phases in order; unused room of rare kinds goes to the others' share."""
    kept = [entry for reservoir in keeper.sampled.values() for entry in reservoir]
    kept.sort(key=lambda entry: entry.index)
    return kept if limit is None else kept[: max(limit, len(keeper.sampled))]


def _answer(spice: Spice, entry: _Kept, request: PhaseRequest) -> tuple[PhaseResult, float]:
    began = time.perf_counter()
    try:
        answer = spice[entry.tile][request.phase.kind].run(request)
    except CosimError as error:
        if error.exit_code == 2:
            raise
        raise PhaseError(
            f"{entry.index} ({request.phase.kind} on tile {entry.tile})", "", str(error)
        ) from error
    return answer, time.perf_counter() - began


def _phase_by_phase(
    spice: Spice,
    chosen: list[_Kept],
    result: Result,
    progress: Callable[[int, int], None] | None,
    steps: int,
) -> list[dict[str, Any]]:
    places = _places(result)
    rows = []
    for done, entry in enumerate(chosen):
        if progress is not None:
            progress(done, steps)
        answer, wall = _answer(spice, entry, entry.request)
        phase, operation, tile = places(entry)
        rows.append(
            {
                "phase": phase,
                "operation": operation,
                "tile": tile,
                "kind": entry.request.phase.kind,
                **compare(entry.request, entry.result, answer),
                "behavioral_wall_s": entry.wall_s,
                "ngspice_wall_s": wall,
            }
        )
    return rows


def _places(result: Result) -> Callable[[_Kept], tuple[int, int, str]]:
    """Return what finds phase, operation and tile of a request; lanes are all answered by one backend, in turn."""
    rows = [(row[0], row[1], row[2]) for row in result.trace.phases]
    if result.scenario.section.ktram is not None:
        return lambda entry: rows[entry.index]
    found = {(row[2], row[5]): place for row, place in zip(result.trace.phases, rows, strict=True)}
    return lambda entry: found[entry.tile, entry.request.start_fs]


def compare(request: PhaseRequest, first: PhaseResult, second: PhaseResult) -> dict[str, Any]:
    """Return the deviation of two answers to one request.

    Currents are compared at the strobes, and where there are none as net charge over the duration, both
    relative to the largest line current; states relative to their range; energies of every component.
    """
    if first.samples.times_fs:
        one, other = first.samples.current, second.samples.current
    else:
        duration = seconds(request.phase.duration_fs)
        one, other = first.net_charge / duration, second.net_charge / duration
    largest = float(np.abs(one).max(initial=0.0))
    gap = float(np.abs(one - other).max(initial=0.0))
    return {
        "current_relative": gap / largest if largest else 0.0,
        "state_absolute": state_gap(request, first, second),
        "energy_gap_j": energy_gap(first, second),
        "energy_j": float(first.energy.delivered.sum()),
        "largest_current_a": largest,
        "applied": "+".join(second.applied),
    }


def state_gap(request: PhaseRequest, first: PhaseResult, second: PhaseResult) -> float:
    """Return the largest difference of two final states, in fractions of the state range."""
    worst = 0.0
    for array, one, other in zip(request.network.arrays, first.states, second.states, strict=True):
        low, high = array.device.state_bounds()
        scale = high - low if np.isfinite(high) else float(np.abs(one).max()) or 1.0
        worst = max(worst, float(np.abs(one - other).max()) / scale)
    return worst


def energy_gap(first: PhaseResult, second: PhaseResult) -> float:
    """Return the largest difference [J] of delivered energy and of each dissipated part."""
    a, b = first.energy, second.energy
    parts = [
        (float(a.delivered.sum()), float(b.delivered.sum())),
        (float(sum(c.sum() for c in a.cells)), float(sum(c.sum() for c in b.cells))),
        (a.access, b.access),
        (a.wires, b.wires),
        (a.terminations, b.terminations),
    ]
    return max(abs(one - other) for one, other in parts)


class _Steps(NamedTuple):
    """Tells ``progress`` of the free-running phases, which come after ``done`` of ``steps`` steps."""

    progress: Callable[[int, int], None] | None
    done: int
    steps: int

    def tell(self, position: int) -> None:
        """Say that so many free-running phases are done."""
        if self.progress is not None:
            self.progress(self.done + position, self.steps)


def _free_running(spice: Spice, opening: list[_Kept], watch: _Steps) -> dict[str, Any]:
    states: dict[str, tuple[Any, ...]] = {}
    ends: dict[str, int] = {}
    worst, last = 0.0, {}
    course = []
    for position, entry in enumerate(opening):
        watch.tell(position)
        request = _carried(entry.request, states.get(entry.tile), ends.get(entry.tile, 0))
        answer, _ = _answer(spice, entry, request)
        states[entry.tile] = answer.states
        ends[entry.tile] = entry.request.start_fs + answer.duration_fs
        gap = state_gap(entry.request, entry.result, answer)
        worst, last[entry.tile] = max(worst, gap), gap
        course.append(
            {
                "phase": entry.index,
                "tile": entry.tile,
                "kind": entry.request.phase.kind,
                "state_absolute": gap,
            }
        )
    watch.tell(len(opening))
    return {
        "phases": len(opening),
        "worst_state_absolute": worst,
        "final_state_absolute": max(last.values(), default=0.0),
        "course": course,
    }


class _EnoughError(Exception):
    """The opening phases have been seen."""


def _free_lanes(scenario: Scenario, opening: list[_Kept], watch: _Steps) -> dict[str, Any]:
    """Run the opening phases of a kT-RAM program on ngspice and compare the states after each.

    The comparison ends where a read was decided otherwise, so that other instructions follow.
    """
    seen: list[tuple[PhaseRequest, PhaseResult]] = []

    def after(request: PhaseRequest, result: PhaseResult) -> None:
        seen.append((request, result))
        watch.tell(len(seen))
        if len(seen) == len(opening):
            raise _EnoughError

    if opening:
        with contextlib.suppress(_EnoughError):
            again = run(scenario, backend="ngspice", wrap=lambda _tile, inner: Tap(inner, after=after))
            if again.failure is not None:
                raise again.failure
    course: list[dict[str, Any]] = []
    for entry, (request, answer) in zip(opening, seen, strict=False):
        if not _same_pulse(entry.request, request):
            break
        gap = state_gap(entry.request, entry.result, answer)
        course.append(
            {"phase": entry.index, "tile": entry.tile, "kind": request.phase.kind, "state_absolute": gap}
        )
    gaps = [row["state_absolute"] for row in course]
    return {
        "phases": len(course),
        "worst_state_absolute": max(gaps, default=0.0),
        "final_state_absolute": gaps[-1] if gaps else 0.0,
        "course": course,
    }


def _same_pulse(first: PhaseRequest, second: PhaseRequest) -> bool:
    """Return whether two requests drive the same nets in the same way, but for lines that track a node."""
    same = first.network.nets == second.network.nets and first.phase.kind == second.phase.kind
    return same and all(
        first.phase.drives.get(net) == second.phase.drives.get(net)
        for net in ("up", "node", "out_a", "out_b")
    )


def _carried(request: PhaseRequest, states: tuple[Any, ...] | None, end_fs: int) -> PhaseRequest:
    """Return the request with ngspice's own states, aged at 0 V over the gap since the last phase."""
    if states is None:
        return request
    gap = seconds(request.start_fs - end_fs)
    aged = tuple(
        aged_state(array, state, gap, request.temperature, request.noise_seed)
        for array, state in zip(request.network.arrays, states, strict=True)
    )
    return dataclasses.replace(request, states=aged)
