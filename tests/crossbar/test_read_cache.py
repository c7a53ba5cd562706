"""Solved reads kept between phases: same answers as the line solver, with bounds that hold."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from cosim.crossbar.lines import LineSolution, LineSystem, solve_lines
from cosim.crossbar.read_cache import ReadCache

ENDS = ("i_left", "i_right", "i_top", "i_bottom")


def setting(seed: int, m: int = 12, n: int = 9) -> tuple[LineSystem, np.ndarray, Any, np.random.Generator]:
    rng = np.random.default_rng(seed)
    system = LineSystem(m, n, 2.0, 1.0, 5.0, np.inf, np.inf, 3.0)
    drive = tuple(rng.uniform(-1, 1, (2, k)) for k in (m, m, n, n))
    return system, 10.0 ** -rng.uniform(3, 6, (m, n)), drive, rng


def compare(found: LineSolution, system: LineSystem, g: np.ndarray, drive: Any, allowed: float) -> None:
    wanted = solve_lines(system, g, *drive)
    largest = max(float(np.abs(getattr(wanted, end)).max()) for end in ENDS)
    for name in (*ENDS, "cell_current"):
        error = np.abs(getattr(found, name) - getattr(wanted, name)).max()
        assert error <= allowed * largest
        assert error <= float(found.error_bound.max() + wanted.error_bound.max())


@settings(max_examples=30, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 2**31), acts=st.lists(st.sampled_from(["same", "cell", "two", "few", "drift", "all"]))
)
def test_any_sequence(seed: int, acts: list[str]) -> None:
    system, g, drive, rng = setting(seed)
    cache = ReadCache()
    for act in [*acts, "same"]:
        if act == "cell":
            g[2, 3] = 10.0 ** -rng.uniform(3, 6)
        elif act == "two":
            g[2, 3], g[4, 4] = 10.0 ** -rng.uniform(3, 6, 2)
        elif act == "few":
            g[rng.integers(12, size=3), rng.integers(9, size=3)] = 0.0
        elif act == "drift":
            g *= 1.0 + 1e-11 * rng.random(g.shape)
        elif act == "all":
            g *= rng.uniform(0.5, 2.0, g.shape)
        compare(cache.solve(system, g, drive), system, g, drive, 2e-9)


def test_how_it_answers() -> None:
    system, g, drive, _ = setting(1)
    cache, seen = ReadCache(), []
    for step in range(5):
        g[3, 3] *= 1.5 if step > 1 else 1.0
        cache.solve(system, g, drive)
        seen.append(cache.applied)
    assert seen[0].startswith("line-pcg")
    assert seen[1] == "kept"
    assert seen[2].startswith("line-pcg")
    assert seen[3:] == ["kept, 1 cell corrected"] * 2


def test_slow_drift_is_solved_again_in_time() -> None:
    system, g, drive, _ = setting(2)
    cache, start = ReadCache(allowed=1e-6), g.copy()
    answers = []
    for step in range(40):
        g = start * (1.0 + 2e-8 * step)
        compare(cache.solve(system, g, drive), system, g, drive, 2e-6)
        answers.append(cache.applied)
    assert 2 <= sum(answer.startswith("line-pcg") for answer in answers) < 40


def test_it_forgets_what_was_not_used() -> None:
    cache = ReadCache(arrays=2, drives=2)
    for seed in range(4):
        system, g, drive, rng = setting(seed)
        for _ in range(4):
            cache.solve(system, g, (rng.uniform(0, 1, (1, 12)), *(part[:1] for part in drive[1:])))
    assert len(cache._kept) == 2
    assert all(len(kept.solutions) == 2 for kept in cache._kept.values())
