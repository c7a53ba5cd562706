"""Run a scenario: scenario in, result out."""

from __future__ import annotations

import platform
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cosim.crossbar.threads import single_threaded
from cosim.errors import CosimError
from cosim.records import Trace
from cosim.scenario.build import Backends, Wrap, build
from cosim.scenario.load import Scenario
from cosim.scenario.resolved import copied_names, resolved_yaml

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from cosim.plot import ResultPlots
    from cosim.report.totals import EnergyTotals

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """What a run gave: the trace, the summary, what the manifest says, and the error that ended it, if any."""

    scenario: Scenario
    trace: Trace
    summary: dict[str, Any]
    manifest: dict[str, Any]
    totals: EnergyTotals
    failure: CosimError | None = None

    def frame(self, table: str = "phases") -> pd.DataFrame:
        """Return one table of the trace as a pandas frame."""
        return self.trace.frame(table)

    @property
    def plot(self) -> ResultPlots:
        """The figures of the run, with matplotlib."""
        from cosim.plot import ResultPlots

        return ResultPlots(self.trace)

    def dataset(self) -> xr.Dataset:
        """Return maps and read results as an xarray dataset with dimensions, coordinates and units.

        Maps have the dimensions ``tile``, ``row``, ``column`` (NaN beyond the end of smaller tiles); ``value`` and ``ideal``
        of the reads ``operation``, ``vector``, ``output``. Raises `InputError` where xarray is not installed.
        """
        from cosim.report.dataset import dataset

        return dataset(self.trace, self.summary)

    def _repr_html_(self) -> str:
        """Return a short table for notebooks."""
        from cosim.report.notebook import short_table

        return short_table(self.summary)

    def save(
        self,
        folder: str | Path,
        crosscheck: dict[str, Any] | None = None,
        *,
        parquet: bool = False,
        fst: bool = False,
        gzip: bool = False,
    ) -> Path:
        """Write the result folder and return it.

        ``parquet``: a Parquet file beside each table (needs pyarrow); ``fst``: ``waves.fst`` beside ``waves.vcd``
        (needs pylibfst); ``gzip``: ``trace.json.gz`` in place of ``trace.json``. Raises `InputError` where what is asked for is not installed.
        """
        from cosim.report.folder import write_folder

        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        _copy_inputs(self.scenario, folder)
        write_folder(
            folder, self.trace, self.summary, manifest=self.manifest, resolved_yaml=resolved_yaml(self.scenario),
            crosscheck=crosscheck, totals=self.totals, parquet=parquet, fst=fst,
            gzip=gzip,
        )  # fmt: skip
        return folder


def run(
    scenario: Scenario,
    *,
    backend: str | None = None,
    out: Path | None = None,
    resume: bool = False,
    progress: Progress | None = None,
    wrap: Wrap | None = None,
) -> Result:
    """Run a scenario.

    ``backend`` answers every phase instead of what the scenario says; ``out`` is the folder for the
    journal and for decks of failed phases; ``resume`` takes journaled results. A phase that fails ends
    the run: the result then holds what was done, and the error in ``failure``. ``progress`` is called with
    the steps (cells, vectors) that are done and their number; a `RunInterruptedError` that it raises ends the
    run in the same way. Input that cannot be used raises an `InputError` (where it shows only after the first phase, it is a failure too).
    """
    trace = Trace()
    backends = Backends(
        scenario, backend, out / "netlists" if out is not None else None,
        out / "journal" if out is not None else None, resume, wrap,
    )  # fmt: skip
    began = time.time()
    carry_out = (
        _ktram(scenario, trace, backends) if scenario.section.ktram else _tiles(scenario, trace, backends)
    )
    failure: CosimError | None = None
    try:
        with single_threaded():
            carry_out(progress)
    except CosimError as error:
        if error.exit_code == 2 and not len(trace.phases):
            raise
        failure = error
        trace.warn(f"the run ended early: {error}")
    finally:
        described = backends.describe()
        backends.close()
    return _result(scenario, trace, described, began, failure)


CarryOut = Callable[[Progress | None], None]


def _tiles(scenario: Scenario, trace: Trace, backends: Backends) -> CarryOut:
    built = build(scenario, trace, backends)
    return lambda progress: built.system.run(built.program, progress)


def _ktram(scenario: Scenario, trace: Trace, backends: Backends) -> CarryOut:
    from cosim.scenario.ktram import plan, require_circuit

    try:
        if backends.override is not None:
            require_circuit(scenario)
        made = plan(scenario, backends)
    except BaseException:
        backends.close()
        raise
    return lambda progress: made.run(trace, progress)


def _result(
    scenario: Scenario, trace: Trace, backends: list[dict[str, Any]], began: float, failure: CosimError | None
) -> Result:
    from cosim.report.summary import summarize
    from cosim.report.totals import energy_totals

    totals = energy_totals(trace)
    named = {"name": scenario.name, "sha256": scenario.sha256}
    summary = summarize(
        trace, scenario=named, seed=scenario.seed, totals=totals, baseline=scenario.section.baseline
    )
    manifest = {
        "schema_version": 1,
        "scenario": {"name": scenario.name, "file": scenario.document.file, "sha256": scenario.sha256},
        "seed": scenario.seed,
        "versions": versions(),
        "backends": backends,
        "started_unix_s": began,
        "wall_s": time.time() - began,
        "completed": failure is None,
    }
    return Result(scenario, trace, summary, manifest, totals, failure)


def versions() -> dict[str, str]:
    """Return the versions that a result depends on."""
    found = {"python": platform.python_version()}
    for name in ("cosim-crossbar", "numpy", "scipy", "simpy", "numba", "PySpice"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def _copy_inputs(scenario: Scenario, folder: Path) -> None:
    files = scenario.files()
    if not files:
        return
    inputs = folder / "inputs"
    inputs.mkdir(exist_ok=True)
    for name, copy in copied_names(name for _, name in files).items():
        target = inputs / copy
        source = scenario.path(name)
        if source.resolve() != target.resolve():
            shutil.copyfile(source, target)
