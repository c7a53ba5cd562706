"""The journal: results of costly phases on disk, by the hash of their request.

A run that was stopped runs again with ``--resume`` and takes journaled results, so a crash, a time-out
or a kill loses at most the phases in flight. Decision 0014 says why it is as it is:

- An entry is one file, written whole and renamed, and begins with the hash of its name and content:
  half, damaged and renamed entries are not taken, and their phases are simulated anew.
- An entry belongs to the backend that computed it: engine, ngspice version, options, version of cosim.
  Where a run is resumed on another engine of the same ngspice, entries of the first are taken too, and
  ``applied`` of such a phase says so (``journal_of_subprocess``), for engines agree to 1e-11, not to the bit.
- The folder is bounded. Entries that this run has not needed go first, oldest first; a journal that is
  full of this run takes no more, so that a resumed run finds the beginning whole.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import io
import json
import os
from collections.abc import Iterator
from concurrent.futures import Future
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from threading import Lock
from typing import Any, ClassVar, Final, final
from weakref import WeakValueDictionary

import numpy as np

from cosim.crossbar.backend import (
    CrossbarBackend,
    Deviation,
    Energy,
    PassingBackend,
    PhaseRequest,
    PhaseResult,
    Samples,
    SavedWaveforms,
)
from cosim.crossbar.stopping import Stop, effective_phase

LIMIT_BYTES: Final = 1 << 30
"""Largest size of a journal folder: 200 000 phases of an 8 x 8 array."""

_FORMAT: Final = 3
_SUFFIX: Final = ".phase"
_HASH_BYTES: Final = 32
_BLOCK: Final = 4096
_ENGINE: Final = ("engine", "library", "pyspice")
"""What two backends may differ in and still be of one kin."""


@final
class JournalingBackend(PassingBackend):
    """Answers from the journal where it can, else asks ``inner`` and journals the result.

    It goes by the name of ``inner``: records say who computed a phase, whenever that was.

    Parameters
    ----------
    inner : CrossbarBackend
        Answers what the journal does not hold.
    folder : Path
        The journal; backends of one process may share it.
    resume : bool
        Whether results are taken from it; they are always added.
    limit_bytes : int
        Largest size of the folder.
    """

    costly: ClassVar[bool] = True

    def __init__(
        self, inner: CrossbarBackend, folder: Path, *, resume: bool, limit_bytes: int = LIMIT_BYTES
    ) -> None:
        super().__init__(inner)
        self._resume = resume
        described = inner.describe()
        self._engine = str(described.get("engine", inner.name))
        self._kin, self._tag = _tag(_without_engine(described)), _tag(described)
        self._shelf = _shelf(folder, limit_bytes)
        self._counts = {"taken": 0, "taken_of_other_engines": 0, "kept": 0, "left_out": 0}

    def run(self, request: PhaseRequest) -> PhaseResult:
        return self.submit(request).result()

    def submit(self, request: PhaseRequest) -> Future[PhaseResult]:
        digest = request.digest()
        known = self._known(digest, request) if self._resume else None
        if known is not None:
            done: Future[PhaseResult] = Future()
            done.set_result(known)
            return done
        future = self._inner.submit(request)
        future.add_done_callback(lambda finished: self._keep(digest, finished))
        return future

    def _known(self, digest: str, request: PhaseRequest) -> PhaseResult | None:
        """Return the journaled result of a request, that of this very backend first."""
        for name in self._shelf.named(f"{digest}.{self._kin}", f"{self._tag}{_SUFFIX}"):
            found = self._shelf.read(name, request)
            if found is None:
                continue
            result, engine = found
            self._counts["taken"] += 1
            if not name.endswith(f"{self._tag}{_SUFFIX}"):
                self._counts["taken_of_other_engines"] += 1
                result = _noted(result, f"journal_of_{engine}")
            return result
        return None

    def _keep(self, digest: str, finished: Future[PhaseResult]) -> None:
        if finished.cancelled() or finished.exception() is not None:
            return
        kept = self._shelf.keep(f"{digest}.{self._kin}.{self._tag}{_SUFFIX}", finished.result(), self._engine)
        self._counts["kept" if kept else "left_out"] += 1

    def describe(self) -> dict[str, Any]:
        """Return what ``inner`` says, and what was taken from the journal, kept in it and left out."""
        return {**super().describe(), "journal": dict(self._counts)}

    def close(self) -> None:
        self._inner.close()
        _SHELVES.pop(self._shelf.folder.resolve(), None)  # a later run has needed nothing yet

    @property
    def inner(self) -> CrossbarBackend:
        """The backend that answers what the journal does not hold."""
        return self._inner


class _Shelf:
    """The entries of one folder: their sizes, and which of them this run has needed."""

    def __init__(self, folder: Path, limit: int) -> None:
        self.folder, self.limit = folder, limit
        self._lock = Lock()
        self._used = 0
        self._sizes: dict[str, int] = {}
        self._stale: dict[str, None] = {}
        self._of_digest: dict[str, list[str]] = {}
        for name, size in _entries(folder):
            self._add(name, size)
            self._stale[name] = None

    def _add(self, name: str, size: int) -> None:
        if name not in self._sizes:
            self._of_digest.setdefault(name.rsplit(".", 2)[0], []).append(name)
        self._used += size - self._sizes.get(name, 0)
        self._sizes[name] = size

    def _drop(self, name: str) -> None:
        with contextlib.suppress(OSError):
            (self.folder / name).unlink()
        self._used -= self._sizes.pop(name)
        self._of_digest[name.rsplit(".", 2)[0]].remove(name)

    def named(self, start: str, last: str) -> list[str]:
        """Return the entries whose name begins with ``start``, those that end with ``last`` first."""
        with self._lock:
            names = list(self._of_digest.get(start, ()))
        return sorted(names, key=lambda name: (not name.endswith(last), name))

    def read(self, name: str, request: PhaseRequest) -> tuple[PhaseResult, str] | None:
        """Return the result in an entry and the engine that computed it; None where it is not whole."""
        try:
            content = (self.folder / name).read_bytes()
        except OSError:
            return None
        body = content[_HASH_BYTES:]
        if content[:_HASH_BYTES] != _hash(name, body):
            return None
        with self._lock:
            self._stale.pop(name, None)
        return _unpacked(body, request)

    def keep(self, name: str, result: PhaseResult, engine: str) -> bool:
        """Write an entry; return False where there is no room for it or it cannot be written."""
        body = _packed(result, engine)
        size = _on_disk(len(body) + _HASH_BYTES)
        with self._lock:
            if not self._make_room(name, size):
                return False
            try:
                _write(self.folder / name, _hash(name, body) + body)
            except OSError:
                return False
            self._add(name, size)
        return True

    def _make_room(self, name: str, size: int) -> bool:
        """Remove entries that this run has not needed until ``size`` more bytes fit; tell whether they do."""
        more = size - self._sizes.get(name, 0)
        self._stale.pop(name, None)
        while self._used + more > self.limit and self._stale:
            oldest = next(iter(self._stale))
            del self._stale[oldest]
            self._drop(oldest)
        return self._used + more <= self.limit


_SHELVES: WeakValueDictionary[Path, _Shelf] = WeakValueDictionary()


def _shelf(folder: Path, limit: int) -> _Shelf:
    """Return the shelf of a folder, the same for all backends that share it."""
    shelf = _SHELVES.get(folder.resolve())
    if shelf is None:
        shelf = _SHELVES[folder.resolve()] = _Shelf(folder, limit)
    return shelf


def _entries(folder: Path) -> Iterator[tuple[str, int]]:
    """Yield name and size of every file, oldest first; remains of a killed run are removed."""
    try:
        with os.scandir(folder) as scan:
            found = [(entry.stat().st_mtime_ns, entry.name, entry.stat().st_size) for entry in scan]
    except OSError:
        return
    for _, name, size in sorted(found):
        if name.endswith(".tmp"):
            _remove_remains(folder / name)
        elif name.endswith(_SUFFIX):
            yield name, _on_disk(size)


def _remove_remains(path: Path) -> None:
    """Remove a temporary file whose process (the number that begins its name) is gone."""
    number = path.name.partition("-")[0]
    if number.isdigit() and Path(f"/proc/{number}").exists():
        return
    with contextlib.suppress(OSError):
        path.unlink()


def _on_disk(size: int) -> int:
    return -(-size // _BLOCK) * _BLOCK


def _hash(name: str, body: bytes) -> bytes:
    return hashlib.sha256(name.encode() + b"\n" + body).digest()


def _write(path: Path, content: bytes) -> None:
    """Write a file whole: under another name first, then renamed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / f"{os.getpid()}-{path.stem}.tmp"
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def _tag(described: Any) -> str:
    """Return a short hash of a backend's description and of the versions that its results depend on."""
    try:
        own = version("cosim-crossbar")
    except PackageNotFoundError:
        own = ""
    full = {"format": _FORMAT, "cosim": own, "numpy": np.__version__, "backend": described}
    return hashlib.sha256(json.dumps(full, sort_keys=True, default=str).encode()).hexdigest()[:12]


def _without_engine(described: Any) -> Any:
    """Return a description without what two engines of one ngspice differ in."""
    if not isinstance(described, dict):
        return described
    return {key: _without_engine(value) for key, value in described.items() if key not in _ENGINE}


def _noted(result: PhaseResult, note: str) -> PhaseResult:
    return dataclasses.replace(result, applied=(*result.applied, note))


def _packed(result: PhaseResult, engine: str) -> bytes:
    """Return a result as the bytes of an NPZ file; everything but its strobes, which the request has."""
    e = result.energy
    arrays: dict[str, Any] = {
        "net_charge": result.net_charge, "delivered": e.delivered, "absorbed": e.absorbed,
        "voltage": result.samples.voltage, "current": result.samples.current,
        "scalars": np.array([e.access, e.wires, e.terminations, e.stored, result.kcl_residual]),
    }  # fmt: skip
    for name, group in (("state", result.states), ("nodes", result.node_voltages or ()), ("cells", e.cells)):
        arrays.update({f"{name}{k}": array for k, array in enumerate(group)})
    if result.net_voltages is not None:
        arrays["net_voltages"] = result.net_voltages
    if result.saved is not None:
        arrays.update({"saved_times": result.saved.times_s, "saved_voltage": result.saved.voltage})
    d = result.deviation
    header = {
        "engine": engine, "duration_fs": result.duration_fs, "applied": list(result.applied),
        "stops": [(s.condition, s.crossing_fs, s.ramp_fs) for s in result.stops],
        "states": len(result.states), "nodes": len(result.node_voltages or ()),
        "saved": list(result.saved.nets) if result.saved is not None else None,
        "deviation": None if d is None else [
            d.current_relative, d.state_absolute, d.energy_relative, d.largest_current, d.delivered,
        ],
    }  # fmt: skip
    content = io.BytesIO()
    np.savez(content, allow_pickle=False, header=np.array(json.dumps(header)), **arrays)
    return content.getvalue()


def _unpacked(body: bytes, request: PhaseRequest) -> tuple[PhaseResult, str]:
    """Return the result in the bytes of an NPZ file that is whole, and its engine."""
    with np.load(io.BytesIO(body), allow_pickle=False) as stored:
        arrays: dict[str, Any] = {name: stored[name] for name in stored.files}
    header = json.loads(str(arrays["header"]))
    count = header["states"]
    access, wires, terminations, stored_j, residual = arrays["scalars"].tolist()
    cells = tuple(arrays[f"cells{k}"] for k in range(count))
    energy = Energy(arrays["delivered"], arrays["absorbed"], cells, access, wires, terminations, stored_j)
    saved = None
    if header["saved"] is not None:
        saved = SavedWaveforms(arrays["saved_times"], tuple(header["saved"]), arrays["saved_voltage"])
    stops = tuple(Stop(*stop) for stop in header["stops"])
    strobes = effective_phase(request.phase, stops).strobes_fs if stops else request.phase.strobes_fs
    samples = Samples(strobes, request.network.nets, arrays["voltage"], arrays["current"])
    nodes = tuple(arrays[f"nodes{k}"] for k in range(header["nodes"])) or None
    deviation = None if header["deviation"] is None else Deviation(*header["deviation"])
    result = PhaseResult(
        tuple(arrays[f"state{k}"] for k in range(count)), nodes, header["duration_fs"], samples,
        arrays["net_charge"], energy, residual, tuple(header["applied"]), saved, deviation, stops,
        arrays.get("net_voltages"),
    )  # fmt: skip
    return result, str(header["engine"])
