"""What a shell may offer for ``--set``: the keys of a scenario file, and the values of a key that has a few."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

from cosim.errors import CosimError
from cosim.scenario.load import document_of, dotted
from cosim.scenario.places import KeyPath
from cosim.scenario.schema import json_schema

_SECTION = {"properties", "patternProperties", "items"}


def settings(file: Path | None, given: str) -> list[str]:
    """Return every ``KEY=`` that begins with ``given``; behind the equals sign, every ``KEY=VALUE`` of a key with choices.

    ``file``: the scenario, whose tiles, steps and device model decide which keys there are; without a readable
    one, the keys that every scenario may have.
    """
    try:
        values = {} if file is None else document_of(file).values
    except CosimError:
        values = {}
    schema = json_schema()
    wanted, equals, begun = given.partition("=")
    found = []
    for path, node in _leaves(schema, schema, values, ()):
        key = dotted(path)
        if equals and key == wanted:
            found += [f"{key}={choice}" for choice in _choices(node, schema) if choice.startswith(begun)]
        elif not equals and key.startswith(wanted):
            found.append(f"{key}=")
    return found


def _leaves(node: Any, schema: Any, value: Any, path: KeyPath) -> Iterator[tuple[KeyPath, Any]]:
    """Yield path and schema of every key below ``node`` that can have a plain value.

    Entries of lists, and names that the user gives (tiles), are taken from ``value``, and so is the kind of a step.
    """
    section = _section(node, schema, value)
    if "patternProperties" in section:
        (inner,) = section["patternProperties"].values()
        for name, entry in (value if isinstance(value, dict) else {}).items():
            yield from _leaves(inner, schema, entry, (*path, name))
    elif "properties" in section:
        for name, inner in section["properties"].items():
            below = value.get(name) if isinstance(value, dict) else None
            yield from _leaves(inner, schema, below, (*path, name))
    elif "items" in section and isinstance(value, list):
        for index, entry in enumerate(value):
            known = _section(section["items"], schema, entry).get("properties", {})
            for name in entry if isinstance(entry, dict) else ():
                if name in known:
                    yield from _leaves(known[name], schema, entry[name], (*path, index, name))
    if path and _plain(node, schema) and not isinstance(value, dict):
        yield path, node


def _section(node: Any, schema: Any, value: Any) -> Any:
    """Return the part of the schema that holds the keys of an entry: of a choice, the one that fits ``value``."""
    if value is not None and not isinstance(value, dict | list):
        return {}
    options = [option for option in _alternatives(node, schema) if _SECTION & option.keys()]
    if isinstance(value, dict):
        for option, key in product(options, ("model", "preset")):
            if value.get(key) in option.get("properties", {}).get(key, {}).get("enum", ()):
                return option
    return options[0] if options else {}


def _plain(node: Any, schema: Any) -> bool:
    """Return whether an entry can be something else than a section."""
    return any(
        "properties" not in option for option in _alternatives(node, schema) if option.get("type") != "null"
    )


def _alternatives(node: Any, schema: Any) -> list[Any]:
    node = _resolved(node, schema)
    if "anyOf" in node and "properties" not in node:
        return [inner for option in node["anyOf"] for inner in _alternatives(option, schema)]
    return [node]


def _resolved(node: Any, schema: Any) -> Any:
    while isinstance(node, dict) and "$ref" in node:
        node = schema["$defs"][node["$ref"].rsplit("/", 1)[1]]
    return node


def _choices(node: Any, schema: Any) -> list[str]:
    """Return the texts that a key may have, where the schema lists them."""
    options = (_resolved(option, schema) for option in _alternatives(node, schema))
    return [str(choice) for option in options for choice in option.get("enum", ())]
