"""Steps beside write and read to operations; everything that can be refused is refused here."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from cosim.components.drive_lines import LinePulses
from cosim.components.programming import Programming
from cosim.components.tile import Tile
from cosim.components.updating import OuterProduct
from cosim.components.write_verify import ProgrammingPulse
from cosim.devices.base import FloatArray
from cosim.operations import Drive, ReadWord, Refresh, Update
from cosim.scenario.load import Scenario
from cosim.scenario.places import KeyPath
from cosim.scenario.schema_operations import DriveStep, ReadWordStep, RefreshStep, UpdateStep


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class StoredBits:
    """What a tile holds as bits: 0, 1, or -1 for a cell that was never written; levels of zero and one [S]."""

    bits: NDArray[np.int64]
    levels: tuple[float, float]


def merged(before: Programming | None, job: Programming) -> Programming:
    """Return the last target of every cell of a tile, with the rule of the last write."""
    if before is None:
        return job
    targets = np.where(np.isfinite(job.targets), job.targets, before.targets)
    return dataclasses.replace(job, targets=targets)


def stored(before: StoredBits | None, targets: FloatArray, levels: tuple[float, float]) -> StoredBits:
    """Return the bits of a tile after targets [S], NaN where nothing is written, were given to it."""
    old = np.full(targets.shape, -1, dtype=np.int64) if before is None else before.bits
    new = np.abs(targets - levels[1]) < np.abs(targets - levels[0])
    return StoredBits(np.where(np.isfinite(targets), new.astype(np.int64), old), levels)


def update(
    scenario: Scenario,
    key: KeyPath,
    step: UpdateStep,
    tile: Tile,
    pulses: tuple[ProgrammingPulse, ProgrammingPulse],
) -> Update:
    """Return the operation of an update step; the bit lines of 2T2R cells have the factor of their column, + and -."""
    devices = tile.array.cell.bit_lines
    rows = _factors(scenario, (*key, "rows"), step.rows, tile.array.rows, "word line")
    columns = _factors(
        scenario, (*key, "columns"), step.columns, tile.array.columns // devices,
        "bit line" if devices == 1 else "pair of bit lines",
    )  # fmt: skip
    if devices == 2:
        columns = np.stack((columns, -columns), axis=-1).reshape(len(columns), -1)
    if len(rows) != len(columns):
        raise scenario.error(
            (*key, "columns"), f"must have as many products as 'rows', {len(rows)}, not {len(columns)}"
        )
    for name, spec in zip(("set", "reset"), pulses, strict=True):
        if spec.compliance is not None:
            raise scenario.error(
                scenario.document.known((*key, name, "compliance")),
                "a pulse on many lines at once serves many cells, so it cannot end at the current of one; leave compliance out",
            )
    products = tuple(
        OuterProduct(x, y, step.slots, step.trains, *pulses) for x, y in zip(rows, columns, strict=True)
    )
    return Update(step.tile, products)


def _factors(
    scenario: Scenario, key: KeyPath, table: str | list[list[float]], lines: int, line: str
) -> FloatArray:
    found = scenario.matrix(key, table)
    if found.shape[1] != lines:
        raise scenario.error(key, f"must have one column per {line}, {lines}, not {found.shape[1]}")
    if np.any(np.abs(found) > 1):
        row, column = (int(k) for k in np.argwhere(np.abs(found) > 1)[0])
        raise scenario.error(
            key, f"element ({row}, {column}) must lie between -1 and 1, not {found[row, column]:g}"
        )
    return found


def read_word(
    scenario: Scenario, key: KeyPath, step: ReadWordStep, tile: Tile, stored: StoredBits | None
) -> ReadWord:
    """Return the operation of a read_word step."""
    rows = tuple(range(tile.array.rows) if step.rows is None else step.rows)
    for position, row in enumerate(rows):
        if not 0 <= row < tile.array.rows:
            raise scenario.error(
                (*key, "rows", position), f"there is no row {row}; rows go from 0 to {tile.array.rows - 1}"
            )
    if stored is None or np.any(stored.bits[list(rows)] < 0):
        raise scenario.error(
            (*key, "tile"), f"tile {step.tile} holds no bits in these rows; write or place 'bits' before"
        )
    if step.unselected == "floating" and tile.array.cell.gated:
        raise scenario.error(
            (*key, "unselected"),
            "the other rows of 1T1R cells are gated off, so their word lines carry nothing; leave it grounded",
        )
    reference = step.reference
    if reference is None:
        reference = tile.forward.dac.range[1] * sum(stored.levels) / 2
    elif reference <= 0:
        raise scenario.error((*key, "reference"), f"must be above zero, not {reference:g} A")
    return ReadWord(step.tile, stored.bits, rows, step.unselected, reference)


def refresh(
    scenario: Scenario, key: KeyPath, step: RefreshStep, written: Mapping[str, Programming]
) -> Refresh:
    """Return the operation of a refresh step."""
    for position, name in enumerate(step.tiles):
        if name not in written:
            raise scenario.error(
                (*key, "tiles", position),
                f"tile {name} was not written before, so nothing says what it shall hold",
            )
    jobs = {name: written[name] for name in step.tiles}
    window = step.window if step.window is not None else next(iter(jobs.values())).verify.window
    if not 0 < window < 1:
        raise scenario.error((*key, "window"), f"must lie between 0 % and 100 %, not {100 * window:g} %")
    return Refresh(jobs, window)


def drive(scenario: Scenario, key: KeyPath, step: DriveStep, tile: Tile) -> Drive:
    """Return the operation of a drive step."""
    nets = tile.network.nets
    for net in step.lines:
        if net not in nets:
            rows, columns = tile.array.shape
            raise scenario.error(
                (*key, "lines", net),
                f"there is no line '{net}'; lines are wl0 to wl{rows - 1} and bl0 to bl{columns - 1}",
            )
    return Drive(step.tile, LinePulses(dict(step.lines), step.width, step.others))
