"""Compiled templates beside Python's own bytecode, so that a page does not compile its template each time.

Imports jinja2; only `cosim.report.html` imports it, when a page is made.
"""

from __future__ import annotations

import os
import sys
from importlib.util import cache_from_source
from pathlib import Path

from jinja2.bccache import Bucket, BytecodeCache


class CompiledTemplates(BytecodeCache):
    """Keeps bytecode in ``__pycache__``; where that can't be read or written, templates are just compiled.

    jinja2 keeps the hash of the template with it and compiles again where that differs.
    """

    def load_bytecode(self, bucket: Bucket) -> None:
        try:
            with self._path(bucket).open("rb") as stream:
                bucket.load_bytecode(stream)
        except OSError:
            bucket.reset()

    def dump_bytecode(self, bucket: Bucket) -> None:
        if sys.dont_write_bytecode:
            return
        path = self._path(bucket)
        part = path.with_name(f"{path.name}.{os.getpid()}.part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with part.open("wb") as stream:
                bucket.write_bytecode(stream)
            os.replace(part, path)
        except OSError:
            part.unlink(missing_ok=True)

    @staticmethod
    def _path(bucket: Bucket) -> Path:
        return Path(cache_from_source(__file__)).with_suffix(f".{bucket.key[:16]}.jinja")
