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
from cosim.components.programming import ProgrammingPulse, Verify
from cosim.components.sense import Sense
from cosim.components.sequencer import Sequencer
from cosim.crossbar.network import Cell
from cosim.hardware import ArraySpec, WireSpec
from cosim.scenario import schema
from cosim.units import TimeUnit, Unit, UnitOrIdeal, quantity_text

OWN: Final = "cosim"
"""Source of what is a choice of this program and no physical value."""

SECTIONS: Final[Mapping[str, type[Any]]] = {
    "": schema.ScenarioSection,
    "hardware": schema.HardwareSection,
    "hardware.cell": Cell,
    "hardware.array": ArraySpec,
    "hardware.array.wires": WireSpec,
    "hardware.dac": Dac,
    "hardware.adc": Adc,
    "hardware.driver": Driver,
    "hardware.sense": Sense,
    "hardware.sequencer": Sequencer,
    "tiles.NAME": schema.TileSection,
    "tiles.NAME.backend": schema.BackendSection,
    "program.N": schema.Step,
    "program.N.write": schema.WriteStep,
    "program.N.write.verify": Verify,
    "program.N.write.set": ProgrammingPulse,
    "program.N.read": schema.ReadStep,
    "program.N.wait": schema.WaitStep,
    "program.N.backend": schema.BackendStep,
    "spice": schema.SpiceSection,
    "validate": schema.ValidateSection,
    "validate.tolerances": schema.Tolerances,
}
"""Where each section stands in a file, in the order of the page."""

_PLAIN: Final[Mapping[tuple[type[Any], str], str]] = {
    (Cell, "kind"): "device alone, or with an access transistor",
    (ArraySpec, "rows"): "number of word lines, 1 to 65536",
    (ArraySpec, "columns"): "number of bit lines, 1 to 65536",
    (ArraySpec, "wires"): "wires per segment",
    (Adc, "kind"): "kind of converter",
    (Adc, "shared"): "one bank for each tile, or one for the whole system",
    (ProgrammingPulse, "amplitude"): "height of the plateau",
    (ProgrammingPulse, "width"): "length of the plateau; the edges are the driver's",
}
"""Meaning of dataclass fields that are declared without `quantity`."""


@dataclass(frozen=True, slots=True)
class Key:
    """One key: ``form`` says what to write, ``default`` is None where the key must be given."""

    name: str
    form: str
    default: Any
    required: bool
    doc: str
    source: str

    @property
    def default_text(self) -> str:
        """The default as a person would write it."""
        if self.required:
            return "required"
        if self.default is None:
            return "none"
        return f"[{', '.join(self.default)}]" if isinstance(self.default, list) else str(self.default)


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
    return Key(entry.alias or name, form(hint), default, entry.is_required(), entry.description or "", source)


def _field_key(owner: type[Any], entry: dataclasses.Field[Any], hint: Any) -> Key:
    missing = entry.default is dataclasses.MISSING
    default = None if missing else default_value(entry.default, hint)
    required = missing and entry.default_factory is dataclasses.MISSING
    doc = entry.metadata.get("doc") or _PLAIN[owner, entry.name]
    return Key(entry.name, form(hint), default, required, doc, entry.metadata.get("source", OWN))


def form(hint: Any) -> str:
    """Return in words what a key of this type takes."""
    if hint in (schema.Table, schema.Rows):
        return "file or rows"
    marker = _marker(hint)
    if isinstance(marker, TimeUnit):
        return "time [s], whole fs"
    if isinstance(marker, Unit):
        return f"quantity [{marker.symbol}]"
    if isinstance(marker, UnitOrIdeal):
        return f"quantity [{marker.symbol}], or ideal"
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return "backend" if inner[0] == dict[str, schema.BackendSection] else form(inner[0])
    if origin is Literal:
        return ", ".join(str(choice) for choice in inner)
    if origin is tuple:
        return f"pair of {form(inner[0])}"
    if origin is list:
        return "names" if get_origin(inner[0]) is Annotated else "list of sections"
    if origin is dict:
        return "sections by name"
    if inner:
        return " or ".join(dict.fromkeys(form(part) for part in inner if part is not NoneType))
    return {int: "whole number", float: "number", str: "text"}.get(hint, "section")


def default_value(value: Any, hint: Any) -> Any:
    """Return a default as a scenario file would hold it: quantities as text with their unit."""
    if isinstance(value, tuple):
        return [default_value(part, hint) for part in value]
    marker = _marker(hint)
    if marker is None or isinstance(value, (str, bool, NoneType)):
        return value
    if marker.symbol == "%":
        return f"{100 * value:.12g} %"
    return quantity_text(value, marker.symbol, 12)


def _marker(hint: Any) -> Any:
    for note in getattr(hint, "__metadata__", ()):
        if isinstance(note, (Unit, TimeUnit, UnitOrIdeal)):
            return note
    if get_origin(hint) is Annotated or dataclasses.is_dataclass(hint):
        return None
    found = [_marker(part) for part in get_args(hint)]
    return next((note for note in found if note is not None), None)


def describe(content: dict[str, Any]) -> None:
    """Write meaning, default and source of every key into a JSON schema of the scenario."""
    for owner in SECTIONS.values():
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
