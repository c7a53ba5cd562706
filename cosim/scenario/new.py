"""A commented scenario to start from."""

from __future__ import annotations

import re
from pathlib import Path

from cosim.errors import InputError, UnknownNameError
from cosim.scenario.table import NAME

_TEMPLATES = Path(__file__).parent / "templates"


def kinds() -> list[str]:
    """Return the names of the templates."""
    return sorted(path.stem for path in _TEMPLATES.glob("*.yaml"))


def write_new(file: Path, kind: str = "array") -> None:
    """Write the template ``kind`` (``array`` or ``ktram``) to a new file; the scenario takes the file's name.

    Raises `InputError` where the file is there already or its name cannot be that of a scenario,
    `UnknownNameError` where there is no such template.
    """
    if kind not in kinds():
        raise UnknownNameError(f"--kind must be one of {', '.join(kinds())}, not '{kind}'")
    name = file.stem.replace("-", "_")
    if not re.fullmatch(NAME, name):
        raise InputError(
            f"{file}: the file's name becomes the scenario's, so it must begin with a letter and hold letters, digits, '-' and '_' only"
        )
    if file.suffix not in (".yaml", ".yml"):
        raise InputError(f"{file}: a scenario file ends in .yaml, not '{file.suffix}'")
    text = (_TEMPLATES / f"{kind}.yaml").read_text(encoding="utf-8").replace("NAME", name)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError:
        raise InputError(f"{file}: is there already; give another name or remove it") from None
    except OSError as error:
        raise InputError(f"{file}: cannot be written: {error.strerror}") from None
