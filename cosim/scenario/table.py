"""Names and small tables of a scenario file."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field

from cosim.errors import InputError

NAME = r"^[A-Za-z][A-Za-z0-9_]*$"
Name = Annotated[str, Field(pattern=NAME)]
RANDOM = "random"
"""What stands for a table of bits that are drawn."""

Rows = list[list[float]]
"""A small matrix written into the file, row by row."""


def read_table(value: object) -> object:
    """Check a file name, or rows of numbers written into the file; raises `InputError`."""
    if value is None or isinstance(value, str):
        return value
    if not isinstance(value, list) or not value or not all(isinstance(row, list) and row for row in value):
        raise InputError("must be the name of a CSV or NPY file, or rows of numbers such as [[1, 0], [0, 1]]")
    for index, row in enumerate(value):
        if len(row) != len(value[0]):
            raise InputError(
                f"every row must be as long as row 0, {len(value[0])}, but row {index} has {len(row)}"
            )
        for column, entry in enumerate(row):
            if isinstance(entry, bool) or not isinstance(entry, (int, float)):
                raise InputError(f"element ({index}, {column}) must be a number, not {entry!r}")
    return value


Table = Annotated[str | Rows, BeforeValidator(read_table)]
"""A matrix: the name of a file, or its rows."""
