"""The ``device`` entry of a scenario: a model with its parameters, or a preset with changes."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, get_type_hints

from cosim.devices.base import DeviceModel
from cosim.devices.forming import Formable, Forming
from cosim.devices.registry import find, find_preset, models, presets, unknown
from cosim.errors import InputError
from cosim.scenario.sentences import sentence_of
from cosim.units import Marker, quantity_text


@cache
def _adapter(model: type[Any]) -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(model)


def read_device(value: object, folder: Path | None = None) -> DeviceModel:
    """Return the device model of a scenario entry.

    ``folder``: where files that it names must lie; without it they are found from the working directory. Raises
    `InputError` with the parameter's name in front, or `UnknownNameError`.
    """
    if isinstance(value, DeviceModel):
        return value
    if isinstance(value, str):
        if value in models() and value not in presets():
            raise InputError(f"'{value}' is a model and no preset; write {{model: {value}}}")
        return find_preset(value)
    if not isinstance(value, Mapping) or ("model" in value) == ("preset" in value):
        raise InputError(
            "must be a preset's name, or hold either 'model' or 'preset', such as {model: mss, tau: 10 us}"
        )
    if "forming" in value:
        inner = read_device({key: entry for key, entry in value.items() if key != "forming"}, folder)
        return Formable(inner, _read_forming(value["forming"]))
    given = {key: entry for key, entry in value.items() if key not in ("model", "preset")}
    if "preset" in value:
        base = find_preset(str(value["preset"]))
        changes = _read_parameters(type(base), _placed(type(base), given, folder))
        return dataclasses.replace(base, **changes)  # type: ignore[type-var]
    model = find(str(value["model"]))
    return model(**_read_parameters(model, _placed(model, given, folder)))


def _read_forming(value: object) -> Forming:
    if not isinstance(value, Mapping):
        raise InputError(f"device.forming: must be a section such as {{voltage: 2.6 V}}, not '{value}'")
    return Forming(**_read_parameters(Forming, value, "device.forming"))


def device_files(value: object) -> dict[str, str]:
    """Return the files that a scenario entry names, by parameter."""
    if not isinstance(value, Mapping) or ("model" in value) == ("preset" in value):
        return {}
    model = find(str(value["model"])) if "model" in value else type(find_preset(str(value["preset"])))
    return {
        name: str(value[name]) for name in model.files if name in value and _is_file(model, name, value[name])
    }


def _is_file(model: type[DeviceModel], name: str, value: object) -> bool:
    """Return whether a parameter names a file, and not the built-in that is its default."""
    default = next(entry.default for entry in dataclasses.fields(model) if entry.name == name)  # type: ignore[arg-type]
    return isinstance(value, str) and value != default


def _placed(model: type[DeviceModel], given: Mapping[str, object], folder: Path | None) -> dict[str, object]:
    """Return the parameters with the files among them found from ``folder``."""
    placed = dict(given)
    if folder is None:
        return placed
    for name in model.files:
        value = given.get(name)
        if value is None or not _is_file(model, name, value):
            continue
        path = folder / str(value)
        if Path(str(value)).is_absolute() or not path.resolve().is_relative_to(folder.resolve()):
            raise InputError(
                f"device.{name}: '{value}' must lie in the scenario's folder; copy it there and name it relative to it"
            )
        if not path.is_file():
            raise InputError(f"device.{name}: there is no file '{value}' in the scenario's folder")
        placed[name] = str(path)
    return placed


def device_of_text(text: str, overrides: Sequence[str] = ()) -> tuple[str, DeviceModel]:
    """Return label and device of a command's argument: a model, a preset, or a scenario file with a device.

    Each alone or as ``mss@tau=5 us,r_on=2 kohm``; ``overrides`` are ``KEY=VALUE`` texts for all. Raises `InputError`.
    """
    name, _, tail = text.partition("@")
    changes = dict(_change(part) for part in (*filter(None, tail.split(",")), *overrides))
    if Path(name).suffix in (".yaml", ".yml"):
        return text, _of_file(Path(name), changes)
    kind = "preset" if name in presets() else "model"
    if kind == "model" and name not in models():
        raise InputError(unknown("device model or preset", name, {**models(), **presets()}))
    return text, read_device({kind: name, **changes})


def _change(text: str) -> tuple[str, object]:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    key, equals, raw = (part.strip() for part in text.partition("="))
    if not equals or not key:
        raise InputError(f"must have the form KEY=VALUE, not '{text}'; write for example 'tau=5 us'")
    try:
        return key, YAML(typ="safe", pure=True).load(raw)
    except YAMLError:
        raise InputError(f"{key}: '{raw}' is not a YAML value") from None


def _of_file(path: Path, changes: Mapping[str, object]) -> DeviceModel:
    """Return the device of the ``hardware`` section of a scenario file, with changes."""
    from cosim.scenario.load import document_of

    hardware = document_of(path).values.get("hardware")
    entry = hardware.get("device") if isinstance(hardware, Mapping) else None
    if entry is None:
        raise InputError(f"{path}: has no hardware.device")
    if isinstance(entry, str):
        entry = {"preset": entry}
    try:
        return read_device({**entry, **changes}, path.parent)
    except InputError as error:
        raise InputError(f"{path}: hardware.{error}") from None


def _read_parameters(model: type[Any], given: Mapping[str, object], place: str = "device") -> dict[str, Any]:
    from pydantic import ValidationError

    known = [entry.name for entry in dataclasses.fields(model)]
    for key in given:
        if key not in known:
            close = difflib.get_close_matches(str(key), known, n=1)
            owner = getattr(model, "name", place)
            hint = f"did you mean '{close[0]}'?" if close else f"{owner} has {', '.join(known)}"
            raise InputError(f"{place}.{key}: there is no such parameter of {owner}; {hint}")
    try:
        parsed = _adapter(model).validate_python(dict(given))  # type: ignore[arg-type]
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        sentence = str(first.get("ctx", {}).get("error") or sentence_of(first))
        prefix = f"{place}.{key}: " if key else ""
        raise InputError(prefix + sentence) from None
    return {key: getattr(parsed, key) for key in given}


class DeviceEntry:
    """Marks a scenario entry that is read by `read_device`; its JSON schema lists models and parameters."""

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        from pydantic_core import core_schema

        return core_schema.with_info_plain_validator_function(
            lambda value, info: read_device(value, (info.context or {}).get("folder"))
        )

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> dict[str, Any]:
        options: list[dict[str, Any]] = [{"type": "string", "enum": sorted(presets())}]
        for name, model in sorted(models().items()):
            options.append(_object_schema("model", [name], model))
        for name, value in sorted(presets().items()):
            options.append(_object_schema("preset", [name], type(value)))
        return {
            "anyOf": options,
            "description": "a device model with its parameters, or a preset with changes",
        }


def _object_schema(key: str, names: list[str], model: type[DeviceModel]) -> dict[str, Any]:
    properties: dict[str, Any] = {key: {"type": "string", "enum": names}, **_described(model)}
    if model.moves:
        properties["forming"] = {
            "type": "object",
            "description": "cells are fresh and must be formed",
            "properties": _described(Forming),
            "additionalProperties": False,
        }
    return {"type": "object", "properties": properties, "required": [key], "additionalProperties": False}


def _described(model: type[Any]) -> dict[str, Any]:
    return {
        entry.name: {
            "description": f"{entry.metadata.get('doc', '')}; default {quantity_default(model, entry)}; "
            f"source: {entry.metadata.get('source', '')}"
        }
        for entry in dataclasses.fields(model)
    }


def quantity_default(model: type[Any], entry: dataclasses.Field[Any]) -> str:
    """Return the default of a parameter as text with its unit."""
    unit = field_units(model).get(entry.name, "")
    if entry.default == "" or entry.default != entry.default:
        return "not given"
    if unit == "%" and isinstance(entry.default, float):
        return f"{100 * entry.default:.6g} %"
    if not unit or "/" in unit or not isinstance(entry.default, float):
        number = f"{entry.default:g}" if isinstance(entry.default, float) else str(entry.default)
        return f"{number} {unit}".strip()
    return quantity_text(entry.default, unit, 12)


def field_units(owner: type[Any]) -> dict[str, str]:
    """Return the unit symbol of every quantity field of a dataclass."""
    hints = get_type_hints(owner, include_extras=True)
    units = {}
    for name, hint in hints.items():
        for note in getattr(hint, "__metadata__", ()):
            if isinstance(note, Marker):
                units[name] = str(note.symbol)
    return units
