"""The FeFET with gate, drain and source: the gate switches it without a channel current, and opens the channel."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cosim.devices import Fefet
from cosim.spice.cards import Deck, Transient
from cosim.spice.engines import engine

NETLIST = Path(__file__).parents[2] / "netlists" / "fefet.cir"
KELVIN = 300.0


def test_the_example_netlist_is_the_models() -> None:
    text = NETLIST.read_text()
    assert text[text.index(".subckt") :] == Fefet().three_terminal()


def simulated(gate: str, drain: str, x0: float, end: float) -> dict[str, np.ndarray]:
    cards = (*Fefet().three_terminal().splitlines(), f"vg g 0 {gate}", f"vd d 0 {drain}", "vs s 0 0",
             f"x1 d g s fefet_gate x0={x0}")  # fmt: skip
    saves = ("v(x1.x)", "i(vd)", "i(vg)")
    solver = engine("subprocess")
    try:
        found = solver.run(Deck("gate", cards, (), saves, Transient(end, end / 400)), 30)
    finally:
        solver.close()
    return {name: found.column(name) for name in saves}


@pytest.mark.ngspice
@pytest.mark.parametrize(
    ("volts", "x0", "width"), [(3.65, 0.1, 75e-9), (3.65, 0.5, 1e-6), (-2.95, 0.9, 75e-9)]
)
def test_gate_pulses_switch_by_the_closed_form_without_a_channel_current(
    volts: float, x0: float, width: float
) -> None:
    edge = width / 1000
    pulse = f"pwl 0 0 {edge} {volts} {width + edge} {volts} {width + 2 * edge} 0"
    found = simulated(pulse, "0", x0, 1.2 * width)
    wanted = Fefet().advance(np.array([[x0]]), np.array([[volts]]), width, KELVIN)[0, 0]
    assert found["v(x1.x)"][-1] == pytest.approx(wanted, abs=5e-4)
    assert np.abs(found["i(vd)"]).max() < 1e-15


@pytest.mark.ngspice
def test_a_read_needs_the_gate() -> None:
    """At a read bias of 1 V the channel is the two-terminal cell, with the gate at 0 V it is shut."""
    device, state = Fefet(), np.array([[0.6]])
    current = float(device.current(state, np.array([[0.05]]))[0, 0])
    open_, shut = (-simulated(gate, "0.05", 0.6, 1e-7)["i(vd)"][-1] for gate in ("1", "0"))
    assert open_ == pytest.approx(current, rel=1e-6)
    assert shut < 1e-6 * current
