"""Every key of a scenario file in words: form and unit, default, meaning, source.

All of it is read from the one declaration of each parameter. The JSON schema for editors and the page
``docs/scenario.md`` are made of it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from types import NoneType
from typing import Annotated, Any, Final, Literal, get_args, get_origin, get_type_hints

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from cosim.components.adc import Adc
from cosim.components.dac import Dac
from cosim.components.driver import Driver
from cosim.components.read_path import TransposedPeriphery
from cosim.components.sense import Sense
from cosim.components.write_verify import ProgrammingPulse
from cosim.crossbar.network import Cell
from cosim.devices.base import DeviceModel
from cosim.hardware import ArraySpec, WireGeometry
from cosim.scenario import schema, table
from cosim.scenario.schema_ktram import Tuples
from cosim.units import Marker, TimeUnit, Unit, UnitOrIdeal, quantity_text

OWN: Final = "cosim"
"""Source of what is a choice of this program and no physical value."""

_PLAIN: Final[Mapping[tuple[type[Any], str], str]] = {
    (
        Cell,
        "kind",
    ): "device alone (1R), with an access transistor (1T1R), with a selector (1S1R), two 1T1R on two bit lines (2T2R)",
    (ArraySpec, "rows"): "number of word lines, 1 to 65536",
    (ArraySpec, "columns"): "number of bit lines (2T2R: pairs of them), 1 to 65536",
    (ArraySpec, "wires"): "wires per segment",
    (Adc, "kind"): "kind of converter, also one of another package",
    (Adc, "calibration"): "how a calibrated range is taken from the work",
    (Adc, "errors"): "offset, gain, nonlinearity, noise",
    (Adc, "mux"): "between the columns and the converters",
    (Adc, "shared"): "one bank for each tile, or one for the whole system",
    (Dac, "calibration"): "which input drives the DAC to its top",
    (Driver, "level_shifter"): "between logic and lines that swing further",
    (Sense, "errors"): "offset, gain, noise",
    (TransposedPeriphery, "dac"): "bit-line converters",
    (TransposedPeriphery, "adc"): "word-line converters; their own bank",
    (TransposedPeriphery, "sense"): "sense circuits of the word lines",
    (ProgrammingPulse, "amplitude"): "height of the plateau",
    (ProgrammingPulse, "width"): "length of the plateau; the edges are the driver's",
    (WireGeometry, "width"): "width of a wire",
    (WireGeometry, "thickness"): "thickness of a wire",
    (WireGeometry, "spacing"): "gap to the neighbouring wires",
    (WireGeometry, "height"): "height above the plane below",
    (WireGeometry, "length"): "length of a segment, that is the pitch of the cells",
}
"""Meaning of dataclass fields that are declared without `quantity`."""


@dataclass(frozen=True, slots=True)
class Key:
    """One key: ``form`` says what to write; ``default`` is None where there is none.

    ``filled``: a section that is left out is there all the same, with its defaults.
    """

    name: str
    form: str
    default: Any
    required: bool
    filled: bool
    doc: str
    source: str

    @property
    def default_text(self) -> str:
        """The default as a person would write it."""
        if self.required:
            return "required"
        if self.form == "section":
            return "its defaults" if self.filled else "not set"
        if self.default is None:
            return "not set"
        return f"[{', '.join(self.default)}]" if isinstance(self.default, list) else _plain(self.default)


def _plain(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def keys(owner: type[Any]) -> list[Key]:
    """Return the keys of a section class, in the order of their declaration."""
    hints = get_type_hints(owner, include_extras=True)
    if issubclass(owner, BaseModel):
        return [_model_key(name, entry, hints[name]) for name, entry in owner.model_fields.items()]
    return [_field_key(owner, entry, hints[entry.name]) for entry in dataclasses.fields(owner)]


def _model_key(name: str, entry: FieldInfo, hint: Any) -> Key:
    extra = entry.json_schema_extra if isinstance(entry.json_schema_extra, dict) else {}
    default = None if entry.default is PydanticUndefined else default_value(entry.default, hint)
    source = str(extra.get("source", OWN))
    filled = entry.default_factory is not None
    doc = entry.description or ""
    return Key(entry.alias or name, form(hint), default, entry.is_required(), filled, doc, source)


def _field_key(owner: type[Any], entry: dataclasses.Field[Any], hint: Any) -> Key:
    missing = entry.default is dataclasses.MISSING
    default = None if missing else default_value(entry.default, hint)
    filled = entry.default_factory is not dataclasses.MISSING
    doc = entry.metadata.get("doc") or _PLAIN.get((owner, entry.name), "")
    source = entry.metadata.get("source", OWN)
    return Key(entry.name, form(hint), default, missing and not filled, filled, doc, source)


def sections() -> dict[str, type[Any]]:
    """Return where each section stands in a file (``""``: the file itself), each class once."""
    found: dict[str, type[Any]] = {}
    _walk(schema.ScenarioSection, "", found)
    return found


def _walk(owner: type[Any], path: str, found: dict[str, type[Any]]) -> None:
    if owner in found.values():
        return
    found[path] = owner
    hints = get_type_hints(owner, include_extras=True)
    names = (
        {entry.name: entry.name for entry in dataclasses.fields(owner)}
        if dataclasses.is_dataclass(owner)
        else {name: entry.alias or name for name, entry in owner.model_fields.items()}
    )
    for field, name in names.items():
        inner, step = _nested(hints[field])
        if inner is not None:
            _walk(inner, ".".join(part for part in (path, name, step) if part), found)


def _nested(hint: Any) -> tuple[type[Any] | None, str]:
    """Return the section class in a type, and what stands between the key and it: NAME, N or nothing."""
    if isinstance(hint, type) and get_origin(hint) is None:
        is_section = issubclass(hint, BaseModel) or dataclasses.is_dataclass(hint)
        return (hint, "") if is_section and not issubclass(hint, DeviceModel) else (None, "")
    if get_origin(hint) is Literal:
        return None, ""
    parts = get_args(hint)[:1] if get_origin(hint) is Annotated else get_args(hint)
    for part in parts:
        inner, step = _nested(part)
        if inner is not None:
            between = {dict: "NAME", list: "N"}.get(get_origin(hint) or hint, "")
            return inner, "" if inner is schema.BackendSection else step or between
    return None, ""


def form(hint: Any) -> str:
    """Return in words what a key of this type takes."""
    if hint in (table.Table, table.Rows):
        return "file or rows"
    if hint == Tuples:
        return "list of address tuples"
    if get_origin(hint) is tuple:
        return f"pair of {form(get_args(hint)[0])}"
    if table.Rows in get_args(hint):
        return "file or rows"
    marker = _unit(hint)
    if isinstance(marker, TimeUnit):
        return "time [s], whole fs"
    if isinstance(marker, UnitOrIdeal):
        return f"quantity [{marker.symbol}], or ideal"
    if marker is not None:
        return f"quantity [{marker.symbol}]"
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return "backend" if inner[0] == dict[str, schema.BackendSection] else form(inner[0])
    if origin is Literal:
        return ", ".join(str(choice) for choice in inner)
    if origin is list and inner[0] is int:
        return "list of whole numbers"
    if origin is list:
        return "names" if get_origin(inner[0]) is Annotated else "list of sections"
    if origin is dict:
        return "sections by name" if inner[1] not in (str, float) else f"{form(inner[1])} by name"
    if inner:
        return " or ".join(dict.fromkeys(form(part) for part in inner if part is not NoneType))
    return {int: "whole number", float: "number", str: "text", bool: "true or false"}.get(hint, "section")


def default_value(value: Any, hint: Any) -> Any:
    """Return a default as a scenario file would hold it: quantities as text with their unit."""
    if isinstance(value, tuple):
        return [default_value(part, hint) for part in value]
    marker = _marker(hint)
    if marker is None or isinstance(value, (str, bool, NoneType)):
        return value
    if not isinstance(marker, (Unit, UnitOrIdeal)):
        return marker.text(value)
    if marker.symbol == "%":
        return f"{100 * value:.12g} %"
    return quantity_text(value, marker.symbol, 12)


def _unit(hint: Any) -> Any:
    """Return the unit that an annotated type carries itself."""
    notes = getattr(hint, "__metadata__", ())
    return next((note for note in notes if isinstance(note, Marker)), None)


def _marker(hint: Any) -> Any:
    """Return the first unit in a type or in a part of it."""
    parts = () if get_origin(hint) is Literal else get_args(hint)
    return _unit(hint) or next((note for note in map(_marker, parts) if note is not None), None)


def describe(content: dict[str, Any]) -> None:
    """Write meaning, default and source of every key into a JSON schema of the scenario."""
    for owner in sections().values():
        node = content if owner is schema.ScenarioSection else content["$defs"][owner.__name__]
        node.pop("title", None)
        for key in keys(owner):
            entry = node["properties"][key.name]
            entry.pop("title", None)
            entry.pop("source", None)
            entry["description"] = f"{key.doc}; {key.form}"
            entry.pop("default", None)
            if key.default is not None:
                entry["default"] = key.default
                entry["description"] += f"; default {key.default_text}; source: {key.source}"
