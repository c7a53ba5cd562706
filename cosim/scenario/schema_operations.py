"""Sections of the steps beside write and read: update, read_word, refresh, drive."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from cosim.components.write_verify import ProgrammingPulse
from cosim.scenario.section import Section
from cosim.scenario.table import Name, Table
from cosim.units import Ampere, Femtoseconds, Fraction, Volt


class UpdateStep(Section):
    """Outer-product update in place: row and column pulses at once."""

    tile: Name = Field(description="the tile whose cells change")
    rows: Table = Field(
        description="file or rows: one row of factors per product, -1 to 1, one for each word line"
    )
    columns: Table = Field(
        description="the same for the bit lines (2T2R: for each pair, + and -); as many products"
    )
    slots: Annotated[int, Field(ge=1, le=4096)] = Field(
        default=31,
        description="slots of a pulse train",
        json_schema_extra={
            "source": "T. Gokmen, Y. Vlasov, Front. Neurosci. 10:333 (2016): trains of 31 pulses"
        },
    )
    trains: Literal["stochastic", "deterministic"] = Field(
        default="stochastic", description="pulses drawn at random, or spread evenly"
    )
    set_pulse: ProgrammingPulse | None = Field(
        default=None, alias="set", description="pulse of a SET coincidence; default: the device's"
    )
    reset_pulse: ProgrammingPulse | None = Field(
        default=None, alias="reset", description="pulse of a RESET coincidence; default: the device's"
    )


class ReadWordStep(Section):
    """Read words of a tile that holds bits, with margins and errors."""

    tile: Name = Field(description="a tile that was written or placed with bits")
    rows: list[int] | None = Field(
        default=None, min_length=1, description="the words that are read; default: all"
    )
    unselected: Literal["grounded", "floating"] = Field(
        default="grounded",
        description="the other lines: grounded, or floating, which lets sneak paths in (bits are then read one by one)",
    )
    reference: Ampere | None = Field(
        default=None, description="current between zeros and ones; default: half-way between the two levels"
    )


class RefreshStep(Section):
    """Read all written cells of tiles and rewrite those whose read has left a window."""

    tiles: list[Name] = Field(min_length=1, description="tiles that were written before")
    window: Fraction | None = Field(
        default=None, description="half width of the window, of the full range; default: that of the write"
    )


def _above_zero(value: int) -> int:
    from cosim.errors import InputError

    if value < 1:
        raise InputError("must be a time above zero, not 0 s")
    return value


class DriveStep(Section):
    """One pulse on any lines of a tile at once."""

    tile: Name = Field(description="the tile")
    lines: dict[str, Volt] = Field(
        min_length=1, description="voltage of each driven line, wl0.. and bl0..; 0 V grounds it"
    )
    width: Annotated[Femtoseconds, AfterValidator(_above_zero)] = Field(description="length of the plateau")
    others: Literal["floating", "grounded"] = Field(default="floating", description="what all other lines do")
