"""Writes `docs/support.md` from the rules that scenarios are held against.

Run it with ``make docs-generate`` after changing a rule, a device model or a coding; a test compares the page with what
this returns.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import get_args, get_type_hints

from cosim.backends.ngspice import NgspiceBackend
from cosim.components.coding import input_codings
from cosim.components.schemes import Scheme
from cosim.components.sense import Sense
from cosim.components.write_verify import PulseRule
from cosim.crossbar.access import Mosfet
from cosim.crossbar.network import Cell, Segments, single
from cosim.devices import Mss
from cosim.devices.base import DeviceModel
from cosim.devices.registry import models
from cosim.scenario.support import BEHIND_A_RESISTANCE, PAIRS, RULES, Choice, refused

PAGE = Path(__file__).with_name("support.md")

INTRODUCTION = """\
# What goes together

<!-- Written by docs/generate_support.py. Change cosim/scenario/support.py, then run: make docs-generate -->

A combination that cannot be is refused when a scenario is loaded, with its place and the reason. This page is made from the
same table (`cosim/scenario/support.py`) and from what the backends answer.
"""

CELLS = {
    "1R": Cell("1R"),
    "1T1R, switch": Cell("1T1R"),
    "1T1R, transistor": Cell("1T1R", transistor=Mosfet()),
    "1S1R": Cell("1S1R"),
    "2T2R, switch": Cell("2T2R"),
    "2T2R, transistor": Cell("2T2R", transistor=Mosfet()),
}


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def answer(choice: Choice) -> str:
    """Return yes, or the number of the rule that is broken."""
    broken = refused(choice)
    return "yes" if broken is None else f"no ({[rule.title for rule in RULES].index(broken.title) + 1})"


def schemes() -> str:
    """Cells against schemes and rules."""
    kinds: tuple[Scheme, ...] = get_args(Scheme)
    rules: tuple[PulseRule, ...] = get_args(PulseRule)
    rows = []
    for name, cell in CELLS.items():
        own: Scheme = "gate" if cell.gated else "V/2"
        rows.append(
            [name, *(answer(Choice(Mss(), cell, scheme)) for scheme in kinds)]
            + [answer(Choice(Mss(), cell, own, rule, reacts=rule == "terminated")) for rule in rules]
        )
    text = table(["cell", *(f"`{kind}`" for kind in kinds), *(f"`{rule}`" for rule in rules)], rows)
    rows = [
        [
            f"`{rule}`",
            answer(Choice(Mss(), CELLS["1T1R, transistor"], "gate", rule, "row", rule == "terminated")),
        ]
        for rule in rules
    ]
    return (
        text + "\nRows at once (`parallel: row`), 1T1R with a transistor:\n\n" + table(["rule", "row"], rows)
    )


def backends() -> str:
    """Cells against fidelities and backends."""
    rows = []
    for name, cell in CELLS.items():
        path = "one conductance a cell, compiled where one array" if cell.linear else "Newton's method"
        foreign = "yes" if cell.linear else "no: it stands behind a switch or brings its own"
        noise = "yes" if cell.linear else f"no: {BEHIND_A_RESISTANCE.title}"
        rows.append([name, path, path, "transient", "yes", foreign, noise])
    head = ["cell", "ideal", "resistive", "rc", "ngspice", "netlist of a user", "read noise"]
    return table(head, rows)


def devices() -> str:
    """Device models against backends."""
    backend, rows = NgspiceBackend("none"), []
    for name, model in sorted(models().items()):
        try:
            device = model()
        except (TypeError, ValueError):
            rows.append(
                [f"`{name}`", "as its table says", "yes", "yes", "yes", "no: no differential equation"]
            )
            continue
        rows.append([f"`{name}`", *_device(device, backend)])
    head = ["device", "current", "behavioral read", "behavioral write", "ngspice read", "ngspice write"]
    return table(head, rows)


def _device(device: DeviceModel, backend: NgspiceBackend) -> list[str]:
    network = single("a", (2, 2), device, Cell("1R"), Segments(1.0, 1.0))
    said = [_short(backend.refusal(network, kind)) for kind in ("read", "write")]
    still = "no: never changes"
    return [
        "linear" if device.linear else "nonlinear",
        "yes",
        "yes" if device.moves else still,
        said[0],
        said[1] if device.moves else still,
    ]


def _short(reason: str | None) -> str:
    if reason is None:
        return "yes"
    return "no: no differential equation" if "differential" in reason else "no: no subcircuit"


def codings() -> str:
    """Codings against sense circuits."""
    kinds = get_args(get_type_hints(Sense)["kind"])
    rows = [
        [
            f"`{name}`",
            *(
                "yes" if not coding.by_charge or kind == "integrator" else "no: its result is a charge"
                for kind in kinds
            ),
        ]
        for name, coding in input_codings().items()
    ]
    return table(["coding", *(f"`{kind}`" for kind in kinds)], rows)


def page() -> str:
    """Return the page."""
    reasons = "".join(
        f"{k}. {rule.title}: {rule.sentence.format(cell='KIND', scheme='SCHEME', device='NAME')}\n"
        for k, rule in enumerate(RULES, 1)
    )
    parts = [
        INTRODUCTION,
        "## Cell, scheme, rule of the next pulse\n\n" + schemes(),
        "The numbers:\n\n" + reasons,
        "## What 2T2R cells refuse\n\n"
        + table(["key", "reason"], [[f"`{key}`", reason] for key, reason in PAIRS.items()]),
        "## Cell, fidelity, backend\n\nFidelity `rc` needs wires with capacitance, and all phases of a tile share it.\n\n"
        + backends(),
        "## Device and backend\n\nMoreover ngspice refuses arrays that would take longer than its deadline.\n\n"
        + devices(),
        "## Coding and sense circuit\n\n" + codings(),
    ]
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page())
