"""Arguments and options that several commands share, and what a shell may offer for their values."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from cosim.scenario.load import Scenario


def scenario_keys(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return what a shell may offer for ``--set``."""
    from cosim.scenario.completion import settings

    return settings(ctx.params.get("scenario"), incomplete)


def backend_names(incomplete: str) -> list[str]:
    """Return what a shell may offer for ``--backend``."""
    from cosim.crossbar.backend import registered

    return [name for name in sorted(registered()) if name.startswith(incomplete)]


def model_names(incomplete: str) -> list[str]:
    """Return what a shell may offer for a device model."""
    from cosim.devices.registry import models

    return [name for name in sorted(models()) if name.startswith(incomplete)]


def device_names(incomplete: str) -> list[str]:
    """Return what a shell may offer for a device: models and presets."""
    from cosim.devices.registry import models, presets

    return [name for name in sorted({*models(), *presets()}) if name.startswith(incomplete)]


ScenarioPath = Annotated[Path, typer.Argument(metavar="SCENARIO", help="scenario file (YAML)")]
Folder = Annotated[Path, typer.Argument(metavar="DIR", help="result folder of a run")]
Out = Annotated[Path | None, typer.Option("--out", help="folder for the results; default out/NAME")]
Sets = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="change an entry of the file", autocompletion=scenario_keys
    ),
]
Backend = Annotated[
    str | None, typer.Option(help="answer every phase with this backend", autocompletion=backend_names)
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
