"""Writes `docs/scenario.md` from the declarations of the scenario's keys.

Run it with ``make docs-generate`` after changing a key; a test compares the page with what this returns.
"""

from __future__ import annotations

import dataclasses
import inspect
from pathlib import Path
from typing import Any, get_type_hints

from cosim.devices.forming import Forming
from cosim.devices.registry import models, presets
from cosim.scenario.devices import quantity_default
from cosim.scenario.keys import OWN, Key, keys, sections
from cosim.scenario.schema import ScenarioSection

PAGE = Path(__file__).with_name("scenario.md")

INTRODUCTION = """\
# The scenario file

<!-- Written by docs/generate_scenario.py. Change the declarations in cosim/, then run: make docs-generate -->

A scenario is a YAML 1.2 file that holds everything about a run: hardware, tiles, program, checks. Unknown
keys are refused. Every quantity is text with its unit, such as `0.2 V` or `10 kohm`; [units](units.md)
tells the rules. `cosim check FILE` checks a file without running it, and names every problem by line and
column. [scenario.schema.json](scenario.schema.json) gives the same keys to an editor: begin the file with

```yaml
# yaml-language-server: $schema=../docs/scenario.schema.json
```

Data files (CSV with `#` comments, or NPY) lie in the folder of the scenario, and are named relative to it.

`extends: FILE` takes another scenario of the same folder as base: mappings are merged key by key, everything
else is replaced. `--set KEY=VALUE` does the same from the command line; list entries are counted from 0:
`--set program.0.write.verify.max_pulses=50`.

`preset: NAME` in `hardware`, `hardware.array.wires`, `hardware.adc`, `hardware.dac` and `hardware.variation` lays a
published set under that section's keys: see [presets](presets.md).

In the tables below, NAME stands for the name of a tile and N for the number of a step. *Source* says where
a default comes from; `cosim` marks a choice of this program that is no physical value.
"""

BACKENDS = """\
A backend is given in one of three forms:

```yaml
backend: behavioral                               # a name
backend: {kind: ngspice, engine: subprocess}      # a name with options
backend: {read: behavioral, write: ngspice}       # one of both per phase kind (read, verify, write)
```

In the third form `verify` follows `read` where only one of them is given; a kind that is left out is
answered by `behavioral`.
"""

STEPS = """\
A step has exactly one of these keys. Steps run one after the other; within a step the tiles work side by side.
"""

NOTES = {"tiles.NAME.backend": BACKENDS, "program.N": STEPS}


def page() -> str:
    """Return the text of the page."""
    parts = [INTRODUCTION]
    for path, owner in sections().items():
        parts.append(_section(path, owner))
        if path == "hardware":
            parts.append(_devices())
    return "\n".join(parts)


def _section(path: str, owner: type[Any]) -> str:
    title = f"`{path}`" if path else "Top level"
    sentence = (
        "A whole scenario file."
        if owner is ScenarioSection
        else (inspect.getdoc(owner) or "").split("\n\n")[0]
    )
    text = " ".join(sentence.split()).replace("``", "`")
    note = f"\n{NOTES[path]}" if path in NOTES else ""
    return f"## {title}\n\n{text}\n{note}\n" + _table([_row(key) for key in keys(owner)])


def _row(key: Key) -> tuple[str, ...]:
    source = key.source if key.default is not None or key.source != OWN else ""
    default = key.default_text if key.default is None else f"`{key.default_text or '(empty)'}`"
    return f"`{key.name}`", key.doc, key.form, default, source


def _table(rows: list[tuple[str, ...]]) -> str:
    lines = ["| key | meaning | form | default | source |", "|---|---|---|---|---|"]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def _devices() -> str:
    known = ", ".join(f"`{name}`" for name in sorted(presets()))
    parts = [
        "## `hardware.device`\n\n"
        "Either `{model: NAME, ...}` with parameters, or `{preset: NAME, ...}` with changes to a named set, or the\n"
        f"name of a preset alone. The presets are {known}. [Devices](devices.md) has the equations.\n"
    ]
    parts.append(
        "### `forming`, beside the parameters of a model\n\nWith it the cells are fresh and must be"
        " [formed](programming.md#forming).\n\n" + _parameters(Forming)
    )
    for name, model in sorted(models().items()):
        parts.append(f"### model `{name}`\n\n{_parameters(model)}")
    return "\n".join(parts)


def _parameters(model: type[Any]) -> str:
    rows = [
        (
            f"`{entry.name}`",
            entry.metadata.get("doc", ""),
            _form(model, entry.name),
            "not set" if entry.default is None else f"`{quantity_default(model, entry)}`",
            entry.metadata.get("source", ""),
        )
        for entry in dataclasses.fields(model)
    ]
    return _table(rows)


def _form(model: type[Any], name: str) -> str:
    from cosim.scenario.devices import field_units

    unit = field_units(model).get(name)
    if unit:
        return f"quantity [{unit}]"
    kind = str(get_type_hints(model)[name])
    forms = (("tuple", "list of numbers"), ("float", "number"), ("str", "text"), ("Literal", "text"))
    return next((form for part, form in forms if part in kind), "whole number")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
