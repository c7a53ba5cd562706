"""The conformance suite over every model and preset; with ``-m acceptance`` on 200 pulse trains each."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pytest

from cosim.backends.ngspice import NgspiceBackend
from cosim.conformance import checks, drive_of, solved
from cosim.conformance.suite import DeviceSuite
from cosim.devices import DeviceModel, Mss, Team, Vteam, models, presets

KELVIN = 300.0


def is_default(device: DeviceModel) -> bool:
    return dataclasses.asdict(device) == dataclasses.asdict(type(device)())  # type: ignore[call-overload]


CASES: dict[str, DeviceModel] = {
    **{name: model() for name, model in models().items() if model.moves},
    **{name: device for name, device in presets().items() if device.moves and not is_default(device)},
    "vteam-exponential": Vteam(resistance="exponential", window="biolek"),
    **{f"vteam-{name}": Vteam(window=name) for name in ("joglekar", "prodromakis", "strukov")},
    "team-biolek": Team(window="biolek", resistance="exponential"),
}
WITH_EQUATION = sorted(name for name, device in CASES.items() if device.subcircuit(KELVIN) is not None)


@pytest.fixture(scope="module")
def spice() -> Iterator[NgspiceBackend]:
    backend = NgspiceBackend(still_tolerance=0.0)
    yield backend
    backend.close()


@pytest.fixture(params=sorted(CASES))
def device(request: pytest.FixtureRequest) -> DeviceModel:
    return CASES[request.param]


def test_every_moving_model_with_an_equation_has_a_twin() -> None:
    assert {"mss", "rs", "ion_drift", "nonlinear_ion_drift", "vteam", "yakopcic", "team", "stanford",
            "data_driven", "sky130_reram", "fefet"} <= set(WITH_EQUATION)  # fmt: skip


def test_statics(device: DeviceModel) -> None:
    checks.check_parameters(device)
    checks.check_conductance(device)
    checks.check_current(device, drive_of(device, KELVIN))


def test_advance(device: DeviceModel) -> None:
    drive = drive_of(device, KELVIN)
    checks.check_advance(device, drive, KELVIN)
    checks.check_composition(device, drive, KELVIN)
    checks.check_dead_zone(device, drive, KELVIN)
    checks.check_most_moved(device, drive, KELVIN)


def compared(device: DeviceModel, spice: NgspiceBackend, count: int) -> tuple[float, float]:
    trains = checks.random_trains(device, KELVIN, count)
    reference = solved(device, trains, KELVIN)
    by_advance = checks.check_against_solver(device, trains, reference, KELVIN)
    return by_advance, checks.check_against_twin(device, trains, reference, spice, KELVIN)


@pytest.mark.ngspice
@pytest.mark.parametrize("name", WITH_EQUATION)
def test_against_general_solver_and_twin(name: str, spice: NgspiceBackend) -> None:
    compared(CASES[name], spice, 20)


@pytest.mark.acceptance
@pytest.mark.parametrize("name", WITH_EQUATION)
def test_two_hundred_trains(name: str, spice: NgspiceBackend, capsys: pytest.CaptureFixture[str]) -> None:
    by_advance, by_twin = compared(CASES[name], spice, 200)
    with capsys.disabled():
        print(  # noqa: T201
            f"\n{name}, 200 trains: advance {by_advance:.1e} (bar {checks.AGAINST_SOLVER:.0e}), "
            f"twin {by_twin:.1e} (bar {checks.AGAINST_TWIN:.0e}) of the range: met"
        )


@pytest.mark.ngspice
class TestMssByItsClass(DeviceSuite):
    """The suite as another package uses it."""

    device = Mss()
    trains = 2
