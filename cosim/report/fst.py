"""``waves.fst``: the waveforms of ``waves.vcd`` in GTKWave's compressed format (Fast Signal Trace), by pylibfst."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from cosim.errors import InputError
from cosim.report.files import require, whole_path
from cosim.report.waves import Signal, Waveforms

EXPONENTS = {"us": -6, "ns": -9, "ps": -12, "fs": -15}
"""Power of ten of the seconds in a tick."""

LAST_TICK = 2**64 - 1
"""The format counts time in 64 bits."""


def require_fst() -> None:
    """Raise `InputError` where pylibfst is not installed."""
    require("pylibfst", "fst", "FST waveforms need")


def write_fst(path: Path, found: Waveforms) -> None:
    """Write waveforms to ``path``: the signals, times and values of the VCD file.

    Raises `InputError` without pylibfst, and where the run is longer than 64-bit time reaches on its time scale.
    """
    require_fst()
    if found.end > LAST_TICK:
        raise InputError(
            f"{path.name}: the run ends at {found.end} {found.unit}, and FST holds times up to 2**64 - 1 "
            f"{found.unit}; use waves.vcd"
        )
    from pylibfst import ffi, lib

    with whole_path(path) as part:
        context = lib.fstWriterCreate(os.fsencode(part), 1)
        if context == ffi.NULL:
            raise OSError(f"cannot write {path}")
        try:
            _write(lib, ffi, context, found)
        finally:
            lib.fstWriterClose(context)


def _write(lib: Any, ffi: Any, context: Any, found: Waveforms) -> None:
    """Write header and initial values, and then the changes in order of time; the last instant ends the run."""
    lib.fstWriterSetPackType(context, lib.FST_WR_PT_LZ4)
    lib.fstWriterSetDate(context, b"")
    lib.fstWriterSetVersion(context, b"cosim")
    lib.fstWriterSetTimescale(context, EXPONENTS[found.unit])
    handles = [_declare(lib, ffi, context, signal) for signal in found.signals]
    now = 0
    # Initial values come after the opening of time 0: before it, the library drops those of strings.
    lib.fstWriterEmitTimeChange(context, now)
    changes: list[tuple[int, bytes, bool]] = []
    for signal, handle in zip(found.signals, handles, strict=True):
        text = signal.var_type == "string"
        (initial,) = _encoded(signal, [signal.initial])
        _emit(lib, context, handle, initial, text)
        changes.extend((handle, value, text) for value in _encoded(signal, signal.values))
    for tick, place in zip(*found.in_order(), strict=True):
        if tick != now:
            now = tick
            lib.fstWriterEmitTimeChange(context, now)
        _emit(lib, context, *changes[place])
    if found.end > now:
        lib.fstWriterEmitTimeChange(context, found.end)


def _emit(lib: Any, context: Any, handle: int, value: bytes, text: bool) -> None:
    if text:
        lib.fstWriterEmitVariableLengthValueChange(context, handle, value, len(value))
    else:
        lib.fstWriterEmitValueChange(context, handle, value)


def _declare(lib: Any, ffi: Any, context: Any, signal: Signal) -> int:
    """Declare the variable within its scopes and return its handle."""
    var_type, size = {
        "wire": (lib.FST_VT_VCD_WIRE, signal.size),
        "integer": (lib.FST_VT_VCD_INTEGER, signal.size),
        "real": (lib.FST_VT_VCD_REAL, struct.calcsize("d")),
        "string": (lib.FST_VT_GEN_STRING, 0),
    }[signal.var_type]
    for part in signal.scope:
        lib.fstWriterSetScope(context, lib.FST_ST_VCD_MODULE, part.encode(), ffi.NULL)
    handle = lib.fstWriterCreateVar(context, var_type, lib.FST_VD_IMPLICIT, size, signal.name.encode(), 0)
    for _ in signal.scope:
        lib.fstWriterSetUpscope(context)
    return int(handle)


def _encoded(signal: Signal, values: list[Any]) -> Iterable[bytes]:
    """Return each value as the library takes it: a double, UTF-8, or one character per bit."""
    if signal.var_type == "real":
        return map(struct.Struct("d").pack, values)
    if signal.var_type == "string":
        made = {value: value.encode() for value in set(values)}
    else:
        made = {value: format(value, f"0{signal.size}b").encode() for value in set(values)}
    return map(made.__getitem__, values)
