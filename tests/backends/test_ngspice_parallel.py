"""Two tiles on two workers: results commit in event order, so worker timing never changes a byte."""

from __future__ import annotations

import random
import time
from concurrent.futures import Future
from pathlib import Path
from typing import Any, ClassVar

import pytest

from cosim.backends.ngspice import NgspiceBackend
from cosim.crossbar.backend import CrossbarBackend, PhaseRequest, PhaseResult
from cosim.scenario import Scenario, load, run
from cosim.spice.machine import probe

pytestmark = pytest.mark.ngspice

SCENARIO = """\
schema_version: 1
name: pair
seed: 9
hardware:
  device: {model: mss, r_on: 100 kohm, r_off: 1000 kohm, v_on: 0.6 V, v_off: 0.6 V, tau: 10 us, switches: 5000}
  cell: {kind: 1T1R, access_resistance: 5 kohm}
  array: {rows: 2, columns: 2, wires: {word_line: 2.5 ohm, bit_line: 2.5 ohm}}
tiles:
  positive: {backend: ngspice}
  negative: {backend: ngspice}
program:
  - write:
      tiles: [positive, negative]
      matrix: [[0.5, -1.0], [1.0, 0.25]]
      verify: {pulses: adaptive-width, max_pulses: 5, window: 10 %}
  - read: {tiles: [positive, negative], inputs: [[1, 0.5], [0.25, 1], [0, 1], [1, 0], [0.5, 0.5], [0.1, 0.9], [0.7, 0.2]]}
"""


class _Jitter(CrossbarBackend):
    """Waits for a random moment inside of the worker's thread before it answers."""

    name: ClassVar[str] = "ngspice"
    costly: ClassVar[bool] = True

    def __init__(self, inner: NgspiceBackend, seed: int) -> None:
        self._inner, self._rng = inner, random.Random(seed)
        self.together = 0
        self._open: list[Future[PhaseResult]] = []
        plain = inner.run

        def late(request: PhaseRequest) -> PhaseResult:
            time.sleep(self._rng.uniform(0, 0.004))
            return plain(request)

        inner.run = late  # type: ignore[method-assign]

    def run(self, request: PhaseRequest) -> PhaseResult:
        return self.submit(request).result()

    def submit(self, request: PhaseRequest) -> Future[PhaseResult]:
        self._open = [future for future in self._open if not future.done()]
        self.together += bool(self._open)
        future = self._inner.submit(request)
        self._open.append(future)
        return future

    def describe(self) -> dict[str, Any]:
        return self._inner.describe()


def contents(
    scenario: Scenario, engine: str, workers: int, seed: int, out: Path
) -> tuple[dict[str, bytes], int]:
    """Return all files but the manifest and the report, which shows it, and how often two phases were open."""
    backend = NgspiceBackend(engine, workers=workers)
    watched = _Jitter(backend, seed)
    try:
        result = run(scenario, wrap=lambda tile, inner: watched)
    finally:
        backend.close()
    assert result.failure is None
    result.save(out)
    files = [path for path in sorted(out.rglob("*")) if path.is_file()]
    kept = {str(path.relative_to(out)): path.read_bytes() for path in files}
    return {
        name: text for name, text in kept.items() if name not in ("manifest.json", "report.html")
    }, watched.together


@pytest.mark.parametrize("engine", ["subprocess", "pyspice"])
@pytest.mark.parametrize("seeds", [(1,), pytest.param((2, 3, 4, 5), marks=pytest.mark.acceptance)])
def test_number_of_workers_changes_no_byte(engine: str, seeds: tuple[int, ...], tmp_path: Path) -> None:
    if engine == "pyspice" and probe().engine != "pyspice":
        pytest.skip("PySpice is not on this machine")
    (tmp_path / "pair.yaml").write_text(SCENARIO)
    scenario = load(tmp_path / "pair.yaml")
    one, _ = contents(scenario, engine, 1, 0, tmp_path / "one")
    assert {"summary.json", "tables/phases.csv", "trace.json"} <= set(one)
    for seed in seeds:
        two, together = contents(scenario, engine, 2, seed, tmp_path / f"two{seed}")
        assert two == one
        assert together > 5
