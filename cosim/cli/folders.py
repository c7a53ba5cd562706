"""Commands about files that are there: ``new``, ``report``, ``compare``, ``schema``, ``doctor``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from cosim.cli.options import AsJson, Folder


def starting_points(incomplete: str) -> list[str]:
    """Return what a shell may offer for the kind of a new scenario."""
    from cosim.scenario.new import kinds

    return [kind for kind in kinds() if kind.startswith(incomplete)]


def new(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="scenario file to write, such as first.yaml")],
    kind: Annotated[
        str,
        typer.Option(
            help="array (program a matrix, multiply, check) or ktram (a kT-RAM program)",
            autocompletion=starting_points,
        ),
    ] = "array",
) -> None:
    """Write a commented scenario to start from; it runs as it is.

    Example: cosim new first.yaml && cosim run first.yaml
    """
    from cosim.scenario.new import write_new

    write_new(file, kind)
    typer.echo(f"{file}: written; try: cosim check {file}, then: cosim run {file}")


def report(folder: Folder) -> None:
    """Write report.html of a run's folder anew, from its tables.

    Example: cosim report out/quickstart
    """
    from cosim.scenario.stored import write_report

    typer.echo(f"report: {write_report(folder)}")


def compare(first: Folder, second: Folder, as_json: AsJson = False) -> None:
    """Compare the folders of two runs: what differs in the scenarios, and in time, energy and error.

    Example: cosim compare out/quickstart out/six-bits
    """
    from cosim.scenario.stored import compare_folders, comparison_lines

    content = compare_folders(first, second)
    if as_json:
        typer.echo(json.dumps(content, indent=2))
        return
    for line in comparison_lines(content):
        typer.echo(line)


def schema(out: Annotated[Path | None, typer.Option(help="file instead of standard output")] = None) -> None:
    """Write the JSON schema of scenario files, for editors.

    Example: cosim schema --out scenario.schema.json
    """
    from cosim.scenario.schema import json_schema

    text = json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"
    if out is None:
        typer.echo(text, nl=False)
    else:
        out.write_text(text, encoding="utf-8")


def doctor() -> None:
    """Test every optional piece, and say what to install for what is missing.

    Example: cosim doctor
    """
    from cosim.scenario.describe import doctor_lines

    lines, good = doctor_lines()
    for line in lines:
        typer.echo(line)
    if not good:
        raise typer.Exit(1)
