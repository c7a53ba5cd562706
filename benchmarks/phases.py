"""Behavioral backend against ngspice on the same phases, alternating in one process; prints ratios.

Usage: python benchmarks/phases.py [SCENARIO] [PHASES]

The phases are an even sample of the scenario's run (the quickstart by default), each answered by both
backends from the same state. Per phase kind: median wall time of each, the ratio, and the largest
deviation, so that the speed is never told without the exactness.
"""

from __future__ import annotations

import random
import statistics
import sys
import time
from pathlib import Path

from cosim.crossbar.backend import CrossbarBackend, PhaseRequest, find
from cosim.crossbar.threads import single_threaded
from cosim.scenario.load import load
from cosim.scenario.run import run
from cosim.scenario.validate import compare, recorder


def _timed(backend: CrossbarBackend, request: PhaseRequest) -> tuple[float, object]:
    began = time.perf_counter()
    result = backend.run(request)
    return time.perf_counter() - began, result


def main() -> None:
    """Run the comparison and print a line per phase kind."""
    default = Path(__file__).parent.parent / "scenarios" / "quickstart.yaml"
    scenario = load(sys.argv[1] if len(sys.argv) > 1 else default)
    wanted = int(sys.argv[2]) if len(sys.argv) > 2 else 90
    keeper, wrap = recorder(wanted, random.Random(scenario.seed))
    run(scenario, backend="behavioral", wrap=wrap)
    phases = [entry.request for group in keeper.sampled.values() for entry in group]
    behavioral, ngspice = find("behavioral")(), find("ngspice")()
    rows: dict[str, list[tuple[float, float, float]]] = {}
    with single_threaded():
        for request in [*phases[:3], *phases]:
            fast, one = _timed(behavioral, request)
            slow, other = _timed(ngspice, request)
            gap = compare(request, one, other)  # type: ignore[arg-type]
            rows.setdefault(request.phase.kind, []).append((fast, slow, gap["state_absolute"]))
    print(f"{scenario.name}: {len(phases)} phases, engine {ngspice.describe().get('engine')}")
    print(f"{'kind':<8} {'phases':>6} {'behavioral':>12} {'ngspice':>12} {'ratio':>8} {'state gap':>10}")
    for kind, times in sorted(rows.items()):
        fast, slow = (statistics.median(column) for column in list(zip(*times, strict=True))[:2])
        worst = max(row[2] for row in times)
        print(
            f"{kind:<8} {len(times):>6} {1e3 * fast:>9.3f} ms {1e3 * slow:>9.3f} ms {slow / fast:>8.1f} {worst:>10.1e}"
        )
    ngspice.close()


if __name__ == "__main__":
    main()
