"""Programs over many address tuples in one call: compiled where numba is installed, else instruction by instruction.

Both ways give the numbers of single instructions to the last bit, with the same draws in the same order.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from cosim.errors import AddressError, KtramError
from cosim.ktram.aat import AAT, places_of_row
from cosim.ktram.fidelity import Ideal, read_voltage
from cosim.ktram.instructions import Instruction, resolve
from cosim.ktram.noise import READ_NOISE_REF_V, ROOM_TEMPERATURE_K
from cosim.ktram.topology import TwoOne

if TYPE_CHECKING:
    from cosim.ktram.lane import NeuralLane

Program = str | Instruction | Sequence[str | Instruction]
Tuples = NDArray[np.integer[Any]] | Sequence[AAT]

_WORTH_COMPILING: Final = 4096
"""Synapse updates from which on the compiled loop is used: loading it takes a while."""
_MOST_DRAWS: Final = 1 << 20


def rules_of(program: Program) -> list[Instruction]:
    """Return the instructions of a program: one, or a sequence of them."""
    entries = [program] if isinstance(program, (str, Instruction)) else list(program)
    return [resolve(entry) for entry in entries]


def tuples_of(aats: Tuples, spaces: int) -> NDArray[np.int64]:
    """Return address tuples as integers ``(tuples, spaces)`` with -1 for None.

    Raises `KtramError` where the shape or the type is wrong; addresses are not checked here.
    """
    if not isinstance(aats, np.ndarray):
        rows = [
            [-1 if address is None else _not_negative(address, k) for k, address in enumerate(aat)]
            for aat in aats
        ]
        if any(len(row) != spaces for row in rows):
            wrong = next(len(row) for row in rows if len(row) != spaces)
            raise KtramError(
                f"address tuples: must have one entry for each of the {spaces} spaces, not {wrong}"
            )
        aats = np.array(rows, dtype=np.int64).reshape(len(rows), spaces)
    if not np.issubdtype(aats.dtype, np.integer):
        raise KtramError(f"address tuples: must be integers, with -1 for an open space, not {aats.dtype}")
    if aats.ndim != 2 or aats.shape[1] != spaces:
        raise KtramError(f"address tuples: must have the shape (tuples, {spaces}), not {aats.shape}")
    return np.ascontiguousarray(aats, dtype=np.int64)


def _not_negative(address: int, space: int) -> int:
    if address < 0:
        raise AddressError(
            f"address tuples, space {space}: must not be negative, not {address}; None leaves a space out"
        )
    return address


def run(lane: NeuralLane, aats: Tuples, program: Program, noise: float = 0.0) -> NDArray[np.float64]:
    """Carry out all instructions of ``program`` on every tuple in turn; see `NeuralLane.run`."""
    core = lane.core
    rules, rows = rules_of(program), tuples_of(aats, core.spaces_per_lane)
    compiled = (
        rows.size * len(rules) >= _WORTH_COMPILING
        and isinstance(core.fidelity, Ideal)
        and isinstance(core.topology, TwoOne)
        and find_spec("numba") is not None
    )
    _check(rows, core.book.size, compiled)
    ys = np.empty((len(rows), len(rules)))
    if compiled:
        _run_compiled(lane, rows, rules, noise, ys)
        return ys
    execute, size = core.fidelity.execute, core.book.size
    for k, row in enumerate(rows):
        active = places_of_row(row, size)
        for j, rule in enumerate(rules):
            ys[k, j] = execute(lane, active, rule, noise)
    return ys


def _check(rows: NDArray[np.int64], size: int, compiled: bool) -> None:
    """Refuse addresses outside of -1..size-1 before anything is done."""
    if compiled:
        from cosim.ktram.batch_numba import first_bad

        bad = int(first_bad(rows, size))
    else:
        wrong = np.flatnonzero((rows < -1) | (rows >= size))
        bad = int(wrong[0]) if len(wrong) else -1
    if bad >= 0:
        row, space = divmod(bad, rows.shape[1])
        raise AddressError(
            f"address tuple {row}, space {space}: must be within 0..{size - 1}, or -1 for an open space, "
            f"not {rows[row, space]}"
        )


def _run_compiled(
    lane: NeuralLane, rows: NDArray[np.int64], rules: list[Instruction], noise: float, ys: NDArray[np.float64]
) -> None:
    from cosim.ktram.batch_numba import run as kernel

    core = lane.core
    number, constants = core.law.kernel()
    table = _table(lane, rules, noise)
    noise_constants = _noise_constants(lane)
    cells, par = lane.state.reshape(-1), np.array(constants)
    for part, draws in _parts(lane, rows, rules, len(noise_constants) > 0):
        normals = core.rng.standard_normal(draws)
        kernel(
            cells, rows[part], core.book.size, table, core.pulse_width, number, par,
            noise_constants, normals, lane.y, ys[part],
        )  # fmt: skip
        lane.y = float(ys[part][-1, -1])


def _table(lane: NeuralLane, rules: list[Instruction], noise: float) -> NDArray[np.float64]:
    """Return reads, rail voltage, feedback voltage and use of the sign for every instruction."""
    core = lane.core
    rows = []
    for rule in rules:
        rail = core.v_app(rule)
        if rule.reads and noise:
            rail = read_voltage(rail, noise)
        if rule.reads and rail == 0.0 and core.read_noise > 0:
            core.read_sigma(0.0, 1.0, rail)  # refuses
        rows.append((rule.reads, rail, rule.coeff * core.drive_voltage(rule.direction), rule.use_H))
    return np.array(rows, dtype=np.float64).reshape(len(rules), 4)


def _noise_constants(lane: NeuralLane) -> NDArray[np.float64]:
    """Return what does not change from read to read in `cosim.ktram.noise.sigma`; empty without noise."""
    core = lane.core
    if core.read_noise <= 0.0:
        return np.empty(0)
    ratio = core.read_noise_ref_pw / core.read_pulse_width
    thermal = core.read_noise * core.noise_thermal * math.sqrt(core.temperature / ROOM_TEMPERATURE_K)
    band_ref = core.flicker_decades * math.log(10.0)
    band = band_ref + math.log(ratio)
    return np.array(
        [
            thermal * READ_NOISE_REF_V,
            core.read_noise * core.noise_flicker,
            math.sqrt(core.read_noise_ref_m),
            math.sqrt(ratio),
            math.sqrt(band / band_ref) if band > 0.0 else 0.0,
            core.comparator_noise,
        ]
    )


def _parts(
    lane: NeuralLane, rows: NDArray[np.int64], rules: list[Instruction], noisy: bool
) -> list[tuple[slice, int]]:
    """Return slices of rows with the standard normal numbers that each needs, not too many at once."""
    law = lane.core.law
    if not (noisy or law.stochastic) or not len(rows) or not rules:
        return [(slice(0, len(rows)), 0)] if len(rows) and rules else []
    selected = np.count_nonzero(rows >= 0, axis=1)
    draws = 4 * selected * len(rules) if law.stochastic else np.zeros(len(rows), dtype=np.int64)
    if noisy:
        draws += (selected > 0) * sum(rule.reads for rule in rules)
    ends = np.cumsum(draws)
    parts, first, taken = [], 0, 0
    while first < len(rows):
        last = max(first + 1, int(np.searchsorted(ends, taken + _MOST_DRAWS, side="right")))
        parts.append((slice(first, last), int(ends[last - 1]) - taken))
        first, taken = last, int(ends[last - 1])
    return parts
