"""Series elements: the laws themselves, how a cell shares its voltage, and that both backends agree on whole phases."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import brentq

from cosim.crossbar import Phase, PhaseRequest, find, level, pulse
from cosim.crossbar.access import Mosfet, Selector, SeriesElement, Switch
from cosim.crossbar.cell_law import divide, seen_conductance, seen_range
from cosim.crossbar.network import Cell, Segments, single
from cosim.devices import Mss, find_preset
from cosim.devices.base import BOLTZMANN_OVER_CHARGE
from cosim.errors import CosimError
from cosim.spice.machine import probe

KELVIN = 300.0
THERMAL = BOLTZMANN_OVER_CHARGE * KELVIN
NS = 10**6
MOS = Mosfet(threshold=0.45, transconductance=270e-6, width_over_length=2.0, slope_factor=1.6)
DEVICE = Mss(r_on=100e3, r_off=1e6, v_on=0.6, v_off=0.6, tau=1e-5)
ngspice = pytest.mark.skipif(probe().version is None, reason="needs ngspice")


def one(value: float) -> np.ndarray:
    return np.array([[value]])


def through(element: SeriesElement, drop: float, far: float = 0.0, gate: float = 1.8) -> float:
    return float(element.current(one(drop), one(far), one(gate), KELVIN)[0, 0])


def test_saturation_is_a_square_law() -> None:
    """beta (v_g - v_t0)^2 / 2n far above threshold, whatever the drop is."""
    beta = 270e-6 * 2.0
    for drop in (1.2, 1.5):
        assert through(MOS, drop, gate=1.45) == pytest.approx(beta / (2 * 1.6), rel=1e-6)
    assert through(MOS, 1.5, far=0.2, gate=1.45) == pytest.approx(beta * (1 - 1.6 * 0.2) ** 2 / 3.2, rel=1e-3)


def test_weak_inversion_is_exponential_in_the_gate() -> None:
    """A decade per n V_t ln 10 of the gate, and n times less of the source."""
    low, high = (through(MOS, 0.5, gate=0.45 - v) for v in (0.60, 0.55))
    assert np.log(high / low) == pytest.approx(0.05 / (1.6 * THERMAL), rel=1e-2)


def test_triode_conductance() -> None:
    """beta (v_g - v_t0) at small drops, and the digits of the smallest ones."""
    for drop in (1e-3, 1e-9, 1e-15):
        found = through(MOS, drop, gate=1.45)
        assert found == pytest.approx(270e-6 * 2.0 * drop, rel=2e-3)
        slope = MOS.slope(one(0.0), one(0.0), one(1.45), KELVIN)[0, 0]
        assert found == pytest.approx(slope * drop, rel=2e-2 if drop > 1e-4 else 1e-7)


def test_drain_and_source_are_alike() -> None:
    """The current turns round with the two sides."""
    for a, b in ((0.7, 0.1), (1e-6, 0.0), (1.1, 1.0)):
        assert through(MOS, a - b, far=b) == pytest.approx(-through(MOS, b - a, far=a), rel=1e-12)


def test_selector() -> None:
    law = Selector(scale=1e-11, slope_voltage=0.05)
    assert through(law, 0.4) == pytest.approx(1e-11 * np.sinh(8.0), rel=1e-14)
    assert through(law, -0.4) == -through(law, 0.4)
    assert np.isfinite(through(law, 1e3))


@pytest.mark.parametrize("element", [Switch(5e3), MOS, Selector()])
def test_slopes_are_derivatives(element: SeriesElement) -> None:
    drop = np.linspace(-0.8, 0.8, 33)[None, :]
    far, gate, h = np.full(drop.shape, 0.1), one(1.2), 1e-6
    sides = [element.current(drop + s * h, far, gate, KELVIN) for s in (1, -1)]
    assert element.slope(drop, far, gate, KELVIN) == pytest.approx((sides[0] - sides[1]) / (2 * h), rel=1e-6)


@pytest.mark.parametrize("element", [Switch(5e3), MOS, Selector()])
def test_a_cell_shares_its_voltage(element: SeriesElement) -> None:
    """Against a bracketing root finder, over ten orders of cell voltage and both signs."""
    rng = np.random.default_rng(3)
    voltage = 10.0 ** rng.uniform(-9, 0.2, (6, 7)) * rng.choice([-1, 1], (6, 7))
    far, state = rng.uniform(0, 0.5, (6, 7)), rng.random((6, 7))
    u, current, slope = divide(DEVICE, element, state, voltage, far, one(0.9), KELVIN)
    for i, j in np.ndindex(u.shape):
        g = float(DEVICE.conductance(one(state[i, j]))[0, 0])

        def miss(part: float, v: float = voltage[i, j], at: tuple[int, int] = (i, j), g: float = g) -> float:
            return g * v * part - through(element, v * (1 - part), far[at], 0.9)

        part = brentq(miss, 0.0, 1.0, xtol=1e-15, rtol=1e-14)
        assert u[i, j] == pytest.approx(voltage[i, j] * part, rel=1e-9)
        assert current[i, j] == pytest.approx(g * u[i, j], rel=1e-12)
    moved = divide(DEVICE, element, state, voltage * (1 + 1e-6), far, one(0.9), KELVIN)[1]
    assert slope == pytest.approx((moved - current) / (1e-6 * voltage), rel=1e-3)


def test_voltages_without_digits_are_shared_too() -> None:
    u, _, _ = divide(DEVICE, MOS, one(0.2), one(1.2e-318), one(0.0), one(0.51), KELVIN)
    assert 0 <= u[0, 0] <= 1.2e-318


def test_a_switch_is_what_it_was() -> None:
    cell, state = Cell("1T1R", access_resistance=5e3), np.array([[0.0, 0.4, 1.0]])
    g = DEVICE.conductance(state)
    assert seen_conductance(DEVICE, cell, state, 0.2, KELVIN) == pytest.approx(g / (1 + 5e3 * g), rel=1e-15)
    assert seen_range(DEVICE, cell, 0.2, KELVIN) == pytest.approx((1e-6 / 1.005, 1e-5 / 1.05))


def test_a_read_sees_less_through_a_transistor() -> None:
    low, high = seen_range(DEVICE, Cell("1T1R", transistor=MOS), 0.2, KELVIN)
    assert 0.99e-6 < low < 1e-6
    assert 0.97e-5 < high < 1e-5


@pytest.mark.parametrize(
    ("parts", "sentence"),
    [
        ({"kind": "1R", "transistor": MOS}, "cell.transistor: must be left out of cells without one, not 1R"),
        ({"kind": "1T1R", "selector": Selector()}, "cell.selector: must be left out of cells without one, not 1T1R"),
    ],
)  # fmt: skip
def test_elements_of_other_cells_are_refused(parts: dict[str, object], sentence: str) -> None:
    with pytest.raises(CosimError) as raised:
        Cell(**parts)  # type: ignore[arg-type]
    assert str(raised.value) == sentence


def request(
    cell: Cell, amplitude: float, gate: float, up: bool, farad: float, width: int = 300
) -> PhaseRequest:
    """Return a pulse on cell (1, 2) of 4 x 4: gate scheme, or V/2 for cells without gates."""
    network = single("a", (4, 4), DEVICE, cell, Segments(2.5, 2.5, farad, farad), r_source=2.0, r_sink=5.0)
    shape, half = (pulse(v, rise_fs=NS, width_fs=width * NS, fall_fs=NS) for v in (amplitude, amplitude / 2))
    rest = half if not cell.gated else level(0.0)
    drives = dict.fromkeys(network.nets, rest)
    if cell.gated and up:
        drives |= {f"bl{j}": shape for j in range(4)}
    drives |= {"wl1": shape if up else level(0.0), "bl2": level(0.0) if up else shape}
    if cell.gated:
        drives["gl1"] = level(gate)
    states = (np.random.default_rng(0).uniform(0.2, 0.7, (4, 4)),)
    return PhaseRequest(
        network, states, None, 0, KELVIN, Phase("write", (width + 2) * NS, drives, (100 * NS,)), 1
    )


@ngspice
@pytest.mark.parametrize("up", [True, False])
@pytest.mark.parametrize(
    ("cell", "amplitude", "gate", "farad"),
    [
        (Cell("1T1R", transistor=MOS), 0.8, 1.8, 0.0),
        (Cell("1T1R", transistor=MOS), 1.0, 0.6, 0.0),
        (Cell("1T1R", transistor=MOS), 0.8, 1.8, 1e-15),
        (Cell("1S1R"), 1.5, 0.0, 0.0),
    ],
)
def test_both_backends_agree(cell: Cell, amplitude: float, gate: float, farad: float, up: bool) -> None:
    asked = request(cell, amplitude, gate, up, farad)
    mine = find("behavioral")(fidelity="rc" if farad else "resistive").run(asked)
    backend = find("ngspice")()
    try:
        spice = backend.run(asked)
    finally:
        backend.close()
    assert np.abs(mine.states[0] - spice.states[0]).max() < 1e-5
    largest = np.abs(mine.samples.current).max()
    assert np.abs(mine.samples.current - spice.samples.current).max() < 1e-4 * largest
    total = mine.energy.delivered.sum()
    assert mine.energy.access == pytest.approx(spice.energy.access, rel=1e-3)
    for result in (mine, spice):
        e = result.energy
        spent = e.absorbed.sum() + e.cells[0].sum() + e.access + e.wires + e.terminations + e.stored
        assert spent == pytest.approx(e.delivered.sum(), abs=1e-4 * total)


def test_the_gate_decides_the_conductance() -> None:
    """A long SET pulse stops where the transistor's saturation current makes the device's threshold voltage."""
    backend, reached = find("behavioral")(), []
    for gate in (0.52, 0.56, 0.60):
        asked = request(Cell("1T1R", transistor=MOS), 1.0, gate, True, 0.0, width=20000)
        reached.append(float(DEVICE.conductance(backend.run(asked).states[0])[1, 2]))
    limits = [through(MOS, 0.4, gate=gate) for gate in (0.52, 0.56, 0.60)]
    assert reached[0] < reached[1] < reached[2]
    for conductance, limit in zip(reached[1:], limits[1:], strict=True):
        assert limit / conductance == pytest.approx(0.55, abs=0.1)


def test_a_row_with_its_gate_at_0_v_is_open() -> None:
    preset = find_preset("mss-firm")
    network = single("a", (2, 2), preset, Cell("1T1R", transistor=MOS), Segments(1.0, 1.0), r_source=2.0)
    drives = {net: level(0.0) for net in network.nets} | {
        "wl0": level(0.2),
        "wl1": level(0.2),
        "gl1": level(1.8),
    }
    found = find("behavioral")().run(
        PhaseRequest(
            network, (np.full((2, 2), 0.5),), None, 0, KELVIN, Phase("read", 10 * NS, drives, (5 * NS,)), 0
        )
    )
    current = dict(zip(found.samples.nets, found.samples.current[0], strict=True))
    assert current["wl0"] == 0.0
    assert current["wl1"] > 1e-6
