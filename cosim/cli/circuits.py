"""Commands that hand a scenario on to other programs and to the bench: ``netlist``, ``pulses``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from cosim.cli.options import Quiet, Sets, load_scenario
from cosim.errors import InputError
from cosim.terminal import Watch
from cosim.units import parse, quantity_text


def netlist(
    scenario: Annotated[Path | None, typer.Argument(metavar="SCENARIO", help="scenario file (YAML)")] = None,
    phase: Annotated[
        str, typer.Option(help="number of the phase, or all; default: the first ngspice phase")
    ] = "",
    out: Annotated[Path | None, typer.Option(help="folder for the decks instead of standard output")] = None,
    set_: Sets = None,
    circuit: Annotated[
        str | None,
        typer.Option(metavar="FILE.py:NAME", help="a PySpice circuit in a Python file instead of a scenario"),
    ] = None,
    raw: Annotated[
        bool,
        typer.Option("--raw", help="with --out: simulate each deck and keep ngspice's raw file beside it"),
    ] = False,
    stop: Annotated[
        str | None, typer.Option(help="with --circuit: end of a transient; default: operating point")
    ] = None,
) -> None:
    """Write the exact ngspice deck of a phase; it runs by hand with ngspice -b -r OUT.raw.

    Example: cosim netlist scenarios/quickstart.yaml --phase 3 > phase3.cir
    """
    from cosim.scenario.netlists import circuit_deck, decks

    if (scenario is None) == (circuit is None):
        raise InputError("give either a SCENARIO or --circuit FILE.py:NAME")
    if circuit is not None:
        typer.echo(circuit_deck(circuit, None if stop is None else parse(stop, "s")), nl=False)
        return
    assert scenario is not None
    if raw and out is None:
        raise InputError("--raw needs --out DIR, the folder for the raw files")
    loaded = load_scenario(scenario, set_)
    with Watch(shown=True, held=False) as watch:
        running, writing = watch.task("cells and vectors"), watch.task("decks")
        found = decks(loaded, phase, running, writing if out is not None else None)
        paths = [] if out is None else [path for each in found for path in _written(*each, out, raw)]
    for path in paths:
        typer.echo(str(path))
    if out is None:
        for _, text in found:
            typer.echo(text, nl=False)


def _written(index: int, deck: str, folder: Path, raw: bool) -> list[Path]:
    """Write the deck of a phase, simulate it where its raw file is wanted; return the paths."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"phase-{index:06d}.cir"
    path.write_text(deck, encoding="utf-8")
    if not raw:
        return [path]
    from cosim.spice.subprocess_engine import SubprocessEngine

    engine = SubprocessEngine()
    engine.write_raw(deck, path.with_suffix(".raw"), deadline_s=120.0)
    engine.close()
    return [path, path.with_suffix(".raw")]


def pulses(
    scenario: Annotated[
        Path, typer.Argument(metavar="SCENARIO", help="scenario file, or the result folder of a run")
    ],
    out: Annotated[Path | None, typer.Option("--out", help="folder; default out/NAME/lines")] = None,
    form: Annotated[
        Literal["pwl", "csv"],
        typer.Option("--format", help="pwl: time and voltage pairs; csv: also when a line floats"),
    ] = "pwl",
    kind: Annotated[
        str, typer.Option(help="phases whose pulses are written: write, verify, read, with commas between")
    ] = "write",
    measured: Annotated[
        Path | None,
        typer.Option(metavar="FILE.csv", help="a measured trace: time_s and voltage_v, or conductance_s"),
    ] = None,
    at: Annotated[
        str, typer.Option(metavar="TILE.LINE", help="what was measured: a line, or a cell TILE.ROW.COLUMN")
    ] = "",
    set_: Sets = None,
    quiet: Quiet = False,
) -> None:
    """Write the waveform of every line for a bench generator, and lay a measured trace beside it.

    Example: cosim pulses scenarios/v2_disturb.yaml --format csv
    """
    from cosim.scenario.line_waveforms import compare, waveforms

    if (measured is None) != (not at):
        raise InputError("--measured and --at belong together: the file, and the line or cell that it is of")
    loaded = load_scenario(scenario / "scenario.resolved.yaml" if scenario.is_dir() else scenario, set_)
    folder = out or Path("out") / loaded.name / "lines"
    with Watch(shown=not quiet, held=False) as watch:
        found = waveforms(loaded, kind.split(","), watch.task("cells and vectors"))
        with watch.working("files of the lines"):
            paths = found.write(folder, form)
    if not quiet:
        typer.echo(f"{len(paths) - 1} of {len(found.lines)} lines carry pulses: {paths[0]}")
    if measured is not None:
        comparison = compare(found, measured, at)
        table, plot = comparison.write(folder)
        if not quiet:
            unit = comparison.unit
            rms, largest = (quantity_text(value, unit) for value in (comparison.rms, comparison.largest))
            typer.echo(f"{comparison.what}: deviation {rms} rms, {largest} at most: {table}, {plot}")
