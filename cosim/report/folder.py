"""The result folder of a run: every file written whole and renamed."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cosim.records import Trace
from cosim.report.files import json_text, write_whole
from cosim.report.fst import write_fst
from cosim.report.html import write_page
from cosim.report.tables import write_tables
from cosim.report.timeline import write_timeline
from cosim.report.totals import EnergyTotals, energy_totals
from cosim.report.waves import waveforms, write_vcd


def write_folder(
    folder: Path,
    trace: Trace,
    summary: Mapping[str, Any],
    *,
    manifest: Mapping[str, Any],
    resolved_yaml: str,
    crosscheck: Mapping[str, Any] | None = None,
    totals: EnergyTotals | None = None,
    parquet: bool = False,
    fst: bool = False,
    gzip: bool = False,
) -> None:
    """Write the result folder of a run.

    Files: ``summary.json``, ``manifest.json``, ``scenario.resolved.yaml``, ``tables/*.csv``, ``trace.json``,
    ``waves.vcd``, ``report.html``, and ``crosscheck.json`` where the run was checked against ngspice. What
    depends on the wall clock stands in the manifest (and the cross-check) alone; the page shows both. Those of an
    earlier run in the same folder that this one does not have are removed.

    Parameters
    ----------
    folder : made where it does not exist
    summary : what `summarize` returned
    manifest : seed, hash, versions, engine, wall times
    resolved_yaml : text of the resolved scenario
    crosscheck : what `crosscheck` returned
    totals : the energy sums of the trace, where the caller has them already
    parquet : Parquet beside the CSV files; needs pyarrow (`InputError` without)
    fst : ``waves.fst`` beside ``waves.vcd``; needs pylibfst (`InputError` without)
    gzip : ``trace.json.gz`` in place of ``trace.json``
    """
    folder.mkdir(parents=True, exist_ok=True)
    with _no_collection():
        _write_all(folder, trace, summary, manifest, resolved_yaml, crosscheck, totals, parquet, fst, gzip)


@contextmanager
def _no_collection() -> Iterator[None]:
    """Hold back the search for reference cycles, which would walk the whole trace again and again."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _write_all(
    folder: Path,
    trace: Trace,
    summary: Mapping[str, Any],
    manifest: Mapping[str, Any],
    resolved_yaml: str,
    crosscheck: Mapping[str, Any] | None,
    totals: EnergyTotals | None,
    parquet: bool,
    fst: bool,
    gzip: bool,
) -> None:
    totals = totals or energy_totals(trace)
    timeline, *other = ("trace.json.gz", "trace.json") if gzip else ("trace.json", "trace.json.gz")
    for old in (*other, *(() if fst else ("waves.fst",)), *(() if crosscheck else ("crosscheck.json",))):
        (folder / old).unlink(missing_ok=True)
    write_tables(folder / "tables", trace, totals=totals, parquet=parquet)
    write_timeline(folder / timeline, trace, totals=totals)
    found = waveforms(trace, totals)
    write_vcd(folder / "waves.vcd", found)
    if fst:
        write_fst(folder / "waves.fst", found)
    write_whole(folder / "scenario.resolved.yaml", resolved_yaml)
    write_page(
        folder / "report.html", trace, summary, manifest=manifest, resolved_yaml=resolved_yaml,
        crosscheck=crosscheck, totals=totals,
    )  # fmt: skip
    if crosscheck is not None:
        write_whole(folder / "crosscheck.json", json_text(crosscheck))
    write_whole(folder / "manifest.json", json_text(manifest))
    write_whole(folder / "summary.json", json_text(summary))
