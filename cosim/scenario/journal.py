"""The journal: results of costly phases on disk, by the hash of their request.

A run that was stopped runs again with ``--resume`` and takes journaled results, so a crash, a time-out
or a kill loses at most the phase in flight. Every entry is one file, written whole and renamed; an entry
that cannot be read is ignored and written anew.
"""

from __future__ import annotations

import json
import os
from concurrent.futures import Future
from pathlib import Path
from typing import Any, ClassVar, final

import numpy as np

from cosim.crossbar.backend import (
    CrossbarBackend,
    Energy,
    PhaseRequest,
    PhaseResult,
    Samples,
    SavedWaveforms,
)
from cosim.crossbar.network import Network


@final
class JournalingBackend(CrossbarBackend):
    """Answers from the journal where it can, else asks ``inner`` and journals the result.

    It goes by the name of ``inner``: records say who computed a phase, whenever that was.
    """

    name: ClassVar[str] = "journal"
    costly: ClassVar[bool] = True

    def __init__(self, inner: CrossbarBackend, folder: Path, *, resume: bool) -> None:
        self._inner, self._folder, self._resume = inner, folder, resume
        self.name = inner.name  # type: ignore[misc]
        self._label = json.dumps(inner.describe(), sort_keys=True, default=str)

    def run(self, request: PhaseRequest) -> PhaseResult:
        return self.submit(request).result()

    def submit(self, request: PhaseRequest) -> Future[PhaseResult]:
        path = self._folder / f"{request.digest()}.npz"
        known = _read(path, request, self._label) if self._resume else None
        if known is not None:
            done: Future[PhaseResult] = Future()
            done.set_result(known)
            return done
        future = self._inner.submit(request)
        future.add_done_callback(lambda finished: self._keep(path, finished))
        return future

    def _keep(self, path: Path, finished: Future[PhaseResult]) -> None:
        if finished.exception() is None:
            _write(path, finished.result(), self._label)

    def refusal(self, network: Network, kind: str) -> str | None:
        return self._inner.refusal(network, kind)

    def describe(self) -> dict[str, Any]:
        return self._inner.describe()

    def close(self) -> None:
        self._inner.close()

    @property
    def inner(self) -> CrossbarBackend:
        """The backend that answers what the journal does not hold."""
        return self._inner


def _write(path: Path, result: PhaseResult, label: str) -> None:
    e = result.energy
    arrays: dict[str, Any] = {
        "net_charge": result.net_charge, "delivered": e.delivered, "absorbed": e.absorbed,
        "voltage": result.samples.voltage, "current": result.samples.current,
        "scalars": np.array([e.access, e.wires, e.terminations, e.stored, result.kcl_residual]),
    }  # fmt: skip
    for name, group in (("state", result.states), ("nodes", result.node_voltages or ()), ("cells", e.cells)):
        arrays.update({f"{name}{k}": array for k, array in enumerate(group)})
    if result.saved is not None:
        arrays.update({"saved_times": result.saved.times_s, "saved_voltage": result.saved.voltage})
    header = {
        "backend": label, "duration_fs": result.duration_fs, "applied": list(result.applied),
        "states": len(result.states), "nodes": len(result.node_voltages or ()),
        "saved": list(result.saved.nets) if result.saved is not None else None,
    }  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    with temporary.open("wb") as stream:
        np.savez(stream, allow_pickle=False, header=np.array(json.dumps(header)), **arrays)
    os.replace(temporary, path)


def _read(path: Path, request: PhaseRequest, label: str) -> PhaseResult | None:
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        header = json.loads(str(arrays["header"]))
        if header["backend"] != label:
            return None
        return _result(arrays, header, request)
    except (OSError, ValueError, KeyError, EOFError, IndexError):
        return None


def _result(arrays: dict[str, Any], header: dict[str, Any], request: PhaseRequest) -> PhaseResult:
    count = header["states"]
    access, wires, terminations, stored, residual = arrays["scalars"].tolist()
    cells = tuple(arrays[f"cells{k}"] for k in range(count))
    energy = Energy(arrays["delivered"], arrays["absorbed"], cells, access, wires, terminations, stored)
    saved = None
    if header["saved"] is not None:
        saved = SavedWaveforms(arrays["saved_times"], tuple(header["saved"]), arrays["saved_voltage"])
    samples = Samples(request.phase.strobes_fs, request.network.nets, arrays["voltage"], arrays["current"])
    nodes = tuple(arrays[f"nodes{k}"] for k in range(header["nodes"])) or None
    return PhaseResult(
        tuple(arrays[f"state{k}"] for k in range(count)), nodes, header["duration_fs"], samples,
        arrays["net_charge"], energy, residual, tuple(header["applied"]), saved,
    )  # fmt: skip
