"""A scenario file to a frozen, checked `Scenario`."""

from __future__ import annotations

import difflib
import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from cosim.errors import CosimError, ScenarioError
from cosim.hardware import Hardware
from cosim.scenario.places import Document, KeyPath, merged, read_document, with_override
from cosim.scenario.schema import ScenarioSection

_OWNED = re.compile(r"^[\w ]+\.(\w+(?:\.\w+)*): (.*)$", re.DOTALL)


@dataclass(frozen=True, slots=True, eq=False)
class Scenario:
    """A checked scenario: its sections, its folder, and the place of every entry."""

    section: ScenarioSection
    folder: Path
    document: Document

    @property
    def name(self) -> str:
        """Name of the scenario."""
        return self.section.name

    @property
    def seed(self) -> int:
        """Seed of every random stream."""
        return self.section.seed

    @property
    def hardware(self) -> Hardware:
        """Hardware of the tiles."""
        h = self.section.hardware
        return Hardware(
            h.array, h.device, h.cell, h.dac, h.adc, h.driver, h.sense, h.sequencer, h.temperature
        )

    @property
    def sha256(self) -> str:
        """Hash of the scenario's values and of every file that it names."""
        hasher = hashlib.sha256(json.dumps(self.document.values, sort_keys=True, default=str).encode())
        for _, name in self.files():
            hasher.update(self.path(name).read_bytes())
        return hasher.hexdigest()

    def error(self, path: KeyPath, sentence: str) -> ScenarioError:
        """Return the error for an entry, with its place."""
        return ScenarioError(self.document.place(path), dotted(path), sentence)

    def path(self, name: str) -> Path:
        """Return the path of a data file that the scenario names."""
        return self.folder / name

    def files(self) -> list[tuple[KeyPath, str]]:
        """Return every data file that the scenario names, with the key that names it."""
        found: list[tuple[KeyPath, str]] = []
        for tile, entry in self.section.tiles.items():
            if entry.conductance is not None:
                found.append((("tiles", tile, "conductance"), entry.conductance))
        for index, step in enumerate(self.section.program):
            for kind, keys in (("write", ("matrix", "conductance")), ("read", ("inputs",))):
                part = getattr(step, kind)
                for key in keys if part is not None else ():
                    if isinstance(getattr(part, key), str):
                        found.append((("program", index, kind, key), getattr(part, key)))
        return found

    def matrix(self, key: KeyPath, given: str | list[list[float]]) -> NDArray[np.float64]:
        """Return the matrix of a file (CSV or NPY, in the scenario's folder) or of rows in the file."""
        try:
            table = self._read(key, given) if isinstance(given, str) else np.array(given, dtype=np.float64)
        except (ValueError, OSError) as error:
            if isinstance(error, CosimError):
                raise
            raise self.error(key, f"must be a table of numbers, but {_first_line(error)}") from None
        table = np.atleast_2d(np.asarray(table, dtype=np.float64))
        if table.ndim != 2 or table.size == 0:
            raise self.error(key, f"must be a table with rows and columns, not of shape {table.shape}")
        if not np.all(np.isfinite(table)):
            row, column = (int(k) for k in np.argwhere(~np.isfinite(table))[0])
            raise self.error(
                key, f"element ({row}, {column}) must be a finite number, not {table[row, column]}"
            )
        return table

    def _read(self, key: KeyPath, name: str) -> NDArray[np.float64]:
        path = self.path(name)
        inside = path.resolve().is_relative_to(self.folder.resolve())
        if Path(name).is_absolute() or not inside:
            raise self.error(
                key, f"'{name}' must lie in the scenario's folder; copy it there and name it relative to it"
            )
        if not path.is_file():
            raise self.error(key, f"there is no file '{name}' in the scenario's folder")
        if path.suffix == ".npy":
            array: NDArray[np.float64] = np.load(path, allow_pickle=False)
            return array
        return np.loadtxt(path, delimiter=",", comments="#", ndmin=2)


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def dotted(path: Iterable[str | int]) -> str:
    """Return a key path as text."""
    return ".".join(str(part) for part in path)


def load(file: str | Path, overrides: Sequence[str] = ()) -> Scenario:
    """Load a scenario; ``overrides`` are ``KEY=VALUE`` texts. Raises the first `ScenarioError`."""
    document = document_of(Path(file), overrides)
    scenario, errors = parse(document, Path(file).parent)
    if scenario is None:
        raise errors[0]
    return scenario


def document_of(file: Path, overrides: Sequence[str] = ()) -> Document:
    """Return the document of a scenario file with its bases and overrides laid in."""
    document = _with_bases(file, str(file), ())
    for text in overrides:
        document = with_override(document, text)
    return document


def _with_bases(file: Path, shown: str, seen: tuple[Path, ...]) -> Document:
    document = read_document(file, shown)
    base = document.values.pop("extends", None)
    if base is None:
        return document
    place = document.places.pop(("extends",))
    path = file.parent / str(base)
    if Path(str(base)).is_absolute() or not path.resolve().is_relative_to(file.parent.resolve()):
        raise ScenarioError(place, "extends", f"'{base}' must lie in the scenario's folder")
    if path.resolve() in seen or path.resolve() == file.resolve():
        raise ScenarioError(place, "extends", f"'{base}' extends itself")
    if not path.is_file():
        raise ScenarioError(place, "extends", f"there is no file '{base}' in the scenario's folder")
    return merged(_with_bases(path, str(path), (*seen, file.resolve())), document)


def parse(document: Document, folder: Path) -> tuple[Scenario | None, list[ScenarioError]]:
    """Return the scenario, or every error of the document in the order of the file."""
    try:
        section = ScenarioSection.model_validate(document.values)
    except ValidationError as error:
        errors = _sentences(error, document)
        return None, sorted(errors, key=lambda e: _line(e.place))
    return Scenario(section, folder, document), []


def _line(place: str) -> tuple[str, int, int]:
    parts = place.rsplit(":", 2)
    if len(parts) == 3 and parts[1].isdigit() and parts[2].isdigit():
        return parts[0], int(parts[1]), int(parts[2])
    return place, 0, 0


def _sentences(error: ValidationError, document: Document) -> list[ScenarioError]:
    found: dict[KeyPath, list[str]] = {}
    for item in error.errors(include_url=False):
        path, sentence = _sentence(item, document)
        sentences = found.setdefault(path, [])
        if sentence not in sentences:
            sentences.append(sentence)
    return [
        ScenarioError(document.place(path), dotted(path), "; or ".join(sentences))
        for path, sentences in found.items()
    ]


def _sentence(item: Any, document: Document) -> tuple[KeyPath, str]:
    loc: KeyPath = item["loc"]
    kind, path = item["type"], document.known(loc)
    if kind in ("extra_forbidden", "unexpected_keyword_argument"):
        return path, _unknown_key(loc)
    if kind in ("missing", "missing_argument"):
        return path, f"the key '{loc[-1]}' is missing; add it"
    problem = item.get("ctx", {}).get("error")
    if problem is not None:
        owned = _OWNED.match(str(problem))
        if owned:
            inner: KeyPath = (*path, *owned.group(1).split("."))
            return document.known(inner) if document.known(inner) != path else path, _keep_key(
                inner, path, document, owned.group(2)
            )
        return path, str(problem)
    given = item.get("input")
    return path, f"{_rule(item)}, not {given!r}" if not isinstance(given, (dict, list)) else _rule(item)


def _keep_key(inner: KeyPath, path: KeyPath, document: Document, sentence: str) -> str:
    if document.known(inner) == path:
        return f"{dotted(inner[len(path) :])} {sentence}"
    return sentence


def _unknown_key(loc: KeyPath) -> str:
    known = _known_keys(loc[:-1])
    close = difflib.get_close_matches(str(loc[-1]), known, n=1)
    if close:
        return f"there is no such key; did you mean '{close[0]}'?"
    return f"there is no such key; known here are {', '.join(known)}" if known else "there is no such key"


def _known_keys(parent: KeyPath) -> list[str]:
    """Return the keys that are allowed at a path, read from the schema."""
    from cosim.scenario.schema import json_schema

    schema = json_schema()
    node: Any = schema
    for part in parent:
        node = _resolve(node, schema)
        if isinstance(part, int):
            node = node.get("items", {})
        elif part in node.get("properties", {}):
            node = node["properties"][part]
        else:
            node = node.get("additionalProperties", {})
    return sorted(_resolve(node, schema).get("properties", {}))


def _resolve(node: Any, schema: Any) -> Any:
    while isinstance(node, dict):
        if "$ref" in node:
            node = schema["$defs"][node["$ref"].rsplit("/", 1)[1]]
        elif "allOf" in node:
            node = node["allOf"][0]
        elif "anyOf" in node:
            options = [entry for entry in node["anyOf"] if "$ref" in entry]
            if not options:
                return {}
            node = options[0]
        else:
            return node
    return {}


def _rule(item: Any) -> str:
    context = item.get("ctx", {})
    kind = item["type"]
    rules = {
        "int_parsing": "must be a whole number", "int_type": "must be a whole number",
        "int_from_float": "must be a whole number", "float_parsing": "must be a number",
        "float_type": "must be a number", "string_type": "must be text", "list_type": "must be a list",
        "dict_type": "must be a mapping of keys", "model_type": "must be a mapping of keys",
        "dataclass_type": "must be a mapping of keys", "bool_parsing": "must be true or false",
        "tuple_type": "must be a pair such as [0 V, 0.2 V]",
        "too_short": f"must have at least {context.get('min_length', 1)} entries",
    }  # fmt: skip
    if kind in rules:
        return rules[kind]
    if kind == "literal_error":
        return f"must be {context['expected']}"
    if kind.startswith(("greater_than", "less_than")):
        words = {
            "greater_than": "above",
            "greater_than_equal": "at least",
            "less_than": "below",
            "less_than_equal": "at most",
        }
        limit = next(iter(context.values()))
        return f"must be {words[kind]} {limit}"
    if kind == "string_pattern_mismatch":
        return "must be a name of letters, digits and underscores that starts with a letter"
    return str(item["msg"]).lower()
