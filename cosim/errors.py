"""The error tree: reading this file tells every way in which cosim can refuse or fail.

::

    CosimError                        every deliberate error of cosim
    ├── InputError                    what a person gave cannot be used        (exit code 2)
    │   ├── UnitError                 a quantity text is not a number with the right unit
    │   ├── ScenarioError             a scenario file breaks a rule (place, key, sentence)
    │   ├── CrossbarError             an array, its wires or its drive are inconsistent
    │   ├── DeviceError               a device parameter or state is out of range
    │   ├── FitError                  measured data, or a fit to them, cannot be used
    │   ├── UnknownNameError          nothing of that name is registered
    │   │   └── UnknownKeyError       the same, where a `KeyError` is expected (kT-RAM)
    │   ├── KtramError                a kT-RAM core, lane or address tuple is inconsistent
    │   │   ├── AddressError          an address outside of its space (also an `IndexError`)
    │   │   └── RegisterTypeError     a register value that is no integer (also a `TypeError`)
    │   ├── UnsupportedRequestError   a backend cannot answer this request, with the reason
    │   ├── NetlistRefusedError       netlist text outside of what the guard allows
    │   └── SpiceMissingError         ngspice is not on this machine
    ├── SpiceError                    ngspice could not finish a phase         (exit code 1)
    │   ├── SpiceParseError           the deck was not understood
    │   ├── SpiceConvergenceError     the analysis was aborted or its result is not finite
    │   ├── SpiceTimeoutError         the deadline passed and the worker was stopped
    │   └── SpiceCrashError           the worker process died
    ├── PhaseError                    a phase of a run failed; names it and its kept deck (exit code 1)
    ├── RunInterruptedError           a person ended the run between two events (exit code 130)
    └── InternalError                 a promise of cosim about itself was broken          (exit code 1)

A sentence gives the place, the rule, the value and what to write instead. Physics outcomes (a
saturated converter, an unreached target) are fields of records and never errors.

Every class rebuilds from its ``args``: simpy re-raises a failed process as ``type(e)(*e.args)`` and
process pools pickle errors the same way, so no class keeps anything outside of ``args``.
"""

from __future__ import annotations


class CosimError(Exception):
    """Base of every deliberate error; ``str(error)`` is the one sentence shown to a person."""

    exit_code: int = 1

    def __str__(self) -> str:
        return str(self.args[-1]) if self.args else type(self).__name__


class InputError(CosimError, ValueError):
    """What a person gave cannot be used."""

    exit_code = 2


class UnitError(InputError):
    """A quantity text is not a number with the right unit."""


class ScenarioError(InputError):
    """A scenario breaks a rule: ``ScenarioError(place, key, sentence)``.

    ``place`` is ``FILE:LINE:COLUMN`` (or the file alone), ``key`` the dotted path of the entry.
    """

    @property
    def place(self) -> str:
        """``FILE:LINE:COLUMN`` of the entry."""
        return str(self.args[0])

    @property
    def key(self) -> str:
        """Dotted path of the entry; empty for the file as a whole."""
        return str(self.args[1])

    def __str__(self) -> str:
        place, key, sentence = self.args
        return ": ".join(str(part) for part in (place, key, sentence) if part)


class CrossbarError(InputError):
    """An array, its wires or its drive are inconsistent; the sentence holds the offending index."""


class DeviceError(InputError):
    """A device parameter or state is out of range."""


class FitError(InputError):
    """Measured data, or a fit to them, cannot be used."""


class UnknownNameError(InputError):
    """Nothing of that name is registered; the sentence lists what is."""


class UnknownKeyError(UnknownNameError, KeyError):
    """A kT-RAM name (instruction, model, fidelity, init) is unknown; the sentence lists the known ones."""


class KtramError(InputError):
    """A kT-RAM core, lane, partition or address tuple is inconsistent."""


class AddressError(KtramError, IndexError):
    """An address lies outside of its space."""


class RegisterTypeError(KtramError, TypeError):
    """A register takes an integer, and was given something else."""


class UnsupportedRequestError(InputError):
    """A backend cannot answer this request; the sentence says why."""


class NetlistRefusedError(InputError):
    """Netlist text holds something outside of what the guard allows."""


class SpiceMissingError(InputError):
    """ngspice is not on this machine; the sentence says what to install."""


class SpiceError(CosimError):
    """ngspice could not finish a phase: ``SpiceError(sentence)``."""


class SpiceParseError(SpiceError):
    """The deck was not understood by ngspice."""


class SpiceConvergenceError(SpiceError):
    """The analysis was aborted, or ended with values that are not finite."""


class SpiceTimeoutError(SpiceError):
    """The deadline passed; the worker was stopped."""


class SpiceCrashError(SpiceError):
    """The worker process died (signal, memory limit, library fault)."""


class PhaseError(CosimError):
    """A phase of a run failed: ``PhaseError(phase, deck_path, sentence)``; the run stops cleanly."""

    @property
    def phase(self) -> str:
        """Name of the phase that failed."""
        return str(self.args[0])

    @property
    def deck_path(self) -> str:
        """Where the deck of the phase was kept; empty where there is none."""
        return str(self.args[1])

    def __str__(self) -> str:
        phase, deck_path, sentence = self.args
        kept = f" (deck kept in {deck_path})" if deck_path else ""
        return f"phase {phase}: {sentence}{kept}"


class RunInterruptedError(CosimError):
    """A person ended the run; what was done before stays."""

    exit_code = 130


class InternalError(CosimError):
    """A promise of cosim about itself was broken; please report it."""
