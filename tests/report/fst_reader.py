"""Reads an FST file with the reader of pylibfst's library."""

from __future__ import annotations

from typing import Any, NamedTuple


class FstContent(NamedTuple):
    """What a file holds; changes are ``{path: (type, [(tick, value), ...])}``."""

    exponent: int
    start: int
    end: int
    date: str
    changes: dict[str, tuple[str, list[tuple[int, Any]]]]


def read_fst(path):
    """Return the content of an FST file; its values are int, float or str."""
    from pylibfst import ffi, fstReaderIterBlocks2, lib, string

    context = lib.fstReaderOpen(str(path).encode())
    assert context != ffi.NULL
    kinds = {
        lib.FST_VT_VCD_WIRE: "wire",
        lib.FST_VT_VCD_INTEGER: "integer",
        lib.FST_VT_VCD_REAL: "real",
        lib.FST_VT_GEN_STRING: "string",
    }
    scopes, variables, changes = [], {}, {}
    lib.fstReaderIterateHierRewind(context)
    while (entry := lib.fstReaderIterateHier(context)) != ffi.NULL:
        if entry.htyp == lib.FST_HT_SCOPE:
            scopes.append(string(entry.u.scope.name))
        elif entry.htyp == lib.FST_HT_UPSCOPE:
            scopes.pop()
        elif entry.htyp == lib.FST_HT_VAR:
            name = ".".join([*scopes, string(entry.u.var.name)])
            assert name not in changes
            assert not entry.u.var.is_alias
            kind = kinds[entry.u.var.typ]
            variables[entry.u.var.handle] = name, kind
            changes[name] = kind, []
    assert not scopes

    def fixed(_, tick, handle, value):
        name, kind = variables[handle]
        read = ffi.cast("double *", value)[0] if kind == "real" else int(string(value), 2)
        changes[name][1].append((tick, read))

    def text(_, tick, handle, value, length):
        changes[variables[handle][0]][1].append((tick, bytes(ffi.buffer(value, length)).decode()))

    lib.fstReaderIterBlocksSetNativeDoublesOnCallback(context, 1)
    lib.fstReaderSetFacProcessMaskAll(context)
    assert fstReaderIterBlocks2(context, fixed, text)
    content = FstContent(
        lib.fstReaderGetTimescale(context),
        lib.fstReaderGetStartTime(context),
        lib.fstReaderGetEndTime(context),
        string(lib.fstReaderGetDateString(context)),
        changes,
    )
    lib.fstReaderClose(context)
    return content
