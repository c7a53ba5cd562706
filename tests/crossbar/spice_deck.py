"""Small decks of one array for ngspice, written and read here so that the comparison shares no code."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np

from cosim.crossbar.lines import FloatArray, LineSystem

SIDES = ("left", "right", "top", "bottom")


def deck(
    system: LineSystem,
    cell: FloatArray,
    sources: dict[str, list[str]],
    analysis: list[str],
    *,
    sinh: float | None = None,
    capacitance: float = 0.0,
) -> str:
    """Text of an array; ``sources`` holds the SPICE value of every line-end source by side."""
    m, n = system.rows, system.columns
    r_word = np.broadcast_to(system.r_word, (m, n - 1))
    r_bit = np.broadcast_to(system.r_bit, (m - 1, n))
    lines = ["* one crossbar array"]
    for i in range(m):
        for j in range(n):
            if cell[i, j] > 0:
                if sinh is None:
                    lines.append(f"rc{i}_{j} w{i}_{j} b{i}_{j} {1.0 / float(cell[i, j]):.17e}")
                else:
                    g = float(cell[i, j]) / sinh
                    lines.append(
                        f"bc{i}_{j} w{i}_{j} b{i}_{j} i={g:.17e}*sinh({sinh:.17e}*v(w{i}_{j},b{i}_{j}))"
                    )
            if j + 1 < n:
                lines.append(f"rw{i}_{j} w{i}_{j} w{i}_{j + 1} {float(r_word[i, j]):.17e}")
            if i + 1 < m:
                lines.append(f"rb{i}_{j} b{i}_{j} b{i + 1}_{j} {float(r_bit[i, j]):.17e}")
            if capacitance:
                lines += [
                    f"cw{i}_{j} w{i}_{j} 0 {capacitance:.17e}",
                    f"cb{i}_{j} b{i}_{j} 0 {capacitance:.17e}",
                ]
    nodes = {
        "left": [f"w{i}_0" for i in range(m)],
        "right": [f"w{i}_{n - 1}" for i in range(m)],
        "top": [f"b0_{j}" for j in range(n)],
        "bottom": [f"b{m - 1}_{j}" for j in range(n)],
    }
    ends = {"left": system.r_left, "right": system.r_right, "top": system.r_top, "bottom": system.r_bottom}
    for side in SIDES:
        resistance = np.broadcast_to(np.asarray(ends[side]), (len(nodes[side]),))
        for k, (node, r) in enumerate(zip(nodes[side], resistance, strict=True)):
            if np.isfinite(r):
                lines.append(f"v{side}{k} {side}{k} 0 {sources[side][k]}")
                lines.append(f"r{side}{k} {side}{k} {node} {float(r):.17e}")
    return "\n".join([*lines, *analysis, ".end", ""])


def run(text: str, folder: Path, timeout: float = 120.0) -> dict[str, FloatArray]:
    """Run a deck whose control section writes ``out.raw`` in ASCII; return every vector by name."""
    (folder / "deck.cir").write_text(text)
    done = subprocess.run(
        ["ngspice", "-b", "deck.cir"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    raw = folder / "out.raw"
    if not raw.exists():
        raise RuntimeError(f"ngspice gave no result: {done.stdout[-2000:]} {done.stderr[-2000:]}")
    return read_raw(raw.read_text())


def read_raw(text: str) -> dict[str, FloatArray]:
    head, values = text.split("Values:\n", 1)
    names = [line.split()[1] for line in head.split("Variables:\n", 1)[1].strip().splitlines()]
    numbers = np.array([float(word) for word in values.split() if not word.isdigit() or "." in word])
    table = numbers.reshape(-1, len(names))
    return {name: table[:, k] for k, name in enumerate(names)}


OPERATING_POINT = [
    ".options reltol=1e-9 abstol=1e-16 vntol=1e-12 gmin=1e-30 itl1=500",
    ".control",
    "set filetype=ascii",
    "op",
    "write out.raw",
    ".endc",
]
