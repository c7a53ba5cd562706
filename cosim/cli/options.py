"""Arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from cosim.scenario.load import Scenario


ScenarioPath = Annotated[Path, typer.Argument(metavar="SCENARIO", help="scenario file (YAML)")]
Folder = Annotated[Path, typer.Argument(metavar="DIR", help="result folder of a run")]
Out = Annotated[Path | None, typer.Option("--out", help="folder for the results; default out/NAME")]
Sets = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="change an entry of the file")
]
Seed = Annotated[int | None, typer.Option(min=0, help="seed instead of the file's")]
AsJson = Annotated[bool, typer.Option("--json", help="print the summary as JSON")]
Quiet = Annotated[bool, typer.Option("--quiet", help="print nothing but errors")]


def load_scenario(scenario: Path, sets: list[str] | None, seed: int | None = None) -> Scenario:
    """Return the scenario of a file with the changes of ``--set`` and ``--seed``."""
    from cosim.scenario.load import load

    overrides = list(sets or ())
    if seed is not None:
        overrides.append(f"seed={seed}")
    return load(scenario, overrides)
