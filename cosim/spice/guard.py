"""What a netlist may contain: an allow-list for every netlist text that is not ours.

A netlist is a program: ngspice runs shell commands, writes files and loads libraries from it, some
of that already while it reads the deck, even from comment lines. `guard_netlist` therefore accepts
only what it knows, line by line, and returns the text to be used: comments dropped, continuation
lines joined, includes read from inside one folder, checked and written in place. Nothing that it did
not check reaches ngspice.

Allowed are the elements R C L V I B E F G H D M S W X, and the cards ``.subckt .ends .param .func
.model`` with model types that need no code model; MOS models of levels 1 to 3 only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cosim.errors import NetlistRefusedError

MAX_BYTES: Final = 1 << 20
MAX_LINE: Final = 20_000
MAX_INCLUDES: Final = 8

ELEMENTS: Final = frozenset("rclvibefghdmswx")
CARDS: Final = frozenset({".subckt", ".ends", ".param", ".func", ".model"})
MODELS: Final = frozenset({"r", "c", "l", "d", "sw", "csw", "nmos", "pmos"})
_MOS_LEVELS: Final = frozenset({"1", "2", "3"})
_DROPPED: Final = frozenset({".title", ".end"})

_IDENTIFIER: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_ELEMENT_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.]*")
_OUTSIDE: Final = re.compile(r"[A-Za-z0-9_.+\-*/=(),\[\]\s]*")
_INSIDE: Final = re.compile(r"[A-Za-z0-9_.+\-*/^=(),<>?:&|!\s]*")
_EXPRESSION: Final = re.compile(r"\{([^{}]*)\}|'([^']*)'")
_TRAILING_COMMENT: Final = re.compile(r";|//|(?:^|\s)\$(?:\s|$)")
_MODEL: Final = re.compile(r"\.model\s+(\S+)\s+([a-z]+)\s*(.*)", re.IGNORECASE)
_INCLUDE: Final = re.compile(r"\.inc(?:l|lude)?\s+(.+)", re.IGNORECASE)
_FORBIDDEN_WORDS: Final = re.compile(
    r"\b(external|file|filename|input_file|pwlfile|wavefile|process|simulation|cosim|osdi|shell|control)\s*(=|\b)",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class _Line:
    place: str
    text: str


def check_identifier(name: str, what: str) -> str:
    """Return ``name`` if it may enter a deck: a letter, then letters, digits and underscores.

    Raises `NetlistRefusedError` otherwise; ``what`` says in the sentence what the name stands for.
    """
    if _IDENTIFIER.fullmatch(name) is None:
        raise NetlistRefusedError(
            f"{what} must be a letter followed by letters, digits and underscores, not {name!r}"
        )
    return name


def guard_netlist(
    text: str, *, folder: Path | None = None, name: str = "netlist", top_level: bool = False
) -> str:
    """Return what of a netlist text may be given to ngspice.

    Parameters
    ----------
    text : str
        The netlist as a person gave it.
    folder : Path, optional
        The only folder from which ``.include`` may read; without one it is refused.
    name : str
        Name of the text in error sentences.
    top_level : bool
        Whether elements may stand outside of ``.subckt``.

    Raises
    ------
    NetlistRefusedError
        With ``name:line``, the rule and the offending text.
    """
    depth = 0
    kept: list[str] = []
    for line in _lines(text, name, folder, 0):
        word = line.text.split(None, 1)[0].lower()
        if word in _DROPPED:
            continue
        _check_line(line, word)
        depth += (word == ".subckt") - (word == ".ends")
        if depth < 0:
            raise _refused(line, "'.ends' must follow a '.subckt'")
        if depth == 0 and word[0] != "." and not top_level:
            raise _refused(line, "elements must stand inside of a '.subckt'")
        kept.append(line.text)
    if depth:
        raise NetlistRefusedError(f"{name}: every '.subckt' must be closed by an '.ends'")
    return "\n".join(kept) + "\n"


def _refused(line: _Line, rule: str) -> NetlistRefusedError:
    return NetlistRefusedError(f"{line.place}: {rule}, but the line is {line.text[:80]!r}")


def _lines(text: str, name: str, folder: Path | None, level: int) -> Iterator[_Line]:
    """Return the logical lines of a text: no comments, continuations joined, includes in place."""
    for line in _joined(text, name):
        include = _INCLUDE.fullmatch(line.text)
        if include is None:
            yield line
            continue
        path = _included(line, include.group(1), folder, level)
        assert folder is not None
        yield from _lines(_read(path, line), f"{line.place} > {path.name}", folder, level + 1)


def _joined(text: str, name: str) -> Iterator[_Line]:
    """Return lines without comments, with their continuation lines appended."""
    if len(text) > MAX_BYTES:
        raise NetlistRefusedError(
            f"{name}: a netlist must not exceed {MAX_BYTES} characters, but has {len(text)}"
        )
    current: _Line | None = None
    for number, raw in enumerate(text.replace("\r\n", "\n").split("\n"), start=1):
        place = f"{name}:{number}"
        if not all(" " <= character <= "~" or character == "\t" for character in raw):
            raise NetlistRefusedError(
                f"{place}: a netlist must be printable ASCII, but the line is {raw[:80]!r}"
            )
        stripped = _TRAILING_COMMENT.split(raw, maxsplit=1)[0].strip()
        if not stripped or stripped.startswith("*"):
            continue
        if stripped.startswith("+"):
            if current is None:
                raise NetlistRefusedError(
                    f"{place}: a continuation must follow a line, but the line is {raw[:80]!r}"
                )
            current = _Line(current.place, f"{current.text} {stripped[1:].strip()}")
        else:
            if current is not None:
                yield current
            current = _Line(place, stripped)
        if len(current.text) > MAX_LINE:
            raise NetlistRefusedError(f"{place}: a line must not exceed {MAX_LINE} characters")
    if current is not None:
        yield current


def _included(line: _Line, written: str, folder: Path | None, level: int) -> Path:
    """Return the file of an include; raises `NetlistRefusedError` unless it lies inside ``folder``."""
    if folder is None:
        raise _refused(line, "an include needs the folder of a scenario")
    if level >= MAX_INCLUDES:
        raise _refused(line, f"includes must not be nested deeper than {MAX_INCLUDES}")
    name = written.strip().strip("\"'")
    if re.fullmatch(r"[A-Za-z0-9_./\-]+", name) is None:
        raise _refused(line, "a file name must consist of letters, digits and _ . / -")
    path = inside(folder, name)
    if path is None or not path.is_file():
        raise _refused(line, f"an included file must exist inside of the folder '{folder.name}'")
    return path


def inside(folder: Path, name: str) -> Path | None:
    """Return the real path of ``name`` if it lies inside ``folder`` (links followed), else None.

    Data files that a scenario names obey the same rule.
    """
    root = folder.resolve()
    path = (root / name).resolve()
    return path if path.is_relative_to(root) else None


def _read(path: Path, line: _Line) -> str:
    if path.stat().st_size > MAX_BYTES:
        raise _refused(line, f"an included file must not exceed {MAX_BYTES} bytes")
    try:
        return path.read_text(encoding="ascii")
    except (UnicodeDecodeError, OSError):
        raise _refused(line, "an included file must be readable ASCII text") from None


def _check_line(line: _Line, word: str) -> None:
    """Raise `NetlistRefusedError` unless the line is one of those that are known."""
    if word[0] == ".":
        if word not in CARDS:
            raise _refused(line, f"a card must be one of {' '.join(sorted(CARDS))}")
    elif word[0] not in ELEMENTS:
        raise _refused(line, f"an element must be one of {' '.join(sorted(ELEMENTS)).upper()}")
    elif _ELEMENT_NAME.fullmatch(word) is None:
        raise _refused(line, "the name of an element must consist of letters, digits, dots and underscores")
    _check_characters(line, word)
    found = _FORBIDDEN_WORDS.search(line.text)
    if found is not None:
        raise _refused(line, f"the word '{found.group(1)}' is not allowed")
    if word == ".model":
        _check_model(line)


def _check_characters(line: _Line, word: str) -> None:
    """Raise `NetlistRefusedError` for a character that has no place in elements or expressions."""
    for match in _EXPRESSION.finditer(line.text):
        inner = match.group(1) if match.group(1) is not None else match.group(2)
        if _INSIDE.fullmatch(inner) is None:
            raise _refused(line, "an expression holds a character that is not allowed")
    outside = _EXPRESSION.sub(" ", line.text)
    if word == ".subckt" or word[0] == "x":
        outside = re.sub(r"\bparams:", " ", outside, flags=re.IGNORECASE)
    formula = word[0] in "beg" or word in {".param", ".func"}
    head, sign, tail = outside.partition("=") if formula else (outside, "", "")
    if _OUTSIDE.fullmatch(head + sign) is None or _INSIDE.fullmatch(tail) is None:
        raise _refused(line, "the line holds a character that is not allowed outside of an expression")


def _check_model(line: _Line) -> None:
    match = _MODEL.fullmatch(line.text)
    kind = match.group(2).lower() if match is not None else ""
    if match is None or kind not in MODELS:
        raise _refused(line, f"a model must be of type {', '.join(sorted(MODELS))}")
    if _IDENTIFIER.fullmatch(match.group(1)) is None:
        raise _refused(
            line, "the name of a model must be a letter followed by letters, digits and underscores"
        )
    levels = re.findall(r"\blevel\s*=\s*([^\s,)]+)", match.group(3), re.IGNORECASE)
    if kind in {"nmos", "pmos"} and any(level not in _MOS_LEVELS for level in levels):
        raise _refused(line, "a MOS model must be of level 1, 2 or 3")
