"""The one module that touches PySpice: libngspice hosted through it, its known faults fenced.

PySpice is licensed under the GPL and cosim under MIT, so PySpice stays optional, is imported inside
functions of this module alone, and for simulations only in the worker process. Faults of PySpice 1.5
with ngspice 39 (each has a test in ``tests/spice/test_pyspice_fence.py``):

==  ==========================================================  =====================================
 1  "Unsupported Ngspice version": no table of vector types     table of the last known version added
 2  every stderr line but a warning counts as a failure         kept as log and judged by content
 3  the word "error" in a title counts as a failure             kept as log and judged by content
 4  a circuit that fails to load leaves the old one in place,   ``destroy all`` and ``remcirc`` before
    and ``run`` silently runs that                              each load; the plot must be new
 5  an instance that ngspice has given up stays in use          `InstanceLostError`; the process goes
 6  the command history grows by 0.4 kB a command               freed every `FREE_EVERY` commands
 7  the library is found under its development name only        the path is given before the import
==  ==========================================================  =====================================
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from cosim.spice.lockstep import PAUSE, Reaction

FREE_EVERY: Final = 200
_NO_PLOT: Final = "const"
_LONGEST: Final = 1000
_NEWEST_KNOWN: Final = 100
_PAUSED: Final = re.compile(
    r"^.*(condition met: stop +when|doAnalyses: pause requested|simulation interrupted).*$", re.MULTILINE
)


class InstanceLostError(Exception):
    """ngspice has given this instance up; the process that holds it must be thrown away."""


def import_shared(library: str) -> Any:
    """Return the module ``PySpice.Spice.NgSpice.Shared``, set up for ``library`` and any ngspice version."""
    os.environ["NGSPICE_LIBRARY_PATH"] = library
    logging.getLogger("PySpice").setLevel(logging.CRITICAL + 1)
    from PySpice.Spice.NgSpice import SimulationType

    table = SimulationType.SIMULATION_TYPE
    for version in range(1, _NEWEST_KNOWN):
        table.setdefault(version, table["last"])
    from PySpice.Spice.NgSpice import Shared

    return Shared


class Instance:
    """One libngspice in this process: load a circuit, alter it, run it, read its vectors."""

    def __init__(self, library: str, *, reacting: bool = False) -> None:
        self._shared = import_shared(library)
        self._lost = False
        self._log: list[str] = []
        self._ngspice = self._host_class().new_instance()
        self._loaded = False
        self._reaction: Reaction | None = None
        self._fault: BaseException | None = None
        self._watched: list[bytes] = []
        self._callbacks = self._listen() if reacting else ()

    def _listen(self) -> tuple[Any, ...]:
        """Register callbacks for external sources and for step sizes; they must outlive the instance.

        PySpice registers none for the steps. ngspice cannot forget it again, and places its last step
        differently with one, so an instance either reacts or does not.
        """
        ffi, host = self._shared.ffi, self._ngspice
        find = host._ngspice_shared.ngGet_Vec_Info  # noqa: SLF001
        names: dict[bytes, str] = {}

        def source(voltage: Any, time: float, name: Any, ident: int, user: Any) -> int:
            if self._reaction is not None:
                key = ffi.string(name)
                if key not in names:
                    names[key] = key.decode("ascii")
                voltage[0] = self._reaction.voltage(names[key], time)
            return 0

        def latest(name: bytes) -> float:
            vector = find(name)  # the same structure at every call
            return float(vector.v_realdata[vector.v_length - 1])

        def failed(kind: Any, error: Any, trace: Any) -> None:
            self._fault = self._fault or error

        def step(
            time: float, size: Any, before: float, repeat: int, ident: int, place: int, user: Any
        ) -> int:
            if self._reaction is not None and place == 0:
                values = [latest(name) for name in self._watched] if time > 0 else []
                size[0] = self._reaction.limit(time, size[0], values)
            return 0

        kept = (
            ffi.callback("int (double *, double, char *, int, void *)", source, onerror=failed),
            ffi.callback("int (double, double *, double, int, int, int, void *)", step, onerror=failed),
        )
        register = host._ngspice_shared.ngSpice_Init_Sync  # noqa: SLF001
        register(kept[0], host._get_isrc_data_c, kept[1], host._ngspice_id, host._self_c)  # noqa: SLF001
        return kept

    def _host_class(self) -> Any:
        """Return a subclass of PySpice's host that notes when ngspice asks to be detached."""
        shared, outer = self._shared, self

        class Host(shared.NgSpiceShared):  # type: ignore[misc, name-defined]
            NUMBER_OF_EXEC_CALLS_TO_RELEASE_MEMORY = FREE_EVERY

            @staticmethod
            def _exit(status: int, immediate: bool, on_quit: bool, ngspice_id: int, user_data: Any) -> int:
                outer._lost = True
                return status

        return Host

    @property
    def version(self) -> str:
        """Major version of the library."""
        return str(self._ngspice.ngspice_version)

    def log(self) -> str:
        """Return what ngspice has said since the last call."""
        text, self._log = "\n".join(self._log), []
        return text

    def _keep_output(self) -> None:
        self._log += [self._ngspice.stdout, self._ngspice.stderr]
        self._ngspice.clear_output()

    def command(self, text: str) -> None:
        """Run one ngspice command; what it complains about goes to the log.

        Raises `InstanceLostError` where ngspice has given the instance up.
        """
        try:
            self._ngspice.exec_command(text)
        except self._shared.NgSpiceCommandError:
            pass  # a stderr line that PySpice takes for a failure; the log is judged afterwards
        except NameError as error:
            raise InstanceLostError(str(error)) from None
        finally:
            self._keep_output()
        if self._lost:
            raise InstanceLostError(f"ngspice asked to be detached after '{text.split()[0]}'")

    def commands(self, texts: Sequence[str]) -> None:
        """Run many commands, several at a call, as far as PySpice's limit of 1023 characters allows."""
        batch = ""
        for text in texts:
            if batch and len(batch) + len(text) >= _LONGEST:
                self.command(batch)
                batch = ""
            batch = f"{batch};{text}" if batch else text
        if batch:
            self.command(batch)

    def load(self, deck: str) -> None:
        """Replace the loaded circuit by ``deck``; raises `InstanceLostError` where that ends the instance."""
        self.command("destroy all")
        if self._loaded:
            self.command("remcirc")
            self.log()
        self._loaded = False
        try:
            self._ngspice.load_circuit(deck)
        except self._shared.NgSpiceCircuitError:
            pass  # the word "error" somewhere in the output; the log is judged afterwards
        except NameError as error:
            self._keep_output()
            raise InstanceLostError(str(error)) from None
        self._keep_output()
        if self._lost:
            raise InstanceLostError("ngspice asked to be detached while the circuit was loaded")
        self._loaded = True

    def run(self, analysis: str) -> str:
        """Run an analysis (``tran ...`` or ``op``) and return the name of its new plot, or empty text."""
        self.command("destroy all")
        self.command(analysis)
        plots = [name for name in self._ngspice.plot_names if name != _NO_PLOT]
        kind = analysis.split()[0]
        return plots[0] if len(plots) == 1 and plots[0].startswith(kind) else ""

    def run_reacting(self, analysis: str, reaction: Reaction) -> str:
        """Run an analysis whose external sources and steps follow ``reaction``; see `run`.

        The circuit must have been loaded with `pause_on_flag` after it. A pause that the reaction asked
        for leaves nothing in the log.
        """
        self._watched = [plot_name(name) for name in reaction.vectors]
        self._reaction = reaction
        try:
            plot = self.run(analysis)
        finally:
            self._reaction = None
        if self._fault is not None:
            raise self._fault
        if reaction.finished or reaction.missed is not None:
            self._log = [_PAUSED.sub("", text) for text in self._log]
        return plot

    def pause_on_flag(self) -> None:
        """Have the loaded circuit pause for good when its flag rises."""
        self.command(PAUSE)

    def vectors(
        self, plot: str, names: Sequence[bytes]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
        """Return time (points,) and vectors (points, names), or None if one is not there.

        ``names`` are as `plot_name` gives them. PySpice's own ``plot`` wraps every vector of the plot in
        unit classes, which takes longer than a short simulation; its binding is used below that.
        """
        transient, prefix = plot.startswith("tran"), f"{plot}.".encode("ascii")
        find, buffer = self._ngspice._ngspice_shared.ngGet_Vec_Info, self._shared.ffi.buffer  # noqa: SLF001
        scale = find(prefix + (b"time" if transient else names[0]))
        if not scale or not scale.v_realdata:
            return None
        points = int(scale.v_length)
        time = np.frombuffer(buffer(scale.v_realdata, points * 8)).copy() if transient else np.zeros(points)
        values = np.empty((len(names), points))
        for row, name in zip(values, names, strict=True):
            vector = find(prefix + name)
            if not vector or not vector.v_realdata or vector.v_length != points:
                self._keep_output()
                return None
            row[:] = np.frombuffer(buffer(vector.v_realdata, points * 8))
        return time, values.T


def plot_name(name: str) -> bytes:
    """Return the name in a plot of a saved vector: ``v(a)`` is ``a`` and ``i(v1)`` is ``v1#branch``."""
    inner = name[2:-1]
    return (f"{inner}#branch" if name.startswith("i(") else inner).encode("ascii")


def new_subcircuit(name: str, nodes: Sequence[str], cards: Sequence[str]) -> Any:
    """Return a PySpice ``SubCircuit`` with these nodes, whose body is ``cards`` as they are."""
    from PySpice.Spice.Netlist import SubCircuit

    subcircuit = SubCircuit(name, *nodes)
    subcircuit.raw_spice = "\n".join(cards) + "\n"
    return subcircuit
