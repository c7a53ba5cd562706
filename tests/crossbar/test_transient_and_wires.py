"""Lines with capacitance against exact exponentials; wires against their tables and formulas."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import expm

from cosim.crossbar.lines import LineSystem, solve_lines
from cosim.crossbar.transient import Drive, LineTransient, solve_transient
from cosim.crossbar.wires import FixedWire, GeometryWire, NodeWire, Wires, charging_energy
from cosim.errors import CrossbarError


def pair() -> tuple[LineSystem, np.ndarray, np.ndarray]:
    """One cell between two RC nodes, and the matrix of its differential equation."""
    system = LineSystem(1, 1, 0.0, 0.0, [1e4], np.inf, np.inf, [1e4])
    matrix = np.array([[-1.1e-4, 1e-5], [1e-5, -1.1e-4]]) / 1e-12
    return system, np.array([[1e-5]]), matrix


def test_step_response_is_the_exponential() -> None:
    system, g, matrix = pair()
    transient = LineTransient(system, 1e-12, 1e-12)
    times = np.linspace(0.0, 1e-7, 11)
    found = solve_transient(
        transient, g, lambda _: Drive(left=1.0), times.tolist(), start=transient.rest(), tolerance=1e-7
    )
    final = -np.linalg.solve(matrix, [1e8, 0.0])
    exact = np.array([final - expm(matrix * t) @ final for t in times])
    np.testing.assert_allclose(found.word_voltage[:, 0, 0], exact[:, 0], atol=1e-5)
    np.testing.assert_allclose(found.bit_voltage[:, 0, 0], exact[:, 1], atol=1e-5)
    np.testing.assert_allclose(found.i_left[1:, 0], (1.0 - exact[1:, 0]) * 1e-4, atol=1e-9)


def test_second_order_and_no_ringing() -> None:
    """Halving the step divides the error by four; a step far beyond the time constant does not ring."""
    system, g, matrix = pair()
    transient = LineTransient(system, 1e-12, 1e-12)
    drive = Drive(left=1.0)
    final = -np.linalg.solve(matrix, [1e8, 0.0])
    errors = []
    for steps in (8, 16, 32):
        state = transient.restart(transient.rest(), g, drive, 1e-8)
        for _ in range(steps):
            state, _error = transient.step(state, g, (drive, drive), 1e-8 / steps)
        exact = final - expm(matrix * 1e-8) @ final
        errors.append(abs(float(state.word_voltage[0, 0]) - exact[0]))
    assert 3.3 < errors[0] / errors[1] < 4.7
    assert 3.3 < errors[1] / errors[2] < 4.7
    state = transient.restart(transient.rest(), g, drive, 1e-5)
    voltages = [0.0]
    for _ in range(4):
        state, _error = transient.step(state, g, (drive, drive), 1e-5)
        voltages.append(float(state.word_voltage[0, 0]))
    assert abs(voltages[1] - final[0]) < 1e-2
    assert abs(voltages[3] - final[0]) < 1e-6


def test_ends_at_the_steady_state() -> None:
    rng = np.random.default_rng(0)
    g, v = 10.0 ** -rng.uniform(4, 6, (5, 4)), rng.uniform(0, 1, 5)
    system = LineSystem(5, 4, 2.0, 0.0, 1e3, np.inf, np.inf, 1e3)
    transient = LineTransient(system, 1e-15, 1e-15)
    found = solve_transient(transient, g, lambda _: Drive(left=v), [0.0, 1e-9], start=transient.rest())
    still = solve_lines(system, g, v)
    np.testing.assert_allclose(found.i_bottom[-1], still.i_bottom, rtol=1e-5)
    np.testing.assert_allclose(transient.steady(g, Drive(left=v)).ends[0], still.i_left, rtol=1e-12)


def test_charge_is_conserved() -> None:
    """What flows in over a pulse that ends where it began flows out again."""
    system, g, _ = pair()
    transient = LineTransient(system, 1e-12, 1e-12)
    state, charge, stored = transient.rest(), 0.0, 0.0
    drive = Drive(left=1.0)
    state = transient.restart(state, g, drive, 1e-8)
    for _ in range(2000):
        before = sum(float(end.sum()) for end in state.ends)
        state, _error = transient.step(state, g, (drive, drive), 1e-10)
        charge += 0.5 * 1e-10 * (before + sum(float(end.sum()) for end in state.ends))
    stored = 1e-12 * float(state.word_voltage[0, 0] + state.bit_voltage[0, 0])
    assert abs(charge - stored) < 1e-4 * stored


def test_transient_refusals() -> None:
    system, g, _ = pair()
    with pytest.raises(CrossbarError, match="word_capacitance must be 0 or positive and finite, not -1 F"):
        LineTransient(system, -1.0, 0.0)
    with pytest.raises(CrossbarError, match="strobes must rise"):
        solve_transient(LineTransient(system, 1e-12, 1e-12), g, lambda _: Drive(), [1.0, 0.5])


@pytest.mark.parametrize(
    ("node", "ohms"), [(130, 0.23), (65, 0.47), (45, 1.34), (32, 2.12), (22, 2.97), (14, 4.92), (7, 10.1)]
)
def test_node_table(node: int, ohms: float) -> None:
    """Per 4F cell, as computed from the published table."""
    assert NodeWire(node).resistance() == pytest.approx(ohms, rel=0.02)
    assert NodeWire(node, pitch=2.0).resistance() == pytest.approx(ohms / 2, rel=0.02)


def test_temperature_is_linear_and_signed() -> None:
    wire = NodeWire(22)
    assert wire.resistance(310.0) == pytest.approx(wire.resistance() * 1.0451)
    assert wire.resistance(290.0) < wire.resistance()
    with pytest.raises(CrossbarError, match="temperature"):
        wire.resistance(10.0)


def test_geometry() -> None:
    """A thick wire has bulk resistivity; a thin one about three times that; the capacitance is near 0.2 fF/um."""
    thick = GeometryWire(1e-5, 1e-5, 1e-5, 1e-5, 1e-5)
    assert thick.resistivity() == pytest.approx(thick.bulk_resistivity, rel=0.02)
    thin = GeometryWire(27e-9, 22e-9, 27e-9, 30e-9, 54e-9, bulk_resistivity=1.9e-8)
    assert 4.5e-8 < thin.resistivity() < 5.7e-8
    assert 0.1e-9 < thin.capacitance() / thin.length < 0.3e-9


def test_sakurai_tamaru_at_unit_ratios() -> None:
    wire = GeometryWire(1e-7, 1e-7, 1e-7, 1e-7, 1e-6, permittivity=1.0)
    per_epsilon = 1.15 + 2.80 + 2 * (0.03 + 0.83 - 0.07)
    assert wire.capacitance() == pytest.approx(8.8541878128e-12 * per_epsilon * 1e-6)


def test_wires_make_a_line_system_and_account() -> None:
    wires = Wires(FixedWire(2.0, 1e-16), FixedWire(3.0, 2e-16))
    system = wires.line_system(4, 5, r_source=10.0, r_sink=20.0)
    np.testing.assert_allclose(system.r_left, 12.0)
    np.testing.assert_allclose(system.r_bottom, 23.0)
    assert wires.line_capacitance(4, 5) == pytest.approx((6e-16, 1e-15))
    delivered, stored = charging_energy(1e-12, 0.0, 1.0)
    assert (delivered, stored) == pytest.approx((1e-12, 0.5e-12))


def test_wire_refusals() -> None:
    with pytest.raises(CrossbarError, match=r"wire.ohms: must be 0 or positive, not -1 ohm"):
        FixedWire(-1.0)
    with pytest.raises(CrossbarError, match=r"wire.node: must be one of .*, not 55 nm: give the geometry"):
        NodeWire(55)
    with pytest.raises(CrossbarError, match=r"wire.spacing: must be 0.5 to 10 times the height"):
        GeometryWire(1e-7, 1e-7, 1e-6, 5e-8, 1e-6)
