"""Device models on the measured loops of Knowm W+SDC devices: what they reach when fitted, what they predict.

Every figure is the root-mean-square error of the current relative to its peak-to-peak value. Fits:

* own: to one loop alone;
* device: to all loops of a device together, weighed so that the largest error is as small as it gets;
* two: to the loops at 5 kohm, 0.8 V, 10 Hz and 1 kHz of a device; it predicts the others of that device;
* plain: to all loops of a device with equal weights;
* pooled: to all loops of both devices with equal weights; the presets of these devices are such sets.

The fits `device` and `plain` of one device predict the loops of the other one, which they never saw. The drive is the measured
voltage over resistor and device. ``--store`` writes the figures and the fitted parameters, of which
`docs/generate_validation.py` makes the page; ``--accept`` fits everything anew and prints a line per bar: the best model on the
loops that it was fitted to, and whether all figures are the stored ones.
Attribution of the data: Knowm Memristor Discovery, Knowm Inc.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from cosim.devices.registry import find
from cosim.fit import Loop, Setup, fit, read_measurement

FOLDER = Path(__file__).parents[2] / "shared" / "data" / "knowm-w-sdc"
STORED = Path(__file__).parents[1] / "docs" / "validation.json"
NAME = re.compile(r"r(?P<series>\d+)k_0v(?P<tenths>\d)_(?P<hertz>\d+)hz_(?P<device>m\d)_total")
BAR = 8.0
SAME = 0.1
"""Largest difference [percentage points] to a stored figure: another processor rounds differently."""
ATTRIBUTION = "Knowm Memristor Discovery, Knowm Inc."
MODELS = (
    "mss", "mss with barrier", "yakopcic", "rs", "data_driven", "stanford", "vteam", "nonlinear_ion_drift", "team", "ion_drift",
)  # fmt: skip
BARRIER = {
    "phi": (0.05, 0.999), "schottky_forward_slope": (0.1, 20.0), "schottky_reverse_slope": (0.1, 20.0),
}  # fmt: skip
"""Bounds of what `mss` has beside its switches; the prefactors are fixed, since only (1 - phi) times them matters."""
PREFACTORS = {"schottky_forward": 20e-6, "schottky_reverse": 20e-6}
SEARCH = {"own": (128, 3), "two": (256, 5), "device": (256, 5), "plain": (256, 5), "pooled": (256, 5)}
"""Points of the survey and starts that are improved, by kind of fit."""
MORE = {("data_driven", "own"): (512, 6)}
"""The same for a model whose twelve parameters trade for one another in a single loop."""
DEVICES = ("m1", "m2")
POOLED = ("mss", "mss with barrier", "yakopcic", "rs")
"""Models that come into question for devices that were not measured."""

Task = tuple[str, str]
Figures = dict[str, dict[str, Any]]
"""By model: ``errors`` by kind of fit and loop [%], ``parameters`` [SI] by kind and loop or device."""


def loops(pattern: str = "*") -> list[Loop]:
    """Return the measured loops whose file name without ``_total.csv`` is like the pattern, in the order of the tables."""
    found = []
    for path in sorted(FOLDER.glob(f"{pattern}_total.csv"), key=lambda path: order(path.stem)):
        part = parts(path.stem)
        loop = read_measurement(
            path, Setup(series=1e3 * float(part["series"]), frequency=float(part["hertz"]))
        )
        assert isinstance(loop, Loop)
        found.append(loop)
    return found


def parts(name: str) -> re.Match[str]:
    part = NAME.match(name)
    assert part is not None
    return part


def order(name: str) -> tuple[object, ...]:
    part = parts(name)
    return part["device"], int(part["series"]), -int(part["tenths"]), int(part["hertz"])


def tasks(model: str) -> list[Task]:
    """Return the fits of one model, the long ones first."""
    found = [("pooled", "m*"), *(("plain", device) for device in DEVICES)] if model in POOLED else []
    found += [(kind, device) for kind in ("device", "two") for device in DEVICES]
    return found + [("own", loop.name) for loop in loops()]


def chosen(task: Task) -> list[Loop]:
    """Return the loops that a fit sees."""
    kind, what = task
    if kind == "own":
        return loops(what.removesuffix("_total"))
    if kind != "two":
        return loops(f"*_{what}")
    return [loop for hertz in (10, 1000) for loop in loops(f"r5k_0v8_{hertz}hz_{what}")]


def solve(job: tuple[str, Task]) -> dict[str, Any]:
    """Fit one model to one set of loops and return its errors [%] on every loop."""
    model, task = job
    start = time.process_time()
    survey, starts = MORE.get((model, task[0]), SEARCH[task[0]])
    name, _, barrier = model.partition(" with ")
    bounds, fixed = (BARRIER, PREFACTORS) if barrier else ({}, {})
    result = fit(
        find(name),
        chosen(task),
        bounds=bounds,
        fixed=fixed,
        survey=survey,
        starts=starts,
        seed=1,
        even=task[0] == "device",
    )
    errors = {entry.error.name: 100 * entry.error.of_range for entry in result.predict(loops())}
    parameters = {entry.name: entry.value for entry in result.parameters}
    return {
        "model": model, "task": task, "errors": errors, "parameters": parameters, "s": time.process_time() - start,
    }  # fmt: skip


def figures(results: Iterable[Mapping[str, Any]]) -> Figures:
    """Return errors [%] of every model by kind of fit and loop.

    Of ``device``, ``two`` and ``plain`` the fit is the loop's own device's; ``other`` and ``unseen`` are what ``device`` and
    ``plain`` of the other device predict.
    """
    across = {"device": "other", "plain": "unseen"}
    found: Figures = {}
    for result in sorted(results, key=lambda result: (MODELS.index(result["model"]), tuple(result["task"]))):
        entry = found.setdefault(result["model"], {"errors": {}, "parameters": {}})
        kind, what = result["task"]
        entry["parameters"].setdefault(kind, {})[what] = result["parameters"]
        for name, error in result["errors"].items():
            same = what in (name, parts(name)["device"], "m*")
            column = kind if same else across.get(kind)
            if column is not None:
                entry["errors"].setdefault(column, {})[name] = round(error, 2)
    return found


def worst_and_rms(values: Sequence[float]) -> str:
    return f"{max(values):.1f} / {math.sqrt(sum(v * v for v in values) / len(values)):.1f}"


def label(name: str) -> str:
    part = parts(name)
    return f"{part['device']}, {part['series']} kohm, 0.{part['tenths']} V, {part['hertz']} Hz"


CONDITIONS = {
    "other frequencies": r"r5k_0v8_(1|100)hz",
    "other amplitude": r"r5k_0v3",
    "other resistor": r"r47k",
}
"""What the fit to two loops predicts, by the names of the loops."""


def summary(found: Figures) -> list[str]:
    """Return a table with a row per model: largest error and root mean square of each kind [%]."""
    head = ["model", "own loop", "device m1", "device m2", *CONDITIONS, "other device"]
    rows = []
    for model, entry in found.items():
        errors = entry["errors"]
        cells = [list(errors["own"].values())]
        cells += [[e for name, e in errors["device"].items() if parts(name)["device"] == d] for d in DEVICES]
        cells += [
            [e for name, e in errors["two"].items() if re.match(like, name)] for like in CONDITIONS.values()
        ]
        cells.append(list(errors["other"].values()))
        rows.append([f"`{model}`", *map(worst_and_rms, cells)])
    return table(head, rows)


def unseen(found: Figures) -> list[str]:
    """Return a table of what equal-weight fits predict on the other device, and of fits to both: 0.8 V and 0.3 V [%]."""
    head = [
        "model",
        *(f"{d}, from {o}: 0.8 V, 0.3 V" for d, o in (DEVICES, DEVICES[::-1])),
        "fitted to both: 0.8 V, 0.3 V",
    ]
    rows = []
    for model in (model for model in found if "pooled" in found[model]["errors"]):
        errors = found[model]["errors"]
        cells = [
            "; ".join(
                worst_and_rms([e for name, e in errors[kind].items() if device in name and volts in name])
                for volts in ("0v8", "0v3")
            )
            for kind, device in (*(("unseen", d) for d in DEVICES), ("pooled", ""))
        ]
        rows.append([f"`{model}`", *cells])
    return table(head, rows)


def by_loop(found: Figures, models: Sequence[str]) -> list[str]:
    """Return a table with a row per loop: own, device, two, other of some models [%]."""
    head = ["loop", *(f"{model}: own / device / two / other" for model in models)]
    names = sorted(found[models[0]]["errors"]["own"], key=order)
    kinds = ("own", "device", "two", "other")
    rows = [
        [label(name)]
        + [" / ".join(f"{found[model]['errors'][kind][name]:.1f}" for kind in kinds) for model in models]
        for name in names
    ]
    return table(head, rows)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return ["| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head), *rows)]


def groups(found: Figures) -> list[list[str]]:
    """Return the models in groups that fit side by side."""
    models = list(found)
    return [models[k : k + 3] for k in range(0, len(models), 3)]


def tables(found: Figures) -> str:
    """Return all tables, the summary first."""
    every = (summary(found), unseen(found), *(by_loop(found, group) for group in groups(found)))
    return "\n\n".join("\n".join(lines) for lines in every)


def run(models: Sequence[str], workers: int, keep: Path | None) -> list[dict[str, Any]]:
    """Return all fits; those in the file ``keep`` are not made again."""
    results = json.loads(keep.read_text()) if keep and keep.exists() else []
    finished = {(entry["model"], tuple(entry["task"])) for entry in results}
    jobs = [(m, t) for m in models for t in tasks(m) if (m, t) not in finished]
    jobs.sort(key=lambda job: list(SEARCH).index(job[1][0]), reverse=True)
    with ProcessPoolExecutor(workers) as pool:
        for done in as_completed([pool.submit(solve, job) for job in jobs]):
            result = done.result()
            results.append(result)
            if keep:
                keep.write_text(json.dumps(results))
            print(
                f"{result['model']} {' '.join(result['task'])}: {result['s']:.0f} s",
                file=sys.stderr,
                flush=True,
            )
    return [result for result in results if result["model"] in models]


def accept(found: Figures) -> int:
    """Print a line per bar; returns how many are missed."""
    missed = 0
    kinds = {"its own loop": ("own", ""), **{f"all loops of {d}": ("device", d) for d in DEVICES}}
    for name, (kind, device) in kinds.items():
        worst = {
            model: max(e for loop, e in entry["errors"][kind].items() if device in loop)
            for model, entry in found.items()
        }
        best = min(worst, key=lambda model: worst[model])
        missed += worst[best] > BAR
        print(
            f"best model fitted to {name}: {best}, worst loop {worst[best]:.2f} % (bar {BAR:.0f} %): "
            f"{'met' if worst[best] <= BAR else 'missed'}"
        )
    stored = json.loads(STORED.read_text())
    apart = [
        abs(error - stored[model]["errors"][kind][loop])
        for model, entry in found.items()
        for kind, errors in entry["errors"].items()
        for loop, error in errors.items()
    ]
    same = sum(each <= SAME for each in apart)
    missed += same < len(apart)
    print(
        f"figures equal to those of the page within {SAME} points: {same} of {len(apart)}, largest difference "
        f"{max(apart):.2f}: {'met' if same == len(apart) else 'missed'}"
    )
    return missed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", default=MODELS, choices=MODELS)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--keep", type=Path, help="JSON file that keeps finished fits")
    parser.add_argument("--store", action="store_true", help="write the figures that the page is made of")
    parser.add_argument("--accept", action="store_true")
    given = parser.parse_args()
    if not FOLDER.is_dir():
        print(f"the measured loops are not there: {FOLDER}")
        return 1
    start = time.monotonic()
    results = run(given.models, given.workers, given.keep)
    found = figures(results)
    print(
        f"error of the current in % of its peak-to-peak value, largest / root mean square; data: {ATTRIBUTION}"
    )
    print(tables(found))
    used = sum(result["s"] for result in results)
    print(f"{time.monotonic() - start:.0f} s with {given.workers} processes, {used:.0f} s of processor time")
    if given.store:
        STORED.write_text(json.dumps(found, indent=1) + "\n")
    return 3 if given.accept and accept(found) else 0


if __name__ == "__main__":
    sys.exit(main())
