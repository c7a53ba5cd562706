"""The conformance suite of device models: what every model must hold, ours and those of other packages.

A package tests its model by a class of its own (pytest collects it)::

    from cosim.conformance import DeviceSuite

    class TestMine(DeviceSuite):
        device = MyModel()

Each check is also a function of a device alone, in `cosim.conformance.checks`; the pulse trains are in
`cosim.conformance.trains`.
"""

from cosim.conformance.suite import DeviceSuite
from cosim.conformance.trains import Drive, Train, advanced, drive_of, random_train, simulated, solved

__all__ = [
    "DeviceSuite",
    "Drive",
    "Train",
    "advanced",
    "drive_of",
    "random_train",
    "simulated",
    "solved",
]
