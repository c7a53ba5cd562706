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
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

FREE_EVERY: Final = 200
_NO_PLOT: Final = "const"
_LONGEST: Final = 1000
_NEWEST_KNOWN: Final = 100


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

    def __init__(self, library: str) -> None:
        self._shared = import_shared(library)
        self._lost = False
        self._log: list[str] = []
        self._ngspice = self._host_class().new_instance()
        self._loaded = False

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
