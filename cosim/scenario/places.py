"""YAML text to plain values, with the place of every entry.

YAML 1.2 rules: ``1e-9`` is a number, ``on`` a string. ``extends: FILE`` takes another scenario of the
same folder as base; mappings are merged key by key, everything else is replaced.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cosim.errors import ScenarioError

KeyPath = tuple[str | int, ...]


@dataclass(slots=True)
class Document:
    """Plain values of a scenario and where each stands: ``places[path] = FILE:LINE:COLUMN``."""

    values: Any
    places: dict[KeyPath, str] = field(default_factory=dict)
    file: str = ""

    def place(self, path: KeyPath) -> str:
        """Return the place of an entry, or of its nearest parent that is written."""
        for length in range(len(path), -1, -1):
            if path[:length] in self.places:
                return self.places[path[:length]]
        return self.file

    def known(self, path: KeyPath) -> KeyPath:
        """Return the longest part of ``path`` that leads to an entry."""
        node: Any = self.values
        for length, part in enumerate(path):
            inside = (
                part in node if isinstance(node, dict) else isinstance(node, list) and _is_index(part, node)
            )
            if not inside:
                return path[:length]
            node = node[part]
        return path

    def value(self, path: KeyPath) -> Any:
        """Return the value at ``path``."""
        node = self.values
        for part in path:
            node = node[part]
        return node


def _is_index(part: str | int, node: list[Any]) -> bool:
    return isinstance(part, int) and 0 <= part < len(node)


def read_document(file: Path, shown: str) -> Document:
    """Read a YAML file; ``shown`` is how places call it. Raises `ScenarioError`."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ScenarioError(shown, "", "there is no such file; give the path of a scenario file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ScenarioError(shown, "", f"cannot be read as UTF-8 text: {error}") from None
    try:
        tree = YAML(typ="rt", pure=True).load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{shown}:{mark.line + 1}:{mark.column + 1}" if mark else shown
        raise ScenarioError(place, "", _yaml_sentence(error)) from None
    except YAMLError as error:
        raise ScenarioError(shown, "", f"is not valid YAML: {str(error).splitlines()[0]}") from None
    if not isinstance(tree, Mapping):
        raise ScenarioError(shown, "", "must be a mapping of keys, starting with 'schema_version: 1'")
    document = Document(None, {(): f"{shown}:1:1"}, shown)
    document.values = _plain(tree, (), document.places, shown)
    return document


def _yaml_sentence(error: Any) -> str:
    from ruamel.yaml.constructor import DuplicateKeyError

    problem = str(error.problem or error.context)
    if isinstance(error, DuplicateKeyError):
        return f"the key {problem.split(chr(34))[1]!r} stands twice in one mapping; keep one of them"
    if "'\\t'" in problem:
        return "is not valid YAML: there is a tab where an entry begins; indent with spaces"
    return f"is not valid YAML: {problem}"


def _key_place(node: Any, key: Any) -> tuple[int, int]:
    """Return line and column of a key, of its mapping where the key comes from a merge (``<<``)."""
    own = key in (node.lc.data or ())
    return node.lc.key(key) if own else (node.lc.line, node.lc.col)


def _plain(node: Any, path: KeyPath, places: dict[KeyPath, str], shown: str) -> Any:
    if isinstance(node, Mapping):
        result = {}
        for key in node:
            line, column = _key_place(node, key)
            inner = (*path, str(key))
            places[inner] = f"{shown}:{line + 1}:{column + 1}"
            result[str(key)] = _plain(node[key], inner, places, shown)
        return result
    if isinstance(node, list):
        items = []
        for index, entry in enumerate(node):
            line, column = node.lc.item(index)  # type: ignore[attr-defined]
            inner = (*path, index)
            places[inner] = f"{shown}:{line + 1}:{column + 1}"
            items.append(_plain(entry, inner, places, shown))
        return items
    if isinstance(node, bool) or node is None:
        return node
    for kind in (int, float, str):
        if isinstance(node, kind):
            return kind(node)
    return str(node)


def merged(base: Document, top: Document) -> Document:
    """Return ``top`` laid over ``base``, key by key."""
    places = dict(base.places)
    values = _merge(base.values, top.values, (), places, top.places)
    return Document(values, places, top.file)


def _merge(
    base: Any, top: Any, path: KeyPath, places: dict[KeyPath, str], over: Mapping[KeyPath, str]
) -> Any:
    if not (isinstance(base, dict) and isinstance(top, dict)):
        for old in [known for known in places if known[: len(path)] == path]:
            del places[old]
        places.update({known: place for known, place in over.items() if known[: len(path)] == path})
        return top
    result = dict(base)
    if path in over:
        places[path] = over[path]
    for key, value in top.items():
        inner = (*path, key)
        if key in base:
            result[key] = _merge(base[key], value, inner, places, over)
        else:
            result[key] = value
            places.update({known: place for known, place in over.items() if known[: len(inner)] == inner})
    return result


def with_override(document: Document, text: str) -> Document:
    """Return the document with ``KEY=VALUE`` set; the value is read as YAML. Raises `ScenarioError`."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    key, equals, raw = text.partition("=")
    if not equals or not key.strip():
        raise ScenarioError(
            "--set", "", f"must have the form KEY=VALUE, not '{text}'; write for example hardware.adc.bits=6"
        )
    path: KeyPath = tuple(int(part) if part.isdigit() else part for part in key.strip().split("."))
    if "" in path:
        raise ScenarioError(
            "--set", key, "has an empty part; give the path of an entry, such as hardware.adc.bits"
        )
    try:
        value = _value(YAML(typ="safe", pure=True).load(raw))
    except YAMLError:
        raise ScenarioError("--set", key, f"'{raw}' is not a YAML value") from None
    node: Any = document.values
    for depth, part in enumerate(path[:-1], 1):
        if isinstance(node, list) and isinstance(part, int) and part < len(node):
            node = node[part]
        elif isinstance(node, dict):
            if part not in node:
                node[part] = {}
                document.places[path[:depth]] = "--set"
            node = node[part]
        else:
            raise ScenarioError(
                "--set", key, f"'{part}' leads nowhere; give the path of an entry as in the file"
            )
    last = path[-1]
    try:
        node[last] = value
    except (TypeError, IndexError, KeyError):
        raise ScenarioError(
            "--set", key, f"'{last}' leads nowhere; give the path of an entry as in the file"
        ) from None
    for replaced in [known for known in document.places if known[: len(path)] == path]:
        del document.places[replaced]
    document.places[path] = "--set"
    return document


def _value(node: Any) -> Any:
    """Return a YAML value made of the types of a scenario: what has another one (a date) as text."""
    if isinstance(node, dict):
        return {str(key): _value(entry) for key, entry in node.items()}
    if isinstance(node, list):
        return [_value(entry) for entry in node]
    return node if node is None or isinstance(node, bool | int | float | str) else str(node)
