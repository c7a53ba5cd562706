"""Port models: the same currents as the array, alone, on shared lines, and in ngspice."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from spice_deck import OPERATING_POINT, SIDES, deck, run

from cosim.crossbar.joined import JoinedArray, solve_joined
from cosim.crossbar.lines import LineSystem, solve_lines
from cosim.crossbar.ports import PortArray, PortModel, solve_ports
from cosim.errors import CrossbarError

ENDS = ("i_left", "i_right", "i_top", "i_bottom")


def array(n: int) -> tuple[LineSystem, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(n)
    g = 10.0 ** -rng.uniform(3, 5, (n, n))
    return LineSystem(n, n, 1.0, 1.5, 2.0, np.inf, np.inf, 3.0), g, rng.uniform(0, 0.5, n)


def test_a_model_is_the_array() -> None:
    rng = np.random.default_rng(0)
    g = 10.0 ** -rng.uniform(3, 6, (9, 14))
    top = np.where(np.arange(14) % 3 == 0, 5.0, np.inf)
    system = LineSystem(9, 14, 1.0, 0.0, 0.0, 7.0, top, 2.0)
    model = PortModel(system, g, keep=True)
    volts = [rng.uniform(-1, 1, k) for k in (9, 9, 14, 14)]
    lines = solve_lines(system, g, *volts)
    found = model.currents(np.array([volts[s][k] for s, k in zip(model.side, model.line, strict=True)]))
    wanted = np.array([getattr(lines, ENDS[s])[k] for s, k in zip(model.side, model.line, strict=True)])
    np.testing.assert_allclose(found, wanted, atol=1e-12 * np.abs(wanted).max())
    inside = model.expand(*volts)
    np.testing.assert_allclose(inside.bit_voltage, lines.bit_voltage, atol=1e-11)
    np.testing.assert_allclose(inside.cell_current, lines.cell_current, atol=1e-11 * np.abs(wanted).max())


def test_resistors_are_the_matrix() -> None:
    system, g, _ = array(8)
    model = PortModel(system, g)
    laplacian = np.zeros((model.ports, model.ports))
    for first, second, r in model.as_resistors():
        assert second is not None
        assert r > 0
        laplacian[[first, second], [first, second]] += 1 / r
        laplacian[[first, second], [second, first]] -= 1 / r
    np.testing.assert_allclose(laplacian, model.conductance, atol=1e-15 * np.abs(model.conductance).max())
    small, whole = model.sizes()
    assert small == (16, 16 * 15 // 2)
    assert whole == (2 * 64 + 16, 64 + 2 * 56 + 16)
    assert model.netlist(lambda port: f"n_{port}")[0].startswith("rp0 n_left0 n_left1 ")


def test_shunts_become_resistors_to_ground() -> None:
    shunt = np.full((3, 4), 1e-5)
    system = LineSystem(3, 4, 1.0, 1.0, 1.0, np.inf, np.inf, 1.0, shunt)
    model = PortModel(system, np.full((3, 4), 1e-4))
    grounded = [r for r in model.as_resistors() if r.second is None]
    np.testing.assert_allclose(sum(1 / r.resistance for r in grounded), shunt.sum(), rtol=1e-3)


def quarters(g: np.ndarray, r: float, end: float) -> tuple[list[PortArray], int]:
    """A square array cut into four port models whose cut lines are floating nets."""
    n = g.shape[0]
    h = n // 2
    word = [np.arange(h) + k for k in (0, h)]
    bit = [np.arange(h) + n + k for k in (0, h)]
    cut_word = [np.arange(h) + 2 * n + k for k in (0, h)]
    cut_bit = [np.arange(h) + 3 * n + k for k in (0, h)]
    members = []
    for i in (0, 1):
        for j in (0, 1):
            part = np.ascontiguousarray(g[i * h : (i + 1) * h, j * h : (j + 1) * h])
            system = LineSystem(
                h, h, r, r, end if j == 0 else r, np.inf if j else 0.0, r if i else np.inf, end if i else 0.0
            )
            left, right = (cut_word[i], -1) if j else (word[i], cut_word[i])
            top, bottom = (cut_bit[j], bit[j]) if i else (-1, cut_bit[j])
            members.append(PortArray(PortModel(system, part), left, right, top, bottom))
    return members, 4 * n


@pytest.mark.parametrize("n", [8, 64])
def test_four_port_models_are_the_whole_array(n: int) -> None:
    rng = np.random.default_rng(n)
    g, v = 10.0 ** -rng.uniform(3, 5, (n, n)), rng.uniform(0, 0.5, n)
    whole = solve_lines(LineSystem(n, n, 1.0, 1.0, 2.0, np.inf, np.inf, 2.0), g, v, tolerance=1e-13)
    members, nets = quarters(g, 1.0, 2.0)
    volts = np.concatenate([v, np.zeros(n), np.full(nets - 2 * n, np.nan)])
    found = solve_ports(members, volts)
    scale = np.abs(whole.i_left).max()
    np.testing.assert_allclose(found.net_current[:n], whole.i_left, atol=1e-10 * scale, rtol=0)
    np.testing.assert_allclose(found.net_current[n : 2 * n], whole.i_bottom, atol=1e-10 * scale, rtol=0)
    assert np.abs(found.net_current[2 * n :]).max() <= 1e-10 * scale
    error = np.abs(found.net_current[n : 2 * n] / whole.i_bottom - 1).max()
    print(  # noqa: T201
        f"{n}x{n} from four port models: largest relative error of a bit-line current {error:.1e}"
    )
    assert error <= 1e-10


def test_a_lane_on_a_floating_net() -> None:
    """Members of both kinds; against the joined solver."""
    rng = np.random.default_rng(5)
    system = LineSystem(4, 3, 1.0, 1.0, 10.0, np.inf, np.inf, 10.0)
    arrays = [
        JoinedArray(system, 10.0 ** -rng.uniform(4, 6, (4, 3)), np.array([1, 2, 1, 2]), -1, -1, 0)
        for _ in range(4)
    ]
    volts = [np.nan, 0.5, -0.4]
    wanted = solve_joined(arrays, volts)
    mixed = [arrays[0], *(PortArray(PortModel(system, a.conductance), a.left, -1, -1, 0) for a in arrays[1:])]
    found = solve_ports(mixed, volts)
    np.testing.assert_allclose(found.net_voltage, wanted.net_voltage, atol=1e-12)
    np.testing.assert_allclose(found.net_current[1:], wanted.net_current[1:], rtol=1e-9)


def test_refusals() -> None:
    system, g, _ = array(4)
    with pytest.raises(CrossbarError, match=r"conductance must have shape \(4, 4\), not \(3, 4\)"):
        PortModel(system, g[:3])
    model = PortModel(system, g)
    with pytest.raises(CrossbarError, match="without its merges"):
        model.expand(1.0)
    with pytest.raises(CrossbarError, match="port left0 of member 0 must be at a net from 0 to 1"):
        solve_ports([PortArray(model, 7)], [0.0, 1.0])
    with pytest.raises(CrossbarError, match="no net is driven"):
        solve_ports([PortArray(model, 0)], [np.nan])
    with pytest.raises(CrossbarError, match="broken wire"):
        PortModel(LineSystem(2, 2, np.inf, 1.0), np.ones((2, 2)))
    with pytest.raises(CrossbarError, match="has no conductance matrix"):
        PortModel(LineSystem(2, 2, 0.0, 1.0, 0.0, 0.0), np.ones((2, 2)))


def spice_both(n: int, folder: Path) -> dict[str, Any]:
    """Operating points of an array in ngspice, once with all resistors and once as a port model."""
    system, g, volts = array(n)
    zero = ["0"] * n
    sources = {"left": [f"{float(v):.17e}" for v in volts], "right": zero, "top": zero, "bottom": zero}
    model = PortModel(system, g)
    lines = ["* a port model", *model.netlist()]
    for side, values in sources.items():
        if side in ("left", "bottom"):
            lines += [f"v{side}{k} {side}{k} 0 {value}" for k, value in enumerate(values)]
    reduced = "\n".join([*lines, *OPERATING_POINT, ".end", ""])
    out: dict[str, Any] = {"sizes": model.sizes(), "ours": solve_lines(system, g, volts)}
    for name, text in (("model", reduced), ("array", deck(system, g, sources, OPERATING_POINT))):
        (folder / name).mkdir()
        begin = time.perf_counter()
        found = run(text, folder / name, timeout=280.0)
        out[f"{name} s"] = time.perf_counter() - begin
        out[name] = {
            side: np.array([-float(found[f"i(v{side}{k})"][0]) for k in range(n)])
            for side in SIDES
            if side in ("left", "bottom")
        }
    return out


@pytest.mark.ngspice
@pytest.mark.skipif(shutil.which("ngspice") is None, reason="ngspice is not installed (apt install ngspice)")
@pytest.mark.parametrize(
    "n",
    [4, 16, pytest.param(32, marks=pytest.mark.acceptance), pytest.param(64, marks=pytest.mark.acceptance)],
)
def test_ngspice_with_a_port_model(n: int, tmp_path: Path) -> None:
    found = spice_both(n, tmp_path)
    scale = max(float(np.abs(part).max()) for part in found["array"].values())
    for side in ("left", "bottom"):
        assert np.abs(found["model"][side] - found["array"][side]).max() <= 1e-9 * scale
        assert np.abs(found["model"][side] - getattr(found["ours"], f"i_{side}")).max() <= 1e-9 * scale
    small, whole = found["sizes"]
    print(  # noqa: T201
        f"\n{n}x{n} in ngspice: all resistors {found['array s']:.2f} s ({whole.nodes} nodes, {whole.resistors} "
        f"resistors), port model {found['model s']:.2f} s ({small.nodes} nodes, {small.resistors} resistors)"
    )
