"""Cells that must be formed: the law, its wrapper around other models, the ngspice twin, refusals."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest

from cosim.backends.banks import kind
from cosim.backends.behavioral import BehavioralBackend
from cosim.backends.ngspice import NgspiceBackend
from cosim.backends.paired import deviation
from cosim.crossbar import Cell, Phase, PhaseRequest, Segments, level, pulse, single
from cosim.devices import DeviceModel, Fefet, Stanford, find_preset
from cosim.devices.forming import Formable, Forming
from cosim.devices.pulse_law import PulseLaw
from cosim.devices.retention import Endurance, Retention
from cosim.devices.variation import Deviation, Stuck, Variation, varied_device
from cosim.errors import DeviceError, InputError
from cosim.hardware import ArraySpec, Hardware
from cosim.scenario.devices import read_device

NS = 10**6
KELVIN = 300.0


def formable(**own: float) -> Formable:
    return Formable(find_preset("mss-firm"), Forming(**own))


def fresh(device: DeviceModel, shape: tuple[int, int] = (1, 1)) -> np.ndarray:
    return device.initial_state(shape, np.random.default_rng(0))


@pytest.mark.parametrize("volts", [-2.8, 2.4, 2.6, 3.0])
def test_a_fresh_cell_forms_exponentially_faster(volts: float) -> None:
    """Against the law written anew; a pulse in two parts is the same pulse."""
    device = formable()
    at, start = np.full((1, 1), volts), fresh(device)
    whole = device.advance(start, at, 3e-7, KELVIN)
    wanted = 1.0 - np.exp(-3e-7 * np.exp((abs(volts) - 2.6) / 0.1) / 1e-6)
    assert whole[0, 0, 1] == pytest.approx(wanted, rel=1e-12)
    halves = device.advance(device.advance(start, at, 1e-7, KELVIN), at, 2e-7, KELVIN)
    assert np.allclose(halves, whole, rtol=0, atol=1e-13)
    inner = device.inner.advance(start[..., 0], at, 3e-7, KELVIN)
    assert np.array_equal(whole[..., 0], inner)
    rate = device.state_rate(start, at, KELVIN)
    assert rate is not None
    little = device.advance(start, at, 1e-13, KELVIN)
    assert np.allclose((little - start) / 1e-13, rate, rtol=1e-3)


def test_fresh_cells_insulate_and_formed_ones_are_the_inner_model() -> None:
    device = formable()
    assert np.allclose(device.conductance(fresh(device)), 1e-7, rtol=1e-12)
    state = device.state_for(np.array([[3e-6]]))
    volts = np.array([[0.4]])
    assert device.conductance(state)[0, 0] == pytest.approx(3e-6)
    assert device.current(state, volts)[0, 0] == pytest.approx(1.2e-6)
    assert device.current_slope(state, volts)[0, 0] == pytest.approx(3e-6)
    assert device.most_moved(-0.2, 0.2, 1e-7, KELVIN) < 1e-6
    assert device.most_moved(0.0, 3.0, 1e-7, KELVIN) > 1.0


def test_parameters_of_both_parts_vary_from_cell_to_cell() -> None:
    variation = Variation(d2d={"forming_voltage": Deviation(sigma=0.05), "v_on": Deviation(sigma=0.05)})
    device = varied_device(formable(), variation, (3, 3), lambda part: np.random.default_rng(len(part)))
    assert set(device.varied) == {"forming_voltage", "v_on"}
    volts = np.full((3, 3), 2.6)
    formed = device.advance(fresh(device, (3, 3)), volts, 1e-6, KELVIN)
    assert np.ptp(formed[..., 1]) > 0.1
    cells = (np.array([0, 2]), np.array([1, 2]))
    some = device.select(cells).advance(fresh(device, (3, 3))[cells], volts[cells], 1e-6, KELVIN)
    assert np.array_equal(some, formed[cells])


@pytest.mark.parametrize(("at", "siemens"), [("unformed", 2e-8), ("HRS", 1e-6), ("LRS", 1e-5)])
def test_stuck_cells_are_stuck_whether_formed_or_not(
    at: Literal["LRS", "HRS", "unformed"], siemens: float
) -> None:
    """An unformed one conducts as a fresh one does, after every pulse."""
    variation = Variation(stuck=(Stuck(at=at, cells=((0, 1),)),))
    device = varied_device(formable(conductance=2e-8), variation, (2, 2), lambda _: np.random.default_rng(0))
    state = fresh(device, (2, 2))
    for volts in (3.5, -3.5):
        assert device.conductance(state)[0, 1] == pytest.approx(siemens, rel=1e-8)
        state = device.advance(state, np.full((2, 2), volts), 1e-5, KELVIN)
    assert state[0, 1, 1] > 0.9
    assert device.conductance(state)[1, 1] > 5e-7


def test_arrays_of_equal_cells_are_one_bank() -> None:
    """Cells that differ in what forms them are of one kind; those of another inner model are not."""

    def kind_of(device: DeviceModel) -> object:
        return kind(single("t", (2, 2), device, Cell("1R"), Segments()).arrays[0])

    varied = formable().per_cell(forming_voltage=np.full((2, 2), 2.5))
    other = formable().per_cell(forming_voltage=np.full((2, 2), 2.7))
    assert kind_of(varied) == kind_of(other)
    assert kind_of(varied) != kind_of(formable())
    assert kind_of(formable(voltage=2.0)) != kind_of(formable())
    assert kind_of(Formable(find_preset("mss-firm"), Forming())) == kind_of(formable())


@pytest.mark.ngspice
@pytest.mark.parametrize("inner", [find_preset("mss-firm"), Fefet()], ids=["mss", "fefet"])
def test_forming_pulse_against_ngspice(inner: DeviceModel) -> None:
    """One pulse on 4 x 4 fresh cells through wires and access devices; a row forms, to different degrees."""
    law = Forming(voltage=np.linspace(2.3, 2.7, 16).reshape(4, 4))  # type: ignore[arg-type]
    device = Formable(inner, law)
    network = single(
        "t", (4, 4), device, Cell("1T1R", access_resistance=5e3), Segments(2.5, 4.0), r_source=10.0
    )
    drives = {f"bl{k}": level(0.0) for k in range(4)} | {f"wl{k}": level(0.0) for k in range(4)}
    drives["wl1"] = pulse(2.5, rise_fs=10 * NS, width_fs=300 * NS, fall_fs=10 * NS, delay_fs=10 * NS)
    drives |= {f"gl{k}": level(1.8 if k == 1 else 0.0) for k in range(4)}
    request = PhaseRequest(
        network, (fresh(device, (4, 4)),), None, 0, KELVIN, Phase("write", 400 * NS, drives), 0
    )
    backend = NgspiceBackend()
    try:
        theirs = backend.run(request)
    finally:
        backend.close()
    ours = BehavioralBackend().run(request)
    formed = ours.states[0][1, :, 1]
    assert np.ptp(formed) > 0.05
    assert formed.max() > 0.3
    assert np.abs(ours.states[0] - theirs.states[0]).max() < 1e-3
    assert deviation(request, ours, theirs).current_relative < 1e-3


def test_refusals() -> None:
    for build, sentence in (
        (
            lambda: Formable(PulseLaw(), Forming()),
            "differential equation for one state between 0 and 1, which pulse_law is not",
        ),
        (lambda: Formable(formable(), Forming()), "which formable is not"),
        (lambda: Forming(slope=0.0), "forming.slope: must be finite and above zero, not 0.0"),
    ):
        with pytest.raises(DeviceError, match=sentence):
            build()
    for aged in (Variation(retention=Retention()), Variation(endurance=Endurance())):
        with pytest.raises(DeviceError, match="leave out one of the two"):
            Hardware(ArraySpec(2, 2), formable(), variation=aged)
    with pytest.raises(
        InputError, match=r"forming\.volt: there is no such parameter .* did you mean 'voltage'"
    ):
        read_device({"model": "mss", "forming": {"volt": "2 V"}})
    with pytest.raises(InputError, match=r"device\.forming: must be a section"):
        read_device({"model": "mss", "forming": 3})


def test_a_scenario_entry() -> None:
    device = read_device({"model": "stanford", "forming": {"voltage": "3 V"}})
    assert isinstance(device, Formable)
    assert isinstance(device.inner, Stanford)
    assert device.forming.voltage == 3.0
