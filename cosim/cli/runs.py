"""Commands that run a scenario or check it: ``run``, ``validate``, ``check``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cosim.cli.options import AsJson, Backend, Out, Quiet, ScenarioPath, Seed, Sets, load_scenario
from cosim.terminal import Watch
from cosim.units import quantity_text

if TYPE_CHECKING:
    from cosim.scenario.run import Result


def run(
    scenario: ScenarioPath,
    out: Out = None,
    set_: Sets = None,
    seed: Seed = None,
    backend: Backend = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="take the journaled phases of an earlier run")
    ] = False,
    parquet: Annotated[
        bool, typer.Option("--parquet", help="write a Parquet file beside each table of records")
    ] = False,
    fst: Annotated[bool, typer.Option("--fst", help="write waves.fst beside waves.vcd")] = False,
    gzip: Annotated[
        bool, typer.Option("--gzip", help="write trace.json.gz in place of trace.json; Perfetto opens it")
    ] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Run a scenario and write its result folder.

    Example: cosim run scenarios/quickstart.yaml --set hardware.adc.bits=6
    """
    from cosim.report.fst import require_fst
    from cosim.report.tables import require_parquet
    from cosim.scenario.run import run as run_scenario

    if parquet:
        require_parquet()
    if fst:
        require_fst()
    loaded = load_scenario(scenario, set_, seed)
    folder = out or Path("out") / loaded.name
    with Watch(shown=not (quiet or as_json)) as watch:
        result = run_scenario(
            loaded, backend=backend, out=folder, resume=resume, progress=watch.task("cells and vectors")
        )
        with watch.working("files of the folder"):
            result.save(folder, parquet=parquet, fst=fst, gzip=gzip)
    _show(result, folder, as_json, quiet)
    if result.failure is not None:
        raise result.failure


def _show(result: Result, folder: Path, as_json: bool, quiet: bool) -> None:
    if as_json:
        typer.echo(json.dumps(result.summary, indent=2))
    elif not quiet:
        for line in summary_lines(result.summary):
            typer.echo(line)
        typer.echo(f"report: {folder / 'report.html'}")


def summary_lines(summary: dict[str, Any]) -> list[str]:
    """Return the short result table of a run."""
    time, energy = summary["time"], summary["energy"]
    lines = [
        f"scenario   {summary['scenario']['name']} (seed {summary['seed']})",
        f"time       {quantity_text(time['end_s'], 's')}, {time['phases']} phases",
        f"energy     {quantity_text(energy['total_j'], 'J')}, balance {energy['balance']['relative_error']:.1e}",
    ]
    for entry in summary["operations"]:
        words = [f"{entry['index']:>3} {entry['op']:<8} {entry['target']:<20}"]
        words.append(quantity_text(entry["end_s"] - entry["start_s"], "s"))
        words.append(quantity_text(entry["energy_j"], "J"))
        if "converged" in entry:
            words.append(
                f"{entry['converged']} of {entry['cells']} cells in window, {entry['pulses']} pulses"
            )
        if "instructions" in entry:
            words.append(f"{sum(entry['instructions'].values())} instructions")
        if "accuracy" in entry:
            words.append(f"accuracy {100 * entry['accuracy']:.2f} %")
        if "rms_relative" in entry.get("error", {}):
            words.append(f"error {100 * entry['error']['rms_relative']:.3g} % rms")
        lines.append("  ".join(words))
    lines.extend(f"warning    {sentence}" for sentence in summary["warnings"])
    return lines


def validate(
    scenario: ScenarioPath,
    out: Out = None,
    set_: Sets = None,
    seed: Seed = None,
    every: Annotated[bool, typer.Option("--all", help="check every phase instead of a sample")] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Check a scenario's run against ngspice, phase by phase and free-running.

    Example: cosim validate scenarios/quickstart.yaml --out out/check
    """
    from cosim.scenario.validate import validate as validate_scenario

    loaded = load_scenario(scenario, set_, seed)
    folder = out or Path("out") / loaded.name
    with Watch(shown=not (quiet or as_json)) as watch:
        check = validate_scenario(
            loaded, every=every, out=folder, progress=watch.task("phases in ngspice"),
            running=watch.task("cells and vectors"),
        )  # fmt: skip
        with watch.working("files of the folder"):
            check.result.save(folder, check.content)
    if as_json:
        typer.echo(json.dumps(check.content, indent=2))
    elif not quiet:
        for line in verdict_lines(check.content):
            typer.echo(line)
        typer.echo(
            f"cross-check        {'passed' if check.passed else 'NOT passed'}: {folder / 'crosscheck.json'}"
        )
        typer.echo(f"report: {folder / 'report.html'}")
    if not check.passed:
        raise typer.Exit(3)


def verdict_lines(content: dict[str, Any]) -> list[str]:
    """Return the figures of a cross-check against their tolerances, as lines."""
    lines = [
        f"{figure:<18} worst {worst:.3e}   tolerance {content['tolerances'][figure]:.1e}"
        for figure, worst in content["worst"].items()
    ]
    free, wall = content["free_running"], content["wall_s"]
    return [
        *lines,
        f"free running       worst {free['worst_state_absolute']:.3e} (state) over {free['phases']} phases",
        f"phases             {content['phases_checked']} of {content['phases_total']} checked; "
        f"ngspice {wall['ngspice']:.3g} s, behavioral {wall['behavioral']:.3g} s",
    ]


def check(scenario: ScenarioPath, set_: Sets = None) -> None:
    """Check a scenario's schema and physics without running it; every problem on a line of its own.

    Example: cosim check scenarios/quickstart.yaml
    """
    from cosim.records import Trace
    from cosim.scenario.build import Backends, build
    from cosim.scenario.ktram import plan
    from cosim.scenario.load import document_of, parse

    document = document_of(scenario, set_ or ())
    loaded, errors = parse(document, scenario.parent)
    for error in errors:
        typer.echo(str(error), err=True)
    if loaded is None:
        raise typer.Exit(2)
    with Watch(shown=True, held=False) as watch, watch.working("physics"):
        if loaded.section.ktram is not None:
            plan(loaded)
        else:
            build(loaded, Trace(), Backends(loaded)).backends.close()
    typer.echo(f"{scenario}: good")
