"""The command line: the only place that prints and that sets exit codes.

Exit codes: 0 good, 1 internal fault or failed phase, 2 bad input, 3 a tolerance was missed,
130 interrupted.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy: many small matrices, see crossbar.threads

import sys

import typer

from cosim.cli import circuits, folders, models, runs
from cosim.errors import CosimError

app = typer.Typer(
    name="cosim",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    help="Discrete-event circuit co-simulation of memristor crossbars, cross-validated against ngspice.",
)
for _command in (
    runs.run, runs.validate, runs.check, circuits.netlist, circuits.pulses, models.devices, models.characterize,
    models.fit, folders.new, folders.report, folders.compare, folders.schema, folders.doctor,
):  # fmt: skip
    app.command()(_command)


def main() -> None:
    """Run the command line; an error of cosim is one sentence on standard error."""
    try:
        code = app(standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except typer.Exit as stop:
        sys.exit(stop.exit_code)
    except typer.Abort:
        sys.exit(130)
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        sys.exit(130)
    except CosimError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(error.exit_code)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except typer.TyperException as error:
        error.show()  # type: ignore[attr-defined]
        sys.exit(error.exit_code)
