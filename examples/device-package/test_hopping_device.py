"""The conformance suite on the device of this package."""

from hopping_device import Hopping

from cosim.conformance import DeviceSuite


class TestHopping(DeviceSuite):
    """All checks, with 20 random pulse trains against a general solver and against the ngspice twin."""

    device = Hopping()
