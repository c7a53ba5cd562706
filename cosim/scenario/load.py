"""A scenario file to a frozen, checked `Scenario`."""

from __future__ import annotations

import difflib
import hashlib
import json
import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from cosim.errors import CosimError, ScenarioError
from cosim.hardware import Hardware
from cosim.scenario.devices import device_files
from cosim.scenario.hardware_presets import with_presets
from cosim.scenario.places import Document, KeyPath, merged, read_document, with_override
from cosim.scenario.schema import BackendSection, KtramScenarioSection, ScenarioSection
from cosim.scenario.sentences import sentence_of
from cosim.scenario.table import RANDOM

_OWNED = re.compile(r"^[\w ]+\.(\w+(?:\.\w+)*): (.*)$", re.DOTALL)

_BRANCH = re.compile(r"^(\[key\]|literal\[.*|tuple\[.*|list\[.*|function-.*|str|dict\[.*)$")
"""Names of branches that pydantic puts into the path of an error."""

_STEP_FILES: Mapping[str, tuple[str, ...]] = {
    "write": ("matrix", "conductance", "bits"), "place": ("matrix", "conductance", "bits"),
    "read": ("inputs", "profile"), "update": ("rows", "columns"),
}  # fmt: skip
"""Keys of the steps that may name a data file."""


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
        if self.section.ktram is not None:
            raise self.error(
                ("ktram",), "a kT-RAM program has no hardware section, its core stands in ktram.core"
            )
        try:
            return Hardware(
                h.array,
                h.device,
                h.cell,
                h.dac,
                h.adc,
                h.driver,
                h.sense,
                h.sequencer,
                h.comparator,
                h.temperature,
                h.variation,
                h.transposed,
            )
        except CosimError as error:
            key, sentence = _owned(str(error), ("hardware",), self.document)
            raise self.error(key, sentence) from None

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
        hardware = self.document.values.get("hardware")
        device = hardware.get("device") if isinstance(hardware, dict) else None
        found: list[tuple[KeyPath, str]] = [
            (("hardware", "device", parameter), name) for parameter, name in device_files(device).items()
        ]
        for tile, entry in self.section.tiles.items():
            if entry.conductance is not None:
                found.append((("tiles", tile, "conductance"), entry.conductance))
            found += _netlists(("tiles", tile, "backend"), entry.backend)
        for index, step in enumerate(self.section.program):
            if step.backend is not None:
                found += _netlists(("program", index, "backend", "to"), step.backend.to)
            for kind, keys in _STEP_FILES.items():
                part = getattr(step, kind)
                if part is not None:
                    named = [(key, getattr(part, key)) for key in keys]
                    found += [
                        (("program", index, kind, key), name)
                        for key, name in named
                        if isinstance(name, str) and (key, name) != ("bits", RANDOM)
                    ]
        return found

    def netlist(self, key: KeyPath, name: str) -> str:
        """Return the text of a netlist file in the scenario's folder, as it is."""
        path = self._inside(key, name)
        try:
            return path.read_text(encoding="ascii")
        except (UnicodeDecodeError, OSError):
            raise self.error(key, f"'{name}' must be readable ASCII text") from None

    def matrix(self, key: KeyPath, given: str | list[list[float]]) -> NDArray[np.float64]:
        """Return the matrix of a file (CSV or NPY, in the scenario's folder) or of rows in the file."""
        table = self._read(key, given) if isinstance(given, str) else np.array(given, dtype=np.float64)
        table = np.atleast_2d(table)
        if table.size == 0:
            raise self.error(key, f"'{given}' holds no numbers; write one row a line, with commas")
        if table.ndim != 2:
            raise self.error(key, f"must be a table with rows and columns, not of shape {table.shape}")
        if not np.all(np.isfinite(table)):
            row, column = (int(k) for k in np.argwhere(~np.isfinite(table))[0])
            raise self.error(
                key, f"element ({row}, {column}) must be a finite number, not {table[row, column]}"
            )
        return table

    def _inside(self, key: KeyPath, name: str) -> Path:
        """Return the path of a file that must be there and in the scenario's folder."""
        path = self.path(name)
        inside = path.resolve().is_relative_to(self.folder.resolve())
        if Path(name).is_absolute() or not inside:
            raise self.error(
                key, f"'{name}' must lie in the scenario's folder; copy it there and name it relative to it"
            )
        if not path.is_file():
            raise self.error(key, f"there is no file '{name}' in the scenario's folder")
        return path

    def _read(self, key: KeyPath, name: str) -> NDArray[np.float64]:
        path = self._inside(key, name)
        try:
            if path.suffix == ".npy":
                return np.asarray(np.load(path, allow_pickle=False), dtype=np.float64)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of an empty file
                return np.loadtxt(path, delimiter=",", comments="#", ndmin=2)
        except (ValueError, TypeError, OSError, EOFError):
            raise self.error(key, _table_fault(path, name)) from None


def _netlists(key: KeyPath, backends: Mapping[str, BackendSection]) -> list[tuple[KeyPath, str]]:
    """Return the netlist files of the backends of a tile, or of a hand-over."""
    return [
        ((*key, kind, "netlist"), each.netlist) for kind, each in backends.items() if each.netlist is not None
    ]


def _table_fault(path: Path, name: str) -> str:
    """Return what is wrong with a table that could not be read."""
    if path.suffix == ".npy":
        return f"'{name}' must be an NPY file of numbers; write it with numpy.save"
    first = 0
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
        entries = line.partition("#")[0].split(",")
        if entries == [""]:
            continue
        for column, entry in enumerate(entries, 1):
            try:
                float(entry)
            except ValueError:
                return f"'{name}' must hold numbers with commas between them, but has '{entry.strip()[:40]}' in line {number}, column {column}"
        first = first or len(entries)
        if len(entries) != first:
            return f"every line of '{name}' must have {first} numbers as the first one, but line {number} has {len(entries)}"
    return f"'{name}' must hold numbers with commas between them"


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
    """Return the document of a scenario file with its bases, overrides and presets laid in."""
    document = _with_bases(file, str(file), ())
    for text in overrides:
        document = with_override(document, text)
    return with_presets(document)


def _with_bases(file: Path, shown: str, seen: tuple[Path, ...]) -> Document:
    document = read_document(file, shown)
    base = document.values.pop("extends", None)
    if base is None:
        return document
    place = document.places.pop(("extends",))
    path = file.parent / str(base)
    if Path(str(base)).is_absolute() or not path.resolve().is_relative_to(file.parent.resolve()):
        raise ScenarioError(place, "extends", f"'{base}' must lie in the scenario's folder; copy it there")
    if path.resolve() in seen or path.resolve() == file.resolve():
        raise ScenarioError(place, "extends", f"'{base}' extends itself")
    if not path.is_file():
        raise ScenarioError(place, "extends", f"there is no file '{base}' in the scenario's folder")
    return merged(_with_bases(path, str(path), (*seen, file.resolve())), document)


def parse(document: Document, folder: Path) -> tuple[Scenario | None, list[ScenarioError]]:
    """Return the scenario, or every error of the document in the order of the file."""
    try:
        kind = KtramScenarioSection if "ktram" in document.values else ScenarioSection
        section = kind.model_validate(document.values, context={"folder": folder})
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
    items: list[Any] = [
        {**item, "loc": _written(item["loc"], document)} for item in error.errors(include_url=False)
    ]
    for item in items:
        if any(_deeper(other["loc"], item["loc"]) for other in items):
            continue  # the other branch of a choice fits the entry better
        path, sentence = _sentence(item, document)
        sentences = found.setdefault(path, [])
        if sentence not in sentences:
            sentences.append(sentence)
    return [
        ScenarioError(document.place(path), dotted(path), "; or ".join(sentences))
        for path, sentences in found.items()
    ]


def _written(loc: KeyPath, document: Document) -> KeyPath:
    """Return the path of an error without the names of the branches of a choice, which are no keys."""
    path: KeyPath = ()
    for position, part in enumerate(loc):
        node = document.value(path) if document.known(path) == path else None
        key = part in node if isinstance(node, dict) else isinstance(node, list) and isinstance(part, int)
        if key or (position == len(loc) - 1 and not _BRANCH.match(str(part))):
            path = (*path, part)
    return path


def _deeper(loc: KeyPath, other: KeyPath) -> bool:
    return len(loc) > len(other) > 0 and loc[: len(other)] == other


def _sentence(item: Any, document: Document) -> tuple[KeyPath, str]:
    loc: KeyPath = item["loc"]
    kind, path = item["type"], document.known(loc)
    if kind in ("extra_forbidden", "unexpected_keyword_argument"):
        return path, _unknown_key(loc)
    if kind in ("missing", "missing_argument"):
        return path, f"the key '{loc[-1]}' is missing; add it"
    problem = item.get("ctx", {}).get("error")
    if problem is not None:
        return _owned(str(problem), path, document)
    return path, sentence_of(item)


def _owned(text: str, path: KeyPath, document: Document) -> tuple[KeyPath, str]:
    """Return key and sentence of an error that names a parameter below ``path``; its value as written."""
    owned = _OWNED.match(text)
    if not owned:
        return path, text
    inner: KeyPath = (*path, *owned.group(1).split("."))
    sentence = owned.group(2)
    if document.known(inner) != inner:
        return path, f"{dotted(inner[len(path) :])} {sentence}"
    written = document.value(inner)
    if isinstance(written, list):
        written = f"[{', '.join(str(entry) for entry in written)}]"
    rule, separator, _ = sentence.rpartition(", not ")
    return inner, f"{rule}, not {written}" if separator else sentence


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
            patterns = list(node.get("patternProperties", {}).values())
            node = patterns[0] if patterns else node.get("additionalProperties", {})
    return sorted(_resolve(node, schema).get("properties", {}))


def _resolve(node: Any, schema: Any) -> Any:
    while isinstance(node, dict):
        if "$ref" in node:
            node = schema["$defs"][node["$ref"].rsplit("/", 1)[1]]
        elif "allOf" in node:
            node = node["allOf"][0]
        elif "anyOf" in node and "properties" not in node:
            options = [entry for entry in node["anyOf"] if "$ref" in entry]
            if not options:
                return {}
            node = options[0]
        else:
            return node
    return {}
