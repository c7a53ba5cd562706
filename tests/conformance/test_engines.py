"""One suite for every engine: crossbars of 2x2 to 16x16, wires none, R and RC, mss and rs.

The reference is the behavioral backend at tight tolerance for quasi-static wires, and for wires with
capacitance an own integration of the full circuit (scipy, stiff method, relative tolerance 1e-6).
Bars: state within 1e-4 of its range, direct-current solution within 1e-9, energy within 1e-3.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.sparse import block_array, csr_array, diags_array, eye_array, kron

from cosim.backends.behavioral import BehavioralBackend, Tolerances
from cosim.backends.ngspice import NgspiceBackend
from cosim.crossbar import Cell, Phase, PhaseRequest, Segments, level, pulse, single
from cosim.devices import DeviceModel, find_preset
from cosim.devices.base import FloatArray
from cosim.errors import SpiceMissingError
from cosim.spice.cards import OperatingPoint, level_slot
from cosim.spice.frame import source_name

pytestmark = pytest.mark.ngspice

NS = 10**6
STATE, CURRENT, ENERGY = 1e-4, 1e-9, 1e-3
AMPLITUDE = {"mss-firm": 0.75, "mss-ktram": 0.33, "rs-ktram": 0.4, "rs-jspice": 0.5}


class Case(NamedTuple):
    size: int
    wires: str
    preset: str
    gated: bool

    def __str__(self) -> str:
        return f"{self.size}x{self.size}-{self.wires}-{self.preset}-{'1T1R' if self.gated else '1R'}"


CASES = [
    Case(size, wires, preset, gated)
    for size in (2, 4, 8, 16)
    for wires in ("none", "R")
    for preset, gated in (("mss-firm", True), ("mss-firm", False), ("rs-ktram", False))
    if size < 16 or not gated or wires == "R"
]
CASES += [Case(4, "R", "mss-ktram", False), Case(4, "R", "rs-jspice", True)]
LARGE = [
    Case(8, "RC", "rs-ktram", False),
    Case(16, "RC", "mss-firm", False),
    Case(16, "RC", "rs-ktram", False),
]
CHARGED = [Case(size, "RC", preset, False) for size in (2, 4) for preset in ("mss-firm", "rs-ktram")]
CHARGED += [Case(8, "RC", "mss-firm", False)]


@pytest.fixture(scope="module", params=["subprocess", "pyspice"])
def spice(request: pytest.FixtureRequest) -> Iterator[NgspiceBackend]:
    """Every engine, with every conducting cell a live device."""
    try:
        made = NgspiceBackend(request.param, still_tolerance=0.0)
    except SpiceMissingError as error:
        pytest.skip(str(error))
    yield made
    made.close()


def segments(wires: str, size: int) -> Segments:
    if wires == "none":
        return Segments()
    if wires == "R":
        return Segments(2.5, 2.5)
    wire = 25.0 if size < 16 else 5.0
    return Segments(wire, wire, 2e-14, 2e-14)


@cache
def write_request(case: Case) -> PhaseRequest:
    """Return a half-select (1R) or gated (1T1R) write pulse of 100 ns on row 1."""
    device: DeviceModel = find_preset(case.preset)
    cell = Cell("1T1R", access_resistance=5e3) if case.gated else Cell()
    n = case.size
    end = 0.0 if case.wires == "none" else 20.0
    network = single("t", (n, n), device, cell, segments(case.wires, n), r_source=end, r_sink=end)
    state = np.random.default_rng(n).uniform(0.1, 0.9, (n, n))
    amplitude = AMPLITUDE[case.preset]
    full = pulse(amplitude, width_fs=100 * NS, rise_fs=2 * NS, fall_fs=3 * NS, delay_fs=NS)
    half = pulse(amplitude / 2, width_fs=100 * NS, rise_fs=2 * NS, fall_fs=3 * NS, delay_fs=NS)
    idle = level(0.0) if case.gated else half
    drives = {f"wl{i}": full if i == 1 else idle for i in range(n)}
    drives |= {f"bl{j}": level(0.0) if case.gated or j == 0 else half for j in range(n)}
    if case.gated:
        drives |= {f"gl{i}": level(1.8 if i == 1 else 0.0) for i in range(n)}
    phase = Phase("write", 110 * NS, drives, (50 * NS, 103 * NS))
    return PhaseRequest(network, (state,), None, 0, 300.0, phase, 0)


@cache
def behavioral(case: Case) -> tuple[FloatArray, FloatArray, float]:
    """Return final state, sampled currents and delivered energy at tight tolerance."""
    tight = Tolerances(refine=32)
    result = BehavioralBackend(tolerances=tight).run(write_request(case))
    return result.states[0], result.samples.current, float(result.energy.delivered.sum())


@pytest.mark.parametrize("case", CASES, ids=str)
def test_write_pulse_agrees_with_the_behavioral_backend(spice: NgspiceBackend, case: Case) -> None:
    state, current, delivered = behavioral(case)
    result = spice.run(write_request(case))
    assert np.abs(result.states[0] - state).max() <= STATE
    assert np.abs(result.samples.current - current).max() <= STATE * np.abs(current).max()
    assert abs(result.energy.delivered.sum() - delivered) <= ENERGY * delivered
    assert abs(result.energy.numerical) <= 1e-6 * delivered


def dependences(n: int) -> csr_array:
    """Return which rate depends on which unknown: word nodes, bit nodes, states, energy."""
    cells = np.arange(n * n)
    chain = diags_array(np.ones((3, n)), offsets=(-1, 0, 1), shape=(n, n))
    one, here = eye_array(n), eye_array(n * n)
    along_words, along_bits = kron(one, chain), kron(chain, one)
    block = block_array([[along_words, here, here], [here, along_bits, here], [here, here, here]])
    ends = np.concatenate([cells[::n], n * n + cells[-n:]])
    energy = csr_array((np.ones(2 * n), (np.zeros(2 * n, dtype=int), ends)), shape=(1, 3 * n * n))
    return csr_array(block_array([[block, None], [energy, csr_array((1, 1))]]))


def circuit_reference(request: PhaseRequest) -> tuple[FloatArray, float]:
    """Return the final state and the delivered energy of a wired array with line capacitance.

    All nodes of the mesh carry charge, so the circuit is an ordinary differential equation.
    """
    array = request.network.arrays[0]
    n, device, phase = array.rows, array.device, request.phase
    wire = float(array.word_segments[0, 0])
    g_line, g_end = 1 / wire, 1 / (wire + array.r_left)
    c = array.segments.c_word_line

    def drive(kind: str, t: float) -> FloatArray:
        return np.array([float(phase.drives[f"{kind}{k}"].at(np.array(t * 1e15))) for k in range(n)])

    def along(v: FloatArray) -> FloatArray:
        flow = np.zeros_like(v)
        step = (v[:, 1:] - v[:, :-1]) * g_line
        flow[:, :-1] += step
        flow[:, 1:] -= step
        return flow

    def rates(t: float, y: FloatArray) -> FloatArray:
        w, b, x = y[: 3 * n * n].reshape(3, n, n)
        cell = device.current(x, w - b)
        iw, ib = along(w) - cell, along(b.T).T + cell
        source = (drive("wl", t) - w[:, 0]) * g_end
        sink = (drive("bl", t) - b[-1]) * g_end
        iw[:, 0] += source
        ib[-1] += sink
        small = 1e-15
        dx = (device.advance(x, w - b, small, request.temperature) - x) / small if small else x
        power = drive("wl", t) @ source + drive("bl", t) @ sink
        return np.concatenate([(iw / c).ravel(), (ib / c).ravel(), dx.ravel(), [power * 1e12]])

    y = np.concatenate([np.zeros(2 * n * n), request.states[0].ravel(), [0.0]])
    pattern = dependences(n)
    corners = [t / 1e15 for t in phase.corners_fs()]
    for begin, end in pairwise(corners):
        course = solve_ivp(
            rates, (begin, end), y, method="Radau", rtol=1e-6, atol=1e-9, jac_sparsity=pattern, t_eval=[end]
        )
        assert course.success
        y = course.y[:, -1]
    return y[2 * n * n : -1].reshape(n, n), float(y[-1] / 1e12)


@cache
def charged(case: Case) -> tuple[FloatArray, float]:
    return circuit_reference(write_request(case))


@pytest.mark.parametrize(
    "case",
    [*CHARGED, *(pytest.param(case, marks=pytest.mark.acceptance) for case in LARGE)],
    ids=str,
)
def test_write_pulse_with_charged_lines_agrees_with_an_own_integration(
    spice: NgspiceBackend, case: Case
) -> None:
    state, net_energy = charged(case)
    result = spice.run(write_request(case))
    energy = result.energy
    assert np.abs(result.states[0] - state).max() <= STATE
    assert abs(energy.delivered.sum() - energy.absorbed.sum() - net_energy) <= ENERGY * net_energy
    assert abs(energy.numerical) <= 1e-4 * energy.delivered.sum()


@pytest.mark.parametrize("size", [2, 4, 8, 16])
@pytest.mark.parametrize("wires", ["none", "R"])
@pytest.mark.parametrize("preset", ["mss-firm", "rs-ktram"])
def test_direct_current_solution(spice: NgspiceBackend, size: int, wires: str, preset: str) -> None:
    request = write_request(Case(size, wires, preset, False))
    read = Phase(
        "read",
        10 * NS,
        {n: level(0.2 if n.startswith("wl") else 0.0) for n in request.network.nets},
        (5 * NS,),
    )
    request = replace(request, phase=read)
    expected = BehavioralBackend().run(request).samples.current[0]
    plain = NgspiceBackend(spice._engine, still_tolerance=1.0).deck(request)
    sources = tuple(
        level_slot(source_name(node), node, read.drives[net].voltages[0])
        for net, node in plain.graph.driven.items()
    )
    cells = tuple(slot for slot in plain.deck.slots if slot.card.startswith("rc"))
    deck = replace(plain.deck, slots=(*sources, *cells), analysis=OperatingPoint(), structure="")
    vectors = spice._engine.run(deck, 30)
    found = {net: -vectors.column(f"i(v{source_name(node)})")[0] for net, node in plain.graph.driven.items()}
    difference = np.array([found[net] for net in request.network.nets]) - expected
    assert np.abs(difference).max() <= CURRENT * np.abs(expected).max()


@pytest.mark.parametrize("preset", ["mss-firm", "rs-ktram"])
@pytest.mark.parametrize(
    ("size", "phases"), [(4, 4), *(pytest.param(n, 20, marks=pytest.mark.acceptance) for n in (4, 8))]
)
def test_alternating_backends_end_where_either_alone_ends(
    spice: NgspiceBackend, preset: str, size: int, phases: int
) -> None:
    """An open-loop pulse train on the same crossbar."""
    first = write_request(Case(size, "R", preset, False))
    other = BehavioralBackend(tolerances=Tolerances(refine=8))
    ends = []
    for order in ((spice, spice), (other, other), (spice, other), (other, spice)):
        request = first
        for k in range(phases):
            request = replace(request, states=order[k % 2].run(request).states)
        ends.append(request.states[0])
    assert max(np.abs(end - ends[0]).max() for end in ends) <= 2e-4


def test_engines_agree_with_each_other(spice: NgspiceBackend) -> None:
    reference = NgspiceBackend("subprocess", still_tolerance=0.0)
    for case in (
        Case(4, "R", "mss-firm", False),
        Case(8, "R", "rs-ktram", False),
        Case(4, "RC", "mss-firm", False),
    ):
        ours, theirs = spice.run(write_request(case)), reference.run(write_request(case))
        assert np.abs(ours.states[0] - theirs.states[0]).max() <= 1e-9
        assert ours.energy.dissipated == pytest.approx(theirs.energy.dissipated, rel=1e-9)
