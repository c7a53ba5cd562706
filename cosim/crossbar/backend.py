"""The one seam: ``CrossbarBackend.run(PhaseRequest) -> PhaseResult``, and its registry.

A request is a plain value: it can be pickled, replayed, hashed for the journal, written beside a
failing deck, or given to two backends for cross-validation. Backends are found by name through the
entry-point group ``cosim.backends``, so that the floors above never import one.
"""

from __future__ import annotations

import dataclasses
import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, ClassVar, NamedTuple

import numpy as np

from cosim.crossbar.drive import Phase
from cosim.crossbar.network import Network
from cosim.crossbar.stopping import Stop
from cosim.devices.base import FloatArray
from cosim.devices.registry import unknown
from cosim.errors import UnknownNameError


@dataclass(frozen=True, slots=True, eq=False)
class PhaseRequest:
    """Everything that determines the outcome of a phase.

    ``states``: one array ``(rows, columns[, k])`` for each array of the network. ``node_voltages``:
    one array ``(2, rows, columns)`` [V] each (word nodes, bit nodes) where wires have capacitance,
    else None. ``start_fs``: event time; ``temperature`` [K]; ``noise_seed``: seeds the random part of
    this phase alone. ``net_voltages`` ``(nets,)`` [V]: of nets with a capacitance, at the start; None: 0 V.
    """

    network: Network
    states: tuple[FloatArray, ...]
    node_voltages: tuple[FloatArray, ...] | None
    start_fs: int
    temperature: float
    phase: Phase
    noise_seed: int
    net_voltages: FloatArray | None = None

    def digest(self) -> str:
        """Return a hash of everything but ``start_fs``: equal digests have equal results."""
        hasher = hashlib.sha256()
        for part in (
            self.network,
            self.states,
            self.node_voltages,
            self.temperature,
            self.phase,
            self.noise_seed,
            self.net_voltages,
        ):
            _feed(hasher, part)
        return hasher.hexdigest()


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """Nets at the strobes: ``voltage`` [V] and ``current`` [A, into the array], ``(strobes, nets)``."""

    times_fs: tuple[int, ...]
    nets: tuple[str, ...]
    voltage: FloatArray
    current: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Energy:
    """Energy of a phase [J]; the two sides of the balance are computed independently.

    ``delivered`` and ``absorbed``: per net of the network, the integrals of the positive and of the
    negative part of v·i at the net (both >= 0). ``cells``: per array ``(rows, columns)``, dissipated in
    the devices. ``access``, ``wires``, ``terminations``: dissipated in access devices, line segments
    and line-end resistances. ``stored``: gain of the energy stored in the capacitance of lines and nets.
    """

    delivered: FloatArray
    absorbed: FloatArray
    cells: tuple[FloatArray, ...]
    access: float
    wires: float
    terminations: float
    stored: float = 0.0

    @property
    def dissipated(self) -> float:
        """Sum of everything dissipated in the network [J]."""
        return float(sum(cells.sum() for cells in self.cells)) + self.access + self.wires + self.terminations

    @property
    def numerical(self) -> float:
        """What the book-keeping leaves over [J]: delivered - absorbed - dissipated - stored."""
        return float(self.delivered.sum() - self.absorbed.sum()) - self.dissipated - self.stored


@dataclass(frozen=True, slots=True, eq=False)
class SavedWaveforms:
    """Waveforms kept for display: ``times_s`` within the phase [s], ``voltage`` ``(times, nets)`` [V]."""

    times_s: FloatArray
    nets: tuple[str, ...]
    voltage: FloatArray


@dataclass(frozen=True, slots=True)
class Deviation:
    """How far a second backend's answer lies from the first one's.

    ``current_relative`` is relative to the largest line current of the phase, ``state_absolute`` to
    the full range of the state, ``energy_relative`` to the delivered energy of the phase;
    ``largest_current`` [A] and ``delivered`` [J] are what they are relative to.
    """

    current_relative: float
    state_absolute: float
    energy_relative: float
    largest_current: float
    delivered: float


@dataclass(frozen=True, slots=True, eq=False)
class PhaseResult:
    """The outcome of a phase, atomic: it is committed as a whole or not at all.

    ``duration_fs`` is the true duration (shorter than asked for after a stop); strobes after it are left
    out of ``samples``. ``stops``: the stop conditions that were met. ``net_charge`` [C]: per net, the integral of the current into the array. ``kcl_residual``: largest relative violation
    of Kirchhoff's current law. ``applied`` lists what the backend did beside solving (for example
    ``stochastic``, ``plain_resistors``). ``net_voltages`` ``(nets,)`` [V]: at the end, where nets have capacitance.
    """

    states: tuple[FloatArray, ...]
    node_voltages: tuple[FloatArray, ...] | None
    duration_fs: int
    samples: Samples
    net_charge: FloatArray
    energy: Energy
    kcl_residual: float
    applied: tuple[str, ...] = ()
    saved: SavedWaveforms | None = None
    deviation: Deviation | None = None
    stops: tuple[Stop, ...] = ()
    net_voltages: FloatArray | None = None


@dataclass(frozen=True, slots=True, eq=False)
class ReadAnswers:
    """Outcomes of many reads that share network and the shape of their pulses.

    ``current`` [A] at the strobe, into the virtual grounds, ``(reads, columns)``; times ``charge_time`` [s] it is the
    charge of the phase; energies [J] ``(reads,)`` as in `Energy`, ``cells`` and others summed over the array; ``cell_energy``
    ``(rows, columns)`` summed over the reads instead. Where cells move: ``state`` ``(rows, columns)`` after all these
    reads, without the time between them, and ``change``, by which the currents change from first to last, of the largest one.
    """

    current: FloatArray
    charge_time: float
    delivered: FloatArray
    absorbed: FloatArray
    cells: FloatArray
    access: FloatArray
    wires: FloatArray
    terminations: FloatArray
    cell_energy: FloatArray
    kcl_residual: float
    applied: tuple[str, ...]
    state: FloatArray | None = None
    change: float = 0.0


class ReadLimit(NamedTuple):
    """How far reads of cells that move are answered at once.

    ``change``: by how much the currents may change among them, of the largest one; ``rest_s``: time at 0 V that is expected
    between two of them [s], None where nothing is known yet.
    """

    change: float
    rest_s: float | None


class CrossbarBackend(ABC):
    """Answers phase requests. What is kept between requests changes a result within the solver's tolerance at most.

    It may depend on the earlier requests of the same network alone; see decision 0022.
    """

    name: ClassVar[str]
    costly: ClassVar[bool] = False
    """Whether a phase takes long enough to be worth a journal entry."""

    @abstractmethod
    def run(self, request: PhaseRequest) -> PhaseResult:
        """Answer a request; raises `UnsupportedRequestError` for one that it cannot answer."""

    def submit(self, request: PhaseRequest) -> Future[PhaseResult]:
        """Answer a request, possibly in another process; errors are raised by the future."""
        future: Future[PhaseResult] = Future()
        try:
            future.set_result(self.run(request))
        except Exception as error:
            future.set_exception(error)
        return future

    def run_reads(
        self, request: PhaseRequest, voltages: FloatArray, limit: ReadLimit | None = None
    ) -> ReadAnswers | None:
        """Answer many reads at once, or return None: then each is asked for with `run`.

        ``request`` is one of them with 1 V on every word line; ``voltages`` ``(reads, rows)`` [V] scale its pulses.
        Where no cell moves all are answered, as by `run` within the accuracy of the solver. Where cells move, only with a
        ``limit``, and as many of the first reads as it allows: the answers hold so many, and the state after them.
        """
        return None

    def refusal(self, network: Network, kind: str) -> str | None:
        """Return why phases of this kind on this network cannot be answered, or None.

        Asked once when a system is built, so that a person learns it before the run.
        """
        return None

    def stop_refusal(self, network: Network) -> str | None:
        """Return why phases with stop conditions on this network cannot be answered, or None.

        Asked when a system is built, where an operation is going to need them.
        """
        return None

    def settling_refusal(self, network: Network) -> str | None:
        """Return why it cannot say when the lines of this network have settled, or None; asked as `stop_refusal`."""
        return None

    def unrecorded(self) -> CrossbarBackend:
        """Return the backend for trial requests, which are no phases of the run; what records them steps aside."""
        return self

    def describe(self) -> dict[str, Any]:
        """Return what the manifest should say: engine, version, options."""
        return {"backend": self.name}

    def forget(self) -> None:  # noqa: B027 (most backends keep nothing)
        """Drop what is kept of earlier requests, so that the next answer is that of a fresh backend."""

    def close(self) -> None:  # noqa: B027 (most backends hold nothing)
        """Release workers; the backend is not used afterwards."""


class PassingBackend(CrossbarBackend):
    """Abstract: a backend around another one, by whose name it goes; all questions but the phases are passed on."""

    def __init__(self, inner: CrossbarBackend) -> None:
        self._inner = inner
        self.name = inner.name  # type: ignore[misc]

    def refusal(self, network: Network, kind: str) -> str | None:
        return self._inner.refusal(network, kind)

    def stop_refusal(self, network: Network) -> str | None:
        return self._inner.stop_refusal(network)

    def settling_refusal(self, network: Network) -> str | None:
        return self._inner.settling_refusal(network)

    def unrecorded(self) -> CrossbarBackend:
        return self._inner.unrecorded()

    def describe(self) -> dict[str, Any]:
        return self._inner.describe()


BackendFactory = Callable[..., CrossbarBackend]


@cache
def registered() -> Mapping[str, EntryPoint]:
    """Return every registered backend by name, not loaded."""
    return {point.name: point for point in entry_points(group="cosim.backends")}


def find(name: str) -> BackendFactory:
    """Return the backend factory called ``name``; `UnknownNameError` lists the known ones."""
    points = registered()
    if name not in points:
        raise UnknownNameError(unknown("backend", name, points))
    factory: BackendFactory = points[name].load()
    return factory


def _feed(hasher: hashlib._Hash, value: object) -> None:
    """Feed a value of the seam to a hash, by content and never by identity."""
    if isinstance(value, np.ndarray):
        hasher.update(f"array{value.shape}{value.dtype.str}".encode())
        hasher.update(np.ascontiguousarray(value).tobytes())
    elif dataclasses.is_dataclass(value):
        hasher.update(type(value).__qualname__.encode())
        for entry in dataclasses.fields(value):
            _feed(hasher, getattr(value, entry.name))
    elif isinstance(value, Mapping):
        for key in sorted(value):
            _feed(hasher, key)
            _feed(hasher, value[key])
    elif isinstance(value, tuple):
        hasher.update(f"tuple{len(value)}".encode())
        for item in value:
            _feed(hasher, item)
    else:
        hasher.update(f"{type(value).__name__}:{value!r};".encode())


def net_vector(network: Network, values: Mapping[str, float], fill: float = 0.0) -> FloatArray:
    """Return ``values`` as an array in the order of ``network.nets``."""
    return np.array([values.get(net, fill) for net in network.nets])
