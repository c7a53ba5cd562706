"""The suite as a test class: derive from it, name a device, and let pytest collect it."""

from __future__ import annotations

from typing import ClassVar

from cosim.conformance import checks
from cosim.conformance.trains import Drive, drive_of, solved
from cosim.crossbar import find as find_backend
from cosim.devices.base import DeviceModel
from cosim.errors import SpiceMissingError


class DeviceSuite:
    """Conformance of one device model: set ``device``; ``trains`` is the number of random pulse trains.

    The comparison with the ngspice twin is left out where the model has none, or where ngspice is not
    installed (the test then says so by being skipped).
    """

    device: ClassVar[DeviceModel]
    temperature: ClassVar[float] = 300.0
    trains: ClassVar[int] = 20

    @property
    def _drive(self) -> Drive:
        return drive_of(self.device, self.temperature)

    def test_parameters(self) -> None:
        checks.check_parameters(self.device)

    def test_conductance(self) -> None:
        checks.check_conductance(self.device)

    def test_current(self) -> None:
        checks.check_current(self.device, self._drive)

    def test_advance(self) -> None:
        checks.check_advance(self.device, self._drive, self.temperature)

    def test_composition(self) -> None:
        checks.check_composition(self.device, self._drive, self.temperature)

    def test_dead_zone(self) -> None:
        checks.check_dead_zone(self.device, self._drive, self.temperature)

    def test_most_moved(self) -> None:
        checks.check_most_moved(self.device, self._drive, self.temperature)

    def test_against_general_solver_and_twin(self) -> None:
        state, temperature = checks.parts(self.device, 2), self.temperature
        if self.device.state_rate(state, 0.0 * state, temperature) is None:
            return
        trains = checks.random_trains(self.device, temperature, self.trains)
        reference = solved(self.device, trains, temperature)
        checks.check_against_solver(self.device, trains, reference, temperature)
        if self.device.subcircuit(temperature) is None:
            return
        try:
            backend = find_backend("ngspice")(still_tolerance=0.0)
        except SpiceMissingError as missing:
            import pytest

            pytest.skip(str(missing))
        try:
            checks.check_against_twin(self.device, trains, reference, backend, temperature)
        finally:
            backend.close()
