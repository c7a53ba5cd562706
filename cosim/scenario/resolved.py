"""A loaded scenario back to YAML text, every default written out, every quantity with its unit."""

from __future__ import annotations

import dataclasses
import io
import itertools
from collections.abc import Iterable
from typing import Any, get_type_hints

from cosim.devices.base import DeviceModel
from cosim.devices.forming import Formable
from cosim.scenario.load import Scenario
from cosim.scenario.schema import NOT_BESIDE_KTRAM
from cosim.scenario.section import Section
from cosim.units import Marker


def resolved_yaml(scenario: Scenario, folder: str = "inputs") -> str:
    """Return the whole scenario as YAML; data files are named as copies in ``folder``."""
    from ruamel.yaml import YAML

    tree = _section(scenario.section)
    if scenario.section.ktram is not None:
        tree = {key: entry for key, entry in tree.items() if key not in NOT_BESIDE_KTRAM}
    copies = copied_names(name for _, name in scenario.files())
    for path, name in scenario.files():
        node: Any = tree
        for part in path[:-1]:
            node = node[part]
        node[path[-1]] = f"{folder}/{copies[name]}"
    out = io.StringIO()
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    yaml.width = 110
    yaml.dump(tree, out)
    return "# written by cosim: the scenario with every default\n" + out.getvalue()


def copied_names(names: Iterable[str]) -> dict[str, str]:
    """Return the names under which data files are copied into a run's folder, a different one for each.

    Files that are copies already keep theirs, so that a run of a resolved scenario has the same copies.
    """
    found: dict[str, str] = {}
    for name in dict.fromkeys(names):
        plain = copy = name.removeprefix("inputs/").replace("/", "_")
        for number in itertools.count(2):
            if copy not in found.values():
                break
            copy = f"{number}_{plain}"
        found[name] = copy
    return found


def _section(section: Section) -> dict[str, Any]:
    result = {}
    hints = get_type_hints(type(section), include_extras=True)
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        if value is None:
            continue
        result[field.alias or name] = _value(value, _marker(hints[name]))
    return result


def _marker(hint: Any) -> Any:
    for note in getattr(hint, "__metadata__", ()):
        if isinstance(note, Marker):
            return note
    for inner in getattr(hint, "__args__", ()):
        found = _marker(inner)
        if found is not None:
            return found
    return None


def _value(value: Any, marker: Any) -> Any:
    if isinstance(value, Section):
        return _section(value)
    if isinstance(value, Formable):
        return {**_value(value.inner, marker), "forming": _dataclass(value.forming)}
    if isinstance(value, DeviceModel):
        return {"model": value.name, **_dataclass(value)}
    if dataclasses.is_dataclass(value):
        return _dataclass(value)
    if isinstance(value, dict):
        return {key: _value(entry, marker) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_value(entry, marker) for entry in value]
    if marker is not None and isinstance(value, (int, float)):
        return marker.text(value)
    return value


def _dataclass(value: Any) -> dict[str, Any]:
    hints = get_type_hints(type(value), include_extras=True)
    return {
        entry.name: _value(getattr(value, entry.name), _marker(hints[entry.name]))
        for entry in dataclasses.fields(value)
        if getattr(value, entry.name) is not None
    }
